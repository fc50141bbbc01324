package storage_test

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// atOnce runs fn sixteen times in parallel and returns how often it was true.
func atOnce(t *testing.T, fn func() (bool, error)) int64 {
	t.Helper()
	var wins atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 16 {
		wg.Go(func() {
			<-start
			ok, err := fn()
			if err != nil {
				t.Error(err)
			}
			if ok {
				wins.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return wins.Load()
}

// What can be used once is used once, however many try at the same time.
func TestOneOfManyWins(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now().Truncate(time.Microsecond)
		c := &conformity{T: t, s: s, now: now, covered: map[string]bool{}}
		u := c.person(ctx)
		set := idp.Credential{UserID: u.ID, Method: idp.MethodBackup, Data: []byte("ten")}
		c.did(s.AddCredential(ctx, &set))
		change := idp.Change{UserID: u.ID, NewID: "n", At: now, Until: now.Add(time.Hour)}
		c.did(s.CreateChange(ctx, &change))
		cs := idp.Case{Kind: "notme", UserID: u.ID, OpenedAt: now, DueAt: now}
		c.did(s.OpenCase(ctx, &cs))
		_, err := s.OpenTicket(ctx, "t", []byte("k"), now, time.Hour, now)
		c.did(err)
		c.did(s.Append(ctx, idp.Event{Name: "signin.succeeded", Subject: u.ID}))
		events, err := s.Events(ctx, storage.EventFilter{Subject: u.ID}, 1)
		c.did(err)
		c.did(s.Consent(ctx, u.ID, "app", nil, now))
		phone := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierPhone, Value: "+8613800000001", VerifiedAt: now}
		c.did(s.AddIdentifier(ctx, &phone))
		for _, try := range []struct {
			what string
			fn   func() (bool, error)
		}{
			{"SpendCredential", func() (bool, error) { return s.SpendCredential(ctx, set.ID, 1, []byte("nine"), now) }},
			{"BlockCredential", func() (bool, error) { return s.BlockCredential(ctx, set.ID, "clone") }},
			{"RemoveCredential", func() (bool, error) { return s.RemoveCredential(ctx, u.ID, set.ID) }},
			{"UndoChange", func() (bool, error) { return s.UndoChange(ctx, change.ID, now) }},
			{"CloseCase", func() (bool, error) { return s.CloseCase(ctx, cs.ID, now) }},
			{"Answer", func() (bool, error) { return s.Answer(ctx, u.ID, events[0].ID, "me", now) }},
			{"TakeTicket", func() (bool, error) { return s.TakeTicket(ctx, "t", []byte("k"), time.Hour, now) }},
			{"FreezeUser", func() (bool, error) { return s.FreezeUser(ctx, u.ID, now) }},
			{"UnfreezeUser", func() (bool, error) { return s.UnfreezeUser(ctx, u.ID) }},
			{"WithdrawConsent", func() (bool, error) { return s.WithdrawConsent(ctx, u.ID, "app") }},
			{"RemoveIdentifier", func() (bool, error) { return s.RemoveIdentifier(ctx, u.ID, phone.ID, now) }},
			{"RestoreIdentifier", func() (bool, error) { return s.RestoreIdentifier(ctx, u.ID, phone.ID) }},
		} {
			if wins := atOnce(t, try.fn); wins != 1 {
				t.Errorf("%s: %d of 16 won", try.what, wins)
			}
		}
	})
}

// Many who ask for the handle of a user for the first time get the same one.
func TestHandleIsMadeOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		c := &conformity{T: t, s: s, covered: map[string]bool{}}
		u := c.person(t.Context())
		var mu sync.Mutex
		var all [][]byte
		atOnce(t, func() (bool, error) {
			h, err := s.Handle(context.Background(), u.ID)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, h)
			return true, err
		})
		for _, h := range all {
			if len(h) != 64 || !bytes.Equal(h, all[0]) {
				t.Errorf("%x, %x", h, all[0])
			}
		}
	})
}

// A phone that is restored while another binds it has one owner in the end.
func TestRestoredOrTaken(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		c := &conformity{T: t, s: s, covered: map[string]bool{}}
		one, two := c.person(ctx), c.person(ctx)
		for range 20 {
			phone := idp.Identifier{UserID: one.ID, Kind: idp.IdentifierPhone, Value: "+8613800000002"}
			c.did(s.AddIdentifier(ctx, &phone))
			c.done("RemoveIdentifier")(s.RemoveIdentifier(ctx, one.ID, phone.ID, time.Now()))
			other := idp.Identifier{UserID: two.ID, Kind: phone.Kind, Value: phone.Value}
			var wg sync.WaitGroup
			var restored bool
			var rerr, berr error
			wg.Go(func() { restored, rerr = s.RestoreIdentifier(ctx, one.ID, phone.ID) })
			wg.Go(func() { berr = s.AddIdentifier(ctx, &other) })
			wg.Wait()
			c.did(rerr)
			if berr != nil && idp.KindOf(berr) != idp.Conflict {
				t.Fatal(berr)
			}
			u, err := s.UserByIdentifier(ctx, phone.Kind, phone.Value)
			c.did(err)
			if restored == (berr == nil) || (u.ID == one.ID) != restored {
				t.Fatalf("restored %v, bound %v, now of %s", restored, berr, u.ID)
			}
			c.did(s.Exec(ctx, "DELETE FROM identifiers"))
		}
	})
}

// No count is lost.
func TestCountsAddUp(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		atOnce(t, func() (bool, error) {
			for range 8 {
				if err := s.CountHour(ctx, "k", 1, now); err != nil {
					return false, err
				}
			}
			return true, nil
		})
		if by, err := s.Hours(ctx, "k", now); err != nil || by[now.Unix()/3600] != 128 {
			t.Errorf("%v, %v", by, err)
		}
	})
}
