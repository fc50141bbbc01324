package storage

import (
	"context"
	"encoding/json"
	"time"

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
}

func (caseRow) TableName() string { return "cases" }

func casePlace(id string) seal.Place { return seal.Place{Table: "cases", Column: "data", Row: id} }

func (s *Store) toCase(r caseRow) (idp.Case, error) {
	c := idp.Case{ID: r.ID, Number: r.Number, Kind: r.Kind, State: idp.CaseState(r.State), UserID: r.UserID, Merchant: r.Merchant, OpenedBy: r.OpenedBy,
		OpenedAt: fromMicros(r.OpenedAt), DueAt: fromMicros(r.DueAt), ClosedAt: fromMicros(r.ClosedAt)}
	text, err := s.ring.Open(casePlace(r.ID), r.Data)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c.Data)
}

// OpenCase stores a case, giving it an id and a number.
func (s *Store) OpenCase(ctx context.Context, c *idp.Case) error {
	c.ID, c.Number, c.State = idp.NewTimeID(c.OpenedAt), idp.NewExplainCode(), idp.CaseOpen
	data, err := s.ring.Seal(casePlace(c.ID), []byte(asJSON(c.Data)))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&caseRow{ID: c.ID, Number: c.Number, Kind: c.Kind, State: string(c.State), UserID: c.UserID, Merchant: c.Merchant, OpenedBy: c.OpenedBy,
			OpenedAt: micros(c.OpenedAt), DueAt: micros(c.DueAt), Data: data}).Error
	})
}

// CaseFilter narrows [Store.Cases]; empty fields do not.
type CaseFilter struct {
	Before, User, Merchant string // Before: id of the last case of the page before
	State                  idp.CaseState
	Staff                  bool      // of the operator's own people alone
	Due                    time.Time // to be answered by then
}

// Cases lists a page of cases, newest first.
func (s *Store) Cases(ctx context.Context, f CaseFilter, limit int) ([]idp.Case, error) {
	q := s.db(ctx).Order("id DESC").Limit(limit)
	for column, v := range map[string]string{"user_id": f.User, "merchant": f.Merchant, "state": string(f.State)} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	if f.Staff {
		q = q.Where("merchant = ''")
	}
	if !f.Due.IsZero() {
		q = q.Where("due_at <= ?", micros(f.Due))
	}
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	var rows []caseRow
	if err := q.Find(&rows).Error; err != nil {
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
