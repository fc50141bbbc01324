package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeProvider is as much of a provider as one client needs. Tests bend its answers by the fields.
type fakeProvider struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu        sync.Mutex
	asked     url.Values        // the last authorization request
	codes     map[string]string // code → nonce of its request
	refresh   string            // the one live refresh token
	revoked   string
	exchanges int

	iss       string // issuer named in authorization responses; empty: the right one
	leaveIss  bool
	state     string // state to answer with instead
	nonce     string // nonce to put into ID tokens instead
	errorCode string // answer the authorization request with this error
	name      string
	acr       string
	scope     string
	lifetime  time.Duration // of access tokens
	subject   string        // of userinfo
}

func newProvider(t testing.TB) *fakeProvider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProvider{key: key, codes: map[string]string{}, name: "林薇", acr: twoFactors, scope: "openid payments:read",
		lifetime: 5 * time.Minute, subject: "u-1"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", f.discovery)
	mux.HandleFunc("GET /jwks", f.jwks)
	mux.HandleFunc("GET /authorize", f.authorize)
	mux.HandleFunc("POST /token", f.token)
	mux.HandleFunc("GET /userinfo", f.userinfo)
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.revoked = r.PostFormValue("token")
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeProvider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"issuer": f.URL, "authorization_endpoint": f.URL + "/authorize",
		"token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/jwks", "userinfo_endpoint": f.URL + "/userinfo",
		"end_session_endpoint": f.URL + "/logout", "revocation_endpoint": f.URL + "/revoke",
		"authorization_response_iss_parameter_supported": true, "id_token_signing_alg_values_supported": []string{"ES256"}})
}

func (f *fakeProvider) jwks(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &f.key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
}

// authorize answers at once, as if the person had signed in.
func (f *fakeProvider) authorize(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	f.asked = q
	back := url.Values{"state": {q.Get("state")}, "iss": {f.URL}}
	if f.state != "" {
		back.Set("state", f.state)
	}
	if f.iss != "" {
		back.Set("iss", f.iss)
	}
	if f.leaveIss {
		back.Del("iss")
	}
	if f.errorCode != "" {
		back.Set("error", f.errorCode)
		back.Set("error_description", "<script>alert(1)</script>")
	} else {
		code := rand.Text()
		f.codes[code] = q.Get("nonce")
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

func (f *fakeProvider) token(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exchanges++
	nonce := ""
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		known, ok := f.codes[r.PostFormValue("code")]
		if !ok || f.asked.Get("code_challenge_method") != "S256" || base64.RawURLEncoding.EncodeToString(sum[:]) != f.asked.Get("code_challenge") {
			answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
			return
		}
		delete(f.codes, r.PostFormValue("code"))
		nonce = known
		if f.nonce != "" {
			nonce = f.nonce
		}
	case "refresh_token":
		if f.refresh == "" || r.PostFormValue("refresh_token") != f.refresh {
			answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
			return
		}
	}
	f.refresh = rand.Text()
	answer(w, http.StatusOK, map[string]any{"access_token": f.accessToken(nil), "token_type": "Bearer",
		"expires_in": int(f.lifetime.Seconds()), "refresh_token": f.refresh,
		"id_token": f.sign("JWT", map[string]any{"iss": f.URL, "sub": "u-1", "aud": "merchant-app", "nonce": nonce, "acr": f.acr,
			"amr": []string{"pwd", "otp"}, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "auth_time": time.Now().Unix()})})
}

func (f *fakeProvider) userinfo(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"sub": f.subject, "name": f.name, "preferred_username": "lin.wei", "role": "owner",
		"merchant_no": "822290059430001", "email": "lin.wei@example.com", "email_verified": true, "phone_number": "+8613800000001"})
}

// accessToken mints an RFC 9068 token; change replaces claims, a nil value removes one.
func (f *fakeProvider) accessToken(change map[string]any) string {
	c := map[string]any{"iss": f.URL, "sub": "u-1", "aud": []string{"merchant-app"}, "client_id": "merchant-app", "scope": f.scope,
		"acr": f.acr, "merchant_no": "822290059430001", "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(f.lifetime).Unix()}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return f.sign("at+jwt", c)
}

func (f *fakeProvider) sign(typ string, c map[string]any) string {
	return signed(f.key, "k1", typ, c)
}

func signed(key *ecdsa.PrivateKey, kid, typ string, c map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		panic(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return raw
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
