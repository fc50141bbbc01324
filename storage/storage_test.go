package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

func TestTxRollsBack(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		boom := errors.New("boom")
		var m idp.Merchant
		err := s.Tx(ctx, func(ctx context.Context) error {
			m = idp.Merchant{No: "822290059430001", LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantActive}
			if err := s.CreateMerchant(ctx, &m); err != nil {
				return err
			}
			if got, err := s.Merchant(ctx, m.ID); err != nil || got.LegalName != "林记小馆" {
				t.Errorf("inside: %v %v", got, err)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("err = %v", err)
		}
		if _, err := s.Merchant(ctx, m.ID); idp.KindOf(err) != idp.NotFound {
			t.Errorf("after rollback: %v", err)
		}
	})
}

func TestTryUndoesOnlyItself(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		key := []byte("k")
		err := s.Tx(ctx, func(ctx context.Context) error {
			if ok, _, err := s.TakeBucket(ctx, "keep", key, 1, time.Hour, time.Now()); !ok || err != nil {
				t.Errorf("take: %v %v", ok, err)
			}
			return s.Try(ctx, func(ctx context.Context) error {
				if ok, _, err := s.TakeBucket(ctx, "undo", key, 1, time.Hour, time.Now()); !ok || err != nil {
					t.Errorf("take: %v %v", ok, err)
				}
				return storage.Undo()
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if empty, err := s.BucketEmpty(ctx, "keep", key, 1, time.Hour, time.Now()); !empty || err != nil {
			t.Errorf("kept charge is gone: %v", err)
		}
		if empty, err := s.BucketEmpty(ctx, "undo", key, 1, time.Hour, time.Now()); empty || err != nil {
			t.Errorf("undone charge is there: %v", err)
		}
	})
}

// Many transactions at once: those that fail or panic take nothing of the others
// with them, and more workers than connections do not starve.
func TestParallelTransactions(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		var wg sync.WaitGroup
		const n = 120
		for i := range n {
			wg.Go(func() {
				err := s.Tx(ctx, func(ctx context.Context) error {
					if err := s.Append(ctx, idp.Event{Name: "signin.failed", Subject: fmt.Sprint("s", i%3)}); err != nil {
						return err
					}
					if i%3 == 1 {
						return errors.New("no")
					}
					if i%3 == 2 && s.Dialect == storage.SQLite {
						panic("no")
					}
					if i%3 == 2 {
						return errors.New("no")
					}
					return nil
				})
				if (err == nil) != (i%3 == 0) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		for i := range 3 {
			got, err := s.Events(ctx, storage.EventFilter{Subject: fmt.Sprint("s", i)}, 1000)
			want := 0
			if i == 0 {
				want = n / 3
			}
			if err != nil || len(got) != want {
				t.Errorf("s%d: %d events, want %d (%v)", i, len(got), want, err)
			}
		}
	})
}

// A bucket of b that regains one each T admits b at once, then one each T,
// however many ask in parallel.
func TestBucket(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		take := func(at time.Time) bool {
			ok, next, err := s.TakeBucket(ctx, "test", []byte("a"), 5, time.Hour, at)
			if err != nil {
				t.Error(err)
			}
			if !ok && !next.After(at) {
				t.Errorf("refused at %v but next is %v", at, next)
			}
			return ok
		}
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if take(now) {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if admitted.Load() != 5 {
			t.Errorf("64 at once: %d admitted, want 5", admitted.Load())
		}
		if take(now.Add(time.Hour - time.Microsecond)) {
			t.Error("admitted one microsecond early")
		}
		if !take(now.Add(time.Hour)) || take(now.Add(time.Hour)) {
			t.Error("not exactly one after T")
		}
	})
}

// The wait is none for four failures, then 30 s doubling up to the cap, and is
// forgotten a day after the last.
func TestWait(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		fail := func(at time.Time) (bool, time.Duration) {
			ok, until, err := s.TakeWait(ctx, "test", []byte("a"), 30*time.Second, time.Hour, 24*time.Hour, at)
			if err != nil {
				t.Fatal(err)
			}
			return ok, until.Sub(at.Truncate(time.Microsecond))
		}
		for i, want := range []time.Duration{0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600} {
			ok, wait := fail(now)
			if !ok || wait != want*time.Second {
				t.Fatalf("failure %d: %v %v, want %v", i+1, ok, wait, want*time.Second)
			}
			if want > 0 {
				if ok, _ := fail(now.Add(wait - time.Microsecond)); ok {
					t.Fatalf("failure admitted while the wait runs")
				}
			}
			now = now.Add(wait)
		}
		if ok, wait := fail(now.Add(25 * time.Hour)); !ok || wait != 0 {
			t.Errorf("not forgotten after a day: %v %v", ok, wait)
		}
	})
}

func TestIdentifiersAreUnique(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		make := func(name string) error {
			return s.CreateUser(ctx, &idp.User{Name: "林薇", Language: "zh-CN", Role: idp.RoleAuditor, Status: idp.UserActive},
				&idp.Identifier{Kind: idp.IdentifierUsername, Value: name})
		}
		if err := make("lin.wei"); err != nil {
			t.Fatal(err)
		}
		if err := make("lin.wei"); idp.KindOf(err) != idp.Conflict {
			t.Errorf("second: %v", err)
		}
		u, err := s.UserByIdentifier(ctx, idp.IdentifierUsername, "lin.wei")
		if err != nil || u.Name != "林薇" || len(u.ID) != 26 {
			t.Errorf("found %+v %v", u, err)
		}
		if users, err := s.Users(ctx, storage.UserFilter{}, 10); err != nil || len(users) != 1 {
			t.Errorf("a refused user stayed: %v %v", users, err)
		}
	})
}

// One of many parallel uses of a counter wins.
func TestCounterMovesOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		u := idp.User{Name: "a", Language: "en", Role: idp.RoleAuditor, Status: idp.UserActive}
		if err := s.CreateUser(ctx, &u); err != nil {
			t.Fatal(err)
		}
		c := idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: []byte("x")}
		if err := s.AddCredential(ctx, &c); err != nil {
			t.Fatal(err)
		}
		var wins atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				ok, err := s.UseCredential(ctx, c.ID, 100, time.Now())
				if err != nil {
					t.Error(err)
				}
				if ok {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d wins", wins.Load())
		}
		if ok, err := s.UseCredential(ctx, c.ID, 99, time.Now()); ok || err != nil {
			t.Errorf("an older step was taken: %v", err)
		}
	})
}

func TestDevicePoll(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now()
		hash := []byte("01234567890123456789012345678901")
		d := idp.DeviceRequest{ClientID: "terminal", Scopes: []string{"openid"}, Match: 42, Choices: []int{18, 42, 63}, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute)}
		if err := s.CreateDeviceRequest(ctx, &d, hash, "BCDFGHJK", 5*time.Second); err != nil {
			t.Fatal(err)
		}
		poll := func(at time.Time) storage.Poll {
			t.Helper()
			p, err := s.PollDevice(ctx, hash, "terminal", "", at, 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := poll(now); p.TooSoon || p.Request.State != idp.DevicePending || p.Request.Match != 42 {
			t.Errorf("first poll: %+v", p)
		}
		if p := poll(now.Add(4 * time.Second)); !p.TooSoon {
			t.Error("a poll after 4 s is not too soon")
		}
		if p := poll(now.Add(13 * time.Second)); !p.TooSoon {
			t.Error("the interval has not grown to 10 s")
		}
		if p := poll(now.Add(40 * time.Second)); p.TooSoon {
			t.Error("a patient poll is too soon")
		}
		if _, err := s.PollDevice(ctx, hash, "terminal", "key", now, 0); idp.KindOf(err) != idp.NotFound {
			t.Errorf("another key: %v", err)
		}
		if _, err := s.PollDevice(ctx, hash, "other", "", now, 0); idp.KindOf(err) != idp.NotFound {
			t.Errorf("another client's poll: %v", err)
		}
		if ok, err := s.DecideDeviceRequest(ctx, d.ID, idp.DeviceApproved, "g1", now.Add(50*time.Second)); !ok || err != nil {
			t.Fatalf("approve: %v %v", ok, err)
		}
		if ok, _ := s.DecideDeviceRequest(ctx, d.ID, idp.DeviceDenied, "", now.Add(50*time.Second)); ok {
			t.Error("decided twice")
		}
		var redeemed atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if p := poll(now.Add(60 * time.Second)); p.Request.State == idp.DeviceApproved {
					redeemed.Add(1)
				}
			})
		}
		wg.Wait()
		if redeemed.Load() != 1 {
			t.Errorf("redeemed %d times", redeemed.Load())
		}
	})
}

// Another replica's change bites within the age of the cache.
func TestCachesFollowOtherReplicas(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn := storagetest.DSN(t, d)
			one, two := storagetest.Open(t, dsn, storagetest.Ring()), storagetest.Open(t, dsn, storagetest.Ring())
			ctx := t.Context()
			if err := one.CreateClient(ctx, &idp.Client{ID: "app", Name: "App"}); err != nil {
				t.Fatal(err)
			}
			if c, err := two.Client(ctx, "app"); err != nil || c.Disabled {
				t.Fatalf("two: %+v %v", c, err)
			}
			if changed, err := one.SetClientDisabled(ctx, "app", true); !changed || err != nil {
				t.Fatal(err)
			}
			if c, err := one.Client(ctx, "app"); err != nil || !c.Disabled {
				t.Errorf("one does not see its own change: %+v %v", c, err)
			}
			deadline := time.Now().Add(4 * time.Second)
			for {
				c, err := two.Client(ctx, "app")
				if err != nil {
					t.Fatal(err)
				}
				if c.Disabled {
					return
				}
				if time.Now().After(deadline) {
					t.Fatal("the other replica never saw the change")
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}

func TestMigrateTwiceAtOnce(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn := storagetest.DSN(t, d)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { storagetest.Open(t, dsn, storagetest.Ring()) })
			}
			wg.Wait()
		})
	}
}

func TestWrongKeyIsToldAtStart(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn := storagetest.DSN(t, d)
			storagetest.Open(t, dsn, storagetest.Ring())
			_, other := storagetest.KeyFile(t)
			s, err := storage.Open(t.Context(), dsn, other, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Migrate(t.Context()); err == nil || err.Error() == "" {
				t.Error("a wrong key was taken")
			} else if want := "this key does not open the database"; !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		})
	}
}
