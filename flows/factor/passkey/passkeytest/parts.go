package passkeytest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"

	"github.com/fxamacker/cbor/v2"
)

// Flags of authenticator data.
const (
	FlagUP = 1 << 0 // user present
	FlagUV = 1 << 2 // user verified
	FlagBE = 1 << 3 // backup eligible
	FlagBS = 1 << 4 // backed up
	FlagAT = 1 << 6 // attested credential data follows
	FlagED = 1 << 7 // extensions follow
)

// Parts are all of what a ceremony sends.
type Parts struct {
	// client data
	Type, Challenge, Origin, TopOrigin string
	CrossOrigin                        bool
	ClientData                         []byte // in place of the above

	// authenticator data
	RPIDHash      []byte
	Flags         byte
	Counter       uint32
	AAGUID        []byte
	CredentialID  []byte
	PublicKey     map[int]any // COSE
	AuthExtension []byte      // CBOR
	AuthTail      []byte      // after all

	// attestation object
	Format     string
	Statement  map[string]any
	ObjectTail []byte // after the CBOR

	// what the script posts
	Signature  []byte // of an assertion
	UserHandle []byte
	ID, RawID  string // base64url
	Kind       string // "public-key"
	Extensions map[string]any
	Transports []string
}

// cose is the public key as COSE_Key: EC2, ES256, P-256.
func cose(public *ecdsa.PublicKey) map[int]any {
	point, err := public.Bytes() // 4, x, y
	if err != nil {
		panic(err) // a key of our own
	}
	return map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}
}

func encodeCBOR(v any) ([]byte, error) {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(v)
}

func (p *Parts) clientData() ([]byte, error) {
	if p.ClientData != nil {
		return p.ClientData, nil
	}
	c := map[string]any{"type": p.Type, "challenge": p.Challenge, "origin": p.Origin, "crossOrigin": p.CrossOrigin}
	if p.TopOrigin != "" {
		c["topOrigin"] = p.TopOrigin
	}
	return json.Marshal(c)
}

func (p *Parts) authData() ([]byte, error) {
	b := append([]byte{}, p.RPIDHash...)
	b = append(b, p.Flags)
	b = binary.BigEndian.AppendUint32(b, p.Counter)
	if p.Flags&FlagAT != 0 {
		public, err := encodeCBOR(p.PublicKey)
		if err != nil {
			return nil, err
		}
		b = append(b, p.AAGUID...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.CredentialID)))
		b = append(append(b, p.CredentialID...), public...)
	}
	return append(append(b, p.AuthExtension...), p.AuthTail...), nil
}

// sign signs authenticator and client data as they stand.
func (p *Parts) sign(private *ecdsa.PrivateKey) ([]byte, error) {
	client, err := p.clientData()
	if err != nil {
		return nil, err
	}
	auth, err := p.authData()
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(auth, hash[:]...))
	return ecdsa.SignASN1(rand.Reader, private, digest[:])
}

func (p *Parts) attestation() (string, error) {
	client, err := p.clientData()
	if err != nil {
		return "", err
	}
	auth, err := p.authData()
	if err != nil {
		return "", err
	}
	object, err := encodeCBOR(map[string]any{"fmt": p.Format, "attStmt": p.Statement, "authData": auth})
	if err != nil {
		return "", err
	}
	return p.post(map[string]any{"clientDataJSON": blob(client), "attestationObject": blob(append(object, p.ObjectTail...)), "transports": p.Transports})
}

func (p *Parts) assertion() (string, error) {
	client, err := p.clientData()
	if err != nil {
		return "", err
	}
	auth, err := p.authData()
	if err != nil {
		return "", err
	}
	response := map[string]any{"clientDataJSON": blob(client), "authenticatorData": blob(auth), "signature": blob(p.Signature)}
	if p.UserHandle != nil {
		response["userHandle"] = blob(p.UserHandle)
	}
	return p.post(response)
}

func (p *Parts) post(response map[string]any) (string, error) {
	text, err := json.Marshal(map[string]any{"id": p.ID, "rawId": p.RawID, "type": p.Kind, "response": response, "clientExtensionResults": p.Extensions})
	return string(text), err
}
