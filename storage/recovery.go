package storage

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type recoveryRow struct {
	ID        string `gorm:"primaryKey"`
	UserID    string
	State     string
	Lost      string
	RowNo     int
	Level     int
	Withheld  string
	Flow      string
	StartedAt int64
	DueAt     int64
	Until     int64
	EndedAt   int64
	Told      int
	Data      []byte
}

func (recoveryRow) TableName() string { return "recoveries" }

// recoveryData is what is sealed of a recovery.
type recoveryData struct {
	Shown    []idp.Shown `json:"shown,omitempty"`
	Gone     []string    `json:"gone,omitempty"`
	Password bool        `json:"password,omitempty"`
	Second   bool        `json:"second,omitempty"`
	Kit      bool        `json:"kit,omitempty"`
	Case     string      `json:"case,omitempty"`
}

func recoveryPlace(id string) seal.Place {
	return seal.Place{Table: "recoveries", Column: "data", Row: id}
}

func (s *Store) toRecovery(r recoveryRow) (idp.Recovery, error) {
	v := idp.Recovery{ID: r.ID, UserID: r.UserID, State: idp.RecoveryState(r.State), Lost: idp.Lost(r.Lost), Row: r.RowNo, Level: r.Level, Withheld: idp.Withhold(r.Withheld),
		Flow: r.Flow, StartedAt: fromMicros(r.StartedAt), DueAt: fromMicros(r.DueAt), Until: fromMicros(r.Until), EndedAt: fromMicros(r.EndedAt), Told: r.Told}
	text, err := s.ring.Open(recoveryPlace(r.ID), r.Data)
	if err != nil {
		return v, err
	}
	var d recoveryData
	err = json.Unmarshal(text, &d)
	v.Shown, v.Gone, v.Password, v.Second, v.Kit, v.Case = d.Shown, d.Gone, d.Password, d.Second, d.Kit, d.Case
	return v, err
}

func (s *Store) sealRecovery(r idp.Recovery) ([]byte, error) {
	return s.ring.Seal(recoveryPlace(r.ID), []byte(asJSON(recoveryData{Shown: r.Shown, Gone: r.Gone, Password: r.Password, Second: r.Second, Kit: r.Kit, Case: r.Case})))
}

// AddRecovery stores a recovery, giving it an id. A second one that waits, of the same
// person, is a Conflict.
func (s *Store) AddRecovery(ctx context.Context, r *idp.Recovery) error {
	r.ID = idp.NewTimeID(r.StartedAt)
	data, err := s.sealRecovery(*r)
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&recoveryRow{ID: r.ID, UserID: r.UserID, State: string(r.State), Lost: string(r.Lost), RowNo: r.Row, Level: r.Level, Withheld: string(r.Withheld),
			Flow: r.Flow, StartedAt: micros(r.StartedAt), DueAt: micros(r.DueAt), Until: micros(r.Until), EndedAt: micros(r.EndedAt), Data: data}).Error
		return taken(err, "", "recover.running")
	})
}

// Recovery returns a recovery by id.
func (s *Store) Recovery(ctx context.Context, id string) (idp.Recovery, error) {
	var r recoveryRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Recovery{}, notFound(err)
	}
	return s.toRecovery(r)
}

// RunningRecovery returns the recovery of a person that waits, nil when none does.
func (s *Store) RunningRecovery(ctx context.Context, user string) (*idp.Recovery, error) {
	var rows []recoveryRow
	err := s.db(ctx).Where("user_id = ? AND state = ?", user, string(idp.RecoveryWaiting)).Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	r, err := s.toRecovery(rows[0])
	return &r, err
}

// RecoveringOf lists the people of a merchant of whom a recovery waits.
func (s *Store) RecoveringOf(ctx context.Context, merchant string) (users []string, err error) {
	err = s.db(ctx).Raw("SELECT user_id FROM recoveries WHERE state = ? AND user_id IN (SELECT id FROM users WHERE merchant_id = ?) ORDER BY user_id",
		string(idp.RecoveryWaiting), merchant).Scan(&users).Error
	return users, err
}

// Recoveries lists the recoveries of a person, newest first.
func (s *Store) Recoveries(ctx context.Context, user string, limit int) ([]idp.Recovery, error) {
	var rows []recoveryRow
	if err := s.db(ctx).Where("user_id = ?", user).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toRecovery)
}

// BetterRecovery gives a waiting recovery the flow, proofs, row and end of r, if it does not end
// later by it; false when it no longer waits, or would.
func (s *Store) BetterRecovery(ctx context.Context, r idp.Recovery) (bool, error) {
	data, err := s.sealRecovery(r)
	if err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE recoveries SET flow = ?, lost = ?, row_no = ?, level = ?, due_at = ?, until = ?, data = ? WHERE id = ? AND state = ? AND due_at >= ?",
		r.Flow, string(r.Lost), r.Row, r.Level, micros(r.DueAt), micros(r.Until), data, r.ID, string(idp.RecoveryWaiting), micros(r.DueAt))
	return n == 1, err
}

// EndRecovery moves a waiting recovery to how it ended; false when it no longer waits. One
// that is to be done must be due.
func (s *Store) EndRecovery(ctx context.Context, id string, to idp.RecoveryState, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE recoveries SET state = ?, ended_at = ? WHERE id = ? AND state = ? AND (? <> ? OR due_at <= ? AND until > ?)",
		string(to), micros(now), id, string(idp.RecoveryWaiting), string(to), string(idp.RecoveryDone), micros(now), micros(now))
	return n == 1, err
}

// WaitingRecoveries lists a page of recoveries that wait, oldest first, after the given one.
func (s *Store) WaitingRecoveries(ctx context.Context, after string, limit int) ([]idp.Recovery, error) {
	var rows []recoveryRow
	if err := s.db(ctx).Where("state = ? AND id > ?", string(idp.RecoveryWaiting), after).Order("id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toRecovery)
}

// TellRecovery notes that something was told of a waiting recovery, once: told is the bit
// of it. False when it was before.
func (s *Store) TellRecovery(ctx context.Context, id string, bit int) (bool, error) {
	n, err := s.affected(ctx, "UPDATE recoveries SET told = told | ? WHERE id = ? AND state = ? AND told & ? = 0", bit, id, string(idp.RecoveryWaiting), bit)
	return n == 1, err
}

// CountRecoveries counts what a person has begun since a time.
func (s *Store) CountRecoveries(ctx context.Context, user string, since time.Time) (n int64, err error) {
	err = s.db(ctx).Raw("SELECT count(*) FROM recoveries WHERE user_id = ? AND started_at >= ?", user, micros(since)).Scan(&n).Error
	return n, err
}

// Withhold keeps something back from a person until a time, each level until its own and
// never for less long than it was; nothing gives back all.
func (s *Store) Withhold(ctx context.Context, user string, w idp.Withhold, until time.Time) error {
	switch w {
	case idp.WithholdNothing:
		return s.exec(ctx, "UPDATE users SET withheld = '', withheld_until = 0, payee_until = 0 WHERE id = ?", user)
	case idp.WithholdPayee:
		return s.exec(ctx, "UPDATE users SET payee_until = ? WHERE id = ? AND payee_until < ?", micros(until), user, micros(until))
	}
	return s.exec(ctx, "UPDATE users SET withheld = ?, withheld_until = ? WHERE id = ? AND (withheld <> ? OR withheld_until < ?)", string(w), micros(until), user, string(w), micros(until))
}

// NoteMoney keeps that a person was given a money scope, once an hour.
func (s *Store) NoteMoney(ctx context.Context, user string, now time.Time) error {
	return s.exec(ctx, "UPDATE users SET money_at = ? WHERE id = ? AND money_at < ?", micros(now), user, micros(now.Add(-time.Hour)))
}

// SetEvidence keeps the keyed hash of what an agent will compare: never the value.
func (s *Store) SetEvidence(ctx context.Context, user, kind, value string, now time.Time) error {
	return s.exec(ctx, "INSERT INTO evidence (user_id, kind, hash, at) VALUES (?, ?, ?, ?) ON CONFLICT (user_id, kind) DO UPDATE SET hash = excluded.hash, at = excluded.at",
		user, kind, s.EvidenceHash(user, kind, value), micros(now))
}

// Evidence returns the hashes that are kept of a person, by kind.
func (s *Store) Evidence(ctx context.Context, user string) (map[string][]byte, error) {
	return s.EvidenceBefore(ctx, user, time.UnixMicro(math.MaxInt64))
}

// EvidenceBefore returns those that are kept since a time or longer.
func (s *Store) EvidenceBefore(ctx context.Context, user string, at time.Time) (map[string][]byte, error) {
	var rows []struct {
		Kind string
		Hash []byte
	}
	if err := s.db(ctx).Raw("SELECT kind, hash FROM evidence WHERE user_id = ? AND at <= ?", user, micros(at)).Scan(&rows).Error; err != nil {
		return nil, err
	}
	by := make(map[string][]byte, len(rows))
	for _, r := range rows {
		by[r.Kind] = r.Hash
	}
	return by, nil
}

// EvidenceHash is what a value is kept as: 128 bits, keyed, of one person alone.
func (s *Store) EvidenceHash(user, kind, value string) []byte {
	return s.ring.MAC("evidence", []byte(user+"\x00"+kind+"\x00"+value))[:16]
}

// SettleDisputes ends what is disputed of a person's phones and addresses.
func (s *Store) SettleDisputes(ctx context.Context, user string) error {
	return s.exec(ctx, "UPDATE identifiers SET disputed_until = 0 WHERE user_id = ? AND disputed_until > 0", user)
}
