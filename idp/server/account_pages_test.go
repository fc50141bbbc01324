package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// Every page of one's own account opens in both languages, without a word missing, and
// nobody sees it who is not signed in.
func TestAccountPages(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "page.one", "203.0.113.1")
		// He who signs in from a page comes back to it.
		late := w.from(t, "203.0.113.98")
		time.Sleep(31 * time.Second)
		if late.open("/account/devices?saved=ended").signIn("page.one"); late.URL.Path != "/account/devices" {
			t.Errorf("came back to %s", late.URL)
		}
		w.grant(t, "page.one", w.Clients["merchant_app"].ID, "", "openid", "payments:refund")
		must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: w.user(t, "page.one").ID, Method: idp.MethodPasskey, Label: "工位上的钥匙", Data: []byte("{}"), Lookup: []byte("page")}))
		for _, path := range []string{"/account", "/account/factors", "/account/contacts", "/account/devices", "/account/apps", "/account/activity", "/account/data", "/account/freeze"} {
			for _, lang := range []string{"zh-CN", "en"} {
				b.Lang = lang
				if b.open(path); b.Status != 200 || strings.ContainsAny(b.Body, "⟦⟧") || strings.Contains(b.Body, "%!") || b.URL.Path != path {
					t.Errorf("%s in %s: %d at %s\n%s", path, lang, b.Status, b.URL, b.text())
				}
				if strings.Contains(b.Body, "Mozilla") {
					t.Errorf("%s shows a raw user agent", path)
				}
			}
			w.from(t, "203.0.113.99").open(path).see(200, "登录名")
		}
		b.Lang = "zh-CN"
		b.open("/account/factors").see(200, "工位上的钥匙")
		b.open("/account?saved=<script>").see(200, "某人")
	})
}

// The overview says in plain words what is done and what is not.
func TestSafetyCheck(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "bare"}, somebody{Login: "well", TOTP: true, Phone: "+8613900000041", Mail: "well@example.com"})
		bare, well := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")
		bare.open("/sign-in").signIn("bare").see(200, "3 项里做好了 0 项")
		well.open("/sign-in").signIn("well").see(200, "3 项里做好了 2 项")
		must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: w.user(t, "well").ID, Method: idp.MethodPasskey, Label: "钥匙", Data: []byte("{}"), Lookup: []byte("well")}))
		if well.open("/account"); strings.Contains(well.text(), "做好了 2 项") {
			t.Error("two second steps are one way in")
		}
		must(t, w.Service.Store.ProveIdentifier(t.Context(), w.contact(t, "well", idp.IdentifierPhone).ID, time.Now().Add(-61*24*time.Hour)))
		well.open("/account").see(200, "很久没有确认")
	})
}

// Another's ids name nothing, whatever is done with them, and nothing of his changes.
func TestNobodyElses(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		victim, thief := w.settled(t, "his.one", "203.0.113.1"), w.settled(t, "his.two", "203.0.113.2")
		thief.open("/account/factors/remove?credential="+w.holds(t, "his.two", idp.MethodTOTP)).prove("his.two").see(200, "删除") // all he may prove, he has
		u := w.user(t, "his.one")
		browsers, err := w.Service.Store.Browsers(t.Context(), u.ID)
		if err != nil || len(browsers) != 1 {
			t.Fatal(browsers, err)
		}
		grant, event := w.grant(t, "his.one", w.Clients["merchant_app"].ID, ""), w.events(t, "his.one", "signin.succeeded")[0]
		must(t, w.Service.Store.Consent(t.Context(), u.ID, "somebodys", []string{"openid"}, time.Now()))
		change := idp.Change{UserID: u.ID, OldID: w.contact(t, "his.one", idp.IdentifierPhone).ID, At: time.Now(), Until: time.Now().Add(time.Hour)}
		must(t, w.Service.Store.CreateChange(t.Context(), &change))
		for path, field := range map[string][2]string{
			"/account/factors/rename":   {"credential", w.holds(t, "his.one", idp.MethodTOTP)},
			"/account/factors/remove":   {"credential", w.holds(t, "his.one", idp.MethodTOTP)},
			"/account/contact/remove":   {"id", w.contact(t, "his.one", idp.IdentifierPhone).ID},
			"/account/contact/undo":     {"change", change.ID},
			"/account/browser/revoke":   {"browser", browsers[0].ID},
			"/account/browser/distrust": {"browser", browsers[0].ID},
			"/account/app/withdraw":     {"client", "somebodys"},
			"/account/approval/end":     {"grant", grant},
			"/account/activity":         {"event", event.ID},
			"/account/freeze":           {"event", event.ID},
		} {
			for _, id := range []string{field[1], "", "x", strings.Repeat("a", 3000), "'; DROP TABLE users"} {
				if path == "/account/freeze" && id == "" {
					continue // freezes himself
				}
				thief.refused(404, path, field[0], id, "label", "x", "answer", "me")
			}
		}
		for _, path := range []string{"/account/factors/remove?credential=" + w.holds(t, "his.one", idp.MethodTOTP), "/account/contact/remove?id=" + w.contact(t, "his.one", idp.IdentifierPhone).ID,
			"/account/contact/change?id=" + w.contact(t, "his.one", idp.IdentifierPhone).ID, "/account/freeze?event=" + event.ID, "/account/enrol?factor=password", "/account/contact/new?kind=username"} {
			if thief.open(path); thief.Status != 404 {
				t.Errorf("%s: %d", path, thief.Status)
			}
		}
		if got := w.user(t, "his.one"); got.Frozen || w.user(t, "his.two").Frozen || !w.live(t, grant) || w.creds(t, "his.one") != 2 {
			t.Error("something of his changed")
		}
		victim.open("/account/factors").see(200, "验证器")
		if said, err := w.Service.Store.Answers(t.Context(), u.ID, []string{event.ID}); err != nil || len(said) != 0 {
			t.Errorf("answered for him: %v %v", said, err)
		}
	})
}

// A second factor goes after two fresh proofs, and with it every session that it let in
// elsewhere and all trust; the last one stays where policy demands one.
func TestRemoveFactor(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "must.have", TOTP: true, Phone: "+8613900000051", Mail: "must.have@example.com"})
		u := w.user(t, "must.have")
		elsewhere := w.from(t, "203.0.113.9")
		elsewhere.open("/sign-in").signIn("must.have").see(200, "某人")
		b := w.settled(t, "must.have", "203.0.113.1")
		app := w.holds(t, "must.have", idp.MethodTOTP)
		b.open("/account/factors/remove?credential="+app).see(403, "先添加另一种")
		b.open("/account/factors").see(200, "不能删")
		key := idp.Credential{UserID: u.ID, Method: idp.MethodPasskey, Label: "店里的钥匙", Data: []byte("{}"), Lookup: []byte("remove")}
		must(t, w.Service.Store.AddCredential(t.Context(), &key))
		must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: u.ID, Method: idp.MethodBackup, Data: []byte("{}")}))
		for _, browser := range must2(w.Service.Store.Browsers(t.Context(), u.ID))(t) {
			_, err := w.Service.Store.TrustBrowser(t.Context(), u.ID, browser.ID, time.Now().Add(time.Hour))
			must(t, err)
		}
		b.refused(303, "/account/factors/remove", "credential", key.ID) // to the step-up
		if w.creds(t, "must.have") != 4 {
			t.Fatal("removed without fresh proofs")
		}
		if len(w.sessions(t, "must.have")) != 2 {
			t.Fatal("two sessions to begin with")
		}
		// He proves himself by the app and removes it: where it let in, it is out.
		b.open("/account/factors/remove?credential="+app).see(200, "密码").submit("password", storyPassword)
		if way := b.offered("totp"); way {
			b.submit("way", "totp")
		}
		b.submit("code", w.code(t, "must.have")).see(200, "删除“").submit("credential").see(200, "已经删除")
		if w.holds(t, "must.have", idp.MethodTOTP) != "" || w.holds(t, "must.have", idp.MethodPasskey) == "" || w.holds(t, "must.have", idp.MethodBackup) == "" {
			t.Error("the wrong ones are left")
		}
		if live := w.sessions(t, "must.have"); len(live) != 1 {
			t.Errorf("%d sessions, want his own", len(live))
		}
		elsewhere.open("/account").see(200, "登录名")
		for _, browser := range must2(w.Service.Store.Browsers(t.Context(), u.ID))(t) {
			if browser.Trusted(time.Now()) {
				t.Error("a browser is still trusted")
			}
		}
		if len(w.events(t, "must.have", "factor.removed")) != 1 || len(w.notices(t, "must.have", "factor.removed")) != 2 {
			t.Errorf("%d events, %d notices", len(w.events(t, "must.have", "factor.removed")), len(w.notices(t, "must.have", "factor.removed")))
		}
		b.refused(404, "/account/factors/remove", "credential", app) // twice
		b.refused(403, "/account/factors/remove", "credential", key.ID)
	})
}

// offered says whether the page has a button of a way.
func (b *browser) offered(way string) bool {
	for _, btn := range all(b.Doc, "button") {
		if attr(btn, "name") == "way" && attr(btn, "value") == way {
			return true
		}
	}
	return false
}

// must2 unwraps a value that comes with an error.
func must2[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// Of whom policy demands no second factor, he may give up the last one; the codes that
// stood in for it go with it.
func TestRemoveLastFactor(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "may.not", "203.0.113.1")
		must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: w.user(t, "may.not").ID, Method: idp.MethodBackup, Data: []byte("{}")}))
		b.open("/account/factors/remove?credential="+w.holds(t, "may.not", idp.MethodTOTP)).prove("may.not").submit("credential").see(200, "已经删除")
		if w.creds(t, "may.not") != 1 {
			t.Error("something is left beside the password")
		}
		b.signOut().submit2("may.not", storyPassword).see(200, "某人")
	})
}

func TestRenameFactor(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "name.it", "203.0.113.1")
		id := w.holds(t, "name.it", idp.MethodTOTP)
		for _, bad := range []string{"", "   ", strings.Repeat("长", 61), "a\x00b", "\xff"} {
			b.refused(422, "/account/factors/rename", "credential", id, "label", bad)
		}
		b.refused(404, "/account/factors/rename", "credential", w.holds(t, "name.it", idp.MethodPassword), "label", "x")
		b.post("/account/factors/rename", url.Values{"credential": {id}, "label": {" 林薇的 <b>手机</b> "}}).see(200, "林薇的 <b>手机</b>")
		if len(w.events(t, "name.it", "factor.renamed")) != 1 {
			t.Error("no event")
		}
	})
}

// Known browsers are forgotten and distrusted one by one; what was begun on a forgotten
// one ends.
func TestBrowsers(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		shop := w.settled(t, "two.places", "203.0.113.1")
		home := w.settled(t, "two.places", "203.0.113.2")
		u := w.user(t, "two.places")
		known := must2(w.Service.Store.Browsers(t.Context(), u.ID))(t)
		if len(known) != 2 {
			t.Fatalf("%d known browsers", len(known))
		}
		_, err := w.Service.Store.TrustBrowser(t.Context(), u.ID, known[0].ID, time.Now().Add(24*time.Hour))
		must(t, err)
		home.open("/account/devices").see(200, "不再信任").post("/account/browser/distrust", url.Values{"browser": {known[0].ID}}).see(200, "不再信任那个浏览器")
		if b := must2(w.Service.Store.Browser(t.Context(), known[0].ID))(t); b.Trusted(time.Now()) {
			t.Error("still trusted")
		}
		home.post("/account/browser/revoke", url.Values{"browser": {known[1].ID}}).see(200, "已经忘掉")
		shop.open("/account").see(200, "登录名")
		home.refused(404, "/account/browser/revoke", "browser", known[1].ID)
		home.post("/account/browser/revoke", url.Values{"browser": {known[0].ID}}).see(200, "已经忘掉") // this one: he stays
		if n := len(w.events(t, "two.places", "browser.revoked")); n != 3 {
			t.Errorf("%d events", n)
		}
		time.Sleep(31 * time.Second)
		shop.open("/sign-in").signIn("two.places").see(200, "某人")
		if n := len(w.events(t, "two.places", "signin.newbrowser")); n != 3 {
			t.Errorf("the forgotten browser is no stranger: %d", n)
		}
	})
}

// An application loses what it was allowed, a terminal its approval.
func TestApps(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "apps.one", "203.0.113.1")
		app := w.Clients["merchant_app"].ID
		terminal, err := w.Service.Store.TerminalBySerial(t.Context(), w.Terminals["smart"].Serial)
		if err != nil {
			all, lerr := w.Service.Store.Terminals(t.Context(), "", w.merchant(t).ID, 1)
			if lerr != nil || len(all) == 0 {
				t.Fatal(err, lerr)
			}
			terminal = all[0]
		}
		one, two := w.grant(t, "apps.one", app, "", "openid"), w.grant(t, "apps.one", app, "", "openid", "payments:refund")
		till := w.grant(t, "apps.one", app, terminal.ID, "payments:read")
		must(t, w.Service.Store.Consent(t.Context(), w.user(t, "apps.one").ID, app, []string{"openid"}, time.Now()))
		b.open("/account/apps").see(200, terminal.SerialTail()).see(200, "能动钱")
		b.refused(404, "/account/approval/end", "grant", one)
		b.post("/account/app/withdraw", url.Values{"client": {app}}).see(200, "已经收回")
		if w.live(t, one) || w.live(t, two) || !w.live(t, till) {
			t.Error("the wrong grants ended")
		}
		if asked, err := w.Service.Store.Consented(t.Context(), w.user(t, "apps.one").ID, app); err != nil || len(asked) != 0 {
			t.Errorf("the consent stands: %v %v", asked, err)
		}
		b.refused(404, "/account/app/withdraw", "client", app)
		b.post("/account/approval/end", url.Values{"grant": {till}}).see(200, "已经退出")
		if w.live(t, till) || len(w.events(t, "apps.one", "grant.revoked")) != 3 {
			t.Errorf("the terminal, or %d events", len(w.events(t, "apps.one", "grant.revoked")))
		}
	})
}

// What happened is listed page by page; a person says of his own events whether it was
// he, once, and is not asked of what staff did.
func TestActivity(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "acts.one", "203.0.113.1")
		u, store := w.user(t, "acts.one"), w.Service.Store
		for i := range 45 {
			time.Sleep(time.Millisecond)
			must(t, store.Append(t.Context(), idp.Event{Name: "device.approved", Subject: u.ID, Actor: u.ID, Network: "203.0.113.0/24", Explain: fmt.Sprint(i)}))
			must(t, store.Append(t.Context(), idp.Event{Name: "device.requested", Subject: u.ID})) // not his to see
		}
		must(t, store.Append(t.Context(), idp.Event{Name: "factor.removed", Subject: u.ID, Actor: "somebody", Network: "198.51.100.0/24"}))
		seen, path := 0, "/account/activity"
		for path != "" {
			b.open(path).see(200, "账户上发生的每件事")
			if strings.Contains(b.text(), "198.51.100") || strings.Contains(b.text(), "终端请求登录") {
				t.Error("shows what is not his")
			}
			path = ""
			for _, li := range all(b.Doc, "li") {
				for _, in := range all(li, "b") {
					if in.FirstChild != nil && in.FirstChild.Data == "批准了一台终端" {
						seen++
					}
				}
			}
			for _, a := range all(b.Doc, "a") {
				if attr(a, "rel") == "next" {
					path = attr(a, "href")
				}
			}
		}
		if seen != 45 {
			t.Errorf("%d events on all pages, want 45", seen)
		}
		event := w.events(t, "acts.one", "signin.succeeded")[0]
		b.refused(422, "/account/activity", "event", event.ID, "answer", "perhaps")
		b.post("/account/activity", url.Values{"event": {event.ID}, "answer": {"me"}}).see(200, "记下了")
		if res := b.once("POST", "/account/activity", url.Values{"event": {event.ID}, "answer": {"not_me"}}); res.Header.Get("Location") != "/account/freeze?event="+event.ID {
			t.Errorf("not me leads to %q", res.Header.Get("Location"))
		}
		if said := must2(store.Answers(t.Context(), u.ID, []string{event.ID}))(t); said[event.ID] != "me" {
			t.Errorf("said %v", said)
		}
		if w.user(t, "acts.one").Frozen {
			t.Error("frozen before he said so")
		}
		w.add(t, somebody{Login: "acts.two"})
		late := w.user(t, "acts.two").ID
		for _, days := range []int{89, 91} {
			must(t, store.Append(t.Context(), idp.Event{Name: "factor.enrolled", Subject: late, Actor: late, At: time.Now().AddDate(0, 0, -days)}))
		}
		two := w.from(t, "203.0.113.2")
		two.open("/sign-in").signIn("acts.two").open("/account/activity")
		asked, rows := strings.Count(two.Body, `value="not_me"`), strings.Count(two.Body, "绑定了验证方式")
		if asked == 0 || strings.Count(two.text(), "不是我") == 0 || rows == 0 {
			t.Errorf("asked %d times, %d rows: %s", asked, rows, two.text())
		}
		var last string
		for _, li := range all(two.Doc, "li") {
			if len(all(li, "time")) == 1 {
				last = fmt.Sprint(len(all(li, "form")))
			}
		}
		if last != "0" {
			t.Error("asked of what is long ago")
		}
	})
}

// The file holds what is stored of a person, every event he sees, no secret of his, and
// nothing of anybody else.
func TestExport(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "takes.it", "203.0.113.1")
		u, store := w.user(t, "takes.it"), w.Service.Store
		for range 1100 {
			must(t, store.Append(t.Context(), idp.Event{Name: "device.denied", Subject: u.ID, Actor: u.ID}))
		}
		must(t, store.Append(t.Context(), idp.Event{Name: "account.viewed", Subject: u.ID, Actor: "an-agent", Network: "198.51.100.0/24", Reason: "a word of staff"}))
		w.grant(t, "takes.it", "some-app", "", "openid")
		b.open("/account/data").see(200, "JSON").post("/account/data", nil).see(200, "动态码") // two factors, one fresh
		if strings.Contains(b.Header.Get("Content-Type"), "json") {
			t.Fatal("given without a fresh proof")
		}
		b.submit("code", w.code(t, "takes.it")).see(200, "JSON").post("/account/data", nil)
		if b.Status != 200 || !strings.HasPrefix(b.Header.Get("Content-Type"), "application/json") || !strings.HasPrefix(b.Header.Get("Content-Disposition"), "attachment") || b.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v", b.Status, b.Header)
		}
		var got struct {
			Profile                                                        struct{ Sub, Name string }
			Identifiers, Credentials, Sessions, Browsers, Grants, Messages []map[string]any
			Events                                                         []struct{ Name string }
		}
		if err := json.Unmarshal([]byte(b.Body), &got); err != nil {
			t.Fatal(err)
		}
		denied := slices.DeleteFunc(slices.Clone(got.Events), func(e struct{ Name string }) bool { return e.Name != "device.denied" })
		if got.Profile.Sub != u.ID || len(got.Identifiers) != 3 || len(got.Credentials) != 2 || len(got.Sessions) != 1 || len(got.Browsers) != 1 || len(got.Grants) != 1 || len(denied) != 1100 {
			t.Errorf("holds %+v, %d denied", got.Profile, len(denied))
		}
		creds := must2(store.Credentials(t.Context(), u.ID))(t)
		secrets := []string{w.Users["takes.it"].TOTP, storyPassword, b.cookie("hufu-s").Value, b.cookie("hufu-kb").Value, "argon2", "an-agent", "198.51.100", "a word of staff"}
		for _, c := range creds {
			secrets = append(secrets, string(c.Data))
		}
		for _, m := range w.notices(t, "takes.it", "newbrowser") {
			secrets = append(secrets, m.Body)
		}
		for _, s := range secrets {
			if s != "" && strings.Contains(b.Body, s) {
				t.Errorf("holds %.20q", s)
			}
		}
		for _, other := range must2(store.Users(t.Context(), storage.UserFilter{}, 50))(t) {
			if other.ID != u.ID && strings.Contains(b.Body, other.ID) {
				t.Error("holds another's id")
			}
		}
		if len(w.events(t, "takes.it", "account.exported")) != 1 {
			t.Error("no event")
		}
	})
}
