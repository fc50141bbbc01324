package server

import (
	"net/http"
	"net/netip"

	"hufu/flows/factor/passkey"
	"hufu/idp"
)

// passkeys is the relying party, nil where the issuer's host is an address: a passkey
// belongs to a name (WebAuthn L3 5.1.3).
func (c Config) passkeys() (*passkey.Factor, error) {
	if _, err := netip.ParseAddr(c.RelyingParty()); err == nil {
		return nil, nil
	}
	metadata, err := c.metadata()
	if err != nil {
		return nil, err
	}
	return passkey.New(passkey.Config{ID: c.RelyingParty(), Name: c.Operator, Origins: c.PasskeyOrigins(), AndroidKeyHashes: c.WebAuthn.AndroidKeyHashes, Metadata: metadata})
}

// relatedOrigins names the other sites that may use this one's passkeys (WebAuthn L3
// 5.11).
func (s *Server) relatedOrigins(w http.ResponseWriter, _ *http.Request) error {
	if s.keys == nil || s.keys.RelatedOrigins() == nil {
		return idp.Errorf(idp.NotFound, "error.notfound")
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(s.keys.RelatedOrigins())
	return err
}
