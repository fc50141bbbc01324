package server_test

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// A shop is the demonstration's merchant with an owner and a manager of a story, both signed
// in with two factors, each in a browser of his own.
type shop struct {
	*demoWorld
	owner, heir *browser
}

func (w *demoWorld) handedShop(t *testing.T) shop {
	t.Helper()
	other := w.merchantOf(t, "822290059430077", "交接小店")
	for _, p := range []somebody{{User: idp.User{Role: idp.RoleOwner, Name: "林旧"}, Login: "old.owner", Phone: "+8613900000101", Mail: "old.owner@example.com", TOTP: true},
		{User: idp.User{Role: idp.RoleManager, Name: "何新"}, Login: "new.owner", Phone: "+8613900000102", Mail: "new.owner@example.com", TOTP: true}} {
		p.MerchantID = other.ID
		w.person(t, p)
	}
	must(t, w.Service.Store.MoveMerchantNo(t.Context(), other.No, w.user(t, "old.owner").ID))
	s := shop{w, w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")}
	s.owner.open("/sign-in").signIn("old.owner").see(200, "林旧")
	s.heir.open("/sign-in").signIn("new.owner").see(200, "何新")
	return s
}

func (w *demoWorld) merchantOf(t *testing.T, no, name string) idp.Merchant {
	t.Helper()
	m := idp.Merchant{No: no, LegalName: name, Tier: idp.TierStandard, Status: idp.MerchantActive}
	must(t, w.Service.Store.CreateMerchant(t.Context(), &m))
	return m
}

// terminalOf adds a terminal in a new store of somebody's shop.
func (w *demoWorld) terminalOf(t *testing.T, login, store, serial string) idp.Terminal {
	t.Helper()
	st := idp.Store{MerchantID: w.user(t, login).MerchantID, Name: store}
	must(t, w.Service.Store.CreateStore(t.Context(), &st))
	d := idp.Terminal{Serial: serial, Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: st.MerchantID, StoreID: st.ID, State: idp.TerminalNew}
	must(t, w.Service.Store.CreateTerminal(t.Context(), &d))
	must2(w.Service.Store.ActivateTerminal(t.Context(), d.ID, time.Now()))(t)
	must(t, w.Service.Store.SeeTerminal(t.Context(), must2(w.Service.Store.Terminal(t.Context(), d.ID))(t), time.Now()))
	return must2(w.Service.Store.Terminal(t.Context(), d.ID))(t)
}

// propose walks the form; the proofs are a minute old.
func (s shop) propose(t *testing.T) string {
	t.Helper()
	s.owner.open("/console/hand-over").see(200, "把店交给谁").submit("name", "", "to", s.user(t, "new.owner").ID, "after", "left").see(200, "等新店主同意")
	return s.owner.URL.Path
}

// running is the hand-over of the shop, nil for none.
func (s shop) running(t *testing.T) *idp.Handover {
	t.Helper()
	return must2(s.Service.Store.RunningHandover(t.Context(), s.user(t, "new.owner").MerchantID))(t)
}

// Two owners in two browsers: from the offer to the end, and what each finds afterwards.
func TestHandoverStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		app := w.grant(t, "old.owner", "merchant-app", "", "openid", "offline_access")
		till := w.terminalOf(t, "old.owner", "东门店", "HFE20990000017")
		w.person(t, somebody{User: idp.User{Role: idp.RoleCashier, Name: "小留", MerchantID: till.MerchantID, StoreID: till.StoreID}, Login: "stays.on"})
		page := s.propose(t)
		s.owner.open("/console/hand-over").see(200, "等新店主同意") // there is one: it leads there
		s.owner.open("/account").see(200, "店铺交接正在进行")
		s.heir.open("/account").see(200, "新店主是您").open("/console").see(200, "店铺交接正在进行")
		if n := len(w.notices(t, "new.owner", "owner.proposed")); n != 2 || len(w.notices(t, "old.owner", "owner.proposed")) != 2 {
			t.Errorf("%d notices of the offer", n)
		}
		for _, m := range w.notices(t, "old.owner", "owner.proposed") {
			named := strings.Contains(m.Body, "何新")
			if m.Channel == idp.ChannelSMS && named || m.Channel == idp.ChannelMail && !named || !strings.Contains(m.Body, "/stop?t=") {
				t.Errorf("%s: %s", m.Channel, m.Body)
			}
		}
		// The proofs grow old: both persons show two factors for it, all fresh.
		time.Sleep(6 * time.Minute)
		s.heir.open(page+"/accept").prove("new.owner").see(200, "接手这家店？").post(page+"/accept", nil).see(200, "自动完成")
		due := s.running(t).DueAt
		for _, login := range []string{"old.owner", "new.owner"} {
			if n := len(w.notices(t, login, "owner.accepted")); n != 2 {
				t.Errorf("%s: %d notices of the word", login, n)
			}
		}
		// One looks in now and then; each reminder goes out once, by day, and nothing before the end.
		for range 28 {
			time.Sleep(48 * time.Minute)
			w.from(t, "192.0.2.9").open("/healthz")
		}
		time.Sleep(time.Until(due) - time.Millisecond)
		w.from(t, "192.0.2.9").open("/healthz")
		if s.running(t) == nil || len(w.notices(t, "old.owner", "owner.soon")) != 2 || !w.live(t, app) {
			t.Fatal("done before its time, or not reminded once on both channels")
		}
		time.Sleep(2 * time.Second)
		w.from(t, "192.0.2.9").open("/healthz")
		if s.running(t) != nil || w.live(t, app) || w.user(t, "old.owner").Status != idp.UserLeft {
			t.Fatal("not done in its time")
		}
		if u := w.user(t, "new.owner"); u.Role != idp.RoleOwner || u.Withholds(time.Now()) != idp.WithholdPayee {
			t.Errorf("%+v", u)
		}
		s.owner.open("/account").see(200, "登录名").signIn("old.owner").see(403, "离")
		heir := w.from(t, "203.0.113.3")
		heir.open("/sign-in").submit("identifier", "822290059430077").submit("password", storyPassword).submit("code", w.code(t, "new.owner")).see(200, "何新") // the number names him now
		heir.open("/console/users").see(200, "林旧").see(200, "小留").open("/console/stores").see(200, "东门店").open("/console/terminals").see(200, "HF-E20")
		heir.open("/console/terminals/"+till.ID).see(200, till.Serial).see(200, "东门店")
		if now := must2(w.Service.Store.Terminal(t.Context(), till.ID))(t); now.MerchantID != till.MerchantID || now.StoreID != till.StoreID || now.State != idp.TerminalActive {
			t.Errorf("%+v, was %+v", now, till)
		}
		for _, login := range []string{"old.owner", "new.owner"} {
			if n := len(w.notices(t, login, "owner.done")); n != 2 {
				t.Errorf("%s: %d notices of the end", login, n)
			}
		}
	})
}

// Either stops it with nothing but a session, a day old and of one factor; so does the
// link of a notice, and a freeze; and after a stop nothing comes of it.
func TestHandoverStoppedStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		stops := map[string]func(page string){
			"the owner's session": func(page string) {
				s.owner.open("/account").see(200, "停止交接").post(page+"/stop", nil).see(200, "停止了")
			},
			"the heir's session": func(page string) {
				s.heir.open(page+"/stop").see(200, "停止交接？").post(page+"/stop", nil).see(200, "停止了")
			},
			"the owner's link": func(string) {
				_, token := w.linkOf(t, "old.owner", "owner.accepted", stopLink)
				w.from(t, "192.0.2.7").post("/stop", url.Values{"token": {token}}).see(200, "冻结了")
			},
			"the heir's freeze": func(string) { s.heir.post("/account/freeze", nil).see(200, "冻结了") },
		}
		for name, stop := range stops {
			s.owner.open("/sign-in").post("/sign-out", nil)
			s.heir.open("/sign-in").post("/sign-out", nil)
			time.Sleep(24 * time.Hour)
			s.owner.open("/sign-in").signIn("old.owner").see(200, "林旧")
			s.heir.open("/sign-in").signIn("new.owner").see(200, "何新")
			page := s.propose(t)
			s.heir.post(page+"/accept", nil).see(200, "自动完成")
			time.Sleep(3 * time.Hour)
			stop(page)
			if s.running(t) != nil {
				t.Fatalf("%s: it goes on", name)
			}
			for _, login := range []string{"old.owner", "new.owner"} {
				if len(w.notices(t, login, "owner.stopped")) == 0 {
					t.Errorf("%s: %s is not told", name, login)
				}
			}
			for _, login := range []string{"old.owner", "new.owner"} { // back for the next
				_, err := w.Service.Store.UnfreezeUser(t.Context(), w.user(t, login).ID)
				must(t, err)
			}
		}
		time.Sleep(100 * time.Hour)
		w.from(t, "192.0.2.9").open("/healthz")
		if w.user(t, "old.owner").Role != idp.RoleOwner || w.user(t, "old.owner").Status != idp.UserActive || w.user(t, "new.owner").Role != idp.RoleManager {
			t.Error("done all the same")
		}
	})
}

// A link that may freeze no more this week still stops the hand-over.
func TestSpentLinkStopsHandover(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		page := s.propose(t)
		_, token := w.linkOf(t, "old.owner", "owner.proposed", stopLink)
		for range 3 {
			_, _, err := w.Service.Store.TakeBucket(t.Context(), "freeze.link", []byte(w.user(t, "old.owner").ID), 2, 7*24*time.Hour, time.Now())
			must(t, err)
		}
		w.from(t, "192.0.2.7").post("/stop", url.Values{"token": {token}}).see(200, "工单开好了")
		if w.user(t, "old.owner").Frozen || s.running(t) != nil {
			t.Error("frozen again, or the hand-over goes on")
		}
		s.heir.post(page+"/accept", nil).see(422, "")
	})
}

// What was due while nobody ran is done when the server starts, once, and on two at once.
func TestHandoverOverADownServer(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := storagetest.DSN(t, d), t.TempDir()
			synctest.Test(t, func(t *testing.T) { handedOverWhileDown(t, quietWorld(t, dsn, dir), dsn) })
		})
	}
}

func handedOverWhileDown(t *testing.T, w *demoWorld, dsn string) {
	s := w.handedShop(t)
	page := s.propose(t)
	s.heir.post(page+"/accept", nil).see(200, "自动完成")
	leaver := w.person(t, somebody{Login: "last.day", Mail: "last.day@example.com"})
	must(t, w.Service.Store.SetLeaving(t.Context(), leaver.ID, time.Now().Add(time.Hour)))
	must(t, w.Service.Close())
	time.Sleep(80 * time.Hour)
	for range 2 {
		cfg := server.Defaults(w.dir, true)
		cfg.Database.DSN = idp.Secret(dsn)
		again, err := server.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
		must(t, err)
		w.Service = again
		if s.running(t) != nil || w.user(t, "new.owner").Role != idp.RoleOwner || w.user(t, "last.day").Status != idp.UserLeft {
			t.Error("not done at the start")
		}
		for name, login := range map[string]string{"owner.done": "old.owner", "account.left": "last.day"} {
			if n := len(w.events(t, login, name)); n != 1 {
				t.Errorf("%d events %s", n, name)
			}
		}
		must(t, again.Close())
	}
}

// A thief at the owner's unlocked browser gives nothing away: the session shows what it
// had, and the form asks for two fresh factors.
func TestHandoverAsksFreshProofs(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		time.Sleep(6 * time.Minute)
		form := url.Values{"to": {w.user(t, "new.owner").ID}, "after": {"left"}}
		if status, to, body := s.owner.ask("POST", "/console/hand-over", form); status != 422 || !strings.Contains(body, "target=\"_blank\"") {
			t.Errorf("%d to %s", status, to)
		}
		if status, to, _ := s.owner.ask("GET", "/console/hand-over", nil); status != 303 || !strings.HasPrefix(to, "/flows/") {
			t.Errorf("%d to %s", status, to)
		}
		if s.running(t) != nil || len(w.events(t, "old.owner", "owner.proposed")) != 0 {
			t.Error("offered with old proofs")
		}
		// Frozen, he offers nothing and accepts nothing.
		s.owner.post("/account/freeze", nil).see(200, "冻结了")
		if status, _, _ := s.owner.ask("POST", "/console/hand-over", form); status != 403 {
			t.Errorf("frozen: %d", status)
		}
	})
}

var shopCode = regexp.MustCompile(`\b\d{4} \d{4}\b`)

// A leaver's refresh token dies at the minute, whether the server took note or not, and so
// do his session and his sign-in.
func TestLeaverStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		till := w.terminalOf(t, "old.owner", "东门店", "HFE20990000018")
		w.Terminals["leaver"] = struct{ Serial string }{till.Serial}
		cashier := w.person(t, somebody{User: idp.User{Role: idp.RoleCashier, Name: "小走", MerchantID: till.MerchantID, StoreID: till.StoreID}, Login: "leaver.one", Phone: "+8613900000111", Mail: "leaver.one@example.com"})
		b := w.from(t, "203.0.113.9")
		b.open("/sign-in").signIn("leaver.one").see(200, "小走")
		china := time.FixedZone("UTC+8", 8*60*60)
		day := time.Now().In(china)
		path := "/console/users/" + cashier.ID + "/leaving"
		s.owner.open(path).see(200, "小走哪天离店").submit("day", day.AddDate(0, 0, -1).Format(time.DateOnly), "reason", "moves to another town").see(422, "选今天")
		s.owner.submit("day", day.Format(time.DateOnly), "reason", "moves to another town").see(200, "最后一天")
		s.owner.open("/console/users").see(200, "最后一天")
		b.open("/account").see(200, "最后一天是")
		end := w.user(t, "leaver.one").LeavesAt
		if !end.Equal(idp.DayEnd(day)) || len(w.notices(t, "leaver.one", "staff.leaving")) != 2 {
			t.Errorf("ends at %v, %d notices", end, len(w.notices(t, "leaver.one", "staff.leaving")))
		}
		app := w.quietApp("merchant_app")
		elsewhere := w.from(t, "203.0.113.10")
		token := app.signIn(t, elsewhere, "leaver.one")
		approved := w.grant(t, "leaver.one", "terminal", till.ID, "terminal")
		time.Sleep(time.Until(end) - 5*time.Minute)
		asked := w.asks(t, "leaver", "BCDFGHJK")
		atTill := w.from(t, "203.0.113.11")
		atTill.open("/device?user_code=BCDFGHJK").signIn("leaver.one").submit("do", "approve", "match", "42").see(200, "已经批准")
		time.Sleep(time.Until(end) - 100*time.Millisecond)
		next := app.refresh(t, elsewhere, token.Refresh)
		if next.Refresh == "" {
			t.Fatalf("just before the end: %+v", next)
		}
		sees := func() int {
			return elsewhere.once("GET", "/userinfo", nil, "Authorization", "Bearer "+next.Access).StatusCode
		}
		known := func() string {
			elsewhere.post("/introspect", url.Values{"client_id": {"settlement"}, "client_secret": {w.Clients["settlement"].Secret}, "token": {next.Access}})
			return elsewhere.Body
		}
		if sees() != 200 || !strings.Contains(known(), `"active":true`) {
			t.Fatalf("just before the end: userinfo %d, %s", sees(), known())
		}
		time.Sleep(100 * time.Millisecond) // within the second in which the keeper has looked
		if late := app.refresh(t, elsewhere, next.Refresh); late.Error != "invalid_grant" || w.user(t, "leaver.one").Status != idp.UserActive {
			t.Errorf("at the end: %+v", late)
		}
		if sees() != 401 || !strings.Contains(known(), `"active":false`) {
			t.Errorf("at the end: userinfo %d, %s", sees(), known())
		}
		device := tokenAnswer{}
		atTill.post("/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"terminal"}, "device_code": {asked.device}})
		if must(t, json.Unmarshal([]byte(atTill.Body), &device)); device.Access != "" || device.Error == "" {
			t.Errorf("a device that he had approved gets %+v", device)
		}
		b.open("/account").see(200, "登录名").signIn("leaver.one").see(403, "")
		time.Sleep(2 * time.Second)
		w.from(t, "192.0.2.9").open("/healthz")
		if u := w.user(t, "leaver.one"); u.Status != idp.UserLeft || len(w.events(t, "leaver.one", "account.left")) != 1 || len(w.notices(t, "leaver.one", "account.left")) != 2 {
			t.Errorf("%+v", u)
		}
		if w.live(t, approved) {
			t.Error("the terminal that he had approved is signed in still")
		}
		for _, g := range must2(w.Service.Store.Grants(t.Context(), cashier.ID))(t) {
			t.Errorf("lives on: %+v", g)
		}
	})
}

// Of himself a manager sets his last day; an owner cannot leave his shop like this.
func TestOwnLastDay(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		day := time.Now().In(time.FixedZone("UTC+8", 8*60*60)).AddDate(0, 0, 10)
		s.heir.open("/account").see(200, "离开这家店").open("/account/leave").see(200, "最后一天")
		s.heir.submit("day", "tomorrow").see(422, "选今天").submit("day", day.AddDate(2, 0, 0).Format(time.DateOnly)).see(422, "选今天")
		s.heir.submit("day", day.Format(time.DateOnly)).see(200, "最后一天定好了")
		if u := w.user(t, "new.owner"); !u.LeavesAt.Equal(idp.DayEnd(day)) {
			t.Errorf("%v", u.LeavesAt)
		}
		s.heir.open("/account/leave").submit("day", day.AddDate(0, 0, 1).Format(time.DateOnly)).see(422, "只能提前")
		s.heir.submit("day", day.AddDate(0, 0, -1).Format(time.DateOnly)).see(200, "最后一天定好了")
		s.owner.open("/account/leave").see(403, "先把店交给别人")
		s.owner.open("/console/hand-over").submit("name", "", "to", w.user(t, "new.owner").ID, "after", "left").see(422, "") // who leaves takes nothing
		time.Sleep(6 * time.Minute)
		if s.heir.open("/account/leave"); !strings.Contains(s.heir.URL.Path, "/flows/") {
			t.Error("asks for nothing fresh")
		}
	})
}

// The button for somebody who lost all: the code is on the page once, in no URL, and not in
// the log; he hears of it, and the owner of what a manager did in his next letter.
func TestShopHelpStory(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		cashier := w.person(t, somebody{User: idp.User{Role: idp.RoleCashier, Name: "小忘", MerchantID: w.user(t, "old.owner").MerchantID}, Login: "forgot.one", Phone: "+8613900000121", Mail: "forgot.one@example.com"})
		path := "/console/users/" + cashier.ID
		s.heir.open(path).see(200, "帮他重新登录").open(path+"/help").see(200, "当面告诉本人").post(path+"/help", url.Values{"reason": {"stands before me"}}).see(200, "小忘的登录码")
		code := strings.ReplaceAll(shopCode.FindString(s.heir.text()), " ", "")
		if len(code) != 8 || strings.Contains(s.heir.URL.String(), code) || s.heir.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("code %q at %s", code, s.heir.URL)
		}
		store := w.Service.Store
		for _, e := range must2(store.Events(t.Context(), storage.EventFilter{Merchant: cashier.MerchantID}, 100))(t) {
			for _, v := range e.Data {
				if v == code {
					t.Error("the code stands in the log")
				}
			}
		}
		if n := len(w.notices(t, "forgot.one", "staff.helped")); n != 2 {
			t.Errorf("%d notices", n)
		}
		if by := must2(store.UseShopCode(t.Context(), cashier.ID, store.ShopCodeMAC(cashier.ID, code), time.Now().Add(15*time.Minute)))(t); by != "" {
			t.Error("works after a quarter of an hour")
		}
		if by := must2(store.UseShopCode(t.Context(), cashier.ID, store.ShopCodeMAC(cashier.ID, code), time.Now()))(t); by == "" {
			t.Error("does not work")
		}
		time.Sleep(7 * time.Hour)
		found := false
		for _, m := range w.notices(t, "old.owner", "digest") {
			found = found || strings.Contains(m.Body, "一位店长给员工发了登录码")
		}
		if !found {
			t.Error("the owner reads nothing of it")
		}
	})
}

// An owner who is said to be gone, and is not, stops the case from its notice: what was asked
// for him is over, though nobody had decided it, and his freeze has a case of its own.
func TestHandoverCaseStopped(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		s := w.handedShop(t)
		shop, heir := w.user(t, "old.owner").MerchantID, w.user(t, "new.owner").ID
		super, admin := w.from(t, "203.0.113.3"), w.from(t, "203.0.113.4")
		super.open("/sign-in").signIn("support_supervisor").withKey()
		admin.open("/sign-in").signIn("policy_admin").withKey()
		page := "/console/merchants/" + shop + "/hand-over"
		super.open(page).submit("typed", "", "reason", "来店 0310-020")
		ask := url.Values{"to": {heir}, "papers": {"gone"}, "reason": {"营业厅看过"}}
		super.open(page).post(page, ask).see(422, templates.T("zh-CN", "handover.few_papers", 2))
		ask.Add("papers", "licence")
		super.open(page).post(page, ask).see(200, "")
		cases := w.cases(t, "old.owner")
		told := w.notices(t, "old.owner", "case.handover")
		if len(cases) != 1 || cases[0].Kind != idp.CaseHandover || len(told) != 2 || !strings.Contains(told[0].Body+told[1].Body, cases[0].Number) {
			t.Fatalf("%+v, told %v", cases, told)
		}
		_, token := w.linkOf(t, "old.owner", "case.handover", stopLink)
		w.from(t, "192.0.2.7").post("/stop", url.Values{"token": {token}}).see(200, "冻结")
		var freeze idp.Case
		for _, c := range w.cases(t, "old.owner") {
			if c.Kind == idp.CaseHandover && (c.State != idp.CaseClosed || c.Outcome != "") {
				t.Errorf("%+v goes on", c)
			}
			if c.Kind == idp.CaseFreeze {
				freeze = c
			}
		}
		if freeze.ID == "" || !w.user(t, "old.owner").Frozen {
			t.Error("the freeze has no case of its own")
		}
		decide := "/console/handover-cases/" + cases[0].ID
		admin.open(decide).submit("typed", "", "reason", "来店 0310-020")
		admin.open(decide).post(decide, url.Values{"reason": {"营业厅核对过"}}).see(422, templates.T("zh-CN", "error.moved"))
		if s.running(t) != nil {
			t.Error("decided after the stop")
		}
	})
}
