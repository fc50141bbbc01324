package templates

import (
	"html/template"
	"time"
)

// Pages of the door: signing in, from the name to the second step.

// Identify asks who signs in. Input: identifier.
type Identify struct {
	Form
	Action     string
	ClientName string // the application that asks, or ""
	Identifier string // what was typed before
	Passkey    *Passkey
	Known      []KnownName // who has signed in in this browser before
}

// KnownName is one of them: its button posts known=Value.
type KnownName struct{ Masked, Value string }

// Password asks for the password. Input: password.
type Password struct {
	Form
	Action     string
	Login      string // the name as it was typed
	Masked     bool   // or masked: a password manager must not keep it
	Face       string // one character for the account chip
	RestartURL string // to another account
	SecondStep bool   // a second step follows: the progress bar says so
	Passkey    *Passkey
	Work       *Work
	TrustDays  int // offers to waive the second step in this browser; 0 offers nothing
	Ways       []Way
}

// Way is another way to go on. Title and Small are translated already. With a Value it is a button that posts way=Value
// to URL: taking it sends something.
type Way struct{ Icon, Title, Small, URL, Value string }

// CodeWay offers a code to a channel ("phone" or "email"), shown masked, or "" as long as nobody is known.
func CodeWay(lang, kind, masked, action, value string) Way {
	icon, title, small := "phone", "way.sms", T(lang, "way.bound_"+kind)
	if kind == "email" {
		icon, title = "mail", "way.mail"
	}
	if masked != "" {
		small = T(lang, "way.code_small", masked)
	}
	return Way{Icon: icon, Title: T(lang, title), Small: small, URL: action, Value: value}
}

// TOTP asks for the code of an authenticator app. Input: code; trust if TrustDays is set.
type TOTP struct {
	Form
	Action, Login string
	TrustDays     int // offers not to ask in this browser for so many days; 0 offers nothing
	Work          *Work
	Ways          []Way
}

// Code asks for a code that was sent. Input: code; the second form posts to ResendAction and has no input.
type Code struct {
	Form
	Action          string
	Where           string // masked: 138****0001
	Channel         string // "phone" or "mail"
	ResendAction    string // "" offers no resend
	Digits, Minutes int
	FirstStep       bool // proves the person before anything else: no progress bar
	Unsent          bool // nothing was sent yet: the page has only the button that sends (posts to ResendAction, with Work)
	Whoever         bool // sent if there is such an account: Where is empty and nothing may tell
	TrustDays       int
	Work            *Work // of the form that sends
	Guess           *Work // of the form with the code
	Ways            []Way
}

// EnrolTOTP binds an authenticator app. Input: code.
type EnrolTOTP struct {
	Form
	Action  string
	QR      template.HTML // an svg with role=img, aria-label and a white quiet zone, see QRLabel
	Secret  string        // grouped by 4
	URL     template.URL  // otpauth:
	Account string
	Steps   bool   // part of a longer flow: the progress bar shows
	Later   string // where to go without it, "" if the policy demands it
}

// QRLabel is what a screen reader says of the code; the key is printed beside it.
func QRLabel(lang string) string { return T(lang, "enrol-totp.qr") }

// NewPassword asks for a new password. Inputs: password, again.
type NewPassword struct {
	Form
	Action, Login string
	Check         string // where the script has what is typed looked at: posts password, gets the partial "password-rules"
	Name          string // of an invited person: greets him
	Least         int    // characters at least
	Own           bool   // the person's own wish: nobody asks for it
	Lost          bool   // in the place of one that is lost: he signs in with it afterwards
	Username      string // told to who may have forgotten it; "" for none
	Rules         PasswordRules
}

// PasswordRules are what a new password is held to. Told: somebody has typed one, and the
// lines and the score say what it is worth.
type PasswordRules struct {
	Lines []PasswordRule
	Told  bool
	Score int // 0 to 4
}

// Open is how many of the rules are not met.
func (r PasswordRules) Open() (n int) {
	for _, l := range r.Lines {
		if l.Told && !l.Met {
			n++
		}
	}
	return n
}

// PasswordRule is a line of the rules: its words are password.rule.<Name>.
type PasswordRule struct {
	Name      string
	Args      []any
	Told, Met bool
	Why       []FieldError // what exactly is not met
}

// Consent asks what an application may do. Inputs: do=approve, do=deny.
type Consent struct {
	Form
	Action, ClientName, Login string
	Scopes                    []string
	Money                     bool // one of the scopes moves money
}

// Wait says that there were too many tries, until when, and what works now.
type Wait struct {
	Until      time.Time
	Seconds    int
	Explain    string
	RestartURL string
}

// Expired says that a page was left too long or, with another Lead, why it cannot be used: a catalogue key.
type Expired struct{ Lead, RestartURL, Explain string }

// NotForYou turns away whoever has no business in the console.
type NotForYou struct {
	HomeURL, Login string
	Saved          string
	Terminals      []Way // that he may mark lost
}

// SignOut asks before it ends the session. Input: none.
type SignOut struct{ Action, ClientName string }

// SignedOut says that the session is over. Next is the application's own page, or "".
type SignedOut struct{ Next string }

func (Identify) Page() string    { return "identify" }
func (Password) Page() string    { return "password" }
func (TOTP) Page() string        { return "totp" }
func (Code) Page() string        { return "code" }
func (EnrolTOTP) Page() string   { return "enrol-totp" }
func (NewPassword) Page() string { return "new-password" }
func (Consent) Page() string     { return "consent" }
func (Wait) Page() string        { return "wait" }
func (Expired) Page() string     { return "expired" }
func (NotForYou) Page() string   { return "not-for-you" }
func (SignOut) Page() string     { return "sign-out" }
func (SignedOut) Page() string   { return "signed-out" }
