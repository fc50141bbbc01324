package flows

import (
	"context"
	"encoding/hex"
	"net/url"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/templates"
)

// introduce lets a person on a new browser show a bound channel before his password,
// when strangers have used the tries of his account up: it buys him tries of his own,
// and is no proof. Names that nobody has are asked for a code, too.
type introduce struct{}

func (introduce) Name() string { return "introduce" }

func (introduce) Done(s *State) bool { return s.Facts.Introduce == "" || !s.Facts.Introduced.IsZero() }

// introducible: a stranger who was refused before he proved anything.
func (s *State) introducible() bool {
	return s.Demand.Kind == idp.FlowSignIn && s.Facts.Refusals > 0 && len(s.Facts.Proofs) == 0 && s.Facts.Introduced.IsZero() && s.known() == nil
}

func introduceWays(s *State) []templates.Way {
	lang, action := s.engine.Site.Lang(s.request), s.path("password", "way")
	return []templates.Way{templates.FactorWay(lang, "introduce:phone", action), templates.FactorWay(lang, "introduce:email", action)}
}

// whoever is the channel that the code goes to: the person's first of the kind, or one
// that nobody has, under whose id the same is counted.
func (s *State) whoever() idp.Identifier {
	kind := idp.IdentifierPhone
	if s.Facts.Introduce == "introduce:email" {
		kind = idp.IdentifierEmail
	}
	for _, c := range s.channels() {
		if c.Kind == kind {
			return c
		}
	}
	return idp.Identifier{ID: hex.EncodeToString(s.account()) + "/" + string(kind), Kind: kind}
}

func (introduce) attempt(s *State) *factor.Attempt {
	a := s.attempt("introduce", idp.MethodSMS)
	a.Channels, a.Whoever, a.Steps = []idp.Identifier{s.whoever()}, true, false
	a.Ways = []templates.Way{templates.FactorWay(s.engine.Site.Lang(s.request), "password", s.path("introduce", "way"))}
	return a
}

func (i introduce) Begin(ctx context.Context, s *State) error {
	if err := s.person(ctx); err != nil {
		return err
	}
	a := i.attempt(s)
	if err := s.engine.Code.Begin(ctx, a); err != nil {
		return s.unsent(err)
	}
	s.keep("introduce", a.Scratch)
	return nil
}

func (i introduce) Show(ctx context.Context, s *State) (templates.Content, error) {
	if err := s.person(ctx); err != nil {
		return nil, err
	}
	a := i.attempt(s)
	var err error
	if a.Channels[0].Kind == idp.IdentifierPhone {
		if a.SendWork, err = s.engine.work(ctx, s, true); err != nil {
			return nil, err
		}
	}
	return s.engine.Code.Show(ctx, a)
}

// Choose goes back to the password.
func (introduce) Choose(s *State, way string) bool {
	s.Facts.Introduce = ""
	return way == "password"
}

func (i introduce) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	if err := s.person(ctx); err != nil {
		return err
	}
	s.answer, err = s.engine.Code.Check(ctx, i.attempt(s), form)
	return err
}

func (introduce) Submit(ctx context.Context, s *State, _ url.Values) error {
	s.keep("introduce", s.answer.Scratch)
	if err := s.engine.guess(ctx, s, methodIntroduce, s.answer); err != nil {
		return err
	}
	s.Facts.Introduced, s.token = time.Now(), idp.NewToken()
	return nil
}
