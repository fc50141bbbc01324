package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// A flow lives in one browser, at one address until something is proved, and for a
// time; what is left of it says what to do.
func TestFlowBelongsToItsBrowser(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		const gone, elsewhere, start = "这一页已经过期", "属于另一个浏览器", "/sign-in"
		mine, other := w.from(t, "203.0.113.1").name("lin.wei"), w.from(t, "203.0.113.2").name("chen.xy")
		first := mine.URL.Path
		for b, why := range map[*browser]string{other: gone, w.from(t, "203.0.113.3"): elsewhere} { // with a binding of its own, and with none
			b.open(first).see(410, why)
			b.post(first, url.Values{"password": {w.Users["owner"].Password}}).see(410, why)
			b.post(strings.Replace(first, "/password", "/identify", 1), url.Values{"identifier": {"chen.xy"}}).see(410, why)
			if !strings.Contains(b.Body, `href="`+start+`"`) {
				t.Error("the page does not say where to start again")
			}
		}
		mine.open(first).see(200, "密码") // none of it touched the flow

		// After the password the flow has another address, and the old one is dead.
		tab := *mine // a second tab, and where the back button leads
		mine.submit("password", w.Users["owner"].Password).see(200, "动态码")
		if second := mine.URL.Path; strings.Split(second, "/")[2] == strings.Split(first, "/")[2] {
			t.Error("the address is the same after a proof")
		}
		tab.open(first).see(410, gone)
		tab.post(first, url.Values{"password": {w.Users["owner"].Password}}).see(410, gone)
		if !strings.Contains(tab.Body, `href="`+start+`"`) {
			t.Error("the page does not say where to start again")
		}
		second := mine.URL.Path
		mine.submit("code", w.code(t, "owner")).see(200, "林薇")
		mine.open(second).see(410, gone) // closed
		if n := len(w.sessions(t, "lin.wei")); n != 1 {
			t.Errorf("%d sessions", n)
		}

		// An unused flow lives a quarter of an hour, any an hour in all.
		idle := w.from(t, "203.0.113.4").name("chen.xy")
		time.Sleep(15*time.Minute + time.Second)
		idle.open(idle.URL.Path).see(410, gone)
		busy := w.from(t, "203.0.113.5").name("chen.xy")
		for range 4 {
			time.Sleep(14 * time.Minute)
			busy.submit("password", "wrong").see(422, "不对")
		}
		time.Sleep(5 * time.Minute)
		busy.submit("password", w.Users["cashier"].Password).see(410, gone)
		for _, path := range []string{"/flows/x", "/flows/x/password", "/flows/" + idp.NewToken(), "/flows/" + idp.NewToken() + "/second/resend"} {
			method := http.MethodGet
			if strings.HasSuffix(path, "resend") {
				method = http.MethodPost
			}
			if res := busy.once(method, path, nil); res.StatusCode != 410 {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	})
}

// A flow that a signed-in person opened serves nobody else in the same browser.
func TestFlowOfAnotherPerson(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("cashier").open("/account/enrol").see(200, "验证码")
		flow := b.URL.Path
		b.signOut().open(flow).see(410, "已经退出")
		b.open("/sign-in").signIn("owner").see(200, "林薇").open(flow).see(410, "过期")
		b.post(flow, url.Values{"code": {"123456"}}).see(410, "过期")
		b.post(flow+"/resend", nil).see(410, "过期")

		// Nor one in which nothing was done yet.
		b.signOut().open("/sign-in").signIn("cashier")
		for range 2 {
			time.Sleep(7 * time.Hour)
			b.open("/account").see(200, "陈小燕")
		}
		w.asks(t, "esign", "BCDFGHJK")
		b.open("/device?user_code=BCDFGHJK").see(200, "输入密码")
		flow = b.URL.Path
		b.signOut().open("/sign-in").signIn("owner").see(200, "林薇").open(flow).see(410, "过期")
	})
}

// The shared till: whoever signs in next in a browser gets nothing of the one before,
// whether he signed out, closed the browser, or lost his cookies.
func TestSharedTill(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		left := []func(){func() { b.signOut() }, func() { b.set("hufu-s", "") }, func() { b.set("hufu-s", ""); b.set("hufu-b", ""); b.set("hufu-kb", "") }, func() {}}
		for i, leave := range left {
			b.open("/sign-in").signIn("owner").see(200, "林薇")
			session := b.cookie("hufu-s").Value
			leave()
			if i == len(left)-1 { // still signed in: the next one signs in over him
				b.name2("chen.xy").submit("password", w.Users["cashier"].Password)
			} else {
				b.open("/sign-in").signIn("cashier")
			}
			b.open("/account").see(200, "陈小燕")
			if strings.Contains(b.Body, "林薇") || strings.Contains(b.Body, "lin.wei") {
				t.Errorf("way %d: the page of one shows the other", i)
			}
			if b.cookie("hufu-s").Value == session {
				t.Errorf("way %d: the same session cookie for two people", i)
			}
			if i == len(left)-1 && len(w.sessions(t, "lin.wei")) != 2 { // two of the earlier rounds were only forgotten
				t.Errorf("%d sessions of the first after the other took the browser over", len(w.sessions(t, "lin.wei")))
			}
			b.signOut()
			time.Sleep(31 * time.Second)
		}
	})
}

// name2 begins a sign-in although somebody is signed in, as an application that asks
// for one does.
func (b *browser) name2(login string) *browser {
	b.t.Helper()
	kept := b.cookie("hufu-s").Value
	b.set("hufu-s", "")
	b.name(login)
	b.set("hufu-s", kept)
	return b
}

// The value of the session cookie changes at each sign-in and each step-up, and the
// old value is worth nothing.
func TestSessionCookieChanges(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "step.up", Mail: "step.up@example.com"})
		b := w.from(t, "203.0.113.1")
		b.set("hufu-s", idp.NewToken()) // planted
		planted := b.cookie("hufu-s").Value
		b.open("/sign-in").signIn("step.up").see(200, "某人")
		before := b.cookie("hufu-s").Value
		b.open("/account/enrol").submit("code", w.sent(t, "step.up@example.com")).at("choose-factor").submit("factor", "totp")
		enrol(t, b)
		b.keep()
		after := b.cookie("hufu-s").Value
		if planted == before || before == after {
			t.Error("the cookie kept its value")
		}
		for _, old := range []string{planted, before} {
			thief := w.from(t, "203.0.113.2")
			thief.set("hufu-s", old)
			thief.open("/account").see(200, "登录名")
		}
	})
}
