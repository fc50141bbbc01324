package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"hufu/idp/manage"
	"hufu/idp/policy"
)

// keeper keeps the policy that is asked up to date with the one in the database: it looks
// at most once in a while, when somebody asks anything, so that what one replica activates
// holds on every other within that time, and what was due comes into force: policies, the
// hand-overs of shops, and the end of people's last days.
type keeper struct {
	*Server
	manage *manage.Manager

	mu      sync.Mutex
	checked time.Time
	beaten  time.Time
	moved   int64
	told    string // what was last logged of an edition that does not come into force
}

const policyAge = time.Second

// found stores the shipped policy where there is none yet, activates what was due while
// nobody ran, and takes up what is in force.
func (k *keeper) found(ctx context.Context) error {
	if err := k.Store.FoundEdition(ctx, policy.Default().Document.Format(), time.Now()); err != nil {
		return err
	}
	return k.look(ctx, time.Now())
}

func (k *keeper) look(ctx context.Context, now time.Time) error {
	if err := errors.Join(k.manage.HandoversDue(ctx, now), k.manage.LeaversDue(ctx, now), k.manage.CasesOverdue(ctx, now)); err != nil {
		k.log.Warn("a hand-over, a last day or an overdue case is not taken note of", "error", err)
	}
	err := k.manage.ActivateDue(ctx, now)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell(err)
	moved, err := k.manage.Enforce(ctx, k.moved)
	k.moved = moved
	return err
}

// tell logs why what is due does not come into force: once, not each second until somebody
// does something about it.
func (k *keeper) tell(err error) {
	var why string
	if err != nil {
		why = err.Error()
	}
	if why != "" && why != k.told {
		k.log.Warn("policy is not activated", "error", err)
	}
	k.told = why
}

// fresh looks before a request, in nobody's transaction. What cannot be read leaves the
// policy as it was.
func (k *keeper) fresh(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now := time.Now(); k.due(now) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			if err := k.look(ctx, now); err != nil {
				k.log.Warn("policy is not taken up", "error", err)
			}
			if err := k.live(ctx, now); err != nil {
				k.log.Warn("heartbeat failed", "error", err)
			}
			cancel()
		}
		next.ServeHTTP(w, r)
	})
}

// live says now and again that this replica lives.
func (k *keeper) live(ctx context.Context, now time.Time) error {
	k.mu.Lock()
	fresh := now.Sub(k.beaten) < beatPause
	if !fresh {
		k.beaten = now
	}
	k.mu.Unlock()
	if fresh {
		return nil
	}
	return k.beat(ctx)
}

// due says whether it is time to look, to one request alone.
func (k *keeper) due(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if since := now.Sub(k.checked); since >= 0 && since < policyAge {
		return false
	}
	k.checked = now
	return true
}

// simulate works on runs as they are asked for; now and again it takes up one whose worker
// died.
func (k *keeper) simulate(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		for {
			worked, err := k.manage.Simulate(ctx)
			if err != nil && ctx.Err() == nil {
				k.log.Warn("simulation failed", "error", err)
			}
			if !worked || ctx.Err() != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.manage.Wake:
		}
	}
}
