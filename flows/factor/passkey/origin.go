package passkey

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
)

// relatedOrigins checks the origins against the RP ID and returns the document that
// makes browsers accept those outside it; nil when there is one origin only.
func relatedOrigins(id string, origins []string) ([]byte, error) {
	if id != strings.ToLower(id) || protocol.ValidateRPID(id) != nil {
		return nil, fmt.Errorf("passkey: RP ID %q is no domain name in lower case", id)
	}
	own := false
	for _, o := range origins {
		host, err := originHost(o)
		if err != nil {
			return nil, err
		}
		own = own || host == id || strings.HasSuffix(host, "."+id)
	}
	if !own {
		return nil, fmt.Errorf("passkey: none of the origins %q is of RP ID %q", origins, id)
	}
	related, err := protocol.NewRelatedOrigins(origins...)
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	if len(related.Origins) == 1 {
		return nil, nil
	}
	return related.Bytes()
}

// originHost returns the host of an origin that is written as browsers write it.
func originHost(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin) || strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("passkey: %q is no origin such as https://example.com", origin)
	}
	host, port := u.Hostname(), u.Port()
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case u.Scheme == "https" && port != "443", u.Scheme == "http" && local && port != "80":
		return host, nil
	}
	return "", fmt.Errorf("passkey: origin %q must be https (http only on localhost), without its usual port", origin)
}

// appOrigins returns the origins of the Android apps that are signed by these
// certificates.
func appOrigins(hashes []string) ([]string, error) {
	var origins []string
	for _, h := range hashes {
		if raw, err := base64.RawURLEncoding.Strict().DecodeString(h); err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("passkey: %q is no base64url of a SHA-256", h)
		}
		origins = append(origins, protocol.OpaqueOriginPrefixAndroidAPKKeyHash+h)
	}
	return origins, nil
}

// RelatedOrigins is the document at /.well-known/webauthn, nil when one origin is all.
func (f *Factor) RelatedOrigins() []byte { return f.related }
