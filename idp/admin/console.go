// Package admin is the console: pages for the operator's own staff and, of what is their
// own, for the owners and managers of merchants, thin over idp/manage.
//
// Routes: /console and below, listed once in routes. Each passes one gate: signed
// in, the row of manage's table that the route names, two factors, and for acts a fresh
// proof. Every POST has a GET at the same path that draws its
// form, so a step-up or a change of language comes back to where it was asked.
// Names and numbers are looked for by POST: what was typed stands in no URL.
//
// Invariants: no handler decides by role what manage's table decides; what is another
// merchant's is not found; a page about
// another person or merchant, and every form about one, opens only after a look was
// recorded, and names nobody before; identifiers are masked; nothing is read from a form
// but the fields it names. It never calls flows or idp/oidc.
package admin

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// Console serves the console's pages.
type Console struct {
	Manage *manage.Manager
	Site   *web.Site
	Store  *storage.Store
	// Passkeys says whether there are any: an issuer without a name has none, and asks for two
	// factors where policy asks for a passkey, as its sign-in does.
	Passkeys bool
	// Version and Replica name the program that serves this page.
	Version, Replica string
}

// A visit is one request of somebody who passed the gate.
type visit struct {
	*Console
	w http.ResponseWriter
	r *http.Request
	*session.Signed
	lang   string
	action manage.Action // of the route
	stale  bool          // the proof grew too old while the form was filled in: nothing is done
}

// A route is a pattern, the row of the table that it needs, and what serves it.
type route struct {
	pattern string
	action  manage.Action
	fresh   bool // a proof of possession is younger than policy asks of acts
	serve   func(v *visit) error
}

// Routes registers every page.
func (c *Console) Routes(mux *http.ServeMux) {
	for _, rt := range c.routes() {
		mux.Handle(rt.pattern, c.Site.Page(c.gate(rt)))
	}
}

// routes is the list of pages. What changes something is fresh.
func (c *Console) routes() []route {
	list := []route{
		{"GET /console", manage.Console, false, (*visit).dashboard},
		{"GET /console/find", manage.Console, false, (*visit).findPage},
		{"POST /console/find", manage.Console, false, (*visit).find},
		{"GET /console/merchants", manage.MerchantList, false, (*visit).merchants},
		{"GET /console/merchants/{id}", manage.MerchantView, false, (*visit).merchant},
		{"GET /console/stores", manage.StoreList, false, (*visit).stores},
		{"GET /console/stores/{id}", manage.StoreView, false, (*visit).store},
		{"GET /console/users", manage.UserList, false, (*visit).users},
		{"GET /console/users/{id}", manage.UserView, false, (*visit).user},
		{"GET /console/users/{id}/events", manage.EventSubject, false, (*visit).userEvents},
		{"GET /console/handovers/{id}", manage.HandoverView, false, (*visit).handover},
		{"GET /console/clients", manage.ClientRead, false, (*visit).clients},
		{"GET /console/clients/{id}", manage.ClientRead, false, (*visit).client},
		{"GET /console/terminals", manage.TerminalList, false, (*visit).terminals},
		{"GET /console/terminals/{id}", manage.TerminalView, false, (*visit).terminal},
		{"GET /console/events", manage.EventRead, false, (*visit).events},
		{"POST /console/events", manage.EventRead, false, (*visit).narrowEvents},
		{"GET /console/explain/{id}", manage.ExplainRead, false, (*visit).explain},
		{"GET /console/kit", manage.KitCheck, false, (*visit).kitPage},
		{"POST /console/kit", manage.KitCheck, false, (*visit).checkKit},
		{"GET /console/messages", manage.MessageRead, false, (*visit).messages},
		{"GET /console/cases", manage.CaseRead, false, (*visit).cases},
		{"GET /console/cases/{id}", manage.CaseRead, false, (*visit).oneCase},
		{"GET /console/approvals", manage.ApprovalRead, false, (*visit).approvals},
		{"GET /console/approvals/{id}", manage.ApprovalRead, false, (*visit).oneApproval},
		{"GET /console/keys", manage.KeyRead, false, (*visit).keys},
		{"GET /console/health", manage.HealthRead, false, (*visit).health},
	}
	list = append(list, policyRoutes...)
	for _, f := range slices.Concat(exportForms(), forms, policyForms, handoverForms) {
		list = append(list, route{"GET " + f.path, f.action, f.fresh, func(v *visit) error { return v.show(f) }},
			route{"POST " + f.path, f.action, f.fresh, func(v *visit) error { return v.submit(f) }})
	}
	return list
}

// gate lets in whom a route is for.
func (c *Console) gate(rt route) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		web.SameOriginForms(w)
		signed, err := c.Site.Sessions.Signed(r)
		if err != nil {
			return err
		}
		if signed == nil {
			// What policy asks of the person: a cashier need not bind an authenticator
			// only to hear that this is not for him.
			return c.Site.Require(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: back(r)})
		}
		v := &visit{Console: c, w: w, r: r, Signed: signed, lang: c.Site.Lang(r), action: rt.action}
		if err := manage.Check(signed.User, rt.action); err != nil {
			if manage.Check(signed.User, manage.Console) != nil {
				return v.notForYou()
			}
			return err
		}
		if rt.fresh && signed.User.Frozen && !manage.Safe(signed.User.Role, rt.action) {
			return idp.Errorf(idp.Forbidden, "account.frozen_first")
		}
		if ok, err := v.proved(rt.action, rt.fresh); err != nil || !ok {
			return err
		}
		return rt.serve(v)
	}
}

// back is where a request comes back to after a flow.
func back(r *http.Request) string {
	if r.Method == http.MethodPost {
		return r.URL.Path
	}
	return r.URL.RequestURI()
}

// proved holds the session to what an act asks: two factors always and, if fresh,
// possession shown lately, or all of it where the act says so; a passkey for grave acts. What a person may stop
// he may stop with what he signed in with. Otherwise it has sent the browser to prove it,
// but never away from a form that was filled in: then the visit is stale.
func (v *visit) proved(act manage.Action, fresh bool) (bool, error) {
	if manage.Safe(v.User.Role, act) {
		return true, nil
	}
	d := idp.Demand{Kind: idp.FlowStepUp, ACR: idp.ACR2, User: v.User.ID, Return: back(v.r)}
	twice := d.Met(v.Session.Proofs)
	if fresh {
		d.One, d.Since = !manage.Whole(act), time.Now().Add(-v.age(act))
		if v.grave(act) && v.Passkeys { // whoever has no passkey is led to add one, or back
			d.ACR, d.Else = v.Manage.Policy.For(v.Facts()).StepUp.ConsoleACR, "/console"
		}
	}
	switch {
	case d.Met(v.Session.Proofs):
		return true, nil
	case twice && v.r.Method == http.MethodPost:
		v.stale = true
		return true, nil
	}
	return false, v.Site.Require(v.w, v.r, d)
}

// grave says whether an act is one that policy asks a passkey for: of the operator's people.
// A merchant's own, who act on what is theirs, show two factors.
func (v *visit) grave(act manage.Action) bool {
	return manage.Grave(act) && manage.May(v.User.Role, act).Scope() == manage.Everything
}

// age is how old the proof for an act may be. The form asks a little more than the
// act, so that there is time to fill it in.
func (v *visit) age(act manage.Action) time.Duration {
	need := v.Manage.Policy.For(v.Facts()).StepUp
	age := need.ConsoleAct
	switch {
	case act == manage.PolicyEmergency:
		age = need.ConsoleEmergency
	case v.grave(act):
		age = need.ConsoleSecret
	case manage.May(v.User.Role, act).Scope() != manage.Everything: // a merchant's own people
		age = need.Own
	}
	if v.r.Method == http.MethodGet {
		age = age * 2 / 3
	}
	return age
}

// actor is who acts, with the reason of the form.
func (v *visit) actor() manage.Actor {
	return manage.Actor{User: v.User, Session: v.Session.ID, Network: web.Network(v.r.Context()), Reason: v.r.PostFormValue("reason")}
}

func (v *visit) t(key string, args ...any) string { return templates.T(v.lang, key, args...) }

func (v *visit) write(c templates.Content) error { return v.Site.Write(v.w, v.r, http.StatusOK, c) }

// may says whether to offer an act.
func (v *visit) may(act manage.Action) bool { return manage.Check(v.User, act) == nil }

// mayWith says whether to offer an act on a thing.
func (v *visit) mayWith(act manage.Action, of manage.Target) bool {
	return manage.Allowed(v.User, act, of) == nil
}

// whole says whether the visitor's console is of everything, not of a merchant's own.
func (v *visit) whole() bool {
	return v.may(manage.Console) && manage.May(v.User.Role, manage.Console).Scope() == manage.Everything
}

// id is the name of a thing in the path. What can be no name is not found.
func (v *visit) id() (string, error) {
	id := v.r.PathValue("id")
	if id == "" || len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != "" {
		return "", idp.Errorf(idp.NotFound, "error.notfound")
	}
	return id, nil
}

// query is a parameter of the URL as far as a database can be asked for it.
func (v *visit) query(name string) string { return plain(v.r.URL.Query().Get(name)) }

// plain drops what no name, number or key holds: broken encoding, control
// characters, more than anybody types.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > 254 {
		return ""
	}
	return strings.TrimSpace(s)
}

// saved lists what may be said after a form was saved.
var saved = []string{"asked", "approved", "refused", "withdrawn", "created", "invited", "invited-again", "changed", "ended", "nothing", "opened", "matched", "missed", "heard", "answered"}

// note is the catalogue key of what has just been done.
func (v *visit) note() string {
	if s := v.query("saved"); slices.Contains(saved, s) {
		return "console.saved." + s
	}
	return ""
}

// desk is the frame around every page: the items that the person may open.
func (v *visit) desk(active string) templates.Desk {
	d := templates.Desk{Active: active}
	if v.may(manage.Console) {
		d.Find = "/console/find"
	}
	rows := deskNav
	if !v.whole() {
		rows = shopNav
	}
	for _, row := range rows {
		if v.may(row.action) {
			d.Items = append(d.Items, row.nav)
		}
	}
	return d
}

// A navRow is an entry of the side navigation, for whoever may do what it leads to.
type navRow struct {
	action manage.Action
	nav    templates.NavItem
}

// deskNav are the ways of the operator's staff.
var deskNav = []navRow{
	{manage.Console, templates.NavItem{Href: "/console", Key: "console.dashboard", Icon: "overview"}},
	{manage.UserList, templates.NavItem{Href: "/console/users", Key: "console.users", Icon: "users", Group: "console.group.things"}},
	{manage.MerchantList, templates.NavItem{Href: "/console/merchants", Key: "console.merchants", Icon: "merchant", Group: "console.group.things"}},
	{manage.StoreList, templates.NavItem{Href: "/console/stores", Key: "console.stores", Icon: "box", Group: "console.group.things"}},
	{manage.TerminalList, templates.NavItem{Href: "/console/terminals", Key: "console.terminals", Icon: "terminal", Group: "console.group.things"}},
	{manage.ClientRead, templates.NavItem{Href: "/console/clients", Key: "console.clients", Icon: "app", Group: "console.group.things"}},
	{manage.PolicyRead, templates.NavItem{Href: "/console/policies", Key: "console.policies", Icon: "policy", Group: "console.group.rules"}},
	{manage.ApprovalRead, templates.NavItem{Href: "/console/approvals", Key: "console.approvals", Icon: "check", Group: "console.group.rules"}},
	{manage.CaseRead, templates.NavItem{Href: "/console/cases", Key: "console.cases", Icon: "case", Group: "console.group.records"}},
	{manage.KitCheck, templates.NavItem{Href: "/console/kit", Key: "console.kit", Icon: "paper", Group: "console.group.records"}},
	{manage.MessageRead, templates.NavItem{Href: "/console/messages", Key: "console.messages", Icon: "mail", Group: "console.group.records"}},
	{manage.EventRead, templates.NavItem{Href: "/console/events", Key: "console.events", Icon: "log", Group: "console.group.records"}},
	{manage.KeyRead, templates.NavItem{Href: "/console/keys", Key: "console.keys", Icon: "key", Group: "console.group.system"}},
	{manage.HealthRead, templates.NavItem{Href: "/console/health", Key: "console.health", Icon: "health", Group: "console.group.system"}},
}

// refusals are what a person can put right in a form; ok is false when the error
// is something else.
func refusals(err error) (list []templates.FieldError, ok bool) {
	if err == nil {
		return nil, true
	}
	if joined, is := err.(interface{ Unwrap() []error }); is {
		for _, e := range joined.Unwrap() {
			more, ok := refusals(e)
			if !ok {
				return nil, false
			}
			list = append(list, more...)
		}
		return list, true
	}
	e, is := errors.AsType[*idp.Error](err)
	if !is || e.Kind != idp.Invalid && e.Kind != idp.Conflict && e.Kind != idp.Forbidden {
		return nil, false
	}
	return []templates.FieldError{{Field: e.Field, Key: e.Msg, Args: e.Args}}, true
}
