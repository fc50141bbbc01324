package manage

import (
	"context"
	"errors"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/storage"
)

// NewCase is the form of a case that is opened for a caller. He is found by what he can
// name: a login name of any kind or, failing that, his merchant and a terminal of it, which
// together name its owner.
type NewCase struct {
	User               string // whose page is open; else
	Login              string // any name of his; else
	MerchantNo, Serial string
	Says               string // who he says he is
	Lost               string // an [idp.Lost] but a user name, which the door tells; or "freeze": he wants to be let out of one
	To                 string // phone or e-mail that a link goes to
	Met                bool   // one of the operator's own, and in person
}

// OpenCase opens a case for somebody who cannot get in, and tells him of it wherever he can
// be told. To open it is to look at his page.
func (m *Manager) OpenCase(ctx context.Context, a Actor, in NewCase) (idp.Case, error) {
	if err := Check(a.User, CaseOpen); err != nil {
		return idp.Case{}, err
	}
	var bad checks
	bad.add(a.allow(CaseOpen))
	u, err := m.caller(ctx, in)
	if bad.add(err) {
		bad.add(mayWorkOn(a.User, u))
	}
	says := line(in.Says)
	if says != "" {
		says, err = name("says", says, 64)
		bad.add(err)
	}
	c := m.newCase(a, u, in)
	c.Data["says"] = says
	if c.Returns() {
		to, err := m.linkTo(ctx, u, in.To)
		bad.add(err)
		writeTo(&c, a, to)
	}
	if lost := idp.Lost(in.Lost); c.Returns() && !slices.Contains([]idp.Lost{idp.LostPassword, idp.LostSecond, idp.LostBoth}, lost) {
		bad.add(idp.FieldError("lost", "error.choose"))
	}
	if err := bad.err(); err != nil {
		return idp.Case{}, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.open(ctx, a, &c); err != nil {
			return err
		}
		return m.recordLook(ctx, a, u, c)
	})
	return c, err
}

// newCase is a case before it is stored.
func (m *Manager) newCase(a Actor, u idp.User, in NewCase) idp.Case {
	now, desk := time.Now(), m.Policy.Now().Desk
	c := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, Merchant: u.MerchantID, OpenedBy: a.User.ID, Assigned: a.User.ID, OpenedAt: now, DueAt: now.Add(desk.Open), Data: map[string]any{"lost": in.Lost}}
	switch {
	case in.Lost == idp.CaseFreeze:
		c.Kind = idp.CaseFreeze
		c.Data = map[string]any{}
	case u.Role.Operator(): // colleagues know him: another one looks at once
		c.Kind, c.ReadyAt, c.DueAt = idp.CaseStaff, now, now.Add(desk.Ready)
		c.Data["met_opener"] = in.Met
	}
	return c
}

func (m *Manager) open(ctx context.Context, a Actor, c *idp.Case) error {
	u, err := m.Store.HoldUser(ctx, c.UserID)
	switch {
	case err != nil:
		return err
	case u.Status != idp.UserActive:
		return idp.Errorf(idp.Conflict, "error.case_state")
	case c.Kind == idp.CaseFreeze && !u.Frozen:
		return &idp.Error{Kind: idp.Conflict, Field: "lost", Msg: "error.case_not_frozen"}
	}
	if c.Kind == idp.CaseFreeze {
		if err := m.noOtherFreeze(ctx, u); err != nil {
			return err
		}
	}
	if err := m.Store.OpenCase(ctx, c); err != nil {
		return err
	}
	e := caseEvent("case.opened", u, *c)
	if lost := c.Lost(); lost != "" {
		e.Data["lost"] = string(lost)
	}
	if err := m.record(ctx, a, e); err != nil {
		return err
	}
	if c.Kind == idp.CaseStaff {
		if err := m.tellAdministrators(ctx, func(to idp.User) error { return m.Tell(ctx, to, "staff.recovery", *c, "opened") }); err != nil {
			return err
		}
	}
	return m.Tell(ctx, u, "case.recovery", *c, "")
}

// noOtherFreeze: a freeze is answered in the case that is open for it.
func (m *Manager) noOtherFreeze(ctx context.Context, u idp.User) error {
	for _, kind := range []string{idp.CaseFreeze, idp.CaseNotMe} {
		open, err := m.Store.Cases(ctx, storage.CaseFilter{User: u.ID, State: idp.CaseOpen, Kind: kind}, 1)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return idp.Errorf(idp.Conflict, "error.case_one")
		}
	}
	return nil
}

// caller finds whom a case is opened for.
func (m *Manager) caller(ctx context.Context, in NewCase) (idp.User, error) {
	switch {
	case in.User != "":
		return m.Store.User(ctx, in.User)
	case line(in.Login) != "":
		u, err := m.named(ctx, in.Login)
		if err != nil && idp.KindOf(err) == idp.NotFound {
			err = idp.FieldError("login", "error.case_nobody")
		}
		return u, err
	case line(in.MerchantNo) == "" && line(in.Serial) == "":
		return idp.User{}, idp.FieldError("login", "error.case_who")
	}
	merchant, err := m.merchantByNo(ctx, "merchant_no", in.MerchantNo)
	if err != nil {
		return idp.User{}, err
	}
	if ok, err := m.ofMerchant(ctx, merchant.ID, in.Serial); err != nil || !ok {
		return idp.User{}, or(err, idp.FieldError("serial", "error.case_pair"))
	}
	owners, err := m.Store.Users(ctx, storage.UserFilter{Merchant: merchant.ID, Roles: []idp.Role{idp.RoleOwner}, Status: string(idp.UserActive)}, 1)
	if err != nil || len(owners) == 0 {
		return idp.User{}, or(err, idp.FieldError("merchant_no", "error.case_nobody"))
	}
	return owners[0], nil
}

// or is an error, or what holds where there is none.
func or(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// ofMerchant says whether a terminal with this serial works for a merchant.
func (m *Manager) ofMerchant(ctx context.Context, merchant, typed string) (bool, error) {
	serial, ok := normal.Serial(typed)
	if !ok || merchant == "" {
		return false, nil
	}
	t, err := m.Store.TerminalBySerial(ctx, serial)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return false, nil
	}
	return err == nil && t.WorksFor(merchant), err
}

// linkTo reads where the link of a case goes: to a phone or an address that is the
// person's, or nobody's.
func (m *Manager) linkTo(ctx context.Context, u idp.User, typed string) (idp.Identifier, error) {
	kind, value, ok := normal.Identifier(typed)
	to := idp.Identifier{Kind: kind, Value: value}
	switch {
	case line(typed) == "":
		return to, idp.FieldError("send_to", "error.empty")
	case !ok || kind != idp.IdentifierPhone && kind != idp.IdentifierEmail:
		return to, idp.FieldError("send_to", "error.case_to")
	case kind == idp.IdentifierPhone && !m.Policy.Now().Sends.Reaches(value):
		return to, idp.FieldError("send_to", "error.country")
	}
	other, err := m.Store.UserByIdentifier(ctx, kind, value)
	switch {
	case err != nil && idp.KindOf(err) != idp.NotFound:
		return to, err
	case err == nil && u.ID != "" && other.ID != u.ID:
		return to, idp.FieldError("send_to", "error.case_to_other")
	}
	return to, nil
}

// MayWorkOn says whether to offer acts in cases of a person.
func MayWorkOn(actor, u idp.User) bool { return mayWorkOn(actor, u) == nil }

// writeTo keeps where the link of a case goes, and who wrote that.
func writeTo(c *idp.Case, a Actor, to idp.Identifier) {
	c.Data["to_kind"], c.Data["to"], c.Data["to_by"] = string(to.Kind), to.Value, a.User.ID
}

// mayWorkOn says whether somebody works on cases of a person at all.
func mayWorkOn(actor, u idp.User) error {
	if err := mayActOn(actor, u); err != nil {
		return err
	}
	if OnlyStaffCases(actor) && !u.Role.Operator() {
		return forbidden("error.case_staff_only")
	}
	return nil
}

func caseEvent(name string, u idp.User, c idp.Case) idp.Event {
	e := userEvent(name, u)
	e.Data = map[string]any{"case": c.Number, "kind": c.Kind}
	return e
}

// onCase begins an act on an open case: who works on whom. The rows of the case and of its
// person are held until the transaction ends.
func (m *Manager) onCase(ctx context.Context, a Actor, id string) (idp.Case, idp.User, error) {
	c, err := m.Store.HoldCase(ctx, id)
	if err != nil {
		return c, idp.User{}, err
	}
	u, err := m.Store.HoldUser(ctx, c.UserID)
	switch {
	case err != nil:
		return c, u, err
	case !MayCase(a.User, u):
		return c, u, idp.Errorf(idp.NotFound, "error.notfound")
	case c.State != idp.CaseOpen:
		return c, u, moved()
	}
	return c, u, or(mayWorkOn(a.User, u), ofDesk(c))
}

// ofDesk refuses the acts of the desk in a case that has a door of its own: a whole merchant
// is not given or kept by what is enough for a link ([Manager.DecideHandover]).
func ofDesk(c idp.Case) error {
	if c.Kind == idp.CaseHandover {
		return idp.Errorf(idp.Conflict, "error.case_handover")
	}
	return nil
}

// act runs an act on an open case in a transaction.
func (m *Manager) act(ctx context.Context, a *Actor, act Action, id string, do func(ctx context.Context, c idp.Case, u idp.User) error) error {
	if err := a.allow(act); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		c, u, err := m.onCase(ctx, *a, id)
		if err != nil {
			return err
		}
		return do(ctx, c, u)
	})
}

// TakeCase makes a case that nobody works on the actor's.
func (m *Manager) TakeCase(ctx context.Context, a Actor, id string) error {
	return m.assign(ctx, a, id, func(idp.Case) (from, to string) { return "", a.User.ID })
}

// ReleaseCase lets others take a case: one's own, or a supervisor anybody's.
func (m *Manager) ReleaseCase(ctx context.Context, a Actor, id string) error {
	return m.assign(ctx, a, id, func(c idp.Case) (from, to string) {
		if May(a.User.Role, CaseApprove) != No && c.Assigned != "" {
			return c.Assigned, ""
		}
		return a.User.ID, ""
	})
}

func (m *Manager) assign(ctx context.Context, a Actor, id string, who func(c idp.Case) (from, to string)) error {
	return m.act(ctx, &a, CaseWork, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		from, to := who(c)
		if ok, err := m.Store.AssignCase(ctx, c.ID, from, to); err != nil || !ok {
			return orMoved(err)
		}
		e := caseEvent("case.assigned", u, c)
		e.Data["to"] = to
		return m.record(ctx, a, e)
	})
}

// AddressCase writes where the link of a case goes, until it waits for an approval: of those
// that a person's own recovery opened nobody has said yet.
func (m *Manager) AddressCase(ctx context.Context, a Actor, id, typed string) error {
	return m.act(ctx, &a, CaseEvidence, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		if !c.Returns() {
			return moved()
		}
		to, err := m.linkTo(ctx, u, typed)
		if err != nil {
			return err
		}
		writeTo(&c, a, to)
		if ok, err := m.Store.SetCaseData(ctx, c); err != nil || !ok {
			return orMoved(err)
		}
		return m.record(ctx, a, caseEvent("case.addressed", u, c))
	})
}

// SubmitCase lets a case wait for an approval, once enough was compared. Whoever submits it
// does not approve it.
func (m *Manager) SubmitCase(ctx context.Context, a Actor, id string) error {
	return m.act(ctx, &a, CaseEvidence, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		if err := m.enough(ctx, c); err != nil {
			return err
		}
		if c.Returns() && c.To().Value == "" {
			return idp.Errorf(idp.Conflict, "error.case_no_address")
		}
		if !c.Returns() && !u.Frozen {
			return idp.Errorf(idp.Conflict, "error.case_not_frozen")
		}
		if c.Data == nil {
			c.Data = map[string]any{}
		}
		c.Data["first"] = a.User.ID
		if ok, err := m.Store.SetCaseData(ctx, c); err != nil || !ok {
			return orMoved(err)
		}
		now := time.Now()
		if ok, err := m.Store.ReadyCase(ctx, c.ID, now, now.Add(m.Policy.Now().Desk.Ready)); err != nil || !ok {
			return orMoved(err)
		}
		return m.record(ctx, a, caseEvent("case.ready", u, c))
	})
}

// enough says whether so much of the evidence matched that a case can be approved. The
// operator's own staff are known to those who bring them back.
func (m *Manager) enough(ctx context.Context, c idp.Case) error {
	if c.Kind == idp.CaseStaff {
		return nil
	}
	all, err := m.Store.CaseEvidence(ctx, c.ID)
	if need := m.Policy.Now().Desk.Matches; err == nil && idp.Matches(all) < need {
		return idp.Errorf(idp.Conflict, "error.case_evidence", need)
	}
	return err
}

// MayApprove says why somebody may not approve a case, nil when he may: another person
// than those who worked on it, whom policy names, and on enough evidence.
func (m *Manager) MayApprove(ctx context.Context, a Actor, c idp.Case, u idp.User) error {
	if err := Allowed(a.User, CaseApprove, OfUser(u)); err != nil {
		return err
	}
	if err := mayWorkOn(a.User, u); err != nil {
		return err
	}
	if err := m.isApprover(ctx, a, u); err != nil {
		return err
	}
	if err := or(ofDesk(c), m.isApart(ctx, a, c)); err != nil {
		return err
	}
	if err := m.enough(ctx, c); err != nil {
		return err
	}
	switch {
	case c.ReadyAt.IsZero():
		return idp.Errorf(idp.Conflict, "error.case_not_ready")
	case c.Returns() && c.To().Value == "":
		return idp.Errorf(idp.Conflict, "error.case_no_address")
	case u.Status != idp.UserActive:
		return idp.Errorf(idp.Conflict, "error.case_state")
	case u.Locked != "":
		return idp.Errorf(idp.Conflict, "error.case_locked")
	case c.Returns() && u.Frozen:
		return idp.Errorf(idp.Conflict, "error.case_frozen")
	case !c.Returns() && !u.Frozen:
		return idp.Errorf(idp.Conflict, "error.case_not_frozen")
	}
	return nil
}

// isApprover: policy names the roles that approve for a person.
func (m *Manager) isApprover(ctx context.Context, a Actor, u idp.User) error {
	var merchant *idp.Merchant
	if u.MerchantID != "" {
		of, err := m.Store.Merchant(ctx, u.MerchantID)
		if err != nil {
			return err
		}
		merchant = &of
	}
	if !slices.Contains(m.Policy.For(policy.Who(u, merchant)).Recovery.Approvers, string(a.User.Role)) {
		return forbidden("error.case_role")
	}
	return nil
}

// isApart: whoever had a hand in a case, works with somebody who had, or put there what its
// evidence was compared with, does not decide it.
func (m *Manager) isApart(ctx context.Context, a Actor, c idp.Case) error {
	all, err := m.Store.CaseEvidence(ctx, c.ID)
	if err != nil {
		return err
	}
	first, _ := c.Data["first"].(string)
	addressed, _ := c.Data["to_by"].(string)
	hands := []string{c.OpenedBy, first, addressed}
	switch a.User.ID {
	case c.OpenedBy, first:
		return forbidden("error.case_opener")
	case addressed:
		return forbidden("error.case_addressed")
	}
	for _, one := range all {
		hands = append(hands, one.By)
	}
	if slices.Contains(hands, a.User.ID) {
		return forbidden("error.case_author")
	}
	if err := m.ofAnotherShift(ctx, a, slices.DeleteFunc(hands, func(id string) bool { return id == c.UserID })); err != nil {
		return err
	}
	set, err := m.Store.Events(ctx, storage.EventFilter{Subject: c.UserID, Name: "account.documents"}, 20)
	if slices.ContainsFunc(set, func(e idp.Event) bool { return e.Actor == a.User.ID }) {
		return forbidden("error.case_documents")
	}
	return err
}

// ofAnotherShift: those who sit together are one pair of eyes. Who has no shift may sit with
// anybody else who has none, so it must be set before they count as two.
func (m *Manager) ofAnotherShift(ctx context.Context, a Actor, hands []string) error {
	people, err := m.Store.UsersOf(ctx, append(hands, a.User.ID))
	if err != nil {
		return err
	}
	mine := people[a.User.ID].Team // as it is now
	for _, id := range hands {
		if u, ok := people[id]; !ok || !u.Role.Operator() || u.Team != mine {
			continue
		}
		if mine == "" {
			return forbidden("error.case_no_team")
		}
		return forbidden("error.case_team")
	}
	return nil
}

// ApproveCase is the second person's word, once: the person is sent a link with which he
// begins a recovery under its ordinary rules or, of a freeze, may act again. met: whoever
// approves for one of the operator's own met him, too.
func (m *Manager) ApproveCase(ctx context.Context, a Actor, id string, met bool) error {
	return m.act(ctx, &a, CaseApprove, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		if err := m.MayApprove(ctx, a, c, u); err != nil {
			return err
		}
		if !c.Returns() {
			return m.unfreeze(ctx, a, c, u)
		}
		opener, _ := c.Data["met_opener"].(bool)
		c.Data["met"] = c.Kind == idp.CaseStaff && opener && met
		if err := m.decide(ctx, a, &c, u, idp.OutcomeApproved, "case.approved"); err != nil {
			return err
		}
		if _, err := m.CaseLink(ctx, u, c, c.To()); err != nil {
			return err
		}
		if c.Kind == idp.CaseStaff {
			if err := m.tellAdministrators(ctx, func(to idp.User) error { return m.Tell(ctx, to, "staff.recovery", c, "approved") }); err != nil {
				return err
			}
		}
		return m.Tell(ctx, u, "case.approved", c, c.To().Masked())
	})
}

// decide ends a case in one conditional statement, with its event.
func (m *Manager) decide(ctx context.Context, a Actor, c *idp.Case, u idp.User, outcome idp.Outcome, event string) error {
	c.State, c.Outcome, c.DecidedBy, c.ClosedAt = idp.CaseClosed, outcome, a.User.ID, time.Now()
	if ok, err := m.Store.DecideCase(ctx, *c); err != nil || !ok {
		return orMoved(err)
	}
	all, err := m.Store.CaseEvidence(ctx, c.ID)
	if err != nil {
		return err
	}
	e := caseEvent(event, u, *c)
	e.Data["outcome"], e.Data["matches"] = string(outcome), idp.Matches(all)
	if c.Kind == idp.CaseStaff && outcome == idp.OutcomeApproved {
		e.Data["met"] = c.Met()
	}
	return m.record(ctx, a, e)
}

// unfreeze lets somebody act again who cannot return by his own means. What the freeze
// ended stays ended; what began since ends with it, for whoever was stopped could still
// sign in.
func (m *Manager) unfreeze(ctx context.Context, a Actor, c idp.Case, u idp.User) error {
	if err := m.decide(ctx, a, &c, u, idp.OutcomeUnfreeze, "case.closed"); err != nil {
		return err
	}
	if ok, err := m.Store.UnfreezeUser(ctx, u.ID); err != nil || !ok {
		return orMoved(err)
	}
	if err := errors.Join(m.endUser(ctx, a, u, "frozen"), m.Store.RevokeBrowsers(ctx, u.ID, "")); err != nil {
		return err
	}
	if err := m.record(ctx, a, caseEvent("account.unfrozen", u, c)); err != nil {
		return err
	}
	return m.Notify(ctx, u, "unfrozen")
}

// RefuseCase ends a case without a link; of a freeze: which then goes on until its person
// returns by his own means, or calls again.
func (m *Manager) RefuseCase(ctx context.Context, a Actor, id string) error {
	return m.act(ctx, &a, CaseRefuse, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		if c.Returns() {
			return m.decide(ctx, a, &c, u, idp.OutcomeRefused, "case.refused")
		}
		return m.decide(ctx, a, &c, u, idp.OutcomeKeep, "case.closed")
	})
}

// AnswerCase sends one of the prepared answers to the person's bound channels, and to no
// other: whoever calls may be anybody.
func (m *Manager) AnswerCase(ctx context.Context, a Actor, id, answer string) error {
	return m.act(ctx, &a, CaseAnswer, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		if !slices.Contains(idp.CaseAnswers, answer) {
			return idp.FieldError("answer", "error.choose")
		}
		e := caseEvent("case.answered", u, c)
		e.Data["answer"] = answer
		if err := m.record(ctx, a, e); err != nil {
			return err
		}
		return m.Tell(ctx, u, "case.answer", c, answer)
	})
}

// overduePause is how often is looked for cases whose time ran out.
const overduePause = time.Minute

// CasesOverdue notes of each open case that its time ran out: once, by whichever replica looks
// first, also of what ran out while nobody ran.
func (m *Manager) CasesOverdue(ctx context.Context, now time.Time) error {
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		last, ok, err := m.Store.Turn(ctx, "cases", overduePause, now)
		if err != nil || !ok {
			return err
		}
		late, err := m.Store.Overdue(ctx, last, now)
		for _, c := range late {
			e := caseEvent("case.overdue", idp.User{ID: c.UserID, MerchantID: c.Merchant}, c)
			e.Data["due"] = c.DueAt.UTC()
			if err := m.record(ctx, system, e); err != nil {
				return err
			}
		}
		return err
	})
}

// casesFor counts the cases that somebody may approve now, as far as their people go.
func (m *Manager) casesFor(ctx context.Context, u idp.User) (int64, error) {
	if Check(u, CaseApprove) != nil {
		return 0, nil
	}
	return m.Store.CountReady(ctx, u, OnlyStaffCases(u))
}
