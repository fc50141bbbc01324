package templates

import "time"

// consoleSamples are the pages of the console; see samples.
func consoleSamples() []sample {
	desk := func(active string) Desk {
		return Desk{Active: active, Find: "/console/find", Items: []NavItem{{"/console", "console.dashboard", "overview", "", 0},
			{"/console/users", "console.users", "users", "console.group.things", 0}, {"/console/merchants", "console.merchants", "merchant", "console.group.things", 0},
			{"/console/terminals", "console.terminals", "terminal", "console.group.things", 0}, {"/console/clients", "console.clients", "app", "console.group.things", 0},
			{"/console/events", "console.events", "log", "console.group.records", 0}}}
	}
	roles := []Option{{"", "全部", false}, {"owner", "店主", true}, {"cashier", "收银员", false}}
	users := ConsoleList{Desk: desk("/console/users"), Title: "console.users", Export: "/console/users/export?role=owner", NewURL: "/console/users/new", NewKey: "console.user.new", Action: "/console/users",
		Filters: []Input{{Name: "role", Label: "col.role", Kind: "select", Options: roles}, {Name: "state", Label: "console.col.state", Kind: "select", Options: roles}},
		Table: Table{Caption: "console.users", Columns: []string{"console.col.name", "console.col.login", "console.merchant", "col.role", "console.col.state", "col.second"}, Rows: [][]Cell{
			{{Text: "林薇", URL: "/console/users/u1"}, {Text: "lin.wei", Mono: true}, {Text: "林记小馆"}, {Key: "role.owner"}, {State: "active"}, {Text: "验证器 App"}},
			{{Text: "陈小雨", URL: "/console/users/u2"}, {Text: "chen.xy", Mono: true}, {Text: "林记小馆"}, {Key: "role.cashier"}, {State: "invited"}, {Text: "没有"}},
			{{Text: "赵建国", URL: "/console/users/u3"}, {Text: "zhaojg68", Mono: true}, {Text: "建国五金"}, {Key: "role.owner"}, {State: "locked"}, {Text: "验证器 App"}}}},
		Pager: Pager{"每页 50 条", "/console/users?after=a", "/console/users?after=b"}}
	none := ConsoleList{Desk: desk("/console/events"), Title: "console.events", Action: "/console/events", Post: true, Filters: []Input{{Name: "who", Label: "console.user.find", Value: "lin", Optional: true}},
		Table: Table{Caption: "console.users"}, None: Empty{Icon: "users", Title: "没有找到“lin”", Text: "名称和号码要写完整才找得到。"}}
	events := ConsoleList{Desk: desk("/console/events"), Title: "console.events", Crumbs: []Crumb{{"人员", "/console/users"}, {"林薇", ""}}, Saved: "console.saved.changed",
		Table: Table{Caption: "console.events", Columns: []string{"console.col.event", "console.col.when", "console.col.who", "console.col.about", "console.col.detail"}, Rows: [][]Cell{
			{{Key: "event.signin.failed"}, {Time: noon}, {Text: "没有登录的人"}, {Text: "林薇", URL: "/console/users/u1"}, {Text: "密码不对 · 112.5.6.0/24", Small: "482-913-0576"}},
			{{Key: "event.account.viewed"}, {Time: noon.Add(-time.Hour)}, {Text: "方晴"}, {Text: "林薇", URL: "/console/users/u1"}, {Text: "来电 0310-017，店主本人"}}}},
		Pager: Pager{"每页 50 条", "", ""}}
	user := ConsoleObject{Desk: desk("/console/users"), Saved: "console.saved.ended", Crumbs: []Crumb{{"人员", "/console/users"}, {"林薇", ""}}, Title: "林薇", State: "locked", Pills: []string{"店主"},
		Notes: []Note{{Tone: "bad", Icon: "lock", Text: "3 月 10 日 07:50 账户被锁定。操作人：方晴；原因：店主来电说手机被抢"}},
		Acts:  []ActLink{{"console.user.unlock", "/console/users/u1/unlock", false}, {"console.user.end-sessions", "/console/users/u1/end-sessions", false}, {"console.user.disable", "/console/users/u1/disable", true}},
		Blocks: []Block{
			{ID: "factors", Key: "console.user.factors", Table: Table{Caption: "console.user.factors", Columns: []string{"console.col.method", "console.col.label", "console.col.created", "col.seen", "console.col.state"}, Rows: [][]Cell{
				{{Text: "密码"}, {Text: "–"}, {Time: noon.AddDate(0, -2, 0)}, {Time: noon, Clock: true}, {State: "shut"}}, {{Text: "验证器 App"}, {Text: "lin.wei"}, {Time: noon.AddDate(0, -5, 0)}, {Clock: true}, {State: "usable"}}}}},
			{ID: "sessions", Key: "console.user.sessions", None: "console.none.sessions"},
			{ID: "grants", Key: "console.user.grants", More: "/console/users?merchant=1", Link: "/console", LinkAs: "console.all", Table: Table{Caption: "console.user.grants", Columns: []string{"console.col.app", "console.col.scopes", "console.col.allowed", "console.col.until"}, Rows: [][]Cell{
				{{Text: "终端", Small: "HF-E20 · 尾号 4417"}, {Text: "作为终端收款、查流水"}, {Time: noon}, {Time: noon.AddDate(0, 1, 0), Clock: true}}}}}},
		FactsKey: "console.user.facts", Facts: []Fact{{"col.login", []Cell{{Text: "lin.wei", Mono: true}, {Text: "linwei88", Mono: true, Small: "曾用，保留"}}}, {"console.user.phone", []Cell{{Text: "138****0001", Mono: true, Small: "3 月 1 日 09:00 确认过"}}},
			{"console.user.email", nil}, {"console.merchant", []Cell{{Text: "林记小馆", URL: "/console/merchants/m1", Small: "822290059430001"}}}, {"console.id", []Cell{{Text: "ehc4hd3q5v2c3yjv6o3u7qkq7a", Mono: true}}}},
		Events:    []EventRow{{At: noon, NameKey: "event.lock.account", Place: "方晴 · 店主来电说手机被抢", Tone: "bad"}, {At: noon.Add(-time.Hour), NameKey: "event.signin.succeeded", Place: "112.5.6.0/24", Tone: "ok"}},
		EventsURL: "/console/users/u1/events"}
	explain := ConsoleObject{Desk: desk("/console/events"), Crumbs: []Crumb{{"说明码", ""}, {"482-913-0576", ""}}, Title: "482-913-0576", Mono: true, FactsKey: "console.facts",
		Notes: []Note{{Tone: "warn", Icon: "info", Text: "密码登录对陌生浏览器关闭"}, {Tone: "ok", Icon: "help", Text: "怎么办：用平时登录的手机或电脑，或者用别的方式"}}, Facts: []Fact{{"console.col.about", []Cell{{Key: "console.nobody"}}}}}
	desked := ConsoleObject{Desk: desk("/console/cases"), Saved: "console.saved.matched", Crumbs: []Crumb{{"工单", "/console/cases"}, {"482-913-0576", ""}}, Title: "482-913-0576", Mono: true, State: "ready", FactsKey: "console.facts",
		Notes: []Note{{Tone: "ok", Icon: "phone", Text: "来电人的数字对了。现在读给他听：0376"}, {Icon: "info", Text: "等另一位同事批准"}, {Tone: "warn", Icon: "lock", Text: "您不能批准这张工单：开工单的人不能批准"}},
		Acts:  []ActLink{{"console.case.take", "/console/cases/c1/take", false}, {"console.case.evidence", "/console/cases/c1/evidence", false}, {"console.case.refuse", "/console/cases/c1/refuse", true}},
		Facts: []Fact{{"console.col.about", []Cell{{Text: "林薇", URL: "/console/users/u1"}, {State: "active"}}}, {"console.case.lost", []Cell{{Key: "desk.lost.both"}}}, {"console.case.to", []Cell{{Text: "139****0002", Mono: true, Small: "新的，不是绑定的"}}},
			{"console.case.recovery", []Cell{{Time: noon, Small: "第 13 行，风险 1"}}}},
		Blocks: []Block{{ID: "evidence", Key: "console.case.evidence_block", Table: Table{Caption: "console.case.evidence_block", Columns: []string{"console.evidence.field", "console.col.state", "console.evidence.left", "console.evidence.by"}, Rows: [][]Cell{
			{{Key: "desk.evidence.document_tail"}, {State: "matched"}, {Text: "0"}, {Text: "方晴"}}, {{Key: "desk.evidence.birthday"}, {State: "missed"}, {Text: "2"}, {Text: "方晴"}},
			{{Key: "desk.evidence.legal_name", Small: "小票上就有"}, {State: "untried"}, {Text: "3"}, {Text: "–"}}, {{Key: "desk.evidence.serial"}, {State: "not_kept"}, {Text: "3"}, {Text: "–"}}}}}, {ID: "history", Key: "console.case.history", None: "console.none.events"}}}
	answers := ConsoleForm{Desk: desk("/console/cases"), Title: "答复用语", Lead: "可以照着读。", Crumbs: []Crumb{{"工单", "/console/cases"}, {"482-913-0576", "/console/cases/c1"}, {"答复用语", ""}}, Action: "/console/cases/c1/answer", Submit: "console.case.answer", Cancel: "/console/cases/c1",
		Facts:  []Fact{{"desk.answer.never_title", []Cell{{Text: T("zh-CN", "desk.answer.never")}, {Text: T("en", "desk.answer.never")}}}, {"desk.answer.stop_title", []Cell{{Text: T("zh-CN", "desk.answer.stop")}, {Text: T("en", "desk.answer.stop")}}}},
		Inputs: []Input{{Name: "answer", Label: "console.case.answer_which", Kind: "select", Options: []Option{{"never", "我们从不问什么", true}, {"stop", "不是本人怎么停", false}}}, {Name: "reason", Label: "reason.label", Hint: "reason.hint", Kind: "reason"}}}
	act := ConsoleForm{Desk: desk("/console/users"), Title: "停用林薇的账户？", Lead: "所有设备、应用和终端马上退出，不能再登录。重新启用以后要重新登录。", Crumbs: []Crumb{{"人员", "/console/users"}, {"林薇", "/console/users/u1"}, {"停用", ""}},
		Note: &Note{Tone: "warn", Icon: "warn", Text: "还有 2 台终端在用"}, Facts: []Fact{{"console.col.state", []Cell{{State: "active"}}}}, Action: "/console/users/u1/disable", Submit: "console.user.disable", Danger: true, Cancel: "/console/users/u1",
		Inputs: []Input{{Name: "reason", Label: "reason.label", Hint: "reason.hint", Kind: "reason"}}}
	stale := act
	stale.Confirm = act.Action
	refused := act
	refused.Form, refused.Inputs = bad("reason", "reason.short", 4), []Input{{Name: "reason", Label: "reason.label", Hint: "reason.hint", Kind: "reason", Value: `<"x">`}, {Name: "version", Kind: "hidden", Value: "3"}}
	client := ConsoleForm{Desk: desk("/console/clients"), Form: Form{Errors: []FieldError{{"grants", "error.choose", nil}, {"redirects", "error.redirect", []any{"https://*.example.com"}}}}, Title: "登记应用", Lead: "保密应用的密钥只显示一次。",
		Action: "/console/clients/new", Submit: "console.client.create", Cancel: "/console/clients", Inputs: []Input{{Name: "name", Label: "console.col.name", Hint: "console.client.name_hint", Value: "收银"}, {Name: "id", Label: "console.client.id", Hint: "console.client.id_hint"},
			{Name: "kind", Label: "console.client.kind", Hint: "console.client.kind_hint", Kind: "select", Options: []Option{{"public", "公开应用", true}, {"confidential", "保密应用", false}}},
			{Name: "grants", Label: "console.client.grants", Kind: "checks", Options: []Option{{"authorization_code", "网页登录", true}, {"refresh_token", "保持登录", false}}},
			{Name: "redirects", Label: "console.client.redirects", Hint: "console.client.redirects_hint", Kind: "area", Value: "https://*.example.com", Optional: true}, {Name: "keep", Label: "console.client.keep", Hint: "console.client.keep_hint", Kind: "tick", Value: "1"},
			{Name: "phone", Label: "console.user.phone", Type: "tel", Mode: "tel", Most: 40, Optional: true}, {Name: "reason", Label: "reason.label", Kind: "reason"}}}
	chart := Chart{ID: "signins", Title: "console.chart.signins", Says: "最近 14 天的登录，柱形图。数字见下表。", First: "console.chart.signed_in", Second: "console.chart.failed", Head: "console.chart.day"}
	for i := range 14 {
		chart.Points = append(chart.Points, Point{Label: noon.AddDate(0, 0, i-13).Format("1 月 2 日"), Short: noon.AddDate(0, 0, i-13).Format("2"), First: int64(9400 + 37*i), Second: int64(610 * (i % 3))})
	}
	empty := Chart{ID: "locks", Title: "console.chart.locks", Says: "没有。", First: "console.chart.waits", Head: "console.chart.day", Points: []Point{{Label: "3 月 10 日", Short: "10"}}}
	shares := Shares{ID: "causes", Title: "console.chart.causes", Name: "console.chart.cause", Count: "console.chart.times", Of: 7000, None: "console.chart.no_failures", Rows: []Share{{"密码不对", "", 5210}, {"其他原因", "很少", 3}}}
	none14 := Shares{ID: "adoption", Title: "console.chart.adoption", Name: "console.col.method", Count: "console.chart.people", None: "console.none.users"}
	adopted := chart
	adopted.ID, adopted.Title, adopted.First, adopted.Second = "adopted", "console.chart.adopted", "console.chart.second", "console.chart.without"
	delivery := Block{ID: "delivery", Key: "console.chart.delivery", Table: Table{Caption: "console.chart.delivery", Columns: []string{"console.message.channel", "console.chart.sent"}, Rows: [][]Cell{{{Key: "channel.sms"}, {Text: "12"}}}}}
	dashboard := ConsoleDashboard{At: noon, Pairs: []ChartPair{{Chart: &chart, Shares: &shares}, {Second: &empty}, {Chart: &adopted, Shares: &none14}, {Table: &delivery}}, Desk: desk("/console"), Todo: []ConsoleTodo{{"2 个账户锁定", "锁定的人不能自己解除，要另一个人来解", "/console/users?state=locked"}},
		Stats: []ConsoleStat{{"console.stat.users", 4100, "另有 3 人还没有接受邀请"}, {"console.stat.cases", 12, "已经超时 1 张"}, {"console.stat.online", 8206, "共 9,114 台"}, {"console.stat.failures", 37, "密码或动态码不对"}},
		Doors: []Way{{Icon: "users", Title: "人员", Small: "谁能登录，现在是什么状态", URL: "/console/users"}, {Icon: "log", Title: "日志", URL: "/console/events"}}}
	handover := ConsoleObject{Desk: desk("/console/users"), Crumbs: []Crumb{{"门店", "/console/stores"}, {"林记小馆", "/console/merchants/m1"}, {"店铺交接", ""}}, Title: "店铺交接", State: "handover_cooling", FactsKey: "console.facts",
		Notes: []Note{{Icon: "info", Text: "到 3 月 11 日 12:00 自动完成。在那以前两位随时都能停止。"}}, Acts: []ActLink{{"handover.accept", "/console/handovers/h1/accept", false}, {"handover.stop", "/console/handovers/h1/stop", true}},
		Facts: []Fact{{"handover.from", []Cell{{Text: "林薇", Small: "离开这家店"}}}, {"handover.to", []Cell{{Text: "何东"}}}, {"handover.due", []Cell{{Time: noon.AddDate(0, 0, 1)}}}}}
	propose := ConsoleForm{Desk: desk("/console/users"), Form: bad("username", "error.empty"), Title: "把店交给谁？", Lead: "新店主同意以后还要等 24 小时。", Crumbs: []Crumb{{"人员", "/console/users"}, {"交给新店主", ""}}, Action: "/console/hand-over", Submit: "handover.propose", Danger: true, Cancel: "/console",
		Inputs: []Input{{Name: "to", Label: "handover.to", Hint: "handover.to_hint", Kind: "select", Options: []Option{{"u2", "何东", false}, {"", "邀请新人", true}}}, {Name: "name", Label: "handover.newcomer", Optional: true}, {Name: "username", Label: "console.user.username", Optional: true},
			{Name: "after", Label: "handover.after", Kind: "select", Options: []Option{{"left", "离开这家店", true}, {"manager", "留下当店长", false}}}}}
	leaving := ConsoleForm{Desk: desk("/console/users"), Title: "陈小雨哪天离店？", Action: "/console/users/u2/leaving", Submit: "console.user.leaving", Danger: true, Cancel: "/console/users/u2", Also: []Submit{{"clear", "不离店了"}},
		Inputs: []Input{{Name: "day", Label: "console.user.leaving_day", Hint: "console.user.leaving_hint", Type: "date", Value: "2026-03-31"}, {Name: "reason", Label: "reason.label", Kind: "reason"}}}
	code := ConsoleCode{Desk: desk("/console/users"), Crumbs: []Crumb{{"员工", "/console/users"}, {"陈小雨", "/console/users/u2"}, {"帮他重新登录", ""}}, Name: "陈小雨", Code: "4821 9130", Minutes: 15, Next: "/console/users/u2"}
	shown := code
	shown.Shown = true
	approval := ConsoleObject{Desk: desk("/console/approvals"), Saved: "console.saved.asked", Crumbs: []Crumb{{"要两个人的事", "/console/approvals"}, {"改应用", ""}}, Title: "改应用", State: "asked", FactsKey: "console.facts",
		Notes: []Note{{Icon: "info", Text: "周宁提出，原因：新的域名"}, {Icon: "clock", Text: "等另一位同事批准，等到 3 月 13 日 10:00。在那以前您可以撤回。"}, {Icon: "key", Text: "新密钥等您来取，到 3 月 11 日 10:00，只能看一次。"}},
		Acts:  []ActLink{{"approval.approve", "/console/approvals/a1/approve", false}, {"approval.refuse", "/console/approvals/a1/refuse", true}, {"approval.withdraw", "/console/approvals/a1/withdraw", true}, {"approval.collect", "/console/approvals/a1/collect", false}},
		Facts: []Fact{{"console.col.about", []Cell{{Text: "网店", URL: "/console/clients/shop-web"}}}, {"approval.asked_by", []Cell{{Text: "周宁"}}}, {"approval.asked_at", []Cell{{Time: noon}}}, {"approval.until", []Cell{{Time: noon.AddDate(0, 0, 3)}}}},
		Blocks: []Block{{ID: "changes", Key: "approval.changes", None: "approval.no_changes", Table: Table{Caption: "approval.changes", Columns: []string{"policy.field", "approval.before", "approval.after"}, Rows: [][]Cell{
			{{Text: "回跳地址"}, {Text: "https://old.example/callback-with-a-long-path/and-more"}, {Text: "https://shop.example/callback-with-a-long-path/and-more、http://localhost:9/cb"}}, {{Text: "权限"}, {Text: "–"}, {Text: "openid"}}}}}},
		Events: []EventRow{{At: noon, NameKey: "event.approval.asked", Place: "周宁 · 新的域名"}}, EventsURL: "/console/events?name=approval.asked"}
	approvals := ConsoleList{Desk: desk("/console/approvals"), Title: "console.approvals", Export: "/console/approvals/export", Action: "/console/approvals", Filters: []Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: []Option{{"asked", "等另一人批准", true}, {"all", "全部", false}}}},
		Table: Table{Caption: "console.approvals", Columns: []string{"approval.what", "console.col.about", "approval.asked_by", "approval.asked_at", "approval.until", "console.col.state"}, Rows: [][]Cell{
			{{Text: "改应用", URL: "/console/approvals/a1"}, {Text: "网店"}, {Text: "周宁"}, {Time: noon}, {Time: noon.AddDate(0, 0, 3)}, {State: "asked"}},
			{{Text: "关闭商户", URL: "/console/approvals/a2"}, {Text: "林记小馆"}, {Text: "秦岭"}, {Time: noon}, {Time: noon.AddDate(0, 0, 3)}, {State: "failed"}}}}, Pager: Pager{"每页 50 条", "", ""}}
	approve := ConsoleForm{Desk: desk("/console/approvals"), Title: "批准“改应用”？", Lead: "看清下面会改什么。", Crumbs: []Crumb{{"要两个人的事", "/console/approvals"}, {"改应用", "/console/approvals/a1"}, {"批准", ""}}, Note: &Note{Icon: "info", Text: "周宁提出，原因：新的域名"},
		Facts: []Fact{{"approval.field.redirects", []Cell{{Text: "https://shop.example/cb", Small: "原来：https://old.example/cb"}}}}, Action: "/console/approvals/a1/approve", Submit: "approval.approve", Cancel: "/console/approvals/a1",
		Inputs: []Input{{Name: "reason", Label: "reason.label", Hint: "reason.hint", Kind: "reason"}}}
	return []sample{{"console-handover", handover}, {"console-handover-new", propose}, {"console-leaving", leaving}, {"console-code", code}, {"console-code-shown", shown}, {"approvals", approvals}, {"approvals-none", ConsoleList{Desk: desk("/console/approvals"), Title: "console.approvals", Table: Table{Caption: "console.approvals"}, None: Empty{Icon: "check", Title: "现在没有等另一人批准的事。"}}}, {"approval", approval}, {"approval-approve", approve}, {"console-dashboard", dashboard}, {"console-dashboard-quiet", ConsoleDashboard{Desk: desk("/console"), Saved: "console.saved.nothing"}},
		{"console-users", users}, {"console-users-none", none}, {"console-events", events}, {"console-user", user}, {"console-explain", explain}, {"console-case", desked}, {"console-answers", answers},
		{"console-act", act}, {"console-act-stale", stale}, {"console-act-refused", refused}, {"console-client-refused", client},
		{"console-secret", ConsoleSecret{Desk: desk("/console/clients"), Crumbs: []Crumb{{"应用", "/console/clients"}, {"应用密钥", ""}}, ClientID: "merchant-web", Secret: "q3J9v0n4Yb1kTzX8wPd5rLs7uAeC2mHfG6oIiN-_tQ0", Next: "/console/clients/merchant-web"}}}
}
