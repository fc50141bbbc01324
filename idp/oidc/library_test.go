package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"hufu/idp/web"
)

// A client library that is not ours goes through discovery, code, verification,
// userinfo and refresh.
func TestWithGoOIDC(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.h.ServeHTTP(rw, r.WithContext(web.WithPeer(r.Context(), netipPeer)))
		}))
		t.Cleanup(ts.Close)
		w.p.Issuer = ts.URL
		provider, err := oidc.NewProvider(ctx, ts.URL)
		w.must(err)
		for client, s := range map[string]string{"app": "", "shop": secret} {
			conf := oauth2.Config{ClientID: client, ClientSecret: s, Endpoint: provider.Endpoint(), RedirectURL: query(client).Get("redirect_uri"), Scopes: []string{"openid", "profile", "offline_access"}}
			code := w.codeWith(w.signIn(w.owner, true, time.Now()), client, "code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
			token, err := conf.Exchange(ctx, code, oauth2.VerifierOption(verifier))
			w.must(err)
			raw, _ := token.Extra("id_token").(string)
			id, err := provider.Verifier(&oidc.Config{ClientID: client}).Verify(ctx, raw)
			w.must(err)
			if id.Nonce != "n0nce" || id.VerifyAccessToken(token.AccessToken) != nil {
				t.Errorf("%s: nonce %q or at_hash", client, id.Nonce)
			}
			info, err := provider.UserInfo(ctx, conf.TokenSource(ctx, token))
			if err != nil || info.Subject != w.owner.ID {
				t.Errorf("%s: userinfo: %v", client, err)
			}
			token.Expiry = time.Now().Add(-time.Hour)
			fresh, err := conf.TokenSource(ctx, token).Token()
			if err != nil || fresh.RefreshToken == token.RefreshToken {
				t.Errorf("%s: refresh: %v", client, err)
			}
		}
	})
}

// The device flow of x/oauth2, which waits and polls by itself, over a transport that
// proves a key.
func TestWithOAuth2Device(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.h.ServeHTTP(rw, r.WithContext(web.WithPeer(r.Context(), netipPeer)))
		}))
		t.Cleanup(ts.Close)
		conf := oauth2.Config{ClientID: "terminal", Scopes: []string{"openid", "offline_access"},
			Endpoint: oauth2.Endpoint{DeviceAuthURL: ts.URL + "/device_authorization", TokenURL: ts.URL + "/token", AuthStyle: oauth2.AuthStyleInParams}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		w.key.Origin = issuer
		ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: w.key})
		d, err := conf.DeviceAuth(ctx, oauth2.SetAuthURLParam("terminal_serial", w.terminal.Serial))
		w.must(err)
		w.approve(d.UserCode, w.owner, true)
		d.Interval = 1
		token, err := conf.DeviceAccessToken(ctx, d)
		if err != nil || token.RefreshToken == "" || token.Type() != "DPoP" {
			t.Fatalf("%v %+v", err, token)
		}
		res, err := conf.Client(ctx, token).Get(ts.URL + "/userinfo")
		if err != nil || res.StatusCode != 200 {
			t.Errorf("userinfo: %v %v", res, err)
		}
		token.Expiry = time.Now().Add(-time.Hour)
		if fresh, err := conf.TokenSource(ctx, token).Token(); err != nil || fresh.RefreshToken == token.RefreshToken {
			t.Errorf("refresh: %v", err)
		}
	})
}

// A database that is down is 503 everywhere, with a time to come back.
func TestDatabaseDown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.tokens("app")["refresh_token"].(string)
		code := w.code("app")
		shut(t, w)
		for path, form := range map[string]map[string][]string{"/token": refreshing(token), "/revoke": {"token": {token}}, "/device_authorization": {"scope": {"openid"}}} {
			client := map[string]string{"/device_authorization": "terminal"}[path]
			if client == "" {
				client = "app"
			}
			res, answer := w.post(path, client, form)
			if res.StatusCode != 503 || answer["error"] != "temporarily_unavailable" || res.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %v", path, res.StatusCode, answer)
			}
		}
		res, answer := w.post("/token", "app", exchange("app", code))
		if res.StatusCode != 503 {
			t.Errorf("code: %d %v", res.StatusCode, answer)
		}
		if res := w.get("/authorize?"+query("app").Encode(), "hufu-s=x"); res.StatusCode != 503 {
			t.Errorf("authorize: %d", res.StatusCode)
		}
	})
}

// shut closes the store; a second close at the end of the test does no harm.
func shut(t *testing.T, w *world) {
	t.Helper()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
}
