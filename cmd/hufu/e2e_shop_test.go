package main

import (
	"strings"
	"testing"
)

// shop walks a merchant's own part of the console: the owner at a desk, the manager and the cashier on phones.
func (w *world) shop(t *testing.T) {
	owner := w.tab(t, "owner", desktop)
	owner.open(w.issuer+"/account").signIn("owner").see(200, w.T("account.shop"))
	owner.press(w.T("account.shop")).see(200, w.T("console.dashboard"), w.T("console.shop.stores"))

	// A second store, and a cashier for it.
	owner.press(w.T("console.stores")).see(200, "鼓楼店").press(w.T("console.store.new")).proves("owner").see(200, w.T("console.store.name"))
	owner.fill("name", "东街店").fill("place", "福建福州").pressIn("main", w.T("console.store.create")).see(200, w.T("console.saved.created"), "东街店", "陈小燕")
	owner.press(w.T("console.staff")).see(200, "王志强", "陈小燕", w.T("console.store.every")).press(w.T("console.staff.new")).proves("owner").see(200, w.T("console.store.every"))
	owner.fill("name", "林小东").fill("username", "lin.xd").choose("store", "鼓楼店").pressIn("main", w.T("console.user.invite")).see(422, w.T("error.no_channel"))
	owner.fill("phone", "13800000077").pressIn("main", w.T("console.user.invite")).see(200, w.T("console.saved.invited"), "林小东", "鼓楼店")
	person := owner.url
	owner.press(w.T("console.user.role")).proves("owner").see(200, w.T("console.user.role_lead")).pressIn("main", w.T("console.user.role")).see(422, w.T("error.same"))
	owner.choose("store", "东街店").pressIn("main", w.T("console.user.role")).see(200, w.T("console.saved.changed"), "东街店")
	owner.press("东街店").see(200, "林小东", w.T("console.store.rename")).press(w.T("console.store.rename")).proves("owner").see(200, w.T("console.store.place"))
	owner.fill("name", "东街新店").pressIn("main", w.T("console.store.rename")).see(200, w.T("console.saved.changed"), "东街新店")
	owner.open(person).press(w.T("console.user.leave")).proves("owner").see(200, w.T("console.user.leave_lead")).fill("reason", " ").pressIn("main", w.T("console.user.leave")).see(422, w.T("reason.empty"))
	owner.fill("reason", "不来上班了").pressIn("main", w.T("console.user.leave")).see(200, w.T("console.saved.changed"), w.T("state.left"), "不来上班了")
	owner.press(w.T("console.activity")).see(200, w.T("event.staff.left"), w.T("event.store.renamed"))
	owner.press(w.T("console.cases")).see(200, w.T("console.none.cases"))
	owner.open(w.issuer+"/console/clients").see(403, w.T("problem.way_console"))

	// The cashier reports a terminal without a second factor; the owner finds it again.
	cashier := w.tab(t, "cashier", phone)
	cashier.open(w.issuer+"/account").signIn("cashier").press(w.T("not-for-you.lost")).see(403, w.T("not-for-you.lost"), "HF-E20")
	cashier.press("HF-E20").see(200, w.T("console.terminal.lost_lead")).pressIn("main", w.T("console.terminal.lost")).see(403, w.T("console.saved.changed"))
	if strings.Contains(cashier.page.Text, "HF-E20") {
		t.Error("a lost terminal can be lost again")
	}
	owner.open(w.issuer+"/console").see(200, w.T("console.todo.bad_terminals", 1)).press(w.T("console.terminals")).see(200, "HF-E20", w.T("state.lost"))
	owner.press("HFE20").see(200, w.T("event.terminal.lost"), "陈小燕").press(w.T("console.terminal.found")).proves("owner").see(200, w.T("console.terminal.found_lead"))
	owner.fill("reason", "在柜台下面").pressIn("main", w.T("console.terminal.found")).see(200, w.T("console.saved.changed"), w.T("state.active"))

	manager := w.tab(t, "manager", phone)
	manager.open(w.issuer+"/console").signIn("manager").see(200, w.T("console.shop.staff"))
	manager.open(w.issuer+"/console/users").see(200, "陈小燕")
	manager.open(w.issuer+"/console/staff/new").proves("manager").see(200, w.T("role.cashier"))
	manager.open(w.issuer+"/console/stores").see(200, "鼓楼店").press("鼓楼店").see(200, "HF-S9")
	manager.open(w.issuer + "/console/events").see(403)
	if strings.Contains(manager.open(w.issuer+"/console/stores").page.Text, "东街新店") {
		t.Error("a manager sees another store")
	}
}

// proves shows again what a page asks for before it opens: the walk may have taken longer than a proof counts.
func (b *tab) proves(who string) *tab {
	b.t.Helper()
	for strings.Contains(b.url, "/flows/") {
		if strings.Contains(plain(b.page.Text), plain(b.T("password.title"))) {
			b.enter("password", b.people[who].Password)
		} else {
			b.see(200, b.T("totp.title")).enter("code", b.code(b.t, who))
		}
	}
	return b
}

// choose picks the option with the words.
func (b *tab) choose(field, words string) *tab {
	b.t.Helper()
	if !eval[bool](b, `(() => {
		const all = [...document.querySelector("[name=`+field+`]").options], one = all.find((o) => o.text.trim() === "`+words+`");
		if (one) one.selected = true;
		return !!one;
	})()`) {
		b.t.Fatalf("%s: no option %q of %s", b.url, words, field)
	}
	return b
}
