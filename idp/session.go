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
	TrustedUntil      time.Time // until then it waives the second factor of a plain sign-in; zero: never
	Network           string    // /24 or /48 of the last full sign-in
}

// Trusted says whether the browser waives the second factor of a plain sign-in. It
// is no proof: the session says honestly what was shown.
func (b *Browser) Trusted(t time.Time) bool { return b != nil && t.Before(b.TrustedUntil) }
