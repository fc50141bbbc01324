package templates

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

func helpSamples() []sample {
	all := []sample{{"help", Help{}}}
	for _, topic := range HelpTopics() {
		all = append(all, sample{"help-" + topic, HelpTopic{Topic: topic}})
	}
	return all
}

// Every topic has its words in every language, steps or points in every part, and leads on
// to others; no word of help is one that no page shows.
func TestEveryHelpTopicIsThere(t *testing.T) {
	for _, l := range Languages() {
		used := map[string]bool{"help.title": true, "help.lead": true, "help.more": true, "help.all": true}
		for _, name := range HelpTopics() {
			page := HelpTopic{Topic: name}
			for _, key := range []string{"title", "small", "lead"} {
				used[page.Key(key)] = true
			}
			if len(page.Parts()) < 2 || len(page.More()) == 0 {
				t.Errorf("%s has %d parts and %d links to others", name, len(page.Parts()), len(page.More()))
			}
			for _, p := range page.Parts() {
				used[page.Key(p.Name)] = true
				for _, key := range page.Keys(p) {
					used[key] = true
				}
			}
			for _, link := range page.Links() {
				used["help.do."+link.Key] = true
			}
			for _, other := range page.More() {
				if len((HelpTopic{Topic: other}).Parts()) == 0 || other == name {
					t.Errorf("%s leads to %s", name, other)
				}
			}
		}
		words := catalogue(t, l.Tag)
		for key := range used {
			if words[key] == nil {
				t.Errorf("%s lacks %q", l.Tag, key)
			}
		}
		for key := range words {
			if strings.HasPrefix(key, "help.") && !used[key] {
				t.Errorf("%s: no page shows %q", l.Tag, key)
			}
		}
	}
}

// Help is where it is needed: each of these pages leads to its topics, however it stands.
func TestHelpIsWhereItIsNeeded(t *testing.T) {
	for page, topics := range map[string][]string{
		"account-factors": {"second-factor", "codes", "new-phone"}, "account-call": {"support"}, "freeze": {"lost-phone"}, "frozen": {"lost-phone"}, "unfreeze": {"lost-phone"},
		"device-code": {"support", "stolen-terminal"}, "device-approve": {"support", "stolen-terminal"}, "recovery-codes": {"codes"}, "backup": {"codes"},
		"kit-sheet": {"codes"}, "kit-slip": {"codes"}, "kit-file": {"codes"}, "kit-open": {"codes"}, "kit-contents": {"codes"},
		"recover": {"lost-phone", "support"}, "recover-other": {"lost-phone", "stolen-terminal", "support"}, "recover-hub": {"lost-phone", "support"}, "recover-wait": {"lost-phone", "support"},
		"recover-case": {"lost-phone", "support"}, "recover-running": {"support"},
	} {
		seen := 0
		for _, s := range samples() {
			if s.Content.Page() != page {
				continue
			}
			seen++
			text := draw(t, frame("en"), s.Content)
			for _, topic := range topics {
				if !strings.Contains(text, `href="/help/`+topic+`"`) {
					t.Errorf("%s (%s) does not lead to %s", s.Name, page, topic)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s is no page", page)
		}
	}
}

// A kit leads to where its codes are typed, and where they are typed leads to the kit.
func TestKitLeadsToWhereItIsUsed(t *testing.T) {
	for page, links := range map[string][]string{"kit-open": {"/sign-in", "/recover"}, "kit-contents": {"/sign-in", "/recover", "/kit"}, "backup": {"/kit"}} {
		for _, s := range samples() {
			if s.Content.Page() != page {
				continue
			}
			for _, link := range links {
				if !strings.Contains(draw(t, frame("en"), s.Content), `href="`+link+`"`) {
					t.Errorf("%s does not lead to %s", s.Name, link)
				}
			}
		}
	}
}

// A page of help is at most one and a half screens of a phone.
func TestHelpIsShort(t *testing.T) {
	server := httptest.NewServer(sampleServer(t))
	t.Cleanup(server.Close)
	b := newScreen(t, startBrowser(t))
	for _, l := range Languages() {
		for i, s := range samples() {
			if _, ok := s.Content.(HelpTopic); !ok {
				continue
			}
			b.open(server.URL + samplePath(l, i))
			if high, err := strconv.Atoi(b.eval(`String(document.documentElement.scrollHeight)`)); err != nil || high > 1200 {
				t.Errorf("%s in %s is %d high", s.Name, l.Tag, high)
			}
		}
	}
}
