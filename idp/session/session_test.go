package session_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/storage"
	"hufu/storage/storagetest"
)

func manager(s *storage.Store, secure bool) *session.Manager {
	return &session.Manager{Store: s, Policy: policy.NewLive(policy.Default()), Ring: storagetest.Ring(), Secure: secure, Network: func(context.Context) string { return "203.0.113.0/24" },
		Device: func(*http.Request) string { return "Chrome · Linux" }, Admit: func(*http.Request) error { return nil }, Log: slog.New(slog.DiscardHandler),
		Copied: func(context.Context, string) error { return nil }}
}

func user(t *testing.T, s *storage.Store, role idp.Role) idp.User {
	t.Helper()
	u := idp.User{Name: "何敏", Role: role, Status: idp.UserActive, Language: "en"}
	if err := s.CreateUser(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// with is a request with what a recorder was given as cookies.
func with(w *httptest.ResponseRecorder) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	return r
}

// Cookies are out of reach of scripts and other sites, and bound to this host on https.
func TestCookieFlags(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		u := user(t, s, idp.RoleAuditor)
		for _, secure := range []bool{false, true} {
			m, w := manager(s, secure), httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil)
			if _, err := m.OpenFlow(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: "/"}); err != nil {
				t.Fatal(err)
			}
			m.SetCookie(w, idp.NewToken())
			b, _, err := m.Remember(t.Context(), r, u, nil)
			if err == nil {
				err = m.SetBrowserCookie(w, r, b)
			}
			if err != nil {
				t.Fatal(err)
			}
			cookies := w.Result().Cookies()
			if len(cookies) != 3 {
				t.Fatalf("%d cookies", len(cookies))
			}
			for _, c := range cookies {
				if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || strings.HasPrefix(c.Name, "__Host-") != secure {
					t.Errorf("secure %v: %s", secure, c)
				}
				if strings.Contains(c.Value, u.ID) {
					t.Errorf("%s names its user", c.Name)
				}
			}
		}
	})
}

// A session begins, is renewed under another value, ends; the oldest over the limit
// of its class end by themselves.
func TestSessionLifeCycle(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, m, u := t.Context(), manager(s, false), user(t, s, idp.RoleAuditor)
		proofs := []idp.Proof{{User: u.ID, Method: idp.MethodPassword, At: time.Now()}}
		var requests []*http.Request
		for range 4 { // three at most for operators
			ss, token, err := m.Begin(ctx, httptest.NewRequest("GET", "/", nil), u, nil, proofs, "")
			if err != nil || len(token) != 43 || strings.Contains(token, ss.ID) {
				t.Fatal(ss, token, err)
			}
			w := httptest.NewRecorder()
			m.SetCookie(w, token)
			requests = append(requests, with(w))
			time.Sleep(2 * time.Millisecond) // so that one is the oldest
		}
		for i, r := range requests {
			signed, err := m.Signed(r)
			if err != nil || (signed != nil) != (i > 0) {
				t.Fatalf("session %d: %v %v", i, signed, err)
			}
		}
		signed, err := m.Signed(requests[3])
		if err != nil {
			t.Fatal(err)
		}
		token, err := m.Renew(ctx, signed.Session, []idp.Proof{{User: u.ID, Method: idp.MethodTOTP, At: time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
		if old, err := m.Signed(requests[3].Clone(ctx)); err != nil || old != nil {
			t.Errorf("the old value after a renewal: %v %v", old, err)
		}
		w := httptest.NewRecorder()
		m.SetCookie(w, token)
		renewed, err := m.Signed(with(w))
		if err != nil || renewed == nil || len(renewed.Session.Proofs) != 2 || renewed.Session.ID != signed.Session.ID {
			t.Fatalf("renewed: %+v %v", renewed, err)
		}
		out := httptest.NewRecorder()
		if err := m.SignOut(ctx, out, with(w), "logout"); err != nil {
			t.Fatal(err)
		}
		if c := out.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
			t.Errorf("sign-out leaves %v", c)
		}
		if after, err := m.Signed(with(w)); err != nil || after != nil {
			t.Errorf("signed in after signing out: %v %v", after, err)
		}
		if _, err := m.Renew(ctx, signed.Session, nil); idp.KindOf(err) != idp.Expired {
			t.Errorf("an ended session is renewed: %v", err)
		}
		events, err := s.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "session.ended"}, 10)
		if err != nil || len(events) != 2 || events[0].Reason != "logout" || events[1].Reason != "limit" {
			t.Errorf("events %+v %v", events, err)
		}
	})
}

// The known browser: a generation on at each sign-in, the one before for lost
// answers, an older one shows a copy.
func TestKnownBrowser(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, m, u, other := t.Context(), manager(s, true), user(t, s, idp.RoleAuditor), user(t, s, idp.RoleAuditor)
		first := httptest.NewRequest("GET", "/", nil)
		cookie := func(r *http.Request, b idp.Browser) *http.Request {
			w := httptest.NewRecorder()
			if err := m.SetBrowserCookie(w, r, b); err != nil {
				t.Fatal(err)
			}
			return with(w)
		}
		b, fresh, err := m.Remember(ctx, first, u, nil)
		if err != nil || !fresh {
			t.Fatal(b, fresh, err)
		}
		one := cookie(first, b)
		known := func(r *http.Request, u idp.User) *idp.Browser {
			t.Helper()
			b, err := m.Known(ctx, r, u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if known(one, u) == nil || known(one, other) != nil || known(first, u) != nil {
			t.Fatal("who is known where")
		}
		b2, fresh, err := m.Remember(ctx, one, u, known(one, u))
		if err != nil || fresh || b2.ID != b.ID || b2.Generation != b.Generation+1 {
			t.Fatal(b2, fresh, err)
		}
		two := cookie(one, b2)
		if known(one, u) == nil || known(two, u) == nil {
			t.Error("the generation before is no longer known")
		}
		b3, _, err := m.Remember(ctx, two, u, known(two, u))
		if err != nil {
			t.Fatal(err)
		}
		three := cookie(two, b3)
		both := cookie(three, func() idp.Browser { b, _, err := m.Remember(ctx, three, other, nil); must(t, err); return b }())
		if known(both, u) == nil || known(both, other) == nil {
			t.Error("a browser is known for one person only")
		}
		here := func(r *http.Request, want ...string) {
			t.Helper()
			if users, err := m.Here(ctx, r); err != nil || !slices.Equal(users, want) {
				t.Errorf("here are %v, %v, want %v", users, err, want)
			}
		}
		here(first)
		here(both, other.ID, u.ID)
		here(one, "") // of an older generation: shown to nobody, and not yet lost
		var told []string
		m.Copied = func(ctx context.Context, user string) error {
			if !storage.InTx(ctx) {
				t.Error("told outside the transaction")
			}
			told = append(told, user)
			return nil
		}
		if known(one, u) != nil || known(three, u) != nil || known(both, u) != nil { // copied: lost for all
			t.Error("a copied cookie is still known")
		}
		if known(both, other) == nil {
			t.Error("the other person lost his")
		}
		here(both, other.ID, "")
		if !slices.Equal(told, []string{u.ID}) {
			t.Errorf("told %v of the copy, want its owner once", told)
		}
		events, err := s.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "browser.copied"}, 10)
		if err != nil || len(events) != 1 {
			t.Errorf("events %+v %v", events, err)
		}
		// Sealed under another ring: nobody's.
		_, ring := storagetest.KeyFile(t)
		m2 := manager(s, true)
		m2.Ring = ring
		if b, err := m2.Known(ctx, both, other.ID); b != nil || err != nil {
			t.Errorf("a forged cookie: %v %v", b, err)
		}
		if users, err := m2.Here(ctx, both); len(users) != 0 || err != nil {
			t.Errorf("a forged cookie names %v %v", users, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A network that opens too many flows gets none.
func TestAdmit(t *testing.T) {
	s := storagetest.New(t, storage.SQLite)
	m := manager(s, false)
	no := errors.New("too many")
	m.Admit = func(*http.Request) error { return no }
	w := httptest.NewRecorder()
	if _, err := m.OpenFlow(w, httptest.NewRequest("GET", "/", nil), idp.Demand{Kind: idp.FlowSignIn}); !errors.Is(err, no) || len(w.Result().Cookies()) != 0 {
		t.Error(err)
	}
}

// One function makes sessions, and one place calls it; the same for the row.
func TestOneWayIn(t *testing.T) {
	calls := map[string][]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"CreateSession", "Renew", "RenewSession", "SetCookie"}, sel.Sel.Name) {
					calls[sel.Sel.Name] = append(calls[sel.Sel.Name], strings.TrimPrefix(filepath.ToSlash(path), "../../"))
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Begin" && len(call.Args) == 6 {
					calls["Begin"] = append(calls["Begin"], strings.TrimPrefix(filepath.ToSlash(path), "../../"))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"CreateSession": "idp/session/session.go", "RenewSession": "idp/session/session.go", "Begin": "flows/complete.go", "Renew": "flows/complete.go"} {
		if len(calls[name]) != 1 || calls[name][0] != want {
			t.Errorf("%s is called in %v, want once in %s", name, calls[name], want)
		}
	}
}
