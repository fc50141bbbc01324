package oidc

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// introspect is RFC 7662, for a confidential client that is the token's owner or
// among its audience. Whatever it may not know, and all junk, is just not active.
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := postForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	c, err := p.authenticate(ctx, r, form)
	if err != nil {
		return err
	}
	if c.Public() {
		return errClient
	}
	token := form.Get("token")
	if token == "" {
		return refuse("invalid_request", "token is missing")
	}
	answer, err := p.introspectAccess(ctx, c, token)
	if err == nil && answer == nil {
		answer, err = p.introspectRefresh(ctx, c, token)
	}
	if err != nil {
		return err
	}
	if answer == nil {
		answer = map[string]any{"active": false}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (p *Provider) introspectAccess(ctx context.Context, c idp.Client, token string) (map[string]any, error) {
	if strings.Count(token, ".") != 2 {
		return nil, nil
	}
	live, err := p.verifyAccess(ctx, token)
	if err != nil || live == nil {
		return nil, err
	}
	t := live.claims
	if t.ClientID != c.ID && !slices.Contains(t.Audience, c.ID) {
		return nil, nil
	}
	answer := map[string]any{"active": true, "token_type": tokenType(t.Confirmation.Key), "iss": t.Issuer, "sub": t.Subject, "aud": []string(t.Audience), "client_id": t.ClientID,
		"scope": strings.Join(live.scopes, " "), "exp": t.Expires, "iat": t.Issued, "jti": t.ID}
	confirmation(answer, t.Confirmation.Key)
	if t.Grant != "" {
		assurance(answer, live.parties.Grant)
		staff(answer, live.parties)
	}
	return answer, nil
}

// introspectRefresh tells the owner of a refresh token, nobody else, about it.
func (p *Provider) introspectRefresh(ctx context.Context, c idp.Client, token string) (map[string]any, error) {
	row, err := p.Store.Token(ctx, storage.TokenRefresh, signature(token))
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return nil, nil
	}
	if err != nil || !row.Active || !time.Now().Before(row.ExpiresAt) || row.ClientID != c.ID {
		return nil, err
	}
	parties, scopes, reason, err := p.alive(ctx, row.Family)
	if err != nil || reason != "" {
		return nil, err
	}
	answer := map[string]any{"active": true, "iss": p.Issuer, "sub": parties.User.ID, "client_id": c.ID, "scope": strings.Join(scopes, " "),
		"exp": row.ExpiresAt.Unix(), "iat": row.CreatedAt.Unix()}
	confirmation(answer, parties.Grant.Key)
	return answer, nil
}

// intersect keeps the order of a.
func intersect(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}
