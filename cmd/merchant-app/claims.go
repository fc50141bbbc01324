package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
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

// row is one claim on the page: name and value as on the wire, the value in words where we know them, what the claim is.
type row struct{ Name, Value, Words, Meaning string }

// first is the order in which people look for claims; the others follow by name.
var first = []string{"sub", "name", "preferred_username", "phone_number", "phone_number_verified", "email", "email_verified",
	"merchant_id", "merchant_no", "store_id", "role", "terminal_id", "scope", "acr", "amr", "auth_time", "sid", "iss", "aud",
	"client_id", "azp", "iat", "exp", "nonce", "at_hash", "jti"}

var moments = []string{"iat", "exp", "nbf", "auth_time", "updated_at"}

// rows lays claims out in the language of the page.
func (c claims) rows(lang string) []row {
	var out []row
	seen := map[string]bool{}
	for _, name := range append(slices.Clone(first), slices.Sorted(maps.Keys(c))...) {
		value, ok := c[name]
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, row{Name: name, Value: plain(value), Words: c.words(lang, name), Meaning: maybe(lang, "claim."+name)})
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
	case "amr":
		return c.methods(lang)
	}
	return ""
}

// methods names the ways of signing in that amr lists (RFC 8176).
func (c claims) methods(lang string) string {
	list, _ := c["amr"].([]any)
	var known []string
	for _, m := range list {
		if w := maybe(lang, fmt.Sprint("amr.", m)); w != "" {
			known = append(known, w)
		}
	}
	return strings.Join(known, T(lang, "list.comma"))
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
