package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/storage/storagetest"
)

var policyTime = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

// Trap 9: only a confidential client that owns the token or is its audience learns
// anything.
func TestTrap09Introspection(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mine, foreign := w.tokens("shop"), w.tokens("app")
		for name, c := range map[string]struct {
			client string
			token  any
			want   bool
		}{
			"own access": {"shop", mine["access_token"], true}, "own refresh": {"shop", mine["refresh_token"], true},
			"audience": {"settlement", mine["access_token"], true}, "audience, refresh": {"settlement", mine["refresh_token"], false},
			"foreign access": {"shop", foreign["access_token"], false}, "foreign refresh": {"shop", foreign["refresh_token"], false},
			"junk": {"shop", "junk", false}, "dots": {"shop", "a.b.c", false}, "JWT-shaped": {"shop", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", false},
		} {
			if got := w.active(c.client, c.token); got != c.want {
				t.Errorf("%s: active is %v", name, got)
			}
		}
		_, answer := w.post("/introspect", "shop", url.Values{"token": {mine["access_token"].(string)}})
		for _, claim := range []string{"iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti", "token_type", "acr", "auth_time", "sid", "merchant_id"} {
			if answer[claim] == nil {
				t.Errorf("the answer lacks %s", claim)
			}
		}
		_, answer = w.post("/introspect", "shop", url.Values{"token": {mine["refresh_token"].(string)}})
		if exp, _ := answer["exp"].(float64); time.Until(time.Unix(int64(exp), 0)) < 13*24*time.Hour {
			t.Errorf("exp of a refresh token is %v", answer["exp"])
		}
		res, answer := w.post("/introspect", "app", url.Values{"token": {foreign["access_token"].(string)}})
		refused(t, res, answer, 401, "invalid_client")
		r := formRequest("/introspect", url.Values{"token": {mine["access_token"].(string)}})
		r.Header.Set("Authorization", "Bearer "+mine["access_token"].(string))
		res = w.do(r)
		refused(t, res, body(t, res), 401, "invalid_client")
		res, answer = w.post("/introspect", "shop", url.Values{})
		refused(t, res, answer, 400, "invalid_request")
	})
}

// Trap 10: an ID token is no access token, anywhere.
func TestTrap10IDTokenIsNoAccessToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.tokens("shop")
		if w.active("shop", a["id_token"]) {
			t.Error("introspection takes an ID token")
		}
		if info := w.userinfo(a["id_token"]); info["sub"] != nil {
			t.Error("userinfo takes an ID token")
		}
		q := answerOf(w.get("/authorize?"+query("shop", "id_token_hint", a["access_token"].(string)).Encode(), ""))
		if q.Get("error") != "invalid_request" {
			t.Errorf("an access token is taken for a hint: %v", q)
		}
	})
}

// Trap 11: userinfo reads the header and nothing else.
func TestTrap11BearerInHeaderOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.tokens("app")["access_token"].(string)
		form := url.Values{"access_token": {token}}
		for name, c := range map[string]struct {
			r      *http.Request
			header []string
			status int
		}{
			"get":     {httptest.NewRequest("GET", "/userinfo", nil), []string{"Bearer " + token}, 200},
			"post":    {httptest.NewRequest("POST", "/userinfo", nil), []string{"bearer " + token}, 200},
			"query":   {httptest.NewRequest("GET", "/userinfo?"+form.Encode(), nil), nil, 401},
			"body":    {formRequest("/userinfo", form), nil, 401},
			"two":     {httptest.NewRequest("GET", "/userinfo", nil), []string{"Bearer " + token, "Bearer " + token}, 401},
			"basic":   {httptest.NewRequest("GET", "/userinfo", nil), []string{"Basic " + token}, 401},
			"cut":     {httptest.NewRequest("GET", "/userinfo", nil), []string{"Bearer " + token[:len(token)-2]}, 401},
			"longer":  {httptest.NewRequest("GET", "/userinfo", nil), []string{"Bearer " + token + "AA"}, 401},
			"dpop":    {httptest.NewRequest("GET", "/userinfo", nil), []string{"DPoP " + token}, 401},
			"refresh": {httptest.NewRequest("GET", "/userinfo", nil), []string{"Bearer " + idp.NewToken()}, 401},
			"put":     {httptest.NewRequest("PUT", "/userinfo", nil), []string{"Bearer " + token}, 405},
		} {
			c.r.Header["Authorization"] = c.header
			res := w.do(c.r)
			if res.StatusCode != c.status || (c.status == 401) != strings.HasPrefix(res.Header.Get("WWW-Authenticate"), map[bool]string{false: "Bearer ", true: "DPoP "}[name == "dpop"]) {
				t.Errorf("%s: %d %q", name, res.StatusCode, res.Header.Get("WWW-Authenticate"))
			}
		}
		if got := w.do(httptest.NewRequest("GET", "/userinfo", nil)).Header.Get("WWW-Authenticate"); strings.Contains(got, "error") {
			t.Errorf("an error code without a token: %s", got)
		}
		_, service := w.post("/token", "settlement", serviceForm())
		r := httptest.NewRequest("GET", "/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+service["access_token"].(string))
		if res := w.do(r); res.StatusCode != 401 {
			t.Errorf("a client's own token: %d", res.StatusCode)
		}
		r.Header.Set("Authorization", "Bearer "+w.tokens("app", "scope", "payments:read")["access_token"].(string))
		if res := w.do(r); res.StatusCode != 403 || !strings.Contains(res.Header.Get("WWW-Authenticate"), "insufficient_scope") {
			t.Errorf("without openid: %d", res.StatusCode)
		}
	})
}

// Every cut, flip and lengthening of a token is refused, by 401 or
// "not active", never by 500.
func TestMangledTokens(t *testing.T) {
	w := newWorld(t, storagetest.New(t, storage.SQLite))
	token := w.tokens("shop")["access_token"].(string)
	for i := 0; i < len(token); i += 7 {
		flipped := []byte(token)
		flipped[i] ^= 1
		for _, bad := range []string{token[:i], string(flipped), token[:i] + "." + token[i:], token + token[i:]} {
			if bad == token {
				continue
			}
			res, answer := w.post("/introspect", "shop", url.Values{"token": {bad}})
			if answer["active"] == true || res.StatusCode >= 500 || bad != "" && res.StatusCode != 200 {
				t.Errorf("%d %v for %q", res.StatusCode, answer, bad)
			}
		}
	}
}

// The algorithm is the key's, the key is ours.
func TestAlgorithmConfusion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.must(w.p.addKey(ctx, jose.RS256))
		a := w.tokens("shop")
		ring, err := w.p.keys(ctx)
		w.must(err)
		good := payload(t, a["access_token"])
		evil, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		w.must(err)
		jwk, err := jose.JSONWebKey{Key: evil.Public(), KeyID: ring.keys[0].id, Algorithm: "ES256"}.MarshalJSON()
		w.must(err)
		kid := ring.keys[0].id
		sign := func(alg jose.SignatureAlgorithm, key any, header map[string]any) string {
			opts := &jose.SignerOptions{}
			for name, v := range header {
				opts.WithHeader(jose.HeaderKey(name), v)
			}
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
			w.must(err)
			raw, err := json.Marshal(good)
			w.must(err)
			signed, err := s.Sign(raw)
			w.must(err)
			out, err := signed.CompactSerialize()
			w.must(err)
			return out
		}
		unsigned := func(header string) string {
			raw, err := json.Marshal(good)
			w.must(err)
			return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(raw) + "."
		}
		corpus := map[string]string{
			"none":                   unsigned(`{"alg":"none","typ":"at+jwt","kid":"` + kid + `"}`),
			"None":                   unsigned(`{"alg":"None","typ":"at+jwt","kid":"` + kid + `"}`),
			"no alg":                 unsigned(`{"typ":"at+jwt","kid":"` + kid + `"}`),
			"ES256, no signature":    unsigned(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}`),
			"ES256, zero signature":  unsigned(`{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`) + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
			"HS256 with the JWKS":    sign(jose.HS256, ring.set, map[string]any{"typ": "at+jwt", "kid": kid}),
			"HS256 with the JWK":     sign(jose.HS256, []byte(ring.source[len(ring.source)-1].Public), map[string]any{"typ": "at+jwt", "kid": kid}),
			"another key, our kid":   sign(jose.ES256, evil, map[string]any{"typ": "at+jwt", "kid": kid}),
			"jwk in the header":      sign(jose.ES256, evil, map[string]any{"typ": "at+jwt", "kid": kid, "jwk": json.RawMessage(jwk)}),
			"jku in the header":      sign(jose.ES256, evil, map[string]any{"typ": "at+jwt", "kid": kid, "jku": "https://evil.example/jwks"}),
			"x5u in the header":      sign(jose.ES256, evil, map[string]any{"typ": "at+jwt", "kid": kid, "x5u": "https://evil.example/x"}),
			"kid as a path":          sign(jose.ES256, evil, map[string]any{"typ": "at+jwt", "kid": "../../" + kid}),
			"no kid":                 sign(jose.ES256, ring.primary(), map[string]any{"typ": "at+jwt"}),
			"our key, type JWT":      sign(jose.ES256, ring.primary(), map[string]any{"typ": "JWT", "kid": kid}),
			"our key, no type":       sign(jose.ES256, ring.primary(), map[string]any{"kid": kid}),
			"our key, unknown crit":  sign(jose.ES256, ring.primary(), map[string]any{"typ": "at+jwt", "kid": kid, "crit": []string{"x"}, "x": 1}),
			"our key, ES256, RSA id": sign(jose.ES256, ring.primary(), map[string]any{"typ": "at+jwt", "kid": ring.of(jose.RS256).id}),
		}
		for name, token := range corpus {
			if w.active("shop", token) {
				t.Errorf("%s is taken", name)
			}
			if info := w.userinfo(token); info["sub"] != nil {
				t.Errorf("%s is taken by userinfo", name)
			}
		}
		if !w.active("shop", a["access_token"]) {
			t.Error("the real one is not")
		}
		if c := sign(jose.ES256, ring.primary(), map[string]any{"typ": "at+jwt", "kid": ring.of(jose.ES256).id}); !w.active("shop", c) {
			t.Error("the corpus does not test what it says: a rightly signed token is refused")
		}
	})
}

func (k *keyring) of(alg jose.SignatureAlgorithm) signingKey {
	for _, key := range k.keys {
		if key.alg == alg {
			return key
		}
	}
	return signingKey{}
}

func (k *keyring) primary() any { return k.of(algs[0]).private }

// Replicas that start together publish the same keys.
func TestStartMakesKeysOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		errs := make(chan error, 8)
		for range cap(errs) {
			p := &Provider{Store: s, Policy: policy.NewLive(policy.Default()), Issuer: issuer}
			go func() { errs <- p.Start(context.Background()) }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		p := &Provider{Store: s, Policy: policy.NewLive(policy.Default()), Issuer: issuer}
		k, err := p.keys(t.Context())
		if err != nil || len(k.keys) != 2 {
			t.Fatalf("%v, %d keys", err, len(k.keys))
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(k.set, &set); err != nil || len(set.Keys) != 2 || set.Keys[0].Algorithm != "ES256" || strings.Contains(string(k.set), `"d"`) {
			t.Errorf("%v %s", err, k.set)
		}
		for _, key := range set.Keys {
			if !key.IsPublic() || key.KeyID == "" || key.Use != "sig" || key.Algorithm == "" {
				t.Errorf("%+v", key)
			}
		}
	})
}

// A revocation is 200 with no body and no content type.
func TestRevocation(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, kind := range []string{"refresh_token", "access_token"} {
			a := w.tokens("shop")
			for name, token := range map[string]string{"junk": "junk", "foreign": w.tokens("app")[kind].(string)} {
				res, _ := w.post("/revoke", "shop", url.Values{"token": {token}})
				if res.StatusCode != 200 || res.Header.Get("Content-Type") != "" || res.ContentLength > 0 {
					t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
				}
			}
			w.post("/revoke", "app", url.Values{"token": {a[kind].(string)}})
			if !w.active("shop", a[kind]) {
				t.Error("a foreign client revoked it")
			}
			w.post("/revoke", "shop", url.Values{"token": {a[kind].(string)}, "token_type_hint": {"nonsense"}})
			if w.active("shop", a["refresh_token"]) || w.active("shop", a["access_token"]) {
				t.Errorf("the family outlived its %s", kind)
			}
			res, answer := w.post("/token", "shop", refreshing(a["refresh_token"].(string)))
			refused(t, res, answer, 400, "invalid_grant")
		}
		if w.events("grant.revoked") != 2 {
			t.Errorf("%d events", w.events("grant.revoked"))
		}
		res, answer := w.post("/revoke", "app", url.Values{})
		refused(t, res, answer, 400, "invalid_request")
		res, answer = w.post("/revoke", "", url.Values{"token": {"x"}})
		refused(t, res, answer, 401, "invalid_client")
	})
}

// Endings bite at once at our endpoints.
func TestLivenessBitesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.tokens("shop", "scope", "openid payments:refund offline_access")
		w.done(w.store.FreezeUser(t.Context(), w.owner.ID, time.Now()))
		if _, answer := w.post("/introspect", "shop", url.Values{"token": {a["access_token"].(string)}}); answer["scope"] != "openid offline_access" {
			t.Errorf("a frozen person's money scope: %v", answer)
		}
		w.done(w.store.LockUser(t.Context(), w.owner.ID, "user"))
		if w.active("shop", a["access_token"]) || w.active("shop", a["refresh_token"]) || w.userinfo(a["access_token"])["sub"] != nil {
			t.Error("tokens of a locked person are active")
		}
	})
}

// timed runs a test in time that moves by itself. The store is opened outside: gorm
// leaves a goroutine behind that the bubble would wait for.
func timed(t *testing.T, fn func(t *testing.T, w *world)) {
	s := storagetest.New(t, storage.SQLite)
	synctest.Test(t, func(t *testing.T) { fn(t, newWorld(t, s)) })
}

// Issue: a lost answer is given again within the grace, and only to its client;
// after it the family ends.
func TestGrace(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		grace := w.p.Policy.Now().Tokens.Grace
		first := w.tokens("app")["refresh_token"].(string)
		_, a := w.post("/token", "app", refreshing(first))
		time.Sleep(grace - time.Second)
		_, b := w.post("/token", "app", refreshing(first))
		if a["refresh_token"] != b["refresh_token"] || b["access_token"] == nil {
			t.Fatalf("not the same successor: %v %v", a, b)
		}
		time.Sleep(time.Second)
		res, answer := w.post("/token", "app", refreshing(first))
		refused(t, res, answer, 400, "invalid_grant")
		res, answer = w.post("/token", "app", refreshing(a["refresh_token"].(string)))
		refused(t, res, answer, 400, "invalid_grant")
		if w.events("grant.reuse_detected") != 1 {
			t.Error("no event")
		}
	})
}

func TestLifetimes(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		tokens, life := w.p.Policy.Now().Tokens, w.p.Policy.Now().Grants
		code := w.code("app")
		time.Sleep(tokens.Code)
		res, answer := w.post("/token", "app", exchange("app", code))
		refused(t, res, answer, 400, "invalid_grant")

		a := w.tokens("shop")
		time.Sleep(tokens.Access)
		if w.active("shop", a["access_token"]) || !w.active("shop", a["refresh_token"]) {
			t.Error("access token lives on, or refresh token does not")
		}
		time.Sleep(life.Idle - tokens.Access)
		res, answer = w.post("/token", "shop", refreshing(a["refresh_token"].(string)))
		refused(t, res, answer, 400, "invalid_grant")

		token := w.tokens("app")["refresh_token"].(string)
		start := time.Now()
		for time.Since(start) < life.Absolute {
			res, answer = w.post("/token", "app", refreshing(token))
			if res.StatusCode != 200 {
				t.Fatalf("after %s: %v", time.Since(start), answer)
			}
			token = answer["refresh_token"].(string)
			time.Sleep(10 * 24 * time.Hour)
		}
		res, answer = w.post("/token", "app", refreshing(token))
		refused(t, res, answer, 400, "invalid_grant")
	})
}

// A refresh gives money scopes only while the proof behind them is fresh.
func TestMoneyLastsShort(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		token := w.tokens("app", "scope", "openid payments:refund offline_access")["refresh_token"].(string)
		_, a := w.post("/token", "app", refreshing(token))
		if a["scope"] != "openid payments:refund offline_access" || a["expires_in"] != 120.0 {
			t.Errorf("at once: %v", a)
		}
		time.Sleep(w.p.Policy.Now().Tokens.AccessMoney + time.Second)
		form := refreshing(a["refresh_token"].(string))
		form.Set("scope", "payments:refund")
		res, answer := w.post("/token", "app", form)
		refused(t, res, answer, 400, "invalid_scope")
		form.Del("scope")
		if _, a = w.post("/token", "app", form); a["scope"] != "openid offline_access" {
			t.Errorf("later: %v", a)
		}
	})
}

func TestDeviceTimes(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		d := w.device()
		poll := func(want string) {
			t.Helper()
			res, answer := w.post("/token", "terminal", polling(d["device_code"]))
			refused(t, res, answer, 400, want)
		}
		poll("authorization_pending")
		time.Sleep(5 * time.Second)
		poll("authorization_pending")
		time.Sleep(4 * time.Second)
		poll("slow_down") // the interval is ten seconds now
		time.Sleep(9 * time.Second)
		poll("slow_down") // and fifteen
		time.Sleep(15 * time.Second)
		poll("authorization_pending")
		time.Sleep(10 * time.Minute)
		poll("expired_token")
		d = w.device()
		w.approve(d["user_code"].(string), w.owner, true)
		time.Sleep(10 * time.Minute)
		poll("expired_token")
	})
}

// Trap 3: a request_uri is dead after its minute, or lives with its flow.
func TestTrap03PushedExpiry(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		push := func() string {
			_, answer := w.post("/par", "pushing", query("pushing", "client_id", "-"))
			return "/authorize?" + url.Values{"client_id": {"pushing"}, "request_uri": {answer["request_uri"].(string)}}.Encode()
		}
		at := push()
		time.Sleep(time.Minute)
		if res := w.get(at, ""); res.StatusCode != http.StatusGone {
			t.Errorf("after a minute: %d", res.StatusCode)
		}
		at = push()
		time.Sleep(30 * time.Second)
		for range 2 {
			if res := w.get(at, ""); !w.sent(res) {
				t.Errorf("%d", res.StatusCode)
			}
			time.Sleep(5 * time.Minute)
		}
		time.Sleep(time.Hour)
		if res := w.get(at, ""); res.StatusCode != http.StatusGone {
			t.Errorf("after an hour: %d", res.StatusCode)
		}
	})
}

// An expired hint of a retired key still names its person.
func TestHintOutlivesTokenAndKey(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		hint := w.tokens("app")["id_token"].(string)
		time.Sleep(24 * time.Hour)
		q := query("app", "id_token_hint", hint, "prompt", "none")
		if got := answerOf(w.get("/authorize?"+q.Encode(), w.signIn(w.cashier, true, time.Now()))); got.Get("error") != "login_required" {
			t.Errorf("somebody else: %v", got)
		}
		if got := answerOf(w.get("/authorize?"+q.Encode(), w.signIn(w.owner, true, time.Now()))); !got.Has("code") {
			t.Errorf("the same person: %v", got)
		}
		k, err := w.p.keys(t.Context())
		w.must(err)
		old := *k
		old.keys = []signingKey{k.keys[0]}
		old.source = slices.Clone(k.source)
		for i := range old.source {
			old.source[i].State = "retired"
		}
		if _, err := old.verify(hint, typeID, issuer); err != nil {
			t.Error("a retired key verifies no more")
		}
		if _, err := old.sign(typeID, nil); err == nil {
			t.Error("a retired key signs")
		}
	})
}

// Cost: client_credentials asks the database for nothing while clients and keys are
// in memory.
func TestClientCredentialsNeedsNoDatabase(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		w.post("/token", "settlement", serviceForm())
		shut(t, w)
		if res, answer := w.post("/token", "settlement", serviceForm()); res.StatusCode != 200 {
			t.Errorf("%d %v", res.StatusCode, answer)
		}
	})
}
