package storage

import (
	"context"
	"time"
)

// ShowProof notes that a proof of possession, named by a hash of its key and id, was
// shown; false when it was before. It is remembered until a time: later it is too old to
// be shown. Only one of any number of callers gets true.
func (s *Store) ShowProof(ctx context.Context, hash []byte, until, now time.Time) (bool, error) {
	n, err := s.affected(ctx, `INSERT INTO shown_proofs (until, hash) VALUES (?, ?)
		ON CONFLICT (hash) DO UPDATE SET until = excluded.until WHERE shown_proofs.until < ?`, micros(until), hash, micros(now)) // bytes right behind a parenthesis would be expanded to a list
	return n == 1, err
}
