package templates

import "strconv"

// Problem is a page for a request that ended in an error. Title and Text are catalogue keys; "" takes the words for the
// status. It never says more than its catalogue text: what went wrong inside goes to the log with the request id.
type Problem struct {
	Status          int
	Title, Text     string
	Args            []any // of Text
	RequestID       string
	Explain         string
	WayURL, WayText string // the way out; WayText is a catalogue key, "" says "to the start"
}

func (Problem) Page() string { return "problem" }

// statuses with words of their own; others use those of 4xx and 5xx alike.
var statuses = map[int]bool{400: true, 403: true, 404: true, 405: true, 409: true, 410: true, 413: true, 422: true, 429: true, 500: true, 503: true}

func (p Problem) words(suffix string) string {
	if statuses[p.Status] {
		return "problem." + strconv.Itoa(p.Status) + suffix
	}
	return "problem.500" + suffix
}

// TitleKey is the key of the heading.
func (p Problem) TitleKey() string {
	if p.Title != "" {
		return p.Title
	}
	return p.words(".title")
}

// TextKey is the key of the sentence below it.
func (p Problem) TextKey() string {
	if p.Text != "" {
		return p.Text
	}
	return p.words(".text")
}
