package idp

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of trouble an [Error] is; each mount point (pages, JSON,
// OAuth) has its own table from kinds to statuses.
type Kind int

const (
	Internal        Kind = iota // ours; text goes to the log only
	Invalid                     // malformed or refused input: 422
	Unauthenticated             // sign in first: 401
	Forbidden                   // signed in, not allowed: 403
	NotFound                    // 404, also for what exists but is another's
	Conflict                    // somebody was faster or it exists already: 409
	Rejected                    // a secret was not right; the count is kept: 422
	Limited                     // too many tries; Error.Until says until when: 429
	Expired                     // a flow, link or code is too old or used: 410
	Unavailable                 // overloaded or a dependency is down: 503
)

// Error is an error for a person: Msg is a key of the message catalogue with its
// Args, Field the form field it belongs to. Err is for the log alone.
type Error struct {
	Kind   Kind
	Msg    string
	Args   []any
	Field  string
	Reason string    // reason code such as "pw.wrong"; for the log and the agent
	Until  time.Time // Limited: when it may be tried again
	Err    error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Msg, e.Err)
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first [Error] in err's chain; anything else is
// Internal, so what nobody classified is never shown.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Errorf makes an [Error] of a kind with a catalogue key.
func Errorf(kind Kind, msg string, args ...any) *Error {
	return &Error{Kind: kind, Msg: msg, Args: args}
}

// FieldError makes an Invalid [Error] that belongs to a field of a form.
func FieldError(field, msg string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Msg: msg, Args: args}
}
