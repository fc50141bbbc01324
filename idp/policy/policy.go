// Package policy holds the policy document, whose numbers every other package
// reads, and decides from it and from facts what must be proved. It is pure: no
// clock, no database, no page.
//
// Invariant: no security number stands anywhere else in the code.
package policy

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/idp"
)

// Document is a policy: the shipped defaults are [Default].
type Document struct {
	Version      int64
	Password     Password
	Sessions     map[Class]SessionLife
	Flow         FlowLife
	Codes        Codes
	Throttle     Throttle
	Sends        Sends
	Tokens       Tokens
	Device       Device
	Browsers     Browsers
	Links        Links
	StepUp       StepUp
	EnrolDays    map[Class]int // grace to enrol a demanded factor, days
	Passkeys     map[Class]Passkeys
	MostPasskeys int // of a person
	Recovery     RecoveryCodes
	Work         Work
	Notices      Notices
	Cases        Cases
	Contacts     Contacts
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
	MinLength, MinLengthAlone, MaxLength int           // runes; Alone: no second factor
	MaxAge                               time.Duration // then the sign-in asks for a new one; 0: never
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
	PasswordIntroduced                Bucket // a stranger who proved a code on a bound channel of the account
	TOTPStranger, TOTPBrowser         Bucket
	TOTPIntroduced                    Bucket
	CodeStranger, CodeBrowser         Bucket
	BackupCode                        Bucket
	Address                           Bucket        // codes that prove a new phone or address: nobody comes in with them
	Introduced                        time.Duration // how long such a code introduces
	Hashing                           Bucket        // new passwords and codes that a flow hashes
	Explain                           Bucket        // refusals that cost nothing and are written to the log all the same, of a network, times f
	NetworkWork                       Bucket        // strangers' failures of a network, times f, before it must work
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
	NetworkHour, NetworkDay                Bucket   // times f
	PhoneNotices                           Bucket   // notices by text message to one number; no code is among them
	PhoneKept, MailKept                    int      // of a day, for known browsers
	Countries                              []string // prefixes that SMS may go to
	Breaker                                Breaker
}

// Reaches says whether text messages go to a number, in E.164.
func (s Sends) Reaches(number string) bool {
	return slices.ContainsFunc(s.Countries, func(prefix string) bool { return strings.HasPrefix(number, prefix) })
}

// Breaker stops sending SMS to strangers when far more go out than usual.
type Breaker struct {
	HourLeast, HourTimes int // budget of an hour: the larger of HourLeast and HourTimes × its median over 14 days
	DayMost              int // messages a day: the cap in money over the price of one
	ShutAfter, ShutBelow int // a prefix or network with so many sends and fewer percent of codes used within ShutWindow
	ShutWindow, ShutFor  time.Duration
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
	Trust                    map[Class]time.Duration // waives the second factor of a plain sign-in so long; 0: off
}

// Links bounds links that are sent.
type Links struct{ Invite, Freeze, Undo time.Duration }

// StepUp are the ages that actions demand.
type StepUp struct {
	Credential    time.Duration // add, remove, change a credential: all proofs younger
	ApproveActive time.Duration // a sign-in of an active terminal
	ApproveNew    time.Duration // of one new, moved or long idle
	Own           time.Duration // user name, own data: one proof younger
	Money         time.Duration // consent with a money scope: one proof of possession younger
	ConsoleAct    time.Duration
	ConsoleSecret time.Duration // client secrets, staff roles
	ConsoleLook   time.Duration // how long a reason given to look at somebody's page lasts
}

// Passkeys are what a class of people may enrol. AAGUIDs are in lower case with dashes.
type Passkeys struct {
	Allow, Deny []string // AAGUIDs; an empty Allow allows all that are not denied
	Attested    bool     // a signed statement of the maker is demanded
}

// RecoveryCodes are the codes on paper.
type RecoveryCodes struct {
	Count int // a set
	Low   int // fewer left than so many: a reminder
}

// Work is the proof of work that strangers pay for a guess or a costly message with:
// so many leading zero bits of a SHA-256.
type Work struct {
	Bits, Most, SMS int           // to begin with, at most, and for an SMS
	Network         int           // more, from a network with many failures
	After           int           // failures of a name within Window before it is asked; one bit more each time as many again
	Fleet           int           // for all, while the strangers' failures of an hour exceed so many times the 7-day median
	Window, Life    time.Duration // Life of a challenge
	Ticket          time.Duration // without script: the wait in place of Bits, doubled for each bit more
}

// Notices are what people are told of, and for how long.
type Notices struct {
	Removed     time.Duration   // a removed address still gets notices
	Same        time.Duration   // the same kind to one channel at most once
	Strong      time.Duration   // a strong return uses only what is older than what it undoes by so much
	FormerNames time.Duration   // a former user name goes on working
	Unproven    time.Duration   // a phone not proved for longer is in the digest
	Expiring    []time.Duration // before a password's end, in the digest
	Digest      time.Duration   // between digests of one person
}

// Contacts bounds the names, phones and addresses of a person.
type Contacts struct {
	Most    int    // verified phones, and addresses, with those removed that still get notices: every notice goes to all
	Renames Bucket // new user names: old ones stay taken
	Names   Bucket // tries of a new user name, each of which tells whether it is taken
}

// Cases are what people handle.
type Cases struct {
	Due         time.Duration // answered by then
	LinkFreezes int           // by link within LinkWindow without a strong return; more only open a case
	LinkWindow  time.Duration
	Ask         time.Duration // how long a person is asked of an event whether it was he
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
			PasswordIntroduced:  Bucket{5, 180 * time.Hour},
			TOTPIntroduced:      Bucket{3, 10 * day},
			BackupCode:          Bucket{5, 6 * day},
			Address:             Bucket{20, day / 20},
			Introduced:          15 * time.Minute,
			Hashing:             Bucket{5, 10 * time.Second},
			Explain:             Bucket{20, 5 * time.Minute},
			NetworkWork:         Bucket{30, time.Minute},
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
			AccountDay:  Bucket{15, day / 15},
			NetworkHour: Bucket{10, 6 * time.Minute}, NetworkDay: Bucket{50, day / 50}, PhoneNotices: Bucket{20, 10 * time.Minute},
			PhoneKept: 5, MailKept: 15, Countries: []string{"+86"},
			Breaker: Breaker{HourLeast: 200, HourTimes: 4, DayMost: 20_000, ShutAfter: 50, ShutBelow: 30, ShutWindow: 15 * time.Minute, ShutFor: time.Hour},
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
		Browsers: Browsers{Life: 180 * day, PreviousGeneration: 10 * time.Minute, Most: 10, Trust: tiers(30*day, 30*day, 0, 0)},
		Links:    Links{Invite: 7 * day, Freeze: 30 * day, Undo: 72 * time.Hour},
		StepUp: StepUp{Credential: 300 * time.Second, Own: 300 * time.Second, ApproveActive: 12 * time.Hour, ApproveNew: 300 * time.Second, ConsoleAct: 900 * time.Second,
			Money: 300 * time.Second, ConsoleSecret: 300 * time.Second, ConsoleLook: time.Hour},
		EnrolDays:    map[Class]int{ClassMicro: 7, ClassStandard: 7, ClassHighValue: 0, ClassOperator: 0},
		Passkeys:     map[Class]Passkeys{},
		MostPasskeys: 20,
		Recovery:     RecoveryCodes{Count: 10, Low: 3},
		Work:         Work{Bits: 18, Most: 22, SMS: 19, Network: 2, After: 5, Window: time.Hour, Life: 120 * time.Second, Ticket: 20 * time.Second, Fleet: 20},
		Notices: Notices{Removed: 30 * day, Same: 10 * time.Minute, Strong: 72 * time.Hour, FormerNames: 365 * day, Unproven: 60 * day,
			Expiring: []time.Duration{14 * day, 7 * day, day}, Digest: 7 * day},
		Contacts: Contacts{Most: 5, Renames: Bucket{3, 10 * day}, Names: Bucket{10, day / 10}},
		Cases:    Cases{Due: day, LinkFreezes: 2, LinkWindow: 7 * day, Ask: 90 * day},
	}
}

// SignIn says what class of assurance the sign-in of a person must reach, and until
// when he may do without a second factor that he has not enrolled yet (zero: no
// grace). policy_admin signs in phishing-resistant as soon as he holds a passkey; until
// then two factors are the most that he can show.
func (d *Document) SignIn(u idp.User, c Class) (acr idp.ACR, graceUntil time.Time) {
	if u.Role == idp.RoleCashier && c != ClassHighValue {
		return idp.ACR1, time.Time{}
	}
	if days := d.EnrolDays[c]; days > 0 {
		graceUntil = u.GraceFrom.Add(time.Duration(days) * day)
	}
	if u.Role == idp.RolePolicyAdmin {
		return idp.ACRPhr, graceUntil
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
