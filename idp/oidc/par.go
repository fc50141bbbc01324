package oidc

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// pushedPrefix begins every request_uri of ours (RFC 9126 2.2).
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// push is the pushed authorization request endpoint (RFC 9126). What is kept is the
// request as it was read and found right: no secret that came with it. It lives a
// minute until its first use, then as long as any request that waits for its person,
// and it is dead once the code is issued.
func (p *Provider) push(w http.ResponseWriter, r *http.Request) error {
	form, err := postForm(w, r)
	if err != nil {
		return err
	}
	ctx, now := r.Context(), time.Now()
	c, err := p.authenticate(ctx, r, form)
	if err != nil {
		return err
	}
	form.Set("client_id", c.ID)
	q, _, err := p.parse(ctx, form, now)
	if err != nil {
		return err
	}
	if c.Public() { // it has shown nothing
		if err := p.admit(ctx); err != nil {
			return err
		}
	}
	v := &pending{q: q, client: c}
	if err := p.remember(ctx, v, now, p.Policy.Now().Tokens.PAR); err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": pushedPrefix + v.id, "expires_in": int(p.Policy.Now().Tokens.PAR.Seconds())})
	return nil
}

// pushed finds the pushed request that an authorization request names; reloading the
// page finds it again. Its time begins with its first use.
func (p *Provider) pushed(ctx context.Context, form url.Values, now time.Time) (*pending, error) {
	none := &pending{q: &request{}}
	if len(form["request_uri"]) > 1 || len(form["client_id"]) > 1 {
		return none, refuse("invalid_request", "a parameter stands more than once")
	}
	v, err := p.recall(ctx, strings.TrimPrefix(form.Get("request_uri"), pushedPrefix), now)
	if err != nil {
		return none, err
	}
	if form.Get("client_id") != v.client.ID {
		return none, refuse("invalid_request", "client_id is not the one of the pushed request")
	}
	if v.row.ExpiresAt.Sub(v.row.CreatedAt) > p.Policy.Now().Tokens.PAR {
		return v, nil // used before
	}
	v.q.At = now.UTC().Truncate(time.Microsecond)
	return v, p.remember(ctx, v, now, p.Policy.Now().Flow.Whole)
}
