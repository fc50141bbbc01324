package oidc

import (
	"context"
	"net/http"

	"hufu/idp"
	"hufu/storage"
)

// revoke is RFC 7009: a token of the client that asks ends with its whole family.
// The answer is the same whatever was found, and empty: some clients choke on a
// content type here.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := postForm(w, r)
	if err != nil {
		return err
	}
	c, err := p.authenticate(r.Context(), r, form)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if token == "" {
		return refuse("invalid_request", "token is missing")
	}
	family, err := p.familyOf(r.Context(), c, token)
	if err != nil {
		return err
	}
	if family != "" {
		if err := p.endFamily(r.Context(), family, "grant.revoked", "client"); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// familyOf returns the grant of a refresh or access token of a client, "" for
// anything else: junk, another client's, or a token without a grant.
func (p *Provider) familyOf(ctx context.Context, c idp.Client, token string) (string, error) {
	row, err := p.Store.Token(ctx, storage.TokenRefresh, signature(token))
	switch {
	case err == nil && row.ClientID == c.ID:
		return row.Family, nil
	case err == nil:
		return "", nil
	case idp.KindOf(err) != idp.NotFound:
		return "", err
	}
	k, err := p.keys(ctx)
	if err != nil {
		return "", err
	}
	if t, err := k.verify(token, typeAccess, p.Issuer); err == nil && t.ClientID == c.ID {
		return t.Grant, nil
	}
	return "", nil
}
