package password

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

// hold says whether the person of an attempt has a password, and which.
func attempt(t *testing.T, h *phc.Hasher, password string) *factor.Attempt {
	t.Helper()
	hash, err := h.Hash(t.Context(), normal.Password(password))
	if err != nil {
		t.Fatal(err)
	}
	return &factor.Attempt{Credentials: []idp.Credential{{ID: "c", Method: idp.MethodPassword, Data: []byte(hash)}}}
}

func typed(s string) url.Values { return url.Values{"password": {s}} }

func TestCheck(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	long := strings.Repeat("𠮷", 256) // the longest: 256 characters of four bytes
	jamo := strings.Repeat("한", 256) // the same word typed in parts is nine bytes a character
	for _, c := range []struct{ set, typed string }{
		{"correct horse battery staple", "correct horse battery staple"},
		{" blanks stay ", " blanks stay "},
		{"ｐａｓｓｗｏｒｄ１２３", "password123"},
		{"café crème", "cafe\u0301 cre\u0300me"},
		{"Å ohm", "\u212b ohm"},
		{long, long},
		{jamo, strings.Repeat("\u1112\u1161\u11ab", 256)},
	} {
		ans, err := f.Check(t.Context(), attempt(t, f.Hasher, c.set), typed(c.typed))
		if err != nil || !ans.Right || ans.Credential != "c" || ans.Mark != nil || ans.Proof.Method != idp.MethodPassword || len(ans.Proof.Channels) != 1 || ans.Proof.Channels[0] != "memory" {
			t.Errorf("%.20q for %.20q: %+v %v", c.typed, c.set, ans, err)
		}
	}
	a := attempt(t, f.Hasher, "Correct horse")
	marks := map[string]string{}
	for _, wrong := range []string{"correct horse", "Correct horse ", "Correct  horse", "Correct hors", "Correct horse\x00", long + "x", strings.Repeat("a", 1<<16), "\xff\xfe"} {
		ans, err := f.Check(t.Context(), a, typed(wrong))
		if err != nil || ans.Right || ans.Reason != "pw.wrong" || ans.Credential != "c" || len(ans.Mark) != 32 {
			t.Errorf("%.20q: %+v %v", wrong, ans, err)
		}
		if was := marks[string(ans.Mark)]; was != "" {
			t.Errorf("%.20q and %.20q have one mark", wrong, was)
		}
		marks[string(ans.Mark)] = wrong
	}
	if _, err := f.Check(t.Context(), a, typed("")); err == nil || idp.KindOf(err) != idp.Invalid {
		t.Errorf("empty: %v, want malformed, which costs nothing", err)
	}
}

// More than 256 characters are never cut to a right password.
func TestNotTruncated(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	long := strings.Repeat("x", longest)
	ans, err := f.Check(t.Context(), attempt(t, f.Hasher, long), typed(long+"y"))
	if err != nil || ans.Right {
		t.Errorf("%+v %v", ans, err)
	}
}

// A name that nobody has costs the same hash and is answered in the same way: with
// the hasher busy both are refused as busy, so both wait for a slot of it.
func TestUnknownNameCostsAHash(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	known, unknown := attempt(t, f.Hasher, "Correct horse"), &factor.Attempt{}
	for name, a := range map[string]*factor.Attempt{"known": known, "unknown": unknown} {
		ans, err := f.Check(t.Context(), a, typed("wrong"))
		if err != nil || ans.Right || ans.Reason != "pw.wrong" || len(ans.Mark) != 32 {
			t.Errorf("%s: %+v %v", name, ans, err)
		}
		// Who gives up before a slot is free learns nothing: the hash comes first.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		busy := 0
		for range 50 { // a free slot may be taken although the context is over
			if _, err := f.Check(ctx, a, typed("wrong")); err != nil {
				busy++
			}
		}
		if busy == 0 {
			t.Errorf("%s: answered without a slot of the hasher", name)
		}
	}
}

// A hash of other parameters is made anew when it was right, and only then.
func TestRehash(t *testing.T) {
	f := Factor{Hasher: phc.NewHasher(2)}
	// "password" with 64 MiB, two passes: from the reference implementation's tests.
	old := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	a := &factor.Attempt{Credentials: []idp.Credential{{ID: "c", Data: []byte(old)}}}
	ans, err := f.Check(t.Context(), a, typed("password"))
	if err != nil || !ans.Right || ans.Rehash == nil {
		t.Fatalf("%+v %v", ans, err)
	}
	if a.Credentials[0].Data, err = ans.Rehash(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ans, err = f.Check(t.Context(), a, typed("password")); err != nil || !ans.Right || ans.Rehash != nil {
		t.Errorf("after it: %+v %v", ans, err)
	}
	a.Credentials[0].Data = []byte(old)
	if ans, err = f.Check(t.Context(), a, typed("wrong")); err != nil || ans.Right || ans.Rehash != nil {
		t.Errorf("wrong: %+v %v", ans, err)
	}
	a.Credentials[0].Data = []byte("broken")
	if ans, err = f.Check(t.Context(), a, typed("broken")); err == nil || ans.Right {
		t.Errorf("a broken hash: %+v %v", ans, err)
	}
}

func TestShow(t *testing.T) {
	c, err := Factor{}.Show(t.Context(), &factor.Attempt{Login: "lin.wei", Action: "/a", Again: "/b", Steps: true})
	if p := c.(templates.Password); err != nil || p.Login != "lin.wei" || p.Action != "/a" || p.RestartURL != "/b" || !p.SecondStep {
		t.Errorf("%+v %v", p, err)
	}
}
