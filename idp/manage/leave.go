package manage

import (
	"context"
	"errors"
	"time"

	"hufu/idp"
)

// leaveMost is how far ahead a last day may be.
const leaveMost = 366 * 24 * time.Hour

// PlanLeave sets the end of the last day of one of the actor's own people, another one, or
// none (the zero time). At that moment all ends, see [Manager.LeaversDue]; no token is
// given out any more from then on, whether anybody has taken note or not.
func (m *Manager) PlanLeave(ctx context.Context, a Actor, id string, end time.Time) error {
	if err := a.allow(UserLeave); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserLeave, id)
		if err != nil {
			return err
		}
		now := time.Now()
		switch {
		case u.Status == idp.UserLeft || u.Status == idp.UserErased || u.Leaving(now):
			return moved()
		case !end.IsZero() && (!end.After(now) || end.After(now.Add(leaveMost))):
			return idp.FieldError("day", "leave.day")
		case end.Equal(u.LeavesAt):
			return idp.FieldError("day", "error.same")
		}
		return m.planLeave(ctx, a, u, end)
	})
}

func (m *Manager) planLeave(ctx context.Context, a Actor, u idp.User, end time.Time) error {
	if err := m.Store.SetLeaving(ctx, u.ID, end); err != nil {
		return err
	}
	e, template := userEvent("staff.leaving", u), "staff.staying"
	if !end.IsZero() {
		e.Data, template = map[string]any{"until": end}, "staff.leaving"
		if err := m.dropOf(ctx, a, u, "left"); err != nil {
			return err
		}
	}
	if err := m.record(ctx, a, e); err != nil {
		return err
	}
	return m.Announce(ctx, u, idp.Announcement{Template: template, Object: end.String(), Until: end})
}

// leave takes somebody out for good: his sessions, grants and approvals end, and he cannot
// sign in again. He is told by a message of the template.
func (m *Manager) leave(ctx context.Context, a Actor, u idp.User, event, template string) error {
	if ok, err := m.Store.SetUserStatus(ctx, u.ID, u.Status, idp.UserLeft); err != nil || !ok {
		return orMoved(err)
	}
	if err := errors.Join(m.Store.SetLeaving(ctx, u.ID, time.Time{}), m.Store.VoidInvites(ctx, u.ID), m.endReturns(ctx, a, u, "left")); err != nil {
		return err
	}
	if err := m.endAll(ctx, a, u, "left"); err != nil {
		return err
	}
	if err := m.record(ctx, a, userEvent(event, u)); err != nil {
		return err
	}
	return m.Notify(ctx, u, template)
}

// LeaversDue lets those leave whose last day is over: on every replica, any number of
// times, each once.
func (m *Manager) LeaversDue(ctx context.Context, now time.Time) error {
	ids, err := m.Store.Leavers(ctx, now, dueMost)
	for _, id := range ids {
		err = errors.Join(err, m.Store.Tx(ctx, func(ctx context.Context) error {
			u, err := m.Store.HoldUser(ctx, id)
			switch {
			case err != nil || !u.Leaving(now):
				return err
			case u.Status == idp.UserLeft || u.Status == idp.UserErased:
				return m.Store.SetLeaving(ctx, id, time.Time{})
			}
			return m.leave(ctx, system, u, "account.left", "account.left")
		}))
	}
	return err
}
