package templates

import (
	"net/netip"
	"strings"
)

// Place says in words the network that something came from, kept as "112.5.6.0/24": what is open in it stays open.
// Anything else stands as it is.
func (f Frame) Place(network string) string {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return network
	}
	switch a := p.Addr(); {
	case a.IsLoopback(), p == netip.PrefixFrom(netip.IPv6Unspecified(), p.Bits()): // ::1 lies in ::/48
		return f.T("place.here")
	case a.Is4() && p.Bits() == 24:
		return strings.TrimSuffix(a.String(), "0") + "*"
	case a.Is6() && p.Bits() == 48:
		return strings.TrimSuffix(a.String(), ":") + "*"
	}
	return network
}
