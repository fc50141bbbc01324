package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"hufu/idp/seal"
)

// SigningKey is a key that signs tokens. Public is its JWK as JSON, Private its
// PKCS #8 form. The state is "active" (signs), or "retired" (still published, so
// that what it signed can be verified).
type SigningKey struct {
	ID, Alg, State string
	Public         []byte
	Private        []byte
	CreatedAt      time.Time
}

type keyRow struct {
	ID        string `gorm:"primaryKey"`
	Alg       string
	State     string
	PublicJWK string `gorm:"column:public_jwk"`
	Private   []byte
	CreatedAt int64 `gorm:"autoCreateTime:false"`
}

func (keyRow) TableName() string { return "signing_keys" }

func keyPlace(id string) seal.Place {
	return seal.Place{Table: "signing_keys", Column: "private", Row: id}
}

// SigningKeys returns all keys, newest first, from memory.
func (s *Store) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	return s.keys.get(ctx, s, "keys", func(db *gorm.DB) ([]SigningKey, error) {
		var rows []keyRow
		if err := db.Order("created_at DESC, id").Find(&rows).Error; err != nil {
			return nil, err
		}
		return mapRows(rows, func(r keyRow) (SigningKey, error) {
			private, err := s.ring.Open(keyPlace(r.ID), r.Private)
			return SigningKey{ID: r.ID, Alg: r.Alg, State: r.State, Public: []byte(r.PublicJWK), Private: private, CreatedAt: fromMicros(r.CreatedAt)}, err
		})
	})
}

// KeyLead is how long a new key is published before it signs: longer than whoever
// verifies tokens keeps the list of keys.
const KeyLead = time.Hour

// Signs returns the key of an algorithm that signs at a time: the newest active one that
// everybody has had time to fetch, or else the oldest.
func Signs(keys []SigningKey, alg string, now time.Time) (best SigningKey, ok bool) {
	for _, k := range keys {
		if k.Alg != alg || k.State != "active" {
			continue
		}
		known, was := !now.Before(k.CreatedAt.Add(KeyLead)), !now.Before(best.CreatedAt.Add(KeyLead))
		if !ok || known && (!was || k.CreatedAt.After(best.CreatedAt)) || !known && !was && k.CreatedAt.Before(best.CreatedAt) {
			best, ok = k, true
		}
	}
	return best, ok
}

// RotateSigningKey adds a key that signs from [KeyLead] on. Until then the one that signs
// now goes on; those before it are retired.
func (s *Store) RotateSigningKey(ctx context.Context, k SigningKey) error {
	private, err := s.ring.Seal(keyPlace(k.ID), k.Private)
	if err != nil {
		return err
	}
	defer s.keys.drop()
	return s.Tx(ctx, func(ctx context.Context) error {
		if err := s.moved(ctx, "keys"); err != nil {
			return err
		}
		var active []keyRow
		if err := s.db(ctx).Where("alg = ? AND state = 'active'", k.Alg).Find(&active).Error; err != nil {
			return err
		}
		var keys []SigningKey
		for _, r := range active {
			keys = append(keys, SigningKey{ID: r.ID, Alg: r.Alg, State: r.State, CreatedAt: fromMicros(r.CreatedAt)})
		}
		if now, ok := Signs(keys, k.Alg, k.CreatedAt); ok {
			if err := s.exec(ctx, "UPDATE signing_keys SET state = 'retired' WHERE alg = ? AND state = 'active' AND created_at < ?", k.Alg, micros(now.CreatedAt)); err != nil {
				return err
			}
		}
		return s.db(ctx).Create(&keyRow{ID: k.ID, Alg: k.Alg, State: "active", PublicJWK: string(k.Public), Private: private, CreatedAt: micros(k.CreatedAt)}).Error
	})
}

// AddSigningKey stores a key under the id it names. Only the first active key of
// an algorithm is kept when replicas start together: the others report false.
func (s *Store) AddSigningKey(ctx context.Context, k SigningKey) (added bool, err error) {
	private, err := s.ring.Seal(keyPlace(k.ID), k.Private)
	if err != nil {
		return false, err
	}
	defer s.keys.drop()
	err = s.Tx(ctx, func(ctx context.Context) error {
		// The version row is written first: it is the lock that replicas queue at.
		if err := s.moved(ctx, "keys"); err != nil {
			return err
		}
		var n int64
		if err := s.db(ctx).Raw("SELECT count(*) FROM signing_keys WHERE alg = ? AND state = 'active'", k.Alg).Scan(&n).Error; err != nil || n > 0 {
			return err
		}
		added = true
		return s.db(ctx).Create(&keyRow{ID: k.ID, Alg: k.Alg, State: k.State, PublicJWK: string(k.Public), Private: private, CreatedAt: micros(time.Now())}).Error
	})
	return added, err
}
