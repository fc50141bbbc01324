package server_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/server"
	"hufu/storage"
)

// A demoWorld is a running server with the demonstration world, and what
// data/demo.json says of it.
type demoWorld struct {
	*httptest.Server
	Service *server.Server
	Issuer  string
	dir     string // its data
	cfg     server.Config
	beside  []*server.Server         // on the same database, see restart
	host    string                   // that requests of its browsers claim to be for, see inProcess; "" for the true one
	keys    map[string]*dpoptest.Key // of terminals
	marks   *sql.Stmt                // see watch
	support []idp.Credential         // keys of rogues, see hire
	key     *dpoptest.Key            // of the terminal that asks, unless another one is said
	Clients map[string]struct {
		ID         string `json:"client_id"`
		Secret     string `json:"client_secret"`
		Redirect   string `json:"redirect_uri"`
		PostLogout string `json:"post_logout_redirect_uri"`
	} `json:"clients"`
	Users map[string]struct {
		Username, Phone, Email, Password string
		TOTP                             string `json:"totp_secret"`
		DocumentTail                     string `json:"document_tail"`
		Birthday                         string
	} `json:"users"`
	Terminals map[string]struct{ Serial string } `json:"terminals"`
	Merchant  struct {
		No string `json:"merchant_no"`
	} `json:"merchant"`
}

// eachWorld runs a story in a fresh demonstration world on each engine.
func eachWorld(t *testing.T, story func(t *testing.T, w *demoWorld)) {
	t.Helper()
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, false)
			story(t, newWorld(t, dsn, dir))
		})
	}
}

func newWorld(t *testing.T, dsn, dir string) *demoWorld {
	t.Helper()
	var handler http.Handler
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(ts.Close)
	cfg := server.Defaults(dir, true)
	cfg.Issuer = strings.Replace(ts.URL, "127.0.0.1", "localhost", 1)
	cfg.Database.DSN = idp.Secret(dsn)
	cfg.Limits.RequestsPerMinute, cfg.Limits.FlowsPerMinute = 1e6, 1e6
	w := startWorld(t, cfg, dir)
	w.Server, handler = ts, w.Service.Handler()
	return w
}

// startWorld makes the server of a configuration and reads what it wrote of its
// world. It listens nowhere.
func startWorld(t *testing.T, cfg server.Config, dir string) *demoWorld {
	t.Helper()
	service, err := server.New(t.Context(), cfg, slog.New(slog.NewTextHandler(logSink{t}, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	w := &demoWorld{Service: service, Issuer: cfg.Issuer, dir: dir, cfg: cfg, key: dpoptest.New()}
	text, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, w); err != nil {
		t.Fatal(err)
	}
	return w
}

// logSink shows what the server warned of beside the test that caused it.
type logSink struct{ t *testing.T }

func (l logSink) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// A browser keeps cookies, follows redirects on this server, and stops at others.
type browser struct {
	t      *testing.T
	world  *demoWorld
	client *http.Client
	Lang   string
	key    *dpoptest.Key // of the terminal whose requests it sends; nil: the world's

	URL    *url.URL // of the page
	Status int
	Header http.Header
	Body   string
	Doc    *html.Node
	Left   *url.URL // where a redirect to another origin would have led
}

func (w *demoWorld) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, world: w, Lang: "zh-CN"}
	b.client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host {
			b.Left = r.URL
			return http.ErrUseLastResponse
		}
		if len(via) > 12 {
			t.Fatalf("redirect loop at %s", r.URL)
		}
		return nil
	}}
	return b
}

func (b *browser) do(r *http.Request) *browser {
	b.t.Helper()
	b.Left = nil
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", b.Lang)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140")
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.URL, b.Status, b.Header, b.Body = res.Request.URL, res.StatusCode, res.Header, string(text)
	if b.Doc, err = html.Parse(strings.NewReader(b.Body)); err != nil {
		b.t.Fatal(err)
	}
	return b
}

// open follows an address, absolute or below the issuer.
func (b *browser) open(address string) *browser {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.world.Issuer + address
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

// post sends a form to an address as this server's own pages do.
func (b *browser) post(address string, form url.Values) *browser {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.world.Issuer + address
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if b.key != nil || form.Get("client_id") == "terminal" {
		r.Header.Set("DPoP", cmp.Or(b.key, b.world.key).Proof(http.MethodPost, address, ""))
	}
	return b.do(r)
}

// submit fills the form of the page that has the first named input, and sends it.
func (b *browser) submit(fields ...string) *browser {
	b.t.Helper()
	for _, form := range all(b.Doc, "form") {
		values, has := url.Values{}, false
		for _, in := range append(all(form, "input"), all(form, "textarea")...) {
			name := attr(in, "name")
			has = has || name == fields[0]
			if attr(in, "type") == "hidden" || attr(in, "type") == "text" && attr(in, "value") != "" {
				values.Set(name, attr(in, "value"))
			}
		}
		for _, btn := range all(form, "button") {
			has = has || attr(btn, "name") == fields[0]
		}
		if !has {
			continue
		}
		pay(form, values)
		for i := 0; i+1 < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		action, err := b.URL.Parse(attr(form, "action"))
		if err != nil {
			b.t.Fatal(err)
		}
		return b.post(action.String(), values)
	}
	b.t.Fatalf("no form with %q on %s (%d):\n%s", fields[0], b.URL, b.Status, b.text())
	return nil
}

func all(n *html.Node, name string) (out []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			out = append(out, d)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// text is what the main part of the page says.
func (b *browser) text() string {
	var out strings.Builder
	for _, m := range append(all(b.Doc, "main"), all(b.Doc, "title")...) {
		for d := range m.Descendants() {
			if d.Type == html.TextNode {
				out.WriteString(strings.TrimSpace(d.Data) + " ")
			}
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// see fails unless the page has the status and says the words.
func (b *browser) see(status int, words string) *browser {
	b.t.Helper()
	if b.Status != status || !strings.Contains(b.text(), words) {
		b.t.Fatalf("at %s: status %d, want %d; want %q in:\n%s", b.URL, b.Status, status, words, b.text())
	}
	return b
}

// code is the code that the authenticator of a person of the world shows, at a step
// later than any that was used, so that a test need not wait for the next.
func (w *demoWorld) code(t *testing.T, who string) string {
	t.Helper()
	c, err := totp.Code(w.Users[who].TOTP, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signIn walks the sign-in pages from wherever they begin.
func (b *browser) signIn(who string) *browser {
	b.t.Helper()
	u := b.world.Users[who]
	b.submit("identifier", u.Username).see(200, "").submit("password", u.Password)
	if u.TOTP != "" {
		b.submit("code", b.world.code(b.t, who))
	}
	if strings.HasSuffix(b.URL.Path, "/offer") { // a second step, in the days of grace
		b.submit("do", "later")
	}
	return b
}
