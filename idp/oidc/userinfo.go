package oidc

import (
	"context"
	"net/http"
	"time"

	"hufu/idp"
)

// userinfo is OpenID Connect Core 5.3. The token comes in the header only (RFC 6750
// 2.1): a query ends in logs.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodGet, http.MethodPost); err != nil {
		return err
	}
	info, err := p.userClaims(r)
	if err != nil {
		challenge(w, r, err, "openid")
		return err
	}
	writeJSON(w, http.StatusOK, info)
	return nil
}

func (p *Provider) userClaims(r *http.Request) (map[string]any, error) {
	live, err := p.presented(r)
	if err != nil {
		return nil, err
	}
	switch {
	case live == nil, live.parties.User.ID == "":
		return nil, refuse("invalid_token", "the access token is not valid")
	case !live.has("openid"):
		return nil, refuse("insufficient_scope", "the access token was not granted openid")
	}
	info := map[string]any{"sub": live.parties.User.ID}
	return info, p.personClaims(r.Context(), info, live)
}

// personClaims adds what the scopes allow to know of a person.
func (p *Provider) personClaims(ctx context.Context, info map[string]any, live *liveToken) error {
	u := live.parties.User
	if live.has("profile") {
		info["name"], info["locale"], info["updated_at"] = u.Name, u.Language, u.CreatedAt.Unix()
	}
	if live.has("merchant") {
		staff(info, idp.Parties{User: u, Merchant: live.parties.Merchant})
	}
	if t := live.parties.Terminal; t != nil && live.has("terminal") {
		info["terminal_id"] = t.ID
	}
	if !live.has("profile") && !live.has("phone") && !live.has("email") {
		return nil
	}
	names, err := p.Store.Identifiers(ctx, u.ID)
	for _, n := range names {
		nameClaims(info, live, n)
	}
	return err
}

func nameClaims(info map[string]any, live *liveToken, n idp.Identifier) {
	claim, scope := "", ""
	switch n.Kind {
	case idp.IdentifierUsername:
		claim, scope = "preferred_username", "profile"
	case idp.IdentifierPhone:
		claim, scope = "phone_number", "phone"
	case idp.IdentifierEmail:
		claim, scope = "email", "email"
	}
	if claim == "" || n.Former || !n.RemovedAt.IsZero() || !live.has(scope) || info[claim] != nil {
		return
	}
	info[claim] = n.Value
	if scope != "profile" {
		info[claim+"_verified"] = !n.VerifiedAt.IsZero()
	}
}

// liveToken is an access token that is good now, with the scopes that are left of it.
type liveToken struct {
	claims  *claims
	scopes  []string
	parties idp.Parties // zero for a client that speaks for itself
}

func (l *liveToken) has(scope string) bool {
	for _, s := range l.scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// verifyAccess returns an access token of ours that has not expired and whose grant,
// if it has one, is still good; nil when there is none.
func (p *Provider) verifyAccess(ctx context.Context, token string) (*liveToken, error) {
	k, err := p.keys(ctx)
	if err != nil {
		return nil, err
	}
	c, err := k.verify(token, typeAccess, p.Issuer)
	if err != nil || !time.Now().Before(time.Unix(c.Expires, 0)) {
		return nil, nil
	}
	live := &liveToken{claims: c, scopes: idp.SplitScopes(c.Scope)}
	if c.Grant == "" {
		_, err := p.liveClient(ctx, c.ClientID)
		return orNone(live, err)
	}
	parties, left, reason, err := p.alive(ctx, c.Grant)
	if err != nil || reason != "" || parties.User.ID != c.Subject {
		return nil, err
	}
	live.parties, live.scopes = parties, intersect(live.scopes, left)
	return live, nil
}

// orNone: a client that is gone or disabled is no error of the endpoint's.
func orNone(live *liveToken, err error) (*liveToken, error) {
	if err == error(errClient) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return live, nil
}
