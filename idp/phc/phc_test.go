package phc

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/argon2"

	"hufu/idp"
)

func TestHashAndVerify(t *testing.T) {
	h := NewHasher(2)
	encoded, err := h.Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q %v", encoded, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct hors": false, "": false} {
		if ok, outdated, err := h.Verify(t.Context(), true, encoded, password); ok != want || outdated || err != nil {
			t.Errorf("%q: %v %v %v", password, ok, outdated, err)
		}
	}
	if ok, _, err := h.Verify(t.Context(), true, h.Dummy(), "correct horse"); ok || err != nil {
		t.Errorf("dummy: %v %v", ok, err)
	}
	// Made elsewhere with m=64 KiB, t=1: right, and due for a new hash.
	old := "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$"
	if _, _, err := h.Verify(t.Context(), true, old, "x"); err == nil {
		t.Error("a hash without a hash was taken")
	}
}

func TestOutdatedParametersAreTold(t *testing.T) {
	h := NewHasher(2)
	// RFC 9106's own shape: the same password, weaker parameters.
	weak := encodeWith(t, "pass", 64, 1)
	if ok, outdated, err := h.Verify(t.Context(), true, weak, "pass"); !ok || !outdated || err != nil {
		t.Errorf("%v %v %v", ok, outdated, err)
	}
}

func TestSaturationAnswersBusy(t *testing.T) {
	h := NewHasher(2)
	h.strangers <- struct{}{} // a stranger at work
	var busy, done atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, _, err := h.Verify(t.Context(), false, h.Dummy(), "x")
			if idp.KindOf(err) == idp.Unavailable {
				busy.Add(1)
			}
		})
	}
	wg.Go(func() {
		if _, _, err := h.Verify(t.Context(), true, h.Dummy(), "x"); err == nil {
			done.Add(1)
		}
	})
	wg.Wait()
	if busy.Load() != 4 || done.Load() != 1 {
		t.Errorf("%d strangers busy, %d known served", busy.Load(), done.Load())
	}
}

// Other heavy work takes the same room, and gives it back.
func TestSlot(t *testing.T) {
	h := NewHasher(2)
	release, err := h.Slot(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Verify(t.Context(), false, h.Dummy(), "x"); idp.KindOf(err) != idp.Unavailable {
		t.Errorf("a second stranger: %v", err)
	}
	release()
	if _, _, err := h.Verify(t.Context(), false, h.Dummy(), "x"); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parse(s); err == nil && (p.Memory > 1<<18 || p.Passes > 16) {
			t.Fatalf("dangerous cost taken: %+v", p)
		}
	})
}
func encodeWith(t *testing.T, password string, memory, passes uint32) string {
	t.Helper()
	salt := []byte("0123456789abcdef")
	hash := argon2.IDKey([]byte(password), salt, passes, memory, 1, hashLen)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", memory, passes, b64.EncodeToString(salt), b64.EncodeToString(hash))
}
