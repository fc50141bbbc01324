package admin

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
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

// hand is somebody who works in a store.
func (h *house) hand(role idp.Role, st idp.Store, login, name string) idp.User {
	h.t.Helper()
	u := idp.User{Name: name, Language: "zh-CN", Role: role, MerchantID: st.MerchantID, StoreID: st.ID, Status: idp.UserActive}
	h.must(h.c.Store.CreateUser(h.t.Context(), &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: login}, &idp.Identifier{Kind: idp.IdentifierEmail, Value: login + "@example.com", VerifiedAt: time.Now()}))
	return u
}

func (h *house) branch(merchant, name string) idp.Store {
	h.t.Helper()
	st := idp.Store{MerchantID: merchant, Name: name, Place: "福州"}
	h.must(h.c.Store.CreateStore(h.t.Context(), &st))
	return st
}

func (h *house) device(st idp.Store, serial string, state idp.TerminalState) idp.Terminal {
	h.t.Helper()
	d := idp.Terminal{Serial: serial, Model: "HF-S9", Kind: idp.TerminalSmart, MerchantID: st.MerchantID, StoreID: st.ID, State: state}
	h.must(h.c.Store.CreateTerminal(h.t.Context(), &d))
	return d
}

// fillFor is fill with an account that the people of a merchant may act on.
func (h *house) fillFor(role idp.Role, pattern string) string {
	path := h.fill(pattern)
	if !role.Operator() {
		path = strings.Replace(path, "/users/"+h.owner.ID, "/users/"+h.shop[idp.RoleCashier].ID, 1)
	}
	return path
}

// Every route by every role: what the table lists is served, the rest refused.
func TestRoutesByRole(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	nobody := &browser{h, nil, "en"}
	everybody := maps.Clone(h.staff)
	maps.Copy(everybody, h.shop)
	for _, rt := range h.c.routes() {
		if !slices.Contains(manage.Actions(), rt.action) {
			t.Errorf("%s needs %q, which is no row of the table", rt.pattern, rt.action)
		}
		method, _, _ := strings.Cut(rt.pattern, " ")
		form := url.Values{}
		if method == "GET" {
			form = nil
		}
		if to := nobody.do(method, h.fill(rt.pattern), form); to.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to.Header.Get("Location"), "/flows/") {
			t.Errorf("%s by nobody: %d %s", rt.pattern, to.StatusCode, to.Header.Get("Location"))
		}
		for role, u := range everybody {
			path := h.fillFor(role, rt.pattern)
			res := h.as(u, 0).do(method, path, form)
			refused := res.StatusCode == http.StatusForbidden
			if want := refuses(role, rt); refused != want {
				t.Errorf("%s by %s: %d, the table says %d", rt.pattern, role, res.StatusCode, manage.May(role, rt.action))
			}
			if role == idp.RolePolicyAdmin && strings.Contains(path, h.notme.ID) && !refused { // of a merchant's person
				if res.StatusCode != 404 {
					t.Errorf("%s by %s: %d", rt.pattern, role, res.StatusCode)
				}
				continue
			}
			if !refused && res.StatusCode != 200 && res.StatusCode != 303 && res.StatusCode != 422 {
				t.Errorf("%s by %s: %d", rt.pattern, role, res.StatusCode)
			}
		}
	}
}

// refuses says what the table says of a route: a list leaves for whom may read and export.
func refuses(role idp.Role, rt route) bool {
	for _, e := range exports {
		if strings.HasSuffix(rt.pattern, " /console/"+e.list+"/export") && manage.May(role, e.may) == manage.No {
			return true
		}
	}
	return manage.May(role, rt.action) == manage.No
}

// A neighbour is another merchant, with one of everything, or another store of the same.
type neighbour struct {
	ids   map[string][]string // by the noun of the path
	words []string            // that no page of the first shows
	finds []string            // that name it exactly
}

// add fills a neighbour's store with people, a terminal, a grant, a message, an event and a case.
func (n *neighbour) add(h *house, st idp.Store, serial string, logins ...string) {
	h.t.Helper()
	ctx := h.t.Context()
	d := h.device(st, serial, idp.TerminalActive)
	n.ids["stores"], n.ids["terminals"] = append(n.ids["stores"], st.ID), append(n.ids["terminals"], d.ID)
	n.words, n.finds = append(n.words, st.Name, serial), append(n.finds, serial, st.ID)
	for i, login := range logins {
		u := h.hand([]idp.Role{idp.RoleCashier, idp.RoleManager, idp.RoleOwner}[i], st, login, login+"的名字")
		if u.Role == idp.RoleOwner {
			h.must(second(h.c.Store.PlaceUser(ctx, idp.User{ID: u.ID, Role: u.Role}, u)))
		}
		g := idp.Grant{UserID: u.ID, ClientID: "merchant-app", TerminalID: d.ID, Scopes: []string{"terminal"}, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
		h.must(h.c.Store.CreateGrant(ctx, &g))
		c := idp.Case{Kind: "notme", UserID: u.ID, Merchant: st.MerchantID, OpenedAt: time.Now(), DueAt: time.Now().Add(time.Hour)}
		h.must(h.c.Store.OpenCase(ctx, &c))
		code := idp.NewExplainCode()
		h.must(h.c.Store.Append(ctx, idp.Event{Name: "signin.failed", Subject: u.ID, Actor: u.ID, Merchant: st.MerchantID, Store: st.ID, Reason: "pw.closed", Explain: code}))
		list, err := h.c.Store.Events(ctx, storage.EventFilter{Subject: u.ID}, 1)
		h.must(err)
		m := idp.Message{UserID: u.ID, Channel: idp.ChannelMail, To: login + "@example.com", Template: "frozen"}
		h.must(h.c.Store.Queue(ctx, &m))
		n.ids["users"], n.ids["cases"], n.ids["messages"] = append(n.ids["users"], u.ID), append(n.ids["cases"], c.ID), append(n.ids["messages"], m.ID)
		n.ids["explain"], n.ids["grants"], n.ids["events"] = append(n.ids["explain"], digits(code)), append(n.ids["grants"], g.ID), append(n.ids["events"], list[0].ID)
		n.words, n.finds = append(n.words, login, u.Name, c.Number, code), append(n.finds, login, login+"@example.com", u.ID, code, c.Number)
	}
}

func second[T any](_ T, err error) error { return err }

// What is merchant B's, or for a manager another store's, does not exist for A's people:
// on no route with an id, in no list, by no search and through no filter.
func TestTwoMerchants(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		b := neighbour{ids: map[string][]string{}}
		m := idp.Merchant{No: "822290059430002", LegalName: "建国五金", Tier: idp.TierStandard, Status: idp.MerchantActive}
		h.must(s.CreateMerchant(t.Context(), &m))
		b.ids["merchants"], b.words, b.finds = []string{m.ID}, []string{m.LegalName, m.No}, []string{m.No, m.LegalName, m.ID}
		b.add(h, h.branch(m.ID, "五四路店"), "HF20269999", "b.cashier", "b.manager", "zhaojg68")
		for _, u := range h.staff {
			b.ids["users"] = append(b.ids["users"], u.ID)
		}
		far := neighbour{ids: map[string][]string{}}
		far.add(h, h.branch(h.merchant.ID, "东街店"), "HF20268888", "far.cashier", "far.manager")
		far.ids["users"] = append(far.ids["users"], h.owner.ID) // of no store
		for role, foreign := range map[idp.Role][]neighbour{idp.RoleOwner: {b}, idp.RoleManager: {b, far}} {
			for _, n := range foreign {
				h.nothingOf(role, n)
			}
		}
	})
}

// nothingOf holds that nothing of a neighbour exists for somebody of the merchant.
func (h *house) nothingOf(role idp.Role, n neighbour) {
	h.t.Helper()
	at := h.as(h.shop[role], 0)
	before := h.state()
	for _, rt := range h.c.routes() {
		method, pattern, _ := strings.Cut(rt.pattern, " ")
		want := http.StatusNotFound
		if manage.May(role, rt.action) == manage.No {
			want = http.StatusForbidden
		}
		if !strings.Contains(pattern, "{id}") {
			if method == "GET" && want != http.StatusForbidden {
				at.hidesAll(rt.pattern, at.get(pattern), n)
			}
			if list, is := strings.CutSuffix(pattern, "/export"); is && method == "POST" {
				h.takesNothingOf(at, role, list, n)
			}
			continue
		}
		for _, ids := range n.ids {
			for _, id := range ids {
				var form url.Values
				if method == "POST" {
					form = url.Values{"reason": {"call 0310"}, "name": {"x"}, "role": {"cashier"}}
				}
				res := at.do(method, strings.Replace(pattern, "{id}", id, 1), form)
				if res.StatusCode != want {
					h.t.Errorf("%s by the %s with %s: %d", rt.pattern, role, id, res.StatusCode)
				}
				at.hidesAll(rt.pattern, res, n)
			}
		}
	}
	before = h.state() // the files that were taken stand in the log
	for _, filter := range []string{"users?store=", "terminals?store=", "stores?store=", "events?subject="} {
		for _, id := range slices.Concat(n.ids["stores"], n.ids["users"]) {
			if res := at.get("/console/" + filter + id); res.StatusCode == 200 && !strings.Contains(filter, "store=") || res.StatusCode == 303 {
				h.t.Errorf("%s%s by the %s: %d", filter, id, role, res.StatusCode)
			} else {
				at.hidesAll(filter, res, n)
			}
		}
	}
	for _, q := range n.finds {
		at.hidesAll("find "+q, at.post("/console/find", "q", q), n, q)
		at.hidesAll("who "+q, at.post("/console/events", "who", q), n, q)
		at.hidesAll("merchant "+q, at.get("/console/events?merchant="+url.QueryEscape(q)), n, q)
		at.hidesAll("terminals "+q, at.get("/console/terminals?serial="+url.QueryEscape(q)+"&merchant="+url.QueryEscape(q)), n, q)
	}
	if after := h.state(); after != before {
		h.t.Errorf("the %s changed something: %s", role, diff(before, after))
	}
}

// takesNothingOf holds that no file of a list tells of a neighbour, however it is narrowed.
func (h *house) takesNothingOf(at *browser, role idp.Role, list string, n neighbour) {
	h.t.Helper()
	at.hidesAll(list, at.post(list+"/export?state=all", "reason", "call 0310"), n)
	for _, q := range n.finds {
		at.hidesAll(list+" of "+q, at.post(list+"/export?state=all&merchant="+url.QueryEscape(q), "reason", "call 0310"), n)
	}
	for filter, ids := range map[string][]string{"store": n.ids["stores"], "subject": n.ids["users"]} {
		for _, id := range ids {
			res := at.post(list+"/export?"+filter+"="+id, "reason", "call 0310")
			if named := filter == "store" || list == "/console/events"; res.StatusCode == 200 && named {
				h.t.Errorf("%s of the %s %s by the %s: 200", list, filter, id, role)
			}
			at.hidesAll(list+" of "+filter, res, n)
		}
	}
}

// hidesAll says that an answer tells nothing of a neighbour but what was typed.
func (b *browser) hidesAll(of string, res *http.Response, n neighbour, typed ...string) {
	b.t.Helper()
	body, err := io.ReadAll(res.Body)
	b.must(err)
	text := string(body)
	for _, word := range typed {
		text = strings.ReplaceAll(text, word, "")
	}
	for _, word := range slices.Concat(n.words, slices.Concat(slices.Collect(maps.Values(n.ids))...)) {
		if !slices.Contains(typed, word) && strings.Contains(text, word) && !strings.Contains(res.Request.URL.String(), word) {
			b.t.Errorf("%s shows %q: %s", of, word, mainOf(text))
		}
	}
	if to := res.Header.Get("Location"); to != "" && slices.ContainsFunc(n.ids["users"], func(id string) bool { return strings.Contains(to, id) }) {
		b.t.Errorf("%s leads to %s", of, to)
	}
}

// state is all that forms can change, in words that do not depend on made-up ids.
func (h *house) state() string { text, _ := h.snapshot(); return text }

func (h *house) snapshot() (string, *strings.Replacer) {
	h.t.Helper()
	ctx, s := h.t.Context(), h.c.Store
	var lines, ids []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	name := func(id, as string) { ids = append(ids, id, "<"+as+">") }
	merchants, err := s.Merchants(ctx, "", "", "", 100)
	h.must(err)
	for _, m := range merchants {
		name(m.ID, m.No)
		add("merchant %s %s %s %s", m.No, m.LegalName, m.Tier, m.Status)
		stores, err := s.Stores(ctx, m.ID)
		h.must(err)
		for _, st := range stores {
			name(st.ID, m.No+"/"+st.Name)
			add("store %s %s %s", m.ID, st.Name, st.Place)
		}
	}
	terminals, err := s.TerminalsBy(ctx, storage.TerminalFilter{}, 100)
	h.must(err)
	for _, d := range terminals {
		name(d.ID, d.Serial)
		add("terminal %s %s %s %s %s %s", d.Serial, d.Model, d.Kind, d.MerchantID, d.StoreID, d.State)
	}
	users, err := s.Users(ctx, storage.UserFilter{}, 200)
	h.must(err)
	for _, u := range users {
		names, err := s.Identifiers(ctx, u.ID)
		h.must(err)
		var own []string
		for _, n := range names {
			own = append(own, fmt.Sprintf("%s=%s verified=%t former=%t", n.Kind, n.Value, !n.VerifiedAt.IsZero(), n.Former))
		}
		slices.Sort(own)
		name(u.ID, u.Name)
		creds, err := s.Credentials(ctx, u.ID)
		h.must(err)
		add("user %s %s %s %s %s %s frozen=%t locked=%s must=%t creds=%d leaves=%t %s %v", u.Name, u.Language, u.Role, u.MerchantID, u.StoreID, u.Status, u.Frozen, u.Locked, u.MustChange, len(creds), !u.LeavesAt.IsZero(), u.Withheld, own)
		grants, err := s.Grants(ctx, u.ID)
		h.must(err)
		add("grants %s %d", u.ID, len(grants))
	}
	for _, m := range merchants {
		if running, err := s.RunningHandover(ctx, m.ID); err != nil || running != nil {
			h.must(err)
			add("hand-over %s %s %s %s stays=%t joined=%t case=%s", m.ID, running.From, running.To, running.State, running.Stays, running.Joined, running.Case)
		}
	}
	clients, err := s.Clients(ctx)
	h.must(err)
	for _, c := range clients {
		now, err := s.ClientNow(ctx, c.ID)
		h.must(err)
		add("client %s %s secrets=%d %v %v %v %v %v first=%t par=%t port=%t disabled=%t", c.ID, c.Name, len(now.SecretHashes), c.Redirects, c.PostLogout, c.Grants, c.Scopes, c.Audience, c.FirstParty, c.RequirePAR, c.AnyPort, c.Disabled)
	}
	cases, err := s.Cases(ctx, storage.CaseFilter{}, 100)
	h.must(err)
	for _, c := range cases {
		name(c.ID, "case of "+c.UserID)
		name(c.Number, "number")
		add("case %s %s %s assigned=%s ready=%t %s by %s to %s met=%t", c.Kind, c.State, c.UserID, c.Assigned, !c.ReadyAt.IsZero(), c.Outcome, c.DecidedBy, c.To().Value, c.Met())
	}
	heads, err := s.MessageHeads(ctx, storage.MessageFilter{}, 200)
	h.must(err)
	for _, m := range heads {
		name(m.ID, m.Template+m.To)
		add("message %s %s %s %s %s", m.UserID, m.To, m.Template, m.Language, m.State())
	}
	approvals, err := s.Approvals(ctx, storage.ApprovalFilter{}, 100)
	h.must(err)
	for _, a := range approvals {
		name(a.ID, "approval of "+a.Act)
		add("approval %s %s %s by %s %s %s secret=%t %v", a.Act, a.Object, a.Merchant, a.AskedBy, a.State, a.DecidedBy, !a.SecretUntil.IsZero(), a.Changes)
	}
	keys, err := s.SigningKeys(ctx)
	h.must(err)
	add("keys %d", len(keys))
	editions, err := s.Editions(ctx, storage.EditionFilter{}, 100)
	h.must(err)
	for _, e := range editions {
		name(e.ID, fmt.Sprint("edition ", e.Version, e.Title))
		add("edition v%d of v%d %s %s %s by %s decided %s %d%% %v emergency=%t revision=%d %x", e.Version, e.Base, e.Title, e.State, e.Reason, e.Author, e.DecidedBy, e.Percent, e.Merchants, e.Emergency, e.Revision, sha256.Sum256(e.Document))
		runs, err := s.Simulations(ctx, e.ID, 100)
		h.must(err)
		for _, r := range runs {
			name(r.ID, "run "+string(r.State))
			add("run of %s by %s %s", e.ID, r.By, r.State)
		}
	}
	events, err := s.Events(ctx, storage.EventFilter{}, 500)
	h.must(err)
	for _, e := range events {
		if strings.HasSuffix(e.Name, ".viewed") { // to look is to leave a trace
			continue
		}
		data, err := json.Marshal(e.Data)
		h.must(err)
		add("event %s by %s of %s %s %s %s %s %s %s", e.Name, e.Actor, e.Subject, e.Merchant, e.Store, e.Terminal, e.Client, e.Reason, data)
	}
	replace := strings.NewReplacer(ids...)
	for i, l := range lines {
		lines[i] = made.ReplaceAllString(replace.Replace(l), "<id>")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), replace
}

// made is what is made up anew each time and stands in no list: grants and sessions.
var atOnce = regexp.MustCompile(`"activate_at":"[^"]*"`)

var made = regexp.MustCompile(`\b[a-z0-9]{26}\b`)

func diff(a, b string) string {
	old, now := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for _, l := range old {
		if !slices.Contains(now, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range now {
		if !slices.Contains(old, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// A filled form is one that succeeds: what it holds, and what must be so before.
type filled struct {
	ready func(h *house)
	form  func(h *house) url.Values
}

func values(pairs ...string) func(h *house) url.Values {
	return func(*house) url.Values {
		form := url.Values{"reason": {"call 0310-017"}}
		for i := 0; i < len(pairs); i += 2 {
			form.Add(pairs[i], pairs[i+1])
		}
		return form
	}
}

// state of the cashier, and of the terminal, that an act starts from.
func cashierIs(status idp.UserStatus) func(h *house) {
	return func(h *house) {
		h.must(second(h.c.Store.SetUserStatus(h.t.Context(), h.shop[idp.RoleCashier].ID, idp.UserActive, status)))
	}
}

func terminalIs(state idp.TerminalState) func(h *house) {
	return func(h *house) {
		h.must(second(h.c.Store.SetTerminalState(h.t.Context(), h.terminal.ID, idp.TerminalActive, state)))
	}
}

func merchantIs(status idp.MerchantStatus) func(h *house) {
	return func(h *house) {
		h.must(second(h.c.Store.SetMerchantStatus(h.t.Context(), h.merchant.ID, idp.MerchantActive, status)))
	}
}

// askedByAdmin replaces what waits by something that the policy administrator asked for.
func askedByAdmin(h *house) {
	h.asked = idp.Approval{Act: string(manage.ClientSecret), Object: "settlement", Input: []byte("null"), Reason: "rotation", AskedBy: h.staff[idp.RolePolicyAdmin].ID, AskedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	h.must(h.c.Store.CreateApproval(h.t.Context(), &h.asked))
}

// filledForms has an entry for every form of the console: a new one has to be put here.
var filledForms = map[string]filled{
	"/console/merchants/new":             {nil, values("legal_name", "新商户", "no", "822290059430007", "tier", "micro")},
	"/console/merchants/{id}/look":       {nil, values("typed", "x")},
	"/console/merchants/{id}/stores/new": {nil, values("name", "新店", "place", "厦门")},
	"/console/merchants/{id}/open":       {merchantIs(idp.MerchantPending), values()},
	"/console/merchants/{id}/suspend":    {nil, values()},
	"/console/merchants/{id}/return":     {merchantIs(idp.MerchantSuspended), values()},
	"/console/users/new":                 {nil, values("name", "新人", "role", "auditor", "username", "new.one", "email", "new.one@example.com", "phone", "", "merchant_no", "", "language", "en")},
	"/console/users/{id}/look":           {nil, values("typed", "x")},
	"/console/users/{id}/invite-again":   {cashierIs(idp.UserInvited), values()},
	"/console/users/{id}/lock":           {nil, values()},
	"/console/users/{id}/unlock": {func(h *house) {
		h.must(second(h.c.Store.LockUser(h.t.Context(), h.shop[idp.RoleCashier].ID, "x")))
	}, values()},
	"/console/users/{id}/end-sessions": {nil, values()},
	"/console/users/{id}/disable":      {nil, values()},
	"/console/users/{id}/enable":       {cashierIs(idp.UserDisabled), values()},
	"/console/users/{id}/role":         {nil, func(h *house) url.Values { return url.Values{"role": {"manager"}, "store": {h.store.ID}} }},
	"/console/users/{id}/leave":        {nil, values()},
	"/console/users/{id}/leaving": {nil, func(*house) url.Values {
		return url.Values{"reason": {"moves away"}, "day": {time.Now().AddDate(0, 0, 9).Format(time.DateOnly)}}
	}},
	"/console/users/{id}/help":       {nil, values()},
	"/console/hand-over":             {noHandover, func(h *house) url.Values { return url.Values{"to": {h.shop[idp.RoleManager].ID}, "after": {"manager"}} }},
	"/console/handovers/{id}/accept": {factorOfManager, values()},
	"/console/handovers/{id}/stop":   {nil, values()},
	"/console/merchants/{id}/hand-over": {noHandover, func(h *house) url.Values {
		return url.Values{"to": {h.shop[idp.RoleManager].ID}, "papers": {"gone", "licence"}, "reason": {"saw the licence"}}
	}},
	"/console/handover-cases/{id}": {noRunningHandover, values()},
	"/console/staff/new": {nil, func(h *house) url.Values {
		return url.Values{"name": {"新人"}, "role": {"cashier"}, "store": {h.store.ID}, "username": {"new.one"}, "email": {"new.one@example.com"}, "phone": {""}, "language": {"en"}}
	}},
	"/console/stores/{id}/rename": {nil, values("name", "新名", "place", "泉州")},
	"/console/terminals/new": {nil, func(h *house) url.Values {
		return url.Values{"merchant_no": {h.merchant.No}, "store": {h.store.ID}, "serial": {"HF777"}, "model": {"HF-S1"}, "kind": {"smart"}, "reason": {"call 0310"}}
	}},
	"/console/terminals/{id}/suspend": {nil, values()},
	"/console/terminals/{id}/lost":    {matched, values()},
	"/console/terminals/{id}/return":  {terminalIs(idp.TerminalSuspended), values()},
	"/console/terminals/{id}/found":   {terminalIs(idp.TerminalLost), values()},
	"/console/terminals/{id}/retire":  {nil, values()},
	"/console/clients/new":            {nil, values("id", "shop-web", "name", "网店", "kind", "public", "grants", "authorization_code", "redirects", "https://shop.example/cb", "scopes", "openid", "post_logout", "")},
	"/console/clients/{id}/disable":   {nil, values()},
	"/console/clients/{id}/enable":    {func(h *house) { h.must(second(h.c.Store.SetClientDisabled(h.t.Context(), "settlement", true))) }, values()},
	"/console/clients/{id}/secret":    {nil, values("version", "1", "keep", "")},
	"/console/clients/{id}/change":    {nil, values("version", "1", "name", "结算二", "grants", "client_credentials", "scopes", "settlement:manage", "redirects", "", "post_logout", "")},
	"/console/keys/rotate":            {nil, values()},
	"/console/merchants/{id}/close": {func(h *house) {
		h.must(second(h.c.Store.DecideApproval(h.t.Context(), h.asked.ID, idp.ApprovalRefused, "x", "", time.Now())))
	}, values()},
	"/console/merchants/{id}/tier":     {nil, values("tier", "micro", "was", "standard")},
	"/console/users/{id}/staff-role":   {nil, values("role", "support_agent", "was", "auditor")},
	"/console/users/{id}/staff-leave":  {nil, values()},
	"/console/approvals/{id}/approve":  {nil, values()},
	"/console/approvals/{id}/refuse":   {nil, values()},
	"/console/approvals/{id}/withdraw": {askedByAdmin, values()},
	"/console/approvals/{id}/collect": {func(h *house) {
		askedByAdmin(h)
		h.must(second(h.c.Store.DecideApproval(h.t.Context(), h.asked.ID, idp.ApprovalApproved, "x", "", time.Now())))
		h.must(h.c.Store.KeepSecret(h.t.Context(), h.asked.ID, "s3cret", time.Now().Add(time.Hour)))
	}, func(*house) url.Values { return url.Values{} }},
	"/console/messages/{id}/resend": {nil, values()},

	"/console/policies/new": {nil, values("from", "1")},
	"/console/policies/{id}/edit": {nil, func(h *house) url.Values {
		return revised("title", "新规则", "document", string(h.edition.Document), "active", "1")(h)
	}},
	"/console/policies/{id}/submit":    {named, revised()},
	"/console/policies/{id}/approve":   {submitted, revised("activate_at", "", "percent", "", "merchants", "")},
	"/console/policies/{id}/refuse":    {submitted, revised()},
	"/console/policies/{id}/withdraw":  {nil, revised()},
	"/console/policies/{id}/rollback":  {superseded, revised()},
	"/console/policies/{id}/emergency": {named, revised("second", "the hotline melts")},
	"/console/policies/{id}/simulate":  {nil, values()},
	"/console/simulations/{id}/stop":   {nil, values()},
	"/console/simulations/{id}/export": {simulated, values("effect", "")},
}

// noRunningHandover and noHandover leave the way free for one; a case that waits is in the
// way of another case alone.
func noRunningHandover(h *house) {
	h.must(second(h.c.Store.EndHandover(h.t.Context(), h.handover.ID, idp.HandoverStopped, "stopped", time.Now())))
}

func noHandover(h *house) {
	noRunningHandover(h)
	h.must(second(h.c.Store.CloseCase(h.t.Context(), h.gone.ID, time.Now())))
}

func factorOfManager(h *house) {
	h.must(h.c.Store.AddCredential(h.t.Context(), &idp.Credential{UserID: h.shop[idp.RoleManager].ID, Method: idp.MethodTOTP, Data: []byte("{}")}))
}

var fieldName = regexp.MustCompile(`<(?:input|select|textarea)[^>]* name="([a-z_]+)"`)

// Nothing but a form's own fields is taken from a form: with all other fields that any
// form knows beside them it does what it does without.
func TestMassAssignment(t *testing.T) {
	maps.Copy(filledForms, deskForms)
	all := slices.Concat(forms, handoverForms, policyForms, exportForms())
	for i, f := range all {
		if strings.HasSuffix(f.path, "/export") && f.action == manage.Export { // nothing is asked but why
			filledForms[f.path] = filled{nil, values()}
		}
		if _, ok := filledForms[f.path]; !ok {
			t.Errorf("%s is not tried", all[i].path)
		}
	}
	for _, role := range []idp.Role{idp.RolePolicyAdmin, idp.RoleSupportAgent, idp.RoleSupportSupervisor, idp.RoleOwner, idp.RoleManager} {
		for _, f := range all {
			if f.action == manage.Export && !mayList(role, f.path) {
				continue
			}
			if manage.May(role, f.action) == manage.No || role == idp.RolePolicyAdmin && strings.Contains(f.path, "/cases/") || // who brings back staff alone
				role == idp.RoleSupportSupervisor && (strings.HasSuffix(f.path, "/digits") || strings.Contains(f.path, "/approvals/")) { // the call is the agent's; what waits is his own
				continue
			}
			t.Run(string(role)+strings.ReplaceAll(f.path, "/", " "), func(t *testing.T) {
				t.Parallel()
				alone, more := tryForm(t, role, f, false), tryForm(t, role, f, true)
				if alone != more {
					t.Errorf("other fields change what happens:\n%s", diff(alone, more))
				}
			})
		}
	}
}

// mayList says whether a role has the list that a form takes away.
func mayList(role idp.Role, path string) bool {
	i := slices.IndexFunc(exports, func(e export) bool { return "/console/"+e.list+"/export" == path })
	return manage.May(role, exports[i].may) != manage.No
}

// submitted puts a draft of the edition in the house where an administrator who did not write
// it may approve it.
func submitted(h *house) {
	ctx := h.t.Context()
	h.edition = idp.Edition{Base: 1, Document: policy.Default().Document.Format(), Author: h.staff[idp.RoleAuditor].ID, CreatedAt: time.Now()}
	h.must(h.c.Store.CreateEdition(ctx, &h.edition))
	named(h)
	h.must(second(h.c.Store.SubmitEdition(ctx, h.edition.ID, h.edition.Revision, "reason", time.Now())))
	h.edition = h.stored()
}

// named gives the draft a title: it may then be submitted.
func named(h *house) {
	h.edition.Title = "新规则"
	h.must(second(h.c.Store.SaveEdition(h.t.Context(), h.edition, time.Now())))
	h.edition = h.stored()
	h.withPassword(idp.RolePolicyAdmin)
}

func (h *house) stored() idp.Edition {
	e, err := h.c.Store.Edition(h.t.Context(), h.edition.ID)
	h.must(err)
	return e
}

// withPassword lets somebody sign in: a policy under which no administrator could is refused.
func (h *house) withPassword(role idp.Role) {
	for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP} {
		h.must(h.c.Store.AddCredential(h.t.Context(), &idp.Credential{UserID: h.staff[role].ID, Method: m, Data: []byte("{}")}))
	}
}

// superseded has another edition in force, so that the first can be gone back to.
func superseded(h *house) {
	ctx := h.t.Context()
	submitted(h)
	h.must(second(h.c.Store.ActivateEdition(ctx, h.edition.ID, idp.EditionSubmitted, true, time.Now())))
	first, err := h.c.Store.EditionOf(ctx, 1)
	h.must(err)
	h.edition = first
}

// simulated ends the run of the house.
func simulated(h *house) {
	h.must(second(h.c.Manage.Simulate(h.t.Context())))
}

// revised is a form with the revision of the edition as it stands.
func revised(pairs ...string) func(h *house) url.Values {
	return func(h *house) url.Values {
		form := values(pairs...)(h)
		form.Set("revision", fmt.Sprint(h.edition.Revision))
		return form
	}
}

// tryForm sends a form in a house of its own and says what came of it.
func tryForm(t *testing.T, role idp.Role, f form, more bool) string {
	t.Helper()
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	other := idp.Merchant{No: "822290059430002", LegalName: "建国五金", Tier: idp.TierStandard, Status: idp.MerchantActive}
	h.must(h.c.Store.CreateMerchant(t.Context(), &other))
	theirs := h.branch(other.ID, "五四路店")
	u := h.shop[role]
	if role.Operator() {
		u = h.staff[role]
	}
	b, about, try := h.as(u, 0), h.shop[idp.RoleCashier].ID, filledForms[f.path]
	if strings.Contains(f.path, "/staff-") || f.action == manage.StaffTeam {
		about = h.staff[idp.RoleAuditor].ID
	}
	if role == idp.RoleSupportAgent && !strings.Contains(f.path, "/cases/{id}") { // who works on a case
		recovering(h)
	}
	first := strings.Contains(f.path, "/cases/{id}") || strings.Contains(f.path, "/approvals/{id}") || strings.Contains(f.path, "/policies/{id}") || strings.Contains(f.path, "/simulations/{id}") // makes what the path names
	if first && try.ready != nil {
		try.ready(h)
	}
	path := strings.Replace(h.fill("POST "+f.path), "/users/"+h.owner.ID, "/users/"+about, 1)
	path = strings.Replace(path, "/clients/merchant-app", "/clients/settlement", 1)
	if role.Operator() {
		b.look(about)
		b.expect(b.post("/console/merchants/"+h.merchant.ID+"/look", "reason", "call 0310"), 303)
	}
	if try.ready != nil && !first {
		try.ready(h)
	}
	if f.action == manage.UserEnable && !role.Operator() { // the shop's own doing
		h.must(h.c.Store.Append(t.Context(), idp.Event{Name: "account.disabled", Subject: h.shop[idp.RoleCashier].ID, Actor: h.owner.ID}))
	}
	form := try.form(h)
	drawn := mainOf(b.expect(b.get(path), 200))
	if more {
		for name, value := range everyField(h, other, theirs) {
			if !form.Has(name) && !strings.Contains(drawn, ` name="`+name+`"`) {
				form[name] = value
			}
		}
	}
	res := b.do("POST", path, form)
	if res.StatusCode != 303 && res.StatusCode != 200 {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%s by %s: %d %s", f.path, role, res.StatusCode, mainOf(string(body)))
	}
	for _, m := range fieldName.FindAllStringSubmatch(drawn, -1) {
		if !slices.Contains(allFields, m[1]) {
			t.Errorf("the field %s is not among those that are tried elsewhere", m[1])
		}
	}
	text, replace := h.snapshot()
	text = atOnce.ReplaceAllString(text, `"activate_at":"now"`)
	return text + "\n" + made.ReplaceAllString(replace.Replace(res.Header.Get("Location")), "<id>")
}

// allFields are all names that a form of the console knows, and what a table could.
var allFields = []string{"reason", "typed", "to", "q", "legal_name", "no", "tier", "name", "place", "role", "merchant_no", "username", "email", "phone", "language", "store", "serial", "model", "kind", "id",
	"grants", "redirects", "post_logout", "scopes", "keep", "version", "was", "day", "after", "refuse", "clear", "leaves_at", "withheld", "case", "from", "due_at", "joined", "stays", "merchant_id", "merchant", "store_id", "status", "state", "user_id", "user", "subject", "actor", "locked", "frozen", "must_change",
	"grace_from", "asked_by", "decided_by", "object", "act", "input", "changes", "verified_at", "disabled", "first_party", "secret", "audience", "terminal_id", "activated_at", "created_at", "policy", "acr", "owner",
	"title", "document", "revision", "active", "rebase", "second", "activate_at", "percent", "merchants", "effect", "author", "base", "emergency",
	"login", "says", "lost", "send_to", "met", "field", "value", "call", "digits", "answer", "birthday", "team", "assigned", "outcome", "opened_by", "matched", "papers"}

// everyField fills every one of them with what would hurt.
func everyField(h *house, other idp.Merchant, st idp.Store) url.Values {
	all := url.Values{}
	for _, name := range allFields {
		all.Set(name, "1")
	}
	for name, value := range map[string]string{"role": "policy_admin", "merchant_id": other.ID, "merchant": other.ID, "merchant_no": other.No, "store_id": st.ID, "store": st.ID, "status": "active", "state": "active",
		"tier": "high_value", "id": h.owner.ID, "user_id": h.owner.ID, "user": h.owner.ID, "subject": h.owner.ID, "actor": h.owner.ID, "locked": "x", "name": "别名", "legal_name": "别名", "username": "taken.over",
		"email": "evil@example.com", "phone": "13800009999", "kind": "traditional", "language": "zh-CN", "secret": "mine", "grants": "client_credentials", "scopes": "settlement:manage", "first_party": "true",
		"to": "/console/clients", "place": "别处", "serial": "HF999", "model": "X", "redirects": "https://evil.example/", "version": "9", "audience": "settlement", "terminal_id": h.terminal.ID} {
		all.Set(name, value)
	}
	return all
}

// An auditor reads everything and changes nothing.
func TestAuditor(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	b := h.as(h.staff[idp.RoleAuditor], 0)
	before := h.state()
	for _, rt := range h.c.routes() {
		method, _, _ := strings.Cut(rt.pattern, " ")
		may := manage.May(idp.RoleAuditor, rt.action)
		taking := strings.HasSuffix(rt.pattern, "/export") // a list may leave, with a reason; the log says so
		if may != manage.No && may != manage.Yes && !taking {
			t.Errorf("%s: an auditor owes no reason", rt.pattern)
		}
		form := url.Values{"reason": {"call 0310-017"}}
		if method == "GET" {
			form = nil
		}
		res := b.do(method, h.fill(rt.pattern), form)
		reading := method == "GET" || slices.Contains([]string{"/console/find", "/console/events", "/console/kit"}, res.Request.URL.Path) || strings.HasSuffix(rt.pattern, "/look") || taking
		switch {
		case may != manage.No && !reading:
			t.Errorf("%s: an auditor may act", rt.pattern)
		case taking && res.StatusCode == 422: // of a run that is not done
		case may != manage.No && res.StatusCode != 200 && res.StatusCode != 303, may == manage.No && res.StatusCode != 403:
			t.Errorf("%s: %d", rt.pattern, res.StatusCode)
		}
	}
	for act, right := range map[manage.Action]manage.Right{manage.MerchantList: manage.Yes, manage.MerchantView: manage.Yes, manage.StoreView: manage.Yes, manage.TerminalList: manage.Yes, manage.TerminalView: manage.Yes,
		manage.UserList: manage.Yes, manage.UserView: manage.Yes, manage.ClientRead: manage.Yes, manage.EventRead: manage.Yes, manage.MessageRead: manage.Yes, manage.CaseRead: manage.Yes} {
		if manage.May(idp.RoleAuditor, act) != right {
			t.Errorf("an auditor does not read %s", act)
		}
	}
	if changed := regexp.MustCompile(`(?m)^\+ event list\.exported .*\n?`).ReplaceAllString(diff(before, h.state()), ""); changed != "" {
		t.Errorf("changed:\n%s", changed)
	}
}

// A shop's own day, through the pages alone.
func TestShopStory(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		owner, manager := h.as(h.owner, 0), h.as(h.shop[idp.RoleManager], 0)
		text := owner.expect(owner.get("/console"), 200, `href="/console/users"`, `href="/console/stores"`, `href="/console/terminals"`, `href="/console/events"`, `href="/console/cases"`)
		for _, not := range []string{`href="/console/clients"`, `href="/console/merchants"`, `href="/console/messages"`} {
			if strings.Contains(text, not) {
				t.Errorf("offers %s", not)
			}
		}
		if text := manager.expect(manager.get("/console"), 200, `href="/console/users"`); strings.Contains(text, `href="/console/events"`) || strings.Contains(text, `href="/console/cases"`) {
			t.Error("a manager is offered the log or cases")
		}

		// The owner opens a store, invites a manager for it, and the manager a cashier.
		home := "/console/merchants/" + h.merchant.ID
		owner.expect(owner.get("/console/stores"), 200, "鼓楼店", home+"/stores/new")
		if text := owner.expect(owner.get(home+"/stores/new"), 200); strings.Contains(text, `name="reason"`) {
			t.Error("asks for a reason that is not owed")
		}
		owner.expect(owner.post(home+"/stores/new", "name", "东街店", "place", "福州"), 303, home+"?saved=created")
		owner.expect(owner.get(home+"?saved=created"), 200, "东街店", "陈小燕", "HF20260001", zh("console.staff.new"))
		stores, err := s.Stores(t.Context(), h.merchant.ID)
		h.must(err)
		east := stores[slices.IndexFunc(stores, func(st idp.Store) bool { return st.Name == "东街店" })]
		owner.expect(owner.get("/console/staff/new"), 200, "东街店", zh("role.manager"), zh("console.store.every"))
		res := owner.post("/console/staff/new", "name", "何东", "role", "manager", "store", east.ID, "username", "he.dong", "phone", "13800000031", "language", "zh-CN")
		owner.expect(res, 303, "?saved=invited")
		owner.expect(owner.get(res.Header.Get("Location")), 200, "何东", "东街店", zh("role.manager"), zh("console.saved.invited"), zh("event.staff.invited"))
		dong, err := s.UserByIdentifier(t.Context(), idp.IdentifierUsername, "he.dong")
		h.must(err)
		h.must(second(s.SetUserStatus(t.Context(), dong.ID, idp.UserInvited, idp.UserActive)))
		there := h.as(dong, 0)
		if text := there.expect(there.get("/console/staff/new"), 200, "东街店"); strings.Contains(text, "鼓楼店") || strings.Contains(text, `value="manager"`) {
			t.Error("a manager is offered more than his store and cashiers")
		}
		there.expect(there.post("/console/staff/new", "name", "小林", "role", "manager", "store", east.ID, "username", "xiao.lin", "phone", "13800000032", "language", "zh-CN"), 403, zh("error.forbidden"), "小林")
		there.expect(there.post("/console/staff/new", "name", "小林", "role", "cashier", "store", h.store.ID, "username", "xiao.lin", "phone", "13800000032", "language", "zh-CN"), 422, zh("error.choose"))
		there.expect(there.post("/console/staff/new", "name", "小林", "role", "cashier", "store", east.ID, "username", "xiao.lin", "phone", "13800000032", "language", "zh-CN"), 303, "?saved=invited")
		if text := there.expect(there.get("/console/users"), 200, "小林", "何东"); strings.Contains(text, "陈小燕") || strings.Contains(text, "林薇") {
			t.Error("a manager sees the staff of another store")
		}
		there.expect(there.get("/console/users/"+h.owner.ID), 404)

		// The owner moves the cashier, renames the store, finds people and reads the log.
		cashier := "/console/users/" + h.shop[idp.RoleCashier].ID
		owner.expect(owner.get(cashier), 200, "陈小燕", zh("console.user.role"), zh("console.user.leave"))
		owner.expect(owner.get(cashier+"/role"), 200, `value="`+h.store.ID+`" selected`)
		owner.expect(owner.post(cashier+"/role", "role", "cashier", "store", h.store.ID), 422, zh("error.same"))
		owner.expect(owner.post(cashier+"/role", "role", "manager", "store", east.ID), 303, "?saved=changed")
		owner.expect(owner.post("/console/stores/"+east.ID+"/rename", "name", "东街新店"), 303, "?saved=changed")
		owner.expect(owner.get("/console/stores/"+east.ID+"?saved=changed"), 200, "东街新店", "陈小燕", "何东")
		owner.expect(owner.post("/console/find", "q", "he.dong"), 303, "/console/users/"+dong.ID)
		owner.expect(owner.get("/console/events"), 200, zh("event.staff.role"), zh("event.store.renamed"), "陈小燕")
		owner.expect(owner.get("/console/events?subject="+dong.ID), 200, "何东")
		owner.expect(owner.get("/console/cases/"+h.notme.ID), 200, h.notme.Number)
		owner.expect(owner.post(cashier+"/leave", "reason", ""), 422, zh("reason.empty"))
		owner.expect(owner.post(cashier+"/leave", "reason", "moved to another town"), 303, "?saved=changed")
		owner.expect(owner.get(cashier), 200, zh("state.left"), "moved to another town")

		// Terminals: stopped with a reason, lost without one, found by the owner.
		d := "/console/terminals/" + h.terminal.ID
		manager.expect(manager.get(d), 200, zh("console.terminal.suspend"), zh("console.terminal.lost"))
		manager.expect(manager.post(d+"/suspend", "reason", ""), 422, zh("reason.empty"))
		manager.expect(manager.post(d+"/suspend", "reason", "broken screen"), 303)
		manager.expect(manager.get(d), 200, zh("console.terminal.return"), "broken screen")
		manager.expect(manager.post(d+"/return", "reason", "repaired"), 303)
		manager.expect(manager.post(d+"/lost"), 303)
		manager.expect(manager.get(d+"/found"), 403)
		owner.expect(owner.post(d+"/found", "reason", "under the counter"), 303)
		owner.expect(owner.post(d+"/retire", "reason", "worn out"), 303)
	})
}

// Stopping asks for no more than a session; bringing back what was lost for fresh proofs.
func TestShopProofs(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	cashier := h.shop[idp.RoleCashier]
	b := h.with(cashier, idp.Proof{User: cashier.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: time.Now().Add(-3 * time.Hour)})
	d := "/console/terminals/" + h.terminal.ID
	b.expect(b.get("/console"), 403, zh("not-for-you.lost"), d+"/lost", "HF-E20")
	b.expect(b.get(d+"/lost"), 200, zh("console.terminal.lost_lead"), zh("reason.hint_shop"), `href="/help/stolen-terminal"`)
	b.expect(b.post(d+"/suspend", "reason", "broken"), 403, zh("not-for-you.rest"))
	b.expect(b.post(d+"/lost"), 303, "/console?saved=changed")
	if text := b.expect(b.get("/console?saved=changed"), 403, zh("console.saved.changed")); strings.Contains(text, d) {
		t.Error("a lost terminal can be lost again")
	}
	b.expect(b.post(d+"/lost"), 422, zh("error.moved"))

	owner := h.as(h.owner, 4*time.Minute)
	owner.expect(owner.get(d+"/found"), 303, "/flows/") // the form wants time to be filled in
	owner.expect(owner.post(d+"/found", "reason", "found it"), 303, "?saved=changed")
	old := h.as(h.owner, 6*time.Minute)
	old.expect(old.get("/console/users"), 200)
	old.expect(old.post("/console/users/"+cashier.ID+"/leave", "reason", "moved away"), 422, zh("console.stale"))
	// Mode all: a fresh code is not enough for a password of this morning.
	morning := h.with(h.owner, idp.Proof{User: h.owner.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: time.Now().Add(-2 * time.Hour)},
		idp.Proof{User: h.owner.ID, Method: idp.MethodTOTP, Channels: []string{"totp:1"}, At: time.Now()})
	h.must(second(h.c.Store.SetTerminalState(t.Context(), h.terminal.ID, idp.TerminalActive, idp.TerminalLost)))
	morning.expect(morning.get("/console/users/"+cashier.ID+"/leave"), 200)
	morning.expect(morning.get(d+"/found"), 303, "/flows/")
	morning.expect(morning.post(d+"/found", "reason", "found it"), 422, zh("console.stale"))

	// Frozen: nothing but stopping.
	h.must(second(h.c.Store.FreezeUser(t.Context(), h.owner.ID, time.Now())))
	frozen := h.as(h.owner, 0)
	frozen.expect(frozen.get("/console/users"), 200)
	frozen.expect(frozen.post("/console/users/"+cashier.ID+"/leave", "reason", "moved away"), 403)
	h.must(second(h.c.Store.SetTerminalState(t.Context(), h.terminal.ID, idp.TerminalLost, idp.TerminalActive)))
	frozen.expect(frozen.post(d+"/lost"), 303)
}

// What the operator's staff write down is among themselves: a merchant reads that it was they.
func TestStaffWordsStayInside(t *testing.T) {
	h := newHouse(t, storagetest.New(t, storage.SQLite))
	super := h.as(h.staff[idp.RoleSupportSupervisor], 0)
	cashier := "/console/users/" + h.shop[idp.RoleCashier].ID
	super.expect(super.post(cashier+"/look", "reason", "tip of the police"), 303)
	super.expect(super.post(cashier+"/disable", "reason", "tip of the police"), 303)
	super.expect(super.get(cashier), 200, "tip of the police")
	owner := h.as(h.owner, 0)
	for _, path := range []string{cashier, "/console/events", cashier + "/events"} {
		text := owner.expect(owner.get(path), 200, templates.T("zh-CN", "role.support_supervisor"))
		for _, secret := range []string{"tip of the police", h.staff[idp.RoleSupportSupervisor].ID} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", path, secret)
			}
		}
	}
	owner.expect(owner.post(cashier+"/enable", "reason", "back from holiday"), 403, zh("error.disabled_by_operator"))
}
