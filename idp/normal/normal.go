// Package normal brings what people type into the one form that is stored and
// compared: login names, passwords, one-time codes, recovery codes and terminal
// codes. It is pure and calls no other package of the project but the vocabulary.
//
// Invariant: normalising twice is normalising once, and two inputs that a person
// would call the same name give the same text.
package normal

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"hufu/idp"
)

// MaxIdentifier bounds a typed login name, in bytes; longer ones name nobody.
const MaxIdentifier = 254

// Identifier tells what kind of login name was typed and returns its stored
// form: a folded user name or e-mail, a phone number in E.164 (numbers without a
// country are Chinese), a merchant number of 15 digits. Text that can be no
// name at all gives ok=false.
func Identifier(typed string) (kind idp.IdentifierKind, value string, ok bool) {
	if kind, value, ok = identifier(typed); !ok {
		return "", "", false
	}
	if k, v, again := identifier(value); !again || k != kind || v != value {
		return "", "", false // such as +860…, which reads as another number the second time
	}
	return kind, value, true
}

func identifier(typed string) (kind idp.IdentifierKind, value string, ok bool) {
	if len(typed) > 4*MaxIdentifier || !utf8.ValidString(typed) {
		return "", "", false
	}
	s := strings.TrimSpace(norm.NFKC.String(typed))
	s = norm.NFKC.String(cases.Fold().String(s))
	if s == "" || len(s) > MaxIdentifier || strings.ContainsFunc(s, unprintable) {
		return "", "", false
	}
	if strings.Contains(s, "@") {
		return email(s)
	}
	if digits, ok := compactDigits(s); ok {
		if len(digits) == 15 && digits[0] != '+' {
			return idp.IdentifierMerchantNo, digits, true
		}
		return phone(digits)
	}
	return idp.IdentifierUsername, s, username(s)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func email(s string) (idp.IdentifierKind, string, bool) {
	local, domain, _ := strings.Cut(s, "@")
	ok := local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(domain, "@ ,;<>()[]\\\"") &&
		!strings.ContainsAny(local, " ,;<>()[]\\\"") && !strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".")
	return idp.IdentifierEmail, s, ok
}

func phone(digits string) (idp.IdentifierKind, string, bool) {
	n, err := phonenumbers.Parse(digits, "CN")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", "", false
	}
	return idp.IdentifierPhone, phonenumbers.Format(n, phonenumbers.E164), true
}

// username: letters, digits, '.', '_', '-'; 3 to 64 long; at least one letter, so
// that it can be no phone and no merchant number.
func username(s string) bool {
	n, letters := 0, 0
	for _, r := range s {
		n++
		switch {
		case unicode.IsLetter(r):
			letters++
		case unicode.IsMark(r), r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return n >= 2 && n <= 64 && letters > 0
}

// compactDigits drops the blanks, dashes, dots and brackets of a written number.
func compactDigits(s string) (string, bool) {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9', r == '+' && i == 0:
			b.WriteRune(r)
		case strings.ContainsRune(" -.()\u2010\u2011\u2012\u2013\u2014", r):
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 3
}

// Password returns the form a password is hashed in: NFKC, blanks kept, nothing
// else changed (NIST SP 800-63B-4 3.1.1.2).
func Password(typed string) string { return norm.NFKC.String(typed) }

// Digits returns a typed code as ASCII digits: full-width and other decimal
// digits, blanks and dashes forgiven. Anything else gives ok=false, so a
// malformed code never costs a try.
func Digits(typed string, length int) (string, bool) {
	if len(typed) > 16*length {
		return "", false
	}
	var b strings.Builder
	for _, r := range norm.NFKC.String(typed) {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Nd, r):
			b.WriteRune('0' + decimal(r))
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), r == '\u200b', r == '\u00ad':
		default:
			return "", false
		}
	}
	return b.String(), b.Len() == length
}

// decimal returns the value of a decimal digit: they stand in runs of ten.
func decimal(r rune) rune {
	v := rune(0)
	for v < 9 && unicode.Is(unicode.Nd, r-1) && (r-1)/0x80 == r/0x80 {
		r, v = r-1, v+1
	}
	return v
}

// UserCodeAlphabet is the twenty consonants of RFC 8628 section 6.1: no vowels,
// so no words, and nothing that looks like something else.
const UserCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

// UserCode returns a typed terminal code as eight letters; case, blanks and
// dashes are forgiven.
func UserCode(typed string) (string, bool) {
	if len(typed) > 128 {
		return "", false
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(norm.NFKC.String(typed)) {
		switch {
		case strings.ContainsRune(UserCodeAlphabet, r):
			b.WriteRune(r)
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
		default:
			return "", false
		}
	}
	return b.String(), b.Len() == 8
}

// Serial returns a terminal serial in its stored form: NFKC, upper case, blanks out.
func Serial(typed string) (string, bool) {
	s := strings.ToUpper(strings.Join(strings.Fields(norm.NFKC.String(typed)), ""))
	ok := len(s) >= 4 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == ""
	return s, ok
}

// RecoveryAlphabet is Crockford's base32: no I, L, O, U.
const RecoveryAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// recoveryLength counts the index, 14 random characters and the check character.
const recoveryLength = 16

// misread are the letters of no code that stand for what they look like.
var misread = strings.NewReplacer("O", "0", "I", "1", "L", "1")

// RecoveryCode returns a typed recovery code as sixteen characters, and which code of
// its set it is; case, blanks and dashes are forgiven. One wrong character, or two
// that changed places, always gives ok=false, so a slip of the pen never costs a try.
func RecoveryCode(typed string) (code string, index int, ok bool) {
	if len(typed) > 16*recoveryLength {
		return "", 0, false
	}
	var b strings.Builder
	for _, r := range misread.Replace(strings.ToUpper(norm.NFKC.String(typed))) {
		switch {
		case strings.ContainsRune(RecoveryAlphabet, r):
			b.WriteRune(r)
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), r == '\u200b', r == '\u00ad':
		default:
			return "", 0, false
		}
	}
	if code = b.String(); len(code) != recoveryLength || RecoveryCheck(code[:recoveryLength-1]) != code[recoveryLength-1] {
		return "", 0, false
	}
	return code, strings.IndexByte(RecoveryAlphabet, code[0]), true
}

// RecoveryCheck returns the check character of the others. Each character is weighted
// with a power of its own of a generator of GF(32), so that neither a change of one
// nor an exchange of two leaves the sum.
func RecoveryCheck(code string) byte {
	sum := 0
	for i := range len(code) {
		if sum = (sum ^ strings.IndexByte(RecoveryAlphabet, code[i])) << 1; sum >= 32 {
			sum ^= 0b100101 // x⁵ + x² + 1
		}
	}
	return RecoveryAlphabet[sum]
}

// LegalName is what the name of a business is compared as: its letters and digits alone,
// folded, for people leave blanks and brackets out when they say it.
func LegalName(typed string) string {
	s := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.ToValidUTF8(typed, ""))))
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

var documentTail = regexp.MustCompile(`^(?:[0-9]{3}|[0-9]{5})[0-9X]$`)

// DocumentTail is the end of the number of an identity document: four or six digits, the
// last of which may be an X.
func DocumentTail(typed string) (tail string, ok bool) {
	tail = strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(norm.NFKC.String(typed)))
	return tail, documentTail.MatchString(tail)
}
