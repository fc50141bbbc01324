package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// policyRoutes are the pages that look; what changes something stands in policyForms.
var policyRoutes = []route{
	{"GET /console/policies", manage.PolicyRead, false, (*visit).policies},
	{"GET /console/policies/effective", manage.PolicyRead, false, (*visit).effective},
	{"GET /console/policies/schema.json", manage.PolicyRead, false, (*visit).policySchema},
	{"GET /console/policies/{id}", manage.PolicyRead, false, (*visit).edition},
	{"GET /console/simulations/{id}", manage.PolicyRead, false, (*visit).simulation},
	{"GET /console/simulations/{id}/people", manage.PolicyRead, false, (*visit).simulationPeople},
}

var policyForms = []form{
	{"/console/policies/new", manage.PolicyDraft, true, nil, (*visit).newPolicy, (*visit).createPolicy},
	{"/console/policies/{id}/edit", manage.PolicyDraft, true, nil, (*visit).editPolicy, (*visit).savePolicy},
	{"/console/policies/{id}/submit", manage.PolicySubmit, true, nil, policyAct("submit", false), (*visit).submitPolicy},
	{"/console/policies/{id}/approve", manage.PolicyApprove, true, nil, (*visit).askApproval, (*visit).approvePolicy},
	{"/console/policies/{id}/refuse", manage.PolicyEnd, true, nil, policyAct("refuse", true), policyDo((*manage.Manager).RefusePolicy)},
	{"/console/policies/{id}/withdraw", manage.PolicyEnd, true, nil, policyAct("withdraw", true), policyDo((*manage.Manager).WithdrawPolicy)},
	{"/console/policies/{id}/rollback", manage.PolicyRollBack, true, nil, policyAct("rollback", true), (*visit).rollBackPolicy},
	{"/console/policies/{id}/emergency", manage.PolicyEmergency, true, nil, (*visit).askEmergency, (*visit).activateInEmergency},
	{"/console/policies/{id}/simulate", manage.PolicyDraft, true, nil, policyAct("simulate", false), (*visit).simulate},
	{"/console/simulations/{id}/stop", manage.PolicyDraft, true, nil, (*visit).askStop, (*visit).stopSimulation},
	{"/console/simulations/{id}/export", manage.PolicyExport, true, nil, (*visit).askExport, (*visit).exportSimulation},
}

// Room is how large a request may be that pastes a document of the policy or a list of
// merchants, whatever the limit of other forms; 0 for those.
func Room(r *http.Request) int64 {
	_, act, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/console/policies/"), "/")
	if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/console/policies/") && (act == "edit" || act == "approve") {
		return 4 << 20 // a document of 1 MiB, as a form writes it
	}
	return 0
}

// editionState is the catalogue's word for where an edition stands.
func editionState(e idp.Edition) string {
	switch {
	case e.TriedOut():
		return "tried_out"
	case e.State == idp.EditionApproved:
		return "scheduled"
	case e.State == idp.EditionActive:
		return "in_force"
	case e.State == idp.EditionRetired:
		return "superseded"
	}
	return string(e.State)
}

// editionName is v18, or the draft's title.
func (v *visit) editionName(e idp.Edition) string {
	switch {
	case e.Version > 0:
		return "v" + strconv.FormatInt(e.Version, 10)
	case e.Title != "":
		return v.t("policy.draft_of", e.Title)
	}
	return v.t("policy.no_title")
}

func (v *visit) editionTitle(e idp.Edition) string { return cmp.Or(e.Title, v.editionName(e)) }

// editionStates are those that the list is narrowed by, with their words.
var editionStates = []struct {
	state idp.EditionState
	words string
}{{idp.EditionDraft, "draft"}, {idp.EditionSubmitted, "submitted"}, {idp.EditionApproved, "approved"}, {idp.EditionActive, "in_force"}, {idp.EditionRetired, "superseded"},
	{idp.EditionRefused, "refused"}, {idp.EditionWithdrawn, "withdrawn"}}

// policies lists the editions, newest first.
func (v *visit) policies() error {
	filters, err := v.policyFilters()
	if err != nil {
		return err
	}
	c := v.cursor("before")
	p := templates.ConsoleList{Desk: v.desk("/console/policies"), Title: "console.policies", Saved: v.note(), Action: "/console/policies", Filters: filters, Export: v.exportLink(),
		Acts:  []templates.ActLink{{Key: "policy.effective", URL: "/console/policies/effective"}},
		Table: templates.Table{Caption: "console.policies", Columns: []string{"policy.title", "policy.version", "console.col.state", "policy.author", "console.col.created", "policy.in_force"}},
		None:  templates.Empty{Icon: "policy", Title: v.t("console.none.policies")}}
	if v.may(manage.PolicyDraft) {
		p.NewURL, p.NewKey = "/console/policies/new", "policy.new"
	}
	if v.may(manage.PolicyEmergency) {
		p.Acts = append(p.Acts, templates.ActLink{Key: "policy.new_emergency", URL: "/console/policies/new?then=emergency", Danger: true})
	}
	rows, err := v.Store.Editions(v.r.Context(), storage.EditionFilter{Before: c.at, State: idp.EditionState(v.query("state"))}, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(e idp.Edition) string { return e.ID })
	names := v.names()
	for _, e := range rows {
		p.Table.Rows = append(p.Table.Rows, []templates.Cell{{Text: cmp.Or(e.Title, v.t("policy.no_title")), URL: "/console/policies/" + e.ID}, versionCell(e.Version), {State: editionState(e)},
			{Text: names.of(e.Author)}, {Time: e.CreatedAt}, {Time: e.ActivatedAt, Clock: true}})
	}
	return v.write(p)
}

func (v *visit) policyFilters() ([]templates.Input, error) {
	var options []templates.Option
	for _, s := range editionStates {
		options = append(options, templates.Option{Value: string(s.state), Text: v.t("state." + s.words), Chosen: string(s.state) == v.query("state")})
	}
	return []templates.Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: v.all(options)}}, nil
}

var policyExportColumns = []string{"policy.title", "policy.version", "policy.base", "console.col.state", "policy.author", "console.col.created", "policy.approver", "policy.in_force", "policy.ended"}

func (v *visit) exportPolicies(at string) (rows [][]string, next string, err error) {
	list, err := v.Store.Editions(v.r.Context(), storage.EditionFilter{Before: at, State: idp.EditionState(v.query("state"))}, exportPage)
	names := v.names()
	for _, e := range list {
		rows = append(rows, []string{e.Title, versionCell(e.Version).Text, versionCell(e.Base).Text, v.state(editionState(e)), names.of(e.Author), v.stamp(e.CreatedAt), names.of(e.DecidedBy),
			v.stamp(cmp.Or(e.ActivatedAt, e.ActivateAt)), v.stamp(e.EndedAt)})
	}
	return rows, after(list, func(e idp.Edition) string { return e.ID }), err
}

func versionCell(version int64) templates.Cell {
	if version == 0 {
		return templates.Cell{Text: "–"}
	}
	return templates.Cell{Text: "v" + strconv.FormatInt(version, 10), Mono: true}
}

func (v *visit) editionOfPath() (idp.Edition, error) {
	id, err := v.id()
	if err != nil {
		return idp.Edition{}, err
	}
	return v.Store.Edition(v.r.Context(), id)
}

func (v *visit) policyCrumbs(e idp.Edition, leaf string) []templates.Crumb {
	return crumbs(templates.Crumb{Text: v.t("console.policies"), URL: "/console/policies"}, v.editionName(e), "/console/policies/"+e.ID, leaf)
}

// edition is the page of one edition: where it stands and why, what it changes, and what is done with it.
func (v *visit) edition() error {
	e, err := v.editionOfPath()
	if err != nil {
		return err
	}
	active, _, err := v.Store.InForce(v.r.Context())
	if err != nil {
		return err
	}
	p := templates.PolicyEdition{Desk: v.desk("/console/policies"), Saved: v.note(), Crumbs: v.policyCrumbs(e, ""), Title: v.editionTitle(e), State: editionState(e),
		Notes: v.editionNotes(e, active), Acts: v.editionActs(e), Facts: v.editionFacts(e), Action: "/console/policies/" + e.ID, Document: string(e.Document)}
	if e.Version > 0 {
		p.Pills = append(p.Pills, v.editionName(e))
	}
	if e.Emergency {
		p.Pills = append(p.Pills, v.t("policy.new_emergency"))
	}
	from := v.version("from")
	if p.Diff, err = v.editionDiff(e, from); err != nil {
		return err
	}
	if p.From, err = v.versions(cmp.Or(from, e.Base), "from", "policy.compare"); err != nil {
		return err
	}
	if p.Runs, err = v.runs(e); err != nil {
		return err
	}
	if p.Events, err = v.editionTrail(e); err != nil {
		return err
	}
	return v.write(p)
}

// version is a number of the URL; what is none is 0.
func (v *visit) version(name string) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(v.query(name), "v"), 10, 64)
	return max(n, 0)
}

// editionDiff is what an edition changes in another, 0 for the one that it was written from. The first one has none.
func (v *visit) editionDiff(e idp.Edition, from int64) (templates.PolicyDiff, error) {
	from = cmp.Or(from, e.Base)
	other, own := "v"+strconv.FormatInt(from, 10), v.t("state.draft") // the head of a column: no title, however long
	if e.Version > 0 {
		own = v.editionName(e)
	}
	d := templates.PolicyDiff{ID: "diff", Title: v.t("policy.diff", other), Sides: v.t("policy.diff_sides", other, own)}
	if from == 0 {
		d.Title = v.t("policy.diff", "–")
		return d, nil
	}
	list, err := v.Manage.PolicyDiff(v.r.Context(), e, from)
	d.Rows = v.changes(list)
	return d, err
}

// versions is a choice of the newest editions that have a version.
func (v *visit) versions(chosen int64, name, label string) (templates.Input, error) {
	in := templates.Input{Name: name, Label: label, Kind: "select"}
	list, err := v.Store.Editions(v.r.Context(), storage.EditionFilter{}, 4*pageSize)
	for _, e := range list {
		if e.Version > 0 && (e.State == idp.EditionActive || e.State == idp.EditionRetired || e.Version == chosen) {
			in.Options = append(in.Options, templates.Option{Value: strconv.FormatInt(e.Version, 10), Text: v.t("policy.from_option", int(e.Version), e.Title), Chosen: e.Version == chosen})
		}
	}
	return in, err
}

// editionNotes say why an edition stands where it stands.
func (v *visit) editionNotes(e, active idp.Edition) (notes []templates.Note) {
	names := v.names()
	say := func(tone, icon, key string, args ...any) {
		notes = append(notes, templates.Note{Tone: tone, Icon: icon, Text: v.t(key, args...)})
	}
	switch e.State {
	case idp.EditionDraft:
		say("", "info", "policy.drafted_note")
		if e.Base != active.Version {
			say("warn", "warn", "policy.outdated_note", int(e.Base), int(active.Version))
		}
	case idp.EditionSubmitted:
		say("", "clock", "policy.submitted_note", v.moment(e.SubmittedAt), names.of(e.Author), orDash(e.Reason))
	case idp.EditionApproved:
		say("", "clock", "policy.scheduled_note", names.of(e.DecidedBy), v.moment(e.ActivateAt))
		if e.TriedOut() {
			say("", "info", "policy.tried_note", e.Percent, len(e.Merchants))
		}
	case idp.EditionActive:
		say("ok", "check", "policy.active_note", v.moment(e.ActivatedAt))
	case idp.EditionRetired:
		say("", "info", "policy.retired_note", v.moment(e.ActivatedAt), v.moment(e.EndedAt))
	default:
		say("warn", "info", "policy.ended_note", v.moment(e.EndedAt), names.of(e.DecidedBy))
	}
	if e.Emergency {
		say("warn", "warn", "policy.emergency_note")
	}
	return notes
}

// editionActs are those that fit where it stands and who looks. The author is not offered the approval.
func (v *visit) editionActs(e idp.Edition) (out []templates.ActLink) {
	offer := func(act manage.Action, works bool, name string, danger bool) {
		if works && v.may(act) {
			out = append(out, templates.ActLink{Key: "policy." + name, URL: "/console/policies/" + e.ID + "/" + name, Danger: danger})
		}
	}
	draft, submitted := e.State == idp.EditionDraft, e.State == idp.EditionSubmitted
	open := draft || submitted || e.State == idp.EditionApproved
	offer(manage.PolicyDraft, draft, "edit", false)
	offer(manage.PolicyDraft, open, "simulate", false)
	offer(manage.PolicySubmit, draft, "submit", false)
	offer(manage.PolicyApprove, submitted && e.Author != v.User.ID, "approve", false)
	offer(manage.PolicyEnd, submitted, "refuse", true)
	offer(manage.PolicyEnd, open, "withdraw", true)
	offer(manage.PolicyRollBack, e.State == idp.EditionRetired, "rollback", true)
	offer(manage.PolicyEmergency, open, "emergency", true)
	return out
}

func (v *visit) editionFacts(e idp.Edition) []templates.Fact {
	names := v.names()
	facts := []templates.Fact{{Key: "policy.version", Lines: []templates.Cell{versionCell(e.Version)}}, {Key: "policy.base", Lines: []templates.Cell{versionCell(e.Base)}},
		{Key: "policy.author", Lines: []templates.Cell{{Text: names.of(e.Author)}}}, {Key: "console.col.created", Lines: []templates.Cell{{Time: e.CreatedAt}}}}
	if e.DecidedBy != "" {
		facts = append(facts, templates.Fact{Key: "policy.approver", Lines: []templates.Cell{{Text: names.of(e.DecidedBy), Small: v.moment(e.DecidedAt)}}})
	}
	if e.Percent > 0 || len(e.Merchants) > 0 {
		facts = append(facts, templates.Fact{Key: "policy.tried_on", Lines: []templates.Cell{{Text: v.t("policy.percent_n", e.Percent)}, {Text: v.t("policy.merchants_n", len(e.Merchants))}}})
	}
	if at := cmp.Or(e.ActivatedAt, e.ActivateAt); !at.IsZero() {
		facts = append(facts, templates.Fact{Key: "policy.in_force", Lines: []templates.Cell{{Time: at}}})
	}
	if !e.EndedAt.IsZero() {
		facts = append(facts, templates.Fact{Key: "policy.ended", Lines: []templates.Cell{{Time: e.EndedAt}}})
	}
	return append(facts, templates.Fact{Key: "console.id", Lines: []templates.Cell{{Text: e.ID, Mono: true}}})
}

// policyEvents are those of editions.
var policyEvents = []string{"policy.drafted", "policy.submitted", "policy.approved", "policy.refused", "policy.withdrawn", "policy.activated", "policy.rolledback", "policy.emergency", "policy.exported"}

// editionTrail is what happened to an edition, newest first. Events know it by its id or, those of its activation, by its
// version.
func (v *visit) editionTrail(e idp.Edition) (out []templates.EventRow, err error) {
	f := storage.EventFilter{Names: policyEvents, Since: e.CreatedAt.Add(-time.Minute)}
	if !e.EndedAt.IsZero() {
		f.Before = idp.NewTimeID(e.EndedAt.Add(time.Minute))
	}
	list, err := v.Store.Events(v.r.Context(), f, 500)
	names := v.names()
	for _, ev := range list {
		version, _ := ev.Data["version"].(float64)
		if text(ev.Data["edition"]) == e.ID || ev.Name == "policy.activated" && int64(version) == e.Version {
			out = append(out, templates.EventRow{At: ev.At, NameKey: "event." + ev.Name, Place: join(names.of(ev.Actor), v.words(ev.Reason)), Tone: eventTones[ev.Name]})
		}
	}
	return out, err
}

func (v *visit) newPolicy() (templates.ConsoleForm, error) {
	active, _, err := v.Store.InForce(v.r.Context())
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	chosen := cmp.Or(v.version("from"), active.Version)
	emergency := v.query("then") == "emergency"
	if emergency && v.version("from") == 0 { // what held before is what most emergencies go back to
		chosen = cmp.Or(active.Base, active.Version)
	}
	from, err := v.versions(chosen, "from", "policy.from")
	p := templates.ConsoleForm{Desk: v.desk("/console/policies"), Title: v.t("policy.new"), Lead: v.t("policy.new_lead"), Crumbs: []templates.Crumb{{Text: v.t("console.policies"), URL: "/console/policies"}, {Text: v.t("policy.new")}},
		Inputs: []templates.Input{from}, Submit: "policy.create", Cancel: "/console/policies"}
	if emergency {
		p.Title, p.Lead, p.Submit = v.t("policy.new_emergency"), v.t("policy.new_emergency_lead"), "policy.go_on"
	}
	return p, err
}

func (v *visit) createPolicy() (string, error) {
	from, _ := strconv.ParseInt(v.r.PostFormValue("from"), 10, 64) // no number is what is in force
	e, err := v.Manage.DraftPolicy(v.r.Context(), v.actor(), max(from, 0))
	if idp.KindOf(err) == idp.NotFound && err != nil {
		return "", idp.FieldError("from", "error.choose")
	}
	next := "/edit"
	if v.query("then") == "emergency" {
		next = "/emergency"
	}
	return "/console/policies/" + e.ID + next, err
}

// policyAct is the question before an act on an edition. It shows what the edition changes.
func policyAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		e, err := v.editionOfPath()
		if err != nil {
			return templates.ConsoleForm{}, err
		}
		key, title := "policy."+name, []any{v.editionTitle(e)}
		if name == "rollback" {
			title = []any{int(e.Version)}
		}
		p := templates.ConsoleForm{Desk: v.desk("/console/policies"), Title: v.t(key+"_title", title...), Lead: v.t(key + "_lead"), Crumbs: v.policyCrumbs(e, v.t(key)),
			Facts: v.editionFacts(e)[:3], Submit: key, Danger: danger, Cancel: "/console/policies/" + e.ID}
		p.Facts = append(p.Facts, templates.Fact{Key: "console.col.state", Lines: []templates.Cell{{State: editionState(e)}}})
		if name == "simulate" {
			return p, nil
		}
		p.Inputs = []templates.Input{reasonInput(), {Name: "revision", Kind: "hidden", Value: strconv.FormatInt(e.Revision, 10)}}
		d, err := v.editionDiff(e, 0)
		p.Diffs = []templates.PolicyDiff{d}
		return p, err
	}
}

// policyDo runs an act on the edition of the path.
func policyDo(do act) func(v *visit) (string, error) {
	return func(v *visit) (string, error) {
		next, err := doAt("/console/policies/", do, "changed")(v)
		return next, v.problems(err)
	}
}

// revision is what the form was drawn with; no number is none.
func (v *visit) revision() int64 {
	n, _ := strconv.ParseInt(v.r.PostFormValue("revision"), 10, 64)
	return n
}

// doPolicy runs an act that wants the revision, and goes back to the edition.
func (v *visit) doPolicy(do func(id string) error) (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/policies/" + id + "?saved=changed", v.problems(do(id))
}

func (v *visit) submitPolicy() (string, error) {
	return v.doPolicy(func(id string) error { return v.Manage.SubmitPolicy(v.r.Context(), v.actor(), id, v.revision()) })
}

func (v *visit) rollBackPolicy() (string, error) {
	e, err := v.editionOfPath()
	if err != nil {
		return "", err
	}
	if e.Version == 0 {
		return "", idp.Errorf(idp.Conflict, "error.moved")
	}
	now, err := v.Manage.RollBackPolicy(v.r.Context(), v.actor(), e.Version)
	return "/console/policies/" + now.ID + "?saved=changed", v.problems(err)
}

func (v *visit) askEmergency() (templates.ConsoleForm, error) {
	p, err := policyAct("emergency", true)(v)
	if err == nil {
		second := templates.Input{Name: "second", Label: "policy.second", Hint: "policy.second_hint", Kind: "reason"}
		p.Inputs = append([]templates.Input{p.Inputs[0], second}, p.Inputs[1:]...)
	}
	return p, err
}

func (v *visit) activateInEmergency() (string, error) {
	return v.doPolicy(func(id string) error {
		return v.Manage.ActivateInEmergency(v.r.Context(), v.actor(), id, v.revision(), v.r.PostFormValue("second"))
	})
}

func (v *visit) askApproval() (templates.ConsoleForm, error) {
	p, err := policyAct("approve", false)(v)
	if err != nil {
		return p, err
	}
	zone, _ := time.Now().In(v.zone()).Zone()
	p.Inputs = append([]templates.Input{{Name: "activate_at", Label: "policy.activate_at", HintText: v.t("policy.activate_at_hint", zone), Type: "datetime-local", Optional: true},
		{Name: "percent", Label: "policy.percent_of", Hint: "policy.percent_hint", Mode: "numeric", Most: 2, Optional: true},
		{Name: "merchants", Label: "policy.merchants", Hint: "policy.merchants_hint", Kind: "area", Most: 200_000, Optional: true}}, p.Inputs...)
	return p, nil
}

func (v *visit) approvePolicy() (string, error) {
	how, err := v.approval()
	if err != nil {
		return "", err
	}
	return v.doPolicy(func(id string) error { return v.Manage.ApprovePolicy(v.r.Context(), v.actor(), id, how) })
}

// approval reads when an edition comes into force, in the site's zone, and whom it is tried out on.
func (v *visit) approval() (how manage.Rollout, err error) {
	var wrong []error
	how.Merchants = strings.Fields(v.r.PostFormValue("merchants"))
	if s := strings.TrimSpace(v.r.PostFormValue("percent")); s != "" {
		if how.Percent, err = strconv.Atoi(s); err != nil {
			wrong = append(wrong, idp.FieldError("percent", "policy.percent"))
		}
	}
	if s := strings.TrimSpace(v.r.PostFormValue("activate_at")); s != "" {
		if how.ActivateAt, err = v.typedTime(s); err != nil {
			wrong = append(wrong, idp.FieldError("activate_at", "policy.time"))
		} else if time.Since(how.ActivateAt) > time.Minute {
			wrong = append(wrong, idp.FieldError("activate_at", "policy.past"))
		}
	} else if how.Percent > 0 || len(how.Merchants) > 0 {
		wrong = append(wrong, idp.FieldError("activate_at", "policy.try_needs_time"))
	}
	return how, errors.Join(wrong...)
}

// typedTime reads what a datetime-local field sends, or what somebody types where the browser has none.
func (v *visit) typedTime(s string) (at time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if at, err = time.ParseInLocation(layout, s, v.zone()); err == nil {
			return at, nil
		}
	}
	return at, err
}

// editPolicy is the form of a draft. What was typed stays, whatever happened meanwhile, and what happened is shown beside
// it: somebody's save of the same draft, or another edition that came into force.
func (v *visit) editPolicy() (templates.ConsoleForm, error) {
	e, err := v.editionOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	active, _, err := v.Store.InForce(v.r.Context())
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	p := templates.ConsoleForm{Desk: v.desk("/console/policies"), Title: v.t("policy.edit_title"), Lead: v.t("policy.edit_lead"), Crumbs: v.policyCrumbs(e, v.t("policy.edit")),
		Inputs: []templates.Input{{Name: "title", Label: "policy.title", Hint: "policy.title_hint", Most: 80, Value: e.Title},
			{Name: "document", Label: "policy.document", Hint: "policy.document_hint", Kind: "code", Value: string(e.Document)},
			{Name: "revision", Kind: "hidden", Value: strconv.FormatInt(e.Revision, 10)}, {Name: "active", Kind: "hidden", Value: strconv.FormatInt(active.Version, 10)}},
		Submit: "policy.save", Cancel: "/console/policies/" + e.ID}
	if e.State != idp.EditionDraft {
		p.Note = &templates.Note{Tone: "warn", Icon: "warn", Text: v.t("policy.not_draft_note")}
		return p, nil
	}
	if v.r.Method == http.MethodPost && v.revision() != e.Revision {
		p.Diffs = append(p.Diffs, v.typedDiff(e)...)
	}
	if e.Base != active.Version {
		since, err := v.sinceDiff(e, active)
		if err != nil {
			return p, err
		}
		p.Diffs = append(p.Diffs, since)
		p.Also = []templates.Submit{{Name: "rebase", Text: v.t("policy.rebase", int(active.Version))}}
	}
	return p, nil
}

// typedDiff is what was typed, compared with what stands there now. What cannot be read has no difference; the error says
// what is wrong with it once it is saved.
func (v *visit) typedDiff(e idp.Edition) []templates.PolicyDiff {
	d, err := v.diff("moved", v.t("policy.diff_moved"), v.t("policy.diff_sides", v.t("policy.stands"), v.t("policy.typed")), e.Document, []byte(v.r.PostFormValue("document")))
	if err != nil {
		return nil
	}
	d.Note = v.t("policy.diff_moved_note")
	return []templates.PolicyDiff{d}
}

// sinceDiff is what has changed in force since a draft was begun.
func (v *visit) sinceDiff(e, active idp.Edition) (templates.PolicyDiff, error) {
	list, err := v.Manage.PolicyDiff(v.r.Context(), active, e.Base)
	sides := v.t("policy.diff_sides", fmt.Sprintf("v%d", e.Base), fmt.Sprintf("v%d", active.Version))
	return templates.PolicyDiff{ID: "since", Title: v.t("policy.diff_since", int(e.Base)), Note: v.t("policy.rebase_note", int(e.Base), int(active.Version)), Sides: sides, Rows: v.changes(list)}, err
}

// savePolicy saves a draft and, if asked, takes it over onto what is in force. It is taken over only onto the edition whose
// changes were shown.
func (v *visit) savePolicy() (string, error) {
	rebase := v.r.PostFormValue("rebase") != ""
	return v.doPolicy(func(id string) error {
		ctx := v.r.Context()
		if rebase {
			active, _, err := v.Store.InForce(ctx)
			if err != nil {
				return err
			}
			if v.r.PostFormValue("active") != strconv.FormatInt(active.Version, 10) {
				return idp.Errorf(idp.Conflict, "error.moved")
			}
		}
		err := v.Manage.SavePolicy(ctx, v.actor(), id, v.revision(), v.r.PostFormValue("title"), []byte(v.r.PostFormValue("document")))
		if err != nil || !rebase {
			return err
		}
		return v.Manage.RebasePolicy(ctx, v.actor(), id, v.revision()+1)
	})
}

// policySchema serves the JSON Schema of documents, for editors.
func (v *visit) policySchema() error {
	v.w.Header().Set("Content-Type", "application/schema+json")
	v.w.Header().Set("Cache-Control", "no-store")
	_, err := v.w.Write(policy.Schema(v.Site.Issuer + "/console/policies/schema.json"))
	return err
}

// effective is what holds for somebody, with who decided each field.
func (v *visit) effective() error {
	p := templates.PolicyEffective{Desk: v.desk("/console/policies"), Title: v.t("policy.effective"), Action: "/console/policies/effective",
		Crumbs: []templates.Crumb{{Text: v.t("console.policies"), URL: "/console/policies"}, {Text: v.t("policy.effective")}}}
	facts := policy.Facts{Role: idp.Role(v.query("role")), Tier: idp.Tier(v.query("tier")), Merchant: v.query("merchant"), Client: v.query("client")}
	if user := v.query("user"); user != "" {
		u, err := v.Store.User(v.r.Context(), user)
		if err != nil {
			return err
		}
		if open, err := v.userOpen(u); err != nil || !open {
			return err
		}
		if facts, err = v.factsOf(u); err != nil {
			return err
		}
		p.Title, p.Crumbs = v.t("policy.effective_of", u.Name), v.userCrumbs(u, v.t("policy.effective"))
		p.Facts = v.selectedBy(facts)
		p.Filters = []templates.Input{{Name: "user", Kind: "hidden", Value: u.ID}}
	} else {
		if !facts.Role.Valid() {
			facts.Role = idp.RoleOwner
		}
		p.Filters = v.effectiveFilters(facts)
	}
	v.explainAll(&p, facts)
	return v.write(p)
}

// explainAll fills in every field of the blocks that are asked for.
func (v *visit) explainAll(p *templates.PolicyEffective, facts policy.Facts) {
	holds := v.Manage.Policy.Of(facts)
	p.Lead = v.t("policy.effective_version", int(holds.Version))
	if holds != v.Manage.Policy.Now() {
		p.Lead = v.t("policy.effective_tried", int(holds.Version))
	}
	block := v.query("block")
	p.Filters = append(p.Filters, templates.Input{Name: "block", Label: "policy.block", Kind: "select", Options: v.all(choices(v, "policy.part.", block, blocks...))})
	for _, e := range holds.ExplainAll(facts) {
		name, _, _ := strings.Cut(e.Path, ".")
		if block != "" && name != block {
			continue
		}
		caption := "policy.part." + name
		if n := len(p.Blocks); n == 0 || p.Blocks[n-1].Caption != caption {
			p.Blocks = append(p.Blocks, templates.Table{Caption: caption, Columns: []string{"policy.field", "policy.value", "policy.decided"}})
		}
		t := &p.Blocks[len(p.Blocks)-1]
		_, short, _ := strings.Cut(v.fieldName(e.Path), " · ")
		t.Rows = append(t.Rows, []templates.Cell{{Text: short, Small: e.Path}, {Text: v.fieldValue(e.Path, e.Value)}, {Text: v.decided(e), Small: v.t("policy.op." + string(e.Merge))}})
	}
}

// factsOf are what rules select a person by.
func (v *visit) factsOf(u idp.User) (policy.Facts, error) {
	if u.MerchantID == "" {
		return policy.Who(u, nil), nil
	}
	m, err := v.Store.Merchant(v.r.Context(), u.MerchantID)
	return policy.Who(u, &m), err
}

func (v *visit) selectedBy(f policy.Facts) []templates.Fact {
	facts := []templates.Fact{{Key: "col.role", Lines: []templates.Cell{{Key: "role." + string(f.Role)}}}}
	if f.Tier != "" {
		facts = append(facts, templates.Fact{Key: "console.merchant.tier", Lines: []templates.Cell{{Key: "tier." + string(f.Tier)}}})
	}
	if f.Merchant != "" {
		facts = append(facts, templates.Fact{Key: "console.merchant.no", Lines: []templates.Cell{{Text: f.Merchant, Mono: true}}})
	}
	return facts
}

func (v *visit) effectiveFilters(f policy.Facts) []templates.Input {
	tiers := append([]templates.Option{{Text: "–"}}, choices(v, "tier.", f.Tier, idp.Tiers...)...)
	return []templates.Input{{Name: "role", Label: "col.role", Kind: "select", Options: choices(v, "role.", f.Role, idp.Roles...)}, {Name: "tier", Label: "console.merchant.tier", Kind: "select", Options: tiers},
		{Name: "merchant", Label: "console.merchant.no", Value: f.Merchant, Mode: "numeric", Optional: true}, {Name: "client", Label: "policy.client", Value: f.Client, Optional: true}}
}
