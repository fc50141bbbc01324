package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// Maker is the maker of a model: it signs what its authenticators state of themselves.
type Maker struct {
	Root    *x509.Certificate
	leaf    []byte
	private *ecdsa.PrivateKey
}

// NewMaker makes a maker with a root and an attestation certificate.
func NewMaker() (*Maker, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Maker Root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	if root, err = x509.ParseCertificate(rootDER); err != nil {
		return nil, err
	}
	m := &Maker{Root: root}
	if m.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: root.NotBefore, NotAfter: root.NotAfter, BasicConstraintsValid: true,
		Subject: pkix.Name{Country: []string{"CN"}, Organization: []string{"Test Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Test Key"}}
	m.leaf, err = x509.CreateCertificate(rand.Reader, leaf, root, &m.private.PublicKey, rootKey)
	return m, err
}

// attest fills in a packed attestation: by the maker, or by the new key itself.
func (a *Authenticator) attest(p *Parts, private *ecdsa.PrivateKey) error {
	p.Statement = map[string]any{"alg": -7}
	if a.Maker != nil {
		private = a.Maker.private
		p.Statement["x5c"] = [][]byte{a.Maker.leaf}
	}
	sig, err := p.sign(private)
	p.Statement["sig"] = sig
	return err
}
