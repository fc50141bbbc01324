package idp

import "time"

// CaseState is where a case stands.
type CaseState string

const (
	CaseOpen   CaseState = "open"
	CaseClosed CaseState = "closed"
)

// CaseRecovery is the kind of a case of somebody who cannot get back by himself.
const CaseRecovery = "recovery"

// Case is what people handle, such as "this was not me": it names events and what
// was shown, never the value of evidence.
type Case struct {
	ID       string
	Number   string // as people say it: "482-913-0576"
	Kind     string // "notme"
	State    CaseState
	UserID   string
	Merchant string
	OpenedBy string // user id, or "" for whoever holds a link of a notice
	OpenedAt time.Time
	DueAt    time.Time // answered by then
	ClosedAt time.Time
	Data     map[string]any // events, sessions and networks as they were
}

// Change is a phone or address that took the place of another, or of none. Until a
// time its owner can undo it from the old one.
type Change struct {
	ID, UserID   string
	OldID, NewID string // identifiers; OldID is empty for one that was only added
	At, Until    time.Time
	UndoneAt     time.Time
}

// LinkKind is what a link in a notice may do.
type LinkKind string

const (
	LinkFreeze LinkKind = "freeze" // stop and freeze; may be followed again, can do nothing else
	LinkUndo   LinkKind = "undo"   // undo one change of a channel
)

// Link is what the token of a link in a notice stands for.
type Link struct {
	Kind      LinkKind
	UserID    string
	Object    string // the change that is undone
	CreatedAt time.Time
	ExpiresAt time.Time
}
