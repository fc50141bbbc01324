package server_test

import (
	"encoding/json"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/storage"
)

// A wire is a TCP proxy before PostgreSQL that can be cut, and can fall silent.
type wire struct {
	listener net.Listener
	behind   string

	mu     sync.Mutex
	cut    bool // connections are closed at once
	silent bool // nothing goes through, nothing is closed
	heard  *sync.Cond
	conns  map[net.Conn]bool
}

// newWire returns a wire to the server of a DSN, and the DSN that goes through it.
func newWire(t *testing.T, dsn string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{listener: l, behind: u.Host, conns: map[net.Conn]bool{}}
	w.heard = sync.NewCond(&w.mu)
	t.Cleanup(func() { w.set(true, false); _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(c)
		}
	}()
	u.Host = l.Addr().String()
	return w, u.String()
}

func (w *wire) join(c net.Conn) {
	defer c.Close()
	if !w.keep(c) {
		return
	}
	back, err := net.Dial("tcp", w.behind)
	if err != nil || !w.keep(back) {
		return
	}
	defer back.Close()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, back}, {back, c}} {
		wg.Go(func() { _, _ = io.Copy(hush{w, way[0]}, way[1]); _ = c.Close(); _ = back.Close() })
	}
	wg.Wait()
}

func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[c] = true
	return !w.cut
}

// hush holds what is written while the wire is silent.
type hush struct {
	w *wire
	net.Conn
}

func (h hush) Write(b []byte) (int, error) {
	h.w.mu.Lock()
	for h.w.silent && !h.w.cut {
		h.w.heard.Wait()
	}
	h.w.mu.Unlock()
	return h.Conn.Write(b)
}

// set cuts the wire, silences it, or mends it.
func (w *wire) set(cut, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut, w.silent = cut, silent
	if cut {
		for c := range w.conns {
			_ = c.Close()
			delete(w.conns, c)
		}
	}
	w.heard.Broadcast()
}

// A database that is down is 503 with Retry-After everywhere, and nobody needs to
// do anything when it is back.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	dsn, dir := sown(t, storage.Postgres, false)
	line, dsn := newWire(t, dsn)
	w := newWorld(t, dsn, dir)
	a := w.app(t, "merchant_app", "openid", "offline_access")
	b := w.browser(t)
	token, _ := a.signIn(b, "cashier")
	d := w.deviceRequest(t, url.Values{"client_id": {"terminal"}, "scope": {"openid"}})
	refresh := refreshForm(a.ClientID, token.RefreshToken)

	status := func(path string, want int) {
		t.Helper()
		if got, body := w.get(t, path); got != want {
			t.Errorf("%s: %d, want %d: %s", path, got, want, body)
		}
	}
	refused := func() {
		t.Helper()
		if b.open("/account").see(503, ""); b.Header.Get("Retry-After") == "" {
			t.Error("the page does not say when to come again")
		}
		b.open("/sign-in").see(503, "")
		res, err := many.PostForm(w.URL+"/token", refresh)
		must(t, err)
		var answer tokenAnswer
		must(t, json.NewDecoder(res.Body).Decode(&answer))
		_ = res.Body.Close()
		if res.StatusCode != 503 || answer.Error != "temporarily_unavailable" || res.Header.Get("Retry-After") == "" {
			t.Errorf("refresh: %d %+v %v", res.StatusCode, answer, res.Header)
		}
		status("/readyz", 503)
		status("/healthz", 200)
		status("/.well-known/openid-configuration", 200)
	}
	back := func() {
		t.Helper()
		start := time.Now()
		for {
			if got, _ := w.get(t, "/readyz"); got == 200 {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatal("not ready again")
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("ready again after %v", time.Since(start))
		b.open("/account").see(200, "陈小燕")
		answer := w.token(t, refresh)
		if answer.Status != 200 {
			t.Fatalf("refresh: %+v", answer)
		}
		refresh.Set("refresh_token", answer.Refresh)
	}
	status("/readyz", 200)
	line.set(true, false)
	refused()
	line.set(false, false)
	back()
	if poll := w.token(t, pollForm(d)); poll.Error != "authorization_pending" {
		t.Errorf("the device request: %+v", poll)
	}

	line.set(false, true)
	start := time.Now()
	var wg sync.WaitGroup
	for range 48 { // more than connections: none waits for another's wait to end
		wg.Go(func() {
			if a := w.token(t, refresh); a.Status != 503 {
				t.Errorf("silent: %+v", a)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("refused after %v", took)
	}
	line.set(true, false)
	refused()
	line.set(false, false)
	back()
}

// While the wire is cut again and again, no answer is a fault of ours, and no token
// that a client got is lost.
func TestDatabaseComesAndGoes(t *testing.T) {
	t.Parallel()
	dsn, dir := sown(t, storage.Postgres, false)
	line, dsn := newWire(t, dsn)
	w := newWorld(t, dsn, dir)
	a := w.app(t, "merchant_app", "openid", "offline_access")
	b := w.browser(t)
	const shops = 8
	var tokens [shops]string
	first, _ := a.signIn(b, "cashier")
	tokens[0] = first.RefreshToken
	for i := 1; i < shops; i++ {
		s := a.start()
		next, _ := a.finish(b.open(s.url), s)
		tokens[i] = next.RefreshToken
	}
	until := time.Now().Add(4 * time.Second)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	note := func(what string, status int, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		if seen[status]++; status >= 500 && status != 503 || status == 0 {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	for i := range shops {
		wg.Go(func() {
			for time.Now().Before(until) {
				answer := w.token(t, refreshForm(a.ClientID, tokens[i]))
				note("refresh "+answer.Error, answer.Status, nil)
				if answer.Status == 200 {
					tokens[i] = answer.Refresh
				} else if answer.Status != 503 {
					t.Errorf("refresh: %+v", answer)
					return
				}
			}
		})
		wg.Go(func() {
			for time.Now().Before(until) {
				for _, path := range []string{"/jwks", "/sign-in", "/account", "/device", "/readyz"} {
					status, body := w.get(t, path, "Cookie", strings.Join(cookies(b), "; "))
					note(path, status, body)
				}
				status, body := w.form(t, "/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid"}})
				note("device", status, body)
			}
		})
	}
	for time.Now().Before(until) {
		time.Sleep(150 * time.Millisecond)
		line.set(true, false)
		time.Sleep(50 * time.Millisecond)
		line.set(false, false)
	}
	wg.Wait()
	line.set(false, false)
	t.Logf("answers: %v", seen)
	for _, token := range tokens {
		answer := w.token(t, refreshForm(a.ClientID, token))
		for tries := 0; answer.Status == 503 && tries < 24; tries++ { // connections that died a moment ago are each found out by use
			answer = w.token(t, refreshForm(a.ClientID, token))
		}
		if answer.Status != 200 {
			t.Errorf("a token that was acknowledged is lost: %+v", answer)
		}
	}
	if seen[200] == 0 || seen[503] == 0 {
		t.Errorf("answers %v", seen)
	}
}

func cookies(b *browser) (list []string) {
	u, _ := url.Parse(b.world.Issuer)
	for _, c := range b.client.Jar.Cookies(u) {
		list = append(list, c.Name+"="+c.Value)
	}
	return list
}
