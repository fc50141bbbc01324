package oidc

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const bye = "http://localhost:8081/"

func TestLogout(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		_, a := w.post("/token", "app", exchange("app", w.codeWith(cookie, "app", "scope", "openid")))
		_, offline := w.post("/token", "shop", exchange("shop", w.codeWith(cookie, "shop")))
		hint := a["id_token"].(string)
		q := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s&t"}}
		res := w.get("/logout?"+q.Encode(), cookie)
		if res.StatusCode != 303 || res.Header.Get("Location") != bye+"?state=s%26t" {
			t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Location"))
		}
		if w.userinfo(a["access_token"])["sub"] != nil || !w.active("shop", offline["refresh_token"]) {
			t.Error("grants of the session live on, or offline_access does not")
		}
		if got := answerOf(w.get("/authorize?"+query("app", "prompt", "none").Encode(), cookie)); got.Get("error") != "login_required" {
			t.Errorf("still signed in: %v", got)
		}
		// Again, with nobody signed in: straight back.
		if res := w.get("/logout?"+q.Encode(), ""); res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Location"), bye) {
			t.Errorf("%d", res.StatusCode)
		}
	})
}

var action = regexp.MustCompile(`action="(/logout/confirm\?continue=[^"]+)"`)

// Without a hint of this person's the person is asked; a link or a form of another
// site signs nobody out.
func TestLogoutAsks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		other := w.tokens("app", "scope", "openid") // of the owner's
		_, cashier := w.post("/token", "app", exchange("app", w.codeWith(w.signIn(w.cashier, true, time.Now()), "app")))
		for name, q := range map[string]url.Values{"nothing": {}, "client": {"client_id": {"app"}, "post_logout_redirect_uri": {bye}}, "hint of another": {"id_token_hint": {cashier["id_token"].(string)}},
			"access token": {"id_token_hint": {other["access_token"].(string)}}, "junk": {"id_token_hint": {"junk"}}} {
			res := w.get("/logout?"+q.Encode(), cookie)
			page, err := io.ReadAll(res.Body)
			w.must(err)
			found := action.FindSubmatch(page)
			if res.StatusCode != 200 || found == nil {
				t.Errorf("%s: not asked: %d", name, res.StatusCode)
				continue
			}
			if name != "client" {
				continue
			}
			r := formRequest(string(found[1]), url.Values{"do": {"sign-out"}})
			r.Header.Set("Cookie", cookie)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			if res := w.do(r); res.StatusCode != 403 {
				t.Errorf("another site answers: %d", res.StatusCode)
			}
			stay := formRequest(string(found[1]), url.Values{"do": {"stay"}})
			stay.Header.Set("Cookie", cookie)
			if res := w.do(stay); res.Header.Get("Location") != "/" {
				t.Errorf("stay: %d", res.StatusCode)
			}
			if got := answerOf(w.get("/authorize?"+query("app", "prompt", "none").Encode(), cookie)); !got.Has("code") {
				t.Errorf("signed out without an answer: %v", got)
			}
			r = formRequest(string(found[1]), url.Values{"do": {"sign-out"}})
			r.Header.Set("Cookie", cookie)
			if res := w.do(r); res.Header.Get("Location") != bye {
				t.Errorf("confirmed: %d %s", res.StatusCode, res.Header.Get("Location"))
			}
			cookie = w.signIn(w.owner, true, time.Now())
		}
	})
}

// OpenID Connect RP-Initiated Logout 2: POST works as well, by way of GET.
func TestLogoutByPost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		_, a := w.post("/token", "app", exchange("app", w.codeWith(cookie, "app")))
		res := w.do(formRequest("/logout", url.Values{"id_token_hint": {a["id_token"].(string)}, "post_logout_redirect_uri": {bye}}))
		to := res.Header.Get("Location")
		if res.StatusCode != 303 || !strings.HasPrefix(to, "/logout?continue=") {
			t.Fatalf("%d %s", res.StatusCode, to)
		}
		if res := w.get(to, cookie); res.Header.Get("Location") != bye {
			t.Errorf("%d %s", res.StatusCode, res.Header.Get("Location"))
		}
	})
}

func TestLogoutNeverRedirectsToAnUnverifiedURI(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hint := w.tokens("app")["id_token"].(string)
		for name, q := range map[string]url.Values{
			"unregistered":   {"client_id": {"app"}, "post_logout_redirect_uri": {"https://evil.example/"}},
			"another's":      {"client_id": {"shop"}, "post_logout_redirect_uri": {bye}},
			"no client":      {"post_logout_redirect_uri": {bye}},
			"unknown client": {"client_id": {"nobody"}, "post_logout_redirect_uri": {bye}},
			"other client":   {"client_id": {"shop"}, "id_token_hint": {hint}, "post_logout_redirect_uri": {"https://shop.example/bye"}},
			"bad text":       {"client_id": {"app"}, "state": {"\xff"}},
		} {
			for _, cookie := range []string{"", w.signIn(w.owner, true, time.Now())} {
				if res := w.get("/logout?"+q.Encode(), cookie); res.StatusCode != http.StatusBadRequest || res.Header.Get("Location") != "" {
					t.Errorf("%s: %d %s", name, res.StatusCode, res.Header.Get("Location"))
				}
			}
		}
		if res := w.get("/logout?client_id=app&post_logout_redirect_uri="+url.QueryEscape("http://localhost:50123/"), ""); res.StatusCode != 200 {
			t.Errorf("any port: %d", res.StatusCode)
		}
	})
}
