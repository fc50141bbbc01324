// Package server builds one http.Handler from everything: it opens the store, fills
// every component by one literal, mounts the routes and runs the background jobs.
//
// Routes of its own: / (start), /help, /healthz, /readyz, /static/, and with the flag
// demo /dev/messages. Invariant: what is drawn, linked or published comes from
// [Config], never from a request's host.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"hufu/flows"
	"hufu/flows/factor/backup"
	"hufu/flows/factor/code"
	"hufu/flows/factor/passkey"
	"hufu/flows/factor/password"
	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/admin"
	"hufu/idp/manage"
	"hufu/idp/notify"
	"hufu/idp/oidc"
	"hufu/idp/phc"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/static"
	"hufu/storage"
	"hufu/templates"
)

// Server is the assembled service.
type Server struct {
	Store   *storage.Store
	site    *web.Site
	policy  *policy.Live
	log     *slog.Logger
	mux     *http.ServeMux
	handler http.Handler
	stop    context.CancelFunc
	jobs    sync.WaitGroup
	demo    *world
	flows   *flows.Engine
	deliver *notify.Deliverer // nil: in the demonstration world
	lists   func() error      // closes what passwords are compared with
	keys    *passkey.Factor   // nil: an issuer without a name has no passkeys
	replica storage.Replica   // this process
}

// New assembles the service that cfg describes, brings the schema up to date and
// makes what is missing: signing keys, and with demo the demonstration world.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Server, error) {
	ring, err := cfg.Ring()
	if err != nil {
		return nil, err
	}
	store, err := storage.Open(ctx, cfg.Database.DSN.Reveal(), ring, log)
	if err != nil {
		return nil, err
	}
	s := &Server{Store: store, policy: policy.NewLive(policy.Default()), log: log, mux: http.NewServeMux()}
	if err := store.Migrate(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	flowsOf := &web.Flood{PerMinute: cfg.Limits.FlowsPerMinute}
	sessions := &session.Manager{Store: store, Policy: s.policy, Ring: ring, Secure: cfg.Secure(), Network: web.Network, Device: web.Device, Log: log}
	sessions.Admit = func(r *http.Request) error { return admit(flowsOf, web.Share(r.Context())) }
	s.site = &web.Site{Sessions: sessions, Issuer: cfg.Issuer, Operator: cfg.Operator, Demo: cfg.Demo, Zone: cfg.Location(), Log: log}
	hasher := phc.NewHasher(runtime.NumCPU())
	s.flows = &flows.Engine{Store: store, Sessions: sessions, Site: s.site, Policy: s.policy, Hasher: hasher, Log: log,
		Password: password.Factor{Hasher: hasher}, TOTP: totp.Factor{Issuer: cfg.Operator}, Code: code.Factor{Policy: s.policy, Host: issuer.Hostname()},
		Backup: backup.Factor{Hasher: hasher}, Wake: make(chan struct{}, 1)}
	engine := s.flows
	if engine.Passkey, err = cfg.passkeys(log); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.keys = engine.Passkey
	if engine.Lists, s.lists, err = cfg.PasswordLists(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if engine.Places, err = cfg.places(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if s.deliver, err = s.deliverer(cfg); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	provider := &oidc.Provider{Store: store, Site: s.site, Policy: s.policy, Issuer: cfg.Issuer, Tokens: &web.Flood{PerMinute: cfg.Limits.RequestsPerMinute}, Log: log}
	sessions.Copied, provider.Stop = engine.Copied, engine.StopAt
	manager := &manage.Manager{Store: store, Policy: s.policy, Lists: engine.Lists, Issuer: cfg.Issuer, Invite: invitation(cfg.Operator), NewKeys: oidc.NewKeys, Notify: engine.Notice, Announce: engine.Announce, Zone: cfg.Location(), ShowOnTerminal: engine.ShowShopCode, Tell: engine.CaseNotice, CaseLink: engine.CaseLink, Freeze: engine.FreezeFor, VoidRecovery: engine.VoidRecovery, Wake: make(chan struct{}, 1)}
	keep := &keeper{Server: s, manage: manager}
	if err := keep.found(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.replica = newReplica()
	console := &admin.Console{Manage: manager, Site: s.site, Store: store, Passkeys: engine.Passkey != nil, Version: s.replica.Version, Replica: s.replica.ID}
	if cfg.Demo {
		engine.Loopback, provider.Loopback = 100, 100
		if s.demo, err = openWorld(ctx, store, hasher, cfg); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	if !cfg.Demo {
		if err := refuseWorld(ctx, store); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	asked := &web.Flood{PerMinute: 2 * cfg.Limits.FlowsPerMinute}
	provider.Admit = func(ctx context.Context) error { return admit(asked, web.Share(ctx)) }
	if err := provider.Start(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	engine.Routes(s.mux)
	provider.Routes(s.mux)
	console.Routes(s.mux)
	s.routes()
	guard := &web.Guard{Peer: func(r *http.Request) netip.Addr { return ClientAddr(r, cfg.Proxies) }, BodyBytes: cfg.Limits.BodyBytes, Room: admin.Room, Secure: cfg.Secure(),
		Flood: &web.Flood{PerMinute: cfg.Limits.RequestsPerMinute}, Site: s.site, Log: log}
	s.handler = guard.Wrap(keep.fresh(s.sameOrigin(http.HandlerFunc(s.route))))
	s.run(keep)
	return s, nil
}

func admit(f *web.Flood, key string) error {
	if until, ok := f.Allow(key); !ok {
		return &idp.Error{Kind: idp.Limited, Msg: "problem.429.text", Until: until, Reason: "flood"}
	}
	return nil
}

// invitation words the message that lets an invited person in.
func invitation(operator string) func(to idp.ChannelKind, lang, link, name string) (subject, text, html string, err error) {
	return func(to idp.ChannelKind, lang, link, name string) (subject, text, html string, err error) {
		letter := templates.Letter{Name: name, Operator: operator, Link: link, At: time.Now()}
		if to == idp.ChannelSMS {
			text, err = templates.SMS(lang, "invite", letter)
			return "", text, "", err
		}
		return templates.Message(lang, "invite", letter)
	}
}

// Handler serves every route.
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends background work and closes the store.
func (s *Server) Close() error {
	s.stop()
	s.jobs.Wait()
	return errors.Join(s.Store.Close(), s.lists())
}

func (s *Server) routes() {
	s.mux.Handle("GET /static/", static.Handler())
	s.mux.Handle("GET /{$}", s.site.Page(s.start))
	s.mux.Handle("GET /help", s.site.Page(s.help))
	s.mux.Handle("GET /help/{topic}", s.site.Page(s.help))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.Handle("GET /.well-known/webauthn", s.site.Page(s.relatedOrigins))
	if s.demo != nil {
		s.mux.Handle("GET /dev/messages", s.site.Page(s.messages))
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// ready says whether this process can serve: database and signing keys answer.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	err := s.Store.Ready(ctx)
	if err == nil {
		var keys []storage.SigningKey
		if keys, err = s.Store.SigningKeys(ctx); err == nil && len(keys) == 0 {
			err = errors.New("no signing keys")
		}
	}
	if err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
		plain(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	plain(w, http.StatusOK, "ok")
}

// start leads to the demonstration's start page, or to one's own pages.
func (s *Server) start(w http.ResponseWriter, r *http.Request) error {
	if s.demo != nil {
		return s.demo.start(w, r, s)
	}
	return web.Redirect(w, r, "/sign-in")
}

// crossOrigin are the endpoints that other sites' pages and servers post to: they
// act for no cookie, or take the browser back to a GET of their own.
var crossOrigin = []string{"/authorize", "/token", "/userinfo", "/introspect", "/revoke", "/par", "/device_authorization", "/logout"}

// sameOrigin refuses changes that another site's page asks for (Sec-Fetch-Site,
// else Origin against Host).
func (s *Server) sameOrigin(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	for _, path := range crossOrigin {
		guard.AddInsecureBypassPattern(path)
	}
	guard.SetDenyHandler(s.site.Page(func(http.ResponseWriter, *http.Request) error { return idp.Errorf(idp.Forbidden, "problem.403.text") }))
	return guard.Handler(next)
}

// requestMost is how long a request may wait for the database: one that is cut off
// without a word must not gather requests.
const requestMost = 10 * time.Second

// route serves a request, and draws our own page where no route fits.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestMost)
	defer cancel()
	r = r.WithContext(ctx)
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	miss := &missed{header: http.Header{}}
	h.ServeHTTP(miss, r)
	if loc := miss.header.Get("Location"); loc != "" && miss.status/100 == 3 { // a path that only needs cleaning
		_ = web.Redirect(w, r, loc)
		return
	}
	if allow := miss.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	status := miss.status
	if status != http.StatusMethodNotAllowed {
		status = http.StatusNotFound
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		plain(w, status, http.StatusText(status))
		return
	}
	if err := s.site.Write(w, r, status, templates.Problem{Status: status, RequestID: web.RequestID(r.Context())}); err != nil {
		s.log.ErrorContext(r.Context(), "page failed", "error", err)
	}
}

// missed takes what the mux says about a request that no route fits.
type missed struct {
	header http.Header
	status int
}

func (m *missed) Header() http.Header         { return m.header }
func (m *missed) Write(b []byte) (int, error) { return len(b), nil }
func (m *missed) WriteHeader(status int)      { m.status = status }

// run starts the background jobs. They are safe on every replica at once.
func (s *Server) run(keep *keeper) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	if s.deliver != nil {
		s.jobs.Go(func() { s.deliver.Run(ctx) })
	}
	s.jobs.Go(func() { keep.simulate(ctx) })
	s.every(ctx, time.Hour, "heartbeat", func() error { return s.beat(ctx) })
	s.every(ctx, time.Hour, "sweep", func() error { return s.Store.Sweep(ctx, time.Now()) })
	s.jobs.Go(func() { s.recoveries(ctx) })
	s.every(ctx, manage.AdoptionPause, "adoption", func() error { return keep.manage.KeepAdoption(ctx, time.Now()) })
	s.every(ctx, 6*time.Hour, "digest", func() error { return s.flows.Digest(ctx) })
}

// recoveries tells of recoveries that wait, when it is due to be told.
func (s *Server) recoveries(ctx context.Context) {
	for {
		var next time.Time
		s.note(ctx, "recoveries", func() (err error) {
			next, err = s.flows.TellRecoveries(ctx)
			return err
		})
		pause := time.NewTimer(max(time.Second, time.Until(next)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		case <-s.flows.Wake:
			pause.Stop()
		}
	}
}

// every does a job now and again after each pause until the server stops.
func (s *Server) every(ctx context.Context, pause time.Duration, name string, job func() error) {
	s.jobs.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			s.note(ctx, name, job)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}
