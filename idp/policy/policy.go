// Package policy holds the policy document, whose numbers every other package
// reads, and decides from it and from facts what must be proved. It is pure: no
// clock, no database, no page.
//
// Invariant: no security number stands anywhere else in the code.
package policy

import (
	"time"
	"unicode/utf8"

	"hufu/idp"
)

// Document is a policy: the shipped defaults are [Default].
type Document struct {
	Version   int64
	Password  Password
	Sessions  map[Class]SessionLife
	Flow      FlowLife
	Codes     Codes
	Throttle  Throttle
	Sends     Sends
	Tokens    Tokens
	Device    Device
	Browsers  Browsers
	Links     Links
	StepUp    StepUp
	EnrolDays map[Class]int // grace to enrol a demanded factor, days
}

// Class is what most numbers are looked up by: the tier of a merchant's staff,
// or operator staff.
type Class string

const (
	ClassMicro     Class = Class(idp.TierMicro)
	ClassStandard  Class = Class(idp.TierStandard)
	ClassHighValue Class = Class(idp.TierHighValue)
	ClassOperator  Class = "operator"
)

// ClassOf returns the class of a user; m is his merchant, nil for operator staff.
// Staff without a known merchant fall into the strictest class of merchants.
func ClassOf(u idp.User, m *idp.Merchant) Class {
	switch {
	case u.Role.Operator():
		return ClassOperator
	case m == nil:
		return ClassHighValue
	}
	return Class(m.Tier)
}

// Password bounds passwords. The full set of knobs binds to this block.
type Password struct {
	MinLength, MinLengthAlone, MaxLength int // runes; Alone: no second factor
}

// SessionLife bounds a browser session.
type SessionLife struct {
	Idle, Absolute time.Duration
	Most           int // live sessions a user; the oldest ends
}

// FlowLife bounds a walk through a flow.
type FlowLife struct{ Step, Whole time.Duration }

// Codes bounds one-time codes by channel.
type Codes struct {
	SMSLife, MailLife time.Duration
	Digits, Tries     int
}

// Bucket admits Burst charges at once and one more each Refill: at most
// Burst + ⌊w/Refill⌋ in any window w.
type Bucket struct {
	Burst  int
	Refill time.Duration
}

// Times is a bucket with room for n times as many.
func (b Bucket) Times(n int) Bucket {
	return Bucket{Burst: b.Burst * n, Refill: b.Refill / time.Duration(n)}
}

// Wait bounds the growing delay after failures: none for the first four, then
// 30 s doubling up to Cap, forgotten a day after the last (NIST SP 800-63B-4
// 3.2.2).
type Wait struct{ Unit, Cap, Forget time.Duration }

// Throttle is the table of guesses, one row a secret and asker.
type Throttle struct {
	PasswordWait, PasswordBrowserWait Wait
	PasswordStranger, PasswordBrowser Bucket
	TOTPStranger, TOTPBrowser         Bucket
	CodeStranger, CodeBrowser         Bucket
	UserCodeWait                      Wait
	UserCodeAccount, UserCodeNetwork  Bucket
	StrangerNetwork                   Bucket // hard stop of anything failing, by network, times f
	HardEnd                           int    // stranger failures in a row that close an authenticator
	SuspectAfter                      int    // wrong second factors after a right password within SuspectIn
	SuspectIn                         time.Duration
	RepeatLife                        time.Duration // how long a wrong password is remembered as the same
}

// Sends bounds messages with codes.
type Sends struct {
	PhoneGap, MailGap                      time.Duration
	PhoneHour, PhoneDay, MailHour, MailDay Bucket
	AccountDay                             Bucket
}

// Tokens are lifetimes of what the OAuth endpoints issue.
type Tokens struct {
	Code, Access, AccessMoney, ID  time.Duration
	RefreshIdle, RefreshAbsolute   map[Class]time.Duration // of an app
	TerminalIdle, TerminalAbsolute map[Class]time.Duration
	Grace                          time.Duration // a lost answer is given again, sealed
	PAR                            time.Duration // to first use
	Assertion                      time.Duration
	MostGrants                     int // live grants of a person to one client and terminal; the oldest ends
}

// Device bounds the device flow (RFC 8628).
type Device struct {
	Life, Interval, SlowDown time.Duration
	IdleAfter                time.Duration // a terminal unseen for longer is approved like a new one
	Network                  Bucket        // requests of a network: at most 60 in any minute
}

// Browsers bounds known browsers.
type Browsers struct {
	Life, PreviousGeneration time.Duration
	Most                     int
}

// Links bounds links that are sent.
type Links struct{ Invite time.Duration }

// StepUp are the ages that actions demand.
type StepUp struct {
	Credential    time.Duration // add, remove, change a credential: all proofs younger
	ApproveActive time.Duration // a sign-in of an active terminal
	ApproveNew    time.Duration // of one new, moved or long idle
	Money         time.Duration // consent with a money scope: one proof of possession younger
	ConsoleAct    time.Duration
	ConsoleSecret time.Duration // client secrets, staff roles
	ConsoleLook   time.Duration // how long a reason given to look at somebody's page lasts
}

const day = 24 * time.Hour

// Default returns the shipped policy.
func Default() *Document {
	tiers := func(micro, standard, high, operator time.Duration) map[Class]time.Duration {
		return map[Class]time.Duration{ClassMicro: micro, ClassStandard: standard, ClassHighValue: high, ClassOperator: operator}
	}
	return &Document{
		Version:  1,
		Password: Password{MinLength: 10, MinLengthAlone: 12, MaxLength: 256},
		Sessions: map[Class]SessionLife{
			ClassMicro:     {Idle: 8 * time.Hour, Absolute: 7 * day, Most: 50},
			ClassStandard:  {Idle: 8 * time.Hour, Absolute: 7 * day, Most: 50},
			ClassHighValue: {Idle: time.Hour, Absolute: day, Most: 10},
			ClassOperator:  {Idle: 15 * time.Minute, Absolute: 8 * time.Hour, Most: 3},
		},
		Flow:  FlowLife{Step: 15 * time.Minute, Whole: time.Hour},
		Codes: Codes{SMSLife: 5 * time.Minute, MailLife: 10 * time.Minute, Digits: 6, Tries: 5},
		Throttle: Throttle{
			PasswordWait:        Wait{Unit: 30 * time.Second, Cap: time.Hour, Forget: day},
			PasswordBrowserWait: Wait{Unit: 30 * time.Second, Cap: 15 * time.Minute, Forget: day},
			PasswordStranger:    Bucket{20, 18 * time.Hour},
			PasswordBrowser:     Bucket{10, 36 * time.Hour},
			TOTPStranger:        Bucket{5, 5 * day},
			TOTPBrowser:         Bucket{4, 180 * time.Hour},
			CodeStranger:        Bucket{5, 6 * day},
			CodeBrowser:         Bucket{5, 6 * day},
			UserCodeWait:        Wait{Unit: 30 * time.Second, Cap: 15 * time.Minute, Forget: day},
			UserCodeAccount:     Bucket{10, 6 * time.Hour},
			UserCodeNetwork:     Bucket{20, time.Minute},
			StrangerNetwork:     Bucket{300, time.Minute},
			HardEnd:             100,
			SuspectAfter:        3,
			SuspectIn:           day,
			RepeatLife:          day,
		},
		Sends: Sends{
			PhoneGap: time.Minute, MailGap: 30 * time.Second,
			PhoneHour: Bucket{5, 12 * time.Minute}, PhoneDay: Bucket{10, day / 10},
			MailHour: Bucket{10, 6 * time.Minute}, MailDay: Bucket{30, day / 30},
			AccountDay: Bucket{15, day / 15},
		},
		Tokens: Tokens{
			Code: time.Minute, Access: 300 * time.Second, AccessMoney: 120 * time.Second, ID: 300 * time.Second,
			RefreshIdle:      tiers(14*day, 14*day, 7*day, 7*day),
			RefreshAbsolute:  tiers(90*day, 90*day, 30*day, 30*day),
			TerminalIdle:     tiers(30*day, 30*day, 30*day, 30*day),
			TerminalAbsolute: tiers(365*day, 365*day, 180*day, 180*day),
			Grace:            30 * time.Second,
			PAR:              time.Minute,
			Assertion:        time.Minute,
			MostGrants:       50,
		},
		Device:   Device{Life: 600 * time.Second, Interval: 5 * time.Second, SlowDown: 5 * time.Second, IdleAfter: 30 * day, Network: Bucket{30, 2 * time.Second}},
		Browsers: Browsers{Life: 180 * day, PreviousGeneration: 10 * time.Minute, Most: 10},
		Links:    Links{Invite: 7 * day},
		StepUp: StepUp{Credential: 300 * time.Second, ApproveActive: 12 * time.Hour, ApproveNew: 300 * time.Second, ConsoleAct: 900 * time.Second,
			Money: 300 * time.Second, ConsoleSecret: 300 * time.Second, ConsoleLook: time.Hour},
		EnrolDays: map[Class]int{ClassMicro: 7, ClassStandard: 7, ClassHighValue: 0, ClassOperator: 0},
	}
}

// SignIn says what class of assurance the sign-in of a person must reach, and until
// when he may do without a second factor that he has not enrolled yet (zero: no
// grace). policy_admin signs in phishing-resistant as soon as passkeys can be
// enrolled; until then two factors are the most there is.
func (d *Document) SignIn(u idp.User, c Class) (acr idp.ACR, graceUntil time.Time) {
	if u.Role == idp.RoleCashier && c != ClassHighValue {
		return idp.ACR1, time.Time{}
	}
	if days := d.EnrolDays[c]; days > 0 {
		graceUntil = u.GraceFrom.Add(time.Duration(days) * day)
	}
	return idp.ACR2, graceUntil
}

// SMSFactor says whether a code to a bound phone may be the second factor of a
// person who has enrolled no other.
func (d *Document) SMSFactor(c Class) bool { return c == ClassMicro || c == ClassStandard }

// CheckPassword refuses a new password that is too short or too long, in
// characters. alone: its owner has no second factor.
func (d *Document) CheckPassword(password string, alone bool) error {
	least := d.Password.MinLength
	if alone {
		least = d.Password.MinLengthAlone
	}
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return idp.FieldError("password", "password.malformed")
	case n < least:
		return idp.FieldError("password", "password.short", least)
	case n > d.Password.MaxLength:
		return idp.FieldError("password", "password.long", d.Password.MaxLength)
	}
	return nil
}
