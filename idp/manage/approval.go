package manage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// An act of level [Four] takes two people. The first one's call does all of it in a
// savepoint that is taken back: so what he asks for is checked as if it were done, and
// what it would change is known. Then it waits as an approval. The second one's call does
// the same again, by the same function, and for good: it fails if the thing has changed
// meanwhile, so that nobody approves anything but what he has read.

// Waiting says that an act is not done: it waits for another person's approval.
type Waiting struct{ ID string }

func (w *Waiting) Error() string { return "waits for the approval of another person" }

// A deed is an act as a second person is asked about it.
type deed struct {
	act              Action
	object, merchant string
	input            any // what [carried] does it with
}

// approved makes an actor one who asked, whose act another has approved. [Manager.Approve]
// alone makes it.
type approved struct {
	act    Action
	id     string
	by     idp.User
	seen   []idp.Difference
	secret idp.Secret // what the act made, for who asked for it
}

// hand keeps the secret that an act made for who asked for the act.
func (a *Actor) hand(secret idp.Secret) {
	if a.approved != nil {
		a.approved.secret = secret
	}
}

// perform does an act in one transaction or, where that takes two people, asks for the
// second one. do says what it changes: alike, whoever calls it.
func (m *Manager) perform(ctx context.Context, a Actor, d deed, do func(ctx context.Context) ([]idp.Difference, error)) error {
	if May(a.User.Role, d.act).Level() == Four && a.approved == nil {
		return m.ask(ctx, a, d, do)
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		changes, err := do(ctx)
		if err != nil || a.approved == nil {
			return err
		}
		if a.approved.act != d.act || !slices.EqualFunc(changes, a.approved.seen, same) {
			return moved()
		}
		return nil
	})
}

func same(a, b idp.Difference) bool {
	return a.Field == b.Field && slices.Equal(a.Old, b.Old) && slices.Equal(a.New, b.New)
}

func (m *Manager) ask(ctx context.Context, a Actor, d deed, do func(ctx context.Context) ([]idp.Difference, error)) error {
	input, err := json.Marshal(d.input)
	if err != nil {
		return err
	}
	var w Waiting
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		ap := idp.Approval{Act: string(d.act), Object: d.object, Merchant: d.merchant, Input: input, Reason: a.Reason, AskedBy: a.User.ID, AskedAt: now, ExpiresAt: now.Add(m.Policy.Now().Approval.Wait)}
		err := m.Store.Try(ctx, func(ctx context.Context) (err error) {
			if ap.Changes, err = do(ctx); err == nil {
				err = storage.Undo()
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := m.Store.CreateApproval(ctx, &ap); err != nil {
			return err
		}
		w.ID = ap.ID
		return m.approvalEvent(ctx, a, "approval.asked", ap, nil)
	})
	if err != nil {
		return err
	}
	return &w
}

// approvalEvent: a merchant's own people do not read what is asked about them before it
// is done.
func (m *Manager) approvalEvent(ctx context.Context, a Actor, name string, ap idp.Approval, data map[string]any) error {
	all := map[string]any{"approval": ap.ID, "act": ap.Act, "object": ap.Object, "asked_by": ap.AskedBy}
	for k, v := range data {
		all[k] = v
	}
	return m.record(ctx, a, idp.Event{Name: name, Data: all})
}

// carried is how each act is done once it is approved: by the function that asked.
var carried = map[Action]func(m *Manager, ctx context.Context, a Actor, ap idp.Approval) error{
	MerchantBack:  onObject((*Manager).ReturnMerchant),
	MerchantClose: onObject((*Manager).CloseMerchant),
	TierDown:      with(func(m *Manager, ctx context.Context, a Actor, in NewTier) error { return m.ChangeTier(ctx, a, in) }),
	StaffNew: with(func(m *Manager, ctx context.Context, a Actor, in NewUser) error {
		_, err := m.CreateUser(ctx, a, in)
		return err
	}),
	StaffEnable: onObject((*Manager).EnableUser),
	StaffRole:   with((*Manager).ChangeStaffRole),
	StaffLeave:  onObject((*Manager).RemoveOperator),
	ClientNew: with(func(m *Manager, ctx context.Context, a Actor, in NewClient) error {
		_, _, err := m.CreateClient(ctx, a, in)
		return err
	}),
	ClientChange:  with((*Manager).ChangeClient),
	ClientDisable: onObject((*Manager).DisableClient),
	ClientEnable:  onObject((*Manager).EnableClient),
	ClientSecret: with(func(m *Manager, ctx context.Context, a Actor, in NewSecret) error {
		_, err := m.NewClientSecret(ctx, a, in)
		return err
	}),
	KeyRotate: func(m *Manager, ctx context.Context, a Actor, _ idp.Approval) error { return m.RotateKeys(ctx, a) },
}

func onObject(do func(m *Manager, ctx context.Context, a Actor, id string) error) func(*Manager, context.Context, Actor, idp.Approval) error {
	return func(m *Manager, ctx context.Context, a Actor, ap idp.Approval) error { return do(m, ctx, a, ap.Object) }
}

func with[In any](do func(m *Manager, ctx context.Context, a Actor, in In) error) func(*Manager, context.Context, Actor, idp.Approval) error {
	return func(m *Manager, ctx context.Context, a Actor, ap idp.Approval) error {
		var in In
		if err := json.Unmarshal(ap.Input, &in); err != nil {
			return err
		}
		return do(m, ctx, a, in)
	}
}

// ApprovalActs lists the acts whose approvals somebody reads: those that are his to
// approve; nil is every one of them.
func ApprovalActs(u idp.User) []string {
	if u.Role == idp.RoleAuditor {
		return nil
	}
	acts := []string{}
	for act := range carried {
		if May(u.Role, act) == Four {
			acts = append(acts, string(act))
		}
	}
	slices.Sort(acts)
	return acts
}

// ReadsApproval says whether somebody reads an approval at all.
func ReadsApproval(u idp.User, ap idp.Approval) bool {
	acts := ApprovalActs(u)
	return Check(u, ApprovalRead) == nil && (acts == nil || slices.Contains(acts, ap.Act))
}

// MayDecide says whether somebody may approve or refuse what another asked for: not who
// asked, and not whom it is about.
func MayDecide(u idp.User, ap idp.Approval) error {
	switch {
	case May(u.Role, Action(ap.Act)) != Four:
		return idp.Errorf(idp.NotFound, "error.notfound")
	case ap.AskedBy == u.ID:
		return forbidden("approval.own")
	case ap.Object == u.ID:
		return forbidden("error.self")
	}
	return nil
}

// waiting reads an approval that the actor may decide on.
func (m *Manager) waiting(ctx context.Context, a Actor, id string, now time.Time) (idp.Approval, error) {
	ap, err := m.Store.Approval(ctx, id)
	if err == nil {
		err = MayDecide(a.User, ap)
	}
	if err == nil && ap.StateAt(now) != idp.ApprovalAsked {
		err = idp.Errorf(idp.Conflict, "approval.over")
	}
	return ap, err
}

// Approve does what another person asked for, in the one transaction that says so. What
// can no longer be done, or no longer as it was asked for, is not done: the approval has
// failed then, and says why.
func (m *Manager) Approve(ctx context.Context, a Actor, id string) error {
	if err := a.allow(ApprovalDecide); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		ap, err := m.waiting(ctx, a, id, now)
		if err != nil {
			return err
		}
		if ok, err := m.Store.DecideApproval(ctx, id, idp.ApprovalApproved, a.User.ID, a.Reason, now); err != nil || !ok {
			return orMoved(err)
		}
		done := &approved{act: Action(ap.Act), id: ap.ID, by: a.User, seen: ap.Changes}
		err = m.Store.Try(ctx, func(ctx context.Context) error { return m.carry(ctx, ap, done) })
		if why := failure(err); why != "" {
			if err := m.Store.FailApproval(ctx, id, why); err != nil {
				return err
			}
			return m.approvalEvent(ctx, a, "approval.failed", ap, map[string]any{"failure": why})
		}
		if err != nil {
			return err
		}
		if done.secret != "" {
			// For who asked: he runs the application that needs it. Whoever approves must not
			// come by a secret in that way, nor need to hand it on.
			if err := m.Store.KeepSecret(ctx, id, done.secret, now.Add(m.Policy.Now().Approval.Secret)); err != nil {
				return err
			}
		}
		return m.approvalEvent(ctx, a, "approval.approved", ap, nil)
	})
}

// carry does an approved act as who asked for it, if he still may.
func (m *Manager) carry(ctx context.Context, ap idp.Approval, by *approved) error {
	// The administrators' rows are held before others': always in one order.
	if _, err := m.Store.HoldActive(ctx, idp.RolePolicyAdmin); err != nil {
		return err
	}
	author, err := m.Store.HoldUser(ctx, ap.AskedBy)
	if err != nil {
		return err
	}
	if author.Reason(time.Now()) != "" || author.Frozen || May(author.Role, by.act) != Four {
		return forbidden("approval.author")
	}
	do, ok := carried[by.act]
	if !ok {
		return forbidden("error.forbidden")
	}
	return do(m, ctx, Actor{User: author, Reason: ap.Reason, approved: by}, ap)
}

// failure is why an act cannot be done, as a catalogue key: "" if it was done, or if it is
// the server that is in trouble.
func failure(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
		return failure(joined.Unwrap()[0])
	}
	e, ok := errors.AsType[*idp.Error](err)
	if !ok || !slices.Contains([]idp.Kind{idp.Invalid, idp.Conflict, idp.Forbidden, idp.NotFound}, e.Kind) {
		return ""
	}
	if len(e.Args) > 0 || e.Msg == "" {
		return "error.moved"
	}
	return e.Msg
}

// Refuse ends what another person asked for: it is not done.
func (m *Manager) Refuse(ctx context.Context, a Actor, id string) error {
	if err := a.allow(ApprovalRefuse); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		ap, err := m.waiting(ctx, a, id, now)
		if err != nil {
			return err
		}
		if ok, err := m.Store.DecideApproval(ctx, id, idp.ApprovalRefused, a.User.ID, a.Reason, now); err != nil || !ok {
			return orMoved(err)
		}
		return m.approvalEvent(ctx, a, "approval.refused", ap, nil)
	})
}

// Withdraw takes back what one asked for oneself.
func (m *Manager) Withdraw(ctx context.Context, a Actor, id string) error {
	if err := a.allow(ApprovalEnd); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		ap, err := m.Store.Approval(ctx, id)
		if err == nil && !ReadsApproval(a.User, ap) {
			err = idp.Errorf(idp.NotFound, "error.notfound")
		}
		if err != nil {
			return err
		}
		if ok, err := m.Store.DecideApproval(ctx, id, idp.ApprovalWithdrawn, a.User.ID, a.Reason, time.Now()); err != nil || !ok {
			if err == nil {
				err = idp.Errorf(idp.Conflict, "approval.not_yours")
			}
			return err
		}
		return m.approvalEvent(ctx, a, "approval.withdrawn", ap, nil)
	})
}

// Collect hands out the secret that an approved act made: once, in time, and to who asked.
func (m *Manager) Collect(ctx context.Context, a Actor, id string) (ap idp.Approval, secret idp.Secret, err error) {
	if err := a.allow(ApprovalCollect); err != nil {
		return ap, "", err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if ap, err = m.Store.Approval(ctx, id); err != nil {
			return err
		}
		if secret, err = m.Store.TakeSecret(ctx, id, a.User.ID, time.Now()); err != nil {
			return err
		}
		if secret == "" {
			return idp.Errorf(idp.Conflict, "approval.no_secret")
		}
		return m.approvalEvent(ctx, a, "approval.collected", ap, nil)
	})
	if err != nil {
		return ap, "", err
	}
	return ap, secret, nil
}

// Waits is what waits for one person: the acts of others, editions of the policy,
// cases, and secrets of his own.
type Waits struct{ Approvals, Editions, Secrets, Cases int64 }

// WaitsFor counts it.
func (m *Manager) WaitsFor(ctx context.Context, u idp.User, now time.Time) (w Waits, err error) {
	if Check(u, ApprovalDecide) == nil {
		f := storage.ApprovalFilter{Acts: ApprovalActs(u), State: idp.ApprovalAsked, Now: now, NotBy: u.ID, NotOf: u.ID}
		if w.Approvals, err = m.Store.CountApprovals(ctx, f); err != nil {
			return w, err
		}
	}
	if Check(u, PolicyApprove) == nil {
		if w.Editions, err = m.Store.CountSubmitted(ctx, u.ID); err != nil {
			return w, err
		}
	}
	if Check(u, ApprovalCollect) == nil {
		if w.Secrets, err = m.Store.CountApprovals(ctx, storage.ApprovalFilter{Secret: u.ID, Now: now}); err != nil {
			return w, err
		}
	}
	w.Cases, err = m.casesFor(ctx, u)
	return w, err
}

// HasSecond says whether there is another person who could approve somebody's act.
func (m *Manager) HasSecond(ctx context.Context, u idp.User, act Action) (bool, error) {
	for _, role := range idp.Roles {
		if May(role, act) != Four {
			continue
		}
		found, err := m.Store.Users(ctx, storage.UserFilter{Roles: []idp.Role{role}, Status: string(idp.UserActive)}, 100)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(found, func(o idp.User) bool { return o.ID != u.ID && o.Reason(time.Now()) == "" && !o.Frozen }) {
			return true, nil
		}
	}
	return false, nil
}
