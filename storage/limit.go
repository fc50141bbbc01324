package storage

import (
	"context"
	"errors"
	"time"
)

// TakeBucket charges a bucket of burst b that regains one each refill; false when
// it is empty. One conditional statement, so replicas and parallel requests cannot
// race it (generic cell rate algorithm).
func (s *Store) TakeBucket(ctx context.Context, kind string, key []byte, burst int, refill time.Duration, now time.Time) (ok bool, next time.Time, err error) {
	var tat []int64
	args := map[string]any{"kind": kind, "key": key, "now": micros(now), "T": refill.Microseconds(), "b": int64(burst)}
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`INSERT INTO limits (kind, key, tat) VALUES (@kind, @key, CAST(@now AS bigint) + CAST(@T AS bigint))
			ON CONFLICT (kind, key) DO UPDATE SET tat = (CASE WHEN limits.tat > @now THEN limits.tat ELSE @now END) + @T
			WHERE (CASE WHEN limits.tat > @now THEN limits.tat ELSE @now END) <= CAST(@now AS bigint) + (CAST(@b AS bigint) - 1) * CAST(@T AS bigint) RETURNING tat`, args).Scan(&tat).Error
	})
	if err != nil || len(tat) == 1 {
		return len(tat) == 1, time.Time{}, err
	}
	var full int64
	if err := s.db(ctx).Raw("SELECT tat FROM limits WHERE kind = ? AND key = ?", kind, key).Scan(&full).Error; err != nil {
		return false, time.Time{}, err
	}
	return false, fromMicros(full - int64(burst-1)*refill.Microseconds()), nil
}

// BucketEmpty says whether a bucket would refuse a charge now, without charging.
func (s *Store) BucketEmpty(ctx context.Context, kind string, key []byte, burst int, refill time.Duration, now time.Time) (bool, error) {
	next, err := s.BucketUntil(ctx, kind, key, burst, refill)
	return next.After(now), err
}

// BucketUntil says from when on a bucket admits a charge, without charging: zero, or in
// the past, when it would now.
func (s *Store) BucketUntil(ctx context.Context, kind string, key []byte, burst int, refill time.Duration) (time.Time, error) {
	var tat int64
	err := s.db(ctx).Raw("SELECT tat FROM limits WHERE kind = ? AND key = ?", kind, key).Scan(&tat).Error
	return fromMicros(max(0, tat-int64(burst-1)*refill.Microseconds())), err
}

// TakeWait counts a failure under a growing wait; ok is false while the wait of
// earlier failures runs: nothing was counted then.
func (s *Store) TakeWait(ctx context.Context, kind string, key []byte, unit, most, forget time.Duration, now time.Time) (ok bool, until time.Time, err error) {
	var rows []struct{ Fails, NextAt int64 }
	args := map[string]any{"kind": kind, "key": key, "now": micros(now), "unit": unit.Microseconds(), "cap": most.Microseconds(), "forget": forget.Microseconds()}
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`INSERT INTO waits (kind, key, fails, next_at, last_at) VALUES (@kind, @key, 1, @now, @now)
			ON CONFLICT (kind, key) DO UPDATE SET last_at = @now, fails = CASE WHEN waits.last_at < CAST(@now AS bigint) - CAST(@forget AS bigint) THEN 1 ELSE waits.fails + 1 END,
			next_at = CAST(@now AS bigint) + CASE WHEN waits.last_at < CAST(@now AS bigint) - CAST(@forget AS bigint) OR waits.fails < 4 THEN 0
				WHEN waits.fails >= 11 OR CAST(@unit AS bigint) * (1 << (waits.fails - 4)) > @cap THEN @cap ELSE CAST(@unit AS bigint) * (1 << (waits.fails - 4)) END
			WHERE waits.next_at <= @now RETURNING fails, next_at`, args).Scan(&rows).Error
	})
	if err != nil || len(rows) == 0 {
		return false, time.Time{}, err
	}
	return true, fromMicros(rows[0].NextAt), nil
}

// WaitUntil says until when the wait of a key runs, in the past or zero: not at all.
func (s *Store) WaitUntil(ctx context.Context, kind string, key []byte) (time.Time, error) {
	var next int64
	err := s.db(ctx).Raw("SELECT next_at FROM waits WHERE kind = ? AND key = ?", kind, key).Scan(&next).Error
	return fromMicros(next), err
}

// CountFailure counts a failure of a key that is asked for more the more often it fails
// within a window. Those before fade with the time since the last one, rounded up: as
// many stay as come in a window, however long it goes on.
func (s *Store) CountFailure(ctx context.Context, kind string, key []byte, window time.Duration, now time.Time) error {
	args := map[string]any{"kind": kind, "key": key, "now": micros(now), "window": window.Microseconds()}
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Exec(`INSERT INTO waits (kind, key, fails, next_at, last_at) VALUES (@kind, @key, 1, @now, @now)
			ON CONFLICT (kind, key) DO UPDATE SET next_at = @now, last_at = @now, fails = 1 + CASE WHEN waits.last_at > @now THEN waits.fails
				WHEN waits.last_at <= CAST(@now AS bigint) - CAST(@window AS bigint) THEN 0
				ELSE (waits.fails * (CAST(@window AS bigint) - CAST(@now AS bigint) + waits.last_at) + CAST(@window AS bigint) - 1) / CAST(@window AS bigint) END`, args).Error
	})
}

// Failures says how many failures of a key are counted, the last of them no longer ago
// than forget.
func (s *Store) Failures(ctx context.Context, kind string, key []byte, forget time.Duration, now time.Time) (n int, err error) {
	err = s.db(ctx).Raw("SELECT fails FROM waits WHERE kind = ? AND key = ? AND last_at >= ?", kind, key, micros(now.Add(-forget))).Scan(&n).Error
	return n, err
}

// ClearWait forgets the failures of a key after a right answer.
func (s *Store) ClearWait(ctx context.Context, kind string, key []byte) error {
	return s.exec(ctx, "DELETE FROM waits WHERE kind = ? AND key = ?", kind, key)
}

// OpenTicket gives a key a ticket that is good from a time on, for life; while it has
// one that is still good, or will be, that one stays. It returns from when on.
func (s *Store) OpenTicket(ctx context.Context, kind string, key []byte, good time.Time, life time.Duration, now time.Time) (time.Time, error) {
	var next []int64
	args := map[string]any{"kind": kind, "key": key, "good": micros(good), "now": micros(now), "over": micros(now.Add(-life))}
	err := s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`INSERT INTO waits (kind, key, fails, next_at, last_at) VALUES (@kind, @key, 0, @good, @now)
			ON CONFLICT (kind, key) DO UPDATE SET next_at = excluded.next_at, last_at = excluded.last_at WHERE waits.next_at <= @over RETURNING next_at`, args).Scan(&next).Error
	})
	if err != nil || len(next) == 0 {
		until, err2 := s.WaitUntil(ctx, kind, key)
		return until, errors.Join(err, err2)
	}
	return good, nil
}

// TakeTicket uses a ticket up; false when there is none that is good now.
func (s *Store) TakeTicket(ctx context.Context, kind string, key []byte, life time.Duration, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "DELETE FROM waits WHERE kind = ? AND key = ? AND next_at <= ? AND next_at > ?", kind, key, micros(now), micros(now.Add(-life)))
	return n == 1, err
}

// FillBucket makes a bucket full again: only a changed credential earns it.
func (s *Store) FillBucket(ctx context.Context, kind string, key []byte) error {
	return s.exec(ctx, "DELETE FROM limits WHERE kind = ? AND key = ?", kind, key)
}

// Repeated says whether a wrong secret's 16-bit mark is among the last three
// distinct ones of a version of a credential.
func (s *Store) Repeated(ctx context.Context, credential string, version int64, mark uint16, since time.Time) (bool, error) {
	var marks []int
	err := s.db(ctx).Raw("SELECT mark FROM marks WHERE credential = ? AND version = ? AND at > ? ORDER BY at DESC, id DESC LIMIT 3", credential, version, micros(since)).Scan(&marks).Error
	for _, m := range marks {
		if m == int(mark) {
			return true, err
		}
	}
	return false, err
}

// Mark remembers the mark of a wrong secret and forgets all but the last three.
func (s *Store) Mark(ctx context.Context, id, credential string, version int64, mark uint16, now time.Time) error {
	if err := s.exec(ctx, "INSERT INTO marks (id, credential, version, mark, at) VALUES (?, ?, ?, ?, ?)", id, credential, version, int(mark), micros(now)); err != nil {
		return err
	}
	return s.exec(ctx, "DELETE FROM marks WHERE credential = ? AND id NOT IN (SELECT id FROM marks WHERE credential = ? ORDER BY at DESC, id DESC LIMIT 3)", credential, credential)
}

// Greet notes a good sign-in of a user from a network.
func (s *Store) Greet(ctx context.Context, network []byte, user string, now time.Time) error {
	return s.exec(ctx, `INSERT INTO network_users (user_id, network, last_at) VALUES (?, ?, ?)
		ON CONFLICT (network, user_id) DO UPDATE SET last_at = excluded.last_at`, user, network, micros(now)) // bytes right behind a parenthesis would be expanded to a list
}

// Greeted counts the users with a good sign-in from a network since a time.
func (s *Store) Greeted(ctx context.Context, network []byte, since time.Time) (n int, err error) {
	err = s.db(ctx).Raw("SELECT count(*) FROM network_users WHERE network = ? AND last_at > ?", network, micros(since)).Scan(&n).Error
	return n, err
}

// GreetedBy says whether a user had a good sign-in from a network since a time.
func (s *Store) GreetedBy(ctx context.Context, network []byte, user string, since time.Time) (bool, error) {
	var n int
	err := s.db(ctx).Raw("SELECT count(*) FROM network_users WHERE network = ? AND user_id = ? AND last_at > ?", network, user, micros(since)).Scan(&n).Error
	return n > 0, err
}

// MAC is the keyed hash that limits, marks and one-time codes are stored under.
func (s *Store) MAC(purpose string, v []byte) []byte { return s.ring.MAC(purpose, v) }
