package server_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/server"
	"hufu/storage"
)

// asked is the address of an authorization request for a class of assurance.
func (a *quietApp) asked(acr string) string {
	q := url.Values{"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.redirect}, "scope": {"openid"}, "code_challenge": {a.sum}, "code_challenge_method": {"S256"}, "acr_values": {acr}}
	return "/authorize?" + q.Encode()
}

// back fails unless the browser is back at the client with a code.
func (b *browser) back() {
	b.t.Helper()
	if b.Left == nil || b.Left.Query().Get("code") == "" {
		b.t.Fatalf("not at the client but at %s (%v): %s", b.URL, b.Left, b.text())
	}
}

// An application asks for a passkey of somebody who has an app: he is led to enrol one by
// fresh proofs, and goes on with what he has when he would rather not.
func TestClassOutOfReach(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "reach.owner", Phone: "+8613900000071", TOTP: true})
		w.addCodes(t, u, 10)
		a, b, key := w.quietApp("merchant_app"), w.from(t, "203.0.113.1"), w.internal()
		b.open("/sign-in").signIn("reach.owner").at("/account")
		b.open(a.asked("urn:hufu:acr:2")).back() // within reach: nothing is offered

		b.open(a.asked("phr")).at("offer").see(200, "应用要求用通行密钥").submit("do", "later").back()
		if acr := w.acr(t, "reach.owner"); acr != idp.ACR2 {
			t.Errorf("without it: %s", acr)
		}
		time.Sleep(10 * time.Minute) // nothing is fresh
		b.open(a.asked("phr")).at("offer").post(b.URL.Path, url.Values{"do": {"?"}}).see(422, "")
		b.submit("do", "now").at("password").submit("password", storyPassword).at("second")
		b.submit("code", w.code(t, "reach.owner")).at("enrol-passkey")
		if strings.Contains(b.Body, "/choose-factor") {
			t.Error("an app is offered for a passkey")
		}
		b.post(strings.TrimSuffix(b.URL.Path, "enrol-passkey")+"choose-factor", url.Values{"factor": {"totp"}})
		if strings.HasSuffix(b.URL.Path, "enrol-totp") {
			t.Error("the app is replaced")
		}
		offer := ""
		b.open(strings.TrimSuffix(b.URL.Path, "choose-factor") + "enrol-passkey")
		for _, link := range all(b.Doc, "a") {
			if strings.HasSuffix(attr(link, "href"), "/offer") {
				offer = attr(link, "href")
			}
		}
		b.open(offer).at("offer").submit("do", "later").back() // thought better of it

		b.open(a.asked("phr phrh")).at("offer").submit("do", "now").bind(key, "").back() // what was shown is fresh still
		if acr := w.acr(t, "reach.owner"); acr != idp.ACRPhr {
			t.Errorf("with the passkey: %s", acr)
		}
		if got := len(w.events(t, "reach.owner", "factor.enrolled")); got != 1 {
			t.Errorf("%d enrolled", got)
		}
		b.open(a.asked("phr")).back()
		b.open(a.asked("phrh")).back() // the passkey is the most that he can show
	})
}

// Who holds nothing yet gets the passkey by a code to his phone, or goes on with the password
// alone; who cannot be sent a code is told whom to ask. Nobody who is frozen is led anywhere.
func TestClassOutOfReachWithoutFactor(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.add(t, somebody{Login: "reach.cashier", Phone: "+8613900000072"}, somebody{Login: "reach.alone"})
		a, b := w.quietApp("merchant_app"), w.from(t, "203.0.113.2")
		b.open("/sign-in").signIn("reach.cashier").open(a.asked("phr")).at("offer").submit("do", "later").back()
		if acr := w.acr(t, "reach.cashier"); acr != idp.ACR1 {
			t.Errorf("without it: %s", acr)
		}
		b.open(a.asked("phr")).at("offer").submit("do", "now").at("second")
		if !strings.Contains(b.Body, `name="code"`) {
			b.submit("resend", "1")
		}
		b.submit("code", w.sent(t, "+8613900000072")).bind(w.internal(), "")
		b.codes()
		b.keep().back()
		if acr := w.acr(t, "reach.cashier"); acr != idp.ACRPhr {
			t.Errorf("with the passkey: %s", acr)
		}

		alone := w.from(t, "203.0.113.3")
		alone.open("/sign-in").signIn("reach.alone").open(a.asked("phr")).at("offer").see(200, "加上手机号")
		alone.post(alone.URL.Path, url.Values{"do": {"now"}}).see(422, "").submit("do", "later").back()
		alone.post("/account/freeze", nil).open(a.asked("phr"))
		if strings.HasSuffix(alone.URL.Path, "/offer") {
			t.Error("a frozen person is led to enrol")
		}
	})
}

// An issuer without passkeys offers none.
func TestClassOutOfReachWithoutPasskeys(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, true)
			cfg := server.Defaults(dir, true)
			cfg.Database.DSN, cfg.Issuer = idp.Secret(dsn), "http://127.0.0.1:8080"
			synctest.Test(t, func(t *testing.T) {
				w := startWorld(t, cfg, dir)
				b := w.from(t, "203.0.113.4")
				b.open("/sign-in").signIn("owner").open(w.quietApp("merchant_app").asked("phr")).back()
			})
		})
	}
}

// Whoever has no phone and no address hears, too, from when on he cannot sign in without a
// second step, and whom to ask.
func TestGraceIsToldToThoseWithoutChannel(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "bare.owner"})
		until := w.user(t, "bare.owner").GraceFrom.AddDate(0, 0, 7).In(time.FixedZone("", 8*3600)).Format("1 月 2 日 15:04")
		b := w.from(t, "203.0.113.5")
		b.try("bare.owner", storyPassword).at("offer").see(200, until).see(200, "请店长、店主或客服")
		b.post(b.URL.Path, url.Values{"do": {"now"}}).see(422, "").submit("do", "later").at("/account")
	})
}

// Whose only way is a passkey that is not at hand reads what to do, with script or without.
func TestLostPasskeyIsNoDeadEnd(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "lost.key", Phone: "+8613900000073", TOTP: true})
		b := w.from(t, "203.0.113.6")
		b.open("/sign-in").signIn("lost.key").open("/account/enrol?factor=passkey").bind(w.internal(), "")
		app := w.holds(t, "lost.key", idp.MethodTOTP)
		if ok, err := w.Service.Store.RemoveCredential(t.Context(), w.user(t, "lost.key").ID, app); err != nil || !ok {
			t.Fatal(ok, err)
		}
		b.signOut().try("lost.key", storyPassword).at("second").see(200, "打客服电话")
		if !strings.Contains(b.Body, `href="/sign-in"`) {
			t.Error("no way to start again")
		}
	})
}
