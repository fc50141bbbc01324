package idp

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that must not reach a log, an error or a page by accident: it
// prints as "[secret]" whatever the verb.
type Secret string

const hidden = "[secret]"

// Format hides it from verbs that no string has, too: fmt prints the value of a
// wrong verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Reveal returns the text itself, where it is checked, hashed or sealed.
func (s Secret) Reveal() string { return string(s) }
