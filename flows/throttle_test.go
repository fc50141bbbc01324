package flows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// A world is an engine on a real database, without pages: what factors find is made up,
// so that months of guessing cost no hashing.
type world struct {
	*Engine
	t     *testing.T
	dsn   string
	mu    sync.Mutex
	marks map[uint16]bool // of wrong passwords so far, see wrongPassword
}

// each runs a test in a world of each database, under a clock that moves only while
// everybody waits.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn := storagetest.DSN(t, d)
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, storagetest.Open(t, dsn, storagetest.Ring()))
				w.dsn = dsn
				test(t, w)
			})
		})
	}
}

func newWorld(t *testing.T, store *storage.Store) *world {
	p, quiet := policy.Default(), slog.New(slog.DiscardHandler)
	sessions := &session.Manager{Store: store, Policy: p, Ring: storagetest.Ring(), Network: web.Network, Device: web.Device, Log: quiet}
	site := &web.Site{Sessions: sessions, Issuer: "https://id.example.com", Operator: "Hufu", Zone: time.UTC, Log: quiet}
	return &world{Engine: &Engine{Store: store, Sessions: sessions, Site: site, Policy: p, Log: quiet}, t: t, marks: map[uint16]bool{}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person is somebody with a credential of every counted method and a phone.
type person struct {
	user    idp.User
	creds   map[idp.Method]idp.Credential
	names   []idp.Identifier
	browser *idp.Browser
}

func (w *world) person(login, phone string) *person {
	w.t.Helper()
	ctx := w.t.Context()
	p := &person{user: idp.User{Name: "某人", Language: "zh-CN", Role: idp.RoleSupportAgent, Status: idp.UserActive}, creds: map[idp.Method]idp.Credential{}}
	names := []*idp.Identifier{{Kind: idp.IdentifierUsername, Value: login}, {Kind: idp.IdentifierPhone, Value: phone, VerifiedAt: time.Now()}}
	must(w.t, w.Store.CreateUser(ctx, &p.user, names...))
	for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP, idp.MethodBackup, idp.MethodPasskey} {
		c := idp.Credential{UserID: p.user.ID, Method: m, Data: []byte("x")}
		must(w.t, w.Store.AddCredential(ctx, &c))
		p.creds[m] = c
	}
	var err error
	p.names, err = w.Store.Identifiers(ctx, p.user.ID)
	must(w.t, err)
	p.browser = &idp.Browser{UserID: p.user.ID, Label: "Chrome"}
	must(w.t, w.Store.CreateBrowser(ctx, p.browser))
	return p
}

func (p *person) phone() idp.Identifier {
	for _, n := range p.names {
		if n.Kind == idp.IdentifierPhone {
			return n
		}
	}
	return idp.Identifier{}
}

// from is the context of a request from an address.
func (w *world) from(address string) context.Context {
	return web.WithPeer(w.t.Context(), netip.MustParseAddr(address))
}

// Who asks.
const (
	stranger   = "stranger"
	introduced = "introduced"
	known      = "known"
)

// state is a sign-in of a person by somebody who has proved the password.
func (w *world) state(p *person, asker string) *State {
	s := &State{Flow: idp.Flow{ID: idp.NewID(), Demand: idp.Demand{Kind: idp.FlowSignIn, Return: "/"}}, engine: w.Engine, request: httptest.NewRequest("POST", "/", nil)}
	s.Facts.Lookup = []byte("nobody")
	if p == nil {
		return s
	}
	s.User, s.user, s.names = p.user.ID, &p.user, p.names
	s.Facts.Lookup = w.Store.Lookup(idp.IdentifierUsername, p.names[0].Value)
	s.Facts.Proofs = []idp.Proof{{User: p.user.ID, Method: idp.MethodPassword, Channels: []string{"memory"}, At: time.Now()}}
	for _, c := range p.creds {
		s.creds = append(s.creds, c)
	}
	switch asker {
	case introduced:
		s.Facts.Introduced = time.Now()
	case known:
		s.browser = p.browser
	}
	return s
}

// wrongPassword is a mark of a password that no other in this world is taken for.
func (w *world) wrongPassword(c idp.Credential) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.marks); ; i++ {
		mark := []byte(strconv.Itoa(i) + "/" + strconv.Itoa(rand.Int()))
		short := binary.BigEndian.Uint16(w.Store.MAC("password.mark", append([]byte(c.ID+"/"+strconv.FormatInt(c.Version, 10)+"/"), mark...)))
		if !w.marks[short] {
			w.marks[short] = true
			return mark
		}
	}
}

var wrongReason = map[idp.Method]string{idp.MethodPassword: "pw.wrong", idp.MethodTOTP: "otp.wrong", idp.MethodSMS: "code.guess", idp.MethodBackup: "backup.wrong",
	idp.MethodPasskey: "key.wrong", methodIntroduce: "code.guess"}

// guess makes one guess and returns the reason of its refusal, "" for none.
func (w *world) guess(ctx context.Context, s *State, m idp.Method, right bool) string {
	w.t.Helper()
	ans := factor.Answer{Right: right, Reason: wrongReason[m]}
	for _, c := range s.creds {
		if c.Method == m {
			ans.Credential = c.ID
			if ans.Mark = []byte("right"); !right {
				ans.Mark = w.wrongPassword(c)
			}
		}
	}
	return w.settle(ctx, func(ctx context.Context) error { return w.Engine.guess(ctx, s, m, ans) })
}

// settle runs fn as the engine does: a refusal is kept.
func (w *world) settle(ctx context.Context, fn func(ctx context.Context) error) string {
	w.t.Helper()
	var refusal *idp.Error
	err := w.Store.Tx(ctx, func(ctx context.Context) error {
		refusal = nil
		err := fn(ctx)
		if k := idp.KindOf(err); err != nil && (k == idp.Rejected || k == idp.Limited) {
			refusal, _ = errors.AsType[*idp.Error](err)
			return nil
		}
		return err
	})
	if e, ok := errors.AsType[*idp.Error](err); ok && e.Kind != idp.Internal {
		return e.Msg
	}
	if err != nil {
		w.t.Error(err)
	}
	if refusal == nil {
		return ""
	}
	return refusal.Reason
}

// month is how often a bucket admits in 30 days at most.
func month(b policy.Bucket) int { return b.Burst + int(30*24*time.Hour/b.Refill) }

// A guesser tries one method as one of those who may ask, whenever he may.
type guesser struct {
	m     idp.Method
	asker string
	b     policy.Bucket
	most  int // in 30 days, by the rules
	also  int // of the account's row, when that of the browser is spent
	at    *person
	next  time.Time
	seen  int // guesses that were looked at
}

// guessers are the rows of the table of guesses, see RULES section 2.
func (w *world) guessers() []guesser {
	th := w.Policy.Throttle
	return []guesser{
		{m: idp.MethodPassword, asker: stranger, b: th.PasswordStranger, most: 60},
		{m: idp.MethodPassword, asker: introduced, b: th.PasswordIntroduced, most: 9},
		{m: idp.MethodPassword, asker: known, b: th.PasswordBrowser, most: 30},
		{m: idp.MethodTOTP, asker: stranger, b: th.TOTPStranger, most: 11},
		{m: idp.MethodTOTP, asker: introduced, b: th.TOTPIntroduced, most: 6},
		{m: idp.MethodTOTP, asker: known, b: th.TOTPBrowser, most: 8, also: 11},
		{m: idp.MethodSMS, asker: stranger, b: th.CodeStranger, most: 10},
		{m: idp.MethodSMS, asker: introduced, b: th.CodeStranger, most: 10}, // the row of strangers
		{m: idp.MethodSMS, asker: known, b: th.CodeBrowser, most: 10, also: 10},
		{m: idp.MethodBackup, asker: stranger, b: th.BackupCode, most: 10},
		{m: idp.MethodBackup, asker: known, b: th.BackupCode, most: 10}, // the row of strangers
	}
}

// tries guesses until nothing is looked at any more, from ever new networks.
func (w *world) tries(g *guesser, networks *int) {
	for waits := 0; !g.next.After(time.Now()); {
		*networks++
		reason := w.guess(w.from(fmt.Sprintf("10.%d.%d.%d", *networks/62500, *networks/250%250, *networks%250)), w.state(g.at, g.asker), g.m, false)
		switch {
		case reason == wrongReason[g.m]:
			g.seen++
		case reason == "wait.net" && waits < 12: // of the browser: let it pass, others go on
			waits++
			time.Sleep(16 * time.Minute)
		default:
			g.next = time.Now().Add(g.b.Refill - 16*time.Minute).Truncate(time.Minute)
		}
	}
}

// The bounds of guessing, by counting what was looked at in 30 days of somebody who
// tries whenever he may: at one account as everybody at once — from ever new networks,
// with a channel of the owner's, and at the owner's browser —, and as each of them at an
// account of its own. (E3, of recovery, comes with it.)
func TestBoundsOfThirtyDays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		together, alone := w.guessers(), w.guessers()
		u, networks := w.person("bounds.one", "+8613800000001"), 0
		for i := range together {
			together[i].at = u
			alone[i].at = w.person(fmt.Sprint("bounds.alone", i), fmt.Sprintf("+86138000001%02d", i))
		}
		for start := time.Now(); time.Since(start) <= 30*24*time.Hour; time.Sleep(6 * time.Hour) {
			for i := range together {
				w.tries(&together[i], &networks)
				w.tries(&alone[i], &networks)
			}
		}
		for _, g := range alone {
			if n, most := g.seen, g.most+g.also; n > most || n < most*8/10 {
				t.Errorf("%s of %s: %d guesses were looked at in 30 days, %d at most and not far less", g.m, g.asker, n, most)
			}
		}
		sum := map[idp.Method]int{}
		for _, g := range together {
			if sum[g.m] += g.seen; g.seen > g.most+g.also {
				t.Errorf("%s of %s, beside others: %d guesses, at most %d", g.m, g.asker, g.seen, g.most+g.also)
			}
		}
		for m, most := range map[idp.Method]int{idp.MethodPassword: 99, idp.MethodTOTP: 25, idp.MethodSMS: 20, idp.MethodBackup: 10} {
			if sum[m] > most || sum[m] < most*8/10 {
				t.Errorf("%s: %d guesses were looked at in 30 days, %d at most and not far less", m, sum[m], most)
			}
		}
		if p := (float64(sum[idp.MethodTOTP])*3 + float64(sum[idp.MethodSMS])) / 1e6; p >= 1e-4 {
			t.Errorf("E1: a second factor is guessed with %g in 30 days", p)
		}
		if sum[idp.MethodPassword] > 100 {
			t.Errorf("E2: %d passwords a month", sum[idp.MethodPassword])
		}
	})
}

// E4: user codes, by counting those that were looked up in 30 days of somebody of the
// staff who tries whenever he may, from ever new networks and in ever new sessions.
func TestUserCodesOfThirtyDays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		m := idp.Merchant{No: "822290059430001", LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantActive}
		must(t, w.Store.CreateMerchant(t.Context(), &m))
		u := idp.User{Name: "某人", Language: "zh-CN", Role: idp.RoleOwner, MerchantID: m.ID, Status: idp.UserActive}
		must(t, w.Store.CreateUser(t.Context(), &u))
		seen, n := 0, 0
		for start := time.Now(); time.Since(start) <= 30*24*time.Hour; n++ {
			signed := &session.Signed{User: u, Merchant: &m, Session: idp.Session{ID: idp.NewID(), UserID: u.ID}}
			_, err := w.findDevice(w.from(fmt.Sprintf("10.4.%d.%d", n/250, n%250)), signed, userCode(n))
			refusal, ok := errors.AsType[*idp.Error](err)
			switch {
			case ok && refusal.Reason == "dev.unknown":
				seen++
			case ok && refusal.Kind == idp.Limited && refusal.Until.After(time.Now()):
				time.Sleep(time.Until(refusal.Until))
			default:
				t.Fatal("a guess is answered with ", err)
			}
		}
		if most := month(w.Policy.Throttle.UserCodeAccount); most != 130 || seen > most || seen < most*8/10 {
			t.Errorf("%d user codes were looked up in 30 days, %d at most and not far less", seen, most)
		}
		if p := float64(seen) * 1000 / math.Pow(float64(len(normal.UserCodeAlphabet)), 8); p > 6e-6 {
			t.Errorf("E4: one of a thousand user codes is guessed with %g in 30 days", p)
		}
	})
}

// userCode is the nth of some codes that no device shows.
func userCode(n int) string {
	code, letters := []byte("WWWWWWWW"), normal.UserCodeAlphabet
	for i := range code {
		code[i], n = letters[n%len(letters)], n/len(letters)
	}
	return string(code)
}

// The shipped numbers hold the inequalities without any clock, too, row by row.
func TestBoundsOfThePolicy(t *testing.T) {
	w := &world{Engine: &Engine{Policy: policy.Default()}}
	for _, g := range w.guessers() {
		if n := month(g.b); n != g.most {
			t.Errorf("%s of %s: %d in 30 days, want %d", g.m, g.asker, n, g.most)
		}
	}
}

// 64 guesses in parallel are worth what 64 in a row are.
func TestGuessesInParallel(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		th := w.Policy.Throttle
		for i, c := range []struct {
			m     idp.Method
			asker string
			want  int
		}{{idp.MethodPassword, stranger, th.PasswordStranger.Burst}, {idp.MethodPassword, introduced, th.PasswordIntroduced.Burst},
			{idp.MethodPassword, known, 5}, // then its wait runs
			{idp.MethodTOTP, stranger, th.TOTPStranger.Burst}, {idp.MethodTOTP, introduced, th.TOTPIntroduced.Burst}, {idp.MethodTOTP, known, th.TOTPBrowser.Burst + th.TOTPStranger.Burst},
			{idp.MethodSMS, stranger, th.CodeStranger.Burst}, {idp.MethodSMS, known, th.CodeBrowser.Burst + th.CodeStranger.Burst},
			{idp.MethodBackup, stranger, th.BackupCode.Burst}, {idp.MethodBackup, known, th.BackupCode.Burst}} {
			u := w.person(fmt.Sprint("par.", i, "x"), fmt.Sprintf("+86138000001%02d", i))
			var seen, right sync.Map
			var wg sync.WaitGroup
			for k := range 64 {
				wg.Go(func() {
					ctx := w.from(fmt.Sprintf("10.%d.0.%d", i, k))
					if w.guess(ctx, w.state(u, c.asker), c.m, false) == wrongReason[c.m] {
						seen.Store(k, true)
					}
				})
			}
			wg.Wait()
			for k := range 3 { // and what is right is refused like what is wrong from now on
				if w.guess(w.from("10.99.0.1"), w.state(u, c.asker), c.m, true) == "" {
					right.Store(k, true)
				}
			}
			if n := size(&seen); n != c.want || size(&right) != 0 {
				t.Errorf("%s of %s: %d of 64 were looked at, want %d; right ones %d", c.m, c.asker, n, c.want, size(&right))
			}
		}
	})
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// A trace is played in two worlds, for a person of the same name in each: strangers meet
// only one of them.
type trace struct {
	t         *testing.T
	rnd       *rand.Rand
	calm, hit *world
	mine      map[*world]*person
	left      map[idp.Method]int // of the known browser's own mistakes and messages
	theirs    []idp.Method       // what strangers try
	strangers int
}

const sending idp.Method = "send"

// strange is one act of a stranger's: from the owner's own network or another, at times
// with the right secret.
func (x *trace) strange() {
	x.strangers++
	ctx := x.hit.from([]string{"198.51.100.1", fmt.Sprintf("10.1.%d.%d", x.strangers/250, x.strangers%250)}[x.rnd.IntN(2)])
	s := x.hit.state(x.mine[x.hit], stranger)
	if m := x.theirs[x.rnd.IntN(len(x.theirs))]; m != sending {
		x.hit.guess(ctx, s, m, x.rnd.IntN(8) == 0)
	} else {
		s.paidSend = true
		x.hit.send(ctx, s, x.mine[x.hit].phone())
	}
}

// own is one act of the known browser's, which must be answered alike in both worlds.
func (x *trace) own(m idp.Method) {
	right := x.rnd.IntN(3) > 0
	if m == sending || !right {
		if x.left[m]--; x.left[m] < 0 {
			return
		}
	}
	answer := func(w *world) (got string) {
		u := x.mine[w]
		ctx, s := w.from("198.51.100.1"), w.state(u, known)
		if m == sending {
			got = w.send(ctx, s, u.phone())
		} else {
			got = w.guess(ctx, s, m, right)
		}
		if work, err := w.work(ctx, s, true); work != nil || err != nil {
			x.t.Errorf("a known browser is asked for %v, %v", work, err)
		}
		return got
	}
	if with, without := answer(x.hit), answer(x.calm); with != without {
		x.t.Fatalf("%s, right %v: %q with strangers, %q without", m, right, with, without)
	}
}

// Whatever strangers do, and be it from the owner's own network and with his password, a
// known browser is answered as if they had not. One effect is meant and no refusal: three
// wrong second factors after the right password have the owner told and asked for a new
// one at his next full sign-in (password.suspected). Codes from paper have one row for
// everybody: in every other trace strangers, who need the password for it, use that up,
// and in the rest the owner uses it.
func TestStrangersDeletedFromATrace(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, rand.Uint64()}
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			with, without := storagetest.DSN(t, d), storagetest.DSN(t, d)
			synctest.Test(t, func(t *testing.T) {
				hit, calm := newWorld(t, storagetest.Open(t, with, storagetest.Ring())), newWorld(t, storagetest.Open(t, without, storagetest.Ring()))
				for i, seed := range seeds {
					x := &trace{t: t, rnd: rand.New(rand.NewPCG(seed, 20)), hit: hit, calm: calm, mine: map[*world]*person{},
						left: map[idp.Method]int{idp.MethodPassword: 9, idp.MethodTOTP: 3, idp.MethodSMS: 4, idp.MethodBackup: 4, sending: 5}}
					for _, w := range []*world{hit, calm} {
						x.mine[w] = w.person(fmt.Sprint("trace.", i, "x"), fmt.Sprintf("+86138000001%02d", i))
					}
					x.play(seed, i%2 == 0)
				}
			})
		})
	}
}

func (x *trace) play(seed uint64, paper bool) {
	defer func() {
		if x.t.Failed() {
			x.t.Logf("seed %d, paper of the owner's %v", seed, paper)
		}
	}()
	ours := []idp.Method{idp.MethodPassword, idp.MethodTOTP, idp.MethodSMS, sending}
	closed := slices.Clone(ours[:3]) // to strangers, in the end
	x.theirs = append(slices.Clone(ours), idp.MethodPasskey)
	if paper {
		ours = append(ours, idp.MethodBackup)
	} else {
		x.theirs = append(x.theirs, idp.MethodBackup)
	}
	for i := range 20 {
		x.hit.guess(x.hit.from(fmt.Sprintf("10.5.0.%d", i)), x.hit.state(x.mine[x.hit], stranger), idp.MethodPassword, false)
	}
	for range 80 {
		for range x.rnd.IntN(4) {
			x.strange()
		}
		x.own(ours[x.rnd.IntN(len(ours))])
		time.Sleep(time.Duration(x.rnd.IntN(900)) * time.Second)
	}
	for _, m := range closed { // or the trace would show nothing
		if x.hit.guess(x.hit.from("10.9.9.9"), x.hit.state(x.mine[x.hit], stranger), m, true) == "" {
			x.t.Errorf("%s is not closed to strangers", m)
		}
	}
}

// send asks for a code to a channel and returns the reason of its refusal, "" for none.
func (w *world) send(ctx context.Context, s *State, to idp.Identifier) string {
	w.t.Helper()
	return w.settle(ctx, func(ctx context.Context) error { return w.sendCode(ctx, s, to, "code", codeLetter) })
}

var codeLetter = templates.Letter{Name: "某人", Code: "123456", Purpose: "purpose.signin", Minutes: 5, Host: "id.example.com"}

// Strangers close the password and the authenticator, and reach the hard end; who has
// proved a channel of the account has tries of his own, feels no wait of the network and
// opens what was closed.
func TestIntroduced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.person("intro.one", "+8613800000001")
		ctx := w.from("203.0.113.1")
		for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP} {
			for i := range 25 {
				w.guess(w.from(fmt.Sprintf("10.2.0.%d", i)), w.state(u, stranger), m, false)
			}
			if reason := w.guess(ctx, w.state(u, stranger), m, true); reason != closedReason(m) {
				t.Errorf("%s to strangers: %q", m, reason)
			}
			if reason := w.guess(ctx, w.state(u, introduced), m, true); reason != "" {
				t.Errorf("%s to an introduced one: %q", m, reason)
			}
			c := u.creds[m]
			c.Closed = true
			u.creds[m] = c
			if reason := w.guess(ctx, w.state(u, introduced), m, true); reason != "" {
				t.Errorf("%s behind the hard end: %q", m, reason)
			}
		}
		old, gone, foreign := w.state(u, introduced), w.state(u, stranger), w.state(u, stranger)
		old.Facts.Introduced = time.Now().Add(-w.Policy.Throttle.Introduced)
		proof := idp.Proof{User: u.user.ID, Credential: u.phone().ID, Method: idp.MethodSMS, At: time.Now()}
		gone.Facts.Proofs = append(gone.Facts.Proofs, proof)
		if !gone.introduced() {
			t.Error("a code on a bound channel does not introduce")
		}
		gone.names = nil // removed meanwhile
		proof.User = "another"
		foreign.Facts.Proofs = append(foreign.Facts.Proofs, proof)
		nobodys := w.state(nil, stranger)
		nobodys.Facts.Introduced = time.Now()
		for what, s := range map[string]*State{"too old": old, "a channel that is gone": gone, "another's": foreign, "a name that nobody has": nobodys} {
			if s.introduced() || !s.stranger() {
				t.Errorf("%s introduces", what)
			}
		}
		for i := range 40 { // codes that only introduce use no row of the account up
			w.guess(w.from(fmt.Sprintf("10.3.0.%d", i)), w.state(u, stranger), methodIntroduce, false)
		}
		if reason := w.guess(ctx, w.state(u, stranger), methodIntroduce, true); reason != "" {
			t.Errorf("strangers have closed the way around: %q", reason)
		}
	})
}

// A recovery code is spent on an unchanged version and told; a copied authenticator
// answers nobody any more; a passkey is not guessed at, but failing costs the network.
func TestRightAnswersThatChange(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Policy.Throttle.StrangerNetwork.Burst = 20
		u := w.person("right.one", "+8613800000001")
		ctx := w.from("203.0.113.1")
		try := func(m idp.Method, ans factor.Answer) string {
			ans.Credential = u.creds[m].ID
			return w.settle(ctx, func(ctx context.Context) error { return w.Engine.guess(ctx, w.state(u, stranger), m, ans) })
		}
		if reason := try(idp.MethodBackup, factor.Answer{Right: true, Data: []byte("y")}); reason != "" {
			t.Errorf("a recovery code: %q", reason)
		}
		if reason := try(idp.MethodBackup, factor.Answer{Right: true, Data: []byte("z")}); reason != "flow.conflict" {
			t.Errorf("another one of the same version: %q", reason)
		}
		if reason := try(idp.MethodBackup, factor.Answer{Used: true, Reason: "backup.used"}); reason != "backup.used" {
			t.Errorf("a used one: %q", reason)
		}
		if n := w.told(t, u, "codes.used"); n != 1 {
			t.Errorf("codes.used was told %d times", n)
		}
		if reason := try(idp.MethodPasskey, factor.Answer{Right: true}); reason != "" {
			t.Errorf("a passkey: %q", reason)
		}
		for range 2 {
			if reason := try(idp.MethodPasskey, factor.Answer{Right: true, Clone: true, Counter: 3}); reason != "key.clone" {
				t.Errorf("a copy: %q", reason)
			}
		}
		if n := w.told(t, u, "clone"); n != 1 {
			t.Errorf("the copy was told %d times", n)
		}
		if c, err := w.Store.Credential(ctx, u.creds[idp.MethodPasskey].ID); err != nil || c.Blocked != "clone" {
			t.Errorf("the copied passkey: %+v, %v", c, err)
		}
		if reason := try(idp.MethodPasskey, factor.Answer{Right: true, Counter: 9}); reason == "" {
			t.Error("the blocked passkey answers")
		}
		for range w.Policy.Throttle.StrangerNetwork.Burst {
			try(idp.MethodPasskey, factor.Answer{Reason: "key.wrong"})
		}
		if reason := try(idp.MethodPasskey, factor.Answer{Reason: "key.wrong"}); reason != "flood" {
			t.Errorf("after so many wrong ones: %q", reason)
		}
		if c, err := w.Store.Credential(ctx, u.creds[idp.MethodPasskey].ID); err != nil || c.Closed {
			t.Errorf("strangers closed a passkey: %+v, %v", c, err)
		}
	})
}

// told counts the messages of a template to a person.
func (w *world) told(t *testing.T, u *person, template string) (n int) {
	t.Helper()
	all, err := w.Store.Messages(t.Context(), 200)
	must(t, err)
	for _, m := range all {
		if m.UserID == u.user.ID && m.Template == template {
			n++
		}
	}
	return n
}
