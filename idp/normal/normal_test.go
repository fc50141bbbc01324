package normal

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"hufu/idp"
)

func TestIdentifier(t *testing.T) {
	for _, c := range []struct {
		typed string
		kind  idp.IdentifierKind
		value string
	}{
		{"lin.wei", idp.IdentifierUsername, "lin.wei"},
		{" Lin.Wei ", idp.IdentifierUsername, "lin.wei"},
		{"ｌｉｎ．ｗｅｉ", idp.IdentifierUsername, "lin.wei"},
		{"STRASSE", idp.IdentifierUsername, "strasse"},
		{"straße", idp.IdentifierUsername, "strasse"},
		{"林薇", idp.IdentifierUsername, "林薇"},
		{"13800000001", idp.IdentifierPhone, "+8613800000001"},
		{"138-0000-0001", idp.IdentifierPhone, "+8613800000001"},
		{"+86 138 0000 0001", idp.IdentifierPhone, "+8613800000001"},
		{"＋８６１３８０００００００１", idp.IdentifierPhone, "+8613800000001"},
		{"Lin.Wei@Example.COM", idp.IdentifierEmail, "lin.wei@example.com"},
		{"822290059430001", idp.IdentifierMerchantNo, "822290059430001"},
		{"8222 9005 9430 001", idp.IdentifierMerchantNo, "822290059430001"},
	} {
		kind, value, ok := Identifier(c.typed)
		if !ok || kind != c.kind || value != c.value {
			t.Errorf("Identifier(%q) = %v %q %v, want %v %q", c.typed, kind, value, ok, c.kind, c.value)
		}
	}
	for _, bad := range []string{"", "  ", "a", "a b", "x@", "@x.com", "a@b", "a@b@c.com", "\x00admin", "\xff\xfe", "1", "+++", "<script>", "a\u202eb"} {
		if kind, value, ok := Identifier(bad); ok {
			t.Errorf("Identifier(%q) accepted as %v %q", bad, kind, value)
		}
	}
}

func TestDigits(t *testing.T) {
	for typed, want := range map[string]string{"123456": "123456", "123 456": "123456", "１２３４５６": "123456", "123-456": "123456", "١٢٣٤٥٦": "123456", "१२३४५६": "123456", " 12\u200b3456\n": "123456", "000000": "000000", "𝟏𝟐𝟑𝟒𝟓𝟔": "123456"} {
		if got, ok := Digits(typed, 6); !ok || got != want {
			t.Errorf("Digits(%q) = %q %v, want %q", typed, got, ok, want)
		}
	}
	for _, bad := range []string{"", "12345", "1234567", "12345a", "abcdef", "12345\u00bd"} {
		if got, ok := Digits(bad, 6); ok {
			t.Errorf("Digits(%q) accepted as %q", bad, got)
		}
	}
}

func TestUserCode(t *testing.T) {
	for _, typed := range []string{"BCDFGHJK", "bcdf-ghjk", "BCDF GHJK", " bcdf–ghjk "} {
		if got, ok := UserCode(typed); !ok || got != "BCDFGHJK" {
			t.Errorf("UserCode(%q) = %q %v", typed, got, ok)
		}
	}
	for _, bad := range []string{"", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "BCDF0HJK"} {
		if got, ok := UserCode(bad); ok {
			t.Errorf("UserCode(%q) accepted as %q", bad, got)
		}
	}
}

func FuzzIdentifier(f *testing.F) {
	for _, s := range []string{"lin.wei", "13800000001", "a@b.cn", "822290059430001", "ﬁ", "İ", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, value, ok := Identifier(s)
		if !ok {
			return
		}
		if k2, v2, ok2 := Identifier(value); !ok2 || k2 != kind || v2 != value {
			t.Fatalf("not stable: %q -> %v %q -> %v %q %v", s, kind, value, k2, v2, ok2)
		}
	})
}

func FuzzCodes(f *testing.F) {
	f.Add("123456")
	f.Add("bcdf-ghjk")
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := Digits(s, 6); ok {
			if again, ok := Digits(d, 6); !ok || again != d {
				t.Fatalf("%q -> %q -> %q", s, d, again)
			}
		}
		if c, ok := UserCode(s); ok {
			if again, ok := UserCode(c); !ok || again != c {
				t.Fatalf("%q -> %q -> %q", s, c, again)
			}
		}
	})
}

func TestRecoveryCode(t *testing.T) {
	const code = "3K7MQ2XD0V8RA9T"
	want := code + string(RecoveryCheck(code))
	for _, typed := range []string{want, strings.ToLower(want), " 3k7m-q2xd\u3000ov8r – a9t" + want[15:] + "\n", "３Ｋ７Ｍ－Ｑ２ＸＤ－０Ｖ８Ｒ－Ａ９Ｔ" + want[15:]} {
		if got, index, ok := RecoveryCode(typed); !ok || got != want || index != 3 {
			t.Errorf("%q: %q %d %v", typed, got, index, ok)
		}
	}
	for _, typed := range []string{"", code, want + "0", want[:15], strings.Replace(want, "K", "U", 1), strings.Replace(want, "K", "*", 1), strings.Repeat(want, 20), "\xff" + want} {
		if got, _, ok := RecoveryCode(typed); ok {
			t.Errorf("%q: %q", typed, got)
		}
	}
	one := "1" + code[1:]
	one += string(RecoveryCheck(one))
	for _, l := range []string{"i", "I", "l", "L", "ｌ"} {
		if _, index, ok := RecoveryCode(l + one[1:]); !ok || index != 1 {
			t.Errorf("%s for 1: %d %v", l, index, ok)
		}
	}
}

// Every wrong character and every exchange of two, in many codes.
func TestRecoveryCodeFindsSlips(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var b []byte
		for range 15 {
			b = append(b, RecoveryAlphabet[random.IntN(32)])
		}
		code := append(b, RecoveryCheck(string(b)))
		if _, _, ok := RecoveryCode(string(code)); !ok {
			t.Fatalf("%s is refused", code)
		}
		for i := range code {
			for _, c := range []byte(RecoveryAlphabet) {
				slip := bytes.Clone(code)
				if slip[i] = c; c == code[i] {
					continue
				}
				if _, _, ok := RecoveryCode(string(slip)); ok {
					t.Fatalf("%s for %s is taken", slip, code)
				}
			}
			for j := range i {
				slip := bytes.Clone(code)
				if slip[i], slip[j] = code[j], code[i]; slip[i] == slip[j] {
					continue
				}
				if _, _, ok := RecoveryCode(string(slip)); ok {
					t.Fatalf("%s for %s is taken", slip, code)
				}
			}
		}
	}
}

func FuzzRecoveryCode(f *testing.F) {
	f.Add("3K7M-Q2XD-0V8R-A9TZ")
	f.Add("oooo iiii llll ｏｏｏｏ")
	f.Fuzz(func(t *testing.T, s string) {
		code, index, ok := RecoveryCode(s)
		if !ok {
			return
		}
		if again, i, ok := RecoveryCode(code); !ok || again != code || i != index || index < 0 || index > 31 {
			t.Fatalf("%q -> %q %d -> %q %d %v", s, code, index, again, i, ok)
		}
	})
}
