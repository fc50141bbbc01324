package storage

import (
	"context"
	"time"

	"hufu/idp"
)

type browserRow struct {
	ID           string `gorm:"primaryKey"`
	UserID       string
	Label        string
	Generation   int64
	MovedAt      int64
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
	LastUsedAt   int64
	Revoked      bool
	TrustedUntil int64
	Network      string
}

func toBrowser(r browserRow) (idp.Browser, error) {
	return idp.Browser{ID: r.ID, UserID: r.UserID, Label: r.Label, Generation: r.Generation, MovedAt: fromMicros(r.MovedAt), CreatedAt: fromMicros(r.CreatedAt),
		LastUsedAt: fromMicros(r.LastUsedAt), TrustedUntil: fromMicros(r.TrustedUntil), Network: r.Network}, nil
}

func (browserRow) TableName() string { return "browsers" }

// CreateBrowser stores a known browser of a user, generation 1.
func (s *Store) CreateBrowser(ctx context.Context, b *idp.Browser) error {
	now := time.Now()
	b.ID, b.Generation, b.MovedAt, b.CreatedAt, b.LastUsedAt = idp.NewID(), 1, now, now, now
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&browserRow{ID: b.ID, UserID: b.UserID, Label: b.Label, Generation: 1, MovedAt: micros(now), CreatedAt: micros(now),
			LastUsedAt: micros(now), Network: b.Network}).Error
	})
}

// Browser returns a live known browser by id.
func (s *Store) Browser(ctx context.Context, id string) (idp.Browser, error) {
	var r browserRow
	if err := s.db(ctx).Where("id = ? AND revoked = ?", id, false).Take(&r).Error; err != nil {
		return idp.Browser{}, notFound(err)
	}
	return toBrowser(r)
}

// MoveBrowser moves the generation of a known browser on; false when somebody
// else did, or it is revoked.
func (s *Store) MoveBrowser(ctx context.Context, id string, from int64, network string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE browsers SET generation = generation + 1, moved_at = ?, last_used_at = ?, network = ? WHERE id = ? AND generation = ? AND revoked = ?",
		micros(at), micros(at), network, id, from, false)
	return n == 1, err
}

// RevokeBrowser makes a known browser a stranger.
func (s *Store) RevokeBrowser(ctx context.Context, id string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE browsers SET revoked = ? WHERE id = ? AND revoked = ?", true, id, false)
	return n == 1, err
}

// RevokeBrowsers makes all known browsers of a user strangers, but one ("" for all).
func (s *Store) RevokeBrowsers(ctx context.Context, user, but string) error {
	return s.exec(ctx, "UPDATE browsers SET revoked = ? WHERE user_id = ? AND id <> ? AND revoked = ?", true, user, but, false)
}

// TrimBrowsers keeps the newest rows of a user and revokes the rest.
func (s *Store) TrimBrowsers(ctx context.Context, user string, most int) error {
	return s.exec(ctx, `UPDATE browsers SET revoked = ? WHERE user_id = ? AND revoked = ? AND id NOT IN
		(SELECT id FROM browsers WHERE user_id = ? AND revoked = ? ORDER BY last_used_at DESC, id LIMIT ?)`, true, user, false, user, false, most)
}

// Browsers lists the known browsers of a user, last used first.
func (s *Store) Browsers(ctx context.Context, user string) ([]idp.Browser, error) {
	var rows []browserRow
	if err := s.db(ctx).Where("user_id = ? AND revoked = ?", user, false).Order("last_used_at DESC, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toBrowser)
}

// TrustBrowser lets a known browser of a user waive the second factor until a time, or,
// with the zero time, no longer; false when it is not known.
func (s *Store) TrustBrowser(ctx context.Context, user, id string, until time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE browsers SET trusted_until = ? WHERE id = ? AND user_id = ? AND revoked = ?", micros(until), id, user, false)
	return n == 1, err
}

// DistrustBrowsers takes the trust of every browser of a user back.
func (s *Store) DistrustBrowsers(ctx context.Context, user string) error {
	return s.exec(ctx, "UPDATE browsers SET trusted_until = 0 WHERE user_id = ? AND trusted_until > 0", user)
}
