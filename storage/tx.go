package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"hufu/idp"
)

type txKey struct{}

// db returns the transaction of the context, or the reading side.
func (s *Store) db(ctx context.Context) *gorm.DB {
	if tx, ok := ctx.Value(txKey{}).(*gorm.DB); ok {
		return tx.WithContext(ctx)
	}
	return s.read.WithContext(ctx)
}

// InTx says whether the context carries a transaction.
func InTx(ctx context.Context) bool { return ctx.Value(txKey{}) != nil }

// Tx runs fn in one transaction, carried by the context; a nested call joins it.
// An error rolls back. fn may run again after a serialization failure, so it
// touches nothing but the database. It must use the context it is given: a second
// connection inside a transaction can starve the pool.
func (s *Store) Tx(ctx context.Context, fn func(ctx context.Context) error) error {
	if InTx(ctx) {
		return fn(ctx)
	}
	begun(ctx)
	if s.group != nil {
		return s.group.do(ctx, fn)
	}
	for try := 0; ; try++ {
		err := s.write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			return fn(context.WithValue(ctx, txKey{}, tx))
		})
		if try < 5 && (serialization(err) || replan(err)) {
			continue
		}
		return err
	}
}

func serialization(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// replan: a newer replica changed the schema under a statement that a connection had
// prepared. The connection has forgotten it by now.
func replan(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "0A000"
}

// errUndo takes a savepoint back without being an error of the caller's.
var errUndo = errors.New("storage: savepoint undone")

// Undo, returned from the function given to [Store.Try], takes its changes back
// and lets the transaction go on.
func Undo() error { return errUndo }

// Try runs fn in a savepoint of the running transaction. Any error takes fn's
// changes back; [Undo] is not passed on.
func (s *Store) Try(ctx context.Context, fn func(ctx context.Context) error) error {
	if !InTx(ctx) {
		return errors.New("storage: Try outside a transaction")
	}
	err := s.db(ctx).Transaction(func(tx *gorm.DB) error {
		return fn(context.WithValue(ctx, txKey{}, tx))
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// exec runs a statement; outside a transaction it takes one of its own.
func (s *Store) exec(ctx context.Context, sql string, args ...any) error {
	_, err := s.affected(ctx, sql, args...)
	return err
}

// affected runs a statement and says how many rows it changed.
func (s *Store) affected(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		res := s.db(ctx).Exec(sql, args...)
		n = res.RowsAffected
		return res.Error
	})
	return n, err
}

// group commits waiting transactions of SQLite's one writer together: each runs in
// a savepoint of its own, so one that fails takes nothing of the others with it,
// and all are told only after the one commit that keeps them.
type group struct {
	db    *gorm.DB
	mu    sync.Mutex
	queue []*job
	busy  bool
}

type job struct {
	ctx  context.Context
	fn   func(ctx context.Context) error
	err  error
	lead chan struct{} // closed to make this job's caller the next leader
	done chan struct{}
}

const groupMost = 64

func newGroup(db *gorm.DB) *group { return &group{db: db} }

// do queues fn. The first caller leads: it commits a batch, then hands over to
// the oldest caller that still waits.
func (g *group) do(ctx context.Context, fn func(ctx context.Context) error) error {
	j := &job{ctx: ctx, fn: fn, lead: make(chan struct{}), done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, j)
	if g.busy {
		g.mu.Unlock()
		select {
		case <-j.done:
			return j.err
		case <-j.lead:
		}
		g.mu.Lock()
	}
	g.busy = true
	n := min(len(g.queue), groupMost)
	batch := g.queue[:n:n]
	g.queue = g.queue[n:]
	g.mu.Unlock()

	g.commit(batch)
	g.handOver(batch)
	return j.err
}

// handOver tells a batch that it is done, and the oldest caller that waits to lead.
func (g *group) handOver(batch []*job) {
	g.mu.Lock()
	if len(g.queue) > 0 {
		close(g.queue[0].lead)
	} else {
		g.busy = false
	}
	g.mu.Unlock()
	for _, b := range batch {
		close(b.done)
	}
}

// longest bounds one transaction, whoever waits for it.
const longest = 20 * time.Second

// commit runs a batch in one transaction. The context of a single caller must not
// end the others' transaction, so it is not the transaction's context.
func (g *group) commit(batch []*job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), longest)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // of the driver: a job's own is caught in run
			for _, j := range batch {
				j.err = fmt.Errorf("panic in a commit: %v", p)
			}
		}
	}()
	err := g.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for i, j := range batch {
			if len(batch) == 1 {
				j.err = j.run(tx)
				return j.err // no savepoint for one
			}
			name := fmt.Sprintf("j%d", i)
			if err := tx.Exec("SAVEPOINT " + name).Error; err != nil {
				return err
			}
			if j.err = j.run(tx); j.err != nil {
				if err := tx.Exec("ROLLBACK TO " + name).Error; err != nil {
					return errors.Join(j.err, err) // a full disk has ended the whole transaction
				}
			}
			if err := tx.Exec("RELEASE " + name).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	for _, j := range batch {
		if j.err == nil {
			j.err = err // nothing of the batch was kept
		}
	}
}

func (j *job) run(tx *gorm.DB) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v", p)
		}
	}()
	if err := j.ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), longest)
	defer cancel()
	return j.fn(context.WithValue(ctx, txKey{}, tx))
}

// holding locks the rows of a SELECT where the engine has several writers. Rows that
// refer to them may go on being inserted: FOR UPDATE would wait for those, and they
// for what is ended under it.
func (s *Store) holding() string {
	if s.Dialect == Postgres {
		return " FOR NO KEY UPDATE"
	}
	return ""
}

// micros and fromMicros are the stored form of times: 0 is "never".
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// notFound turns gorm's word for no row into the vocabulary's.
func notFound(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return &idp.Error{Kind: idp.NotFound, Msg: "error.notfound", Err: err}
	}
	return err
}

// taken turns a duplicate key into a conflict on a form's field.
func taken(err error, field, msg string) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return &idp.Error{Kind: idp.Conflict, Field: field, Msg: msg, Err: err}
	}
	return err
}
