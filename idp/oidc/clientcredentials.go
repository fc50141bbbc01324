package oidc

import (
	"context"
	"slices"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"hufu/idp"
)

// personal scopes speak of a person: a client that speaks for itself has none of
// them.
var personal = []string{"openid", "profile", "phone", "email", "offline_access", "merchant", "terminal"}

// clientCredentials is RFC 6749 4.4. It writes nothing: the token is a JWT and the
// client comes from memory.
type clientCredentials struct {
	p *Provider
	*oauth2.ClientCredentialsGrantHandler
}

func (h *clientCredentials) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	c, _ := r.GetClient().(client)
	if c.Public() || !c.May(grantClient) {
		return refuse("unauthorized_client", "the client may not use client_credentials")
	}
	scopes := idp.SplitScopes(r.GetRequestForm().Get("scope"))
	if len(scopes) == 0 {
		scopes = slices.DeleteFunc(slices.Clone(c.Scopes), isPersonal)
	}
	for _, s := range scopes {
		if isPersonal(s) || !slices.Contains(c.Scopes, s) {
			return refuse("invalid_scope", "a requested scope is not registered for the client")
		}
	}
	asked, err := askedAudience(c.Client, r.GetRequestForm())
	if err != nil {
		return err
	}
	sessionOf(r).Audience = asked
	r.SetRequestedScopes(scopes)
	r.SetRequestedAudience(asked)
	if err := h.ClientCredentialsGrantHandler.HandleTokenEndpointRequest(ctx, r); err != nil {
		return err
	}
	// fosite grants nothing by itself.
	for _, s := range scopes {
		r.GrantScope(s)
	}
	return nil
}

func isPersonal(scope string) bool { return slices.Contains(personal, scope) }

// askedAudience reads `resource` (RFC 8707) and `audience`, which must be among the
// registered audiences of the client.
func askedAudience(c idp.Client, form map[string][]string) ([]string, error) {
	var asked []string
	for _, name := range repeatable {
		for _, v := range form[name] {
			switch {
			case v == "", slices.Contains(asked, v):
			case !slices.Contains(c.Audience, v):
				return nil, refuse("invalid_target", "a requested resource is not registered for the client")
			default:
				asked = append(asked, v)
			}
		}
	}
	return asked, nil
}
