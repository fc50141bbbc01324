package flows

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// steps is the list of flows: a new step is one file and one word here.
func (e *Engine) steps(k idp.FlowKind) []Step {
	switch k {
	case idp.FlowSignIn:
		return []Step{identify{}, introduce{}, passwordStep{}, offer{}, second{}, newPassword{}, chooseFactor{}, enrolPasskey{}, enrolTOTP{}, recoveryCodes{}}
	case idp.FlowStepUp:
		return []Step{offer{}, passwordStep{}, second{}, chooseFactor{}, enrolPasskey{}, enrolTOTP{}, recoveryCodes{}}
	case idp.FlowEnrol:
		return []Step{passwordStep{}, second{}, chooseFactor{}, enrolPasskey{}, enrolTOTP{}, recoveryCodes{}}
	case idp.FlowPassword:
		return []Step{passwordStep{}, second{}, newPassword{}}
	case idp.FlowCodes:
		return []Step{passwordStep{}, second{}, recoveryCodes{}}
	case idp.FlowContact:
		return []Step{passwordStep{}, second{}, newContact{}, proveContact{}}
	case idp.FlowUsername:
		return []Step{passwordStep{}, second{}, newUsername{}}
	case idp.FlowProve:
		return []Step{stillMine{}}
	case idp.FlowReturn:
		return []Step{passwordStep{}, second{}}
	case idp.FlowRecover:
		return []Step{recoverWho{}, recoverHub{}, recoverProof{}, recoverWait{}, newPassword{}, chooseFactor{}, enrolPasskey{}, enrolTOTP{}}
	case idp.FlowName:
		return []Step{nameWho{}, nameCode{}, nameTold{}}
	case idp.FlowConsent:
		return []Step{consent{}}
	case idp.FlowJoin:
		return []Step{newPassword{}}
	}
	return nil
}

// reachable is the highest class that the factors of the person can show. Who asks
// for more gets it back unmet, and decides.
func (s *State) reachable() idp.ACR {
	if s.outOfReach() && s.Facts.Later && !s.enrolled() { // he would rather not: nothing is enrolled for less, either
		return idp.ACR1
	}
	if len(s.of(idp.MethodPasskey)) > 0 {
		return idp.ACRPhr
	}
	return idp.ACR2
}

// need is the class of assurance that ends this flow, and whether the person goes
// through with less because his grace time to enrol still runs.
func (s *State) need() (acr idp.ACR, grace bool) {
	if s.Demand.Kind != idp.FlowSignIn {
		return min(max(s.Demand.ACR, idp.ACR1), s.reachable()), false
	}
	if s.user == nil {
		return idp.ACR1, false
	}
	until := s.settings().GraceUntil(*s.user)
	acr = min(s.settings().Factors.SignIn, s.reachable())
	if s.enrolled() { // who holds a second factor is asked for it, whatever the least is for his role
		acr = max(acr, idp.ACR2)
	}
	asked := max(min(s.Demand.ACR, s.reachable()), idp.ACR1)
	if s.mustChange() && s.provable() { // who knows the password alone must not choose the next one
		return max(acr, asked, idp.ACR2), false
	}
	switch {
	case acr > asked && s.waived():
		return asked, false
	case acr > asked && !s.enrolled() && !s.Facts.EnrolNow && time.Now().Before(until):
		return asked, true
	}
	return max(acr, asked), false
}

// settings are what policy says of the person at who asks. Of nobody it says what the
// default rule does.
func (s *State) settings() *policy.Settings {
	if s.user == nil {
		return &s.engine.Policy.Now().Settings
	}
	return s.engine.Policy.For(s.facts())
}

// facts are what the rules of policy select by.
func (s *State) facts() policy.Facts {
	f := policy.Facts{Client: s.Demand.Client}
	if s.user != nil {
		f = policy.Who(*s.user, s.merchant)
		f.Client = s.Demand.Client
	}
	return f
}

// waived: a trusted browser stands in for the second factor of a plain sign-in. Not
// after a freeze, nor while the password must be changed because others know it.
func (s *State) waived() bool {
	return s.settings().Trust.Trust > 0 && s.browser.Trusted(time.Now()) && !s.user.Frozen && s.user.Withholds(time.Now()) == "" && !s.mustChange()
}

// enrolled says whether the person has bound a second factor of his own: one that is
// blocked since, or cannot be asked here, is asked for all the same.
func (s *State) enrolled() bool {
	return slices.ContainsFunc(s.creds, func(c idp.Credential) bool { return c.Method == idp.MethodTOTP || c.Method == idp.MethodPasskey })
}

// provable says whether there is anything but the password that the person could show.
func (s *State) provable() bool { return s.enrolled() || len(s.channels()) > 0 }

// changes says whether the flow ends in a change of a credential or a contact.
func changes(k idp.FlowKind) bool {
	return k == idp.FlowEnrol || k == idp.FlowPassword || k == idp.FlowCodes || k == idp.FlowContact || k == idp.FlowUsername
}

// changed: what the flow was for is done. It may have taken away the phone whose code
// opened the way to it.
func (s *State) changed() bool { return changes(s.Demand.Kind) && s.Facts.Changed }

// binds says whether this flow asks for fresh proofs because it ends in such a change.
func (s *State) binds() bool { return changes(s.Demand.Kind) || s.bringsKey() }

// one says whether one fresh proof beside older ones will do: never to bind a factor, whatever
// asked for it, or a thief at an unlocked browser would bind his own.
func (s *State) one() bool { return s.Demand.One && !s.bringsKey() }

// own are the proofs gathered in this flow that still count: by the person that it is
// about, with what he still has.
func (s *State) own() []idp.Proof {
	return slices.DeleteFunc(s.living(s.Facts.Proofs), func(p idp.Proof) bool { return s.User == "" || p.User != s.User })
}

// proofs are what counts towards the end of this flow.
func (s *State) proofs() []idp.Proof {
	all := s.own()
	if !s.Demand.Kind.Door() && s.signed != nil {
		all = append(s.living(s.signed.Session.Proofs), all...)
	}
	since := s.Demand.Since
	if s.binds() && !s.Facts.Cleared { // fresh when the change begins
		since = time.Now().Add(-s.settings().StepUp.Credential)
	}
	if !s.one() {
		all = idp.Since(all, since)
	}
	if s.Demand.Kind == idp.FlowReturn {
		all = s.older(all)
	}
	return all
}

// met says whether the proofs reach what ends this flow.
func (s *State) met() bool {
	d := s.Demand
	d.ACR, _ = s.need()
	d.TwoStar = d.TwoStar && !s.enrolled()
	d.One = s.one()
	if d.Kind == idp.FlowSignIn {
		d.Since, d.One = time.Time{}, false // everything in a sign-in flow is fresh
	}
	return d.Met(s.proofs())
}

// strong says whether the person may change a credential or a contact: two factors, or
// while none is enrolled the password and a code on a bound channel, all fresh; and
// nothing while he is frozen.
func (s *State) strong() bool {
	if s.Demand.Kind == idp.FlowRecover {
		return s.mayReplace()
	}
	if s.user == nil || s.user.Frozen || s.withheld(s.Demand.Kind) {
		return false
	}
	fresh := idp.Demand{ACR: idp.ACR2, TwoStar: !s.enrolled() || s.Facts.Enrolled != "", Since: s.recent()}
	if s.one() && changes(s.Demand.Kind) {
		fresh.One, fresh.Since = true, s.Demand.Since
	}
	return fresh.Met(s.proofs())
}

// errWeak: somebody came to a change without having proved enough. The steps before
// lead him there; who has no way to gets to hear whom to ask.
var errWeak = &idp.Error{Kind: idp.Forbidden, Msg: "second.noway", Reason: "enrol.due"}

// clear notes that the proofs were fresh when a change began.
func (s *State) clear() error {
	switch {
	case s.user != nil && s.user.Frozen:
		return &idp.Error{Kind: idp.Forbidden, Msg: "account.frozen_first", Reason: "frozen"}
	case s.user != nil && s.withheld(s.Demand.Kind):
		return errWithheld(*s.user, s.Demand.Kind)
	case !s.strong():
		return errWeak
	}
	s.Facts.Cleared = true
	return nil
}

func (s *State) proved(m idp.Method) bool {
	return slices.ContainsFunc(s.proofs(), func(p idp.Proof) bool { return p.Method == m })
}

// shown says whether a method was proved in this very flow: what the session showed long
// ago counts beside a fresh proof, but opens no way by itself.
func (s *State) shown(m idp.Method) bool {
	return slices.ContainsFunc(s.own(), func(p idp.Proof) bool { return p.Method == m })
}

// of are the person's live credentials of a method.
func (s *State) of(m idp.Method) (out []idp.Credential) {
	for _, c := range s.creds {
		if c.Method == m && c.Blocked == "" && (m != idp.MethodPasskey || s.engine.Passkey != nil) {
			out = append(out, c)
		}
	}
	return out
}

// login is the name to show: as typed, or masked as long as the person was only chosen, or
// his own first name.
func (s *State) login() string {
	switch {
	case s.Facts.Typed != "":
		return s.Facts.Typed
	case s.masked():
		return s.Facts.Chosen
	}
	for _, n := range s.names {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			return n.Value
		}
	}
	if len(s.names) > 0 {
		return s.names[0].Masked()
	}
	return ""
}

// masked: the name was chosen on a browser that knows it, and nothing is proved yet.
func (s *State) masked() bool { return s.Facts.Chosen != "" && len(s.Facts.Proofs) == 0 }

// attempt is what a factor may see.
func (s *State) attempt(step string, m idp.Method) *factor.Attempt {
	a := &factor.Attempt{Login: s.login(), Masked: s.masked(), Credentials: s.of(m), Known: s.known() != nil, Purpose: "purpose." + string(s.Demand.Kind),
		Scratch: s.Facts.Scratch[step], Form: s.Form, Action: s.path(step), Resend: s.path(step, "resend")}
	if s.user != nil {
		a.User, a.Rules = *s.user, s.settings().Factors
	}
	if s.Demand.Kind == idp.FlowSignIn && s.Demand.User == "" {
		a.Again = s.path("identify")
	}
	acr, _ := s.need()
	// Before the password is right the page must not tell who has a second step.
	a.Steps = acr >= idp.ACR2 || s.Demand.Kind == idp.FlowSignIn
	a.MAC = func(code string) []byte { return s.engine.Store.MAC("code", []byte(s.ID+"/"+step+"/"+code)) }
	a.Send = func(ctx context.Context, to idp.Identifier, template string, letter templates.Letter) error {
		return s.engine.sendCode(ctx, s, to, template, letter)
	}
	return a
}

func (s *State) keep(step string, scratch []byte) {
	if scratch == nil {
		return
	}
	if s.Facts.Scratch == nil {
		s.Facts.Scratch = map[string]json.RawMessage{}
	}
	s.Facts.Scratch[step] = scratch
}

// settle pays for what Prepare found and, when it was right, adds the proof.
func (e *Engine) settle(ctx context.Context, s *State, step string, m idp.Method) error {
	s.keep(step, s.answer.Scratch)
	if err := e.guess(ctx, s, m, s.answer); err != nil {
		return err
	}
	p := s.answer.Proof
	p.Credential = s.answer.Credential
	p.Channels = append(p.Channels, s.via(p.Credential)...)
	s.prove(p)
	return nil
}
