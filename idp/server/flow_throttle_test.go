package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
)

// Four wrong passwords cost no wait, the fifth starts one of 30 seconds that only
// this name from this network feels; the next is twice as long.
func TestWrongPasswordsMakeWait(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "wait.one"}, somebody{Login: "wait.two"})
		b := w.from(t, "203.0.113.1").name("wait.one")
		for i := range 5 {
			b.submit("password", fmt.Sprintf("wrong one %d", i)).see(422, "登录名或密码不对")
		}
		until := time.Now().Add(90*time.Second - 1) // the page says the full minute after it
		b.submit("password", storyPassword).see(429, "试得太多").see(429, until.In(time.FixedZone("", 8*3600)).Format("15:04"))
		if s, err := strconv.Atoi(b.Header.Get("Retry-After")); err != nil || s < 29 || s > 31 {
			t.Errorf("Retry-After %q, want half a minute", b.Header.Get("Retry-After"))
		}
		w.from(t, "203.0.113.1").try("wait.two", "wrong").see(422, "登录名或密码不对")
		w.from(t, "203.0.113.2").try("wait.one", "wrong two").see(422, "登录名或密码不对")
		if len(w.sessions(t, "wait.one")) != 0 {
			t.Fatal("signed in during a wait")
		}

		time.Sleep(31 * time.Second)
		b.open("/sign-in").submit("identifier", "wait.one").submit("password", "wrong one 6").see(422, "不对")
		b.submit("password", "wrong one 7").see(429, "试得太多")
		if s, _ := strconv.Atoi(b.Header.Get("Retry-After")); s < 58 || s > 61 {
			t.Errorf("the second wait lasts %d s, want a minute", s)
		}
		time.Sleep(61 * time.Second)
		b.open("/sign-in").signIn("wait.one").see(200, "某人") // and the wait is forgotten:
		for i := range 4 {
			w.from(t, "203.0.113.1").try("wait.one", fmt.Sprintf("after %d", i)).see(422, "不对")
		}
	})
}

// A phone that keeps sending one old password uses one try up, of a name that
// somebody has and of one that nobody has.
func TestSameWrongPasswordCountsOnce(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "old.phone"})
		for _, name := range []string{"old.phone", "old.nobody"} {
			b := w.from(t, "203.0.113.1").name(name)
			for range 9 {
				b.submit("password", "the old password").see(422, "不对")
				time.Sleep(time.Millisecond)
			}
			// Four more different ones: five in all, so the next is refused.
			for i := range 4 {
				b.submit("password", fmt.Sprint("another ", i)).see(422, "不对")
			}
			b.submit("password", "one more").see(429, "试得太多")
		}
	})
}

var secretsOfPage = regexp.MustCompile(`(/|%2F)flows(/|%2F)[\w-]{43}|\d{3}-\d{3}-\d{4}|\b[a-z2-7]{26}\b|\?v=\w+|\b(guess|send)\.[\w.-]+`)

// answer is a page without what differs from one request to the next.
func (b *browser) answer(names ...string) string {
	text := secretsOfPage.ReplaceAllString(b.Body, "…")
	for _, n := range names {
		text = strings.ReplaceAll(text, n, "NAME")
	}
	var headers []string
	for k, v := range b.Header {
		if k != "X-Request-Id" && k != "Set-Cookie" && k != "Date" {
			headers = append(headers, k+": "+strings.Join(v, ","))
		}
	}
	slices.Sort(headers)
	return fmt.Sprint(b.Status, "\n", strings.Join(headers, "\n"), "\n\n", text)
}

// differ is the first line in which two answers differ.
func differ(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("%q is not %q", g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(g), len(w))
}

// Whatever a stranger asks, a name that somebody has and one that nobody has get the
// same status, headers and words, and wait as long.
func TestUnknownNameAnswersAlike(t *testing.T) {
	moves := map[string]func(b *browser, n int){
		"wrong": func(b *browser, n int) { b.post(b.URL.Path, url.Values{"password": {fmt.Sprint("wrong ", n)}}) },
		"same":  func(b *browser, _ int) { b.post(b.URL.Path, url.Values{"password": {"the same again"}}) },
		"empty": func(b *browser, _ int) { b.post(b.URL.Path, url.Values{"password": {""}}) },
		"long": func(b *browser, n int) {
			b.post(b.URL.Path, url.Values{"password": {strings.Repeat("好", 2000) + fmt.Sprint(n)}})
		},
		"reload": func(b *browser, _ int) { b.open(b.URL.Path) },
		"resend": func(b *browser, _ int) { b.post(b.URL.Path+"/resend", nil) },
		"way":    func(b *browser, _ int) { b.post(b.URL.Path+"/way", url.Values{"way": {"totp"}}) },
		"second": func(b *browser, _ int) { b.open(strings.TrimSuffix(b.URL.Path, "/password") + "/second") },
		"way2": func(b *browser, _ int) {
			b.post(strings.TrimSuffix(b.URL.Path, "/password")+"/second/way", url.Values{"way": {"totp"}})
		},
		"code": func(b *browser, _ int) {
			b.post(strings.TrimSuffix(b.URL.Path, "/password")+"/second", url.Values{"code": {"123456"}})
		},
		"enrol": func(b *browser, _ int) { b.open(strings.TrimSuffix(b.URL.Path, "/password") + "/enrol-totp") },
		"change": func(b *browser, _ int) {
			b.post(strings.TrimSuffix(b.URL.Path, "/password")+"/new-password", url.Values{"password": {"x"}, "again": {"x"}})
		},
		"restart": nil,
		"rest":    func(*browser, int) { time.Sleep(47 * time.Second) },
		"hour":    func(*browser, int) { time.Sleep(time.Hour) },
	}
	script := strings.Fields("reload empty way resend second way2 code enrol change wrong same same wrong same empty restart wrong same long wrong rest wrong restart wrong same hour restart same wrong reload")
	eachHour(t, func(t *testing.T, w *demoWorld) {
		people := []somebody{{Login: "same.cashier"}, {User: idp.User{Role: idp.RoleOwner}, Login: "same.ownerr", TOTP: true},
			{User: idp.User{Status: idp.UserDisabled}, Login: "same.goneee1"}, {User: idp.User{Status: idp.UserInvited}, Login: "same.newcome", NoPassword: true},
			{User: idp.User{Locked: "x", MustChange: true}, Login: "same.locked1", TOTP: true}}
		w.add(t, people...)
		names := []string{"same.nobody1"} // nobody's
		for _, p := range people {
			names = append(names, p.Login)
		}
		browsers := make([]*browser, len(names))
		start := func(i int) {
			browsers[i] = w.from(t, fmt.Sprintf("203.0.113.%d", i+1)).name(names[i])
		}
		for i := range names {
			start(i)
		}
		for n, move := range script {
			time.Sleep(time.Millisecond) // here only a sleep moves the clock
			var want string
			page := browsers[0].URL.Path
			for i, b := range browsers {
				switch f := moves[move]; {
				case move == "restart":
					start(i)
				case move == "rest", move == "hour":
					if i == 0 {
						f(b, n)
					}
					continue
				default:
					f(b, n)
				}
				b = browsers[i]
				got := b.answer(names...)
				if i == 0 {
					want = got
				} else if got != want {
					t.Fatalf("move %d, %s at %s: %s and a name that nobody has differ: %s", n, move, page, names[i], differ(got, want))
				}
				if move == "way" || move == "way2" || b.Status == 410 || b.Status == 429 { // to go on from
					start(i)
				}
			}
		}
	})
}

// Twenty wrong passwords from anywhere close the password to strangers: the right
// one is refused in the same words. The owner's own browser does not notice. After
// 18 hours one try is back.
func TestPasswordClosesToStrangersOnly(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{StoreID: w.user(t, "chen.xy").StoreID}, Login: "shut.out", Mail: "shut.out@example.com"})
		known := w.from(t, "198.51.100.1")
		known.open("/sign-in").signIn("shut.out").see(200, "某人")
		w.activated(t, "203.0.113.0", "esign", w.from(t, "198.51.100.2").open("/sign-in").signIn("owner")) // a new one takes an owner
		terminal := w.activated(t, "203.0.113.0", "esign", known)
		known.signOut()
		for i := range 20 {
			w.from(t, fmt.Sprintf("203.0.113.%d", i/4)).try("shut.out", fmt.Sprint("guess ", i)).see(422, "不对")
		}
		wrong := w.from(t, "203.0.113.100").try("shut.out", "guess 21").see(422, "不对").answer()
		if right := w.from(t, "203.0.113.101").try("shut.out", storyPassword).see(422, "不对").answer(); right != wrong {
			t.Errorf("closed, but the right password is answered\n%s\nand a wrong one\n%s", right, wrong)
		}
		if n := len(w.events(t, "shut.out", "lock.closed")); n != 1 {
			t.Errorf("%d events lock.closed, want one a day", n)
		}
		known.open("/sign-in").signIn("shut.out").see(200, "某人")
		if a := terminal(); a.Status != 200 {
			t.Errorf("the terminal hears %+v", a)
		}
		time.Sleep(18*time.Hour + time.Second)
		w.from(t, "203.0.113.102").try("shut.out", storyPassword).see(200, "某人") // free: it was right
		w.from(t, "203.0.113.103").try("shut.out", "guess 22").see(422, "不对")    // pays the one that came back
		w.from(t, "203.0.113.104").try("shut.out", storyPassword).see(422, "不对")
	})
}

// Five wrong codes of strangers close the authenticator to them. A used code is told
// apart and costs nothing. Three wrong ones after the right password make the owner
// change it, which alone gives the tries back.
func TestCodesOfStrangers(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "code.owner", TOTP: true, Mail: "code.owner@example.com"})
		known := w.from(t, "198.51.100.1")
		known.open("/sign-in").signIn("code.owner").see(200, "某人")
		used := w.code(t, "code.owner")
		thief := w.from(t, "203.0.113.1").try("code.owner", storyPassword).see(200, "动态码")
		for range 7 {
			thief.submit("code", used).see(422, "已经用过")
		}
		for _, text := range []string{"", "12345", "1234567", "12345a"} {
			thief.submit("code", text).see(422, "数字") // malformed: costs nothing
		}
		for i := range 5 {
			thief.submit("code", w.wrongCode(t, "code.owner", i)).see(422, "动态码不对")
		}
		if n := len(w.events(t, "code.owner", "password.suspected")); n != 1 {
			t.Errorf("password.suspected %d times, want once", n)
		}
		time.Sleep(31 * time.Second)
		wrong := thief.submit("code", w.wrongCode(t, "code.owner", 9)).see(422, "动态码不对").answer()
		if right := thief.submit("code", w.code(t, "code.owner")).see(422, "动态码不对").answer(); right != wrong {
			t.Errorf("closed, but the right code is answered\n%s\nand a wrong one\n%s", right, wrong)
		}
		// The owner, on his browser, comes in and must change the password.
		known.signOut()
		known.open("/sign-in").signIn("code.owner").see(200, "新密码")
		known.submit("password", storyPassword, "again", storyPassword).see(422, "和现在的密码一样")
		known.submit("password", "staple battery horse correct", "again", "staple battery horse correct").see(200, "某人")
		if w.user(t, "code.owner").MustChange {
			t.Error("must change still")
		}
		key := []byte(w.user(t, "code.owner").ID)
		if n := w.left(t, "totp", key, policy.Default().Throttle.TOTPStranger); n != 5 {
			t.Errorf("%d tries after the change, want 5", n)
		}
		thief.open("/sign-in").submit("identifier", "code.owner").submit("password", storyPassword).see(422, "不对")
	})
}

// half opens a flow of a person who has proved his password in it, in a browser of
// its own, without the cost of a hash.
func (w *demoWorld) half(t *testing.T, login, address string) *browser {
	t.Helper()
	u, token, binding := w.user(t, login), idp.NewToken(), idp.NewToken()
	creds, err := w.Service.Store.Credentials(t.Context(), u.ID)
	must(t, err)
	password := creds[slices.IndexFunc(creds, func(c idp.Credential) bool { return c.Method == idp.MethodPassword })].ID
	facts, err := json.Marshal(map[string]any{"typed": login, "lookup": w.Service.Store.Lookup(idp.IdentifierUsername, login), "begun": "second",
		"proofs": []idp.Proof{{User: u.ID, Credential: password, Method: idp.MethodPassword, Channels: []string{"memory"}, At: time.Now()}}})
	must(t, err)
	now := time.Now()
	f := idp.Flow{Demand: idp.Demand{Kind: idp.FlowSignIn, Return: "/account"}, User: u.ID, Facts: facts, CreatedAt: now, ExpiresAt: now.Add(15 * time.Minute), EndsAt: now.Add(time.Hour)}
	must(t, w.Service.Store.OpenFlow(t.Context(), &f, session.Hash(token), session.Hash(binding)))
	b := w.from(t, address)
	b.set("hufu-b", binding)
	b.URL, err = url.Parse(w.Issuer + session.FlowPath(token) + "/second")
	must(t, err)
	return b
}

// inParallel answers how often each status came back, and each place that 303 led to.
func inParallel(n int, send func(i int) *http.Response) (count map[int]int, places map[string]int) {
	count, places = map[int]int{}, map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			res := send(i)
			mu.Lock()
			defer mu.Unlock()
			count[res.StatusCode]++
			if res.StatusCode == http.StatusSeeOther {
				places[res.Header.Get("Location")]++
			}
		})
	}
	wg.Wait()
	return count, places
}

// 64 guesses in parallel are worth what 64 in a row are.
func TestParallelGuesses(t *testing.T) {
	throttle := policy.Default().Throttle
	eachHour(t, func(t *testing.T, w *demoWorld) {
		owner := func(login string) []byte {
			return []byte(w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true}).ID)
		}

		// Wrong codes in as many flows: five are looked at, and paid for. Who comes after
		// them is asked to work first.
		key := owner("par.codes")
		flows := make([]*browser, 64)
		for i := range flows {
			flows[i] = w.half(t, "par.codes", fmt.Sprintf("203.0.113.%d", i))
		}
		wrong := w.wrongCode(t, "par.codes", 0)
		count, _ := inParallel(64, func(i int) *http.Response {
			return flows[i].once("POST", flows[i].URL.Path, url.Values{"code": {wrong}})
		})
		if count[422]+count[429] != 64 || count[422] < 5 {
			t.Errorf("wrong codes: %v, want 64 refusals", count)
		}
		if n := w.left(t, "totp", key, throttle.TOTPStranger); n != 0 {
			t.Errorf("wrong codes: %d tries left after 64", n)
		}
		// The right code in as many flows at once: one of them comes in.
		owner("par.right")
		for i := range flows {
			flows[i] = w.half(t, "par.right", fmt.Sprintf("203.0.113.%d", i))
		}
		right := w.code(t, "par.right")
		_, places := inParallel(64, func(i int) *http.Response {
			return flows[i].once("POST", flows[i].URL.Path, url.Values{"code": {right}})
		})
		if len(places) != 1 || places["/account"] != 1 || len(w.sessions(t, "par.right")) != 1 {
			t.Errorf("the right code in 64 flows: led to %v, %d sessions; want one", places, len(w.sessions(t, "par.right")))
		}
		if n := w.left(t, "totp", []byte(w.user(t, "par.right").ID), throttle.TOTPStranger); n != 5 {
			t.Errorf("the right code in 64 flows: %d tries left, want all 5", n)
		}

		// All in one flow, the right one among wrong ones: only what was paid for is
		// looked at, and what was not looks the same for right and wrong.
		lucky := 0
		for round := range 6 {
			login := fmt.Sprint("par.mixed", round)
			key := owner(login)
			b := w.half(t, login, "203.0.113.1")
			right := w.code(t, login)
			count, places := inParallel(64, func(i int) *http.Response {
				code := right
				if i != 40+round {
					code = w.wrongCode(t, login, i)
				}
				return b.once("POST", b.URL.Path, url.Values{"code": {code}})
			})
			in := len(w.sessions(t, login))
			paid := throttle.TOTPStranger.Burst - w.left(t, "totp", key, throttle.TOTPStranger)
			if places["/account"] != in || paid > 5 || count[422] > 5 && in == 1 {
				t.Errorf("mixed codes in one flow: %v, %v: %d paid, %d sessions", count, places, paid, in)
			}
			for to := range places { // after three wrong ones the owner has to change his password first
				if to == "/account" || strings.HasSuffix(to, "/new-password") {
					in = 1
					delete(places, to)
				}
			}
			if len(places) > 1 {
				t.Errorf("a guess that was not paid for is answered in different ways: %v", places)
			}
			lucky += in
		}
		// At most five of 64 are looked at, so the right one is seldom among them.
		if lucky > 4 {
			t.Errorf("the right one of 64 guesses was found in %d of 6 flows", lucky)
		}
	})
}

// The same for passwords, whose hash is computed before the guess is paid for.
func TestParallelPasswords(t *testing.T) {
	throttle := policy.Default().Throttle
	eachHour(t, func(t *testing.T, w *demoWorld) {
		key := []byte(w.person(t, somebody{Login: "par.pass"}).ID)
		const n = 64
		flows := make([]*browser, n)
		for i := range flows {
			flows[i] = w.from(t, "203.0.113.9").name("par.pass")
		}
		count, _ := inParallel(n, func(i int) *http.Response {
			return flows[i].once("POST", flows[i].URL.Path, url.Values{"password": {fmt.Sprint("guess ", i)}})
		})
		if count[422] != 5 || count[422]+count[429] != n {
			t.Errorf("in %d flows: %v, want five looked at and the others told to wait", n, count)
		}
		if left := w.left(t, "pw", key, throttle.PasswordStranger); left > 15 {
			t.Errorf("%d tries left after %d", left, n)
		}

		// In one flow, the right one last: what was not paid for tells nothing.
		w.add(t, somebody{Login: "par.flow"})
		b := w.from(t, "203.0.113.10").name("par.flow")
		count, places := inParallel(n, func(i int) *http.Response {
			password := fmt.Sprint("guess ", i)
			if i == n-1 {
				password = storyPassword
			}
			return b.once("POST", b.URL.Path, url.Values{"password": {password}})
		})
		in, paid := len(w.sessions(t, "par.flow")), 20-w.left(t, "pw", []byte(w.user(t, "par.flow").ID), throttle.PasswordStranger)
		if in == 1 && count[422] > paid || count[422] > 5 {
			t.Errorf("in one flow: %v %v, %d paid, %d sessions", count, places, paid, in)
		}
		delete(places, "/sign-in")
		if len(places) > 1 {
			t.Errorf("a guess that was not paid for is answered in different ways: %v", places)
		}
	})
}

// No stranger locks out an owner on a known browser: what it is answered is the same
// with and without all that strangers do. (Up to its own allowance: nine wrong
// passwords and three wrong codes, for the right one must find a try too.)
func TestStrangersChangeNothingForKnownBrowser(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		rnd := rand.New(rand.NewPCG(20, 26))
		calm, hit := "the.calm1", "the.hit12"
		mine := map[string]*browser{}
		for _, login := range []string{calm, hit} {
			w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true})
			mine[login] = w.from(t, "198.51.100.1")
			mine[login].open("/sign-in").signIn(login).see(200, "某人").signOut()
			time.Sleep(30 * time.Second)
		}
		stranger := 0
		interfere := func() {
			for range rnd.IntN(3) {
				stranger++
				if stranger > 2 { // more would have the owner change his password, as they should
					from := "198.51.100.1" // even from the owner's own network
					if stranger%3 != 0 {
						from = fmt.Sprintf("203.0.113.%d", stranger)
					}
					w.from(t, from).try(hit, fmt.Sprint("stranger ", stranger))
					w.unworked(t, hit)
					continue
				}
				b := w.half(t, hit, fmt.Sprintf("203.0.113.%d", stranger))
				b.post(b.URL.Path, url.Values{"code": {w.wrongCode(t, hit, stranger)}})
			}
		}
		for _, kind := range []string{"totp", "pw"} { // what others did in the weeks before
			w.left(t, kind, []byte(w.user(t, hit).ID), policy.Bucket{Burst: 30, Refill: 18 * time.Hour})
		}
		in, codes := map[string]bool{}, 0
		for n := range 20 {
			var want string
			kind := rnd.IntN(4)
			if kind == 1 {
				if codes++; codes > 3 {
					kind = 3
				}
			}
			for _, login := range []string{calm, hit} {
				if login == hit {
					interfere()
				}
				b := mine[login]
				switch kind {
				case 0: // a wrong password
					if n%4 < 2 {
						b.try(login, fmt.Sprint("own mistake ", n))
					}
				case 1: // a wrong code
					b.try(login, storyPassword)
					if strings.Contains(b.text(), "动态码") {
						b.submit("code", w.wrongCode(t, login, n))
					}
				default:
					b.open("/sign-in")
					if strings.Contains(b.text(), "登录名") {
						b.submit("identifier", login).submit("password", storyPassword)
						if b.Status == 200 && strings.Contains(b.text(), "动态码") {
							b.submit("code", w.code(t, login))
						}
					}
					in[login] = strings.Contains(b.text(), "某人")
					if in[login] {
						b.signOut()
					}
				}
				got := b.answer(calm, hit)
				if login == calm {
					want = got
				} else if got != want || in[calm] != in[hit] {
					t.Fatalf("act %d (%d): with and without strangers: %s", n, kind, differ(got, want))
				}
			}
			time.Sleep(time.Duration(rnd.IntN(200)+31) * time.Second)
		}
		w.from(t, "203.0.113.250").try(hit, storyPassword).see(422, "不对") // or the test would show nothing
	})
}

// A browser that fails too often loses its mark and is a stranger; a copied cookie
// is found out.
func TestKnownBrowserLost(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "lost.mark"})
		b := w.from(t, "198.51.100.1")
		b.open("/sign-in").signIn("lost.mark").see(200, "某人")
		first := b.cookie("hufu-kb").Value
		b.signOut()
		time.Sleep(time.Hour)
		b.open("/sign-in").signIn("lost.mark").signOut()
		time.Sleep(time.Hour)
		b.open("/sign-in").signIn("lost.mark").signOut()

		thief := w.from(t, "203.0.113.1")
		thief.set("hufu-kb", first)
		thief.try("lost.mark", "a guess")
		if n := len(w.events(t, "lost.mark", "browser.copied")); n != 1 {
			t.Errorf("browser.copied %d times, want once", n)
		}
		b.open("/sign-in").signIn("lost.mark").see(200, "某人").signOut() // as a stranger; known again
		for i := range 12 {
			b.try("lost.mark", fmt.Sprint("mistake ", i))
			time.Sleep(16 * time.Minute) // beyond the longest wait of a browser
		}
		if n := len(w.events(t, "lost.mark", "lock.browser")); n != 1 {
			t.Errorf("lock.browser %d times, want once", n)
		}
		b.open("/sign-in").signIn("lost.mark").see(200, "某人")
	})
}

// After a hundred failures of strangers in a row an authenticator is closed to them
// for good, until its owner shows two factors on a known browser.
func TestHardEnd(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "hard.end", TOTP: true})
		known := w.from(t, "198.51.100.1")
		known.open("/sign-in").signIn("hard.end").see(200, "某人").signOut()
		creds, err := w.Service.Store.Credentials(t.Context(), u.ID)
		must(t, err)
		for _, c := range creds {
			for range 100 {
				_, err := w.Service.Store.FailCredential(t.Context(), c.ID, 100)
				must(t, err)
			}
		}
		time.Sleep(31 * time.Second)
		w.from(t, "203.0.113.1").try("hard.end", storyPassword).see(422, "不对")
		b := w.half(t, "hard.end", "203.0.113.1")
		b.post(b.URL.Path, url.Values{"code": {w.code(t, "hard.end")}}).see(422, "动态码不对")
		known.open("/sign-in").signIn("hard.end").see(200, "某人")
		time.Sleep(31 * time.Second)
		w.from(t, "203.0.113.2").open("/sign-in").signIn("hard.end").see(200, "某人")
	})
}
