package idp

import "time"

// Session is a signed-in browser. ID is public (the `sid` claim); the cookie
// holds another, secret, value of which only the hash is kept.
type Session struct {
	ID, UserID  string
	Proofs      []Proof
	Browser     string // known-browser row, empty for a stranger's
	Device      string // class only: "Chrome · Windows"
	Network     string // /24 or /48
	CreatedAt   time.Time
	LastSeenAt  time.Time
	IdleUntil   time.Time
	ExpiresAt   time.Time
	EndedAt     time.Time
	EndedReason string
}

// Live says whether the session may be used at t.
func (s Session) Live(t time.Time) bool {
	return s.EndedAt.IsZero() && t.Before(s.IdleUntil) && t.Before(s.ExpiresAt)
}

// Browser is a known browser of a user: throttle exemption, never a factor.
// Generation moves at each full sign-in; an older one shows a copied cookie.
type Browser struct {
	ID, UserID, Label string
	Generation        int64
	MovedAt           time.Time
	CreatedAt         time.Time
	LastUsedAt        time.Time
}
