package flows

import (
	"context"
	"net/url"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/templates"
)

// identify asks who signs in. It says nothing about whether the name exists. A passkey
// answers who and that it is he in one.
type identify struct{}

func (identify) Name() string { return "identify" }

func (identify) Done(s *State) bool { return s.Facts.Lookup != nil }

// Again: another account may be typed until something is proved.
func (identify) Again(s *State) bool { return len(s.Facts.Proofs) == 0 }

func (identify) Show(ctx context.Context, s *State) (templates.Content, error) {
	p := templates.Identify{Form: s.Form, Action: s.path("identify"), Identifier: s.Facts.Typed, Passkey: s.passkey("identify", true)}
	if p.Identifier == "" {
		p.Identifier = s.Demand.Hint
	}
	if s.Demand.Client != "" {
		if c, err := s.engine.Store.Client(ctx, s.Demand.Client); err == nil {
			p.ClientName = c.Name
		}
	}
	return p, nil
}

func (identify) Challenge(_ context.Context, s *State) ([]byte, error) { return s.discover() }

func (identify) Prepare(ctx context.Context, s *State, form url.Values) error {
	if form.Get("assertion") == "" {
		return nil
	}
	return s.engine.discovered(ctx, s, form)
}

func (identify) Submit(ctx context.Context, s *State, form url.Values) error {
	if form.Get("assertion") != "" {
		return s.engine.settleDiscovered(ctx, s)
	}
	typed := form.Get("identifier")
	if typed == "" {
		return idp.FieldError("identifier", "identifier.empty")
	}
	if len(typed) > 4*normal.MaxIdentifier {
		return idp.FieldError("identifier", "identifier.malformed")
	}
	s.Facts.Typed = typed
	kind, value, ok := normal.Identifier(typed)
	if !ok {
		kind, value = "none", typed // nobody has it; counted and answered like any other
	}
	s.Facts.Lookup = s.engine.Store.Lookup(kind, value)
	s.Facts.Introduce, s.Facts.Introduced = "", time.Time{} // of another name
	var err error
	s.User, err = s.engine.Store.Login(ctx, kind, value, time.Now().Add(-s.engine.Policy.Now().Notices.FormerNames))
	return err
}
