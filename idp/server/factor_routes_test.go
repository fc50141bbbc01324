package server_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/storage"
)

// A class is what a route gives to somebody who has shown one factor only.
type class string

const (
	open    class = "open"    // the same for everybody, whoever asks
	link    class = "link"    // for whoever holds the link of a message
	demo    class = "demo"    // of the demonstration world
	step    class = "step"    // of a flow
	reach   class = "reach"   // sends a code to a channel of the person's, which shows that it still reaches him and nothing else
	own     class = "own"     // looks at the person's own, or names it
	stop    class = "stop"    // ends something, or freezes
	change  class = "change"  // alters what proves the person, or hands his data out
	approve class = "approve" // lets a terminal in
	money   class = "money"   // may give tokens, of money too
	staff   class = "staff"   // of the console
	client  class = "client"  // for applications: no cookie counts
	leave   class = "leave"   // signs out
)

// classes says of every route which it is. A new one has to be put here: what is in no
// class fails TestEveryRouteHasAClass.
var classes = map[string]class{
	"GET /{$}": demo, "GET /dev/messages": demo,
	"GET /static/": open, "GET /healthz": open, "GET /readyz": open, "GET /.well-known/webauthn": open, "/.well-known/oauth-authorization-server": open,
	"/.well-known/openid-configuration": open, "/jwks": open, "GET /lang": open, "GET /help": open, "GET /help/{topic}": open, "GET /sign-in": open,
	"GET /join": link, "GET /stop": link, "POST /stop": link, "GET /undo": link, "POST /undo": link,
	"GET /sign-out": leave, "POST /sign-out": leave, "/logout": leave, "/logout/confirm": leave,
	"GET /flows/{flow}": step, "GET /flows/{flow}/{step}": step, "POST /flows/{flow}/{step}": step, "POST /flows/{flow}/{step}/resend": step,
	"POST /flows/{flow}/{step}/way": step, "POST /flows/{flow}/{step}/challenge": step, "POST /flows/{flow}/new-password/check": step,
	"GET /flows/{flow}/recovery-codes/sheet": step, "GET /flows/{flow}/recovery-codes/slip": step, "GET /flows/{flow}/recovery-codes/file": step,
	"GET /flows/{flow}/recovery-codes/kit": step, "POST /flows/{flow}/recovery-codes/kit": step, "GET /kit": open, "POST /kit": open,
	"GET /recover": open, "POST /recover": open, "GET /recover/other": open, "GET /recover/done": open, "GET /recover/void": open, "GET /recover/case": link, "POST /recover/case": link, "POST /flows/{flow}/recover-wait/stop": step,
	"GET /account/recovery": own, "POST /account/recovery": own, // whose account nobody recovers
	"/authorize": money, "/token": client, "/revoke": client, "/userinfo": client, "/introspect": client, "/device_authorization": client, "/par": client,
	"/terminal/notices": client, "/terminal/notices/{id}": client,
	"GET /device": approve, "POST /device": approve,
	"GET /account": own, "GET /account/factors": own, "GET /account/contacts": own, "GET /account/devices": own, "GET /account/apps": own, "GET /account/activity": own,
	"GET /account/data": own, "GET /account/call": own, "GET /account/freeze": own, "GET /account/unfreeze": own, "POST /account/unfreeze": own, // who is not frozen
	"POST /account/activity": own, "POST /account/factors/rename": own, // a label proves nothing
	"POST /account/end": stop, "POST /account/end-all": stop, "POST /account/browser/distrust": stop, "POST /account/browser/revoke": stop, "POST /account/app/withdraw": stop,
	"POST /account/approval/end": stop, "POST /account/freeze": stop,
	"GET /account/enrol": change, "GET /account/password": change, "GET /account/codes": change, "GET /account/username": change, "GET /account/factors/remove": change,
	"POST /account/factors/remove": change, "GET /account/contact/new": change, "GET /account/contact/change": change, "GET /account/contact/remove": change,
	"POST /account/contact/confirm": reach, "GET /account/leave": change, "POST /account/leave": change, "POST /account/contact/remove": change, "POST /account/contact/undo": change, "POST /account/data": change,
}

// classOf finds the class of a pattern; the console's are one.
func classOf(pattern string) class {
	if _, path, _ := strings.Cut(pattern, " "); path == "/console" || strings.HasPrefix(path, "/console/") {
		return staff
	}
	return classes[pattern]
}

// mounted are the patterns of the router, read from the router: no list can miss one.
func (w *demoWorld) mounted(t *testing.T) (out []string) {
	t.Helper()
	index := reflect.ValueOf(w.Service).Elem().FieldByName("mux").Elem().FieldByName("index")
	add := func(patterns reflect.Value) {
		for i := range patterns.Len() {
			if s := patterns.Index(i).Elem().FieldByName("str").String(); !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	for each := index.FieldByName("segments").MapRange(); each.Next(); {
		add(each.Value())
	}
	add(index.FieldByName("multis"))
	if len(out) < 100 {
		t.Fatalf("only %d routes found: %v", len(out), out)
	}
	slices.Sort(out)
	return out
}

func TestEveryRouteHasAClass(t *testing.T) {
	dsn, dir := sown(t, storage.SQLite, false)
	w := quietWorld(t, dsn, dir)
	all := w.mounted(t)
	for _, pattern := range all {
		if classOf(pattern) == "" {
			t.Errorf("%s is in no class: what may somebody do there who has shown one factor?", pattern)
		}
	}
	for pattern := range classes {
		if !slices.Contains(all, pattern) {
			t.Errorf("%s is no route any more", pattern)
		}
	}
}

// ask sends a request as a page does, and follows no redirect.
func (b *browser) ask(method, path string, form url.Values) (status int, to, body string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.world.Issuer+path, strings.NewReader(form.Encode()))
	must(b.t, err)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", b.Lang)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	c := *b.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(r)
	must(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b.t, err)
	return res.StatusCode, res.Header.Get("Location"), string(text)
}

// A target is somebody of whom everything is asked.
type target struct {
	login   string
	user    idp.User
	form    url.Values // whatever a form of his could hold
	secrets []string   // what no page shows of him before he is in
	ask     asked      // a device that waits for him
	spare   []string   // routes that every leaves alone
	grants  map[string]string
}

// target makes a person with all that there can be of him. A cashier holds no factor.
func (w *demoWorld) target(t *testing.T, role idp.Role, login string) target {
	t.Helper()
	number, code := "15912345678", "BCDFGHJK"
	if role == idp.RoleCashier {
		number, code = "15912345679", "CCDFGHJK"
	}
	ctx, store := t.Context(), w.Service.Store
	u := w.person(t, somebody{User: idp.User{Role: role, Name: "欧阳若兰"}, Login: login, Phone: "+86" + number, Mail: "ruolan." + login + "@example.com", TOTP: role == idp.RoleOwner})
	if role == idp.RoleOwner {
		must(t, store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodPasskey, Label: "柜台的钥匙", Data: []byte("{}"), Lookup: []byte(login)}))
	}
	phone := w.named(t, u.ID, "+86"+number)
	undo := idp.Change{UserID: u.ID, OldID: phone.ID, At: time.Now(), Until: time.Now().Add(72 * time.Hour)}
	must(t, store.CreateChange(ctx, &undo))
	must(t, store.Append(ctx, idp.Event{Name: "signin.newbrowser", Actor: u.ID, Subject: u.ID}))
	all, err := store.Terminals(ctx, "", u.MerchantID, 1)
	must(t, err)
	p := target{login: login, user: u, ask: w.asks(t, "", code, "payments:refund")}
	p.secrets = []string{"欧阳若兰", number, "159****567", "ruolan", "r***@", "柜台的钥匙", "鼓楼店", "林记小馆"}
	p.grants = map[string]string{"client": w.grant(t, login, "merchant-app", "", "openid"), "terminal": w.grant(t, login, "terminal", all[0].ID, "terminal")}
	p.form = url.Values{"identifier": {login}, "password": {"another fine long phrase"}, "again": {"another fine long phrase"}, "code": {"000000"}, "username": {"another.name"}, "way": {"totp"},
		"contact": {"13987654321"}, "assertion": {"{}"}, "attestation": {"{}"}, "kept": {"1"}, "factor": {"totp"}, "kind": {"phone"}, "label": {"我的手机"}, "id": {phone.ID}, "change": {undo.ID},
		"do": {"approve"}, "match": {"42"}, "user_code": {code}, "credential": {w.holds(t, login, idp.MethodTOTP)}, "event": {w.events(t, login, "signin.newbrowser")[0].ID}, "answer": {"me"},
		"client": {"merchant-app"}, "grant": {p.grants["terminal"]}, "session": {"-"}, "browser": {"-"}, "reason": {"call 0310"}, "token": {idp.NewToken()}, "t": {idp.NewToken()},
		"client_id": {"merchant-app"}, "redirect_uri": {w.Clients["merchant_app"].Redirect}, "response_type": {"code"}, "scope": {"openid payments:refund"}, "state": {"12345678901234567890"},
		"nonce": {"12345678901234567890"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {p.ask.device}, "trust": {"1"}}
	return p
}

// standing is what a request may not have changed.
func (w *demoWorld) standing(t *testing.T, p target) string {
	t.Helper()
	ctx, store := t.Context(), w.Service.Store
	var out strings.Builder
	for _, c := range must2(store.Credentials(ctx, p.user.ID))(t) {
		fmt.Fprintln(&out, "credential", c.ID, c.Method, c.Version, c.Blocked, c.ChangedAt)
	}
	for _, n := range must2(store.Identifiers(ctx, p.user.ID))(t) {
		fmt.Fprintln(&out, "identifier", n.ID, n.Value, n.Former, n.RemovedAt, n.VerifiedAt)
	}
	for _, b := range must2(store.Browsers(ctx, p.user.ID))(t) {
		fmt.Fprintln(&out, "browser", b.ID, b.TrustedUntil)
	}
	for _, ss := range must2(store.Sessions(ctx, p.user.ID, time.Now()))(t) {
		fmt.Fprintln(&out, "session", ss.ID, len(ss.Proofs))
	}
	for _, g := range must2(store.Grants(ctx, p.user.ID))(t) {
		fmt.Fprintln(&out, "grant", g.ID, g.EndedAt, g.Scopes)
	}
	u := must2(store.User(ctx, p.user.ID))(t)
	waits, err := store.DeviceRequestByUserCode(ctx, p.form.Get("user_code"), time.Now())
	fmt.Fprintln(&out, "user", u.LeavesAt, u.Frozen, u.MustChange, u.Role, u.Status, "device", waits.State, err)
	return out.String()
}

// steps are the names of all steps, and of none.
var stepNames = strings.Fields("identify introduce password offer second new-password choose-factor enrol-passkey enrol-totp recovery-codes contact contact-code still-mine username consent recover-who recover recover-proof recover-wait name-who name-code name-told none")

// every calls every route with GET and POST: visit is told how it went.
func (w *demoWorld) every(t *testing.T, b *browser, p target, flow string, skip []class, visit func(route, path string, c class, status int, to, body string)) {
	t.Helper()
	all := w.mounted(t)
	for _, pattern := range all {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			path = pattern
		}
		c := classOf(pattern)
		if slices.Contains(skip, c) || slices.Contains(p.spare, pattern) {
			continue
		}
		paths := []string{path}
		if strings.Contains(path, "{step}") {
			paths = nil
			for _, name := range stepNames {
				paths = append(paths, strings.ReplaceAll(path, "{step}", name))
			}
		}
		for _, path := range paths {
			path = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(path, "{$}", ""), "{flow}", flow), "{id}", p.user.ID)
			for _, m := range []string{"GET", "POST"} {
				_, rest, named := strings.Cut(pattern, " ")
				if named && m != method && slices.Contains(all, m+" "+rest) {
					continue // it comes by itself
				}
				status, to, body := b.ask(m, path+"?"+p.form.Encode(), p.form)
				switch {
				case status >= 500, named && m != method && status != 405:
					t.Errorf("%s %s: %d", m, path, status)
				case !named || m == method:
					visit(m+" "+path, path, c, status, to, body)
				}
			}
		}
	}
}

var tokenInside = regexp.MustCompile(`"(access_token|id_token|refresh_token)":|"active":true`)

// noToken fails when an answer holds a token, or a code for one.
func noToken(t *testing.T, route, to, body string) {
	t.Helper()
	if found := tokenInside.FindString(body); found != "" {
		t.Errorf("%s gives %s", route, found)
	}
	if u, err := url.Parse(to); err == nil && u.IsAbs() && u.Query().Has("code") {
		t.Errorf("%s gives a code", route)
	}
}

// Who has shown the password only, and is asked for the second step, is nobody: every
// route leads him to sign in, or refuses; no page shows what is his, and nothing changes.
func TestHalfSignInOpensNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		p := w.target(t, idp.RoleOwner, "half.owner")
		half := w.from(t, "203.0.113.1")
		half.try(p.login, storyPassword).at("second").submit("way", "totp").at("second")
		second := half.URL.Path
		w.opensNothing(t, half, p, "/second", p.secrets)
		half.open(second).at("second").submit("code", w.code(t, p.login)).at("/account") // it was open all the time
	})
}

// A session of one factor, whether a trusted browser stood in for the second or none was
// ever bound, looks at the person's own and stops things; whatever alters what proves
// him, lets a terminal in or moves money asks for more first.
func TestOneFactorChangesNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for i, role := range []idp.Role{idp.RoleOwner, idp.RoleCashier} {
			login := "one." + string(role)
			p := w.target(t, role, login)
			b := w.oneFactor(t, login, fmt.Sprintf("203.0.113.%d", i+1))
			w.oneFactorEverywhere(t, b, p)
			w.oneFactorStops(t, b, p)
		}
	})
}

// oneFactor is somebody signed in with his password alone, here and elsewhere.
func (w *demoWorld) oneFactor(t *testing.T, login, address string) *browser {
	t.Helper()
	b := w.from(t, address)
	if b.try(login, storyPassword); strings.HasSuffix(b.URL.Path, "/second") {
		b.submit("way", "totp").submit("code", w.code(t, login), "trust", "1").at("/account").signOut()
		b.try(login, storyPassword)
	}
	b.at("/account")
	if got := w.acr(t, login); got != idp.ACR1 {
		t.Fatalf("signed in with %s", got)
	}
	return b
}

func (w *demoWorld) oneFactorEverywhere(t *testing.T, b *browser, p target) {
	t.Helper()
	b.open("/account/enrol").at("second")
	flow, before := strings.Split(b.URL.Path, "/")[2], w.standing(t, p)
	moreAsked := 0
	w.every(t, b, p, flow, []class{leave, stop}, func(route, path string, c class, status int, to, body string) {
		if c != money {
			noToken(t, route, to, body)
		}
		more := strings.HasPrefix(to, "/flows/") && status == 303
		if more && c != step && c != reach {
			moreAsked++
			if b.open(to); !strings.HasSuffix(b.URL.Path, "/second") && !strings.HasSuffix(b.URL.Path, "/password") {
				t.Errorf("%s of %s: nothing more is asked at %s", route, p.user.Role, b.URL.Path)
			}
		}
		ok := true
		switch c {
		case own:
			ok = status == 200 || status == 303 && strings.HasPrefix(to, "/account") || p.user.Role == idp.RoleCashier && strings.HasSuffix(path, "/rename") && status == 404 // holds nothing that has a name
		case reach:
			ok = more
		case change:
			ok = more || p.user.Role == idp.RoleCashier && status/100 == 4 || p.user.Role == idp.RoleOwner && path == "/account/leave" && status == 403 // he hands his shop over
		case approve:
			ok = more || status/100 == 4
		case staff: // a merchant's own people have a part of the console, for two factors
			ok = status == 403 || more && p.user.Role != idp.RoleCashier || (strings.HasSuffix(path, "/lost") || strings.HasSuffix(path, "/stop")) && status == 404 // stopping asks no more
		case step:
			ok = status/100 == 4 || status == 303 && strings.HasPrefix(to, "/flows/"+flow) || status == 200 && strings.Contains(path, "/second")
		case link:
			ok = status/100 == 4
		case money:
			w.oneFactorMoney(t, b, p, route, to)
			return // a code is a grant, too
		}
		if !ok {
			t.Errorf("%s (%s) of %s: %d to %s", route, c, p.user.Role, status, to)
		}
		if after := w.standing(t, p); after != before && c != open {
			t.Errorf("%s of %s changed\n%s\n%s", route, p.user.Role, before, after)
			before = after
		}
	})
	if moreAsked < 12 && p.user.Role == idp.RoleOwner {
		t.Errorf("more was asked only %d times", moreAsked)
	}
}

// oneFactorMoney follows an authorization request for a money scope to its end.
func (w *demoWorld) oneFactorMoney(t *testing.T, b *browser, p target, route, to string) {
	t.Helper()
	if b.Left = nil; !strings.HasPrefix(to, "http://localhost:8081/") {
		b.open(to)
	}
	if p.user.Role == idp.RoleOwner && (b.Left != nil || !strings.HasSuffix(b.URL.Path, "/second")) {
		t.Errorf("%s: at %s, left for %v", route, b.URL, b.Left)
	}
	for _, g := range must2(w.Service.Store.Grants(t.Context(), p.user.ID))(t) {
		if slices.ContainsFunc(g.Scopes, idp.MoneyScope) {
			t.Errorf("%s: a grant with %v", route, g.Scopes)
		}
	}
	for _, g := range must2(w.Service.Store.Grants(t.Context(), p.user.ID))(t) {
		if g.ID != p.grants["client"] && g.ID != p.grants["terminal"] { // what a cashier may have
			must2(w.Service.Store.EndGrant(t.Context(), g.ID, "test", time.Now()))(t)
		}
	}
}

// oneFactorStops: stopping never asks for more.
func (w *demoWorld) oneFactorStops(t *testing.T, b *browser, p target) {
	t.Helper()
	ctx, store := t.Context(), w.Service.Store
	known := func() []idp.Browser { return must2(store.Browsers(ctx, p.user.ID))(t) }
	here := w.sessions(t, p.login)[0].ID
	elsewhere := func() {
		now := time.Now()
		ss := idp.Session{UserID: p.user.ID, CreatedAt: now, LastSeenAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}
		must(t, store.CreateSession(ctx, &ss, []byte(idp.NewToken())))
	}
	goes := func(path string, form url.Values, done func() bool) {
		t.Helper()
		if status, to, _ := b.ask("POST", path, form); status >= 400 || strings.HasPrefix(to, "/flows/") {
			t.Errorf("%s of %s: %d to %s", path, p.user.Role, status, to)
		}
		if !done() {
			t.Errorf("%s of %s stops nothing", path, p.user.Role)
		}
	}
	elsewhere()
	for _, ss := range w.sessions(t, p.login) {
		if ss.ID != here {
			goes("/account/end", url.Values{"session": {ss.ID}}, func() bool { return len(w.sessions(t, p.login)) == 1 })
		}
	}
	elsewhere()
	goes("/account/end-all", nil, func() bool { return len(w.sessions(t, p.login)) == 1 })
	for _, k := range known() {
		goes("/account/browser/distrust", url.Values{"browser": {k.ID}}, func() bool {
			return !slices.ContainsFunc(known(), func(o idp.Browser) bool { return o.ID == k.ID && o.Trusted(time.Now()) })
		})
		goes("/account/browser/revoke", url.Values{"browser": {k.ID}}, func() bool { return !slices.ContainsFunc(known(), func(o idp.Browser) bool { return o.ID == k.ID }) })
	}
	goes("/account/app/withdraw", url.Values{"client": {"merchant-app"}}, func() bool { return !w.live(t, p.grants["client"]) })
	goes("/account/approval/end", url.Values{"grant": {p.grants["terminal"]}}, func() bool { return !w.live(t, p.grants["terminal"]) })
	goes("/account/freeze", nil, func() bool { return w.user(t, p.login).Frozen })
	before := w.standing(t, p)
	for pattern, c := range classes {
		if method, path, _ := strings.Cut(pattern, " "); c == change {
			if status, to, _ := b.ask(method, path+"?"+p.form.Encode(), p.form); status != 403 && path != "/account/data" {
				t.Errorf("%s of the frozen %s: %d to %s", pattern, p.user.Role, status, to)
			}
		}
	}
	b.ask("POST", "/account/unfreeze", nil)
	if after := w.standing(t, p); after != before {
		t.Errorf("changed while frozen\n%s\n%s", before, after)
	}
	b.signOut()
	if n := len(w.sessions(t, p.login)); n != 0 {
		t.Errorf("%d sessions after all", n)
	}
}

// Every step that looks at something typed is here, with what bounds guessing at it: a
// list kept by hand would miss the newest, so the names are compared with the code.
var preparing = map[string]string{
	"identify": "a signature", "newPassword": "nothing secret is compared with strangers' words", "newContact": "nothing secret", "recoveryCodes": "nothing secret",
	"passwordStep": "stops: password", "second": "stops: second", "introduce": "stops: introduce", "proveContact": "stops: contact-code",
	"stillMine": "stops: still-mine", "nameCode": "stops: name-code", "recoverProof": "stops: recover-proof",
}

// The steps that every walks are all there are.
func TestStepNamesAreAll(t *testing.T) {
	files, err := filepath.Glob("../../flows/*.go")
	must(t, err)
	found := []string{"none", "recover-proof"} // the second by its constant
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		for _, m := range namesStep.FindAllStringSubmatch(string(text), -1) {
			found = append(found, m[1])
		}
	}
	slices.Sort(found)
	if all := slices.Sorted(slices.Values(stepNames)); !slices.Equal(all, found) {
		t.Errorf("steps %v, but every walks %v", found, all)
	}
}

var namesStep = regexp.MustCompile(`(?m)^func \((?:\w+ )?\w+\) Name\(\) string +\{ return "([\w-]+)" \}`)

func TestEverySecretIsCounted(t *testing.T) {
	files, err := filepath.Glob("../../flows/*.go")
	must(t, err)
	found := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		for _, m := range prepares.FindAllStringSubmatch(string(text), -1) {
			if found[m[1]] = true; preparing[m[1]] == "" {
				t.Errorf("%s looks at an answer: what stops guessing there?", m[1])
			}
		}
	}
	if len(found) != len(preparing) {
		t.Errorf("found %v", found)
	}
}

var prepares = regexp.MustCompile(`(?m)^func \((?:\w+ )?(\w+)\) Prepare\(`)

// A guess is a page with a field that takes secrets, wrong ones and the right one.
type guess struct {
	b     *browser
	field string
	wrong func(n int) string
	right func() string
	tries int // that are wrong first; six, unless it is said
}

// After a handful of wrong answers the right one does nothing either, at every step that
// takes secrets, even for somebody who works for every guess.
func TestEverySecretStops(t *testing.T) {
	digits := func(n int) string { return fmt.Sprintf("%06d", 111111*(n+1)) }
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "stop.pw", Mail: "stop.pw@example.com"}, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.totp", TOTP: true},
			somebody{User: idp.User{Role: idp.RoleOwner, GraceFrom: time.Now().AddDate(0, 0, -8)}, Login: "stop.sms", Phone: "+8613900000071"},
			somebody{Login: "stop.new", Mail: "stop.new@example.com", TOTP: true})
		paper := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.paper", TOTP: true})
		codes, spare := w.addCodes(t, paper, 1), backup.NewSet(32)
		shy := w.from(t, "203.0.113.5").try("stop.pw", "not it").submit("way", "introduce:email").at("introduce")
		sms := w.from(t, "203.0.113.3").try("stop.sms", storyPassword).at("second").submit("resend", "1")
		moves := w.from(t, "203.0.113.4")
		moves.open("/sign-in").signIn("stop.new").open("/account/contact/new?kind=email").at("contact").submit("contact", "stop.newer@example.com").at("contact-code")
		onPaper := w.from(t, "203.0.113.6").try("stop.paper", storyPassword).at("second").submit("way", "backup").at("second")
		app := w.from(t, "203.0.113.2").try("stop.totp", storyPassword).at("second")
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.name", Phone: "+8613900000072"}, somebody{Login: "stop.shop"},
			somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.back", Phone: "+8613900000073", Mail: "stop.back@example.com", TOTP: true}, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.kit", TOTP: true},
			somebody{User: idp.User{Role: idp.RoleOwner}, Login: "stop.app", Mail: "stop.app@example.com", TOTP: true}, somebody{Login: "stop.word"}, somebody{Login: "stop.mine", Mail: "stop.mine@example.com", TOTP: true})
		store, shopUser := w.Service.Store, w.user(t, "stop.shop").ID
		must(t, store.SetShopCode(t.Context(), shopUser, w.user(t, "lin.wei").ID, store.ShopCodeMAC(shopUser, "48219130"), time.Now().Add(15*time.Minute)))
		kit, eight := w.addCodes(t, w.user(t, "stop.kit"), 1), func(n int) string { return fmt.Sprintf("%08d", 11111111*(n%9+1)+n/9) }
		door := func(n int, lost, login, way string) *browser {
			return w.from(t, fmt.Sprintf("203.0.113.%d", n)).lost(lost, login).asked(way).at("recover-proof")
		}
		named := w.from(t, "203.0.113.21")
		if named.open("/recover").submit("lost", "username").submit("contact", "13900000072"); !named.has("code") {
			named.submit("resend")
		}
		mine := w.from(t, "203.0.113.22")
		mine.open("/sign-in").signIn("stop.mine").post("/account/contact/confirm", url.Values{"id": {w.contact(t, "stop.mine", idp.IdentifierEmail).ID}}).at("still-mine")
		byApp := w.from(t, "203.0.113.23").lost("password", "stop.app").shows("introduce:email", "stop.app@example.com").by("totp").at("recover-proof")
		table := map[string]guess{
			"name-code":                      {b: named.at("name-code"), field: "code", wrong: eight, right: func() string { return w.recoveryCode(t, "+8613900000072") }},
			"still-mine":                     {b: mine, field: "code", wrong: digits, right: func() string { return w.sent(t, "stop.mine@example.com") }},
			"recover-proof, a code by phone": {b: door(24, "both", "stop.back", "introduce:phone"), field: "code", wrong: eight, right: func() string { return w.recoveryCode(t, "+8613900000073") }},
			"recover-proof, the kit":         {b: door(25, "both", "stop.kit", "kit"), field: "code", wrong: func(n int) string { return spare[n] }, right: func() string { return kit[0] }},
			"recover-proof, an app":          {b: byApp, field: "code", wrong: func(n int) string { return w.wrongCode(t, "stop.app", n) }, right: func() string { return w.code(t, "stop.app") }},
			"recover-proof, the password":    {b: door(26, "second", "stop.word", "password"), field: "password", wrong: func(n int) string { return fmt.Sprint("not it ", n) }, right: func() string { return storyPassword }},
			"recover-proof, told in a shop":  {b: door(27, "both", "stop.shop", "shop"), field: "code", wrong: eight, right: func() string { return "48219130" }, tries: 11},
			"introduce":                      {b: shy, field: "code", wrong: digits, right: func() string { return w.sent(t, "stop.pw@example.com") }},
			"password":                       {b: w.from(t, "203.0.113.1").name("stop.pw"), field: "password", wrong: func(n int) string { return fmt.Sprint("not it ", n) }, right: func() string { return storyPassword }},
			"contact-code":                   {b: moves, field: "code", wrong: digits, right: func() string { return w.sent(t, "stop.newer@example.com") }},
			"second, a code that was sent":   {b: sms, field: "code", wrong: digits, right: func() string { return w.sent(t, "+8613900000071") }},
			"second, a code of an app":       {b: app, field: "code", wrong: func(n int) string { return w.wrongCode(t, "stop.totp", n) }, right: func() string { return w.code(t, "stop.totp") }},
			"second, a code from the paper":  {b: onPaper, field: "code", wrong: func(n int) string { return spare[n] }, right: func() string { return codes[0] }},
		}
		for name, how := range preparing {
			if step, ok := strings.CutPrefix(how, "stops: "); ok && !slices.ContainsFunc(slices.Collect(maps.Keys(table)), func(row string) bool { at, _, _ := strings.Cut(row, ","); return at == step }) {
				t.Errorf("nobody guesses at %s of %s here", step, name)
			}
		}
		for step, g := range table {
			page := g.b.URL.Path
			for n := range cmp.Or(g.tries, 6) {
				g.try(page, g.wrong(n))
			}
			g.try(page, g.right())
			if now := g.b.URL.Path; now != page || g.b.Status < 400 {
				t.Errorf("%s: after six wrong ones the right one leads to %s, %d", step, now, g.b.Status)
			}
		}
		for _, login := range []string{"stop.pw", "stop.totp", "stop.sms", "stop.paper"} {
			if len(w.sessions(t, login)) != 0 {
				t.Errorf("%s is in", login)
			}
		}
		for login, n := range map[string]int{"stop.back": 0, "stop.kit": 0, "stop.app": 1, "stop.word": 0, "stop.shop": 0} {
			if got := len(w.events(t, login, "recovery.proof")); got != n {
				t.Errorf("%s: %d proofs, want %d", login, got, n)
			}
		}
		if n := len(w.events(t, "stop.name", "username.told")) + len(w.events(t, "stop.mine", "channel.confirmed")); n != 0 {
			t.Errorf("%d names told or channels confirmed", n)
		}
	})
}

// try gives an answer on a page that is drawn anew, unless it only says to wait.
func (g guess) try(page, answer string) {
	g.b.t.Helper()
	if g.b.open(page); strings.Contains(g.b.Body, `name="`+g.field+`"`) {
		g.b.submit(g.field, answer)
	}
}

// spell writes a code with the digits of another script, and something between them.
func spell(code string, zero rune, between string) string {
	var out []string
	for _, d := range code {
		out = append(out, string(zero+d-'0'))
	}
	return strings.Join(out, between)
}

// The digits of a code may come in other scripts and with blanks between: it is the same
// code, so it is used up by one spelling for all, and a wrong one counts however written.
func TestCodesInOtherScripts(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "script.one", TOTP: true}, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "script.two", TOTP: true})
		code := w.code(t, "script.one")
		b := w.from(t, "203.0.113.1").try("script.one", storyPassword).at("second")
		b.submit("code", spell(code, '０', " ")).at("/account")
		for i, again := range []string{code, spell(code, '０', ""), spell(code, '0', "\u3000"), " " + code[:3] + " " + code[3:] + "\t", spell(code, '0', "-")} {
			other := w.from(t, fmt.Sprintf("203.0.113.%d", i+2)).try("script.one", storyPassword).at("second")
			if other.submit("code", again); other.Status != 422 || len(w.sessions(t, "script.one")) != 1 {
				t.Errorf("the used code as %q: %d at %s", again, other.Status, other.URL.Path)
			}
		}
		two := w.from(t, "203.0.113.9").try("script.two", storyPassword).at("second")
		page := two.URL.Path
		for n := range 5 {
			guess{b: two, field: "code"}.try(page, spell(w.wrongCode(t, "script.two", n), []rune{'0', '０'}[n%2], []string{"", " ", "\u3000", " ", ""}[n]))
		}
		guess{b: two, field: "code"}.try(page, w.code(t, "script.two"))
		if two.Status < 400 || len(w.sessions(t, "script.two")) != 0 {
			t.Errorf("five wrong ones in other scripts were not counted: %d at %s", two.Status, two.URL.Path)
		}
	})
}

// The link that takes a change back does so once, of many at the same time.
func TestUndoLinkOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{Login: "undo.once", TOTP: true, Phone: "+8613900000081", Mail: "undo.once@example.com"})
		b := w.browser(t)
		b.open("/sign-in").signIn("undo.once").at("/account")
		phone := w.named(t, u.ID, "+8613900000081")
		b.post("/account/contact/remove", url.Values{"id": {phone.ID}}).see(200, "已经删除")
		_, token := w.linkOf(t, "undo.once", "channel.removed", undoLink)
		statuses, _ := inParallel(8, func(int) *http.Response { return b.once("POST", "/undo", url.Values{"token": {token}}) })
		if statuses[200] != 1 || statuses[410] != 7 || len(w.events(t, "undo.once", "channel.undone")) != 1 || !w.contact(t, "undo.once", idp.IdentifierPhone).Channel() {
			t.Errorf("%v, %d events", statuses, len(w.events(t, "undo.once", "channel.undone")))
		}
	})
}
