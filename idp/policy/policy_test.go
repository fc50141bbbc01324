package policy_test

import (
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
)

// charges is how often a bucket admits in a window: the burst and what comes back.
func charges(b policy.Bucket, window time.Duration) float64 {
	return float64(b.Burst) + float64(window/b.Refill)
}

// The shipped numbers keep the inequalities: a thief who holds all that each row asks
// for does not get through in a month.
func TestInequalities(t *testing.T) {
	const month = 30 * 24 * time.Hour
	x := policy.Default().Throttle
	// E1: with the password known. TOTP takes three steps, a code has one value.
	second := (charges(x.TOTPStranger, month)+charges(x.TOTPBrowser, month))*3/1e6 + (charges(x.CodeStranger, month)+charges(x.CodeBrowser, month))/1e6
	if second >= 1e-4 {
		t.Errorf("E1: %g, want less than 1e-4", second)
	}
	// E2: passwords, 100 a month at most (the channel row comes with recovery: 9).
	if n := charges(x.PasswordStranger, month) + charges(x.PasswordBrowser, month) + 9; n > 100 {
		t.Errorf("E2: %g guesses a month", n)
	}
	// E4: user codes, with a thousand live ones of the guesser's own merchant.
	if p := charges(x.UserCodeAccount, month) * 1000 / 25_600_000_000; p > 6e-6 {
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
