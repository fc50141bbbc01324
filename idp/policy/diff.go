package policy

import (
	"reflect"
	"slices"
)

// Effect says what a change of a field does.
type Effect string

const (
	Stricter Effect = "stricter"
	Looser   Effect = "looser"
	Added    Effect = "added"   // a rule says something of a field that it did not say before
	Removed  Effect = "removed" // a rule says no longer what it said
	Altered  Effect = "altered" // neither stricter nor looser: a number that holds for everybody alike
)

// Change is one difference of two documents. Path is "when" for a rule's selector, "" for a rule as a whole.
type Change struct {
	Rule     string
	Path     string
	Old, New string // as [Field.Text] writes them; "" for nothing
	Effect   Effect
}

// Diff lists what is different in a document from an older one, rule by rule. A rule is known by its name.
func Diff(old, now Document) (out []Change) {
	find := func(d Document, name string) *Rule {
		i := slices.IndexFunc(d.Rules, func(r Rule) bool { return r.Name == name })
		if i < 0 {
			return nil
		}
		return &d.Rules[i]
	}
	for _, r := range now.Rules {
		was := find(old, r.Name)
		if was == nil {
			was = &Rule{}
			out = append(out, Change{Rule: r.Name, New: r.Name, Effect: Added})
		} else if !reflect.DeepEqual(was.When, r.When) {
			out = append(out, Change{Rule: r.Name, Path: "when", Old: was.When.text(), New: r.When.text(), Effect: Altered})
		}
		out = append(out, fieldChanges(*was, r)...)
	}
	for _, r := range old.Rules {
		if find(now, r.Name) == nil {
			out = append(out, Change{Rule: r.Name, Old: r.Name, Effect: Removed})
		}
	}
	return out
}

func fieldChanges(was, now Rule) (out []Change) {
	for _, f := range fields {
		a, had := was.Set[f.Path]
		b, has := now.Set[f.Path]
		c := Change{Rule: now.Name, Path: f.Path}
		switch {
		case had && !has:
			c.Old, c.Effect = f.Text(a), Removed
		case !had && has:
			c.New, c.Effect = f.Text(b), Added
		case had && has && !reflect.DeepEqual(a, b):
			c.Old, c.New, c.Effect = f.Text(a), f.Text(b), map[int]Effect{1: Stricter, -1: Looser, 0: Altered}[f.compare(a, b)]
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}

// text is a selector in the words of the document.
func (s Selector) text() string {
	out := ""
	add := func(name, list string) {
		if list != "" {
			if out != "" {
				out += "; "
			}
			out += name + ": " + list
		}
	}
	add("roles", words(s.Roles))
	add("tiers", words(s.Tiers))
	add("merchants", words(s.Merchants))
	add("stores", words(s.Stores))
	add("clients", words(s.Clients))
	return out
}
