package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"hufu/storage"
)

// cost is what the requests of a function cost the database.
type cost struct{ reads, writes, transactions int64 }

// costs measures fn, whose requests must be the only ones. What is served from
// memory is there already.
func (w *demoWorld) costs(t *testing.T, fn func()) cost {
	t.Helper()
	var tally storage.Tally
	own := w.Server.Config.Handler
	service := w.Service.Handler()
	w.Server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		service.ServeHTTP(rw, r.WithContext(storage.WithTally(r.Context(), &tally)))
	})
	defer func() { w.Server.Config.Handler = own }()
	fn()
	return cost{tally.Reads.Load(), tally.Writes.Load(), tally.Transactions.Load()}
}

// least is the cheapest of some measures: clients and keys are looked at again once
// a second, which is nobody's request to pay.
func (w *demoWorld) least(t *testing.T, times int, fn func()) cost {
	t.Helper()
	var all []cost
	for range times {
		all = append(all, w.costs(t, fn))
	}
	return slices.MinFunc(all, func(a, b cost) int { return int(a.reads - b.reads) })
}

// What a request may cost the database, by design.
func TestCost(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		a := w.app(t, "merchant_app", "openid", "profile", "offline_access", "merchant")
		b := w.browser(t)
		ok := func(form url.Values) tokenAnswer {
			t.Helper()
			answer := w.token(t, form)
			if answer.Status != http.StatusOK {
				t.Fatalf("%+v", answer)
			}
			return answer
		}
		expect := func(what string, got cost, most cost) {
			t.Helper()
			t.Logf("%s: %d reads, %d writes, %d transactions", what, got.reads, got.writes, got.transactions)
			if got.reads > most.reads || got.writes > most.writes || got.transactions > most.transactions {
				t.Errorf("%s costs %+v, at most %+v was meant", what, got, most)
			}
		}
		machine := url.Values{"grant_type": {"client_credentials"}, "client_id": {"settlement"}, "client_secret": {w.Clients["settlement"].Secret}}
		expect("client_credentials", w.least(t, 3, func() { ok(machine) }), cost{0, 0, 0})

		s := a.start()
		expect("sign-in, all its requests", w.costs(t, func() { b.open(s.url).signIn("owner") }), cost{60, 35, 10})
		var tokens tokenAnswer
		form := func() url.Values {
			return url.Values{"grant_type": {"authorization_code"}, "client_id": {a.ClientID}, "code": {a.answer(b, s).Get("code")}, "redirect_uri": {a.RedirectURL}, "code_verifier": {s.verifier}}
		}
		first := form()
		expect("code exchange", w.costs(t, func() { tokens = ok(first) }), cost{6, 4, 1})
		s = a.start()
		expect("authorization while signed in", w.costs(t, func() { b.open(s.url) }), cost{10, 4, 1})

		expect("refresh", w.least(t, 3, func() { tokens = ok(refreshForm(a.ClientID, tokens.Refresh)) }), cost{4, 2, 1})
		expect("userinfo", w.least(t, 3, func() { w.get(t, "/userinfo", "Authorization", "Bearer "+tokens.Access) }), cost{4, 0, 0})

		d := w.deviceRequest(t, url.Values{"client_id": {"terminal"}, "scope": {"openid offline_access terminal"}, "terminal_serial": {w.Terminals["esign"].Serial}})
		w.token(t, pollForm(d))
		expect("device poll with its proof", w.least(t, 3, func() { w.token(t, pollForm(d)) }), cost{0, 2, 1})
		expect("JWKS and discovery", w.least(t, 3, func() { w.get(t, "/jwks"); w.get(t, "/.well-known/openid-configuration") }), cost{0, 0, 0})
	})
}
