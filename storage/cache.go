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
	mu      sync.Mutex
	value   T
	version int64
	checked time.Time
}

// get returns the value, loading it anew when its version moved.
func (c *cache[T]) get(ctx context.Context, s *Store, name string, load func(db *gorm.DB) (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.version != 0 && now.Sub(c.checked) < cacheAge && now.Sub(c.checked) >= 0 {
		return c.value, nil
	}
	// Never inside a transaction of the caller's: what it has not committed must
	// not be shared, and on SQLite readers are apart from the writer anyway.
	db := s.read.WithContext(ctx)
	if s.Dialect == Postgres {
		db = s.db(ctx) // a second connection inside a transaction can starve the pool
	}
	var version int64
	if err := db.Raw("SELECT value FROM versions WHERE name = ?", name).Scan(&version).Error; err != nil {
		var zero T
		return zero, err
	}
	if version != c.version {
		value, err := load(db)
		if err != nil {
			var zero T
			return zero, err
		}
		c.value, c.version = value, version
	}
	c.checked = now
	return c.value, nil
}

// drop makes the next get look at the version.
func (c *cache[T]) drop() {
	c.mu.Lock()
	c.checked = time.Time{}
	c.mu.Unlock()
}

// moved tells every replica that a cached thing changed, in the transaction that
// changes it.
func (s *Store) moved(ctx context.Context, name string) error {
	return s.exec(ctx, "UPDATE versions SET value = value + 1 WHERE name = ?", name)
}
