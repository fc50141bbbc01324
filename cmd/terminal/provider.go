package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	clientID        = "terminal"
	softwareVersion = "1.0"
)

var scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeOfflineAccess, "terminal", "payments:read"}

// provider is what discovery told, ready to use.
type provider struct {
	issuer     string
	client     *http.Client
	oidc       *oidc.Provider
	oauth      oauth2.Config
	idTokens   *oidc.IDTokenVerifier
	revocation string
	notices    string // "": the provider has none
}

// connect tries discovery until it works: the provider may start after us. tell hears why it is not there yet.
func connect(ctx context.Context, client *http.Client, issuer string, tell func(error)) (*provider, error) {
	wait := 250 * time.Millisecond
	for {
		p, err := discover(ctx, client, issuer)
		if err == nil {
			return p, nil
		}
		tell(err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func discover(ctx context.Context, client *http.Client, issuer string) (*provider, error) {
	op, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Revocation string `json:"revocation_endpoint"`
		Notices    string `json:"terminal_notices_endpoint"`
	}
	if err := op.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := op.Endpoint()
	if endpoint.DeviceAuthURL == "" {
		return nil, errors.New("the provider has no device_authorization_endpoint")
	}
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a public client; the library must not try a second way
	return &provider{issuer: issuer, client: client, oidc: op, revocation: more.Revocation, notices: more.Notices,
		oauth:    oauth2.Config{ClientID: clientID, Endpoint: endpoint, Scopes: scopes},
		idTokens: op.Verifier(&oidc.Config{ClientID: clientID})}, nil
}

// as is the provider as one terminal speaks with it: every request proves its key.
func (p *provider) as(key *ecdsa.PrivateKey) *provider {
	own := *p
	own.client = &http.Client{Transport: &prover{next: p.client.Transport, key: key}, Timeout: p.client.Timeout}
	return &own
}

func (p *provider) outbound(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// request is a device authorization under way: what RFC 8628 says, and the digits the terminal has to show.
type request struct {
	*oauth2.DeviceAuthResponse
	match int // 0: the provider sent none
}

// ask starts a device authorization for one terminal.
func (p *provider) ask(ctx context.Context, serial string) (request, error) {
	keep := &keeper{next: p.client.Transport}
	client := &http.Client{Transport: keep, Timeout: p.client.Timeout}
	da, err := p.oauth.DeviceAuth(oidc.ClientContext(ctx, client), oauth2.SetAuthURLParam("terminal_serial", serial),
		oauth2.SetAuthURLParam("software_version", softwareVersion))
	if err != nil {
		return request{}, err
	}
	if da.DeviceCode == "" || da.UserCode == "" || !webAddress(da.VerificationURI) {
		return request{}, errors.New("incomplete device authorization response")
	}
	if !webAddress(da.VerificationURIComplete) {
		da.VerificationURIComplete = da.VerificationURI
	}
	if da.Expiry.IsZero() {
		da.Expiry = time.Now().Add(5 * time.Minute) // RFC 8628 demands expires_in; never wait without end
	}
	return request{da, keep.match}, nil
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// keeper is a transport for one device authorization request that keeps a copy of match_number: x/oauth2 drops the
// members it doesn't know.
type keeper struct {
	next  http.RoundTripper
	match int
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	next := k.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var more struct {
		Match int `json:"match_number"`
	}
	if json.Unmarshal(body, &more) == nil && more.Match >= 10 && more.Match <= 99 {
		k.match = more.Match
	}
	return res, nil
}

// wait polls until the request is answered, refused or expired. The library keeps the interval and slow_down; a lost
// connection or a busy provider is no answer, so we go on, more slowly (RFC 8628 section 3.5).
func (p *provider) wait(ctx context.Context, log *slog.Logger, asked request) (*oauth2.Token, error) {
	da := *asked.DeviceAuthResponse
	for {
		token, err := p.oauth.DeviceAccessToken(p.outbound(ctx), &da)
		if err == nil || ctx.Err() != nil || !time.Now().Before(da.Expiry) || answered(err) {
			return token, err
		}
		log.Warn("poll failed, going on", "error", err)
		da.Interval = min(max(2*da.Interval, 5), 60)
	}
}

// answered reports whether an error is the provider's last word on a request.
func answered(err error) bool {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && e.ErrorCode != "" && e.ErrorCode != "temporarily_unavailable" && e.ErrorCode != "server_error"
}

// identity is what the tokens of a terminal say.
type identity struct {
	token  *oauth2.Token
	id     claims // verified
	info   claims // of userinfo, where there is any
	access claims // for display only
}

// read believes the ID token only after signature, issuer, audience and time fit.
func (p *provider) read(ctx context.Context, token *oauth2.Token) (*identity, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := p.idTokens.Verify(p.outbound(ctx), raw)
	if err != nil {
		return nil, err
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, err
		}
	}
	who := &identity{token: token, info: p.userinfo(ctx, token, id.Subject), access: decodeJWT(token.AccessToken)}
	return who, id.Claims(&who.id)
}

// userinfo asks for the name, which ID tokens need not hold (OIDC Core 5.4). The sign-in stands without it; what is
// said of another subject doesn't count (OIDC Core 5.3.2).
func (p *provider) userinfo(ctx context.Context, token *oauth2.Token, subject string) (c claims) {
	info, err := p.oidc.UserInfo(p.outbound(ctx), oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != subject || info.Claims(&c) != nil {
		return nil
	}
	return c
}

// refresh uses the refresh token up and returns what came in its place. A new ID token must speak of the same
// person (OIDC Core 12.2); where none comes, the old one stays.
func (p *provider) refresh(ctx context.Context, old *identity) (*identity, error) {
	spent := &oauth2.Token{RefreshToken: old.token.RefreshToken} // no access token, so the source must ask for one
	token, err := p.oauth.TokenSource(p.outbound(ctx), spent).Token()
	if err != nil {
		return nil, err
	}
	if raw, _ := token.Extra("id_token").(string); raw == "" {
		return &identity{token: token, id: old.id, info: old.info, access: decodeJWT(token.AccessToken)}, nil
	}
	who, err := p.read(ctx, token)
	if err == nil && who.id.text("sub") != old.id.text("sub") {
		err = errors.New("refreshed ID token speaks of another person")
	}
	return who, err
}

// revoke tells the provider that the grant is no longer wanted (RFC 7009).
func (p *provider) revoke(ctx context.Context, token string) error {
	if token == "" || p.revocation == "" {
		return nil
	}
	form := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation answered %s", res.Status)
	}
	return nil
}
