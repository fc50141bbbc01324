package flows

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// sender is somebody's state who has worked for his message.
func (w *world) sender(p *person, asker string) *State {
	s := w.state(p, asker)
	s.paidSend = true
	return s
}

// reasons asks for a code again and again and returns how often each answer came.
func (w *world) reasons(times int, pause time.Duration, one func(i int) string) map[string]int {
	got := map[string]int{}
	for i := range times {
		got[one(i)]++
		time.Sleep(pause)
	}
	return got
}

// A number gets one code a minute, five an hour and ten a day; five of these are kept for
// who is known or introduced, whatever strangers do.
func TestSendsToANumber(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, n := w.person("send.one", "+8613800000001"), 0
		ask := func(asker string) string {
			n++
			return w.send(w.from(fmt.Sprintf("10.0.%d.%d", n/250, n%250)), w.sender(u, asker), u.phone())
		}
		if a, b := ask(stranger), ask(stranger); a != "" || b != "send.limit" {
			t.Errorf("two at once: %q, %q", a, b)
		}
		time.Sleep(time.Minute)
		if got := w.reasons(10, time.Minute, func(int) string { return ask(stranger) }); got[""] != 4 || got["send.limit"] != 6 {
			t.Errorf("strangers, ten minutes on: %v, want five in all", got)
		}
		if a, b := ask(known), ask(known); a != "" || b != "send.limit" {
			t.Errorf("a known browser, two at once: %q, %q", a, b)
		}
		time.Sleep(time.Minute)
		if got := w.reasons(10, time.Minute, func(int) string { return ask(introduced) }); got[""] != 4 {
			t.Errorf("who is known, ten minutes on: %v, want five in all", got)
		}
		if got := w.told(t, u, "code"); got != 10 {
			t.Errorf("%d messages, want 10", got)
		}
		time.Sleep(48 * time.Hour)
		if got := w.reasons(24*3, 20*time.Minute, func(int) string { return ask(stranger) }); got[""] > 10 || got[""] < 9 {
			t.Errorf("strangers in a day: %v, want 5 at once and one each 4.8 hours", got)
		}
		time.Sleep(48 * time.Hour)
		if got := w.reasons(10, 13*time.Minute, func(int) string { return ask(known) }); got[""] != 10 {
			t.Errorf("a known browser alone: %v, want all ten", got)
		}
	})
}

// An address gets one each half minute, and fifteen a day from strangers; an account
// fifteen in all, half of them kept.
func TestSendsToAnAccount(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, n := w.person("mail.one", "+8613800000001"), 0
		mail := func(i int) idp.Identifier {
			return idp.Identifier{ID: fmt.Sprint("m", i), UserID: u.user.ID, Kind: idp.IdentifierEmail, Value: fmt.Sprintf("m%d@example.com", i), VerifiedAt: time.Now()}
		}
		ask := func(asker string, i int) string {
			n++
			return w.send(w.from(fmt.Sprintf("10.0.0.%d", n)), w.state(u, asker), mail(i))
		}
		if a, b := ask(stranger, 0), ask(stranger, 0); a != "" || b != "send.limit" {
			t.Errorf("two at once: %q, %q", a, b)
		}
		time.Sleep(30 * time.Second)
		if got := ask(stranger, 0); got != "" {
			t.Errorf("half a minute later: %q", got)
		}
		if got := w.reasons(20, time.Second, func(i int) string { return ask(stranger, i+1) }); got[""] != 6 {
			t.Errorf("strangers, to ever new addresses: %v, want eight in all", got)
		}
		if got := w.reasons(20, time.Second, func(i int) string { return ask(known, i+1) }); got[""] != 7 {
			t.Errorf("a known browser then: %v, want seven", got)
		}
	})
}

// A network asks for ten an hour, more where many sign in well. Who is known is not
// counted there.
func TestSendsFromANetwork(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var people []*person
		for i := range 25 {
			people = append(people, w.person(fmt.Sprint("net.", i, "x"), fmt.Sprintf("+86138000000%02d", i)))
		}
		ctx := w.from("203.0.113.1")
		if got := w.reasons(12, 0, func(i int) string { return w.send(ctx, w.sender(people[i], stranger), people[i].phone()) }); got[""] != 10 {
			t.Errorf("from one network: %v, want ten", got)
		}
		if got := w.send(w.from("203.0.113.2"), w.sender(people[12], stranger), people[12].phone()); got != "" {
			t.Errorf("from another: %q", got)
		}
		if got := w.send(ctx, w.sender(people[13], known), people[13].phone()); got != "" {
			t.Errorf("a known browser there: %q", got)
		}
		busy := w.from("203.0.113.3")
		for i := range 5 {
			must(t, w.Store.Greet(busy, w.state(people[i], stranger).network(busy), people[i].user.ID, time.Now()))
		}
		time.Sleep(12 * time.Hour)
		if got := w.reasons(25, 0, func(i int) string { return w.send(busy, w.sender(people[i], stranger), people[i].phone()) }); got[""] != 20 {
			t.Errorf("from a network of five good users: %v, want twenty", got)
		}
		v6 := 0 // one customer holds many of these networks
		for i := range 200 {
			s := w.sender(people[i%25], stranger)
			rows, err := w.networks(w.from(fmt.Sprintf("2001:db8:0:%x::1", i)), s, "send.net.hour", w.Policy.Sends.NetworkHour)
			must(t, err)
			must(t, w.Store.Tx(t.Context(), func(ctx context.Context) error {
				if w.admit(ctx, rows, time.Now()) == nil {
					v6++
				}
				return nil
			}))
		}
		if v6 != 40 {
			t.Errorf("from 200 networks of one /56: %d, want 40", v6)
		}
	})
}

// A text message costs money: a stranger works for it first, unless his network is one
// that its owner came in from. Some countries get none.
func TestSendsAreWorkedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, abroad := w.person("paid.one", "+8613800000001"), w.person("paid.two", "+12025550101")
		ctx := w.from("203.0.113.1")
		if got := w.send(ctx, w.state(u, stranger), u.phone()); got != "work.first" {
			t.Errorf("a stranger: %q", got)
		}
		for _, asker := range []string{known, introduced} {
			if got := w.send(ctx, w.state(u, asker), u.phone()); got != "" {
				t.Errorf("%s: %q", asker, got)
			}
			time.Sleep(time.Minute)
		}
		must(t, w.Store.Greet(ctx, w.state(u, stranger).network(ctx), u.user.ID, time.Now()))
		if got := w.send(ctx, w.state(u, stranger), u.phone()); got != "" {
			t.Errorf("from the owner's network: %q", got)
		}
		for _, asker := range []string{stranger, known} {
			if got := w.send(ctx, w.sender(abroad, asker), abroad.phone()); got != "send.country" {
				t.Errorf("abroad, %s: %q", asker, got)
			}
		}
	})
}

// Far more text messages than usual stop, for strangers first; the operator hears of it
// once an hour.
func TestBreaker(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Policy.Sends.Breaker.DayMost = 600
		var people []*person
		for i := range 6 {
			people = append(people, w.person(fmt.Sprint("breaker.", i), fmt.Sprintf("+8613%d00000001", i)))
		}
		n := 0
		ask := func(asker string) string {
			n++
			u := people[n%len(people)]
			time.Sleep(3 * time.Minute)
			return w.send(w.from(fmt.Sprintf("10.0.0.%d", n)), w.sender(u, asker), u.phone())
		}
		count := func(times int) {
			for range times {
				must(t, w.Store.CountHour(t.Context(), "sms", 1, time.Now()))
			}
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
		count(199)
		if a, b, c := ask(stranger), ask(stranger), ask(known); a != "" || b != "send.breaker" || c != "" {
			t.Errorf("the 200th and 201st of an hour: %q, %q, %q", a, b, c)
		}
		count(198)
		if a, b := ask(known), ask(known); a != "" || b != "send.breaker" {
			t.Errorf("the 400th and 401st: %q, %q", a, b)
		}
		if got := w.events(t, "sms.breaker"); got != 1 {
			t.Errorf("%d alarms in an hour", got)
		}
		time.Sleep(time.Hour)
		if got := ask(stranger); got != "" {
			t.Errorf("an hour later: %q", got)
		}
		count(w.Policy.Sends.Breaker.DayMost - 399)
		time.Sleep(time.Hour)
		if a, b := ask(stranger), ask(known); a != "send.breaker" || b != "" {
			t.Errorf("over the most of a day: %q, %q", a, b)
		}
	})
}

func TestUsual(t *testing.T) {
	p, count := policy.Default().Sends.Breaker, map[int64]int64{}
	for d := int64(1); d <= 14; d++ {
		count[1000-24*d] = 100 + d // of the same hour
		count[1001-24*d] = 9000    // of another
	}
	if n := usual(count, 1000, p); n != 4*108 {
		t.Errorf("usual: %d", n)
	}
	if n := usual(map[int64]int64{}, 1000, p); n != 200 {
		t.Errorf("without a past: %d", n)
	}
}

// Codes that go to one prefix, or are asked for from one network, and hardly ever come
// back: shut for an hour, for strangers.
func TestPumping(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, fine := w.person("pump.one", "+8613811110001"), w.person("pump.two", "+8613822220002")
		fill := func(prefix string, network []byte, back int) {
			for i := range 50 {
				user := fmt.Sprint(prefix, i)
				must(t, w.Store.AddSend(t.Context(), prefix, network, user, time.Now()))
				if i < back {
					must(t, w.Store.UseSend(t.Context(), user, time.Now()))
				}
			}
		}
		bad := w.from("203.0.113.66")
		fill("+8613811", []byte("n"), 14)
		fill("+8613822", []byte("m"), 15)
		fill("+8613833", w.state(u, stranger).network(bad), 0)
		for range 3 {
			if got := w.send(w.from("10.0.0.1"), w.sender(u, stranger), u.phone()); got != "send.breaker" {
				t.Errorf("14 of 50 came back: %q", got)
			}
		}
		if got := w.send(w.from("10.0.0.1"), w.sender(fine, stranger), fine.phone()); got != "" {
			t.Errorf("15 of 50 came back: %q", got)
		}
		if got := w.send(bad, w.sender(fine, stranger), fine.phone()); got != "send.breaker" {
			t.Errorf("from a network whose codes never come back: %q", got)
		}
		if a, b := w.send(bad, w.sender(u, known), u.phone()), w.send(bad, w.sender(fine, introduced), fine.phone()); a != "" || b != "" {
			t.Errorf("who is known: %q, %q", a, b)
		}
		if got := w.events(t, "sms.pumping"); got != 2 {
			t.Errorf("%d alarms, want one each", got)
		}
		time.Sleep(59 * time.Minute)
		if got := w.send(w.from("10.0.0.1"), w.sender(u, stranger), u.phone()); got != "send.breaker" {
			t.Errorf("within the hour: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := w.send(w.from("10.0.0.1"), w.sender(u, stranger), u.phone()); got != "" {
			t.Errorf("after it: %q", got)
		}
	})
}

// A code that came back counts for its prefix.
func TestCodesThatComeBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.person("back.one", "+8613811110001")
		ctx, s := w.from("10.0.0.1"), w.sender(u, stranger)
		w.send(ctx, s, u.phone())
		ans := factor.Answer{Right: true, Credential: u.phone().ID, Proof: idp.Proof{Method: idp.MethodSMS}}
		if got := w.settle(ctx, func(ctx context.Context) error { return w.Engine.guess(ctx, s, idp.MethodSMS, ans) }); got != "" {
			t.Fatal(got)
		}
		sent, err := w.Store.SentTo(ctx, "+8613811", time.Now().Add(-time.Minute))
		if err != nil || sent != (storage.Sent{Sent: 1, Used: 1}) {
			t.Errorf("%+v %v", sent, err)
		}
	})
}

// When the counters cannot be read strangers get no text message, and who is known does.
func TestCountersThatCannotBeRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.person("broken.one", "+8613800000001")
		driver, dsn := "pgx", w.dsn
		if path, ok := strings.CutPrefix(w.dsn, "sqlite:"); ok {
			driver, dsn = "sqlite", path
		}
		db, err := sql.Open(driver, dsn)
		must(t, err)
		defer db.Close()
		_, err = db.Exec("DROP TABLE sends")
		must(t, err)
		_, err = db.Exec("DROP TABLE hours")
		must(t, err)
		if got := w.send(w.from("10.0.0.1"), w.sender(u, known), u.phone()); got != "" {
			t.Errorf("a known browser: %q", got)
		}
		err = w.Store.Tx(w.from("10.0.0.1"), func(ctx context.Context) error {
			return w.sendCode(ctx, w.sender(u, stranger), u.phone(), "code", codeLetter)
		})
		if err == nil {
			t.Error("a stranger got a message")
		}
		if n := w.told(t, u, "code"); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// Before anything is proved the answers are those of the typed name and the network:
// nobody learns who has a phone, which one, or that two names are one person.
func TestSendsBeforeAnyProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		owner, abroad, none := w.person("quiet.one", "+8613800000001"), w.person("quiet.two", "+12025550101"), w.person("quiet.three", "+8613800000003")
		states := map[string]func() (*State, idp.Identifier){
			"an owner": func() (*State, idp.Identifier) { return w.sender(owner, stranger), owner.phone() },
			"abroad":   func() (*State, idp.Identifier) { return w.sender(abroad, stranger), abroad.phone() },
			"no phone": func() (*State, idp.Identifier) {
				return w.sender(none, stranger), idp.Identifier{ID: "x/phone", Kind: idp.IdentifierPhone}
			},
			"nobody": func() (*State, idp.Identifier) {
				return w.sender(nil, stranger), idp.Identifier{ID: "y/phone", Kind: idp.IdentifierPhone}
			},
		}
		for range 12 { // the owner's number has had all that strangers may send
			w.send(w.from("10.8.0.1"), w.sender(owner, stranger), owner.phone())
			time.Sleep(5 * time.Minute)
		}
		before := w.told(t, owner, "code")
		answers := map[string]string{}
		i := 0
		for who, make := range states {
			i++
			for k := range 8 {
				s, to := make()
				s.Facts.Proofs = nil
				answers[who] += w.send(w.from(fmt.Sprintf("10.9.%d.%d", i, k)), s, to) + " "
				time.Sleep(35 * time.Second)
			}
		}
		for who, got := range answers {
			if got != answers["nobody"] || !strings.Contains(got, "send.limit") {
				t.Errorf("%s: %q, and a name that nobody has: %q", who, got, answers["nobody"])
			}
		}
		if n := w.told(t, owner, "code") - before; n != 0 {
			t.Errorf("%d messages more than a number gets", n)
		}
		time.Sleep(24 * time.Hour)
		s, to := states["an owner"]()
		s.Facts.Proofs = nil
		if got := w.send(w.from("10.9.9.9"), s, to); got != "" || w.told(t, owner, "code") != before+1 {
			t.Errorf("a day later: %q, %d messages", got, w.told(t, owner, "code")-before)
		}
	})
}

// events counts those of a name.
func (w *world) events(t *testing.T, name string) int {
	t.Helper()
	all, err := w.Store.Events(t.Context(), storage.EventFilter{Name: name}, 100)
	must(t, err)
	return len(all)
}

// Whoever does the same to his own account again and again does not use up what all may
// send: notices by text message stop at the bound of his number, the rest goes by mail.
func TestTextNoticesAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, most := w.person("noise.one", "+8613800000001"), w.Policy.Sends.PhoneNotices.Burst
		for i := range most + 30 {
			must(t, w.Store.Tx(t.Context(), func(ctx context.Context) error {
				return w.notify(ctx, u.user, "factor.enrolled", templates.Letter{Name: "某人", At: time.Now(), Factor: "factor.totp", Object: fmt.Sprint(i)})
			}))
		}
		if got := w.told(t, u, "factor.enrolled"); got != most {
			t.Errorf("%d text messages, want %d", got, most)
		}
	})
}
