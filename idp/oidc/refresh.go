package oidc

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/storage"
)

// refreshHandler rotates refresh tokens (RFC 6749 6, RFC 9700 4.14.2). Each is used
// up by the one that follows it. For a short while the follower, kept sealed, is
// given again to the same client, so that an answer lost on a bad line signs no shop
// out; any later use ends the family.
type refreshHandler struct{ p *Provider }

func (h *refreshHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}
func (h *refreshHandler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(grantRefresh)
}

func (h *refreshHandler) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	if !r.GetClient().GetGrantTypes().Has(grantRefresh) {
		return refuse("unauthorized_client", "the client may not use refresh tokens")
	}
	if r.GetRequestForm().Get("refresh_token") == "" {
		return refuse("invalid_request", "refresh_token is missing")
	}
	return nil
}

var errRefresh = refuse("invalid_grant", "the refresh token is not valid")

// PopulateTokenEndpointResponse runs in the transaction of the answer.
func (h *refreshHandler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, a fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	now := time.Now()
	row, err := h.load(ctx, r, now)
	if err != nil {
		return err
	}
	if err := h.bound(ctx, r, row); err != nil { // first: a copied token alone neither works nor ends anything
		return err
	}
	if !row.Active { // before anything that is wrong with the request besides
		if err := h.judge(ctx, row, now); err != nil {
			return err
		}
	}
	s := sessionOf(r)
	if s.Audience, err = rowAudience(row); err != nil {
		return err
	}
	c, _ := r.GetClient().(client)
	parties, scopes, err := h.p.redeem(ctx, row.Family, c.Client)
	if err != nil {
		return err
	}
	scopes, err = h.p.narrow(parties.Grant, scopes, idp.SplitScopes(r.GetRequestForm().Get("scope")), now)
	if err != nil {
		return err
	}
	s.Parties, s.Redeemed = parties, true
	r.SetID(row.Family)
	next, err := h.rotate(ctx, r, row, now)
	if err != nil {
		return err
	}
	if t := parties.Terminal; t != nil {
		if err := h.p.Store.SeeTerminal(ctx, *t, now); err != nil {
			return err
		}
	}
	for _, scope := range scopes {
		r.GrantScope(scope)
	}
	access, _, err := strategy{h.p}.GenerateAccessToken(ctx, r)
	if err != nil {
		return err
	}
	a.SetAccessToken(access)
	a.SetScopes(r.GetGrantedScopes())
	a.SetExtra("refresh_token", next)
	return nil
}

// load finds the row of the token that was shown, which must be this client's and
// not expired.
func (h *refreshHandler) load(ctx context.Context, r fosite.AccessRequester, now time.Time) (storage.Token, error) {
	row, err := h.p.Store.Token(ctx, storage.TokenRefresh, signature(r.GetRequestForm().Get("refresh_token")))
	switch {
	case err != nil && idp.KindOf(err) == idp.NotFound:
		return row, errRefresh
	case err != nil:
		return row, err
	case row.ClientID != r.GetClient().GetID(), row.Active && !now.Before(row.ExpiresAt):
		return row, errRefresh
	}
	return row, nil
}

// bound demands the key of the device that the grant was given to.
func (h *refreshHandler) bound(ctx context.Context, r fosite.AccessRequester, row storage.Token) error {
	if !r.GetClient().GetGrantTypes().Has(grantDevice) {
		return nil
	}
	g, err := h.p.Store.Grant(ctx, row.Family)
	if err != nil {
		return err
	}
	return sameKey(sessionOf(r).Proof, g.Key)
}

// rotate uses the token up and returns the next one: a new one, or again the one
// that an earlier request of the grace time made.
func (h *refreshHandler) rotate(ctx context.Context, r fosite.Requester, row storage.Token, now time.Time) (next string, err error) {
	if !row.Active {
		return row.Successor, nil // judged before
	}
	next = idp.NewToken()
	won, err := h.p.Store.RotateToken(ctx, storage.TokenRefresh, row.Signature, next, now)
	if err != nil {
		return "", err
	}
	if won {
		return next, adapter{h.p}.CreateRefreshTokenSession(ctx, signature(next), "", r)
	}
	// A parallel request was faster: what it made is there now.
	if row, err = h.p.Store.Token(ctx, storage.TokenRefresh, row.Signature); err != nil {
		return "", err
	}
	return row.Successor, h.judge(ctx, row, now)
}

// judge looks at a token that was used before: within the grace time its use is a
// repeated request, at any other time it is theft, which ends the family.
func (h *refreshHandler) judge(ctx context.Context, row storage.Token, now time.Time) error {
	again, err := h.inGrace(ctx, row, now)
	if err != nil || again {
		return err
	}
	if err := h.p.endFamily(ctx, row.Family, "grant.reuse_detected", "refresh.reuse"); err != nil {
		return err
	}
	return kept{refuse("invalid_grant", "the refresh token is not valid").because("refresh.reuse", nil)}
}

// inGrace says whether a used token may be answered with its successor: shortly
// after its use, and only while that successor is itself unused. Whoever uses the
// successor has had the answer.
func (h *refreshHandler) inGrace(ctx context.Context, row storage.Token, now time.Time) (bool, error) {
	if row.Active || row.Successor == "" || now.Sub(row.UsedAt) >= h.p.Policy.Now().Tokens.Grace {
		return false, nil
	}
	next, err := h.p.Store.Token(ctx, storage.TokenRefresh, signature(row.Successor))
	return next.Active, err
}

// narrow applies the scope parameter of a refresh: less than granted is given, more
// is refused, and money scopes last only as long as the proof behind them.
func (p *Provider) narrow(g idp.Grant, allowed, asked []string, now time.Time) ([]string, error) {
	fresh := idp.Demand{ACR: idp.ACR2, Since: now.Add(-p.Policy.Now().Tokens.AccessMoney), One: true}
	if !fresh.Met(g.Proofs) {
		allowed = idp.WithoutMoney(allowed)
	}
	if len(asked) == 0 {
		asked = allowed
	}
	for _, s := range asked {
		if slices.Contains(allowed, s) {
			continue
		}
		if slices.Contains(g.Scopes, s) {
			return nil, refuse("invalid_scope", "a requested scope needs a new authorization").because("stale", nil)
		}
		return nil, refuse("invalid_scope", "a requested scope was not granted")
	}
	if len(asked) == 0 {
		return nil, refuse("invalid_scope", "no scope is left").because("stale", nil)
	}
	return asked, nil
}

func rowAudience(row storage.Token) ([]string, error) {
	var d codeData
	err := json.Unmarshal(row.Data, &d)
	return d.Audience, err
}
