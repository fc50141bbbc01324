package server_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/templates"
)

var eightDigits = regexp.MustCompile(`\b\d{8}\b`)

// recoveryCode is the newest code of a recovery that went to a phone or address.
func (w *demoWorld) recoveryCode(t *testing.T, to string) string {
	t.Helper()
	all, err := w.Service.Store.Messages(t.Context(), 50)
	must(t, err)
	for _, m := range all {
		if code := eightDigits.FindString(m.Body); m.To == to && m.Template == "code" && code != "" {
			return code
		}
	}
	t.Fatalf("no recovery code for %s among %d messages", to, len(all))
	return ""
}

// ripe is somebody whose phone, address and factors are all old enough to prove something,
// and who has signed in on a desktop browser at an address.
func (w *demoWorld) ripe(t *testing.T, p somebody, address string) (b *browser, kit []string) {
	t.Helper()
	u := w.person(t, p)
	kit = w.addCodes(t, u, 10)
	b = w.from(t, address)
	if p.NoPassword || p.NoSignIn {
		return b, kit
	}
	b.open("/sign-in").signIn(p.Login).see(200, "某人")
	time.Sleep(8 * 24 * time.Hour)
	return b, kit
}

// lost opens the door with what is lost, and names the account.
func (b *browser) lost(what, login string) *browser {
	b.t.Helper()
	b.open("/recover").see(200, "登录遇到问题").submit("lost", what)
	return b.submit("identifier", login)
}

// by takes a way to show who one is.
func (b *browser) by(way string) *browser {
	b.t.Helper()
	return b.submit("way", way)
}

// phoned proves the phone of a person.
func (b *browser) shows(way, to string) *browser {
	b.t.Helper()
	return b.asked(way).submit("code", b.world.recoveryCode(b.t, to))
}

// asked takes a way and has its code sent, where that must be asked for.
func (b *browser) asked(way string) *browser {
	b.t.Helper()
	if b.by(way); len(all(b.Doc, "input")) == 0 || b.has("resend") && !b.has("code") {
		b.submit("resend")
	}
	return b
}

// has says whether the page has an input or button of a name.
func (b *browser) has(name string) bool {
	for _, kind := range []string{"input", "button"} {
		for _, n := range all(b.Doc, kind) {
			if attr(n, "name") == name {
				return true
			}
		}
	}
	return false
}

// recoveries are those of a person, newest first.
func (w *demoWorld) recoveries(t *testing.T, login string) []idp.Recovery {
	t.Helper()
	list, err := w.Service.Store.Recoveries(t.Context(), w.user(t, login).ID, 50)
	must(t, err)
	return list
}

const newPassword = "wobbly lantern orchid 7 kettle"

// chooses sets the new password on its page.
func (b *browser) chooses() *browser {
	b.t.Helper()
	return b.submit("password", newPassword, "again", newPassword)
}

// over: somebody was told, by mail and by text message, that a recovery is over, and how that came.
func (w *demoWorld) over(t *testing.T, login, template, how, whose string) {
	t.Helper()
	got := w.notices(t, login, template)
	for by, want := range map[idp.ChannelKind]string{idp.ChannelMail: templates.T("zh-CN", "mail."+template+".lead"+how, whose), idp.ChannelSMS: templates.T("zh-CN", "sms."+template+how)} {
		n := 0
		for _, m := range got {
			if m.Channel == by && strings.Contains(m.Body, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s was told %d times that %q, want once: %d of %s", login, n, want, len(got), template)
		}
	}
}

// mask hides what is random on a page.
func mask(text string) string { return explainCode.ReplaceAllString(text, "CODE") }

// kitCode is a code in the right form that nobody has.
func kitCode() string { return backup.NewSet(1)[0] }

// held is what a person holds of a method.
func (w *demoWorld) held(t *testing.T, login string, m idp.Method) idp.Credential {
	t.Helper()
	creds, err := w.Service.Store.Credentials(t.Context(), w.user(t, login).ID)
	must(t, err)
	for _, c := range creds {
		if c.Method == m {
			return c
		}
	}
	t.Fatalf("%s holds no %s", login, m)
	return idp.Credential{}
}

// big is the number that the page shows in big letters.
func (b *browser) big() string {
	b.t.Helper()
	for _, p := range all(b.Doc, "p") {
		if attr(p, "class") == "big" {
			return strings.TrimSpace(p.LastChild.Data)
		}
	}
	b.t.Fatalf("no big number on %s", b.URL)
	return ""
}
