package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/web"
)

func TestLocal(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/account": "/account", "/device?user_code=BCDF-GHJK": "/device?user_code=BCDF-GHJK", "/a//b": "/a//b", "/?to=https://x": "/?to=https://x",
		"": "/", "account": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "https://evil.example": "/", "javascript:x": "/",
		"/\t/evil.example": "/", "/\n/evil.example": "/", "/\r\nSet-Cookie: a=b": "/", " /x": "/", "/x\x00": "/",
	} {
		if got := web.Local(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "//x", `/\x`, "/\x0b/x", "/..//x", "https://x", "/%2fx", "/@x", "/\u2028/x"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://id.example.com/flows/x")
	f.Fuzz(func(t *testing.T, path string) {
		// As browsers read it: tabs and line ends dropped, backslashes turned.
		got := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(web.Local(path))
		if strings.HasPrefix(got, "//") || !strings.HasPrefix(got, "/") {
			t.Fatalf("%q leads to %q", path, got)
		}
		if u, err := base.Parse(got); err == nil && u.Host != base.Host {
			t.Fatalf("%q leads to %q", path, u)
		}
	})
}

func TestStatus(t *testing.T) {
	for want, err := range map[int]error{
		500: errors.New("x"), 422: &idp.Error{Kind: idp.Invalid}, 401: &idp.Error{Kind: idp.Unauthenticated}, 403: &idp.Error{Kind: idp.Forbidden}, 404: fmt.Errorf("wrapped: %w", &idp.Error{Kind: idp.NotFound}),
		409: &idp.Error{Kind: idp.Conflict}, 429: &idp.Error{Kind: idp.Limited}, 410: &idp.Error{Kind: idp.Expired}, 503: context.DeadlineExceeded, 413: fmt.Errorf("form: %w", &http.MaxBytesError{Limit: 1}),
	} {
		if got := web.Status(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if web.Status(&idp.Error{Kind: idp.Rejected}) != 422 || web.Status(&idp.Error{Kind: idp.Unavailable}) != 503 {
		t.Error("kinds")
	}
}

// Limits count an IPv4 address, or a /64; the log keeps a /24, or a /48.
func TestNetworks(t *testing.T) {
	for address, want := range map[string][2]string{
		"112.5.6.7":            {"112.5.6.7/32", "112.5.6.0/24"},
		"::ffff:112.5.6.7":     {"112.5.6.7/32", "112.5.6.0/24"},
		"2001:db8:1:2:3:4:5:6": {"2001:db8:1:2::/64", "2001:db8:1::/48"},
	} {
		ctx := web.WithPeer(context.Background(), netip.MustParseAddr(address))
		if web.LimitKey(ctx) != want[0] || web.Network(ctx) != want[1] {
			t.Errorf("%s: %s, %s", address, web.LimitKey(ctx), web.Network(ctx))
		}
	}
	if ctx := web.WithPeer(context.Background(), netip.Addr{}); web.LimitKey(ctx) != "" || web.Network(ctx) != "" {
		t.Error("nobody has a network")
	}
}

func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &web.Flood{PerMinute: 60}
		take := func(key string, n int) (ok int) {
			for range n {
				if _, admitted := f.Allow(key); admitted {
					ok++
				}
			}
			return ok
		}
		if n := take("a", 100); n != 60 {
			t.Errorf("%d admitted at once, want 60", n)
		}
		until, ok := f.Allow("a")
		if d := time.Until(until); ok || d <= 0 || d > time.Minute {
			t.Errorf("refused until %v", d)
		}
		if n := take("b", 5); n != 5 {
			t.Errorf("another network: %d", n)
		}
		time.Sleep(10 * time.Second)
		if n := take("a", 100); n != 10 {
			t.Errorf("%d after ten seconds, want 10", n)
		}
		time.Sleep(5 * time.Minute) // forgotten, and full again
		if n := take("a", 100); n != 60 {
			t.Errorf("%d later", n)
		}
	})
}

func TestDevice(t *testing.T) {
	for ua, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604": "Safari · iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537 Edg/140.0":                           "Edge · Windows",
		"Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537 MicroMessenger/8.0":                       "WeChat · Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14) Gecko/20100101 Firefox/140.0":                               "Firefox · macOS",
		"": "Browser · ?", "<script>": "Browser · ?",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", ua)
		if got := web.Device(r); got != want {
			t.Errorf("%q: %q, want %q", ua, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	if web.RetryAfter(w, time.Time{}); w.Header().Get("Retry-After") != "" {
		t.Error("a time that is none")
	}
	if web.RetryAfter(w, time.Now().Add(-time.Hour)); w.Header().Get("Retry-After") != "1" {
		t.Error("never less than a second")
	}
}
