package flows

import (
	"context"
	"net/url"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// newPassword sets a password: of an invited person, or of one who must change his.
type newPassword struct{}

func (newPassword) Name() string { return "new-password" }

func (newPassword) Done(s *State) bool {
	if s.Facts.Changed {
		return true
	}
	return s.Demand.Kind == idp.FlowSignIn && (s.user == nil || !s.user.MustChange || s.refusal() != "")
}

func (newPassword) Show(_ context.Context, s *State) (templates.Content, error) {
	p := templates.NewPassword{Form: s.Form, Action: s.path("new-password"), Login: s.login(), Least: s.leastPassword()}
	if s.Demand.Kind == idp.FlowJoin && s.user != nil {
		p.Name = s.user.Name
	}
	return p, nil
}

func (s *State) leastPassword() int {
	if s.enrolled() {
		return s.engine.Policy.Password.MinLength
	}
	return s.engine.Policy.Password.MinLengthAlone
}

// Prepare checks the new password against policy and hashes it.
func (newPassword) Prepare(ctx context.Context, s *State, form url.Values) error {
	plain := normal.Password(form.Get("password"))
	switch {
	case plain == "":
		return idp.FieldError("password", "password.empty")
	case plain != normal.Password(form.Get("again")):
		return idp.FieldError("again", "new-password.differ")
	}
	if err := s.engine.Policy.CheckPassword(plain, !s.enrolled()); err != nil {
		return err
	}
	for _, n := range s.names {
		if len(n.Value) >= 4 && strings.Contains(strings.ToLower(plain), n.Value) {
			return idp.FieldError("password", "password.name")
		}
	}
	for _, c := range s.of(idp.MethodPassword) {
		same, _, err := s.engine.Hasher.Verify(ctx, true, string(c.Data), plain)
		if err != nil {
			return err
		}
		if same {
			return idp.FieldError("password", "password.same")
		}
	}
	hash, err := s.engine.Hasher.Hash(ctx, plain)
	s.hash = []byte(hash)
	return err
}

func (newPassword) Submit(ctx context.Context, s *State, _ url.Values) error {
	if s.Demand.Kind == idp.FlowJoin {
		return s.engine.accept(ctx, s)
	}
	e, now := s.engine, time.Now()
	if s.user == nil || len(s.of(idp.MethodPassword)) == 0 || !s.proved(idp.MethodPassword) {
		return errExpired
	}
	c := s.of(idp.MethodPassword)[0]
	ok, err := e.Store.ReplaceCredential(ctx, c.ID, c.Version, s.hash)
	if err != nil {
		return err
	}
	if !ok {
		return idp.Errorf(idp.Conflict, "flow.conflict")
	}
	if err := e.Store.SetMustChange(ctx, s.user.ID, false); err != nil {
		return err
	}
	// Only a changed password gives the second factors' tries back: whoever used them
	// up knew the old one.
	for _, kind := range []string{"totp", "code", "suspect", "pw"} {
		if err := e.Store.FillBucket(ctx, kind, s.account()); err != nil {
			return err
		}
	}
	by := idp.Event{Actor: s.user.ID, Flow: s.ID, Network: web.Network(ctx), Policy: e.Policy.Version}
	if err := e.Store.EndAll(ctx, *s.user, storage.Keep{Flow: s.ID}, "password", by); err != nil {
		return err
	}
	s.Facts.Changed, s.user.MustChange = true, false
	if err := e.event(ctx, s, idp.Event{Name: "password.changed"}); err != nil {
		return err
	}
	return e.tell(ctx, s, "password.changed", templatesLetter(s, now))
}
