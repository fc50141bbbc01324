package idp

import (
	"crypto/rand"
	"math/big"
	"strings"
)

// damm is the quasigroup of order 10 of H. M. Damm (2004): it finds every single
// wrong digit and every swap of neighbours.
var damm = [10][10]byte{
	{0, 3, 1, 7, 5, 9, 8, 6, 4, 2}, {7, 0, 9, 2, 1, 5, 4, 8, 6, 3}, {4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
	{1, 7, 5, 0, 9, 8, 3, 4, 2, 6}, {6, 1, 2, 3, 0, 4, 5, 9, 7, 8}, {3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
	{5, 8, 6, 9, 7, 2, 0, 1, 3, 4}, {8, 9, 4, 5, 3, 6, 2, 0, 1, 7}, {9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
	{2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
}

// dammDigit returns the check digit of a run of digits.
func dammDigit(digits string) byte {
	var c byte
	for i := range len(digits) {
		c = damm[c][digits[i]-'0']
	}
	return '0' + c
}

// NewExplainCode returns a random code such as "482-913-0576": nine digits and a
// check digit. It says nothing by itself; support looks its reason up.
func NewExplainCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	s := n.String()
	s = strings.Repeat("0", 9-len(s)) + s
	s += string(dammDigit(s))
	return s[:3] + "-" + s[3:6] + "-" + s[6:]
}

// ValidExplainCode says whether a typed code has the right length and check
// digit; blanks and dashes do not matter.
func ValidExplainCode(s string) bool {
	s = strings.NewReplacer("-", "", " ", "").Replace(s)
	if len(s) != 10 || strings.Trim(s, "0123456789") != "" {
		return false
	}
	return dammDigit(s[:9]) == s[9]
}
