package flows

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// keepPassword keeps the new password until the end of the flow, where all is replaced in
// one transaction.
func (s *State) keepPassword() error {
	if !s.replaces().Password {
		return s.over()
	}
	s.found().Hash, s.Facts.Changed = s.hash, true
	return nil
}

// keepFactor keeps the new second factor until the end of the flow.
func (s *State) keepFactor(ctx context.Context, c idp.Credential) error {
	if !s.replaces().Second {
		return s.over()
	}
	if c.Lookup != nil {
		if _, err := s.engine.Store.CredentialByLookup(ctx, c.Lookup); idp.KindOf(err) != idp.NotFound {
			if err == nil {
				err = idp.FieldError("", "key.known")
			}
			return err
		}
	}
	s.found().Factor, s.Facts.Enrolled = &c, string(c.Method)
	delete(s.Facts.Scratch, "enrol-passkey")
	delete(s.Facts.Scratch, "enrol-totp")
	s.token = idp.NewToken()
	return nil
}

// completeRecover replaces what was lost, in the transaction of the last step. Nobody is
// signed in by it. Everything that was let in before, or could let somebody in, ends.
func (e *Engine) completeRecover(ctx context.Context, s *State) (*finish, error) {
	now := time.Now()
	if err := s.person(ctx); err != nil { // as it is now: beside this nobody changes him
		return nil, err
	}
	if !s.mayReplace() {
		return nil, s.over()
	}
	r, ok, err := e.concluded(ctx, s, now)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &finish{next: "/recover/void"}, nil
	}
	if err := s.sweep(ctx, now); err != nil {
		return nil, err
	}
	if err := s.replace(ctx, r); err != nil {
		return nil, err
	}
	if err := e.release(ctx, s.User, now); err != nil {
		return nil, err
	}
	u, err := e.Store.User(ctx, s.User) // an earlier recovery may keep back more
	if err != nil {
		return nil, err
	}
	withheld, letter := u.Withholds(now), templatesLetter(s, now)
	letter.Object, letter.Until, letter.Withheld, letter.Explain = r.ID, u.HeldUntil(withheld), string(withheld), idp.NewExplainCode()
	if err := e.event(ctx, s, idp.Event{Name: "recovery.completed", Reason: "recovery", Explain: letter.Explain, Data: recoveryData(r)}); err != nil {
		return nil, err
	}
	if err := e.tellTerminals(ctx, *s.user, r.DueAt, now.Add(s.settings().Recovery.Finish), true); err != nil {
		return nil, err
	}
	return &finish{next: "/recover/done", out: s.actingSession() != nil}, e.tellRecovery(ctx, *s.user, "recovery.completed", letter)
}

// concluded decides, with what is true now, that the recovery may end, and keeps that it
// has: an immediate one while the table still says at once and the same is replaced, under
// the stricter of what it said when it was taken up and says now; a delayed one once, after
// its time and by the flow that holds it. Where what it rests on is gone it is false, and a
// delayed one is void.
func (e *Engine) concluded(ctx context.Context, s *State, now time.Time) (r idp.Recovery, may bool, err error) {
	if s.Facts.Recover.Plan.How == policy.Delayed {
		r = *s.recovery
		if may, err = s.stands(ctx, r, now); err != nil || !may {
			if err == nil {
				err = e.VoidRecovery(ctx, s.User, "proof.gone", idp.Event{Actor: "system", Flow: s.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version})
			}
			return r, false, err
		}
		ok, err := e.Store.EndRecovery(ctx, r.ID, idp.RecoveryDone, now)
		if err == nil && (!ok || r.Flow != s.ID) {
			err = s.over()
		}
		return r, true, err
	}
	facts, err := s.recoveryFacts(ctx)
	if err != nil {
		return r, false, err
	}
	plan, running, _, err := s.planned(ctx, s.settings().Recovery.Decide(facts), facts)
	if err != nil {
		return r, false, err
	}
	was := *s.Facts.Recover.Plan
	if plan.How != policy.Immediate || plan.Password != was.Password || plan.Second != was.Second {
		return r, false, e.event(ctx, s, idp.Event{Name: "recovery.refused", Reason: "proof.gone"})
	}
	plan.Withheld, plan.Kit = plan.Withheld.Worse(was.Withheld), plan.Kit || was.Kit
	if running == nil { // or one that a case overrules
		running, err = e.Store.RunningRecovery(ctx, s.User)
	}
	if err != nil {
		return r, false, err
	}
	if running != nil { // somebody with less to show had begun one
		if _, err := e.endRecovery(ctx, *running, idp.RecoveryVoid, idp.Event{Network: web.Network(ctx), Policy: e.Policy.Now().Version, Data: map[string]any{"cause": causeBetter}}); err != nil {
			return r, false, err
		}
	}
	r = idp.Recovery{UserID: s.User, State: idp.RecoveryDone, Lost: s.lost(), Row: plan.Row, Level: plan.Level, Withheld: plan.Withheld, Shown: facts.Shown, Gone: s.found().Gone,
		Password: plan.Password, Second: plan.Second, Kit: plan.Kit, Flow: s.ID, StartedAt: now, DueAt: now, Until: now, EndedAt: now, Case: caseOf(facts.Shown)}
	if err := e.Store.AddRecovery(ctx, &r); err != nil {
		return r, false, err
	}
	return r, true, e.event(ctx, s, idp.Event{Name: "recovery.started", Data: recoveryData(r)})
}

// stands says whether a recovery that has waited still rests on what was shown for it: what
// is gone, lost or disputed by now counts no more, and what is left must open as much, after
// no longer a wait. Risks were weighed when it began.
func (s *State) stands(ctx context.Context, r idp.Recovery, now time.Time) (bool, error) {
	rules := s.settings().Recovery
	f := policy.RecoveryFacts{Lost: r.Lost, Enrolled: s.enrolled(), Demanded: s.settings().Factors.SignIn >= idp.ACR2, Staff: s.user.Role.Operator(), Shown: slices.Clone(r.Shown)}
	var err error
	for i, v := range f.Shown {
		if v.Void != "" {
			continue
		}
		if f.Shown[i].Void, err = s.stillShown(ctx, v, rules, now); err != nil {
			return false, err
		}
	}
	if f.Barred, err = s.barredBy(ctx, now); err != nil {
		return false, err
	}
	plan := rules.Decide(f)
	return (plan.How == policy.Immediate || plan.How == policy.Delayed) && (plan.Password || !r.Password) && (plan.Second || !r.Second) &&
		(plan.Row == r.Row || plan.Wait <= r.DueAt.Sub(r.StartedAt)), nil
}

// sweep ends everything of the person that was issued before: sessions, grants, approvals
// that wait, known browsers but the acting one's mark, trust, codes, links and flows.
func (s *State) sweep(ctx context.Context, now time.Time) error {
	e, keep := s.engine, ""
	if s.browser != nil {
		keep = s.browser.ID
	}
	by := idp.Event{Flow: s.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version}
	if err := e.Store.DenyApprovals(ctx, s.User); err != nil {
		return err
	}
	if err := e.Store.EndAll(ctx, *s.user, storage.Keep{}, "recovery", by); err != nil {
		return err
	}
	if err := e.Store.RevokeBrowsers(ctx, s.User, keep); err != nil {
		return err
	}
	if err := e.Store.DistrustBrowsers(ctx, s.User); err != nil {
		return err
	}
	if err := e.Store.VoidTerminalNotices(ctx, s.User, now); err != nil {
		return err
	}
	return e.Store.DropLinks(ctx, s.User)
}

// replace puts the new password and factor in the place of what was lost.
func (s *State) replace(ctx context.Context, r idp.Recovery) error {
	e := s.engine
	if r.Password {
		if err := s.replacePassword(ctx, r); err != nil {
			return err
		}
	}
	if r.Kit {
		if err := s.drop(ctx, func(c idp.Credential) bool { return c.Method == idp.MethodBackup }); err != nil {
			return err
		}
	}
	if !r.Second { // a passkey that is lost lets in whoever finds it
		return s.drop(ctx, func(c idp.Credential) bool {
			return r.Kit && c.Method == idp.MethodPasskey && slices.Contains(r.Gone, c.ID)
		})
	}
	fresh := s.found().Factor
	if fresh == nil {
		return errExpired
	}
	gone := func(c idp.Credential) bool {
		return slices.Contains(r.Gone, c.ID) || c.Method == idp.MethodTOTP && fresh.Method == idp.MethodTOTP
	}
	if err := s.drop(ctx, gone); err != nil {
		return err
	}
	if err := e.Store.AddCredential(ctx, fresh); err != nil {
		return err
	}
	return e.event(ctx, s, idp.Event{Name: "factor.replaced", Data: map[string]any{"method": string(fresh.Method), "recovery": r.ID}})
}

// replacePassword sets the new password. Where proofs of one group alone set it, that is
// kept: a second group is what makes it more than they are.
func (s *State) replacePassword(ctx context.Context, r idp.Recovery) error {
	e, hash := s.engine, s.found().Hash
	if len(hash) == 0 {
		return errExpired
	}
	via := slices.DeleteFunc(idp.Groups(r.Shown), func(g idp.Group) bool { return g == idp.GroupMemory })
	if len(via) > 1 {
		via = nil
	}
	id := ""
	if c := of(s.creds, idp.MethodPassword); c != nil {
		id = c.ID
		ok, err := e.Store.ReplaceCredential(ctx, c.ID, c.Version, hash)
		if err == nil && !ok {
			err = errFaster
		}
		if err != nil {
			return err
		}
	} else {
		c := idp.Credential{UserID: s.User, Method: idp.MethodPassword, Data: hash}
		if err := e.Store.AddCredential(ctx, &c); err != nil {
			return err
		}
		id = c.ID
	}
	if err := e.Store.SetVia(ctx, id, via); err != nil {
		return err
	}
	if err := e.Store.SetMustChange(ctx, s.User, false); err != nil {
		return err
	}
	for _, kind := range []string{"totp", "totp.c", "code", "suspect", "pw", "pw.c"} { // whoever used them up knew the old one
		if err := e.Store.FillBucket(ctx, kind, s.account()); err != nil {
			return err
		}
	}
	return e.event(ctx, s, idp.Event{Name: "password.reset", Data: map[string]any{"recovery": r.ID}})
}

// drop takes credentials out of the world.
func (s *State) drop(ctx context.Context, which func(idp.Credential) bool) error {
	for _, c := range slices.Clone(s.creds) {
		if !which(c) {
			continue
		}
		if err := s.engine.retire(ctx, s, c); err != nil {
			return err
		}
		if err := s.engine.event(ctx, s, idp.Event{Name: "factor.removed", Data: map[string]any{"method": string(c.Method)}}); err != nil {
			return err
		}
	}
	return nil
}

// What was told of a recovery that waits, as bits of idp.Recovery.Told.
const (
	toldMiddle = 1 << iota
	toldSoon
	toldDue
)

// middle is when its person is told a second time.
func middle(r idp.Recovery) time.Time { return r.StartedAt.Add(r.DueAt.Sub(r.StartedAt) / 2) }

// recoveryPage is how many recoveries that wait are looked at at once.
const recoveryPage = 200

// TellRecoveries tells of recoveries that wait what is due to be told, once each, ends those
// that nobody came back for, and says when to look again: soon, where something failed. One
// that cannot be told of keeps nothing from the others.
func (e *Engine) TellRecoveries(ctx context.Context) (next time.Time, err error) {
	now := time.Now()
	next, again := now.Add(time.Hour), now.Add(time.Minute)
	for after := ""; ; {
		page, failed := e.Store.WaitingRecoveries(ctx, after, recoveryPage)
		if failed != nil {
			return again, errors.Join(err, failed)
		}
		for _, r := range page {
			after = r.ID
			at, failed := e.tellOf(ctx, r, now)
			if failed != nil {
				err, at = errors.Join(err, failed), again
			}
			if at.After(now) && at.Before(next) {
				next = at
			}
		}
		if len(page) < recoveryPage {
			return next, err
		}
	}
}

// tellOf does for one recovery what is due, and returns when the next thing is.
func (e *Engine) tellOf(ctx context.Context, r idp.Recovery, now time.Time) (next time.Time, err error) {
	if !now.Before(r.Until) {
		return next, e.Store.Tx(ctx, func(ctx context.Context) error {
			_, err := e.endRecovery(ctx, r, idp.RecoveryExpired, idp.Event{Actor: "system", Policy: e.Policy.Now().Version})
			return err
		})
	}
	next = r.Until
	soon := e.Policy.Now().Returns.RemindAt(r.StartedAt, r.DueAt.In(e.Site.Zone))
	for _, what := range []struct {
		bit  int
		at   time.Time
		name string
	}{{toldMiddle, middle(r), "recovery.reminded"}, {toldSoon, soon, "recovery.soon"}, {toldDue, r.DueAt, "recovery.due"}} {
		switch {
		case r.Told&what.bit != 0, what.at.IsZero():
		case now.Before(what.at):
			if what.at.Before(next) {
				next = what.at
			}
		default:
			if err := e.remindRecovery(ctx, r, what.bit, what.name, now); err != nil {
				return next, err
			}
		}
	}
	return next, nil
}

func (e *Engine) remindRecovery(ctx context.Context, r idp.Recovery, bit int, template string, now time.Time) error {
	return e.Store.Tx(ctx, func(ctx context.Context) error {
		ok, err := e.Store.TellRecovery(ctx, r.ID, bit)
		if err != nil || !ok {
			return err
		}
		u, err := e.Store.User(ctx, r.UserID)
		if err != nil {
			return err
		}
		names, err := e.Store.Identifiers(ctx, u.ID)
		if err != nil {
			return err
		}
		letter := templates.Letter{Name: u.Name, Login: loginOf(names), At: now, Until: r.DueAt, Object: r.ID, Explain: idp.NewExplainCode()}
		if bit == toldDue { // what counts from now on is when it must be finished
			letter.Until = r.Until
		}
		if err := e.Store.Append(ctx, idp.Event{Name: "recovery.reminded", Actor: "system", Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID, Reason: "recovering", Explain: letter.Explain, Policy: e.Policy.Now().Version, Data: recoveryData(r)}); err != nil {
			return err
		}
		if err := e.tellTerminals(ctx, u, r.DueAt, r.Until, false); err != nil {
			return err
		}
		return e.tellRecovery(ctx, u, template, letter)
	})
}

// wakeRecoveries has the job that tells look again: what it waits for may come sooner now.
func (e *Engine) wakeRecoveries() {
	select {
	case e.Wake <- struct{}{}:
	default:
	}
}

// withdrawPage and withdraw are of an owner who came in by his own means while a recovery of
// his account waits: it is void, without a freeze.
func (e *Engine) withdrawPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	running, err := e.Store.RunningRecovery(r.Context(), me.User.ID)
	if err != nil {
		return err
	}
	if running == nil {
		return web.Redirect(w, r, "/account")
	}
	return e.Site.Write(w, r, http.StatusOK, templates.RecoverRunning{Action: "/account/recovery", Start: running.StartedAt, Due: running.DueAt, Password: running.Password, Second: running.Second,
		May: idp.Assess(me.Session.Proofs).ACR >= idp.ACR2})
}

func (e *Engine) withdraw(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	running, err := e.Store.RunningRecovery(r.Context(), me.User.ID)
	if err != nil {
		return err
	}
	if running == nil {
		return web.Redirect(w, r, "/account")
	}
	if ok, err := e.meets(w, r, me, idp.Demand{Kind: idp.FlowStepUp, ACR: idp.ACR2, One: true, Since: running.StartedAt, User: me.User.ID, Return: "/account/recovery"}); err != nil || !ok {
		return err
	}
	by := e.act(r.Context(), me)
	err = e.Store.Tx(r.Context(), func(ctx context.Context) error {
		if _, err := e.Store.HoldUser(ctx, me.User.ID); err != nil {
			return err
		}
		_, err := e.endRecovery(ctx, *running, idp.RecoveryWithdrawn, by)
		return err
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account?saved=withdrawn_recovery")
}
