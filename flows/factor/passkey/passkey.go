// Package passkey is the possession factor of passkeys and security keys (W3C Web
// Authentication). A ceremony that verified its user shows two factors at once; that
// a key once verified its user counts for nothing.
//
// Invariant: a credential answers for the person, the relying party, the origin and
// the challenge it was asked for, or it is refused; a copied one is told apart from a
// wrong one. The engine gives out each challenge for one try.
package passkey

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/templates"
)

// Config says who the relying party is.
type Config struct {
	ID, Name         string    // RP ID: the domain that credentials are bound to, for good; its name as browsers show it
	Origins          []string  // of its pages; those outside ID are related origins
	AndroidKeyHashes []string  // SHA-256 of the certificates that sign the apps, base64url
	Metadata         *Metadata // of the makers of authenticators; nil vouches for none
}

// Factor checks and enrols passkeys.
type Factor struct {
	web      *webauthn.WebAuthn
	origins  []string // exactly as browsers and apps name them
	related  []byte
	metadata *Metadata
}

// lifetime is how long a challenge may be answered.
const lifetime = 300 * time.Second

// New checks the configuration.
func New(c Config) (*Factor, error) {
	apps, err := appOrigins(c.AndroidKeyHashes)
	if err != nil {
		return nil, err
	}
	related, err := relatedOrigins(c.ID, c.Origins)
	if err != nil {
		return nil, err
	}
	timeout := webauthn.TimeoutConfig{Enforce: true, Timeout: lifetime, TimeoutUVD: lifetime}
	web, err := webauthn.New(&webauthn.Config{
		RPID: c.ID, RPDisplayName: c.Name, RPOrigins: c.Origins, RPOpaqueOrigins: apps,
		AuthenticatorSelection: protocol.AuthenticatorSelection{UserVerification: protocol.VerificationPreferred},
		Timeouts:               webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &Factor{web: web, origins: append(apps, c.Origins...), related: related, metadata: c.Metadata}, nil
}

// Method names the factor.
func (*Factor) Method() idp.Method { return idp.MethodPasskey }

// Begin makes no challenge: the script fetches one when the person is ready.
func (*Factor) Begin(context.Context, *factor.Attempt) error { return nil }

// Show draws the page of the second step.
func (*Factor) Show(_ context.Context, a *factor.Attempt) (templates.Content, error) {
	return templates.Key{Form: a.Form, Passkey: &templates.Passkey{Options: a.Action + "/challenge", Action: a.Action}, Login: a.Login,
		TrustDays: a.Trust, Steps: a.Steps, Ways: a.Ways, RestartURL: a.Restart}, nil
}

// record is what the credential's data holds.
type record struct {
	RPID     string              `json:"rpId"`
	Key      webauthn.Credential `json:"key"`
	Attested bool                `json:"attested,omitempty"` // its maker vouched for it when it was enrolled
}

func (r record) data() ([]byte, error) { return json.Marshal(r) }

// held is a credential of the person with what its data says.
type held struct {
	idp.Credential
	record
}

// held reads the credentials that belong to this relying party. The row, not the
// data, has the signature counter that counts.
func (f *Factor) held(credentials []idp.Credential) ([]held, error) {
	var all []held
	for _, c := range credentials {
		h := held{Credential: c}
		if err := json.Unmarshal(c.Data, &h.record); err != nil {
			return nil, fmt.Errorf("passkey: credential %s: %w", c.ID, err)
		}
		if h.RPID != f.web.Config.RPID {
			continue
		}
		h.Key.Authenticator.SignCount = uint32(c.Counter)
		h.Key.Authenticator.CloneWarning = false
		all = append(all, h)
	}
	return all, nil
}

// person is the user of a ceremony as the library wants him.
type person struct {
	*factor.Attempt
	keys []webauthn.Credential
}

func (p person) WebAuthnID() []byte                         { return p.Handle }
func (p person) WebAuthnName() string                       { return p.Login }
func (p person) WebAuthnDisplayName() string                { return p.User.Name }
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.keys }

func keys(all []held) []webauthn.Credential {
	list := make([]webauthn.Credential, len(all))
	for i, h := range all {
		list[i] = h.Key
	}
	return list
}

// pack is what a ceremony begins with: the options for the browser, the session for us.
func pack(options any, session *webauthn.SessionData) (forBrowser, scratch []byte, err error) {
	if forBrowser, err = json.Marshal(options); err != nil {
		return nil, nil, err
	}
	scratch, err = json.Marshal(session)
	return forBrowser, scratch, err
}

// open reads the session of a ceremony; false when there is none or its time is up.
func open(scratch []byte) (session webauthn.SessionData, ok bool, err error) {
	if len(scratch) == 0 {
		return session, false, nil
	}
	if err := json.Unmarshal(scratch, &session); err != nil {
		return session, false, fmt.Errorf("passkey: session: %w", err)
	}
	return session, time.Now().Before(session.Expires), nil
}
