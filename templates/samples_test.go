package templates

import (
	"fmt"
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
	return slices.Concat(doorSamples(), roomSamples(), accountSamples(), deskSamples(), consoleSamples(), policySamples(), recoverSamples(), helpSamples())
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
	approve := DeviceApprove{Action: "/device", UserCode: "BCDF-GHJK", Name: "林薇", Username: "lin.wei", ClientName: "收银", MerchantName: "林记小馆", StoreName: "鼓楼店",
		Model: "HF-E20", KindKey: "kind.esign", SerialTail: "4417", Network: "112.5.*.*", Age: 40 * time.Second, AskedAt: noon.Add(-40 * time.Second),
		Scopes: []string{"payments:read", "terminal", "x:unheard-of"}, Numbers: []int{18, 7, 63}, Named: true}
	rekeyed := approve
	rekeyed.Rekeyed, rekeyed.Software = true, "4.10.2"
	barred := approve
	barred.Form, barred.Barred = bad("", "device.frozen"), true
	unnamed := approve
	unnamed.Form, unnamed.Named = bad("match", "device-approve.pick"), false
	unnamed.MerchantName, unnamed.StoreName, unnamed.Model, unnamed.Numbers = "", "", "", []int{18, 47, 63}

	all := []sample{
		{"identify-passkey", Identify{Action: "/flows/f1/identify", ClientName: "商户 App", Passkey: &Passkey{Options: "/flows/f1/identify/challenge", Action: "/flows/f1/identify", Auto: true}}},
		{"identify-passkey-unknown", Identify{Form: bad("", "key.unknown"), Action: "/flows/f1/identify", Identifier: "lin.wei",
			Passkey: &Passkey{Options: "/flows/f1/identify/challenge", Action: "/flows/f1/identify", Auto: true}}},
		{"identify-known", Identify{Action: "/flows/f1/name", Known: []KnownName{{"l***i", "0"}, {"c***y", "1"}}}},
		{"password-masked", Password{Action: "/flows/f1/password", Login: "l***i", Masked: true, Face: "L", RestartURL: "/sign-in"}},
		{"identify", Identify{Action: "/flows/f1/name", ClientName: "商户 App"}},
		{"identify-refused", Identify{Form: bad("identifier", "identify.empty"), Action: "/flows/f1/name"}},
		{"password", Password{Action: "/flows/f1/password", Login: "lin.wei", Face: "林", RestartURL: "/sign-in", SecondStep: true}},
		{"password-refused", Password{Form: withHint(bad("password", "pw.wrong"), "pw.hint"), Action: "/flows/f1/password", Login: "lin.wei",
			Face: "林", RestartURL: "/sign-in", SecondStep: true, Ways: ways[:1]}},
		{"new-password", NewPassword{Action: "/flows/f1/new-password", Check: "/flows/f1/new-password/check", Login: "lin.wei", Least: 10, Rules: PasswordRules{
			Lines: []PasswordRule{{Name: "min_length", Args: []any{10}}, {Name: "patterns"}, {Name: "personal"}, {Name: "known"}, {Name: "min_score"}, {Name: "history_count", Args: []any{5}}}}}},
		{"new-password-weak", NewPassword{Form: bad("password", "password.phone"), Action: "/flows/f1/new-password", Check: "/flows/f1/new-password/check", Login: "lin.wei", Least: 10,
			Rules: PasswordRules{Told: true, Score: 1, Lines: []PasswordRule{{Name: "min_length", Args: []any{10}, Told: true, Met: true}, {Name: "patterns", Told: true, Met: true},
				{Name: "personal", Told: true, Why: []FieldError{{Key: "password.phone"}, {Key: "password.pinyin"}}}, {Name: "min_score", Told: true, Why: []FieldError{{Key: "password.weak"}}}}}}},
		{"new-password-join", NewPassword{Form: bad("again", "new-password.differ"), Action: "/flows/f1/new-password", Login: "lin.wei", Name: "林薇", Least: 12}},
		{"new-password-lost", NewPassword{Action: "/flows/f1/new-password", Login: "138****0001", Least: 10, Lost: true, Username: "lin.wei"}},
		{"totp", TOTP{Action: "/flows/f1/totp", Login: "lin.wei", Ways: ways, TrustDays: 30}},
		{"totp-refused", TOTP{Form: withHint(bad("code", "otp.reused"), "otp.hint"), Action: "/flows/f1/totp", Login: "lin.wei", Ways: ways}},
		{"code-phone", Code{Action: "/flows/f1/code", Where: "138****0001", Channel: "phone", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5, Ways: ways[1:]}},
		{"code-mail-refused", Code{Form: bad("code", "code.expired"), Action: "/flows/f1/code", Where: "l***i@example.com", Channel: "mail",
			ResendAction: "/flows/f1/resend", Digits: 8, Minutes: 1, FirstStep: true}},
		{"enrol-totp", enrol}, {"enrol-totp-refused", refused},
		{"consent", Consent{Action: "/flows/f1/consent", ClientName: "商户 App", Login: "lin.wei",
			Scopes: []string{"openid", "profile", "phone", "email", "offline_access", "merchant", "settlement:manage"}, Money: true}},
		{"device-code", DeviceCode{Action: "/device"}},
		{"device-code-refused", DeviceCode{Form: bad("user_code", "dev.unknown"), Action: "/device", UserCode: "BCDFGHJJ"}},
		{"device-approve", approve}, {"device-approve-rekeyed", rekeyed}, {"device-approve-unnamed", unnamed}, {"device-approve-barred", barred},
		{"wait", Wait{Until: noon.Add(12 * time.Minute), Explain: "482-913-0576", RestartURL: "/sign-in"}},
		{"wait-seconds", Wait{Seconds: 45}},
		{"expired", Expired{RestartURL: "/sign-in", Explain: "482-913-0576"}},
		{"expired-elsewhere", Expired{Lead: "expired.elsewhere", RestartURL: "/sign-in", Explain: "482-913-0576"}},
		{"not-for-you", NotForYou{HomeURL: "/account", Login: "lin.wei"}},
		{"not-for-you-lost", NotForYou{HomeURL: "/account", Login: "陈小燕", Saved: "console.saved.changed", Terminals: []Way{{Icon: "terminal", Title: "HF-E20 · 尾号 4417", Small: "电签", URL: "/console/terminals/t1/lost"}}}},
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
	all = append(all, secondSamples()...)
	return append(all, sample{"problem-own", Problem{Status: 403, Title: "problem.403.title", Text: "public.s2", Args: []any{noon},
		WayURL: "/account", WayText: "account.title", Explain: "482-913-0576"}})
}

// secondSamples are the pages that ask for, or bind, what else than a password proves a person, and those that stop or
// take back something.
func secondSamples() []sample {
	work := &Work{Challenge: "Gm7sD1XVjKp2bA.1773115200.20", Bits: 20}
	passkey := &Passkey{Options: "/flows/f1/second/challenge", Action: "/flows/f1/second"}
	codes := RecoveryCodes{Action: "/flows/f1/recovery-codes", Sheet: "/flows/f1/recovery-codes/sheet", Slip: "/flows/f1/recovery-codes/slip", Kit: "/flows/f1/recovery-codes/kit",
		File: "/flows/f1/recovery-codes/file", Login: "lin.wei", Operator: "示范收单", IssuerHost: "localhost:8080", Made: noon, Steps: true, Codes: []string{"7K3M-Q2XD-0V8R-A9TZ", "C2RW-HN8D-E4KX-Q7MV", "P9VT-3GKX-41ZD-W5NC",
			"M4XJ-QR7F-TB2H-8DYK", "8DHN-WK2C-P6VR-3XMA", "T6GX-V9MQ-3JFB-C0WZ", "F3CP-7XRD-KH8N-2QVT", "N8WK-2JTH-6MGC-X4RD", "Q5MV-DF4X-R9ZB-7KHP", "H2TR-9KNW-C1XD-G6VM"}}
	again := codes
	again.Form, again.Replaces, again.Steps = bad("kept", "recovery-codes.keep"), true, false
	paper := KitPaper{Back: "/flows/f1/recovery-codes", Host: "localhost:8080", Login: "lin.wei", MerchantNo: "822290059430001", MerchantName: "林记小馆", Codes: codes.Codes, Made: noon, QR: qr,
		Terminals: []KitTerminal{{"4417", "HF-E20", "鼓楼店"}, {"0931", "HF-S9", "五四路店"}, {"7720", "HF-T3", "五四路店"}}}
	slip := paper
	slip.Slip = true
	long, staff := slip, KitPaper{Back: "/x", Host: "localhost:8080", Login: "he.min", Codes: codes.Codes, Made: noon, QR: qr}
	long.MerchantName, long.Login, long.More = "福州市鼓楼区五四路林记沙县小吃餐饮管理有限公司", "lin.wei.of.the.long.name.20260310", true
	full := long // as many terminals as a kit names, in shops of long names
	full.Terminals = nil
	for i := range 20 {
		full.Terminals = append(full.Terminals, KitTerminal{fmt.Sprintf("%04d", 1000+i), "HF-E20-Professional-2026", []string{"福州市鼓楼区五四路一百一十九号国际大厦一层沙县小吃店", "Supercalifragilisticexpialidocious Branch", ""}[i%3]})
	}
	fullSheet := full
	fullSheet.Slip = false
	file := KitFile{Action: "/flows/f1/recovery-codes/kit", Back: "/flows/f1/recovery-codes", Least: 12, Address: "localhost:8080/kit"}
	weak := file
	weak.Form = bad("passphrase", "kit.passphrase_weak")
	enrol := EnrolPasskey{Action: "/flows/f1/enrol-passkey", Options: "/flows/f1/enrol-passkey/challenge", Label: "林薇的手机", Account: "lin.wei",
		Other: "/flows/f1/factor", Steps: true, Later: "/flows/f1/later"}
	alone := enrol
	alone.Form, alone.Other, alone.Steps, alone.Later = bad("label", "label.long"), "", false, ""
	stop := Freeze{Action: "/stop", Token: "t0k3n", EventKey: "event.signin.succeeded", At: noon.Add(-time.Hour), Place: "112.5.6.0/24", Sessions: -1, Terminals: -1}
	mine := Freeze{Action: "/account/freeze", Event: "e1", EventKey: "event.factor.enrolled", At: noon.Add(-time.Hour), Sessions: 2, Terminals: 3, Back: "/account"}
	counted := Freeze{Form: bad("", "public.s2", noon), Action: "/stop", Token: "t0k3n", Sessions: 1, Terminals: 1}
	many := stop
	many.OnlyCase = true
	due := noon.AddDate(0, 0, 1)
	return []sample{
		{"password-passkey", Password{Action: "/flows/f1/password", Login: "lin.wei", Face: "林", RestartURL: "/sign-in", SecondStep: true, Passkey: passkey, Work: work,
			TrustDays: 30, Ways: ways[:1]}},
		{"totp-work", TOTP{Action: "/flows/f1/totp", Login: "lin.wei", Work: work, TrustDays: 1}},
		{"code-unsent", Code{Action: "/flows/f1/code", Where: "138****0001", Channel: "phone", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5, Unsent: true, Work: work, Ways: ways[1:]}},
		{"code-unsent-mail", Code{Action: "/flows/f1/code", Where: "l***i@example.com", Channel: "mail", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5, Unsent: true}},
		{"code-unsent-whoever", Code{Form: bad("", "send.limit", noon), Action: "/flows/f1/code", Channel: "phone", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5,
			Unsent: true, Whoever: true, FirstStep: true, Work: work}},
		{"code-unsent-whoever-mail", Code{Action: "/flows/f1/code", Channel: "mail", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5, Unsent: true, Whoever: true, FirstStep: true}},
		{"code-whoever", Code{Action: "/flows/f1/code", Channel: "phone", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 5, Whoever: true, FirstStep: true, TrustDays: 30,
			Work: work, Guess: work, Ways: ways}},
		{"code-whoever-mail", Code{Action: "/flows/f1/code", Channel: "mail", ResendAction: "/flows/f1/resend", Digits: 6, Minutes: 1, Whoever: true, FirstStep: true}},
		{"key", Key{Passkey: passkey, Login: "lin.wei", TrustDays: 30, Steps: true, Ways: ways}},
		{"key-refused", Key{Form: bad("", "key.unknown"), Passkey: passkey, Login: "lin.wei"}},
		{"key-alone", Key{Passkey: passkey, Login: "lin.wei", Steps: true, RestartURL: "/sign-in"}},
		{"backup", Backup{Action: "/flows/f1/second", Login: "lin.wei", Work: work, Steps: true, Ways: ways}},
		{"backup-file", Backup{Form: bad("passphrase", "kit.passphrase_wrong"), Action: "/flows/f1/second", Login: "lin.wei"}},
		{"backup-typo", Backup{Form: bad("code", "backup.typo"), Action: "/flows/f1/second", Login: "lin.wei"}},
		{"offer", Offer{Action: "/flows/f1/offer", Until: noon.AddDate(0, 0, 21)}},
		{"offer-alone", Offer{Action: "/flows/f1/offer", Until: noon.AddDate(0, 0, 21), Alone: true}},
		{"offer-app", Offer{Form: bad("", "offer.choose"), Action: "/flows/f1/offer", Asked: "app"}},
		{"offer-console", Offer{Action: "/flows/f1/offer", Asked: "console"}},
		{"choose-factor", ChooseFactor{Action: "/flows/f1/factor", Passkey: true, TOTP: true}},
		{"choose-factor-after", ChooseFactor{Action: "/flows/f1/factor", After: "backup", Passkey: true, TOTP: true, Later: "/flows/f1/later"}},
		{"choose-factor-passkey", ChooseFactor{Action: "/flows/f1/factor", Passkey: true}},
		{"enrol-passkey", enrol}, {"enrol-passkey-refused", alone},
		{"recovery-codes", codes}, {"recovery-codes-refused", again},
		{"kit-sheet", paper}, {"kit-slip", slip}, {"kit-slip-long", long}, {"kit-slip-full", full}, {"kit-sheet-full", fullSheet}, {"kit-sheet-staff", staff}, {"kit-file", file}, {"kit-file-weak", weak},
		{"kit-open", KitOpen{Action: "/kit"}}, {"kit-open-wrong", KitOpen{Form: bad("kit", "kit.file_wrong"), Action: "/kit"}}, {"kit-contents", KitContents{paper}},
		{"new-contact-phone", NewContact{Action: "/flows/f1/contact", Kind: "phone", Work: work, Back: "/account/contacts"}},
		{"new-contact-phone-change", NewContact{Form: bad("contact", "new-contact.malformed_phone"), Action: "/flows/f1/contact", Kind: "phone", Old: "138****0001", Value: "1390000", Back: "/account/contacts"}},
		{"new-contact-mail", NewContact{Action: "/flows/f1/contact", Kind: "email"}},
		{"new-contact-mail-change", NewContact{Action: "/flows/f1/contact", Kind: "email", Old: "l***i@example.com", Back: "/account/contacts"}},
		{"new-username", NewUsername{Action: "/flows/f1/username", Old: "lin.wei", Days: 365, Back: "/account/contacts"}},
		{"new-username-refused", NewUsername{Form: bad("username", "new-username.malformed"), Action: "/flows/f1/username", Value: "13800000001"}},
		{"freeze-link", stop}, {"freeze-mine", mine}, {"freeze-counted", counted}, {"freeze-case", many},
		{"freeze-bare", Freeze{Action: "/account/freeze", Back: "/account"}},
		{"frozen", Frozen{CaseNumber: "C-2026-000123", Due: due}},
		{"frozen-mine", Frozen{CaseNumber: "C-2026-000123", Due: due, SignedIn: true}},
		{"frozen-already", Frozen{Already: true}},
		{"frozen-case", Frozen{CaseNumber: "C-2026-000123", Due: due, OnlyCase: true}},
		{"undo-phone", Undo{Action: "/undo", Token: "t0k3n", Kind: "phone", Old: "138****0001", New: "139****0002", At: noon.Add(-time.Hour), Until: due}},
		{"undo-mail", Undo{Form: bad("", "public.s2", noon), Action: "/undo", Token: "t0k3n", Kind: "email", Old: "l***i@example.com", At: noon.Add(-time.Hour), Until: due}},
		{"undone-phone", Undone{Kind: "phone", Old: "138****0001"}}, {"undone-mail", Undone{Kind: "email", Old: "l***i@example.com"}},
		{"undone-gone", Undone{Kind: "phone", Old: "138****0001", Gone: true}},
		{"link-gone-freeze", LinkGone{Kind: "freeze", Explain: "482-913-0576"}}, {"link-gone-undo", LinkGone{Kind: "undo", Explain: "482-913-0576"}}, {"link-gone-case", LinkGone{Kind: "case", Explain: "482-913-0576"}},
		{"confirm", Confirm{TitleKey: "account.remove", TextKey: "account.undo", Args: []any{"138****0001", "12:00"}, ButtonKey: "account.remove", Action: "/account/factors/remove",
			Hidden: map[string]string{"credential": "c1"}, Danger: true, Back: "/account/factors", Tab: "factors"}},
		{"confirm-refused", Confirm{Form: bad("", "public.s2", noon), TitleKey: "account.end_all", ButtonKey: "account.end_all", Action: "/account/sessions/end-others"}},
		{"unfreeze", Unfreeze{Action: "/account/unfreeze", CaseNumber: "C-2026-000123", Can: true}},
		{"unfreeze-not", Unfreeze{Form: bad("", "public.s2", noon), Action: "/account/unfreeze"}},
	}
}

func roomSamples() []sample {
	start := Start{MerchantAppURL: "http://localhost:8081/", TerminalURL: "http://localhost:8082/", MessagesURL: "/dev/messages", Messages: 3,
		OwnerLogin: "lin.wei", AdminLogin: "he.min", Clients: []DemoClient{{"merchant-app", "client.public", "http://localhost:8081/callback"},
			{"settlement", "client.confidential", ""}},
		Accounts: []DemoAccount{{"role.owner", "lin.wei", []string{"where.merchant_app", "where.terminal"}, "second.totp"},
			{"role.cashier", "chen.xy", []string{"where.terminal"}, "second.none"}, {"role.auditor", "shen.yi", []string{"where.console"}, "second.totp"}}}
	return []sample{
		{"start", start},
		{"messages", Messages{Items: []MessageRow{
			{noon, "channel.sms", "138****0001", "", "【示范收单】登录验证码 123456，5 分钟内有效。\n\n@localhost #123456"},
			{noon.Add(-time.Hour), "channel.mail", "l***i@example.com", "您的账户在新的浏览器上登录了", "林薇，您好。\n\n您的账户在新的浏览器上登录了。"}}}},
		{"messages-none", Messages{}},
	}
}
