package flows

import (
	"context"
	"net/url"
	"time"

	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// enrolTOTP binds an authenticator app. It counts only after one code of it came
// back. In a sign-in it is demanded when policy asks for a second factor and the
// person has none; who does the enrolling has proved a bound channel before.
type enrolTOTP struct{}

func (enrolTOTP) Name() string { return "enrol-totp" }

func (enrolTOTP) Done(s *State) bool {
	if s.Facts.Enrolled {
		return true
	}
	if s.Demand.Kind == idp.FlowEnrol {
		return false
	}
	if s.Demand.Kind == idp.FlowSignIn && s.user != nil && s.refusal() != "" {
		return true
	}
	acr, _ := s.need()
	if acr < idp.ACR2 || s.enrolled() {
		return true
	}
	// A code to the phone is a second factor where policy says so; for the others it
	// only opens the way to enrol one.
	return s.Demand.Kind == idp.FlowStepUp && s.met() && s.engine.Policy.SMSFactor(policy.ClassOf(*s.user, s.merchant))
}

// mayEnrol: two factors, or while none is enrolled the password and a code on a
// bound channel, all fresh. One authenticator a person: a guess is checked against
// exactly one.
func (s *State) mayEnrol() bool {
	return !s.enrolled() && idp.Demand{ACR: idp.ACR2, TwoStar: true, Since: s.recent()}.Met(s.proofs())
}

func (enrolTOTP) Begin(_ context.Context, s *State) error {
	if !s.mayEnrol() {
		return &idp.Error{Kind: idp.Forbidden, Msg: "second.noway", Reason: "enrol.due"}
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
	later := ""
	if s.Demand.Kind == idp.FlowEnrol {
		later = s.Demand.Return
	}
	return s.engine.TOTP.ShowEnrol(ctx, a, s.engine.Site.Lang(s.request), later)
}

func (enrolTOTP) Submit(ctx context.Context, s *State, form url.Values) error {
	if !s.mayEnrol() {
		return errExpired
	}
	a := s.attempt("enrol-totp", idp.MethodTOTP)
	step, err := s.engine.TOTP.CheckEnrol(a, form)
	if err != nil {
		return err
	}
	c := idp.Credential{UserID: s.user.ID, Method: idp.MethodTOTP, Label: s.engine.Sessions.Device(s.request), Data: a.Scratch, Counter: step}
	if err := s.engine.Store.AddCredential(ctx, &c); err != nil {
		return err
	}
	s.creds = append(s.creds, c)
	s.Facts.Enrolled = true
	delete(s.Facts.Scratch, "enrol-totp")
	s.prove(idp.Proof{Method: idp.MethodTOTP, Credential: c.ID, Channels: []string{"totp:" + c.ID}})
	if err := s.engine.event(ctx, s, idp.Event{Name: "factor.enrolled", Data: map[string]any{"method": "totp"}}); err != nil {
		return err
	}
	letter := templatesLetter(s, time.Now())
	letter.Factor = "factor.totp"
	return s.engine.tell(ctx, s, "factor.enrolled", letter)
}
