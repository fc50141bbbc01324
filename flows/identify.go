package flows

import (
	"context"
	"net/url"
	"slices"
	"strconv"
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
	known, err := s.engine.here(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, k := range known {
		p.Known = append(p.Known, templates.KnownName{Masked: k.masked, Value: k.value})
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
	if form.Has("known") {
		return s.choose(ctx, form.Get("known"))
	}
	typed := form.Get("identifier")
	if typed == "" {
		return idp.FieldError("identifier", "identifier.empty")
	}
	if len(typed) > 4*normal.MaxIdentifier {
		return idp.FieldError("identifier", "identifier.malformed")
	}
	s.Facts.Typed, s.Facts.Chosen = typed, ""
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

// A knownName is somebody whom this browser is known for.
type knownName struct {
	user, masked, value string // value: his place in the cookie
	name                idp.Identifier
}

// here are the people whom this browser is known for and who still work here. Only the
// sealed cookie names them, and no more than the ends of their names is told: whoever
// stands at the till is not always one of them.
func (e *Engine) here(ctx context.Context, s *State) (out []knownName, err error) {
	users, err := e.Sessions.Here(ctx, s.request)
	if err != nil {
		return nil, err
	}
	for i, id := range users {
		if id == "" {
			continue
		}
		u, err := e.Store.User(ctx, id)
		if err != nil && idp.KindOf(err) != idp.NotFound {
			return nil, err
		}
		if err != nil || u.Status != idp.UserActive {
			continue
		}
		names, err := e.Store.Identifiers(ctx, id)
		if err != nil {
			return nil, err
		}
		k := knownName{user: id, value: strconv.Itoa(i)}
		for _, n := range names {
			switch {
			case n.Kind == idp.IdentifierUsername && !n.Former:
				k.name, k.masked = n, idp.MaskName(n.Value)
			case k.masked == "" && n.Channel():
				k.name, k.masked = n, n.Masked()
			}
		}
		if k.masked != "" {
			out = append(out, k)
		}
	}
	return out, nil
}

// choose takes one of them in the place of a typed name, and counts like that name. What the
// cookie of this browser does not say now is as if nothing had been typed.
func (s *State) choose(ctx context.Context, value string) error {
	known, err := s.engine.here(ctx, s)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(known, func(k knownName) bool { return k.value == value })
	if i < 0 {
		return idp.FieldError("identifier", "identifier.empty")
	}
	k := known[i]
	s.User, s.Facts.Typed, s.Facts.Chosen = k.user, "", k.masked
	s.Facts.Lookup = s.engine.Store.Lookup(k.name.Kind, k.name.Value)
	s.Facts.Introduce, s.Facts.Introduced = "", time.Time{} // of another name
	return nil
}
