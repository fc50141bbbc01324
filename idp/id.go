package idp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"time"
)

var base32lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a random 128-bit identifier as 26 lower-case base32 letters. It
// says nothing about when or for whom it was made, so it may serve as a `sub`.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base32lower.EncodeToString(b[:])
}

// NewTimeID returns an identifier whose text sorts by the given time: 64 bits
// of microseconds, then 64 random bits. Lists of events page by it.
func NewTimeID(at time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMicro()))
	_, _ = rand.Read(b[8:])
	return base32hex.EncodeToString(b[:])
}

// FirstTimeID is what ids of a moment begin with: those of the moment and after sort
// behind it, those before it do not.
func FirstTimeID(at time.Time) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(at.UnixMicro()))
	// 64 bits are twelve letters and four bits of a thirteenth, whose last one is random: it is 0 here.
	return base32hex.EncodeToString(b[:])
}

// base32hex keeps the order of the bytes in the order of the text.
var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewToken returns 256 random bits as 43 letters of base64url: session ids,
// flow ids, codes and tokens, of which only a hash is kept.
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
