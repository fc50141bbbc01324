package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/storage"
)

// token is the token endpoint (RFC 6749 3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) error {
	until, room := p.Tokens.Allow(web.Share(r.Context()))
	form, err := postForm(w, r)
	if !room {
		err = p.pastFlood(r.Context(), form, until)
	}
	if err != nil {
		return err
	}
	// fosite would call a grant type that nobody handles an invalid_request, and
	// return no request with it.
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return refuse("invalid_request", "grant_type is missing")
	case !slices.Contains(grants, grant):
		return refuse("unsupported_grant_type", "grant_type is none that is supported")
	}
	request, err := p.fosite().NewAccessRequest(r.Context(), r, &fositeSession{})
	if err != nil {
		return err
	}
	response, err := p.answer(r.Context(), request)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, response.ToMap())
	return nil
}

// pastFlood refuses what a network asks for beyond its share, unless it shows a refresh
// token of a living grant, which has a share of its own: what strangers ask for on the
// shop's network signs no terminal out. The token is looked at only here, so that a
// refresh costs nothing more while there is room.
func (p *Provider) pastFlood(ctx context.Context, form url.Values, until time.Time) error {
	flood := &idp.Error{Kind: idp.Limited, Msg: "problem.429.text", Until: until, Reason: "flood"}
	shown := form.Get("refresh_token")
	if form.Get("grant_type") != grantRefresh || shown == "" {
		return flood
	}
	row, err := p.Store.Token(ctx, storage.TokenRefresh, signature(shown))
	if idp.KindOf(err) == idp.NotFound {
		return flood
	}
	if err != nil {
		return err
	}
	grant, err := p.Store.Grant(ctx, row.Family)
	if err != nil {
		return err
	}
	if !grant.EndedAt.IsZero() || !time.Now().Before(grant.ExpiresAt) {
		return flood
	}
	var own bool
	if flood.Until, own = p.Tokens.Allow("t:" + grant.ID); !own {
		return flood
	}
	return nil
}

// answer issues tokens in one transaction; for a client that speaks for itself it
// needs none. A refusal that must be remembered keeps what was written.
func (p *Provider) answer(ctx context.Context, request fosite.AccessRequester) (response fosite.AccessResponder, err error) {
	if request.GetGrantTypes().ExactOne(grantClient) {
		return p.fosite().NewAccessResponse(ctx, request)
	}
	var refused error
	err = p.Store.Tx(ctx, func(ctx context.Context) error {
		response, refused = p.fosite().NewAccessResponse(ctx, request)
		if _, keep := errors.AsType[kept](refused); keep {
			return nil
		}
		return refused
	})
	if err == nil {
		err = refused
	}
	// Somebody was faster with this code: it was used twice (RFC 6749 4.1.2).
	if errors.Is(err, errUsed) || errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
		if err := p.endFamily(ctx, request.GetID(), "grant.reuse_detected", "code.reuse"); err != nil {
			return nil, err
		}
		return nil, refuse("invalid_grant", "the authorization code was used before").because("code.reuse", err)
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// idTokenHandler runs last: it completes the answer of every grant and adds the ID
// token when openid was granted.
type idTokenHandler struct{ p *Provider }

func (h *idTokenHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}
func (h *idTokenHandler) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true
}

// HandleTokenEndpointRequest leaves it to others whether the grant is known.
func (h *idTokenHandler) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return fosite.ErrUnknownRequest
}

func (h *idTokenHandler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, a fosite.AccessResponder) error {
	a.SetTokenType(tokenType(sessionOf(r).Parties.Grant.Key))
	a.SetExpiresIn(h.p.accessLife(r.GetGrantedScopes()))
	if !sessionOf(r).Redeemed || !r.GetGrantedScopes().Has("openid") {
		return nil
	}
	token, err := h.p.idToken(ctx, r, a.GetAccessToken(), time.Now())
	if err != nil {
		return err
	}
	a.SetExtra("id_token", token)
	return nil
}
