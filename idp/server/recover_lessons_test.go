package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// approved is a case about somebody that two people approved, of everything or what else is lost.
func (w *demoWorld) approved(t *testing.T, u idp.User, lost ...idp.Lost) idp.Case {
	t.Helper()
	ctx, store, now := t.Context(), w.Service.Store, time.Now()
	c := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: now, DueAt: now.Add(time.Hour), Data: map[string]any{"lost": string(append(lost, idp.LostBoth)[0])}}
	must(t, store.OpenCase(ctx, &c))
	must2(store.ReadyCase(ctx, c.ID, now, now.Add(time.Hour)))(t)
	c.Outcome, c.DecidedBy, c.ClosedAt = idp.OutcomeApproved, w.user(t, "luo.bin").ID, now
	if ok := must2(store.DecideCase(ctx, c))(t); !ok {
		t.Fatal("not approved")
	}
	return c
}

// linkTo mails a link of a kind, about a thing, in the place of any before.
func (w *demoWorld) linkTo(t *testing.T, u idp.User, kind idp.LinkKind, object string) (token string) {
	t.Helper()
	token = idp.NewToken()
	must(t, w.Service.Store.VoidLinks(t.Context(), u.ID, kind))
	must(t, w.Service.Store.CreateLink(t.Context(), session.Hash(token), idp.Link{Kind: kind, UserID: u.ID, Object: object, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}))
	return token
}

// A link that was mailed begins one recovery, however many follow it at the same time, and
// none after a newer one.
func TestLessonMailedLinkOnce(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.user(t, "lin.wei")
		c := w.approved(t, u)
		token := w.linkTo(t, u, idp.LinkCase, c.ID)
		browsers := make([]*browser, 16)
		for i := range browsers {
			browsers[i] = w.from(t, fmt.Sprintf("203.0.113.%d", i+1))
			browsers[i].open("/recover/case?t="+token).see(200, "接着找回账户") // and changes nothing: scanners follow links
		}
		statuses, places := inParallel(len(browsers), func(i int) *http.Response {
			return browsers[i].once("POST", "/recover/case", url.Values{"token": {token}})
		})
		if statuses[303] != 1 || statuses[410] != len(browsers)-1 || len(places) != 1 {
			t.Errorf("%v, to %v: one recovery is begun", statuses, places)
		}
		b := browsers[0]
		b.submit("token").see(410, "")

		older := w.linkTo(t, u, idp.LinkCase, c.ID)
		b.open("/recover/case?t="+older).see(200, "接着找回账户")
		newer := w.linkTo(t, u, idp.LinkCase, c.ID)
		b.submit("token").see(410, "")
		b.open("/recover/case?t="+newer).submit("token").see(200, "要等一段时间")

		// A link of a case that nobody approved begins nothing, nor does one for something else.
		open := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: time.Now(), DueAt: time.Now().Add(time.Hour), Data: map[string]any{"lost": "both"}}
		must(t, w.Service.Store.OpenCase(t.Context(), &open))
		b.open("/recover/case?t="+w.linkTo(t, u, idp.LinkCase, open.ID)).submit("token").see(410, "")
		freeze := w.linkTo(t, u, idp.LinkFreeze, "")
		b.open("/recover/case?t="+freeze).see(410, "")
		b.post("/recover/case", url.Values{"token": {freeze}}).see(410, "")
		if len(w.recoveries(t, "lin.wei")) != 0 {
			t.Error("a recovery began")
		}
	})
}

// A code of a recovery is one proof in one flow, however many bring it at the same time: one
// that was sent, one from the paper, one that was told in the shop. An older one is nothing
// after a newer, nor is one of another flow.
func TestLessonCodeOnce(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "once.one", TOTP: true, Phone: "+8613910000101", Mail: "once.one@example.com", NoSignIn: true}, "203.0.113.91")
		time.Sleep(8 * 24 * time.Hour)
		store, u := w.Service.Store, w.user(t, "once.one")
		proofs := func() int { return len(w.events(t, "once.one", "recovery.proof")) }
		// race brings an answer sixteen times at once, at the pages of as many browsers as there are.
		race := func(what, code string, at ...*browser) {
			t.Helper()
			before := proofs()
			statuses, _ := inParallel(16, func(i int) *http.Response {
				return at[i%len(at)].once("POST", at[i%len(at)].URL.Path, url.Values{"code": {code}})
			})
			if n := proofs() - before; n != 1 {
				t.Errorf("%s: %d proofs of one code: %v", what, n, statuses)
			}
		}
		at := func(address, way string) *browser { return w.from(t, address).lost("both", "once.one").asked(way) }

		// Sent to the phone: of a flow of its own, in that flow's browser, the newest.
		phone := at("203.0.113.91", "introduce:phone")
		older := w.recoveryCode(t, "+8613910000101")
		time.Sleep(2 * time.Minute)
		phone.open(phone.URL.Path).submit("resend") // the page asks for a little work anew
		newer := w.recoveryCode(t, "+8613910000101")
		if older == newer {
			t.Fatalf("nothing was sent again: %s", phone.text())
		}
		phone.submit("code", older).see(422, "")
		elsewhere := at("203.0.113.92", "introduce:email")
		elsewhere.submit("code", newer).see(422, "")
		if n := proofs(); n != 0 {
			t.Errorf("%d proofs by an older code or in another flow", n)
		}
		race("sent", newer, phone)
		after := w.from(t, "203.0.113.93").lost("both", "once.one")
		time.Sleep(2 * time.Minute)
		after.asked("introduce:phone").submit("code", newer).see(422, "")

		// From the paper: in two browsers at once.
		race("kit", kit[0], at("203.0.113.94", "kit"), at("203.0.113.95", "kit"))
		at("203.0.113.96", "kit").submit("code", kit[0]).see(422, "")

		// Told in the shop: the newest, in two browsers at once.
		for _, code := range []string{"48219130", "73310528"} {
			must(t, store.SetShopCode(t.Context(), u.ID, w.user(t, "lin.wei").ID, store.ShopCodeMAC(u.ID, code), time.Now().Add(15*time.Minute)))
		}
		one, two := at("203.0.113.97", "shop"), at("203.0.113.98", "shop")
		one.submit("code", "48219130").see(422, "")
		race("shop", "73310528", one, two)
		if len(w.recoveries(t, "once.one")) != 0 {
			t.Error("a recovery began by itself")
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

// The next person at the same browser meets nothing of who recovered there: no cookie of
// his, no byte of him on any page or in any token.
func TestLessonSharedTill(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "前一位"}, Login: "till.first", TOTP: true, Phone: "+8613910000041", Mail: "till.first@example.com", NoSignIn: true}, "203.0.113.63")
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "后一位"}, Login: "till.next", TOTP: true, Phone: "+8613910000042", Mail: "till.next@example.com", NoSignIn: true}, "203.0.113.63")
		time.Sleep(8 * 24 * time.Hour)
		first, next := w.user(t, "till.first"), w.user(t, "till.next")
		his := []string{"前一位", "till.first", "13910000041", "139****0041", first.ID}
		clean := func(what, text string) {
			t.Helper()
			for _, word := range his {
				if strings.Contains(text, word) {
					t.Errorf("%s holds %q of who was here before", what, word)
				}
			}
		}
		// He was signed in at this till when he lost his password, and is known to it.
		till := w.from(t, "203.0.113.63")
		till.open("/sign-in").signIn("till.first").see(200, "前一位")
		session := till.cookie("hufu-s").Value
		till.lost("password", "till.first").shows("introduce:phone", "+8613910000041").by("totp")
		time.Sleep(time.Minute) // a code of the app works once
		till.open(till.URL.Path).submit("code", w.code(t, "till.first")).submit("do", "go").see(200, "密码").chooses().see(200, "找回来了")
		clean("the last page", till.Body)
		if c := till.cookie("hufu-s"); c != nil || len(w.sessions(t, "till.first")) != 0 {
			t.Errorf("he is signed in still, or his cookie stays: %v", c)
		}
		flow := till.URL.Path
		for _, path := range []string{"/recover", "/recover/done", "/sign-in", "/account", "/kit", flow} {
			till.open(path)
			clean(path, till.Body)
		}

		// The next one signs in to the application there.
		app := w.quietApp("merchant_app")
		got := app.signIn(t, till, "till.next")
		if got.Status != 200 || got.ID == "" {
			t.Fatalf("%+v", got)
		}
		var id, access map[string]any
		for token, into := range map[string]*map[string]any{got.ID: &id, got.Access: &access} {
			parts := strings.Split(token, ".")
			must(t, json.Unmarshal(decode(t, parts[1]), into))
			clean("a token", string(decode(t, parts[1])))
		}
		if id["sub"] != next.ID || access["sub"] != next.ID {
			t.Errorf("tokens of %v and %v, want %s", id["sub"], access["sub"], next.ID)
		}
		for _, path := range []string{"/account", "/account/factors", "/account/contacts", "/account/devices", "/account/apps", "/account/activity", "/account/data"} {
			till.open(path).see(200, "")
			clean(path, till.Body)
		}
		for _, b := range must2(w.Service.Store.Browsers(t.Context(), first.ID))(t) {
			if b.Trusted(time.Now()) { // it may be known to him: that spares him waits and proves nothing
				t.Errorf("the till is trusted: %+v", b)
			}
		}
		// Nor does the cookie that he had open anything again.
		till.set("hufu-s", session)
		till.open("/account").see(200, "登录名")
		till.lost("password", "till.next").see(200, "怎么证明是您")
		clean("the door", till.Body)
	})
}

// Ten wrong codes of an account close them all, whichever flow, channel or replica they come
// to, and however they are written: the right answer of a code that was never tried does
// nothing more, until time gives one back.
func TestLessonTriesEnd(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "tries.one", TOTP: true, Phone: "+8613910000061", Mail: "tries.one@example.com"}, "203.0.113.65")
		other := w.twin(t)
		ways := map[string]string{"introduce:phone": "+8613910000061", "introduce:email": "tries.one@example.com"}
		flow := 0
		// asks begins a flow at both replicas in turn, and has a code sent there.
		asks := func(way string) (b *browser, right string) {
			t.Helper()
			time.Sleep(3 * time.Hour)
			flow++
			b = w.from(t, fmt.Sprintf("203.0.113.%d", 100+flow)).between(w, other)
			b.lost("password", "tries.one").asked(way).see(200, "验证码")
			return b, w.recoveryCode(t, ways[way])
		}
		for _, way := range []string{"introduce:phone", "introduce:email"} {
			b, right := asks(way)
			for try := range 5 {
				guess := []byte(right)
				guess[try] = '0' + (guess[try]-'0'+1)%10
				if b.submit("code", spell(string(guess), []rune{'0', '０'}[try%2], []string{"", " ", "\u3000"}[try%3])); b.Status < 400 {
					t.Fatalf("the wrong code is answered %d", b.Status)
				}
			}
		}
		for way := range ways {
			b, right := asks(way)
			if b.submit("code", right); b.Status < 400 || len(w.events(t, "tries.one", "recovery.proof")) != 0 {
				t.Errorf("%s: after ten wrong codes the right one of another is taken: %d", way, b.Status)
			}
		}
		if len(w.recoveries(t, "tries.one")) != 0 {
			t.Error("something began")
		}
		time.Sleep(4 * 24 * time.Hour)
		b, right := asks("introduce:phone")
		b.submit("code", right).see(200, "139****0061") // so it was this that stopped it
	})
}

// twin is another server on the same database.
func (w *demoWorld) twin(t *testing.T) *demoWorld {
	t.Helper()
	other := startWorld(t, w.cfg, w.dir)
	other.Service.Rest()
	return other
}

// restart stops the server, lets time pass without one, and starts n of them.
func (w *demoWorld) restart(t *testing.T, down time.Duration, n int) {
	t.Helper()
	for _, s := range append(w.beside, w.Service) {
		must(t, s.Close())
	}
	w.beside = nil
	time.Sleep(down)
	w.Service = startWorld(t, w.cfg, w.dir).Service
	for range n - 1 {
		w.beside = append(w.beside, startWorld(t, w.cfg, w.dir).Service)
	}
}

// What waits outlives the server: stopped before the middle, over the middle and over the
// end, it goes on where it was, is due when it was, and is told of once each.
func TestLessonRestartWhileItWaits(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "restart.one", TOTP: true, Phone: "+8613910000071", Mail: "restart.one@example.com", NoSignIn: true}, "203.0.113.66")
		time.Sleep(8 * 24 * time.Hour)
		b := w.from(t, "203.0.113.66")
		b.lost("both", "restart.one").shows("introduce:phone", "+8613910000071").submit("do", "go").see(200, "还要等")
		r := w.recoveries(t, "restart.one")[0]
		told := func(when string, want ...string) {
			t.Helper()
			time.Sleep(time.Minute) // in which the jobs look
			for _, template := range []string{"recovery.started", "recovery.reminded", "recovery.soon", "recovery.due", "recovery.completed"} {
				n := 0
				if slices.Contains(want, template) {
					n = 2 // by phone and by mail
				}
				if got := len(w.notices(t, "restart.one", template)); got != n {
					t.Errorf("%s: %d of %s, want %d", when, got, template, n)
				}
			}
			if now := w.recoveries(t, "restart.one"); when != "done" && (len(now) != 1 || now[0].State != idp.RecoveryWaiting || !now[0].DueAt.Equal(r.DueAt) || !now[0].StartedAt.Equal(r.StartedAt)) {
				t.Errorf("%s: %+v, was %+v", when, now, r)
			}
		}
		half := r.DueAt.Sub(r.StartedAt) / 2
		w.restart(t, time.Hour, 1)
		told("before the middle", "recovery.started")
		b.open(b.URL.Path).see(200, "还要等")
		w.restart(t, half, 2)
		told("after the middle", "recovery.started", "recovery.reminded")
		b.open(b.URL.Path).see(200, "还要等")
		time.Sleep(time.Until(r.DueAt.Add(-10 * time.Minute)))
		told("before the end", "recovery.started", "recovery.reminded", "recovery.soon")
		b.open(b.URL.Path).see(200, "还要等")
		if w.user(t, "restart.one").Withholds(time.Now()) != idp.WithholdMoney {
			t.Error("money is not withheld any more")
		}
		w.restart(t, time.Hour, 2)
		told("after the end", "recovery.started", "recovery.reminded", "recovery.soon", "recovery.due")
		b.open(b.URL.Path).see(200, "密码")
		w.restart(t, time.Minute, 1)
		b.chooses().see(200, "找回来了")
		told("done", "recovery.started", "recovery.reminded", "recovery.soon", "recovery.due", "recovery.completed")
		if rs := w.recoveries(t, "restart.one"); len(rs) != 1 || rs[0].State != idp.RecoveryDone || w.held(t, "restart.one", idp.MethodPassword).Version == 1 {
			t.Errorf("%+v", rs)
		}
	})
}

// between has a browser speak to two servers, to each in its turn.
func (b *browser) between(one, two *demoWorld) *browser {
	n, handlers := 0, []http.Handler{one.Service.Handler(), two.Service.Handler()}
	b.client.Transport.(*inProcess).handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		handlers[n%2].ServeHTTP(w, r)
	})
	return b
}
