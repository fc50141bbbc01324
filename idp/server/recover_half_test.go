package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// halfBack is somebody of whom everything can be asked, at a browser that has shown one
// proof in a recovery of his account.
func (w *demoWorld) halfBack(t *testing.T) (target, *browser) {
	t.Helper()
	p := w.target(t, idp.RoleOwner, "half.back")
	time.Sleep(8 * 24 * time.Hour)
	p.ask = w.asks(t, "", "DCDFGHJK", "payments:refund")
	p.form.Set("user_code", "DCDFGHJK")
	p.form.Set("device_code", p.ask.device)
	p.spare = []string{"POST /flows/{flow}/recover-wait/stop"}
	b := w.from(t, "203.0.113.1")
	b.lost("both", p.login).shows("introduce:phone", "+8615912345678").see(200, "要等一段时间")
	return p, b
}

// hiddenBack are the secrets that the pages of a recovery of his do not show either.
func hiddenBack(p target) []string {
	return []string{"欧阳若兰", "15912345678", "ruolan." + p.login, "鼓楼店"}
}

// opensNothing asks everything of everybody with the browser of a flow that has shown too
// little, whose own pages are at page and show nothing of hidden: nothing is signed in,
// shown, changed or handed out.
func (w *demoWorld) opensNothing(t *testing.T, b *browser, p target, page string, hidden []string) {
	t.Helper()
	flow, before, asked := strings.Split(b.URL.Path, "/")[2], w.standing(t, p), 0
	w.every(t, b, p, flow, []class{leave}, func(route, path string, c class, status int, to, body string) {
		asked++
		noToken(t, route, to, body)
		secrets := p.secrets
		if c == step {
			secrets = hidden
		}
		for _, secret := range secrets {
			if c != demo && strings.Contains(body, secret) {
				t.Errorf("%s shows %s", route, secret)
			}
		}
		if b.cookie("hufu-s") != nil {
			t.Fatalf("%s signs in", route)
		}
		switch c {
		case open, demo, client:
		case step:
			if status/100 == 3 && !strings.HasPrefix(to, "/flows/"+flow) || status == 200 && !strings.Contains(path, page) {
				t.Errorf("%s: %d to %s", route, status, to)
			}
		default:
			if status/100 == 4 {
				return
			}
			if status == 303 && strings.HasPrefix(to, "/authorize?continue=") { // by POST: it comes back by GET
				_, to, _ = b.ask("GET", to, nil)
			}
			if !strings.HasPrefix(to, "/flows/") || flowToken.FindString(to) == "/flows/"+flow {
				t.Errorf("%s (%s): %d to %s", route, c, status, to)
				return
			}
			if b.open(to); !strings.HasSuffix(b.URL.Path, "/identify") {
				t.Errorf("%s leads to %s", route, b.URL.Path)
			}
		}
	})
	if after := w.standing(t, p); after != before {
		t.Errorf("changed:\n%s\n%s", before, after)
	}
	if asked < 150 {
		t.Errorf("only %d requests", asked)
	}
	b.open("/flows/" + flow) // it was open all the time
	if b.has("way") && !b.has("do") && strings.HasSuffix(b.URL.Path, "/recover-proof") {
		b.submit("way", "other")
	}
}

// One proof of a recovery is no sign-in and no part of one.
func TestHalfRecoveryOpensNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		p, b := w.halfBack(t)
		w.opensNothing(t, b, p, "/recover", hiddenBack(p))
		// The page of the ways begins what it says, a wait, and nothing sooner.
		if r := w.recoveries(t, p.login); len(r) != 1 || r[0].State != idp.RecoveryWaiting || r[0].DueAt.Sub(r[0].StartedAt) < 24*time.Hour {
			t.Errorf("%+v", r)
		}
	})
}

// Nor is one that waits: until it is due nothing is replaced, whatever is posted to whichever
// of its steps, and it comes no nearer.
func TestWaitingRecoveryOpensNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		p, b := w.halfBack(t)
		b.submit("do", "go").see(200, "还要等")
		r := w.recoveries(t, p.login)[0]
		w.opensNothing(t, b, p, "/recover", hiddenBack(p))
		if now := w.recoveries(t, p.login); len(now) != 1 || now[0].State != idp.RecoveryWaiting || !now[0].DueAt.Equal(r.DueAt) || !now[0].StartedAt.Equal(r.StartedAt) {
			t.Errorf("%+v, was %+v", now, r)
		}
		if !strings.HasSuffix(b.URL.Path, "/recover-wait") { // one more way was looked at
			b.submit("do", "go")
		}
		time.Sleep(time.Until(r.DueAt) - time.Minute)
		b.open(b.URL.Path).see(200, "还要等")
		time.Sleep(2 * time.Minute)
		b.open(b.URL.Path).see(200, "密码").chooses().see(200, "找回来了")
	})
}

// In a recovery, too, a code is what its digits are, in whatever script and with whatever
// between; a code of the app is used up by either, a sign-in or a recovery, for the other.
func TestRecoveryCodesInOtherScripts(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for i, login := range []string{"digits.one", "digits.two", "digits.three"} {
			w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: "+861391000011" + string('0'+rune(i)), Mail: login + "@example.com", NoSignIn: true}, "203.0.113.1")
		}
		time.Sleep(8 * 24 * time.Hour)
		proofs := func(login string) int { return len(w.events(t, login, "recovery.proof")) }

		// A recovery uses it up for a sign-in.
		one := w.from(t, "203.0.113.1").lost("password", "digits.one").asked("introduce:phone")
		one.submit("code", spell(w.recoveryCode(t, "+8613910000110"), '０', " \u3000")).see(200, "139****0110")
		app := w.code(t, "digits.one")
		one.by("totp").submit("code", spell(app, '０', "-")).see(200, "可以继续了")
		for _, again := range []string{app, spell(app, '０', ""), spell(app, '0', " "), " " + app + "\t"} {
			in := w.from(t, "203.0.113.11").try("digits.one", storyPassword).at("second")
			if in.submit("code", again); in.Status != http.StatusUnprocessableEntity || len(w.sessions(t, "digits.one")) != 0 {
				t.Errorf("used in a recovery, it signs in as %q: %d", again, in.Status)
			}
		}
		second := w.from(t, "203.0.113.12").lost("password", "digits.one").shows("introduce:email", "digits.one@example.com")
		before := proofs("digits.one")
		if second.by("totp").submit("code", spell(app, '0', "\u3000")); second.Status != http.StatusUnprocessableEntity || proofs("digits.one") != before {
			t.Errorf("used in one recovery, it counts in another: %d", second.Status)
		}

		// A sign-in uses it up for a recovery.
		two := w.from(t, "203.0.113.2").lost("password", "digits.two").shows("introduce:phone", "+8613910000111")
		app = w.code(t, "digits.two")
		w.from(t, "203.0.113.13").try("digits.two", storyPassword).at("second").submit("code", app).see(200, "某人")
		before = proofs("digits.two")
		two.by("totp")
		for _, again := range []string{app, spell(app, '０', " "), spell(app, '0', "\u3000")} {
			if two.submit("code", again); two.Status != http.StatusUnprocessableEntity || proofs("digits.two") != before {
				t.Errorf("used at a sign-in, it counts in a recovery as %q: %d", again, two.Status)
			}
		}
		time.Sleep(2 * time.Minute)
		two.open(two.URL.Path).submit("code", w.code(t, "digits.two")).see(200, "可以继续了")

		// A wrong one counts however it is written: five of a code.
		three := w.from(t, "203.0.113.3").lost("both", "digits.three").asked("introduce:phone")
		page, right := three.URL.Path, w.recoveryCode(t, "+8613910000112")
		for n := range 5 {
			guess{b: three, field: "code"}.try(page, spell(strings.Repeat(string('1'+rune(n)), 8), []rune{'0', '０'}[n%2], []string{"", " ", "\u3000"}[n%3]))
		}
		guess{b: three, field: "code"}.try(page, right)
		if three.Status < 400 || proofs("digits.three") != 0 {
			t.Errorf("five wrong ones in other scripts were not counted: %d", three.Status)
		}
		if slices.ContainsFunc([]string{"digits.one", "digits.two", "digits.three"}, func(login string) bool { return len(w.recoveries(t, login)) != 0 }) {
			t.Error("a recovery began by itself")
		}
	})
}
