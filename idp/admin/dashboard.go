package admin

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

// dashboard says what waits for this person, and how things stand.
func (v *visit) dashboard() error {
	if !v.whole() {
		return v.shopDashboard()
	}
	p := templates.ConsoleDashboard{Desk: v.desk("/console"), Saved: v.note()}
	b, err := v.Manage.Board(v.r.Context(), time.Now(), v.zone())
	if err != nil {
		return err
	}
	w, err := v.Manage.WaitsFor(v.r.Context(), v.User, time.Now())
	if err != nil {
		return err
	}
	p.Todo = v.todo(b, w)
	if !v.may(manage.UserList) { // one subject at a time, found by an exact name
		p.Doors = []templates.Way{{Icon: "search", Title: v.t("console.agent.find"), Small: v.t("console.agent.find_small"), URL: "#q"}}
		return v.write(p)
	}
	p.At, p.Stats = b.At, v.stats(b)
	p.Pairs = []templates.ChartPair{{Chart: v.signInChart(b), Shares: v.causes(b)}, {Chart: v.lockChart(b), Second: v.freezeChart(b)}, {Chart: v.adoptionChart(b), Shares: v.adoption(b)}, {Chart: v.recoveryChart(b), Table: v.delivery(b)}}
	for _, door := range p.Items[1:] {
		p.Doors = append(p.Doors, templates.Way{Icon: door.Icon, Title: v.t(door.Key), Small: v.t(door.Key + "_small"), URL: door.Href})
	}
	return v.write(p)
}

// todo is what waits for this person today, the most urgent first; each leads to where
// it is done.
func (v *visit) todo(b manage.Board, w manage.Waits) (list []templates.ConsoleTodo) {
	add := func(may bool, count int64, key, url string) {
		if may && count > 0 {
			list = append(list, templates.ConsoleTodo{Text: v.t(key, int(count)), Small: v.t(key + "_small"), URL: url})
		}
	}
	add(true, w.Cases, "console.todo.approve", "/console/cases?state=ready")
	cases, answers := v.openCases(b), v.may(manage.CaseRead) && v.User.Role != idp.RoleAuditor
	add(answers, cases.Overdue, "console.todo.overdue", "/console/cases?state=overdue")
	add(answers, cases.Due, "console.todo.cases", "/console/cases?state=due")
	add(true, w.Approvals, "console.todo.approvals", "/console/approvals")
	add(true, w.Editions, "console.todo.editions", "/console/policies?state=submitted")
	add(true, w.Secrets, "console.todo.secrets", "/console/approvals?state=approved")
	add(v.may(manage.MessageResend), total(b.Now.Dead), "console.todo.messages", "/console/messages?state=dead")
	add(v.may(manage.UserUnlock), b.Now.Locked, "console.todo.locked", "/console/users?state=locked")
	add(v.may(manage.MerchantOpen), b.Now.Merchants[string(idp.MerchantPending)], "console.todo.pending", "/console/merchants?status=pending")
	return list
}

func total[K comparable](by map[K]int64) (n int64) {
	for _, one := range by {
		n += one
	}
	return n
}

// openCases counts those that the visitor may read.
func (v *visit) openCases(b manage.Board) storage.CasesOpen {
	if manage.OnlyStaffCases(v.User) {
		return b.Now.StaffCases
	}
	return b.Now.Cases
}

func (v *visit) stats(b manage.Board) []templates.ConsoleStat {
	now, today, yesterday := b.Now, b.Days[len(b.Days)-1], b.Days[len(b.Days)-2]
	cases := v.openCases(b)
	registered := total(now.Terminals) - now.Terminals[string(idp.TerminalRetired)]
	return []templates.ConsoleStat{
		{Key: "console.stat.signins", N: today.SignIns, Small: v.t("console.stat.signins_small", templates.Number(yesterday.SignIns))},
		{Key: "console.stat.failures", N: today.Failures, Small: v.t("console.stat.failures_small", templates.Number(yesterday.Failures))},
		{Key: "console.stat.locked", N: now.Locked, Small: v.t("console.stat.locked_small", templates.Number(now.Frozen))},
		{Key: "console.stat.cases", N: cases.All, Small: v.t("console.stat.cases_small", templates.Number(cases.Overdue))},
		{Key: "console.stat.online", N: now.Seen, Small: v.t("console.stat.online_small", templates.Number(registered))},
		{Key: "console.stat.users", N: now.Users[string(idp.UserActive)], Small: v.t("console.stat.users_small", int(now.Users[string(idp.UserInvited)]))},
	}
}

// points makes one bar a day.
func (v *visit) points(b manage.Board, numbers func(d storage.Day) (first, second int64)) (list []templates.Point) {
	f := templates.Frame{Lang: v.lang, Zone: v.zone(), Now: b.At}
	for _, d := range b.Days {
		p := templates.Point{Label: f.Date(d.Start), Short: d.Start.In(v.zone()).Format("2")}
		p.First, p.Second = numbers(d)
		list = append(list, p)
	}
	return list
}

// highest is the bar with the most of something.
func highest(points []templates.Point, of func(p templates.Point) int64) templates.Point {
	return slices.MaxFunc(points, func(a, b templates.Point) int { return cmp.Compare(of(a), of(b)) })
}

func sums(points []templates.Point) (first, second int64) {
	for _, p := range points {
		first, second = first+p.First, second+p.Second
	}
	return first, second
}

func (v *visit) signInChart(b manage.Board) *templates.Chart {
	c := &templates.Chart{ID: "signins", Title: "console.chart.signins", First: "console.chart.signed_in", Second: "console.chart.failed", Head: "console.chart.day"}
	c.Points = v.points(b, func(d storage.Day) (int64, int64) { return d.SignIns, d.Failures })
	worst := highest(c.Points, func(p templates.Point) int64 { return p.Second })
	in, failed := sums(c.Points)
	c.Says = v.t("console.chart.signins_says", templates.Number(in), templates.Number(failed), worst.Label, templates.Number(worst.Second))
	return c
}

func (v *visit) lockChart(b manage.Board) *templates.Chart {
	c := &templates.Chart{ID: "locks", Title: "console.chart.locks", First: "console.chart.waits", Second: "console.chart.locked", Head: "console.chart.day"}
	c.Points = v.points(b, func(d storage.Day) (int64, int64) { return d.Waits + d.Closed, d.Locked })
	most := highest(c.Points, func(p templates.Point) int64 { return p.First + p.Second })
	waits, locked := sums(c.Points)
	c.Says = v.t("console.chart.locks_says", templates.Number(waits), templates.Number(locked), most.Label, templates.Number(most.First+most.Second))
	return c
}

func (v *visit) freezeChart(b manage.Board) *templates.Chart {
	c := &templates.Chart{ID: "freezes", Title: "console.chart.freezes", First: "console.chart.frozen", Second: "console.chart.cases", Head: "console.chart.day"}
	c.Points = v.points(b, func(d storage.Day) (int64, int64) { return d.Frozen, d.Cases })
	most := highest(c.Points, func(p templates.Point) int64 { return p.First + p.Second })
	frozen, cases := sums(c.Points)
	c.Says = v.t("console.chart.freezes_says", templates.Number(frozen), templates.Number(cases), most.Label, templates.Number(most.First+most.Second))
	return c
}

func (v *visit) recoveryChart(b manage.Board) *templates.Chart {
	c := &templates.Chart{ID: "recoveries", Title: "console.chart.recoveries", First: "console.chart.begun", Second: "console.chart.recovered", Head: "console.chart.day"}
	c.Points = v.points(b, func(d storage.Day) (int64, int64) { return d.Begun, d.Recovered })
	most := highest(c.Points, func(p templates.Point) int64 { return p.First })
	begun, recovered := sums(c.Points)
	c.Says = v.t("console.chart.recoveries_says", templates.Number(begun), templates.Number(recovered), most.Label, templates.Number(most.First))
	return c
}

// causesMost bounds how many causes are named; the others are one row.
const causesMost = 6

func (v *visit) causes(b manage.Board) *templates.Shares {
	s := &templates.Shares{ID: "causes", Title: "console.chart.causes", Name: "console.chart.cause", Count: "console.chart.times", None: "console.chart.no_failures"}
	by := map[string]int64{}
	for _, d := range b.Days {
		for reason, n := range d.Causes {
			by[v.reason(reason)] += n // some causes read alike
		}
	}
	s.Of = total(by)
	reasons := slices.SortedFunc(maps.Keys(by), func(x, y string) int { return cmp.Or(cmp.Compare(by[y], by[x]), cmp.Compare(x, y)) })
	for i, reason := range reasons {
		if i == causesMost {
			rest := templates.Share{Name: v.t("console.chart.others")}
			for _, other := range reasons[i:] {
				rest.N += by[other]
			}
			s.Rows = append(s.Rows, rest)
			break
		}
		s.Rows = append(s.Rows, templates.Share{Name: reason, N: by[reason]})
	}
	return s
}

// adoptionChart is how many hold a second factor at the end of each day, and how many none.
func (v *visit) adoptionChart(b manage.Board) *templates.Chart {
	c := &templates.Chart{ID: "adopted", Title: "console.chart.adopted", First: "console.chart.second", Second: "console.chart.without", Head: "console.chart.day"}
	c.Points = v.points(b, func(d storage.Day) (int64, int64) {
		i := slices.IndexFunc(b.Days, func(other storage.Day) bool { return other.Start.Equal(d.Start) })
		return b.Adopted[i].Second, b.Adopted[i].People - b.Adopted[i].Second
	})
	now := b.Adopted[len(b.Adopted)-1]
	c.Says = v.t("console.chart.adopted_says", templates.Number(now.Second), templates.Number(now.People))
	return c
}

func (v *visit) adoption(b manage.Board) *templates.Shares {
	a := b.Adoption
	return &templates.Shares{ID: "adoption", Title: "console.chart.adoption", Name: "console.col.method", Count: "console.chart.people", Of: a.People, None: "console.none.users", Rows: []templates.Share{
		{Name: v.t("console.chart.second"), Small: v.t("console.chart.second_small"), N: a.Second}, {Name: v.factor(idp.MethodPasskey), N: a.Passkey},
		{Name: v.factor(idp.MethodTOTP), N: a.TOTP}, {Name: v.factor(idp.MethodBackup), N: a.Backup}}}
}

func (v *visit) delivery(b manage.Board) *templates.Block {
	t := templates.Table{Caption: "console.chart.delivery", Columns: []string{"console.message.channel", "console.chart.sent", "state.due", "state.dead"}}
	for _, channel := range []idp.ChannelKind{idp.ChannelSMS, idp.ChannelMail} {
		dead := templates.Cell{Text: templates.Number(b.Now.Dead[channel])}
		if b.Now.Dead[channel] > 0 && v.may(manage.MessageRead) {
			dead.URL = "/console/messages?state=dead&channel=" + string(channel)
		}
		t.Rows = append(t.Rows, []templates.Cell{{Key: "channel." + string(channel)}, {Text: templates.Number(b.Now.Sent[channel])}, {Text: templates.Number(b.Now.Due[channel])}, dead})
	}
	return &templates.Block{ID: "delivery", Key: "console.chart.delivery", Table: t}
}
