package idp

import "time"

// HandoverState is where the hand-over of a merchant stands.
type HandoverState string

const (
	HandoverProposed HandoverState = "proposed" // waits for the new owner
	HandoverCooling  HandoverState = "cooling"  // he accepted: until its end both can still stop it
	HandoverDone     HandoverState = "done"
	HandoverStopped  HandoverState = "stopped"
	HandoverExpired  HandoverState = "expired" // he did not accept in time
)

// Handover is the way of a merchant from one owner to another.
type Handover struct {
	ID, MerchantID string
	From, To       string // user ids: the owner, and who is to be it
	State          HandoverState
	Stays          bool   // From becomes a manager; else he leaves
	Joined         bool   // To was invited for it: if nothing comes of it he leaves
	Case           string // that two people approved, in the place of From's word
	Cause          string // why it was stopped
	ProposedAt     time.Time
	AcceptedAt     time.Time
	DueAt          time.Time // when the proposal expires, or the time to cool is over
	RemindAt       time.Time // when both are told that it soon is; zero: told
	EndedAt        time.Time
}

// Runs says whether the hand-over can still come to something.
func (h Handover) Runs() bool { return h.State == HandoverProposed || h.State == HandoverCooling }

// Party says whether a person gives or takes in it.
func (h Handover) Party(user string) bool { return user != "" && (user == h.From || user == h.To) }

// Due says whether the time to cool is over.
func (h Handover) Due(now time.Time) bool {
	return h.State == HandoverCooling && !now.Before(h.DueAt)
}

// Announcement is a notice of something that two people have to do with, or that happens
// at a time.
type Announcement struct {
	Template     string
	Object       string // what it is about: another of the kind is told, too
	Giver, Taker string // names of the owners
	Until        time.Time
}
