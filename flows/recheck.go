package flows

import (
	"context"
	"time"

	"hufu/idp"
)

// A password is looked at when it is set and, once for each version of the policy, when it
// was right at a sign-in: rules that became stricter ask for a change, after a grace time,
// and never keep anybody out.

// measure keeps what a new password fulfils, in the transaction that sets it.
func (e *Engine) measure(ctx context.Context, s *State, credential string, version int64) error {
	if s.verdict == nil {
		return nil
	}
	return e.Store.Measure(ctx, credential, version, s.verdict.Measures.Write(), s.policyVersion(), false, time.Now())
}

// recheck looks at a right password once its step is committed: until then its time would
// tell that it was right.
func (e *Engine) recheck(s *State, plain string) {
	rules, c := s.settings().Password, of(s.creds, idp.MethodPassword)
	if !rules.RecheckAtSignin || c == nil || c.MeasuredBy == s.policyVersion() {
		return
	}
	before := s.after
	s.after = func(ctx context.Context) error {
		if before != nil {
			if err := before(ctx); err != nil {
				return err
			}
		}
		v, err := s.look(ctx, plain)
		if err != nil {
			return err
		}
		return e.Store.Measure(ctx, c.ID, c.Version, v.Measures.Write(), s.policyVersion(), v.Weak(rules), time.Now())
	}
}

// policyVersion is that of the policy that holds for the flow's person.
func (s *State) policyVersion() int64 {
	return s.engine.Policy.Of(s.facts()).Version
}
