package flows

import (
	"cmp"
	"context"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/storage"
	"hufu/templates"
)

// A forgotten user name is told on a channel that is bound to it and nowhere else: after a
// code on the phone or e-mail that was typed, or, for a merchant number and a terminal's
// serial, in a message to the owner's channels. A channel that is no sole proof of its person
// shows nothing: it may be somebody else's by now. Page and time are the same for everybody.

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
// together. The flow goes on to the same page in any case, and what is not sent is done and
// taken back: neither page nor time tells.
func (s *State) tellOwner(ctx context.Context, number, serial string) error {
	e, now := s.engine, time.Now()
	_, value, ok := normal.Identifier(number)
	if !ok {
		value = number
	}
	s.Facts.Lookup = e.Store.Lookup(idp.IdentifierMerchantNo, value)
	s.Facts.Recover = &recovering{Lost: idp.LostUsername, Found: string(idp.IdentifierMerchantNo)}
	if err := s.start(ctx); err != nil {
		return err
	}
	id, err := e.Store.Login(ctx, idp.IdentifierMerchantNo, value, now)
	if err != nil {
		return err
	}
	id = cmp.Or(id, nobody)
	u, err := e.Store.User(ctx, id)
	if id == nobody && idp.KindOf(err) == idp.NotFound {
		u, err = idp.User{ID: nobody, Language: e.Site.Lang(s.request)}, nil
	}
	if err != nil {
		return err
	}
	typed, _ := normal.Serial(serial)
	t, err := e.Store.TerminalBySerial(ctx, typed)
	if err != nil && idp.KindOf(err) != idp.NotFound {
		return err
	}
	names, err := e.Store.Identifiers(ctx, id)
	if err != nil {
		return err
	}
	some, err := e.Store.Users(ctx, storage.UserFilter{}, 1) // whose link is taken back where nobody is told
	if err != nil || len(some) == 0 {
		return err
	}
	if id != nobody {
		some[0] = u
	}
	meant := !s.muted && u.ID != nobody && t.WorksFor(u.MerchantID) && u.Reason(now) == ""
	letter := templates.Letter{Name: u.Name, Login: loginOf(names), At: now, Object: t.ID, Place: e.where(e.Sessions.Network(ctx), u.Language)}
	for _, to := range e.ownChannels(names) {
		if err := e.tellName(ctx, u, some[0], to, letter, meant); err != nil {
			return err
		}
	}
	return e.Store.Try(ctx, func(ctx context.Context) error {
		err := e.Store.Append(ctx, idp.Event{Name: "username.told", Subject: id, Merchant: u.MerchantID, Terminal: t.ID, Flow: s.ID, Network: e.Sessions.Network(ctx), Policy: e.Policy.Now().Version,
			Data: map[string]any{"by": string(idp.IdentifierMerchantNo)}})
		if err != nil || meant {
			return err
		}
		return storage.Undo()
	})
}

// ownChannels are the bound channels that messages go to, a phone and an address at least:
// in the place of one that there is not stands one that nobody has.
func (e *Engine) ownChannels(names []idp.Identifier) (out []idp.Identifier) {
	for _, n := range names {
		if n.Channel() && e.reaches(n) {
			out = append(out, n)
		}
	}
	for _, kind := range []idp.IdentifierKind{idp.IdentifierPhone, idp.IdentifierEmail} {
		if !slices.ContainsFunc(out, func(n idp.Identifier) bool { return n.Kind == kind }) {
			out = append(out, idp.Identifier{ID: nobody, Kind: kind})
		}
	}
	return out
}

// tellName sends a user name to one bound channel, with a link that stops whom it is about.
// Where it is not meant to, or was told it just now, the same is written and taken back.
func (e *Engine) tellName(ctx context.Context, u, about idp.User, to idp.Identifier, letter templates.Letter, meant bool) error {
	now := time.Now()
	told, err := e.told(ctx, to, "username.told", letter, now)
	if err != nil {
		return err
	}
	if told || !meant {
		to = idp.Identifier{ID: nobody, Kind: to.Kind}
	}
	return e.Store.Try(ctx, func(ctx context.Context) error {
		ok, err := e.untold(ctx, to, "username.told", letter, now)
		if err == nil && to.Kind == idp.IdentifierPhone {
			var room bool
			room, err = e.mayText(ctx, to, "username.told", now)
			if ok = ok && room; err == nil {
				err = e.Store.CountHour(ctx, "sms", 1, now)
			}
		}
		if err != nil {
			return err
		}
		if letter.Stop, err = e.stopLink(ctx, about, now); err != nil {
			return err
		}
		if err := e.queue(ctx, u, to, "username.told", letter); err != nil || ok && to.ID != nobody {
			return err
		}
		return storage.Undo()
	})
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

// Submit tells the name on the channel whose code came back, and the person on all that he
// was told. A number that may have been sold again, a channel that is disputed or was bound
// lately shows too little: the name goes to the others that are bound.
func (nameCode) Submit(ctx context.Context, s *State, _ url.Values) error {
	e := s.engine
	if err := e.settle(ctx, s, "name-code", methodRecover); err != nil {
		return err
	}
	if s.user == nil {
		return errExpired
	}
	shown := s.nameShown()
	if err := e.event(ctx, s, idp.Event{Name: "username.told", Data: map[string]any{"by": s.found().Found, "here": shown}}); err != nil {
		return err
	}
	letter := templatesLetter(s, time.Now())
	if !shown {
		for _, to := range e.ownChannels(s.names) {
			if err := e.tellName(ctx, *s.user, *s.user, to, letter, !s.gave(to.ID)); err != nil {
				return err
			}
		}
	}
	letter.Login = "" // it goes to those removed lately, too
	return e.tell(ctx, s, "username.asked", letter)
}

// nameShown says whether the channel whose code came back is enough to show the name by itself.
func (s *State) nameShown() bool {
	now, r := time.Now(), s.settings().Recovery
	return slices.ContainsFunc(s.Facts.Proofs, func(p idp.Proof) bool {
		n := named(s.names, p.Credential)
		if p.User != s.User || n == nil || !n.Channel() || now.Before(n.DisputedUntil) || !r.Old(n.VerifiedAt, now) {
			return false
		}
		_, stale := r.Phone(n.VerifiedAt, n.LastProvenAt, now)
		return n.Kind != idp.IdentifierPhone || !stale
	})
}

// nameTold shows the names of the account on whose channel the code came back.
type nameTold struct{}

func (nameTold) Name() string { return "name-told" }

func (nameTold) Done(s *State) bool { return s.Facts.Decided != "" }

func (nameTold) Show(ctx context.Context, s *State) (templates.Content, error) {
	p := templates.NameTold{Form: s.Form, Action: s.path("name-told"), Sent: true}
	if s.user == nil || len(s.Facts.Proofs) == 0 {
		return p, nil
	}
	if !s.nameShown() {
		p.Elsewhere = true
		return p, nil
	}
	p.Sent, p.Name = false, s.user.Name
	for _, n := range s.names {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			p.Names = append(p.Names, n.Value)
		}
	}
	if s.merchant != nil {
		p.Merchant = s.merchant.LegalName
	}
	last, err := s.engine.Store.Events(ctx, storage.EventFilter{Subject: s.User, Name: "signin.succeeded"}, 1)
	for _, ev := range last {
		p.LastUsed = ev.At
	}
	return p, err
}

// Submit leads to the sign-in, or to a forgotten password, with the name filled in.
func (nameTold) Submit(_ context.Context, s *State, _ url.Values) error {
	s.Facts.Decided = "signin"
	return nil
}
