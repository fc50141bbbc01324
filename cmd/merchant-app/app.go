package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

var scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, "phone", oidc.ScopeEmail, oidc.ScopeOfflineAccess, "merchant", "payments:read"}

// App is the whole application; its exported fields are fixed at start.
type App struct {
	Config
	Log    *slog.Logger
	Client *http.Client // towards the provider and the takings resource

	sessions Sessions
	provider atomic.Pointer[provider] // nil until discovery has succeeded
	trouble  atomic.Pointer[string]   // why it has not, in the words of the last attempt
}

// provider is what discovery told, ready to use.
type provider struct {
	oidc       *oidc.Provider
	oauth      oauth2.Config
	idTokens   *oidc.IDTokenVerifier
	access     *oidc.IDTokenVerifier
	endSession string
	revocation string
	namesIss   bool // it promises `iss` in every authorization response (RFC 9207 section 3)
}

// NewApp returns an app that knows no provider yet.
func NewApp(c Config, log *slog.Logger) *App {
	return &App{Config: c, Log: log, Client: &http.Client{Timeout: 15 * time.Second}}
}

// connect tries discovery until it works: the provider may start after us.
func (a *App) connect(ctx context.Context) {
	wait := 250 * time.Millisecond
	for {
		p, err := a.discover(ctx)
		if err == nil {
			a.provider.Store(p)
			a.Log.Info("provider found", "issuer", a.Issuer)
			return
		}
		if ctx.Err() != nil {
			return
		}
		why := err.Error()
		a.trouble.Store(&why)
		a.Log.Warn("provider not ready, trying again", "issuer", a.Issuer, "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (a *App) discover(ctx context.Context) (*provider, error) {
	ctx = oidc.ClientContext(ctx, a.Client)
	op, err := oidc.NewProvider(ctx, a.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		EndSession string `json:"end_session_endpoint"`
		Revocation string `json:"revocation_endpoint"`
		JWKS       string `json:"jwks_uri"`
		NamesIss   bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := op.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := op.Endpoint()
	// Say how we authenticate: the library would otherwise try both ways, and a second try burns the one-time code.
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	if a.ClientSecret != "" {
		endpoint.AuthStyle = oauth2.AuthStyleInHeader
	}
	keys := keySet{oidc.NewRemoteKeySet(ctx, more.JWKS)}
	return &provider{
		oidc: op, endSession: more.EndSession, revocation: more.Revocation, namesIss: more.NamesIss,
		oauth:    oauth2.Config{ClientID: a.ClientID, ClientSecret: a.ClientSecret, Endpoint: endpoint, RedirectURL: a.URL + "/callback", Scopes: scopes},
		idTokens: op.Verifier(&oidc.Config{ClientID: a.ClientID}),
		// The resource looks at the audience itself (takings.go), because it answers to more than one.
		access: oidc.NewVerifier(a.Issuer, keys, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256}}),
	}, nil
}

// outbound is the context for calls to the provider: our client, the caller's deadline.
func (a *App) outbound(r *http.Request) context.Context {
	return oidc.ClientContext(r.Context(), a.Client)
}

// Handler returns all routes.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /sign-in", a.ready(a.signIn))
	mux.HandleFunc("GET /callback", a.ready(a.callback))
	mux.HandleFunc("POST /refresh", a.ready(a.refresh))
	mux.HandleFunc("POST /takings", a.ready(a.callTakings))
	mux.HandleFunc("POST /sign-out", a.ready(a.signOut))
	mux.HandleFunc("GET /api/takings", a.takings)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		a.render(w, r, http.StatusNotFound, problem{Title: "lost.title", Text: "lost.text"})
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.render(w, r, http.StatusForbidden, problem{Title: "foreign.title", Text: "foreign.text"})
	}))
	return a.headers(guard.Handler(mux))
}

// headers sets what every answer carries and bounds what every request may send.
func (a *App) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", a.contentPolicy())
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would send "Origin: null" with our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		next.ServeHTTP(w, r)
	})
}

// contentPolicy allows the provider's stylesheet, and forms that end there: browsers hold form-action against redirects too.
func (a *App) contentPolicy() string {
	forms := []string{"'self'", origin(a.Issuer)}
	if p := a.provider.Load(); p != nil {
		for _, u := range []string{p.oauth.Endpoint.AuthURL, p.endSession} {
			if o := origin(u); o != "" && !slices.Contains(forms, o) {
				forms = append(forms, o)
			}
		}
	}
	return "default-src 'none'; style-src " + origin(a.Issuer) + "; form-action " + strings.Join(forms, " ") +
		"; base-uri 'none'; frame-ancestors 'none'"
}

// origin returns scheme and host of an address, or nothing.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// ready answers with the waiting page until the provider is known.
func (a *App) ready(next func(http.ResponseWriter, *http.Request, *provider)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p := a.provider.Load(); p != nil {
			next(w, r, p)
			return
		}
		a.waiting(w, r)
	}
}

func (a *App) waiting(w http.ResponseWriter, r *http.Request) {
	detail := ""
	if why := a.trouble.Load(); why != nil {
		detail = *why
	}
	w.Header().Set("Retry-After", "3")
	again := "3" // seconds; the page holds nothing that a reload could take away
	if r.Method != http.MethodGet {
		again = "3; url=/"
	}
	w.Header().Set("Refresh", again)
	a.render(w, r, http.StatusServiceUnavailable, problem{Title: "waiting.title", Text: "waiting.text", Detail: detail})
}
