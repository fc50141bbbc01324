package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bench is the web page with its terminals.
type Bench struct {
	Log    *slog.Logger
	Client *http.Client // towards the provider

	poll    context.Context       // polls outlive the request that began them and end with the simulator
	ready   atomic.Pointer[table] // nil until the serial numbers and the provider are known
	trouble atomic.Pointer[string]
}

// table is what is on the bench once everything is known.
type table struct {
	provider  *provider
	terminals []*Terminal
}

// NewBench returns a bench that knows nothing yet.
func NewBench(ctx context.Context, log *slog.Logger) *Bench {
	return &Bench{Log: log, Client: &http.Client{Timeout: 15 * time.Second}, poll: ctx}
}

// prepare finds serial numbers and provider, however long it takes.
func (b *Bench) prepare(ctx context.Context, c Config) {
	w, err := c.find(ctx)
	if err != nil {
		return // only when ctx has ended
	}
	p, err := connect(ctx, b.Client, w.issuer, func(err error) {
		why := err.Error()
		b.trouble.Store(&why)
		b.Log.Warn("provider not ready, trying again", "issuer", w.issuer, "error", err)
	})
	if err != nil {
		return
	}
	keys, err := openKeys(c.Keys)
	if err == nil {
		err = b.lay(p, w.serials, keys)
	}
	if err != nil {
		why := err.Error()
		b.trouble.Store(&why)
		b.Log.Error("terminals have no keys", "error", err)
		return
	}
	b.Log.Info("provider found", "issuer", w.issuer, "terminals", len(w.serials))
}

// lay puts the terminals on the bench and lets each look for notices.
func (b *Bench) lay(p *provider, serials map[string]string, keys *keyFile) error {
	t := &table{provider: p}
	for _, kind := range kinds {
		serial := serials[kind]
		if serial == "" {
			continue
		}
		key, err := keys.of(serial)
		if err != nil {
			return err
		}
		one := &Terminal{Kind: kind, Serial: serial, log: b.Log, key: key}
		t.terminals = append(t.terminals, one)
		go one.Watch(b.poll, p)
	}
	b.ready.Store(t)
	return nil
}

// Handler returns all routes.
func (b *Bench) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.laid(b.show))
	mux.HandleFunc("GET /state", b.laid(func(w http.ResponseWriter, _ *http.Request, t *table) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(t.version()))
	}))
	mux.HandleFunc("POST /start", b.laid(b.startAll))
	mux.HandleFunc("POST /terminals/{kind}/{action}", b.laid(b.act))
	mux.HandleFunc("POST /terminals/{kind}/notices/{id}/{do}", b.laid(b.answer))
	mux.HandleFunc("GET /terminal.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "terminal.js")
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		b.render(w, r, http.StatusNotFound, problem{Title: "lost.title", Text: "lost.text"})
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.render(w, r, http.StatusForbidden, problem{Title: "foreign.title", Text: "foreign.text"})
	}))
	return b.headers(guard.Handler(mux))
}

// headers sets what every answer carries and bounds what every request may send.
func (b *Bench) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		style := "'none'"
		if t := b.ready.Load(); t != nil {
			if u, err := url.Parse(t.provider.issuer); err == nil {
				style = u.Scheme + "://" + u.Host
			}
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src "+style+
			"; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would send "Origin: null" with our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		next.ServeHTTP(w, r)
	})
}

// laid answers with the waiting page until everything is known.
func (b *Bench) laid(next func(http.ResponseWriter, *http.Request, *table)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if t := b.ready.Load(); t != nil {
			next(w, r, t)
			return
		}
		detail := ""
		if why := b.trouble.Load(); why != nil {
			detail = *why
		}
		again := "3" // seconds; the page holds nothing that a reload could take away
		if r.Method != http.MethodGet {
			again = "3; url=/"
		}
		w.Header().Set("Refresh", again)
		w.Header().Set("Retry-After", "3")
		b.render(w, r, http.StatusServiceUnavailable, problem{Title: "waiting.title", Text: "waiting.text", Detail: detail})
	}
}

func (b *Bench) startAll(w http.ResponseWriter, r *http.Request, t *table) {
	var all sync.WaitGroup
	for _, one := range t.terminals {
		if s := one.Status().State; s != SignedIn && s != Waiting {
			all.Go(func() { one.Start(r.Context(), b.poll, t.provider) })
		}
	}
	all.Wait()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// act is a button of one terminal.
func (b *Bench) act(w http.ResponseWriter, r *http.Request, t *table) {
	one := t.find(r.PathValue("kind"))
	if one == nil {
		b.render(w, r, http.StatusNotFound, problem{Title: "lost.title", Text: "lost.text"})
		return
	}
	switch r.PathValue("action") {
	case "start":
		one.Start(r.Context(), b.poll, t.provider)
	case "refresh":
		one.Refresh(r.Context(), t.provider)
	case "sign-out":
		one.SignOut(r.Context(), t.provider)
	default:
		b.render(w, r, http.StatusNotFound, problem{Title: "lost.title", Text: "lost.text"})
		return
	}
	http.Redirect(w, r, "/#"+one.Kind, http.StatusSeeOther)
}

// answer is a button under a notice.
func (b *Bench) answer(w http.ResponseWriter, r *http.Request, t *table) {
	one, do := t.find(r.PathValue("kind")), r.PathValue("do")
	if one == nil || do != "stop" && do != "confirm" {
		b.render(w, r, http.StatusNotFound, problem{Title: "lost.title", Text: "lost.text"})
		return
	}
	one.Answer(r.Context(), t.provider, r.PathValue("id"), do, strings.TrimSpace(r.PostFormValue("digits")))
	http.Redirect(w, r, "/#"+one.Kind, http.StatusSeeOther)
}

func (t *table) find(kind string) *Terminal {
	for _, one := range t.terminals {
		if one.Kind == kind {
			return one
		}
	}
	return nil
}

// version changes whenever a terminal does; the script of the page compares it.
func (t *table) version() string {
	parts := make([]string, len(t.terminals))
	for i, one := range t.terminals {
		parts[i] = fmt.Sprint(one.Status().Version)
	}
	return strings.Join(parts, ".")
}
