package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestActors runs the programs themselves and signs the three actors in, in a real browser and in both languages.
func TestActors(t *testing.T) {
	browser := startBrowser(t)
	bin, seen := build(t), &looked{}
	for _, lang := range []string{"zh-CN", "en"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, browser, seen, bin, lang)
			t.Run("merchant app", w.merchantApp)
			t.Run("authenticator", w.authenticator)
			t.Run("terminals", w.terminals)
			t.Run("administrator", w.administrator)
			t.Run("without script", w.withoutScript)
		})
		t.Run(lang+" factors", func(t *testing.T) {
			t.Parallel()
			startWorld(t, browser, seen, bin, lang).factors(t)
		})
		t.Run(lang+" shop", func(t *testing.T) {
			t.Parallel()
			startWorld(t, browser, seen, bin, lang).shop(t)
		})
		t.Run(lang+" recovery", func(t *testing.T) {
			t.Parallel()
			startWorld(t, browser, seen, bin, lang).recovery(t)
		})
		t.Run(lang+" support desk", func(t *testing.T) {
			t.Parallel()
			startWorld(t, browser, seen, bin, lang).supportDesk(t)
		})
	}
}

// signIn walks the sign-in pages, from the one that asks for the name.
func (b *tab) signIn(who string) *tab {
	b.t.Helper()
	p := b.people[who]
	b.see(200, b.T("identify.title")).fill("identifier", p.Username).press(b.T("next"))
	b.see(200, b.T("password.title")).fill("password", p.Password).press(b.T("next"))
	if p.Secret != "" {
		b.see(200, b.T("totp.title")).fill("code", b.code(b.t, who)).press(b.T("identify.title"))
	}
	return b
}

// The owner signs in to the merchant app, uses what he got, and is signed out everywhere.
func (w *world) merchantApp(t *testing.T) {
	b := w.tab(t, "owner", phone)
	w.signInAndOut(b)
	b.sendsOnce()
}

// The same pages do the same when the browser runs no script.
func (w *world) withoutScript(t *testing.T) {
	w.signInAndOut(w.tab(t, "owner-no-script", phone).withoutScript())
}

func (w *world) signInAndOut(b *tab) {
	b.t.Helper()
	app := func(key string, args ...any) string { return w.S("merchant-app", key, args...) }
	b.open(w.app).see(200, app("door.title")).press(app("door.sign-in"))
	b.fill("identifier", "nobody.here").press(w.T("next")).fill("password", "not the password").press(w.T("next"))
	b.see(422, w.T("pw.wrong")).press(w.T("who.other"))
	b.signIn("owner").see(200, app("desk.hello", "林薇"), app("acr.urn:hufu:acr:2"), "822290059430001")
	b.press(app("takings.read")).see(200, "12,840.50")
	b.press(app("desk.refresh")).see(200, app("refreshed"))
	b.press(app("desk.sign-out")).see(200, app("signed.out"))
	b.open(w.issuer+"/account").see(200, w.T("identify.hint"))
}

// Three terminals ask at once; the owner approves one on his phone, refuses one, and picks a wrong number for one.
func (w *world) terminals(t *testing.T) {
	says := func(key string, args ...any) string { return w.S("terminal", key, args...) }
	bench, owner := w.tab(t, "terminals", phone), w.tab(t, "owner", phone)
	bench.open(w.bench).see(200, says("title")).press(says("start.all")).see(200, says("state.waiting"))
	number := map[string]string{"esign": bench.text("#esign .lcd b"), "traditional": bench.text("#traditional .match"), "smart": bench.text("#smart .match")}
	link := map[string]string{}
	for kind := range number {
		link[kind] = bench.link("#" + kind + " a.btn")
	}

	owner.open(link["smart"]).signIn("owner").see(200, w.T("device-approve.question"), "林记小馆", "HF-S9", w.T("device.warning"))
	owner.click(`input[value="`+number["smart"]+`"] + span`).press(w.T("device-approve.approve")).see(200, w.T("device-done.approved.title"))
	bench.waits(1, says("state.signed-in", "林薇"))

	owner.open(link["esign"]).see(200, w.T("device-approve.question"), "HF-E20").press(w.T("device-approve.deny")).see(200, w.T("device-done.denied.title"))
	bench.waits(1, says("state.denied"))

	other := `input[name="match"]:not([value="` + number["traditional"] + `"]) + span`
	owner.open(link["traditional"]).see(200, "HF-T58").click(other).press(w.T("device-approve.approve")).see(200, w.T("device-done.wrong.title"))
	bench.waits(2, says("state.denied"))

	bench.pressIn("smart", says("refresh")).see(200, says("refreshed"))
	bench.pressIn("smart", says("sign-out")).see(200, says("signed.out"))
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// The cashier, who has a password alone, binds an authenticator: password, a code by text message, then the first
// code of the new authenticator.
func (w *world) authenticator(t *testing.T) {
	b, tray := w.tab(t, "cashier", phone), w.tab(t, "tray", phone)
	tray.open(w.issuer+"/dev/messages").see(200, w.T("messages.title"))
	b.open(w.issuer+"/account").signIn("cashier").see(200, w.T("account.hello", "陈小燕"), w.T("check.second.none"))
	b.press(w.T("check.second.do")).see(200, w.T("code.title"))
	sent := sixDigits.FindString(tray.open(w.issuer + "/dev/messages").see(200).page.Text)
	b.fill("code", "000000").press(w.T("next")).see(422, w.T("code.wrong"))
	b.fill("code", sent).press(w.T("next")).see(200, w.T("choose-factor.title")).press(w.T("factor.totp"))
	b.bindsApp("cashier").keepsCodes().see(200, w.T("account.saved.enrolled"), w.T("factor.totp"))
	b.press(w.T("sign-out.link")).see(200, w.T("sign-out.title"))
	b.pressIn("main", w.T("sign-out.link")).see(200, w.T("signed-out.title"))
}

// The administrator finds the owner, disables the cashier and enables her again.
func (w *world) administrator(t *testing.T) {
	admin, cashier := w.tab(t, "administrator", desktop), w.tab(t, "cashier", phone)
	cashier.open(w.issuer+"/account").signIn("cashier").see(200, w.T("account.hello", "陈小燕"))
	cashier.open(w.issuer+"/console").see(403, w.T("not-for-you.lost"))

	admin.open(w.issuer+"/console").signIn("policy_admin").see(200, w.T("console.dashboard"), w.T("console.chart.signins"), w.T("console.chart.causes"))
	admin.click("details summary").says(w.T("console.chart.day"))
	// What takes a list away wants a passkey; the first such act brings one, and goes on.
	admin.internal()
	admin.open(w.issuer+"/console/users/export?role=cashier").see(200, w.T("offer.console_title")).press(w.T("offer.now")).see(200, w.T("enrol-passkey.title"))
	admin.press(w.T("enrol-passkey.create")).keepsCodes().see(200, w.T("console.export.do"))
	for path, words := range map[string]string{"users?role=cashier": "陈小燕", "merchants?tier=standard": "林记小馆", "stores": "林记小馆", "terminals?state=active": "HF-E20", "clients?kind=public": "merchant-app", "cases": w.T("console.none.cases"), "approvals": w.T("console.none.approvals"),
		"messages": w.T("console.messages"), "events?name=signin.succeeded": w.T("event.signin.succeeded"), "keys": "ES256", "health": w.T("console.health.replicas"), "policies": w.T("policy.effective"), "policies/effective?role=owner&tier=high_value": "high value"} {
		admin.open(w.issuer+"/console/"+path).see(200, words)
	}
	admin.lookAt("lin.wei", "林薇").says(w.T("role.owner"), w.T("state.active"), w.T("factor.totp"), w.T("console.user.sessions"), w.T("event.device.approved"))

	page := admin.lookAt("chen.xy", "陈小燕").url
	admin.press(w.T("console.user.disable")).see(200, w.T("console.user.disable_title", "陈小燕"))
	admin.fill("reason", " ").pressIn("main", w.T("console.user.disable")).see(422, w.T("reason.empty"))
	admin.fill("reason", "来电 1123-004，店主要求停用").pressIn("main", w.T("console.user.disable")).see(200, w.T("console.saved.changed"), w.T("state.disabled"))
	cashier.open(w.issuer+"/account").see(200, w.T("identify.hint"))
	cashier.signIn("cashier").see(403, w.T("refused.disabled"), w.T("explain.title"))

	admin.open(page).press(w.T("console.user.enable")).fill("reason", "店主来电恢复").pressIn("main", w.T("console.user.enable"))
	admin.see(200, w.T("console.saved.changed"), w.T("state.active"), w.T("event.account.enabled"))
	cashier.open(w.issuer+"/account").signIn("cashier").see(200, w.T("account.hello", "陈小燕"))

	// What takes two people: one asks, the other reads what would change and approves.
	second := w.tab(t, "second administrator", phone)
	second.internal()
	admin.open(w.issuer+"/console/keys").press(w.T("console.key.rotate")).freshly().see(200, w.T("approval.note")).fill("reason", "年度更换").pressIn("main", w.T("approval.ask")).see(200, w.T("console.saved.asked"), w.T("approval.withdraw"))
	asked := admin.url
	admin.open(asked[:strings.IndexByte(asked, '?')]+"/approve").fill("reason", "我自己批").pressIn("main", w.T("approval.approve")).see(403, w.T("approval.own"))
	second.open(w.issuer+"/console").signIn("policy_admin_2").see(200, w.T("console.todo.approvals", 1)).open(w.issuer + "/console/approvals").press(w.T("approval.act.key.rotate"))
	second.see(200, "年度更换", w.T("approval.new_key")).press(w.T("approval.approve"))
	second.see(200, w.T("offer.console_title")).press(w.T("offer.now")).see(200, w.T("enrol-passkey.title")).press(w.T("enrol-passkey.create")).keepsCodes()
	second.see(200, w.T("approval.approve_lead")).fill("reason", "按计划更换").pressIn("main", w.T("approval.approve"))
	second.see(200, w.T("console.saved.approved"), w.T("event.approval.approved"))
	admin.open(w.issuer+"/console/keys").see(200, w.T("state.key_next"), w.T("state.key_active"))
}

// lookAt finds a person by login name and gives the reason that the page asks for.
func (b *tab) lookAt(login, name string) *tab {
	b.t.Helper()
	b.enter("q", login).see(200, b.T("console.look.user", login))
	return b.fill("reason", "来电 1123-003").press(b.T("console.look.do")).see(200, name)
}

// freshly shows the passkey where the page asks for it again: on a slow machine the proofs have grown old by now.
func (b *tab) freshly() *tab {
	b.t.Helper()
	if !strings.Contains(b.page.Text, b.T("key.title")) {
		return b
	}
	return b.press(b.T("key.use"))
}

// bindsApp types the first code of a new authenticator app.
func (b *tab) bindsApp(who string) *tab {
	b.t.Helper()
	b.see(200, b.T("enrol-totp.title"), b.T("enrol-totp.scan")).click("summary")
	p := b.people[who]
	p.Secret, p.step = strings.ReplaceAll(b.text("#secret"), " ", ""), 0
	return b.fill("code", b.code(b.t, who)).press(b.T("enrol-totp.bind"))
}

// keepsCodes says that the recovery codes of the page are kept.
func (b *tab) keepsCodes() *tab {
	b.t.Helper()
	b.see(200, b.T("recovery-codes.title", 10), b.T("recovery-codes.once"))
	return b.click(`[name="kept"]`).press(b.T("recovery-codes.done"))
}
