package flows

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/templates"
)

// newContact asks for a phone or an address to add, or to take the place of another.
type newContact struct{}

func (newContact) Name() string { return "contact" }

func (newContact) Done(s *State) bool { return s.Facts.Contact != "" }

// Again: a typing error may be put right until the code has come back.
func (newContact) Again(s *State) bool { return s.Facts.Cleared && s.Facts.Contact != "" }

func (newContact) Begin(_ context.Context, s *State) error { return s.clear() }

// replaced is what the new one takes the place of, nil when it is added.
func (s *State) replaced() *idp.Identifier {
	i := slices.IndexFunc(s.names, func(n idp.Identifier) bool { return n.ID == s.Demand.Object && n.RemovedAt.IsZero() })
	if i < 0 {
		return nil
	}
	return &s.names[i]
}

// contactKind is the kind of what is added, "" when the flow is about nothing of his.
func (s *State) contactKind() idp.IdentifierKind {
	kind := idp.IdentifierKind(s.Demand.Object)
	if old := s.replaced(); old != nil {
		kind = old.Kind
	}
	if kind != idp.IdentifierPhone && kind != idp.IdentifierEmail {
		return ""
	}
	return kind
}

func (newContact) Show(ctx context.Context, s *State) (templates.Content, error) {
	p := templates.NewContact{Form: s.Form, Action: s.path("contact"), Kind: string(s.contactKind()), Value: s.Facts.Contact, Back: "/account/contacts"}
	if old := s.replaced(); old != nil {
		p.Old = old.Masked()
	}
	var err error
	if p.Kind == string(idp.IdentifierPhone) {
		p.Work, err = s.engine.work(ctx, s, true)
	}
	return p, err
}

func (newContact) Prepare(ctx context.Context, s *State, form url.Values) error {
	if s.contactKind() != idp.IdentifierPhone {
		return nil
	}
	if _, err := s.typedContact(form); err != nil { // before work is used up for it
		return err
	}
	s.paidSend = true
	return s.engine.paid(ctx, s, form, true)
}

var malformedContact = map[idp.IdentifierKind]string{idp.IdentifierPhone: "new-contact.malformed_phone", idp.IdentifierEmail: "new-contact.malformed_email"}

// typedContact is the phone or address of the form in its stored form.
func (s *State) typedContact(form url.Values) (string, error) {
	typed := form.Get("contact")
	kind, value, ok := normal.Identifier(typed)
	switch want := s.contactKind(); {
	case want == "":
		return "", errExpired
	case typed == "" || len(typed) > 4*normal.MaxIdentifier || !ok || kind != want:
		return "", idp.FieldError("contact", malformedContact[want])
	}
	return value, nil
}

func (newContact) Submit(ctx context.Context, s *State, form url.Values) error {
	if !s.strong() {
		return errExpired
	}
	value, err := s.typedContact(form)
	if err != nil {
		return err
	}
	kind := s.contactKind()
	for _, n := range s.names {
		if n.Kind == kind && n.Value == value && n.RemovedAt.IsZero() && !n.VerifiedAt.IsZero() {
			return idp.FieldError("contact", "new-contact.yours")
		}
	}
	if err := s.roomFor(ctx, "contact", kind); err != nil {
		return err
	}
	s.Facts.Contact, s.Facts.Begun = value, ""
	delete(s.Facts.Scratch, "contact-code") // a code that went elsewhere proves nothing here
	return nil
}

// roomFor refuses one more phone or address than a person may have. Those he has removed
// count as long as they get notices.
func (s *State) roomFor(ctx context.Context, field string, kind idp.IdentifierKind) error {
	names, err := s.engine.Store.Identifiers(ctx, s.User)
	if err != nil {
		return err
	}
	n, most, now := 0, s.engine.Policy.Now().Contacts.Most, time.Now()
	for _, had := range names {
		if had.Kind == kind && (had.Channel() || s.engine.lately(had, now)) {
			n++
		}
	}
	if n >= most {
		return idp.FieldError(field, "new-contact.many", most)
	}
	return nil
}

// proveContact asks for the code that was sent to the new phone or address.
type proveContact struct{}

func (proveContact) Name() string { return "contact-code" }

func (proveContact) Done(s *State) bool { return s.Facts.Changed }

func (proveContact) attempt(s *State) *factor.Attempt {
	a := s.attempt("contact-code", idp.MethodSMS)
	a.Channels = []idp.Identifier{{ID: "new/" + hex.EncodeToString(s.engine.Store.Lookup(s.contactKind(), s.Facts.Contact)), UserID: s.User, Kind: s.contactKind(), Value: s.Facts.Contact}}
	a.Steps, a.Purpose = false, "purpose.contact"
	return a
}

func (p proveContact) Begin(ctx context.Context, s *State) error {
	a := p.attempt(s)
	if err := s.engine.Code.Begin(ctx, a); err != nil {
		return s.unsent(err)
	}
	s.keep("contact-code", a.Scratch)
	return nil
}

func (p proveContact) Show(ctx context.Context, s *State) (templates.Content, error) {
	a := p.attempt(s)
	a.Ways = []templates.Way{{Icon: map[idp.IdentifierKind]string{idp.IdentifierPhone: "phone", idp.IdentifierEmail: "mail"}[s.contactKind()], Title: templates.T(s.engine.Site.Lang(s.request), "new-contact.other"), URL: s.path("contact")}}
	var err error
	if s.contactKind() == idp.IdentifierPhone {
		if a.SendWork, err = s.engine.work(ctx, s, true); err != nil {
			return nil, err
		}
	}
	return s.engine.Code.Show(ctx, a)
}

func (p proveContact) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	s.answer, err = s.engine.Code.Check(ctx, p.attempt(s), form)
	return err
}

func (proveContact) Submit(ctx context.Context, s *State, _ url.Values) error {
	if !s.strong() {
		return errExpired
	}
	e, now := s.engine, time.Now()
	s.keep("contact-code", s.answer.Scratch)
	if err := e.guess(ctx, s, methodAddress, s.answer); err != nil {
		return err
	}
	fresh := idp.Identifier{UserID: s.User, Kind: s.contactKind(), Value: s.Facts.Contact, VerifiedAt: now, LastProvenAt: now}
	old := s.replaced()
	u, err := e.Store.HoldUser(ctx, s.User) // of two that are added at once the second counts the first
	if err == nil {
		err = barred(u, s.Demand.Kind, now)
	}
	if err != nil {
		return err
	}
	if err := s.roomFor(ctx, "code", fresh.Kind); err != nil {
		return err
	}
	err = e.Store.Try(ctx, func(ctx context.Context) error { return e.Store.AddIdentifier(ctx, &fresh) })
	if err != nil && idp.KindOf(err) == idp.Conflict { // he holds it, so he may know, and whose it was hears of it
		if err := e.dispute(ctx, fresh.Kind, fresh.Value); err != nil {
			return err
		}
		return &idp.Error{Kind: idp.Rejected, Field: "code", Msg: "new-contact.taken", Reason: "taken"}
	}
	if err != nil {
		return err
	}
	s.Facts.Changed = true
	if err := e.event(ctx, s, idp.Event{Name: "channel.added", Data: map[string]any{"channel": string(fresh.Kind)}}); err != nil {
		return err
	}
	letter := templatesLetter(s, now)
	letter.New, letter.Object = fresh.Masked(), fresh.ID
	if err := e.tell(ctx, s, "channel.added", letter); err != nil {
		return err
	}
	if old == nil {
		return e.Store.CreateChange(ctx, &idp.Change{UserID: s.User, NewID: fresh.ID, At: now, Until: now.Add(e.Policy.Now().Links.Undo)})
	}
	return e.displace(ctx, s, *old, fresh, letter)
}

// methodAddress is the code that proves a new phone or address: nothing is signed in to
// with it, so it has tries of its own.
const methodAddress idp.Method = "address"

// displace takes away what the new phone or address takes the place of. Its owner can
// undo that from there.
func (e *Engine) displace(ctx context.Context, s *State, old, by idp.Identifier, letter templates.Letter) error {
	now := time.Now()
	if err := e.removeChannel(ctx, *s.user, old.ID, s.signed.Session.ID, now); err != nil {
		return err
	}
	s.names = slices.DeleteFunc(s.names, func(n idp.Identifier) bool { return n.ID == old.ID }) // its code counts no more
	c := idp.Change{UserID: s.User, OldID: old.ID, NewID: by.ID, At: now, Until: now.Add(e.Policy.Now().Links.Undo)}
	if err := e.Store.CreateChange(ctx, &c); err != nil {
		return err
	}
	if err := e.event(ctx, s, idp.Event{Name: "channel.removed", Data: map[string]any{"channel": string(old.Kind), "change": c.ID}}); err != nil {
		return err
	}
	letter.Old, letter.New, letter.Object = old.Masked(), by.Masked(), old.ID
	return e.tellChange(ctx, *s.user, old, c, "channel.removed", letter)
}

// newUsername changes the user name; the old one stays reserved and goes on working.
type newUsername struct{}

func (newUsername) Name() string { return "username" }

func (newUsername) Done(s *State) bool { return s.Facts.Changed }

func (newUsername) Begin(_ context.Context, s *State) error { return s.clear() }

func (newUsername) Show(_ context.Context, s *State) (templates.Content, error) {
	return templates.NewUsername{Form: s.Form, Action: s.path("username"), Old: s.username(), Days: int(s.engine.Policy.Now().Notices.FormerNames.Hours() / 24), Back: "/account/contacts"}, nil
}

func (newUsername) Submit(ctx context.Context, s *State, form url.Values) error {
	if !s.strong() {
		return errExpired
	}
	e, now, typed := s.engine, time.Now(), form.Get("username")
	kind, value, ok := normal.Identifier(typed)
	switch {
	case typed == "" || len(typed) > 4*normal.MaxIdentifier || !ok || kind != idp.IdentifierUsername:
		return idp.FieldError("username", "new-username.malformed")
	case value == s.username():
		return idp.FieldError("username", "new-username.same")
	}
	letter := templatesLetter(s, now)
	letter.Old, letter.New = s.username(), value
	if err := s.rename(ctx, value, now); err != nil {
		return err
	}
	s.Facts.Changed = true
	if err := e.event(ctx, s, idp.Event{Name: "username.changed"}); err != nil {
		return err
	}
	return e.tell(ctx, s, "username.changed", letter)
}

// rename takes a user name in the place of the present one. Every try is charged, and
// stays charged where the name is taken: whose names there are is not for sale.
func (s *State) rename(ctx context.Context, value string, now time.Time) error {
	e, p := s.engine, s.engine.Policy.Now().Contacts
	charge := func(ctx context.Context, kind string, b policy.Bucket) error {
		ok, next, err := e.Store.TakeBucket(ctx, kind, s.account(), b.Burst, b.Refill, now)
		if err == nil && !ok {
			err = idp.FieldError("username", "new-username.often", next)
		}
		return err
	}
	if err := charge(ctx, "username.try", p.Names); err != nil {
		return err
	}
	err := e.Store.Try(ctx, func(ctx context.Context) error {
		if err := charge(ctx, "username", p.Renames); err != nil {
			return err
		}
		if err := e.Store.RetireUsernames(ctx, s.User, now); err != nil {
			return err
		}
		return s.takeName(ctx, value)
	})
	if taken, ok := errors.AsType[*idp.Error](err); ok && taken.Kind == idp.Conflict {
		return &idp.Error{Kind: idp.Rejected, Field: "username", Msg: taken.Msg, Reason: "taken"}
	}
	return err
}

// takeName gives the person a user name: a new one, or one that he had before.
func (s *State) takeName(ctx context.Context, value string) error {
	for _, n := range s.names {
		if n.Kind == idp.IdentifierUsername && n.Value == value {
			_, err := s.engine.Store.ReviveUsername(ctx, s.User, n.ID)
			return err
		}
	}
	return s.engine.Store.AddIdentifier(ctx, &idp.Identifier{UserID: s.User, Kind: idp.IdentifierUsername, Value: value})
}
