package templates

import (
	"strings"
	"testing"
	"time"
)

func recoverSamples() (all []sample) {
	kinds := []string{"username", "password", "second", "both"}
	hub := RecoverHub{Action: "/flows/f1/recover", Lost: "both", Login: "lin.wei", Shown: []RecoverShown{{By: "phone", Detail: "138****0001"}, {By: "mail", Detail: "l***@example.com", Void: "proof.weak"}},
		Ways: []Way{FactorWay("zh-CN", "kit", "/flows/f1/recover/way"), FactorWay("zh-CN", "totp", "/flows/f1/recover/way")}}
	now, wait, people, nothing, refused := hub, hub, hub, hub, hub
	now.Plan = RecoverPlan{How: "now", Password: true, Second: true, Kit: true, Withheld: "w1", Until: noon.Add(24 * time.Hour)}
	now.Factors = []Option{{Value: "c1", Text: "验证器 App · Chrome · Android", Chosen: true}, {Value: "c2", Text: "通行密钥 · 店里的电脑"}}
	wait.Plan = RecoverPlan{How: "wait", Password: true, Kit: true, Withheld: "w2", Hours: 24, Until: noon.Add(24 * time.Hour)}
	wait.Running, wait.Due = true, noon.Add(time.Hour)
	people.Plan, people.Form = RecoverPlan{How: "case", Barred: "frozen"}, bad("", "recover.running")
	people.FreezeCase = "482-913-0576"
	nothing.Plan = RecoverPlan{How: "nothing"}
	refused.Refused = "recover.locked"
	staff, free, hindered := people, now, refused
	staff.Plan, staff.Form = RecoverPlan{How: "case", Staff: true}, Form{}
	free.Plan.Withheld, free.Plan.Until = "", time.Time{}
	hindered.Refused, hindered.FreezeCase, hindered.Shown = "recover-hub.frozen", "482-913-0576", nil
	before := RecoverHub{Action: "/flows/f1/recover", Lost: "password", Login: "lin.wei", RestartURL: "/flows/f1/recover-who",
		Ways: []Way{CodeWay("zh-CN", "phone", "", "/flows/f1/recover/way", "introduce:phone"), CodeWay("zh-CN", "email", "", "/flows/f1/recover/way", "introduce:email"), FactorWay("zh-CN", "kit", "/flows/f1/recover/way")}}
	all = append(all, sample{"recover-password", Password{Form: Form{Prove: true}, Action: "/flows/f1/recover-proof", Login: "lin.wei", Face: "L", Ways: hub.Ways[:1]}},
		sample{"recover-totp", TOTP{Form: Form{Errors: []FieldError{{Field: "code", Key: "otp.wrong"}}, Prove: true}, Action: "/flows/f1/recover-proof", Login: "lin.wei", Ways: hub.Ways[:1]}})
	wide := now
	wide.Plan.Withheld = "w2"
	all = append(all, sample{"recover", Recover{Action: "/recover", Methods: kinds}}, sample{"recover-refused", Recover{Form: bad("", "recover.choose"), Action: "/recover", Methods: kinds}},
		sample{"recover-few", Recover{Action: "/recover", Methods: []string{"username", "both"}}},
		sample{"recover-other", RecoverOther{}}, sample{"recover-done", RecoverDone{}},
		sample{"recover-hub-before", before}, sample{"recover-hub-now", now}, sample{"recover-hub-w2", wide}, sample{"recover-hub-wait", wait}, sample{"recover-hub-case", people},
		sample{"recover-hub-nothing", nothing}, sample{"recover-hub-refused", refused}, sample{"recover-hub-staff", staff}, sample{"recover-hub-free", free}, sample{"recover-hub-frozen", hindered},
		sample{"recover-terminal", RecoverTerminal{Action: "/flows/f1/recover-proof", Resend: "/flows/f1/recover-proof/resend", Digits: 47, Until: noon.Add(5 * time.Minute), Ways: hub.Ways[:1]}},
		sample{"recover-terminal-wrong", RecoverTerminal{Form: bad("", "recover-terminal.wrong"), Action: "/flows/f1/recover-proof", Resend: "/flows/f1/recover-proof/resend", Digits: 47, Until: noon}},
		sample{"recover-link", RecoverLink{Action: "/recover/case", Token: "abc"}}, sample{"recover-shop", RecoverShop{Action: "/flows/f1/recover-proof", Digits: 8, Life: 15 * time.Minute, Ways: hub.Ways[:1]}},
		sample{"recover-shop-wrong", RecoverShop{Form: bad("code", "recover-shop.malformed", 8), Action: "/flows/f1/recover-proof", Digits: 8, Life: 15 * time.Minute}},
		sample{"recover-case", RecoverCase{CaseNumber: "482-913-0576"}}, sample{"recover-case-frozen", RecoverCase{CaseNumber: "482-913-0576", FreezeCase: "310-442-7789", Frozen: true}},
		sample{"recover-case-staff", RecoverCase{CaseNumber: "482-913-0576", Staff: true}},
		sample{"recover-running", RecoverRunning{Action: "/account/recovery", Start: noon.Add(-time.Hour), Due: noon.Add(23 * time.Hour), Password: true, May: true}},
		sample{"recover-running-low", RecoverRunning{Action: "/account/recovery", Start: noon.Add(-time.Hour), Due: noon.Add(23 * time.Hour)}},
		sample{"name-who", NameWho{Action: "/flows/f1/name-who"}}, sample{"name-who-refused", NameWho{Form: bad("contact", "name.malformed"), Action: "/flows/f1/name-who", Contact: "?"}},
		sample{"name-told", NameTold{Action: "/flows/f1/name-told", Names: []string{"lin.wei"}, Merchant: "林记小馆", LastUsed: noon}},
		sample{"name-told-none", NameTold{Action: "/flows/f1/name-told"}}, sample{"name-told-sent", NameTold{Action: "/flows/f1/name-told", Sent: true}},
		sample{"name-told-elsewhere", NameTold{Action: "/flows/f1/name-told", Sent: true, Elsewhere: true}},
		sample{"account-recovering", Account{Name: "林薇", Login: "lin.wei", RoleKey: "role.owner", Recovering: noon.Add(time.Hour)}})
	for _, lost := range kinds[1:] {
		all = append(all, sample{"recover-who-" + lost, RecoverWho{Action: "/flows/f1/recover-who", Lost: lost}})
	}
	for _, state := range []string{"waiting", "elsewhere", "done", "stopped", "withdrawn", "expired", "void"} {
		all = append(all, sample{"recover-wait-" + state, RecoverWait{Again: "/flows/f1", Stop: "/flows/f1/recover-wait/stop", State: state, Start: noon.Add(-2 * time.Hour), Middle: noon.Add(10 * time.Hour), Due: noon.Add(22 * time.Hour),
			Until: noon.Add(94 * time.Hour), Hours: 24, Gone: 2, Password: true, Second: state == "waiting", Told: []string{"138****0001", "l***@example.com"}, Ways: hub.Ways}})
	}
	return all
}

// The page that asks for the shop's code says what policy says of it.
func TestShopCodeIsAsPolicySays(t *testing.T) {
	for lang, says := range map[string]string{"en": "sees 9 digits, good for 10 minutes", "zh-CN": "会看到 9 位数字，10 分钟内有效"} {
		if page := draw(t, frame(lang), RecoverShop{Digits: 9, Life: 10 * time.Minute}); !strings.Contains(page, says) {
			t.Errorf("%s says not %q:\n%s", lang, says, page)
		}
	}
}
