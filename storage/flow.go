package storage

import (
	"context"
	"encoding/json"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type flowRow struct {
	ID          string `gorm:"primaryKey"`
	TokenHash   []byte
	BrowserHash []byte
	Kind        string
	UserID      string
	Demand      []byte
	Facts       []byte
	Version     int64
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ExpiresAt   int64
	EndsAt      int64
}

func (flowRow) TableName() string { return "flows" }

// flowPlace seals what a flow found out, and what it is for: a demand holds login
// hints, terminal codes and the address of a waiting authorization request.
func flowPlace(column, id string) seal.Place {
	return seal.Place{Table: "flows", Column: column, Row: id}
}

// OpenFlow stores a new flow under the hash of the secret in its URL, bound to
// the browser whose cookie has the given hash.
func (s *Store) OpenFlow(ctx context.Context, f *idp.Flow, tokenHash, browserHash []byte) error {
	f.ID, f.Version = idp.NewID(), 1
	facts, err := s.ring.Seal(flowPlace("facts", f.ID), f.Facts)
	if err != nil {
		return err
	}
	demand, err := s.ring.Seal(flowPlace("demand", f.ID), []byte(asJSON(f.Demand)))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&flowRow{ID: f.ID, TokenHash: tokenHash, BrowserHash: browserHash, Kind: string(f.Demand.Kind), UserID: f.User,
			Demand: demand, Facts: facts, Version: 1, CreatedAt: micros(f.CreatedAt), ExpiresAt: micros(f.ExpiresAt), EndsAt: micros(f.EndsAt)}).Error
	})
}

// Flow returns the flow of a URL, only in the browser that it was opened in and
// while it lives.
func (s *Store) Flow(ctx context.Context, tokenHash, browserHash []byte, now time.Time) (idp.Flow, error) {
	var r flowRow
	err := s.db(ctx).Where("token_hash = ? AND browser_hash = ? AND expires_at > ? AND ends_at > ?", tokenHash, browserHash, micros(now), micros(now)).Take(&r).Error
	if err != nil {
		return idp.Flow{}, notFound(err)
	}
	facts, err := s.ring.Open(flowPlace("facts", r.ID), r.Facts)
	if err != nil {
		return idp.Flow{}, err
	}
	f := idp.Flow{ID: r.ID, User: r.UserID, Facts: facts, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt), EndsAt: fromMicros(r.EndsAt)}
	demand, err := s.ring.Open(flowPlace("demand", r.ID), r.Demand)
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(demand, &f.Demand)
}

// SaveFlow stores what a step changed, on an unchanged version; false when
// another request was faster. A new token hash moves the flow to a new URL.
func (s *Store) SaveFlow(ctx context.Context, f *idp.Flow, tokenHash []byte) (bool, error) {
	facts, err := s.ring.Seal(flowPlace("facts", f.ID), f.Facts)
	if err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE flows SET user_id = ?, facts = ?, expires_at = ?, token_hash = ?, version = version + 1 WHERE id = ? AND version = ?",
		f.User, facts, micros(f.ExpiresAt), tokenHash, f.ID, f.Version)
	f.Version++
	return n == 1, err
}

// CloseFlow deletes a flow on an unchanged version; false when another request was
// faster.
func (s *Store) CloseFlow(ctx context.Context, f *idp.Flow) (bool, error) {
	n, err := s.affected(ctx, "DELETE FROM flows WHERE id = ? AND version = ?", f.ID, f.Version)
	return n == 1, err
}

// DropFlows deletes every flow that was opened in a browser.
func (s *Store) DropFlows(ctx context.Context, browserHash []byte) error {
	return s.exec(ctx, "DELETE FROM flows WHERE browser_hash = ?", browserHash)
}

// KeepFlow lets a flow live until a time, beyond what flows have.
func (s *Store) KeepFlow(ctx context.Context, id string, until time.Time) error {
	return s.exec(ctx, "UPDATE flows SET ends_at = ? WHERE id = ?", micros(until), id)
}
