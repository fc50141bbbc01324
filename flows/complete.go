package flows

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/templates"
)

// finish is what the browser gets once a completed flow is committed.
type finish struct {
	token   string       // of the session
	browser *idp.Browser // to remember
	out     bool         // the session of this browser ended: its cookie goes
	refusal *templates.Problem
	next    string
}

// complete ends a flow whose steps are all done, in the transaction of its last
// step. It is the one place where a session begins or gains proofs.
func (e *Engine) complete(ctx context.Context, s *State) (*finish, error) {
	if s.user != nil { // nobody ends his sessions, or changes his state, beside this
		u, err := e.Store.HoldUser(ctx, s.user.ID)
		if err != nil {
			return nil, err
		}
		s.user = &u
	}
	// On an unchanged version, like every save: or of many guesses in parallel the
	// right one would pass while the charges of the others are taken back.
	ok, err := e.Store.CloseFlow(ctx, &s.Flow)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errFaster
	}
	switch s.Demand.Kind {
	case idp.FlowSignIn:
		return e.completeSignIn(ctx, s)
	case idp.FlowConsent:
		return e.completeConsent(ctx, s)
	case idp.FlowReturn:
		return e.completeReturn(ctx, s)
	case idp.FlowRecover:
		return e.completeRecover(ctx, s)
	case idp.FlowName:
		return &finish{next: "/sign-in"}, nil
	case idp.FlowJoin:
		return &finish{next: "/sign-in"}, nil
	}
	return e.completeStepUp(ctx, s)
}

func (e *Engine) completeSignIn(ctx context.Context, s *State) (*finish, error) {
	if why := s.refusal(); why != "" {
		return e.refuse(ctx, s, why)
	}
	if !s.met() && s.user.Frozen { // he could only come in by enrolling, which a freeze forbids
		return e.refuse(ctx, s, "frozen")
	}
	if !s.met() { // a step was passed that should not have been: nobody comes in
		return nil, errExpired
	}
	now := time.Now()
	done := &finish{next: s.Demand.Return}
	if err := e.reopen(ctx, s); err != nil {
		return nil, err
	}
	if err := e.corroborate(ctx, s, s.own()); err != nil {
		return nil, err
	}
	acr, grace := s.need()
	if !grace && (acr >= idp.ACR2 || !s.enrolled()) {
		b, fresh, err := e.Sessions.Remember(ctx, s.request, *s.user, s.browser)
		if err != nil {
			return nil, err
		}
		done.browser = &b
		if err := e.greet(ctx, s, b, fresh, now); err != nil {
			return nil, err
		}
	} else if err := e.unseen(ctx, s, now); err != nil {
		return nil, err
	}
	if err := e.trust(ctx, s, done.browser, now); err != nil {
		return nil, err
	}
	if err := e.place(ctx, s, now); err != nil {
		return nil, err
	}
	if err := e.speak(ctx, s); err != nil {
		return nil, err
	}
	if err := e.Store.Greet(ctx, s.network(ctx), s.user.ID, now); err != nil {
		return nil, err
	}
	browser := ""
	switch {
	case done.browser != nil:
		browser = done.browser.ID
	case s.browser != nil:
		browser = s.browser.ID
	}
	ss, token, err := e.Sessions.Begin(ctx, s.request, *s.user, s.merchant, s.own(), browser)
	if err != nil {
		return nil, err
	}
	done.token = token
	a := idp.Assess(s.own())
	return done, e.event(ctx, s, idp.Event{Name: "signin.succeeded", Session: ss.ID, Data: map[string]any{"acr": a.ACR.String(), "amr": strings.Join(a.AMR, " ")}})
}

// speak keeps the language that a person has chosen in this browser: he is written to in
// it from now on. What is told of this very sign-in went out in the language before: it
// may have been a thief's.
func (e *Engine) speak(ctx context.Context, s *State) error {
	lang := e.Site.Chosen(s.request)
	if lang == "" || lang == s.user.Language {
		return nil
	}
	s.user.Language = lang
	return e.Store.SetLanguage(ctx, s.user.ID, lang)
}

// refuse tells a person who has proved himself why he may still not come in.
func (e *Engine) refuse(ctx context.Context, s *State, why string) (*finish, error) {
	p := templates.Problem{Status: http.StatusForbidden, Text: "refused." + why, Explain: idp.NewExplainCode()}
	if why == "locked" {
		var err error
		if p.Text, p.Args, err = e.lockedBy(ctx, s); err != nil {
			return nil, err
		}
	}
	err := e.event(ctx, s, idp.Event{Name: "signin.refused", Reason: why, Explain: p.Explain})
	return &finish{refusal: &p}, err
}

// trust lets this browser do without the second factor for a time, as the person asked
// when he showed one.
func (e *Engine) trust(ctx context.Context, s *State, b *idp.Browser, now time.Time) error {
	days := s.trustDays()
	if !s.Facts.Trust || b == nil || days == 0 || idp.Assess(s.own()).ACR < idp.ACR2 || s.proved(idp.MethodBackup) {
		return nil
	}
	ok, err := e.Store.TrustBrowser(ctx, s.user.ID, b.ID, now.AddDate(0, 0, days))
	if err != nil || !ok {
		return err
	}
	if err := e.event(ctx, s, idp.Event{Name: "browser.trusted", Data: map[string]any{"browser": b.ID, "days": days}}); err != nil {
		return err
	}
	return e.tell(ctx, s, "browser.trusted", templatesLetter(s, now))
}

// place tells the owner of a sign-in from a region that he has never signed in from,
// where the operator supplied the file that knows regions.
func (e *Engine) place(ctx context.Context, s *State, now time.Time) error {
	region := e.Places.Region(web.Peer(ctx))
	if region == "" {
		return nil
	}
	fresh, first, err := e.Store.NewPlace(ctx, s.user.ID, region, now)
	if err != nil || !fresh || first {
		return err
	}
	if err := e.event(ctx, s, idp.Event{Name: "signin.newplace", Data: map[string]any{"region": region}}); err != nil {
		return err
	}
	return e.tell(ctx, s, "newplace", templatesLetter(s, now))
}

// refusal is why a person who has proved himself may still not come in. Only he
// learns it, and he changes nothing before: an account that was locked because its
// secrets are in other hands stays as it is.
func (s *State) refusal() string {
	why := s.user.Reason(time.Now())
	switch {
	case why != "":
		return why
	case s.merchant != nil && s.merchant.Gone(time.Now(), s.engine.Policy.Now().Closing.Export):
		return "merchant"
	case s.Demand.User != "" && s.Demand.User != s.user.ID:
		return "other"
	}
	return ""
}

// reopen lifts the hard end of the owner's credentials: a sign-in that met policy, on
// a browser that he is known on, shows that it is he.
func (e *Engine) reopen(ctx context.Context, s *State) error {
	if _, grace := s.need(); s.known() == nil && !s.introduced() || grace || s.waived() {
		return nil
	}
	for _, c := range s.creds {
		if !c.Closed {
			continue
		}
		if err := e.Store.OpenCredential(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// greet tells the owner of a sign-in on a browser that was not known, unless it is
// his first ever.
func (e *Engine) greet(ctx context.Context, s *State, b idp.Browser, fresh bool, now time.Time) error {
	if !fresh {
		return nil
	}
	if err := e.event(ctx, s, idp.Event{Name: "signin.newbrowser", Data: map[string]any{"browser": b.ID}}); err != nil {
		return err
	}
	letter := templatesLetter(s, now)
	letter.Browser = b.Label
	return e.tell(ctx, s, "newbrowser", letter)
}

func (e *Engine) completeStepUp(ctx context.Context, s *State) (*finish, error) {
	ss, err := e.Store.Session(ctx, s.signed.Session.ID) // as it is now: another tab may have removed a factor
	if err != nil {
		return nil, err
	}
	ss.Proofs = s.living(ss.Proofs)
	if err := e.corroborate(ctx, s, s.own()); err != nil {
		return nil, err
	}
	token, err := e.Sessions.Renew(ctx, ss, s.own())
	if err != nil {
		return nil, err
	}
	a := idp.Assess(append(slices.Clone(ss.Proofs), s.own()...))
	if err := e.speak(ctx, s); err != nil {
		return nil, err
	}
	next := s.Demand.Return
	if s.Demand.Else != "" && s.outOfReach() && s.Facts.Later { // not with less, either
		next = s.Demand.Else
	}
	if len(s.own()) == 0 { // the session had shown enough
		return &finish{token: token, next: next}, nil
	}
	return &finish{token: token, next: next}, e.event(ctx, s, idp.Event{Name: "signin.stepup", Session: s.signed.Session.ID,
		Data: map[string]any{"acr": a.ACR.String(), "amr": strings.Join(a.AMR, " ")}})
}

func (e *Engine) completeConsent(ctx context.Context, s *State) (*finish, error) {
	if s.Facts.Decided == "approve" {
		if err := e.Store.Consent(ctx, s.user.ID, s.Demand.Client, s.Demand.Scopes, time.Now()); err != nil {
			return nil, err
		}
		return &finish{next: s.Demand.Return}, nil
	}
	next := s.Demand.Return + "?denied=1"
	if strings.Contains(s.Demand.Return, "?") {
		next = s.Demand.Return + "&denied=1"
	}
	return &finish{next: next}, nil
}

// deliver gives the browser its cookies and sends it on.
func (e *Engine) deliver(w http.ResponseWriter, r *http.Request, f *finish) error {
	if f.refusal != nil {
		f.refusal.RequestID = web.RequestID(r.Context())
		return e.Site.Write(w, r, f.refusal.Status, *f.refusal)
	}
	if f.token != "" {
		e.Sessions.SetCookie(w, f.token)
	}
	if f.out {
		e.Sessions.TakeCookie(w)
	}
	if f.browser != nil {
		if err := e.Sessions.SetBrowserCookie(w, r, *f.browser); err != nil {
			return err
		}
	}
	return web.Redirect(w, r, f.next)
}

// ownDoing are the events of a sign-in that its person himself brings about, once he is
// known.
var ownDoing = []string{"password.changed", "factor.enrolled", "factor.replaced", "codes.issued", "codes.used", "browser.trusted"}

// event writes a line of the log with what the flow knows.
func (e *Engine) event(ctx context.Context, s *State, ev idp.Event) error {
	ev.Flow, ev.Network, ev.Policy, ev.Client = s.ID, web.Network(ctx), e.Policy.Now().Version, s.Demand.Client
	if s.user != nil {
		ev.Subject, ev.Merchant, ev.Store = s.user.ID, s.user.MerchantID, s.user.StoreID
	}
	// Whoever signs in is nobody yet, whosever browser it is, until he has proved it.
	switch {
	case s.signed != nil && !s.Demand.Kind.Door():
		ev.Actor, ev.Session = s.signed.User.ID, s.signed.Session.ID
	case ev.Name == "signin.succeeded" || slices.Contains(ownDoing, ev.Name):
		ev.Actor = ev.Subject
	}
	return e.Store.Append(ctx, ev)
}
