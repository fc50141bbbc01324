package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"hufu/idp"
	"hufu/idp/normal"
)

const passphrase = "马 staple correct 电池"

// code is a valid code of an index.
func code(i int) string {
	text := normal.RecoveryAlphabet[i:i+1] + "7K3MQ2XD0V8RA9"
	text += string(normal.RecoveryCheck(text))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

func sample() Kit {
	k := Kit{Kind: Kind, Version: Version, Issuer: "https://id.example.com", Set: idp.NewID(), Made: time.Date(2026, 3, 10, 4, 0, 0, 0, time.UTC), User: "lin.wei",
		Merchant: &Merchant{Number: "822290059430001", LegalName: "林记小馆"}}
	for i := range 10 {
		k.Codes = append(k.Codes, code(i))
	}
	for range MostTerminals {
		k.Merchant.Terminals = append(k.Merchant.Terminals, Terminal{Tail: "4417", Model: "HF-E20", Store: "鼓楼店"})
	}
	return k
}

func sealed(t *testing.T, k Kit) []byte {
	t.Helper()
	file, err := Seal(k, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func equal(a, b Kit) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func TestSealOpen(t *testing.T) {
	k := sample()
	file := sealed(t, k)
	if len(file) > MostBytes/4 {
		t.Errorf("a full kit is %d bytes", len(file))
	}
	for _, secret := range []string{k.User, k.Codes[0], "林记", passphrase} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("%s is in clear", secret)
		}
	}
	got, err := Open(file, passphrase)
	if err != nil || !equal(got, k) {
		t.Fatalf("%+v %v", got, err)
	}
	if got, err := Open(append([]byte("\r\n"), file...), passphrase); err != nil || !equal(got, k) {
		t.Errorf("after a mailer: %v", err)
	}
	for _, wrong := range []string{"", " ", passphrase + " ", strings.ToUpper(passphrase)} {
		if got, err := Open(file, wrong); err != ErrPassphrase || got.Set != "" {
			t.Errorf("%q: %+v %v", wrong, got, err)
		}
	}
	if _, err := Seal(k, ""); err == nil {
		t.Error("sealed under nothing")
	}
}

// The public library opens the file as it is set up by default, and what it writes is read.
func TestPublicAge(t *testing.T) {
	k := sample()
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed(t, k))), id)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(plain, &got); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(got))
	if want := []string{"codes", "issuer", "kind", "made", "merchant", "set", "user", "version"}; !slices.Equal(names, want) {
		t.Errorf("a kit holds %v, want %v", names, want)
	}
	if back, err := Open(encrypted(t, plain, 10), passphrase); err != nil || !equal(back, k) {
		t.Errorf("without armor: %v", err)
	}
}

// What the public tool itself wrote is read: age 1.3.2, "age -e -a -j batchpass" with
// AGE_PASSPHRASE_WORK_FACTOR=16. The same tool opens ours, see docs/recovery-kit.md.
func TestPublicTool(t *testing.T) {
	file, err := os.ReadFile("testdata/public-tool.age")
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(file, passphrase)
	if want := sample(); err != nil || k.User != want.User || !slices.Equal(k.Codes, want.Codes) || !slices.Equal(k.Merchant.Terminals, want.Merchant.Terminals) || !k.Made.Equal(want.Made) {
		t.Errorf("%+v %v", k, err)
	}
	if _, err := Open(file, passphrase+"x"); err != ErrPassphrase {
		t.Errorf("under another passphrase: %v", err)
	}
}

// encrypted is any content as an age file without armor.
func encrypted(t testing.TB, plain []byte, work int) []byte {
	t.Helper()
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(work)
	return encryptedTo(t, plain, to)
}

func encryptedTo(t testing.TB, plain []byte, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is no file of ours costs nothing, or what one of ours costs.
func TestHostileFiles(t *testing.T) {
	good := encrypted(t, []byte("{}"), 2)
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"nothing":             {},
		"a text":              []byte("7K3M-Q2XD-0V8R-A9TZ\r\n"),
		"a picture":           append([]byte("\x89PNG\r\n"), make([]byte, 4000)...),
		"too much work":       bytes.Replace(good, []byte(" 2\n"), []byte(" 17\n"), 1),
		"very much work":      bytes.Replace(good, []byte(" 2\n"), []byte(" 99999999999999999999\n"), 1),
		"no work":             bytes.Replace(good, []byte(" 2\n"), []byte(" 0\n"), 1),
		"another version":     bytes.Replace(good, []byte("org/v1"), []byte("org/v2"), 1),
		"to a key":            encryptedTo(t, []byte("{}"), other.Recipient()),
		"cut off":             good[:len(good)-20],
		"cut off in its head": good[:60],
		"armor of nothing":    []byte(armor.Header + "\n" + armor.Footer + "\n"),
		"armor without end":   []byte(armor.Header + "\n" + strings.Repeat("A", 64) + "\n"),
		"too long":            append(slices.Clone(good), make([]byte, MostBytes)...),
		"too long inside":     encrypted(t, []byte(`{"kind":"`+strings.Repeat("x", MostBytes-1000)+`"}`), 2),
		"two stanzas":         bytes.Replace(good, []byte("\n---"), append([]byte("\n"), stanza(good)...), 1),
		"another content":     encrypted(t, []byte("hello"), 2),
		"an empty kit":        good,
		"deep":                encrypted(t, []byte(strings.Repeat("[", 20000)), 2),
	} {
		begun := time.Now()
		if k, err := Open(file, passphrase); err != ErrFile || k.Set != "" {
			t.Errorf("%s: %+v %v", name, k, err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-1] ^= 1
	if _, err := Open(flipped, passphrase); err != ErrFile {
		t.Errorf("a flipped bit: %v", err)
	}
}

func stanza(file []byte) []byte {
	lines := bytes.SplitAfterN(file, []byte("\n"), 4)
	return slices.Concat(lines[1], lines[2], []byte("---"))
}

// Contents are held to what a kit can say: they are shown on a page.
func TestContents(t *testing.T) {
	for name, change := range map[string]func(k *Kit){
		"kind":              func(k *Kit) { k.Kind = "hufu" },
		"version":           func(k *Kit) { k.Version = 2 },
		"no set":            func(k *Kit) { k.Set = "" },
		"set":               func(k *Kit) { k.Set = strings.ToUpper(k.Set) },
		"no day":            func(k *Kit) { k.Made = time.Time{} },
		"no user":           func(k *Kit) { k.User = "" },
		"two lines":         func(k *Kit) { k.User = "lin.wei\nhufu" },
		"backwards":         func(k *Kit) { k.Issuer = "https://\u202emoc.elpmaxe" },
		"long":              func(k *Kit) { k.Merchant.LegalName = strings.Repeat("林", mostText+1) },
		"bytes":             func(k *Kit) { k.Merchant.Number = "\xff" },
		"no codes":          func(k *Kit) { k.Codes = nil },
		"many codes":        func(k *Kit) { k.Codes = slices.Repeat(k.Codes, 4) },
		"a code's place":    func(k *Kit) { k.Codes[1] = k.Codes[0] },
		"a slip in a code":  func(k *Kit) { k.Codes[1] = k.Codes[1][:18] + "!" },
		"many terminals":    func(k *Kit) { k.Merchant.Terminals = append(k.Merchant.Terminals, Terminal{"1", "m", "s"}) },
		"a terminal's tail": func(k *Kit) { k.Merchant.Terminals[0].Tail = "" },
	} {
		k := sample()
		change(&k)
		if _, err := Seal(k, passphrase); err == nil {
			t.Errorf("%s: sealed", name)
		}
		plain, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(encrypted(t, plain, 2), passphrase); err != ErrFile && name != "bytes" { // JSON has no such bytes
			t.Errorf("%s: %v", name, err)
		}
	}
	staff := sample()
	staff.Merchant = nil
	if got, err := Open(sealed(t, staff), passphrase); err != nil || !equal(got, staff) {
		t.Errorf("the operator's own: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	plain, err := sample().encode()
	if err != nil {
		f.Fatal(err)
	}
	good := encrypted(f, plain, 2)
	for _, seed := range [][]byte{good, good[:100], nil, []byte(armor.Header + "\n"), bytes.Replace(good, []byte(" 2\n"), []byte(" 16\n"), 1), encrypted(f, []byte("{}"), 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := Open(file, passphrase)
		if err != nil {
			if !errors.Is(err, ErrFile) && !errors.Is(err, ErrPassphrase) || k.Set != "" {
				t.Errorf("%+v %v", k, err)
			}
			return
		}
		if k.check() != "" {
			t.Errorf("%+v: %s", k, k.check())
		}
	})
}

// Contents alone: the fuzzer finds no key of an age file.
func FuzzDecode(f *testing.F) {
	plain, err := sample().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte(`{"kind":"hufu-kit","version":1,"codes":[""]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := decode(data)
		if err != nil {
			return
		}
		again, err := k.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(again); err != nil || !equal(back, k) {
			t.Errorf("%+v comes back as %+v, %v", k, back, err)
		}
	})
}
