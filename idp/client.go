package idp

import (
	"slices"
	"strings"
	"time"
)

// Client is an OAuth 2 client (RFC 6749 section 2).
type Client struct {
	ID           string
	Name         string
	SecretHashes [][]byte // SHA-256, newest first; none: a public client
	Redirects    []string
	PostLogout   []string
	Grants       []string // grant types it may use
	Scopes       []string
	Audience     []string // resource servers that its tokens are for
	FirstParty   bool     // the operator's own: no consent page
	RequirePAR   bool
	AnyPort      bool // loopback redirects match on any port (RFC 8252 7.3), demo and native apps
	Disabled     bool
	CreatedAt    time.Time
	Version      int64
}

// Public says whether the client cannot keep a secret.
func (c Client) Public() bool { return len(c.SecretHashes) == 0 }

// May says whether the client may use a grant type.
func (c Client) May(grant string) bool { return slices.Contains(c.Grants, grant) }

// moneyScopes move money or say where it goes: they need a step-up that lasts.
var moneyScopes = []string{"payments:refund", "settlement:manage"}

// MoneyScope says whether a scope moves money.
func MoneyScope(scope string) bool { return slices.Contains(moneyScopes, scope) }

// WithoutMoney returns scopes less the money scopes.
func WithoutMoney(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), MoneyScope)
}

// ScopesFor returns the scopes that a person of a role may give to a client: changing
// where money goes is the owner's, refunds are his and the manager's, and operator
// staff act for no merchant.
func ScopesFor(r Role, scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		switch {
		case r.Operator():
			return MoneyScope(s) || s == "payments:read"
		case s == "settlement:manage":
			return r != RoleOwner
		case s == "payments:refund":
			return r != RoleOwner && r != RoleManager
		}
		return false
	})
}

// Grant is what a user allowed a client. All its tokens are one family and die
// together. ID is also the family id of the tokens.
type Grant struct {
	ID, UserID, ClientID string
	TerminalID           string // device flow of a named terminal
	SessionID            string // browser session that allowed it
	Key                  string // thumbprint of the key that its tokens are bound to (RFC 9449), "" for bearer tokens
	Scopes               []string
	Proofs               []Proof
	AuthTime             time.Time
	CreatedAt            time.Time
	ExpiresAt            time.Time // absolute end, of the last refresh token
	EndedAt              time.Time
	EndedReason          string
}

// Parties are the four whose state every redemption looks at.
type Parties struct {
	Grant    Grant
	User     User
	Merchant *Merchant // nil for operator staff
	Terminal *Terminal // nil unless the grant names one
	Client   Client
}

// Redeemable is the one check before any token is issued from a grant: a code, a
// device code or a refresh token alike. It returns the reason code that
// forbids it, "" when it may, and the scopes that are left: a frozen person
// moves no money, and neither does one whom a recovery keeps it back from.
func Redeemable(p Parties, now time.Time) (scopes []string, reason string) {
	why := p.User.Reason(now)
	switch {
	case !p.Grant.EndedAt.IsZero():
		return nil, "grant.ended"
	case !p.Grant.ExpiresAt.IsZero() && !now.Before(p.Grant.ExpiresAt):
		return nil, "grant.expired"
	case p.Client.Disabled:
		return nil, "client.denied"
	case why != "":
		return nil, why
	case p.Merchant != nil && p.Merchant.Status != MerchantActive:
		return nil, "merchant.suspended"
	case p.Terminal != nil && p.Terminal.State != TerminalActive:
		return nil, "terminal." + string(p.Terminal.State)
	case p.Terminal != nil && p.Terminal.MerchantID != p.User.MerchantID:
		return nil, "dev.foreign"
	case p.Terminal != nil && p.Terminal.Key != p.Grant.Key:
		return nil, "terminal.key"
	}
	scopes = ScopesFor(p.User.Role, p.Grant.Scopes)
	if p.User.Frozen {
		scopes = WithoutMoney(scopes)
	}
	return p.User.Withholds(now).Allows(scopes), ""
}

// SplitScopes splits a space-delimited scope parameter (RFC 6749 3.3), dropping
// repeats.
func SplitScopes(s string) []string {
	var out []string
	for _, f := range strings.Fields(s) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}
