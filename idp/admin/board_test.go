package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/storage/storagetest"
)

func TestDashboard(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	for range 1234 {
		h.must(h.c.Store.Append(t.Context(), idp.Event{Name: "signin.succeeded", At: time.Now().AddDate(0, 0, -2)}))
	}
	soon := idp.Case{Kind: idp.CaseNotMe, UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(30 * time.Minute)}
	h.must(h.c.Store.OpenCase(t.Context(), &soon))
	admin := h.as(h.staff[idp.RolePolicyAdmin], time.Hour)
	admin.expect(admin.get("/console"), 200, "1,234", `role="img" aria-label="最近 14 天的登录`, zh("reason.pw.closed"), zh("console.chart.adoption"), "100%", "/console/messages?state=dead", zh("console.chart.freezes"))
	admin.lang = "en"
	admin.expect(admin.get("/console"), 200, "Bar chart of sign-ins", "1,234 succeeded, 1 failed")
	// Who works on one subject at a time sees what waits for him, and no numbers of the house.
	agent := h.as(h.staff[idp.RoleSupportAgent], time.Hour)
	if text := agent.expect(agent.get("/console"), 200, "/console/cases?state=due", "/console/messages?state=dead", zh("console.agent.find")); strings.Contains(text, "<svg class=\"plot\"") {
		t.Error("the agent sees charts")
	}
	agent.expect(agent.get("/console/cases?state=due"), 200, soon.Number)
	auditor := h.as(h.staff[idp.RoleAuditor], time.Hour)
	auditor.expect(auditor.get("/console"), 200, zh("console.todo_none"), "1,234")
}

func TestStores(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RoleSupportSupervisor], time.Hour)
	page := "/console/stores/" + h.store.ID
	b.expect(b.get("/console/stores"), 200, h.store.Name, h.merchant.No, page)
	b.expect(b.get("/console/stores?merchant="+h.merchant.No), 200, h.store.Name)
	b.expect(b.get("/console/stores?merchant=123"), 200, "没有找到")
	b.expect(b.get(page), 303, "/console/merchants/"+h.merchant.ID+"/look?to=")
	b.expect(b.post("/console/merchants/"+h.merchant.ID+"/look?to="+page, "reason", "call 0310"), 303, page)
	if text := b.expect(b.get(page), 200, h.store.Name, "陈小燕", "chen.xy", h.terminal.Serial, h.merchant.LegalName); strings.Contains(text, "林薇") {
		t.Error("the owner is of all stores")
	}
	b.expect(b.get("/console/merchants/"+h.merchant.ID), 200, page)
	b.expect(b.get("/console/users?store="+h.store.ID), 200, "陈小燕", h.store.Name)
	for i := range pageSize + 1 {
		h.must(h.c.Store.CreateTerminal(t.Context(), &idp.Terminal{Serial: fmt.Sprintf("HF3%07d", i), Model: "m", Kind: idp.TerminalESign, MerchantID: h.merchant.ID, StoreID: h.store.ID, State: idp.TerminalNew}))
	}
	b.expect(b.get(page), 200, "/console/terminals?store="+h.store.ID)
	b.expect(b.get("/console/terminals?state=active&store="+h.store.ID), 200, h.terminal.Serial)
	b.expect(b.get("/console/stores/none"), 404)
}

func TestKeysAndHealth(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		_, err := s.AddSigningKey(t.Context(), storage.SigningKey{ID: "key-1", Alg: "ES256", State: "active", Public: []byte("{}"), Private: []byte("very secret")})
		h.must(err)
		now := time.Now()
		h.must(s.Beat(t.Context(), storage.Replica{ID: "r1", Host: "node-1", Version: "v1.2.3", StartedAt: now, SeenAt: now}))
		h.must(s.JobRan(t.Context(), storage.JobRun{Name: "sweep", Replica: "r1", At: now, Took: 1500 * time.Millisecond}))
		b := h.as(h.staff[idp.RoleAuditor], time.Hour)
		if text := b.expect(b.get("/console/keys"), 200, "key-1", "ES256", zh("state.key_active")); strings.Contains(text, "secret") {
			t.Error("shows a key")
		}
		text := b.expect(b.get("/console/health"), 200, zh("console.health.dialect."+string(s.Dialect)), "node-1", "v1.2.3", zh("console.job.sweep"), "1.5", zh("state.well"), "1 把")
		if strings.Contains(text, zh("state.unwell")) {
			t.Errorf("unwell: %s", mainOf(text))
		}
		h.must(s.Beat(t.Context(), storage.Replica{ID: "r2", Host: "node-2", Version: "v1.2.4", StartedAt: now, SeenAt: now}))
		h.must(s.JobRan(t.Context(), storage.JobRun{Name: "digest", Replica: "r2", At: now, Failed: true}))
		b.lang = "en"
		b.expect(b.get("/console/health"), 200, "2 versions are running", "A background job failed: Reminders", "Trouble")
	})
}

// The page of a person says what he holds and did, to whom the table lets.
func TestPersonPage(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	s := h.c.Store
	key := idp.Credential{UserID: h.owner.ID, Method: idp.MethodPasskey, Label: "林薇的手机", Data: []byte("very secret")}
	h.must(s.AddCredential(t.Context(), &key))
	_, err := s.BlockCredential(t.Context(), key.ID, "clone")
	h.must(err)
	for range 3 {
		h.must(s.Append(t.Context(), idp.Event{Name: "device.approved", Actor: h.owner.ID, Subject: h.owner.ID, Terminal: h.terminal.ID, Network: "112.5.6.0/24"}))
	}
	page := "/console/users/" + h.owner.ID
	auditor := h.as(h.staff[idp.RoleAuditor], time.Hour)
	text := auditor.expect(auditor.get(page), 200, "林薇的手机", zh("state.blocked"), zh("reason.clone"), zh("console.user.approved"), "/console/terminals/"+h.terminal.ID, h.notme.Number, zh("console.messages"), "138****0001")
	if strings.Contains(text, "secret") || strings.Count(text, "/console/terminals/"+h.terminal.ID) != 1 {
		t.Error("shows a secret, or a terminal twice")
	}
	admin := h.as(h.staff[idp.RolePolicyAdmin], time.Hour)
	admin.look(h.owner.ID)
	if text := admin.expect(admin.get(page), 200, zh("console.user.approved")); strings.Contains(text, h.notme.Number) {
		t.Error("shows a case that is not the administrator's to read")
	}
	if manage.May(idp.RoleAuditor, manage.UserLock) != manage.No || strings.Contains(text, "/lock") {
		t.Error("the auditor is offered an act")
	}
}
