package admin

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// people knows who stands behind ids, each read once a page.
type people struct {
	v     *visit
	known map[string]person
}

// A person is a name as the visitor may read it, and whether he has a page for him.
type person struct {
	name        string
	page, staff bool // staff: of the operator
}

func (v *visit) names() *people { return &people{v, map[string]person{}} }

// of is the name of an actor or a subject: a person, the system, or nobody known.
func (p *people) of(id string) string {
	switch id {
	case "":
		return p.v.t("console.stranger")
	case "system":
		return p.v.t("console.system")
	}
	return p.who(id).name
}

func (p *people) who(id string) person {
	if who, ok := p.known[id]; ok {
		return who
	}
	who := person{name: id}
	if u, err := p.v.Store.User(p.v.r.Context(), id); err == nil {
		who = person{p.v.t("role." + string(u.Role)), p.v.mayWith(manage.UserView, manage.OfUser(u)), u.Role.Operator()}
		if p.v.knows(u) {
			who.name = u.Name
		}
	}
	p.known[id] = who
	return who
}

// reason is why something was done, in words. What the operator's staff write down is
// among themselves: a merchant reads that it was they.
func (p *people) reason(e idp.Event) string {
	if p.v.whole() || e.Actor == "" || e.Actor == "system" || !p.who(e.Actor).staff {
		return p.v.words(e.Reason)
	}
	return templates.Frame{Lang: p.v.lang}.Or("reason."+e.Reason, "")
}

// second is who approved what another did, for the operator's own people.
func (p *people) second(e idp.Event) string {
	by := text(e.Data["approved_by"])
	if by == "" || !p.v.whole() {
		return ""
	}
	return p.v.t("approval.approved_by", p.of(by))
}

// knows says whether this visitor may read a person's name: in the lists, as a
// colleague's, or because he gave his reason.
func (v *visit) knows(u idp.User) bool {
	if u.ID == v.User.ID || v.mayWith(manage.UserList, manage.OfUser(u)) || u.Role.Operator() && v.whole() {
		return true
	}
	seen, err := v.Manage.Looked(v.r.Context(), v.actor(), u.ID)
	return seen && err == nil
}

// knowsMerchant is knows for a merchant's name and number together.
func (v *visit) knowsMerchant(id string) (bool, error) {
	if v.may(manage.MerchantList) {
		return true, nil
	}
	return v.Manage.LookedAtMerchant(v.r.Context(), v.actor(), id)
}

// about is what an event is about: a person, else a terminal, a merchant or a client.
func (p *people) about(e idp.Event) templates.Cell {
	ctx := p.v.r.Context()
	switch {
	case e.Subject != "":
		cell := templates.Cell{Text: p.of(e.Subject)}
		if p.v.whole() || p.who(e.Subject).page {
			cell.URL = "/console/users/" + e.Subject
		}
		return cell
	case e.Terminal != "":
		if t, err := p.v.Store.Terminal(ctx, e.Terminal); err == nil {
			return templates.Cell{Text: p.v.t("console.terminal.short", t.Model, t.SerialTail()), URL: "/console/terminals/" + t.ID}
		}
	case e.Merchant != "":
		if m, err := p.v.Store.Merchant(ctx, e.Merchant); err == nil {
			if known, err := p.v.knowsMerchant(m.ID); err != nil || !known {
				m.LegalName = p.v.t("console.merchant")
			}
			return p.v.merchantCell(m)
		}
	case e.Client != "":
		return templates.Cell{Text: e.Client, Mono: true}
	}
	return templates.Cell{Text: "–"}
}

// eventTones says how what happened looks.
var eventTones = map[string]string{
	"signin.succeeded": "ok", "device.approved": "ok", "lock.lifted": "ok", "account.enabled": "ok", "merchant.activated": "ok", "merchant.returned": "ok", "approval.approved": "ok", "approval.failed": "warn", "approval.refused": "warn", "merchant.closed": "warn",
	"signin.failed": "warn", "signin.refused": "warn", "recovery.refused": "warn", "device.denied": "warn", "device.wrong_digits": "warn", "lock.wait": "warn", "lock.closed": "warn", "terminal.suspended": "warn",
	"merchant.suspended": "warn", "account.disabled": "warn", "grant.reuse_detected": "bad", "browser.copied": "bad", "password.suspected": "bad", "lock.account": "bad", "terminal.lost": "bad", "terminal.rekeyed": "warn",
}

// trail is the newest events of somebody or something.
func (v *visit) trail(ctx context.Context, f storage.EventFilter) ([]templates.EventRow, error) {
	list, err := v.Store.Events(ctx, f, 10)
	names := v.names()
	var out []templates.EventRow
	for _, e := range list {
		place := v.place(e.Network)
		if e.Actor != "" && e.Actor != e.Subject {
			place = join(names.of(e.Actor), names.second(e), names.reason(e))
		} else if e.Reason != "" {
			place = join(v.words(e.Reason), place)
		}
		out = append(out, templates.EventRow{At: e.At, NameKey: "event." + e.Name, Place: place, Tone: eventTones[e.Name]})
	}
	return out, err
}

// place is a network in words.
func (v *visit) place(network string) string { return templates.Frame{Lang: v.lang}.Place(network) }

// words is a reason in words, "" when there is none.
func (v *visit) words(reason string) string {
	if reason == "" {
		return ""
	}
	return v.reason(reason)
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

var eventColumns = []string{"console.col.event", "console.col.when", "console.col.who", "console.col.about", "console.col.detail"}

// eventRows is a table of events, newest first.
func (v *visit) eventRows(f storage.EventFilter, most int) (templates.Table, error) {
	list, err := v.Store.Events(v.r.Context(), f, most)
	return v.eventTable(list), err
}

func (v *visit) eventTable(list []idp.Event) templates.Table {
	t, names := templates.Table{Caption: "console.events", Columns: eventColumns}, v.names()
	for _, e := range list {
		t.Rows = append(t.Rows, []templates.Cell{{Key: "event." + e.Name}, {Time: e.At}, {Text: names.of(e.Actor)}, names.about(e),
			{Text: orDash(join(v.caseDetail(e), names.reason(e), names.second(e), v.eventPlace(e, names))), Small: e.Explain}})
	}
	return t
}

// eventQuery is what the log is narrowed by. A person stands in the URL as an id:
// what was typed to name him comes by POST.
type eventQuery struct{ name, subject, no, client, from, to, who, code string }

// eventQuery reads it from the URL.
func (v *visit) eventQuery() eventQuery {
	return eventQuery{name: v.query("name"), subject: v.query("subject"), no: v.query("merchant"), client: v.query("client"), from: v.query("from"), to: v.query("to")}
}

func (v *visit) eventList(q eventQuery) templates.ConsoleList {
	p := templates.ConsoleList{Desk: v.desk("/console/events"), Title: "console.events", Action: "/console/events", Post: true, Export: v.exportLink(),
		Table: templates.Table{Caption: "console.events", Columns: eventColumns}, None: templates.Empty{Icon: "log", Title: v.t("console.none.events")}}
	p.Filters = v.eventInputs(q)
	if v.may(manage.ExplainRead) {
		p.Filters = append(p.Filters, templates.Input{Name: "code", Label: "console.explain", Value: q.code, Optional: true, Mode: "numeric"})
	}
	return p
}

func (v *visit) eventInputs(q eventQuery) []templates.Input {
	var kinds []templates.Option
	for _, n := range slices.Sorted(maps.Keys(idp.EventNames)) {
		kinds = append(kinds, templates.Option{Value: n, Text: v.t("event." + n), Chosen: n == q.name})
	}
	kinds = v.shopKinds(kinds)
	who := templates.Input{Name: "who", Label: "console.user.find", Value: q.who, Optional: true}
	if q.subject != "" {
		who = templates.Input{Name: "subject", Label: "console.col.about", Kind: "select", Options: v.all([]templates.Option{{Value: q.subject, Text: v.names().of(q.subject), Chosen: true}})}
	}
	list := []templates.Input{{Name: "name", Label: "console.col.event", Kind: "select", Options: v.all(kinds)}, who}
	if v.whole() {
		list = append(list, templates.Input{Name: "merchant", Label: "console.merchant.no", Value: q.no, Mode: "numeric", Optional: true})
	}
	list = append(list, templates.Input{Name: "from", Label: "console.col.from", Type: "date", Value: q.from, Optional: true}, templates.Input{Name: "to", Label: "console.col.to", Type: "date", Value: q.to, Optional: true})
	if q.client != "" {
		list = append(list, templates.Input{Name: "client", Label: "console.client.id", Value: q.client, Optional: true})
	}
	return list
}

func (v *visit) eventFilters() ([]templates.Input, error) { return v.eventInputs(v.eventQuery()), nil }

// eventFilter is what the URL narrows the log to; found is false where it names a
// merchant that there is not.
func (v *visit) eventFilter(before string) (f storage.EventFilter, found bool, err error) {
	q := v.eventQuery()
	f = storage.EventFilter{Before: before, Client: q.client, Subject: q.subject, Since: v.day(q.from, 0), Until: v.day(q.to, 1)}
	if _, known := idp.EventNames[q.name]; known {
		f.Name = q.name
	}
	of, found, err := v.listOf(manage.EventRead)
	f.Merchant = of.Merchant
	return f, found, err
}

// day is the beginning of a day that was typed, or of one so many days later; zero when
// it is none.
func (v *visit) day(typed string, later int) time.Time {
	d, err := time.ParseInLocation(time.DateOnly, typed, v.zone())
	if err != nil {
		return time.Time{}
	}
	return d.AddDate(0, 0, later)
}

// eventsOpen is the gate of a log that is narrowed to one person or one merchant.
func (v *visit) eventsOpen() (bool, error) {
	if id := v.query("subject"); id != "" {
		u, err := v.Store.User(v.r.Context(), id)
		if err != nil {
			return false, err
		}
		if open, err := v.userOpen(u); err != nil || !open {
			return open, err
		}
	}
	of, found, err := v.listOf(manage.EventRead)
	if err != nil || !found || of.Merchant == "" {
		return err == nil, err
	}
	return v.merchantOpen(of.Merchant, back(v.r))
}

// eventsOf is whom alone the log is about.
func (v *visit) eventsOf() (subject, merchant string) {
	of, _, _ := v.listOf(manage.EventRead) // asked before, by the gate
	return v.query("subject"), of.Merchant
}

var eventExportColumns = []string{"console.id", "console.col.when", "console.export.name", "console.col.event", "console.export.actor", "console.col.who", "console.export.user", "console.col.about",
	"console.merchant.no", "console.export.terminal", "console.client.id", "console.col.network", "console.export.code", "console.export.reason", "console.explain", "console.export.policy"}

func (v *visit) exportEvents(at string) (rows [][]string, next string, err error) {
	ctx := v.r.Context()
	f, found, err := v.eventFilter(at)
	if err != nil || !found {
		return nil, "", err
	}
	list, err := v.Store.Events(ctx, f, exportPage)
	if err != nil {
		return nil, "", err
	}
	var ids, ofMerchants []string
	for _, e := range list {
		ids, ofMerchants = append(ids, e.Actor, e.Subject), append(ofMerchants, e.Merchant)
	}
	people, err := v.Store.UsersOf(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	merchants, err := v.Store.MerchantsOf(ctx, ofMerchants)
	for _, e := range list {
		if !v.whole() && people[e.Actor].Role.Operator() { // as on the page: see people.reason and eventPlace
			e.Network = ""
			if (templates.Frame{Lang: v.lang}).Or("reason."+e.Reason, "") == "" {
				e.Reason = ""
			}
		}
		actor, by := v.told(e.Actor, people)
		subject, about := v.told(e.Subject, people)
		rows = append(rows, []string{e.ID, v.stamp(e.At), e.Name, v.t("event." + e.Name), actor, by, subject, about, merchants[e.Merchant].No, e.Terminal, e.Client,
			e.Network, e.Reason, v.words(e.Reason), e.Explain, strconv.FormatInt(e.Policy, 10)})
	}
	return rows, after(list, func(e idp.Event) string { return e.ID }), err
}

// told is somebody in a file of the log: his id and name or, if he is none of the
// visitor's, what he is alone.
func (v *visit) told(id string, people map[string]idp.User) (shown, name string) {
	u, known := people[id]
	if !known || u.ID == v.User.ID || v.mayWith(manage.UserList, manage.OfUser(u)) {
		return id, u.Name
	}
	return "", v.t("role." + string(u.Role))
}

// narrowEvents turns what was typed into an address that holds nobody's name or
// number.
func (v *visit) narrowEvents() error {
	if err := v.parse(); err != nil {
		return err
	}
	f := func(name string) string { return plain(v.r.PostFormValue(name)) }
	q := eventQuery{f("name"), f("subject"), f("merchant"), f("client"), f("from"), f("to"), f("who"), f("code")}
	none := func(typed, text string) error {
		p := v.eventList(q)
		p.None.Title, p.None.Text = v.t("console.none.found", typed), text
		return v.write(p)
	}
	if q.code != "" && v.may(manage.ExplainRead) {
		if !idp.ValidExplainCode(q.code) {
			return none(q.code, v.t("error.explain_typo"))
		}
		return redirect(v, "/console/explain/"+digits(q.code))
	}
	if q.who != "" {
		id, err := v.person(q.who)
		if err != nil {
			return err
		}
		if id == "" {
			return none(q.who, v.t("console.none.exact"))
		}
		q.subject = id
	}
	to := url.Values{}
	for name, value := range map[string]string{"name": q.name, "subject": q.subject, "merchant": q.no, "client": q.client, "from": q.from, "to": q.to} {
		if value != "" {
			to.Set(name, value)
		}
	}
	return redirect(v, strings.TrimSuffix("/console/events?"+to.Encode(), "?"))
}

// events is the log, narrowed by event, time, person, merchant or client. Narrowed to one
// person or merchant it is about them.
func (v *visit) events() error {
	if open, err := v.eventsOpen(); err != nil || !open {
		return err
	}
	c := v.cursor("before")
	p := v.eventList(v.eventQuery())
	f, found, err := v.eventFilter(c.at)
	if err != nil || !found {
		return v.noneOf(p, err)
	}
	return v.writeEvents(p, f, c)
}

func (v *visit) writeEvents(p templates.ConsoleList, f storage.EventFilter, c cursor) error {
	list, err := v.Store.Events(v.r.Context(), f, pageSize+1)
	if err != nil {
		return err
	}
	list, p.Pager = page(v, c, list, func(e idp.Event) string { return e.ID })
	p.Table = v.eventTable(list)
	return v.write(p)
}

// userEvents are all events about one person, for whoever has his page open.
func (v *visit) userEvents() error {
	u, err := v.userOfPath()
	if err != nil {
		return err
	}
	if open, err := v.userOpen(u); err != nil || !open {
		return err
	}
	c := v.cursor("before")
	return v.writeEvents(templates.ConsoleList{Desk: v.desk("/console/users"), Title: "console.events", Crumbs: v.userCrumbs(u, v.t("console.events")),
		None: templates.Empty{Icon: "log", Title: v.t("console.none.events")}}, storage.EventFilter{Before: c.at, Subject: u.ID}, c)
}

// digits is an explain code without its dashes.
func digits(code string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, code)
}

// explain says what stands behind an explain code, and the way out.
func (v *visit) explain() error {
	id, err := v.id()
	if err != nil {
		return err
	}
	if !idp.ValidExplainCode(id) {
		return idp.Errorf(idp.NotFound, "error.notfound")
	}
	e, err := v.Manage.Explain(v.r.Context(), v.actor(), id)
	if err != nil {
		return err
	}
	p := templates.ConsoleObject{Desk: v.desk("/console/events"), Crumbs: []templates.Crumb{{Text: v.t("console.explain")}, {Text: e.Explain}}, Title: e.Explain, Mono: true, FactsKey: "console.facts"}
	p.Notes = []templates.Note{{Tone: "warn", Icon: "info", Text: v.reason(e.Reason)}}
	if way := (templates.Frame{Lang: v.lang}).Or("reason."+e.Reason+".way", ""); way != "" {
		p.Notes = append(p.Notes, templates.Note{Tone: "ok", Icon: "help", Text: v.t("console.way_out", way)})
	}
	about := templates.Cell{Key: "console.nobody"}
	if e.Subject != "" {
		about = v.names().about(e)
	}
	p.Facts = []templates.Fact{{Key: "console.col.about", Lines: []templates.Cell{about}}, {Key: "console.col.when", Lines: []templates.Cell{{Time: e.At}}},
		{Key: "console.col.network", Lines: []templates.Cell{{Text: orDash(e.Network), Mono: true}}}}
	more, err := v.explainFacts(e)
	if err != nil {
		return err
	}
	p.Facts = append(p.Facts, more...)
	p.Blocks = []templates.Block{{ID: "event", Key: "console.explain.event", None: "console.none.events", Table: v.eventTable([]idp.Event{e})}}
	return v.write(p)
}

// explainFacts are what an agent needs beside the reason of a refusal in a recovery: what
// waits and until when, what is held back, and how old the person's phones are. They name
// nobody.
func (v *visit) explainFacts(e idp.Event) (facts []templates.Fact, err error) {
	ctx := v.r.Context()
	if e.Subject == "" {
		return nil, nil
	}
	running, err := v.Store.RunningRecovery(ctx, e.Subject)
	if err != nil {
		return nil, err
	}
	if running != nil {
		facts = append(facts, templates.Fact{Key: "console.case.recovery", Lines: []templates.Cell{{Time: running.DueAt, Small: v.t("console.case.recovery_row", running.Row, running.Level)}}})
	}
	u, err := v.Store.User(ctx, e.Subject)
	if err != nil {
		return nil, err
	}
	if w := u.Withholds(time.Now()); w != idp.WithholdNothing {
		facts = append(facts, templates.Fact{Key: "console.explain.withheld", Lines: []templates.Cell{{Key: "console.explain." + string(w), Small: v.moment(u.HeldUntil(w))}}})
	}
	if !strings.HasPrefix(e.Reason, "phone.") && e.Reason != "disputed" {
		return facts, nil
	}
	names, err := v.Store.Identifiers(ctx, e.Subject)
	phones := templates.Fact{Key: "console.explain.phones"}
	for _, n := range names {
		if n.Kind == idp.IdentifierPhone && n.Channel() {
			cell := templates.Cell{Time: n.VerifiedAt, Small: v.t("console.explain.proven", v.moment(n.LastProvenAt))}
			if time.Now().Before(n.DisputedUntil) {
				cell.Small = v.t("console.explain.disputed", v.moment(n.DisputedUntil))
			}
			phones.Lines = append(phones.Lines, cell)
		}
	}
	return append(facts, phones), err
}
