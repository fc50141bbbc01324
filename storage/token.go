package storage

import (
	"context"
	"time"

	"hufu/idp/seal"
)

// TokenKind says what a row of the tokens table is.
type TokenKind string

const (
	TokenAuthorize TokenKind = "authorize" // an authorization request that waits for its person, pushed or not
	TokenLogout    TokenKind = "logout"    // a sign-out request that waits for an answer
	TokenCode      TokenKind = "code"
	TokenRefresh   TokenKind = "refresh"
)

// Token is a row of the OAuth endpoints, found by the hash of a random value.
// Family is the id of the grant it belongs to, if any.
type Token struct {
	Kind             TokenKind
	Signature        string // hex of SHA-256
	Family, ClientID string
	Active           bool
	CreatedAt        time.Time
	ExpiresAt        time.Time
	UsedAt           time.Time
	Data             []byte // the request, JSON; sealed at rest
	Successor        string // what came of a used refresh token: the next one; sealed at rest
}

type tokenRow struct {
	Kind      string `gorm:"primaryKey"`
	Signature string `gorm:"primaryKey"`
	Family    string
	ClientID  string
	Active    bool
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	ExpiresAt int64
	UsedAt    int64
	Data      []byte
	Successor []byte
}

func (tokenRow) TableName() string { return "tokens" }

func tokenPlace(column string, kind TokenKind, signature string) seal.Place {
	return seal.Place{Table: "tokens", Column: column, Row: string(kind) + "/" + signature}
}

// CreateToken stores a new, active row.
func (s *Store) CreateToken(ctx context.Context, t *Token) error {
	data, err := s.ring.Seal(tokenPlace("data", t.Kind, t.Signature), t.Data)
	if err != nil {
		return err
	}
	t.Active = true
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&tokenRow{Kind: string(t.Kind), Signature: t.Signature, Family: t.Family, ClientID: t.ClientID, Active: true,
			CreatedAt: micros(t.CreatedAt), ExpiresAt: micros(t.ExpiresAt), Data: data, Successor: []byte{}}).Error
	})
}

// Token returns a row, used or not, expired or not: what that means is the
// caller's to say.
func (s *Store) Token(ctx context.Context, kind TokenKind, signature string) (t Token, err error) {
	var r tokenRow
	if err := s.db(ctx).Where("kind = ? AND signature = ?", string(kind), signature).Take(&r).Error; err != nil {
		return t, notFound(err)
	}
	t = Token{Kind: kind, Signature: r.Signature, Family: r.Family, ClientID: r.ClientID, Active: r.Active,
		CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt), UsedAt: fromMicros(r.UsedAt)}
	if t.Data, err = s.ring.Open(tokenPlace("data", kind, signature), r.Data); err != nil || len(r.Successor) == 0 {
		return t, err
	}
	next, err := s.ring.Open(tokenPlace("successor", kind, signature), r.Successor)
	t.Successor = string(next)
	return t, err
}

// UseToken uses a live row up; false when somebody was faster or it has expired.
// Only one of any number of callers gets true.
func (s *Store) UseToken(ctx context.Context, kind TokenKind, signature string, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE tokens SET active = ?, used_at = ? WHERE kind = ? AND signature = ? AND active = ? AND expires_at > ?",
		false, micros(now), string(kind), signature, true, micros(now))
	return n == 1, err
}

// RotateToken uses a live row up like [Store.UseToken] and keeps, sealed, the
// successor that a lost answer is given again.
func (s *Store) RotateToken(ctx context.Context, kind TokenKind, signature, successor string, now time.Time) (bool, error) {
	sealed, err := s.ring.Seal(tokenPlace("successor", kind, signature), []byte(successor))
	if err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE tokens SET active = ?, used_at = ?, successor = ? WHERE kind = ? AND signature = ? AND active = ? AND expires_at > ?",
		false, micros(now), sealed, string(kind), signature, true, micros(now))
	return n == 1, err
}

// SaveToken changes the data and the end of a live row; false when it was used or
// has expired meanwhile.
func (s *Store) SaveToken(ctx context.Context, t *Token, now time.Time) (bool, error) {
	data, err := s.ring.Seal(tokenPlace("data", t.Kind, t.Signature), t.Data)
	if err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE tokens SET data = ?, expires_at = ? WHERE kind = ? AND signature = ? AND active = ? AND expires_at > ?",
		data, micros(t.ExpiresAt), string(t.Kind), t.Signature, true, micros(now))
	return n == 1, err
}

// TrimTokens deletes up to limit rows that expired before a time, for a job in the
// background, and says how many there were. Used rows are kept until then: they
// are how a second use is recognised.
func (s *Store) TrimTokens(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.affected(ctx, `DELETE FROM tokens WHERE (kind, signature) IN
		(SELECT kind, signature FROM tokens WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, micros(before), limit)
}
