// Package storagetest gives any test a migrated store of its own, on SQLite and on
// PostgreSQL. PostgreSQL is the server that the variable HUFU_TEST_POSTGRES names
// (`make test` starts one); without it tests that need it fail, they never skip.
package storagetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that makes the databases

	"hufu/idp/seal"
	"hufu/storage"
)

// Each runs a test on a fresh store of each engine, in parallel.
func Each(t *testing.T, fn func(t *testing.T, s *storage.Store)) {
	t.Helper()
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			fn(t, New(t, d))
		})
	}
}

// New returns a fresh migrated store, closed and removed when the test ends.
func New(t testing.TB, d storage.Dialect) *storage.Store {
	t.Helper()
	return Open(t, DSN(t, d), Ring())
}

// Open opens and migrates the store of a DSN from [DSN], as a restarted or second
// server would.
func Open(t testing.TB, dsn string, ring *seal.Ring) *storage.Store {
	t.Helper()
	ctx := context.Background()
	s, err := storage.Open(ctx, dsn, ring, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// DSN returns the address of a fresh empty database.
func DSN(t testing.TB, d storage.Dialect) string {
	t.Helper()
	if d == storage.SQLite {
		return "sqlite:" + filepath.Join(t.TempDir(), "hufu.db")
	}
	return postgresDatabase(t)
}

// Ring returns the key ring that all tests of a process share.
var Ring = sync.OnceValue(func() *seal.Ring {
	_, r := newRing()
	return r
})

// KeyFile returns the content of a fresh key file and its ring.
func KeyFile(t testing.TB) ([]byte, *seal.Ring) {
	t.Helper()
	return newRing()
}

func newRing() ([]byte, *seal.Ring) {
	file, err := seal.Generate()
	if err != nil {
		panic(err)
	}
	r, err := seal.Parse(file)
	if err != nil {
		panic(err)
	}
	return file, r
}

func postgresDatabase(t testing.TB) string {
	t.Helper()
	server := os.Getenv("HUFU_TEST_POSTGRES")
	if server == "" {
		t.Fatal("HUFU_TEST_POSTGRES is not set: run `make test`, or set it to the URL of a PostgreSQL superuser on a server for tests")
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	name := "hufu_test_" + hex.EncodeToString(b[:])
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	t.Cleanup(func() {
		defer admin.Close()
		if _, err := admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		t.Fatal("HUFU_TEST_POSTGRES must be a postgres:// URL with a host")
	}
	u.Path = "/" + name
	return strings.Replace(u.String(), "postgresql://", "postgres://", 1)
}
