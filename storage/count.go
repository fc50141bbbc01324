package storage

import (
	"context"
	"time"

	"hufu/idp"
)

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

// ShopCounts is what a merchant's own people are told first, of all its stores or one.
type ShopCounts struct {
	Staff, Invited, Locked                   int64
	Stores, Cases                            int64
	Terminals, TerminalsActive, TerminalsNew int64
	TerminalsBad                             int64 // suspended or lost
}

// CountShop counts the people and things of a merchant or, unless "", of a store of it.
// Cases and stores are the merchant's.
func (s *Store) CountShop(ctx context.Context, merchant, store string) (c ShopCounts, err error) {
	one := func(into *int64, table, where string, args ...any) {
		if err != nil {
			return
		}
		q := s.db(ctx).Table(table).Where(where, args...)
		if store != "" && (table == "users" || table == "terminals") {
			q = q.Where("store_id = ?", store)
		}
		err = q.Count(into).Error
	}
	staff := "merchant_id = ? AND status = ?"
	one(&c.Staff, "users", staff, merchant, string(idp.UserActive))
	one(&c.Invited, "users", staff, merchant, string(idp.UserInvited))
	one(&c.Locked, "users", "merchant_id = ? AND locked <> '' AND status = ?", merchant, string(idp.UserActive))
	one(&c.Stores, "stores", "merchant_id = ?", merchant)
	one(&c.Cases, "cases", "merchant = ? AND state = ?", merchant, string(idp.CaseOpen))
	device := "merchant_id = ? AND state = ?"
	one(&c.Terminals, "terminals", "merchant_id = ? AND state <> ?", merchant, string(idp.TerminalRetired))
	one(&c.TerminalsActive, "terminals", device, merchant, string(idp.TerminalActive))
	one(&c.TerminalsNew, "terminals", device, merchant, string(idp.TerminalNew))
	one(&c.TerminalsBad, "terminals", "merchant_id = ? AND state IN ?", merchant, []string{string(idp.TerminalSuspended), string(idp.TerminalLost)})
	return c, err
}
