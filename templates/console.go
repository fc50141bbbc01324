package templates

import "time"

// Pages of the console. What is drawn alike has one page: lists, forms (also the question before an act), and things
// with their facts, lists and events. Texts that carry data are translated by who fills them; Key fields are catalogue keys.

// ConsoleDashboard is the first page: what waits for this person, and plain counts.
type ConsoleDashboard struct {
	Desk
	Saved string
	At    time.Time // when it was counted; zero shows no numbers
	Todo  []ConsoleTodo
	Stats []ConsoleStat
	Pairs []ChartPair
	Doors []Way
}

// ChartPair stands side by side where there is room: a chart, and what belongs beside it. What is nil is not drawn.
type ChartPair struct {
	Chart  *Chart
	Shares *Shares
	Table  *Block
	Second *Chart
}

// ConsoleTodo is one thing that waits.
type ConsoleTodo struct{ Text, Small, URL string }

// ConsoleStat is one headline number. Small says what it means.
type ConsoleStat struct {
	Key   string
	N     int64
	Small string
}

// ConsoleList is a list that is read by key.
type ConsoleList struct {
	Desk
	Title   string // catalogue key
	Saved   string
	Crumbs  []Crumb
	NewURL  string
	NewKey  string
	Export  string    // address of the list as a file; "" offers none
	Acts    []ActLink // beside the new one
	Action  string    // of the filters; "" shows none
	Post    bool      // the filters hold what must be in no URL
	Filters []Input
	Table   Table
	Pager   Pager
	None    Empty // shown if the table has no rows
}

// ConsoleForm asks for input, or for the reason of an act.
type ConsoleForm struct {
	Desk
	Form
	Title  string // translated
	Lead   string // translated; what will happen
	Crumbs []Crumb
	Note   *Note
	Facts  []Fact
	Long   bool // the facts are sentences: on a phone each stands below its name
	Inputs []Input
	Action string
	// Confirm leads to a page that asks for a proof, in a tab of its own, so that what was typed stays. "" : not needed
	Confirm string
	Submit  string // catalogue key: the button says what happens
	Danger  bool
	Also    []Submit     // further buttons beside Submit
	Diffs   []PolicyDiff // what to look at before deciding
	Cancel  string       // URL
	Help    string       // topic of help; "" for none
}

// Submit is a further button of a form: it sends what was typed like the main one, and its name.
type Submit struct{ Name, Text string }

// ConsoleObject is one thing: its state and why, what is done with it, its facts, lists and events.
type ConsoleObject struct {
	Desk
	Saved     string
	Crumbs    []Crumb
	Title     string
	Mono      bool // the title is a number or an id
	State     string
	Pills     []string // translated
	Notes     []Note
	Acts      []ActLink
	Blocks    []Block
	FactsKey  string
	Facts     []Fact
	Events    []EventRow
	EventsURL string // "" shows no events
}

// ConsoleSecret shows a secret once.
type ConsoleSecret struct {
	Desk
	Crumbs   []Crumb
	ClientID string
	Secret   string
	Next     string
}

// ConsoleCode shows once the code with which somebody of the shop comes in again.
type ConsoleCode struct {
	Desk
	Crumbs  []Crumb
	Name    string
	Code    string // "1234 5678"
	Minutes int
	Shown   bool // on a terminal of his store, too
	Next    string
}

// ActLink leads to the page that asks before an act.
type ActLink struct {
	Key, URL string
	Danger   bool
}

// Block is a titled list on a page of a thing.
type Block struct {
	ID, Key      string
	Link, LinkAs string // URL and catalogue key
	Table        Table
	More         string // address of the whole list; "" when there is none
	None         string // catalogue key: said if the table has no rows
}

// Table folds to cards on a phone. Columns are catalogue keys.
type Table struct {
	Caption string // catalogue key
	Columns []string
	Rows    [][]Cell
}

// Cell is one value; the first of a row names it. Exactly one of Text, Key, State, Time says it.
type Cell struct {
	Text  string
	Key   string
	State string
	Time  time.Time
	Clock bool // Time, also "not yet" if it is zero
	Small string
	URL   string
	Mono  bool
	Lang  string // of Text, if it is not the page's
}

// Fact is one line of a thing's facts.
type Fact struct {
	Key   string
	Lines []Cell
}

// Input is one field of a form or a filter.
type Input struct {
	Name, Label, Hint string // Label and Hint are catalogue keys
	HintText          string // translated, in place of Hint
	Kind              string // "", select, area, code, reason, checks, tick, hidden
	Type, Mode        string // of an input: tel, email; inputmode
	Value             string
	Options           []Option
	Optional          bool
	Most              int
}

type inputField struct {
	field
	In Input
}

// Input joins a field with its place in the form's errors.
func (p page) Input(in Input) inputField {
	if in.Kind == "hidden" {
		return inputField{field{Frame: p.Frame, Name: in.Name, Value: in.Value}, in}
	}
	hint := in.HintText
	if in.Hint != "" {
		hint = p.T(in.Hint)
	}
	label := p.T(in.Label)
	if _, form := p.Page.(ConsoleForm); form && in.Optional { // a filter is never needed
		label = p.T("console.optional", label)
	}
	f := p.FieldText(in.Name, label, hint).Fill(in.Value)
	f.Options = in.Options
	return inputField{f, in}
}

// Most bounds what a field takes; the server checks again.
func (f inputField) Most() int {
	switch {
	case f.In.Most > 0:
		return f.In.Most
	case f.In.Kind == "reason":
		return 300
	case f.In.Kind == "code":
		return 1 << 20
	case f.In.Kind == "area":
		return 8000
	}
	return 254
}

// InputType is the type of the input element.
func (f inputField) InputType() string {
	if f.In.Type == "" {
		return "text"
	}
	return f.In.Type
}

// Heads pairs the cells of a row with their columns.
func (t Table) Heads(row []Cell) []headed {
	var out []headed
	for i, c := range row {
		if i < len(t.Columns) {
			out = append(out, headed{c, t.Columns[i], i == 0})
		}
	}
	return out
}

type headed struct {
	Cell
	Column string
	First  bool
}

func (ConsoleDashboard) Page() string { return "console-dashboard" }
func (ConsoleList) Page() string      { return "console-list" }
func (ConsoleForm) Page() string      { return "console-form" }
func (ConsoleObject) Page() string    { return "console-object" }
func (ConsoleSecret) Page() string    { return "console-secret" }
func (ConsoleCode) Page() string      { return "console-code" }
