package flows

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/templates"
)

// second asks for a second factor: one that the person holds, or a code on a bound
// channel where policy lets that do.
type second struct{}

func (second) Name() string { return "second" }

func (second) Done(s *State) bool {
	if s.met() || s.changed() {
		return true
	}
	acr, _ := s.need()
	if acr < idp.ACR2 {
		return true
	}
	if s.shown(idp.MethodBackup) && s.enrolling() { // what it stands in for is enrolled next
		return true
	}
	// A code on a channel has opened the way to enrol the first factor.
	return s.opens() && (s.shown(idp.MethodSMS) || s.shown(idp.MethodMail))
}

// opens says whether the person, who has no factor, is led to enrol one in this flow.
func (s *State) opens() bool {
	return !s.enrolled() && s.Facts.Enrolled == "" && (s.Demand.Kind == idp.FlowSignIn || s.Demand.Kind == idp.FlowStepUp || s.Demand.Kind == idp.FlowEnrol)
}

// channels are where codes may go to, phones first. Mail only opens the way to
// enrol, it is no second factor.
func (s *State) channels() (out []idp.Identifier) {
	for _, kind := range []idp.IdentifierKind{idp.IdentifierPhone, idp.IdentifierEmail} {
		for _, n := range s.names {
			if n.Kind == kind && n.Channel() {
				out = append(out, n)
			}
		}
	}
	return out
}

// ways are the second factors open to the person: the one used last first, recovery
// codes last; "code:ID" for each channel while no factor is enrolled.
func (s *State) ways() (out []string) {
	if !s.enrolled() {
		for _, c := range s.channels() {
			if s.counts(c.ID) {
				out = append(out, "code:"+c.ID)
			}
		}
		return out
	}
	keys, apps := s.lastUsed(idp.MethodPasskey), s.lastUsed(idp.MethodTOTP)
	if acr, _ := s.need(); acr >= idp.ACRPhr || s.youngPassword() {
		apps = time.Time{} // could not reach what is asked
	}
	if !keys.IsZero() {
		out = append(out, "passkey")
	}
	if !apps.IsZero() {
		out = append(out, "totp")
		if apps.After(keys) {
			slices.Reverse(out)
		}
	}
	for _, c := range s.of(idp.MethodBackup) {
		if backup.Left(c.Data) > 0 && s.counts(c.ID) {
			out = append(out, "backup")
		}
	}
	return out
}

// lastUsed is when a credential of a method was last used, or made; zero: there is none.
func (s *State) lastUsed(m idp.Method) (last time.Time) {
	for _, c := range s.of(m) {
		for _, t := range []time.Time{c.CreatedAt, c.LastUsedAt} {
			if t.After(last) && s.counts(c.ID) {
				last = t
			}
		}
	}
	return last
}

// way is the second factor of this flow: chosen, else the best.
func (s *State) way() string {
	all := s.ways()
	if slices.Contains(all, s.Facts.Way) {
		return s.Facts.Way
	}
	if len(all) > 0 {
		return all[0]
	}
	return ""
}

// Choose takes another second factor. Before the password is right nobody learns which
// ones there are.
func (second) Choose(s *State, way string) bool {
	switch {
	case slices.Contains(s.ways(), way):
		s.Facts.Way = way
	case way == "later" && s.Facts.EnrolNow:
		s.Facts.EnrolNow, s.Facts.Later = false, true
	default:
		return false
	}
	return true
}

// secondAttempt is the attempt at the chosen way.
func (s *State) secondAttempt() (factor.Factor, *factor.Attempt, error) {
	e, way := s.engine, s.way()
	var f factor.Factor
	var a *factor.Attempt
	switch way {
	case "":
		if s.Demand.Kind == idp.FlowReturn {
			return nil, nil, &idp.Error{Kind: idp.Forbidden, Msg: "unfreeze.noway", Reason: "frozen"}
		}
		return nil, nil, errWeak
	case "passkey":
		f, a = e.Passkey, s.attempt("second", idp.MethodPasskey)
		a.Passkey = s.passkey("second", false)
	case "totp":
		f, a = e.TOTP, s.attempt("second", idp.MethodTOTP)
	case "backup":
		f, a = e.Backup, s.attempt("second", idp.MethodBackup)
	default:
		f, a = e.Code, s.attempt("second", idp.MethodSMS)
		a.Again = ""
	}
	a.Trust = s.trustDays()
	if s.Demand.Kind == idp.FlowSignIn {
		a.Restart = "/sign-in"
	}
	lang := e.Site.Lang(s.request)
	if s.Facts.EnrolNow && s.Facts.Enrolled == "" { // taken up in the days of grace, and not held to it
		a.Ways = append(a.Ways, templates.FactorWay(lang, "later", s.path("second", "way")))
	}
	for _, w := range s.ways() {
		id, isCode := strings.CutPrefix(w, "code:")
		switch {
		case isCode:
			for _, c := range s.channels() {
				switch {
				case c.ID != id:
				case w == way:
					a.Channels = []idp.Identifier{c}
				default:
					a.Ways = append(a.Ways, templates.CodeWay(lang, string(c.Kind), c.Masked(), s.path("second", "way"), w))
				}
			}
		case w != way:
			a.Ways = append(a.Ways, templates.FactorWay(lang, w, s.path("second", "way")))
		}
	}
	return f, a, nil
}

// trustDays is for how many days this browser may do without the second factor, 0 where
// that is not offered.
func (s *State) trustDays() int {
	if s.Demand.Kind != idp.FlowSignIn || s.user == nil || !s.enrolled() || s.user.Frozen || s.user.Withholds(time.Now()) != "" || s.mustChange() {
		return 0
	}
	return int(s.settings().Trust.Trust.Hours() / 24)
}

func (second) Begin(ctx context.Context, s *State) error {
	f, a, err := s.secondAttempt()
	if err != nil {
		return nil // Show says so
	}
	if err := f.Begin(ctx, a); err != nil {
		return s.unsent(err)
	}
	s.keep("second", a.Scratch)
	return nil
}

// unsent: what cannot be sent when its step becomes current leaves a page with a button
// that sends, and says why when it is pressed.
func (s *State) unsent(err error) error {
	if refusal, ok := errors.AsType[*idp.Error](err); ok && !s.resent && refusal.Kind != idp.Internal && refusal.Kind != idp.Unavailable {
		return nil
	}
	return err
}

func (second) Show(ctx context.Context, s *State) (templates.Content, error) {
	f, a, err := s.secondAttempt()
	if err != nil {
		return nil, err
	}
	if a.Work, err = s.engine.work(ctx, s, false); err != nil {
		return nil, err
	}
	if len(a.Channels) > 0 && a.Channels[0].Kind == idp.IdentifierPhone {
		if a.SendWork, err = s.engine.work(ctx, s, true); err != nil {
			return nil, err
		}
	}
	return f.Show(ctx, a)
}

func (second) Challenge(ctx context.Context, s *State) ([]byte, error) { return s.challenge(ctx) }

func (second) Prepare(ctx context.Context, s *State, form url.Values) error {
	f, a, err := s.secondAttempt()
	if err != nil {
		return err
	}
	if f.Method() == idp.MethodPasskey {
		return s.asserted(ctx, form)
	}
	if err := s.engine.waiting(ctx, s, f.Method()); err != nil {
		return err
	}
	if f.Method() == idp.MethodBackup && form.Get("code") == "" && form.Get("kit") != "" {
		if form, err = s.engine.kitCode(ctx, s, form); err != nil {
			return err
		}
	}
	if err := f.Read(form); err != nil { // before work is used up for it
		return err
	}
	if err := s.engine.paid(ctx, s, form, false); err != nil {
		return err
	}
	s.answer, err = f.Check(ctx, a, form)
	return err
}

func (second) Submit(ctx context.Context, s *State, form url.Values) error {
	f, _, err := s.secondAttempt()
	if err != nil {
		return err
	}
	s.Facts.Trust = s.trustDays() > 0 && form.Get("trust") != ""
	if f.Method() == idp.MethodPasskey {
		return s.engine.settlePasskey(ctx, s)
	}
	return s.engine.settle(ctx, s, "second", f.Method())
}

// offer leads a person to enrol a factor if he likes: one who may still do without a
// second one, and hears until when, and one who is asked for a passkey and has none.
type offer struct{}

func (offer) Name() string { return "offer" }

func (offer) Done(s *State) bool { return !s.offered() || s.Facts.Later || s.Facts.EnrolNow }

// Again: who has taken it up is not held to it, until something is enrolled.
func (offer) Again(s *State) bool { return s.Facts.EnrolNow && s.enrolling() }

func (s *State) offered() bool {
	if s.user == nil || s.user.Frozen || s.withheld(idp.FlowEnrol) || s.refusal() != "" {
		return false
	}
	_, grace := s.need()
	return grace || s.outOfReach()
}

// outOfReach says whether an application or the console asks for a class that only a passkey
// reaches, and the person has none. An application gets less when he would rather not:
// acr_values are voluntary (OpenID Connect Core 3.1.2.1). The console does not.
func (s *State) outOfReach() bool {
	return s.Demand.Kind == idp.FlowStepUp && s.Demand.ACR >= idp.ACRPhr && s.engine.Passkey != nil && len(s.of(idp.MethodPasskey)) == 0
}

// bringsKey says whether this step-up enrols the passkey that it asks for.
func (s *State) bringsKey() bool { return s.Facts.EnrolNow && s.outOfReach() }

func (offer) Show(_ context.Context, s *State) (templates.Content, error) {
	until := s.settings().GraceUntil(*s.user)
	p := templates.Offer{Form: s.Form, Action: s.path("offer"), Until: until, Alone: !s.provable()}
	if s.outOfReach() {
		if p.Asked = "app"; s.Demand.Else != "" {
			p.Asked = "console"
		}
	}
	return p, nil
}

func (offer) Submit(_ context.Context, s *State, form url.Values) error {
	switch do := form.Get("do"); {
	case do == "now" && s.provable():
		s.Facts.EnrolNow = true
	case do == "later":
		s.Facts.EnrolNow, s.Facts.Later = false, true
	default:
		return idp.FieldError("", "offer.choose")
	}
	return nil
}
