package server_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// settled is somebody with a password, an authenticator, a phone and an address, who is
// signed in at an address, and long enough for nothing of it to be fresh.
func (w *demoWorld) settled(t *testing.T, login, address string) *browser {
	t.Helper()
	if _, ok := w.Users[login]; !ok {
		phone := "+86139000" + strings.Repeat("0", 2) + address[strings.LastIndex(address, ".")+1:]
		for len(phone) < 14 {
			phone += "7"
		}
		w.add(t, somebody{Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"})
	}
	time.Sleep(31 * time.Second) // a code once
	b := w.from(t, address)
	b.open("/sign-in").signIn(login).see(200, "某人")
	time.Sleep(6 * time.Minute)
	return b
}

// prove walks a step-up: the password, then the code of the authenticator.
func (b *browser) prove(login string) *browser {
	b.t.Helper()
	b.see(200, "密码").submit("password", b.world.Users[login].Password)
	return b.submit("code", b.world.code(b.t, login))
}

// refused fails unless posting a form is answered with a status.
func (b *browser) refused(status int, path string, fields ...string) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	if res := b.once("POST", path, form); res.StatusCode != status {
		b.t.Errorf("POST %s %v: %d to %q, want %d", path, fields, res.StatusCode, res.Header.Get("Location"), status)
	}
}

// holds is the id of what a person holds of a method, "" for nothing.
func (w *demoWorld) holds(t *testing.T, login string, m idp.Method) string {
	t.Helper()
	creds, err := w.Service.Store.Credentials(t.Context(), w.user(t, login).ID)
	must(t, err)
	for _, c := range creds {
		if c.Method == m {
			return c.ID
		}
	}
	return ""
}

// contact is a phone or address of a person as it stands.
func (w *demoWorld) contact(t *testing.T, login string, kind idp.IdentifierKind) idp.Identifier {
	t.Helper()
	names, err := w.Service.Store.Identifiers(t.Context(), w.user(t, login).ID)
	must(t, err)
	i := slices.IndexFunc(names, func(n idp.Identifier) bool { return n.Kind == kind })
	if i < 0 {
		t.Fatalf("%s has no %s", login, kind)
	}
	return names[i]
}

// notices are the messages of a kind to a person, newest first.
func (w *demoWorld) notices(t *testing.T, login, template string) (out []idp.Message) {
	t.Helper()
	all, err := w.Service.Store.Messages(t.Context(), 200)
	must(t, err)
	for _, m := range all {
		if m.UserID == w.user(t, login).ID && m.Template == template {
			out = append(out, m)
		}
	}
	return out
}

var (
	stopLink = regexp.MustCompile(`https?://[^\s"<>]+/stop\?t=[\w-]+`)
	undoLink = regexp.MustCompile(`https?://[^\s"<>]+/undo\?t=[\w-]+`)
)

// linkOf is the newest link of a kind in a person's messages, with the token alone.
func (w *demoWorld) linkOf(t *testing.T, login, template string, kind *regexp.Regexp) (link, token string) {
	t.Helper()
	for _, m := range w.notices(t, login, template) {
		if link = kind.FindString(m.Body); link != "" {
			_, token, _ = strings.Cut(link, "?t=")
			return strings.TrimPrefix(link, w.Issuer), token
		}
	}
	t.Fatalf("no link in %d messages %q of %s", len(w.notices(t, login, template)), template, login)
	return "", ""
}

// grant gives an application or, with one, a terminal access in a person's name.
func (w *demoWorld) grant(t *testing.T, login, client, terminal string, scopes ...string) string {
	t.Helper()
	now := time.Now()
	g := idp.Grant{UserID: w.user(t, login).ID, ClientID: client, TerminalID: terminal, Scopes: scopes, CreatedAt: now, AuthTime: now, ExpiresAt: now.Add(30 * 24 * time.Hour)}
	must(t, w.Service.Store.CreateGrant(t.Context(), &g))
	return g.ID
}

func (w *demoWorld) live(t *testing.T, grant string) bool {
	t.Helper()
	g, err := w.Service.Store.Grant(t.Context(), grant)
	must(t, err)
	return g.EndedAt.IsZero()
}

func (w *demoWorld) cases(t *testing.T, login string) []idp.Case {
	t.Helper()
	all, err := w.Service.Store.Cases(t.Context(), storage.CaseFilter{User: w.user(t, login).ID}, 10)
	must(t, err)
	return all
}
