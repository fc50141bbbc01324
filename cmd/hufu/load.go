package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"hufu/idp/server"
)

// configFlags holds one flag for each configuration key that may come by flag: kong fills a struct made at start.
type configFlags struct {
	target any // pointer to a struct of pointers; nil means not given
	fields []server.Field
}

func newConfigFlags() configFlags {
	var f configFlags
	var members []reflect.StructField
	for _, field := range server.Fields() {
		if field.Flag == "" {
			continue
		}
		kind, value := reflect.TypeFor[*string](), strings.ToUpper(field.Type)
		if field.Type == "true or false" {
			kind, value = reflect.TypeFor[*bool](), ""
		}
		tag := fmt.Sprintf(`name:%q help:%q placeholder:%q group:"Configuration:"`, field.Flag, field.Help, value)
		members = append(members, reflect.StructField{Name: fmt.Sprint("Flag", len(members)), Type: kind, Tag: reflect.StructTag(tag)})
		f.fields = append(f.fields, field)
	}
	f.target = reflect.New(reflect.StructOf(members)).Interface()
	return f
}

// values are the flags given, by key.
func (f configFlags) values() map[string]string {
	given := map[string]string{}
	for i, field := range f.fields {
		if v := reflect.ValueOf(f.target).Elem().Field(i); !v.IsNil() {
			given[field.Path] = fmt.Sprint(v.Elem().Interface())
		}
	}
	return given
}

// loader merges the layers of configuration: file, then environment, then flags.
type loader struct {
	layers   *koanf.Koanf
	from     map[string]string // key → where its value came from
	fields   []server.Field
	problems server.Problems
}

// loadConfig returns a configuration that can be used, or everything that is wrong with it.
func loadConfig(fileName string, environ []string, flags map[string]string) (server.Config, error) {
	l := &loader{layers: koanf.New("."), from: map[string]string{}, fields: server.Fields()}
	if fileName != "" {
		if err := l.readFile(fileName); err != nil {
			return server.Config{}, err
		}
	}
	l.readEnviron(environ)
	for _, f := range l.fields {
		if text, given := flags[f.Path]; given {
			l.set(f, text, "--"+f.Flag)
		}
	}
	// Some defaults depend on two of the keys, so those are read first.
	first, _ := l.apply(server.Defaults("data", false))
	c, problems := l.apply(server.Defaults(first.DataDir, first.Demo))
	l.problems = append(l.problems, problems...)
	l.problems = append(l.problems, c.Validate()...)
	for i, p := range l.problems {
		if p.From == "" {
			l.problems[i].From = l.from[p.Field]
		}
	}
	if len(l.problems) > 0 {
		return server.Config{}, l.problems
	}
	return c, nil
}

func (l *loader) set(f server.Field, text, from string) {
	if err := l.layers.Set(f.Path, text); err != nil {
		l.problems = append(l.problems, server.Problem{Field: f.Path, From: from, Want: "a place of its own in the configuration"})
	}
	l.from[f.Path] = from
}

func (l *loader) apply(c server.Config) (server.Config, server.Problems) {
	var problems server.Problems
	for _, f := range l.fields {
		if !l.layers.Exists(f.Path) {
			continue
		}
		text, ok := textOf(l.layers.Get(f.Path))
		if !ok {
			problems = append(problems, server.Problem{Field: f.Path, Want: f.Type})
		} else if problem := f.Set(&c, text); problem != nil {
			problems = append(problems, *problem)
		}
	}
	return c, problems
}

func (l *loader) readFile(name string) error {
	if err := l.layers.Load(file.Provider(name), yaml.Parser()); err != nil {
		if strings.Contains(err.Error(), "unmarshal") { // the parser's text would quote the file, which may hold a password
			return fmt.Errorf("configuration file %s: expected keys and values in YAML", name)
		}
		return fmt.Errorf("configuration file %s: %w", name, err)
	}
	from := "file " + name
	byPath := map[string]server.Field{}
	var known []string
	for _, f := range l.fields {
		if f.Flag == "" {
			continue
		}
		byPath[f.Path], known = f, append(known, f.Path)
	}
	for _, key := range l.layers.Keys() {
		isSection := slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, key+".") })
		if _, ok := byPath[key]; ok {
			l.from[key] = from
		} else if isSection && l.layers.Get(key) != nil {
			l.problems = append(l.problems, server.Problem{Field: key, From: from, Want: "a section with keys of its own"})
		} else if !isSection {
			l.unknown(key, from, nearest(key, known))
		}
	}
	return nil
}

func (l *loader) readEnviron(environ []string) {
	byEnv := map[string]server.Field{}
	known := []string{"HUFU_CONFIG"}
	for _, f := range l.fields {
		byEnv[f.Env], known = f, append(known, f.Env)
	}
	slices.Sort(environ)
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "HUFU_") || strings.HasPrefix(name, "HUFU_TEST_") || name == "HUFU_CONFIG" {
			continue
		}
		if f, ok := byEnv[name]; ok {
			l.set(f, text, name)
		} else {
			l.unknown(name, "the environment", nearest(name, known))
		}
	}
}

func (l *loader) unknown(name, from, near string) {
	l.problems = append(l.problems, server.Problem{Field: name, From: from, Want: "a known key; the nearest is " + near})
}

// textOf writes a value from the file as text: a scalar, or a list of scalars with commas between.
func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, int, int64, uint64:
		return fmt.Sprint(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			text, ok := textOf(part)
			if _, isList := part.([]any); !ok || isList {
				return "", false
			}
			parts[i] = text
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

// nearest is the known name with the fewest letters to change.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is Levenshtein's, over bytes: keys are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
