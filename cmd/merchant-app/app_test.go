package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// browser is a person at the app: cookies kept, redirects followed.
type browser struct {
	t    *testing.T
	http *http.Client
	base string
}

// start runs the app against the provider and opens a browser.
func start(t *testing.T, f *fakeProvider, change func(*App)) (*App, *browser) {
	t.Helper()
	a := NewApp(Config{Issuer: f.URL, ClientID: "merchant-app", Audience: []string{"merchant-app"}}, slog.New(slog.DiscardHandler))
	var h http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	a.URL = server.URL
	if change != nil {
		change(a)
	}
	h = a.Handler()
	p, err := a.discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.provider.Store(p)
	return a, newBrowser(t, server.URL)
}

func newBrowser(t *testing.T, base string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar}, base}
}

func (b *browser) do(method, path string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en-GB, zh;q=0.5")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(string(body), "⟦") {
		b.t.Errorf("%s %s: a sentence is missing: %s", method, path, body)
	}
	return res, string(body)
}

func (b *browser) post(path string) string { _, body := b.do(http.MethodPost, path, nil); return body }

func has(t *testing.T, body string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			t.Errorf("page does not say %q:\n%s", want, body)
		}
	}
}

func TestSignInToSignOut(t *testing.T) {
	f := newProvider(t)
	a, b := start(t, f, nil)

	res, body := b.do(http.MethodGet, "/", nil)
	has(t, body, "Sign in with Hufu", f.URL+"/static/hufu.css", `lang="en"`)
	if csp := res.Header.Get("Content-Security-Policy"); csp != "default-src 'none'; style-src "+f.URL+"; form-action 'self' "+f.URL+"; base-uri 'none'; frame-ancestors 'none'" {
		t.Errorf("CSP = %s", csp)
	}

	body = b.post("/sign-in")
	has(t, body, "Hello, 林薇", "Owner", "822290059430001", "Two factors", "password, code", "preferred_username", "Renew the tokens now")
	if f.asked.Get("scope") != strings.Join(scopes, " ") || f.asked.Get("redirect_uri") != a.URL+"/callback" || f.asked.Get("ui_locales") != "en" ||
		len(f.asked.Get("state")) < 26 || len(f.asked.Get("nonce")) < 26 || f.asked.Get("client_id") != "merchant-app" {
		t.Errorf("asked %v", f.asked)
	}
	for _, c := range b.http.Jar.Cookies(parse(t, a.URL)) {
		if strings.Contains(body, c.Value) {
			t.Errorf("cookie %s is in the page", c.Name)
		}
	}
	if strings.Contains(body, "eyJ") {
		t.Error("a token is in the page")
	}

	has(t, b.post("/takings"), "12,840.50", "86 payments", "9,215.50")

	before := f.refresh
	has(t, b.post("/refresh"), "The tokens are new")
	if f.refresh == before || f.refresh == "" {
		t.Error("refresh token did not rotate")
	}
	_, body = b.do(http.MethodGet, "/", nil)
	if strings.Contains(body, "The tokens are new") {
		t.Error("notice shown twice")
	}

	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, _ = b.do(http.MethodPost, "/sign-out", nil)
	to := parse(t, res.Header.Get("Location"))
	q := to.Query()
	if res.StatusCode != http.StatusSeeOther || to.Path != "/logout" || q.Get("post_logout_redirect_uri") != a.URL+"/" ||
		q.Get("client_id") != "merchant-app" || strings.Count(q.Get("id_token_hint"), ".") != 2 {
		t.Errorf("sign-out leads to %s", to)
	}
	if f.revoked != f.refresh {
		t.Error("refresh token not revoked")
	}
	_, body = b.do(http.MethodGet, "/?state="+q.Get("state"), nil)
	has(t, body, "You’re signed out", "Sign in with Hufu")
}

func parse(t *testing.T, address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAnswersThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		bend   func(*fakeProvider)
		status int
		says   string
	}{
		"another state":    {func(f *fakeProvider) { f.state = "forged" }, http.StatusBadRequest, "This sign-in doesn’t match"},
		"another nonce":    {func(f *fakeProvider) { f.nonce = "replayed" }, http.StatusBadRequest, "didn’t pass our checks"},
		"another issuer":   {func(f *fakeProvider) { f.iss = "https://evil.example" }, http.StatusBadRequest, "didn’t come from Hufu"},
		"no issuer":        {func(f *fakeProvider) { f.leaveIss = true }, http.StatusBadRequest, "didn’t come from Hufu"},
		"another subject":  {func(f *fakeProvider) { f.subject = "u-2" }, http.StatusBadRequest, "didn’t pass our checks"},
		"denied":           {func(f *fakeProvider) { f.errorCode = "access_denied" }, http.StatusOK, "You didn’t allow the sign-in"},
		"busy":             {func(f *fakeProvider) { f.errorCode = "temporarily_unavailable" }, http.StatusOK, "Try again in 10 seconds"},
		"unheard-of error": {func(f *fakeProvider) { f.errorCode = `<img src=x onerror=alert(2)>` }, http.StatusOK, "Tell your administrator"},
		"error, other issuer": {func(f *fakeProvider) { f.errorCode, f.iss = "access_denied", "https://evil.example" }, http.StatusBadRequest,
			"didn’t come from Hufu"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newProvider(t)
			tt.bend(f)
			_, b := start(t, f, nil)
			res, body := b.do(http.MethodPost, "/sign-in", nil)
			if res.StatusCode != tt.status {
				t.Errorf("status %d", res.StatusCode)
			}
			has(t, body, tt.says, "Sign in again", "<title>Error: ")
			if strings.Contains(body, "<script>") || strings.Contains(body, "<img") {
				t.Error("the provider's text is markup")
			}
			_, body = b.do(http.MethodGet, "/", nil)
			has(t, body, "Sign in with Hufu")
		})
	}
}

// An answer is good for the browser that asked, and once.
func TestCallbackBelongsToOneBrowser(t *testing.T) {
	f := newProvider(t)
	a, b := start(t, f, nil)
	var link string
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), a.URL) {
			link = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.do(http.MethodPost, "/sign-in", nil)
	answer, stranger := link, newBrowser(t, b.base)
	if res, _ := stranger.do(http.MethodGet, answer, nil); res.StatusCode != http.StatusBadRequest {
		t.Error("another browser finished the sign-in")
	}
	if f.exchanges != 0 {
		t.Error("the code was used for another browser")
	}
	if res, _ := b.do(http.MethodGet, answer, nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("own browser got %d", res.StatusCode)
	}
	if res, _ := b.do(http.MethodGet, answer, nil); res.StatusCode != http.StatusBadRequest || f.exchanges != 1 {
		t.Error("the answer worked twice")
	}
}

func TestTwoTabsSignIn(t *testing.T) {
	f := newProvider(t)
	a, b := start(t, f, nil)
	var links []string
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), a.URL) {
			links = append(links, r.URL.RequestURI())
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.do(http.MethodPost, "/sign-in", nil)
	first := f.asked
	b.do(http.MethodPost, "/sign-in", nil)
	second := f.asked
	f.asked = first
	if res, _ := b.do(http.MethodGet, links[0], nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("first tab got %d", res.StatusCode)
	}
	f.asked = second
	if res, _ := b.do(http.MethodGet, links[1], nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("second tab got %d", res.StatusCode)
	}
}

func TestHostileValuesAreText(t *testing.T) {
	f := newProvider(t)
	f.name = `"><script>alert(1)</script>`
	_, b := start(t, f, nil)
	body := b.post("/sign-in")
	has(t, body, "&lt;script&gt;")
	if strings.Contains(body, "<script") {
		t.Error("a claim became markup")
	}
}

func TestRefreshEnded(t *testing.T) {
	f := newProvider(t)
	_, b := start(t, f, nil)
	b.post("/sign-in")
	f.refresh = "" // revoked elsewhere
	has(t, b.post("/refresh"), "This sign-in has ended")
	_, body := b.do(http.MethodGet, "/", nil)
	has(t, body, "Sign in with Hufu")
}

// Clicks in parallel use one refresh token each, never the same twice.
func TestParallelRefresh(t *testing.T) {
	f := newProvider(t)
	_, b := start(t, f, nil)
	b.post("/sign-in")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if body := b.post("/refresh"); strings.Contains(body, "has ended") {
				t.Error("a refresh token was presented twice")
			}
		})
	}
	all.Wait()
}

// The app renews an access token that has aged, once, and the figures come.
func TestExpiredTokenIsRenewed(t *testing.T) {
	f := newProvider(t)
	f.lifetime = -time.Minute
	_, b := start(t, f, nil)
	b.post("/sign-in")
	f.lifetime = time.Minute
	has(t, b.post("/takings"), "12,840.50")
	if f.exchanges != 2 {
		t.Errorf("%d visits to the token endpoint", f.exchanges)
	}
}

func TestTakingsAskForMore(t *testing.T) {
	f := newProvider(t)
	f.acr, f.scope = "urn:hufu:acr:1", "openid"
	_, b := start(t, f, func(a *App) { a.Acr = twoFactors })
	b.post("/sign-in")
	has(t, b.post("/takings"), "may not see the takings")
	f.scope = "openid payments:read"
	b.post("/refresh")
	has(t, b.post("/takings"), "Takings need a second step", `name="level" value="2"`)
	f.acr = "phr"
	b.do(http.MethodPost, "/sign-in", url.Values{"level": {"2"}})
	if f.asked.Get("acr_values") != twoFactors {
		t.Errorf("asked %v", f.asked)
	}
	has(t, b.post("/takings"), "12,840.50")
}

func TestTakingsResource(t *testing.T) {
	f := newProvider(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := f.accessToken(nil)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + "."
	tests := map[string]struct {
		header []string
		status int
		says   string
	}{
		"good":                {[]string{"Bearer " + good}, 200, ""},
		"lower-case scheme":   {[]string{"bearer " + good}, 200, ""},
		"media type":          {[]string{"Bearer " + f.sign("application/at+jwt", map[string]any{"iss": f.URL, "sub": "u", "aud": "merchant-app", "client_id": "x", "jti": "1", "iat": 1, "exp": time.Now().Unix() + 60, "scope": takingsRead})}, 200, ""},
		"no token":            {nil, 401, `Bearer realm="takings"`},
		"other scheme":        {[]string{"Basic YTpi"}, 401, `Bearer realm="takings"`},
		"two headers":         {[]string{"Bearer " + good, "Bearer " + good}, 400, `error="invalid_request"`},
		"empty token":         {[]string{"Bearer "}, 400, `error="invalid_request"`},
		"not a JWT":           {[]string{"Bearer abc"}, 401, `error="invalid_token"`},
		"alg none":            {[]string{"Bearer " + none}, 401, `error="invalid_token"`},
		"changed payload":     {[]string{"Bearer " + parts[0] + "." + parts[1] + "x." + parts[2]}, 401, `error="invalid_token"`},
		"expired":             {[]string{"Bearer " + f.accessToken(map[string]any{"exp": time.Now().Unix() - 1})}, 401, `error_description="the token has expired"`},
		"other audience":      {[]string{"Bearer " + f.accessToken(map[string]any{"aud": "settlement"})}, 401, `error_description="the token is for another resource"`},
		"no audience":         {[]string{"Bearer " + f.accessToken(map[string]any{"aud": nil})}, 401, `error="invalid_token"`},
		"other issuer":        {[]string{"Bearer " + f.accessToken(map[string]any{"iss": "https://evil.example"})}, 401, `error="invalid_token"`},
		"other key":           {[]string{"Bearer " + signed(stranger, "k1", "at+jwt", map[string]any{"iss": f.URL})}, 401, `error="invalid_token"`},
		"ID token":            {[]string{"Bearer " + f.sign("JWT", map[string]any{"iss": f.URL, "sub": "u", "aud": "merchant-app", "exp": time.Now().Unix() + 60})}, 401, `error_description="not an access token"`},
		"no jti":              {[]string{"Bearer " + f.accessToken(map[string]any{"jti": nil})}, 401, `error_description="the token lacks a claim"`},
		"bound to a key":      {[]string{"Bearer " + f.accessToken(map[string]any{"cnf": map[string]string{"jkt": "x"}})}, 401, `error_description="the token is bound to a key"`},
		"scope missing":       {[]string{"Bearer " + f.accessToken(map[string]any{"scope": "openid payments:reader"})}, 403, `error="insufficient_scope", error_description="the token does not allow this", scope="payments:read"`},
		"level missing":       {[]string{"Bearer " + f.accessToken(map[string]any{"acr": "urn:hufu:acr:1"})}, 401, `error="insufficient_user_authentication", error_description="a stronger sign-in is needed", acr_values="urn:hufu:acr:2"`},
		"audience from flags": {[]string{"Bearer " + f.accessToken(map[string]any{"aud": []string{"x", "merchant-api"}})}, 200, ""},
	}
	_, b := start(t, f, func(a *App) { a.Audience = []string{"merchant-api"} })
	_, strict := start(t, f, func(a *App) { a.Acr = twoFactors })
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			at := b.base
			if name == "level missing" {
				at = strict.base
			}
			req, err := http.NewRequest(http.MethodGet, at+"/api/takings", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Authorization"] = tt.header
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != tt.status || !strings.Contains(res.Header.Get("WWW-Authenticate"), tt.says) {
				t.Errorf("status %d, challenge %q", res.StatusCode, res.Header.Get("WWW-Authenticate"))
			}
			if strings.Contains(tt.says, "realm") && strings.Contains(res.Header.Get("WWW-Authenticate"), "error") {
				t.Error("RFC 6750 section 3.1: without a token no error code is told")
			}
		})
	}
}

// A key set that can't be fetched says nothing about the token.
func TestTakingsWithoutKeys(t *testing.T) {
	f := newProvider(t)
	_, b := start(t, f, nil)
	token := f.accessToken(nil)
	f.Close()
	req, err := http.NewRequest(http.MethodGet, b.base+"/api/takings", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestForeignPostsAreRefused(t *testing.T) {
	f := newProvider(t)
	_, b := start(t, f, nil)
	b.post("/sign-in")
	for _, path := range []string{"/sign-in", "/refresh", "/takings", "/sign-out"} {
		req, err := http.NewRequest(http.MethodPost, b.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://evil.example")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := b.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	for _, path := range []string{"/sign-in", "/refresh", "/takings", "/sign-out"} {
		if res, _ := b.do(http.MethodGet, path, nil); res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, res.StatusCode)
		}
	}
	_, body := b.do(http.MethodGet, "/", nil)
	has(t, body, "Hello, 林薇")
}

// The confidential client authenticates in the header, once.
func TestConfidentialClient(t *testing.T) {
	f := newProvider(t)
	a, _ := start(t, f, func(a *App) { a.ClientID, a.ClientSecret = "merchant-web", "s3cret" })
	var got []string
	a.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		id, secret, _ := r.BasicAuth()
		got = append(got, r.URL.Path+" "+id+" "+secret)
		return http.DefaultTransport.RoundTrip(r)
	})}
	p, err := a.discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.redeem(oidc.ClientContext(t.Context(), a.Client), p, "nope", Pending{})
	if err == nil {
		t.Fatal("a made-up code worked")
	}
	if f.exchanges != 1 || !slices.Contains(got, "/token merchant-web s3cret") {
		t.Errorf("%d visits to the token endpoint: %v", f.exchanges, got)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var verb = regexp.MustCompile(`%[a-z]`)

func TestLocalesAgree(t *testing.T) {
	zh, en := locales["zh-CN"], locales["en"]
	if a, b := slices.Sorted(maps.Keys(zh)), slices.Sorted(maps.Keys(en)); !slices.Equal(a, b) {
		t.Errorf("keys differ:\n%v\n%v", a, b)
	}
	for k := range zh {
		if strings.TrimSpace(zh[k]) == "" || !slices.Equal(verb.FindAllString(zh[k], -1), verb.FindAllString(en[k], -1)) {
			t.Errorf("%s: %q, %q", k, zh[k], en[k])
		}
	}
}

func TestLanguage(t *testing.T) {
	for wish, want := range map[string]string{"": "zh-CN", "en-US,en;q=0.9": "en", "fr, en;q=0.8": "en", "zh-Hans-CN": "zh-CN", "ja": "zh-CN", ";;,": "zh-CN"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Language", wish)
		if got := language(r); got != want {
			t.Errorf("%q: %s", wish, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/?lang=en", nil)
	r.Header.Set("Accept-Language", "zh")
	if language(r) != "en" {
		t.Error("the address does not win")
	}
}

func TestLanguageSwitchIsRemembered(t *testing.T) {
	f := newProvider(t)
	_, b := start(t, f, nil)
	_, body := b.do(http.MethodGet, "/?lang=zh-CN", nil)
	has(t, body, "用虎符登录")
	_, body = b.do(http.MethodGet, "/", nil)
	has(t, body, `<html lang="zh-CN">`, "用虎符登录")
	has(t, b.post("/sign-in"), "林薇，您好", "两步验证", "密码、动态码")
}

func TestSessionsAreBounded(t *testing.T) {
	var s Sessions
	first := s.open(&Session{})
	for range roomForAll {
		s.open(&Session{})
	}
	if len(s.live) != roomForAll {
		t.Errorf("%d sessions", len(s.live))
	}
	if _, there := s.live[first]; there {
		t.Error("the oldest stayed")
	}
}

// The whole command: waits for a provider that starts later, serves, and ends when told.
func TestRun(t *testing.T) {
	f := newProvider(t)
	late := httptest.NewUnstartedServer(f.Config.Handler)
	f.URL = "http://" + late.Listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "127.0.0.1:0", "-issuer", f.URL + "/"}, in)
		in.Close()
	}()
	lines := make(chan string, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			if err != nil {
				close(lines)
				return
			}
			lines <- string(buf[:n])
		}
	}()
	b := newBrowser(t, strings.TrimSpace(strings.TrimPrefix(<-lines, "merchant-app: ")))
	res, body := b.do(http.MethodGet, "/healthz", nil)
	if res.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d", res.StatusCode)
	}
	late.Start()
	t.Cleanup(late.Close)
	for line := range lines {
		if strings.Contains(line, "provider found") {
			break
		}
	}
	go func() {
		for range lines {
		}
	}()
	has(t, b.post("/sign-in"), "Hello, 林薇")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWaitingPage(t *testing.T) {
	a := NewApp(Config{Issuer: "http://127.0.0.1:1", URL: "http://localhost"}, slog.New(slog.DiscardHandler))
	why := "<b>refused</b>"
	a.trouble.Store(&why)
	for _, path := range []string{"/", "/callback?code=x&state=y"} {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Refresh") != "3" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d", path, w.Code)
		}
		has(t, w.Body.String(), "登录服务还没有准备好", "&lt;b&gt;refused")
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"-acr", "urn:other"}, {"-addr", "nowhere:port"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v accepted", args)
		}
	}
	var b strings.Builder
	if err := run(t.Context(), []string{"-h"}, &b); err != nil || !strings.Contains(b.String(), "--issuer") {
		t.Errorf("help: %v\n%s", err, b.String())
	}
}
