package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/phc"
	"hufu/idp/policy"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// eachHour runs a story in a demonstration world of each engine that is spoken to
// in process, under a clock that moves only while everybody waits: time.Sleep is
// how a story lets hours pass, beside other stories. Nobody else works in them: the jobs
// of a server would do a month's work while a story sleeps through it.
func eachHour(t *testing.T, story func(t *testing.T, w *demoWorld)) {
	t.Helper()
	eachJob(t, func(t *testing.T, w *demoWorld) {
		w.Service.Rest()
		story(t, w)
	})
}

// eachJob is eachHour for what is done, and put right, by the jobs of the server.
func eachJob(t *testing.T, story func(t *testing.T, w *demoWorld)) {
	t.Helper()
	t.Parallel()
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, true)
			synctest.Test(t, func(t *testing.T) { story(t, quietWorld(t, dsn, dir)) })
		})
	}
}

// quietWorld is a demonstration world without a network.
func quietWorld(t *testing.T, dsn, dir string) *demoWorld {
	t.Helper()
	cfg := server.Defaults(dir, true)
	cfg.Database.DSN = idp.Secret(dsn)
	cfg.Limits.RequestsPerMinute, cfg.Limits.FlowsPerMinute = 1e6, 1e6
	return startWorld(t, cfg, dir)
}

// from is a browser at an address. It speaks to the handler itself.
func (w *demoWorld) from(t *testing.T, address string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser(t)
	now := func(rw http.ResponseWriter, r *http.Request) { w.Service.Handler().ServeHTTP(rw, r) } // of today's server, see restart
	b.client.Jar, b.client.Transport = jar, &inProcess{http.HandlerFunc(now), address, w.host}
	return b
}

// inProcess hands requests to a handler as its server would; with a host, they say that they
// are for it, in every way that a request can.
type inProcess struct {
	handler http.Handler
	address string
	host    string
}

func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), p.address+":40000"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if p.host != "" {
		in.Host = p.host
		in.Header.Set("Forwarded", "host="+p.host+";proto=http")
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host"} {
			in.Header.Set(name, p.host)
		}
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	p.handler.ServeHTTP(rec, in)
	res := rec.Result()
	res.Request = r
	return res, nil
}

// somebody is a person of a story beside those of the demonstration.
type somebody struct {
	idp.User
	Login, Phone, Mail string // user name; "" for no phone, no mail
	NoPassword         bool
	TOTP               bool
	NoSignIn           bool // has not signed in yet when his things are old enough
}

// storyPassword is the password of everybody whom a story adds.
const storyPassword = "correct horse battery staple"

// storyHash is hashed once a process.
var storyHash = sync.OnceValue(func() []byte {
	hash, err := phc.NewHasher(2).Hash(context.Background(), storyPassword)
	if err != nil {
		panic(err)
	}
	return []byte(hash)
})

// add makes people of the demonstration's merchant; they sign in like the others,
// by their user names.
func (w *demoWorld) add(t *testing.T, people ...somebody) {
	t.Helper()
	for _, p := range people {
		w.person(t, p)
	}
}

// person adds one and returns him as he is stored.
func (w *demoWorld) person(t *testing.T, p somebody) idp.User {
	t.Helper()
	ctx, store := t.Context(), w.Service.Store
	u := p.User
	if u.Role == "" {
		u.Role = idp.RoleCashier
	}
	if u.Status == "" {
		u.Status = idp.UserActive
	}
	if u.Name == "" {
		u.Name = "某人"
	}
	if u.MerchantID == "" && !u.Role.Operator() {
		u.MerchantID = w.merchant(t).ID
	}
	u.Language = "zh-CN"
	names := []*idp.Identifier{{Kind: idp.IdentifierUsername, Value: p.Login}}
	if p.Phone != "" {
		names = append(names, &idp.Identifier{Kind: idp.IdentifierPhone, Value: p.Phone, VerifiedAt: time.Now()})
	}
	if p.Mail != "" {
		names = append(names, &idp.Identifier{Kind: idp.IdentifierEmail, Value: p.Mail, VerifiedAt: time.Now()})
	}
	must(t, store.CreateUser(ctx, &u, names...))
	entry := w.Users[p.Login]
	entry.Username, entry.Phone, entry.Email = p.Login, p.Phone, p.Mail
	if !p.NoPassword {
		entry.Password = storyPassword
		must(t, store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: storyHash()}))
	}
	if p.TOTP {
		data := totp.NewSecret()
		secret, err := totp.SecretOf(data)
		must(t, err)
		entry.TOTP = secret
		must(t, store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: data}))
	}
	w.Users[p.Login] = entry
	return u
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// merchant is the demonstration's.
func (w *demoWorld) merchant(t *testing.T) idp.Merchant {
	t.Helper()
	found, err := w.Service.Store.Merchants(t.Context(), "", w.Merchant.No, "", 1)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

// user is a person as the store has him now.
func (w *demoWorld) user(t *testing.T, login string) idp.User {
	t.Helper()
	u, err := w.Service.Store.UserByIdentifier(t.Context(), idp.IdentifierUsername, login)
	must(t, err)
	return u
}

// sessions are the live ones of a person.
func (w *demoWorld) sessions(t *testing.T, login string) []idp.Session {
	t.Helper()
	live, err := w.Service.Store.Sessions(t.Context(), w.user(t, login).ID, time.Now())
	must(t, err)
	return live
}

// events are those of a name about a person, newest first.
func (w *demoWorld) events(t *testing.T, login, name string) []idp.Event {
	t.Helper()
	found, err := w.Service.Store.Events(t.Context(), storage.EventFilter{Subject: w.user(t, login).ID, Name: name}, 100)
	must(t, err)
	return found
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// sent is the newest code that went to an address.
func (w *demoWorld) sent(t *testing.T, to string) string {
	t.Helper()
	all, err := w.Service.Store.Messages(t.Context(), 50)
	must(t, err)
	for _, m := range all {
		if m.To == to && m.Template == "code" {
			return sixDigits.FindString(m.Body)
		}
	}
	t.Fatalf("no code for %s among %d messages", to, len(all))
	return ""
}

// wrongCode is a code that an authenticator does not show within ten minutes of now.
func (w *demoWorld) wrongCode(t *testing.T, who string, n int) string {
	t.Helper()
	shown := map[string]bool{}
	for at := -21; at <= 21; at++ {
		c, err := totp.Code(w.Users[who].TOTP, time.Now().Add(time.Duration(at)*30*time.Second))
		must(t, err)
		shown[c] = true
	}
	for i := 0; ; i++ {
		c := fmt.Sprintf("%06d", (i*7919+13)%1_000_000)
		if shown[c] {
			continue
		}
		if n == 0 {
			return c
		}
		n--
	}
}

// left says how many charges a bucket still admits, using them up.
func (w *demoWorld) left(t *testing.T, kind string, key []byte, b policy.Bucket) (n int) {
	t.Helper()
	for ; n <= b.Burst; n++ {
		ok, _, err := w.Service.Store.TakeBucket(t.Context(), kind, key, b.Burst, b.Refill, time.Now())
		must(t, err)
		if !ok {
			break
		}
	}
	return n
}

// name begins a sign-in and types a name.
func (b *browser) name(login string) *browser {
	b.t.Helper()
	return b.open("/sign-in").submit("identifier", login).see(200, "密码")
}

// try begins a sign-in and types a name and a password.
func (b *browser) try(login, password string) *browser {
	b.t.Helper()
	return b.name(login).submit("password", password)
}

// cookie of a kind that the browser holds, nil for none.
func (b *browser) cookie(name string) *http.Cookie {
	b.t.Helper()
	u, err := url.Parse(b.world.Issuer + "/")
	must(b.t, err)
	for _, c := range b.client.Jar.Cookies(u) {
		if strings.TrimPrefix(c.Name, "__Host-") == name {
			return c
		}
	}
	return nil
}

// set gives the browser a cookie value; "" takes the cookie away.
func (b *browser) set(name, value string) {
	u, err := url.Parse(b.world.Issuer + "/")
	must(b.t, err)
	c := &http.Cookie{Name: name, Value: value, Path: "/"}
	if value == "" {
		c.MaxAge = -1
	}
	b.client.Jar.SetCookies(u, []*http.Cookie{c})
}

// once sends a request without following where it leads.
func (b *browser) once(method, path string, form url.Values, headers ...string) *http.Response {
	b.t.Helper()
	address := path
	if strings.HasPrefix(path, "/") {
		address = b.world.Issuer + path
	}
	r, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(form.Encode()))
	must(b.t, err)
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	c := *b.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(r)
	must(b.t, err)
	_ = res.Body.Close()
	return res
}

func (b *browser) signOut() *browser {
	b.t.Helper()
	return b.post("/sign-out", nil).see(200, "")
}

// quietWorldOf is a quiet world under the real clock, for fuzzing.
func quietWorldOf(f *testing.F) *demoWorld {
	f.Helper()
	dir := f.TempDir()
	cfg := server.Defaults(dir, true)
	cfg.Database.DSN = idp.Secret(storagetest.DSN(f, storage.SQLite))
	cfg.Limits.RequestsPerMinute, cfg.Limits.FlowsPerMinute = 1e6, 1e6
	service, err := server.New(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = service.Close() })
	return &demoWorld{Service: service, Issuer: cfg.Issuer, key: dpoptest.New()}
}

// raw sends a body and a cookie header as they are and returns the status.
func (b *browser) raw(method, path, body, cookies string) int {
	b.t.Helper()
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return 0
	}
	r.URL, r.RequestURI, r.RemoteAddr = u, path, "127.0.0.1:40000"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if c := b.cookie("hufu-b"); c != nil {
		r.AddCookie(c)
	}
	if cookies != "" {
		r.Header["Cookie"] = append(r.Header["Cookie"], cookies)
	}
	rec := httptest.NewRecorder()
	b.world.Service.Handler().ServeHTTP(rec, r)
	return rec.Code
}
