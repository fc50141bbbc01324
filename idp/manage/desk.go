package manage

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/storage"
)

// FieldState is what is known of one field of a case's evidence: never a value.
type FieldState struct {
	Field   idp.EvidenceField
	Kept    bool // there is something to compare with
	Matched bool
	Tries   int
	Left    int
	By      string // who compared last
}

// CompareEvidence says whether what a caller said of a field is right. So many tries there
// are in all, whoever compares; what could be no such value is no try.
func (m *Manager) CompareEvidence(ctx context.Context, a Actor, id string, field idp.EvidenceField, typed string) (matched bool, err error) {
	err = m.act(ctx, &a, CaseEvidence, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		matched = false
		is, err := m.compare(ctx, u, field, typed)
		if err != nil {
			return err
		}
		desk, now := m.Policy.Now().Desk, time.Now()
		ok, until, err := m.Store.TakeBucket(ctx, "evidence.agent", []byte(a.User.ID), desk.EvidenceAgent.Burst, desk.EvidenceAgent.Refill, now)
		if err != nil || !ok {
			return or(err, &idp.Error{Kind: idp.Conflict, Msg: "error.evidence_wait", Args: []any{until}})
		}
		ok, err = m.Store.WriteEvidence(ctx, c.ID, idp.Match{Field: field, Matched: is, By: a.User.ID, At: now}, desk.EvidenceTries)
		if err != nil || !ok {
			return or(err, &idp.Error{Kind: idp.Conflict, Field: "field", Msg: "error.evidence_closed"})
		}
		e := caseEvent("case.evidence", u, c)
		e.Data["field"], e.Data["match"] = string(field), is
		matched = is
		return m.record(ctx, a, e)
	})
	return matched && err == nil, err
}

// compare looks at one field, in a time that does not tell how much of it is right.
func (m *Manager) compare(ctx context.Context, u idp.User, field idp.EvidenceField, typed string) (bool, error) {
	kept, err := m.keptOf(ctx, u)
	if err != nil {
		return false, err
	}
	same := func(kind, said string, hash []byte) bool {
		return hmac.Equal(m.Store.EvidenceHash(u.ID, kind, said), hash)
	}
	none := &idp.Error{Kind: idp.Conflict, Field: "field", Msg: "error.evidence_none"}
	switch field {
	case idp.FieldLegalName:
		said := normal.LegalName(typed)
		switch {
		case said == "":
			return false, idp.FieldError("value", "error.empty")
		case kept.merchant == nil:
			return false, none
		}
		return same("legal_name", said, m.Store.EvidenceHash(u.ID, "legal_name", normal.LegalName(kept.merchant.LegalName))), nil
	case idp.FieldMerchantNo:
		said, err := merchantNo("value", typed)
		if err != nil || kept.merchant == nil {
			return false, or(err, none)
		}
		return same("merchant_no", said, m.Store.EvidenceHash(u.ID, "merchant_no", kept.merchant.No)), nil
	case idp.FieldSerial:
		if _, ok := normal.Serial(typed); !ok {
			return false, idp.FieldError("value", "error.serial")
		}
		if kept.merchant == nil {
			return false, none
		}
		return m.ofMerchant(ctx, kept.merchant.ID, typed)
	case idp.FieldDocument:
		said, ok := normal.DocumentTail(typed)
		if !ok {
			return false, idp.FieldError("value", "error.evidence_tail")
		}
		kind := policy.EvidenceKind(policy.FactDocumentTail, said)
		if kept.hashes[kind] == nil {
			return false, none
		}
		return same(kind, said, kept.hashes[kind]), nil
	case idp.FieldBirthday:
		days := policy.Birthdays(typed)
		if len(days) == 0 {
			return false, idp.FieldError("value", "error.evidence_birthday")
		}
		kind := policy.EvidenceKind(policy.FactBirthday, days[0])
		if kept.hashes[kind] == nil {
			return false, none
		}
		is := false
		for _, day := range days {
			is = same(kind, day, kept.hashes[kind]) || is
		}
		return is, nil
	}
	return false, idp.FieldError("field", "error.choose")
}

// kept is what evidence of a person is compared with.
type kept struct {
	merchant *idp.Merchant
	hashes   map[string][]byte
}

// keptOf reads it. What was put there lately counts for nothing: whoever did may be who
// calls.
func (m *Manager) keptOf(ctx context.Context, u idp.User) (k kept, err error) {
	if u.MerchantID != "" {
		merchant, err := m.Store.Merchant(ctx, u.MerchantID)
		if err != nil {
			return k, err
		}
		k.merchant = &merchant
	}
	young := m.Policy.For(policy.Who(u, k.merchant)).Recovery.Young
	k.hashes, err = m.Store.EvidenceBefore(ctx, u.ID, time.Now().Add(-young))
	return k, err
}

// Evidence is where the fields of a case stand.
func (m *Manager) Evidence(ctx context.Context, c idp.Case, u idp.User) (list []FieldState, err error) {
	k, err := m.keptOf(ctx, u)
	if err != nil {
		return nil, err
	}
	all, err := m.Store.CaseEvidence(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	most := m.Policy.Now().Desk.EvidenceTries
	for _, field := range idp.EvidenceFields {
		f := FieldState{Field: field, Kept: k.merchant != nil, Left: most}
		switch field {
		case idp.FieldDocument:
			f.Kept = k.hashes[policy.EvidenceKind(policy.FactDocumentTail, "123456")] != nil
		case idp.FieldBirthday:
			f.Kept = k.hashes[policy.EvidenceKind(policy.FactBirthday, "YYYYMMDD")] != nil
		}
		for _, one := range all {
			if one.Field == field {
				f.Tries, f.Left, f.By = f.Tries+1, max(0, f.Left-1), one.By
				f.Matched = f.Matched || one.Matched
			}
		}
		if f.Matched {
			f.Left = 0
		}
		list = append(list, f)
	}
	return list, nil
}

// digits is so many decimal digits by chance.
func digits(n int64) string {
	most := big.NewInt(1)
	for range n {
		most.Mul(most, big.NewInt(10))
	}
	i, err := rand.Int(rand.Reader, most)
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return fmt.Sprintf("%0*d", int(n), i)
}

// callDigits is how many each side of a call reads out.
const callDigits = 4

// StartCall begins a call with a two-way code: the person sees his digits on a page of his
// own, if he is signed in anywhere.
func (m *Manager) StartCall(ctx context.Context, a Actor, id string) error {
	return m.act(ctx, &a, CaseCall, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		now := time.Now()
		call := idp.Call{CaseID: c.ID, UserID: u.ID, Agent: a.User.ID, Caller: digits(callDigits), Half: digits(callDigits), StartedAt: now, Until: now.Add(m.Policy.Now().Desk.Call)}
		if err := m.Store.StartCall(ctx, &call); err != nil {
			return err
		}
		return m.recordCall(ctx, a, c, u, "started")
	})
}

// HearCall takes the digits that the caller read. If they are right the agent's own half
// appears to both. Wrong ones end the call when there were too many.
func (m *Manager) HearCall(ctx context.Context, a Actor, id, call, typed string) error {
	said, ok := normal.Digits(typed, callDigits)
	if !ok {
		return idp.FieldError("digits", "error.call_digits", callDigits)
	}
	var wrong error
	err := m.act(ctx, &a, CaseCall, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		wrong = nil
		on, err := m.Store.CaseCall(ctx, c.ID)
		now := time.Now()
		switch {
		case err != nil:
			return err
		case on == nil || on.ID != call || !on.Live(now) || on.State != idp.CallAsked:
			return idp.Errorf(idp.Conflict, "error.call_over")
		case on.Agent != a.User.ID:
			return forbidden("error.call_other")
		}
		heard, err := m.Store.HearCall(ctx, on.ID, said, now)
		if err != nil {
			return err
		}
		if heard {
			return m.recordCall(ctx, a, c, u, "heard")
		}
		wrong = idp.FieldError("digits", "error.call_wrong")
		if ok, err := m.Store.MissCall(ctx, on.ID, m.Policy.Now().Desk.CallTries, now); err != nil || !ok {
			return orMoved(err)
		}
		return m.recordCall(ctx, a, c, u, "wrong") // counted, so committed
	})
	return or(err, wrong)
}

func (m *Manager) recordCall(ctx context.Context, a Actor, c idp.Case, u idp.User, state string) error {
	e := caseEvent("case.callercode", u, c)
	e.Data["state"] = state
	return m.record(ctx, a, e)
}

// StopCaller freezes whom a case is about: he says so on the telephone, and something that he
// said has matched.
func (m *Manager) StopCaller(ctx context.Context, a Actor, id string) error {
	return m.act(ctx, &a, CaseStop, id, func(ctx context.Context, c idp.Case, u idp.User) error {
		if u.Frozen {
			return moved()
		}
		if ok, err := m.matched(ctx, c); err != nil || !ok {
			return or(err, idp.Errorf(idp.Conflict, "error.case_evidence", 1))
		}
		return m.Freeze(ctx, u, m.by(a))
	})
}

// matched says whether any evidence of one of some cases matched.
func (m *Manager) matched(ctx context.Context, cases ...idp.Case) (bool, error) {
	for _, c := range cases {
		all, err := m.Store.CaseEvidence(ctx, c.ID)
		if err != nil || idp.Matches(all) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// calledFor: what support does for a shop because somebody of it calls needs an open case of
// its in which something that he said has matched. Who acts for his own shop needs none, nor
// does a policy administrator, whom nobody calls.
func (m *Manager) calledFor(ctx context.Context, a Actor, merchant string) error {
	if a.User.Role != idp.RoleSupportAgent && a.User.Role != idp.RoleSupportSupervisor {
		return nil
	}
	open, err := m.Store.Cases(ctx, storage.CaseFilter{Merchant: merchant, State: idp.CaseOpen}, openMost)
	if err != nil {
		return err
	}
	if ok, err := m.matched(ctx, open...); err != nil || !ok {
		return or(err, forbidden("error.needs_match"))
	}
	return nil
}

const openMost = 100 // open cases of a shop that are looked at

// Documents are what evidence is compared with, and never shown again: the last six
// characters of the identity document and the day of birth. "" leaves what was kept.
type Documents struct{ Tail, Birthday idp.Secret }

// SetDocuments keeps keyed hashes of a person's identity document and birthday.
func (m *Manager) SetDocuments(ctx context.Context, a Actor, id string, d Documents) error {
	if err := a.allow(UserDocuments); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, UserDocuments, id)
		if err != nil {
			return err
		}
		if err := m.keepDocuments(ctx, a, u, d); err != nil {
			return err
		}
		return m.Notify(ctx, u, "documents")
	})
}

// keepDocuments writes the hashes, and an event that says of which.
func (m *Manager) keepDocuments(ctx context.Context, a Actor, u idp.User, d Documents) error {
	kinds := []string{}
	for kind, typed := range map[string]idp.Secret{"document": d.Tail, "birthday": d.Birthday} {
		if line(typed.Reveal()) != "" {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return idp.FieldError("document", "error.empty")
	}
	slices.Sort(kinds)
	if err := m.SetPersonalEvidence(ctx, u.ID, d.Birthday.Reveal(), d.Tail.Reveal()); err != nil {
		return err
	}
	e := userEvent("account.documents", u)
	e.Data = map[string]any{"kinds": strings.Join(kinds, " ")}
	return m.record(ctx, a, e)
}

// mostImported bounds what one import holds in memory.
const mostImported = 100_000

// ImportDocuments reads lines of user name, last six characters of the identity document
// and birthday, and keeps their hashes: all or nothing. What is wrong is told by line,
// never by value.
func (m *Manager) ImportDocuments(ctx context.Context, from io.Reader) (n int, err error) {
	rows, err := readDocuments(from)
	if err != nil {
		return 0, err
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		n = 0
		var bad checks
		for i, row := range rows {
			err := m.importRow(ctx, row)
			if err != nil && idp.KindOf(err) == idp.Internal {
				return err
			}
			switch {
			case err == nil:
				n++
			case i == 0 && idp.KindOf(err) == idp.NotFound: // names of the columns
			case idp.KindOf(err) == idp.NotFound:
				bad.add(idp.Errorf(idp.Invalid, "error.import_nobody", i+1))
			default:
				bad.add(idp.Errorf(idp.Invalid, "error.import_line", i+1))
			}
		}
		return bad.err()
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func readDocuments(from io.Reader) (rows [][]string, err error) {
	r := csv.NewReader(from)
	r.FieldsPerRecord, r.TrimLeadingSpace = 3, true
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil || len(rows) == mostImported { // an error of the reader would show the line
			return nil, idp.Errorf(idp.Invalid, "error.import_line", len(rows)+1)
		}
		rows = append(rows, row)
	}
}

func (m *Manager) importRow(ctx context.Context, row []string) error {
	u, err := m.named(ctx, strings.TrimPrefix(row[0], "\ufeff"))
	if err != nil {
		return err
	}
	return m.keepDocuments(ctx, system, u, Documents{idp.Secret(row[1]), idp.Secret(row[2])})
}

// SetTeam keeps with whom one of the operator's staff works: who compares evidence and who
// approves are not of one team.
func (m *Manager) SetTeam(ctx context.Context, a Actor, id, typed string) error {
	if err := Check(a.User, StaffTeam); err != nil {
		return err
	}
	var bad checks
	bad.add(a.allow(StaffTeam))
	team := line(typed)
	if team != "" {
		_, err := name("team", team, 40)
		bad.add(err)
	}
	if err := bad.err(); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.onUser(ctx, a, StaffTeam, id)
		switch {
		case err != nil:
			return err
		case !u.Role.Operator():
			return forbidden("error.team_staff")
		case u.Team == team:
			return idp.FieldError("team", "error.same")
		}
		if err := m.Store.SetTeam(ctx, id, team); err != nil {
			return err
		}
		e := userEvent("staff.team", u)
		e.Data = map[string]any{"team": team, "was": u.Team}
		return m.record(ctx, a, e)
	})
}

// Reveal returns the phones or addresses of a person whole: an agent's of whom a case is
// open.
func (m *Manager) Reveal(ctx context.Context, a Actor, id string, kind idp.IdentifierKind) (values []string, err error) {
	if err := a.allow(UserReveal); err != nil {
		return nil, err
	}
	if kind != idp.IdentifierPhone && kind != idp.IdentifierEmail {
		return nil, idp.FieldError("kind", "error.choose")
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		values = nil
		u, err := m.onUser(ctx, a, UserReveal, id)
		if err != nil {
			return err
		}
		c, err := m.worksOn(ctx, a, storage.CaseFilter{User: u.ID})
		if err != nil {
			return err
		}
		names, err := m.Store.Identifiers(ctx, u.ID)
		if err != nil {
			return err
		}
		for _, n := range names {
			if n.Kind == kind && n.RemovedAt.IsZero() && !n.Former {
				values = append(values, n.Value)
			}
		}
		e := userEvent("account.revealed", u)
		e.Data = map[string]any{"field": string(kind)}
		if c.Number != "" {
			e.Data["case"] = c.Number
		}
		return m.record(ctx, a, e)
	})
	return values, err
}
