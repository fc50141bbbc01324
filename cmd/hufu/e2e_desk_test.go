package main

import (
	"regexp"
	"strings"
	"testing"
)

// supportDesk is a case from the call to the wait: the owner, who still sits at a signed-in browser, an agent, and a
// supervisor with a passkey, each in a browser of his own; the link goes to the owner's new phone.
func (w *world) supportDesk(t *testing.T) {
	owner, agent, super := w.tab(t, "owner", phone), w.tab(t, "agent", desktop), w.tab(t, "supervisor", desktop)
	owner.open(w.issuer+"/account").signIn("owner").see(200, w.T("account.hello", "林薇")).press(w.T("account.call_link")).see(200, w.T("account.call_none"))
	agent.open(w.issuer+"/console").signIn("support_agent").see(200, w.T("console.dashboard")).press(w.T("console.cases")).see(200, w.T("console.none.cases"))

	const why, number = "来电 0310-017，店主本人", "+8613900010009"
	act := func(b *tab, key string) *tab { // whose case it is needs no reason for each step
		if eval[bool](b, `!!document.querySelector("[name=reason]")`) {
			b.fill("reason", why)
		}
		return b.pressIn("main", w.T(key))
	}
	agent.press(w.T("console.case.new")).see(200, w.T("console.case.new_lead")).fill("login", w.merchantNo).choose("lost", w.T("desk.lost.both")).fill("says", "林薇")
	act(agent.fill("send_to", strings.TrimPrefix(number, "+86")), "console.case.open").see(200, w.T("console.saved.opened"), w.T("console.case.to_new"))
	page := agent.url[:strings.IndexByte(agent.url, '?')]
	letter := w.letter(t, w.people["owner"].Email, regexp.MustCompile(`/stop\?t=`))
	if linkIn(letter, "/stop?t=") == "" {
		t.Fatal("nothing stops the case")
	}

	// On the telephone each reads from a screen of his own.
	agent.press(w.T("console.case.call")).see(200, w.T("console.case.call_lead"))
	act(agent, "console.case.call").see(200, w.T("console.call.digits"))
	mine := owner.press(w.T("account.call_again")).see(200, w.T("account.call_mine"), w.T("account.call_wait")).text("p.big")
	act(agent.fill("digits", mine), "console.call.hear").see(200, w.T("console.saved.heard"))
	theirs := owner.press(w.T("account.call_again")).see(200, w.T("account.call_check")).text("section:nth-of-type(2) p.big")
	agent.says(w.T("console.call.say", theirs))

	// What he says is compared.
	p := w.people["owner"]
	compare := func(field, value, saved string) {
		t.Helper()
		agent.press(w.T("console.case.evidence")).see(200, w.T("console.case.evidence_lead"))
		if !eval[bool](agent, `(() => { const f = document.querySelector("[name=field]"); f.value = "`+field+`"; return f.value == "`+field+`"; })()`) {
			t.Fatalf("%s is not compared", field)
		}
		act(agent.fill("value", value), "console.case.evidence").see(200, w.T(saved))
	}
	compare("birthday", "1979-01-02", "console.saved.missed")
	compare("birthday", p.Birthday, "console.saved.matched")
	compare("document_tail", p.Tail, "console.saved.matched")
	for _, value := range []string{p.Birthday, p.Tail} {
		agent.silent(value)
	}
	agent.press(w.T("console.case.answer")).see(200, w.T("console.case.answer_lead")).open(page)
	act(agent.press(w.T("console.case.submit")), "console.case.submit").see(200, w.T("console.case.next_approve"))
	agent.silent(w.T("console.case.approve_lead"))

	// The supervisor adds a passkey, finds what waits, and approves.
	super.open(w.issuer+"/console").signIn("support_supervisor").see(200, w.T("console.todo.approve", 1)).internal()
	super.open(w.issuer+"/account/enrol?factor=passkey").press(w.T("enrol-passkey.create")).keepsCodes().open(w.issuer+"/console/cases").see(200, "林薇")
	super.open(page).see(200, w.T("console.look.this_user"))
	super.fill("reason", "复核 0310-017").press(w.T("console.look.do")).see(200, w.T("console.case.evidence_block"), w.T("console.case.to_new")).press(w.T("console.case.approve"))
	super.see(200, w.T("console.case.approve_lead")).fill("reason", "回拨过，声音一致").pressIn("main", w.T("console.case.approve")).see(200, w.T("state.approved"))

	// The link in the tray begins a recovery that waits.
	link := linkIn(w.letter(t, number, regexp.MustCompile(`/recover/case\?t=`)), "/recover/case?t=")
	back := w.tab(t, "new phone", phone)
	back.open(link).see(200, w.T("recover-link.title")).press(w.T("recover-link.do")).see(200, w.T("recover-hub.plan_wait"), w.T("recover.by.case")).press(w.T("recover-hub.do_wait"))
	back.see(200, w.T("recover-wait.waiting"))
	back.second().open(link).see(410, w.T("link-gone.title"))
	agent.open(page).see(200, w.T("state.approved"))

	// The owner reads of it wherever he is signed in; he who began it withdraws it.
	owner.open(w.issuer+"/account").see(200, w.T("account.recovering")).press(w.T("account.recovering_do")).see(200, w.T("recover-running.title"))
	owner.press(w.T("recover-running.withdraw")).proves("owner").see(200, w.T("recover-running.title")).press(w.T("recover-running.withdraw")).see(200, w.T("account.hello", "林薇"))
	back.press(w.T("recover-wait.again")).see(200, w.T("recover-wait.withdrawn"))
}
