package policy

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

const recoveryDoc = "../../docs/recovery.md"

// TestRecoveryReference holds the tables of docs/recovery.md to the rows that decide. After a
// change:
//
//	go test ./idp/policy -run TestRecoveryReference -update
func TestRecoveryReference(t *testing.T) {
	was, err := os.ReadFile(recoveryDoc)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- rows: written by the test of idp/policy, from the table that decides -->\n", "<!-- end of rows -->\n"
	before, rest, ok := bytes.Cut(was, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s lacks its two marks", recoveryDoc)
	}
	now := slices.Concat(before, []byte(begin), []byte(recoveryTables()), []byte(end), after)
	if *update {
		if err := os.WriteFile(recoveryDoc, now, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(was, now) {
		t.Errorf("%s is not what the table says; run: go test ./idp/policy -run TestRecoveryReference -update", recoveryDoc)
	}
}

func recoveryTables() string {
	var b strings.Builder
	b.WriteString("\n| row | lost | shown | level 0 | level 1 | level 2 | replaced |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range slices.Concat(recoveryRows, peopleRows) {
		replaced := "what is lost"
		if r.passwordOnly {
			replaced = "the password"
		}
		if r.voids {
			replaced += "; the kit ends"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", r.no, r.lost, r.shown, cell(r, 0), cell(r, 1), cell(r, 2), replaced)
	}
	b.WriteString("\n| wait | level 0 | level 1 | level 2 | withheld after an immediate one |\n| --- | --- | --- | --- | --- |\n")
	for _, tier := range idp.Tiers {
		r := Default().For(Facts{Role: idp.RoleOwner, Tier: tier}).Recovery
		high := hours(r.High)
		if r.HighCase {
			high = "case"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", tier, hours(r.Usual), hours(r.Raised), high, hours(r.Usual))
	}
	b.WriteString("\n")
	return b.String()
}

func hours(d time.Duration) string { return fmt.Sprintf("%g h", d.Hours()) }

func cell(r recoveryRow, level int) string {
	v := r.levels[level]
	says := map[How]string{Immediate: "at once", Delayed: "wait", ByPeople: "case"}[v.how]
	switch v.wait {
	case "half":
		says += ", half as long, 12 h at least"
	case "higher":
		says += " of one level more"
	}
	if v.withheld != "" {
		says += ", " + string(v.withheld)
	}
	if r.no == 10 && level == 0 {
		says += " (w2 where the pair rests on a terminal)"
	}
	return says
}
