package server_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/place/placetest"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/templates"
)

// What strangers have closed is told to its owner by its name, each way for itself: since
// when, until when, and what is open to him.
func TestClosedIsToldByWay(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "ways.one", TOTP: true, Phone: "+8613900000051", Mail: "ways.one@example.com"})
		w.addCodes(t, u, 10)
		known := w.from(t, "198.51.100.1")
		known.open("/sign-in").signIn("ways.one").see(200, "某人")
		if strings.Contains(known.text(), "有人多次输错") {
			t.Error("closed before anybody tried")
		}
		thief := w.from(t, "203.0.113.1").try("ways.one", storyPassword).at("second")
		for i := range 5 {
			thief.submit("code", w.wrongCode(t, "ways.one", i)).see(422, "")
		}
		known.open("/account").see(200, "有人多次输错您的动态码").see(200, "现在不能用它登录") // the last try was used up
		time.Sleep(time.Hour)
		thief = w.from(t, "203.0.113.2").try("ways.one", storyPassword).at("second")
		for i := range 2 {
			thief.submit("code", w.wrongCode(t, "ways.one", i)).see(422, "")
		}
		closed := w.events(t, "ways.one", "lock.closed")
		if len(closed) != 1 || closed[0].Data["method"] != "totp" || closed[0].Reason != "otp.closed" {
			t.Fatalf("events %+v", closed)
		}
		until, err := time.Parse(time.RFC3339, closed[0].Data["until"].(string))
		if left := time.Until(until); err != nil || left < 4*24*time.Hour || left > 5*24*time.Hour {
			t.Errorf("until %s, %v", until, err)
		}
		known.open("/account").see(200, "从 ").see(200, "您现在能用：平时登录的手机和电脑、恢复码")
		known.open("/account/activity").see(200, "验证器 App，到 ")

		for i := range 21 {
			w.from(t, fmt.Sprintf("203.0.113.%d", 10+i/4)).try("ways.one", fmt.Sprint("guess ", i)).see(422, "不对")
		}
		told := w.notices(t, "ways.one", "closed")
		if len(told) != 4 {
			t.Fatalf("%d notices, want two ways by phone and mail", len(told))
		}
		words := map[string]int{}
		for _, m := range told {
			for _, word := range []string{"您的密码", "您的动态码"} {
				if strings.Contains(m.Body, "多次输错"+word) {
					words[word]++
				}
			}
			if m.Channel == idp.ChannelMail && (!strings.Contains(m.Body, "可以再试一次的时间") || !strings.Contains(m.Body, "您现在能用：平时登录的手机和电脑、")) {
				t.Error(m.Body)
			}
		}
		if words["您的密码"] != 2 || words["您的动态码"] != 2 {
			t.Error(words)
		}
		known.open("/account").see(200, "有人多次输错您的密码").see(200, "先收验证码再用密码")
		time.Sleep(18*time.Hour + time.Minute)
		if known.open("/account"); strings.Contains(known.text(), "输错您的密码") {
			t.Error("closed still, though a try is back")
		}
	})
}

// A pause that begins stands in the activity of its person, once for each network.
func TestPauseIsNoted(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "pause.one"})
		for _, network := range []string{"203.0.113.1", "198.51.100.1"} {
			b := w.from(t, network).name("pause.one")
			for i := range 5 {
				b.submit("password", fmt.Sprint("from ", network, " guess ", i)).see(422, "不对")
			}
			time.Sleep(31 * time.Second)
			w.from(t, network).try("pause.one", "from "+network+" guess 6").see(422, "不对") // the next one begins
		}
		noted := w.events(t, "pause.one", "lock.wait")
		if len(noted) != 2 {
			t.Fatalf("%d events, want one for each network: %+v", len(noted), noted)
		}
		for _, ev := range noted {
			if ev.Data["scope"] != "network" || ev.Data["tries"] != float64(5) || ev.Data["until"] == nil || ev.Actor != "" || ev.Network == "" {
				t.Errorf("%+v", ev)
			}
		}
		time.Sleep(2 * time.Hour)
		b := w.from(t, "203.0.113.200")
		b.open("/sign-in").signIn("pause.one").open("/account/activity").see(200, "试的次数太多")
	})
}

// Whoever proves himself on a locked account reads by what kind of decision it is, and the
// way out; he reads nobody's name.
func TestLockSaysWhy(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "why.one"}, somebody{Login: "why.two"}, somebody{User: idp.User{Role: idp.RoleSupportSupervisor, Name: "秦岭"}, Login: "why.staff", TOTP: true})
		b := w.from(t, "203.0.113.77")
		b.open("/sign-in").signIn("why.staff").post("/console/users/"+w.user(t, "why.one").ID+"/look", url.Values{"reason": {"call 0310-017"}})
		b.refused(303, "/console/users/"+w.user(t, "why.one").ID+"/lock", "reason", "call 0310-017")
		two := w.user(t, "why.two")
		_, err := w.Service.Store.LockUser(t.Context(), two.ID, "fraud report")
		must(t, err)
		must(t, w.Service.Store.Append(t.Context(), idp.Event{Name: "lock.account", Actor: "system", Subject: two.ID}))
		for login, words := range map[string]string{"why.one": "客服锁定了这个账户", "why.two": "安全规则锁定了这个账户"} {
			b := w.from(t, "203.0.113.78")
			b.try(login, storyPassword).see(403, words).see(403, "报下面的说明码")
			code := w.events(t, login, "signin.refused")[0].Explain
			if b.see(403, code); strings.Contains(b.Body, "秦岭") || strings.Contains(b.Body, "0310-017") {
				t.Errorf("names people: %s", b.text())
			}
		}
	})
}

// Each recovery code is told, however soon it follows another.
func TestEachCodeIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{Login: "paper.one", TOTP: true, Mail: "paper.one@example.com"})
		for _, code := range w.addCodes(t, u, 10)[:2] {
			w.from(t, "203.0.113.1").try("paper.one", storyPassword).at("second").submit("way", "backup").submit("code", code).at("choose-factor")
		}
		if told := w.notices(t, "paper.one", "codes.used"); len(told) != 2 {
			t.Errorf("%d notices of two codes", len(told))
		}
	})
}

// A notice that was left out, because one of its kind had just gone out, stands in the
// next digest, once.
func TestNoticesLeftOutAreInTheDigest(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "twice.one", Mail: "twice.one@example.com"}, somebody{Login: "once.one", Mail: "once.one@example.com"})
		for _, login := range []string{"twice.one", "twice.one", "once.one"} {
			w.from(t, "203.0.113.1").try(login, storyPassword).at("/account")
		}
		if told, held := w.notices(t, "twice.one", "newbrowser"), w.events(t, "twice.one", "notice.held"); len(told) != 1 || len(held) != 1 {
			t.Fatalf("%d notices, %d held back", len(told), len(held))
		}
		time.Sleep(7 * time.Hour) // the job runs
		digests := w.notices(t, "twice.one", "digest")
		if len(digests) != 1 || !strings.Contains(digests[0].Body, templates.T("zh-CN", "mail.newbrowser.subject")) {
			t.Fatalf("digests: %+v", digests)
		}
		time.Sleep(8 * 24 * time.Hour)
		if n, other := len(w.notices(t, "twice.one", "digest")), len(w.notices(t, "once.one", "digest")); n != 1 || other != 0 {
			t.Errorf("%d digests, and %d where nothing was left out", n, other)
		}
	})
}

// Who has no mail reads his reminders on his own page, and in a letter as soon as he has.
func TestRemindersWithoutMail(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{Login: "mailless.one", TOTP: true, Phone: "+8613900000052"})
		codes := w.addCodes(t, u, 3)
		w.from(t, "203.0.113.1").try("mailless.one", storyPassword).at("second").submit("way", "backup").submit("code", codes[0]).at("choose-factor")
		time.Sleep(7 * time.Hour)
		if n := len(w.notices(t, "mailless.one", "digest")); n != 0 {
			t.Errorf("%d digests to nobody", n)
		}
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("mailless.one").open("/account").see(200, "恢复码只剩 2 个")
		b.open("/account/factors").see(200, "恢复码只剩 2 个")
		must(t, w.Service.Store.AddIdentifier(t.Context(), &idp.Identifier{UserID: u.ID, Kind: idp.IdentifierEmail, Value: "mailless.one@example.com", VerifiedAt: time.Now()}))
		time.Sleep(7 * time.Hour)
		if n := len(w.notices(t, "mailless.one", "digest")); n != 1 {
			t.Errorf("%d digests once there is mail", n)
		}
	})
}

// No notice goes by text message to a country that none go to.
func TestNoticesKeepToTheCountries(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "abroad.one", Phone: "+447911123456", Mail: "abroad.one@example.com"})
		before := w.hourly(t, "sms")
		w.from(t, "203.0.113.1").try("abroad.one", storyPassword).at("/account")
		told := w.notices(t, "abroad.one", "newbrowser")
		if len(told) != 1 || told[0].Channel != idp.ChannelMail || w.hourly(t, "sms") != before {
			t.Errorf("told by %+v", told)
		}
	})
}

// Whoever has chosen English at a sign-in gets English mail from then on; what a browser
// asks for by itself changes nothing, and neither does a look at another language.
func TestLettersAreInTheChosenLanguage(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "speaks.one", Mail: "speaks.one@example.com"})
		step := func(lang string, choose bool, told string) {
			t.Helper()
			time.Sleep(11 * time.Minute)
			b := w.from(t, "203.0.113.1")
			b.Lang = lang
			if choose {
				b.open("/lang?to=" + lang + "&back=/sign-in")
			}
			b.open("/sign-in").submit("identifier", "speaks.one").submit("password", storyPassword).at("/account")
			if m := w.notices(t, "speaks.one", "newbrowser")[0]; m.Language != told || m.Subject != templates.T(told, "mail.newbrowser.subject") {
				t.Errorf("told in %s: %q, want %s", m.Language, m.Subject, told)
			}
			b.open("/lang?to=zh-CN&back=/account") // only looks
		}
		step("en", false, "zh-CN")
		step("en", true, "zh-CN") // as before: it could be a thief's
		step("zh-CN", false, "en")
		if got := w.user(t, "speaks.one").Language; got != "en" {
			t.Error(got)
		}
	})
}

// A sign-in from a region that its person was never in is told, where the operator has the
// file that knows regions; the activity names the place.
func TestNewPlace(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, true)
			cfg := server.Defaults(dir, true)
			cfg.Database.DSN, cfg.Places.File = idp.Secret(dsn), filepath.Join(dir, "places.mmdb")
			must(t, os.WriteFile(cfg.Places.File, placetest.Database(map[string]any{"203.0.113.0/24": placetest.Region("FJ", "Fujian", "福建"), "198.51.100.0/24": placetest.Region("YN", "Yunnan", "云南")}), 0o600))
			synctest.Test(t, func(t *testing.T) {
				w := startWorld(t, cfg, dir)
				w.add(t, somebody{Login: "moves.one", Mail: "moves.one@example.com"})
				for i, address := range []string{"203.0.113.1", "203.0.113.2", "192.0.2.1", "198.51.100.1", "198.51.100.2"} {
					time.Sleep(11 * time.Minute)
					b := w.from(t, address)
					b.try("moves.one", storyPassword).at("/account")
					events, told := len(w.events(t, "moves.one", "signin.newplace")), len(w.notices(t, "moves.one", "newplace"))
					if want := map[bool]int{true: 1}[i >= 3]; events != want || told != want {
						t.Errorf("from %s: %d events, %d notices, want %d", address, events, told, want)
					}
					if i == 3 {
						b.open("/account/activity").see(200, templates.T("zh-CN", "event.signin.newplace")).see(200, "云南").see(200, "福建")
						if m := w.notices(t, "moves.one", "newplace")[0]; !strings.Contains(m.Body, "云南") {
							t.Error(m.Body)
						}
					}
				}
			})
		})
	}
}

// A password that ends is in the digest 14 days, 7 days and a day before, and on its
// person's page. Then the sign-in asks for another; nobody is locked out.
func TestExpiringPassword(t *testing.T) {
	const day = 24 * time.Hour
	eachJob(t, func(t *testing.T, w *demoWorld) {
		synctest.Wait() // the first run of the jobs is over
		w.Service.Rule(0, "password.max_age_days", 20)
		w.add(t, somebody{Login: "old.one", Mail: "old.one@example.com"})
		start := time.Now()
		until := func(d time.Duration) { time.Sleep(time.Until(start.Add(d))) }
		in := func() *browser { return w.from(t, "203.0.113.1").try("old.one", storyPassword) }
		letters := func(want int, words string) {
			t.Helper()
			got := w.notices(t, "old.one", "digest")
			if len(got) != want || want > 0 && !strings.Contains(got[0].Body, words) || len(w.events(t, "old.one", "password.expiring")) != want {
				t.Fatalf("after %s: %d digests, want %d with %q: %+v", time.Since(start), len(got), want, words, got)
			}
		}
		until(5*day + 20*time.Hour)
		letters(0, "")
		in().see(200, templates.T("zh-CN", "check.password.done"))
		until(6*day + 7*time.Hour)
		letters(1, "密码 14 天后到期")
		in().see(200, "14 天后到期")
		until(13*day - time.Hour)
		letters(1, "")
		until(13*day + 7*time.Hour)
		letters(2, "密码 7 天后到期")
		until(19*day + 7*time.Hour)
		letters(3, "密码 1 天后到期")
		in().see(200, "1 天后到期")
		until(20*day + time.Hour)
		letters(3, "")
		b := w.from(t, "203.0.113.2").try("old.one", storyPassword)
		if strings.HasSuffix(b.URL.Path, "/second") { // a code to his address: the password alone chooses no next one
			b.submit("code", w.sent(t, "old.one@example.com"))
		}
		b.at("new-password").submit("password", "staple battery horse correct", "again", "staple battery horse correct").at("/account")
		b.see(200, templates.T("zh-CN", "check.password.done"))
		if len(w.events(t, "old.one", "lock.closed"))+len(w.events(t, "old.one", "lock.account")) != 0 || w.user(t, "old.one").Locked != "" {
			t.Error("locked by age")
		}
	})
}
