package policy

import (
	"encoding/json"
	"slices"
	"time"

	"hufu/idp"
)

// Measures is what a password fulfilled when it was set: enough to tell whether stricter rules would refuse it, kept
// sealed like its hash.
type Measures struct {
	Length   int  `json:"length"` // runes, at most 64
	Classes  int  `json:"classes"`
	Upper    bool `json:"upper,omitempty"`
	Lower    bool `json:"lower,omitempty"`
	Digit    bool `json:"digit,omitempty"`
	Symbol   bool `json:"symbol,omitempty"`
	Score    int  `json:"score"`
	Repeat   int  `json:"repeat"`
	Sequence int  `json:"sequence"`
	Walk     int  `json:"walk"`
}

// Effect bits of a simulation, what a draft would do to somebody.
const (
	MustChange   = 1 << iota // a new password, because it is too old
	MustRecheck              // a new password, because it does not fulfil the rules
	Unmeasured               // stricter rules look at the password when it is next typed: what it fulfils is not known
	MustEnrol                // a second factor, which he has not
	MustPasskey              // a passkey, which he has not
	LockedOut                // he must enrol, and has nothing to show for it: somebody has to help him
	LosesSession             // one session at least ends
	LosesClient              // one application or terminal at least has to be signed in anew
	LosesTrust               // his trusted browsers ask for the second step again
)

// EffectNames are the bits by the names that pages and exports use, in the order of their weight.
var EffectNames = []struct {
	Bit  int64
	Name string
}{{LockedOut, "locked_out"}, {MustRecheck, "must_recheck"}, {MustChange, "must_change"}, {Unmeasured, "unmeasured"}, {MustEnrol, "must_enrol"}, {MustPasskey, "must_passkey"},
	{LosesSession, "loses_session"}, {LosesClient, "loses_client"}, {LosesTrust, "loses_trust"}}

// Person is what is known of somebody when a draft is tried on him.
type Person struct {
	Facts
	GraceFrom              time.Time
	MustChange             bool // already
	TOTP, Passkey, Channel bool
	PasswordAt             time.Time // zero: he has none
	Measures               *Measures // nil: not known
	Sessions, Apps         int       // live ones
	OldestSession          time.Time
	OldestApp              time.Time
}

// Effects says what changes for somebody when one policy takes the place of another.
func Effects(now time.Time, was, will *Settings, p Person) (bits int64) {
	set := func(on bool, bit int64) {
		if on {
			bits |= bit
		}
	}
	bits = passwordEffects(now, was.Password, will.Password, p)
	factor := p.TOTP || p.Passkey
	lacks := func(s *Settings) bool { return s.Factors.SignIn >= idp.ACR2 && !factor && !now.Before(p.grace(s)) }
	set(lacks(will) && !lacks(was), MustEnrol)
	phr := func(s *Settings) bool { return s.Factors.SignIn >= idp.ACRPhr && factor && !p.Passkey }
	set(phr(will) && !phr(was), MustPasskey)
	set(bits&MustEnrol != 0 && !p.Channel, LockedOut)
	end := func(at time.Time, n int, s time.Duration) bool { return n > 0 && now.Sub(at) >= s }
	set(end(p.OldestSession, p.Sessions, will.Session.Absolute) || p.Sessions > will.Session.Most, LosesSession)
	set(end(p.OldestApp, p.Apps, will.Grants.Absolute), LosesClient)
	set(was.Trust.Trust > 0 && will.Trust.Trust == 0, LosesTrust)
	return bits
}

// grace is until when somebody may do without a factor.
func (p Person) grace(s *Settings) time.Time {
	return s.GraceUntil(idp.User{GraceFrom: p.GraceFrom})
}

func passwordEffects(now time.Time, was, will PasswordRules, p Person) (bits int64) {
	if p.PasswordAt.IsZero() || p.MustChange {
		return 0
	}
	old := func(r PasswordRules) bool { return r.MaxAgeDays > 0 && now.Sub(p.PasswordAt) > r.MaxAge() }
	if old(will) && !old(was) {
		bits |= MustChange
	}
	if !will.RecheckAtSignin {
		return bits
	}
	alone := !p.TOTP && !p.Passkey
	switch {
	case p.Measures == nil && will.tighter(was):
		bits |= Unmeasured
	case p.Measures != nil && !will.Fulfilled(*p.Measures, alone) && was.Fulfilled(*p.Measures, alone):
		bits |= MustRecheck
	}
	return bits
}

// Fulfilled says whether a password of some measures passes the rules that measures tell of.
func (r PasswordRules) Fulfilled(m Measures, alone bool) bool {
	least := r.MinLength
	if alone {
		least = r.MinLengthAlone
	}
	within := func(n, most int) bool { return most == 0 || n <= most }
	return m.Length >= least && m.Classes >= r.ClassesOf4 && m.Score >= r.MinScore && (m.Upper || !r.NeedUpper) && (m.Lower || !r.NeedLower) && (m.Digit || !r.NeedDigit) &&
		(m.Symbol || !r.NeedSymbol) && within(m.Repeat, r.MaxRepeat) && within(m.Sequence, r.MaxSequence) && within(m.Walk, r.MaxKeyboardWalk)
}

// tighter says whether rules ask anything of a password's form that others did not.
func (r PasswordRules) tighter(was PasswordRules) bool {
	for _, f := range fields {
		if len(f.Path) < 9 || f.Path[:9] != "password." || slices.Contains(agesAlone, f.Path) {
			continue
		}
		a, b := f.get(&Settings{Password: was}), f.get(&Settings{Password: r})
		if f.compare(a, b) > 0 {
			return true
		}
	}
	return false
}

// agesAlone are the knobs of passwords that say nothing of their form.
var agesAlone = []string{"password.max_age_days", "password.min_age_hours", "password.remind_days", "password.history_count", "password.history_days", "password.grace_days",
	"password.recheck_at_signin", "password.pin_length", "password.pin_weak_list", "password.pin_max_age_days", "password.max_length"}

// Tally is what a simulation has counted, by effect, and by role and tier.
type Tally struct {
	People int64                       `json:"people"`
	Any    int64                       `json:"any"`    // whom anything touches
	Change int64                       `json:"change"` // who must set a new password, for either reason
	By     map[string]int64            `json:"by"`
	Split  map[string]map[string]int64 `json:"split"` // "owner/standard" → effect → people
	// Of the sign-ins of the last days: how many there were, how many would have been asked for more, and of how many people
	// it is told at most.
	SignIns     int64  `json:"sign_ins"`
	Asked       int64  `json:"asked"`
	SignInAfter string `json:"sign_in_after"` // the last event that was looked at
}

// Write is the stored form.
func (m Measures) Write() []byte {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // a struct of numbers
	}
	return raw
}

// ReadTally reads what Write wrote; what cannot be read is an empty one.
func ReadTally(raw []byte) *Tally {
	t := &Tally{}
	_ = json.Unmarshal(raw, t)
	if t.By == nil {
		t.By = map[string]int64{}
	}
	if t.Split == nil {
		t.Split = map[string]map[string]int64{}
	}
	return t
}

// Write is the stored form.
func (t *Tally) Write() []byte {
	raw, err := json.Marshal(t)
	if err != nil {
		panic(err) // maps of numbers
	}
	return raw
}

// Count adds somebody.
func (t *Tally) Count(role idp.Role, tier idp.Tier, bits int64) {
	t.People++
	if bits == 0 {
		return
	}
	t.Any++
	if bits&(MustChange|MustRecheck) != 0 {
		t.Change++
	}
	group := string(role) + "/" + string(tier)
	if t.Split[group] == nil {
		t.Split[group] = map[string]int64{}
	}
	for _, e := range EffectNames {
		if bits&e.Bit != 0 {
			t.By[e.Name]++
			t.Split[group][e.Name]++
		}
	}
}
