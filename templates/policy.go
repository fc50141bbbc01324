package templates

import (
	"fmt"
	"strings"
)

// Pages of the policy: an edition, what holds for whom, and what a draft would do. Texts that carry data are translated by
// who fills them; Key fields are catalogue keys.

// PolicyDiff is what is different between two documents, in words.
type PolicyDiff struct {
	ID    string
	Title string // translated
	Note  string // translated; why it is shown
	Sides string // translated; of the column: "v17 → v18"
	Rows  []PolicyChange
}

// PolicyChange is one difference. Old and New are in words; "" says nothing.
type PolicyChange struct {
	Name, Path string // of the field, or the rule as a whole
	Rule       string
	Old, New   string
	Effect     string // policy.change.<effect>
}

// Tone is the colour of an effect.
func (c PolicyChange) Tone() string {
	return map[string]string{"stricter": "warn", "looser": "info"}[c.Effect]
}

// PolicyEdition is the page of one edition.
type PolicyEdition struct {
	Desk
	Saved    string
	Crumbs   []Crumb
	Title    string
	State    string
	Pills    []string
	Notes    []Note
	Acts     []ActLink
	Facts    []Fact
	Action   string // of the choice of a version to compare with
	From     Input
	Diff     PolicyDiff
	Runs     Block
	Document string
	Events   []EventRow
}

// PolicyEffective is what holds for somebody, block by block.
type PolicyEffective struct {
	Desk
	Crumbs  []Crumb
	Title   string
	Lead    string
	Facts   []Fact // about whom, if that is not in the filters
	Action  string
	Filters []Input
	Blocks  []Table // Caption is the heading
}

// PolicySimulation is the page of a run, while it works and after.
type PolicySimulation struct {
	Desk
	Saved   string
	Crumbs  []Crumb
	Title   string
	State   string
	Running bool
	Done    int64
	Total   int64
	Words   string // translated; how far it has come
	Stop    string // action; "" offers none
	Says    string // translated; what it means in one sentence
	Notes   []Note
	Acts    []ActLink
	Facts   []Fact
	Stats   []ConsoleStat
	Bars    []PolicyBar
	Split   PolicySplit
}

// Most is the end of the progress bar, which needs one.
func (s PolicySimulation) Most() int64 { return max(s.Total, s.Done, 1) }

// PolicyBar is how many people an effect touches. URL leads to who they are.
type PolicyBar struct {
	Key string
	N   int64
	URL string
}

// PolicySplit counts effects by groups of people. Columns are catalogue keys.
type PolicySplit struct {
	Columns []string
	Rows    []PolicyGroup
}

// PolicyGroup is one row of a split. Name is translated.
type PolicyGroup struct {
	Name   string
	Counts []int64
}

// A plotted bar is drawn in percent of the picture, so that its words never scale.
type plotted struct {
	PolicyBar
	Y, Mid, Height string
	Width, End     string
}

// Plot places the bars one below the other.
func (s PolicySimulation) Plot() (all []plotted) {
	most := int64(1)
	for _, b := range s.Bars {
		most = max(most, b.N)
	}
	percent := func(f float64) string { return fmt.Sprintf("%.1f%%", f) }
	row := 100 / float64(max(len(s.Bars), 1))
	for i, b := range s.Bars {
		top, width := float64(i)*row, float64(b.N)/float64(most)*38
		all = append(all, plotted{b, percent(top + row*.2), percent(top + row*.5), percent(row * .6), percent(max(width, .5)), percent(46 + max(width, .5) + 1.5)})
	}
	return all
}

// Count prints a number with its thousands apart: 12,480.
func (f Frame) Count(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var groups []string
	for ; len(s) > 3; s = s[:len(s)-3] {
		groups = append([]string{s[len(s)-3:]}, groups...)
	}
	return sign + strings.Join(append([]string{s}, groups...), ",")
}

func (PolicyEdition) Page() string    { return "policy-edition" }
func (PolicyEffective) Page() string  { return "policy-effective" }
func (PolicySimulation) Page() string { return "policy-simulation" }
