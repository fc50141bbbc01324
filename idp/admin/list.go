package admin

import (
	"net/url"

	"hufu/templates"
)

// pageSize is how many rows a list shows.
const pageSize = 50

// trailMost bounds how many pages back a list remembers in its URL.
const trailMost = 10

// A cursor is where a list stands: the key of the last row of the page before,
// and the keys of the pages before that one, so that "previous" needs no second
// order of reading.
type cursor struct {
	name string // of the parameter: after, or before where the newest come first
	at   string
	back []string
}

func (v *visit) cursor(name string) cursor {
	c := cursor{name: name, at: v.query(name)}
	for _, key := range v.r.URL.Query()["back"] {
		if key = plain(key); len(key) <= 64 && len(c.back) < trailMost {
			c.back = append(c.back, key)
		}
	}
	return c
}

// page cuts a row off that was read only to know that there is more, and makes the
// links to the pages beside this one.
func page[T any](v *visit, c cursor, rows []T, key func(T) string) ([]T, templates.Pager) {
	p := templates.Pager{Text: v.t("console.pager", pageSize)}
	if len(rows) > pageSize {
		rows = rows[:pageSize]
		back := append(c.back, c.at)
		if len(back) > trailMost {
			back = back[len(back)-trailMost:]
		}
		p.Next = v.at(c.name, key(rows[len(rows)-1]), back)
	}
	if c.at != "" {
		to, back := "", []string(nil)
		if n := len(c.back); n > 0 {
			to, back = c.back[n-1], c.back[:n-1]
		}
		p.Prev = v.at(c.name, to, back)
	}
	return rows, p
}

// at is this list at another key, with the same filters.
func (v *visit) at(name, key string, back []string) string {
	q := url.Values{}
	for k, vs := range v.r.URL.Query() {
		if k != name && k != "back" && k != "saved" && len(vs) > 0 && plain(vs[0]) != "" {
			q.Set(k, plain(vs[0]))
		}
	}
	if key != "" {
		q.Set(name, key)
	}
	if len(back) > 0 {
		q["back"] = back
	}
	if len(q) == 0 {
		return v.r.URL.Path
	}
	return v.r.URL.Path + "?" + q.Encode()
}
