package policy

import (
	"errors"
	"strings"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	Path   string // of the field, as "rules[2].set.password.min_length"; "" for the document as a whole
	Key    string // catalogue key of the reason
	Args   []any
	Detail string // of the JSON decoder, in English
}

// Problems is all that is wrong with a document.
type Problems []Problem

func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

func (p Problems) Error() string {
	var out []string
	for _, one := range p {
		out = append(out, strings.TrimSpace(one.Path+" "+one.Key+" "+one.Detail))
	}
	return strings.Join(out, "; ")
}

// ProblemsOf returns what an error says is wrong with a document, nil if it says something else.
func ProblemsOf(err error) Problems {
	p, _ := errors.AsType[Problems](err)
	return p
}
