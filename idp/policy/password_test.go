package policy_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
)

// verdict of a password that nothing but the rules is compared with.
func verdict(t testing.TB, r policy.PasswordRules, password string, alone bool) policy.Verdict {
	t.Helper()
	v, err := r.Check(password, alone, policy.PersonalFacts{}, policy.Lists{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// unmet are the fields of the rules that are not met.
func unmet(v policy.Verdict) (fields []string) {
	for _, f := range v.Findings {
		if !f.OK {
			fields = append(fields, f.Field)
		}
	}
	return fields
}

// noise is text that goes on with no letter.
const noise = "-好-"

// Each knob alone, at every limit, one below, at and one above it.
func TestKnobsAtTheirLimits(t *testing.T) {
	rules := map[string]func(limit int) policy.PasswordRules{
		"min_length":        func(n int) policy.PasswordRules { return policy.PasswordRules{MinLength: n} },
		"min_length_alone":  func(n int) policy.PasswordRules { return policy.PasswordRules{MinLengthAlone: n} },
		"max_length":        func(n int) policy.PasswordRules { return policy.PasswordRules{MaxLength: n} },
		"classes_of_4":      func(n int) policy.PasswordRules { return policy.PasswordRules{ClassesOf4: n} },
		"max_repeat":        func(n int) policy.PasswordRules { return policy.PasswordRules{MaxRepeat: n} },
		"max_sequence":      func(n int) policy.PasswordRules { return policy.PasswordRules{MaxSequence: n} },
		"max_keyboard_walk": func(n int) policy.PasswordRules { return policy.PasswordRules{MaxKeyboardWalk: n} },
	}
	const alphabet = "abcdefghijklmnopqrstuvwxyz"
	for _, c := range []struct {
		field string
		least bool // the limit is a least one
		from  int
		to    int
		make  func(n int) string // a password in which what is limited is n
	}{
		{"min_length", true, 1, 20, func(n int) string { return strings.Repeat("好", n) }},
		{"min_length_alone", true, 1, 20, func(n int) string { return strings.Repeat("𠮷", n) }},
		{"max_length", false, 1, 300, func(n int) string { return strings.Repeat("é", n) }},
		{"classes_of_4", true, 1, 4, func(n int) string { return "aB3 5"[:n] }},
		{"classes_of_4", true, 1, 4, func(n int) string { return string([]rune("好9zA5")[:n]) }},
		{"max_repeat", false, 1, 20, func(n int) string { return "ab" + strings.Repeat("C", n) + "ab" }},
		{"max_repeat", false, 1, 20, func(n int) string { return "x" + strings.Repeat("好", n) }},
		{"max_sequence", false, 2, 20, func(n int) string { return noise + alphabet[3:3+n] + noise }},
		{"max_sequence", false, 2, 20, func(n int) string { return noise + strings.ToUpper(reverse(alphabet[3:3+n])) + noise }},
		{"max_sequence", false, 2, 9, func(n int) string { return "zz" + "0123456789"[:n] + "zz" }},
		{"max_sequence", false, 2, 9, func(n int) string { return "zz" + "9876543210"[:n] + "zz" }},
		{"max_keyboard_walk", false, 4, 9, func(n int) string { return "zgzg" + "qwertyuiop"[:n] + "-" }},
		{"max_keyboard_walk", false, 4, 9, func(n int) string { return "好" + "POIUYTREWQ"[:n] + "好" }},
		{"max_keyboard_walk", false, 4, 9, func(n int) string { return "ab" + "!@#$%^&*()"[:n] + "ab" }},
		{"max_keyboard_walk", false, 4, 15, func(n int) string { return "++" + "1qaz2wsx3edc4rfv"[:n] }},
		{"max_keyboard_walk", false, 4, 15, func(n int) string { return "++" + "zaq1xsw2cde3vfr4"[:n] }},
		{"max_keyboard_walk", false, 4, 14, func(n int) string { return "++" + "zaq12wsxcde34rfv"[:n] }},
		{"max_keyboard_walk", false, 4, 10, func(n int) string { return "++" + "1q2w3e4r5t6y"[:n] }},
		{"max_keyboard_walk", false, 4, 8, func(n int) string { return "xx" + "qweasdzxc"[:n] }},
		{"max_keyboard_walk", false, 4, 8, func(n int) string { return "xx" + "741852963"[:n] + "xx" }},
		{"max_keyboard_walk", false, 4, 8, func(n int) string { return "xx" + "369258147"[:n] + "xx" }},
	} {
		for limit := c.from; limit <= c.to; limit++ {
			for n := max(limit-1, 0); n <= limit+1; n++ {
				password := c.make(n)
				v := verdict(t, rules[c.field](limit), password, c.field == "min_length_alone")
				want := n >= limit
				if !c.least {
					want = n <= limit
				}
				if len(v.Findings) != 1 || v.Findings[0].Field != c.field || v.Findings[0].OK != want || !slices.Equal(v.Findings[0].Args, []any{limit}) {
					t.Fatalf("%s %d: %.40q: %+v, want met %v", c.field, limit, password, v.Findings, want)
				}
			}
		}
	}
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		field   string
		rules   policy.PasswordRules
		no, yes string
	}{
		{"need_upper", policy.PasswordRules{NeedUpper: true}, "abc1 ", "abÉ"},
		{"need_lower", policy.PasswordRules{NeedLower: true}, "ABC1 ", "ABß"},
		{"need_digit", policy.PasswordRules{NeedDigit: true}, "abc ", "好７"},
		{"need_symbol", policy.PasswordRules{NeedSymbol: true}, "abC1", "abc "},
		{"need_symbol", policy.PasswordRules{NeedSymbol: true}, "", "好"},
	} {
		if got := unmet(verdict(t, c.rules, c.no, false)); !slices.Equal(got, []string{c.field}) {
			t.Errorf("%q: %v, want %s", c.no, got, c.field)
		}
		if got := unmet(verdict(t, c.rules, c.yes, false)); got != nil {
			t.Errorf("%q: %v", c.yes, got)
		}
	}
}

// The score is what zxcvbn makes of it, and never of what it cannot read.
func TestScore(t *testing.T) {
	for _, c := range []struct {
		password string
		least    int
		most     int
	}{
		{"", 0, 0}, {"password", 0, 0}, {"p@ssw0rd", 0, 0}, {"PASSWORD1", 0, 1}, {"aaaaaaaaaaaaaaaa", 0, 0}, {strings.Repeat("aB3$", 32), 0, 2}, {strings.Repeat("woaini", 9), 0, 2},
		{"123456789012", 0, 1}, {"我爱你我爱你我爱你", 0, 1}, {"我爱你", 0, 1}, {"1qaz2wsx", 0, 1}, {"Tr0ub4dour", 0, 2},
		{"brass otter lamp 42", 3, 4}, {"K7#mQ2!vZ9pL", 4, 4}, {"门前大桥下游过一群鸭", 4, 4}, {"привет дорогой мой", 4, 4}, {"gruße vom schönen tal", 4, 4},
	} {
		for limit := range 6 {
			v := verdict(t, policy.PasswordRules{MinScore: limit}, c.password, false)
			if v.Score < c.least || v.Score > c.most {
				t.Fatalf("%q: score %d, want %d to %d", c.password, v.Score, c.least, c.most)
			}
			if met := len(unmet(v)) == 0; met != (v.Score >= limit) {
				t.Errorf("%q: score %d of %d: met %v", c.password, v.Score, limit, met)
			}
		}
	}
	rules := policy.PasswordRules{Words: []string{"brassotter"}}
	f := policy.PersonalFacts{Usernames: []string{"kwmzpqvt"}}
	for _, password := range []string{"kwmzpqvt", "kwmzpqvtbrassotter"} {
		if v, err := rules.Check(password, false, f, policy.Lists{}); err != nil || v.Score > 0 {
			t.Errorf("%q, made of what is known of its owner: score %d, %v", password, v.Score, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	v := verdict(t, policy.Default().Password, "\xff\xfe"+strings.Repeat("a", 20), true)
	if e, ok := errors.AsType[*idp.Error](v.Err()); !ok || e.Msg != "password.malformed" || e.Field != "password" {
		t.Errorf("%v", v.Err())
	}
}

// Err is the first rule that is not met.
func TestErr(t *testing.T) {
	r := policy.PasswordRules{MinLength: 4, MaxLength: 6, NeedDigit: true}
	for password, want := range map[string]string{"a": "password.short [4]", "abcdefg": "password.long [6]", "abcd": "password.need_digit []", "abc1": ""} {
		got := ""
		if e, ok := errors.AsType[*idp.Error](verdict(t, r, password, false).Err()); ok {
			got = fmt.Sprint(e.Msg, " ", e.Args)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", password, got, want)
		}
	}
}

func shop() policy.PersonalFacts {
	return policy.PersonalFacts{
		Usernames: []string{"lin.wei"}, Emails: []string{"linda_88@example.com", "a@b.cn"}, Phones: []string{"+8613812345678"}, MerchantNos: []string{"822290059430001"},
		Serials: []string{"SN-7K42Q9"}, LegalNames: []string{"重庆长乐餐饮有限公司"}, Names: []string{"吕晓伟"},
		HashHit: kept("birthday 19900512", "birthday.md 0512", "document.4 731X", "document.6 12731X"),
	}
}

// kept are facts as their hashes are compared: each is its kind and its value.
func kept(facts ...string) map[string]func(string) bool {
	hash, by := func(kind, value string) []byte { return []byte(kind + "#" + value) }, map[string][]byte{}
	for _, fact := range facts {
		kind, value, _ := strings.Cut(fact, " ")
		by[kind] = hash(kind, value)
	}
	return policy.HashHits(by, hash)
}

// Each rule of a keyed hash is told only where its own is kept, and one that is kept in part
// finds that part.
func TestHashesKeptInPart(t *testing.T) {
	r := policy.PasswordRules{NoBirthday: true, NoDocumentTail: true}
	for _, c := range []struct {
		facts    []string
		password string
		want     string // the rules that are told; upper case: not met
	}{
		{nil, "19900512 12731X", ""},
		{[]string{"document.4 731X"}, "19900512 12731x", "NO_DOCUMENT_TAIL"},
		{[]string{"document.6 12731X"}, "731x", "no_document_tail"},
		{[]string{"birthday.md 0512"}, "1990x512x12731x", "no_birthday"},
		{[]string{"birthday.md 0512"}, "12/05", "NO_BIRTHDAY"},
		{[]string{"birthday 19900512", "document.6 12731X"}, "x0512x12731X", "no_birthday NO_DOCUMENT_TAIL"},
		{[]string{"birthday 0512", "document.4 12731X"}, "0512 12731X", "no_birthday no_document_tail"}, // under another kind it is nothing
	} {
		v, err := r.Check(c.password, false, policy.PersonalFacts{HashHit: kept(c.facts...)}, policy.Lists{})
		var told []string
		for _, f := range v.Findings {
			if f.OK {
				told = append(told, f.Field)
			} else {
				told = append(told, strings.ToUpper(f.Field))
			}
		}
		if got := strings.Join(told, " "); got != c.want || err != nil {
			t.Errorf("%v, %q: %q, want %q (%v)", c.facts, c.password, got, c.want, err)
		}
	}
}

// Personal facts are found whatever the case and whatever stands between, from four
// characters in a row on and not from three.
func TestPersonalFacts(t *testing.T) {
	on := map[string]policy.PasswordRules{
		"no_username": {NoUsername: true}, "no_email": {NoEmail: true}, "no_phone": {NoPhone: true}, "no_birthday": {NoBirthday: true},
		"no_document_tail": {NoDocumentTail: true}, "no_merchant_no": {NoMerchantNo: true}, "no_serial": {NoSerial: true},
		"no_legal_name": {NoLegalName: true}, "no_pinyin": {NoPinyin: true}, "words": {Words: []string{"Hufu", "示范 收单"}},
	}
	for _, c := range []struct {
		field   string
		yes, no []string
	}{
		{"no_username", []string{"xLIN.WEIx", "lin_wei", "ｌｉｎｗｅｉ", "n.we"}, []string{"lin", "lin 7 wei", "n.w"}},
		{"no_email", []string{"LINDA", "da_8", "a@B.cn", "a@b.", "a-b-c-n"}, []string{"lin x da 8", "example.com", "a@b"}},
		{"no_phone", []string{"13812345678", "x1381x", "138-1", "5678", "５６７８", "1 3 8 1"}, []string{"138", "567", "+861"}},
		{"no_merchant_no", []string{"8222", "0001", "9-0-0-5"}, []string{"822", "001", "8 2 x 2 2"}},
		{"no_serial", []string{"sn7k", "SN-7", "42q9"}, []string{"sn7", "7k4"}},
		{"no_legal_name", []string{"我在重庆长乐上班", "长乐餐饮", "吕晓伟", "吕-晓-伟", "晓伟吕晓伟"}, []string{"有限公司", "重庆", "长乐餐", "晓伟"}},
		{"no_pinyin", []string{"chongqing", "zhongqing", "Chang-Le", "changyue", "lvxiaowei", "lyuxiao", "luxiao", "xiaowei", "XiaoweiLv", "weilyu", "cqcl", "x ZQCY", "leca nyin"},
			[]string{"chong", "gongsi", "youxiangongsi", "xiao", "lxw", "cqc", "qingchong"}},
		{"words", []string{"HUFU", "hu-fu", "我在示范收单", "示范 收单"}, []string{"huf", "示范", "fuhu"}},
		{"no_birthday", []string{"19900512", "12051990", "05121990", "1990-05-12", "1990.5.12", "1990年5月12", "900512", "120590", "051290", "0512", "1205", "x99051299x", "1251990", "1990/5/12"},
			[]string{"19900513", "512", "1990", "0513", "05 x 12", "20900513"}},
		{"no_document_tail", []string{"731x", "a731Xb", "12731X", "7-3-1-X"}, []string{"731", "7310", "12731", "x731"}},
	} {
		for _, password := range append(slices.Clone(c.yes), c.no...) {
			v, err := on[c.field].Check(password, false, shop(), policy.Lists{})
			if err != nil || len(v.Findings) != 1 || v.Findings[0].Field != c.field {
				t.Fatalf("%s: %q: %+v, %v", c.field, password, v.Findings, err)
			}
			if want := slices.Contains(c.no, password); v.Findings[0].OK != want {
				t.Errorf("%s: %q: met %v, want %v", c.field, password, !want, want)
			}
		}
		if v := verdict(t, on[c.field], "13812345678", false); c.field != "words" && len(v.Findings) > 0 {
			t.Errorf("%s: nothing is known, and yet %+v", c.field, v.Findings)
		}
	}
}

// Any common order of any birthday is found: the search hands over the one stored form.
func TestEveryBirthday(t *testing.T) {
	r := policy.PasswordRules{NoBirthday: true}
	for day := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2040; day = day.AddDate(0, 0, 503) {
		f := policy.PersonalFacts{HashHit: kept("birthday "+day.Format("20060102"), "birthday.md "+day.Format("0102"))}
		for _, layout := range []string{"20060102", "02012006", "01022006", "060102", "020106", "010206", "0102", "0201", "2006-1-2", "2/1/2006", "2006年1月2日", "2 1 2006"} {
			v, err := r.Check("mx"+day.Format(layout)+"q", false, f, policy.Lists{})
			if err != nil || v.Err() == nil {
				t.Fatalf("%s is not found", day.Format(layout))
			}
		}
	}
}

type list struct {
	words []string
	err   error
}

func (l list) Has(password string) (bool, error) { return slices.Contains(l.words, password), l.err }

func TestLists(t *testing.T) {
	r, l := policy.PasswordRules{CommonFilter: true, BreachFilter: true}, policy.Lists{Common: list{words: []string{"abc"}}, Breach: list{words: []string{"xyz", "abc"}}}
	for password, want := range map[string][]string{"abc": {"common_filter", "breach_filter"}, "xyz": {"breach_filter"}, "ａｂｃ": {"common_filter", "breach_filter"}, "q": nil} {
		v, err := r.Check(password, false, policy.PersonalFacts{}, l)
		if err != nil || !slices.Equal(unmet(v), want) {
			t.Errorf("%q: %v, %v, want %v", password, unmet(v), err, want)
		}
	}
	for _, rules := range []policy.PasswordRules{{CommonFilter: true}, {BreachFilter: true}, {}} {
		v, err := rules.Check("abc", false, policy.PersonalFacts{}, l)
		want := 0
		if rules.CommonFilter || rules.BreachFilter {
			want = 1
		}
		if err != nil || len(v.Findings) != want {
			t.Errorf("%+v: %+v, %v", rules, v.Findings, err)
		}
	}
	if _, err := r.Check("abc", false, policy.PersonalFacts{}, policy.Lists{Breach: list{err: errors.New("gone")}}); err == nil {
		t.Error("a list that cannot be read says nothing")
	}
	if v, err := r.Check("abc", false, policy.PersonalFacts{}, policy.Lists{}); err != nil || len(v.Findings) > 0 {
		t.Errorf("no lists: %+v, %v", v.Findings, err)
	}
}

// The shipped rules: what they refuse, and that they take a good password and a sentence.
func TestDefaultPassword(t *testing.T) {
	r := policy.Default().Password
	for password, want := range map[string][]string{
		"brass otter 42": nil,
		"门前大桥下游过一群鸭，数一数": nil,
		"K7#mQ2!vZ9pL":      nil,
		"brass otte":        {"min_length_alone"},
		"qwertyuiop[]":      {"max_keyboard_walk", "min_score"},
		"hufu brass otter":  {"words"},
		"bbbbbrass otter 4": {"max_repeat"},
		"brass 12345 otter": {"max_sequence"},
	} {
		if got := unmet(verdict(t, r, password, true)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", password, got, want)
		}
	}
	if got := unmet(verdict(t, r, "brass otte", false)); got != nil {
		t.Errorf("ten characters beside a second factor: %v", got)
	}
}

// Every knob has its name of the document, and each of them is off when it is zero.
func TestRulesOff(t *testing.T) {
	if v := verdict(t, policy.PasswordRules{}, "", true); len(v.Findings) > 0 {
		t.Errorf("%+v", v.Findings)
	}
	for f := range reflect.TypeFor[policy.PasswordRules]().Fields() {
		if tag := f.Tag.Get("json"); tag == "" || strings.ToLower(tag) != tag || strings.ReplaceAll(tag, "_", "") != strings.ToLower(f.Name) {
			t.Errorf("%s: %q", f.Name, tag)
		}
	}
}

// No text makes the checker panic, contradict itself or take long.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"", "lin.wei", "1990-05-12", "1qaz2wsx", "4@8({<369&#!1|05$+7%2", "好好学习天天向上", "\xff", "İıſ", "ﷺ", strings.Repeat("12", 300), strings.Repeat("4@8({<36", 300)} {
		f.Add(s, "长乐 cafe", true)
	}
	f.Fuzz(func(t *testing.T, password, name string, alone bool) {
		facts := shop()
		facts.Usernames, facts.LegalNames, facts.Names = []string{name}, []string{name}, []string{name}
		r := policy.Default().Password
		r.Words, r.ClassesOf4, r.NeedUpper = []string{name, ""}, 3, true
		start := time.Now()
		v, err := r.Check(password, alone, facts, policy.Lists{Common: list{words: []string{"a"}}})
		if took := time.Since(start); err != nil || took > 2*time.Second {
			t.Fatalf("%q: %v, %v", password, took, err)
		}
		again, _ := r.Check(password, alone, facts, policy.Lists{Common: list{words: []string{"a"}}})
		if (v.Err() == nil) != (len(unmet(v)) == 0) || !reflect.DeepEqual(v, again) || v.Score < 0 || v.Score > 4 {
			t.Fatalf("%q: %+v, then %+v", password, v, again)
		}
	})
}

// docs/passwords.md names every rule of passwords.
func TestPasswordDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/passwords.md")
	if err != nil {
		t.Fatal(err)
	}
	for f := range reflect.TypeFor[policy.PasswordRules]().Fields() {
		if name := f.Tag.Get("json"); !strings.HasPrefix(name, "pin_") && !slices.Contains([]string{"on_breach_hit", "recheck_at_signin", "grace_days"}, name) &&
			!strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/passwords.md lacks %s", name)
		}
	}
}

// A date that somebody says is found in whatever common order he says it, and nothing else is.
func TestBirthdays(t *testing.T) {
	for said, want := range map[string][]string{
		"19900512": {"19900512"}, "1990-05-12": {"19900512"}, "1990年5月12日": {"19900512"}, "１９９０．５．１２": {"19900512"}, " 1990 / 5 / 12 ": {"19900512"},
		"25.12.1990": {"19901225"}, "12/25/1990": {"19901225"}, "19902512": {"19901225"}, "1980.1.31": {"19800131"},
		"": nil, "900512": nil, "0512": nil, "1990-13-40": nil, "18000512": nil, "199005123": nil, "生日": nil, "19900230": nil,
	} {
		got := policy.Birthdays(said)
		for _, day := range want {
			if !slices.Contains(got, day) {
				t.Errorf("%q: %v", said, got)
			}
		}
		if len(got) > 4 || want == nil && got != nil {
			t.Errorf("%q: %v", said, got)
		}
	}
}
