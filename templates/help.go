package templates

import (
	"slices"
	"strconv"
)

// Pages of help: short, and the same for everybody. All their words stand in the locales under help.<topic>: title, lead,
// and for each part its heading and its sentences.

// Help is the list of topics.
type Help struct{}

// HelpTopic is the page of one of them.
type HelpTopic struct{ Topic string }

// A helpTopic is how a page is built.
type helpTopic struct {
	Name, Icon string
	Parts      []helpPart
	Links      []helpLink // where to do it
	More       []string   // other topics
}

// A helpPart is a heading and so many sentences: what to do in this order, or points.
type helpPart struct {
	Name  string
	Lines int
	Steps bool
}

// A helpLink leads to a page of ours; its words are help.do.<Key>.
type helpLink struct{ URL, Icon, Key string }

var (
	toSignIn   = helpLink{"/sign-in", "key", "sign-in"}
	toFreeze   = helpLink{"/account/freeze", "freeze", "freeze"}
	toFactors  = helpLink{"/account/factors", "shield", "factors"}
	toContacts = helpLink{"/account/contacts", "phone", "contacts"}
	toDevices  = helpLink{"/account/devices", "exit", "devices"}
	toCodes    = helpLink{"/account/factors#codes-h", "paper", "codes"}
	toShop     = helpLink{"/console", "terminal", "shop"}
	toCall     = helpLink{"/account/call", "phone", "call"}
	toKit      = helpLink{"/kit", "paper", "kit"}
)

var helpTopics = []helpTopic{
	{"lost-phone", "phone", []helpPart{{"now", 4, true}, {"after", 2, false}}, []helpLink{toSignIn, toFreeze}, []string{"codes", "support"}},
	{"stolen-terminal", "terminal", []helpPart{{"now", 4, true}, {"safe", 2, false}}, []helpLink{toShop}, []string{"support"}},
	{"support", "lock", []helpPart{{"never", 4, false}, {"check", 3, true}}, []helpLink{toCall}, []string{"stolen-terminal", "lost-phone"}},
	{"second-factor", "shield", []helpPart{{"why", 2, false}, {"kinds", 3, false}, {"do", 2, true}}, []helpLink{toFactors}, []string{"codes", "new-phone"}},
	{"codes", "paper", []helpPart{{"keep", 4, false}, {"use", 3, true}}, []helpLink{toCodes, toKit}, []string{"lost-phone"}},
	{"new-phone", "app", []helpPart{{"before", 3, true}, {"after", 2, true}}, []helpLink{toFactors, toDevices}, []string{"codes", "lost-phone"}},
	{"recycled-number", "mail", []helpPart{{"why", 2, false}, {"do", 3, false}}, []helpLink{toContacts}, []string{"new-phone"}},
}

// HelpTopics are the names of all topics, as in /help/{topic}: what is urgent comes first.
func HelpTopics() (names []string) {
	for _, t := range helpTopics {
		names = append(names, t.Name)
	}
	return names
}

// Topics lists them for the index.
func (Help) Topics() []helpTopic { return helpTopics }

func (h HelpTopic) find() helpTopic {
	i := slices.IndexFunc(helpTopics, func(t helpTopic) bool { return t.Name == h.Topic })
	if i < 0 {
		return helpTopic{Name: h.Topic}
	}
	return helpTopics[i]
}

// Parts, Links and More are what the page is built of.
func (h HelpTopic) Parts() []helpPart { return h.find().Parts }
func (h HelpTopic) Links() []helpLink { return h.find().Links }
func (h HelpTopic) More() []string    { return h.find().More }

// Key is a key of the topic: help.<topic>.<name>.
func (h HelpTopic) Key(name string) string { return "help." + h.Topic + "." + name }

// Keys are those of a part's sentences.
func (h HelpTopic) Keys(p helpPart) (keys []string) {
	for i := range p.Lines {
		keys = append(keys, h.Key(p.Name+"."+strconv.Itoa(i+1)))
	}
	return keys
}

func (Help) Page() string      { return "help" }
func (HelpTopic) Page() string { return "help-topic" }
