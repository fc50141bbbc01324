package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/idp"
)

// Op is how the values of two rules that hold for the same person agree: the strictest wins.
type Op string

const (
	Largest    Op = "largest"
	Least      Op = "least"     // 0 is the strictest: off, or at once
	LeastSet   Op = "least_set" // the smallest that is not 0: 0 sets no bound
	Or         Op = "or"        // a demand of one rule holds
	And        Op = "and"       // a permission holds where every rule gives it
	Joined     Op = "joined"    // lists that forbid or demand: all of both
	Common     Op = "common"    // lists that permit: what both permit; an empty one permits all
	Strictest  Op = "strictest" // of words in the order of the field's list
	DefaultOne Op = "default"   // set by the default rule alone
)

// A Field is one knob of the document.
type Field struct {
	Path   string // "password.min_length"
	Merge  Op
	Min    any // int64 or time.Duration, nil: none
	Max    any
	Words  []string // of text or a list: only these
	Type   reflect.Type
	global bool
	index  []int
}

// Fields lists every knob in the order of the document.
func Fields() []Field { return slices.Clone(fields) }

var (
	fields = walk(reflect.TypeFor[Settings](), "", nil, false)
	byPath = func() map[string]int {
		at := make(map[string]int, len(fields))
		for i, f := range fields {
			at[f.Path] = i
		}
		return at
	}()
	durationType = reflect.TypeFor[time.Duration]()
	acrType      = reflect.TypeFor[idp.ACR]()
	versionType  = reflect.TypeFor[Version]()
)

func walk(t reflect.Type, prefix string, index []int, global bool) (out []Field) {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(slices.Clone(index), i)
		name := sf.Tag.Get("json")
		switch {
		case sf.Anonymous:
			out = append(out, walk(sf.Type, prefix, at, true)...)
		case sf.Type.Kind() == reflect.Struct:
			out = append(out, walk(sf.Type, prefix+name+".", at, global)...)
		default:
			out = append(out, fieldOf(sf, prefix+name, at, global))
		}
	}
	return out
}

// fieldOf reads the tags of a field; a wrong one stops the program at its first start.
func fieldOf(sf reflect.StructField, path string, index []int, global bool) Field {
	f := Field{Path: path, Merge: Op(sf.Tag.Get("merge")), Type: sf.Type, index: index, global: global}
	if global {
		f.Merge = DefaultOne
	}
	if words := sf.Tag.Get("oneof"); words != "" {
		f.Words = strings.Split(words, ",")
	}
	if from, to, ok := strings.Cut(sf.Tag.Get("range"), ".."); ok {
		var err1, err2 error
		f.Min, err1 = parseBound(sf.Type, from)
		f.Max, err2 = parseBound(sf.Type, to)
		if err := errors.Join(err1, err2); err != nil {
			panic(path + ": " + err.Error())
		}
	}
	if f.Merge == "" || path == "" {
		panic("policy: the field " + sf.Name + " lacks a tag")
	}
	return f
}

func parseBound(t reflect.Type, s string) (any, error) {
	if t == durationType {
		return ParseDuration(s)
	}
	return strconv.ParseInt(s, 10, 64)
}

// decode reads the JSON value of a field.
func (f Field) decode(raw json.RawMessage) (any, *Problem) {
	wrong := func(key string, args ...any) (any, *Problem) {
		return nil, &Problem{Path: f.Path, Key: key, Args: args}
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return wrong("policy.bad.json")
	}
	switch f.Type {
	case durationType:
		s, ok := v.(string)
		if !ok {
			return wrong("policy.bad.duration")
		}
		d, err := ParseDuration(s)
		if err != nil {
			return wrong("policy.bad.duration")
		}
		return f.bounded(d)
	case acrType:
		s, _ := v.(string)
		a, ok := idp.ParseACR(s)
		if !ok {
			return wrong("policy.bad.acr")
		}
		return a, nil
	case versionType:
		s, ok := v.(string)
		if version, valid := ParseVersion(s); ok && valid {
			return version, nil
		}
		return wrong("policy.bad.version")
	}
	switch f.Type.Kind() {
	case reflect.Bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return wrong("policy.bad.bool")
	case reflect.Int:
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) || math.Abs(n) > 1<<40 {
			return wrong("policy.bad.number")
		}
		return f.bounded(int(n))
	case reflect.String:
		s, ok := v.(string)
		if !ok || !slices.Contains(f.Words, s) {
			return wrong("policy.bad.word", strings.Join(f.Words, ", "))
		}
		return s, nil
	}
	return f.decodeList(v)
}

func (f Field) decodeList(v any) (any, *Problem) {
	list, ok := v.([]any)
	if !ok || len(list) > 10_000 {
		return nil, &Problem{Path: f.Path, Key: "policy.bad.list"}
	}
	if f.Type.Elem().Kind() == reflect.Int {
		out := []int{}
		for _, item := range list {
			n, ok := item.(float64)
			if !ok || n != math.Trunc(n) || n < 0 || n > 10_000 {
				return nil, &Problem{Path: f.Path, Key: "policy.bad.list"}
			}
			out = append(out, int(n))
		}
		return out, nil
	}
	out := []string{}
	for _, item := range list {
		s, ok := item.(string)
		switch {
		case !ok || s == "" || len(s) > 200:
			return nil, &Problem{Path: f.Path, Key: "policy.bad.list"}
		case len(f.Words) > 0 && !slices.Contains(f.Words, s):
			return nil, &Problem{Path: f.Path, Key: "policy.bad.word", Args: []any{strings.Join(f.Words, ", ")}}
		case !slices.Contains(out, s):
			out = append(out, s)
		}
	}
	return out, nil
}

// bounded refuses what is outside a field's range.
func (f Field) bounded(v any) (any, *Problem) {
	if f.Min != nil {
		n := reflect.ValueOf(v).Int()
		if n < reflect.ValueOf(f.Min).Int() || n > reflect.ValueOf(f.Max).Int() {
			return nil, &Problem{Path: f.Path, Key: "policy.bad.range", Args: []any{f.Text(f.Min), f.Text(f.Max)}}
		}
	}
	return v, nil
}

// encode is the value of a field as the document writes it.
func (f Field) encode(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return FormatDuration(v)
	case idp.ACR:
		return v.String()
	case Version:
		return string(v)
	}
	return v
}

// Text is a value of a field as people read it in a document.
func (f Field) Text(v any) string {
	switch v := f.encode(v).(type) {
	case []string:
		return strings.Join(v, ", ")
	case []int:
		var out []string
		for _, n := range v {
			out = append(out, strconv.Itoa(n))
		}
		return strings.Join(out, ", ")
	default:
		return fmt.Sprint(v)
	}
}

func (f Field) get(s *Settings) any {
	return reflect.ValueOf(s).Elem().FieldByIndex(f.index).Interface()
}

func (f Field) set(s *Settings, v any) {
	reflect.ValueOf(s).Elem().FieldByIndex(f.index).Set(reflect.ValueOf(v))
}

// join agrees the values of two rules; the strictest wins.
func (f Field) join(a, b any) any {
	switch f.Merge {
	case Or:
		return a.(bool) || b.(bool)
	case And:
		return a.(bool) && b.(bool)
	case Joined:
		return union(a, b)
	case Common:
		return common(a.([]string), b.([]string))
	case Strictest:
		if slices.Index(f.Words, a.(string)) > slices.Index(f.Words, b.(string)) {
			return a
		}
		return b
	}
	if v, ok := a.(Version); ok {
		return newer(v, b.(Version))
	}
	x, y := reflect.ValueOf(a).Int(), reflect.ValueOf(b).Int()
	switch {
	case f.Merge == LeastSet && (x == 0 || y == 0):
		if x == 0 {
			return b
		}
		return a
	case (f.Merge == Largest) == (x > y):
		return a
	}
	return b
}

func union(a, b any) any {
	if x, ok := a.([]int); ok {
		all := append(slices.Clone(x), b.([]int)...)
		slices.SortFunc(all, func(p, q int) int { return cmp.Compare(q, p) })
		return slices.Compact(all)
	}
	all := append(slices.Clone(a.([]string)), b.([]string)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// nothing is a list that permits nothing: two rules permit, and have nothing in common.
var nothing = []string{"-"}

func common(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	both := slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
	if len(both) == 0 {
		return nothing
	}
	return both
}

// compare says whether b is stricter (1), as strict (0) or less strict (-1) than a.
func (f Field) compare(a, b any) int {
	if reflect.DeepEqual(a, b) {
		return 0
	}
	if f.Merge == DefaultOne {
		return 0
	}
	if reflect.DeepEqual(f.join(a, b), b) {
		return 1
	}
	return -1
}

var units = []struct {
	name string
	d    time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}}

// FormatDuration writes a duration in whole units, the largest first: "7d", "1h30m".
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var out strings.Builder
	for _, u := range units {
		if n := d / u.d; n > 0 {
			fmt.Fprintf(&out, "%d%s", n, u.name)
			d -= n * u.d
		}
	}
	return out.String()
}

// ParseDuration reads what [FormatDuration] writes.
func ParseDuration(s string) (time.Duration, error) {
	bad := errors.New("not a duration such as 90s, 15m, 8h or 30d")
	var total time.Duration
	for rest := s; rest != ""; {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 || i > 9 {
			return 0, bad
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		if err != nil {
			return 0, bad
		}
		rest = rest[i:]
		end := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' })
		if end < 0 {
			end = len(rest)
		}
		u := slices.IndexFunc(units, func(u struct {
			name string
			d    time.Duration
		}) bool {
			return u.name == rest[:end]
		})
		if u < 0 || n > int64(math.MaxInt64/units[u].d/2) {
			return 0, bad
		}
		total += time.Duration(n) * units[u].d
		if total < 0 {
			return 0, bad
		}
		rest = rest[end:]
	}
	if s == "" {
		return 0, bad
	}
	return total, nil
}
