package idp

import "time"

// EditionState is how far an edition of the policy has come: draft → submitted → approved →
// active → retired; a draft or a submitted or approved one may be withdrawn or refused.
type EditionState string

const (
	EditionDraft     EditionState = "draft"
	EditionSubmitted EditionState = "submitted"
	EditionApproved  EditionState = "approved" // waits for its time, or is tried out
	EditionActive    EditionState = "active"
	EditionRetired   EditionState = "retired"
	EditionRefused   EditionState = "refused"
	EditionWithdrawn EditionState = "withdrawn"
)

// Edition is one edition of the policy document. Editions are kept for ever.
type Edition struct {
	ID        string
	Version   int64  // given when it is submitted; 0 before
	Base      int64  // version that it was written from
	Revision  int64  // counts the author's saves
	Title     string // what it is for
	Document  []byte
	State     EditionState
	Author    string
	CreatedAt time.Time
	ChangedAt time.Time
	Reason    string // of its submission

	SubmittedAt time.Time
	DecidedBy   string // who approved, refused or withdrew it
	DecidedAt   time.Time
	Emergency   bool // activated without a second person

	Percent     int       // of the people it is tried out on, from its approval
	Merchants   []string  // numbers of merchants whose people try it out
	ActivateAt  time.Time // once approved
	ActivatedAt time.Time
	EndedAt     time.Time
}

// TriedOut says whether an approved edition holds for some people already.
func (e Edition) TriedOut() bool {
	return e.State == EditionApproved && (e.Percent > 0 || len(e.Merchants) > 0)
}

// SimulationState is how far a simulation has come.
type SimulationState string

const (
	SimulationQueued  SimulationState = "queued"
	SimulationRunning SimulationState = "running"
	SimulationDone    SimulationState = "done"
	SimulationStopped SimulationState = "stopped"
	SimulationFailed  SimulationState = "failed"
)

// Simulation is a run of an edition against everybody, in the background.
type Simulation struct {
	ID        string
	Edition   string
	Revision  int64 // of the edition, when it began
	By        string
	State     SimulationState
	Done      int64
	Total     int64
	After     string // id of the last user that was looked at
	Result    []byte // JSON, so far
	StartedAt time.Time
	ChangedAt time.Time
}
