package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// What the owner's evidence is in these stories.
const (
	ownTail = "31201X"
	ownDay  = "19851224"
)

// A desk is a house with more people at it, and documents that were there before.
type desk struct {
	*house
	agent, super, second, admin Actor
}

func newDesk(t *testing.T, s *storage.Store) *desk {
	h := newHouse(t, s)
	d := &desk{house: h, agent: h.as(idp.RoleSupportAgent), super: h.as(idp.RoleSupportSupervisor), admin: h.as(idp.RolePolicyAdmin)}
	d.second = d.super
	d.second.User = h.user(idp.RoleSupportSupervisor, "", "super.two")
	for shift, a := range map[string]*Actor{"early": &d.agent, "late": &d.super, "night": &d.second, "office": &d.admin} {
		h.works(*a, shift)
		a.User.Team = shift
	}
	h.must(s.AddIdentifier(t.Context(), &idp.Identifier{UserID: h.owner.ID, Kind: idp.IdentifierMerchantNo, Value: h.merchant.No}))
	h.must(s.AddIdentifier(t.Context(), &idp.Identifier{UserID: h.owner.ID, Kind: idp.IdentifierPhone, Value: "+8613800000001", VerifiedAt: time.Now()}))
	d.keep(h.owner, time.Now().AddDate(0, 0, -30))
	return d
}

// keep puts documents where they are compared with, as they stand since a time.
func (d *desk) keep(u idp.User, at time.Time) {
	d.t.Helper()
	for kind, value := range map[string]string{"document.6": ownTail, "document.4": ownTail[2:], "birthday": ownDay, "birthday.md": ownDay[4:]} {
		d.must(d.Store.SetEvidence(d.t.Context(), u.ID, kind, value, at))
	}
}

// opened is a case of the owner's that the agent opened.
func (d *desk) opened() idp.Case {
	d.t.Helper()
	c, err := d.OpenCase(d.t.Context(), d.agent, NewCase{Login: "lin.wei", Lost: "both", To: "13900000009"})
	d.must(err)
	return c
}

// compared matches two fields of a case.
func (d *desk) compared(a Actor, c idp.Case) {
	d.t.Helper()
	for field, said := range map[idp.EvidenceField]string{idp.FieldDocument: ownTail, idp.FieldBirthday: "1985-12-24"} {
		ok, err := d.CompareEvidence(d.t.Context(), a, c.ID, field, said)
		d.must(err)
		if !ok {
			d.t.Errorf("%s did not match", field)
		}
	}
}

// ready is a case of the owner's that waits for an approval.
func (d *desk) ready() idp.Case {
	d.t.Helper()
	c := d.opened()
	d.compared(d.agent, c)
	d.must(d.SubmitCase(d.t.Context(), d.agent, c.ID))
	return d.now(c)
}

func (d *desk) now(c idp.Case) idp.Case {
	d.t.Helper()
	c, err := d.Store.Case(d.t.Context(), c.ID)
	d.must(err)
	return c
}

func (d *desk) templates(u idp.User) (list []string) {
	for _, m := range d.messages(u) {
		list = append(list, m.Template)
	}
	slices.Sort(list)
	return list
}

// A caller comes back by a link to the address in his case; he is told of each step.
func TestCaseFromCallToLink(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		c := d.opened()
		if c.Kind != idp.CaseRecovery || c.Assigned != d.agent.User.ID || c.Lost() != idp.LostBoth || c.To().Value != "+8613900000009" || !c.DueAt.Equal(c.OpenedAt.Add(4*time.Hour)) {
			t.Errorf("opened %+v", c)
		}
		if got := d.templates(d.owner); !slices.Equal(got, []string{"case.recovery"}) {
			t.Errorf("told %v", got)
		}
		if seen, err := d.Looked(ctx, d.agent, d.owner.ID); err != nil || !seen {
			t.Error("to open a case is no look")
		}
		_, err := d.OpenCase(ctx, d.super, NewCase{User: d.owner.ID, Lost: "password", To: "a.new@example.com"})
		wants(t, err, idp.Conflict, "error.case_one")
		wants(t, d.SubmitCase(ctx, d.agent, c.ID), idp.Conflict, "error.case_evidence")
		wants(t, d.ApproveCase(ctx, d.super, c.ID, false), idp.Conflict, "error.case_evidence")
		d.compared(d.agent, c)
		wants(t, d.ApproveCase(ctx, d.super, c.ID, false), idp.Conflict, "error.case_not_ready")
		d.must(d.SubmitCase(ctx, d.agent, c.ID))
		wants(t, d.SubmitCase(ctx, d.agent, c.ID), idp.Conflict, "error.moved")
		if c = d.now(c); c.ReadyAt.IsZero() || c.DueAt.After(c.ReadyAt.Add(time.Hour)) {
			t.Errorf("ready %+v", c)
		}
		d.must(d.ApproveCase(ctx, d.super, c.ID, true))
		if c = d.now(c); !c.Approved() || c.Met() || c.DecidedBy != d.super.User.ID {
			t.Errorf("approved %+v", c)
		}
		if got := d.templates(d.owner); !slices.Equal(got, []string{"case.approved", "case.link", "case.recovery"}) {
			t.Errorf("told %v", got)
		}
		wants(t, d.ApproveCase(ctx, d.second, c.ID, false), idp.Conflict, "error.moved")
		for name, n := range map[string]int{"case.opened": 1, "case.evidence": 2, "case.ready": 1, "case.approved": 1, "account.viewed": 1, "password.reset": 0, "channel.added": 0} {
			if list := d.events(storage.EventFilter{Subject: d.owner.ID, Name: name}); len(list) != n {
				t.Errorf("%d events %s", len(list), name)
			}
		}
		creds, err := s.Credentials(ctx, d.owner.ID)
		if d.must(err); len(creds) != 0 { // I8: nothing of the account changed
			t.Errorf("credentials %v", creds)
		}
	})
}

// Who may approve: another person than those who worked on the case (I8, I10, I21).
func TestWhoApprovesACase(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		d := newDesk(t, s)
		try := func(what string, a Actor, c idp.Case, kind idp.Kind, msg string) {
			t.Helper()
			err := d.ApproveCase(ctx, a, c.ID, false)
			if idp.KindOf(err) != kind || err == nil || !strings.Contains(err.Error(), msg) {
				t.Errorf("%s: %v, want %s", what, err, msg)
			}
			if now := d.now(c); now.State != idp.CaseOpen {
				t.Fatalf("%s: %s", what, now.Outcome)
			}
		}
		c := d.ready()
		for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleAuditor} {
			try(string(role), d.as(role), c, idp.Forbidden, "error.forbidden")
		}
		for role, u := range d.shop {
			try(string(role), d.is(u), c, idp.Forbidden, "error.forbidden")
		}
		try("a policy administrator, of a merchant's person", d.admin, c, idp.NotFound, "error.notfound")
		silent := d.super
		silent.Reason = ""
		try("without a reason", silent, c, idp.Invalid, "reason.empty")

		for _, shift := range []string{"", "early"} {
			d.works(d.agent, shift)
			d.works(d.super, shift)
			try("of the author's shift "+shift, d.super, c, idp.Forbidden, map[string]string{"": "error.case_no_team", "early": "error.case_team"}[shift])
			if n, err := d.WaitsFor(ctx, must(s.User(ctx, d.super.User.ID)), time.Now()); err != nil || n.Cases != 0 {
				t.Errorf("%+v waits for who may not approve, %v", n, err)
			}
		}
		d.must(d.SetTeam(ctx, d.admin, d.super.User.ID, "late"))
		if n, err := d.WaitsFor(ctx, must(s.User(ctx, d.super.User.ID)), time.Now()); err != nil || n.Cases != 1 {
			t.Errorf("%+v waits, %v", n, err)
		}
		d.must(d.SetDocuments(ctx, d.second, d.owner.ID, Documents{Tail: ownTail}))
		try("who entered the documents", d.second, c, idp.Forbidden, "error.case_documents")
		_, err := d.CompareEvidence(ctx, d.super, c.ID, idp.FieldMerchantNo, "822290059430009")
		d.must(err)
		try("author of evidence that did not match", d.super, c, idp.Forbidden, "error.case_author")
		third := d.super
		third.User = d.user(idp.RoleSupportSupervisor, "", "super.three")
		d.must(second(s.FreezeUser(ctx, d.owner.ID, time.Now())))
		try("frozen meanwhile", third, c, idp.Conflict, "error.case_frozen")
		d.must(second(s.UnfreezeUser(ctx, d.owner.ID)))
		d.must(second(s.LockUser(ctx, d.owner.ID, "fraud")))
		try("locked meanwhile", third, c, idp.Conflict, "error.case_locked")
		d.must(second(s.UnlockUser(ctx, d.owner.ID)))
		d.must(second(s.SetUserStatus(ctx, d.owner.ID, idp.UserActive, idp.UserDisabled)))
		try("disabled meanwhile", third, c, idp.Conflict, "error.case_state")
		d.must(second(s.SetUserStatus(ctx, d.owner.ID, idp.UserDisabled, idp.UserActive)))
		d.must(d.ApproveCase(ctx, third, c.ID, false))

		// Who opened it does not approve it, though others compared.
		c, err = d.OpenCase(ctx, d.super, NewCase{Login: "manager.001", Lost: "password", To: "m@example.com"})
		d.must(err)
		d.keep(d.shop[idp.RoleManager], time.Now().AddDate(0, 0, -30))
		d.compared(d.agent, c)
		d.must(d.SubmitCase(ctx, d.super, c.ID))
		try("the opener", d.super, c, idp.Forbidden, "error.case_opener")
		d.works(third, "late")
		try("of the opener's shift", third, c, idp.Forbidden, "error.case_team")
		if n, err := d.WaitsFor(ctx, must(s.User(ctx, third.User.ID)), time.Now()); err != nil || n.Cases != 0 {
			t.Errorf("%+v waits for who works with the opener, %v", n, err)
		}
		d.works(third, "")
		d.must(d.ApproveCase(ctx, third, c.ID, false))
	})
}

// Whoever wrote where the link goes, or asked for the approval, had a hand in it, and so had his
// shift.
func TestHandsOfACase(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		mate := d.super
		mate.User = d.user(idp.RoleSupportSupervisor, "", "super.mate")
		for what, work := range map[string]func(c idp.Case){
			"addressed": func(c idp.Case) {
				d.must(d.AddressCase(ctx, d.super, c.ID, "13900000008"))
				d.must(d.SubmitCase(ctx, d.agent, c.ID))
			},
			"submitted": func(c idp.Case) { d.must(d.SubmitCase(ctx, d.super, c.ID)) },
		} {
			c := d.opened()
			d.compared(d.agent, c)
			work(c)
			d.works(mate, "late")
			if err := d.ApproveCase(ctx, mate, c.ID, false); idp.KindOf(err) != idp.Forbidden || err.Error() != "error.case_team" {
				t.Errorf("%s, of the same shift: %v", what, err)
			}
			if err := d.ApproveCase(ctx, d.super, c.ID, false); idp.KindOf(err) != idp.Forbidden {
				t.Errorf("who %s it: %v", what, err)
			}
			d.works(mate, "")
			d.must(d.ApproveCase(ctx, mate, c.ID, false))
		}
	})
}

// A hand-over is decided at a door of its own, and nothing else is: every act in a case of
// every kind.
func TestEveryActOfEveryKind(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		acts := []struct {
			name string
			do   func(a Actor, id string) error
		}{
			{"approve", func(a Actor, id string) error { return d.ApproveCase(ctx, a, id, false) }},
			{"take", func(a Actor, id string) error { return d.TakeCase(ctx, a, id) }},
			{"release", func(a Actor, id string) error { return d.ReleaseCase(ctx, a, id) }},
			{"address", func(a Actor, id string) error { return d.AddressCase(ctx, a, id, "13900000008") }},
			{"compare", func(a Actor, id string) error {
				return second(d.CompareEvidence(ctx, a, id, idp.FieldDocument, ownTail))
			}},
			{"call", func(a Actor, id string) error { return d.StartCall(ctx, a, id) }},
			{"hear", func(a Actor, id string) error { return d.HearCall(ctx, a, id, "none", "1234") }},
			{"stop", func(a Actor, id string) error { return d.StopCaller(ctx, a, id) }},
			{"answer", func(a Actor, id string) error { return d.AnswerCase(ctx, a, id, "never") }},
			{"submit", func(a Actor, id string) error { return d.SubmitCase(ctx, a, id) }},
			{"refuse", func(a Actor, id string) error { return d.RefuseCase(ctx, a, id) }},
		}
		d.must(second(s.FreezeUser(ctx, d.owner.ID, time.Now())))
		for _, kind := range []string{idp.CaseRecovery, idp.CaseStaff, idp.CaseFreeze, idp.CaseNotMe, idp.CaseHandover} {
			about := d.owner
			if kind == idp.CaseStaff {
				about = d.staff[idp.RoleAuditor]
			}
			c := idp.Case{Kind: kind, UserID: about.ID, Merchant: about.MerchantID, OpenedAt: time.Now(), ReadyAt: time.Now(), DueAt: time.Now().Add(time.Hour), Data: map[string]any{"to": d.shop[idp.RoleManager].ID}}
			d.must(s.OpenCase(ctx, &c))
			for _, approve := range []bool{true, false} {
				if err := second(d.DecideHandover(ctx, d.agent, c.ID, approve)); idp.KindOf(err) != idp.Forbidden {
					t.Errorf("%s, decided by an agent: %v", kind, err)
				}
				if kind != idp.CaseHandover {
					wants(t, second(d.DecideHandover(ctx, d.super, c.ID, approve)), idp.NotFound, "error.notfound")
				}
			}
			if kind == idp.CaseHandover { // what would do for an approval of any other
				for _, field := range []idp.EvidenceField{idp.FieldDocument, idp.FieldBirthday} {
					d.must(second(s.WriteEvidence(ctx, c.ID, idp.Match{Field: field, Matched: true, By: d.second.User.ID, At: time.Now()}, 3)))
				}
			}
			before := d.now(c)
			for _, act := range acts {
				for _, a := range []Actor{d.agent, d.super} {
					name, err := act.name, act.do(a, c.ID)
					barred := err != nil && strings.Contains(err.Error(), "error.case_handover")
					if kind != idp.CaseHandover && barred {
						t.Errorf("%s, %s: %v", kind, name, err)
					}
					if kind == idp.CaseHandover && !barred && !(name == "approve" && a.User.ID == d.agent.User.ID && idp.KindOf(err) == idp.Forbidden) {
						t.Errorf("a hand-over, %s by %s: %v", name, a.User.Role, err)
					}
				}
			}
			now := d.now(c)
			if kind == idp.CaseHandover && (now.State != idp.CaseOpen || now.Assigned != "" || now.ReadyAt != before.ReadyAt || len(must(s.CaseEvidence(ctx, c.ID))) != 2) {
				t.Errorf("a hand-over was worked on: %+v", now)
			}
			if kind != idp.CaseHandover && kind != idp.CaseStaff && now.State != idp.CaseClosed {
				t.Errorf("%s: nothing ended it", kind)
			}
		}
		if !must(s.User(ctx, d.owner.ID)).Frozen {
			t.Error("a freeze was lifted")
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Policy says which roles approve for whom.
func TestApproversOfPolicy(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	c := d.ready()
	doc := must(policy.Parse(policy.Default().Document.Format()))
	doc.Rules[0].Set["recovery.approvers"] = []string{"policy_admin"}
	d.Policy.Use(must(policy.Compile(doc, 2)), nil)
	wants(t, d.ApproveCase(t.Context(), d.super, c.ID, false), idp.Forbidden, "error.case_role")
	doc.Rules[0].Set["recovery.approvers"], doc.Rules[0].Set["desk.matches"] = []string{"support_supervisor"}, 3
	d.Policy.Use(must(policy.Compile(doc, 3)), nil)
	wants(t, d.ApproveCase(t.Context(), d.super, c.ID, false), idp.Conflict, "error.case_evidence")
	d.must(second(d.CompareEvidence(t.Context(), d.agent, c.ID, idp.FieldLegalName, " 林记 小馆 ")))
	d.must(d.ApproveCase(t.Context(), d.super, c.ID, false))
}

// Of many who approve at once one does, and one link goes out.
func TestParallelApprovals(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d := newDesk(t, s)
		c := d.ready()
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() { errs[i] = d.ApproveCase(context.Background(), []Actor{d.super, d.second}[i%2], c.ID, false) })
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
		links := 0
		for _, m := range d.messages(d.owner) {
			if m.Template == "case.link" {
				links++
			}
		}
		if won != 1 || links != 1 || len(d.events(storage.EventFilter{Subject: d.owner.ID, Name: "case.approved"})) != 1 {
			t.Errorf("%d won, %d links", won, links)
		}
	})
}

// Whom a case is opened for, where its link goes, and who opens it.
func TestOpeningACase(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		other, _, device, _ := d.other()
		d.must(second(s.SetTerminalState(ctx, device.ID, idp.TerminalActive, idp.TerminalLost)))
		good := NewCase{Login: "lin.wei", Lost: "both", To: "13900000009"}
		with := func(edit func(in *NewCase)) NewCase { in := good; edit(&in); return in }
		staff := d.staff[idp.RoleAuditor]
		for what, try := range map[string]struct {
			a    Actor
			in   NewCase
			kind idp.Kind
			msg  string
		}{
			"nobody named":         {d.agent, with(func(in *NewCase) { in.Login = "" }), idp.Invalid, "error.case_who"},
			"an unknown name":      {d.agent, with(func(in *NewCase) { in.Login = "nobody.here" }), idp.Invalid, "error.case_nobody"},
			"another's terminal":   {d.agent, with(func(in *NewCase) { in.Login, in.MerchantNo, in.Serial = "", other.No, d.terminal.Serial }), idp.Invalid, "error.case_pair"},
			"a lost terminal":      {d.agent, with(func(in *NewCase) { in.Login, in.MerchantNo, in.Serial = "", other.No, device.Serial }), idp.Invalid, "error.case_pair"},
			"nowhere":              {d.agent, with(func(in *NewCase) { in.To = "" }), idp.Invalid, "error.empty"},
			"a user name":          {d.agent, with(func(in *NewCase) { in.To = "some.body" }), idp.Invalid, "error.case_to"},
			"a country":            {d.agent, with(func(in *NewCase) { in.To = "+4915112345678" }), idp.Invalid, "error.country"},
			"another's address":    {d.agent, with(func(in *NewCase) { in.To = "manager.001@example.com" }), idp.Invalid, "error.case_to_other"},
			"nothing lost":         {d.agent, with(func(in *NewCase) { in.Lost = "keys" }), idp.Invalid, "error.choose"},
			"no freeze":            {d.agent, with(func(in *NewCase) { in.Lost = "freeze" }), idp.Conflict, "error.case_not_frozen"},
			"an agent of staff":    {d.agent, with(func(in *NewCase) { in.User = staff.ID }), idp.Forbidden, "error.staff"},
			"oneself":              {d.super, with(func(in *NewCase) { in.User = d.super.User.ID }), idp.Forbidden, "error.self"},
			"an admin of merchant": {d.admin, good, idp.Forbidden, "error.case_staff_only"},
			"an auditor":           {d.as(idp.RoleAuditor), good, idp.Forbidden, "error.forbidden"},
			"the owner":            {d.is(d.owner), good, idp.Forbidden, "error.forbidden"},
		} {
			_, err := d.OpenCase(ctx, try.a, try.in)
			if err == nil || idp.KindOf(err) != try.kind && !strings.Contains(err.Error(), try.msg) || !strings.Contains(err.Error(), try.msg) {
				t.Errorf("%s: %v, want %s", what, err, try.msg)
			}
		}
		if n := len(d.messages(d.owner)) + len(d.events(storage.EventFilter{Subject: d.owner.ID})); n != 0 {
			t.Errorf("%d traces of what was refused", n)
		}
		for _, in := range []NewCase{{Login: "138 0000 0001"}, {Login: d.merchant.No}, {User: d.owner.ID}, {MerchantNo: d.merchant.No, Serial: "hf20260001", Says: "林薇"}} {
			in.Lost, in.To = "second", "+86 138 0000 0001" // his own
			c, err := d.OpenCase(ctx, d.agent, in)
			if d.must(err); c.UserID != d.owner.ID {
				t.Errorf("%+v is a case of %s", in, c.UserID)
			}
			d.must(d.RefuseCase(ctx, d.agent, c.ID))
		}
		wants(t, d.RefuseCase(ctx, d.agent, "none"), idp.NotFound, "error.notfound")
	})
}

// One who works on a case, and how it is given to another.
func TestTakingCases(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx, c := t.Context(), d.opened()
	wants(t, d.TakeCase(ctx, d.super, c.ID), idp.Conflict, "error.moved")
	agent := d.agent
	agent.User = d.user(idp.RoleSupportAgent, "", "agent.two")
	wants(t, d.ReleaseCase(ctx, agent, c.ID), idp.Conflict, "error.moved")
	d.must(d.ReleaseCase(ctx, d.super, c.ID))
	d.must(d.TakeCase(ctx, agent, c.ID))
	d.must(d.ReleaseCase(ctx, agent, c.ID))
	if c = d.now(c); c.Assigned != "" || len(d.events(storage.EventFilter{Name: "case.assigned"})) != 3 {
		t.Errorf("case %+v", c)
	}
	d.must(d.RefuseCase(ctx, agent, c.ID))
	wants(t, d.TakeCase(ctx, agent, c.ID), idp.Conflict, "error.moved")
	if c = d.now(c); c.Outcome != idp.OutcomeRefused || len(d.events(storage.EventFilter{Name: "case.refused"})) != 1 {
		t.Errorf("case %+v", c)
	}
}

// A freeze that its person cannot lift is lifted by another than who compared evidence.
func TestFreezeIsAnswered(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		d.must(second(s.FreezeUser(ctx, d.owner.ID, time.Now())))
		names := must(s.Identifiers(ctx, d.owner.ID))
		for _, n := range names {
			if n.Kind == idp.IdentifierPhone {
				d.must(s.Dispute(ctx, n.ID, time.Now().Add(7*24*time.Hour)))
			}
		}
		c := idp.Case{Kind: idp.CaseFreeze, UserID: d.owner.ID, Merchant: d.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour)}
		d.must(s.OpenCase(ctx, &c))
		_, err := d.OpenCase(ctx, d.agent, NewCase{User: d.owner.ID, Lost: "freeze"})
		wants(t, err, idp.Conflict, "error.case_one")
		d.compared(d.agent, c)
		d.must(d.SubmitCase(ctx, d.agent, c.ID))
		recovery := d.ready()
		wants(t, d.ApproveCase(ctx, d.super, recovery.ID, false), idp.Conflict, "error.case_frozen")
		session, grant, _ := d.live(d.owner) // whoever was stopped signs in again, with what he brought
		d.must(d.ApproveCase(ctx, d.super, c.ID, false))
		u := must(s.User(ctx, d.owner.ID))
		if !d.ended(grant) || must(s.Session(ctx, session)).EndedAt.IsZero() || len(d.events(storage.EventFilter{Subject: u.ID, Name: "session.ended"})) != 1 || len(d.events(storage.EventFilter{Subject: u.ID, Name: "grant.revoked"})) == 0 {
			t.Error("what began while it was frozen lives on")
		}
		if c = d.now(c); u.Frozen || c.Outcome != idp.OutcomeUnfreeze || c.Approved() || len(d.events(storage.EventFilter{Subject: u.ID, Name: "account.unfrozen"})) != 1 {
			t.Errorf("case %+v, frozen %t", c, u.Frozen)
		}
		for _, n := range must(s.Identifiers(ctx, d.owner.ID)) {
			if !n.DisputedUntil.IsZero() {
				t.Errorf("%s is disputed", n.Value)
			}
		}
		if got := d.templates(d.owner); !slices.Contains(got, "unfrozen") || slices.Contains(got, "case.link") {
			t.Errorf("told %v", got)
		}
		d.must(d.ApproveCase(ctx, d.super, recovery.ID, false))

		d.must(second(s.FreezeUser(ctx, d.owner.ID, time.Now())))
		c, err = d.OpenCase(ctx, d.agent, NewCase{User: d.owner.ID, Lost: "freeze"})
		d.must(err)
		d.must(d.RefuseCase(ctx, d.agent, c.ID))
		if c = d.now(c); c.Outcome != idp.OutcomeKeep || !must(s.User(ctx, d.owner.ID)).Frozen {
			t.Errorf("case %+v", c)
		}

		// Nothing is to be lifted: nobody is asked to approve that.
		d.must(second(s.UnfreezeUser(ctx, d.owner.ID)))
		c = idp.Case{Kind: idp.CaseFreeze, UserID: d.owner.ID, Merchant: d.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour)}
		d.must(s.OpenCase(ctx, &c))
		d.compared(d.agent, c)
		wants(t, d.SubmitCase(ctx, d.agent, c.ID), idp.Conflict, "error.case_not_frozen")
	})
}

// I20: one of the operator's own is brought back by two others, never by an agent, never by
// himself; whether both met him stands in the case.
func TestStaffCases(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		for i, met := range [][2]bool{{true, true}, {true, false}, {false, true}} {
			who := d.super
			who.User = d.user(idp.RoleSupportSupervisor, "", fmt.Sprint("lost.", i))
			c, err := d.OpenCase(ctx, d.admin, NewCase{User: who.User.ID, Lost: "both", To: fmt.Sprintf("lost.%d@example.com", i), Met: met[0]})
			d.must(err)
			if c.Kind != idp.CaseStaff || c.ReadyAt.IsZero() {
				t.Errorf("opened %+v", c)
			}
			if n := len(d.messages(d.admin.User)); n != 2*i+1 {
				t.Errorf("administrators were told %v", d.templates(d.admin.User))
			}
			wants(t, d.ApproveCase(ctx, d.admin, c.ID, true), idp.Forbidden, "error.case_opener")
			wants(t, d.ApproveCase(ctx, who, c.ID, true), idp.Forbidden, "error.self")
			for _, call := range []func() error{func() error { return d.TakeCase(ctx, d.agent, c.ID) }, func() error { return d.StartCall(ctx, d.agent, c.ID) },
				func() error { return d.RefuseCase(ctx, d.agent, c.ID) }, func() error { return d.AnswerCase(ctx, d.agent, c.ID, "never") },
				func() error {
					return second(d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, "1985-12-24"))
				}} {
				wants(t, call(), idp.Forbidden, "error.staff")
			}
			d.must(d.ApproveCase(ctx, d.second, c.ID, met[1]))
			if c = d.now(c); !c.Approved() || c.Met() != (met[0] && met[1]) {
				t.Errorf("%v: met %t, %+v", met, c.Met(), c)
			}
			if got := d.templates(who.User); !slices.Equal(got, []string{"case.approved", "case.link", "case.recovery"}) {
				t.Errorf("he was told %v", got)
			}
		}
	})
}

// The last resort, for whoever holds the server.
func TestRecoverStaffOffline(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	_, err := d.RecoverStaff(ctx, "lin.wei")
	wants(t, err, idp.Conflict, "error.recover_staff")
	_, err = d.RecoverStaff(ctx, "nobody.here")
	wants(t, err, idp.NotFound, "error.unknown_name")
	link, err := d.RecoverStaff(ctx, "policy_admin")
	d.must(err)
	list := must(d.Store.Cases(ctx, storage.CaseFilter{User: d.admin.User.ID}, 10))
	if len(list) != 1 || !list[0].Approved() || list[0].Met() || list[0].DecidedBy != "system" || !strings.HasSuffix(link.Reveal(), list[0].ID) {
		t.Errorf("cases %+v, link %s", list, link.Reveal())
	}
	if got := d.templates(d.admin.User); !slices.Equal(got, []string{"case.recovery", "staff.recovery"}) {
		t.Errorf("told %v", got)
	}
}

// Answers go to bound channels, and are those that were prepared.
func TestAnswers(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx, c := t.Context(), d.opened()
	wants(t, d.AnswerCase(ctx, d.agent, c.ID, "give me your code"), idp.Invalid, "error.choose")
	for _, answer := range idp.CaseAnswers {
		d.must(d.AnswerCase(ctx, d.agent, c.ID, answer))
	}
	told := 0
	for _, m := range d.messages(d.owner) {
		if m.Template == "case.answer" {
			told++
		}
	}
	if told != len(idp.CaseAnswers) {
		t.Errorf("%d answers", told)
	}
}

// What waits for whom on the first page.
func TestWaiting(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	c := d.ready()
	for who, want := range map[string]struct {
		a Actor
		n int64
	}{"supervisor": {d.super, 1}, "agent": {d.agent, 0}, "admin": {d.admin, 0}, "auditor": {d.as(idp.RoleAuditor), 0}, "owner": {d.is(d.owner), 0}} {
		if n, err := d.WaitsFor(ctx, want.a.User, time.Now()); err != nil || n.Cases != want.n {
			t.Errorf("%s: %+v, %v", who, n, err)
		}
	}
	d.must(d.ApproveCase(ctx, d.super, c.ID, false))
	if n, err := d.WaitsFor(ctx, d.second.User, time.Now()); err != nil || n.Cases != 0 {
		t.Errorf("%+v, %v", n, err)
	}
}

// A case that a person's own recovery opened: an agent writes where its link goes, which then
// is not his to approve; of the operator's own it takes two colleagues all the same.
func TestCasesOfTheFlow(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		byFlow := func(u idp.User, kind string) idp.Case {
			t.Helper()
			c := idp.Case{Kind: kind, UserID: u.ID, Merchant: u.MerchantID, OpenedAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour), Data: map[string]any{"lost": "both", "shown": []string{"phone"}}}
			d.must(s.OpenCase(ctx, &c))
			return c
		}
		c := byFlow(d.owner, idp.CaseRecovery)
		d.compared(d.agent, c)
		wants(t, d.SubmitCase(ctx, d.agent, c.ID), idp.Conflict, "error.case_no_address")
		wants(t, d.AddressCase(ctx, d.agent, c.ID, "manager.001@example.com"), idp.Invalid, "error.case_to_other")
		d.must(d.AddressCase(ctx, d.super, c.ID, "first@example.com"))
		d.must(d.SubmitCase(ctx, d.agent, c.ID))
		wants(t, d.AddressCase(ctx, d.agent, c.ID, "thief@example.com"), idp.Conflict, "error.moved")
		wants(t, d.ApproveCase(ctx, d.super, c.ID, false), idp.Forbidden, "error.case_addressed")
		d.must(d.ApproveCase(ctx, d.second, c.ID, false))
		if c = d.now(c); !c.Approved() || c.To().Value != "first@example.com" {
			t.Errorf("%+v", c)
		}

		who := d.user(idp.RoleAuditor, "", "lost.auditor")
		c = byFlow(who, idp.CaseStaff)
		wants(t, d.ApproveCase(ctx, d.super, c.ID, true), idp.Conflict, "error.case_not_ready")
		d.must(d.AddressCase(ctx, d.admin, c.ID, "auditor.new@example.com"))
		d.must(d.SubmitCase(ctx, d.second, c.ID))
		wants(t, d.ApproveCase(ctx, d.second, c.ID, true), idp.Forbidden, "error.case_opener")
		wants(t, d.ApproveCase(ctx, d.admin, c.ID, true), idp.Forbidden, "error.case_addressed")
		d.must(d.ApproveCase(ctx, d.super, c.ID, true))
		if c = d.now(c); !c.Approved() || c.Met() {
			t.Errorf("%+v", c)
		}
	})
}

// The queue is read by when its cases are due, over any number of pages; what becomes more
// urgent between two pages is not lost from the rest.
func TestCaseQueue(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		begun := time.Now().Add(-time.Hour)
		var want []string
		for i := range 7 { // the later opened, the sooner due; two at the same time
			c := idp.Case{Kind: idp.CaseNotMe, UserID: d.owner.ID, Merchant: d.merchant.ID, OpenedAt: begun.Add(time.Duration(i) * time.Minute), DueAt: begun.Add(time.Duration(10-max(i, 1)) * time.Hour)}
			d.must(s.OpenCase(ctx, &c))
			want = append(want, c.ID)
		}
		slices.Reverse(want[2:])
		want = append(want[2:], want[:2]...)
		queue := func(size int, between func(last string)) (got []string) {
			for before := ""; ; {
				list, err := s.Cases(ctx, storage.CaseFilter{State: idp.CaseOpen, Queue: true, Before: before}, size)
				if d.must(err); len(list) == 0 {
					return got
				}
				for _, c := range list {
					got = append(got, c.ID)
				}
				before = list[len(list)-1].ID
				between(before)
			}
		}
		for size := 1; size <= 8; size++ {
			if got := queue(size, func(string) {}); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v, want %v", size, got, want)
			}
		}
		got := queue(3, func(last string) { // the case at the foot of the first page is closed, one after it becomes urgent
			if last == want[2] {
				d.must(second(s.CloseCase(ctx, want[2], time.Now())))
				d.must(second(s.ReadyCase(ctx, want[6], time.Now(), time.Now())))
			}
		})
		if !slices.Equal(got, want[:6]) {
			t.Errorf("%v, want %v", got, want[:6])
		}
		if got := queue(3, func(string) {}); got[0] != want[6] || len(got) != 6 {
			t.Errorf("the urgent one is not first: %v", got)
		}
	})
}

// That a case is overdue is noted once, whoever looks, however often, and of each.
func TestOverdueCases(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		now := time.Now()
		open := func(due time.Time) idp.Case {
			c := idp.Case{Kind: idp.CaseNotMe, UserID: d.owner.ID, Merchant: d.merchant.ID, OpenedAt: now, DueAt: due}
			d.must(s.OpenCase(ctx, &c))
			return c
		}
		noted := func(want ...idp.Case) {
			t.Helper()
			var got []string
			for _, e := range d.events(storage.EventFilter{Subject: d.owner.ID, Name: "case.overdue"}) {
				got = append(got, fmt.Sprint(e.Data["case"]))
			}
			slices.Sort(got)
			var numbers []string
			for _, c := range want {
				numbers = append(numbers, c.Number)
			}
			slices.Sort(numbers)
			if !slices.Equal(got, numbers) {
				t.Errorf("noted %v, want %v", got, numbers)
			}
		}
		before, soon, later := open(now.Add(-30*24*time.Hour)), open(now.Add(time.Hour)), open(now.Add(4*time.Hour))
		answered := open(now.Add(time.Hour))
		d.must(second(s.CloseCase(ctx, answered.ID, now)))
		look := func(at time.Time) {
			t.Helper()
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if err := d.CasesOverdue(context.Background(), at); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		look(now) // also of what ran out while nobody ran
		noted(before)
		look(now.Add(time.Hour - time.Microsecond))
		noted(before)
		look(now.Add(time.Hour)) // it was looked a moment ago
		noted(before)
		look(now.Add(time.Hour + time.Minute))
		noted(before, soon)
		look(now.Add(9 * time.Hour))
		look(now.Add(10 * time.Hour))
		noted(before, soon, later)
		b, err := d.Board(ctx, now.Add(2*time.Hour), time.UTC)
		if d.must(err); b.Now.Cases != (storage.CasesOpen{All: 3, Overdue: 2}) {
			t.Errorf("%+v", b.Now.Cases)
		}
	})
}

// A look at a shop's page is told to its owner: once, by mail of its own name, and only where a
// case lets an agent look.
func TestLookAtAShopIsTold(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		wants(t, d.LookAtMerchant(ctx, d.agent, d.merchant.ID), idp.Forbidden, "error.needs_case")
		d.must(d.LookAtMerchant(ctx, d.as(idp.RoleAuditor), d.merchant.ID)) // who reads all is told of by nobody
		if got := d.templates(d.owner); len(got) != 0 {
			t.Errorf("told %v", got)
		}
		_, err := d.OpenCase(ctx, d.agent, NewCase{User: d.shop[idp.RoleCashier].ID, Lost: "password", To: "c.new@example.com"})
		d.must(err)
		for range 2 {
			d.must(d.LookAtMerchant(ctx, d.agent, d.merchant.ID))
		}
		if got := d.templates(d.owner); !slices.Equal(got, []string{"merchant.viewed"}) {
			t.Errorf("told %v", got)
		}
	})
}

// A freeze by a call needs something that the caller said and that matched, in this case.
func TestStopCaller(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		c := d.opened()
		wants(t, d.StopCaller(ctx, d.agent, c.ID), idp.Conflict, "error.case_evidence")
		d.must(second(d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, "1979-01-02")))
		wants(t, d.StopCaller(ctx, d.agent, c.ID), idp.Conflict, "error.case_evidence")
		if must(s.User(ctx, d.owner.ID)).Frozen {
			t.Fatal("frozen by who knows nothing")
		}
		d.must(second(d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, ownDay)))
		for _, a := range []Actor{d.admin, d.as(idp.RoleAuditor), d.is(d.owner)} {
			wants(t, d.StopCaller(ctx, a, c.ID), idp.Forbidden, "error.forbidden")
		}
		d.must(d.StopCaller(ctx, d.agent, c.ID))
		list := d.events(storage.EventFilter{Subject: d.owner.ID, Name: "account.frozen"})
		if !must(s.User(ctx, d.owner.ID)).Frozen || len(list) != 1 || list[0].Actor != d.agent.User.ID || list[0].Reason == "" {
			t.Errorf("%+v", list)
		}
		wants(t, d.StopCaller(ctx, d.agent, c.ID), idp.Conflict, "error.moved")
	})
}
