package templates

// policySamples are the pages of the policy; see samples.
func policySamples() []sample {
	desk := Desk{Active: "/console/policies", Find: "/console/find", Items: []NavItem{{"/console", "console.dashboard", "overview", "", 0}, {"/console/policies", "console.policies", "policy", "console.group.rules", 0}}}
	crumbs := []Crumb{{"策略", "/console/policies"}, {"v18", ""}}
	diff := PolicyDiff{ID: "diff", Title: "和 v17 相比", Sides: "v17 → v18", Rows: []PolicyChange{{Name: "密码 · 最短长度", Path: "password.min_length", Rule: "high value", Old: "8", New: "12", Effect: "stricter"},
		{Name: "浏览器会话 · 闲置多久就结束", Path: "session.idle", Rule: "default", Old: "8 小时", New: "12 小时", Effect: "looser"}, {Name: "规则", Rule: "one shop", New: "one shop", Effect: "added"},
		{Name: "管谁", Path: "when", Rule: "high value", Old: "等级：高价值", New: "等级：标准", Effect: "altered"}, {Name: "密码 · 最低强度（0 到 4）", Path: "password.min_score", Rule: "high value", Old: "3", Effect: "removed"}}}
	same := PolicyDiff{ID: "since", Title: "v17 以后现行的改了什么", Note: "写的时候现行的是 v17，现在是 v18。", Sides: "v17 → v18"}
	runs := Block{ID: "runs", Key: "policy.simulations", None: "console.none.simulations", Table: Table{Caption: "policy.simulations", Columns: []string{"policy.sim.started", "console.col.state", "policy.sim.progress", "console.col.who"},
		Rows: [][]Cell{{{Time: noon, URL: "/console/simulations/s1"}, {State: "running"}, {Text: "12,000 / 200,412"}, {Text: "周宁"}}}}}
	from := Input{Name: "from", Label: "policy.compare", Kind: "select", Options: []Option{{"17", "v17：短信限额", true}, {"16", "v16：会话", false}}}
	edition := PolicyEdition{Desk: desk, Saved: "console.saved.changed", Crumbs: crumbs, Title: "高价值商户密码加长", State: "submitted", Pills: []string{"v18"}, Notes: []Note{{Icon: "clock", Text: "周宁提交，等另一位策略管理员批准。"}},
		Acts:  []ActLink{{"policy.approve", "/console/policies/e1/approve", false}, {"policy.withdraw", "/console/policies/e1/withdraw", true}},
		Facts: []Fact{{"policy.version", []Cell{{Text: "v18", Mono: true}}}, {"policy.author", []Cell{{Text: "周宁"}}}}, Action: "/console/policies/e1", From: from, Diff: diff, Runs: runs, Document: "{\n  \"rules\": []\n}\n",
		Events: []EventRow{{At: noon, NameKey: "event.policy.submitted", Place: "周宁 · 张三说的"}}}
	first := PolicyEdition{Desk: desk, Crumbs: crumbs, Title: "Hufu", State: "in_force", Action: "/console/policies/e0", Diff: PolicyDiff{ID: "diff", Title: "和 – 相比"}, Runs: Block{ID: "runs", Key: "policy.simulations", None: "console.none.simulations"}}
	effective := PolicyEffective{Desk: desk, Crumbs: crumbs, Title: "对谁是什么要求", Lead: "按 v17", Action: "/console/policies/effective", Filters: []Input{{Name: "role", Label: "col.role", Kind: "select", Options: []Option{{"owner", "店主", true}}},
		{Name: "merchant", Label: "console.merchant.no", Optional: true}}, Blocks: []Table{{Caption: "policy.part.password", Columns: []string{"policy.field", "policy.value", "policy.decided"},
		Rows: [][]Cell{{{Text: "最短长度", Small: "password.min_length"}, {Text: "12"}, {Text: "来自规则“high value”，严于“default”的 10", Small: "取最大的"}}}}, {Caption: "policy.part.factors", Columns: []string{"policy.field"}, Rows: [][]Cell{{{Text: "x"}}}}}}
	person := effective
	person.Facts, person.Filters = []Fact{{"col.role", []Cell{{Key: "role.owner"}}}}, []Input{{Name: "user", Kind: "hidden", Value: "u1"}, from}
	running := PolicySimulation{Desk: desk, Crumbs: crumbs, Title: "v18 会影响谁", State: "running", Running: true, Done: 12000, Total: 200412, Words: "已看 12,000 / 200,412 人", Stop: "/console/simulations/s1/stop", Facts: []Fact{{"policy.sim.started", []Cell{{Time: noon}}}}}
	done := PolicySimulation{Desk: desk, Crumbs: crumbs, Title: "v18 会影响谁", State: "done", Done: 200412, Total: 200412, Words: "已看完全部 200,412 人", Says: "v18 让 12,480 人下次登录时改密码，没有人会被锁在外面。", Facts: running.Facts,
		Notes: []Note{{Tone: "warn", Icon: "info", Text: "模拟以后草稿又改过，下面是改以前的结果。"}}, Acts: []ActLink{{"policy.sim.export", "/console/simulations/s1/export", false}},
		Stats: []ConsoleStat{{"policy.effect.locked_out", 0, "得有人帮"}, {"policy.effect.must_recheck", 12480, "登录时改"}, {"policy.sim.asked", 3902, "最近 30 天 90,000 次登录里"}},
		Bars:  []PolicyBar{{"policy.effect.must_recheck", 12480, "/console/simulations/s1/people?effect=must_recheck"}, {"policy.effect.must_enrol", 3, "/console/simulations/s1/people?effect=must_enrol"}},
		Split: PolicySplit{Columns: []string{"policy.effect.must_recheck", "policy.effect.must_enrol"}, Rows: []PolicyGroup{{"高价值 · 店主", []int64{8120, 0}}, {"标准 · 店长", []int64{4360, 3}}}}}
	edit := ConsoleForm{Desk: desk, Form: Form{Errors: []FieldError{{"", "error.moved", nil}, {"document", "policy.bad.at", []any{"rules[0].set.password.min_lenght", "没有这一项"}}}}, Title: "改草稿", Crumbs: crumbs, Diffs: []PolicyDiff{diff, same}, Also: []Submit{{"rebase", "保存，改以 v18 为底稿"}},
		Action: "/console/policies/e1/edit", Submit: "policy.save", Cancel: "/console/policies/e1", Inputs: []Input{{Name: "title", Label: "policy.title", Hint: "policy.title_hint", Most: 80}, {Name: "document", Label: "policy.document", Hint: "policy.document_hint", Kind: "code", Value: `{"rules": ["</textarea>"]}`},
			{Name: "activate_at", Label: "policy.activate_at", HintText: "空着就是马上。时区 UTC+8", Type: "datetime-local", Optional: true}, {Name: "revision", Kind: "hidden", Value: "3"}}}
	list := ConsoleList{Desk: desk, Title: "console.policies", NewURL: "/console/policies/new", NewKey: "policy.new", Acts: []ActLink{{"policy.effective", "/console/policies/effective", false}, {"policy.new_emergency", "/console/policies/new?then=emergency", true}},
		Table: Table{Caption: "console.policies", Columns: []string{"policy.title", "console.col.state"}, Rows: [][]Cell{{{Text: "Hufu", URL: "/console/policies/e0"}, {State: "in_force"}}}}, Pager: Pager{"每页 50 条", "", ""}}
	people := ConsoleList{Desk: desk, Title: "policy.sim.people", Crumbs: crumbs, Action: "/console/simulations/s1/people", Acts: []ActLink{{"policy.sim.export", "/console/simulations/s1/export", false}},
		Filters: []Input{{Name: "effect", Label: "policy.sim.effect", Kind: "select", Options: []Option{{"", "全部", true}, {"must_recheck", "登录时改密码", false}}}}, Pager: Pager{"每页 50 条", "", "/console/simulations/s1/people?after=u2"},
		Table: Table{Caption: "policy.sim.people", Columns: []string{"console.col.name", "console.col.login", "col.role", "console.merchant.tier", "policy.sim.effects"},
			Rows: [][]Cell{{{Text: "林薇", URL: "/console/users/u1"}, {Text: "l***i", Mono: true}, {Key: "role.owner"}, {Text: "高价值"}, {Text: "登录时改密码"}}}}}
	nobody := people
	nobody.Table.Rows, nobody.Acts, nobody.None = nil, nil, Empty{Icon: "users", Title: "没有人"}
	return []sample{{"policies", list}, {"policy-people", people}, {"policy-people-none", nobody}, {"policy-edition", edition}, {"policy-edition-first", first}, {"policy-effective", effective}, {"policy-effective-person", person}, {"policy-simulation-running", running}, {"policy-simulation", done},
		{"policy-simulation-none", PolicySimulation{Desk: desk, Crumbs: crumbs, Title: "v18 会影响谁", State: "stopped", Words: "停下了"}}, {"policy-edit-refused", edit}}
}
