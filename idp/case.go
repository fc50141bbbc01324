package idp

import "time"

// CaseState is where a case stands.
type CaseState string

const (
	CaseOpen   CaseState = "open"
	CaseClosed CaseState = "closed"
)

// Kinds of cases.
const (
	CaseNotMe    = "notme"    // a person says that an event was not he
	CaseFreeze   = "freeze"   // an account was frozen
	CaseRecovery = "recovery" // somebody of a merchant cannot get back by himself
	CaseStaff    = "staff"    // one of the operator's own staff cannot
	CaseHandover = "handover" // an owner is gone: another one is to take his merchant
)

// HandoverPapers are the kinds of documents that are seen before a merchant passes to another
// owner than its own chose.
var HandoverPapers = []string{"gone", "licence", "power", "identity"}

// Outcome is how a case was decided; "" where it ended by itself.
type Outcome string

const (
	OutcomeApproved Outcome = "approved" // a link went out
	OutcomeRefused  Outcome = "refused"
	OutcomeUnfreeze Outcome = "unfreeze" // the freeze was lifted
	OutcomeKeep     Outcome = "keep"     // nothing was changed
)

// Case is what people handle, such as "this was not me": it names events and what
// was shown, never the value of evidence.
type Case struct {
	ID        string
	Number    string // as people say it: "482-913-0576"
	Kind      string
	State     CaseState
	UserID    string
	Merchant  string
	OpenedBy  string // user id, or "" for whoever holds a link of a notice
	OpenedAt  time.Time
	DueAt     time.Time // answered by then
	ReadyAt   time.Time // waits for an approval since then; zero: not yet
	Assigned  string    // who works on it
	Outcome   Outcome
	DecidedBy string
	ClosedAt  time.Time
	Data      map[string]any // events, sessions and networks as they were; of a recovery what is lost and where its link goes
}

// Stands is the catalogue's word for where a case stands.
func (c Case) Stands(now time.Time) string {
	switch {
	case c.State == CaseClosed && c.Outcome != "":
		return string(c.Outcome)
	case c.State == CaseOpen && now.After(c.DueAt):
		return "overdue"
	case c.State == CaseOpen && !c.ReadyAt.IsZero():
		return "ready"
	}
	return string(c.State)
}

// Returns says whether the case is to bring somebody back by a link.
func (c Case) Returns() bool { return c.Kind == CaseRecovery || c.Kind == CaseStaff }

// OfFreeze says whether the case answers what its person, or who acts for him, has stopped.
func (c Case) OfFreeze() bool { return c.Kind == CaseFreeze || c.Kind == CaseNotMe }

// Approved says whether two people approved that its person comes back.
func (c Case) Approved() bool {
	return c.Returns() && c.State == CaseClosed && c.Outcome == OutcomeApproved
}

// Lost is what its person says is lost.
func (c Case) Lost() Lost {
	lost, _ := c.Data["lost"].(string)
	return Lost(lost)
}

// Met says whether both who brought one of the operator's own back state that they met
// him in person.
func (c Case) Met() bool {
	met, _ := c.Data["met"].(bool)
	return met
}

// To is where the link of the case goes.
func (c Case) To() Identifier {
	kind, _ := c.Data["to_kind"].(string)
	value, _ := c.Data["to"].(string)
	return Identifier{Kind: IdentifierKind(kind), Value: value}
}

// EvidenceField is something that a caller says and an agent has compared.
type EvidenceField string

const (
	FieldLegalName  EvidenceField = "legal_name"
	FieldMerchantNo EvidenceField = "merchant_no"
	FieldSerial     EvidenceField = "serial"
	FieldDocument   EvidenceField = "document_tail"
	FieldBirthday   EvidenceField = "birthday"
)

// EvidenceFields lists them in the order of the desk.
var EvidenceFields = []EvidenceField{FieldDocument, FieldBirthday, FieldLegalName, FieldMerchantNo, FieldSerial}

// Printed says whether the value stands on every receipt of the merchant's.
func (f EvidenceField) Printed() bool {
	return f == FieldLegalName || f == FieldMerchantNo || f == FieldSerial
}

// Match is one comparison of a case.
type Match struct {
	Field   EvidenceField
	Try     int // counted from 1, by field
	Matched bool
	By      string
	At      time.Time
}

// Matches counts the fields that matched.
func Matches(all []Match) (n int) {
	for _, m := range all {
		if m.Matched { // a field that matched is not compared again
			n++
		}
	}
	return n
}

// CallState is where a call with a two-way code stands.
type CallState string

const (
	CallAsked CallState = "asked" // for the caller's digits
	CallHeard CallState = "heard" // they were right: the agent's half is shown to both
	CallEnded CallState = "ended" // wrong too often, or another call began
)

// Call is a telephone call in which caller and agent show each other who they are: the
// caller reads his digits from a page or screen of his own, the agent answers with his.
type Call struct {
	ID, CaseID, UserID, Agent string
	State                     CallState
	Caller                    string // the caller's digits: for the caller alone
	Half                      string // the agent's; "" until the caller's were heard
	Wrong                     int
	StartedAt, Until          time.Time
}

// Live says whether the call goes on.
func (c Call) Live(now time.Time) bool { return c.State != CallEnded && now.Before(c.Until) }

// CaseAnswers are what support says, word for word; each is a text of the catalogue.
var CaseAnswers = []string{"evidence", "waiting", "refused", "link", "stop", "owner", "frozen", "never"}

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
	LinkCase   LinkKind = "case"   // begin the recovery that a case approved, once
)

// Link is what the token of a link in a notice stands for.
type Link struct {
	Kind      LinkKind
	UserID    string
	Object    string // the change that is undone, or the case
	CreatedAt time.Time
	ExpiresAt time.Time
}
