package flows

import (
	"context"
	"net/url"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/templates"
)

// passwordStep asks for the password, of known and unknown names alike; a passkey does
// instead.
type passwordStep struct{}

func (passwordStep) Name() string { return "password" }

func (passwordStep) Done(s *State) bool {
	if s.Demand.Kind == idp.FlowSignIn {
		return s.proved(idp.MethodPassword) || s.verified()
	}
	if s.changed() {
		return true
	}
	// In mode one an old password counts beside a fresh second factor, but it is what
	// must be fresh at class 1, and before a first factor is enrolled.
	if s.youngPassword() {
		return true
	}
	acr, _ := s.need()
	if (s.one() || s.opens()) && (acr < idp.ACR2 || !s.enrolled()) {
		return s.met() || s.fresh(idp.MethodPassword)
	}
	return s.met() || s.proved(idp.MethodPassword)
}

// verified says whether a passkey verified its user in this flow: two factors at once.
func (s *State) verified() bool {
	return slices.ContainsFunc(s.proofs(), func(p idp.Proof) bool { return p.Method == idp.MethodPasskey && p.UserVerified })
}

// fresh says whether a method was proved in this flow or right before it: young
// enough to bind an authenticator with.
func (s *State) fresh(m idp.Method) bool {
	return slices.ContainsFunc(idp.Since(s.proofs(), s.recent()), func(p idp.Proof) bool { return p.Method == m })
}

// recent is since when a proof counts for changing a credential.
func (s *State) recent() time.Time {
	since := s.CreatedAt.Add(-s.settings().StepUp.Credential)
	if s.Demand.Since.After(since) {
		return s.Demand.Since
	}
	return since
}

func (passwordStep) Show(ctx context.Context, s *State) (templates.Content, error) {
	a := s.attempt("password", idp.MethodPassword)
	if s.nobodyYet() || len(s.of(idp.MethodPasskey)) > 0 { // in a sign-in always, or it would tell who has one
		a.Passkey = s.passkey("password", false)
	}
	if s.introducible() {
		a.Ways = introduceWays(s)
	}
	var err error
	if a.Work, err = s.engine.work(ctx, s, false); err != nil {
		return nil, err
	}
	return s.engine.Password.Show(ctx, a)
}

func (passwordStep) Challenge(ctx context.Context, s *State) ([]byte, error) {
	if s.nobodyYet() {
		return s.discover()
	}
	return s.challenge(ctx)
}

// nobodyYet: nothing was proved, so a passkey may say whose it is. From the first proof on
// the flow is that person's.
func (s *State) nobodyYet() bool {
	return s.Demand.Kind == idp.FlowSignIn && len(s.Facts.Proofs) == 0
}

// Choose leads to the proof of a bound channel, when strangers have closed the password.
func (passwordStep) Choose(s *State, way string) bool {
	for _, w := range introduceWays(s) {
		if s.introducible() && w.Value == way {
			s.Facts.Introduce = way
			return true
		}
	}
	return false
}

func (passwordStep) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	if form.Get("assertion") != "" {
		if s.nobodyYet() {
			return s.engine.discovered(ctx, s, form)
		}
		return s.asserted(ctx, form)
	}
	if err := s.person(ctx); err != nil {
		return err
	}
	if err := s.engine.waiting(ctx, s, idp.MethodPassword); err != nil {
		return err
	}
	if err := s.engine.Password.Read(form); err != nil { // before work is used up for it
		return err
	}
	if err := s.engine.paid(ctx, s, form, false); err != nil {
		return err
	}
	s.answer, err = s.engine.Password.Check(ctx, s.attempt("password", idp.MethodPassword), form)
	return err
}

func (passwordStep) Submit(ctx context.Context, s *State, form url.Values) error {
	switch {
	case form.Get("assertion") == "":
		if err := s.engine.settle(ctx, s, "password", idp.MethodPassword); err != nil {
			return err
		}
		s.engine.recheck(s, normal.Password(form.Get("password")))
		return nil
	case s.nobodyYet():
		return s.engine.settleDiscovered(ctx, s)
	}
	return s.engine.settlePasskey(ctx, s)
}
