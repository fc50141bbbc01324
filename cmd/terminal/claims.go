package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// claims is a JSON object as received; numbers keep their digits.
type claims map[string]any

// UnmarshalJSON keeps numbers exact: a time must not become 1.76e+09.
func (c *claims) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(c))
}

// decodeJWT reads the claims of a token for display only: nothing here is verified, and nothing may rest on it.
func decodeJWT(raw string) claims {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var c claims
	if json.Unmarshal(b, &c) != nil {
		return nil
	}
	return c
}

// text returns a claim that is a string, or nothing.
func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// clock returns a claim that is a time (RFC 7519 section 2, NumericDate).
func (c claims) clock(name string) (time.Time, bool) {
	n, ok := c[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<36 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// row is one claim on the page: name and value as on the wire, the value in words where we know them.
type row struct{ Name, Value, Words string }

var moments = []string{"iat", "exp", "nbf", "auth_time", "updated_at"}

// rows lays claims out in the language of the page.
func (c claims) rows(lang string) []row {
	var out []row
	for _, name := range slices.Sorted(maps.Keys(c)) {
		out = append(out, row{Name: name, Value: plain(c[name]), Words: c.words(lang, name)})
	}
	return out
}

// words says the value of a claim as the shop would.
func (c claims) words(lang, name string) string {
	if slices.Contains(moments, name) {
		if t, ok := c.clock(name); ok {
			return moment(lang, t)
		}
		return ""
	}
	switch name {
	case "acr", "role":
		return maybe(lang, name+"."+c.text(name))
	}
	return ""
}

// plain writes a claim's value as text: lists with spaces, objects as JSON.
func plain(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = plain(v[i])
		}
		return strings.Join(parts, " ")
	}
	b, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(b)
}

// pick returns the first claim of the name that says something.
func (w *identity) pick(name string) string {
	return cmp.Or(w.id.text(name), w.info.text(name), w.access.text(name))
}

// name is who approved, as well as the provider tells.
func (w *identity) name() string {
	return cmp.Or(w.pick("name"), w.pick("preferred_username"), w.pick("sub"))
}
