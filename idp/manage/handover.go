package manage

import (
	"context"
	"errors"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
)

// How a merchant passes to another owner: the present one proposes, the new one accepts,
// both are told and can stop it for a time, and then it is done in one transaction. Where
// the present one is gone, a case that two of the operator's staff agree on speaks for him.

// NewHandover is the form of a hand-over: to somebody who is a manager of the merchant, or
// to a new person, who is invited as one and leaves again if nothing comes of it.
type NewHandover struct {
	To       string // user id; "" is the newcomer
	Newcomer NewUser
	Stays    bool     // the present owner becomes a manager; else he leaves
	Seen     []string // of a case for an owner who is gone: [idp.HandoverPapers]
}

// successor is who is to take a merchant: someone of it, or a newcomer as his form says.
type successor struct {
	id    string
	user  idp.User
	names []*idp.Identifier
	to    *idp.Identifier
}

// successor reads the form of who is to take a merchant.
func (m *Manager) successor(a *Actor, act Action, in NewHandover) (s successor, err error) {
	if s.id = line(in.To); s.id != "" {
		return s, a.allow(act)
	}
	in.Newcomer.Role = idp.RoleManager
	s.user, s.names, s.to, err = m.newcomer(a, act, in.Newcomer)
	return s, err
}

// ProposeHandover offers the actor's own merchant to a new owner.
func (m *Manager) ProposeHandover(ctx context.Context, a Actor, in NewHandover) (h idp.Handover, err error) {
	s, err := m.successor(&a, HandoverNew, in)
	if err != nil {
		return h, err
	}
	if s.id == "" { // paid for also if it fails, as with any invitation
		if err := m.mayInvite(ctx, a, idp.User{MerchantID: a.User.MerchantID}, s.to); err != nil {
			return h, err
		}
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.mayBuild(ctx, a, HandoverNew, Target{Merchant: a.User.MerchantID}); err != nil {
			return err
		}
		h = idp.Handover{MerchantID: a.User.MerchantID, From: a.User.ID, Stays: in.Stays}
		return m.propose(ctx, a, &h, s)
	})
	return h, err
}

// propose stores a proposal and tells both, in the caller's transaction.
func (m *Manager) propose(ctx context.Context, a Actor, h *idp.Handover, s successor) error {
	now := time.Now()
	if h.To = s.id; h.To == "" {
		u := s.user
		u.MerchantID = h.MerchantID
		if err := m.Store.CreateUser(ctx, &u, clones(s.names)...); err != nil {
			return err
		}
		h.To, h.Joined = u.ID, true
		e := userEvent("staff.invited", u)
		e.Data = map[string]any{"role": string(u.Role)}
		if err := errors.Join(m.record(ctx, a, e), m.invite(ctx, u, s.to)); err != nil {
			return err
		}
	}
	from, to, err := m.holdBoth(ctx, h.From, h.To)
	if err != nil {
		if idp.KindOf(err) == idp.NotFound {
			return idp.FieldError("to", "error.choose")
		}
		return err
	}
	if why := gives(*h, from, now); why != "" {
		return notNow(why)
	}
	if to.MerchantID != h.MerchantID || to.Role != idp.RoleManager || !h.Joined && takes(to, now) != "" {
		return idp.FieldError("to", "error.choose")
	}
	h.ProposedAt, h.DueAt = now, now.Add(m.Policy.Now().Links.Accept)
	if err := m.Store.AddHandover(ctx, h); err != nil {
		return err
	}
	if err := m.Store.HandoverEvent(ctx, "owner.proposed", *h, m.by(a)); err != nil {
		return err
	}
	return m.announce(ctx, "owner.proposed", *h, from, to, h.DueAt)
}

// holdBoth holds the rows of both people of a hand-over, always in one order.
func (m *Manager) holdBoth(ctx context.Context, from, to string) (giver, taker idp.User, err error) {
	ids := []string{from, to}
	slices.Sort(ids)
	held := map[string]idp.User{}
	for _, id := range ids {
		if held[id], err = m.Store.HoldUser(ctx, id); err != nil {
			return giver, taker, err
		}
	}
	return held[from], held[to], nil
}

// barred is why somebody can neither give nor take a merchant now, "" for nothing: whose
// account a recovery has changed lately, or who leaves, cannot.
func barred(u idp.User, now time.Time) string {
	switch why := u.Reason(now); {
	case why != "":
		return why
	case u.Frozen:
		return "frozen"
	case u.Withholds(now) != idp.WithholdNothing:
		return "withheld"
	case !u.LeavesAt.IsZero():
		return "left"
	}
	return ""
}

// gives is why somebody cannot give the merchant of a hand-over, "" when he can. For whom
// a case speaks, it is enough that he owns it.
func gives(h idp.Handover, u idp.User, now time.Time) string {
	switch {
	case u.Role != idp.RoleOwner || u.MerchantID != h.MerchantID || u.Status == idp.UserErased:
		return "role"
	case h.Case != "":
		return ""
	}
	return barred(u, now)
}

// takes is why somebody cannot take a merchant, "" when he can.
func takes(u idp.User, now time.Time) string {
	if u.Role != idp.RoleManager {
		return "role"
	}
	return barred(u, now)
}

// notNow refuses a step of a hand-over for a reason.
func notNow(why string) error {
	return &idp.Error{Kind: idp.Conflict, Msg: "handover.no." + why, Reason: why}
}

// holdsFactor says whether somebody holds a second factor.
func (m *Manager) holdsFactor(ctx context.Context, user string) (bool, error) {
	creds, err := m.Store.Credentials(ctx, user)
	return slices.ContainsFunc(creds, func(c idp.Credential) bool {
		return (c.Method == idp.MethodTOTP || c.Method == idp.MethodPasskey) && c.Blocked == ""
	}), err
}

// hinders is why a hand-over cannot go on, "" when it can.
func (m *Manager) hinders(ctx context.Context, h idp.Handover, from, to idp.User, merchant idp.Merchant, now time.Time) (string, error) {
	switch why := gives(h, from, now); {
	case why != "":
		return why, nil
	case to.MerchantID != h.MerchantID:
		return "role", nil
	case merchant.Status == idp.MerchantSuspended || merchant.Status == idp.MerchantClosed:
		return "merchant", nil
	}
	if why := takes(to, now); why != "" {
		return why, nil
	}
	held, err := m.holdsFactor(ctx, to.ID)
	if err == nil && !held {
		return "factor", nil
	}
	return "", err
}

// OfHandover finds a hand-over that the actor has to do with: one of his two people, or
// the owner, or whoever works for the operator.
func (m *Manager) OfHandover(ctx context.Context, u idp.User, act Action, id string) (idp.Handover, error) {
	h, err := m.Store.Handover(ctx, id)
	if err != nil {
		return h, err
	}
	if err := Allowed(u, act, Target{Merchant: h.MerchantID}); err != nil {
		return h, err
	}
	if !u.Role.Operator() && u.Role != idp.RoleOwner && !h.Party(u.ID) {
		return h, idp.Errorf(idp.NotFound, "error.notfound")
	}
	return h, nil
}

// AcceptHandover takes up a proposal: from now on it cools.
func (m *Manager) AcceptHandover(ctx context.Context, a Actor, id string) error {
	if err := a.allow(HandoverAccept); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		h, err := m.OfHandover(ctx, a.User, HandoverAccept, id)
		if err != nil {
			return err
		}
		if h.To != a.User.ID {
			return idp.Errorf(idp.NotFound, "error.notfound")
		}
		now := time.Now()
		from, to, merchant, why, err := m.weigh(ctx, h, now)
		switch {
		case err != nil:
			return err
		case why != "":
			return notNow(why)
		}
		need := m.Policy.For(policy.Who(from, &merchant)).Handover
		wait := need.Cooling
		if h.Case != "" {
			wait = need.Case
		}
		due := now.Add(wait)
		if ok, err := m.Store.AcceptHandover(ctx, id, now, due, m.remindAt(due, now)); err != nil || !ok {
			return orMoved(err)
		}
		if err := m.Store.HandoverEvent(ctx, "owner.accepted", h, m.by(a)); err != nil {
			return err
		}
		return m.announce(ctx, "owner.accepted", h, from, to, due)
	})
}

// weigh holds both people of a hand-over and says why it cannot go on.
func (m *Manager) weigh(ctx context.Context, h idp.Handover, now time.Time) (from, to idp.User, merchant idp.Merchant, why string, err error) {
	if from, to, err = m.holdBoth(ctx, h.From, h.To); err != nil {
		return
	}
	if merchant, err = m.Store.Merchant(ctx, h.MerchantID); err != nil {
		return
	}
	why, err = m.hinders(ctx, h, from, to, merchant, now)
	return
}

// remindAt is when both are reminded of an end: by day, before it, and not at once; zero:
// they have just heard of it.
func (m *Manager) remindAt(due, now time.Time) time.Time {
	return m.Policy.Now().Returns.RemindAt(now, due.In(m.zone()))
}

func (m *Manager) zone() *time.Location {
	if m.Zone != nil {
		return m.Zone
	}
	return time.FixedZone("UTC+8", 8*60*60)
}

// StopHandover stops a hand-over: each of its two people, without a reason.
func (m *Manager) StopHandover(ctx context.Context, a Actor, id string) error {
	if err := a.allow(HandoverStop); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		h, err := m.OfHandover(ctx, a.User, HandoverStop, id)
		if err != nil {
			return err
		}
		if !h.Runs() {
			return moved()
		}
		dropped, err := m.drop(ctx, a, h, idp.HandoverStopped, "stopped", time.Now())
		if err == nil && !dropped {
			return moved()
		}
		return err
	})
}

// drop ends a hand-over that comes to nothing, and tells both.
func (m *Manager) drop(ctx context.Context, a Actor, h idp.Handover, to idp.HandoverState, cause string, now time.Time) (bool, error) {
	ok, err := m.Store.DropHandover(ctx, h, to, cause, now, m.by(a))
	if err != nil || !ok {
		return ok, err
	}
	if h.Joined { // who was invited for it alone has left
		if err := m.VoidRecovery(ctx, h.To, "left", m.by(a)); err != nil {
			return true, err
		}
	}
	people, err := m.Store.UsersOf(ctx, []string{h.From, h.To})
	if err != nil {
		return true, err
	}
	return true, m.announce(ctx, "owner.stopped", h, people[h.From], people[h.To], time.Time{})
}

// dropOf stops the hand-over that somebody gives or takes in, if one runs: he is no longer
// who he was.
func (m *Manager) dropOf(ctx context.Context, a Actor, u idp.User, cause string) error {
	if u.MerchantID == "" {
		return nil
	}
	h, err := m.Store.RunningHandover(ctx, u.MerchantID)
	if err != nil || h == nil || !h.Party(u.ID) {
		return err
	}
	_, err = m.drop(ctx, a, *h, idp.HandoverStopped, cause, time.Now())
	return err
}

// announce tells both people of a hand-over.
func (m *Manager) announce(ctx context.Context, template string, h idp.Handover, from, to idp.User, until time.Time) error {
	for _, u := range []idp.User{from, to} {
		err := m.Announce(ctx, u, idp.Announcement{Template: template, Object: h.ID, Giver: from.Name, Taker: to.Name, Until: until})
		if err != nil {
			return err
		}
	}
	return nil
}

// dueMost bounds what is done of a kind at once: the rest follows a second later.
const dueMost = 50

// HandoversDue ends what has run its time, and reminds of what soon has: on every replica,
// any number of times, each once. One that cannot be ended keeps none of the others.
func (m *Manager) HandoversDue(ctx context.Context, now time.Time) error {
	due, err := m.Store.DueHandovers(ctx, now, dueMost)
	for _, h := range due {
		err = errors.Join(err, m.Store.Tx(ctx, func(ctx context.Context) error { return m.settle(ctx, h.ID, now) }))
	}
	soon, err2 := m.Store.RemindableHandovers(ctx, now, dueMost)
	err = errors.Join(err, err2)
	for _, h := range soon {
		err = errors.Join(err, m.Store.Tx(ctx, func(ctx context.Context) error {
			if ok, err := m.Store.RemindHandover(ctx, h.ID); err != nil || !ok {
				return err
			}
			people, err := m.Store.UsersOf(ctx, []string{h.From, h.To})
			if err != nil {
				return err
			}
			return m.announce(ctx, "owner.soon", h, people[h.From], people[h.To], h.DueAt)
		}))
	}
	return err
}

// settle ends a hand-over whose time is over: one that nobody accepted expires, and one
// that cooled is done, or stopped if it can be no longer.
func (m *Manager) settle(ctx context.Context, id string, now time.Time) error {
	h, err := m.Store.Handover(ctx, id)
	if err != nil || !h.Runs() {
		return err
	}
	from, to, merchant, why, err := m.weigh(ctx, h, now)
	if err != nil {
		return err
	}
	if h.State == idp.HandoverProposed {
		_, err := m.drop(ctx, system, h, idp.HandoverExpired, "expired", now)
		return err
	}
	if why != "" {
		_, err := m.drop(ctx, system, h, idp.HandoverStopped, why, now)
		return err
	}
	if ok, err := m.Store.EndHandover(ctx, id, idp.HandoverDone, "", now); err != nil || !ok {
		return err
	}
	return m.pass(ctx, h, from, to, merchant, now)
}

// pass gives the merchant to its new owner: with it go the number that names him, the
// stores, the terminals and the staff. What the old one had allowed ends, the sign-ins of
// terminals that he had approved among it.
func (m *Manager) pass(ctx context.Context, h idp.Handover, from, to idp.User, merchant idp.Merchant, now time.Time) error {
	if err := m.retire(ctx, h, from, now); err != nil {
		return err
	}
	owner := to
	owner.Role, owner.StoreID, owner.GraceFrom = idp.RoleOwner, "", now
	if ok, err := m.Store.PlaceUser(ctx, owner, to); err != nil || !ok {
		return orMoved(err)
	}
	if err := m.Store.MoveMerchantNo(ctx, merchant.No, to.ID); err != nil {
		return err
	}
	until := now.Add(m.Policy.For(policy.Who(owner, &merchant)).Handover.Hold)
	if err := m.Store.Withhold(ctx, to.ID, idp.WithholdPayee, until); err != nil {
		return err
	}
	if err := m.Store.HandoverEvent(ctx, "owner.done", h, m.by(system)); err != nil { // by it the void below knows what is still withheld
		return err
	}
	for _, u := range []idp.User{from, to} {
		if err := m.endReturns(ctx, system, u, "owner"); err != nil {
			return err
		}
	}
	return m.announce(ctx, "owner.done", h, from, owner, until)
}

// retire makes the old owner what he chose: a manager, or somebody who has left.
func (m *Manager) retire(ctx context.Context, h idp.Handover, from idp.User, now time.Time) error {
	if err := m.endAll(ctx, system, from, "owner"); err != nil {
		return err
	}
	if h.Stays {
		manager := from
		manager.Role, manager.StoreID, manager.GraceFrom = idp.RoleManager, "", now
		ok, err := m.Store.PlaceUser(ctx, manager, from)
		if err == nil && !ok {
			err = moved()
		}
		return err
	}
	if from.Status == idp.UserLeft {
		return nil
	}
	if ok, err := m.Store.SetUserStatus(ctx, from.ID, from.Status, idp.UserLeft); err != nil || !ok {
		return orMoved(err)
	}
	return errors.Join(m.Store.VoidInvites(ctx, from.ID), m.record(ctx, system, userEvent("account.left", from)))
}

// AskHandover opens a case for a merchant whose owner is gone: whoever opens it has seen
// documents, of as many kinds as evidence must match of any other case, and another person
// decides ([Manager.DecideHandover]). The owner is told at once: if he is not gone, he stops it.
func (m *Manager) AskHandover(ctx context.Context, a Actor, merchant string, in NewHandover) (c idp.Case, err error) {
	in.Stays = false
	s, err := m.successor(&a, HandoverAsk, in)
	if err != nil {
		return c, err
	}
	seen := slices.DeleteFunc(slices.Clone(idp.HandoverPapers), func(kind string) bool { return !slices.Contains(in.Seen, kind) })
	if need := m.Policy.Now().Desk.Matches; len(seen) < min(need, len(idp.HandoverPapers)) {
		return c, idp.FieldError("papers", "handover.few_papers", need)
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.mayBuild(ctx, a, HandoverAsk, Target{Merchant: merchant}); err != nil {
			return err
		}
		owner, err := m.ownerNow(ctx, merchant)
		if err != nil {
			return err
		}
		if s.id != "" {
			to, err := m.Store.User(ctx, s.id)
			if err != nil && idp.KindOf(err) != idp.NotFound {
				return err
			}
			if err != nil || to.MerchantID != merchant || takes(to, time.Now()) != "" {
				return idp.FieldError("to", "error.choose")
			}
		}
		if err := m.noneRuns(ctx, merchant); err != nil {
			return err
		}
		now := time.Now()
		c = idp.Case{Kind: idp.CaseHandover, UserID: owner.ID, Merchant: merchant, OpenedBy: a.User.ID, OpenedAt: now, ReadyAt: now, DueAt: now.Add(m.Policy.Now().Cases.Due),
			Data: map[string]any{"reason": a.Reason, "papers": seen, "to": s.id, "name": in.Newcomer.Name, "username": in.Newcomer.Username, "phone": in.Newcomer.Phone, "email": in.Newcomer.Email,
				"language": in.Newcomer.Language}}
		if err := m.Store.OpenCase(ctx, &c); err != nil {
			return err
		}
		if err := m.record(ctx, a, caseEvent("case.opened", owner, c)); err != nil {
			return err
		}
		return m.Tell(ctx, owner, "case.handover", c, "")
	})
	return c, err
}

// noneRuns refuses a second hand-over of a merchant, and a second case for one.
func (m *Manager) noneRuns(ctx context.Context, merchant string) error {
	h, err := m.Store.RunningHandover(ctx, merchant)
	if err != nil {
		return err
	}
	if h != nil {
		return &idp.Error{Kind: idp.Conflict, Msg: "handover.running"}
	}
	open, err := m.HandoverCase(ctx, merchant)
	if err == nil && open != nil {
		return &idp.Error{Kind: idp.Conflict, Msg: "handover.asked"}
	}
	return err
}

// ownerNow is the owner of a merchant, whatever has become of him.
func (m *Manager) ownerNow(ctx context.Context, merchant string) (idp.User, error) {
	owners, err := m.Store.Users(ctx, storage.UserFilter{Merchant: merchant, Roles: []idp.Role{idp.RoleOwner}}, 100)
	if err != nil {
		return idp.User{}, err
	}
	owners = slices.DeleteFunc(owners, func(u idp.User) bool { return u.Status == idp.UserErased })
	i := slices.IndexFunc(owners, func(u idp.User) bool { return u.Status != idp.UserLeft })
	switch {
	case i >= 0:
		return owners[i], nil
	case len(owners) > 0:
		return owners[len(owners)-1], nil
	}
	return idp.User{}, &idp.Error{Kind: idp.Conflict, Msg: "handover.no_owner"}
}

// HandoverCase is the open case for the hand-over of a merchant, nil for none.
func (m *Manager) HandoverCase(ctx context.Context, merchant string) (*idp.Case, error) {
	open, err := m.Store.Cases(ctx, storage.CaseFilter{Merchant: merchant, State: idp.CaseOpen, Kind: idp.CaseHandover}, 1)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	return &open[0], nil
}

// Asked reads the form that a case for a hand-over keeps.
func Asked(c idp.Case) NewHandover {
	text := func(name string) string {
		s, _ := c.Data[name].(string)
		return s
	}
	in := NewHandover{To: text("to"), Newcomer: NewUser{Name: text("name"), Username: text("username"), Phone: text("phone"), Email: text("email"), Language: text("language")}}
	kept, _ := c.Data["papers"].([]any)
	for _, kind := range kept {
		if kind, ok := kind.(string); ok {
			in.Seen = append(in.Seen, kind)
		}
	}
	return in
}

// DecideHandover approves or refuses what a case asks for, with a proposal in the place of
// the owner's, who is gone. Whoever opened it does not decide, nor whoever works the same shift.
func (m *Manager) DecideHandover(ctx context.Context, a Actor, id string, approve bool) (h idp.Handover, err error) {
	if err := a.allow(HandoverDecide); err != nil {
		return h, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		h = idp.Handover{}
		c, owner, err := m.onHandoverCase(ctx, a, id)
		if err != nil {
			return err
		}
		if !approve {
			return m.decide(ctx, a, &c, owner, idp.OutcomeRefused, "case.closed")
		}
		s, err := m.successor(&a, HandoverDecide, Asked(c))
		if err != nil {
			return err
		}
		if err := m.decide(ctx, a, &c, owner, idp.OutcomeApproved, "case.closed"); err != nil {
			return err
		}
		h = idp.Handover{MerchantID: c.Merchant, From: c.UserID, Case: c.ID}
		return m.propose(ctx, a, &h, s)
	})
	return h, err
}

// onHandoverCase begins the decision of an open case for a hand-over: four eyes, of two
// shifts, and none of them the owner's.
func (m *Manager) onHandoverCase(ctx context.Context, a Actor, id string) (c idp.Case, owner idp.User, err error) {
	if c, err = m.Store.HoldCase(ctx, id); err != nil {
		return
	}
	if err = m.mayBuild(ctx, a, HandoverDecide, Target{Merchant: c.Merchant}); err != nil {
		return
	}
	switch {
	case c.Kind != idp.CaseHandover:
		err = idp.Errorf(idp.NotFound, "error.notfound")
	case c.State != idp.CaseOpen:
		err = moved()
	case c.UserID == a.User.ID:
		err = forbidden("error.self")
	}
	if err != nil {
		return
	}
	if err = m.isApart(ctx, a, c); err == nil {
		owner, err = m.Store.User(ctx, c.UserID)
	}
	return
}
