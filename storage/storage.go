package storage

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	modernc "modernc.org/sqlite"

	"hufu/idp"
	"hufu/idp/seal"
)

//go:embed migrations
var migrations embed.FS

// Dialect names a database engine.
type Dialect string

const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Store is the database. Its methods take their transaction from the context.
type Store struct {
	Dialect Dialect

	ring   *seal.Ring
	log    *slog.Logger
	read   *gorm.DB // SQLite: read-only connections; PostgreSQL: the pool
	write  *gorm.DB // SQLite: the one writer
	group  *group   // SQLite only
	closes []*sql.DB

	clients cache[map[string]idp.Client]
	keys    cache[[]SigningKey]
}

// ParseDSN tells the dialect of a DSN: "sqlite:PATH" or "postgres://…".
func ParseDSN(dsn string) (Dialect, error) {
	switch {
	case strings.HasPrefix(dsn, "sqlite:") && len(dsn) > len("sqlite:"):
		return SQLite, nil
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		if _, err := pgx.ParseConfig(dsn); err != nil {
			return "", errors.New("not a PostgreSQL URL that pgx can read") // its error would show the password
		}
		return Postgres, nil
	}
	return "", errors.New(`expected "sqlite:PATH" or "postgres://…"`)
}

// Open connects and checks that the database answers. It creates the folder of a
// SQLite file. The schema is the caller's to bring up ([Store.Migrate]).
func Open(ctx context.Context, dsn string, ring *seal.Ring, log *slog.Logger) (*Store, error) {
	dialect, err := ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	s := &Store{Dialect: dialect, ring: ring, log: log}
	if dialect == SQLite {
		err = s.openSQLite(strings.TrimPrefix(dsn, "sqlite:"))
	} else {
		err = s.openPostgres(dsn)
	}
	if err == nil {
		err = s.firstPing(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	return s, nil
}

// firstPing waits a moment for another process that is making the same SQLite file:
// the switch to its journal does not wait by itself.
func (s *Store) firstPing(ctx context.Context) (err error) {
	for range 20 {
		if err = s.Ping(ctx); err == nil || s.Dialect != SQLite || ctx.Err() != nil || !Unavailable(err) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// gormConfig leaves statements to the drivers: gorm's own cache of prepared ones
// waits for a connection under a lock that transactions need too, and with many
// workers both wait for ever.
func gormConfig() *gorm.Config {
	return &gorm.Config{SkipDefaultTransaction: true, TranslateError: true, Logger: tally{logger.Discard},
		NowFunc: func() time.Time { return time.Now().UTC() }}
}

func (s *Store) openSQLite(path string) error {
	if dir := filepath.Dir(path); dir != "." {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	// SQLite would make the file readable by others; its helper files take after it.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	// FULL: a rotated token must not come back after a power loss.
	pragmas := "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_txlock=immediate"
	address := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + pragmas
	if s.write, err = s.dialSQLite(address, 1); err != nil {
		return err
	}
	s.group = newGroup(s.write)
	s.read, err = s.dialSQLite(address+"&_pragma=query_only(1)", 8)
	return err
}

func (s *Store) dialSQLite(dsn string, most int) (*gorm.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	s.closes = append(s.closes, db)
	return gorm.Open(sqliteDialector{&sqlite.Dialector{DriverName: "sqlite", Conn: db}}, gormConfig())
}

// sqliteDialector translates modernc's errors, which gorm's own dialect does not
// know.
type sqliteDialector struct{ *sqlite.Dialector }

func (d sqliteDialector) Translate(err error) error {
	if e, ok := errors.AsType[*modernc.Error](err); ok {
		switch e.Code() {
		case 1555, 2067: // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
			return gorm.ErrDuplicatedKey
		case 787: // SQLITE_CONSTRAINT_FOREIGNKEY
			return gorm.ErrForeignKeyViolated
		}
	}
	return err
}

func (s *Store) openPostgres(dsn string) error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return errors.New("not a PostgreSQL URL that pgx can read")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	// Several hosts: only the one that takes writes will do. A server that becomes a
	// standby restarts, which ends the connections to it.
	if len(cfg.Fallbacks) > 0 && cfg.ValidateConnect == nil {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(24)
	db.SetMaxIdleConns(24)
	db.SetConnMaxLifetime(5 * time.Minute)
	s.closes = append(s.closes, db)
	s.read, err = gorm.Open(postgres.New(postgres.Config{Conn: db}), gormConfig())
	s.write = s.read
	return err
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.read.WithContext(ctx).Raw("SELECT 1").Scan(&one).Error
}

// Copy writes a copy of a SQLite database, as it is at one moment, into a new file while
// others read and write on. PostgreSQL has tools of its own for it.
func (s *Store) Copy(ctx context.Context, path string) error {
	if s.Dialect != SQLite {
		return errors.New("database: PostgreSQL is copied by pg_dump")
	}
	// SQLite would make the copy readable by others; it takes an empty file.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	// A connection of the readers', so that the one writer goes on; they are read-only.
	return s.read.WithContext(ctx).Connection(func(db *gorm.DB) error {
		if err := db.Exec("PRAGMA query_only(0)").Error; err != nil {
			return err
		}
		err := db.Exec("VACUUM INTO ?", path).Error
		return errors.Join(err, db.WithContext(context.WithoutCancel(ctx)).Exec("PRAGMA query_only(1)").Error)
	})
}

// Close lets go of all connections.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.closes {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// Migrate brings the schema up to date, forward only. Replicas that start at the
// same time wait for one another.
func (s *Store) Migrate(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migrations/"+string(s.Dialect))
	if err != nil {
		return err
	}
	var opts []goose.ProviderOption
	dialect := goose.DialectSQLite3
	if s.Dialect == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // every second, five minutes
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	db, err := s.write.DB()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, sub, append(opts, goose.WithSlog(slog.New(slog.DiscardHandler)))...)
	if err != nil {
		return err
	}
	if s.Dialect == SQLite {
		err = s.migrateSQLite(ctx, p)
	} else {
		_, err = p.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return s.checkRing(ctx)
}

// migrateSQLite tries again while another process holds the file: SQLite has no
// session lock, but each migration is one immediate transaction, so the loser of
// a race finds the version already there.
func (s *Store) migrateSQLite(ctx context.Context, p *goose.Provider) error {
	var err error
	for range 20 {
		if _, err = p.Up(ctx); err == nil {
			return nil
		}
		if pending, perr := p.HasPending(ctx); perr == nil && !pending {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

// Ready says whether the schema is there and the database takes transactions: on
// SQLite it asks the one writer, so a writer that hangs is not ready.
func (s *Store) Ready(ctx context.Context) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		var n int64
		if err := s.db(ctx).Raw("SELECT count(*) FROM versions").Scan(&n).Error; err != nil {
			return err
		}
		if n == 0 {
			return errors.New("schema is empty: run hufu migrate")
		}
		return nil
	})
}

const ringText = "hufu key ring"

// checkRing holds the key against the one that this database was sealed with.
func (s *Store) checkRing(ctx context.Context) error {
	place := seal.Place{Table: "ring_check", Column: "sealed", Row: "1"}
	return s.Tx(ctx, func(ctx context.Context) error {
		var row struct{ Sealed []byte }
		if err := s.db(ctx).Raw("SELECT sealed FROM ring_check WHERE id = 1").Scan(&row).Error; err != nil {
			return err
		}
		if row.Sealed != nil {
			if text, err := s.ring.Open(place, row.Sealed); err != nil || string(text) != ringText {
				return errors.New("key: this key does not open the database; use the key file that the database was made with")
			}
			return nil
		}
		sealed, err := s.ring.Seal(place, []byte(ringText))
		if err != nil {
			return err
		}
		return s.exec(ctx, "INSERT INTO ring_check (id, sealed) VALUES (1, ?) ON CONFLICT DO NOTHING", sealed)
	})
}
