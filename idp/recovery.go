package idp

import (
	"slices"
	"time"
)

// Lost is what somebody has lost who asks for a recovery.
type Lost string

const (
	LostUsername Lost = "username"
	LostPassword Lost = "password"
	LostSecond   Lost = "second" // the phone, app or key of the second step
	LostBoth     Lost = "both"   // password and second factor
)

// Evidence is a way to show in a recovery who one is.
type Evidence string

const (
	ByPhone    Evidence = "phone"    // P: a code on a bound phone
	ByMail     Evidence = "mail"     // M: a code on a bound e-mail
	ByComputer Evidence = "computer" // D: a known browser or live session of the desktop class
	ByTerminal Evidence = "terminal" // T: confirmed on a terminal of the merchant
	ByKit      Evidence = "kit"      // K: a code of the recovery kit
	ByApp      Evidence = "totp"     // F: the remaining second factor
	ByKey      Evidence = "passkey"  // Fu: the same, having verified its user
	ByPassword Evidence = "password" // W
	ByCase     Evidence = "case"     // C: a case that two people approved
	ByShop     Evidence = "shop"     // a code that the owner or manager told: he answers for his staff
)

// Evidences lists every kind, in the order that pages offer them.
var Evidences = []Evidence{ByPhone, ByMail, ByTerminal, ByKit, ByComputer, ByApp, ByKey, ByPassword, ByCase}

// Group is what a thief takes in one go: an unlocked phone gives its text messages, its
// mail and the browser on it, which together are one proof.
type Group string

const (
	GroupHandset       Group = "handset"
	GroupMachine       Group = "machine"
	GroupTerminal      Group = "terminal"
	GroupPaper         Group = "paper"
	GroupAuthenticator Group = "authenticator"
	GroupMemory        Group = "memory"
	GroupPeople        Group = "people"
)

// Group is the one that a kind of evidence belongs to.
func (e Evidence) Group() Group {
	switch e {
	case ByPhone, ByMail:
		return GroupHandset
	case ByComputer:
		return GroupMachine
	case ByTerminal:
		return GroupTerminal
	case ByKit:
		return GroupPaper
	case ByApp, ByKey:
		return GroupAuthenticator
	case ByPassword:
		return GroupMemory
	case ByCase, ByShop:
		return GroupPeople
	}
	return ""
}

// Shown is one proof that somebody has given in a recovery.
type Shown struct {
	By     Evidence  `json:"by"`
	ID     string    `json:"id"`               // of the identifier, credential, terminal, browser or case; of who gave the code in the shop
	Groups []Group   `json:"groups,omitempty"` // a password that a recovery set counts in the groups that set it; nil: the group of its kind
	At     time.Time `json:"at"`
	Void   string    `json:"void,omitempty"`  // why it counts for nothing: "phone.new", "proof.weak", "disputed"
	Stale  bool      `json:"stale,omitempty"` // a number unproven for so long that it may have been sold: it counts beside others alone
}

// In lists the groups that the proof counts in.
func (s Shown) In() []Group {
	if len(s.Groups) > 0 {
		return s.Groups
	}
	return []Group{s.By.Group()}
}

// Groups lists the groups of what counts among shown, each once.
func Groups(shown []Shown) (out []Group) {
	for _, s := range shown {
		for _, g := range s.In() {
			if s.Void == "" && !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// Withhold is what a recovery keeps back from an account for a time.
type Withhold string

const (
	WithholdNothing Withhold = ""
	WithholdPayee   Withhold = "w1" // settlement and payees, and further changes of channels and factors
	WithholdMoney   Withhold = "w2" // every money scope, and every change of a credential
)

// Worse returns the stronger of two.
func (w Withhold) Worse(v Withhold) Withhold { return max(w, v) }

// Allows returns the scopes that are left.
func (w Withhold) Allows(scopes []string) []string {
	switch w {
	case WithholdPayee:
		return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == "settlement:manage" })
	case WithholdMoney:
		return WithoutMoney(scopes)
	}
	return scopes
}

// RecoveryState is where a delayed recovery stands.
type RecoveryState string

const (
	RecoveryWaiting   RecoveryState = "waiting"   // for its time, then for its person
	RecoveryDone      RecoveryState = "done"      // what was lost is replaced
	RecoveryStopped   RecoveryState = "stopped"   // by a session, a terminal or a link: the account is frozen
	RecoveryWithdrawn RecoveryState = "withdrawn" // by the owner, who came in by his own means
	RecoveryExpired   RecoveryState = "expired"   // nobody came back in time
	RecoveryVoid      RecoveryState = "void"      // the owner, role, merchant or tier changed meanwhile, or a better one took its place
)

// Recovery is one walk of a person back into his account: of the delayed ones what must
// outlive its flow, of the immediate ones what happened.
type Recovery struct {
	ID, UserID string
	State      RecoveryState
	Lost       Lost
	Row, Level int // of the table of recoveries
	Withheld   Withhold
	Shown      []Shown
	Gone       []string // ids of the credentials named lost
	Password   bool     // is replaced
	Second     bool     // is replaced
	Kit        bool     // the codes on paper end with it
	Case       string   // that it came from
	Flow       string   // id of the flow that began it
	StartedAt  time.Time
	DueAt      time.Time // nothing is replaced before; only comes nearer
	Until      time.Time // its person must be back by then
	EndedAt    time.Time
	Told       int // bits of what was told: see flows
}

// Due says whether a waiting recovery may be completed.
func (r Recovery) Due(now time.Time) bool {
	return r.State == RecoveryWaiting && !now.Before(r.DueAt) && now.Before(r.Until)
}
