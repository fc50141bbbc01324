package manage

import (
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// Everybody is signed out, each with his events; who has nothing is left alone, and what
// people need to sign in anew stays.
func TestEverythingEnds(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		ctx := t.Context()
		admin := h.staff[idp.RolePolicyAdmin]
		session, _, _ := h.live(h.owner)
		_, grant, device := h.live(admin)
		b := idp.Browser{UserID: h.owner.ID, CreatedAt: time.Now(), LastUsedAt: time.Now()}
		h.must(s.CreateBrowser(ctx, &b))
		if ok, err := s.TrustBrowser(ctx, h.owner.ID, b.ID, time.Now().Add(time.Hour)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := h.EndEverything(ctx, "no"); idp.KindOf(err) != idp.Invalid {
			t.Errorf("without a reason: %v", err)
		}
		if n, err := h.EndEverything(ctx, "restored from a backup"); n != 2 || err != nil {
			t.Fatalf("%d people, %v", n, err)
		}
		if ss, err := s.Session(ctx, session); err != nil || ss.EndedAt.IsZero() || !h.ended(grant) || !h.ended(device) {
			t.Errorf("something lives: %+v, %v", ss, err)
		}
		if b, err := s.Browser(ctx, b.ID); err != nil || b.Trusted(time.Now()) || b.UserID != h.owner.ID {
			t.Errorf("browser %+v, %v", b, err)
		}
		for name, n := range map[string]int{"session.ended": 2, "session.ended_all": 1} {
			events := h.events(storage.EventFilter{Name: name})
			if len(events) != n || events[0].Reason != "restored from a backup" || events[0].Actor != "system" {
				t.Errorf("%s: %+v", name, events)
			}
		}
		if len(h.events(storage.EventFilter{Name: "grant.revoked"})) < 2 {
			t.Error("grants ended without a word")
		}
		if n, err := h.EndEverything(ctx, "once more"); n != 0 || err != nil {
			t.Errorf("again: %d people, %v", n, err)
		}
	})
}
