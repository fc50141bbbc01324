package manage

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// people gives a merchant a manager and a cashier in a store.
func (h *house) people(m idp.Merchant, st idp.Store, owner idp.User) map[idp.Role]idp.User {
	h.t.Helper()
	shop := map[idp.Role]idp.User{idp.RoleOwner: owner}
	for _, role := range []idp.Role{idp.RoleManager, idp.RoleCashier} {
		shop[role] = h.hand(role, m, st, string(role)+"."+m.No[12:])
	}
	return shop
}

// hand is somebody who works in a store.
func (h *house) hand(role idp.Role, m idp.Merchant, st idp.Store, login string) idp.User {
	h.t.Helper()
	u := idp.User{Name: login, Language: "zh-CN", Role: role, MerchantID: m.ID, StoreID: st.ID, Status: idp.UserActive}
	h.must(h.Store.CreateUser(h.t.Context(), &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: login},
		&idp.Identifier{Kind: idp.IdentifierEmail, Value: login + "@example.com", VerifiedAt: time.Now()}))
	return u
}

func (h *house) is(u idp.User) Actor {
	return Actor{User: u, Session: "s1", Network: "112.5.6.0/24", Reason: "talked about it on 10 March"}
}

func (h *house) branch(m idp.Merchant, name string) idp.Store {
	h.t.Helper()
	st := idp.Store{MerchantID: m.ID, Name: name}
	h.must(h.Store.CreateStore(h.t.Context(), &st))
	return st
}

func (h *house) device(m idp.Merchant, st idp.Store, serial string, state idp.TerminalState) idp.Terminal {
	h.t.Helper()
	d := idp.Terminal{Serial: serial, Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: m.ID, StoreID: st.ID, State: state, LastSeenAt: time.Now()}
	h.must(h.Store.CreateTerminal(h.t.Context(), &d))
	return d
}

// other is a second merchant with all that the first has.
func (h *house) other() (idp.Merchant, idp.Store, idp.Terminal, map[idp.Role]idp.User) {
	h.t.Helper()
	m := idp.Merchant{No: "822290059430002", LegalName: "建国五金", Tier: idp.TierStandard, Status: idp.MerchantActive}
	h.must(h.Store.CreateMerchant(h.t.Context(), &m))
	st := h.branch(m, "五四路店")
	owner := h.user(idp.RoleOwner, m.ID, "zhaojg68")
	return m, st, h.device(m, st, "HF20269999", idp.TerminalActive), h.people(m, st, owner)
}

// Allowed, for every role, action and place of a thing: what the table's scope says.
func TestScopes(t *testing.T) {
	for _, act := range Actions() {
		for _, role := range idp.Roles {
			u := idp.User{ID: "u", Role: role, MerchantID: "m", StoreID: "s"}
			if role.Operator() {
				u.MerchantID, u.StoreID = "", ""
			}
			r := May(role, act)
			for _, of := range []Target{{}, {"m", ""}, {"m", "s"}, {"m", "s2"}, {"m2", ""}, {"m2", "s"}} {
				want := r.Level() != No && (r.Scope() == Everything || of.Merchant == "m" && (r.Scope() == OwnMerchant || of.Store == "s"))
				err := Allowed(u, act, of)
				if (err == nil) != want {
					t.Errorf("%s by %s of %v: %v", act, role, of, err)
				}
				if kind := idp.KindOf(err); err != nil && (kind == idp.Forbidden) != (r.Level() == No) {
					t.Errorf("%s by %s of %v: kind %d", act, role, of, kind)
				}
			}
			// Somebody of a merchant whose merchant is not known has nothing.
			if lost := (idp.User{Role: role}); !role.Operator() && (Allowed(lost, act, Target{}) == nil || Check(lost, act) == nil) {
				t.Errorf("%s by %s of no merchant is allowed", act, role)
			}
		}
	}
	if Allowed(idp.User{Role: idp.RoleManager, MerchantID: "m"}, TerminalStop, Target{"m", "s2"}) != nil {
		t.Error("a manager of all stores has not all of them")
	}
}

// Whatever belongs to merchant B does not exist for merchant A's people, whichever act
// they try on it; nor does another store's for a manager.
func TestTwoMerchants(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		m, st, device, staff := h.other()
		far := h.branch(h.merchant, "东街店")
		there := h.device(h.merchant, far, "HF20268888", idp.TerminalActive)
		farther := h.hand(idp.RoleCashier, h.merchant, far, "far.cashier")
		type thing struct {
			merchant, store, terminal string
			user                      idp.User
		}
		foreign := []thing{{m.ID, st.ID, device.ID, staff[idp.RoleOwner]}, {m.ID, st.ID, device.ID, staff[idp.RoleManager]}, {m.ID, st.ID, device.ID, staff[idp.RoleCashier]},
			{m.ID, st.ID, device.ID, h.staff[idp.RoleAuditor]}, {m.ID, st.ID, device.ID, h.staff[idp.RolePolicyAdmin]}}
		for role, things := range map[idp.Role][]thing{idp.RoleOwner: foreign, idp.RoleManager: append(slices.Clone(foreign), thing{h.merchant.ID, far.ID, there.ID, farther}),
			idp.RoleCashier: append(slices.Clone(foreign), thing{h.merchant.ID, far.ID, there.ID, farther})} {
			before := len(h.events(storage.EventFilter{}))
			for _, x := range things {
				a := h.is(h.shop[role])
				for act, call := range map[Action]func() error{
					MerchantView: func() error { return h.LookAtMerchant(ctx, a, x.merchant) }, StoreNew: func() error { return second(h.CreateStore(ctx, a, x.merchant, "x", "")) },
					StoreRename: func() error { return h.RenameStore(ctx, a, x.store, "x", "") }, TerminalStop: func() error { return h.SuspendTerminal(ctx, a, x.terminal) },
					TerminalLost: func() error { return h.LoseTerminal(ctx, a, x.terminal) }, TerminalEnd: func() error { return h.RetireTerminal(ctx, a, x.terminal) },
					TerminalBack: func() error { return h.ReturnTerminal(ctx, a, x.terminal) }, TerminalFound: func() error { return h.FoundTerminal(ctx, a, x.terminal) },
					UserView: func() error { return h.Look(ctx, a, x.user.ID) }, UserInvite: func() error { return h.InviteAgain(ctx, a, x.user.ID) },
					UserEnd: func() error { return h.EndSessions(ctx, a, x.user.ID) }, UserDisable: func() error { return h.DisableUser(ctx, a, x.user.ID) },
					UserEnable: func() error { return h.EnableUser(ctx, a, x.user.ID) }, UserLeave: func() error { return h.RemoveStaff(ctx, a, x.user.ID) },
					RoleChange: func() error { return h.ChangeRole(ctx, a, x.user.ID, idp.RoleCashier, "") },
				} {
					err := call()
					want := idp.NotFound
					if May(role, act) == No {
						want = idp.Forbidden
					}
					if err == nil || idp.KindOf(err) != want {
						t.Errorf("%s by A's %s on %s: %v", act, role, x.user.Name, err)
					}
				}
				if MayOnUser(a.User, x.user, UserEnd) {
					t.Errorf("%s is offered %s", role, x.user.Name)
				}
			}
			if after := len(h.events(storage.EventFilter{})); after != before {
				t.Errorf("%d events of what was refused to the %s", after-before, role)
			}
		}
		// No store of another's is a place to put somebody.
		for _, store := range []string{st.ID, "none", "x\x00\xff"} {
			owner := h.is(h.owner)
			wants(t, second(h.InviteStaff(ctx, owner, hire("new.one"), store)), idp.Invalid, "error.choose")
			wants(t, h.ChangeRole(ctx, owner, h.shop[idp.RoleCashier].ID, idp.RoleCashier, store), idp.Invalid, "error.choose")
		}
		for _, store := range []string{st.ID, far.ID, ""} {
			wants(t, second(h.InviteStaff(ctx, h.is(h.shop[idp.RoleManager]), hire("new.one"), store)), idp.Invalid, "error.choose")
		}
	})
}

func hire(login string) NewUser {
	return NewUser{Name: "新人", Role: idp.RoleCashier, Username: login, Email: login + "@example.com"}
}

// A merchant's people act on those below them alone, and never on themselves.
func TestBelow(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	peer := h.hand(idp.RoleManager, h.merchant, h.store, "peer")
	second := h.user(idp.RoleOwner, h.merchant.ID, "second.owner")
	for _, c := range []struct {
		actor, on idp.User
		msg       string
	}{{h.owner, h.owner, "error.self"}, {h.owner, second, "error.above"}, {h.shop[idp.RoleManager], h.shop[idp.RoleManager], "error.self"}, {h.shop[idp.RoleManager], peer, "error.above"}} {
		for name, call := range map[string]func(context.Context, Actor, string) error{"disable": h.DisableUser, "end": h.EndSessions, "leave": h.RemoveStaff, "invite": h.InviteAgain} {
			if err := call(ctx, h.is(c.actor), c.on.ID); idp.KindOf(err) != idp.Forbidden || err.Error() != c.msg {
				t.Errorf("%s of %s by %s: %v", name, c.on.Name, c.actor.Name, err)
			}
		}
	}
	wants(t, h.EndSessions(ctx, h.is(h.shop[idp.RoleManager]), h.owner.ID), idp.NotFound, "error.notfound") // in no store
	wants(t, h.ChangeRole(ctx, h.is(h.owner), h.shop[idp.RoleCashier].ID, idp.RoleOwner, ""), idp.Invalid, "error.choose")
	wants(t, h.ChangeRole(ctx, h.is(h.owner), h.shop[idp.RoleCashier].ID, idp.RolePolicyAdmin, ""), idp.Invalid, "error.choose")
}

func TestShopInvites(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, manager := h.is(h.owner), h.is(h.shop[idp.RoleManager])
		owner.Reason = "" // none is owed
		in := hire("new.manager")
		in.Role = idp.RoleManager
		u, err := h.InviteStaff(ctx, owner, in, h.store.ID)
		h.must(err)
		if got, _ := s.User(ctx, u.ID); got.Role != idp.RoleManager || got.MerchantID != h.merchant.ID || got.StoreID != h.store.ID || got.Status != idp.UserInvited {
			t.Errorf("invited %+v", got)
		}
		if e := h.events(storage.EventFilter{Subject: u.ID, Name: "staff.invited"}); len(e) != 1 || e[0].Actor != h.owner.ID || e[0].Store != h.store.ID {
			t.Errorf("events %v", e)
		}
		if got := h.messages(u); len(got) != 1 || got[0].Template != "invite" || got[0].To != "new.manager@example.com" {
			t.Errorf("messages %v", got)
		}
		in.Username, in.Email = "x.manager", "x.manager@example.com"
		wants(t, second(h.InviteStaff(ctx, manager, in, h.store.ID)), idp.Forbidden, "error.forbidden")
		wants(t, second(h.InviteStaff(ctx, owner, hire("new.manager"), h.store.ID)), idp.Conflict, "error.taken.username")
		for _, role := range []idp.Role{idp.RoleOwner, idp.RoleAuditor, ""} {
			in.Role = role
			wants(t, second(h.InviteStaff(ctx, owner, in, "")), idp.Invalid, "error.choose")
			wants(t, second(h.InviteStaff(ctx, h.is(h.shop[idp.RoleCashier]), in, "")), idp.Forbidden, "error.forbidden")
		}
		abroad := NewUser{Name: "x", Role: idp.RoleCashier, Username: "abroad", Phone: "+4915112345678"}
		wants(t, second(h.InviteStaff(ctx, owner, abroad, "")), idp.Invalid, "error.country")
		h.must(h.InviteAgain(ctx, manager, second1(h.InviteStaff(ctx, manager, hire("again"), h.store.ID)).ID))
		for i := range h.Policy.Now().Sends.NetworkDay.Burst {
			if _, err = h.InviteStaff(ctx, manager, hire(fmt.Sprintf("hand%d", i)), h.store.ID); err != nil {
				break
			}
		}
		wants(t, err, idp.Conflict, "error.invite_limit")
		wants(t, h.InviteAgain(ctx, owner, u.ID), idp.Conflict, "error.invite_limit")
		h.must(h.InviteAgain(ctx, h.as(idp.RoleSupportAgent), u.ID))
	})
}

// docs/permissions.md holds the table as it is; HUFU_TEST_WRITE=1 writes it anew.
func TestDocumentIsTheTable(t *testing.T) {
	const file = "../../docs/permissions.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(text), "| action |")
	if !ok {
		t.Fatal("no table")
	}
	marks := map[Right]string{No: "–", Yes: "✓", Reason: "r", Four: "4", yesM: "m", whyM: "m r", yesS: "s", whyS: "s r"}
	want := head + "| action | owner | manager | cashier | policy_admin | support_agent | support_supervisor | auditor |\n|---|---|---|---|---|---|---|---|\n"
	all := Actions()
	slices.Sort(all)
	for _, act := range all {
		want += "| `" + string(act) + "` |"
		for _, role := range idp.Roles {
			want += " " + marks[May(role, act)] + " |"
		}
		want += "\n"
	}
	if os.Getenv("HUFU_TEST_WRITE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("docs/permissions.md is not the table: run this test with HUFU_TEST_WRITE=1")
	}
}

func second1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRoleAndStore(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, cashier := h.is(h.owner), h.shop[idp.RoleCashier]
		far := h.branch(h.merchant, "东街店")
		session, grant, device := h.live(cashier)
		wants(t, h.ChangeRole(ctx, owner, cashier.ID, idp.RoleCashier, h.store.ID), idp.Invalid, "error.same")
		wants(t, h.ChangeRole(ctx, h.is(h.shop[idp.RoleManager]), cashier.ID, idp.RoleManager, h.store.ID), idp.Forbidden, "error.forbidden")
		start := time.Now()
		h.must(h.ChangeRole(ctx, owner, cashier.ID, idp.RoleManager, h.store.ID)) // more: nothing ends
		if u, _ := s.User(ctx, cashier.ID); u.Role != idp.RoleManager || u.GraceFrom.Before(start.Truncate(time.Microsecond)) || h.ended(grant) || h.ended(device) {
			t.Errorf("now %+v", u)
		}
		h.must(h.ChangeRole(ctx, owner, cashier.ID, idp.RoleManager, far.ID)) // elsewhere: all ends
		if ss, _ := s.Session(ctx, session); ss.EndedAt.IsZero() || !h.ended(grant) || !h.ended(device) {
			t.Error("something lives on")
		}
		_, grant, _ = h.live(cashier)
		h.must(h.ChangeRole(ctx, owner, cashier.ID, idp.RoleCashier, far.ID)) // less: all ends
		list := h.events(storage.EventFilter{Subject: cashier.ID, Name: "staff.role"})
		if u, _ := s.User(ctx, cashier.ID); u.Role != idp.RoleCashier || u.StoreID != far.ID || !h.ended(grant) || len(list) != 3 || list[0].Data["was"] != "manager" {
			t.Errorf("now %+v, events %v", u, list)
		}
		if got := h.messages(cashier); len(got) != 3 || got[0].Template != "staff.role" {
			t.Errorf("told %v", got)
		}
	})
}

func TestLeaving(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		manager, cashier := h.is(h.shop[idp.RoleManager]), h.shop[idp.RoleCashier]
		session, grant, device := h.live(cashier)
		silent := manager
		silent.Reason = ""
		wants(t, h.RemoveStaff(ctx, silent, cashier.ID), idp.Invalid, "reason.empty")
		h.must(h.RemoveStaff(ctx, manager, cashier.ID))
		if ss, _ := s.Session(ctx, session); ss.EndedAt.IsZero() || !h.ended(grant) || !h.ended(device) {
			t.Error("something lives on")
		}
		if u, _ := s.User(ctx, cashier.ID); u.Status != idp.UserLeft || u.Reason(time.Now()) != "left" {
			t.Errorf("stands at %s", u.Status)
		}
		if got := h.messages(cashier); len(got) != 1 || got[0].Template != "staff.left" {
			t.Errorf("told %v", got)
		}
		if e := h.events(storage.EventFilter{Subject: cashier.ID, Name: "staff.left"}); len(e) != 1 || e[0].Reason != manager.Reason {
			t.Errorf("events %v", e)
		}
		for name, call := range map[string]func(context.Context, Actor, string) error{"leave": h.RemoveStaff, "enable": h.EnableUser, "disable": h.DisableUser, "invite": h.InviteAgain} {
			if err := call(ctx, manager, cashier.ID); idp.KindOf(err) != idp.Conflict {
				t.Errorf("%s of who has left: %v", name, err)
			}
		}
		fresh, err := h.InviteStaff(ctx, manager, hire("late"), h.store.ID)
		h.must(err)
		h.must(h.RemoveStaff(ctx, manager, fresh.ID))
	})
}

// What the operator has disabled its merchant does not enable.
func TestWhoEnables(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx, cashier := t.Context(), h.shop[idp.RoleCashier]
	h.must(h.Store.AddCredential(ctx, &idp.Credential{UserID: cashier.ID, Method: idp.MethodPassword, Data: []byte("x")}))
	h.must(h.DisableUser(ctx, h.as(idp.RoleSupportSupervisor), cashier.ID))
	wants(t, h.EnableUser(ctx, h.is(h.owner), cashier.ID), idp.Forbidden, "error.disabled_by_operator")
	h.must(h.EnableUser(ctx, h.as(idp.RoleSupportSupervisor), cashier.ID))
	h.must(h.DisableUser(ctx, h.is(h.shop[idp.RoleManager]), cashier.ID))
	h.must(h.EnableUser(ctx, h.is(h.owner), cashier.ID))
	if u, _ := h.Store.User(ctx, cashier.ID); u.Status != idp.UserActive {
		t.Errorf("stands at %s", u.Status)
	}
}

func TestShopTerminals(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		owner, manager, cashier := h.is(h.owner), h.is(h.shop[idp.RoleManager]), h.is(h.shop[idp.RoleCashier])
		_, _, device := h.live(h.owner)
		h.must(h.SuspendTerminal(ctx, manager, h.terminal.ID))
		wants(t, h.FoundTerminal(ctx, owner, h.terminal.ID), idp.Conflict, "error.moved")
		h.must(h.ReturnTerminal(ctx, manager, h.terminal.ID))
		if d, _ := s.Terminal(ctx, h.terminal.ID); d.State != idp.TerminalActive || !d.LastSeenAt.IsZero() || !h.ended(device) {
			t.Errorf("terminal %+v", d)
		}
		cashier.Reason = "" // stopping owes no reason
		h.must(h.LoseTerminal(ctx, cashier, h.terminal.ID))
		for _, u := range []idp.User{h.owner, h.shop[idp.RoleManager]} {
			if got := h.messages(u); len(got) != 1 || got[0].Template != "terminal.lost" {
				t.Errorf("%s was told %v", u.Role, got)
			}
		}
		wants(t, h.ReturnTerminal(ctx, owner, h.terminal.ID), idp.Conflict, "error.moved")
		wants(t, h.FoundTerminal(ctx, manager, h.terminal.ID), idp.Forbidden, "error.forbidden")
		h.must(h.FoundTerminal(ctx, owner, h.terminal.ID))
		wants(t, h.RetireTerminal(ctx, manager, h.terminal.ID), idp.Forbidden, "error.forbidden")
		h.must(h.RetireTerminal(ctx, owner, h.terminal.ID))
		if n := len(h.events(storage.EventFilter{Terminal: h.terminal.ID, Name: "terminal.returned"})); n != 2 {
			t.Errorf("%d events", n)
		}
	})
}

// A suspended merchant's people may still stop things, and add or bring back nothing.
func TestSuspendedShop(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx, owner := t.Context(), h.is(h.owner)
	h.must(h.SuspendMerchant(ctx, h.as(idp.RoleSupportSupervisor), h.merchant.ID))
	for name, err := range map[string]error{"invite": second(h.InviteStaff(ctx, owner, hire("late"), "")), "store": second(h.CreateStore(ctx, owner, h.merchant.ID, "x", "")),
		"role": h.ChangeRole(ctx, owner, h.shop[idp.RoleCashier].ID, idp.RoleManager, h.store.ID), "rename": h.RenameStore(ctx, owner, h.store.ID, "x", "")} {
		if idp.KindOf(err) != idp.Forbidden || !strings.Contains(err.Error(), "error.merchant_suspended") {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.must(h.SuspendTerminal(ctx, owner, h.terminal.ID))
	wants(t, h.ReturnTerminal(ctx, owner, h.terminal.ID), idp.Forbidden, "error.merchant_suspended")
	h.must(h.RemoveStaff(ctx, owner, h.shop[idp.RoleCashier].ID))
	_, err := h.CreateStore(ctx, h.as(idp.RolePolicyAdmin), h.merchant.ID, "x", "")
	h.must(err)
}
