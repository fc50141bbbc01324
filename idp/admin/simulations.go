package admin

import (
	"encoding/csv"
	"maps"
	"net/http"
	"slices"
	"strings"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// refreshSeconds is how often the browser asks again while a run works.
const refreshSeconds = "5"

// everyEffect are all bits.
var everyEffect = func() (bits int64) {
	for _, e := range policy.EffectNames {
		bits |= e.Bit
	}
	return bits
}()

// runs lists the newest runs of an edition.
func (v *visit) runs(e idp.Edition) (templates.Block, error) {
	b := templates.Block{ID: "runs", Key: "policy.simulations", None: "console.none.simulations", Table: templates.Table{Caption: "policy.simulations", Columns: []string{"policy.sim.started", "console.col.state", "policy.sim.progress", "console.col.who"}}}
	list, err := v.Store.Simulations(v.r.Context(), e.ID, 10)
	names, f := v.names(), templates.Frame{}
	for _, run := range list {
		b.Table.Rows = append(b.Table.Rows, []templates.Cell{{Time: run.StartedAt, URL: "/console/simulations/" + run.ID}, {State: string(run.State)},
			{Text: f.Count(run.Done) + " / " + f.Count(run.Total)}, {Text: names.of(run.By)}})
	}
	return b, err
}

// simulate begins a run and goes to its page.
func (v *visit) simulate() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	run, err := v.Manage.SimulatePolicy(v.r.Context(), v.actor(), id)
	return "/console/simulations/" + run.ID, v.problems(err)
}

func (v *visit) simulationOfPath() (run idp.Simulation, e idp.Edition, err error) {
	id, err := v.id()
	if err != nil {
		return run, e, err
	}
	if run, err = v.Store.Simulation(v.r.Context(), id); err != nil {
		return run, e, err
	}
	e, err = v.Store.Edition(v.r.Context(), run.Edition)
	return run, e, err
}

func (v *visit) simulationCrumbs(run idp.Simulation, e idp.Edition, leaf string) []templates.Crumb {
	list := v.policyCrumbs(e, v.t("policy.simulate"))
	if leaf != "" {
		list[len(list)-1].URL = "/console/simulations/" + run.ID
		list = append(list, templates.Crumb{Text: leaf})
	}
	return list
}

func working(run idp.Simulation) bool {
	return run.State == idp.SimulationQueued || run.State == idp.SimulationRunning
}

// simulation is the page of a run: how far it has come and, once it has ended, what it found.
func (v *visit) simulation() error {
	run, e, err := v.simulationOfPath()
	if err != nil {
		return err
	}
	p := templates.PolicySimulation{Desk: v.desk("/console/policies"), Saved: v.note(), Crumbs: v.simulationCrumbs(run, e, ""), Title: v.t("policy.sim.title", v.editionName(e)), State: string(run.State),
		Running: working(run), Done: run.Done, Total: run.Total, Words: v.progress(run), Facts: v.simulationFacts(run, e)}
	if p.Running {
		v.w.Header().Set("Refresh", refreshSeconds)
		if v.may(manage.PolicyDraft) {
			p.Stop = "/console/simulations/" + run.ID + "/stop"
		}
		return v.write(p)
	}
	if run.Done > 0 || run.State == idp.SimulationDone {
		v.results(&p, run, e)
	}
	return v.write(p)
}

// progress says how far a run has come.
func (v *visit) progress(run idp.Simulation) string {
	f := templates.Frame{}
	done, total := f.Count(run.Done), f.Count(run.Total)
	switch {
	case run.State == idp.SimulationQueued:
		return v.t("policy.sim.queued")
	case run.State == idp.SimulationDone:
		return v.t("policy.sim.counted", done)
	case run.State == idp.SimulationRunning && run.Done >= run.Total && run.Total > 0:
		return v.t("policy.sim.past")
	case run.State == idp.SimulationRunning:
		return v.t("policy.sim.counting", done, total)
	}
	return v.t("policy.sim."+string(run.State), done, total)
}

func (v *visit) simulationFacts(run idp.Simulation, e idp.Edition) []templates.Fact {
	return []templates.Fact{{Key: "policy.title", Lines: []templates.Cell{{Text: v.editionTitle(e), URL: "/console/policies/" + e.ID}}}, {Key: "policy.sim.started", Lines: []templates.Cell{{Time: run.StartedAt}}},
		{Key: "console.col.who", Lines: []templates.Cell{{Text: v.names().of(run.By)}}}, {Key: "console.id", Lines: []templates.Cell{{Text: run.ID, Mono: true}}}}
}

// results puts what a run found in words and numbers.
func (v *visit) results(p *templates.PolicySimulation, run idp.Simulation, e idp.Edition) {
	t, f := policy.ReadTally(run.Result), templates.Frame{}
	p.Says = v.says(v.editionName(e), t)
	if run.State != idp.SimulationDone {
		p.Notes = append(p.Notes, templates.Note{Tone: "warn", Icon: "warn", Text: v.t("policy.sim.partial_note")})
	}
	if e.Revision != run.Revision && e.State == idp.EditionDraft {
		p.Notes = append(p.Notes, templates.Note{Tone: "warn", Icon: "info", Text: v.t("policy.sim.changed_note")})
	}
	people := "/console/simulations/" + run.ID + "/people"
	p.Stats = []templates.ConsoleStat{{Key: "policy.sim.any", N: t.Any, Small: v.t("policy.sim.any_small", f.Count(t.People))}}
	for _, e := range policy.EffectNames {
		n, key := t.By[e.Name], "policy.effect."+e.Name
		if n > 0 || e.Bit == policy.LockedOut {
			p.Stats = append(p.Stats, templates.ConsoleStat{Key: key, N: n, Small: v.t(key + "_small")})
		}
		if n > 0 {
			p.Bars = append(p.Bars, templates.PolicyBar{Key: key, N: n, URL: people + "?effect=" + e.Name})
		}
	}
	p.Stats = append(p.Stats, templates.ConsoleStat{Key: "policy.sim.asked", N: t.Asked, Small: v.t("policy.sim.asked_small", f.Count(t.SignIns))})
	p.Split = v.split(t)
	if t.Any > 0 {
		p.Acts = append(p.Acts, templates.ActLink{Key: "policy.sim.see", URL: people})
	}
	if t.Any > 0 && run.State == idp.SimulationDone && v.may(manage.PolicyExport) {
		p.Acts = append(p.Acts, templates.ActLink{Key: "policy.sim.export", URL: "/console/simulations/" + run.ID + "/export"})
	}
}

// says is what a draft means in one sentence: what it asks of most, and whether anybody is locked out.
func (v *visit) says(name string, t *policy.Tally) string {
	f, asks := templates.Frame{}, v.t("policy.says.nobody", name)
	for _, one := range []struct {
		key string
		n   int64
	}{{"policy.says.change", t.Change}, {"policy.says.enrol", t.By["must_enrol"]}, {"policy.says.touch", t.Any}} {
		if one.n > 0 {
			asks = v.t(one.key, name, int(one.n), f.Count(one.n))
			break
		}
	}
	if n := t.By["locked_out"]; n > 0 {
		return v.t("policy.says.and_locked", asks, int(n), f.Count(n))
	}
	return v.t("policy.says.and_nobody", asks)
}

// split counts the effects that there are by role and tier, in the order of the roles.
func (v *visit) split(t *policy.Tally) (s templates.PolicySplit) {
	var shown []string
	for _, e := range policy.EffectNames {
		if t.By[e.Name] > 0 {
			shown, s.Columns = append(shown, e.Name), append(s.Columns, "policy.effect."+e.Name)
		}
	}
	order := func(group string) int {
		role, tier, _ := strings.Cut(group, "/")
		return slices.Index(idp.Roles, idp.Role(role))*10 + slices.Index(idp.Tiers, idp.Tier(tier))
	}
	for _, group := range slices.SortedFunc(maps.Keys(t.Split), func(a, b string) int { return order(a) - order(b) }) {
		role, tier, _ := strings.Cut(group, "/")
		row := templates.PolicyGroup{Name: v.group(role, tier)}
		for _, name := range shown {
			row.Counts = append(row.Counts, t.Split[group][name])
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func (v *visit) group(role, tier string) string {
	f := templates.Frame{Lang: v.lang}
	name := f.Or("role."+role, role)
	if tier != "" {
		name = f.Or("tier."+tier, tier) + " · " + name
	}
	return name
}

// effectBits are those of a name, all for none.
func effectBits(name string) int64 {
	for _, e := range policy.EffectNames {
		if e.Name == name {
			return e.Bit
		}
	}
	return everyEffect
}

func (v *visit) effectOptions(chosen string) []templates.Option {
	options := []templates.Option{{Text: v.t("policy.sim.all")}}
	for _, e := range policy.EffectNames {
		options = append(options, templates.Option{Value: e.Name, Text: v.t("policy.effect." + e.Name), Chosen: e.Name == chosen})
	}
	return options
}

// simulationPeople lists whom a run would touch, narrowed to one effect or not.
func (v *visit) simulationPeople() error {
	run, e, err := v.simulationOfPath()
	if err != nil {
		return err
	}
	c, effect := v.cursor("after"), v.query("effect")
	path := "/console/simulations/" + run.ID
	p := templates.ConsoleList{Desk: v.desk("/console/policies"), Title: "policy.sim.people", Crumbs: v.simulationCrumbs(run, e, v.t("policy.sim.people")), Action: path + "/people",
		Filters: []templates.Input{{Name: "effect", Label: "policy.sim.effect", Kind: "select", Options: v.effectOptions(effect)}},
		Table:   templates.Table{Caption: "policy.sim.people", Columns: []string{"console.col.name", "console.col.login", "col.role", "console.merchant.tier", "policy.sim.effects"}},
		None:    templates.Empty{Icon: "users", Title: v.t("console.none.people")}}
	if run.State == idp.SimulationDone && v.may(manage.PolicyExport) {
		p.Acts = []templates.ActLink{{Key: "policy.sim.export", URL: path + "/export?effect=" + effect}}
	}
	rows, err := v.Store.NamedPeople(v.r.Context(), run.ID, c.at, effectBits(effect), pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(n storage.NamedPerson) string { return n.UserID })
	f := templates.Frame{Lang: v.lang}
	for _, n := range rows {
		p.Table.Rows = append(p.Table.Rows, []templates.Cell{{Text: n.Name, URL: "/console/users/" + n.UserID}, {Text: orDash(maskedLogin(n)), Mono: true}, {Key: "role." + n.Role},
			{Text: orDash(f.Or("tier."+n.Tier, n.Tier))}, {Text: v.effects(n.Effects)}})
	}
	return v.write(p)
}

func maskedLogin(n storage.NamedPerson) string {
	return idp.Identifier{Kind: idp.IdentifierUsername, Value: n.Login}.Masked()
}

// effects are bits in words.
func (v *visit) effects(bits int64) string {
	var out []string
	for _, e := range policy.EffectNames {
		if bits&e.Bit != 0 {
			out = append(out, v.t("policy.effect."+e.Name))
		}
	}
	return strings.Join(out, v.t("comma"))
}

func (v *visit) simulationForm(name string, danger bool) (templates.ConsoleForm, error) {
	run, e, err := v.simulationOfPath()
	key := "policy.sim." + name
	return templates.ConsoleForm{Desk: v.desk("/console/policies"), Title: v.t(key + "_title"), Lead: v.t(key + "_lead"), Crumbs: v.simulationCrumbs(run, e, v.t(key)),
		Facts: v.simulationFacts(run, e)[:3], Submit: key, Danger: danger, Cancel: "/console/simulations/" + run.ID}, err
}

func (v *visit) askStop() (templates.ConsoleForm, error) { return v.simulationForm("stop", true) }

func (v *visit) stopSimulation() (string, error) {
	return doAt("/console/simulations/", (*manage.Manager).StopSimulation, "changed")(v)
}

func (v *visit) askExport() (templates.ConsoleForm, error) {
	p, err := v.simulationForm("export", false)
	p.Inputs = []templates.Input{{Name: "effect", Label: "policy.sim.effect", Kind: "select", Options: v.effectOptions(v.query("effect"))}, reasonInput()}
	return p, err
}

// exportPart is how many rows of an export are read at once.
const exportPart = 1000

// exportSimulation streams whom a run would touch, each once, in the order of their ids: it needs no more memory for many
// people than for few.
func (v *visit) exportSimulation() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	bits := effectBits(v.r.PostFormValue("effect"))
	run, err := v.Manage.ExportSimulation(v.r.Context(), v.actor(), id, bits)
	if err != nil {
		return "", err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="hufu-simulation-`+run.ID+`.csv"`)
	h.Set("Cache-Control", "no-store")
	if err := v.writePeople(run, bits); err != nil { // the file is cut off where it stands, so that nobody takes it for whole
		v.Site.Log.WarnContext(v.r.Context(), "export", "error", err)
		panic(http.ErrAbortHandler)
	}
	return "", nil
}

func (v *visit) writePeople(run idp.Simulation, bits int64) error {
	if _, err := v.w.Write([]byte("\ufeff")); err != nil { // without it, spreadsheets misread Chinese
		return err
	}
	out := csv.NewWriter(v.w)
	head := []string{v.t("policy.sim.csv.id"), v.t("policy.sim.csv.login"), v.t("policy.sim.csv.role"), v.t("policy.sim.csv.tier"), v.t("policy.sim.csv.merchant")}
	for _, e := range policy.EffectNames {
		head = append(head, v.t("policy.effect."+e.Name))
	}
	_ = out.Write(head) // Flush tells
	for after := ""; ; {
		rows, err := v.Store.NamedPeople(v.r.Context(), run.ID, after, bits, exportPart)
		if err != nil {
			return err
		}
		for _, n := range rows {
			_ = out.Write(v.csvRow(n))
			after = n.UserID
		}
		out.Flush()
		if err := out.Error(); err != nil || len(rows) < exportPart {
			return err
		}
	}
}

func (v *visit) csvRow(n storage.NamedPerson) []string {
	f := templates.Frame{Lang: v.lang}
	row := []string{n.UserID, maskedLogin(n), f.Or("role."+n.Role, n.Role), f.Or("tier."+n.Tier, n.Tier), n.MerchantNo}
	for _, e := range policy.EffectNames {
		mark := "0"
		if n.Effects&e.Bit != 0 {
			mark = "1"
		}
		row = append(row, mark)
	}
	for i := range row {
		row[i] = harmless(row[i])
	}
	return row
}

// harmless keeps a cell from being taken for a formula by a spreadsheet.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}
