package flows

import (
	"context"
	"net/http"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// freezeCause is who freezes a person, and why.
type freezeCause struct {
	acting *session.Signed // his session, which stays; nil: nobody is signed in
	event  *idp.Event      // that was not he
	link   bool            // by a link of a notice: by whoever holds it
	at     *idp.Terminal   // by the people at a terminal of his merchant, who saw its notice
	flow   string          // of the recovery that it stopped
	by     *idp.Event      // what every event of it says, where support acts for him
}

const openCases = 20 // of a person, that are looked at for one to go on with

// stopped is what came of it.
type stopped struct {
	idp.Case
	already  bool // he was frozen before
	onlyCase bool // frozen too often by link
}

// freeze stops all that a thief may have got hold of: money scopes are withheld, every
// other session, every grant and every approval that waits ends, no browser is known or
// trusted any more but the acting one. What was there is kept as evidence in a case. It
// is the one place where an account is frozen.
func (e *Engine) freeze(r *http.Request, user string, c freezeCause) (out stopped, err error) {
	err = e.Store.Tx(r.Context(), func(ctx context.Context) error {
		out = stopped{}
		now := time.Now()
		u, err := e.Store.HoldUser(ctx, user)
		if err != nil {
			return err
		}
		if c.flow, err = e.stopRecovery(ctx, u, e.frozenBy(ctx, u, c)); err != nil { // whatever becomes of the freeze
			return err
		}
		if err := e.stopHandover(ctx, u, c, "frozen"); err != nil {
			return err
		}
		waits, disowned, err := e.waitingCase(ctx, user, c)
		if err != nil {
			return err
		}
		if waits != nil {
			out.Case = *waits
		}
		found, idle, err := e.evidence(ctx, u, c, now)
		if err != nil {
			return err
		}
		out.already = u.Frozen
		fresh := waits == nil || !u.Frozen
		if c.link {
			returns, err := e.returns(ctx, user)
			if err != nil {
				return err
			}
			if u.Frozen && idle && waits != nil && len(returns) == 0 {
				return nil // the same link again: nothing is left to stop
			}
			ok, err := e.mayFreezeByLink(ctx, user, now)
			if err != nil {
				return err
			}
			if !ok {
				out.onlyCase = !u.Frozen
				if waits != nil {
					return nil
				}
				if out.Case, err = e.open(ctx, u, c, found, now); err != nil {
					return err
				}
				return e.tellCase(ctx, r, u, "case.opened", out.Case)
			}
		}
		if c.event != nil {
			said, err := e.disown(ctx, u, c, now)
			if err != nil {
				return err
			}
			fresh = fresh || said && !disowned // a plain freeze's ends when he returns; this one is looked into
		}
		if fresh {
			if out.Case, err = e.open(ctx, u, c, found, now); err != nil {
				return err
			}
		}
		frozen, err := e.stopAll(ctx, u, c, out.Case, now)
		switch {
		case err != nil:
			return err
		case frozen:
			return e.tellCase(ctx, r, u, "frozen", out.Case)
		case fresh:
			return e.tellCase(ctx, r, u, "case.opened", out.Case)
		}
		return nil
	})
	return out, err
}

// stopHandover stops the hand-over of the merchant that a person gives or takes in: whoever
// stops an account stops that too, however often he did before.
func (e *Engine) stopHandover(ctx context.Context, u idp.User, c freezeCause, cause string) error {
	if u.MerchantID == "" {
		return nil
	}
	if err := e.keepOwner(ctx, u, c); err != nil {
		return err
	}
	h, err := e.Store.RunningHandover(ctx, u.MerchantID)
	if err != nil || h == nil || !h.Party(u.ID) {
		return err
	}
	people, err := e.Store.UsersOf(ctx, []string{h.From, h.To})
	if err != nil {
		return err
	}
	by := e.frozenBy(ctx, u, c)
	if ok, err := e.Store.DropHandover(ctx, *h, idp.HandoverStopped, cause, time.Now(), by); err != nil || !ok {
		return err
	}
	if h.Joined { // who was invited for it alone has left
		if err := e.VoidRecovery(ctx, h.To, "left", by); err != nil {
			return err
		}
	}
	for _, id := range []string{h.From, h.To} {
		if err := e.Announce(ctx, people[id], idp.Announcement{Template: "owner.stopped", Object: h.ID, Giver: people[h.From].Name, Taker: people[h.To].Name}); err != nil {
			return err
		}
	}
	return nil
}

// keepOwner ends the case that gives an owner's merchant to another: whoever stops it speaks
// for one who is said to be gone.
func (e *Engine) keepOwner(ctx context.Context, u idp.User, c freezeCause) error {
	asked, err := e.Store.Cases(ctx, storage.CaseFilter{User: u.ID, State: idp.CaseOpen, Kind: idp.CaseHandover}, openCases)
	if err != nil {
		return err
	}
	for _, one := range asked {
		if ok, err := e.Store.CloseCase(ctx, one.ID, time.Now()); err != nil || !ok {
			return err
		}
		by := e.frozenBy(ctx, u, c)
		by.Name, by.Reason, by.Data = "case.closed", "stopped", map[string]any{"case": one.Number, "kind": one.Kind}
		if err := e.Store.Append(ctx, by); err != nil {
			return err
		}
	}
	return nil
}

// waitingCase is the open case that a freeze goes on with, nil for none: for an event
// that was not the person the one about such an event. disowned says that there is one.
func (e *Engine) waitingCase(ctx context.Context, user string, c freezeCause) (waits *idp.Case, disowned bool, err error) {
	open, err := e.Store.Cases(ctx, storage.CaseFilter{User: user, State: idp.CaseOpen}, openCases)
	open = slices.DeleteFunc(open, func(o idp.Case) bool { return !o.OfFreeze() }) // the others have an answer of their own
	if err != nil || len(open) == 0 {
		return nil, false, err
	}
	i := slices.IndexFunc(open, func(o idp.Case) bool { return o.Kind == idp.CaseNotMe })
	if c.event != nil && i >= 0 {
		return &open[i], true, nil
	}
	return &open[0], i >= 0, nil
}

// disown keeps that an event was not the person; false when he has said something of it
// before, for the first word stands.
func (e *Engine) disown(ctx context.Context, u idp.User, c freezeCause, now time.Time) (bool, error) {
	said, err := e.Store.Answer(ctx, u.ID, c.event.ID, "not_me", now)
	if err != nil || !said {
		return false, err
	}
	by := e.frozenBy(ctx, u, c)
	by.Name, by.Data = "account.notme", map[string]any{"event": c.event.ID, "name": c.event.Name}
	return true, e.Store.Append(ctx, by)
}

// tellCase tells a person of a freeze, or of a case alone.
func (e *Engine) tellCase(ctx context.Context, r *http.Request, u idp.User, template string, opened idp.Case) error {
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	letter := e.letter(r, u, names)
	letter.CaseNumber, letter.Until, letter.Object = opened.Number, opened.DueAt, opened.ID
	return e.notify(ctx, u, template, letter)
}

// mayFreezeByLink: whoever holds a mailbox can stop its owner, but not for ever.
func (e *Engine) mayFreezeByLink(ctx context.Context, user string, now time.Time) (bool, error) {
	p := e.Policy.Now().Cases
	ok, _, err := e.Store.TakeBucket(ctx, "freeze.link", []byte(user), p.LinkFreezes, p.LinkWindow, now)
	return ok, err
}

// stopAll freezes and ends, inside the transaction of [Engine.freeze]; false when he was
// frozen before.
func (e *Engine) stopAll(ctx context.Context, u idp.User, c freezeCause, opened idp.Case, now time.Time) (bool, error) {
	fresh, err := e.Store.FreezeUser(ctx, u.ID, now)
	if err != nil {
		return false, err
	}
	by, keep, browser := e.frozenBy(ctx, u, c), storage.Keep{Flow: c.flow}, ""
	if c.acting != nil {
		keep.Session, browser = c.acting.Session.ID, c.acting.Session.Browser
	}
	if err := e.Store.DenyApprovals(ctx, u.ID); err != nil {
		return false, err
	}
	if err := e.Store.EndAll(ctx, u, keep, "frozen", by); err != nil {
		return false, err
	}
	if err := e.Store.RevokeBrowsers(ctx, u.ID, browser); err != nil {
		return false, err
	}
	if err := e.Store.DistrustBrowsers(ctx, u.ID); err != nil {
		return false, err
	}
	if err := e.Store.VoidTerminalNotices(ctx, u.ID, now); err != nil {
		return false, err
	}
	if err := e.refuseReturns(ctx, u, by, now); err != nil || !fresh {
		return false, err
	}
	by.Name, by.Data = "account.frozen", map[string]any{"case": opened.Number, "link": c.link}
	return true, e.Store.Append(ctx, by)
}

// refuseReturns ends what people have decided, or were to decide, to bring a person back:
// whoever is stopped may have called them. What the freeze itself asks them goes on.
func (e *Engine) refuseReturns(ctx context.Context, u idp.User, by idp.Event, now time.Time) error {
	if err := e.Store.VoidLinks(ctx, u.ID, idp.LinkCase); err != nil {
		return err
	}
	open, err := e.returns(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, c := range open {
		c.Outcome, c.ClosedAt = idp.OutcomeRefused, now
		ok, err := e.Store.DecideCase(ctx, c)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		by.Name, by.Reason, by.Data = "case.refused", "frozen", map[string]any{"case": c.Number, "kind": c.Kind, "outcome": string(c.Outcome)}
		if err := e.Store.Append(ctx, by); err != nil {
			return err
		}
	}
	return nil
}

// returns are the open cases that are to bring a person back.
func (e *Engine) returns(ctx context.Context, user string) ([]idp.Case, error) {
	open, err := e.Store.Cases(ctx, storage.CaseFilter{User: user, State: idp.CaseOpen}, openCases)
	return slices.DeleteFunc(open, func(c idp.Case) bool { return !c.Returns() }), err
}

// frozenBy is the start of an event of a freeze: its actor is the person, nobody, or support.
func (e *Engine) frozenBy(ctx context.Context, u idp.User, c freezeCause) idp.Event {
	if c.acting != nil && !c.link {
		return e.act(ctx, c.acting)
	}
	if c.by != nil {
		by := *c.by
		by.Subject, by.Merchant, by.Store = u.ID, u.MerchantID, u.StoreID
		return by
	}
	by := idp.Event{Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID, Network: web.Network(ctx), Policy: e.Policy.Now().Version}
	if c.at != nil {
		by.Terminal = c.at.ID
	}
	return by
}

// open opens the case of a freeze, with the event that was not he.
func (e *Engine) open(ctx context.Context, u idp.User, c freezeCause, found map[string]any, now time.Time) (idp.Case, error) {
	by := e.frozenBy(ctx, u, c)
	opened := idp.Case{Kind: idp.CaseFreeze, UserID: u.ID, Merchant: u.MerchantID, OpenedBy: by.Actor, OpenedAt: now, DueAt: now.Add(e.Policy.Now().Cases.Due), Data: found}
	if c.event != nil {
		opened.Kind = idp.CaseNotMe
	}
	if err := e.Store.OpenCase(ctx, &opened); err != nil {
		return opened, err
	}
	by.Name, by.Data = "case.opened", map[string]any{"case": opened.Number, "kind": opened.Kind}
	return opened, e.Store.Append(ctx, by)
}

const evidenceEvents = 50 // looked at for networks

// evidence is what stood in the account before it was stopped: whoever works on the case
// finds it there when the rows themselves are gone. idle says that nobody is signed in.
func (e *Engine) evidence(ctx context.Context, u idp.User, c freezeCause, now time.Time) (found map[string]any, idle bool, err error) {
	live, err := e.Store.Sessions(ctx, u.ID, now)
	if err != nil {
		return nil, false, err
	}
	browsers, err := e.Store.Browsers(ctx, u.ID)
	if err != nil {
		return nil, false, err
	}
	grants, err := e.Store.Grants(ctx, u.ID)
	if err != nil {
		return nil, false, err
	}
	events, err := e.Store.Events(ctx, storage.EventFilter{Subject: u.ID, Names: []string{"signin.succeeded", "signin.failed", "signin.newbrowser"}}, evidenceEvents)
	if err != nil {
		return nil, false, err
	}
	var sessions, known, given []map[string]any
	for _, ss := range live {
		sessions = append(sessions, map[string]any{"id": ss.ID, "device": ss.Device, "network": ss.Network, "started": ss.CreatedAt, "browser": ss.Browser,
			"acting": c.acting != nil && ss.ID == c.acting.Session.ID})
	}
	for _, b := range browsers {
		known = append(known, map[string]any{"id": b.ID, "device": b.Label, "network": b.Network, "since": b.CreatedAt, "last_used": b.LastUsedAt})
	}
	for _, g := range grants {
		given = append(given, map[string]any{"id": g.ID, "client": g.ClientID, "terminal": g.TerminalID, "since": g.CreatedAt})
	}
	networks := []string{}
	for _, ev := range events {
		if ev.Network != "" && !slices.Contains(networks, ev.Network) {
			networks = append(networks, ev.Network)
		}
	}
	found = map[string]any{"sessions": sessions, "browsers": known, "grants": given, "networks": networks, "link": c.link, "network": web.Network(ctx)}
	if c.event != nil {
		found["event"] = c.event.ID
	}
	return found, len(live)+len(grants) == 0, nil
}

// StopAt freezes whom a notice is about, for the people at a terminal. They show no more
// than that they stand there: stopping asks for nothing. Whoever knows a name can have a
// terminal ask, so to refuse that alone stops nothing: false, while no recovery runs.
func (e *Engine) StopAt(ctx context.Context, n idp.TerminalNotice, at idp.Terminal) (bool, error) {
	if n.Kind == idp.NoticeConfirm {
		if _, err := e.Store.HoldUser(ctx, n.UserID); err != nil { // none begins beside this
			return false, err
		}
		if running, err := e.Store.RunningRecovery(ctx, n.UserID); err != nil || running == nil {
			return false, err
		}
	}
	r := (&http.Request{}).WithContext(ctx)
	_, err := e.freeze(r, n.UserID, freezeCause{at: &at})
	return err == nil, err
}

// FreezeFor freezes a person for whom support acts, in the name of by.
func (e *Engine) FreezeFor(ctx context.Context, u idp.User, by idp.Event) error {
	r := (&http.Request{}).WithContext(ctx) // where support sits is nothing for his letter
	_, err := e.freeze(r, u.ID, freezeCause{by: &by})
	return err
}

// freezePage asks before a person freezes himself.
func (e *Engine) freezePage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ctx := r.Context()
	p := templates.Freeze{Action: "/account/freeze", Back: "/account"}
	if id := r.URL.Query().Get("event"); id != "" {
		ev, err := e.myEvent(r, me, id)
		if err != nil {
			return err
		}
		p.Event, p.EventKey, p.At, p.Back = ev.ID, "event."+ev.Name, ev.At, "/account/activity"
		if ev.Actor == "" || ev.Actor == me.User.ID {
			p.Place = e.where(ev.Network, e.Site.Lang(r))
		}
	}
	live, err := e.Store.Sessions(ctx, me.User.ID, time.Now())
	if err != nil {
		return err
	}
	grants, err := e.Store.Grants(ctx, me.User.ID)
	if err != nil {
		return err
	}
	p.Sessions = max(0, len(live)-1)
	for _, g := range grants {
		if g.TerminalID != "" {
			p.Terminals++
		}
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// freezeMe freezes whoever is signed in. Stopping never asks for more than a session.
func (e *Engine) freezeMe(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	cause := freezeCause{acting: me}
	if id := r.PostForm.Get("event"); id != "" {
		ev, err := e.myEvent(r, me, id)
		if err != nil {
			return err
		}
		cause.event = &ev
	}
	out, err := e.freeze(r, me.User.ID, cause)
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.Frozen{CaseNumber: out.Number, Due: out.DueAt, SignedIn: true, Already: out.already})
}

// unfreezePage says what a strong return asks.
func (e *Engine) unfreezePage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	if !me.User.Frozen {
		return web.Redirect(w, r, "/account")
	}
	number, err := e.openCase(r.Context(), me.User)
	if err != nil {
		return err
	}
	can, err := e.mayReturn(r.Context(), me.User)
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.Unfreeze{Action: "/account/unfreeze", CaseNumber: number, Can: can})
}

// unfreeze opens the flow that lifts the freeze.
func (e *Engine) unfreeze(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	if !me.User.Frozen {
		return web.Redirect(w, r, "/account")
	}
	if can, err := e.mayReturn(r.Context(), me.User); err != nil || !can {
		if err != nil {
			return err
		}
		return idp.Errorf(idp.Forbidden, "unfreeze.noway")
	}
	d := e.strict(me, idp.FlowReturn, "/account?saved=unfrozen")
	d.Since = time.Now() // what signed him in a minute ago is no return: he shows it for this
	return e.Site.Require(w, r, d)
}

// mayReturn says whether a frozen person holds what a strong return asks, all of it older
// than the freeze by so much that no thief can have put it there.
func (e *Engine) mayReturn(ctx context.Context, u idp.User) (bool, error) {
	before := u.FrozenAt.Add(-e.Policy.Now().Notices.Strong)
	creds, err := e.Store.Credentials(ctx, u.ID)
	if err != nil {
		return false, err
	}
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return false, err
	}
	old := func(m ...idp.Method) bool {
		return slices.ContainsFunc(creds, func(c idp.Credential) bool {
			return slices.Contains(m, c.Method) && c.Blocked == "" && !c.CreatedAt.After(before) && !c.ChangedAt.After(before)
		})
	}
	channel := slices.ContainsFunc(names, func(n idp.Identifier) bool { return n.Channel() && !n.VerifiedAt.After(before) })
	if old(idp.MethodPasskey) {
		return true, nil
	}
	return old(idp.MethodPassword) && (old(idp.MethodTOTP, idp.MethodBackup) || len(seconds(creds)) == 0 && channel), nil
}
