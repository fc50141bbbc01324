package admin

import (
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// Every act that takes two people, every field that one changes, and every state has its words.
func TestApprovalsHaveWords(t *testing.T) {
	var keys []string
	for _, act := range manage.ApprovalActs(idp.User{Role: idp.RolePolicyAdmin}) {
		keys = append(keys, "approval.act."+act)
	}
	for _, s := range idp.ApprovalStates {
		keys = append(keys, "state."+string(s))
	}
	for _, f := range []string{"name", "role", "username", "phone", "email", "language", "state", "tier", "client_id", "kind", "label", "grants", "scopes", "redirects", "post_logout", "old_secret", "key"} {
		keys = append(keys, "approval.field."+f)
	}
	for _, l := range templates.Languages() {
		for _, key := range keys {
			if strings.HasPrefix(templates.T(l.Tag, key), "⟦") {
				t.Errorf("%s: no text %q", l.Tag, key)
			}
		}
	}
}

// One invites a colleague; nothing happens until another has seen who it is and agrees.
func TestApprovalPages(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		one, two := h.as(h.staff[idp.RolePolicyAdmin], 0), h.second()
		ctx := t.Context()
		invite := []string{"name", "新客服", "role", "support_agent", "username", "new.agent", "phone", "13800000031", "language", "zh-CN", "reason", "third agent for the evening"}
		one.expect(one.get("/console/users/new"), 200, zh("approval.note_staff"))
		page := one.waits(one.post("/console/users/new", invite...))
		if _, err := s.UserByIdentifier(ctx, idp.IdentifierUsername, "new.agent"); idp.KindOf(err) != idp.NotFound {
			t.Error("invited by one")
		}
		one.expect(one.get(page+"?saved=asked"), 200, zh("console.saved.asked"), "third agent for the evening", page+"/withdraw", "new.agent")
		if text := one.expect(one.get("/console"), 200, "1 件事等您批准"); strings.Contains(text, "2 件事等您批准") {
			t.Error("one's own waits for oneself")
		}
		two.expect(two.get("/console"), 200, "2 件事等您批准") // and the end of a merchant
		two.expect(two.get("/console/approvals"), 200, zh("approval.act.staff.new"), "新客服", zh("approval.act.merchant.close"), h.merchant.LegalName)
		two.expect(two.get(page), 200, "8613800000031", zh("role.support_agent"), page+"/approve", page+"/refuse")
		two.expect(two.post(page+"/refuse", "reason", ""), 422, zh("reason.empty"))

		// The auditor reads and decides nothing; support reads what is its own.
		auditor := h.as(h.staff[idp.RoleAuditor], 0)
		if text := auditor.expect(auditor.get(page), 200, "138****0031", "新客服"); strings.Contains(text, page+"/") {
			t.Error("an auditor is offered an act")
		}
		auditor.expect(auditor.get("/console/approvals"), 200, zh("approval.act.staff.new"))
		for _, act := range []string{"approve", "refuse", "withdraw", "collect"} {
			auditor.expect(auditor.post(page+"/"+act, "reason", "I may not"), 403)
		}
		super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
		if text := super.expect(super.get("/console/approvals"), 200, zh("approval.act.merchant.close")); strings.Contains(text, zh("approval.act.staff.new")) {
			t.Error("support reads what is not its own")
		}
		super.expect(super.get(page), 404)
		super.expect(super.post(page+"/approve", "reason", "I may not"), 404)
		super.expect(super.post("/console/approvals/"+h.asked.ID+"/approve", "reason", "mine"), 403, zh("approval.own"))
		for _, who := range []idp.Role{idp.RoleOwner, idp.RoleManager} {
			b := h.as(h.shop[who], 0)
			b.expect(b.get("/console/approvals"), 403)
			b.expect(b.get("/console/approvals/"+h.asked.ID), 403)
			if text := b.expect(b.get("/console"), 200); strings.Contains(text, "approvals") {
				t.Errorf("the %s is offered approvals", who)
			}
		}
		owner := h.as(h.owner, 0)
		if text := owner.expect(owner.get("/console/events"), 200); strings.Contains(text, "gave up the shop") {
			t.Error("a merchant reads what is asked about it")
		}

		two.expect(two.post(page+"/approve", "reason", "knows the agent"), 303, page+"?saved=approved")
		u, err := s.UserByIdentifier(ctx, idp.IdentifierUsername, "new.agent")
		h.must(err)
		if u.Status != idp.UserInvited || u.Role != idp.RoleSupportAgent {
			t.Errorf("invited %+v", u)
		}
		two.expect(two.get(page), 200, "138****0031", "knows the agent", zh("state.approved"))
		list, err := s.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "account.created"}, 10)
		h.must(err)
		if len(list) != 1 || list[0].Actor != h.staff[idp.RolePolicyAdmin].ID || list[0].Data["approved_by"] != h.witness.ID || list[0].Reason != "third agent for the evening" {
			t.Errorf("events %+v", list)
		}
		one.expect(one.get("/console/events?name=account.created"), 200, templates.T("zh-CN", "approval.approved_by", "何证"))

		// Taken back, refused, and what can no longer be done.
		page = one.waits(one.post("/console/clients/settlement/disable", "reason", "leak"))
		one.expect(one.post(page+"/withdraw"), 303, page+"?saved=withdrawn")
		two.expect(two.get(page), 200, zh("state.withdrawn"))
		two.expect(two.post(page+"/approve", "reason", "too late"), 422, zh("approval.over"))
		page = one.waits(one.post("/console/clients/settlement/disable", "reason", "leak"))
		two.expect(two.post(page+"/refuse", "reason", "no leak"), 303, page+"?saved=refused")
		one.expect(one.get(page), 200, zh("state.refused"), "no leak")
		page = one.waits(one.post("/console/clients/settlement/disable", "reason", "leak"))
		h.must(second(s.SetClientDisabled(ctx, "settlement", true)))
		two.expect(two.post(page+"/approve", "reason", "seen"), 303, page)
		two.expect(two.get(page), 200, zh("state.failed"), zh("error.moved"))
		one.lang = "en"
		one.expect(one.get(page), 200, "could no longer be done", "Disable an application", "Enabled", "Disabled")
		one.expect(one.get("/console/approvals?state=all"), 200, "Not approved", "Withdrawn")
		for _, evil := range []string{"%00", "'", strings.Repeat("z", 4000)} {
			one.expect(one.get("/console/approvals?state="+evil), 200)
			one.expect(one.get("/console/approvals?before="+evil), 200)
		}
	})
}

// The other acts that take two people, through their forms.
func TestApprovalForms(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		b, ctx := h.as(h.staff[idp.RolePolicyAdmin], 0), t.Context()
		h.second()
		agent := h.staff[idp.RoleSupportAgent]
		user, merchant := "/console/users/"+agent.ID, "/console/merchants/"+h.merchant.ID
		b.look(agent.ID)
		b.expect(b.post(merchant+"/look", "reason", "call 0310"), 303)
		b.expect(b.get(user), 200, user+"/staff-role", user+"/staff-leave")
		b.expect(b.get(user+"/staff-role"), 200, `name="was" value="support_agent"`)
		b.expect(b.post(user+"/staff-role", "role", "owner", "was", "support_agent", "reason", "promotion"), 422, zh("error.choose"))
		b.expect(b.post(user+"/staff-role", "role", "support_agent", "was", "support_agent", "reason", "promotion"), 422, zh("error.same"))
		b.agreed(b.post(user+"/staff-role", "role", "support_supervisor", "was", "support_agent", "reason", "promotion"))
		b.agreed(b.post(user+"/staff-leave", "reason", "left us"))
		if u, err := s.User(ctx, agent.ID); err != nil || u.Role != idp.RoleSupportSupervisor || u.Status != idp.UserLeft {
			t.Errorf("now %+v, %v", u, err)
		}
		b.look(h.owner.ID)
		b.expect(b.get("/console/users/"+h.owner.ID+"/staff-role"), 404)

		b.expect(b.get(merchant), 200, merchant+"/close", merchant+"/tier")
		b.expect(b.get(merchant+"/tier"), 200, `name="was" value="standard"`, zh("approval.note_tier"))
		b.expect(b.post(merchant+"/tier", "tier", "high_value", "was", "standard", "reason", "turnover"), 303, merchant+"?saved=changed") // up: at once
		b.expect(b.post(merchant+"/tier", "tier", "micro", "was", "standard", "reason", "turnover"), 422, zh("error.moved"))
		b.agreed(b.post(merchant+"/tier", "tier", "micro", "was", "high_value", "reason", "turnover"))
		h.must(second(s.DecideApproval(ctx, h.asked.ID, idp.ApprovalRefused, "x", "", time.Now())))
		b.agreed(b.post(merchant+"/close", "reason", "gave up"))
		if text := b.expect(b.get(merchant), 200, zh("state.merchant_closed"), "gave up"); strings.Contains(text, merchant+"/tier") {
			t.Error("a closed merchant is changed")
		}

		b.expect(b.get("/console/keys"), 200, "/console/keys/rotate")
		b.agreed(b.post("/console/keys/rotate", "reason", "yearly"))
		b.expect(b.get("/console/keys"), 200, zh("state.key_active"))
		b.agreed(b.post("/console/keys/rotate", "reason", "yearly"))
		b.expect(b.get("/console/keys"), 200, zh("state.key_active"), zh("state.key_next"))
	})
}

// An edition that another submitted waits for this administrator, and nobody else.
func TestEditionsWaitOnTheFirstPage(t *testing.T) {
	c := newCouncil(t, storagetest.New(t, storage.SQLite))
	path := c.begin(c.one)
	c.one.save(path, "会话少一点", document(`"most": 50`, `"most": 30`))
	c.one.expect(c.one.post(path+"/submit", "reason", because, "revision", "2"), 303)
	c.two.expect(c.two.get("/console"), 200, "1 版策略等您批准", "/console/policies?state=submitted")
	if text := c.one.expect(c.one.get("/console"), 200); strings.Contains(text, "版策略") {
		t.Error("one's own waits for oneself")
	}
	auditor := c.as(c.staff[idp.RoleAuditor], 0)
	auditor.expect(auditor.get("/console"), 200, zh("console.todo_none"))
}
