package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/policy"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// credential is the only one of a person.
func (w *demoWorld) credential(t *testing.T, login string) idp.Credential {
	t.Helper()
	all, err := w.Service.Store.Credentials(t.Context(), w.user(t, login).ID)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0]
}

// shut fails the password of a person as often as closes it to strangers for good.
func (w *demoWorld) shut(t *testing.T, login string) {
	t.Helper()
	most, id := policy.Default().Throttle.HardEnd, w.credential(t, login).ID
	for range most {
		_, err := w.Service.Store.FailCredential(t.Context(), id, most)
		must(t, err)
	}
	if !w.credential(t, login).Closed {
		t.Fatal("still open")
	}
}

// A phone with an old password sends it all night: that is one failure, for the
// account, its waits and everybody else.
func TestRepeatedWrongPasswordClosesNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		key := []byte(w.person(t, somebody{Login: "old.phone"}).ID)
		b := w.from(t, "203.0.113.1").name("old.phone")
		for range policy.Default().Throttle.HardEnd + 1 {
			b.submit("password", "the old password").see(422, "不对")
			w.unworked(t, "old.phone")
		}
		b.open(b.URL.Path)
		if c := w.credential(t, "old.phone"); c.Closed || c.Failures != 1 {
			t.Errorf("closed %v after %d failures, want one", c.Closed, c.Failures)
		}
		for i := range 4 { // five in all: only the fifth starts a wait
			b.submit("password", fmt.Sprint("another ", i)).see(422, "不对")
		}
		b.submit("password", "one more").see(429, "试得太多")
		w.from(t, "203.0.113.2").try("old.phone", storyPassword).see(200, "某人")
		if n := w.left(t, "pw", key, policy.Default().Throttle.PasswordStranger); n != 15 {
			t.Errorf("%d tries left of 20, want 15", n)
		}
	})
}

// The hard end of a password is lifted by its owner's next sign-in on a browser that
// knows him, which for a cashier is the password alone.
func TestCashierReopensHisPassword(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "hard.cashier"})
		known := w.from(t, "198.51.100.1")
		known.open("/sign-in").signIn("hard.cashier").see(200, "某人").signOut()
		w.shut(t, "hard.cashier")
		w.from(t, "203.0.113.1").try("hard.cashier", storyPassword).see(422, "不对")
		known.open("/sign-in").signIn("hard.cashier").see(200, "某人")
		if c := w.credential(t, "hard.cashier"); c.Closed || c.Failures != 0 {
			t.Errorf("closed %v, %d failures", c.Closed, c.Failures)
		}
		w.from(t, "203.0.113.1").try("hard.cashier", storyPassword).see(200, "某人")
	})
}

// A meter passes requests on and notes what the last one cost the database.
type meter struct {
	inner http.RoundTripper
	last  cost
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	var tally storage.Tally
	res, err := m.inner.RoundTrip(r.WithContext(storage.WithTally(r.Context(), &tally)))
	m.last = cost{tally.Reads.Load(), tally.Writes.Load(), tally.Transactions.Load()}
	return res, err
}

// A password that is closed to strangers, for good or for a while, tells them nothing:
// right, wrong and the same wrong again have the same answers, the same waits and the
// same work behind them.
func TestClosedPasswordTellsNothing(t *testing.T) {
	closings := map[string]func(t *testing.T, w *demoWorld, login string){
		"hard.end": func(t *testing.T, w *demoWorld, login string) { w.shut(t, login) },
		"no.tries": func(t *testing.T, w *demoWorld, login string) {
			w.left(t, "pw", []byte(w.user(t, login).ID), policy.Default().Throttle.PasswordStranger)
		},
	}
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for login, closes := range closings {
			w.add(t, somebody{Login: login})
			closes(t, w, login)
			w.from(t, "203.0.113.100").try(login, "a wrong one").see(422, "不对") // the owner is told once a day
			guesses := func(from string, guess func(i int) string) (out []string) {
				b := w.from(t, from)
				m := &meter{inner: b.client.Transport}
				b.client.Transport = m
				// Each network begins as the first one did: without failures of the name that must be worked for.
				w.unworked(t, login)
				page := b.name(login).URL.Path
				for i := range 7 {
					if b.Status == http.StatusTooManyRequests {
						b.open(page) // the wait's page has no form
					}
					b.submit("password", guess(i))
					out = append(out, fmt.Sprint(b.Status, " again after ", b.Header.Get("Retry-After"), " costs ", m.last))
				}
				return out
			}
			wrong := guesses("203.0.113.1", func(i int) string { return fmt.Sprint("wrong ", i) })
			if !strings.HasPrefix(wrong[4], "422") || !strings.HasPrefix(wrong[5], "429") {
				t.Errorf("%s: wrong ones are not charged: %q", login, wrong)
			}
			if same := guesses("203.0.113.2", func(int) string { return "the same" }); !slices.Equal(same, wrong) {
				t.Errorf("%s: the same again: %q\nand wrong ones: %q", login, same, wrong)
			}
			if right := guesses("203.0.113.3", func(int) string { return storyPassword }); !slices.Equal(right, wrong) {
				t.Errorf("%s: right ones: %q\nand wrong ones: %q", login, right, wrong)
			}
		}
	})
}

// fill leaves a bucket of failures of a network with room for so many.
func (w *demoWorld) fill(t *testing.T, network string, b policy.Bucket, room int) {
	t.Helper()
	ok, _, err := w.Service.Store.TakeBucket(t.Context(), "net", w.Service.Store.MAC("network", []byte(network)), 1, time.Duration(b.Burst-room)*b.Refill, time.Now())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
}

// A network at its hard stop is told to wait before a password is hashed for it. Who
// is known there does not notice.
func TestStoppedNetworkCostsNoHash(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "known.here"})
		u := w.person(t, somebody{Login: "no.hash", NoPassword: true})
		must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte("whoever verifies against this fails")}))
		known := w.from(t, "203.0.113.9")
		known.open("/sign-in").signIn("known.here").see(200, "某人").signOut()
		w.fill(t, "203.0.113.9/32", policy.Default().Throttle.StrangerNetwork, 0)
		w.from(t, "203.0.113.9").try("no.hash", "wrong").see(429, "试得太多")
		w.from(t, "203.0.113.9").try("nobody.here", "wrong").see(429, "试得太多")
		w.from(t, "203.0.113.10").try("no.hash", "wrong").see(500, "") // or the test would show nothing
		known.open("/sign-in").signIn("known.here").see(200, "某人")
	})
}

// Who holds an IPv6 network of many addresses has no more tries than it: failures
// are counted for the /56 and the /48 around each address, too.
func TestWiderNetworksStop(t *testing.T) {
	one := policy.Default().Throttle.StrangerNetwork
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for _, n := range []struct {
			network          string
			share            int
			last, in, beyond string // its last failure comes from here
		}{
			{"2001:db8:7::/48", 16, "[2001:db8:7:1::1]", "[2001:db8:7:ff00::9]", "[2001:db8:8::1]"},
			{"2001:db8:9:100::/56", 4, "[2001:db8:9:101::1]", "[2001:db8:9:1ff::9]", "[2001:db8:9:200::1]"},
		} {
			w.fill(t, n.network, one.Times(n.share), 1)
			w.from(t, n.last).try("nobody.at1", "guess at "+n.network).see(422, "不对")
			w.from(t, n.in).try("nobody.at2", "guess at "+n.network).see(429, "试得太多")
			w.from(t, n.beyond).try("nobody.at3", "guess at "+n.network).see(422, "不对")
		}
	})
}

// What strangers at the same address ask for too often is refused to them alone: a
// browser that somebody is known on has a share of its own. Probes and files have no
// limit.
func TestFloodOfStrangers(t *testing.T) {
	dsn, dir := sown(t, storage.SQLite, true) // the shares are in memory
	synctest.Test(t, func(t *testing.T) {
		w := tightWorld(t, dsn, dir, 60, 6)
		w.add(t, somebody{Login: "known.one"})
		known, stranger, forger := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.1"), w.from(t, "203.0.113.1")
		known.open("/sign-in").signIn("known.one").see(200, "某人").signOut()
		mark := known.cookie("hufu-kb").Value
		forger.set("hufu-kb", mark[:len(mark)-4]+"AAAA")
		floods := func(b *browser, path string) {
			t.Helper()
			for range 60 {
				if b.once("GET", path, nil).StatusCode == 429 {
					return
				}
			}
			t.Fatalf("%s: no limit", path)
		}
		refused := func(path string, b ...*browser) {
			t.Helper()
			for i, b := range b {
				if res := b.once("GET", path, nil); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
					t.Errorf("%s, stranger %d: %d", path, i, res.StatusCode)
				}
			}
		}
		floods(stranger, "/sign-in") // opens a flow each time
		refused("/sign-in", stranger, forger)
		known.open("/sign-in").signIn("known.one").see(200, "某人").signOut()
		ask := url.Values{"client_id": {"merchant-app"}, "response_type": {"code"}, "redirect_uri": {w.Clients["merchant_app"].Redirect}, "scope": {"openid"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}
		for range 20 {
			stranger.once("POST", "/authorize", ask)
		}
		if res := stranger.once("POST", "/authorize", ask); res.StatusCode != 429 {
			t.Errorf("requests that must be remembered: %d", res.StatusCode)
		}
		if res := known.once("POST", "/authorize", ask); res.StatusCode != 303 {
			t.Errorf("a known browser's request: %d", res.StatusCode)
		}
		time.Sleep(10 * time.Second)
		floods(stranger, "/sign-out")
		refused("/sign-out", stranger, forger)
		known.open("/sign-in").signIn("known.one").see(200, "某人")
		for range 3 {
			for _, path := range []string{"/healthz", "/readyz", "/static/hufu.css"} {
				if res := stranger.once("GET", path, nil); res.StatusCode != 200 {
					t.Errorf("%s: %d", path, res.StatusCode)
				}
			}
		}
		floods(known, "/account") // its own share has an end, too
		time.Sleep(time.Minute)
		known.open("/account").see(200, "某人")
		stranger.open("/sign-in").see(200, "登录名")
	})
}

// terminalKey is that of a terminal of the demonstration.
func (w *demoWorld) terminalKey(kind string) *dpoptest.Key {
	if w.keys == nil {
		w.keys = map[string]*dpoptest.Key{}
	}
	if w.keys[kind] == nil {
		w.keys[kind] = dpoptest.New()
	}
	return w.keys[kind]
}

// activated is a terminal of the demonstration that its owner has signed in, in a browser
// of his: how it asks for its next tokens.
func (w *demoWorld) activated(t *testing.T, address, kind string, owner *browser) (refresh func() tokenAnswer) {
	t.Helper()
	a, b := &quietApp{world: w, id: "terminal"}, w.from(t, address)
	b.key = w.terminalKey(kind)
	var d deviceAnswer
	b.post("/device_authorization", url.Values{"client_id": {a.id}, "scope": {"openid offline_access terminal"}, "terminal_serial": {w.Terminals[kind].Serial}})
	must(t, json.Unmarshal([]byte(b.Body), &d))
	owner.approve(d.UserCode, d.number()).see(200, "已经批准")
	time.Sleep(6 * time.Second)
	last := a.post(t, b, pollForm(d))
	return func() tokenAnswer {
		t.Helper()
		next := a.refresh(t, b, last.Refresh)
		if next.Refresh != "" {
			last = next
		}
		return next
	}
}

// What strangers on the shop's network ask for, of pages or for tokens with tokens that
// they make up, signs no terminal out: it has a share of its own as long as its grant lives.
func TestFloodLeavesTerminals(t *testing.T) {
	dsn, dir := sown(t, storage.SQLite, true) // the shares are in memory
	synctest.Test(t, func(t *testing.T) {
		w := tightWorld(t, dsn, dir, 30, 30)
		const shop = "203.0.113.1"
		owner := w.from(t, "198.51.100.1").open("/sign-in").signIn("owner").see(200, "林薇")
		refresh := w.activated(t, shop, "smart", owner)
		ended := w.activated(t, shop, "esign", owner)
		grants, err := w.Service.Store.Grants(t.Context(), w.user(t, "lin.wei").ID)
		must(t, err)
		esign, err := w.Service.Store.TerminalBySerial(t.Context(), w.Terminals["esign"].Serial)
		must(t, err)
		for _, g := range grants {
			if g.TerminalID == esign.ID {
				must2(w.Service.Store.EndGrant(t.Context(), g.ID, "lost", time.Now()))(t)
			}
		}
		time.Sleep(time.Minute)
		stranger := w.from(t, shop)
		junk := func() int { return stranger.once("POST", "/token", refreshForm("terminal", idp.NewToken())).StatusCode }
		for range 31 {
			stranger.once("GET", "/sign-out", nil)
		}
		if page, token := stranger.once("GET", "/sign-out", nil).StatusCode, junk(); page != 429 || token != 400 {
			t.Errorf("a flood of pages: %d, and for tokens %d", page, token)
		}
		for range 31 {
			junk()
		}
		if status := junk(); status != 429 {
			t.Errorf("a flood of made-up tokens: %d", status)
		}
		if status := stranger.once("POST", "/token", url.Values{"grant_type": {"client_credentials"}}).StatusCode; status != 429 {
			t.Errorf("another grant in the flood: %d", status)
		}
		if res := stranger.once("POST", "/token", nil, "Content-Type", "text/plain"); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
			t.Errorf("no form in the flood: %d", res.StatusCode)
		}
		for i := range 20 {
			if a := refresh(); a.Status != 200 {
				t.Fatalf("refresh %d of the terminal: %+v", i, a)
			}
		}
		if a := ended(); a.Status != 429 {
			t.Errorf("a terminal whose grant has ended: %+v", a)
		}
		for range 20 {
			refresh()
		}
		if a := refresh(); a.Status != 429 {
			t.Errorf("its own share has no end: %+v", a)
		}
	})
}

// tightWorld is a quiet world with small limits.
func tightWorld(t *testing.T, dsn, dir string, requests, flows int) *demoWorld {
	t.Helper()
	cfg := server.Defaults(dir, true)
	cfg.Database.DSN = idp.Secret(dsn)
	cfg.Limits.RequestsPerMinute, cfg.Limits.FlowsPerMinute = requests, flows
	return startWorld(t, cfg, dir)
}

// crossSite follows a link on a page of another site.
func (b *browser) crossSite(path string) *browser {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.world.Issuer+path, nil)
	must(b.t, err)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return b.do(r)
}

// Another site that sends somebody's browser to guessed codes uses none of his tries
// up: the code waits in the form for him.
func TestLinksToDevicePageCostNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("owner").see(200, "林薇")
		filled := func() string {
			for _, in := range all(b.Doc, "input") {
				if attr(in, "name") == "user_code" {
					return attr(in, "value")
				}
			}
			return "no form"
		}
		for i := range 15 {
			code := strings.Repeat(string("BCDFGHJKLMNPQRS"[i]), 8)
			if b.crossSite("/device?user_code="+code).see(200, "终端码"); filled() != code {
				t.Fatalf("filled in is %q, not %q", filled(), code)
			}
		}
		w.asks(t, "esign", "BCDFGHJK")
		if b.crossSite("/device?user_code=BCDFGHJK").see(200, "终端码"); filled() != "BCDFGHJK" {
			t.Fatalf("filled in is %q", filled())
		}
		b.submit("user_code").see(200, "批准这台终端登录")
	})
}

// The terminal that asks again from where it asked before means the newer request.
// A stranger who knows its serial number takes nothing from it, and gets nothing.
func TestStrangersAskForTerminal(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		asks := func(from string) (d deviceAnswer) {
			t.Helper()
			b := w.from(t, from)
			b.key = w.terminalKey(from)
			b.post("/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid terminal"}, "terminal_serial": {w.Terminals["esign"].Serial}})
			must(t, json.Unmarshal([]byte(b.Body), &d))
			d.from = from
			return d
		}
		hears := func(d deviceAnswer, want string) {
			t.Helper()
			time.Sleep(6 * time.Second)
			var a tokenAnswer
			b := w.from(t, "198.51.100.1")
			b.key = w.terminalKey(d.from)
			must(t, json.Unmarshal([]byte(b.post("/token", pollForm(d)).Body), &a))
			if a.Error != want {
				t.Errorf("the device hears %q, want %q", a.Error, want)
			}
		}
		first := asks("198.51.100.1")
		stranger, neighbour := asks("203.0.113.66"), asks("198.51.100.2")
		hears(first, "authorization_pending")
		own := asks("198.51.100.1")
		hears(first, "access_denied")
		for _, d := range []deviceAnswer{stranger, neighbour, own} {
			hears(d, "authorization_pending")
		}
		w.from(t, "198.51.100.9").open("/sign-in").signIn("owner").approve(own.UserCode, own.number()).see(200, "已经批准")
		hears(stranger, "access_denied")
		hears(neighbour, "access_denied")
		hears(own, "")
		if grants, err := w.Service.Store.Grants(t.Context(), w.user(t, "lin.wei").ID); err != nil || len(grants) != 1 {
			t.Errorf("%d grants, %v", len(grants), err)
		}
	})
}

// An application gets for a person what his role may give away, whatever it asks for.
func TestScopesFollowRole(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for who, want := range map[string]string{
			"auditor": "openid", "cashier": "openid payments:read", "manager": "openid payments:read payments:refund",
			"owner": "openid payments:read payments:refund settlement:manage",
		} {
			a, b := w.quietApp("merchant_app"), w.from(t, "203.0.113.1")
			q := url.Values{"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.redirect}, "code_challenge": {a.sum}, "code_challenge_method": {"S256"},
				"scope": {"openid payments:read payments:refund settlement:manage"}}
			b.open("/authorize?" + q.Encode()).signIn(who)
			if b.Left == nil {
				t.Fatalf("%s is not at the client but at %s: %s", who, b.URL, b.text())
			}
			token := a.post(t, b, url.Values{"grant_type": {"authorization_code"}, "client_id": {a.id}, "code": {b.Left.Query().Get("code")}, "redirect_uri": {a.redirect}, "code_verifier": {a.verifier}})
			parts := strings.Split(token.Access, ".")
			if len(parts) != 3 {
				t.Fatalf("%s: no access token: %+v", who, token)
			}
			var claims struct{ Scope string }
			must(t, json.Unmarshal(decode(t, parts[1]), &claims))
			if claims.Scope != want {
				t.Errorf("%s: scope %q, want %q", who, claims.Scope, want)
			}
		}
	})
}

// Whose session ends while he approves a terminal gives it nothing: the end of
// everything ends this, too.
func TestApprovalAfterSessionEnded(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, false)
			w := newWorld(t, dsn, dir)
			b, store := w.browser(t), w.Service.Store
			b.open("/sign-in").signIn("owner").see(200, "林薇")
			asked := w.asks(t, "esign", "BCDFGHJK")
			form := url.Values{"user_code": {"BCDFGHJK"}, "do": {"approve"}, "match": {"42"}}
			var tally storage.Tally
			r := httptest.NewRequestWithContext(storage.WithTally(context.Background(), &tally), http.MethodPost, "/device", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.AddCookie(b.cookie("hufu-s"))
			r.RemoteAddr = "127.0.0.1:40000"
			answer, done := httptest.NewRecorder(), make(chan struct{})
			must(t, store.Tx(t.Context(), func(ctx context.Context) error {
				if err := store.EndAll(ctx, w.user(t, "lin.wei"), storage.Keep{}, "locked", idp.Event{Actor: "system"}); err != nil {
					return err
				}
				go func() { defer close(done); w.Service.Handler().ServeHTTP(answer, r) }()
				return stands(t, d, dsn, &tally, done)
			}))
			<-done
			grants, err := store.Grants(t.Context(), w.user(t, "lin.wei").ID)
			if err != nil || len(grants) != 0 || answer.Code != http.StatusGone || w.state(t, asked) != idp.DevicePending {
				t.Errorf("answered %d, %d grants, %v, the request is %s", answer.Code, len(grants), err, w.state(t, asked))
			}
		})
	}
}

// stands waits until a request stands before what the caller's transaction holds, or
// has passed it: before SQLite's one writer with its first transaction, in PostgreSQL
// before the lock of a row.
func stands(t *testing.T, d storage.Dialect, dsn string, tally *storage.Tally, done <-chan struct{}) error {
	t.Helper()
	for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
		select {
		case <-done:
			return nil
		default:
		}
		if d == storage.SQLite && tally.Transactions.Load() > 0 {
			return nil
		}
		if d == storage.Postgres && len(cells(t, d, dsn, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")) > 0 {
			return nil
		}
	}
	return errors.New("the request did not get that far")
}

// Who reads the table of flows learns neither who signs in nor an address that goes
// on with somebody's sign-in.
func TestFlowsAreSealed(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, false)
			w := newWorld(t, dsn, dir)
			a, b := w.quietApp("merchant_app"), w.browser(t)
			q := url.Values{"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.redirect}, "scope": {"openid"}, "code_challenge": {a.sum}, "code_challenge_method": {"S256"}, "login_hint": {"hinted.name"}}
			waiting := b.once(http.MethodPost, "/authorize", q).Header.Get("Location")
			_, id, _ := strings.Cut(waiting, "continue=")
			if len(id) < 40 {
				t.Fatalf("no waiting request: %q", waiting)
			}
			b.open(waiting).see(200, "登录名").submit("identifier", "typed.name").see(200, "密码")
			b.open("/device?user_code=BCDF-GHJK").see(200, "登录名")
			rows := cells(t, d, dsn, "flows")
			if len(rows) == 0 {
				t.Fatal("no flows")
			}
			for _, secret := range []string{"hinted.name", "typed.name", id, "continue=", "BCDF-GHJK"} {
				for _, cell := range rows {
					if bytes.Contains(cell, []byte(secret)) {
						t.Errorf("%q is in %q", secret, cell)
					}
				}
			}
		})
	}
}

// cells reads all texts and bytes of a table, past the store.
func cells(t *testing.T, d storage.Dialect, dsn, table string) (out [][]byte) {
	t.Helper()
	driver, address := "pgx", dsn
	if d == storage.SQLite {
		driver, address = "sqlite", "file:"+strings.TrimPrefix(dsn, "sqlite:")
	}
	db, err := sql.Open(driver, address)
	must(t, err)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	must(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		raw, dest := make([]sql.RawBytes, len(names)), make([]any, len(names))
		for i := range raw {
			dest[i] = &raw[i]
		}
		must(t, rows.Scan(dest...))
		for _, cell := range raw {
			out = append(out, bytes.Clone(cell))
		}
	}
	must(t, rows.Err())
	return out
}

// The people of a demonstration, whose passwords lie in a file, sign in nowhere else.
func TestDemonstrationStaysOne(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := storagetest.DSN(t, d), t.TempDir()
			start := func(demo bool) error {
				cfg := server.Defaults(dir, demo)
				cfg.Database.DSN = idp.Secret(dsn)
				service, err := server.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
				if err == nil {
					err = service.Close()
				}
				return err
			}
			must(t, start(true))
			err := start(false)
			if err == nil {
				t.Fatal("serves the demonstration world as if it were none")
			}
			for _, words := range []string{"demonstration", "--demo", "database.dsn", "data_dir"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("does not say %q: %v", words, err)
				}
			}
			must(t, start(true))
		})
	}
}
