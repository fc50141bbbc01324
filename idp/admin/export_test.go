package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// table reads an answer that must be a file of a list.
func (b *browser) table(res *http.Response) [][]string {
	b.t.Helper()
	text := b.expect(res, 200)
	if kind := res.Header.Get("Content-Type"); kind != "text/csv; charset=utf-8" || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment; ") || res.Header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("headers %v: %s", res.Header, mainOf(text))
	}
	body, marked := strings.CutPrefix(text, byteOrderMark)
	if !marked || strings.Contains(body, byteOrderMark) {
		b.t.Error("not marked as UTF-8 once")
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	b.must(err)
	return rows
}

// Every row of three pages leaves once, in order, masked; one event says who took it and why.
func TestExport(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		ctx := t.Context()
		ids := []string{h.shop[idp.RoleCashier].ID}
		for i := range 2*exportPage + 20 {
			u := idp.User{Name: fmt.Sprintf("=1+%d", i), Language: "en", Role: idp.RoleCashier, MerchantID: h.merchant.ID, StoreID: h.store.ID, Status: idp.UserActive}
			h.must(s.CreateUser(ctx, &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: fmt.Sprintf("crowd.%d", i)},
				&idp.Identifier{Kind: idp.IdentifierPhone, Value: fmt.Sprintf("+86139%08d", i), VerifiedAt: time.Now()}))
			ids = append(ids, u.ID)
		}
		slices.Sort(ids)
		b := h.as(h.staff[idp.RoleAuditor], 0)
		path := "/console/users/export?role=cashier&merchant=" + h.merchant.No
		b.expect(b.get(path), 200, `name="reason"`, h.merchant.No, zh("role.cashier"), `action="/console/users/export?role=cashier`)
		b.expect(b.post(path, "reason", " "), 422, zh("reason.empty"))
		rows := b.table(b.post(path, "reason", "audit 2026-03"))
		var got []string
		for _, row := range rows[1:] {
			got = append(got, row[0])
			if row[0] != h.shop[idp.RoleCashier].ID && (strings.Contains(strings.Join(row, "|"), "13900000") || !strings.HasPrefix(row[3], "139****") || !strings.HasPrefix(row[1], "'=1+") || row[5] != h.merchant.No || row[7] != h.store.Name) {
				t.Fatalf("row %q", row)
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%d rows, want %d: each once, in the order of the list", len(got), len(ids))
		}
		log, err := s.Events(ctx, storage.EventFilter{Name: "list.exported"}, 10)
		h.must(err)
		if len(log) != 1 || log[0].Reason != "audit 2026-03" || log[0].Actor != h.staff[idp.RoleAuditor].ID || log[0].Data["list"] != "users" ||
			fmt.Sprint(log[0].Data["filter"]) != fmt.Sprint(map[string]any{"merchant": h.merchant.No, "role": "cashier"}) {
			t.Errorf("log: %+v", log)
		}
	})
}

// Each list as a file holds what the list shows, for those whom the table lets.
func TestEveryListLeaves(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	h.must(h.c.Store.Append(t.Context(), idp.Event{Name: "account.viewed", Actor: h.staff[idp.RoleAuditor].ID, Subject: h.owner.ID, Merchant: h.merchant.ID, Reason: "@SUM(1)"}))
	want := map[string]string{"users": "138****0001", "merchants": h.merchant.No, "stores": h.store.Name, "terminals": h.terminal.Serial, "clients": "merchant-app", "policies": "v1", "cases": h.notme.Number,
		"messages": h.message, "events": "'@SUM(1)"}
	for _, e := range exports {
		for role, u := range h.staff {
			b := h.as(u, 0)
			page := b.expect(b.get("/console"), 200)
			if manage.May(role, e.may) != manage.No {
				page = b.expect(b.get("/console/"+e.list), 200)
			}
			offered := strings.Contains(page, "/console/"+e.list+"/export")
			res := b.post("/console/"+e.list+"/export", "reason", "audit 2026-03")
			may := manage.May(role, manage.Export) != manage.No
			if offered != may {
				t.Errorf("%s offered to %s: %t", e.list, role, offered)
			}
			if !may {
				b.expect(res, 403)
				continue
			}
			rows := b.table(res)
			all := fmt.Sprint(rows)
			if len(rows[0]) != len(rows[len(rows)-1]) || strings.Contains(all, "+8613800000001") || strings.Contains(all, "13800000001") {
				t.Errorf("%s: %q", e.list, rows)
			}
			if role == idp.RolePolicyAdmin && e.list == "cases" {
				if strings.Contains(all, h.notme.Number) {
					t.Error("a case that is not the administrator's to read leaves")
				}
				continue
			}
			if !strings.Contains(all, want[e.list]) {
				t.Errorf("%s by %s: no %q in %q", e.list, role, want[e.list], rows)
			}
		}
		delete(want, e.list)
	}
	if len(want) > 0 {
		t.Errorf("no file of %v", slices.Collect(maps.Keys(want)))
	}
	old := h.as(h.staff[idp.RoleAuditor], 6*time.Minute) // a proof that is enough for acts, but not for this
	old.expect(old.get("/console/users/export"), 303, "/flows/")
	b := h.as(h.staff[idp.RoleAuditor], 0)
	if rows := b.table(b.post("/console/messages/export?state=sent", "reason", "audit 2026-03")); len(rows) != 1 {
		t.Errorf("not narrowed: %q", rows)
	}
	if rows := b.table(b.post("/console/users/export?merchant=999999999999999", "reason", "audit 2026-03")); len(rows) != 1 {
		t.Errorf("of a merchant that there is not: %q", rows)
	}
	b.expect(b.get("/console/messages"), 200, "/console/messages/export?state=dead")
	rows := b.table(b.post("/console/events/export?"+url.Values{"name": {"account.viewed"}, "from": {time.Now().Format(time.DateOnly)}, "after": {"zzz"}}.Encode(), "reason", "audit 2026-03"))
	if len(rows) < 2 || len(slices.DeleteFunc(rows[1:], func(r []string) bool { return r[2] == "account.viewed" })) > 0 {
		t.Errorf("events: %q", rows)
	}
}

// An owner takes his own merchant's lists without a reason, a manager none. What the
// operator's staff did and why leaves as little as the page says.
func TestOwnersExport(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		other := idp.Merchant{No: "822290059430002", LegalName: "建国五金", Tier: idp.TierStandard, Status: idp.MerchantActive}
		h.must(s.CreateMerchant(t.Context(), &other))
		far := h.branch(other.ID, "五四路店")
		h.hand(idp.RoleCashier, far, "b.cashier", "赵建国")
		h.device(far, "HF20269999", idp.TerminalActive)
		auditor := h.staff[idp.RoleAuditor]
		h.must(s.Append(t.Context(), idp.Event{Name: "account.viewed", Actor: auditor.ID, Subject: h.owner.ID, Merchant: h.merchant.ID, Network: "10.9.8.0/24", Reason: "complaint of a neighbour"}))
		owner, manager := h.as(h.owner, 0), h.as(h.shop[idp.RoleManager], 0)
		want := map[string]string{"users": "王志强", "stores": h.store.Name, "terminals": h.terminal.Serial, "cases": h.notme.Number, "events": zh("role.auditor")}
		for _, e := range exports {
			path := "/console/" + e.list + "/export"
			manager.expect(manager.post(path, "reason", "call 0310"), 403)
			if want[e.list] == "" {
				owner.expect(owner.post(path, "reason", "call 0310"), 403)
				continue
			}
			owner.expect(owner.get("/console/"+e.list), 200, path)
			owner.expect(owner.get(path), 200, zh("console.export.do"))
			all := fmt.Sprint(owner.table(owner.post(path + "?merchant=" + other.No)))
			for _, word := range []string{"建国", other.No, far.Name, "b.cashier", "HF20269999", auditor.ID, "10.9.8", "complaint"} {
				if strings.Contains(all, word) {
					t.Errorf("%s holds %q: %s", e.list, word, all)
				}
			}
			if !strings.Contains(all, want[e.list]) {
				t.Errorf("%s: no %q in %s", e.list, want[e.list], all)
			}
		}
		log, err := s.Events(t.Context(), storage.EventFilter{Name: "list.exported", Merchant: h.merchant.ID}, 10)
		h.must(err)
		if len(log) != len(want) {
			t.Errorf("%d exports in the merchant's log", len(log))
		}
	})
}

// A cell is text in a spreadsheet, whatever somebody called himself.
func TestInert(t *testing.T) {
	for in, want := range map[string]string{"": "", "林薇": "林薇", "a=b": "a=b", "1-2": "1-2", "x@y": "x@y", "=1": "'=1", "+86": "'+86", "-1": "'-1", "@A1": "'@A1", "\t=1": "'\t'=1", "\r": "'\r", "  =1": "  '=1",
		"a;=1": "a;'=1", "a\n=cmd|' /C calc'!A0": "a\n'=cmd|' /C calc'!A0", "＝1": "'＝1", "\x00=1": "'=1", "a;b": "a;b", "\u3000@": "\u3000'@", "–": "–"} {
		if got := inert(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// A browser that goes away in the middle, and a file that cannot be finished.
type shortPipe struct {
	*httptest.ResponseRecorder
	room int
}

func (w *shortPipe) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errors.New("gone")
	}
	return w.ResponseRecorder.Write(p)
}

// leaving is a browser whose request ends, as after the time of a page, while the file is on its way.
type leaving struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (w *leaving) Write(p []byte) (int, error) {
	w.end()
	return w.ResponseRecorder.Write(p)
}

// A file takes as long as it takes: the time that a page may take does not end it.
func TestExportOutlivesAPage(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	for i := range exportPage + 5 {
		h.must(h.c.Store.CreateMerchant(t.Context(), &idp.Merchant{No: fmt.Sprintf("8000000000%05d", i), LegalName: "m", Tier: idp.TierMicro, Status: idp.MerchantPending}))
	}
	ctx, end := context.WithCancel(t.Context())
	b := h.as(h.staff[idp.RoleAuditor], 0)
	r := b.ask("/console/merchants/export", "reason=audit+2026").WithContext(ctx)
	w := &leaving{httptest.NewRecorder(), end}
	h.mux.ServeHTTP(w, r)
	if rows := b.table(w.Result()); len(rows) != exportPage+7 { // and the house's own, and the names of the columns
		t.Errorf("%d rows", len(rows))
	}
}

// ask is a form that this browser sends.
func (b *browser) ask(path, form string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func TestExportIsCutOff(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RoleAuditor], 0)
	r := b.ask("/console/users/export", "reason=audit+2026")
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("ended with %v: the browser takes the file for whole", p)
		}
	}()
	h.mux.ServeHTTP(&shortPipe{httptest.NewRecorder(), 10}, r)
}
