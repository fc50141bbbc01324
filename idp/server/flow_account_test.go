package server_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/session"
)

// enrol reads the key off the page, as an app would, and confirms with a code.
func enrol(t *testing.T, b *browser) (secret string) {
	t.Helper()
	for _, code := range all(b.Doc, "code") {
		if text := strings.ReplaceAll(code.FirstChild.Data, " ", ""); len(text) == 32 {
			secret = text
		}
	}
	if secret == "" {
		t.Fatalf("no key on the page: %s", b.text())
	}
	code, err := totp.Code(secret, time.Now())
	must(t, err)
	b.submit("code", code)
	return secret
}

// A person who must change the password does it between the second factor and the
// door; all other sessions end, and the old password is worth nothing.
func TestMustChange(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{Login: "zhang.san", Phone: "+8613900000001"})
		elsewhere := w.from(t, "203.0.113.9")
		elsewhere.open("/sign-in").signIn("zhang.san").see(200, "某人")
		must(t, w.Service.Store.SetMustChange(t.Context(), u.ID, true))
		b := w.from(t, "203.0.113.1")
		b.try("zhang.san", storyPassword).at("second").submit("resend", "1").submit("code", w.sent(t, "+8613900000001")).see(200, "新密码")
		step := b.URL.Path
		b.open("/account").see(200, "登录名").open(step).see(200, "新密码") // not in yet
		for want, pair := range map[string][2]string{
			"填写密码":     {"", ""},
			"两次输的不一样":  {"a long enough one", "a long enough two"},
			"太短了，至少要":  {"too short 1", "too short 1"},
			"太长了":      {strings.Repeat("x", 257), strings.Repeat("x", 257)},
			"里面有登录名":   {"i am ZHANG.SAN indeed", "i am ZHANG.SAN indeed"},
			"和现在的密码一样": {storyPassword, storyPassword},
		} {
			b.submit("password", pair[0], "again", pair[1]).see(422, want)
		}
		var sentence []rune
		for i := range rune(256) {
			sentence = append(sentence, '一'+37*i)
		}
		long := string(sentence)
		b.submit("password", long, "again", long).see(200, "某人")
		if len(w.sessions(t, "zhang.san")) != 1 {
			t.Error("the other session lives on")
		}
		elsewhere.open("/account").see(200, "登录名")
		w.from(t, "203.0.113.2").try("zhang.san", storyPassword).see(422, "不对")
		w.from(t, "203.0.113.3").try("zhang.san", long).see(200, "某人")
		if len(w.events(t, "zhang.san", "password.changed")) != 1 {
			t.Error("no event")
		}
	})
}

// An invitation lets its one person in once, for a while, and only the newest.
func TestJoin(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const gone = "过期"
		invite := func(login string) (u idp.User, link string) {
			u = w.person(t, somebody{User: idp.User{Status: idp.UserInvited, Name: "新人"}, Login: login, Mail: login + "@example.com", NoPassword: true})
			return u, w.invite(t, u)
		}
		b := w.from(t, "203.0.113.1")
		for _, link := range []string{"/join", "/join?t=", "/join?t=x", "/join?t=" + idp.NewToken(), "/join?t=%00%ff"} {
			b.open(link)
			if b.Status != 410 {
				t.Errorf("%s: %d", link, b.Status)
			}
		}
		u, old := invite("join.one")
		link := w.invite(t, u)
		b.open(old).see(410, "邀请")
		b.open(link).see(200, "新人").see(200, "新密码")
		if strings.Contains(b.URL.String(), link[len("/join?t="):]) {
			t.Error("the token stays in the address")
		}
		b.submit("password", "short", "again", "short").see(422, "太短")
		if w.user(t, "join.one").Status != idp.UserInvited {
			t.Error("active before a password was set")
		}
		b.submit("password", storyPassword, "again", storyPassword).see(200, "登录名")
		b.open(link).see(410, "邀请")
		b.submit2("join.one", storyPassword).see(200, "新人")

		_, link = invite("join.late")
		time.Sleep(7*24*time.Hour + time.Second)
		b.signOut().open(link).see(410, "邀请")

		_, link = invite("join.race") // the same link twice at once, by two browsers
		flows := []*browser{w.from(t, "203.0.113.2").open(link), w.from(t, "203.0.113.3").open(link)}
		_, places := inParallel(2, func(i int) *http.Response {
			password := fmt.Sprint("correct horse battery ", i)
			return flows[i].once("POST", flows[i].URL.Path, url.Values{"password": {password}, "again": {password}})
		})
		creds, err := w.Service.Store.Credentials(t.Context(), w.user(t, "join.race").ID)
		if err != nil || len(creds) != 1 || places["/sign-in"] != 1 {
			t.Errorf("two at once: %v, %d passwords, %v", places, len(creds), err)
		}

		u, link = invite("join.off") // disabled while the page is open
		b.open(link).see(200, "新密码")
		_, err = w.Service.Store.SetUserStatus(t.Context(), u.ID, idp.UserInvited, idp.UserDisabled)
		must(t, err)
		b.submit("password", storyPassword, "again", storyPassword).see(410, gone)
		if w.user(t, "join.off").Status != idp.UserDisabled {
			t.Error("the disabled joined")
		}

		_, link = invite("join.mine") // of one, opened where another is signed in
		b.open("/sign-in").signIn("cashier").open(link).see(200, "新人")
		b.submit("password", storyPassword, "again", storyPassword)
		if b.open("/account").see(200, "陈小燕"); len(w.sessions(t, "join.mine")) != 0 {
			t.Error("an invitation signed somebody in")
		}
	})
}

func (w *demoWorld) invite(t *testing.T, u idp.User) (link string) {
	t.Helper()
	token := idp.NewToken()
	must(t, w.Service.Store.CreateInvite(t.Context(), u.ID, hex.EncodeToString(session.Hash(token)), time.Now().Add(7*24*time.Hour)))
	return "/join?t=" + token
}

func (b *browser) submit2(login, password string) *browser {
	b.t.Helper()
	return b.open("/sign-in").submit("identifier", login).submit("password", password)
}

// The cashier binds an authenticator from his own page: password and a code on a
// bound channel, both fresh, then one code of the app. From then on it is asked for.
func TestEnrolFromAccount(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		phone := w.Users["cashier"].Phone
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("cashier").open("/account").see(200, "加第二步")
		time.Sleep(6 * time.Minute)
		b.open("/account/enrol?factor=totp").see(200, "输入密码") // the session's password is too old
		b.submit("password", "wrong").see(422, "不对")
		b.submit("password", w.Users["cashier"].Password).see(200, "138****0003")
		flow := strings.TrimSuffix(b.URL.Path, "/second")
		b.open(flow+"/enrol-totp").see(200, "输入验证码") // not before the channel is proved
		b.post(flow+"/enrol-totp", url.Values{"code": {"123456"}}).see(200, "输入验证码")
		first := w.sent(t, phone)
		b.submit("resend", "1").see(429, "发得太多") // one a minute
		time.Sleep(61 * time.Second)
		b.open(flow).submit("resend", "1").see(200, "输入验证码")
		if second := w.sent(t, phone); second != first {
			b.submit("code", first).see(422, "验证码不对") // a resend voids it
		}
		b.submit("code", w.sent(t, phone)).see(200, "绑定验证器")
		w.Users["cashier2"] = w.Users["cashier"]
		b.submit("code", "000000")
		if b.Status != 422 || w.creds(t, "chen.xy") != 1 {
			t.Errorf("a wrong code: %d, %d credentials", b.Status, w.creds(t, "chen.xy"))
		}
		secret := enrol(t, b)
		b.keep().see(200, "新的登录方式已经加上")
		if w.creds(t, "chen.xy") != 3 || len(w.events(t, "chen.xy", "factor.enrolled")) != 1 {
			t.Error("not enrolled")
		}
		used, err := totp.Code(secret, time.Now())
		must(t, err)
		b.signOut().submit2("chen.xy", w.Users["cashier"].Password).see(200, "动态码")
		b.submit("code", used).see(422, "已经用过") // the code that bound it
		time.Sleep(31 * time.Second)
		next, err := totp.Code(secret, time.Now())
		must(t, err)
		b.submit("code", next).see(200, "陈小燕")
	})
}

// creds counts the credentials of a person.
func (w *demoWorld) creds(t *testing.T, login string) int {
	t.Helper()
	creds, err := w.Service.Store.Credentials(t.Context(), w.user(t, login).ID)
	must(t, err)
	return len(creds)
}

// An owner without a second factor has seven days; then he binds one at the door,
// with a code on any channel of his.
func TestForcedEnrolment(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "new.owner", Phone: "+8613900000002", Mail: "new.owner@example.com"})
		b := w.from(t, "203.0.113.1")
		b.try("new.owner", storyPassword).see(200, "可以先跳过").submit("do", "later").see(200, "某人")
		if b.cookie("hufu-kb") != nil {
			t.Error("a browser is known after a sign-in that did not meet policy in full")
		}
		time.Sleep(7*24*time.Hour + time.Second)
		b.open("/sign-in").signIn("new.owner").see(200, "139****0002")
		if len(w.sessions(t, "new.owner")) != 0 {
			t.Fatal("in without the second step")
		}
		var way string // by mail instead
		for _, btn := range all(b.Doc, "button") {
			if attr(btn, "name") == "way" {
				way = attr(btn, "value")
			}
		}
		b.submit("way", way).see(200, "n***@example.com")
		b.submit("code", w.sent(t, "new.owner@example.com")).see(200, "选一种").submit("factor", "totp").see(200, "绑定验证器")
		if len(w.sessions(t, "new.owner")) != 0 {
			t.Fatal("password and mail are no two factors")
		}
		enrol(t, b)
		b.keep().see(200, "某人")
		if live := w.sessions(t, "new.owner"); len(live) != 1 || idp.Assess(live[0].Proofs).ACR != idp.ACR2 {
			t.Errorf("sessions %+v", live)
		}
		if b.cookie("hufu-kb") == nil {
			t.Error("the browser is not known after a full sign-in")
		}
	})
}

// Without authenticator and channel there is no way on, and the page says so.
func TestNoSecondFactorAndNoChannel(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleAuditor}, Login: "no.way"})
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("no.way").see(403, "没有绑定动态码").see(403, "请联系")
		b.open("/account").see(200, "登录名")
		b.open("/console").see(200, "登录名")
		if len(w.sessions(t, "no.way")) != 0 {
			t.Error("in without a second factor")
		}
	})
}

// Who may not come in learns why only after full proof, changes nothing before, and
// gets no session.
func TestTurnedAway(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		reasons := map[string]idp.User{"被锁定": {Locked: "fraud", MustChange: true}, "已经离职": {Status: idp.UserLeft, MustChange: true}, "被停用": {Status: idp.UserDisabled, MustChange: true}}
		i := 0
		for words, u := range reasons {
			for _, role := range []idp.Role{idp.RoleOwner, idp.RoleCashier} {
				i++
				u.Role = role
				login := fmt.Sprint("away.", i, string(role))
				w.add(t, somebody{User: u, Login: login, TOTP: role == idp.RoleOwner})
				b := w.from(t, fmt.Sprintf("203.0.113.%d", i))
				b.try(login, "wrong").see(422, "登录名或密码不对")
				if b.submit("password", storyPassword); role == idp.RoleOwner {
					b.see(200, "动态码")
					if strings.Contains(b.text(), words) {
						t.Errorf("%s: told before the second factor", login)
					}
					b.submit("code", w.wrongCode(t, login, 0)).see(422, "动态码不对")
					b.submit("code", w.code(t, login))
				}
				b.see(403, words)
				if b.cookie("hufu-s") != nil || b.cookie("hufu-kb") != nil || len(w.sessions(t, login)) != 0 {
					t.Errorf("%s: a session or a known browser", login)
				}
				if !w.user(t, login).MustChange || len(w.events(t, login, "signin.refused")) != 1 {
					t.Errorf("%s: changed the password, or no event", login)
				}
				b.open("/account").see(200, "登录名")
			}
		}
		// A session does not outlive its person's rights.
		for login, off := range map[string]func(u idp.User) error{
			"off.locked": func(u idp.User) error {
				_, err := w.Service.Store.LockUser(t.Context(), u.ID, "fraud")
				return err
			},
			"off.left": func(u idp.User) error {
				_, err := w.Service.Store.SetUserStatus(t.Context(), u.ID, idp.UserActive, idp.UserLeft)
				return err
			},
		} {
			u := w.person(t, somebody{Login: login})
			b := w.from(t, "203.0.113.99")
			b.open("/sign-in").signIn(login).see(200, "某人")
			must(t, off(u))
			b.open("/account").see(200, "登录名")
			b.post("/account/end-all", nil).see(200, "登录名")
		}
	})
}

// A person ends the sessions of others of his browsers, and of nobody else.
func TestEndSessions(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "end.one"}, somebody{Login: "end.two"})
		var mine [3]*browser
		for i := range mine {
			mine[i] = w.from(t, "203.0.113.1")
			mine[i].open("/sign-in").signIn("end.one").see(200, "某人")
		}
		other := w.from(t, "203.0.113.2")
		other.open("/sign-in").signIn("end.two").see(200, "某人")
		foreign := w.sessions(t, "end.one")[0].ID
		for _, id := range []string{foreign, "", "x", "\x00", "\xff\xfe", strings.Repeat("a", 5000), "'; DROP TABLE sessions"} {
			if other.post("/account/end", url.Values{"session": {id}}); other.Status >= 500 {
				t.Errorf("session %q: %d", id, other.Status)
			}
		}
		if n := len(w.sessions(t, "end.one")); n != 3 {
			t.Fatalf("%d sessions after a stranger ended them, want 3", n)
		}
		mine[0].open("/account/devices").submit("session").see(200, "已经退出")
		mine[0].open("/account/devices").post("/account/end-all", nil).see(200, "已经退出")
		if n := len(w.sessions(t, "end.one")); n != 1 {
			t.Errorf("%d sessions left, want this one", n)
		}
		mine[1].open("/account").see(200, "登录名")
		other.open("/account").see(200, "某人")
	})
}

// Sessions end when idle, and in the end.
func TestSessionLife(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		idle, busy := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")
		admin := w.from(t, "203.0.113.3")
		idle.open("/sign-in").signIn("cashier").see(200, "陈小燕")
		busy.open("/sign-in").signIn("cashier").see(200, "陈小燕")
		admin.open("/sign-in").signIn("auditor").see(200, "概览")
		time.Sleep(15*time.Minute + time.Second)
		admin.open("/console").see(200, "登录名") // operators' are short
		for range 24 {
			time.Sleep(7 * time.Hour)
			busy.open("/account")
		}
		busy.see(200, "登录名") // seven days
		idle.open("/account").see(200, "登录名")
		busy.open("/sign-in").signIn("cashier").see(200, "陈小燕")
		time.Sleep(8*time.Hour + time.Second)
		busy.open("/account").see(200, "登录名")
	})
}
