package templates

import "time"

// Pages of the door that ask for, or bind, a second factor.

// Work is a proof of work that the script pays before it sends the form that carries the partial "work": it finds a
// decimal number n such that SHA-256(Challenge + n) begins with Bits zero bits, and sends it as the input "work"
// beside the input "challenge". Without script the form is answered with a page that says from when on it may be sent.
type Work struct {
	Challenge string
	Bits      int
}

// Passkey is what the script needs to ask the browser for a passkey: it fetches the options from Options (POST, JSON),
// asks the browser and posts the answer as the input "assertion" (JSON) to Action. Without script its button is hidden.
type Passkey struct {
	Options, Action string
	Auto            bool // offered in the autofill of the name, too (conditional mediation)
}

// Key asks for a passkey or security key as the second step. Inputs: assertion (by the script); trust if TrustDays is set.
type Key struct {
	Form
	Passkey   *Passkey
	Login     string
	TrustDays int
	Steps     bool // the progress bar shows
	Ways      []Way
	// RestartURL is where to begin again, offered where there are no other ways; "" offers nothing.
	RestartURL string
}

// Backup asks for a recovery code. Input: code; or the file of a recovery kit: kit, passphrase (multipart/form-data).
type Backup struct {
	Form
	Action, Login string
	Work          *Work
	Steps         bool
	Ways          []Way
}

// Offer says that a second step must be set up until a time or, if Asked, that an app or what is done in the console
// asks for a passkey: "app", "console". Inputs: do=now, do=later.
type Offer struct {
	Form
	Action string
	Until  time.Time
	Asked  string
	Alone  bool // there is no phone or e-mail to prove first: it cannot be set up yet
}

// ChooseFactor asks which factor to set up. Input: factor=passkey (script only), factor=totp. After says why it is
// asked: "" by policy, "backup" because a recovery code was used in place of what is lost.
type ChooseFactor struct {
	Form
	Action, After string
	Passkey, TOTP bool   // which ones may be set up
	Later         string // where to go without it, "" if it is demanded
}

// EnrolPasskey binds a passkey. The script fetches the options from Options (POST), asks the browser and posts the
// answer as the input "attestation" (JSON). Input: label, the person's own name for it.
type EnrolPasskey struct {
	Form
	Action, Options string
	Label           string // proposed, such as "林薇的手机"
	Account         string
	Other           string // where another factor is chosen, "" if there is none
	Steps           bool
	Later           string
}

// RecoveryCodes shows a new set of codes, once. Input: kept=1. The others are views of the same set: to print on A4 or on a
// terminal, to save under a passphrase, to download as text.
type RecoveryCodes struct {
	Form
	Action                 string
	Sheet, Slip, Kit, File string
	Codes                  []string // "7K3M-Q2XD-0V8R-A9TZ"
	Login                  string
	Operator               string
	IssuerHost             string
	Made                   time.Time
	Replaces               bool // an older set ends with this one
	Steps                  bool // the last part of a longer flow: the progress bar shows
}

// NewContact asks for a phone number or an e-mail address. Input: contact.
type NewContact struct {
	Form
	Action, Kind string // "phone", "email"
	Old          string // masked: what the new one takes the place of, "" adds one
	Value        string // as typed before
	Work         *Work
	Back         string
}

// NewUsername asks for another user name. Input: username.
type NewUsername struct {
	Form
	Action, Old, Value string
	Days               int // that the old one goes on working
	Back               string
}

// Freeze asks before everything of a person is stopped. Inputs: token (of a link in a notice) or event (that was not
// he), and the button. It is the same page for mail, text message and one's own pages.
type Freeze struct {
	Form
	Action              string
	Token               string // of a link; "" for a signed-in person
	Event               string // id of the event that was not he, "" for none
	EventKey            string // what happened: catalogue key
	At                  time.Time
	Place               string
	Sessions, Terminals int    // that sign out; -1 where whoever asks may not know
	OnlyCase            bool   // frozen too often by link: only a case is opened
	Back                string // "" for a link
}

// Frozen says that all is stopped, and how it goes on.
type Frozen struct {
	CaseNumber string
	Due        time.Time
	SignedIn   bool // offers the strong return
	Already    bool // it was frozen before
	OnlyCase   bool
}

// Undo asks before a change of a phone or address is taken back. Input: token.
type Undo struct {
	Form
	Action, Token string
	Kind          string // "phone", "email"
	Old, New      string // masked
	At, Until     time.Time
}

// Undone says that it was taken back.
type Undone struct {
	Kind, Old string
	Gone      bool // the old one is somebody else's by now: support helps
}

// LinkGone says that a link is used, too old or was never one, and where to go without it: link-gone.<Kind>.
type LinkGone struct{ Kind, Explain string }

func (Key) Page() string           { return "key" }
func (Backup) Page() string        { return "backup" }
func (Offer) Page() string         { return "offer" }
func (ChooseFactor) Page() string  { return "choose-factor" }
func (EnrolPasskey) Page() string  { return "enrol-passkey" }
func (RecoveryCodes) Page() string { return "recovery-codes" }
func (NewContact) Page() string    { return "new-contact" }
func (NewUsername) Page() string   { return "new-username" }
func (Freeze) Page() string        { return "freeze" }
func (Frozen) Page() string        { return "frozen" }
func (Undo) Page() string          { return "undo" }
func (Undone) Page() string        { return "undone" }
func (LinkGone) Page() string      { return "link-gone" }
