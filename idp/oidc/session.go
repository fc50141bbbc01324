package oidc

import (
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
)

// fositeSession is what fosite carries from one handler to the next during one request.
// It is never stored: a code row holds only [codeData], and who signed in how stands
// in the grant.
type fositeSession struct {
	Parties   idp.Parties // of the grant; zero for client_credentials
	Challenge string      // PKCE, of the code
	Nonce     string
	Audience  []string
	Proof     proof // of possession, of a client that signs terminals in
	Redeemed  bool  // [Provider.redeem] has said yes
	expires   map[fosite.TokenType]time.Time
}

func (s *fositeSession) SetExpiresAt(kind fosite.TokenType, at time.Time) {
	if s.expires == nil {
		s.expires = map[fosite.TokenType]time.Time{}
	}
	s.expires[kind] = at
}

func (s *fositeSession) GetExpiresAt(kind fosite.TokenType) time.Time { return s.expires[kind] }
func (s *fositeSession) GetUsername() string                          { return "" }
func (s *fositeSession) GetSubject() string                           { return s.Parties.User.ID }

// Clone copies everything that a handler may change; fosite's own would lose the
// unexported half.
func (s *fositeSession) Clone() fosite.Session {
	c := *s
	c.expires = maps.Clone(s.expires)
	c.Audience = slices.Clone(s.Audience)
	c.Parties.Grant.Scopes = slices.Clone(s.Parties.Grant.Scopes)
	c.Parties.Grant.Proofs = slices.Clone(s.Parties.Grant.Proofs)
	return &c
}

func sessionOf(r fosite.Requester) *fositeSession {
	s, ok := r.GetSession().(*fositeSession)
	if !ok {
		return &fositeSession{}
	}
	return s
}
