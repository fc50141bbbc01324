package manage

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// shopRoles are those that a merchant gives to its own people: who owns it is settled by
// a hand-over.
var shopRoles = []idp.Role{idp.RoleCashier, idp.RoleManager}

// inviting is the row of the table for a new person of a merchant.
func inviting(role idp.Role) Action {
	if role == idp.RoleManager {
		return ManagerNew
	}
	return CashierNew
}

// Invitable lists the roles that somebody may give to people of his own merchant.
func Invitable(u idp.User) []idp.Role {
	return slices.DeleteFunc(slices.Clone(shopRoles), func(role idp.Role) bool { return Check(u, inviting(role)) != nil })
}

// InviteStaff makes an account for one of the actor's own merchant, in a store or, if
// that is empty, in all of them, and queues the invitation.
func (m *Manager) InviteStaff(ctx context.Context, a Actor, in NewUser, store string) (idp.User, error) {
	if !slices.Contains(shopRoles, in.Role) {
		if err := a.allow(CashierNew); err != nil {
			return idp.User{}, err
		}
		return idp.User{}, idp.FieldError("role", "error.choose")
	}
	act := inviting(in.Role)
	u, names, to, err := m.newcomer(&a, act, in)
	if err != nil {
		return idp.User{}, err
	}
	u.MerchantID, u.StoreID = a.User.MerchantID, line(store)
	// Paid for also if it fails: who tries names out to learn which are taken runs dry.
	if err := m.mayInvite(ctx, a, u, to); err != nil {
		return idp.User{}, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.mayPlace(ctx, a, act, u.MerchantID, u.StoreID); err != nil {
			return err
		}
		if err := m.Store.CreateUser(ctx, &u, clones(names)...); err != nil {
			return err
		}
		e := userEvent("staff.invited", u)
		e.Data = map[string]any{"role": string(u.Role)}
		if err := m.record(ctx, a, e); err != nil {
			return err
		}
		return m.invite(ctx, u, to)
	})
	return u, err
}

// mayPlace says whether the actor may put somebody into a store of a merchant. A store
// that is not his is no choice of the form's.
func (m *Manager) mayPlace(ctx context.Context, a Actor, act Action, merchant, store string) error {
	if err := m.mayBuild(ctx, a, act, Target{merchant, store}); err != nil {
		if idp.KindOf(err) == idp.NotFound {
			return idp.FieldError("store", "error.choose")
		}
		return err
	}
	if store == "" {
		return nil
	}
	st, err := m.Store.Store(ctx, store)
	if err != nil && idp.KindOf(err) != idp.NotFound {
		return err
	}
	if err != nil || st.MerchantID != merchant {
		return idp.FieldError("store", "error.choose")
	}
	return nil
}

// mayInvite bounds what a merchant's people send to numbers and addresses that nobody
// has proved yet, as one network is bounded; operators answer for theirs.
func (m *Manager) mayInvite(ctx context.Context, a Actor, u idp.User, to *idp.Identifier) error {
	if May(a.User.Role, UserInvite).Scope() == Everything {
		return nil
	}
	p, now := m.Policy.Now().Sends, time.Now()
	each := p.MailHour
	if to.Kind == idp.IdentifierPhone {
		each = p.PhoneHour
	}
	ok, until, err := m.Store.TakeBucket(ctx, "invite", []byte(u.MerchantID), p.NetworkDay.Burst, p.NetworkDay.Refill, now)
	if err == nil && ok {
		ok, until, err = m.Store.TakeBucket(ctx, "invite.to", m.Store.Lookup(to.Kind, to.Value), each.Burst, each.Refill, now)
	}
	if err == nil && !ok {
		return &idp.Error{Kind: idp.Conflict, Msg: "error.invite_limit", Args: []any{until}, Reason: "send.limit"}
	}
	return err
}

// ChangeRole gives one of the actor's own people another role or store. Whoever loses by
// it, or goes to another store, is signed out with all that he has approved.
func (m *Manager) ChangeRole(ctx context.Context, a Actor, id string, role idp.Role, store string) error {
	if err := a.allow(RoleChange); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, RoleChange, id)
		if err != nil {
			return err
		}
		if u.Status != idp.UserActive && u.Status != idp.UserInvited {
			return moved()
		}
		to := u
		to.Role, to.StoreID = role, line(store)
		if !slices.Contains(Invitable(a.User), role) {
			return idp.FieldError("role", "error.choose")
		}
		if err := m.mayPlace(ctx, a, RoleChange, u.MerchantID, to.StoreID); err != nil {
			return err
		}
		return m.place(ctx, a, u, to)
	})
}

// place writes the change of role or store.
func (m *Manager) place(ctx context.Context, a Actor, was, to idp.User) error {
	if to.Role == was.Role && to.StoreID == was.StoreID {
		return idp.FieldError("role", "error.same")
	}
	if was.Role != idp.RoleManager && to.Role == idp.RoleManager {
		to.GraceFrom = time.Now() // to enrol the second factor that a manager owes
	}
	if ok, err := m.Store.PlaceUser(ctx, to, was); err != nil || !ok {
		return orMoved(err)
	}
	if to.StoreID != was.StoreID || slices.Contains(was.Role.Below(), to.Role) {
		if err := m.endAll(ctx, a, was, "role"); err != nil {
			return err
		}
	}
	// What was decided for who he was holds no longer.
	if err := m.endReturns(ctx, a, was, "role"); err != nil {
		return err
	}
	e := userEvent("staff.role", to)
	e.Data = map[string]any{"role": string(to.Role), "was": string(was.Role), "store_was": was.StoreID}
	if err := m.record(ctx, a, e); err != nil {
		return err
	}
	return m.Notify(ctx, to, "staff.role")
}

// endAll is endUser for somebody who is no longer what he was: what he approved and no
// terminal has fetched yet is denied.
func (m *Manager) endAll(ctx context.Context, a Actor, u idp.User, reason string) error {
	if err := m.Store.DenyApprovals(ctx, u.ID); err != nil {
		return err
	}
	return m.endUser(ctx, a, u, reason)
}

// RemoveStaff takes one of the actor's own people out of the merchant for good: his
// sessions, grants and approvals end, and he cannot sign in again.
func (m *Manager) RemoveStaff(ctx context.Context, a Actor, id string) error {
	if err := a.allow(UserLeave); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserLeave, id)
		if err != nil {
			return err
		}
		if u.Status == idp.UserLeft || u.Status == idp.UserErased {
			return moved()
		}
		return m.leave(ctx, a, u, "staff.left", "staff.left")
	})
}

// mayEnable: what the operator has closed a merchant's people do not open.
func (m *Manager) mayEnable(ctx context.Context, a Actor, u idp.User) error {
	if May(a.User.Role, UserEnable).Scope() == Everything {
		return nil
	}
	last, err := m.Store.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "account.disabled"}, 1)
	if err != nil || len(last) == 0 {
		return err
	}
	by, err := m.Store.User(ctx, last[0].Actor)
	if err != nil && idp.KindOf(err) != idp.NotFound {
		return err
	}
	if err != nil || by.MerchantID != u.MerchantID {
		return forbidden("error.disabled_by_operator")
	}
	return nil
}
