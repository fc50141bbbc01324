package templates

import (
	"slices"
	"time"
)

func accountSamples() []sample {
	activity := AccountActivity{Saved: "account.saved.answered", Events: deeds(), Action: "/account/activity", Older: "/account/activity?before=e5", Newest: "/account/activity"}
	return slices.Concat(overviewSamples(), factorSamples(), contactSamples(), accessSamples(), []sample{
		{"account-activity", activity}, {"account-activity-none", AccountActivity{}}, {"account-data", AccountData{Action: "/account/data"}},
		{"account-call", AccountCall{}}, {"account-call-asked", AccountCall{Caller: "4821", Until: noon}}, {"account-call-heard", AccountCall{Caller: "4821", Agent: "0376", Until: noon}},
	})
}

func deeds() []EventRow {
	return []EventRow{
		{ID: "e1", At: noon.Add(-20 * time.Minute), NameKey: "event.signin.newbrowser", Place: "福建福州", Device: "Edge · Windows", Tone: "now", Ask: true},
		{ID: "e2", At: noon.Add(-4 * time.Hour), NameKey: "event.device.approved", Detail: "电签 HF-E20，尾号 4417", Device: "Chrome · Android", Tone: "ok"},
		{ID: "e3", At: noon.AddDate(0, 0, -1), NameKey: "event.signin.failed", Place: "112.5.6.0/24", Tone: "warn", Answer: "not_me"},
		{ID: "e4", At: noon.AddDate(0, 0, -1), NameKey: "event.codes.used", Detail: T("zh-CN", "account.codes_left", 2), Tone: "ok", Answer: "me"},
		{ID: "e5", At: noon.AddDate(-1, 0, 0), NameKey: "event.factor.enrolled"},
	}
}

func overviewSamples() []sample {
	events := deeds()
	account := Account{Name: "林薇", Login: "lin.wei", Username: "lin.wei", RoleKey: "role.owner", MerchantName: "林记小馆", Events: events[:3], Checks: []Check{
		{Done: true, TitleKey: "check.second", TextKey: "check.second.done"},
		{TitleKey: "check.spare", TextKey: "check.spare.few", Args: []any{2}, URL: "/account/codes", DoKey: "check.spare.do"},
		{Done: true, TitleKey: "check.channels", TextKey: "check.channels.done"}}}
	frozen := account
	frozen.Frozen, frozen.FrozenAt, frozen.CaseNumber, frozen.Saved = true, noon.Add(-time.Hour), "482-913-0576", "account.saved.answered"
	bare := Account{Name: "陈小雨", Login: "139****0003", RoleKey: "role.cashier", Checks: []Check{
		{TitleKey: "check.second", TextKey: "check.second.none", URL: "/account/enrol", DoKey: "check.second.do"},
		{TitleKey: "check.spare", TextKey: "check.spare.none", URL: "/account/codes", DoKey: "check.spare.do"},
		{TitleKey: "check.channels", TextKey: "check.channels.stale_phone", URL: "/account/contacts", DoKey: "check.channels.look"},
		{TitleKey: "check.password", TextKey: "check.password.old", URL: "/account/password", DoKey: "check.password.do"}}}
	bare.Closed = []ClosedWay{{FactorKey: "factor.password", Since: noon.Add(-time.Hour), Until: noon.Add(17 * time.Hour), Ways: []string{"open.known", "open.passkey", "open.code"}},
		{FactorKey: "factor.totp", Until: noon.Add(100 * time.Hour), Ways: []string{"open.backup"}}, {FactorKey: "factor.code", Since: noon}, {FactorKey: "factor.backup", All: true, Until: noon.Add(time.Hour), Ways: []string{"open.totp"}}}
	bare.Still = &ContactRow{ID: "i1", Masked: "138****0001", Verified: true, Stale: true, ConfirmAction: "/account/contact/confirm", ChangeURL: "/account/contact/change?id=i1"}
	frozen.Closed = []ClosedWay{{FactorKey: "factor.backup", All: true, Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}}
	bare.Checks = append(bare.Checks, Check{TitleKey: "check.password", TextKey: "check.password.soon", Args: []any{7}, URL: "/account/password", DoKey: "check.password.do"})
	safe := Account{Name: "林薇", Login: "lin.wei", Username: "lin.wei", RoleKey: "role.owner", Saved: "account.saved.unfrozen", Events: events[1:2], Checks: account.Checks[:1]}
	taking, giving := account, account
	taking.Handover = &HandoverNote{State: "proposed", Mine: true, Due: noon.AddDate(0, 0, 3), URL: "/console/handovers/h1"}
	taking.Leaves, taking.LeaveURL = noon.AddDate(0, 0, 20), "/account/leave"
	giving.Handover = &HandoverNote{State: "cooling", Due: noon.AddDate(0, 0, 1), URL: "/console/handovers/h1"}
	leave := AccountLeave{Action: "/account/leave", Day: "2026-03-10"}
	earlier := AccountLeave{Form: bad("day", "leave.later"), Action: "/account/leave", Set: noon}
	return []sample{{"account-handover-taking", taking}, {"account-handover-giving", giving}, {"account-leave", leave}, {"account-leave-refused", earlier}, {"account", account}, {"account-frozen", frozen}, {"account-bare", bare}, {"account-safe", safe}}
}

const factorSignal = `{"rpId":"id.example","userId":"dTE","allAcceptedCredentialIds":["azE"],"name":"lin.wei","displayName":"林薇"}`

func factorSamples() []sample {
	const rename = "/account/factors/rename"
	factors := AccountFactors{Saved: "account.saved.renamed", HasPassword: true, PasswordChanged: noon.AddDate(0, -2, 0), PasswordURL: "/account/password",
		PasskeyURL: "/account/factors/passkey", TOTPURL: "/account/factors/totp", CodesURL: "/account/factors/codes", Codes: 2, CodesFew: true, CodesMade: noon.AddDate(0, -4, 0),
		Signal: factorSignal,
		TOTP: &FactorRow{ID: "t1", LabelKey: "factor.totp", Label: "林薇的手机", Icon: "clock", Added: noon.AddDate(0, -5, 0), LastUsed: noon.Add(-4 * time.Hour),
			RenameAction: rename, Remove: "/account/factors/t1/remove"},
		Passkeys: []FactorRow{
			{ID: "k1", LabelKey: "factor.passkey", Label: "林薇的手机", Model: "iCloud 钥匙串", Icon: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", Added: noon.AddDate(0, -3, 0),
				LastUsed: noon.Add(-26 * time.Hour), Synced: true, RenameAction: rename, Remove: "/account/factors/k1/remove"},
			{ID: "k2", LabelKey: "factor.passkey", Label: "店里的电脑", Added: noon.AddDate(0, 0, -1), DeviceBound: true, RenameAction: rename,
				Remove: "/account/factors/k2/remove"},
			{ID: "k4", LabelKey: "factor.passkey", Label: "新手机", Added: noon, Unsynced: true, RenameAction: rename, Remove: "/account/factors/k4/remove"},
			{ID: "k3", LabelKey: "factor.passkey", Icon: "data:text/html;base64,eA==", Added: noon.AddDate(-1, 0, 0), LastUsed: noon.AddDate(0, 0, -2), Blocked: true,
				RenameAction: rename, Remove: "/account/factors/k3/remove"}}}
	last := AccountFactors{HasPassword: true, PasswordURL: "/account/password", PasskeyURL: "/p", TOTPURL: "/t", CodesURL: "/c", Codes: 9,
		TOTP: &FactorRow{ID: "t1", LabelKey: "factor.totp", Icon: "clock", Added: noon, RenameAction: rename, Last: true}}
	none := AccountFactors{Codes: -1, PasswordURL: "/account/password", PasskeyURL: "/p", TOTPURL: "/t", CodesURL: "/c"}
	return []sample{{"account-factors", factors}, {"account-factors-last", last}, {"account-factors-none", none}}
}

func contactSamples() []sample {
	contacts := AccountContacts{Saved: "account.saved.contact", Username: "lin.wei", Former: []string{"linwei", "lin-88"}, UsernameURL: "/account/username",
		AddPhone: "/account/contacts/phone", AddMail: "/account/contacts/email", Signal: factorSignal,
		Phones: []ContactRow{{ID: "i1", Masked: "138****0001", Verified: true, Proven: noon.AddDate(0, 0, -70), Stale: true, ConfirmAction: "/account/contact/confirm", ChangeURL: "/account/contacts/i1/change"},
			{ID: "i4", Masked: "139****0004", Verified: true, Proven: noon.AddDate(0, 0, -7), Disputed: noon.AddDate(0, 0, 6), ChangeURL: "/account/contacts/i4/change"}},
		Emails: []ContactRow{
			{ID: "i2", Masked: "l***@example.com", Verified: true, Proven: noon.Add(-2 * time.Hour), ChangeURL: "/account/contacts/i2/change", Remove: "/account/contacts/i2/remove",
				Old: "w***@example.net", UndoUntil: noon.Add(70 * time.Hour), UndoAction: "/account/contacts/undo", Change: "c1"},
			{ID: "i3", Masked: "s***@example.org", ChangeURL: "/account/contacts/i3/change", Remove: "/account/contacts/i3/remove"}}}
	none := AccountContacts{UsernameURL: "/account/username", AddPhone: "/p", AddMail: "/m"}
	return []sample{{"account-contacts", contacts}, {"account-contacts-none", none}}
}

func accessSamples() []sample {
	devices := AccountDevices{Saved: "account.saved.ended", EndAction: "/account/sessions/end", EndAllAction: "/account/sessions/end-others",
		RevokeAction: "/account/browsers/revoke", DistrustAction: "/account/browsers/distrust",
		Sessions: []SessionRow{{"s1", "福建福州", "Chrome · Android", noon.Add(-4 * time.Hour), noon.Add(-30 * time.Second), true},
			{"s2", "112.5.6.0/24", "Edge · Windows", noon.AddDate(0, 0, -3), noon.Add(-26 * time.Hour), false}},
		Browsers: []BrowserRow{{"b1", "Chrome · Android", "福建福州", noon.AddDate(0, -2, 0), noon.Add(-4 * time.Hour), noon.AddDate(0, 0, 26), true},
			{"b2", "Edge · Windows", "112.5.6.0/24", noon.AddDate(0, -1, 0), noon.AddDate(0, 0, -3), time.Time{}, false}}}
	apps := AccountApps{Saved: "account.saved.withdrawn", WithdrawAction: "/account/apps/withdraw", EndAction: "/account/apps/end",
		Apps: []AppRow{{"merchant-app", "商户 App", []string{"openid", "profile", "offline_access", "settlement:manage"}, noon.AddDate(0, -1, 0), noon.Add(-time.Hour), true},
			{"books", "记账本", nil, noon.AddDate(0, -6, 0), time.Time{}, false}},
		Terminals: []ApprovedRow{{"g1", "HF-E20", "kind.esign", "4417", "鼓楼店", noon.Add(-4 * time.Hour)}, {"g2", "HF-S1", "", "", "", noon.AddDate(0, 0, -9)}}}
	return []sample{{"account-devices", devices}, {"account-devices-none", AccountDevices{}}, {"account-apps", apps}, {"account-apps-none", AccountApps{}}}
}
