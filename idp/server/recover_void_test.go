package server_test

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/templates"
)

// asked are the live notices of a person at a terminal of his shop.
func (w *demoWorld) asked(t *testing.T, login string) (out []idp.TerminalNotice) {
	t.Helper()
	list, err := w.Service.Store.TerminalNotices(t.Context(), w.till(t), time.Now())
	must(t, err)
	return slices.DeleteFunc(list, func(n idp.TerminalNotice) bool { return n.UserID != w.user(t, login).ID })
}

// till is a terminal of the shop that works, for long and lately.
func (w *demoWorld) till(t *testing.T) idp.Terminal {
	t.Helper()
	store, ctx := w.Service.Store, t.Context()
	till := must2(store.TerminalBySerial(ctx, w.Terminals["smart"].Serial))(t)
	if till.State == idp.TerminalNew {
		must2(store.ActivateTerminal(ctx, till.ID, time.Now().Add(-30*24*time.Hour)))(t)
	}
	must(t, store.SeeTerminal(ctx, till, time.Now()))
	return must2(store.Terminal(ctx, till.ID))(t)
}

// tillID is its id, whatever has become of it.
func (w *demoWorld) tillID(t *testing.T) string {
	t.Helper()
	return must2(w.Service.Store.TerminalBySerial(t.Context(), w.Terminals["smart"].Serial))(t).ID
}

// confirms is who stands at the till and picks the digits that the page shows.
func (b *browser) confirms(login string) *browser {
	b.t.Helper()
	digits := b.big()
	for _, n := range b.world.asked(b.t, login) {
		for _, c := range n.Params.Choices {
			if n.Kind == idp.NoticeConfirm && digits == strconv.Itoa(c) {
				must2(b.world.Service.Store.AnswerTerminalNotice(b.t.Context(), n.ID, b.world.till(b.t), idp.NoticeConfirmed, c, time.Now()))(b.t)
				return b.submit("")
			}
		}
	}
	b.t.Fatal("no terminal asks")
	return b
}

// A recovery that another role makes void leaves nothing behind: what it kept back works
// again, no terminal offers to stop it, and who heard of it hears that it is over.
func TestVoidRecoveryLeavesNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{Login: "void.one", Phone: "+8613900020001", Mail: "void.one@example.com"}, "203.0.113.81")
		b := w.from(t, "203.0.113.81")
		b.lost("password", "void.one").shows("introduce:phone", "+8613900020001").submit("do", "go").see(200, "还要等")
		if len(w.asked(t, "void.one")) != 1 || w.user(t, "void.one").Withholds(time.Now()) != idp.WithholdMoney {
			t.Fatal("nothing to stop it by, or nothing withheld")
		}
		owner := w.from(t, "203.0.113.82")
		owner.open("/console/users/"+w.user(t, "void.one").ID+"/role").signIn("owner").see(200, "角色")
		owner.post(owner.URL.Path, url.Values{"role": {"manager"}, "store": {""}}).see(200, "")
		u := w.user(t, "void.one")
		if u.Role != idp.RoleManager || w.recoveries(t, "void.one")[0].State != idp.RecoveryVoid {
			t.Fatalf("%+v", w.recoveries(t, "void.one"))
		}
		if u.Withholds(time.Now()) != idp.WithholdNothing {
			t.Errorf("withheld %q until %v", u.Withheld, u.WithheldUntil)
		}
		if n := w.asked(t, "void.one"); len(n) != 0 {
			t.Errorf("terminals still ask: %+v", n)
		}
		if n := len(w.notices(t, "void.one", "recovery.void")); n != 2 {
			t.Errorf("%d notices, want phone and mail", n)
		}
		if n := len(w.notices(t, w.Users["owner"].Username, "recovery.other_void")); n != 2 {
			t.Errorf("%d notices to the owner of the shop", n)
		}
		if e := w.events(t, "void.one", "recovery.stopped"); len(e) != 1 || e[0].Data["cause"] != "role" || e[0].Actor != w.user(t, w.Users["owner"].Username).ID {
			t.Errorf("%+v", e)
		}
		b.open(b.URL.String()).see(200, "这个找回作废了")
	})
}

// Who is locked or disabled while a recovery of his waits comes back without it: the time that
// it waited is nobody's, and a code of the same phone begins at the beginning.
func TestLockEndsTheRecovery(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		m := w.Service.Manager()
		of := func(role idp.Role) manage.Actor {
			return manage.Actor{User: w.person(t, somebody{User: idp.User{Role: role}, Login: "of." + strings.ReplaceAll(string(role), "_", "."), NoSignIn: true}), Reason: "店主打电话来"}
		}
		agent, super := of(idp.RoleSupportAgent), of(idp.RoleSupportSupervisor)
		for i, c := range []struct {
			cause     string
			shut, out func(context.Context, manage.Actor, string) error
			by        manage.Actor
		}{{"locked", m.LockUser, m.UnlockUser, agent}, {"disabled", m.DisableUser, m.EnableUser, super}} {
			login, phone := "shut."+c.cause, "+861390002006"+strconv.Itoa(i)
			w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com", NoSignIn: true}, "203.0.113.81")
			time.Sleep(8 * 24 * time.Hour)
			w.from(t, "203.0.113.81").lost("password", login).shows("introduce:phone", phone).submit("do", "go").see(200, "还要等")
			r, u := w.recoveries(t, login)[0], w.user(t, login)
			must(t, c.shut(t.Context(), c.by, u.ID))
			time.Sleep(time.Until(r.DueAt) + time.Minute)
			must(t, c.out(t.Context(), super, u.ID))
			if got := w.recoveries(t, login)[0]; got.State != idp.RecoveryVoid || w.user(t, login).Withholds(time.Now()) != idp.WithholdNothing || len(w.asked(t, login)) != 0 {
				t.Errorf("%s: %s, withheld %q", c.cause, got.State, w.user(t, login).Withheld)
			}
			if n, e := len(w.notices(t, login, "recovery.void")), w.events(t, login, "recovery.stopped"); n != 2 || len(e) != 1 || e[0].Data["cause"] != c.cause {
				t.Errorf("%s: %d notices, %+v", c.cause, n, e)
			}
			b := w.from(t, "203.0.113.82")
			if b.lost("password", login).shows("introduce:phone", phone).submit("do", "go").see(200, "还要等"); b.has("password") {
				t.Errorf("%s: goes straight on", c.cause)
			}
			if got := w.recoveries(t, login)[0]; got.ID == r.ID || got.State != idp.RecoveryWaiting || time.Until(got.DueAt) < 12*time.Hour {
				t.Errorf("%s: %s, due at %v", c.cause, got.State, got.DueAt)
			}
		}
	})
}

// Strangers who know a name have the terminals of its shop ask, but not without end: one
// question a flow, a few an hour of account and shop, and never in the place of what the
// terminals say of others, nor of the owner who has shown something.
func TestTerminalsAreAskedSparingly(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "spare.one", TOTP: true, Phone: "+8613900020011", Mail: "spare.one@example.com"}, "203.0.113.83")
		names := []string{"spare.one", "13900020011", "spare.one@example.com"}
		for i := range 8 { // others of the shop
			p := somebody{Login: "spare.two." + strconv.Itoa(i), NoSignIn: true}
			w.person(t, p)
			names = append(names, p.Login)
		}
		store, u, till := w.Service.Store, w.user(t, "spare.one"), w.till(t)
		live := func() (all []idp.TerminalNotice) {
			return must2(store.TerminalNotices(t.Context(), till, time.Now()))(t)
		}
		mine := w.from(t, "203.0.113.83")
		mine.lost("both", "spare.one").shows("introduce:phone", "+8613900020011")
		b := w.from(t, "192.0.2.83")
		b.lost("both", "spare.one").by("terminal")
		for range 30 {
			b.submit("resend").see(200, "在店里的终端上确认")
			if n := len(live()); n > 1 {
				t.Fatalf("%d questions of one flow", n)
			}
		}
		for i, name := range names {
			for range 3 {
				w.from(t, "192.0.2."+strconv.Itoa(90+i)).lost("both", name).by("terminal").see(200, "在店里的终端上确认")
			}
		}
		if n := len(live()); n < 4 || n > 8 {
			t.Errorf("%d questions at once", n)
		}
		if n := len(w.asked(t, "spare.one")); n > 4 {
			t.Errorf("%d of one account", n)
		}
		must(t, store.QueueTerminalNotice(t.Context(), &idp.TerminalNotice{MerchantID: u.MerchantID, UserID: u.ID, Kind: idp.NoticeCode, CreatedAt: time.Now(), Until: time.Now().Add(time.Hour)}, 0))
		if !slices.ContainsFunc(live(), func(n idp.TerminalNotice) bool { return n.Kind == idp.NoticeCode }) {
			t.Error("the code of the shop is crowded out")
		}
		mine.by("terminal").confirms("spare.one").see(200, "可以继续了")
	})
}

// Whoever stops an account stops what people were to do for it, too: an open case that is to
// bring somebody back is refused, and the link of one that was approved is void for good.
func TestStopEndsTheCase(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		for i, by := range []string{"link", "session"} {
			login, phone := "case."+by, "+861390002003"+strconv.Itoa(i)
			old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"}, "203.0.113.85")
			u, now := w.user(t, login), time.Now()
			c := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: now, DueAt: now.Add(time.Hour), Data: map[string]any{"lost": "both"}}
			must(t, store.OpenCase(ctx, &c))
			must2(store.ReadyCase(ctx, c.ID, now, now.Add(time.Hour)))(t)
			c.Outcome, c.DecidedBy, c.ClosedAt = idp.OutcomeApproved, "two", now
			must2(store.DecideCase(ctx, c))(t)
			token := idp.NewToken()
			must(t, store.CreateLink(ctx, session.Hash(token), idp.Link{Kind: idp.LinkCase, UserID: u.ID, Object: c.ID, CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour)}))
			open := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: now, DueAt: now.Add(time.Hour), Data: map[string]any{"lost": "both"}}
			must(t, store.OpenCase(ctx, &open))
			must(t, w.Service.Manager().Notify(ctx, u, "case.recovery"))
			link, _ := w.linkOf(t, login, "case.recovery", stopLink)
			old.open("/sign-in").signIn(login)
			thief := w.from(t, "198.51.100.85")
			thief.open("/recover/case?t="+token).see(200, "接着找回账户")
			if by == "link" {
				w.from(t, "203.0.113.86").open(link).submit("token").see(200, "冻结了")
			} else {
				old.post("/account/freeze", nil).see(200, "冻结了")
			}
			if got := must2(store.Case(ctx, open.ID))(t); got.State != idp.CaseClosed || got.Outcome != idp.OutcomeRefused {
				t.Errorf("%s: %+v", by, got)
			}
			if e := w.events(t, login, "case.refused"); len(e) != 1 || e[0].Data["case"] != open.Number {
				t.Errorf("%s: %+v", by, e)
			}
			own := slices.DeleteFunc(w.cases(t, login), func(c idp.Case) bool { return c.State != idp.CaseOpen })
			if len(own) != 1 || own[0].Kind != idp.CaseFreeze {
				t.Errorf("%s: open %+v, want the case of the freeze", by, own)
			}
			time.Sleep(time.Minute)
			old.open("/sign-in")
			if by == "link" {
				old.signIn(login)
				time.Sleep(time.Minute)
			}
			old.post("/account/unfreeze", nil).see(200, "密码").submit("password", storyPassword).submit("code", w.code(t, login)).see(200, "解除")
			thief.submit("token").see(410, "")
			w.from(t, "198.51.100.86").open("/recover/case?t="+token).see(410, "")
			if n := len(w.recoveries(t, login)); w.user(t, login).Frozen || n != 0 {
				t.Errorf("%s: %d recoveries", by, n)
			}
		}
		// A case that a thief has opened meanwhile ends by the same link, of an account that is frozen already.
		u, now := w.user(t, "case.link"), time.Now()
		link, _ := w.linkOf(t, "case.link", "case.recovery", stopLink)
		w.from(t, "203.0.113.86").open(link).submit("token").see(200, "冻结了")
		later := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: now, DueAt: now.Add(time.Hour), Data: map[string]any{"lost": "both"}}
		must(t, store.OpenCase(ctx, &later))
		w.from(t, "203.0.113.86").open(link).submit("token").see(200, "冻结")
		if got := must2(store.Case(ctx, later.ID))(t); got.Outcome != idp.OutcomeRefused {
			t.Errorf("%+v", got)
		}
	})
}

// A terminal that was lost or suspended speaks for nobody until it has worked for a week again,
// however long it had before.
func TestReturnedTerminalProvesNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "again.one", TOTP: true, Phone: "+8613900020041", Mail: "again.one@example.com"}, "203.0.113.87")
		m, actor := w.Service.Manager(), manage.Actor{User: w.user(t, w.Users["owner"].Username), Reason: "在抽屉里"}
		recovers := func() *browser {
			b := w.from(t, "203.0.113.87")
			return b.lost("both", "again.one").proves("again.one", "terminal", kit)
		}
		w.till(t)
		recovers().see(200, "还差一样").proves("again.one", "phone", kit).see(200, "可以继续了")
		for _, c := range []struct{ away, back func() error }{
			{func() error { return m.LoseTerminal(t.Context(), actor, w.tillID(t)) }, func() error { return m.FoundTerminal(t.Context(), actor, w.tillID(t)) }},
			{func() error { return m.SuspendTerminal(t.Context(), actor, w.tillID(t)) }, func() error { return m.ReturnTerminal(t.Context(), actor, w.tillID(t)) }},
		} {
			time.Sleep(10 * time.Hour)
			must(t, c.away())
			must(t, c.back())
			w.till(t) // its next sign-in was approved, and it is seen
			recovers().proves("again.one", "phone", kit).see(200, templates.T("zh-CN", "recover.void.terminal")).see(200, "要等一段时间")
			time.Sleep(6 * 24 * time.Hour)
			w.till(t)
			recovers().see(200, templates.T("zh-CN", "recover.void.terminal"))
			time.Sleep(25 * time.Hour)
			w.till(t)
			recovers().proves("again.one", "phone", kit).see(200, "可以继续了")
		}
	})
}

// Whose account is being recovered lets nobody in meanwhile: no staff, role, code for the shop or
// new terminal, and a page says why; terminals that work go on, and so does he once he has
// withdrawn it. After a recovery at once that keeps less back all of that works.
func TestNothingIsAddedWhileItWaits(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "adds.one", TOTP: true, Phone: "+8613900020051", Mail: "adds.one@example.com"}, "203.0.113.88")
		w.add(t, somebody{Login: "adds.hand"})
		w.till(t)
		hand := w.user(t, "adds.hand").ID
		thief := w.from(t, "198.51.100.88")
		thief.lost("password", "adds.one").shows("introduce:phone", "+8613900020051").submit("do", "go").see(200, "还要等")
		time.Sleep(time.Minute)
		old.open("/sign-in").signIn("adds.one")
		pages := []string{"/console/staff/new", "/console/users/" + hand + "/role", "/console/users/" + hand + "/help"}
		for _, path := range pages {
			old.open(path).see(403, "不能加人、改角色、启用终端")
			old.post(path, url.Values{"role": {"manager"}, "store": {""}, "name": {"新人"}, "username": {"adds.new"}, "phone": {"13800000088"}, "reason": {"来帮忙"}}).see(403, "不能加人、改角色、启用终端")
		}
		if u := w.user(t, "adds.hand"); u.Role != idp.RoleCashier {
			t.Error("the role was changed")
		}
		fresh := w.asks(t, "", "BCDFGHJK")
		old.open("/device?user_code=BCDFGHJK").see(403, "不能加人、改角色、启用终端")
		old.post("/device", url.Values{"user_code": {"BCDFGHJK"}, "do": {"approve"}, "match": {"42"}}).see(403, "不能加人、改角色、启用终端")
		if s := w.state(t, fresh); s != idp.DevicePending {
			t.Errorf("a new device is %s", s)
		}
		daily := w.asks(t, "smart", "CCDFGHJK")
		old.open("/device?user_code=CCDFGHJK").see(200, "批准这台").submit("do", "approve", "match", "42").see(200, "已经批准")
		if s := w.state(t, daily); s == idp.DevicePending {
			t.Errorf("the terminal of every day is %s", s)
		}
		old.post("/account/recovery", nil).see(200, "找回已经取消")
		for _, path := range pages {
			old.open(path).see(200, "")
		}
		must(t, w.Service.Store.Withhold(t.Context(), w.user(t, "adds.one").ID, idp.WithholdPayee, time.Now().Add(time.Hour)))
		for _, path := range pages {
			old.open(path).see(200, "")
		}
	})
}

// The terminals of the shop say it each time that its person is told: at the start, half way,
// before the end, when the wait is over and when it is done, also of one at once; and at each
// time a tap freezes.
func TestTerminalsAreTold(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "told.one", TOTP: true, Phone: "+8613900020061", Mail: "told.one@example.com"}, "203.0.113.89")
		code := idp.TerminalNotice{MerchantID: w.user(t, "told.one").MerchantID, UserID: w.user(t, "told.one").ID, Kind: idp.NoticeCode, CreatedAt: time.Now(), Until: time.Now().Add(40 * 24 * time.Hour)}
		must(t, w.Service.Store.QueueTerminalNotice(t.Context(), &code, 0))
		b := w.from(t, "203.0.113.89")
		last := ""
		says := func(what string, done bool) idp.TerminalNotice {
			t.Helper()
			list := slices.DeleteFunc(w.asked(t, "told.one"), func(n idp.TerminalNotice) bool { return n.ID == code.ID })
			if len(list) != 1 || list[0].ID == last || list[0].Kind != idp.NoticeStop || !list[0].SeenAt.IsZero() || list[0].Params.Done != done || len(list[0].Params.Code) != 4 {
				t.Fatalf("%s: %+v", what, list)
			}
			last = list[0].ID
			must2(w.Service.Store.SeeTerminalNotice(t.Context(), last, w.till(t), time.Now()))(t)
			return list[0]
		}
		b.lost("password", "told.one").shows("introduce:phone", "+8613900020061").submit("do", "go").see(200, "还要等")
		says("start", false)
		r := w.recoveries(t, "told.one")[0]
		for _, c := range []struct {
			what string
			at   time.Duration
		}{{"middle", 12*time.Hour + time.Minute}, {"soon", 23*time.Hour + time.Minute}, {"due", 24*time.Hour + time.Minute}} {
			time.Sleep(time.Until(r.StartedAt.Add(c.at)))
			says(c.what, false)
			if n := len(w.asked(t, "told.one")); n != 2 {
				t.Errorf("%s: %d notices, want the code of the shop, too", c.what, n)
			}
		}
		b.open(b.URL.String()).chooses().see(200, "找回来了")
		says("done", true)
		time.Sleep(8 * 24 * time.Hour)
		if n := len(w.asked(t, "told.one")); n != 0 {
			t.Errorf("%d notices a week later", n)
		}
		entry := w.Users["told.one"]
		entry.Password = newPassword
		w.Users["told.one"] = entry
		b = w.from(t, "203.0.113.89")
		b.lost("password", "told.one").shows("introduce:phone", "+8613900020061").by("totp").submit("code", w.code(t, "told.one")).submit("do", "go")
		b.submit("password", "another lantern orchid 9 kettle", "again", "another lantern orchid 9 kettle").see(200, "找回来了")
		n := says("at once", true)
		if stopped := must2(w.Service.StopAt(t.Context(), n, w.till(t)))(t); !stopped || !w.user(t, "told.one").Frozen {
			t.Error("a tap at the end does not freeze")
		}
	})
}

// Whoever shows again what a recovery was begun with goes on with it in another browser, before
// its end and after, also where so much has come up since that a new one would be for people;
// and it ends no sooner by that.
func TestRecoveryGoesOnElsewhere(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "else.one", TOTP: true, Phone: "+8613900020071", Mail: "else.one@example.com"}, "203.0.113.91")
		b := w.from(t, "203.0.113.91")
		b.lost("both", "else.one").shows("introduce:phone", "+8613900020071").submit("do", "go").see(200, "还要等")
		r := w.recoveries(t, "else.one")[0]
		u := w.user(t, "else.one")
		must(t, w.Service.Store.Append(t.Context(), idp.Event{Name: "terminal.rekeyed", Merchant: u.MerchantID}))
		must(t, w.Service.Store.AddIdentifier(t.Context(), &idp.Identifier{UserID: u.ID, Kind: idp.IdentifierEmail, Value: "else.two@example.com", VerifiedAt: time.Now()}))
		// What is new from this network is for people now.
		w.from(t, "198.51.100.92").lost("both", "else.one").shows("introduce:email", "else.one@example.com").see(200, "要由客服来办")
		time.Sleep(time.Hour)
		second := w.from(t, "198.51.100.93")
		second.lost("both", "else.one").shows("introduce:phone", "+8613900020071").see(200, "要等一段时间").submit("do", "go").see(200, "还要等")
		if got := w.recoveries(t, "else.one")[0]; !got.DueAt.Equal(r.DueAt) || !got.Until.Equal(r.Until) || got.Row != r.Row || got.Flow == r.Flow || got.Second {
			t.Errorf("%+v, was %+v", got, r)
		}
		b.open(b.URL.String()).see(200, "在别的浏览器里接着办了")
		time.Sleep(time.Until(r.DueAt) + time.Hour)
		third := w.from(t, "198.51.100.94")
		third.lost("both", "else.one").shows("introduce:phone", "+8613900020071").see(200, "可以继续了").submit("do", "go").see(200, "密码").chooses().see(200, "找回来了")
		if got := w.recoveries(t, "else.one"); len(got) != 1 || got[0].State != idp.RecoveryDone || len(w.cases(t, "else.one")) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Whose browser is gone while the recovery of his case waits gets another case: its recovery takes
// the place of the first and waits its own time in full, or two who approve a second case would
// beat the notice of the first. An older case, a code on a channel and a used link take nothing over.
func TestCaseBeginsAnewElsewhere(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const login, phone = "case.else", "+8613900020075"
		known, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"}, "203.0.113.91")
		u := w.user(t, login)
		linked := func(b *browser) (c idp.Case, token string) {
			t.Helper()
			c = w.approved(t, u)
			token = w.linkTo(t, u, idp.LinkCase, c.ID)
			b.open("/recover/case?t="+token).submit("token").see(200, "要等一段时间")
			return c, token
		}
		older := w.from(t, "198.51.100.91")
		linked(older)
		time.Sleep(time.Minute)
		_, token := linked(known)
		known.submit("do", "go").see(200, "还要等")
		r := w.recoveries(t, login)[0]
		if r.Row != 13 || !slices.ContainsFunc(r.Shown, func(v idp.Shown) bool { return v.By == idp.ByComputer }) {
			t.Fatalf("%+v", r)
		}
		runs := templates.T("zh-CN", "recover.running")
		older.submit("do", "go").see(422, runs)
		w.from(t, "198.51.100.92").lost("both", login).shows("introduce:phone", phone).submit("do", "go").see(422, runs)
		w.from(t, "198.51.100.93").post("/recover/case", url.Values{"token": {token}}).see(410, "")
		if got := w.recoveries(t, login); len(got) != 1 || got[0].Flow != r.Flow || got[0].Case != r.Case {
			t.Errorf("%+v, was %+v", got, r)
		}
		time.Sleep(10 * time.Hour)
		second := w.from(t, "198.51.100.94")
		c, _ := linked(second)
		second.submit("do", "go").see(200, "还要等")
		next := w.recoveries(t, login)[0]
		if next.ID == r.ID || next.Case != c.ID || next.Row != 13 || next.DueAt.Sub(time.Now()) < policy.Default().Recovery.Raised {
			t.Errorf("%+v, was %+v", next, r)
		}
		if n := len(w.notices(t, login, "recovery.void")); n != 2 {
			t.Errorf("%d notices that the first is over", n)
		}
		known.open(known.URL.String()).see(200, "作废")
		time.Sleep(time.Until(r.DueAt) + time.Minute) // the time of the first is nobody's
		second.open(second.URL.String()).see(200, "还要等")
		time.Sleep(time.Until(next.DueAt) + time.Minute)
		second.open(second.URL.String()).chooses().submit("factor", "totp")
		enrol(t, second)
		second.see(200, "找回来了")
		if got := w.recoveries(t, login); len(got) != 2 || got[0].State != idp.RecoveryDone || got[0].Case != c.ID || got[1].State != idp.RecoveryVoid {
			t.Errorf("%+v", got)
		}
	})
}

// Row 11 leaves the second factor, but a passkey that is named lost lets in whoever finds it: it
// ends. What is not named stays, and who has lost the password alone is asked for none.
func TestLostPasskeyEnds(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for i, c := range []struct {
			lost  string
			named bool
		}{{"both", true}, {"both", false}, {"password", true}} {
			login, phone := "key."+strconv.Itoa(i), "+861390002008"+strconv.Itoa(i)
			old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"}, "203.0.113.95")
			old.open("/sign-in").signIn(login)
			old.withKey()
			time.Sleep(8 * 24 * time.Hour)
			key, app := w.holds(t, login, idp.MethodPasskey), w.holds(t, login, idp.MethodTOTP)
			b := w.from(t, "203.0.113.95")
			b.lost(c.lost, login).shows("introduce:phone", phone).see(200, "要等一段时间")
			if asks := b.has("gone"); asks != (c.lost == "both") || strings.Contains(b.Body, app) {
				t.Errorf("%+v: asked %v, or about the app", c, asks)
			}
			form := []string{"do", "go"}
			if c.named {
				form = append(form, "gone", key)
			}
			b.submit(form...).see(200, "还要等")
			time.Sleep(time.Until(w.recoveries(t, login)[0].DueAt) + time.Minute)
			if w.holds(t, login, idp.MethodPasskey) != key {
				t.Error("gone before the end")
			}
			b.open(b.URL.String()).chooses().see(200, "找回来了")
			if gone := w.holds(t, login, idp.MethodPasskey) == ""; gone != (c.named && c.lost == "both") || w.holds(t, login, idp.MethodTOTP) != app {
				t.Errorf("%+v: the passkey is gone: %v", c, gone)
			}
		}
	})
}

// Whose account stops being usable on the way is told why, not sent to a case that nobody opened.
func TestRecoveryHindered(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		for i, c := range []struct {
			name string
			flip func(u idp.User)
			says string
		}{
			{"left", func(u idp.User) {
				must2(store.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserLeft))(t)
			}, "refused.left"},
			{"disabled", func(u idp.User) {
				must2(store.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserDisabled))(t)
			}, "refused.disabled"},
			{"locked", func(u idp.User) { must2(store.LockUser(ctx, u.ID, "support"))(t) }, "recover.locked"},
			{"frozen", func(u idp.User) {
				must2(store.FreezeUser(ctx, u.ID, time.Now()))(t)
				must(t, store.OpenCase(ctx, &idp.Case{Kind: idp.CaseFreeze, UserID: u.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(time.Hour)}))
			}, "recover-hub.frozen"},
		} {
			for j, at := range []string{"now", "wait"} {
				login, phone := "hinder."+c.name+"."+at, "+861390002009"+strconv.Itoa(2*i+j)
				w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com", NoSignIn: true}, "203.0.113.96")
				time.Sleep(8 * 24 * time.Hour)
				b := w.from(t, "203.0.113.96")
				b.lost("password", login).shows("introduce:phone", phone)
				if at == "now" {
					b.by("totp").submit("code", w.code(t, login))
				}
				b.submit("do", "go")
				path := b.URL.Path[:strings.LastIndex(b.URL.Path, "/")]
				c.flip(w.user(t, login))
				time.Sleep(2 * time.Second)
				b.open(path).see(200, templates.T("zh-CN", c.says))
				if strings.Contains(b.text(), "工单已经开好") || strings.Contains(b.text(), "开一个工单") {
					t.Errorf("%s: %s", login, b.text())
				}
				// What is lifted first has a number and a way.
				for _, freeze := range w.cases(t, login) {
					if b.see(200, freeze.Number); !strings.Contains(b.Body, `href="/account/unfreeze"`) {
						t.Errorf("%s: no way out: %s", login, b.text())
					}
				}
				if n := len(w.cases(t, login)); (n == 1) != (c.name == "frozen") {
					t.Errorf("%s: %d cases", login, n)
				}
			}
		}
	})
}

// A wait that begins while another tier is being brought is as long as that tier wants it.
func TestWaitBesideAnotherTier(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{Login: "beside.one", Phone: "+8613900020051", Mail: "beside.one@example.com"}, "203.0.113.88")
		b := w.from(t, "203.0.113.88")
		b.lost("password", "beside.one").shows("introduce:phone", "+8613900020051").see(200, "要等一段时间")
		store, u := w.Service.Store, w.user(t, "beside.one")
		tier := must2(store.Merchant(t.Context(), u.MerchantID))(t).Tier
		begun := make(chan struct{})
		must(t, store.Tx(t.Context(), func(ctx context.Context) error {
			err := w.Service.Manager().ChangeTier(ctx, manage.Actor{User: w.user(t, w.Users["policy_admin"].Username), Reason: "更高的风险等级"}, manage.NewTier{Merchant: u.MerchantID, Was: tier, To: idp.TierHighValue})
			go func() {
				defer close(begun)
				b.submit("do", "go")
			}()
			for range 400 { // until the other has read what it decides from, and waits for this one
				if _, err := store.User(t.Context(), u.ID); err != nil {
					return err
				}
			}
			return err
		}))
		<-begun
		b.see(200, "还要等")
		high := policy.Default().Recovery.High
		if r := w.recoveries(t, "beside.one"); len(r) != 1 || r[0].DueAt.Sub(r[0].StartedAt) != high {
			t.Errorf("want a wait of %v: %+v", high, r)
		}
	})
}

// What asks at a shop's terminals for somebody ends with his freeze, a recovery or none.
func TestFreezeEndsWhatTerminalsAsk(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		mine, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "quiet.one", TOTP: true, Phone: "+8613900020061", Mail: "quiet.one@example.com"}, "203.0.113.89")
		w.till(t)
		b := w.from(t, "203.0.113.90")
		b.lost("both", "quiet.one").by("terminal").see(200, "在店里的终端上确认")
		if n := w.asked(t, "quiet.one"); len(n) != 1 {
			t.Fatalf("asked %+v", n)
		}
		mine.open("/sign-in").signIn("quiet.one").post("/account/freeze", nil)
		if !w.user(t, "quiet.one").Frozen {
			t.Fatal(mine.text())
		}
		if n := w.asked(t, "quiet.one"); len(n) != 0 {
			t.Errorf("still asked: %+v", n)
		}
	})
}

// Where a recovery could not be told of, that is tried again soon.
func TestRemindersAreTriedAgain(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if next, err := w.Service.TellRecoveries(ctx); err == nil || time.Until(next) > time.Minute {
			t.Errorf("%v, again in %v", err, time.Until(next))
		}
		if next, err := w.Service.TellRecoveries(t.Context()); err != nil || time.Until(next) != time.Hour {
			t.Errorf("%v, again in %v", err, time.Until(next))
		}
	})
}

// I14: a wait comes nearer by more proof alone, not because what made it long has passed.
func TestRiskThatPassesBringsNoEndNearer(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const login, phone = "past.one", "+8613900020081"
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: "past.one@example.com"}, "203.0.113.95")
		must(t, w.Service.Store.Append(t.Context(), idp.Event{Name: "terminal.rekeyed", Merchant: w.user(t, login).MerchantID, At: time.Now().Add(time.Hour - policy.Default().Recovery.Lately)}))
		b := w.from(t, "203.0.113.95")
		b.lost("both", login).shows("introduce:phone", phone).submit("do", "go").see(200, "还要等")
		r := w.recoveries(t, login)[0]
		if r.Level != 1 {
			t.Fatalf("%+v", r)
		}
		time.Sleep(2 * time.Hour)
		second := w.from(t, "203.0.113.95")
		second.lost("both", login).shows("introduce:phone", phone).submit("do", "go").see(200, "还要等")
		if got := w.recoveries(t, login)[0]; !got.DueAt.Equal(r.DueAt) || got.Level != 1 || got.Flow == r.Flow {
			t.Errorf("%+v, was %+v", got, r)
		}
		// Nor by more that is worth no more: the address lies on the same phone.
		second.shows("code:"+w.contact(t, login, idp.IdentifierEmail).ID, "past.one@example.com").submit("do", "go").see(200, "还要等")
		if got := w.recoveries(t, login)[0]; !got.DueAt.Equal(r.DueAt) || got.Level != 1 || got.ID != r.ID {
			t.Errorf("%+v, was %+v", got, r)
		}
		second.by("kit").submit("code", kit[0]).see(200, "可以继续了")
	})
}

// Whoever holds the stolen phone and has begun keeps the owner from nothing that two people have
// approved: that takes its place, and waits its own time in full.
func TestCaseOverrulesWhatHasLess(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const login, phone = "over.one", "+8613900020082"
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: "over.one@example.com"}, "203.0.113.96")
		thief := w.from(t, "198.51.100.96")
		thief.lost("both", login).shows("introduce:phone", phone).submit("do", "go").see(200, "还要等")
		first := w.recoveries(t, login)[0]
		time.Sleep(10 * time.Hour)
		u, b := w.user(t, login), w.from(t, "203.0.113.96")
		c := w.approved(t, u)
		b.open("/recover/case?t="+w.linkTo(t, u, idp.LinkCase, c.ID)).submit("token").see(200, "要等一段时间")
		if strings.Contains(b.text(), templates.T("zh-CN", "recover.running")) {
			t.Error("the page speaks of what is overruled")
		}
		b.submit("do", "go").see(200, "还要等")
		all := w.recoveries(t, login)
		if len(all) != 2 || all[0].Case != c.ID || all[0].State != idp.RecoveryWaiting || all[1].State != idp.RecoveryVoid || all[0].DueAt.Sub(time.Now()) < policy.Default().Recovery.Raised {
			t.Fatalf("%+v", all)
		}
		if ev := w.events(t, login, "recovery.stopped"); len(ev) != 1 || ev[0].Reason != "overruled" || ev[0].Data["recovery"] != first.ID {
			t.Errorf("%+v", ev)
		}
		if n := len(w.notices(t, login, "recovery.void")); n != 2 {
			t.Errorf("%d notices", n)
		}
		thief.open(thief.URL.String()).see(200, "作废")
		w.from(t, "198.51.100.97").lost("both", login).shows("introduce:phone", phone).submit("do", "go").see(422, templates.T("zh-CN", "recover.running"))
		if u := w.user(t, login); u.Withholds(time.Now()) != idp.WithholdMoney || !u.WithheldUntil.Equal(all[0].Until) {
			t.Errorf("withheld %q until %v, want %v", u.Withheld, u.WithheldUntil, all[0].Until)
		}
	})
}

// What made a strong pair wait is gone by now: to come anew with the same, or with less of it, or for
// another loss, gets nobody past the wait.
func TestSamePairWaitsOn(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const login, phone = "pair.one", "+8613900020083"
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: "pair.one@example.com"}, "203.0.113.97")
		store, u := w.Service.Store, w.user(t, login)
		w.till(t)
		must(t, store.Append(t.Context(), idp.Event{Name: "terminal.rekeyed", Merchant: u.MerchantID, At: time.Now().Add(time.Hour - policy.Default().Recovery.Lately)}))
		must(t, store.AddIdentifier(t.Context(), &idp.Identifier{UserID: u.ID, Kind: idp.IdentifierEmail, Value: "pair.two@example.com", VerifiedAt: time.Now().Add(time.Hour - policy.Default().Recovery.Lately)}))
		thief := w.from(t, "198.51.100.98") // another network, a changed address, a terminal with another key: level 2
		thief.lost("both", login).proves(login, "terminal", kit).shows("code:"+w.contact(t, login, idp.IdentifierPhone).ID, phone).submit("do", "go").see(200, "还要等")
		r := w.recoveries(t, login)[0]
		if r.Row != 10 || r.Level != 2 {
			t.Fatalf("%+v", r)
		}
		time.Sleep(2 * time.Hour)
		w.till(t)
		runs := templates.T("zh-CN", "recover.running")
		again := w.from(t, "198.51.100.98")
		again.lost("password", login).proves(login, "terminal", kit).shows("code:"+w.contact(t, login, idp.IdentifierPhone).ID, phone).submit("do", "go").see(422, runs)
		time.Sleep(2 * time.Minute)
		again = w.from(t, "198.51.100.98")
		again.lost("both", login).proves(login, "terminal", kit).shows("code:"+w.contact(t, login, idp.IdentifierPhone).ID, phone).submit("do", "go").see(200, "还要等")
		if all := w.recoveries(t, login); len(all) != 1 || !all[0].DueAt.Equal(r.DueAt) || all[0].State != idp.RecoveryWaiting {
			t.Errorf("%+v, was %+v", all, r)
		}
	})
}
