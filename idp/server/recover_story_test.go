package server_test

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/templates"
)

// The owner forgot his password before eight: phone and app code at once, everything else
// ends, everybody is told, settlement waits a day, and nobody is signed in by it.
func TestForgottenPassword(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "back.one", TOTP: true, Phone: "+8613900010001", Mail: "back.one@example.com"}, "203.0.113.21")
		app := w.grant(t, "back.one", w.Clients["merchant_app"].ID, "", "payments:refund", "settlement:manage", "offline_access")
		b := w.from(t, "203.0.113.21")
		b.lost("password", "back.one").see(200, "怎么证明是您").shows("introduce:phone", "+8613900010001").see(200, "要等一段时间").see(200, "139****0001")
		b.by("totp").submit("code", w.code(t, "back.one")).see(200, "可以继续了").see(200, "不能改结算账户")
		if len(w.recoveries(t, "back.one")) != 0 {
			t.Fatal("something began before its person went on")
		}
		b.submit("do", "go").see(200, "密码").chooses().see(200, "找回来了")
		if b.cookie("hufu-s") != nil {
			t.Error("a recovery signs somebody in")
		}
		if live := w.sessions(t, "back.one"); len(live) != 0 || w.live(t, app) {
			t.Errorf("%d sessions, or the grant lives", len(live))
		}
		old.open("/account").see(200, "登录名")
		r := w.recoveries(t, "back.one")
		if len(r) != 1 || r[0].Row != 4 || r[0].State != idp.RecoveryDone || r[0].Level != 0 {
			t.Fatalf("%+v", r)
		}
		u := w.user(t, "back.one")
		if u.Withholds(time.Now()) != idp.WithholdPayee || u.Withholds(time.Now().Add(25*time.Hour)) != idp.WithholdNothing {
			t.Errorf("withheld %q until %v", u.Withheld, u.WithheldUntil)
		}
		for name, n := range map[string]int{"recovery.completed": 1, "password.reset": 1, "recovery.proof": 2, "factor.removed": 0} {
			if got := len(w.events(t, "back.one", name)); got != n {
				t.Errorf("%d events %s, want %d", got, name, n)
			}
		}
		told := w.notices(t, "back.one", "recovery.completed")
		if len(told) != 2 {
			t.Errorf("%d notices, want phone and mail", len(told))
		}
		says := "在此之前不能改结算账户、手机、邮箱和登录方式：" + u.HeldUntil(idp.WithholdPayee).In(time.FixedZone("UTC+8", 8*60*60)).Format("1 月 2 日 15:04")
		for _, m := range told {
			if m.Channel == idp.ChannelMail && !strings.Contains(m.Body, says) {
				t.Errorf("the letter says not %q: %s", says, m.Body)
			}
		}
		// The old password is nothing any more, the new one and the app let him in.
		time.Sleep(time.Minute)
		b.open("/sign-in").name("back.one").submit("password", storyPassword).see(422, "")
		entry := w.Users["back.one"]
		entry.Password = newPassword
		w.Users["back.one"] = entry
		b.open("/sign-in").signIn("back.one").see(200, "某人")
		if via := w.held(t, "back.one", idp.MethodPassword).Via; len(via) != 0 {
			t.Errorf("two groups set the password, but it counts as %v", via)
		}
		b.open("/account/contact/new?kind=phone").see(403, "刚找回过账户")
	})
}

// One channel alone: a day's wait during which everything that could be stolen waits too,
// told at start, middle, before and at the end; then the password, and the password only.
func TestRecoveryWaits(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "slow.one", TOTP: true, Phone: "+8613900010002", Mail: "slow.one@example.com"}, "203.0.113.22")
		old.open("/sign-in").signIn("slow.one")
		b := w.from(t, "203.0.113.22")
		b.lost("both", "slow.one").shows("introduce:phone", "+8613900010002").see(200, "要等一段时间").submit("do", "go").see(200, "还要等")
		start := time.Now()
		r := w.recoveries(t, "slow.one")[0]
		if r.State != idp.RecoveryWaiting || r.Row != 11 || !r.Password || r.Second || r.DueAt.Sub(r.StartedAt) != 24*time.Hour {
			t.Fatalf("%+v", r)
		}
		if w.user(t, "slow.one").Withholds(start) != idp.WithholdMoney {
			t.Error("money is not withheld")
		}
		old.open("/account").see(200, "有人在找回您的账户")
		for _, path := range []string{"/account/enrol", "/account/password", "/account/codes", "/account/username", "/account/contact/new?kind=phone"} {
			old.open(path).see(403, "不能改登录方式")
		}
		b.once("POST", b.URL.Path[:strings.LastIndex(b.URL.Path, "/")]+"/new-password", map[string][]string{"password": {newPassword}, "again": {newPassword}})
		count := func(template string, want int) {
			t.Helper()
			if got := len(w.notices(t, "slow.one", template)); got != want {
				t.Errorf("%v after the start: %d of %s, want %d", time.Since(start), got, template, want)
			}
		}
		count("recovery.started", 2)
		time.Sleep(13 * time.Hour)
		count("recovery.reminded", 2)
		time.Sleep(10*time.Hour + 55*time.Minute)
		count("recovery.soon", 2)
		b.open(b.URL.String()).see(200, "还要等")
		count("recovery.due", 0)
		time.Sleep(10 * time.Minute)
		count("recovery.due", 2)
		b.open(b.URL.String()).see(200, "密码").chooses().see(200, "找回来了")
		if w.holds(t, "slow.one", idp.MethodTOTP) == "" {
			t.Error("one channel took the factor too")
		}
		c := w.held(t, "slow.one", idp.MethodPassword)
		if len(c.Via) != 1 || c.Via[0] != idp.GroupHandset {
			t.Errorf("the password was set by %v", c.Via)
		}
		if u := w.user(t, "slow.one"); u.Withholds(time.Now()) != idp.WithholdNothing {
			t.Errorf("withheld %q", u.Withheld)
		}
		if w.holds(t, "slow.one", idp.MethodBackup) != "" {
			t.Error("the kit lives on")
		}
		for _, m := range w.notices(t, "slow.one", "recovery.completed") {
			if strings.Contains(m.Body, "在此之前") {
				t.Errorf("nothing is kept back, but the letter says: %s", m.Body)
			}
		}
		// That password with that phone is one proof: it replaces no factor, ever.
		entry := w.Users["slow.one"]
		entry.Password = newPassword
		w.Users["slow.one"] = entry
		b.lost("second", "slow.one").by("password").submit("password", newPassword)
		b.shows("code:"+w.contact(t, "slow.one", idp.IdentifierPhone).ID, "+8613900010002").see(200, "还差一样")
	})
}

// Anybody who is told can stop it: by the link, a session or the page itself. The account
// freezes, the channel proves nothing for a week, and the next one is for people.
func TestRecoveryIsStopped(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.one", TOTP: true, Phone: "+8613900010003", Mail: "stop.one@example.com"}, "203.0.113.23")
		thief := w.from(t, "198.51.100.23")
		thief.lost("password", "stop.one").shows("introduce:email", "stop.one@example.com").submit("do", "go").see(200, "还要等")
		link, _ := w.linkOf(t, "stop.one", "recovery.started", stopLink)
		reader := w.from(t, "192.0.2.23")
		reader.open(link).see(200, "冻结")
		if w.recoveries(t, "stop.one")[0].State != idp.RecoveryWaiting {
			t.Fatal("a GET stops")
		}
		reader.submit("token").see(200, "冻结了")
		if r := w.recoveries(t, "stop.one")[0]; r.State != idp.RecoveryStopped {
			t.Fatalf("%+v", r)
		}
		if n := w.contact(t, "stop.one", idp.IdentifierEmail); !n.DisputedUntil.After(time.Now().Add(6 * 24 * time.Hour)) {
			t.Error("the channel is not disputed")
		}
		thief.open(thief.URL.String()).see(200, "找回被叫停了")
		time.Sleep(25 * time.Hour)
		wait := thief.URL.String()
		thief.open(wait).see(200, "找回被叫停了")
		// Neither does it begin anew with the proof of another day.
		for _, way := range []string{"kit", "introduce:email", "other", ""} {
			thief.once("POST", thief.URL.Path[:strings.LastIndex(thief.URL.Path, "/")]+"/recover-wait/way", url.Values{"way": {way}})
			thief.open(wait).see(200, "找回被叫停了")
		}
		// The thief comes again: nothing starts.
		again := w.from(t, "198.51.100.23")
		again.lost("password", "stop.one").shows("introduce:email", "stop.one@example.com").see(200, "还差一样")
		freeze := w.cases(t, "stop.one")[0]
		if !again.has("way") || strings.Contains(again.text(), freeze.Number) || strings.Contains(again.text(), "冻结") {
			t.Errorf("whoever has shown nothing that counts is told why people decide: %s", again.text())
		}
		// The owner proves more; while frozen, people decide, in the case of the freeze first.
		time.Sleep(time.Minute)
		mine := w.from(t, "203.0.113.23")
		mine.lost("password", "stop.one").shows("introduce:phone", "+8613900010003").see(200, "要由客服来办").see(200, freeze.Number)
		mine.submit("do", "go").see(200, "交给客服了").see(200, templates.T("zh-CN", "recover-case.frozen")).see(200, templates.T("zh-CN", "recover-case.freeze")+" "+freeze.Number)
		if c := w.cases(t, "stop.one")[0]; c.Kind != idp.CaseRecovery || !strings.Contains(mine.text(), c.Number) {
			t.Errorf("%+v: %s", c, mine.text())
		}
		// A strong return settles it.
		time.Sleep(time.Hour)
		old.open("/sign-in").signIn("stop.one")
		time.Sleep(time.Minute)
		old.open("/account/unfreeze").submit("").prove("stop.one").see(200, "")
		if u := w.user(t, "stop.one"); u.Frozen {
			t.Fatal("still frozen")
		}
		if n := w.contact(t, "stop.one", idp.IdentifierEmail); !n.DisputedUntil.IsZero() {
			t.Error("still disputed")
		}
		// For the rest of the week no wait begins again; what is immediate works.
		time.Sleep(3 * time.Hour)
		third := w.from(t, "203.0.113.23")
		third.lost("password", "stop.one").shows("introduce:phone", "+8613900010003").see(200, "要由客服来办")
		third.by("kit").submit("code", kit[0]).see(200, "可以继续了")
	})
}

// The owner who comes in by his own means withdraws it without a freeze.
func TestRecoveryIsWithdrawn(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "mine.one", TOTP: true, Phone: "+8613900010004", Mail: "mine.one@example.com"}, "203.0.113.24")
		other := w.from(t, "203.0.113.24")
		other.lost("password", "mine.one").shows("introduce:phone", "+8613900010004").submit("do", "go").see(200, "还要等")
		time.Sleep(time.Minute)
		old.open("/sign-in").signIn("mine.one")
		old.open("/account").see(200, "有人在找回您的账户")
		old.post("/account/recovery", nil)
		old.see(200, "找回已经取消")
		if r := w.recoveries(t, "mine.one")[0]; r.State != idp.RecoveryWithdrawn {
			t.Errorf("%+v", r)
		}
		w.over(t, "mine.one", "recovery.void", "_withdrawn", "某人")
		w.over(t, w.Users["owner"].Username, "recovery.other_void", "_withdrawn", "某人")
		if u := w.user(t, "mine.one"); u.Frozen || u.Withholds(time.Now()) != "" {
			t.Error("frozen or withheld")
		}
		wait := other.URL.String()
		other.open(wait).see(200, "找回取消了")
		other.once("POST", other.URL.Path[:strings.LastIndex(other.URL.Path, "/")]+"/recover-wait/way", url.Values{"way": {"kit"}})
		other.open(wait).see(200, "找回取消了")
	})
}

// More proof makes it sooner, in this flow alone; a second browser needs what the first
// showed.
func TestRecoveryGetsBetter(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "more.one", TOTP: true, Phone: "+8613900010005", Mail: "more.one@example.com"}, "203.0.113.25")
		thief := w.from(t, "198.51.100.25")
		thief.lost("both", "more.one").shows("introduce:email", "more.one@example.com").submit("do", "go").see(200, "还要等")
		time.Sleep(2 * time.Minute)
		b := w.from(t, "203.0.113.25")
		b.lost("both", "more.one").shows("introduce:phone", "+8613900010005").see(200, "已经有一个找回在等").submit("do", "go").see(422, "已经有一个找回在等")
		b.by("kit").submit("code", kit[0]).see(200, "可以继续了").submit("do", "go").see(200, "密码").chooses().see(200, "选")
		b.submit("factor", "totp")
		enrol(t, b)
		b.see(200, "找回来了")
		rs := w.recoveries(t, "more.one")
		if len(rs) != 2 || rs[0].Row != 10 || rs[0].State != idp.RecoveryDone || rs[1].State != idp.RecoveryVoid {
			t.Fatalf("%+v", rs)
		}
		time.Sleep(50 * time.Hour)
		thief.open(thief.URL.String()).see(410, "")
		creds := must2(w.Service.Store.Credentials(t.Context(), w.user(t, "more.one").ID))(t)
		totps := 0
		for _, c := range creds {
			if c.Method == idp.MethodTOTP {
				totps++
			}
			if c.Method == idp.MethodBackup {
				t.Error("the kit lives on")
			}
		}
		if totps != 1 {
			t.Errorf("%d authenticators, want the new one alone", totps)
		}
	})
}

// More proof in the browser that waits makes it sooner in place.
func TestRecoveryGetsBetterInPlace(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "place.one", TOTP: true, Phone: "+8613900010011", Mail: "place.one@example.com"}, "203.0.113.34")
		b := w.from(t, "203.0.113.34")
		b.lost("password", "place.one").shows("introduce:phone", "+8613900010011").submit("do", "go").see(200, "还要等")
		time.Sleep(2 * time.Hour)
		b.by("kit").submit("code", kit[0]).see(200, "可以继续了").submit("do", "go").see(200, "密码").chooses().see(200, "找回来了")
		rs := w.recoveries(t, "place.one")
		if len(rs) != 2 || rs[0].Row != 10 || rs[0].State != idp.RecoveryDone || rs[1].State != idp.RecoveryVoid {
			t.Fatalf("%+v", rs)
		}
	})
}

// What a recovery kept back while it waited comes back with the strong return from its stop;
// what one that was done keeps back for its time, no further one and no end of it shortens.
func TestRecoveryGivesBackWhatItKept(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "kept.one", TOTP: true, Phone: "+8613900010012", Mail: "kept.one@example.com"}, "203.0.113.35")
		thief := w.from(t, "198.51.100.35")
		thief.lost("password", "kept.one").shows("introduce:email", "kept.one@example.com").submit("do", "go").see(200, "还要等")
		old.open("/sign-in").signIn("kept.one")
		time.Sleep(time.Minute)
		old.post("/account/freeze", nil).see(200, "冻结了")
		time.Sleep(time.Minute)
		old.post("/account/unfreeze", nil).see(200, "密码").submit("password", storyPassword).submit("code", w.code(t, "kept.one")).see(200, "解除")
		if u := w.user(t, "kept.one"); u.Frozen || u.Withholds(time.Now()) != idp.WithholdNothing {
			t.Errorf("frozen %v, withheld %q until %v", u.Frozen, u.Withheld, u.WithheldUntil)
		}

		time.Sleep(8 * 24 * time.Hour)
		b := w.from(t, "203.0.113.35")
		b.lost("password", "kept.one").shows("introduce:phone", "+8613900010012").by("kit").submit("code", kit[0]).see(200, "可以继续了").submit("do", "go").chooses().see(200, "找回来了")
		until := w.user(t, "kept.one").PayeeUntil
		if got := w.user(t, "kept.one").Withholds(time.Now()); got != idp.WithholdPayee {
			t.Fatalf("withheld %q", got)
		}
		time.Sleep(time.Minute)
		entry := w.Users["kept.one"]
		entry.Password = newPassword
		w.Users["kept.one"] = entry
		again := w.from(t, "203.0.113.35")
		again.lost("both", "kept.one").shows("introduce:email", "kept.one@example.com").submit("do", "go").see(200, "还要等")
		b.open("/sign-in").signIn("kept.one")
		b.post("/account/recovery", nil).see(200, "找回已经取消")
		if u := w.user(t, "kept.one"); u.Withholds(time.Now()) != idp.WithholdPayee || !u.PayeeUntil.Equal(until) {
			t.Errorf("withheld %q until %v, want w1 until %v still", u.Withholds(time.Now()), u.PayeeUntil, until)
		}
	})
}

// What several keep back is kept back by each for its own time: the money of one that had
// more against it no longer because a lesser one came after, and settlement as long as that says.
func TestEachWithholdsForItsTime(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "each.one", TOTP: true, Phone: "+8613900010013", Mail: "each.one@example.com"}, "203.0.113.36")
		b := w.from(t, "198.51.100.36") // where he never was
		b.lost("password", "each.one").shows("introduce:phone", "+8613900010013").by("kit").submit("code", kit[0]).see(200, "可以继续了").submit("do", "go").chooses().see(200, "找回来了")
		worse := time.Now().Add(24 * time.Hour)
		holds := func(what string, money, payee time.Time) {
			t.Helper()
			u := w.user(t, "each.one")
			for at, want := range map[time.Time]idp.Withhold{money.Add(-time.Minute): idp.WithholdMoney, money.Add(time.Minute): idp.WithholdPayee, payee.Add(-time.Minute): idp.WithholdPayee, payee.Add(time.Minute): idp.WithholdNothing} {
				if got := u.Withholds(at); got != want {
					t.Errorf("%s: at %v %q is withheld, want %q (money until %v, settlement until %v)", what, at, got, want, money, payee)
				}
			}
		}
		time.Sleep(23 * time.Hour)
		b = w.from(t, "203.0.113.36")
		b.lost("password", "each.one").shows("introduce:phone", "+8613900010013").by("totp").submit("code", w.code(t, "each.one")).see(200, "可以继续了").submit("do", "go").submit("password", storyPassword+" again", "again", storyPassword+" again").see(200, "找回来了")
		less := time.Now().Add(24 * time.Hour)
		holds("after both", worse, less)

		other := w.from(t, "203.0.113.36")
		other.lost("both", "each.one").shows("introduce:email", "each.one@example.com").submit("do", "go").see(200, "还要等")
		if u := w.user(t, "each.one"); u.Withholds(worse.Add(time.Hour)) != idp.WithholdMoney {
			t.Errorf("while one waits, %q is withheld", u.Withholds(worse.Add(time.Hour)))
		}
		entry := w.Users["each.one"]
		entry.Password = storyPassword + " again"
		w.Users["each.one"] = entry
		time.Sleep(time.Minute)
		b.open("/sign-in").signIn("each.one")
		b.post("/account/recovery", nil).see(200, "找回已经取消")
		holds("after one that was withdrawn", worse, less)
	})
}

// A risk that comes up while somebody chooses his new password keeps more back, and takes
// nothing of what he has shown: the letter says until when.
func TestRisksOfTheLastStepWithholdMore(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "last.one", TOTP: true, Phone: "+8613900010014", Mail: "last.one@example.com"}, "203.0.113.37")
		b := w.from(t, "203.0.113.37")
		b.lost("password", "last.one").shows("introduce:phone", "+8613900010014").by("kit").submit("code", kit[0]).see(200, "不能改结算账户").submit("do", "go").see(200, "密码")
		must(t, w.Service.Store.Append(t.Context(), idp.Event{Name: "terminal.suspended", Merchant: w.user(t, "last.one").MerchantID}))
		must(t, w.Service.Store.Withhold(t.Context(), w.user(t, "last.one").ID, idp.WithholdPayee, time.Now().Add(90*time.Hour))) // what nothing accounts for
		b.chooses().see(200, "找回来了")
		u, until := w.user(t, "last.one"), time.Now().Add(24*time.Hour)
		if u.Withholds(until.Add(-time.Minute)) != idp.WithholdMoney || u.Withholds(until.Add(time.Minute)) != idp.WithholdNothing {
			t.Errorf("%q is withheld until %v, want money until %v", u.Withheld, u.WithheldUntil, until)
		}
		if r := w.recoveries(t, "last.one"); len(r) != 1 || r[0].State != idp.RecoveryDone || r[0].Withheld != idp.WithholdMoney || r[0].Level != 1 {
			t.Errorf("%+v", r)
		}
		said := 0
		for _, m := range w.notices(t, "last.one", "recovery.completed") {
			if strings.Contains(m.Body, templates.Frame{Now: time.Now(), Zone: time.FixedZone("", 8*3600), Lang: "zh-CN"}.Moment(until)) {
				said++
			}
		}
		if said != 1 {
			t.Errorf("%d letters say until when: %+v", said, w.notices(t, "last.one", "recovery.completed"))
		}
	})
}

// A forgotten user name comes on its own channel, and the pages are the same for everybody.
func TestForgottenName(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleManager}, Login: "name.one", TOTP: true, Phone: "+8613900010006", Mail: "name.one@example.com"}, "203.0.113.26")
		last := w.events(t, "name.one", "signin.succeeded")[0].At
		w.from(t, "203.0.113.26").try("name.one", storyPassword).at("second") // is no sign-in
		b := w.from(t, "203.0.113.26")
		b.open("/recover").submit("lost", "username").see(200, "忘了用户名").submit("contact", "13900010006")
		if b.has("resend") && !b.has("code") {
			b.submit("resend")
		}
		b.submit("code", w.recoveryCode(t, "+8613900010006")).see(200, "name.one").see(200, "上次登录")
		if at := last.In(time.FixedZone("", 8*3600)).Format(time.RFC3339); !strings.Contains(b.Body, at) {
			t.Errorf("the last sign-in was %s:\n%s", at, b.text())
		}
		if n := len(w.events(t, "name.one", "username.told")); n != 1 {
			t.Errorf("%d events", n)
		}
		nobody := w.from(t, "203.0.113.27")
		nobody.open("/recover").submit("lost", "username").submit("contact", "13700009999").see(200, "如果")
		if nobody.has("resend") && !nobody.has("code") {
			nobody.submit("resend")
		}
		nobody.submit("code", "12345678").see(422, "")
		// By number and serial: to the owner's channels only.
		owner := w.Users["owner"]
		c := w.from(t, "203.0.113.28")
		esign := w.Terminals["esign"].Serial
		typed := " " + strings.ToLower(esign[:3]) + " " + esign[3:] // as people type it
		for _, serial := range []string{typed, "HFE0000000000"} {
			c.open("/recover").submit("lost", "username").submit("merchant_no", w.Merchant.No, "serial", serial).see(200, "已经发出")
			if strings.Contains(c.text(), owner.Username) {
				t.Error("the page tells the name")
			}
		}
		if n := len(w.notices(t, owner.Username, "username.told")); n != 2 {
			t.Errorf("%d messages, want phone and mail, for the right serial alone", n)
		}
	})
}

// Known and unknown names look alike, page after page.
func TestRecoveryTellsNobody(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "seen.one", TOTP: true, Phone: "+8613900010007", Mail: "seen.one@example.com"}, "203.0.113.29")
		digits := regexp.MustCompile(`\d+`)
		walk := func(login, address string) (said []string) {
			b := w.from(t, address)
			for _, lost := range []string{"password", "second", "both"} {
				time.Sleep(7 * time.Hour)
				b.lost(lost, login)
				note := func() { said = append(said, strings.ReplaceAll(b.text(), login, "NAME")) }
				note()
				for range 2 { // there may be a terminal to ask, or none
					said = append(said, digits.ReplaceAllString(b.by("terminal").text(), "0"))
					said = append(said, digits.ReplaceAllString(mask(b.post(b.URL.Path, nil).see(422, "").text()), "0"))
					b.submit("way", "other")
					note()
				}
				ways := []string{"introduce:phone", "introduce:email", "kit"}
				if lost == "second" {
					ways = append(ways, "password")
				}
				for _, way := range ways {
					b.by(way)
					note()
					if b.has("resend") && !b.has("code") {
						b.submit("resend")
						note()
					}
					switch {
					case way == "kit":
						b.submit("code", kitCode())
					case b.has("password"):
						b.submit("password", "nonsense nonsense")
					default:
						b.submit("code", "00000000")
					}
					note()
					b.submit("way", "other")
					note()
					time.Sleep(10 * time.Minute) // within the flow's time, beyond the pauses between messages
				}
			}
			return said
		}
		known, unknown := walk("seen.one", "192.0.2.31"), walk("seen.two", "192.0.2.32")
		for i := range known {
			if mask(known[i]) != mask(unknown[i]) {
				t.Errorf("page %d differs:\n%s\n%s", i, known[i], unknown[i])
			}
		}
	})
}

// Nobody begins what the rules do not let begin, whatever is posted.
func TestRecoveryNeedsProof(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "need.one", TOTP: true, Phone: "+8613900010008", Mail: "need.one@example.com"}, "203.0.113.30")
		b := w.from(t, "192.0.2.40")
		b.lost("both", "need.one")
		flow := strings.TrimSuffix(b.URL.Path, "/recover")
		for _, step := range []string{"recover", "recover-proof", "recover-wait", "new-password", "choose-factor", "enrol-totp", "enrol-passkey", "recover-wait/stop"} {
			b.once("POST", flow+"/"+step, map[string][]string{"do": {"go"}, "password": {newPassword}, "again": {newPassword}, "factor": {"totp"}, "code": {"123456"}, "gone": {"x"}})
		}
		if len(w.recoveries(t, "need.one")) != 0 || w.user(t, "need.one").Frozen || w.held(t, "need.one", idp.MethodPassword).Version != 1 {
			t.Error("something changed without a proof")
		}
		// Another browser has no part in it.
		other := w.from(t, "192.0.2.41")
		other.open(flow).see(410, "")
	})
}

// What was bound lately proves nothing, and risk makes the wait longer.
func TestRecoveryOfFreshThings(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "young.one", TOTP: true, Phone: "+8613900010009"})
		b := w.from(t, "192.0.2.50")
		b.lost("password", "young.one").shows("introduce:phone", "+8613900010009").see(200, "刚绑定不久").see(200, "还差一样")
		time.Sleep(4 * 24 * time.Hour)
		b = w.from(t, "192.0.2.50")
		b.lost("password", "young.one").shows("introduce:phone", "+8613900010009").see(200, "要由客服来办")
		b.submit("do", "go").see(200, "交给客服了") // a new place, a change this week, one channel in all: level 2
		if c := w.cases(t, "young.one"); len(c) != 1 || c[0].Kind != idp.CaseRecovery {
			t.Errorf("%+v", c)
		}
	})
}

// A cashier with nothing but a phone, who needs no factor, waits by rows 7; the hours are
// the tier's.
func TestRecoveryOfCashier(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		w.Service.Rule(0, "recovery.finish", 2*time.Hour)
		w.ripe(t, somebody{Login: "cash.one", Phone: "+8613900010010", Mail: "cash.one@example.com"}, "203.0.113.33")
		b := w.from(t, "203.0.113.33")
		b.lost("password", "cash.one").shows("introduce:phone", "+8613900010010").submit("do", "go").see(200, "还要等")
		if r := w.recoveries(t, "cash.one")[0]; r.Row != 7 {
			t.Errorf("%+v", r)
		}
		time.Sleep(27 * time.Hour) // nobody came back in time
		b.open(b.URL.String()).see(410, "")
		if r := w.recoveries(t, "cash.one")[0]; r.State != idp.RecoveryExpired {
			t.Errorf("%+v", r)
		}
		w.over(t, "cash.one", "recovery.void", "_expired", "某人")
		w.over(t, w.Users["owner"].Username, "recovery.other_void", "_expired", "某人")
		if u := w.user(t, "cash.one"); u.Withholds(time.Now()) != "" {
			t.Error("still withheld")
		}
	})
}

// The shop's own people come back by a code that the owner tells them, once.
func TestRecoveryByTheShop(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{Login: "shop.one", TOTP: true}, "203.0.113.41")
		store, u := w.Service.Store, w.user(t, "shop.one")
		must(t, store.SetShopCode(t.Context(), u.ID, w.user(t, "lin.wei").ID, store.ShopCodeMAC(u.ID, "48219130"), time.Now().Add(15*time.Minute)))
		b, other := w.from(t, "203.0.113.41"), w.from(t, "203.0.113.42")
		other.lost("both", "shop.one").by("shop")
		b.lost("both", "shop.one").by("shop").see(200, "会看到 8 位数字，15 分钟内有效").submit("code", "1234").see(422, "8 位数字").submit("code", "00000000").see(422, "")
		b.submit("code", "4821 9130").see(200, "可以继续了").submit("do", "go").chooses().see(200, "选")
		b.submit("factor", "totp")
		enrol(t, b)
		b.see(200, "找回来了")
		other.submit("code", "48219130").see(410, "") // its flow died with everything of his
		if r := w.recoveries(t, "shop.one")[0]; r.Row != 16 || r.State != idp.RecoveryDone {
			t.Errorf("%+v", r)
		}
		stranger := w.from(t, "203.0.113.43")
		stranger.lost("both", "no.such").by("shop").submit("code", "48219130").see(422, "")

		w.ripe(t, somebody{Login: "shop.two", TOTP: true}, "203.0.113.44")
		two := w.user(t, "shop.two")
		mac := store.ShopCodeMAC(two.ID, "48219131")
		must(t, store.SetShopCode(t.Context(), two.ID, w.user(t, "lin.wei").ID, mac, time.Now().Add(15*time.Minute)))
		b = w.from(t, "203.0.113.44")
		b.lost("both", "shop.two").by("shop")
		w.left(t, "recover", []byte(two.ID), policy.Default().Returns.Code) // a thief has guessed
		b.submit("code", "48219131").see(422, "验证码不对")                      // not looked at, and nobody learns that
		if has, err := store.HasShopCode(t.Context(), two.ID, mac, time.Now()); err != nil || !has {
			t.Error("a code that was not looked at is used up", err)
		}
	})
}

// The code of the shop is worth what its giver may do when it is acted on, and at the end: not
// for who has become another, nor from who is frozen, gone or another.
func TestShopCodeRestsOnItsGiver(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, m, store := t.Context(), w.Service.Manager(), w.Service.Store
		owner := manage.Actor{User: w.user(t, "lin.wei"), Reason: "换了岗位"}
		for name, flip := range map[string]func(giver, u idp.User) error{
			"":         func(_, _ idp.User) error { return nil },
			"promoted": func(_, u idp.User) error { return m.ChangeRole(ctx, owner, u.ID, idp.RoleManager, u.StoreID) },
			"demoted":  func(g, _ idp.User) error { return m.ChangeRole(ctx, owner, g.ID, idp.RoleCashier, g.StoreID) },
			"disabled": func(g, _ idp.User) error { return m.DisableUser(ctx, owner, g.ID) },
			"frozen": func(g, _ idp.User) error {
				_, err := store.FreezeUser(ctx, g.ID, time.Now())
				return err
			},
		} {
			for _, at := range []string{"hub", "end"} {
				login, giver := "helped."+at+"."+name, w.person(t, somebody{User: idp.User{Role: idp.RoleManager}, Login: "giver." + at + "." + name, NoSignIn: true})
				u := w.person(t, somebody{Login: login, TOTP: true, NoSignIn: true})
				before := w.held(t, login, idp.MethodPassword).Version
				code, _, _, err := m.HelpStaff(ctx, manage.Actor{User: giver, Reason: "忘了密码"}, u.ID)
				must(t, err)
				b := w.from(t, "203.0.113.45")
				b.lost("both", login).by("shop").submit("code", code.Reveal()).see(200, "可以继续了")
				if at == "end" {
					b.submit("do", "go").see(200, "")
				}
				must(t, flip(giver, u))
				if at == "hub" {
					b.submit("do", "go")
				}
				if name != "" && at == "hub" {
					b.see(422, "").see(422, "给您登录码的人")
				}
				if at == "end" || name == "" {
					b.replaces()
				}
				done := slices.ContainsFunc(w.recoveries(t, login), func(r idp.Recovery) bool { return r.State == idp.RecoveryDone })
				if changed := w.held(t, login, idp.MethodPassword).Version != before; done != (name == "") || changed != done || b.Status >= 500 {
					t.Errorf("%s at the %s: done %v, changed %v; %d %s", name, at, done, changed, b.Status, b.text())
				}
			}
		}
	})
}

// A terminal of the shop and the phone together: at once, with money withheld for a day. A
// wrong pick ends the question; a terminal alone starts nothing.
func TestRecoveryByTerminal(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "till.one", TOTP: true, Phone: "+8613900010044", Mail: "till.one@example.com"}, "203.0.113.44")
		store, ctx := w.Service.Store, t.Context()
		till := must2(store.TerminalBySerial(ctx, w.Terminals["smart"].Serial))(t)
		if till.State != idp.TerminalActive {
			must2(store.ActivateTerminal(ctx, till.ID, time.Now().Add(-30*24*time.Hour)))(t)
		}
		must(t, store.SeeTerminal(ctx, till, time.Now()))
		till = must2(store.Terminal(ctx, till.ID))(t)
		digits := ""
		pick := func(right bool) {
			t.Helper()
			for _, n := range must2(store.TerminalNotices(ctx, till, time.Now()))(t) {
				if n.Kind != idp.NoticeConfirm || n.UserID != w.user(t, "till.one").ID {
					continue
				}
				for _, c := range n.Params.Choices {
					if (strconv.Itoa(c) == digits) == right {
						must2(store.AnswerTerminalNotice(ctx, n.ID, till, idp.NoticeConfirmed, c, time.Now()))(t)
						return
					}
				}
			}
			t.Fatal("the terminal is asked nothing")
		}
		b := w.from(t, "203.0.113.44")
		b.lost("both", "till.one").by("terminal").see(200, "在店里的终端上确认")
		digits = b.big()
		b.submit("").see(422, "还没有确认")
		pick(false)
		b.submit("").see(422, "选错了数字")
		b.submit("resend")
		digits = b.big()
		pick(true)
		b.submit("").see(200, "还差一样").see(200, "店里的终端")
		b.shows("code:"+w.contact(t, "till.one", idp.IdentifierPhone).ID, "+8613900010044").see(200, "可以继续了").see(200, "不能退款")
	})
}

// What was begun with one proof and waits goes on at once with another, in the same flow.
func TestRecoveryGetsBetterItself(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "same.one", TOTP: true, Phone: "+8613900010045", Mail: "same.one@example.com"}, "203.0.113.45")
		b := w.from(t, "203.0.113.45")
		b.lost("password", "same.one").shows("introduce:phone", "+8613900010045").submit("do", "go").see(200, "还要等")
		time.Sleep(2 * time.Hour)
		b.open(b.URL.String()).by("kit").submit("code", kit[0]).see(200, "可以继续了").submit("do", "go").chooses().see(200, "找回来了")
		rs := w.recoveries(t, "same.one")
		if len(rs) != 2 || rs[0].State != idp.RecoveryDone || rs[1].State != idp.RecoveryVoid {
			t.Fatalf("%+v", rs)
		}
		if void, done := len(w.notices(t, "same.one", "recovery.void")), len(w.notices(t, "same.one", "recovery.completed")); void != 0 || done != 2 {
			t.Errorf("%d letters that it came to nothing, %d that it is done", void, done)
		}
		if u := w.user(t, "same.one"); u.Withholds(time.Now()) != idp.WithholdPayee {
			t.Errorf("withheld %q", u.Withheld)
		}
	})
}

// The password is forgotten, a passkey is left: phone and passkey set a new password at once,
// nothing is withheld, and neither the passkey nor the app nor the kit goes (row 3).
func TestForgottenPasswordWithPasskey(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "pass.one", TOTP: true, Phone: "+8613900010180", Mail: "pass.one@example.com"}, "203.0.113.180")
		key := w.internal()
		old.open("/sign-in").signIn("pass.one").open("/account/enrol?factor=passkey").bind(key, "")
		time.Sleep(8 * 24 * time.Hour)
		b := w.from(t, "203.0.113.180")
		b.lost("password", "pass.one").shows("introduce:phone", "+8613900010180").by("passkey").assert(key).see(200, "可以继续了").submit("do", "go").chooses().see(200, "找回来了")
		if r := w.recoveries(t, "pass.one"); len(r) != 1 || r[0].Row != 3 || r[0].State != idp.RecoveryDone || r[0].Second {
			t.Fatalf("%+v", r)
		}
		for _, m := range []idp.Method{idp.MethodPasskey, idp.MethodTOTP, idp.MethodBackup} {
			if w.holds(t, "pass.one", m) == "" {
				t.Errorf("%s is gone", m)
			}
		}
		if u := w.user(t, "pass.one"); u.Withholds(time.Now()) != idp.WithholdNothing {
			t.Errorf("withheld %q", u.Withheld)
		}
	})
}

// Who holds several factors says which are lost: those go, the others stay, and one at least
// is named.
func TestRecoveryAsksWhichAreLost(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "which.one", TOTP: true, Phone: "+8613900010190", Mail: "which.one@example.com"}, "203.0.113.190")
		first := w.internal()
		old.open("/sign-in").signIn("which.one").open("/account/enrol?factor=passkey").bind(first, "店里的钥匙").signOut()
		old.try("which.one", storyPassword).at("second").assert(first).open("/account/enrol?factor=passkey").bind(w.internal(), "家里的钥匙").signOut()
		time.Sleep(8 * 24 * time.Hour)
		keys := map[string]string{}
		for _, c := range must2(w.Service.Store.Credentials(t.Context(), w.user(t, "which.one").ID))(t) {
			if c.Method == idp.MethodPasskey {
				keys[c.Label] = c.ID
			}
		}
		app := w.holds(t, "which.one", idp.MethodTOTP)
		b := w.from(t, "203.0.113.190")
		b.lost("second", "which.one").by("password").submit("password", storyPassword).by("kit").submit("code", kit[0]).see(200, "哪些丢了").see(200, "店里的钥匙").see(200, "家里的钥匙")
		b.post(b.URL.Path, url.Values{"do": {"go"}}).see(422, "请勾选")
		b.post(b.URL.Path, url.Values{"do": {"go"}, "gone": {"x", w.holds(t, "which.one", idp.MethodPassword)}}).see(422, "请勾选")
		if len(w.recoveries(t, "which.one")) != 0 {
			t.Error("it goes on with none")
		}
		fresh := w.internal()
		b.post(b.URL.Path, url.Values{"do": {"go"}, "gone": {keys["店里的钥匙"]}}).see(200, "选").submit("factor", "passkey").bind(fresh, "新的钥匙").see(200, "找回来了")
		left := map[string]bool{}
		for _, c := range must2(w.Service.Store.Credentials(t.Context(), w.user(t, "which.one").ID))(t) {
			left[c.ID] = true
		}
		if left[keys["店里的钥匙"]] || !left[keys["家里的钥匙"]] || !left[app] {
			t.Errorf("left are %v of keys %v and the app %s", left, keys, app)
		}
		if r := w.recoveries(t, "which.one")[0]; r.Row != 8 || len(r.Gone) != 1 || r.Gone[0] != keys["店里的钥匙"] {
			t.Errorf("%+v", r)
		}
	})
}

// One more proof is offered where it helps: to come sooner, or to have less kept back; and not
// where all works at once.
func TestRecoveryOffersWhatHelps(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const login, phone = "helps.one", "+8613900010097"
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"}, "203.0.113.45")
		sooner, less := templates.T("zh-CN", "recover-hub.more"), templates.T("zh-CN", "recover-hub.less")
		offers := func(b *browser, plan, words string) {
			t.Helper()
			b.see(200, plan)
			for _, w := range []string{sooner, less} {
				if strings.Contains(b.text(), w) != (w == words) {
					t.Errorf("want %q: %s", words, b.text())
				}
			}
			if b.has("way") != (words != "") {
				t.Errorf("ways after %q: %s", words, b.text())
			}
		}
		b := w.from(t, "203.0.113.45")
		offers(b.lost("password", login).shows("introduce:phone", phone), "要等一段时间", sooner)
		offers(b.by("totp").submit("code", w.code(t, login)), "可以继续了", less)
		offers(w.from(t, "203.0.113.45").lost("second", login).proves(login, "password", kit).proves(login, "kit", kit), "可以继续了", "")
	})
}
