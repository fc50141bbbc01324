package policy

import (
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"hufu/idp"
)

// PasswordRules are the rules of passwords and terminal PINs. A number of 0 and a false
// turn their rule off.
type PasswordRules struct {
	MinLength       int  `json:"min_length" merge:"largest" range:"8..64"`       // characters
	MinLengthAlone  int  `json:"min_length_alone" merge:"largest" range:"8..64"` // of who has no second factor
	MaxLength       int  `json:"max_length" merge:"least_set" range:"64..256"`
	ClassesOf4      int  `json:"classes_of_4" merge:"largest" range:"0..4"` // of upper and lower case letters, digits and all else
	NeedUpper       bool `json:"need_upper" merge:"or"`
	NeedLower       bool `json:"need_lower" merge:"or"`
	NeedDigit       bool `json:"need_digit" merge:"or"`
	NeedSymbol      bool `json:"need_symbol" merge:"or"`
	MinScore        int  `json:"min_score" merge:"largest" range:"0..4"`            // of zxcvbn, 0 to 4
	MaxRepeat       int  `json:"max_repeat" merge:"least_set" range:"0..32"`        // the same character in a row
	MaxSequence     int  `json:"max_sequence" merge:"least_set" range:"0..32"`      // as in 1234, dcba
	MaxKeyboardWalk int  `json:"max_keyboard_walk" merge:"least_set" range:"0..32"` // keys side by side

	NoUsername     bool     `json:"no_username" merge:"or"`
	NoEmail        bool     `json:"no_email" merge:"or"`
	NoPhone        bool     `json:"no_phone" merge:"or"`
	NoBirthday     bool     `json:"no_birthday" merge:"or"`
	NoDocumentTail bool     `json:"no_document_tail" merge:"or"`
	NoMerchantNo   bool     `json:"no_merchant_no" merge:"or"`
	NoSerial       bool     `json:"no_serial" merge:"or"`
	NoLegalName    bool     `json:"no_legal_name" merge:"or"` // and not the person's own
	NoPinyin       bool     `json:"no_pinyin" merge:"or"`     // of either
	Words          []string `json:"words" merge:"joined"`     // the operator's own
	CommonFilter   bool     `json:"common_filter" merge:"or"`
	BreachFilter   bool     `json:"breach_filter" merge:"or"`                            // the operator's file
	OnBreachHit    string   `json:"on_breach_hit" merge:"strictest" oneof:"warn,change"` // at a sign-in: "change" or "warn"

	HistoryCount    int   `json:"history_count" merge:"largest" range:"0..24"`   // passwords that cannot be used again
	HistoryDays     int   `json:"history_days" merge:"largest" range:"0..730"`   // and those younger than so
	MinAgeHours     int   `json:"min_age_hours" merge:"largest" range:"0..720"`  // before it may be changed, except after a reset
	MaxAgeDays      int   `json:"max_age_days" merge:"least_set" range:"0..730"` // then the sign-in asks for a new one; it never locks out
	RemindDays      []int `json:"remind_days" merge:"joined"`                    // before that
	RecheckAtSignin bool  `json:"recheck_at_signin" merge:"or"`
	GraceDays       int   `json:"grace_days" merge:"least" range:"0..90"` // after the rules became stricter

	PinLength     int  `json:"pin_length" merge:"largest" range:"6..12"`
	PinWeakList   bool `json:"pin_weak_list" merge:"or"`
	PinMaxAgeDays int  `json:"pin_max_age_days" merge:"least_set" range:"0..730"`
}

// MaxAge is how long a password serves, 0: for ever.
func (r PasswordRules) MaxAge() time.Duration { return time.Duration(r.MaxAgeDays) * day }

// Remind are the times before the end of a password at which its owner is told, the
// longest first.
func (r PasswordRules) Remind() (all []time.Duration) {
	for _, days := range slices.Backward(slices.Sorted(slices.Values(r.RemindDays))) {
		all = append(all, time.Duration(days)*day)
	}
	return all
}

// Mark is the last of the reminders that a password has passed with so much time left,
// zero for none.
func (r PasswordRules) Mark(left time.Duration) (mark time.Duration) {
	for _, t := range r.Remind() {
		if left <= t {
			mark = t
		}
	}
	return mark
}

// Lists are what is known of other people's passwords; a nil one knows nothing.
type Lists struct {
	Common, Breach interface {
		Has(password string) (bool, error)
	}
}

// Finding is one rule, and whether a password meets it.
type Finding struct {
	Field string // the rule's name in the document
	Key   string // of the catalogue: what is wrong if it is not met; "password.rule." and Field is the rule
	Args  []any
	OK    bool
}

// Verdict is what the rules say of a password: of each rule that is on and that there is
// something to compare with, in the order in which they are told.
type Verdict struct {
	Findings []Finding
	Score    int // of zxcvbn, 0 to 4
	Measures Measures
}

// Weak says whether a password that is in use must be changed: a hit in the operator's file
// of leaked ones may be a warning alone.
func (v Verdict) Weak(r PasswordRules) bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool {
		return !f.OK && (f.Field != "breach_filter" || r.OnBreachHit != "warn")
	})
}

// Err is the first rule that is not met, nil if all are.
func (v Verdict) Err() error {
	for _, f := range v.Findings {
		if !f.OK {
			return idp.FieldError("password", f.Key, f.Args...)
		}
	}
	return nil
}

// mostLooked is how many characters the rules look at, so that no password takes long.
const mostLooked = 1024

// Check looks at a password; alone: its owner has no second factor. An error is one of
// the lists.
func (r PasswordRules) Check(password string, alone bool, f PersonalFacts, l Lists) (Verdict, error) {
	if !utf8.ValidString(password) {
		return Verdict{Findings: []Finding{{Key: "password.malformed"}}}, nil
	}
	t := see(password)
	var c checklist
	r.length(&c, t, alone)
	r.classes(&c, t)
	r.patterns(&c, t)
	r.personal(&c, t, f)
	if err := r.lists(&c, t, l); err != nil {
		return Verdict{}, err
	}
	score := t.score(f.inputs(r.Words))
	c.add(r.MinScore > 0, "min_score", "password.weak", score >= r.MinScore)
	return Verdict{Findings: c, Score: score, Measures: t.measures(score)}, nil
}

// typed is a password as the rules see it.
type typed struct {
	whole  string // NFKC, as it is hashed
	length int    // characters of whole
	text   []rune // the first of them
	lower  string // these in lower case
	bare   string // and only letters and digits of that: 138-0000 is 1380000
}

func see(password string) typed {
	t := typed{whole: norm.NFKC.String(password)}
	t.text = []rune(t.whole)
	t.length = len(t.text)
	t.text = t.text[:min(t.length, mostLooked)]
	t.lower = fold(string(t.text))
	t.bare = bare(t.lower)
	return t
}

// measures are what the rules of its form see of a password.
func (t typed) measures(score int) Measures {
	m := Measures{Length: min(t.length, 64), Upper: slices.ContainsFunc(t.text, unicode.IsUpper), Lower: slices.ContainsFunc(t.text, unicode.IsLower),
		Digit: slices.ContainsFunc(t.text, unicode.IsDigit), Symbol: slices.ContainsFunc(t.text, isSymbol), Score: score, Repeat: longestRun(t.lower, same),
		Sequence: max(longestRun(t.lower, next), longestRun(t.lower, before))}
	for _, has := range []bool{m.Upper, m.Lower, m.Digit, m.Symbol} {
		if has {
			m.Classes++
		}
	}
	for m.Walk < 32 && walks(t.lower, m.Walk+1) {
		m.Walk++
	}
	return m
}

// checklist gathers findings.
type checklist []Finding

func (c *checklist) add(on bool, field, key string, ok bool, args ...any) {
	if on {
		*c = append(*c, Finding{Field: field, Key: key, Args: args, OK: ok})
	}
}

func (r PasswordRules) length(c *checklist, t typed, alone bool) {
	least, field := r.MinLength, "min_length"
	if alone {
		least, field = r.MinLengthAlone, "min_length_alone"
	}
	c.add(least > 0, field, "password.short", t.length >= least, least)
	c.add(r.MaxLength > 0, "max_length", "password.long", t.length <= r.MaxLength, r.MaxLength)
}

func (r PasswordRules) classes(c *checklist, t typed) {
	upper, lower, digit := slices.ContainsFunc(t.text, unicode.IsUpper), slices.ContainsFunc(t.text, unicode.IsLower), slices.ContainsFunc(t.text, unicode.IsDigit)
	symbol := slices.ContainsFunc(t.text, isSymbol)
	n := 0
	for _, has := range []bool{upper, lower, digit, symbol} {
		if has {
			n++
		}
	}
	c.add(r.ClassesOf4 > 0, "classes_of_4", "password.classes", n >= r.ClassesOf4, r.ClassesOf4)
	c.add(r.NeedUpper, "need_upper", "password.need_upper", upper)
	c.add(r.NeedLower, "need_lower", "password.need_lower", lower)
	c.add(r.NeedDigit, "need_digit", "password.need_digit", digit)
	c.add(r.NeedSymbol, "need_symbol", "password.need_symbol", symbol)
}

// isSymbol: all that is in none of the other classes, a blank and 汉字 included.
func isSymbol(r rune) bool { return !unicode.IsUpper(r) && !unicode.IsLower(r) && !unicode.IsDigit(r) }

func (r PasswordRules) patterns(c *checklist, t typed) {
	c.add(r.MaxRepeat > 0, "max_repeat", "password.repeat", longestRun(t.lower, same) <= r.MaxRepeat, r.MaxRepeat)
	sequence := max(longestRun(t.lower, next), longestRun(t.lower, before))
	c.add(r.MaxSequence > 0, "max_sequence", "password.sequence", sequence <= r.MaxSequence, r.MaxSequence)
	c.add(r.MaxKeyboardWalk > 0, "max_keyboard_walk", "password.walk", !walks(t.lower, r.MaxKeyboardWalk+1), r.MaxKeyboardWalk)
}

// lists looks a password up. A blank one is in no list.
func (r PasswordRules) lists(c *checklist, t typed, l Lists) error {
	for _, list := range []struct {
		on         bool
		field, key string
		known      interface{ Has(string) (bool, error) }
	}{{r.CommonFilter, "common_filter", "password.common", l.Common}, {r.BreachFilter, "breach_filter", "password.breached", l.Breach}} {
		if !list.on || list.known == nil {
			continue
		}
		hit, err := list.known.Has(t.whole)
		if err != nil {
			return err
		}
		c.add(true, list.field, list.key, !hit)
	}
	return nil
}
