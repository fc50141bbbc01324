package server_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"hufu/flows/factor/backup"
	"hufu/flows/factor/passkey/passkeytest"
	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/phc"
)

// A walker sends requests in any order from two browsers at two accounts, to any address
// of a flow that either browser has seen, with right and wrong secrets, and keeps a model
// of what each flow was shown.
type walker struct {
	t        *testing.T
	w        *demoWorld
	seed     uint64
	rnd      *rand.Rand
	browsers []*browser
	people   []*person
	at       []string      // addresses of flows, "/flows/TOKEN", newest last
	current  map[int]*walk // by browser: where it is
	flows    map[string]*walk
	sessions map[string]*seen // by id
	trusted  map[string]bool  // "browser user": stands in for a second factor
	read     map[string]bool  // messages
	thief    *passkeytest.Authenticator
	hashes   int            // passwords and codes from paper that may still be sent: each costs a hash
	sets     int            // of codes for paper that may still be made: ten hashes each
	calm     bool           // mostly signs in and out
	works    int            // messages that may still be worked for
	to       string         // where the last request led
	ways     map[string]int // what happened, of all walks

	client *quietApp
	shop   *browser         // where the client redeems its codes
	wishes map[string]*wish // by the path that asks, or goes on asking
	due    map[int]string   // by browser: where a flow has sent it back to
}

// A wish is what a client asks of a sign-in.
type wish struct {
	at    time.Time
	acr   idp.ACR
	fresh bool // prompt=login or max_age=0: what was proved before does not count
	nonce string
}

// A person is one account: what its owner knows and holds, and what stood in it before
// the request.
type person struct {
	idp.User
	login, password, totp string
	phone, mail           string
	high                  bool                                  // of a merchant of high value, or of the operator: no grace, no trusted browser
	keys                  map[string]*passkeytest.Authenticator // by credential, one each
	paper                 []string                              // codes not used yet
	creds                 []idp.Credential
	names                 []idp.Identifier
	live                  []idp.Session
}

// enrolled says whether the person holds a second factor.
func (p *person) enrolled() bool {
	return slices.ContainsFunc(p.creds, func(c idp.Credential) bool {
		return (c.Method == idp.MethodTOTP || c.Method == idp.MethodPasskey) && c.Blocked == ""
	})
}

// proof is something right that was shown to a flow by its own browser.
type proof struct {
	method idp.Method
	uv     bool
	at     time.Time
}

// A walk is what the model knows of a flow. One that moved has several addresses.
type walk struct {
	owner    int
	address  string // newest
	visits   int
	refused  bool // the last form
	signIn   bool
	kind     string // the path that opened it
	begun    time.Time
	step     string
	typed    map[*person]bool           // whose names were typed, or who is signed in
	shown    map[*person][]proof        // right secrets
	sent     map[string]string          // codes that went out in it, by address
	newest   string                     // of them
	options  []byte                     // newest challenge
	creation []byte                     // newest challenge for a new passkey
	answered string                     // newest assertion
	secret   string                     // of an app to be bound, as the page says
	key      *passkeytest.Authenticator // made at the page of a new passkey
	paper    []string                   // codes of the page
	password string                     // newest that was chosen
	bound    bool                       // a factor was bound in it
	trust    bool                       // ticked beside the last that was right
	wish     *wish                      // of the client that sent the browser here
}

// seen is what the model knows of a session.
type seen struct {
	browser int
	proofs  map[string]bool
	shown   []proof
}

// two says whether proofs since a time are two factors of the person's own.
func two(all []proof, since time.Time) bool {
	has := map[idp.Method]bool{}
	for _, p := range all {
		if p.at.Before(since) {
			continue
		}
		if has[p.method] = true; p.uv {
			return true
		}
	}
	return has[idp.MethodPassword] && (has[idp.MethodTOTP] || has[idp.MethodPasskey] || has[idp.MethodBackup])
}

// worth is the most that proofs since a time are worth.
func worth(all []proof, since time.Time) (a idp.ACR) {
	has := map[idp.Method]bool{}
	for _, p := range all {
		if p.at.Before(since) {
			continue
		}
		if a, has[p.method] = max(a, idp.ACR1), true; p.uv {
			a = idp.ACRPhr
		}
	}
	switch {
	case has[idp.MethodPassword] && has[idp.MethodPasskey]:
		return idp.ACRPhr
	case has[idp.MethodPassword] && (has[idp.MethodTOTP] || has[idp.MethodBackup] || has[idp.MethodSMS]):
		return max(a, idp.ACR2)
	}
	return a
}

// star is the other half of 2*: a password and a code on a channel.
func star(all []proof, since time.Time) bool {
	has := map[idp.Method]bool{}
	for _, p := range all {
		has[p.method] = has[p.method] || !p.at.Before(since)
	}
	return has[idp.MethodPassword] && (has[idp.MethodSMS] || has[idp.MethodMail])
}

func (k *walker) pick(of ...string) string { return of[k.rnd.IntN(len(of))] }

func (k *walker) one(in int) bool { return k.rnd.IntN(in) == 0 }

// mine is the person who is signed in in a browser.
func (k *walker) mine(i int) (*person, *seen) {
	for _, p := range k.people {
		for _, ss := range p.live {
			if s := k.sessions[ss.ID]; s != nil && s.browser == i {
				return p, s
			}
		}
	}
	return nil, nil
}

// step sends one request, or a few that belong together: mostly to the flow that the
// browser is in, at times to any other.
func (k *walker) step() {
	i := k.rnd.IntN(len(k.browsers))
	p, _ := k.mine(i)
	f := k.current[i]
	switch {
	case k.due[i] != "" && !k.one(8):
		k.send(i, "GET", k.due[i], nil, nil)
	case k.one(60):
		k.authorize(i)
	case len(k.at) > 0 && k.one(10):
		at := k.at[k.rnd.IntN(len(k.at))]
		if k.one(2) {
			at = k.at[max(0, len(k.at)-1-k.rnd.IntN(4))]
		}
		k.walk(i, at, k.pick(stepNames...), k.flows[at])
	case f == nil && p == nil, p == nil && k.one(40):
		if k.one(3) {
			k.authorize(i)
			return
		}
		k.send(i, "GET", "/sign-in", nil, nil)
	case f == nil, k.one(25):
		k.account(i, p)
	default:
		if f.visits++; f.visits > 30 {
			delete(k.current, i)
		}
		at := f.step
		if at == "" || k.one(12) {
			at = k.pick(stepNames...)
		}
		k.walk(i, f.address, at, f)
	}
}

// walk does something with a step, mostly what its page is for.
func (k *walker) walk(i int, flow, at string, f *walk) {
	path := flow + "/" + at
	switch n := k.rnd.IntN(24); {
	case n == 0:
		k.send(i, "GET", path, nil, nil)
		return
	case n == 1, f.step == "":
		k.send(i, "GET", flow, nil, nil)
		return
	case n == 2, at == "password" && f.refused && n < 10:
		k.send(i, "POST", path+"/way", url.Values{"way": {k.way(at)}}, nil)
		return
	case n == 3, n < 12 && len(f.sent) == 0 && (at == "introduce" || at == "contact-code"):
		k.resend(i, path, f)
		return
	case n == 4:
		k.send(i, "GET", path+"/file", nil, nil)
		return
	case n == 5:
		k.challenge(i, path, f)
		return
	}
	k.answer(i, path, at, f)
}

func (k *walker) way(at string) string {
	if at == "password" && !k.one(4) {
		return k.pick("introduce:phone", "introduce:email")
	}
	way := k.pick("totp", "passkey", "backup", "backup", "introduce:phone", "introduce:email", "password", "code:x", "")
	if p := k.people[k.rnd.IntN(2)]; k.one(3) {
		way = "code:" + p.names[k.rnd.IntN(len(p.names))].ID
	}
	return way
}

// answer fills in the page of a step.
func (k *walker) answer(i int, path, at string, f *walk) {
	who := k.people[k.rnd.IntN(2)]
	for _, p := range k.people {
		if f.typed[p] && !k.one(8) {
			who = p
		}
	}
	switch at {
	case "identify":
		if k.one(3) {
			k.assert(i, path, f, who)
			return
		}
		typed := k.pick(k.people[0].login, k.people[1].login, k.people[0].login, k.people[1].login, "walk.nobody")
		if k.send(i, "POST", path, url.Values{"identifier": {typed}}, nil); f.owner != i || k.to != strings.TrimSuffix(path, "identify")+"password" {
			return
		}
		f.typed = map[*person]bool{}
		for _, p := range k.people {
			if p.login == typed {
				f.typed[p] = true
			}
		}
	case "password":
		if k.one(6) {
			k.assert(i, path, f, who)
			return
		}
		k.password(i, path, who)
	case "second":
		k.second(i, path, f, who)
	case "offer":
		k.send(i, "POST", path, url.Values{"do": {k.pick("later", "now", "?")}}, nil)
	case "choose-factor":
		k.send(i, "POST", path, url.Values{"factor": {k.pick("totp", "passkey", "x")}}, nil)
	case "enrol-totp":
		k.enrolTOTP(i, path, f)
	case "enrol-passkey":
		k.enrolPasskey(i, path, f)
	case "recovery-codes":
		k.keepCodes(i, path, f)
	case "new-password":
		k.newPassword(i, path, f)
	case "contact":
		k.send(i, "POST", path, url.Values{"contact": {k.pick("13711110001", "13711110002", "walk.new@example.com", "walk.other@example.com", who.phone, who.mail, "x")}}, nil)
	case "username":
		k.send(i, "POST", path, url.Values{"username": {fmt.Sprint("walk.name", k.rnd.IntN(1000))}}, nil)
	default: // contact-code, introduce, none
		k.code(i, path, f)
	}
}

func (k *walker) password(i int, path string, who *person) {
	if k.hashes--; k.hashes < 0 {
		return
	}
	typed := who.password
	if k.one(9) {
		typed = fmt.Sprint("a wrong password ", k.hashes)
	}
	k.send(i, "POST", path, url.Values{"password": {typed}}, func(f *walk) {
		for p := range f.typed {
			if typed == p.password {
				f.show(p, proof{method: idp.MethodPassword})
			}
		}
	})
}

func (f *walk) show(p *person, what proof) {
	what.at = time.Now()
	f.shown[p] = append(f.shown[p], what)
}

// second shows a second factor of one kind or another, right or wrong, mostly after the
// page of that kind was asked for.
func (k *walker) second(i int, path string, f *walk, who *person) {
	way := k.pick("passkey", "totp", "totp", "backup")
	if !who.enrolled() && !k.one(6) {
		k.code(i, path, f)
		return
	}
	if !k.one(5) {
		k.send(i, "POST", path+"/way", url.Values{"way": {way}}, nil)
	}
	switch way {
	case "passkey":
		k.assert(i, path, f, who)
	case "totp":
		k.app(i, path, who)
	case "backup":
		k.backup(i, path, who)
	}
}

// backup shows a code from paper.
func (k *walker) backup(i int, path string, who *person) {
	if k.hashes--; k.hashes < 0 || len(who.paper) == 0 {
		return
	}
	code := k.pick(who.paper...)
	k.send(i, "POST", path, url.Values{"code": {code}}, func(f *walk) {
		for p := range f.typed {
			if at := slices.Index(p.paper, code); at >= 0 {
				f.show(p, proof{method: idp.MethodBackup})
				p.paper = slices.Delete(slices.Clone(p.paper), at, at+1)
			}
		}
	})
}

// app shows a code of an app, on half of the forms with the tick that trusts the browser.
func (k *walker) app(i int, path string, who *person) {
	code := "000000"
	if who.totp != "" && !k.one(9) {
		code = must2(totp.Code(who.totp, time.Now()))(k.t)
	}
	form := url.Values{"code": {code}}
	if k.one(2) {
		form.Set("trust", "1")
	}
	k.send(i, "POST", path, form, func(f *walk) {
		for p := range f.typed {
			if p.totp != "" && code == must2(totp.Code(p.totp, time.Now()))(k.t) {
				f.show(p, proof{method: idp.MethodTOTP})
			}
		}
	})
}

// code shows the code that went out in the flow, or another.
func (k *walker) code(i int, path string, f *walk) {
	code := f.newest
	if other := k.flows[k.at[k.rnd.IntN(len(k.at))]]; k.one(10) || code == "" {
		code = other.newest
	}
	if code == "" || k.one(10) {
		code = "000000"
	}
	k.send(i, "POST", path, url.Values{"code": {code}}, func(f *walk) {
		if strings.HasSuffix(path, "/introduce") {
			k.ways["introduced"]++
		}
		for p := range f.typed {
			for _, n := range p.names {
				if f.sent[n.Value] == code && n.Channel() && !p.enrolled() && strings.HasSuffix(path, "/second") {
					f.show(p, proof{method: map[idp.IdentifierKind]idp.Method{idp.IdentifierPhone: idp.MethodSMS, idp.IdentifierEmail: idp.MethodMail}[n.Kind]})
				}
			}
		}
	})
}

func (k *walker) challenge(i int, path string, f *walk) {
	body := k.send(i, "POST", path+"/challenge", nil, nil)
	if !strings.HasPrefix(body, "{") || f.owner != i {
		return
	}
	if strings.HasSuffix(path, "/enrol-passkey") {
		f.creation = []byte(body)
	} else {
		f.options = []byte(body)
	}
}

// assert answers a challenge: mostly the flow's newest, with a passkey of the person's,
// with and without a look at his finger; or with that of a thief, who knows its name.
func (k *walker) assert(i int, path string, f *walk, who *person) {
	k.challenge(i, path, f)
	options, key := f.options, k.thief
	if k.one(8) {
		options = k.flows[k.at[k.rnd.IntN(len(k.at))]].options
	}
	if c := who.creds[k.rnd.IntN(len(who.creds))]; who.keys[c.ID] != nil {
		key = who.keys[c.ID]
	} else if !k.one(6) {
		for _, c := range who.creds {
			key = cmp.Or(who.keys[c.ID], key)
		}
	}
	if options == nil {
		return
	}
	key.UV = !k.one(3)
	answer, err := key.Get(options)
	if err != nil { // asked for those of another
		return
	}
	form := url.Values{"assertion": {answer}}
	if k.one(8) && f.answered != "" {
		form.Set("assertion", f.answered) // the same again
	}
	if k.one(4) {
		form.Set("trust", "1")
	}
	fresh, uv := form.Get("assertion") == answer, key.UV
	k.send(i, "POST", path, form, func(f *walk) {
		for _, p := range k.people {
			if fresh && bytes.Equal(options, f.options) && p.holds(key) && (f.typed[p] || f.signIn && !strings.HasSuffix(path, "/second")) {
				f.show(p, proof{method: idp.MethodPasskey, uv: uv})
				f.typed = map[*person]bool{p: true}
			}
		}
		f.options = nil // for once
	})
	f.answered = answer
}

func (p *person) holds(key *passkeytest.Authenticator) bool {
	return slices.Contains(slices.Collect(maps.Values(p.keys)), key)
}

func (k *walker) enrolTOTP(i int, path string, f *walk) {
	page := k.send(i, "GET", path, nil, nil)
	if found := appSecret.FindStringSubmatch(page); found != nil && f.owner == i {
		f.secret = strings.ReplaceAll(found[1], " ", "")
	}
	code := "000000"
	if f.secret != "" && !k.one(6) {
		code = must2(totp.Code(f.secret, time.Now()))(k.t)
	}
	k.send(i, "POST", path, url.Values{"code": {code}}, nil)
}

var appSecret = regexp.MustCompile(`<code id="secret">([A-Z2-7 ]+)</code>`)

func (k *walker) enrolPasskey(i int, path string, f *walk) {
	k.challenge(i, path, f)
	if f.creation == nil {
		return
	}
	key := k.w.internal()
	answer, err := key.Create(f.creation)
	must(k.t, err)
	f.key = key
	k.send(i, "POST", path, url.Values{"attestation": {answer}}, nil)
}

func (k *walker) keepCodes(i int, path string, f *walk) {
	page := k.send(i, "GET", path, nil, nil)
	if codes := paperCode.FindAllString(page, -1); len(codes) >= 10 && f.owner == i {
		f.paper = codes[:10]
	}
	form := url.Values{}
	if k.sets > 0 && !k.one(5) {
		form.Set("kept", "1")
	}
	sets := k.ways["backup"]
	k.send(i, "POST", path, form, nil)
	k.sets -= k.ways["backup"] - sets
}

func (k *walker) newPassword(i int, path string, f *walk) {
	if k.hashes -= 2; k.hashes < 0 {
		return
	}
	f.password = fmt.Sprint("another fine long phrase ", k.hashes)
	k.send(i, "POST", path, url.Values{"password": {f.password}, "again": {f.password}}, nil)
}

// resend asks for a message, with the work for it or without.
func (k *walker) resend(i int, path string, f *walk) {
	form := url.Values{}
	if k.one(2) && k.works > 0 {
		page := k.send(i, "GET", path, nil, nil)
		if doc, err := html.Parse(strings.NewReader(page)); err == nil {
			for _, el := range all(doc, "form") {
				if values := hidden(el); strings.HasSuffix(attr(el, "action"), "/resend") {
					pay(el, values)
					form = values
				}
			}
		}
		if form.Get("work") != "" {
			k.works--
		}
	}
	k.send(i, "POST", path+"/resend", form, nil)
}

func hidden(form *html.Node) url.Values {
	values := url.Values{}
	for _, in := range all(form, "input") {
		values.Set(attr(in, "name"), attr(in, "value"))
	}
	return values
}

// account asks for something of a person's own pages, or signs out.
func (k *walker) account(i int, p *person) {
	if p == nil {
		p = k.people[k.rnd.IntN(2)]
	}
	if k.calm && !k.one(4) {
		k.send(i, "POST", "/sign-out", nil, nil)
		return
	}
	if p.Frozen && k.one(2) {
		k.send(i, "POST", "/account/unfreeze", nil, nil)
		return
	}
	if k.one(6) {
		k.authorize(i)
		return
	}
	name, cred := p.names[k.rnd.IntN(len(p.names))].ID, p.creds[k.rnd.IntN(len(p.creds))].ID
	change := "x"
	for _, c := range must2(k.w.Service.Store.Changes(k.t.Context(), p.ID, time.Now()))(k.t) {
		change = c.ID
	}
	switch k.rnd.IntN(16) {
	case 0:
		k.send(i, "POST", "/account/factors/remove", url.Values{"credential": {cred}}, nil)
	case 1:
		k.send(i, "POST", "/account/contact/remove", url.Values{"id": {name}}, nil)
	case 2:
		k.send(i, "POST", "/account/contact/undo", url.Values{"change": {change}}, nil)
	case 3:
		k.send(i, "POST", "/sign-out", nil, nil)
	case 4:
		if k.one(4) {
			k.send(i, "POST", "/account/freeze", nil, nil)
		}
	case 5:
		k.send(i, "POST", "/account/unfreeze", nil, nil)
	case 6:
		k.send(i, "POST", k.pick("/account/data", "/account/end-all"), nil, nil)
	case 7:
		k.send(i, "GET", k.pick("/account", "/console", "/device", "/account/factors", "/account/factors/remove?credential="+cred, "/account/contact/remove?id="+name), nil, nil)
	default:
		k.send(i, "GET", k.pick("/account/enrol", "/account/enrol?factor=passkey", "/account/enrol?factor=totp", "/account/password", "/account/codes", "/account/contact/new?kind=phone",
			"/account/contact/new?kind=email", "/account/contact/change?id="+name, "/account/username"), nil, nil)
	}
}

// authorize comes from a client that asks for a class, for fresh proofs, or for neither;
// or goes on, in whichever browser, with what one asked for.
func (k *walker) authorize(i int) {
	if waiting := slices.Sorted(maps.Values(k.due)); len(waiting) > 0 && k.one(6) {
		k.send(i, "GET", k.pick(waiting...), nil, nil)
		return
	}
	acr := k.pick("", "urn:hufu:acr:2", "phr", "phr urn:hufu:acr:2")
	form := url.Values{"response_type": {"code"}, "client_id": {k.client.id}, "redirect_uri": {k.client.redirect}, "scope": {"openid"}, "code_challenge": {k.client.sum}, "code_challenge_method": {"S256"},
		"nonce": {fmt.Sprint("nonce ", len(k.wishes))}, "acr_values": {acr}}
	if k.one(3) {
		form.Set("max_age", "0")
	}
	if k.one(3) {
		form.Set("prompt", "login")
	}
	path, asked := "/authorize?"+form.Encode(), &wish{at: time.Now(), fresh: form.Has("max_age") || form.Has("prompt"), nonce: form.Get("nonce")}
	asked.acr, _ = idp.ParseACR(strings.TrimPrefix(acr, "phr ")) // any will do: the weakest is asked for
	k.wishes[path] = asked
	k.send(i, "GET", path, nil, nil)
}

// staff is what happens beside the requests.
func (k *walker) staff() {
	store, ctx, p := k.w.Service.Store, k.t.Context(), k.people[k.rnd.IntN(2)]
	switch {
	case k.one(150):
		must(k.t, store.SetMustChange(ctx, p.ID, true))
	case p.Frozen && k.one(150):
		must2(store.UnfreezeUser(ctx, p.ID))(k.t)
	default:
		return
	}
	k.look(p)
}

// look reads a person as he stands.
func (k *walker) look(p *person) {
	store, ctx := k.w.Service.Store, k.t.Context()
	p.User = must2(store.User(ctx, p.ID))(k.t)
	p.creds = must2(store.Credentials(ctx, p.ID))(k.t)
	p.names = must2(store.Identifiers(ctx, p.ID))(k.t)
	slices.SortFunc(p.creds, func(a, b idp.Credential) int {
		return cmp.Or(cmp.Compare(a.Method, b.Method), a.CreatedAt.Compare(b.CreatedAt))
	}) // the same walk each time
	slices.SortFunc(p.names, func(a, b idp.Identifier) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	p.live = must2(store.Sessions(ctx, p.ID, time.Now()))(k.t)
}

// send sends a request. When it brought a flow of the browser's own a step on, right tells
// the model what was right in it. Then it holds what must be true.
func (k *walker) send(i int, method, path string, form url.Values, right func(f *walk)) string {
	k.staff()
	r := &sent{walker: k, i: i, path: path, flow: k.flows[flowToken.FindString(path)], wish: k.wishes[path], before: map[*person]person{}}
	r.signed, r.session = k.mine(i)
	if k.due[i] == path {
		delete(k.due, i)
	}
	for _, p := range k.people {
		r.before[p] = *p
	}
	status, to, body := k.browsers[i].ask(method, path, form)
	k.to, r.status, r.trace = to, status, fmt.Sprintf("browser %d %s %s %v: %d %s", i, method, path, form, status, to)
	if status >= 500 {
		k.t.Fatal(r.trace)
	}
	f, token := r.flow, flowToken.FindString(to)
	if f != nil && f.owner == i {
		// A proof moves the flow to a new address, or ends it.
		if right != nil && status == 303 && (token == "" || k.flows[token] == nil) {
			right(f)
			f.trust = form.Has("trust") && strings.HasSuffix(path, "/second")
		}
	}
	if r.follow(to); f != nil && status == 422 {
		f.refused = true
	}
	if method == "POST" || f != nil {
		r.messages()
	}
	for _, p := range k.people {
		k.look(p)
		r.held(p)
	}
	for _, p := range k.people {
		r.proved(p)
	}
	r.wished(to)
	return body
}

// sent is one request that was answered.
type sent struct {
	*walker
	i       int
	path    string
	status  int
	flow    *walk
	wish    *wish
	signed  *person
	session *seen
	before  map[*person]person
	trace   string
}

// follow notes where a request led to.
func (r *sent) follow(to string) {
	token := flowToken.FindString(to)
	if token == "" {
		if r.flow != nil && (to != "" || r.status == 410 || r.status == 403) && r.current[r.i] == r.flow { // it is over
			delete(r.current, r.i)
		}
		return
	}
	f := r.flows[token]
	if f == nil && r.flow != nil {
		if f = r.flow; f.owner != r.i {
			r.t.Fatalf("another browser moved the flow: %s", r.trace)
		}
		r.flows[token], r.at = f, append(r.at, token)
	}
	if f == nil {
		f = &walk{owner: r.i, kind: r.path, signIn: r.signed == nil || r.wish != nil && r.wish.fresh && !r.proves(r.wish.at), begun: time.Now(), wish: r.wish,
			typed: map[*person]bool{}, shown: map[*person][]proof{}, sent: map[string]string{}}
		if !f.signIn {
			f.typed[r.signed] = true
		}
		r.flows[token], r.at = f, append(r.at, token)
	}
	if f.owner != r.i {
		return
	}
	f.address, f.step, f.refused, r.current[r.i] = token, "", false, f
	if parts := strings.Split(to, "/"); len(parts) > 3 {
		f.step = parts[3]
	}
}

// proves says whether the session has a proof since a time: else who must be there anew
// signs in anew.
func (r *sent) proves(since time.Time) bool {
	return slices.ContainsFunc(r.signed.live, func(ss idp.Session) bool {
		return r.sessions[ss.ID] == r.session && slices.ContainsFunc(ss.Proofs, func(p idp.Proof) bool { return !p.At.Before(since) })
	})
}

// wished: where a client gets its code, the ID token that it is worth says no more than
// this browser has shown: the person who is signed in here, no higher class, no later
// proof; and when the client asked for fresh proofs, by those alone.
func (r *sent) wished(to string) {
	asked := r.wish
	if r.flow != nil && r.flow.owner == r.i {
		asked = cmp.Or(asked, r.flow.wish)
	}
	if strings.HasPrefix(to, "/authorize?continue=") && asked != nil {
		r.wishes[to], r.due[r.i] = asked, to
	}
	if !strings.HasPrefix(to, r.client.redirect) {
		return
	}
	back := must2(url.Parse(to))(r.t)
	if back.Query().Get("code") == "" {
		r.ways["refused at the client"]++
		return
	}
	p, s := r.mine(r.i)
	if asked == nil || s == nil {
		r.t.Fatalf("a code for nobody: %s", r.trace)
	}
	claims := r.redeem(back.Query().Get("code"))
	acr, ok := idp.ParseACR(claims.ACR)
	since := time.Time{}
	if asked.fresh {
		since = asked.at
	}
	newest := time.Time{}
	for _, one := range s.shown {
		newest = slices.MaxFunc([]time.Time{newest, one.at}, time.Time.Compare)
	}
	switch {
	case claims.Subject != p.ID || r.sessions[claims.Session] != s || claims.Nonce != asked.nonce:
		r.t.Fatalf("%s gives a code away for %+v: %s", p.login, claims, r.trace)
	case !ok || acr > worth(s.shown, since):
		r.t.Fatalf("the code of %s says %q, shown since %v is %v: %s", p.login, claims.ACR, since, s.shown, r.trace)
	case claims.AuthTime > newest.Unix(), claims.AuthTime < since.Unix():
		r.t.Fatalf("the code of %s says that he was there at %v, asked for at %v, last seen at %v: %s", p.login, time.Unix(claims.AuthTime, 0), since, newest, r.trace)
	}
	if r.ways["code of "+claims.ACR]++; asked.fresh {
		r.ways["fresh code"]++
	}
	if asked.acr > 0 && acr >= asked.acr {
		r.ways["code of the class asked for"]++
	}
}

// said are claims of an ID token.
type said struct {
	Subject  string `json:"sub"`
	Session  string `json:"sid"`
	Nonce    string `json:"nonce"`
	ACR      string `json:"acr"`
	AuthTime int64  `json:"auth_time"`
}

func (k *walker) redeem(code string) (claims said) {
	k.t.Helper()
	answer := k.client.post(k.t, k.shop, url.Values{"grant_type": {"authorization_code"}, "client_id": {k.client.id}, "code": {code}, "redirect_uri": {k.client.redirect}, "code_verifier": {k.client.verifier}})
	parts := strings.Split(answer.ID, ".")
	if len(parts) != 3 {
		k.t.Fatalf("a code is worth no ID token: %+v", answer)
	}
	must(k.t, json.Unmarshal(decode(k.t, parts[1]), &claims))
	return claims
}

// messages notes which codes went out.
func (r *sent) messages() {
	for _, m := range must2(r.w.Service.Store.Messages(r.t.Context(), 4))(r.t) {
		if m.Template == "code" && !r.read[m.ID] && r.flow != nil {
			r.flow.newest = sixDigits.FindString(m.Body)
			r.flow.sent[m.To] = r.flow.newest
		}
		r.read[m.ID] = true
	}
}

// shown is what the person had shown in this browser when a change was made: in its
// session and in the flow.
func (r *sent) shown(p *person) (all []proof, since time.Time) {
	since = time.Now().Add(-300 * time.Second)
	if r.session != nil && r.signed == p && (r.flow == nil || !r.flow.signIn) {
		all = append(all, r.session.shown...)
	}
	if r.flow != nil && r.flow.owner == r.i {
		all, since = append(all, r.flow.shown[p]...), r.flow.begun.Add(-300*time.Second)
	}
	return all, since
}

// held: no credential, phone, address or name of a person changes, and no freeze ends,
// unless this browser has shown what that asks, and he is not frozen.
func (r *sent) held(p *person) {
	was := r.before[p]
	all, since := r.shown(p)
	what := changed(was, *p)
	if len(what) > 0 {
		switch {
		case was.Frozen:
			r.t.Fatalf("%s of the frozen %s changed: %s", what, p.login, r.trace)
		case r.flow == nil && !strings.HasPrefix(r.path, "/account/"), r.flow != nil && r.flow.owner != r.i:
			r.t.Fatalf("%s of %s changed by a request outside a flow, or of another browser: %s", what, p.login, r.trace)
		case strings.HasSuffix(r.path, "/username") && two(all, time.Time{}):
		case two(all, since), star(all, since) && (!was.enrolled() || r.flow != nil && r.flow.bound):
		case slices.Equal(what, []string{"password"}) && r.flow != nil && r.flow.signIn && was.MustChange && r.door(p):
		default:
			r.t.Fatalf("%s of %s changed where only %v was shown: %s", what, p.login, all, r.trace)
		}
	}
	for _, w := range what {
		r.ways[w]++
		switch r.learn(p, w); {
		case w == "phone" || w == "email":
			r.ways["contact"]++
		case w[0] == '-':
			r.ways["removed"]++
		}
	}
	if p.Frozen && !was.Frozen {
		if r.ways["frozen"]++; r.signed != p {
			r.t.Fatalf("%s frozen by somebody else: %s", p.login, r.trace)
		}
		r.distrust(p)
	}
	if !p.Frozen && was.Frozen {
		if r.ways["unfrozen"]++; r.flow == nil || r.flow.owner != r.i || r.flow.kind != "/account/unfreeze" ||
			!two(r.flow.shown[p], r.flow.begun) && (was.enrolled() || !star(r.flow.shown[p], r.flow.begun)) {
			r.t.Fatalf("%s unfrozen: %s", p.login, r.trace)
		}
	}
}

// changed says what of a person's credentials and names is new or gone.
func changed(was, is person) (what []string) {
	had, has := map[string]string{}, map[string]string{}
	for of, p := range map[*map[string]string]person{&had: was, &has: is} {
		for _, c := range p.creds {
			(*of)[c.ID+c.ChangedAt.String()+c.Blocked] = string(c.Method)
		}
		for _, n := range p.names {
			if n.RemovedAt.IsZero() || n.Former { // what was removed is anybody's
				(*of)[fmt.Sprint(n.ID, n.Value, n.Former)] = string(n.Kind)
			}
		}
	}
	for id, method := range has {
		if _, ok := had[id]; !ok && !slices.Contains(what, method) {
			what = append(what, method)
		}
	}
	for id, method := range had {
		if _, ok := has[id]; !ok && !slices.Contains(what, method) {
			what = append(what, "-"+method)
		}
	}
	slices.Sort(what)
	return what
}

// learn takes a change over into the model.
func (r *sent) learn(p *person, what string) {
	switch method := strings.TrimPrefix(what, "-"); method {
	case "password":
		p.password = r.flow.password
	case "totp", "passkey":
		r.forget(p, what)
		if method != what {
			break
		}
		r.flow.bound = true
		if method == "totp" {
			p.totp = r.flow.secret
			r.flow.show(p, proof{method: idp.MethodTOTP})
			break
		}
		for _, c := range p.creds {
			if c.Method == idp.MethodPasskey && p.keys[c.ID] == nil {
				p.keys[c.ID] = r.flow.key
			}
		}
		r.flow.show(p, proof{method: idp.MethodPasskey, uv: true})
		return // nothing of his went
	case "backup":
		r.forget(p, "backup")
		if p.paper = nil; method == what {
			p.paper = r.flow.paper
		}
	default: // a name: whose browser it is does not hang on it
		return
	}
	r.distrust(p)
}

// forget takes what was shown with a method out of the model, when its credential went.
func (r *sent) forget(p *person, what string) {
	gone := func(of []proof) []proof {
		return slices.DeleteFunc(of, func(s proof) bool { return string(s.method) == strings.TrimPrefix(what, "-") })
	}
	switch what {
	case "passkey":
		return
	case "-passkey":
		for id := range p.keys {
			if !slices.ContainsFunc(p.creds, func(c idp.Credential) bool { return c.ID == id }) {
				delete(p.keys, id)
			}
		}
		if len(p.keys) > 0 {
			return
		}
	case "-totp":
		p.totp = ""
	}
	for _, f := range r.flows {
		f.shown[p] = gone(f.shown[p])
	}
	for _, ss := range p.live {
		if s := r.sessions[ss.ID]; s != nil {
			s.shown = gone(s.shown)
		}
	}
}

func (r *sent) distrust(p *person) {
	for i := range r.browsers {
		delete(r.trusted, fmt.Sprint(i, p.login))
	}
}

// door says whether the flow was shown what lets the person in: two factors, or what
// stands for the second.
func (r *sent) door(p *person) bool {
	was, all := r.before[p], r.flow.shown[p]
	if two(all, time.Time{}) { // who sets policy shows his passkey, once he has one
		return p.Role != idp.RolePolicyAdmin || len(p.keys) == 0 || worth(all, time.Time{}) >= idp.ACRPhr
	}
	password := slices.ContainsFunc(all, func(s proof) bool { return s.method == idp.MethodPassword })
	if !was.enrolled() { // a cashier needs none, an owner not yet
		alone := !was.MustChange || !slices.ContainsFunc(was.names, idp.Identifier.Channel) || star(all, time.Time{})
		return password && alone && !p.high && (p.Role == idp.RoleCashier || time.Now().Before(p.GraceFrom.AddDate(0, 0, 7)))
	}
	return password && r.trusted[fmt.Sprint(r.i, p.login)] && !p.high && !was.Frozen && !was.MustChange
}

// proved: a session begins or gains proofs only by what its own browser has shown to the
// flow, and all of them are of credentials and channels that the person has.
func (r *sent) proved(p *person) {
	for _, ss := range p.live {
		s := r.sessions[ss.ID]
		begins := s == nil
		if begins {
			s = &seen{browser: r.i, proofs: map[string]bool{}}
			r.sessions[ss.ID] = s
		}
		gained := false
		for _, pr := range ss.Proofs {
			r.lives(p, pr)
			if key := fmt.Sprint(pr.Method, pr.Credential, pr.At.UnixMicro()); !s.proofs[key] {
				s.proofs[key], gained = true, true
				r.wasShown(p, pr)
			}
		}
		switch {
		case (begins || gained) && (r.flow == nil || r.flow.owner != r.i || r.flow.signIn != begins):
			r.t.Fatalf("%s signed in by a request outside a flow, or of another browser: %s", p.login, r.trace)
		case begins && !r.door(p):
			r.t.Fatalf("%s signed in where only %v was shown: %s", p.login, r.flow.shown[p], r.trace)
		case begins:
			r.begin(p, ss)
		case gained && (s.browser != r.i || r.signed != p):
			r.t.Fatalf("the session of another browser gained proofs: %s", r.trace)
		}
		if begins || gained {
			s.shown = append(s.shown, r.flow.shown[p]...)
		}
	}
}

// lives fails for a proof that is another's, or of something that is gone.
func (r *sent) lives(p *person, pr idp.Proof) {
	if pr.User != p.ID || !slices.ContainsFunc(p.creds, func(c idp.Credential) bool { return c.ID == pr.Credential && c.Method == pr.Method }) &&
		!slices.ContainsFunc(p.names, func(n idp.Identifier) bool { return n.ID == pr.Credential }) {
		r.t.Fatalf("a session of %s has the proof %+v: %s", p.login, pr, r.trace)
	}
}

func (r *sent) wasShown(p *person, pr idp.Proof) {
	if r.flow == nil || !slices.ContainsFunc(r.flow.shown[p], func(s proof) bool { return s.method == pr.Method && (s.uv || !pr.UserVerified) }) {
		r.t.Fatalf("a session of %s has the proof %+v, which was not shown (%v of %s, changed %v): %s", p.login, pr, r.flow.shown[p], r.flow.kind, changed(r.before[p], *p), r.trace)
	}
}

// begin notes how a person came in.
func (r *sent) begin(p *person, ss idp.Session) {
	was, a, second := r.before[p], idp.Assess(ss.Proofs), two(r.flow.shown[p], time.Time{})
	if second && a.ACR < idp.ACR2 || !second && a.ACR >= idp.ACR2 && (was.enrolled() || !star(r.flow.shown[p], time.Time{})) {
		r.t.Fatalf("%s signed in with %s by %+v: %s", p.login, a.ACR, ss.Proofs, r.trace)
	}
	with := func(m idp.Method) bool {
		return slices.ContainsFunc(r.flow.shown[p], func(s proof) bool { return s.method == m })
	}
	switch {
	case r.flow.bound:
		r.ways["in by binding a factor"]++
	case was.enrolled() && !second:
		r.ways["in by a trusted browser"]++
	case !with(idp.MethodPassword):
		r.ways["in by a passkey alone"]++
	case !second:
		r.ways["in by the password alone"]++
	default:
		r.ways["in by the password and another"]++
	}
	for _, m := range []idp.Method{idp.MethodTOTP, idp.MethodPasskey, idp.MethodBackup} {
		if with(m) {
			r.ways["in with "+string(m)]++
		}
	}
	if r.flow.trust && second {
		r.trusted[fmt.Sprint(r.i, p.login)] = true
	}
}

// casts are the two people of a walk: the first holds everything there is, the second
// nothing but his password.
var casts = [][2]string{{"owner", "cashier"}, {"owner", "late owner"}, {"owner", "owner"}, {"owner", "cashier"}, {"owner", "late owner"}, {"owner", "owner"},
	{"high owner", "policy admin"}, {"policy admin", "high owner"}}

// cast is somebody of a kind, who stands in the nth walk.
func (w *demoWorld) cast(t *testing.T, kind string, p somebody) *person {
	t.Helper()
	p.Role = idp.RoleOwner
	switch kind {
	case "cashier":
		p.Role = idp.RoleCashier
	case "late owner": // his days of grace are over
		p.GraceFrom = time.Now().AddDate(0, 0, -8)
	case "policy admin":
		p.Role = idp.RolePolicyAdmin
	case "high owner":
		m := idp.Merchant{No: "8222900594" + p.Phone[len(p.Phone)-5:], LegalName: "林记金店", Tier: idp.TierHighValue, Status: idp.MerchantActive}
		must(t, w.Service.Store.CreateMerchant(t.Context(), &m))
		p.MerchantID = m.ID
	}
	high := kind == "policy admin" || kind == "high owner"
	return &person{User: w.person(t, p), high: high, login: p.Login, password: storyPassword, totp: w.Users[p.Login].TOTP, phone: p.Phone, mail: p.Mail, keys: map[string]*passkeytest.Authenticator{}}
}

// walkers makes the people of the nth walk, and a thief.
func (w *demoWorld) walkers(t *testing.T, n int, seed uint64, paper []string, sealed []byte) *walker {
	t.Helper()
	k := &walker{t: t, w: w, seed: seed, rnd: rand.New(rand.NewPCG(seed, 1)), current: map[int]*walk{}, flows: map[string]*walk{}, sessions: map[string]*seen{}, trusted: map[string]bool{}, read: map[string]bool{}, hashes: 26,
		sets: n % 2, works: 3, calm: n%3 == 2, client: w.quietApp("merchant_app"), shop: w.from(t, "203.0.113.251"), wishes: map[string]*wish{}, due: map[int]string{}}
	for i, kind := range casts[n%len(casts)] {
		k.browsers = append(k.browsers, w.from(t, fmt.Sprintf("198.51.%d.%d", n, i+1)))
		login := fmt.Sprintf("walk.%c%d", 'a'+i, n)
		k.people = append(k.people, w.cast(t, kind, somebody{Login: login, Phone: fmt.Sprintf("+86139000%02d%d00", n, i), Mail: login + "@example.com", TOTP: i == 0}))
	}
	all := k.people[0]
	must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: all.ID, Method: idp.MethodBackup, Data: sealed}))
	all.paper = slices.Clone(paper)
	key, b := w.internal(), w.from(t, "203.0.113.250")
	code := func() *browser { // where one is asked for
		for strings.HasSuffix(b.URL.Path, "/second") && b.Status == 200 {
			b.submit("code", w.code(t, all.login))
			time.Sleep(31 * time.Second)
		}
		return b
	}
	b.try(all.login, storyPassword)
	code().open("/account/enrol?factor=passkey")
	code().bind(key, "").at("/account/factors").signOut()
	all.keys[w.holds(t, all.login, idp.MethodPasskey)] = key
	k.thief = w.thief(t, key)
	return k
}

// thief is an authenticator that says the name of another's passkey, and signs with a key
// of its own.
func (w *demoWorld) thief(t *testing.T, of *passkeytest.Authenticator) *passkeytest.Authenticator {
	t.Helper()
	var id, raw string
	var user []byte
	spy := of.Copy()
	spy.Mutate = func(p *passkeytest.Parts) { id, raw, user = p.ID, p.RawID, p.UserHandle }
	must2(spy.Get([]byte(`{"publicKey":{"challenge":"AAAA","rpId":"localhost"}}`)))(t)
	a := w.internal()
	must2(a.Create([]byte(`{"publicKey":{"challenge":"AAAA","rp":{"id":"localhost"},"user":{"id":"AAAA"}}}`)))(t)
	a.Mutate = func(p *passkeytest.Parts) { p.ID, p.RawID, p.UserHandle = id, raw, user }
	return a
}

// wander walks; a failure tells how it can be walked again.
func (k *walker) wander() {
	defer func() {
		if k.t.Failed() {
			k.t.Logf("of the walk with seed %d, of %s and %s", k.seed, k.people[0].login, k.people[1].login)
		}
	}()
	for _, p := range k.people {
		k.look(p)
	}
	if k.people[1].Role == idp.RoleCashier { // some begin frozen
		must2(k.w.Service.Store.FreezeUser(k.t.Context(), k.people[0].ID, time.Now()))(k.t)
		k.look(k.people[0])
	}
	for range 400 {
		k.step()
		time.Sleep(time.Duration(k.rnd.IntN(15)) * time.Second)
	}
}

// Whatever the order of requests: a session begins or gains proofs only in the flow, and
// in the browser of it, that was shown what policy demands of the person; what proves him
// changes only where he has shown two factors of his own, just now, and never while he is
// frozen; and what a client is told of him was shown. One walk is a new one each time.
func TestRandomWalks(t *testing.T) {
	fresh := rand.Uint64()
	eachHour(t, func(t *testing.T, w *demoWorld) {
		paper := backup.NewSet(4)
		sealed := must2(backup.Seal(t.Context(), phc.NewHasher(2), paper))(t)
		ways := map[string]int{}
		var walkers []*walker
		for n := range casts {
			walkers = append(walkers, w.walkers(t, n, uint64(n), paper, sealed))
		}
		walkers = append(walkers, w.walkers(t, len(casts)+int(fresh%uint64(len(casts))), fresh, paper, sealed))
		time.Sleep(73 * time.Hour) // what they hold is old enough for a return from a freeze
		for _, k := range walkers {
			k.ways = ways
			k.wander()
		}
		t.Log(ways)
		for _, way := range []string{"in by binding a factor", "in by a trusted browser", "in by a passkey alone", "in by the password alone", "in by the password and another", "in with totp", "in with passkey",
			"in with backup", "introduced", "totp", "passkey", "backup", "password", "contact", "username", "removed", "unfrozen",
			"code of urn:hufu:acr:2", "code of phr", "fresh code", "code of the class asked for"} {
			if ways[way] == 0 {
				t.Errorf("nobody walked %q: the walks show nothing of it", way)
			}
		}
	})
}

// The forms of a flow and its addresses are outside bytes.
func FuzzFlow(f *testing.F) {
	for _, s := range []string{"identifier=lin.wei", "password=x", "code=123456", "way=totp", "do=approve&match=1", "%", "a=%zz", "identifier=%00", "identifier=%ff%fe", "identifier=" + strings.Repeat("a", 2000), ";", "identifier[]=x"} {
		f.Add("identify", s, "hufu-lang=en")
	}
	f.Add("..%2f..", "identifier=x", "hufu-s=x; hufu-kb=.; hufu-b=")
	f.Add("password/resend", "", "hufu-kb=AAAA.BBBB")
	f.Add("second/way", "way=code:x", "\x00")
	w := quietWorldOf(f)
	f.Fuzz(func(t *testing.T, step, body, cookies string) {
		b := w.from(t, "127.0.0.1")
		b.name("nobody.at.all")
		at := strings.TrimSuffix(b.URL.Path, "password")
		for _, path := range []string{at + url.PathEscape(step), at + "identify", at + "password", "/flows/" + url.PathEscape(step) + "/identify", "/device", "/lang?to=" + url.QueryEscape(step) + "&back=" + url.QueryEscape(body)} {
			for _, method := range []string{"GET", "POST"} {
				if strings.HasSuffix(path, "password") {
					body = strings.ReplaceAll(body, "password", "passw0rd") // costs a hash, and is tested elsewhere
				}
				if status := b.raw(method, path, body, cookies); status >= 500 {
					t.Errorf("%s %s %q, cookies %q: %d", method, path, body, cookies, status)
				}
			}
		}
	})
}
