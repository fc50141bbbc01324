// Command filter writes the filter of common passwords that ships with the program: see
// idp/breach/SOURCE.md. It reads one password a line.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/bits-and-blooms/bloom/v3"

	"hufu/idp/breach"
)

// bits make one mistake in about 100,000 for a million passwords.
const bits = 24_000_000

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run ./.dev/filter LIST FILTER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "filter:", err)
		os.Exit(1)
	}
}

func run(list, out string) error {
	in, err := os.Open(list)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	f, n, err := build(in)
	if err != nil {
		return err
	}
	set := float64(f.BitSet().Count()) / bits
	fmt.Printf("%d passwords; one mistake in %.0f\n", n, 1/math.Pow(set, breach.Hashes))
	var b []byte
	for _, word := range f.BitSet().Words() {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return os.WriteFile(out, b, 0o644)
}

func build(in io.Reader) (f *bloom.BloomFilter, n uint, err error) {
	f = bloom.New(bits, breach.Hashes)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if word := strings.ToLower(lines.Text()); word != "" && utf8.ValidString(word) && !f.TestAndAddString(word) {
			n++
		}
	}
	return f, n, lines.Err()
}
