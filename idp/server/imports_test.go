package server_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms reads the table of docs/architecture.md: package → ours, third party.
func rooms(t *testing.T) map[string][2][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][2][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || strings.Contains(line, "---") || strings.Contains(line, "may import") {
			continue
		}
		var row [2][]string
		for i := range row {
			for _, name := range strings.Split(cells[i+2], ",") {
				if name = strings.TrimSpace(name); name != "–" {
					row[i] = append(row[i], name)
				}
			}
		}
		table[strings.TrimSpace(cells[1])] = row
	}
	return table
}

// Nobody imports what the picture of the house does not show.
func TestImportsAreThoseOfThePicture(t *testing.T) {
	table := rooms(t)
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "hufu/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], "hufu/")
		if strings.HasPrefix(name, ".") {
			continue
		}
		row, ok := table[name]
		if !ok {
			t.Errorf("package %s is not in the table of docs/architecture.md", name)
			continue
		}
		seen++
		for _, imp := range words[1:] {
			if ours, ok := strings.CutPrefix(imp, "hufu/"); ok {
				if !slices.Contains(row[0], ours) {
					t.Errorf("%s imports %s: the table of docs/architecture.md does not allow it. Move the code, or change the picture with its reason", name, ours)
				}
				continue
			}
			if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") && !slices.ContainsFunc(row[1], func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }) {
				t.Errorf("%s imports %s: this library belongs to another room, or to none yet", name, imp)
			}
		}
	}
	if seen != len(table) {
		t.Errorf("the table has %d packages, the project %d", len(table), seen)
	}
}

var (
	heldRow  = regexp.MustCompile(`(?m)^\| (I?\d+) \|.*\|(.*)\|$`)
	testName = regexp.MustCompile("`(Test\\w+)`")
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// Every lesson and every invariant of recovery names tests that hold it, and they are there.
func TestRecoveryNamesItsTests(t *testing.T) {
	there := map[string]bool{}
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	}))
	text, err := os.ReadFile("../../docs/recovery.md")
	must(t, err)
	_, text, _ = bytes.Cut(text, []byte("### What went wrong elsewhere"))
	missing := strings.Fields("1 2 5 9 10 16 17 18 19 20")
	for i := range 23 {
		missing = append(missing, fmt.Sprintf("I%d", i+1))
	}
	for _, row := range heldRow.FindAllSubmatch(text, -1) {
		names := testName.FindAllSubmatch(row[2], -1)
		for _, m := range names {
			if !there[string(m[1])] {
				t.Errorf("%s is held by %s, which is no test", row[1], m[1])
			}
		}
		if len(names) > 0 {
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == string(row[1]) })
		}
	}
	if len(missing) > 0 {
		t.Errorf("nothing holds %v", missing)
	}
}
