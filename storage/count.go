package storage

import (
	"context"
	"time"

	"hufu/idp"
)

// The numbers of the console's first page are counted in indexes, bounded by time,
// rather than kept as counters that every sign-in would have to write: a counter is a
// row that sign-ins wait for one another at, and one more thing that can be wrong. A
// day that is over does not change, so that whoever keeps it pays for today alone.

// Day is what happened from a moment on for a day.
type Day struct {
	Start                 time.Time
	SignIns, Failures     int64
	Causes                map[string]int64 // of the failures, by reason code
	Waits, Closed, Locked int64            // a wait for one network or browser; a way closed to strangers; an account
	Frozen, Cases         int64
	Begun, Recovered      int64 // recoveries
}

// CountDay counts the events from one moment to another.
func (s *Store) CountDay(ctx context.Context, from, to time.Time) (d Day, err error) {
	d = Day{Start: from, Causes: map[string]int64{}}
	// Ids sort by time: the first letters of one name a moment in the index of names.
	first, last := idp.FirstTimeID(from), idp.FirstTimeID(to)
	for name, into := range map[string]*int64{"signin.succeeded": &d.SignIns, "lock.closed": &d.Closed, "lock.account": &d.Locked, "account.frozen": &d.Frozen, "case.opened": &d.Cases,
		"recovery.started": &d.Begun, "recovery.completed": &d.Recovered} {
		if err := s.one(ctx, into, "events WHERE name = ? AND id >= ? AND id < ?", name, first, last); err != nil {
			return d, err
		}
	}
	for _, name := range []string{"lock.wait", "lock.browser"} {
		var n int64
		if err := s.one(ctx, &n, "events WHERE name = ? AND id >= ? AND id < ?", name, first, last); err != nil {
			return d, err
		}
		d.Waits += n
	}
	// The name stands in the text, for a partial index is used only where it is known.
	causes, err := s.tallies(ctx, "SELECT reason AS name, count(*) AS n FROM events WHERE name = 'signin.failed' AND id >= ? AND id < ? GROUP BY reason", first, last)
	for reason, n := range causes {
		d.Causes[reason] = n
		d.Failures += n
	}
	return d, err
}

func (s *Store) one(ctx context.Context, into *int64, where string, args ...any) error {
	return s.db(ctx).Raw("SELECT count(*) FROM "+where, args...).Scan(into).Error
}

// tallies reads numbers by name.
func (s *Store) tallies(ctx context.Context, sql string, args ...any) (map[string]int64, error) {
	var rows []struct {
		Name string
		N    int64
	}
	err := s.db(ctx).Raw(sql, args...).Scan(&rows).Error
	by := make(map[string]int64, len(rows))
	for _, r := range rows {
		by[r.Name] = r.N
	}
	return by, err
}

// DueSoon is how long before its time a case is said to be due.
const DueSoon = time.Hour

// CasesOpen counts open cases: all, those to be answered soon, and those that should have been.
type CasesOpen struct{ All, Due, Overdue int64 }

// Standing is how things stand now.
type Standing struct {
	Users, Merchants, Terminals map[string]int64 // by status or state
	Locked, Frozen              int64
	Seen                        int64     // terminals that redeemed a token in the last day
	Cases, StaffCases           CasesOpen // of all, and of them those about the operator's own people
	Sent, Due, Dead             map[idp.ChannelKind]int64
	OldestDue                   time.Time // zero: nothing waits
}

// Stand counts how things stand; what was sent, in the last day.
func (s *Store) Stand(ctx context.Context, now time.Time) (n Standing, err error) {
	day := now.Add(-24 * time.Hour)
	for _, c := range []struct {
		into *map[string]int64
		sql  string
	}{{&n.Users, "users GROUP BY status"}, {&n.Merchants, "merchants GROUP BY status"}} {
		if *c.into, err = s.tallies(ctx, "SELECT status AS name, count(*) AS n FROM "+c.sql); err != nil {
			return n, err
		}
	}
	if n.Terminals, err = s.tallies(ctx, "SELECT state AS name, count(*) AS n FROM terminals GROUP BY state"); err != nil {
		return n, err
	}
	for _, c := range []struct {
		into  *int64
		where string
		args  []any
	}{{&n.Locked, "users WHERE locked <> ''", nil}, {&n.Frozen, "users WHERE frozen", nil}, {&n.Seen, "terminals WHERE last_seen_at >= ?", []any{micros(day)}}} {
		if err := s.one(ctx, c.into, c.where, c.args...); err != nil {
			return n, err
		}
	}
	if err := s.standCases(ctx, &n, now); err != nil {
		return n, err
	}
	return n, s.standMessages(ctx, &n, day)
}

func (s *Store) standCases(ctx context.Context, n *Standing, now time.Time) error {
	for into, where := range map[*CasesOpen]string{&n.Cases: "", &n.StaffCases: " AND merchant = ''"} {
		err := s.db(ctx).Raw(`SELECT count(*) AS "all", count(CASE WHEN due_at > @now AND due_at <= @soon THEN 1 END) AS due, count(CASE WHEN due_at <= @now THEN 1 END) AS overdue
			FROM cases WHERE state = @open`+where, map[string]any{"now": micros(now), "soon": micros(now.Add(DueSoon)), "open": string(idp.CaseOpen)}).Scan(into).Error
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) standMessages(ctx context.Context, n *Standing, since time.Time) error {
	for _, c := range []struct {
		into  *map[idp.ChannelKind]int64
		where string
		args  []any
	}{{&n.Sent, "sent_at > 0 AND sent_at >= ?", []any{micros(since)}}, {&n.Due, messageStates[idp.MessageDue], nil}, {&n.Dead, "dead_at > 0 AND " + messageStates[idp.MessageDead], nil}} {
		by, err := s.tallies(ctx, "SELECT channel AS name, count(*) AS n FROM messages WHERE "+c.where+" GROUP BY channel", c.args...)
		if err != nil {
			return err
		}
		*c.into = make(map[idp.ChannelKind]int64, len(by))
		for channel, count := range by {
			(*c.into)[idp.ChannelKind(channel)] = count
		}
	}
	var row struct{ Oldest int64 }
	// Since when it waits, not when it is tried next: a message that fails again and again is old.
	err := s.db(ctx).Raw("SELECT COALESCE(min(created_at), 0) AS oldest FROM messages WHERE " + messageStates[idp.MessageDue]).Scan(&row).Error
	n.OldestDue = fromMicros(row.Oldest)
	return err
}

// Adoption says how many active people hold what they can sign in with.
type Adoption struct{ People, Second, Passkey, TOTP, Backup int64 } // Second: a passkey or an authenticator

// Adoption counts them. It looks at everybody: whoever asks keeps the answer for a while.
func (s *Store) Adoption(ctx context.Context) (a Adoption, err error) {
	err = s.db(ctx).Raw(`SELECT count(*) AS people, COALESCE(sum(CASE WHEN passkey + totp > 0 THEN 1 ELSE 0 END), 0) AS second,
			COALESCE(sum(passkey), 0) AS passkey, COALESCE(sum(totp), 0) AS totp, COALESCE(sum(backup), 0) AS backup
		FROM (SELECT u.id, COALESCE(max(CASE WHEN c.method = 'passkey' THEN 1 ELSE 0 END), 0) AS passkey, COALESCE(max(CASE WHEN c.method = 'totp' THEN 1 ELSE 0 END), 0) AS totp,
			COALESCE(max(CASE WHEN c.method = 'backup' THEN 1 ELSE 0 END), 0) AS backup
		FROM users u LEFT JOIN credentials c ON c.user_id = u.id AND NOT c.pending AND c.blocked = '' WHERE u.status = 'active' GROUP BY u.id) held`).Scan(&a).Error
	return a, err
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
