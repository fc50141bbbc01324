package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
)

// asked is a request with the code that its device polls with.
type asked struct {
	idp.DeviceRequest
	device string
}

// asks has a terminal of the demonstration ("" for a device that names none) ask to
// be signed in, and returns its user code.
func (w *demoWorld) asks(t *testing.T, kind, code string, scopes ...string) asked {
	t.Helper()
	return w.asksWith(t, kind, code, "", "", scopes...)
}

// asksWith is asks with a key and a version of its software.
func (w *demoWorld) asksWith(t *testing.T, kind, code, key, software string, scopes ...string) asked {
	t.Helper()
	now := time.Now()
	d := asked{device: idp.NewToken()}
	d.DeviceRequest = idp.DeviceRequest{ClientID: "terminal", Scopes: append([]string{"openid", "terminal"}, scopes...), Match: 42, Choices: []int{17, 42, 88}, Network: "203.0.113.0/24", Key: key, Software: software,
		CreatedAt: now, ExpiresAt: now.Add(600 * time.Second)}
	if kind != "" {
		terminal, err := w.Service.Store.TerminalBySerial(t.Context(), w.Terminals[kind].Serial)
		must(t, err)
		d.TerminalID = terminal.ID
	}
	must(t, w.Service.Store.CreateDeviceRequest(t.Context(), &d.DeviceRequest, session.Hash(d.device), code, 5*time.Second))
	return d
}

// state is what the device is told.
func (w *demoWorld) state(t *testing.T, d asked) idp.DeviceState {
	t.Helper()
	p, err := w.Service.Store.PollDevice(t.Context(), session.Hash(d.device), "terminal", d.Key, time.Now(), 0)
	must(t, err)
	return p.Request.State
}

// Staff of the terminal's merchant approve and deny; one wrong number ends the
// request; a code is decided once, while it lives.
func TestDeviceDecisions(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		d := w.asks(t, "esign", "BCDFGHJK")
		b.open("/device?user_code=bcdf-ghjk").see(200, "登录名").signIn("cashier").see(200, "批准这台终端登录") // and comes back
		for _, words := range []string{"林记小馆", "鼓楼店", "HF-E20", w.Terminals["esign"].Serial[9:], "203.0.113.*", "BCDF-GHJK", "17", "42", "88"} {
			b.see(200, words)
		}
		b.submit("do", "approve", "match", "").see(422, "请选终端屏幕上的数字")
		if w.state(t, d) != idp.DevicePending {
			t.Error("decided without a number")
		}
		b.submit("do", "approve", "match", "42").see(200, "已经批准").see(200, "HF-E20")
		if w.state(t, d) != idp.DeviceApproved {
			t.Error("not approved")
		}
		events := w.events(t, "chen.xy", "device.approved")
		if len(events) != 1 || events[0].Terminal != d.TerminalID {
			t.Errorf("events %+v", events)
		}
		b.post("/device", url.Values{"user_code": {"BCDFGHJK"}, "do": {"deny"}}).see(422, "没有这个终端码的请求") // decided

		d = w.asks(t, "smart", "CCDFGHJK")
		b.open("/device").submit("user_code", "ccdf ghjk").submit("do", "deny").see(200, "已经拒绝")
		if w.state(t, d) != idp.DeviceDenied {
			t.Error("not denied")
		}
		for i, wrong := range []string{"17", "0", "-42", "042 ", "４２", "42.0", "x"} {
			code := "DCDFGHJ" + string("BCDFGHJK"[i])
			d = w.asks(t, "traditional", code)
			b.open("/device?user_code="+code).submit("do", "approve", "match", wrong).see(200, "数字不对")
			if w.state(t, d) != idp.DeviceDenied {
				t.Errorf("%q is no wrong number: %s", wrong, w.state(t, d))
			}
			b.post("/device", url.Values{"user_code": {code}, "do": {"approve"}, "match": {"42"}}).see(422, "没有这个终端码的请求")
		}
		if n := len(w.events(t, "chen.xy", "device.wrong_digits")); n != 7 {
			t.Errorf("%d events device.wrong_digits", n)
		}

		time.Sleep(time.Hour) // for the limits of the misses above
		d = w.asks(t, "esign", "FCDFGHJK")
		b.open("/device?user_code=FCDFGHJK").see(200, "批准这台")
		time.Sleep(601 * time.Second)
		b.submit("do", "approve", "match", "42").see(422, "没有这个终端码的请求")
		if w.state(t, d) != idp.DevicePending {
			t.Error("decided after its end")
		}
	})
}

// Who may approve what, and how freshly proved.
func TestDeviceRights(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		// Another merchant's owner: there is no such request for him.
		m := idp.Merchant{No: "822290059430002", LegalName: "别家", Tier: idp.TierMicro, Status: idp.MerchantActive}
		must(t, store.CreateMerchant(ctx, &m))
		other := idp.Store{MerchantID: w.merchant(t).ID, Name: "别的店"}
		must(t, store.CreateStore(ctx, &other))
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner, MerchantID: m.ID}, Login: "foreign.owner", TOTP: true},
			somebody{User: idp.User{Role: idp.RoleCashier, StoreID: other.ID}, Login: "other.store"})
		fresh := idp.Terminal{Serial: "HFE2000000001", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: w.merchant(t).ID, StoreID: w.user(t, "chen.xy").StoreID, State: idp.TerminalNew}
		must(t, store.CreateTerminal(ctx, &fresh))
		w.Terminals["new"] = struct{ Serial string }{fresh.Serial}

		active := w.asks(t, "esign", "QCDFGHJK")
		foreign := w.from(t, "203.0.113.1")
		foreign.open("/device?user_code=QCDFGHJK").signIn("foreign.owner").see(422, "没有这个终端码的请求")
		none := foreign.answer("QCDF-GHJK", "QCDFGHJK")
		if nobody := foreign.open("/device?user_code=XXXXXXXX").see(422, "没有这个").answer("XXXX-XXXX", "XXXXXXXX"); nobody != none {
			t.Errorf("another merchant's request and none differ: %s", differ(none, nobody))
		}
		foreign.post("/device", url.Values{"user_code": {"QCDFGHJK"}, "do": {"approve"}, "match": {"42"}}).see(422, "没有这个终端码的请求")
		foreign.post("/device", url.Values{"user_code": {"QCDFGHJK"}, "do": {"deny"}}).see(422, "没有这个终端码的请求")
		w.from(t, "203.0.113.2").open("/device?user_code=QCDFGHJK").signIn("other.store").see(403, "另一家门店")
		w.from(t, "203.0.113.3").open("/device?user_code=QCDFGHJK").signIn("auditor").see(403, "不属于任何商户")
		if w.state(t, active) != idp.DevicePending {
			t.Fatal("decided by strangers")
		}

		pending := w.asks(t, "new", "CCDFGHJK")
		cashier := w.from(t, "203.0.113.4")
		cashier.open("/device?user_code=CCDFGHJK").signIn("cashier").see(403, "店长或店主")
		cashier.post("/device", url.Values{"user_code": {"CCDFGHJK"}, "do": {"approve"}, "match": {"42"}}).see(403, "店长或店主")
		if w.state(t, pending) != idp.DevicePending {
			t.Fatal("a cashier approved a new terminal")
		}
		manager := w.from(t, "203.0.113.5")
		manager.open("/device?user_code=CCDFGHJK").signIn("manager").see(200, "批准这台")
		time.Sleep(301 * time.Second) // a new terminal wants a code of the last five minutes
		manager.submit("do", "approve", "match", "42").see(200, "动态码")
		if w.state(t, pending) != idp.DevicePending {
			t.Fatal("approved by a stale session")
		}
		manager.submit("code", w.code(t, "manager")).see(200, "批准这台").submit("do", "approve", "match", "42").see(200, "已经批准")
		terminal, err := store.Terminal(ctx, fresh.ID)
		if err != nil || terminal.State != idp.TerminalActive || w.state(t, pending) != idp.DeviceApproved {
			t.Errorf("%+v %v", terminal, err)
		}

		// A cashier at work for more than twelve hours types his password again, once.
		for range 2 {
			time.Sleep(7 * time.Hour)
			cashier.open("/account").see(200, "陈小燕")
		}
		active = w.asks(t, "esign", "DCDFGHJK")
		cashier.open("/device?user_code=DCDFGHJK").see(200, "输入密码").submit("password", w.Users["cashier"].Password).see(200, "批准这台")
		cashier.submit("do", "approve", "match", "42").see(200, "已经批准")
		if w.state(t, active) != idp.DeviceApproved {
			t.Error("not approved")
		}

		// A manager who has no authenticator yet proves his phone beside the password.
		w.add(t, somebody{User: idp.User{Role: idp.RoleManager}, Login: "new.manager", Phone: "+8613900000009"})
		b := w.from(t, "203.0.113.6")
		b.open("/sign-in").signIn("new.manager").see(200, "某人")
		time.Sleep(time.Hour)
		pending = w.asks(t, "", "FCDFGHJK") // names no terminal: as good as new
		b.open("/device?user_code=FCDFGHJK").see(200, "输入密码").submit("password", storyPassword).see(200, "139****0009")
		b.submit("code", w.sent(t, "+8613900000009")).see(200, "我们不认识这台设备").submit("do", "approve", "match", "42").see(200, "已经批准")
		if w.state(t, pending) != idp.DeviceApproved {
			t.Error("not approved")
		}

		_, err = store.SetMerchantStatus(ctx, w.merchant(t).ID, idp.MerchantActive, idp.MerchantSuspended)
		must(t, err)
		w.asks(t, "esign", "GCDFGHJK")
		cashier.open("/device?user_code=GCDFGHJK").see(403, "商户暂停")
	})
}

// Whoever is frozen signs in, and lets in nothing: a thief with factors of his own would leave
// a terminal, or a key, in the shop. He may refuse. What he began meanwhile ends with the
// freeze, but for the session that lifts it.
func TestFrozenLetsNothingIn(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "ice.one", TOTP: true, Phone: "+8613900000062", Mail: "ice.one@example.com"})
		time.Sleep(73 * time.Hour)
		fresh := idp.Terminal{Serial: "HFE2000000077", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: w.merchant(t).ID, StoreID: w.user(t, "chen.xy").StoreID, State: idp.TerminalNew}
		must(t, store.CreateTerminal(ctx, &fresh))
		w.Terminals["new"] = struct{ Serial string }{fresh.Serial}
		w.till(t)
		own := w.from(t, "203.0.113.1")
		own.open("/sign-in").signIn("ice.one").post("/account/freeze", nil).see(200, "冻结了")
		time.Sleep(time.Minute)
		thief := w.from(t, "198.51.100.7")
		for i, kind := range []string{"new", "smart", ""} { // new to the shop; one that works, with a key of his; none of ours
			code := "BCDFGHJ" + string("BCD"[i])
			d := w.asksWith(t, kind, code, strings.Repeat("k", 42)+string("BCD"[i]), "")
			if thief.open("/device?user_code=" + code); i == 0 {
				thief.see(200, "登录名").signIn("ice.one")
			}
			if thief.see(403, "账户冻结着"); strings.Contains(thief.Body, `value="approve"`) || !strings.Contains(thief.Body, `value="deny"`) {
				t.Errorf("%q: offers to approve, or not to refuse", kind)
			}
			thief.post("/device", url.Values{"user_code": {code}, "do": {"approve"}, "match": {"42"}}).see(403, "账户冻结着")
			if w.state(t, d) != idp.DevicePending {
				t.Errorf("%q: %s", kind, w.state(t, d))
			}
			if d.TerminalID != "" {
				if got := must2(store.Terminal(ctx, d.TerminalID))(t); got.Key == d.Key || kind == "new" && got.State != idp.TerminalNew {
					t.Errorf("%q: %s, key %q", kind, got.State, got.Key)
				}
			}
			if thief.open("/device?user_code="+code).submit("do", "deny").see(200, "已经拒绝"); w.state(t, d) != idp.DeviceDenied {
				t.Errorf("%q cannot be refused", kind)
			}
		}
		app := w.grant(t, "ice.one", w.Clients["merchant_app"].ID, "", "payments:read", "offline_access")
		time.Sleep(31 * time.Second)
		own.post("/account/unfreeze", nil).see(200, "密码").submit("password", storyPassword)
		own.submit("code", w.code(t, "ice.one")).see(200, "解除")
		if live := w.sessions(t, "ice.one"); len(live) != 1 || w.live(t, app) {
			t.Errorf("%d sessions after the return, or a grant lives on", len(live))
		}
		thief.open("/account").see(200, "登录名")
		own.open("/account").see(200, "某人")
		if known := must2(store.Browsers(ctx, w.user(t, "ice.one").ID))(t); len(known) != 1 {
			t.Errorf("%d known browsers, want the one that returned", len(known))
		}
	})
}

// What is granted is what was shown: the scopes that the device asked for.
func TestDeviceGrant(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("owner")
		w.asks(t, "esign", "BCDFGHJK", "payments:read")
		b.open("/device?user_code=BCDFGHJK")
		b.post("/device", url.Values{"user_code": {"BCDFGHJK"}, "do": {"approve"}, "match": {"42"}, "scope": {"settlement:manage"}, "scopes": {"settlement:manage"}, "terminal": {"x"}}).see(200, "已经批准")
		grants, err := w.Service.Store.Grants(t.Context(), w.user(t, "lin.wei").ID)
		must(t, err)
		if len(grants) != 1 || !slices.Equal(grants[0].Scopes, []string{"openid", "terminal", "payments:read"}) {
			t.Errorf("granted %+v", grants)
		}
	})
}

// Guesses at user codes are counted by account and by network; malformed ones are
// free; a right one is refused while they are.
func TestDeviceGuesses(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "guess.codes", User: idp.User{StoreID: w.user(t, "chen.xy").StoreID}})
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("guess.codes").see(200, "某人")
		for _, code := range []string{"BCDFGHJ", "BCDFGHJKL", "AEIOUAEI", "12345678", "bcdf/ghjk", "<script>", "\x00", "\xff", strings.Repeat("B", 9000), "   "} {
			for _, do := range []string{"", "approve"} {
				b.post("/device", url.Values{"user_code": {code}, "do": {do}, "match": {"42"}})
				if b.Status != 422 && b.Status != 200 {
					t.Errorf("%q: %d", code, b.Status)
				}
			}
		}
		guess := func(i int) string { return fmt.Sprintf("WWWWWW%c%c", "BCDFGHJKLM"[i/10], "BCDFGHJKLM"[i%10]) }
		misses := 0
		for i := 0; misses < 10; i++ {
			if b.open("/device?user_code=" + guess(i)); b.Status == 429 { // the growing wait
				if b.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				time.Sleep(15*time.Minute + time.Second)
				continue
			}
			b.see(422, "没有这个终端码的请求")
			misses++
		}
		w.asks(t, "esign", "BCDFGHJK")
		b.open("/device?user_code=BCDFGHJK").see(429, "试得太多")
		b.post("/device", url.Values{"user_code": {"BCDFGHJK"}, "do": {"approve"}, "match": {"42"}}).see(429, "试得太多")
		time.Sleep(6*time.Hour + time.Minute)
		w.asks(t, "esign", "CCDFGHJK")
		b.open("/device?user_code=CCDFGHJK").see(200, "输入密码").submit("password", storyPassword).see(200, "批准这台") // half a day later

		// Twenty a network, whoever asks.
		for i := range 20 {
			if i%4 == 0 {
				login := fmt.Sprint("guess.net", i)
				w.add(t, somebody{Login: login})
				b = w.from(t, "203.0.113.77")
				b.open("/sign-in").signIn(login)
			}
			b.open("/device?user_code="+guess(i)).see(422, "没有这个")
		}
		login := "guess.last"
		w.add(t, somebody{Login: login})
		b = w.from(t, "203.0.113.77")
		b.open("/sign-in").signIn(login).open("/device?user_code="+guess(50)).see(429, "试得太多")
	})
}

// The first key that a terminal is let in with is its own. With another one it is as good
// as new: a manager or the owner sees a warning and proves himself afresh, what the former
// key got has ended, and the owner is told.
func TestTerminalKeys(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		key := func() string {
			d, err := store.TerminalBySerial(ctx, w.Terminals["esign"].Serial)
			must(t, err)
			return d.Key
		}
		cashier, manager := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")
		w.asksWith(t, "esign", "BCDFGHJK", "key-one", "4.10.2")
		cashier.open("/device?user_code=BCDFGHJK").signIn("cashier").see(200, "4.10.2").submit("do", "approve", "match", "42").see(200, "已经批准")
		if key() != "key-one" || len(w.events(t, "chen.xy", "terminal.keyed")) != 1 || len(w.notices(t, "lin.wei", "terminal.rekeyed")) != 0 {
			t.Fatalf("key %q", key())
		}
		w.asksWith(t, "esign", "CCDFGHJK", "key-one", "")
		cashier.open("/device?user_code=CCDFGHJK").see(200, "批准这台").submit("do", "approve", "match", "42").see(200, "已经批准")
		grants, err := store.Grants(ctx, w.user(t, "chen.xy").ID)
		must(t, err)
		if len(grants) == 0 || grants[0].Key != "key-one" {
			t.Fatalf("grants %+v", grants)
		}

		other := w.asksWith(t, "esign", "DCDFGHJK", "key-two", "")
		cashier.open("/device?user_code=DCDFGHJK").see(403, "换了密钥")
		cashier.post("/device", url.Values{"user_code": {"DCDFGHJK"}, "do": {"approve"}, "match": {"42"}}).see(403, "店长或店主")
		manager.open("/device?user_code=DCDFGHJK").signIn("manager").see(200, "不是您刚换的，请拒绝")
		time.Sleep(301 * time.Second)
		manager.submit("do", "approve", "match", "42").see(200, "动态码").submit("code", w.code(t, "manager")).see(200, "不是您刚换的")
		manager.submit("do", "approve", "match", "42").see(200, "已经批准")
		if w.state(t, other) != idp.DeviceApproved || key() != "key-two" || len(w.events(t, "wang.zq", "terminal.rekeyed")) != 1 {
			t.Errorf("key %q, %s", key(), w.state(t, other))
		}
		if grants, err = store.Grants(ctx, w.user(t, "chen.xy").ID); err != nil || len(grants) != 0 {
			t.Errorf("what the former key got: %+v %v", grants, err)
		}
		if told := w.notices(t, "lin.wei", "terminal.rekeyed"); len(told) == 0 {
			t.Error("the owner was not told")
		}

		// A request without a key takes none away.
		bare := w.asksWith(t, "esign", "GCDFGHJK", "", "")
		manager.open("/device?user_code=GCDFGHJK").see(200, "不是您刚换的").submit("do", "approve", "match", "42").see(200, "这个终端码过期了")
		if w.state(t, bare) != idp.DevicePending || key() != "key-two" {
			t.Errorf("key %q, %s", key(), w.state(t, bare))
		}

		// One key stands for one terminal.
		taken := w.asksWith(t, "smart", "FCDFGHJK", "key-two", "")
		manager.open("/device?user_code=FCDFGHJK").see(200, "批准这台").submit("do", "approve", "match", "42").see(403, "另一台终端")
		if w.state(t, taken) != idp.DevicePending {
			t.Errorf("approved all the same: %s", w.state(t, taken))
		}
	})
}

// Who may let which terminal in, and with which software, is policy.
func TestTerminalPolicy(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		synctest.Wait() // the first run of the jobs is over
		cashier, manager, owner := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2"), w.from(t, "203.0.113.3")
		cashier.open("/sign-in").signIn("cashier")
		manager.open("/sign-in").signIn("manager")
		owner.open("/sign-in").signIn("owner")
		w.Service.Rule(0, "terminals.approvers.smart.active", []string{"owner"})
		w.asks(t, "smart", "BCDFGHJK")
		cashier.open("/device?user_code=BCDFGHJK").see(403, "店长或店主")
		manager.open("/device?user_code=BCDFGHJK").see(403, "店长或店主")
		owner.open("/device?user_code=BCDFGHJK").see(200, "批准这台")
		w.asks(t, "esign", "CCDFGHJK") // another kind
		cashier.open("/device?user_code=CCDFGHJK").see(200, "批准这台")
		w.Service.Rule(0, "terminals.approvers.unregistered", []string{"owner"})
		w.asks(t, "", "DCDFGHJK")
		manager.open("/device?user_code=DCDFGHJK").see(403, "店长或店主")
		owner.open("/device?user_code=DCDFGHJK").see(200, "我们不认识这台设备")
		w.Service.Rule(0, "terminals.minimum_software.esign", policy.Version("4.10"))
		cashier.submit("do", "approve", "match", "42").see(403, "终端软件") // asked before the rule
		owner.open("/device?user_code=CCDFGHJK").see(403, "终端软件")
		w.asksWith(t, "esign", "FCDFGHJK", "", "4.11")
		cashier.open("/device?user_code=FCDFGHJK").see(200, "4.11").submit("do", "approve", "match", "42").see(200, "已经批准")
	})
}

// Who has lost all else reads his digits off the shop's terminal while support is on the line;
// what support must answer is there once his were right, and nothing when the call is over.
func TestCallAtTerminal(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ask := w.atTerminal(t)
		says := func() string {
			var list []struct{ ID, Kind, Text string }
			must(t, json.Unmarshal([]byte(ask("GET", "/terminal/notices", "").Body), &list))
			if len(list) == 0 {
				return ""
			}
			if len(list) != 1 || list[0].Kind != "call" || !strings.Contains(list[0].Text, "林薇") {
				t.Fatalf("%+v", list)
			}
			if d := ask("POST", "/terminal/notices/"+list[0].ID, `{"do":"seen"}`); d.Status != 200 {
				t.Errorf("seen: %d %s", d.Status, d.Body)
			}
			if d := ask("POST", "/terminal/notices/"+list[0].ID, `{"do":"stop"}`); d.Status != 404 {
				t.Errorf("a call was stopped: %d %s", d.Status, d.Body)
			}
			return list[0].ID + " " + fourDigits.FindString(list[0].Text)
		}
		agent := w.from(t, "203.0.113.2")
		agent.open("/sign-in").signIn("support_agent")
		agent.open("/console/cases/new").submit("login", w.Merchant.No, "lost", "both", "send_to", "139 0001 0009", "reason", "来电 0310-021")
		page := agent.URL.Path
		if got := says(); got != "" {
			t.Errorf("before any call: %s", got)
		}
		agent.open(page+"/call").post(page+"/call", nil).see(200, "请来电人读他的四位数")
		first, mine, _ := strings.Cut(says(), " ")
		if mine == "" || strings.Contains(agent.text(), mine) {
			t.Fatalf("the terminal says %q, the agent reads %s", mine, agent.text())
		}
		agent.submit("digits", mine).see(200, "来电人的数字对了")
		then, theirs, _ := strings.Cut(says(), " ")
		if first == then || theirs == mine || !strings.Contains(agent.text(), theirs) {
			t.Errorf("%s %s, then %s %s; the agent reads %s", first, mine, then, theirs, agent.text())
		}
		if d := ask("POST", "/terminal/notices/"+first, `{"do":"seen"}`); d.Status != 404 {
			t.Errorf("what is gone was seen: %d", d.Status)
		}
		time.Sleep(10 * time.Minute)
		ask = w.atTerminal(t)
		if got := says(); got != "" {
			t.Errorf("after the call: %s", got)
		}
		// Three wrong ones end it there, too; and a terminal of another shop never had it.
		agent = w.from(t, "203.0.113.3")
		agent.open("/sign-in").signIn("support_agent")
		agent.open(page+"/call").post(page+"/call", nil).see(200, "请来电人读他的四位数")
		_, mine, _ = strings.Cut(says(), " ")
		other := w.merchantOf(t, "822290059430078", "隔壁店")
		calls, err := w.Service.Store.ShopCalls(t.Context(), idp.Terminal{MerchantID: other.ID}, time.Now())
		if err != nil || len(calls) != 0 {
			t.Errorf("another shop shows %+v, %v", calls, err)
		}
		wrong, form := "0000", agent.Doc
		if wrong == mine {
			wrong = "0001"
		}
		for range 3 {
			agent.Doc = form
			agent.submit("digits", wrong).see(422, "")
		}
		if got := says(); got != "" {
			t.Errorf("after three wrong ones: %s", got)
		}
	})
}

// atTerminal signs the shop's smart terminal in and returns how it asks.
func (w *demoWorld) atTerminal(t *testing.T) func(method, path, text string) *browser {
	t.Helper()
	manager := w.from(t, "198.51.100.1").open("/sign-in").signIn("manager").see(200, "王志强")
	device := w.from(t, "203.0.113.1")
	device.key = w.terminalKey("smart")
	var d deviceAnswer
	device.post("/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid terminal"}, "terminal_serial": {w.Terminals["smart"].Serial}})
	must(t, json.Unmarshal([]byte(device.Body), &d))
	manager.approve(d.UserCode, d.number()).see(200, "已经批准")
	time.Sleep(6 * time.Second)
	var a tokenAnswer
	must(t, json.Unmarshal([]byte(device.post("/token", pollForm(d)).Body), &a))
	return func(method, path, text string) *browser {
		t.Helper()
		r, err := http.NewRequest(method, w.Issuer+path, strings.NewReader(text))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "DPoP "+a.Access)
		r.Header.Set("DPoP", device.key.Proof(method, w.Issuer+path, a.Access))
		return device.do(r)
	}
}

// Whoever stands at a terminal stops a recovery there: its person is frozen at once, a case
// is open, and all channels are told.
func TestStopAtTerminal(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		ask := w.atTerminal(t)
		owner := w.user(t, "lin.wei")
		n := idp.TerminalNotice{MerchantID: owner.MerchantID, UserID: owner.ID, Kind: idp.NoticeStop, CreatedAt: time.Now(), Until: time.Now().Add(time.Hour), Params: idp.NoticeParams{Name: owner.Name}}
		// Whoever knows a name has the terminals ask: to refuse that is no stop.
		stranger := w.from(t, "192.0.2.71")
		confirm := func() (id string) {
			t.Helper()
			for _, n := range must2(store.TerminalNotices(ctx, must2(store.TerminalBySerial(ctx, w.Terminals["smart"].Serial))(t), time.Now()))(t) {
				if n.Kind == idp.NoticeConfirm && n.UserID == owner.ID {
					id = n.ID
				}
			}
			return id
		}
		stranger.lost("both", "lin.wei").by("terminal").see(200, "在店里的终端上确认")
		if device := ask("POST", "/terminal/notices/"+confirm(), `{"do":"stop"}`); device.Status != 200 || !strings.Contains(device.Body, "refused") {
			t.Fatalf("%d %s", device.Status, device.Body)
		}
		stranger.submit("").see(422, "终端旁的人拒绝了")
		if w.user(t, "lin.wei").Frozen || len(w.cases(t, "lin.wei")) != 0 || len(w.events(t, "lin.wei", "case.opened")) != 0 {
			t.Fatal("a stranger who shows nothing has the owner frozen")
		}
		// While a recovery runs it stops that, whatever the notice.
		r := idp.Recovery{UserID: owner.ID, State: idp.RecoveryWaiting, Lost: idp.LostPassword, StartedAt: time.Now(), DueAt: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}
		must(t, store.AddRecovery(ctx, &r))
		stranger.submit("resend")
		if device := ask("POST", "/terminal/notices/"+confirm(), `{"do":"stop"}`); device.Status != 200 || !strings.Contains(device.Body, "stopped") || must2(store.Recovery(ctx, r.ID))(t).State != idp.RecoveryStopped {
			t.Fatalf("%d %s", device.Status, device.Body)
		}
		must2(store.UnfreezeUser(ctx, owner.ID))(t)
		must(t, store.QueueTerminalNotice(ctx, &n, 0)) // the stop took all of his back
		if device := ask("GET", "/terminal/notices", ""); device.Status != 200 || !strings.Contains(device.Body, "有人正在找回林薇的账户") {
			t.Fatalf("%d %s", device.Status, device.Body)
		}
		if device := ask("POST", "/terminal/notices/"+n.ID, `{"do":"stop"}`); device.Status != 200 || !strings.Contains(device.Body, "stopped") {
			t.Fatalf("%d %s", device.Status, device.Body)
		}
		frozen := w.events(t, "lin.wei", "account.frozen")
		if owner = w.user(t, "lin.wei"); !owner.Frozen || len(frozen) != 2 || frozen[0].Terminal == "" || frozen[0].Actor != "" {
			t.Errorf("frozen %v, %+v", owner.Frozen, frozen)
		}
		if len(w.notices(t, "lin.wei", "frozen")) == 0 || len(w.events(t, "lin.wei", "case.opened")) != 2 {
			t.Error("not told, or no case")
		}
		if device := ask("POST", "/terminal/notices/"+n.ID, `{"do":"stop"}`); device.Status != 404 {
			t.Errorf("a second time: %d", device.Status)
		}
	})
}
