// Package breach knows passwords that others have chosen before: a filter of frequent
// ones that ships with the program ([Common]) and the operator's own file of leaked ones
// ([File]). It asks no network.
//
// Invariant: neither needs memory that grows with its list.
package breach

import (
	_ "embed"
	"strings"

	"github.com/bits-and-blooms/bloom/v3"
)

// filter is a Bloom filter in little-endian words, as .dev/filter writes it; SOURCE.md
// says of which list. It is read in place.
//
//go:embed common.bloom
var filter string

// Hashes is how many bits of the filter a password sets.
const Hashes = 17

// Common is the list of frequent passwords that ships with the program. It says of one
// password in 100,000 that it is in the list though it is not.
type Common struct{}

// Has says whether a password is in the list, in capitals or not.
func (Common) Has(password string) (bool, error) {
	bits := uint64(len(filter)) * 8
	for _, at := range bloom.Locations([]byte(strings.ToLower(password)), Hashes) {
		at %= bits
		if filter[at/8]&(1<<(at%8)) == 0 {
			return false, nil
		}
	}
	return true, nil
}
