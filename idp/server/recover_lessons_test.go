package server_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/session"
)

// What went wrong in the recovery of others, each as a test on ours.

// recovers walks to the page of the new password with phone and app code.
func (w *demoWorld) recovers(t *testing.T, login, phone, address string) *browser {
	t.Helper()
	b := w.from(t, address)
	b.lost("password", login).shows("introduce:phone", phone)
	b.by("totp").submit("code", w.code(t, login)).see(200, "可以继续了").submit("do", "go").see(200, "密码")
	return b
}

// A link that was mailed works once, however many follow it at the same time, and not at all
// after a newer one.
func TestLessonMailedLinkOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		ctx, store, u := context.Background(), w.Service.Store, w.user(t, "lin.wei")
		now := time.Now()
		c := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: now, DueAt: now.Add(time.Hour), Data: map[string]any{"lost": "both"}}
		must(t, store.OpenCase(ctx, &c))
		link := func() string {
			token := idp.NewToken()
			must(t, store.CreateLink(ctx, session.Hash(token), idp.Link{Kind: idp.LinkCase, UserID: u.ID, Object: c.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
			return token
		}
		token := link()
		b := w.browser(t)
		b.open("/recover/case?t="+token).see(200, "接着找回账户") // and changes nothing: scanners follow links
		var won int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				_, err := store.UseLink(ctx, session.Hash(token), idp.LinkCase, time.Now())
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				}
			})
		}
		all.Wait()
		if won != 1 {
			t.Errorf("%d of 16 got it", won)
		}
		b.submit("token").see(410, "")
		older := link()
		must(t, store.VoidLinks(ctx, u.ID, idp.LinkCase))
		b.open("/recover/case?t="+older).see(410, "")
		// A link of a case that nobody approved begins nothing, nor does one for something else.
		b.open("/recover/case?t="+link()).submit("token").see(410, "")
		freeze := idp.NewToken()
		must(t, store.CreateLink(ctx, session.Hash(freeze), idp.Link{Kind: idp.LinkFreeze, UserID: u.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
		b.open("/recover/case?t="+freeze).see(410, "")
		if len(w.recoveries(t, "lin.wei")) != 0 {
			t.Error("a recovery began")
		}
	})
}

// State is looked at when the recovery ends, not only when it begins: locked, frozen, left,
// disabled, in hand-over, or the channel gone meanwhile.
func TestLessonStateAtTheEnd(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		for name, flip := range map[string]func(u idp.User){
			"locked":   func(u idp.User) { must2(store.LockUser(ctx, u.ID, "support"))(t) },
			"frozen":   func(u idp.User) { must2(store.FreezeUser(ctx, u.ID, time.Now()))(t) },
			"left":     func(u idp.User) { must2(store.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserLeft))(t) },
			"disabled": func(u idp.User) { must2(store.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserDisabled))(t) },
			"disputed": func(u idp.User) {
				must(t, store.Dispute(ctx, w.contact(t, "end."+u.Name, idp.IdentifierPhone).ID, time.Now().Add(time.Hour)))
			},
			"blocked": func(u idp.User) {
				must2(store.BlockCredential(ctx, w.holds(t, "end."+u.Name, idp.MethodTOTP), "clone"))(t)
			},
		} {
			login, phone := "end."+name, "+86139100000"+map[string]string{"locked": "21", "frozen": "22", "left": "23", "disabled": "24", "disputed": "25", "blocked": "26"}[name]
			w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: name}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com", NoSignIn: true}, "203.0.113.61")
			time.Sleep(8 * 24 * time.Hour)
			b := w.recovers(t, login, phone, "203.0.113.61")
			flip(w.user(t, login))
			b.submit("password", newPassword, "again", newPassword)
			if strings.Contains(b.text(), "找回来了") || w.held(t, login, idp.MethodPassword).Version != 1 {
				t.Errorf("%s: recovered all the same", name)
			}
			for _, r := range w.recoveries(t, login) {
				if r.State == idp.RecoveryDone {
					t.Errorf("%s: done", name)
				}
			}
		}
	})
}

// The flow is its browser's, and moves to another address with every proof.
func TestLessonFlowIsBound(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "bound.one", TOTP: true, Phone: "+8613910000031", Mail: "bound.one@example.com"}, "203.0.113.62")
		b := w.from(t, "203.0.113.62")
		b.lost("password", "bound.one")
		before := strings.Split(b.URL.Path, "/")[2]
		b.shows("introduce:phone", "+8613910000031")
		after := strings.Split(b.URL.Path, "/")[2]
		if before == after {
			t.Error("the address stays after a proof")
		}
		b.once("GET", "/flows/"+before, nil)
		if res := b.once("GET", "/flows/"+before, nil); res.StatusCode != http.StatusGone {
			t.Errorf("the old address: %d", res.StatusCode)
		}
		other := w.from(t, "203.0.113.62")
		other.open("/flows/"+after).see(410, "")
		other.lost("password", "bound.one") // has a binding of its own now
		other.open("/flows/"+after).see(410, "")
	})
}

// The next person at the same browser meets nothing of who recovered there.
func TestLessonSharedTill(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "前一位"}, Login: "till.first", TOTP: true, Phone: "+8613910000041", Mail: "till.first@example.com", NoSignIn: true}, "203.0.113.63")
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "后一位"}, Login: "till.next", TOTP: true, Phone: "+8613910000042", Mail: "till.next@example.com", NoSignIn: true}, "203.0.113.63")
		time.Sleep(8 * 24 * time.Hour)
		b := w.recovers(t, "till.first", "+8613910000041", "203.0.113.63")
		b.chooses().see(200, "找回来了")
		if strings.Contains(b.Body, "前一位") || strings.Contains(b.Body, "till.first") {
			t.Error("the last page names who it was")
		}
		for _, path := range []string{"/recover", "/recover/done", "/sign-in"} {
			if b.open(path); strings.Contains(b.Body, "till.first") || strings.Contains(b.Body, "前一位") {
				t.Errorf("%s names who was here before", path)
			}
		}
		b.lost("password", "till.next").see(200, "怎么证明是您")
		if strings.Contains(b.Body, "till.first") || strings.Contains(b.Body, "139****0041") {
			t.Error("the next one sees the first one's")
		}
	})
}

// Wrong codes end, however they are written and wherever they are tried: ten in all of an
// account, five of one code.
func TestLessonTriesEnd(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "tries.one", TOTP: true, Phone: "+8613910000061", Mail: "tries.one@example.com"}, "203.0.113.65")
		wrong := 0
		for flow := 0; flow < 4; flow++ {
			time.Sleep(3 * time.Hour)
			b := w.from(t, "203.0.113.65")
			b.lost("password", "tries.one").by("introduce:phone")
			if b.has("resend") && !b.has("code") {
				b.submit("resend")
			}
			right := w.recoveryCode(t, "+8613910000061")
			for try := range 6 {
				guess := []byte(right)
				guess[try] = '0' + (guess[try]-'0'+1)%10
				typed := string(guess[:4]) + " " + string(guess[4:])
				if b.has("code") {
					b.submit("code", typed)
					wrong++
				}
			}
			if wrong > 10 && b.has("code") {
				if b.submit("code", right); strings.Contains(b.text(), "已经证明") {
					t.Fatalf("after %d wrong codes the right one is taken", wrong)
				}
			}
		}
		if len(w.recoveries(t, "tries.one")) != 0 {
			t.Error("something began")
		}
	})
}
