// Package manage is what operators can do, and the owners and managers of merchants with
// what is their own, without HTTP: the console and the command line share it. Every act
// takes typed input and an [Actor], asks the one table of permissions, demands a reason
// where the table does, and changes state, ends what depends on it and appends the audit
// event in one transaction.
//
// Invariants: what the table does not list is refused; what is another merchant's does
// not exist; nobody acts on himself; support agents never act on the operator's staff; a
// merchant's people act on those below them alone; one active policy administrator is
// always left; who locked an account cannot unlock it; what hands out or brings back power
// is done by two people alone; an act that somebody else did
// first writes no second event. It draws no page and sends no message: those it queues
// in the outbox.
package manage

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
)

// Manager does what operators and merchants ask.
type Manager struct {
	Store    *storage.Store
	Policy   *policy.Live
	Lists    policy.Lists // what new passwords are compared with
	Issuer   string
	Operator string // as authenticator apps name the accounts made on the command line
	// Invite words an invitation for a kind of channel: a mail, or a text message, which
	// has a text alone.
	Invite func(to idp.ChannelKind, lang, link, name string) (subject, text, html string, err error)
	// Wake tells a worker that a simulation waits; nil: it looks now and again.
	Wake chan struct{}
	// NewKeys makes a signing key of each algorithm.
	NewKeys func() ([]storage.SigningKey, error)
	// Notify queues a notice to a person, on all his channels, in the transaction of what
	// it tells of.
	Notify func(ctx context.Context, u idp.User, template string) error
	// Announce is Notify of what two people have to do with, or what happens at a time.
	Announce func(ctx context.Context, u idp.User, n idp.Announcement) error
	// ShowOnTerminal shows a code on a terminal of a person's store, in the transaction that
	// made it, and says whether one will; nil: whoever acts reads it on his own screen alone.
	ShowOnTerminal func(ctx context.Context, u idp.User, code idp.Secret, until time.Time) (bool, error)
	// VoidRecovery ends the recovery of a person that waits, if one does, and gives back what
	// it withheld: what it was to end in was decided for who he was.
	VoidRecovery func(ctx context.Context, user, cause string, by idp.Event) error
	Zone         *time.Location // of the operator: where a day begins and ends
	// Tell is Notify for what happens in a case; detail is what the template says beside its
	// number: where a link went, masked, or which answer it is; of what others hear, what happened.
	Tell func(ctx context.Context, u idp.User, template string, c idp.Case, detail string) error
	// CaseLink makes the link that an approved case gives, in place of an older one, and
	// sends it; to nobody if to is empty.
	CaseLink func(ctx context.Context, u idp.User, c idp.Case, to idp.Identifier) (link string, err error)

	// Freeze freezes a person and opens a case of it, in the name of by.
	Freeze func(ctx context.Context, u idp.User, by idp.Event) error

	board board
}

// Actor is who acts, from where, and why. An Actor of the command line has no user.
type Actor struct {
	User    idp.User
	Session string
	Network string
	Reason  string

	approved *approved // by a second person; nil: nobody has yet
}

// system acts for whoever holds the server itself.
var system = Actor{User: idp.User{ID: "system"}}

// Bounds of a reason, in characters.
const reasonMin, reasonMax = 4, 300

// allow checks that the actor may do an act at all, and brings his reason into the form
// that the log keeps. With whose things he may do it, [Allowed] says.
func (a *Actor) allow(act Action) error {
	if err := Check(a.User, act); err != nil {
		return err
	}
	a.Reason = line(a.Reason)
	must := May(a.User.Role, act).Level() != Yes
	switch n := utf8.RuneCountInString(a.Reason); {
	case n == 0 && must:
		return idp.FieldError("reason", "reason.empty")
	case n < reasonMin && must:
		return idp.FieldError("reason", "reason.short", reasonMin)
	case n > reasonMax:
		return idp.FieldError("reason", "reason.long", reasonMax)
	}
	return nil
}

func forbidden(msg string) error { return idp.Errorf(idp.Forbidden, msg) }

// moved says that the thing is no longer in the state that the act starts from:
// somebody was faster, or the act makes no sense.
func moved() error { return idp.Errorf(idp.Conflict, "error.moved") }

// record appends the event of an act.
func (m *Manager) record(ctx context.Context, a Actor, e idp.Event) error {
	e.Actor, e.Session, e.Network, e.Policy = a.User.ID, a.Session, a.Network, m.Policy.Now().Version
	if e.Reason == "" {
		e.Reason = a.Reason
	}
	if e.Reason == "" {
		e.Reason, _ = e.Data["cause"].(string)
	}
	if ap := a.approved; ap != nil {
		e.Data = maps.Clone(e.Data)
		if e.Data == nil {
			e.Data = map[string]any{}
		}
		e.Data["approval"], e.Data["approved_by"] = ap.id, ap.by.ID
	}
	return m.Store.Append(ctx, e)
}

// link is the only place that makes a URL for a message.
func (m *Manager) link(path string) string { return strings.TrimSuffix(m.Issuer, "/") + path }

// line returns text as one trimmed line without invisible characters, so that it
// cannot pose as something else in a list or a log.
func line(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// name checks a name that people read.
func name(field, typed string, most int) (string, error) {
	s := line(typed)
	switch {
	case s == "":
		return "", idp.FieldError(field, "error.empty")
	case utf8.RuneCountInString(s) > most:
		return "", idp.FieldError(field, "error.too_long", most)
	}
	return s, nil
}

// checks collects everything that is wrong with a form, so that it is told at once.
type checks []error

func (c *checks) add(err error) bool {
	if err != nil {
		*c = append(*c, err)
	}
	return err == nil
}

func (c checks) err() error { return errors.Join(c...) }

// The reason code of endings that an operator caused.
const byAdmin = "admin"

// endUser ends everything that lives under an account: sessions, grants and open
// flows.
func (m *Manager) endUser(ctx context.Context, a Actor, u idp.User, reason string) error {
	return m.Store.EndAll(ctx, u, storage.Keep{}, reason, m.by(a))
}

// endReturns ends what was begun or decided to bring somebody back, and the hand-over that he
// gives or takes in: all that rests on who he was. An unlock, or another role, brings none of
// it back.
func (m *Manager) endReturns(ctx context.Context, a Actor, u idp.User, cause string) error {
	return errors.Join(m.VoidRecovery(ctx, u.ID, cause, m.by(a)), m.Store.VoidLinks(ctx, u.ID, idp.LinkCase), m.Store.VoidShopCodes(ctx, u.ID), m.dropOf(ctx, a, u, cause))
}

// by is what every event of an actor's says.
func (m *Manager) by(a Actor) idp.Event {
	return idp.Event{Actor: a.User.ID, Session: a.Session, Network: a.Network, Policy: m.Policy.Now().Version, Reason: a.Reason}
}

// revoked records the end of grants: each is told to its user and, later, to its
// client.
func (m *Manager) revoked(ctx context.Context, a Actor, grants []string, reason string) error {
	for _, id := range grants {
		if err := m.Store.Revoked(ctx, id, reason, m.by(a)); err != nil {
			return err
		}
	}
	return nil
}
