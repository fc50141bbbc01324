package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// clients lists applications by kind and state. All of them are in memory: they are few.
func (v *visit) clients() error {
	c := v.cursor("after")
	list, err := v.clientsAfter(c.at)
	if err != nil {
		return err
	}
	filters, err := v.clientFilters()
	p := templates.ConsoleList{Desk: v.desk("/console/clients"), Title: "console.clients", Saved: v.note(), Action: "/console/clients", Filters: filters, Export: v.exportLink(),
		Table: templates.Table{Caption: "console.clients", Columns: []string{"console.col.label", "console.client.id", "console.client.kind", "console.col.state"}},
		None:  templates.Empty{Icon: "app", Title: v.t("console.none.clients")}}
	if v.may(manage.ClientNew) {
		p.NewURL, p.NewKey = "/console/clients/new", "console.client.new"
	}
	list, p.Pager = page(v, c, list, func(c idp.Client) string { return c.ID })
	for _, c := range list {
		p.Table.Rows = append(p.Table.Rows, []templates.Cell{{Text: c.Name, URL: "/console/clients/" + c.ID}, {Text: c.ID, Mono: true}, {Key: clientKind(c)}, {State: clientState(c)}})
	}
	if err != nil {
		return err
	}
	return v.write(p)
}

// clientsAfter are those that the URL narrows to, behind an id.
func (v *visit) clientsAfter(id string) ([]idp.Client, error) {
	all, err := v.Store.Clients(v.r.Context())
	kind, state := v.query("kind"), v.query("state")
	return slices.DeleteFunc(all, func(c idp.Client) bool {
		return c.ID <= id || kind != "" && clientKind(c) != "client."+kind || state != "" && clientState(c) != state
	}), err
}

func (v *visit) clientFilters() ([]templates.Input, error) {
	return []templates.Input{{Name: "kind", Label: "console.client.kind", Kind: "select", Options: v.all(choices(v, "client.", v.query("kind"), "public", "confidential"))},
		{Name: "state", Label: "console.col.state", Kind: "select", Options: v.all(choices(v, "state.", v.query("state"), "enabled", "disabled"))}}, nil
}

var clientExportColumns = []string{"console.client.id", "console.col.label", "console.client.kind", "console.col.state", "console.client.grants", "console.client.scopes", "console.client.redirects", "console.col.created"}

func (v *visit) exportClients(at string) (rows [][]string, next string, err error) {
	list, err := v.clientsAfter(at)
	list = list[:min(len(list), exportPage)]
	for _, c := range list {
		rows = append(rows, []string{c.ID, c.Name, v.t(clientKind(c)), v.state(clientState(c)), strings.Join(c.Grants, " "), strings.Join(c.Scopes, " "), strings.Join(c.Redirects, " "), v.stamp(c.CreatedAt)})
	}
	return rows, after(list, func(c idp.Client) string { return c.ID }), err
}

func clientKind(c idp.Client) string {
	if c.Public() {
		return "client.public"
	}
	return "client.confidential"
}

func clientState(c idp.Client) string {
	if c.Disabled {
		return "disabled"
	}
	return "enabled"
}

func (v *visit) clientOfPath() (idp.Client, error) {
	id, err := v.id()
	if err != nil {
		return idp.Client{}, err
	}
	return v.Store.Client(v.r.Context(), id)
}

// client is the page of one client; secrets are never on it.
func (v *visit) client() error {
	c, err := v.clientOfPath()
	if err != nil {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/clients"), Saved: v.note(), Crumbs: v.clientCrumbs(c, ""), Title: c.Name, State: clientState(c), Pills: []string{v.t(clientKind(c))},
		FactsKey: "console.facts", Acts: v.clientActs(c), EventsURL: "/console/events?client=" + c.ID}
	p.Facts = []templates.Fact{{Key: "console.client.id", Lines: []templates.Cell{{Text: c.ID, Mono: true}}}, {Key: "console.client.redirects", Lines: lines(c.Redirects)},
		{Key: "console.client.post_logout", Lines: lines(c.PostLogout)}, {Key: "console.col.created", Lines: []templates.Cell{{Time: c.CreatedAt}}}}
	scopes := templates.Block{ID: "scopes", Key: "console.client.scopes", None: "console.none.scopes", Table: templates.Table{Caption: "console.client.scopes", Columns: []string{"console.client.scope", "console.client.means"}}}
	for _, s := range c.Scopes {
		scopes.Table.Rows = append(scopes.Table.Rows, []templates.Cell{{Text: s, Mono: true}, {Text: templates.Frame{Lang: v.lang}.Scope(s)}})
	}
	types := templates.Block{ID: "types", Key: "console.client.grants", None: "console.none.scopes", Table: templates.Table{Caption: "console.client.grants", Columns: []string{"console.client.grant", "console.client.means"}}}
	for _, g := range c.Grants {
		types.Table.Rows = append(types.Table.Rows, []templates.Cell{{Text: g, Mono: true}, {Text: v.grantType(g)}})
	}
	p.Blocks = []templates.Block{types, scopes}
	event := ""
	if c.Disabled {
		event = "client.disabled"
	}
	if p.Notes, err = v.why(storage.EventFilter{Client: c.ID}, event, "warn"); err != nil {
		return err
	}
	if p.Events, err = v.trail(v.r.Context(), storage.EventFilter{Client: c.ID, Names: clientEvents}); err != nil {
		return err
	}
	return v.write(p)
}

// clientEvents are those about the client itself; what its users do with it is in
// the log.
var clientEvents = []string{"client.created", "client.changed", "client.disabled", "client.enabled", "client.secret"}

func (v *visit) grantType(g string) string {
	short := g[strings.LastIndexByte(g, ':')+1:]
	return templates.Frame{Lang: v.lang}.Or("console.grant."+short, g)
}

func lines(list []string) []templates.Cell {
	var out []templates.Cell
	for _, s := range list {
		out = append(out, templates.Cell{Text: s, Mono: true})
	}
	return out
}

func (v *visit) clientCrumbs(c idp.Client, leaf string) []templates.Crumb {
	return crumbs(templates.Crumb{Text: v.t("console.clients"), URL: "/console/clients"}, c.Name, "/console/clients/"+c.ID, leaf)
}

func (v *visit) clientActs(c idp.Client) []templates.ActLink {
	var out []templates.ActLink
	offer := func(act manage.Action, works bool, name string, danger bool) {
		if works && v.may(act) {
			out = append(out, templates.ActLink{Key: "console.client." + name, URL: "/console/clients/" + c.ID + "/" + name, Danger: danger})
		}
	}
	offer(manage.ClientChange, true, "change", false)
	offer(manage.ClientSecret, !c.Public(), "secret", false)
	offer(manage.ClientEnable, c.Disabled, "enable", false)
	offer(manage.ClientDisable, !c.Disabled, "disable", true)
	return out
}

func clientAct(name string, danger bool) func(v *visit) (templates.ConsoleForm, error) {
	return func(v *visit) (templates.ConsoleForm, error) {
		c, err := v.clientOfPath()
		key := "console.client." + name
		return templates.ConsoleForm{Desk: v.desk("/console/clients"), Title: v.t(key+"_title", c.Name), Lead: v.t(key + "_lead"), Crumbs: v.clientCrumbs(c, v.t(key)),
			Facts:  []templates.Fact{{Key: "console.client.id", Lines: []templates.Cell{{Text: c.ID, Mono: true}}}, {Key: "console.col.state", Lines: []templates.Cell{{State: clientState(c)}}}},
			Inputs: []templates.Input{reasonInput()}, Submit: key, Danger: danger, Cancel: "/console/clients/" + c.ID}, err
	}
}

func clientDo(do act) func(v *visit) (string, error) { return doAt("/console/clients/", do, "changed") }

func (v *visit) askSecret() (templates.ConsoleForm, error) {
	p, err := clientAct("secret", false)(v)
	if err != nil {
		return p, err
	}
	c, err := v.Store.ClientNow(v.r.Context(), v.r.PathValue("id"))
	p.Inputs = append([]templates.Input{{Name: "keep", Label: "console.client.keep", Hint: "console.client.keep_hint", Kind: "tick"}}, p.Inputs...)
	p.Inputs = append(p.Inputs, templates.Input{Name: "version", Kind: "hidden", Value: strconv.FormatInt(c.Version, 10)})
	return p, err
}

func (v *visit) newSecret() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	_, err = v.Manage.NewClientSecret(v.r.Context(), v.actor(), manage.NewSecret{ID: id, Seen: v.seenVersion(), Keep: v.r.PostFormValue("keep") == "1"})
	return "/console/clients/" + id + "?saved=changed", err
}

// seenVersion is the version of a thing that a form was drawn from.
func (v *visit) seenVersion() int64 {
	seen, _ := strconv.ParseInt(v.r.PostFormValue("version"), 10, 64) // no number is no version
	return seen
}

// askChange is the form of a client that there is, with what it holds now.
func (v *visit) askChange() (templates.ConsoleForm, error) {
	if _, err := v.clientOfPath(); err != nil {
		return templates.ConsoleForm{}, err
	}
	c, err := v.Store.ClientNow(v.r.Context(), v.r.PathValue("id"))
	var types []templates.Option
	for _, g := range manage.GrantTypes {
		types = append(types, templates.Option{Value: g, Text: v.grantType(g), Chosen: c.May(g)})
	}
	return templates.ConsoleForm{Desk: v.desk("/console/clients"), Title: v.t("console.client.change_title", c.Name), Lead: v.t("console.client.change_lead"), Crumbs: v.clientCrumbs(c, v.t("console.client.change")),
		Facts: []templates.Fact{{Key: "console.client.id", Lines: []templates.Cell{{Text: c.ID, Mono: true}}}, {Key: "console.client.kind", Lines: []templates.Cell{{Key: clientKind(c)}}}},
		Inputs: []templates.Input{{Name: "name", Label: "console.col.label", Hint: "console.client.name_hint", Most: 60, Value: c.Name}, {Name: "grants", Label: "console.client.grants", Kind: "checks", Options: types},
			{Name: "redirects", Label: "console.client.redirects", Hint: "console.client.redirects_hint", Kind: "area", Optional: true, Value: strings.Join(c.Redirects, "\n")},
			{Name: "post_logout", Label: "console.client.post_logout", Kind: "area", Optional: true, Value: strings.Join(c.PostLogout, "\n")},
			{Name: "scopes", Label: "console.client.scopes", Hint: "console.client.scopes_hint", Kind: "area", Value: strings.Join(c.Scopes, " ")}, reasonInput(),
			{Name: "version", Kind: "hidden", Value: strconv.FormatInt(c.Version, 10)}},
		Submit: "console.client.change", Cancel: "/console/clients/" + c.ID}, err
}

func (v *visit) changeClient() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	in := manage.ChangedClient{NewClient: v.typedClient(), Seen: v.seenVersion()}
	in.ID = id
	return "/console/clients/" + id + "?saved=changed", v.Manage.ChangeClient(v.r.Context(), v.actor(), in)
}

// typedClient is what the forms of a client have in common.
func (v *visit) typedClient() manage.NewClient {
	f := v.r.PostFormValue
	return manage.NewClient{Name: f("name"), Redirects: strings.Fields(f("redirects")), PostLogout: strings.Fields(f("post_logout")), Scopes: strings.Fields(f("scopes")), Grants: v.r.PostForm["grants"]}
}

// showSecret shows a secret in the answer itself: it must be in no URL.
func (v *visit) showSecret(c idp.Client, secret idp.Secret) error {
	v.w.Header().Set("Cache-Control", "no-store")
	return v.Site.Write(v.w, v.r, http.StatusOK, templates.ConsoleSecret{Desk: v.desk("/console/clients"), Crumbs: v.clientCrumbs(c, v.t("console.secret.title")),
		ClientID: c.ID, Secret: secret.Reveal(), Next: "/console/clients/" + c.ID})
}

func (v *visit) newClient() (templates.ConsoleForm, error) {
	var types []templates.Option
	for _, g := range manage.GrantTypes {
		types = append(types, templates.Option{Value: g, Text: v.grantType(g), Chosen: g == "authorization_code" || g == "refresh_token"})
	}
	return templates.ConsoleForm{Desk: v.desk("/console/clients"), Title: v.t("console.client.new"), Lead: v.t("console.client.new_lead"),
		Crumbs: []templates.Crumb{{Text: v.t("console.clients"), URL: "/console/clients"}, {Text: v.t("console.client.new")}},
		Inputs: []templates.Input{{Name: "name", Label: "console.col.label", Hint: "console.client.name_hint", Most: 60}, {Name: "id", Label: "console.client.id", Hint: "console.client.id_hint", Most: 64},
			{Name: "kind", Label: "console.client.kind", Hint: "console.client.kind_hint", Kind: "select", Options: choices(v, "client.", "public", "public", "confidential")},
			{Name: "grants", Label: "console.client.grants", Kind: "checks", Options: types},
			{Name: "redirects", Label: "console.client.redirects", Hint: "console.client.redirects_hint", Kind: "area", Optional: true},
			{Name: "post_logout", Label: "console.client.post_logout", Kind: "area", Optional: true},
			{Name: "scopes", Label: "console.client.scopes", Hint: "console.client.scopes_hint", Kind: "area", Value: "openid profile"}, reasonInput()},
		Submit: "console.client.create", Cancel: "/console/clients"}, nil
}

func (v *visit) createClient() (string, error) {
	in := v.typedClient()
	in.ID, in.Confidential = v.r.PostFormValue("id"), v.r.PostFormValue("kind") == "confidential"
	c, _, err := v.Manage.CreateClient(v.r.Context(), v.actor(), in)
	return "/console/clients/" + c.ID + "?saved=created", err
}
