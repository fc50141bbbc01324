package policy

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hufu/idp"
)

var update = flag.Bool("update", false, "write docs/policy.md")

const reference = "../../docs/policy.md"

// TestPolicyReference holds docs/policy.md to the tags. After a change:
//
//	go test ./idp/policy -run TestPolicyReference -update
func TestPolicyReference(t *testing.T) {
	was, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- fields: written by the test of idp/policy, from the tags of Settings and default.json -->\n", "<!-- end of fields -->\n"
	before, rest, ok := bytes.Cut(was, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s lacks its two marks", reference)
	}
	now := slices.Concat(before, []byte(begin), []byte(fieldsTable()), []byte(end), after)
	if *update {
		if err := os.WriteFile(reference, now, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(was, now) {
		t.Errorf("%s is not what the tags of Settings say; run: go test ./idp/policy -run TestPolicyReference -update", reference)
	}
	for _, e := range EffectNames {
		if !bytes.Contains(was, []byte("`"+e.Name+"`")) {
			t.Errorf("%s does not say what %s means", reference, e.Name)
		}
	}
}

func fieldsTable() string {
	var b strings.Builder
	b.WriteString("\n| path | default | merge | range |\n| --- | --- | --- | --- |\n")
	p := Default()
	for _, f := range Fields() {
		value := f.Text(f.get(&p.Settings))
		if value == "" {
			value = "–"
		} else {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Path, value, f.Merge, f.span())
	}
	b.WriteString("\n")
	return b.String()
}

// span is what a field may hold.
func (f Field) span() string {
	switch {
	case f.Min != nil:
		return f.Text(f.Min) + " to " + f.Text(f.Max)
	case len(f.Words) > 0:
		return strings.Join(f.Words, ", ")
	case f.Type == acrType:
		return strings.Join([]string{idp.ACR1.String(), idp.ACR2.String(), idp.ACRPhr.String(), idp.ACRPhrh.String()}, ", ")
	case f.Type == versionType:
		return "version, or empty"
	case f.Type.Kind() == reflect.Bool:
		return "yes or no"
	case f.Type.Elem().Kind() == reflect.Int:
		return "list of numbers"
	}
	return "list of texts"
}
