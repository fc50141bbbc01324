// Package seal encrypts values at rest and computes look-up MACs, both under one key file.
//
// A sealed value is bound to its place (table, column, row): copied to any other place it does not open. The MAC is
// the only way to look a secret up without storing it; every purpose is a function of its own.
//
// Invariants: no key material and no plaintext appears in an error, a log line or a printed Ring; what does not
// verify does not open, and there is no second way to open it. The package knows no file, no database and no
// request: it is handed bytes. It imports nothing of ours.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// MACSize is the length of a MAC in bytes.
const MACSize = 32

// domain starts the associated data of every sealed value; a new layout of it takes a new name.
const domain = "hufu.seal.v1"

// ErrNotOpened says that a value does not verify: sealed under another key, for another place, or damaged. The
// three look alike on purpose.
var ErrNotOpened = errors.New("seal: the value does not open: other key, other place, or damaged")

// Place is where a sealed value lives. All three parts are needed.
type Place struct{ Table, Column, Row string }

// Ring holds the keys of one key file. It is safe for concurrent use.
type Ring struct {
	aead tink.AEAD
	mac  *prf.Set
	keys int // that open
}

// Len is how many keys the ring can open with; the newest of them seals.
func (r *Ring) Len() int { return r.keys }

// Seal encrypts plain for its place, under the newest key.
func (r *Ring) Seal(p Place, plain []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	sealed, err := r.aead.Encrypt(plain, p.associatedData())
	if err != nil {
		return nil, fmt.Errorf("seal: value of %s.%s could not be encrypted", p.Table, p.Column)
	}
	return sealed, nil
}

// Open decrypts a value that was sealed for the same place under any key of the ring.
func (r *Ring) Open(p Place, sealed []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	plain, err := r.aead.Decrypt(sealed, p.associatedData())
	if err != nil {
		return nil, ErrNotOpened
	}
	return plain, nil
}

// MAC returns the HMAC-SHA-256 of a value for one purpose. It does not change when encryption keys are rotated,
// so it may be stored and looked up. Compare with hmac.Equal where the value is a guess.
func (r *Ring) MAC(purpose string, value []byte) []byte {
	mac, err := r.mac.ComputePrimaryPRF(append(appendField(nil, purpose), value...), MACSize)
	if err != nil {
		panic("seal: the MAC key that Parse accepted cannot compute a MAC")
	}
	return mac
}

func (p Place) check() error {
	if p.Table == "" || p.Column == "" || p.Row == "" {
		return fmt.Errorf("seal: a place needs table, column and row, got %q, %q, %q", p.Table, p.Column, p.Row)
	}
	return nil
}

// associatedData is injective: each part stands behind its length, so no two places share it.
func (p Place) associatedData() []byte {
	ad := appendField(nil, domain)
	ad = appendField(ad, p.Table)
	ad = appendField(ad, p.Column)
	return appendField(ad, p.Row)
}

func appendField(b []byte, field string) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

const hidden = "[secret]"

// Format hides the ring from every verb of fmt.
func (Ring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

func (Ring) String() string   { return hidden }
func (Ring) GoString() string { return hidden }

// LogValue hides the ring from slog.
func (Ring) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the ring from encoders.
func (Ring) MarshalText() ([]byte, error) { return []byte(hidden), nil }
