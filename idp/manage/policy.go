package manage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
)

// An edition of the policy goes draft → submitted → approved → active → retired. Who wrote it does not approve it; only a
// document that was checked is submitted, and it is checked again before it comes into force.

// DraftPolicy begins a draft from the policy in force, or from an older version.
func (m *Manager) DraftPolicy(ctx context.Context, a Actor, from int64) (e idp.Edition, err error) {
	if err := a.allow(PolicyDraft); err != nil {
		return e, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		active, _, err := m.Store.InForce(ctx)
		if err != nil {
			return err
		}
		source := active
		if from != 0 && from != active.Version {
			if source, err = m.Store.EditionOf(ctx, from); err != nil {
				return err
			}
		}
		e = idp.Edition{Base: active.Version, Document: source.Document, Author: a.User.ID, CreatedAt: time.Now()}
		if err := m.Store.CreateEdition(ctx, &e); err != nil {
			return err
		}
		return m.policyEvent(ctx, a, "policy.drafted", e, nil)
	})
	return e, err
}

// SavePolicy writes what somebody typed into a draft. A document that cannot be used is refused with what is wrong, a
// draft that somebody else saved meanwhile with error.moved: what stands there now is the caller's to show beside it.
func (m *Manager) SavePolicy(ctx context.Context, a Actor, id string, revision int64, title string, document []byte) error {
	if err := a.allow(PolicyDraft); err != nil {
		return err
	}
	title, err := name("title", title, 80)
	if err != nil {
		return err
	}
	doc, err := policy.Parse(bytes.ReplaceAll(document, []byte("\r\n"), []byte("\n")))
	if err != nil {
		return err
	}
	if _, err := policy.Compile(doc, 0); err != nil {
		return err
	}
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return err
	}
	e.Title, e.Document, e.Revision = title, doc.Format(), revision
	return m.moveEdition(ctx, a, e, "", nil, func(ctx context.Context) (bool, error) { return m.Store.SaveEdition(ctx, e, time.Now()) })
}

// RebasePolicy takes a draft over onto the policy in force: its author has seen what has changed there meanwhile.
func (m *Manager) RebasePolicy(ctx context.Context, a Actor, id string, revision int64) error {
	if err := a.allow(PolicyDraft); err != nil {
		return err
	}
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return err
	}
	active, _, err := m.Store.InForce(ctx)
	if err != nil || active.Version == e.Base { // nothing to take over
		return err
	}
	e.Base, e.Revision = active.Version, revision
	return m.moveEdition(ctx, a, e, "", nil, func(ctx context.Context) (bool, error) { return m.Store.SaveEdition(ctx, e, time.Now()) })
}

// SubmitPolicy hands a draft to another administrator.
func (m *Manager) SubmitPolicy(ctx context.Context, a Actor, id string, revision int64) error {
	if err := a.allow(PolicySubmit); err != nil {
		return err
	}
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return err
	}
	if e.Title == "" {
		return idp.FieldError("", "policy.untitled")
	}
	if err := m.usable(ctx, e); err != nil {
		return err
	}
	return m.moveEdition(ctx, a, e, "policy.submitted", nil, func(ctx context.Context) (bool, error) {
		active, _, err := m.Store.InForce(ctx)
		if err != nil {
			return false, err
		}
		if active.Version != e.Base {
			return false, idp.FieldError("", "policy.outdated", e.Base, active.Version)
		}
		v, err := m.Store.SubmitEdition(ctx, id, revision, a.Reason, time.Now())
		return v > 0, err
	})
}

// Rollout is when an edition comes into force, and whom it is tried out on until then.
type Rollout struct {
	ActivateAt time.Time // zero: at once
	Percent    int
	Merchants  []string // numbers
}

// ApprovePolicy lets a submitted edition come into force. Its author does not.
func (m *Manager) ApprovePolicy(ctx context.Context, a Actor, id string, how Rollout) error {
	if err := a.allow(PolicyApprove); err != nil {
		return err
	}
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return err
	}
	if e.Author == a.User.ID {
		return forbidden("policy.own")
	}
	now := time.Now()
	if err := m.checkRollout(ctx, &how, now); err != nil {
		return err
	}
	if err := m.usable(ctx, e); err != nil {
		return err
	}
	e.DecidedBy, e.DecidedAt, e.ActivateAt, e.Percent, e.Merchants = a.User.ID, now, how.ActivateAt, how.Percent, how.Merchants
	data := map[string]any{"activate_at": how.ActivateAt.UTC().Format(time.RFC3339), "percent": how.Percent, "merchants": len(how.Merchants)}
	return m.moveEdition(ctx, a, e, "policy.approved", data, func(ctx context.Context) (bool, error) {
		ok, err := m.Store.ApproveEdition(ctx, e)
		if err != nil || !ok || e.ActivateAt.After(now) {
			return ok, err
		}
		return m.activate(ctx, m.by(a), e, idp.EditionApproved, false)
	})
}

// Bounds of a rollout.
const (
	latestActivation = 90 * 24 * time.Hour
	mostMerchants    = 10_000
)

func (m *Manager) checkRollout(ctx context.Context, how *Rollout, now time.Time) error {
	var all checks
	if how.ActivateAt.IsZero() {
		how.ActivateAt = now
	}
	if how.ActivateAt.After(now.Add(latestActivation)) {
		all.add(idp.FieldError("activate_at", "policy.late"))
	}
	if how.Percent < 0 || how.Percent > 99 {
		all.add(idp.FieldError("percent", "policy.percent"))
	}
	slices.Sort(how.Merchants)
	how.Merchants = slices.Compact(how.Merchants)
	if len(how.Merchants) > mostMerchants {
		all.add(idp.FieldError("merchants", "policy.merchants_many", mostMerchants))
		return all.err()
	}
	for _, no := range how.Merchants {
		found, err := m.Store.Merchants(ctx, "", no, "", 1)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			all.add(idp.FieldError("merchants", "policy.merchant_unknown", no))
			break
		}
	}
	return all.err()
}

// RefusePolicy ends a submitted edition, WithdrawPolicy a draft, or one that waits for approval or for its time.
func (m *Manager) RefusePolicy(ctx context.Context, a Actor, id string) error {
	return m.endPolicy(ctx, a, id, PolicyEnd, "policy.refused", idp.EditionRefused, idp.EditionSubmitted)
}

// WithdrawPolicy ends an edition that has not come into force.
func (m *Manager) WithdrawPolicy(ctx context.Context, a Actor, id string) error {
	return m.endPolicy(ctx, a, id, PolicyEnd, "policy.withdrawn", idp.EditionWithdrawn, idp.EditionDraft, idp.EditionSubmitted, idp.EditionApproved)
}

func (m *Manager) endPolicy(ctx context.Context, a Actor, id string, act Action, event string, to idp.EditionState, from ...idp.EditionState) error {
	if err := a.allow(act); err != nil {
		return err
	}
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return err
	}
	if !slices.Contains(from, e.State) {
		return moved()
	}
	return m.moveEdition(ctx, a, e, event, nil, func(ctx context.Context) (bool, error) {
		return m.Store.EndEdition(ctx, id, e.State, to, a.User.ID, time.Now())
	})
}

// RollBackPolicy submits an older version anew, under the next number: another administrator approves it.
func (m *Manager) RollBackPolicy(ctx context.Context, a Actor, version int64) (e idp.Edition, err error) {
	if err := a.allow(PolicyRollBack); err != nil {
		return e, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		active, _, err := m.Store.InForce(ctx)
		if err != nil {
			return err
		}
		old, err := m.Store.EditionOf(ctx, version)
		if err != nil {
			return err
		}
		if old.State != idp.EditionRetired {
			return moved()
		}
		if err := m.usable(ctx, old); err != nil {
			return err
		}
		e = idp.Edition{Base: active.Version, Title: "v" + strconv.FormatInt(version, 10) + ": " + old.Title, Document: old.Document, Author: a.User.ID, CreatedAt: time.Now()}
		if err := m.Store.CreateEdition(ctx, &e); err != nil {
			return err
		}
		if e.Title = shorten(e.Title, 80); e.Title != "" {
			if _, err := m.Store.SaveEdition(ctx, e, time.Now()); err != nil {
				return err
			}
			e.Revision++
		}
		if e.Version, err = m.Store.SubmitEdition(ctx, e.ID, e.Revision, a.Reason, time.Now()); err != nil {
			return err
		}
		return m.policyEvent(ctx, a, "policy.rolledback", e, map[string]any{"to": version})
	})
	return e, err
}

func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most])
}

// ActivateInEmergency puts a draft in force without a second person. It wants a second reason, and every administrator is
// told.
func (m *Manager) ActivateInEmergency(ctx context.Context, a Actor, id string, revision int64, second string) error {
	if err := a.allow(PolicyEmergency); err != nil {
		return err
	}
	why := Actor{User: a.User, Reason: second}
	if err := why.allow(PolicyEmergency); err != nil {
		return idp.FieldError("second", "policy.second_reason")
	}
	if why.Reason == a.Reason {
		return idp.FieldError("second", "policy.second_same")
	}
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return err
	}
	if err := m.usable(ctx, e); err != nil {
		return err
	}
	return m.moveEdition(ctx, a, e, "policy.emergency", map[string]any{"second": why.Reason}, func(ctx context.Context) (bool, error) {
		if e.State == idp.EditionDraft {
			v, err := m.Store.SubmitEdition(ctx, id, revision, a.Reason, time.Now())
			if err != nil || v == 0 {
				return false, err
			}
			e.Version, e.State = v, idp.EditionSubmitted
		}
		if ok, err := m.activate(ctx, m.by(a), e, e.State, true); err != nil || !ok {
			return ok, err
		}
		return true, m.tellAdministrators(ctx, func(u idp.User) error { return m.Notify(ctx, u, "policy.emergency") })
	})
}

func (m *Manager) tellAdministrators(ctx context.Context, tell func(u idp.User) error) error {
	admins, err := m.Store.Users(ctx, storage.Administrators, 1000)
	if err != nil {
		return err
	}
	for _, u := range admins {
		if err := tell(u); err != nil {
			return err
		}
	}
	return nil
}

// ActivateDue puts in force what was approved and whose time has come, also while the server was down: once.
func (m *Manager) ActivateDue(ctx context.Context, now time.Time) error {
	due, err := m.Store.DueEditions(ctx, now)
	if err != nil {
		return err
	}
	for _, e := range due {
		err := m.Store.Tx(ctx, func(ctx context.Context) error {
			_, err := m.activate(ctx, idp.Event{Actor: "system"}, e, idp.EditionApproved, false)
			return err
		})
		if err != nil {
			return fmt.Errorf("version %d: %w", e.Version, err)
		}
	}
	return nil
}

// activate puts an edition in force, inside the caller's transaction. What cannot be used does not come into force,
// whoever approved it.
func (m *Manager) activate(ctx context.Context, by idp.Event, e idp.Edition, from idp.EditionState, emergency bool) (bool, error) {
	if err := m.usable(ctx, e); err != nil {
		return false, err
	}
	ok, err := m.Store.ActivateEdition(ctx, e.ID, from, emergency, time.Now())
	if err != nil || !ok {
		return ok, err
	}
	by.Name, by.Policy = "policy.activated", e.Version
	by.Data = map[string]any{"version": e.Version, "base": e.Base, "author": e.Author, "approver": e.DecidedBy}
	return true, m.Store.Append(ctx, by)
}

// usable refuses an edition that cannot be read, contradicts itself, or that no administrator could sign in under.
func (m *Manager) usable(ctx context.Context, e idp.Edition) error {
	p, err := compiled(e)
	if err != nil {
		return err
	}
	admins, err := m.Store.Users(ctx, storage.Administrators, 1000)
	if err != nil {
		return err
	}
	for _, u := range admins {
		can, err := m.canSignIn(ctx, u, p.For(policy.Who(u, nil)))
		if err != nil {
			return err
		}
		if can {
			return nil
		}
	}
	return policy.Problems{{Path: "rules", Key: "policy.bad.administrators"}}
}

func compiled(e idp.Edition) (*policy.Policy, error) {
	d, err := policy.Parse(e.Document)
	if err != nil {
		return nil, err
	}
	return policy.Compile(d.Filled(), e.Version)
}

// canSignIn says whether somebody holds a password or passkey and what a policy asks beside it. A policy administrator
// who has no passkey yet comes in by what he has: the sign-in asks for the most that he can show.
func (m *Manager) canSignIn(ctx context.Context, u idp.User, s *policy.Settings) (bool, error) {
	creds, err := m.Store.Credentials(ctx, u.ID)
	if err != nil || u.Reason(time.Now()) != "" {
		return false, err
	}
	holds := func(want idp.Method) bool {
		return slices.ContainsFunc(creds, func(c idp.Credential) bool {
			return c.Method == want && c.Blocked == "" && (want == idp.MethodPassword || s.Factors.Permits(want))
		})
	}
	return holds(idp.MethodPasskey) || holds(idp.MethodPassword) && holds(idp.MethodTOTP), nil
}

// moveEdition runs a change of an edition with its event in one transaction; what somebody else was faster with is moved.
func (m *Manager) moveEdition(ctx context.Context, a Actor, e idp.Edition, event string, data map[string]any, change func(ctx context.Context) (bool, error)) error {
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		ok, err := change(ctx)
		if err == nil && !ok {
			err = moved()
		}
		if err != nil || event == "" {
			return err
		}
		now, err := m.Store.Edition(ctx, e.ID)
		if err != nil {
			return err
		}
		return m.policyEvent(ctx, a, event, now, data)
	})
}

func (m *Manager) policyEvent(ctx context.Context, a Actor, name string, e idp.Edition, data map[string]any) error {
	all := map[string]any{"edition": e.ID, "version": e.Version, "title": e.Title}
	for k, v := range data {
		all[k] = v
	}
	return m.record(ctx, a, idp.Event{Name: name, Data: all})
}

// Enforce puts what the database says is in force into the live policy; moved is what it last saw.
func (m *Manager) Enforce(ctx context.Context, moved int64) (int64, error) {
	now, err := m.Store.PolicyMoved(ctx)
	if err != nil || now == moved {
		return moved, err
	}
	active, tried, err := m.Store.InForce(ctx)
	if err != nil {
		return moved, err
	}
	p, err := compiled(active)
	if err != nil {
		return moved, err // the one before stays
	}
	var canary *policy.Canary
	if tried != nil {
		next, err := compiled(*tried)
		if err != nil {
			return moved, err
		}
		canary = &policy.Canary{Policy: next, Percent: tried.Percent, Merchants: tried.Merchants}
	}
	m.Policy.Use(p, canary)
	return now, nil
}

// PolicyDiff is what an edition would change in another, 0 for the one it was written from.
func (m *Manager) PolicyDiff(ctx context.Context, e idp.Edition, from int64) ([]policy.Change, error) {
	old, err := m.Store.EditionOf(ctx, cmp.Or(from, e.Base))
	if err != nil {
		return nil, err
	}
	a, err := policy.Parse(old.Document)
	if err != nil {
		return nil, err
	}
	b, err := policy.Parse(e.Document)
	if err != nil {
		return nil, err
	}
	return policy.Diff(a, b), nil
}
