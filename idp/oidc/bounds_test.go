package oidc

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// Whoever ends everything of a person ends the grants that are being made as well,
// and waits for no end of them.
func TestNoGrantBesideTheEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 3 {
			cookie := w.signIn(w.owner, true, time.Now())
			var made, refused atomic.Int32
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for open := true; open; {
						select {
						case <-stop:
							open = false
						default:
						}
						switch q := answerOf(w.get("/authorize?"+query("app", "prompt", "none").Encode(), cookie)); {
						case q.Has("code"):
							made.Add(1)
						case q.Get("error") == "login_required":
							refused.Add(1)
						default:
							t.Errorf("%v", q)
							return
						}
					}
				})
			}
			for made.Load() < 20 && !t.Failed() {
				runtime.Gosched()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := w.store.EndAll(ctx, w.owner, storage.Keep{}, "password", idp.Event{Actor: w.owner.ID})
			cancel()
			close(stop)
			wg.Wait()
			w.must(err)
			live, err := w.store.Grants(t.Context(), w.owner.ID)
			w.must(err)
			if len(live) > 0 || refused.Load() < 16 {
				t.Fatalf("%d grants outlived the end of everything; %d made, %d refused", len(live), made.Load(), refused.Load())
			}
		}
	})
}

// What a person's role has no use for is neither shown, nor granted, nor issued.
func TestScopesByRole(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		manager := idp.User{Name: "王", Language: "zh-CN", Role: idp.RoleManager, MerchantID: w.merchant.ID, Status: idp.UserActive}
		w.must(w.store.CreateUser(ctx, &manager))
		w.must(w.store.CreateClient(ctx, &idp.Client{ID: "money", Name: "Money", Redirects: []string{callback}, Grants: []string{grantCode}, Scopes: append([]string{"settlement:manage"}, everyScope...)}))
		all := "openid payments:read payments:refund settlement:manage"
		for _, c := range []struct {
			who  idp.User
			want string
		}{{w.owner, all}, {manager, "openid payments:read payments:refund"}, {w.cashier, "openid payments:read"}, {w.operator, "openid"}} {
			cookie := w.signIn(c.who, true, time.Now())
			res := w.get("/authorize?"+query("money", "scope", all).Encode(), cookie)
			d := w.demandOf(res)
			if got := strings.Join(d.Scopes, " "); d.Kind != idp.FlowConsent || got != c.want {
				t.Errorf("%s is shown %q, want %q", c.who.Role, got, c.want)
			}
			w.must(w.store.Consent(ctx, c.who.ID, "money", d.Scopes, time.Now()))
			code := answerOf(w.get(d.Return, cookie)).Get("code")
			list, err := w.store.Grants(ctx, c.who.ID)
			w.must(err)
			if len(list) != 1 || strings.Join(list[0].Scopes, " ") != c.want {
				t.Errorf("%s: granted %+v, want %q", c.who.Role, list, c.want)
			}
			if _, answer := w.post("/token", "money", exchange("money", code)); answer["scope"] != c.want {
				t.Errorf("%s is issued %v, want %q", c.who.Role, answer["scope"], c.want)
			}
		}
		// Nothing is left: the client hears it. Another person may have more of the same request.
		operator := w.signIn(w.operator, true, time.Now())
		if q := answerOf(w.get("/authorize?"+query("money", "scope", "payments:read settlement:manage").Encode(), operator)); q.Get("error") != "invalid_scope" || q.Get("state") != "st4te" {
			t.Errorf("nothing left: %v", q)
		}
		back := w.returnOf(w.get("/authorize?"+query("money", "scope", all, "prompt", "consent").Encode(), operator))
		if d := w.demandOf(w.get(back, w.signIn(w.owner, true, time.Now()))); strings.Join(d.Scopes, " ") != all {
			t.Errorf("the owner is shown what the operator's staff may give: %q", d.Scopes)
		}
	})
}

// Nobody makes us keep, or repeat, more than a client has use for.
func TestParametersAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		for name, most := range map[string]int{"state": 1024, "nonce": 255, "login_hint": 255} {
			if q := answerOf(w.get("/authorize?"+query("app", name, strings.Repeat("x", most)).Encode(), cookie)); !q.Has("code") {
				t.Errorf("%s of %d bytes: %v", name, most, q)
			}
			q := answerOf(w.get("/authorize?"+query("app", name, strings.Repeat("x", most+1)).Encode(), cookie))
			if q.Get("error") != "invalid_request" || len(q.Get("state")) > 1024 {
				t.Errorf("%s of %d bytes: %.200v", name, most+1, q)
			}
			res, answer := w.post("/par", "app", query("app", name, strings.Repeat("x", most+1)))
			refused(t, res, answer, 400, "invalid_request")
		}
		for _, name := range []string{"scope", "prompt", "acr_values", "ui_locales", "id_token_hint", "resource"} {
			if q := answerOf(w.get("/authorize?"+query("app", name, strings.Repeat("openid ", 2000)).Encode(), cookie)); q.Get("error") != "invalid_request" {
				t.Errorf("%s: %.200v", name, q)
			}
		}
		q := url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"http://localhost:8081/"}, "state": {strings.Repeat("x", 1025)}}
		if res := w.get("/logout?"+q.Encode(), ""); res.StatusCode != 400 {
			t.Errorf("logout: %d", res.StatusCode)
		}
	})
}

// What a stranger leaves here is taken off the allowance of his network, before it is
// stored.
func TestStrangersFillNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var taken atomic.Int32
		full := false
		w.p.Admit = func(context.Context) error {
			if full {
				return &idp.Error{Kind: idp.Limited, Msg: "problem.429.text", Until: time.Now().Add(time.Minute)}
			}
			taken.Add(1)
			return nil
		}
		signed := w.signIn(w.owner, true, time.Now())
		ask := map[string]func() (*http.Response, map[string]any){
			"get":    func() (*http.Response, map[string]any) { return w.get("/authorize?"+query("app").Encode(), ""), nil },
			"post":   func() (*http.Response, map[string]any) { return w.do(formRequest("/authorize", query("app"))), nil },
			"par":    func() (*http.Response, map[string]any) { return w.post("/par", "app", query("app")) },
			"logout": func() (*http.Response, map[string]any) { return w.do(formRequest("/logout", url.Values{})), nil },
			"asked":  func() (*http.Response, map[string]any) { return w.get("/logout", signed), nil },
		}
		for name, do := range ask {
			taken.Store(0)
			if res, _ := do(); res.StatusCode >= 400 || taken.Load() != 1 {
				t.Errorf("%s with room: %d, %d taken", name, res.StatusCode, taken.Load())
			}
		}
		before := w.rows()
		full = true
		for name, do := range ask {
			res, answer := do()
			if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
				t.Errorf("%s without room: %d", name, res.StatusCode)
			}
			if name == "par" && answer["error"] != "temporarily_unavailable" {
				t.Errorf("%v", answer)
			}
		}
		if n := w.rows(); n != before {
			t.Errorf("%d rows were stored all the same", n-before)
		}
		// A client that has shown its secret, and a request that needs no row, go on.
		if res, answer := w.post("/par", "pushing", query("pushing", "client_id", "-")); res.StatusCode != 201 {
			t.Errorf("%v", answer)
		}
		if q := answerOf(w.get("/authorize?"+query("app").Encode(), signed)); !q.Has("code") {
			t.Errorf("%v", q)
		}
	})
}

// rows counts all stored requests, by sweeping them far in the future.
func (w *world) rows() int64 {
	w.t.Helper()
	var n int64
	w.must(w.store.Tx(w.t.Context(), func(ctx context.Context) error {
		return w.store.Try(ctx, func(ctx context.Context) (err error) {
			if n, err = w.store.TrimTokens(ctx, time.Now().Add(24*time.Hour), 1000); err != nil {
				return err
			}
			return storage.Undo()
		})
	}))
	return n
}

// A grant whose code nobody redeems is hardly older than its code; one that is
// redeemed gets the life of its tokens.
func TestGrantLivesFromItsRedemption(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, day := t.Context(), 24*time.Hour
		only := func() idp.Grant {
			t.Helper()
			list, err := w.store.Grants(ctx, w.owner.ID)
			w.must(err)
			if len(list) == 0 {
				t.Fatal("no live grant")
			}
			return list[0]
		}
		code := w.code("app")
		if g := only(); time.Until(g.ExpiresAt) > 2*w.p.Policy.Now().Tokens.Code {
			t.Errorf("a grant without tokens lives for %s", time.Until(g.ExpiresAt))
		}
		w.post("/token", "app", exchange("app", code))
		if g := only(); time.Until(g.ExpiresAt) < 89*day {
			t.Errorf("redeemed, it lives for %s", time.Until(g.ExpiresAt))
		}
		w.tokens("app", "scope", "openid")
		if g := only(); time.Until(g.ExpiresAt) > time.Hour {
			t.Errorf("without a refresh token it lives for %s", time.Until(g.ExpiresAt))
		}
		code = w.code("app")
		w.must(second(w.store.EndGrant(ctx, only().ID, "x", time.Now())))
		res, answer := w.post("/token", "app", exchange("app", code))
		refused(t, res, answer, 400, "invalid_grant")
	})
}

// The oldest grants over the limit end, with their events; codes that nobody redeemed
// push nobody out, and other clients and people are not counted.
func TestMostGrants(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.p.Policy.Now().Tokens.MostGrants = 3
		other := w.tokens("shop")
		var all []map[string]any
		for range 5 {
			all = append(all, w.tokens("app"))
			for range 3 {
				w.code("app")
			}
		}
		for i, a := range all {
			res, answer := w.post("/token", "app", refreshing(a["refresh_token"].(string)))
			if lives := res.StatusCode == 200; lives != (i >= 2) {
				t.Errorf("number %d: %d %v", i, res.StatusCode, answer)
			}
		}
		if !w.active("shop", other["refresh_token"]) {
			t.Error("another client's grant was ended")
		}
		list, err := w.store.Events(t.Context(), storage.EventFilter{Name: "grant.revoked"}, 100)
		w.must(err)
		if len(list) != 2 || list[0].Reason != "limit" || list[0].Subject != w.owner.ID || list[0].Client != "app" {
			t.Errorf("%+v", list)
		}
	})
}

// What expired by itself is not ended again, and nobody is told of it.
func TestExpiredGrantsStay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, now := t.Context(), time.Now()
		w.must(w.store.Tx(ctx, func(ctx context.Context) error {
			for range 500 {
				g := idp.Grant{UserID: w.owner.ID, ClientID: "app", SessionID: "s", CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(-time.Minute)}
				if err := w.store.CreateGrant(ctx, &g); err != nil {
					return err
				}
			}
			return nil
		}))
		w.tokens("app")
		w.must(w.store.EndAll(ctx, w.owner, storage.Keep{}, "password", idp.Event{Actor: w.owner.ID}))
		if n := w.events("grant.revoked"); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// Whoever asks without a right to does not learn which terminals there are.
func TestSerialsAreNotTold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ask := func(serial string) (int, map[string]any) {
			res, answer := w.post("/device_authorization", "terminal", url.Values{"scope": {"openid"}, "terminal_serial": {serial}})
			return res.StatusCode, answer
		}
		status, unknown := ask("N910-9999")
		if status != 400 || unknown["error"] != "invalid_request" {
			t.Fatalf("%d %v", status, unknown)
		}
		same := func(name string) {
			t.Helper()
			if status, answer := ask("N910-0001"); status != 400 || answer["error"] != unknown["error"] || answer["error_description"] != unknown["error_description"] || len(answer) != len(unknown) {
				t.Errorf("%s: %d %v", name, status, answer)
			}
		}
		from := idp.TerminalNew
		for _, state := range []idp.TerminalState{idp.TerminalLost, idp.TerminalSuspended, idp.TerminalRetired} {
			w.must(second(w.store.SetTerminalState(ctx, w.terminal.ID, from, state)))
			same(string(state))
			from = state
		}
		w.must(second(w.store.SetTerminalState(ctx, w.terminal.ID, from, idp.TerminalNew)))
		w.must(second(w.store.SetMerchantStatus(ctx, w.merchant.ID, idp.MerchantActive, idp.MerchantSuspended)))
		same("merchant")
		var statuses []int
		for range w.p.Policy.Now().Device.Network.Burst + 5 {
			status, _ := ask("N910-9998")
			statuses = append(statuses, status)
		}
		if !slices.Contains(statuses, http.StatusTooManyRequests) {
			t.Error("serials can be tried without end")
		}
	})
}

// A used refresh token is judged whatever else is wrong with the request that shows it.
func TestReuseBeforeEverythingElse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, spoil := range map[string]func(url.Values) func(){
			"scope": func(f url.Values) func() { f.Set("scope", "openid email"); return func() {} },
			"stale": func(f url.Values) func() { f.Set("scope", "payments:refund"); return func() {} },
			"locked": func(url.Values) func() {
				w.done(w.store.LockUser(t.Context(), w.owner.ID, "user"))
				return func() { w.done(w.store.UnlockUser(t.Context(), w.owner.ID)) }
			},
		} {
			before := w.events("grant.reuse_detected")
			a := w.tokens("shop", "scope", "openid offline_access")["refresh_token"].(string)
			_, second := w.post("/token", "shop", refreshing(a))
			_, third := w.post("/token", "shop", refreshing(second["refresh_token"].(string)))
			form := refreshing(a)
			undo := spoil(form)
			res, answer := w.post("/token", "shop", form)
			undo()
			refused(t, res, answer, 400, "invalid_grant")
			if w.active("shop", third["refresh_token"]) || w.events("grant.reuse_detected") != before+1 {
				t.Errorf("%s: the family outlived the reuse", name)
			}
		}
		// Within the grace time a wrong scope is only a wrong scope.
		a := w.tokens("shop", "scope", "openid offline_access")["refresh_token"].(string)
		_, next := w.post("/token", "shop", refreshing(a))
		form := refreshing(a)
		form.Set("scope", "openid email")
		res, answer := w.post("/token", "shop", form)
		refused(t, res, answer, 400, "invalid_scope")
		if !w.active("shop", next["refresh_token"]) {
			t.Error("a repeated request ended the family")
		}
	})
}
