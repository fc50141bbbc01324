package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/storage/storagetest"
)

const (
	issuer   = "http://id.test"
	callback = "http://localhost:8081/callback"
	webback  = "https://shop.example/back?tenant=1"
	secret   = "s3cret-of-the-shop_0123456789"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
)

var everyScope = []string{"openid", "profile", "phone", "email", "offline_access", "merchant", "terminal", "payments:read", "payments:refund"}

var netipPeer = netip.MustParseAddr("203.0.113.7")

// world is a provider with one shop, three clients and a service.
type world struct {
	t        testing.TB
	p        *Provider
	h        http.Handler
	store    *storage.Store
	merchant idp.Merchant
	shop     idp.Store
	owner    idp.User
	cashier  idp.User
	operator idp.User
	terminal idp.Terminal
	key      *dpoptest.Key // of the terminal
}

// each runs a test on a world on each database.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) { fn(t, newWorld(t, s)) })
}

func newWorld(t testing.TB, s *storage.Store) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	doc := policy.NewLive(policy.Default())
	sessions := &session.Manager{Store: s, Policy: doc, Ring: storagetest.Ring(), Network: web.Network, Device: func(*http.Request) string { return "test" },
		Admit: func(*http.Request) error { return nil }, Log: log}
	site := &web.Site{Sessions: sessions, Issuer: issuer, Operator: "Hufu", Zone: time.UTC, Log: log}
	w := &world{t: t, store: s, key: dpoptest.New(), p: &Provider{Store: s, Site: site, Policy: doc, Issuer: issuer, Tokens: &web.Flood{PerMinute: 1e6}, Log: log}}
	w.must(w.p.addKey(t.Context(), algs[0]))
	mux := http.NewServeMux()
	w.p.Routes(mux)
	w.h = mux
	w.people()
	w.clients()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) people() {
	ctx := w.t.Context()
	w.merchant = idp.Merchant{No: "822290059430001", LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantActive}
	w.must(w.store.CreateMerchant(ctx, &w.merchant))
	w.shop = idp.Store{MerchantID: w.merchant.ID, Name: "中山路店", Place: "福州"}
	w.must(w.store.CreateStore(ctx, &w.shop))
	w.owner = idp.User{Name: "林薇", Language: "zh-CN", Role: idp.RoleOwner, MerchantID: w.merchant.ID, Status: idp.UserActive}
	w.must(w.store.CreateUser(ctx, &w.owner, &idp.Identifier{Kind: idp.IdentifierUsername, Value: "lin.wei"},
		&idp.Identifier{Kind: idp.IdentifierPhone, Value: "+8613800000001", VerifiedAt: time.Now()}, &idp.Identifier{Kind: idp.IdentifierEmail, Value: "lin.wei@example.com"}))
	w.cashier = idp.User{Name: "陈", Language: "zh-CN", Role: idp.RoleCashier, MerchantID: w.merchant.ID, StoreID: w.shop.ID, Status: idp.UserActive}
	w.must(w.store.CreateUser(ctx, &w.cashier))
	w.operator = idp.User{Name: "Ops", Language: "en", Role: idp.RoleAuditor, Status: idp.UserActive}
	w.must(w.store.CreateUser(ctx, &w.operator))
	w.terminal = idp.Terminal{Serial: "N910-0001", Model: "N910", Kind: idp.TerminalSmart, MerchantID: w.merchant.ID, StoreID: w.shop.ID, State: idp.TerminalNew}
	w.must(w.store.CreateTerminal(ctx, &w.terminal))
}

func (w *world) clients() {
	sum := sha256.Sum256([]byte(secret))
	hashes := [][]byte{sum[:]}
	for _, c := range []idp.Client{
		{ID: "app", Name: "App", Redirects: []string{callback}, PostLogout: []string{"http://localhost:8081/"}, Grants: []string{grantCode, grantRefresh}, Scopes: everyScope, FirstParty: true, AnyPort: true},
		{ID: "shop", Name: "Shop", SecretHashes: hashes, Redirects: []string{webback}, PostLogout: []string{"https://shop.example/bye"}, Grants: []string{grantCode, grantRefresh},
			Scopes: everyScope, Audience: []string{"settlement", "https://api.example"}},
		{ID: "settlement", Name: "Settlement", SecretHashes: hashes, Grants: []string{grantClient}, Scopes: []string{"payments:read", "settlement:manage", "openid"}, Audience: []string{"ledger", "https://api.example"}},
		{ID: "terminal", Name: "Terminal", Grants: []string{grantDevice, grantRefresh}, Scopes: everyScope, FirstParty: true},
		{ID: "plain", Name: "No refresh", Redirects: []string{callback}, Grants: []string{grantCode}, Scopes: everyScope, FirstParty: true},
		{ID: "pushing", Name: "PAR", SecretHashes: hashes, Redirects: []string{webback}, Grants: []string{grantCode, grantRefresh}, Scopes: everyScope, FirstParty: true, RequirePAR: true},
	} {
		w.must(w.store.CreateClient(w.t.Context(), &c))
	}
}

// proofs of a password, and of a TOTP if two, made at a time.
func proofs(u idp.User, two bool, at time.Time) []idp.Proof {
	p := []idp.Proof{{User: u.ID, Credential: "pw", Method: idp.MethodPassword, Channels: []string{"memory"}, At: at}}
	if two {
		p = append(p, idp.Proof{User: u.ID, Credential: "otp", Method: idp.MethodTOTP, Channels: []string{"totp:otp"}, At: at})
	}
	return p
}

// signIn makes a session as the sign-in flow would, and returns its cookie.
func (w *world) signIn(u idp.User, two bool, at time.Time) string {
	w.t.Helper()
	token := idp.NewToken()
	w.must(w.store.CreateSession(w.t.Context(), &idp.Session{UserID: u.ID, Proofs: proofs(u, two, at), CreatedAt: at, LastSeenAt: at,
		IdleUntil: time.Now().Add(8 * time.Hour), ExpiresAt: time.Now().Add(24 * time.Hour)}, session.Hash(token)))
	return "hufu-s=" + token
}

func (w *world) do(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r.WithContext(web.WithPeer(r.Context(), netipPeer)))
	return rec.Result()
}

func (w *world) get(path, cookie string) *http.Response {
	r := httptest.NewRequestWithContext(context.Background(), "GET", path, nil)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return w.do(r)
}

func formRequest(path string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), "POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// post sends a form as a client: public ones name themselves, others use Basic, and the
// terminal proves its key.
func (w *world) post(path, client string, form url.Values) (*http.Response, map[string]any) {
	w.t.Helper()
	form = maps.Clone(form)
	confidential := client == "shop" || client == "settlement" || client == "pushing"
	if !confidential && client != "" {
		form.Set("client_id", client)
	}
	r := formRequest(path, form)
	if confidential {
		r.SetBasicAuth(client, secret)
	}
	if client == "terminal" || client == "other" {
		r.Header.Set("DPoP", w.key.Proof("POST", issuer+path, ""))
	}
	res := w.do(r)
	return res, body(w.t, res)
}

func body(t testing.TB, res *http.Response) map[string]any {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if len(raw) > 0 && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	return v
}

func challengeOf(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// query is a right authorization request of a client, with changes: a value "-"
// leaves a parameter out.
func query(client string, change ...string) url.Values {
	uri := callback
	if client == "shop" || client == "pushing" {
		uri = webback
	}
	q := url.Values{"client_id": {client}, "redirect_uri": {uri}, "response_type": {"code"}, "scope": {"openid profile offline_access"}, "state": {"st4te"}, "nonce": {"n0nce"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == "-" {
			q.Del(change[i])
		} else {
			q.Set(change[i], change[i+1])
		}
	}
	return q
}

// answerOf returns the parameters of a redirect back to the client, nil if the
// response is none.
func answerOf(res *http.Response) url.Values {
	to := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "http") {
		return nil
	}
	u, err := url.Parse(to)
	if err != nil {
		return nil
	}
	return u.Query()
}

// code signs the owner in and returns a code for a client.
func (w *world) code(client string, change ...string) string {
	w.t.Helper()
	return w.codeWith(w.signIn(w.owner, true, time.Now()), client, change...)
}

func (w *world) codeWith(cookie, client string, change ...string) string {
	w.t.Helper()
	if client == "shop" {
		w.must(w.store.Consent(w.t.Context(), w.owner.ID, client, everyScope, time.Now()))
	}
	res := w.get("/authorize?"+query(client, change...).Encode(), cookie)
	code := answerOf(res).Get("code")
	if code == "" {
		w.t.Fatalf("no code: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
	return code
}

func exchange(client, code string) url.Values {
	uri := callback
	if client == "shop" || client == "pushing" {
		uri = webback
	}
	return url.Values{"grant_type": {grantCode}, "code": {code}, "redirect_uri": {uri}, "code_verifier": {verifier}}
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {grantRefresh}, "refresh_token": {token}}
}

// tokens signs the owner in and exchanges the code.
func (w *world) tokens(client string, change ...string) map[string]any {
	w.t.Helper()
	res, answer := w.post("/token", client, exchange(client, w.code(client, change...)))
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("exchange: %d %v", res.StatusCode, answer)
	}
	return answer
}

// refused fails the test unless the answer is this error.
func refused(t testing.TB, res *http.Response, answer map[string]any, status int, code string) {
	t.Helper()
	if res.StatusCode != status || answer["error"] != code {
		t.Errorf("got %d %v, want %d %s", res.StatusCode, answer, status, code)
	}
}

// payload reads the claims of a JWT without looking at its signature.
func payload(t testing.TB, token any) map[string]any {
	t.Helper()
	s, _ := token.(string)
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", s)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// events counts the events of a name.
func (w *world) events(name string) int {
	w.t.Helper()
	list, err := w.store.Events(w.t.Context(), storage.EventFilter{Name: name}, 1000)
	w.must(err)
	return len(list)
}

// active asks the introspection endpoint as its owner.
func (w *world) active(client string, token any) bool {
	w.t.Helper()
	s, _ := token.(string)
	_, answer := w.post("/introspect", client, url.Values{"token": {s}})
	return answer["active"] == true
}

// approve answers a device request as the approval page does.
func (w *world) approve(userCode string, u idp.User, two bool) {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now()
	d, err := w.store.DeviceRequestByUserCode(ctx, strings.ReplaceAll(userCode, "-", ""), now)
	w.must(err)
	g := idp.Grant{UserID: u.ID, ClientID: d.ClientID, TerminalID: d.TerminalID, Key: d.Key, Scopes: d.Scopes, Proofs: proofs(u, two, now), AuthTime: now, CreatedAt: now, ExpiresAt: now.Add(365 * 24 * time.Hour)}
	w.must(w.store.CreateGrant(ctx, &g))
	if d.TerminalID != "" {
		of, err := w.store.Terminal(ctx, d.TerminalID)
		w.must(err)
		w.must(only(w.store.BindTerminalKey(ctx, of.ID, of.Key, d.Key, now)))
		_, err = w.store.ActivateTerminal(ctx, d.TerminalID, now)
		w.must(err)
	}
	ok, err := w.store.DecideDeviceRequest(ctx, d.ID, idp.DeviceApproved, g.ID, now)
	w.must(err)
	if !ok {
		w.t.Fatal("the request could not be approved")
	}
}

func polling(code any) url.Values {
	s, _ := code.(string)
	return url.Values{"grant_type": {grantDevice}, "device_code": {s}}
}

// done fails the test unless the store did what it was told.
func (w *world) done(ok bool, err error) {
	w.t.Helper()
	w.must(err)
	if !ok {
		w.t.Fatal("the store found nothing to do")
	}
}

func only(_ bool, err error) error { return err }
