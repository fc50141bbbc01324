package policy

import (
	"slices"
	"strings"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
)

// mostRated is how much of a password zxcvbn looks at: its time grows with the square.
const mostRated = 100

// score is how hard a password is to guess, 0 to 4. zxcvbn knows Latin letters only, so it
// looks at 汉字 as pinyin, which is what people who guess type. Its own look at l33t takes
// seconds for some inputs; a password is as good as the worse of it and its plain form.
func (t typed) score(inputs []string) int {
	text := latin(string(t.text[:min(len(t.text), mostRated)]))
	text = once(text[:min(len(text), mostRated)])
	forms := []string{text, plain.Replace(text), plainL.Replace(text)}
	worst := 4
	for _, form := range slices.Compact(forms) {
		worst = min(worst, zxcvbn.PasswordStrength(form, inputs, noL33t).Score)
	}
	return worst
}

func noL33t(m match.Matcher) bool { return m.ID == matching.L33TMatcherName }

// What people write for letters; 1 may be an i or an l.
var (
	plain  = strings.NewReplacer("4", "a", "@", "a", "8", "b", "3", "e", "6", "g", "1", "i", "!", "i", "|", "i", "0", "o", "5", "s", "$", "s", "7", "t", "+", "t", "2", "z")
	plainL = strings.NewReplacer("4", "a", "@", "a", "8", "b", "3", "e", "9", "g", "1", "l", "!", "l", "|", "l", "0", "o", "5", "s", "$", "s", "7", "t", "+", "t", "2", "z")
)

// latin writes 汉字 as pinyin, and any other character as one letter: a text of n of them
// is worth n letters.
func latin(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch all := readings(r); {
		case r < 0x80:
			b.WriteRune(r)
		case len(all) > 0:
			b.WriteString(all[0])
		default:
			b.WriteByte(byte('a' + r%26))
		}
	}
	return b.String()
}

// once is the part that a text repeats: abcabcab is worth an abc. zxcvbn takes each
// repetition for something new.
func once(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if s[n:] == s[:len(s)-n] {
			return s[:n]
		}
	}
	return s
}
