package admin

import (
	"net/url"
	"slices"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// stores lists the stores of all merchants, of one, or the visitor's own.
func (v *visit) stores() error {
	c := v.cursor("after")
	filters, err := v.storeFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/stores"), Title: "console.stores", Saved: v.note(), Filters: filters, Export: v.exportLink(),
		Table: templates.Table{Caption: "console.stores", Columns: []string{"console.store.name", "console.store.place", "console.merchant", "console.col.created"}},
		None:  templates.Empty{Icon: "box", Title: v.t("console.none.shops")}}
	if v.whole() {
		p.Action = "/console/stores"
	} else {
		p.Table.Columns = slices.DeleteFunc(p.Table.Columns, func(key string) bool { return key == "console.merchant" })
		p.None.Title = v.t("console.none.stores")
		if v.may(manage.StoreNew) {
			p.NewURL, p.NewKey = "/console/merchants/"+v.User.MerchantID+"/stores/new", "console.store.new"
		}
	}
	f, found, err := v.storeFilter(c.at)
	if err != nil || !found {
		return v.noneOf(p, err)
	}
	rows, err := v.Store.StoresBy(v.r.Context(), f, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(s idp.Store) string { return s.ID })
	owners, err := v.ownersOf(rows)
	for _, s := range rows {
		row := []templates.Cell{v.storeCell(s), {Text: orDash(s.Place)}}
		if v.whole() {
			m := owners[s.MerchantID]
			row = append(row, small(v.merchantCell(m), m.No))
		}
		p.Table.Rows = append(p.Table.Rows, append(row, templates.Cell{Time: s.CreatedAt}))
	}
	if err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) storeFilters() ([]templates.Input, error) {
	if !v.whole() {
		return nil, nil
	}
	return []templates.Input{v.merchantInput()}, nil
}

func (v *visit) storeFilter(after string) (f storage.StoreFilter, found bool, err error) {
	of, found, err := v.listOf(manage.StoreList)
	return storage.StoreFilter{After: after, Merchant: of.Merchant, ID: of.Store}, found, err
}

// ownersOf are the merchants of stores.
func (v *visit) ownersOf(list []idp.Store) (map[string]idp.Merchant, error) {
	var ids []string
	for _, s := range list {
		ids = append(ids, s.MerchantID)
	}
	return v.Store.MerchantsOf(v.r.Context(), ids)
}

var storeExportColumns = []string{"console.id", "console.store.name", "console.store.place", "console.merchant.no", "console.merchant", "console.col.created"}

func (v *visit) exportStores(at string) (rows [][]string, next string, err error) {
	f, found, err := v.storeFilter(at)
	if err != nil || !found {
		return nil, "", err
	}
	list, err := v.Store.StoresBy(v.r.Context(), f, exportPage)
	if err != nil {
		return nil, "", err
	}
	owners, err := v.ownersOf(list)
	for _, s := range list {
		m := owners[s.MerchantID]
		rows = append(rows, []string{s.ID, s.Name, s.Place, m.No, m.LegalName, v.stamp(s.CreatedAt)})
	}
	return rows, after(list, func(s idp.Store) string { return s.ID }), err
}

func (v *visit) storeOfPath() (idp.Store, error) {
	id, err := v.id()
	if err != nil {
		return idp.Store{}, err
	}
	return v.Store.Store(v.r.Context(), id)
}

func (v *visit) storePathOpen() (bool, error) {
	s, err := v.storeOfPath()
	if err != nil {
		return false, err
	}
	return v.thingOpen(manage.OfStore(s), back(v.r))
}

// store is the page of one store; it opens with its merchant's.
func (v *visit) store() error {
	if open, err := v.storePathOpen(); err != nil || !open {
		return err
	}
	ctx := v.r.Context()
	s, err := v.storeOfPath()
	if err != nil {
		return err
	}
	m, err := v.Store.Merchant(ctx, s.MerchantID)
	if err != nil {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/stores"), Saved: v.note(), Crumbs: v.storeCrumbs(m, s, ""), Title: s.Name, FactsKey: "console.facts"}
	if v.mayWith(manage.StoreRename, manage.OfStore(s)) {
		p.Acts = []templates.ActLink{{Key: "console.store.rename", URL: "/console/stores/" + s.ID + "/rename"}}
	}
	p.Facts = []templates.Fact{{Key: "console.store.place", Lines: []templates.Cell{{Text: orDash(s.Place)}}}, {Key: "console.merchant", Lines: []templates.Cell{small(v.merchantCell(m), m.No), {State: merchantState(m.Status)}}},
		{Key: "console.col.created", Lines: []templates.Cell{{Time: s.CreatedAt}}}, {Key: "console.id", Lines: []templates.Cell{{Text: s.ID, Mono: true}}}}
	if p.Blocks, err = v.storeBlocks(s); err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) storeCrumbs(m idp.Merchant, s idp.Store, leaf string) []templates.Crumb {
	above := templates.Crumb{Text: v.t("console.stores"), URL: "/console/stores"}
	if !v.may(manage.StoreList) {
		above = templates.Crumb{Text: m.LegalName, URL: "/console/merchants/" + m.ID}
	}
	return crumbs(above, s.Name, "/console/stores/"+s.ID, leaf)
}

func (v *visit) storeBlocks(s idp.Store) ([]templates.Block, error) {
	ctx, of := v.r.Context(), url.Values{"store": {s.ID}}
	staff, err := v.Store.Users(ctx, storage.UserFilter{Merchant: s.MerchantID, Store: s.ID}, pageSize+1)
	if err != nil {
		return nil, err
	}
	people, err := v.staffBlock(staff, of)
	if err != nil {
		return nil, err
	}
	people.None = "console.none.store_staff"
	terminals, err := v.Store.TerminalsBy(ctx, storage.TerminalFilter{Merchant: s.MerchantID, Store: s.ID}, pageSize+1)
	return []templates.Block{people, v.terminalBlock(terminals, nil, of)}, err
}
