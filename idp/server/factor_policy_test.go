package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/templates"
)

// Which models may be enrolled is policy, by class: whoever brings another reads so and
// has nothing bound; the others are not asked.
func TestModelsThatMayBeEnrolled(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		synctest.Wait() // the first run of the jobs is over
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "model.owner", TOTP: true})
		w.addCodes(t, u, 10)
		b, key := w.from(t, "203.0.113.1"), w.internal()
		key.AAGUID = [16]byte{0xea, 0x9b, 0x8d, 15: 1}
		b.open("/sign-in").signIn("model.owner")
		const everybody, elsewhere = 0, 2 // rules of the shipped document: the default, high value
		rule := func(rule int, attested bool, allowed, denied []string) {
			w.Service.Rule(rule, "factors.attested", attested)
			w.Service.Rule(rule, "factors.models", allowed)
			w.Service.Rule(rule, "factors.models_denied", denied)
		}
		try := func(words string) {
			t.Helper()
			b.open("/account/enrol?factor=passkey").at("enrol-passkey")
			answer, err := key.Create(b.options(""))
			must(t, err)
			b.post(b.URL.Path, url.Values{"attestation": {answer}}).see(422, words).at("enrol-passkey")
			if w.holds(t, "model.owner", idp.MethodPasskey) != "" {
				t.Fatal("bound all the same")
			}
		}
		rule(everybody, false, nil, []string{"ea9b8d00-0000-0000-0000-000000000001"})
		try(templates.T("zh-CN", "key.model"))
		rule(everybody, false, []string{"00000000-0000-0000-0000-000000000002"}, nil) // for certain, that is: by its maker's word
		try(templates.T("zh-CN", "key.unattested"))
		rule(everybody, true, nil, nil)
		try(templates.T("zh-CN", "key.unattested"))
		rule(everybody, false, nil, nil)
		rule(elsewhere, true, nil, nil)
		b.open("/account/enrol?factor=passkey").bind(key, "").at("/account/factors")
	})
}

// The sites that share one site's passkeys are published where there are several, and
// nowhere else.
func TestRelatedOrigins(t *testing.T) {
	for _, c := range []struct {
		origins []string
		status  int
	}{{nil, http.StatusNotFound}, {[]string{"http://localhost:8080"}, http.StatusNotFound}, {[]string{"http://localhost:8080", "https://shop.example.com", "https://shop.example.cn"}, http.StatusOK}} {
		dsn, dir := sown(t, storage.SQLite, false)
		cfg := server.Defaults(dir, true)
		cfg.Database.DSN, cfg.WebAuthn.ID, cfg.WebAuthn.Origins = idp.Secret(dsn), "localhost", c.origins
		b := startWorld(t, cfg, dir).from(t, "203.0.113.1").open("/.well-known/webauthn")
		if b.Status != c.status {
			t.Errorf("%q: %d, want %d", c.origins, b.Status, c.status)
		}
		if b.Status != http.StatusOK {
			continue
		}
		var document struct{ Origins []string }
		if err := json.Unmarshal([]byte(b.Body), &document); err != nil || b.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v, %q: %s", err, b.Header.Get("Content-Type"), b.Body)
		}
		slices.Sort(document.Origins)
		if want := slices.Sorted(slices.Values(c.origins)); !slices.Equal(document.Origins, want) {
			t.Errorf("origins %q, want %q", document.Origins, want)
		}
	}
}

// An edition whose time came while the server was down comes into force at the next start,
// once, however often it starts after that.
func TestEditionDueWhileDown(t *testing.T) {
	for _, d := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			dsn, dir := sown(t, d, true)
			synctest.Test(t, func(t *testing.T) {
				w := quietWorld(t, dsn, dir)
				store, author, other := w.Service.Store, w.user(t, "he.min").ID, w.user(t, "zhou.ning").ID
				document := policy.Default().Document
				document.Rules[0].Set["session.most"] = 7
				e := idp.Edition{Base: 1, Title: "seven", Document: document.Format(), Author: author, CreatedAt: time.Now()}
				must(t, store.CreateEdition(t.Context(), &e))
				version, err := store.SubmitEdition(t.Context(), e.ID, e.Revision, "call 0310", time.Now())
				must(t, err)
				e.Version, e.DecidedBy, e.DecidedAt, e.ActivateAt = version, other, time.Now(), time.Now().Add(time.Hour)
				if ok, err := store.ApproveEdition(t.Context(), e); err != nil || !ok {
					t.Fatal(ok, err)
				}
				must(t, w.Service.Close())
				time.Sleep(3 * time.Hour)
				for start := range 3 {
					w = quietWorld(t, dsn, dir)
					if p := w.Service.Policy(); p.Version != version || p.Session.Most != 7 {
						t.Errorf("start %d: v%d in force, %d sessions", start, p.Version, p.Session.Most)
					}
					events, err := w.Service.Store.Events(t.Context(), storage.EventFilter{Name: "policy.activated"}, 10)
					must(t, err)
					if len(events) != 1 {
						t.Errorf("start %d: activated %d times", start, len(events))
					}
					must(t, w.Service.Close())
				}
			})
		})
	}
}
