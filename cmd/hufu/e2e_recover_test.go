package main

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// recovery walks through every choice of the door of those who cannot sign in, on phones, in a world of its own: what one
// story replaces, the next begins with.
func (w *world) recovery(t *testing.T) {
	t.Run("user name", w.forgottenName)
	t.Run("something else", w.somethingElse)
	t.Run("password", w.forgottenPassword)
	t.Run("staff", w.codeOfTheShop)
	bench := w.tab(t, "terminals", phone)
	w.signsInTerminal(t, bench)
	w.monthLater(t)
	t.Run("phone alone", func(t *testing.T) { w.phoneAlone(t, bench.in(t)) })
	t.Run("phone and terminal", func(t *testing.T) { w.phoneAndTerminal(t, bench.in(t)) })
	w.monthLater(t)
	file := filepath.Join(t.TempDir(), "kit.age")
	t.Run("new kit", func(t *testing.T) { w.newKit(t, file) })
	w.monthLater(t)
	t.Run("lost phone, code of the kit", w.kitTyped)
	w.monthLater(t)
	t.Run("lost phone, file of the kit", func(t *testing.T) { w.kitFile(t, file) })
}

// monthLater makes everything of the last day a month older, as if it had been left alone for so long: what is bound too
// lately proves nothing, and messages and guesses of one day are counted.
func (w *world) monthLater(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, "hufu.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	month, since := (30 * 24 * time.Hour).Microseconds(), time.Now().Add(-24*time.Hour).UnixMicro()
	for table, columns := range map[string][]string{"identifiers": {"verified_at", "last_proven_at"}, "credentials": {"created_at", "changed_at"}, "terminals": {"activated_at", "key_at"},
		"users": {"withheld_until", "payee_until"}, "recoveries": {"started_at"}} {
		for _, column := range columns {
			if _, err := db.ExecContext(t.Context(), "UPDATE "+table+" SET "+column+" = "+column+" - ? WHERE "+column+" > ?", month, since); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, table := range []string{"limits", "waits", "sends"} {
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}

// in is the same tab in another test.
func (b *tab) in(t *testing.T) *tab {
	b.t = t
	return b
}

// lost opens the door from the page of sign-in, takes one of its choices and names the account.
func (w *world) lost(t *testing.T, choice, login string) *tab {
	t.Helper()
	b := w.tab(t, "lost-"+login, phone)
	b.open(w.issuer+"/account").press(w.T("foot.trouble")).see(200, w.T("recover.title"), w.T("recover.lead")).press(w.T(choice))
	return b.see(200, w.T("recover-who.lead")).fill("identifier", login).press(w.T("next")).see(200, w.T("recover-hub.title"))
}

var eightDigits = regexp.MustCompile(`\b\d{8}\b`)

// coded has a code sent to a phone or an address, and types it.
func (b *tab) coded(to string) *tab {
	b.t.Helper()
	if strings.Contains(plain(b.page.Text), plain(b.T("code.unsent"))) {
		b.press(b.T("code.send"))
	}
	b.see(200, b.T("code.title"))
	return b.fill("code", eightDigits.FindString(b.letter(b.t, to, eightDigits))).press(b.T("next"))
}

// letter is the newest message to a phone or an address in which something stands.
func (w *world) letter(t *testing.T, to string, says *regexp.Regexp) (found string) {
	t.Helper()
	b := w.tab(t, "tray", desktop)
	waitFor(t, "a message to "+to+" with "+says.String(), func() bool {
		b.open(w.issuer + "/dev/messages")
		for _, text := range eval[[]string](b, `[...document.querySelectorAll("article")].map((a) => a.textContent)`) {
			if strings.Contains(text, to) && says.MatchString(text) {
				found = text
				return true
			}
		}
		return false
	})
	return found
}

// choosesPassword sets a new password.
func (b *tab) choosesPassword(who string) *tab {
	b.t.Helper()
	p := b.people[who]
	b.passwords++
	p.Password = fmt.Sprint("wobbly lantern orchid kettle ", b.passwords)
	return b.see(200, b.T("new-password.title")).fill("password", p.Password).fill("again", p.Password).press(b.T("new-password.save"))
}

// back is the end of a recovery: nobody is signed in by it, and the new password is taken.
func (b *tab) back(who string) *tab {
	b.t.Helper()
	b.see(200, b.T("recover-done.title"), b.T("recover-done.ended")).press(b.T("recover-done.sign_in")).see(200, b.T("identify.title"))
	b.fill("identifier", b.people[who].Username).press(b.T("next")).see(200, b.T("password.title"))
	return b.fill("password", b.people[who].Password).press(b.T("next"))
}

// A forgotten user name comes on a channel that is bound to it; by merchant number and serial it goes to the owner's.
func (w *world) forgottenName(t *testing.T) {
	b := w.tab(t, "manager", phone)
	b.open(w.issuer+"/account").press(w.T("foot.trouble")).press(w.T("recover.username")).see(200, w.T("name-who.title"), w.T("name-who.shop"))
	b.fill("contact", "not a phone").press(w.T("code.send")).see(422, w.T("name.malformed"))
	p := w.people["manager"]
	b.fill("contact", strings.TrimPrefix(p.Phone, "+86")).press(w.T("code.send")).coded(p.Phone).see(200, w.T("name-told.title"), p.Username, "林记小馆")
	b.press(w.T("name-told.sign_in")).see(200, w.T("identify.title"))

	b.open(w.issuer+"/recover").press(w.T("recover.username")).fill("merchant_no", w.merchantNo).fill("serial", w.serials["esign"]).press(w.T("name-who.send"))
	b.see(200, w.T("name-told.sent"), w.T("name-told.sent_lead")).press(w.T("recover-other.back")).see(200, w.T("recover.title"))
	owner := w.people["owner"]
	w.letter(t, owner.Email, regexp.MustCompile(regexp.QuoteMeta(owner.Username)+`\b[^@]`))
}

// Where none of the choices fits, the page says what to do and leads on.
func (w *world) somethingElse(t *testing.T) {
	b := w.tab(t, "anybody", phone)
	b.open(w.issuer+"/recover").press(w.T("recover.other")).see(200, w.T("recover-other.title"), w.T("recover-other.staff"), w.T("recover-other.never"))
	for _, topic := range []string{"lost-phone", "stolen-terminal", "support"} {
		b.press(w.T("help."+topic+".title")).see(200, w.T("help."+topic+".lead")).open(w.issuer+"/recover/other").see(200, w.T("recover-other.title"))
	}
	b.press(w.T("recover-other.back")).see(200, w.T("recover.title")).press(w.T("recover.back")).see(200, w.T("identify.title"))
}

// The owner forgot the password: a code on the phone and one of the app, and the new one is his.
func (w *world) forgottenPassword(t *testing.T) {
	p := w.people["owner"]
	b := w.lost(t, "recover.password", p.Username).press(w.T("way.sms")).coded(p.Phone)
	b.see(200, w.T("recover-hub.plan_wait"), w.T("recover-hub.more")).press(w.T("way.totp")).see(200, w.T("totp.title")).fill("code", w.code(t, "owner")).press(w.T("next"))
	b.see(200, w.T("recover-hub.plan_now"), w.T("recover.by.totp")).press(w.T("recover-hub.do_now")).choosesPassword("owner")
	b.back("owner").see(200, w.T("totp.title"))
	w.letter(t, p.Email, regexp.MustCompile(`/stop\?t=`))
}

// The manager makes a code in the console, and the cashier comes back by it.
func (w *world) codeOfTheShop(t *testing.T) {
	manager := w.tab(t, "manager", phone)
	manager.open(w.issuer+"/console").signIn("manager").see(200, w.T("console.shop.staff")).open(w.issuer+"/console/users").press("陈小燕").see(200, "陈小燕")
	manager.press(w.T("console.user.help")).proves("manager").see(200, w.T("console.user.help_lead")).fill("reason", "密码忘了，人在店里").pressIn("main", w.T("console.user.help"))
	manager.see(200, w.T("console.code.once"), w.T("console.code.first"))
	code := manager.text(".code-in code")

	b := w.lost(t, "recover.password", w.people["cashier"].Username).press(w.T("way.shop")).see(200, w.T("recover-shop.title"))
	b.fill("code", "0000 0000").press(w.T("next")).see(422, w.T("code.wrong"))
	b.fill("code", code).press(w.T("next")).see(200, w.T("recover-hub.plan_now"), w.T("recover.by.shop")).press(w.T("recover-hub.do_now")).choosesPassword("cashier")
	b.back("cashier").see(200, w.T("account.hello", "陈小燕"))
	manager.press(w.T("console.code.done")).see(200, "陈小燕")
}

// signsInTerminal has a terminal ask, and the owner approve it.
func (w *world) signsInTerminal(t *testing.T, bench *tab) {
	t.Helper()
	bench.open(w.bench).pressIn("smart", w.S("terminal", "start")).see(200, w.S("terminal", "state.waiting"))
	number, owner := bench.text("#smart .match"), w.tab(t, "owner", phone)
	owner.open(bench.link("#smart a.btn")).signIn("owner").see(200, w.T("device-approve.question"), "HF-S9")
	owner.click(`input[value="`+number+`"] + span`).press(w.T("device-approve.approve")).see(200, w.T("device-done.approved.title"))
	bench.waits(1, w.S("terminal", "state.signed-in", "林薇"))
}

// ended are the recoveries of the stories before, of which the terminal says that they are done.
const ended = 2

// The phone alone begins a wait of which the terminals tell, and the link of a message stops it.
func (w *world) phoneAlone(t *testing.T, bench *tab) {
	p := w.people["manager"]
	bench.notices(ended)
	b := w.lost(t, "recover.both_do", p.Username).press(w.T("way.sms")).coded(p.Phone)
	b.see(200, w.T("recover-hub.plan_wait"), w.T("recover-hub.during")).press(w.T("recover-hub.do_wait"))
	b.see(200, w.T("recover-wait.waiting"), w.T("recover-wait.told"), w.T("recover-wait.stop"))
	b.press(w.T("recover-wait.again")).see(200, w.T("recover-wait.waiting"))
	bench.notices(ended + 1)
	mail := w.tab(t, "mail", phone)
	mail.open(linkIn(w.letter(t, p.Email, regexp.MustCompile(`/stop\?t=`)), "/stop?t=")).see(200, w.T("freeze.title")).press(w.T("freeze.do")).see(200, w.T("frozen.title"), w.T("frozen.case"))
	b.press(w.T("recover-wait.again")).see(200, w.T("recover-wait.stopped"))
	bench.notices(ended)

	// Another begins: people decide.
	again := w.lost(t, "recover.both_do", p.Username).press(w.T("way.mail")).coded(p.Email).see(200, w.T("recover-hub.plan_case"), w.T("recover-hub.case_frozen"))
	again.press(w.T("recover-hub.do_case")).see(200, w.T("recover-case.title"), w.T("recover-case.ready"))
}

// The phone, and the shop's people who pick its digits on the terminal, are enough at once.
func (w *world) phoneAndTerminal(t *testing.T, bench *tab) {
	p := w.people["owner"]
	b := w.lost(t, "recover.both_do", p.Username).press(w.T("way.sms")).coded(p.Phone).see(200, w.T("recover-hub.plan_wait"))
	b.press(w.T("way.terminal")).see(200, w.T("recover-terminal.title")).press(w.T("recover-terminal.do")).see(422, w.T("recover-terminal.waiting"))
	digits := eval[string](b, `document.querySelector("p.big").lastChild.textContent.trim()`)
	bench.notices(ended+1).pressIn("smart", digits).see(200, w.S("terminal", "notice.confirmed"))
	b.press(w.T("recover-terminal.do")).see(200, w.T("recover-hub.plan_now"), w.T("recover.by.terminal"))
	b.press(w.T("recover-hub.do_now")).choosesPassword("owner").see(200, w.T("choose-factor.title")).press(w.T("factor.totp")).bindsApp("owner")
	b.back("owner").see(200, w.T("totp.title"))
	bench.waits(0, w.S("terminal", "state.signed-in", "林薇"))
}

// notices waits until the smart terminal shows so many, which people can stop.
func (b *tab) notices(n int) *tab {
	b.t.Helper()
	waitFor(b.t, fmt.Sprint(n, " notices on the terminal"), func() bool {
		ctx, cancel := b.patient()
		defer cancel()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("#smart form[action$='/stop']").length`))
		return err == nil && got == n
	})
	b.read()
	b.look()
	return b
}

// newKit makes a new kit for the owner, and keeps its file.
func (w *world) newKit(t *testing.T, file string) {
	b := w.tab(t, "owner", phone)
	b.open(w.issuer+"/account").signIn("owner").open(w.issuer+"/account/codes").see(200, w.T("recovery-codes.title", 10))
	w.people["owner"].Codes = eval[[]string](b, `[...document.querySelectorAll(".codes li")].map((li) => li.textContent)`)
	b.press(w.T("kit.way_file")).see(200, w.T("kit.file_title")).fill("passphrase", kitPassphrase).fill("again", kitPassphrase)
	kept, err := base64.StdEncoding.DecodeString(eval[string](b, `(async () => {
		const form = document.querySelector("#passphrase").form;
		const got = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
		return btoa(String.fromCharCode(...new Uint8Array(await got.arrayBuffer())));
	})()`))
	b.must(err)
	b.must(os.WriteFile(file, kept, 0o600))
	b.press(w.T("kit.back")).keepsCodes().see(200, w.T("account.saved.codes"))
}

const kitPassphrase = "wobbly lantern orchid kettle"

// The phone is lost: the password and a code of the kit, and a new authenticator takes the place of the lost one.
func (w *world) kitTyped(t *testing.T) {
	p := w.people["owner"]
	b := w.lost(t, "recover.second", p.Username).press(w.T("way.password")).see(200, w.T("password.title")).fill("password", p.Password).press(w.T("next"))
	b.see(200, w.T("recover-hub.plan_nothing")).press(w.T("way.kit")).see(200, w.T("backup.title")).fill("code", p.Codes[0]).press(w.T("next"))
	b.see(200, w.T("recover-hub.plan_now"), w.T("recover.by.kit")).press(w.T("recover-hub.do_now")).see(200, w.T("choose-factor.title")).press(w.T("factor.totp")).bindsApp("owner")
	b.back("owner").see(200, w.T("totp.title")).fill("code", w.code(t, "owner")).press(w.T("identify.title")).see(200, w.T("account.hello", "林薇"))
}

// The same with the kit's file, and a passkey in the end.
func (w *world) kitFile(t *testing.T, file string) {
	p := w.people["owner"]
	b := w.lost(t, "recover.second", p.Username)
	b.internal()
	b.before(noAutofill)
	b.press(w.T("way.password")).fill("password", p.Password).press(w.T("next")).press(w.T("way.kit")).see(200, w.T("kit.in_place")).click("details summary")
	upload := func(passphrase string) {
		t.Helper()
		b.must(chromedp.Do(b.ctx, chromedp.SetUploadFiles(chromedp.CSS(`[name="kit"]`), []string{file})))
		b.fill("passphrase", passphrase).press(w.T("next"))
	}
	upload("not the passphrase")
	b.see(422, w.T("kit.passphrase_wrong"))
	upload(kitPassphrase)
	b.see(200, w.T("recover-hub.plan_now")).press(w.T("recover-hub.do_now")).see(200, w.T("choose-factor.title")).press(w.T("factor.passkey"))
	b.see(200, w.T("enrol-passkey.title")).press(w.T("enrol-passkey.create")).see(200, w.T("recover-done.title")).press(w.T("recover-done.sign_in"))
	b.open(w.issuer+"/account").press(w.T("identify.passkey")).see(200, w.T("account.hello", "林薇"))
}
