package server_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// replicas are two servers on one database. The world itself is what a balancer in
// front of them shows, which gives every request to the other one.
type replicas struct {
	*demoWorld
	one, two *demoWorld
}

func newReplicas(t *testing.T, dsn, dir string) *replicas {
	t.Helper()
	first := newWorld(t, dsn, dir)
	second := serve(t, dsn, first.Issuer, first.dir)
	var n atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		[]*server.Server{first.Service, second.Service}[n.Add(1)%2].Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	// What is asked of the issuer's address reaches the balancer, too.
	own := first.Service.Handler()
	first.Server.Config.Handler = front.Config.Handler
	direct := httptest.NewServer(own)
	t.Cleanup(direct.Close)
	both, one, two := *first, *first, *first
	both.Server, one.Server, two.Server, two.Service = front, direct, second.Server, second.Service
	return &replicas{demoWorld: &both, one: &one, two: &two}
}

// serve starts one more server on a database.
func serve(t *testing.T, dsn, issuer, dir string) *demoWorld {
	t.Helper()
	cfg := server.Defaults(dir, true)
	cfg.Issuer, cfg.Database.DSN = issuer, idp.Secret(dsn)
	cfg.Limits.RequestsPerMinute, cfg.Limits.FlowsPerMinute = 1e6, 1e6
	service, err := server.New(t.Context(), cfg, slog.New(slog.NewTextHandler(logSink{t}, &slog.HandlerOptions{Level: slog.LevelWarn})))
	must(t, err)
	t.Cleanup(func() { _ = service.Close() })
	ts := httptest.NewServer(service.Handler())
	t.Cleanup(ts.Close)
	return &demoWorld{Server: ts, Service: service, Issuer: issuer, dir: dir}
}

func eachPair(t *testing.T, story func(t *testing.T, r *replicas)) {
	t.Helper()
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, false)
			story(t, newReplicas(t, dsn, dir))
		})
	}
}

func (w *demoWorld) get(t *testing.T, path string, headers ...string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+path, nil)
	must(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := many.Do(r)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, body
}

func pollForm(d deviceAnswer) url.Values {
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"terminal"}, "device_code": {d.DeviceCode}}
}

// What is asked of one replica is approved at another and fetched at the first.
func TestDeviceFlowAcrossReplicas(t *testing.T) {
	eachPair(t, func(t *testing.T, r *replicas) {
		d := r.one.deviceRequest(t, url.Values{"client_id": {"terminal"}, "scope": {"openid offline_access terminal"}, "terminal_serial": {r.Terminals["smart"].Serial}})
		if a := r.one.token(t, pollForm(d)); a.Error != "authorization_pending" {
			t.Errorf("first poll: %+v", a)
		}
		if a := r.two.token(t, pollForm(d)); a.Error != "slow_down" {
			t.Errorf("a poll at the other replica, too soon: %+v", a)
		}
		b := r.browser(t) // each request of the sign-in reaches another replica than the one before
		b.open("/sign-in").signIn("owner").see(200, "林薇")
		b.approve(d.UserCode, d.number()).see(200, "")
		a := r.one.token(t, pollForm(d))
		if a.Status != http.StatusOK {
			t.Fatalf("after approval: %+v", a)
		}
		if again := r.two.token(t, pollForm(d)); again.Error != "invalid_grant" {
			t.Errorf("redeemed twice: %+v", again)
		}
		// Tokens of one verify at the other.
		if status, body := r.two.get(t, "/userinfo", "Authorization", "DPoP "+a.Access, "DPoP", r.key.Proof(http.MethodGet, r.Issuer+"/userinfo", a.Access)); status != http.StatusOK {
			t.Errorf("userinfo at the other: %d %s", status, body)
		}
		if next := r.two.token(t, refreshForm("terminal", a.Refresh)); next.Status != http.StatusOK {
			t.Errorf("refresh at the other: %+v", next)
		}
		// A crowd at both has one successor.
		next := r.one.token(t, refreshForm("terminal", a.Refresh))
		won, errors := r.atOnce(t, refreshForm("terminal", next.Refresh))
		for _, one := range won {
			if one.Refresh != won[0].Refresh {
				t.Fatal("more than one successor")
			}
		}
		if len(won) != crowd {
			t.Errorf("%d won, the others heard %v", len(won), errors)
		}
	})
}

// A client that is disabled at one replica is refused by the other within 5 seconds.
func TestDisabledClientBitesAtTheOtherReplica(t *testing.T) {
	eachPair(t, func(t *testing.T, r *replicas) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"settlement"}, "client_secret": {r.Clients["settlement"].Secret}}
		if a := r.two.token(t, form); a.Status != http.StatusOK {
			t.Fatalf("before: %+v", a)
		}
		_, err := r.one.Service.Store.SetClientDisabled(t.Context(), "settlement", true)
		must(t, err)
		if a := r.one.token(t, form); a.Error != "invalid_client" {
			t.Errorf("where it was done: %+v", a)
		}
		start := time.Now()
		for r.two.token(t, form).Error != "invalid_client" {
			if time.Since(start) > 5*time.Second {
				t.Fatal("still served by the other replica")
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("after %v", time.Since(start))
	})
}

// Replicas that start together on an empty database have one set of signing keys.
func TestReplicasStartTogether(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := storagetest.DSN(t, d), t.TempDir()
			cfg := server.Defaults(dir, false)
			cfg.Database.DSN = idp.Secret(dsn)
			must(t, server.NewKeyFile(filepath.Join(dir, "hufu.key")))
			var services [4]*server.Server
			var wg sync.WaitGroup
			for i := range services {
				wg.Go(func() {
					var err error
					if services[i], err = server.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
			sets := map[string]bool{}
			for _, s := range services {
				deadline := time.Now().Add(5 * time.Second) // a replica may have looked before the last key was there
				for {
					rec := httptest.NewRecorder()
					s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/jwks", nil))
					var set struct{ Keys []struct{ Kid, Alg string } }
					must(t, json.Unmarshal(rec.Body.Bytes(), &set))
					if len(set.Keys) >= 2 || time.Now().After(deadline) {
						var kids []string
						for _, k := range set.Keys {
							kids = append(kids, k.Alg+" "+k.Kid)
						}
						sets[strings.Join(kids, ", ")] = true
						if len(set.Keys) != 2 {
							t.Errorf("%d keys: %v", len(set.Keys), kids)
						}
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				t.Cleanup(func() { _ = s.Close() })
			}
			if len(sets) != 1 {
				t.Errorf("replicas publish different keys: %v", sets)
			}
		})
	}
}
