package admin

import (
	"net/url"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/kit"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// The mark of a sheet, scanned or pasted, says its kind and day and whether it counts; nothing
// of the page says whose it is.
func TestKitMark(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		set := idp.Credential{UserID: h.owner.ID, Method: idp.MethodBackup, Data: []byte("{}")}
		h.must(s.AddCredential(t.Context(), &set))
		mark := kit.Mark{Set: set.ID, Day: time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)}.Text(s.MAC)
		agent := h.as(h.staff[idp.RoleSupportAgent], 0)
		agent.expect(agent.get("/console/kit"), 200, zh("console.kit.mark"), `href="/console/kit"`)
		valid, ended := templates.T("zh-CN", "console.kit.valid", "2026 年 3 月 10 日"), templates.T("zh-CN", "console.kit.ended", "2026 年 3 月 10 日")
		agent.hides(agent.expect(agent.get("/console/kit?mark="+url.QueryEscape(mark)), 200, valid), h.owner.Name, h.owner.ID, ended)
		agent.hides(agent.expect(agent.post("/console/kit", "mark", " https://hufu.example/console/kit?mark="+mark+" "), 200, valid), h.owner.Name)
		for _, bad := range []string{"x", mark + "x", mark[:40], "hufu-kit.1." + set.ID + ".2026-03-10."} {
			agent.hides(agent.expect(agent.post("/console/kit", "mark", bad), 422, zh("console.kit.bad")), valid, ended)
		}
		ok, err := s.RemoveCredential(t.Context(), h.owner.ID, set.ID)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		agent.hides(agent.expect(agent.get("/console/kit?mark="+mark), 200, ended), valid)
		owner := h.as(h.owner, 0)
		owner.expect(owner.get("/console/kit?mark="+mark), 403)
	})
}
