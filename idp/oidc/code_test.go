package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
)

func TestCodeFlow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		res := w.get("/authorize?"+query("app", "scope", "openid profile phone email merchant payments:read offline_access").Encode(), w.signIn(w.owner, true, time.Now()))
		q := answerOf(res)
		if q.Get("state") != "st4te" || q.Get("iss") != issuer || q.Has("scope") {
			t.Fatalf("answer %v", q)
		}
		res, answer := w.post("/token", "app", exchange("app", q.Get("code")))
		if res.StatusCode != 200 || answer["token_type"] != "Bearer" || answer["expires_in"] != 300.0 || answer["refresh_token"] == nil {
			t.Fatalf("%d %v", res.StatusCode, answer)
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Pragma") != "no-cache" {
			t.Error("the answer may be cached")
		}
		access, id := payload(t, answer["access_token"]), payload(t, answer["id_token"])
		for claim, want := range map[string]any{"iss": issuer, "sub": w.owner.ID, "client_id": "app", "acr": "urn:hufu:acr:2", "merchant_id": w.merchant.ID,
			"merchant_no": w.merchant.No, "role": "owner", "scope": answer["scope"]} {
			if access[claim] != want {
				t.Errorf("access token: %s is %v, want %v", claim, access[claim], want)
			}
		}
		for claim, want := range map[string]any{"iss": issuer, "sub": w.owner.ID, "aud": "app", "nonce": "n0nce", "acr": "urn:hufu:acr:2", "merchant_id": w.merchant.ID} {
			if id[claim] != want {
				t.Errorf("ID token: %s is %v, want %v", claim, id[claim], want)
			}
		}
		for _, claim := range []string{"exp", "iat", "auth_time", "at_hash", "amr", "sid"} {
			if id[claim] == nil {
				t.Errorf("ID token lacks %s", claim)
			}
		}
		info := w.userinfo(answer["access_token"])
		for claim, want := range map[string]any{"sub": w.owner.ID, "name": "林薇", "preferred_username": "lin.wei", "phone_number": "+8613800000001", "phone_number_verified": true,
			"email": "lin.wei@example.com", "email_verified": false, "merchant_no": w.merchant.No} {
			if info[claim] != want {
				t.Errorf("userinfo: %s is %v, want %v", claim, info[claim], want)
			}
		}
		if w.events("grant.created") != 1 {
			t.Error("no event grant.created")
		}
	})
}

func (w *world) userinfo(token any) map[string]any {
	w.t.Helper()
	s, _ := token.(string)
	r, err := http.NewRequest("GET", "/userinfo", nil)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+s)
	return body(w.t, w.do(r))
}

func TestOperatorStaffCarriesNoMerchant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.codeWith(w.signIn(w.operator, true, time.Now()), "app", "scope", "openid merchant terminal")
		_, answer := w.post("/token", "app", exchange("app", code))
		for _, token := range []string{"access_token", "id_token"} {
			for _, claim := range []string{"merchant_id", "merchant_no", "role", "store_id", "terminal_id"} {
				if c := payload(t, answer[token]); c[claim] != nil {
					t.Errorf("%s carries %s", token, claim)
				}
			}
		}
	})
}

// RFC 6749 4.1.2: a code is used once; the second use ends everything.
func TestCodeOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code("shop")
		_, first := w.post("/token", "shop", exchange("shop", code))
		if !w.active("shop", first["access_token"]) || !w.active("shop", first["refresh_token"]) {
			t.Fatal("fresh tokens are not active")
		}
		res, answer := w.post("/token", "shop", exchange("shop", code))
		refused(t, res, answer, 400, "invalid_grant")
		if w.active("shop", first["access_token"]) || w.active("shop", first["refresh_token"]) {
			t.Error("the family outlived the second use of its code")
		}
		if w.events("grant.reuse_detected") != 1 {
			t.Error("no event")
		}
	})
}

// Trap 2: nothing in fosite compares and sets.
func TestTrap02ParallelExchanges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code("app")
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				res, answer := w.post("/token", "app", exchange("app", code))
				switch {
				case res.StatusCode == 200:
					won.Add(1)
				case res.StatusCode == 400 && answer["error"] == "invalid_grant":
					lost.Add(1)
				default:
					t.Errorf("%d %v", res.StatusCode, answer)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 63 {
			t.Errorf("%d successes, %d refusals", won.Load(), lost.Load())
		}
		if n := w.events("grant.reuse_detected"); n != 1 {
			t.Errorf("%d events of reuse", n)
		}
	})
}

// Trap 1: a wrong verifier must not open the door to a try without one.
func TestTrap01PKCEDowngrade(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		wrong := strings.Repeat("w", 43)
		for _, second := range []string{"", wrong, "short", challengeOf(verifier), strings.Repeat("a", 129), verifier[:42] + "\n"} {
			code := w.code("app")
			for _, v := range []string{wrong, second} {
				form := exchange("app", code)
				form.Set("code_verifier", v)
				if v == "" {
					form.Del("code_verifier")
				}
				res, answer := w.post("/token", "app", form)
				refused(t, res, answer, 400, "invalid_grant")
			}
			if res, answer := w.post("/token", "app", exchange("app", code)); res.StatusCode != 200 {
				t.Errorf("the right verifier is refused after wrong ones: %v", answer)
			}
		}
	})
}

// The downgrade matrix at the authorization endpoint, for public and confidential
// clients alike.
func TestTrap01ChallengeMatrix(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.owner, true, time.Now())
		right := challengeOf(verifier)
		for _, client := range []string{"app", "shop"} {
			for _, c := range [][2]string{{"-", "-"}, {"-", "S256"}, {"-", "plain"}, {"", "S256"}, {right, "-"}, {right, ""}, {right, "plain"}, {right, "s256"}, {right, "S256 plain"},
				{right[:42], "S256"}, {right + "A", "S256"}, {right + "=", "S256"}, {strings.Repeat("!", 43), "S256"}} {
				q := query(client, "code_challenge", c[0], "code_challenge_method", c[1])
				if got := answerOf(w.get("/authorize?"+q.Encode(), cookie)); got.Get("error") != "invalid_request" || got.Get("state") != "st4te" || got.Get("iss") != issuer {
					t.Errorf("%s %q: %v", client, c, got)
				}
			}
		}
	})
}

// A code belongs to the client and the redirect URI it was issued for.
func TestCodeBoundToItsRequest(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, change := range map[string]func(url.Values){
			"other uri": func(f url.Values) { f.Set("redirect_uri", "http://localhost:8082/callback") },
			"no uri":    func(f url.Values) { f.Del("redirect_uri") },
			"junk code": func(f url.Values) { f.Set("code", "x") },
			"no code":   func(f url.Values) { f.Del("code") },
		} {
			form := exchange("app", w.code("app"))
			change(form)
			res, answer := w.post("/token", "app", form)
			if res.StatusCode != 400 || answer["error"] != "invalid_grant" {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
		}
		res, answer := w.post("/token", "plain", exchange("plain", w.code("app")))
		refused(t, res, answer, 400, "invalid_grant")
	})
}

// Trap 6: nothing is stored under the raw code, or holds it.
func TestTrap06CodeIsHashed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code("app")
		if _, err := w.store.Token(t.Context(), "code", code); idp.KindOf(err) != idp.NotFound {
			t.Error("a row stands under the raw code")
		}
		row, err := w.store.Token(t.Context(), "code", signature(code))
		w.must(err)
		if strings.Contains(string(row.Data), code) {
			t.Error("the row holds the code")
		}
	})
}

// offline_access is left out for a client that cannot refresh, and without it there
// is no refresh token.
func TestRefreshTokenNeedsOfflineAccess(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if a := w.tokens("plain"); a["refresh_token"] != nil || strings.Contains(a["scope"].(string), "offline_access") {
			t.Errorf("%v", a)
		}
		if a := w.tokens("app", "scope", "openid"); a["refresh_token"] != nil {
			t.Errorf("%v", a)
		}
	})
}

// Trap 12 and RFC 6749 6: a refresh gives less when less is asked, never more.
func TestTrap12RefreshScope(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.tokens("app", "scope", "openid profile payments:read offline_access")
		form := refreshing(first["refresh_token"].(string))
		form.Set("scope", "openid payments:read")
		_, second := w.post("/token", "app", form)
		if second["scope"] != "openid payments:read" || payload(t, second["access_token"])["scope"] != "openid payments:read" {
			t.Fatalf("%v", second)
		}
		form.Set("refresh_token", second["refresh_token"].(string))
		form.Set("scope", "openid email")
		res, answer := w.post("/token", "app", form)
		refused(t, res, answer, 400, "invalid_scope")
		form.Del("scope")
		if _, third := w.post("/token", "app", form); third["scope"] != "openid profile payments:read offline_access" {
			t.Errorf("the refresh token itself was narrowed, or a refusal used it up: %v", third)
		}
	})
}

// Issue and RFC 9700 4.14.2: one successor for any number of parallel refreshes.
func TestParallelRefreshes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.tokens("app")["refresh_token"].(string)
		var mu sync.Mutex
		next := map[any]int{}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				res, answer := w.post("/token", "app", refreshing(first))
				if res.StatusCode != 200 {
					t.Errorf("%d %v", res.StatusCode, answer)
				}
				mu.Lock()
				next[answer["refresh_token"]]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if len(next) != 1 || next[first] > 0 {
			t.Fatalf("%d successors of one token", len(next))
		}
		for token := range next {
			if res, answer := w.post("/token", "app", refreshing(token.(string))); res.StatusCode != 200 {
				t.Errorf("the successor is refused: %v", answer)
			}
		}
	})
}

// The older of two tokens of the same instant is old all the same.
func TestReuseWithinTheSameSecondEndsTheFamily(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.tokens("shop")["refresh_token"].(string)
		_, second := w.post("/token", "shop", refreshing(a))
		_, third := w.post("/token", "shop", refreshing(second["refresh_token"].(string)))
		res, answer := w.post("/token", "shop", refreshing(a))
		refused(t, res, answer, 400, "invalid_grant")
		if w.active("shop", third["refresh_token"]) || w.active("shop", third["access_token"]) {
			t.Error("the family outlived the reuse")
		}
		if w.events("grant.reuse_detected") != 1 {
			t.Error("no event")
		}
	})
}

// A refresh token of another client is nothing, and nothing happens to it.
func TestRefreshForeignClient(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.tokens("shop")["refresh_token"].(string)
		res, answer := w.post("/token", "app", refreshing(token))
		refused(t, res, answer, 400, "invalid_grant")
		if !w.active("shop", token) {
			t.Error("a foreign client ended the family")
		}
		res, answer = w.post("/token", "plain", refreshing(token))
		refused(t, res, answer, 400, "unauthorized_client")
	})
}

// turn is a change of somebody's state, and the way back.
type turn struct {
	name     string
	do, undo func() error
}

func (w *world) turns() []turn {
	ctx := w.t.Context()
	user := func(from, to idp.UserStatus) func() error {
		return func() error { return second(w.store.SetUserStatus(ctx, w.owner.ID, from, to)) }
	}
	merchant := func(from, to idp.MerchantStatus) func() error {
		return func() error { return second(w.store.SetMerchantStatus(ctx, w.merchant.ID, from, to)) }
	}
	terminal := func(from, to idp.TerminalState) func() error {
		return func() error { return second(w.store.SetTerminalState(ctx, w.terminal.ID, from, to)) }
	}
	return []turn{
		{"user locked", func() error { return only(w.store.LockUser(ctx, w.owner.ID, "user")) }, func() error { return only(w.store.UnlockUser(ctx, w.owner.ID)) }},
		{"user disabled", user(idp.UserActive, idp.UserDisabled), user(idp.UserDisabled, idp.UserActive)},
		{"user left", user(idp.UserActive, idp.UserLeft), user(idp.UserLeft, idp.UserActive)},
		{"merchant suspended", merchant(idp.MerchantActive, idp.MerchantSuspended), merchant(idp.MerchantSuspended, idp.MerchantActive)},
		{"terminal lost", terminal(idp.TerminalActive, idp.TerminalLost), terminal(idp.TerminalLost, idp.TerminalActive)},
		{"terminal suspended", terminal(idp.TerminalActive, idp.TerminalSuspended), terminal(idp.TerminalSuspended, idp.TerminalActive)},
		{"client disabled", func() error { return w.disable(true) }, func() error { return w.disable(false) }},
	}
}

// ready makes what a grant type redeems.
func (w *world) ready(grant string) (client string, form url.Values) {
	switch grant {
	case grantCode:
		return "app", exchange("app", w.code("app"))
	case grantRefresh:
		return "terminal", refreshing(w.onTerminal()["refresh_token"].(string))
	case grantDevice:
		d := w.device()
		w.approve(d["user_code"].(string), w.owner, true)
		return "terminal", polling(d["device_code"])
	}
	return "settlement", url.Values{"grant_type": {grant}}
}

// onTerminal signs the owner in on the terminal.
func (w *world) onTerminal() map[string]any {
	w.t.Helper()
	client, form := w.ready(grantDevice)
	res, answer := w.post("/token", client, form)
	if res.StatusCode != 200 {
		w.t.Fatalf("%d %v", res.StatusCode, answer)
	}
	return answer
}

// Every grant looks at the state of everybody, at redemption. The list
// of grants is that of the token endpoint.
func TestEveryRedemptionLooksAtEverybody(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.p.Policy.Now().Device.Network.Burst = 1000
		for _, grant := range grants {
			for _, turn := range w.turns() {
				if grant == grantClient && turn.name != "client disabled" || grant == grantCode && strings.HasPrefix(turn.name, "terminal") {
					continue // nobody of them is party to it
				}
				client, form := w.ready(grant)
				w.must(turn.do())
				res, answer := w.post("/token", client, form)
				if res.StatusCode < 400 || res.StatusCode > 401 || answer["access_token"] != nil || !slices.Contains([]any{"invalid_grant", "access_denied", "invalid_client"}, answer["error"]) {
					t.Errorf("%s, %s: %d %v", turn.name, grant, res.StatusCode, answer)
				}
				w.must(turn.undo())
			}
			client, form := w.ready(grant)
			if res, answer := w.post("/token", client, form); res.StatusCode != 200 {
				t.Errorf("%s with everybody well: %v", grant, answer)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func (w *world) disable(disabled bool) error {
	for _, c := range []string{"app", "terminal", "settlement"} {
		if _, err := w.store.SetClientDisabled(w.t.Context(), c, disabled); err != nil {
			return err
		}
	}
	return nil
}

// A frozen person moves no money; a scope that the client lost is not given.
func TestScopesShrink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code("app", "scope", "openid payments:read payments:refund")
		w.done(w.store.FreezeUser(t.Context(), w.owner.ID, time.Now()))
		_, answer := w.post("/token", "app", exchange("app", code))
		if answer["scope"] != "openid payments:read" || answer["expires_in"] != 300.0 {
			t.Errorf("%v", answer)
		}
		w.done(w.store.UnfreezeUser(t.Context(), w.owner.ID))
		if a := w.tokens("app", "scope", "openid payments:refund"); a["scope"] != "openid payments:refund" || a["expires_in"] != 120.0 {
			t.Errorf("money for a fresh sign-in: %v", a)
		}
	})
}

func TestJSONHasNoNulls(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		raw, err := json.Marshal(payload(t, w.tokens("app")["id_token"]))
		w.must(err)
		if strings.Contains(string(raw), "null") {
			t.Errorf("%s", raw)
		}
	})
}
