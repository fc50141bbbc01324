package templates

import "html/template"

// Desk is embedded in every view of the console: it fills the frame "desk" (see partials/desk.html).
type Desk struct {
	Active string // Href of the item that this page belongs to
	Items  []NavItem
	Find   string // action of the search form in the header; "" shows none
	Query  string // what was searched
}

// NavItem is one entry of the side navigation. A Group (catalogue key) that differs from the entry before begins a new
// heading. Count, if not 0, is how many wait there.
type NavItem struct {
	Href, Key, Icon string
	Group           string
	Count           int
}

func (d Desk) desk() Desk { return d }

// Desk of this page, for the frame.
func (p page) Desk() Desk {
	if c, ok := p.Page.(interface{ desk() Desk }); ok {
		return c.desk()
	}
	return Desk{}
}

// Groups are the entries by heading, in order.
func (d Desk) Groups() [][]NavItem {
	var groups [][]NavItem
	for i, item := range d.Items {
		if i == 0 || item.Group != d.Items[i-1].Group {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], item)
	}
	return groups
}

// Pager leads through a list that is read by key: no page numbers. Text (translated) says order and size in words.
type Pager struct{ Text, Prev, Next string }

// Crumb is one step of the way to a page; the last has no URL. Text is translated.
type Crumb struct{ Text, URL string }

// Note is a notice above a page. Tone is "", ok, warn or bad; Text is translated.
type Note struct {
	Tone, Icon, Text string
	Status           bool // said after a saved form
}

func note(tone, icon, text string) Note { return Note{Tone: tone, Icon: icon, Text: text} }

// saved is said on the page that follows a saved form.
func saved(key, text string) Note {
	if key == "console.saved.missed" { // done, but nothing to be glad of
		return Note{Tone: "warn", Icon: "warn", Text: text, Status: true}
	}
	return Note{Tone: "ok", Icon: "check", Text: text, Status: true}
}

// Empty is what a list shows that has nothing in it. Texts are translated.
type Empty struct{ Icon, Title, Text, URL, Link string }

// Option is one choice of a filter or a field.
type Option struct {
	Value, Text string
	Chosen      bool
}

// Choice describes a select: name, label (a catalogue key) and its options.
func (p page) Choice(name, label string, options []Option) field {
	f := p.Field(name, label)
	f.Options = options
	return f
}

// Fill keeps what was typed before: {{template "reason" ((.Field "reason" "reason.label").Fill .Page.Reason)}}.
func (f field) Fill(value string) field {
	f.Value = value
	return f
}

// tones say how states look, everywhere alike. A state that is missing looks neutral.
var tones = map[string]string{
	"active": "ok", "enabled": "ok", "approved": "ok", "usable": "ok",
	"asked": "info", "key_next": "info", "in_force": "ok", "done": "ok", "submitted": "info", "scheduled": "info", "tried_out": "info", "queued": "info", "running": "info", "stopped": "warn", "failed": "bad",
	"key_active": "ok", "well": "ok", "unwell": "bad", "silent": "warn", "blocked": "bad",
	"sent": "ok", "due": "info", "open": "info", "dead": "bad",
	"ready": "info", "overdue": "bad", "refused": "warn", "unfreeze": "ok", "matched": "ok", "missed": "warn", "not_kept": "plain", "untried": "plain",
	"new": "info", "pending": "info", "redeemed": "info", "invited": "info", "opening": "info",
	"suspended": "warn", "shut": "warn", "handover_proposed": "info", "handover_cooling": "warn", "handover_done": "ok",
	"locked": "bad", "frozen": "bad", "lost": "bad", "closed": "bad", "denied": "bad",
}

// State draws the pill of a state; its word is the catalogue key state.<name>.
func (f Frame) State(name string) template.HTML {
	return f.Pill(tones[name], f.Or("state."+name, name))
}

// Pill draws words in a pill. Tone is "", ok, warn, bad, info or plain.
func (f Frame) Pill(tone, words string) template.HTML {
	return template.HTML(`<span class="pill ` + template.HTMLEscapeString(tone) + `">` + template.HTMLEscapeString(words) + `</span>`)
}
