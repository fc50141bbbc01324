package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/session"
)

// "This was not me": everything else ends, the acting session stays, the case keeps what
// was there, and until a strong return nothing that proves the person can be changed.
func TestFreezeFromPage(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "cold.one", "203.0.113.1")
		thief := w.settled(t, "cold.one", "198.51.100.7")
		u, store := w.user(t, "cold.one"), w.Service.Store
		app := w.grant(t, "cold.one", w.Clients["merchant_app"].ID, "", "payments:refund", "offline_access")
		event := w.events(t, "cold.one", "signin.newbrowser")[0]
		b.post("/account/activity", url.Values{"event": {event.ID}, "answer": {"not_me"}}).see(200, "冻结").submit("event").see(200, "冻结了")
		cases := w.cases(t, "cold.one")
		if len(cases) != 1 {
			t.Fatalf("%d cases", len(cases))
		}
		c := cases[0]
		b.see(200, c.Number)
		if got := w.user(t, "cold.one"); !got.Frozen || got.FrozenAt.IsZero() {
			t.Error("not frozen")
		}
		if live := w.sessions(t, "cold.one"); len(live) != 1 || w.live(t, app) {
			t.Errorf("%d sessions, or the grant lives", len(live))
		}
		thief.open("/account").see(200, "登录名")
		if known := must2(store.Browsers(t.Context(), u.ID))(t); len(known) != 1 {
			t.Errorf("%d known browsers, want the acting one", len(known))
		}
		if c.Kind != "notme" || c.OpenedBy != u.ID || c.Data["event"] != event.ID || !c.DueAt.After(c.OpenedAt) {
			t.Errorf("case %+v", c)
		}
		evidence, _ := c.Data["sessions"].([]any)
		networks, _ := c.Data["networks"].([]any)
		browsers, _ := c.Data["browsers"].([]any)
		if len(evidence) != 2 || len(networks) != 2 || len(browsers) != 2 {
			t.Errorf("evidence %v", c.Data)
		}
		for _, name := range []string{"account.frozen", "account.notme", "case.opened"} {
			if len(w.events(t, "cold.one", name)) != 1 {
				t.Errorf("%d events %s", len(w.events(t, "cold.one", name)), name)
			}
		}
		if n := len(w.notices(t, "cold.one", "frozen")); n != 2 {
			t.Errorf("%d notices, want phone and mail", n)
		}
		// Reading works, stopping works; changing has to wait.
		for _, path := range []string{"/account", "/account/factors", "/account/contacts", "/account/devices", "/account/apps", "/account/activity", "/account/data"} {
			b.open(path).see(200, "")
		}
		b.open("/account").see(200, c.Number)
		mail := w.contact(t, "cold.one", idp.IdentifierEmail).ID
		for _, path := range []string{"/account/enrol", "/account/password", "/account/codes", "/account/username", "/account/contact/new?kind=phone", "/account/contact/change?id=" + mail,
			"/account/contact/remove?id=" + mail, "/account/factors/remove?credential=" + w.holds(t, "cold.one", idp.MethodTOTP)} {
			b.open(path).see(403, "冻结")
		}
		b.refused(403, "/account/factors/remove", "credential", w.holds(t, "cold.one", idp.MethodTOTP))
		b.refused(403, "/account/factors/rename", "credential", w.holds(t, "cold.one", idp.MethodTOTP), "label", "x")
		b.refused(403, "/account/contact/remove", "id", mail)
		b.refused(403, "/account/contact/undo", "change", "x")
		// Twice is the same freeze and the same case.
		b.post("/account/freeze", nil).see(200, "已经是冻结的").see(200, c.Number)
		if len(w.cases(t, "cold.one")) != 1 || len(w.events(t, "cold.one", "account.frozen")) != 1 {
			t.Error("frozen twice")
		}
		// A redemption gives no money scope meanwhile.
		p := idp.Parties{Grant: idp.Grant{Scopes: []string{"payments:read", "payments:refund"}, ExpiresAt: time.Now().Add(time.Hour)}, User: w.user(t, "cold.one"), Client: idp.Client{}}
		p.User.Role = idp.RoleOwner
		if scopes, why := idp.Redeemable(p, time.Now()); why != "" || len(scopes) != 1 {
			t.Errorf("%v %s", scopes, why)
		}
		b.open("/account/unfreeze").see(200, c.Number)
	})
}

// The link of a notice stops everything without a sign-in, only by its button, as often
// as it is pressed, and no more than twice a week.
func TestFreezeByLink(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "cold.two", "203.0.113.1")
		w.settled(t, "cold.two", "203.0.113.2") // a new browser: a notice
		link, token := w.linkOf(t, "cold.two", "newbrowser", stopLink)
		stranger := w.from(t, "192.0.2.7")
		for range 3 { // a scanner of mail
			if stranger.open(link).see(200, "冻结"); strings.Contains(stranger.text(), "某人") || strings.Contains(stranger.text(), "cold.two") {
				t.Error("the page of a link tells whose it is")
			}
			stranger.once("HEAD", link, nil)
		}
		if w.user(t, "cold.two").Frozen {
			t.Fatal("a GET freezes")
		}
		if stranger.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("Referrer-Policy %q", stranger.Header.Get("Referrer-Policy"))
		}
		stranger.submit("token")
		if strings.Contains(stranger.URL.String(), token) {
			t.Error("the token stays in the address")
		}
		stranger.see(200, "冻结了").see(200, w.cases(t, "cold.two")[0].Number)
		if !w.user(t, "cold.two").Frozen || len(w.sessions(t, "cold.two")) != 0 || stranger.cookie("hufu-s") != nil {
			t.Error("not stopped, or somebody was signed in")
		}
		b.open("/account").see(200, "登录名")
		if ev := w.events(t, "cold.two", "account.frozen"); len(ev) != 1 || ev[0].Actor != "" {
			t.Errorf("events %+v", ev)
		}
		stranger.open(link).submit("token").see(200, "已经是冻结的") // the same again
		if len(w.cases(t, "cold.two")) != 1 {
			t.Error("a second case")
		}
		again := func() {
			_, err := w.Service.Store.UnfreezeUser(t.Context(), w.user(t, "cold.two").ID) // by staff, not by him
			must(t, err)
			for _, c := range w.cases(t, "cold.two") {
				_, err := w.Service.Store.CloseCase(t.Context(), c.ID, time.Now())
				must(t, err)
			}
			time.Sleep(time.Second)
			stranger.post("/stop", url.Values{"token": {token}})
		}
		if again(); !w.user(t, "cold.two").Frozen {
			t.Error("the second freeze")
		}
		if again(); w.user(t, "cold.two").Frozen {
			t.Error("the third freeze in a week: a stolen mailbox keeps a shop frozen")
		}
		stranger.see(200, "工单开好了")
		cases := len(w.cases(t, "cold.two"))
		if stranger.post("/stop", url.Values{"token": {token}}).see(200, "工单开好了"); len(w.cases(t, "cold.two")) != cases {
			t.Error("a case for every press")
		}
		time.Sleep(7*24*time.Hour + time.Second)
		if again(); !w.user(t, "cold.two").Frozen {
			t.Error("a week later it works again")
		}
		late := idp.NewToken()
		must(t, w.Service.Store.CreateLink(t.Context(), session.Hash(late), idp.Link{Kind: idp.LinkFreeze, UserID: w.user(t, "cold.two").ID, CreatedAt: time.Now(), ExpiresAt: time.Now()}))
		stranger.open("/stop?t="+late).see(410, "不能用了")
		stranger.refused(410, "/stop", "token", late)
	})
}

// Every link of a kind that does nothing is one page.
func TestLinksGone(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.settled(t, "cold.three", "203.0.113.1")
		w.settled(t, "cold.three", "203.0.113.2")
		_, token := w.linkOf(t, "cold.three", "newbrowser", stopLink)
		b := w.from(t, "192.0.2.7")
		page := map[string]string{}
		for _, path := range []string{"/stop", "/stop?t=", "/stop?t=x", "/stop?t=" + idp.NewToken(), "/stop?t=%00%ff", "/undo", "/undo?t=x", "/undo?t=" + token, "/undo?t=" + idp.NewToken(),
			"/recover/case", "/recover/case?t=x", "/recover/case?t=" + token, "/recover/case?t=" + idp.NewToken()} {
			kind, _, _ := strings.Cut(path, "?")
			said := explainCode.ReplaceAllString(b.open(path).see(410, "不能用了").text(), "")
			if page[kind] == "" {
				page[kind] = said
			}
			if said != page[kind] {
				t.Errorf("%s differs", path)
			}
		}
		for _, bad := range []string{"", "x", idp.NewToken(), "\x00\xff", strings.Repeat("a", 5000)} {
			b.refused(410, "/stop", "token", bad)
			b.refused(410, "/undo", "token", bad)
		}
		b.refused(410, "/undo", "token", token) // of another purpose
		if res := b.once("POST", "/stop", url.Values{"token": {token}}, "Sec-Fetch-Site", "cross-site"); res.StatusCode != 403 || w.user(t, "cold.three").Frozen {
			t.Errorf("from another site: %d", res.StatusCode)
		}
	})
}

// Links of notices lead to the configured issuer, whatever host a request names.
func TestLinksKnowNoHost(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "cold.four", "203.0.113.1")
		id := w.contact(t, "cold.four", idp.IdentifierPhone).ID
		b.open("/account/contact/remove?id=" + id).prove("cold.four")
		if res := b.once("POST", "/account/contact/remove", url.Values{"id": {id}}, "Cookie", "hufu-s="+b.cookie("hufu-s").Value, "Host", "evil.example", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example"); res.StatusCode != 303 {
			t.Fatal(res.StatusCode)
		}
		all := w.notices(t, "cold.four", "channel.removed")
		for _, m := range all {
			if strings.Contains(m.Subject+m.Body+m.HTML, "evil.example") || !strings.Contains(m.Body, w.Issuer+"/stop?t=") {
				t.Errorf("%s: %s", m.To, m.Body)
			}
		}
		if link, _ := w.linkOf(t, "cold.four", "channel.removed", undoLink); len(all) != 2 || !strings.HasPrefix(link, "/undo?t=") {
			t.Errorf("%d notices, %s", len(all), link)
		}
	})
}

// A strong return takes what is older than the freeze by three days; else a case.
func TestUnfreezePage(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		old := w.settled(t, "warm.old", "203.0.113.1")
		time.Sleep(73 * time.Hour)
		old.open("/sign-in").signIn("warm.old").see(200, "某人")
		old.open("/account/unfreeze").see(200, "某人") // nothing to lift
		old.post("/account/freeze", nil).open("/account/unfreeze").see(200, "开始证明")
		w.add(t, somebody{Login: "warm.new", TOTP: true, Phone: "+8613900000061"})
		fresh := w.from(t, "203.0.113.2")
		fresh.open("/sign-in").signIn("warm.new").post("/account/freeze", nil).open("/account/unfreeze").see(200, "冻结前不久才加的")
		fresh.post("/account/unfreeze", nil).see(403, "工单")
		if !w.user(t, "warm.new").Frozen {
			t.Error("lifted")
		}
		time.Sleep(31 * time.Second)
		old.post("/account/unfreeze", nil).see(200, "密码").submit("password", storyPassword)
		old.submit("code", w.code(t, "warm.old")).see(200, "解除")
		if w.user(t, "warm.old").Frozen || len(w.events(t, "warm.old", "account.unfrozen")) != 1 {
			t.Error("still frozen")
		}
	})
}
