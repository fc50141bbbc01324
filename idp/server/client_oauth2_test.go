package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"hufu/idp"
)

// An app is a client made of golang.org/x/oauth2 and coreos/go-oidc, which learn all
// they know by discovery.
type app struct {
	*oauth2.Config
	t        *testing.T
	world    *demoWorld
	provider *oidc.Provider
}

func (w *demoWorld) app(t *testing.T, name string, scopes ...string) *app {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), w.Issuer)
	must(t, err)
	c := w.Clients[name]
	return &app{t: t, world: w, provider: provider, Config: &oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.Redirect, Endpoint: provider.Endpoint(), Scopes: scopes}}
}

// context of the app's requests. A terminal proves its key with each.
func (a *app) context() context.Context {
	if a.ClientID != "terminal" {
		return a.t.Context()
	}
	return context.WithValue(a.t.Context(), oauth2.HTTPClient, &http.Client{Transport: a.world.key})
}

// A started authorization request.
type started struct{ url, verifier, state, nonce string }

func (a *app) start(params ...string) started {
	s := started{verifier: oauth2.GenerateVerifier(), state: idp.NewToken(), nonce: idp.NewToken()}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(s.verifier), oidc.Nonce(s.nonce)}
	for i := 0; i+1 < len(params); i += 2 {
		options = append(options, oauth2.SetAuthURLParam(params[i], params[i+1]))
		if params[i] == "state" {
			s.state = params[i+1]
		}
	}
	s.url = a.AuthCodeURL(s.state, options...)
	return s
}

// answer is what the client hears at its redirect URI.
func (a *app) answer(b *browser, s started) url.Values {
	a.t.Helper()
	if b.Left == nil || !strings.HasPrefix(b.Left.String(), a.RedirectURL+"?") {
		a.t.Fatalf("the browser is not at the client but at %s (%d, %v):\n%s", b.URL, b.Status, b.Left, b.text())
	}
	q := b.Left.Query()
	if q.Get("state") != s.state || q.Has("state") != (s.state != "") || q.Get("iss") != b.world.Issuer {
		a.t.Fatalf("state or iss are wrong in %s", b.Left)
	}
	return q
}

// finish exchanges the code and verifies what comes.
func (a *app) finish(b *browser, s started) (*oauth2.Token, *oidc.IDToken) {
	a.t.Helper()
	q := a.answer(b, s)
	if q.Get("error") != "" {
		a.t.Fatalf("refused: %s", b.Left)
	}
	token, err := a.Exchange(a.t.Context(), q.Get("code"), oauth2.VerifierOption(s.verifier))
	must(a.t, err)
	return token, a.verify(token, s.nonce)
}

func (a *app) verify(token *oauth2.Token, nonce string) *oidc.IDToken {
	a.t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := a.provider.Verifier(&oidc.Config{ClientID: a.ClientID}).Verify(a.t.Context(), raw)
	must(a.t, err)
	must(a.t, id.VerifyAccessToken(token.AccessToken))
	if id.Nonce != nonce {
		a.t.Fatalf("nonce %q, want %q", id.Nonce, nonce)
	}
	return id
}

// signIn signs somebody in to the app in a browser.
func (a *app) signIn(b *browser, who string, params ...string) (*oauth2.Token, *oidc.IDToken) {
	a.t.Helper()
	s := a.start(params...)
	return a.finish(b.open(s.url).see(200, "").signIn(who), s)
}

var appScopes = []string{"openid", "profile", "phone", "email", "offline_access", "merchant"}

func TestOAuth2AndGoOIDC(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		for _, name := range []string{"merchant_app", "merchant_web"} { // public and confidential
			who := map[string]string{"merchant_app": "owner", "merchant_web": "manager"}[name]
			a := w.app(t, name, appScopes...)
			token, id := a.signIn(w.browser(t), who)
			var claims struct {
				ACR      string   `json:"acr"`
				AMR      []string `json:"amr"`
				AuthTime int64    `json:"auth_time"`
				Role     string   `json:"role"`
				No       string   `json:"merchant_no"`
			}
			must(t, id.Claims(&claims))
			if claims.ACR != "urn:hufu:acr:2" || !slices.Contains(claims.AMR, "otp") || time.Since(time.Unix(claims.AuthTime, 0)) > time.Minute || claims.Role != who || claims.No != w.Merchant.No {
				t.Errorf("%s: claims %+v", name, claims)
			}
			info, err := a.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
			must(t, err)
			if info.Subject != id.Subject || info.Email != w.Users[who].Email || !info.EmailVerified {
				t.Errorf("%s: userinfo %+v", name, info)
			}
			a.refreshes(w, token, id.Subject)
		}
	})
}

// refreshes goes through three generations of refresh tokens.
func (a *app) refreshes(w *demoWorld, token *oauth2.Token, subject string) {
	a.t.Helper()
	for range 3 {
		next, err := a.TokenSource(a.context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
		must(a.t, err)
		if next.RefreshToken == token.RefreshToken || next.AccessToken == token.AccessToken {
			a.t.Fatal("a token did not change")
		}
		if id := a.verify(next, ""); id.Subject != subject {
			a.t.Errorf("the subject has changed: %s", id.Subject)
		}
		token = next
	}
}

func TestClientCredentialsOfOAuth2(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		a, c := w.app(t, "settlement"), w.Clients["settlement"]
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
			cc := clientcredentials.Config{ClientID: c.ID, ClientSecret: c.Secret, TokenURL: a.Endpoint.TokenURL, Scopes: []string{"payments:read"}, AuthStyle: style}
			token, err := cc.Token(t.Context())
			must(t, err)
			if token.RefreshToken != "" || token.Extra("id_token") != nil || token.Extra("scope") != "payments:read" {
				t.Errorf("style %v: %+v", style, token)
			}
		}
	})
}

// What OpenID Connect Core 3.1.2.1 lets a client ask for.
func TestAuthorizationParameters(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		a := w.app(t, "merchant_app", "openid", "profile")
		b := w.browser(t)
		refused := func(b *browser, code string, params ...string) {
			t.Helper()
			s := a.start(params...)
			if got := a.answer(b.open(s.url), s).Get("error"); got != code {
				t.Errorf("%v: error %q, want %q", params, got, code)
			}
		}
		goesOn := func(b *browser, params ...string) *oidc.IDToken {
			t.Helper()
			s := a.start(params...)
			_, id := a.finish(b.open(s.url), s)
			return id
		}
		// Nobody is signed in.
		refused(b, "login_required", "prompt", "none")
		s := a.start("login_hint", w.Users["cashier"].Username, "ui_locales", "en")
		b.open(s.url).see(200, "Sign in")
		found := false
		for _, in := range all(b.Doc, "input") {
			found = found || attr(in, "name") == "identifier" && attr(in, "value") == w.Users["cashier"].Username
		}
		if !found || attr(all(b.Doc, "html")[0], "lang") != "en" {
			t.Errorf("login_hint or ui_locales are not followed: %s", b.text())
		}
		token, first := a.finish(b.signIn("cashier"), s)
		hint, _ := token.Extra("id_token").(string)

		// Somebody is. No state: none in the answer, either.
		goesOn(b, "state", "")
		if id := goesOn(b, "prompt", "none", "id_token_hint", hint); id.Subject != first.Subject {
			t.Errorf("subject %s, want %s", id.Subject, first.Subject)
		}
		for _, params := range [][]string{{"prompt", "login"}, {"max_age", "0"}} {
			refused(b, "login_required", "prompt", "none", "max_age", "0")
			s := a.start(params...)
			_, id := a.finish(b.open(s.url).see(200, "登录").signIn("cashier"), s)
			var before, after struct {
				At int64 `json:"auth_time"`
			}
			must(t, first.Claims(&before))
			must(t, id.Claims(&after))
			if after.At < before.At || after.At == 0 {
				t.Errorf("%v: auth_time %d after %d", params, after.At, before.At)
			}
		}
		goesOn(b, "max_age", "3600")

		// A hint of another person asks for that person.
		other := w.browser(t)
		a.signIn(other, "owner")
		refused(other, "login_required", "prompt", "none", "id_token_hint", hint)
		refused(b, "invalid_request", "id_token_hint", hint[:len(hint)-5])

		// A class of assurance that the person has.
		if id := goesOn(other, "acr_values", "urn:hufu:acr:2"); true {
			var claims struct {
				ACR string `json:"acr"`
			}
			must(t, id.Claims(&claims))
			if claims.ACR != "urn:hufu:acr:2" {
				t.Errorf("acr %q", claims.ACR)
			}
		}
	})
}

func TestLogoutOfClients(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		var meta struct {
			End string `json:"end_session_endpoint"`
		}
		a := w.app(t, "merchant_app", "openid", "offline_access")
		must(t, a.provider.Claims(&meta))
		home := w.Clients["merchant_app"].PostLogout
		signedIn := func(b *browser) bool {
			b.t.Helper()
			return b.open("/account").URL.Path == "/account"
		}
		// Without a hint the person is asked.
		b := w.browser(t)
		token, _ := a.signIn(b, "cashier")
		leave := url.Values{"client_id": {a.ClientID}, "post_logout_redirect_uri": {home}, "state": {"s 1"}}
		b.open(meta.End+"?"+leave.Encode()).see(200, "退出")
		if !signedIn(b) {
			t.Fatal("signed out without an answer")
		}
		b.open(meta.End+"?"+leave.Encode()).submit("do", "sign-out")
		if b.Left == nil || b.Left.String() != home+"?state=s+1" || signedIn(b) {
			t.Errorf("without a hint: left for %v", b.Left)
		}
		// offline_access reaches beyond the session.
		a.refreshes(w, token, subjectOf(t, token))

		// With a hint he is not.
		token, _ = a.signIn(b, "cashier")
		hint, _ := token.Extra("id_token").(string)
		leave = url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home}}
		b.open(meta.End + "?" + leave.Encode())
		if b.Left == nil || b.Left.String() != home || signedIn(b) {
			t.Errorf("with a hint: left for %v", b.Left)
		}
		// An address that is not registered is never left for.
		leave.Set("post_logout_redirect_uri", "https://evil.example/")
		b.open(meta.End+"?"+leave.Encode()).see(400, "")
	})
}

func subjectOf(t *testing.T, token *oauth2.Token) string {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatal("no ID token")
	}
	var claims struct {
		Sub string `json:"sub"`
	}
	must(t, json.Unmarshal(decode(t, parts[1]), &claims))
	return claims.Sub
}

// device asks for a device code as a terminal does. params go with the request.
func (a *app) device(params ...string) *oauth2.DeviceAuthResponse {
	a.t.Helper()
	var options []oauth2.AuthCodeOption
	for i := 0; i+1 < len(params); i += 2 {
		options = append(options, oauth2.SetAuthURLParam(params[i], params[i+1]))
	}
	d, err := a.DeviceAuth(a.context(), options...)
	must(a.t, err)
	d.Interval = 1 // the library waits before it asks for the first time
	return d
}

// approve lets somebody who is signed in approve a device by its user code. The
// number that the device shows is tried from the page: match is its.
func (b *browser) approve(code, match string) *browser {
	b.t.Helper()
	return b.open("/device?user_code="+url.QueryEscape(code)).see(200, "").submit("do", "approve", "match", match)
}

func TestDeviceFlowOfOAuth2(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		a := w.app(t, "terminal", "openid", "offline_access", "merchant", "terminal")
		b := w.browser(t)
		b.open("/sign-in").signIn("owner").see(200, "林薇")
		for _, serial := range []string{w.Terminals["esign"].Serial, ""} {
			form := url.Values{"client_id": {a.ClientID}, "scope": {strings.Join(a.Scopes, " ")}}
			if serial != "" {
				form.Set("terminal_serial", serial)
			}
			d := w.deviceRequest(t, form)
			b.approve(d.UserCode, d.number()).see(200, "")
			token, err := a.DeviceAccessToken(a.context(), &oauth2.DeviceAuthResponse{DeviceCode: d.DeviceCode, Interval: 1, Expiry: time.Now().Add(time.Minute)})
			must(t, err)
			id := a.verify(token, "")
			var claims struct {
				Terminal string `json:"terminal_id"`
			}
			must(t, id.Claims(&claims))
			if (claims.Terminal != "") != (serial != "") {
				t.Errorf("serial %q: terminal %q", serial, claims.Terminal)
			}
			a.refreshes(w, token, id.Subject)
		}
		// A refusal reaches the library.
		d := a.device()
		b.open("/device?user_code="+d.UserCode).submit("do", "deny").see(200, "")
		if _, err := a.DeviceAccessToken(a.context(), d); err == nil || !strings.Contains(err.Error(), "access_denied") {
			t.Errorf("after a refusal: %v", err)
		}
	})
}

// A deviceAnswer is the answer of the device authorization endpoint.
type deviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Complete   string `json:"verification_uri_complete"`
	Interval   int    `json:"interval"`
	Match      int    `json:"match_number"`

	from string // the device's address
}

func (d deviceAnswer) number() string {
	b, _ := json.Marshal(d.Match) // 10 to 99
	return string(b)
}

func (w *demoWorld) deviceRequest(t *testing.T, form url.Values) (d deviceAnswer) {
	t.Helper()
	status, body := w.form(t, "/device_authorization", form)
	if status != http.StatusOK {
		t.Fatalf("device authorization: %d %s", status, body)
	}
	must(t, json.Unmarshal(body, &d))
	return d
}

// form posts a form as a client does and returns what came.
func (w *demoWorld) form(t *testing.T, path string, form url.Values) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, w.URL+path, strings.NewReader(form.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if form.Get("client_id") == "terminal" {
		r.Header.Set("DPoP", w.key.Proof(http.MethodPost, w.Issuer+path, ""))
	}
	res, err := many.Do(r)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, body
}

// many keeps enough connections for parallel requests.
var many = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

// A quietApp speaks to a world without a network, by hand.
type quietApp struct {
	world         *demoWorld
	id, redirect  string
	verifier, sum string
}

func (w *demoWorld) quietApp(name string) *quietApp {
	v := oauth2.GenerateVerifier()
	return &quietApp{world: w, id: w.Clients[name].ID, redirect: w.Clients[name].Redirect, verifier: v, sum: oauth2.S256ChallengeFromVerifier(v)}
}

func (a *quietApp) signIn(t *testing.T, b *browser, who string) tokenAnswer {
	t.Helper()
	q := url.Values{"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.redirect}, "scope": {"openid offline_access"}, "code_challenge": {a.sum}, "code_challenge_method": {"S256"}}
	b.open("/authorize?" + q.Encode()).signIn(who)
	if b.Left == nil {
		t.Fatalf("not at the client but at %s: %s", b.URL, b.text())
	}
	return a.post(t, b, url.Values{"grant_type": {"authorization_code"}, "client_id": {a.id}, "code": {b.Left.Query().Get("code")}, "redirect_uri": {a.redirect}, "code_verifier": {a.verifier}})
}

func (a *quietApp) refresh(t *testing.T, b *browser, token string) tokenAnswer {
	t.Helper()
	return a.post(t, b, refreshForm(a.id, token))
}

func (a *quietApp) post(t *testing.T, b *browser, form url.Values) (answer tokenAnswer) {
	t.Helper()
	b.post("/token", form)
	must(t, json.Unmarshal([]byte(b.Body), &answer))
	answer.Status = b.Status
	return answer
}
