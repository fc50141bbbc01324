package admin

import (
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// deadMessage queues a message to the owner's phone and gives it up.
func (h *house) deadMessage(template string) string {
	h.t.Helper()
	ctx, s := h.t.Context(), h.c.Store
	m := idp.Message{UserID: h.owner.ID, Channel: idp.ChannelSMS, To: "+8613800000001", Template: template, Language: "zh-CN", Body: "口令 739201", Params: map[string]string{"code": "739201"}}
	h.must(s.Queue(ctx, &m))
	claimed, err := s.ClaimMessages(ctx, idp.ChannelSMS, 100, time.Minute, time.Now().Add(time.Second))
	h.must(err)
	for _, c := range claimed {
		_, err := s.MessageDead(ctx, c, "address isv.MOBILE_NUMBER_ILLEGAL", time.Now())
		h.must(err)
	}
	return m.ID
}

func TestMessages(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		code := h.deadMessage("code")
		sent := idp.Message{UserID: h.owner.ID, Channel: idp.ChannelMail, To: "lin.wei@example.com", Template: "invite", Language: "en", Body: "口令 739201"}
		h.must(s.Queue(t.Context(), &sent))
		h.must(s.MessageSent(t.Context(), sent, "r1", time.Now()))
		agent := h.as(h.staff[idp.RoleSupportAgent], 0)
		text := agent.expect(agent.get("/console/messages"), 200, zh("message.frozen"), zh("message.code"), "138****0001", zh("state.dead")+"（2）", zh("trouble.address"), "isv.MOBILE_NUMBER_ILLEGAL", "/console/messages/"+h.message+"/resend")
		agent.hides(text, "739201", "lin.wei", "l***@example.com", code+"/resend")
		agent.hides(agent.expect(agent.get("/console/messages?state=sent&channel=mail&template=invite"), 200, zh("message.invite"), "l***@example.com", zh("state.sent")), "138****0001")
		agent.expect(agent.get("/console/messages?state=due"), 200, zh("console.none.messages"))
		agent.expect(agent.get("/console/messages?state=all"), 200, "138****0001", "l***@example.com")
		agent.expect(agent.get("/console/messages?state=%27&channel=x&template=y&before=z"), 200)
		path := "/console/messages/" + h.message + "/resend"
		agent.hides(agent.expect(agent.get(path), 200, zh("console.message.resend_lead"), "138****0001", `name="reason"`), "739201")
		agent.expect(agent.post(path, "reason", ""), 422)
		agent.expect(agent.post(path, "reason", "gateway is back"), 303, "/console/messages?saved=changed")
		agent.expect(agent.post(path, "reason", "gateway is back"), 422, zh("error.moved"))
		agent.expect(agent.post("/console/messages/"+code+"/resend", "reason", "gateway is back"), 422, zh("error.code_message"))
		agent.expect(agent.get("/console/messages/none/resend"), 404)
		staffs := idp.Message{UserID: h.staff[idp.RoleAuditor].ID, Channel: idp.ChannelMail, To: "au@example.com", Template: "frozen", Language: "en"}
		h.must(s.Queue(t.Context(), &staffs))
		claimed, err := s.ClaimMessages(t.Context(), idp.ChannelMail, 10, time.Minute, time.Now().Add(time.Second))
		h.must(err)
		_, err = s.MessageDead(t.Context(), claimed[len(claimed)-1], "address", time.Now())
		h.must(err)
		if text := agent.expect(agent.get("/console/messages?state=dead"), 200); strings.Contains(text, staffs.ID+"/resend") {
			t.Error("an agent is offered to write to staff")
		}
		agent.expect(agent.post("/console/messages/"+staffs.ID+"/resend", "reason", "gateway is back"), 403, zh("error.staff"))
		list, err := s.Events(t.Context(), storage.EventFilter{Name: "message.resent"}, 5)
		if err != nil || len(list) != 1 || list[0].Reason != "gateway is back" || list[0].Data["message"] != h.message || list[0].Actor != h.staff[idp.RoleSupportAgent].ID {
			t.Errorf("events %+v, %v", list, err)
		}
		auditor := h.as(h.staff[idp.RoleAuditor], 0)
		if text := auditor.expect(auditor.get("/console/messages?state=all"), 200, "138****0001"); strings.Contains(text, "/resend") {
			t.Error("an auditor is offered to send")
		}
		auditor.expect(auditor.get(path), 403)
		admin := h.as(h.staff[idp.RolePolicyAdmin], 0)
		admin.expect(admin.get("/console"), 200, templates.T("zh-CN", "console.todo.messages", 2))
	})
}

// A long outbox is read page by page.
func TestMessagesByPage(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	for range pageSize {
		h.deadMessage("frozen")
	}
	b := h.as(h.staff[idp.RoleAuditor], 0)
	text := b.expect(b.get("/console/messages?state=dead"), 200, "state=dead")
	if n := strings.Count(text, "138****0001"); n != pageSize || !strings.Contains(text, "before=") {
		t.Errorf("%d rows", n)
	}
}

// A case opens with its person's page, and lists nobody's name before.
func TestCases(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	ctx, s := t.Context(), h.c.Store
	h.must(s.Append(ctx, idp.Event{Name: "signin.newbrowser", Subject: h.owner.ID, Actor: h.owner.ID, Network: "112.5.6.0/24"}))
	said, err := s.Events(ctx, storage.EventFilter{Name: "signin.newbrowser"}, 1)
	h.must(err)
	c := idp.Case{Kind: "notme", UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour), Data: map[string]any{"event": said[0].ID, "link": true,
		"sessions": []map[string]any{{"id": "s", "device": "Chrome · Android", "network": "112.5.6.0/24", "started": time.Now()}},
		"browsers": []map[string]any{{"id": "b", "device": "Edge · Windows", "network": "", "since": time.Now()}},
		"grants":   []map[string]any{{"id": "g", "client": "merchant-app", "terminal": h.terminal.ID, "since": time.Now()}}}}
	h.must(s.OpenCase(ctx, &c))
	for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleSupportSupervisor, idp.RoleAuditor} {
		b := h.as(h.staff[role], 0)
		text := b.expect(b.get("/console/cases"), 200, c.Number, zh("case.notme"), zh("state.open"), "/console/cases/"+c.ID)
		if role == idp.RoleSupportAgent {
			b.hides(text, "lin.wei")
		}
		if role != idp.RoleAuditor {
			b.expect(b.get("/console/cases/"+c.ID), 303, "/console/users/"+h.owner.ID+"/look?to=")
			b.look(h.owner.ID)
		}
		b.expect(b.get("/console/cases/"+c.ID), 200, c.Number, "林薇", zh("console.case.by_link"), zh("event.signin.newbrowser"), "Chrome · Android", "Edge · Windows", zh("console.case.event"))
	}
	// A policy administrator reads those of staff alone.
	staff := idp.Case{Kind: "freeze", UserID: h.staff[idp.RoleAuditor].ID, OpenedAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour)}
	h.must(s.OpenCase(ctx, &staff))
	admin := h.as(h.staff[idp.RolePolicyAdmin], 0)
	if text := admin.expect(admin.get("/console/cases?state=all"), 200, staff.Number); strings.Contains(text, c.Number) {
		t.Error("the case of a merchant's person is listed")
	}
	admin.look(h.owner.ID)
	admin.expect(admin.get("/console/cases/"+c.ID), 404)
	admin.look(staff.UserID)
	admin.expect(admin.get("/console/cases/"+staff.ID), 200, staff.Number)
	b := h.as(h.staff[idp.RoleAuditor], 0)
	b.expect(b.get("/console/cases/"+h.notme.ID), 200, h.notme.Number, zh("console.none.browsers"))
	b.expect(b.get("/console/cases?state=closed"), 200, zh("console.none.cases"))
	b.expect(b.get("/console/cases?state=all"), 200, c.Number)
	b.expect(b.get("/console/cases/none"), 404)
	if _, err := s.CloseCase(ctx, c.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	b.expect(b.get("/console/cases/"+c.ID), 200, zh("console.case.closed"))
}

// Every message and every trouble has words in both languages.
func TestMessageWords(t *testing.T) {
	for _, lang := range []string{"zh-CN", "en"} {
		f := templates.Frame{Lang: lang}
		for _, name := range idp.MessageTemplates {
			if f.Or("message."+name, "") == "" {
				t.Errorf("%s: no words for message %s", lang, name)
			}
		}
		for _, words := range []string{"unreachable", "timeout", "address", "blocked", "flow", "template", "account", "credentials", "refused", "answer", "expired", "late", "unreadable"} {
			if f.Or("trouble."+words, "") == "" {
				t.Errorf("%s: no words for trouble %s", lang, words)
			}
		}
	}
}
