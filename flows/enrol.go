package flows

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/templates"
)

// enrolling says whether this flow has a factor left to enrol: because that is what it
// is for, because policy asks for a second factor and there is none, or because a code
// from paper stood in for one that is lost.
func (s *State) enrolling() bool {
	if s.Facts.Enrolled != "" || s.user == nil {
		return false
	}
	if s.Demand.Kind == idp.FlowRecover {
		return s.replaces().Second
	}
	if s.withheld(idp.FlowEnrol) {
		return false
	}
	switch s.Demand.Kind {
	case idp.FlowEnrol:
		return true
	case idp.FlowSignIn:
		acr, _ := s.need()
		return s.refusal() == "" && !s.user.Frozen && acr >= idp.ACR2 && (!s.enrolled() || s.proved(idp.MethodBackup))
	case idp.FlowStepUp:
		if s.bringsKey() && !s.user.Frozen {
			return true
		}
		if s.shown(idp.MethodBackup) && s.strong() { // a code from paper stood in for what is lost
			return true
		}
		acr, _ := s.need()
		// A code to the phone is a second factor where policy says so; for the others it
		// only opens the way to enrol one.
		return !s.user.Frozen && acr >= idp.ACR2 && !s.enrolled() && !(s.met() && s.settings().Factors.SMSSecond)
	}
	return false
}

// choice is the factor that is being enrolled, "" before it is chosen.
func (s *State) choice() string {
	choice := s.Facts.Choice
	if s.Demand.Kind == idp.FlowEnrol && choice == "" {
		choice = s.Demand.Object
	}
	if s.bringsKey() {
		choice = "passkey"
	}
	if choice != "" && !s.settings().Factors.Permits(idp.Method(choice)) {
		choice = ""
	}
	if choice == "passkey" && s.engine.Passkey == nil {
		return "totp"
	}
	return choice
}

// later is where a person goes who would rather not.
func (s *State) later() string {
	switch {
	case s.Demand.Kind == idp.FlowEnrol:
		return "/account/factors"
	case s.Facts.EnrolNow && s.Facts.Enrolled == "":
		return s.path("offer")
	}
	return ""
}

// chooseFactor asks which factor to enrol.
type chooseFactor struct{}

func (chooseFactor) Name() string { return "choose-factor" }

func (chooseFactor) Done(s *State) bool { return !s.enrolling() || s.choice() != "" }

// Again: until one is bound, the other may be taken.
func (chooseFactor) Again(s *State) bool { return s.enrolling() && s.strong() }

func (chooseFactor) Begin(_ context.Context, s *State) error { return s.clear() }

func (chooseFactor) Show(_ context.Context, s *State) (templates.Content, error) {
	p := templates.ChooseFactor{Form: s.Form, Action: s.path("choose-factor"), Passkey: s.keyWillDo(), TOTP: s.appWillDo(), Later: s.later()}
	if s.proved(idp.MethodBackup) {
		p.After = "backup"
	}
	return p, nil
}

func (chooseFactor) Submit(_ context.Context, s *State, form url.Values) error {
	switch f := form.Get("factor"); {
	case f == "passkey" && s.keyWillDo(), f == "totp" && s.appWillDo():
		s.Facts.Choice = f
		return nil
	}
	return idp.FieldError("factor", "choose-factor.choose")
}

// appWillDo says whether an app reaches what this flow asks for: it is not
// phishing-resistant.
func (s *State) appWillDo() bool {
	acr, _ := s.need()
	return s.settings().Factors.Permits(idp.MethodTOTP) && (acr < idp.ACRPhr && !s.bringsKey() || s.Demand.Kind == idp.FlowEnrol)
}

// keyWillDo says whether a passkey may be enrolled here.
func (s *State) keyWillDo() bool {
	return s.engine.Passkey != nil && s.settings().Factors.Permits(idp.MethodPasskey)
}

// enrolPasskey binds a passkey or a security key.
type enrolPasskey struct{}

func (enrolPasskey) Name() string { return "enrol-passkey" }

func (enrolPasskey) Done(s *State) bool { return !s.enrolling() || s.choice() != "passkey" }

func (enrolPasskey) Begin(_ context.Context, s *State) error { return s.clear() }

func (enrolPasskey) Challenge(ctx context.Context, s *State) ([]byte, error) {
	if !s.strong() {
		return nil, errExpired
	}
	if len(s.of(idp.MethodPasskey)) >= s.settings().Factors.MostPasskeys {
		return nil, errFaster
	}
	a, err := s.enrolAttempt(ctx)
	if err != nil {
		return nil, err
	}
	options, scratch, err := s.engine.Passkey.EnrolOptions(a)
	s.keep("enrol-passkey", scratch)
	return options, err
}

// enrolAttempt is the attempt at a new passkey.
func (s *State) enrolAttempt(ctx context.Context) (a *factor.Attempt, err error) {
	a = s.attempt("enrol-passkey", idp.MethodPasskey)
	a.Login = s.username()
	a.Handle, err = s.engine.Store.Handle(ctx, s.User)
	return a, err
}

func (s *State) username() string { return accountName(*s.user, s.names) }

func (enrolPasskey) Show(_ context.Context, s *State) (templates.Content, error) {
	p := templates.EnrolPasskey{Form: s.Form, Action: s.path("enrol-passkey"), Options: s.path("enrol-passkey", "challenge"), Account: s.username(),
		Label: s.engine.Sessions.Device(s.request), Steps: s.Demand.Kind == idp.FlowSignIn, Later: s.later()}
	if s.appWillDo() {
		p.Other = s.path("choose-factor")
	}
	return p, nil
}

func (enrolPasskey) Submit(ctx context.Context, s *State, form url.Values) error {
	if !s.strong() {
		return errExpired
	}
	e := s.engine
	if len(s.of(idp.MethodPasskey)) >= s.settings().Factors.MostPasskeys {
		return idp.FieldError("", "key.many")
	}
	a, err := s.enrolAttempt(ctx)
	if err != nil {
		return err
	}
	label, err := labelOf(form.Get("label"))
	if err != nil {
		return err
	}
	found, err := e.Passkey.CheckEnrol(a, form)
	if err != nil {
		return e.unbound(ctx, s, err)
	}
	label = cmp.Or(label, found.Label, e.Sessions.Device(s.request))
	c := idp.Credential{UserID: s.user.ID, Method: idp.MethodPasskey, Label: label, Data: found.Data, Counter: found.Counter, Lookup: found.RawID}
	if s.Demand.Kind == idp.FlowRecover {
		return s.keepFactor(ctx, c)
	}
	if err := e.Store.AddCredential(ctx, &c); err != nil {
		if idp.KindOf(err) == idp.Conflict {
			return idp.FieldError("", "key.known")
		}
		return err
	}
	found.Proof.Credential, found.Proof.Channels = c.ID, []string{"key:" + c.ID}
	return e.bound(ctx, s, c, found.Proof, "factor.enrolled")
}

// bound adds a new factor to the flow and tells its owner.
func (e *Engine) bound(ctx context.Context, s *State, c idp.Credential, p idp.Proof, event string) error {
	if !s.enrolled() {
		if err := e.outrank(ctx, s.User); err != nil {
			return err
		}
	}
	s.creds = append(s.creds, c)
	s.Facts.Enrolled = string(c.Method)
	delete(s.Facts.Scratch, "enrol-passkey")
	delete(s.Facts.Scratch, "enrol-totp")
	s.prove(p)
	if err := e.event(ctx, s, idp.Event{Name: event, Data: map[string]any{"method": string(c.Method)}}); err != nil {
		return err
	}
	letter := templatesLetter(s, time.Now())
	letter.Factor, letter.Object = "factor."+string(c.Method), c.ID
	return e.tell(ctx, s, "factor.enrolled", letter)
}

// enrolTOTP binds an authenticator app. It counts only after one code of it came
// back, and takes the place of the one before: one app a person, since a guess is
// checked against exactly one.
type enrolTOTP struct{}

func (enrolTOTP) Name() string { return "enrol-totp" }

func (enrolTOTP) Done(s *State) bool { return !s.enrolling() || s.choice() != "totp" }

func (enrolTOTP) Begin(_ context.Context, s *State) error {
	if err := s.clear(); err != nil {
		return err
	}
	s.keep("enrol-totp", totp.NewSecret())
	return nil
}

func (enrolTOTP) Show(ctx context.Context, s *State) (templates.Content, error) {
	a := s.attempt("enrol-totp", idp.MethodTOTP)
	a.Steps = true
	if len(s.Form.Errors) > 0 {
		a.Form.Hint = "otp.hint"
	}
	return s.engine.TOTP.ShowEnrol(ctx, a, s.engine.Site.Lang(s.request), s.later())
}

func (enrolTOTP) Submit(ctx context.Context, s *State, form url.Values) error {
	if !s.strong() {
		return errExpired
	}
	e := s.engine
	a := s.attempt("enrol-totp", idp.MethodTOTP)
	step, err := e.TOTP.CheckEnrol(a, form)
	if err != nil {
		return err
	}
	fresh := idp.Credential{UserID: s.user.ID, Method: idp.MethodTOTP, Label: e.Sessions.Device(s.request), Data: a.Scratch, Counter: step}
	if s.Demand.Kind == idp.FlowRecover {
		return s.keepFactor(ctx, fresh)
	}
	event := "factor.enrolled"
	for _, old := range s.creds {
		if old.Method != idp.MethodTOTP {
			continue
		}
		event = "factor.replaced"
		if err := e.retire(ctx, s, old); err != nil {
			return err
		}
	}
	c := fresh
	if err := e.Store.AddCredential(ctx, &c); err != nil {
		return err
	}
	return e.bound(ctx, s, c, idp.Proof{Method: idp.MethodTOTP, Credential: c.ID, Channels: []string{"totp:" + c.ID}}, event)
}
