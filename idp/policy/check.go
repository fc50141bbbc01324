package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/idp"
)

// MostRules bounds a document.
const MostRules = 64

// shape says what is wrong with a document rule by rule.
func (p *Policy) shape() (out Problems) {
	rules := p.Document.Rules
	switch {
	case len(rules) == 0 || !rules[0].When.IsZero():
		return Problems{{Path: "rules[0]", Key: "policy.bad.default"}}
	case len(rules) > MostRules:
		return Problems{{Path: "rules", Key: "policy.bad.rules", Args: []any{MostRules}}}
	}
	for _, f := range fields {
		if _, ok := rules[0].Set[f.Path]; !ok {
			out = append(out, Problem{Path: "rules[0].set." + f.Path, Key: "policy.bad.missing"})
		}
	}
	names := map[string]bool{}
	for i, r := range rules {
		at := fmt.Sprintf("rules[%d]", i)
		switch n := utf8.RuneCountInString(strings.TrimSpace(r.Name)); {
		case n == 0 || n > 60:
			out = append(out, Problem{Path: at + ".name", Key: "policy.bad.name"})
		case names[r.Name]:
			out = append(out, Problem{Path: at + ".name", Key: "policy.bad.twice"})
		}
		names[r.Name] = true
		if i > 0 {
			out = append(out, r.further(at)...)
		}
		out = append(out, r.When.unknown(at+".when")...)
	}
	return out
}

// further says what is wrong with a rule beside the default.
func (r Rule) further(at string) (out Problems) {
	if r.When.IsZero() {
		out = append(out, Problem{Path: at + ".when", Key: "policy.bad.everybody"})
	}
	if len(r.Set) == 0 {
		out = append(out, Problem{Path: at + ".set", Key: "policy.bad.nothing"})
	}
	for _, f := range fields {
		if _, ok := r.Set[f.Path]; ok && f.global {
			out = append(out, Problem{Path: at + ".set." + f.Path, Key: "policy.bad.global"})
		}
	}
	return out
}

func (s Selector) unknown(at string) (out Problems) {
	for _, r := range s.Roles {
		if !slices.Contains(idp.Roles, r) {
			out = append(out, Problem{Path: at + ".roles", Key: "policy.bad.word", Args: []any{words(idp.Roles)}})
		}
	}
	for _, t := range s.Tiers {
		if !slices.Contains(idp.Tiers, t) {
			out = append(out, Problem{Path: at + ".tiers", Key: "policy.bad.word", Args: []any{words(idp.Tiers)}})
		}
	}
	return out
}

func words[S ~string](list []S) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// sense says where what holds together contradicts itself, for anybody who can exist.
func (p *Policy) sense() (out Problems) {
	out = append(out, p.All.inequalities()...)
	out = append(out, p.All.orders()...)
	seen := map[string]bool{}
	for f := range p.everybody {
		s := p.For(f)
		for _, c := range s.contradictions(f.Role) {
			c.Path = p.setBy(c.Path, f)
			if key := c.Path + c.Key; !seen[key] {
				seen[key] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// setBy is where in the document the value of a field comes from: the last rule that decides it.
func (p *Policy) setBy(path string, f Facts) string {
	e, _ := p.Explain(path, f)
	for i, r := range slices.Backward(p.Document.Rules) {
		if slices.ContainsFunc(e.By, func(s Said) bool { return s.Rule == r.Name }) {
			return fmt.Sprintf("rules[%d].set.%s", i, path)
		}
	}
	return path
}

// everybody yields facts such that each set of rules that can hold together holds for one of them at least.
func (p *Policy) everybody(yield func(Facts) bool) {
	merchants := p.groups(func(s Selector) []string { return s.Merchants })
	stores := p.groups(func(s Selector) []string { return s.Stores })
	clients := p.groups(func(s Selector) []string { return s.Clients })
	for _, role := range idp.Roles {
		tiers := idp.Tiers
		if role.Operator() {
			tiers = []idp.Tier{""}
		}
		for _, tier := range tiers {
			for _, m := range merchants {
				for _, st := range stores {
					for _, c := range clients {
						if role.Operator() && m+st != "" {
							continue
						}
						if !yield(Facts{Role: role, Tier: tier, Merchant: m, Store: st, Client: c}) {
							return
						}
					}
				}
			}
		}
	}
}

// groups are one of each kind of named things that the same rules name, and none.
func (p *Policy) groups(of func(Selector) []string) []string {
	named := map[string][]int{}
	for i, r := range p.Document.Rules {
		for _, id := range of(r.When) {
			named[id] = append(named[id], i)
		}
	}
	out, seen := []string{""}, map[string]bool{}
	for id, by := range named {
		if key := fmt.Sprint(by); !seen[key] {
			seen[key] = true
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// contradictions of what holds for a role.
func (s *Settings) contradictions(role idp.Role) (out Problems) {
	wrong := func(bad bool, path, key string, args ...any) {
		if bad {
			out = append(out, Problem{Path: path, Key: key, Args: args})
		}
	}
	passkeys := len(s.Factors.Kinds) == 0 || slices.Contains(s.Factors.Kinds, "passkey")
	wrong(slices.Equal(s.Factors.Kinds, nothing), "factors.kinds", "policy.bad.empty")
	wrong(slices.Equal(s.Factors.Models, nothing), "factors.models", "policy.bad.empty")
	wrong(s.Factors.SignIn >= idp.ACRPhr && !passkeys, "factors.sign_in", "policy.bad.unreachable")
	wrong(s.Factors.SignIn >= idp.ACRPhrh && !s.Factors.Attested, "factors.sign_in", "policy.bad.attested")
	wrong(role.Operator() && s.Factors.SignIn < idp.ACR2, "factors.sign_in", "policy.bad.operator")
	wrong(s.StepUp.MoneyACR < idp.ACR2, "step_up.money_acr", "policy.bad.money")
	wrong(s.StepUp.ConsoleACR < idp.ACR2, "step_up.console_acr", "policy.bad.operator")
	wrong(s.StepUp.ConsoleACR > idp.ACRPhr, "step_up.console_acr", "policy.bad.console") // no walk leads there
	wrong(s.StepUp.ConsoleACR == idp.ACRPhr && role.Operator() && !passkeys, "step_up.console_acr", "policy.bad.unreachable")
	wrong(s.Session.Idle > s.Session.Absolute, "session.idle", "policy.bad.order", "session.absolute")
	wrong(s.Grants.Idle > s.Grants.Absolute, "grants.idle", "policy.bad.order", "grants.absolute")
	wrong(s.Grants.TerminalIdle > s.Grants.TerminalAbsolute, "grants.terminal_idle", "policy.bad.order", "grants.terminal_absolute")
	wrong(s.Recovery.Usual > s.Recovery.Raised, "recovery.usual", "policy.bad.order", "recovery.raised")
	wrong(s.Recovery.Raised > s.Recovery.High, "recovery.raised", "policy.bad.order", "recovery.high")
	wrong(len(s.Recovery.Proofs) == 0, "recovery.proofs", "policy.bad.empty")
	wrong(len(s.Recovery.Approvers) == 0, "recovery.approvers", "policy.bad.empty")
	for _, f := range fields {
		if strings.HasPrefix(f.Path, "terminals.approvers.") {
			wrong(slices.Equal(f.get(s).([]string), nothing), f.Path, "policy.bad.empty")
		}
	}
	return append(out, s.Password.contradictions()...)
}

func (r PasswordRules) contradictions() (out Problems) {
	wrong := func(bad bool, path, key string, args ...any) {
		if bad {
			out = append(out, Problem{Path: "password." + path, Key: key, Args: args})
		}
	}
	wrong(r.MinLength > r.MaxLength, "min_length", "policy.bad.order", "password.max_length")
	wrong(r.MinLengthAlone > r.MaxLength, "min_length_alone", "policy.bad.order", "password.max_length")
	wrong(r.MinLengthAlone < r.MinLength, "min_length_alone", "policy.bad.order_least", "password.min_length")
	wrong(r.MaxAgeDays > 0 && r.MinAgeHours > 24*r.MaxAgeDays, "min_age_hours", "policy.bad.order", "password.max_age_days")
	wrong(r.HistoryDays > 0 && r.HistoryCount == 0, "history_days", "policy.bad.history")
	return out
}

// inequalities are the bounds on what a thief may guess in a month (RULES E1 to E4).
func (a All) inequalities() (out Problems) {
	t, digits := a.Throttle, math.Pow10(a.Codes.Digits)
	wrong := func(bad bool, path, key string, args ...any) {
		if bad {
			out = append(out, Problem{Path: path, Key: key, Args: args})
		}
	}
	steps := 3.0 // a guess at a TOTP is right for three steps
	second := float64(t.TOTPStranger.Month()+t.TOTPIntroduced.Month()+t.TOTPBrowser.Month())*steps/1e6 + float64(t.CodeStranger.Month()+t.CodeBrowser.Month())/digits
	wrong(second >= 1e-4, "rules[0].set.throttle.totp_stranger", "policy.bad.e1", fmt.Sprintf("%.1e", second))
	passwords := t.PasswordStranger.Month() + t.PasswordIntroduced.Month() + t.PasswordBrowser.Month()
	wrong(passwords > 100, "rules[0].set.throttle.password_stranger", "policy.bad.e2", passwords)
	recovery := float64(a.Returns.Code.Month()) * 2 / math.Pow10(a.Returns.Digits) // a code to a phone and one to an address
	wrong(recovery > 1e-6, "rules[0].set.returns.code", "policy.bad.e3", fmt.Sprintf("%.1e", recovery))
	codes := float64(t.UserCodeAccount.Month()) * 1000 / math.Pow(20, 8)
	wrong(codes >= 1e-5, "rules[0].set.throttle.user_code_account", "policy.bad.e4", fmt.Sprintf("%.1e", codes))
	return out
}

// orders are pairs of which the first is at most the second.
func (a All) orders() (out Problems) {
	type pair struct {
		path, other string
		least, most int64
	}
	d := func(d time.Duration) int64 { return int64(d) }
	n := func(n int) int64 { return int64(n) }
	pairs := []pair{
		{"flow.step", "flow.whole", d(a.Flow.Step), d(a.Flow.Whole)},
		{"work.bits", "work.most", n(a.Work.Bits), n(a.Work.Most)},
		{"work.sms", "work.most", n(a.Work.SMS), n(a.Work.Most)},
		{"recovery_codes.low", "recovery_codes.count", n(a.Paper.Low), n(a.Paper.Count)},
		{"sends.phone_kept", "sends.phone_day.burst", n(a.Sends.PhoneKept), n(a.Sends.PhoneDay.Burst - 1)},
		{"sends.mail_kept", "sends.mail_day.burst", n(a.Sends.MailKept), n(a.Sends.MailDay.Burst - 1)},
		{"tokens.access_money", "tokens.access", d(a.Tokens.AccessMoney), d(a.Tokens.Access)},
		{"device.interval", "device.life", d(a.Device.Interval), d(a.Device.Life)},
		{"returns.life", "flow.step", d(a.Returns.Life), d(a.Flow.Step)},
		{"returns.day_from", "returns.day_to", n(a.Returns.DayFrom), n(a.Returns.DayTo - 1)},
		{"tokens.proof", "tokens.proof_once", d(a.Tokens.Proof + a.Tokens.ProofAhead), d(a.Tokens.ProofOnce)},
		{"work.life", "work.window", d(a.Work.Life), d(a.Work.Window)},
	}
	for name, w := range map[string]Wait{"password_wait": a.Throttle.PasswordWait, "password_browser_wait": a.Throttle.PasswordBrowserWait, "user_code_wait": a.Throttle.UserCodeWait} {
		pairs = append(pairs, pair{"throttle." + name + ".unit", "throttle." + name + ".cap", d(w.Unit), d(w.Cap)},
			pair{"throttle." + name + ".cap", "throttle." + name + ".forget", d(w.Cap), d(w.Forget)})
	}
	for _, p := range pairs {
		if p.least > p.most {
			out = append(out, Problem{Path: "rules[0].set." + p.path, Key: "policy.bad.order", Args: []any{p.other}})
		}
	}
	slices.SortFunc(out, func(x, y Problem) int { return strings.Compare(x.Path, y.Path) })
	return out
}
