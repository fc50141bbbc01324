package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Unavailable says whether an error means that the database cannot be reached, or
// takes no writes, now: the request is refused and may be tried again.
func Unavailable(err error) bool {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || pgconn.SafeToRetry(err) { // the latter: nothing was sent, such as on a connection that is closed
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system
			return true
		}
		return e.Code == "25006" || replan(err) // read-only: a standby since
	}
	text := err.Error()
	for _, part := range []string{"database is locked", "disk I/O error", "database or disk is full", "unable to open database", "attempt to write a readonly", "sql: database is closed"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// Malformed says whether PostgreSQL refused text that is no UTF-8 or holds a zero
// byte. Nothing here makes such text: it came with the request.
func Malformed(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "22021"
}
