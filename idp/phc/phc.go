// Package phc hashes passwords with Argon2id in the PHC string format, behind a
// semaphore sized to the cores: past saturation the answer is "busy" after at most
// [patience], never a queue of seconds. It reads no database and no request.
//
// Invariant: half of the slots are kept for people on known browsers, so that
// strangers cannot make their sign-in slow.
package phc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"hufu/idp"
)

// Cost is what one hash takes.
type Cost struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// Standard is OWASP's first choice for Argon2id.
var Standard = Cost{Memory: 19 * 1024, Passes: 2, Lanes: 1}

const (
	saltLen = 16
	hashLen = 32
)

// patience is how long a guess waits for a free slot.
const patience = 800 * time.Millisecond

// Hasher hashes and verifies passwords.
type Hasher struct {
	cost      Cost
	all       chan struct{}
	strangers chan struct{}
	dummy     string
}

// NewHasher returns a hasher that works on so many passwords at a time, at least two.
func NewHasher(slots int) *Hasher { return NewHasherAt(Standard, slots) }

// NewHasherAt is NewHasher at another cost.
func NewHasherAt(c Cost, slots int) *Hasher {
	slots = max(slots, 2)
	h := &Hasher{cost: c, all: make(chan struct{}, slots), strangers: make(chan struct{}, slots-slots/2)}
	h.dummy = encode(c, random(saltLen), random(hashLen))
	return h
}

// Dummy is a hash that no password has, for names that nobody has: verifying
// against it costs what verifying against a real one costs.
func (h *Hasher) Dummy() string { return h.dummy }

// Hash returns the PHC string of a password.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	release, err := h.Slot(ctx, true)
	if err != nil {
		return "", err
	}
	defer release()
	salt := random(saltLen)
	return encode(h.cost, salt, argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.Memory, h.cost.Lanes, hashLen)), nil
}

// Verify says whether a password has the hash, and whether the hash was made with
// other parameters than today's. known is true for people on a known browser.
func (h *Hasher) Verify(ctx context.Context, known bool, encoded, password string) (ok, outdated bool, err error) {
	p, err := parse(encoded)
	if err != nil {
		return false, false, err
	}
	release, err := h.Slot(ctx, known)
	if err != nil {
		return false, false, err
	}
	defer release()
	got := argon2.IDKey([]byte(password), p.salt, p.Passes, p.Memory, p.Lanes, uint32(len(p.hash)))
	ok = subtle.ConstantTimeCompare(got, p.hash) == 1
	return ok, p.Cost != h.cost || len(p.hash) != hashLen, nil
}

// Slot waits for room to do work as heavy as a hash, such as opening a file under a
// passphrase: one slot, or two for a stranger, one of the strangers' own and one of all.
// Whoever got it calls release.
func (h *Hasher) Slot(ctx context.Context, known bool) (release func(), err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	busy := &idp.Error{Kind: idp.Unavailable, Msg: "error.busy", Reason: "busy"}
	take := func(c chan struct{}) error {
		select {
		case c <- struct{}{}:
			return nil
		case <-timer.C:
			return busy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !known {
		if err := take(h.strangers); err != nil {
			return nil, err
		}
	}
	if err := take(h.all); err != nil {
		if !known {
			<-h.strangers
		}
		return nil, err
	}
	return func() {
		<-h.all
		if !known {
			<-h.strangers
		}
	}, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

var b64 = base64.RawStdEncoding

func encode(c Cost, salt, hash []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Lanes, b64.EncodeToString(salt), b64.EncodeToString(hash))
}

type parts struct {
	Cost
	salt, hash []byte
}

// errFormat never shows the hash itself.
var errFormat = errors.New("phc: not an argon2id hash of this format")

// parse reads $argon2id$v=19$m=…,t=…,p=…$salt$hash, refusing costs that would take
// the server down.
func parse(encoded string) (p parts, err error) {
	f := strings.Split(encoded, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errFormat
	}
	var rest string
	if n, err := fmt.Sscanf(f[3]+" .", "m=%d,t=%d,p=%d %s", &p.Memory, &p.Passes, &p.Lanes, &rest); err != nil || n != 4 || rest != "." {
		return p, errFormat
	}
	var err1, err2 error
	p.salt, err1 = b64.DecodeString(f[4])
	p.hash, err2 = b64.DecodeString(f[5])
	switch {
	case err1 != nil, err2 != nil, p.Memory < 8 || p.Memory > 1<<18, p.Passes < 1 || p.Passes > 16, p.Lanes < 1 || p.Lanes > 8,
		len(p.salt) < 8 || len(p.salt) > 64, len(p.hash) < 16 || len(p.hash) > 64:
		return p, errFormat
	}
	return p, nil
}
