package admin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/normal"
	"hufu/storage"
	"hufu/templates"
)

var terminalStates = []idp.TerminalState{idp.TerminalNew, idp.TerminalActive, idp.TerminalSuspended, idp.TerminalLost, idp.TerminalRetired}

// terminals lists terminals by state, merchant and store; an exact serial opens its page.
func (v *visit) terminals() error {
	c, serial := v.cursor("after"), v.query("serial")
	filters, err := v.terminalFilters()
	if err != nil {
		return err
	}
	if v.whole() {
		filters = append([]templates.Input{{Name: "serial", Label: "console.terminal.serial", Value: serial, Optional: true}}, filters...)
	} else {
		serial = ""
	}
	p := templates.ConsoleList{Desk: v.desk("/console/terminals"), Title: "console.terminals", Saved: v.note(), Action: "/console/terminals", Export: v.exportLink(), Filters: filters,
		None: templates.Empty{Icon: "terminal", Title: v.t("console.none.terminals")}, Table: v.terminalTable(nil, nil)}
	if v.whole() {
		p.None.Text = v.t("console.none.exact")
	}
	if v.may(manage.TerminalNew) {
		p.NewURL, p.NewKey = "/console/terminals/new", "console.terminal.new"
	}
	if serial != "" {
		t, err := v.bySerial(serial)
		if err != nil {
			return err
		}
		if t.ID != "" {
			return redirect(v, "/console/terminals/"+t.ID)
		}
		p.None.Title = v.t("console.none.found", serial)
		return v.write(p)
	}
	f, found, err := v.terminalFilter(c.at)
	if err != nil || !found {
		return v.noneOf(p, err)
	}
	rows, err := v.Store.TerminalsBy(v.r.Context(), f, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(t idp.Terminal) string { return t.Serial })
	var stores []idp.Store
	if !v.whole() { // whose merchant stands beside none
		if stores, err = v.storesOf(rows); err != nil {
			return err
		}
	}
	p.Table = v.terminalTable(rows, stores)
	return v.write(p)
}

// storesOf are the stores of terminals.
func (v *visit) storesOf(list []idp.Terminal) ([]idp.Store, error) {
	var ids []string
	for _, t := range list {
		ids = append(ids, t.StoreID)
	}
	by, err := v.Store.StoresOf(v.r.Context(), ids)
	return slices.Collect(maps.Values(by)), err
}

func (v *visit) terminalFilter(after string) (f storage.TerminalFilter, found bool, err error) {
	of, found, err := v.listOf(manage.TerminalList)
	return storage.TerminalFilter{After: after, Merchant: of.Merchant, Store: of.Store, State: idp.TerminalState(v.query("state"))}, found, err
}

func (v *visit) terminalFilters() ([]templates.Input, error) {
	return v.withPlace(manage.TerminalList, []templates.Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: v.all(choices(v, "state.", idp.TerminalState(v.query("state")), terminalStates...))}})
}

var terminalExportColumns = []string{"console.id", "console.terminal.serial", "console.terminal.model", "console.terminal.kind", "console.merchant.no", "console.merchant", "console.store",
	"console.col.state", "console.col.created", "console.terminal.activated", "col.seen"}

func (v *visit) exportTerminals(at string) (rows [][]string, next string, err error) {
	ctx := v.r.Context()
	f, found, err := v.terminalFilter(at)
	if err != nil || !found {
		return nil, "", err
	}
	list, err := v.Store.TerminalsBy(ctx, f, exportPage)
	if err != nil {
		return nil, "", err
	}
	var ofMerchants, ofStores []string
	for _, t := range list {
		ofMerchants, ofStores = append(ofMerchants, t.MerchantID), append(ofStores, t.StoreID)
	}
	merchants, err := v.Store.MerchantsOf(ctx, ofMerchants)
	if err != nil {
		return nil, "", err
	}
	stores, err := v.Store.StoresOf(ctx, ofStores)
	for _, t := range list {
		m := merchants[t.MerchantID]
		rows = append(rows, []string{t.ID, t.Serial, t.Model, v.t("kind." + string(t.Kind)), m.No, m.LegalName, stores[t.StoreID].Name, v.state(string(t.State)),
			v.stamp(t.CreatedAt), v.stamp(t.ActivatedAt), v.stamp(t.LastSeenAt)})
	}
	return rows, after(list, func(t idp.Terminal) string { return t.Serial }), err
}

func (v *visit) merchantByNo(typed string) (idp.Merchant, error) {
	kind, no, ok := normal.Identifier(typed)
	if !ok || kind != idp.IdentifierMerchantNo {
		return idp.Merchant{}, nil
	}
	found, err := v.Store.Merchants(v.r.Context(), "", no, "", 1)
	if err != nil || len(found) == 0 {
		return idp.Merchant{}, err
	}
	return found[0], nil
}

// bySerial finds a terminal by a typed serial; the zero value when there is none.
func (v *visit) bySerial(typed string) (idp.Terminal, error) {
	serial, ok := normal.Serial(typed)
	if !ok {
		return idp.Terminal{}, nil
	}
	t, err := v.Store.TerminalBySerial(v.r.Context(), serial)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return idp.Terminal{}, nil
	}
	return t, err
}

// terminalTable lists terminals; with stores, their store stands beside them.
func (v *visit) terminalTable(list []idp.Terminal, stores []idp.Store) templates.Table {
	t := templates.Table{Caption: "console.terminals", Columns: []string{"console.terminal.serial", "console.terminal.model", "console.col.state", "col.seen"}}
	for _, d := range list {
		cell := templates.Cell{Text: d.Model, Small: v.t("kind." + string(d.Kind))}
		for _, s := range stores {
			if s.ID == d.StoreID {
				cell.Small += " · " + s.Name
			}
		}
		t.Rows = append(t.Rows, []templates.Cell{{Text: d.Serial, Mono: true, URL: "/console/terminals/" + d.ID}, cell, {State: string(d.State)}, {Time: d.LastSeenAt, Clock: true}})
	}
	return t
}

func (v *visit) terminalOfPath() (idp.Terminal, error) {
	id, err := v.id()
	if err != nil {
		return idp.Terminal{}, err
	}
	return v.Store.Terminal(v.r.Context(), id)
}

// terminalPathOpen: what is about a terminal is about its merchant.
func (v *visit) terminalPathOpen() (bool, error) {
	t, err := v.terminalOfPath()
	if err != nil {
		return false, err
	}
	return v.thingOpen(manage.OfTerminal(t), back(v.r))
}

// terminal is the page of one terminal; it opens with its merchant's.
func (v *visit) terminal() error {
	ctx := v.r.Context()
	t, err := v.terminalOfPath()
	if err != nil {
		return err
	}
	if open, err := v.thingOpen(manage.OfTerminal(t), back(v.r)); err != nil || !open {
		return err
	}
	m, err := v.Store.Merchant(ctx, t.MerchantID)
	if err != nil {
		return err
	}
	s, err := v.Store.Store(ctx, t.StoreID)
	if err != nil {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/terminals"), Saved: v.note(), Crumbs: v.terminalCrumbs(t, ""), Title: t.Serial, Mono: true, State: string(t.State),
		Pills: []string{v.t("kind." + string(t.Kind))}, Acts: v.terminalActs(t), FactsKey: "console.facts"}
	p.Facts = []templates.Fact{{Key: "console.terminal.model", Lines: []templates.Cell{{Text: t.Model}}}, {Key: "console.merchant", Lines: []templates.Cell{small(v.merchantCell(m), m.No)}},
		{Key: "console.store", Lines: []templates.Cell{small(v.storeCell(s), s.Place)}}, {Key: "console.col.created", Lines: []templates.Cell{{Time: t.CreatedAt}}},
		{Key: "console.terminal.activated", Lines: []templates.Cell{{Time: t.ActivatedAt, Clock: true}}}, {Key: "col.seen", Lines: []templates.Cell{{Time: t.LastSeenAt, Clock: true}}}}
	if t.Key != "" {
		p.Facts = append(p.Facts, templates.Fact{Key: "console.terminal.key", Lines: []templates.Cell{{Text: t.Key, Mono: true}, {Time: t.KeyAt}}})
	}
	events := map[idp.TerminalState]string{idp.TerminalSuspended: "terminal.suspended", idp.TerminalLost: "terminal.lost", idp.TerminalRetired: "terminal.retired"}
	if p.Notes, err = v.why(storage.EventFilter{Terminal: t.ID}, events[t.State], "warn"); err != nil {
		return err
	}
	switch t.State {
	case idp.TerminalSuspended, idp.TerminalLost:
		p.Notes = append(p.Notes, templates.Note{Icon: "info", Text: v.t("console.terminal.back_note")})
	case idp.TerminalNew:
		p.Notes = append(p.Notes, templates.Note{Icon: "info", Text: v.t("console.terminal.new_note")})
	}
	rows, err := v.eventRows(storage.EventFilter{Terminal: t.ID}, 20)
	if err != nil {
		return err
	}
	p.Blocks = []templates.Block{{ID: "log", Key: "console.events_last", None: "account.events_none", Table: rows}}
	return v.write(p)
}

func (v *visit) terminalCrumbs(t idp.Terminal, leaf string) []templates.Crumb {
	list := templates.Crumb{Text: v.t("console.terminals")}
	if v.may(manage.TerminalList) {
		list.URL = "/console/terminals"
	}
	if v.terminalPage(t) == "/console" {
		list.URL, leaf = "/console", ""
	}
	return crumbs(list, t.Serial, "/console/terminals/"+t.ID, leaf)
}

func (v *visit) terminalActs(t idp.Terminal) []templates.ActLink {
	var out []templates.ActLink
	offer := func(act manage.Action, works bool, name string, danger bool) {
		if works && v.mayWith(act, manage.OfTerminal(t)) {
			out = append(out, templates.ActLink{Key: "console.terminal." + name, URL: "/console/terminals/" + t.ID + "/" + name, Danger: danger})
		}
	}
	offer(manage.TerminalBack, t.State == idp.TerminalSuspended, "return", false)
	offer(manage.TerminalFound, t.State == idp.TerminalLost, "found", false)
	offer(manage.TerminalStop, t.State == idp.TerminalActive, "suspend", true)
	offer(manage.TerminalLost, t.State == idp.TerminalActive || t.State == idp.TerminalSuspended, "lost", true)
	offer(manage.TerminalEnd, t.State != idp.TerminalRetired, "retire", true)
	return out
}

func terminalAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		t, err := v.terminalOfPath()
		key, help := "console.terminal."+name, ""
		if name == "lost" {
			help = "stolen-terminal"
		}
		return templates.ConsoleForm{Desk: v.desk("/console/terminals"), Title: v.t(key+"_title", t.SerialTail()), Lead: v.t(key + "_lead"), Crumbs: v.terminalCrumbs(t, v.t(key)),
			Facts:  []templates.Fact{{Key: "console.terminal.serial", Lines: []templates.Cell{{Text: t.Serial, Mono: true}}}, {Key: "console.terminal.model", Lines: []templates.Cell{{Text: t.Model}}}, {Key: "console.col.state", Lines: []templates.Cell{{State: string(t.State)}}}},
			Inputs: []templates.Input{v.reasonField()}, Submit: key, Danger: danger, Cancel: v.terminalPage(t), Help: help}, err
	}
}

func terminalDo(do act) func(v *visit) (string, error) {
	return func(v *visit) (string, error) {
		t, err := v.terminalOfPath()
		if err != nil {
			return "", err
		}
		return v.terminalPage(t) + "?saved=changed", do(v.Manage, v.r.Context(), v.actor(), t.ID)
	}
}

// terminalPage is where a visitor reads about a terminal; who has no page of it stays at
// the door, where he found it.
func (v *visit) terminalPage(t idp.Terminal) string {
	if v.mayWith(manage.TerminalView, manage.OfTerminal(t)) {
		return "/console/terminals/" + t.ID
	}
	return "/console"
}

// typedNo is the merchant number that the form of a new terminal stands at.
func (v *visit) typedNo() string {
	if v.r.Method == http.MethodPost {
		return plain(v.r.PostFormValue("merchant_no"))
	}
	return v.query("merchant_no")
}

// newTerminalOpen: as soon as the form names a merchant it shows the merchant's stores.
func (v *visit) newTerminalOpen() (bool, error) {
	m, err := v.merchantByNo(v.typedNo())
	if err != nil || m.ID == "" {
		return err == nil, err
	}
	return v.merchantOpen(m.ID, newTerminalAt(m.No))
}

func newTerminalAt(no string) string {
	return "/console/terminals/new?" + url.Values{"merchant_no": {no}}.Encode()
}

// newTerminal asks for the merchant first: the stores to choose from are its own.
func (v *visit) newTerminal() (templates.ConsoleForm, error) {
	no := v.typedNo()
	p := templates.ConsoleForm{Desk: v.desk("/console/terminals"), Title: v.t("console.terminal.new"), Lead: v.t("console.terminal.new_lead"),
		Crumbs: []templates.Crumb{{Text: v.t("console.terminals"), URL: "/console/terminals"}, {Text: v.t("console.terminal.new")}},
		Inputs: []templates.Input{{Name: "merchant_no", Label: "console.merchant.no", Mode: "numeric", Most: 40, Value: no}}, Submit: "next", Cancel: "/console/terminals"}
	m, err := v.merchantByNo(no)
	if err != nil || m.ID == "" {
		return p, err
	}
	stores, err := v.Store.Stores(v.r.Context(), m.ID)
	if err != nil {
		return p, err
	}
	store := templates.Input{Name: "store", Label: "console.store", Kind: "select"}
	for _, s := range stores {
		store.Options = append(store.Options, templates.Option{Value: s.ID, Text: s.Name})
	}
	p.Inputs = append(p.Inputs, store, templates.Input{Name: "serial", Label: "console.terminal.serial", Most: 64}, templates.Input{Name: "model", Label: "console.terminal.model", Most: 40},
		templates.Input{Name: "kind", Label: "console.terminal.kind", Kind: "select", Options: choices(v, "kind.", idp.TerminalESign, idp.TerminalKinds...)}, reasonInput())
	p.Submit = "console.terminal.create"
	return p, nil
}

func (v *visit) createTerminal() (string, error) {
	f := v.r.PostFormValue
	if !v.r.PostForm.Has("serial") { // the first of the two pages
		m, err := v.merchantByNo(plain(f("merchant_no")))
		if err != nil {
			return "", err
		}
		if m.ID == "" {
			return "", idp.FieldError("merchant_no", "error.no_merchant")
		}
		return newTerminalAt(m.No), nil
	}
	a := v.actor()
	t, err := v.Manage.CreateTerminal(v.r.Context(), a, manage.NewTerminal{MerchantNo: f("merchant_no"), StoreID: f("store"), Serial: f("serial"), Model: f("model"), Kind: idp.TerminalKind(f("kind"))})
	if err != nil {
		return "", err
	}
	if err := v.Manage.LookAtMerchant(v.r.Context(), a, t.MerchantID); err != nil {
		return "", err
	}
	return "/console/terminals/" + t.ID + "?saved=created", nil
}
