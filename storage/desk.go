package storage

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type evidenceRow struct {
	CaseID  string
	Field   string
	Try     int
	Matched bool
	ByUser  string
	At      int64
}

// WriteEvidence keeps what came of a comparison, never the value; false when the field was
// compared so often already, or has matched. The statement counts.
func (s *Store) WriteEvidence(ctx context.Context, id string, m idp.Match, most int) (bool, error) {
	n, err := s.affected(ctx, `INSERT INTO case_evidence (case_id, field, try, matched, by_user, at)
		SELECT CAST(@id AS text), CAST(@field AS text), 1 + count(*), @matched, CAST(@by AS text), CAST(@at AS bigint) FROM case_evidence WHERE case_id = @id AND field = @field
		HAVING count(*) < @most AND count(CASE WHEN matched THEN 1 END) = 0 ON CONFLICT DO NOTHING`,
		map[string]any{"id": id, "field": string(m.Field), "matched": m.Matched, "by": m.By, "at": micros(m.At), "most": most})
	return n == 1, err
}

// CaseEvidence lists what was compared for a case, in the order of fields and tries.
func (s *Store) CaseEvidence(ctx context.Context, id string) ([]idp.Match, error) {
	var rows []evidenceRow
	if err := s.db(ctx).Raw("SELECT * FROM case_evidence WHERE case_id = ? ORDER BY field, try", id).Scan(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, func(r evidenceRow) (idp.Match, error) {
		return idp.Match{Field: idp.EvidenceField(r.Field), Try: r.Try, Matched: r.Matched, By: r.ByUser, At: fromMicros(r.At)}, nil
	})
}

type callRow struct {
	ID        string `gorm:"primaryKey"`
	CaseID    string
	UserID    string
	Agent     string
	State     string
	Hash      []byte
	Caller    []byte
	Half      []byte
	Wrong     int
	StartedAt int64
	Until     int64
}

func (callRow) TableName() string { return "calls" }

func callPlace(id, column string) seal.Place {
	return seal.Place{Table: "calls", Column: column, Row: id}
}

// callHash is what the caller's digits are compared by.
func (s *Store) callHash(id, digits string) []byte {
	return s.ring.MAC("call", []byte(id+"\x00"+digits))
}

// StartCall stores a call, giving it an id. Every other one about its case or with its
// person ends.
func (s *Store) StartCall(ctx context.Context, c *idp.Call) error {
	c.ID, c.State = idp.NewTimeID(c.StartedAt), idp.CallAsked
	caller, err := s.ring.Seal(callPlace(c.ID, "caller"), []byte(c.Caller))
	if err != nil {
		return err
	}
	half, err := s.ring.Seal(callPlace(c.ID, "half"), []byte(c.Half))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		if err := s.exec(ctx, "UPDATE calls SET state = ? WHERE (case_id = ? OR user_id = ?) AND state <> ?", string(idp.CallEnded), c.CaseID, c.UserID, string(idp.CallEnded)); err != nil {
			return err
		}
		return s.db(ctx).Create(&callRow{ID: c.ID, CaseID: c.CaseID, UserID: c.UserID, Agent: c.Agent, State: string(c.State), Hash: s.callHash(c.ID, c.Caller), Caller: caller, Half: half,
			StartedAt: micros(c.StartedAt), Until: micros(c.Until)}).Error
	})
}

// HearCall says whether the digits that the caller read are his, and if so that they were
// heard: once.
func (s *Store) HearCall(ctx context.Context, id, digits string, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE calls SET state = ? WHERE id = ? AND state = ? AND until > ? AND hash = ?",
		string(idp.CallHeard), id, string(idp.CallAsked), micros(now), s.callHash(id, digits))
	return n == 1, err
}

// MissCall counts wrong digits of a call, which end it when there were so many; false when
// it does not wait for any.
func (s *Store) MissCall(ctx context.Context, id string, most int, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE calls SET wrong = wrong + 1, state = CASE WHEN wrong + 1 >= ? THEN ? ELSE state END WHERE id = ? AND state = ? AND until > ?",
		most, string(idp.CallEnded), id, string(idp.CallAsked), micros(now))
	return n == 1, err
}

func (s *Store) toCall(r callRow) (idp.Call, error) {
	c := idp.Call{ID: r.ID, CaseID: r.CaseID, UserID: r.UserID, Agent: r.Agent, State: idp.CallState(r.State), Wrong: r.Wrong, StartedAt: fromMicros(r.StartedAt), Until: fromMicros(r.Until)}
	if c.State != idp.CallHeard {
		return c, nil
	}
	half, err := s.ring.Open(callPlace(r.ID, "half"), r.Half)
	c.Half = string(half)
	return c, err
}

// CaseCall returns the newest call about a case as the agent may know it: without the
// caller's digits; nil when there was none.
func (s *Store) CaseCall(ctx context.Context, id string) (*idp.Call, error) {
	var rows []callRow
	if err := s.db(ctx).Where("case_id = ?", id).Order("id DESC").Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	c, err := s.toCall(rows[0])
	return &c, err
}

// CallerDigits returns the call that goes on with a person as he may know it, with what he
// is to read out; nil when there is none.
func (s *Store) CallerDigits(ctx context.Context, user string, now time.Time) (*idp.Call, error) {
	var rows []callRow
	err := s.db(ctx).Where("user_id = ? AND until > ? AND state <> ?", user, micros(now), string(idp.CallEnded)).Order("id DESC").Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	c, err := s.toCallers(rows[0])
	return &c, err
}

// toCallers is a call as the caller may know it.
func (s *Store) toCallers(r callRow) (idp.Call, error) {
	c, err := s.toCall(r)
	if err != nil {
		return c, err
	}
	digits, err := s.ring.Open(callPlace(c.ID, "caller"), r.Caller)
	c.Caller = string(digits)
	return c, err
}

// ShopCalls lists the calls that go on with people who work where a terminal stands, as they
// may know them: whoever has lost all else reads his digits there.
func (s *Store) ShopCalls(ctx context.Context, t idp.Terminal, now time.Time) ([]idp.Call, error) {
	var rows []callRow
	err := s.db(ctx).Raw(`SELECT c.* FROM users u JOIN calls c ON c.user_id = u.id WHERE u.merchant_id = ? AND (u.store_id IS NULL OR u.store_id = ?)
		AND c.until > ? AND c.state <> ? ORDER BY c.id LIMIT ?`, t.MerchantID, t.StoreID, micros(now), string(idp.CallEnded), mostNotices).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	return mapRows(rows, s.toCallers)
}
