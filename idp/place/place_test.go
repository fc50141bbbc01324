package place

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rest of this file's first half writes a database as
// https://maxmind.github.io/MaxMind-DB/ describes it: a binary tree of 24-bit records,
// a data section, metadata.

func control(b *bytes.Buffer, kind, size int) {
	long := size
	if size >= 29 {
		long = 29 // up to 284: one more byte
	}
	if kind > 7 {
		b.WriteByte(byte(long))
		b.WriteByte(byte(kind - 7))
	} else {
		b.WriteByte(byte(kind<<5 | long))
	}
	if size >= 29 {
		b.WriteByte(byte(size - 29))
	}
}

func write(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case string:
		control(b, 2, len(v))
		b.WriteString(v)
	case uint16:
		control(b, 5, 2)
		_ = binary.Write(b, binary.BigEndian, v)
	case uint32:
		control(b, 6, 4)
		_ = binary.Write(b, binary.BigEndian, v)
	case uint64:
		control(b, 9, 8)
		_ = binary.Write(b, binary.BigEndian, v)
	case []any:
		control(b, 11, len(v))
		for _, e := range v {
			write(b, e)
		}
	case map[string]any:
		control(b, 7, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			write(b, k)
			write(b, v[k])
		}
	}
}

type node [2]*leaf

type leaf struct {
	node *node
	data int // offset in the data section, -1: none
}

func database(entries map[string]any) []byte {
	var data bytes.Buffer
	root := &leaf{node: &node{}, data: -1}
	all := []*node{root.node}
	for _, network := range slices.Sorted(maps.Keys(entries)) {
		p, at := netip.MustParsePrefix(network), root
		raw := p.Addr().As16()
		bits := p.Bits()
		if p.Addr().Is4() { // IPv4 lies at ::/96
			raw, bits = [16]byte{}, bits+96
			four := p.Addr().As4()
			copy(raw[12:], four[:])
		}
		for i := range bits {
			if at.node == nil {
				at.node = &node{}
				all = append(all, at.node)
			}
			side := raw[i/8] >> (7 - i%8) & 1
			if at.node[side] == nil {
				at.node[side] = &leaf{data: -1}
			}
			at = at.node[side]
		}
		at.data = data.Len()
		write(&data, entries[network])
	}
	var out bytes.Buffer
	for _, n := range all {
		for _, l := range n {
			value := len(all) // nothing
			if l != nil && l.node != nil {
				value = slices.Index(all, l.node)
			} else if l != nil && l.data >= 0 {
				value = len(all) + 16 + l.data
			}
			out.Write([]byte{byte(value >> 16), byte(value >> 8), byte(value)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	write(&out, map[string]any{"node_count": uint32(len(all)), "record_size": uint16(24), "ip_version": uint16(6), "database_type": "Test-City", "languages": []any{"en", "zh-CN"},
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1_760_000_000), "description": map[string]any{"en": "test"}})
	return out.Bytes()
}

func named(code, en, zh string) map[string]any {
	return map[string]any{"iso_code": code, "names": map[string]any{"en": en, "zh-CN": zh}}
}

func open(t *testing.T) *DB {
	cn := named("CN", "China", "中国")
	name := filepath.Join(t.TempDir(), "places.mmdb")
	text := database(map[string]any{
		"112.5.0.0/16":   map[string]any{"country": cn, "subdivisions": []any{named("FJ", "Fujian", "福建")}, "city": named("", "Fuzhou", "福州")},
		"1.2.3.0/24":     map[string]any{"country": cn, "subdivisions": []any{named("BJ", "Beijing", "北京")}, "city": named("", "Beijing", "北京")},
		"1.2.4.0/24":     map[string]any{"country": cn},
		"8.8.8.0/24":     map[string]any{"country": named("US", "United States", "美国"), "subdivisions": []any{named("CA", "California", "加利福尼亚州")}, "city": named("", "Mountain View", "芒廷维尤")},
		"9.9.9.0/24":     map[string]any{"country": map[string]any{"iso_code": "SG", "names": map[string]any{"en": "Singapore"}}},
		"5.5.5.0/24":     "damaged",
		"2409:8000::/20": map[string]any{"country": cn, "subdivisions": []any{named("FJ", "Fujian", "福建")}},
	})
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestPlaces(t *testing.T) {
	db := open(t)
	for addr, want := range map[string][3]string{
		"112.5.6.7":        {"福建 福州", "Fuzhou, Fujian", "CN-FJ"},
		"::ffff:112.5.6.7": {"福建 福州", "Fuzhou, Fujian", "CN-FJ"},
		"1.2.3.4":          {"北京", "Beijing", "CN-BJ"},
		"1.2.4.4":          {"中国", "China", "CN"},
		"8.8.8.8":          {"美国 加利福尼亚州", "California, United States", "US-CA"},
		"9.9.9.9":          {"Singapore", "Singapore", "SG"},
		"2409:8000::1":     {"福建", "Fujian", "CN-FJ"},
		"5.5.5.5":          {},
		"127.0.0.1":        {},
		"::1":              {},
		"fe80::1%eth0":     {},
	} {
		a := netip.MustParseAddr(addr)
		if got := [3]string{db.Of(a, "zh-CN"), db.Of(a, "en"), db.Region(a)}; got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	for network, want := range map[string]string{"112.5.6.0/24": "福建 福州", "2409:8000::/48": "福建", "112.5.6.7": "", "": "", "somewhere": ""} {
		if got := db.OfNetwork(network, "zh-CN"); got != want {
			t.Errorf("%s: %q, want %q", network, got, want)
		}
	}
}

func TestNoDatabase(t *testing.T) {
	var db *DB
	if db.Of(netip.MustParseAddr("112.5.6.7"), "en")+db.Region(netip.Addr{})+db.OfNetwork("112.5.6.0/24", "en") != "" {
		t.Error("knows a place")
	}
	if open(t).Region(netip.Addr{}) != "" {
		t.Error("the place of no address")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("opened a file that is missing")
	}
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "MaxMind") {
		t.Errorf("opened a text: %v", err)
	}
}
