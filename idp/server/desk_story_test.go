package server_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/templates"
)

var (
	caseLink   = regexp.MustCompile(`https?://[^\s"<>]+/recover/case\?t=[\w-]+`)
	fourDigits = regexp.MustCompile(`\b\d{4}\b`)
)

// Three people in three browsers: the owner, who has lost his phone and still sits at a
// computer; an agent, who checks with him on the telephone and compares what he says; a
// supervisor, who approves. The link arrives in the tray, at the address that he gave.
func TestSupportDesk(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		owner, agent := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")
		owner.open("/sign-in").signIn("owner").see(200, "林薇")
		owner.open("/account/call").see(200, templates.T("zh-CN", "account.call_none"))
		agent.open("/sign-in").signIn("support_agent").see(200, "概览")

		const why = "来电 0310-017，店主本人"
		agent.open("/console/cases/new").see(200, "开工单").submit("login", w.Merchant.No, "lost", "both", "send_to", "139 0001 0009", "says", "林薇", "reason", why)
		agent.see(200, "工单已经开好").see(200, "139****0009").see(200, "新的，不是绑定的")
		page := agent.URL.Path
		c := w.cases(t, "lin.wei")[0]
		if n := len(w.notices(t, "lin.wei", "case.recovery")); n != 2 {
			t.Errorf("%d notices of the case, want phone and mail", n)
		}
		if link, _ := w.linkOf(t, "lin.wei", "case.recovery", stopLink); link == "" {
			t.Error("nothing stops it")
		}

		// On the telephone: the owner reads his four, the agent types them and reads his own.
		agent.open(page+"/call").post(page+"/call", nil).see(200, "请来电人读他的四位数")
		digits := agent.Doc
		owner.open("/account/call").see(200, templates.T("zh-CN", "account.call_wait"))
		mine := fourDigits.FindString(owner.text())
		if mine == "" || strings.Contains(agent.text(), mine) {
			t.Fatalf("the owner's digits %q, the agent reads %s", mine, agent.text())
		}
		agent.Doc = digits
		agent.submit("digits", mine).see(200, "来电人的数字对了")
		theirs := fourDigits.FindString(agent.text()[strings.Index(agent.text(), "现在读给他听"):])
		owner.open("/account/call").see(200, templates.T("zh-CN", "account.call_check")).see(200, theirs)

		// What he says is compared; a wrong one counts, and no page and no event says what is kept.
		u := w.Users["owner"]
		say := func(field, value, saved string) {
			t.Helper()
			agent.post(page+"/evidence", url.Values{"field": {field}, "value": {value}, "reason": {why}}).see(200, saved)
		}
		say("birthday", "1979-01-02", "没有对上")
		say("birthday", u.Birthday, "对上了")
		say("document_tail", u.DocumentTail, "对上了")
		for _, value := range []string{u.Birthday, u.DocumentTail} {
			if strings.Contains(agent.Body, value) {
				t.Errorf("the page shows %s", value)
			}
		}
		agent.post(page+"/submit", url.Values{"reason": {why}}).see(200, "等批准")
		agent.open(page+"/approve").see(403, "")

		// The supervisor sees it wait and approves with a proof of a moment ago.
		super := w.from(t, "203.0.113.3")
		super.open("/sign-in").signIn("support_supervisor").see(200, templates.T("zh-CN", "console.todo.approve", 1))
		super.withKey()
		super.open(page).see(200, "原因").submit("typed", "", "reason", "复核 0310-017").see(200, "139****0009")
		super.open(page+"/approve").see(200, "批准").post(page+"/approve", url.Values{"reason": {"回拨过，声音一致"}}).see(200, "已经批准")
		if c = w.cases(t, "lin.wei")[0]; !c.Approved() || c.Lost() != idp.LostBoth {
			t.Errorf("case %+v", c)
		}
		for template, n := range map[string]int{"case.approved": 2, "account.viewed": 1, "case.link": 1} {
			if got := len(w.notices(t, "lin.wei", template)); got != n {
				t.Errorf("%d messages %s, want %d", got, template, n)
			}
		}

		// The link lies in the tray, at the new number; it works once, and says who nobody is.
		tray := w.from(t, "203.0.113.4").open("/dev/messages")
		link := caseLink.FindString(tray.Body)
		sent := w.notices(t, "lin.wei", "case.link")[0]
		if link == "" || sent.To != "+8613900010009" || !strings.Contains(sent.Body, link) || !strings.HasPrefix(link, w.Issuer) {
			t.Fatalf("link %q in %q to %s", link, sent.Body, sent.To)
		}
		for _, word := range []string{"林薇", "lin.wei", "林记"} {
			if strings.Contains(sent.Body, word) {
				t.Errorf("it names %s: %s", word, sent.Body)
			}
		}
		_, token, _ := strings.Cut(link, "?t=")
		live, err := w.Service.Store.Link(t.Context(), session.Hash(token), idp.LinkCase, time.Now().Add(24*time.Hour-time.Minute))
		if err != nil || live.Object != c.ID || live.UserID != c.UserID {
			t.Errorf("%+v, %v", live, err)
		}
		if _, err := w.Service.Store.Link(t.Context(), session.Hash(token), idp.LinkCase, time.Now().Add(24*time.Hour)); idp.KindOf(err) != idp.NotFound {
			t.Errorf("it works after a day: %v", err)
		}
		// Nothing of the account changed, and its owner, who is signed in, reads all of it.
		if names := must2(w.Service.Store.Identifiers(t.Context(), c.UserID))(t); len(names) != 4 {
			t.Errorf("names %v", names)
		}
		owner.open("/account/activity").see(200, "工单批准了").see(200, "客服核对了资料").see(200, "工作人员查看了账户")
		owner.open("/console/cases?state=all").see(200, c.Number)

		// The link begins a recovery that waits longer than one with a proof of his own; it works once.
		path := strings.TrimPrefix(link, w.Issuer)
		back := w.from(t, "192.0.2.77")
		back.open(path).see(200, "接着找回账户").open(path).see(200, "接着找回账户")
		again := w.from(t, "192.0.2.78").open(path)
		back.submit("token").see(200, "要等一段时间").see(200, "两位同事已批准")
		again.submit("token").see(410, "")
		again.open(path).see(410, "")
		back.submit("do", "go").see(200, "还要等")
		if r := w.recoveries(t, "lin.wei")[0]; r.Row != 13 || r.Case != c.ID || r.DueAt.Sub(r.StartedAt) < 48*time.Hour {
			t.Errorf("%+v", r)
		}
		owner.open("/account").see(200, "有人在找回您的账户").post("/account/freeze", nil).see(200, "冻结了")
		if r := w.recoveries(t, "lin.wei")[0]; r.State != idp.RecoveryStopped {
			t.Errorf("%+v", r)
		}
	})
}

// withKey adds a passkey to who is signed in.
func (b *browser) withKey() *browser {
	b.t.Helper()
	b.open("/account/enrol?factor=passkey").bind(b.world.internal(), "")
	if strings.HasSuffix(b.URL.Path, "/recovery-codes") {
		b.keep()
	}
	return b
}

// Who is called by a thief in his name stops it from the notice: the case is refused, and none
// that is opened while he is frozen is approved before the one of the freeze has its answer.
func TestSupportDeskStopped(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		agent := w.from(t, "203.0.113.2")
		agent.open("/sign-in").signIn("support_agent")
		u := w.Users["owner"]
		called := func() (page string) {
			agent.open("/console/cases/new").submit("login", "lin.wei", "lost", "both", "send_to", "thief@example.net", "reason", "来电 0310-018").see(200, "工单已经开好")
			page = agent.URL.Path
			for field, value := range map[string]string{"birthday": u.Birthday, "document_tail": u.DocumentTail} {
				agent.post(page+"/evidence", url.Values{"field": {field}, "value": {value}, "reason": {"来电 0310-018"}}).see(200, "对上了")
			}
			agent.post(page+"/submit", url.Values{"reason": {"来电 0310-018"}})
			return page
		}
		page := called()
		link, _ := w.linkOf(t, "lin.wei", "case.recovery", stopLink)
		w.from(t, "203.0.113.9").open(link).submit("token").see(200, "冻结")
		if !w.user(t, "lin.wei").Frozen || len(w.cases(t, "lin.wei")) != 2 {
			t.Fatalf("frozen %t, %d cases: the freeze has one of its own", w.user(t, "lin.wei").Frozen, len(w.cases(t, "lin.wei")))
		}
		super := w.from(t, "203.0.113.3")
		super.open("/sign-in").signIn("support_supervisor").withKey()
		super.open(page).submit("typed", "", "reason", "复核 0310-018").see(200, "没有批准")
		super.post(page+"/approve", url.Values{"reason": {"复核 0310-018"}})
		if c := w.cases(t, "lin.wei"); len(c) != 2 || c[0].Approved() || c[1].Approved() {
			t.Errorf("%+v", c)
		}
		page = called()
		super.open(page).see(200, templates.T("zh-CN", "error.case_frozen"))
		super.post(page+"/approve", url.Values{"reason": {"复核 0310-018"}}).see(422, templates.T("zh-CN", "error.case_frozen"))
		if n := len(w.notices(t, "lin.wei", "case.link")); n != 0 {
			t.Errorf("%d links", n)
		}
	})
}

// One of the operator's own who has lost everything is brought back by two others: after four
// hours, or at once if both met him. All administrators are told, also where he asked himself.
func TestStaffComesBack(t *testing.T) {
	for name, met := range map[string]bool{"by their word": false, "who met him": true} {
		t.Run(name, func(t *testing.T) {
			eachHour(t, func(t *testing.T, w *demoWorld) {
				const login, phone, why = "lost.super", "+8613900010201", "同事来找，工号 0417"
				w.ripe(t, somebody{User: idp.User{Role: idp.RoleSupportSupervisor}, Login: login, TOTP: true, Phone: phone, NoSignIn: true}, "203.0.113.70")
				time.Sleep(8 * 24 * time.Hour)
				told := func(want int) {
					t.Helper()
					for _, admin := range []string{"he.min", "zhou.ning"} {
						if n := len(w.notices(t, admin, "staff.recovery")); n != want {
							t.Errorf("%s was told %d times, want %d", admin, n, want)
						}
					}
				}
				one := w.from(t, "203.0.113.71")
				one.open("/sign-in").signIn("policy_admin").withKey()
				var page string
				if met {
					one.open("/console/cases/new").submit("login", login, "lost", "both", "send_to", "139 0001 0202", "met", "1", "reason", why).see(200, "工单已经开好")
					page = one.URL.Path
				} else {
					w.from(t, "203.0.113.70").lost("both", login).shows("introduce:phone", phone).see(200, "要由客服来办").see(200, templates.T("zh-CN", "recover-hub.case_staff")).submit("do", "go").see(200, "")
					page = "/console/cases/" + w.cases(t, login)[0].ID
					told(2)
					one.open(page).submit("typed", "", "reason", why)
					one.post(page+"/address", url.Values{"send_to": {"139 0001 0202"}, "reason": {why}}).see(200, "139****0202")
					one.post(page+"/submit", url.Values{"reason": {why}}).see(200, "等批准")
				}
				if c := w.cases(t, login)[0]; c.Kind != idp.CaseStaff || c.ReadyAt.IsZero() {
					t.Fatalf("%+v", c)
				}
				told(2)
				one.post(page+"/approve", url.Values{"met": {"1"}, "reason": {why}}).see(403, templates.T("zh-CN", "error.case_opener"))
				time.Sleep(11 * time.Minute) // the same is not told twice in ten
				other := w.from(t, "203.0.113.72")
				other.open("/sign-in").signIn("policy_admin_2").withKey()
				other.open(page).submit("typed", "", "reason", why)
				other.post(page+"/approve", url.Values{"met": {"1"}, "reason": {why}}).see(200, "已经批准")
				told(4)

				link, _ := w.linkOf(t, login, "case.link", caseLink)
				b := w.from(t, "192.0.2.80").open(strings.TrimPrefix(link, w.Issuer)).see(200, "接着找回账户").submit("token")
				b.submit("do", "go")
				if !met {
					b.see(200, "还要等")
					if r := w.recoveries(t, login)[0]; r.DueAt.Sub(r.StartedAt) != 4*time.Hour || w.user(t, login).Withholds(time.Now()) != idp.WithholdMoney {
						t.Errorf("%+v", r)
					}
					time.Sleep(4*time.Hour - time.Minute)
					b.open(b.URL.String()).see(200, "还要等")
					time.Sleep(time.Minute)
					b.open(b.URL.String())
				}
				b.see(200, "密码").chooses().see(200, "选").submit("factor", "totp")
				enrol(t, b)
				b.see(200, "找回来了")
				if r := w.recoveries(t, login)[0]; r.State != idp.RecoveryDone || r.Row != 17 || w.user(t, login).Withholds(time.Now()) != idp.WithholdNothing {
					t.Errorf("%+v", r)
				}
				if c := w.cases(t, login)[0]; c.Met() != met {
					t.Errorf("both met him: %t", c.Met())
				}
			})
		})
	}
}

// Whoever calls and says something that matches has his account frozen and his terminal marked
// lost by support alone; before that the same pages refuse.
func TestFreezeByCall(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		owner, agent := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")
		owner.open("/sign-in").signIn("owner").see(200, "林薇")
		agent.open("/sign-in").signIn("support_agent")
		const why = "来电 0310-022，手机被抢"
		agent.open("/console/cases/new").submit("login", "lin.wei", "lost", "both", "send_to", "139 0001 0009", "reason", why).see(200, "工单已经开好")
		page := agent.URL.Path
		terminal := must2(w.Service.Store.TerminalBySerial(t.Context(), w.Terminals["smart"].Serial))(t)
		lost := "/console/terminals/" + terminal.ID + "/lost"
		agent.open("/console/merchants/"+terminal.MerchantID).submit("typed", "", "reason", why)
		agent.post(lost, url.Values{"reason": {why}}).see(403, templates.T("zh-CN", "error.needs_match"))
		agent.post(page+"/stop", url.Values{"reason": {why}}).see(422, templates.T("zh-CN", "error.case_evidence", 1))
		agent.post(page+"/evidence", url.Values{"field": {"birthday"}, "value": {w.Users["owner"].Birthday}, "reason": {why}}).see(200, "对上了")
		agent.post(lost, url.Values{"reason": {why}}).see(200, "")
		if got := must2(w.Service.Store.Terminal(t.Context(), terminal.ID))(t); got.State != idp.TerminalLost {
			t.Errorf("%+v", got)
		}
		agent.open(page+"/stop").see(200, templates.T("zh-CN", "console.case.stop_lead")).post(page+"/stop", url.Values{"reason": {why}}).see(200, "")
		frozen := w.events(t, "lin.wei", "account.frozen")
		if !w.user(t, "lin.wei").Frozen || len(frozen) != 1 || len(w.notices(t, "lin.wei", "frozen")) != 2 {
			t.Fatalf("frozen %+v, told %v", frozen, w.notices(t, "lin.wei", "frozen"))
		}
		cases := w.cases(t, "lin.wei") // opened at the same time
		freeze := cases[slices.IndexFunc(cases, func(c idp.Case) bool { return c.Kind != idp.CaseRecovery })]
		if freeze.Kind != idp.CaseFreeze || freeze.OpenedBy != w.user(t, "fang.qing").ID || frozen[0].Actor != freeze.OpenedBy {
			t.Errorf("%+v", freeze)
		}
		if owner.open("/account"); owner.URL.Path == "/account" {
			t.Error("his session lives on")
		}
	})
}
