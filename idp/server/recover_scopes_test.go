package server_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// A purse is an application that asks for all that moves money, in a browser of its person.
type purse struct {
	*quietApp
	b     *browser
	token tokenAnswer
}

const allMoney = "openid payments:read payments:refund settlement:manage offline_access"

// purse signs somebody in to the application, or takes his session.
func (w *demoWorld) purse(t *testing.T, b *browser, who string) *purse {
	t.Helper()
	p := &purse{quietApp: w.quietApp("merchant_app"), b: b}
	q := url.Values{"response_type": {"code"}, "client_id": {p.id}, "redirect_uri": {p.redirect}, "code_challenge": {p.sum}, "code_challenge_method": {"S256"}, "scope": {allMoney}}
	if b.open("/authorize?" + q.Encode()); b.Left == nil {
		b.signIn(who)
	}
	if b.Left == nil {
		t.Fatalf("%s is not at the client but at %s: %s", who, b.URL, b.text())
	}
	p.token = p.post(t, b, url.Values{"grant_type": {"authorization_code"}, "client_id": {p.id}, "code": {b.Left.Query().Get("code")}, "redirect_uri": {p.redirect}, "code_verifier": {p.verifier}})
	return p
}

// again takes the next tokens.
func (p *purse) again(t *testing.T) *purse {
	t.Helper()
	p.token = p.refresh(t, p.b, p.token.Refresh)
	return p
}

// scopeOf is what an access token says that it is good for.
func scopeOf(t *testing.T, token tokenAnswer) string {
	t.Helper()
	parts := strings.Split(token.Access, ".")
	if len(parts) != 3 {
		t.Fatalf("no access token: %+v", token)
	}
	var claims struct{ Scope string }
	must(t, json.Unmarshal(decode(t, parts[1]), &claims))
	return claims.Scope
}

// lives is what a token is good for at the server now, as who checks it is told: "" for
// nothing.
func (w *demoWorld) lives(t *testing.T, token string) string {
	t.Helper()
	b := w.from(t, "192.0.2.200")
	b.post("/introspect", url.Values{"client_id": {"settlement"}, "client_secret": {w.Clients["settlement"].Secret}, "token": {token}})
	var answer struct{ Scope string }
	must(t, json.Unmarshal([]byte(b.Body), &answer))
	return answer.Scope
}

// till is a terminal's application that may refund: its tokens once the person approves.
func (w *demoWorld) refundTill(t *testing.T, owner *browser) tokenAnswer {
	t.Helper()
	return w.approvedTill(t, owner)()
}

// approvedTill is the same up to the approval; what it gives asks for the tokens.
func (w *demoWorld) approvedTill(t *testing.T, owner *browser) func() tokenAnswer {
	t.Helper()
	a, b := &quietApp{world: w, id: "refund-till"}, w.from(t, "192.0.2.201")
	b.key = w.terminalKey("esign")
	var d deviceAnswer
	b.post("/device_authorization", url.Values{"client_id": {a.id}, "scope": {"openid payments:read payments:refund"}})
	must(t, json.Unmarshal([]byte(b.Body), &d))
	if d.UserCode == "" {
		t.Fatalf("no device code: %d %s", b.Status, b.Body)
	}
	owner.approve(d.UserCode, d.number()).see(200, "已经批准")
	return func() tokenAnswer {
		time.Sleep(6 * time.Second)
		form := pollForm(d)
		form.Set("client_id", a.id)
		return a.post(t, b, form)
	}
}

// While a recovery waits, and after one that was done at once, no token moves what is
// withheld: neither one that is issued now, by code, refresh or a terminal, nor one that was
// issued before. When its time is over all is as it was.
func TestRecoveryWithholdsFromTokens(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		mine, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "purse.one", TOTP: true, Phone: "+8613900010150", Mail: "purse.one@example.com"}, "203.0.113.150")
		must(t, w.Service.Store.CreateClient(t.Context(), &idp.Client{ID: "refund-till", Name: "退款终端", Grants: []string{"urn:ietf:params:oauth:grant-type:device_code"},
			Scopes: []string{"openid", "payments:read", "payments:refund"}, FirstParty: true}))
		const all, noSettlement, noMoney = allMoney, "openid payments:read payments:refund offline_access", "openid payments:read offline_access"
		is := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		before := w.purse(t, mine, "purse.one")
		is("before", scopeOf(t, before.token), all)
		is("before, refreshed", scopeOf(t, before.again(t).token), all)
		is("before, introspected", w.lives(t, before.token.Access), all)
		is("before, at a terminal", scopeOf(t, w.refundTill(t, mine)), "openid payments:read payments:refund")

		// One waits: w2.
		approved, other := w.approvedTill(t, mine), w.from(t, "203.0.113.151")
		other.lost("password", "purse.one").shows("introduce:phone", "+8613900010150").submit("do", "go").see(200, "还要等")
		is("issued before it", w.lives(t, before.token.Access), noMoney)
		is("refreshed while it waits", scopeOf(t, before.again(t).token), noMoney)
		is("by a code while it waits", scopeOf(t, w.purse(t, mine, "purse.one").token), noMoney)
		is("at a terminal that was approved before", scopeOf(t, approved()), "openid payments:read")
		if res := mine.once("GET", "/userinfo", nil, "Authorization", "Bearer "+before.token.Access); res.StatusCode != 200 {
			t.Errorf("userinfo while it waits: %d", res.StatusCode)
		}

		// He withdraws it: all is back.
		time.Sleep(time.Minute)
		mine.post("/account/recovery", nil).at("second").submit("code", w.code(t, "purse.one"))
		mine.post("/account/recovery", nil).see(200, "找回已经取消")
		is("after it, by a code", scopeOf(t, w.purse(t, mine, "purse.one").token), all)

		// At once, with w1.
		time.Sleep(3 * time.Hour)
		b := w.from(t, "203.0.113.150")
		b.lost("password", "purse.one").shows("introduce:phone", "+8613900010150").by("kit").submit("code", kit[0]).submit("do", "go").chooses().see(200, "找回来了")
		entry := w.Users["purse.one"]
		entry.Password = newPassword
		w.Users["purse.one"] = entry
		is("issued before it, after it", w.lives(t, before.token.Access), "")
		if res := mine.once("GET", "/userinfo", nil, "Authorization", "Bearer "+before.token.Access); res.StatusCode != 401 {
			t.Errorf("userinfo by what was issued before it: %d", res.StatusCode)
		}
		time.Sleep(time.Minute)
		fresh := w.purse(t, w.from(t, "203.0.113.150"), "purse.one")
		is("by a code under w1", scopeOf(t, fresh.token), noSettlement)
		is("refreshed under w1", scopeOf(t, fresh.again(t).token), noSettlement)
		is("introspected under w1", w.lives(t, fresh.token.Access), noSettlement)
		is("at a terminal under w1", scopeOf(t, w.refundTill(t, fresh.b)), "openid payments:read payments:refund")
		time.Sleep(25 * time.Hour)
		is("when its time is over", scopeOf(t, w.purse(t, w.from(t, "203.0.113.150"), "purse.one").token), all)
	})
}
