package storage

import (
	"context"
	"time"

	"hufu/idp"
)

// Sent is how many text messages went out, and the codes of how many came back.
type Sent struct{ Sent, Used int64 }

// AddSend notes that a code went out by text message to a number that begins with a
// prefix, asked for from a network.
func (s *Store) AddSend(ctx context.Context, prefix string, network []byte, user string, now time.Time) error {
	return s.exec(ctx, "INSERT INTO sends (id, at, prefix, network, user_id, used_at) VALUES (?, ?, ?, ?, ?, 0)", idp.NewTimeID(now), micros(now), prefix, network, user)
}

// UseSend notes that the newest code that went to a user came back.
func (s *Store) UseSend(ctx context.Context, user string, now time.Time) error {
	return s.exec(ctx, "UPDATE sends SET used_at = ? WHERE id = (SELECT id FROM sends WHERE user_id = ? AND used_at = 0 ORDER BY id DESC LIMIT 1)", micros(now), user)
}

// SentTo counts what went to a prefix since a time.
func (s *Store) SentTo(ctx context.Context, prefix string, since time.Time) (Sent, error) {
	return s.sent(ctx, "prefix = ?", prefix, since)
}

// SentFrom counts what was asked for from a network since a time.
func (s *Store) SentFrom(ctx context.Context, network []byte, since time.Time) (Sent, error) {
	return s.sent(ctx, "network = ?", network, since)
}

func (s *Store) sent(ctx context.Context, where string, value any, since time.Time) (n Sent, err error) {
	err = s.db(ctx).Raw("SELECT count(*) AS sent, count(CASE WHEN used_at > 0 THEN 1 END) AS used FROM sends WHERE at > ? AND "+where, micros(since), value).Scan(&n).Error
	return n, err
}
