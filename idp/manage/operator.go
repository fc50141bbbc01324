package manage

import (
	"context"
	"errors"
	"slices"

	"hufu/idp"
)

// OperatorRoles are those of the operator's own people.
var OperatorRoles = slices.DeleteFunc(slices.Clone(idp.Roles), func(r idp.Role) bool { return !r.Operator() })

// NewRole is the form of another role for one of the operator's own. Was is the role that
// the actor saw.
type NewRole struct {
	User    string
	Was, To idp.Role
}

// ChangeStaffRole gives one of the operator's own people another role. All that he had as
// what he was ends.
func (m *Manager) ChangeStaffRole(ctx context.Context, a Actor, in NewRole) error {
	if err := a.allow(StaffRole); err != nil {
		return err
	}
	if !in.To.Valid() || !in.To.Operator() {
		return idp.FieldError("role", "error.choose")
	}
	return m.perform(ctx, a, deed{act: StaffRole, object: in.User, input: in}, func(ctx context.Context) ([]idp.Difference, error) {
		u, err := m.onOperator(ctx, a, StaffRole, in.User)
		if err != nil {
			return nil, err
		}
		switch {
		case u.Role != in.Was:
			return nil, moved()
		case u.Status != idp.UserActive && u.Status != idp.UserInvited:
			return nil, moved()
		case in.To == in.Was:
			return nil, idp.FieldError("role", "error.same")
		}
		to := u
		to.Role = in.To
		if ok, err := m.Store.PlaceUser(ctx, to, u); err != nil || !ok {
			return nil, orMoved(err)
		}
		if err := errors.Join(m.endAll(ctx, a, u, "role"), m.endReturns(ctx, a, u, "role")); err != nil {
			return nil, err
		}
		e := userEvent("staff.role", to)
		e.Data = map[string]any{"role": string(to.Role), "was": string(u.Role)}
		if err := m.record(ctx, a, e); err != nil {
			return nil, err
		}
		return []idp.Difference{{Field: "role", Old: []string{string(in.Was)}, New: []string{string(in.To)}}}, m.Notify(ctx, to, "operator.role")
	})
}

// RemoveOperator takes one of the operator's own people away for good.
func (m *Manager) RemoveOperator(ctx context.Context, a Actor, id string) error {
	if err := a.allow(StaffLeave); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: StaffLeave, object: id}, func(ctx context.Context) ([]idp.Difference, error) {
		u, err := m.onOperator(ctx, a, StaffLeave, id)
		if err != nil {
			return nil, err
		}
		if u.Status == idp.UserLeft || u.Status == idp.UserErased {
			return nil, moved()
		}
		return turned(u.Status, idp.UserLeft), m.leave(ctx, a, u, "staff.left", "operator.left")
	})
}

// onOperator is onUser for one of the operator's own who is not the last administrator.
func (m *Manager) onOperator(ctx context.Context, a Actor, act Action, id string) (idp.User, error) {
	// The administrators' rows are held before the account's own: always in one order.
	if err := m.guardAdmin(ctx, a, act, id); err != nil {
		return idp.User{}, err
	}
	u, err := m.onUser(ctx, a, act, id)
	if err == nil && !u.Role.Operator() {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return u, err
}
