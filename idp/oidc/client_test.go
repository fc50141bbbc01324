package oidc

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"hufu/idp"
)

func serviceForm(change ...string) url.Values {
	f := url.Values{"grant_type": {grantClient}}
	for i := 0; i < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	return f
}

// Trap 14: how a client may and may not authenticate.
func TestTrap14ClientAuthentication(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(w.store.CreateClient(t.Context(), &idp.Client{ID: "hollow", Name: "empty hash", SecretHashes: [][]byte{{}}, Grants: []string{grantClient}, Scopes: []string{"payments:read"}}))
		basic := func(id, secret string) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
		}
		for name, c := range map[string]struct {
			header string
			form   url.Values
			status int
			code   string
		}{
			"basic":             {basic("settlement", secret), serviceForm(), 200, ""},
			"basic, encoded":    {basic("settlement", url.QueryEscape(secret)), serviceForm(), 200, ""},
			"basic, lower case": {strings.Replace(basic("settlement", secret), "Basic", "basic", 1), serviceForm(), 200, ""},
			"post":              {"", serviceForm("client_id", "settlement", "client_secret", secret), 200, ""},
			"wrong":             {basic("settlement", "wrong"), serviceForm(), 401, "invalid_client"},
			"empty":             {basic("settlement", ""), serviceForm(), 401, "invalid_client"},
			"unknown":           {basic("nobody", secret), serviceForm(), 401, "invalid_client"},
			"none":              {"", serviceForm(), 401, "invalid_client"},
			"id alone":          {"", serviceForm("client_id", "settlement"), 401, "invalid_client"},
			"empty hash":        {basic("hollow", ""), serviceForm(), 401, "invalid_client"},
			"empty hash, post":  {"", serviceForm("client_id", "hollow", "client_secret", ""), 401, "invalid_client"},
			"two ways":          {basic("settlement", secret), serviceForm("client_secret", secret), 400, "invalid_request"},
			"two names":         {basic("settlement", secret), serviceForm("client_id", "shop"), 400, "invalid_request"},
			"not basic":         {"Bearer x", serviceForm("client_id", "settlement", "client_secret", secret), 401, "invalid_client"},
			"bad encoding":      {basic("settlement", "%zz"), serviceForm(), 401, "invalid_client"},
			"bad base64":        {"Basic !!!", serviceForm(), 401, "invalid_client"},
			"assertion": {"", serviceForm("client_id", "settlement", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", "eyJhbGciOiJub25lIn0.e30."),
				401, "invalid_client"},
			"secret of a public client": {basic("app", secret), url.Values{"grant_type": {grantRefresh}, "refresh_token": {"x"}}, 401, "invalid_client"},
			"public, empty basic":       {basic("app", ""), url.Values{"grant_type": {grantRefresh}, "refresh_token": {"x"}}, 400, "invalid_grant"},
			"public, not allowed":       {"", serviceForm("client_id", "app"), 400, "unauthorized_client"},
			"not allowed":               {basic("shop", secret), serviceForm(), 400, "unauthorized_client"},
		} {
			r := formRequest("/token", c.form)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			res := w.do(r)
			answer := body(t, res)
			if code, _ := answer["error"].(string); res.StatusCode != c.status || code != c.code {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
			if challenge := res.Header.Get("WWW-Authenticate"); (res.StatusCode == 401) != strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("%s: WWW-Authenticate is %q", name, challenge)
			}
		}
		// In the query secrets end in logs.
		r := formRequest("/token?client_id=settlement&client_secret="+secret, serviceForm())
		if res := w.do(r); res.StatusCode != 400 {
			t.Errorf("a secret in the query: %d", res.StatusCode)
		}
	})
}

// A new secret works beside the old one.
func TestSecretRollover(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(second(w.store.SetClientSecrets(t.Context(), "settlement", 1, [][]byte{hash("new"), hash(secret)})))
		for s, status := range map[string]int{"new": 200, secret: 200, "old": 401} {
			res := w.do(formRequest("/token", serviceForm("client_id", "settlement", "client_secret", s)))
			if res.StatusCode != status {
				t.Errorf("%s: %d", s, res.StatusCode)
			}
		}
	})
}

func TestClientCredentials(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		res, answer := w.post("/token", "settlement", serviceForm())
		c := payload(t, answer["access_token"])
		if res.StatusCode != 200 || answer["refresh_token"] != nil || answer["id_token"] != nil || answer["scope"] != "payments:read settlement:manage" || answer["expires_in"] != 120.0 {
			t.Fatalf("%d %v", res.StatusCode, answer)
		}
		if c["sub"] != "settlement" || c["client_id"] != "settlement" || c["gid"] != nil || c["acr"] != nil || !slices.Equal(c["aud"].([]any), []any{"ledger", "https://api.example"}) {
			t.Errorf("%v", c)
		}
		_, answer = w.post("/token", "settlement", serviceForm("scope", "payments:read", "resource", "https://api.example"))
		if c := payload(t, answer["access_token"]); !slices.Equal(c["aud"].([]any), []any{"https://api.example"}) || c["scope"] != "payments:read" || answer["expires_in"] != 300.0 {
			t.Errorf("%v", c)
		}
	})
}

// Trap 15: scopes and audiences are compared letter for letter, and nothing is
// granted that was not.
func TestTrap15ExactScopeAndAudience(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(w.store.CreateClient(t.Context(), &idp.Client{ID: "wild", Name: "wild", SecretHashes: [][]byte{hash(secret)}, Grants: []string{grantClient}, Scopes: []string{"payments:*", "a"}, Audience: []string{"https://api.example"}}))
		for _, c := range [][3]string{{"scope", "payments:read", "invalid_scope"}, {"scope", "a.b", "invalid_scope"}, {"scope", "openid", "invalid_scope"}, {"scope", "offline_access", "invalid_scope"},
			{"audience", "https://api.example/sub", "invalid_target"}, {"resource", "https://api.example?x", "invalid_target"}, {"resource", "https://API.example", "invalid_target"}} {
			res, answer := body2(t, w, formRequest("/token", serviceForm("client_id", "wild", "client_secret", secret, c[0], c[1])))
			refused(t, res, answer, 400, c[2])
		}
	})
}

func body2(t *testing.T, w *world, r *http.Request) (*http.Response, map[string]any) {
	res := w.do(r)
	return res, body(t, res)
}

// Trap 7: codes, statuses and headers are those of the RFCs.
func TestTrap07Errors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		res, answer := w.post("/token", "settlement", serviceForm("grant_type", "urn:nobody"))
		refused(t, res, answer, 400, "unsupported_grant_type")
		for _, g := range []string{"password", "implicit", "authorization_code refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"} {
			res, answer = w.post("/token", "settlement", serviceForm("grant_type", g))
			refused(t, res, answer, 400, "unsupported_grant_type")
		}
		res, answer = w.post("/token", "settlement", url.Values{"x": {"y"}})
		refused(t, res, answer, 400, "invalid_request")
		res = w.get("/token", "")
		refused(t, res, body(t, res), 405, "invalid_request")
		if res.Header.Get("Allow") != "POST" {
			t.Error("no Allow")
		}
		r := formRequest("/token", serviceForm())
		r.Header.Set("Content-Type", "application/json")
		res = w.do(r)
		refused(t, res, body(t, res), 415, "invalid_request")
		res = w.do(formRequest("/token", serviceForm("x", strings.Repeat("x", 70_000))))
		refused(t, res, body(t, res), 413, "invalid_request")
		twice := serviceForm()
		twice.Add("grant_type", grantClient)
		res = w.do(formRequest("/token", twice))
		refused(t, res, body(t, res), 400, "invalid_request")
		if res.Header.Get("Cache-Control") != "no-store" {
			t.Error("an error may be cached")
		}
	})
}

// Trap 7: codes of fosite that no registry knows are not told, nor is its debug text.
func TestTrap07Mapping(t *testing.T) {
	for err, want := range map[error]string{
		fosite.ErrInvalidState: "invalid_request", fosite.ErrJTIKnown: "invalid_request", fosite.ErrInactiveToken: "invalid_request", fosite.ErrScopeNotGranted: "invalid_request",
		fosite.ErrInvalidGrant: "invalid_grant", fosite.ErrServerError: "server_error", errors.New("pq: secret"): "server_error", fosite.ErrMisconfiguration: "server_error",
		fosite.ErrServerError.WithWrap(refuse("invalid_grant", "x")): "invalid_grant", kept{refuse("slow_down", "x")}: "slow_down",
		idp.Errorf(idp.Limited, "x"): "temporarily_unavailable", idp.Errorf(idp.Unavailable, "x"): "temporarily_unavailable",
		&http.MaxBytesError{}: "invalid_request",
	} {
		e := classify(err)
		if e.Code != want || strings.Contains(e.Description, "secret") {
			t.Errorf("%v: %+v, want %s", err, e, want)
		}
	}
	if e := classify(fosite.ErrInvalidGrant.WithDebug("secret").WithWrap(errors.New("secret"))); strings.Contains(e.Description, "secret") {
		t.Errorf("debug text is told: %s", e.Description)
	}
	if s := text("a\"b\\c\nd虎"); s != "a b c d " {
		t.Errorf("description %q", s)
	}
}

// Trap 8: two of our errors with the same code are not each other's.
func TestTrap08ErrorIdentity(t *testing.T) {
	a, b := refuse("invalid_grant", "a"), refuse("invalid_grant", "b")
	if errors.Is(a, b) || errors.Is(errUsed, fosite.ErrInvalidatedAuthorizeCode) || fosite.ErrInvalidGrant.Is(a) {
		t.Error("different errors match")
	}
	before := *errClient
	if classify(errClient); *errClient != before {
		t.Error("classify changes a shared error")
	}
}

// Trap 17: everything that fosite would fill in by itself, in the middle of
// requests, is set at start; and it calls nobody.
func TestTrap17NothingIsFilledInLater(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, ok := w.p.fosite().Config.(*fosite.Config)
		if !ok || c.ScopeStrategy == nil || c.AudienceMatchingStrategy == nil || c.ClientSecretsHasher == nil || c.JWKSFetcherStrategy == nil || c.HTTPClient == nil ||
			c.ClientAuthenticationStrategy == nil || c.RedirectSecureChecker == nil || c.SendDebugMessagesToClients || !c.EnforcePKCE || c.EnablePKCEPlainChallengeMethod {
			t.Errorf("%+v", c)
		}
		if _, err := c.HTTPClient.Get("http://127.0.0.1:1/"); !errors.Is(err, errOffline) {
			t.Errorf("fosite can call out: %v", err)
		}
		if err := c.ClientSecretsHasher.Compare(t.Context(), nil, nil); err == nil {
			t.Error("the hasher accepts an empty hash")
		}
	})
}

// Trap 18: nothing of ours looks like fosite's HMAC tokens, whose secret is unset.
func TestTrap18TokensAreOurs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.tokens("app")
		if s := a["refresh_token"].(string); len(s) != 43 || strings.HasPrefix(s, "ory_") {
			t.Errorf("refresh token %q", s)
		}
	})
}

// Trap 19: a clone shares nothing and loses nothing.
func TestTrap19SessionClone(t *testing.T) {
	s := &fositeSession{Parties: idp.Parties{Grant: idp.Grant{ID: "g", Scopes: []string{"a"}, Proofs: []idp.Proof{{User: "u"}}}}, Challenge: "c", Nonce: "n", Audience: []string{"x"}, Redeemed: true}
	s.SetExpiresAt(fosite.AccessToken, policyTime)
	c := s.Clone().(*fositeSession)
	c.Parties.Grant.Scopes[0], c.Parties.Grant.Proofs[0].User, c.Audience[0] = "b", "v", "y"
	c.SetExpiresAt(fosite.RefreshToken, policyTime)
	if s.Parties.Grant.Scopes[0] != "a" || s.Parties.Grant.Proofs[0].User != "u" || s.Audience[0] != "x" || len(s.expires) != 1 {
		t.Error("the clone shares")
	}
	if !c.Redeemed || c.Challenge != "c" || c.Nonce != "n" || !c.GetExpiresAt(fosite.AccessToken).Equal(policyTime) {
		t.Error("the clone lost something")
	}
}

// The size of at_hash is that of the one algorithm that signs.
func TestTrap16AtHash(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.tokens("app")
		sum := hash(a["access_token"].(string))
		if payload(t, a["id_token"])["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) {
			t.Error("at_hash")
		}
	})
}

func TestDiscovery(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "evil.example")
			r.Header.Set("Forwarded", "host=evil.example")
			doc := body(t, w.do(r))
			if doc["issuer"] != issuer || doc["authorization_response_iss_parameter_supported"] != true {
				t.Errorf("%v", doc)
			}
			for name, v := range doc {
				if s, ok := v.(string); ok && !strings.HasPrefix(s, issuer) {
					t.Errorf("%s is %s", name, s)
				}
			}
		}
	})
}

// CORS: exactly the origins of clients, and never with cookies.
func TestCORS(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for from, ok := range map[string]bool{"http://localhost:8081": true, "https://shop.example": true, "https://shop.example.evil.example": false, "https://evil.example": false, "null": false,
			"http://shop.example": false, "https://shop.example:444": false, "https://shop.example/": false, "http://localhost": false, "http://localhost:8081.evil.example": false, "HTTPS://SHOP.EXAMPLE": false} {
			for _, path := range []string{"/token", "/userinfo", "/revoke", "/jwks", "/.well-known/openid-configuration"} {
				r := httptest.NewRequest("OPTIONS", path, nil)
				r.Header.Set("Origin", from)
				r.Header.Set("Access-Control-Request-Method", "POST")
				h := w.do(r).Header
				if got := h.Get("Access-Control-Allow-Origin"); (got == from) != ok || got != "" && got != from || h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Vary") != "Origin" {
					t.Errorf("%s from %s: %v", path, from, h)
				}
			}
		}
		for _, path := range []string{"/introspect", "/authorize", "/logout", "/device_authorization", "/par"} {
			r := httptest.NewRequest("OPTIONS", path, nil)
			r.Header.Set("Origin", "http://localhost:8081")
			if res := w.do(r); res.Header.Get("Access-Control-Allow-Origin") != "" || res.StatusCode != 405 {
				t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
			}
		}
	})
}
