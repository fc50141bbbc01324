package server_test

import (
	"os"
	"os/exec"
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
