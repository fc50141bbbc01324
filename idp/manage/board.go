package manage

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"hufu/storage"
)

// boardDays is how many days the charts of the first page show.
const boardDays = 14

// How long numbers are given out again: many people look at one page, and none of them
// needs it by the second. Who holds which factor changes slowly and costs the most.
const (
	boardAge    = time.Minute
	adoptionAge = 10 * time.Minute
	// dayRest is how long after its end a day may still gain an event: a transaction
	// that began before midnight.
	dayRest = 10 * time.Minute
)

// Board is what the console's first page tells.
type Board struct {
	At       time.Time
	Now      storage.Standing
	Adoption storage.Adoption
	Days     []storage.Day      // the oldest first; the last one is today
	Adopted  []storage.Adoption // of the same days: people and who of them holds a second factor; zero where nobody counted
}

// board keeps what was counted.
type board struct {
	mu       sync.Mutex // held while counting: many who look at once cost one count
	last     Board
	zone     string
	adopted  time.Time
	finished map[int64]storage.Day // days that are over, by their start
}

// Board counts how things stand, at most once a minute, in days of the given zone.
func (m *Manager) Board(ctx context.Context, now time.Time, zone *time.Location) (Board, error) {
	b := &m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if age := now.Sub(b.last.At); age >= 0 && age < boardAge && b.zone == zone.String() {
		return b.last, nil
	}
	next := Board{At: now, Adoption: b.last.Adoption}
	var err error
	if next.Now, err = m.Store.Stand(ctx, now); err != nil {
		return Board{}, err
	}
	if age := now.Sub(b.adopted); age < 0 || age >= adoptionAge {
		if next.Adoption, err = m.Store.Adoption(ctx); err != nil {
			return Board{}, err
		}
		b.adopted = now
	}
	if next.Days, err = m.days(ctx, now, zone); err != nil {
		return Board{}, err
	}
	if next.Adopted, err = m.adopted(ctx, next); err != nil {
		return Board{}, err
	}
	b.last, b.zone = next, zone.String()
	return next, nil
}

// days counts each of the last days; those that are over only once.
func (m *Manager) days(ctx context.Context, now time.Time, zone *time.Location) ([]storage.Day, error) {
	kept := map[int64]storage.Day{}
	var list []storage.Day
	today := now.In(zone)
	for back := boardDays - 1; back >= 0; back-- {
		start := time.Date(today.Year(), today.Month(), today.Day()-back, 0, 0, 0, 0, zone)
		end := time.Date(today.Year(), today.Month(), today.Day()-back+1, 0, 0, 0, 0, zone)
		day, known := m.board.finished[start.Unix()]
		if !known {
			var err error
			if day, err = m.Store.CountDay(ctx, start, end); err != nil {
				return nil, err
			}
		}
		if now.Sub(end) > dayRest {
			kept[start.Unix()] = day
		}
		list = append(list, day)
	}
	m.board.finished = kept
	return list, nil
}

// What is kept of who holds which factor, so that the chart shows how it changes.
const (
	adoptionPeople = "adoption.people"
	adoptionSecond = "adoption.second"
)

// AdoptionPause is how often it is counted for that, by whichever replica comes first.
const AdoptionPause = 6 * time.Hour

// KeepAdoption counts who holds a second factor, unless somebody has lately.
func (m *Manager) KeepAdoption(ctx context.Context, now time.Time) error {
	lately, err := m.Store.Hours(ctx, adoptionPeople, now.Add(-AdoptionPause+time.Hour))
	if err != nil || len(lately) > 0 {
		return err
	}
	a, err := m.Store.Adoption(ctx)
	if err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.Store.SetHour(ctx, adoptionPeople, a.People, now); err != nil {
			return err
		}
		return m.Store.SetHour(ctx, adoptionSecond, a.Second, now)
	})
}

// adopted is how it stood at the end of each day: the last count of it, of today how it
// stands now.
func (m *Manager) adopted(ctx context.Context, b Board) ([]storage.Adoption, error) {
	list := make([]storage.Adoption, len(b.Days))
	people, err := m.Store.Hours(ctx, adoptionPeople, b.Days[0].Start)
	if err != nil {
		return nil, err
	}
	second, err := m.Store.Hours(ctx, adoptionSecond, b.Days[0].Start)
	if err != nil {
		return nil, err
	}
	for _, hour := range slices.Sorted(maps.Keys(people)) {
		at := time.Unix(hour*3600, 0)
		for i := len(b.Days) - 1; i >= 0; i-- {
			if !at.Before(b.Days[i].Start) {
				list[i] = storage.Adoption{People: people[hour], Second: second[hour]}
				break
			}
		}
	}
	list[len(list)-1] = b.Adoption
	return list, nil
}
