package storage

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
	"hufu/idp/seal"
)

type caseRow struct {
	ID       string `gorm:"primaryKey"`
	Number   string
	Kind     string
	State    string
	UserID   string
	Merchant string
	OpenedBy string
	OpenedAt int64
	DueAt    int64
	ClosedAt int64
	Data     []byte

	Assigned  string
	ReadyAt   int64
	Outcome   string
	DecidedBy string
}

func (caseRow) TableName() string { return "cases" }

func casePlace(id string) seal.Place { return seal.Place{Table: "cases", Column: "data", Row: id} }

func (s *Store) toCase(r caseRow) (idp.Case, error) {
	c := idp.Case{ID: r.ID, Number: r.Number, Kind: r.Kind, State: idp.CaseState(r.State), UserID: r.UserID, Merchant: r.Merchant, OpenedBy: r.OpenedBy,
		OpenedAt: fromMicros(r.OpenedAt), DueAt: fromMicros(r.DueAt), ReadyAt: fromMicros(r.ReadyAt), Assigned: r.Assigned, Outcome: idp.Outcome(r.Outcome), DecidedBy: r.DecidedBy,
		ClosedAt: fromMicros(r.ClosedAt)}
	text, err := s.ring.Open(casePlace(r.ID), r.Data)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c.Data)
}

// OpenCase stores a case, giving it an id and a number. Of those that bring a person back
// one is open at a time.
func (s *Store) OpenCase(ctx context.Context, c *idp.Case) error {
	c.ID, c.Number, c.State = idp.NewTimeID(c.OpenedAt), idp.NewExplainCode(), idp.CaseOpen
	data, err := s.ring.Seal(casePlace(c.ID), []byte(asJSON(c.Data)))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&caseRow{ID: c.ID, Number: c.Number, Kind: c.Kind, State: string(c.State), UserID: c.UserID, Merchant: c.Merchant, OpenedBy: c.OpenedBy,
			OpenedAt: micros(c.OpenedAt), DueAt: micros(c.DueAt), ReadyAt: micros(c.ReadyAt), Assigned: c.Assigned, Data: data}).Error
		return taken(err, "", "error.case_one")
	})
}

// CaseFilter narrows [Store.Cases]; empty fields do not. Before is the id of the last case of the page before.
type CaseFilter struct {
	Before, User, Merchant string
	Kind, Assigned         string
	State                  idp.CaseState
	Ready                  bool      // waiting for an approval
	Staff                  bool      // of the operator's own people alone
	Due                    time.Time // to be answered by then
	Queue                  bool      // what is to be answered first comes first
}

// Cases lists a page of cases: the newest first or, as a queue, those that are due first.
func (s *Store) Cases(ctx context.Context, f CaseFilter, limit int) ([]idp.Case, error) {
	order := "id DESC"
	if f.Queue {
		order = "due_at, id"
	}
	q := s.db(ctx).Order(order).Limit(limit)
	for column, v := range map[string]string{"user_id": f.User, "merchant": f.Merchant, "kind": f.Kind, "assigned": f.Assigned, "state": string(f.State)} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	if f.Staff {
		q = q.Where("merchant = ''")
	}
	if f.Ready {
		q = q.Where("ready_at > 0")
	}
	if !f.Due.IsZero() {
		q = q.Where("due_at <= ?", micros(f.Due))
	}
	switch {
	case f.Before == "":
	case f.Queue: // after where that one stands now: what has moved to the front since is on the first page
		q = q.Where("(due_at, id) > (SELECT b.due_at, b.id FROM cases b WHERE b.id = ?)", f.Before)
	default:
		q = q.Where("id < ?", f.Before)
	}
	var rows []caseRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toCase)
}

// Overdue lists the open cases whose time ran out after since, and until now.
func (s *Store) Overdue(ctx context.Context, since, now time.Time) ([]idp.Case, error) {
	var rows []caseRow
	if err := s.db(ctx).Where("state = ? AND due_at > ? AND due_at <= ?", string(idp.CaseOpen), micros(since), micros(now)).Order("due_at, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toCase)
}

// Case returns a case by id.
func (s *Store) Case(ctx context.Context, id string) (idp.Case, error) {
	var r caseRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Case{}, notFound(err)
	}
	return s.toCase(r)
}

// CaseByNumber returns a case by the number that people say.
func (s *Store) CaseByNumber(ctx context.Context, number string) (idp.Case, error) {
	var r caseRow
	if err := s.db(ctx).Where("number = ?", number).Take(&r).Error; err != nil {
		return idp.Case{}, notFound(err)
	}
	return s.toCase(r)
}

// HoldCase reads a case and keeps its row from being changed by others until the
// transaction ends.
func (s *Store) HoldCase(ctx context.Context, id string) (idp.Case, error) {
	if !InTx(ctx) {
		return idp.Case{}, errors.New("storage: HoldCase outside a transaction")
	}
	var r caseRow
	err := s.db(ctx).Raw("SELECT * FROM cases WHERE id = ?"+s.holding(), id).Scan(&r).Error
	if err == nil && r.ID == "" {
		err = gorm.ErrRecordNotFound
	}
	if err != nil {
		return idp.Case{}, notFound(err)
	}
	return s.toCase(r)
}

// AssignCase gives an open case from one person to another, "" being nobody; false when it
// is not open or not the first one's.
func (s *Store) AssignCase(ctx context.Context, id, from, to string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE cases SET assigned = ? WHERE id = ? AND state = ? AND assigned = ?", to, id, string(idp.CaseOpen), from)
	return n == 1, err
}

// SetCaseData keeps the data of a case that does not wait for an approval yet; false when it
// does, or is not open.
func (s *Store) SetCaseData(ctx context.Context, c idp.Case) (bool, error) {
	data, err := s.ring.Seal(casePlace(c.ID), []byte(asJSON(c.Data)))
	if err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE cases SET data = ? WHERE id = ? AND state = ? AND ready_at = 0", data, c.ID, string(idp.CaseOpen))
	return n == 1, err
}

// ReadyCase lets an open case wait for an approval, to be answered by a time at the latest;
// false when it is not open, or waits already.
func (s *Store) ReadyCase(ctx context.Context, id string, at, due time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE cases SET ready_at = ?, due_at = CASE WHEN due_at < ? THEN due_at ELSE ? END WHERE id = ? AND state = ? AND ready_at = 0",
		micros(at), micros(due), micros(due), id, string(idp.CaseOpen))
	return n == 1, err
}

// DecideCase ends an open case with an outcome, by whom and when as c says, and keeps its
// data; false when it is not open. Only what waits for an approval is approved.
func (s *Store) DecideCase(ctx context.Context, c idp.Case) (bool, error) {
	data, err := s.ring.Seal(casePlace(c.ID), []byte(asJSON(c.Data)))
	if err != nil {
		return false, err
	}
	sql := "UPDATE cases SET state = ?, outcome = ?, decided_by = ?, closed_at = ?, data = ? WHERE id = ? AND state = ?"
	if c.Outcome == idp.OutcomeApproved || c.Outcome == idp.OutcomeUnfreeze {
		sql += " AND ready_at > 0"
	}
	n, err := s.affected(ctx, sql, string(idp.CaseClosed), string(c.Outcome), c.DecidedBy, micros(c.ClosedAt), data, c.ID, string(idp.CaseOpen))
	return n == 1, err
}

// CountReady counts the cases that wait for an approval which one person may give: they are
// not about him, and neither he nor anybody of his team opened them or compared evidence.
// Those of no team are one. staff: of the operator's own people alone.
func (s *Store) CountReady(ctx context.Context, by idp.User, staff bool) (n int64, err error) {
	sql := `SELECT count(*) FROM cases c WHERE c.state = 'open' AND c.ready_at > 0 AND c.opened_by <> @me AND c.user_id <> @me
		AND NOT EXISTS (SELECT 1 FROM case_evidence e JOIN users w ON w.id = e.by_user WHERE e.case_id = c.id AND (w.id = @me OR w.team = @team))
		AND NOT EXISTS (SELECT 1 FROM users w WHERE w.id = c.opened_by AND w.id <> c.user_id AND w.merchant_id IS NULL AND w.team = @team)`
	if staff {
		sql += " AND c.merchant = ''"
	}
	err = s.db(ctx).Raw(sql, map[string]any{"me": by.ID, "team": by.Team}).Scan(&n).Error
	return n, err
}

// CloseCase ends an open case; false when there is none.
func (s *Store) CloseCase(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE cases SET state = ?, closed_at = ? WHERE id = ? AND state = ?", string(idp.CaseClosed), micros(at), id, string(idp.CaseOpen))
	return n == 1, err
}

// Answer keeps what a person said of an event of his: "me" or "not_me". The first word
// stands; false when there is one.
func (s *Store) Answer(ctx context.Context, user, event, answer string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, `INSERT INTO answers (event_id, user_id, answer, at)
		SELECT e.id, e.subject, ?, ? FROM events e WHERE e.id = ? AND e.subject = ? ON CONFLICT (event_id) DO NOTHING`, answer, micros(at), event, user)
	return n == 1, err
}

// Answers returns what a person said of events of his, by the events' ids.
func (s *Store) Answers(ctx context.Context, user string, events []string) (map[string]string, error) {
	var rows []struct{ EventID, Answer string }
	if err := s.db(ctx).Raw("SELECT event_id, answer FROM answers WHERE user_id = ? AND event_id IN ?", user, events).Scan(&rows).Error; err != nil {
		return nil, err
	}
	said := make(map[string]string, len(rows))
	for _, r := range rows {
		said[r.EventID] = r.Answer
	}
	return said, nil
}
