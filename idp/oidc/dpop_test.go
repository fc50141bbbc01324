package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/policy"
	"hufu/storage"
)

// shows posts a form as the terminal client with these DPoP headers.
func (w *world) shows(path string, form url.Values, proofs ...string) (*http.Response, map[string]any) {
	w.t.Helper()
	form = maps.Clone(form)
	form.Set("client_id", "terminal")
	r := formRequest(path, form)
	r.Header["Dpop"] = proofs
	res := w.do(r)
	return res, body(w.t, res)
}

// calls asks an endpoint with an access token under a scheme, and these DPoP headers.
func (w *world) calls(method, path, scheme, token string, proofs ...string) (*http.Response, map[string]any) {
	w.t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", scheme+" "+token)
	r.Header["Dpop"] = proofs
	res := w.do(r)
	return res, body(w.t, res)
}

// badProofs are ways in which a proof can be wrong, of a right one for a request.
func badProofs(k *dpoptest.Key, method, uri, access string) map[string]func() string {
	header := map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": k.Public()}
	claims := func(change ...any) func() string {
		return func() string {
			c := dpoptest.Claims(method, uri, access)
			for i := 0; i < len(change); i += 2 {
				name := change[i].(string)
				if c[name] = change[i+1]; change[i+1] == nil {
					delete(c, name)
				}
			}
			return k.Sign(c, header)
		}
	}
	at := func(d time.Duration) func() string {
		return func() string { return claims("iat", time.Now().Add(d).Unix())() }
	}
	with := func(k *dpoptest.Key, header map[jose.HeaderKey]any) func() string {
		return func() string { return k.Sign(dpoptest.Claims(method, uri, access), header) }
	}
	b64 := base64.RawURLEncoding.EncodeToString
	other, p384 := dpoptest.New(), sure(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	rsaKey := sure(rsa.GenerateKey(rand.Reader, 2048))
	bad := map[string]func() string{
		"junk":        func() string { return "junk" },
		"empty":       func() string { return "" },
		"long":        claims("pad", strings.Repeat("x", maxProof)),
		"htm":         claims("htm", "PATCH"),
		"no htm":      claims("htm", nil),
		"htm case":    claims("htm", strings.ToLower(method)),
		"htu":         claims("htu", uri+"x"),
		"htu host":    claims("htu", strings.Replace(uri, "id.test", "evil.test", 1)),
		"htu scheme":  claims("htu", strings.Replace(uri, "http:", "https:", 1)),
		"htu user":    claims("htu", strings.Replace(uri, "//", "//id.test@", 1)),
		"htu path":    claims("htu", "/token"),
		"no htu":      claims("htu", nil),
		"no jti":      claims("jti", nil),
		"long jti":    claims("jti", strings.Repeat("x", 256)),
		"jti number":  claims("jti", 7),
		"no iat":      claims("iat", nil),
		"iat text":    claims("iat", "now"),
		"iat huge":    claims("iat", 1e300),
		"iat below 0": claims("iat", -1e300),
		"old":         at(-62 * time.Second),
		"future":      at(12 * time.Second),
		"typ":         with(k, map[jose.HeaderKey]any{"typ": "JWT", "jwk": k.Public()}),
		"no typ":      with(k, map[jose.HeaderKey]any{"jwk": k.Public()}),
		"no jwk":      with(k, map[jose.HeaderKey]any{"typ": "dpop+jwt"}),
		"other's jwk": with(k, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": other.Public()}),
		"private jwk": with(k, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: k.Private}}),
		"ES384":       with(&dpoptest.Key{Private: p384, Alg: jose.ES384}, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: &p384.PublicKey}}),
		"RS256":       with(&dpoptest.Key{Private: rsaKey, Alg: jose.RS256}, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: &rsaKey.PublicKey}}),
		"HS256": with(&dpoptest.Key{Private: []byte("0123456789abcdef0123456789abcdef"), Alg: jose.HS256},
			map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef")}}),
		"HS256, public as secret": with(&dpoptest.Key{Private: []byte(sure(k.Public().MarshalJSON())), Alg: jose.HS256}, header),
		"crit":                    with(k, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": k.Public(), "crit": []string{"x"}, "x": 1}),
		"none": func() string {
			h := sure(json.Marshal(map[string]any{"alg": "none", "typ": "dpop+jwt", "jwk": k.Public()}))
			return b64(h) + "." + b64(sure(json.Marshal(dpoptest.Claims(method, uri, access)))) + "."
		},
		"bent":  func() string { s := k.Proof(method, uri, access); return s[:len(s)-8] + "AAAAAAAA" },
		"array": func() string { return k.Sign(nil, header) },
	}
	if access != "" {
		bad["no ath"] = claims("ath", nil)
		bad["other ath"] = claims("ath", base64.RawURLEncoding.EncodeToString(make([]byte, 32)))
	}
	return bad
}

func sure[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// RFC 9449 4.3: each wrong proof is refused at the device authorization and the token
// endpoint, and nothing is made of it; a right one of the same key goes on.
func TestRFC9449BadProofs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ask := url.Values{"scope": {"openid terminal offline_access"}, "terminal_serial": {w.terminal.Serial}}
		a := w.onTerminal()
		for name, bad := range badProofs(w.key, "POST", issuer+"/token", "") {
			res, answer := w.shows("/token", refreshing(a["refresh_token"].(string)), bad())
			refused(t, res, answer, 400, "invalid_dpop_proof")
			if t.Failed() {
				t.Fatal(name)
			}
		}
		right := func() string { return w.key.Proof("POST", issuer+"/token", "") }
		res, answer := w.shows("/token", refreshing(a["refresh_token"].(string)), right(), right())
		refused(t, res, answer, 400, "invalid_dpop_proof")
		if res, answer = w.shows("/token", refreshing(a["refresh_token"].(string)), right()); res.StatusCode != 200 {
			t.Errorf("a right proof: %v", answer)
		}
		before := w.events("device.requested")
		for name, bad := range badProofs(w.key, "POST", issuer+"/device_authorization", "") {
			res, answer := w.shows("/device_authorization", ask, bad())
			refused(t, res, answer, 400, "invalid_dpop_proof")
			if t.Failed() {
				t.Fatal(name)
			}
		}
		if n := w.events("device.requested"); n != before {
			t.Errorf("%d requests came of wrong proofs", n-before)
		}
		// What URLs write in more than one way is the same address; the clock may be a little off.
		for _, uri := range []string{"HTTP://ID.test:80/device_authorization?x=1#y", issuer + "/device_authorization"} {
			if res, answer := w.shows("/device_authorization", ask, w.key.Proof("POST", uri, "")); res.StatusCode != 200 {
				t.Errorf("%s: %v", uri, answer)
			}
		}
		for _, off := range []time.Duration{-58 * time.Second, 8 * time.Second} {
			c := dpoptest.Claims("POST", issuer+"/device_authorization", "")
			c["iat"] = time.Now().Add(off).Unix()
			if res, answer := w.shows("/device_authorization", ask, w.key.Sign(c, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": w.key.Public()})); res.StatusCode != 200 {
				t.Errorf("%s off: %v", off, answer)
			}
		}
	})
}

// RFC 9449 11.1: of any number of requests with one proof, one is served.
func TestRFC9449ProofCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.onTerminal()
		access := a["access_token"].(string)
		atOnce := func(send func() (*http.Response, map[string]any), status int) {
			t.Helper()
			var mu sync.Mutex
			var wg sync.WaitGroup
			won := 0
			for range 20 { // fewer than a network may ask for
				wg.Go(func() {
					res, answer := send()
					mu.Lock()
					defer mu.Unlock()
					if res.StatusCode == 200 {
						won++
					} else if res.StatusCode != status || answer["error"] != "invalid_dpop_proof" {
						t.Errorf("%d %v", res.StatusCode, answer)
					}
				})
			}
			wg.Wait()
			if won != 1 {
				t.Errorf("%d were served", won)
			}
		}
		proof := w.key.Proof("POST", issuer+"/token", "")
		atOnce(func() (*http.Response, map[string]any) {
			return w.shows("/token", refreshing(a["refresh_token"].(string)), proof)
		}, 400)
		proof = w.key.Proof("GET", issuer+"/userinfo", access)
		atOnce(func() (*http.Response, map[string]any) {
			return w.calls("GET", "/userinfo", "DPoP", access, proof)
		}, 401)
		proof = w.key.Proof("POST", issuer+"/device_authorization", "")
		atOnce(func() (*http.Response, map[string]any) {
			return w.shows("/device_authorization", url.Values{"scope": {"openid"}, "terminal_serial": {w.terminal.Serial}}, proof)
		}, 400)
		// The same id under another key is another proof.
		c, other := dpoptest.Claims("POST", issuer+"/device_authorization", ""), dpoptest.New()
		for _, k := range []*dpoptest.Key{w.key, other} {
			if res, answer := w.shows("/device_authorization", url.Values{"scope": {"openid"}, "terminal_serial": {w.terminal.Serial}}, k.Sign(c, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": k.Public()})); res.StatusCode != 200 {
				t.Errorf("%v", answer)
			}
		}
	})
}

// RFC 9449 5, 6, 7: tokens are bound to the key of the device; whoever holds a copy of them
// alone gets nothing, and takes nothing away.
func TestRFC9449StolenTokens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, thief := w.device(), dpoptest.New()
		w.approve(d["user_code"].(string), w.owner, true)
		res, answer := w.shows("/token", polling(d["device_code"]))
		refused(t, res, answer, 400, "invalid_dpop_proof")
		res, answer = w.shows("/token", polling(d["device_code"]), thief.Proof("POST", issuer+"/token", ""))
		refused(t, res, answer, 400, "invalid_grant")
		res, a := w.post("/token", "terminal", polling(d["device_code"]))
		if res.StatusCode != 200 || a["token_type"] != "DPoP" {
			t.Fatalf("%v", a)
		}
		access, refresh := a["access_token"].(string), a["refresh_token"].(string)
		if cnf, _ := payload(t, access)["cnf"].(map[string]any); cnf["jkt"] != w.key.Thumbprint() {
			t.Errorf("cnf %v", cnf)
		}
		for name, bad := range badProofs(w.key, "GET", issuer+"/userinfo", access) {
			if res, answer := w.calls("GET", "/userinfo", "DPoP", access, bad()); res.StatusCode != 401 || answer["error"] != "invalid_dpop_proof" || !strings.Contains(res.Header.Get("WWW-Authenticate"), `DPoP algs="ES256", error="invalid_dpop_proof"`) {
				t.Errorf("%s: %d %v %v", name, res.StatusCode, answer, res.Header)
			}
		}
		right := func(k *dpoptest.Key) string { return k.Proof("GET", issuer+"/userinfo", access) }
		for name, c := range map[string]struct {
			scheme string
			proofs []string
		}{"bearer": {"Bearer", nil}, "bearer with a proof": {"Bearer", []string{right(w.key)}}, "no proof": {"DPoP", nil}, "the thief's": {"DPoP", []string{right(thief)}}} {
			if res, answer := w.calls("GET", "/userinfo", c.scheme, access, c.proofs...); res.StatusCode != 401 {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
		}
		if res, info := w.calls("GET", "/userinfo", "dpop", access, right(w.key)); res.StatusCode != 200 || info["sub"] != w.owner.ID {
			t.Errorf("the terminal itself: %d %v", res.StatusCode, info)
		}
		plain := w.tokens("app")
		if plain["token_type"] != "Bearer" || payload(t, plain["access_token"])["cnf"] != nil {
			t.Errorf("an app's token %v", plain["token_type"])
		}
		if res, _ := w.calls("GET", "/userinfo", "DPoP", plain["access_token"].(string), right(w.key)); res.StatusCode != 401 {
			t.Errorf("a bearer token under DPoP: %d", res.StatusCode)
		}
		// The refresh token, the used one too: nothing ends by it.
		_, a = w.post("/token", "terminal", refreshing(refresh))
		time.Sleep(time.Millisecond)
		for _, token := range []string{refresh, a["refresh_token"].(string)} {
			res, answer = w.shows("/token", refreshing(token))
			refused(t, res, answer, 400, "invalid_dpop_proof")
			res, answer = w.shows("/token", refreshing(token), thief.Proof("POST", issuer+"/token", ""))
			refused(t, res, answer, 400, "invalid_grant")
		}
		if res, answer = w.post("/token", "terminal", refreshing(a["refresh_token"].(string))); res.StatusCode != 200 || answer["token_type"] != "DPoP" {
			t.Errorf("the terminal itself: %v", answer)
		}
	})
}

// An app's client may send a proof; it is not looked at, and the answer says so.
func TestProofOfOthersIsNotLookedAt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		form := exchange("app", w.code("app"))
		form.Set("client_id", "app")
		r := formRequest("/token", form)
		r.Header.Set("DPoP", "junk")
		res := w.do(r)
		if a := body(t, res); res.StatusCode != 200 || a["token_type"] != "Bearer" {
			t.Errorf("%d %v", res.StatusCode, a)
		}
	})
}

// Introspection says which key a token is bound to (RFC 9449 6.2).
func TestIntrospectionOfBoundTokens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, err := w.store.Client(t.Context(), "terminal")
		w.must(err)
		c.ID, c.Audience = "terminal2", []string{"shop"}
		w.must(w.store.CreateClient(t.Context(), &c))
		form := url.Values{"client_id": {"terminal2"}, "scope": {"openid"}, "terminal_serial": {w.terminal.Serial}}
		post := func(path string, form url.Values) map[string]any {
			form.Set("client_id", "terminal2")
			r := formRequest(path, form)
			r.Header.Set("DPoP", w.key.Proof("POST", issuer+path, ""))
			return body(t, w.do(r))
		}
		d := post("/device_authorization", form)
		w.approve(d["user_code"].(string), w.owner, true)
		a := post("/token", polling(d["device_code"]))
		_, seen := w.post("/introspect", "shop", url.Values{"token": {a["access_token"].(string)}})
		if cnf, _ := seen["cnf"].(map[string]any); seen["active"] != true || seen["token_type"] != "DPoP" || cnf["jkt"] != w.key.Thumbprint() {
			t.Errorf("%v", seen)
		}
	})
}

// rules puts another document in force.
func (w *world) rules(change func(set policy.Values)) {
	w.t.Helper()
	d, err := policy.Parse(policy.Default().Document.Format())
	w.must(err)
	change(d.Rules[0].Set)
	p, err := policy.Compile(d, 2)
	w.must(err)
	w.p.Policy.Use(p, nil)
}

// A terminal without a key signs in where policy lets it; one that has a key proves it
// everywhere; and what a former key got dies with it.
func TestTerminalsWithoutKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ask := url.Values{"scope": {"openid terminal offline_access"}, "terminal_serial": {w.terminal.Serial}}
		res, answer := w.shows("/device_authorization", ask)
		refused(t, res, answer, 400, "invalid_dpop_proof")
		w.rules(func(set policy.Values) { set["terminals.key_required"] = false })
		_, d := w.shows("/device_authorization", ask)
		w.approve(d["user_code"].(string), w.owner, true)
		res, old := w.shows("/token", polling(d["device_code"]))
		if res.StatusCode != 200 || old["token_type"] != "Bearer" {
			t.Fatalf("%v", old)
		}
		w.rules(func(policy.Values) {}) // what it has goes on
		if res, old = w.shows("/token", refreshing(old["refresh_token"].(string))); res.StatusCode != 200 {
			t.Fatalf("%v", old)
		}
		bound := w.onTerminal()
		if of, err := w.store.Terminal(t.Context(), w.terminal.ID); err != nil || of.Key != w.key.Thumbprint() {
			t.Fatalf("%+v %v", of, err)
		}
		res, answer = w.shows("/token", refreshing(old["refresh_token"].(string)))
		refused(t, res, answer, 400, "invalid_grant")
		if res, _ := w.calls("GET", "/userinfo", "Bearer", old["access_token"].(string)); res.StatusCode != 401 {
			t.Errorf("a token from before the key: %d", res.StatusCode)
		}
		w.rules(func(set policy.Values) { set["terminals.key_required"] = false })
		res, answer = w.shows("/device_authorization", ask)
		refused(t, res, answer, 400, "invalid_dpop_proof")
		former := w.key
		w.key = dpoptest.New()
		w.onTerminal()
		res, answer = w.shows("/token", refreshing(bound["refresh_token"].(string)), former.Proof("POST", issuer+"/token", ""))
		refused(t, res, answer, 400, "invalid_grant")
	})
}

// A terminal that may not sign in has no token that works, at any endpoint, at once.
func TestLostTerminalIsDead(t *testing.T) {
	for _, state := range []idp.TerminalState{idp.TerminalLost, idp.TerminalSuspended, idp.TerminalRetired} {
		t.Run(string(state), func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				a := w.onTerminal()
				access := a["access_token"].(string)
				w.done(w.store.SetTerminalState(t.Context(), w.terminal.ID, idp.TerminalActive, state))
				res, answer := w.post("/token", "terminal", refreshing(a["refresh_token"].(string)))
				refused(t, res, answer, 400, "invalid_grant")
				res, answer = w.post("/device_authorization", "terminal", url.Values{"scope": {"openid"}, "terminal_serial": {w.terminal.Serial}})
				refused(t, res, answer, 400, "invalid_request")
				if res, _ := w.calls("GET", "/userinfo", "DPoP", access, w.key.Proof("GET", issuer+"/userinfo", access)); res.StatusCode != 401 {
					t.Errorf("userinfo: %d", res.StatusCode)
				}
			})
		})
	}
}

// Software that is too old for policy is refused with a code that support looks up.
func TestOldSoftware(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rules(func(set policy.Values) { set["terminals.minimum_software.smart"] = policy.Version("4.10") })
		ask := func(version string) (*http.Response, map[string]any) {
			return w.post("/device_authorization", "terminal", url.Values{"scope": {"openid"}, "terminal_serial": {w.terminal.Serial}, "software_version": {version}})
		}
		for _, version := range []string{"", "4", "4.9.99"} {
			res, answer := ask(version)
			refused(t, res, answer, 400, "invalid_request")
			code, _ := answer["explain_code"].(string)
			list, err := w.store.Events(t.Context(), storage.EventFilter{Explain: code}, 2)
			if err != nil || len(list) != 1 || list[0].Reason != "dev.software" || list[0].Terminal != w.terminal.ID || answer["reason"] != "dev.software" {
				t.Errorf("%q: %v %v %v", version, answer, list, err)
			}
		}
		for _, version := range []string{"4.10", "4.10.0.1", "11"} {
			if res, answer := ask(version); res.StatusCode != 200 {
				t.Errorf("%q: %v", version, answer)
			}
		}
		res, answer := ask("v5")
		refused(t, res, answer, 400, "invalid_request")
		if answer["explain_code"] != nil {
			t.Error("a malformed request has an explain code")
		}
	})
}

// The thumbprint of RFC 9449 6.1 and the proof of its section 4.1, as printed there.
func TestRFC9449Vectors(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	payload, key, err := openProof(proof)
	if err != nil || key != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("%s %v", key, err)
	}
	if !sameHash("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU") {
		t.Error("another hash of the access token of section 7.1")
	}
	var c struct{ Jti, Htm, Htu string }
	if err := json.Unmarshal(payload, &c); err != nil || c.Jti != "-BwC3ESc6acc2lTc" || c.Htm != "POST" || c.Htu != "https://server.example.com/token" {
		t.Errorf("%+v %v", c, err)
	}
}
