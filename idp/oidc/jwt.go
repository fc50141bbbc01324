package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
)

// claims of our tokens, as they are read back.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	ID       string   `json:"jti"`
	Grant    string   `json:"gid"`
	Session  string   `json:"sid"`
	Expires  int64    `json:"exp"`
	Issued   int64    `json:"iat"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"`

	Confirmation struct {
		Key string `json:"jkt"`
	} `json:"cnf"`
}

// meant says whether a token is for somebody.
func (c *claims) meant(audience string) bool { return slices.Contains(c.Audience, audience) }

// audience is one string or several (RFC 7519 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// accessLife is short, and shorter when money can be moved with it.
func (p *Provider) accessLife(scopes []string) time.Duration {
	if slices.ContainsFunc(scopes, idp.MoneyScope) {
		return p.Policy.Now().Tokens.AccessMoney
	}
	return p.Policy.Now().Tokens.Access
}

// accessToken makes an RFC 9068 access token of a request whose session was
// redeemed, or of a client that speaks for itself.
func (p *Provider) accessToken(ctx context.Context, r fosite.Requester, now time.Time) (string, error) {
	s, scopes := sessionOf(r), r.GetGrantedScopes()
	g, c := s.Parties.Grant, r.GetClient()
	claims := map[string]any{"iss": p.Issuer, "sub": c.GetID(), "aud": p.audience(c, s.Audience), "client_id": c.GetID(), "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "exp": now.Add(p.accessLife(scopes)).Unix(), "jti": idp.NewID()}
	if g.TerminalID != "" { // it also asks us for its notices
		claims["aud"] = append(slices.Clone(p.audience(c, s.Audience)), p.Issuer)
	}
	if s.Redeemed {
		if slices.ContainsFunc(scopes, idp.MoneyScope) { // a recovery that follows soon is a risk
			if err := p.Store.NoteMoney(ctx, g.UserID, now); err != nil {
				return "", err
			}
		}
		claims["sub"], claims["gid"] = g.UserID, g.ID
		confirmation(claims, g.Key)
		assurance(claims, g)
		staff(claims, s.Parties)
	}
	k, err := p.keys(ctx)
	if err != nil {
		return "", err
	}
	return k.sign(typeAccess, claims)
}

// audience of an access token: what was asked for (RFC 8707), else every resource
// server that the client is registered for, or, for a client that names none, our
// own userinfo endpoint.
func (p *Provider) audience(c fosite.Client, asked []string) []string {
	if len(asked) > 0 {
		return asked
	}
	if all := c.GetAudience(); len(all) > 0 {
		return all
	}
	return []string{p.Issuer}
}

// idToken makes the ID token of an answer (OpenID Connect Core 2).
func (p *Provider) idToken(ctx context.Context, r fosite.Requester, access string, now time.Time) (string, error) {
	s := sessionOf(r)
	hash := sha256.Sum256([]byte(access)) // the size of ES256's
	claims := map[string]any{"iss": p.Issuer, "sub": s.Parties.User.ID, "aud": r.GetClient().GetID(), "iat": now.Unix(), "exp": now.Add(p.Policy.Now().Tokens.ID).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2])}
	if s.Nonce != "" {
		claims["nonce"] = s.Nonce
	}
	assurance(claims, s.Parties.Grant)
	if r.GetGrantedScopes().Has("merchant") {
		staff(claims, s.Parties)
	}
	if t := s.Parties.Terminal; t != nil && r.GetGrantedScopes().Has("terminal") {
		claims["terminal_id"] = t.ID
	}
	k, err := p.keys(ctx)
	if err != nil {
		return "", err
	}
	return k.sign(typeID, claims)
}

// assurance is computed from the proofs, each time.
func assurance(claims map[string]any, g idp.Grant) {
	a := idp.Assess(g.Proofs)
	claims["acr"] = a.ACR.String()
	if len(a.AMR) > 0 {
		claims["amr"] = a.AMR
	}
	if !a.AuthTime.IsZero() {
		claims["auth_time"] = a.AuthTime.Unix()
	}
	if g.SessionID != "" {
		claims["sid"] = g.SessionID
	}
}

// staff says for whom a person works and where. Operator staff work for no merchant.
func staff(claims map[string]any, parties idp.Parties) {
	if m := parties.Merchant; m != nil {
		claims["merchant_id"], claims["merchant_no"], claims["role"] = m.ID, m.No, string(parties.User.Role)
		if parties.User.StoreID != "" {
			claims["store_id"] = parties.User.StoreID
		}
	}
	if t := parties.Terminal; t != nil {
		claims["terminal_id"], claims["store_id"] = t.ID, t.StoreID
	}
}
