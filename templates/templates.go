// Package templates draws every page, mail and text message, in every language.
//
// A page is a plain struct (its view) whose method Page names a file in pages/. Its template sees struct{Frame; Page}:
// {{.T "key"}} translates, {{.Page.Login}} reads the view, and inside range and with the same is {{$.T "key"}}. A page
// file opens with the frame it lives in (door, room or desk, see partials/) and defines "title" and "main".
//
// Invariants: a page is drawn completely before its first byte leaves; every human sentence stands in locales/; there is
// no inline script, style or event handler, so a strict content security policy holds; everything works without script.
// It imports idp and static at most and never calls a store, a session or a handler.
package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"hufu/static"
)

//go:embed pages partials mail sms locales icons.svg
var files embed.FS

// Content is a page's own data. Page names the file pages/<name>.html.
type Content interface{ Page() string }

// Frame is what every page needs around its content.
type Frame struct {
	Lang      string // "zh-CN" or "en"; see Match
	Path      string // path and query of this page, for the language links
	Operator  string // name of the acquirer, beside the mark
	Issuer    string
	Demo      bool    // a bar says that accounts and keys are not real
	Viewer    *Viewer // who is signed in, or nil
	RequestID string
	Zone      *time.Location // of printed times; nil is UTC+8
	Now       time.Time      // of printed ages; zero is the present
}

// Viewer is the person who is signed in.
type Viewer struct {
	Name, Face, Login string
	Console           bool   // may open the console
	RoleKey           string // catalogue key of the role, such as "role.auditor"; "" shows none
}

// A page is the root of every template's data.
type page struct {
	Frame
	Page Content
}

var (
	pages = parsePages()
	parts = template.Must(template.New("").Funcs(funcs).ParseFS(files, "partials/*.html"))
)

var funcs = template.FuncMap{"asset": static.Path, "icon": icon, "note": note, "saved": saved}

func parsePages() map[string]*template.Template {
	frames := template.Must(template.New("").Funcs(funcs).ParseFS(files, "partials/*.html"))
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	all := make(map[string]*template.Template, len(names))
	for _, name := range names {
		base := path.Base(name)
		t := template.Must(template.Must(frames.Clone()).ParseFS(files, name))
		all[strings.TrimSuffix(base, ".html")] = t.Lookup(base)
	}
	return all
}

// Render draws a page. On an error nothing has been written.
func Render(w io.Writer, f Frame, c Content) error {
	t, ok := pages[c.Page()]
	if !ok {
		return fmt.Errorf("templates: no page %q", c.Page())
	}
	f = f.filled()
	var out bytes.Buffer
	if err := t.Execute(&out, page{Frame: f, Page: c}); err != nil {
		return fmt.Errorf("templates: page %q: %w", c.Page(), err)
	}
	_, err := out.WriteTo(w)
	return err
}

// RenderPart draws one partial alone. On an error nothing has been written.
func RenderPart(w io.Writer, f Frame, name string, it any) error {
	var out bytes.Buffer
	if err := parts.ExecuteTemplate(&out, name, f.filled().With(it)); err != nil {
		return fmt.Errorf("templates: part %q: %w", name, err)
	}
	_, err := out.WriteTo(w)
	return err
}

// filled puts what a template may rely on in place of zero values.
func (f Frame) filled() Frame {
	if localizers[f.Lang] == nil {
		f.Lang = languages[0].Tag
	}
	if f.Zone == nil {
		f.Zone = china
	}
	if f.Now.IsZero() {
		f.Now = time.Now()
	}
	return f
}

// Errors are those of the page's form, if it has one and was refused.
func (p page) Errors() []FieldError {
	if c, ok := p.Page.(interface{ form() Form }); ok {
		return c.form().Errors
	}
	return nil
}

// SummaryTitle heads the error summary: the page's own words, or a count.
func (p page) SummaryTitle() string {
	if c, ok := p.Page.(interface{ form() Form }); ok && c.form().Prove {
		return p.T("recover-hub.failed") // the page's own speak of signing in
	}
	if key := p.Page.Page() + ".failed"; known(key) {
		return p.T(key)
	}
	return p.T("summary.title", len(p.Errors()))
}

// Say is the sentence of an error in the summary. Where several inputs of the console are wrong, it names them.
func (p page) Say(e FieldError) string {
	words := p.T(e.Key, e.Args...)
	if c, ok := p.Page.(ConsoleForm); ok && len(c.Form.Errors) > 1 {
		for _, in := range c.Inputs {
			if in.Name == e.Field {
				return p.T(in.Label) + p.T("colon") + words
			}
		}
	}
	return words
}

// Text is the sentence of a problem page.
func (p page) Text() string {
	if c, ok := p.Page.(Problem); ok {
		return p.T(c.TextKey(), c.Args...)
	}
	return ""
}

// A step is one part of the progress bar. State is "done", "now" or "".
type step struct{ Text, State string }

type steps struct {
	Label, Done string
	All         []step
}

// Steps is the progress of a flow, for the partial "steps": the label, which step is now (from 1), and their names.
func (f Frame) Steps(label string, now int, keys ...string) steps {
	s := steps{Label: f.T(label, len(keys)), Done: f.T("steps.done")}
	for i, key := range keys {
		one := step{Text: f.T(key)}
		switch {
		case i+1 < now:
			one.State = "done"
		case i+1 == now:
			one.State = "now"
		}
		s.All = append(s.All, one)
	}
	return s
}

// Scope says what a scope allows; one that the catalogue does not know stands as it is.
func (f Frame) Scope(name string) string { return f.Or("scope."+name, name) }

// A part is the data of a partial that draws one thing: It, with the frame it needs to translate.
type part struct {
	Frame
	It any
}

// With hands one thing to a partial: {{template "pager" (.With .Page.Pager)}}.
func (f Frame) With(it any) part { return part{f, it} }
