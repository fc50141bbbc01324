package idp

import "time"

// ChannelKind is how a message travels.
type ChannelKind string

const (
	ChannelSMS  ChannelKind = "sms"
	ChannelMail ChannelKind = "mail"
)

// Message is mail or SMS in the outbox, written in the transaction of what it
// tells of.
type Message struct {
	ID, UserID string
	Channel    ChannelKind
	To         string // E.164 or e-mail address
	Template   string
	Language   string
	Subject    string
	Body       string
	HTML       string
	Params     map[string]string // what a provider's own template is filled with
	CreatedAt  time.Time
	DueAt      time.Time // when it is tried next
	SentAt     time.Time
	DeadAt     time.Time // given up
	Attempts   int
	Trouble    string // of the last attempt, in words for the operator; never an address or a text
	Receipt    string // the gateway's own number
}

// MessageState is where a message stands.
type MessageState string

const (
	MessageDue  MessageState = "due"
	MessageSent MessageState = "sent"
	MessageDead MessageState = "dead" // given up
)

// State is where the message stands.
func (m Message) State() MessageState {
	switch {
	case !m.SentAt.IsZero():
		return MessageSent
	case !m.DeadAt.IsZero():
		return MessageDead
	}
	return MessageDue
}

// Masked is the address as pages may show it.
func (m Message) Masked() string {
	kind := IdentifierPhone
	if m.Channel == ChannelMail {
		kind = IdentifierEmail
	}
	return Identifier{Kind: kind, Value: m.To}.Masked()
}

// TemplateCode is the one message that holds a code.
const TemplateCode = "code"

// MessageTemplates lists every message that is written, in the order of the console.
var MessageTemplates = []string{TemplateCode, "invite", "newbrowser", "newplace", "factor.enrolled", "factor.removed", "clone", "password.changed", "suspected", "closed", "locked", "unlocked", "copied",
	"codes.issued", "codes.used", "channel.added", "channel.removed", "channel.undone", "channel.disputed", "username.changed", "browser.trusted", "frozen", "unfrozen", "case.opened", "case.recovery", "case.handover", "case.approved", "case.link", "case.answer", "account.viewed", "merchant.viewed", "documents", "staff.recovery", "staff.role", "staff.left", "staff.leaving", "staff.staying", "account.left", "staff.helped", "owner.proposed", "owner.accepted", "owner.soon", "owner.stopped", "owner.done", "operator.role", "operator.left", "terminal.lost", "terminal.rekeyed", "digest", "policy.emergency",
	"recovery.started", "recovery.reminded", "recovery.moved", "recovery.soon", "recovery.due", "recovery.completed", "recovery.case", "recovery.other", "recovery.other_due", "recovery.other_case", "recovery.other_done", "recovery.void", "recovery.other_void", "username.told", "username.asked"}
