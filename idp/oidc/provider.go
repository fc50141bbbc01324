package oidc

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/web"
	"hufu/storage"
)

// Provider serves the OAuth 2 and OpenID Connect endpoints. Its exported fields are
// set once, before [Provider.Start] and [Provider.Routes].
type Provider struct {
	Store  *storage.Store
	Site   *web.Site
	Policy *policy.Live
	Issuer string // origin, without a slash at its end
	Log    *slog.Logger

	// Loopback multiplies what loopback networks may ask; 0: nothing. The
	// demonstration world gives them room.
	Loopback int

	// Admit refuses a network that makes too many requests that must be remembered;
	// nil admits all.
	Admit func(ctx context.Context) error

	// Tokens bounds what a network, or a known browser, asks of the token endpoint: a share
	// beside that of the pages, so that these use up nothing of it.
	Tokens *web.Flood

	// Stop does what people at a terminal ask who answer a notice with stop, in the
	// transaction of their answer.
	Stop func(ctx context.Context, n idp.TerminalNotice, at idp.Terminal) (stopped bool, err error)

	once sync.Once
	core *fosite.Fosite
	ring keyringPointer
}

// fosite returns the library, set up once.
func (p *Provider) fosite() *fosite.Fosite {
	p.once.Do(func() { p.core = p.newFosite() })
	return p.core
}

// Routes puts every endpoint on mux. Methods are looked at by the handlers, which
// answer a wrong one in their own form.
func (p *Provider) Routes(mux *http.ServeMux) {
	public := func(path string, h web.Handler) { mux.Handle(path, p.cors(p.endpoint(h), "GET")) }
	public("/.well-known/openid-configuration", p.discovery)
	public("/.well-known/oauth-authorization-server", p.discovery)
	public("/jwks", p.jwks)

	mux.Handle("/token", p.cors(p.endpoint(p.token), "POST"))
	mux.Handle("/revoke", p.cors(p.endpoint(p.revoke), "POST"))
	mux.Handle("/userinfo", p.cors(p.endpoint(p.userinfo), "GET, POST"))
	mux.Handle("/introspect", p.endpoint(p.introspect))
	mux.Handle("/device_authorization", p.endpoint(p.deviceAuthorization))
	mux.Handle("/par", p.endpoint(p.push))

	mux.Handle("/terminal/notices", p.endpoint(p.terminalNotices))
	mux.Handle("/terminal/notices/{id}", p.endpoint(p.answerNotice))

	mux.Handle("/authorize", p.page(p.authorize))
	mux.Handle("/logout", p.page(p.logout))
	mux.Handle("/logout/confirm", p.page(p.confirmLogout))
}
