package flows

import (
	"context"
	"net/url"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
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
	if s.Demand.Kind == idp.FlowRecover {
		return !s.replaces().Password
	}
	return s.Demand.Kind == idp.FlowSignIn && (s.user == nil || !s.mustChange() || s.user.Frozen || s.user.Withholds(time.Now()) == idp.WithholdMoney || s.refusal() != "")
}

// mustChange says whether the sign-in asks for a new password: because others know the
// old one, or because it is too old. An old password never keeps anybody out.
func (s *State) mustChange() bool {
	most := s.settings().Password.MaxAge()
	if s.Facts.Changed {
		return false
	}
	if s.user.MustChange {
		return true
	}
	c := of(s.creds, idp.MethodPassword)
	if c == nil {
		return false
	}
	return most > 0 && time.Since(c.ChangedAt) > most || outgrown(s.settings().Password, *c, time.Now())
}

// outgrown says whether a password has not fulfilled the rules for longer than they give.
func outgrown(rules policy.PasswordRules, c idp.Credential, now time.Time) bool {
	return rules.RecheckAtSignin && !c.WeakSince.IsZero() && !now.Before(c.WeakSince.AddDate(0, 0, rules.GraceDays))
}

func (newPassword) Begin(_ context.Context, s *State) error {
	if s.Demand.Kind != idp.FlowPassword {
		return nil
	}
	if err := s.clear(); err != nil {
		return err
	}
	if s.tooSoon() {
		return idp.Errorf(idp.Forbidden, "password.too_soon", s.settings().Password.MinAgeHours)
	}
	return nil
}

func (newPassword) Show(ctx context.Context, s *State) (templates.Content, error) {
	v, told := s.verdict, s.verdict != nil
	if !told {
		rules, err := s.look(ctx, "")
		if err != nil {
			return nil, err
		}
		v = &rules
	}
	p := templates.NewPassword{Form: s.Form, Action: s.path("new-password"), Check: s.path("new-password", "check"), Login: s.login(), Least: s.leastPassword(),
		Own: s.Demand.Kind == idp.FlowPassword, Lost: s.Demand.Kind == idp.FlowRecover, Rules: s.rules(*v, told)}
	if s.Demand.Kind == idp.FlowJoin && s.user != nil {
		p.Name = s.user.Name
	}
	if p.Lost { // who came by the link of a case has typed none, and has shown enough to read it
		p.Username = usernameOf(s.names)
	}
	return p, nil
}

func (s *State) leastPassword() int {
	if s.enrolled() {
		return s.settings().Password.MinLength
	}
	return s.settings().Password.MinLengthAlone
}

// Prepare checks the new password against policy and hashes it.
func (newPassword) Prepare(ctx context.Context, s *State, form url.Values) error {
	plain := normal.Password(form.Get("password"))
	if plain == "" {
		return idp.FieldError("password", "password.empty")
	}
	v, err := s.look(ctx, plain)
	if err != nil {
		return err
	}
	s.verdict = &v
	if plain != normal.Password(form.Get("again")) {
		return idp.FieldError("again", "new-password.differ")
	}
	if err := v.Err(); err != nil {
		return err
	}
	if err := s.engine.mayHash(ctx, s); err != nil {
		return err
	}
	used, err := s.usedBefore(ctx, plain)
	if err != nil {
		return err
	}
	if used != "" {
		return idp.FieldError("password", used)
	}
	hash, err := s.engine.Hasher.Hash(ctx, plain)
	s.hash = []byte(hash)
	return err
}

func (newPassword) Submit(ctx context.Context, s *State, _ url.Values) error {
	switch s.Demand.Kind {
	case idp.FlowJoin:
		return s.engine.accept(ctx, s)
	case idp.FlowRecover:
		return s.keepPassword()
	}
	e, now := s.engine, time.Now()
	if s.user == nil || len(s.of(idp.MethodPassword)) == 0 || !s.mayChangePassword() {
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
	if err := e.measure(ctx, s, c.ID, c.Version+1); err != nil {
		return err
	}
	if err := e.Store.SetMustChange(ctx, s.user.ID, false); err != nil {
		return err
	}
	// Only a changed password gives the second factors' tries back: whoever used them
	// up knew the old one.
	for _, kind := range []string{"totp", "totp.c", "code", "suspect", "pw", "pw.c"} {
		if err := e.Store.FillBucket(ctx, kind, s.account()); err != nil {
			return err
		}
	}
	if err := e.Store.DistrustBrowsers(ctx, s.user.ID); err != nil {
		return err
	}
	by := idp.Event{Actor: s.user.ID, Flow: s.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version}
	if err := e.Store.EndAll(ctx, *s.user, s.keeping(), "password", by); err != nil {
		return err
	}
	s.Facts.Changed, s.user.MustChange = true, false
	if err := e.event(ctx, s, idp.Event{Name: "password.changed"}); err != nil {
		return err
	}
	return e.tell(ctx, s, "password.changed", templatesLetter(s, now))
}

// mayHash bounds how often a flow makes the server hash something new: the slots are there
// for everybody who signs in.
func (e *Engine) mayHash(ctx context.Context, s *State) error {
	b := e.Policy.Now().Throttle.Hashing
	ok, next, err := e.Store.TakeBucket(ctx, "hashing", []byte(s.ID), b.Burst, b.Refill, time.Now())
	if err == nil && !ok {
		err = tooMany(next)
	}
	return err
}

// mayChangePassword: who has proved enough to change a credential. In a sign-in that asks
// for it, whoever holds no factor and no channel has the password alone to show.
func (s *State) mayChangePassword() bool {
	if s.Demand.Kind == idp.FlowSignIn && !s.provable() {
		return s.proved(idp.MethodPassword)
	}
	return s.strong()
}

// keeping is what of the person's own survives the end of all the rest.
func (s *State) keeping() storage.Keep {
	k := storage.Keep{Flow: s.ID}
	if s.Demand.Kind != idp.FlowSignIn && s.signed != nil {
		k.Session = s.signed.Session.ID
	}
	return k
}
