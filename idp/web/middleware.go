package web

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/session"
)

type peerKey struct{}
type requestKey struct{}

// Peer is the address of who asks, as the proxies that are trusted tell it.
func Peer(ctx context.Context) netip.Addr {
	a, _ := ctx.Value(peerKey{}).(netip.Addr)
	return a
}

// WithPeer returns a context whose Peer is the address; for tests and commands.
func WithPeer(ctx context.Context, a netip.Addr) context.Context {
	return context.WithValue(ctx, peerKey{}, a.Unmap())
}

// Network is the peer's network as events keep it: /24 or /48.
func Network(ctx context.Context) string {
	return prefix(Peer(ctx), 24, 48)
}

// LimitKey is the peer's network as throttling counts it: the IPv4 address, or the
// IPv6 /64.
func LimitKey(ctx context.Context) string {
	return prefix(Peer(ctx), 32, 64)
}

// WiderKeys are the networks around an IPv6 peer that one customer may hold: /56,
// /48. An IPv4 peer has none.
func WiderKeys(ctx context.Context) []string {
	a := Peer(ctx)
	if !a.Is6() {
		return nil
	}
	return []string{prefix(a, 32, 56), prefix(a, 32, 48)}
}

func prefix(a netip.Addr, v4, v6 int) string {
	if !a.IsValid() {
		return ""
	}
	bits := v6
	if a.Is4() {
		bits = v4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// RequestID names the request in the log and on error pages.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Guard is the middleware around every route.
type Guard struct {
	Peer      func(r *http.Request) netip.Addr
	BodyBytes int64
	Room      func(r *http.Request) int64 // what some requests may carry, when that is more; 0 for others
	Secure    bool                        // https: HSTS
	Flood     *Flood
	Site      *Site
	Log       *slog.Logger
}

// Wrap puts request id, log line, security headers, body limit, flood limit and
// the last resort for panics around a handler.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx := WithPeer(context.WithValue(r.Context(), requestKey{}, idp.NewID()), g.Peer(r))
		r = r.WithContext(ctx)
		ctx = context.WithValue(ctx, shareKey{}, FloodKey(g.Site.Sessions, r))
		r = r.WithContext(ctx)
		rec := &recorder{ResponseWriter: w}
		g.headers(rec.Header(), ctx)
		r.Body = http.MaxBytesReader(rec, r.Body, max(g.BodyBytes, g.Room(r)))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				g.Log.ErrorContext(ctx, "panic", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				if rec.status == 0 {
					g.Site.Fail(rec, r, fmt.Errorf("panic: %v", p))
				}
			}
			// The path of a flow holds its secret: only its first part is logged.
			g.Log.InfoContext(ctx, "request", "method", r.Method, "path", publicPath(r.URL.Path), "status", rec.status,
				"bytes", rec.bytes, "ms", float64(time.Since(start).Microseconds())/1000, "network", Network(ctx), "request_id", RequestID(ctx))
		}()
		if until, ok := g.admit(r); !ok {
			g.tooMany(rec, r, until)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// tooMany refuses a flood: people get a page, programs what OAuth clients can read.
func (g *Guard) tooMany(w http.ResponseWriter, r *http.Request, until time.Time) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		g.Site.Fail(w, r, &idp.Error{Kind: idp.Limited, Msg: "problem.429.text", Until: until})
		return
	}
	RetryAfter(w, until)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"too many requests, try again later"}`))
}

// admit takes one request from the share of the browser, if it is known for anybody,
// else of its network. Probes and files cost nothing, and the token endpoint counts its
// requests itself: it can tell a terminal from a stranger.
func (g *Guard) admit(r *http.Request) (until time.Time, ok bool) {
	p := r.URL.Path
	if p == "/healthz" || p == "/readyz" || strings.HasPrefix(p, "/static/") || p == "/token" && r.Method == http.MethodPost {
		return time.Time{}, true
	}
	return g.Flood.Allow(Share(r.Context()))
}

type shareKey struct{}

// Share is whose share of a [Flood] the request takes from, see [FloodKey].
func Share(ctx context.Context) string {
	key, _ := ctx.Value(shareKey{}).(string)
	return cmp.Or(key, LimitKey(ctx))
}

// FloodKey is whose share of a [Flood] a request takes from.
func FloodKey(m *session.Manager, r *http.Request) string {
	return cmp.Or(m.Asker(r), LimitKey(r.Context()))
}

func publicPath(path string) string {
	if rest, ok := strings.CutPrefix(path, "/flows/"); ok {
		if _, step, ok := strings.Cut(rest, "/"); ok {
			return "/flows/…/" + step
		}
		return "/flows/…"
	}
	return path
}

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// SameOriginForms forbids a page's forms to end anywhere but here.
func SameOriginForms(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", contentPolicy+"; form-action 'self'")
}

// headers: no script, style or frame but our own. form-action is left to pages
// that post nothing which ends at a client: Chromium applies it to the redirects
// after a POST too.
func (g *Guard) headers(h http.Header, ctx context.Context) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
	h.Set("X-Request-Id", RequestID(ctx))
	if g.Secure {
		h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	}
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status, bytes int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += n
	return n, err
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
