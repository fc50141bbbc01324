package policy

import (
	"crypto/hmac"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"hufu/idp"
)

// PersonalFacts are what must not be in somebody's password. His birthday and the tail of
// his identity document are known as keyed hashes only: HashHit says by kind whether a run
// of characters is the one; a kind that is not known has none.
type PersonalFacts struct {
	Usernames, Emails, Phones, MerchantNos, Serials []string
	LegalNames, Names                               []string // of the merchant; of the person
	HashHit                                         map[string]func(run string) bool
}

// The kinds of facts that HashHit knows. A birthday is YYYYMMDD or MMDD, whatever the order
// in the password; a tail has four or six characters, an X in upper case.
const (
	FactBirthday     = "birthday"
	FactDocumentTail = "document_tail"
)

// evidenceKinds are what the runs of a fact are kept as, by their length: each has a keyed
// hash of its own.
var evidenceKinds = map[string]map[int]string{
	FactBirthday:     {len("YYYYMMDD"): "birthday", len("MMDD"): "birthday.md"},
	FactDocumentTail: {4: "document.4", 6: "document.6"},
}

// EvidenceKind is the kind of evidence that a run of a fact is kept as, "" for none.
func EvidenceKind(fact, run string) string { return evidenceKinds[fact][len(run)] }

// HashHits compares runs with the keyed hashes that are kept of a person, by kind of
// evidence; hash makes one of a value.
func HashHits(kept map[string][]byte, hash func(kind, value string) []byte) map[string]func(run string) bool {
	hits := map[string]func(run string) bool{}
	for fact, kinds := range evidenceKinds {
		for _, kind := range kinds {
			if kept[kind] == nil {
				continue
			}
			hits[fact] = func(run string) bool {
				kind := EvidenceKind(fact, run)
				return kept[kind] != nil && hmac.Equal(kept[kind], hash(kind, run))
			}
		}
	}
	return hits
}

// MostSerials is how many terminals of a merchant a password is compared with.
const MostSerials = 200

// FactsOf are the facts that are known of a person: m is his merchant, nil for operator
// staff, with its terminals.
func FactsOf(u idp.User, m *idp.Merchant, names []idp.Identifier, terminals []idp.Terminal) PersonalFacts {
	f := PersonalFacts{Names: []string{u.Name}}
	for _, n := range names {
		switch n.Kind {
		case idp.IdentifierUsername:
			f.Usernames = append(f.Usernames, n.Value)
		case idp.IdentifierEmail:
			f.Emails = append(f.Emails, n.Value)
		case idp.IdentifierPhone:
			f.Phones = append(f.Phones, n.Value)
		}
	}
	if m != nil {
		f.MerchantNos, f.LegalNames = []string{m.No}, []string{m.LegalName}
	}
	for _, t := range terminals {
		f.Serials = append(f.Serials, t.Serial)
	}
	return f
}

// leastShared is how many characters of a fact in a row must not be in a password.
const leastShared = 4

func (r PasswordRules) personal(c *checklist, t typed, f PersonalFacts) {
	grams := gramsOf(t.lower, t.bare)
	for _, rule := range []struct {
		on         bool
		field, key string
		facts      []string
	}{
		{r.NoUsername, "no_username", "password.username", f.Usernames},
		{r.NoEmail, "no_email", "password.email", localParts(f.Emails)},
		{r.NoPhone, "no_phone", "password.phone", national(f.Phones)},
		{r.NoMerchantNo, "no_merchant_no", "password.merchant_no", f.MerchantNos},
		{r.NoSerial, "no_serial", "password.serial", f.Serials},
		{r.NoLegalName, "no_legal_name", "password.legal_name", f.names()},
	} {
		c.add(rule.on && len(rule.facts) > 0, rule.field, rule.key, !t.shares(grams, rule.facts))
	}
	c.add(r.NoPinyin && hasHan(f.names()), "no_pinyin", "password.pinyin", !t.spells(f.names()))
	if hit := f.HashHit[FactBirthday]; hit != nil {
		c.add(r.NoBirthday, "no_birthday", "password.birthday", !t.hasBirthday(hit))
	}
	if hit := f.HashHit[FactDocumentTail]; hit != nil {
		c.add(r.NoDocumentTail, "no_document_tail", "password.document_tail", !t.hasTail(hit))
	}
	c.add(len(r.Words) > 0, "words", "password.word", !t.hasWord(r.Words))
}

// companyForms say nothing of whose company it is, and are in nearly every legal name.
var companyForms = strings.NewReplacer("股份有限公司", " ", "有限责任公司", " ", "有限公司", " ", "公司", " ")

// names are the merchant's, without the form of its company, and the person's.
func (f PersonalFacts) names() (all []string) {
	for _, name := range f.LegalNames {
		all = append(all, companyForms.Replace(name))
	}
	return append(all, f.Names...)
}

// inputs are what the strength estimate takes as words that anybody would try.
func (f PersonalFacts) inputs(words []string) (all []string) {
	for _, facts := range [][]string{f.Usernames, localParts(f.Emails), national(f.Phones), f.MerchantNos, f.Serials, f.names(), words} {
		for _, fact := range facts {
			if fact = latin(fold(fact)); fact != "" {
				all = append(all, fact)
			}
		}
	}
	return all
}

// localParts are what stands before the @; of a short one the whole address counts.
func localParts(emails []string) (all []string) {
	for _, e := range emails {
		if local, _, _ := strings.Cut(e, "@"); utf8.RuneCountInString(local) >= leastShared {
			e = local
		}
		all = append(all, e)
	}
	return all
}

// national are numbers without the prefix that they all share.
func national(phones []string) (all []string) {
	for _, p := range phones {
		all = append(all, strings.TrimPrefix(p, "+86"))
	}
	return all
}

// fold is the form in which texts are compared: NFKC in lower case.
func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// bare leaves letters and digits only.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// gramsOf are all runs of leastShared characters of texts.
func gramsOf(texts ...string) map[string]bool {
	grams := map[string]bool{}
	for _, text := range texts {
		runes := []rune(text)
		for i := 0; i+leastShared <= len(runes); i++ {
			grams[string(runes[i:i+leastShared])] = true
		}
	}
	return grams
}

// shares says whether a run of a fact is in the password, with or without what is no
// letter or digit in either. Of a fact that is shorter than a run all counts if it is
// written in 汉字: 林伟 says as much as four letters.
func (t typed) shares(grams map[string]bool, facts []string) bool {
	for _, fact := range facts {
		fact = fold(fact)
		for gram := range gramsOf(fact, bare(fact)) {
			if grams[gram] {
				return true
			}
		}
		for word := range strings.FieldsSeq(fact) {
			if n := utf8.RuneCountInString(word); n > 1 && n < leastShared && hasHan([]string{word}) && strings.Contains(t.bare, word) {
				return true
			}
		}
	}
	return false
}

func (t typed) hasWord(words []string) bool {
	for _, word := range words {
		word = fold(word)
		if word != "" && strings.Contains(t.lower, word) || bare(word) != "" && strings.Contains(t.bare, bare(word)) {
			return true
		}
	}
	return false
}

// digitRuns are the numbers in a password, with or without what stands between their
// parts: 1990-05-12.
var digitRuns = regexp.MustCompile(`[0-9]+(?:[-./ _年月][0-9]+)*`)

// hasBirthday tries each part of a number that can be a date.
func (t typed) hasBirthday(hit func(run string) bool) bool {
	tried := map[string]bool{}
	for _, run := range digitRuns.FindAllString(t.lower, -1) {
		run = digitsOf(run)
		for i := range run {
			for n := leastShared; n <= len("YYYYMMDD") && i+n <= len(run); n++ {
				for _, date := range datesIn(run[i : i+n]) {
					if !tried[date] && hit(date) {
						return true
					}
					tried[date] = true
				}
			}
		}
	}
	return false
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if isDigit(r) {
			return r
		}
		return -1
	}, s)
}

// dateForms are the common orders of a date's digits, without leading zeros too.
var dateForms = []string{
	"YYYYMMDD", "DDMMYYYY", "MMDDYYYY", "YYYYDDMM",
	"YYYYMDD", "YYYYMMD", "DMMYYYY", "DDMYYYY", "MDDYYYY", "MMDYYYY", "YYYYMD", "DMYYYY", "MDYYYY",
	"YYMMDD", "DDMMYY", "MMDDYY", "YYDDMM", "MMDD", "DDMM",
}

// datesIn are the days that digits can mean, as YYYYMMDD or MMDD.
func datesIn(digits string) (dates []string) {
	for _, form := range dateForms {
		if len(form) != len(digits) {
			continue
		}
		part := map[rune]int{}
		for i, letter := range form {
			part[letter] = part[letter]*10 + int(digits[i]-'0')
		}
		switch strings.Count(form, "Y") {
		case 0:
			dates = appendDay(dates, 2000, part, "0102") // which had a 29 February
		case 2:
			dates = appendDay(dates, 1900+part['Y'], part, "20060102")
			dates = appendDay(dates, 2000+part['Y'], part, "20060102")
		default:
			dates = appendDay(dates, part['Y'], part, "20060102")
		}
	}
	return dates
}

// Birthdays are the days, as YYYYMMDD, that somebody can mean who says a date with its whole
// year, in any common order: 1990-05-12, 12.5.1990, 1990年5月12日, 19900512.
func Birthdays(said string) (dates []string) {
	for _, date := range datesIn(eightDigits(said)) {
		if !slices.Contains(dates, date) {
			dates = append(dates, date)
		}
	}
	return dates
}

// eightDigits are those of a date with its whole year, the zeros filled in; "" for all else.
func eightDigits(said string) (digits string) {
	for _, part := range strings.FieldsFunc(norm.NFKC.String(said), func(r rune) bool { return !isDigit(r) }) {
		if len(part) == 1 {
			part = "0" + part
		}
		digits += part
	}
	if len(digits) != len("YYYYMMDD") {
		return ""
	}
	return digits
}

// appendDay appends a day that there is and that a living person can be born on.
func appendDay(dates []string, year int, part map[rune]int, form string) []string {
	day := time.Date(year, time.Month(part['M']), part['D'], 0, 0, 0, 0, time.UTC)
	if year < 1900 || year > 2099 || int(day.Month()) != part['M'] || day.Day() != part['D'] {
		return dates
	}
	return append(dates, day.Format(form))
}

var tailRun = regexp.MustCompile(`^[0-9]+[0-9x]$`)

// hasTail tries each run of four and six characters that can end an identity document.
func (t typed) hasTail(hit func(run string) bool) bool {
	for i := range t.bare {
		for _, n := range []int{4, 6} {
			if i+n > len(t.bare) || !tailRun.MatchString(t.bare[i:i+n]) {
				continue
			}
			if hit(strings.ToUpper(t.bare[i : i+n])) {
				return true
			}
		}
	}
	return false
}
