package flows

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/storage"
)

// A strong return lifts a freeze: two factors, all fresh, and only credentials and
// channels that were there well before the freeze — whoever stole the account brought
// his own.

// counts says whether a credential or channel may be shown in this flow.
func (s *State) counts(id string) bool {
	if s.Demand.Kind != idp.FlowReturn || s.user == nil {
		return true
	}
	old := s.user.FrozenAt.Add(-s.engine.Policy.Now().Notices.Strong)
	for _, c := range s.creds {
		if c.ID == id {
			return !c.ChangedAt.After(old) && !c.CreatedAt.After(old)
		}
	}
	for _, n := range s.names {
		if n.ID == id {
			return n.Channel() && !n.VerifiedAt.After(old)
		}
	}
	return false
}

// youngPassword: in a strong return a password that is too young says nothing, and only a
// passkey that verifies its user can do without.
func (s *State) youngPassword() bool {
	if s.Demand.Kind != idp.FlowReturn {
		return false
	}
	for _, c := range s.of(idp.MethodPassword) {
		return !s.counts(c.ID)
	}
	return true
}

// older leaves the proofs that count for a strong return.
func (s *State) older(proofs []idp.Proof) (out []idp.Proof) {
	for _, p := range proofs {
		if s.counts(p.Credential) {
			out = append(out, p)
		}
	}
	return out
}

// completeReturn lifts the freeze. What it ended stays ended, and so does what began since but
// his own: whoever was stopped could still sign in.
func (e *Engine) completeReturn(ctx context.Context, s *State) (*finish, error) {
	if !s.met() {
		return nil, errExpired
	}
	lifted, err := e.Store.UnfreezeUser(ctx, s.user.ID)
	if err != nil {
		return nil, err
	}
	if lifted {
		// His links stop again as often as before. A lift by people does not give that: whoever holds his mailbox stops
		// him anew.
		if err := e.Store.FillBucket(ctx, "freeze.link", []byte(s.user.ID)); err != nil {
			return nil, err
		}
		if err := e.endSince(ctx, s); err != nil {
			return nil, err
		}
		if err := e.event(ctx, s, idp.Event{Name: "account.unfrozen"}); err != nil {
			return nil, err
		}
		if err := e.closeFreeze(ctx, s); err != nil {
			return nil, err
		}
		if err := e.tell(ctx, s, "unfrozen", templatesLetter(s, time.Now())); err != nil {
			return nil, err
		}
	}
	return e.completeStepUp(ctx, s)
}

// endSince ends what somebody began while the account was frozen, but this session and browser.
func (e *Engine) endSince(ctx context.Context, s *State) error {
	by, browser := idp.Event{Actor: s.user.ID, Flow: s.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version}, ""
	if s.signed != nil {
		browser = s.signed.Session.Browser
	}
	if err := e.Store.EndAll(ctx, *s.user, s.keeping(), "frozen", by); err != nil {
		return err
	}
	return e.Store.RevokeBrowsers(ctx, s.user.ID, browser)
}

// closeFreeze ends the cases that a freeze opened; one that names an event which was not
// the person stays with those who look into it.
func (e *Engine) closeFreeze(ctx context.Context, s *State) error {
	open, err := e.Store.Cases(ctx, storage.CaseFilter{User: s.user.ID, State: idp.CaseOpen}, 100)
	if err != nil {
		return err
	}
	for _, c := range open {
		if c.Kind != idp.CaseFreeze {
			continue
		}
		if _, err := e.Store.CloseCase(ctx, c.ID, time.Now()); err != nil {
			return err
		}
		if err := e.event(ctx, s, idp.Event{Name: "case.closed", Reason: "returned", Data: map[string]any{"case": c.Number, "kind": c.Kind}}); err != nil {
			return err
		}
	}
	return nil
}
