package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// A weighed browser notes of each answer its status, what it cost the database, and which
// headers it has.
type weighed struct {
	of  http.RoundTripper
	got []string
}

func (c *weighed) RoundTrip(r *http.Request) (*http.Response, error) {
	var tally storage.Tally
	res, err := c.of.RoundTrip(r.WithContext(storage.WithTally(r.Context(), &tally)))
	if err != nil {
		return nil, err
	}
	var headers []string
	for k := range res.Header {
		headers = append(headers, k)
	}
	slices.Sort(headers)
	c.got = append(c.got, fmt.Sprintf("%s %s: %d, %d reads, %d writes, %d transactions, %v", r.Method, flowToken.ReplaceAllString(r.URL.Path, "FLOW"), res.StatusCode,
		tally.Reads.Load(), tally.Writes.Load(), tally.Transactions.Load(), headers))
	return res, nil
}

// weighs is a browser whose requests are weighed.
func (w *demoWorld) weighs(t *testing.T, address string) (*browser, *weighed) {
	b := w.from(t, address)
	c := &weighed{of: b.client.Transport}
	b.client.Transport = c
	return b, c
}

// alike fails where two walks were not answered the same: pages in words, and what each
// answer cost.
func alike(t *testing.T, what string, known, unknown []string) {
	t.Helper()
	if len(known) != len(unknown) {
		t.Errorf("%s: %d answers for who exists, %d for nobody", what, len(known), len(unknown))
		return
	}
	for i := range known {
		if known[i] != unknown[i] {
			t.Errorf("%s, answer %d differs:\n%s\n%s", what, i, known[i], unknown[i])
		}
	}
}

var anyDigits = regexp.MustCompile(`\d+`)

// words are what a page says, without what is random or was typed.
func (b *browser) words(typed ...string) string {
	s := b.text()
	for _, w := range typed {
		s = strings.ReplaceAll(s, w, "TYPED")
	}
	return anyDigits.ReplaceAllString(mask(s), "0")
}

// aligned waits until what is remembered for a while is as old as at the other walks.
func aligned() { time.Sleep(time.Until(time.Now().Add(25 * time.Hour).Truncate(24 * time.Hour))) }

// Until something is proven no way of recovery costs the database more for a name that
// exists than for one that does not, nor is it answered otherwise.
func TestRecoveryCostsTheSame(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "cost.one", TOTP: true, Phone: "+8613900010090", Mail: "cost.one@example.com"}, "203.0.113.90")
		walk := func(login, address string) (said []string) {
			for _, lost := range []string{"password", "second", "both"} {
				ways := []string{"introduce:phone", "introduce:email", "kit", "terminal", "shop"}
				if lost == "second" {
					ways = append(ways, "password")
				}
				for _, way := range ways {
					aligned()
					b, c := w.weighs(t, address)
					note := func() { said = append(said, b.words(login)) }
					b.lost(lost, login)
					note()
					b.by(way)
					note()
					if b.has("resend") && !b.has("code") {
						b.submit("resend")
						note()
					}
					switch { // once: what closes a way is told to who has it, which is work
					case way == "terminal":
						b.post(b.URL.Path, nil)
					case way == "kit":
						b.submit("code", kitCode())
					case b.has("password"):
						b.submit("password", "nonsense nonsense")
					default:
						b.submit("code", "00000000")
					}
					note()
					b.submit("way", "other")
					note()
					said = append(said, c.got...)
				}
			}
			return said
		}
		walk("cost.zero", "192.0.2.90")
		alike(t, "recovery", walk("cost.one", "192.0.2.91"), walk("cost.two", "192.0.2.92"))
	})
}

// A user name is looked up at the same cost, and answered the same, whether there is such a
// phone, address, merchant number or terminal, and whether they belong together.
func TestNameSearchCostsTheSame(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "find.one", TOTP: true, Phone: "+8613900010095", Mail: "find.one@example.com"}, "203.0.113.95")
		serial := w.Terminals["esign"].Serial
		by := func(address, contact string) (said []string) {
			aligned()
			b, c := w.weighs(t, address)
			note := func() { said = append(said, b.words(contact)) }
			b.open("/recover").submit("lost", "username").submit("contact", contact)
			note()
			if b.has("resend") && !b.has("code") {
				b.submit("resend")
				note()
			}
			for range 2 {
				b.submit("code", "00000000")
				note()
			}
			return append(said, c.got...)
		}
		by("192.0.2.95", "13700009990")
		alike(t, "phone", by("192.0.2.96", "13900010095"), by("192.0.2.97", "13700009991"))
		alike(t, "address", by("192.0.2.96", "find.one@example.com"), by("192.0.2.97", "find.two@example.com"))

		pair := func(address, no, serial string) (said []string) {
			aligned()
			b, c := w.weighs(t, address)
			b.open("/recover").submit("lost", "username").submit("merchant_no", no, "serial", serial).see(200, "已经发出")
			return append(c.got, b.words())
		}
		owner := w.Users["owner"].Username
		for _, n := range []idp.Identifier{{Kind: idp.IdentifierPhone, Value: "+8613900010096"}, {Kind: idp.IdentifierPhone, Value: "+8613900010097"}, {Kind: idp.IdentifierEmail, Value: "more@example.com"}} {
			n.UserID, n.VerifiedAt = w.user(t, owner).ID, time.Now()
			must(t, w.Service.Store.AddIdentifier(t.Context(), &n))
		}
		pair("192.0.2.95", "812345678901234", serial)
		wrong := pair("192.0.2.97", "812345678901235", "HFE0000000000")
		alike(t, "number of nobody", pair("192.0.2.98", "812345678901236", serial), wrong)
		alike(t, "serial of nobody", pair("192.0.2.99", w.Merchant.No, "HFE0000000000"), wrong)
		alike(t, "no number", pair("192.0.2.99", "no such thing", "?"), wrong)
		alike(t, "both right", pair("192.0.2.98", w.Merchant.No, serial), wrong)
		if n := len(w.notices(t, owner, "username.told")); n != 4 {
			t.Fatalf("%d messages", n)
		}
		time.Sleep(2 * time.Second)
		b, c := w.weighs(t, "192.0.2.98") // again at once: he was told just now
		b.open("/recover").submit("lost", "username").submit("merchant_no", w.Merchant.No, "serial", serial).see(200, "已经发出")
		alike(t, "both right again", append(c.got, b.words()), wrong)
		if n := len(w.notices(t, owner, "username.told")); n != 4 {
			t.Errorf("%d messages", n)
		}
	})
}
