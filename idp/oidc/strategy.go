package oidc

import (
	"context"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
)

// strategy makes codes and tokens for fosite: access tokens are JWTs, all else is
// 256 random bits of which the SHA-256 is kept.
type strategy struct{ p *Provider }

func (s strategy) AccessTokenSignature(_ context.Context, token string) string {
	return signature(token)
}

func (s strategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, sig string, err error) {
	now := time.Now()
	r.GetSession().SetExpiresAt(fosite.AccessToken, now.Add(s.p.accessLife(r.GetGrantedScopes())))
	token, err = s.p.accessToken(ctx, r, now)
	return token, signature(token), err
}

// ValidateAccessToken is never asked: introspection and userinfo verify tokens
// themselves.
func (s strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return fosite.ErrInvalidTokenFormat
}

func (s strategy) RefreshTokenSignature(_ context.Context, token string) string {
	return signature(token)
}

func (s strategy) GenerateRefreshToken(context.Context, fosite.Requester) (token, sig string, err error) {
	token = idp.NewToken()
	return token, signature(token), nil
}

func (s strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return fosite.ErrInvalidTokenFormat
}

func (s strategy) AuthorizeCodeSignature(_ context.Context, code string) string {
	return signature(code)
}

func (s strategy) GenerateAuthorizeCode(context.Context, fosite.Requester) (code, sig string, err error) {
	code = idp.NewToken()
	return code, signature(code), nil
}

func (s strategy) ValidateAuthorizeCode(_ context.Context, r fosite.Requester, _ string) error {
	if !time.Now().Before(r.GetSession().GetExpiresAt(fosite.AuthorizeCode)) {
		return refuse("invalid_grant", "the authorization code has expired")
	}
	return nil
}
