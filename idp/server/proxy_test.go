package server

import (
	"net/http"
	"net/netip"
	"testing"
)

var trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

func TestClientAddr(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.5:999", nil, "203.0.113.5"},
		{"header from a stranger", "203.0.113.5:999", []string{"198.51.100.1"}, "203.0.113.5"},
		{"proxy without header", "10.0.0.1:999", nil, "10.0.0.1"},
		{"one proxy", "10.0.0.1:999", []string{"198.51.100.1"}, "198.51.100.1"},
		{"client wrote the header too", "10.0.0.1:999", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"client claims a trusted address", "10.0.0.1:999", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:999", []string{"1.1.1.1, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:999", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"two headers, two proxies", "10.0.0.1:999", []string{"1.1.1.1,198.51.100.1", " 10.0.0.2 "}, "198.51.100.1"},
		{"all trusted", "10.0.0.1:999", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"ipv6", "[fd00::1]:999", []string{"2001:db8::7"}, "2001:db8::7"},
		{"mapped peer", "[::ffff:10.0.0.1]:999", []string{"198.51.100.1"}, "198.51.100.1"},
		{"mapped client", "10.0.0.1:999", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"port added", "10.0.0.1:999", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"port added, ipv6", "10.0.0.1:999", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"garbage", "10.0.0.1:999", []string{"unknown"}, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:999", []string{"198.51.100.1, x, 10.0.0.2"}, "10.0.0.1"},
		{"garbage left of the client", "10.0.0.1:999", []string{"'; drop, 198.51.100.1"}, "198.51.100.1"},
		{"empty", "10.0.0.1:999", []string{""}, "10.0.0.1"},
		{"empty element", "10.0.0.1:999", []string{"198.51.100.1,"}, "10.0.0.1"},
		{"zone", "10.0.0.1:999", []string{"fe80::1%eth0"}, "10.0.0.1"},
		{"unspecified", "10.0.0.1:999", []string{"0.0.0.0"}, "10.0.0.1"},
		{"peer with zone", "[fe80::1%eth0]:999", nil, "fe80::1"},
		{"peer without address", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			if got := ClientAddr(r, trusted).String(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got, want := ClientAddr(r, nil), peerAddr(r); got != want {
				t.Errorf("without trusted networks %s, want the peer", got)
			}
		})
	}
}

// FuzzClientAddr: whatever a client writes in front, the address its connection had decides.
func FuzzClientAddr(f *testing.F) {
	f.Add("1.1.1.1", "")
	f.Add("10.0.0.9, ::1", "10.0.0.2")
	f.Add("x,,", "garbage")
	f.Fuzz(func(t *testing.T, first, second string) {
		client := netip.MustParseAddr("198.51.100.1")
		through := func(forwarded ...string) netip.Addr {
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": forwarded}}
			got := ClientAddr(r, trusted)
			if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
				t.Errorf("address %v", got)
			}
			return got
		}
		if got := through(first, second, client.String()); got != client {
			t.Errorf("in a header of its own: %v", got)
		}
		if got := through(first + ", " + client.String()); got != client {
			t.Errorf("in one header: %v", got)
		}
		through(first, second)
	})
}
