// Package place says roughly where an address is, from a database in MaxMind's format
// that the operator supplies. It is a guess by region, never a position.
//
// Invariant: without a database, or for an address that is in none, everything is "":
// nobody decides on a place that is not known.
package place

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// DB is a database of places. A nil DB knows none.
type DB struct{ reader *maxminddb.Reader }

// Open reads a database into memory: a mapped file that somebody writes over would take
// the process down.
func Open(path string) (*DB, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reader, err := maxminddb.OpenBytes(text)
	if err != nil {
		return nil, fmt.Errorf("%s: no database in MaxMind's format: %w", path, err)
	}
	return &DB{reader}, nil
}

type name struct {
	Code  string            `maxminddb:"iso_code"`
	Names map[string]string `maxminddb:"names"`
}

func (n name) in(lang string) string {
	if s := n.Names[lang]; s != "" {
		return s
	}
	return n.Names["en"]
}

type record struct {
	Country      name   `maxminddb:"country"`
	Subdivisions []name `maxminddb:"subdivisions"`
	City         name   `maxminddb:"city"`
}

func (r record) region() (n name) {
	if len(r.Subdivisions) > 0 {
		n = r.Subdivisions[0]
	}
	return n
}

// Of is the place of an address in words: region and city at home, country and region
// elsewhere.
func (db *DB) Of(addr netip.Addr, lang string) string {
	r := db.find(addr)
	words := []string{r.Country.in(lang), r.region().in(lang), r.City.in(lang)}
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	words = slices.Compact(words) // 北京 is its own region
	switch {
	case len(words) > 1 && r.Country.Code == "CN":
		words = words[1:]
	case len(words) > 2:
		words = words[:2]
	}
	if strings.HasPrefix(lang, "zh") {
		return strings.Join(words, " ")
	}
	slices.Reverse(words)
	return strings.Join(words, ", ")
}

// OfNetwork is the place of a network as events keep it, such as "112.5.6.0/24".
func (db *DB) OfNetwork(network, lang string) string {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	return db.Of(p.Addr(), lang)
}

// Region is the code of an address's country and its subdivision: CN-FJ.
func (db *DB) Region(addr netip.Addr) string {
	r := db.find(addr)
	if code := r.region().Code; code != "" && r.Country.Code != "" {
		return r.Country.Code + "-" + code
	}
	return r.Country.Code
}

func (db *DB) find(addr netip.Addr) (r record) {
	if db == nil || !addr.IsValid() {
		return r
	}
	if err := db.reader.Lookup(addr.Unmap().WithZone("")).Decode(&r); err != nil {
		return record{} // a damaged entry tells nothing
	}
	return r
}
