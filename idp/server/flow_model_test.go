package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A walker sends the sign-in's requests in any order from two browsers at two
// accounts, to any address of a flow that either browser has seen, with right and
// wrong secrets.
type walker struct {
	t        *testing.T
	w        *demoWorld
	rnd      *rand.Rand
	browsers []*browser
	at       []string         // addresses of flows, "/flows/TOKEN", newest last
	flows    map[string]*walk // by address; a flow that moved has several
	sessions map[string]bool  // seen before
	owner    string
	logins   []string
	hashes   int // passwords that may still be sent: each costs a hash
}

// A walk is what the model knows of a flow: who opened it, which names were typed in
// it, and whose right secrets were sent to it by its own browser.
type walk struct {
	owner int
	typed map[string]bool
	shown map[string]bool // "login password", "login totp"
}

func (k *walker) pick(of ...string) string { return of[k.rnd.IntN(len(of))] }

// step sends one request.
func (k *walker) step() {
	i := k.rnd.IntN(len(k.browsers))
	if len(k.at) == 0 || k.rnd.IntN(12) == 0 {
		k.send(i, "GET", "/sign-in", nil, "")
		return
	}
	// Mostly the newest flows: the old ones are dead.
	flow := k.at[max(0, len(k.at)-1-k.rnd.IntN(5))]
	if k.rnd.IntN(4) > 0 {
		i = k.flows[flow].owner
	}
	steps := []string{"identify", "password", "second", "new-password", "enrol-totp", "consent", "none", ""}
	switch k.rnd.IntN(10) {
	case 0:
		k.send(i, "GET", flow+"/"+k.pick(steps...), nil, "")
	case 1:
		k.send(i, "POST", flow+"/"+k.pick(steps...)+"/"+k.pick("resend", "way"), url.Values{"way": {k.pick("totp", "code:x", "")}}, "")
	case 2:
		if k.rnd.IntN(3) == 0 {
			k.send(i, "POST", "/sign-out", nil, "")
			return
		}
		k.send(i, "GET", k.pick("/account", "/account/enrol", "/console", "/device"), nil, "")
	case 3, 4:
		login := k.pick(k.logins...)
		if w := k.flows[flow]; w.owner == i {
			w.typed[login] = true
		}
		k.send(i, "POST", flow+"/identify", url.Values{"identifier": {login}}, "")
	case 5, 6:
		if k.hashes--; k.hashes < 0 {
			return
		}
		if k.rnd.IntN(8) == 0 {
			wrong := fmt.Sprint("a wrong password ", k.hashes)
			k.send(i, "POST", flow+"/"+k.pick("password", "new-password"), url.Values{"password": {wrong}, "again": {wrong}}, "")
			return
		}
		k.send(i, "POST", flow+"/password", url.Values{"password": {storyPassword}}, "password") // both have the same: whose it is, the flow says
	default:
		code, err := totp.Code(k.w.Users[k.owner].TOTP, time.Now())
		must(k.t, err)
		if k.rnd.IntN(9) == 0 {
			code = "000000"
		}
		k.send(i, "POST", flow+"/"+k.pick("second", "second", "second", "enrol-totp"), url.Values{"code": {code}}, "totp")
	}
}

// send sends a request that shows a secret of a kind, or none, and holds what must be
// true after it.
func (k *walker) send(i int, method, path string, form url.Values, secret string) {
	flow := k.flows[flowToken.FindString(path)]
	if flow != nil && flow.owner == i && secret != "" {
		for login := range flow.typed {
			flow.shown[login+" "+secret] = true
		}
	}
	res := k.browsers[i].once(method, path, form)
	to := flowToken.FindString(res.Header.Get("Location"))
	trace := fmt.Sprintf("browser %d %s %s %v: %d %s", i, method, path, form, res.StatusCode, to)
	if res.StatusCode >= 500 {
		k.t.Fatal(trace)
	}
	if to != "" && k.flows[to] == nil {
		if flow == nil {
			flow = &walk{owner: i, typed: map[string]bool{}, shown: map[string]bool{}}
		} else if flow.owner != i {
			k.t.Fatalf("another browser moved the flow: %s", trace)
		}
		k.flows[to], k.at = flow, append(k.at, to)
	}
	for _, login := range k.logins {
		for _, s := range k.w.sessions(k.t, login) {
			if k.sessions[s.ID] {
				continue
			}
			k.sessions[s.ID] = true
			switch {
			case flow == nil || flow.owner != i:
				k.t.Fatalf("%s signed in by a request outside a flow, or of another browser: %s", login, trace)
			case !flow.shown[login+" password"], login == k.owner && !flow.shown[login+" totp"]:
				k.t.Fatalf("%s signed in where only %v was shown: %s", login, flow.shown, trace)
			case login == k.owner && idp.Assess(s.Proofs).ACR < idp.ACR2:
				k.t.Fatalf("%s signed in with %+v", login, s.Proofs)
			}
			for _, p := range s.Proofs {
				if p.User != s.UserID {
					k.t.Fatalf("a proof of %s in a session of %s: %s", p.User, s.UserID, trace)
				}
			}
		}
	}
}

// Whatever the order of requests, a session begins only in the flow, and in the
// browser of it, that was shown the person's password, and the owner's code.
func TestRandomWalks(t *testing.T) {
	dsn, dir := storagetest.DSN(t, storage.SQLite), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := quietWorld(t, dsn, dir)
		owners, cashiers := 0, 0
		for seed := range uint64(8) {
			k := &walker{t: t, w: w, rnd: rand.New(rand.NewPCG(seed, 1)), flows: map[string]*walk{}, sessions: map[string]bool{}, hashes: 25,
				owner: fmt.Sprint("walk.owner", seed), logins: []string{fmt.Sprint("walk.owner", seed), fmt.Sprint("walk.cashier", seed)}}
			w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: k.logins[0], TOTP: true}, somebody{Login: k.logins[1]})
			for i := range 2 {
				k.browsers = append(k.browsers, w.from(t, fmt.Sprintf("198.51.%d.%d", seed, i+1)))
			}
			for range 400 {
				k.step()
				time.Sleep(time.Duration(k.rnd.IntN(15)) * time.Second)
			}
			owners += len(w.events(t, k.logins[0], "signin.succeeded"))
			cashiers += len(w.events(t, k.logins[1], "signin.succeeded"))
		}
		if owners < 3 || cashiers < 10 {
			t.Errorf("%d sign-ins of owners, %d of cashiers: the walks show nothing", owners, cashiers)
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
