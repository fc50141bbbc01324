package server_test

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"hufu/idp"
)

// pay does the work that a form asks for, as its script does.
func pay(form *html.Node, values url.Values) {
	for _, in := range all(form, "input") {
		if n, err := strconv.Atoi(attr(in, "data-bits")); err == nil {
			values.Set("work", solve(values.Get("challenge"), n))
		}
	}
}

// solve finds a number that makes the hash of a challenge begin with n zero bits.
func solve(challenge string, n int) string {
	text := append(make([]byte, 0, len(challenge)+20), challenge...)
	for i := int64(0); ; i++ {
		h := sha256.Sum256(strconv.AppendInt(text, i, 10))
		if bits.LeadingZeros32(uint32(h[0])<<24|uint32(h[1])<<16|uint32(h[2])<<8|uint32(h[3])) >= n {
			return strconv.FormatInt(i, 10)
		}
	}
}

// work is the challenge of the page and the number that pays for it, "" where nothing is asked.
func (b *browser) work() (challenge, number string) {
	b.t.Helper()
	for _, form := range all(b.Doc, "form") {
		values := url.Values{}
		for _, in := range all(form, "input") {
			values.Set(attr(in, "name"), attr(in, "value"))
		}
		if pay(form, values); values.Get("work") != "" {
			return values.Get("challenge"), values.Get("work")
		}
	}
	return "", ""
}

// After five failures at a name a stranger's next guess is worked for, wherever he comes
// from and whether somebody has the name; a browser that knows its owner is never asked.
// The work goes through once, in its own flow and in time.
func TestStrangersWork(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "work.owner"})
		known := w.from(t, "198.51.100.1")
		known.open("/sign-in").signIn("work.owner").see(200, "某人").signOut()
		for i := range 5 {
			for _, name := range []string{"work.owner", "work.nobody"} {
				if c, _ := w.from(t, fmt.Sprint("203.0.113.", i)).try(name, fmt.Sprint("wrong ", i)).see(422, "不对").work(); (c != "") != (i == 4) {
					t.Errorf("%s after %d failures: asked for %q", name, i+1, c)
				}
			}
		}
		if c, _ := known.name("work.owner").work(); c != "" {
			t.Error("a known browser is asked")
		}
		known.submit("password", storyPassword).see(200, "某人")

		b, other := w.from(t, "203.0.113.50").name("work.owner"), w.from(t, "203.0.113.50").name("work.owner")
		challenge, number := b.work()
		form := func(password string) url.Values {
			return url.Values{"challenge": {challenge}, "work": {number}, "password": {password}}
		}
		other.post(other.URL.Path, form(storyPassword)).see(429, "20 秒")
		b.post(b.URL.Path, form("wrong once more")).see(422, "密码不对")
		b.post(b.URL.Path, form(storyPassword)).see(422, "再按一次")
		challenge, number = b.work()
		time.Sleep(2*time.Minute + time.Second)
		b.post(b.URL.Path, form(storyPassword)).see(422, "再按一次")
		if strings.Contains(b.Body, challenge) {
			t.Error("the page has the old challenge still")
		}
		b.submit("password", storyPassword).see(200, "某人")
	})
}

// Without script a stranger waits in place of working; what he typed before its time is
// not looked at.
func TestStrangersWithoutScriptWait(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "wait.owner"})
		for i := range 5 {
			w.from(t, fmt.Sprint("203.0.113.", i)).try("wait.owner", fmt.Sprint("wrong ", i)).see(422, "不对")
		}
		b := w.from(t, "203.0.113.50").name("wait.owner")
		page := b.URL.Path
		plain := func() *browser {
			challenge, _ := b.open(page).work()
			return b.post(page, url.Values{"challenge": {challenge}, "work": {""}, "password": {storyPassword}})
		}
		plain().see(429, "20 秒")
		if s, err := strconv.Atoi(b.Header.Get("Retry-After")); err != nil || s < 20 || s > 21 {
			t.Errorf("Retry-After %q", b.Header.Get("Retry-After"))
		}
		time.Sleep(10 * time.Second)
		plain().see(429, "10 秒")
		time.Sleep(10 * time.Second)
		plain().see(200, "某人")
		w.from(t, "203.0.113.50").name("wait.owner").post(page, nil).see(410, "过期")
	})
}

// unworked forgets what a name's failures cost strangers in work, where a test is about
// something else and would only hash.
func (w *demoWorld) unworked(t *testing.T, login string) {
	t.Helper()
	must(t, w.Service.Store.ClearWait(t.Context(), "work.name", w.Service.Store.Lookup(idp.IdentifierUsername, login)))
}
