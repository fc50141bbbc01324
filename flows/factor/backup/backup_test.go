package backup

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/phc"
	"hufu/templates"
)

func typed(s string) url.Values { return url.Values{"code": {s}} }

// paper is a person with a new set of codes.
func paper(t *testing.T, h *phc.Hasher, n int) ([]string, *factor.Attempt) {
	t.Helper()
	codes := NewSet(n)
	data, err := Seal(t.Context(), h, codes)
	if err != nil {
		t.Fatal(err)
	}
	return codes, &factor.Attempt{Credentials: []idp.Credential{{ID: "c", Method: idp.MethodBackup, Data: data}}}
}

func TestNewSet(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		for i, printed := range NewSet(10) {
			code, index, ok := normal.RecoveryCode(printed)
			if !ok || index != i || len(printed) != 19 || strings.ReplaceAll(printed, "-", "") != code || seen[code] {
				t.Fatalf("code %d is %q: %q %d %v", i, printed, code, index, ok)
			}
			seen[code] = true
		}
	}
	if n := len(NewSet(40)); n != 32 {
		t.Errorf("a set of 40 has %d codes", n)
	}
}

func TestSeal(t *testing.T) {
	h := phc.NewHasher(2)
	codes, a := paper(t, h, 3)
	data := string(a.Credentials[0].Data)
	for _, c := range codes {
		if plain, _, _ := normal.RecoveryCode(c); strings.Contains(data, c) || strings.Contains(data, plain) {
			t.Errorf("%s is kept as it is", c)
		}
	}
	if strings.Count(data, "$argon2id$") != 3 || Left([]byte(data)) != 3 {
		t.Errorf("%s, %d left", data, Left([]byte(data)))
	}
	for _, bad := range [][]string{{codes[1]}, {codes[0], codes[0]}, {"x"}} {
		if _, err := Seal(t.Context(), h, bad); err == nil {
			t.Errorf("%q is sealed", bad)
		}
	}
	if Left([]byte("broken")) != 0 {
		t.Error("broken data has codes left")
	}
}

// Each code works once, in any order; the others go on working.
func TestCheckOnce(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	codes, a := paper(t, f.Hasher, 4)
	for n, i := range []int{2, 0, 3, 1} {
		ans, err := f.Check(t.Context(), a, typed(" "+strings.ToLower(strings.ReplaceAll(codes[i], "-", " "))))
		if err != nil || !ans.Right || ans.Credential != "c" || ans.Used || ans.Counter != 0 || ans.Data == nil ||
			ans.Proof.Method != idp.MethodBackup || len(ans.Proof.Channels) != 1 || ans.Proof.Channels[0] != "paper:c" {
			t.Fatalf("code %d: %+v %v", i, ans, err)
		}
		if Left(a.Credentials[0].Data) != 4-n {
			t.Error("Check changed what it was given")
		}
		a.Credentials[0].Data = ans.Data
		if left := Left(ans.Data); left != 3-n {
			t.Errorf("%d left after %d", left, n+1)
		}
		ans, err = f.Check(t.Context(), a, typed(codes[i]))
		if err != nil || ans.Right || !ans.Used || ans.Reason != "backup.used" || ans.Data != nil || ans.Credential != "c" {
			t.Errorf("code %d again: %+v %v", i, ans, err)
		}
	}
}

// Whoever brings a whole kit gives the first code of it that is not used.
func TestUnused(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	codes, a := paper(t, f.Hasher, 3)
	for _, i := range []int{0, 2, 1} {
		if code := Unused(a.Credentials[0].Data, codes); code != codes[map[int]int{0: 0, 2: 1, 1: 1}[i]] {
			t.Errorf("before %d is used: %s of %v", i, code, codes)
		}
		ans, err := f.Check(t.Context(), a, typed(codes[i]))
		if err != nil {
			t.Fatal(err)
		}
		a.Credentials[0].Data = ans.Data
	}
	for _, data := range [][]byte{a.Credentials[0].Data, nil, []byte("broken"), []byte("{}")} { // all used, nobody's, broken, empty
		if code := Unused(data, codes); code != codes[0] {
			t.Errorf("%.20s: %s", data, code)
		}
	}
	if code := Unused(a.Credentials[0].Data, nil); code != "" {
		t.Errorf("none of none: %q", code)
	}
}

func TestCheckWrong(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	codes, a := paper(t, f.Hasher, 2)
	first, err := f.Check(t.Context(), a, typed(codes[0]))
	if err != nil {
		t.Fatal(err)
	}
	a.Credentials[0].Data = first.Data
	other := NewSet(10)
	for name, c := range map[string]struct {
		a    *factor.Attempt
		code string
	}{
		"another set's":           {a, other[1]},
		"another set's, used":     {a, other[0]},
		"an index outside":        {a, other[7]},
		"a name that nobody has":  {&factor.Attempt{}, other[1]},
		"of a set that was empty": {&factor.Attempt{Credentials: []idp.Credential{{ID: "c", Data: []byte("{}")}}}, other[0]},
	} {
		ans, err := f.Check(t.Context(), c.a, typed(c.code))
		credential := ""
		if len(c.a.Credentials) > 0 {
			credential = "c"
		}
		if err != nil || ans.Right || ans.Used || ans.Reason != "backup.wrong" || ans.Credential != credential || ans.Data != nil {
			t.Errorf("%s: %+v %v", name, ans, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		busy := 0
		for range 50 { // a free slot may be taken although the context is over
			if _, err := f.Check(ctx, c.a, typed(c.code)); err != nil {
				busy++
			}
		}
		if busy == 0 {
			t.Errorf("%s: answered without a slot of the hasher", name)
		}
	}
	slip := []byte(codes[1])
	slip[6], slip[7] = slip[7], slip[6]
	if slip[6] == slip[7] {
		slip[6] ^= 1
	}
	for field, key := range map[string]string{"": "code.empty", "  ": "code.empty", "123456": "backup.typo", string(slip): "backup.typo", codes[1] + "0": "backup.typo", strings.Repeat("x", 1<<16): "backup.typo"} {
		_, err := f.Check(t.Context(), a, typed(field))
		if e, ok := err.(*idp.Error); !ok || e.Kind != idp.Invalid || e.Field != "code" || e.Msg != key {
			t.Errorf("%.30q: %v, want %s", field, err, key)
		}
	}
	a.Credentials[0].Data = []byte("broken")
	if ans, err := f.Check(t.Context(), a, typed(codes[1])); err == nil || ans.Right {
		t.Errorf("broken data: %+v %v", ans, err)
	}
}

func TestShow(t *testing.T) {
	work := &templates.Work{Bits: 3}
	c, err := Factor{}.Show(t.Context(), &factor.Attempt{Login: "lin.wei", Action: "/a", Work: work, Steps: true})
	if p, ok := c.(templates.Backup); err != nil || !ok || p.Login != "lin.wei" || p.Action != "/a" || p.Work != work || !p.Steps {
		t.Errorf("%+v %v", c, err)
	}
}
