package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

var routePattern = regexp.MustCompile(`^(GET|POST|PUT|DELETE) (/\S*)$`)

// routes are all patterns that the code mounts, read from the code: a list kept by
// hand would miss the newest.
func routes(t *testing.T) (out []string) {
	t.Helper()
	for _, dir := range []string{"../../flows", "../../idp"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, _ := strconv.Unquote(lit.Value)
					if s = strings.ReplaceAll(s, "{$}", ""); routePattern.MatchString(s) && !slices.Contains(out, s) {
						out = append(out, s)
					}
				}
				return true
			})
			return nil
		})
		must(t, err)
	}
	if len(out) < 30 {
		t.Fatalf("only %d routes found: %v", len(out), out)
	}
	return out
}

var wildcard = regexp.MustCompile(`\{\w[^}]*\}`)

// A sign-in that has only the password is worth nothing at any route but its own
// next step: everything answers it like a stranger.
func TestHalfSignedIn(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		half, stranger := w.half(t, "lin.wei", "203.0.113.1"), w.from(t, "203.0.113.2")
		half.open(half.URL.Path).see(200, "动态码")
		second := half.URL.Path
		for _, route := range routes(t) {
			if route == "POST /sign-out" { // ends the flow, see below
				continue
			}
			method, path, _ := strings.Cut(route, " ")
			path = wildcard.ReplaceAllString(path, "x")
			a, b := half.once(method, path, nil), stranger.once(method, path, nil)
			la, lb := flowToken.ReplaceAllString(a.Header.Get("Location"), "/flows/…"), flowToken.ReplaceAllString(b.Header.Get("Location"), "/flows/…")
			if a.StatusCode != b.StatusCode || la != lb {
				t.Errorf("%s: half signed in %d %q, a stranger %d %q", route, a.StatusCode, la, b.StatusCode, lb)
			}
			if a.StatusCode >= 500 {
				t.Errorf("%s: %d", route, a.StatusCode)
			}
			if half.cookie("hufu-s") != nil {
				t.Fatalf("%s gave a session", route)
			}
		}
		half.open(second).see(200, "动态码").submit("code", w.code(t, "owner")).see(200, "林薇")
	})
}

// Signing out ends what was begun in the browser: the next person at the till meets
// nothing of it.
func TestSignOutEndsWhatWasBegun(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		half := w.half(t, "lin.wei", "203.0.113.1")
		second := half.URL.Path
		half.open(second).see(200, "动态码")
		half.post("/sign-out", nil).see(200, "")
		half.open(second).see(410, "打不开")
	})
}

// Until a password is right no page asks the database more for a name that exists
// than for one that does not, and a guess asks it the same.
func TestKnownAndUnknownNamesCostTheSame(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		measure := func(login string) (costs []cost) {
			b := w.browser(t)
			b.open("/sign-in")
			step := func(do func()) { costs = append(costs, w.costs(t, do)) }
			step(func() { b.submit("identifier", login) })
			step(func() { b.open(b.URL.Path) })
			step(func() { b.submit("password", "not it") })
			step(func() { b.open(b.URL.Path) })
			step(func() { b.submit("password", "not it") })
			return costs
		}
		measure("nobody.first") // what is remembered for a minute is there from now on
		if known, unknown := measure("lin.wei"), measure("nobody.here"); !slices.Equal(known, unknown) {
			t.Errorf("known %v, unknown %v", known, unknown)
		}
	})
}

var flowToken = regexp.MustCompile(`/flows/[\w-]{43}`)

// A broken cookie is a fresh start: never an error, never somebody.
func TestBrokenCookies(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		good := w.from(t, "203.0.113.1")
		good.open("/sign-in").signIn("cashier").see(200, "陈小燕")
		for _, name := range []string{"hufu-s", "hufu-kb", "hufu-b"} {
			value := good.cookie(name).Value
			broken := []string{"", ".", "x", value + "A", value + value, value[1:], strings.ToLower(value), strings.Repeat(value+".", 9), strings.Repeat("A", 3000), "%00", "a=b", "../../x",
				good.cookie("hufu-s").Value + "=", strings.Repeat(".", 200)}
			for _, n := range []int{1, 10, len(value) / 2, len(value) - 1} {
				broken = append(broken, value[:n])
			}
			for i := 0; i < len(value); i += max(1, len(value)/12) {
				flipped := []byte(value)
				if flipped[i] ^= 1; flipped[i] != '"' && flipped[i] > ' ' {
					broken = append(broken, string(flipped))
				}
			}
			for _, other := range []string{"hufu-s", "hufu-kb", "hufu-b"} {
				if other != name {
					broken = append(broken, good.cookie(other).Value)
				}
			}
			for _, v := range broken {
				if strings.EqualFold(v, value) && v == value {
					continue
				}
				b := w.from(t, "203.0.113.2")
				for _, keep := range []string{"hufu-s", "hufu-kb", "hufu-b"} {
					b.set(keep, good.cookie(keep).Value)
				}
				b.set(name, v)
				b.open("/account")
				if in := strings.Contains(b.Body, "陈小燕"); b.Status != 200 || in != (name != "hufu-s") {
					t.Fatalf("%s = %.60q: %d, signed in %v", name, v, b.Status, in)
				}
				if name == "hufu-s" {
					b.submit("identifier", "chen.xy").see(200, "密码") // and it starts afresh
				}
			}
		}
	})
}

// Links and redirects come from the configuration, whatever the request says of
// hosts and proxies; garbage in any header is no error.
func TestHostileHeaders(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("cashier")
		stranger := w.from(t, "203.0.113.2")
		hostile := [][]string{{"Host", "evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-For", "evil.example, 1.2.3.4,,\xff"}, {"X-Forwarded-Proto", "javascript"},
			{"Forwarded", "for=evil.example;host=evil.example"}, {"X-Original-URL", "/console"}, {"X-Rewrite-URL", "//evil.example"}, {"Accept-Language", strings.Repeat("evil-example;q=9,", 500)},
			{"Referer", "https://evil.example/"}, {"User-Agent", "<script>evil.example</script>"}, {"X-Real-IP", "evil.example"}, {"X-Request-Id", "evil.example"}, {"Cookie", "evil.example; hufu-lang=../../evil.example"},
			{"Accept-Language", "\xff\xfe"}, {"Range", "bytes=9-1"}, {"If-None-Match", "evil.example"}, {"Authorization", "Basic evil.example"}}
		for _, path := range []string{"/", "/sign-in", "/account", "/account/enrol", "/device", "/console", "/nowhere", "/.well-known/openid-configuration", "/dev/messages", "/lang?to=en&back=/account"} {
			for _, h := range hostile {
				for _, who := range []*browser{b, stranger} {
					res := who.once("GET", path, nil, h...)
					for k, vs := range res.Header {
						if strings.Contains(strings.Join(vs, ""), "evil.example") {
							t.Errorf("%s with %s: header %s: %s", path, h[0], k, vs)
						}
					}
					if res.StatusCode >= 500 {
						t.Errorf("%s with %s %.40q: %d", path, h[0], h[1], res.StatusCode)
					}
				}
			}
		}
		for _, back := range []string{"//evil.example", `/\evil.example`, "https://evil.example", "javascript:alert(1)", "/\t/evil.example", "\\\\evil.example", "", "/\r\nX: y", "%2f%2fevil.example", " //evil.example", "/%5cevil.example/.."} {
			res := b.once("GET", "/lang?to=en&back="+url.QueryEscape(back), nil)
			loc := res.Header.Get("Location")
			u, err := url.Parse(loc)
			if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(loc, "/") || strings.HasPrefix(loc, "//") || strings.HasPrefix(loc, `/\`) || res.Header.Get("X") != "" {
				t.Errorf("back to %q leads to %q", back, loc)
			}
		}
	})
}

// A change that another site asks for is refused, at every route that is not made
// for it; an oversized body is 413, a wrong method 405 with Allow, an unknown path
// our own page in the reader's language.
func TestRefusedRequests(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("cashier")
		cross := []string{"/authorize", "/token", "/userinfo", "/introspect", "/revoke", "/par", "/device_authorization", "/logout"}
		big := url.Values{"x": {strings.Repeat("x", 70_000)}}
		allowed := map[string][]string{}
		for _, route := range routes(t) {
			method, path, _ := strings.Cut(route, " ")
			allowed[path] = append(allowed[path], method)
		}
		for path, methods := range allowed {
			at := wildcard.ReplaceAllString(path, "x")
			if slices.Contains(methods, "POST") {
				for _, site := range []string{"cross-site", "same-site"} {
					if res := b.once("POST", at, nil, "Sec-Fetch-Site", site); !slices.Contains(cross, at) && res.StatusCode != 403 {
						t.Errorf("POST %s from another site: %d", at, res.StatusCode)
					}
				}
				if res := b.once("POST", at, nil, "Sec-Fetch-Site", "", "Origin", "https://evil.example"); !slices.Contains(cross, at) && res.StatusCode != 403 {
					t.Errorf("POST %s with another origin: %d", at, res.StatusCode)
				}
				if res := b.once("POST", at, big); strings.HasPrefix(at, "/flows") || strings.HasPrefix(at, "/device") || strings.HasPrefix(at, "/account/end") && at != "/account/end-all" {
					if res.StatusCode != 413 && !strings.HasSuffix(at, "/resend") && at != "/device_authorization" {
						t.Errorf("POST %s of 70 kB: %d, want 413", at, res.StatusCode)
					}
				} else if res.StatusCode >= 500 {
					t.Errorf("POST %s of 70 kB: %d", at, res.StatusCode)
				}
			}
			for _, m := range []string{"PUT", "DELETE", "PATCH", "TRACE", "BREW"} {
				if res := b.once(m, at, nil, "Sec-Fetch-Site", "same-origin"); !slices.Contains(methods, m) && (res.StatusCode != 405 || res.Header.Get("Allow") == "") {
					t.Errorf("%s %s: %d, Allow %q", m, at, res.StatusCode, res.Header.Get("Allow"))
				}
			}
			if !slices.Contains(methods, "GET") {
				if res := b.once("GET", at, nil); res.StatusCode != 405 && !strings.HasPrefix(at, "/flows/") {
					t.Errorf("GET %s: %d, want 405", at, res.StatusCode)
				}
			}
		}
		if len(w.sessions(t, "chen.xy")) != 1 {
			t.Error("a request from another site ended the session")
		}
		b.open("/account").see(200, "陈小燕")
		for lang, words := range map[string]string{"zh-CN": "没有这一页", "en": "page"} {
			b.Lang = lang
			for _, path := range []string{"/nowhere", "/account/nothing", "/flows", "/console/nothing", "/static/none.css"} {
				if b.open(path); b.Status != 404 || path == "/nowhere" && !strings.Contains(b.text(), words) {
					t.Errorf("%s in %s: %d %s", path, lang, b.Status, b.text())
				}
			}
		}
	})
}

// There is room for a policy document and a list of merchants that somebody pastes, and there only; not without end.
func TestRoomForDocuments(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.9").open("/console").signIn("policy_admin")
		for path, want := range map[string]map[int]int{"/console/policies/none/edit": {200_000: 404, 5 << 20: 413}, "/console/merchants/new": {60_000: 422, 200_000: 413}} {
			for size, status := range want {
				if res := b.once("POST", path, url.Values{"document": {strings.Repeat("8", size)}}); res.StatusCode != status {
					t.Errorf("POST %s of %d bytes: %d, want %d", path, size, res.StatusCode, status)
				}
			}
		}
	})
}

// Whatever is sent to whichever route: no 500.
func TestNothingBreaks(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		people := map[string]*browser{"nobody": w.from(t, "203.0.113.1"), "cashier": w.from(t, "203.0.113.2"), "policy_admin": w.from(t, "203.0.113.3")}
		for who, b := range people {
			if who != "nobody" {
				b.open("/sign-in").signIn(who)
			}
		}
		fields := strings.Fields("identifier password again code way do match user_code session to back t q id reason name client_id client_secret grant_type device_code refresh_token token code_verifier redirect_uri scope state nonce prompt max_age acr_values login_hint id_token_hint ui_locales request_uri response_type code_challenge code_challenge_method serial model kind merchant store role status after before event explain saved language post_logout_redirect_uri logout_hint credential label client grant browser change event answer factor day to")
		for i, nasty := range []string{"\x00", "\xff\xfe\xc0", strings.Repeat("9", 400), "'\"><svg onload=1>", "\u202e\u0000😀", "-1", "[]{}%s%n"} {
			form := url.Values{}
			for _, f := range fields {
				form.Set(f, nasty)
			}
			for who, b := range people {
				for _, route := range routes(t) {
					method, path, _ := strings.Cut(route, " ")
					if strings.HasPrefix(path, "/sign-out") || strings.HasPrefix(path, "/logout") {
						continue
					}
					at := wildcard.ReplaceAllString(path, url.PathEscape(nasty))
					if i%2 == 1 {
						at = wildcard.ReplaceAllString(path, "x")
					}
					res := b.once(method, at+"?"+form.Encode(), form)
					if res.StatusCode >= 500 {
						t.Errorf("%s as %s with %q: %d", route, who, nasty, res.StatusCode)
					}
				}
			}
		}
		time.Sleep(time.Second)
		if ids, err := w.Service.Store.HoldActive(t.Context(), idp.RoleOwner); err == nil || ids != nil {
			t.Error("holding rows without a transaction")
		}
		if b := people["nobody"]; b.cookie("hufu-s") != nil {
			t.Error("nobody got a session")
		}
	})
}
