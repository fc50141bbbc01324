package server_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
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

// A proof is one thing that a story shows, by its name.
func (b *browser) proves(login, what string, kit []string) *browser {
	b.t.Helper()
	channel := func(kind idp.IdentifierKind) *browser {
		n, way := b.world.contact(b.t, login, kind), "introduce:"+string(kind)
		if strings.Contains(b.text(), "已经证明") {
			way = "code:" + n.ID
		}
		return b.shows(way, n.Value)
	}
	switch what {
	case "phone":
		return channel(idp.IdentifierPhone)
	case "mail":
		return channel(idp.IdentifierEmail)
	case "totp":
		return b.by("totp").submit("code", b.world.code(b.t, login))
	case "kit":
		return b.by("kit").submit("code", kit[0])
	case "terminal":
		return b.by("terminal").confirms(login)
	}
	return b.by("password").submit("password", storyPassword)
}

// replaces gives whatever the pages of a recovery ask for, to its end or to where it is refused.
func (b *browser) replaces() *browser {
	b.t.Helper()
	if b.has("again") {
		b.chooses()
	}
	if b.has("factor") {
		if b.submit("factor", "totp"); b.Status == 200 && strings.Contains(b.URL.Path, "enrol") {
			enrol(b.t, b)
		}
	}
	return b
}

// State is looked at when a recovery ends, not only when it begins, be it at once or after a
// wait: who the person is, what was shown, and where it was confirmed.
func TestLessonStateAtTheEnd(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		removed := func(u idp.User, login string, kind idp.IdentifierKind) {
			must2(store.RemoveIdentifier(ctx, u.ID, w.contact(t, login, kind).ID, time.Now()))(t)
		}
		bound := func(u idp.User, kind idp.IdentifierKind, value string) {
			must(t, store.AddIdentifier(ctx, &idp.Identifier{UserID: u.ID, Kind: kind, Value: value, VerifiedAt: time.Now()}))
		}
		password := func(u idp.User, login string) {
			c := w.held(t, login, idp.MethodPassword)
			must2(store.ReplaceCredential(ctx, c.ID, c.Version, storyHash()))(t)
		}
		ways := map[string][2][]string{ // what is shown, for an immediate one and for one that waits
			"password": {{"phone", "totp"}, {"phone"}}, "mail": {{"mail", "totp"}, {"mail"}}, "second": {{"password", "kit"}, {"password", "phone"}}, "both": {{"phone", "terminal"}, {"kit", "terminal"}}}
		for i, c := range []struct {
			name, shown string
			flip        func(u idp.User, login string)
			back        func(u idp.User)
			void        bool // the page says that it is void, and so it is
		}{
			{name: "locked", shown: "password", flip: func(u idp.User, _ string) { must2(store.LockUser(ctx, u.ID, "support"))(t) }},
			{name: "frozen", shown: "password", flip: func(u idp.User, _ string) { must2(store.FreezeUser(ctx, u.ID, time.Now()))(t) }},
			{name: "left", shown: "password", flip: func(u idp.User, _ string) { must2(store.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserLeft))(t) }},
			{name: "disabled", shown: "password", flip: func(u idp.User, _ string) {
				must2(store.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserDisabled))(t)
			}},
			{name: "handover", shown: "password", void: true, flip: func(u idp.User, _ string) {
				must(t, store.AddHandover(ctx, &idp.Handover{MerchantID: u.MerchantID, From: u.ID, To: w.user(t, w.Users["manager"].Username).ID, Joined: true, ProposedAt: time.Now(), DueAt: time.Now().Add(100 * time.Hour)}))
			}, back: func(u idp.User) {
				h := must2(store.RunningHandover(ctx, u.MerchantID))(t)
				must2(store.DropHandover(ctx, *h, idp.HandoverStopped, "frozen", time.Now(), idp.Event{Actor: "system"}))(t)
			}},
			{name: "disputed", shown: "password", void: true, flip: func(_ idp.User, login string) {
				must(t, store.Dispute(ctx, w.contact(t, login, idp.IdentifierPhone).ID, time.Now().Add(100*time.Hour)))
			}},
			{name: "phone.removed", shown: "password", void: true, flip: func(u idp.User, login string) { removed(u, login, idp.IdentifierPhone) }},
			{name: "phone.replaced", shown: "password", void: true, flip: func(u idp.User, login string) {
				removed(u, login, idp.IdentifierPhone)
				bound(u, idp.IdentifierPhone, "+8613920"+login[len(login)-6:])
			}},
			{name: "mail.changed", shown: "mail", void: true, flip: func(u idp.User, login string) {
				removed(u, login, idp.IdentifierEmail)
				bound(u, idp.IdentifierEmail, "other."+u.ID+"@example.com")
			}},
			{name: "password.changed", shown: "second", void: true, flip: password},
			{name: "factor.blocked", shown: "password", flip: func(_ idp.User, login string) {
				must2(store.BlockCredential(ctx, w.holds(t, login, idp.MethodTOTP), "clone"))(t)
			}},
			{name: "terminal.lost", shown: "both", void: true, flip: func(idp.User, string) {
				must2(store.SetTerminalState(ctx, w.till(t).ID, idp.TerminalActive, idp.TerminalLost))(t)
			}, back: func(idp.User) { must2(store.ReviveTerminal(ctx, w.tillID(t), idp.TerminalLost, time.Now()))(t) }},
		} {
			for how, name := range []string{"now", "wait"} {
				n := strconv.Itoa(120000 + 10*i + how)
				login, phone, name := "p"+n, "+8613910"+n, c.name+", "+name
				_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "某人"}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com", NoSignIn: true}, "203.0.113.61")
				time.Sleep(8 * 24 * time.Hour)
				w.till(t)
				b := w.from(t, "203.0.113.61")
				b.lost(strings.Replace(c.shown, "mail", "password", 1), login)
				for _, what := range ways[c.shown][how] {
					b.proves(login, what, kit)
				}
				b.submit("do", "go")
				before := map[idp.Method]string{}
				if how == 1 {
					b.see(200, "还要等")
					time.Sleep(time.Hour)
				}
				time.Sleep(time.Second)
				c.flip(w.user(t, login), login)
				for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP} {
					x := w.held(t, login, m)
					before[m] = x.ID + strconv.FormatInt(x.Version, 10)
				}
				if how == 1 {
					if r := w.recoveries(t, login); len(r) == 1 {
						time.Sleep(time.Until(r[0].DueAt) + time.Minute)
					}
					b.open(b.URL.String())
				}
				b.replaces()
				if how == 1 && c.name == "factor.blocked" { // it was not shown for this one
					b.see(200, "找回来了")
					continue
				}
				if strings.Contains(b.text(), "找回来了") || b.Status >= 500 {
					t.Errorf("%s: %d %s", name, b.Status, b.text())
				}
				if c.void && !strings.Contains(b.text(), "这个找回作废了") {
					t.Errorf("%s: %d %s", name, b.Status, b.text())
				}
				for m, was := range before {
					if x := w.held(t, login, m); x.ID+strconv.FormatInt(x.Version, 10) != was {
						t.Errorf("%s: %s is another", name, m)
					}
				}
				for _, r := range w.recoveries(t, login) {
					if r.State == idp.RecoveryDone || c.void && r.State != idp.RecoveryVoid {
						t.Errorf("%s: %s", name, r.State)
					}
				}
				if c.void && how == 1 && (len(w.notices(t, login, "recovery.void")) == 0 || w.user(t, login).Withholds(time.Now()) != idp.WithholdNothing) {
					t.Errorf("%s: nobody was told, or still withheld", name)
				}
				if c.back != nil {
					c.back(w.user(t, login))
				}
			}
		}
	})
}

// Whose merchant is suspended signs in, and so he gets back in.
func TestRecoveryOfTheSuspended(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for _, name := range []string{"now", "wait"} {
			login := "susp." + name
			_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: map[string]string{"now": "+8613910000701", "wait": "+8613910000702"}[name], Mail: login + "@example.com", NoSignIn: true}, "203.0.113.61")
			time.Sleep(8 * 24 * time.Hour)
			b := w.from(t, "203.0.113.61")
			b.lost("password", login).proves(login, "phone", kit)
			if name == "now" {
				b.proves(login, "totp", kit)
			}
			b.submit("do", "go")
			m := w.merchant(t)
			must2(w.Service.Store.SetMerchantStatus(t.Context(), m.ID, idp.MerchantActive, idp.MerchantSuspended))(t)
			if name == "wait" {
				time.Sleep(time.Until(w.recoveries(t, login)[0].DueAt) + time.Minute)
				b.open(b.URL.String())
			}
			b.chooses().see(200, "找回来了")
			must2(w.Service.Store.SetMerchantStatus(t.Context(), m.ID, idp.MerchantSuspended, idp.MerchantActive))(t)
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

// No message of a recovery is built from the Host of the request.
func TestLessonHostileHost(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "host.one", TOTP: true, Phone: "+8613910000051", Mail: "host.one@example.com"}, "203.0.113.64")
		b := w.from(t, "203.0.113.64")
		b.lost("both", "host.one").shows("introduce:email", "host.one@example.com")
		form := url.Values{"do": {"go"}}
		var cookies []string // which the client keeps from another host
		for _, c := range b.client.Jar.Cookies(b.URL) {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		res := b.once("POST", b.URL.Path, form, "Cookie", strings.Join(cookies, "; "), "Host", "evil.example", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example")
		if r := w.recoveries(t, "host.one"); len(r) != 1 {
			t.Fatalf("%d at %s: %+v", res.StatusCode, b.URL.Path, r)
		}
		links := regexp.MustCompile(`https?://[^\s"<>]+`)
		for _, m := range w.notices(t, "host.one", "recovery.started") {
			for _, link := range links.FindAllString(m.Body+m.HTML, -1) {
				if !strings.HasPrefix(link, w.Issuer) {
					t.Errorf("a link to %s", link)
				}
			}
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
