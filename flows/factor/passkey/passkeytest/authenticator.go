// Package passkeytest is an authenticator and its browser in software, for tests and
// the drill: it makes and shows ES256 credentials, and bends or breaks every part of a ceremony.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
)

// Authenticator is one device with a browser before it. What it is and does is in its
// fields; they may be changed between ceremonies.
type Authenticator struct {
	Origin      string // of the page
	RPID        string // that it signs for; "" is what the options say
	CrossOrigin bool
	UP, UV      bool   // the user is there, and verified
	BE, BS      bool   // may be, is backed up
	Resident    bool   // keeps new credentials itself
	Counter     uint32 // sent, then one more; 0 stays 0
	AAGUID      [16]byte
	Transports  []string
	Format      string // of attestation: "none" or "packed"
	Maker       *Maker // signs a packed attestation; nil: the new key itself does

	// Mutate changes what is signed: the doing of a bad authenticator or browser.
	Mutate func(*Parts)
	// Tamper changes what was signed: the doing of somebody on the way.
	Tamper func(*Parts)

	keys []*key
}

type key struct {
	id, user []byte
	rpID     string
	resident bool
	private  *ecdsa.PrivateKey
}

// New returns a phone: it verifies its user, keeps its credentials, syncs nothing and
// counts nothing.
func New(origin string) *Authenticator {
	return &Authenticator{Origin: origin, UP: true, UV: true, Resident: true, Transports: []string{"internal"}, Format: "none"}
}

// Copy is a second device with the same credentials and counter.
func (a *Authenticator) Copy() *Authenticator {
	b := *a
	b.keys = slices.Clone(a.keys)
	return &b
}

// The names of the errors that browsers give to scripts.
var (
	ErrExcluded   = errors.New("InvalidStateError: the authenticator has a credential that is excluded")
	ErrNotAllowed = errors.New("NotAllowedError: the authenticator has no credential that is asked for")
)

// blob is base64url in JSON.
type blob []byte

func (b blob) MarshalJSON() ([]byte, error) { return json.Marshal(encode(b)) }

func (b *blob) UnmarshalJSON(data []byte) (err error) {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*b, err = base64.RawURLEncoding.DecodeString(s)
	return err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type descriptor struct {
	ID blob `json:"id"`
}

// options are those of both ceremonies, as far as an authenticator looks at them.
type options struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		RP        struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID blob `json:"id"`
		} `json:"user"`
		Allow   []descriptor `json:"allowCredentials"`
		Exclude []descriptor `json:"excludeCredentials"`
	} `json:"publicKey"`
}

func (a *Authenticator) rpID(asked string) string {
	if a.RPID != "" {
		return a.RPID
	}
	return asked
}

// Create answers the options of an enrolment.
func (a *Authenticator) Create(optionsJSON []byte) (attestationJSON string, err error) {
	var o options
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return "", err
	}
	for _, k := range a.keys {
		if listed(o.PublicKey.Exclude, k.id) {
			return "", ErrExcluded
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	k := &key{id: make([]byte, 32), user: o.PublicKey.User.ID, rpID: o.PublicKey.RP.ID, resident: a.Resident, private: private}
	_, _ = rand.Read(k.id)
	p := a.parts("webauthn.create", o.PublicKey.Challenge, a.rpID(k.rpID), k)
	p.Flags |= FlagAT
	p.AAGUID, p.CredentialID, p.PublicKey = a.AAGUID[:], k.id, cose(&private.PublicKey)
	p.Format, p.Statement = a.Format, map[string]any{}
	p.Extensions = map[string]any{"credProps": map[string]any{"rk": a.Resident}}
	p.Transports = a.Transports
	bend(a.Mutate, p)
	if a.Format == "packed" {
		if err := a.attest(p, private); err != nil {
			return "", err
		}
	}
	bend(a.Tamper, p)
	a.keys = append(a.keys, k)
	return p.attestation()
}

// Get answers the options of a sign-in.
func (a *Authenticator) Get(optionsJSON []byte) (assertionJSON string, err error) {
	var o options
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return "", err
	}
	i := slices.IndexFunc(a.keys, func(k *key) bool {
		if len(o.PublicKey.Allow) == 0 {
			return k.resident && k.rpID == o.PublicKey.RPID
		}
		return listed(o.PublicKey.Allow, k.id)
	})
	if i < 0 {
		return "", ErrNotAllowed
	}
	k := a.keys[i]
	p := a.parts("webauthn.get", o.PublicKey.Challenge, a.rpID(o.PublicKey.RPID), k)
	if k.resident {
		p.UserHandle = k.user
	}
	bend(a.Mutate, p)
	if p.Signature, err = p.sign(k.private); err != nil {
		return "", err
	}
	bend(a.Tamper, p)
	return p.assertion()
}

func listed(list []descriptor, id []byte) bool {
	return slices.ContainsFunc(list, func(d descriptor) bool { return slices.Equal(d.ID, id) })
}

func bend(hook func(*Parts), p *Parts) {
	if hook != nil {
		hook(p)
	}
}

// parts are those that both ceremonies have.
func (a *Authenticator) parts(ceremony, challenge, rpID string, k *key) *Parts {
	hash := sha256.Sum256([]byte(rpID))
	p := &Parts{Type: ceremony, Challenge: challenge, Origin: a.Origin, CrossOrigin: a.CrossOrigin, RPIDHash: hash[:], Counter: a.Counter,
		ID: encode(k.id), RawID: encode(k.id), Kind: "public-key", Extensions: map[string]any{}}
	for flag, set := range map[byte]bool{FlagUP: a.UP, FlagUV: a.UV, FlagBE: a.BE, FlagBS: a.BS} {
		if set {
			p.Flags |= flag
		}
	}
	if a.Counter > 0 {
		a.Counter++
	}
	return p
}
