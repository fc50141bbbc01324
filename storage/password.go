package storage

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

// MostPasswords is how many former passwords of a person are kept, whatever policy says
// today: a stricter one tomorrow finds them.
const MostPasswords = 24

type passwordRow struct {
	ID     string `gorm:"primaryKey"`
	UserID string
	Hash   []byte
	At     int64
}

func (passwordRow) TableName() string { return "password_history" }

func passwordPlace(id string) seal.Place {
	return seal.Place{Table: "password_history", Column: "hash", Row: id}
}

// FormerPassword is the hash of a password that a person had until Until.
type FormerPassword struct {
	Hash  []byte
	Until time.Time
}

// FormerPasswords lists the passwords that a person had before his present one, newest
// first.
func (s *Store) FormerPasswords(ctx context.Context, user string) ([]FormerPassword, error) {
	var rows []passwordRow
	if err := s.db(ctx).Where("user_id = ?", user).Order("at DESC, id DESC").Limit(MostPasswords).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, func(r passwordRow) (FormerPassword, error) {
		hash, err := s.ring.Open(passwordPlace(r.ID), r.Hash)
		return FormerPassword{Hash: hash, Until: fromMicros(r.At)}, err
	})
}

// keepPassword puts a replaced password into its person's history, and drops what is too
// much of it.
func (s *Store) keepPassword(ctx context.Context, user string, hash []byte, at time.Time) error {
	id := idp.NewTimeID(at)
	sealed, err := s.ring.Seal(passwordPlace(id), hash)
	if err != nil {
		return err
	}
	if err := s.db(ctx).Create(&passwordRow{ID: id, UserID: user, Hash: sealed, At: micros(at)}).Error; err != nil {
		return err
	}
	return s.exec(ctx, `DELETE FROM password_history WHERE user_id = ? AND id NOT IN
		(SELECT id FROM password_history WHERE user_id = ? ORDER BY at DESC, id DESC LIMIT ?)`, user, user, MostPasswords)
}
