package templates

import (
	"slices"
	"time"
)

// Pages of those who cannot sign in.

// Recover is their one door, with the losses that can be mended. Input: lost=username, password, second, both or other.
type Recover struct {
	Form
	Action  string
	Methods []string
}

// Mends says whether a loss is among them.
func (r Recover) Mends(lost string) bool { return slices.Contains(r.Methods, lost) }

// RecoverOther says what to do where none of the choices fits.
type RecoverOther struct{}

// RecoverDone says that what was lost is replaced: nobody is signed in by that.
type RecoverDone struct{}

// RecoverWho asks whose account it is. Input: identifier.
type RecoverWho struct {
	Form
	Action, Lost, Identifier string
}

// RecoverHub lists the ways to show who one is and, after the first, what those shown are worth. Inputs: do=go; gone, of
// the factors that are lost.
type RecoverHub struct {
	Form
	Action, Lost, Login string
	RestartURL          string // to another name, "" once something was shown
	Refused             string // catalogue key: nothing can be recovered, and why
	FreezeCase          string // the case that answers his freeze, "" for none
	Shown               []RecoverShown
	Plan                RecoverPlan
	Factors             []Option // of which one or more are lost
	Running             bool     // another recovery of the account waits
	Due                 time.Time
	Ways                []Way
}

// RecoverShown is one thing that was shown: its words are recover.by.<By>. Void says why it does not count: recover.void.<Void>.
type RecoverShown struct{ By, Detail, Void string }

// RecoverPlan is what comes of a recovery. How is "nothing", "now", "wait" or "case".
type RecoverPlan struct {
	How              string
	Password, Second bool // are replaced
	Kit              bool // the recovery codes end
	Withheld         string
	Hours, Level     int
	Until            time.Time // end of the wait, or of what is withheld
	Risks            []string
	Barred           string
	Staff            bool // of the operator's own, whom two others bring back
}

// RecoverWait shows how long a recovery still waits. State is that of the recovery, or "elsewhere" where another browser
// goes on with it.
type RecoverWait struct {
	Form
	Again, Stop, State        string
	Start, Middle, Due, Until time.Time
	Hours, Gone               int // of the wait, and of it over
	Withheld                  string
	Password, Second          bool
	Told                      []string // masked
	Ways                      []Way
}

// RecoverCase says that people decide. Staff: of the operator's own. Frozen: the freeze is answered first, in FreezeCase
// where it is open.
type RecoverCase struct {
	Form
	CaseNumber, FreezeCase string
	Staff, Frozen          bool
}

// RecoverRunning tells a signed-in person that a recovery of his account waits. May: he has shown enough to withdraw it.
type RecoverRunning struct {
	Action           string
	Start, Due       time.Time
	Password, Second bool
	May              bool
}

// NameWho asks for what a forgotten user name is found by. Inputs: contact, or merchant_no and serial.
type NameWho struct {
	Form
	Action, Contact string
}

// NameTold tells the user name or, if Sent, that it has been sent wherever there is one: Elsewhere, because the channel
// that was shown is not enough. Input: none.
type NameTold struct {
	Form
	Action, Name, Merchant string
	Names                  []string
	LastUsed               time.Time
	Sent, Elsewhere        bool
}

func (Recover) Page() string        { return "recover" }
func (RecoverOther) Page() string   { return "recover-other" }
func (RecoverDone) Page() string    { return "recover-done" }
func (RecoverWho) Page() string     { return "recover-who" }
func (RecoverHub) Page() string     { return "recover-hub" }
func (RecoverWait) Page() string    { return "recover-wait" }
func (RecoverCase) Page() string    { return "recover-case" }
func (RecoverRunning) Page() string { return "recover-running" }
func (NameWho) Page() string        { return "name-who" }
func (NameTold) Page() string       { return "name-told" }

// RecoverTerminal asks to have the digits confirmed on a terminal of the shop. Input: none.
type RecoverTerminal struct {
	Form
	Action, Resend string
	Digits         int
	Until          time.Time
	Ways           []Way
}

func (RecoverTerminal) Page() string { return "recover-terminal" }

// RecoverLink asks whether to begin the recovery that a case approved. Hidden input: token.
type RecoverLink struct{ Action, Token string }

// RecoverShop asks for the code of so many digits that an owner or manager told, and that lives so long. Input: code.
type RecoverShop struct {
	Form
	Action string
	Digits int
	Life   time.Duration
	Ways   []Way
}

func (RecoverLink) Page() string { return "recover-link" }
func (RecoverShop) Page() string { return "recover-shop" }
