package admin

import (
	"cmp"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// caseFilter is what the list of cases is narrowed to: the visitor's, and the open ones where
// nothing is said.
func (v *visit) caseFilter(before string) (storage.CaseFilter, error) {
	reach, err := manage.Reach(v.User, manage.CaseRead)
	f := storage.CaseFilter{Before: before, Merchant: reach.Merchant, Staff: manage.OnlyStaffCases(v.User)}
	switch state := v.query("state"); state {
	case "all":
	case "due":
		f.State, f.Due = idp.CaseOpen, time.Now().Add(24*time.Hour)
	case "":
		f.State = idp.CaseOpen
	default:
		f.State = idp.CaseState(state)
	}
	return f, err
}

func (v *visit) caseFilters() ([]templates.Input, error) {
	state := cmp.Or(v.query("state"), string(idp.CaseOpen))
	options := []templates.Option{{Value: "open", Text: v.t("state.open")}, {Value: "due", Text: v.t("console.case.due_soon")}, {Value: "closed", Text: v.t("state.closed")}, {Value: "all", Text: v.t("filter.all")}}
	for i, o := range options {
		options[i].Chosen = o.Value == state
	}
	return []templates.Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: options}}, nil
}

var caseColumns = []string{"console.case.no", "console.case.kind", "console.col.about", "console.col.state", "console.case.opened", "console.case.due"}

// cases lists what people handle, open ones first shown.
func (v *visit) cases() error {
	c := v.cursor("before")
	filters, err := v.caseFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/cases"), Title: "console.cases", Action: "/console/cases", Filters: filters, Export: v.exportLink(),
		None: templates.Empty{Icon: "case", Title: v.t("console.none.cases")}}
	f, err := v.caseFilter(c.at)
	if err != nil {
		return err
	}
	rows, err := v.Store.Cases(v.r.Context(), f, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(c idp.Case) string { return c.ID })
	p.Table = v.caseTable(rows)
	return v.write(p)
}

func (v *visit) caseTable(list []idp.Case) templates.Table {
	t, names := templates.Table{Caption: "console.cases", Columns: caseColumns}, v.names()
	for _, c := range list {
		t.Rows = append(t.Rows, []templates.Cell{{Text: c.Number, Mono: true, URL: "/console/cases/" + c.ID}, v.caseKind(c), {Text: names.of(c.UserID)},
			{State: string(c.State)}, {Time: c.OpenedAt}, {Time: c.DueAt}})
	}
	return t
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
		rows = append(rows, []string{c.Number, v.caseKind(c).Text, c.UserID, people[c.UserID].Name, v.state(string(c.State)), v.stamp(c.OpenedAt), v.stamp(c.DueAt), v.stamp(c.ClosedAt)})
	}
	return rows, after(list, func(c idp.Case) string { return c.ID }), err
}

func (v *visit) caseKind(c idp.Case) templates.Cell {
	return templates.Cell{Text: templates.Frame{Lang: v.lang}.Or("case."+c.Kind, c.Kind)}
}

// oneCase is the page of one case; it opens with its person's.
func (v *visit) oneCase() error {
	ctx := v.r.Context()
	id, err := v.id()
	if err != nil {
		return err
	}
	c, err := v.Store.Case(ctx, id)
	if err != nil {
		return err
	}
	u, err := v.Store.User(ctx, c.UserID)
	if err != nil {
		return err
	}
	if !manage.MayCase(v.User, u) {
		return idp.Errorf(idp.NotFound, "error.notfound")
	}
	if open, err := v.userOpen(u); err != nil || !open {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/cases"), Crumbs: []templates.Crumb{{Text: v.t("console.cases"), URL: "/console/cases"}, {Text: c.Number}}, Title: c.Number, Mono: true,
		State: string(c.State), FactsKey: "console.facts"}
	p.Facts = []templates.Fact{{Key: "console.case.kind", Lines: []templates.Cell{v.caseKind(c)}}, {Key: "console.col.about", Lines: []templates.Cell{{Text: u.Name, URL: "/console/users/" + u.ID}}},
		{Key: "console.case.opened", Lines: []templates.Cell{{Time: c.OpenedAt}}}, {Key: "console.case.by", Lines: []templates.Cell{v.caseOpener(c)}}, {Key: "console.case.due", Lines: []templates.Cell{{Time: c.DueAt}}}}
	if !c.ClosedAt.IsZero() {
		p.Facts = append(p.Facts, templates.Fact{Key: "console.case.closed", Lines: []templates.Cell{{Time: c.ClosedAt}}})
	}
	if p.Blocks, err = v.caseBlocks(c); err != nil {
		return err
	}
	return v.write(p)
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
