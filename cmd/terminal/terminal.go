package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"sync"

	"golang.org/x/oauth2"
)

// State is where a terminal stands; each has its own sentence in the locale files.
type State string

// The states. Ended is "was signed in until somebody ended it elsewhere".
const (
	Idle     State = "idle"
	Waiting  State = "waiting"
	SignedIn State = "signed-in"
	Denied   State = "denied"
	Expired  State = "expired"
	Failed   State = "failed"
	Ended    State = "ended"
)

// Terminal is one simulated device.
type Terminal struct {
	Kind, Serial string
	log          *slog.Logger
	key          *ecdsa.PrivateKey // its own: no other terminal has it

	turn sync.Mutex // one button at a time
	mu   sync.Mutex // guards what follows
	now  Status
	stop context.CancelFunc // ends the poll under way
}

// Status is a terminal's state and what belongs to it.
type Status struct {
	State   State
	Asked   request   // while Waiting
	Who     *identity // while SignedIn
	Code    string    // the provider's error code, when Failed
	Notices []notice  // while SignedIn
	Note    string    // one more sentence: "refreshed", "refresh.failed", "revoke.failed", "notice.…"
	Version int       // changes with everything else
}

// Status returns where the terminal stands.
func (t *Terminal) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.State == "" {
		t.now.State = Idle
	}
	return t.now
}

func (t *Terminal) set(s Status) {
	s.Version = t.now.Version + 1
	t.now = s
}

// Start asks for a new code and waits for the answer in the background, until poll ends. A code asked for before is
// forgotten: its answer no longer counts.
func (t *Terminal) Start(ctx, poll context.Context, p *provider) {
	t.turn.Lock()
	defer t.turn.Unlock()
	if t.Status().State == SignedIn {
		return // two tabs: signing out comes first
	}
	p = p.as(t.key)
	asked, err := p.ask(ctx, t.Serial)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
	if err != nil {
		t.log.Warn("no code", "kind", t.Kind, "error", err)
		t.set(Status{State: Failed, Code: errorCode(err)})
		return
	}
	poll, t.stop = context.WithCancel(poll)
	t.set(Status{State: Waiting, Asked: asked})
	go t.await(poll, p, asked, t.now.Version)
}

// await takes the answer, unless the terminal has moved on since.
func (t *Terminal) await(ctx context.Context, p *provider, asked request, version int) {
	token, err := p.wait(ctx, t.log, asked)
	if ctx.Err() != nil {
		return // a newer code was asked for, or the simulator ends
	}
	var who *identity
	if err == nil {
		who, err = p.read(ctx, token)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.Version != version {
		return
	}
	t.stop()
	t.stop = nil
	if err != nil {
		t.log.Info("not signed in", "kind", t.Kind, "error", err)
	}
	t.set(outcome(who, err))
}

// outcome says in a state what came of a request.
func outcome(who *identity, err error) Status {
	switch code := errorCode(err); {
	case err == nil:
		return Status{State: SignedIn, Who: who}
	case code == "access_denied":
		return Status{State: Denied}
	case code == "expired_token" || errors.Is(err, context.DeadlineExceeded):
		return Status{State: Expired}
	default:
		return Status{State: Failed, Code: code}
	}
}

func errorCode(err error) string {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return e.ErrorCode
	}
	return ""
}

// Refresh rotates the tokens of a signed-in terminal.
func (t *Terminal) Refresh(ctx context.Context, p *provider) {
	t.renew(ctx, p.as(t.key), "refreshed")
}

func (t *Terminal) renew(ctx context.Context, p *provider, note string) {
	t.turn.Lock()
	defer t.turn.Unlock()
	s := t.Status()
	if s.State != SignedIn {
		return
	}
	who, err := p.refresh(ctx, s.Who)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.set(Status{State: SignedIn, Who: who, Notices: s.Notices, Note: note})
	case errorCode(err) == "invalid_grant":
		t.set(Status{State: Ended})
	default:
		t.log.Warn("not refreshed", "kind", t.Kind, "error", err)
		t.set(Status{State: SignedIn, Who: s.Who, Notices: s.Notices, Note: "refresh.failed"})
	}
}

// SignOut forgets the tokens and tells the provider. Where it can't be told, the page says so: the only copy of the
// token is gone all the same.
func (t *Terminal) SignOut(ctx context.Context, p *provider) {
	t.turn.Lock()
	defer t.turn.Unlock()
	s := t.Status()
	if s.State != SignedIn {
		return
	}
	note := "signed.out"
	if err := p.as(t.key).revoke(ctx, s.Who.token.RefreshToken); err != nil {
		t.log.Warn("not revoked", "kind", t.Kind, "error", err)
		note = "revoke.failed"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(Status{State: Idle, Note: note})
}
