package admin

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// Every field, rule of merging, effect, difference and problem has its words in every language.
func TestPolicyHasWords(t *testing.T) {
	var keys []string
	for _, f := range policy.Fields() {
		for part := range strings.SplitSeq(f.Path, ".") {
			keys = append(keys, "policy.part."+part)
		}
		keys = append(keys, "policy.op."+string(f.Merge))
		for _, word := range f.Words {
			keys = append(keys, "policy.word."+word)
		}
	}
	for _, e := range policy.EffectNames {
		keys = append(keys, "policy.effect."+e.Name, "policy.effect."+e.Name+"_small")
	}
	for _, e := range []policy.Effect{policy.Stricter, policy.Looser, policy.Added, policy.Removed, policy.Altered} {
		keys = append(keys, "policy.change."+string(e))
	}
	for _, s := range []idp.SimulationState{idp.SimulationQueued, idp.SimulationRunning, idp.SimulationDone, idp.SimulationStopped, idp.SimulationFailed} {
		keys = append(keys, "state."+string(s))
	}
	for _, s := range editionStates {
		keys = append(keys, "state."+s.words, "state."+editionState(idp.Edition{State: s.state}))
	}
	sources, err := filepath.Glob("../policy/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(err)
	}
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, regexp.MustCompile(`policy\.bad\.[a-z0-9_]+`).FindAllString(string(source), -1)...)
	}
	for _, l := range templates.Languages() {
		for _, key := range keys {
			if strings.HasPrefix(templates.T(l.Tag, key), "⟦") {
				t.Errorf("%s: no text %q", l.Tag, key)
			}
		}
	}
}

// A council is a console with two policy administrators who can sign in under a policy.
type council struct {
	*house
	one, two *browser
}

func newCouncil(t *testing.T, s *storage.Store) *council {
	h := newHouse(t, s)
	second := h.user(idp.RolePolicyAdmin, "", "second.admin", "二号")
	for _, u := range []idp.User{h.staff[idp.RolePolicyAdmin], second} {
		for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP} {
			h.must(s.AddCredential(t.Context(), &idp.Credential{UserID: u.ID, Method: m, Data: []byte("x")}))
		}
	}
	return &council{house: h, one: h.as(h.staff[idp.RolePolicyAdmin], 0), two: h.as(second, 0)}
}

// document is the shipped one with a value of the default rule put in place of another.
func document(from, to string) string {
	text := string(policy.Default().Document.Format())
	if !strings.Contains(text, from) {
		panic(from)
	}
	return strings.Replace(text, from, to, 1)
}

func hidden(text, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="(\d+)"`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// begin makes a draft through the pages and returns its path.
func (c *council) begin(b *browser) string {
	c.t.Helper()
	res := b.post("/console/policies/new", "from", "1")
	b.expect(res, 303, "/edit")
	return strings.TrimSuffix(res.Header.Get("Location"), "/edit")
}

func (b *browser) save(path, title, document string, more ...string) {
	b.t.Helper()
	text := b.expect(b.get(path+"/edit"), 200, `class="mono" id="document"`)
	b.expect(b.post(path+"/edit", append(more, "title", title, "document", document, "revision", hidden(text, "revision"), "active", hidden(text, "active"))...), 303, path+"?saved=changed")
}

func (c *council) enforce() {
	c.t.Helper()
	_, err := c.c.Manage.Enforce(c.t.Context(), 0)
	c.must(err)
}

const because = "risk board 2026-04"

// The way of a policy through the pages: written by one, approved by the other, tried out, in force, and back.
func TestPolicyPages(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		c := newCouncil(t, s)
		one, two := c.one, c.two
		one.expect(one.get("/console/policies"), 200, "Hufu", "生效中", "/console/policies/new", "then=emergency", "草稿")
		path := c.begin(one)
		one.save(path, "密码加长", document(`"min_length": 10`, `"min_length": 11`))
		one.expect(one.get(path+"?saved=changed"), 200, "密码 · 最短长度", "password.min_length", "<del>10</del>", "<ins>11</ins>", "更严", "还是草稿", path+"/submit", path+"/emergency")
		if text := one.expect(one.get(path+"?from=1"), 200); strings.Contains(text, path+"/approve") {
			t.Error("a draft is offered for approval")
		}
		one.expect(one.post(path+"/submit", "reason", "", "revision", "2"), 422, zh("reason.empty"), "<ins>11</ins>")
		one.expect(one.post(path+"/submit", "reason", because, "revision", "1"), 422, zh("error.moved"), `name="revision" value="2"`)
		one.expect(one.post(path+"/submit", "reason", because, "revision", "2"), 303, path)
		if text := one.expect(one.get(path), 200, "待批准", because, "v2"); strings.Contains(text, path+"/approve") {
			t.Error("the author is offered the approval")
		}
		one.expect(one.post(path+"/approve", "reason", because), 403, zh("policy.own"))
		two.expect(two.get(path), 200, path+"/approve", path+"/refuse", path+"/withdraw")
		two.expect(two.get(path+"/approve"), 200, `type="datetime-local"`, "UTC&#43;8", "<ins>11</ins>")
		soon := time.Now().In(time.FixedZone("UTC+8", 8*60*60)).Add(2 * time.Hour).Format("2006-01-02T15:04")
		two.expect(two.post(path+"/approve", "reason", because, "percent", "x", "merchants", "12", "activate_at", "soon"), 422, zh("policy.percent"), zh("policy.time"), ">12</textarea>", `value="x"`, because)
		two.expect(two.post(path+"/approve", "reason", because, "percent", "10"), 422, zh("policy.try_needs_time"))
		two.expect(two.post(path+"/approve", "reason", because, "activate_at", "2020-01-01T00:00"), 422, zh("policy.past"), `value="2020-01-01T00:00"`)
		two.expect(two.post(path+"/approve", "reason", because, "activate_at", soon, "percent", "100", "merchants", "12"), 422, zh("policy.percent"), templates.T("zh-CN", "policy.merchant_unknown", "12"))
		two.expect(two.post(path+"/approve", "reason", because, "activate_at", soon, "percent", "10", "merchants", c.merchant.No), 303, path)
		two.expect(two.get(path), 200, "试用中", "10% 的人", "1 家商户")
		c.must(c.c.Manage.ActivateDue(t.Context(), time.Now().Add(3*time.Hour)))
		c.enforce()
		two.expect(two.get(path), 200, "生效中", "策略生效", "批准了策略")
		two.expect(two.get("/console/policies?state=retired"), 200, "已换下", "Hufu")

		first, err := s.EditionOf(t.Context(), 1)
		c.must(err)
		back := "/console/policies/" + first.ID
		two.expect(two.get(back), 200, back+"/rollback")
		two.expect(two.get(back+"/rollback"), 200, "退回 v1")
		two.expect(two.post(back+"/rollback", "reason", because), 303, "?saved=changed")
		rolled, err := s.EditionOf(t.Context(), 3)
		c.must(err)
		two.expect(two.post("/console/policies/"+rolled.ID+"/approve", "reason", because), 403, zh("policy.own"))
		one.expect(one.post("/console/policies/"+rolled.ID+"/refuse", "reason", because), 303)
		one.expect(one.get("/console/policies/"+rolled.ID), 200, "没有批准", because)
		one.expect(one.post("/console/policies/"+rolled.ID+"/withdraw", "reason", because), 422, zh("error.moved"))

		urgent := one.post("/console/policies/new?then=emergency", "from", "1")
		one.expect(urgent, 303, "/emergency")
		at := urgent.Header.Get("Location")
		form := one.expect(one.get(at), 200, `name="second"`)
		one.expect(one.post(at, "reason", because, "second", because, "revision", hidden(form, "revision")), 422, zh("policy.second_same"))
		one.expect(one.post(at, "reason", because, "revision", hidden(form, "revision")), 422, zh("policy.second_reason"))
		one.expect(one.post(at, "reason", because, "second", "told the head of risk", "revision", hidden(form, "revision")), 303)
		one.expect(one.get(strings.TrimSuffix(at, "/emergency")), 200, zh("policy.emergency_note"), "紧急启用策略")
		one.lang = "en"
		one.expect(one.get(path), 200, "Superseded", "Password · Shortest length", "Stricter")
	})
}

// Two who edit at once: the second keeps what he typed, sees the difference, and decides knowingly. So does who wrote while
// another edition came into force.
func TestPolicyPagesTwoAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		c := newCouncil(t, s)
		one, two := c.one, c.two
		path := c.begin(one)
		seen := hidden(one.expect(one.get(path+"/edit"), 200), "revision")
		two.save(path, "二号写的", document(`"most": 50`, `"most": 40`))
		mine := document(`"tries": 5`, `"tries": 4`)
		text := one.expect(one.post(path+"/edit", "title", "一号写的", "document", mine, "revision", seen), 422, zh("error.moved"), zh("policy.diff_moved"), "一号写的", "浏览器会话 · 一人最多几个", "<del>40</del>", "<ins>50</ins>", "<ins>4</ins>")
		if !strings.Contains(text, "&#34;tries&#34;: 4") || hidden(text, "revision") == seen {
			t.Error("what was typed is lost, or the revision is the old one")
		}
		one.expect(one.post(path+"/edit", "title", "一号写的", "document", mine, "revision", hidden(text, "revision")), 303)
		if text := one.expect(one.get(path), 200, "一号写的", "<ins>4</ins>"); strings.Contains(text, "<ins>40</ins>") {
			t.Error("both were saved")
		}

		other := c.begin(two)
		two.save(other, "会话少一点", document(`"most": 50`, `"most": 30`))
		two.expect(two.post(other+"/submit", "reason", because, "revision", "2"), 303)
		one.expect(one.post(other+"/approve", "reason", because), 303)
		c.enforce()
		one.expect(one.get(path), 200, templates.T("zh-CN", "policy.outdated_note", 1, 2))
		form := one.expect(one.get(path+"/submit"), 200)
		one.expect(one.post(path+"/submit", "reason", because, "revision", hidden(form, "revision")), 422, templates.T("zh-CN", "policy.outdated", 1, 2), because)
		form = one.expect(one.get(path+"/edit"), 200, templates.T("zh-CN", "policy.diff_since", 1), "<ins>30</ins>", `name="rebase"`, templates.T("zh-CN", "policy.rebase", 2))
		one.expect(one.post(path+"/edit", "title", "一号写的", "document", mine, "revision", hidden(form, "revision"), "active", "1", "rebase", "1"), 422, zh("error.moved"), `name="active" value="2"`)
		one.expect(one.post(path+"/edit", "title", "一号写的", "document", mine, "revision", hidden(form, "revision"), "active", "2", "rebase", "1"), 303)
		form = one.expect(one.get(path+"/edit"), 200)
		if strings.Contains(form, `name="rebase"`) {
			t.Error("still outdated")
		}
		one.expect(one.post(path+"/submit", "reason", because, "revision", hidden(form, "revision")), 303)
		one.expect(one.post(path+"/edit", "title", "zu spät", "document", mine, "revision", hidden(form, "revision")), 422, zh("error.moved"), zh("policy.not_draft_note"), "zu spät")
	})
}

// What is wrong with a document is listed with its path and in words, and nothing typed is lost.
func TestPolicyPagesRefuse(t *testing.T) {
	c := newCouncil(t, storagetest.New(t, storage.SQLite))
	b := c.one
	path := c.begin(b)
	for from, says := range map[string][]string{
		`"min_length": 10`: {`"min_length": 3`, "rules[0].set.password.min_length（密码 · 最短长度）", "要在 8 到 64 之间"},
		`"idle": "8h"`:     {`"idle": "8x"`, "浏览器会话 · 闲置多久就结束", zh("policy.bad.duration")},
		`"tries": 5`:       {`"trys": 5`, "rules[0].set.codes.trys", zh("policy.bad.unknown")},
		`"step": "15m"`:    {`"step": "1h", "x": {`, zh("policy.bad.json")},
		`"absolute": "7d"`: {`"absolute": "1h"`, "不能大于“浏览器会话 · 最长多久”"},
	} {
		text := b.expect(b.post(path+"/edit", "title", "我的标题", "document", document(from, says[0]), "revision", "1"), 422, append(says[1:], "我的标题", `href="#document"`)...)
		if !strings.Contains(text, templateEscape(says[0])) {
			t.Errorf("%s is lost", says[0])
		}
	}
	text := b.expect(b.post(path+"/edit", "title", "", "document", `{"rules":[{"name":"default","set":{}}]}`, "revision", "1"), 422)
	if n := strings.Count(text, `href="#`); n > 80 {
		t.Errorf("%d links to problems", n)
	}
	b.expect(b.post(path+"/edit", "title", "x", "document", `{"rules":[{"name":"default","set":{}}]}`, "revision", "1"), 422, templates.T("zh-CN", "policy.bad.more", len(policy.Fields())-problemsMost))
	b.expect(b.post("/console/policies/new", "from", "99"), 422, zh("error.choose"))
	kinds := string(policy.Default().Document.Format())
	kinds = regexp.MustCompile(`"kinds": \[\s+"totp",\s+"passkey"\s+\]`).ReplaceAllString(kinds, `"kinds": ["passkey"]`)
	b.save(path, "只要密钥", kinds)
	b.expect(b.post(path+"/submit", "reason", because, "revision", "2"), 422, zh("policy.bad.administrators"), because)
}

func templateEscape(s string) string { return strings.ReplaceAll(s, `"`, "&#34;") }

// What holds for whom says its value in words and who decided.
func TestPolicyEffective(t *testing.T) {
	c := newCouncil(t, storagetest.New(t, storage.SQLite))
	b := c.one
	b.expect(b.get("/console/policies/effective"), 200, "按 v1", "密码", "最短长度", "工单")
	text := b.expect(b.get("/console/policies/effective?role=owner&tier=high_value&block=password"), 200, "来自规则“high value”", "严于“default”的 10", "取最大的", ">12<")
	if strings.Contains(text, `id="policy.part.session"`) {
		t.Error("other blocks are shown")
	}
	b.expect(b.get("/console/policies/effective?role=owner&tier=high_value&block=session"), 200, "1 小时", "严于“default”的 8 小时")
	b.expect(b.get("/console/policies/effective?role=root&tier=%00&block=none&merchant='&client=<b>"), 200)
	of := "/console/policies/effective?user=" + c.owner.ID
	b.expect(b.get(of), 303, "/look?to=")
	b.look(c.owner.ID)
	b.expect(b.get("/console/users/"+c.owner.ID), 200, of)
	b.expect(b.get(of), 200, "林薇", c.merchant.No, "来自规则“owners and managers”")
	b.lang = "en"
	b.expect(b.get("/console/policies/effective?role=policy_admin&block=factors"), 200, "Phishing-resistant", "From rule “policy administrators”")
	agent := c.as(c.staff[idp.RoleSupportAgent], 0)
	agent.expect(agent.get("/console/policies/effective"), 403)
	agent.look(c.owner.ID)
	if text := agent.expect(agent.get("/console/users/"+c.owner.ID), 200); strings.Contains(text, "/policies/") {
		t.Error("offered to whom it is closed")
	}
	res := b.get("/console/policies/schema.json")
	if body := b.expect(res, 200, `"$schema"`); !strings.HasPrefix(res.Header.Get("Content-Type"), "application/schema+json") || !strings.Contains(body, "min_length") {
		t.Error("not the schema")
	}
}

// A page of a run tells how far it is and renews itself while it works; then whom it would touch, each once in the export.
func TestSimulationPages(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		c := newCouncil(t, s)
		b, ctx := c.one, t.Context()
		_, err := s.StopSimulation(ctx, c.run.ID, time.Now())
		c.must(err)
		people := 3*pageSize + 7
		for i := range people {
			login := fmt.Sprint("sim.", i)
			if i == 0 {
				login = "=cmd"
			}
			u := c.user(idp.RoleCashier, c.merchant.ID, login)
			pw := idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte("x")}
			c.must(s.AddCredential(ctx, &pw))
			c.must(s.Measure(ctx, pw.ID, 1, []byte(`{"length":12,"classes":3,"score":4}`), 1, false, time.Now()))
		}
		path := c.begin(b)
		b.save(path, "长密码", document(`"min_length_alone": 12`, `"min_length_alone": 14`))
		b.expect(b.get(path+"/simulate"), 200, "最近 30 天")
		res := b.post(path + "/simulate")
		b.expect(res, 303, "/console/simulations/")
		run := res.Header.Get("Location")
		res = b.get(run)
		b.expect(res, 200, "排队", "<progress", `action="`+run+`/stop"`, `role="status"`)
		if res.Header.Get("Refresh") == "" {
			t.Error("does not renew itself")
		}
		_, ok, err := s.ClaimSimulation(ctx, time.Now().Add(-2*time.Minute), time.Now().Add(-time.Minute)) // a worker that dies
		c.must(err)
		b.expect(b.get(run), 200, "进行中", "已看 0 /")
		b.expect(b.get(run+"/export"), 200)
		b.expect(b.post(run+"/export", "reason", because), 422, zh("error.moved"))
		worked, err := c.c.Manage.Simulate(ctx)
		c.must(err)
		res = b.get(run)
		text := b.expect(res, 200, "已看完全部", fmt.Sprintf("让 %d 人下次登录时改密码，没有人会被锁在外面", people), "标准 · 收银员", `class="plot"`, "/people?effect=must_recheck", run+"/export")
		if !ok || !worked || res.Header.Get("Refresh") != "" || strings.Contains(text, "/stop") {
			t.Error("goes on renewing itself")
		}
		b.expect(b.post(run+"/stop"), 422, zh("error.moved"))
		b.expect(b.get(path), 200, run)

		seen := 0
		for next := run + "/people?effect=must_recheck"; next != ""; {
			text := b.expect(b.get(next), 200)
			seen += strings.Count(text, `<th scope="row"`)
			next = link(text, "next")
		}
		if seen != people {
			t.Errorf("%d people listed of %d", seen, people)
		}
		b.expect(b.get(run+"/people?effect=locked_out"), 200, zh("console.none.people"))
		c.export(b, run, people)

		b.save(path, "更长", document(`"min_length_alone": 12`, `"min_length_alone": 15`))
		b.expect(b.get(run), 200, zh("policy.sim.changed_note"))
		res = b.post(path + "/simulate")
		again := res.Header.Get("Location")
		b.expect(b.post(again+"/stop"), 303, again+"?saved=changed")
		b.expect(b.get(again), 200, "停了")
		auditor := c.as(c.staff[idp.RoleAuditor], 0)
		auditor.expect(auditor.get(run), 200, run+"/export")
		auditor.expect(auditor.post(again+"/stop"), 403)
		auditor.expect(auditor.post(run+"/export", "reason", because), 200)
	})
}

// export reads the file: everybody once, nothing that a spreadsheet takes for a formula, and the log knows why.
func (c *council) export(b *browser, run string, people int) {
	c.t.Helper()
	b.expect(b.post(run+"/export", "reason", ""), 422, zh("reason.empty"))
	res := b.post(run+"/export", "reason", because, "effect", "must_recheck")
	body, err := io.ReadAll(res.Body)
	c.must(err)
	if !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") || !bytes.HasPrefix(body, []byte("\ufeff")) {
		c.t.Errorf("headers %v", res.Header)
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff")))).ReadAll()
	c.must(err)
	seen := map[string]bool{}
	formula := false
	for _, row := range rows[1:] {
		if seen[row[0]] {
			c.t.Errorf("%s twice", row[0])
		}
		seen[row[0]] = true
		formula = formula || row[1] == "'=cmd"
		if row[4] != c.merchant.No || !slices.Contains(row[5:], "1") {
			c.t.Errorf("row %v", row)
		}
	}
	if len(seen) != people || !formula || rows[0][0] != zh("policy.sim.csv.id") {
		c.t.Errorf("%d people of %d, head %v", len(seen), people, rows[0])
	}
	events, err := c.c.Store.Events(c.t.Context(), storage.EventFilter{Name: "policy.exported"}, 10)
	c.must(err)
	if len(events) != 1 || events[0].Reason != because {
		c.t.Errorf("%d events", len(events))
	}
}

// A list of any length passes through in parts.
func TestExportIsStreamed(t *testing.T) {
	c := newCouncil(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	var touched []storage.SimulatedPerson
	for i := range 2*exportPart + 5 {
		u := c.user(idp.RoleCashier, c.merchant.ID, fmt.Sprint("many.", i))
		touched = append(touched, storage.SimulatedPerson{SimulationID: c.run.ID, UserID: u.ID, Role: "cashier", Tier: "micro", Effects: policy.MustEnrol})
	}
	run, _, err := c.c.Store.ClaimSimulation(ctx, time.Now(), time.Now().Add(time.Minute))
	c.must(err)
	run.State, run.Result = idp.SimulationDone, []byte("{}")
	_, err = c.c.Store.StepSimulation(ctx, run, touched, time.Now(), time.Now())
	c.must(err)
	text := c.one.expect(c.one.post("/console/simulations/"+run.ID+"/export", "reason", because), 200)
	if n := strings.Count(text, "\n"); n != len(touched)+1 {
		t.Errorf("%d lines for %d people", n, len(touched))
	}
}

func TestHarmless(t *testing.T) {
	for cell, want := range map[string]string{"": "", "lin": "lin", "=1": "'=1", "+86": "'+86", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "＝1": "'＝1", "a=1": "a=1"} {
		if got := harmless(cell); got != want {
			t.Errorf("%q: %q", cell, got)
		}
	}
}

// Who may what with policies, by the pages: a second look at the table through the doors.
func TestPolicyPermissions(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	for _, rt := range h.c.routes() {
		if !strings.Contains(rt.pattern, "/console/policies") && !strings.Contains(rt.pattern, "/console/simulations") {
			continue
		}
		method, _, _ := strings.Cut(rt.pattern, " ")
		var form url.Values
		if method == "POST" {
			form = url.Values{"reason": {because}}
		}
		for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleSupportSupervisor} {
			b := h.as(h.staff[role], 0)
			b.expect(b.do(method, h.fill(rt.pattern), form), 403)
		}
		looks := rt.action == manage.PolicyRead || rt.action == manage.PolicyExport || rt.action == manage.Export
		if res := h.as(h.staff[idp.RoleAuditor], 0).do(method, h.fill(rt.pattern), form); (res.StatusCode == 403) == looks {
			t.Errorf("%s by an auditor: %d", rt.pattern, res.StatusCode)
		}
	}
	e, err := h.c.Store.Edition(context.Background(), h.edition.ID)
	h.must(err)
	if e.State != idp.EditionDraft || e.Revision != 1 {
		t.Errorf("somebody changed the edition: %+v", e)
	}
}
