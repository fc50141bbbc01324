package storage

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"hufu/idp"
)

type sessionRow struct {
	ID          string `gorm:"primaryKey"`
	TokenHash   []byte
	UserID      string
	Proofs      string
	BrowserID   string
	Device      string
	Network     string
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	LastSeenAt  int64
	IdleUntil   int64
	ExpiresAt   int64
	EndedAt     int64
	EndedReason string
}

func (sessionRow) TableName() string { return "sessions" }

func toSession(r sessionRow) (idp.Session, error) {
	var proofs []idp.Proof
	err := json.Unmarshal([]byte(r.Proofs), &proofs)
	return idp.Session{ID: r.ID, UserID: r.UserID, Proofs: proofs, Browser: r.BrowserID, Device: r.Device, Network: r.Network,
		CreatedAt: fromMicros(r.CreatedAt), LastSeenAt: fromMicros(r.LastSeenAt), IdleUntil: fromMicros(r.IdleUntil),
		ExpiresAt: fromMicros(r.ExpiresAt), EndedAt: fromMicros(r.EndedAt), EndedReason: r.EndedReason}, err
}

// CreateSession stores a session under the hash of its cookie's value.
func (s *Store) CreateSession(ctx context.Context, ss *idp.Session, tokenHash []byte) error {
	ss.ID = idp.NewID()
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&sessionRow{ID: ss.ID, TokenHash: tokenHash, UserID: ss.UserID, Proofs: asJSON(ss.Proofs), BrowserID: ss.Browser, Device: ss.Device,
			Network: ss.Network, CreatedAt: micros(ss.CreatedAt), LastSeenAt: micros(ss.LastSeenAt), IdleUntil: micros(ss.IdleUntil),
			ExpiresAt: micros(ss.ExpiresAt)}).Error
	})
}

// SessionByToken returns the live session of a cookie.
func (s *Store) SessionByToken(ctx context.Context, tokenHash []byte, now time.Time) (idp.Session, error) {
	var row sessionRow
	err := s.db(ctx).Where("token_hash = ? AND ended_at = 0 AND idle_until > ? AND expires_at > ?", tokenHash, micros(now), micros(now)).Take(&row).Error
	if err != nil {
		return idp.Session{}, notFound(err)
	}
	return toSession(row)
}

// Session returns a session by its public id, ended or not.
func (s *Store) Session(ctx context.Context, id string) (idp.Session, error) {
	var row sessionRow
	if err := s.db(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return idp.Session{}, notFound(err)
	}
	return toSession(row)
}

// Sessions lists the live sessions of a user, newest first.
func (s *Store) Sessions(ctx context.Context, user string, now time.Time) ([]idp.Session, error) {
	var rows []sessionRow
	err := s.db(ctx).Where("user_id = ? AND ended_at = 0 AND idle_until > ? AND expires_at > ?", user, micros(now), micros(now)).
		Order("created_at DESC, id").Limit(200).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	return mapRows(rows, toSession)
}

// SeeSession notes that a live session was used.
func (s *Store) SeeSession(ctx context.Context, id string, at, idleUntil time.Time) error {
	return s.exec(ctx, "UPDATE sessions SET last_seen_at = ?, idle_until = ? WHERE id = ? AND ended_at = 0", micros(at), micros(idleUntil), id)
}

// RenewSession gives a live session new proofs and a new cookie value; false when
// it has ended meanwhile.
func (s *Store) RenewSession(ctx context.Context, id string, proofs []idp.Proof, tokenHash []byte) (bool, error) {
	n, err := s.affected(ctx, "UPDATE sessions SET proofs = ?, token_hash = ? WHERE id = ? AND ended_at = 0", asJSON(proofs), tokenHash, id)
	return n == 1, err
}

// EndSession ends one live session of a user; false when there is none.
func (s *Store) EndSession(ctx context.Context, user, id, reason string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE sessions SET ended_at = ?, ended_reason = ? WHERE id = ? AND user_id = ? AND ended_at = 0", micros(at), reason, id, user)
	return n == 1, err
}

// EndSessions ends all live sessions of a user but one ("" for all) and returns
// their ids.
func (s *Store) EndSessions(ctx context.Context, user, but, reason string, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw("UPDATE sessions SET ended_at = ?, ended_reason = ? WHERE user_id = ? AND id <> ? AND ended_at = 0 RETURNING id",
			micros(at), reason, user, but).Scan(&ended).Error
	})
	return ended, err
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own plain structs come here
	}
	return string(b)
}

// ProvedWith lists the live sessions of a user that a credential has proved.
func (s *Store) ProvedWith(ctx context.Context, user, credential string) ([]idp.Session, error) {
	live, err := s.Sessions(ctx, user, time.Now())
	return slices.DeleteFunc(live, func(ss idp.Session) bool {
		return !slices.ContainsFunc(ss.Proofs, func(p idp.Proof) bool { return p.Credential == credential })
	}), err
}

// SetProofs replaces what a live session has proved.
func (s *Store) SetProofs(ctx context.Context, id string, proofs []idp.Proof) error {
	return s.exec(ctx, "UPDATE sessions SET proofs = ? WHERE id = ? AND ended_at = 0", asJSON(proofs), id)
}
