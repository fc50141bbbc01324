package templates

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"hufu/idp"
)

// Letter is what mail and text messages tell of; each uses the fields it needs. No letter ever holds a password, and
// none holds a link beside a code.
type Letter struct {
	Name, Login string // whom it is written to
	Operator    string
	Host        string // the host of the issuer: binds a code to this site in a text message
	Code        string
	Purpose     string // catalogue key: purpose.signin
	Minutes     int    // that the code lives
	At          time.Time
	Until       time.Time // closed: from when on it can be tried again; zero if it is opened by signing in
	Client      string    // the application
	Browser     string
	Place       string   // estimated from the network
	Factor      string   // catalogue key: factor.totp
	Ways        []string // closed: keys of the ways that are open to the owner
	Link        string   // of an invitation, which carries no code
	Stop        string   // the link that freezes, in every notice
	Undo        string   // the link that undoes a change of a phone or address, to the old one
	Old, New    string   // masked
	Whose       string   // name of him of the shop whose account it is about, in mail alone
	Withheld    string   // what a recovery that is done keeps back: idp.Withhold
	Giver       string   // names of the owners of a hand-over, in mail alone
	Taker       string
	Left        int // recovery codes
	CaseNumber  string
	Explain     string   // explain code, for a call to support
	Answer      string   // catalogue key: what support answers, word for word
	Object      string   // id of what it is about, never printed: another of the same kind is told, too
	Items       []string // of a digest: catalogue keys
	ItemArgs    [][]any  // of the items
}

// A letterPage is the root of a message template: {{.T "key"}}, {{.It.Code}} and {{.Own "lead"}}.
type letterPage struct {
	Frame
	It   Letter
	Name string
}

// Own is the text of this message: mail.<name>.<what>.
func (p letterPage) Own(what string) string {
	if what == "lead" && p.It.Answer != "" {
		return p.T(p.It.Answer)
	}
	if what == "lead" && p.Name == "closed" && p.It.Factor == "factor.backup" && !p.It.Until.IsZero() {
		what = "lead_all" // their tries are one for everybody
	}
	return p.T("mail."+p.Name+"."+what, p.of()...)
}

// of is what the sentences of a message name: the way that a notice of a lock is about, or whose account it is.
func (p letterPage) of() []any {
	switch {
	case p.Name == "closed":
		return []any{p.T("closed." + p.It.Factor)}
	case strings.HasPrefix(p.Name, "recovery.other"):
		return []any{p.It.Whose}
	}
	return nil
}

// Subject is the first line of a message by itself, for a digest of what was left out.
func (l Letter) Subject(lang, name string) string {
	return oneLine(letterPage{Frame{Lang: lang}.filled(), l, name}.Own("subject"))
}

// Do is what to do now: the message's own words or, where it may well have been the person himself, nothing.
func (p letterPage) Do() string {
	if p.Name == "closed" && p.It.Until.IsZero() {
		return p.T("mail.closed.do_hard")
	}
	return p.Or("mail."+p.Name+".do", p.T("mail.me"))
}

// Sentence is what a text message says.
func (p letterPage) Sentence() string { return p.T("sms."+p.Name, p.of()...) }

// UntilLabel says what ends at Until.
func (p letterPage) UntilLabel() string {
	key := "mail." + p.Name + ".until"
	if p.It.Withheld == string(idp.WithholdMoney) {
		key += "_money"
	}
	return p.Or(key, p.T("mail.until"))
}

// Login is the name of the account, masked if it is a phone or an address: a letter never holds a name and a number.
func (p letterPage) Login() string { return p.It.login() }

func (l Letter) login() string {
	kind := idp.IdentifierUsername
	switch {
	case l.Login == "" || strings.Contains(l.Login, "***"): // masked before
		return l.Login
	case strings.Contains(l.Login, "@"):
		kind = idp.IdentifierEmail
	case strings.Trim(l.Login, "+0123456789 -") == "":
		kind = idp.IdentifierPhone
	}
	return idp.Identifier{Kind: kind, Value: l.Login}.Masked()
}

// Codes says whether the message tells how many recovery codes are left, none included.
func (p letterPage) Codes() bool { return strings.HasPrefix(p.Name, "codes.") }

// Stop is the link that freezes. Who is told that his account is frozen or has ended needs none, where a case was opened
// in place of a freeze it does nothing more, and what became of a terminal is no sign that somebody uses the account.
func (p letterPage) Stop() string {
	if unstopped[p.Name] {
		return ""
	}
	return p.It.Stop
}

var unstopped = map[string]bool{"frozen": true, "case.opened": true, "staff.recovery": true, "staff.left": true, "account.left": true, "operator.left": true, "terminal.lost": true, "terminal.rekeyed": true}

// timed are the notices whose text message says when it happens, too.
var timed = map[string]bool{"owner.proposed": true, "owner.accepted": true, "owner.soon": true, "staff.leaving": true}

// Items are the reminders of a digest in words.
func (p letterPage) Items() (all []string) {
	for i, key := range p.It.Items {
		var args []any
		if i < len(p.It.ItemArgs) {
			args = p.It.ItemArgs[i]
		}
		all = append(all, p.T(key, args...))
	}
	return all
}

// waits are the messages of a recovery that name a time, and what it is: the end of the wait, or of the time to finish.
var waits = map[string]string{"recovery.started": "sms.until", "recovery.reminded": "sms.until", "recovery.moved": "sms.until", "recovery.other": "sms.until", "recovery.soon": "sms.from",
	"recovery.due": "sms.before", "recovery.other_due": "sms.before"}

// Fact is what a text message tells beside its sentence, in as few characters as will do.
func (p letterPage) Fact() string {
	switch l := p.It; {
	case p.Name == "username.told":
		return p.Login()
	case waits[p.Name] != "":
		return p.T(waits[p.Name], p.Moment(l.Until))
	case l.CaseNumber != "":
		return p.T("sms.case", l.CaseNumber)
	case p.Codes():
		return p.T("sms.left", l.Left)
	case l.New != "":
		return l.New
	case timed[p.Name] && !l.Until.IsZero():
		return p.Moment(l.Until)
	}
	return p.It.Old
}

// notice names the files of every message that has none of its own: what happened, when and where, what to do, and the
// link that stops. Its words are mail.<name>.subject, .lead and perhaps .do, and sms.<name>.
const notice = "notice"

var (
	mailText = parseText("mail/*.txt")
	mailHTML = parseMailHTML()
	smsText  = parseText("sms/*.txt")
)

// parseText reads text templates. They print nothing that a browser interprets, so nothing is escaped.
func parseText(pattern string) map[string]*texttemplate.Template {
	all := map[string]*texttemplate.Template{}
	for _, name := range glob(pattern) {
		base := path.Base(name)
		t := texttemplate.New(base).Option("missingkey=error")
		all[strings.TrimSuffix(base, ".txt")] = texttemplate.Must(t.ParseFS(files, "mail/parts/*.txt", name))
	}
	return all
}

func parseMailHTML() map[string]*htmltemplate.Template {
	all := map[string]*htmltemplate.Template{}
	for _, name := range glob("mail/*.html") {
		base := path.Base(name)
		t := htmltemplate.New(base).Option("missingkey=error")
		all[strings.TrimSuffix(base, ".html")] = htmltemplate.Must(t.ParseFS(files, "mail/parts/*.html", name))
	}
	return all
}

func glob(pattern string) []string {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		panic(err) // the patterns are constants
	}
	return names
}

// Message writes a mail: code, invite, digest, or a notice. The subject is one line. Times are printed in the default zone.
func Message(lang, name string, l Letter) (subject, text, html string, err error) {
	file := name
	if mailText[name] == nil && known("mail."+name+".subject") {
		file = notice
	}
	asText, asHTML := mailText[file], mailHTML[file]
	if name == notice || asText == nil || asHTML == nil {
		return "", "", "", fmt.Errorf("templates: no mail %q", name)
	}
	root := letterPage{Frame{Lang: lang}.filled(), l, name}
	var plain, rich bytes.Buffer
	if err := asText.Execute(&plain, root); err != nil {
		return "", "", "", fmt.Errorf("templates: mail %q: %w", name, err)
	}
	if err := asHTML.Execute(&rich, root); err != nil {
		return "", "", "", fmt.Errorf("templates: mail %q: %w", name, err)
	}
	return oneLine(root.Own("subject")), plain.String(), rich.String(), nil
}

// SMS writes a text message of the same names.
func SMS(lang, name string, l Letter) (string, error) {
	file := name
	if smsText[name] == nil && known("sms."+name) {
		file = notice
	}
	t := smsText[file]
	if name == notice || t == nil {
		return "", fmt.Errorf("templates: no text message %q", name)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, letterPage{Frame{Lang: lang}.filled(), l, name}); err != nil {
		return "", fmt.Errorf("templates: text message %q: %w", name, err)
	}
	return strings.TrimSpace(out.String()), nil
}

// oneLine keeps a header a header: a line break in a subject would begin another one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Params are the words of a letter by name, for providers that fill a text message of their own: code, minutes, link,
// login, left, case. Empty ones are left out.
func (l Letter) Params() map[string]string {
	all := map[string]string{"code": l.Code, "link": l.Stop, "login": l.login(), "case": l.CaseNumber}
	if l.Link != "" {
		all["link"] = l.Link
	}
	if l.Minutes > 0 {
		all["minutes"] = strconv.Itoa(l.Minutes)
	}
	if l.Left > 0 {
		all["left"] = strconv.Itoa(l.Left)
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}
