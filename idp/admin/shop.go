package admin

import (
	"net/http"
	"slices"
	"strings"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// What the owners and managers of a merchant see of their own: the same pages, with
// lists that need no merchant to be named.

// notForYou turns away who has no console. What he may stop all the same is there: the
// terminals of his store that he may mark lost.
func (v *visit) notForYou() error {
	p := templates.NotForYou{HomeURL: "/account", Login: v.User.Name, Saved: v.note()}
	reach, err := manage.Reach(v.User, manage.TerminalLost)
	if err == nil {
		if p.Terminals, err = v.losable(reach); err != nil {
			return err
		}
	}
	return v.Site.Write(v.w, v.r, http.StatusForbidden, p)
}

func (v *visit) losable(reach manage.Target) (list []templates.Way, err error) {
	for _, state := range []idp.TerminalState{idp.TerminalActive, idp.TerminalSuspended} {
		rows, err := v.Store.TerminalsBy(v.r.Context(), storage.TerminalFilter{Merchant: reach.Merchant, Store: reach.Store, State: state}, 100)
		if err != nil {
			return nil, err
		}
		for _, t := range rows {
			list = append(list, templates.Way{Icon: "terminal", Title: v.t("console.terminal.short", t.Model, t.SerialTail()), Small: v.t("kind." + string(t.Kind)),
				URL: "/console/terminals/" + t.ID + "/lost"})
		}
	}
	return list, nil
}

// shopNav are the ways that a merchant's own people have in the console.
var shopNav = []navRow{
	{manage.Console, templates.NavItem{Href: "/console", Key: "console.dashboard", Icon: "overview"}},
	{manage.UserList, templates.NavItem{Href: "/console/users", Key: "console.staff", Icon: "users", Group: "console.group.shop"}},
	{manage.StoreList, templates.NavItem{Href: "/console/stores", Key: "console.stores", Icon: "merchant", Group: "console.group.shop"}},
	{manage.TerminalList, templates.NavItem{Href: "/console/terminals", Key: "console.terminals", Icon: "terminal", Group: "console.group.shop"}},
	{manage.CaseRead, templates.NavItem{Href: "/console/cases", Key: "console.cases", Icon: "case", Group: "console.group.records"}},
	{manage.EventRead, templates.NavItem{Href: "/console/events", Key: "console.activity", Icon: "log", Group: "console.group.records"}},
}

// peopleKey is the catalogue's word for the people whom the visitor's lists hold.
func (v *visit) peopleKey() string {
	if v.whole() {
		return "console.users"
	}
	return "console.staff"
}

// shopDashboard says what waits for the owner or manager, and how his own things stand.
func (v *visit) shopDashboard() error {
	reach, err := manage.Reach(v.User, manage.TerminalList)
	if err != nil {
		return err
	}
	n, err := v.Store.CountShop(v.r.Context(), reach.Merchant, reach.Store)
	if err != nil {
		return err
	}
	p := templates.ConsoleDashboard{Desk: v.desk("/console"), Saved: v.note()}
	for _, todo := range []struct {
		act      manage.Action
		n        int64
		key, url string
	}{{manage.TerminalView, n.TerminalsNew, "console.todo.new_terminals", "/console/terminals?state=new"},
		{manage.TerminalBack, n.TerminalsBad, "console.todo.bad_terminals", "/console/terminals"},
		{manage.UserInvite, n.Invited, "console.todo.invited", "/console/users?state=invited"},
		{manage.CaseRead, n.Cases, "console.todo.shop_cases", "/console/cases"}} {
		if v.may(todo.act) && todo.n > 0 {
			p.Todo = append(p.Todo, templates.ConsoleTodo{Text: v.t(todo.key, int(todo.n)), Small: v.t(todo.key + "_small"), URL: todo.url})
		}
	}
	h, err := v.Store.RunningHandover(v.r.Context(), v.User.MerchantID)
	if err != nil {
		return err
	}
	if h != nil && (v.User.Role == idp.RoleOwner || h.Party(v.User.ID)) {
		p.Todo = append(p.Todo, templates.ConsoleTodo{Text: v.t("console.todo.handover"), Small: v.handoverNote(*h).Text, URL: "/console/handovers/" + h.ID})
	}
	p.Stats = []templates.ConsoleStat{{Key: "console.staff", N: n.Staff, Small: v.t("console.stat.users_small", int(n.Invited))},
		{Key: "console.stat.terminals", N: n.TerminalsActive, Small: v.t("console.stat.terminals_small", int(n.Terminals), int(n.TerminalsBad))}}
	for _, door := range p.Items[1:] {
		p.Doors = append(p.Doors, templates.Way{Icon: door.Icon, Title: v.t(door.Key), Small: v.t(strings.Replace(door.Key, "console.", "console.shop.", 1)), URL: door.Href})
	}
	return v.write(p)
}

func storeOptions(stores []idp.Store, chosen string) (out []templates.Option) {
	for _, s := range stores {
		out = append(out, templates.Option{Value: s.ID, Text: s.Name, Chosen: s.ID == chosen})
	}
	return out
}

// workplace is the store of somebody, or all of them.
func workplace(u idp.User, stores map[string]idp.Store) templates.Cell {
	if s, ok := stores[u.StoreID]; ok {
		return templates.Cell{Text: s.Name}
	}
	return templates.Cell{Key: "console.store.every"}
}

// storeCell is a store's name, with its page where there is one for the visitor.
func (v *visit) storeCell(s idp.Store) templates.Cell {
	cell := templates.Cell{Text: s.Name}
	if v.mayWith(manage.StoreView, manage.OfStore(s)) {
		cell.URL = "/console/stores/" + s.ID
	}
	return cell
}

// merchantCell is storeCell for a merchant.
func (v *visit) merchantCell(m idp.Merchant) templates.Cell {
	cell := templates.Cell{Text: m.LegalName}
	if v.mayWith(manage.MerchantView, manage.Target{Merchant: m.ID}) {
		cell.URL = "/console/merchants/" + m.ID
	}
	return cell
}

// small says something in small beside a cell.
func small(c templates.Cell, text string) templates.Cell {
	c.Small = text
	return c
}

func (v *visit) askRename() (templates.ConsoleForm, error) {
	s, err := v.storeOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	m, err := v.Store.Merchant(v.r.Context(), s.MerchantID)
	return templates.ConsoleForm{Desk: v.desk("/console/stores"), Title: v.t("console.store.rename_title", s.Name), Crumbs: v.storeCrumbs(m, s, v.t("console.store.rename")),
		Inputs: v.withReason(templates.Input{Name: "name", Label: "console.store.name", Most: 60, Value: s.Name}, templates.Input{Name: "place", Label: "console.store.place", Optional: true, Most: 100, Value: s.Place}),
		Submit: "console.store.rename", Cancel: "/console/stores/" + s.ID}, err
}

func (v *visit) renameStore() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/stores/" + id + "?saved=changed", v.Manage.RenameStore(v.r.Context(), v.owing(), id, v.r.PostFormValue("name"), v.r.PostFormValue("place"))
}

// newStaff asks whom to invite, and for which store.
func (v *visit) newStaff() (templates.ConsoleForm, error) {
	p := templates.ConsoleForm{Desk: v.desk("/console/users"), Title: v.t("console.staff.new"), Lead: v.t("console.staff.new_lead", int(v.Manage.Policy.Now().Links.Invite.Hours()/24)),
		Crumbs: []templates.Crumb{{Text: v.t("console.staff"), URL: "/console/users"}, {Text: v.t("console.staff.new")}}, Submit: "console.user.invite", Cancel: "/console/users"}
	place, err := v.placeInputs(idp.RoleCashier, "")
	if err != nil {
		return p, err
	}
	p.Inputs = slices.Concat([]templates.Input{{Name: "name", Label: "console.col.name", Most: 64}}, place,
		[]templates.Input{{Name: "username", Label: "console.user.username", Hint: "console.user.username_hint", Most: 64},
			{Name: "phone", Label: "console.user.phone", Type: "tel", Most: 40, Optional: true},
			{Name: "email", Label: "console.user.email", Hint: "console.user.channel_hint", Type: "email", Optional: true},
			{Name: "language", Label: "console.user.language", Kind: "select", Options: languageOptions()}})
	return p, nil
}

// placeInputs ask for the role and the store of somebody: those that the visitor may give.
func (v *visit) placeInputs(role idp.Role, store string) ([]templates.Input, error) {
	reach, err := manage.Reach(v.User, manage.CashierNew)
	if err != nil {
		return nil, err
	}
	stores, err := v.Store.StoresBy(v.r.Context(), storage.StoreFilter{Merchant: reach.Merchant, ID: reach.Store}, 1000)
	options := storeOptions(stores, store)
	if reach.Store == "" {
		options = append(options, templates.Option{Text: v.t("console.store.every"), Chosen: store == "" && len(stores) == 0})
	}
	return []templates.Input{{Name: "role", Label: "col.role", Kind: "select", Options: choices(v, "role.", role, manage.Invitable(v.User)...)},
		{Name: "store", Label: "console.store", Kind: "select", Options: options}}, err
}

func (v *visit) inviteStaff() (string, error) {
	f := v.r.PostFormValue
	u, err := v.Manage.InviteStaff(v.r.Context(), v.owing(), manage.NewUser{Name: f("name"), Role: idp.Role(f("role")), Username: f("username"), Phone: f("phone"), Email: f("email"),
		Language: f("language")}, f("store"))
	return "/console/users/" + u.ID + "?saved=invited", err
}

// askRole asks for another role or store.
func (v *visit) askRole() (templates.ConsoleForm, error) {
	u, err := v.userOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	p, err := userAct("role", false)(v)
	if err != nil {
		return p, err
	}
	place, err := v.placeInputs(u.Role, u.StoreID)
	if err != nil {
		return p, err
	}
	for i, o := range place[1].Options { // also who works in all stores does so already
		place[1].Options[i].Chosen = o.Value == u.StoreID
	}
	p.Inputs = v.withReason(place...)
	return p, nil
}

func (v *visit) changeRole() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/users/" + id + "?saved=changed", v.Manage.ChangeRole(v.r.Context(), v.owing(), id, idp.Role(v.r.PostFormValue("role")), v.r.PostFormValue("store"))
}

// shopKinds leaves out of the log's filter what happens at no merchant.
func (v *visit) shopKinds(kinds []templates.Option) []templates.Option {
	if v.whole() {
		return kinds
	}
	return slices.DeleteFunc(kinds, func(o templates.Option) bool {
		noun, _, _ := strings.Cut(o.Value, ".")
		return !slices.Contains(shopNouns, noun)
	})
}

var shopNouns = []string{"signin", "session", "grant", "password", "factor", "codes", "code", "channel", "username", "account", "case", "browser", "lock", "device", "terminal", "merchant", "store",
	"staff", "owner", "recovery", "list"}

// eventPlace is where an event came from. Where the operator's staff work is not a
// merchant's to know.
func (v *visit) eventPlace(e idp.Event, names *people) string {
	if !v.whole() && e.Actor != "" && e.Actor != "system" && names.who(e.Actor).staff {
		return ""
	}
	return v.place(e.Network)
}
