package flows

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/idp/web"
	"hufu/templates"
)

// personalFacts are what must not be in the password of the flow's person.
func (s *State) personalFacts(ctx context.Context) (f policy.PersonalFacts, err error) {
	if s.user == nil {
		return f, nil
	}
	var terminals []idp.Terminal
	if s.merchant != nil {
		if terminals, err = s.engine.Store.Terminals(ctx, "", s.merchant.ID, policy.MostSerials); err != nil {
			return f, err
		}
	}
	f = policy.FactsOf(*s.user, s.merchant, s.names, terminals)
	kept, err := s.engine.Store.Evidence(ctx, s.user.ID)
	f.HashHit = policy.HashHits(kept, func(kind, value string) []byte { return s.engine.Store.EvidenceHash(s.user.ID, kind, value) })
	return f, err
}

// passwordRules are policy's for the person, with the operator's own name among the words.
func (s *State) passwordRules() policy.PasswordRules {
	r := s.settings().Password
	r.Words = append(slices.Clone(r.Words), s.engine.Site.Operator)
	return r
}

// look compares a password with the rules.
func (s *State) look(ctx context.Context, plain string) (policy.Verdict, error) {
	f, err := s.personalFacts(ctx)
	if err != nil {
		return policy.Verdict{}, err
	}
	return s.passwordRules().Check(plain, !s.enrolled(), f, s.engine.Lists)
}

// ruleGroups are the lines that the page shows of the rules; a rule that is in none has a
// line of its own.
var ruleGroups = map[string]string{
	"max_repeat": "patterns", "max_sequence": "patterns", "max_keyboard_walk": "patterns",
	"no_username": "personal", "no_email": "personal", "no_phone": "personal", "no_birthday": "personal", "no_document_tail": "personal",
	"no_merchant_no": "personal", "no_serial": "personal", "no_legal_name": "personal", "no_pinyin": "personal",
	"words": "known", "common_filter": "known", "breach_filter": "known",
}

// rules is a verdict as the page shows it. told: somebody has typed a password, so that
// each line has a state.
func (s *State) rules(v policy.Verdict, told bool) templates.PasswordRules {
	r := templates.PasswordRules{Told: told, Score: v.Score, Lines: ruleLines(v, told)}
	if n := s.settings().Password.HistoryCount; n > 1 && s.Demand.Kind != idp.FlowJoin { // seen when it is saved
		r.Lines = append(r.Lines, templates.PasswordRule{Name: "history_count", Args: []any{n}})
	}
	return r
}

func ruleLines(v policy.Verdict, told bool) (lines []templates.PasswordRule) {
	for _, f := range v.Findings {
		name, args := f.Field, f.Args
		if name == "max_length" && (f.OK || !told) { // hardly anybody's trouble
			continue
		}
		if group, ok := ruleGroups[name]; ok {
			name, args = group, nil
		}
		i := slices.IndexFunc(lines, func(l templates.PasswordRule) bool { return l.Name == name })
		if i < 0 {
			i = len(lines)
			lines = append(lines, templates.PasswordRule{Name: name, Args: args, Told: told, Met: true})
		}
		if told && !f.OK {
			lines[i].Met = false
			lines[i].Why = append(lines[i].Why, templates.FieldError{Key: f.Key, Args: f.Args})
		}
	}
	return lines
}

// checkPassword answers the script of the page while a password is typed: what the rules
// say of it, from the same check that a submitted one must pass. Nothing is kept or
// logged.
func (e *Engine) checkPassword(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	rules, err := e.lookWhileTyped(r)
	if err != nil {
		refusal, ok := errors.AsType[*idp.Error](err)
		if !ok || refusal.Kind == idp.Internal {
			return err
		}
		web.RetryAfter(w, refusal.Until)
		w.WriteHeader(web.Status(err)) // the script waits for the next key
		return nil
	}
	return e.Site.Part(w, r, "password-rules", rules)
}

func (e *Engine) lookWhileTyped(r *http.Request) (rules templates.PasswordRules, err error) {
	s, err := e.load(r)
	if err != nil {
		return rules, err
	}
	if _, ok := s.asked("new-password").(newPassword); !ok {
		return rules, errExpired
	}
	b := e.Policy.Now().Throttle.Checking
	ok, next, err := e.Store.TakeBucket(r.Context(), "checking", []byte(s.ID), b.Burst, b.Refill, time.Now())
	if err == nil && !ok {
		err = tooMany(next)
	}
	if err != nil {
		return rules, err
	}
	plain := normal.Password(r.PostForm.Get("password"))
	v, err := s.look(r.Context(), plain)
	return s.rules(v, plain != ""), err
}

// usedBefore says whether the person has the password now, or had it: policy says how far
// back that counts.
func (s *State) usedBefore(ctx context.Context, plain string) (key string, err error) {
	e := s.engine
	for _, c := range s.of(idp.MethodPassword) {
		if same, _, err := e.Hasher.Verify(ctx, true, string(c.Data), plain); same || err != nil {
			return "password.same", err
		}
	}
	if s.user == nil {
		return "", nil
	}
	former, err := e.Store.FormerPasswords(ctx, s.user.ID)
	if err != nil {
		return "", err
	}
	p := s.settings().Password
	for i, old := range former {
		if i+1 >= p.HistoryCount && time.Since(old.Until) >= time.Duration(p.HistoryDays)*24*time.Hour { // the present one is the first
			break
		}
		if same, _, err := e.Hasher.Verify(ctx, true, string(old.Hash), plain); same || err != nil {
			return "password.used", err
		}
	}
	return "", nil
}

// tooSoon says whether policy lets the person not change his password of his own wish yet.
func (s *State) tooSoon() bool {
	least := time.Duration(s.settings().Password.MinAgeHours) * time.Hour
	return s.Demand.Kind == idp.FlowPassword && !s.user.MustChange &&
		slices.ContainsFunc(s.of(idp.MethodPassword), func(c idp.Credential) bool { return time.Since(c.ChangedAt) < least })
}
