package notify

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"hufu/idp"
)

// Templates are the texts that a provider has approved: ours by name and language.
type Templates map[[2]string]Approved

// Approved is one of them: the provider's id and our parameters in the provider's order.
type Approved struct {
	ID     string
	Params []string
}

// params are what [templates.Letter.Params] may fill.
var params = []string{"code", "minutes", "link", "login", "left", "case"}

// ReadTemplates reads a file with one template a line: our name, language, the
// provider's id, then the parameters in the provider's order. # begins a remark.
func ReadTemplates(file string) (Templates, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all := Templates{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if err := all.add(words); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s names no template", file)
	}
	return all, nil
}

func (t Templates) add(words []string) error {
	if len(words) < 3 {
		return fmt.Errorf("expected NAME LANGUAGE ID and parameters")
	}
	key := [2]string{words[0], words[1]}
	if !slices.Contains(idp.MessageTemplates, key[0]) {
		return fmt.Errorf("%q is no message of ours", key[0])
	}
	if !slices.Contains(languages, key[1]) {
		return fmt.Errorf("language is %q, expected %s", key[1], strings.Join(languages, " or "))
	}
	for _, p := range words[3:] {
		if !slices.Contains(params, p) {
			return fmt.Errorf("%q is no parameter, expected some of %s", p, strings.Join(params, ", "))
		}
	}
	if _, twice := t[key]; twice {
		return fmt.Errorf("%s %s stands there twice", key[0], key[1])
	}
	t[key] = Approved{words[2], words[3:]}
	return nil
}

var languages = []string{"zh-CN", "en"}

// Missing lists the messages that no template is for: they end as dead letters.
func (t Templates) Missing() []string {
	var list []string
	for _, name := range idp.MessageTemplates {
		for _, lang := range languages {
			if _, ok := t[[2]string{name, lang}]; !ok {
				list = append(list, name+" "+lang)
			}
		}
	}
	return list
}

// of finds the template of a message and its values, in the provider's order.
func (t Templates) of(m idp.Message) (Approved, []string, error) {
	a, ok := t[[2]string{m.Template, m.Language}]
	if !ok {
		return a, nil, Permanent(nil, Template)
	}
	values := make([]string, len(a.Params))
	for i, p := range a.Params {
		values[i] = m.Params[p]
	}
	return a, values, nil
}

// kinds sorts the codes of a provider by how they begin; the first that fits counts.
type kinds []struct {
	prefix, words string
	final         bool
}

func (k kinds) trouble(code string) *Trouble {
	for _, kind := range k {
		if strings.HasPrefix(code, kind.prefix) {
			return &Trouble{Words: kind.words, Code: code, Final: kind.final}
		}
	}
	return &Trouble{Words: Refused, Code: code}
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings only
	}
	return string(text)
}
