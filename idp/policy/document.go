package policy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"hufu/idp"
)

// Document is a policy as administrators write it and as it is kept. The first rule is the default: it holds for
// everybody and sets every field. Each further one holds for whom it selects and sets what it names.
type Document struct {
	Rules []Rule `json:"rules"`
}

// Rule sets fields for whom it selects.
type Rule struct {
	Name string   `json:"name"`
	When Selector `json:"when,omitzero"`
	Set  Values   `json:"set"`
}

// Selector names whom a rule is for: whoever fits every list that is not empty.
type Selector struct {
	Roles     []idp.Role `json:"roles,omitempty"`
	Tiers     []idp.Tier `json:"tiers,omitempty"`
	Merchants []string   `json:"merchants,omitempty"` // numbers
	Stores    []string   `json:"stores,omitempty"`    // ids
	Clients   []string   `json:"clients,omitempty"`   // ids
}

// Facts are what rules select by.
type Facts struct {
	User     string // for a canary's share; rules do not name people
	Role     idp.Role
	Tier     idp.Tier
	Merchant string // number
	Store    string
	Client   string
}

// IsZero keeps a selector that selects nothing out of a printed document.
func (s Selector) IsZero() bool {
	return len(s.Roles)+len(s.Tiers)+len(s.Merchants)+len(s.Stores)+len(s.Clients) == 0
}

// Holds says whether the rule is for somebody.
func (s Selector) Holds(f Facts) bool {
	return holds(s.Roles, f.Role) && holds(s.Tiers, f.Tier) && holds(s.Merchants, f.Merchant) && holds(s.Stores, f.Store) && holds(s.Clients, f.Client)
}

func holds[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// Values are fields by their paths.
type Values map[string]any

// UnmarshalJSON reads the nested form of a document: {"password": {"min_length": 12}}. What is wrong with it is a list
// of [Problem].
func (v *Values) UnmarshalJSON(raw []byte) error {
	*v = Values{}
	var problems Problems
	v.read("", raw, &problems)
	return problems.err()
}

func (v Values) read(prefix string, raw []byte, problems *Problems) {
	members, err := object(raw)
	if err != nil {
		*problems = append(*problems, Problem{Path: strings.TrimSuffix(prefix, "."), Key: "policy.bad.object"})
		return
	}
	for _, m := range members {
		path := prefix + m.name
		i, known := byPath[path]
		switch {
		case known:
			value, p := fields[i].decode(m.value)
			if p != nil {
				*problems = append(*problems, *p)
				continue
			}
			v[path] = value
		case slices.ContainsFunc(fields, func(f Field) bool { return strings.HasPrefix(f.Path, path+".") }):
			v.read(path+".", m.value, problems)
		default:
			*problems = append(*problems, Problem{Path: path, Key: "policy.bad.unknown"})
		}
	}
}

type member struct {
	name  string
	value json.RawMessage
}

// object reads the members of a JSON object in order; a name that comes twice is an error.
func object(raw []byte) (out []member, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	t, err := d.Token()
	if err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)}
		if slices.ContainsFunc(out, func(o member) bool { return o.name == m.name }) {
			return nil, fmt.Errorf("%q comes twice", m.name)
		}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// MarshalJSON writes the nested form, in the order of the fields.
func (v Values) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	var open []string // blocks that are open
	first := []bool{true}
	comma := func() {
		if !first[len(first)-1] {
			out.WriteByte(',')
		}
		first[len(first)-1] = false
	}
	out.WriteByte('{')
	for _, f := range fields {
		value, ok := v[f.Path]
		if !ok {
			continue
		}
		parts := strings.Split(f.Path, ".")
		same := 0
		for same < len(open) && same < len(parts)-1 && open[same] == parts[same] {
			same++
		}
		for ; len(open) > same; open, first = open[:len(open)-1], first[:len(first)-1] {
			out.WriteByte('}')
		}
		for _, block := range parts[same : len(parts)-1] {
			comma()
			fmt.Fprintf(&out, "%q:{", block)
			open, first = append(open, block), append(first, true)
		}
		comma()
		text, err := json.Marshal(f.encode(value))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%q:%s", parts[len(parts)-1], text)
	}
	out.WriteString(strings.Repeat("}", len(open)+1))
	return out.Bytes(), nil
}

// MaxDocument bounds a document, in bytes.
const MaxDocument = 1 << 20

// Parse reads a document and refuses whatever it does not know, with the path of the field.
func Parse(raw []byte) (d Document, err error) {
	if len(raw) > MaxDocument {
		return d, Problems{{Key: "policy.bad.long"}}
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	var outer struct {
		Rules []json.RawMessage `json:"rules"`
	}
	dec.DisallowUnknownFields()
	if err := dec.Decode(&outer); err != nil {
		return d, Problems{{Key: "policy.bad.json", Detail: err.Error()}}
	}
	if dec.More() {
		return d, Problems{{Key: "policy.bad.json"}}
	}
	var problems Problems
	for i, raw := range outer.Rules {
		var r Rule
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		err := dec.Decode(&r)
		at := fmt.Sprintf("rules[%d]", i)
		if list, ok := errors.AsType[Problems](err); ok {
			for _, p := range list {
				p.Path = at + ".set." + p.Path
				problems = append(problems, p)
			}
			continue
		}
		if err != nil {
			problems = append(problems, Problem{Path: at, Key: "policy.bad.json", Detail: err.Error()})
			continue
		}
		d.Rules = append(d.Rules, r)
	}
	return d, problems.err()
}

// Filled is a document with what its default rule does not set as it is shipped: one that
// was written before a field existed goes on holding.
func (d Document) Filled() Document {
	if len(d.Rules) == 0 {
		return d
	}
	whole := maps.Clone(shippedDocument().Rules[0].Set)
	maps.Copy(whole, d.Rules[0].Set)
	d.Rules = slices.Clone(d.Rules)
	d.Rules[0].Set = whole
	return d
}

// Format writes a document as people read it.
func (d Document) Format() []byte {
	raw, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // only values that were decoded come here
	}
	return append(raw, '\n')
}

//go:embed default.json
var shipped []byte

// shippedDocument is the shipped document, for whoever only reads it.
var shippedDocument = sync.OnceValue(func() Document { return Default().Document })

// Policy is a document that was checked, ready to be asked. Its own fields are those of the default rule.
type Policy struct {
	Settings
	Version  int64 // 1 is the shipped one
	Document Document

	mu     sync.Mutex
	merged map[string]*Settings // by the rules that hold
}

// Default returns the shipped policy.
func Default() *Policy {
	d, err := Parse(shipped)
	if err != nil {
		panic(err)
	}
	p, err := Compile(d, 1)
	if err != nil {
		panic(err)
	}
	return p
}

// Compile checks a document and makes it ready. What is wrong is a list of [Problem].
func Compile(d Document, version int64) (*Policy, error) {
	p := &Policy{Version: version, Document: d, merged: map[string]*Settings{}}
	if problems := p.shape(); len(problems) > 0 {
		return nil, problems
	}
	p.Settings = *p.merge([]int{0})
	if problems := p.sense(); len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// matching are the rules that hold for somebody.
func (p *Policy) matching(f Facts) (rules []int) {
	for i, r := range p.Document.Rules {
		if r.When.Holds(f) {
			rules = append(rules, i)
		}
	}
	return rules
}

// For returns what holds for somebody. Nobody changes it.
func (p *Policy) For(f Facts) *Settings {
	rules := p.matching(f)
	key := fmt.Sprint(rules)
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.merged[key]
	if !ok {
		s = p.merge(rules)
		p.merged[key] = s
	}
	return s
}

// merge agrees rules. What holds for everybody alike is the default's.
func (p *Policy) merge(rules []int) *Settings {
	s := &Settings{}
	*s = p.Settings
	for _, f := range fields {
		if f.global && len(rules) != 1 {
			continue
		}
		if v, ok := p.value(f, rules); ok {
			f.set(s, v)
		}
	}
	return s
}

func (p *Policy) value(f Field, rules []int) (v any, ok bool) {
	for _, i := range rules {
		set, has := p.Document.Rules[i].Set[f.Path]
		switch {
		case !has:
		case !ok:
			v, ok = set, true
		default:
			v = f.join(v, set)
		}
	}
	return v, ok
}

// Each yields what holds for everybody who can exist, each set of rules once.
func (p *Policy) Each(yield func(*Settings) bool) {
	seen := map[*Settings]bool{}
	for f := range p.everybody {
		if s := p.For(f); !seen[s] {
			seen[s] = true
			if !yield(s) {
				return
			}
		}
	}
}

// Said is what one rule says of a field.
type Said struct {
	Rule  string
	Value string
}

// Explained says why a field has its value for somebody: the rule that decided, and those that it was stricter than. A
// list that several rules fill is decided by all of them.
type Explained struct {
	Path  string
	Merge Op
	Value string
	By    []Said
	Over  []Said
}

// Explain says which rule decided a field for somebody.
func (p *Policy) Explain(path string, f Facts) (Explained, bool) {
	i, ok := byPath[path]
	if !ok {
		return Explained{}, false
	}
	return p.explain(fields[i], p.matching(f)), true
}

func (p *Policy) explain(fd Field, rules []int) Explained {
	v, _ := p.value(fd, rules)
	out := Explained{Path: fd.Path, Merge: fd.Merge, Value: fd.Text(v)}
	for _, i := range rules {
		set, has := p.Document.Rules[i].Set[fd.Path]
		if !has {
			continue
		}
		said := Said{Rule: p.Document.Rules[i].Name, Value: fd.Text(set)}
		if fd.decides(set, v) {
			out.By = append(out.By, said)
		} else {
			out.Over = append(out.Over, said)
		}
	}
	return out
}

// decides says whether a rule's value is, or is a part of, the merged one. A list that names
// nothing decides only that there is nothing.
func (f Field) decides(set, merged any) bool {
	switch f.Merge {
	case Joined, Common:
		return f.Text(set) != "" || f.Text(merged) == ""
	}
	return f.Text(set) == f.Text(merged)
}

// ExplainAll explains every field for somebody, in the order of the document.
func (p *Policy) ExplainAll(f Facts) (out []Explained) {
	rules := p.matching(f)
	for _, fd := range fields {
		out = append(out, p.explain(fd, rules))
	}
	return out
}
