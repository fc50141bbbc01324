package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// refusals are the events by which a recovery of a person was refused, the newest first, and
// were more by so many since the last look.
func (w *demoWorld) refusals(t *testing.T, login string, was, more int) []idp.Event {
	t.Helper()
	all := w.events(t, login, "recovery.refused")
	if len(all) != was+more {
		t.Fatalf("%d refusals in the log, want %d more than %d: %+v", len(all), more, was, all)
	}
	return all
}

// Whoever has shown enough learns why the account is closed to him all the same, once in the
// log and behind the code on the page; who has shown too little learns nothing.
func TestRecoveryOfClosedAccount(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		store, ctx := w.Service.Store, t.Context()
		for i, closed := range []struct {
			why, says string
			how       func(id string)
		}{
			{"locked", "锁定了", func(id string) { must2(store.LockUser(ctx, id, "stolen"))(t) }},
			{"left", "已经离职", func(id string) { must2(store.SetUserStatus(ctx, id, idp.UserActive, idp.UserLeft))(t) }},
			{"disabled", "被停用了", func(id string) { must2(store.SetUserStatus(ctx, id, idp.UserActive, idp.UserDisabled))(t) }},
			{"frozen", "账户已冻结，要先解冻", func(id string) { must2(store.FreezeUser(ctx, id, time.Now()))(t) }},
			{"handover", "店正在交接，不能自己找回", func(id string) {
				must(t, store.AddHandover(ctx, &idp.Handover{MerchantID: w.merchant(t).ID, From: w.user(t, w.Users["owner"].Username).ID, To: id, ProposedAt: time.Now(), DueAt: time.Now().Add(time.Hour)}))
			}},
		} {
			digit := string(rune('0' + i))
			login, phone := "shut."+digit, "+861390001010"+digit
			_, kit := w.ripe(t, somebody{Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"}, "203.0.113.10"+digit)
			closed.how(w.user(t, login).ID)
			b := w.from(t, "203.0.113.10"+digit)
			if closed.why == "frozen" || closed.why == "handover" { // people decide
				b.lost("both", login).shows("introduce:phone", phone).see(200, "要由客服来办").see(200, closed.says)
				w.refusals(t, login, 0, 0)
				b.submit("do", "go").see(200, "交给客服了")
			} else {
				// The app code alone would start nothing: it is not told why.
				must(t, store.Dispute(ctx, w.contact(t, login, idp.IdentifierPhone).ID, time.Now().Add(time.Hour)))
				b.lost("both", login).shows("introduce:phone", phone).see(200, "还差一样")
				if strings.Contains(b.text(), closed.says) {
					t.Errorf("%s is told to who has shown nothing", closed.why)
				}
				w.refusals(t, login, 0, 0)
				b.by("kit").submit("code", kit[0]).see(200, closed.says)
				b.post(b.URL.Path, url.Values{"do": {"go"}}).see(422, closed.says)
				b.open(b.URL.Path).see(200, closed.says)
			}
			ev := w.refusals(t, login, 0, 1)[0]
			if ev.Reason != closed.why || !strings.Contains(b.text(), ev.Explain) || !idp.ValidExplainCode(ev.Explain) || len(w.recoveries(t, login)) != 0 {
				t.Errorf("%s: %+v, the page shows %s", closed.why, ev, b.text())
			}
			w.from(t, "192.0.2.1").open("/console").signIn("support_agent").open("/console/explain/"+strings.ReplaceAll(ev.Explain, "-", "")).see(200, templates.T("zh-CN", "reason."+closed.why))
			time.Sleep(time.Hour)
		}
	})
}

// What comes at the wrong time ends in one event that says why, and in no weaker state.
func TestRecoveryRefusalsAreKept(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		_, kit := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "keep.one", TOTP: true, Phone: "+8613900010110", Mail: "keep.one@example.com"}, "203.0.113.110")
		first := w.from(t, "203.0.113.110")
		first.lost("password", "keep.one").shows("introduce:phone", "+8613900010110").submit("do", "go").see(200, "还要等")
		due := w.recoveries(t, "keep.one")[0].DueAt

		// Begun again while it waits, by other proofs.
		time.Sleep(3 * time.Hour)
		second := w.from(t, "203.0.113.110")
		second.lost("password", "keep.one").shows("introduce:email", "keep.one@example.com").submit("do", "go").see(422, "已经有一个找回在等")
		ev := w.refusals(t, "keep.one", 0, 1)[0]
		if ev.Reason != "recovering" || ev.Explain != second.explain() {
			t.Errorf("%+v", ev)
		}
		second.submit("do", "go").see(422, "已经有一个找回在等")
		w.refusals(t, "keep.one", 1, 0)

		// Taken over by a second browser with the same proof: it is told to all.
		time.Sleep(3 * time.Hour)
		third := w.from(t, "203.0.113.110")
		delays := len(w.events(t, "keep.one", "recovery.delayed"))
		third.lost("password", "keep.one").shows("introduce:phone", "+8613900010110").submit("do", "go").see(200, "还要等")
		moved := w.events(t, "keep.one", "recovery.delayed")
		if len(moved) != delays+1 || moved[0].Data["moved"] != true || len(w.notices(t, "keep.one", "recovery.moved")) != 2 || !w.recoveries(t, "keep.one")[0].DueAt.Equal(due) {
			t.Errorf("%d notices, %+v", len(w.notices(t, "keep.one", "recovery.moved")), moved)
		}
		if moved[0].Explain != third.explain() || !strings.Contains(w.notices(t, "keep.one", "recovery.moved")[0].Body+w.notices(t, "keep.one", "recovery.moved")[1].Body, moved[0].Explain) {
			t.Error("the code is in no letter, or not on the page")
		}
		third.open(third.URL.Path).see(200, "还要等")
		if n := len(w.events(t, "keep.one", "recovery.delayed")); n != delays+1 {
			t.Errorf("%d events", n)
		}
		first.open(first.URL.String()).see(200, "在别的浏览器里接着办了")

		// Nobody picked the digits in time.
		time.Sleep(3 * time.Hour)
		fourth := w.from(t, "203.0.113.110")
		fourth.lost("password", "keep.one").by("terminal")
		time.Sleep(6 * time.Minute)
		fourth.post(fourth.URL.Path, nil).see(422, "")
		if ev := w.refusals(t, "keep.one", 1, 1)[0]; ev.Reason != "dev.late" {
			t.Errorf("%+v", ev)
		}

		// The right proofs, but meanwhile something they rest on has gone.
		time.Sleep(3 * time.Hour)
		fifth := w.from(t, "203.0.113.110")
		fifth.lost("password", "keep.one").shows("introduce:email", "keep.one@example.com").by("kit").submit("code", kit[0]).submit("do", "go").see(200, "密码")
		must(t, w.Service.Store.Dispute(t.Context(), w.contact(t, "keep.one", idp.IdentifierEmail).ID, time.Now().Add(time.Hour)))
		fifth.chooses().see(200, "这个找回作废了")
		if ev := w.refusals(t, "keep.one", 2, 1)[0]; ev.Reason != "proof.gone" {
			t.Errorf("%+v", ev)
		}
		if w.held(t, "keep.one", idp.MethodPassword).Version != 1 {
			t.Error("the password changed")
		}
	})
}

// Too many beginnings for one name: the same page, nothing is sent, and the log says so.
func TestRecoveryStartsAreBounded(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "many.one", TOTP: true, Phone: "+8613900010120", Mail: "many.one@example.com"}, "203.0.113.120")
		begin := func(i int) {
			b := w.from(t, "203.0.113.12"+string(rune('0'+i)))
			b.lost("password", "many.one").by("introduce:phone")
			if b.has("resend") && !b.has("code") {
				b.submit("resend")
			}
			b.see(200, "8 位")
		}
		for i := range 5 {
			begin(i)
			time.Sleep(2 * time.Minute)
		}
		sent := 0
		for _, m := range w.notices(t, "many.one", "code") {
			if eightDigits.MatchString(m.Body) {
				sent++
			}
		}
		if sent != 3 {
			t.Errorf("%d codes were sent, want 3", sent)
		}
		for _, ev := range w.refusals(t, "many.one", 0, 2) {
			if ev.Reason != "send.limit" {
				t.Errorf("%+v", ev)
			}
		}
		time.Sleep(2 * time.Hour) // one more each two hours
		begin(6)
		w.refusals(t, "many.one", 2, 0)
	})
}

// Names are searched ten times from a network, then one each ten minutes.
func TestNameSearchIsBounded(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.130")
		ask := func() int {
			b.open("/recover").submit("lost", "username").submit("merchant_no", "812345678901299", "serial", "HFE0000000000")
			return b.Status
		}
		for i := range 10 {
			if status := ask(); status != 200 {
				t.Fatalf("search %d: %d", i, status)
			}
		}
		if status := ask(); status != 429 {
			t.Errorf("the eleventh: %d", status)
		}
		time.Sleep(10 * time.Minute)
		if status := ask(); status != 200 {
			t.Errorf("after ten minutes: %d", status)
		}
	})
}

// A code of eight digits is too old after ten minutes, and the person sends another.
func TestRecoveryCodeExpires(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "late.one", TOTP: true, Phone: "+8613900010140", Mail: "late.one@example.com"}, "203.0.113.140")
		b := w.from(t, "203.0.113.140")
		b.lost("password", "late.one").by("introduce:email")
		if b.has("resend") && !b.has("code") {
			b.submit("resend")
		}
		code := w.recoveryCode(t, "late.one@example.com")
		time.Sleep(10*time.Minute + time.Second)
		b.submit("code", code).see(422, "过期了")
		if ev := w.refusals(t, "late.one", 0, 1)[0]; ev.Reason != "code.expired" {
			t.Errorf("%+v", ev)
		}
		b.submit("resend").submit("code", w.recoveryCode(t, "late.one@example.com")).see(200, "要等一段时间")
	})
}

// The door and the page of proofs show what policy lets count, and take nothing else.
func TestRecoveryShowsWhatPolicyAllows(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.160")
		offers := func(name string, want ...string) {
			t.Helper()
			got := []string{}
			for _, n := range buttons(b, name) {
				if n != "" && !slices.Contains(got, n) {
					got = append(got, n)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s offers %v, want %v", b.URL.Path, got, want)
			}
		}
		b.open("/recover")
		offers("lost", "username", "password", "second", "both", "other")

		w.Service.Rule(0, "recovery.proofs", []string{"phone"})
		b.open("/recover")
		offers("lost", "username", "password", "both", "other")
		b.post("/recover", url.Values{"lost": {"second"}}).see(422, "请选一项")
		b.lost("password", "nobody.at.all")
		offers("way", "introduce:phone", "shop")
		for _, way := range []string{"kit", "introduce:email", "terminal", "password"} {
			if res := b.once("POST", b.URL.Path+"/way", url.Values{"way": {way}}); res.StatusCode/100 != 4 {
				t.Errorf("%s: %d", way, res.StatusCode)
			}
		}

		w.Service.Rule(0, "recovery.proofs", []string{"case"}) // none at all policy does not take
		b.open("/recover")
		offers("lost", "username", "both", "other")
		b.post("/recover", url.Values{"lost": {"password"}}).see(422, "请选一项")
		b.lost("both", "nobody.at.all")
		offers("way", "shop")
	})
}

// buttons are the values of the buttons of a name.
func buttons(b *browser, name string) (out []string) {
	for _, n := range all(b.Doc, "button") {
		if attr(n, "name") == name {
			out = append(out, attr(n, "value"))
		}
	}
	return out
}

// However many notices went to a number, who can stop a recovery there hears of it.
func TestRecoveryIsNotCrowdedOut(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "loud.one", TOTP: true, Phone: "+8613900010170", Mail: "loud.one@example.com"}, "203.0.113.170")
		store, b := w.Service.Store, policy.Default().Sends.PhoneNotices
		for range b.Burst {
			must2(ok(store.TakeBucket(t.Context(), "notice.sms", store.Lookup(idp.IdentifierPhone, "+8613900010170"), b.Burst, b.Refill, time.Now())))(t)
		}
		texts := func(template string) (n int) {
			for _, m := range w.notices(t, "loud.one", template) {
				if m.To == "+8613900010170" {
					n++
				}
			}
			return n
		}
		w.from(t, "203.0.113.170").asksName("loud.one@example.com", "loud.one@example.com")
		if texts("username.asked") != 0 {
			t.Fatal("there was room for a notice")
		}
		time.Sleep(2 * time.Minute)
		thief := w.from(t, "198.51.100.170")
		thief.lost("password", "loud.one").shows("introduce:email", "loud.one@example.com").submit("do", "go").see(200, "还要等")
		thief.post(strings.TrimSuffix(thief.URL.Path, "/recover-wait")+"/recover-wait/stop", nil).see(200, "冻结了")
		for _, template := range []string{"recovery.started", "frozen"} {
			if texts(template) != 1 {
				t.Errorf("%d text messages %s", texts(template), template)
			}
		}
	})
}

func ok(taken bool, _ time.Time, err error) (bool, error) { return taken, err }
