package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/web"
)

// redeem is the one gate of every token that is issued from a grant: code, device
// code and refresh token alike. It looks at the grant, the person, the merchant, the
// terminal and the client as they are now, and returns the scopes that are left.
func (p *Provider) redeem(ctx context.Context, grant string, c idp.Client) (idp.Parties, []string, error) {
	parties, scopes, reason, err := p.alive(ctx, grant)
	if err != nil {
		return parties, nil, err
	}
	if reason == "" && parties.Grant.ClientID != c.ID {
		reason = "client.other"
	}
	if reason != "" {
		return parties, nil, refuse("invalid_grant", "the grant is no longer valid").because(reason, nil)
	}
	return parties, scopes, nil
}

// alive says what a grant is still good for: the scopes, or the reason that ends it.
func (p *Provider) alive(ctx context.Context, grant string) (parties idp.Parties, scopes []string, reason string, err error) {
	parties, err = p.Store.Parties(ctx, grant)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return parties, nil, "grant.unknown", nil
	}
	if err != nil {
		return parties, nil, "", err
	}
	now := time.Now()
	scopes, reason = idp.Redeemable(parties, now)
	if _, absolute := p.refreshLife(parties); reason == "" && !now.Before(parties.Grant.CreatedAt.Add(absolute)) { // stricter rules reach what was granted before
		reason = "grant.expired"
	}
	// A scope that was taken from the client since is not given any more.
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(parties.Client.Scopes, s) })
	return parties, scopes, reason, nil
}

// unredeemed is how long a grant lives whose code nobody redeems: longer than the
// code, so that no exchange and no end of everything meets it while it expires.
func (p *Provider) unredeemed() time.Duration { return 2 * p.Policy.Now().Tokens.Code }

// settle gives a grant that is redeemed for the first time the life of what is issued
// from it, in the transaction that does so, and ends the oldest of its kind over the
// limit.
func (p *Provider) settle(ctx context.Context, parties *idp.Parties, scopes []string) error {
	g, now := &parties.Grant, time.Now()
	g.ExpiresAt = now.Add(p.Policy.Now().Tokens.Code + p.Policy.Now().Tokens.Access)
	if slices.Contains(scopes, "offline_access") && parties.Client.May(grantRefresh) {
		_, absolute := p.refreshLife(*parties)
		g.ExpiresAt = now.Add(absolute)
	}
	live, err := p.Store.ExtendGrant(ctx, g.ID, g.ExpiresAt)
	if err == nil && !live {
		err = refuse("invalid_grant", "the grant is no longer valid").because("grant.ended", nil)
	}
	if err != nil {
		return err
	}
	over, err := p.Store.LimitGrants(ctx, *g, p.Policy.Now().Tokens.MostGrants, "limit", now.Add(p.unredeemed()), now)
	if err != nil {
		return err
	}
	for _, id := range over {
		if err := p.Store.Revoked(ctx, id, "limit", idp.Event{Actor: g.UserID, Network: web.Network(ctx), Policy: p.Policy.Now().Version}); err != nil {
			return err
		}
	}
	return nil
}

// endFamily ends a grant and all its tokens, with its event.
func (p *Provider) endFamily(ctx context.Context, grant, event, reason string) error {
	return p.Store.Tx(ctx, func(ctx context.Context) error {
		ended, err := p.Store.EndGrant(ctx, grant, reason, time.Now())
		if err != nil || !ended {
			return err
		}
		g, err := p.Store.Grant(ctx, grant)
		if err != nil {
			return err
		}
		return p.Store.Append(ctx, p.grantEvent(ctx, event, g, reason))
	})
}

func (p *Provider) grantEvent(ctx context.Context, name string, g idp.Grant, reason string) idp.Event {
	return idp.Event{Name: name, Subject: g.UserID, Terminal: g.TerminalID, Client: g.ClientID, Session: g.SessionID, Network: web.Network(ctx),
		Reason: reason, Policy: p.Policy.Now().Version, Data: map[string]any{"grant": g.ID, "scopes": g.Scopes}}
}

// refreshEnd is when a refresh token that is issued now ends: idle life, but never
// after its grant.
func (p *Provider) refreshEnd(parties idp.Parties, now time.Time) time.Time {
	idle, _ := p.refreshLife(parties)
	end := now.Add(idle)
	if g := parties.Grant.ExpiresAt; !g.IsZero() && g.Before(end) {
		return g
	}
	return end
}

// refreshLife returns idle and absolute life of the refresh tokens of a grant.
func (p *Provider) refreshLife(parties idp.Parties) (idle, absolute time.Duration) {
	life := p.settings(parties).Grants
	if parties.Grant.TerminalID != "" {
		return life.TerminalIdle, life.TerminalAbsolute
	}
	return life.Idle, life.Absolute
}

// settings are what policy says of a person at a client.
func (p *Provider) settings(parties idp.Parties) *policy.Settings {
	f := policy.Who(parties.User, parties.Merchant)
	f.Client = parties.Client.ID
	return p.Policy.For(f)
}

// signature is the stored form of a code, a token or a request id.
func signature(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}
