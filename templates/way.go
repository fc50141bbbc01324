package templates

import (
	"fmt"
	"strings"
)

// wayIcons are the icons of the ways that [FactorWay] offers.
var wayIcons = map[string]string{"passkey": "passkey", "totp": "clock", "backup": "paper", "password": "lock", "introduce:phone": "phone", "introduce:email": "mail", "later": "clock", "kit": "paper", "terminal": "terminal", "other": "help", "shop": "merchant"}

// FactorWay offers another factor: passkey, totp, backup, password, introduce:phone or introduce:email. Its words are
// the catalogue's way.<name> and way.<name>_small; the button posts way=<name> to action.
func FactorWay(lang, name, action string) Way {
	key := "way." + strings.ReplaceAll(name, ":", "_")
	return Way{Icon: wayIcons[name], Title: T(lang, key), Small: T(lang, key+"_small"), URL: action, Value: name}
}

// RecoveryFile is the page of the recovery codes as a text to keep.
func RecoveryFile(lang string, p RecoveryCodes) string {
	f := Frame{Lang: lang}.filled()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n", f.T("recovery-codes.file_title", or(p.Operator, f.T("brand"))), f.T("recovery-codes.file_for", p.Login, p.IssuerHost))
	for i, code := range p.Codes {
		fmt.Fprintf(&b, "%2d  %s\n", i+1, code)
	}
	fmt.Fprintf(&b, "\n%s\n%s\n", f.T("recovery-codes.file_made", f.Day(p.Made)), f.T("recovery-codes.file_rules"))
	return b.String()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// OneLine is a text without line breaks, tabs and repeated blanks: what people name things.
func OneLine(s string) string { return oneLine(s) }
