package idp

import "time"

// ApprovalState is where an act stands that takes two people.
type ApprovalState string

const (
	ApprovalAsked     ApprovalState = "asked" // waits for a second person
	ApprovalApproved  ApprovalState = "approved"
	ApprovalRefused   ApprovalState = "refused"
	ApprovalWithdrawn ApprovalState = "withdrawn"
	ApprovalExpired   ApprovalState = "expired"
	ApprovalFailed    ApprovalState = "failed" // approved, and could not be done any more
)

// ApprovalStates lists them all.
var ApprovalStates = []ApprovalState{ApprovalAsked, ApprovalApproved, ApprovalRefused, ApprovalWithdrawn, ApprovalExpired, ApprovalFailed}

// Approval is an act that one person asked for and another decides on.
type Approval struct {
	ID        string
	Act       string // its row in the table of permissions
	Object    string // id of what it is about; "": something new, or many things
	Merchant  string // whose that is
	Input     []byte // JSON; what the act is done with
	Changes   []Difference
	Reason    string
	AskedBy   string
	AskedAt   time.Time
	ExpiresAt time.Time

	State       ApprovalState
	DecidedBy   string
	DecidedAt   time.Time
	Decision    string    // the reason of who decided
	Failure     string    // why it could not be done: a catalogue key
	SecretUntil time.Time // a secret waits for who asked until then; zero: none does
}

// StateAt is where it stands at a time: nobody decides on what has waited too long.
func (a Approval) StateAt(now time.Time) ApprovalState {
	if a.State == ApprovalAsked && !now.Before(a.ExpiresAt) {
		return ApprovalExpired
	}
	return a.State
}

// Difference is one line of what an act changes: before and after. A value that is a word of
// the product (a state, a role) is that word, for pages to translate.
type Difference struct {
	Field string   `json:"field"`
	Old   []string `json:"old,omitempty"`
	New   []string `json:"new,omitempty"`
}
