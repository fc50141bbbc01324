package manage

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/storage"
)

// NewMerchant is the form of a new merchant.
type NewMerchant struct {
	No, LegalName string
	Tier          idp.Tier
}

// CreateMerchant registers a merchant. It stays pending until its owner meets the
// policy ([Manager.OpenMerchant]).
func (m *Manager) CreateMerchant(ctx context.Context, a Actor, in NewMerchant) (idp.Merchant, error) {
	var bad checks
	bad.add(a.allow(MerchantNew))
	out := idp.Merchant{Tier: in.Tier, Status: idp.MerchantPending}
	var err error
	out.No, err = merchantNo("no", in.No)
	bad.add(err)
	out.LegalName, err = name("legal_name", in.LegalName, 100)
	bad.add(err)
	if !slices.Contains(idp.Tiers, in.Tier) {
		bad.add(idp.FieldError("tier", "error.choose"))
	}
	if err := bad.err(); err != nil {
		return idp.Merchant{}, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.Store.CreateMerchant(ctx, &out); err != nil {
			return err
		}
		return m.record(ctx, a, idp.Event{Name: "merchant.created", Merchant: out.ID, Data: map[string]any{"tier": string(out.Tier)}})
	})
	return out, err
}

// merchantNo reads a merchant number: 15 digits, as people write them.
func merchantNo(field, typed string) (string, error) {
	if line(typed) == "" {
		return "", idp.FieldError(field, "error.empty")
	}
	if kind, v, ok := normal.Identifier(typed); ok && kind == idp.IdentifierMerchantNo {
		return v, nil
	}
	return "", idp.FieldError(field, "error.merchant_no")
}

// merchantByNo finds a merchant by a typed number; errors belong to the field.
func (m *Manager) merchantByNo(ctx context.Context, field, typed string) (idp.Merchant, error) {
	no, err := merchantNo(field, typed)
	if err != nil {
		return idp.Merchant{}, err
	}
	found, err := m.Store.Merchants(ctx, "", no, "", 1)
	if err != nil {
		return idp.Merchant{}, err
	}
	if len(found) == 0 {
		return idp.Merchant{}, idp.FieldError(field, "error.no_merchant")
	}
	if found[0].Status == idp.MerchantClosed {
		return idp.Merchant{}, idp.FieldError(field, "error.merchant_closed")
	}
	return found[0], nil
}

// CreateStore adds a store to a merchant.
func (m *Manager) CreateStore(ctx context.Context, a Actor, merchant, storeName, place string) (idp.Store, error) {
	out, err := a.storeForm(StoreNew, storeName, place)
	if err != nil {
		return idp.Store{}, err
	}
	out.MerchantID = merchant
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.mayBuild(ctx, a, StoreNew, Target{Merchant: merchant}); err != nil {
			return err
		}
		if err := m.Store.CreateStore(ctx, &out); err != nil {
			return err
		}
		return m.record(ctx, a, idp.Event{Name: "store.created", Merchant: merchant, Store: out.ID})
	})
	return out, err
}

// storeForm reads the name and the place of a store.
func (a *Actor) storeForm(act Action, storeName, place string) (out idp.Store, err error) {
	var bad checks
	bad.add(a.allow(act))
	out.Name, err = name("name", storeName, 60)
	bad.add(err)
	if out.Place = line(place); out.Place != "" {
		_, err = name("place", place, 100)
		bad.add(err)
	}
	return out, bad.err()
}

// RenameStore gives a store another name and place.
func (m *Manager) RenameStore(ctx context.Context, a Actor, id, storeName, place string) error {
	in, err := a.storeForm(StoreRename, storeName, place)
	if err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		st, err := m.Store.Store(ctx, id)
		if err != nil {
			return err
		}
		if err := m.mayBuild(ctx, a, StoreRename, OfStore(st)); err != nil {
			return err
		}
		if st.Name == in.Name && st.Place == in.Place {
			return idp.FieldError("name", "error.same")
		}
		if err := m.Store.RenameStore(ctx, id, in.Name, in.Place); err != nil {
			return err
		}
		return m.record(ctx, a, idp.Event{Name: "store.renamed", Merchant: st.MerchantID, Store: id, Data: map[string]any{"was": st.Name, "name": in.Name}})
	})
}

// mayBuild holds what adds to a merchant or changes it to whose it is, and to where the
// merchant stands: what is closed grows no more, and a suspended one's own people wait
// until it works again.
func (m *Manager) mayBuild(ctx context.Context, a Actor, act Action, of Target) error {
	if err := Allowed(a.User, act, of); err != nil {
		return err
	}
	found, err := m.Store.Merchant(ctx, of.Merchant)
	switch {
	case err != nil:
		return err
	case found.Status == idp.MerchantClosed:
		return moved()
	case found.Status == idp.MerchantSuspended && May(a.User.Role, act).Scope() != Everything:
		return forbidden("error.merchant_suspended")
	}
	return nil
}

// SuspendMerchant stops a merchant: its grants end, its device requests are
// denied; reading in the browser stays. One person may do it, for it is safe.
func (m *Manager) SuspendMerchant(ctx context.Context, a Actor, id string) error {
	if err := a.allow(MerchantStop); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.turn(ctx, id, idp.MerchantActive, idp.MerchantSuspended); err != nil {
			return err
		}
		grants, err := m.Store.EndMerchantGrants(ctx, id, byAdmin, time.Now())
		if err != nil {
			return err
		}
		if err := m.revoked(ctx, a, grants, byAdmin); err != nil {
			return err
		}
		if err := m.Store.DenyMerchantRequests(ctx, id); err != nil {
			return err
		}
		return m.record(ctx, a, idp.Event{Name: "merchant.suspended", Merchant: id})
	})
}

// ReturnMerchant lets a suspended merchant work again. Nothing that ended comes back.
func (m *Manager) ReturnMerchant(ctx context.Context, a Actor, id string) error {
	if err := a.allow(MerchantBack); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: MerchantBack, object: id, merchant: id}, func(ctx context.Context) ([]idp.Difference, error) {
		if err := m.turn(ctx, id, idp.MerchantSuspended, idp.MerchantActive); err != nil {
			return nil, err
		}
		return turned(idp.MerchantSuspended, idp.MerchantActive), m.record(ctx, a, idp.Event{Name: "merchant.returned", Merchant: id})
	})
}

// OpenMerchant makes a pending merchant active, once it has an owner who took up
// the account and, where the tier demands it, holds a second factor.
func (m *Manager) OpenMerchant(ctx context.Context, a Actor, id string) error {
	if err := a.allow(MerchantOpen); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		found, err := m.Store.Merchant(ctx, id)
		if err != nil {
			return err
		}
		if ok, err := m.ownerReady(ctx, found); err != nil {
			return err
		} else if !ok {
			return forbidden("error.owner_not_ready")
		}
		if err := m.turn(ctx, id, idp.MerchantPending, idp.MerchantActive); err != nil {
			return err
		}
		return m.record(ctx, a, idp.Event{Name: "merchant.activated", Merchant: id})
	})
}

func (m *Manager) ownerReady(ctx context.Context, merchant idp.Merchant) (bool, error) {
	owners, err := m.Store.Users(ctx, storage.UserFilter{Merchant: merchant.ID, Roles: []idp.Role{idp.RoleOwner}, Status: string(idp.UserActive)}, 100)
	if err != nil {
		return false, err
	}
	for _, o := range owners {
		if merchant.Tier != idp.TierHighValue {
			return true, nil
		}
		if held, err := m.holdsFactor(ctx, o.ID); err != nil || held {
			return held, err
		}
	}
	return false, nil
}

func (m *Manager) turn(ctx context.Context, id string, from, to idp.MerchantStatus) error {
	if _, err := m.Store.Merchant(ctx, id); err != nil {
		return err
	}
	ok, err := m.Store.SetMerchantStatus(ctx, id, from, to)
	if err != nil || !ok {
		return orMoved(err)
	}
	return nil
}

// NewTerminal is the form of a new terminal.
type NewTerminal struct {
	MerchantNo, StoreID string
	Serial, Model       string
	Kind                idp.TerminalKind
}

// CreateTerminal registers a terminal in a store. It is the shop that approves its
// first sign-in and so makes it active.
func (m *Manager) CreateTerminal(ctx context.Context, a Actor, in NewTerminal) (idp.Terminal, error) {
	var bad checks
	bad.add(a.allow(TerminalNew))
	out := idp.Terminal{Kind: in.Kind, State: idp.TerminalNew}
	var ok bool
	if out.Serial, ok = normal.Serial(in.Serial); !ok {
		bad.add(idp.FieldError("serial", "error.serial"))
	}
	var err error
	out.Model, err = name("model", in.Model, 40)
	bad.add(err)
	if !slices.Contains(idp.TerminalKinds, in.Kind) {
		bad.add(idp.FieldError("kind", "error.choose"))
	}
	merchant, err := m.merchantByNo(ctx, "merchant_no", in.MerchantNo)
	if bad.add(err) {
		st, err := m.Store.Store(ctx, line(in.StoreID))
		if err != nil && idp.KindOf(err) != idp.NotFound {
			return out, err
		}
		if err != nil || st.MerchantID != merchant.ID {
			bad.add(idp.FieldError("store", "error.choose"))
		}
		out.MerchantID, out.StoreID = merchant.ID, st.ID
	}
	if err := bad.err(); err != nil {
		return idp.Terminal{}, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.Store.CreateTerminal(ctx, &out); err != nil {
			return err
		}
		return m.record(ctx, a, terminalEvent("terminal.created", out))
	})
	return out, err
}

func terminalEvent(name string, t idp.Terminal) idp.Event {
	return idp.Event{Name: name, Terminal: t.ID, Merchant: t.MerchantID, Store: t.StoreID}
}

// SuspendTerminal stops an active terminal; its tokens die.
func (m *Manager) SuspendTerminal(ctx context.Context, a Actor, id string) error {
	return m.endTerminal(ctx, a, id, TerminalStop, "terminal.suspended", idp.TerminalSuspended, idp.TerminalActive)
}

// LoseTerminal marks a terminal lost; its tokens die. Support does so for a caller of whom
// something has matched.
func (m *Manager) LoseTerminal(ctx context.Context, a Actor, id string) error {
	return m.endTerminal(ctx, a, id, TerminalLost, "terminal.lost", idp.TerminalLost, idp.TerminalActive, idp.TerminalSuspended)
}

// RetireTerminal ends a terminal for good.
func (m *Manager) RetireTerminal(ctx context.Context, a Actor, id string) error {
	return m.endTerminal(ctx, a, id, TerminalEnd, "terminal.retired", idp.TerminalRetired,
		idp.TerminalNew, idp.TerminalActive, idp.TerminalSuspended, idp.TerminalLost)
}

func (m *Manager) endTerminal(ctx context.Context, a Actor, id string, act Action, event string, to idp.TerminalState, from ...idp.TerminalState) error {
	if err := a.allow(act); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		t, err := m.Store.Terminal(ctx, id)
		if err != nil {
			return err
		}
		if err := Allowed(a.User, act, OfTerminal(t)); err != nil {
			return err
		}
		if act == TerminalLost {
			if err := m.calledFor(ctx, a, t.MerchantID); err != nil {
				return err
			}
		}
		if !slices.Contains(from, t.State) {
			return moved()
		}
		if ok, err := m.Store.SetTerminalState(ctx, id, t.State, to); err != nil || !ok {
			return orMoved(err)
		}
		if to == idp.TerminalLost {
			if err := m.tellShop(ctx, a, t, event); err != nil {
				return err
			}
		}
		grants, err := m.Store.EndTerminalGrants(ctx, id, event, time.Now())
		if err != nil {
			return err
		}
		if err := m.revoked(ctx, a, grants, event); err != nil {
			return err
		}
		if err := m.Store.DenyTerminalRequests(ctx, id); err != nil {
			return err
		}
		return m.record(ctx, a, terminalEvent(event, t))
	})
}

// ReturnTerminal brings a suspended terminal back.
func (m *Manager) ReturnTerminal(ctx context.Context, a Actor, id string) error {
	return m.reviveTerminal(ctx, a, id, TerminalBack, idp.TerminalSuspended)
}

// FoundTerminal brings a lost terminal back.
func (m *Manager) FoundTerminal(ctx context.Context, a Actor, id string) error {
	return m.reviveTerminal(ctx, a, id, TerminalFound, idp.TerminalLost)
}

// reviveTerminal: nothing that ended comes back. The terminal stands as one that was
// never seen, so that its next sign-in wants the owner or a manager.
func (m *Manager) reviveTerminal(ctx context.Context, a Actor, id string, act Action, from idp.TerminalState) error {
	if err := a.allow(act); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		t, err := m.Store.Terminal(ctx, id)
		if err != nil {
			return err
		}
		if err := m.mayBuild(ctx, a, act, OfTerminal(t)); err != nil {
			return err
		}
		if ok, err := m.Store.ReviveTerminal(ctx, id, from, time.Now()); err != nil || !ok {
			return orMoved(err)
		}
		return m.record(ctx, a, terminalEvent("terminal.returned", t))
	})
}

// tellShop tells the owner and the managers of a terminal's store, but not who acts.
func (m *Manager) tellShop(ctx context.Context, a Actor, t idp.Terminal, template string) error {
	people, err := m.Store.Users(ctx, storage.UserFilter{Merchant: t.MerchantID, Status: string(idp.UserActive), Roles: []idp.Role{idp.RoleOwner, idp.RoleManager}}, 200)
	if err != nil {
		return err
	}
	for _, u := range people {
		if u.ID == a.User.ID || Allowed(u, TerminalView, OfTerminal(t)) != nil {
			continue
		}
		if err := m.Notify(ctx, u, template); err != nil {
			return err
		}
	}
	return nil
}
