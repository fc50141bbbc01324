package admin

import (
	"cmp"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// caseStates are what the queue can be narrowed to.
var caseStates = []string{"open", "mine", "ready", "due", "overdue", "closed", "all"}

// caseFilter is what the list of cases is narrowed to: the visitor's, and the open ones where
// nothing is said. Those are a queue: the most urgent come first.
func (v *visit) caseFilter(before string) (storage.CaseFilter, error) {
	reach, err := manage.Reach(v.User, manage.CaseRead)
	f := storage.CaseFilter{Before: before, Merchant: reach.Merchant, Staff: manage.OnlyStaffCases(v.User), State: idp.CaseOpen, Kind: v.query("kind")}
	switch state := v.query("state"); state {
	case "all":
		f.State = ""
	case "mine":
		f.Assigned = v.User.ID
	case "ready":
		f.Ready = true
	case "due":
		f.Due = time.Now().Add(storage.DueSoon)
	case "overdue":
		f.Due = time.Now()
	case "":
	default:
		f.State = idp.CaseState(state)
	}
	f.Queue = f.State == idp.CaseOpen
	return f, err
}

func (v *visit) caseFilters() ([]templates.Input, error) {
	state := cmp.Or(v.query("state"), string(idp.CaseOpen))
	var options []templates.Option
	for _, name := range caseStates {
		if name != "mine" || v.whole() {
			options = append(options, templates.Option{Value: name, Text: v.t("console.case.filter_" + name), Chosen: name == state})
		}
	}
	return []templates.Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: options},
		{Name: "kind", Label: "console.case.kind", Kind: "select", Options: v.all(choices(v, "case.", v.query("kind"), idp.CaseRecovery, idp.CaseStaff, idp.CaseFreeze, idp.CaseNotMe, idp.CaseHandover))}}, nil
}

// caseColumns are those of the queue; a merchant's own list has the first ones alone.
var caseColumns = []string{"console.case.no", "console.case.kind", "console.col.about", "console.col.state", "console.case.opened", "console.case.due", "console.case.assigned", "console.merchant.tier"}

// cases is the queue of what people handle, open ones first shown.
func (v *visit) cases() error {
	c := v.cursor("before")
	filters, err := v.caseFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/cases"), Title: "console.cases", Saved: v.note(), Action: "/console/cases", Filters: filters, Export: v.exportLink(),
		None: templates.Empty{Icon: "case", Title: v.t("console.none.cases")}}
	if v.may(manage.CaseOpen) {
		p.NewURL, p.NewKey = "/console/cases/new", "console.case.new"
	}
	f, err := v.caseFilter(c.at)
	if err != nil {
		return err
	}
	rows, err := v.Store.Cases(v.r.Context(), f, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(c idp.Case) string { return c.ID })
	if p.Table, err = v.caseTable(rows); err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) caseTable(list []idp.Case) (templates.Table, error) {
	t, names, now := templates.Table{Caption: "console.cases", Columns: caseColumns}, v.names(), time.Now()
	var ids []string
	for _, c := range list {
		ids = append(ids, c.Merchant)
	}
	merchants, err := v.Store.MerchantsOf(v.r.Context(), ids)
	for _, c := range list {
		row := []templates.Cell{{Text: c.Number, Mono: true, URL: "/console/cases/" + c.ID}, v.caseKind(c), {Text: names.of(c.UserID)},
			{State: c.Stands(now)}, {Time: c.OpenedAt, Small: v.caseAge(c)}, {Time: c.DueAt}}
		if v.whole() {
			row = append(row, templates.Cell{Text: v.assigned(c, names)}, templates.Cell{Text: v.tier(merchants[c.Merchant])})
		}
		t.Rows = append(t.Rows, row)
	}
	if !v.whole() {
		t.Columns = caseColumns[:6]
	}
	return t, err
}

// assigned is who works on a case.
func (v *visit) assigned(c idp.Case, names *people) string {
	if c.Assigned == "" {
		return v.t("console.case.nobody")
	}
	return names.of(c.Assigned)
}

func (v *visit) tier(m idp.Merchant) string {
	if m.ID == "" {
		return "–"
	}
	return v.t("tier." + string(m.Tier))
}

// caseAge is how long an open case has waited, in words.
func (v *visit) caseAge(c idp.Case) string {
	if c.State != idp.CaseOpen {
		return ""
	}
	return templates.Frame{Lang: v.lang}.Ago(time.Since(c.OpenedAt))
}

var caseExportColumns = []string{"console.case.no", "console.case.kind", "console.export.user", "console.col.about", "console.col.state", "console.case.opened", "console.case.due", "console.case.closed"}

func (v *visit) exportCases(at string) (rows [][]string, next string, err error) {
	f, err := v.caseFilter(at)
	if err != nil {
		return nil, "", err
	}
	list, err := v.Store.Cases(v.r.Context(), f, exportPage)
	if err != nil {
		return nil, "", err
	}
	var ids []string
	for _, c := range list {
		ids = append(ids, c.UserID)
	}
	people, err := v.Store.UsersOf(v.r.Context(), ids)
	for _, c := range list {
		rows = append(rows, []string{c.Number, v.caseKind(c).Text, c.UserID, people[c.UserID].Name, v.state(c.Stands(time.Now())), v.stamp(c.OpenedAt), v.stamp(c.DueAt), v.stamp(c.ClosedAt)})
	}
	return rows, after(list, func(c idp.Case) string { return c.ID }), err
}

func (v *visit) caseKind(c idp.Case) templates.Cell {
	return templates.Cell{Text: templates.Frame{Lang: v.lang}.Or("case."+c.Kind, c.Kind)}
}

// caseOfPath is the case that a path names, and its person, for whoever may read it.
func (v *visit) caseOfPath() (idp.Case, idp.User, error) {
	ctx := v.r.Context()
	id, err := v.id()
	if err != nil {
		return idp.Case{}, idp.User{}, err
	}
	c, err := v.Store.Case(ctx, id)
	if err != nil {
		return c, idp.User{}, err
	}
	u, err := v.Store.User(ctx, c.UserID)
	if err == nil && !manage.MayCase(v.User, u) {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return c, u, err
}

// casePathOpen is the gate of a case: it opens with its person's page.
func (v *visit) casePathOpen() (bool, error) {
	_, u, err := v.caseOfPath()
	if err != nil {
		return false, err
	}
	return v.userOpen(u)
}

// oneCase is the page of one case.
func (v *visit) oneCase() error {
	c, u, err := v.caseOfPath()
	if err != nil {
		return err
	}
	if open, err := v.userOpen(u); err != nil || !open {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/cases"), Saved: v.note(), Crumbs: v.caseCrumbs(c, ""), Title: c.Number, Mono: true, State: c.Stands(time.Now()), FactsKey: "console.facts"}
	p.Facts = []templates.Fact{{Key: "console.case.kind", Lines: []templates.Cell{v.caseKind(c)}}, {Key: "console.col.about", Lines: []templates.Cell{{Text: u.Name, URL: "/console/users/" + u.ID}, {State: userState(u)}}},
		{Key: "console.case.opened", Lines: []templates.Cell{{Time: c.OpenedAt}}}, {Key: "console.case.by", Lines: []templates.Cell{v.caseOpener(c)}}, {Key: "console.case.due", Lines: []templates.Cell{{Time: c.DueAt}}}}
	if !c.ClosedAt.IsZero() {
		p.Facts = append(p.Facts, templates.Fact{Key: "console.case.closed", Lines: []templates.Cell{{Time: c.ClosedAt}}})
	}
	if v.whole() {
		if err := v.workOn(&p, c, u); err != nil {
			return err
		}
	}
	blocks, err := v.caseBlocks(c)
	p.Blocks = append(p.Blocks, blocks...)
	if err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) caseCrumbs(c idp.Case, leaf string) []templates.Crumb {
	return crumbs(templates.Crumb{Text: v.t("console.cases"), URL: "/console/cases"}, c.Number, "/console/cases/"+c.ID, leaf)
}

func (v *visit) caseOpener(c idp.Case) templates.Cell {
	if c.OpenedBy == "" {
		return templates.Cell{Key: "console.case.by_link"} // whoever holds a notice, without signing in
	}
	return templates.Cell{Text: v.names().of(c.OpenedBy)}
}

// caseBlocks are what stood in the account when the case was opened, and the event that
// was said not to be the person's.
func (v *visit) caseBlocks(c idp.Case) ([]templates.Block, error) {
	var list []templates.Block
	if id, _ := c.Data["event"].(string); id != "" {
		e, err := v.Store.Event(v.r.Context(), id)
		if err != nil && idp.KindOf(err) != idp.NotFound {
			return nil, err
		}
		if err == nil {
			list = append(list, templates.Block{ID: "event", Key: "console.case.event", None: "console.none.events", Table: v.eventTable([]idp.Event{e})})
		}
	}
	if !c.OfFreeze() {
		return list, nil
	}
	for _, b := range []struct{ id, key, none, since string }{{"sessions", "console.case.sessions", "console.none.sessions", "started"}, {"browsers", "console.case.browsers", "console.none.browsers", "since"}} {
		t := templates.Table{Caption: b.key, Columns: []string{"col.device", "col.place", "col.started"}}
		for _, row := range records(c.Data[b.id]) {
			t.Rows = append(t.Rows, []templates.Cell{{Text: orDash(text(row["device"]))}, {Text: orDash(v.place(text(row["network"])))}, {Time: when(row[b.since]), Clock: true}})
		}
		list = append(list, templates.Block{ID: b.id, Key: b.key, None: b.none, Table: t})
	}
	t := templates.Table{Caption: "console.case.grants", Columns: []string{"console.col.app", "console.col.allowed"}}
	for _, row := range records(c.Data["grants"]) {
		app, err := v.grantee(v.r.Context(), idp.Grant{ClientID: text(row["client"]), TerminalID: text(row["terminal"])})
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, []templates.Cell{app, {Time: when(row["since"]), Clock: true}})
	}
	list = append(list, templates.Block{ID: "grants", Key: "console.case.grants", None: "console.none.grants", Table: t})
	log, err := v.eventRows(storage.EventFilter{Subject: c.UserID}, 20)
	return append(list, templates.Block{ID: "log", Key: "console.events_last", None: "account.events_none", Table: log}), err
}

// records, text and when read what a case keeps as JSON.
func records(kept any) (list []map[string]any) {
	all, _ := kept.([]any)
	for _, one := range all {
		if row, ok := one.(map[string]any); ok {
			list = append(list, row)
		}
	}
	return list
}

func text(kept any) string {
	s, _ := kept.(string)
	return s
}

func when(kept any) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text(kept))
	return t
}
