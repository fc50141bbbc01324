package flows

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// recoveryFacts are what decides the recovery of the flow's person now.
func (s *State) recoveryFacts(ctx context.Context) (f policy.RecoveryFacts, err error) {
	e, now := s.engine, time.Now()
	f = policy.RecoveryFacts{Lost: s.lost(), Enrolled: s.enrolled(), Demanded: s.settings().Factors.SignIn >= idp.ACR2, Staff: s.user.Role.Operator()}
	if f.Shown, err = s.shownNow(ctx, now); err != nil {
		return f, err
	}
	if f.Risks, err = s.risks(ctx, now); err != nil {
		return f, err
	}
	if f.Barred, err = s.barredBy(ctx, now); err != nil {
		return f, err
	}
	for _, v := range f.Shown {
		if v.By == idp.ByCase {
			c, err := e.Store.Case(ctx, v.ID)
			if err != nil {
				return f, err
			}
			f.Met = c.Met()
		}
		f.Shop = f.Shop || v.By == idp.ByShop && v.Void == ""
	}
	f.Unheard, err = s.unheard(ctx, f.Shown, now)
	return f, err
}

// risks are the points against this recovery, by name.
func (s *State) risks(ctx context.Context, now time.Time) (out []string, err error) {
	e, r := s.engine, s.settings().Recovery
	lately := now.Add(-r.Lately)
	greeted, err := e.Store.GreetedBy(ctx, s.network(ctx), s.User, now.Add(-greetedFor))
	if err != nil {
		return nil, err
	}
	placed := false
	if region := e.Places.Region(web.Peer(ctx)); region != "" {
		if placed, err = e.Store.HasPlace(ctx, s.User, region); err != nil {
			return nil, err
		}
	}
	starts, err := e.Store.CountRecoveries(ctx, s.User, now.Add(-e.Policy.Now().Returns.StartsIn))
	if err != nil {
		return nil, err
	}
	alarmed, err := s.alarmed(ctx, lately)
	if err != nil {
		return nil, err
	}
	names, err := e.Store.Identifiers(ctx, s.User) // those that were removed, too
	if err != nil {
		return nil, err
	}
	changed := slices.ContainsFunc(s.creds, func(c idp.Credential) bool { return c.CreatedAt.After(lately) || c.ChangedAt.After(lately) }) ||
		slices.ContainsFunc(names, func(n idp.Identifier) bool {
			return n.Kind != idp.IdentifierMerchantNo && (n.VerifiedAt.After(lately) || n.RemovedAt.After(lately))
		})
	for _, risk := range []struct {
		name string
		is   bool
	}{{"place", !greeted && !placed}, {"changed", changed}, {"starts", starts > int64(e.Policy.Now().Returns.Starts)}, {"terminal", alarmed},
		{"channel", len(s.channels()) <= 1}, {"money", r.MoneyRisk && s.user.MoneyAt.After(now.Add(-r.Money))}} {
		if risk.is {
			out = append(out, risk.name)
		}
	}
	return out, nil
}

// alarmed says whether a terminal of the merchant was lost, suspended or brought back lately,
// or came with another key.
func (s *State) alarmed(ctx context.Context, since time.Time) (bool, error) {
	if s.user.MerchantID == "" {
		return false, nil
	}
	events, err := s.engine.Store.Events(ctx, storage.EventFilter{Merchant: s.user.MerchantID, Since: since,
		Names: []string{"terminal.lost", "terminal.suspended", "terminal.returned", "terminal.rekeyed"}}, 1)
	return len(events) > 0, err
}

// barredBy is why people alone decide, "" when the table does.
func (s *State) barredBy(ctx context.Context, now time.Time) (string, error) {
	if s.user.Frozen {
		return "frozen", nil
	}
	if s.user.MerchantID != "" {
		h, err := s.engine.Store.RunningHandover(ctx, s.user.MerchantID)
		if err != nil {
			return "", err
		}
		if h != nil && h.Party(s.User) {
			return "handover", nil
		}
	}
	past, err := s.engine.Store.Recoveries(ctx, s.User, 20)
	if err != nil {
		return "", err
	}
	for _, r := range past {
		// Whoever stopped it may be the thief, and so may whoever began it: the next one is for people.
		if r.State != idp.RecoveryStopped || now.Sub(r.EndedAt) >= s.settings().Recovery.Dispute {
			continue
		}
		// A strong return settles that, but for one thing: no wait begins again, or whoever holds
		// one channel could keep the owner from his money day after day.
		events, err := s.engine.Store.Events(ctx, storage.EventFilter{Subject: s.User, Names: []string{"account.unfrozen"}, Since: r.EndedAt}, 1)
		if err != nil || len(events) > 0 {
			return "again", err
		}
		return "disputed", nil
	}
	return "", nil
}

// unheard says whether nobody hears of the recovery but who holds a channel that a code of
// it went to (NIST SP 800-63B-4 4.2.3).
func (s *State) unheard(ctx context.Context, shown []idp.Shown, now time.Time) (bool, error) {
	e := s.engine
	names, err := e.Store.Identifiers(ctx, s.User)
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if (n.Channel() || e.lately(n, now)) && !slices.ContainsFunc(shown, func(v idp.Shown) bool { return v.ID == n.ID }) {
			return false, nil
		}
	}
	others, err := e.otherOwners(ctx, *s.user)
	if err != nil || len(others) > 0 {
		return false, err
	}
	live, err := e.Store.Sessions(ctx, s.User, now)
	if err != nil || len(live) > 0 {
		return false, err
	}
	if s.user.MerchantID == "" {
		return true, nil
	}
	active, err := e.Store.TerminalsBy(ctx, storage.TerminalFilter{Merchant: s.user.MerchantID, State: idp.TerminalActive}, 1)
	return len(active) == 0, err
}

// otherOwners are the owners of a person's merchant but himself, who hear of his recovery.
func (e *Engine) otherOwners(ctx context.Context, u idp.User) ([]idp.User, error) {
	if u.MerchantID == "" {
		return nil, nil
	}
	owners, err := e.Store.Users(ctx, storage.UserFilter{Merchant: u.MerchantID, Roles: []idp.Role{idp.RoleOwner}, Status: string(idp.UserActive)}, 10)
	return slices.DeleteFunc(owners, func(o idp.User) bool { return o.ID == u.ID }), err
}

// wait begins the delay of a recovery, or goes on with the one that runs: everybody who
// could stop it is told in the same transaction. Another flow takes a running one over only
// by showing as much as it was begun with, and by more proof it only comes nearer.
func (s *State) wait(ctx context.Context, plan policy.RecoveryPlan, f policy.RecoveryFacts) error {
	e, now := s.engine, time.Now()
	r := idp.Recovery{UserID: s.User, State: idp.RecoveryWaiting, Lost: s.lost(), Row: plan.Row, Level: plan.Level, Withheld: plan.Withheld, Shown: f.Shown, Gone: s.found().Gone,
		Password: plan.Password, Second: plan.Second, Kit: plan.Kit, Flow: s.ID, StartedAt: now, DueAt: now.Add(plan.Wait), Case: caseOf(f.Shown)}
	running, err := e.Store.RunningRecovery(ctx, s.User)
	if err != nil {
		return err
	}
	if running != nil {
		if running, err = s.succeeds(ctx, r, *running); err != nil {
			return err
		}
	}
	if running != nil {
		r.ID, r.StartedAt = running.ID, running.StartedAt
		if r.DueAt = running.StartedAt.Add(plan.Wait); r.DueAt.After(running.DueAt) { // it never moves away
			r.DueAt = running.DueAt
		}
	}
	if r.Until = r.DueAt.Add(s.settings().Recovery.Finish); running != nil { // sooner due is no sooner over
		r.Until = running.Until
	}
	if running == nil {
		err = e.Store.AddRecovery(ctx, &r)
	} else {
		var ok bool
		if ok, err = e.Store.BetterRecovery(ctx, r); err == nil && !ok {
			err = s.refuseRunning(ctx, *running)
		}
	}
	if err != nil {
		return err
	}
	if err := e.Store.Withhold(ctx, s.User, plan.Withheld, r.Until); err != nil {
		return err
	}
	if err := e.Store.KeepFlow(ctx, s.ID, r.Until); err != nil {
		return err
	}
	s.found().ID, s.found().Plan = r.ID, &plan
	s.recovery = &r
	if running != nil && running.Row == r.Row && running.DueAt.Equal(r.DueAt) {
		return s.movedRecovery(ctx, r, *running)
	}
	return s.begunRecovery(ctx, r, running == nil)
}

// succeeds is the recovery that r goes on with, nil where r takes the place of the one that ran.
func (s *State) succeeds(ctx context.Context, r, running idp.Recovery) (*idp.Recovery, error) {
	switch {
	case as(r, running):
		return &running, nil
	case overrules(r.Shown, running):
		e := s.engine
		return nil, e.VoidRecovery(ctx, s.User, "overruled", idp.Event{Flow: s.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version})
	}
	return nil, s.refuseRunning(ctx, running)
}

// overrules: what two people have approved anew takes the place of what waits, and waits as long
// as it would have without that: a second case gets nobody the time of the first.
func overrules(shown []idp.Shown, running idp.Recovery) bool {
	c, was := byCase(shown), byCase(running.Shown)
	return c != nil && (was == nil || c.ID != was.ID && c.At.After(was.At))
}

// byCase is the case that counts among what was shown, nil for none.
func byCase(shown []idp.Shown) *idp.Shown {
	i := slices.IndexFunc(shown, func(v idp.Shown) bool { return v.By == idp.ByCase && v.Void == "" })
	if i < 0 {
		return nil
	}
	return &shown[i]
}

// caseOf is the id of that case, "" for none.
func caseOf(shown []idp.Shown) string {
	if c := byCase(shown); c != nil {
		return c.ID
	}
	return ""
}

// refuseRunning: somebody with less, or other, proofs comes while a recovery waits.
func (s *State) refuseRunning(ctx context.Context, running idp.Recovery) error {
	if err := s.refuse(ctx, "recovering", recoveryData(running)); err != nil {
		return err
	}
	s.explains()
	return &idp.Error{Kind: idp.Rejected, Msg: "recover.running", Reason: "recovering"}
}

// movedRecovery: the recovery that waits is as it was, but held by the flow of another
// browser, of which its person hears.
func (s *State) movedRecovery(ctx context.Context, r, was idp.Recovery) error {
	if was.Flow == r.Flow {
		return nil
	}
	data := recoveryData(r)
	data["moved"] = true
	s.found().Explain = idp.NewExplainCode()
	if err := s.engine.event(ctx, s, idp.Event{Name: "recovery.delayed", Reason: "recovering", Explain: s.found().Explain, Data: data}); err != nil {
		return err
	}
	letter := templatesLetter(s, time.Now())
	letter.Until, letter.Object, letter.Explain = r.DueAt, r.ID, s.found().Explain
	return s.engine.tellRecovery(ctx, *s.user, "recovery.moved", letter)
}

// as says whether r shows as much as a recovery that runs was begun with.
func as(r, running idp.Recovery) bool {
	return r.Lost == running.Lost && !more(running.Shown, r.Shown)
}

// more says whether something of what was shown counts that does not among what was shown before.
func more(shown, before []idp.Shown) bool {
	return slices.ContainsFunc(shown, func(v idp.Shown) bool {
		return v.Void == "" && !slices.ContainsFunc(before, func(was idp.Shown) bool { return was.Void == "" && was.By == v.By && was.ID == v.ID })
	})
}

// begunRecovery writes the events of a wait and tells everybody who could stop it.
func (s *State) begunRecovery(ctx context.Context, r idp.Recovery, fresh bool) error {
	e, now := s.engine, time.Now()
	data := recoveryData(r)
	s.found().Explain = idp.NewExplainCode() // of the messages and of the page
	if fresh {
		if err := e.event(ctx, s, idp.Event{Name: "recovery.started", Data: data}); err != nil {
			return err
		}
	}
	if err := e.event(ctx, s, idp.Event{Name: "recovery.delayed", Reason: "recovering", Explain: s.found().Explain, Data: data}); err != nil {
		return err
	}
	letter := templatesLetter(s, now)
	letter.Until, letter.Object, letter.Explain = r.DueAt, r.ID, s.found().Explain
	if err := e.tellRecovery(ctx, *s.user, "recovery.started", letter); err != nil {
		return err
	}
	if err := e.tellTerminals(ctx, *s.user, r.DueAt, r.Until, false); err != nil {
		return err
	}
	e.wakeRecoveries()
	return nil
}

// recoveryData is what the log keeps of a recovery: kinds of proofs, never their values.
func recoveryData(r idp.Recovery) map[string]any {
	groups := []string{}
	for _, g := range idp.Groups(r.Shown) {
		groups = append(groups, string(g))
	}
	return map[string]any{"recovery": r.ID, "row": r.Row, "level": r.Level, "lost": string(r.Lost), "due_at": r.DueAt, "groups": groups, "withheld": string(r.Withheld)}
}

// toOwners is what the owners of the shop are told of a recovery, where it is not that one waits.
var toOwners = map[string]string{"recovery.due": "recovery.other_due", "recovery.case": "recovery.other_case", "recovery.completed": "recovery.other_done", "recovery.void": "recovery.other_void"}

// tellRecovery tells the person on every channel, and the owners of the shop.
func (e *Engine) tellRecovery(ctx context.Context, u idp.User, template string, letter templates.Letter) error {
	if err := e.notify(ctx, u, template, letter); err != nil {
		return err
	}
	return e.tellOwners(ctx, u, template, letter)
}

// tellOwners tells the other owners of what a person is told of his recovery.
func (e *Engine) tellOwners(ctx context.Context, u idp.User, template string, letter templates.Letter) error {
	others, err := e.otherOwners(ctx, u)
	if err != nil {
		return err
	}
	for _, o := range others {
		names, err := e.Store.Identifiers(ctx, o.ID)
		if err != nil {
			return err
		}
		theirs := letter
		theirs.Name, theirs.Login, theirs.Whose = o.Name, loginOf(names), u.Name
		if err := e.notifyOf(ctx, o, u, cmp.Or(toOwners[template], "recovery.other"), theirs); err != nil {
			return err
		}
	}
	return nil
}

// askPeople opens a case where people alone decide: no wait begins.
func (s *State) askPeople(ctx context.Context, plan policy.RecoveryPlan, f policy.RecoveryFacts) error {
	e, now := s.engine, time.Now()
	open, err := e.returns(ctx, s.User)
	if err != nil {
		return err
	}
	c := idp.Case{}
	if len(open) > 0 {
		c = open[0]
	} else {
		by := []string{}
		for _, v := range f.Shown {
			by = append(by, string(v.By))
		}
		c = idp.Case{Kind: idp.CaseRecovery, UserID: s.User, Merchant: s.user.MerchantID, OpenedAt: now, DueAt: now.Add(e.Policy.Now().Desk.Open),
			Data: map[string]any{"lost": string(s.lost()), "row": plan.Row, "level": plan.Level, "barred": f.Barred, "shown": by, "risks": f.Risks, "network": web.Network(ctx)}}
		if s.user.Role.Operator() {
			c.Kind = idp.CaseStaff
		}
		if err := e.Store.OpenCase(ctx, &c); err != nil {
			return err
		}
		if c.Kind == idp.CaseStaff {
			if err := e.tellAdministrators(ctx, c, "opened"); err != nil {
				return err
			}
		}
		if err := e.event(ctx, s, idp.Event{Name: "case.opened", Data: map[string]any{"case": c.Number, "kind": c.Kind}}); err != nil {
			return err
		}
	}
	why := map[string]string{"": "proof.weak", "again": "disputed"}[f.Barred]
	if err := s.refuse(ctx, cmp.Or(why, f.Barred), map[string]any{"case": c.Number, "row": plan.Row, "level": plan.Level}); err != nil {
		return err
	}
	s.found().Plan, s.found().Case = &plan, c.Number
	if len(open) > 0 {
		return nil
	}
	letter := templatesLetter(s, now)
	letter.CaseNumber, letter.Until, letter.Object, letter.Explain = c.Number, c.DueAt, c.ID, s.found().Explain
	return e.tellRecovery(ctx, *s.user, "recovery.case", letter)
}

// recoverWait shows the time that is left, or the case that decides.
type recoverWait struct{}

func (recoverWait) Name() string { return "recover-wait" }

func (recoverWait) Done(s *State) bool { return s.mayReplace() }

// Choose takes one more way to show who one is: with more proof it ends sooner. What is
// over goes on by nothing: the proofs that it was begun with are of another day.
func (recoverWait) Choose(s *State, way string) bool {
	if s.recovery != nil && (s.recovery.State != idp.RecoveryWaiting || s.recovery.Flow != s.ID) {
		return false
	}
	plan := s.found().Plan
	s.found().Plan = nil
	if way == "" || !(recoverHub{}).Choose(s, way) {
		s.found().Plan = plan
		return false
	}
	return true
}

func (recoverWait) Show(ctx context.Context, s *State) (_ templates.Content, err error) {
	s.explains()
	if why := s.hindered(); why != "" {
		p := templates.RecoverHub{Form: s.Form, Lost: string(s.lost()), Refused: why}
		p.FreezeCase, err = s.engine.openCase(ctx, *s.user)
		return p, err
	}
	if s.recovery == nil {
		p := templates.RecoverCase{CaseNumber: s.found().Case, Form: s.Form}
		if s.user != nil {
			p.Staff, p.Frozen = s.user.Role.Operator(), s.user.Frozen
			p.FreezeCase, err = s.engine.openCase(ctx, *s.user)
		}
		return p, err
	}
	r, now := *s.recovery, time.Now()
	p := templates.RecoverWait{Form: s.Form, Again: s.path(), Stop: s.path("recover-wait", "stop"), State: string(r.State), Start: r.StartedAt, Due: r.DueAt, Until: r.Until,
		Withheld: string(s.user.Withholds(now)), Hours: max(1, int(r.DueAt.Sub(r.StartedAt).Hours()+0.5)), Gone: min(int(r.DueAt.Sub(r.StartedAt).Hours()+0.5), int(now.Sub(r.StartedAt).Hours())),
		Password: r.Password, Second: r.Second}
	if r.State == idp.RecoveryWaiting && r.Flow != s.ID {
		p.State = "elsewhere"
	}
	if r.State == idp.RecoveryWaiting && !now.Before(r.Until) {
		p.State = string(idp.RecoveryExpired)
	}
	if p.State != string(idp.RecoveryWaiting) {
		return p, nil
	}
	for _, w := range s.recoverWays() {
		w.URL = s.path("recover-wait", "way")
		p.Ways = append(p.Ways, w)
	}
	names, err := s.engine.Store.Identifiers(ctx, s.User)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if n.Channel() || s.engine.lately(n, now) {
			p.Told = append(p.Told, n.Masked())
		}
	}
	p.Middle = middle(r)
	return p, nil
}

// hindered is why nothing that was begun can go on now, a key of the catalogue; "" where it
// can, or a page of its own says more.
func (s *State) hindered() string {
	if s.user == nil || s.recovery == nil && s.found().Case != "" || s.recovery != nil && s.recovery.State != idp.RecoveryWaiting {
		return ""
	}
	switch why := s.user.Reason(time.Now()); {
	case why != "":
		return closedTo(why)
	case s.user.Frozen:
		return "recover-hub.frozen"
	case s.recovery == nil:
		return "recover-wait.void_lead"
	}
	return ""
}

// Submit has nothing to take: time passes by itself.
func (recoverWait) Submit(context.Context, *State, url.Values) error { return nil }

// recoverStop stops the recovery of this very page and freezes the account: whoever sees it
// may be its owner, at the browser that somebody else began it in.
func (e *Engine) recoverStop(w http.ResponseWriter, r *http.Request) error {
	s, err := e.flowPage(w, r)
	if s == nil {
		return err
	}
	if s.recovery == nil || s.recovery.State != idp.RecoveryWaiting {
		return web.Redirect(w, r, s.path())
	}
	out, err := e.freeze(r, s.User, freezeCause{link: true, acting: s.actingSession()})
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.Frozen{CaseNumber: out.Number, Due: out.DueAt, Already: out.already, OnlyCase: out.onlyCase})
}

// stopRecovery ends the recovery that runs, inside the transaction of [Engine.freeze]: what
// its codes went to proves nothing for a time. The flow that held it stays, to say so.
func (e *Engine) stopRecovery(ctx context.Context, u idp.User, by idp.Event) (flow string, err error) {
	r, err := e.Store.RunningRecovery(ctx, u.ID)
	if err != nil || r == nil {
		return "", err
	}
	now := time.Now()
	ok, err := e.Store.EndRecovery(ctx, r.ID, idp.RecoveryStopped, now)
	if err != nil || !ok {
		return "", err
	}
	var merchant *idp.Merchant
	if u.MerchantID != "" {
		m, err := e.Store.Merchant(ctx, u.MerchantID)
		if err != nil {
			return "", err
		}
		merchant = &m
	}
	if err := e.Store.VoidTerminalNotices(ctx, u.ID, now); err != nil {
		return "", err
	}
	if err := e.release(ctx, u.ID, now); err != nil { // the freeze keeps money back, until it is lifted
		return "", err
	}
	until := now.Add(e.Policy.For(policy.Who(u, merchant)).Recovery.Dispute)
	for _, v := range r.Shown {
		if v.By != idp.ByPhone && v.By != idp.ByMail {
			continue
		}
		if err := e.Store.Dispute(ctx, v.ID, until); err != nil {
			return "", err
		}
		by.Name, by.Reason, by.Data = "channel.disputed", "disputed", map[string]any{"channel": string(v.By), "until": until}
		if err := e.Store.Append(ctx, by); err != nil {
			return "", err
		}
	}
	by.Name, by.Reason, by.Data = "recovery.stopped", "disputed", recoveryData(*r)
	if err := e.Store.Append(ctx, by); err != nil {
		return "", err
	}
	return r.Flow, e.tellOwners(ctx, u, "recovery.void", templates.Letter{At: now, Object: r.ID, Cause: string(idp.RecoveryStopped)}) // he himself is told of the freeze
}

// release withholds from a person, when no recovery waits any more, what those that were
// done at once, or a hand-over, still keep back, each for its time: neither a further one nor
// its end makes that shorter.
func (e *Engine) release(ctx context.Context, user string, now time.Time) error {
	u, err := e.Store.User(ctx, user)
	if err != nil {
		return err
	}
	rules, err := e.rulesOf(ctx, u)
	if err != nil {
		return err
	}
	past, err := e.Store.Recoveries(ctx, user, 20)
	if err != nil {
		return err
	}
	if err := e.Store.Withhold(ctx, user, idp.WithholdNothing, time.Time{}); err != nil {
		return err
	}
	for _, r := range past {
		end := r.EndedAt.Add(rules.Recovery.Usual)
		if atOnce := r.State == idp.RecoveryDone && r.DueAt.Equal(r.StartedAt); !atOnce || r.Withheld == idp.WithholdNothing || !now.Before(end) {
			continue
		}
		if err := e.Store.Withhold(ctx, user, r.Withheld, end); err != nil {
			return err
		}
	}
	given, err := e.Store.Events(ctx, storage.EventFilter{Subject: user, Name: "owner.done", Since: now.Add(-rules.Handover.Hold)}, 1)
	if err != nil {
		return err
	}
	for _, h := range given {
		if h.Data["to"] != user { // who gave it
			continue
		}
		if err := e.Store.Withhold(ctx, user, idp.WithholdPayee, h.At.Add(rules.Handover.Hold)); err != nil {
			return err
		}
	}
	return nil
}

// endRecovery ends a recovery that waits without a freeze: withdrawn by the owner, void
// because something it rests on changed, or expired. Whoever heard that it began hears that
// it is over.
func (e *Engine) endRecovery(ctx context.Context, r idp.Recovery, to idp.RecoveryState, by idp.Event) (bool, error) {
	ok, err := e.Store.EndRecovery(ctx, r.ID, to, time.Now())
	if err != nil || !ok {
		return false, err
	}
	if err := e.release(ctx, r.UserID, time.Now()); err != nil {
		return false, err
	}
	if err := e.Store.VoidTerminalNotices(ctx, r.UserID, time.Now()); err != nil {
		return false, err
	}
	u, err := e.Store.User(ctx, r.UserID)
	if err != nil {
		return false, err
	}
	cause, data := by.Data["cause"], recoveryData(r)
	if cause != nil {
		data["cause"] = cause
	}
	by.Name, by.Subject, by.Merchant, by.Store, by.Data = "recovery.expired", u.ID, u.MerchantID, u.StoreID, data
	if to != idp.RecoveryExpired {
		by.Name, by.Reason = "recovery.stopped", cmp.Or(by.Reason, string(to))
	}
	if err := e.Store.Append(ctx, by); err != nil || cause == causeBetter {
		return true, err
	}
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return false, err
	}
	why := string(to)
	if text, ok := cause.(string); ok {
		why = text
	}
	return true, e.tellRecovery(ctx, u, "recovery.void", templates.Letter{Name: u.Name, Login: loginOf(names), At: time.Now(), Object: r.ID, Cause: why})
}

// causeBetter: one at once took its place, and of that everybody is told.
const causeBetter = "better"

// VoidRecovery ends the recovery of a person that waits, if one does, because something it
// rests on is no longer so: who he is at his merchant, or what he had shown.
func (e *Engine) VoidRecovery(ctx context.Context, user, cause string, by idp.Event) error {
	r, err := e.Store.RunningRecovery(ctx, user)
	if err != nil || r == nil {
		return err
	}
	by.Reason, by.Data = cmp.Or(by.Reason, cause), map[string]any{"cause": cause}
	_, err = e.endRecovery(ctx, *r, idp.RecoveryVoid, by)
	return err
}
