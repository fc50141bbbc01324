// Package kit is the recovery kit: what a person keeps on paper, and in a file under a
// passphrase, to come back with when he has lost what he signs in by. Here are its
// contents, the file, and the mark that the QR code on paper holds.
//
// Invariants: a kit has no place for a password. Its file is an age file (age-encryption.org/v1)
// that the public age tool opens too. A file that somebody else made costs no more to refuse than
// one of ours costs to open. The mark holds no code and names nobody. The package keeps nothing.
package kit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hufu/idp"
	"hufu/idp/normal"
)

// Kind is what the file and the mark say that they are.
const Kind = "hufu-kit"

// Version is of the contents.
const Version = 1

// MostTerminals is how many terminals a kit lists: it goes on one sheet.
const MostTerminals = 20

// mostText bounds a name in a kit, in characters.
const mostText = 200

// Kit is the contents.
type Kit struct {
	Kind     string    `json:"kind"`
	Version  int       `json:"version"`
	Issuer   string    `json:"issuer"`
	Set      string    `json:"set"` // id of the set of codes: a new one has another
	Made     time.Time `json:"made"`
	User     string    `json:"user"` // name to sign in by
	Merchant *Merchant `json:"merchant,omitempty"`
	Codes    []string  `json:"codes"` // as they are printed, in their order
}

// Merchant is the shop of a person, as far as it helps him to say who he is.
type Merchant struct {
	Number    string     `json:"number"`
	LegalName string     `json:"legal_name"`
	Terminals []Terminal `json:"terminals"`
	More      bool       `json:"more,omitempty"` // there are others
}

// Terminal is one of its terminals.
type Terminal struct {
	Tail  string `json:"serial_tail"`
	Model string `json:"model"`
	Store string `json:"store"`
}

// check says what is wrong with contents, "" for nothing: a file comes from anywhere.
func (k Kit) check() string {
	switch {
	case k.Kind != Kind:
		return "kind"
	case k.Version != Version:
		return "version"
	case !validSet(k.Set):
		return "set"
	case k.Made.IsZero() || k.Made.Year() > 9999:
		return "made"
	case !text(k.Issuer) || !text(k.User):
		return "issuer or user"
	case len(k.Codes) == 0 || len(k.Codes) > len(normal.RecoveryAlphabet):
		return "number of codes"
	}
	for i, code := range k.Codes {
		if _, index, ok := normal.RecoveryCode(code); !ok || index != i || !text(code) {
			return fmt.Sprint("code ", i)
		}
	}
	return k.Merchant.check()
}

func (m *Merchant) check() string {
	switch {
	case m == nil:
		return ""
	case !text(m.Number) || !text(m.LegalName):
		return "merchant"
	case len(m.Terminals) > MostTerminals:
		return "number of terminals"
	}
	for i, t := range m.Terminals {
		if !text(t.Tail) || !text(t.Model) || t.Store != "" && !text(t.Store) {
			return fmt.Sprint("terminal ", i)
		}
	}
	return ""
}

// text: something that can be printed on one line.
func text(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= mostText && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// validSet says whether a text has the form of the id of a set.
func validSet(s string) bool {
	return len(s) == len(idp.NewID()) && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// encode writes contents for people and programs to read.
func (k Kit) encode() ([]byte, error) {
	if wrong := k.check(); wrong != "" {
		return nil, fmt.Errorf("kit: %s", wrong)
	}
	return json.MarshalIndent(k, "", "  ")
}

func decode(data []byte) (k Kit, err error) {
	if err := json.Unmarshal(data, &k); err != nil || k.check() != "" {
		return Kit{}, ErrFile
	}
	return k, nil
}
