package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

func draft(t *testing.T, edit func(d *Document)) (Document, error) {
	t.Helper()
	d, err := Parse(shipped)
	if err != nil {
		t.Fatal(err)
	}
	edit(&d)
	again, err := Parse(d.Format())
	if err != nil {
		return d, err
	}
	_, err = Compile(again, 2)
	return again, err
}

// What is printed reads as the same document, and the shipped one is printed as it stands.
func TestFormatReads(t *testing.T) {
	d, err := Parse(shipped)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(d.Format())
	if err != nil || !reflect.DeepEqual(d, again) {
		t.Errorf("reads as another document: %v\n%v", err, Diff(d, again))
	}
	var a, b any
	if err := errors.Join(json.Unmarshal(shipped, &a), json.Unmarshal(d.Format(), &b)); err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("the shipped document is printed differently: %v", err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"0s": 0, "90s": 90 * time.Second, "1m30s": 90 * time.Second, "7d12h": 180 * time.Hour, "1us": time.Microsecond, "28m48s": 1728 * time.Second} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "s", "-5s", "5 s", "5w", "1.5h", "99999999999d", "999999999d999999999d", "+5s", "٣s", "5S"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q reads as %v", text, d)
		}
	}
	for range 1000 {
		d := time.Duration(rand.Int64N(int64(800 * day))).Truncate(time.Microsecond)
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("%v prints as %s, reads as %v, %v", d, FormatDuration(d), got, err)
		}
	}
}

// Whoever the numbers of RULES.md name gets them.
func TestShippedNumbers(t *testing.T) {
	p := Default()
	who := func(role idp.Role, tier idp.Tier) *Settings { return p.For(Facts{Role: role, Tier: tier}) }
	for _, c := range []struct {
		role     idp.Role
		tier     idp.Tier
		signIn   idp.ACR
		grace    int
		idle     time.Duration
		most     int
		trust    time.Duration
		sms      bool
		length   int
		alone    int
		score    int
		terminal time.Duration
	}{
		{idp.RoleOwner, idp.TierMicro, idp.ACR2, 7, 8 * time.Hour, 50, 30 * day, true, 10, 12, 2, 365 * day},
		{idp.RoleManager, idp.TierStandard, idp.ACR2, 7, 8 * time.Hour, 50, 30 * day, true, 10, 12, 2, 365 * day},
		{idp.RoleCashier, idp.TierStandard, idp.ACR1, 7, 8 * time.Hour, 50, 30 * day, true, 10, 12, 2, 365 * day},
		{idp.RoleCashier, idp.TierHighValue, idp.ACR2, 0, time.Hour, 10, 0, false, 12, 15, 3, 180 * day},
		{idp.RoleOwner, idp.TierHighValue, idp.ACR2, 0, time.Hour, 10, 0, false, 12, 15, 3, 180 * day},
		{idp.RoleAuditor, "", idp.ACR2, 0, 15 * time.Minute, 3, 0, false, 12, 15, 3, 180 * day},
		{idp.RolePolicyAdmin, "", idp.ACRPhr, 0, 15 * time.Minute, 3, 0, false, 12, 15, 3, 180 * day},
	} {
		s := who(c.role, c.tier)
		if s.Factors.SignIn != c.signIn || s.Factors.GraceDays != c.grace || s.Session.Idle != c.idle || s.Session.Most != c.most || s.Trust.Trust != c.trust ||
			s.Factors.SMSSecond != c.sms || s.Password.MinLength != c.length || s.Password.MinLengthAlone != c.alone || s.Password.MinScore != c.score || s.Grants.TerminalAbsolute != c.terminal {
			t.Errorf("%s %s: %+v %+v %+v", c.role, c.tier, s.Factors, s.Session, s.Password)
		}
	}
	if m := p.Throttle.PasswordStranger.Month() + p.Throttle.PasswordIntroduced.Month() + p.Throttle.PasswordBrowser.Month(); m != 99 {
		t.Errorf("E2: %d guesses a month, want 99", m)
	}
}

// Staff without a known merchant fall under the strictest tier.
func TestWho(t *testing.T) {
	m := &idp.Merchant{Tier: idp.TierMicro, No: "822290059430001"}
	for _, c := range []struct {
		role idp.Role
		m    *idp.Merchant
		want Facts
	}{
		{idp.RoleOwner, m, Facts{User: "u", Role: idp.RoleOwner, Tier: idp.TierMicro, Merchant: m.No, Store: "s"}},
		{idp.RoleCashier, nil, Facts{User: "u", Role: idp.RoleCashier, Tier: idp.TierHighValue, Store: "s"}},
		{idp.RoleAuditor, m, Facts{User: "u", Role: idp.RoleAuditor}},
	} {
		if got := Who(idp.User{ID: "u", Role: c.role, StoreID: "s"}, c.m); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// value is some value that a field may hold.
func value(r *rand.Rand, f Field) any {
	pick := func(words []string) []string {
		out := []string{}
		for _, w := range words {
			if r.IntN(2) == 0 {
				out = append(out, w)
			}
		}
		return out
	}
	switch {
	case f.Type == acrType:
		return idp.ACR(1 + r.IntN(4))
	case f.Type == versionType:
		return Version([]string{"", "4", "4.0", "4.9", "4.10", "10.0.0.1"}[r.IntN(6)])
	case f.Type == durationType:
		lo, hi := f.Min.(time.Duration), f.Max.(time.Duration)
		return lo + time.Duration(r.Int64N(int64(hi-lo)+1))
	case f.Type.Kind() == reflect.Bool:
		return r.IntN(2) == 0
	case f.Type.Kind() == reflect.Int:
		lo, hi := f.Min.(int64), f.Max.(int64)
		return int(lo + r.Int64N(hi-lo+1))
	case f.Type.Kind() == reflect.String:
		return f.Words[r.IntN(len(f.Words))]
	case f.Type.Elem().Kind() == reflect.Int:
		return [][]int{{}, {1}, {14, 7}, {30, 3, 1}}[r.IntN(4)]
	case len(f.Words) > 0:
		return pick(f.Words)
	}
	return pick([]string{"a", "b", "c", "d"})
}

// Merging is the same in any order and grouping, merging with itself changes nothing, and
// what comes out is never less strict than what went in: properties of every field.
func TestMergeProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	same := func(f Field, a, b any) bool { return f.Text(a) == f.Text(b) }
	for _, f := range Fields() {
		if f.Merge == DefaultOne {
			continue
		}
		for range 300 {
			a, b, c := value(r, f), value(r, f), value(r, f)
			if f.Merge == Common || f.Merge == Joined { // lists are sets
				for _, v := range []any{a, b, c} {
					if l, ok := v.([]string); ok {
						slices.Sort(l)
					}
				}
			}
			ab := f.join(a, b)
			switch {
			case !same(f, ab, f.join(b, a)):
				t.Fatalf("%s: %v and %v in another order", f.Path, a, b)
			case !same(f, f.join(a, f.join(b, c)), f.join(ab, c)) && f.Merge != Common:
				t.Fatalf("%s: %v, %v and %v grouped otherwise", f.Path, a, b, c)
			case !same(f, f.join(a, a), a):
				t.Fatalf("%s: %v with itself", f.Path, a)
			case !same(f, f.join(ab, a), ab) || !same(f, f.join(ab, b), ab):
				t.Fatalf("%s: %v and %v give %v, which is less strict than one of them", f.Path, a, b, ab)
			}
		}
	}
}

// The table of operators, by hand.
func TestMergeTable(t *testing.T) {
	for _, c := range []struct {
		path       string
		a, b, want any
	}{
		{"password.min_length", 8, 12, 12}, {"password.max_length", 256, 64, 64}, {"password.max_repeat", 0, 4, 4}, {"password.max_repeat", 3, 4, 3},
		{"password.need_upper", false, true, true}, {"password.words", []string{"b"}, []string{"a", "b"}, []string{"a", "b"}},
		{"password.on_breach_hit", "warn", "change", "change"}, {"password.remind_days", []int{14, 1}, []int{7}, []int{14, 7, 1}}, {"password.max_age_days", 0, 90, 90},
		{"factors.sign_in", idp.ACR1, idp.ACRPhr, idp.ACRPhr}, {"factors.grace_days", 7, 0, 0}, {"factors.sms_second", true, false, false},
		{"factors.kinds", []string{"totp", "passkey"}, []string{"passkey"}, []string{"passkey"}}, {"factors.kinds", []string{}, []string{"passkey"}, []string{"passkey"}},
		{"factors.kinds", []string{"totp"}, []string{"passkey"}, nothing}, {"factors.models_denied", []string{"x"}, []string{}, []string{"x"}},
		{"session.idle", 8 * time.Hour, time.Hour, time.Hour}, {"browser.trust", 30 * day, time.Duration(0), time.Duration(0)},
		{"terminals.key_required", false, true, true}, {"terminals.minimum_software.esign", Version("4.9"), Version("4.10"), Version("4.10")},
		{"terminals.minimum_software.smart", Version(""), Version("1"), Version("1")},
		{"terminals.approvers.esign.new", []string{"owner", "manager"}, []string{"owner"}, []string{"owner"}},
	} {
		f := fields[byPath[c.path]]
		if got := f.join(c.a, c.b); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v and %v give %v, want %v", c.path, c.a, c.b, got, c.want)
		}
	}
}

// What holds for somebody is, field by field, the merge of all the rules that hold for
// him, by a second way of computing it.
func TestForEqualsBruteForce(t *testing.T) {
	p := Default()
	for f := range p.everybody {
		s := p.For(f)
		for _, fd := range Fields() {
			var want any
			for _, rule := range p.Document.Rules {
				v, ok := rule.Set[fd.Path]
				if !ok || !rule.When.Holds(f) {
					continue
				}
				if want == nil {
					want = v
				} else {
					want = fd.join(want, v)
				}
			}
			if got := fd.get(s); fd.Text(got) != fd.Text(want) {
				t.Errorf("%s for %+v: %v, want %v", fd.Path, f, got, want)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	p := Default()
	e, ok := p.Explain("password.min_length", Facts{Role: idp.RoleOwner, Tier: idp.TierHighValue})
	if !ok || e.Value != "12" || !slices.Equal(e.By, []Said{{"high value", "12"}}) || !slices.Equal(e.Over, []Said{{"default", "10"}}) {
		t.Errorf("%+v", e)
	}
	e, _ = p.Explain("factors.sign_in", Facts{Role: idp.RolePolicyAdmin})
	if e.Value != "phr" || len(e.By) != 1 || e.By[0].Rule != "policy administrators" || len(e.Over) != 2 {
		t.Errorf("%+v", e)
	}
	if _, ok := p.Explain("password.min_lenght", Facts{}); ok {
		t.Error("explains a field that is none")
	}
	for _, e := range p.ExplainAll(Facts{Role: idp.RoleOwner, Tier: idp.TierHighValue}) {
		if len(e.By) == 0 {
			t.Errorf("%s: no rule has decided: %+v", e.Path, e)
		}
	}
	if n := len(p.ExplainAll(Facts{Role: idp.RoleOwner})); n != len(Fields()) {
		t.Errorf("%d of %d fields explained", n, len(Fields()))
	}
}

// Each way in which a document can be wrong is refused with the path of the field.
func TestRefusals(t *testing.T) {
	set := func(i int, path string, v any) func(d *Document) {
		return func(d *Document) { d.Rules[i].Set[path] = v }
	}
	add := func(r Rule) func(d *Document) { return func(d *Document) { d.Rules = append(d.Rules, r) } }
	tiers := Selector{Tiers: []idp.Tier{idp.TierMicro}}
	for name, c := range map[string]struct {
		edit func(d *Document)
		path string
		key  string
	}{
		"no rules":                 {func(d *Document) { d.Rules = nil }, "rules[0]", "policy.bad.default"},
		"a default for some":       {func(d *Document) { d.Rules[0].When = tiers }, "rules[0]", "policy.bad.default"},
		"a field missing":          {func(d *Document) { delete(d.Rules[0].Set, "codes.tries") }, "rules[0].set.codes.tries", "policy.bad.missing"},
		"no name":                  {func(d *Document) { d.Rules[2].Name = " " }, "rules[2].name", "policy.bad.name"},
		"a name twice":             {func(d *Document) { d.Rules[2].Name = "default" }, "rules[2].name", "policy.bad.twice"},
		"a rule for everybody":     {add(Rule{Name: "x", Set: Values{"session.most": 3}}), "rules[6].when", "policy.bad.everybody"},
		"a rule that says nothing": {add(Rule{Name: "x", When: tiers, Set: Values{}}), "rules[6].set", "policy.bad.nothing"},
		"a number of everybody's":  {add(Rule{Name: "x", When: tiers, Set: Values{"codes.tries": 3}}), "rules[6].set.codes.tries", "policy.bad.global"},
		"an unknown tier":          {func(d *Document) { d.Rules[2].When.Tiers = []idp.Tier{"gold"} }, "rules[2].when.tiers", "policy.bad.word"},
		"an unknown role":          {func(d *Document) { d.Rules[1].When.Roles = []idp.Role{"boss"} }, "rules[1].when.roles", "policy.bad.word"},
		"too short":                {set(0, "password.min_length", 7), "rules[0].set.password.min_length", "policy.bad.range"},
		"too long":                 {set(0, "session.idle", 25*time.Hour), "rules[0].set.session.idle", "policy.bad.range"},
		"idle beyond the whole":    {set(2, "session.absolute", 30*time.Minute), "rules[2].set.session.idle", "policy.bad.order"},
		"alone shorter":            {set(2, "password.min_length", 20), "rules[2].set.password.min_length_alone", "policy.bad.order_least"},
		"kinds with nothing common": {func(d *Document) {
			set(0, "factors.kinds", []string{"totp"})(d)
			set(2, "factors.kinds", []string{"passkey"})(d)
		}, "rules[2].set.factors.kinds", "policy.bad.empty"},
		"administrators kept out":    {set(3, "factors.kinds", []string{"totp"}), "rules[4].set.factors.sign_in", "policy.bad.unreachable"},
		"hardware without attesting": {set(4, "factors.sign_in", idp.ACRPhrh), "rules[4].set.factors.sign_in", "policy.bad.attested"},
		"operators with one factor":  {func(d *Document) { delete(d.Rules[3].Set, "factors.sign_in") }, "rules[0].set.factors.sign_in", "policy.bad.operator"},
		"money for one factor":       {set(0, "step_up.money_acr", idp.ACR1), "rules[0].set.step_up.money_acr", "policy.bad.money"},
		"a version that is none":     {set(0, "terminals.minimum_software.esign", Version("v4")), "rules[0].set.terminals.minimum_software.esign", "policy.bad.version"},
		"terminals that nobody lets in": {func(d *Document) {
			set(0, "terminals.approvers.esign.new", []string{"manager"})(d)
			set(2, "terminals.approvers.esign.new", []string{"owner"})(d)
		}, "rules[2].set.terminals.approvers.esign.new", "policy.bad.empty"},
		"proofs forgotten early": {set(0, "tokens.proof_once", time.Minute), "rules[0].set.tokens.proof", "policy.bad.order"},
		"E1":                     {set(0, "throttle.totp_stranger.burst", 8), "rules[0].set.throttle.totp_stranger", "policy.bad.e1"},
		"E2":                     {set(0, "throttle.password_stranger.burst", 22), "rules[0].set.throttle.password_stranger", "policy.bad.e2"},
		"E4":                     {set(0, "throttle.user_code_account.burst", 200), "rules[0].set.throttle.user_code_account", "policy.bad.e4"},
		"work above the most":    {set(0, "work.sms", 25), "rules[0].set.work.sms", "policy.bad.order"},
		"a wait that forgets early": {func(d *Document) {
			set(0, "throttle.password_wait.forget", time.Hour)(d)
			set(0, "throttle.password_wait.cap", time.Hour)(d)
			set(0, "throttle.password_wait.unit", 5*time.Minute)(d)
			set(0, "flow.whole", 10*time.Minute)(d)
		}, "rules[0].set.flow.step", "policy.bad.order"},
		"history without a count": {func(d *Document) {
			set(0, "password.history_count", 0)(d)
			set(0, "password.history_days", 90)(d)
			delete(d.Rules[2].Set, "password.history_count")
			delete(d.Rules[2].Set, "password.history_days")
		}, "rules[0].set.password.history_days", "policy.bad.history"},
	} {
		_, err := draft(t, c.edit)
		if !slices.ContainsFunc(ProblemsOf(err), func(p Problem) bool { return p.Path == c.path && p.Key == c.key }) {
			t.Errorf("%s: %v, want %s %s", name, err, c.path, c.key)
		}
	}
}

// At the limits of every field's range, and one beyond.
func TestRanges(t *testing.T) {
	for _, f := range Fields() {
		if f.Min == nil {
			continue
		}
		for _, bound := range []any{f.Min, f.Max} {
			n := reflect.ValueOf(bound).Int()
			for _, d := range []int64{-1, 0, 1} {
				var raw []byte
				if f.Type == durationType {
					if n+d*int64(time.Microsecond) < 0 {
						continue
					}
					raw, _ = json.Marshal(FormatDuration(time.Duration(n + d*int64(time.Microsecond))))
				} else {
					raw, _ = json.Marshal(n + d)
				}
				inside := bound == f.Min && d >= 0 || bound == f.Max && d <= 0
				if _, p := f.decode(raw); (p == nil) != inside {
					t.Errorf("%s: %s gives %v", f.Path, raw, p)
				}
			}
		}
	}
}

func TestParseRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"": "policy.bad.json", "{}x": "policy.bad.json", `{"rules":[],"extra":1}`: "policy.bad.json", `{"rules":[{"nme":"x"}]}`: "policy.bad.json",
		`{"rules":[{"name":"x","set":{"password":{"min_lenght":12}}}]}`:                         "policy.bad.unknown",
		`{"rules":[{"name":"x","set":{"password":12}}]}`:                                        "policy.bad.object",
		`{"rules":[{"name":"x","set":{"password":{"min_length":12,"min_length":8}}}]}`:          "policy.bad.object",
		`{"rules":[{"name":"x","set":{"password":{"min_length":"12"}}}]}`:                       "policy.bad.number",
		`{"rules":[{"name":"x","set":{"password":{"min_length":12.5}}}]}`:                       "policy.bad.number",
		`{"rules":[{"name":"x","set":{"password":{"need_upper":1}}}]}`:                          "policy.bad.bool",
		`{"rules":[{"name":"x","set":{"session":{"idle":"1w"}}}]}`:                              "policy.bad.duration",
		`{"rules":[{"name":"x","set":{"session":{"idle":60}}}]}`:                                "policy.bad.duration",
		`{"rules":[{"name":"x","set":{"factors":{"sign_in":"2"}}}]}`:                            "policy.bad.acr",
		`{"rules":[{"name":"x","set":{"factors":{"kinds":["horoscope"]}}}]}`:                    "policy.bad.word",
		`{"rules":[{"name":"x","set":{"factors":{"models":"a"}}}]}`:                             "policy.bad.list",
		`{"rules":[{"name":"x","set":{"password":{"on_breach_hit":"shout"}}}]}`:                 "policy.bad.word",
		`{"rules":[{"name":"x","set":{"password":{"remind_days":[-1]}}}]}`:                      "policy.bad.list",
		`{"rules":"` + strings.Repeat("x", MaxDocument) + `"}`:                                  "policy.bad.long",
		`{"rules":[{"name":"x","when":{"moons":["full"]},"set":{"session":{"most":3}}}]}`:       "policy.bad.json",
		`{"rules":[{"name":"x","set":{"session":{"most":3}}},{"name":"y","set":{"oddity":1}}]}`: "policy.bad.unknown",
	} {
		_, err := Parse([]byte(text))
		if !slices.ContainsFunc(ProblemsOf(err), func(p Problem) bool { return p.Key == want }) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
	_, err := Parse([]byte(`{"rules":[{"name":"x","set":{"password":{"min_lenght":12}}}]}`))
	if p := ProblemsOf(err); len(p) != 1 || p[0].Path != "rules[0].set.password.min_lenght" {
		t.Errorf("%v", err)
	}
}

func TestDiff(t *testing.T) {
	old, err := Parse(shipped)
	if err != nil {
		t.Fatal(err)
	}
	now, err := draft(t, func(d *Document) {
		d.Rules[0].Set["password.min_length"] = 12
		d.Rules[0].Set["session.idle"] = 12 * time.Hour
		d.Rules[0].Set["codes.tries"] = 4
		d.Rules[2].Set["password.max_age_days"] = 90
		delete(d.Rules[2].Set, "password.min_score")
		d.Rules[4].When.Roles = append(d.Rules[4].When.Roles, idp.RoleAuditor)
		d.Rules = append(d.Rules, Rule{Name: "one shop", When: Selector{Merchants: []string{"822290059430001"}}, Set: Values{"session.most": 2}})
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{"default", "password.min_length", "10", "12", Stricter}, {"default", "session.idle", "8h", "12h", Looser}, {"default", "codes.tries", "5", "4", Altered},
		{"high value", "password.min_score", "3", "", Removed}, {"high value", "password.max_age_days", "", "90", Added},
		{"policy administrators", "when", "roles: policy_admin", "roles: policy_admin, auditor", Altered},
		{"one shop", "", "", "one shop", Added}, {"one shop", "session.most", "", "2", Added},
	}
	if got := Diff(old, now); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := Diff(now, old); len(got) != 7 || got[len(got)-1].Effect != Removed {
		t.Errorf("back: %+v", got)
	}
	if got := Diff(old, old); len(got) != 0 {
		t.Errorf("from itself: %+v", got)
	}
}

// The canary's share is the same people each time, and about as many as it says.
func TestCanary(t *testing.T) {
	old := Default()
	d, err := draft(t, func(d *Document) { d.Rules[0].Set["password.min_length"] = 11 })
	if err != nil {
		t.Fatal(err)
	}
	next, err := Compile(d, 2)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLive(old)
	l.Use(old, &Canary{Policy: next, Percent: 10, Merchants: []string{"1"}})
	n := 0
	for range 10_000 {
		f := Facts{User: idp.NewID(), Role: idp.RoleCashier, Tier: idp.TierMicro, Merchant: "2"}
		if l.Of(f) == next {
			n++
		}
		if l.Of(f) != l.Of(f) {
			t.Fatal("not the same twice")
		}
	}
	if n < 850 || n > 1150 {
		t.Errorf("%d of 10000 try it, want about 1000", n)
	}
	if s := l.For(Facts{Role: idp.RoleCashier, Tier: idp.TierMicro, Merchant: "1"}); s.Password.MinLength != 11 {
		t.Error("not for the merchant named")
	}
	if l.Now() != old {
		t.Error("in force before it is")
	}
}

// The schema names every field with its bounds, and nothing else.
func TestSchema(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(Schema("https://id.example.com/policy.schema.json"), &s); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) map[string]any {
		here := s
		for _, name := range path {
			next, ok := here[name].(map[string]any)
			if !ok {
				t.Fatalf("no %s in %v", name, path)
			}
			here = next
		}
		return here
	}
	set := []string{"properties", "rules", "items", "properties", "set"}
	for _, f := range Fields() {
		path := slices.Clone(set)
		for _, part := range strings.Split(f.Path, ".") {
			path = append(path, "properties", part)
		}
		leaf := at(path...)
		if f.Type.Kind() == reflect.Int && f.Type != acrType && (leaf["minimum"] != float64(f.Min.(int64)) || leaf["maximum"] != float64(f.Max.(int64))) {
			t.Errorf("%s: %v", f.Path, leaf)
		}
	}
	if at(set...)["additionalProperties"] != false {
		t.Error("other fields are let through")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(shipped)
	f.Add([]byte(`{"rules":[{"when":{"tiers":[]}}]}`))
	f.Add([]byte(`{"rules":[{"name":"x","when":{"tiers":["micro"]},"set":{"password":{"min_length":12}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := Parse(d.Format())
		if err != nil {
			t.Fatalf("what was read is printed as what cannot be: %v\n%s", err, d.Format())
		}
		if !bytes.Equal(d.Format(), again.Format()) {
			t.Fatal("printed differently the second time")
		}
		if p, err := Compile(d, 2); err == nil {
			for f := range p.everybody {
				p.For(f)
			}
		}
	})
}
