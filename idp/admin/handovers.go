package admin

import (
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// How a merchant passes to another owner: its owner proposes, the new one accepts, and
// either stops it; where the owner is gone, one of the operator's staff asks and another decides.

// handoverForms are the acts of a hand-over.
var handoverForms = []form{
	{"/console/hand-over", manage.HandoverNew, true, (*visit).noHandover, (*visit).askHandover, (*visit).proposeHandover},
	{"/console/handovers/{id}/accept", manage.HandoverAccept, true, (*visit).handoverPathOpen, handoverAct("accept"), handoverDo((*manage.Manager).AcceptHandover)},
	{"/console/handovers/{id}/stop", manage.HandoverStop, true, (*visit).handoverPathOpen, handoverAct("stop"), handoverDo((*manage.Manager).StopHandover)},
	{"/console/merchants/{id}/hand-over", manage.HandoverAsk, true, (*visit).merchantPathOpen, (*visit).askHandoverCase, (*visit).openHandoverCase},
	{"/console/handover-cases/{id}", manage.HandoverDecide, true, (*visit).handoverCaseOpen, (*visit).askDecision, (*visit).decideHandover},
}

// noHandover leads from the form of a new hand-over to the one that runs.
func (v *visit) noHandover() (bool, error) {
	h, err := v.Store.RunningHandover(v.r.Context(), v.User.MerchantID)
	if err != nil || h == nil {
		return err == nil, err
	}
	return false, redirect(v, "/console/handovers/"+h.ID)
}

// askHandover asks the owner who is to be the next one.
func (v *visit) askHandover() (templates.ConsoleForm, error) {
	need := v.Manage.Policy.For(v.Facts()).Handover
	p := templates.ConsoleForm{Desk: v.desk("/console/users"), Title: v.t("handover.new_title"), Lead: v.t("handover.new_lead", v.span(need.Cooling), v.span(need.Hold)),
		Crumbs: []templates.Crumb{{Text: v.t("console.staff"), URL: "/console/users"}, {Text: v.t("handover.new")}}, Submit: "handover.propose", Danger: true, Cancel: "/console/merchants/" + v.User.MerchantID}
	inputs, err := v.successorInputs(v.User.MerchantID)
	p.Inputs = append(inputs, templates.Input{Name: "after", Label: "handover.after", Hint: "handover.after_hint", Kind: "select", Options: choices(v, "handover.after.", "left", "left", "manager")})
	return p, err
}

// span is a time in words.
func (v *visit) span(d time.Duration) string { return templates.Frame{Lang: v.lang}.Span(d) }

// successorInputs ask for the new owner: a manager of the merchant, or somebody to invite.
func (v *visit) successorInputs(merchant string) ([]templates.Input, error) {
	list, err := v.Store.Users(v.r.Context(), storage.UserFilter{Merchant: merchant, Roles: []idp.Role{idp.RoleManager}, Status: string(idp.UserActive)}, 200)
	var options []templates.Option
	for i, u := range list {
		options = append(options, templates.Option{Value: u.ID, Text: u.Name, Chosen: i == 0})
	}
	options = append(options, templates.Option{Text: v.t("handover.to_new"), Chosen: len(list) == 0})
	return []templates.Input{{Name: "to", Label: "handover.to", Hint: "handover.to_hint", Kind: "select", Options: options},
		{Name: "name", Label: "handover.newcomer", Most: 64, Optional: true},
		{Name: "username", Label: "console.user.username", Hint: "console.user.username_hint", Most: 64, Optional: true},
		{Name: "phone", Label: "console.user.phone", Type: "tel", Most: 40, Optional: true},
		{Name: "email", Label: "console.user.email", Hint: "console.user.channel_hint", Type: "email", Optional: true},
		{Name: "language", Label: "console.user.language", Kind: "select", Options: languageOptions()}}, err
}

func (v *visit) newHandover() manage.NewHandover {
	f := v.r.PostFormValue
	return manage.NewHandover{To: f("to"), Stays: f("after") == "manager", Newcomer: manage.NewUser{Name: f("name"), Username: f("username"), Phone: f("phone"), Email: f("email"), Language: f("language")}}
}

func (v *visit) proposeHandover() (string, error) {
	h, err := v.Manage.ProposeHandover(v.r.Context(), v.owing(), v.newHandover())
	return "/console/handovers/" + h.ID + "?saved=changed", err
}

func (v *visit) handoverOfPath() (idp.Handover, error) {
	id, err := v.id()
	if err != nil {
		return idp.Handover{}, err
	}
	return v.Manage.OfHandover(v.r.Context(), v.User, v.action, id)
}

// handoverPathOpen is the gate of a hand-over: its people's and its owner's, and the
// operator's who looked at the merchant.
func (v *visit) handoverPathOpen() (bool, error) {
	h, err := v.handoverOfPath()
	if err != nil || !v.User.Role.Operator() {
		return err == nil, err
	}
	return v.thingOpen(manage.Target{Merchant: h.MerchantID}, back(v.r))
}

// handover is the page of one hand-over.
func (v *visit) handover() error {
	if open, err := v.handoverPathOpen(); err != nil || !open {
		return err
	}
	h, err := v.handoverOfPath()
	if err != nil {
		return err
	}
	return v.drawHandover(h)
}

func (v *visit) drawHandover(h idp.Handover) error {
	crumbs, facts, err := v.handoverFacts(h)
	if err != nil {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/users"), Saved: v.note(), Crumbs: crumbs, Title: v.t("handover.title"), State: handoverState(h.State), FactsKey: "console.facts", Facts: facts,
		Notes: []templates.Note{v.handoverNote(h)}}
	if h.State == idp.HandoverProposed && h.To == v.User.ID && v.may(manage.HandoverAccept) {
		p.Acts = append(p.Acts, templates.ActLink{Key: "handover.accept", URL: "/console/handovers/" + h.ID + "/accept"})
	}
	if h.Runs() && v.may(manage.HandoverStop) {
		p.Acts = append(p.Acts, templates.ActLink{Key: "handover.stop", URL: "/console/handovers/" + h.ID + "/stop", Danger: true})
	}
	return v.write(p)
}

// handoverState is the catalogue's word for where a hand-over stands.
func handoverState(s idp.HandoverState) string { return "handover_" + string(s) }

// handoverNote says what comes next, or what came of it.
func (v *visit) handoverNote(h idp.Handover) templates.Note {
	switch h.State {
	case idp.HandoverDone:
		return templates.Note{Tone: "ok", Icon: "check", Text: v.t("handover.note.done", v.moment(h.EndedAt))}
	case idp.HandoverStopped, idp.HandoverExpired:
		return templates.Note{Tone: "warn", Icon: "info", Text: v.t("handover.note.stopped", v.moment(h.EndedAt), v.reason("handover."+h.Cause))}
	}
	return templates.Note{Icon: "info", Text: v.t("handover.note."+string(h.State), v.moment(h.DueAt))}
}

// handoverFacts are who and when. Both people are told each other's names.
func (v *visit) handoverFacts(h idp.Handover) ([]templates.Crumb, []templates.Fact, error) {
	ctx := v.r.Context()
	m, err := v.Store.Merchant(ctx, h.MerchantID)
	if err != nil {
		return nil, nil, err
	}
	people, err := v.Store.UsersOf(ctx, []string{h.From, h.To})
	after := "handover.after.left"
	if h.Stays {
		after = "handover.after.manager"
	}
	person := func(id string) templates.Cell {
		c := templates.Cell{Text: people[id].Name}
		if v.mayWith(manage.UserView, manage.OfUser(people[id])) {
			c.URL = "/console/users/" + id
		}
		return c
	}
	facts := []templates.Fact{{Key: "console.merchant", Lines: []templates.Cell{v.merchantCell(m)}}, {Key: "handover.from", Lines: []templates.Cell{small(person(h.From), v.t(after))}},
		{Key: "handover.to", Lines: []templates.Cell{person(h.To)}}, {Key: "handover.proposed", Lines: []templates.Cell{{Time: h.ProposedAt}}}}
	if !h.AcceptedAt.IsZero() {
		facts = append(facts, templates.Fact{Key: "handover.accepted", Lines: []templates.Cell{{Time: h.AcceptedAt}}})
	}
	if h.State == idp.HandoverCooling {
		facts = append(facts, templates.Fact{Key: "handover.due", Lines: []templates.Cell{{Time: h.DueAt}}})
	}
	return v.merchantCrumbs(m, v.t("handover.title")), facts, err
}

// handoverAct is the question before a step of a hand-over.
func handoverAct(name string) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		h, err := v.handoverOfPath()
		if err != nil {
			return templates.ConsoleForm{}, err
		}
		crumbs, facts, err := v.handoverFacts(h)
		key, wait := "handover."+name, v.Manage.Policy.For(v.Facts()).Handover
		cooling := wait.Cooling
		if h.Case != "" {
			cooling = wait.Case
		}
		lead := v.t("handover.stop_lead")
		if name == "accept" {
			lead = v.t("handover.accept_lead", v.span(cooling), v.span(wait.Hold))
		}
		return templates.ConsoleForm{Desk: v.desk("/console/users"), Title: v.t(key + "_title"), Lead: lead, Crumbs: crumbs, Facts: facts, Submit: key, Danger: name == "stop",
			Cancel: "/console/handovers/" + h.ID}, err
	}
}

// handoverDo takes a step and goes back to the page; whoever has left by it reads it as the
// answer, for he has no page any more.
func handoverDo(do act) func(v *visit) (string, error) {
	return func(v *visit) (string, error) {
		h, err := v.handoverOfPath()
		if err != nil {
			return "", err
		}
		if err := do(v.Manage, v.r.Context(), v.owing(), h.ID); err != nil {
			return "", err
		}
		now, err := v.Store.Handover(v.r.Context(), h.ID)
		if err != nil {
			return "", err
		}
		if h.Joined && h.To == v.User.ID && !now.Runs() {
			return "", v.drawHandover(now)
		}
		return "/console/handovers/" + h.ID + "?saved=changed", nil
	}
}

// handoverActs lead from the page of a merchant to its hand-over, or to a new one.
func (v *visit) handoverActs(m idp.Merchant) ([]templates.ActLink, error) {
	h, err := v.Store.RunningHandover(v.r.Context(), m.ID)
	switch {
	case err != nil:
		return nil, err
	case h != nil && v.mayWith(manage.HandoverView, manage.Target{Merchant: m.ID}):
		return []templates.ActLink{{Key: "handover.page", URL: "/console/handovers/" + h.ID}}, nil
	case h != nil || m.Status == idp.MerchantSuspended && !v.whole() || m.Status == idp.MerchantClosed:
		return nil, nil
	case v.may(manage.HandoverNew):
		return []templates.ActLink{{Key: "handover.new", URL: "/console/hand-over"}}, nil
	case !v.may(manage.HandoverDecide):
		return nil, nil
	}
	c, err := v.Manage.HandoverCase(v.r.Context(), m.ID)
	if err != nil || c != nil {
		if c != nil {
			return []templates.ActLink{{Key: "handover.decide", URL: "/console/handover-cases/" + c.ID}}, nil
		}
		return nil, err
	}
	return []templates.ActLink{{Key: "handover.ask", URL: "/console/merchants/" + m.ID + "/hand-over"}}, nil
}

// askHandoverCase asks what is to be done for a merchant whose owner is gone.
func (v *visit) askHandoverCase() (templates.ConsoleForm, error) {
	m, err := v.merchantOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	inputs, err := v.successorInputs(m.ID)
	return templates.ConsoleForm{Desk: v.desk("/console/merchants"), Title: v.t("handover.ask_title", m.LegalName), Lead: v.t("handover.ask_lead"), Crumbs: v.merchantCrumbs(m, v.t("handover.ask")),
		Inputs: append(inputs, v.papersInput(), templates.Input{Name: "reason", Label: "handover.seen", Hint: "handover.seen_hint", Kind: "reason"}), Submit: "handover.ask", Cancel: "/console/merchants/" + m.ID}, err
}

// papersInput asks which documents were seen.
func (v *visit) papersInput() templates.Input {
	in := templates.Input{Name: "papers", Label: "handover.papers", HintText: v.t("handover.papers_hint", v.Manage.Policy.Now().Desk.Matches), Kind: "checks"}
	for _, kind := range idp.HandoverPapers {
		in.Options = append(in.Options, templates.Option{Value: kind, Text: v.t("handover.paper." + kind)})
	}
	return in
}

func (v *visit) openHandoverCase() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	in := v.newHandover()
	in.Seen = v.r.PostForm["papers"]
	_, err = v.Manage.AskHandover(v.r.Context(), v.actor(), id, in)
	return "/console/merchants/" + id + "?saved=created", err
}

func (v *visit) handoverCase() (idp.Case, error) {
	id, err := v.id()
	if err != nil {
		return idp.Case{}, err
	}
	c, err := v.Store.Case(v.r.Context(), id)
	if err == nil && c.Kind != idp.CaseHandover {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return c, err
}

func (v *visit) handoverCaseOpen() (bool, error) {
	c, err := v.handoverCase()
	if err != nil {
		return false, err
	}
	return v.thingOpen(manage.Target{Merchant: c.Merchant}, back(v.r))
}

// askDecision shows what another has asked for.
func (v *visit) askDecision() (templates.ConsoleForm, error) {
	c, err := v.handoverCase()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	m, err := v.Store.Merchant(v.r.Context(), c.Merchant)
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	in := manage.Asked(c)
	people, err := v.Store.UsersOf(v.r.Context(), []string{c.UserID, c.OpenedBy, in.To})
	to := templates.Cell{Text: people[in.To].Name}
	if in.To == "" {
		to = templates.Cell{Text: in.Newcomer.Name, Small: v.t("handover.to_new")}
	}
	return templates.ConsoleForm{Desk: v.desk("/console/merchants"), Title: v.t("handover.decide_title", m.LegalName), Lead: v.t("handover.decide_lead", v.span(v.Manage.Policy.For(policy.Who(people[c.UserID], &m)).Handover.Case)),
		Crumbs: v.merchantCrumbs(m, v.t("handover.decide")),
		Facts: []templates.Fact{{Key: "console.case.no", Lines: []templates.Cell{{Text: c.Number, Mono: true}}}, {Key: "console.case.by", Lines: []templates.Cell{{Text: people[c.OpenedBy].Name}}},
			v.papersFact(c), {Key: "handover.seen", Lines: []templates.Cell{{Text: orDash(text(c.Data["reason"]))}}}, {Key: "handover.from", Lines: []templates.Cell{{Text: people[c.UserID].Name}}}, {Key: "handover.to", Lines: []templates.Cell{to}}},
		Inputs: []templates.Input{reasonInput()}, Submit: "handover.approve", Also: []templates.Submit{{Name: "refuse", Text: v.t("handover.refuse")}}, Cancel: "/console/merchants/" + m.ID}, err
}

// papersFact is which documents were seen.
func (v *visit) papersFact(c idp.Case) templates.Fact {
	f := templates.Fact{Key: "handover.papers"}
	for _, kind := range manage.Asked(c).Seen {
		f.Lines = append(f.Lines, templates.Cell{Key: "handover.paper." + kind})
	}
	if f.Lines == nil {
		f.Lines = []templates.Cell{{Text: "–"}}
	}
	return f
}

func (v *visit) decideHandover() (string, error) {
	c, err := v.handoverCase()
	if err != nil {
		return "", err
	}
	h, err := v.Manage.DecideHandover(v.r.Context(), v.actor(), c.ID, v.r.PostFormValue("refuse") == "")
	if h.ID == "" {
		return "/console/merchants/" + c.Merchant + "?saved=changed", err
	}
	return "/console/handovers/" + h.ID + "?saved=changed", err
}
