package kit

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hufu/idp"
)

func keyed(key string) MAC {
	return func(purpose string, text []byte) []byte {
		h := hmac.New(sha256.New, []byte(key+"/"+purpose))
		h.Write(text)
		return h.Sum(nil)
	}
}

func TestMark(t *testing.T) {
	mac := keyed("ours")
	m := Mark{Set: idp.NewID(), Day: time.Date(2026, 3, 10, 23, 59, 0, 0, time.FixedZone("UTC+8", 8*60*60))}
	text := m.Text(mac)
	if len(text) != 71 || !strings.HasPrefix(text, "hufu-kit.1."+m.Set+".2026-03-10.") {
		t.Fatalf("%q", text)
	}
	for _, typed := range []string{text, " " + text + "\r\n", "https://id.example.com/console/kit?mark=" + text} {
		got, err := ReadMark(typed, mac)
		if err != nil || got.Set != m.Set || got.Day.Format(time.DateOnly) != "2026-03-10" {
			t.Errorf("%q: %+v %v", typed, got, err)
		}
	}
	for name, typed := range map[string]string{
		"nothing":         "",
		"a word":          "hufu-kit",
		"another day":     strings.Replace(text, "2026-03-10", "2026-03-11", 1),
		"another set":     strings.Replace(text, m.Set, idp.NewID(), 1),
		"another version": strings.Replace(text, ".1.", ".2.", 1),
		"cut off":         text[:len(text)-1],
		"more":            text + "A",
		"no signature":    text[:strings.LastIndexByte(text, '.')+1],
		"another server":  m.Text(keyed("theirs")),
		"no set":          Mark{Day: m.Day}.Text(mac),
		"a set with dots": Mark{Set: "a.b", Day: m.Day}.Text(mac),
		"long":            strings.Repeat("hufu-kit.1.", 1<<16),
	} {
		if got, err := ReadMark(typed, mac); err != ErrMark || got.Set != "" {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	for i := range text {
		flipped := []byte(text)
		flipped[i] ^= 1
		if got, err := ReadMark(string(flipped), mac); err == nil {
			t.Errorf("byte %d flipped: %+v", i, got)
		}
	}
}

func FuzzReadMark(f *testing.F) {
	mac := keyed("ours")
	text := Mark{Set: idp.NewID(), Day: time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)}.Text(mac)
	for _, seed := range []string{text, "", "hufu-kit.1.", "?mark=" + text, text[:40], strings.Repeat(".", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		m, err := ReadMark(typed, mac)
		if err == nil && (!utf8.ValidString(m.Set) || !strings.HasSuffix(strings.TrimSpace(typed), m.Text(mac))) {
			t.Errorf("%q is %+v", typed, m)
		}
	})
}
