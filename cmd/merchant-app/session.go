package main

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	sessionCookie = "merchant-app-s" // a signed-in session
	browserCookie = "merchant-app-b" // ties a sign-in under way to the browser that began it
	sessionLife   = 12 * time.Hour
	pendingLife   = 15 * time.Minute
	roomForAll    = 10_000 // sessions, and sign-ins under way: memory is bounded, the oldest go first
)

// Session is one signed-in browser. mu serialises what uses up the refresh token: two clicks must not present it twice.
type Session struct {
	mu       sync.Mutex
	token    *oauth2.Token
	rawID    string // the ID token as received, for id_token_hint
	identity claims
	userinfo claims
	access   claims
	takings  *takings
	note     *notice
	ends     time.Time
}

// Pending is a sign-in under way: what must come back, and to which browser.
type Pending struct {
	browser, nonce, verifier string
	ends                     time.Time
}

// Sessions keeps both kinds in memory. The zero value is ready.
type Sessions struct {
	mu      sync.Mutex
	live    map[string]*Session
	pending map[string]Pending // by state
}

func (s *Sessions) find(r *http.Request) *Session {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.live[c.Value]
	if found != nil && time.Now().After(found.ends) {
		delete(s.live, c.Value)
		return nil
	}
	return found
}

// open stores a new session under a new name: a name that was there before the sign-in is never reused.
func (s *Sessions) open(fresh *Session) string {
	id := rand.Text()
	fresh.ends = time.Now().Add(sessionLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = map[string]*Session{}
	}
	makeRoom(s.live, func(v *Session) time.Time { return v.ends })
	s.live[id] = fresh
	return id
}

func (s *Sessions) close(r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.live, c.Value)
	}
}

func (s *Sessions) begin(state string, p Pending) {
	p.ends = time.Now().Add(pendingLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil {
		s.pending = map[string]Pending{}
	}
	makeRoom(s.pending, func(v Pending) time.Time { return v.ends })
	s.pending[state] = p
}

// take gives out a sign-in under way once, and only to the browser that began it.
func (s *Sessions) take(state, browser string) (Pending, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.pending[state]
	if !ok || browser == "" || p.browser != browser {
		return Pending{}, false
	}
	delete(s.pending, state)
	return p, time.Now().Before(p.ends)
}

// makeRoom drops what has ended and, when the map is still full, what would end next.
func makeRoom[T any](m map[string]T, ends func(T) time.Time) {
	if len(m) < roomForAll {
		return
	}
	oldest, now := "", time.Now()
	for k, v := range m {
		if now.After(ends(v)) {
			delete(m, k)
		} else if oldest == "" || ends(v).Before(ends(m[oldest])) {
			oldest = k
		}
	}
	if len(m) >= roomForAll {
		delete(m, oldest)
	}
}

// setCookie writes a cookie no script can read; an empty value deletes it.
func (a *App) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(a.URL, "https:"), MaxAge: int(life / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
