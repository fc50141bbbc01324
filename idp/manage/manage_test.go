package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/kit"
	"hufu/idp/phc"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A house is a store with one person of each operator role, a merchant with an
// owner, a store and a terminal, and a client.
type house struct {
	*Manager
	t        *testing.T
	staff    map[idp.Role]idp.User
	shop     map[idp.Role]idp.User // the merchant's: the owner, and one of the others in the store
	owner    idp.User
	merchant idp.Merchant
	store    idp.Store
	terminal idp.Terminal
	witness  idp.User // another policy administrator, once one was needed
}

// agreed has what somebody asked for approved by another, and collects what it made.
func (h *house) agreed(err error) (secret idp.Secret) {
	h.t.Helper()
	ctx := h.t.Context()
	w, ok := errors.AsType[*Waiting](err)
	if !ok {
		h.t.Fatalf("nobody was asked: %v", err)
	}
	if h.witness.ID == "" {
		h.witness = h.user(idp.RolePolicyAdmin, "", "other.admin")
	}
	h.must(h.Approve(ctx, Actor{User: h.witness, Reason: "seen and agreed"}, w.ID))
	ap, err := h.Store.Approval(ctx, w.ID)
	h.must(err)
	if ap.State != idp.ApprovalApproved {
		h.t.Fatalf("%s: %s %s", ap.Act, ap.State, ap.Failure)
	}
	if !ap.SecretUntil.IsZero() {
		author, err := h.Store.User(ctx, ap.AskedBy)
		h.must(err)
		_, secret, err = h.Collect(ctx, Actor{User: author}, w.ID)
		h.must(err)
	}
	return secret
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) as(role idp.Role) Actor {
	return Actor{User: h.staff[role], Session: "s1", Network: "112.5.6.0/24", Reason: "call 0310-017"}
}

func newHouse(t *testing.T, s *storage.Store) *house {
	ctx := t.Context()
	h := &house{t: t, staff: map[idp.Role]idp.User{}, Manager: &Manager{Store: s, Policy: policy.NewLive(policy.Default()), Issuer: "http://localhost:8080",
		Invite: func(_ idp.ChannelKind, lang, link, name string) (string, string, string, error) {
			return "Welcome", name + " " + link, "<p>" + link, nil
		}}}
	h.Freeze = func(ctx context.Context, u idp.User, by idp.Event) error {
		by.Name, by.Subject = "account.frozen", u.ID
		return errors.Join(second(s.FreezeUser(ctx, u.ID, time.Now())), s.Append(ctx, by))
	}
	h.NewKeys = func() ([]storage.SigningKey, error) {
		return []storage.SigningKey{{ID: idp.NewID(), Alg: "ES256", State: "active", Public: []byte("{}"), Private: []byte("k"), CreatedAt: time.Now()}}, nil
	}
	h.Notify = func(ctx context.Context, u idp.User, template string) error {
		return s.Queue(ctx, &idp.Message{UserID: u.ID, Channel: idp.ChannelMail, To: "a@example.com", Template: template})
	}
	h.Announce = func(ctx context.Context, u idp.User, n idp.Announcement) error {
		return s.Queue(ctx, &idp.Message{UserID: u.ID, Channel: idp.ChannelMail, To: "a@example.com", Template: n.Template, Body: n.Giver + " → " + n.Taker + " " + n.Until.Format(time.RFC3339)})
	}
	h.Tell = func(ctx context.Context, u idp.User, template string, c idp.Case, detail string) error {
		return s.Queue(ctx, &idp.Message{UserID: u.ID, Channel: idp.ChannelMail, To: "a@example.com", Template: template, Subject: c.Number, Body: detail})
	}
	h.VoidRecovery = func(ctx context.Context, user, cause string, by idp.Event) error {
		r, err := s.RunningRecovery(ctx, user)
		if err != nil || r == nil {
			return err
		}
		if _, err := s.EndRecovery(ctx, r.ID, idp.RecoveryVoid, time.Now()); err != nil {
			return err
		}
		by.Name, by.Subject, by.Data = "recovery.stopped", user, map[string]any{"cause": cause}
		return s.Append(ctx, by)
	}
	h.CaseLink = func(ctx context.Context, u idp.User, c idp.Case, to idp.Identifier) (string, error) {
		link := "http://localhost:8080/recover/case?t=" + c.ID
		if to.Value == "" {
			return link, nil
		}
		return link, s.Queue(ctx, &idp.Message{UserID: u.ID, Channel: idp.ChannelMail, To: to.Value, Template: "case.link", Body: link})
	}
	for _, role := range idp.Roles {
		if role.Operator() {
			h.staff[role] = h.user(role, "", string(role))
		}
	}
	h.merchant = idp.Merchant{No: "822290059430001", LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantActive}
	h.must(s.CreateMerchant(ctx, &h.merchant))
	h.store = idp.Store{MerchantID: h.merchant.ID, Name: "鼓楼店"}
	h.must(s.CreateStore(ctx, &h.store))
	h.terminal = idp.Terminal{Serial: "HF20260001", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: h.merchant.ID, StoreID: h.store.ID, State: idp.TerminalActive}
	h.must(s.CreateTerminal(ctx, &h.terminal))
	h.owner = h.user(idp.RoleOwner, h.merchant.ID, "lin.wei")
	h.shop = h.people(h.merchant, h.store, h.owner)
	h.must(s.CreateClient(ctx, &idp.Client{ID: "merchant-app", Name: "App", Grants: []string{"authorization_code"}}))
	return h
}

func (h *house) user(role idp.Role, merchant, login string) idp.User {
	h.t.Helper()
	u := idp.User{Name: login, Language: "zh-CN", Role: role, MerchantID: merchant, Status: idp.UserActive}
	h.must(h.Store.CreateUser(h.t.Context(), &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: login}))
	return u
}

// live gives a user a session, a grant and a grant of the terminal.
func (h *house) live(u idp.User) (session, grant, device string) {
	h.t.Helper()
	ctx, now := h.t.Context(), time.Now()
	ss := idp.Session{UserID: u.ID, CreatedAt: now, LastSeenAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}
	hash := sha256.Sum256([]byte(idp.NewToken()))
	h.must(h.Store.CreateSession(ctx, &ss, hash[:]))
	g := idp.Grant{UserID: u.ID, ClientID: "merchant-app", SessionID: ss.ID, Scopes: []string{"offline_access"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	h.must(h.Store.CreateGrant(ctx, &g))
	d := idp.Grant{UserID: u.ID, ClientID: "merchant-app", TerminalID: h.terminal.ID, Scopes: []string{"terminal"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	h.must(h.Store.CreateGrant(ctx, &d))
	return ss.ID, g.ID, d.ID
}

func (h *house) ended(grant string) bool {
	h.t.Helper()
	g, err := h.Store.Grant(h.t.Context(), grant)
	h.must(err)
	return !g.EndedAt.IsZero()
}

func (h *house) events(f storage.EventFilter) []idp.Event {
	h.t.Helper()
	list, err := h.Store.Events(h.t.Context(), f, 100)
	h.must(err)
	return list
}

// wants holds an error against a kind and a catalogue key.
func wants(t *testing.T, err error, kind idp.Kind, msg string) {
	t.Helper()
	if idp.KindOf(err) != kind || err == nil || !strings.Contains(err.Error(), msg) {
		t.Errorf("got %v (kind %d), want %s (kind %d)", err, idp.KindOf(err), msg, kind)
	}
}

func TestTableOfPermissions(t *testing.T) {
	// One line an action: what owner, manager, cashier, PA, SA, SS and AU may do. r and 4 need a
	// reason; m and s are of the own merchant and store, M and S the same with a reason.
	want := map[Action]string{
		Console: "ms-✓✓✓✓", MerchantList: "---✓-✓✓", MerchantView: "m--rrr✓", MerchantNew: "---r---", MerchantOpen: "---r---", MerchantStop: "---r-r-", MerchantBack: "---4---", MerchantClose: "---4-4-", TierUp: "---r---", TierDown: "---4---",
		StoreList: "ms-✓-✓✓", StoreView: "ms-rrr✓", StoreNew: "m--r---", StoreRename: "m--r---", TerminalList: "ms-✓-✓✓", TerminalView: "ms-rrr✓", TerminalNew: "---r---",
		TerminalStop: "MS-r-r-", TerminalLost: "mssrrr-", TerminalBack: "MS-----", TerminalFound: "M------", TerminalEnd: "M--r-r-",
		UserList: "ms-✓-✓✓", UserView: "ms-rrr✓", OwnerNew: "---r---", StaffNew: "---4---", ManagerNew: "m------", CashierNew: "ms-----", RoleChange: "m------", UserLeave: "MS-----", UserHelp: "MS-----",
		HandoverView: "mm-rrr✓", HandoverNew: "m------", HandoverAccept: "-m-----", HandoverStop: "mm-----", HandoverAsk: "---r-r-", HandoverDecide: "---r-r-",
		UserInvite: "ms-rrr-", UserLock: "---rrr-", UserUnlock: "---r-r-", UserEnd: "ms-rrr-", UserDisable: "MS-r-r-", UserEnable: "MS-r-r-", StaffEnable: "---4---", StaffRole: "---4---", StaffLeave: "---4---",
		ClientRead: "---✓--✓", ClientNew: "---4---", ClientChange: "---4---", ClientDisable: "---4---", ClientEnable: "---4---", ClientSecret: "---4---", EventRead: "m--✓-✓✓", EventSubject: "ms-✓✓✓✓", ExplainRead: "----✓✓-", KitCheck: "---✓✓✓✓",
		MessageRead: "---✓✓✓✓", MessageResend: "---rrr-", CaseRead: "m--✓✓✓✓",
		CaseOpen: "---rrr-", CaseWork: "---✓✓✓-", CaseEvidence: "---rrr-", CaseCall: "----✓✓-", CaseStop: "----rr-", CaseAnswer: "---rrr-", CaseRefuse: "---rrr-", CaseApprove: "---r-r-",
		UserDocuments: "---r-r-", UserReveal: "----rr-", StaffTeam: "---r---",
		PolicyRead: "---✓--✓", PolicyDraft: "---✓---", PolicySubmit: "---r---", PolicyEnd: "---r---", PolicyApprove: "---4---", PolicyRollBack: "---4---", PolicyEmergency: "---r---", PolicyExport: "---r--r",
		KeyRead: "---✓--✓", HealthRead: "---✓-✓✓", KeyRotate: "---4---", ApprovalRead: "---✓-✓✓", ApprovalDecide: "---r-r-", ApprovalRefuse: "---r-r-", ApprovalEnd: "---✓-✓-", ApprovalCollect: "---✓---", Export: "m--r--r",
	}
	if len(want) != len(Actions()) {
		t.Errorf("%d rows in the table, %d here", len(Actions()), len(want))
	}
	marks := map[Right]string{No: "-", Yes: "✓", Reason: "r", Four: "4", yesM: "m", yesS: "s", whyM: "M", whyS: "S"}
	for act, line := range want {
		got := ""
		for _, role := range idp.Roles {
			got += marks[May(role, act)]
		}
		if got != line {
			t.Errorf("%s: %s, want %s", act, got, line)
		}
		for _, role := range []idp.Role{"", "root"} {
			if May(role, act) != No {
				t.Errorf("%s may %s", role, act)
			}
		}
	}
	if May(idp.RolePolicyAdmin, "no.such") != No {
		t.Error("an action that is not listed is allowed")
	}
}

// calls is every act with harmless input, by the row it needs.
func (h *house) calls() map[Action]func(a Actor) error {
	ctx := h.t.Context()
	c := map[Action]func(a Actor) error{
		MerchantView:  func(a Actor) error { return h.LookAtMerchant(ctx, a, h.merchant.ID) },
		MerchantNew:   func(a Actor) error { _, err := h.CreateMerchant(ctx, a, NewMerchant{}); return err },
		MerchantOpen:  func(a Actor) error { return h.OpenMerchant(ctx, a, "none") },
		MerchantStop:  func(a Actor) error { return h.SuspendMerchant(ctx, a, "none") },
		MerchantBack:  func(a Actor) error { return h.ReturnMerchant(ctx, a, "none") },
		StoreNew:      func(a Actor) error { _, err := h.CreateStore(ctx, a, "none", "", ""); return err },
		TerminalNew:   func(a Actor) error { _, err := h.CreateTerminal(ctx, a, NewTerminal{}); return err },
		TerminalStop:  func(a Actor) error { return h.SuspendTerminal(ctx, a, "none") },
		TerminalLost:  func(a Actor) error { return h.LoseTerminal(ctx, a, "none") },
		TerminalEnd:   func(a Actor) error { return h.RetireTerminal(ctx, a, "none") },
		UserView:      func(a Actor) error { return h.Look(ctx, a, h.owner.ID) },
		OwnerNew:      func(a Actor) error { _, err := h.CreateUser(ctx, a, NewUser{Role: idp.RoleOwner}); return err },
		StaffNew:      func(a Actor) error { _, err := h.CreateUser(ctx, a, NewUser{Role: idp.RoleAuditor}); return err },
		UserInvite:    func(a Actor) error { return h.InviteAgain(ctx, a, "none") },
		UserLock:      func(a Actor) error { return h.LockUser(ctx, a, "none") },
		UserUnlock:    func(a Actor) error { return h.UnlockUser(ctx, a, "none") },
		UserEnd:       func(a Actor) error { return h.EndSessions(ctx, a, "none") },
		UserDisable:   func(a Actor) error { return h.DisableUser(ctx, a, "none") },
		UserEnable:    func(a Actor) error { return h.EnableUser(ctx, a, h.owner.ID) },
		StaffEnable:   func(a Actor) error { return h.EnableUser(ctx, a, h.user(idp.RoleAuditor, "", "aud"+idp.NewID()).ID) },
		ClientNew:     func(a Actor) error { _, _, err := h.CreateClient(ctx, a, NewClient{}); return err },
		ClientDisable: func(a Actor) error { return h.DisableClient(ctx, a, "none") },
		ClientEnable:  func(a Actor) error { return h.EnableClient(ctx, a, "none") },
		ClientSecret:  func(a Actor) error { _, err := h.NewClientSecret(ctx, a, NewSecret{ID: "none", Seen: 1}); return err },
		ClientChange:  func(a Actor) error { return h.ChangeClient(ctx, a, ChangedClient{}) },
		KeyRotate:     func(a Actor) error { return h.RotateKeys(ctx, a) },
		MerchantClose: func(a Actor) error { return h.CloseMerchant(ctx, a, "none") },
		TierUp: func(a Actor) error {
			return h.ChangeTier(ctx, a, NewTier{Merchant: "none", Was: idp.TierMicro, To: idp.TierStandard})
		},
		TierDown: func(a Actor) error {
			return h.ChangeTier(ctx, a, NewTier{Merchant: "none", Was: idp.TierStandard, To: idp.TierMicro})
		},
		StaffRole:       func(a Actor) error { return h.ChangeStaffRole(ctx, a, NewRole{User: "none", To: idp.RoleAuditor}) },
		StaffLeave:      func(a Actor) error { return h.RemoveOperator(ctx, a, "none") },
		ApprovalDecide:  func(a Actor) error { return h.Approve(ctx, a, "none") },
		ApprovalRefuse:  func(a Actor) error { return h.Refuse(ctx, a, "none") },
		ApprovalEnd:     func(a Actor) error { return h.Withdraw(ctx, a, "none") },
		ApprovalCollect: func(a Actor) error { _, _, err := h.Collect(ctx, a, "none"); return err },
		KitCheck:        func(a Actor) error { _, _, err := h.CheckKit(ctx, a, ""); return err },
		ExplainRead:     func(a Actor) error { _, err := h.Explain(ctx, a, "0"); return err },
		MessageResend:   func(a Actor) error { return h.ResendMessage(ctx, a, "none") },
		StoreRename:     func(a Actor) error { return h.RenameStore(ctx, a, "none", "x", "") },
		TerminalBack:    func(a Actor) error { return h.ReturnTerminal(ctx, a, "none") },
		TerminalFound:   func(a Actor) error { return h.FoundTerminal(ctx, a, "none") },
		ManagerNew:      func(a Actor) error { _, err := h.InviteStaff(ctx, a, NewUser{Role: idp.RoleManager}, ""); return err },
		CashierNew:      func(a Actor) error { _, err := h.InviteStaff(ctx, a, NewUser{Role: idp.RoleCashier}, ""); return err },
		RoleChange:      func(a Actor) error { return h.ChangeRole(ctx, a, "none", idp.RoleCashier, "") },
		UserLeave:       func(a Actor) error { return h.RemoveStaff(ctx, a, "none") },
		Export:          func(a Actor) error { return h.Export(ctx, a, Exported{List: "users"}) },

		UserHelp:       func(a Actor) error { _, _, _, err := h.HelpStaff(ctx, a, "none"); return err },
		HandoverNew:    func(a Actor) error { _, err := h.ProposeHandover(ctx, a, NewHandover{}); return err },
		HandoverAccept: func(a Actor) error { return h.AcceptHandover(ctx, a, "none") },
		HandoverStop:   func(a Actor) error { return h.StopHandover(ctx, a, "none") },
		HandoverAsk:    func(a Actor) error { _, err := h.AskHandover(ctx, a, "none", NewHandover{}); return err },
		HandoverDecide: func(a Actor) error { _, err := h.DecideHandover(ctx, a, "none", true); return err },

		CaseOpen:      func(a Actor) error { _, err := h.OpenCase(ctx, a, NewCase{}); return err },
		CaseWork:      func(a Actor) error { return h.TakeCase(ctx, a, "none") },
		CaseEvidence:  func(a Actor) error { _, err := h.CompareEvidence(ctx, a, "none", "", ""); return err },
		CaseCall:      func(a Actor) error { return h.StartCall(ctx, a, "none") },
		CaseStop:      func(a Actor) error { return h.StopCaller(ctx, a, "none") },
		CaseAnswer:    func(a Actor) error { return h.AnswerCase(ctx, a, "none", "") },
		CaseRefuse:    func(a Actor) error { return h.RefuseCase(ctx, a, "none") },
		CaseApprove:   func(a Actor) error { return h.ApproveCase(ctx, a, "none", false) },
		UserDocuments: func(a Actor) error { return h.SetDocuments(ctx, a, h.owner.ID, Documents{}) },
		UserReveal:    func(a Actor) error { _, err := h.Reveal(ctx, a, "none", idp.IdentifierPhone); return err },
		StaffTeam:     func(a Actor) error { return h.SetTeam(ctx, a, "none", "early") },

		PolicyDraft:     func(a Actor) error { _, err := h.SimulatePolicy(ctx, a, "none"); return err },
		PolicySubmit:    func(a Actor) error { return h.SubmitPolicy(ctx, a, "none", 1) },
		PolicyEnd:       func(a Actor) error { return h.WithdrawPolicy(ctx, a, "none") },
		PolicyApprove:   func(a Actor) error { return h.ApprovePolicy(ctx, a, "none", Rollout{}) },
		PolicyRollBack:  func(a Actor) error { _, err := h.RollBackPolicy(ctx, a, 99); return err },
		PolicyEmergency: func(a Actor) error { return h.ActivateInEmergency(ctx, a, "none", 1, a.Reason+", again") },
		PolicyExport:    func(a Actor) error { _, err := h.ExportSimulation(ctx, a, "none", 1); return err },
	}
	return c
}

func TestEveryActHoldsTheTable(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	looking := []Action{Console, MerchantList, StoreList, StoreView, TerminalList, TerminalView, UserList, ClientRead, EventRead, EventSubject, MessageRead, CaseRead, PolicyRead, KeyRead, HealthRead, ApprovalRead, HandoverView}
	calls := h.calls()
	for _, act := range Actions() {
		call, ok := calls[act]
		if !ok {
			if !slices.Contains(looking, act) {
				t.Errorf("%s is not tried", act)
			}
			continue
		}
		for _, role := range idp.Roles {
			a := h.as(role)
			if !role.Operator() {
				a.User = h.shop[role]
			}
			if act == StaffEnable && May(role, UserEnable) != No && May(role, act) == No && !role.Operator() {
				wants(t, call(a), idp.NotFound, "error.notfound") // the operator's staff are nobody of a merchant's
				continue
			}
			err := call(a)
			if denied := strings.Contains(errText(err), "error.forbidden"); denied != (May(role, act) == No) {
				t.Errorf("%s by %s: %v, the table says %d", act, role, err, May(role, act))
			}
			if l := May(role, act).Level(); l == Reason || l == Four {
				for reason, msg := range map[string]string{"": "reason.empty", "  \n ": "reason.empty", "abc": "reason.short", "\u200b\u202ea b ": "reason.short", strings.Repeat("因", 301): "reason.long"} {
					a.Reason = reason
					if err := call(a); !strings.Contains(errText(err), msg) {
						t.Errorf("%s with reason %q: %v", act, reason, err)
					}
				}
			}
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// While a recovery keeps everything of somebody back he lets nobody and nothing in, whatever his
// role; what stops or only looks goes on, and a recovery that keeps less back bars none of it.
func TestNothingIsAddedWhileRecovering(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	calls, barred := h.calls(), 0
	for _, act := range Actions() {
		for _, role := range idp.Roles {
			u := h.shop[role]
			if role == idp.RoleOwner {
				u = h.owner
			} else if role.Operator() {
				u = h.staff[role]
			}
			if u.ID == "" || Check(u, act) != nil {
				continue
			}
			for _, c := range []struct {
				w     idp.Withhold
				until time.Duration
				bars  bool
			}{{idp.WithholdMoney, time.Hour, slices.Contains(adding, act)}, {idp.WithholdMoney, -time.Hour, false}, {idp.WithholdPayee, time.Hour, false}} {
				u.Withheld, u.WithheldUntil = c.w, time.Now().Add(c.until)
				err := Check(u, act)
				if (err != nil) != c.bars || c.bars && !strings.Contains(err.Error(), "error.withheld") {
					t.Errorf("%s by %s under %q: %v", act, role, c.w, err)
				}
				if call := calls[act]; c.bars && call != nil {
					wants(t, call(Actor{User: u, Reason: "call 0310-017"}), idp.Forbidden, "error.withheld")
					barred++
				}
			}
		}
	}
	for _, act := range []Action{UserDocuments, StaffTeam, UserUnlock, ApprovalCollect} {
		if !slices.Contains(adding, act) {
			t.Errorf("%s adds", act)
		}
	}
	if slices.Contains(adding, ApprovalRefuse) || slices.Contains(adding, UserLock) {
		t.Error("stopping waits")
	}
	if barred < len(adding) {
		t.Errorf("only %d acts were tried", barred)
	}
}

func TestDisablingEndsTheFamily(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		session, grant, device := h.live(h.owner)
		h.must(h.DisableUser(ctx, h.as(idp.RoleSupportSupervisor), h.owner.ID))
		ss, err := s.Session(ctx, session)
		h.must(err)
		if ss.EndedAt.IsZero() || !h.ended(grant) || !h.ended(device) {
			t.Error("something lives on")
		}
		for name, n := range map[string]int{"account.disabled": 1, "session.ended": 1, "grant.revoked": 2} {
			list := h.events(storage.EventFilter{Subject: h.owner.ID, Name: name})
			if len(list) != n {
				t.Fatalf("%d events %s", len(list), name)
			}
			if e := list[0]; e.Actor != h.staff[idp.RoleSupportSupervisor].ID || e.Reason != "call 0310-017" || e.Network != "112.5.6.0/24" || e.Merchant != h.merchant.ID || e.Policy == 0 {
				t.Errorf("event %+v", e)
			}
		}
		wants(t, h.DisableUser(ctx, h.as(idp.RolePolicyAdmin), h.owner.ID), idp.Conflict, "error.moved")
		h.must(s.AddCredential(ctx, &idp.Credential{UserID: h.owner.ID, Method: idp.MethodPassword, Data: []byte("x")}))
		h.must(h.EnableUser(ctx, h.as(idp.RoleSupportSupervisor), h.owner.ID))
		if u, _ := s.User(ctx, h.owner.ID); u.Status != idp.UserActive || !h.ended(grant) {
			t.Error("not active, or a grant came back")
		}
	})
}

func TestParallelDisablesAreOne(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		h.live(h.owner)
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() {
				errs[i] = h.DisableUser(context.Background(), h.as([]idp.Role{idp.RolePolicyAdmin, idp.RoleSupportSupervisor}[i%2]), h.owner.ID)
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				wants(t, err, idp.Conflict, "error.moved")
			}
		}
		if n := len(h.events(storage.EventFilter{Subject: h.owner.ID, Name: "account.disabled"})); won != 1 || n != 1 {
			t.Errorf("%d succeeded, %d events", won, n)
		}
	})
}

func TestOneAdministratorIsLeft(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		first, super := h.staff[idp.RolePolicyAdmin], h.as(idp.RoleSupportSupervisor)
		wants(t, h.DisableUser(ctx, super, first.ID), idp.Forbidden, "error.last_admin")
		wants(t, h.LockUser(ctx, super, first.ID), idp.Forbidden, "error.last_admin")
		second := h.user(idp.RolePolicyAdmin, "", "he.min")
		// Two who disable each other at once: one is left.
		var wg sync.WaitGroup
		var errs [2]error
		for i, pair := range [][2]idp.User{{first, second}, {second, first}} {
			wg.Go(func() {
				errs[i] = h.DisableUser(context.Background(), Actor{User: pair[0], Reason: "a quarrel"}, pair[1].ID)
			})
		}
		wg.Wait()
		left, err := s.Users(ctx, storage.UserFilter{Roles: []idp.Role{idp.RolePolicyAdmin}, Status: string(idp.UserActive)}, 10)
		if err != nil || len(left) != 1 || (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("%d administrators left, %v, %v", len(left), errs, err)
		}
	})
}

func TestWhoActsOnWhom(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	agent, super, admin := h.as(idp.RoleSupportAgent), h.as(idp.RoleSupportSupervisor), h.as(idp.RolePolicyAdmin)
	for _, a := range []Actor{agent, super, admin} {
		wants(t, h.EndSessions(ctx, a, a.User.ID), idp.Forbidden, "error.self")
		wants(t, h.LockUser(ctx, a, a.User.ID), idp.Forbidden, map[bool]string{true: "error.last_admin", false: "error.self"}[a.User.Role == idp.RolePolicyAdmin])
	}
	wants(t, h.LockUser(ctx, agent, h.staff[idp.RoleAuditor].ID), idp.Forbidden, "error.staff")
	wants(t, h.EndSessions(ctx, agent, super.User.ID), idp.Forbidden, "error.staff")
	h.must(h.DisableUser(ctx, super, h.staff[idp.RoleAuditor].ID))
	wants(t, h.EnableUser(ctx, super, h.staff[idp.RoleAuditor].ID), idp.Forbidden, "error.forbidden")
	h.agreed(h.EnableUser(ctx, admin, h.staff[idp.RoleAuditor].ID))
	for _, c := range []struct {
		actor, on idp.User
		act       Action
		want      bool
	}{{agent.User, h.owner, UserLock, true}, {agent.User, super.User, UserLock, false}, {super.User, h.owner, UserEnable, true}, {super.User, agent.User, UserEnable, false},
		{admin.User, agent.User, UserEnable, true}, {admin.User, admin.User, UserEnd, false}, {h.owner, agent.User, UserEnd, false}} {
		if got := MayOnUser(c.actor, c.on, c.act); got != c.want {
			t.Errorf("%s on %s: %s = %t", c.actor.Role, c.on.Role, c.act, got)
		}
	}
}

func TestLockIsLiftedByAnother(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	_, grant, _ := h.live(h.owner)
	super, admin := h.as(idp.RoleSupportSupervisor), h.as(idp.RolePolicyAdmin)
	h.must(h.LockUser(ctx, super, h.owner.ID))
	if u, _ := h.Store.User(ctx, h.owner.ID); u.Locked != "call 0310-017" || u.Reason(time.Now()) != "locked" || !h.ended(grant) {
		t.Errorf("locked %q, grant ended %t", u.Locked, h.ended(grant))
	}
	wants(t, h.LockUser(ctx, admin, h.owner.ID), idp.Conflict, "error.moved")
	wants(t, h.UnlockUser(ctx, super, h.owner.ID), idp.Forbidden, "error.locker")
	h.must(h.UnlockUser(ctx, admin, h.owner.ID))
	wants(t, h.UnlockUser(ctx, admin, h.owner.ID), idp.Conflict, "error.moved")
	if n := len(h.events(storage.EventFilter{Subject: h.owner.ID, Name: "lock.lifted"})); n != 1 {
		t.Errorf("%d events", n)
	}
	var told []string
	for _, m := range h.messages(h.owner) {
		told = append(told, m.Template)
	}
	if !slices.Equal(told, []string{"unlocked", "locked"}) { // what was refused is told to nobody
		t.Errorf("told %v", told)
	}
}

func (h *house) messages(u idp.User) []idp.Message {
	h.t.Helper()
	list, err := h.Store.MessageHeads(h.t.Context(), storage.MessageFilter{User: u.ID}, 100)
	h.must(err)
	return list
}

// A message is sent again by whoever may act on whom it goes to.
func TestResendMessage(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	dead := func(u idp.User) string {
		m := idp.Message{UserID: u.ID, Channel: idp.ChannelSMS, To: "+8613800000001", Template: "frozen", Language: "en"}
		h.must(h.Store.Queue(ctx, &m))
		claimed, err := h.Store.ClaimMessages(ctx, idp.ChannelSMS, 1, time.Minute, time.Now().Add(time.Second))
		h.must(err)
		_, err = h.Store.MessageDead(ctx, claimed[0], "address", time.Now())
		h.must(err)
		return m.ID
	}
	agent, super := h.as(idp.RoleSupportAgent), h.as(idp.RoleSupportSupervisor)
	staff, owner := dead(h.staff[idp.RoleAuditor]), dead(h.owner)
	wants(t, h.ResendMessage(ctx, agent, dead(agent.User)), idp.Forbidden, "error.self")
	wants(t, h.ResendMessage(ctx, agent, staff), idp.Forbidden, "error.staff")
	h.must(h.ResendMessage(ctx, super, staff))
	h.must(h.ResendMessage(ctx, agent, owner))
	if n := len(h.events(storage.EventFilter{Name: "message.resent"})); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestInvitation(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		m, err := h.CreateMerchant(ctx, admin, NewMerchant{No: "8222 9005 9430 002", LegalName: " 建国\u202e五金\n", Tier: idp.TierStandard})
		h.must(err)
		if m.Status != idp.MerchantPending || m.No != "822290059430002" || m.LegalName != "建国五金" {
			t.Errorf("merchant %+v", m)
		}
		in := NewUser{Name: "赵建国", Role: idp.RoleOwner, MerchantNo: m.No, Username: "ZhaoJG68", Phone: "138 0000 0009", Email: "Zhao@Example.com", Language: "zh-CN"}
		u, err := h.CreateUser(ctx, admin, in)
		h.must(err)
		if u.Status != idp.UserInvited || u.MerchantID != m.ID {
			t.Errorf("user %+v", u)
		}
		found, err := s.UserByIdentifier(ctx, idp.IdentifierMerchantNo, m.No)
		if err != nil || found.ID != u.ID {
			t.Errorf("the merchant number names %v, %v", found.ID, err)
		}
		msgs, err := s.Messages(ctx, 1)
		h.must(err)
		_, token, ok := strings.Cut(msgs[0].Body, "http://localhost:8080/join?t=")
		if !ok || msgs[0].To != "zhao@example.com" || msgs[0].Channel != idp.ChannelMail || msgs[0].Subject != "Welcome" {
			t.Fatalf("message %+v", msgs[0])
		}
		sum := sha256.Sum256([]byte(token))
		hash, now := hex.EncodeToString(sum[:]), time.Now()
		for range 2 {
			if id, ok, err := s.Invite(ctx, hash, now); id != u.ID || !ok || err != nil {
				t.Fatal(id, ok, err)
			}
		}
		if _, ok, _ := s.UseInvite(ctx, hash, now.Add(8*24*time.Hour)); ok {
			t.Error("an old invitation works")
		}
		var wg sync.WaitGroup
		var used [16]bool
		for i := range used {
			wg.Go(func() { _, used[i], _ = s.UseInvite(context.Background(), hash, now) })
		}
		wg.Wait()
		if n := len(slices.DeleteFunc(used[:], func(b bool) bool { return !b })); n != 1 {
			t.Errorf("used %d times", n)
		}

		// Nobody is invited by a text message to a country that none go to.
		_, err = h.CreateUser(ctx, admin, NewUser{Name: "x", Role: idp.RoleAuditor, Username: "abroad", Phone: "+44 7911 123456"})
		wants(t, err, idp.Invalid, "error.country")

		// Once more: the new one works, the event tells.
		if err := h.InviteAgain(ctx, h.as(idp.RoleSupportAgent), u.ID); err != nil {
			t.Fatal(err)
		}
		before := msgs[0].ID
		if msgs, err = s.Messages(ctx, 1); err != nil || msgs[0].ID == before || len(h.events(storage.EventFilter{Subject: u.ID, Name: "account.invited"})) != 1 {
			t.Error("not invited again", err)
		}
		wants(t, h.InviteAgain(ctx, admin, h.owner.ID), idp.Conflict, "error.moved")

		// A merchant has one owner; names are taken in any spelling, told by field.
		second := in
		second.Username, second.Phone, second.Email = "another", "", "another@example.com"
		_, err = h.CreateUser(ctx, admin, second)
		wants(t, err, idp.Conflict, "error.has_owner")
		for field, change := range map[string]func(*NewUser){"username": func(n *NewUser) { n.Username = "zhaojg68" }, "phone": func(n *NewUser) { n.Phone = "+8613800000009" }, "email": func(n *NewUser) { n.Email = "ZHAO@example.com" }} {
			staff := NewUser{Name: "x", Role: idp.RoleAuditor, Username: "free", Email: "free@example.com"}
			change(&staff)
			_, err := h.CreateUser(ctx, admin, staff)
			if e, ok := errors.AsType[*idp.Error](err); !ok || e.Kind != idp.Conflict || e.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		for _, role := range []idp.Role{idp.RoleManager, idp.RoleCashier} {
			_, err := h.CreateUser(ctx, admin, NewUser{Role: role})
			wants(t, err, idp.Invalid, "error.owner_invites")
		}
		if n := len(h.events(storage.EventFilter{Name: "account.created"})); n != 1 {
			t.Errorf("%d accounts made", n)
		}

		// The merchant opens once its owner has an account that works.
		wants(t, h.OpenMerchant(ctx, admin, m.ID), idp.Forbidden, "error.owner_not_ready")
		if ok, err := s.SetUserStatus(ctx, u.ID, idp.UserInvited, idp.UserActive); !ok || err != nil {
			t.Fatal(err)
		}
		// Of a high-value one he holds a second factor, one that is not blocked.
		if ok, err := s.SetMerchantTier(ctx, m.ID, m.Tier, idp.TierHighValue); !ok || err != nil {
			t.Fatal(err)
		}
		key := idp.Credential{UserID: u.ID, Method: idp.MethodPasskey, Data: []byte("key")}
		h.must(s.AddCredential(ctx, &key))
		if ok, err := s.BlockCredential(ctx, key.ID, "clone"); !ok || err != nil {
			t.Fatal(err)
		}
		wants(t, h.OpenMerchant(ctx, admin, m.ID), idp.Forbidden, "error.owner_not_ready")
		h.must(s.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: []byte("app")}))
		h.must(h.OpenMerchant(ctx, admin, m.ID))
	})
}

func TestInvitationTellsEverythingThatIsWrong(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	_, err := h.CreateUser(t.Context(), Actor{User: h.staff[idp.RolePolicyAdmin]}, NewUser{Role: idp.RoleAuditor, Username: "138", Phone: "not", Email: "a@b", Language: "tlh"})
	for _, msg := range []string{"reason.empty", "error.empty", "error.identifier.username", "error.identifier.phone", "error.identifier.email", "error.choose"} {
		if !strings.Contains(errText(err), msg) {
			t.Errorf("%s is not told: %v", msg, err)
		}
	}
}

func TestSuspendedMerchant(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		session, grant, device := h.live(h.owner)
		other := h.staff[idp.RoleAuditor]
		_, others, _ := h.live(other)
		h.must(h.SuspendMerchant(ctx, h.as(idp.RoleSupportSupervisor), h.merchant.ID))
		ss, err := s.Session(ctx, session)
		h.must(err)
		if !h.ended(grant) || !h.ended(device) || h.ended(others) || !ss.EndedAt.IsZero() {
			t.Error("grants of the merchant end, its sessions and others' grants stay")
		}
		wants(t, h.SuspendMerchant(ctx, h.as(idp.RolePolicyAdmin), h.merchant.ID), idp.Conflict, "error.moved")
		wants(t, h.SuspendMerchant(ctx, h.as(idp.RolePolicyAdmin), "none"), idp.NotFound, "error.notfound")
		h.agreed(h.ReturnMerchant(ctx, h.as(idp.RolePolicyAdmin), h.merchant.ID))
		if !h.ended(grant) {
			t.Error("a grant came back")
		}
	})
}

func TestTerminalStates(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin, agent := h.as(idp.RolePolicyAdmin), h.as(idp.RoleSupportAgent)
		_, grant, device := h.live(h.owner)
		req := idp.DeviceRequest{ClientID: "terminal", TerminalID: h.terminal.ID, Choices: []int{1, 2, 3}, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)}
		h.must(s.CreateDeviceRequest(ctx, &req, []byte("hash"), "BCDFGHJK", time.Second))
		h.must(h.SuspendTerminal(ctx, admin, h.terminal.ID))
		if !h.ended(device) || h.ended(grant) {
			t.Error("the terminal's grant ends, the person's stays")
		}
		if _, err := s.DeviceRequestByUserCode(ctx, "BCDFGHJK", time.Now()); idp.KindOf(err) != idp.NotFound {
			t.Error("its request is still pending")
		}
		wants(t, h.SuspendTerminal(ctx, admin, h.terminal.ID), idp.Conflict, "error.moved")
		called := idp.Case{Kind: idp.CaseNotMe, UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now()}
		h.must(s.OpenCase(ctx, &called))
		said := func(is bool) {
			h.must(second(s.WriteEvidence(ctx, called.ID, idp.Match{Field: idp.FieldSerial, Matched: is, By: agent.User.ID, At: time.Now()}, 3)))
		}
		wants(t, h.LoseTerminal(ctx, agent, h.terminal.ID), idp.Forbidden, "error.needs_match")
		said(false)
		wants(t, h.LoseTerminal(ctx, agent, h.terminal.ID), idp.Forbidden, "error.needs_match")
		wants(t, h.LoseTerminal(ctx, h.as(idp.RoleSupportSupervisor), h.terminal.ID), idp.Forbidden, "error.needs_match")
		said(true)
		h.must(h.LoseTerminal(ctx, agent, h.terminal.ID))
		h.must(h.RetireTerminal(ctx, admin, h.terminal.ID))
		wants(t, h.LoseTerminal(ctx, agent, h.terminal.ID), idp.Conflict, "error.moved")
		if n := len(h.events(storage.EventFilter{Terminal: h.terminal.ID, Names: []string{"terminal.suspended", "terminal.lost", "terminal.retired"}})); n != 3 {
			t.Errorf("%d events", n)
		}
		fresh, err := h.CreateTerminal(ctx, admin, NewTerminal{MerchantNo: h.merchant.No, StoreID: h.store.ID, Serial: " hf-2026 0002 ", Model: "HF-T58", Kind: idp.TerminalTraditional})
		h.must(err)
		if fresh.Serial != "HF-20260002" || fresh.State != idp.TerminalNew {
			t.Errorf("terminal %+v", fresh)
		}
		_, err = h.CreateTerminal(ctx, admin, NewTerminal{MerchantNo: h.merchant.No, StoreID: h.store.ID, Serial: "HF-20260002", Model: "HF-T58", Kind: idp.TerminalTraditional})
		wants(t, err, idp.Conflict, "error.taken.serial")
		_, err = h.CreateTerminal(ctx, admin, NewTerminal{MerchantNo: h.merchant.No, StoreID: "x\x00\xff", Serial: "1", Model: "", Kind: "toaster"})
		wants(t, err, idp.Invalid, "error.serial")
	})
}

func TestLooksAreTold(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	agent, auditor := h.as(idp.RoleSupportAgent), h.as(idp.RoleAuditor)
	auditor.Reason = ""
	wants(t, h.Look(ctx, agent, h.owner.ID), idp.Forbidden, "error.needs_case")
	wants(t, h.LookAtMerchant(ctx, agent, h.merchant.ID), idp.Forbidden, "error.needs_case")
	h.must(h.Store.OpenCase(ctx, &idp.Case{Kind: idp.CaseNotMe, UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now()}))
	for range 3 {
		h.must(h.Look(ctx, agent, h.owner.ID))
		h.must(h.Look(ctx, auditor, h.owner.ID))
		h.must(h.LookAtMerchant(ctx, agent, h.merchant.ID))
	}
	if n := len(h.events(storage.EventFilter{Subject: h.owner.ID, Name: "account.viewed"})); n != 2 {
		t.Errorf("%d looks", n)
	}
	if n := len(h.events(storage.EventFilter{Merchant: h.merchant.ID, Name: "merchant.viewed"})); n != 1 {
		t.Errorf("%d looks at the merchant", n)
	}
	if got := h.told(h.owner); !slices.Equal(got, []string{"merchant.viewed", "account.viewed"}) { // of support, not of who audits
		t.Errorf("told %v", got)
	}
	if ok, err := h.Looked(ctx, h.as(idp.RolePolicyAdmin), h.owner.ID); ok || err != nil {
		t.Error("one person's look opens the page for another")
	}
	if ok, _ := h.Looked(ctx, agent, agent.User.ID); !ok {
		t.Error("one's own page is closed")
	}
	if n := len(h.events(storage.EventFilter{Subject: agent.User.ID, Name: "account.viewed"})); n != 0 {
		t.Error("looking at oneself is an event")
	}
}

func TestExplain(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx, agent, code := t.Context(), h.as(idp.RoleSupportAgent), idp.NewExplainCode()
	h.must(h.Store.Append(ctx, idp.Event{Name: "signin.failed", Reason: "pw.wrong", Explain: code}))
	e, err := h.Explain(ctx, agent, " "+strings.ReplaceAll(code, "-", "")+" ")
	if err != nil || e.Reason != "pw.wrong" {
		t.Error(e, err)
	}
	_, err = h.Explain(ctx, agent, code[:11]+string('0'+(code[11]-'0'+1)%10))
	wants(t, err, idp.Invalid, "error.explain_typo")
}

// The mark of a sheet says its day to all of the operator's staff, and whether its codes still
// count; a made-up one says nothing.
func TestCheckKit(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		ctx, set := t.Context(), idp.Credential{ID: idp.NewID(), UserID: h.owner.ID, Method: idp.MethodBackup, Data: []byte("{}")}
		h.must(h.Store.AddCredential(ctx, &set))
		other := idp.Credential{UserID: h.owner.ID, Method: idp.MethodPassword}
		h.must(h.Store.AddCredential(ctx, &other))
		day := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
		text := kit.Mark{Set: set.ID, Day: day}.Text(h.Store.MAC)
		for _, role := range []idp.Role{idp.RolePolicyAdmin, idp.RoleSupportAgent, idp.RoleSupportSupervisor, idp.RoleAuditor} {
			mark, valid, err := h.CheckKit(ctx, h.as(role), text)
			if err != nil || !valid || !mark.Day.Equal(day) {
				t.Errorf("%s: %+v %v %v", role, mark, valid, err)
			}
		}
		agent := h.as(idp.RoleSupportAgent)
		for _, id := range []string{other.ID, idp.NewID()} { // no set of codes, and none at all
			if mark, valid, err := h.CheckKit(ctx, agent, kit.Mark{Set: id, Day: day}.Text(h.Store.MAC)); err != nil || valid || mark.Set != id {
				t.Errorf("%+v %v %v", mark, valid, err)
			}
		}
		_, _, err := h.CheckKit(ctx, agent, text[:len(text)-2]+"AA")
		wants(t, err, idp.Invalid, "console.kit.bad")
		if _, err := h.Store.RemoveCredential(ctx, h.owner.ID, set.ID); err != nil {
			t.Fatal(err)
		}
		if _, valid, err := h.CheckKit(ctx, agent, text); err != nil || valid {
			t.Errorf("replaced: %v %v", valid, err)
		}
	})
}

// Of two who want another secret at once one asks, the other is told; and of two changes
// that were decided on one version one is done.
func TestSecretsAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		h.agreed(h.newWeb(admin))
		var wg sync.WaitGroup
		secrets, errs := make([]idp.Secret, 8), make([]error, 8)
		for i := range secrets {
			wg.Go(func() { secrets[i], errs[i] = h.NewClientSecret(ctx, admin, NewSecret{"web", 1, true}) })
		}
		wg.Wait()
		asked := 0
		for i, err := range errs {
			if secrets[i] != "" {
				t.Error("a secret that does not work was given out")
			}
			if _, ok := errors.AsType[*Waiting](err); ok {
				asked++
				secret := h.agreed(err)
				c, err := s.ClientNow(ctx, "web")
				h.must(err)
				if sum := sha256.Sum256([]byte(secret.Reveal())); string(c.SecretHashes[0]) != string(sum[:]) || len(c.SecretHashes) != 2 || c.Version != 2 {
					t.Errorf("the secret that was given out does not work: %+v", c)
				}
				continue
			}
			wants(t, err, idp.Conflict, "approval.waits")
		}
		if asked != 1 || len(h.events(storage.EventFilter{Client: "web", Name: "client.secret"})) != 1 {
			t.Errorf("%d asked", asked)
		}
		wants(t, second(h.NewClientSecret(ctx, admin, NewSecret{"web", 1, true})), idp.Conflict, "error.moved")
	})
}

// newWeb asks for a confidential client.
func (h *house) newWeb(a Actor) error {
	_, _, err := h.CreateClient(h.t.Context(), a, NewClient{ID: "web", Name: "Web", Confidential: true, Redirects: []string{"https://shop.example/cb", " https://shop.example/cb"}, Scopes: []string{"openid"}, Grants: []string{"authorization_code"}})
	return err
}

// A secret that another replica took away does not come back out of this one's memory.
func TestOldSecretStaysAway(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		dsn, ctx := storagetest.DSN(t, d), t.Context()
		_, ring := storagetest.KeyFile(t)
		here := newHouse(t, storagetest.Open(t, dsn, ring))
		there := &house{Manager: &Manager{Store: storagetest.Open(t, dsn, ring), Policy: policy.NewLive(policy.Default())}, t: t, staff: here.staff}
		admin := here.as(idp.RolePolicyAdmin)
		old := here.agreed(here.newWeb(admin))
		there.witness = here.witness
		_, err := here.Store.Client(ctx, "web") // now in memory
		here.must(err)
		taken := sha256.Sum256([]byte(old.Reveal()))
		there.agreed(second(there.NewClientSecret(ctx, admin, NewSecret{"web", 1, false})))
		here.agreed(second(here.NewClientSecret(ctx, admin, NewSecret{"web", 2, true})))
		c, err := here.Store.ClientNow(ctx, "web")
		here.must(err)
		if len(c.SecretHashes) != 2 || slices.ContainsFunc(c.SecretHashes, func(h []byte) bool { return string(h) == string(taken[:]) }) {
			t.Errorf("%v: the secret that was taken away works again", d)
		}
	}
}

// Every act of level Four asks for the fresher proof, and what comes of one, what submits or
// forces a policy, the second word on a hand-over, and what takes a list out of the house; and support does none of them but ask for an end.
func TestGraveIsLevelFour(t *testing.T) {
	also := []Action{ApprovalDecide, ApprovalRefuse, ApprovalCollect, PolicySubmit, PolicyEmergency, PolicyExport, Export, HandoverDecide, CaseApprove, StaffTeam}
	for _, act := range Actions() {
		if Grave(act) != (May(idp.RolePolicyAdmin, act) == Four || slices.Contains(also, act)) {
			t.Errorf("%s: grave %v", act, Grave(act))
		}
		for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleSupportSupervisor, idp.RoleAuditor} {
			if May(role, act) == Four && act != MerchantClose {
				t.Errorf("%s is more than a policy administrator's", act)
			}
		}
	}
}

func TestClients(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		secret := h.agreed(h.newWeb(admin))
		c, err := s.ClientNow(ctx, "web")
		h.must(err)
		sum := sha256.Sum256([]byte(secret.Reveal()))
		if len(secret) != 43 || strings.Trim(secret.Reveal(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || string(c.SecretHashes[0]) != string(sum[:]) || len(c.Redirects) != 1 {
			t.Errorf("client %+v", c)
		}
		wants(t, h.newWeb(admin), idp.Conflict, "error.taken.client")
		next := h.agreed(second(h.NewClientSecret(ctx, admin, NewSecret{"web", 1, true})))
		if c, _ := s.Client(ctx, "web"); len(c.SecretHashes) != 2 || string(c.SecretHashes[1]) != string(sum[:]) {
			t.Error("the old secret was not kept")
		}
		if next == secret {
			t.Error("the same secret")
		}
		h.agreed(second(h.NewClientSecret(ctx, admin, NewSecret{"web", 2, false})))
		if c, _ := s.Client(ctx, "web"); len(c.SecretHashes) != 1 {
			t.Error("old secrets were kept")
		}
		wants(t, second(h.NewClientSecret(ctx, admin, NewSecret{"merchant-app", 1, false})), idp.Conflict, "error.public_client")

		change := ChangedClient{NewClient{ID: "web", Name: "Web shop", Redirects: []string{"https://shop.example/cb"}, Scopes: []string{"openid", "profile"}, Grants: []string{"client_credentials"}}, 3}
		stale := change
		stale.Seen = 2
		wants(t, h.ChangeClient(ctx, admin, stale), idp.Conflict, "error.moved")
		h.agreed(h.ChangeClient(ctx, admin, change))
		if c, _ := s.Client(ctx, "web"); c.Name != "Web shop" || !slices.Equal(c.Scopes, []string{"openid", "profile"}) || !c.May("client_credentials") || len(c.SecretHashes) != 1 {
			t.Errorf("changed to %+v", c)
		}
		change.Seen = 4
		wants(t, h.ChangeClient(ctx, admin, change), idp.Conflict, "error.same")
		public := change
		public.ID, public.Seen = "merchant-app", 1
		wants(t, h.ChangeClient(ctx, admin, public), idp.Invalid, "error.needs_secret")

		h.agreed(h.DisableClient(ctx, admin, "web"))
		wants(t, h.DisableClient(ctx, admin, "web"), idp.Conflict, "error.moved")
		if c, _ := s.Client(ctx, "web"); !c.Disabled {
			t.Error("not disabled")
		}
		h.agreed(h.EnableClient(ctx, admin, "web"))
		for _, e := range h.events(storage.EventFilter{}) {
			if strings.Contains(fmt.Sprint(e), secret.Reveal()) {
				t.Error("a secret stands in the log")
			}
		}
	})
}

func TestClientFormIsHeld(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	good := NewClient{ID: "web", Name: "Web", Redirects: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}, Grants: []string{"authorization_code"}}
	for msg, change := range map[string]func(*NewClient){
		"error.client_id":    func(c *NewClient) { c.ID = "../Web" },
		"error.redirect":     func(c *NewClient) { c.PostLogout = []string{"javascript:alert(1)"} },
		"error.scope":        func(c *NewClient) { c.Scopes = []string{"a\"b"} },
		"error.choose":       func(c *NewClient) { c.Grants = []string{"password"} },
		"error.needs_secret": func(c *NewClient) { c.Grants = []string{"client_credentials"} },
		"error.too_many":     func(c *NewClient) { c.Scopes = strings.Fields("a b c d e f g h i j k l m n o p q r s t u") },
		"error.empty":        func(c *NewClient) { c.Redirects = nil },
		"error.too_long":     func(c *NewClient) { c.Name = strings.Repeat("名", 61) },
	} {
		c := good
		change(&c)
		_, _, err := h.CreateClient(t.Context(), h.as(idp.RolePolicyAdmin), c)
		wants(t, err, idp.Invalid, msg)
	}
	if _, err := h.Store.Client(t.Context(), "web"); idp.KindOf(err) != idp.NotFound {
		t.Error("a refused client was kept")
	}
}

func TestRedirectURI(t *testing.T) {
	for uri, want := range map[string]bool{
		"https://shop.example/cb": true, "https://shop.example:8443/cb?x=1": true, "http://localhost:8081/callback": true, "http://127.0.0.1/cb": true, "http://[::1]:9/cb": true,
		"http://shop.example/cb": false, "https://*.example/cb": false, "https://shop.example/cb#x": false, "https://u:p@shop.example/": false, "https://u@shop.example/": false, "//shop.example": false,
		"/cb": false, "": false, "https:shop.example": false, "https:///cb": false, "javascript:alert(1)": false, "data:text/html,x": false, "https://shop.example/\n": false, "https://shop.example/\\evil": false,
		"https://店.example/": false, "http://localhost.evil.example/": false, "http://127.0.0.1.evil.example/": false, "ftp://localhost/": false, "https://" + strings.Repeat("a", 600): false,
	} {
		if got := RedirectURI(uri); got != want {
			t.Errorf("%q: %t", uri, got)
		}
	}
}

func FuzzRedirectURI(f *testing.F) {
	for _, s := range []string{"https://shop.example/cb", "http://localhost:8081/", "https://a@b", "https://[::1]:x/", "http://127.1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !RedirectURI(s) {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(s, "*\\#\x00\n ") {
			t.Errorf("%q is accepted", s)
		}
	})
}

func TestHostileStrings(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		admin := h.as(idp.RolePolicyAdmin)
		for _, evil := range []string{"\x00", "\xff\xfe", "'; DROP TABLE users; --", strings.Repeat("a", 1<<16), "<script>", "\u202e\u200b", "😀", "%s%n"} {
			a := admin
			a.Reason = "reason " + evil
			for _, err := range []error{
				second(h.CreateMerchant(ctx, a, NewMerchant{No: evil, LegalName: evil, Tier: idp.Tier(evil)})),
				second(h.CreateStore(ctx, a, h.merchant.ID, evil, evil)),
				second(h.CreateUser(ctx, a, NewUser{Name: evil, Role: idp.RoleOwner, MerchantNo: evil, Username: evil, Phone: evil, Email: evil, Language: evil})),
				second(h.CreateTerminal(ctx, a, NewTerminal{MerchantNo: h.merchant.No, StoreID: evil, Serial: evil, Model: evil, Kind: idp.TerminalKind(evil)})),
				h.EndSessions(ctx, a, h.owner.ID),
			} {
				if k := idp.KindOf(err); err != nil && (k == idp.Internal) {
					t.Errorf("%.20q: %v", evil, err)
				}
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestAccountsOfTheCommandLine(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		in := Account{Username: "he.min", Name: "何敏", Role: idp.RolePolicyAdmin, Phone: "13800000007", Password: "brass otter sings low", TOTP: true}
		uri, err := h.AddAccount(ctx, in)
		h.must(err)
		if !strings.HasPrefix(uri.Reveal(), "otpauth://totp/Hufu:he.min?") {
			t.Error(uri.Reveal())
		}
		_, err = h.AddAccount(ctx, in)
		wants(t, err, idp.Conflict, "error.taken.username")
		u, err := s.UserByIdentifier(ctx, idp.IdentifierUsername, "he.min")
		h.must(err)
		creds, err := s.Credentials(ctx, u.ID)
		if err != nil || len(creds) != 2 || u.Status != idp.UserActive {
			t.Fatal(creds, err)
		}
		_, grant, _ := h.live(u)
		h.must(h.ResetPassword(ctx, "HE.MIN", "another brass otter"))
		u, _ = s.User(ctx, u.ID)
		creds, _ = s.Credentials(ctx, u.ID)
		ok, _, err := phc.NewHasher(1).Verify(ctx, true, string(creds[0].Data), "another brass otter")
		if !ok || err != nil || !u.MustChange || !h.ended(grant) || len(creds) != 2 {
			t.Error("not reset", err)
		}
		if list := h.events(storage.EventFilter{Subject: u.ID, Name: "password.reset"}); len(list) != 1 || list[0].Actor != "system" {
			t.Errorf("events %v", list)
		}
		wants(t, h.ResetPassword(ctx, "nobody", "another brass otter"), idp.NotFound, "error.unknown_name")
		wants(t, h.ResetPassword(ctx, "he.min", "short"), idp.Invalid, "password.short")
		_, err = h.AddAccount(ctx, Account{Username: "chen.xy", Role: idp.RoleCashier, MerchantNo: "822290059430009", Password: "correct horse battery"})
		wants(t, err, idp.Invalid, "error.no_merchant")
		_, err = h.AddAccount(ctx, Account{Username: "chen.xy", Role: idp.RoleCashier, MerchantNo: h.merchant.No, Password: "correct horse battery"})
		h.must(err)
		_, err = h.AddAccount(ctx, Account{Username: "x.y", Role: idp.RoleAuditor, Password: "ten chars!"})
		wants(t, err, idp.Invalid, "password.short") // twelve without a second factor
	})
}
