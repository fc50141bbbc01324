package flows

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/backup"
	"hufu/flows/factor/code"
	"hufu/flows/factor/passkey"
	"hufu/flows/factor/password"
	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/phc"
	"hufu/idp/place"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// Engine walks people through flows.
type Engine struct {
	Store    *storage.Store
	Sessions *session.Manager
	Site     *web.Site
	Policy   *policy.Live
	Hasher   *phc.Hasher
	Lists    policy.Lists // what new passwords are compared with
	Password password.Factor
	TOTP     totp.Factor
	Code     code.Factor
	Backup   backup.Factor
	Passkey  *passkey.Factor
	Places   *place.DB // nil: none
	Loopback int       // factor on the limits of loopback networks; 0: none (the demonstration world gives them room)
	Log      *slog.Logger
	Wake     chan struct{} // has the job that tells of recoveries look again

	fleet fleet // how often strangers fail, of all
}

// Step is one page of a flow. Whether it is still needed is derived from facts
// that are persisted, so the current step can never disagree with them.
type Step interface {
	Name() string                                                  // URL segment
	Done(s *State) bool                                            // from persisted facts alone
	Show(ctx context.Context, s *State) (templates.Content, error) // no side effects
	Submit(ctx context.Context, s *State, form url.Values) error   // inside the engine's transaction
}

// beginner is a step that does something once when it becomes current, and again
// on an explicit resend: it sends a code, or makes a secret.
type beginner interface {
	Begin(ctx context.Context, s *State) error
}

// preparer is a step with work that must not hold a transaction: hashing.
type preparer interface {
	Prepare(ctx context.Context, s *State, form url.Values) error
}

// repeater is a step that may be taken again although it is done.
type repeater interface{ Again(s *State) bool }

// chooser is a step with several ways through; false refuses one that is not open.
type chooser interface {
	Choose(s *State, way string) bool
}

// Facts are what a flow has found out, sealed at rest.
type Facts struct {
	Typed      string                     `json:"typed,omitempty"`  // login name as typed
	Lookup     []byte                     `json:"lookup,omitempty"` // keyed hash of its normal form
	Chosen     string                     `json:"chosen,omitempty"` // masked name of who was chosen among those this browser knows, in place of what is typed
	Proofs     []idp.Proof                `json:"proofs,omitempty"` // gathered in this flow
	Scratch    map[string]json.RawMessage `json:"scratch,omitempty"`
	Begun      string                     `json:"begun,omitempty"` // step whose Begin has run
	Way        string                     `json:"way,omitempty"`   // chosen second factor
	Refusals   int                        `json:"refusals,omitempty"`
	Changed    bool                       `json:"changed,omitempty"`   // the password
	Trust      bool                       `json:"trust,omitempty"`     // this browser, from the end on
	Later      bool                       `json:"later,omitempty"`     // offered to enrol: not now
	EnrolNow   bool                       `json:"now,omitempty"`       // offered to enrol: yes
	Choice     string                     `json:"choice,omitempty"`    // factor to enrol
	Enrolled   string                     `json:"enrolled,omitempty"`  // factor that was enrolled
	Kept       bool                       `json:"kept,omitempty"`      // recovery codes
	Cleared    bool                       `json:"cleared,omitempty"`   // proofs were fresh when the change began
	Contact    string                     `json:"contact,omitempty"`   // phone or address that is added, normalised
	Introduce  string                     `json:"introduce,omitempty"` // kind of channel to prove before a password that strangers have closed
	Introduced time.Time                  `json:"introduced,omitzero"` // when it was; no proof, only room for guesses
	Decided    string                     `json:"decided,omitempty"`   // "approve" or "deny"
	Invite     string                     `json:"invite,omitempty"`    // hash of the invitation's token
	Recover    *recovering                `json:"recover,omitempty"`   // what a recovery has found out
}

// State is a flow as one request sees it.
type State struct {
	idp.Flow
	Facts Facts
	Form  templates.Form // errors to show

	token    string
	request  *http.Request
	engine   *Engine
	user     *idp.User // nil: nobody, or a name that nobody has
	merchant *idp.Merchant
	creds    []idp.Credential
	names    []idp.Identifier
	browser  *idp.Browser                    // by which this browser is known for the user
	signed   *session.Signed                 // who is signed in in this browser
	answer   factor.Answer                   // what Prepare found
	verdict  *policy.Verdict                 // on a new password, made by Prepare
	hash     []byte                          // of a new password or new codes, made by Prepare
	was      string                          // the flow's user before a passkey named another
	paidSend bool                            // this request has worked for a message
	resent   bool                            // this request asks for a message again
	muted    bool                            // what this request would send is quietly not sent
	recovery *idp.Recovery                   // that this flow has begun and that waits, as the database has it now
	after    func(ctx context.Context) error // runs once the step is committed; a failure is only logged
}

// Routes mounts the engine and the pages around it.
func (e *Engine) Routes(mux *http.ServeMux) {
	page := func(pattern string, h web.Handler) { mux.Handle(pattern, e.Site.Page(h)) }
	page("GET /flows/{flow}", e.dispatch)
	page("GET /flows/{flow}/{step}", e.show)
	page("POST /flows/{flow}/{step}", e.submit)
	page("POST /flows/{flow}/{step}/resend", e.resend)
	page("POST /flows/{flow}/{step}/way", e.chooseWay)
	page("POST /flows/{flow}/{step}/challenge", e.challenge)
	page("POST /flows/{flow}/new-password/check", e.checkPassword)
	page("GET /sign-in", e.signIn)
	page("GET /sign-out", e.signOutPage)
	page("POST /sign-out", e.signOut)
	page("GET /lang", e.setLanguage)
	page("GET /join", e.join)
	e.recoverRoutes(page)
	page("GET /device", e.devicePage)
	page("POST /device", e.deviceDecide)
	e.kitRoutes(page)
	e.accountRoutes(page)
}

// load finds the flow of a request in its browser. Everything that is no live flow
// of this browser is one page: expired.
func (e *Engine) load(r *http.Request) (*State, error) {
	token := r.PathValue("flow")
	binding, ok := e.Sessions.Binding(r)
	if !ok {
		return nil, errElsewhere
	}
	f, err := e.Store.Flow(r.Context(), session.Hash(token), binding, time.Now())
	if err != nil {
		if idp.KindOf(err) == idp.NotFound {
			return nil, errExpired
		}
		return nil, err
	}
	web.PreferLocales(r, f.Demand.Language)
	s := &State{Flow: f, token: token, request: r, engine: e}
	if err := json.Unmarshal(f.Facts, &s.Facts); err != nil {
		return nil, err
	}
	return s, s.refresh(r.Context())
}

var errExpired = &idp.Error{Kind: idp.Expired, Msg: "expired.lead", Reason: "flow.expired"}

// errElsewhere: a browser that has opened no flow, or has signed out since, followed the
// address of one, such as a link that was sent to another device.
var errElsewhere = &idp.Error{Kind: idp.Expired, Msg: "expired.elsewhere", Reason: "flow.foreign"}

// refresh loads who the flow is about, as the database has him now.
func (s *State) refresh(ctx context.Context) (err error) {
	e := s.engine
	if s.signed, err = e.Sessions.Signed(s.request); err != nil {
		return err
	}
	if !s.Demand.Kind.Door() && s.Demand.Kind != idp.FlowJoin {
		// The flow of a signed-in person dies with his session, and serves nobody else.
		if s.signed == nil || s.User != "" && s.User != s.signed.User.ID || s.Demand.User != "" && s.Demand.User != s.signed.User.ID {
			return errExpired
		}
		s.User = s.signed.User.ID
	}
	s.user, s.merchant, s.creds, s.names, s.browser = nil, nil, nil, nil, nil
	if s.Demand.Kind.Door() && len(s.Facts.Proofs) == 0 && !s.begun() {
		return nil // until something is proved no page may take longer for a name that exists
	}
	return s.person(ctx)
}

// nobody is the id of no row.
const nobody = "-"

// person loads the account of the flow. For a name that nobody has it asks the
// database the same questions.
func (s *State) person(ctx context.Context) (err error) {
	e, id := s.engine, cmp.Or(s.User, nobody)
	u, err := e.Store.User(ctx, id)
	if err != nil && (s.User != "" || idp.KindOf(err) != idp.NotFound) {
		return err
	}
	m, err := e.Store.Merchant(ctx, cmp.Or(u.MerchantID, nobody))
	if err != nil && (u.MerchantID != "" || idp.KindOf(err) != idp.NotFound) {
		return err
	}
	if s.creds, err = e.Store.Credentials(ctx, id); err != nil {
		return err
	}
	if s.names, err = e.Store.Identifiers(ctx, id); err != nil {
		return err
	}
	s.names = slices.DeleteFunc(s.names, func(n idp.Identifier) bool { return !n.RemovedAt.IsZero() && !n.Former }) // a removed phone names nobody
	if s.User == "" {
		return nil
	}
	s.user = &u
	if u.MerchantID != "" {
		s.merchant = &m
	}
	if s.recovery, err = s.running(ctx); err != nil {
		return err
	}
	s.browser, err = e.Sessions.Known(ctx, s.request, u.ID)
	return err
}

// current returns the first step that is not done, nil when all are.
func (s *State) current() Step {
	for _, st := range s.engine.steps(s.Demand.Kind) {
		if !st.Done(s) {
			return st
		}
	}
	return nil
}

func (s *State) path(parts ...string) string {
	return strings.Join(append([]string{session.FlowPath(s.token)}, parts...), "/")
}

// dispatch makes the first open step current and sends the browser there.
func (e *Engine) dispatch(w http.ResponseWriter, r *http.Request) error {
	s, err := e.load(r)
	if err != nil {
		return e.gone(w, r, err)
	}
	st := s.current()
	if st == nil { // met by another tab meanwhile: nothing to add
		return web.Redirect(w, r, s.Demand.Return)
	}
	if s.begins(st) {
		verdict, err := e.transact(r.Context(), s, func(ctx context.Context) error {
			if err := e.begin(ctx, s, st); err != nil {
				return err
			}
			return e.save(ctx, s)
		})
		if err == nil {
			err = verdict
		}
		if err != nil {
			return e.refused(w, r, s, st, err)
		}
	}
	return web.Redirect(w, r, s.path(st.Name()))
}

func (s *State) begins(st Step) bool {
	_, ok := st.(beginner)
	return ok && s.Facts.Begun != st.Name()+s.Facts.Way
}

func (e *Engine) begin(ctx context.Context, s *State, st Step) error {
	b, ok := st.(beginner)
	if !ok || !s.begins(st) {
		return nil
	}
	if err := b.Begin(ctx, s); err != nil {
		return err
	}
	s.Facts.Begun = st.Name() + s.Facts.Way
	return nil
}

// show draws the current step; any other step leads to it.
func (e *Engine) show(w http.ResponseWriter, r *http.Request) error {
	s, err := e.load(r)
	if err != nil {
		return e.gone(w, r, err)
	}
	st := s.asked(r.PathValue("step"))
	if st == nil || st == s.current() && s.begins(st) {
		return web.Redirect(w, r, s.path())
	}
	return e.draw(w, r, s, st, http.StatusOK)
}

// asked returns the step of a name if it is the current one, or one that may be
// taken again; nil otherwise.
func (s *State) asked(name string) Step {
	if st := s.current(); st != nil && st.Name() == name {
		return st
	}
	for _, st := range s.engine.steps(s.Demand.Kind) {
		if a, ok := st.(repeater); ok && st.Name() == name && a.Again(s) {
			return st
		}
	}
	return nil
}

func (e *Engine) draw(w http.ResponseWriter, r *http.Request, s *State, st Step, status int) error {
	c, err := st.Show(r.Context(), s)
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, status, c)
}

// submit runs a step. What it was refused for is committed and the page drawn
// again; any other error takes everything back.
func (e *Engine) submit(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return badForm(err)
	}
	s, err := e.load(r)
	if err != nil {
		return e.gone(w, r, err)
	}
	st := s.asked(r.PathValue("step"))
	if st == nil || st == s.current() && s.begins(st) { // not drawn yet: there is nothing to answer
		return web.Redirect(w, r, s.path())
	}
	next, done, err := e.take(r, s, st)
	if err == errFaster { // the script has fetched a challenge meanwhile: the same step, once more
		if again, lerr := e.load(r); lerr == nil && again.asked(st.Name()) == st {
			s = again
			next, done, err = e.take(r, s, st)
		}
	}
	if err != nil {
		return e.refused(w, r, s, st, err)
	}
	if s.after != nil {
		if err := s.after(r.Context()); err != nil {
			e.Log.WarnContext(r.Context(), "after a step", "error", err)
		}
	}
	if done != nil {
		return e.deliver(w, r, done)
	}
	return web.Redirect(w, r, next)
}

// take runs a step: what needs no transaction, then the rest in one.
func (e *Engine) take(r *http.Request, s *State, st Step) (next string, done *finish, err error) {
	if p, ok := st.(preparer); ok {
		if err := p.Prepare(r.Context(), s, r.PostForm); err != nil {
			return "", nil, err
		}
	}
	verdict, err := e.transact(r.Context(), s, func(ctx context.Context) error {
		if err := s.hold(ctx); err != nil {
			return err
		}
		if err := st.Submit(ctx, s, r.PostForm); err != nil {
			return err
		}
		next, done, err = e.advance(ctx, s)
		return err
	})
	if err == nil {
		err = verdict
	}
	return next, done, err
}

// hold looks at the person anew in the transaction that changes what proves him: while
// the form was read and hashed another tab may have taken away what he has shown.
func (s *State) hold(ctx context.Context) error {
	if !s.binds() || s.user == nil {
		return nil
	}
	if _, err := s.engine.Store.HoldUser(ctx, s.User); err != nil {
		return err
	}
	return s.person(ctx)
}

// advance moves to the next step, or completes the flow when there is none.
func (e *Engine) advance(ctx context.Context, s *State) (next string, done *finish, err error) {
	st := s.current()
	if st == nil {
		done, err = e.complete(ctx, s)
		return "", done, err
	}
	if err := e.begin(ctx, s, st); err != nil {
		return "", nil, err
	}
	return s.path(st.Name()), nil, e.save(ctx, s)
}

// transact runs fn in one transaction. A refusal (Rejected, Limited) is committed,
// with what fn counted and wrote until then, and returned as the verdict; the facts
// that fn changed are kept only if fn succeeded or was refused.
func (e *Engine) transact(ctx context.Context, s *State, fn func(ctx context.Context) error) (verdict, err error) {
	before := *s
	facts, err := json.Marshal(s.Facts)
	if err != nil {
		return nil, err
	}
	err = e.Store.Tx(ctx, func(ctx context.Context) error {
		verdict = nil
		*s = before
		s.Facts = Facts{}
		if err := json.Unmarshal(facts, &s.Facts); err != nil {
			return err
		}
		err := fn(ctx)
		if k := idp.KindOf(err); err != nil && (k == idp.Rejected || k == idp.Limited) {
			verdict = err
			return e.save(ctx, s)
		}
		return err
	})
	if err != nil {
		*s = before // a new address that was not kept would tell that the secret was right
	}
	return verdict, err
}

// save stores the facts on an unchanged version. The time to the next step starts
// again.
func (e *Engine) save(ctx context.Context, s *State) error {
	facts, err := json.Marshal(s.Facts)
	if err != nil {
		return err
	}
	s.Flow.Facts = facts
	s.ExpiresAt = time.Now().Add(e.Policy.Now().Flow.Step)
	if s.recovery != nil { // it lives by its delay
		s.ExpiresAt = s.recovery.Until
	}
	ok, err := e.Store.SaveFlow(ctx, &s.Flow, session.Hash(s.token))
	if err == nil && !ok {
		err = errFaster
	}
	return err
}

// errFaster: another request moved the flow on; this one decides nothing.
var errFaster error = idp.Errorf(idp.Conflict, "flow.conflict")

// prove adds a proof to the facts and moves the flow to a new address: whoever knew
// the old one gains nothing.
func (s *State) prove(p idp.Proof) {
	p.User, p.At, p.Flow = s.User, time.Now(), s.ID
	if s.browser != nil {
		p.Browser = s.browser.ID
	}
	s.Facts.Proofs = append(s.Facts.Proofs, p)
	s.token = idp.NewToken()
}

// refused draws a step again with what was wrong, or the page that says until when
// to wait.
func (e *Engine) refused(w http.ResponseWriter, r *http.Request, s *State, st Step, err error) error {
	refusal, ok := errors.AsType[*idp.Error](err)
	if !ok {
		return err
	}
	switch refusal.Kind {
	case idp.Invalid, idp.Rejected:
		s.Form.Errors = []templates.FieldError{{Field: refusal.Field, Key: refusal.Msg, Args: refusal.Args}}
		return e.draw(w, r, s, st, http.StatusUnprocessableEntity)
	case idp.Conflict:
		if refusal.Field != "" {
			s.Form.Errors = []templates.FieldError{{Field: refusal.Field, Key: refusal.Msg, Args: refusal.Args}}
			return e.draw(w, r, s, st, http.StatusUnprocessableEntity)
		}
		return web.Redirect(w, r, s.path()) // another tab was faster: go where it got to
	case idp.Limited:
		return e.wait(w, r, s, refusal)
	}
	return e.over(w, r, s, err)
}

// wait draws the page that says until when to wait, with its code at once: nothing else can be
// done here.
func (e *Engine) wait(w http.ResponseWriter, r *http.Request, s *State, refusal *idp.Error) error {
	if s.Form.Explain == "" {
		s.Form.Explain = e.explained(r, s, refusal.Reason)
	}
	seconds := max(1, int(time.Until(refusal.Until).Seconds()+1))
	web.RetryAfter(w, refusal.Until)
	p := templates.Wait{Until: refusal.Until, Seconds: seconds, RestartURL: s.path(), Explain: s.Form.Explain}
	return e.Site.Write(w, r, http.StatusTooManyRequests, p)
}

// resend runs the Begin of the current step again.
func (e *Engine) resend(w http.ResponseWriter, r *http.Request) error {
	return e.again(w, r, func(s *State) error {
		s.resent = true
		return nil
	})
}

// chooseWay takes another way through a step.
func (e *Engine) chooseWay(w http.ResponseWriter, r *http.Request) error {
	return e.again(w, r, func(s *State) error {
		st, ok := s.current().(chooser)
		if !ok || !st.Choose(s, r.PostForm.Get("way")) {
			return idp.Errorf(idp.Invalid, "problem.400.text")
		}
		return nil
	})
}

func (e *Engine) again(w http.ResponseWriter, r *http.Request, change func(s *State) error) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	s, err := e.load(r)
	if err != nil {
		return e.gone(w, r, err)
	}
	st := s.current()
	if st == nil || st.Name() != r.PathValue("step") {
		return web.Redirect(w, r, s.path())
	}
	if r.PostForm.Has("challenge") { // of the work for a message
		if err := e.paid(r.Context(), s, r.PostForm, true); err != nil {
			return e.refused(w, r, s, st, err)
		}
		s.paidSend = true
	}
	var next string
	var done *finish
	verdict, err := e.transact(r.Context(), s, func(ctx context.Context) error {
		before := s.Facts
		if err := change(s); err != nil {
			return err
		}
		s.Facts.Begun = ""
		if next, done, err = e.advance(ctx, s); err != nil {
			s.Facts = before // what was sent before still counts
		}
		return err
	})
	if err == nil {
		err = verdict
	}
	if refusal, ok := errors.AsType[*idp.Error](err); ok && refusal.Kind == idp.Limited {
		web.RetryAfter(w, refusal.Until)
		s.Form.Errors = []templates.FieldError{{Key: refusal.Msg, Args: []any{refusal.Until}}}
		return e.draw(w, r, s, st, http.StatusTooManyRequests)
	}
	if err != nil {
		return e.refused(w, r, s, st, err)
	}
	if done != nil {
		return e.deliver(w, r, done)
	}
	return web.Redirect(w, r, next)
}

func badForm(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &idp.Error{Kind: idp.Invalid, Msg: "problem.400.text", Err: err}
}
