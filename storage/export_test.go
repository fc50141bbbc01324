package storage

import (
	"context"

	"gorm.io/gorm"
)

// GroupMost is how many transactions SQLite's writer commits together.
const GroupMost = groupMost

// Exec runs a statement where writes go: in the transaction of the context.
func (s *Store) Exec(ctx context.Context, sql string, args ...any) error {
	return s.exec(ctx, sql, args...)
}

// Scan reads what a query returns into dest.
func (s *Store) Scan(ctx context.Context, dest any, sql string, args ...any) error {
	return s.db(ctx).Raw(sql, args...).Scan(dest).Error
}

// Waiting is how many transactions wait for SQLite's one writer.
func (s *Store) Waiting() int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return len(s.group.queue)
}

// BeforeExec runs fn before every statement that SQLite's writer executes.
func (s *Store) BeforeExec(fn func(sql string)) error {
	return s.group.db.Callback().Raw().Before("gorm:raw").Register("test:before", func(db *gorm.DB) { fn(db.Statement.SQL.String()) })
}
