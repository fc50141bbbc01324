package storage

import (
	"context"
	"errors"
	"time"
)

// sweepBatch bounds what one statement deletes, so that nobody waits long for it.
const sweepBatch = 1000

// Sweep deletes what has been of no use for as long as it must be kept: what a person could
// still be shown or asked about a month after its end, what is counted a day after it last
// counted, what is evidence (events, cases, approvals, recoveries, hand-overs) after three years,
// but events of every day and refusals that are about nobody after 180 days. That it is a
// demonstration stays known. Secrets that nobody collected in time go at once.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	day := 24 * time.Hour
	return errors.Join(
		s.sweep(ctx, "flows", "id", "expires_at < ?", micros(now.Add(-day))),
		s.sweep(ctx, "tokens", "signature", "expires_at < ? AND kind <> 'refresh'", micros(now.Add(-day))),
		s.sweep(ctx, "tokens", "signature", "expires_at < ?", micros(now.Add(-30*day))),
		s.sweep(ctx, "device_requests", "id", "expires_at < ?", micros(now.Add(-day))),
		s.sweep(ctx, "terminal_notices", "id", "until < ?", micros(now.Add(-30*day))),
		s.sweep(ctx, "shown_proofs", "hash", "until < ?", micros(now)),
		s.sweep(ctx, "limits", "key", "tat < ?", micros(now.Add(-day))),
		s.sweep(ctx, "waits", "key", "last_at < ?", micros(now.Add(-2*day))),
		s.sweep(ctx, "marks", "id", "at < ?", micros(now.Add(-2*day))),
		s.sweep(ctx, "links", "hash", "expires_at < ?", micros(now.Add(-day))),
		s.sweep(ctx, "changes", "id", "until < ?", micros(now.Add(-30*day))),
		s.sweep(ctx, "identifiers", "id", "removed_at > 0 AND removed_at < ? AND kind IN ('phone', 'email')", micros(now.Add(-180*day))),
		s.sweep(ctx, "shop_codes", "user_id", "expires_at < ?", micros(now.Add(-day))),
		s.sweep(ctx, "handovers", "id", "ended_at > 0 AND ended_at < ?", micros(now.Add(-3*365*day))),
		s.sweep(ctx, "recoveries", "id", "ended_at > 0 AND ended_at < ?", micros(now.Add(-3*365*day))),
		s.sweep(ctx, "places", "place", "last_at < ?", micros(now.Add(-365*day))),
		s.sweep(ctx, "cases", "id", "closed_at > 0 AND closed_at < ?", micros(now.Add(-3*365*day))),
		s.sweep(ctx, "approvals", "id", "expires_at < ?", micros(now.Add(-3*365*day))),
		s.exec(ctx, "UPDATE approvals SET secret = NULL, secret_until = 0 WHERE secret_until > 0 AND secret_until <= ?", micros(now)),
		s.sweep(ctx, "case_evidence", "case_id", "at < ? AND case_id NOT IN (SELECT id FROM cases)", micros(now.Add(-day))),
		s.sweep(ctx, "calls", "id", "until < ?", micros(now.Add(-day))),
		s.sweep(ctx, "answers", "event_id", "at < ?", micros(now.Add(-3*365*day))),
		s.sweep(ctx, "network_users", "network", "last_at < ?", micros(now.Add(-31*day))),
		s.sweep(ctx, "sessions", "id", "(ended_at > 0 AND ended_at < ?) OR expires_at < ?", micros(now.Add(-30*day)), micros(now.Add(-30*day))),
		s.sweep(ctx, "grants", "id", "(ended_at > 0 AND ended_at < ?) OR (expires_at > 0 AND expires_at < ?)", micros(now.Add(-30*day)), micros(now.Add(-30*day))),
		s.sweep(ctx, "browsers", "id", "last_used_at < ?", micros(now.Add(-210*day))),
		s.sweep(ctx, "events", "id", "at < ? AND (name IN ('signin.failed', 'code.sent', 'device.requested', 'device.redeemed') OR name IN ('signin.refused', 'recovery.refused') AND subject = '')", micros(now.Add(-180*day))),
		s.sweep(ctx, "events", "id", "at < ? AND name <> 'config.demo'", micros(now.Add(-3*365*day))),
		s.sweep(ctx, "sends", "id", "at < ?", micros(now.Add(-day))),
		s.sweep(ctx, "hours", "hour", "hour < ?", now.Add(-15*day).Unix()/3600),
		s.sweep(ctx, "messages", "id", "created_at < ?", micros(now.Add(-90*day))),
		s.sweep(ctx, "messages", "id", "dead_at > 0 AND dead_at < ?", micros(now.Add(-30*day))),
		s.eraseSent(ctx, now.Add(-day)),
	)
}

// sweep deletes matching rows of a table in batches.
func (s *Store) sweep(ctx context.Context, table, key, where string, args ...any) error {
	for {
		n, err := s.affected(ctx, "DELETE FROM "+table+" WHERE ("+where+") AND "+key+" IN (SELECT "+key+" FROM "+table+" WHERE "+where+" LIMIT ?)",
			append(append(append([]any{}, args...), args...), sweepBatch)...)
		if err != nil || n < sweepBatch {
			return err
		}
	}
}
