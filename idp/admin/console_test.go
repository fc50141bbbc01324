package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// A house is a console over a store with people and things in it.
type house struct {
	t        *testing.T
	c        *Console
	mux      *http.ServeMux
	staff    map[idp.Role]idp.User
	shop     map[idp.Role]idp.User // the merchant's: the owner, and a manager and a cashier of the store
	owner    idp.User
	merchant idp.Merchant
	store    idp.Store
	terminal idp.Terminal
	code     string // an explain code
	message  string // one that was given up
	notme    idp.Case
	edition  idp.Edition // a draft
	run      idp.Simulation
	asked    idp.Approval // by the support supervisor: to close the merchant
	witness  idp.User     // another policy administrator, once one was needed
	handover idp.Handover // from the owner to the manager
	gone     idp.Case     // for an owner who is gone
}

// second is another policy administrator's browser.
func (h *house) second() *browser {
	h.t.Helper()
	if h.witness.ID == "" {
		h.witness = h.user(idp.RolePolicyAdmin, "", "witness", "何证")
	}
	return h.as(h.witness, 0)
}

// waits reads the answer to an act that takes two people, and returns the page of what waits.
func (b *browser) waits(res *http.Response) string {
	b.t.Helper()
	b.expect(res, 303, "/console/approvals/", "?saved=asked")
	page, _, _ := strings.Cut(res.Header.Get("Location"), "?")
	return page
}

// agreed has it approved by another.
func (b *browser) agreed(res *http.Response) (page string) {
	b.t.Helper()
	page = b.waits(res)
	other := b.second()
	other.expect(other.post(page+"/approve", "reason", "seen and agreed"), 303, page+"?saved=approved")
	return page
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func newHouse(t *testing.T, s *storage.Store) *house {
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	sessions := &session.Manager{Store: s, Policy: policy.NewLive(policy.Default()), Ring: storagetest.Ring(), Network: func(context.Context) string { return "112.5.6.0/24" },
		Device: func(*http.Request) string { return "Chrome · Android" }, Admit: func(*http.Request) error { return nil }, Log: log}
	h := &house{t: t, mux: http.NewServeMux(), staff: map[idp.Role]idp.User{}, code: idp.NewExplainCode()}
	h.c = &Console{Store: s, Passkeys: true, Site: &web.Site{Sessions: sessions, Issuer: "http://localhost:8080", Operator: "示范收单", Log: log},
		Manage: &manage.Manager{Store: s, Policy: policy.NewLive(policy.Default()), Issuer: "http://localhost:8080",
			Invite: func(_ idp.ChannelKind, lang, link, name string) (string, string, string, error) {
				return "s", link, "h", nil
			}, Notify: func(context.Context, idp.User, string) error { return nil }, Announce: func(context.Context, idp.User, idp.Announcement) error { return nil },
			Tell:         func(context.Context, idp.User, string, idp.Case, string) error { return nil },
			VoidRecovery: func(context.Context, string, string, idp.Event) error { return nil },
			Freeze: func(ctx context.Context, u idp.User, by idp.Event) error {
				return second(s.FreezeUser(ctx, u.ID, time.Now()))
			},
			CaseLink: func(ctx context.Context, u idp.User, c idp.Case, to idp.Identifier) (string, error) {
				return "", s.Queue(ctx, &idp.Message{UserID: u.ID, Channel: idp.ChannelMail, To: to.Value, Template: "case.link"})
			},
			NewKeys: func() ([]storage.SigningKey, error) {
				return []storage.SigningKey{{ID: idp.NewID(), Alg: "ES256", State: "active", Public: []byte("{}"), Private: []byte("k"), CreatedAt: time.Now()}}, nil
			}}}
	h.c.Routes(h.mux)
	for _, role := range idp.Roles {
		if role.Operator() {
			h.staff[role] = h.user(role, "", string(role))
		}
	}
	h.must(s.SetTeam(ctx, h.staff[idp.RoleSupportAgent].ID, "early")) // the others have none: of two shifts are they and he
	h.merchant = idp.Merchant{No: "822290059430001", LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantActive}
	h.must(s.CreateMerchant(ctx, &h.merchant))
	h.store = idp.Store{MerchantID: h.merchant.ID, Name: "鼓楼店", Place: "福州"}
	h.must(s.CreateStore(ctx, &h.store))
	h.terminal = idp.Terminal{Serial: "HF20260001", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: h.merchant.ID, StoreID: h.store.ID, State: idp.TerminalActive}
	h.must(s.CreateTerminal(ctx, &h.terminal))
	h.owner = h.user(idp.RoleOwner, h.merchant.ID, "lin.wei", "林薇")
	h.must(s.AddIdentifier(ctx, &idp.Identifier{UserID: h.owner.ID, Kind: idp.IdentifierPhone, Value: "+8613800000001", VerifiedAt: time.Now(), LastProvenAt: time.Now()}))
	h.must(s.AddIdentifier(ctx, &idp.Identifier{UserID: h.owner.ID, Kind: idp.IdentifierMerchantNo, Value: h.merchant.No}))
	h.must(s.AddCredential(ctx, &idp.Credential{UserID: h.owner.ID, Method: idp.MethodTOTP, Label: "lin.wei", Data: []byte("{}")}))
	h.shop = map[idp.Role]idp.User{idp.RoleOwner: h.owner, idp.RoleManager: h.hand(idp.RoleManager, h.store, "wang.zq", "王志强"), idp.RoleCashier: h.hand(idp.RoleCashier, h.store, "chen.xy", "陈小燕")}
	h.must(s.CreateClient(ctx, &idp.Client{ID: "merchant-app", Name: "商户 App", Grants: []string{"authorization_code"}, Redirects: []string{"http://localhost:8081/callback"}, Scopes: []string{"openid", "payments:read"}}))
	h.must(s.CreateClient(ctx, &idp.Client{ID: "settlement", Name: "结算", SecretHashes: [][]byte{[]byte("0123")}, Grants: []string{"client_credentials"}, Scopes: []string{"settlement:manage"}}))
	h.must(s.CreateGrant(ctx, &idp.Grant{UserID: h.owner.ID, ClientID: "merchant-app", TerminalID: h.terminal.ID, Scopes: []string{"terminal"}, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}))
	h.message = h.deadMessage("frozen")
	h.notme = idp.Case{Kind: "notme", UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour)}
	h.must(s.OpenCase(ctx, &h.notme))
	h.handover = idp.Handover{MerchantID: h.merchant.ID, From: h.owner.ID, To: h.shop[idp.RoleManager].ID, ProposedAt: time.Now(), DueAt: time.Now().Add(72 * time.Hour)}
	h.must(s.AddHandover(ctx, &h.handover))
	h.gone = idp.Case{Kind: "handover", UserID: h.owner.ID, Merchant: h.merchant.ID, OpenedBy: h.staff[idp.RoleSupportAgent].ID, OpenedAt: time.Now(), ReadyAt: time.Now(), DueAt: time.Now().Add(24 * time.Hour),
		Data: map[string]any{"to": h.shop[idp.RoleManager].ID, "papers": []string{"gone", "licence"}, "reason": "saw the licence"}}
	h.must(s.OpenCase(ctx, &h.gone))
	h.must(s.FoundEdition(ctx, policy.Default().Document.Format(), time.Now()))
	h.edition = idp.Edition{Base: 1, Document: policy.Default().Document.Format(), Author: h.staff[idp.RolePolicyAdmin].ID, CreatedAt: time.Now()}
	h.must(s.CreateEdition(ctx, &h.edition))
	h.run = idp.Simulation{Edition: h.edition.ID, Revision: 1, By: h.edition.Author, StartedAt: time.Now()}
	h.must(s.StartSimulation(ctx, &h.run))
	super := h.staff[idp.RoleSupportSupervisor]
	h.asked = idp.Approval{Act: string(manage.MerchantClose), Object: h.merchant.ID, Merchant: h.merchant.ID, Input: []byte("null"), Changes: []idp.Difference{{Field: "state", Old: []string{"active"}, New: []string{"closed"}}},
		Reason: "gave up the shop", AskedBy: super.ID, AskedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	h.must(s.CreateApproval(ctx, &h.asked))
	h.must(s.Append(ctx, idp.Event{Name: "signin.failed", Subject: h.owner.ID, Reason: "pw.closed", Network: "112.5.6.0/24", Explain: h.code, Data: map[string]any{"n": 5}}))
	return h
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

func (h *house) user(role idp.Role, merchant, login string, name ...string) idp.User {
	h.t.Helper()
	u := idp.User{Name: append(name, login)[0], Language: "zh-CN", Role: role, MerchantID: merchant, Status: idp.UserActive}
	h.must(h.c.Store.CreateUser(h.t.Context(), &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: login}))
	return u
}

// A browser is signed in, in one language.
type browser struct {
	*house
	cookies []*http.Cookie
	lang    string
}

// as signs a person in with proofs of the given ages: a password and, of staff, a passkey, of
// others a code.
func (h *house) as(u idp.User, age time.Duration) *browser {
	h.t.Helper()
	if !u.Role.Operator() {
		return h.byApp(u, age)
	}
	at := time.Now().Add(-age)
	return h.with(u, idp.Proof{User: u.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: at}, idp.Proof{User: u.ID, Method: idp.MethodPasskey, Channels: []string{"key:1"}, UserVerified: true, At: at})
}

// byApp signs a person in with a password and a code.
func (h *house) byApp(u idp.User, age time.Duration) *browser {
	h.t.Helper()
	at := time.Now().Add(-age)
	return h.with(u, idp.Proof{User: u.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: at}, idp.Proof{User: u.ID, Method: idp.MethodTOTP, Channels: []string{"totp:1"}, At: at})
}

func (h *house) with(u idp.User, proofs ...idp.Proof) *browser {
	h.t.Helper()
	w := httptest.NewRecorder()
	_, token, err := h.c.Site.Sessions.Begin(h.t.Context(), httptest.NewRequest("GET", "/", nil), u, nil, proofs, "")
	h.must(err)
	h.c.Site.Sessions.SetCookie(w, token)
	return &browser{h, w.Result().Cookies(), "zh-CN"}
}

func (b *browser) do(method, path string, form url.Values) *http.Response {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept-Language", b.lang)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return res
}

func (b *browser) get(path string) *http.Response { b.t.Helper(); return b.do("GET", path, nil) }

func (b *browser) post(path string, pairs ...string) *http.Response {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do("POST", path, form)
}

// expect reads an answer that must have a status and, if not "", hold words or lead
// to a path.
func (b *browser) expect(res *http.Response, status int, words ...string) string {
	b.t.Helper()
	body, err := io.ReadAll(res.Body)
	b.must(err)
	text := string(body)
	if res.StatusCode != status {
		b.t.Fatalf("status %d, want %d, to %s: %s", res.StatusCode, status, res.Header.Get("Location"), mainOf(text))
	}
	for _, word := range words {
		if !strings.Contains(text+res.Header.Get("Location"), word) {
			b.t.Errorf("no %q in %s %s", word, res.Header.Get("Location"), mainOf(text))
		}
	}
	for _, trouble := range []string{"⟦", "%!", "<no value>", "ZgotmplZ"} {
		if i := strings.Index(text, trouble); i >= 0 {
			b.t.Errorf("page holds %q: %s", trouble, text[max(0, i-80):min(len(text), i+80)])
		}
	}
	return text
}

func zh(key string) string { return templates.T("zh-CN", key) }

var tags = regexp.MustCompile(`(?s)<main.*?>(.*)</main>`)

func mainOf(text string) string {
	if m := tags.FindString(text); m != "" {
		return m
	}
	return text
}

func (h *house) fill(pattern string) string {
	id := map[string]string{"users": h.owner.ID, "merchants": h.merchant.ID, "stores": h.store.ID, "terminals": h.terminal.ID, "clients": "merchant-app", "explain": strings.ReplaceAll(h.code, "-", ""),
		"messages": h.message, "cases": h.notme.ID, "policies": h.edition.ID, "simulations": h.run.ID, "approvals": h.asked.ID, "handovers": h.handover.ID, "handover-cases": h.gone.ID}
	if strings.Contains(pattern, "/staff-") { // of the operator's own
		id["users"] = h.staff[idp.RoleAuditor].ID
	}
	_, path, _ := strings.Cut(pattern, " ")
	parts := strings.Split(path, "/")
	if len(parts) > 3 && parts[3] == "{id}" {
		parts[3] = id[parts[2]]
	}
	return strings.Join(parts, "/")
}

// Every row of the table that is an act has a route, and every form both methods.
func TestEveryActionHasARoute(t *testing.T) {
	routed := map[manage.Action]bool{manage.OwnerNew: true, manage.StaffEnable: true, manage.TierUp: true} // decided by the target, in manage
	for _, rt := range (&Console{}).routes() {
		routed[rt.action] = true
		method, _, _ := strings.Cut(rt.pattern, " ")
		if method == "GET" && !rt.fresh && strings.Contains(rt.pattern, "{id}/") && !strings.HasSuffix(rt.pattern, "/look") && !strings.HasSuffix(rt.pattern, "/events") && !strings.HasSuffix(rt.pattern, "/people") {
			t.Errorf("%s asks for no fresh proof", rt.pattern)
		}
	}
	routed[manage.ManagerNew] = true // by the form of a new cashier
	for _, act := range manage.Actions() {
		if !routed[act] {
			t.Errorf("%s has no route", act)
		}
	}
}

func TestTheDoor(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	admin := h.staff[idp.RolePolicyAdmin]
	b := h.as(h.shop[idp.RoleCashier], 0)
	b.expect(b.get("/console"), 403, "控制台里别的只给", "/account")
	b.lang = "en"
	b.expect(b.get("/console/users"), 403, "The rest of the console", `lang="en"`)
	// What is not a merchant's is closed to its people also when they have a console.
	b = h.as(h.owner, 0)
	b.expect(b.get("/console/merchants"), 403)
	b.expect(b.get("/console"), 200, "概览")
	one := h.with(admin, idp.Proof{User: admin.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: time.Now()})
	one.expect(one.get("/console"), 303, "/flows/")
	two := h.as(admin, 2*time.Hour) // two factors, long ago: looking is allowed, acting asks again
	two.expect(two.get("/console"), 200, "概览")
	two.expect(two.get("/console/users/"+h.owner.ID+"/disable"), 303, "/flows/")
	two.expect(two.post("/console/users/"+h.owner.ID+"/disable", "reason", "call 0310"), 303, "/console/users/"+h.owner.ID+"/look?to=")
	two.look(h.owner.ID)
	text := two.expect(two.post("/console/users/"+h.owner.ID+"/disable", "reason", "call 0310<"), 422, "call 0310&lt;", zh("console.stale"), `href="/console/users/`+h.owner.ID+`/disable" target="_blank"`)
	if strings.Contains(text, `id="errors"`) {
		t.Error("nothing is wrong with what was typed")
	}
	if u, err := h.c.Store.User(t.Context(), h.owner.ID); err != nil || u.Status != idp.UserActive {
		t.Error("acted on a proof that is too old")
	}
	mid := h.as(admin, 12*time.Minute) // the form wants time to be filled in, the act itself is still in time
	mid.expect(mid.get("/console/users/"+h.owner.ID+"/disable"), 303, "/flows/")
	mid.expect(mid.post("/console/clients/merchant-app/disable", "reason", "call 0310"), 422, zh("console.stale"), "call 0310")
	mid.expect(mid.post("/console/merchants/"+h.merchant.ID+"/look", "reason", "call 0310"), 303)
	mid.expect(mid.post("/console/merchants/"+h.merchant.ID+"/return", "reason", "call 0310"), 422, zh("console.stale"))
	mid.expect(mid.post("/console/users/"+h.owner.ID+"/disable", "reason", "call 0310"), 303, "/console/users/"+h.owner.ID+"?saved=changed")
	// To bring back a shop's own asks less than one of the operator's: there what level Four asks.
	staff := h.staff[idp.RoleSupportAgent]
	mid.look(staff.ID)
	mid.expect(mid.post("/console/users/"+staff.ID+"/disable", "reason", "call 0310"), 303, "?saved=changed")
	mid.expect(mid.get("/console/users/"+staff.ID+"/enable"), 303, "/flows/")
	mid.expect(mid.post("/console/users/"+staff.ID+"/enable", "reason", "call 0310"), 422, zh("console.stale"))
	mid.expect(mid.post("/console/approvals/"+h.asked.ID+"/approve", "reason", "call 0310"), 422, zh("console.stale"))
	mid.expect(mid.get("/console/approvals/"+h.asked.ID+"/collect"), 303, "/flows/")
	mid.expect(mid.post("/console/users/"+h.owner.ID+"/enable", "reason", "call 0310"), 303, "?saved=changed")
}

// What policy calls grave wants a passkey of the operator's people, on every route: a code that
// was tricked out of somebody does not do. Nothing else wants one, nor does a shop's own list.
func TestGraveActsWantAPasskey(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	app, key := h.byApp(h.staff[idp.RolePolicyAdmin], 0), h.as(h.staff[idp.RolePolicyAdmin], 0)
	asked := func(b *browser, rt route) bool {
		method, _, _ := strings.Cut(rt.pattern, " ")
		res := b.do(method, h.fill(rt.pattern), map[string]url.Values{"POST": {"reason": {"x"}}}[method]) // no reason yet: nothing is done
		text, err := io.ReadAll(res.Body)
		h.must(err)
		return strings.HasPrefix(res.Header.Get("Location"), "/flows/") || strings.Contains(string(text), zh("console.stale"))
	}
	grave := 0
	for _, look := range []string{"/console/users/" + h.owner.ID, "/console/users/" + h.staff[idp.RoleAuditor].ID, "/console/merchants/" + h.merchant.ID} {
		app.expect(app.post(look+"/look", "reason", "call 0310-017"), 303)
		key.expect(key.post(look+"/look", "reason", "call 0310-017"), 303)
	}
	for _, rt := range h.c.routes() {
		if !rt.fresh || manage.May(idp.RolePolicyAdmin, rt.action) == manage.No || rt.action == manage.CaseApprove { // of a merchant's person: not his
			continue
		}
		if manage.Grave(rt.action) {
			grave++
		}
		if got := asked(app, rt); got != manage.Grave(rt.action) {
			t.Errorf("%s by an app: asked again: %v", rt.pattern, got)
		}
		if asked(key, rt) {
			t.Errorf("%s by a passkey: asked again", rt.pattern)
		}
	}
	if grave < 20 {
		t.Errorf("%d grave routes", grave)
	}
	submit := route{pattern: "POST /console/policies/{id}/submit"}
	for age, want := range map[time.Duration]bool{4 * time.Minute: false, 6 * time.Minute: true} { // RULES 1: mode one, 300 s
		if got := asked(h.as(h.staff[idp.RolePolicyAdmin], age), submit); got != want {
			t.Errorf("submitted with a passkey shown %s ago: asked again: %v", age, got)
		}
	}
	emergency, admin := route{pattern: "POST /console/policies/{id}/emergency"}, h.staff[idp.RolePolicyAdmin]
	for age, want := range map[time.Duration]bool{time.Minute: false, 3 * time.Minute: true} { // mode all, 120 s
		if got := asked(h.as(admin, age), emergency); got != want {
			t.Errorf("emergency with proofs of %s ago: asked again: %v", age, got)
		}
	}
	now := time.Now()
	half := h.with(admin, idp.Proof{User: admin.ID, Method: idp.MethodPasskey, Channels: []string{"key:1"}, UserVerified: true, At: now.Add(-10 * time.Minute)},
		idp.Proof{User: admin.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: now}, idp.Proof{User: admin.ID, Method: idp.MethodTOTP, Channels: []string{"totp:1"}, At: now})
	if !asked(half, emergency) || asked(half, submit) {
		t.Error("a passkey of long ago counts for all proofs, or not for one beside a fresh one")
	}
	auditor := h.byApp(h.staff[idp.RoleAuditor], 0)
	auditor.expect(auditor.get("/console/users/export"), 303, "/flows/")
	owner := h.as(h.owner, 0)
	owner.expect(owner.get("/console/users/export"), 200)

	app = h.byApp(h.staff[idp.RolePolicyAdmin], 0) // staff have three sessions at most
	d := policy.Default().Document
	d.Rules[0].Set["step_up.console_acr"] = idp.ACR2
	p, err := policy.Compile(d, 2)
	h.must(err)
	h.c.Manage.Policy.Use(p, nil) // policy asks for less
	app.expect(app.get("/console/clients/new"), 200)
	h.c.Manage.Policy.Use(policy.Default(), nil)
	app.expect(app.get("/console/clients/new"), 303)
	h.c.Passkeys = false // there are none here
	app.expect(app.get("/console/clients/new"), 200)
}

// look gives a reason to see a person.
func (b *browser) look(user string) {
	b.t.Helper()
	b.expect(b.post("/console/users/"+user+"/look", "reason", "call 0310-017"), 303)
}

// Forms end here: the browser is told so.
func TestFormsEndHere(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RolePolicyAdmin], 0)
	for _, path := range []string{"/console", "/console/clients/new", "/console/find"} {
		if csp := b.get(path).Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "; form-action 'self'") || !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s: %q", path, csp)
		}
	}
}

func TestLookingNeedsAReason(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RoleSupportAgent], time.Hour)
	page := "/console/users/" + h.owner.ID
	b.expect(b.get(page), 303, page+"/look?to=")
	b.hides(b.expect(b.get(page+"/look"), 200, zh("console.look.this_user"), `name="reason"`), "lin.wei", "138****0001")
	text := b.expect(b.post(page+"/look?to="+url.QueryEscape(page+"/events"), "reason", "x<", "typed", "lin.wei"), 422, templates.T("zh-CN", "reason.short", 4), "x&lt;", "to=", "查看lin.wei的账户")
	b.hides(text, "138****0001")
	b.expect(b.post(page+"/look?to="+url.QueryEscape("//evil.example"), "reason", "call 0310"), 303, page)
	text = b.expect(b.get(page), 200, "138****0001", "验证器 App", "lin.wei", "林薇", h.merchant.LegalName, "密码登录对陌生浏览器关闭", "尾号 0001", "全部退出")
	if strings.Contains(text, "13800000001") || strings.Contains(text, "/disable") || strings.Contains(text, h.merchant.No) {
		t.Error("shows a whole number or an act that is not the agent's")
	}
	b.expect(b.get(page+"/events"), 200, "登录没有成功")
	b.expect(b.get("/console/events"), 403)
	auditor := h.as(h.staff[idp.RoleAuditor], time.Hour)
	auditor.expect(auditor.get(page), 200, "工作人员查看了账户")
	own := "/console/users/" + h.staff[idp.RoleAuditor].ID
	auditor.expect(auditor.get(own), 200, "这是您自己的账户")
	if n := h.looks(); n != 2 {
		t.Errorf("%d looks", n)
	}
}

func (h *house) looks() int {
	h.t.Helper()
	n := 0
	for _, name := range []string{"account.viewed", "merchant.viewed"} {
		list, err := h.c.Store.Events(h.t.Context(), storage.EventFilter{Name: name}, 10)
		h.must(err)
		n += len(list)
	}
	return n
}

// hides says that a page tells nothing of somebody who was not looked at.
func (b *browser) hides(text string, more ...string) {
	b.t.Helper()
	for _, word := range append(more, "林薇", b.merchant.LegalName, b.store.Name, "13800000001") {
		if strings.Contains(text, word) {
			b.t.Errorf("shows %q before the look: %s", word, mainOf(text))
		}
	}
}

// No page or form about a person or a merchant names anybody before a look of this
// visitor was recorded; what is refused or asked for leaves no name behind either.
func TestNobodyIsNamedBeforeTheLook(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	for _, role := range []idp.Role{idp.RolePolicyAdmin, idp.RoleSupportAgent, idp.RoleSupportSupervisor} {
		b := h.as(h.staff[role], 0)
		for _, rt := range append(h.c.routes(), route{"GET /console/terminals/new?merchant_no=" + h.merchant.No, manage.TerminalNew, true, nil},
			route{"GET /console/events?subject=" + h.owner.ID, manage.EventRead, false, nil}, route{"GET /console/events?merchant=" + h.merchant.No, manage.EventRead, false, nil},
			route{"GET /console/events/export?subject=" + h.owner.ID, manage.Export, true, nil}, route{"POST /console/events/export?merchant=" + h.merchant.No, manage.Export, true, nil}) {
			method, _, _ := strings.Cut(rt.pattern, " ")
			path := h.fill(rt.pattern)
			about := strings.Contains(path, h.owner.ID) || strings.Contains(path, h.merchant.ID) || strings.Contains(path, h.terminal.ID) || strings.Contains(path, h.store.ID) || strings.Contains(path, h.merchant.No)
			if !about || manage.May(role, rt.action) == manage.No {
				continue
			}
			for _, form := range []url.Values{nil, {"reason": {""}}, {"reason": {"call 0310"}}} {
				if (form != nil) != (method == "POST") || strings.HasSuffix(path, "/look") && form.Get("reason") != "" {
					continue
				}
				res := b.do(method, path, form)
				status := 303
				if strings.HasSuffix(path, "/look") {
					status = map[string]int{"GET": 200, "POST": 422}[method]
				}
				b.hides(b.expect(res, status), "HF20260001", "lin.wei")
				if to := res.Header.Get("Location"); status == 303 && !strings.Contains(to, "/look?to=") {
					t.Errorf("%s %s by %s leads to %s", method, path, role, to)
				}
			}
		}
	}
	agent := h.as(h.staff[idp.RoleSupportAgent], 0)
	agent.hides(agent.expect(agent.get("/console/explain/"+digits(h.code)), 200, "密码登录对陌生浏览器关闭", zh("role.owner")), "lin.wei")
	if n := h.looks(); n != 0 {
		t.Errorf("%d looks without a reason", n)
	}
	u, err := h.c.Store.User(t.Context(), h.owner.ID)
	if err != nil || u.Status != idp.UserActive || u.Locked != "" {
		t.Errorf("acted before the look: %+v, %v", u, err)
	}
	agent.look(h.owner.ID)
	agent.expect(agent.get("/console/users/"+h.owner.ID+"/lock"), 200, "林薇", "lin.wei")
	agent.expect(agent.get("/console/explain/"+digits(h.code)), 200, "林薇")
	agent.hides(mainOf(agent.expect(agent.post("/console/find", "q", "HF20260001"), 200)))
}

// What is looked for stands in no address, and the answer before the look says no
// more than what was typed.
func TestFind(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RoleSupportAgent], time.Hour)
	user, merchant := "/console/users/"+h.owner.ID, "/console/merchants/"+h.merchant.ID
	things := map[string]struct{ shown, look, to string }{"lin.wei": {"lin.wei", user, user}, "138 0000 0001": {"138****0001", user, user}, h.owner.ID: {h.owner.ID, user, user},
		"822290059430001": {"822290059430001", merchant, merchant}, "hf20260001": {"hf20260001", merchant, "/console/terminals/" + h.terminal.ID}}
	for q, want := range things {
		text := b.expect(b.post("/console/find", "q", q), 200, `action="`+want.look+"/look?to="+want.to+`"`, `name="typed" value="`+want.shown+`"`, `name="reason"`)
		b.hides(text)
		for _, other := range []string{"lin.wei", "138****0001", "822290059430001"} {
			if other != want.shown && strings.Contains(text, other) {
				t.Errorf("%q was typed and %q shown", q, other)
			}
		}
	}
	for q := range things {
		if res := b.get("/console/find?q=" + url.QueryEscape(q)); strings.Contains(mainOf(b.expect(res, 200)), q) {
			t.Errorf("%q is looked for from an address", q)
		}
	}
	b.expect(b.post(user+"/look?to="+user, "reason", "call 0310", "typed", "138****0001"), 303, user)
	b.expect(b.post("/console/find", "q", "138 0000 0001"), 303, user)
	b.expect(b.post("/console/find", "q", h.code), 303, "/console/explain/"+digits(h.code))
	b.expect(b.post("/console/find", "q", " "+digits(h.notme.Number)), 303, "/console/cases/"+h.notme.ID)
	old := idp.Identifier{UserID: h.owner.ID, Kind: idp.IdentifierUsername, Value: "linwei88", Former: true}
	h.must(h.c.Store.AddIdentifier(t.Context(), &old))
	h.must(h.c.Store.AddIdentifier(t.Context(), &idp.Identifier{UserID: h.owner.ID, Kind: idp.IdentifierEmail, Value: "lin@example.com", VerifiedAt: time.Now()}))
	for _, q := range []string{"linwei88", "lin@example.com", "LinWei88"} {
		b.expect(b.post("/console/find", "q", q), 303, user)
	}
	for _, q := range []string{"", "nobody", "merchant-app", "林记小馆", "'; DROP TABLE users; --", "\x00", "\xff\xfe", strings.Repeat("9", 5000), "<script>alert(1)</script>"} {
		if text := b.expect(b.post("/console/find", "q", q), 200, "没有找到"); strings.Contains(text, "<script>alert") {
			t.Error("not escaped")
		}
	}
	b.expect(b.get("/console/explain/"+digits(h.code)), 200, "密码登录对陌生浏览器关闭", "怎么办", "林薇")
	admin := h.as(h.staff[idp.RolePolicyAdmin], time.Hour)
	admin.expect(admin.post("/console/find", "q", "merchant-app"), 303, "/console/clients/merchant-app")
	admin.expect(admin.post("/console/find", "q", "林记小馆"), 200, merchant, h.merchant.No)
	admin.expect(admin.get("/console/explain/"+digits(h.code)), 403)
	admin.expect(admin.post("/console/find", "q", h.notme.Number), 200, "没有找到") // of a merchant's person
	auditor := h.as(h.staff[idp.RoleAuditor], time.Hour)
	auditor.expect(auditor.post("/console/find", "q", "lin.wei"), 303, user)
}

// The log is narrowed to a person by what names him, and the address holds an id.
func TestNarrowTheLog(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RoleSupportSupervisor], time.Hour)
	at := "/console/events?name=signin.failed&subject=" + h.owner.ID
	b.expect(b.post("/console/events", "who", "13800000001", "name", "signin.failed"), 303, at)
	b.expect(b.get(at), 303, "/look?to=")
	b.look(h.owner.ID)
	b.expect(b.get(at), 200, "林薇", `name="subject"`, "密码登录对陌生浏览器关闭")
	b.expect(b.post("/console/events", "who", "nobody", "name", "signin.failed"), 200, "没有找到“nobody”", `value="nobody"`)
	b.expect(b.post("/console/events", "code", "1"), 200, zh("error.explain_typo"))
	b.expect(b.post("/console/events", "code", h.code), 303, "/console/explain/"+digits(h.code))
	b.expect(b.post("/console/events"), 303, "/console/events")
	b.expect(b.get("/console/events?subject=nobody"), 404)
	if text := b.expect(b.get("/console/events?who=13800000001"), 200); strings.Contains(mainOf(text), "13800000001") {
		t.Error("a number in the address is taken")
	}
}

// Two who change a secret at once: the second is told, and what the first gave out
// goes on working. Who asked collects the secret, once; who approved never sees it.
func TestSecretOfAClientThatChanged(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		b, path := h.as(h.staff[idp.RolePolicyAdmin], 0), "/console/clients/settlement/secret"
		version := func(text string) string {
			return regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(text)[1]
		}
		seen := version(b.expect(b.get(path), 200, zh("approval.alone")))
		b.expect(b.get("/console/users/new"), 200, zh("approval.alone"))
		h.second()
		b.expect(b.get(path), 200, zh("approval.note"))
		b.expect(b.post(path, "reason", "no", "version", seen), 422, `value="`+seen+`"`)
		page := b.waits(b.post(path, "reason", "rotation", "version", seen))
		b.expect(b.post(path, "reason", "rotation", "version", seen), 422, zh("approval.waits"))
		if c, err := s.ClientNow(t.Context(), "settlement"); err != nil || c.Version != 1 {
			t.Error("done by one")
		}
		b.expect(b.post(page+"/collect"), 422, zh("approval.no_secret"))
		b.expect(b.post(page+"/approve", "reason", "myself"), 403, zh("approval.own"))
		other := h.second()
		other.expect(other.get(page), 200, zh("approval.old_secret.void"), "rotation", page+"/approve", page+"/refuse")
		other.expect(other.get(page+"/approve"), 200, zh("approval.old_secret.void"), "rotation")
		other.expect(other.post(page+"/approve", "reason", "seen and agreed"), 303, page+"?saved=approved")
		other.expect(other.get(page+"?saved=approved"), 200, zh("console.saved.approved"), zh("event.approval.approved"))
		other.expect(other.post(page+"/approve", "reason", "once more"), 422, zh("approval.over"))
		first, err := s.ClientNow(t.Context(), "settlement")
		h.must(err)

		other.expect(other.post(page+"/collect"), 422, zh("approval.no_secret"))
		b.expect(b.get("/console"), 200, "1 个新密钥等您来取")
		b.expect(b.get(page), 200, page+"/collect")
		res := b.post(page + "/collect")
		secret := regexp.MustCompile(`id="secret">([A-Za-z0-9_-]{43})<`).FindStringSubmatch(b.expect(res, 200, "只显示这一次"))
		if secret == nil || res.Header.Get("Cache-Control") != "no-store" {
			t.Fatal("the secret is kept somewhere or not shown")
		}
		if sum := sha256.Sum256([]byte(secret[1])); string(first.SecretHashes[0]) != string(sum[:]) {
			t.Error("the secret does not work")
		}
		b.expect(b.post(page+"/collect"), 422, zh("approval.no_secret"))

		text := b.expect(b.post(path, "reason", "rotation", "version", seen), 422, zh("error.moved"), "rotation")
		if after, err := s.ClientNow(t.Context(), "settlement"); err != nil || after.Version != first.Version || string(after.SecretHashes[0]) != string(first.SecretHashes[0]) {
			t.Error("the first one's secret is gone")
		}
		b.expect(b.post(path, "reason", "rotation"), 422, zh("error.moved"))
		b.agreed(b.post(path, "reason", "rotation", "version", version(text)))
	})
}

func TestUnknownIsNotFound(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RolePolicyAdmin], 0)
	for _, rt := range h.c.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if !strings.Contains(path, "{id}") || manage.May(idp.RolePolicyAdmin, rt.action) == manage.No {
			continue
		}
		for _, id := range []string{"none", strings.Repeat("a", 300), "%00", "%ff", "..%2f", "a%20b"} {
			var form url.Values
			if method == "POST" {
				form = url.Values{"reason": {"call 0310"}, "name": {"x"}}
			}
			res := b.do(method, strings.Replace(path, "{id}", id, 1), form)
			if res.StatusCode != http.StatusNotFound && !(res.StatusCode == http.StatusMovedPermanently || res.StatusCode == http.StatusTemporaryRedirect) {
				t.Errorf("%s with %.20s: %d", rt.pattern, id, res.StatusCode)
			}
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		if res := b.do(method, "/console/users/"+h.owner.ID, nil); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, res.StatusCode)
		}
	}
}

// One operator's day, through the pages alone.
func TestStory(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		b := h.as(h.staff[idp.RolePolicyAdmin], 0)
		const why = "contract 2026-118"
		b.expect(b.get("/console/merchants/new"), 200, "新建商户")
		b.expect(b.post("/console/merchants/new", "legal_name", "建国五金", "no", "82229005943000", "tier", "standard", "reason", why), 422, zh("error.merchant_no"), "建国五金", why, `aria-invalid="true"`)
		b.expect(b.post("/console/merchants/new", "legal_name", "x", "no", h.merchant.No, "tier", "standard", "reason", why), 422, zh("error.taken.merchant_no"))
		res := b.post("/console/merchants/new", "legal_name", "建国五金", "no", "822290059430002", "tier", "high_value", "reason", why, "status", "active", "id", "mine")
		b.expect(res, 303, "?saved=created")
		page, _, _ := strings.Cut(res.Header.Get("Location"), "?")
		b.expect(b.get(page+"?saved=created"), 200, "已经新建", "待启用", "建国五金", "邀请店主")
		b.expect(b.get(page+"?saved=<script>"), 200)
		b.expect(b.post(page+"/stores/new", "name", "五四路店", "reason", why), 303, page+"?saved=created")
		b.expect(b.post(page+"/open", "reason", why), 403, zh("error.owner_not_ready"))

		res = b.post("/console/users/new", "name", "赵建国", "role", "owner", "merchant_no", "822290059430002", "username", "zhaojg68", "phone", "13800000009", "language", "en", "reason", why,
			"status", "active", "merchant_id", h.merchant.ID, "locked", "x")
		b.expect(res, 303, "?saved=invited")
		b.expect(b.get(res.Header.Get("Location")), 200, "邀请已经发出", "赵建国", "138****0009", "还没有接受邀请", "再发邀请")
		again, _, _ := strings.Cut(res.Header.Get("Location"), "?")
		b.expect(b.get(again+"/invite-again"), 200, "旧的作废")
		b.expect(b.post(again+"/invite-again", "reason", why), 303, "?saved=invited-again")
		b.expect(b.get(again+"?saved=invited-again"), 200, "新的邀请已经发出")
		owner, err := s.UserByIdentifier(t.Context(), idp.IdentifierUsername, "zhaojg68")
		h.must(err)
		if owner.Status != idp.UserInvited || owner.MerchantID == h.merchant.ID || owner.Locked != "" {
			t.Errorf("fields that the form does not have were taken: %+v", owner)
		}
		b.expect(b.post("/console/users/new", "name", "x", "role", "cashier", "username", "x.y", "email", "x@example.com", "reason", why), 422, zh("error.owner_invites"))
		b.expect(b.post("/console/users/new", "name", "x", "role", "auditor", "username", "lin.wei", "email", "x@example.com", "reason", why), 422, zh("error.taken.username"), `value="x@example.com"`)

		no := "822290059430002"
		b.expect(b.post("/console/terminals/new", "merchant_no", "8"), 422, zh("error.no_merchant"))
		b.expect(b.post("/console/terminals/new", "merchant_no", no), 303, "merchant_no="+no)
		text := b.expect(b.get("/console/terminals/new?merchant_no="+no), 200, "五四路店")
		store := regexp.MustCompile(`value="([a-z2-7]{26})"`).FindStringSubmatch(text)[1]
		b.expect(b.post("/console/terminals/new", "merchant_no", no, "store", h.store.ID, "serial", "HF777", "model", "HF-S1", "kind", "smart", "reason", why), 422, "HF777")
		res = b.post("/console/terminals/new", "merchant_no", no, "store", store, "serial", "HF777", "model", "HF-S1", "kind", "smart", "reason", why, "state", "active")
		b.expect(res, 303, "?saved=created")
		b.expect(b.get(res.Header.Get("Location")), 200, "HF777", "还没有启用", "五四路店")

		// The other merchant and its owner: looked at, stopped, brought back.
		m := "/console/merchants/" + h.merchant.ID
		b.expect(b.get("/console/terminals/"+h.terminal.ID), 303, m+"/look?to=")
		b.expect(b.get("/console/terminals/new?merchant_no="+h.merchant.No), 303, m+"/look?to=%2Fconsole%2Fterminals%2Fnew%3Fmerchant_no%3D"+h.merchant.No)
		b.expect(b.post(m+"/look", "reason", why), 303, m)
		b.expect(b.get(m), 200, "鼓楼店", "HF20260001", "lin.wei", "林薇", "停用")
		b.expect(b.get("/console/terminals/"+h.terminal.ID), 200, "报失")
		b.expect(b.post(m+"/suspend", "reason", why), 303, "?saved=changed")
		b.expect(b.post(m+"/suspend", "reason", why), 422, zh("error.moved"))
		b.expect(b.get(m+"?saved=changed"), 200, why, "恢复")
		b.agreed(b.post(m+"/return", "reason", why))
		b.expect(b.post("/console/terminals/"+h.terminal.ID+"/lost", "reason", why), 303)
		u := "/console/users/" + h.owner.ID
		b.expect(b.get(u+"/disable"), 303, u+"/look?to=")
		b.look(h.owner.ID)
		b.expect(b.get(u+"/disable"), 200, "停用林薇的账户")
		b.expect(b.post(u+"/disable", "reason", ""), 422, "请写原因")
		b.expect(b.post(u+"/lock", "reason", why), 303)
		b.expect(b.post(u+"/unlock", "reason", why), 403, zh("error.locker"))
		b.expect(b.get(u), 200, "账户被锁定", why)
		b.expect(b.post("/console/users/"+h.staff[idp.RolePolicyAdmin].ID+"/lock", "reason", why), 403)

		page = b.agreed(b.post("/console/clients/new", "id", "shop-web", "name", "网店", "kind", "confidential", "grants", "authorization_code", "grants", "refresh_token", "redirects", "https://shop.example/cb\nhttp://localhost:9/cb",
			"scopes", "openid payments:read", "reason", why, "first_party", "true", "secret", "mine"))
		b.expect(b.post(page+"/collect"), 200, "只显示这一次")
		c, err := s.Client(t.Context(), "shop-web")
		if err != nil || c.FirstParty || c.Public() || len(c.Redirects) != 2 || len(c.Grants) != 2 {
			t.Errorf("client %+v, %v", c, err)
		}
		b.expect(b.post("/console/clients/new", "id", "shop-web", "name", "网店", "kind", "public", "grants", "authorization_code", "redirects", "https://*.example/cb", "scopes", "openid", "reason", why), 422, "https://*.example/cb", "checked")
		b.agreed(b.post("/console/clients/shop-web/secret", "reason", why, "keep", "1", "version", "1"))
		b.expect(b.post("/console/clients/merchant-app/secret", "reason", why), 422, zh("error.public_client"))
		b.expect(b.get("/console/clients/shop-web/change"), 200, "https://shop.example/cb", `name="version" value="2"`)
		b.expect(b.post("/console/clients/shop-web/change", "name", "网店", "grants", "authorization_code", "redirects", "https://*.example/cb", "scopes", "openid", "reason", why, "version", "2"), 422, "https://*.example/cb")
		page = b.agreed(b.post("/console/clients/shop-web/change", "name", "网店二", "grants", "authorization_code", "redirects", "https://shop.example/cb", "scopes", "openid", "reason", why, "version", "2", "id", "merchant-app"))
		b.expect(b.get(page), 200, "网店二", zh("approval.field.redirects"), "http://localhost:9/cb")
		b.agreed(b.post("/console/clients/shop-web/disable", "reason", why))
		b.expect(b.get("/console/clients/shop-web?saved=changed"), 200, "已经改好", "停用", why)
		b.expect(b.get("/console/events?name=client.disabled"), 200, "停用应用", why)
		b.expect(b.get("/console"), 200, "1 个账户锁定", "1 家商户还没有启用")
		b.lang = "en"
		b.expect(b.get("/console"), 200, "1 account is locked", "Overview")
	})
}

func TestListsPageByKey(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	for i := range 2*pageSize + 10 {
		h.must(h.c.Store.CreateMerchant(t.Context(), &idp.Merchant{No: fmt.Sprintf("8000000000%05d", i), LegalName: "m", Tier: idp.TierMicro, Status: idp.MerchantPending}))
		h.must(h.c.Store.Append(t.Context(), idp.Event{Name: "client.created", Client: "merchant-app"}))
	}
	b := h.as(h.staff[idp.RoleAuditor], time.Hour)
	for _, list := range []string{"/console/merchants", "/console/events", "/console/merchants?status=pending"} {
		seen, path, back := map[string]bool{}, list, []string{}
		for n := 0; path != ""; n++ {
			if n > 5 {
				t.Fatal("no end")
			}
			text := b.expect(b.get(path), 200)
			first := regexp.MustCompile(`(?s)<tbody.*?</tr>`).FindString(text)
			if list != "/console/events" && seen[first] {
				t.Errorf("%s shows a page twice", path)
			}
			seen[first] = true
			if prev := link(text, "prev"); n > 0 && prev != back[n-1] {
				t.Errorf("page %d of %s: previous is %q, want %q", n, list, prev, back[n-1])
			}
			back = append(back, path)
			path = link(text, "next")
		}
		if len(back) != 3 {
			t.Errorf("%s has %d pages", list, len(back))
		}
	}
	for _, evil := range []string{"%00", "%ff", "'", strings.Repeat("z", 4000)} {
		for _, list := range []string{"merchants?after=", "merchants?status=", "users?after=", "users?role=", "users?state=", "terminals?after=", "terminals?serial=", "terminals?merchant=",
			"stores?after=", "stores?merchant=", "clients?after=", "clients?kind=", "users?merchant=", "users?store=", "terminals?state=", "terminals?store=", "merchants?tier=", "cases?state=", "cases?before=", "messages?before=", "messages?state=", "events?from=", "events?to=", "events?before=", "events?name=", "events?who=", "events?client=", "events?merchant=", "users?back=", "users?after=a&back="} {
			b.expect(b.get("/console/"+list+evil), 200)
		}
	}
}

func link(text, rel string) string {
	m := regexp.MustCompile(`href="([^"]+)" rel="` + rel + `"`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(m[1], "&amp;", "&")
}

// TestScreens writes every page to a folder, for looking at, when one is named.
func TestScreens(t *testing.T) {
	dir := t.TempDir()
	if d := os.Getenv("HUFU_TEST_SCREENS"); d != "" {
		dir = d
	}
	for _, lang := range []string{"zh-CN", "en"} {
		h := newHouse(t, storagetest.New(t, storage.SQLite))
		everybody := maps.Clone(h.staff)
		maps.Copy(everybody, h.shop)
		for role, u := range everybody {
			b := h.as(u, 0)
			b.lang = lang
			if role == idp.RoleCashier {
				continue
			}
			found := b.post("/console/find", "q", "138 0000 0001")
			b.post("/console/users/"+h.owner.ID+"/look", "reason", "call 0310-017")
			save := func(name, text string) {
				h.must(os.WriteFile(filepath.Join(dir, name+"."+string(role)+"."+lang+".html"), []byte(text), 0o600))
			}
			if found.StatusCode == 200 {
				save("console-find-look", b.expect(found, 200))
			}
			save("console-find-none", b.expect(b.post("/console/find", "q", "nobody"), 200))
			if old := h.as(u, 2*time.Hour); role.Operator() && manage.May(role, manage.UserLock) != manage.No {
				old.lang = lang
				save("console-users-id-lock-stale", old.expect(old.post("/console/users/"+h.owner.ID+"/lock", "reason", "call 0310-017, phone stolen"), 422))
			}
			b.post("/console/merchants/"+h.merchant.ID+"/look", "reason", "call 0310-017")
			b.post("/console/users/"+h.staff[idp.RoleAuditor].ID+"/look", "reason", "call 0310-017")
			for _, rt := range h.c.routes() {
				if !strings.HasPrefix(rt.pattern, "GET") || refuses(role, rt) || strings.HasSuffix(rt.pattern, "/look") {
					continue
				}
				path := h.fillFor(role, rt.pattern)
				if role == idp.RolePolicyAdmin && strings.Contains(path, h.notme.ID) { // of a merchant's person
					continue
				}
				if path == "/console/hand-over" { // it leads to the one that runs
					noRunningHandover(h)
				}
				text := b.expect(b.get(path), 200)
				save(strings.NewReplacer("/", "-", "{", "", "}", "").Replace(strings.TrimPrefix(rt.pattern, "GET /")), text)
			}
		}
	}
}
