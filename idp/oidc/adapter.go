package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/storage"
)

// adapter is fosite's storage: codes and refresh tokens are rows of one table,
// access tokens have none, clients come from memory.
type adapter struct{ p *Provider }

// codeData is what a code row, and the refresh rows after it, remember beside the
// grant.
type codeData struct {
	Redirect  string   `json:"redirect,omitempty"`
	Challenge string   `json:"challenge,omitempty"`
	Nonce     string   `json:"nonce,omitempty"`
	Audience  []string `json:"audience,omitempty"`
}

var errUsed = errors.New("oidc: used by somebody faster")

func (a adapter) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := a.p.liveClient(ctx, id)
	if err != nil {
		return nil, errors.Join(fosite.ErrNotFound, err)
	}
	return client{c}, nil
}

// Client assertions are not supported: no jti is ever valid.
func (a adapter) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrJTIKnown }
func (a adapter) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
}

func (a adapter) CreateAuthorizeCodeSession(ctx context.Context, signature string, r fosite.Requester) error {
	form := r.GetRequestForm()
	return a.create(ctx, storage.TokenCode, signature, r, r.GetSession().GetExpiresAt(fosite.AuthorizeCode),
		codeData{Redirect: form.Get("redirect_uri"), Challenge: form.Get("code_challenge"), Nonce: form.Get("nonce"), Audience: sessionOf(r).Audience})
}

func (a adapter) create(ctx context.Context, kind storage.TokenKind, signature string, r fosite.Requester, expires time.Time, d codeData) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return a.p.Store.CreateToken(ctx, &storage.Token{Kind: kind, Signature: signature, Family: r.GetID(), ClientID: r.GetClient().GetID(),
		CreatedAt: time.Now(), ExpiresAt: expires, Data: data})
}

// GetAuthorizeCodeSession loads a code into the session it is given. Inside the
// transaction of the exchange, which uses the code up or is undone, it also asks
// whether the grant may be redeemed, and gives it its life.
func (a adapter) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	row, err := a.p.Store.Token(ctx, storage.TokenCode, signature)
	if err != nil {
		if idp.KindOf(err) == idp.NotFound {
			return nil, fosite.ErrNotFound
		}
		return nil, err
	}
	sess, ok := s.(*fositeSession)
	if !ok {
		sess = &fositeSession{}
	}
	r, d, err := a.requester(ctx, row, sess)
	if err != nil {
		return nil, err
	}
	sess.Challenge, sess.Nonce = d.Challenge, d.Nonce
	sess.SetExpiresAt(fosite.AuthorizeCode, row.ExpiresAt)
	if !row.Active {
		return r, fosite.ErrInvalidatedAuthorizeCode
	}
	if !storage.InTx(ctx) {
		return r, nil
	}
	c, _ := r.Client.(client)
	parties, scopes, err := a.p.redeem(ctx, row.Family, c.Client)
	if err != nil {
		return nil, err
	}
	if err := a.p.settle(ctx, &parties, scopes); err != nil {
		return nil, err
	}
	sess.Parties, sess.Redeemed, r.GrantedScope = parties, true, scopes
	return r, nil
}

func (a adapter) requester(ctx context.Context, row storage.Token, sess *fositeSession) (*fosite.Request, codeData, error) {
	var d codeData
	if err := json.Unmarshal(row.Data, &d); err != nil {
		return nil, d, err
	}
	c, err := a.p.Store.Client(ctx, row.ClientID)
	if err != nil {
		return nil, d, err
	}
	sess.Audience = d.Audience
	return &fosite.Request{ID: row.Family, RequestedAt: row.CreatedAt, Client: client{c}, Session: sess, GrantedAudience: d.Audience,
		Form: url.Values{"redirect_uri": {d.Redirect}}}, d, nil
}

// InvalidateAuthorizeCodeSession uses a code up; only one of any number of parallel
// exchanges can.
func (a adapter) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	used, err := a.p.Store.UseToken(ctx, storage.TokenCode, signature, time.Now())
	if err == nil && !used {
		err = errUsed
	}
	return err
}

func (a adapter) CreateRefreshTokenSession(ctx context.Context, signature, _ string, r fosite.Requester) error {
	s := sessionOf(r)
	return a.create(ctx, storage.TokenRefresh, signature, r, a.p.refreshEnd(s.Parties, time.Now()), codeData{Audience: s.Audience})
}

// A second use of a code ends the family by this; access tokens have no row and end
// with it.
func (a adapter) RevokeRefreshToken(ctx context.Context, family string) error {
	return a.p.endFamily(ctx, family, "grant.reuse_detected", "code.reuse")
}
func (a adapter) RevokeAccessToken(context.Context, string) error { return nil }

func (a adapter) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}
func (a adapter) DeleteAccessTokenSession(context.Context, string) error { return nil }
func (a adapter) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}

// fosite's own refresh handler is not in use: rotation is in refresh.go.
func (a adapter) GetRefreshTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}
func (a adapter) DeleteRefreshTokenSession(context.Context, string) error  { return fosite.ErrNotFound }
func (a adapter) RotateRefreshToken(context.Context, string, string) error { return fosite.ErrNotFound }

// fosite's transactions join ours, which is around the whole answer.
func (a adapter) BeginTX(ctx context.Context) (context.Context, error) {
	if !storage.InTx(ctx) {
		return nil, errors.New("oidc: tokens are issued inside a transaction only")
	}
	return ctx, nil
}
func (a adapter) Commit(context.Context) error   { return nil }
func (a adapter) Rollback(context.Context) error { return nil }
