package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"

	"github.com/ory/fosite"

	"hufu/idp"
)

// client shows one of our clients to fosite.
type client struct{ idp.Client }

func (c client) GetID() string                      { return c.ID }
func (c client) GetHashedSecret() []byte            { return nil } // secrets are compared here, never there
func (c client) GetRedirectURIs() []string          { return c.Redirects }
func (c client) GetGrantTypes() fosite.Arguments    { return c.Grants }
func (c client) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c client) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery}
}
func (c client) GetScopes() fosite.Arguments   { return c.Scopes }
func (c client) IsPublic() bool                { return c.Public() }
func (c client) GetAudience() fosite.Arguments { return c.Audience }

// liveClient returns a client that is not disabled.
func (p *Provider) liveClient(ctx context.Context, id string) (idp.Client, error) {
	c, err := p.Store.Client(ctx, id)
	if err != nil && idp.KindOf(err) == idp.NotFound || err == nil && c.Disabled {
		return idp.Client{}, errClient
	}
	return c, err
}

var errClient = refuse("invalid_client", "client authentication failed")

// credentials are what a request shows of its client.
type credentials struct {
	id, secret string
}

// readCredentials takes them from the header or from the body, never from both
// (RFC 6749 2.3).
func readCredentials(r *http.Request, form url.Values) (c credentials, err error) {
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return c, refuse("invalid_client", "client assertions are not supported")
	}
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		c = credentials{form.Get("client_id"), form.Get("client_secret")}
		if c.id == "" {
			return c, refuse("invalid_client", "the request names no client")
		}
		return c, nil
	}
	id, secret, ok := r.BasicAuth()
	if !ok || len(header) > 1 {
		return c, refuse("invalid_client", "the Authorization header is not one of Basic")
	}
	// RFC 6749 2.3.1: both halves are form-encoded before they are joined.
	if c.id, err = url.QueryUnescape(id); err == nil {
		c.secret, err = url.QueryUnescape(secret)
	}
	if err != nil {
		return c, refuse("invalid_client", "the Authorization header is not form-encoded")
	}
	if form.Get("client_secret") != "" {
		return c, refuse("invalid_request", "the client authenticates in two ways at once")
	}
	if named := form.Get("client_id"); named != "" && named != c.id {
		return c, refuse("invalid_request", "header and body name different clients")
	}
	return c, nil
}

// authenticate returns the client of a request: a confidential one has shown one of
// its secrets, a public one has only named itself.
func (p *Provider) authenticate(ctx context.Context, r *http.Request, form url.Values) (idp.Client, error) {
	shown, err := readCredentials(r, form)
	if err != nil {
		return idp.Client{}, err
	}
	c, err := p.liveClient(ctx, shown.id)
	if err != nil && err != error(errClient) {
		return c, err
	}
	// An unknown client costs the same comparison as a known one.
	right := secretMatches(c.SecretHashes, shown.secret)
	switch {
	case err != nil:
		return idp.Client{}, errClient
	case c.Public() && shown.secret != "", !c.Public() && !right:
		return idp.Client{}, errClient
	}
	return c, nil
}

// secretMatches compares a secret with every hash, in constant time. An empty
// secret or hash matches nothing.
func secretMatches(hashes [][]byte, secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	match := 0
	for _, h := range append(slices.Clone(hashes), make([]byte, len(sum))) {
		match |= subtle.ConstantTimeCompare(h, sum[:])
	}
	return match == 1 && secret != ""
}

// authenticateFor is the strategy that fosite calls.
func (p *Provider) authenticateFor(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := p.authenticate(ctx, r, form)
	if err != nil {
		return nil, err
	}
	return client{c}, nil
}
