package oidc

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// sound fails the test for what no answer to outside bytes may be.
func sound(t *testing.T, w *world, res *http.Response) {
	t.Helper()
	if res.StatusCode >= 500 {
		t.Errorf("status %d", res.StatusCode)
	}
	for _, to := range res.Header.Values("Location") {
		if !strings.HasPrefix(to, "/") && !back.MatchString(to) {
			t.Errorf("redirect to %q", to)
		}
		if strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\r\n\x00\\") {
			t.Errorf("redirect to %q", to)
		}
	}
}

// back is where the client "app" may be sent to: any port of its loopback URIs.
var back = regexp.MustCompile(`^http://localhost(:\d{1,5})?/(callback)?(\?.*)?$`)

func FuzzAuthorizeQuery(f *testing.F) {
	f.Add(query("app").Encode(), true)
	f.Add(query("app", "redirect_uri", "https://evil.example/").Encode(), true)
	f.Add("request_uri="+url.QueryEscape(pushedPrefix)+"x&client_id=app", false)
	f.Add("continue=x&denied=1", true)
	f.Add("%zz;&&==\x00", false)
	w := newWorld(f, storagetest.New(f, storage.SQLite))
	cookie := w.signIn(w.owner, true, time.Now())
	f.Fuzz(func(t *testing.T, raw string, post bool) {
		r := httptest.NewRequest("GET", "/authorize", nil)
		r.URL.RawQuery = raw
		if post {
			r = httptest.NewRequest("POST", "/authorize", strings.NewReader(raw))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set("Cookie", cookie)
		sound(t, w, w.do(r))
	})
}

func FuzzTokenForm(f *testing.F) {
	f.Add(exchange("app", "x").Encode()+"&client_id=app", "/token")
	f.Add(refreshing("x").Encode()+"&client_id=app&scope=openid", "/token")
	f.Add(polling("x").Encode()+"&client_id=terminal", "/token")
	f.Add(serviceForm("client_id", "settlement", "client_secret", secret, "resource", "ledger").Encode(), "/token")
	f.Add("client_id=terminal&scope=openid&terminal_serial=N910-0001", "/device_authorization")
	f.Add("client_id=app&token=x&token_type_hint=y", "/revoke")
	w := newWorld(f, storagetest.New(f, storage.SQLite))
	paths := []string{"/token", "/device_authorization", "/revoke", "/introspect", "/par", "/logout"}
	f.Fuzz(func(t *testing.T, raw, path string) {
		if !slices.Contains(paths, path) {
			path = paths[len(path)%len(paths)]
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(raw))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		sound(t, w, w.do(r))
	})
}

func FuzzIntrospectedToken(f *testing.F) {
	w := newWorld(f, storagetest.New(f, storage.SQLite))
	right := w.tokens("shop")
	for _, s := range []string{right["access_token"].(string), right["id_token"].(string), right["refresh_token"].(string), "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "{}", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		r := formRequest("/introspect", url.Values{"token": {token}})
		r.SetBasicAuth("shop", secret)
		res := w.do(r)
		answer := body(t, res)
		sound(t, w, res)
		if answer["active"] == true && token != right["access_token"] && token != right["refresh_token"] {
			t.Errorf("a made-up token is active: %q", token)
		}
	})
}

// loopbackURI is a second parser of what AnyPort may match: one regular expression.
var loopbackURI = regexp.MustCompile(`^http://(localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?([/?][!$%&-;=?-Z_a-z~\[\]@'()*+,]*)?$`)

func FuzzRedirectMatcher(f *testing.F) {
	for _, s := range []string{callback, "http://localhost:1/callback", "http://localhost/callback", "http://localhost:8081/callback?x", "http://localhost@evil/callback", "http://localhost:8081@evil/callback",
		"http://127.0.0.1:8081/callback", "http://[::1]:8081/callback", "http://localhost:8081/..;/callback", "http://localhost:+1/callback", "http://localhost:65536/callback", "HTTP://localhost/callback", "http:localhost/callback"} {
		f.Add(s)
	}
	registered := []string{callback, "http://127.0.0.1/done?tenant=1", "https://shop.example/back"}
	f.Fuzz(func(t *testing.T, uri string) {
		strict := redirectAllowed(idp.Client{}, registered, uri)
		if strict != slices.Contains(registered, uri) {
			t.Errorf("%q: strict is %v", uri, strict)
		}
		if !redirectAllowed(idp.Client{AnyPort: true}, registered, uri) || strict {
			return
		}
		m := loopbackURI.FindStringSubmatch(uri)
		u, err := url.Parse(uri)
		if m == nil || err != nil {
			t.Fatalf("%q is allowed, but is no loopback URI", uri)
		}
		if !slices.ContainsFunc(registered, func(r string) bool {
			v, err := url.Parse(r)
			return err == nil && v.Scheme == u.Scheme && v.Hostname() == u.Hostname() && v.EscapedPath() == u.EscapedPath() && v.RawQuery == u.RawQuery && u.User == nil && u.Fragment == ""
		}) {
			t.Errorf("%q is allowed, but a parser finds more than the port to differ", uri)
		}
		if h := u.Hostname(); h != "localhost" && !netip.MustParseAddr(h).IsLoopback() {
			t.Errorf("%q is not loopback", uri)
		}
	})
}

func FuzzBasicHeader(f *testing.F) {
	for _, s := range []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("settlement:"+secret)), "Basic", "Basic ", "basic !!", "Bearer x", "Basic OiUlOg==", "Basic =", "Basic " + strings.Repeat("A", 3000)} {
		f.Add(s)
	}
	w := newWorld(f, storagetest.New(f, storage.SQLite))
	f.Fuzz(func(t *testing.T, header string) {
		r := formRequest("/token", serviceForm())
		r.Header.Set("Authorization", header)
		res := w.do(r)
		sound(t, w, res)
		if res.StatusCode == 200 {
			r.Header.Set("Authorization", header)
			if id, s, ok := r.BasicAuth(); !ok || id != "settlement" || !decodesTo(s, secret) {
				t.Errorf("%q authenticates", header)
			}
		}
	})
}

func decodesTo(s, want string) bool {
	plain, err := url.QueryUnescape(s)
	return err == nil && plain == want
}

// Issue, bad input: whatever comes to whatever endpoint by whatever method, it is
// never 500 and never a redirect to somewhere else.
func TestMalformedRequests(t *testing.T) {
	w := newWorld(t, storagetest.New(t, storage.SQLite))
	paths := []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks", "/authorize", "/par", "/token", "/userinfo", "/introspect", "/revoke", "/device_authorization", "/logout", "/logout/confirm", "/terminal/notices", "/terminal/notices/x"}
	bodies := []string{"", "a", "&&&", "%zz", "grant_type=", "grant_type=authorization_code", "grant_type=authorization_code&client_id=app", "grant_type=refresh_token&client_id=app", "client_id=app&client_id=app", "client_id=%00", "token=%ff&client_id=app",
		"grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=terminal", strings.Repeat("a=b&", 30_000), `{"grant_type":"authorization_code"}`, "\x00\xff\xfe"}
	for _, path := range paths {
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"} {
			for _, kind := range []string{"", "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "multipart/form-data", ";;;"} {
				for _, b := range bodies {
					r := httptest.NewRequest(m, path, strings.NewReader(b))
					if kind != "" {
						r.Header.Set("Content-Type", kind)
					}
					r.Header.Set("Cookie", "hufu-s=\x01; =; hufu-b=%%")
					r.Header.Set("Authorization", "Basic \xff")
					r.Header.Set("Origin", "null")
					res := w.do(r)
					if t.Failed() {
						t.Fatalf("%s %s %q %q", m, path, kind, b)
					}
					sound(t, w, res)
				}
			}
		}
	}
}
