package storage_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

func newToken(t *testing.T, s *storage.Store, signature string, now time.Time) *storage.Token {
	t.Helper()
	row := &storage.Token{Kind: storage.TokenRefresh, Signature: signature, Family: "family", ClientID: "app", CreatedAt: now, ExpiresAt: now.Add(time.Minute), Data: []byte(`{"a":1}`)}
	if err := s.CreateToken(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return row
}

func TestTokenOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		newToken(t, s, "a", now)
		got, err := s.Token(ctx, storage.TokenRefresh, "a")
		if err != nil || !got.Active || string(got.Data) != `{"a":1}` || got.Family != "family" || got.ClientID != "app" || !got.ExpiresAt.Equal(now.Add(time.Minute)) {
			t.Fatalf("%+v %v", got, err)
		}
		if _, err := s.Token(ctx, storage.TokenCode, "a"); idp.KindOf(err) != idp.NotFound {
			t.Errorf("another kind is found: %v", err)
		}
		if err := s.CreateToken(ctx, &storage.Token{Kind: storage.TokenRefresh, Signature: "a"}); err == nil {
			t.Error("a signature is taken twice")
		}
		if ok, err := s.UseToken(ctx, storage.TokenRefresh, "a", now.Add(time.Minute)); ok || err != nil {
			t.Errorf("an expired row is used: %v", err)
		}
		for i, want := range []bool{true, false} {
			if ok, err := s.UseToken(ctx, storage.TokenRefresh, "a", now); ok != want || err != nil {
				t.Errorf("use %d: %v %v", i, ok, err)
			}
		}
		if got, err = s.Token(ctx, storage.TokenRefresh, "a"); err != nil || got.Active || !got.UsedAt.Equal(now) {
			t.Errorf("%+v %v", got, err)
		}
		if ok, err := s.SaveToken(ctx, &got, now); ok || err != nil {
			t.Errorf("a used row is changed: %v", err)
		}
	})
}

func TestTokenRotatesOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		newToken(t, s, "a", now)
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				ok, err := s.RotateToken(ctx, storage.TokenRefresh, "a", "next-"+strconv.Itoa(i), now)
				if err != nil {
					t.Error(err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		got, err := s.Token(ctx, storage.TokenRefresh, "a")
		if won.Load() != 1 || err != nil || got.Successor == "" || got.Active {
			t.Errorf("%d rotations, %+v %v", won.Load(), got, err)
		}
	})
}

// A rollback undoes a use: the proof that fosite's transactions are really ours.
func TestTokenUseRollsBack(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		newToken(t, s, "a", now)
		boom := errors.New("boom")
		err := s.Tx(ctx, func(ctx context.Context) error {
			if ok, err := s.UseToken(ctx, storage.TokenRefresh, "a", now); !ok || err != nil {
				t.Errorf("%v %v", ok, err)
			}
			return boom
		})
		if got, terr := s.Token(ctx, storage.TokenRefresh, "a"); !errors.Is(err, boom) || terr != nil || !got.Active {
			t.Errorf("%v %+v %v", err, got, terr)
		}
	})
}

func TestTokenSaveAndTrim(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		row := newToken(t, s, "a", now)
		row.Data, row.ExpiresAt = []byte("changed"), now.Add(time.Hour)
		if ok, err := s.SaveToken(ctx, row, now); !ok || err != nil {
			t.Fatal(err)
		}
		if got, err := s.Token(ctx, row.Kind, "a"); err != nil || string(got.Data) != "changed" {
			t.Errorf("%+v %v", got, err)
		}
		for _, b := range []string{"b", "c", "d"} {
			newToken(t, s, b, now)
		}
		for _, want := range []int64{2, 1, 0} {
			if n, err := s.TrimTokens(ctx, now.Add(2*time.Minute), 2); n != want || err != nil {
				t.Errorf("trimmed %d, %v", n, err)
			}
		}
		if _, err := s.Token(ctx, row.Kind, "a"); err != nil {
			t.Errorf("a live row was trimmed: %v", err)
		}
	})
}
