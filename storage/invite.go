package storage

import (
	"context"
	"time"
)

// kindInvite marks invitations in the tokens table; family is the user's id.
const kindInvite = "invite"

// CreateInvite stores the hash of an invitation's token. A newer one voids an older.
func (s *Store) CreateInvite(ctx context.Context, user, tokenHash string, expires time.Time) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		if err := s.exec(ctx, "DELETE FROM tokens WHERE kind = ? AND family = ?", kindInvite, user); err != nil {
			return err
		}
		return s.exec(ctx, `INSERT INTO tokens (kind, signature, family, client_id, active, created_at, expires_at, used_at, data, successor)
			VALUES (?, ?, ?, '', ?, ?, ?, 0, ?, ?)`, kindInvite, tokenHash, user, true, micros(time.Now()), micros(expires), []byte{}, []byte{})
	})
}

// Invite names the user whom a live invitation is for, without using it up: the
// page behind the link is drawn by GET.
func (s *Store) Invite(ctx context.Context, tokenHash string, now time.Time) (user string, ok bool, err error) {
	err = s.db(ctx).Raw("SELECT family FROM tokens WHERE kind = ? AND signature = ? AND expires_at > ?", kindInvite, tokenHash, micros(now)).Scan(&user).Error
	return user, user != "", err
}

// UseInvite uses an invitation up; ok is false when it was used, replaced or
// expired before.
func (s *Store) UseInvite(ctx context.Context, tokenHash string, now time.Time) (user string, ok bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw("DELETE FROM tokens WHERE kind = ? AND signature = ? AND expires_at > ? RETURNING family", kindInvite, tokenHash, micros(now)).Scan(&user).Error
	})
	return user, user != "", err
}

// VoidInvites takes back the invitations of a user.
func (s *Store) VoidInvites(ctx context.Context, user string) error {
	return s.exec(ctx, "DELETE FROM tokens WHERE kind = ? AND family = ?", kindInvite, user)
}
