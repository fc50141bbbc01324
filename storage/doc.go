// Package storage keeps everything that outlives a request, in SQLite or
// PostgreSQL, chosen by one DSN. It serves no route and calls nothing above it.
//
// Invariants: every change goes through [Store.Tx]; anything counted or used up
// is one conditional statement whose row count is looked at; personal data,
// secrets and messages are sealed and bound to table, column and row; secrets
// that are only compared are stored as hashes. Times are UTC microseconds, 0 for
// "never".
package storage
