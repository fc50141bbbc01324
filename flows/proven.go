package flows

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/session"
	"hufu/templates"
)

// Numbers that are given up are sold again. Whoever was not heard from on a phone or an
// address for long is asked whether it is still his: a code that comes back says so. And
// when somebody else has one come back from it, it is disputed.

// unconfirmed is what the person is asked about, nil for nothing: a phone first; an address
// only while none of his works.
func (e *Engine) unconfirmed(names []idp.Identifier, now time.Time) *idp.Identifier {
	var mail *idp.Identifier
	works := false
	for _, n := range names {
		switch {
		case !n.Channel():
		case n.Kind == idp.IdentifierPhone && e.stale(n, now):
			return &n
		case n.Kind == idp.IdentifierEmail && e.stale(n, now):
			mail = &n
		case n.Kind == idp.IdentifierEmail:
			works = true
		}
	}
	if works {
		return nil
	}
	return mail
}

// confirmContact opens the flow that shows that a bound phone or address still reaches its
// person. It asks for nothing first: it changes nothing, and only who holds it can end it.
func (e *Engine) confirmContact(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	n, _, err := e.myContact(r.Context(), me, r.PostForm.Get("id"))
	if err == nil && !n.Channel() { // to bind it asks for more
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	if err != nil {
		return err
	}
	return e.Site.Require(w, r, idp.Demand{Kind: idp.FlowProve, User: me.User.ID, Object: n.ID, Return: "/account/contacts?saved=confirmed"})
}

// stillMine asks for the code that was sent to the phone or address of the flow.
type stillMine struct{}

func (stillMine) Name() string { return "still-mine" }

func (stillMine) Done(s *State) bool { return s.Facts.Changed }

func (stillMine) attempt(s *State) *factor.Attempt {
	a := s.attempt("still-mine", idp.MethodSMS)
	a.Steps = false
	if n := named(s.names, s.Demand.Object); n != nil && n.Channel() {
		a.Channels = []idp.Identifier{*n}
		a.Ways = []templates.Way{{Icon: "cross", Title: templates.T(s.engine.Site.Lang(s.request), "account.not_mine"), URL: changeContactPath(n.ID)}}
	}
	return a
}

func (p stillMine) Begin(ctx context.Context, s *State) error {
	a := p.attempt(s)
	if err := s.engine.Code.Begin(ctx, a); err != nil {
		return s.unsent(err)
	}
	s.keep("still-mine", a.Scratch)
	return nil
}

func (p stillMine) Show(ctx context.Context, s *State) (templates.Content, error) {
	a := p.attempt(s)
	if len(a.Channels) > 0 && a.Channels[0].Kind == idp.IdentifierPhone {
		var err error
		if a.SendWork, err = s.engine.work(ctx, s, true); err != nil {
			return nil, err
		}
	}
	return s.engine.Code.Show(ctx, a)
}

func (p stillMine) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	s.answer, err = s.engine.Code.Check(ctx, p.attempt(s), form)
	return err
}

// Submit notes that the code came back: guess does.
func (p stillMine) Submit(ctx context.Context, s *State, _ url.Values) error {
	s.keep("still-mine", s.answer.Scratch)
	if err := s.engine.guess(ctx, s, methodAddress, s.answer); err != nil {
		return err
	}
	u, err := s.engine.Store.HoldUser(ctx, s.User)
	if err == nil && u.Frozen {
		err = errFrozen
	}
	n := named(s.names, s.Demand.Object)
	if err == nil && n == nil {
		err = errExpired
	}
	if err != nil {
		return err
	}
	s.Facts.Changed = true
	return s.engine.event(ctx, s, idp.Event{Name: "channel.confirmed", Data: map[string]any{"channel": string(n.Kind)}})
}

// dispute: whoever binds a phone or address has shown that its codes reach him, and another
// account has it. For a time it helps nobody back into that one, and its person is told
// everywhere else.
func (e *Engine) dispute(ctx context.Context, kind idp.IdentifierKind, value string) error {
	now := time.Now()
	u, err := e.Store.UserByIdentifier(ctx, kind, value)
	if err != nil || u.Status != idp.UserActive { // who has left does not hear of his number
		return err
	}
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	rules, err := e.rulesOf(ctx, u)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n.Kind != kind || n.Value != value || !n.Channel() {
			continue
		}
		until := now.Add(rules.Recovery.Dispute)
		if err := e.Store.Dispute(ctx, n.ID, until); err != nil {
			return err
		}
		if err := e.Store.Append(ctx, idp.Event{Name: "channel.disputed", Actor: "system", Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID, Policy: e.Policy.Now().Version,
			Data: map[string]any{"channel": string(n.Kind)}}); err != nil {
			return err
		}
		letter := templates.Letter{Name: u.Name, Login: loginOf(names), At: now, Old: n.Masked(), Object: n.ID}
		if _, err := e.untold(ctx, n, "channel.disputed", letter, now); err != nil { // it is somebody else's, perhaps
			return err
		}
		return e.notify(ctx, u, "channel.disputed", letter)
	}
	return nil
}
