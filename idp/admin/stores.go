package admin

import (
	"net/url"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// stores lists the stores of all merchants, or of one.
func (v *visit) stores() error {
	c := v.cursor("after")
	filters, err := v.storeFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/stores"), Title: "console.stores", Action: "/console/stores", Filters: filters, Export: v.exportLink(),
		Table: templates.Table{Caption: "console.stores", Columns: []string{"console.store.name", "console.store.place", "console.merchant", "console.col.created"}},
		None:  templates.Empty{Icon: "box", Title: v.t("console.none.shops")}}
	merchant, found, err := v.merchantQuery()
	if err != nil || !found {
		return v.noneOf(p, err)
	}
	rows, err := v.Store.StoresBy(v.r.Context(), storage.StoreFilter{After: c.at, Merchant: merchant}, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(s idp.Store) string { return s.ID })
	owners, err := v.ownersOf(rows)
	for _, s := range rows {
		m := owners[s.MerchantID]
		p.Table.Rows = append(p.Table.Rows, []templates.Cell{{Text: s.Name, URL: "/console/stores/" + s.ID}, {Text: orDash(s.Place)}, {Text: orDash(m.LegalName), Small: m.No, URL: "/console/merchants/" + m.ID}, {Time: s.CreatedAt}})
	}
	if err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) storeFilters() ([]templates.Input, error) {
	return []templates.Input{v.merchantInput()}, nil
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
	merchant, found, err := v.merchantQuery()
	if err != nil || !found {
		return nil, "", err
	}
	list, err := v.Store.StoresBy(v.r.Context(), storage.StoreFilter{After: at, Merchant: merchant}, exportPage)
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

// store is the page of one store, with its staff and terminals; it opens with its
// merchant's.
func (v *visit) store() error {
	ctx := v.r.Context()
	id, err := v.id()
	if err != nil {
		return err
	}
	s, err := v.Store.Store(ctx, id)
	if err != nil {
		return err
	}
	if open, err := v.merchantOpen(s.MerchantID, back(v.r)); err != nil || !open {
		return err
	}
	m, err := v.Store.Merchant(ctx, s.MerchantID)
	if err != nil {
		return err
	}
	list := templates.Crumb{Text: v.t("console.stores")}
	if v.may(manage.StoreList) {
		list.URL = "/console/stores"
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/stores"), Crumbs: crumbs(list, s.Name, "", ""), Title: s.Name, FactsKey: "console.facts"}
	p.Facts = []templates.Fact{{Key: "console.store.place", Lines: []templates.Cell{{Text: orDash(s.Place)}}},
		{Key: "console.merchant", Lines: []templates.Cell{{Text: m.LegalName, URL: "/console/merchants/" + m.ID, Small: m.No}, {State: merchantState(m.Status)}}},
		{Key: "console.col.created", Lines: []templates.Cell{{Time: s.CreatedAt}}}, {Key: "console.id", Lines: []templates.Cell{{Text: s.ID, Mono: true}}}}
	if p.Blocks, err = v.storeBlocks(s); err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) storeBlocks(s idp.Store) ([]templates.Block, error) {
	ctx, of := v.r.Context(), url.Values{"store": {s.ID}}
	staff, err := v.Store.Users(ctx, storage.UserFilter{Store: s.ID}, pageSize+1)
	if err != nil {
		return nil, err
	}
	people, err := v.staffBlock(staff, of)
	if err != nil {
		return nil, err
	}
	people.None = "console.none.store_staff"
	terminals, err := v.Store.TerminalsBy(ctx, storage.TerminalFilter{Store: s.ID}, pageSize+1)
	return []templates.Block{people, v.terminalBlock(terminals, nil, of)}, err
}
