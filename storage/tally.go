package storage

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm/logger"
)

// A Tally counts what the requests of a context cost the database. Its zero value
// is ready; [WithTally] hangs it on a context.
type Tally struct {
	Reads, Writes, Transactions atomic.Int64
}

type tallyKey struct{}

// WithTally returns a context whose statements and transactions are counted in t.
func WithTally(ctx context.Context, t *Tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, t)
}

// tally is where gorm tells every statement; it writes no log.
type tally struct{ logger.Interface }

func (t tally) LogMode(logger.LogLevel) logger.Interface { return t }

func (tally) Trace(ctx context.Context, _ time.Time, statement func() (sql string, rows int64), _ error) {
	count, ok := ctx.Value(tallyKey{}).(*Tally)
	if !ok {
		return
	}
	sql, _ := statement()
	switch verb, _, _ := strings.Cut(sql, " "); strings.ToUpper(verb) {
	case "INSERT", "UPDATE", "DELETE":
		count.Writes.Add(1)
	case "SELECT":
		count.Reads.Add(1)
	}
}

// begun counts a transaction that a caller has begun.
func begun(ctx context.Context) {
	if count, ok := ctx.Value(tallyKey{}).(*Tally); ok {
		count.Transactions.Add(1)
	}
}
