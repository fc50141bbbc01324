package server_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"hufu/flows/factor/backup"
	"hufu/flows/factor/passkey/passkeytest"
	"hufu/idp"
	"hufu/idp/phc"
)

// at fails unless the browser stands at a step of a flow, or at a path.
func (b *browser) at(step string) *browser {
	b.t.Helper()
	if !strings.HasSuffix(b.URL.Path, "/"+step) && b.URL.Path != step {
		b.t.Fatalf("at %s (%d), want %s:\n%s", b.URL.Path, b.Status, step, b.text())
	}
	return b
}

// options asks a page's challenge as its script does.
func (b *browser) options(step string) []byte {
	b.t.Helper()
	address := b.world.Issuer + b.URL.Path
	if step != "" {
		address = b.world.Issuer + b.URL.Path[:strings.LastIndex(b.URL.Path, "/")+1] + step
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address+"/challenge", nil)
	must(b.t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := b.client.Do(r)
	must(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b.t, err)
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("challenge at %s: %d %s", address, res.StatusCode, text)
	}
	return text
}

// assert answers the page with a passkey.
func (b *browser) assert(a *passkeytest.Authenticator, fields ...string) *browser {
	b.t.Helper()
	answer, err := a.Get(b.options(""))
	must(b.t, err)
	form := url.Values{"assertion": {answer}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.post(b.URL.Path, form)
}

// bind makes a passkey at the page that asks for one.
func (b *browser) bind(a *passkeytest.Authenticator, label string) *browser {
	b.t.Helper()
	answer, err := a.Create(b.at("enrol-passkey").options(""))
	must(b.t, err)
	return b.post(b.URL.Path, url.Values{"attestation": {answer}, "label": {label}})
}

// internal is an authenticator that verifies its user.
func (w *demoWorld) internal() *passkeytest.Authenticator {
	a := passkeytest.New(w.Issuer)
	a.UP, a.UV, a.Resident = true, true, true
	return a
}

var paperCode = regexp.MustCompile(`\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b`)

// codes are the recovery codes on the page; keep says that they are kept.
func (b *browser) codes() (codes []string) {
	b.t.Helper()
	b.at("recovery-codes")
	for _, main := range all(b.Doc, "main") {
		var text strings.Builder
		for d := range main.Descendants() {
			if d.Type == html.TextNode {
				text.WriteString(d.Data + " ")
			}
		}
		codes = append(codes, paperCode.FindAllString(text.String(), -1)...)
	}
	if len(codes) < 10 {
		b.t.Fatalf("%d codes on the page: %s", len(codes), b.text())
	}
	return codes[:10]
}

func (b *browser) keep() *browser {
	b.t.Helper()
	return b.submit("kept", "1")
}

// addCodes gives a person recovery codes.
func (w *demoWorld) addCodes(t *testing.T, u idp.User, n int) []string {
	t.Helper()
	codes := backup.NewSet(n)
	data, err := backup.Seal(t.Context(), phc.NewHasher(2), codes)
	must(t, err)
	must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: u.ID, Method: idp.MethodBackup, Data: data}))
	return codes
}

// acr is what a session of a person is worth: the newest.
func (w *demoWorld) acr(t *testing.T, login string) idp.ACR {
	t.Helper()
	live := w.sessions(t, login)
	if len(live) == 0 {
		t.Fatal("no session of ", login)
	}
	return idp.Assess(live[0].Proofs).ACR
}

// letters are the templates of the messages to an address, newest first.
func (w *demoWorld) letters(t *testing.T, to string) (templates []string) {
	t.Helper()
	all, err := w.Service.Store.Messages(t.Context(), 100)
	must(t, err)
	for _, m := range all {
		if m.To == to {
			templates = append(templates, m.Template)
		}
	}
	return templates
}

// named is the identifier of a person with a value.
func (w *demoWorld) named(t *testing.T, user, value string) idp.Identifier {
	t.Helper()
	names, err := w.Service.Store.Identifiers(t.Context(), user)
	must(t, err)
	for _, n := range names {
		if n.Value == value {
			return n
		}
	}
	t.Fatalf("no %s among %v", value, names)
	return idp.Identifier{}
}

// passkeyOptions are options to make a passkey of an account that is gone afterwards.
func (b *browser) passkeyOptions(t *testing.T, w *demoWorld) []byte {
	t.Helper()
	u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "gone.owner", TOTP: true})
	w.addCodes(t, u, 10)
	return b.open("/sign-in").signIn("gone.owner").open("/account/enrol?factor=passkey").at("enrol-passkey").options("")
}
