package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// within fails the test, with a word on what hangs, when fn takes too long.
func within(t *testing.T, most time.Duration, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(most):
		t.Fatalf("%s: not done after %v", what, most)
	}
}

// Whoever holds a connection never waits for one who waits for a connection: many
// more workers than connections, with and without a transaction, on cold caches.
func TestMoreWorkersThanConnections(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		if err := s.CreateClient(ctx, &idp.Client{ID: "app", Name: "App"}); err != nil {
			t.Fatal(err)
		}
		u := idp.User{Name: "a", Language: "en", Role: idp.RoleAuditor, Status: idp.UserActive}
		if err := s.CreateUser(ctx, &u); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		until := time.Now().Add(2500 * time.Millisecond) // the age of a cache passes twice
		for i := range 96 {
			wg.Go(func() {
				for n := 0; n == 0 || time.Now().Before(until); n++ {
					err := s.Tx(ctx, func(ctx context.Context) error {
						if _, err := s.User(ctx, u.ID); err != nil {
							return err
						}
						if _, err := s.Client(ctx, "app"); err != nil {
							return err
						}
						_, _, err := s.TakeBucket(ctx, "w", []byte{byte(i)}, 1, time.Hour, time.Now())
						return err
					})
					if err == nil {
						_, err = s.Client(ctx, "app")
					}
					if err == nil {
						_, err = s.Credentials(ctx, u.ID)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		within(t, 30*time.Second, "workers", wg.Wait)
	})
}

func TestDatabaseFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data 100% #1?", "hufu.db")
	s := storagetest.Open(t, "sqlite:"+path, storagetest.Ring())
	if err := s.Append(t.Context(), idp.Event{Name: "config.demo"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info, err)
	}
}

// hold keeps SQLite's writer busy until the returned function is called.
func hold(t *testing.T, s *storage.Store) (release func()) {
	t.Helper()
	held, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Tx(context.Background(), func(context.Context) error { close(held); <-leave; return nil }); err != nil {
			t.Error(err)
		}
	}()
	<-held
	return func() { close(leave); <-done }
}

func queued(t *testing.T, s *storage.Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); s.Waiting() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", s.Waiting(), n)
		}
	}
}

// A commit that fails keeps nothing of the batch, every waiter hears it, and the
// writer goes on.
func TestFailedGroupCommitIsToldToAll(t *testing.T) {
	s := storagetest.New(t, storage.SQLite)
	ctx := t.Context()
	release := hold(t, s)
	var wg sync.WaitGroup
	var told atomic.Int64
	const n = 20
	for i := range n {
		wg.Go(func() {
			err := s.Tx(ctx, func(ctx context.Context) error {
				if i == n/2 { // only COMMIT looks at this
					if err := s.Exec(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
						return err
					}
					return s.CreateStore(ctx, &idp.Store{MerchantID: "nobody"})
				}
				return s.Append(ctx, idp.Event{Name: "config.demo"})
			})
			if err != nil {
				told.Add(1)
			}
		})
	}
	queued(t, s, n)
	release()
	within(t, 10*time.Second, "batch", wg.Wait)
	if told.Load() != n {
		t.Errorf("%d of %d were told", told.Load(), n)
	}
	if events, err := s.Events(ctx, storage.EventFilter{}, 100); err != nil || len(events) != 0 {
		t.Errorf("%d events were kept, %v", len(events), err)
	}
	if err := s.Append(ctx, idp.Event{Name: "config.demo"}); err != nil {
		t.Errorf("after the failure: %v", err)
	}
}

// A panic between the transactions of a batch is told to all of it, and the callers
// behind it find a leader.
func TestPanicInGroupCommit(t *testing.T) {
	s := storagetest.New(t, storage.SQLite)
	ctx := t.Context()
	var panicked atomic.Bool
	if err := s.BeforeExec(func(sql string) {
		if strings.HasPrefix(sql, "SAVEPOINT") && panicked.CompareAndSwap(false, true) {
			panic("the driver is broken")
		}
	}); err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	var wg sync.WaitGroup
	var told atomic.Int64
	const n = storage.GroupMost + 6 // a batch, and some behind it
	for range n {
		wg.Go(func() {
			defer func() {
				if recover() != nil {
					t.Error("the panic reached a caller")
				}
			}()
			if err := s.Tx(ctx, func(ctx context.Context) error { return s.Append(ctx, idp.Event{Name: "config.demo"}) }); err != nil {
				told.Add(1)
			}
		})
	}
	queued(t, s, n)
	release()
	within(t, 10*time.Second, "batches", wg.Wait)
	if told.Load() != storage.GroupMost || !panicked.Load() {
		t.Errorf("%d of %d were told of a panic", told.Load(), storage.GroupMost)
	}
	if events, err := s.Events(ctx, storage.EventFilter{}, 100); err != nil || len(events) != n-storage.GroupMost {
		t.Errorf("%d events were kept, %v", len(events), err)
	}
}

// A caller who has left takes nothing of the others with him, and does nothing.
func TestCancelledCallerInBatch(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		gone, cancel := context.WithCancel(t.Context())
		defer cancel()
		release := func() {}
		if s.Dialect == storage.SQLite {
			release = hold(t, s)
		}
		var wg sync.WaitGroup
		const n = 9
		for i := range n {
			ctx := t.Context()
			if i%3 == 0 {
				ctx = gone
			}
			wg.Go(func() {
				err := s.Tx(ctx, func(ctx context.Context) error {
					if i%3 == 0 && s.Dialect == storage.Postgres {
						cancel() // in the middle
					}
					return s.Append(ctx, idp.Event{Name: "config.demo", Subject: fmt.Sprint(i % 3)})
				})
				if (err == nil) != (i%3 != 0) || i%3 == 0 && !errors.Is(err, context.Canceled) {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		if s.Dialect == storage.SQLite {
			queued(t, s, n)
			cancel()
		}
		release()
		within(t, 10*time.Second, "callers", wg.Wait)
		for i, want := range []int{0, 3, 3} {
			if events, err := s.Events(t.Context(), storage.EventFilter{Subject: fmt.Sprint(i)}, 100); err != nil || len(events) != want {
				t.Errorf("%d: %d events, want %d, %v", i, len(events), want, err)
			}
		}
	})
}

// Readers do not wait for a transaction that takes its time.
func TestReadersPassASlowTransaction(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		err := s.Tx(ctx, func(inside context.Context) error {
			if err := s.Append(inside, idp.Event{Name: "config.demo"}); err != nil {
				return err
			}
			within(t, 5*time.Second, "readers", func() {
				for range 50 {
					if events, err := s.Events(ctx, storage.EventFilter{}, 10); err != nil || len(events) != 0 {
						t.Errorf("%d events, %v", len(events), err)
					}
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A full disk refuses writes in words that mean "try again", keeps all that was
// acknowledged, still reads, and works again once there is room.
func TestFullDisk(t *testing.T) {
	s := storagetest.New(t, storage.SQLite)
	ctx := t.Context()
	var pages int
	if err := s.Scan(ctx, &pages, "PRAGMA page_count"); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if err := s.Exec(ctx, fmt.Sprint("PRAGMA max_page_count = ", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 8)
	var kept, refused atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 40 {
				err := s.Tx(ctx, func(ctx context.Context) error {
					return s.Append(ctx, idp.Event{Name: "config.demo", Data: map[string]any{"pad": strings.Repeat("x", 300)}})
				})
				switch {
				case err == nil:
					kept.Add(1)
				case storage.Unavailable(err):
					refused.Add(1)
				default:
					t.Errorf("not called unavailable: %v", err)
				}
			}
		})
	}
	within(t, 30*time.Second, "writers", wg.Wait)
	count := func() (n int64) {
		t.Helper()
		if err := s.Scan(ctx, &n, "SELECT count(*) FROM events"); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := count(); n != kept.Load() || n == 0 || refused.Load() == 0 {
		t.Errorf("%d rows, %d acknowledged, %d refused", n, kept.Load(), refused.Load())
	}
	limit(1 << 20)
	if err := s.Append(ctx, idp.Event{Name: "config.demo"}); err != nil || count() != kept.Load()+1 {
		t.Errorf("after there was room: %v", err)
	}
}

// A newer replica may bring the schema up to date while older ones run: what they ask
// either works or may be asked again.
func TestSchemaMovesUnderReaders(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		u := idp.User{Name: "a", Language: "en", Role: idp.RoleAuditor, Status: idp.UserActive}
		if err := s.CreateUser(ctx, &u); err != nil {
			t.Fatal(err)
		}
		read := func() error { _, err := s.User(ctx, u.ID); return err }
		write := func() error {
			return s.Tx(ctx, func(ctx context.Context) error {
				if _, err := s.User(ctx, u.ID); err != nil {
					return err
				}
				return s.SetMustChange(ctx, u.ID, true)
			})
		}
		for i := range 3 {
			for range 10 {
				if err := errors.Join(read(), write()); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Exec(ctx, fmt.Sprintf("ALTER TABLE users ADD COLUMN later%d text", i)); err != nil {
				t.Fatal(err)
			}
			if err := write(); err != nil {
				t.Errorf("a transaction: %v", err)
			}
			if err := s.Exec(ctx, fmt.Sprintf("ALTER TABLE users ADD COLUMN still_later%d text", i)); err != nil {
				t.Fatal(err)
			}
			if err := read(); err != nil && !storage.Unavailable(err) {
				t.Errorf("a read: %v", err)
			}
			if err := read(); err != nil {
				t.Errorf("the next read: %v", err)
			}
		}
	})
}
