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
	CreatedAt  time.Time
	SentAt     time.Time
}
