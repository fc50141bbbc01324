package flows

import (
	"context"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/templates"
)

// A forgotten user name is told on a channel that is bound to it and nowhere else: after a
// code on the phone or e-mail that was typed, or, for a merchant number and a terminal's
// serial, in a message to the owner's channels. Page and time are the same for everybody.

// nameWho asks for a phone or e-mail, or for the merchant number and a serial.
type nameWho struct{}

func (nameWho) Name() string { return "name-who" }

func (nameWho) Done(s *State) bool { return s.Facts.Lookup != nil }

// Again: another one may be typed until a code has come back.
func (nameWho) Again(s *State) bool { return len(s.Facts.Proofs) == 0 }

func (nameWho) Show(_ context.Context, s *State) (templates.Content, error) {
	return templates.NameWho{Form: s.Form, Action: s.path("name-who"), Contact: s.Facts.Typed}, nil
}

func (nameWho) Submit(ctx context.Context, s *State, form url.Values) error {
	e := s.engine
	contact, number, serial := strings.TrimSpace(form.Get("contact")), strings.TrimSpace(form.Get("merchant_no")), strings.TrimSpace(form.Get("serial"))
	for field, v := range map[string]string{"contact": contact, "merchant_no": number, "serial": serial} {
		if len(v) > 4*normal.MaxIdentifier {
			return idp.FieldError(field, "identifier.malformed")
		}
	}
	switch {
	case contact == "" && number == "" && serial == "":
		return idp.FieldError("contact", "name.empty")
	case contact == "" && number == "":
		return idp.FieldError("merchant_no", "name.both")
	case contact == "" && serial == "":
		return idp.FieldError("serial", "name.both")
	}
	search := e.Policy.Now().Returns.Search
	rows, err := e.networks(ctx, s, "name.search", search)
	if err != nil {
		return err
	}
	if err := e.admit(ctx, rows, time.Now()); err != nil {
		return err
	}
	if contact == "" {
		return s.tellOwner(ctx, number, serial)
	}
	kind, value, ok := normal.Identifier(contact)
	if !ok || kind != idp.IdentifierPhone && kind != idp.IdentifierEmail {
		return idp.FieldError("contact", "name.malformed")
	}
	s.Facts.Typed, s.Facts.Lookup = contact, e.Store.Lookup(kind, value)
	s.Facts.Recover = &recovering{Lost: idp.LostUsername, Found: string(kind)}
	delete(s.Facts.Scratch, "name-code")
	s.User, err = e.Store.Login(ctx, kind, value, time.Time{})
	return err
}

// tellOwner sends the owner's user name to his own channels, if number and serial belong
// together. The flow goes on to the same page in any case.
func (s *State) tellOwner(ctx context.Context, number, serial string) error {
	e, now := s.engine, time.Now()
	kind, value, _ := normal.Identifier(number)
	s.Facts.Lookup = e.Store.Lookup(idp.IdentifierMerchantNo, value)
	s.Facts.Recover = &recovering{Lost: idp.LostUsername, Found: string(idp.IdentifierMerchantNo)}
	b := e.Policy.Now().Returns.Start
	ok, _, err := e.Store.TakeBucket(ctx, "recover.start", s.Facts.Lookup, b.Burst, b.Refill, now)
	if err != nil || !ok || kind != idp.IdentifierMerchantNo {
		return err
	}
	user, err := e.Store.Login(ctx, idp.IdentifierMerchantNo, value, now)
	if err != nil || user == "" {
		return err
	}
	u, err := e.Store.User(ctx, user)
	if err != nil {
		return err
	}
	t, err := e.Store.TerminalBySerial(ctx, strings.ToUpper(serial))
	if idp.KindOf(err) == idp.NotFound && err != nil || err == nil && t.MerchantID != u.MerchantID || u.Reason(time.Now()) != "" {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	letter := templates.Letter{Name: u.Name, Login: loginOf(names), At: now, Object: t.ID, Place: e.where(s.engine.Sessions.Network(ctx), u.Language)}
	if err := e.notify(ctx, u, "username.told", letter); err != nil {
		return err
	}
	return e.Store.Append(ctx, idp.Event{Name: "username.told", Subject: u.ID, Merchant: u.MerchantID, Terminal: t.ID, Flow: s.ID, Network: e.Sessions.Network(ctx), Policy: e.Policy.Now().Version,
		Data: map[string]any{"by": "merchant_no"}})
}

// nameCode asks for the code that went to the typed phone or e-mail.
type nameCode struct{}

func (nameCode) Name() string { return "name-code" }

func (nameCode) Done(s *State) bool {
	return s.Facts.Recover != nil && s.Facts.Recover.Found == string(idp.IdentifierMerchantNo) || len(s.Facts.Proofs) > 0
}

func (nameCode) attempt(s *State) *factor.Attempt {
	a := s.attempt("name-code", idp.MethodSMS)
	r := s.engine.Policy.Now().Returns
	kind := idp.IdentifierKind(s.found().Found)
	to := idp.Identifier{ID: hex.EncodeToString(s.Facts.Lookup) + "/" + string(kind), Kind: kind}
	if _, value, ok := normal.Identifier(s.Facts.Typed); ok {
		for _, c := range s.channels() {
			if c.Kind == kind && c.Value == value {
				to = c
			}
		}
	}
	a.Channels, a.Whoever, a.Steps, a.Digits, a.Life, a.Purpose, a.Again = []idp.Identifier{to}, true, false, r.Digits, r.Life, "purpose.name", ""
	a.Form.Prove = true
	a.Ways = []templates.Way{{Icon: "back", Title: templates.T(s.engine.Site.Lang(s.request), "name.other"), URL: s.path("name-who")}}
	return a
}

func (c nameCode) Begin(ctx context.Context, s *State) error {
	if err := s.person(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	a := c.attempt(s)
	if err := s.engine.Code.Begin(ctx, a); err != nil {
		return s.unsent(err)
	}
	s.keep("name-code", a.Scratch)
	return nil
}

func (c nameCode) Show(ctx context.Context, s *State) (templates.Content, error) {
	if err := s.person(ctx); err != nil {
		return nil, err
	}
	a := c.attempt(s)
	var err error
	if a.Channels[0].Kind == idp.IdentifierPhone {
		if a.SendWork, err = s.engine.work(ctx, s, true); err != nil {
			return nil, err
		}
	}
	return s.engine.Code.Show(ctx, a)
}

func (c nameCode) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	if err := s.person(ctx); err != nil {
		return err
	}
	s.answer, err = s.engine.Code.Check(ctx, c.attempt(s), form)
	return err
}

func (nameCode) Submit(ctx context.Context, s *State, _ url.Values) error {
	if err := s.engine.settle(ctx, s, "name-code", methodRecover); err != nil {
		return err
	}
	if s.user == nil {
		return errExpired
	}
	return s.engine.event(ctx, s, idp.Event{Name: "username.told", Data: map[string]any{"by": s.found().Found}})
}

// nameTold shows the names of the account on whose channel the code came back.
type nameTold struct{}

func (nameTold) Name() string { return "name-told" }

func (nameTold) Done(s *State) bool { return s.Facts.Decided != "" }

func (nameTold) Show(ctx context.Context, s *State) (templates.Content, error) {
	if s.user == nil || len(s.Facts.Proofs) == 0 {
		return templates.NameTold{Form: s.Form, Action: s.path("name-told"), Sent: true}, nil
	}
	p := templates.NameTold{Form: s.Form, Action: s.path("name-told"), Name: s.user.Name}
	for _, n := range s.names {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			p.Names = append(p.Names, n.Value)
		}
	}
	if s.merchant != nil {
		p.Merchant = s.merchant.LegalName
	}
	for _, c := range s.of(idp.MethodPassword) {
		p.LastUsed = c.LastUsedAt
	}
	return p, nil
}

// Submit leads to the sign-in, or to a forgotten password, with the name filled in.
func (nameTold) Submit(_ context.Context, s *State, _ url.Values) error {
	s.Facts.Decided = "signin"
	return nil
}
