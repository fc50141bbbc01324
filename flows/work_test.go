package flows

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// solved does the work of a challenge.
func solved(challenge string, n int) string {
	text := append(make([]byte, 0, len(challenge)+20), challenge...)
	for i := int64(0); ; i++ {
		h := sha256.Sum256(strconv.AppendInt(text, i, 10))
		if bits.LeadingZeros32(uint32(h[0])<<24|uint32(h[1])<<16|uint32(h[2])<<8|uint32(h[3])) >= n {
			return strconv.FormatInt(i, 10)
		}
	}
}

// asked is how many bits are asked for, 0 for none.
func (w *world) asked(ctx context.Context, s *State, send bool) int {
	w.t.Helper()
	work, err := w.work(ctx, s, send)
	must(w.t, err)
	if work == nil {
		return 0
	}
	return work.Bits
}

// fail counts failures of a stranger at somebody's name, from anywhere.
func (w *world) fail(p *person, times int) {
	w.t.Helper()
	for i := range times {
		must(w.t, w.Store.Tx(w.t.Context(), func(ctx context.Context) error {
			return w.countFailure(web.WithPeer(ctx, netip.MustParseAddr(fmt.Sprintf("10.7.%d.%d", i/250, i%250))), w.state(p, stranger), time.Now())
		}))
	}
}

// cheap makes the work quick to do.
func (w *world) cheap() {
	w.Policy.Now().Work.Bits, w.Policy.Now().Work.SMS, w.Policy.Now().Work.Most = 4, 5, 8
}

// A stranger's guess costs nothing for a name's first failures of an hour, then 18 bits
// and one more each five, 22 at most; two more from a network that fails much. A text
// message costs 19.
func TestWorkThatIsAsked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := w.from("203.0.113.1")
		u := w.person("work.one", "+8613800000001")
		for _, who := range []*person{u, nil} {
			total := 0
			for _, step := range []struct{ fails, want int }{{4, 0}, {1, 18}, {4, 18}, {1, 19}, {15, 22}, {40, 22}} {
				total += step.fails
				w.fail(who, step.fails)
				if got := w.asked(ctx, w.state(who, stranger), false); got != step.want {
					t.Errorf("after %d failures: %d bits, want %d", total, got, step.want)
				}
			}
		}
		for _, asker := range []string{known, introduced} {
			if a, b := w.asked(ctx, w.state(u, asker), false), w.asked(ctx, w.state(u, asker), true); a != 0 || b != 0 {
				t.Errorf("%s: asked for %d and %d bits", asker, a, b)
			}
		}
		time.Sleep(w.Policy.Now().Work.Window + time.Second)
		if got := w.asked(ctx, w.state(u, stranger), false); got != 0 {
			t.Errorf("an hour later: %d bits", got)
		}
		for range 30 { // a typing error now and then never adds up
			w.fail(u, 1)
			time.Sleep(w.Policy.Now().Work.Window - time.Minute)
			if got := w.asked(ctx, w.state(u, stranger), false); got != 0 {
				t.Fatalf("one failure an hour: %d bits", got)
			}
		}
		if a, b := w.asked(ctx, w.state(u, stranger), true), w.asked(ctx, w.state(nil, stranger), true); a != 19 || b != 19 {
			t.Errorf("for a text message: %d and %d bits", a, b)
		}
		must(t, w.Store.Greet(ctx, w.state(u, stranger).network(ctx), u.user.ID, time.Now()))
		if a, b := w.asked(ctx, w.state(u, stranger), true), w.asked(ctx, w.state(nil, stranger), true); a != 0 || b != 19 {
			t.Errorf("for a text message from the owner's network: %d, to others %d bits", a, b)
		}
	})
}

func TestWorkOfANetwork(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, v := w.person("busy.one", "+8613800000001"), w.person("busy.two", "+8613800000002")
		for _, address := range []string{"203.0.113.1", "2001:db8::1"} {
			ctx := w.from(address)
			for range 30 {
				if got := w.asked(ctx, w.state(v, stranger), false); got != 0 {
					t.Fatalf("too early: %d bits", got)
				}
				must(t, w.Store.Tx(ctx, func(ctx context.Context) error { return w.countFailure(ctx, w.state(nil, stranger), time.Now()) }))
			}
			if got := w.asked(ctx, w.state(v, stranger), false); got != 20 {
				t.Errorf("%s, which fails much: %d bits, want 20", address, got)
			}
			if got := w.asked(w.from("203.0.113.9"), w.state(v, stranger), false); got != 0 {
				t.Errorf("from elsewhere: %d bits", got)
			}
		}
		ctx := w.from("203.0.113.3") // a shared address earns room
		for i := range 5 {
			must(t, w.Store.Greet(ctx, w.state(u, stranger).network(ctx), fmt.Sprint("user", i), time.Now()))
		}
		for range 60 {
			if got := w.asked(ctx, w.state(v, stranger), false); got != 0 {
				t.Fatalf("from a network of five good users: %d bits", got)
			}
			must(t, w.Store.Tx(ctx, func(ctx context.Context) error { return w.countFailure(ctx, w.state(nil, stranger), time.Now()) }))
		}
		if got := w.asked(ctx, w.state(v, stranger), false); got != 20 {
			t.Errorf("from a network of five good users that fails much: %d bits", got)
		}
	})
}

// When strangers fail everywhere, far more often than usual, all of them work.
func TestWorkOfTheFleet(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u := w.from("203.0.113.1"), w.person("fleet.one", "+8613800000001")
		for range 30 {
			must(t, w.Store.CountHour(ctx, "fail", 1, time.Now()))
			time.Sleep(time.Hour)
		}
		for range 21 {
			if got := w.asked(ctx, w.state(u, stranger), false); got != 0 {
				t.Fatalf("too early: %d bits", got)
			}
			must(t, w.Store.CountHour(ctx, "fail", 1, time.Now()))
		}
		if got := w.asked(ctx, w.state(u, stranger), false); got != 0 {
			t.Error("looked at more often than once a minute")
		}
		time.Sleep(time.Minute)
		if a, b := w.asked(ctx, w.state(u, stranger), false), w.asked(ctx, w.state(u, known), false); a != 18 || b != 0 {
			t.Errorf("strangers %d bits, a known browser %d", a, b)
		}
		time.Sleep(time.Hour)
		if got := w.asked(ctx, w.state(u, stranger), false); got != 0 {
			t.Errorf("an hour later: %d bits", got)
		}
	})
}

func TestUnusual(t *testing.T) {
	calm := func(hours int64, each int64) map[int64]int64 {
		m := map[int64]int64{}
		for h := int64(1); h <= hours; h++ {
			m[1000-h] = each
		}
		return m
	}
	for _, c := range []struct {
		hours, each, now int64
		want             bool
	}{{168, 10, 200, false}, {168, 10, 201, true}, {23, 1, 1e6, false}, {24, 1, 21, true}, {24, 1, 20, false}, {168, 0, 21, true}, {0, 0, 1e6, false}} {
		m := calm(c.hours, c.each)
		m[1000] = c.now
		if got := unusual(m, 1000, 20); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The right work lets one form through. One for another flow, name, network or purpose,
// one that is used, too old or less than is asked for does not.
func TestWorkIsPaidOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.cheap()
		ctx, u, v := w.from("203.0.113.1"), w.person("once.one", "+8613800000001"), w.person("once.two", "+8613800000002")
		s := w.state(u, stranger)
		w.fail(u, 5)
		w.fail(v, 5)
		form := func(s *State) url.Values {
			t.Helper()
			work, err := w.work(ctx, s, false)
			must(t, err)
			return url.Values{"challenge": {work.Challenge}, "work": {solved(work.Challenge, work.Bits)}}
		}
		first := form(s)
		must(t, w.paid(ctx, s, first, false))
		if err := w.paid(ctx, s, first, false); err != error(errStale) {
			t.Errorf("twice: %v", err)
		}
		var passed sync.Map
		var wg sync.WaitGroup
		racing := form(s)
		for i := range 16 {
			wg.Go(func() {
				if w.paid(ctx, s, racing, false) == nil {
					passed.Store(i, true)
				}
			})
		}
		wg.Wait()
		if size(&passed) != 1 {
			t.Errorf("one work let %d forms through at once", size(&passed))
		}
		other := w.state(u, stranger)
		named := w.state(v, stranger)
		named.ID = s.ID
		for what, try := range map[string]func() error{
			"another flow":    func() error { return w.paid(ctx, other, form(s), false) },
			"another name":    func() error { return w.paid(ctx, named, form(s), false) },
			"another network": func() error { return w.paid(w.from("203.0.113.2"), s, form(s), false) },
			"another purpose": func() error { return w.paid(ctx, s, form(s), true) },
			"no work":         func() error { return w.paid(ctx, s, url.Values{"challenge": form(s)["challenge"]}, false) },
			"nothing":         func() error { return w.paid(ctx, s, nil, false) },
			"wrong work": func() error {
				f := form(s)
				for i := 0; ; i++ {
					if n := strconv.Itoa(i); !worked(f.Get("challenge"), n, 1) {
						f.Set("work", n)
						return w.paid(ctx, s, f, false)
					}
				}
			},
			"no number": func() error {
				f := form(s)
				f.Set("work", " "+f.Get("work"))
				return w.paid(ctx, s, f, false)
			},
		} {
			if err := try(); idp.KindOf(err) != idp.Limited {
				t.Errorf("%s: %v, want to wait instead", what, err)
			}
		}
		old := form(s)
		time.Sleep(w.Policy.Now().Work.Life + time.Second)
		if err := w.paid(ctx, s, old, false); err != error(errStale) {
			t.Errorf("too old: %v", err)
		}
		less := form(s)
		w.fail(u, 5)
		if err := w.paid(ctx, s, less, false); err != error(errStale) {
			t.Errorf("less than is asked: %v", err)
		}
		for _, asker := range []string{known, introduced} {
			if err := w.paid(ctx, w.state(u, asker), nil, true); err != nil {
				t.Errorf("%s: %v", asker, err)
			}
		}
	})
}

// Without script a form is answered with a time, and goes through from then on, once.
func TestWaitTicket(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := w.from("203.0.113.1")
		until := func(ctx context.Context, s *State) time.Duration {
			t.Helper()
			err := w.paid(ctx, s, url.Values{}, false)
			if err == nil {
				return 0
			}
			e, ok := errors.AsType[*idp.Error](err)
			if !ok || e.Kind != idp.Limited || e.Msg != "work.wait" {
				t.Fatal(err)
			}
			return time.Until(e.Until).Round(time.Second)
		}
		var states []*State
		for i := range 5 {
			u := w.person(fmt.Sprint("ticket.", i), fmt.Sprint("+861380000000", i))
			w.fail(u, 5)
			states = append(states, w.state(u, stranger))
		}
		s := states[0]
		w.fail(&person{user: idp.User{ID: s.User}, names: s.names}, 5) // 19 bits: twice as long
		if got := until(ctx, s); got != 40*time.Second {
			t.Errorf("wait %s, want 40 s", got)
		}
		time.Sleep(30 * time.Second)
		if got := until(ctx, s); got != 10*time.Second {
			t.Errorf("asked again: %s, want the rest", got)
		}
		time.Sleep(10 * time.Second)
		again := *s
		again.ID = idp.NewID() // another flow of the same name
		if a, b := until(ctx, &again), until(ctx, s); a != 0 || b != 40*time.Second {
			t.Errorf("at its time: %s, and then %s", a, b)
		}
		time.Sleep(40*time.Second + w.Policy.Now().Flow.Step)
		if got := until(ctx, s); got != 40*time.Second {
			t.Errorf("a ticket that nobody came for: %s, want a new one", got)
		}
		time.Sleep(10 * time.Minute)
		for i := range 4 {
			if got := until(ctx, states[1+i]); got != 20*time.Second {
				t.Errorf("ticket %d of a network: %s", i, got)
			}
		}
		if got := until(w.from("203.0.113.2"), states[4]); got != 20*time.Second {
			t.Errorf("from another network: %s", got)
		}
		var passed sync.Map
		var wg sync.WaitGroup
		time.Sleep(20 * time.Second)
		for i, want := range []time.Duration{0, 0, 20 * time.Second} { // the fourth of a network had no ticket yet
			if got := until(ctx, states[2+i]); got != want {
				t.Errorf("ticket %d of a network, at its time: %s", 1+i, got)
			}
		}
		for i := range 16 {
			wg.Go(func() {
				if w.paid(ctx, states[1], url.Values{}, false) == nil {
					passed.Store(i, true)
				}
			})
		}
		wg.Wait()
		if size(&passed) != 1 {
			t.Errorf("one ticket let %d forms through at once", size(&passed))
		}
	})
}

// Whatever comes as challenge and work, only ours lets through.
func FuzzWork(f *testing.F) {
	w := newWorld(nil, storagetest.New(f, storage.SQLite))
	w.cheap()
	ctx := context.Background()
	s := w.state(nil, stranger)
	ours := w.challengeText(ctx, s, workGuess, 4, time.Now())
	for _, text := range []string{ours, "", "....", "guess.4.9999999999.x.y", strings.Repeat(".", 300), ours + "A", strings.ToUpper(ours), "send" + ours[5:]} {
		f.Add(text, "1")
	}
	f.Fuzz(func(t *testing.T, challenge, number string) {
		n, _, ok := w.opened(ctx, s, challenge, workGuess)
		if ok && challenge != ours {
			t.Errorf("%q is ours", challenge)
		}
		if worked(challenge, number, n+1) {
			h := sha256.Sum256([]byte(challenge + number))
			if h[0]>>7 != 0 {
				t.Errorf("%q is work for %q", number, challenge)
			}
		}
		for _, c := range number {
			if (c < '0' || c > '9') && worked(challenge, number, 0) {
				t.Errorf("%q is a number", number)
			}
		}
	})
}
