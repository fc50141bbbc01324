package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/ory/fosite"
)

// pkce checks the verifier of a code exchange (RFC 7636) against the challenge in
// the code's own row. fosite's handler deletes its row before it looks, so that a
// wrong verifier opens the door to a second try without one.
type pkce struct{}

func (pkce) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }
func (pkce) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(grantCode)
}

func (pkce) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	verifier := r.GetRequestForm().Get("code_verifier")
	if verifier == "" {
		return refuse("invalid_grant", "code_verifier is missing")
	}
	if !unreserved(verifier, 43, 128) {
		return refuse("invalid_grant", "code_verifier is not 43 to 128 unreserved characters")
	}
	sum := sha256.Sum256([]byte(verifier))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(made), []byte(sessionOf(r).Challenge)) != 1 {
		return refuse("invalid_grant", "code_verifier does not match the code_challenge")
	}
	return nil
}

func (pkce) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return nil
}

// unreserved says whether s is made of the characters of RFC 7636 4.1, so many.
func unreserved(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// validChallenge says whether s can be the S256 challenge of a verifier.
func validChallenge(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == sha256.Size
}

// issuerParam adds `iss` to a successful answer (RFC 9207).
type issuerParam struct{ p *Provider }

func (h issuerParam) HandleAuthorizeEndpointRequest(_ context.Context, _ fosite.AuthorizeRequester, a fosite.AuthorizeResponder) error {
	a.AddParameter("iss", h.p.Issuer)
	return nil
}
