// Package placetest writes databases of places for tests, as
// https://maxmind.github.io/MaxMind-DB/ describes them: a binary tree of 24-bit records, a
// data section, metadata. It serves nothing but tests.
package placetest

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
)

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

// Database is a database that knows what is at each network, in CIDR form: a record
// such as [Region] makes, or anything else, which is damaged.
func Database(entries map[string]any) []byte {
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

// Named is a country, a region or a city in both languages; a city has no code.
func Named(code, en, zh string) map[string]any {
	return map[string]any{"iso_code": code, "names": map[string]any{"en": en, "zh-CN": zh}}
}

// Region is a record of a region of China.
func Region(code, en, zh string) map[string]any {
	return map[string]any{"country": Named("CN", "China", "中国"), "subdivisions": []any{Named(code, en, zh)}}
}
