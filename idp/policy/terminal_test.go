package policy

import (
	"testing"

	"hufu/idp"
)

func TestVersions(t *testing.T) {
	order := []Version{"", "0", "3.9.9.9", "4", "4.1", "4.9", "4.10", "4.10.2", "10"}
	for i, v := range order {
		for j, w := range order {
			if got, want := v.Compare(w), compareInts(i, j); got != want {
				t.Errorf("%q to %q is %d, want %d", v, w, got, want)
			}
		}
	}
	if Version("4").Compare("4.0.0") != 0 {
		t.Error("4 is not 4.0.0")
	}
	for _, bad := range []string{".", "4.", ".4", "4..1", "v4", "4.1-beta", "1.2.3.4.5", "-1", "1234567890", "４", "4 ", "4\n"} {
		if _, ok := ParseVersion(bad); ok {
			t.Errorf("%q is a version", bad)
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Which role may let which terminal in, as shipped and with a stricter rule; one without
// a list is nobody's of the operator.
func TestApprovers(t *testing.T) {
	esign := &idp.Terminal{Kind: idp.TerminalESign}
	shipped, any := Default().Terminal, Terminals{}
	strict := Default().Terminal
	strict.Approvers.ESign.Active = []string{"owner"}
	for _, c := range []struct {
		rules Terminals
		role  idp.Role
		of    *idp.Terminal
		fresh bool
		want  bool
	}{
		{shipped, idp.RoleCashier, esign, false, true}, {shipped, idp.RoleCashier, esign, true, false}, {shipped, idp.RoleManager, esign, true, true},
		{shipped, idp.RoleCashier, nil, true, false}, {shipped, idp.RoleOwner, nil, true, true}, {shipped, idp.RoleAuditor, esign, false, false},
		{strict, idp.RoleManager, esign, false, false}, {strict, idp.RoleOwner, esign, false, true}, {strict, idp.RoleManager, &idp.Terminal{Kind: idp.TerminalSmart}, false, true},
		{any, idp.RoleCashier, esign, true, true}, {any, idp.RolePolicyAdmin, esign, true, false},
	} {
		if got := c.rules.MayApprove(c.role, c.of, c.fresh); got != c.want {
			t.Errorf("%s, %+v, fresh %v: %v", c.role, c.of, c.fresh, got)
		}
	}
}

func TestTooOld(t *testing.T) {
	rules := Terminals{MinimumSoftware: Software{ESign: "4.10"}}
	for _, c := range []struct {
		kind    idp.TerminalKind
		version Version
		old     bool
	}{{idp.TerminalESign, "", true}, {idp.TerminalESign, "4.9", true}, {idp.TerminalESign, "4.10", false}, {idp.TerminalESign, "5", false}, {idp.TerminalSmart, "", false}} {
		if rules.TooOld(c.kind, c.version) != c.old {
			t.Errorf("%s %q: %v", c.kind, c.version, !c.old)
		}
	}
}

// A terminal that is not known falls under the strictest tier.
func TestWhereTerminal(t *testing.T) {
	m, of := &idp.Merchant{No: "822290059430001", Tier: idp.TierMicro}, &idp.Terminal{StoreID: "s"}
	if got := WhereTerminal(of, m, "c"); got != (Facts{Tier: idp.TierMicro, Merchant: m.No, Store: "s", Client: "c"}) {
		t.Errorf("%+v", got)
	}
	if got := WhereTerminal(nil, nil, "c"); got != (Facts{Tier: idp.TierHighValue, Client: "c"}) {
		t.Errorf("%+v", got)
	}
}
