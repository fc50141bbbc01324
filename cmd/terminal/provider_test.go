package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeProvider is as much of a provider as one terminal needs. It is an http.RoundTripper as well, so that a test can
// run it inside a synctest bubble, where waiting costs nothing and the clock is exact.
type fakeProvider struct {
	mux *http.ServeMux
	key *ecdsa.PrivateKey
	url string

	mu       sync.Mutex
	asked    url.Values        // the last device authorization request
	answers  []string          // answers to polls, in order; the last one stays
	polls    []time.Time       // when they came
	code     string            // the last device code given out
	codes    map[string]string // keys of all live ones
	refresh  string            // the live refresh token
	revoked  string            // the revoked one
	complete string            // verification_uri_complete
	refuse   string            // error of the device authorization endpoint
	match    any               // match_number
	claims   map[string]any    // more claims of the ID token
	info     map[string]any    // what userinfo says
	down     map[string]bool   // paths that don't answer
	device   string            // thumbprint of the key that the live tokens are bound to
	access   string            // the live access token
	said     []notice          // what the terminal is to show
	told     []string          // what came of notices: "id do digits"
	unproved []string          // requests without a right proof
}

const approved = "" // an answer to a poll that isn't an error

func newProvider(t testing.TB, answers ...string) *fakeProvider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProvider{key: key, mux: http.NewServeMux(), url: "http://provider.test", answers: answers, match: 47, down: map[string]bool{},
		claims: map[string]any{}, codes: map[string]string{}}
	f.mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"issuer": f.url, "authorization_endpoint": f.url + "/authorize", "token_endpoint": f.url + "/token",
			"device_authorization_endpoint": f.url + "/device_authorization", "jwks_uri": f.url + "/jwks", "revocation_endpoint": f.url + "/revoke", "userinfo_endpoint": f.url + "/userinfo", "terminal_notices_endpoint": f.url + "/terminal/notices",
			"id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	f.mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &f.key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	f.mux.HandleFunc("GET /userinfo", f.bound(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, f.info) }))
	f.mux.HandleFunc("GET /terminal/notices", f.bound(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, f.said) }))
	f.mux.HandleFunc("POST /terminal/notices/{id}", f.bound(f.notice))
	f.mux.HandleFunc("POST /device_authorization", f.deviceAuthorization)
	f.mux.HandleFunc("POST /token", f.token)
	f.mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.revoked = r.PostFormValue("token")
	})
	return f
}

// proved returns the thumbprint of the key that a request proves (RFC 9449 4.3), and notes a request that proves none.
func (f *fakeProvider) proved(r *http.Request, access string) string {
	key, err := func() (string, error) {
		jws, err := jose.ParseSignedCompact(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return "", err
		}
		header := jws.Signatures[0].Protected
		if header.ExtraHeaders["typ"] != "dpop+jwt" {
			return "", errors.New("typ")
		}
		payload, err := jws.Verify(header.JSONWebKey)
		if err != nil {
			return "", err
		}
		var c struct {
			JTI, HTM, HTU, ATH string
			IAT                int64
		}
		if err := json.Unmarshal(payload, &c); err != nil {
			return "", err
		}
		sum := sha256.Sum256([]byte(access))
		if c.JTI == "" || c.HTM != r.Method || c.HTU != f.url+r.URL.Path || c.IAT != time.Now().Unix() || (access != "") != (c.ATH == base64.RawURLEncoding.EncodeToString(sum[:])) {
			return "", fmt.Errorf("claims %+v", c)
		}
		print, err := header.JSONWebKey.Thumbprint(crypto.SHA256)
		return string(print), err
	}()
	if err != nil {
		f.unproved = append(f.unproved, fmt.Sprint(r.Method, " ", r.URL.Path, ": ", err))
	}
	return key
}

// bound demands the live access token with the key that it is bound to.
func (f *fakeProvider) bound(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP ")
		if !ok || token != f.access || f.proved(r, token) != f.device {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func (f *fakeProvider) notice(w http.ResponseWriter, r *http.Request) {
	var body struct{ Do, Digits string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		panic(err)
	}
	i := slices.IndexFunc(f.said, func(n notice) bool { return n.ID == r.PathValue("id") })
	if i < 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	f.told = append(f.told, strings.TrimSpace(r.PathValue("id")+" "+body.Do+" "+body.Digits))
	result := map[string]string{"seen": "seen", "stop": "stopped", "confirm": "wrong"}[body.Do]
	if body.Do == "confirm" && body.Digits == "47" {
		result = "confirmed"
	}
	if body.Do == "stop" && f.said[i].Kind == "confirm" {
		result = "refused"
	}
	if f.said[i].Seen = true; body.Do != "seen" {
		f.said = slices.Delete(f.said, i, i+1)
	}
	answer(w, http.StatusOK, map[string]string{"result": result})
}

// serve puts the provider on a real port.
func (f *fakeProvider) serve(t *testing.T) {
	server := httptest.NewServer(f.mux)
	t.Cleanup(server.Close)
	f.url = server.URL
}

// RoundTrip answers without a network.
func (f *fakeProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	down := f.down[r.URL.Path]
	f.mu.Unlock()
	if down {
		return nil, errors.New("no route to host")
	}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *fakeProvider) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		panic(err)
	}
	f.asked = r.PostForm
	key := f.proved(r, "")
	if f.refuse != "" {
		answer(w, http.StatusBadRequest, map[string]string{"error": f.refuse})
		return
	}
	f.code = rand.Text()
	f.codes[f.code] = key
	complete := f.complete
	if complete == "" {
		complete = f.url + "/device?user_code=BCDF-GHJK"
	}
	answer(w, http.StatusOK, map[string]any{"device_code": f.code, "user_code": "BCDF-GHJK", "verification_uri": f.url + "/device",
		"verification_uri_complete": complete, "expires_in": 600, "interval": 5, "match_number": f.match})
}

func (f *fakeProvider) token(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	refused := ""
	switch r.PostFormValue("grant_type") {
	case "urn:ietf:params:oauth:grant-type:device_code":
		f.polls = append(f.polls, time.Now())
		refused = f.answers[0]
		if len(f.answers) > 1 {
			f.answers = f.answers[1:]
		}
		key, live := f.codes[r.PostFormValue("device_code")]
		if !live || key != f.proved(r, "") {
			refused = "invalid_grant"
		}
		if refused == approved {
			f.device = key
			delete(f.codes, r.PostFormValue("device_code"))
		}
	case "refresh_token":
		if f.refresh == "" || r.PostFormValue("refresh_token") != f.refresh || f.proved(r, "") != f.device {
			refused = "invalid_grant"
		}
	default:
		refused = "unsupported_grant_type"
	}
	if refused == "down" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if refused != "" {
		answer(w, http.StatusBadRequest, map[string]string{"error": refused})
		return
	}
	f.refresh = rand.Text()
	c := map[string]any{"iss": f.url, "sub": "u-1", "aud": clientID, "name": "林薇", "role": "owner", "merchant_no": "822290059430001",
		"terminal_id": "t-1", "acr": "urn:hufu:acr:2", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "auth_time": time.Now().Unix()}
	for k, v := range f.claims {
		c[k] = v
	}
	f.access = f.sign("at+jwt", map[string]any{"sub": "u-1", "scope": "payments:read", "store_id": "s-1", "jti": rand.Text()})
	answer(w, http.StatusOK, map[string]any{"access_token": f.access,
		"token_type": "DPoP", "expires_in": 300, "refresh_token": f.refresh, "id_token": f.sign("JWT", c)})
}

func (f *fakeProvider) sign(typ string, c map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: f.key, KeyID: "k1"}},
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
