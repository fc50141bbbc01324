package admin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// needsSecond says on a form that another person approves what it asks for or, where there
// is nobody else, how to come by one.
func (v *visit) needsSecond(p *templates.ConsoleForm, act manage.Action, key string) error {
	there, err := v.Manage.HasSecond(v.r.Context(), v.User, act)
	p.Note = &templates.Note{Icon: "users", Text: v.t(key)}
	if !there {
		p.Note = &templates.Note{Tone: "warn", Icon: "warn", Text: v.t("approval.alone")}
	}
	return err
}

// approvalFilter is what the list is narrowed to: the acts that are the visitor's, and those
// that wait where nothing is said.
func (v *visit) approvalFilter(before string) storage.ApprovalFilter {
	f := storage.ApprovalFilter{Before: before, Acts: manage.ApprovalActs(v.User), Now: time.Now()}
	switch state := cmp.Or(v.query("state"), string(idp.ApprovalAsked)); state {
	case "all":
	default:
		f.State = idp.ApprovalState(state)
	}
	return f
}

func (v *visit) approvalFilters() ([]templates.Input, error) {
	state := idp.ApprovalState(cmp.Or(v.query("state"), string(idp.ApprovalAsked)))
	options := append(choices(v, "state.", state, idp.ApprovalStates...), templates.Option{Value: "all", Text: v.t("filter.all"), Chosen: state == "all"})
	return []templates.Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: options}}, nil
}

// approvals lists what takes two people, newest first.
func (v *visit) approvals() error {
	c := v.cursor("before")
	filters, err := v.approvalFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/approvals"), Title: "console.approvals", Saved: v.note(), Action: "/console/approvals", Filters: filters, Export: v.exportLink(),
		Table: templates.Table{Caption: "console.approvals", Columns: []string{"approval.what", "console.col.about", "approval.asked_by", "approval.asked_at", "approval.until", "console.col.state"}},
		None:  templates.Empty{Icon: "check", Title: v.t("console.none.approvals")}}
	rows, err := v.Store.Approvals(v.r.Context(), v.approvalFilter(c.at), pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(a idp.Approval) string { return a.ID })
	names, now := v.names(), time.Now()
	for _, a := range rows {
		about := v.approvalAbout(a)
		about.URL = "" // the row leads to what was asked
		p.Table.Rows = append(p.Table.Rows, []templates.Cell{{Text: v.t("approval.act." + a.Act), URL: "/console/approvals/" + a.ID}, about, {Text: names.of(a.AskedBy)}, {Time: a.AskedAt}, {Time: a.ExpiresAt},
			{State: string(a.StateAt(now))}})
	}
	return v.write(p)
}

var approvalExportColumns = []string{"console.id", "approval.what", "approval.object", "console.col.about", "approval.asked_by", "approval.asked_at", "approval.reason", "approval.until", "console.col.state", "approval.decided_by",
	"approval.decided_at", "approval.decision"}

func (v *visit) exportApprovals(at string) (rows [][]string, next string, err error) {
	list, err := v.Store.Approvals(v.r.Context(), v.approvalFilter(at), exportPage)
	names, now := v.names(), time.Now()
	for _, a := range list {
		rows = append(rows, []string{a.ID, v.t("approval.act." + a.Act), a.Object, v.approvalAbout(a).Text, names.of(a.AskedBy), v.stamp(a.AskedAt), a.Reason, v.stamp(a.ExpiresAt), v.state(string(a.StateAt(now))),
			v.decider(names, a), v.stamp(a.DecidedAt), a.Decision})
	}
	return rows, after(list, func(a idp.Approval) string { return a.ID }), err
}

func (v *visit) decider(names *people, a idp.Approval) string {
	if a.DecidedBy == "" {
		return ""
	}
	return names.of(a.DecidedBy)
}

// approvalAbout is what an act is about.
func (v *visit) approvalAbout(a idp.Approval) templates.Cell {
	ctx := v.r.Context()
	kind, _, _ := strings.Cut(a.Act, ".")
	switch {
	case kind == "client":
		c, err := v.Store.Client(ctx, a.Object)
		if err != nil { // that is not there yet
			return templates.Cell{Text: a.Object, Mono: true}
		}
		return templates.Cell{Text: c.Name, URL: "/console/clients/" + c.ID}
	case kind == "merchant":
		if m, err := v.Store.Merchant(ctx, a.Object); err == nil {
			return v.merchantCell(m)
		}
	case kind == "key":
		return templates.Cell{Text: v.t("console.keys"), URL: "/console/keys"}
	case a.Object == "": // somebody new
		for _, d := range a.Changes {
			if d.Field == "name" {
				return templates.Cell{Text: strings.Join(d.New, " ")}
			}
		}
	default:
		return templates.Cell{Text: v.names().of(a.Object), URL: "/console/users/" + a.Object}
	}
	return templates.Cell{Text: orDash(a.Object), Mono: true}
}

func (v *visit) approvalOfPath() (idp.Approval, error) {
	id, err := v.id()
	if err != nil {
		return idp.Approval{}, err
	}
	a, err := v.Store.Approval(v.r.Context(), id)
	if err == nil && !manage.ReadsApproval(v.User, a) {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return a, err
}

func (v *visit) approvalPathOpen() (bool, error) {
	_, err := v.approvalOfPath()
	return err == nil, err
}

func (v *visit) approvalCrumbs(a idp.Approval, leaf string) []templates.Crumb {
	return crumbs(templates.Crumb{Text: v.t("console.approvals"), URL: "/console/approvals"}, v.t("approval.act."+a.Act), "/console/approvals/"+a.ID, leaf)
}

// oneApproval is the page of one: who asks for what and why, what it would change, and what
// became of it.
func (v *visit) oneApproval() error {
	a, err := v.approvalOfPath()
	if err != nil {
		return err
	}
	now := time.Now()
	p := templates.ConsoleObject{Desk: v.desk("/console/approvals"), Saved: v.note(), Crumbs: v.approvalCrumbs(a, ""), Title: v.t("approval.act." + a.Act), State: string(a.StateAt(now)), FactsKey: "console.facts",
		Notes: v.approvalNotes(a, now), Acts: v.approvalActs(a, now), Facts: v.approvalFacts(a), EventsURL: "/console/events?name=approval.asked"}
	if !v.may(manage.EventRead) {
		p.EventsURL = ""
	}
	t := templates.Table{Caption: "approval.changes", Columns: []string{"policy.field", "approval.before", "approval.after"}}
	for _, d := range a.Changes {
		t.Rows = append(t.Rows, []templates.Cell{{Text: v.t("approval.field." + d.Field)}, {Text: orDash(v.values(a, d, d.Old))}, {Text: v.afterwards(a, d)}})
	}
	p.Blocks = []templates.Block{{ID: "changes", Key: "approval.changes", None: "approval.no_changes", Table: t}}
	if p.Events, err = v.approvalTrail(a); err != nil {
		return err
	}
	return v.write(p)
}

// afterwards is the other side of a change; nobody knows yet which key will be made.
func (v *visit) afterwards(a idp.Approval, d idp.Difference) string {
	if d.Field == "key" {
		return v.t("approval.new_key")
	}
	return orDash(v.values(a, d, d.New))
}

// values are one side of a change, in words.
func (v *visit) values(a idp.Approval, d idp.Difference, raw []string) string {
	words := make([]string, len(raw))
	for i, s := range raw {
		words[i] = v.value(a, d.Field, s)
	}
	return strings.Join(words, v.t("comma"))
}

func (v *visit) value(a idp.Approval, field, s string) string {
	switch field {
	case "state":
		if a.Merchant != "" {
			s = merchantState(idp.MerchantStatus(s))
		}
		return v.state(s)
	case "role", "tier":
		return v.t(field + "." + s)
	case "kind":
		return v.t("client." + s)
	case "old_secret":
		return v.t("approval.old_secret." + s)
	case "language":
		return templates.T(s, "language.name")
	case "grants":
		return v.grantType(s)
	case string(idp.IdentifierPhone), string(idp.IdentifierEmail):
		// Whoever decides looks where the invitation goes; afterwards it is as in every list.
		if a.StateAt(time.Now()) != idp.ApprovalAsked || !v.may(manage.ApprovalDecide) {
			return idp.Identifier{Kind: idp.IdentifierKind(field), Value: s}.Masked()
		}
	}
	return s
}

func (v *visit) approvalNotes(a idp.Approval, now time.Time) (notes []templates.Note) {
	names := v.names()
	say := func(tone, icon, key string, args ...any) {
		notes = append(notes, templates.Note{Tone: tone, Icon: icon, Text: v.t(key, args...)})
	}
	say("", "info", "approval.note_asked", names.of(a.AskedBy), a.Reason)
	mine := a.AskedBy == v.User.ID
	switch a.StateAt(now) {
	case idp.ApprovalAsked:
		if mine {
			say("", "clock", "approval.note_own", v.moment(a.ExpiresAt))
		}
	case idp.ApprovalExpired:
		say("warn", "clock", "approval.note_expired", v.moment(a.ExpiresAt))
	case idp.ApprovalFailed:
		say("", "check", "approval.note_decided", names.of(a.DecidedBy), v.moment(a.DecidedAt), a.Decision)
		say("bad", "warn", "approval.note_failed", v.t(a.Failure))
	case idp.ApprovalApproved:
		say("ok", "check", "approval.note_decided", names.of(a.DecidedBy), v.moment(a.DecidedAt), a.Decision)
	default:
		say("warn", "info", "approval.note_ended", names.of(a.DecidedBy), v.moment(a.DecidedAt), orDash(a.Decision))
	}
	if now.Before(a.SecretUntil) {
		key := "approval.note_secret"
		if mine {
			key = "approval.note_secret_own"
		}
		say("", "key", key, v.moment(a.SecretUntil))
	}
	return notes
}

func (v *visit) approvalActs(a idp.Approval, now time.Time) (out []templates.ActLink) {
	offer := func(act manage.Action, works bool, name string, danger bool) {
		if works && v.may(act) {
			out = append(out, templates.ActLink{Key: "approval." + name, URL: "/console/approvals/" + a.ID + "/" + name, Danger: danger})
		}
	}
	waits, mine := a.StateAt(now) == idp.ApprovalAsked, a.AskedBy == v.User.ID
	decides := waits && manage.MayDecide(v.User, a) == nil
	offer(manage.ApprovalDecide, decides, "approve", false)
	offer(manage.ApprovalRefuse, decides, "refuse", true)
	offer(manage.ApprovalEnd, waits && mine, "withdraw", true)
	offer(manage.ApprovalCollect, mine && now.Before(a.SecretUntil), "collect", false)
	return out
}

func (v *visit) approvalFacts(a idp.Approval) []templates.Fact {
	names := v.names()
	facts := []templates.Fact{{Key: "console.col.about", Lines: []templates.Cell{v.approvalAbout(a)}}, {Key: "approval.asked_by", Lines: []templates.Cell{{Text: names.of(a.AskedBy)}}},
		{Key: "approval.asked_at", Lines: []templates.Cell{{Time: a.AskedAt}}}, {Key: "approval.until", Lines: []templates.Cell{{Time: a.ExpiresAt}}}}
	if a.DecidedBy != "" {
		facts = append(facts, templates.Fact{Key: "approval.decided_by", Lines: []templates.Cell{{Text: names.of(a.DecidedBy)}}})
	}
	return append(facts, templates.Fact{Key: "console.id", Lines: []templates.Cell{{Text: a.ID, Mono: true}}})
}

var approvalEvents = []string{"approval.asked", "approval.approved", "approval.refused", "approval.withdrawn", "approval.failed", "approval.collected"}

// approvalTrail is what happened to one, newest first.
func (v *visit) approvalTrail(a idp.Approval) (out []templates.EventRow, err error) {
	f := storage.EventFilter{Names: approvalEvents, Since: a.AskedAt.Add(-time.Minute), Before: idp.NewTimeID(a.ExpiresAt.Add(8 * 24 * time.Hour))} // a secret waits for a week at most
	list, err := v.Store.Events(v.r.Context(), f, 500)
	names := v.names()
	for _, e := range list {
		if text(e.Data["approval"]) == a.ID {
			out = append(out, templates.EventRow{At: e.At, NameKey: "event." + e.Name, Place: join(names.of(e.Actor), v.words(e.Reason)), Tone: eventTones[e.Name]})
		}
	}
	return out, err
}

// approvalAct is the question before a decision. It shows what would change.
func approvalAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		a, err := v.approvalOfPath()
		if err != nil {
			return templates.ConsoleForm{}, err
		}
		key, what := "approval."+name, v.t("approval.act."+a.Act)
		p := templates.ConsoleForm{Desk: v.desk("/console/approvals"), Title: v.t(key+"_title", what), Lead: v.t(key + "_lead"), Crumbs: v.approvalCrumbs(a, v.t(key)), Facts: v.approvalFacts(a)[:2],
			Inputs: []templates.Input{v.reasonField()}, Submit: key, Danger: danger, Cancel: "/console/approvals/" + a.ID}
		p.Note = &templates.Note{Icon: "info", Text: v.t("approval.note_asked", v.names().of(a.AskedBy), a.Reason)}
		for _, d := range a.Changes {
			cell := templates.Cell{Text: v.afterwards(a, d)}
			if len(d.Old) > 0 {
				cell.Small = v.t("approval.was", v.values(a, d, d.Old))
			}
			p.Facts = append(p.Facts, templates.Fact{Key: "approval.field." + d.Field, Lines: []templates.Cell{cell}})
		}
		return p, nil
	}
}

func approvalDo(do act) func(v *visit) (string, error) {
	return func(v *visit) (string, error) {
		id, err := v.id()
		if err != nil {
			return "", err
		}
		if err := do(v.Manage, v.r.Context(), v.actor(), id); err != nil {
			return "", err
		}
		a, err := v.Store.Approval(v.r.Context(), id)
		next := "/console/approvals/" + id
		if slices.Contains(saved, string(a.State)) {
			next += "?saved=" + string(a.State)
		}
		return next, err
	}
}

func (v *visit) askCollection() (templates.ConsoleForm, error) {
	p, err := approvalAct("collect", false)(v)
	p.Inputs = nil
	return p, err
}

// collect shows the secret in the answer itself.
func (v *visit) collect() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	a, secret, err := v.Manage.Collect(v.r.Context(), manage.Actor{User: v.User, Session: v.Session.ID, Network: v.actor().Network}, id)
	if err != nil {
		return "", err
	}
	c, err := v.Store.Client(v.r.Context(), a.Object)
	if err != nil {
		return "", err
	}
	return "", v.showSecret(c, secret)
}
