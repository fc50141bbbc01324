package manage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// asked is the approval that an act waits as.
func (h *house) asked(err error) idp.Approval {
	h.t.Helper()
	w, ok := errors.AsType[*Waiting](err)
	if !ok {
		h.t.Fatalf("nobody was asked: %v", err)
	}
	ap, err := h.Store.Approval(h.t.Context(), w.ID)
	h.must(err)
	return ap
}

func (h *house) stands(ap idp.Approval, want idp.ApprovalState, failure string) {
	h.t.Helper()
	now, err := h.Store.Approval(h.t.Context(), ap.ID)
	h.must(err)
	if now.State != want || now.Failure != failure {
		h.t.Errorf("%s stands at %s %q, want %s %q", ap.Act, now.State, now.Failure, want, failure)
	}
}

// Every act of level Four but those of the policy, where an edition is what waits, can be
// carried out once it is approved, and nothing else can.
func TestEveryFourIsCarried(t *testing.T) {
	for _, act := range Actions() {
		four := slices.ContainsFunc(idp.Roles, func(r idp.Role) bool { return May(r, act) == Four })
		if _, ok := carried[act]; ok != (four && !strings.HasPrefix(string(act), "policy.")) {
			t.Errorf("%s: of two people %t, carried %t", act, four, ok)
		}
	}
}

// What one asks for is checked as if it were done, and nothing but the asking stays.
func TestAskingChangesNothing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		wants(t, h.ReturnMerchant(ctx, admin, h.merchant.ID), idp.Conflict, "error.moved")
		in := NewUser{Name: "新客服", Role: idp.RoleSupportAgent, Username: "new.agent", Phone: "13800000031", Language: "zh-CN"}
		taken := in
		taken.Username = "lin.wei"
		wants(t, second(h.CreateUser(ctx, admin, taken)), idp.Conflict, "error.taken.username")
		ap := h.asked(second(h.CreateUser(ctx, admin, in)))
		if _, err := s.UserByIdentifier(ctx, idp.IdentifierUsername, "new.agent"); idp.KindOf(err) != idp.NotFound {
			t.Error("the account is there")
		}
		events := h.events(storage.EventFilter{})
		if len(events) != 1 || events[0].Name != "approval.asked" || events[0].Subject != "" || events[0].Data["approval"] != ap.ID || events[0].Reason != admin.Reason {
			t.Errorf("events %+v", events)
		}
		if heads, err := s.MessageHeads(ctx, storage.MessageFilter{}, 10); err != nil || len(heads) != 0 {
			t.Errorf("messages %v, %v", heads, err)
		}
		if ap.AskedBy != admin.User.ID || ap.ExpiresAt.Sub(ap.AskedAt) != 72*time.Hour || ap.Object != "" || len(ap.Changes) != 5 || ap.Changes[2].New[0] != "new.agent" {
			t.Errorf("asked %+v", ap)
		}
		// The one who approves is named beside the one who asked.
		h.agreed(&Waiting{ap.ID})
		u, err := s.UserByIdentifier(ctx, idp.IdentifierUsername, "new.agent")
		h.must(err)
		made := h.events(storage.EventFilter{Subject: u.ID, Name: "account.created"})
		if len(made) != 1 || made[0].Actor != admin.User.ID || made[0].Data["approved_by"] != h.witness.ID || made[0].Data["approval"] != ap.ID || made[0].Data["role"] != "support_agent" || made[0].Reason != admin.Reason {
			t.Errorf("events %+v", made)
		}
	})
}

// Not the author, not whom it is about, not a role without the right; and not what the
// author may no longer ask for.
func TestWhoApproves(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		other := Actor{User: h.user(idp.RolePolicyAdmin, "", "second.admin"), Reason: "seen and agreed"}
		third := Actor{User: h.user(idp.RolePolicyAdmin, "", "third.admin"), Reason: "seen and agreed"}
		ap := h.asked(h.ChangeStaffRole(ctx, admin, NewRole{other.User.ID, idp.RolePolicyAdmin, idp.RoleAuditor}))
		wants(t, h.Approve(ctx, admin, ap.ID), idp.Forbidden, "approval.own")
		wants(t, h.Refuse(ctx, admin, ap.ID), idp.Forbidden, "approval.own")
		wants(t, h.Approve(ctx, other, ap.ID), idp.Forbidden, "error.self")
		wants(t, h.Withdraw(ctx, third, ap.ID), idp.Conflict, "approval.not_yours")
		for _, role := range []idp.Role{idp.RoleSupportSupervisor} {
			wants(t, h.Approve(ctx, h.as(role), ap.ID), idp.NotFound, "error.notfound")
			wants(t, h.Withdraw(ctx, h.as(role), ap.ID), idp.NotFound, "error.notfound")
		}
		for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleAuditor} {
			wants(t, h.Approve(ctx, h.as(role), ap.ID), idp.Forbidden, "error.forbidden")
		}
		wants(t, h.Approve(ctx, h.is(h.owner), ap.ID), idp.Forbidden, "error.forbidden")
		h.stands(ap, idp.ApprovalAsked, "")
		h.must(h.Approve(ctx, third, ap.ID))
		h.stands(ap, idp.ApprovalApproved, "")
		if u, _ := s.User(ctx, other.User.ID); u.Role != idp.RoleAuditor {
			t.Errorf("now %s", u.Role)
		}
		// Support asks for the end of a merchant; another of support, or an administrator, approves.
		super := h.as(idp.RoleSupportSupervisor)
		ap = h.asked(h.CloseMerchant(ctx, super, h.merchant.ID))
		wants(t, h.Approve(ctx, super, ap.ID), idp.Forbidden, "approval.own")
		h.must(h.Withdraw(ctx, super, ap.ID))
		wants(t, h.Withdraw(ctx, super, ap.ID), idp.Conflict, "approval.not_yours")
		ap = h.asked(h.CloseMerchant(ctx, super, h.merchant.ID))
		colleague := super
		colleague.User = h.user(idp.RoleSupportSupervisor, "", "super.two")
		h.must(h.Refuse(ctx, colleague, ap.ID))
		wants(t, h.Approve(ctx, colleague, ap.ID), idp.Conflict, "approval.over")
		// Whoever asked and was closed since asked in vain.
		ap = h.asked(h.DisableClient(ctx, admin, "merchant-app"))
		h.must(h.DisableUser(ctx, third, admin.User.ID))
		h.must(h.Approve(ctx, third, ap.ID))
		h.stands(ap, idp.ApprovalFailed, "approval.author")
		if c, _ := s.Client(ctx, "merchant-app"); c.Disabled {
			t.Error("done for somebody who may not")
		}
	})
}

// What has changed since it was asked for is not done, and nothing of it stays.
func TestChangedMeanwhile(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		other := Actor{User: h.user(idp.RolePolicyAdmin, "", "second.admin"), Reason: "seen and agreed"}
		fails := func(why string, err error, meanwhile func() error) {
			t.Helper()
			ap := h.asked(err)
			h.must(meanwhile())
			before := len(h.events(storage.EventFilter{}))
			h.must(h.Approve(ctx, other, ap.ID))
			h.stands(ap, idp.ApprovalFailed, why)
			events := h.events(storage.EventFilter{})
			if len(events) != before+1 || events[0].Name != "approval.failed" || events[0].Data["failure"] != why {
				t.Errorf("%s: events %+v", ap.Act, events[:len(events)-before])
			}
			wants(t, h.Approve(ctx, other, ap.ID), idp.Conflict, "approval.over")
		}
		agent := h.staff[idp.RoleSupportAgent]
		fails("error.moved", h.DisableClient(ctx, admin, "merchant-app"), func() error { return second(s.SetClientDisabled(ctx, "merchant-app", true)) })
		fails("error.moved", h.ChangeStaffRole(ctx, admin, NewRole{agent.ID, agent.Role, idp.RoleAuditor}), func() error {
			to := agent
			to.Role = idp.RoleSupportSupervisor
			return second(s.PlaceUser(ctx, to, agent))
		})
		fails("error.moved", h.RemoveOperator(ctx, admin, agent.ID), func() error { return second(s.SetUserStatus(ctx, agent.ID, idp.UserActive, idp.UserDisabled)) }) // not as it was seen
		fails("error.taken.username", second(h.CreateUser(ctx, admin, NewUser{Name: "x", Role: idp.RoleAuditor, Username: "soon.taken", Phone: "13800000031"})), func() error {
			h.user(idp.RoleAuditor, "", "soon.taken")
			return nil
		})
		fails("error.moved", h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierStandard, idp.TierMicro}), func() error {
			return second(s.SetMerchantTier(ctx, h.merchant.ID, idp.TierStandard, idp.TierHighValue))
		})
	})
}

// Of many who decide at once one does, and the act is done once.
func TestApprovalsAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		ap := h.asked(h.DisableClient(t.Context(), h.as(idp.RolePolicyAdmin), "merchant-app"))
		var actors []Actor
		for _, login := range []string{"a.two", "a.three", "a.four", "a.five"} {
			actors = append(actors, Actor{User: h.user(idp.RolePolicyAdmin, "", login), Reason: "seen and agreed"})
		}
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() {
				do := h.Approve
				if i%4 == 3 {
					do = h.Refuse
				}
				errs[i] = do(context.Background(), actors[i%4], ap.ID)
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if msg := err.Error(); idp.KindOf(err) != idp.Conflict || !strings.Contains(msg, "error.moved") && !strings.Contains(msg, "approval.over") {
				t.Errorf("%v", err)
			}
		}
		now, err := s.Approval(t.Context(), ap.ID)
		h.must(err)
		c, err := s.ClientNow(t.Context(), "merchant-app")
		h.must(err)
		n := len(h.events(storage.EventFilter{Name: "client.disabled"}))
		if done := now.State == idp.ApprovalApproved; won != 1 || c.Disabled != done || (n == 1) != done || n > 1 {
			t.Errorf("%d decided, stands at %s, disabled %t, %d events", won, now.State, c.Disabled, n)
		}
	})
}

// Two whose approvals cross are both answered: rows are held in one order.
func TestApprovalsCross(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		one := h.as(idp.RolePolicyAdmin)
		two := Actor{User: h.user(idp.RolePolicyAdmin, "", "second.admin"), Reason: "seen and agreed"}
		first := h.asked(h.ChangeStaffRole(ctx, one, NewRole{h.staff[idp.RoleAuditor].ID, idp.RoleAuditor, idp.RoleSupportAgent}))
		other := h.asked(h.RemoveOperator(ctx, two, h.staff[idp.RoleSupportAgent].ID))
		var wg sync.WaitGroup
		var errs [2]error
		wg.Go(func() { errs[0] = h.Approve(context.Background(), two, first.ID) })
		wg.Go(func() { errs[1] = h.Approve(context.Background(), one, other.ID) })
		wg.Wait()
		if errs[0] != nil || errs[1] != nil {
			t.Error(errs)
		}
		h.stands(first, idp.ApprovalApproved, "")
		h.stands(other, idp.ApprovalApproved, "")
	})
}

// What waits too long is decided by nobody, makes room for the same again, and a secret is
// kept for its time alone.
func TestApprovalsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, ctx := newHouse(t, storagetest.New(t, storage.SQLite)), t.Context()
		defer func() { h.must(h.Store.Close()) }()
		admin := h.as(idp.RolePolicyAdmin)
		other := Actor{User: h.user(idp.RolePolicyAdmin, "", "second.admin"), Reason: "seen and agreed"}
		ap := h.asked(h.DisableClient(ctx, admin, "merchant-app"))
		time.Sleep(72*time.Hour - time.Second)
		if w, err := h.WaitsFor(ctx, other.User, time.Now()); err != nil || w.Approvals != 1 {
			t.Errorf("%+v, %v", w, err)
		}
		wants(t, h.DisableClient(ctx, admin, "merchant-app"), idp.Conflict, "approval.waits")
		time.Sleep(time.Second)
		wants(t, h.Approve(ctx, other, ap.ID), idp.Conflict, "approval.over")
		wants(t, h.Withdraw(ctx, admin, ap.ID), idp.Conflict, "approval.not_yours")
		if w, err := h.WaitsFor(ctx, other.User, time.Now()); err != nil || w.Approvals != 0 {
			t.Errorf("%+v, %v", w, err)
		}
		if now, _ := h.Store.Approval(ctx, ap.ID); now.StateAt(time.Now()) != idp.ApprovalExpired {
			t.Errorf("stands at %s", now.StateAt(time.Now()))
		}
		ap = h.asked(h.DisableClient(ctx, admin, "merchant-app"))
		h.must(h.Approve(ctx, other, ap.ID))

		ap = h.asked(h.newWeb(admin))
		h.must(h.Approve(ctx, other, ap.ID))
		wants(t, collects(h, other, ap), idp.Conflict, "approval.no_secret")
		if w, err := h.WaitsFor(ctx, admin.User, time.Now()); err != nil || w.Secrets != 1 {
			t.Errorf("%+v, %v", w, err)
		}
		time.Sleep(24 * time.Hour)
		wants(t, collects(h, admin, ap), idp.Conflict, "approval.no_secret")
		ap = h.asked(second(h.NewClientSecret(ctx, admin, NewSecret{"web", 1, false}))) // the way on
		h.must(h.Approve(ctx, other, ap.ID))
		h.must(collects(h, admin, ap))
		wants(t, collects(h, admin, ap), idp.Conflict, "approval.no_secret")
	})
}

func collects(h *house, a Actor, ap idp.Approval) error {
	_, secret, err := h.Collect(h.t.Context(), Actor{User: a.User}, ap.ID)
	if err == nil && len(secret) != 43 {
		h.t.Errorf("secret of %d letters", len(secret))
	}
	return err
}

// A merchant that ends: terminals retired, staff gone, grants ended, and the owner comes in
// until his time is over.
func TestClosing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		cashier := h.shop[idp.RoleCashier]
		_, grant, device := h.live(cashier)
		_, owners, _ := h.live(h.owner)
		h.must(h.SuspendMerchant(ctx, h.as(idp.RoleSupportSupervisor), h.merchant.ID))
		h.agreed(h.CloseMerchant(ctx, h.as(idp.RoleSupportSupervisor), h.merchant.ID))
		m, err := s.Merchant(ctx, h.merchant.ID)
		h.must(err)
		if m.Status != idp.MerchantClosed || time.Since(m.ClosedAt) > time.Minute || m.Gone(time.Now(), h.Policy.Now().Closing.Export) || !m.Gone(time.Now().Add(31*24*time.Hour), h.Policy.Now().Closing.Export) {
			t.Errorf("merchant %+v", m)
		}
		if d, _ := s.Terminal(ctx, h.terminal.ID); d.State != idp.TerminalRetired {
			t.Errorf("terminal %s", d.State)
		}
		for _, role := range []idp.Role{idp.RoleManager, idp.RoleCashier} {
			if u, _ := s.User(ctx, h.shop[role].ID); u.Status != idp.UserLeft {
				t.Errorf("%s %s", role, u.Status)
			}
		}
		if u, _ := s.User(ctx, h.owner.ID); u.Status != idp.UserActive || !h.ended(grant) || !h.ended(device) || !h.ended(owners) {
			t.Errorf("owner %s, or grants live on", u.Status)
		}
		admin := h.as(idp.RolePolicyAdmin)
		wants(t, h.CloseMerchant(ctx, admin, h.merchant.ID), idp.Conflict, "error.moved")
		wants(t, h.ReturnMerchant(ctx, admin, h.merchant.ID), idp.Conflict, "error.moved")
		wants(t, h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierStandard, idp.TierHighValue}), idp.Conflict, "error.moved")
		if n := len(h.events(storage.EventFilter{Merchant: h.merchant.ID, Name: "merchant.closed"})); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

func TestTiers(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		tier := func() idp.Tier { m, err := s.Merchant(ctx, h.merchant.ID); h.must(err); return m.Tier }
		h.must(h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierStandard, idp.TierHighValue}))
		// To say that it stands lower than it does makes no lower one a higher one.
		wants(t, h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierMicro, idp.TierStandard}), idp.Conflict, "error.moved")
		wants(t, h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierHighValue, idp.TierHighValue}), idp.Invalid, "error.same")
		wants(t, h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierHighValue, "gold"}), idp.Invalid, "error.choose")
		err := h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierHighValue, idp.TierMicro})
		if tier() != idp.TierHighValue {
			t.Error("lowered by one")
		}
		h.agreed(err)
		if tier() != idp.TierMicro || len(h.events(storage.EventFilter{Name: "merchant.tier"})) != 2 {
			t.Errorf("now %s", tier())
		}
	})
}

// One of the operator's own who gets another role, or leaves, is signed out and told.
func TestOperatorsOwn(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin, agent := h.as(idp.RolePolicyAdmin), h.staff[idp.RoleSupportAgent]
		_, grant, _ := h.live(agent)
		wants(t, h.ChangeStaffRole(ctx, admin, NewRole{agent.ID, agent.Role, idp.RoleOwner}), idp.Invalid, "error.choose")
		wants(t, h.ChangeStaffRole(ctx, admin, NewRole{h.owner.ID, idp.RoleOwner, idp.RoleAuditor}), idp.NotFound, "error.notfound")
		wants(t, h.RemoveOperator(ctx, admin, h.owner.ID), idp.NotFound, "error.notfound")
		wants(t, h.RemoveOperator(ctx, admin, admin.User.ID), idp.Forbidden, "error.last_admin")
		h.agreed(h.ChangeStaffRole(ctx, admin, NewRole{agent.ID, agent.Role, idp.RoleAuditor}))
		wants(t, h.ChangeStaffRole(ctx, admin, NewRole{admin.User.ID, idp.RolePolicyAdmin, idp.RoleAuditor}), idp.Forbidden, "error.self")
		if u, _ := s.User(ctx, agent.ID); u.Role != idp.RoleAuditor || !h.ended(grant) {
			t.Errorf("now %+v", u)
		}
		h.agreed(h.RemoveOperator(ctx, admin, agent.ID))
		if u, _ := s.User(ctx, agent.ID); u.Status != idp.UserLeft {
			t.Errorf("now %s", u.Status)
		}
		var told []string
		for _, m := range h.messages(agent) {
			told = append(told, m.Template)
		}
		if !slices.Equal(told, []string{"operator.left", "operator.role"}) {
			t.Errorf("told %v", told)
		}
	})
}

func TestKeysRotate(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		_, err := s.AddSigningKey(ctx, storage.SigningKey{ID: "first", Alg: "ES256", State: "active", Public: []byte("{}"), Private: []byte("k")})
		h.must(err)
		err = h.RotateKeys(ctx, admin)
		wants(t, h.RotateKeys(ctx, admin), idp.Conflict, "approval.waits")
		if keys, _ := s.SigningKeys(ctx); len(keys) != 1 {
			t.Errorf("%d keys", len(keys))
		}
		h.agreed(err)
		keys, err := s.SigningKeys(ctx)
		h.must(err)
		now, _ := storage.Signs(keys, "ES256", time.Now())
		later, _ := storage.Signs(keys, "ES256", time.Now().Add(storage.KeyLead))
		events := h.events(storage.EventFilter{Name: "key.rotated"})
		if len(keys) != 2 || now.ID != "first" || later.ID == "first" || len(events) != 1 || events[0].Data["was"] != "first" || events[0].Data["approved_by"] != h.witness.ID {
			t.Errorf("keys %v, events %+v", keys, events)
		}
	})
}
