package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const twoFactors = "urn:hufu:acr:2"

// signIn sends the browser to the provider and remembers what must come back.
func (a *App) signIn(w http.ResponseWriter, r *http.Request, p *provider) {
	browser := rand.Text()
	if c, err := r.Cookie(browserCookie); err == nil && len(c.Value) == len(browser) {
		browser = c.Value // another tab of this browser may be signing in as well
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	a.sessions.begin(state, Pending{browser: browser, nonce: nonce, verifier: verifier})
	a.setCookie(w, browserCookie, browser, pendingLife)
	options := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("ui_locales", language(r))}
	if r.PostFormValue("level") == "2" {
		options = append(options, oauth2.SetAuthURLParam("acr_values", twoFactors))
	}
	http.Redirect(w, r, p.oauth.AuthCodeURL(state, options...), http.StatusSeeOther)
}

// callback ends a sign-in. Nothing in the request counts before state has shown that this browser asked for it.
func (a *App) callback(w http.ResponseWriter, r *http.Request, p *provider) {
	q := r.URL.Query()
	browser := ""
	if c, err := r.Cookie(browserCookie); err == nil {
		browser = c.Value
	}
	pending, ok := a.sessions.take(q.Get("state"), browser)
	if !ok {
		a.render(w, r, http.StatusBadRequest, problem{Title: "state.title", Text: "state.text", Again: true})
		return
	}
	// RFC 9207 section 2.4: an answer that names another issuer, or none where one is promised, is another server's.
	if iss, named := q.Get("iss"), q.Has("iss"); iss != a.Issuer && (named || p.namesIss) {
		a.refuse(w, r, "iss", fmt.Errorf("answer of issuer %q", iss))
		return
	}
	if code := q.Get("error"); code != "" {
		a.render(w, r, http.StatusOK, providerProblem(code, q.Get("error_description")))
		return
	}
	fresh, err := a.redeem(a.outbound(r), p, q.Get("code"), pending)
	if err != nil {
		a.refuse(w, r, "exchange", err)
		return
	}
	a.sessions.close(r)
	a.setCookie(w, sessionCookie, a.sessions.open(fresh), sessionLife)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// refuse logs why and says in words that the sign-in did not happen.
func (a *App) refuse(w http.ResponseWriter, r *http.Request, stage string, err error) {
	a.Log.Warn("sign-in refused", "stage", stage, "error", err)
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.ErrorCode != "" {
		a.render(w, r, http.StatusBadGateway, providerProblem(answer.ErrorCode, answer.ErrorDescription))
		return
	}
	a.render(w, r, http.StatusBadRequest, problem{Title: "refused.title", Text: "refused." + stage, Again: true})
}

// redeem exchanges the code and believes the ID token only after signature, audience, time, nonce and at_hash fit.
func (a *App) redeem(ctx context.Context, p *provider, code string, pending Pending) (*Session, error) {
	token, err := p.oauth.Exchange(ctx, code, oauth2.VerifierOption(pending.verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.idTokens.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(pending.nonce)) != 1 {
		return nil, errors.New("ID token carries another nonce")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, err
		}
	}
	s := &Session{token: token, rawID: raw, access: decodeJWT(token.AccessToken)}
	if err := id.Claims(&s.identity); err != nil {
		return nil, err
	}
	return s, a.fetchUserinfo(ctx, p, s)
}

// fetchUserinfo asks for the claims at the userinfo endpoint; they count only for the same subject (OIDC Core 5.3.2).
func (a *App) fetchUserinfo(ctx context.Context, p *provider, s *Session) error {
	info, err := p.oidc.UserInfo(ctx, oauth2.StaticTokenSource(s.token))
	if err != nil {
		return err
	}
	if info.Subject != s.identity["sub"] {
		return errors.New("userinfo speaks of another subject")
	}
	s.userinfo = nil
	return info.Claims(&s.userinfo)
}

// refresh rotates the tokens at the wish of the person.
func (a *App) refresh(w http.ResponseWriter, r *http.Request, p *provider) {
	s := a.sessions.find(r)
	if s == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := a.rotate(a.outbound(r), p, s)
	if err == nil {
		err = a.fetchUserinfo(a.outbound(r), p, s)
	}
	if a.ended(w, r, err) {
		return
	}
	s.note = &notice{Kind: "ok", Key: "refreshed"}
	if err != nil {
		a.Log.Warn("refresh failed", "error", err)
		s.note = &notice{Kind: "bad", Key: "refresh.failed"}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// ended closes the session when the provider no longer knows the grant, and says so.
func (a *App) ended(w http.ResponseWriter, r *http.Request, err error) bool {
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || answer.ErrorCode != "invalid_grant" {
		return false
	}
	a.sessions.close(r)
	a.setCookie(w, sessionCookie, "", 0)
	a.render(w, r, http.StatusOK, problem{Title: "ended.title", Text: "ended.text", Again: true})
	return true
}

// rotate uses the refresh token and keeps its successor. The caller holds s.mu.
func (a *App) rotate(ctx context.Context, p *provider, s *Session) error {
	spent := &oauth2.Token{RefreshToken: s.token.RefreshToken} // no access token, so the source must ask for one
	token, err := p.oauth.TokenSource(ctx, spent).Token()
	if err != nil {
		return err
	}
	if raw, _ := token.Extra("id_token").(string); raw != "" {
		id, err := p.idTokens.Verify(ctx, raw)
		if err != nil {
			return err
		}
		if id.Subject != s.identity["sub"] { // OIDC Core 12.2
			return errors.New("refreshed ID token speaks of another subject")
		}
		s.rawID, s.identity = raw, nil
		if err := id.Claims(&s.identity); err != nil {
			return err
		}
	}
	s.token, s.access = token, decodeJWT(token.AccessToken)
	return nil
}

// signOut forgets the session, revokes its grant and lets the provider end its own session (OIDC RP-Initiated Logout).
func (a *App) signOut(w http.ResponseWriter, r *http.Request, p *provider) {
	s := a.sessions.find(r)
	a.sessions.close(r)
	a.setCookie(w, sessionCookie, "", 0)
	if s == nil || p.endSession == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := a.revoke(a.outbound(r), p, s.token.RefreshToken); err != nil {
		a.Log.Warn("refresh token not revoked", "error", err)
	}
	http.Redirect(w, r, a.logoutURL(p, s.rawID, language(r)), http.StatusSeeOther)
}

func (a *App) logoutURL(p *provider, hint, lang string) string {
	v := url.Values{"id_token_hint": {hint}, "client_id": {a.ClientID}, "post_logout_redirect_uri": {a.URL + "/"},
		"state": {"signed-out"}, "ui_locales": {lang}}
	sep := "?"
	if strings.Contains(p.endSession, "?") {
		sep = "&"
	}
	return p.endSession + sep + v.Encode()
}

// revoke tells the provider that a token is no longer wanted (RFC 7009).
func (a *App) revoke(ctx context.Context, p *provider, token string) error {
	if token == "" || p.revocation == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	v := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}
	if a.ClientSecret == "" {
		v.Set("client_id", a.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.revocation, strings.NewReader(v.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.ClientSecret != "" {
		req.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(a.ClientSecret)) // RFC 6749 section 2.3.1
	}
	res, err := a.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation answered %s", res.Status)
	}
	return nil
}
