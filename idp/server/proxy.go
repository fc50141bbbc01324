package server

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientAddr is the address a request came from: the peer's, or, when the peer is a trusted proxy, the right-most
// address of X-Forwarded-For that is not a trusted proxy itself. What stands left of that was written by the client
// and is not looked at. A header that makes no sense falls back to the peer. The result is unmapped and without
// zone; it is invalid only when the peer has no IP address.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := peerAddr(r)
	if !isTrusted(peer, trusted) {
		return peer
	}
	hops := r.Header.Values("X-Forwarded-For")
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		for rest, more := hops[i], true; more; {
			var hop string
			rest, hop, more = cutLast(rest)
			addr, ok := parseHop(hop)
			if !ok {
				return peer
			}
			if !isTrusted(addr, trusted) {
				return addr
			}
			client = addr
		}
	}
	return client
}

func peerAddr(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, network := range trusted {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// cutLast takes the last element off a comma-separated list.
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", strings.TrimSpace(list), false
	}
	return list[:i], strings.TrimSpace(list[i+1:]), true
}

// parseHop also accepts a port, which some proxies add.
func parseHop(hop string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(hop)
	if err != nil {
		withPort, err := netip.ParseAddrPort(hop)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	addr = addr.Unmap()
	return addr, addr.Zone() == "" && !addr.IsUnspecified()
}
