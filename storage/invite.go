package storage

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
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

// HoldUser reads a user and keeps his row from being changed by others until the
// transaction ends, so that a decision made from it still holds when it is
// written.
func (s *Store) HoldUser(ctx context.Context, id string) (idp.User, error) {
	if !InTx(ctx) {
		return idp.User{}, errors.New("storage: HoldUser outside a transaction")
	}
	var row userRow
	res := s.db(ctx).Raw("SELECT * FROM users WHERE id = ?"+s.holding(), id).Scan(&row)
	if res.Error == nil && row.ID == "" {
		res.Error = gorm.ErrRecordNotFound
	}
	if res.Error != nil {
		return idp.User{}, notFound(res.Error)
	}
	return s.toUser(row)
}

// HoldActive returns the ids of the users of a role who are active and not locked,
// and holds their rows: two people who each take away another's account cannot
// both believe that one is left.
func (s *Store) HoldActive(ctx context.Context, role idp.Role) (ids []string, err error) {
	if !InTx(ctx) {
		return nil, errors.New("storage: HoldActive outside a transaction")
	}
	err = s.db(ctx).Raw("SELECT id FROM users WHERE role = ? AND status = ? AND locked = '' ORDER BY id"+s.holding(), string(role), string(idp.UserActive)).Scan(&ids).Error
	return ids, err
}

// LockUser locks a user for a reason; false when he is locked already.
func (s *Store) LockUser(ctx context.Context, id, reason string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET locked = ? WHERE id = ? AND locked = ''", reason, id)
	return n == 1, err
}

// UnlockUser lifts a lock; false when there is none.
func (s *Store) UnlockUser(ctx context.Context, id string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET locked = '' WHERE id = ? AND locked <> ''", id)
	return n == 1, err
}

// EndMerchantGrants ends all live grants of a merchant's staff and terminals.
func (s *Store) EndMerchantGrants(ctx context.Context, merchant, reason string, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`UPDATE grants SET ended_at = ?, ended_reason = ? WHERE ended_at = 0 AND expires_at > ? AND (user_id IN (SELECT id FROM users WHERE merchant_id = ?)
			OR terminal_id IN (SELECT id FROM terminals WHERE merchant_id = ?)) RETURNING id`, micros(at), reason, micros(at), merchant, merchant).Scan(&ended).Error
	})
	return ended, err
}

// DenyTerminalRequests denies what a terminal asks and has not yet fetched: its
// next poll hears access_denied (RFC 8628 3.5).
func (s *Store) DenyTerminalRequests(ctx context.Context, terminal string) error {
	return s.exec(ctx, "UPDATE device_requests SET state = ? WHERE terminal_id = ? AND state IN (?, ?)",
		string(idp.DeviceDenied), terminal, string(idp.DevicePending), string(idp.DeviceApproved))
}

// DenyMerchantRequests is DenyTerminalRequests for all terminals of a merchant.
func (s *Store) DenyMerchantRequests(ctx context.Context, merchant string) error {
	return s.exec(ctx, "UPDATE device_requests SET state = ? WHERE terminal_id IN (SELECT id FROM terminals WHERE merchant_id = ?) AND state IN (?, ?)",
		string(idp.DeviceDenied), merchant, string(idp.DevicePending), string(idp.DeviceApproved))
}

// MerchantsIn lists a page of the merchants of one status in the order of their
// numbers, after the given number.
func (s *Store) MerchantsIn(ctx context.Context, status idp.MerchantStatus, after string, limit int) ([]idp.Merchant, error) {
	var rows []merchantRow
	if err := s.db(ctx).Where("status = ? AND no > ?", string(status), after).Order("no").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toMerchant)
}

// Counts is what the console's first page tells.
type Counts struct {
	Users, Locked, Invited                   int64
	Merchants, MerchantsPending              int64
	Terminals, TerminalsActive, TerminalsBad int64 // bad: suspended or lost
	Sessions, SignIns, Failures              int64 // live; since the given time
}

// Count counts people, things and sign-ins since a time.
func (s *Store) Count(ctx context.Context, since, now time.Time) (c Counts, err error) {
	one := func(into *int64, sql string, args ...any) {
		if err == nil {
			err = s.db(ctx).Raw("SELECT count(*) FROM "+sql, args...).Scan(into).Error
		}
	}
	one(&c.Users, "users WHERE status = ?", string(idp.UserActive))
	one(&c.Locked, "users WHERE locked <> ''")
	one(&c.Invited, "users WHERE status = ?", string(idp.UserInvited))
	one(&c.Merchants, "merchants WHERE status = ?", string(idp.MerchantActive))
	one(&c.MerchantsPending, "merchants WHERE status = ?", string(idp.MerchantPending))
	one(&c.Terminals, "terminals WHERE state <> ?", string(idp.TerminalRetired))
	one(&c.TerminalsActive, "terminals WHERE state = ?", string(idp.TerminalActive))
	one(&c.TerminalsBad, "terminals WHERE state IN (?, ?)", string(idp.TerminalSuspended), string(idp.TerminalLost))
	one(&c.Sessions, "sessions WHERE ended_at = 0 AND idle_until > ? AND expires_at > ?", micros(now), micros(now))
	one(&c.SignIns, "events WHERE name = ? AND id >= ?", "signin.succeeded", idp.NewTimeID(since)[:12])
	one(&c.Failures, "events WHERE name = ? AND id >= ?", "signin.failed", idp.NewTimeID(since)[:12])
	return c, err
}

// holding locks the rows of a SELECT where the engine has several writers. Rows that
// refer to them may go on being inserted: FOR UPDATE would wait for those, and they
// for what is ended under it.
func (s *Store) holding() string {
	if s.Dialect == Postgres {
		return " FOR NO KEY UPDATE"
	}
	return ""
}
