package oidc

import (
	"net/url"
	"slices"
	"strings"

	"hufu/idp"
)

// redirectAllowed says whether a client may be sent to uri: letter for letter one
// of the registered, or, for a client with AnyPort, one of them but for the port on
// a loopback host (RFC 8252 7.3).
func redirectAllowed(c idp.Client, registered []string, uri string) bool {
	if uri == "" || !plainURI(uri) {
		return false
	}
	if slices.Contains(registered, uri) {
		return true
	}
	return c.AnyPort && slices.ContainsFunc(registered, func(r string) bool { return sameButPort(r, uri) })
}

// plainURI refuses what browsers and servers read differently: controls, blanks,
// back-slashes, user information, fragments (RFC 6749 3.1.2).
func plainURI(uri string) bool {
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= 0x20 || r >= 0x7f || strings.ContainsRune("\\#\"<>^`{|}", r) }) {
		return false
	}
	u, err := url.Parse(uri)
	return err == nil && u.IsAbs() && u.User == nil && u.Opaque == ""
}

// loopback hosts, exactly: "localhost.example" and "127.0.0.1.example" are others'.
var loopback = []string{"localhost", "127.0.0.1", "[::1]"}

// sameButPort compares two http URIs as text, leaving out the port: what stands
// around the port must be the same letter for letter.
func sameButPort(a, b string) bool {
	hostA, restA, okA := splitLoopback(a)
	hostB, restB, okB := splitLoopback(b)
	return okA && okB && hostA == hostB && restA == restB
}

// splitLoopback splits "http://host:port/rest" of a loopback host.
func splitLoopback(uri string) (host, rest string, ok bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", false
	}
	end := strings.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	authority, rest := after[:end], after[end:]
	for _, h := range loopback {
		if authority == h {
			return h, rest, true
		}
		if port, found := strings.CutPrefix(authority, h+":"); found && validPort(port) {
			return h, rest, true
		}
	}
	return "", "", false
}

func validPort(s string) bool {
	if len(s) == 0 || len(s) > 5 || strings.Trim(s, "0123456789") != "" {
		return false
	}
	return len(s) < 5 || s <= "65535"
}

// withParams adds parameters to a redirect URI, keeping the query it has.
func withParams(uri string, params url.Values) string {
	sep := "?"
	if strings.Contains(uri, "?") {
		sep = "&"
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			sep = ""
		}
	}
	return uri + sep + params.Encode()
}

// origin is the web origin of a redirect URI, "" for one without.
func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}
