package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"hufu/idp/oidc/dpoptest"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A process is a running hufu in the demonstration world.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	base  string // the address it serves at, which is its issuer's host
	ended chan error
	demo  struct {
		Issuer string
		Users  map[string]struct{ Username, Password string }
	}
}

// startProcess runs the program itself and waits until it serves.
func startProcess(t *testing.T, dsn, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, dir: dir, ended: make(chan error, 1)}
	p.cmd = exec.Command("hufu", append([]string{"serve", "--demo", "--data-dir=" + dir, "--listen=127.0.0.1:0",
		"--limits-requests-per-minute=1000000", "--limits-flows-per-minute=1000000"}, args...)...)
	p.cmd.Env = append(os.Environ(), "HUFU_DATABASE_DSN="+dsn)
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(logs)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct{ Msg, Level, Address, Error string }
			_ = json.Unmarshal(lines.Bytes(), &line)
			if line.Msg == "serving" {
				serving <- line.Address
			}
		}
		p.ended <- p.cmd.Wait()
		close(serving)
	}()
	t.Cleanup(p.kill)
	select {
	case p.base = <-serving:
	case <-time.After(30 * time.Second):
		t.Fatal("hufu does not serve")
	}
	if p.base == "" {
		t.Fatal("hufu ended at once")
	}
	p.base = "http://" + p.base
	text, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err == nil {
		err = json.Unmarshal(text, &p.demo)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends the process as a power cut would; it is no fault when it has ended.
func (p *process) kill() {
	if p.ended == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.ended = nil
}

// An answer of the process; Status 0: the connection broke.
type answer struct {
	Status  int    `json:"-"`
	Error   string `json:"error"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Device  string `json:"device_code"`
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// deviceKey is that of the device that asks.
var deviceKey = dpoptest.New()

func (p *process) post(path string, form url.Values) (a answer) {
	r, err := http.NewRequest(http.MethodPost, p.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return a
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if form.Get("client_id") == "terminal" {
		r.Header.Set("DPoP", deviceKey.Proof(r.Method, p.demo.Issuer+path, ""))
	}
	res, err := client.Do(r)
	if err != nil {
		return a
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		return answer{}
	}
	a.Status = res.StatusCode
	return a
}

func (p *process) refresh(token string) answer {
	return p.post("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"merchant-app"}, "refresh_token": {token}})
}

func (p *process) poll(device string) answer {
	return p.post("/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"terminal"}, "device_code": {device}})
}

var (
	formAction = regexp.MustCompile(`<form[^>]* method="post" action="([^"]+)"`)
	errLeft    = fmt.Errorf("left for the client")
)

// signIn walks the sign-in pages as the cashier and returns the tokens of a new
// family, and how far it came otherwise.
func (p *process) signIn() (answer, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return answer{}, err
	}
	var left *url.URL
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: client.Transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host {
			left = r.URL
			return errLeft
		}
		return nil
	}}
	verifier := oauth2.GenerateVerifier()
	q := url.Values{"response_type": {"code"}, "client_id": {"merchant-app"}, "redirect_uri": {"http://localhost:8081/callback"}, "scope": {"openid offline_access"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}
	user := p.demo.Users["cashier"]
	res, err := browser.Get(p.base + "/authorize?" + q.Encode())
	for _, form := range []url.Values{{"identifier": {user.Username}}, {"password": {user.Password}}} {
		if err != nil {
			return answer{}, err
		}
		page, rerr := io.ReadAll(res.Body)
		_ = res.Body.Close()
		action := formAction.FindSubmatch(page)
		if rerr != nil || action == nil {
			return answer{}, fmt.Errorf("%d at %s: no form (%v)", res.StatusCode, res.Request.URL, rerr)
		}
		res, err = browser.PostForm(p.base+string(action[1]), form)
	}
	if left == nil {
		return answer{}, fmt.Errorf("not at the client: %v", err)
	}
	a := p.post("/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"merchant-app"}, "code": {left.Query().Get("code")},
		"redirect_uri": {"http://localhost:8081/callback"}, "code_verifier": {verifier}})
	if a.Status != http.StatusOK {
		return a, fmt.Errorf("exchange: %+v", a)
	}
	return a, nil
}

// A record is everything that the process has acknowledged.
type record struct {
	mu       sync.Mutex
	families []string // the newest refresh token of each
	devices  []string
	rotated  int
	signIns  int
}

// drive asks for everything at once until the process is gone.
func (r *record) drive(p *process, t *testing.T) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range r.families {
		wg.Go(func() {
			for {
				r.mu.Lock()
				token := r.families[i]
				r.mu.Unlock()
				a := p.refresh(token)
				if a.Status == 0 {
					return
				}
				if a.Status != http.StatusOK {
					t.Errorf("refresh: %+v", a)
					return
				}
				r.mu.Lock()
				r.families[i], r.rotated = a.Refresh, r.rotated+1
				r.mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for n := 0; n < 12; n++ { // what one network may ask for at once
			a := p.post("/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid offline_access"}})
			if a.Status == 0 {
				return
			}
			if a.Status != http.StatusOK {
				t.Errorf("device: %+v", a)
			}
			r.mu.Lock()
			r.devices = append(r.devices, a.Device)
			r.mu.Unlock()
		}
	})
	wg.Go(func() {
		for {
			a, err := p.signIn()
			if err != nil {
				return // the pages do not say whether it was the end; tokens are what counts
			}
			r.mu.Lock()
			r.families = append(r.families, a.Refresh)
			r.signIns++
			r.mu.Unlock()
		}
	})
	return &wg
}

// kill -9 under load, twice: what was acknowledged is there after a restart.
func TestKilledUnderLoad(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := storagetest.DSN(t, d), t.TempDir()
			r := &record{}
			p := startProcess(t, dsn, dir)
			for range 6 {
				a, err := p.signIn()
				if err != nil {
					t.Fatal(err)
				}
				r.families, r.signIns = append(r.families, a.Refresh), r.signIns+1
			}
			for round := range 2 {
				wg := r.drive(p, t)
				time.Sleep(time.Duration(1200+300*round) * time.Millisecond) // load, not a wait for something
				p.kill()
				wg.Wait()
				p = startProcess(t, dsn, dir)
				r.check(t, p)
			}
			t.Logf("%d rotations, %d sign-ins, %d device requests acknowledged", r.rotated, r.signIns, len(r.devices))
			p.kill()
			r.events(t, dsn, dir)
		})
	}
}

func (r *record) check(t *testing.T, p *process) {
	t.Helper()
	for i, token := range r.families {
		a := p.refresh(token)
		if a.Status != http.StatusOK {
			t.Errorf("family %d of %d: its newest token: %+v", i, len(r.families), a)
			continue
		}
		r.families[i] = a.Refresh
	}
	for i, device := range r.devices {
		if a := p.poll(device); a.Error != "authorization_pending" && a.Error != "slow_down" {
			t.Errorf("device request %d of %d: %+v", i, len(r.devices), a)
		}
	}
}

// events holds the log of the database against what was acknowledged.
func (r *record) events(t *testing.T, dsn, dir string) {
	t.Helper()
	ring, err := server.Defaults(dir, true).Ring()
	if err != nil {
		t.Fatal(err)
	}
	s := storagetest.Open(t, dsn, ring)
	for name, want := range map[string]int{"signin.succeeded": r.signIns, "grant.created": r.signIns, "device.requested": len(r.devices), "grant.reuse_detected": 0} {
		found, err := s.Events(context.Background(), storage.EventFilter{Name: name}, 10000)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) < want || name == "grant.reuse_detected" && len(found) > 0 {
			t.Errorf("%d events %s, %d acknowledged", len(found), name, want)
		}
	}
}
