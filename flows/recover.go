package flows

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/templates"
)

// Recovery is the other way into an account, so it is no weaker than the first: every proof
// is one that a sign-in would know, policy.Recovery.Decide alone says what they are worth
// together, nothing is changed before the last step, and then all of it in one transaction.

// recovering is what a recovery flow has found out.
type recovering struct {
	Lost    idp.Lost             `json:"lost"`
	Extra   []idp.Shown          `json:"extra,omitempty"`   // shown by what leaves no proof of a sign-in: a terminal, a case
	Stale   []string             `json:"stale,omitempty"`   // phones that had been unproven for long when their code came back
	Started bool                 `json:"started,omitempty"` // paid for, see policy.Returns.Start
	Plan    *policy.RecoveryPlan `json:"plan,omitempty"`    // that the person goes on with
	Asked   string               `json:"asked,omitempty"`   // the notice that asks the terminals of the shop
	Gone    []string             `json:"gone,omitempty"`    // ids of the factors named lost
	ID      string               `json:"id,omitempty"`      // of the recovery that waits
	Case    string               `json:"case,omitempty"`    // its number, where people decide
	Hash    []byte               `json:"hash,omitempty"`    // of the new password
	Factor  *idp.Credential      `json:"factor,omitempty"`  // the new one
	Refused string               `json:"refused,omitempty"` // why it may not go on, as the log has it
	Explain string               `json:"explain,omitempty"` // code of that
	Found   string               `json:"found,omitempty"`   // kind of contact that was typed, to look a user name up
}

func (e *Engine) recoverRoutes(page func(pattern string, h web.Handler)) {
	page("GET /recover", e.recoverDoor)
	page("POST /recover", e.recoverBegin)
	page("GET /recover/other", e.recoverOther)
	page("GET /recover/done", e.recoverDone)
	page("GET /recover/void", e.recoverVoid)
	page("GET /recover/case", e.casePage)
	page("POST /recover/case", e.caseBegin)
	page("POST /flows/{flow}/recover-wait/stop", e.recoverStop)
}

// recoverDoor is the one door of all who cannot sign in. It keeps nothing and says the same
// to everybody.
func (e *Engine) recoverDoor(w http.ResponseWriter, r *http.Request) error {
	return e.Site.Write(w, r, http.StatusOK, templates.Recover{Action: "/recover", Methods: e.recoverKinds()})
}

// recoverKinds are the losses that can be mended under the rules in force. A user name is told
// and not proven with; and the code of an owner or manager lets his staff in with everything
// new, whatever the proofs are that count.
func (e *Engine) recoverKinds() []string {
	kinds, r := []string{string(idp.LostUsername), string(idp.LostBoth)}, e.Policy.Now().Settings.Recovery
	for _, lost := range []idp.Lost{idp.LostPassword, idp.LostSecond} {
		if r.Mends(lost) {
			kinds = append(kinds, string(lost))
		}
	}
	return kinds
}

// recoverBegin opens the flow of a choice.
func (e *Engine) recoverBegin(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	lost := idp.Lost(r.PostForm.Get("lost"))
	d := idp.Demand{Kind: idp.FlowRecover, Object: string(lost), Return: "/recover", Hint: r.PostForm.Get("hint")}
	switch {
	case lost == "other":
		return web.Redirect(w, r, "/recover/other")
	case lost == idp.LostUsername:
		d.Kind = idp.FlowName
	case !slices.Contains(e.recoverKinds(), string(lost)):
		return e.Site.Write(w, r, http.StatusUnprocessableEntity, templates.Recover{Action: "/recover", Methods: e.recoverKinds(),
			Form: templates.Form{Errors: []templates.FieldError{{Key: "recover.choose"}}}})
	}
	return e.Site.Require(w, r, d)
}

func (e *Engine) recoverOther(w http.ResponseWriter, r *http.Request) error {
	return e.Site.Write(w, r, http.StatusOK, templates.RecoverOther{})
}

// recoverDone is where a recovery ends: nobody is signed in by it.
func (e *Engine) recoverDone(w http.ResponseWriter, r *http.Request) error {
	return e.Site.Write(w, r, http.StatusOK, templates.RecoverDone{})
}

// recoverVoid is where one ends that rested on what is no longer so.
func (e *Engine) recoverVoid(w http.ResponseWriter, r *http.Request) error {
	return e.Site.Write(w, r, http.StatusOK, templates.RecoverWait{State: string(idp.RecoveryVoid)})
}

// lost is what the person of the flow has lost.
func (s *State) lost() idp.Lost { return idp.Lost(s.Demand.Object) }

// found makes room for what the flow finds out.
func (s *State) found() *recovering {
	if s.Facts.Recover == nil {
		s.Facts.Recover = &recovering{Lost: s.lost()}
	}
	return s.Facts.Recover
}

// begun says whether something was shown that names the account although it is no proof of
// a sign-in.
func (s *State) begun() bool { return s.Facts.Recover != nil && len(s.Facts.Recover.Extra) > 0 }

// proven says whether anything was shown: from then on the flow is that person's.
func (s *State) proven() bool { return s.user != nil && (len(s.Facts.Proofs) > 0 || s.begun()) }

// running is the delayed recovery that this flow has begun, nil when it has none or no
// longer holds it.
func (s *State) running(ctx context.Context) (*idp.Recovery, error) {
	if s.Facts.Recover == nil || s.Facts.Recover.ID == "" {
		return nil, nil
	}
	r, err := s.engine.Store.Recovery(ctx, s.Facts.Recover.ID)
	return &r, err
}

// replaces is the plan that is carried out, empty before one is.
func (s *State) replaces() policy.RecoveryPlan {
	if !s.mayReplace() {
		return policy.RecoveryPlan{}
	}
	return *s.Facts.Recover.Plan
}

// mayReplace says whether what was lost may be replaced now: at once, or because the wait is
// over and nobody stopped it.
func (s *State) mayReplace() bool {
	if s.Facts.Recover == nil || s.Facts.Recover.Plan == nil || !s.proven() || s.user.Frozen || s.user.Reason(time.Now()) != "" {
		return false
	}
	switch s.Facts.Recover.Plan.How {
	case policy.Immediate:
		return true
	case policy.Delayed:
		return s.recovery != nil && s.recovery.Flow == s.ID && s.recovery.Due(time.Now())
	}
	return false
}

// recoverWho asks whose account it is. Whether there is one nobody learns.
type recoverWho struct{}

func (recoverWho) Name() string { return "recover-who" }

func (recoverWho) Done(s *State) bool { return s.Facts.Lookup != nil || s.begun() }

// Again: another name may be typed until something is shown.
func (recoverWho) Again(s *State) bool { return len(s.Facts.Proofs) == 0 && !s.begun() }

func (recoverWho) Show(_ context.Context, s *State) (templates.Content, error) {
	p := templates.RecoverWho{Form: s.Form, Action: s.path("recover-who"), Lost: string(s.lost()), Identifier: s.Facts.Typed}
	if p.Identifier == "" {
		p.Identifier = s.Demand.Hint
	}
	return p, nil
}

func (recoverWho) Submit(ctx context.Context, s *State, form url.Values) error {
	typed := strings.TrimSpace(form.Get("identifier"))
	switch {
	case typed == "":
		return idp.FieldError("identifier", "identifier.empty")
	case len(typed) > 4*normal.MaxIdentifier:
		return idp.FieldError("identifier", "identifier.malformed")
	}
	return s.named(ctx, typed)
}

// named takes a typed login name for whom the flow is about.
func (s *State) named(ctx context.Context, typed string) (err error) {
	s.Facts.Typed = typed
	kind, value, ok := normal.Identifier(typed)
	if !ok {
		kind, value = "none", typed // nobody has it; answered like any other
	}
	s.Facts.Lookup, s.Facts.Way = s.engine.Store.Lookup(kind, value), ""
	s.Facts.Recover = &recovering{Lost: s.lost()}
	delete(s.Facts.Scratch, stepProof)
	s.User, err = s.engine.Store.Login(ctx, kind, value, time.Now().Add(-s.engine.Policy.Now().Notices.FormerNames))
	return err
}

// recoverHub lists the ways to show who one is, and says what those shown are worth.
type recoverHub struct{}

func (recoverHub) Name() string { return "recover" }

func (recoverHub) Done(s *State) bool {
	return s.Facts.Way != "" || s.Facts.Recover != nil && s.Facts.Recover.Plan != nil
}

// decide is what is shown by now, and what the table says to it.
func (s *State) decide(ctx context.Context) (policy.RecoveryPlan, policy.RecoveryFacts, error) {
	f, err := s.recoveryFacts(ctx)
	if err != nil {
		return policy.RecoveryPlan{}, f, err
	}
	return s.settings().Recovery.Decide(f), f, nil
}

// barred is why the account is closed to its person, "" when it is not. Who has shown too
// little to go on does not learn it.
func (s *State) barred(plan policy.RecoveryPlan) string {
	if plan.How == policy.Nothing {
		return ""
	}
	return s.user.Reason(time.Now())
}

// refuse keeps in the log, once for each reason, why a recovery may not go on, behind the
// code that its page shows.
func (s *State) refuse(ctx context.Context, why string, data map[string]any) error {
	f := s.found()
	if f.Refused == why {
		return nil
	}
	f.Refused, f.Explain = why, idp.NewExplainCode()
	return s.engine.event(ctx, s, idp.Event{Name: "recovery.refused", Reason: why, Explain: f.Explain, Data: data})
}

// explains shows the code of the refusal on the page.
func (s *State) explains() {
	if s.Form.Explain == "" && s.Facts.Recover != nil {
		s.Form.Explain = s.Facts.Recover.Explain
	}
}

// closedTo is the sentence of the page to whom the account is closed.
func closedTo(why string) string {
	if why == "locked" {
		return "recover.locked"
	}
	return "refused." + why
}

// over is the end of a flow whose recovery cannot go on, because something that it rests on
// has changed: the page is that of any flow that is over, and the log says why.
func (s *State) over() error {
	why := "proof.weak"
	switch r := s.recovery; {
	case s.user == nil:
		why = errExpired.Reason
	case s.user.Reason(time.Now()) != "":
		why = s.user.Reason(time.Now())
	case s.user.Frozen:
		why = "frozen"
	case r != nil && r.State == idp.RecoveryStopped:
		why = "disputed"
	case r != nil && (r.State != idp.RecoveryWaiting || !time.Now().Before(r.Until)):
		why = errExpired.Reason
	case r != nil:
		why = "recovering"
	}
	return &idp.Error{Kind: idp.Expired, Msg: errExpired.Msg, Reason: why}
}

// Begin keeps, as soon as enough is shown, why it may not go on.
func (recoverHub) Begin(ctx context.Context, s *State) error {
	if !s.proven() || s.user.Reason(time.Now()) == "" {
		return nil
	}
	plan, _, err := s.decide(ctx)
	if err != nil {
		return err
	}
	if why := s.barred(plan); why != "" {
		return s.refuse(ctx, why, map[string]any{"row": plan.Row, "level": plan.Level})
	}
	return nil
}

func (recoverHub) Show(ctx context.Context, s *State) (templates.Content, error) {
	p := templates.RecoverHub{Form: s.Form, Action: s.path("recover"), Lost: string(s.lost()), Login: s.Facts.Typed, Ways: s.recoverWays()}
	if !s.proven() {
		p.RestartURL = s.path("recover-who")
		return p, nil
	}
	p.Login = s.login()
	plan, facts, err := s.decide(ctx)
	if err != nil {
		return nil, err
	}
	if why := s.barred(plan); why != "" {
		s.explains()
		p.Form, p.Refused = s.Form, closedTo(why)
		return p, nil
	}
	plan, running, covers, err := s.planned(ctx, plan, facts)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	p.Shown = s.shownRows(facts.Shown)
	p.Plan = planOf(plan, facts, now)
	if p.Plan.Barred == "frozen" {
		if p.FreezeCase, err = s.engine.openCase(ctx, *s.user); err != nil {
			return nil, err
		}
	}
	if p.Plan.How == "now" || p.Plan.How == "wait" {
		p.Factors = s.lostFactors(plan)
	}
	if running != nil {
		p.Running, p.Due = true, running.DueAt
	}
	if covers && plan.How == policy.Delayed { // it goes on with that one, which ends no later by it
		if due := running.StartedAt.Add(plan.Wait); due.Before(p.Due) {
			p.Due = due
		}
		p.Plan.Until, p.Plan.Hours = p.Due, int(p.Due.Sub(now).Hours()+1)
		if !now.Before(p.Due) {
			p.Plan.How, p.Plan.Withheld, p.Running = "now", "", false
		}
	}
	return p, nil
}

// planned is what comes of what was shown, where the table says plan. running is the recovery that waits already, covers
// says that this flow shows what that was begun with. More proof, which brings it to another row, is what the table
// says. Without it the one that waits stays as it was told, whatever risks have passed or come up since: who covers it goes
// on with it. One that a case overrules is as none.
func (s *State) planned(ctx context.Context, plan policy.RecoveryPlan, f policy.RecoveryFacts) (goes policy.RecoveryPlan, running *idp.Recovery, covers bool, err error) {
	if running, err = s.engine.Store.RunningRecovery(ctx, s.User); err != nil || running == nil {
		return plan, nil, false, err
	}
	r := *running
	covers = as(idp.Recovery{Lost: s.lost(), Shown: f.Shown}, r)
	switch {
	case overrules(f.Shown, r):
		return plan, nil, false, nil
	case plan.How == policy.Nothing, plan.How == policy.ByPeople && (!covers || f.Barred != ""):
	case plan.How != policy.ByPeople && plan.Row != r.Row && more(f.Shown, r.Shown):
	default:
		plan = policy.RecoveryPlan{Row: r.Row, Level: r.Level, How: policy.Delayed, Wait: r.DueAt.Sub(r.StartedAt), Withheld: r.Withheld, Password: r.Password, Second: r.Second, Kit: r.Kit}
	}
	return plan, running, covers, nil
}

// Choose takes a way to show who one is.
func (recoverHub) Choose(s *State, way string) bool {
	if !slices.ContainsFunc(s.recoverWays(), func(w templates.Way) bool { return w.Value == way }) {
		return false
	}
	s.Facts.Way, s.Facts.Begun = way, ""
	delete(s.Facts.Scratch, stepProof)
	return true
}

func (recoverHub) Submit(ctx context.Context, s *State, form url.Values) error {
	if !s.proven() {
		return idp.FieldError("", "recover.show_first")
	}
	if err := s.holdBoth(ctx); err != nil {
		return err
	}
	plan, facts, err := s.decide(ctx)
	if err != nil {
		return err
	}
	if plan, _, _, err = s.planned(ctx, plan, facts); err != nil {
		return err
	}
	if plan.How == policy.Nothing {
		return idp.FieldError("", "recover.show_more")
	}
	if why := s.barred(plan); why != "" {
		err := s.refuse(ctx, why, map[string]any{"row": plan.Row, "level": plan.Level})
		return cmp.Or(err, error(&idp.Error{Kind: idp.Rejected, Msg: closedTo(why), Reason: why}))
	}
	if plan.How == policy.ByPeople {
		return s.askPeople(ctx, plan, facts)
	}
	if s.found().Gone, err = s.namedLost(plan, form); err != nil {
		return err
	}
	if plan.How == policy.Delayed {
		return s.wait(ctx, plan, facts)
	}
	s.found().Plan = &plan
	return nil
}

// holdBoth reads the person and his merchant as they are and keeps them so until what is decided
// of them is written: a freeze, a lock or another tier comes before it, and counts, or after
// it, and finds it. The merchant first, as whoever changes that does.
func (s *State) holdBoth(ctx context.Context) error {
	if s.user.MerchantID != "" {
		m, err := s.engine.Store.HoldMerchant(ctx, s.user.MerchantID)
		if err != nil {
			return err
		}
		s.merchant = &m
	}
	u, err := s.engine.Store.HoldUser(ctx, s.User)
	if err == nil {
		s.user = &u
	}
	return err
}

// lostFactors are the factors of which the person says which are gone: those that he has
// not just shown. Where none is replaced they are the passkeys alone: whoever has one of those
// needs nothing beside it.
func (s *State) lostFactors(plan policy.RecoveryPlan) (out []templates.Option) {
	if !plan.Second && (!plan.Kit || s.lost() == idp.LostPassword) {
		return nil
	}
	for _, c := range seconds(s.creds) {
		if !plan.Second && c.Method != idp.MethodPasskey {
			continue
		}
		if slices.ContainsFunc(s.Facts.Proofs, func(p idp.Proof) bool { return p.Credential == c.ID }) {
			continue
		}
		label := templates.T(s.engine.Site.Lang(s.request), "factor."+string(c.Method))
		if c.Label != "" {
			label += " · " + c.Label
		}
		out = append(out, templates.Option{Value: c.ID, Text: label, Chosen: true})
	}
	return out
}

// namedLost reads which factors are gone: one at least, where one is replaced.
func (s *State) namedLost(plan policy.RecoveryPlan, form url.Values) ([]string, error) {
	all := s.lostFactors(plan)
	if len(all) == 0 {
		return nil, nil
	}
	var gone []string
	for _, c := range all {
		if len(all) == 1 && plan.Second || slices.Contains(form["gone"], c.Value) {
			gone = append(gone, c.Value)
		}
	}
	if len(gone) == 0 && plan.Second {
		return nil, idp.FieldError("gone", "recover.which")
	}
	return gone, nil
}

// planOf is the plan in the words of the page.
func planOf(plan policy.RecoveryPlan, f policy.RecoveryFacts, now time.Time) templates.RecoverPlan {
	p := templates.RecoverPlan{How: "nothing", Password: plan.Password, Second: plan.Second, Withheld: string(plan.Withheld), Kit: plan.Kit, Level: plan.Level, Risks: f.Risks, Staff: f.Staff}
	switch plan.How {
	case policy.Immediate:
		p.How = "now"
		if plan.Hold > 0 {
			p.Until = now.Add(plan.Hold)
		}
	case policy.Delayed:
		p.How, p.Hours, p.Until = "wait", int(plan.Wait.Hours()), now.Add(plan.Wait)
	case policy.ByPeople:
		p.How, p.Barred = "case", f.Barred // who has shown too little does not learn it
	}
	return p
}

// shownRows are the proofs in the words of the page.
func (s *State) shownRows(shown []idp.Shown) (out []templates.RecoverShown) {
	for _, v := range shown {
		row := templates.RecoverShown{By: string(v.By), Void: v.Void}
		for _, n := range s.names {
			if n.ID == v.ID {
				row.Detail = n.Masked()
			}
		}
		if v.Stale && v.Void == "" {
			row.Void = "phone.stale"
		}
		out = append(out, row)
	}
	return out
}

// flowPage loads the flow of a page that acts outside of its steps; nil where it is over, which is answered.
func (e *Engine) flowPage(w http.ResponseWriter, r *http.Request) (*State, error) {
	if err := r.ParseForm(); err != nil {
		return nil, badForm(err)
	}
	s, err := e.load(r)
	if err != nil {
		return nil, e.gone(w, r, err)
	}
	return s, nil
}

// actingSession is the session of who is signed in as the flow's person, nil for none.
func (s *State) actingSession() *session.Signed {
	if s.signed != nil && s.signed.User.ID == s.User {
		return s.signed
	}
	return nil
}
