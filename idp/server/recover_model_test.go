package server_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor/backup"
	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/phc"
	"hufu/storage"
)

// A heist is one walk through every flow of recovery, in random order: an owner, who now
// and then does what is right, somebody else of the trade, and a thief who holds one thing.
// After each request the model looks at the database and holds what must be true, see
// recover_model_held_test.go.
type heist struct {
	t     *testing.T
	w     *demoWorld
	seed  uint64
	rnd   *rand.Rand
	trace []string
	ways  map[string]int // what happened, of all walks

	merchant string
	shop     idp.Store
	brought  int            // terminals that were new
	thing    string         // that the thief holds: "channel", "password", "link", "terminal", "agent"
	hired    idp.Credential // of the one of support
	tier     idp.Tier
	young    bool // the owner's phone was bound yesterday
	own      *account
	other    *account
	owner    *player
	thief    *player
	guest    *player // the other person
	players  []*player
	till     *till
	flows    map[string]*track // by token
	used     map[string]bool   // codes that came back right
	links    []string          // tokens of what was told, oldest first

	marked  string    // what both accounts were like, see mark
	status  int       // of the last answer
	stopped time.Time // the last stop that no strong return has settled
	taken   bool      // the thief has waited a recovery out that nobody stopped
	coming  bool      // the owner comes home, and types what is right
}

// An account is somebody in the database.
type account struct {
	idp.User
	login, phone, mail string
	factor             bool                   // of an owner who must have one, or a cashier with one
	roots              map[string][]idp.Group // by credential: what it rests on, in the model
	view
}

// A player is somebody at a browser, with what he knows and holds.
type player struct {
	*hand
	name     string
	password string
	totp     string
	kit      []string
	reads    []string // phones and addresses whose messages he sees
	till     bool     // he stands at the terminal
	links    bool     // he has an old link of a notice
	at, step string   // the flow that he is in
	chosen   string   // password that he has typed as his new one
	fresh    string   // secret of an app that he has bound
	guesses  int      // wrong ones that he may still make
}

// A track is what the model knows of a flow: whose browser opened it.
type track struct {
	hand   *hand
	path   string // that opened it
	who    *account
	proven bool
	waits  bool // a delayed recovery was begun in it, and no better one
}

// A hand is a browser without pages: it speaks to the handler and keeps cookies.
type hand struct {
	handler        http.Handler
	host           string
	address, agent string
	jar            map[string]string
}

const (
	desk   = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140"
	mobile = "Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile"
)

func (h *hand) send(method, path string, form url.Values, header ...string) (status int, to, body string) {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Host, r.RemoteAddr = h.host, h.address+":40000"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", h.agent)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for name, value := range h.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	h.handler.ServeHTTP(rec, r)
	for _, c := range (&http.Response{Header: rec.Header()}).Cookies() {
		if h.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(h.jar, c.Name)
		}
	}
	return rec.Code, rec.Header().Get("Location"), rec.Body.String()
}

func (w *demoWorld) hand(address, agent string) *hand {
	issuer, _ := url.Parse(w.Issuer)
	return &hand{handler: w.Service.Handler(), host: issuer.Host, address: address, agent: agent, jar: map[string]string{}}
}

// A till is the shop's terminal, that somebody of the shop has signed in.
type till struct {
	*hand
	idp.Terminal
	issuer  string
	key     *dpoptest.Key
	refresh string
}

// ask sends a request as the terminal's software does. A refusal is no answer.
func (d *till) ask(method, path string, body any, into any) bool {
	var got tokenAnswer
	form := refreshForm("terminal", d.refresh)
	_, _, text := d.send("POST", "/token", form, "DPoP", d.key.Proof("POST", d.issuer+"/token", ""))
	if json.Unmarshal([]byte(text), &got) != nil || got.Access == "" {
		return false
	}
	d.refresh = cmp.Or(got.Refresh, d.refresh)
	r := httptest.NewRequest(method, path, strings.NewReader(asText(body)))
	r.Host, r.RemoteAddr = d.host, d.address+":40000"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "DPoP "+got.Access)
	r.Header.Set("DPoP", d.key.Proof(method, d.issuer+path, got.Access))
	rec := httptest.NewRecorder()
	d.handler.ServeHTTP(rec, r)
	return rec.Code == http.StatusOK && json.Unmarshal(rec.Body.Bytes(), into) == nil
}

func asText(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// cheap hashes as fast as can be: what a hash costs is tested elsewhere.
func cheap() *phc.Hasher { return phc.NewHasherAt(phc.Cost{Memory: 8, Passes: 1, Lanes: 1}, 2) }

func (k *heist) one(in int) bool { return k.rnd.IntN(in) == 0 }

func pick[T any](k *heist, of ...T) T { return of[k.rnd.IntN(len(of))] }

// note writes a line of the trace; of a token its beginning tells enough.
func (k *heist) note(format string, args ...any) {
	k.trace = append(k.trace, time.Now().Format("01-02 15:04:05 ")+longToken.ReplaceAllString(fmt.Sprintf(format, args...), "$1~"))
}

var longToken = regexp.MustCompile(`([\w-]{5})[\w-]{38}`)

func (k *heist) fail(format string, args ...any) {
	k.t.Helper()
	k.t.Fatalf("%s\nHUFU_TEST_SEED=%d, a thief with %s, %s at a %s merchant; what was done:\n%s", fmt.Sprintf(format, args...), k.seed, k.thing, k.own.Role, k.tier, strings.Join(k.trace, "\n"))
}

// heist makes the people of a walk, of things that are old enough to prove something.
func (w *demoWorld) heist(t *testing.T, n int, seed uint64, ways map[string]int) *heist {
	t.Helper()
	k := &heist{t: t, w: w, seed: seed, rnd: rand.New(rand.NewPCG(seed, 5)), ways: ways, flows: map[string]*track{}, used: map[string]bool{}}
	store, ctx := w.Service.Store, t.Context()
	k.thing = pick(k, "channel", "channel", "channel", "channel", "password", "link", "terminal", "agent")
	k.tier = pick(k, idp.TierMicro, idp.TierStandard, idp.TierStandard, idp.TierHighValue)
	k.young, k.hired = k.one(8), pick(k, w.support...)
	m := idp.Merchant{No: fmt.Sprintf("8222900595%05d", n), LegalName: "林记面馆", Tier: k.tier, Status: idp.MerchantActive}
	must(t, store.CreateMerchant(ctx, &m))
	k.merchant = m.No
	shop := idp.Store{MerchantID: m.ID, Name: "总店"}
	must(t, store.CreateStore(ctx, &shop))
	k.shop = shop
	home, away := fmt.Sprintf("100.%d.%d.1", 64+n/250, n%250), fmt.Sprintf("100.%d.%d.2", 128+n/250, n%250)
	k.own = k.somebody(fmt.Sprintf("own.er%d", n), fmt.Sprintf("+86150%08d", n), idp.User{Role: pick(k, idp.RoleOwner, idp.RoleOwner, idp.RoleOwner, idp.RoleCashier), MerchantID: m.ID}, !k.one(5))
	k.other = k.somebody(fmt.Sprintf("other%d", n), fmt.Sprintf("+86151%08d", n), idp.User{Role: idp.RoleOwner, MerchantID: m.ID}, true)
	k.owner = k.player("owner", k.own, w.hand(home, desk))
	k.guest = k.player("other", k.other, w.hand(home, desk))
	k.thief = &player{hand: w.hand(away, pick(k, desk, mobile)), name: "thief", guesses: 2}
	if k.one(2) {
		k.thief.address = home // a network that the owner shares, or his own street
	}
	k.enter(k.owner, k.own)
	switch k.thing {
	case "channel":
		k.thief.reads = []string{pick(k, k.own.phone, k.own.mail)}
	case "password":
		k.thief.password = k.owner.password
	case "link":
		k.thief.links = true
	case "terminal":
		k.thief.till = true
	}
	if k.thing == "terminal" || k.one(6) {
		k.enter(k.guest, k.other)
		k.till = k.terminal(n, m, shop)
	}
	k.owner.till = k.till != nil && !k.thief.till
	if k.one(3) { // the shop's one computer
		k.guest.hand = k.owner.hand
	}
	k.players = []*player{k.owner, k.thief, k.guest}
	time.Sleep(8 * 24 * time.Hour)
	if k.young {
		k.rebind()
	}
	k.own.view, k.other.view, k.marked = k.look(k.own), k.look(k.other), k.mark()
	return k
}

// somebody is a person with a phone, an address and the password; strong: with an app and
// codes on paper.
func (k *heist) somebody(login, phone string, u idp.User, strong bool) *account {
	a := &account{login: login, phone: phone, mail: login + "@example.com", roots: map[string][]idp.Group{}}
	a.User = k.w.person(k.t, somebody{User: u, Login: login, Phone: phone, Mail: a.mail, NoPassword: true})
	k.w.give(k.t, a, idp.MethodPassword, []byte(must2(cheap().Hash(k.t.Context(), storyPassword))(k.t)))
	a.factor = strong
	return a
}

func (w *demoWorld) give(t *testing.T, a *account, m idp.Method, data []byte) {
	t.Helper()
	c := idp.Credential{UserID: a.ID, Method: m, Data: data}
	must(t, w.Service.Store.AddCredential(t.Context(), &c))
}

// player is the person himself, with all that is his.
func (k *heist) player(name string, a *account, h *hand) *player {
	p := &player{hand: h, name: name, password: storyPassword, reads: []string{a.phone, a.mail}, links: true, guesses: 1}
	if a.factor {
		data := totp.NewSecret()
		p.totp = must2(totp.SecretOf(data))(k.t)
		k.w.give(k.t, a, idp.MethodTOTP, data)
	}
	if a.factor || k.one(2) {
		p.kit = backup.NewSet(3)
		k.w.give(k.t, a, idp.MethodBackup, must2(backup.Seal(k.t.Context(), cheap(), p.kit))(k.t))
	}
	return p
}

// enter signs a person in, so that his browser is known.
func (k *heist) enter(p *player, a *account) {
	k.begin(p, "GET", "/sign-in", nil)
	k.act(p, "POST", p.at+"/identify", url.Values{"identifier": {a.login}})
	k.act(p, "POST", p.at+"/password", url.Values{"password": {p.password}})
	if p.totp != "" {
		k.act(p, "POST", p.at+"/second", url.Values{"code": {must2(totp.Code(p.totp, time.Now()))(k.t)}})
	}
	p.at, p.step = "", ""
}

// terminal is one of the shop that the other owner has signed in.
func (k *heist) terminal(n int, m idp.Merchant, shop idp.Store) *till {
	d := &till{hand: k.w.hand(k.owner.address, "terminal"), issuer: k.w.Issuer, key: dpoptest.New()}
	d.Terminal = idp.Terminal{Serial: fmt.Sprintf("HFS%010d", n), Model: "S2", Kind: idp.TerminalSmart, MerchantID: m.ID, StoreID: shop.ID, State: idp.TerminalNew}
	asked := k.asks(d)
	_, _, page := k.guest.send("POST", "/device", approval(asked))
	time.Sleep(6 * time.Second)
	var got tokenAnswer
	_, _, text := d.send("POST", "/token", pollForm(asked), d.proof("/token")...)
	if json.Unmarshal([]byte(text), &got) != nil || got.Refresh == "" {
		k.fail("the terminal got no token: %s\n%s", text, page)
	}
	d.refresh = got.Refresh
	return d
}

func (d *till) proof(path string) []string {
	return []string{"DPoP", d.key.Proof("POST", d.issuer+path, "")}
}

// asks puts a new terminal into the shop, which asks to be signed in.
func (k *heist) asks(d *till) (asked deviceAnswer) {
	must(k.t, k.w.Service.Store.CreateTerminal(k.t.Context(), &d.Terminal))
	_, _, text := d.send("POST", "/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid offline_access terminal"}, "terminal_serial": {d.Serial}}, d.proof("/device_authorization")...)
	must(k.t, json.Unmarshal([]byte(text), &asked))
	return asked
}

func approval(d deviceAnswer) url.Values {
	return url.Values{"user_code": {d.UserCode}, "do": {"approve"}, "match": {d.number()}}
}

// bring has a terminal that is new ask, or one that comes with another key, and lets it in.
func (k *heist) bring(p *player) {
	k.brought++
	d := &till{hand: k.w.hand(p.address, "terminal"), issuer: k.w.Issuer, key: dpoptest.New()}
	d.Terminal = idp.Terminal{Serial: fmt.Sprintf("HFB%s%03d", k.merchant[len(k.merchant)-5:], k.brought), Model: "S2", Kind: idp.TerminalSmart, MerchantID: k.own.MerchantID, StoreID: k.shop.ID, State: idp.TerminalNew}
	form := approval(k.asks(d))
	if k.begin(p, "POST", "/device", form); p.at != "" { // to prove it anew
		k.goOn(p)
		k.begin(p, "POST", "/device", form)
	}
}

// rebind has the owner's phone bound anew yesterday.
func (k *heist) rebind() {
	store, ctx := k.w.Service.Store, k.t.Context()
	for _, n := range must2(store.Identifiers(ctx, k.own.ID))(k.t) {
		if n.Kind == idp.IdentifierPhone {
			must2(store.RemoveIdentifier(ctx, k.own.ID, n.ID, time.Now()))(k.t)
		}
	}
	must(k.t, store.AddIdentifier(ctx, &idp.Identifier{UserID: k.own.ID, Kind: idp.IdentifierPhone, Value: k.own.phone, VerifiedAt: time.Now()}))
	time.Sleep(20 * time.Hour)
}

// begin opens something that leads to a flow.
func (k *heist) begin(p *player, method, path string, form url.Values) {
	p.at, p.step = "", ""
	k.act(p, method, path, form)
}

var flowPath = regexp.MustCompile(`^/flows/([\w-]+)(?:/([\w-]+))?`)

// act sends a request and follows where it leads.
func (k *heist) act(p *player, method, path string, form url.Values) (status int, to, body string) {
	k.t.Helper()
	status, to, body = p.send(method, path, form)
	k.status = status
	k.note("%s: %s %s %v: %d %s", p.name, method, path, form, status, to)
	if status >= 500 {
		k.fail("broken: %s", body)
	}
	f := k.flows[tokenOf(path)]
	k.foreign(p, f, status, to)
	moved := flowPath.FindStringSubmatch(to)
	switch {
	case moved != nil:
		if f == nil || f.hand != p.hand {
			f = &track{hand: p.hand, path: path}
		}
		if was := k.flows[moved[1]]; was == nil {
			k.flows[moved[1]] = f
			f.proven = f.proven || tokenOf(path) != ""
		}
		p.at, p.step = "/flows/"+moved[1], moved[2]
	case f != nil && f.hand == p.hand && (status == http.StatusGone || status == http.StatusForbidden || to != ""):
		p.at, p.step = "", ""
	}
	if k.own.view.creds != nil && (method == "POST" || to != "") {
		k.held(p, method, path, f)
	}
	return status, to, body
}

func tokenOf(path string) string {
	if m := flowPath.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return ""
}

// sent is the newest code that went to an address, "" for none in the last minutes.
func (k *heist) sent(to string) string {
	for _, m := range must2(k.w.Service.Store.Messages(k.t.Context(), 8))(k.t) {
		if m.To == to && m.Template == "code" && time.Since(m.CreatedAt) < 15*time.Minute {
			return codeDigits.FindString(m.Body)
		}
	}
	return ""
}

var codeDigits = regexp.MustCompile(`\b(?:\d{8}|\d{6})\b`)

// messages notes the links of what was told.
func (k *heist) told() {
	for _, m := range must2(k.w.Service.Store.Messages(k.t.Context(), 4))(k.t) {
		if m.To != k.own.phone && m.To != k.own.mail {
			continue
		}
		if link := stopLink.FindString(m.Body); link != "" {
			if token := link[strings.Index(link, "t=")+2:]; !slices.Contains(k.links, token) {
				k.links = append(k.links, token)
			}
		}
	}
}

// step is one thing that somebody does.
func (k *heist) step(quiet int) {
	k.told()
	switch {
	case k.one(4):
		k.wait()
	case quiet > 0 && k.one(quiet):
		k.honest()
	case k.one(12):
		k.mingle()
	default:
		k.steal()
	}
}

// wait lets time pass, at times until just before or after what is due.
func (k *heist) wait() {
	pause := pick(k, time.Minute, 2*time.Hour, 7*time.Hour, 13*time.Hour, 25*time.Hour, 26*time.Hour, 49*time.Hour, 73*time.Hour)
	if r := k.own.running(); r != nil && !k.one(3) {
		pause = time.Until(r.DueAt) + pick(k, -time.Minute, time.Minute, time.Hour)
		if k.one(8) {
			pause = time.Until(r.Until) + time.Second
		}
	}
	if pause > 0 {
		time.Sleep(pause)
	}
	k.note("time passes: %s", pause)
	must2(k.w.Service.TellRecoveries(k.t.Context()))(k.t)
	k.held(nil, "", "", nil)
}

// steal is something that a thief tries.
func (k *heist) steal() {
	p := k.thief
	if k.thing == "agent" && !k.one(4) {
		k.abuse(p)
		return
	}
	switch n := k.rnd.IntN(17); {
	case n == 16 && p.jar["hufu-s"] != "":
		k.bring(p)
	case n < 4 && p.at != "":
		k.goOn(p)
	case n < 9:
		k.recover(p)
	case n < 11:
		k.signIn(p, k.own)
	case n == 11:
		k.replay(p)
	case n == 12 && (p.links || len(p.reads) > 0):
		k.follow(p)
	case n == 13 && p.at != "":
		k.act(p, "POST", p.at+"/recover-wait/stop", nil)
	case p.till:
		k.answer(p, pick(k, "stop", "confirm"), "")
	default:
		k.pages(p)
	}
}

// honest is something that the owner does.
func (k *heist) honest() {
	p := k.owner
	switch n := k.rnd.IntN(13); {
	case n == 12 && p.jar["hufu-s"] != "":
		k.bring(p)
	case n < 3 && p.at != "":
		k.goOn(p)
	case n < 6:
		k.recover(p)
	case n < 8 || p.jar["hufu-s"] == "":
		k.signIn(p, k.own)
	case n == 8:
		k.follow(p)
	case n == 9:
		k.act(p, "POST", "/account/freeze", nil)
	case n == 10 && p.till:
		k.answer(p, "stop", "")
	case k.own.user.Frozen:
		k.unfreeze()
	default:
		k.begin(p, "POST", "/account/recovery", nil)
	}
}

// mingle is what the other person does: on his own account, at times at the owner's browser.
func (k *heist) mingle() {
	switch p := k.guest; k.rnd.IntN(4) {
	case 0:
		k.recover(p)
	case 1:
		k.replay(p)
	case 2:
		k.goOn(p)
	default:
		k.signIn(p, k.other)
	}
}

// recover goes through the door, shows a few things and goes on.
func (k *heist) recover(p *player) {
	about := k.own
	if p == k.guest {
		about = k.other
	}
	lost := pick(k, "password", "password", "both", "second", "second")
	k.begin(p, "POST", "/recover", url.Values{"lost": {lost}})
	if p.at == "" {
		return
	}
	k.named(p, about)
	for range 1 + k.rnd.IntN(3) {
		k.show(p, about, lost)
	}
	if p.at != "" && p.step == "recover" {
		k.act(p, "POST", p.at+"/recover", url.Values{"do": {"go"}, "gone": k.own.ids(idp.MethodTOTP)})
	}
	if !k.one(3) {
		k.goOn(p)
	}
}

func (k *heist) named(p *player, about *account) {
	name, who := pick(k, about.login, about.login, about.login, about.phone, about.mail), about
	switch k.rnd.IntN(20) {
	case 0:
		name, who = k.other.login, k.other
	case 1:
		name, who = "nobody.at.all", nil
	}
	if k.act(p, "POST", p.at+"/recover-who", url.Values{"identifier": {name}}); p.at == "" {
		return
	}
	f := k.flows[tokenOf(p.at)]
	f.proven, f.who = false, who
}

// show shows one thing: mostly one that the player has.
func (k *heist) show(p *player, about *account, lost string) {
	if p.at == "" || p.step != "recover" && p.step != "recover-wait" {
		return
	}
	var has []string
	if slices.Contains(p.reads, about.phone) {
		has = append(has, "phone", "phone")
	}
	if slices.Contains(p.reads, about.mail) {
		has = append(has, "mail", "mail")
	}
	if len(p.kit) > 0 {
		has = append(has, "kit")
	}
	if p.totp != "" {
		has = append(has, "totp")
	}
	if p.password != "" && lost == "second" {
		has = append(has, "password", "password", "password")
	}
	if p.till && k.till != nil {
		has = append(has, "terminal", "terminal")
	}
	if len(has) == 0 || k.one(9) {
		has = []string{"phone", "mail", "kit", "totp", "password", "terminal"}
	}
	k.prove(p, about, pick(k, has...))
}

// prove takes a way and gives the right thing, if the player has it.
func (k *heist) prove(p *player, about *account, by string) {
	way, to := by, ""
	switch by {
	case "phone":
		to = about.phone
	case "mail":
		to = about.mail
	}
	if to != "" {
		kind := map[string]idp.IdentifierKind{"phone": idp.IdentifierPhone, "mail": idp.IdentifierEmail}[by]
		if way = "introduce:" + string(kind); k.flows[tokenOf(p.at)].proven {
			way = "code:" + about.channel(kind)
		}
	}
	if k.act(p, "POST", p.at+"/"+p.step+"/way", url.Values{"way": {way}}); p.step != "recover-proof" {
		return
	}
	k.give(p, about, by, to)
	if p.step == "recover-proof" && !k.one(4) { // something else
		k.act(p, "POST", p.at+"/recover-proof/way", url.Values{"way": {"other"}})
	}
}

// give answers the page of a proof.
func (k *heist) give(p *player, about *account, by, to string) {
	page, form := p.at+"/recover-proof", url.Values{}
	wrong := !k.coming && k.one(10)
	switch by {
	case "phone", "mail":
		form.Set("code", k.code(p, to, page, wrong))
	case "password":
		form.Set("password", p.password)
	case "totp":
		form.Set("code", k.app(p))
	case "kit":
		if len(p.kit) == 0 {
			return
		}
		form.Set("code", p.kit[0])
	case "terminal":
		_, _, body := k.act(p, "GET", page, nil)
		if p.till {
			k.answer(p, "confirm", shownDigits(body))
		}
	}
	if form.Has("code") && (form.Get("code") == "" || form.Get("code") == "00000000") || form.Has("password") && form.Get("password") == "" {
		if p.guesses--; p.guesses < 0 {
			return
		}
		form.Set(slices.Collect(maps.Keys(form))[0], "00000000")
	}
	token := tokenOf(p.at)
	k.act(p, "POST", page, form)
	if code := form.Get("code"); code != "" && p.at != "" && tokenOf(p.at) != token {
		if k.used[code] && by != "totp" {
			k.fail("the code %s counts twice", code)
		}
		if k.used[code] = true; by == "kit" {
			p.kit = p.kit[1:]
		}
		if to != "" && !slices.Contains(p.reads, to) {
			k.fail("a code that went to %s counts for %s", to, p.name)
		}
	}
}

// code is the one that was sent to an address, if the player sees it there: else one that
// was used, that is another's, or none.
func (k *heist) code(p *player, to, page string, wrong bool) string {
	if wrong || !slices.Contains(p.reads, to) {
		if olds := slices.Sorted(maps.Keys(k.used)); len(olds) > 0 && k.one(2) {
			return pick(k, olds...)
		}
		switch {
		case k.one(2):
			return ""
		case k.flows[tokenOf(page)].who == k.other:
			return k.sent(k.own.phone)
		default:
			return k.sent(k.other.phone)
		}
	}
	code := k.sent(to)
	if code == "" || k.used[code] {
		time.Sleep(61 * time.Second)
		k.act(p, "POST", page+"/resend", nil)
		code = k.sent(to)
	}
	return code
}

// seen is the newest code that came to the owner's phone, "" for who does not read it.
func (k *heist) seen(p *player) string {
	if !slices.Contains(p.reads, k.own.phone) {
		return ""
	}
	return k.sent(k.own.phone)
}

func (k *heist) app(p *player) string {
	if p.totp == "" {
		return ""
	}
	time.Sleep(31 * time.Second)
	return must2(totp.Code(p.totp, time.Now()))(k.t)
}

var digitsOfPage = regexp.MustCompile(`>\s*(\d{2})\s*<`)

func shownDigits(page string) string {
	if m := digitsOfPage.FindStringSubmatch(page); m != nil {
		return m[1]
	}
	return ""
}

// answer answers what the terminal shows of a kind.
func (k *heist) answer(p *player, do, digits string) {
	if k.till == nil {
		return
	}
	var shown []struct {
		ID, Kind string
		Choices  []int
	}
	if !k.till.ask("GET", "/terminal/notices", nil, &shown) {
		k.note("the terminal is silent")
		return
	}
	for _, n := range shown {
		if n.Kind != do {
			continue
		}
		if do == "confirm" && (digits == "" || k.one(6)) {
			digits = strconv.Itoa(pick(k, n.Choices...))
		}
		body := map[string]string{"do": do}
		if do == "confirm" {
			body["digits"] = digits
		}
		var got map[string]string
		ok := k.till.ask("POST", "/terminal/notices/"+n.ID, body, &got)
		k.note("%s answers the terminal: %v: %v %v", p.name, body, ok, got)
		k.held(p, "POST", "/terminal/notices", nil)
		k.ways["terminal "+do]++
		return
	}
}

// goOn does what the page of the flow is for, as far as the player can.
func (k *heist) goOn(p *player) {
	for i := range 8 {
		if p.at == "" {
			return
		}
		before, step := p.at+p.step, p.step
		k.page(p)
		if i > 0 && p.at == "" && k.status == http.StatusGone && step != "second" {
			k.fail("the page %s was offered, and leads nowhere", step)
		}
		if p.at+p.step == before {
			return
		}
	}
}

func (k *heist) page(p *player) {
	about := k.own
	if p == k.guest {
		about = k.other
	}
	path := p.at + "/" + p.step
	switch p.step {
	case "":
		k.act(p, "GET", p.at, nil)
	case "recover-who":
		k.named(p, about)
	case "recover":
		if k.one(2) {
			k.show(p, about, "second")
			return
		}
		k.act(p, "POST", path, url.Values{"do": {"go"}, "gone": k.own.ids(idp.MethodTOTP)})
	case "recover-proof":
		k.act(p, "POST", path+"/way", url.Values{"way": {"other"}})
	case "recover-wait":
		if r := k.own.running(); r != nil && time.Now().Before(r.DueAt) && k.one(2) {
			k.show(p, about, "second")
			return
		}
		k.act(p, "GET", p.at, nil)
	case "new-password":
		k.choose(p, path)
	case "choose-factor":
		k.act(p, "POST", path, url.Values{"factor": {"totp"}})
	case "enrol-totp":
		k.enrol(p, path)
	case "offer":
		k.act(p, "POST", path, url.Values{"do": {"later"}})
	case "contact":
		k.act(p, "POST", path, url.Values{"contact": {fmt.Sprintf("137%08d", k.rnd.IntN(1e8))}})
	default:
		k.door(p, about, path)
	}
}

func (k *heist) choose(p *player, path string) {
	p.chosen = fmt.Sprintf("pickled plums in june %x, basil", k.rnd.IntN(1e6))
	k.act(p, "POST", path, url.Values{"password": {p.chosen}, "again": {p.chosen}})
}

func (k *heist) enrol(p *player, path string) {
	_, _, body := k.act(p, "GET", path, nil)
	found := appSecret.FindStringSubmatch(body)
	if found == nil {
		return
	}
	p.fresh = strings.ReplaceAll(found[1], " ", "")
	k.act(p, "POST", path, url.Values{"code": {must2(totp.Code(p.fresh, time.Now()))(k.t)}})
}

// door answers the pages of a sign-in and of a step-up.
func (k *heist) door(p *player, about *account, path string) {
	switch p.step {
	case "identify":
		k.act(p, "POST", path, url.Values{"identifier": {about.login}})
		if f := k.flows[tokenOf(path)]; f != nil {
			f.who = about
		}
	case "password":
		typed := p.password
		if typed == "" {
			if p.guesses--; p.guesses < 0 {
				return
			}
			typed = "a wrong password"
		}
		k.act(p, "POST", path, url.Values{"password": {typed}})
	case "introduce":
		k.act(p, "POST", path, url.Values{"code": {k.code(p, about.phone, path, false)}})
	case "second":
		k.second(p, about, path)
	}
}

func (k *heist) second(p *player, about *account, path string) {
	if p.totp != "" {
		k.act(p, "POST", path, url.Values{"code": {k.app(p)}})
		if k.coming && len(p.kit) > 0 && k.status == http.StatusUnprocessableEntity { // strangers have used up its tries
			k.paper(p, path)
		}
		return
	}
	if len(p.kit) > 0 && about.enrolled() && k.one(2) {
		k.paper(p, path)
		return
	}
	to := about.phone
	if len(p.reads) == 1 {
		to = p.reads[0]
		k.act(p, "POST", path+"/way", url.Values{"way": {"code:" + about.channel(idp.IdentifierEmail)}})
	}
	if code := k.code(p, to, path, false); code != "" {
		if k.act(p, "POST", path, url.Values{"code": {code}}); k.status == http.StatusSeeOther {
			k.used[code] = true
		}
	}
}

// paper types a code of the kit.
func (k *heist) paper(p *player, path string) {
	k.act(p, "POST", path+"/way", url.Values{"way": {"backup"}})
	code, token := p.kit[0], tokenOf(p.at)
	if k.act(p, "POST", path, url.Values{"code": {code}}); tokenOf(p.at) != token {
		p.kit = p.kit[1:]
	}
}

func (k *heist) signIn(p *player, about *account) {
	if ss, err := k.w.Service.Store.SessionByToken(k.t.Context(), hashOf(p.jar["hufu-s"]), time.Now()); err == nil && ss.UserID != about.ID && p != k.thief {
		k.act(p, "POST", "/sign-out", nil) // somebody else's, on the shop's one computer
	}
	if k.begin(p, "GET", "/sign-in", nil); p.at != "" && !k.one(4) {
		p.step = "identify"
	}
	k.goOn(p)
}

// replay sends something to a flow that was seen before, whoever's it is, out of order.
func (k *heist) replay(p *player) {
	if len(k.flows) == 0 {
		return
	}
	token := pick(k, slices.Sorted(maps.Keys(k.flows))...)
	at, step := p.at, p.step
	path := "/flows/" + token + "/" + pick(k, "recover-who", "recover", "recover/way", "recover-proof", "recover-proof/resend", "recover-wait", "recover-wait/stop", "recover-wait/way", "new-password", "choose-factor",
		"enrol-totp", "enrol-passkey", "identify", "password", "second", "name-code", "name-told")
	form := url.Values{"do": {"go"}, "way": {pick(k, "kit", "totp", "other", "terminal")}, "code": {pick(k, "123456", "12345678", k.seen(p))}, "identifier": {pick(k, k.own.login, k.other.login)},
		"password": {storyPassword}, "again": {storyPassword}, "factor": {"totp"}, "gone": k.own.ids(idp.MethodTOTP)}
	if f := k.flows[token]; f.hand != p.hand || strings.HasSuffix(path, "/password") || strings.HasSuffix(path, "/identify") || strings.HasSuffix(path, "-who") || strings.HasSuffix(path, "/new-password") {
		form.Set("password", "nonsense nonsense")
	}
	if strings.HasSuffix(path, "-who") || strings.HasSuffix(path, "/identify") {
		k.flows[token].who = nil // whoever was typed before
	}
	k.act(p, pick(k, "POST", "POST", "GET"), path, form)
	if k.one(2) {
		p.at, p.step = at, step
	}
}

// follow uses a link of a notice, the newest or an old one, for what it is for or for
// something else.
func (k *heist) follow(p *player) {
	if len(k.links) == 0 {
		return
	}
	token := k.links[len(k.links)-1]
	if k.one(2) {
		token = pick(k, k.links...)
	}
	switch k.rnd.IntN(6) {
	case 0:
		k.act(p, "GET", "/stop?t="+token, nil)
	case 1:
		k.act(p, "POST", pick(k, "/undo", "/recover/case"), url.Values{"token": {token}})
	case 2:
		k.act(p, "GET", pick(k, "/join?t=", "/undo?t=", "/recover/case?t=", "/recover?t=")+token, nil)
	default:
		k.act(p, "POST", "/stop", url.Values{"token": {token}})
	}
}

// pages are those of whoever is signed in, which the thief hopes to be.
func (k *heist) pages(p *player) {
	switch k.rnd.IntN(4) {
	case 0:
		k.begin(p, "POST", pick(k, "/account/unfreeze", "/account/recovery", "/account/data", "/account/factors/remove", "/account/contact/remove"), url.Values{"credential": k.own.ids(idp.MethodTOTP), "id": {k.own.channel(idp.IdentifierPhone)}})
	case 1:
		k.act(p, "GET", pick(k, "/account", "/recover", "/console", "/account/recovery"), nil)
		return
	default:
		k.begin(p, "GET", pick(k, "/account/password", "/account/enrol", "/account/codes", "/account/contact/new?kind=phone", "/account/username"), nil)
	}
	k.goOn(p)
}

// abuse is what somebody of support does who is not on our side, an agent or a supervisor,
// with the reasons and proofs that the desk asks for: mostly he takes a case as far as he
// can alone.
func (k *heist) abuse(p *player) {
	k.hire()
	user, form := "/console/users/"+k.own.ID, url.Values{"reason": {"the owner asked for it on the telephone"}, "login": {k.own.login}, "merchant_no": {k.merchant}, "says": {"lost his phone"},
		"lost": {pick(k, "password", "second", "both")}, "send_to": {k.thiefs()}, "document": {"1234"}, "birthday": {"19800101"}, "answer": {pick(k, idp.CaseAnswers...)}, "kind": {"phone"}, "digits": {"1234"}}
	open := must2(k.w.Service.Store.Cases(k.t.Context(), storage.CaseFilter{User: k.own.ID, State: idp.CaseOpen}, 20))(k.t)
	path := user + "/" + pick(k, "look", "look", "end-sessions", "lock", "unlock", "disable", "enable", "invite-again", "help", "role", "leave", "documents", "reveal")
	switch {
	case k.own.running() != nil && k.one(8):
		path = user + "/" + pick(k, "lock", "disable")
	case len(open) > 0 && !k.one(4):
		path = "/console/cases/" + k.work(pick(k, open...), form)
	case !k.one(3):
		path = "/console/cases/new"
	}
	_, to, page := k.act(p, "POST", path, form)
	if strings.Contains(to, "/look?") { // a reason first
		k.act(p, "POST", to, url.Values{"reason": form["reason"]})
		_, to, page = k.act(p, "POST", path, form)
	}
	if strings.Contains(to, "saved=") {
		k.ways["the desk: "+path[strings.LastIndex(path, "/")+1:]]++
	}
	if !strings.HasSuffix(path, "/reveal") {
		k.desked(page)
	}
}

// work is the next step with a case, or any: what is on every receipt can be read out.
func (k *heist) work(c idp.Case, form url.Values) string {
	all := must2(k.w.Service.Store.CaseEvidence(k.t.Context(), c.ID))(k.t)
	next := "evidence"
	switch {
	case !c.ReadyAt.IsZero():
		next = "approve"
	case idp.Matches(all) >= 2:
		next = "submit"
	}
	field := pick(k, idp.FieldLegalName, idp.FieldMerchantNo, idp.FieldLegalName, idp.FieldMerchantNo, idp.FieldBirthday)
	form.Set("field", string(field))
	form.Set("value", map[idp.EvidenceField]string{idp.FieldLegalName: "林记面馆", idp.FieldMerchantNo: k.merchant, idp.FieldBirthday: "19800101"}[field])
	return c.ID + "/" + pick(k, next, next, next, next, "take", "call", "digits", "address", "refuse", "answer", "release")
}

// thiefs is a telephone of the thief.
func (k *heist) thiefs() string { return fmt.Sprintf("137%08d", k.seed%1e8) }

// desked looks for what no page of the desk shows without saying so, and for a case that one
// person has brought to its end (I8, I21).
func (k *heist) desked(page string) {
	store, ctx := k.w.Service.Store, k.t.Context()
	for _, c := range must2(store.Cases(ctx, storage.CaseFilter{User: k.own.ID}, 20))(k.t) {
		if c.DecidedBy == k.hired.UserID && c.Outcome != idp.OutcomeRefused && c.Outcome != idp.OutcomeKeep {
			k.fail("one of support alone has decided: %+v (I21)", c)
		}
	}
	for _, m := range must2(store.Messages(ctx, 8))(k.t) {
		if strings.HasSuffix(m.To, k.thiefs()) && strings.Contains(m.Body, "/recover/case?") {
			k.fail("support alone had a link sent to the thief (I8)")
		}
	}
	for _, secret := range []string{k.own.phone, k.own.mail} {
		if k.status == http.StatusOK && strings.Contains(page, secret) {
			k.fail("a page of the desk shows %s (I8)", secret)
		}
	}
}

// unfreeze is the owner's strong return.
func (k *heist) unfreeze() {
	k.begin(k.owner, "POST", "/account/unfreeze", nil)
	k.goOn(k.owner)
}

// hire gives the thief a fresh session of somebody of support, the same all along.
func (k *heist) hire() {
	now, token, key := time.Now(), idp.NewToken(), k.hired
	ss := idp.Session{UserID: key.UserID, CreatedAt: now, LastSeenAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(8 * time.Hour),
		Proofs: []idp.Proof{{User: key.UserID, Method: idp.MethodPasskey, Credential: key.ID, UserVerified: true, At: now, Channels: []string{"key:" + key.ID}}}}
	must(k.t, k.w.Service.Store.CreateSession(k.t.Context(), &ss, hashOf(token)))
	k.thief.jar["hufu-s"] = token
}

// walk walks.
func (k *heist) walk() {
	quiet := pick(k, 0, 0, 3, 2)
	for range 6 + k.rnd.IntN(15) {
		k.step(quiet)
	}
	k.home()
}

// modelWalks says how many walks are walked and from which seed on.
func modelWalks(t *testing.T) (walks int, seed uint64) {
	t.Helper()
	walks, seed = 300, rand.Uint64()>>1
	var err error
	if text := os.Getenv("HUFU_TEST_WALKS"); text != "" {
		walks, err = strconv.Atoi(text)
		must(t, err)
	}
	if text := os.Getenv("HUFU_TEST_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	return walks, seed
}

// regressions are seeds of walks that found something once.
var regressions = []uint64{}

const walksOfWorld = 200

// In whatever order a thief and the owner act, the thief, who holds one channel, the
// password, an old link, a terminal or an agent's desk, gets nothing that policy does not
// give him, and keeps the owner out no longer than policy says. HUFU_TEST_WALKS says how
// many walks, HUFU_TEST_SEED where they begin.
func TestRecoveryModel(t *testing.T) {
	t.Parallel()
	walks, seed := modelWalks(t)
	t.Logf("%d walks from HUFU_TEST_SEED=%d on", walks, seed)
	var sum tally
	began := time.Now()
	t.Run("walks", func(t *testing.T) {
		if os.Getenv("HUFU_TEST_SEED") == "" {
			modelWorld(t, "regressions", regressions, &sum)
		}
		for from := 0; from < walks; from += walksOfWorld {
			var seeds []uint64
			for n := from; n < min(walks, from+walksOfWorld); n++ {
				seeds = append(seeds, seed+uint64(n))
			}
			modelWorld(t, fmt.Sprint("from ", seeds[0]), seeds, &sum)
		}
	})
	t.Logf("%d walks, %.0f a second: %v", sum.walks, float64(sum.walks)/time.Since(began).Seconds(), sum.ways)
	if walks < 1000 || t.Failed() {
		return
	}
	for _, way := range []string{"delayed", "immediate", "waited out", "stopped", "withdrawn", "expired", "unfrozen", "thief in by one factor", "taken after its time", "taken over", "row 4", "row 5", "row 7", "row 8", "row 9", "row 10", "row 11",
		"terminal confirm", "terminal stop", "home by a strong return", "home by people", "home by a recovery", "home from a lock", "the desk: new", "the desk: submit"} {
		if sum.ways[way] == 0 {
			t.Errorf("nobody walked %q: the walks show nothing of it", way)
		}
	}
}

// A tally is what happened in all walks.
type tally struct {
	sync.Mutex
	walks int
	ways  map[string]int
}

func (a *tally) add(walks int, ways map[string]int) {
	a.Lock()
	defer a.Unlock()
	if a.walks += walks; a.ways == nil {
		a.ways = map[string]int{}
	}
	for way, n := range ways {
		a.ways[way] += n
	}
}

// modelWorld walks in a world of its own.
func modelWorld(all *testing.T, name string, seeds []uint64, sum *tally) {
	all.Run(name, func(t *testing.T) {
		t.Parallel()
		dsn, dir := sown(t, storage.SQLite, true)
		walks, ways := 0, map[string]int{}
		defer func() { sum.add(walks, ways) }()
		synctest.Test(t, func(t *testing.T) {
			w := quietWorld(t, dsn, dir)
			w.Service.Rest()
			w.watch(t, dsn)
			w.Service.Hash(cheap())
			for _, field := range []string{"work.bits", "work.sms", "work.network"} { // what work costs is tested elsewhere
				w.Service.Rule(0, field, 0)
			}
			for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleSupportSupervisor} {
				u := w.person(t, somebody{User: idp.User{Role: role, Team: "east"}, Login: "rogue." + string(role)})
				w.support = append(w.support, idp.Credential{UserID: u.ID, Method: idp.MethodPasskey, Data: []byte("{}"), Lookup: []byte(role)})
				must(t, w.Service.Store.AddCredential(t.Context(), &w.support[len(w.support)-1]))
			}
			for n, seed := range seeds {
				if all.Failed() { // the first is enough
					return
				}
				walks++
				k := w.heist(t, n, seed, ways)
				k.walk()
			}
		})
	})
}
