// Package factor is the contract that every way of proving oneself fills. A factor
// makes a challenge, draws its page and looks at an answer; it knows no database,
// no session and no request.
//
// Invariant: the engine in package flows, never a factor, counts failures, refuses
// a used counter, writes the audit log and tells the owner.
package factor

import (
	"context"
	"net/url"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// Factor is one way to prove oneself; each has a package of its own below this one.
type Factor interface {
	// Method names its page, its messages and its rows of credentials.
	Method() idp.Method
	// Begin makes the challenge, inside the transaction that makes its step current
	// and again on an explicit resend. It may keep a.Scratch and a.Send a message.
	Begin(ctx context.Context, a *Attempt) error
	// Show draws the page; it changes nothing.
	Show(ctx context.Context, a *Attempt) (templates.Content, error)
	// Read refuses a form that cannot be right, whosever it is: empty, malformed, with a
	// slip of the pen that its check character shows. It looks at nothing else, so it
	// tells nothing, and costs neither a guess nor the work for one.
	Read(form url.Values) error
	// Check looks at the answer, outside any transaction. What it found is for the
	// engine alone: nobody is told before the guess is paid for. What Read refuses is
	// refused here, too.
	Check(ctx context.Context, a *Attempt, form url.Values) (Answer, error)
}

// Attempt is what a factor sees of the person and the flow.
type Attempt struct {
	User        idp.User         // zero for a name that nobody has
	Login       string           // the name as it was typed
	Masked      bool             // the name is not all of it: it belongs in no field
	Credentials []idp.Credential // of the factor's method, confirmed
	Channels    []idp.Identifier // bound channels that codes may go to
	Known       bool             // on a known browser
	Purpose     string           // what a code is for: catalogue key
	Handle      []byte           // WebAuthn user handle, where the person is known
	Rules       policy.Factors   // what of passkeys he may enrol
	Scratch     []byte           // the factor's own, sealed at rest; nil until it keeps something

	Form     templates.Form // errors of the last try
	Action   string         // where the page posts to
	Resend   string         // where a resend posts to
	Again    string         // where "another account" leads, "" if it must be this one
	Restart  string         // where to begin anew when nothing here helps, "" if that is elsewhere
	Ways     []templates.Way
	Steps    bool               // the page is one of several
	Passkey  *templates.Passkey // what the script asks the browser with; nil: no passkey here
	SendWork *templates.Work    // what a stranger pays for a message with
	Digits   int                // of a code that is sent, and how long it lives; 0: as policy says of every code
	Life     time.Duration      //
	Whoever  bool               // a code goes out if there is such an account: nothing may tell
	Trust    int                // offers not to ask in this browser for so many days; 0 offers nothing
	Work     *templates.Work    // what a stranger pays with; nil: nothing

	// MAC is the keyed hash that a code is kept as, bound to the flow.
	MAC func(code string) []byte
	// Send queues a message to a channel, within its limits.
	Send func(ctx context.Context, to idp.Identifier, template string, letter templates.Letter) error
}

// Answer is what Check found.
type Answer struct {
	Right      bool
	Credential string // that was guessed at, "" for a name that nobody has
	Counter    int64  // when right: the step or counter to move to; 0 has none
	Used       bool   // the right answer of before: refused, not counted
	Data       []byte // when right: what the credential holds from now on; nil: unchanged
	Void       bool   // too late, used up or of another channel: nothing was looked at; refused, not counted
	Clone      bool   // a copy of the authenticator exists: it is blocked and its owner is told
	Reason     string // of a wrong answer: "pw.wrong", "otp.wrong", "otp.skew"
	Mark       []byte // of a wrong static secret: the same one twice counts once
	// Rehash makes the same secret's data in today's form; nil when it has it. The
	// engine calls it when a right answer is paid for.
	Rehash  func(ctx context.Context) ([]byte, error)
	Scratch []byte        // the scratch after this try, nil: unchanged
	Proof   idp.Proof     // when right: channels and flags; the engine fills in the rest
	Drift   time.Duration // of the phone's clock, for the agent
}
