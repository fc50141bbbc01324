package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// heir is the manager who is to take the shop, with a second factor.
func (h *house) heir() Actor {
	h.t.Helper()
	u := h.shop[idp.RoleManager]
	h.must(h.Store.AddCredential(h.t.Context(), &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: []byte("{}")}))
	return h.is(u)
}

// offered is a proposal of the owner's to his manager.
func (h *house) offered(stays bool) idp.Handover {
	h.t.Helper()
	return second1(h.ProposeHandover(h.t.Context(), h.is(h.owner), NewHandover{To: h.shop[idp.RoleManager].ID, Stays: stays}))
}

func (h *house) now(id string) idp.Handover {
	h.t.Helper()
	return second1(h.Store.Handover(h.t.Context(), id))
}

// told are the templates that somebody was told, newest first.
func (h *house) told(u idp.User) (out []string) {
	h.t.Helper()
	for _, m := range h.messages(u) {
		out = append(out, m.Template)
	}
	return out
}

// From the offer to the end: the number, the roles, what ends, what is held, who is told.
func TestHandover(t *testing.T) {
	for _, stays := range []bool{false, true} {
		storagetest.Each(t, func(t *testing.T, s *storage.Store) {
			h, ctx := newHouse(t, s), t.Context()
			h.must(s.MoveMerchantNo(ctx, h.merchant.No, h.owner.ID))
			heir := h.heir()
			session, grant, device := h.live(h.owner)
			_, theirs, _ := h.live(heir.User)
			hand := h.offered(stays)
			h.must(h.AcceptHandover(ctx, heir, hand.ID))
			due := h.now(hand.ID)
			if wait := due.DueAt.Sub(due.AcceptedAt); due.State != idp.HandoverCooling || wait != 24*time.Hour {
				t.Fatalf("%+v", due)
			}
			h.must(h.HandoversDue(ctx, due.DueAt.Add(-time.Microsecond)))
			if u := second1(s.User(ctx, heir.User.ID)); u.Role != idp.RoleManager || h.ended(grant) {
				t.Fatal("done before its time")
			}
			h.must(s.AddRecovery(ctx, &idp.Recovery{UserID: h.owner.ID, State: idp.RecoveryWaiting, StartedAt: time.Now(), DueAt: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}))
			for range 3 {
				h.must(h.HandoversDue(ctx, due.DueAt))
			}
			old, owner := second1(s.User(ctx, h.owner.ID)), second1(s.User(ctx, heir.User.ID))
			if owner.Role != idp.RoleOwner || owner.StoreID != "" || owner.Withholds(due.DueAt.Add(23*time.Hour)) != idp.WithholdPayee || owner.Withholds(due.DueAt.Add(25*time.Hour)) != idp.WithholdNothing {
				t.Errorf("new owner %+v", owner)
			}
			if stays && (old.Role != idp.RoleManager || old.Status != idp.UserActive || old.StoreID != "") || !stays && (old.Status != idp.UserLeft || old.Role != idp.RoleOwner) {
				t.Errorf("old owner %+v", old)
			}
			if named := second1(s.UserByIdentifier(ctx, idp.IdentifierMerchantNo, h.merchant.No)); named.ID != owner.ID {
				t.Error("the number names the old owner")
			}
			if ss := second1(s.Session(ctx, session)); ss.EndedAt.IsZero() || !h.ended(grant) || !h.ended(device) || h.ended(theirs) {
				t.Error("what the old owner allowed lives on, or the new one's does not")
			}
			if r := second1(s.RunningRecovery(ctx, h.owner.ID)); r != nil {
				t.Error("a recovery goes on through the change of owner")
			}
			for _, u := range []idp.User{old, owner} {
				for _, name := range []string{"owner.proposed", "owner.accepted", "owner.done"} {
					if n := len(h.events(storage.EventFilter{Subject: u.ID, Name: name})); n != 1 {
						t.Errorf("%d events %s of %s", n, name, u.Name)
					}
				}
				want := []string{"owner.done", "owner.soon", "owner.accepted", "owner.proposed"}
				if got := h.told(u); !slices.Equal(got, want) {
					if want = slices.Delete(want, 1, 2); !slices.Equal(got, want) { // by night: the reminder would come before the word
						t.Errorf("%s was told %v", u.Name, got)
					}
				}
			}
			wants(t, h.StopHandover(ctx, h.is(owner), hand.ID), idp.Conflict, "error.moved")
			h.offeredBy(owner)
		})
	}
}

// All of it is one act: what goes wrong at its very end leaves everything as it was, and
// done it moves neither store nor terminal nor anybody of the staff out of the shop.
func TestHandoverIsOneAct(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		h.must(s.MoveMerchantNo(ctx, h.merchant.No, h.owner.ID))
		heir := h.heir()
		session, grant, device := h.live(h.owner)
		hand := h.offered(false)
		h.must(h.AcceptHandover(ctx, heir, hand.ID))
		due := h.now(hand.ID).DueAt
		h.must(s.AddRecovery(ctx, &idp.Recovery{UserID: h.owner.ID, State: idp.RecoveryWaiting, StartedAt: time.Now(), DueAt: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}))
		shop := func() string {
			stores := second1(s.Stores(ctx, h.merchant.ID))
			terminals := second1(s.TerminalsBy(ctx, storage.TerminalFilter{Merchant: h.merchant.ID}, 10))
			staff := []string{}
			for _, u := range second1(s.Users(ctx, storage.UserFilter{Merchant: h.merchant.ID}, 10)) {
				staff = append(staff, u.ID)
			}
			slices.Sort(staff)
			if len(stores) != 1 || len(terminals) != 1 || len(staff) < 3 {
				t.Fatalf("%d stores, %d terminals, %d staff", len(stores), len(terminals), len(staff))
			}
			return fmt.Sprint(stores, terminals[0].ID, terminals[0].StoreID, terminals[0].State, staff)
		}
		before, real := shop(), h.Announce
		for fails := 1; fails <= 2; fails++ { // of the two who are told at the end
			n := 0
			h.Announce = func(ctx context.Context, u idp.User, a idp.Announcement) error {
				if a.Template == "owner.done" {
					if n++; n == fails {
						return errors.New("no room on the disk")
					}
				}
				return real(ctx, u, a)
			}
			if err := h.HandoversDue(ctx, due); err == nil {
				t.Fatal("the trouble is not told")
			}
			old, next := second1(s.User(ctx, h.owner.ID)), second1(s.User(ctx, heir.User.ID))
			named := second1(s.UserByIdentifier(ctx, idp.IdentifierMerchantNo, h.merchant.No))
			if old.Role != idp.RoleOwner || old.Status != idp.UserActive || next.Role != idp.RoleManager || next.StoreID != heir.User.StoreID || next.Withholds(due) != idp.WithholdNothing || named.ID != old.ID {
				t.Errorf("trouble %d: half done: %+v, %+v, the number names %s", fails, old, next, named.Name)
			}
			if ss := second1(s.Session(ctx, session)); !ss.EndedAt.IsZero() || h.ended(grant) || h.ended(device) || second1(s.RunningRecovery(ctx, old.ID)) == nil {
				t.Errorf("trouble %d: something of the old owner ended", fails)
			}
			if now := h.now(hand.ID); now.State != idp.HandoverCooling || len(h.events(storage.EventFilter{Name: "owner.done"})) != 0 || slices.Contains(h.told(old), "owner.done") || shop() != before {
				t.Errorf("trouble %d: %+v", fails, now)
			}
		}
		h.Announce = real
		h.must(h.HandoversDue(ctx, due))
		if owner := second1(s.User(ctx, heir.User.ID)); owner.Role != idp.RoleOwner || owner.MerchantID != h.merchant.ID || shop() != before {
			t.Errorf("%+v, the shop\n%s\nwas\n%s", owner, shop(), before)
		}
	})
}

// offeredBy: a new owner can hand the shop on once nothing is held any more.
func (h *house) offeredBy(owner idp.User) {
	h.t.Helper()
	in := NewHandover{Newcomer: NewUser{Name: "新人", Username: "next.one", Phone: "13800000077"}}
	wants(h.t, second(h.ProposeHandover(h.t.Context(), h.is(owner), in)), idp.Conflict, "handover.no.withheld")
	h.must(h.Store.Withhold(h.t.Context(), owner.ID, idp.WithholdNothing, time.Time{}))
	second1(h.ProposeHandover(h.t.Context(), h.is(owner), in))
}

// Every guard of every step.
func TestHandoverGuards(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, manager, cashier := h.is(h.owner), h.is(h.shop[idp.RoleManager]), h.is(h.shop[idp.RoleCashier])
		_, _, _, theirs := h.other()
		propose := func(a Actor, to string) error { return second(h.ProposeHandover(ctx, a, NewHandover{To: to})) }
		for _, to := range []string{h.owner.ID, cashier.User.ID, theirs[idp.RoleManager].ID, h.staff[idp.RoleAuditor].ID, "none"} {
			wants(t, propose(owner, to), idp.Invalid, "error.choose")
		}
		wants(t, propose(manager, manager.User.ID), idp.Forbidden, "error.forbidden")
		wants(t, second(h.ProposeHandover(ctx, owner, NewHandover{Newcomer: NewUser{Name: "x", Username: "no.channel"}})), idp.Invalid, "error.no_channel")
		for why, spoil := range h.spoils() {
			undo := spoil(h.owner.ID)
			if why != "role" {
				wants(t, propose(owner, manager.User.ID), idp.Conflict, "handover.no."+why)
			}
			undo()
			undo = spoil(manager.User.ID)
			wants(t, propose(owner, manager.User.ID), idp.Invalid, "error.choose")
			undo()
		}
		h.must(second(s.SetMerchantStatus(ctx, h.merchant.ID, idp.MerchantActive, idp.MerchantSuspended)))
		wants(t, propose(owner, manager.User.ID), idp.Forbidden, "error.merchant_suspended")
		h.must(second(s.SetMerchantStatus(ctx, h.merchant.ID, idp.MerchantSuspended, idp.MerchantActive)))
		hand := h.offered(false)
		wants(t, propose(owner, manager.User.ID), idp.Conflict, "handover.running")

		wants(t, h.AcceptHandover(ctx, manager, hand.ID), idp.Conflict, "handover.no.factor")
		manager = h.heir()
		other := h.is(h.hand(idp.RoleManager, h.merchant, h.store, "third.one"))
		wants(t, h.AcceptHandover(ctx, other, hand.ID), idp.NotFound, "error.notfound")
		wants(t, h.StopHandover(ctx, other, hand.ID), idp.NotFound, "error.notfound")
		wants(t, h.AcceptHandover(ctx, h.is(theirs[idp.RoleManager]), hand.ID), idp.NotFound, "error.notfound")
		wants(t, h.StopHandover(ctx, h.is(theirs[idp.RoleOwner]), hand.ID), idp.NotFound, "error.notfound")
		wants(t, h.AcceptHandover(ctx, owner, hand.ID), idp.Forbidden, "error.forbidden")
		for why, spoil := range h.spoils() {
			for _, id := range []string{h.owner.ID, manager.User.ID} {
				undo := spoil(id)
				wants(t, h.AcceptHandover(ctx, manager, hand.ID), idp.Conflict, "handover.no."+why)
				undo()
			}
		}
		h.must(h.AcceptHandover(ctx, manager, hand.ID))
		wants(t, h.AcceptHandover(ctx, manager, hand.ID), idp.Conflict, "error.moved")
	})
}

// spoils are what makes somebody unable to give or take, and back, by the reason.
func (h *house) spoils() map[string]func(id string) (undo func()) {
	ctx, s := h.t.Context(), h.Store
	return map[string]func(id string) func(){
		"locked": func(id string) func() {
			h.must(second(s.LockUser(ctx, id, "x")))
			return func() { h.must(second(s.UnlockUser(ctx, id))) }
		},
		"frozen": func(id string) func() {
			h.must(second(s.FreezeUser(ctx, id, time.Now())))
			return func() { h.must(second(s.UnfreezeUser(ctx, id))) }
		},
		"disabled": func(id string) func() {
			h.must(second(s.SetUserStatus(ctx, id, idp.UserActive, idp.UserDisabled)))
			return func() { h.must(second(s.SetUserStatus(ctx, id, idp.UserDisabled, idp.UserActive))) }
		},
		"withheld": func(id string) func() {
			h.must(s.Withhold(ctx, id, idp.WithholdPayee, time.Now().Add(time.Hour)))
			return func() { h.must(s.Withhold(ctx, id, idp.WithholdNothing, time.Time{})) }
		},
		"left": func(id string) func() {
			h.must(s.SetLeaving(ctx, id, time.Now().Add(time.Hour)))
			return func() { h.must(s.SetLeaving(ctx, id, time.Time{})) }
		},
		"role": func(id string) func() {
			u := second1(s.User(ctx, id))
			cashier := u
			cashier.Role = idp.RoleCashier
			h.must(second(s.PlaceUser(ctx, cashier, u)))
			return func() { h.must(second(s.PlaceUser(ctx, u, cashier))) }
		},
	}
}

// What stops a hand-over: its people, whatever makes one of them another than he was, what
// is found at the end, and time.
func TestHandoverStops(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, heir := h.is(h.owner), h.heir()
		support := h.as(idp.RoleSupportSupervisor)
		undo := func(from idp.UserStatus) func() {
			return func() { h.must(second(s.SetUserStatus(ctx, heir.User.ID, from, idp.UserActive))) }
		}
		for cause, stop := range map[string]struct {
			do   func(id string) error
			undo func()
		}{
			"stopped":  {func(id string) error { return h.StopHandover(ctx, heir, id) }, func() {}},
			"locked":   {func(string) error { return h.LockUser(ctx, support, h.owner.ID) }, func() { h.must(second(s.UnlockUser(ctx, h.owner.ID))) }},
			"disabled": {func(string) error { return h.DisableUser(ctx, owner, heir.User.ID) }, undo(idp.UserDisabled)},
			"left":     {func(string) error { return h.RemoveStaff(ctx, owner, heir.User.ID) }, undo(idp.UserLeft)},
			"role": {func(string) error { return h.ChangeRole(ctx, owner, heir.User.ID, idp.RoleCashier, h.store.ID) }, func() {
				h.must(h.ChangeRole(ctx, owner, heir.User.ID, idp.RoleManager, h.store.ID))
			}},
		} {
			for _, accepted := range []bool{false, true} {
				hand := h.offered(true)
				if accepted {
					h.must(h.AcceptHandover(ctx, heir, hand.ID))
				}
				h.must(stop.do(hand.ID))
				got := h.now(hand.ID)
				list := h.events(storage.EventFilter{Subject: h.owner.ID, Name: "owner.stopped"})
				if got.State != idp.HandoverStopped || got.Cause != cause || list[0].Data["handover"] != hand.ID || !slices.Contains(h.told(h.owner)[:2], "owner.stopped") {
					t.Errorf("%s: %+v, told %v", cause, got, h.told(h.owner))
				}
				stop.undo()
				wants(t, h.StopHandover(ctx, owner, hand.ID), idp.Conflict, "error.moved")
				h.must(h.HandoversDue(ctx, time.Now().Add(100*time.Hour)))
				if u := second1(s.User(ctx, h.owner.ID)); u.Role != idp.RoleOwner {
					t.Fatalf("%s: done all the same", cause)
				}
			}
		}
		// Found at the end: nobody took note of it when it happened.
		for why, spoil := range h.spoils() {
			for _, id := range []string{h.owner.ID, heir.User.ID} {
				hand := h.offered(true)
				h.must(h.AcceptHandover(ctx, heir, hand.ID))
				back := spoil(id)
				if why == "withheld" {
					h.must(s.Withhold(ctx, id, idp.WithholdPayee, time.Now().Add(100*time.Hour)))
				}
				h.must(h.HandoversDue(ctx, h.now(hand.ID).DueAt))
				if got := h.now(hand.ID); got.State != idp.HandoverStopped || got.Cause != why {
					t.Errorf("%s: %+v", why, got)
				}
				back()
			}
		}
		hand := h.offered(true)
		h.must(h.HandoversDue(ctx, hand.DueAt.Add(-time.Microsecond)))
		if got := h.now(hand.ID); got.State != idp.HandoverProposed {
			t.Errorf("expired early: %+v", got)
		}
		h.must(h.HandoversDue(ctx, hand.DueAt))
		if got := h.now(hand.ID); got.State != idp.HandoverExpired {
			t.Errorf("nobody accepted: %+v", got)
		}
		wants(t, h.AcceptHandover(ctx, heir, hand.ID), idp.Conflict, "error.moved")
	})
}

// Of accepts, stops and ends at the same time one comes to something, and it is whole.
func TestHandoverAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, heir := h.is(h.owner), h.heir()
		all := func(acts ...func() error) (won int) {
			var wait sync.WaitGroup
			var mu sync.Mutex
			for _, act := range acts {
				for range 4 {
					wait.Go(func() {
						err := act()
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							won++
						} else if idp.KindOf(err) != idp.Conflict {
							t.Errorf("%v", err)
						}
					})
				}
			}
			wait.Wait()
			return won
		}
		propose := func() error { return second(h.ProposeHandover(ctx, owner, NewHandover{To: heir.User.ID})) }
		if n := all(propose); n != 1 {
			t.Fatalf("%d proposals", n)
		}
		hand := *second1(s.RunningHandover(ctx, h.merchant.ID))
		if n := all(func() error { return h.AcceptHandover(ctx, heir, hand.ID) }); n != 1 {
			t.Errorf("accepted %d times", n)
		}
		due := h.now(hand.ID).DueAt
		end := func() error {
			return errors.Join(h.HandoversDue(ctx, due), idp.Errorf(idp.Conflict, "counted by what it leaves"))
		}
		stops := all(end, func() error { return h.StopHandover(ctx, owner, hand.ID) }, func() error { return h.StopHandover(ctx, heir, hand.ID) })
		got, old, heirNow := h.now(hand.ID), second1(s.User(ctx, h.owner.ID)), second1(s.User(ctx, heir.User.ID))
		done := got.State == idp.HandoverDone && stops == 0 && old.Status == idp.UserLeft && heirNow.Role == idp.RoleOwner
		stopped := got.State == idp.HandoverStopped && stops == 1 && old.Role == idp.RoleOwner && old.Status == idp.UserActive && heirNow.Role == idp.RoleManager
		if !done && !stopped {
			t.Errorf("%d stops: %+v\n%+v\n%+v", stops, got, old, heirNow)
		}
		if n := len(h.events(storage.EventFilter{Subject: h.owner.ID, Names: []string{"owner.done", "owner.stopped"}})); n != 1 {
			t.Errorf("%d ends", n)
		}
	})
}

// A new person is invited as a manager, takes the shop, or leaves again.
func TestHandoverToANewcomer(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner := h.is(h.owner)
		invite := func(login, phone string) (idp.Handover, Actor) {
			hand := second1(h.ProposeHandover(ctx, owner, NewHandover{Newcomer: NewUser{Name: "何东", Role: idp.RolePolicyAdmin, Username: login, Phone: phone}}))
			u := second1(s.User(ctx, hand.To))
			if u.Role != idp.RoleManager || u.Status != idp.UserInvited || u.MerchantID != h.merchant.ID || !hand.Joined {
				t.Fatalf("%+v of %+v", u, hand)
			}
			return hand, h.is(u)
		}
		hand, u := invite("he.dong", "13800000031")
		wants(t, h.AcceptHandover(ctx, u, hand.ID), idp.Conflict, "handover.no.disabled") // he has not come yet
		h.must(second(s.SetUserStatus(ctx, u.User.ID, idp.UserInvited, idp.UserActive)))
		h.must(s.AddCredential(ctx, &idp.Credential{UserID: u.User.ID, Method: idp.MethodPasskey, Data: []byte("{}"), Lookup: []byte("k")}))
		session, _, _ := h.live(u.User)
		h.must(h.AcceptHandover(ctx, u, hand.ID))
		r := idp.Recovery{UserID: u.User.ID, State: idp.RecoveryWaiting, Lost: idp.LostPassword, StartedAt: time.Now(), DueAt: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}
		h.must(s.AddRecovery(ctx, &r))
		h.must(h.StopHandover(ctx, owner, hand.ID))
		if got := second1(s.Recovery(ctx, r.ID)); got.State != idp.RecoveryVoid {
			t.Errorf("who has left waits: %s", got.State)
		}
		if ss := second1(s.Session(ctx, session)); second1(s.User(ctx, u.User.ID)).Status != idp.UserLeft || ss.EndedAt.IsZero() {
			t.Error("who was invited for nothing else stays")
		}
		again, u := invite("he.xi", "13800000032")
		h.must(h.HandoversDue(ctx, again.DueAt))
		if second1(s.User(ctx, u.User.ID)).Status != idp.UserLeft {
			t.Error("who did not come in time stays")
		}
		wants(t, second(h.ProposeHandover(ctx, owner, NewHandover{Newcomer: NewUser{Name: "x", Username: "lin.wei", Phone: "13800000033"}})), idp.Conflict, "error.taken")
	})
}

// Where the owner is gone two of the operator's staff speak for him, of two shifts; the new
// owner still accepts, and it takes three days.
func TestHandoverByCase(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		heir, admin, super := h.heir(), h.as(idp.RolePolicyAdmin), h.as(idp.RoleSupportSupervisor)
		in := NewHandover{To: heir.User.ID, Stays: true, Seen: []string{"gone", "licence"}}
		h.must(second(s.LockUser(ctx, h.owner.ID, "died")))
		wants(t, second(h.AskHandover(ctx, h.as(idp.RoleSupportAgent), h.merchant.ID, in)), idp.Forbidden, "error.forbidden")
		wants(t, second(h.AskHandover(ctx, super, h.merchant.ID, NewHandover{To: h.shop[idp.RoleCashier].ID, Seen: in.Seen})), idp.Invalid, "error.choose")
		for _, seen := range [][]string{nil, {"gone"}, {"gone", "gone"}, {"gone", "my word"}} {
			wants(t, second(h.AskHandover(ctx, super, h.merchant.ID, NewHandover{To: heir.User.ID, Seen: seen})), idp.Invalid, "handover.few_papers")
		}
		if got := h.told(h.owner); len(got) != 0 {
			t.Errorf("told %v of what was refused", got)
		}
		c := second1(h.AskHandover(ctx, super, h.merchant.ID, in))
		if got := h.told(h.owner); !slices.Equal(got, []string{"case.handover"}) {
			t.Errorf("the old owner was told %v", got)
		}
		if got := Asked(second1(s.Case(ctx, c.ID))).Seen; !slices.Equal(got, in.Seen) {
			t.Errorf("seen %v", got)
		}
		wants(t, second(h.AskHandover(ctx, super, h.merchant.ID, in)), idp.Conflict, "handover.asked")
		wants(t, second(h.DecideHandover(ctx, super, c.ID, true)), idp.Forbidden, "error.case_opener")
		wants(t, second(h.DecideHandover(ctx, h.is(h.owner), c.ID, true)), idp.Forbidden, "error.forbidden")
		wants(t, second(h.DecideHandover(ctx, admin, c.ID, true)), idp.Forbidden, "error.case_no_team")
		h.works(super, "night")
		h.works(admin, "night")
		for _, approve := range []bool{true, false} {
			wants(t, second(h.DecideHandover(ctx, admin, c.ID, approve)), idp.Forbidden, "error.case_team")
		}
		h.works(admin, "")
		second1(h.DecideHandover(ctx, admin, c.ID, false))
		if got := second1(s.Case(ctx, c.ID)); got.State != idp.CaseClosed || got.Outcome != idp.OutcomeRefused || got.DecidedBy != admin.User.ID || second1(s.RunningHandover(ctx, h.merchant.ID)) != nil {
			t.Error("refused, and it goes on")
		}
		c = second1(h.AskHandover(ctx, super, h.merchant.ID, in))
		hand := second1(h.DecideHandover(ctx, admin, c.ID, true))
		wants(t, second(h.DecideHandover(ctx, admin, c.ID, true)), idp.Conflict, "error.moved")
		if got := second1(s.Case(ctx, c.ID)); got.Outcome != idp.OutcomeApproved || got.DecidedBy != admin.User.ID || got.Approved() {
			t.Errorf("%+v: it gives no link", got)
		}
		if hand.Stays || hand.Case != c.ID || hand.From != h.owner.ID || h.told(h.owner)[0] != "owner.proposed" {
			t.Errorf("%+v, told %v", hand, h.told(h.owner))
		}
		wants(t, second(h.AskHandover(ctx, super, h.merchant.ID, in)), idp.Conflict, "handover.running")
		h.must(h.AcceptHandover(ctx, heir, hand.ID))
		got := h.now(hand.ID)
		if wait := got.DueAt.Sub(got.AcceptedAt); wait != 72*time.Hour {
			t.Errorf("waits %v", wait)
		}
		h.must(h.HandoversDue(ctx, got.DueAt))
		if old := second1(s.User(ctx, h.owner.ID)); old.Status != idp.UserLeft || second1(s.User(ctx, heir.User.ID)).Role != idp.RoleOwner {
			t.Errorf("%+v of %+v", old, h.now(hand.ID))
		}
		notme := idp.Case{Kind: "notme", UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedBy: h.staff[idp.RoleSupportAgent].ID, OpenedAt: time.Now(), DueAt: time.Now()}
		h.must(s.OpenCase(ctx, &notme))
		for _, approve := range []bool{true, false} {
			wants(t, second(h.DecideHandover(ctx, super, notme.ID, approve)), idp.NotFound, "error.notfound")
		}
	})
}

// works puts one of the operator's people into a shift.
func (h *house) works(a Actor, shift string) {
	h.t.Helper()
	h.must(h.Store.SetTeam(h.t.Context(), a.User.ID, shift))
}

// A recovery that waits was decided for who somebody was: whatever makes him another ends it.
func TestRecoveryEndsWithTheRole(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, admin := h.is(h.owner), h.as(idp.RolePolicyAdmin)
		hand := func(login string) idp.User { return h.hand(idp.RoleCashier, h.merchant, h.store, login) }
		elsewhere := idp.Merchant{No: "822290059430078", LegalName: "别家", Tier: idp.TierStandard, Status: idp.MerchantActive}
		h.must(s.CreateMerchant(ctx, &elsewhere))
		waits := func(u idp.User) idp.Recovery {
			r := idp.Recovery{UserID: u.ID, State: idp.RecoveryWaiting, Lost: idp.LostPassword, StartedAt: time.Now(), DueAt: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}
			h.must(s.AddRecovery(ctx, &r))
			h.must(s.CreateLink(ctx, []byte(r.ID), idp.Link{Kind: idp.LinkCase, UserID: u.ID, CreatedAt: r.StartedAt, ExpiresAt: r.Until}))
			return r
		}
		agent, super := h.as(idp.RoleSupportAgent), h.as(idp.RoleSupportSupervisor)
		other := waits(h.user(idp.RoleOwner, elsewhere.ID, "other.shop"))
		for _, c := range []struct {
			cause string
			who   []idp.User
			act   func(u idp.User)
		}{
			{"role", []idp.User{hand("role.one")}, func(u idp.User) { h.must(h.ChangeRole(ctx, owner, u.ID, idp.RoleManager, h.store.ID)) }},
			{"left", []idp.User{hand("left.one")}, func(u idp.User) { h.must(h.RemoveStaff(ctx, owner, u.ID)) }},
			{"locked", []idp.User{hand("locked.one")}, func(u idp.User) {
				h.must(h.LockUser(ctx, agent, u.ID))
				h.must(h.UnlockUser(ctx, super, u.ID))
			}},
			{"disabled", []idp.User{hand("disabled.one")}, func(u idp.User) {
				h.must(h.DisableUser(ctx, super, u.ID))
				h.must(s.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte("x")}))
				h.must(h.EnableUser(ctx, super, u.ID))
			}},
			{"tier", []idp.User{hand("tier.one"), h.shop[idp.RoleManager], h.owner}, func(idp.User) {
				h.must(h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierStandard, idp.TierHighValue}))
			}},
			{"tier", []idp.User{hand("tier.two")}, func(idp.User) {
				h.agreed(h.ChangeTier(ctx, admin, NewTier{h.merchant.ID, idp.TierHighValue, idp.TierStandard}))
			}},
			{"role", []idp.User{h.user(idp.RoleSupportAgent, "", "agent.two")}, func(u idp.User) {
				h.agreed(h.ChangeStaffRole(ctx, admin, NewRole{u.ID, u.Role, idp.RoleAuditor}))
			}},
			{"owner", []idp.User{h.owner, h.shop[idp.RoleManager]}, func(idp.User) {
				heir := h.heir()
				id := h.offered(true).ID
				h.must(h.AcceptHandover(ctx, heir, id))
				h.must(h.HandoversDue(ctx, h.now(id).DueAt))
			}},
		} {
			var ran []idp.Recovery
			for _, u := range c.who {
				ran = append(ran, waits(u))
			}
			c.act(c.who[0])
			for _, r := range ran {
				list := h.events(storage.EventFilter{Subject: r.UserID, Name: "recovery.stopped"})
				if got := second1(s.Recovery(ctx, r.ID)); got.State != idp.RecoveryVoid || len(list) == 0 || list[0].Data["cause"] != c.cause {
					t.Errorf("%s: %+v, %v", c.cause, got, list)
				}
				if _, err := s.Link(ctx, []byte(r.ID), idp.LinkCase, time.Now()); (err == nil) != (c.cause == "tier") { // whose wait is the new tier's
					t.Errorf("%s: the link of a case, %v", c.cause, err)
				}
			}
		}
		if got := second1(s.Recovery(ctx, other.ID)); got.State != idp.RecoveryWaiting {
			t.Error("the recovery of another shop ended, too")
		}
	})
}
