package storage_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"hufu/idp"
	"hufu/idp/seal"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// An old database is one at a version of the schema that is not the newest, as a
// server of that time left it.
type old struct {
	*testing.T
	db *sql.DB
}

func oldDatabase(t *testing.T, d storage.Dialect, dsn string, version int64) old {
	t.Helper()
	driver, address, dialect := "pgx", dsn, goose.DialectPostgres
	if d == storage.SQLite {
		driver, address, dialect = "sqlite", strings.TrimPrefix(dsn, "sqlite:"), goose.DialectSQLite3
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(dialect, db, os.DirFS("migrations/"+string(d)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return old{t, db}
}

// row inserts a row: the names of its columns, and what is in them.
func (o old) row(table, columns string, values ...any) {
	o.Helper()
	marks := make([]string, len(values))
	for i := range marks {
		marks[i] = fmt.Sprint("$", i+1)
	}
	if _, err := o.db.Exec("INSERT INTO "+table+" ("+columns+") VALUES ("+strings.Join(marks, ", ")+")", values...); err != nil {
		o.Fatal(table, err)
	}
}

func (o old) seal(table, column, row, text string) []byte {
	o.Helper()
	sealed, err := storagetest.Ring().Seal(seal.Place{Table: table, Column: column, Row: row}, []byte(text))
	if err != nil {
		o.Fatal(err)
	}
	return sealed
}

// What the first version of the schema left is read and used by the newest.
func TestMigratesFromTheFirstVersion(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn := storagetest.DSN(t, d)
			at := time.Date(2025, 3, 4, 5, 6, 7, 8000, time.UTC)
			o := oldDatabase(t, d, dsn, 1)
			o.firstVersion(at)
			if err := o.db.Close(); err != nil {
				t.Fatal(err)
			}
			s := storagetest.Open(t, dsn, storagetest.Ring())
			c := &conformity{T: t, s: s, now: at, covered: map[string]bool{}}
			c.movedUser()
			c.movedCredentials()
			c.movedBrowser()
			c.movedMessage()
			c.did(s.Migrate(t.Context())) // a second time
			c.movedCredentials()
		})
	}
}

func (o old) firstVersion(at time.Time) {
	us := at.UnixMicro()
	o.row("users", "id, name, language, role, merchant_id, store_id, status, frozen, locked, must_change, created_at, grace_from",
		"u1", o.seal("users", "name", "u1", "林薇"), "zh-CN", "auditor", nil, nil, "active", false, "", false, us, us)
	o.row("identifiers", "id, user_id, kind, lookup, value, former, verified_at, last_proven_at, created_at",
		"i1", "u1", "phone", storagetest.Ring().MAC("identifiers.phone", []byte("+8613800000001")), o.seal("identifiers", "value", "i1", "+8613800000001"), false, us, us, us)
	for i, method := range []string{"password", "totp"} {
		id := fmt.Sprint("c", i)
		o.row("credentials", "id, user_id, method, label, data, counter, failures, closed, pending, version, created_at, last_used_at",
			id, "u1", method, "", o.seal("credentials", "data", id, "secret"), 7*i, 2, i == 1, false, 3, us+int64(i), us+9)
	}
	o.row("browsers", "id, user_id, label, generation, moved_at, created_at, last_used_at, revoked", "b1", "u1", "Chrome", 4, us, us, us, false)
	o.row("messages", "id, user_id, channel, address, template, language, body, created_at, sent_at",
		idp.NewTimeID(at), "u1", "sms", []byte("-"), "code", "zh-CN", []byte("-"), us, 0)
	id := idp.NewTimeID(at.Add(time.Second))
	o.row("messages", "id, user_id, channel, address, template, language, body, created_at, sent_at",
		id, "u1", "sms", o.seal("messages", "address", id, "+8613800000001"), "frozen", "zh-CN", o.seal("messages", "body", id, `{"Subject":"s","Text":"text","HTML":""}`), us, 0)
}

func (c *conformity) movedUser() {
	ctx := c.Context()
	u, err := c.s.UserByIdentifier(ctx, idp.IdentifierPhone, "+8613800000001")
	c.did(err)
	c.is(u.ID == "u1" && u.Name == "林薇" && !u.Frozen && u.FrozenAt.IsZero(), "user", u)
	names, err := c.s.Identifiers(ctx, "u1")
	c.did(err)
	c.is(len(names) == 1 && names[0].RemovedAt.IsZero() && names[0].Channel(), "identifiers", names)
	h, err := c.s.Handle(ctx, "u1")
	c.did(err)
	c.is(len(h) == 64, "handle", h)
}

func (c *conformity) movedCredentials() {
	list, err := c.s.Credentials(c.Context(), "u1")
	c.did(err)
	c.is(len(list) == 2, "credentials", list)
	for i, cr := range list {
		created := c.now.Add(time.Duration(i) * time.Microsecond)
		c.is(cr.CreatedAt.Equal(created) && cr.ChangedAt.Equal(created) && cr.Blocked == "" && string(cr.Data) == "secret" && cr.Version == 3 && cr.Counter == int64(7*i) && cr.Failures == 2 &&
			cr.Closed == (i == 1), "credential", cr)
	}
	var named int
	c.did(c.s.Scan(c.Context(), &named, "SELECT count(*) FROM credentials WHERE lookup IS NOT NULL"))
	c.is(named == 0, "an old credential is found by a name", named)
}

func (c *conformity) movedBrowser() {
	b, err := c.s.Browser(c.Context(), "b1")
	c.did(err)
	c.is(b.Generation == 4 && b.TrustedUntil.IsZero() && !b.Trusted(c.now) && b.Network == "", "browser", b)
}

func (c *conformity) movedMessage() {
	ctx := c.Context()
	due, dead, err := c.s.CountMessages(ctx)
	c.did(err)
	c.is(due == 2 && dead == 0, "messages", due, dead)
	list, err := c.s.ClaimMessages(ctx, idp.ChannelSMS, 5, time.Minute, c.now)
	c.did(err)
	for _, m := range list {
		if m.Template == "frozen" {
			c.is(m.To == "+8613800000001" && m.Body == "text" && m.Params == nil && m.Attempts == 1 && m.Trouble == "" && m.Receipt == "" && m.DeadAt.IsZero() && m.SentAt.IsZero(), "message", m)
		} else {
			c.is(m.To == "", "a message that cannot be opened", m)
		}
	}
	c.is(len(list) == 2, "claimed", list)
}
