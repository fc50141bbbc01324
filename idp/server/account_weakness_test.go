package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/templates"
)

// Where there are no passkeys, and none may be left from elsewhere, the page of the ways
// to prove oneself is drawn.
func TestFactorsWithoutPasskeys(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, true)
			cfg := server.Defaults(dir, true)
			cfg.Database.DSN, cfg.Issuer = idp.Secret(dsn), "http://127.0.0.1:8080"
			synctest.Test(t, func(t *testing.T) {
				w := startWorld(t, cfg, dir)
				b := w.settled(t, "none.one", "203.0.113.1")
				b.open("/account/factors?saved=removed").see(200, "验证器")
				must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: w.user(t, "none.one").ID, Method: idp.MethodPasskey, Label: "旧手机", Data: []byte(`{}`), Lookup: []byte("0123456789abcdef")}))
				b.open("/account/factors").see(200, "旧手机")
			})
		})
	}
}

// hourly is how many of a kind were counted in the last hour.
func (w *demoWorld) hourly(t *testing.T, kind string) (n int64) {
	t.Helper()
	by, err := w.Service.Store.Hours(t.Context(), kind, time.Now().Add(-time.Hour))
	must(t, err)
	for _, times := range by {
		n += times
	}
	return n
}

// A person has five phones and five addresses, with those that still get notices; and
// notices that cost money are counted with the codes.
func TestContactsAreBounded(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "many.one", "203.0.113.1")
		u, store := w.user(t, "many.one"), w.Service.Store
		bind := func(i int) idp.Identifier {
			n := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierPhone, Value: fmt.Sprintf("+861370000010%d", i), VerifiedAt: time.Now()}
			must(t, store.AddIdentifier(t.Context(), &n))
			return n
		}
		var last idp.Identifier
		for i := range 3 {
			last = bind(i)
		}
		walk := func() *browser { return b.open("/account/contact/new?kind=phone").prove("many.one").at("contact") }
		walk().submit("contact", "13700000201").at("contact-code") // the fifth
		last = bind(3)                                             // meanwhile, in another tab
		b.submit("code", w.sent(t, "+8613700000201")).see(422, "最多 5 个")
		_, err := store.RemoveIdentifier(t.Context(), u.ID, last.ID, time.Now())
		must(t, err)
		time.Sleep(6 * time.Minute)
		walk().submit("contact", "13700000202").see(422, "最多 5 个") // the removed one is still told of everything
		time.Sleep(31 * time.Second)
		b.open("/account/contact/change?id="+w.named(t, u.ID, "+8613700000100").ID).prove("many.one").at("contact").submit("contact", "13700000202").see(422, "最多 5 个")
		time.Sleep(31 * time.Second)
		b.open("/account/contact/new?kind=email").prove("many.one").at("contact").submit("contact", "another@example.com").at("contact-code") // addresses are counted by themselves
		time.Sleep(31 * 24 * time.Hour)
		b.open("/sign-in").signIn("many.one").open("/account/contact/new?kind=phone").at("contact").submit("contact", "13700000202").at("contact-code")
		before := w.hourly(t, "sms")
		b.submit("code", w.sent(t, "+8613700000202")).at("/account/contacts")
		phones := int64(0)
		for _, m := range w.notices(t, "many.one", "channel.added") {
			if m.Channel == idp.ChannelSMS {
				phones++
			}
		}
		if got := w.hourly(t, "sms") - before; got != phones || phones != 5 {
			t.Errorf("%d text messages counted, of %d notices", got, phones)
		}
	})
}

// An event that is disowned again opens nothing more, and neither does another one while
// its case waits.
func TestOneCaseOfWhatWasNotMe(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "case.one", "203.0.113.1")
		b.refused(200, "/account/freeze")
		if n := len(w.cases(t, "case.one")); n != 1 {
			t.Fatalf("%d cases", n)
		}
		events := w.events(t, "case.one", "signin.succeeded")
		events = append(events, w.events(t, "case.one", "signin.newbrowser")...)
		for range 3 {
			for _, ev := range events {
				b.refused(200, "/account/freeze", "event", ev.ID)
			}
		}
		cases := w.cases(t, "case.one")
		slices.SortFunc(cases, func(a, b idp.Case) int { return strings.Compare(b.Kind, a.Kind) })
		if len(cases) != 2 || cases[0].Kind != "notme" || cases[0].Data["event"] != events[0].ID {
			t.Fatalf("%d cases: %+v", len(cases), cases)
		}
		if n := len(w.events(t, "case.one", "account.notme")); n != len(events) {
			t.Errorf("%d events that were disowned, want %d", n, len(events))
		}
		if n := len(w.events(t, "case.one", "case.opened")); n != 2 {
			t.Errorf("%d events of cases", n)
		}
		if told := w.notices(t, "case.one", "case.opened"); len(told) != 2 || !strings.Contains(told[0].Body, cases[0].Number) {
			t.Errorf("told of the case: %v", told)
		}
	})
}

// Who is frozen too often by link gets a case, and hears of it.
func TestCaseAloneIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.settled(t, "case.two", "203.0.113.1")
		u := w.user(t, "case.two")
		_, token := w.linkOf(t, "case.two", "newbrowser", stopLink)
		stranger := w.from(t, "192.0.2.7")
		for range 3 {
			_, err := w.Service.Store.UnfreezeUser(t.Context(), u.ID)
			must(t, err)
			for _, c := range w.cases(t, "case.two") {
				_, err := w.Service.Store.CloseCase(t.Context(), c.ID, time.Now())
				must(t, err)
			}
			time.Sleep(time.Second)
			stranger.refused(200, "/stop", "token", token)
		}
		told := w.notices(t, "case.two", "case.opened")
		if w.user(t, "case.two").Frozen || len(told) != 2 {
			t.Fatalf("frozen, or %d notices, want phone and mail", len(told))
		}
		for _, m := range told {
			if !strings.Contains(m.Body, w.cases(t, "case.two")[0].Number) || stopLink.MatchString(m.Body) {
				t.Error(m.Body)
			}
		}
	})
}

// A copied mark of a browser is told to its owner, once.
func TestCopiedBrowserIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "copy.one", "203.0.113.1")
		old := b.cookie("hufu-kb")
		for range 2 {
			time.Sleep(time.Minute)
			b.signOut().open("/sign-in").signIn("copy.one")
		}
		time.Sleep(11 * time.Minute)
		thief := w.from(t, "198.51.100.7")
		thief.set(old.Name, old.Value)
		for range 2 {
			thief.try("copy.one", storyPassword)
		}
		if n := len(w.events(t, "copy.one", "browser.copied")); n != 1 {
			t.Fatalf("%d events", n)
		}
		told := w.notices(t, "copy.one", "copied")
		if len(told) != 2 {
			t.Fatalf("%d notices, want phone and mail", len(told))
		}
		for _, m := range told {
			if !stopLink.MatchString(m.Body) {
				t.Error(m.Body)
			}
		}
	})
}

// Whose account staff lock hears of it on all channels, and when it is lifted; where
// staff work does not stand there.
func TestLockIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "lock.one", Phone: "+8613900000031", Mail: "lock.one@example.com"},
			somebody{User: idp.User{Role: idp.RoleSupportSupervisor}, Login: "lock.staff", TOTP: true}, somebody{User: idp.User{Role: idp.RoleSupportSupervisor}, Login: "lock.other", TOTP: true})
		u := w.user(t, "lock.one")
		for _, step := range []struct{ staff, act, template string }{{"lock.staff", "lock", "locked"}, {"lock.other", "unlock", "unlocked"}} {
			b := w.from(t, "203.0.113.77")
			b.open("/sign-in").signIn(step.staff)
			b.post("/console/users/"+u.ID+"/look", url.Values{"reason": {"call 0310-017"}})
			b.refused(303, "/console/users/"+u.ID+"/"+step.act, "reason", "call 0310-017")
			told := w.notices(t, "lock.one", step.template)
			if len(told) != 2 {
				t.Fatalf("%s: %d notices, want phone and mail", step.template, len(told))
			}
			for _, m := range told {
				if strings.Contains(m.Body, "203.0.113") {
					t.Errorf("%s tells where staff are: %s", step.template, m.Body)
				}
			}
		}
	})
}

// Undoing a change never leaves a person whom nothing reaches.
func TestUndoLeavesAChannel(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{Login: "undo.one", Phone: "+8613900000032"})
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("undo.one").open("/account/contact/change?id=" + w.contact(t, "undo.one", idp.IdentifierPhone).ID)
		b.at("second").submit("resend", "1")
		b.submit("code", w.sent(t, "+8613900000032")).at("contact").submit("contact", "13900000033").at("contact-code")
		b.submit("code", w.sent(t, "+8613900000033")).at("/account/contacts")
		link, _ := w.linkOf(t, "undo.one", "channel.removed", undoLink)
		w.add(t, somebody{Login: "undo.two", Phone: "+8613900000032"}) // somebody else has it by now
		b.open(link).submit("token").see(200, "改不回来了")
		if !w.named(t, u.ID, "+8613900000033").Channel() {
			t.Error("nothing reaches the person any more")
		}
		added := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierEmail, Value: "undo.one@example.com", VerifiedAt: time.Now()}
		must(t, w.Service.Store.AddIdentifier(t.Context(), &added))
		c := idp.Change{UserID: u.ID, NewID: added.ID, At: time.Now(), Until: time.Now().Add(time.Hour)}
		must(t, w.Service.Store.CreateChange(t.Context(), &c))
		b.refused(404, "/account/contact/undo", "change", c.ID) // an addition is removed, not undone
	})
}

// Two factors, two addresses in ten minutes are two notices; the same one twice is one.
func TestEachThingIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "each.one", "203.0.113.1")
		before := len(w.notices(t, "each.one", "channel.added"))
		for i, mail := range []string{"each.a@example.com", "each.b@example.com"} {
			b.open("/account/contact/new?kind=email")
			if i == 0 {
				b.prove("each.one")
			}
			b.at("contact").submit("contact", mail).at("contact-code").submit("code", w.sent(t, mail)).at("/account/contacts")
		}
		told := map[string]int{}
		for _, m := range w.notices(t, "each.one", "channel.added")[before:] {
			told[m.To]++
		}
		for to, want := range map[string]int{"each.one@example.com": 2, "each.a@example.com": 2, "each.b@example.com": 1} {
			if told[to] != want {
				t.Errorf("%s was told %d times, want %d", to, told[to], want)
			}
		}
	})
}

// What was typed at the door stands in no letter: a number could be told together with a
// name, to a provider, too.
func TestLettersNameTheAccount(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "letter.one", Phone: "+8613900000034", Mail: "letter.one@example.com"})
		b := w.from(t, "203.0.113.9")
		b.try("１３９ ００００.0034", storyPassword).at("/account")
		told := w.notices(t, "letter.one", "newbrowser")
		if len(told) != 2 {
			t.Fatalf("%d notices", len(told))
		}
		for _, m := range told {
			if strings.Contains(m.Body, "0034") || strings.Contains(m.Body, "００") || strings.Contains(m.Body, "203.0.113.0/24") || m.Params["login"] == "" || strings.Contains(m.Params["login"], "0034") {
				t.Errorf("%v in:\n%s", m.Params, m.Body)
			}
		}
	})
}

// A user name can be changed three times in a month, and what others are called is no
// question that can be asked without end.
func TestRenamesAreBounded(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "name.one", "203.0.113.1")
		w.add(t, somebody{Login: "name.taken"})
		b.open("/account/username").at("second").submit("code", w.code(t, "name.one")).at("username")
		for range 10 {
			b.submit("username", "name.taken").see(422, templates.T("zh-CN", "error.taken.username")).at("username")
		}
		b.submit("username", "name.taken").see(422, "用户名换得太多了")
		b.submit("username", "name.free").see(422, "用户名换得太多了")
		if len(w.events(t, "name.one", "username.changed")) != 0 || w.user(t, "name.one").ID == "" {
			t.Fatal("renamed, or the name was lost")
		}
		time.Sleep(24 * time.Hour)
		b.open("/sign-in").signIn("name.one")
		for i := range 3 {
			time.Sleep(time.Minute)
			b.open("/account/username").at("username").submit("username", fmt.Sprint("name.new", i)).at("/account/contacts")
		}
		b.open("/account/username").at("username").submit("username", "name.new3").see(422, "用户名换得太多了")
		left := w.left(t, "username", []byte(w.user(t, "name.new2").ID), policy.Default().Contacts.Renames)
		if left != 0 {
			t.Errorf("%d renames left", left)
		}
	})
}

// A thief with the password alone is told to the owner, though his browser is not made
// known in the days of grace; the owner's own place is not.
func TestGraceIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "grace.two", Mail: "grace.two@example.com"})
		in := func(address string) {
			t.Helper()
			time.Sleep(11 * time.Minute)
			w.from(t, address).try("grace.two", storyPassword).at("offer").submit("do", "later").at("/account")
		}
		for i, step := range []struct {
			address string
			told    int
		}{{"203.0.113.1", 1}, {"203.0.113.1", 1}, {"198.51.100.7", 2}, {"203.0.113.1", 2}} {
			in(step.address)
			if n := len(w.notices(t, "grace.two", "newbrowser")); n != step.told {
				t.Errorf("sign-in %d: %d notices, want %d", i, n, step.told)
			}
		}
		if known, err := w.Service.Store.Browsers(t.Context(), u.ID); err != nil || len(known) != 0 {
			t.Errorf("browsers %v %v", known, err)
		}
	})
}
