package admin

import (
	"strconv"
	"time"

	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// keys lists the keys that sign tokens: which there are, never what they hold.
func (v *visit) keys() error {
	list, err := v.Store.SigningKeys(v.r.Context())
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/keys"), Title: "console.keys", None: templates.Empty{Icon: "key", Title: v.t("console.none.keys")},
		Pager: templates.Pager{Text: v.t("console.pager_all")},
		Table: templates.Table{Caption: "console.keys", Columns: []string{"console.key.id", "console.key.alg", "console.col.state", "console.col.created"}}}
	if v.may(manage.KeyRotate) {
		p.NewURL, p.NewKey = "/console/keys/rotate", "console.key.rotate"
	}
	p.Saved = v.note()
	for _, k := range list {
		p.Table.Rows = append(p.Table.Rows, []templates.Cell{{Text: k.ID, Mono: true}, {Text: k.Alg, Mono: true}, v.keyState(list, k), {Time: k.CreatedAt}})
	}
	return v.write(p)
}

// keyState: of the active keys of an algorithm one signs; the newer one waits until
// everybody knows it.
func (v *visit) keyState(all []storage.SigningKey, k storage.SigningKey) templates.Cell {
	cell := templates.Cell{State: "key_" + k.State}
	if now, ok := storage.Signs(all, k.Alg, time.Now()); ok && k.State == "active" && now.ID != k.ID {
		cell.State = "key_retired"
		if from := k.CreatedAt.Add(storage.KeyLead); from.After(time.Now()) {
			cell = templates.Cell{State: "key_next", Small: v.t("console.key.from", v.moment(from))}
		}
	}
	return cell
}

func (v *visit) askRotation() (templates.ConsoleForm, error) {
	return templates.ConsoleForm{Desk: v.desk("/console/keys"), Title: v.t("console.key.rotate_title"), Lead: v.t("console.key.rotate_lead", int(storage.KeyLead.Minutes())),
		Crumbs: []templates.Crumb{{Text: v.t("console.keys"), URL: "/console/keys"}, {Text: v.t("console.key.rotate")}},
		Inputs: []templates.Input{reasonInput()}, Submit: "console.key.rotate", Cancel: "/console/keys"}, nil
}

func (v *visit) rotateKeys() (string, error) {
	return "/console/keys?saved=changed", v.Manage.RotateKeys(v.r.Context(), v.actor())
}

// Bounds of what is called well.
const (
	slowDatabase = 500 * time.Millisecond
	lateMessage  = 15 * time.Minute
	silent       = 3 * time.Minute // of a replica, which is heard every minute
)

// health says whether what stands behind the pages works.
func (v *visit) health() error {
	ctx, now := v.r.Context(), time.Now()
	p := templates.ConsoleObject{Desk: v.desk("/console/health"), Crumbs: []templates.Crumb{{Text: v.t("console.health")}}, Title: v.t("console.health"), FactsKey: "console.facts", State: "well"}
	unwell := func(key string, args ...any) {
		p.State = "unwell"
		p.Notes = append(p.Notes, templates.Note{Tone: "bad", Icon: "warn", Text: v.t(key, args...)})
	}
	if err := v.Store.Ready(ctx); err != nil {
		return err
	}
	took := time.Since(now)
	if took > slowDatabase {
		unwell("console.health.slow", int(took.Milliseconds()))
	}
	holds, keys, err := v.Store.RingHolds(ctx)
	if err != nil {
		return err
	}
	if !holds {
		unwell("console.health.ring_bad")
	}
	b, err := v.Manage.Board(ctx, now, v.zone())
	if err != nil {
		return err
	}
	if oldest := b.Now.OldestDue; !oldest.IsZero() && now.Sub(oldest) > lateMessage {
		unwell("console.health.late", v.moment(oldest))
	}
	p.Facts = []templates.Fact{{Key: "console.health.database", Lines: []templates.Cell{{Text: v.t("console.health.dialect." + string(v.Store.Dialect)), Small: v.t("console.health.took", int(took.Milliseconds()))}}},
		{Key: "console.health.ring", Lines: []templates.Cell{{State: map[bool]string{true: "well", false: "unwell"}[holds], Small: v.t("console.health.ring_keys", keys)}}},
		{Key: "console.health.due", Lines: []templates.Cell{{Text: templates.Number(total(b.Now.Due)), URL: "/console/messages?state=due"}}},
		{Key: "console.health.oldest", Lines: []templates.Cell{v.orNone(b.Now.OldestDue)}},
		{Key: "console.health.dead", Lines: []templates.Cell{{Text: templates.Number(total(b.Now.Dead)), URL: "/console/messages?state=dead"}}},
		{Key: "console.health.version", Lines: []templates.Cell{{Text: orDash(v.Version), Mono: true}}}}
	if p.Blocks, err = v.healthBlocks(now, unwell); err != nil {
		return err
	}
	return v.write(p)
}

func (v *visit) orNone(t time.Time) templates.Cell {
	if t.IsZero() {
		return templates.Cell{Text: "–"}
	}
	return templates.Cell{Time: t}
}

func (v *visit) healthBlocks(now time.Time, unwell func(key string, args ...any)) ([]templates.Block, error) {
	ctx := v.r.Context()
	replicas, err := v.Store.Replicas(ctx, now.Add(-24*time.Hour))
	if err != nil {
		return nil, err
	}
	jobs, err := v.Store.JobRuns(ctx)
	if err != nil {
		return nil, err
	}
	if n := versions(replicas, now); n > 1 {
		unwell("console.health.versions", n)
	}
	hosts := map[string]string{}
	programs := templates.Block{ID: "replicas", Key: "console.health.replicas", None: "console.none.replicas", Table: templates.Table{Caption: "console.health.replicas",
		Columns: []string{"console.health.host", "console.health.version", "col.started", "console.health.heard", "console.col.state"}}}
	for _, r := range replicas {
		hosts[r.ID] = r.Host
		name := templates.Cell{Text: orDash(r.Host)}
		if r.ID == v.Replica {
			name.Small = v.t("console.health.this")
		}
		programs.Table.Rows = append(programs.Table.Rows, []templates.Cell{name, {Text: orDash(r.Version), Mono: true}, {Time: r.StartedAt}, {Time: r.SeenAt},
			{State: map[bool]string{true: "well", false: "silent"}[now.Sub(r.SeenAt) < silent]}})
	}
	runs := templates.Block{ID: "jobs", Key: "console.health.jobs", None: "console.none.jobs", Table: templates.Table{Caption: "console.health.jobs",
		Columns: []string{"console.health.job", "console.health.ran", "console.health.seconds", "console.health.host", "console.col.state"}}}
	for _, j := range jobs {
		what := templates.Frame{Lang: v.lang}.Or("console.job."+j.Name, j.Name)
		if j.Failed {
			unwell("console.health.job_failed", what)
		}
		runs.Table.Rows = append(runs.Table.Rows, []templates.Cell{{Text: what}, {Time: j.At}, {Text: strconv.FormatFloat(j.Took.Seconds(), 'f', 1, 64)}, {Text: orDash(hosts[j.Replica])},
			{State: map[bool]string{true: "unwell", false: "well"}[j.Failed]}})
	}
	return []templates.Block{programs, runs}, nil
}

// versions counts those that live replicas run.
func versions(list []storage.Replica, now time.Time) int {
	live := map[string]bool{}
	for _, r := range list {
		if now.Sub(r.SeenAt) < silent {
			live[r.Version] = true
		}
	}
	return len(live)
}
