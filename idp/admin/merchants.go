package admin

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

var merchantStatuses = []idp.MerchantStatus{idp.MerchantPending, idp.MerchantActive, idp.MerchantSuspended, idp.MerchantClosed}

// merchants lists merchants by state and tier.
func (v *visit) merchants() error {
	c := v.cursor("after")
	rows, err := v.Store.MerchantsBy(v.r.Context(), v.merchantFilter(c.at), pageSize+1)
	if err != nil {
		return err
	}
	rows, pager := page(v, c, rows, func(m idp.Merchant) string { return m.No })
	filters, err := v.merchantFilters()
	p := templates.ConsoleList{Desk: v.desk("/console/merchants"), Title: "console.merchants", Saved: v.note(), Action: "/console/merchants", Pager: pager, Table: merchantTable(rows), Export: v.exportLink(),
		Filters: filters, None: templates.Empty{Icon: "merchant", Title: v.t("console.none.merchants")}}
	if v.may(manage.MerchantNew) {
		p.NewURL, p.NewKey = "/console/merchants/new", "console.merchant.new"
	}
	if err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) merchantFilter(after string) storage.MerchantFilter {
	return storage.MerchantFilter{After: after, Status: idp.MerchantStatus(v.query("status")), Tier: idp.Tier(v.query("tier"))}
}

func (v *visit) merchantFilters() ([]templates.Input, error) {
	return []templates.Input{{Name: "status", Label: "console.col.state", Kind: "select", Options: v.all(merchantStates(v, idp.MerchantStatus(v.query("status"))))},
		{Name: "tier", Label: "console.merchant.tier", Kind: "select", Options: v.all(choices(v, "tier.", idp.Tier(v.query("tier")), idp.Tiers...))}}, nil
}

var merchantExportColumns = []string{"console.id", "console.merchant.no", "console.merchant.name", "console.merchant.tier", "console.col.state", "console.col.created"}

func (v *visit) exportMerchants(at string) (rows [][]string, next string, err error) {
	list, err := v.Store.MerchantsBy(v.r.Context(), v.merchantFilter(at), exportPage)
	for _, m := range list {
		rows = append(rows, []string{m.ID, m.No, m.LegalName, v.t("tier." + string(m.Tier)), v.state(merchantState(m.Status)), v.stamp(m.CreatedAt)})
	}
	return rows, after(list, func(m idp.Merchant) string { return m.No }), err
}

func merchantTable(rows []idp.Merchant) templates.Table {
	t := templates.Table{Caption: "console.merchants", Columns: []string{"console.merchant.name", "console.merchant.no", "console.merchant.tier", "console.col.state", "console.col.created"}}
	for _, m := range rows {
		t.Rows = append(t.Rows, []templates.Cell{{Text: m.LegalName, URL: "/console/merchants/" + m.ID}, {Text: m.No, Mono: true},
			{Key: "tier." + string(m.Tier)}, {State: merchantState(m.Status)}, {Time: m.CreatedAt}})
	}
	return t
}

// merchantState is the catalogue's word for a status: a pending merchant waits for
// its owner, not for an approval.
func merchantState(s idp.MerchantStatus) string {
	switch s {
	case idp.MerchantPending:
		return "opening"
	case idp.MerchantClosed:
		return "merchant_closed"
	}
	return string(s)
}

func merchantStates(v *visit, chosen idp.MerchantStatus) []templates.Option {
	var out []templates.Option
	for _, s := range merchantStatuses {
		out = append(out, templates.Option{Value: string(s), Text: v.t("state." + merchantState(s)), Chosen: s == chosen})
	}
	return out
}

// merchant is the page of one merchant.
func (v *visit) merchant() error {
	ctx := v.r.Context()
	m, err := v.merchantOfPath()
	if err != nil {
		return err
	}
	if open, err := v.merchantOpen(m.ID, back(v.r)); err != nil || !open {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/merchants"), Saved: v.note(), Crumbs: v.merchantCrumbs(m, ""), Title: m.LegalName, State: merchantState(m.Status),
		Pills: []string{v.t("tier." + string(m.Tier))}, FactsKey: "console.facts", Acts: v.merchantActs(m)}
	handover, err := v.handoverActs(m)
	if err != nil {
		return err
	}
	p.Acts = append(p.Acts, handover...)
	if p.Notes, err = v.why(storage.EventFilter{Merchant: m.ID}, map[idp.MerchantStatus]string{idp.MerchantSuspended: "merchant.suspended", idp.MerchantClosed: "merchant.closed"}[m.Status], "warn"); err != nil {
		return err
	}
	if m.Status == idp.MerchantPending {
		p.Notes = append(p.Notes, templates.Note{Icon: "info", Text: v.t("console.merchant.pending_note")})
	}
	p.Facts = []templates.Fact{{Key: "console.merchant.no", Lines: []templates.Cell{{Text: m.No, Mono: true}}}, {Key: "console.merchant.tier", Lines: []templates.Cell{{Key: "tier." + string(m.Tier)}}},
		{Key: "console.col.created", Lines: []templates.Cell{{Time: m.CreatedAt}}}, {Key: "console.id", Lines: []templates.Cell{{Text: m.ID, Mono: true}}}}
	if p.Blocks, err = v.merchantBlocks(m); err != nil {
		return err
	}
	if v.may(manage.EventRead) {
		p.EventsURL = "/console/events?" + url.Values{"merchant": {m.No}}.Encode()
		if p.Events, err = v.trail(ctx, storage.EventFilter{Merchant: m.ID}); err != nil {
			return err
		}
	}
	return v.write(p)
}

func (v *visit) merchantOfPath() (idp.Merchant, error) {
	id, err := v.id()
	if err != nil {
		return idp.Merchant{}, err
	}
	return v.Store.Merchant(v.r.Context(), id)
}

func (v *visit) merchantCrumbs(m idp.Merchant, leaf string) []templates.Crumb {
	list := templates.Crumb{Text: v.t("console.merchants")}
	if v.may(manage.MerchantList) {
		list.URL = "/console/merchants"
	}
	if !v.whole() { // there is only one, his own
		list = templates.Crumb{Text: v.t("console.stores"), URL: "/console/stores"}
	}
	return crumbs(list, m.LegalName, "/console/merchants/"+m.ID, leaf)
}

// crumbs is the way to a thing or, if leaf names it, to a page below the thing.
func crumbs(list templates.Crumb, thing, url, leaf string) []templates.Crumb {
	if leaf == "" {
		return []templates.Crumb{list, {Text: thing}}
	}
	return []templates.Crumb{list, {Text: thing, URL: url}, {Text: leaf}}
}

func (v *visit) merchantActs(m idp.Merchant) []templates.ActLink {
	base := "/console/merchants/" + m.ID
	var out []templates.ActLink
	offer := func(act manage.Action, in idp.MerchantStatus, name string, danger bool) {
		if m.Status == in && v.may(act) {
			out = append(out, templates.ActLink{Key: "console.merchant." + name, URL: base + "/" + name, Danger: danger})
		}
	}
	offer(manage.MerchantOpen, idp.MerchantPending, "open", false)
	offer(manage.MerchantBack, idp.MerchantSuspended, "return", false)
	offer(manage.MerchantStop, idp.MerchantActive, "suspend", true)
	if m.Status != idp.MerchantClosed {
		offer(manage.TierDown, m.Status, "tier", false)
		offer(manage.MerchantClose, m.Status, "close", true)
	}
	return out
}

func (v *visit) merchantBlocks(m idp.Merchant) ([]templates.Block, error) {
	ctx := v.r.Context()
	staff, err := v.Store.Users(ctx, storage.UserFilter{Merchant: m.ID}, pageSize+1)
	if err != nil {
		return nil, err
	}
	stores, err := v.Store.Stores(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	terminals, err := v.Store.Terminals(ctx, "", m.ID, pageSize+1)
	if err != nil {
		return nil, err
	}
	owners, err := v.Store.Users(ctx, storage.UserFilter{Merchant: m.ID, Roles: []idp.Role{idp.RoleOwner}}, 100)
	if err != nil {
		return nil, err
	}
	of := url.Values{"merchant": {m.No}}
	if !v.whole() { // his lists hold no other's
		of = nil
	}
	people, err := v.staffBlock(staff, of)
	if err != nil {
		return nil, err
	}
	owned := slices.ContainsFunc(owners, func(u idp.User) bool { return u.Status != idp.UserLeft && u.Status != idp.UserErased })
	if !owned && v.may(manage.OwnerNew) && m.Status != idp.MerchantClosed {
		people.Link, people.LinkAs = "/console/users/new?"+url.Values{"role": {"owner"}, "merchant_no": {m.No}}.Encode(), "console.user.new_owner"
	}
	shops := templates.Block{ID: "stores", Key: "console.stores", None: "console.none.stores", Table: templates.Table{Caption: "console.stores", Columns: []string{"console.store.name", "console.store.place", "console.col.created"}}}
	for _, s := range stores[:min(len(stores), pageSize)] {
		shops.Table.Rows = append(shops.Table.Rows, []templates.Cell{v.storeCell(s), {Text: orDash(s.Place)}, {Time: s.CreatedAt}})
	}
	if len(stores) > 0 && v.may(manage.StoreList) {
		shops.More = listAt("stores", of)
	}
	if v.may(manage.StoreNew) && m.Status != idp.MerchantClosed {
		shops.Link, shops.LinkAs = "/console/merchants/"+m.ID+"/stores/new", "console.store.new"
	}
	devices := v.terminalBlock(terminals, stores, of)
	if v.may(manage.TerminalNew) && len(stores) > 0 && m.Status != idp.MerchantClosed {
		devices.Link, devices.LinkAs = "/console/terminals/new?"+url.Values{"merchant_no": {m.No}}.Encode(), "console.terminal.new"
	}
	return []templates.Block{people, shops, devices}, nil
}

// listAt is the address of a list that is narrowed.
func listAt(list string, to url.Values) string {
	return strings.TrimSuffix("/console/"+list+"?"+to.Encode(), "?")
}

// staffBlock lists people of a merchant or a store; all of them, to narrow or to take
// away, are in the list that it leads to.
func (v *visit) staffBlock(staff []idp.User, of url.Values) (templates.Block, error) {
	b := templates.Block{ID: "staff", Key: "console.staff", None: "console.none.staff", Table: templates.Table{Caption: "console.staff",
		Columns: []string{"console.col.name", "console.col.login", "col.role", "console.col.state"}}}
	staff = staff[:min(len(staff), pageSize)]
	if len(staff) > 0 && v.may(manage.UserList) {
		b.More = listAt("users", of)
	}
	if v.may(manage.CashierNew) {
		b.Link, b.LinkAs = "/console/staff/new", "console.staff.new"
	}
	c, err := v.crowd(v.r.Context(), staff)
	for _, u := range staff {
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{{Text: u.Name, URL: "/console/users/" + u.ID}, {Text: orDash(c.login(u.ID)), Mono: true}, {Key: "role." + string(u.Role)}, {State: userState(u)}})
	}
	return b, err
}

// terminalBlock is staffBlock for terminals.
func (v *visit) terminalBlock(list []idp.Terminal, stores []idp.Store, of url.Values) templates.Block {
	b := templates.Block{ID: "terminals", Key: "console.terminals", None: "console.none.terminals"}
	list = list[:min(len(list), pageSize)]
	if len(list) > 0 && v.may(manage.TerminalList) {
		b.More = listAt("terminals", of)
	}
	b.Table = v.terminalTable(list, stores)
	return b
}

// merchantSeen says whether what is about a merchant may be drawn now. Whoever owes
// no reason has looked by this.
func (v *visit) merchantSeen(id string) (bool, error) {
	seen, err := v.Manage.LookedAtMerchant(v.r.Context(), v.actor(), id)
	if err == nil && !seen && manage.May(v.User.Role, manage.MerchantView).Level() == manage.Yes {
		return true, v.Manage.LookAtMerchant(v.r.Context(), v.actor(), id)
	}
	return seen, err
}

// merchantOpen is the gate of all that is about a merchant.
func (v *visit) merchantOpen(id, back string) (bool, error) {
	return v.thingOpen(manage.Target{Merchant: id}, back)
}

// thingOpen is the gate of what belongs to a merchant: it is the visitor's to see, and
// unless its merchant was looked at,
// it has sent the browser to give a reason, and from there back.
func (v *visit) thingOpen(of manage.Target, back string) (bool, error) {
	if err := manage.Allowed(v.User, v.action, of); err != nil {
		return false, err
	}
	if seen, err := v.merchantSeen(of.Merchant); err != nil || seen {
		return seen, err
	}
	return false, v.askWhy("/console/merchants/"+of.Merchant+"/look", back)
}

// merchantMine opens the page of a look itself.
func (v *visit) merchantMine() (bool, error) {
	m, err := v.merchantOfPath()
	if err == nil {
		err = manage.Allowed(v.User, v.action, manage.Target{Merchant: m.ID})
	}
	return err == nil, err
}

func (v *visit) merchantPathOpen() (bool, error) {
	m, err := v.merchantOfPath()
	if err != nil {
		return false, err
	}
	return v.merchantOpen(m.ID, back(v.r))
}

func (v *visit) askMerchantLook() (templates.ConsoleForm, error) {
	m, err := v.merchantOfPath()
	return v.merchantLook(m.ID, plain(v.r.PostFormValue("typed"))), err
}

// merchantLook asks for the reason of a look. It says no more of the merchant than
// what the person typed to find it.
func (v *visit) merchantLook(id, typed string) templates.ConsoleForm {
	title := v.t("console.look.this_merchant")
	if typed != "" {
		title = v.t("console.look.merchant", typed)
	}
	return v.lookForm(title, "console.look.merchant_lead", "console.merchants", manage.MerchantList, "/console/merchants", id, typed)
}

// lookForm is the page before a page about a person or a merchant.
func (v *visit) lookForm(title, lead, list string, may manage.Action, base, id, typed string) templates.ConsoleForm {
	above := templates.Crumb{Text: v.t(list)}
	if v.may(may) {
		above.URL = base
	}
	return templates.ConsoleForm{Desk: v.desk(base), Title: title, Lead: v.t(lead), Crumbs: []templates.Crumb{above, {Text: title}}, Action: base + "/" + id + "/look",
		Inputs: []templates.Input{reasonInput(), {Name: "typed", Kind: "hidden", Value: typed}}, Submit: "console.look.do", Cancel: "/console"}
}

func (v *visit) lookAtMerchant() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return v.wanted("/console/merchants/" + id), v.Manage.LookAtMerchant(v.r.Context(), v.actor(), id)
}

func (v *visit) newMerchant() (templates.ConsoleForm, error) {
	return templates.ConsoleForm{Desk: v.desk("/console/merchants"), Title: v.t("console.merchant.new"), Lead: v.t("console.merchant.new_lead"),
		Crumbs: []templates.Crumb{{Text: v.t("console.merchants"), URL: "/console/merchants"}, {Text: v.t("console.merchant.new")}},
		Inputs: []templates.Input{{Name: "legal_name", Label: "console.merchant.name", Most: 100}, {Name: "no", Label: "console.merchant.no", Hint: "console.merchant.no_hint", Mode: "numeric", Most: 40},
			{Name: "tier", Label: "console.merchant.tier", Hint: "console.merchant.tier_hint", Kind: "select", Options: choices(v, "tier.", idp.TierStandard, idp.Tiers...)}, reasonInput()},
		Submit: "console.merchant.create", Cancel: "/console/merchants"}, nil
}

func (v *visit) createMerchant() (string, error) {
	f := v.r.PostFormValue
	m, err := v.Manage.CreateMerchant(v.r.Context(), v.actor(), manage.NewMerchant{No: f("no"), LegalName: f("legal_name"), Tier: idp.Tier(f("tier"))})
	if err != nil {
		return "", err
	}
	// Who made it need not say again why he looks at it.
	if err := v.Manage.LookAtMerchant(v.r.Context(), v.actor(), m.ID); err != nil {
		return "", err
	}
	return "/console/merchants/" + m.ID + "?saved=created", nil
}

func (v *visit) newStore() (templates.ConsoleForm, error) {
	m, err := v.merchantOfPath()
	return templates.ConsoleForm{Desk: v.desk("/console/merchants"), Title: v.t("console.store.new"), Crumbs: v.merchantCrumbs(m, v.t("console.store.new")),
		Inputs: v.withReason(templates.Input{Name: "name", Label: "console.store.name", Most: 60}, templates.Input{Name: "place", Label: "console.store.place", Optional: true, Most: 100}),
		Submit: "console.store.create", Cancel: "/console/merchants/" + m.ID}, err
}

func (v *visit) createStore() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	_, err = v.Manage.CreateStore(v.r.Context(), v.owing(), id, v.r.PostFormValue("name"), v.r.PostFormValue("place"))
	return "/console/merchants/" + id + "?saved=created", err
}

// merchantAct is the question before an act on a merchant.
func merchantAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		m, err := v.merchantOfPath()
		key := "console.merchant." + name
		return templates.ConsoleForm{Desk: v.desk("/console/merchants"), Title: v.t(key+"_title", m.LegalName), Lead: v.t(key + "_lead"), Crumbs: v.merchantCrumbs(m, v.t(key)),
			Facts:  []templates.Fact{{Key: "console.merchant.no", Lines: []templates.Cell{{Text: m.No, Mono: true}}}, {Key: "console.col.state", Lines: []templates.Cell{{State: merchantState(m.Status)}}}},
			Inputs: []templates.Input{reasonInput()}, Submit: key, Danger: danger, Cancel: "/console/merchants/" + m.ID}, err
	}
}

// askTier is the form of another tier.
func (v *visit) askTier() (templates.ConsoleForm, error) {
	m, err := v.merchantOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	p := templates.ConsoleForm{Desk: v.desk("/console/merchants"), Title: v.t("console.merchant.tier_title", m.LegalName), Lead: v.t("console.merchant.tier_lead"), Crumbs: v.merchantCrumbs(m, v.t("console.merchant.tier")),
		Inputs: []templates.Input{{Name: "tier", Label: "console.merchant.tier", Hint: "console.merchant.tier_hint", Kind: "select", Options: choices(v, "tier.", m.Tier, idp.Tiers...)}, reasonInput(),
			{Name: "was", Kind: "hidden", Value: string(m.Tier)}},
		Submit: "console.merchant.tier_do", Cancel: "/console/merchants/" + m.ID}
	return p, v.needsSecond(&p, manage.TierDown, "approval.note_tier")
}

func (v *visit) changeTier() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	in := manage.NewTier{Merchant: id, Was: idp.Tier(v.r.PostFormValue("was")), To: idp.Tier(v.r.PostFormValue("tier"))}
	return "/console/merchants/" + id + "?saved=changed", v.Manage.ChangeTier(v.r.Context(), v.actor(), in)
}

type act = func(m *manage.Manager, ctx context.Context, a manage.Actor, id string) error

func merchantDo(do act) func(v *visit) (string, error) {
	return doAt("/console/merchants/", do, "changed")
}

// doAt acts on the thing that the path names and goes back to its page.
func doAt(base string, do act, saved string) func(v *visit) (string, error) {
	return func(v *visit) (string, error) {
		id, err := v.id()
		if err != nil {
			return "", err
		}
		return base + id + "?saved=" + saved, do(v.Manage, v.r.Context(), v.actor(), id)
	}
}

// askWhy sends the browser to the page that asks for the reason of a look, and
// from there back.
func (v *visit) askWhy(form, back string) error {
	return redirect(v, form+"?"+url.Values{"to": {back}}.Encode())
}

// wanted is the page of the console that a look was asked for.
func (v *visit) wanted(otherwise string) string {
	to := v.query("to")
	if to == "/console" || strings.HasPrefix(to, "/console/") && !strings.ContainsAny(to, "\\") {
		return to
	}
	return otherwise
}
