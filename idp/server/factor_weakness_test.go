package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// Proofs of two people never make one session: a flow that one of them has proved
// something in stays his, whatever another one's passkey is named for.
func TestProofsOfTwoPeople(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		a := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "two.thief", TOTP: true})
		v := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "two.victim", TOTP: true})
		w.addCodes(t, a, 10)
		w.addCodes(t, v, 10)
		mine, theirs := w.internal(), w.internal()
		for login, key := range map[string]interface {
			Create([]byte) (string, error)
		}{"two.thief": mine, "two.victim": theirs} {
			b := w.from(t, "203.0.113.20")
			b.open("/sign-in").signIn(login).open("/account/enrol?factor=passkey").at("enrol-passkey")
			answer, err := key.Create(b.options(""))
			must(t, err)
			b.post(b.URL.Path, url.Values{"attestation": {answer}}).at("/account/factors").signOut()
		}
		time.Sleep(time.Minute)
		mine.UV, theirs.UV = false, false
		b := w.from(t, "203.0.113.21")
		b.open("/sign-in").assert(mine).at("password")
		owned, err := theirs.Get(w.from(t, "203.0.113.22").open("/sign-in").options("")) // names the victim's key; its challenge is another flow's
		must(t, err)
		b.post(b.URL.Path, url.Values{"assertion": {owned}})
		if strings.Contains(b.Body, "two.victim") {
			t.Error("the page names the victim")
		}
		b.open(strings.TrimSuffix(b.URL.Path, "/password")+"/password").post(b.URL.Path, url.Values{"password": {storyPassword}})
		if n := len(w.sessions(t, "two.victim")); n != 0 {
			t.Fatalf("the victim has %d sessions", n)
		}
		for _, ss := range w.sessions(t, "two.thief") {
			for _, p := range ss.Proofs {
				if p.User != ss.UserID {
					t.Errorf("a proof of %s in a session of %s", p.User, ss.UserID)
				}
			}
		}
	})
}

// A passkey that fails leaves the flow with whom it was about: the right password of the
// typed name is right afterwards.
func TestFailedPasskeyChangesNobody(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "same.cashier"})
		stranger := w.internal()
		_, err := stranger.Create(w.from(t, "203.0.113.23").passkeyOptions(t, w)) // of a site account that was never kept
		must(t, err)
		b := w.from(t, "203.0.113.24")
		b.name("same.cashier").at("password").assert(stranger).see(422, "")
		b.submit("password", storyPassword).at("/account")
	})
}

// The code that one's own phone received binds no other, though nothing was sent to it.
func TestCodeBindsItsOwnContact(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "bind.owner", Phone: "+8613900000020", TOTP: true})
		w.addCodes(t, u, 10)
		b := w.from(t, "203.0.113.25")
		b.open("/sign-in").signIn("bind.owner").open("/account/contact/new?kind=phone").at("contact").submit("contact", "13900000021").at("contact-code")
		code := w.sent(t, "+8613900000021")
		b.open(strings.TrimSuffix(b.URL.Path, "contact-code") + "contact").at("contact")
		b.submit("contact", "+44 7911 123456").at("contact-code").post(b.URL.Path, url.Values{"code": {code}})
		names, err := w.Service.Store.Identifiers(t.Context(), u.ID)
		must(t, err)
		for _, n := range names {
			if n.Value == "+447911123456" {
				t.Fatal("bound without its code")
			}
		}
	})
}

// The password alone never chooses the next one, where there is a channel to ask: not even
// when the thief himself has brought the demand about.
func TestPasswordAloneChangesNoPassword(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "grace.owner", Phone: "+8613900000022"})
		must(t, w.Service.Store.SetMustChange(t.Context(), u.ID, true))
		b := w.from(t, "203.0.113.26")
		b.try("grace.owner", storyPassword).at("second")
		step := strings.TrimSuffix(b.URL.Path, "second")
		b.post(step+"new-password", url.Values{"password": {"a thief's own password"}, "again": {"a thief's own password"}}).at("second")
		b.post(step+"offer", url.Values{"do": {"later"}}).at("second")
		if len(w.events(t, "grace.owner", "password.changed")) != 0 || len(w.sessions(t, "grace.owner")) != 0 {
			t.Fatal("changed, or in")
		}
		b.submit("resend", "1").submit("code", w.sent(t, "+8613900000022")).at("new-password")
		b.submit("password", "a sentence that nobody knows", "again", "a sentence that nobody knows").at("offer")
	})
}

// What a credential has proved dies with it, also in flows that are under way.
func TestDeadProofsCountNowhere(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "dead.owner", Phone: "+8613900000023", TOTP: true})
		codes := w.addCodes(t, u, 10)
		thief, owner := w.from(t, "203.0.113.27"), w.from(t, "203.0.113.28")
		thief.try("dead.owner", storyPassword).at("second").submit("way", "backup").submit("code", codes[0]).at("choose-factor")
		owner.open("/sign-in").signIn("dead.owner").open("/account/codes")
		owner.codes()
		owner.keep().at("/account/factors")
		key := w.internal()
		thief.post(strings.TrimSuffix(thief.URL.Path, "choose-factor")+"choose-factor", url.Values{"factor": {"passkey"}})
		if strings.HasSuffix(thief.URL.Path, "/enrol-passkey") && thief.Status == 200 {
			thief.bind(key, "mine")
		}
		if n := len(w.sessions(t, "dead.owner")); n != 1 {
			t.Errorf("%d sessions, want the owner's alone: thief at %s", n, thief.URL.Path)
		}
		if len(w.events(t, "dead.owner", "factor.enrolled")) != 0 {
			t.Error("the thief has bound a passkey")
		}
	})
}

// A factor that is blocked still stands: its person is asked for a second one. What the
// copy let in ends.
func TestBlockedFactorStillStands(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{Login: "block.cashier", Phone: "+8613900000024"})
		w.addCodes(t, u, 10)
		b, key := w.from(t, "203.0.113.29"), w.internal()
		key.Counter = 3
		b.open("/sign-in").signIn("block.cashier").open("/account/enrol?factor=passkey").at("second")
		if !strings.Contains(b.Body, `name="code"`) {
			b.submit("resend", "1")
		}
		b.submit("code", w.sent(t, "+8613900000024")).bind(key, "").at("/account/factors").signOut()
		copied := key.Copy()
		thief := w.from(t, "198.51.100.29")
		thief.open("/sign-in").assert(copied).at("/account")
		b.open("/sign-in").assert(key).see(422, "")
		if n := len(w.sessions(t, "block.cashier")); n != 0 {
			t.Errorf("%d sessions live on", n)
		}
		w.from(t, "203.0.113.30").try("block.cashier", storyPassword).at("second") // not with the password alone
	})
}

// A second step that is asked for long after the sign-in leads somewhere, for somebody with
// a mail address alone.
func TestLateStepUpWithoutFactor(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "late.mail", Mail: "late.mail@example.com"})
		b := w.from(t, "203.0.113.31")
		b.open("/sign-in").signIn("late.mail").at("/account")
		time.Sleep(10 * time.Minute)
		b.open("/account/enrol?factor=totp").at("password").submit("password", storyPassword).at("second").submit("code", w.sent(t, "late.mail@example.com")).at("enrol-totp")
		time.Sleep(10 * time.Minute) // looks for the phone
		enrol(t, b)
		b.codes()
		b.keep().at("/account/factors")
	})
}

// Typing errors at the code of one's own new address are nobody's attack.
func TestAddressTries(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "typo.owner", Phone: "+8613900000025", TOTP: true})
		w.addCodes(t, u, 10)
		b := w.from(t, "203.0.113.32")
		b.open("/sign-in").signIn("typo.owner").open("/account/contact/new?kind=email").at("contact").submit("contact", "fresh@example.com").at("contact-code")
		right := w.sent(t, "fresh@example.com")
		for i := range 5 {
			wrong := "00000" + string(rune('1'+i))
			if wrong != right {
				b.submit("code", wrong).see(422, "")
			}
		}
		time.Sleep(31 * time.Second)
		b.submit("resend", "1").submit("code", w.sent(t, "fresh@example.com")).at("/account/contacts")
		if n := len(w.events(t, "typo.owner", "lock.closed")); n != 0 {
			t.Errorf("%d alarms", n)
		}
	})
}

// What was ticked beside a wrong code is not kept for the right one; and the session of a
// waived sign-in belongs to its browser.
func TestTrustIsTickedOnce(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "tick.owner", Phone: "+8613900000026", TOTP: true})
		w.addCodes(t, u, 10)
		b := w.from(t, "203.0.113.33")
		b.try("tick.owner", storyPassword).at("second").submit("code", w.wrongCode(t, "tick.owner", 1), "trust", "1").see(422, "")
		b.submit("code", w.code(t, "tick.owner")).at("/account").signOut()
		b.try("tick.owner", storyPassword).at("second")
		time.Sleep(time.Minute)
		b.submit("code", w.code(t, "tick.owner"), "trust", "1").at("/account").signOut()
		b.try("tick.owner", storyPassword).at("/account")
		if w.sessions(t, "tick.owner")[0].Browser == "" {
			t.Error("the session knows no browser")
		}
	})
}
