package policy_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
)

// charges is how often buckets admit in a window: the bursts and what comes back.
func charges(window time.Duration, all ...policy.Bucket) (n float64) {
	for _, b := range all {
		n += float64(b.Burst) + float64(window/b.Refill)
	}
	return n
}

// The shipped numbers keep the inequalities: a thief who holds all that each row asks
// for does not get through in a month. E3, of the codes that a recovery is proved with,
// belongs to recovery and comes with it.
func TestInequalities(t *testing.T) {
	const month = 30 * 24 * time.Hour
	x := policy.Default().Throttle
	// E1: with the password known, at a channel of the owner's and at a browser of his. TOTP
	// takes three steps, a code has one value.
	totp := charges(month, x.TOTPStranger, x.TOTPIntroduced, x.TOTPBrowser)
	codes := charges(month, x.CodeStranger, x.CodeBrowser)
	if p := (totp*3 + codes) / 1e6; p >= 1e-4 {
		t.Errorf("E1: %g, want less than 1e-4", p)
	}
	// E2: passwords, 100 a month at most.
	if n := charges(month, x.PasswordStranger, x.PasswordIntroduced, x.PasswordBrowser); n > 100 {
		t.Errorf("E2: %g guesses a month", n)
	}
	// E4: user codes of eight letters of twenty, with a thousand live ones of the guesser's
	// own merchant.
	if p := charges(month, x.UserCodeAccount) * 1000 / math.Pow(20, 8); p > 6e-6 {
		t.Errorf("E4: %g", p)
	}
	for name, w := range map[string]policy.Wait{"stranger": x.PasswordWait, "browser": x.PasswordBrowserWait, "user code": x.UserCodeWait} {
		if w.Unit < 30*time.Second || w.Cap > time.Hour || w.Cap < w.Unit || w.Forget < w.Cap {
			t.Errorf("wait of %s: %+v", name, w)
		}
	}
}

func TestClassOf(t *testing.T) {
	m := &idp.Merchant{Tier: idp.TierMicro}
	for _, c := range []struct {
		role idp.Role
		m    *idp.Merchant
		want policy.Class
	}{
		{idp.RoleOwner, m, policy.ClassMicro}, {idp.RoleCashier, nil, policy.ClassHighValue}, {idp.RoleAuditor, nil, policy.ClassOperator}, {idp.RolePolicyAdmin, m, policy.ClassOperator},
	} {
		if got := policy.ClassOf(idp.User{Role: c.role}, c.m); got != c.want {
			t.Errorf("%s: %s, want %s", c.role, got, c.want)
		}
	}
}

func TestSignIn(t *testing.T) {
	d, from := policy.Default(), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, role := range idp.Roles {
		for _, class := range []policy.Class{policy.ClassMicro, policy.ClassStandard, policy.ClassHighValue, policy.ClassOperator} {
			acr, until := d.SignIn(idp.User{Role: role, GraceFrom: from}, class)
			want, grace := idp.ACR2, time.Time{}
			if class == policy.ClassMicro || class == policy.ClassStandard {
				if grace = from.Add(7 * 24 * time.Hour); role == idp.RoleCashier {
					want, grace = idp.ACR1, time.Time{}
				}
			}
			if role == idp.RolePolicyAdmin {
				want = idp.ACRPhr
			}
			if role == idp.RoleCashier && class == policy.ClassOperator {
				continue // no such person
			}
			if acr != want || !until.Equal(grace) {
				t.Errorf("%s %s: %v until %v, want %v until %v", role, class, acr, until, want, grace)
			}
		}
	}
	for class, want := range map[policy.Class]bool{policy.ClassMicro: true, policy.ClassStandard: true, policy.ClassHighValue: false, policy.ClassOperator: false, "": false} {
		if d.SMSFactor(class) != want {
			t.Errorf("SMS as second factor of %q: %v", class, !want)
		}
	}
}

// Every class has its numbers: a missing one would be zero, which means at once.
func TestNumbersOfEveryClass(t *testing.T) {
	d := policy.Default()
	for _, class := range []policy.Class{policy.ClassMicro, policy.ClassStandard, policy.ClassHighValue, policy.ClassOperator} {
		s := d.Sessions[class]
		if s.Idle <= 0 || s.Absolute <= s.Idle || s.Most <= 0 || d.Tokens.RefreshIdle[class] <= 0 || d.Tokens.RefreshAbsolute[class] < d.Tokens.RefreshIdle[class] ||
			d.Tokens.TerminalIdle[class] <= 0 || d.Tokens.TerminalAbsolute[class] < d.Tokens.TerminalIdle[class] {
			t.Errorf("%s lacks numbers", class)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	d := policy.Default()
	for _, c := range []struct {
		password string
		alone    bool
		want     string
	}{
		{strings.Repeat("a", 9), false, "password.short"}, {strings.Repeat("a", 10), false, ""}, {strings.Repeat("a", 11), true, "password.short"}, {strings.Repeat("a", 12), true, ""},
		{strings.Repeat("好", 10), false, ""}, {strings.Repeat("好", 9), false, "password.short"}, {strings.Repeat("𠮷", 256), true, ""}, {strings.Repeat("a", 257), true, "password.long"},
		{strings.Repeat(" ", 12), true, ""}, {"\xff\xfe" + strings.Repeat("a", 20), true, "password.malformed"}, {"", true, "password.short"},
	} {
		got := ""
		if err := d.CheckPassword(c.password, c.alone); err != nil {
			got = err.(*idp.Error).Msg
		}
		if got != c.want {
			t.Errorf("%.20q alone %v: %q, want %q", c.password, c.alone, got, c.want)
		}
	}
}
