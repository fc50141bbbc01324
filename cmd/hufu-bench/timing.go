package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/phc"
	"hufu/idp/server"
)

// timingCmd asks whether a stranger can tell by the clock that an account exists.
type timingCmd struct {
	Tries int    `default:"1000" help:"Sign-ins that are counted, half of them with names that nobody has."`
	Warm  int    `default:"50" help:"Sign-ins before them, which are not: caches and connections warm up."`
	DSN   string `help:"Empty PostgreSQL database (postgres://…); an SQLite file of its own without."`
}

// the requests that are timed, in the order of a sign-in.
var timed = []string{"name", "password page", "wrong password"}

func (c timingCmd) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "hufu-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	site, stop, err := c.serve(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	known, unknown := map[string][]time.Duration{}, map[string][]time.Duration{}
	for i, name := range c.names() {
		took, err := site.tried(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if i < c.Warm {
			continue
		}
		into := unknown
		if strings.HasPrefix(name, "known") {
			into = known
		}
		for step, d := range took {
			into[timed[step]] = append(into[timed[step]], d)
		}
	}
	fmt.Printf("%-16s %8s %12s %12s %8s %8s %10s\n", "request", "n", "known", "unknown", "ratio", "p", "effect")
	for _, step := range timed {
		a, b := known[step], unknown[step]
		r := rank(a, b)
		fmt.Printf("%-16s %8d %12v %12v %8.3f %8.3f %+10.3f\n", step, len(a)+len(b), median(a).Round(time.Microsecond), median(b).Round(time.Microsecond),
			float64(median(a))/float64(median(b)), r.P, r.Effect)
	}
	fmt.Println("\neffect is Cliff's delta: 0 for samples that cannot be told apart, ±1 for samples that never meet; under 0.147 counts as negligible.")
	return nil
}

// names are those of all sign-ins: each is used once, every other one is somebody's. Those
// that are counted come in an order that no drift of the machine can follow.
func (c timingCmd) names() []string {
	all := make([]string, c.Warm+c.Tries)
	for i := range all {
		all[i] = fmt.Sprintf("%s.%05d", map[bool]string{true: "known", false: "stray"}[i%2 == 0], i)
	}
	counted := all[c.Warm:]
	rand.Shuffle(len(counted), func(i, j int) { counted[i], counted[j] = counted[j], counted[i] })
	return all
}

// a site is the server under measurement.
type site struct {
	issuer    string
	transport *http.Transport
}

// serve starts a server with half as many people as sign-ins.
func (c timingCmd) serve(ctx context.Context, dir string) (*site, func(), error) {
	var handler http.Handler
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	cfg := server.Defaults(dir, true)
	cfg.Issuer = strings.Replace(ts.URL, "127.0.0.1", "localhost", 1)
	cfg.Limits.RequestsPerMinute, cfg.Limits.FlowsPerMinute = 1e6, 1e6
	if c.DSN != "" {
		cfg.Database.DSN = idp.Secret(c.DSN)
	}
	s, err := server.New(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		ts.Close()
		return nil, nil, err
	}
	handler = s.Handler()
	stop := func() { ts.Close(); _ = s.Close() }
	hash, err := phc.NewHasher(2).Hash(ctx, "the password of everybody here")
	for i := 0; err == nil && i < c.Warm+c.Tries; i += 2 {
		u := idp.User{Name: "某人", Language: "zh-CN", Role: idp.RoleAuditor, Status: idp.UserActive}
		err = s.Store.Tx(ctx, func(ctx context.Context) error {
			if err := s.Store.CreateUser(ctx, &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: fmt.Sprintf("known.%05d", i)}); err != nil {
				return err
			}
			return s.Store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte(hash)})
		})
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return &site{issuer: cfg.Issuer, transport: &http.Transport{}}, stop, nil
}

// tried begins a sign-in with a name and a wrong password in a browser of its own and
// times each request.
func (s *site) tried(ctx context.Context, name string) (took []time.Duration, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Transport: s.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at := "/sign-in"
	for range 3 { // the flow, its dispatcher, its page
		if at, _, err = send(ctx, client, http.MethodGet, s.issuer+at, nil); err != nil {
			return nil, err
		}
		if at == "" {
			break
		}
		if strings.HasSuffix(at, "/identify") {
			if _, _, err = send(ctx, client, http.MethodGet, s.issuer+at, nil); err != nil {
				return nil, err
			}
			break
		}
	}
	next, d, err := send(ctx, client, http.MethodPost, s.issuer+at, url.Values{"identifier": {name}})
	if err != nil {
		return nil, err
	}
	took = append(took, d)
	if _, d, err = send(ctx, client, http.MethodGet, s.issuer+next, nil); err != nil {
		return nil, err
	}
	took = append(took, d)
	if _, d, err = send(ctx, client, http.MethodPost, s.issuer+next, url.Values{"password": {"not the password of anybody"}}); err != nil {
		return nil, err
	}
	return append(took, d), nil
}

// answers are what a sign-in meets: a page, the next one, the same one again with what is
// wrong. Anything else would be measured in its place.
var answers = []int{http.StatusOK, http.StatusSeeOther, http.StatusUnprocessableEntity}

// send sends one request and returns where it leads and how long the whole answer took.
func send(ctx context.Context, c *http.Client, method, address string, form url.Values) (to string, took time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	start := time.Now()
	res, err := c.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", 0, err
	}
	took = time.Since(start)
	if !slices.Contains(answers, res.StatusCode) {
		return "", 0, fmt.Errorf("%s %s: %s", method, address, res.Status)
	}
	return res.Header.Get("Location"), took, nil
}
