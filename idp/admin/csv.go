package admin

import (
	"strings"
	"time"
)

// byteOrderMark tells spreadsheets that the file is UTF-8.
const byteOrderMark = "\ufeff"

// inert makes a value safe in a spreadsheet, which takes for a formula what begins with
// one of these signs, also behind what some countries' spreadsheets split cells at.
// The apostrophe says "text".
func inert(value string) string {
	var b strings.Builder
	begins := true
	for _, r := range strings.ReplaceAll(value, "\x00", "") {
		if begins && strings.ContainsRune("=+-@\t\r＝＋－＠", r) {
			b.WriteByte('\'')
		}
		if r == ';' || r == '\t' || r == '\n' || r == '\r' {
			begins = true
		} else if r != ' ' && r != '\u00a0' && r != '\u3000' {
			begins = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// stamp is a time as spreadsheets read it, in the server's zone; "" for never.
func (v *visit) stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(v.zone()).Format("2006-01-02 15:04:05")
}
