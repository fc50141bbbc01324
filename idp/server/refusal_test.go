package server_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/flows/factor/passkey/passkeytest"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/storage"
	"hufu/templates"
)

var explainCode = regexp.MustCompile(`\b\d{3}-\d{3}-\d{4}\b`)

// explain is the explain code of the page.
func (b *browser) explain() string {
	b.t.Helper()
	code := explainCode.FindString(b.text())
	if !idp.ValidExplainCode(code) {
		b.t.Fatalf("no explain code at %s (%d): %s", b.URL.Path, b.Status, b.text())
	}
	return code
}

// twice submits what is refused, until the page shows a code: from the second time on.
func (b *browser) twice(field, value string) *browser {
	b.t.Helper()
	return b.submit(field, value).see(422, "").submit(field, value).see(422, "")
}

// A late, foreign or spent code, assertion or link is refused with a sentence and a code
// behind which the console finds the reason. None of it is a guess.
func TestRefusalsAreExplained(t *testing.T) {
	refusals := map[string]struct {
		reason, sentence string
		walk             func(t *testing.T, w *demoWorld, b *browser)
	}{
		"code late": {"code.expired", "过期了", func(t *testing.T, w *demoWorld, b *browser) {
			code := b.coded("late")
			time.Sleep(5*time.Minute + time.Second)
			b.twice("code", code)
			w.unguessed(t, "late")
		}},
		"code of another flow": {"code.wrong", "验证码不对", func(t *testing.T, w *demoWorld, b *browser) {
			foreign := b.coded("other")
			time.Sleep(time.Minute)
			other := w.from(t, "203.0.113.99")
			if code := other.coded("other"); code == foreign {
				t.Skip("the same code by chance")
			}
			b.URL, b.Doc, b.Status = other.URL, other.Doc, other.Status
			b.client = other.client
			b.twice("code", foreign)
		}},
		"code spent": {"code.spent", "不能再用", func(t *testing.T, w *demoWorld, b *browser) {
			code := b.coded("spent")
			for i := range 5 {
				b.submit("code", wrongOf(code, i)).see(422, "")
			}
			b.submit("code", code)
		}},
		"assertion late": {"key.stale", "等得太久", func(t *testing.T, w *demoWorld, b *browser) {
			key := w.keyOf(t, "stale", "203.0.113.98")
			answer := must2(key.Get(b.open("/sign-in").options("")))(t)
			time.Sleep(6 * time.Minute)
			step := b.URL.Path
			b.post(step, url.Values{"assertion": {answer}}).see(422, "").post(step, url.Values{"assertion": {answer}})
		}},
		"new passkey late": {"key.stale", "等得太久", func(t *testing.T, w *demoWorld, b *browser) {
			w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "bind", TOTP: true})
			b.open("/sign-in").signIn("bind").open("/account/enrol?factor=passkey")
			answer := must2(w.internal().Create(b.at("enrol-passkey").options("")))(t)
			time.Sleep(6 * time.Minute)
			step := b.URL.Path
			b.post(step, url.Values{"attestation": {answer}}).see(422, "").post(step, url.Values{"attestation": {answer}})
		}},
		"new passkey malformed": {"key.malformed", "不完整", func(t *testing.T, w *demoWorld, b *browser) {
			w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "junk", TOTP: true})
			b.open("/sign-in").signIn("junk").open("/account/enrol?factor=passkey").at("enrol-passkey")
			step := b.URL.Path
			b.post(step, url.Values{"attestation": {"{}"}}).see(422, "").post(step, url.Values{"attestation": {"{}"}})
		}},
		"undo link used": {"link.spent", "不能用了", func(t *testing.T, w *demoWorld, b *browser) {
			link := w.undoable(t, "used", b)
			b.open(link).see(200, "").submit("token").see(200, "").open(link)
		}},
		"case link used": {"link.spent", "打开它的那个浏览器", func(t *testing.T, w *demoWorld, b *browser) {
			u := w.user(t, "lin.wei")
			token := w.linkTo(t, u, idp.LinkCase, w.approved(t, u).ID)
			w.from(t, "203.0.113.96").open("/recover/case?t="+token).submit("token").see(200, "要等一段时间")
			b.open("/recover/case?t="+token).see(410, "").post("/recover/case", url.Values{"token": {token}})
		}},
		"case link that never was": {"link.expired", "打开它的那个浏览器", func(_ *testing.T, _ *demoWorld, b *browser) { b.open("/recover/case?t=" + idp.NewToken()) }},
		"undo link expired": {"link.expired", "不能用了", func(t *testing.T, w *demoWorld, b *browser) {
			link := w.undoable(t, "old", b)
			time.Sleep(72*time.Hour + time.Second)
			b.open(link)
		}},
		"undo link of another": {"link.foreign", "不能用了", func(t *testing.T, w *demoWorld, b *browser) {
			link := w.undoable(t, "theirs", w.from(t, "203.0.113.97"))
			w.add(t, somebody{Login: "finder"})
			b.open("/sign-in").signIn("finder").open(link)
		}},
		"stop link that never was":  {"link.expired", "不能用了", func(_ *testing.T, _ *demoWorld, b *browser) { b.open("/stop?t=" + idp.NewToken()) }},
		"invitation that never was": {"link.expired", "邀请链接", func(_ *testing.T, _ *demoWorld, b *browser) { b.open("/join?t=" + idp.NewToken()) }},
		"flow expired": {"flow.expired", "已经过期", func(_ *testing.T, _ *demoWorld, b *browser) {
			b.name("lin.wei")
			time.Sleep(15*time.Minute + time.Second)
			b.submit("password", "x")
		}},
		"flow on another device": {"flow.foreign", "另一个浏览器", func(t *testing.T, w *demoWorld, b *browser) {
			b.open(w.from(t, "203.0.113.96").name("lin.wei").URL.Path)
		}},
		"wait": {"wait", "先停一会儿", func(t *testing.T, w *demoWorld, b *browser) {
			for i := range 5 {
				b.try("nobody.there", fmt.Sprint("wrong ", i)).see(422, "")
			}
			b.try("nobody.there", "wrong 5").see(429, "")
		}},
	}
	eachHour(t, func(t *testing.T, w *demoWorld) {
		codes, i := map[string]string{}, 0
		for name, r := range refusals {
			i++
			b := w.from(t, fmt.Sprint("198.51.100.", i))
			r.walk(t, w, b)
			if !strings.Contains(b.text(), r.sentence) {
				t.Errorf("%s: %s", name, b.text())
			}
			codes[name] = b.explain()
		}
		desk := w.from(t, "192.0.2.1").open("/console").signIn("support_agent")
		for name, code := range codes {
			desk.open("/console/explain/"+strings.ReplaceAll(code, "-", "")).see(200, templates.T("zh-CN", "reason."+refusals[name].reason))
		}
		for _, e := range must2(w.Service.Store.Events(t.Context(), storage.EventFilter{Name: "signin.refused"}, 100))(t) {
			if nameless := strings.HasPrefix(e.Reason, "link.") || strings.HasPrefix(e.Reason, "flow."); nameless != (e.Subject == "") && e.Reason != "wait" {
				t.Errorf("%s is about %q", e.Reason, e.Subject)
			}
		}
	})
}

// coded leads somebody whose second step is a code to his phone there, and returns the code.
func (b *browser) coded(login string) string {
	b.t.Helper()
	phone := fmt.Sprintf("+8613911%06d", len(login)*1000+int(login[0]))
	if _, ok := b.world.Users[login]; !ok {
		b.world.add(b.t, somebody{User: idp.User{Role: idp.RoleOwner, GraceFrom: time.Now().AddDate(0, 0, -8)}, Login: login, Phone: phone})
	}
	b.try(login, storyPassword).at("second").submit("resend", "1").at("second")
	return b.world.sent(b.t, phone)
}

// wrongOf is a code that is not the one.
func wrongOf(code string, n int) string {
	digit := (int(code[5]-'0') + 1 + n) % 10
	return code[:5] + fmt.Sprint(digit)
}

// unguessed fails when a guess at a code of a person was counted.
func (w *demoWorld) unguessed(t *testing.T, login string) {
	t.Helper()
	b := policy.Default().Throttle.CodeStranger
	if n := w.left(t, "code", []byte(w.user(t, login).ID), b); n != b.Burst {
		t.Errorf("%d tries left, want %d", n, b.Burst)
	}
}

// keyOf binds a passkey of somebody.
func (w *demoWorld) keyOf(t *testing.T, login, address string) *passkeytest.Authenticator {
	t.Helper()
	w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true})
	a := w.internal()
	w.from(t, address).open("/sign-in").signIn(login).open("/account/enrol?factor=passkey").bind(a, "")
	return a
}

// undoable changes the phone of somebody who is signed in in a browser, and returns the
// link that takes it back.
func (w *demoWorld) undoable(t *testing.T, login string, b *browser) string {
	t.Helper()
	w.add(t, somebody{Login: login, TOTP: true, Phone: fmt.Sprintf("+861392200%04d", len(login)*100+int(login[0])), Mail: login + "@example.com"})
	phone := w.contact(t, login, idp.IdentifierPhone)
	b.open("/sign-in").signIn(login).open("/account/contact/remove?id="+phone.ID).see(200, "").submit("id").see(200, "")
	link, _ := w.linkOf(t, login, "channel.removed", undoLink)
	return link
}

// What strangers bring about fills no log: a network has so many codes, and no page says
// less for it. Who is known has his own.
func TestExplainCodesAreBounded(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b, most := w.from(t, "203.0.113.1"), policy.Default().Throttle.Explain.Burst
		known := w.from(t, "203.0.113.1")
		known.open("/sign-in").signIn("cashier").signOut()
		for i := range most + 5 {
			b.open("/stop?t=x").see(410, "不能用了")
			if has := explainCode.MatchString(b.text()); has != (i < most) {
				t.Errorf("page %d has a code: %v", i, has)
			}
		}
		b.open("/flows/x/second").see(410, "重新登录")
		if n := len(must2(w.Service.Store.Events(t.Context(), storage.EventFilter{Name: "signin.refused"}, 100))(t)); n != most {
			t.Errorf("%d events, want %d", n, most)
		}
		w.from(t, "203.0.113.2").open("/stop?t=x").explain()
		time.Sleep(policy.Default().Throttle.Explain.Refill)
		b.open("/stop?t=x").explain()
	})
}

// A code that came too late is answered alike whether somebody has the name or not.
func TestLateCodesTellNoName(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "some.body", Phone: "+8613900000081"})
		said := map[string]string{}
		for i, name := range []string{"some.body", "no.body.there"} {
			b := w.from(t, fmt.Sprint("203.0.113.", i))
			b.try(name, "wrong").see(422, "").submit("way", "introduce:phone").at("introduce").submit("resend", "1").at("introduce")
			time.Sleep(5*time.Minute + time.Second)
			b.submit("code", "123456").see(422, "过期")
			said[name] = strings.ReplaceAll(explainCode.ReplaceAllString(b.text(), ""), name, "")
			b.explain()
		}
		if said["some.body"] != said["no.body.there"] {
			t.Errorf("%q and %q", said["some.body"], said["no.body.there"])
		}
	})
}

// A slip of the pen uses up neither the work that was done for a guess nor the time that
// was waited for it.
func TestTypingErrorsCostNoWork(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "slip.owner", TOTP: true})
		codes := w.addCodes(t, u, 5)
		for i := range 5 {
			w.from(t, fmt.Sprint("203.0.113.", i)).try("slip.owner", fmt.Sprint("wrong ", i)).see(422, "不对")
		}
		b := w.from(t, "203.0.113.50").name("slip.owner")
		challenge, number := b.work()
		b.post(b.URL.Path, url.Values{"challenge": {challenge}, "work": {number}, "password": {""}}).see(422, "")
		b.post(b.URL.Path, url.Values{"challenge": {challenge}, "work": {number}, "password": {storyPassword}}).at("second")

		b.submit("way", "backup")
		challenge, number = b.work()
		if challenge == "" {
			t.Fatal("nothing is asked")
		}
		typo := []byte(codes[0])
		typo[2] = map[bool]byte{true: '3', false: '2'}[typo[2] == '2']
		b.post(b.URL.Path, url.Values{"challenge": {challenge}, "work": {number}, "code": {string(typo)}}).see(422, "抄错了")
		b.post(b.URL.Path, url.Values{"challenge": {challenge}, "work": {number}, "code": {codes[0]}}).at("choose-factor")

		// Without script: told at once, and the wait goes to the right code.
		n := w.from(t, "203.0.113.51").name("slip.owner")
		page := n.URL.Path
		n.post(page, url.Values{"password": {""}}).see(422, "")
		n.post(page, url.Values{"password": {storyPassword}}).see(429, "")
		time.Sleep(20 * time.Second)
		n.post(page, url.Values{"password": {""}}).see(422, "")
		n.post(page, url.Values{"password": {storyPassword}}).at("second")
	})
}

// The freeze takes the trust from every browser, also from the one that asked for it and
// stays known.
func TestFreezeEndsTrust(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "trust.cold", Phone: "+8613900000082", TOTP: true})
		time.Sleep(80 * time.Hour) // older than the freeze by three days
		b := w.from(t, "203.0.113.60")
		b.try("trust.cold", storyPassword).at("second").submit("code", w.code(t, "trust.cold"), "trust", "1").at("/account").signOut()
		b.try("trust.cold", storyPassword).at("/account").post("/account/freeze", nil).see(200, "冻结了")
		time.Sleep(time.Minute)
		b.post("/account/unfreeze", nil).at("password").submit("password", storyPassword).submit("code", w.code(t, "trust.cold"))
		if w.user(t, "trust.cold").Frozen {
			t.Fatal("still frozen: ", b.text())
		}
		if known := must2(w.Service.Store.Browsers(t.Context(), w.user(t, "trust.cold").ID))(t); len(known) != 1 {
			t.Errorf("%d known browsers, want the acting one", len(known))
		}
		b.signOut().try("trust.cold", storyPassword).at("second")
	})
}

// The last line of a code's SMS binds it to the host, which has no port there.
func TestCodeIsBoundToTheHost(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		code := w.from(t, "203.0.113.62").coded("bound")
		for _, m := range must2(w.Service.Store.Messages(t.Context(), 10))(t) {
			if m.Template == "code" && !strings.HasSuffix(strings.TrimSpace(m.Body), "\n@localhost #"+code) {
				t.Errorf("%q", m.Body)
			}
		}
	})
}

// A link of another kind, or one whose row is gone, does not say which it was.
func TestLinkOfAnotherKind(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		token := idp.NewToken()
		must(t, w.Service.Store.CreateLink(t.Context(), session.Hash(token), idp.Link{Kind: idp.LinkUndo, UserID: w.user(t, "lin.wei").ID, Object: "none", CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}))
		w.from(t, "203.0.113.61").open("/stop?t="+token).see(410, "不能用了").explain()
		w.from(t, "203.0.113.61").open("/undo?t="+token).see(410, "不能用了").explain()
	})
}
