package oidc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/storage"
)

// An unverified redirect URI never gets anything: the error is drawn here.
func TestNeverRedirectsToAnUnverifiedURI(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		for _, uri := range []string{"https://evil.example/", callback + "/", callback + "?x=1", callback + "#f", "http://localhost:8081/callback@evil.example", "http://localhost:8081@evil.example/callback",
			"http://localhost.evil.example:8081/callback", "http://127.0.0.1:8081/callback", "https://localhost:8081/callback", "http://LOCALHOST:8081/callback", "javascript:alert(1)", "//localhost:8081/callback",
			"http://localhost:8081/x/..;/callback", "http://localhost:8081/callback\\", "http://localhost:8081/callback\n", "http://localhost:99999/callback", "http://localhost:/callback",
			"http://localhost:80 81/callback", "http://[::1]:8081/callback", "http://localhost:8081//callback", "-", ""} {
			res := w.get("/authorize?"+query("app", "redirect_uri", uri, "scope", "nonsense").Encode(), cookie)
			if res.StatusCode != 400 || res.Header.Get("Location") != "" {
				t.Errorf("%q: %d to %q", uri, res.StatusCode, res.Header.Get("Location"))
			}
		}
		for _, client := range []string{"nobody", "", "-", "app\x00"} {
			q := query("app")
			q.Set("client_id", client)
			if res := w.get("/authorize?"+q.Encode(), cookie); res.StatusCode != 400 || res.Header.Get("Location") != "" {
				t.Errorf("client %q: %d", client, res.StatusCode)
			}
		}
		for _, raw := range []string{"client_id=app&client_id=app&" + query("app").Encode(), query("app").Encode() + "&redirect_uri=" + url.QueryEscape("https://evil.example/"), "%zz", "client_id=%ff"} {
			if res := w.get("/authorize?"+raw, cookie); res.StatusCode != 400 || res.Header.Get("Location") != "" {
				t.Errorf("%q: %d to %q", raw, res.StatusCode, res.Header.Get("Location"))
			}
		}
	})
}

// Trap 13: any port on loopback for clients that say so, and for those only;
// "localhost" too, which fosite forgets.
func TestTrap13LoopbackPorts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		for _, c := range []struct {
			client, uri string
			ok          bool
		}{{"app", "http://localhost:50123/callback", true}, {"app", "http://localhost/callback", true}, {"plain", "http://localhost:50123/callback", false}, {"plain", callback, true}, {"app", "http://127.0.0.1:8081/callback", false}} {
			res := w.get("/authorize?"+query(c.client, "redirect_uri", c.uri).Encode(), cookie)
			if got := answerOf(res).Get("code") != ""; got != c.ok || c.ok && !strings.HasPrefix(res.Header.Get("Location"), c.uri+"?") {
				t.Errorf("%s %s: %d %s", c.client, c.uri, res.StatusCode, res.Header.Get("Location"))
			}
		}
	})
}

// Trap 5: state is optional, and comes back just as it was.
func TestTrap05StateIsOptional(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		for _, state := range []string{"-", "", "x", "a b&c=d", strings.Repeat("s", 1024)} {
			for _, extra := range []string{"openid", "nonsense"} {
				q := answerOf(w.get("/authorize?"+query("app", "state", state, "scope", extra).Encode(), cookie))
				want := state
				if state == "-" {
					want = ""
				}
				if q.Get("state") != want || q.Has("state") != (want != "") {
					t.Errorf("%q came back as %q", state, q["state"])
				}
			}
		}
	})
}

func TestAuthorizeErrors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		for code, change := range map[string][][]string{
			"invalid_request": {{"response_type", "-"}, {"response_mode", "fragment"}, {"response_mode", "form_post"}, {"prompt", "none login"}, {"prompt", "create"}, {"max_age", "-1"}, {"max_age", "x"},
				{"max_age", "99999999999999999999"}, {"id_token_hint", "junk"}, {"nonce", "\xff"}, {"login_hint", "a\x00b"}},
			"unsupported_response_type":  {{"response_type", "token"}, {"response_type", "code id_token"}},
			"invalid_scope":              {{"scope", "-"}, {"scope", "openid nonsense"}, {"scope", "settlement:manage"}},
			"request_not_supported":      {{"request", "eyJhbGciOiJub25lIn0.e30."}},
			"request_uri_not_supported":  {{"request_uri", "https://evil.example/r"}},
			"registration_not_supported": {{"registration", "{}"}},
			"invalid_target":             {{"resource", "https://other.example"}},
		} {
			for _, c := range change {
				q := answerOf(w.get("/authorize?"+query("app", c...).Encode(), cookie))
				if q.Get("error") != code || q.Get("iss") != issuer || q.Get("state") != "st4te" || q.Has("code") {
					t.Errorf("%q: %v, want %s", c, q, code)
				}
			}
		}
		if q := answerOf(w.get("/authorize?"+query("app").Encode()+"&nonce=twice", cookie)); q.Get("error") != "invalid_request" {
			t.Errorf("a repeated parameter: %v", q)
		}
	})
}

// Trap 4: a request object is not looked at, whatever its algorithm.
func TestTrap04RequestObject(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		q := query("app", "request", "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZS8ifQ.", "state", "-")
		res := w.get("/authorize?"+q.Encode(), w.signIn(w.owner, true, time.Now()))
		if to := res.Header.Get("Location"); !strings.HasPrefix(to, callback+"?") || answerOf(res).Get("error") != "request_not_supported" {
			t.Errorf("%d %s", res.StatusCode, to)
		}
	})
}

// follow returns the demand that a redirect to a flow stored.
func (w *world) sent(res *http.Response) bool {
	return res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/flows/")
}

func TestPromptNone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		old := w.signIn(w.owner, true, time.Now().Add(-time.Hour))
		for name, c := range map[string]struct {
			cookie, client string
			change         []string
			want           string
		}{
			"nobody":         {"", "app", nil, "login_required"},
			"broken cookie":  {"hufu-s=x", "app", nil, "login_required"},
			"signed in":      {old, "app", nil, ""},
			"max_age":        {old, "app", []string{"max_age", "60"}, "login_required"},
			"max_age 0":      {old, "app", []string{"max_age", "0"}, "login_required"},
			"max_age enough": {old, "app", []string{"max_age", "7200"}, ""},
			"consent":        {old, "shop", nil, "consent_required"},
			"money":          {old, "app", []string{"scope", "openid payments:refund"}, "interaction_required"},
			"voluntary acr":  {old, "app", []string{"acr_values", "phr unknown"}, ""},
		} {
			q := answerOf(w.get("/authorize?"+query(c.client, append(c.change, "prompt", "none")...).Encode(), c.cookie))
			if q.Get("error") != c.want || (c.want == "") != q.Has("code") {
				t.Errorf("%s: %v, want %q", name, q, c.want)
			}
		}
	})
}

// The checks send the browser to a flow; when it comes back they look again.
func TestChecks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hour := time.Now().Add(-time.Hour)
		old, weak := w.signIn(w.owner, true, hour), w.signIn(w.cashier, false, hour)
		hint := w.tokens("app")["id_token"].(string)
		for name, c := range map[string]struct {
			before, after string // cookies
			client        string
			change        []string
		}{
			"session":        {"", old, "app", nil},
			"login":          {old, w.signIn(w.owner, true, time.Now().Add(time.Minute)), "app", []string{"prompt", "login"}},
			"select_account": {old, w.signIn(w.owner, true, time.Now().Add(time.Minute)), "app", []string{"prompt", "select_account"}},
			"max_age":        {old, w.signIn(w.owner, true, time.Now()), "app", []string{"max_age", "60"}},
			"max_age 0":      {old, w.signIn(w.owner, true, time.Now().Add(time.Minute)), "app", []string{"max_age", "0"}},
			"acr":            {weak, w.signIn(w.cashier, true, time.Now()), "app", []string{"acr_values", "urn:hufu:acr:2"}},
			"hint":           {weak, old, "app", []string{"id_token_hint", hint}},
			"money":          {old, w.signIn(w.owner, true, time.Now()), "app", []string{"scope", "openid payments:refund"}},
		} {
			res := w.get("/authorize?"+query(c.client, c.change...).Encode(), c.before)
			if !w.sent(res) {
				t.Errorf("%s: not sent to a flow: %d %s", name, res.StatusCode, res.Header.Get("Location"))
				continue
			}
			back := w.returnOf(res)
			if q := answerOf(w.get(back, c.after)); !q.Has("code") || q.Get("state") != "st4te" {
				t.Errorf("%s: no code after the flow: %v", name, q)
			}
			if res := w.get(back, c.after); res.StatusCode != http.StatusGone {
				t.Errorf("%s: the request lives after its code: %d", name, res.StatusCode)
			}
		}
	})
}

// prompt=login and max_age demand the class of fresh proofs alone: a code typed at
// somebody's unlocked browser makes his password of an hour ago no younger.
func TestOldProofsLendNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mixed := func(fresh time.Duration) string { // a second factor just now, or soon
			hour, token := time.Now().Add(-time.Hour), idp.NewToken()
			shown := append(proofs(w.owner, false, hour), proofs(w.owner, true, time.Now().Add(fresh))[1])
			w.must(w.store.CreateSession(t.Context(), &idp.Session{UserID: w.owner.ID, Proofs: shown, CreatedAt: hour, LastSeenAt: hour,
				IdleUntil: time.Now().Add(time.Hour), ExpiresAt: time.Now().Add(time.Hour)}, session.Hash(token)))
			return "hufu-s=" + token
		}
		says := func(res *http.Response) any {
			t.Helper()
			_, answer := w.post("/token", "app", exchange("app", answerOf(res).Get("code")))
			return payload(t, answer["id_token"])["acr"]
		}
		if acr := says(w.get("/authorize?"+query("app").Encode(), mixed(0))); acr != "urn:hufu:acr:2" {
			t.Errorf("asked for nothing: %v", acr)
		}
		if acr := says(w.get("/authorize?"+query("app", "max_age", "60").Encode(), mixed(0))); acr != "urn:hufu:acr:1" {
			t.Errorf("max_age: %v", acr)
		}
		back := w.returnOf(w.get("/authorize?"+query("app", "prompt", "login").Encode(), mixed(0)))
		if acr := says(w.get(back, mixed(time.Minute))); acr != "urn:hufu:acr:1" {
			t.Errorf("prompt=login: %v", acr)
		}
		d := w.demandOf(w.get("/authorize?"+query("app", "max_age", "60", "acr_values", "urn:hufu:acr:2").Encode(), mixed(0)))
		if age := time.Since(d.Since); d.Kind != idp.FlowStepUp || d.ACR != idp.ACR2 || age < time.Minute || age > 2*time.Minute {
			t.Errorf("demand %+v", d)
		}
	})
}

// returnOf reads where the flow that a response leads to goes back to.
func (w *world) returnOf(res *http.Response) string {
	w.t.Helper()
	return w.demandOf(res).Return
}

func (w *world) demandOf(res *http.Response) idp.Demand {
	w.t.Helper()
	token := strings.TrimPrefix(res.Header.Get("Location"), "/flows/")
	token, _, _ = strings.Cut(token, "/")
	var binding string
	for _, c := range res.Cookies() {
		if c.Name == "hufu-b" {
			binding = c.Value
		}
	}
	f, err := w.store.Flow(w.t.Context(), hash(token), hash(binding), time.Now())
	w.must(err)
	return f.Demand
}

// A voluntary acr is tried once; nothing sends a person round and round.
func TestNeverLoops(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		weak := w.signIn(w.cashier, false, time.Now().Add(-time.Hour))
		res := w.get("/authorize?"+query("app", "acr_values", "urn:hufu:acr:2").Encode(), weak)
		d := w.demandOf(res)
		if d.Kind != idp.FlowStepUp || d.ACR != idp.ACR2 || d.User != w.cashier.ID || d.Client != "app" {
			t.Errorf("demand %+v", d)
		}
		if q := answerOf(w.get(d.Return, weak)); !q.Has("code") {
			t.Errorf("a voluntary acr out of reach: %v", q)
		}
		res = w.get("/authorize?"+query("app", "prompt", "login").Encode(), weak)
		back := w.returnOf(res)
		for range mostTries + 1 {
			if res = w.get(back, weak); !w.sent(res) {
				break
			}
		}
		if q := answerOf(res); q.Get("error") != "login_required" {
			t.Errorf("after many tries: %d %v", res.StatusCode, q)
		}
	})
}

// Shown = granted = issued: consent is asked for exactly what is issued.
func TestConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		res := w.get("/authorize?"+query("shop", "scope", "openid payments:read").Encode(), cookie)
		d := w.demandOf(res)
		if d.Kind != idp.FlowConsent || strings.Join(d.Scopes, " ") != "openid payments:read" || d.User != w.owner.ID {
			t.Fatalf("demand %+v", d)
		}
		if !w.sent(w.get(d.Return, cookie)) {
			t.Error("a code without consent")
		}
		w.must(w.store.Consent(t.Context(), w.owner.ID, "shop", d.Scopes, time.Now()))
		_, answer := w.post("/token", "shop", exchange("shop", answerOf(w.get(d.Return, cookie)).Get("code")))
		if answer["scope"] != "openid payments:read" {
			t.Errorf("issued %v", answer["scope"])
		}
		if res := w.get("/authorize?"+query("shop", "scope", "openid payments:read phone").Encode(), cookie); !w.sent(res) {
			t.Error("more scopes without consent")
		}
		time.Sleep(time.Microsecond) // the next request is younger than the consent
		if res := w.get("/authorize?"+query("shop", "scope", "openid", "prompt", "consent").Encode(), cookie); !w.sent(res) {
			t.Error("prompt=consent asks nothing")
		}
		res = w.get("/authorize?"+query("shop", "scope", "openid email").Encode(), cookie)
		back := w.returnOf(res)
		if q := answerOf(w.get(back+"&denied=1", cookie)); q.Get("error") != "access_denied" || q.Get("state") != "st4te" || q.Get("iss") != issuer {
			t.Errorf("refused consent: %v", q)
		}
		if res := w.get(back, cookie); res.StatusCode != http.StatusGone {
			t.Errorf("a refused request lives on: %d", res.StatusCode)
		}
	})
}

// OpenID Connect Core 3.1.2.1: POST works, and comes back as GET so that Lax cookies
// are there.
func TestAuthorizeByPost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		res := w.do(formRequest("/authorize", query("app")))
		to := res.Header.Get("Location")
		if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/authorize?continue=") {
			t.Fatalf("%d %s", res.StatusCode, to)
		}
		if q := answerOf(w.get(to, w.signIn(w.owner, true, time.Now()))); !q.Has("code") {
			t.Errorf("%v", q)
		}
		if res := w.do(formRequest("/authorize", query("app", "redirect_uri", "https://evil.example/"))); res.StatusCode != 400 || res.Header.Get("Location") != "" {
			t.Errorf("%d", res.StatusCode)
		}
	})
}

func TestContinueJunk(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, id := range []string{"", "x", strings.Repeat("a", 5000), "%00", "%ff", idp.NewToken()} {
			if res := w.get("/authorize?continue="+id, ""); res.StatusCode != http.StatusGone {
				t.Errorf("%q: %d", id, res.StatusCode)
			}
		}
	})
}

// Who may not redeem gets no code either.
func TestSuspendedMerchantGetsNoCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		w.must(second(w.store.SetMerchantStatus(t.Context(), w.merchant.ID, idp.MerchantActive, idp.MerchantSuspended)))
		if q := answerOf(w.get("/authorize?"+query("app").Encode(), cookie)); q.Get("error") != "access_denied" {
			t.Errorf("%v", q)
		}
		if w.events("grant.created") != 0 {
			t.Error("a grant was kept")
		}
	})
}

// RFC 9126. Trap 3: no secret is stored, a request_uri lives a minute to its first
// use, survives reloads, is its client's alone, and dies with the code.
func TestTrap03PushedRequests(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		res, answer := w.post("/par", "pushing", query("pushing", "client_id", "-"))
		uri, _ := answer["request_uri"].(string)
		if res.StatusCode != 201 || !strings.HasPrefix(uri, pushedPrefix) || answer["expires_in"] != 60.0 {
			t.Fatalf("%d %v", res.StatusCode, answer)
		}
		row, err := w.store.Token(t.Context(), storage.TokenAuthorize, signature(strings.TrimPrefix(uri, pushedPrefix)))
		w.must(err)
		if strings.Contains(string(row.Data), secret) {
			t.Error("the secret is stored")
		}
		at := "/authorize?" + url.Values{"client_id": {"pushing"}, "request_uri": {uri}}.Encode()
		if res := w.get(strings.Replace(at, "pushing", "app", 1), ""); res.StatusCode != 400 {
			t.Errorf("another client's request: %d", res.StatusCode)
		}
		for range 2 {
			if res := w.get(at, ""); !w.sent(res) {
				t.Fatalf("a reload: %d", res.StatusCode)
			}
		}
		cookie := w.signIn(w.owner, true, time.Now())
		q := answerOf(w.get(at, cookie))
		if !q.Has("code") || q.Get("state") != "st4te" {
			t.Fatalf("%v", q)
		}
		if res := w.get(at, cookie); res.StatusCode != http.StatusGone {
			t.Errorf("alive after its code: %d", res.StatusCode)
		}
		if res, answer := w.post("/token", "pushing", exchange("pushing", q.Get("code"))); res.StatusCode != 200 {
			t.Errorf("%v", answer)
		}
		if q := answerOf(w.get("/authorize?"+query("pushing").Encode(), cookie)); q.Get("error") != "invalid_request" {
			t.Errorf("a client that must push need not: %v", q)
		}
	})
}

func TestTrap03PushedErrors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			change []string
			code   string
		}{
			"uri":         {[]string{"redirect_uri", "https://evil.example/"}, "invalid_request"},
			"request_uri": {[]string{"request_uri", pushedPrefix + "x"}, "request_uri_not_supported"},
			"pkce":        {[]string{"code_challenge", "-"}, "invalid_request"},
			"scope":       {[]string{"scope", "nonsense"}, "invalid_scope"},
		} {
			res, answer := w.post("/par", "pushing", query("pushing", c.change...))
			if res.StatusCode != 400 || answer["error"] != c.code {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
		}
		r := formRequest("/par?client_secret="+secret, query("pushing"))
		if res := w.do(r); res.StatusCode != 400 {
			t.Errorf("a secret in the query: %d", res.StatusCode)
		}
		if res := w.do(formRequest("/par", query("pushing"))); res.StatusCode != 401 {
			t.Errorf("without authentication: %d", res.StatusCode)
		}
	})
}
