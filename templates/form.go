package templates

import (
	"html/template"
	"strings"
)

// Form is carried by every page that takes input; on a refusal it says what was wrong. Secrets are never filled in again.
type Form struct {
	Errors  []FieldError
	Hint    string // catalogue key: what to look at, in place of the hint of the first wrong field
	Explain string // explain code for support, such as "482-913-0576"
	Prove   bool   // what is asked for shows who somebody is, and signs nobody in
}

// FieldError is one thing to put right. Field is the name of the input, "" for the form as a whole.
type FieldError struct {
	Field, Key string
	Args       []any
}

func (f Form) form() Form { return f }

// A field is one labelled input of a page: partial "field" draws label, error and hint, Tied ties the input to them.
type field struct {
	Frame
	Name               string
	Label, Hint, Error string
	Value              string   // of a reason
	Options            []Option // of a choice
}

// Field describes the input with this name: its label and, if there is one, its hint, both catalogue keys.
func (p page) Field(name, label string, hint ...string) field {
	words := ""
	if len(hint) > 0 {
		words = p.T(hint[0])
	}
	return p.FieldText(name, p.T(label), words)
}

// FieldText is Field with words that are translated already.
func (p page) FieldText(name, label, hint string) field {
	f := field{Frame: p.Frame, Name: name, Label: label, Hint: hint}
	for i, e := range p.Errors() {
		if e.Field != name {
			continue
		}
		f.Error = p.T(e.Key, e.Args...)
		if c := p.Page.(interface{ form() Form }); i == 0 && c.form().Hint != "" {
			f.Hint = p.T(c.form().Hint)
		}
		break
	}
	return f
}

// Class of the element around the field.
func (f field) Class() string {
	if f.Error != "" {
		return "field bad"
	}
	return "field"
}

// Tied is what the input says of its error and its hint.
func (f field) Tied() template.HTMLAttr {
	var ids []string
	if f.Error != "" {
		ids = append(ids, f.Name+"-e")
	}
	if f.Hint != "" {
		ids = append(ids, f.Name+"-h")
	}
	var attr string
	if len(ids) > 0 {
		attr = `aria-describedby="` + template.HTMLEscapeString(strings.Join(ids, " ")) + `"`
	}
	if f.Error != "" {
		attr += ` aria-invalid="true"`
	}
	return template.HTMLAttr(attr)
}
