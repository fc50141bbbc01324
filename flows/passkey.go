package flows

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/passkey"
	"hufu/idp"
	"hufu/idp/web"
	"hufu/templates"
)

// challenger is a step that a passkey can answer. The challenge is made when the script
// asks for it, kept in the flow and used once.
type challenger interface {
	Challenge(ctx context.Context, s *State) (options []byte, err error)
}

// scratchPasskey is where the live challenge of a flow is kept; a newer one voids it.
const scratchPasskey = "passkey"

// passkey is what the page of a step tells the script.
func (s *State) passkey(step string, auto bool) *templates.Passkey {
	if s.engine.Passkey == nil {
		return nil
	}
	return &templates.Passkey{Options: s.path(step, "challenge"), Action: s.path(step), Auto: auto}
}

// challenge answers the script's wish for a challenge (WebAuthn L3 13.4.3: random, kept
// here, once).
func (e *Engine) challenge(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil { // nothing in it counts, but its size does
		return badForm(err)
	}
	options, err := e.makeChallenge(r)
	if err != nil {
		refusal, ok := errors.AsType[*idp.Error](err)
		if !ok || refusal.Kind == idp.Internal {
			return err
		}
		web.RetryAfter(w, refusal.Until)
		w.WriteHeader(web.Status(err)) // the script loads the page again, which says why
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(options)
	return err
}

func (e *Engine) makeChallenge(r *http.Request) (options []byte, err error) {
	s, err := e.load(r)
	if err != nil {
		return nil, err
	}
	c, ok := s.asked(r.PathValue("step")).(challenger)
	if !ok || e.Passkey == nil {
		return nil, errFaster
	}
	verdict, err := e.transact(r.Context(), s, func(ctx context.Context) error {
		if options, err = c.Challenge(ctx, s); err != nil {
			return err
		}
		return e.save(ctx, s)
	})
	if err == nil {
		err = verdict
	}
	return options, err
}

// discover makes a challenge that any passkey of this site can answer.
func (s *State) discover() ([]byte, error) {
	options, scratch, err := s.engine.Passkey.Options(&factor.Attempt{}, true)
	s.keep(scratchPasskey, scratch)
	return options, err
}

// challenge makes a challenge that only the person's own passkeys can answer.
func (s *State) challenge(ctx context.Context) ([]byte, error) {
	a, err := s.keyAttempt(ctx)
	if err != nil {
		return nil, err
	}
	options, scratch, err := s.engine.Passkey.Options(a, false)
	s.keep(scratchPasskey, scratch)
	return options, err
}

// asserted looks at the answer of one of the person's own passkeys.
func (s *State) asserted(ctx context.Context, form url.Values) (err error) {
	a, err := s.keyAttempt(ctx)
	if err == nil && s.engine.Passkey == nil {
		err = idp.FieldError("", "key.malformed")
	}
	if err == nil {
		s.answer, err = s.engine.Passkey.Check(ctx, a, form)
	}
	return err
}

// keyAttempt is the attempt at a passkey of the person's own.
func (s *State) keyAttempt(ctx context.Context) (a *factor.Attempt, err error) {
	a = s.attempt(scratchPasskey, idp.MethodPasskey)
	a.Credentials = slices.DeleteFunc(a.Credentials, func(c idp.Credential) bool { return !s.counts(c.ID) })
	a.Handle, err = s.engine.Store.Handle(ctx, s.User)
	return a, err
}

// settlePasskey uses the challenge up, whatever the answer was worth.
func (e *Engine) settlePasskey(ctx context.Context, s *State) error {
	delete(s.Facts.Scratch, scratchPasskey)
	s.answer.Scratch = nil
	return e.settle(ctx, s, scratchPasskey, idp.MethodPasskey)
}

// discovered looks at an answer that also says whose it is. Until it was right the flow
// stays whose it was.
func (e *Engine) discovered(ctx context.Context, s *State, form url.Values) error {
	s.was = s.User
	raw, ok := passkey.Named(form)
	if !ok || e.Passkey == nil {
		return idp.FieldError("", "key.malformed")
	}
	c, err := e.Store.CredentialByLookup(ctx, raw)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		s.answer, s.user, s.User = factor.Answer{Reason: "key.unknown"}, nil, ""
		return nil
	}
	if err != nil {
		return err
	}
	s.User = c.UserID
	if err := s.person(ctx); err != nil {
		return err
	}
	a, err := s.keyAttempt(ctx)
	if err == nil {
		a.Credentials = []idp.Credential{c}
		s.answer, err = e.Passkey.Check(ctx, a, form)
	}
	return err
}

// settleDiscovered makes the flow that of the passkey's owner, whatever name was typed
// before.
func (e *Engine) settleDiscovered(ctx context.Context, s *State) error {
	if err := e.settlePasskey(ctx, s); err != nil {
		s.User, s.user, s.merchant, s.creds, s.names, s.browser = s.was, nil, nil, nil, nil, nil
		return err
	}
	s.Facts.Typed, s.Facts.Chosen, s.Facts.Lookup = "", "", []byte(s.User)
	s.Facts.Introduce, s.Facts.Introduced = "", time.Time{} // of whoever was named before
	return nil
}
