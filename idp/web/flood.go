package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Flood bounds what one network may ask of this process in a minute, whoever asks.
// It protects the machine, not the accounts: those are counted in the database.
type Flood struct {
	PerMinute int

	mu    sync.Mutex
	rows  map[string]*floodRow
	swept time.Time
}

// floodMost bounds how many networks are remembered at once.
const floodMost = 1 << 17

type floodRow struct {
	limiter *rate.Limiter
	seen    time.Time
}

// Allow takes one request of a network; when refused it says until when.
func (f *Flood) Allow(key string) (until time.Time, ok bool) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep(now)
	if len(f.rows) > floodMost { // a flood of addresses: all begin again rather than fill the memory
		clear(f.rows)
	}
	row := f.rows[key]
	if row == nil {
		row = &floodRow{limiter: rate.NewLimiter(rate.Limit(float64(f.PerMinute)/60), f.PerMinute)}
		f.rows[key] = row
	}
	row.seen = now
	if row.limiter.AllowN(now, 1) {
		return time.Time{}, true
	}
	return now.Add(time.Duration(float64(time.Second) / float64(row.limiter.Limit()))), false
}

// sweep forgets networks that were not seen for two minutes: they are full again.
func (f *Flood) sweep(now time.Time) {
	if f.rows == nil {
		f.rows = map[string]*floodRow{}
	}
	if now.Sub(f.swept) < time.Minute {
		return
	}
	f.swept = now
	for k, r := range f.rows {
		if now.Sub(r.seen) > 2*time.Minute {
			delete(f.rows, k)
		}
	}
}
