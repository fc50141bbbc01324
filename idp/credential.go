package idp

import "time"

// Method names a way to prove oneself; its page, messages and amr follow from it.
type Method string

const (
	MethodPassword Method = "password"
	MethodTOTP     Method = "totp"
	MethodSMS      Method = "sms"  // one-time code to a bound phone
	MethodMail     Method = "mail" // one-time code to a bound e-mail
	MethodPasskey  Method = "passkey"
	MethodBackup   Method = "backup"
	MethodPIN      Method = "pin"
)

// Credential is what a user holds to prove himself. Data is what the factor
// keeps, sealed at rest; Counter moves with each use and never back (TOTP step,
// signature counter).
type Credential struct {
	ID, UserID string
	Method     Method
	Label      string
	Data       []byte
	Counter    int64
	Failures   int    // in a row, by strangers
	Closed     bool   // to strangers, after the hard end of throttling
	Blocked    string // why it answers nobody any more ("clone"), empty: it does
	Lookup     []byte // what names it before its user is known: a passkey's credential id; written once, never read back
	Pending    bool   // enrolled but not yet confirmed by one code
	Version    int64
	CreatedAt  time.Time
	ChangedAt  time.Time // when its secret was last set
	LastUsedAt time.Time
	MeasuredBy int64     // of a password: version of the policy that it was looked at under last
	WeakSince  time.Time // of a password: when it was first seen not to fulfil the rules, zero if it does
	Via        []Group   // of a password that a recovery set: by whose proofs, until a proof of another group joins it
}

// Proof is the fact "this user showed this credential at this time, over these
// channels". Nothing else raises assurance.
type Proof struct {
	User         string    `json:"u"`
	Credential   string    `json:"c"`
	Method       Method    `json:"m"`
	Channels     []string  `json:"ch"`
	At           time.Time `json:"at"`
	UserVerified bool      `json:"uv,omitempty"`
	DeviceBound  bool      `json:"db,omitempty"`
	Attested     bool      `json:"att,omitempty"`
	Flow         string    `json:"f,omitempty"`
	Browser      string    `json:"b,omitempty"`
}
