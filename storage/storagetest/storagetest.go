// Package storagetest gives any test a migrated store of its own, on SQLite and on
// PostgreSQL. PostgreSQL is the server that the variable HUFU_TEST_POSTGRES names
// (`make test` starts one); without it tests that need it fail, they never skip.
package storagetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
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
	if d == storage.Postgres {
		return Open(t, DSN(t, d), Ring())
	}
	schema, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	return Open(t, schema.DSN(t), Ring())
}

// empty is a migrated SQLite file with nothing in it: with the race detector to copy it is
// ten times quicker than to make it.
var empty = sync.OnceValues(func() (*Template, error) {
	return NewTemplate(storage.SQLite, func(dsn string) error {
		s, err := storage.Open(context.Background(), dsn, Ring(), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return errors.Join(s.Migrate(context.Background()), s.Close())
	})
})

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
	return postgresDatabase(t, "")
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

// A Template is a database that tests begin in copies of: what takes long to make is
// made once a process. Nobody may have it open while it is copied.
type Template struct {
	dialect storage.Dialect
	name    string // PostgreSQL: of the database
	file    []byte // SQLite: the whole
}

// NewTemplate keeps what fill leaves, closed, in an empty database.
func NewTemplate(d storage.Dialect, fill func(dsn string) error) (*Template, error) {
	t := &Template{dialect: d}
	if d == storage.SQLite {
		dir, err := os.MkdirTemp("", "hufu-template-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "hufu.db")
		if err := fill("sqlite:" + path); err != nil {
			return nil, err
		}
		t.file, err = os.ReadFile(path)
		return t, err
	}
	var err error
	if t.name, err = createDatabase(""); err != nil {
		return nil, err
	}
	if err := fill(addressOf(t.name)); err != nil {
		return nil, errors.Join(err, t.Drop())
	}
	return t, nil
}

// DSN returns the address of a fresh copy.
func (m *Template) DSN(t testing.TB) string {
	t.Helper()
	if m.dialect == storage.Postgres {
		return postgresDatabase(t, m.name)
	}
	path := filepath.Join(t.TempDir(), "hufu.db")
	if err := os.WriteFile(path, m.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// Drop removes the template; its copies stay.
func (m *Template) Drop() error {
	if m.dialect == storage.SQLite {
		return nil
	}
	return dropDatabase(m.name)
}

// postgresDatabase is a fresh database that lives as long as the test: a copy of another,
// or with "" an empty one.
func postgresDatabase(t testing.TB, template string) string {
	t.Helper()
	name, err := createDatabase(template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dropDatabase(name); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return addressOf(name)
}

func createDatabase(template string) (name string, err error) {
	server := os.Getenv("HUFU_TEST_POSTGRES")
	if u, err := url.Parse(server); err != nil || u.Host == "" {
		return "", errors.New("HUFU_TEST_POSTGRES is no postgres:// URL with a host: run `make test`, or set it to that of a PostgreSQL superuser on a server for tests")
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	name = "hufu_test_" + hex.EncodeToString(b[:])
	return name, administer("CREATE DATABASE " + name + " TEMPLATE " + cmp.Or(template, "template1"))
}

func dropDatabase(name string) error {
	return administer("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
}

// administer has the server do something that is in no database.
func administer(statement string) error {
	admin, err := sql.Open("pgx", os.Getenv("HUFU_TEST_POSTGRES"))
	if err != nil {
		return err
	}
	_, err = admin.Exec(statement)
	return errors.Join(err, admin.Close())
}

// addressOf is the address of a database on the server for tests.
func addressOf(name string) string {
	u, err := url.Parse(os.Getenv("HUFU_TEST_POSTGRES"))
	if err != nil {
		panic(err) // there would be no such database
	}
	u.Path = "/" + name
	return strings.Replace(u.String(), "postgresql://", "postgres://", 1)
}
