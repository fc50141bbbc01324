package templates

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"strings"
	texttemplate "text/template"
	"time"
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
	Place       string // estimated from the network
	Factor      string // catalogue key: factor.totp
	Link        string // of an invitation, which carries no code
}

// A letterPage is the root of a message template: {{.T "key"}} and {{.It.Code}}.
type letterPage = part

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

// Message writes a mail: code, newbrowser, factor.enrolled, password.changed, closed or invite. data is a Letter.
// The subject is one line. Times are printed in the default zone.
func Message(lang, name string, data any) (subject, text, html string, err error) {
	asText, asHTML := mailText[name], mailHTML[name]
	if asText == nil || asHTML == nil {
		return "", "", "", fmt.Errorf("templates: no mail %q", name)
	}
	root := letterPage{Frame{Lang: lang}.filled(), data}
	var plain, rich bytes.Buffer
	if err := asText.Execute(&plain, root); err != nil {
		return "", "", "", fmt.Errorf("templates: mail %q: %w", name, err)
	}
	if err := asHTML.Execute(&rich, root); err != nil {
		return "", "", "", fmt.Errorf("templates: mail %q: %w", name, err)
	}
	return oneLine(root.T("mail." + name + ".subject")), plain.String(), rich.String(), nil
}

// SMS writes a text message of the same names.
func SMS(lang, name string, data any) (string, error) {
	t := smsText[name]
	if t == nil {
		return "", fmt.Errorf("templates: no text message %q", name)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, letterPage{Frame{Lang: lang}.filled(), data}); err != nil {
		return "", fmt.Errorf("templates: text message %q: %w", name, err)
	}
	return strings.TrimSpace(out.String()), nil
}

// oneLine keeps a header a header: a line break in a subject would begin another one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
