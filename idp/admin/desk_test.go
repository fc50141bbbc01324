package admin

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// recovering puts a case of the cashier in the place of the house's, which the agent opened.
func recovering(h *house) {
	c := idp.Case{Kind: idp.CaseRecovery, UserID: h.shop[idp.RoleCashier].ID, Merchant: h.merchant.ID, OpenedBy: h.owner.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(time.Hour),
		Data: map[string]any{"lost": "both", "to_kind": "email", "to": "back@example.com"}}
	h.must(h.c.Store.OpenCase(h.t.Context(), &c))
	h.notme = c
}

// compared lets two fields of it match.
func compared(h *house) {
	recovering(h)
	for _, field := range []idp.EvidenceField{idp.FieldLegalName, idp.FieldMerchantNo} {
		h.must(second(h.c.Store.WriteEvidence(h.t.Context(), h.notme.ID, idp.Match{Field: field, Matched: true, By: h.owner.ID, At: time.Now()}, 3)))
	}
}

// matched lets a field of the house's case match.
func matched(h *house) {
	h.must(second(h.c.Store.WriteEvidence(h.t.Context(), h.notme.ID, idp.Match{Field: idp.FieldSerial, Matched: true, By: h.owner.ID, At: time.Now()}, 3)))
}

// waiting lets it wait for an approval.
func waiting(h *house) {
	compared(h)
	h.must(second(h.c.Store.ReadyCase(h.t.Context(), h.notme.ID, time.Now(), time.Now().Add(time.Hour))))
}

// taken gives it to both who may give it back.
func takenBy(role idp.Role) func(h *house) {
	return func(h *house) {
		recovering(h)
		h.must(second(h.c.Store.AssignCase(h.t.Context(), h.notme.ID, "", h.staff[role].ID)))
	}
}

// onTheLine begins a call of the agent's; its digits are in the form.
func onTheLine(h *house) {
	recovering(h)
	h.must(h.c.Store.StartCall(h.t.Context(), &idp.Call{CaseID: h.notme.ID, UserID: h.notme.UserID, Agent: h.staff[idp.RoleSupportAgent].ID, Caller: "4821", Half: "0376", StartedAt: time.Now(), Until: time.Now().Add(time.Minute)}))
}

func digitsForm(h *house) url.Values {
	call, err := h.c.Store.CaseCall(h.t.Context(), h.notme.ID)
	h.must(err)
	return url.Values{"digits": {"4821"}, "call": {call.ID}}
}

// deskForms are the forms of the support desk, see filledForms.
var deskForms = map[string]filled{
	"/console/users/{id}/documents": {nil, values("document", "31201X", "birthday", "1985-12-24")},
	"/console/users/{id}/team":      {nil, values("team", "early")},
	"/console/users/{id}/reveal":    {nil, values("kind", "email")},
	"/console/cases/new":            {nil, values("login", "wang.zq", "merchant_no", "", "serial", "", "says", "", "lost", "both", "send_to", "to@example.com")},
	"/console/cases/{id}/take":      {recovering, values()},
	"/console/cases/{id}/release":   {takenBy(idp.RoleSupportAgent), values()},
	"/console/cases/{id}/evidence":  {recovering, values("field", "merchant_no", "value", "822290059430001")},
	"/console/cases/{id}/call":      {recovering, values()},
	"/console/cases/{id}/digits":    {onTheLine, digitsForm},
	"/console/cases/{id}/address":   {recovering, values("send_to", "other@example.com")},
	"/console/cases/{id}/answer":    {recovering, values("answer", "never")},
	"/console/cases/{id}/submit":    {compared, values()},
	"/console/cases/{id}/stop":      {compared, values()},
	"/console/cases/{id}/approve":   {waiting, values()},
	"/console/cases/{id}/refuse":    {waiting, values()},
}

// A case from the call to the link, through the pages alone, by two people.
func TestDeskStory(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		for kind, value := range map[string]string{"document.6": "31201X", "document.4": "201X", "birthday": "19851224"} {
			h.must(s.SetEvidence(ctx, h.shop[idp.RoleCashier].ID, kind, value, time.Now().AddDate(0, 0, -30)))
		}
		agent, super := h.as(h.staff[idp.RoleSupportAgent], 0), h.as(h.staff[idp.RoleSupportSupervisor], 0)
		const why = "call 0310-017"

		// Nobody is looked at without a case: a name that is found leads to one, and names nobody.
		cashier := h.shop[idp.RoleCashier]
		agent.expect(agent.post("/console/find", "q", "chen.xy"), 303, "/console/cases/new?user="+cashier.ID)
		agent.hides(agent.expect(agent.get("/console/cases/new?user="+cashier.ID), 200, zh("console.case.found")), "陈小燕", "chen.xy")
		agent.expect(agent.post("/console/users/"+cashier.ID+"/look", "reason", why), 403, zh("error.needs_case"))
		agent.expect(agent.post("/console/cases/new?user="+cashier.ID, "lost", "both", "send_to", "x", "reason", why), 422, zh("error.case_to"), why)
		agent.expect(agent.post("/console/cases/new", "lost", "both", "send_to", "13900000009", "reason", why), 422, zh("error.case_who"))
		// A forgotten user name is told at the door: no case resets everything for it.
		agent.hides(agent.expect(agent.get("/console/cases/new"), 200, zh("console.case.lost_hint"), `value="both"`), `value="username"`, zh("desk.lost.username"))
		agent.expect(agent.post("/console/cases/new?user="+cashier.ID, "lost", "username", "send_to", "13900000009", "reason", why), 422, zh("error.choose"))
		res := agent.post("/console/cases/new?user="+cashier.ID, "lost", "both", "send_to", "139 0000 0009", "says", "小陈", "reason", why)
		agent.expect(res, 303, "?saved=opened")
		page, _, _ := strings.Cut(res.Header.Get("Location"), "?")
		agent.expect(agent.get(page+"?saved=opened"), 200, zh("console.saved.opened"), "陈小燕", "139****0009", zh("console.case.to_new"), "小陈", zh("desk.lost.both"), zh("state.untried"),
			templates.T("zh-CN", "console.case.next_evidence", 0, 2), zh("event.case.opened"), page+"/evidence", page+"/call", page+"/release")
		agent.expect(agent.get("/console/cases?state=mine"), 200, "陈小燕", zh("tier.standard"), zh("case.recovery"))
		agent.expect(agent.get("/console/cases?kind=staff"), 200, zh("console.none.cases"))

		// Evidence is answered by yes or no, and what is kept is on no page.
		agent.expect(agent.get(page+"/evidence"), 200, zh("desk.evidence.birthday"), templates.T("zh-CN", "console.evidence.tries", 3))
		agent.expect(agent.post(page+"/evidence", "field", "birthday", "value", "85-12", "reason", why), 422, zh("error.evidence_birthday"))
		agent.expect(agent.post(page+"/evidence", "field", "birthday", "value", "1985-12-25", "reason", why), 303, "?saved=missed")
		agent.expect(agent.post(page+"/evidence", "field", "birthday", "value", "1985年12月24日", "reason", why), 303, "?saved=matched")
		agent.expect(agent.post(page+"/submit", "reason", why), 422, templates.T("zh-CN", "error.case_evidence", 2))
		agent.expect(agent.post(page+"/evidence", "field", "document_tail", "value", "31201x", "reason", why), 303, "?saved=matched")
		text := agent.expect(agent.get(page), 200, zh("state.matched"), zh("console.case.next_submit"), zh("desk.evidence.document_tail")+" · "+zh("state.matched"))
		for _, value := range []string{"31201X", "31201x", "19851224", "1985"} {
			if strings.Contains(mainOf(text), value) {
				t.Errorf("the page shows %q", value)
			}
		}

		// The call: the agent types what he hears and then reads his own.
		agent.expect(agent.post(page+"/call"), 303, page+"/digits")
		form := agent.expect(agent.get(page+"/digits"), 200, `name="digits"`)
		id := regexp.MustCompile(`name="call" value="([^"]+)"`).FindStringSubmatch(form)[1]
		said, err := s.CallerDigits(ctx, cashier.ID, time.Now())
		h.must(err)
		if strings.Contains(form, said.Caller) {
			t.Error("the agent sees the caller's digits")
		}
		agent.expect(agent.post(page+"/digits", "call", id, "digits", said.Caller), 303, "?saved=heard")
		both, err := s.CallerDigits(ctx, cashier.ID, time.Now())
		h.must(err)
		agent.expect(agent.get(page+"?saved=heard"), 200, templates.T("zh-CN", "console.call.say", both.Half))
		if other := super.get(page); other.StatusCode != 303 {
			t.Errorf("a supervisor owes no reason: %d", other.StatusCode)
		}

		// The answers, in both languages.
		agent.expect(agent.get(page+"/answer"), 200, templates.T("zh-CN", "desk.answer.never"), templates.T("en", "desk.answer.never"))
		agent.expect(agent.post(page+"/answer", "answer", "waiting", "reason", why), 303, "?saved=answered")
		agent.expect(agent.post(page+"/submit", "reason", why), 303)
		agent.expect(agent.get(page+"/approve"), 403)
		if text := agent.expect(agent.get(page), 200, zh("console.case.next_approve")); strings.Contains(text, page+"/approve") {
			t.Error("an agent is offered to approve")
		}

		// The supervisor's first page, the queue, the approval.
		super.expect(super.get("/console"), 200, templates.T("zh-CN", "console.todo.approve", 2), "/console/cases?state=ready") // and the hand-over of the house
		super.expect(super.get("/console/cases?state=ready"), 200, zh("state.ready"), page)
		super.look(cashier.ID)
		text = super.expect(super.get(page), 200, page+"/approve", "139****0009")
		if strings.Contains(text, templates.T("zh-CN", "console.call.say", both.Half)) {
			t.Error("another agent's half is shown")
		}
		super.expect(super.get(page+"/approve"), 200, zh("console.case.approve_lead"), "139****0009", zh("console.case.to_new"))
		super.expect(super.post(page+"/approve", "reason", ""), 422, zh("reason.empty"))
		super.expect(super.post(page+"/approve", "reason", "called back, heard his voice"), 303, "?saved=approved")
		super.expect(super.get(page+"?saved=approved"), 200, zh("console.saved.approved"), zh("state.approved"), h.staff[idp.RoleSupportSupervisor].Name)
		super.expect(super.post(page+"/approve", "reason", "called back, heard his voice"), 422, zh("error.moved"))
		heads, err := s.MessageHeads(ctx, storage.MessageFilter{User: cashier.ID}, 10)
		h.must(err)
		if len(heads) != 1 || heads[0].Template != "case.link" || heads[0].To != "+8613900000009" {
			t.Errorf("sent %+v", heads)
		}
		super.expect(super.get("/console"), 200)
		if n, err := h.c.Manage.WaitsFor(ctx, h.staff[idp.RoleSupportSupervisor], time.Now()); err != nil || n.Cases != 1 {
			t.Errorf("%+v waits, %v", n, err)
		}

		// The owner reads that there was a case, and nothing of how support works.
		owner := h.as(h.owner, 0)
		owner.expect(owner.get("/console/cases?state=all"), 200, "陈小燕")
		text = owner.expect(owner.get(page), 200, "陈小燕", zh("case.recovery"), zh("state.approved"))
		for _, inside := range []string{"139****0009", zh("desk.evidence.serial"), h.staff[idp.RoleSupportSupervisor].ID, h.staff[idp.RoleSupportAgent].ID, why, page + "/"} {
			if strings.Contains(mainOf(text), inside) {
				t.Errorf("the owner reads %q", inside)
			}
		}
		for _, act := range []string{"evidence", "approve", "refuse", "take"} {
			owner.expect(owner.get(page+"/"+act), 403)
			owner.expect(owner.post(page+"/"+act, "reason", why), 403)
		}
	})
}

// A supervisor who worked on a case reads why he may not approve it.
func TestWhyNotMine(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	waiting(h)
	h.must(second(h.c.Store.WriteEvidence(t.Context(), h.notme.ID, idp.Match{Field: idp.FieldSerial, By: h.staff[idp.RoleSupportSupervisor].ID, At: time.Now()}, 3)))
	super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
	super.look(h.notme.UserID)
	page := "/console/cases/" + h.notme.ID
	if text := super.expect(super.get(page), 200, templates.T("zh-CN", "console.case.not_yours", zh("error.case_author"))); strings.Contains(text, page+"/approve") {
		t.Error("offered all the same")
	}
	super.expect(super.post(page+"/approve", "reason", "call 0310-017"), 403, zh("error.case_author"))
}

// An approval asks for a fresher proof than a look at the case; a policy administrator's
// console has the cases of staff alone.
func TestApprovalIsGrave(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	waiting(h)
	page := "/console/cases/" + h.notme.ID
	old := h.as(h.staff[idp.RoleSupportSupervisor], 6*time.Minute)
	old.look(h.notme.UserID)
	old.expect(old.get(page+"/refuse"), 200)
	old.expect(old.get(page+"/approve"), 303, "/flows/")
	old.expect(old.post(page+"/approve", "reason", "call 0310-017"), 422, zh("console.stale"))
	if c, err := h.c.Store.Case(t.Context(), h.notme.ID); err != nil || c.State != idp.CaseOpen {
		t.Errorf("approved on an old proof: %v", err)
	}
	admin := h.as(h.staff[idp.RolePolicyAdmin], 0)
	admin.look(h.notme.UserID)
	for _, act := range []string{"", "/approve", "/evidence", "/refuse", "/take"} {
		admin.expect(admin.get(page+act), 404)
	}
	auditor := h.staff[idp.RoleAuditor]
	admin.expect(admin.post("/console/cases/new", "login", "auditor", "lost", "both", "send_to", "au@example.com", "met", "1", "reason", "met him at the office"), 303, "?saved=opened")
	cases, err := h.c.Store.Cases(t.Context(), storage.CaseFilter{User: auditor.ID}, 1)
	h.must(err)
	staff := "/console/cases/" + cases[0].ID
	admin.expect(admin.get(staff), 200, zh("case.staff"), zh("state.ready"), templates.T("zh-CN", "console.case.not_yours", zh("error.case_opener")))
	super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
	super.look(auditor.ID)
	super.expect(super.post(staff+"/approve", "met", "1", "reason", "met him at the office"), 403, zh("error.case_no_team"))
	h.must(h.c.Store.SetTeam(t.Context(), super.staff[idp.RoleSupportSupervisor].ID, "late"))
	super.expect(super.get(staff+"/approve"), 200, zh("console.case.met_tick"))
	super.expect(super.post(staff+"/approve", "met", "1", "reason", "met him at the office"), 303, "?saved=approved")
	if c, err := h.c.Store.Case(t.Context(), cases[0].ID); err != nil || !c.Approved() || !c.Met() {
		t.Errorf("%+v, %v", c, err)
	}
}

// A number that is shown whole stands in no address, and nowhere else.
func TestRevealAndDocuments(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	page := "/console/users/" + h.owner.ID
	agent := h.as(h.staff[idp.RoleSupportAgent], 0)
	agent.look(h.owner.ID)
	res := agent.post(page+"/reveal", "kind", "phone", "reason", "call 0310-017")
	agent.expect(res, 200, "8613800000001", zh("console.user.reveal_once"))
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Error("kept by the browser")
	}
	if text := agent.expect(agent.get(page), 200, zh("event.account.revealed")); strings.Contains(text, "13800000001") || strings.Contains(text, page+"/documents") {
		t.Error("shown on the page, or documents offered to an agent")
	}
	super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
	super.look(h.owner.ID)
	super.expect(super.post(page+"/documents", "document", "12", "reason", "contract 118"), 422, zh("evidence.document"))
	super.expect(super.post(page+"/documents", "document", "77341X", "birthday", "1962-03-17", "reason", "contract 118"), 303, "?saved=changed")
	for _, path := range []string{page, page + "/documents", page + "/events"} {
		if text := super.expect(super.get(path), 200); strings.Contains(text, "77341") || strings.Contains(text, "1962") {
			t.Errorf("%s shows what was entered", path)
		}
	}
	admin := h.as(h.staff[idp.RolePolicyAdmin], 0)
	agents := "/console/users/" + h.staff[idp.RoleSupportAgent].ID
	admin.look(h.staff[idp.RoleSupportAgent].ID)
	admin.expect(admin.post(agents+"/team", "team", "早班", "reason", "new rota"), 303, "?saved=changed")
	admin.expect(admin.get(agents), 200, "早班", zh("event.staff.team"))
	admin.expect(admin.get(agents+"/team"), 200, `value="早班"`)
	if manage.May(idp.RoleSupportSupervisor, manage.StaffTeam) != manage.No {
		t.Error("a supervisor chooses his own approvers")
	}
}

// What the overdue filter finds, and that a case says so.
func TestQueue(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	late := idp.Case{Kind: idp.CaseRecovery, UserID: h.shop[idp.RoleManager].ID, Merchant: h.merchant.ID, OpenedAt: time.Now().Add(-5 * time.Hour), DueAt: time.Now().Add(-time.Hour), Data: map[string]any{"lost": "both"}}
	h.must(h.c.Store.OpenCase(t.Context(), &late))
	super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
	text := super.expect(super.get("/console/cases?state=overdue"), 200, late.Number, zh("state.overdue"), zh("console.case.nobody"))
	if strings.Contains(text, h.notme.Number) {
		t.Error("a case in its time is overdue")
	}
	super.expect(super.get("/console/cases?state=mine"), 200, zh("console.none.cases"))
	super.expect(super.post("/console/cases/"+late.ID+"/take"), 303, "/look?to=")
	super.look(late.UserID)
	super.expect(super.post("/console/cases/"+late.ID+"/take"), 303, "?saved=changed")
	super.expect(super.get("/console/cases?state=mine"), 200, late.Number, h.staff[idp.RoleSupportSupervisor].Name)
	for _, evil := range []string{"state=<script>", "kind=%00", "kind=zz", "state=ready&before=zzz"} {
		super.expect(super.get("/console/cases?"+evil), 200)
	}
}

// What an agent reads behind the code of a recovery that was refused: every reason in words, with
// a way out, what waits and what is held back.
func TestExplainRecoveries(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx, s := t.Context(), h.c.Store
	due := time.Now().Add(5 * time.Hour)
	h.must(s.AddRecovery(ctx, &idp.Recovery{UserID: h.owner.ID, State: idp.RecoveryWaiting, Lost: idp.LostBoth, Row: 11, Level: 1, Withheld: idp.WithholdMoney, StartedAt: time.Now(), DueAt: due, Until: due.Add(time.Hour)}))
	h.must(s.Withhold(ctx, h.owner.ID, idp.WithholdMoney, due))
	names, err := s.Identifiers(ctx, h.owner.ID)
	h.must(err)
	for _, lang := range []string{"zh-CN", "en"} {
		b := h.as(h.staff[idp.RoleSupportAgent], 0)
		b.lang = lang
		for _, reason := range []string{"recovering", "withheld", "disputed", "proof.weak", "phone.stale", "phone.new"} {
			code := idp.NewExplainCode()
			h.must(s.Append(ctx, idp.Event{Name: "recovery.refused", Subject: h.owner.ID, Reason: reason, Explain: code}))
			text := b.expect(b.get("/console/explain/"+digits(code)), 200, templates.T(lang, "reason."+reason), templates.T(lang, "console.way_out", templates.T(lang, "reason."+reason+".way")),
				templates.T(lang, "console.case.recovery_row", 11, 1), templates.T(lang, "console.explain.w2"))
			b.hides(mainOf(text), "lin.wei", "138****0001")
			if phones := strings.Contains(text, templates.T(lang, "console.explain.phones")); phones != (reason == "disputed" || strings.HasPrefix(reason, "phone.")) {
				t.Errorf("%s: ages of phones %t", reason, phones)
			}
		}
	}
	for _, n := range names {
		if n.Kind == idp.IdentifierPhone {
			h.must(s.Dispute(ctx, n.ID, time.Now().Add(time.Hour)))
		}
	}
	code := idp.NewExplainCode()
	h.must(s.Append(ctx, idp.Event{Name: "recovery.refused", Subject: h.owner.ID, Reason: "disputed", Explain: code}))
	b := h.as(h.staff[idp.RoleSupportAgent], 0)
	b.expect(b.get("/console/explain/"+digits(code)), 200, "前不能用来证明")
}

// A hand-over is decided at its own page: the desk leads there, and does nothing of its own.
func TestHandoverCasePage(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	noRunningHandover(h)
	page, decision := "/console/cases/"+h.gone.ID, "/console/handover-cases/"+h.gone.ID
	agent, super := h.as(h.staff[idp.RoleSupportAgent], 0), h.as(h.staff[idp.RoleSupportSupervisor], 0)
	for _, b := range []*browser{agent, super} {
		b.look(h.owner.ID)
		text := b.expect(b.get(page), 200, zh("error.case_handover"), zh("handover.paper.licence"), "saw the licence")
		if strings.Contains(text, page+"/") {
			t.Errorf("it offers an act of the desk: %s", mainOf(text))
		}
		if leads := strings.Contains(text, decision); leads != (b == super) {
			t.Errorf("leads to the decision: %t", leads)
		}
		for _, act := range []string{"refuse", "submit", "take", "call", "evidence", "answer"} {
			b.expect(b.post(page+"/"+act, "reason", "call 0310", "field", "merchant_no", "value", h.merchant.No, "answer", "never"), 422, zh("error.case_handover"))
		}
		b.expect(b.get("/console/cases?kind=handover"), 200, h.gone.Number)
	}
	agent.expect(agent.get(decision), 403)
	super.expect(super.post("/console/merchants/"+h.merchant.ID+"/look", "reason", "call 0310"), 303)
	super.expect(super.post(decision, "reason", "saw it, too"), 303, "/console/handovers/")
	super.expect(super.get(page), 200, zh("state.approved"), "support_supervisor")
}

// The queue shows the overdue first, over its pages, and the dashboard leads to them.
func TestQueuePages(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	var late idp.Case
	for i := range 2 * pageSize {
		c := idp.Case{Kind: idp.CaseNotMe, UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedAt: time.Now().Add(time.Duration(i) * time.Second), DueAt: time.Now().Add(time.Duration(i+2) * time.Hour)}
		if i == 0 { // the oldest
			c.DueAt = time.Now().Add(-time.Minute)
		}
		h.must(h.c.Store.OpenCase(ctx, &c))
		if i == 0 {
			late = c
		}
	}
	super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
	super.expect(super.get("/console"), 200, templates.T("zh-CN", "console.todo.overdue", 1), "/console/cases?state=overdue")
	seen := map[string]int{}
	next, pages := "/console/cases", 0
	for ; next != ""; pages++ {
		text := mainOf(super.expect(super.get(next), 200))
		if pages == 0 && !strings.Contains(text, late.Number) {
			t.Error("the overdue one is not on the first page")
		}
		for _, m := range regexp.MustCompile(`/console/cases/(\w+)"`).FindAllStringSubmatch(text, -1) {
			seen[m[1]]++
		}
		next = ""
		if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(text); m != nil {
			next = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	delete(seen, "new")
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", id, n)
		}
	}
	if len(seen) != 2*pageSize+2 || pages != 3 {
		t.Errorf("%d cases on %d pages", len(seen), pages)
	}
}
