package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// choices are the names that the page offers, by what their buttons post.
func (b *browser) choices() map[string]string {
	out := map[string]string{}
	for _, button := range all(b.Doc, "button") {
		if attr(button, "name") == "known" {
			for _, name := range all(button, "b") {
				out[name.FirstChild.Data] = attr(button, "value")
			}
		}
	}
	return out
}

// A till that two people have signed in on shows the ends of their names, and either signs
// in without typing his. No page holds the name before it is proved; other browsers show
// nobody, whatever they post.
func TestKnownNames(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "zhou.mei", TOTP: true}, somebody{Login: "wang.lei"})
		till, other := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.1")
		if till.open("/sign-in"); len(till.choices()) != 0 || strings.Contains(till.Body, "在这里登录过") {
			t.Fatalf("a new browser shows %v", till.choices())
		}
		till.signIn("zhou.mei").at("/account").signOut()
		till.open("/sign-in").signIn("wang.lei").at("/account").signOut()
		till.open("/sign-in").see(200, "在这里登录过")
		names := till.choices()
		if len(names) != 2 || names["z***i"] == "" || names["w***i"] == "" {
			t.Fatalf("shows %v", names)
		}
		hidden := func() {
			t.Helper()
			for _, name := range []string{"zhou.mei", "wang.lei", "zhou", "wang", "某人"} {
				if strings.Contains(till.Body, name) {
					t.Errorf("%s holds %s", till.URL.Path, name)
				}
			}
		}
		hidden()
		till.submit("known", names["z***i"]).at("password").see(200, "z***i")
		hidden()
		till.submit("password", "not it").see(422, "不对").see(422, "z***i")
		hidden()
		if fields := all(till.Doc, "input"); len(fields) == 0 || strings.Contains(till.Body, `name="username"`) {
			t.Error("the masked name stands in a field that a password manager keeps")
		}
		time.Sleep(31 * time.Second)
		till.submit("password", storyPassword).at("second").submit("code", w.code(t, "zhou.mei")).at("/account").see(200, "zhou.mei")
		if len(w.sessions(t, "zhou.mei")) != 1 {
			t.Error("not signed in")
		}
		till.signOut().open("/sign-in").submit("known", till.choices()["w***i"]).submit("password", storyPassword).at("/account").see(200, "wang.lei").signOut()
		// One is chosen, then another name is typed: that one counts.
		till.open("/sign-in").submit("known", till.choices()["z***i"]).at("password")
		till.open(strings.TrimSuffix(till.URL.Path, "password")+"identify").submit("identifier", "wang.lei").at("password").see(200, "wang.lei")
		till.submit("password", storyPassword).at("/account").signOut()
		// A browser that nobody has signed in on: every choice is as nothing typed.
		for _, value := range []string{"0", "1", "4", "-1", "", "zhou.mei", strings.Repeat("9", 3000)} {
			other.open("/sign-in")
			if len(other.choices()) != 0 {
				t.Fatalf("a foreign browser shows %v", other.choices())
			}
			page := other.URL.Path
			if other.post(page, url.Values{"known": {value}}); other.Status != 422 || other.URL.Path != page {
				t.Errorf("known=%.20s: %d at %s", value, other.Status, other.URL.Path)
			}
		}
		other.set("hufu-kb", "AAAA."+till.cookie("hufu-kb").Value[:40])
		if other.open("/sign-in"); len(other.choices()) != 0 {
			t.Errorf("a broken cookie shows %v", other.choices())
		}
	})
}

// Whoever has left, is disabled, or has had the browser forgotten shows up no more and
// cannot be chosen; one who is locked does, or the till would tell.
func TestKnownNamesOfWhoIsGone(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		till, people := w.from(t, "203.0.113.1"), []string{"gone.left", "gone.disabled", "gone.forgot", "gone.stayed", "gone.locked"}
		for _, login := range people {
			w.add(t, somebody{Login: login})
			till.open("/sign-in").signIn(login).at("/account").signOut()
		}
		till.open("/sign-in")
		shown := func() int { return strings.Count(till.Body, `name="known"`) }
		if shown() != len(people) {
			t.Fatalf("%d are shown: %v", shown(), till.choices())
		}
		page := till.URL.Path
		store, ctx := w.Service.Store, t.Context()
		for login, to := range map[string]idp.UserStatus{"gone.left": idp.UserLeft, "gone.disabled": idp.UserDisabled} {
			if ok, err := store.SetUserStatus(ctx, w.user(t, login).ID, idp.UserActive, to); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		must(t, store.RevokeBrowsers(ctx, w.user(t, "gone.forgot").ID, ""))
		if ok, err := store.LockUser(ctx, w.user(t, "gone.locked").ID, "fraud"); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if till.open("/sign-in"); shown() != 2 {
			t.Errorf("%d are shown: %v", shown(), till.choices())
		}
		for i := range 5 { // the last who signed in is 0: locked, stayed, forgot, disabled, left
			till.post(page, url.Values{"known": {string(rune('0' + i))}})
			if chosen := till.Status == 200 && strings.HasSuffix(till.URL.Path, "/password"); chosen != (i < 2) {
				t.Errorf("choice %d: %d at %s", i, till.Status, till.URL.Path)
			}
		}
	})
}

// On his own first page, and where he approves a terminal, a person reads his user name.
func TestUserNameIsTold(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "欧阳若兰"}, Login: "told.owner", TOTP: true})
		w.asks(t, "", "BCDFGHJK", "payments:read")
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("told.owner").at("/account").see(200, "您的用户名是 told.owner")
		b.open("/device?user_code=BCDFGHJK").see(200, "欧阳若兰").see(200, "用户名 told.owner")
	})
}
