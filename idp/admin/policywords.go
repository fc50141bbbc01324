package admin

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// The policy in words. A field is named by its parts, "Password · Shortest length"; where one word means something else
// under another block, the catalogue has the words of the whole path.

var fieldByPath = func() map[string]policy.Field {
	all := map[string]policy.Field{}
	for _, f := range policy.Fields() {
		all[f.Path] = f
	}
	return all
}()

// blocks are the first parts of the paths, in the order of the document.
var blocks = func() (all []string) {
	for _, f := range policy.Fields() {
		if name, _, _ := strings.Cut(f.Path, "."); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}()

// fieldName names a field in words.
func (v *visit) fieldName(path string) string {
	f := templates.Frame{Lang: v.lang}
	parts := strings.Split(path, ".")
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = f.Or("policy.part."+strings.Join(parts[:i+1], "."), f.Or("policy.part."+part, part))
	}
	return strings.Join(names, " · ")
}

// fieldValue is a value in words, as [policy.Field.Text] writes it.
func (v *visit) fieldValue(path, text string) string {
	f, known := fieldByPath[path]
	if !known {
		return text
	}
	switch {
	case f.Type.Kind() == reflect.Slice:
		return v.listValue(f, text)
	case f.Type.Kind() == reflect.Bool:
		return v.t(map[string]string{"true": "policy.yes", "false": "policy.no"}[text])
	case f.Type == reflect.TypeFor[time.Duration]():
		return v.durationValue(text)
	case f.Type == reflect.TypeFor[idp.ACR]():
		acr, _ := idp.ParseACR(text)
		return v.t("console.acr." + string(rune('0'+int(acr))))
	case f.Type == reflect.TypeFor[policy.Version]() && text == "":
		return v.t("policy.none")
	case f.Merge == policy.LeastSet && text == "0":
		return v.t("policy.off")
	}
	return v.word(text)
}

func (v *visit) listValue(f policy.Field, text string) string {
	switch {
	case text == "" && f.Merge == policy.Common:
		return v.t("policy.any")
	case text == "":
		return v.t("policy.none")
	case text == "-" && f.Merge == policy.Common:
		return v.t("policy.nothing")
	}
	items := strings.Split(text, ", ")
	for i, item := range items {
		items[i] = v.word(item)
	}
	return strings.Join(items, v.t("comma"))
}

// word is one of the words that a field may hold, or what stands there.
func (v *visit) word(text string) string {
	f := templates.Frame{Lang: v.lang}
	return f.Or("policy.word."+text, text)
}

// durationValue says a length of time exactly: 1 day 12 hours.
func (v *visit) durationValue(text string) string {
	d, err := policy.ParseDuration(text)
	if err != nil {
		return text
	}
	var parts []string
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, v.t("policy.unit."+u.name, int(n)))
			d -= n * u.size
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, " ")
}

// decided says which rules gave a field its value, and over which.
func (v *visit) decided(e policy.Explained) string {
	if e.Merge == policy.DefaultOne {
		return v.t("policy.everybody_alike")
	}
	var by []string
	for _, s := range e.By {
		by = append(by, s.Rule)
	}
	words := v.t("policy.said", strings.Join(by, ""))
	if len(by) > 1 {
		for i, rule := range by {
			by[i] = v.t("policy.quoted", rule)
		}
		words = v.t("policy.said_all", strings.Join(by, v.t("comma")))
	}
	for _, s := range e.Over {
		words += v.t("comma") + v.t("policy.over", s.Rule, v.fieldValue(e.Path, s.Value))
	}
	return words
}

// changes are differences in words.
func (v *visit) changes(list []policy.Change) (rows []templates.PolicyChange) {
	for _, c := range list {
		row := templates.PolicyChange{Name: v.fieldName(c.Path), Path: c.Path, Rule: c.Rule, Effect: string(c.Effect)}
		switch c.Path {
		case "":
			row.Name, row.Old, row.New = v.t("policy.rule_itself"), c.Old, c.New
		case "when":
			row.Name, row.Old, row.New = v.t("policy.when"), v.selector(c.Old), v.selector(c.New)
		default:
			row.Old, row.New = v.side(c.Path, c.Old, c.Effect == policy.Added), v.side(c.Path, c.New, c.Effect == policy.Removed)
		}
		rows = append(rows, row)
	}
	return rows
}

// side is one side of a difference; nothing stands where a rule did not say anything.
func (v *visit) side(path, text string, absent bool) string {
	if absent {
		return ""
	}
	return v.fieldValue(path, text)
}

// selector puts "roles: owner, manager; tiers: micro" in words.
func (v *visit) selector(text string) string {
	var out []string
	f := templates.Frame{Lang: v.lang}
	for part := range strings.SplitSeq(text, "; ") {
		name, list, _ := strings.Cut(part, ": ")
		items := strings.Split(list, ", ")
		for i, item := range items {
			items[i] = f.Or("role."+item, f.Or("tier."+item, item))
		}
		out = append(out, f.Or("policy.select."+name, name)+v.t("colon")+strings.Join(items, v.t("comma")))
	}
	return strings.Join(out, " · ")
}

// diff is what one document changes in another, as a card.
func (v *visit) diff(id, title, sides string, old, now []byte) (templates.PolicyDiff, error) {
	d := templates.PolicyDiff{ID: id, Title: title, Sides: sides}
	a, err := policy.Parse(old)
	if err != nil {
		return d, err
	}
	b, err := policy.Parse(now)
	if err != nil {
		return d, err
	}
	d.Rows = v.changes(policy.Diff(a, b))
	return d, nil
}

// problemsMost bounds how many problems are listed: a document without its default rule has one a field.
const problemsMost = 50

// problems turns what is wrong with a document into what a form says of its field, in words with the path.
func (v *visit) problems(err error) error {
	list := policy.ProblemsOf(err)
	if list == nil {
		return err
	}
	var out []error
	for i, p := range list {
		if i == problemsMost {
			out = append(out, idp.FieldError("document", "policy.bad.more", len(list)-i))
			break
		}
		out = append(out, idp.FieldError("document", "policy.bad.at", v.problemAt(p.Path), v.problemWords(p)))
	}
	return errors.Join(out...)
}

// problemAt names a place in a document: its path, and the field in words if it is one.
func (v *visit) problemAt(path string) string {
	if path == "" {
		return v.t("policy.bad.whole")
	}
	_, field, found := strings.Cut(path, ".set.")
	if _, known := fieldByPath[cmp.Or(field, path)]; known && (found || field == "") {
		return v.t("policy.bad.named", path, v.fieldName(cmp.Or(field, path)))
	}
	return path
}

func (v *visit) problemWords(p policy.Problem) string {
	args := slices.Clone(p.Args)
	for i, arg := range args {
		if s, ok := arg.(string); ok && fieldByPath[s].Path != "" {
			args[i] = v.fieldName(s)
		}
	}
	words := v.t(p.Key, args...)
	if p.Detail != "" {
		words = v.t("policy.bad.detail", words, p.Detail)
	}
	return words
}
