package manage

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/kit"
	"hufu/idp/policy"
	"hufu/storage"
)

// Looked says whether the actor may see a person's page now: it is his own, or he
// has opened it within the time that a look lasts.
func (m *Manager) Looked(ctx context.Context, a Actor, user string) (bool, error) {
	if user == a.User.ID {
		return true, nil
	}
	return m.looked(ctx, a, storage.EventFilter{Subject: user, Name: "account.viewed"})
}

// LookedAtMerchant is Looked for a merchant's page.
func (m *Manager) LookedAtMerchant(ctx context.Context, a Actor, merchant string) (bool, error) {
	if merchant != "" && merchant == a.User.MerchantID {
		return true, nil
	}
	return m.looked(ctx, a, storage.EventFilter{Merchant: merchant, Name: "merchant.viewed"})
}

func (m *Manager) looked(ctx context.Context, a Actor, f storage.EventFilter) (bool, error) {
	f.Since = time.Now().Add(-m.Policy.For(policy.Who(a.User, nil)).StepUp.ConsoleLook)
	seen, err := m.Store.Events(ctx, f, 200)
	for _, e := range seen {
		if e.Actor == a.User.ID {
			return true, err
		}
	}
	return false, err
}

// Look opens another person's page, with the reason that the actor's role owes. The
// person sees it among his own events, and is told where support looks. One event an hour
// is enough. An agent works on a case: whoever has none has nothing to be looked at.
func (m *Manager) Look(ctx context.Context, a Actor, user string) error {
	if err := a.allow(UserView); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.Store.User(ctx, user)
		if err != nil {
			return err
		}
		if err := Allowed(a.User, UserView, OfUser(u)); err != nil {
			return err
		}
		if done, err := m.Looked(ctx, a, user); err != nil || done {
			return err
		}
		c, err := m.worksOn(ctx, a, storage.CaseFilter{User: user})
		if err != nil {
			return err
		}
		if err := m.recordLook(ctx, a, u, c); err != nil || May(a.User.Role, UserView) != Reason {
			return err
		}
		return m.Tell(ctx, u, "account.viewed", c, "")
	})
}

// recordLook opens a person's page without a word to him.
func (m *Manager) recordLook(ctx context.Context, a Actor, u idp.User, c idp.Case) error {
	e := userEvent("account.viewed", u)
	if c.Number != "" {
		e.Data = map[string]any{"case": c.Number}
	}
	return m.record(ctx, a, e)
}

// worksOn is the newest open case about somebody or a merchant. Of an agent there must be
// one: he has one subject a case.
func (m *Manager) worksOn(ctx context.Context, a Actor, f storage.CaseFilter) (idp.Case, error) {
	f.State = idp.CaseOpen
	open, err := m.Store.Cases(ctx, f, 1)
	switch {
	case err != nil:
		return idp.Case{}, err
	case len(open) > 0:
		return open[0], nil
	case a.User.Role == idp.RoleSupportAgent:
		return idp.Case{}, forbidden("error.needs_case")
	}
	return idp.Case{}, nil
}

// NeedsCase says whether somebody can look at a person in a case alone, and there is none.
func (m *Manager) NeedsCase(ctx context.Context, a Actor, user string) (bool, error) {
	if user == a.User.ID {
		return false, nil
	}
	_, err := m.worksOn(ctx, a, storage.CaseFilter{User: user})
	if idp.KindOf(err) == idp.Forbidden {
		return true, nil
	}
	return false, err
}

// LookAtMerchant opens a merchant's page, with its staff, stores and terminals. Its owner is
// told, as of a look at his own page.
func (m *Manager) LookAtMerchant(ctx context.Context, a Actor, merchant string) error {
	if err := a.allow(MerchantView); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		if _, err := m.Store.Merchant(ctx, merchant); err != nil {
			return err
		}
		if err := Allowed(a.User, MerchantView, Target{Merchant: merchant}); err != nil {
			return err
		}
		if done, err := m.LookedAtMerchant(ctx, a, merchant); err != nil || done {
			return err
		}
		c, err := m.worksOn(ctx, a, storage.CaseFilter{Merchant: merchant})
		if err != nil {
			return err
		}
		if err := m.record(ctx, a, idp.Event{Name: "merchant.viewed", Merchant: merchant}); err != nil || May(a.User.Role, MerchantView) != Reason {
			return err
		}
		owners, err := m.Store.Users(ctx, storage.UserFilter{Merchant: merchant, Roles: []idp.Role{idp.RoleOwner}, Status: string(idp.UserActive)}, 10)
		for _, u := range owners {
			if err := m.Tell(ctx, u, "merchant.viewed", c, ""); err != nil {
				return err
			}
		}
		return err
	})
}

// Explain returns the refusal that an explain code was shown with.
func (m *Manager) Explain(ctx context.Context, a Actor, code string) (idp.Event, error) {
	if err := a.allow(ExplainRead); err != nil {
		return idp.Event{}, err
	}
	if !idp.ValidExplainCode(code) {
		return idp.Event{}, idp.FieldError("q", "error.explain_typo")
	}
	list, err := m.Store.Events(ctx, storage.EventFilter{Explain: dashed(code)}, 1)
	if err != nil {
		return idp.Event{}, err
	}
	if len(list) == 0 {
		return idp.Event{}, idp.Errorf(idp.NotFound, "error.notfound")
	}
	return list[0], nil
}

// CheckKit says of the mark on a recovery sheet, or a text that it stands in, of which day it
// is and whether its codes still are the ones that count. It uses nothing up and tells of
// nobody.
func (m *Manager) CheckKit(ctx context.Context, a Actor, text string) (mark kit.Mark, valid bool, err error) {
	if err := a.allow(KitCheck); err != nil {
		return mark, false, err
	}
	if mark, err = kit.ReadMark(text, m.Store.MAC); err != nil {
		return mark, false, idp.FieldError("mark", "console.kit.bad")
	}
	c, err := m.Store.Credential(ctx, mark.Set)
	if idp.KindOf(err) == idp.NotFound {
		return mark, false, nil
	}
	return mark, c.Method == idp.MethodBackup && c.Blocked == "", err
}

// dashed brings a valid explain code into the form it was shown in.
func dashed(code string) string {
	digits := make([]byte, 0, 10)
	for i := range len(code) {
		if code[i] >= '0' && code[i] <= '9' {
			digits = append(digits, code[i])
		}
	}
	return string(digits[:3]) + "-" + string(digits[3:6]) + "-" + string(digits[6:])
}
