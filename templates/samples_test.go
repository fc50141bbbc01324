package templates

import (
	"html/template"
	"slices"
	"time"
)

// A sample is a page with values that a person could meet. Every page has at least one.
type sample struct {
	Name    string
	Content Content
}

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, china)

func samples() []sample {
	return slices.Concat(doorSamples(), roomSamples(), deskSamples(), consoleSamples())
}

func bad(field, key string, args ...any) Form {
	return Form{Errors: []FieldError{{field, key, args}}, Explain: "482-913-0576"}
}

func withHint(f Form, key string) Form {
	f.Hint = key
	return f
}

const qr = template.HTML(`<svg role="img" aria-label="QR" viewBox="0 0 41 41"><path fill="#fff" d="M0 0h41v41H0z"/><path d="M4 4h7v7H4zM30 4h7v7h-7zM4 30h7v7H4z"/></svg>`)

var ways = []Way{
	{"phone", "短信验证码", "发到 138****0001", "/flows/f1/second/way", "code:1"},
	{"mail", "邮件验证码", "发到 l***i@example.com", "/flows/f1/other", ""},
}

func doorSamples() []sample {
	enrol := EnrolTOTP{Action: "/flows/f1/enrol", QR: qr, Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP", Account: "lin.wei", Steps: true,
		URL: "otpauth://totp/Hufu:lin.wei?secret=JBSWY3DPEHPK3PXP", Later: "/flows/f1/later"}
	refused := enrol
	refused.Form = withHint(bad("code", "otp.wrong"), "otp.hint")
	refused.Steps, refused.Later = false, ""
	approve := DeviceApprove{Action: "/device", UserCode: "BCDF-GHJK", ClientName: "收银", MerchantName: "林记小馆", StoreName: "鼓楼店",
		Model: "HF-E20", KindKey: "kind.esign", SerialTail: "4417", Network: "112.5.*.*", Age: 40 * time.Second, AskedAt: noon.Add(-40 * time.Second),
		Scopes: []string{"payments:read", "terminal", "x:unheard-of"}, Numbers: []int{18, 7, 63}, Named: true}
	unnamed := approve
	unnamed.Form, unnamed.Named = bad("match", "device-approve.pick"), false
	unnamed.MerchantName, unnamed.StoreName, unnamed.Model, unnamed.Numbers = "", "", "", []int{18, 47, 63}

	all := []sample{
		{"identify", Identify{Action: "/flows/f1/name", ClientName: "商户 App"}},
		{"identify-refused", Identify{Form: bad("identifier", "identify.empty"), Action: "/flows/f1/name"}},
		{"password", Password{Action: "/flows/f1/password", Login: "lin.wei", Face: "林", RestartURL: "/sign-in", SecondStep: true}},
		{"password-refused", Password{Form: withHint(bad("password", "pw.wrong"), "pw.hint"), Action: "/flows/f1/password", Login: "lin.wei",
			Face: "林", RestartURL: "/sign-in", SecondStep: true, Ways: ways[:1]}},
		{"new-password", NewPassword{Action: "/flows/f1/new-password", Login: "lin.wei", Least: 10}},
		{"new-password-join", NewPassword{Form: bad("again", "new-password.differ"), Action: "/flows/f1/new-password", Login: "lin.wei", Name: "林薇", Least: 12}},
		{"totp", TOTP{Action: "/flows/f1/totp", Login: "lin.wei", Ways: ways, TrustDays: 30}},
		{"totp-refused", TOTP{Form: withHint(bad("code", "otp.reused"), "otp.hint"), Action: "/flows/f1/totp", Login: "lin.wei", Ways: ways}},
		{"code-phone", Code{Action: "/flows/f1/code", Where: "138****0001", Channel: "phone", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5, Ways: ways[1:]}},
		{"code-mail-refused", Code{Form: bad("code", "code.expired"), Action: "/flows/f1/code", Where: "l***i@example.com", Channel: "mail",
			ResendAction: "/flows/f1/resend", Digits: 8, Minutes: 1, FirstStep: true}},
		{"enrol-totp", enrol}, {"enrol-totp-refused", refused},
		{"enrolled", Enrolled{Next: "/flows/f1"}},
		{"consent", Consent{Action: "/flows/f1/consent", ClientName: "商户 App", Login: "lin.wei",
			Scopes: []string{"openid", "profile", "phone", "email", "offline_access", "merchant", "settlement:manage"}, Money: true}},
		{"device-code", DeviceCode{Action: "/device"}},
		{"device-code-refused", DeviceCode{Form: bad("user_code", "dev.unknown"), Action: "/device", UserCode: "BCDFGHJJ"}},
		{"device-approve", approve}, {"device-approve-unnamed", unnamed},
		{"wait", Wait{Until: noon.Add(12 * time.Minute), Explain: "482-913-0576", RestartURL: "/sign-in"}},
		{"wait-seconds", Wait{Seconds: 45}},
		{"expired", Expired{RestartURL: "/sign-in", Explain: "482-913-0576"}},
		{"not-for-you", NotForYou{HomeURL: "/account", Login: "lin.wei"}},
		{"sign-out", SignOut{Action: "/sign-out", ClientName: "商户 App"}},
		{"sign-out-all", SignOut{Action: "/sign-out"}},
		{"signed-out", SignedOut{}}, {"signed-out-back", SignedOut{Next: "http://localhost:8081/"}},
	}
	for _, outcome := range []string{"approved", "denied", "wrong", "gone"} {
		all = append(all, sample{"device-done-" + outcome, DeviceDone{Outcome: outcome, Terminal: "电签 HF-E20 · 4417"}})
	}
	for _, status := range []int{400, 403, 404, 405, 413, 418, 422, 429, 500, 503} {
		all = append(all, sample{"problem-" + T("en", "time.span_seconds", status), Problem{Status: status, RequestID: "r-8Kq2Vn4TfW"}})
	}
	return append(all, sample{"problem-own", Problem{Status: 403, Title: "problem.403.title", Text: "public.s2", Args: []any{noon},
		WayURL: "/account", WayText: "account.title", Explain: "482-913-0576"}})
}

func roomSamples() []sample {
	start := Start{MerchantAppURL: "http://localhost:8081/", TerminalURL: "http://localhost:8082/", MessagesURL: "/dev/messages", Messages: 3,
		OwnerLogin: "lin.wei", AdminLogin: "he.min", Clients: []DemoClient{{"merchant-app", "client.public", "http://localhost:8081/callback"},
			{"settlement", "client.confidential", ""}},
		Accounts: []DemoAccount{{"role.owner", "lin.wei", []string{"where.merchant_app", "where.terminal"}, "second.totp"},
			{"role.cashier", "chen.xy", []string{"where.terminal"}, "second.none"}, {"role.auditor", "shen.yi", []string{"where.console"}, "second.totp"}}}
	account := Account{Name: "林薇", Login: "lin.wei", RoleKey: "role.owner", MerchantName: "林记小馆", Saved: "account.saved.ended",
		Factors: []FactorRow{{"factor.password", "", "lock", noon.AddDate(0, -2, 0), noon.Add(-4 * time.Hour)},
			{"factor.totp", "林薇的手机", "clock", noon.AddDate(0, -5, 0), time.Time{}}},
		Sessions: []SessionRow{{"s1", "福建福州", "Chrome · Android", noon.Add(-4 * time.Hour), noon.Add(-30 * time.Second), true},
			{"s2", "福建福州", "Edge · Windows", noon.AddDate(0, 0, -3), noon.Add(-26 * time.Hour), false}},
		Events: []EventRow{{noon.Add(-4 * time.Hour), "event.signin.succeeded", "Chrome · Android · 福建福州", "ok"},
			{noon.AddDate(0, 0, -1), "event.signin.failed", "112.5.*.*", "warn"}, {noon.AddDate(-1, 0, 0), "event.factor.enrolled", "", ""}},
		EndAction: "/account/sessions/end", EndAllAction: "/account/sessions/end-others"}
	bare := Account{Name: "陈小雨", Login: "chen.xy", RoleKey: "role.cashier", CanEnrol: true, EnrolURL: "/account/authenticator"}
	return []sample{
		{"start", start}, {"account", account}, {"account-bare", bare},
		{"messages", Messages{Items: []MessageRow{
			{noon, "channel.sms", "138****0001", "", "【示范收单】登录验证码 123456，5 分钟内有效。\n\n@localhost #123456"},
			{noon.Add(-time.Hour), "channel.mail", "l***i@example.com", "您的账户在新的浏览器上登录了", "林薇，您好。\n\n您的账户在新的浏览器上登录了。"}}}},
		{"messages-none", Messages{}},
	}
}
