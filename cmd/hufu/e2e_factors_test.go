package main

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// factors walks through everything that proves a person, in a world of its own: who has frozen himself stays so.
func (w *world) factors(t *testing.T) {
	var paused time.Time
	t.Run("five wrong passwords", func(t *testing.T) {
		w.tab(t, "stranger", w.screen()).wrongPasswords()
		paused = time.Now()
	})
	t.Run("passkeys", w.passkeys)
	t.Run("without WebAuthn", w.withoutWebAuthn)
	t.Run("recovery codes", w.recoveryCodes)
	t.Run("two tabs", w.twoTabs)
	t.Run("freeze", w.freeze)
	t.Run("freeze by link", w.freezeByLink)
	t.Run("proof of work", func(t *testing.T) {
		waitFor(t, "the end of the pause", func() bool { return time.Since(paused) > 31*time.Second })
		w.tab(t, "stranger", w.screen()).paysWithWork()
	})
}

// screen: one language on a phone, the other at a desk.
func (w *world) screen() int64 {
	if w.lang == "en" {
		return desktop
	}
	return phone
}

// An authenticator is plugged into a tab, or is part of its device.
type authenticator struct {
	*tab
	id webauthn.AuthenticatorID
}

func (b *tab) plug(o webauthn.VirtualAuthenticatorOptions) *authenticator {
	b.t.Helper()
	b.must(call(b, webauthn.Enable, webauthn.EnableParams{}))
	o.AutomaticPresenceSimulation = true
	got, err := ask(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o})
	b.must(err)
	return &authenticator{b, got.AuthenticatorID}
}

// internal is the authenticator of a phone: it knows its user and syncs.
func (b *tab) internal() *authenticator {
	return b.plug(webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, DefaultBackupEligibility: true, DefaultBackupState: true})
}

// forgetful is one that knows its user and keeps nothing: the server has to name what it made.
func (b *tab) forgetful() *authenticator {
	return b.plug(webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasUserVerification: true, IsUserVerified: true})
}

// usb is a key that only knows that somebody touched it.
func (b *tab) usb(protocol webauthn.AuthenticatorProtocol) *authenticator {
	return b.plug(webauthn.VirtualAuthenticatorOptions{Protocol: protocol, Transport: webauthn.AuthenticatorTransportUsb})
}

// storing is a key that keeps what it made; with a PIN it knows its user.
func (b *tab) storing(pin bool) *authenticator {
	return b.plug(webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb, HasResidentKey: true,
		HasUserVerification: pin, IsUserVerified: pin})
}

// touch says whether the person touches the authenticator when it asks.
func (a *authenticator) touch(yes bool) {
	a.t.Helper()
	a.must(call(a.tab, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: yes}))
}

func (a *authenticator) unplug() {
	a.t.Helper()
	a.must(call(a.tab, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id}))
}

// recognises says whether the authenticator recognises its user.
func (a *authenticator) recognises(yes bool) {
	a.t.Helper()
	a.must(call(a.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes}))
}

func (a *authenticator) credentials() []*webauthn.Credential {
	a.t.Helper()
	got, err := ask(a.tab, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id})
	a.must(err)
	return got.Credentials
}

func (a *authenticator) put(c *webauthn.Credential) {
	a.t.Helper()
	add := cdp.Command[map[string]any, cdp.Empty]{Method: webauthn.CommandAddCredential}
	a.must(call(a.tab, add, map[string]any{"authenticatorId": a.id, "credential": map[string]any{ // without the fields that Chromium gives and does not take
		"credentialId": c.CredentialID, "isResidentCredential": true, "rpId": c.RpID, "privateKey": c.PrivateKey, "userHandle": c.UserHandle, "signCount": c.SignCount,
		"backupEligibility": c.BackupEligibility, "backupState": c.BackupState}}))
}

// before runs a script in every page of the tab before the page's own.
func (b *tab) before(script string) page.ScriptIdentifier {
	b.t.Helper()
	got, err := ask(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	b.must(err)
	return got.Identifier
}

func (b *tab) noMore(script page.ScriptIdentifier) {
	b.t.Helper()
	b.must(call(b, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: script}))
}

// noAutofill keeps passkeys out of the autofill: a virtual authenticator answers it at once, as no person would.
const noAutofill = `if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false`

// arrives waits until the tab, which moves by itself, is at a path.
func (b *tab) arrives(path string, words ...string) *tab {
	b.t.Helper()
	waitFor(b.t, b.name+" is at "+path, func() bool {
		ctx, cancel := b.patient()
		defer cancel()
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState == "complete" ? location.pathname : ""`))
		return err == nil && at == path
	})
	b.status, b.url = 200, b.issuer+path
	b.read()
	b.look()
	return b.says(words...)
}

// refuses presses the button of a passkey and reads what the page says when the prompt ends without one.
func (b *tab) refuses(words ...string) *tab {
	b.t.Helper()
	b.click("form[data-passkey] button[type=submit]")
	waitFor(b.t, "a sentence", func() bool { return eval[bool](b, `!document.querySelector("form[data-passkey] [role=alert]").hidden`) })
	b.read()
	b.look()
	return b.says(words...)
}

// signOut goes by the link of the page.
func (b *tab) signOut() *tab {
	b.t.Helper()
	b.open(b.issuer+"/sign-out").see(200, b.T("sign-out.title"))
	return b.pressIn("main", b.T("sign-out.link")).see(200, b.T("signed-out.title"))
}

// knock types name and password at the door.
func (b *tab) knock(who string) *tab {
	b.t.Helper()
	p := b.people[who]
	b.open(b.issuer+"/account").see(200, b.T("identify.title")).fill("identifier", p.Username).press(b.T("next"))
	return b.see(200, b.T("password.title")).fill("password", p.Password).press(b.T("next"))
}

// tray reads the newest message that holds a text.
func (w *world) tray(t *testing.T, holds string) string {
	t.Helper()
	b := w.tab(t, "tray", desktop)
	var found string
	waitFor(t, "a message with "+holds, func() bool {
		b.open(w.issuer + "/dev/messages")
		for _, text := range eval[[]string](b, `[...document.querySelectorAll("article")].map((a) => a.textContent)`) {
			if strings.Contains(text, holds) {
				found = text
				return true
			}
		}
		return false
	})
	return found
}

// The owner adds passkeys, signs in with them in every way, and removes one.
func (w *world) passkeys(t *testing.T) {
	b := w.tab(t, "owner", w.screen())
	quiet := b.before(noAutofill)
	b.open(w.issuer+"/account").signIn("owner").press(w.T("account.tab.factors")).see(200, w.T("account.passkey_none"), w.T("account.codes_left", 10))
	inside := b.internal()
	w.addPasskeys(b, inside)
	b.signOut()

	// The autofill of the name answers at once; two factors, and nothing more is asked for a change of the password.
	b.noMore(quiet)
	b.must(chromedp.Do(b.ctx, chromedp.Navigate(w.issuer+"/account")))
	b.arrives("/account", w.T("account.hello", "林薇"))
	b.open(w.issuer+"/account/password").see(200, w.T("new-password.title")).signOut()

	b.before(noAutofill)
	b.open(w.issuer+"/account").press(w.T("identify.passkey")).see(200, w.T("account.hello", "林薇"))
	b.signOut()

	inside = w.refusedPrompts(b, inside)
	w.trusted(b)
	w.removedPasskey(b, inside)
}

// addPasskeys adds the passkey of the phone and keys of two makes, of which each can be added once.
func (w *world) addPasskeys(b *tab, inside *authenticator) {
	b.t.Helper()
	b.press(w.T("account.passkey_add")).see(200, w.T("enrol-passkey.title"), "lin.wei")
	b.fill("label", "柜台的手机").press(w.T("enrol-passkey.create"))
	b.see(200, w.T("account.saved.enrolled"), "柜台的手机", w.T("account.synced"))
	if name := inside.credentials()[0].UserName; name != "lin.wei" {
		b.t.Errorf("the passkey goes by the name %q", name)
	}
	b.press(w.T("account.passkey_add")).refuses(w.T("key.known"), w.T("enrol-passkey.other"), w.T("enrol.later"))
	inside.touch(false) // but another key is touched
	for label, protocol := range map[string]webauthn.AuthenticatorProtocol{"旧钥匙": webauthn.AuthenticatorProtocolU2f, "USB 钥匙": webauthn.AuthenticatorProtocolCtap2} {
		usb := b.usb(protocol)
		w.addKey(b, usb, label)
		usb.unplug()
	}
	w.storingKey(b)
	inside.touch(true)
	b.see(200, w.T("account.hello", "林薇")).open(w.issuer + "/account/factors")
	b.click(".checks summary").fill("label", "前台").press(w.T("account.rename_save")).see(200, w.T("account.saved.renamed"), "前台")
	if n := len(inside.credentials()); n != 1 {
		b.t.Errorf("%d passkeys on the phone", n)
	}
	for _, name := range []string{"lin.wei.shop", "lin.wei"} {
		b.open(w.issuer+"/account/username").fill("username", name).press(w.T("new-username.save")).see(200, w.T("account.saved.username"))
		waitFor(b.t, "the passkey goes by the name "+name, func() bool { return inside.credentials()[0].UserName == name })
	}
}

// addKey adds an authenticator whose passkey stays on it, and signs in with it.
func (w *world) addKey(b *tab, plugged *authenticator, label string) {
	b.t.Helper()
	b.open(w.issuer+"/account/enrol?factor=passkey").fill("label", label).press(w.T("enrol-passkey.create"))
	b.see(200, w.T("account.saved.enrolled"), label, w.T("account.device_bound"))
	w.secondStep(b, plugged)
}

// storingKey: a key that keeps passkeys and cannot tell who touches it. Chromium neither makes a passkey on it nor signs
// anybody in with one that is there from when it could: the pages say so and lead on. As a second step it does.
func (w *world) storingKey(b *tab) {
	b.t.Helper()
	bare := b.storing(false)
	b.open(w.issuer+"/account/enrol?factor=passkey").refuses(w.T("key.cancelled"), w.T("enrol-passkey.other"), w.T("enrol.later"))
	bare.unplug()
	knows := b.storing(true)
	w.addKey(b, knows, "有存储的钥匙")
	made := knows.credentials()[0]
	knows.unplug()
	bare = b.storing(false)
	bare.put(made)
	b.signOut().open(w.issuer+"/account").refuses(w.T("key.cancelled"), w.T("identify.label"))
	b.knock("owner").see(200, w.T("key.title")).press(w.T("key.use")).see(200, w.T("account.hello", "林薇"))
	bare.unplug()
}

// secondStep signs in with the password and a key, beside the app.
func (w *world) secondStep(b *tab, plugged *authenticator) {
	b.t.Helper()
	b.signOut()
	b.knock("owner").see(200, w.T("key.title"), w.T("way.totp"), w.T("way.backup"))
	b.press(w.T("way.totp")).see(200, w.T("totp.title"), w.T("way.passkey")).press(w.T("way.passkey"))
	b.see(200, w.T("key.title")).press(w.T("key.use")).see(200, w.T("account.hello", "林薇"))
	if n := len(plugged.credentials()); n != 1 {
		b.t.Errorf("%d credentials on the key", n)
	}
}

// refusedPrompts: whatever the browser's prompt ends with leads back to the page, in words, with the other ways on it.
// It returns the authenticator with the owner's passkey, which was plugged in anew.
func (w *world) refusedPrompts(b *tab, inside *authenticator) *authenticator {
	b.t.Helper()
	mine := inside.credentials()[0]
	inside.recognises(false)
	b.open(w.issuer+"/account").refuses(w.T("key.cancelled"), w.T("identify.label"), w.T("identify.passkey"))
	inside.unplug()

	other := b.internal()
	foreign, unknown := *mine, *mine
	foreign.RpID, foreign.CredentialID = "example.com", []byte("of another site")
	other.put(&foreign)
	b.refuses(w.T("key.cancelled"), w.T("identify.label"), w.T("identify.passkey"))
	b.knock("owner").see(200, w.T("key.title")).refuses(w.T("key.cancelled"), w.T("way.totp"), w.T("way.backup"))
	b.press(w.T("way.totp")).fill("code", w.code(b.t, "owner")).press(w.T("identify.title")).see(200, w.T("account.hello", "林薇"))
	other.recognises(false)
	b.open(w.issuer+"/account/enrol?factor=passkey").refuses(w.T("key.cancelled"), w.T("enrol-passkey.other"), w.T("enrol.later"))
	other.unplug()
	own := b.forgetful()
	w.addKey(b, own, "电脑自带")
	own.unplug()

	other = b.internal()
	other.put(&foreign)
	b.signOut().open(w.issuer + "/account")
	unknown.CredentialID = []byte("that nobody knows")
	other.put(&unknown)
	b.press(w.T("identify.passkey")).see(422, w.T("key.unknown"), w.T("identify.label"))
	waitFor(b.t, "the passkey that nobody knows is gone", func() bool { return len(other.credentials()) == 1 })
	other.unplug()

	inside = b.internal()
	inside.put(mine)
	lookalike := strings.Replace(w.issuer, "localhost", "127.0.0.1", 1)
	b.open(lookalike + "/sign-in").refuses(w.T("key.site"))
	return inside
}

// trusted: the browser that was ticked asks for no second step at the door, and for one before a change.
func (w *world) trusted(b *tab) {
	b.t.Helper()
	b.knock("owner").see(200, w.T("key.title")).click(`[name="trust"]`).press(w.T("key.use")).see(200, w.T("account.hello", "林薇"))
	b.signOut().knock("owner").see(200, w.T("account.hello", "林薇"))
	w.challenged(b) // and signed out
	b.knock("owner").see(200, w.T("account.hello", "林薇"))
	b.open(w.issuer+"/account/password").see(200, w.T("key.title")).press(w.T("key.use")).see(200, w.T("new-password.title"))
	b.says(w.T("password.rule.personal"))
	b.fill("password", "lin.wei 12345").waits(1, w.T("password.username")).says(w.T("password.sequence", 4), w.T("password.strength")) // while he types
	w.people["owner"].Password = "a sentence of the owner's own"
	b.fill("password", w.people["owner"].Password).waits(1, w.T("password.score.4"))
	b.fill("again", w.people["owner"].Password).press(w.T("new-password.save"))
	b.see(200, w.T("account.saved.password")).signOut()
	b.knock("owner").see(200, w.T("key.title")).press(w.T("key.use")).see(200, w.T("account.hello", "林薇"))
}

// challenged: a resource that wants two factors says so (RFC 9470), the app asks for that class, and the person is led
// through what is missing.
func (w *world) challenged(b *tab) {
	b.t.Helper()
	app := func(key string, args ...any) string { return w.S("merchant-app", key, args...) }
	b.open(w.app).press(app("door.sign-in")).see(200, app("acr.urn:hufu:acr:1"))
	b.press(app("takings.read")).see(200, app("takings.level")).silent("12,840.50")
	b.press(app("takings.step-up")).see(200, w.T("key.title")).press(w.T("key.use")).see(200, app("acr.phr"))
	b.press(app("takings.read")).see(200, "12,840.50").press(app("desk.sign-out")).see(200, app("signed.out"))
}

// removedPasskey: what is removed is gone from the authenticator too, and opens nothing if it is not.
func (w *world) removedPasskey(b *tab, inside *authenticator) {
	b.t.Helper()
	mine := inside.credentials()[0]
	b.open(w.issuer+"/account/factors").pressIn("main", w.T("account.remove")).see(200, w.T("account.remove_factor", "前台"))
	b.pressIn("main", w.T("account.remove_factor_do")).see(200, w.T("account.saved.removed"))
	waitFor(b.t, "the passkey is gone from the phone", func() bool { return len(inside.credentials()) == 0 })
	inside.put(mine)
	b.signOut().open(w.issuer + "/account").press(w.T("identify.passkey"))
	b.see(422, w.T("key.unknown"), w.T("identify.label"))
}

// withoutWebAuthn: a browser that knows no passkeys shows none, and all else works.
func (w *world) withoutWebAuthn(t *testing.T) {
	b := w.tab(t, "owner-old-browser", w.screen())
	b.before(`Object.defineProperty(window, "PublicKeyCredential", { value: undefined }); Object.defineProperty(navigator, "credentials", { value: undefined })`)
	b.open(w.issuer + "/account").silent(w.T("identify.passkey"))
	b.knock("owner").see(200, w.T("key.title"), w.T("key.unsupported"), w.T("ways.title")).press(w.T("way.totp"))
	b.see(200, w.T("totp.title")).fill("code", w.code(t, "owner")).press(w.T("identify.title")).see(200, w.T("account.hello", "林薇"))
	b.signOut().knock("owner").see(200, w.T("totp.title")).press(w.T("way.backup")).see(200, w.T("backup.title"))
	b.fill("code", "AAAA-AAAA-AAAA-AAAA").press(w.T("next")).see(422, w.T("backup.typo"))
	b.fill("code", w.people["owner"].Codes[0]).press(w.T("next")).see(200, w.T("choose-factor.lead_backup")).press(w.T("factor.totp"))
	b.bindsApp("owner").see(200, w.T("account.hello", "林薇"), w.T("check.spare.codes", 9))
}

// silent fails if the page says something.
func (b *tab) silent(words string) *tab {
	b.t.Helper()
	if strings.Contains(plain(b.page.Text), plain(words)) {
		b.t.Errorf("%s at %s reads %q:\n%s", b.name, b.url, words, b.page.Text)
	}
	return b
}

// The manager gets codes for paper; a browser without script takes the app's codes and those.
func (w *world) recoveryCodes(t *testing.T) {
	b := w.tab(t, "manager", w.screen())
	b.open(w.issuer + "/account").signIn("manager").press(w.T("check.spare.do"))
	b.see(200, w.T("recovery-codes.title", 10), w.T("kit.keep"))
	codes := eval[[]string](b, `[...document.querySelectorAll(".codes li")].map((li) => li.textContent)`)
	file := eval[string](b, `fetch(document.querySelector("a[download]").href).then((r) => r.text())`)
	for _, code := range codes {
		if !strings.Contains(file, code) {
			t.Errorf("the file has no %s", code)
		}
	}
	for way, paper := range map[string][2]float64{"kit.way_sheet": {210, 297}, "kit.way_slip": {58, 250}} {
		b.press(w.T(way)).see(200, codes[0], codes[9])
		b.isPrintedOn(paper)
		eval[bool](b, `window.print = () => document.body.dataset.printed = 1; true`)
		if b.click("[data-print]"); !eval[bool](b, `"printed" in document.body.dataset`) {
			t.Error("nothing is printed")
		}
		b.press(w.T("kit.back")).see(200, w.T("recovery-codes.title", 10))
	}
	b.press(w.T("kit.way_file")).see(200, w.T("kit.file_title"))
	b.fill("passphrase", "password123456").fill("again", "password123456").press(w.T("kit.file_do")).see(422, w.T("kit.passphrase_weak"))
	b.press(w.T("kit.back")).see(200, w.T("recovery-codes.title", 10))
	if eval[bool](b, `document.querySelector("[name=kept]").form.checkValidity()`) {
		t.Error("the codes need not be kept")
	}
	eval[bool](b, `document.querySelector("[name=kept]").required = false; true`)
	b.press(w.T("recovery-codes.done")).see(422, w.T("recovery-codes.keep"), codes[9])
	b.open(b.url).keepsCodes().see(200, w.T("account.saved.codes"))

	// Who has the paper and no file is led from where files are opened to where codes are typed, and back.
	typed := w.tab(t, "kit-typed", w.screen())
	typed.open(w.issuer+"/kit").see(200, w.T("kit.open_title"), w.T("kit.use"))
	typed.press(w.T("kit.use_recover")).see(200, w.T("recover.title")).press(w.T("recover.second")).see(200)
	typed.fill("identifier", w.people["manager"].Username).press(w.T("next")).see(200).press(w.T("way.kit")).see(200, w.T("backup.title"))
	typed.open(w.issuer+"/kit").press(w.T("kit.use_signin")).see(200, w.T("identify.title"))
	w.ownPages(b)
	b.signOut()

	old := w.tab(t, "manager-no-script", w.screen()).withoutScript()
	old.open(w.issuer+"/account").signIn("manager").see(200, w.T("account.hello", "王志强"))
	old.signOut().knock("manager").see(200, w.T("totp.title")).press(w.T("way.backup")).see(200, w.T("backup.title"))
	old.fill("code", codes[3]).press(w.T("next")).see(200, w.T("choose-factor.lead_backup"))
}

// isPrintedOn fails unless the page is printed on one piece of paper of so many millimetres.
func (b *tab) isPrintedOn(mm [2]float64) {
	b.t.Helper()
	out, err := ask(b, page.PrintToPDF, page.PrintToPDFParams{PreferCSSPageSize: new(true)})
	b.must(err)
	found := mediaBox.FindAllSubmatch(out.Data, -1)
	if len(found) != 1 {
		b.t.Errorf("%s: printed on %d pages", b.url, len(found))
		return
	}
	for i, want := range mm {
		points, err := strconv.ParseFloat(string(found[0][i+1]), 64)
		if got := points / 72 * 25.4; err != nil || math.Abs(got-want) > 1 {
			b.t.Errorf("%s: printed on %.0f mm, want %.0f", b.url, got, want)
		}
	}
}

var mediaBox = regexp.MustCompile(`/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]`)

// ownPages walks through what is left of the manager's pages: a new address, another phone that he changes back, and
// another name.
func (w *world) ownPages(b *tab) {
	b.t.Helper()
	b.open(w.issuer+"/account").press(w.T("account.tab.contacts")).see(200, w.T("account.phones"))
	b.press(w.T("account.email_add")).see(200, w.T("new-contact.add_mail"))
	b.fill("contact", "wang@example.com").sends("wang@example.com").see(200, w.T("account.saved.contact"))
	b.press(w.T("account.change")).see(200, w.T("new-contact.change_phone"))
	b.fill("contact", "139 0000 0077").sends("+8613900000077").see(200, w.T("account.saved.contact"), w.T("account.undo_do"))
	b.press(w.T("account.remove")).see(200, w.T("account.remove_contact_do")).press(w.T("back.unchanged"))
	b.open(linkIn(w.tray(b.t, "/undo?t="), "/undo?t=")).see(200, w.T("undo.title_phone")).press(w.T("undo.do")).see(200, w.T("undone.title_phone"))
	b.open(w.issuer+"/account/username").fill("username", "wang.zhiqiang").press(w.T("new-username.save")).see(200, w.T("account.saved.username"))
	b.people["manager"].Username = "wang.zhiqiang"
	for _, page := range []string{"devices", "apps", "data"} {
		b.open(w.issuer + "/account/" + page).see(200)
	}
	b.press(w.T("account.back")).press(w.T("account.tab.activity")).press(w.T("account.not_me")).see(200, w.T("freeze.title")).press(w.T("freeze.back"))
	b.open(w.issuer+"/account/none").see(404, w.T("problem.404.title"))
	b.open(w.issuer+"/stop?t=none").see(410, w.T("link-gone.title"))
}

// sends has a code sent, and types it.
func (b *tab) sends(to string) *tab {
	b.t.Helper()
	b.press(b.T("code.send")).see(200, b.T("code.title"))
	return b.fill("code", sixDigits.FindString(b.tray(b.t, to))).press(b.T("next"))
}

// linkIn is the first link in a text with a path.
func linkIn(text, path string) string {
	return regexp.MustCompile(`https?://[^/\s]+` + regexp.QuoteMeta(path) + `[\w-]+`).FindString(text)
}

// Two tabs of one browser, and the back button, in the middle of a sign-in: each page says what to do.
func (w *world) twoTabs(t *testing.T) {
	p := w.people["auditor"]
	b := w.tab(t, "auditor", w.screen())
	b.open(w.issuer+"/account").see(200, w.T("identify.title"))
	other := b.second().open(b.url).see(200, w.T("identify.title"))
	b.fill("identifier", p.Username).press(w.T("next")).see(200, w.T("password.title"))
	other.fill("identifier", p.Username).press(w.T("next")).see(200, w.T("password.title"))
	b.fill("password", p.Password).press(w.T("next")).see(200, w.T("totp.title"))
	other.fill("password", p.Password).press(w.T("next")).see(410, w.T("expired.heading"), w.T("restart"))
	eval[bool](b, `history.back(); true`)
	b.waits(1, w.T("password.show"))                                                     // the page as it was
	b.follow("sent again", chromedp.Func(func(context.Context, *chromedp.Target) error { // chromedp finds no elements in a page that came back
		eval[bool](b, `document.getElementById("password").value = "x"; document.querySelector(".btn.main").click(); true`)
		return nil
	})).see(410, w.T("expired.heading")).press(w.T("restart")).see(200, w.T("identify.title"))
	b.signIn("auditor").see(200, w.T("console.dashboard"))
	other.press(w.T("restart")).see(200, w.T("console.dashboard")) // signed in by the other tab
}

// The cashier freezes herself from her own page; what she holds is old enough to lift it.
func (w *world) freeze(t *testing.T) {
	b := w.tab(t, "cashier", w.screen())
	b.knock("cashier").see(200, w.T("account.hello", "陈小燕")).press(w.T("account.freeze")).see(200, w.T("freeze.title"), w.T("freeze.takings"))
	b.press(w.T("freeze.do")).see(200, w.T("frozen.title"), w.T("frozen.case")).press(w.T("unfreeze.title"))
	b.see(200, w.T("unfreeze.lead")).press(w.T("unfreeze.back")).see(200, w.T("account.frozen"))
	b.open(w.issuer+"/account/password").see(403, w.T("account.frozen_first"))
}

// Whoever got a notice stops everything with its link; to look at it changes nothing.
func (w *world) freezeByLink(t *testing.T) {
	b := w.tab(t, "support", w.screen())
	b.open(w.issuer+"/account").signIn("support_agent").see(200, w.T("account.hello", "方晴"))
	link := linkIn(w.tray(t, "/stop?t="), "/stop?t=")
	mail := w.tab(t, "mail", w.screen())
	for range 2 {
		mail.open(link).see(200, w.T("freeze.title"), w.T("freeze.was_me"))
	}
	b.open(w.issuer + "/account").see(200).silent(w.T("account.frozen"))
	mail.press(w.T("freeze.do")).see(200, w.T("frozen.title"), w.T("frozen.case"), w.T("frozen.sign_in"))
	b.open(w.issuer+"/account").see(200, w.T("identify.title"))
	mail.open(link).press(w.T("freeze.do")).see(200, w.T("frozen.title_already"))
}

// wrongPasswords fails five times; for half a minute the next try is not looked at, unless a code shows who it is.
func (b *tab) wrongPasswords() {
	b.t.Helper()
	b.open(b.issuer+"/account").fill("identifier", b.people["support_supervisor"].Username).press(b.T("next"))
	for i := range 5 {
		b.fill("password", fmt.Sprint("not the password ", i)).press(b.T("next")).see(422, b.T("pw.wrong"))
	}
	b.fill("password", "not the password 5").press(b.T("next")).see(429, b.T("wait.title"))
	b.press(b.T("restart")).press(b.T("way.introduce_phone")).see(200, b.T("code.unsent")).press(b.T("code.send")) // worked for by the script
	b.see(200, b.T("code.title")).fill("code", sixDigits.FindString(b.tray(b.t, "+8613800000007"))).press(b.T("next")).see(200, b.T("password.title"))
}

// paysWithWork: in a browser that was never seen the right password of such a name is worked for, in words.
func (b *tab) paysWithWork() {
	b.t.Helper()
	b.before(`const fast = Worker; window.Worker = class extends fast { postMessage(task) { setTimeout(() => super.postMessage(task), 1500); } }`)
	p := b.people["support_supervisor"]
	b.open(b.issuer+"/account").fill("identifier", p.Username).press(b.T("next")).see(200, b.T("password.title"))
	b.fill("password", p.Password).click(".btn.main")
	if got := b.text("[data-waiting]"); got != b.T("work.waiting") {
		b.t.Errorf("while it works the page says %q", got)
	}
	waitFor(b.t, "the next page", func() bool {
		ctx, cancel := b.patient()
		defer cancel()
		heading, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("h1").textContent`))
		return err == nil && heading == b.T("totp.title")
	})
}
