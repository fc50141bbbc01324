package flows

import (
	"context"
	"net/http"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/web"
	"hufu/templates"
)

// finish is what the browser gets once a completed flow is committed.
type finish struct {
	token   string       // of the session
	browser *idp.Browser // to remember
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
	case idp.FlowJoin:
		return &finish{next: "/sign-in"}, nil
	}
	return e.completeStepUp(ctx, s)
}

func (e *Engine) completeSignIn(ctx context.Context, s *State) (*finish, error) {
	if why := s.refusal(); why != "" {
		explain := idp.NewExplainCode()
		if err := e.event(ctx, s, idp.Event{Name: "signin.refused", Reason: why, Explain: explain}); err != nil {
			return nil, err
		}
		return &finish{refusal: &templates.Problem{Status: http.StatusForbidden, Text: "refused." + why, Explain: explain}}, nil
	}
	if !s.met() { // a step was passed that should not have been: nobody comes in
		return nil, errExpired
	}
	now := time.Now()
	done := &finish{next: s.Demand.Return}
	if err := e.reopen(ctx, s); err != nil {
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
	}
	if err := e.Store.Greet(ctx, s.network(ctx), s.user.ID, now); err != nil {
		return nil, err
	}
	browser := ""
	if done.browser != nil {
		browser = done.browser.ID
	}
	ss, token, err := e.Sessions.Begin(ctx, s.request, *s.user, s.merchant, s.Facts.Proofs, browser)
	if err != nil {
		return nil, err
	}
	done.token = token
	a := idp.Assess(s.Facts.Proofs)
	return done, e.event(ctx, s, idp.Event{Name: "signin.succeeded", Session: ss.ID, Data: map[string]any{"acr": a.ACR.String(), "amr": strings.Join(a.AMR, " ")}})
}

// refusal is why a person who has proved himself may still not come in. Only he
// learns it, and he changes nothing before: an account that was locked because its
// secrets are in other hands stays as it is.
func (s *State) refusal() string {
	switch {
	case s.user.Reason() != "":
		return s.user.Reason()
	case s.merchant != nil && s.merchant.Status == idp.MerchantClosed:
		return "merchant"
	case s.Demand.User != "" && s.Demand.User != s.user.ID:
		return "other"
	}
	return ""
}

// reopen lifts the hard end of the owner's credentials: a sign-in that met policy, on
// a browser that he is known on, shows that it is he.
func (e *Engine) reopen(ctx context.Context, s *State) error {
	if _, grace := s.need(); s.known() == nil || grace {
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
	token, err := e.Sessions.Renew(ctx, s.signed.Session, s.Facts.Proofs)
	if err != nil {
		return nil, err
	}
	a := idp.Assess(append(append([]idp.Proof{}, s.signed.Session.Proofs...), s.Facts.Proofs...))
	return &finish{token: token, next: s.Demand.Return}, e.event(ctx, s, idp.Event{Name: "signin.stepup", Session: s.signed.Session.ID,
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
	if f.browser != nil {
		if err := e.Sessions.SetBrowserCookie(w, r, *f.browser); err != nil {
			return err
		}
	}
	return web.Redirect(w, r, f.next)
}

// event writes a line of the log with what the flow knows.
func (e *Engine) event(ctx context.Context, s *State, ev idp.Event) error {
	ev.Flow, ev.Network, ev.Policy, ev.Client = s.ID, web.Network(ctx), e.Policy.Version, s.Demand.Client
	if s.user != nil {
		ev.Subject, ev.Merchant, ev.Store = s.user.ID, s.user.MerchantID, s.user.StoreID
	}
	// Whoever signs in is nobody yet, whosever browser it is, until he has proved it.
	switch {
	case s.signed != nil && s.Demand.Kind != idp.FlowSignIn:
		ev.Actor, ev.Session = s.signed.User.ID, s.signed.Session.ID
	case ev.Name == "signin.succeeded" || ev.Name == "password.changed" || ev.Name == "factor.enrolled":
		ev.Actor = ev.Subject
	}
	return e.Store.Append(ctx, ev)
}

func templatesLetter(s *State, at time.Time) templates.Letter {
	return templates.Letter{Name: s.user.Name, Login: s.login(), Operator: s.engine.Site.Operator, At: at, Browser: s.engine.Sessions.Device(s.request), Place: web.Network(s.request.Context())}
}

// tell queues a notice to every bound channel of the person.
func (e *Engine) tell(ctx context.Context, s *State, template string, letter templates.Letter) error {
	for _, to := range s.channels() {
		if err := e.queue(ctx, s, to, template, letter); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) queue(ctx context.Context, s *State, to idp.Identifier, template string, letter templates.Letter) error {
	lang := s.user.Language
	letter.Operator = e.Site.Operator
	m := idp.Message{UserID: s.user.ID, Channel: idp.ChannelSMS, To: to.Value, Template: template, Language: lang}
	var err error
	if to.Kind == idp.IdentifierEmail {
		m.Channel = idp.ChannelMail
		m.Subject, m.Body, m.HTML, err = templates.Message(lang, template, letter)
	} else {
		m.Body, err = templates.SMS(lang, template, letter)
	}
	if err != nil {
		return err
	}
	return e.Store.Queue(ctx, &m)
}

// sendCode queues a code to a channel within its limits; a resend voids the code
// before, so only the newest counts.
func (e *Engine) sendCode(ctx context.Context, s *State, to idp.Identifier, template string, letter templates.Letter) error {
	p, now := e.Policy.Sends, time.Now()
	gap, hour, daily := p.PhoneGap, p.PhoneHour, p.PhoneDay
	if to.Kind == idp.IdentifierEmail {
		gap, hour, daily = p.MailGap, p.MailHour, p.MailDay
	}
	key := []byte(to.ID)
	for _, w := range []row{
		{kind: "send.gap", key: key, bucket: policy.Bucket{Burst: 1, Refill: gap}},
		{kind: "send.hour", key: key, bucket: hour},
		{kind: "send.day", key: key, bucket: daily},
		{kind: "send.account", key: s.account(), bucket: p.AccountDay},
	} {
		ok, next, err := e.Store.TakeBucket(ctx, w.kind, w.key, w.bucket.Burst, w.bucket.Refill, now)
		if err != nil {
			return err
		}
		if !ok {
			return &idp.Error{Kind: idp.Limited, Msg: "send.limit", Until: next, Reason: "send.limit"}
		}
	}
	if err := e.event(ctx, s, idp.Event{Name: "code.sent", Data: map[string]any{"channel": string(to.Kind)}}); err != nil {
		return err
	}
	return e.queue(ctx, s, to, template, letter)
}

// tellClosed tells the owner, once a day, that strangers have closed a way in.
func (e *Engine) tellClosed(ctx context.Context, s *State, m idp.Method, now time.Time) error {
	ok, _, err := e.Store.TakeBucket(ctx, "tell.closed", s.account(), 1, 24*time.Hour, now)
	if err != nil || !ok || s.user == nil {
		return err
	}
	if err := e.event(ctx, s, idp.Event{Name: "lock.closed", Reason: closedReason(m)}); err != nil {
		return err
	}
	return e.tell(ctx, s, "closed", templatesLetter(s, now))
}
