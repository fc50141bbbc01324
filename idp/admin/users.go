package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/normal"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

func redirect(v *visit, path string) error { return web.Redirect(v.w, v.r, path) }

// userState is the catalogue's word for where an account stands; a lock and a
// freeze weigh more than the status.
func userState(u idp.User) string {
	switch {
	case u.Status == idp.UserErased, u.Status == idp.UserLeft, u.Status == idp.UserDisabled:
		return string(u.Status)
	case u.Leaving(time.Now()):
		return string(idp.UserLeft)
	case u.Locked != "":
		return "locked"
	case u.Frozen:
		return "frozen"
	}
	return string(u.Status)
}

// login is the name that a person signs in with, for lists.
func (v *visit) login(ctx context.Context, user string) (string, error) {
	names, err := v.Store.Identifiers(ctx, user)
	for _, n := range names {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			return n.Value, err
		}
	}
	return "–", err
}

// userFilter is what the list of people is narrowed to; found is false where it names a
// merchant that there is not.
func (v *visit) userFilter(after string) (f storage.UserFilter, found bool, err error) {
	of, found, err := v.listOf(manage.UserList)
	f = storage.UserFilter{After: after, Merchant: of.Merchant, Store: of.Store}
	switch state := v.query("state"); state {
	case "locked":
		f.Locked = true
	case "frozen":
		f.Frozen = true
	default:
		f.Status = state
	}
	if role := v.query("role"); role != "" {
		f.Roles = []idp.Role{idp.Role(role)}
	}
	return f, found, err
}

// listOf is whose things a list holds: what its row of the table reaches and, within
// that, the merchant and the store that the URL names. found is false where it names a
// merchant that there is not.
func (v *visit) listOf(act manage.Action) (of manage.Target, found bool, err error) {
	if of, err = manage.Reach(v.User, act); err != nil {
		return of, false, err
	}
	store := v.query("store")
	if of.Merchant == "" {
		of.Store = store
		of.Merchant, found, err = v.merchantQuery()
		return of, found, err
	}
	if store == "" {
		return of, true, nil
	}
	s, err := v.Store.Store(v.r.Context(), store)
	if err == nil {
		err = manage.Allowed(v.User, act, manage.OfStore(s))
	}
	of.Store = store
	return of, err == nil, err
}

// merchantQuery is the merchant whose number the URL names; found is false when there is
// none of that number.
func (v *visit) merchantQuery() (id string, found bool, err error) {
	no := v.query("merchant")
	if no == "" {
		return "", true, nil
	}
	m, err := v.merchantByNo(no)
	return m.ID, m.ID != "", err
}

// users lists people by role, state, merchant and store.
func (v *visit) users() error {
	ctx, c := v.r.Context(), v.cursor("after")
	filters, err := v.userFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/users"), Title: v.peopleKey(), Saved: v.note(), Action: "/console/users", Filters: filters, Export: v.exportLink(),
		Table: templates.Table{Caption: v.peopleKey(), Columns: []string{"console.col.name", "console.col.login", "console.merchant", "col.role", "console.col.state", "col.second"}},
		None:  templates.Empty{Icon: "users", Title: v.t("console.none.users")}}
	if v.may(manage.StaffNew) || v.may(manage.OwnerNew) {
		p.NewURL, p.NewKey = "/console/users/new", "console.user.new"
	}
	if v.may(manage.CashierNew) {
		p.NewURL, p.NewKey = "/console/staff/new", "console.staff.new"
	}
	f, found, err := v.userFilter(c.at)
	if err != nil || !found {
		return v.noneOf(p, err)
	}
	rows, err := v.Store.Users(ctx, f, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(u idp.User) string { return u.ID })
	if !v.whole() {
		p.Table.Columns = staffColumns
	}
	if p.Table.Rows, err = v.userRows(ctx, rows); err != nil {
		return err
	}
	return v.write(p)
}

// noneOf draws a list that is narrowed to a merchant that there is not.
func (v *visit) noneOf(p templates.ConsoleList, err error) error {
	if err != nil {
		return err
	}
	p.None.Title, p.None.Text = v.t("console.none.found", v.query("merchant")), v.t("console.none.exact")
	return v.write(p)
}

func (v *visit) userFilters() ([]templates.Input, error) {
	roles := idp.Roles
	if !v.whole() {
		roles = slices.DeleteFunc(slices.Clone(roles), idp.Role.Operator)
	}
	return v.withPlace(manage.UserList, []templates.Input{{Name: "role", Label: "col.role", Kind: "select", Options: v.all(choices(v, "role.", idp.Role(v.query("role")), roles...))},
		{Name: "state", Label: "console.col.state", Kind: "select", Options: v.all(choices(v, "state.", v.query("state"), "active", "invited", "locked", "frozen", "disabled", "left"))}})
}

func (v *visit) merchantInput() templates.Input {
	return templates.Input{Name: "merchant", Label: "console.merchant.no", Value: v.query("merchant"), Mode: "numeric", Optional: true}
}

// withPlace adds the merchant and the store to filters. Who sees all merchants finds the
// store that the URL names, so that it can be taken away; a merchant's own people choose
// among the stores that are theirs.
func (v *visit) withPlace(act manage.Action, list []templates.Input) ([]templates.Input, error) {
	reach, err := manage.Reach(v.User, act)
	if err != nil {
		return nil, err
	}
	id := v.query("store")
	if reach.Merchant != "" {
		stores, err := v.Store.StoresBy(v.r.Context(), storage.StoreFilter{Merchant: reach.Merchant, ID: reach.Store}, 1000)
		if err != nil || reach.Store != "" || len(stores) < 2 {
			return list, err
		}
		return append(list, templates.Input{Name: "store", Label: "console.store", Kind: "select", Options: v.all(storeOptions(stores, id))}), nil
	}
	list = append(list, v.merchantInput())
	if id == "" {
		return list, nil
	}
	s, err := v.Store.Store(v.r.Context(), id)
	if err != nil && idp.KindOf(err) != idp.NotFound {
		return nil, err
	}
	return append(list, templates.Input{Name: "store", Label: "console.store", Kind: "select", Options: v.all([]templates.Option{{Value: id, Text: orDash(s.Name), Chosen: true}})}), nil
}

// A crowd is a page of people with what stands beside each in a list, read at once.
type crowd struct {
	merchants map[string]idp.Merchant
	stores    map[string]idp.Store
	names     map[string][]idp.Identifier
	methods   map[string][]idp.Method
}

func (v *visit) crowd(ctx context.Context, users []idp.User) (c crowd, err error) {
	var ids, merchants, stores []string
	for _, u := range users {
		ids, merchants, stores = append(ids, u.ID), append(merchants, u.MerchantID), append(stores, u.StoreID)
	}
	if c.names, err = v.Store.IdentifiersOf(ctx, ids); err != nil {
		return c, err
	}
	if c.methods, err = v.Store.MethodsOf(ctx, ids); err != nil {
		return c, err
	}
	if c.merchants, err = v.Store.MerchantsOf(ctx, merchants); err != nil {
		return c, err
	}
	c.stores, err = v.Store.StoresOf(ctx, stores)
	return c, err
}

// login is the name that one of them signs in with.
func (c crowd) login(user string) string {
	for _, n := range c.names[user] {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			return n.Value
		}
	}
	return ""
}

// masked are somebody's present phones or addresses as pages may show them.
func (c crowd) masked(user string, kind idp.IdentifierKind) string {
	var list []string
	for _, n := range c.names[user] {
		if n.Kind == kind && n.RemovedAt.IsZero() {
			list = append(list, n.Masked())
		}
	}
	return strings.Join(list, " ")
}

// staffColumns are those of a merchant's own list, which needs no merchant.
var staffColumns = []string{"console.col.name", "console.col.login", "col.role", "console.store", "console.col.state", "col.second"}

func (v *visit) userRows(ctx context.Context, users []idp.User) (rows [][]templates.Cell, err error) {
	c, err := v.crowd(ctx, users)
	for _, u := range users {
		name, login, role := templates.Cell{Text: u.Name}, templates.Cell{Text: orDash(c.login(u.ID)), Mono: true}, templates.Cell{Key: "role." + string(u.Role)}
		if v.mayWith(manage.UserView, manage.OfUser(u)) {
			name.URL = "/console/users/" + u.ID
		}
		row := []templates.Cell{name, login, {Text: orDash(c.merchants[u.MerchantID].LegalName)}, role}
		if !v.whole() {
			row = []templates.Cell{name, login, role, workplace(u, c.stores)}
		}
		rows = append(rows, append(row, small(templates.Cell{State: userState(u)}, v.leaves(u)), templates.Cell{Text: v.second(c.methods[u.ID])}))
	}
	return rows, err
}

// leaves says when somebody leaves, "" when he does not.
func (v *visit) leaves(u idp.User) string {
	if u.LeavesAt.IsZero() {
		return ""
	}
	return v.t("console.user.leaves", templates.Frame{Lang: v.lang, Zone: v.zone(), Now: time.Now()}.Date(lastDay(u, v.zone())))
}

var userExportColumns = []string{"console.id", "console.col.name", "console.col.login", "console.user.phone", "console.user.email", "console.merchant.no", "console.merchant", "console.store",
	"col.role", "console.col.state", "col.second", "console.col.created"}

func (v *visit) exportUsers(at string) (rows [][]string, next string, err error) {
	ctx := v.r.Context()
	f, found, err := v.userFilter(at)
	if err != nil || !found {
		return nil, "", err
	}
	users, err := v.Store.Users(ctx, f, exportPage)
	if err != nil {
		return nil, "", err
	}
	c, err := v.crowd(ctx, users)
	for _, u := range users {
		m := c.merchants[u.MerchantID]
		rows = append(rows, []string{u.ID, u.Name, c.login(u.ID), c.masked(u.ID, idp.IdentifierPhone), c.masked(u.ID, idp.IdentifierEmail), m.No, m.LegalName, c.stores[u.StoreID].Name,
			v.t("role." + string(u.Role)), v.state(userState(u)), v.second(c.methods[u.ID]), v.stamp(u.CreatedAt)})
	}
	return rows, after(users, func(u idp.User) string { return u.ID }), err
}

// state is a state in words.
func (v *visit) state(name string) string {
	return templates.Frame{Lang: v.lang}.Or("state."+name, name)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// second names the second factors that a person holds.
func (v *visit) second(methods []idp.Method) string {
	var names []string
	for _, m := range methods {
		if name := v.factor(m); m != idp.MethodPassword && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return v.t("console.no_factor")
	}
	return strings.Join(names, v.t("comma"))
}

func (v *visit) factor(m idp.Method) string {
	switch m {
	case idp.MethodPassword, idp.MethodTOTP, idp.MethodSMS, idp.MethodMail:
		return v.t("factor." + string(m))
	}
	return v.t("console.factor." + string(m))
}

// person finds the user whom an exact login name names, "" when nobody has it or he is
// none of the visitor's.
func (v *visit) person(typed string) (string, error) {
	kind, value, ok := normal.Identifier(typed)
	if !ok {
		return "", nil
	}
	u, err := v.Store.UserByIdentifier(v.r.Context(), kind, value)
	if idp.KindOf(err) == idp.NotFound && err != nil {
		return "", nil
	}
	if err == nil && !v.mayWith(manage.UserView, manage.OfUser(u)) {
		return "", nil
	}
	return u.ID, err
}

func (v *visit) userOfPath() (idp.User, error) {
	id, err := v.id()
	if err != nil {
		return idp.User{}, err
	}
	return v.Store.User(v.r.Context(), id)
}

// userSeen says whether what is about a person may be drawn now. Whoever owes no
// reason has looked by this.
func (v *visit) userSeen(id string) (bool, error) {
	seen, err := v.Manage.Looked(v.r.Context(), v.actor(), id)
	if err == nil && !seen && manage.May(v.User.Role, manage.UserView).Level() == manage.Yes {
		return true, v.Manage.Look(v.r.Context(), v.actor(), id)
	}
	return seen, err
}

// userOpen is the gate of all that is about a person: he is the visitor's to see, and
// unless he was looked at, it has sent the browser to give a reason, and from there back.
func (v *visit) userOpen(u idp.User) (bool, error) {
	if err := manage.Allowed(v.User, v.action, manage.OfUser(u)); err != nil {
		return false, err
	}
	if seen, err := v.userSeen(u.ID); err != nil || seen {
		return seen, err
	}
	return false, v.askWhy("/console/users/"+u.ID+"/look", back(v.r))
}

// userMine opens the page of a look itself.
func (v *visit) userMine() (bool, error) {
	u, err := v.userOfPath()
	if err == nil {
		err = manage.Allowed(v.User, v.action, manage.OfUser(u))
	}
	return err == nil, err
}

func (v *visit) userPathOpen() (bool, error) {
	u, err := v.userOfPath()
	if err != nil {
		return false, err
	}
	return v.userOpen(u)
}

// enableOpen: to bring back one of the operator's own asks for what that row of the
// table asks.
func (v *visit) enableOpen() (bool, error) {
	u, err := v.userOfPath()
	if err != nil {
		return false, err
	}
	if open, err := v.userOpen(u); err != nil || !open || !u.Role.Operator() {
		return open, err
	}
	return v.proved(manage.StaffEnable, true)
}

// user is everything about one person on one page.
func (v *visit) user() error {
	u, err := v.userOfPath()
	if err != nil {
		return err
	}
	if open, err := v.userOpen(u); err != nil || !open {
		return err
	}
	ctx := v.r.Context()
	p := templates.ConsoleObject{Desk: v.desk("/console/users"), Saved: v.note(), Crumbs: v.userCrumbs(u, ""), Title: u.Name, State: userState(u),
		Pills: []string{v.t("role." + string(u.Role))}, FactsKey: "console.user.facts", Acts: v.userActs(u), EventsURL: "/console/users/" + u.ID + "/events"}
	if p.Facts, err = v.userFacts(ctx, u); err != nil {
		return err
	}
	if p.Notes, err = v.userNotes(u); err != nil {
		return err
	}
	if p.Events, err = v.trail(ctx, storage.EventFilter{Subject: u.ID}); err != nil {
		return err
	}
	for _, block := range []func(context.Context, idp.User) (templates.Block, error){v.factorBlock, v.sessionBlock, v.grantBlock, v.approvalBlock, v.caseBlock, v.messageBlock} {
		b, err := block(ctx, u)
		if err != nil {
			return err
		}
		if b.ID == "" { // not for this visitor
			continue
		}
		p.Blocks = append(p.Blocks, b)
	}
	return v.write(p)
}

func (v *visit) userCrumbs(u idp.User, leaf string) []templates.Crumb {
	list := templates.Crumb{Text: v.t(v.peopleKey())}
	if v.may(manage.UserList) {
		list.URL = "/console/users"
	}
	return crumbs(list, u.Name, "/console/users/"+u.ID, leaf)
}

func (v *visit) userActs(u idp.User) []templates.ActLink {
	var out []templates.ActLink
	offer := func(act manage.Action, works bool, name string, danger bool) {
		if works && manage.MayOnUser(v.User, u, act) {
			out = append(out, templates.ActLink{Key: "console.user." + name, URL: "/console/users/" + u.ID + "/" + name, Danger: danger})
		}
	}
	if v.may(manage.PolicyRead) {
		out = append(out, templates.ActLink{Key: "console.user.policy", URL: "/console/policies/effective?user=" + u.ID})
	}
	usable := u.Status == idp.UserActive || u.Status == idp.UserInvited
	offer(manage.UserUnlock, u.Locked != "", "unlock", false)
	offer(manage.UserEnable, u.Status == idp.UserDisabled, "enable", false)
	offer(manage.UserInvite, u.Status == idp.UserInvited, "invite-again", false)
	offer(manage.RoleChange, usable, "role", false)
	offer(manage.StaffRole, usable && u.Role.Operator(), "staff-role", false)
	if u.Status == idp.UserActive && v.may(manage.CaseOpen) && manage.MayWorkOn(v.User, u) {
		out = append(out, templates.ActLink{Key: "console.case.new", URL: "/console/cases/new?user=" + u.ID})
	}
	offer(manage.UserReveal, true, "reveal", false)
	offer(manage.UserDocuments, usable, "documents", false)
	offer(manage.StaffTeam, usable && u.Role.Operator(), "team", false)
	offer(manage.UserEnd, u.Status == idp.UserActive, "end-sessions", false)
	offer(manage.UserLock, usable && u.Locked == "", "lock", true)
	offer(manage.UserDisable, usable, "disable", true)
	offer(manage.UserHelp, u.Reason(time.Now()) == "" && !u.Frozen, "help", false)
	offer(manage.UserLeave, usable || u.Status == idp.UserDisabled, "leaving", false)
	offer(manage.UserLeave, usable || u.Status == idp.UserDisabled, "leave", true)
	offer(manage.StaffLeave, u.Role.Operator() && (usable || u.Status == idp.UserDisabled), "staff-leave", true)
	return out
}

// userNotes say why the account stands where it stands, and the way out.
func (v *visit) userNotes(u idp.User) (notes []templates.Note, err error) {
	events := map[string]string{"locked": "lock.account", "disabled": "account.disabled", "left": "staff.left"}
	tone := "warn"
	state := userState(u)
	if state == "locked" {
		tone = "bad"
	}
	if notes, err = v.why(storage.EventFilter{Subject: u.ID}, events[state], tone); err != nil {
		return nil, err
	}
	if state == "left" && len(notes) == 0 { // by himself: his last day was over
		if notes, err = v.why(storage.EventFilter{Subject: u.ID}, "account.left", tone); err != nil {
			return nil, err
		}
	}
	if leaves := v.leaves(u); leaves != "" {
		notes = append(notes, templates.Note{Tone: "warn", Icon: "info", Text: leaves})
	}
	for _, other := range []struct {
		is         bool
		tone, icon string
		key        string
	}{{state == "invited", "", "mail", "console.user.invited_note"}, {u.Frozen, "warn", "freeze", "console.user.frozen_note"},
		{u.MustChange, "", "lock", "console.user.must_change_note"}, {u.ID == v.User.ID, "", "user", "console.user.self_note"}} {
		if other.is {
			notes = append(notes, templates.Note{Tone: other.tone, Icon: other.icon, Text: v.t(other.key)})
		}
	}
	return notes, nil
}

// why tells who brought a thing into its state, when and for what reason: from the
// newest event of the name.
func (v *visit) why(f storage.EventFilter, event, tone string) ([]templates.Note, error) {
	if event == "" {
		return nil, nil
	}
	f.Name = event
	list, err := v.Store.Events(v.r.Context(), f, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	e := list[0]
	names := v.names()
	text := v.t("console.why", v.moment(e.At), v.t("event."+e.Name), names.of(e.Actor), orDash(names.reason(e)))
	return []templates.Note{{Tone: tone, Icon: "lock", Text: text}}, nil
}

// reason is a reason code in words, or the words themselves.
func (v *visit) reason(s string) string {
	f := templates.Frame{Lang: v.lang}
	return f.Or("reason."+s, orDash(s))
}

func (v *visit) moment(t time.Time) string {
	return templates.Frame{Lang: v.lang, Zone: v.zone(), Now: time.Now()}.Moment(t)
}

func (v *visit) zone() *time.Location {
	if v.Site.Zone != nil {
		return v.Site.Zone
	}
	return time.FixedZone("UTC+8", 8*60*60)
}

func (v *visit) userFacts(ctx context.Context, u idp.User) ([]templates.Fact, error) {
	names, err := v.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	by := map[idp.IdentifierKind][]templates.Cell{}
	for _, n := range names {
		c := templates.Cell{Text: n.Masked(), Mono: true}
		switch {
		case n.Former:
			c.Small = v.t("console.user.former")
		case !n.RemovedAt.IsZero():
			c.Small = v.t("console.user.removed", v.moment(n.RemovedAt))
		case n.Kind == idp.IdentifierPhone, n.Kind == idp.IdentifierEmail:
			c.Small = v.t("console.user.unproved")
			if !n.VerifiedAt.IsZero() {
				c.Small = v.t("console.user.proved", v.moment(n.LastProvenAt))
			}
		}
		by[n.Kind] = append(by[n.Kind], c)
	}
	facts := []templates.Fact{{Key: "col.login", Lines: by[idp.IdentifierUsername]}, {Key: "console.user.phone", Lines: by[idp.IdentifierPhone]}, {Key: "console.user.email", Lines: by[idp.IdentifierEmail]}}
	if u.MerchantID != "" {
		m, err := v.Store.Merchant(ctx, u.MerchantID)
		if err != nil {
			return nil, err
		}
		lines := []templates.Cell{v.merchantCell(m)}
		if known, err := v.knowsMerchant(m.ID); err != nil {
			return nil, err
		} else if known {
			lines[0].Small = m.No
		}
		if m.Status != idp.MerchantActive {
			lines = append(lines, templates.Cell{State: merchantState(m.Status)})
		}
		facts = append(facts, templates.Fact{Key: "console.merchant", Lines: lines})
	}
	if u.Team != "" && v.whole() {
		facts = append(facts, templates.Fact{Key: "console.user.team_label", Lines: []templates.Cell{{Text: u.Team}}})
	}
	if u.StoreID != "" {
		s, err := v.Store.Store(ctx, u.StoreID)
		if err != nil {
			return nil, err
		}
		facts = append(facts, templates.Fact{Key: "console.store", Lines: []templates.Cell{v.storeCell(s)}})
	}
	return append(facts, templates.Fact{Key: "console.user.language", Lines: []templates.Cell{{Text: templates.T(u.Language, "language.name")}}},
		templates.Fact{Key: "console.col.created", Lines: []templates.Cell{{Time: u.CreatedAt}}}, templates.Fact{Key: "console.id", Lines: []templates.Cell{{Text: u.ID, Mono: true}}}), nil
}

func (v *visit) factorBlock(ctx context.Context, u idp.User) (templates.Block, error) {
	creds, err := v.Store.Credentials(ctx, u.ID)
	b := templates.Block{ID: "factors", Key: "console.user.factors", None: "console.none.factors", Table: templates.Table{Caption: "console.user.factors",
		Columns: []string{"console.col.method", "console.col.label", "console.col.created", "col.seen", "console.col.state"}}}
	for _, c := range creds {
		state := templates.Cell{State: "usable"}
		switch {
		case c.Blocked != "":
			state = templates.Cell{State: "blocked", Small: v.reason(c.Blocked)}
		case c.Closed:
			state = templates.Cell{State: "shut"}
		}
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{{Text: v.factor(c.Method)}, {Text: orDash(c.Label)}, {Time: c.CreatedAt}, {Time: c.LastUsedAt, Clock: true}, state})
	}
	return b, err
}

func (v *visit) sessionBlock(ctx context.Context, u idp.User) (templates.Block, error) {
	list, err := v.Store.Sessions(ctx, u.ID, time.Now())
	b := templates.Block{ID: "sessions", Key: "console.user.sessions", None: "console.none.sessions", Table: templates.Table{Caption: "console.user.sessions",
		Columns: []string{"col.device", "col.place", "col.started", "col.seen", "console.col.strength"}}}
	for _, s := range list {
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{{Text: orDash(s.Device)}, {Text: orDash(v.place(s.Network))}, {Time: s.CreatedAt}, {Time: s.LastSeenAt, Clock: true},
			{Key: fmt.Sprintf("console.acr.%d", idp.Assess(s.Proofs).ACR)}})
	}
	return b, err
}

func (v *visit) grantBlock(ctx context.Context, u idp.User) (templates.Block, error) {
	list, err := v.Store.Grants(ctx, u.ID)
	b := templates.Block{ID: "grants", Key: "console.user.grants", None: "console.none.grants", Table: templates.Table{Caption: "console.user.grants",
		Columns: []string{"console.col.app", "console.col.scopes", "console.col.allowed", "console.col.until"}}}
	for _, g := range list {
		app, err := v.grantee(ctx, g)
		if err != nil {
			return b, err
		}
		var can []string
		for _, s := range g.Scopes {
			can = append(can, templates.Frame{Lang: v.lang}.Scope(s))
		}
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{app, {Text: orDash(strings.Join(can, v.t("comma")))}, {Time: g.CreatedAt}, {Time: g.ExpiresAt, Clock: true}})
	}
	return b, err
}

// grantee is the application or the terminal that a grant is for.
func (v *visit) grantee(ctx context.Context, g idp.Grant) (templates.Cell, error) {
	cell := templates.Cell{Text: g.ClientID}
	if c, err := v.Store.Client(ctx, g.ClientID); err == nil {
		cell.Text = c.Name
	}
	if g.TerminalID != "" {
		t, err := v.Store.Terminal(ctx, g.TerminalID)
		if err != nil {
			return cell, err
		}
		cell.Small = v.t("console.terminal.short", t.Model, t.SerialTail())
	}
	return cell, nil
}

// aboutMost bounds what a person's page lists of a kind: the newest.
const aboutMost = 10

// approvalBlock lists the terminals whose sign-in this person approved, each with its
// last approval, as far as his newest approvals tell.
func (v *visit) approvalBlock(ctx context.Context, u idp.User) (templates.Block, error) {
	b := templates.Block{ID: "approved", Key: "console.user.approved", None: "console.none.approved", Table: templates.Table{Caption: "console.user.approved",
		Columns: []string{"console.terminals", "console.col.state", "console.user.approved_at", "col.place"}}}
	list, err := v.Store.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "device.approved"}, 20*aboutMost)
	if err != nil {
		return b, err
	}
	seen := map[string]bool{"": true}
	for _, e := range list {
		if seen[e.Terminal] || len(b.Table.Rows) == aboutMost {
			continue
		}
		seen[e.Terminal] = true
		t, err := v.Store.Terminal(ctx, e.Terminal)
		if err != nil && idp.KindOf(err) == idp.NotFound {
			continue
		}
		if err != nil {
			return b, err
		}
		if !v.mayWith(manage.TerminalView, manage.OfTerminal(t)) {
			continue
		}
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{{Text: v.t("console.terminal.short", t.Model, t.SerialTail()), URL: "/console/terminals/" + t.ID}, {State: string(t.State)},
			{Time: e.At}, {Text: orDash(v.place(e.Network))}})
	}
	return b, nil
}

// caseBlock lists the cases about a person, for whoever may read them.
func (v *visit) caseBlock(ctx context.Context, u idp.User) (templates.Block, error) {
	if !manage.MayCase(v.User, u) {
		return templates.Block{}, nil
	}
	b := templates.Block{ID: "cases", Key: "console.cases", None: "console.none.cases", Table: templates.Table{Caption: "console.cases",
		Columns: []string{"console.case.no", "console.case.kind", "console.col.state", "console.case.due"}}}
	list, err := v.Store.Cases(ctx, storage.CaseFilter{User: u.ID}, aboutMost)
	for _, c := range list {
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{{Text: c.Number, Mono: true, URL: "/console/cases/" + c.ID}, v.caseKind(c), {State: c.Stands(time.Now())}, {Time: c.DueAt}})
	}
	return b, err
}

// messageBlock lists what a person was sent: whether it arrived, never what it said.
func (v *visit) messageBlock(ctx context.Context, u idp.User) (templates.Block, error) {
	if !v.may(manage.MessageRead) {
		return templates.Block{}, nil
	}
	b := templates.Block{ID: "messages", Key: "console.messages", None: "console.none.messages", Table: templates.Table{Caption: "console.messages",
		Columns: []string{"console.message.what", "console.col.when", "console.col.state"}}}
	if v.may(manage.MessageResend) {
		b.Table.Columns = append(b.Table.Columns, "console.message.act")
	}
	list, err := v.Store.MessageHeads(ctx, storage.MessageFilter{User: u.ID}, aboutMost)
	for _, m := range list {
		state := templates.Cell{State: string(m.State())}
		if m.Trouble != "" {
			state.Small = v.trouble(m).Text
		}
		name := v.messageName(m)
		name.Small = m.Masked()
		row := []templates.Cell{name, {Time: m.CreatedAt}, state}
		if v.may(manage.MessageResend) {
			row = append(row, v.resendLink(m))
		}
		b.Table.Rows = append(b.Table.Rows, row)
	}
	return b, err
}

func (v *visit) askLook() (templates.ConsoleForm, error) {
	u, err := v.userOfPath()
	return v.userLook(u.ID, plain(v.r.PostFormValue("typed"))), err
}

// userLook asks for the reason of a look. It says no more of the person than what
// was typed to find him.
func (v *visit) userLook(id, typed string) templates.ConsoleForm {
	title := v.t("console.look.this_user")
	if typed != "" {
		title = v.t("console.look.user", typed)
	}
	return v.lookForm(title, "console.look.user_lead", "console.users", manage.UserList, "/console/users", id, typed)
}

func (v *visit) look() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return v.wanted("/console/users/" + id), v.Manage.Look(v.r.Context(), v.actor(), id)
}

// userAct is the question before an act on an account.
func userAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		u, err := v.userOfPath()
		if err != nil {
			return templates.ConsoleForm{}, err
		}
		login, err := v.login(v.r.Context(), u.ID)
		key := "console.user." + name
		if err != nil {
			return templates.ConsoleForm{}, err
		}
		p := templates.ConsoleForm{Desk: v.desk("/console/users"), Title: v.t(key+"_title", u.Name), Lead: v.t(key + "_lead"), Crumbs: v.userCrumbs(u, v.t(key)),
			Facts:  []templates.Fact{{Key: "col.login", Lines: []templates.Cell{{Text: login, Mono: true}}}, {Key: "col.role", Lines: []templates.Cell{{Key: "role." + string(u.Role)}}}, {Key: "console.col.state", Lines: []templates.Cell{{State: userState(u)}}}},
			Inputs: []templates.Input{v.reasonField()}, Submit: key, Danger: danger, Cancel: "/console/users/" + u.ID}
		if v.action == manage.UserEnable && u.Role.Operator() { // which the row of the route does not say
			p.Submit = "approval.ask"
			err = v.needsSecond(&p, manage.StaffEnable, "approval.note")
		}
		return p, err
	}
}

// operatorPathOpen is userPathOpen for one of the operator's own.
func (v *visit) operatorPathOpen() (bool, error) {
	u, err := v.userOfPath()
	if err == nil && !u.Role.Operator() {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	if err != nil {
		return false, err
	}
	return v.userOpen(u)
}

// askStaffRole is the form of another role for one of the operator's own.
func (v *visit) askStaffRole() (templates.ConsoleForm, error) {
	p, err := userAct("staff-role", false)(v)
	if err != nil {
		return p, err
	}
	u, err := v.userOfPath()
	p.Inputs = append([]templates.Input{{Name: "role", Label: "col.role", Kind: "select", Options: choices(v, "role.", u.Role, manage.OperatorRoles...)}}, p.Inputs...)
	p.Inputs = append(p.Inputs, templates.Input{Name: "was", Kind: "hidden", Value: string(u.Role)})
	return p, err
}

func (v *visit) changeStaffRole() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	in := manage.NewRole{User: id, Was: idp.Role(v.r.PostFormValue("was")), To: idp.Role(v.r.PostFormValue("role"))}
	return "/console/users/" + id + "?saved=changed", v.Manage.ChangeStaffRole(v.r.Context(), v.actor(), in)
}

func userDo(do act, saved string) func(v *visit) (string, error) {
	return doAt("/console/users/", do, saved)
}

// invitable are the roles that operators invite.
var invitable = []idp.Role{idp.RoleOwner, idp.RolePolicyAdmin, idp.RoleSupportAgent, idp.RoleSupportSupervisor, idp.RoleAuditor}

func (v *visit) newUser() (templates.ConsoleForm, error) {
	role := idp.Role(v.query("role"))
	if !slices.Contains(invitable, role) {
		role = idp.RoleOwner
	}
	p := templates.ConsoleForm{Desk: v.desk("/console/users"), Title: v.t("console.user.new"), Lead: v.t("console.user.new_lead", int(v.Manage.Policy.Now().Links.Invite.Hours()/24)),
		Crumbs: []templates.Crumb{{Text: v.t("console.users"), URL: "/console/users"}, {Text: v.t("console.user.new")}},
		Inputs: []templates.Input{{Name: "name", Label: "console.col.name", Most: 64}, {Name: "role", Label: "col.role", Hint: "console.user.role_hint", Kind: "select", Options: choices(v, "role.", role, invitable...)},
			{Name: "merchant_no", Label: "console.merchant.no", Hint: "console.user.merchant_hint", Mode: "numeric", Most: 40, Value: v.query("merchant_no"), Optional: true},
			{Name: "username", Label: "console.user.username", Hint: "console.user.username_hint", Most: 64},
			{Name: "email", Label: "console.user.email", Type: "email", Optional: true}, {Name: "phone", Label: "console.user.phone", Hint: "console.user.channel_hint", Type: "tel", Most: 40, Optional: true},
			{Name: "language", Label: "console.user.language", Kind: "select", Options: languageOptions()}, reasonInput()},
		Submit: "console.user.invite", Cancel: "/console/users"}
	return p, v.needsSecond(&p, manage.StaffNew, "approval.note_staff")
}

func languageOptions() []templates.Option {
	var out []templates.Option
	for i, l := range templates.Languages() {
		out = append(out, templates.Option{Value: l.Tag, Text: l.Name, Chosen: i == 0})
	}
	return out
}

func (v *visit) createUser() (string, error) {
	f := v.r.PostFormValue
	u, err := v.Manage.CreateUser(v.r.Context(), v.actor(), manage.NewUser{Name: f("name"), Role: idp.Role(f("role")), MerchantNo: f("merchant_no"), Username: f("username"),
		Phone: f("phone"), Email: f("email"), Language: f("language")})
	if err != nil {
		return "", err
	}
	if err := v.Manage.Look(v.r.Context(), v.actor(), u.ID); err != nil {
		return "", err
	}
	return "/console/users/" + u.ID + "?saved=invited", nil
}
