package policy

import (
	"slices"
	"time"

	"hufu/idp"
)

// Recovery are the rules of getting back into an account, by tier and role.
type Recovery struct {
	Proofs    []string      `json:"proofs" merge:"common" oneof:"phone,mail,terminal,kit,computer,totp,passkey,password,case"` // that count
	Usual     time.Duration `json:"usual" merge:"largest" range:"1h..7d"`                                                      // the wait at risk level 0
	Raised    time.Duration `json:"raised" merge:"largest" range:"1h..7d"`                                                     // at level 1
	High      time.Duration `json:"high" merge:"largest" range:"1h..7d"`                                                       // at level 2
	HighCase  bool          `json:"high_case" merge:"or"`                                                                      // at level 2 people decide in place of that wait
	CaseLeast time.Duration `json:"case_least" merge:"largest" range:"1h..7d"`                                                 // the shortest wait of a case and a code on a channel
	Finish    time.Duration `json:"finish" merge:"least" range:"1h..7d"`                                                       // to complete it in, from its end on
	Young     time.Duration `json:"young" merge:"largest" range:"0s..30d"`                                                     // what was bound more lately proves nothing
	Stale     time.Duration `json:"stale" merge:"least" range:"7d..365d"`                                                      // a phone unproven for longer is no sole proof: numbers are sold again
	Settled   time.Duration `json:"settled" merge:"largest" range:"1d..90d"`                                                   // how long a computer is known, or a terminal active, before it proves something
	Seen      time.Duration `json:"seen" merge:"least" range:"1d..180d"`                                                       // and how lately a terminal was seen
	Lately    time.Duration `json:"lately" merge:"largest" range:"1d..30d"`                                                    // a change within it, of a channel, a credential or a terminal, is a risk
	Money     time.Duration `json:"money" merge:"largest" range:"1h..7d"`                                                      // so is a money scope given within it, where MoneyRisk
	MoneyRisk bool          `json:"money_risk" merge:"or"`                                                                     //
	Dispute   time.Duration `json:"dispute" merge:"largest" range:"1d..30d"`                                                   // a channel whose recovery was stopped proves nothing for so long
	Approvers []string      `json:"approvers" merge:"common" oneof:"support_supervisor,policy_admin"`                          // who may approve a case
	StaffWait time.Duration `json:"staff_wait" merge:"largest" range:"1h..7d"`                                                 // of operator staff whom two others bring back
}

// Returns are the numbers of recoveries that hold for everybody alike.
type Returns struct {
	Digits   int           `json:"digits" range:"8..10"` // of a code that is sent
	Life     time.Duration `json:"life" range:"2m..15m"` // of it
	Link     time.Duration `json:"link" range:"1h..24h"` // of a case's link (NIST SP 800-63B-4 4.2.1.2: a day at most)
	Code     Bucket        `json:"code"`                 // wrong codes of an account
	Start    Bucket        `json:"start"`                // by typed name
	Search   Bucket        `json:"search"`               // for user names, by network
	Ask      Bucket        `json:"questions"`            // the terminals of a shop for a confirmation, by account
	AskShop  Bucket        `json:"questions_shop"`       // and by merchant
	Starts   int           `json:"starts" range:"1..20"` // more within StartsIn are a risk
	StartsIn time.Duration `json:"starts_in" range:"1h..7d"`
	Enrol    time.Duration `json:"enrol" range:"5m..1h"`    // of the code with which an owner or manager lets staff in
	Confirm  time.Duration `json:"confirm" range:"1m..15m"` // for a confirmation on a terminal
	Remind   time.Duration `json:"remind" range:"15m..12h"` // before the end of a wait, by day
	DayFrom  int           `json:"day_from" range:"0..23"`  // hours between which reminders go out
	DayTo    int           `json:"day_to" range:"1..24"`
}

// RemindAt is when people are reminded of the end of what began at start: before it and by
// day, where end is; the evening before, if that would be by night. Zero: never, for there is
// no day in between, and they were told at the start.
func (r Returns) RemindAt(start, end time.Time) time.Time {
	at := end.Add(-r.Remind)
	hour := func(n int) time.Time { return time.Date(at.Year(), at.Month(), at.Day(), n, 0, 0, 0, at.Location()) }
	switch {
	case at.Before(hour(r.DayFrom)):
		at = hour(r.DayTo).AddDate(0, 0, -1)
	case at.After(hour(r.DayTo)):
		at = hour(r.DayTo)
	}
	if !at.After(start) {
		return time.Time{}
	}
	return at
}

// RecoveryFacts are what decides a recovery.
type RecoveryFacts struct {
	Lost     idp.Lost
	Shown    []idp.Shown
	Enrolled bool     // a second factor is bound
	Demanded bool     // the sign-in of this person asks for one
	Risks    []string // "place", "changed", "starts", "terminal", "channel", "money": a point each
	Unheard  bool     // every place that is told is one that a code of this recovery went to
	Barred   string   // people alone decide: "frozen", "disputed", "handover"; "again": no wait begins
	Staff    bool     // of the operator's own people, whom two others bring back
	Met      bool     // both of whom state that they met him
	Shop     bool     // the owner or manager answers for him, by a code
}

// How says what becomes of a recovery.
type How int

const (
	Nothing   How = iota // more must be shown
	Immediate            // at once
	Delayed              // after a wait
	ByPeople             // a case, no wait begins
)

// RecoveryPlan is what the table says.
type RecoveryPlan struct {
	Row, Level int
	How        How
	Wait       time.Duration // of a delayed one
	Withheld   idp.Withhold
	Hold       time.Duration // for how long it is withheld after an immediate one
	Password   bool          // is replaced
	Second     bool          // is replaced
	Kit        bool          // ends, with the passkeys named lost
}

// proofs are the counting kinds of what was shown.
type proofs struct {
	by     map[idp.Evidence]bool
	groups []idp.Group
}

func (p proofs) has(kinds ...idp.Evidence) bool {
	return slices.ContainsFunc(kinds, func(k idp.Evidence) bool { return p.by[k] })
}

// channel: P or M.
func (p proofs) channel() bool { return p.has(idp.ByPhone, idp.ByMail) }

// strong: a channel and something that does not lie in the same pocket (NIST SP 800-63B-4
// 4.2.2.2: two codes by different methods, or one and a bound authenticator).
func (p proofs) strong() bool { return p.channel() && p.has(idp.ByTerminal) || p.stronger() }

// stronger: such a pair that does not rest on a terminal, which stands in the shop for
// anybody there.
func (p proofs) stronger() bool {
	return p.channel() && p.has(idp.ByKit, idp.ByKey) || p.has(idp.ByPhone) && p.has(idp.ByMail) && p.has(idp.ByComputer)
}

// count takes what counts: allowed by policy, not void, no password where that is what is
// lost, and a number that may have been sold again only beside something else.
func (r Recovery) count(f RecoveryFacts) proofs {
	valid := slices.DeleteFunc(slices.Clone(f.Shown), func(s idp.Shown) bool {
		return s.Void != "" || !slices.Contains(r.Proofs, string(s.By)) || s.By == idp.ByPassword && f.Lost != idp.LostSecond
	})
	if !slices.ContainsFunc(valid, func(s idp.Shown) bool { return !s.Stale }) {
		valid = nil
	}
	p := proofs{by: map[idp.Evidence]bool{}, groups: idp.Groups(valid)}
	for _, s := range valid {
		// A password that a recovery set is no more than what set it.
		if s.By != idp.ByPassword || slices.Contains(s.In(), idp.GroupMemory) {
			p.by[s.By] = true
		}
	}
	return p
}

// Level is the risk level of so many points.
func Level(points int) int {
	switch {
	case points == 0:
		return 0
	case points <= 2:
		return 1
	}
	return 2
}

// A verdict is one cell of the table.
type verdict struct {
	how      How
	withheld idp.Withhold
	wait     string // of a delay: "", "higher" (by one level), "half"
}

var (
	now      = verdict{how: Immediate}
	nowPayee = verdict{how: Immediate, withheld: idp.WithholdPayee}
	nowMoney = verdict{how: Immediate, withheld: idp.WithholdMoney}
	later    = verdict{how: Delayed, withheld: idp.WithholdMoney}
	people   = verdict{how: ByPeople}
)

// A recoveryRow is one row of the table of recoveries; docs/recovery.md prints it.
type recoveryRow struct {
	no     int
	lost   string
	shown  string
	levels [3]verdict
	when   func(f RecoveryFacts, p proofs) bool
	// what is replaced: all that is lost, or the password alone
	passwordOnly bool
	voids        bool // the kit, and the passkeys named lost
}

func lostPassword(f RecoveryFacts) bool { return f.Lost == idp.LostPassword }
func lostSecond(f RecoveryFacts) bool   { return f.Lost == idp.LostSecond }

// recoveryRows are tried from above; the first that fits decides.
var recoveryRows = []recoveryRow{
	{no: 3, lost: "password, a second factor is left", shown: "(phone or e-mail) and passkey", levels: [3]verdict{now, nowPayee, later}, passwordOnly: true,
		when: func(f RecoveryFacts, p proofs) bool { return !lostSecond(f) && p.channel() && p.has(idp.ByKey) }},
	{no: 4, lost: "password, a second factor is left", shown: "(phone or e-mail) and app code", levels: [3]verdict{nowPayee, nowPayee, later}, passwordOnly: true,
		when: func(f RecoveryFacts, p proofs) bool { return !lostSecond(f) && p.channel() && p.has(idp.ByApp) }},
	{no: 6, lost: "password, no factor enrolled nor demanded", shown: "phone and terminal, phone and kit, (phone or e-mail) and computer", levels: [3]verdict{now, nowPayee, later},
		when: func(f RecoveryFacts, p proofs) bool {
			return lostPassword(f) && !f.Enrolled && !f.Demanded && (p.has(idp.ByPhone) && p.has(idp.ByTerminal, idp.ByKit) || p.channel() && p.has(idp.ByComputer))
		}},
	{no: 8, lost: "second factor", shown: "password and kit, password and another factor, password and a strong pair", levels: [3]verdict{now, nowPayee, later},
		when: func(f RecoveryFacts, p proofs) bool {
			return lostSecond(f) && p.has(idp.ByPassword) && (p.has(idp.ByKit, idp.ByApp, idp.ByKey) || p.strong())
		}},
	{no: 10, lost: "password, or second factor, or both", shown: "a strong pair", levels: [3]verdict{nowPayee, nowMoney, later}, voids: true,
		when: func(_ RecoveryFacts, p proofs) bool { return p.strong() }},
	{no: 9, lost: "second factor", shown: "password and (phone or e-mail)", levels: [3]verdict{later, later, people},
		when: func(f RecoveryFacts, p proofs) bool { return lostSecond(f) && p.has(idp.ByPassword) && p.channel() }},
	{no: 5, lost: "password, with or without the factor", shown: "two groups, no strong pair", levels: [3]verdict{later, later, people}, voids: true,
		when: func(f RecoveryFacts, p proofs) bool {
			return !lostSecond(f) && len(slices.DeleteFunc(slices.Clone(p.groups), func(g idp.Group) bool { return g == idp.GroupPeople })) >= 2
		}},
	{no: 7, lost: "password, no factor enrolled nor demanded", shown: "phone or e-mail alone", levels: [3]verdict{later, later, later},
		when: func(f RecoveryFacts, p proofs) bool {
			return lostPassword(f) && !f.Enrolled && !f.Demanded && p.channel()
		}},
	{no: 11, lost: "password while a factor exists or is demanded, or both", shown: "phone, e-mail, phone and e-mail, or kit", levels: [3]verdict{later, later, people}, passwordOnly: true, voids: true,
		when: func(f RecoveryFacts, p proofs) bool { return !lostSecond(f) && (p.channel() || p.has(idp.ByKit)) }},
}

// peopleRows are of cases that two people approved.
var peopleRows = []recoveryRow{
	{no: 15, lost: "everything", shown: "case and (terminal or kit)", levels: [3]verdict{nowMoney, later, later}, voids: true,
		when: func(_ RecoveryFacts, p proofs) bool { return p.has(idp.ByCase) && p.has(idp.ByTerminal, idp.ByKit) }},
	{no: 14, lost: "everything", shown: "case and (phone or e-mail)", levels: [3]verdict{{how: Delayed, withheld: idp.WithholdMoney, wait: "half"}, later, later}, voids: true,
		when: func(_ RecoveryFacts, p proofs) bool { return p.has(idp.ByCase) && p.channel() }},
	{no: 13, lost: "everything", shown: "case", levels: [3]verdict{{how: Delayed, withheld: idp.WithholdMoney, wait: "higher"}, {how: Delayed, withheld: idp.WithholdMoney, wait: "higher"}, {how: Delayed, withheld: idp.WithholdMoney, wait: "higher"}}, voids: true,
		when: func(_ RecoveryFacts, p proofs) bool { return p.has(idp.ByCase) }},
}

// Decide says what becomes of a recovery with what was shown. It is the one place that
// knows the table.
func (r Recovery) Decide(f RecoveryFacts) RecoveryPlan {
	p := r.count(f)
	level := Level(len(f.Risks))
	if f.Unheard {
		level = min(2, level+1)
	}
	plan := r.first(recoveryRows, f, p, level)
	if f.Staff && !(plan.How == Immediate && p.has(idp.ByKit, idp.ByKey) && (plan.Row == 3 || plan.Row == 8)) {
		return r.staff(f, p, level)
	}
	if c := r.first(peopleRows, f, p, level); c.How != Nothing && plan.How != Immediate {
		plan = c
	}
	if f.Shop {
		plan = RecoveryPlan{Row: 16, Level: level, How: Immediate, Password: f.Lost != idp.LostSecond, Second: f.Lost != idp.LostPassword && f.Enrolled}
	}
	switch {
	case plan.How == Nothing:
		return RecoveryPlan{Row: 12, Level: level}
	case (f.Barred == "disputed" || f.Barred == "again") && p.has(idp.ByCase): // people have decided
	case f.Barred == "again" && plan.How == Immediate:
	case f.Barred != "":
		return RecoveryPlan{Row: 18, Level: level, How: ByPeople}
	}
	return plan
}

// Mends says whether any of the proofs that count under these rules begin to mend a loss. What
// people decide does under all rules.
func (r Recovery) Mends(lost idp.Lost) bool {
	f := RecoveryFacts{Lost: lost, Enrolled: true, Demanded: true}
	for _, by := range idp.Evidences {
		if by != idp.ByCase {
			f.Shown = append(f.Shown, idp.Shown{By: by, ID: string(by)})
		}
	}
	return r.Decide(f).How != Nothing
}

// staff is row 17: operator staff, beyond their own spare passkey or kit.
func (r Recovery) staff(f RecoveryFacts, p proofs, level int) RecoveryPlan {
	plan := RecoveryPlan{Row: 17, Level: level, How: ByPeople}
	switch {
	case len(p.groups) == 0:
		plan.How = Nothing
	case p.has(idp.ByCase) && (f.Barred == "" || f.Barred == "disputed" || f.Barred == "again"): // people have decided
		plan.How, plan.Wait, plan.Withheld, plan.Kit = Delayed, r.StaffWait, idp.WithholdMoney, true
		plan.Password, plan.Second = f.Lost != idp.LostSecond, f.Lost != idp.LostPassword
		if f.Met {
			plan.How, plan.Wait = Immediate, 0
			plan.Withheld = idp.WithholdNothing
		}
	}
	return plan
}

func (r Recovery) first(rows []recoveryRow, f RecoveryFacts, p proofs, level int) RecoveryPlan {
	for _, row := range rows {
		if row.when(f, p) {
			return r.plan(row, f, p, level)
		}
	}
	return RecoveryPlan{}
}

func (r Recovery) plan(row recoveryRow, f RecoveryFacts, p proofs, level int) RecoveryPlan {
	v := row.levels[level]
	plan := RecoveryPlan{Row: row.no, Level: level, How: v.how, Withheld: v.withheld,
		Password: f.Lost != idp.LostSecond, Second: f.Lost != idp.LostPassword && !row.passwordOnly, Kit: row.voids}
	switch v.how {
	case Immediate:
		if row.no == 10 && !p.stronger() {
			plan.Withheld = idp.WithholdMoney
		}
		if plan.Withheld != idp.WithholdNothing {
			plan.Hold = r.Usual
		}
	case Delayed:
		if plan.Wait = r.wait(v.wait, level); level == 2 && r.HighCase && v.wait == "" && row.no < 13 {
			return RecoveryPlan{Row: row.no, Level: level, How: ByPeople}
		}
	}
	return plan
}

// most is the longest wait of all.
const most = 168 * time.Hour

func (r Recovery) wait(how string, level int) time.Duration {
	h := []time.Duration{r.Usual, r.Raised, r.High, min(most, 2*r.High)}
	switch how {
	case "higher":
		return h[level+1]
	case "half":
		return max(r.CaseLeast, h[level]/2)
	}
	return h[level]
}

// Phone says whether a phone, bound and last proven at these times, counts: young is why it
// proves nothing, stale that it counts beside other proofs alone.
func (r Recovery) Phone(bound, proven, now time.Time) (young string, stale bool) {
	if proven.IsZero() {
		proven = bound
	}
	if now.Sub(bound) < r.Young {
		return "phone.new", false
	}
	return "", now.Sub(proven) > r.Stale
}

// Old says whether what was bound, or changed, at a time counts as a proof.
func (r Recovery) Old(bound, now time.Time) bool { return now.Sub(bound) >= r.Young }
