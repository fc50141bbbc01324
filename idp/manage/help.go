package manage

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// HelpStaff makes the code with which one of the actor's own people comes in again who has
// lost what he signs in with. It is told him in the shop: it is sent nowhere, works for
// minutes, once, and a newer one voids it. shown says that a terminal of his store shows it,
// too.
func (m *Manager) HelpStaff(ctx context.Context, a Actor, id string) (code idp.Secret, until time.Time, shown bool, err error) {
	if err := a.allow(UserHelp); err != nil {
		return "", until, false, err
	}
	p := m.Policy.Now().Returns
	digits, err := randomDigits(p.Digits)
	if err != nil {
		return "", until, false, err
	}
	code = idp.Secret(digits)
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserHelp, id)
		if err != nil {
			return err
		}
		now := time.Now()
		if err := m.mayHelp(ctx, a, u, now); err != nil {
			return err
		}
		until = now.Add(p.Enrol)
		if err := m.Store.SetShopCode(ctx, u.ID, a.User.ID, m.Store.ShopCodeMAC(u.ID, digits), until); err != nil {
			return err
		}
		e := userEvent("staff.helped", u)
		e.Data = map[string]any{"role": string(a.User.Role)}
		if err := m.record(ctx, a, e); err != nil {
			return err
		}
		if err := m.Notify(ctx, u, "staff.helped"); err != nil {
			return err
		}
		if err := m.tellOwner(ctx, a, u); err != nil || m.ShowOnTerminal == nil {
			return err
		}
		shown, err = m.ShowOnTerminal(ctx, u, code, until)
		return err
	})
	return code, until, shown, err
}

// mayHelp: who is frozen or gives or takes the merchant comes back by people alone.
func (m *Manager) mayHelp(ctx context.Context, a Actor, u idp.User, now time.Time) error {
	if err := m.mayBuild(ctx, a, UserHelp, OfUser(u)); err != nil {
		return err
	}
	if !a.User.Helps(u, now) { // as at the redemption
		return forbidden("error.above")
	}
	if u.Reason(now) != "" || u.Frozen {
		return &idp.Error{Kind: idp.Conflict, Msg: "staff-help.closed"}
	}
	h, err := m.Store.RunningHandover(ctx, u.MerchantID)
	if err == nil && h != nil && h.Party(u.ID) {
		return &idp.Error{Kind: idp.Conflict, Msg: "staff-help.handover"}
	}
	return err
}

// tellOwner puts what a manager did into the owner's next letter of reminders.
func (m *Manager) tellOwner(ctx context.Context, a Actor, u idp.User) error {
	if a.User.Role == idp.RoleOwner {
		return nil
	}
	owners, err := m.Store.Users(ctx, storage.UserFilter{Merchant: u.MerchantID, Roles: []idp.Role{idp.RoleOwner}, Status: string(idp.UserActive)}, 10)
	for _, o := range owners {
		e := userEvent("notice.held", o)
		e.Actor, e.Policy, e.Data = "system", m.Policy.Now().Version, map[string]any{"item": "digest.helped"}
		if err := m.Store.Append(ctx, e); err != nil {
			return err
		}
	}
	return err
}

// randomDigits are n digits, each as likely as the others.
func randomDigits(n int) (string, error) {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	v, err := rand.Int(rand.Reader, limit)
	return fmt.Sprintf("%0*d", n, v), err
}
