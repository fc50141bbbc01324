package manage

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A last day is set, changed and cleared by whoever may remove somebody; at its end all
// ends, once, and to the microsecond also before that.
func TestLastDay(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, manager, cashier := h.is(h.owner), h.is(h.shop[idp.RoleManager]), h.shop[idp.RoleCashier]
		_, _, _, theirs := h.other()
		end := idp.DayEnd(time.Now())
		next := end.AddDate(0, 0, 3)
		silent := manager
		silent.Reason = ""
		wants(t, h.PlanLeave(ctx, silent, cashier.ID, end), idp.Invalid, "reason.empty")
		wants(t, h.PlanLeave(ctx, h.is(cashier), cashier.ID, end), idp.Forbidden, "error.forbidden")
		wants(t, h.PlanLeave(ctx, owner, h.owner.ID, end), idp.Forbidden, "error.self")
		wants(t, h.PlanLeave(ctx, manager, h.owner.ID, end), idp.NotFound, "error.notfound")
		wants(t, h.PlanLeave(ctx, owner, theirs[idp.RoleCashier].ID, end), idp.NotFound, "error.notfound")
		wants(t, h.PlanLeave(ctx, h.as(idp.RolePolicyAdmin), cashier.ID, end), idp.Forbidden, "error.forbidden")
		for _, day := range []time.Time{time.Now(), time.Now().Add(-time.Hour), time.Now().AddDate(1, 1, 0)} {
			wants(t, h.PlanLeave(ctx, manager, cashier.ID, day), idp.Invalid, "leave.day")
		}
		wants(t, h.PlanLeave(ctx, manager, cashier.ID, time.Time{}), idp.Invalid, "error.same")
		h.must(h.PlanLeave(ctx, manager, cashier.ID, next))
		wants(t, h.PlanLeave(ctx, manager, cashier.ID, next), idp.Invalid, "error.same")
		h.must(h.PlanLeave(ctx, manager, cashier.ID, end))
		h.must(h.PlanLeave(ctx, owner, cashier.ID, time.Time{}))
		h.must(h.PlanLeave(ctx, owner, cashier.ID, end))
		if got := h.told(cashier); !slices.Equal(got, []string{"staff.leaving", "staff.staying", "staff.leaving", "staff.leaving"}) {
			t.Errorf("told %v", got)
		}
		session, grant, device := h.live(cashier)
		h.must(h.LeaversDue(ctx, end.Add(-time.Microsecond)))
		if u := second1(s.User(ctx, cashier.ID)); u.Reason(end.Add(-time.Microsecond)) != "" || u.Reason(end) != "left" || u.Status != idp.UserActive || h.ended(grant) {
			t.Errorf("%+v", u)
		}
		for range 3 {
			h.must(h.LeaversDue(ctx, end))
		}
		u := second1(s.User(ctx, cashier.ID))
		if ss := second1(s.Session(ctx, session)); u.Status != idp.UserLeft || !u.LeavesAt.IsZero() || ss.EndedAt.IsZero() || !h.ended(grant) || !h.ended(device) {
			t.Errorf("%+v, or something lives on", u)
		}
		list := h.events(storage.EventFilter{Subject: cashier.ID, Names: []string{"account.left", "staff.leaving"}})
		if len(list) != 5 || list[0].Name != "account.left" || list[0].Actor != "system" || list[1].Reason != owner.Reason || h.told(cashier)[0] != "account.left" {
			t.Errorf("events %+v", list)
		}
		wants(t, h.PlanLeave(ctx, owner, cashier.ID, next), idp.Conflict, "error.moved")
		h.must(h.leaversOfNoUse(owner, next))
	})
}

// leaversOfNoUse: who was removed before his last day leaves nothing to do at its end.
func (h *house) leaversOfNoUse(owner Actor, end time.Time) error {
	ctx := h.t.Context()
	u := h.hand(idp.RoleCashier, h.merchant, h.store, "gone.before")
	h.must(h.PlanLeave(ctx, owner, u.ID, end))
	h.must(h.RemoveStaff(ctx, owner, u.ID))
	if ids := second1(h.Store.Leavers(ctx, end, 10)); len(ids) != 0 {
		h.t.Errorf("left to do: %v", ids)
	}
	return h.LeaversDue(ctx, end)
}

// The code of the shop: by whom, for whom, told to whom, and what takes it back.
func TestHelpStaff(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, manager, cashier := h.is(h.owner), h.is(h.shop[idp.RoleManager]), h.shop[idp.RoleCashier]
		_, _, _, theirs := h.other()
		help := func(a Actor, id string) error { _, _, _, err := h.HelpStaff(ctx, a, id); return err }
		silent := owner
		silent.Reason = ""
		wants(t, help(silent, cashier.ID), idp.Invalid, "reason.empty")
		for _, c := range []struct {
			a    Actor
			id   string
			kind idp.Kind
			msg  string
		}{{manager, manager.User.ID, idp.Forbidden, "error.self"}, {manager, h.hand(idp.RoleManager, h.merchant, h.store, "second.m").ID, idp.Forbidden, "error.above"}, {manager, h.owner.ID, idp.NotFound, "error.notfound"},
			{owner, theirs[idp.RoleCashier].ID, idp.NotFound, "error.notfound"}, {manager, h.hand(idp.RoleCashier, h.merchant, h.branch(h.merchant, "东街店"), "far.one").ID, idp.NotFound, "error.notfound"},
			{h.is(cashier), cashier.ID, idp.Forbidden, "error.forbidden"}, {h.as(idp.RoleSupportSupervisor), cashier.ID, idp.Forbidden, "error.forbidden"}} {
			wants(t, help(c.a, c.id), c.kind, c.msg)
		}
		for why, spoil := range h.spoils() {
			if why == "withheld" || why == "left" || why == "role" {
				continue
			}
			undo := spoil(cashier.ID)
			wants(t, help(manager, cashier.ID), idp.Conflict, "staff-help.closed")
			undo()
		}
		hand := h.offered(true)
		wants(t, help(owner, manager.User.ID), idp.Conflict, "staff-help.handover")
		h.must(h.StopHandover(ctx, owner, hand.ID))
		h.must(help(owner, manager.User.ID))

		first, _, _, err := h.HelpStaff(ctx, manager, cashier.ID)
		h.must(err)
		code, until, shown, err := h.HelpStaff(ctx, manager, cashier.ID)
		h.must(err)
		if len(code.Reveal()) != 8 || strings.Trim(code.Reveal(), "0123456789") != "" || shown || time.Until(until) > 15*time.Minute || time.Until(until) < 14*time.Minute {
			t.Errorf("a code of %d digits until %v", len(code.Reveal()), until)
		}
		use := func(c idp.Secret) bool {
			return second1(s.UseShopCode(ctx, cashier.ID, s.ShopCodeMAC(cashier.ID, c.Reveal()), time.Now())) == manager.User.ID
		}
		if first != code && use(first) || !use(code) || use(code) {
			t.Error("an older code works, or the newest not once")
		}
		if n := len(h.events(storage.EventFilter{Subject: cashier.ID, Name: "staff.helped"})); n != 2 || h.told(cashier)[0] != "staff.helped" {
			t.Errorf("%d events, told %v", n, h.told(cashier))
		}
		held := h.events(storage.EventFilter{Subject: h.owner.ID, Name: "notice.held"})
		if len(held) != 2 || held[0].Data["item"] != "digest.helped" {
			t.Errorf("the owner's next letter: %v", held)
		}
		for _, e := range h.events(storage.EventFilter{Merchant: h.merchant.ID}) {
			for _, v := range e.Data {
				if v == code.Reveal() || v == first.Reveal() {
					t.Error("the code stands in the log")
				}
			}
		}
		for name, end := range map[string]func() error{
			"sessions ended":  func() error { return h.EndSessions(ctx, manager, cashier.ID) },
			"another role":    func() error { return h.ChangeRole(ctx, owner, cashier.ID, idp.RoleManager, "") },
			"its giver ended": func() error { return h.EndSessions(ctx, owner, manager.User.ID) },
		} {
			code, _, _, err := h.HelpStaff(ctx, manager, cashier.ID)
			h.must(err)
			h.must(end())
			if use(code) {
				t.Errorf("%s, and the code works", name)
			}
			if now := second1(s.User(ctx, cashier.ID)); now.Role != cashier.Role {
				h.must(h.ChangeRole(ctx, owner, cashier.ID, cashier.Role, cashier.StoreID))
			}
		}
		h.terminalShows(manager, cashier)
	})
}

// terminalShows: where a terminal can show the code, it does, or nothing happened.
func (h *house) terminalShows(a Actor, u idp.User) {
	h.t.Helper()
	var seen idp.Secret
	h.ShowOnTerminal = func(_ context.Context, who idp.User, code idp.Secret, _ time.Time) (bool, error) {
		seen = code
		return who.ID == u.ID, nil
	}
	code, _, shown, err := h.HelpStaff(h.t.Context(), a, u.ID)
	h.must(err)
	if !shown || seen != code {
		h.t.Error("not shown")
	}
	h.ShowOnTerminal = func(context.Context, idp.User, idp.Secret, time.Time) (bool, error) {
		return false, idp.Errorf(idp.Unavailable, "x")
	}
	_, _, _, err = h.HelpStaff(h.t.Context(), a, u.ID)
	wants(h.t, err, idp.Unavailable, "")
	if second1(h.Store.UseShopCode(h.t.Context(), u.ID, h.Store.ShopCodeMAC(u.ID, code.Reveal()), time.Now())) == "" {
		h.t.Error("the code of before is gone although nothing happened")
	}
}

// Who helps whom at the redemption of a code is who may give it, by the table.
func TestHelpsIsTheTable(t *testing.T) {
	stores, now := []string{"", "one", "two"}, time.Now()
	for _, of := range idp.Roles {
		for _, to := range idp.Roles {
			for _, here := range stores {
				for _, there := range stores {
					for _, merchant := range []string{"m", "other"} {
						a := idp.User{ID: "a", Role: of, MerchantID: "m", StoreID: here, Status: idp.UserActive}
						u := idp.User{ID: "u", Role: to, MerchantID: merchant, StoreID: there, Status: idp.UserActive}
						if want := MayOnUser(a, u, UserHelp); a.Helps(u, now) != want {
							t.Errorf("%s of %q for %s of %q at %q: want %v", of, here, to, there, merchant, want)
						}
					}
				}
			}
		}
	}
	giver, u := idp.User{ID: "a", Role: idp.RoleOwner, MerchantID: "m", Status: idp.UserActive}, idp.User{ID: "u", Role: idp.RoleCashier, MerchantID: "m"}
	for name, spoil := range map[string]func(g *idp.User){
		"frozen":   func(g *idp.User) { g.Frozen = true },
		"locked":   func(g *idp.User) { g.Locked = "fraud" },
		"disabled": func(g *idp.User) { g.Status = idp.UserDisabled },
		"withheld": func(g *idp.User) { g.Withheld, g.WithheldUntil = idp.WithholdMoney, now.Add(time.Hour) },
	} {
		g := giver
		if spoil(&g); g.Helps(u, now) || !giver.Helps(u, now) {
			t.Errorf("%s, and helps", name)
		}
	}
}
