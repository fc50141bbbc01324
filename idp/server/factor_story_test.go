package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/templates"
)

// The owner binds a passkey beside the app, and signs in with it alone, with it as the
// second step, and with the app as before.
func TestPasskeyStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		owner := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "key.owner", Phone: "+8613900000001", Mail: "key.owner@example.com", TOTP: true})
		w.addCodes(t, owner, 3)
		b, phone := w.from(t, "203.0.113.1"), w.internal()
		b.open("/sign-in").signIn("key.owner").open("/account/enrol?factor=passkey").bind(phone, "林薇的手机").at("/account/factors").see(200, "林薇的手机")
		if got := w.letters(t, "+8613900000001"); !slices.Contains(got, "factor.enrolled") {
			t.Error("not told: ", got)
		}
		b.signOut()

		b.open("/sign-in").at("identify").assert(phone).at("/account")
		if acr := w.acr(t, "key.owner"); acr != idp.ACRPhr {
			t.Errorf("a passkey alone gave %s", acr)
		}
		b.signOut()

		// The same passkey, but this time its user was not verified: one factor.
		phone.UV = false
		b.open("/sign-in").assert(phone).at("password")
		b.submit("password", storyPassword).at("/account")
		if acr := w.acr(t, "key.owner"); acr != idp.ACRPhr {
			t.Errorf("password and security key gave %s", acr)
		}
		b.signOut()

		// Side by side: the key used last is offered, the app is one tap away.
		b.try("key.owner", storyPassword).at("second").submit("way", "totp").at("second")
		time.Sleep(time.Minute)
		b.submit("code", w.code(t, "key.owner")).at("/account")
		b.signOut()
		b.try("key.owner", storyPassword).at("second").submit("way", "passkey").assert(phone).at("/account")
	})
}

// A person past his days of grace is led through enrolment: a code to a channel, the
// choice, the passkey, codes for paper; then he is in.
func TestEnrolmentStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner, GraceFrom: time.Now().AddDate(0, 0, -8)}, Login: "late.owner", Phone: "+8613900000002"})
		b, phone := w.from(t, "203.0.113.2"), w.internal()
		b.try("late.owner", storyPassword).at("second").submit("resend", "1").at("second") // a message is paid for with work
		b.submit("code", w.sent(t, "+8613900000002")).at("choose-factor")
		b.open("/account").at("identify") // not in yet
		time.Sleep(2 * time.Minute)       // a code a minute to a phone
		b.try("late.owner", storyPassword)
		b.submit("resend", "1").submit("code", w.sent(t, "+8613900000002")).at("choose-factor")
		b.submit("factor", "passkey").bind(phone, "")
		codes := b.codes()
		step := b.URL.Path
		file := b.open(step + "/file")
		if !strings.Contains(file.Body, codes[0]) || !strings.Contains(file.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("the file: %v %q", file.Header, file.Body)
		}
		b.open(step).post(step, url.Values{}).see(http.StatusUnprocessableEntity, "")
		b.keep().at("/account")
		if acr := w.acr(t, "late.owner"); acr != idp.ACRPhr {
			t.Errorf("enrolled and in with %s", acr)
		}
		b.signOut().try("late.owner", storyPassword).at("second").submit("way", "backup").submit("code", codes[3]).at("choose-factor")
	})
}

// In the days of grace the page tells until when, and takes no for an answer.
func TestGraceIsOffered(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "new.owner", Phone: "+8613900000003"})
		b := w.from(t, "203.0.113.3")
		b.try("new.owner", storyPassword).at("offer").submit("do", "later").at("/account")
		b.signOut()
		b.try("new.owner", storyPassword).at("offer").post(b.URL.Path, url.Values{"do": {"?"}}).see(422, "")
		b.submit("do", "now").at("second").submit("resend", "1").submit("code", w.sent(t, "+8613900000003")).at("choose-factor").submit("factor", "totp").at("enrol-totp")
		enrol(t, b)
		b.codes()
		b.keep().at("/account")
		b.signOut().try("new.owner", storyPassword).at("second") // no more offers
	})
}

// Codes from paper: each once, a typing error costs nothing, use is told everywhere, and
// what they stood in for is enrolled anew.
func TestRecoveryCodeStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "paper.owner", Phone: "+8613900000004", Mail: "paper@example.com", TOTP: true})
		codes := w.addCodes(t, u, 3)
		b := w.from(t, "203.0.113.4")
		b.try("paper.owner", storyPassword).at("second").submit("way", "backup")
		wrong := []byte(codes[0])
		wrong[2] = map[bool]byte{true: '3', false: '2'}[wrong[2] == '2']
		for range 12 { // the check character tells, and nothing is counted
			b.submit("code", string(wrong)).see(422, "")
		}
		b.submit("code", strings.ToLower(strings.ReplaceAll(codes[0], "-", " "))).at("choose-factor")
		for _, to := range []string{"+8613900000004", "paper@example.com"} {
			if !slices.Contains(w.letters(t, to), "codes.used") {
				t.Errorf("%s was not told", to)
			}
		}
		b.submit("factor", "totp").at("enrol-totp")
		secret := enrol(t, b)
		if secret == w.Users["paper.owner"].TOTP {
			t.Error("the lost app was not replaced")
		}
		b.codes() // two were left, which is few
		b.keep().at("/account").signOut()
		other := w.from(t, "203.0.113.5")
		other.try("paper.owner", storyPassword).at("second").submit("way", "backup").submit("code", codes[1]).see(422, "") // of the old set
		if n := len(w.events(t, "paper.owner", "factor.replaced")); n != 1 {
			t.Errorf("%d replaced", n)
		}
	})
}

// A trusted browser does without the second step of a plain sign-in, says so honestly,
// and loses that with the password, the freeze, or one click.
func TestTrustedBrowser(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "trust.owner", Phone: "+8613900000006", TOTP: true})
		w.addCodes(t, u, 10)
		b := w.from(t, "203.0.113.6")
		trust := func() {
			t.Helper()
			time.Sleep(time.Minute)
			b.try("trust.owner", storyPassword).at("second").submit("code", w.code(t, "trust.owner"), "trust", "1").at("/account").signOut()
			b.try("trust.owner", storyPassword).at("/account")
		}
		trust()
		if acr := w.acr(t, "trust.owner"); acr != idp.ACR1 {
			t.Errorf("the waived sign-in says %s", acr)
		}
		if !slices.Contains(w.letters(t, "+8613900000006"), "browser.trusted") {
			t.Error("nobody was told")
		}
		b.open("/account/password").at("second") // step-up asks all the same
		b.signOut()
		w.from(t, "203.0.113.7").try("trust.owner", storyPassword).at("second") // nowhere else
		stranger := w.from(t, "203.0.113.8")
		stranger.set("hufu-kb", b.cookie("hufu-kb").Value+"x")
		stranger.try("trust.owner", storyPassword).at("second")

		browsers, err := w.Service.Store.Browsers(t.Context(), u.ID)
		must(t, err)
		_, err = w.Service.Store.TrustBrowser(t.Context(), u.ID, browsers[0].ID, time.Time{})
		must(t, err)
		b.try("trust.owner", storyPassword).at("second") // taken back

		time.Sleep(time.Minute)
		trust()
		_, err = w.Service.Store.TrustBrowser(t.Context(), u.ID, browsers[0].ID, time.Now().Add(time.Hour))
		must(t, err)
		b.signOut().try("trust.owner", storyPassword).at("/account")
		time.Sleep(61 * time.Minute)
		b.signOut().try("trust.owner", storyPassword).at("second") // its time is over

		trust()
		b.open("/account/password").at("second")
		time.Sleep(time.Minute)
		b.submit("code", w.code(t, "trust.owner")).at("new-password")
		b.submit("password", "another fine long phrase", "again", "another fine long phrase").at("/account/factors").signOut()
		b.try("trust.owner", "another fine long phrase").at("second")
	})
}

// A cloned authenticator is blocked, its owner told, and the other ways stay open.
func TestClonedAuthenticator(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "clone.owner", Mail: "clone@example.com", TOTP: true})
		w.addCodes(t, u, 10)
		b, key := w.from(t, "203.0.113.9"), w.internal()
		key.Counter = 7
		b.open("/sign-in").signIn("clone.owner").open("/account/enrol?factor=passkey").bind(key, "USB").at("/account/factors").signOut()
		copied := key.Copy()
		b.open("/sign-in").assert(key).at("/account").signOut()
		thief := w.from(t, "198.51.100.9")
		thief.open("/sign-in").assert(copied).see(422, "")
		b.open("/sign-in").assert(key).see(422, "") // which of the two is the owner's, nobody knows
		if len(w.events(t, "clone.owner", "factor.clone_suspected")) != 1 || !slices.Contains(w.letters(t, "clone@example.com"), "clone") {
			t.Error("no alarm")
		}
		time.Sleep(time.Minute)
		b.try("clone.owner", storyPassword).at("second").submit("code", w.code(t, "clone.owner")).at("/account")
		b.open("/account/factors").see(200, "USB")
	})
}

// A challenge is good for one answer, in one flow, for five minutes; an assertion of
// another site, another flow or another day opens nothing.
func TestAssertionsAreForOnce(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "once.owner", TOTP: true, Phone: "+8613900000010"})
		w.addCodes(t, u, 10)
		b, key := w.from(t, "203.0.113.10"), w.internal()
		b.open("/sign-in").signIn("once.owner").open("/account/enrol?factor=passkey").bind(key, "").at("/account/factors").signOut()

		b.open("/sign-in")
		step, answer := b.URL.Path, ""
		answer, err := key.Get(b.options(""))
		must(t, err)
		other := w.from(t, "203.0.113.11")
		other.open("/sign-in")
		other.options("")
		other.post(other.URL.Path, url.Values{"assertion": {answer}}).see(422, "") // another flow's
		b.post(step, url.Values{"assertion": {answer}}).at("/account").signOut()
		b.open("/sign-in").post(b.URL.Path, url.Values{"assertion": {answer}}).see(422, "") // used
		b.options("")
		b.post(b.URL.Path, url.Values{"assertion": {answer}}).see(422, "")

		b.open("/sign-in")
		answer, err = key.Get(b.options(""))
		must(t, err)
		time.Sleep(6 * time.Minute)
		b.post(b.URL.Path, url.Values{"assertion": {answer}}).see(422, "") // too late
		for _, junk := range []string{"{}", "x", `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{}}`, strings.Repeat("9", 1<<16)} {
			b.post(b.URL.Path, url.Values{"assertion": {junk}})
			if b.Status >= 500 || len(w.sessions(t, "once.owner")) != 0 {
				t.Errorf("%.20q: %d", junk, b.Status)
			}
		}
		if n := len(w.sessions(t, "once.owner")); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

// Phone, address and user name: the change proves old and new, the old one is told and can
// take it back, and the former user name goes on working for its time.
func TestContactStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "move.owner", Phone: "+8613900000012", Mail: "move@example.com", TOTP: true})
		w.person(t, somebody{Login: "other.person", Phone: "+8613900000099"})
		b := w.from(t, "203.0.113.12")
		b.open("/sign-in").signIn("move.owner").at("/account")
		phone := w.named(t, u.ID, "+8613900000012")
		b.open("/account/contact/change?id=" + phone.ID).at("contact")
		b.submit("contact", "not a number").see(422, "")
		b.submit("contact", "139 0000 0099").at("contact-code") // another's: only who holds it learns that
		b.submit("code", w.sent(t, "+8613900000099")).see(422, "另一个账户")
		step := strings.TrimSuffix(b.URL.Path, "contact-code") + "contact"
		time.Sleep(2 * time.Minute)
		b.open(step).at("contact").submit("contact", "139 0000 0013").at("contact-code")
		b.submit("code", w.sent(t, "+8613900000013")).at("/account/contacts")
		if got := w.letters(t, "+8613900000012"); !slices.Contains(got, "channel.removed") || !slices.Contains(got, "channel.added") {
			t.Errorf("the old phone heard %v", got)
		}
		b.signOut()
		if b.try("13900000012", storyPassword).at("password"); b.Status != 422 {
			t.Error("the old phone still names its owner")
		}
		time.Sleep(time.Minute)
		b.try("13900000013", storyPassword).at("second").submit("code", w.code(t, "move.owner")).at("/account")

		b.open("/account/username").at("username").submit("username", "MOVE.owner").see(422, "")
		b.submit("username", "other.person").see(422, "")
		b.submit("username", "moved.owner").at("/account/contacts").signOut()
		time.Sleep(time.Minute)
		b.try("move.owner", storyPassword).at("second").submit("code", w.code(t, "move.owner")).at("/account").signOut()
		_, err := w.Service.Store.ReviveUsername(t.Context(), u.ID, w.named(t, u.ID, "move.owner").ID)
		must(t, err)
		must(t, w.Service.Store.RetireUsernames(t.Context(), u.ID, time.Now().AddDate(-1, 0, -1)))
		if b.try("move.owner", storyPassword).at("password"); b.Status != 422 {
			t.Error("the former name works for ever")
		}
		must(t, w.Service.Store.AddIdentifier(t.Context(), &idp.Identifier{UserID: u.ID, Kind: idp.IdentifierUsername, Value: "third"}))
		if err := w.Service.Store.AddIdentifier(t.Context(), &idp.Identifier{UserID: u.ID, Kind: idp.IdentifierUsername, Value: "move.owner"}); idp.KindOf(err) != idp.Conflict {
			t.Errorf("the former name is free: %v", err)
		}
	})
}

// A frozen person comes back with what he had three days before the freeze; what is
// younger may be the thief's.
func TestStrongReturn(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "back.owner", Phone: "+8613900000014", TOTP: true})
		w.addCodes(t, u, 10)
		b, thiefs := w.from(t, "203.0.113.14"), w.internal()
		time.Sleep(80 * time.Hour)
		b.open("/sign-in").signIn("back.owner").open("/account/enrol?factor=passkey").bind(thiefs, "").at("/account/factors")
		froze, err := w.Service.Store.FreezeUser(t.Context(), u.ID, time.Now())
		must(t, err)
		if !froze {
			t.Fatal("not frozen")
		}
		b.open("/account/enrol?factor=passkey")
		if strings.HasSuffix(b.URL.Path, "enrol-passkey") {
			t.Error("a frozen person binds a passkey")
		}
		time.Sleep(10 * time.Minute)
		b.open("/account/unfreeze").post("/account/unfreeze", nil).at("password").submit("password", storyPassword).at("second")
		b.post(strings.TrimSuffix(b.URL.Path, "/second")+"/second/way", url.Values{"way": {"passkey"}})
		if b.Status == http.StatusOK && strings.Contains(b.Body, "assertion") {
			t.Error("a passkey of the day of the freeze is offered")
		}
		b.open("/account/unfreeze").post("/account/unfreeze", nil)
		if strings.HasSuffix(b.URL.Path, "password") {
			b.submit("password", storyPassword)
		}
		b.at("second").submit("code", w.code(t, "back.owner"))
		if w.user(t, "back.owner").Frozen || len(w.events(t, "back.owner", "account.unfrozen")) != 1 {
			t.Errorf("still frozen: at %s %s", b.URL, b.text())
		}
	})
}

// Strangers have used the tries of an account up; on a new browser its owner shows his
// phone first and has tries of his own. Nothing in that tells whether there is such an
// account.
func TestIntroduced(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{Login: "shy.cashier", Phone: "+8613900000015"})
		for i := range 20 {
			w.from(t, "198.51.100."+string(rune('a'+i)))
		}
		key := []byte(w.user(t, "shy.cashier").ID)
		for range 20 {
			_, _, err := w.Service.Store.TakeBucket(t.Context(), "pw", key, 20, 18*time.Hour, time.Now())
			must(t, err)
		}
		b := w.from(t, "203.0.113.15")
		b.try("shy.cashier", storyPassword).at("password").see(422, "") // right, and closed
		b.submit("way", "introduce:phone").at("introduce").submit("resend", "1").at("introduce").submit("code", w.sent(t, "+8613900000015")).at("password")
		b.submit("password", storyPassword).at("/account")
		if acr := w.acr(t, "shy.cashier"); acr != idp.ACR1 {
			t.Errorf("the introduction made %s", acr)
		}

		n := w.from(t, "203.0.113.16")
		n.try("nobody.at.all", storyPassword).at("password").submit("way", "introduce:phone").at("introduce").submit("resend", "1").see(200, "")
		n.submit("code", "123456").see(422, "")
	})
}

// Reminders: few codes and a phone that was not proved for long are one letter a week, and
// one only, however often and wherever the job runs.
func TestDigest(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "digest.owner", Phone: "+8613900000017", Mail: "digest@example.com", TOTP: true})
		codes := w.addCodes(t, u, 3)
		b := w.from(t, "203.0.113.17")
		b.try("digest.owner", storyPassword).at("second").submit("way", "backup").submit("code", codes[0]).at("choose-factor")
		count := func() (n int) {
			t.Helper()
			for _, template := range w.letters(t, "digest@example.com") {
				if template == "digest" {
					n++
				}
			}
			return n
		}
		if count() != 0 {
			t.Error("a digest before the day")
		}
		time.Sleep(7 * time.Hour)                                               // the job runs
		if count() != 1 || len(w.events(t, "digest.owner", "codes.low")) != 2 { // at the use, and in the letter
			t.Fatalf("%d digests, %d reminders of codes", count(), len(w.events(t, "digest.owner", "codes.low")))
		}
		must(t, w.Service.Store.ProveIdentifier(t.Context(), w.named(t, u.ID, "+8613900000017").ID, time.Now().AddDate(0, 0, -61)))
		time.Sleep(7 * time.Hour)
		if count() != 2 || len(w.events(t, "digest.owner", "channel.stale")) != 1 {
			t.Errorf("%d digests with the phone", count())
		}
		time.Sleep(24 * time.Hour)
		if count() != 2 {
			t.Errorf("%d digests a day later", count())
		}
	})
}

// A policy administrator signs in with his two factors until he has a passkey, and from
// then on with that alone: the app would not do any more.
func TestPolicyAdminNeedsHisPasskey(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RolePolicyAdmin}, Login: "phr.admin", Phone: "+8613900000027", TOTP: true})
		codes := w.addCodes(t, u, 10)
		b, key := w.from(t, "203.0.113.40"), w.internal()
		b.open("/sign-in").signIn("phr.admin").open("/account/enrol?factor=passkey").bind(key, "").at("/account/factors").signOut()
		time.Sleep(time.Minute)
		b.try("phr.admin", storyPassword).at("second")
		if strings.Contains(b.Body, `value="totp"`) {
			t.Error("the app is offered")
		}
		b.post(strings.TrimSuffix(b.URL.Path, "/second")+"/second/way", url.Values{"way": {"totp"}})
		b.post(strings.TrimSuffix(b.URL.Path, "/way"), url.Values{"code": {w.code(t, "phr.admin")}})
		if len(w.sessions(t, "phr.admin")) != 0 {
			t.Fatal("in by the app")
		}
		b.try("phr.admin", storyPassword).at("second").assert(key)
		if acr := w.acr(t, "phr.admin"); acr != idp.ACRPhr {
			t.Errorf("in with %s", acr)
		}
		b.signOut().try("phr.admin", storyPassword).at("second").submit("way", "backup").submit("code", codes[0]).at("choose-factor") // the key is lost
	})
}

// A policy administrator without a passkey is led to one by the first act that wants it, and
// does it with that; if he would rather not he is back where he can look. An issuer that can
// have none asks for what there is.
func TestGraveActBringsAPasskey(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b, key := w.from(t, "203.0.113.41"), w.internal()
		b.open("/console").signIn("policy_admin").see(200, templates.T("zh-CN", "console.dashboard"))
		const form = "/console/users/new"
		b.open(form).at("offer").see(200, templates.T("zh-CN", "offer.console_title")).see(200, templates.T("zh-CN", "offer.console_after"))
		b.submit("do", "later").at("/console")
		b.open(form).at("offer") // not with less: it asks each time
		if held := w.holds(t, "he.min", idp.MethodPasskey); held != "" {
			t.Fatal("holds a passkey")
		}
		time.Sleep(time.Minute) // the code of the authenticator is used up
		b.submit("do", "now").bind(key, "")
		b.codes()
		b.keep().at(form).see(200, templates.T("zh-CN", "reason.label"))
		time.Sleep(10 * time.Minute)
		b.open(form).at("second").assert(key).at(form)
		if acr := w.acr(t, "he.min"); acr != idp.ACRPhr {
			t.Errorf("with the passkey: %s", acr)
		}
	})
	t.Run("address", func(t *testing.T) {
		dsn, dir := sown(t, storage.SQLite, true)
		cfg := server.Defaults(dir, true)
		cfg.Database.DSN, cfg.Issuer = idp.Secret(dsn), "http://127.0.0.1:8080"
		synctest.Test(t, func(t *testing.T) {
			startWorld(t, cfg, dir).from(t, "203.0.113.42").open("/console").signIn("policy_admin").open("/console/users/new").at("/console/users/new").see(200, "")
		})
	})
}
