package main

import (
	"context"
	"crypto/ecdsa"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var serials = map[string]string{"esign": "HF-E10-00004417", "traditional": "HF-T58-00000931", "smart": "HF-S90-00007720"}

// proves fails the test if a request came without the proof of its key.
func (f *fakeProvider) proves(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.unproved) > 0 {
		t.Errorf("without a right proof: %q", f.unproved)
	}
}

// start lays a bench against the provider, without a network.
func start(t *testing.T, f *fakeProvider) *Bench {
	t.Helper()
	b := NewBench(t.Context(), slog.New(slog.DiscardHandler))
	b.Client = &http.Client{Transport: f}
	p, err := discover(t.Context(), b.Client, f.url)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.lay(p, serials, &keyFile{keys: map[string][]byte{}}); err != nil {
		t.Fatal(err)
	}
	return b
}

func testKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := (&keyFile{keys: map[string][]byte{}}).of("S1")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func visit(t *testing.T, b *Bench, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
	if method == http.MethodGet && !strings.Contains(path, "lang=") {
		r.Header.Set("Accept-Language", "en")
	}
	b.Handler().ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "⟦") {
		t.Errorf("%s %s: a sentence is missing: %s", method, path, w.Body)
	}
	return w
}

func page(t *testing.T, b *Bench) string { return visit(t, b, http.MethodGet, "/").Body.String() }

func press(t *testing.T, b *Bench, path string) {
	t.Helper()
	if w := visit(t, b, http.MethodPost, path); w.Code != http.StatusSeeOther {
		t.Fatalf("%s: %d", path, w.Code)
	}
}

// types presses a button after digits were typed or picked.
func types(t *testing.T, b *Bench, path, digits string) {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, strings.NewReader("digits="+digits))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("%s: %d", path, w.Code)
	}
}

func has(t *testing.T, body string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			t.Errorf("page does not say %q:\n%s", want, body)
		}
	}
}

func TestCodeToSignOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, "authorization_pending", approved)
		b := start(t, f)
		has(t, page(t, b), "Press Sign in", "Get a code on each idle terminal")

		press(t, b, "/terminals/smart/start")
		want := map[string]string{"client_id": "terminal", "scope": "openid profile offline_access terminal payments:read", "terminal_serial": serials["smart"], "software_version": softwareVersion}
		for k, v := range want {
			if f.asked.Get(k) != v {
				t.Errorf("%s = %q", k, f.asked.Get(k))
			}
		}
		waiting := page(t, b)
		has(t, waiting, "BCDF-GHJK", `<p class="match">47</p>`, `data-state="waiting"`, "ends in 7720", `<meta http-equiv="refresh" content="3">`,
			`href="http://provider.test/device?user_code=BCDF-GHJK"`, "<svg role=\"img\"", "Valid until ")
		before := visit(t, b, http.MethodGet, "/state").Body.String()
		if strings.Contains(waiting, f.code) {
			t.Error("the device code is in the page")
		}

		time.Sleep(11 * time.Second) // virtual: the second poll is 10 s after the request
		synctest.Wait()
		if got := visit(t, b, http.MethodGet, "/state").Body.String(); got == before {
			t.Error("the script would not see the change")
		}
		in := page(t, b)
		has(t, in, `data-state="signed-in"`, "Approved by 林薇.", "Owner", "822290059430001", "Two factors", "terminal_id", "t-1", "s-1", "Renew the tokens")
		if strings.Contains(in, "http-equiv") || strings.Contains(in, "eyJ") {
			t.Error("the page still reloads, or shows a token")
		}

		old := f.refresh
		press(t, b, "/terminals/smart/refresh")
		has(t, page(t, b), "The tokens are new.")
		if f.refresh == old {
			t.Error("refresh token did not rotate")
		}
		press(t, b, "/terminals/smart/sign-out")
		has(t, page(t, b), "Signed out; the tokens no longer work.")
		if f.revoked != f.refresh {
			t.Error("refresh token not revoked")
		}
		f.proves(t)
	})
}

func TestOutcomes(t *testing.T) {
	tests := map[string]struct {
		answers []string
		after   time.Duration
		state   State
		says    string
	}{
		"denied":          {[]string{"authorization_pending", "access_denied"}, 11 * time.Second, Denied, "Refused on the phone"},
		"expired there":   {[]string{"expired_token"}, 6 * time.Second, Expired, "has expired"},
		"expired here":    {[]string{"authorization_pending"}, 601 * time.Second, Expired, "has expired"},
		"used up":         {[]string{"invalid_grant"}, 6 * time.Second, Failed, "no longer works"},
		"unheard-of":      {[]string{"<script>"}, 6 * time.Second, Failed, "didn’t work"},
		"away for a time": {[]string{"down", "server_error", approved}, 60 * time.Second, SignedIn, "Approved by"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, newProvider(t, tt.answers...))
				press(t, b, "/terminals/esign/start")
				time.Sleep(tt.after)
				synctest.Wait()
				if got := b.ready.Load().find("esign").Status().State; got != tt.state {
					t.Errorf("state %s", got)
				}
				has(t, page(t, b), tt.says)
			})
		})
	}
}

// RFC 8628 section 3.5: slow_down adds five seconds, for good.
func TestSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, "slow_down", "authorization_pending", approved)
		b := start(t, f)
		began := time.Now()
		press(t, b, "/terminals/esign/start")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		var after []time.Duration
		for _, at := range f.polls {
			after = append(after, at.Sub(began))
		}
		if !slices.Equal(after, []time.Duration{5 * time.Second, 15 * time.Second, 25 * time.Second}) {
			t.Errorf("polled after %v", after)
		}
		has(t, page(t, b), "Approved by")
	})
}

// A new code makes the old one's answer void.
func TestNewCodeReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, "authorization_pending", "authorization_pending", approved)
		b := start(t, f)
		press(t, b, "/terminals/smart/start")
		first := f.code
		time.Sleep(4 * time.Second)
		press(t, b, "/terminals/smart/start")
		if f.code == first {
			t.Fatal("no new code")
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if len(f.polls) != 3 || b.ready.Load().find("smart").Status().State != SignedIn {
			t.Errorf("%d polls, state %s", len(f.polls), b.ready.Load().find("smart").Status().State)
		}
	})
}

func TestThreeTerminalsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newProvider(t, "authorization_pending"))
		press(t, b, "/start")
		body := page(t, b)
		if n := strings.Count(body, `data-state="waiting"`); n != 3 {
			t.Errorf("%d wait", n)
		}
		if n := strings.Count(body, "47<"); n != 3 {
			t.Errorf("%d show the number", n)
		}
		if strings.Contains(body, "Get a code on each") {
			t.Error("nothing left to start")
		}
	})
}

func TestCodeRefused(t *testing.T) {
	for code, says := range map[string]string{"invalid_client": "doesn’t know this terminal software", "slow_down": "too fast", `"><script>`: "didn’t work"} {
		synctest.Test(t, func(t *testing.T) {
			f := newProvider(t)
			f.refuse = code
			b := start(t, f)
			press(t, b, "/terminals/smart/start")
			body := page(t, b)
			has(t, body, says, "New code")
			if strings.Contains(body, "<script>") {
				t.Error("the provider's text is markup")
			}
		})
	}
}

func TestProviderAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, approved)
		b := start(t, f)
		f.down["/device_authorization"] = true
		press(t, b, "/terminals/smart/start")
		has(t, page(t, b), "didn’t work")
		delete(f.down, "/device_authorization")
		press(t, b, "/terminals/smart/start")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		f.down["/token"], f.down["/revoke"] = true, true
		press(t, b, "/terminals/smart/refresh")
		has(t, page(t, b), "the sign-in goes on")
		press(t, b, "/terminals/smart/sign-out")
		has(t, page(t, b), "couldn’t tell the service")
	})
}

func TestEndedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, approved)
		b := start(t, f)
		press(t, b, "/terminals/smart/start")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		f.refresh = ""
		press(t, b, "/terminals/smart/refresh")
		has(t, page(t, b), "ended elsewhere")
	})
}

// An ID token for another client, or of another person at a refresh, is not believed.
func TestTokensOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, approved)
		f.claims["aud"] = "merchant-app"
		b := start(t, f)
		press(t, b, "/terminals/smart/start")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		has(t, page(t, b), "didn’t work")

		delete(f.claims, "aud")
		press(t, b, "/terminals/smart/start")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		f.claims["sub"], f.claims["name"] = "u-2", "别人"
		press(t, b, "/terminals/smart/refresh")
		body := page(t, b)
		has(t, body, "Approved by 林薇.", "the sign-in goes on")
	})
}

// The name comes from userinfo where the ID token lacks it, if it is said of the same person.
func TestNameFromUserinfo(t *testing.T) {
	for sub, says := range map[string]string{"u-1": "Approved by 王志强.", "u-2": "Approved by u-1."} {
		synctest.Test(t, func(t *testing.T) {
			f := newProvider(t, approved)
			f.claims["name"], f.info = nil, map[string]any{"sub": sub, "name": "王志强"}
			b := start(t, f)
			press(t, b, "/terminals/smart/start")
			time.Sleep(6 * time.Second)
			synctest.Wait()
			has(t, page(t, b), says)
		})
	}
}

func TestHostileValuesAreText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, approved)
		f.claims["name"] = `"><script>alert(1)</script>`
		f.complete = "javascript:alert(2)"
		f.match = "<b>47</b>"
		b := start(t, f)
		press(t, b, "/start")
		body := page(t, b)
		if strings.Contains(body, "javascript:") || strings.Contains(body, "<b>47") || strings.Contains(body, `class="match"`) {
			t.Error("a hostile answer reached the page")
		}
		has(t, body, `href="http://provider.test/device"`)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		body = page(t, b)
		has(t, body, "&lt;script&gt;")
		if strings.Contains(body, "<script>") {
			t.Error("a claim became markup")
		}
	})
}

// Digits outside 10–99 are no match number.
func TestMatchNumber(t *testing.T) {
	for _, match := range []any{nil, 9, 100, -47, 47.5, "47"} {
		f := newProvider(t)
		f.match = match
		b := start(t, f)
		asked, err := b.ready.Load().provider.ask(t.Context(), "x")
		if err != nil || asked.match != 0 {
			t.Errorf("%v: %d, %v", match, asked.match, err)
		}
	}
}

func TestForeignPostsAreRefused(t *testing.T) {
	b := start(t, newProvider(t))
	for _, path := range []string{"/start", "/terminals/smart/start", "/terminals/smart/sign-out"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		b.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/terminals/fridge/start", "/terminals/smart/eat"} {
		if w := visit(t, b, http.MethodPost, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := visit(t, b, http.MethodGet, "/")
	if csp := w.Header().Get("Content-Security-Policy"); csp != "default-src 'none'; style-src http://provider.test; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" {
		t.Errorf("CSP = %s", csp)
	}
	if w := visit(t, b, http.MethodGet, "/terminal.js"); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Type"), "javascript") {
		t.Errorf("script: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
}

func TestWaitingPage(t *testing.T) {
	b := NewBench(t.Context(), slog.New(slog.DiscardHandler))
	w := visit(t, b, http.MethodGet, "/?lang=zh")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Refresh") != "3" {
		t.Errorf("%d %q", w.Code, w.Header().Get("Refresh"))
	}
	has(t, w.Body.String(), "登录服务还没有准备好")
}

func TestChinese(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newProvider(t, "authorization_pending", "authorization_pending", "authorization_pending", approved))
		press(t, b, "/start")
		has(t, visit(t, b, http.MethodGet, "/?lang=zh-CN").Body.String(), `<html lang="zh-CN">`, "扫码批准登录", "请用手机批准", "手机上请选这个数字")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		has(t, visit(t, b, http.MethodGet, "/?lang=zh-CN").Body.String(), "林薇 批准了登录。", "店主", "两步验证")
	})
}

var verb = regexp.MustCompile(`%[a-z]`)

func TestLocalesAgree(t *testing.T) {
	zh, en := locales["zh-CN"], locales["en"]
	if a, b := slices.Sorted(maps.Keys(zh)), slices.Sorted(maps.Keys(en)); !slices.Equal(a, b) {
		t.Errorf("keys differ:\n%v\n%v", a, b)
	}
	for k := range zh {
		if strings.TrimSpace(zh[k]) == "" || !slices.Equal(verb.FindAllString(zh[k], -1), verb.FindAllString(en[k], -1)) {
			t.Errorf("%s: %q, %q", k, zh[k], en[k])
		}
	}
}

// The picture has its white frame, and the finder pattern stands where a reader looks for it.
func TestQR(t *testing.T) {
	p, err := draw("http://localhost:8080/device?user_code=BCDF-GHJK")
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Size {
		for edge := range quiet {
			if p.dark(i, edge) || p.dark(edge, i) || p.dark(i, p.Size-1-edge) || p.dark(p.Size-1-edge, i) {
				t.Fatal("the quiet zone is not quiet")
			}
		}
	}
	if !strings.HasPrefix(p.Path(), "M4 4h7v1h-7z") {
		t.Errorf("path begins %.20s", p.Path())
	}
	for _, colours := range []bool{true, false} {
		lines := strings.Split(strings.TrimSuffix(p.Text(colours), "\n"), "\n")
		if len(lines) != (p.Size+1)/2 {
			t.Errorf("%d lines", len(lines))
		}
	}
	if _, err := draw(strings.Repeat("x", 5000)); err == nil {
		t.Error("5000 letters fit")
	}
}

func TestDemoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.json")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "{", "{}", `{"terminals":{"fridge":{"serial":"x"}}}`} {
		write(bad)
		if _, err := readDemo(path); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	found := make(chan world, 1)
	go func() {
		w, err := Config{Demo: path}.find(t.Context())
		if err != nil {
			t.Error(err)
		}
		found <- w
	}()
	write(`{"issuer":"http://localhost:9090","terminals":{"esign":{"serial":"E1"},"smart":{"serial":"S1"}}}`)
	if w := <-found; w.issuer != "http://localhost:9090" || w.serials["esign"] != "E1" || w.serials["smart"] != "S1" || len(w.serials) != 2 {
		t.Errorf("%+v", w)
	}
	if w, err := (Config{Demo: path, Issuer: "http://localhost:7070/"}).find(t.Context()); err != nil || w.issuer != "http://localhost:7070" {
		t.Errorf("%+v %v", w, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Config{Demo: path + ".none"}).find(gone); err == nil {
		t.Error("waits for ever")
	}
}

// The whole command as a page: waits for the demo file, serves, ends when told.
func TestRunPage(t *testing.T) {
	f := newProvider(t, "authorization_pending")
	f.serve(t)
	demo := filepath.Join(t.TempDir(), "demo.json")
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "127.0.0.1:0", "-demo", demo, "-keys", filepath.Join(filepath.Dir(demo), "deep", "keys.json")}, in)
		in.Close()
	}()
	lines := make(chan string, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			if err != nil {
				close(lines)
				return
			}
			lines <- string(buf[:n])
		}
	}()
	base := strings.TrimSpace(strings.TrimPrefix(<-lines, "terminal: "))
	get := func() (int, string) {
		res, err := http.Get(base + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, _ := get(); status != http.StatusServiceUnavailable {
		t.Errorf("before the demo file: %d", status)
	}
	if err := os.WriteFile(demo, []byte(`{"issuer":"`+f.url+`","terminals":{"smart":{"serial":"S1"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		if strings.Contains(line, "provider found") {
			break
		}
	}
	go func() {
		for range lines {
		}
	}()
	if status, body := get(); status != http.StatusOK || !strings.Contains(body, `data-serial="S1"`) || strings.Contains(body, `id="esign"`) {
		t.Errorf("%d %s", status, body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// On the command line nothing that others sent can steer the screen.
func TestCommandLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, "authorization_pending", approved)
		f.claims["name"] = "林\x1b[2J薇"
		p, err := discover(t.Context(), &http.Client{Transport: f}, f.url)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := playWith(t.Context(), p.as(testKey(t)), Config{Lang: "en"}, "S1", slog.New(slog.DiscardHandler), &out); err != nil {
			t.Fatal(err)
		}
		has(t, out.String(), "BCDF-GHJK", "Pick this number on the phone:  47", "http://provider.test/device", "█", "Approved by 林[2J薇.", "merchant_no", "Owner")
		if strings.Contains(out.String(), "\x1b") {
			t.Error("an escape sequence got through")
		}
	})
	for answer, says := range map[string]string{"access_denied": "手机上拒绝了", "expired_token": "过期了"} {
		synctest.Test(t, func(t *testing.T) {
			p, err := discover(t.Context(), &http.Client{Transport: newProvider(t, answer)}, "http://provider.test")
			if err != nil {
				t.Fatal(err)
			}
			err = playWith(t.Context(), p.as(testKey(t)), Config{Lang: "zh-CN"}, "S1", slog.New(slog.DiscardHandler), io.Discard)
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRunCommandLine(t *testing.T) {
	f := newProvider(t)
	f.refuse = "invalid_client"
	f.serve(t)
	var out strings.Builder
	keys := filepath.Join(t.TempDir(), "keys.json")
	err := run(t.Context(), []string{"-keys", keys, "-cli", "-serial", "S1", "-issuer", f.url, "-lang", "en"}, &out)
	if err == nil || !strings.Contains(err.Error(), "doesn’t know this terminal software") || f.asked.Get("terminal_serial") != "S1" {
		t.Errorf("%v, asked %v", err, f.asked)
	}
	for _, args := range [][]string{{"-nonsense"}, {"-serials", "fridge=1"}, {"-lang", "fr"}, {"-addr", "nowhere:port"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v accepted", args)
		}
	}
	out.Reset()
	if err := run(t.Context(), []string{"-h"}, &out); err != nil || !strings.Contains(out.String(), "--serials") {
		t.Errorf("help: %v\n%s", err, out.String())
	}
}

// A key is made once, kept for its owner alone, and no other terminal's.
func TestKeysAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "keys.json")
	of := func(serial string) *ecdsa.PrivateKey {
		t.Helper()
		f, err := openKeys(path)
		if err != nil {
			t.Fatal(err)
		}
		key, err := f.of(serial)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	one, two := of("S1"), of("S2")
	if !one.Equal(of("S1")) || one.Equal(two) {
		t.Error("not the same key for the same terminal alone")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	for _, bad := range []string{"", "{", `{"S1":"eA=="}`, `{"S1":7}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := openKeys(path)
		if err == nil {
			_, err = f.of("S1")
		}
		if err == nil {
			t.Errorf("%q is taken for keys", bad)
		}
	}
}

// Signed in, a terminal shows what the provider wants read there within seconds, and the people at it answer.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, approved)
		b := start(t, f)
		say := func(list ...notice) {
			t.Helper()
			f.mu.Lock()
			f.said = list
			f.mu.Unlock()
			time.Sleep(watchEvery + time.Millisecond)
			synctest.Wait()
		}
		answered := func(want ...string) {
			t.Helper()
			f.mu.Lock()
			defer f.mu.Unlock()
			if !slices.Equal(f.told, want) {
				t.Errorf("answered %q, want %q", f.told, want)
			}
			f.told = nil
		}
		stop := notice{ID: "n1", Kind: "stop", Text: "Somebody is recovering 林薇’s account.", Code: "0417"}
		confirm := notice{ID: "n2", Kind: "confirm", Text: "Which number is on their <screen>?", Choices: []int{17, 47, 88}}
		for _, kind := range []string{"esign", "traditional", "smart"} { // one after the other: the provider knows one token
			say()
			press(t, b, "/terminals/"+kind+"/start")
			time.Sleep(6 * time.Second)
			synctest.Wait()
			before := visit(t, b, http.MethodGet, "/state").Body.String()
			say(stop, confirm)
			if visit(t, b, http.MethodGet, "/state").Body.String() == before {
				t.Error("the script would not see the notice")
			}
			body := page(t, b)
			has(t, body, stop.Text, "Which number is on their &lt;screen&gt;?", `value="47"`, "/terminals/"+kind+"/notices/n1/stop")
			if strings.Contains(body, "0417") != (kind == "traditional") {
				t.Errorf("%s: the stop code is where there is a touch screen, or not on the slip", kind)
			}
			answered("n1 seen", "n2 seen")
			say(f.said...)
			answered() // once
			types(t, b, "/terminals/"+kind+"/notices/n2/confirm", "47")
			has(t, page(t, b), "Confirmed.")
			answered("n2 confirm 47")
			if kind == "traditional" {
				types(t, b, "/terminals/traditional/notices/n1/stop", "0418")
				has(t, page(t, b), "That isn’t the stop code.")
				answered()
			}
			types(t, b, "/terminals/"+kind+"/notices/n1/stop", "0417")
			has(t, page(t, b), "Stopped; the account is frozen.")
			answered("n1 stop")
			press(t, b, "/terminals/"+kind+"/notices/n1/stop") // gone
			answered()
			say(confirm)
			types(t, b, "/terminals/"+kind+"/notices/n2/confirm", "17")
			has(t, page(t, b), "That wasn’t the number")
			answered("n2 seen", "n2 confirm 17")
			say(confirm)
			types(t, b, "/terminals/"+kind+"/notices/n2/stop", "")
			has(t, page(t, b), "Refused; nothing else happens.")
			answered("n2 seen", "n2 stop")
			for _, call := range []notice{{ID: "c1.asked", Kind: "call", Text: "Read 4821 to support."}, {ID: "c1.heard", Kind: "call", Text: "Support must read 0376."}} {
				say(call)
				if body := page(t, b); !strings.Contains(body, call.Text) || strings.Contains(body, call.ID+"/") || strings.Count(body, call.Text) < map[string]int{"traditional": 2}[kind] {
					t.Errorf("%s: a call is not shown, on the slip too, or asks for an answer", kind)
				}
				answered(call.ID + " seen")
			}
			press(t, b, "/terminals/"+kind+"/sign-out")
		}
		f.proves(t)
		for _, path := range []string{"/terminals/smart/notices/n1/eat", "/terminals/fridge/notices/n1/stop"} {
			if w := visit(t, b, http.MethodPost, path); w.Code != http.StatusNotFound {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
}

// A token that is no longer taken is renewed in silence; a terminal that is marked lost sees that its sign-in has ended.
func TestWatchRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newProvider(t, approved)
		b := start(t, f)
		press(t, b, "/terminals/smart/start")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		f.mu.Lock()
		old := f.refresh
		f.access = "expired"
		f.mu.Unlock()
		time.Sleep(watchEvery + time.Millisecond)
		synctest.Wait()
		f.mu.Lock()
		renewed := f.refresh != old
		f.access, f.refresh = "ended", "ended"
		f.mu.Unlock()
		has(t, page(t, b), `data-state="signed-in"`)
		if !renewed {
			t.Error("not renewed")
		}
		time.Sleep(watchEvery + time.Millisecond)
		synctest.Wait()
		has(t, page(t, b), `data-state="ended"`)
	})
}
