package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/server"
	"hufu/templates"
)

type drillCmd struct {
	Lang string `default:"${language}" enum:"${languages}" help:"Language of what is printed: ${enum}."`
}

// languages are the names that a flag of a language may have.
func languages() kong.Vars {
	var tags []string
	for _, l := range templates.Languages() {
		tags = append(tags, l.Tag)
	}
	return kong.Vars{"language": tags[0], "languages": strings.Join(tags, ",")}
}

// drill is a demonstration world of its own that bad days happen in: a server on loopback with
// its database in a temporary folder, driven by HTTP alone as browsers, apps, terminals and
// thieves drive it. It knows nothing of the installation that it is run beside.
type drill struct {
	ctx    context.Context
	out    io.Writer
	lang   string
	dir    string
	issuer string
	house  *house // the server that is running

	Users map[string]*member `json:"users"`
	// of the terminals, by kind
	Terminals map[string]struct{ Serial string } `json:"terminals"`
}

// member is one of the people of the world, with what he holds.
type member struct {
	Username, Email, Password string
	Codes                     []string `json:"recovery_codes"`
	TOTP                      string   `json:"totp_secret"`
	Document                  string   `json:"document_tail"`
	Birthday                  string
	used                      int64 // the newest step of his authenticator that was shown
}

// totpStep is how long an authenticator shows a code.
const totpStep = 30 * time.Second

// code is what his authenticator shows: the next one, where this one has been used. The server
// takes it half a minute ahead, so nobody waits for the first two.
func (p *member) code() (string, error) {
	now := time.Now()
	step := max(now.Unix()/int64(totpStep.Seconds()), p.used+1)
	at := time.Unix(step*int64(totpStep.Seconds()), 0)
	time.Sleep(time.Until(at.Add(-totpStep)))
	p.used = step
	return totp.Code(p.TOTP, at)
}

// reply is what an app or a terminal is answered.
type reply struct {
	Status   int    `json:"-"`
	Access   string `json:"access_token"`
	Refresh  string `json:"refresh_token"`
	Device   string `json:"device_code"`
	Complete string `json:"verification_uri_complete"`
	Match    int    `json:"match_number"`
	Interval int    `json:"interval"`
}

// is fails unless the reply has the status.
func (a reply) is(status int, what string) error {
	if a.Status != status {
		return fmt.Errorf("%s: %d, %d expected", what, a.Status, status)
	}
	return nil
}

// patience is how long the drill waits for one answer.
const patience = 20 * time.Second

// Run walks the scenarios, the next one whatever became of the last.
func (c drillCmd) Run(a *app) (err error) {
	d := &drill{ctx: a.ctx, out: a.stdout, lang: c.Lang}
	if d.dir, err = os.MkdirTemp("", "hufu-drill-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	d.say("drill.title")
	if err := d.found(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.house.stop()) }()
	var results []string
	unsafe := 0
	for _, sc := range []struct {
		key  string
		walk func(*scene)
	}{{"drill.phone", d.lostPhone}, {"drill.terminal", d.stolenTerminal}, {"drill.agent", d.rogueAgent}, {"drill.backup", d.restored}} {
		name := d.t(sc.key)
		fmt.Fprintf(d.out, "\n%s\n", name)
		s := &scene{d: d}
		sc.walk(s)
		if s.err != nil {
			unsafe++
			results = append(results, d.t("drill.unsafe", name))
			continue
		}
		results = append(results, d.t("drill.safe", name, seconds(time.Since(s.began))))
	}
	d.say("drill.results")
	for _, line := range results {
		fmt.Fprintln(d.out, line)
	}
	d.say("drill.clock")
	if unsafe > 0 {
		return errors.New(d.t("drill.failed", unsafe))
	}
	return nil
}

func (d *drill) t(key string, args ...any) string { return templates.T(d.lang, key, args...) }

func (d *drill) say(key string, args ...any) { fmt.Fprintf(d.out, "\n%s\n", d.t(key, args...)) }

func seconds(t time.Duration) string { return fmt.Sprintf("%.2f s", t.Seconds()) }

// A scene is one bad day. After the first step that does not come out as it must, the rest is
// left out.
type scene struct {
	d     *drill
	began time.Time // of the bad part: from here on the time to a safe state counts
	err   error
}

// struck begins the bad part.
func (s *scene) struck(key string) {
	if s.err == nil {
		s.began = time.Now()
		s.note(key)
	}
}

// note prints what is done by nobody.
func (s *scene) note(key string) {
	if s.err == nil {
		fmt.Fprintf(s.d.out, "            %s\n", s.d.t(key))
	}
}

// step does one thing, and prints what it was and how long it took.
func (s *scene) step(key string, do func() error) {
	if s.err != nil {
		return
	}
	start := time.Now()
	s.err = do()
	fmt.Fprintf(s.d.out, "%10s  %s\n", seconds(time.Since(start)), s.d.t(key))
	if s.err != nil {
		fmt.Fprintf(s.d.out, "            %s\n", s.d.t("drill.wrong", s.err))
	}
}

// house is a running server of the drill.
type house struct {
	service *server.Server
	cfg     server.Config
	address string
	end     context.CancelFunc
	ended   chan error
}

// found makes the world: the first server on a fresh database, and reads who lives in it.
func (d *drill) found() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.issuer = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	if err := d.start(listener, filepath.Join(d.dir, "first")); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(d.house.cfg.DataDir, "demo.json"))
	if err == nil {
		err = json.Unmarshal(text, d)
	}
	if err != nil {
		return errors.Join(err, d.house.stop())
	}
	return nil
}

// start runs a server on the data of a folder. Every one is the same issuer to its visitors,
// wherever it listens.
func (d *drill) start(listener net.Listener, dir string) error {
	cfg := server.Defaults(dir, true)
	cfg.Issuer = d.issuer
	log := slog.New(slog.DiscardHandler) // a drill is read, not its log
	service, err := server.New(d.ctx, cfg, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, end := context.WithCancel(context.WithoutCancel(d.ctx))
	h := &house{service: service, cfg: cfg, address: listener.Addr().String(), end: end, ended: make(chan error, 1)}
	go func() { h.ended <- serveHTTP(ctx, listener, service.Handler(), nil, log, shutdownGrace) }()
	d.house = h
	return nil
}

// stop ends a server; one that has been stopped stays so.
func (h *house) stop() error {
	if h.ended == nil {
		return nil
	}
	h.end()
	err := errors.Join(<-h.ended, h.service.Close())
	h.ended = nil
	return err
}

// RoundTrip sends a request to the server that is running, whatever its address says.
func (d *drill) RoundTrip(r *http.Request) (*http.Response, error) {
	to := d.house.address
	t := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: patience, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}}
	return t.RoundTrip(r)
}

// freshPassword is a password that nobody has.
func freshPassword() string { return idp.NewToken() }
