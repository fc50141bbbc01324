package policy

import (
	"slices"
	"strings"
	"time"

	"hufu/idp"
)

// Settings are all knobs, as they hold for somebody after the rules were merged. The tags of each field are the table:
//
//	json    its name in the document
//	merge   how two rules agree, see [Op]
//	range   its bounds, both allowed
//	one of  the words it may be, the least strict first
//
// The blocks below All are the same for everybody, since they are looked up before it is known who asks: only the
// default rule sets them.
type Settings struct {
	Password PasswordRules `json:"password"`
	Factors  Factors       `json:"factors"`
	Session  SessionLife   `json:"session"`
	Trust    Trust         `json:"browser"`
	StepUp   StepUp        `json:"step_up"`
	Grants   Grants        `json:"grants"`
	Recovery Recovery      `json:"recovery"`
	Terminal Terminals     `json:"terminals"`
	Handover Handover      `json:"handover"`
	All
}

// All are the numbers that hold for everybody alike.
type All struct {
	Flow     FlowLife      `json:"flow"`
	Codes    Codes         `json:"codes"`
	Throttle Throttle      `json:"throttle"`
	Sends    Sends         `json:"sends"`
	Tokens   Tokens        `json:"tokens"`
	Device   Device        `json:"device"`
	Browsers Browsers      `json:"browsers"`
	Links    Links         `json:"links"`
	Paper    RecoveryCodes `json:"recovery_codes"`
	Returns  Returns       `json:"returns"`
	Work     Work          `json:"work"`
	Notices  Notices       `json:"notices"`
	Cases    Cases         `json:"cases"`
	Desk     Desk          `json:"desk"`
	Contacts Contacts      `json:"contacts"`
	Approval Approval      `json:"approval"`
	Closing  Closing       `json:"closing"`
}

// Factors say who must prove what at a sign-in, and what may be enrolled.
type Factors struct {
	SignIn       idp.ACR  `json:"sign_in" merge:"largest"`                // the class that a sign-in reaches
	GraceDays    int      `json:"grace_days" merge:"least" range:"0..90"` // to enrol what that needs
	SMSSecond    bool     `json:"sms_second" merge:"and"`                 // a code by SMS counts while nothing else is enrolled
	Kinds        []string `json:"kinds" merge:"common" oneof:"totp,passkey"`
	Models       []string `json:"models" merge:"common"`        // AAGUIDs that may be enrolled, lower case with dashes; empty: all that are not denied
	ModelsDenied []string `json:"models_denied" merge:"joined"` // AAGUIDs
	Attested     bool     `json:"attested" merge:"or"`          // a signed statement of the maker is demanded
	MostPasskeys int      `json:"most_passkeys" merge:"least" range:"1..100"`
}

// SessionLife bounds a browser session.
type SessionLife struct {
	Idle     time.Duration `json:"idle" merge:"least" range:"5m..24h"`
	Absolute time.Duration `json:"absolute" merge:"least" range:"15m..30d"`
	Most     int           `json:"most" merge:"least" range:"1..200"` // live sessions a user; the oldest ends
}

// Trust bounds trusted browsers.
type Trust struct {
	Trust time.Duration `json:"trust" merge:"least" range:"0s..90d"` // waives the second factor of a plain sign-in so long; 0: off
}

// StepUp are the classes and ages that actions demand.
type StepUp struct {
	Credential       time.Duration `json:"credential" merge:"least" range:"60s..1h"` // add, remove, change a credential: all proofs younger
	Own              time.Duration `json:"own" merge:"least" range:"60s..1h"`        // user name, own data: one proof younger
	ApproveActive    time.Duration `json:"approve_active" merge:"least" range:"60s..24h"`
	ApproveNew       time.Duration `json:"approve_new" merge:"least" range:"60s..1h"` // a terminal that is new, moved or long idle
	Money            time.Duration `json:"money" merge:"least" range:"30s..1h"`       // consent with a money scope: one proof of possession younger
	MoneyACR         idp.ACR       `json:"money_acr" merge:"largest"`
	ApproveACR       idp.ACR       `json:"approve_acr" merge:"largest"` // a sign-in of an active terminal
	ConsoleAct       time.Duration `json:"console_act" merge:"least" range:"60s..1h"`
	ConsoleSecret    time.Duration `json:"console_secret" merge:"least" range:"60s..1h"`     // client secrets, staff roles, policy
	ConsoleEmergency time.Duration `json:"console_emergency" merge:"least" range:"60s..10m"` // a policy put in force by one person: all proofs younger
	ConsoleACR       idp.ACR       `json:"console_acr" merge:"largest"`                      // of those
	ConsoleLook      time.Duration `json:"console_look" merge:"least" range:"5m..8h"`        // how long a reason given to look at somebody's page lasts
}

// Grants are how long what a person allowed goes on.
type Grants struct {
	Idle             time.Duration `json:"idle" merge:"least" range:"1h..90d"` // of an app
	Absolute         time.Duration `json:"absolute" merge:"least" range:"1d..365d"`
	TerminalIdle     time.Duration `json:"terminal_idle" merge:"least" range:"1h..180d"`
	TerminalAbsolute time.Duration `json:"terminal_absolute" merge:"least" range:"1d..730d"`
}

// Terminals say what a terminal must show, and who may let it in.
type Terminals struct {
	KeyRequired     bool      `json:"key_required" merge:"or"` // it proves its key with every request; one that has a key always does
	Approvers       Approvers `json:"approvers"`
	MinimumSoftware Software  `json:"minimum_software"`
}

// Approvers are the roles that may let a terminal in, by its kind.
type Approvers struct {
	ESign        ByState  `json:"esign"`
	Traditional  ByState  `json:"traditional"`
	Smart        ByState  `json:"smart"`
	Unregistered []string `json:"unregistered" merge:"common" oneof:"owner,manager,cashier"` // a device that names no terminal
}

// ByState are such roles by where the terminal stands.
type ByState struct {
	Active []string `json:"active" merge:"common" oneof:"owner,manager,cashier"`
	New    []string `json:"new" merge:"common" oneof:"owner,manager,cashier"` // also one long unseen, with another key, or that asks to move money
}

// Software is the oldest version of a terminal's software that may sign in, by its kind.
type Software struct {
	ESign       Version `json:"esign" merge:"largest"`
	Traditional Version `json:"traditional" merge:"largest"`
	Smart       Version `json:"smart" merge:"largest"`
}

// Handover bounds how a merchant passes to another owner.
type Handover struct {
	Cooling time.Duration `json:"cooling" merge:"largest" range:"1h..30d"` // from the new owner's word on, while both can stop it
	Case    time.Duration `json:"case" merge:"largest" range:"1h..30d"`    // where two of the operator's staff speak for an owner who is gone
	Hold    time.Duration `json:"hold" merge:"largest" range:"0s..30d"`    // the new owner's settlement is held
}

// FlowLife bounds a walk through a flow.
type FlowLife struct {
	Step  time.Duration `json:"step" range:"2m..1h"`
	Whole time.Duration `json:"whole" range:"10m..4h"`
}

// Codes bounds one-time codes by channel.
type Codes struct {
	SMSLife  time.Duration `json:"sms_life" range:"1m..10m"`
	MailLife time.Duration `json:"mail_life" range:"1m..30m"`
	Digits   int           `json:"digits" range:"6..8"`
	Tries    int           `json:"tries" range:"1..10"`
}

// Bucket admits Burst charges at once and one more each Refill: at most
// Burst + ⌊w/Refill⌋ in any window w.
type Bucket struct {
	Burst  int           `json:"burst" range:"1..100000"`
	Refill time.Duration `json:"refill" range:"1us..60d"`
}

// Times is a bucket with room for n times as many.
func (b Bucket) Times(n int) Bucket {
	return Bucket{Burst: b.Burst * n, Refill: b.Refill / time.Duration(n)}
}

// Month is how many charges a bucket admits in thirty days at most.
func (b Bucket) Month() int { return b.Burst + int(30*day/b.Refill) }

// Wait bounds the growing delay after failures: none for the first four, then
// 30 s doubling up to Cap, forgotten a day after the last (NIST SP 800-63B-4
// 3.2.2).
type Wait struct {
	Unit   time.Duration `json:"unit" range:"30s..5m"`
	Cap    time.Duration `json:"cap" range:"1m..1h"`
	Forget time.Duration `json:"forget" range:"1h..7d"`
}

// Throttle is the table of guesses, one row a secret and asker.
type Throttle struct {
	PasswordWait        Wait          `json:"password_wait"`
	PasswordBrowserWait Wait          `json:"password_browser_wait"`
	PasswordStranger    Bucket        `json:"password_stranger"`
	PasswordBrowser     Bucket        `json:"password_browser"`
	PasswordIntroduced  Bucket        `json:"password_introduced"` // a stranger who proved a code on a bound channel of the account
	TOTPStranger        Bucket        `json:"totp_stranger"`
	TOTPBrowser         Bucket        `json:"totp_browser"`
	TOTPIntroduced      Bucket        `json:"totp_introduced"`
	CodeStranger        Bucket        `json:"code_stranger"`
	CodeBrowser         Bucket        `json:"code_browser"`
	BackupCode          Bucket        `json:"backup_code"`
	Address             Bucket        `json:"address"`                   // codes that prove a new phone or address: nobody comes in with them
	Introduced          time.Duration `json:"introduced" range:"1m..1h"` // how long such a code introduces
	Hashing             Bucket        `json:"hashing"`                   // new passwords and codes that a flow hashes
	Explain             Bucket        `json:"explain"`                   // refusals that cost nothing and are written to the log all the same, of a network, times f
	KitFile             Bucket        `json:"kit_file"`                  // files of recovery kits that are opened, of a known browser or a network, times f
	Checking            Bucket        `json:"checking"`                  // new passwords of a flow that are compared with the rules while they are typed
	NetworkWork         Bucket        `json:"network_work"`              // strangers' failures of a network, times f, before it must work
	UserCodeWait        Wait          `json:"user_code_wait"`
	UserCodeAccount     Bucket        `json:"user_code_account"`
	UserCodeNetwork     Bucket        `json:"user_code_network"`
	StrangerNetwork     Bucket        `json:"stranger_network"`            // hard stop of anything failing, by network, times f
	HardEnd             int           `json:"hard_end" range:"10..100"`    // stranger failures in a row that close an authenticator (NIST: 100)
	SuspectAfter        int           `json:"suspect_after" range:"1..10"` // wrong second factors after a right password within SuspectIn
	SuspectIn           time.Duration `json:"suspect_in" range:"1h..7d"`
	RepeatLife          time.Duration `json:"repeat_life" range:"0s..7d"` // how long a wrong password is remembered as the same
}

// Sends bounds messages with codes.
type Sends struct {
	PhoneGap     time.Duration `json:"phone_gap" range:"10s..10m"`
	MailGap      time.Duration `json:"mail_gap" range:"10s..10m"`
	PhoneHour    Bucket        `json:"phone_hour"`
	PhoneDay     Bucket        `json:"phone_day"`
	MailHour     Bucket        `json:"mail_hour"`
	MailDay      Bucket        `json:"mail_day"`
	AccountDay   Bucket        `json:"account_day"`
	NetworkHour  Bucket        `json:"network_hour"` // times f
	NetworkDay   Bucket        `json:"network_day"`
	PhoneNotices Bucket        `json:"phone_notices"`             // notices by text message to one number; no code is among them
	PhoneKept    int           `json:"phone_kept" range:"0..100"` // of a day, for known browsers
	MailKept     int           `json:"mail_kept" range:"0..100"`
	Countries    []string      `json:"countries"` // prefixes that SMS may go to
	Breaker      Breaker       `json:"breaker"`
}

// Reaches says whether text messages go to a number, in E.164.
func (s Sends) Reaches(number string) bool {
	return slices.ContainsFunc(s.Countries, func(prefix string) bool { return strings.HasPrefix(number, prefix) })
}

// Breaker stops sending SMS to strangers when far more go out than usual.
type Breaker struct {
	HourLeast  int           `json:"hour_least" range:"1..1000000"` // budget of an hour: the larger of HourLeast and HourTimes × its median over 14 days
	HourTimes  int           `json:"hour_times" range:"1..100"`
	DayMost    int           `json:"day_most" range:"1..10000000"` // messages a day: the cap in money over the price of one
	ShutAfter  int           `json:"shut_after" range:"5..10000"`  // a prefix or network with so many sends
	ShutBelow  int           `json:"shut_below" range:"1..90"`     // and fewer percent of codes used within ShutWindow
	ShutWindow time.Duration `json:"shut_window" range:"1m..1h"`
	ShutFor    time.Duration `json:"shut_for" range:"1m..24h"`
}

// Tokens are lifetimes of what the OAuth endpoints issue.
type Tokens struct {
	Code        time.Duration `json:"code" range:"10s..60s"` // RFC 9700
	Access      time.Duration `json:"access" range:"60s..1h"`
	AccessMoney time.Duration `json:"access_money" range:"30s..10m"`
	ID          time.Duration `json:"id" range:"60s..1h"`
	Grace       time.Duration `json:"grace" range:"0s..60s"` // a lost answer is given again, sealed
	PAR         time.Duration `json:"par" range:"10s..10m"`  // to first use
	Assertion   time.Duration `json:"assertion" range:"10s..5m"`
	Proof       time.Duration `json:"proof" range:"10s..5m"`       // of possession (RFC 9449): so old at most
	ProofAhead  time.Duration `json:"proof_ahead" range:"0s..60s"` // and so far in the future, for clocks that are off
	ProofOnce   time.Duration `json:"proof_once" range:"20s..1h"`  // remembered so long: it counts once
	MostGrants  int           `json:"most_grants" range:"1..1000"` // live grants of a person to one client and terminal; the oldest ends
}

// Device bounds the device flow (RFC 8628).
type Device struct {
	Life      time.Duration `json:"life" range:"60s..30m"`
	Interval  time.Duration `json:"interval" range:"1s..60s"`
	SlowDown  time.Duration `json:"slow_down" range:"1s..60s"`
	IdleAfter time.Duration `json:"idle_after" range:"1d..180d"` // a terminal unseen for longer is approved like a new one
	Network   Bucket        `json:"network"`                     // requests of a network
}

// Browsers bounds known browsers.
type Browsers struct {
	Life               time.Duration `json:"life" range:"1d..400d"`
	PreviousGeneration time.Duration `json:"previous_generation" range:"1m..1h"`
	Most               int           `json:"most" range:"1..100"`
}

// Links bounds links that are sent.
type Links struct {
	Invite time.Duration `json:"invite" range:"1h..30d"`
	Freeze time.Duration `json:"freeze" range:"1d..90d"`
	Undo   time.Duration `json:"undo" range:"24h..30d"`
	Accept time.Duration `json:"accept" range:"1h..14d"` // of a hand-over, by the new owner
}

// RecoveryCodes are the codes on paper.
type RecoveryCodes struct {
	Count       int `json:"count" range:"4..20"`       // a set
	Low         int `json:"low" range:"0..20"`         // fewer left than so many: a reminder
	KitLength   int `json:"kit_length" range:"10..64"` // least characters of the passphrase of the kit's file
	KitStrength int `json:"kit_strength" range:"2..4"` // least score of it, of zxcvbn: it is guessed at where nobody counts
}

// Work is the proof of work that strangers pay for a guess or a costly message with:
// so many leading zero bits of a SHA-256.
type Work struct {
	Bits    int           `json:"bits" range:"0..26"` // to begin with
	Most    int           `json:"most" range:"0..26"`
	SMS     int           `json:"sms" range:"0..26"`
	Network int           `json:"network" range:"0..8"`  // more, from a network with many failures
	After   int           `json:"after" range:"1..100"`  // failures of a name within Window before it is asked; one bit more each time as many again
	Fleet   int           `json:"fleet" range:"2..1000"` // for all, while the strangers' failures of an hour exceed so many times the 7-day median
	Window  time.Duration `json:"window" range:"5m..24h"`
	Life    time.Duration `json:"life" range:"30s..10m"`  // of a challenge
	Ticket  time.Duration `json:"ticket" range:"5s..10m"` // without script: the wait in place of Bits, doubled for each bit more
}

// Notices are what people are told of, and for how long.
type Notices struct {
	Removed     time.Duration `json:"removed" range:"7d..180d"`      // a removed address still gets notices
	Same        time.Duration `json:"same" range:"1m..24h"`          // the same kind to one channel at most once
	Strong      time.Duration `json:"strong" range:"24h..30d"`       // a strong return uses only what is older than what it undoes by so much
	FormerNames time.Duration `json:"former_names" range:"0s..730d"` // a former user name goes on working
	Unproven    time.Duration `json:"unproven" range:"7d..180d"`     // a phone not proved for longer is in the digest
	Digest      time.Duration `json:"digest" range:"1d..90d"`        // between digests of one person
}

// Contacts bounds the names, phones and addresses of a person.
type Contacts struct {
	Most    int    `json:"most" range:"1..20"` // verified phones, and addresses, with those removed that still get notices: every notice goes to all
	Renames Bucket `json:"renames"`            // new user names: old ones stay taken
	Names   Bucket `json:"names"`              // tries of a new user name, each of which tells whether it is taken
}

// Cases are what people handle.
type Cases struct {
	Due         time.Duration `json:"due" range:"1h..7d"`         // answered by then
	LinkFreezes int           `json:"link_freezes" range:"1..10"` // by link within LinkWindow without a strong return; more only open a case
	LinkWindow  time.Duration `json:"link_window" range:"1d..30d"`
	Ask         time.Duration `json:"ask" range:"7d..180d"` // how long a person is asked of an event whether it was he
}

// Approval bounds the acts that take two people.
type Approval struct {
	Wait   time.Duration `json:"wait" range:"1h..30d"`       // for the second one
	Secret time.Duration `json:"secret_wait" range:"5m..7d"` // that a secret is kept for who asked for it
}

// Closing is the end of a merchant.
type Closing struct {
	Export time.Duration `json:"export" range:"0s..365d"` // that the owner may still come in, read, and take the data
}

// Desk are the numbers of the support desk.
type Desk struct {
	Open          time.Duration `json:"open" range:"15m..7d"`        // a case of somebody who cannot get in: answered by then
	Ready         time.Duration `json:"ready" range:"15m..7d"`       // one that waits for an approval
	EvidenceTries int           `json:"evidence_tries" range:"1..5"` // of one field, in all
	EvidenceAgent Bucket        `json:"evidence_agent"`              // comparisons of one agent
	Matches       int           `json:"matches" range:"1..5"`        // fields that must match for an approval
	Call          time.Duration `json:"call" range:"2m..30m"`        // of a two-way code
	CallTries     int           `json:"call_tries" range:"1..5"`     // wrong digits that end a call
}

const day = 24 * time.Hour
