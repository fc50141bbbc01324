package server

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"hufu/flows/factor/passkey"
	"hufu/idp"
)

// passkeys is the relying party, nil where the issuer's host is an address: a passkey
// belongs to a name (WebAuthn L3 5.1.3).
func (c Config) passkeys(log *slog.Logger) (*passkey.Factor, error) {
	if _, err := netip.ParseAddr(c.RelyingParty()); err == nil {
		return nil, nil
	}
	metadata, err := c.metadata()
	if err != nil {
		return nil, err
	}
	warnOfAge(log, metadata, time.Now())
	return passkey.New(passkey.Config{ID: c.RelyingParty(), Name: c.Operator, Origins: c.PasskeyOrigins(), AndroidKeyHashes: c.WebAuthn.AndroidKeyHashes, Metadata: metadata})
}

// warnOfAge tells the operator that a newer metadata file has been due: keys that were
// found to be broken since are in none that he has.
func warnOfAge(log *slog.Logger, m *passkey.Metadata, now time.Time) {
	if m != nil && now.After(m.NextUpdate.AddDate(0, 0, 1)) { // the day itself is still good
		log.Warn("webauthn.metadata is out of date: fetch the newer file", "due", m.NextUpdate.Format(time.DateOnly))
	}
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
