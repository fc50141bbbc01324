package manage

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// EndEverything signs everybody out everywhere, for whoever holds the server: all sessions,
// grants and open flows end, and no browser waives a second factor any more. A database
// that comes back from a backup brings back what had been ended since.
func (m *Manager) EndEverything(ctx context.Context, reason string) (people int, err error) {
	a := system
	a.Reason = line(reason)
	if len([]rune(a.Reason)) < reasonMin {
		return 0, idp.FieldError("reason", "reason.short", reasonMin)
	}
	for after := ""; ; {
		ids, err := m.Store.Holders(ctx, after, time.Now(), closingPage)
		if err != nil {
			return people, err
		}
		for _, id := range ids {
			if err := m.endOne(ctx, a, id); err != nil {
				return people, err
			}
			people++
		}
		if len(ids) == 0 {
			return people, m.record(ctx, a, idp.Event{Name: "session.ended_all", Data: map[string]any{"people": people}})
		}
		after = ids[len(ids)-1]
	}
}

// endOne is one person's part: a transaction each, since together they would hold up
// everybody who signs in anew.
func (m *Manager) endOne(ctx context.Context, a Actor, id string) error {
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := m.Store.HoldUser(ctx, id)
		if err != nil {
			return err
		}
		if err := m.Store.EndAll(ctx, u, storage.Keep{}, byAdmin, m.by(a)); err != nil {
			return err
		}
		return m.Store.DistrustBrowsers(ctx, id)
	})
}
