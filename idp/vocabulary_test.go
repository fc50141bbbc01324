package idp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// Who may give which scope that moves money: settlement the owner's,
// refunds above the limit his and the manager's, nothing of a merchant's for the
// operator's staff.
func TestScopesByRole(t *testing.T) {
	all := []string{"openid", "payments:read", "payments:refund", "settlement:manage"}
	for role, want := range map[idp.Role]int{idp.RoleOwner: 4, idp.RoleManager: 3, idp.RoleCashier: 2, idp.RolePolicyAdmin: 1, idp.RoleSupportAgent: 1,
		idp.RoleSupportSupervisor: 1, idp.RoleAuditor: 1} {
		if got := idp.ScopesFor(role, all); !slices.Equal(got, all[:want]) {
			t.Errorf("%s: %v, want %v", role, got, all[:want])
		}
	}
}

// A grant is redeemed only while all of its parties are as they should be.
func TestRedeemable(t *testing.T) {
	good := func() idp.Parties {
		return idp.Parties{Grant: idp.Grant{Scopes: []string{"openid", "payments:refund", "payments:read", "settlement:manage"}, ExpiresAt: t0.Add(time.Hour)},
			User:     idp.User{ID: "u", Role: idp.RoleOwner, Status: idp.UserActive, MerchantID: "m"},
			Merchant: &idp.Merchant{ID: "m", Status: idp.MerchantActive},
			Terminal: &idp.Terminal{MerchantID: "m", State: idp.TerminalActive}}
	}
	for reason, change := range map[string]func(p *idp.Parties){
		"":                     func(*idp.Parties) {},
		"grant.ended":          func(p *idp.Parties) { p.Grant.EndedAt = t0.Add(-time.Minute) },
		"grant.expired":        func(p *idp.Parties) { p.Grant.ExpiresAt = t0 },
		"client.denied":        func(p *idp.Parties) { p.Client.Disabled = true },
		"locked":               func(p *idp.Parties) { p.User.Locked = "fraud" },
		"left":                 func(p *idp.Parties) { p.User.Status = idp.UserLeft },
		"left ":                func(p *idp.Parties) { p.User.Status = idp.UserErased },
		"disabled":             func(p *idp.Parties) { p.User.Status = idp.UserDisabled },
		"disabled ":            func(p *idp.Parties) { p.User.Status = idp.UserInvited },
		"disabled  ":           func(p *idp.Parties) { p.User.Status = "" },
		"merchant.suspended":   func(p *idp.Parties) { p.Merchant.Status = idp.MerchantSuspended },
		"merchant.suspended ":  func(p *idp.Parties) { p.Merchant.Status = idp.MerchantPending },
		"merchant.suspended  ": func(p *idp.Parties) { p.Merchant.Status = idp.MerchantClosed },
		"terminal.new":         func(p *idp.Parties) { p.Terminal.State = idp.TerminalNew },
		"terminal.suspended":   func(p *idp.Parties) { p.Terminal.State = idp.TerminalSuspended },
		"terminal.lost":        func(p *idp.Parties) { p.Terminal.State = idp.TerminalLost },
		"terminal.retired":     func(p *idp.Parties) { p.Terminal.State = idp.TerminalRetired },
		"terminal.key":         func(p *idp.Parties) { p.Grant.Key = "k" },
		"terminal.key ":        func(p *idp.Parties) { p.Terminal.Key = "k" },
		"dev.foreign":          func(p *idp.Parties) { p.Terminal.MerchantID = "other" },
		" ":                    func(p *idp.Parties) { p.Merchant, p.User.MerchantID, p.Terminal = nil, "", nil }, // operator staff
		"  ":                   func(p *idp.Parties) { p.Grant.ExpiresAt = time.Time{} },
	} {
		p := good()
		change(&p)
		scopes, got := idp.Redeemable(p, t0)
		if got != strings.TrimSpace(reason) || (got == "") != (len(scopes) == 4) {
			t.Errorf("want %q: reason %q, scopes %v", strings.TrimSpace(reason), got, scopes)
		}
	}
	p := good()
	p.User.Frozen = true
	if scopes, reason := idp.Redeemable(p, t0); reason != "" || !slices.Equal(scopes, []string{"openid", "payments:read"}) {
		t.Errorf("frozen: %v %q, want no scope that moves money", scopes, reason)
	}
	for w, want := range map[idp.Withhold][]string{idp.WithholdPayee: {"openid", "payments:refund", "payments:read"}, idp.WithholdMoney: {"openid", "payments:read"}} {
		p = good()
		p.User.Withheld, p.User.WithheldUntil = w, t0.Add(time.Minute)
		if scopes, reason := idp.Redeemable(p, t0); reason != "" || !slices.Equal(scopes, want) {
			t.Errorf("%s withheld: %v %q, want %v", w, scopes, reason, want)
		}
		if scopes, _ := idp.Redeemable(p, p.User.WithheldUntil); len(scopes) != 4 {
			t.Errorf("%s withheld until then: %v", w, scopes)
		}
	}
	if len(p.Grant.Scopes) != 4 {
		t.Error("the grant's own scopes were changed")
	}
}

// The check digit finds every single wrong digit and every swap of neighbours.
func TestExplainCode(t *testing.T) {
	for range 300 {
		code := idp.NewExplainCode()
		if len(code) != 12 || !idp.ValidExplainCode(code) || !idp.ValidExplainCode(strings.ReplaceAll(code, "-", " ")) {
			t.Fatalf("%q is not valid", code)
		}
		digits := []byte(strings.ReplaceAll(code, "-", ""))
		for i := range digits {
			was := digits[i]
			for d := byte('0'); d <= '9'; d++ {
				digits[i] = d
				if d != was && idp.ValidExplainCode(string(digits)) {
					t.Errorf("%s with digit %d as %c passes", code, i, d)
				}
			}
			digits[i] = was
			if i > 0 && digits[i] != digits[i-1] {
				digits[i], digits[i-1] = digits[i-1], digits[i]
				if idp.ValidExplainCode(string(digits)) {
					t.Errorf("%s with digits %d and %d swapped passes", code, i-1, i)
				}
				digits[i], digits[i-1] = digits[i-1], digits[i]
			}
		}
	}
	for _, s := range []string{"", "123", "482-913-05760", "48291305７6", "abcdefghij", "482_913_0576"} {
		if idp.ValidExplainCode(s) {
			t.Errorf("%q passes", s)
		}
	}
}

func TestMasked(t *testing.T) {
	for _, c := range []struct {
		kind        idp.IdentifierKind
		value, want string
	}{
		{idp.IdentifierPhone, "+8613800000001", "138****0001"},
		{idp.IdentifierPhone, "+4915112345678", "+49****5678"},
		{idp.IdentifierPhone, "+8612345", "****"},
		{idp.IdentifierPhone, "", "****"},
		{idp.IdentifierEmail, "lin.wei@example.com", "l***@example.com"},
		{idp.IdentifierEmail, "林@例子.cn", "林***@例子.cn"},
		{idp.IdentifierEmail, "no address", "***"},
		{idp.IdentifierUsername, "lin.wei", "lin.wei"},
	} {
		if got := (idp.Identifier{Kind: c.kind, Value: c.value}).Masked(); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.kind, c.value, got, c.want)
		}
	}
}

// A masked user name is never all of it, and as short for a long one.
func TestMaskName(t *testing.T) {
	for name, want := range map[string]string{"lin.wei": "l***i", "abc": "a***c", "ab": "a***", "a": "a***", "": "***", "林晓薇": "林***薇", "林薇": "林***", "a.very.long.name": "a***e"} {
		if got := idp.MaskName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A secret prints nowhere, whatever it is inside of.
func TestSecretNeverPrints(t *testing.T) {
	const word = "hunter2"
	type config struct {
		DSN idp.Secret
		P   *idp.Secret
		M   map[string]idp.Secret
	}
	s := idp.Secret(word)
	c := config{s, &s, map[string]idp.Secret{"k": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%T", "%10s", "%-10q", "%c", "%U", "%t", "%o", "%b", "%e"} {
		for _, v := range []any{s, &s, []idp.Secret{s}, c, &c, fmt.Errorf("open %v", s), map[idp.Secret]int{s: 1}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", s, "pointer", &s, "in", c, "group", slog.GroupValue(slog.Any("s", s)))
	}
	text, err := json.Marshal([]any{s, &s, struct{ S idp.Secret }{s}, c})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, form := range []string{word, fmt.Sprintf("%x", word), fmt.Sprintf("%X", word), fmt.Sprintf("% x", word)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q shows in:\n%s", form, out.String())
		}
	}
	if s.Reveal() != word {
		t.Error("revealed something else")
	}
}

// The list of events and the names that the code writes are the same.
func TestEventNames(t *testing.T) {
	written := map[string]bool{}
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		skip := map[ast.Node]bool{} // the list itself
		ast.Inspect(file, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "EventNames" {
				skip[v] = true
				return false
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					written[s] = true
				}
			}
			if kv, ok := n.(*ast.KeyValueExpr); ok && inEvent(file, kv) {
				if lit, ok := kv.Value.(*ast.BasicLit); ok {
					s, _ := strconv.Unquote(lit.Value)
					if _, ok := idp.EventNames[s]; !ok {
						t.Errorf("%s writes %q, which is not in the list", set.Position(kv.Pos()), s)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var never []string
	for name := range idp.EventNames {
		if !written[name] {
			never = append(never, name)
		}
	}
	slices.Sort(never)
	if len(never) > 0 {
		t.Errorf("in the list, but nothing writes them: %v", never)
	}
}

// inEvent says whether kv is the Name of an idp.Event literal.
func inEvent(file *ast.File, kv *ast.KeyValueExpr) (found bool) {
	if key, ok := kv.Key.(*ast.Ident); !ok || key.Name != "Name" {
		return false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok && slices.Contains(lit.Elts, ast.Expr(kv)) {
			if sel, ok := lit.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Event" {
				found = true
			}
		}
		return !found
	})
	return found
}

func TestUserReason(t *testing.T) {
	for reason, users := range map[string][]idp.User{
		"":         {{Status: idp.UserActive}, {Status: idp.UserActive, Frozen: true}, {Status: idp.UserActive, MustChange: true}},
		"locked":   {{Status: idp.UserActive, Locked: "x"}, {Status: idp.UserLeft, Locked: "x"}},
		"left":     {{Status: idp.UserLeft}, {Status: idp.UserErased}},
		"disabled": {{Status: idp.UserDisabled}, {Status: idp.UserInvited}, {}},
	} {
		for _, u := range users {
			if got := u.Reason(time.Now()); got != reason {
				t.Errorf("%+v: %q, want %q", u, got, reason)
			}
		}
	}
}

// Whose last day is over has left from that moment on, in the time zone of the operator.
func TestLastDay(t *testing.T) {
	china := time.FixedZone("UTC+8", 8*60*60)
	end := idp.DayEnd(time.Date(2026, 12, 31, 9, 30, 0, 0, china))
	if want := time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC); !end.Equal(want) {
		t.Errorf("the day ends at %v, want %v", end, want)
	}
	u := idp.User{Status: idp.UserActive, LeavesAt: end, Role: idp.RoleManager}
	p := idp.Parties{Grant: idp.Grant{ExpiresAt: end.Add(time.Hour), Scopes: []string{"openid"}}, User: u}
	for at, want := range map[time.Time]string{end.Add(-time.Microsecond): "", end: "left", end.Add(time.Hour): "grant.expired"} {
		if _, why := idp.Redeemable(p, at); why != want {
			t.Errorf("at %v: %q, want %q", at, why, want)
		}
	}
	if u.Locked = "x"; u.Reason(end) != "locked" {
		t.Error("a lock is told first")
	}
}

func TestChannelsAreVerified(t *testing.T) {
	for _, c := range []struct {
		n    idp.Identifier
		want bool
	}{
		{idp.Identifier{Kind: idp.IdentifierPhone, VerifiedAt: t0}, true},
		{idp.Identifier{Kind: idp.IdentifierEmail, VerifiedAt: t0}, true},
		{idp.Identifier{Kind: idp.IdentifierEmail}, false},
		{idp.Identifier{Kind: idp.IdentifierPhone, VerifiedAt: t0, Former: true}, false},
		{idp.Identifier{Kind: idp.IdentifierUsername, VerifiedAt: t0}, false},
		{idp.Identifier{Kind: idp.IdentifierMerchantNo, VerifiedAt: t0}, false},
	} {
		if c.n.Channel() != c.want {
			t.Errorf("%+v: a channel %v", c.n, c.n.Channel())
		}
	}
}

func TestRandomNames(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for _, s := range []string{idp.NewID(), idp.NewToken(), idp.NewTimeID(t0)} {
			if seen[s] {
				t.Fatalf("%s twice", s)
			}
			seen[s] = true
		}
	}
	if a, b := idp.NewTimeID(t0), idp.NewTimeID(t0.Add(time.Microsecond)); a >= b {
		t.Errorf("%s, of earlier, does not sort before %s", a, b)
	}
}

func TestKindOf(t *testing.T) {
	err := fmt.Errorf("outer: %w", &idp.Error{Kind: idp.Limited, Msg: "m", Err: errors.New("inner")})
	if idp.KindOf(err) != idp.Limited || idp.KindOf(errors.New("x")) != idp.Internal || idp.KindOf(nil) != idp.Internal {
		t.Error("kinds of errors")
	}
}
