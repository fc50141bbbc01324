package templates

import (
	"html/template"
	"regexp"
	"time"
)

// Pages of 我的 → 安全: a person's own account. Each names its tab: overview, factors, contacts, devices, apps, activity.

// A tab is one of these pages in the navigation.
type tab struct {
	URL, Key string
	Now      bool // this page belongs to it
}

// Tabs of the account, or none on a page that belongs to no account.
func (p page) Tabs() (all []tab) {
	c, ok := p.Page.(interface{ tab() string })
	if !ok || c.tab() == "" {
		return nil
	}
	for _, name := range []string{"overview", "factors", "contacts", "devices", "apps", "activity"} {
		t := tab{URL: "/account/" + name, Key: "account.tab." + name, Now: name == c.tab()}
		if name == "overview" {
			t.URL = "/account"
		}
		all = append(all, t)
	}
	return all
}

// Account is the overview: a safety check in plain words and what needs the person now.
type Account struct {
	Name, Login, RoleKey, MerchantName string
	Username                           string // "" for none: Login is masked then
	Saved                              string // catalogue key of what has just been done
	Frozen                             bool
	FrozenAt                           time.Time
	Recovering                         time.Time // when the wait of a recovery ends; zero: none runs
	CaseNumber                         string
	Closed                             []ClosedWay // by strangers
	Checks                             []Check
	Events                             []EventRow  // the newest few
	Still                              *ContactRow // asked about: no code has come back from it for long
	ShopURL                            string      // his part of the console, "" for none
	LostURL                            string      // where he marks a terminal lost, of who has no console
	Handover                           *HandoverNote
	Leaves                             time.Time // a moment of his last day; zero: none is set
	LeaveURL                           string    // "" for whom cannot leave by himself
}

// HandoverNote tells who gives or takes a shop how it stands with it. Mine: he takes it.
type HandoverNote struct {
	State string
	Mine  bool
	Due   time.Time
	URL   string
}

// ClosedWay is a way to sign in that strangers have used up: it is closed to browsers that are not known. Ways are the
// keys of those that are open now.
type ClosedWay struct {
	FactorKey string
	All       bool      // closed to every browser
	Since     time.Time // zero: just now
	Until     time.Time // when one try is back; zero: when the person signs in on a browser of his
	Ways      []string
}

// Done counts the checks that are met.
func (a Account) Done() (n int) {
	for _, c := range a.Checks {
		if c.Done {
			n++
		}
	}
	return n
}

// Check is one point of the safety check. The keys are catalogue keys; Args belong to TextKey.
type Check struct {
	Done       bool
	TitleKey   string
	TextKey    string
	Args       []any
	URL, DoKey string // what to do, "" for nothing
	Icon       string
}

// Words is T for arguments that a view carries.
func (f Frame) Words(key string, args []any) string { return f.T(key, args...) }

// AccountFactors lists the ways to prove oneself.
type AccountFactors struct {
	Saved           string
	PasswordChanged time.Time
	HasPassword     bool
	PasswordURL     string
	TOTP            *FactorRow
	Passkeys        []FactorRow
	Codes           int // recovery codes left, -1 for no set
	CodesFew        bool
	CodesMade       time.Time
	PasskeyURL      string // adds one
	TOTPURL         string // adds or replaces the app
	CodesURL        string
	Signal          string // JSON for the browser's Signal API: rpId, userId, allAcceptedCredentialIds, name, displayName; "" for none
}

// FactorRow is one way to prove oneself. Rename and remove post credential=<ID> (and label) to RenameAction; Remove
// leads to the page that asks.
type FactorRow struct {
	ID, LabelKey, Label  string
	Model                string // "iCloud Keychain", from the operator's metadata; "" unknown
	Icon                 string // of our own set, or a data:image URL from the metadata
	Added, LastUsed      time.Time
	Synced, DeviceBound  bool // of passkeys
	Unsynced             bool // it may leave its device, and has not yet
	Blocked              bool // a copy was seen
	RenameAction, Remove string
	Last                 bool // the last second factor that policy demands: it cannot be removed, only replaced
}

var picture = regexp.MustCompile(`^data:image/(png|jpeg|webp|svg\+xml);base64,[A-Za-z0-9+/]+=*$`)

// Picture is the icon if it is a drawing of its own, which a browser only ever shows.
func (r FactorRow) Picture() template.URL {
	if picture.MatchString(r.Icon) {
		return template.URL(r.Icon)
	}
	return ""
}

// AccountContacts lists phones, addresses and user names.
type AccountContacts struct {
	Saved             string
	Username          string
	Former            []string
	UsernameURL       string
	Phones, Emails    []ContactRow
	AddPhone, AddMail string // URLs
	Signal            string // see AccountFactors
}

// ContactRow is one bound phone or address.
type ContactRow struct {
	ID, Masked string
	Verified   bool
	Proven     time.Time // a code last came back
	Stale      bool      // not proved for long
	Disputed   time.Time // until then it helps nobody back in; zero: it does
	// ConfirmAction takes id=<ID> and sends the code that shows that it is still his; "" offers nothing.
	ConfirmAction string
	ChangeURL     string
	Remove        string    // the page that asks, "" for the last one
	UndoUntil     time.Time // it took the place of Old, which can be undone until then; zero: no
	Old           string
	UndoAction    string // POST: change=<Change>
	Change        string
}

// Good says whether codes reach the person there, as far as is known.
func (c ContactRow) Good() bool { return c.Verified && !c.Stale && c.Disputed.IsZero() }

// AccountDevices lists sessions and known browsers.
type AccountDevices struct {
	Saved                        string
	Sessions                     []SessionRow
	EndAction, EndAllAction      string // POST: session=<id>, and every other one
	Browsers                     []BrowserRow
	RevokeAction, DistrustAction string // POST: browser=<id>
}

// BrowserRow is one browser that is known, and perhaps trusted.
type BrowserRow struct {
	ID, Device, Where string
	Since, LastUsed   time.Time
	Trusted           time.Time // until; zero: not trusted
	Current           bool
}

// SessionRow is one browser that is signed in.
type SessionRow struct {
	ID, Where, Device string
	Started, LastSeen time.Time
	Current           bool
}

// AccountApps lists applications with access and terminals that were approved.
type AccountApps struct {
	Saved          string
	Apps           []AppRow
	WithdrawAction string // POST: client=<ID>
	Terminals      []ApprovedRow
	EndAction      string // POST: grant=<ID>
}

// AppRow is one application that holds access.
type AppRow struct {
	ID, Name        string
	Scopes          []string
	Since, LastUsed time.Time
	Money           bool
}

// ApprovedRow is one terminal that runs on an approval of the person.
type ApprovedRow struct {
	ID, Model, KindKey, SerialTail, StoreName string
	Since                                     time.Time
}

// AccountActivity lists what happened, newest first.
type AccountActivity struct {
	Saved  string
	Events []EventRow
	Action string // POST: event=<ID>, answer=me|not_me
	Older  string // URL of the next page, "" at the end
	Newest string // URL of the first page, "" when this is it
}

// EventRow is one thing that happened. Tone is "", ok, warn, bad or now.
type EventRow struct {
	ID             string
	At             time.Time
	NameKey, Place string
	Device         string
	Detail         string // a few words, translated already
	Tone           string
	Ask            bool   // offers "this was me / this wasn't me"
	Answer         string // "me", "not_me" or ""
}

// AccountData tells what the download holds. Input: none.
type AccountData struct{ Action string }

// AccountLeave asks a person for his last day in the shop. Set is a moment of the one that stands.
type AccountLeave struct {
	Form
	Action, Day string
	Set         time.Time
	// AccountCall shows both halves of a call with support; "" where there is none yet.
}

type AccountCall struct {
	Caller string    // what the person reads out
	Agent  string    // what support must answer, once the caller's was right
	Until  time.Time // zero: there is no call
}

// Confirm asks before something is removed or ended. Hidden inputs come back as they are.
type Confirm struct {
	Form
	TitleKey, TextKey, ButtonKey string
	Args                         []any // of TitleKey and TextKey alike
	Action                       string
	Hidden                       map[string]string
	Danger                       bool
	Back                         string
	Tab                          string
}

// Unfreeze says what a strong return asks and starts it. Input: none.
type Unfreeze struct {
	Form
	Action     string
	CaseNumber string
	Can        bool // something old enough is there to prove oneself with
}

func (Account) Page() string         { return "account" }
func (AccountFactors) Page() string  { return "account-factors" }
func (AccountContacts) Page() string { return "account-contacts" }
func (AccountDevices) Page() string  { return "account-devices" }
func (AccountApps) Page() string     { return "account-apps" }
func (AccountActivity) Page() string { return "account-activity" }
func (AccountData) Page() string     { return "account-data" }
func (AccountLeave) Page() string    { return "account-leave" }
func (AccountCall) Page() string     { return "account-call" }
func (Confirm) Page() string         { return "confirm" }
func (Unfreeze) Page() string        { return "unfreeze" }

func (Account) tab() string         { return "overview" }
func (AccountFactors) tab() string  { return "factors" }
func (AccountContacts) tab() string { return "contacts" }
func (AccountDevices) tab() string  { return "devices" }
func (AccountApps) tab() string     { return "apps" }
func (AccountActivity) tab() string { return "activity" }
func (AccountData) tab() string     { return "overview" }
func (AccountLeave) tab() string    { return "overview" }
func (AccountCall) tab() string     { return "overview" }
func (c Confirm) tab() string       { return c.Tab }
func (Unfreeze) tab() string        { return "overview" }
