package storage

import (
	"context"
	"math/rand/v2"
	"time"
)

const hourShards = 16 // so that many at once do not wait for one row

// CountHour adds to how often a kind of thing happened in this hour. Whoever counts
// several in one transaction does it at once: each time it holds a row.
func (s *Store) CountHour(ctx context.Context, kind string, times int, now time.Time) error {
	return s.exec(ctx, `INSERT INTO hours (kind, hour, shard, n) VALUES (?, ?, ?, ?) ON CONFLICT (kind, hour, shard) DO UPDATE SET n = hours.n + excluded.n`,
		kind, now.Unix()/3600, rand.IntN(hourShards), times)
}

// SetHour keeps a number of this hour, whoever counted it before: it is about how things
// stand, not about what happened.
func (s *Store) SetHour(ctx context.Context, kind string, n int64, now time.Time) error {
	return s.exec(ctx, `INSERT INTO hours (kind, hour, shard, n) VALUES (?, ?, 0, ?) ON CONFLICT (kind, hour, shard) DO UPDATE SET n = excluded.n`, kind, now.Unix()/3600, n)
}

// Hours returns how often a kind happened in each hour since a time, by the hour's number
// since 1970; hours without any are not in the map.
func (s *Store) Hours(ctx context.Context, kind string, since time.Time) (map[int64]int64, error) {
	var rows []struct{ Hour, N int64 }
	if err := s.db(ctx).Raw("SELECT hour, CAST(sum(n) AS bigint) AS n FROM hours WHERE kind = ? AND hour >= ? GROUP BY hour", kind, since.Unix()/3600).Scan(&rows).Error; err != nil {
		return nil, err
	}
	by := make(map[int64]int64, len(rows))
	for _, r := range rows {
		by[r.Hour] = r.N
	}
	return by, nil
}

// NewPlace notes a place that a user has signed in from, as a keyed hash; fresh says that
// it was not among his, first that he has none yet.
func (s *Store) NewPlace(ctx context.Context, user, place string, now time.Time) (fresh, first bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		var known int64
		if err := s.db(ctx).Raw("SELECT count(*) FROM places WHERE user_id = ?", user).Scan(&known).Error; err != nil {
			return err
		}
		n, err := s.affected(ctx, "UPDATE places SET last_at = ? WHERE user_id = ? AND place = ?", micros(now), user, s.MAC("place", []byte(place)))
		if err != nil || n == 1 {
			return err
		}
		fresh, first = true, known == 0
		return s.exec(ctx, "INSERT INTO places (user_id, place, last_at) VALUES (?, ?, ?) ON CONFLICT (user_id, place) DO UPDATE SET last_at = excluded.last_at",
			user, s.MAC("place", []byte(place)), micros(now))
	})
	return fresh, first, err
}

// HasPlace says whether a user has signed in from a place before.
func (s *Store) HasPlace(ctx context.Context, user, place string) (bool, error) {
	var n int64
	err := s.db(ctx).Raw("SELECT count(*) FROM places WHERE user_id = ? AND place = ?", user, s.MAC("place", []byte(place))).Scan(&n).Error
	return n > 0, err
}
