package totp

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/templates"
)

func secretOf(ascii, algorithm string, digits int) secret {
	return secret{Secret: b32.EncodeToString([]byte(ascii)), Digits: digits, Period: 30, Algorithm: algorithm}
}

// RFC 4226 appendix D.
func TestHOTPVectors(t *testing.T) {
	s := secretOf("12345678901234567890", "SHA1", 6)
	for n, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got, err := s.at(int64(n)); got != want || err != nil {
			t.Errorf("counter %d: %s %v, want %s", n, got, err, want)
		}
	}
}

// RFC 6238 appendix B, with the seeds of erratum 2866.
func TestTOTPVectors(t *testing.T) {
	seeds := map[string]string{"SHA1": "12345678901234567890", "SHA256": "12345678901234567890123456789012",
		"SHA512": "1234567890123456789012345678901234567890123456789012345678901234"}
	for _, c := range []struct {
		at           int64
		sha1, s2, s5 string
	}{
		{59, "94287082", "46119246", "90693936"}, {1111111109, "07081804", "68084774", "25091201"}, {1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"}, {2000000000, "69279037", "90698825", "38618901"}, {20000000000, "65353130", "77737706", "47863826"},
	} {
		for algorithm, want := range map[string]string{"SHA1": c.sha1, "SHA256": c.s2, "SHA512": c.s5} {
			if got, err := secretOf(seeds[algorithm], algorithm, 8).at(c.at / 30); got != want || err != nil {
				t.Errorf("%s at %d: %s %v, want %s", algorithm, c.at, got, err, want)
			}
		}
	}
	// Ours are the last six digits of the same.
	if got, err := Code(b32.EncodeToString([]byte(seeds["SHA1"])), time.Unix(59, 0)); got != "287082" || err != nil {
		t.Errorf("six digits at 59: %s %v", got, err)
	}
}

// attempt is one at an authenticator that has last used a step.
func attempt(used int64, known bool) (*factor.Attempt, string) {
	data := NewSecret()
	base32Secret, _ := SecretOf(data)
	return &factor.Attempt{Known: known, Credentials: []idp.Credential{{ID: "c", Data: data, Counter: used}}}, base32Secret
}

func typed(code string) url.Values { return url.Values{"code": {code}} }

func TestCheckWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10*365*24*time.Hour + 17*time.Second)
		now := time.Now()
		for steps := -25; steps <= 25; steps++ {
			for _, known := range []bool{false, true} {
				a, s := attempt(0, known)
				code, err := Code(s, now.Add(time.Duration(steps)*period))
				if err != nil {
					t.Fatal(err)
				}
				ans, err := Factor{}.Check(t.Context(), a, typed(code))
				if err != nil {
					t.Fatal(err)
				}
				right, reason := steps >= -1 && steps <= 1, ""
				switch {
				case right:
				case steps < -20 || steps > 20, steps > 0 && !known:
					reason = "otp.wrong" // a code of the future is still to come: strangers learn nothing
				default:
					reason = "otp.skew"
				}
				if ans.Right != right || !right && ans.Reason != reason || right && ans.Counter != now.Unix()/30+int64(steps) {
					t.Errorf("%d steps off, known %v: %+v, want right %v %s", steps, known, ans, right, reason)
				}
				if reason == "otp.skew" && ans.Drift != time.Duration(steps)*period {
					t.Errorf("%d steps off: drift %v", steps, ans.Drift)
				}
			}
		}
	})
}

// A step is accepted once, also when an earlier one comes after it.
func TestCheckUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := attempt(0, false)
		now := time.Now()
		for steps := -1; steps <= 1; steps++ {
			code, _ := Code(s, now.Add(time.Duration(steps)*period))
			a.Credentials[0].Counter = now.Unix() / 30
			ans, err := Factor{}.Check(t.Context(), a, typed(code))
			if used := steps <= 0; err != nil || ans.Used != used || ans.Right == used || used && ans.Reason != "otp.reused" {
				t.Errorf("step %d after step 0: %+v %v", steps, ans, err)
			}
		}
	})
}

// One code however it is typed, and what cannot be a code costs no guess.
func TestCheckNormalises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := attempt(0, false)
		code, _ := Code(s, time.Now())
		wide, arabic := "", ""
		for _, d := range code {
			wide += string('０' + d - '0')
			arabic += string('٠' + d - '0')
		}
		for _, text := range []string{code, " " + code + "\n", code[:3] + " " + code[3:], code[:3] + "-" + code[3:], code[:3] + "\u00a0" + code[3:], code[:3] + "–" + code[3:], wide, arabic, "\u3000" + wide} {
			ans, err := Factor{}.Check(t.Context(), a, typed(text))
			if err != nil || !ans.Right {
				t.Errorf("%q is not read as %s: %+v %v", text, code, ans, err)
			}
		}
		for _, text := range []string{"", "   ", code[:5], code + "0", "x" + code[1:], code + "\x00", "½" + code[1:], "²" + code[1:], strings.Repeat(code, 100)} {
			if text == "²"+code[1:] {
				continue // NFKC makes a digit of it: a code like any other
			}
			if _, err := (Factor{}).Check(t.Context(), a, typed(text)); idp.KindOf(err) != idp.Invalid || err == nil {
				t.Errorf("%q: %v, want malformed", text, err)
			}
		}
		if _, err := (Factor{}).Check(t.Context(), a, url.Values{}); err == nil || idp.KindOf(err) != idp.Invalid {
			t.Errorf("no code: %v", err)
		}
	})
}

func TestCheckWithoutAuthenticator(t *testing.T) {
	if ans, err := (Factor{}).Check(t.Context(), &factor.Attempt{}, typed("123456")); err != nil || ans.Right || ans.Credential != "" {
		t.Errorf("%+v %v", ans, err)
	}
	a := &factor.Attempt{Credentials: []idp.Credential{{ID: "c", Data: []byte("broken")}}}
	if ans, err := (Factor{}).Check(t.Context(), a, typed("123456")); err == nil || ans.Right || strings.Contains(err.Error(), "broken") {
		t.Errorf("broken data: %+v %v", ans, err)
	}
}

func TestCheckEnrol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := NewSecret()
		s, _ := SecretOf(data)
		a := &factor.Attempt{Scratch: data}
		code, _ := Code(s, time.Now())
		if step, err := (Factor{}).CheckEnrol(a, typed(code)); err != nil || step != time.Now().Unix()/30 {
			t.Errorf("right: %d %v", step, err)
		}
		for steps, msg := range map[int]string{-5: "otp.skew", 5: "otp.skew", 40: "otp.wrong"} {
			code, _ := Code(s, time.Now().Add(time.Duration(steps)*period))
			_, err := Factor{}.CheckEnrol(a, typed(code))
			if e, ok := err.(*idp.Error); !ok || e.Msg != msg {
				t.Errorf("%d steps off: %v, want %s", steps, err, msg)
			}
		}
		if _, err := (Factor{}).CheckEnrol(&factor.Attempt{}, typed(code)); err == nil {
			t.Error("enrolled without a secret")
		}
	})
}

func TestNewSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s, err := SecretOf(NewSecret())
		raw, derr := b32.DecodeString(s)
		if err != nil || derr != nil || len(raw) != 20 || seen[s] {
			t.Fatalf("%q: %v %v, %d bytes, want 160 new bits", s, err, derr, len(raw))
		}
		seen[s] = true
	}
}

func TestURI(t *testing.T) {
	for _, c := range []struct{ issuer, account, label, issuerParam string }{
		{"Hufu", "lin.wei", "Hufu:lin.wei", "Hufu"},
		{"示范收单", "林薇", "示范收单:林薇", "示范收单"},
		{"虎符: Pay & Co", "a:b@example.com", "虎符  Pay & Co:a b@example.com", "虎符  Pay & Co"},
		{"A%3AB", "c%3Ad", "A B:c d", "A B"},
		{"50% off?", "x/y#z", "50% off?:x/y#z", "50% off?"},
	} {
		raw := Factor{Issuer: c.issuer}.URI("JBSWY3DPEHPK3PXP", c.account)
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || strings.TrimPrefix(u.Path, "/") != c.label {
			t.Errorf("%q: %v: label %q, want %q", raw, err, u.Path, c.label)
			continue
		}
		if strings.Contains(raw, "+") || strings.Count(u.Path, ":") != 1 {
			t.Errorf("%q: apps read a plus as a plus, and a second colon as another issuer", raw)
		}
		q := u.Query()
		if q.Get("issuer") != c.issuerParam || q.Get("secret") != "JBSWY3DPEHPK3PXP" || q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" {
			t.Errorf("%q: %v", raw, q)
		}
	}
}

func TestShowEnrol(t *testing.T) {
	c, err := Factor{Issuer: "示范收单"}.ShowEnrol(t.Context(), &factor.Attempt{Login: "lin.wei", Action: "/x", Scratch: Data("JBSWY3DPEHPK3PXP")}, "zh-CN", "/later")
	if err != nil {
		t.Fatal(err)
	}
	p := c.(templates.EnrolTOTP)
	if p.Secret != "JBSW Y3DP EHPK 3PXP" || !strings.HasPrefix(string(p.URL), "otpauth://totp/") || !strings.Contains(string(p.QR), "<svg") || p.Later != "/later" {
		t.Errorf("%+v", p)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"123456", "１２３４５６", "", "12 34-56", "\xff\xfe", "१२३४५६", strings.Repeat("9", 999)} {
		f.Add(s)
	}
	a, _ := attempt(0, true)
	f.Fuzz(func(t *testing.T, text string) {
		ans, err := Factor{}.Check(t.Context(), a, typed(text))
		if err != nil && idp.KindOf(err) != idp.Invalid {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && ans.Right {
			t.Errorf("%q is malformed and right", text)
		}
	})
}
