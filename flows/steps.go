package flows

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/templates"
)

// steps is the list of flows: a new step is one file and one word here.
func (e *Engine) steps(k idp.FlowKind) []Step {
	switch k {
	case idp.FlowSignIn:
		return []Step{identify{}, passwordStep{}, second{}, newPassword{}, enrolTOTP{}}
	case idp.FlowStepUp:
		return []Step{passwordStep{}, second{}, enrolTOTP{}}
	case idp.FlowEnrol:
		return []Step{passwordStep{}, second{}, enrolTOTP{}}
	case idp.FlowConsent:
		return []Step{consent{}}
	case idp.FlowJoin:
		return []Step{newPassword{}}
	}
	return nil
}

// reachable is the highest class that the factors here can show. Who asks for more
// gets it back unmet, and decides.
const reachable = idp.ACR2

// need is the class of assurance that ends this flow, and whether the person goes
// through with less because his grace time to enrol still runs.
func (s *State) need() (acr idp.ACR, grace bool) {
	if s.Demand.Kind != idp.FlowSignIn {
		return min(max(s.Demand.ACR, idp.ACR1), reachable), false
	}
	if s.user == nil {
		return idp.ACR1, false
	}
	acr, until := s.engine.Policy.SignIn(*s.user, policy.ClassOf(*s.user, s.merchant))
	if s.enrolled() { // who holds a second factor is asked for it, whatever the least is for his role
		acr = max(acr, idp.ACR2)
	}
	asked := min(s.Demand.ACR, reachable)
	if acr > asked && !s.enrolled() && time.Now().Before(until) {
		return max(asked, idp.ACR1), true
	}
	return max(acr, asked), false
}

// enrolled says whether the person holds a second factor of his own.
func (s *State) enrolled() bool { return len(s.of(idp.MethodTOTP)) > 0 }

// proofs are what counts towards the end of this flow.
func (s *State) proofs() []idp.Proof {
	all := s.Facts.Proofs
	if s.Demand.Kind != idp.FlowSignIn && s.signed != nil {
		all = append(append([]idp.Proof{}, s.signed.Session.Proofs...), all...)
	}
	since := s.Demand.Since
	if s.Demand.Kind == idp.FlowEnrol && s.Facts.Scratch["enrol-totp"] == nil {
		since = time.Now().Add(-s.engine.Policy.StepUp.Credential) // fresh when the new secret is made
	}
	if !s.Demand.One {
		all = idp.Since(all, since)
	}
	return all
}

// met says whether the proofs reach what ends this flow.
func (s *State) met() bool {
	d := s.Demand
	d.ACR, _ = s.need()
	if d.Kind == idp.FlowSignIn {
		d.Since, d.One = time.Time{}, false // everything in a sign-in flow is fresh
	}
	return d.Met(s.proofs())
}

func (s *State) proved(m idp.Method) bool {
	for _, p := range s.proofs() {
		if p.Method == m {
			return true
		}
	}
	return false
}

func (s *State) of(m idp.Method) (out []idp.Credential) {
	for _, c := range s.creds {
		if c.Method == m {
			out = append(out, c)
		}
	}
	return out
}

// login is the name to show: as typed, or the person's own first name.
func (s *State) login() string {
	if s.Facts.Typed != "" {
		return s.Facts.Typed
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

// attempt is what a factor may see.
func (s *State) attempt(step string, m idp.Method) *factor.Attempt {
	a := &factor.Attempt{Login: s.login(), Credentials: s.of(m), Known: s.known() != nil, Purpose: "purpose." + string(s.Demand.Kind),
		Scratch: s.Facts.Scratch[step], Form: s.Form, Action: s.path(step), Resend: s.path(step, "resend")}
	if s.user != nil {
		a.User = *s.user
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

// identify asks who signs in. It says nothing about whether the name exists.
type identify struct{}

func (identify) Name() string { return "identify" }

func (identify) Done(s *State) bool { return s.Facts.Lookup != nil }

// Again: another account may be typed until something is proved.
func (identify) Again(s *State) bool { return len(s.Facts.Proofs) == 0 }

func (identify) Show(ctx context.Context, s *State) (templates.Content, error) {
	p := templates.Identify{Form: s.Form, Action: s.path("identify"), Identifier: s.Facts.Typed}
	if p.Identifier == "" {
		p.Identifier = s.Demand.Hint
	}
	if s.Demand.Client != "" {
		if c, err := s.engine.Store.Client(ctx, s.Demand.Client); err == nil {
			p.ClientName = c.Name
		}
	}
	return p, nil
}

func (identify) Submit(ctx context.Context, s *State, form url.Values) error {
	typed := form.Get("identifier")
	if typed == "" {
		return idp.FieldError("identifier", "identifier.empty")
	}
	if len(typed) > 4*normal.MaxIdentifier {
		return idp.FieldError("identifier", "identifier.malformed")
	}
	s.Facts.Typed = typed
	kind, value, ok := normal.Identifier(typed)
	if !ok {
		kind, value = "none", typed // nobody has it; counted and answered like any other
	}
	s.Facts.Lookup = s.engine.Store.Lookup(kind, value)
	u, err := s.engine.Store.UserByIdentifier(ctx, kind, value)
	switch {
	case err == nil:
		s.User = u.ID
	case idp.KindOf(err) == idp.NotFound:
		s.User = ""
	default:
		return err
	}
	return nil
}

// passwordStep asks for the password, of known and unknown names alike.
type passwordStep struct{}

func (passwordStep) Name() string { return "password" }

func (passwordStep) Done(s *State) bool {
	if s.Demand.Kind != idp.FlowStepUp {
		return s.proved(idp.MethodPassword)
	}
	// In mode one an old password counts beside a fresh second factor, but it is what
	// must be fresh at class 1, and before a first factor is enrolled.
	acr, _ := s.need()
	if s.Demand.One && (acr < idp.ACR2 || !s.enrolled()) {
		return s.met() || s.fresh(idp.MethodPassword)
	}
	return s.met() || s.proved(idp.MethodPassword)
}

// fresh says whether a method was proved in this flow or right before it: young
// enough to bind an authenticator with.
func (s *State) fresh(m idp.Method) bool {
	for _, p := range idp.Since(s.proofs(), s.recent()) {
		if p.Method == m {
			return true
		}
	}
	return false
}

// recent is since when a proof counts for changing a credential.
func (s *State) recent() time.Time {
	since := s.CreatedAt.Add(-s.engine.Policy.StepUp.Credential)
	if s.Demand.Since.After(since) {
		return s.Demand.Since
	}
	return since
}

func (passwordStep) Show(ctx context.Context, s *State) (templates.Content, error) {
	return s.engine.Password.Show(ctx, s.attempt("password", idp.MethodPassword))
}

func (passwordStep) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	if err := s.person(ctx); err != nil {
		return err
	}
	if err := s.engine.waiting(ctx, s, idp.MethodPassword); err != nil {
		return err
	}
	s.answer, err = s.engine.Password.Check(ctx, s.attempt("password", idp.MethodPassword), form)
	return err
}

func (passwordStep) Submit(ctx context.Context, s *State, _ url.Values) error {
	return s.engine.settle(ctx, s, "password", idp.MethodPassword)
}

// settle pays for what Prepare found and, when it was right, adds the proof.
func (e *Engine) settle(ctx context.Context, s *State, step string, m idp.Method) error {
	s.keep(step, s.answer.Scratch)
	if err := e.guess(ctx, s, m, s.answer); err != nil {
		return err
	}
	p := s.answer.Proof
	p.Credential = s.answer.Credential
	s.prove(p)
	return nil
}

// second asks for a second factor: the one the person holds, or a code on a bound
// channel where policy lets that do.
type second struct{}

func (second) Name() string { return "second" }

func (second) Done(s *State) bool {
	if s.met() {
		return true
	}
	acr, _ := s.need()
	if acr < idp.ACR2 {
		return true
	}
	// A code on a channel has opened the way to enrol the first factor.
	return !s.enrolled() && !s.Facts.Enrolled && (s.proved(idp.MethodSMS) || s.proved(idp.MethodMail))
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

// ways are the second factors open to the person, best first: "totp", or one
// "code:ID" a channel while no factor is enrolled.
func (s *State) ways() (out []string) {
	if s.enrolled() {
		return []string{"totp"}
	}
	for _, c := range s.channels() {
		out = append(out, "code:"+c.ID)
	}
	return out
}

func (s *State) offers(way string) bool {
	for _, w := range s.ways() {
		if w == way {
			return true
		}
	}
	return false
}

// way is the second factor of this flow: chosen, else the best.
func (s *State) way() string {
	if s.offers(s.Facts.Way) {
		return s.Facts.Way
	}
	if w := s.ways(); len(w) > 0 {
		return w[0]
	}
	return ""
}

// secondAttempt is the attempt at the chosen way.
func (s *State) secondAttempt() (factor.Factor, *factor.Attempt, error) {
	way := s.way()
	switch {
	case way == "":
		return nil, nil, &idp.Error{Kind: idp.Forbidden, Msg: "second.noway", Reason: "enrol.due"}
	case way == "totp":
		return s.engine.TOTP, s.attempt("second", idp.MethodTOTP), nil
	}
	a := s.attempt("second", idp.MethodSMS)
	a.Again = ""
	for _, c := range s.channels() {
		if "code:"+c.ID == way {
			a.Channels = []idp.Identifier{c}
			continue
		}
		a.Ways = append(a.Ways, templates.CodeWay(s.engine.Site.Lang(s.request), string(c.Kind), c.Masked(), s.path("second", "way"), "code:"+c.ID))
	}
	return s.engine.Code, a, nil
}

func (second) Begin(ctx context.Context, s *State) error {
	f, a, err := s.secondAttempt()
	if err != nil {
		return nil // Show says so
	}
	if err := f.Begin(ctx, a); err != nil {
		return err
	}
	s.keep("second", a.Scratch)
	return nil
}

func (second) Show(ctx context.Context, s *State) (templates.Content, error) {
	f, a, err := s.secondAttempt()
	if err != nil {
		return nil, err
	}
	return f.Show(ctx, a)
}

func (second) Prepare(ctx context.Context, s *State, form url.Values) error {
	f, a, err := s.secondAttempt()
	if err != nil {
		return err
	}
	s.answer, err = f.Check(ctx, a, form)
	return err
}

func (second) Submit(ctx context.Context, s *State, _ url.Values) error {
	f, _, err := s.secondAttempt()
	if err != nil {
		return err
	}
	return s.engine.settle(ctx, s, "second", f.Method())
}
