package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/storage"
)

// NewUser is the form of an invitation.
type NewUser struct {
	Name         string
	Role         idp.Role
	MerchantNo   string // of an owner
	Username     string
	Phone, Email string // at least one: the invitation goes there
	Language     string
}

// CreateUser makes an account that waits for its person and queues the invitation.
// Operators make the first owner of a merchant and the operator's own staff; shops
// invite their own people.
func (m *Manager) CreateUser(ctx context.Context, a Actor, in NewUser) (idp.User, error) {
	act := StaffNew
	switch {
	case in.Role == idp.RoleOwner:
		act = OwnerNew
	case !in.Role.Valid():
		return idp.User{}, idp.FieldError("role", "error.choose")
	case !in.Role.Operator():
		return idp.User{}, idp.FieldError("role", "error.owner_invites")
	}
	u, names, to, err := m.newcomer(&a, act, in)
	if err != nil {
		return idp.User{}, err
	}
	err = m.perform(ctx, a, deed{act: act, input: in}, func(ctx context.Context) ([]idp.Difference, error) {
		names := clones(names) // the transaction may run again
		if u.Role == idp.RoleOwner {
			no, err := m.ownerOf(ctx, &u, in.MerchantNo)
			if err != nil {
				return nil, err
			}
			names = append(names, no)
		}
		if err := m.Store.CreateUser(ctx, &u, names...); err != nil {
			return nil, err
		}
		e := idp.Event{Name: "account.created", Subject: u.ID, Merchant: u.MerchantID, Data: map[string]any{"role": string(u.Role)}}
		if err := m.record(ctx, a, e); err != nil {
			return nil, err
		}
		return newcomerChanges(u, names), m.invite(ctx, u, to)
	})
	return u, err
}

// newcomerChanges is who would come.
func newcomerChanges(u idp.User, names []*idp.Identifier) []idp.Difference {
	list := []idp.Difference{{Field: "name", New: []string{u.Name}}, {Field: "role", New: []string{string(u.Role)}}}
	for _, n := range names {
		list = append(list, idp.Difference{Field: string(n.Kind), New: []string{n.Value}})
	}
	return append(list, idp.Difference{Field: "language", New: []string{u.Language}})
}

// newcomer reads the form of an invitation, whoever invites; to is where it goes.
func (m *Manager) newcomer(a *Actor, act Action, in NewUser) (u idp.User, names []*idp.Identifier, to *idp.Identifier, err error) {
	var bad checks
	bad.add(a.allow(act))
	u = idp.User{Role: in.Role, Status: idp.UserInvited}
	u.Name, err = name("name", in.Name, 64)
	bad.add(err)
	u.Language, err = language(in.Language)
	bad.add(err)
	names, to, err = identifiers(in.Username, in.Phone, in.Email)
	bad.add(err)
	switch {
	case err != nil:
	case to == nil:
		bad.add(idp.FieldError("phone", "error.no_channel"))
	default:
		bad.add(m.reaches(to))
	}
	return u, names, to, bad.err()
}

func clones(names []*idp.Identifier) []*idp.Identifier {
	out := make([]*idp.Identifier, len(names))
	for i, n := range names {
		c := *n
		out[i] = &c
	}
	return out
}

func values(names []*idp.Identifier) (out []idp.Identifier) {
	for _, n := range names {
		out = append(out, *n)
	}
	return out
}

// ownerOf makes the user the owner of a merchant that has none: a change of owner
// is a hand-over, which is the owners' own. The merchant number then names him.
func (m *Manager) ownerOf(ctx context.Context, u *idp.User, typed string) (*idp.Identifier, error) {
	merchant, err := m.merchantByNo(ctx, "merchant_no", typed)
	if err != nil {
		return nil, err
	}
	owners, err := m.Store.Users(ctx, storage.UserFilter{Merchant: merchant.ID, Roles: []idp.Role{idp.RoleOwner}}, 100)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(owners, func(o idp.User) bool { return o.Status != idp.UserLeft && o.Status != idp.UserErased }) {
		return nil, &idp.Error{Kind: idp.Conflict, Field: "merchant_no", Msg: "error.has_owner"}
	}
	u.MerchantID = merchant.ID
	return &idp.Identifier{Kind: idp.IdentifierMerchantNo, Value: merchant.No}, nil
}

// reaches refuses to write to a number in a country that text messages do not go to.
func (m *Manager) reaches(to *idp.Identifier) error {
	if to.Kind == idp.IdentifierPhone && !m.Policy.Now().Sends.Reaches(to.Value) {
		return idp.FieldError("phone", "error.country")
	}
	return nil
}

// invite queues the message with the one-use link that lets the person in.
func (m *Manager) invite(ctx context.Context, u idp.User, to *idp.Identifier) error {
	if m.Invite == nil {
		return errors.New("manage: nobody words invitations")
	}
	token := idp.NewToken()
	sum := sha256.Sum256([]byte(token))
	if err := m.Store.CreateInvite(ctx, u.ID, hex.EncodeToString(sum[:]), time.Now().Add(m.Policy.Now().Links.Invite)); err != nil {
		return err
	}
	msg := idp.Message{UserID: u.ID, Channel: idp.ChannelSMS, To: to.Value, Template: "invite", Language: u.Language}
	if to.Kind == idp.IdentifierEmail {
		msg.Channel = idp.ChannelMail
	}
	var err error
	if msg.Subject, msg.Body, msg.HTML, err = m.Invite(msg.Channel, u.Language, m.link("/join?t="+token), u.Name); err != nil {
		return fmt.Errorf("invitation: %w", err)
	}
	return m.Store.Queue(ctx, &msg)
}

func language(typed string) (string, error) {
	switch typed {
	case "":
		return "zh-CN", nil
	case "zh-CN", "en":
		return typed, nil
	}
	return "", idp.FieldError("language", "error.choose")
}

// identifiers normalises the login names of a new account and says which of them
// messages go to: the e-mail, else the phone.
func identifiers(username, phone, email string) (names []*idp.Identifier, to *idp.Identifier, err error) {
	var bad checks
	for _, typed := range []struct {
		kind idp.IdentifierKind
		text string
	}{{idp.IdentifierUsername, username}, {idp.IdentifierPhone, phone}, {idp.IdentifierEmail, email}} {
		field := string(typed.kind)
		if line(typed.text) == "" {
			if typed.kind == idp.IdentifierUsername {
				bad.add(idp.FieldError(field, "error.empty"))
			}
			continue
		}
		kind, value, ok := normal.Identifier(typed.text)
		if !ok || kind != typed.kind {
			bad.add(idp.FieldError(field, "error.identifier."+field))
			continue
		}
		n := &idp.Identifier{Kind: kind, Value: value}
		names = append(names, n)
		if kind != idp.IdentifierUsername {
			to = n
		}
	}
	return names, to, bad.err()
}

// onUser begins an act on an account: whose it is, and who acts on whom. The account's
// row is held until the transaction ends.
func (m *Manager) onUser(ctx context.Context, a Actor, act Action, id string) (idp.User, error) {
	u, err := m.Store.HoldUser(ctx, id)
	if err != nil {
		return u, err
	}
	if err := Allowed(a.User, act, OfUser(u)); err != nil {
		return u, err
	}
	return u, mayActOn(a.User, u)
}

func mayActOn(actor, u idp.User) error {
	switch {
	case u.ID == actor.ID:
		return forbidden("error.self")
	case actor.Role == idp.RoleSupportAgent && u.Role.Operator():
		return forbidden("error.staff")
	case !actor.Role.Operator() && !slices.Contains(actor.Role.Below(), u.Role):
		return forbidden("error.above")
	}
	return nil
}

// MayOnUser says whether an act on a user would be refused for who acts on whom;
// pages use it to offer only what works.
func MayOnUser(actor, u idp.User, act Action) bool {
	if act == UserEnable {
		act = enabling(actor, u)
	}
	return Allowed(actor, act, OfUser(u)) == nil && mayActOn(actor, u) == nil
}

// enabling is the row of the table for bringing somebody back: the operator's own staff
// have one of their own.
func enabling(actor, u idp.User) Action {
	if u.Role.Operator() && May(actor.Role, UserEnable).Scope() == Everything {
		return StaffEnable
	}
	return UserEnable
}

// notTheLast refuses to take away the last policy administrator.
func (m *Manager) notTheLast(ctx context.Context, u idp.User) error {
	if u.Role != idp.RolePolicyAdmin {
		return nil
	}
	left, err := m.Store.HoldActive(ctx, idp.RolePolicyAdmin)
	if err != nil {
		return err
	}
	if len(slices.DeleteFunc(left, func(id string) bool { return id == u.ID })) == 0 {
		return forbidden("error.last_admin")
	}
	return nil
}

// DisableUser closes an account; sessions, grants and flows end with it and do not
// come back.
func (m *Manager) DisableUser(ctx context.Context, a Actor, id string) error {
	if err := a.allow(UserDisable); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		// The administrators' rows are held before the account's own: always in one order.
		if err := m.guardAdmin(ctx, a, UserDisable, id); err != nil {
			return err
		}
		u, err := m.onUser(ctx, a, UserDisable, id)
		if err != nil {
			return err
		}
		if u.Status != idp.UserActive && u.Status != idp.UserInvited {
			return moved()
		}
		if ok, err := m.Store.SetUserStatus(ctx, id, u.Status, idp.UserDisabled); err != nil || !ok {
			return orMoved(err)
		}
		if err := errors.Join(m.endUser(ctx, a, u, byAdmin), m.Store.VoidInvites(ctx, id), m.endReturns(ctx, a, u, "disabled")); err != nil {
			return err
		}
		return m.record(ctx, a, userEvent("account.disabled", u))
	})
}

// guardAdmin is notTheLast for an id.
func (m *Manager) guardAdmin(ctx context.Context, a Actor, act Action, id string) error {
	u, err := m.Store.User(ctx, id)
	if err != nil {
		return err
	}
	if err := Allowed(a.User, act, OfUser(u)); err != nil {
		return err
	}
	return m.notTheLast(ctx, u)
}

func orMoved(err error) error {
	if err != nil {
		return err
	}
	return moved()
}

func userEvent(name string, u idp.User) idp.Event {
	return idp.Event{Name: name, Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID}
}

// EnableUser opens an account again. Whoever never took up his invitation is
// invited anew.
func (m *Manager) EnableUser(ctx context.Context, a Actor, id string) error {
	u, err := m.Store.User(ctx, id)
	if err != nil {
		return err
	}
	act := enabling(a.User, u)
	if err := a.allow(act); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: act, object: id}, func(ctx context.Context) ([]idp.Difference, error) {
		u, err := m.onUser(ctx, a, act, id)
		if err != nil {
			return nil, err
		}
		if err := m.mayEnable(ctx, a, u); err != nil {
			return nil, err
		}
		creds, err := m.Store.Credentials(ctx, id)
		if err != nil {
			return nil, err
		}
		to := idp.UserActive
		if len(creds) == 0 {
			to = idp.UserInvited
		}
		if ok, err := m.Store.SetUserStatus(ctx, id, idp.UserDisabled, to); err != nil || !ok {
			return nil, orMoved(err)
		}
		if to == idp.UserInvited {
			if err := m.inviteAgain(ctx, a, u); err != nil {
				return nil, err
			}
		}
		return turned(idp.UserDisabled, to), m.record(ctx, a, userEvent("account.enabled", u))
	})
}

// InviteAgain sends whoever has not taken up his invitation a new one; the old one
// is void.
func (m *Manager) InviteAgain(ctx context.Context, a Actor, id string) error {
	if err := a.allow(UserInvite); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserInvite, id)
		if err != nil {
			return err
		}
		if u.Status != idp.UserInvited {
			return moved()
		}
		if err := m.inviteAgain(ctx, a, u); err != nil {
			return err
		}
		return m.record(ctx, a, userEvent("account.invited", u))
	})
}

func (m *Manager) inviteAgain(ctx context.Context, a Actor, u idp.User) error {
	names, err := m.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	var to *idp.Identifier
	for _, n := range names {
		if !n.Former && n.RemovedAt.IsZero() && m.reaches(&n) == nil && (n.Kind == idp.IdentifierEmail || n.Kind == idp.IdentifierPhone && to == nil) {
			to = &n
		}
	}
	if to == nil {
		return nil // nobody can be told; the person stays invited
	}
	if err := m.mayInvite(ctx, a, u, to); err != nil {
		return err
	}
	return m.invite(ctx, u, to)
}

// LockUser locks an account on proven compromise; sessions and grants end.
func (m *Manager) LockUser(ctx context.Context, a Actor, id string) error {
	if err := a.allow(UserLock); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.guardAdmin(ctx, a, UserLock, id); err != nil {
			return err
		}
		u, err := m.onUser(ctx, a, UserLock, id)
		if err != nil {
			return err
		}
		if u.Status != idp.UserActive && u.Status != idp.UserInvited {
			return moved()
		}
		if ok, err := m.Store.LockUser(ctx, id, a.Reason); err != nil || !ok {
			return orMoved(err)
		}
		if err := errors.Join(m.endUser(ctx, a, u, byAdmin), m.endReturns(ctx, a, u, "locked")); err != nil {
			return err
		}
		e := userEvent("lock.account", u)
		e.Data = map[string]any{"scope": "account"}
		if err := m.record(ctx, a, e); err != nil {
			return err
		}
		return m.Notify(ctx, u, "locked")
	})
}

// UnlockUser lifts a lock. Another person than the locker does it.
func (m *Manager) UnlockUser(ctx context.Context, a Actor, id string) error {
	if err := a.allow(UserUnlock); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserUnlock, id)
		if err != nil {
			return err
		}
		locker, err := m.Locker(ctx, id)
		if err != nil {
			return err
		}
		if locker == a.User.ID {
			return forbidden("error.locker")
		}
		if ok, err := m.Store.UnlockUser(ctx, id); err != nil || !ok {
			return orMoved(err)
		}
		e := userEvent("lock.lifted", u)
		e.Data = map[string]any{"scope": "account"}
		if err := m.record(ctx, a, e); err != nil {
			return err
		}
		return m.Notify(ctx, u, "unlocked")
	})
}

// Locker returns who locked an account last, "" when nobody did.
func (m *Manager) Locker(ctx context.Context, id string) (string, error) {
	list, err := m.Store.Events(ctx, storage.EventFilter{Subject: id, Name: "lock.account"}, 1)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0].Actor, nil
}

// EndSessions ends all sessions and grants of a user; he may sign in again.
func (m *Manager) EndSessions(ctx context.Context, a Actor, id string) error {
	if err := a.allow(UserEnd); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserEnd, id)
		if err != nil {
			return err
		}
		return m.endUser(ctx, a, u, byAdmin)
	})
}
