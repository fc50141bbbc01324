package server_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"hufu/idp"
)

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	must(t, err)
	return b
}

// zitadel is a relying party of zitadel/oidc behind a server of its own.
type zitadel struct {
	rp.RelyingParty
	*httptest.Server
	tokens *oidc.Tokens[*oidc.IDTokenClaims]
	info   *oidc.UserInfo
}

func newZitadel(t *testing.T, w *demoWorld, name string, style rp.Option, scopes ...string) *zitadel {
	t.Helper()
	mux := http.NewServeMux()
	z := &zitadel{Server: httptest.NewServer(mux)}
	t.Cleanup(z.Close)
	c := w.Clients[name]
	home := strings.Replace(z.URL, "127.0.0.1", "localhost", 1)
	cookies := httphelper.NewCookieHandler([]byte("0123456789abcdef0123456789abcdef"), nil, httphelper.WithUnsecure())
	options := []rp.Option{rp.WithPKCE(cookies), rp.WithCookieHandler(cookies), rp.WithSigningAlgsFromDiscovery(), rp.WithVerifierOpts(rp.WithIssuedAtMaxAge(time.Minute), rp.WithAuthTimeMaxAge(time.Hour))}
	if style != nil {
		options = append(options, style)
	}
	var err error
	z.RelyingParty, err = rp.NewRelyingPartyOIDC(t.Context(), w.Issuer, c.ID, c.Secret, home+"/callback", scopes, options...)
	must(t, err)
	mux.Handle("/login", rp.AuthURLHandler(idp.NewToken, z, rp.WithPromptURLParam("select_account")))
	mux.Handle("/callback", rp.CodeExchangeHandler(rp.UserinfoCallback(
		func(rw http.ResponseWriter, _ *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty, info *oidc.UserInfo) {
			z.tokens, z.info = tokens, info
			_, _ = rw.Write([]byte("welcome"))
		}), z))
	return z
}

// home is where the browser knows the relying party: one host, other ports.
func (z *zitadel) home() string { return strings.Replace(z.URL, "127.0.0.1", "localhost", 1) }

func TestZitadelRelyingParty(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		for name, who := range map[string]string{"merchant_app": "owner", "merchant_web": "manager"} {
			z := newZitadel(t, w, name, nil, "openid", "profile", "email", "offline_access", "merchant")
			b := w.browser(t)
			b.client.CheckRedirect = nil // one browser walks between both
			b.open(z.home()+"/login").see(200, "").signIn(who)
			if z.tokens == nil || b.Body != "welcome" {
				t.Fatalf("%s: not signed in: %d %s", name, b.Status, b.Body)
			}
			if z.info.Subject != z.tokens.IDTokenClaims.Subject || z.info.PreferredUsername != w.Users[who].Username || z.info.Email != w.Users[who].Email {
				t.Errorf("%s: userinfo %+v", name, z.info)
			}
			next, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), z, z.tokens.RefreshToken, "", "")
			must(t, err)
			if next.IDTokenClaims.Subject != z.info.Subject || next.RefreshToken == z.tokens.RefreshToken {
				t.Errorf("%s: refreshed %+v", name, next)
			}
			// The library asks for the sign-out itself; the browser goes where it is told.
			home := w.Clients[name].PostLogout
			next2, err := rp.EndSession(t.Context(), z, next.IDToken, home, "bye", "", nil)
			must(t, err)
			b = b.world.follow(b)
			b.open(next2.String())
			if b.Left == nil || b.Left.String() != home+"?state=bye" {
				t.Errorf("%s: after sign-out at %s, left for %v", name, b.URL, b.Left)
			}
			if b.open("/account"); b.URL.Path == "/account" {
				t.Errorf("%s: still signed in", name)
			}
			must(t, rp.RevokeToken(t.Context(), z, next.RefreshToken, "refresh_token"))
			if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), z, next.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
				t.Errorf("%s: refresh after revocation: %v", name, err)
			}
		}
	})
}

// follow gives a browser the manners of this world's back: it stops at other hosts.
func (w *demoWorld) follow(b *browser) *browser {
	fresh := w.browser(b.t)
	fresh.client.Jar = b.client.Jar
	return fresh
}

func TestZitadelDeviceFlow(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		z := newZitadel(t, w, "terminal", rp.WithHTTPClient(&http.Client{Transport: w.key}), "openid", "offline_access", "terminal")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		d, err := rp.DeviceAuthorization(ctx, []string{"openid", "offline_access"}, z, nil)
		must(t, err)
		if d.UserCode == "" || !strings.HasPrefix(d.VerificationURIComplete, w.Issuer+"/device?") || d.Interval != 5 {
			t.Errorf("answer %+v", d)
		}
		b := w.browser(t)
		b.open(d.VerificationURIComplete).see(200, "").signIn("owner").see(200, "")
		match := ""
		stored, err := w.Service.Store.DeviceRequestByUserCode(ctx, strings.ReplaceAll(d.UserCode, "-", ""), time.Now())
		must(t, err)
		match = deviceAnswer{Match: stored.Match}.number()
		b.submit("do", "approve", "match", match).see(200, "")
		token, err := rp.DeviceAccessToken(ctx, d.DeviceCode, 2*time.Second, z) // it bounds each poll by the interval, too
		must(t, err)
		if token.AccessToken == "" || token.RefreshToken == "" || token.IDToken == "" {
			t.Errorf("tokens %+v", token)
		}
		if _, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, token.AccessToken, token.IDToken, z.IDTokenVerifier()); err != nil {
			t.Errorf("ID token: %v", err)
		}
	})
}
