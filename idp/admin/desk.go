package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// The support desk: what is done in a case. Each act is a form at an address below the
// case's; none of them shows what evidence is compared with.

// workOn adds to the page of a case what those see who work on it.
func (v *visit) workOn(p *templates.ConsoleObject, c idp.Case, u idp.User) error {
	ctx, names := v.r.Context(), v.names()
	if c.Kind == idp.CaseHandover {
		return v.handoverWork(p, c, names)
	}
	fields, err := v.Manage.Evidence(ctx, c, u)
	if err != nil {
		return err
	}
	call, err := v.Store.CaseCall(ctx, c.ID)
	if err != nil {
		return err
	}
	if p.Facts, err = v.workFacts(p.Facts, c, u, names); err != nil {
		return err
	}
	if p.Notes, err = v.caseNotes(c, u, fields, call); err != nil {
		return err
	}
	if p.Acts, err = v.caseActs(c, u); err != nil {
		return err
	}
	history, err := v.caseHistory(c)
	p.Blocks = []templates.Block{v.evidenceBlock(fields, names), {ID: "history", Key: "console.case.history", None: "console.none.events", Table: history}}
	return err
}

// handoverWork shows what another owner is asked for with, and leads to where that is decided.
func (v *visit) handoverWork(p *templates.ConsoleObject, c idp.Case, names *people) (err error) {
	p.Facts = append(p.Facts, v.papersFact(c), templates.Fact{Key: "handover.seen", Lines: []templates.Cell{{Text: orDash(text(c.Data["reason"]))}}})
	if c.DecidedBy != "" {
		p.Facts = append(p.Facts, templates.Fact{Key: "console.case.decided_by", Lines: []templates.Cell{{Text: names.of(c.DecidedBy)}}})
	}
	if c.State == idp.CaseOpen {
		p.Notes = []templates.Note{{Icon: "info", Text: v.t("error.case_handover")}}
		if v.may(manage.HandoverDecide) {
			p.Acts = []templates.ActLink{{Key: "handover.decide", URL: "/console/handover-cases/" + c.ID}}
		}
	}
	history, err := v.caseHistory(c)
	p.Blocks = []templates.Block{{ID: "history", Key: "console.case.history", None: "console.none.events", Table: history}}
	return err
}

func (v *visit) workFacts(facts []templates.Fact, c idp.Case, u idp.User, names *people) ([]templates.Fact, error) {
	add := func(key string, lines ...templates.Cell) {
		facts = append(facts, templates.Fact{Key: key, Lines: lines})
	}
	if lost := c.Lost(); lost != "" {
		add("console.case.lost", templates.Cell{Key: "desk.lost." + string(lost)})
	}
	if says := text(c.Data["says"]); says != "" {
		add("console.case.says", templates.Cell{Text: says})
	}
	if shown, _ := c.Data["shown"].([]any); len(shown) > 0 {
		var words []string
		for _, by := range shown {
			words = append(words, v.t("recover.by."+text(by)))
		}
		add("console.case.shown", templates.Cell{Text: strings.Join(words, v.t("comma"))})
	}
	if c.Returns() && c.To().Value != "" {
		bound, err := v.bound(u, c.To())
		if err != nil {
			return nil, err
		}
		add("console.case.to", templates.Cell{Text: c.To().Masked(), Mono: true, Small: v.t(bound)})
	}
	add("console.case.assigned", templates.Cell{Text: v.assigned(c, names)})
	if !c.ReadyAt.IsZero() {
		add("console.case.ready_at", templates.Cell{Time: c.ReadyAt})
	}
	if c.DecidedBy != "" {
		add("console.case.decided_by", templates.Cell{Text: names.of(c.DecidedBy)})
	}
	if c.Kind == idp.CaseStaff {
		met, _ := c.Data["met_opener"].(bool)
		add("console.case.met", templates.Cell{Key: yesNo(met)}, templates.Cell{Key: yesNo(c.Met())})
	}
	running, err := v.Store.RunningRecovery(v.r.Context(), u.ID)
	if running != nil {
		add("console.case.recovery", templates.Cell{Time: running.DueAt, Small: v.t("console.case.recovery_row", running.Row, running.Level)})
	}
	return facts, err
}

func yesNo(is bool) string {
	if is {
		return "console.yes"
	}
	return "console.no"
}

// bound is the catalogue's word for whether a link goes to where its person is known.
func (v *visit) bound(u idp.User, to idp.Identifier) (string, error) {
	names, err := v.Store.Identifiers(v.r.Context(), u.ID)
	if slices.ContainsFunc(names, func(n idp.Identifier) bool { return n.Kind == to.Kind && n.Value == to.Value && n.Channel() }) {
		return "console.case.to_bound", err
	}
	return "console.case.to_new", err
}

// caseNotes say what comes next in a case, and what is read out in a call.
func (v *visit) caseNotes(c idp.Case, u idp.User, fields []manage.FieldState, call *idp.Call) (notes []templates.Note, err error) {
	add := func(tone, icon, text string) {
		notes = append(notes, templates.Note{Tone: tone, Icon: icon, Text: text})
	}
	if call != nil && call.Live(time.Now()) && call.Agent == v.User.ID {
		if call.Half != "" {
			add("ok", "phone", v.t("console.call.say", call.Half))
		} else {
			add("", "phone", v.t("console.call.asked", v.moment(call.Until)))
		}
	}
	if c.State != idp.CaseOpen {
		return notes, nil
	}
	matched := 0
	for _, f := range fields {
		if f.Matched {
			matched++
		}
	}
	need := v.Manage.Policy.Now().Desk.Matches
	switch {
	case !c.Returns() && !u.Frozen:
		add("", "info", v.t("console.case.next_read"))
	case !c.ReadyAt.IsZero():
		add("", "info", v.t("console.case.next_approve"))
	case c.Returns() && c.To().Value == "":
		add("warn", "mail", v.t("console.case.next_address"))
	case matched < need && c.Kind != idp.CaseStaff:
		add("", "info", v.t("console.case.next_evidence", matched, need))
	default:
		add("", "info", v.t("console.case.next_submit"))
	}
	if c.Returns() && u.Frozen {
		add("warn", "freeze", v.t("error.case_frozen"))
	}
	if !v.may(manage.CaseApprove) || c.ReadyAt.IsZero() {
		return notes, nil
	}
	why, ok := refusals(v.Manage.MayApprove(v.r.Context(), v.actor(), c, u))
	if ok && len(why) > 0 {
		add("warn", "lock", v.t("console.case.not_yours", v.t(why[0].Key, why[0].Args...)))
	}
	return notes, nil
}

// caseActs are the buttons of a case that work for this visitor.
func (v *visit) caseActs(c idp.Case, u idp.User) (out []templates.ActLink, err error) {
	if c.State != idp.CaseOpen || !manage.MayWorkOn(v.User, u) {
		return nil, nil
	}
	offer := func(act manage.Action, works bool, name string, danger bool) {
		if works && v.may(act) {
			out = append(out, templates.ActLink{Key: caseWord(name, c), URL: "/console/cases/" + c.ID + "/" + name, Danger: danger})
		}
	}
	super := manage.May(v.User.Role, manage.CaseApprove) != manage.No
	offer(manage.CaseWork, c.Assigned == "", "take", false)
	offer(manage.CaseWork, c.Assigned == v.User.ID || super && c.Assigned != "", "release", false)
	offer(manage.CaseEvidence, true, "evidence", false)
	offer(manage.CaseCall, true, "call", false)
	offer(manage.CaseEvidence, c.Returns() && c.ReadyAt.IsZero(), "address", false)
	offer(manage.CaseAnswer, true, "answer", false)
	offer(manage.CaseEvidence, c.ReadyAt.IsZero() && (c.Returns() || u.Frozen), "submit", false)
	offer(manage.CaseApprove, v.Manage.MayApprove(v.r.Context(), v.actor(), c, u) == nil, "approve", false)
	offer(manage.CaseStop, !u.Frozen, "stop", true)
	offer(manage.CaseRefuse, true, "refuse", true)
	return out, nil
}

// caseWord is the catalogue's word for an act: to approve lifts a freeze, where there is
// nobody to be brought back.
func caseWord(name string, c idp.Case) string {
	if !c.Returns() && (name == "approve" || name == "refuse") {
		name += "_freeze"
	}
	return "console.case." + name
}

var evidenceColumns = []string{"console.evidence.field", "console.col.state", "console.evidence.left", "console.evidence.by"}

func (v *visit) evidenceBlock(fields []manage.FieldState, names *people) templates.Block {
	b := templates.Block{ID: "evidence", Key: "console.case.evidence_block", None: "console.none.events", Table: templates.Table{Caption: "console.case.evidence_block", Columns: evidenceColumns}}
	for _, f := range fields {
		name := templates.Cell{Key: "desk.evidence." + string(f.Field)}
		if f.Field.Printed() {
			name.Small = v.t("console.evidence.printed")
		}
		state := "untried"
		switch {
		case f.Matched:
			state = "matched"
		case f.Tries > 0:
			state = "missed"
		case !f.Kept:
			state = "not_kept"
		}
		by := templates.Cell{Text: "–"}
		if f.By != "" {
			by.Text = names.of(f.By)
		}
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{name, {State: state}, {Text: templates.Number(int64(f.Left))}, by})
	}
	return b
}

// caseEvents are what a case's history is made of.
var caseEvents = []string{"case.opened", "case.assigned", "case.evidence", "case.callercode", "case.ready", "case.overdue", "case.answered", "case.addressed", "case.approved", "case.refused", "case.closed"}

// historyMost bounds what is read of somebody's events for the history of one case.
const historyMost = 200

func (v *visit) caseHistory(c idp.Case) (templates.Table, error) {
	list, err := v.Store.Events(v.r.Context(), storage.EventFilter{Subject: c.UserID, Names: caseEvents, Since: c.OpenedAt}, historyMost)
	list = slices.DeleteFunc(list, func(e idp.Event) bool { return text(e.Data["case"]) != c.Number })
	t := v.eventTable(list)
	t.Columns = historyColumns
	for i, row := range t.Rows {
		t.Rows[i] = slices.Delete(row, 3, 4) // all are about the same person
	}
	return t, err
}

var historyColumns = []string{"console.col.event", "console.col.when", "console.col.who", "console.col.detail"}

// caseDetail is what an event of a case says beside who and why.
func (v *visit) caseDetail(e idp.Event) string {
	switch e.Name {
	case "case.evidence":
		match, _ := e.Data["match"].(bool)
		return join(v.t("desk.evidence."+text(e.Data["field"])), v.state(map[bool]string{true: "matched", false: "missed"}[match]))
	case "case.callercode":
		return v.t("desk.call." + text(e.Data["state"]))
	case "case.answered":
		return v.t("desk.answer." + text(e.Data["answer"]) + "_title")
	}
	return ""
}

// newCase asks for whom a case is opened: who was found, or by what the caller can name.
func (v *visit) newCase() (templates.ConsoleForm, error) {
	p := templates.ConsoleForm{Desk: v.desk("/console/cases"), Title: v.t("console.case.new"), Lead: v.t("console.case.new_lead"),
		Crumbs: []templates.Crumb{{Text: v.t("console.cases"), URL: "/console/cases"}, {Text: v.t("console.case.new")}}, Submit: "console.case.open", Cancel: "/console/cases"}
	if v.query("user") == "" {
		p.Inputs = []templates.Input{{Name: "login", Label: "console.case.login", Hint: "console.case.login_hint", Optional: true},
			{Name: "merchant_no", Label: "console.merchant.no", Hint: "console.case.pair_hint", Mode: "numeric", Most: 40, Optional: true},
			{Name: "serial", Label: "console.terminal.serial", Most: 64, Optional: true}}
	} else {
		p.Note = &templates.Note{Icon: "user", Text: v.t("console.case.found")}
	}
	lost := choices(v, "desk.lost.", string(idp.LostBoth), string(idp.LostPassword), string(idp.LostSecond), string(idp.LostBoth), idp.CaseFreeze)
	p.Inputs = append(p.Inputs, templates.Input{Name: "says", Label: "console.case.says", Hint: "console.case.says_hint", Most: 64, Optional: true},
		templates.Input{Name: "lost", Label: "console.case.lost", Hint: "console.case.lost_hint", Kind: "select", Options: lost},
		templates.Input{Name: "send_to", Label: "console.case.to", Hint: "console.case.to_hint", Optional: true})
	if v.may(manage.CaseApprove) {
		p.Inputs = append(p.Inputs, templates.Input{Name: "met", Label: "console.case.met_tick", Hint: "console.case.met_hint", Kind: "tick"})
	}
	p.Inputs = append(p.Inputs, reasonInput())
	return p, nil
}

func (v *visit) openCase() (string, error) {
	f := v.r.PostFormValue
	c, err := v.Manage.OpenCase(v.r.Context(), v.actor(), manage.NewCase{User: v.query("user"), Login: f("login"), MerchantNo: f("merchant_no"), Serial: f("serial"), Says: f("says"),
		Lost: f("lost"), To: f("send_to"), Met: f("met") == "1"})
	return "/console/cases/" + c.ID + "?saved=opened", err
}

// caseForm is a question about a case; fields are asked before the reason.
func (v *visit) caseForm(name string, c idp.Case, u idp.User, fields ...templates.Input) templates.ConsoleForm {
	key := caseWord(name, c)
	return templates.ConsoleForm{Desk: v.desk("/console/cases"), Title: v.t(key), Lead: v.t(key + "_lead"), Crumbs: v.caseCrumbs(c, v.t(key)),
		Facts:  []templates.Fact{{Key: "console.col.about", Lines: []templates.Cell{{Text: u.Name}}}, {Key: "console.case.kind", Lines: []templates.Cell{v.caseKind(c)}}, {Key: "console.col.state", Lines: []templates.Cell{{State: c.Stands(time.Now())}}}},
		Inputs: v.withReason(fields...), Submit: key, Cancel: "/console/cases/" + c.ID}
}

// caseAct is the question before an act on a case that needs nothing but a reason.
func caseAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		c, u, err := v.caseOfPath()
		p := v.caseForm(name, c, u)
		p.Danger = danger
		return p, err
	}
}

func caseDo(do act, saved string) func(v *visit) (string, error) {
	return func(v *visit) (string, error) {
		id, err := v.id()
		if err != nil {
			return "", err
		}
		return "/console/cases/" + id + "?saved=" + saved, do(v.Manage, v.r.Context(), v.owing(), id)
	}
}

// askEvidence asks what the caller says of one field.
func (v *visit) askEvidence() (templates.ConsoleForm, error) {
	c, u, err := v.caseOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	states, err := v.Manage.Evidence(v.r.Context(), c, u)
	var options []templates.Option
	for _, f := range states {
		if f.Kept && f.Left > 0 {
			options = append(options, templates.Option{Value: string(f.Field), Text: v.t("desk.evidence."+string(f.Field)) + " · " + v.t("console.evidence.tries", f.Left)})
		}
	}
	p := v.caseForm("evidence", c, u, templates.Input{Name: "field", Label: "console.evidence.field", Kind: "select", Options: options},
		templates.Input{Name: "value", Label: "console.evidence.value", Hint: "console.evidence.value_hint", Most: 100})
	if len(options) == 0 {
		p.Note = &templates.Note{Tone: "warn", Icon: "info", Text: v.t("console.evidence.none_left")}
	}
	return p, err
}

func (v *visit) compare() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	f := v.r.PostFormValue
	matched, err := v.Manage.CompareEvidence(v.r.Context(), v.actor(), id, idp.EvidenceField(f("field")), f("value"))
	if matched {
		return "/console/cases/" + id + "?saved=matched", err
	}
	return "/console/cases/" + id + "?saved=missed", err
}

// askDigits asks for what the caller reads, while a call of the visitor's goes on.
func (v *visit) askDigits() (templates.ConsoleForm, error) {
	c, u, err := v.caseOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	p := v.caseForm("digits", c, u, templates.Input{Name: "digits", Label: "console.call.digits", Hint: "console.call.digits_hint", Mode: "numeric", Most: 12})
	call, err := v.Store.CaseCall(v.r.Context(), c.ID)
	if call != nil && call.Live(time.Now()) && call.Agent == v.User.ID && call.State == idp.CallAsked {
		p.Lead = v.t("console.call.asked", v.moment(call.Until))
		p.Inputs, p.Submit = append(p.Inputs, templates.Input{Name: "call", Kind: "hidden", Value: call.ID}), "console.call.hear"
	}
	return p, err
}

func (v *visit) hear() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	f := v.r.PostFormValue
	return "/console/cases/" + id + "?saved=heard", v.Manage.HearCall(v.r.Context(), v.owing(), id, f("call"), f("digits"))
}

func (v *visit) startCall() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/cases/" + id + "/digits", v.Manage.StartCall(v.r.Context(), v.owing(), id)
}

// askAddress asks where the link goes.
func (v *visit) askAddress() (templates.ConsoleForm, error) {
	c, u, err := v.caseOfPath()
	return v.caseForm("address", c, u, templates.Input{Name: "send_to", Label: "console.case.to", Hint: "console.case.address_hint"}), err
}

func (v *visit) address() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/cases/" + id + "?saved=changed", v.Manage.AddressCase(v.r.Context(), v.actor(), id, v.r.PostFormValue("send_to"))
}

// askAnswer shows the prepared answers in every language, to be read out, and offers to send
// one.
func (v *visit) askAnswer() (templates.ConsoleForm, error) {
	c, u, err := v.caseOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	var options []templates.Option
	for _, name := range idp.CaseAnswers {
		options = append(options, templates.Option{Value: name, Text: v.t("desk.answer." + name + "_title")})
	}
	p := v.caseForm("answer", c, u, templates.Input{Name: "answer", Label: "console.case.answer_which", Kind: "select", Options: options})
	p.Facts, p.Long, p.Submit = nil, true, "console.case.answer_do"
	for _, name := range idp.CaseAnswers {
		fact := templates.Fact{Key: "desk.answer." + name + "_title"}
		for _, l := range templates.Languages() {
			fact.Lines = append(fact.Lines, templates.Cell{Text: templates.T(l.Tag, "desk.answer."+name), Lang: l.Tag})
		}
		p.Facts = append(p.Facts, fact)
	}
	return p, nil
}

func (v *visit) answer() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/cases/" + id + "?saved=answered", v.Manage.AnswerCase(v.r.Context(), v.actor(), id, v.r.PostFormValue("answer"))
}

// askApprove says what an approval does, and of one of the operator's own asks whether they
// met.
func (v *visit) askApprove() (templates.ConsoleForm, error) {
	c, u, err := v.caseOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	var fields []templates.Input
	if c.Kind == idp.CaseStaff {
		fields = []templates.Input{{Name: "met", Label: "console.case.met_tick", Hint: "console.case.met_hint", Kind: "tick"}}
	}
	p := v.caseForm("approve", c, u, fields...)
	if c.Returns() {
		bound, err := v.bound(u, c.To())
		if err != nil {
			return p, err
		}
		p.Facts = append(p.Facts, templates.Fact{Key: "console.case.lost", Lines: []templates.Cell{{Key: "desk.lost." + string(c.Lost())}}},
			templates.Fact{Key: "console.case.to", Lines: []templates.Cell{{Text: c.To().Masked(), Mono: true, Small: v.t(bound)}}})
	}
	return p, nil
}

func (v *visit) approve() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/cases/" + id + "?saved=approved", v.Manage.ApproveCase(v.r.Context(), v.actor(), id, v.r.PostFormValue("met") == "1")
}

// askDocuments asks for what evidence will be compared with. It shows nothing of what is kept.
func (v *visit) askDocuments() (templates.ConsoleForm, error) {
	p, err := userAct("documents", false)(v)
	p.Inputs = append([]templates.Input{{Name: "document", Label: "desk.evidence.document_tail", Hint: "console.user.tail_hint", Most: 12, Optional: true},
		{Name: "birthday", Label: "desk.evidence.birthday", Hint: "console.user.birthday_hint", Most: 24, Optional: true}}, p.Inputs...)
	return p, err
}

func (v *visit) setDocuments() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	f := v.r.PostFormValue
	return "/console/users/" + id + "?saved=changed", v.Manage.SetDocuments(v.r.Context(), v.actor(), id, manage.Documents{Tail: idp.Secret(f("document")), Birthday: idp.Secret(f("birthday"))})
}

// askTeam asks with whom one of the operator's staff works.
func (v *visit) askTeam() (templates.ConsoleForm, error) {
	u, err := v.userOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	p, err := userAct("team", false)(v)
	p.Inputs = append([]templates.Input{{Name: "team", Label: "console.user.team_label", Hint: "console.user.team_hint", Most: 40, Value: u.Team, Optional: true}}, p.Inputs...)
	return p, err
}

func (v *visit) setTeam() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/users/" + id + "?saved=changed", v.Manage.SetTeam(v.r.Context(), v.actor(), id, v.r.PostFormValue("team"))
}

// askReveal asks which of a person's numbers or addresses is needed whole.
func (v *visit) askReveal() (templates.ConsoleForm, error) {
	p, err := userAct("reveal", false)(v)
	p.Inputs = append([]templates.Input{{Name: "kind", Label: "console.user.reveal_kind", Kind: "select", Options: []templates.Option{{Value: "phone", Text: v.t("console.user.phone")}, {Value: "email", Text: v.t("console.user.email")}}}}, p.Inputs...)
	return p, err
}

// reveal shows them in the answer itself: they stand in no address.
func (v *visit) reveal() (string, error) {
	u, err := v.userOfPath()
	if err != nil {
		return "", err
	}
	kind := idp.IdentifierKind(v.r.PostFormValue("kind"))
	values, err := v.Manage.Reveal(v.r.Context(), v.actor(), u.ID, kind)
	if err != nil {
		return "", err
	}
	v.w.Header().Set("Cache-Control", "no-store")
	fact := templates.Fact{Key: "console.user." + string(kind)}
	for _, value := range values {
		fact.Lines = append(fact.Lines, templates.Cell{Text: value, Mono: true})
	}
	return "", v.Site.Write(v.w, v.r, http.StatusOK, templates.ConsoleObject{Desk: v.desk("/console/users"), Crumbs: v.userCrumbs(u, v.t("console.user.reveal")), Title: u.Name, FactsKey: "console.user.reveal", Facts: []templates.Fact{fact},
		Notes: []templates.Note{{Tone: "warn", Icon: "info", Text: v.t("console.user.reveal_once")}}})
}
