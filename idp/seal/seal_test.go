package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

var totpSecret = Place{Table: "credentials", Column: "data", Row: "0198f1"}

// newKeyFile also returns the parsed ring.
func newKeyFile(t testing.TB) ([]byte, *Ring) {
	t.Helper()
	content, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	return content, ring
}

func mustSeal(t testing.TB, r *Ring, p Place, plain string) []byte {
	t.Helper()
	sealed, err := r.Seal(p, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealedValueOpensInItsPlace(t *testing.T) {
	_, ring := newKeyFile(t)
	for _, plain := range []string{"", "x", "JBSWY3DPEHPK3PXP", strings.Repeat("长", 100_000)} {
		sealed := mustSeal(t, ring, totpSecret, plain)
		got, err := ring.Open(totpSecret, sealed)
		if err != nil || string(got) != plain {
			t.Errorf("%d bytes: opened to %d bytes, error %v", len(plain), len(got), err)
		}
		if len(plain) > 1 && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the sealed value contains the plain one")
		}
		if bytes.Equal(sealed, mustSeal(t, ring, totpSecret, plain)) {
			t.Error("sealing twice gave the same bytes")
		}
	}
}

func TestSealedValueOpensNowhereElse(t *testing.T) {
	_, ring := newKeyFile(t)
	_, other := newKeyFile(t)
	p := Place{"ab", "cd", "ef"}
	sealed := mustSeal(t, ring, p, "secret")
	for _, wrong := range []Place{
		{"abc", "d", "ef"}, {"ab", "c", "def"}, {"a", "bcd", "ef"}, {"ab", "cde", "f"}, {"cd", "ab", "ef"},
		{"ab", "cd", "eg"}, {"ab", "ce", "ef"}, {"ac", "cd", "ef"}, {"AB", "cd", "ef"}, {"ab", "cd", "ef\x00"},
		{"ab", "cd\x02ef", "ef"}, {"ab\x02cd", "cd", "ef"},
	} {
		if _, err := ring.Open(wrong, sealed); !errors.Is(err, ErrNotOpened) {
			t.Errorf("%q: error %v, want ErrNotOpened", wrong, err)
		}
	}
	if _, err := other.Open(p, sealed); !errors.Is(err, ErrNotOpened) {
		t.Errorf("other key: error %v, want ErrNotOpened", err)
	}
}

func TestPlaceNeedsAllParts(t *testing.T) {
	_, ring := newKeyFile(t)
	for _, p := range []Place{{}, {"", "c", "r"}, {"t", "", "r"}, {"t", "c", ""}} {
		if _, err := ring.Seal(p, []byte("x")); err == nil {
			t.Errorf("sealed for %q", p)
		}
		if _, err := ring.Open(p, []byte("x")); err == nil {
			t.Errorf("opened for %q", p)
		}
	}
}

func TestDamagedValueDoesNotOpen(t *testing.T) {
	_, ring := newKeyFile(t)
	sealed := mustSeal(t, ring, totpSecret, "JBSWY3DPEHPK3PXP")
	for n := range sealed {
		if _, err := ring.Open(totpSecret, sealed[:n]); !errors.Is(err, ErrNotOpened) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
		for bit := range 8 {
			flipped := bytes.Clone(sealed)
			flipped[n] ^= 1 << bit
			if _, err := ring.Open(totpSecret, flipped); !errors.Is(err, ErrNotOpened) {
				t.Errorf("byte %d bit %d flipped: %v", n, bit, err)
			}
		}
	}
	if _, err := ring.Open(totpSecret, append(bytes.Clone(sealed), 0)); !errors.Is(err, ErrNotOpened) {
		t.Errorf("lengthened: %v", err)
	}
}

func TestMACIsSeparatedByPurposeAndKey(t *testing.T) {
	_, ring := newKeyFile(t)
	_, other := newKeyFile(t)
	if n := len(ring.MAC("device-code", []byte("v"))); n != MACSize {
		t.Fatalf("MAC has %d bytes, want %d", n, MACSize)
	}
	if !bytes.Equal(ring.MAC("p", []byte("v")), ring.MAC("p", []byte("v"))) {
		t.Error("the same MAC came out twice differently")
	}
	seen := map[string]string{}
	for _, c := range []struct {
		ring           *Ring
		purpose, value string
	}{
		{ring, "p", "v"}, {ring, "q", "v"}, {ring, "pv", ""}, {ring, "", "pv"}, {ring, "", ""}, {ring, "p", ""},
		{ring, "", "\x01pv"}, {other, "p", "v"},
	} {
		mac := hex.EncodeToString(c.ring.MAC(c.purpose, []byte(c.value)))
		if was, dup := seen[mac]; dup {
			t.Errorf("purpose %q value %q has the MAC of %s", c.purpose, c.value, was)
		}
		seen[mac] = fmt.Sprintf("%q %q", c.purpose, c.value)
	}
}

// TestRotation adds an encryption key as an operator's tool would and makes it the primary one.
func TestRotation(t *testing.T) {
	content, before := newKeyFile(t)
	var f keyFile
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	manager := keyset.NewManagerFromHandle(handleOf(t, f.AEAD))
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	f.AEAD = json.RawMessage(jsonOf(t, manager))
	rotated, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse(rotated)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Open(totpSecret, mustSeal(t, before, totpSecret, "old")); err != nil || string(got) != "old" {
		t.Errorf("value of the old key: %q, %v", got, err)
	}
	if _, err := before.Open(totpSecret, mustSeal(t, after, totpSecret, "new")); !errors.Is(err, ErrNotOpened) {
		t.Errorf("the old file opened a value of the new key: %v", err)
	}
	if !bytes.Equal(before.MAC("p", []byte("v")), after.MAC("p", []byte("v"))) {
		t.Error("the MAC changed with the encryption key")
	}
}

func TestParseRefuses(t *testing.T) {
	content, _ := newKeyFile(t)
	good := string(content)
	var f keyFile
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	parts := func(sealing, mac string) string {
		return fmt.Sprintf(`{"hufu_key_file":1,"aead":%s,"mac":%s}`, sealing, mac)
	}
	sealing, mac := string(f.AEAD), string(f.MAC)
	twoMACs := keyset.NewManagerFromHandle(handleOf(t, f.MAC))
	if _, err := twoMACs.Add(prf.HMACSHA256PRFKeyTemplate()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ content, want string }{
		"empty":             {"", "it is empty"},
		"blank":             {" \n", "it is empty"},
		"text":              {"hunter2", "is not the JSON object"},
		"array":             {"[]", "is not the JSON object"},
		"unknown member":    {strings.Replace(good, `"mac"`, `"mak"`, 1), "is not the JSON object"},
		"truncated":         {good[:len(good)/2], "is not the JSON object"},
		"trailing":          {good + "{}", "something follows"},
		"huge":              {good + strings.Repeat(" ", keyFileMax), "more than any key file"},
		"no version":        {`{}`, `"hufu_key_file" is 0`},
		"later version":     {strings.Replace(good, `": 1,`, `": 2,`, 1), "reads version 1"},
		"no aead":           {`{"hufu_key_file":1}`, `part "aead": it is missing`},
		"null aead":         {parts("null", mac), `part "aead": it is missing`},
		"no mac":            {`{"hufu_key_file":1,"aead":` + sealing + `}`, `part "mac": it is missing`},
		"empty keyset":      {parts("{}", mac), `part "aead": it is not a usable`},
		"swapped":           {parts(mac, sealing), "is not an AES-256-GCM key"},
		"aead as mac":       {parts(sealing, sealing), "is not an HMAC-SHA-256"},
		"aes-128":           {parts(jsonOf(t, managerOf(t, aead.AES128GCMKeyTemplate())), mac), "is not an AES-256-GCM key"},
		"no prefix":         {parts(jsonOf(t, managerOf(t, aead.AES256GCMNoPrefixKeyTemplate())), mac), "is not an AES-256-GCM key"},
		"hmac-512":          {parts(sealing, jsonOf(t, managerOf(t, prf.HMACSHA512PRFKeyTemplate()))), "is not an HMAC-SHA-256"},
		"two macs":          {parts(sealing, jsonOf(t, twoMACs)), "expected exactly one"},
		"key material lost": {parts(strings.Replace(sealing, `"value": "`, `"value": "!`, 1), mac), "it is not a usable"},
	} {
		t.Run(name, func(t *testing.T) {
			ring, err := Parse([]byte(c.content))
			if err == nil || ring != nil {
				t.Fatal("accepted")
			}
			if !strings.HasPrefix(err.Error(), "key file: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want it to contain %q", err, c.want)
			}
			for _, secret := range append(materials(c.content), "hunter2") {
				if strings.Contains(err.Error(), secret) {
					t.Error("the error quotes the file")
				}
			}
		})
	}
}

func TestGeneratedFilesDiffer(t *testing.T) {
	a, _ := newKeyFile(t)
	b, _ := newKeyFile(t)
	for _, secret := range materials(string(a)) {
		if strings.Contains(string(b), secret) {
			t.Error("two files share key material")
		}
	}
	if n := len(materials(string(a))); n != 2 {
		t.Errorf("%d keys in a new file, want 2", n)
	}
}

func TestRingNeverPrints(t *testing.T) {
	_, ring := newKeyFile(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("ring", "ring", ring, "value", *ring)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("ring", "ring", ring, "in", struct{ R *Ring }{ring})
	encoded, err := json.Marshal(map[string]any{"ring": ring})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, ring) + fmt.Sprintf(verb, *ring); got != hidden+hidden {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if got := ring.String() + ring.GoString(); got != hidden+hidden {
		t.Errorf("String and GoString give %q", got)
	}
	if string(encoded) != `{"ring":"[secret]"}` {
		t.Errorf("JSON is %s", encoded)
	}
	if strings.Count(log.String(), hidden) != 4 || strings.Contains(log.String(), "aead") {
		t.Errorf("log is %s", &log)
	}
}

func TestRingIsSafeForConcurrentUse(t *testing.T) {
	_, ring := newKeyFile(t)
	want := ring.MAC("p", []byte("v"))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			plain := fmt.Sprint("value ", i)
			sealed, err := ring.Seal(totpSecret, []byte(plain))
			if err != nil {
				t.Error(err)
			}
			if got, err := ring.Open(totpSecret, sealed); err != nil || string(got) != plain {
				t.Errorf("opened %q, %v", got, err)
			}
			if !bytes.Equal(ring.MAC("p", []byte("v")), want) {
				t.Error("MAC differs")
			}
		})
	}
	all.Wait()
}

func FuzzOpen(f *testing.F) {
	_, ring := newKeyFile(f)
	sealed := mustSeal(f, ring, totpSecret, "secret")
	f.Add("credentials", "data", "0198f1", sealed)
	f.Add("credentials", "data", "", sealed[:20])
	f.Add("t", "c", "r", []byte{})
	f.Fuzz(func(t *testing.T, table, column, row string, sealed []byte) {
		// The key is new in every process, so nothing that a fuzzer finds can verify.
		if plain, err := ring.Open(Place{table, column, row}, sealed); err == nil && string(plain) != "secret" {
			t.Fatalf("opened to %q", plain)
		}
	})
}

func FuzzParse(f *testing.F) {
	content, _ := newKeyFile(f)
	f.Add(content)
	f.Add([]byte(`{"hufu_key_file":1,"aead":{"primaryKeyId":1,"key":[]},"mac":{}}`))
	f.Add([]byte(`{"hufu_key_file":1}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		ring, err := Parse(content)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "key file: ") {
				t.Errorf("error %q", err)
			}
			return
		}
		got, err := ring.Open(totpSecret, mustSeal(t, ring, totpSecret, "x"))
		if err != nil || string(got) != "x" {
			t.Errorf("an accepted file does not open what it seals: %q, %v", got, err)
		}
		if len(ring.MAC("p", nil)) != MACSize {
			t.Error("an accepted file makes a MAC of another size")
		}
	})
}

func handleOf(t *testing.T, part []byte) *keyset.Handle {
	t.Helper()
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(part)))
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func managerOf(t *testing.T, template *tinkpb.KeyTemplate) *keyset.Manager {
	t.Helper()
	handle, err := keyset.NewHandle(template)
	if err != nil {
		t.Fatal(err)
	}
	return keyset.NewManagerFromHandle(handle)
}

func jsonOf(t *testing.T, manager *keyset.Manager) string {
	t.Helper()
	handle, err := manager.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// materials lists the base64 key values of a key file, well formed or not.
func materials(content string) []string {
	var found []string
	for _, after := range strings.Split(content, `"value"`)[1:] {
		if fields := strings.Split(after, `"`); len(fields) > 1 && len(fields[1]) > 8 {
			found = append(found, fields[1])
		}
	}
	return found
}
