package flows

import (
	"context"
	"net/url"
	"slices"

	"hufu/idp"
	"hufu/templates"
)

// consent asks a signed-in person what a client may do. The scopes are those of the
// demand: shown = granted = issued.
type consent struct{}

func (consent) Name() string { return "consent" }

func (consent) Done(s *State) bool { return s.Facts.Decided != "" }

func (consent) Show(ctx context.Context, s *State) (templates.Content, error) {
	c, err := s.engine.Store.Client(ctx, s.Demand.Client)
	if err != nil {
		return nil, err
	}
	return templates.Consent{Form: s.Form, Action: s.path("consent"), ClientName: c.Name, Login: s.user.Name, Scopes: s.Demand.Scopes,
		Money: slices.ContainsFunc(s.Demand.Scopes, idp.MoneyScope)}, nil
}

func (consent) Submit(_ context.Context, s *State, form url.Values) error {
	switch do := form.Get("do"); do {
	case "approve", "deny":
		s.Facts.Decided = do
		return nil
	}
	return idp.FieldError("", "consent.choose")
}
