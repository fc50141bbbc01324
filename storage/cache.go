package storage

import (
	"context"
	"sync"
	"time"

	"gorm.io/gorm"
)

// cacheAge is how long a cached value is used before its version is looked at
// again: a change made by another replica bites within it.
const cacheAge = time.Second

// cache holds one value in memory until the row of its name in the versions table
// moves. What it gives out is shared: nobody changes it.
type cache[T any] struct {
	mu      sync.Mutex // never held while the database is asked: who holds a connection would wait for who waits for one
	value   T
	version int64
	checked time.Time
	drops   int64 // counts drop, so that a look from before it does not pass for one after
}

// get returns the value, loading it anew when its version moved.
func (c *cache[T]) get(ctx context.Context, s *Store, name string, load func(db *gorm.DB) (T, error)) (T, error) {
	now := time.Now()
	c.mu.Lock()
	value, version, drops := c.value, c.version, c.drops
	fresh := version != 0 && now.Sub(c.checked) < cacheAge && now.Sub(c.checked) >= 0
	c.mu.Unlock()
	if fresh {
		return value, nil
	}
	// Not inside a transaction of the caller's: on SQLite readers are apart from the
	// writer. PostgreSQL would take a second connection, which can starve the pool.
	db := s.read.WithContext(ctx)
	if s.Dialect == Postgres {
		db = s.db(ctx)
	}
	var found int64
	if err := db.Raw("SELECT value FROM versions WHERE name = ?", name).Scan(&found).Error; err != nil {
		return value, err
	}
	if found != version {
		var err error
		if value, err = load(db); err != nil {
			return value, err
		}
		if s.Dialect == Postgres && InTx(ctx) {
			return value, nil // perhaps the caller's own change, not committed yet: not to be shared
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found >= c.version {
		c.value, c.version = value, found
		if c.drops == drops {
			c.checked = now
		}
	}
	return value, nil
}

// drop makes the next get look at the version.
func (c *cache[T]) drop() {
	c.mu.Lock()
	c.checked = time.Time{}
	c.drops++
	c.mu.Unlock()
}

// moved tells every replica that a cached thing changed, in the transaction that
// changes it.
func (s *Store) moved(ctx context.Context, name string) error {
	return s.exec(ctx, "UPDATE versions SET value = value + 1 WHERE name = ?", name)
}
