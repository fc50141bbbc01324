package kit

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"strings"
	"time"
)

// Mark is what the QR code on paper says: of what kind the sheet is, and of which day. It is signed by a MAC under the
// server's own key, since nobody but the server itself ever checks it: that keeps the code small, and no key of the
// tokens signs anything else.
type Mark struct {
	Set string
	Day time.Time
}

// ErrMark says that a text is no mark of ours.
var ErrMark = errors.New("kit: not a mark of this server")

const (
	markHead = Kind + ".1."
	markMAC  = 16 // bytes of it that the mark holds
)

// MarkPurpose is for what the key makes the MAC.
const MarkPurpose = "kit.mark"

// MAC is a keyed hash of a text for a purpose.
type MAC func(purpose string, text []byte) []byte

// Text is the mark as the QR code holds it: hufu-kit.1.SET.2026-03-10.MAC
func (m Mark) Text(mac MAC) string {
	body := markHead + m.Set + "." + m.Day.Format(time.DateOnly)
	return body + "." + base64.RawURLEncoding.EncodeToString(mac(MarkPurpose, []byte(body))[:markMAC])
}

// ReadMark reads a mark, also out of the address that it stands in.
func ReadMark(text string, mac MAC) (Mark, error) {
	text = strings.TrimSpace(text)
	if i := strings.LastIndex(text, markHead); i > 0 {
		text = text[i:]
	}
	i := strings.LastIndexByte(text, '.')
	if i < 0 || len(text) > 100 {
		return Mark{}, ErrMark
	}
	body, signature := text[:i], text[i+1:]
	got, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || strings.ContainsAny(signature, "\r\n") || !hmac.Equal(got, mac(MarkPurpose, []byte(body))[:markMAC]) {
		return Mark{}, ErrMark
	}
	rest, ours := strings.CutPrefix(body, markHead)
	set, day, parts := strings.Cut(rest, ".")
	at, err := time.Parse(time.DateOnly, day)
	if !ours || !parts || err != nil || !validSet(set) {
		return Mark{}, ErrMark
	}
	return Mark{Set: set, Day: at}, nil
}
