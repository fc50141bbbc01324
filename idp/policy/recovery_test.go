package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
)

// rulesFor are the shipped rules of a tier.
func rulesFor(tier idp.Tier) policy.Recovery {
	return policy.Default().For(policy.Facts{Role: idp.RoleOwner, Tier: tier}).Recovery
}

func showing(kinds ...idp.Evidence) (out []idp.Shown) {
	for _, k := range kinds {
		out = append(out, idp.Shown{By: k, ID: string(k)})
	}
	return out
}

const (
	hour = time.Hour
	p    = idp.ByPhone
	m    = idp.ByMail
	d    = idp.ByComputer
	t    = idp.ByTerminal
	k    = idp.ByKit
	f    = idp.ByApp
	fu   = idp.ByKey
	w    = idp.ByPassword
	c    = idp.ByCase
)

// TestRecoveryTable walks the rows of the table of recoveries, each at its three levels.
func TestRecoveryTable(test *testing.T) {
	points := [][]string{nil, {"place"}, {"place", "changed", "starts"}}
	now, w1, w2 := "now", "now w1 24h", "now w2 24h"
	delay := []string{"wait w2 24h", "wait w2 48h", "wait w2 72h"}
	toPeople := []string{"wait w2 24h", "wait w2 48h", "case"}
	for _, row := range []struct {
		no                 int
		lost               idp.Lost
		enrolled, demanded bool
		shown              []idp.Evidence
		at                 []string
		password, second   bool
	}{
		{3, idp.LostPassword, true, true, []idp.Evidence{p, fu}, []string{now, w1, delay[2]}, true, false},
		{3, idp.LostPassword, true, true, []idp.Evidence{m, fu}, []string{now, w1, delay[2]}, true, false},
		{4, idp.LostPassword, true, true, []idp.Evidence{p, f}, []string{w1, w1, delay[2]}, true, false},
		{4, idp.LostBoth, true, true, []idp.Evidence{m, f}, []string{w1, w1, delay[2]}, true, false},
		{5, idp.LostPassword, true, true, []idp.Evidence{k, t}, toPeople, true, false},
		{5, idp.LostBoth, true, true, []idp.Evidence{k, d}, toPeople, true, true},
		{5, idp.LostPassword, false, false, []idp.Evidence{t, d}, toPeople, true, false},
		{5, idp.LostPassword, true, true, []idp.Evidence{f, d}, toPeople, true, false},
		{5, idp.LostBoth, true, true, []idp.Evidence{p, d}, toPeople, true, true},
		{6, idp.LostPassword, false, false, []idp.Evidence{p, t}, []string{now, w1, delay[2]}, true, false},
		{6, idp.LostPassword, false, false, []idp.Evidence{p, k}, []string{now, w1, delay[2]}, true, false},
		{6, idp.LostPassword, false, false, []idp.Evidence{m, d}, []string{now, w1, delay[2]}, true, false},
		{7, idp.LostPassword, false, false, []idp.Evidence{p}, delay, true, false},
		{7, idp.LostPassword, false, false, []idp.Evidence{m}, delay, true, false},
		{8, idp.LostSecond, true, true, []idp.Evidence{w, k}, []string{now, w1, delay[2]}, false, true},
		{8, idp.LostSecond, true, true, []idp.Evidence{w, f}, []string{now, w1, delay[2]}, false, true},
		{8, idp.LostSecond, true, true, []idp.Evidence{w, p, t}, []string{now, w1, delay[2]}, false, true},
		{9, idp.LostSecond, true, true, []idp.Evidence{w, p}, toPeople, false, true},
		{9, idp.LostSecond, true, true, []idp.Evidence{w, m}, toPeople, false, true},
		{10, idp.LostBoth, true, true, []idp.Evidence{p, k}, []string{w1, w2, delay[2]}, true, true},
		{10, idp.LostBoth, true, true, []idp.Evidence{m, t}, []string{w2, w2, delay[2]}, true, true},
		{10, idp.LostBoth, true, true, []idp.Evidence{p, m, d}, []string{w1, w2, delay[2]}, true, true},
		{11, idp.LostPassword, true, true, []idp.Evidence{p}, toPeople, true, false},
		{11, idp.LostBoth, true, true, []idp.Evidence{p, m}, toPeople, true, false},
		{11, idp.LostBoth, true, true, []idp.Evidence{k}, toPeople, true, false},
		{11, idp.LostPassword, false, true, []idp.Evidence{m}, toPeople, true, false},
		{12, idp.LostBoth, true, true, []idp.Evidence{t}, []string{"nothing", "nothing", "nothing"}, false, false},
		{12, idp.LostPassword, true, true, []idp.Evidence{d}, []string{"nothing", "nothing", "nothing"}, false, false},
		{12, idp.LostSecond, true, true, []idp.Evidence{w}, []string{"nothing", "nothing", "nothing"}, false, false},
		{12, idp.LostPassword, true, true, []idp.Evidence{f}, []string{"nothing", "nothing", "nothing"}, false, false},
		{12, idp.LostSecond, true, true, []idp.Evidence{p}, []string{"nothing", "nothing", "nothing"}, false, false},
		{12, idp.LostBoth, true, true, nil, []string{"nothing", "nothing", "nothing"}, false, false},
		{13, idp.LostBoth, true, true, []idp.Evidence{c}, []string{"wait w2 48h", "wait w2 72h", "wait w2 144h"}, true, true},
		{14, idp.LostBoth, true, true, []idp.Evidence{c, p}, []string{"wait w2 12h", "wait w2 48h", "wait w2 72h"}, true, true},
		{15, idp.LostBoth, true, true, []idp.Evidence{c, t}, []string{w2, delay[1], delay[2]}, true, true},
		{15, idp.LostBoth, true, true, []idp.Evidence{c, k}, []string{w2, delay[1], delay[2]}, true, true},
	} {
		for level, want := range row.at {
			got := rulesFor(idp.TierStandard).Decide(policy.RecoveryFacts{Lost: row.lost, Shown: showing(row.shown...), Enrolled: row.enrolled, Demanded: row.demanded, Risks: points[level]})
			if got.Row != row.no || got.Level != level || said(got) != want {
				test.Errorf("row %d, %v lost, %v shown, level %d: row %d, %q, want %q", row.no, row.lost, row.shown, level, got.Row, said(got), want)
			}
			if got.How == policy.Immediate || got.How == policy.Delayed {
				if got.Password != row.password || got.Second != row.second {
					test.Errorf("row %d, %v shown: replaces password %v, second %v", row.no, row.shown, got.Password, got.Second)
				}
				if got.Kit != (row.no == 5 || row.no >= 10) {
					test.Errorf("row %d: the kit ends: %v", row.no, got.Kit)
				}
			}
		}
	}
}

// TestRecoveryByPeople walks the rows of whom others bring back: the shop its own, and two of
// the operator's staff a third.
func TestRecoveryByPeople(test *testing.T) {
	points := [][]string{nil, {"place"}, {"place", "changed", "starts"}}
	same := func(what string) []string { return []string{what, what, what} }
	shop := func(f *policy.RecoveryFacts) { f.Shop = true }
	nobody := func(*policy.RecoveryFacts) {}
	staff := func(f *policy.RecoveryFacts) { f.Staff = true }
	met := func(f *policy.RecoveryFacts) { f.Staff, f.Met = true, true }
	barred := func(by func(f *policy.RecoveryFacts), why string) func(f *policy.RecoveryFacts) {
		return func(f *policy.RecoveryFacts) { by(f); f.Barred = why }
	}
	for _, row := range []struct {
		no               int
		by               func(f *policy.RecoveryFacts)
		lost             idp.Lost
		shown            []idp.Evidence
		at               []string
		password, second bool
	}{
		{16, shop, idp.LostBoth, nil, same("now"), true, true},
		{16, shop, idp.LostPassword, nil, same("now"), true, false},
		{16, shop, idp.LostSecond, []idp.Evidence{p}, same("now"), false, true},
		{18, barred(shop, "frozen"), idp.LostBoth, nil, same("case"), false, false},
		{18, barred(shop, "handover"), idp.LostBoth, nil, same("case"), false, false},
		{18, barred(nobody, "handover"), idp.LostBoth, []idp.Evidence{p, t}, same("case"), false, false},
		{18, barred(nobody, "handover"), idp.LostSecond, []idp.Evidence{w, k}, same("case"), false, false},
		{17, staff, idp.LostBoth, []idp.Evidence{c}, same("wait w2 4h"), true, true},
		{17, staff, idp.LostPassword, []idp.Evidence{c}, same("wait w2 4h"), true, false},
		{17, staff, idp.LostSecond, []idp.Evidence{c, p}, same("wait w2 4h"), false, true},
		{17, staff, idp.LostBoth, []idp.Evidence{c, k}, same("wait w2 4h"), true, true}, // nothing of his own makes it sooner
		{17, met, idp.LostBoth, []idp.Evidence{c}, same("now"), true, true},
		{17, met, idp.LostBoth, []idp.Evidence{p, t}, same("case"), false, false}, // who met him must have approved
		{17, staff, idp.LostBoth, []idp.Evidence{p}, same("case"), false, false},
		{17, staff, idp.LostBoth, []idp.Evidence{p, m, d}, same("case"), false, false},
		{17, staff, idp.LostSecond, []idp.Evidence{w, p}, same("case"), false, false},
		{17, staff, idp.LostBoth, nil, same("nothing"), false, false},
		{17, barred(staff, "frozen"), idp.LostBoth, []idp.Evidence{c}, same("case"), false, false},
		{17, barred(staff, "handover"), idp.LostBoth, []idp.Evidence{c}, same("case"), false, false},
		{17, barred(met, "frozen"), idp.LostBoth, []idp.Evidence{c}, same("case"), false, false},
		{17, barred(staff, "disputed"), idp.LostBoth, []idp.Evidence{c}, same("wait w2 4h"), true, true}, // people have decided
		{17, barred(met, "again"), idp.LostBoth, []idp.Evidence{c}, same("now"), true, true},
	} {
		for level, want := range row.at {
			f := policy.RecoveryFacts{Lost: row.lost, Shown: showing(row.shown...), Enrolled: true, Demanded: true, Risks: points[level]}
			row.by(&f)
			got := rulesFor(idp.TierStandard).Decide(f)
			if got.Row != row.no || got.Level != level || said(got) != want || got.Password != row.password || got.Second != row.second {
				test.Errorf("row %d, %v lost, %v shown, level %d: %+v, want %q", row.no, row.lost, row.shown, level, got, want)
			}
		}
	}
	// Their own spare passkey or kit still works, where it works at once.
	for _, row := range []struct {
		no    int
		lost  idp.Lost
		shown []idp.Evidence
		at    []string
	}{{3, idp.LostPassword, []idp.Evidence{p, fu}, []string{"now", "now w1 24h", "case"}}, {8, idp.LostSecond, []idp.Evidence{w, k}, []string{"now", "now w1 24h", "case"}}} {
		for level, want := range row.at {
			f := policy.RecoveryFacts{Lost: row.lost, Shown: showing(row.shown...), Enrolled: true, Demanded: true, Risks: points[level], Staff: true}
			if got := rulesFor(idp.TierStandard).Decide(f); said(got) != want || want != "case" && got.Row != row.no {
				test.Errorf("%v shown by staff, level %d: row %d, %q, want %q", row.shown, level, got.Row, said(got), want)
			}
		}
	}
}

func said(p policy.RecoveryPlan) string {
	hours := func(d time.Duration) string { return fmt.Sprintf("%gh", d.Hours()) }
	switch p.How {
	case policy.Immediate:
		if p.Withheld == idp.WithholdNothing {
			return "now"
		}
		return "now " + string(p.Withheld) + " " + hours(p.Hold)
	case policy.Delayed:
		return "wait " + string(p.Withheld) + " " + hours(p.Wait)
	case policy.ByPeople:
		return "case"
	}
	return "nothing"
}

// every yields all sets of proofs, losses and standings.
func every(yield func(policy.RecoveryFacts) bool) {
	for set := range 1 << len(idp.Evidences) {
		var shown []idp.Shown
		for i, e := range idp.Evidences {
			if set&(1<<i) != 0 {
				shown = append(shown, idp.Shown{By: e, ID: string(e)})
			}
		}
		for _, lost := range []idp.Lost{idp.LostPassword, idp.LostSecond, idp.LostBoth} {
			for bits := range 12 {
				f := policy.RecoveryFacts{Lost: lost, Shown: shown, Enrolled: bits&1 != 0, Demanded: bits&2 != 0, Risks: make([]string, bits>>2*2)}
				if lost != idp.LostPassword || set&(1<<slices.Index(idp.Evidences, idp.ByApp)|1<<slices.Index(idp.Evidences, idp.ByKey)) != 0 {
					f.Enrolled = true
				}
				if !yield(f) {
					return
				}
			}
		}
	}
}

// TestRecoveryInvariants holds what no set of proofs may get round, over all of them.
func TestRecoveryInvariants(test *testing.T) {
	strong := func(s []idp.Shown) bool {
		has := func(k ...idp.Evidence) bool {
			return slices.ContainsFunc(s, func(x idp.Shown) bool { return slices.Contains(k, x.By) })
		}
		return has(p, m) && has(t, k, fu) || has(p) && has(m) && has(d)
	}
	for _, tier := range idp.Tiers {
		r := rulesFor(tier)
		for facts := range every {
			got := r.Decide(facts)
			groups := idp.Groups(facts.Shown)
			people := slices.Contains(groups, idp.GroupPeople)
			// I2: proofs of one group never yield both a new password and a new second factor.
			if len(groups) < 2 && !people && got.How != policy.Nothing && got.How != policy.ByPeople && got.Password && got.Second {
				test.Fatal("I2", facts, got)
			}
			// I3: nothing delayed and nothing withheld only for a strong pair, or for what a sign-in
			// of this person would ask: password and factor, a channel and a factor.
			if got.How == policy.Immediate && got.Withheld == idp.WithholdNothing && !strong(facts.Shown) && got.Row != 6 && got.Row != 8 {
				test.Fatal("I3", facts, got)
			}
			// A case alone is never immediate; nor is any single proof.
			if got.How == policy.Immediate && len(groups) < 2 {
				test.Fatal("one proof at once", facts, got)
			}
			if got.How == policy.Delayed && (got.Wait < hour || got.Wait > 168*hour || got.Withheld != idp.WithholdMoney) {
				test.Fatal("a wait out of bounds", facts, got)
			}
			if slices.ContainsFunc(facts.Shown, func(s idp.Shown) bool { return s.By == c }) && got.Row >= 13 && got.How == policy.Delayed && got.Wait < 12*hour {
				test.Fatal("I9", facts, got)
			}
			// I14: more proof never makes it later, nor does risk make it sooner.
			for _, e := range idp.Evidences {
				if (e == f || e == fu) && !facts.Enrolled {
					continue
				}
				more := facts
				more.Shown = append(slices.Clone(facts.Shown), idp.Shown{By: e, ID: "more"})
				if g := r.Decide(more); got.Row < 13 && g.Row < 13 && rank(g) > rank(got) {
					test.Fatal("I14: more proof is worse", facts, e, said(got), said(g), got.Row, g.Row)
				}
			}
			risky := facts
			risky.Risks = append(slices.Clone(facts.Risks), "place")
			if g := r.Decide(risky); rank(g) < rank(got) {
				test.Fatal("risk makes it sooner", facts, said(got), said(g))
			}
			for _, why := range []string{"frozen", "handover"} {
				barred := facts
				barred.Barred = why
				if g := r.Decide(barred); g.How == policy.Immediate || g.How == policy.Delayed {
					test.Fatal("row 18", why, facts, g)
				}
			}
		}
	}
}

// rank orders plans from the soonest and freest on.
func rank(p policy.RecoveryPlan) int {
	switch p.How {
	case policy.Immediate:
		return map[idp.Withhold]int{"": 0, "w1": 1, "w2": 2}[p.Withheld]
	case policy.Delayed:
		return 10 + int(p.Wait.Hours())
	case policy.ByPeople:
		return 1000
	}
	return 2000
}

// TestRecoveryProofsThatCountForNothing: what is void, stale alone, not allowed or set by a
// recovery itself.
func TestRecoveryProofsThatCountForNothing(test *testing.T) {
	r := rulesFor(idp.TierStandard)
	facts := policy.RecoveryFacts{Lost: idp.LostBoth, Enrolled: true, Demanded: true}
	for name, c := range map[string]struct {
		shown []idp.Shown
		row   int
	}{
		"a new phone":               {[]idp.Shown{{By: p, Void: "phone.new"}, {By: k}}, 11},
		"a stale phone alone":       {[]idp.Shown{{By: p, Stale: true}}, 12},
		"a stale phone and the kit": {[]idp.Shown{{By: p, Stale: true}, {By: k}}, 10},
		"all void":                  {[]idp.Shown{{By: p, Void: "disputed"}, {By: m, Void: "disputed"}}, 12},
	} {
		facts.Shown = c.shown
		if got := r.Decide(facts); got.Row != c.row {
			test.Errorf("%s: row %d, want %d", name, got.Row, c.row)
		}
	}
	// The mail loop: a password that the phone set, with that phone, is one group still.
	facts.Lost, facts.Shown = idp.LostSecond, []idp.Shown{{By: w, Groups: []idp.Group{idp.GroupHandset}}, {By: p}}
	if got := r.Decide(facts); got.How != policy.Nothing {
		test.Errorf("a password set by the phone, with the phone, replaces a factor: row %d", got.Row)
	}
	r.Proofs = []string{"phone"}
	facts.Lost, facts.Shown = idp.LostBoth, showing(p, k)
	if got := r.Decide(facts); got.Row != 11 {
		test.Errorf("a kit that policy does not allow counts: row %d", got.Row)
	}
	if young, stale := rulesFor(idp.TierStandard).Phone(time.Unix(0, 0), time.Unix(0, 0), time.Unix(0, 0).Add(91*24*hour)); young != "" || !stale {
		test.Error("91 days", young, stale)
	}
	if young, stale := rulesFor(idp.TierStandard).Phone(time.Unix(0, 0), time.Unix(0, 0), time.Unix(0, 0).Add(71*hour)); young != "phone.new" || stale {
		test.Error("71 hours", young, stale)
	}
}

// TestRecoveryWaits are the hours of each tier.
func TestRecoveryWaits(test *testing.T) {
	for tier, want := range map[idp.Tier]string{idp.TierMicro: "12 24 48 12 12", idp.TierStandard: "24 48 72 12 24", idp.TierHighValue: "48 72 case 24 48"} {
		got := ""
		for _, risks := range [][]string{nil, {"a"}, {"a", "b", "c"}} {
			plan := rulesFor(tier).Decide(policy.RecoveryFacts{Lost: idp.LostPassword, Shown: showing(p), Enrolled: true, Demanded: true, Risks: risks[:min(1, len(risks))]})
			if len(risks) == 3 {
				plan = rulesFor(tier).Decide(policy.RecoveryFacts{Lost: idp.LostPassword, Shown: showing(p), Risks: risks})
			}
			if plan.How == policy.ByPeople {
				got += "case "
				continue
			}
			got += fmt.Sprintf("%g ", plan.Wait.Hours())
		}
		half := rulesFor(tier).Decide(policy.RecoveryFacts{Lost: idp.LostBoth, Shown: showing(c, p), Enrolled: true})
		held := rulesFor(tier).Decide(policy.RecoveryFacts{Lost: idp.LostPassword, Shown: showing(p, f), Enrolled: true})
		got += fmt.Sprintf("%g %g", half.Wait.Hours(), held.Hold.Hours())
		if got != want {
			test.Errorf("%s: %s, want %s", tier, got, want)
		}
	}
}

// Whoever waits is reminded an hour before the end, by day; else the evening before; and where
// the wait has no day left, not at all. Never by night.
func TestRemindAt(t *testing.T) {
	r, zone := policy.Default().Returns, time.FixedZone("CST", 8*3600)
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, zone) }
	for _, c := range []struct{ start, end, want time.Time }{
		{at(1, 10, 0), at(2, 10, 0), at(2, 9, 0)},
		{at(1, 9, 0), at(2, 9, 0), at(2, 8, 0)},
		{at(1, 8, 59), at(2, 8, 59), at(1, 22, 0)},
		{at(1, 23, 0), at(2, 23, 0), at(2, 22, 0)},
		{at(1, 23, 1), at(2, 23, 1), at(2, 22, 0)},
		{at(1, 2, 0), at(2, 2, 0), at(1, 22, 0)},
		{at(1, 20, 0), at(2, 0, 0), at(1, 22, 0)}, // the four hours of staff
		{at(1, 22, 0), at(2, 2, 0), time.Time{}},
		{at(1, 23, 0), at(2, 3, 0), time.Time{}},
		{at(1, 4, 0), at(1, 8, 0), time.Time{}},
		{at(1, 5, 0), at(1, 9, 0), at(1, 8, 0)},
		{at(1, 21, 0), at(2, 9, 0), at(2, 8, 0)}, // the twelve of the lowest tier
		{at(1, 19, 0), at(2, 7, 0), at(1, 22, 0)},
	} {
		if got := r.RemindAt(c.start, c.end); !got.Equal(c.want) {
			t.Errorf("from %s to %s: %s, want %s", c.start, c.end, got, c.want)
		}
	}
	for _, wait := range []time.Duration{time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 72 * time.Hour} {
		for minute := range 24 * 60 {
			start := at(1, 0, minute)
			got, end := r.RemindAt(start, start.Add(wait)), start.Add(wait)
			if got.IsZero() {
				if wait >= 12*time.Hour {
					t.Errorf("%s from %s: nobody is reminded", wait, start)
				}
				continue
			}
			if h := got.Hour()*60 + got.Minute(); h < 8*60 || h > 22*60 || !got.After(start) || got.After(end.Add(-r.Remind)) {
				t.Errorf("%s from %s: reminded at %s", wait, start, got)
			}
		}
	}
}

// A loss is offered to be mended where some proof that counts begins to.
func TestMends(t *testing.T) {
	r := policy.Default().Settings.Recovery
	for proofs, want := range map[string][2]bool{ // password, second factor
		"":                   {false, false},
		"case":               {false, false},
		"terminal":           {false, false},
		"password":           {false, false},
		"phone":              {true, false},
		"kit":                {true, false},
		"terminal,computer":  {true, false},
		"phone,terminal":     {true, true},
		"password,mail":      {true, true},
		"password,kit":       {true, true},
		"password,terminal":  {false, false},
		"password,totp,case": {false, true},
	} {
		r.Proofs = strings.FieldsFunc(proofs, func(c rune) bool { return c == ',' })
		if got := [2]bool{r.Mends(idp.LostPassword), r.Mends(idp.LostSecond)}; got != want {
			t.Errorf("%q: %v, want %v", proofs, got, want)
		}
	}
}
