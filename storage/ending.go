package storage

import (
	"cmp"
	"context"
	"errors"
	"time"

	"hufu/idp"
)

// Keep names what of a person's own survives [Store.EndAll]: the session he acts
// in, and the flow he walks.
type Keep struct{ Session, Flow string }

// EndAll ends the live sessions, the grants, the open flows and the codes of the shop of a
// person and writes an event for every session and grant that ended. by says who did it and
// from where; cause is the reason kept with what ended.
func (s *Store) EndAll(ctx context.Context, u idp.User, keep Keep, cause string, by idp.Event) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		// Nobody makes a session of his while all of them end.
		if _, err := s.HoldUser(ctx, u.ID); err != nil {
			return err
		}
		now := time.Now()
		sessions, err := s.EndSessions(ctx, u.ID, keep.Session, cause, now)
		if err != nil {
			return err
		}
		grants, err := s.EndUserGrants(ctx, u.ID, cause, now)
		if err != nil {
			return err
		}
		by.Subject, by.Merchant, by.Store, by.Reason = u.ID, u.MerchantID, u.StoreID, cmp.Or(by.Reason, cause)
		for _, id := range sessions {
			e := by
			e.Name, e.Session, e.Data = "session.ended", id, map[string]any{"cause": cause}
			if err := s.Append(ctx, e); err != nil {
				return err
			}
		}
		for _, id := range grants {
			if err := s.Revoked(ctx, id, cause, by); err != nil {
				return err
			}
		}
		if err := s.VoidShopCodes(ctx, u.ID); err != nil {
			return err
		}
		return s.exec(ctx, "DELETE FROM flows WHERE user_id = ? AND id <> ?", u.ID, keep.Flow)
	})
}

// Holders lists the users, by id after one, who have something that [Store.EndAll] ends, or a
// browser that waives their second factor.
func (s *Store) Holders(ctx context.Context, after string, now time.Time, limit int) (users []string, err error) {
	at := micros(now)
	err = s.db(ctx).Raw(`SELECT id FROM users WHERE id > ? AND (EXISTS (SELECT 1 FROM sessions WHERE user_id = users.id AND ended_at = 0 AND expires_at > ?)
		OR EXISTS (SELECT 1 FROM grants WHERE user_id = users.id AND ended_at = 0 AND expires_at > ?)
		OR EXISTS (SELECT 1 FROM flows WHERE user_id = users.id AND expires_at > ?)
		OR EXISTS (SELECT 1 FROM browsers WHERE user_id = users.id AND trusted_until > ?)) ORDER BY id LIMIT ?`, after, at, at, at, at, limit).Scan(&users).Error
	return users, err
}

// Revoked writes the event of a grant that ended.
func (s *Store) Revoked(ctx context.Context, grant, cause string, by idp.Event) error {
	g, err := s.Grant(ctx, grant)
	if err != nil {
		return err
	}
	u, err := s.User(ctx, g.UserID)
	if err != nil {
		return err
	}
	by.Name, by.Subject, by.Merchant, by.Store, by.Client, by.Terminal = "grant.revoked", u.ID, u.MerchantID, u.StoreID, g.ClientID, g.TerminalID
	by.Reason, by.Data = cmp.Or(by.Reason, cause), map[string]any{"grant": grant, "cause": cause}
	return s.Append(ctx, by)
}

// HoldSession says whether a session is live and keeps it so until the transaction
// ends: what it allows is allowed before or after its end, never beside it. One
// holds it at a time: those who share a row pass whoever waits to end it, for as long
// as they keep coming.
func (s *Store) HoldSession(ctx context.Context, id string) (live bool, err error) {
	if !InTx(ctx) {
		return false, errors.New("storage: HoldSession outside a transaction")
	}
	var found string
	err = s.db(ctx).Raw("SELECT id FROM sessions WHERE id = ? AND ended_at = 0"+s.holding(), id).Scan(&found).Error
	return found != "", err
}

// DenyApprovals denies what a user has approved and no device has fetched yet: its next
// poll hears access_denied (RFC 8628 3.5).
func (s *Store) DenyApprovals(ctx context.Context, user string) error {
	return s.exec(ctx, "UPDATE device_requests SET state = ? WHERE state = ? AND grant_id IN (SELECT id FROM grants WHERE user_id = ?)",
		string(idp.DeviceDenied), string(idp.DeviceApproved), user)
}
