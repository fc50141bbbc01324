package normal

import (
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
