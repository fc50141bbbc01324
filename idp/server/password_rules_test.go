package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
)

// choosing is a browser at the page where a person must choose a new password.
func (w *demoWorld) choosing(t *testing.T, login, phone, address string) *browser {
	t.Helper()
	w.add(t, somebody{Login: login, Phone: phone})
	must(t, w.Service.Store.SetMustChange(t.Context(), w.user(t, login).ID, true))
	b := w.from(t, address)
	return b.try(login, storyPassword).at("second").submit("resend", "1").submit("code", w.sent(t, phone)).at("new-password")
}

// A password with anything of its owner in it, or that others use, is refused in words, and
// the page lists every rule with its state. What the script is told while typing is the same.
func TestPasswordRules(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.choosing(t, "liang.yu", "+8613900000061", "203.0.113.61")
		b.see(200, "密码要满足").see(200, "至少 12 个字符").see(200, "不是最近 5 个用过的密码")
		if strings.Contains(b.text(), "强度") {
			t.Error("rules have a state before anything is typed")
		}
		merchant := w.merchant(t)
		terminals, err := w.Service.Store.Terminals(t.Context(), "", merchant.ID, 1)
		must(t, err)
		for password, want := range map[string]string{
			"short one 7":                           "至少要 12 个字符",
			"brass LIANG.yu otter":                  "里面有登录名",
			"brass 3900 otter lamp":                 "里面有手机号",
			"brass " + merchant.No[5:10] + " otter": "里面有商户号",
			"brass " + terminals[0].Serial + " ot":  "里面有终端序列号",
			"brass " + merchant.LegalName + " ot":   "里面有商户名",
			"brass linji otter lamp":                "拼音",
			"brass hufu otter lamp":                 "本服务的名字",
			"brass 1234567 otter":                   "连续的字母或数字",
			"brass aaaaaaa otter":                   "连着出现",
			"brass qwertyui otter":                  "键盘上相邻",
			"1qaz2wsx3edc":                          "键盘上相邻",
		} {
			status, _, drawn := b.ask("POST", b.URL.Path+"/check", url.Values{"password": {password}})
			if status != 200 || !strings.Contains(drawn, want) || !strings.Contains(drawn, "条没满足") || !strings.Contains(drawn, "<meter") {
				t.Errorf("%q while typed: %d %s, want %s", password, status, drawn, want)
			}
			b.submit("password", password, "again", password).see(422, want).see(422, "强度")
			time.Sleep(time.Second)
		}
		status, _, drawn := b.ask("POST", b.URL.Path+"/check", url.Values{"password": {"brass otter lamp 42"}})
		if status != 200 || !strings.Contains(drawn, "都满足了") || strings.Contains(drawn, "还没满足") {
			t.Errorf("a good one: %d %s", status, drawn)
		}
		b.submit("password", "brass otter lamp 42", "again", "brass otter lamp 42").at("/account")
	})
}

// A birthday or the end of a document is found by the hashes that are kept of this person,
// and of nobody else; where none are, no rule of them is told.
func TestPasswordHoldsNoBirthday(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		keep := manage.Manager{Store: w.Service.Store}
		b := w.choosing(t, "liang.liu", "+8613900000066", "203.0.113.66")
		u, other := w.user(t, "liang.liu"), w.user(t, "lin.wei")
		must(t, keep.SetPersonalEvidence(t.Context(), other.ID, "19851120", "24118X"))
		check := func(password, want string) {
			t.Helper()
			status, _, drawn := b.ask("POST", b.URL.Path+"/check", url.Values{"password": {password}})
			if status != 200 || strings.Contains(drawn, "里面有生日") != (want == "里面有生日") || strings.Contains(drawn, "里面有证件号") != (want == "里面有证件号") {
				t.Errorf("%q: %d %s, want %q", password, status, drawn, want)
			}
			time.Sleep(time.Second)
		}
		check("brass 0512 otter lamp", "")
		must(t, keep.SetPersonalEvidence(t.Context(), u.ID, "1990-05-12", "12731x"))
		for password, want := range map[string]string{"brass 12/5/1990 otter": "里面有生日", "brass 0512 otter lamp": "里面有生日", "brass 900512 otter": "里面有生日",
			"brass 731x otter lamp": "里面有证件号", "brass 12731X otter": "里面有证件号", "brass 85-11-20 otter": "", "brass 118x otter lamp": "", "brass 4275 otter lamp": ""} {
			check(password, want)
		}
		b.submit("password", "brass 0512 otter lamp", "again", "brass 0512 otter lamp").see(422, "里面有生日")
		time.Sleep(time.Second)
		b.submit("password", "brass 4275 otter lamp", "again", "brass 4275 otter lamp").at("/account")
	})
}

// The check while typing is for the browser of the flow at that step, from its own pages,
// and not without end; it changes nothing and leaves nothing behind.
func TestPasswordCheckIsBounded(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.choosing(t, "liang.er", "+8613900000062", "203.0.113.62")
		path, form := b.URL.Path+"/check", url.Values{"password": {"brass otter lamp 42"}}
		if status, _, _ := w.from(t, "203.0.113.63").ask("POST", path, form); status != 410 {
			t.Errorf("another browser: %d", status)
		}
		if res := b.once("POST", path, form, "Sec-Fetch-Site", "cross-site"); res.StatusCode != 403 {
			t.Errorf("another site: %d", res.StatusCode)
		}
		if status, _, drawn := b.ask("POST", path, url.Values{}); status != 200 || strings.Contains(drawn, "<meter") {
			t.Errorf("nothing typed: %d %s", status, drawn)
		}
		limited := 0
		for range 40 {
			if status, _, _ := b.ask("POST", path, form); status == 429 {
				limited++
			}
		}
		if limited < 5 {
			t.Errorf("%d of 40 at once were refused", limited)
		}
		time.Sleep(time.Second)
		if status, _, _ := b.ask("POST", path, form); status != 200 {
			t.Errorf("after a pause: %d", status)
		}
		other := w.from(t, "203.0.113.64").name("liang.er")
		if status, _, _ := other.ask("POST", strings.TrimSuffix(other.URL.Path, "/password")+"/new-password/check", form); status != 410 {
			t.Errorf("before the step: %d", status)
		}
		former, err := w.Service.Store.FormerPasswords(t.Context(), w.user(t, "liang.er").ID)
		must(t, err)
		if len(former) != 0 || len(w.events(t, "liang.er", "password.changed")) != 0 {
			t.Errorf("a check was kept: %d", len(former))
		}
	})
}

// The last five passwords cannot be used again, the sixth can.
func TestPasswordHistory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleCashier}, Login: "liang.san", Phone: "+8613900000065"})
		names := []string{"brass", "copper", "silver", "nickel", "cobalt", "indigo"}
		var b *browser
		change := func(from, to string) *browser {
			must(t, w.Service.Store.SetMustChange(t.Context(), u.ID, true))
			time.Sleep(3 * time.Hour)
			b = w.from(t, "203.0.113.65")
			b.try("liang.san", from).at("second").submit("resend", "1").submit("code", w.sent(t, "+8613900000065")).at("new-password")
			return b.submit("password", to, "again", to)
		}
		last := storyPassword
		for _, name := range names {
			change(last, name+" otter lamp 42").at("/account")
			last = name + " otter lamp 42"
		}
		change(last, last).see(422, "现在的密码")
		for _, name := range names[1:5] { // with the present one: five
			b.submit("password", name+" otter lamp 42", "again", name+" otter lamp 42").see(422, "以前用过")
			time.Sleep(time.Minute)
		}
		b.submit("password", names[0]+" otter lamp 42", "again", names[0]+" otter lamp 42").at("/account")
	})
}
