package manage

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// NewTier is the form of a change of tier. Was is the tier that the actor saw.
type NewTier struct {
	Merchant string
	Was, To  idp.Tier
}

// ChangeTier moves a merchant to another tier. What a lower one asks less of its people,
// two of the operator's decide.
func (m *Manager) ChangeTier(ctx context.Context, a Actor, in NewTier) error {
	if !slices.Contains(idp.Tiers, in.To) {
		return idp.FieldError("tier", "error.choose")
	}
	act := TierUp
	if slices.Index(idp.Tiers, in.To) < slices.Index(idp.Tiers, in.Was) {
		act = TierDown
	}
	if err := a.allow(act); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: act, object: in.Merchant, merchant: in.Merchant, input: in}, func(ctx context.Context) ([]idp.Difference, error) {
		found, err := m.Store.Merchant(ctx, in.Merchant)
		if err != nil {
			return nil, err
		}
		if in.To == in.Was && in.Was == found.Tier {
			return nil, idp.FieldError("tier", "error.same")
		}
		if ok, err := m.Store.SetMerchantTier(ctx, in.Merchant, in.Was, in.To); err != nil || !ok {
			return nil, orMoved(err)
		}
		recovering, err := m.Store.RecoveringOf(ctx, in.Merchant)
		if err != nil {
			return nil, err
		}
		for _, id := range recovering { // what ends they come to, and when, the other tier decided
			if err := m.VoidRecovery(ctx, id, "tier", m.by(a)); err != nil {
				return nil, err
			}
		}
		data := map[string]any{"tier": string(in.To), "was": string(in.Was)}
		return []idp.Difference{{Field: "tier", Old: []string{string(in.Was)}, New: []string{string(in.To)}}}, m.record(ctx, a, idp.Event{Name: "merchant.tier", Merchant: in.Merchant, Data: data})
	})
}

// CloseMerchant ends a merchant for good: its terminals are retired and its staff leave at
// once. The owner alone comes in for a while longer (policy's closing.export), to read and to
// take the data with him.
func (m *Manager) CloseMerchant(ctx context.Context, a Actor, id string) error {
	if err := a.allow(MerchantClose); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: MerchantClose, object: id, merchant: id}, func(ctx context.Context) ([]idp.Difference, error) {
		found, err := m.Store.Merchant(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok, err := m.Store.CloseMerchant(ctx, id, found.Status, time.Now()); err != nil || !ok {
			return nil, orMoved(err)
		}
		if err := m.retireAll(ctx, a, id); err != nil {
			return nil, err
		}
		if err := m.dismissAll(ctx, a, id); err != nil {
			return nil, err
		}
		grants, err := m.Store.EndMerchantGrants(ctx, id, byAdmin, time.Now())
		if err != nil {
			return nil, err
		}
		if err := m.revoked(ctx, a, grants, byAdmin); err != nil {
			return nil, err
		}
		if err := m.Store.DenyMerchantRequests(ctx, id); err != nil {
			return nil, err
		}
		return turned(found.Status, idp.MerchantClosed), m.record(ctx, a, idp.Event{Name: "merchant.closed", Merchant: id})
	})
}

// A merchant's things are read by key, so many at a time.
const closingPage = 200

func (m *Manager) retireAll(ctx context.Context, a Actor, merchant string) error {
	for after := ""; ; {
		list, err := m.Store.Terminals(ctx, after, merchant, closingPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, t := range list {
			if t.State == idp.TerminalRetired {
				continue
			}
			if ok, err := m.Store.SetTerminalState(ctx, t.ID, t.State, idp.TerminalRetired); err != nil || !ok {
				return orMoved(err)
			}
			if err := m.record(ctx, a, terminalEvent("terminal.retired", t)); err != nil {
				return err
			}
		}
		after = list[len(list)-1].Serial
	}
}

func (m *Manager) dismissAll(ctx context.Context, a Actor, merchant string) error {
	for after := ""; ; {
		list, err := m.Store.Users(ctx, storage.UserFilter{After: after, Merchant: merchant}, closingPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, u := range list {
			after = u.ID
			if u.Role == idp.RoleOwner || u.Status == idp.UserLeft || u.Status == idp.UserErased {
				continue
			}
			if err := m.leave(ctx, a, u, "staff.left", "staff.left"); err != nil {
				return err
			}
		}
	}
}
