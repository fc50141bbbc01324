// Package dpoptest is a client's key with its proofs (RFC 9449), for tests and the drill: it
// signs right ones, and bends every part of one.
package dpoptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Key signs proofs. It is also a transport that puts one on every request.
type Key struct {
	Private any // an *ecdsa.PrivateKey, or what a test bends it to
	Alg     jose.SignatureAlgorithm
	Origin  string            // what proofs call the server, "": what it is called
	Next    http.RoundTripper // nil: http.DefaultTransport
}

// New makes a P-256 key.
func New() *Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return &Key{Private: private, Alg: jose.ES256}
}

// Public is the public half, as a proof carries it.
func (k *Key) Public() jose.JSONWebKey {
	jwk := jose.JSONWebKey{Key: k.Private}
	return jwk.Public()
}

// Thumbprint is the key's RFC 7638 thumbprint, by the letter of its section 3.2.
func (k *Key) Thumbprint() string {
	p := k.Private.(*ecdsa.PrivateKey)
	point, err := p.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"}`))
	return b64(sum[:])
}

// Claims of a right proof of now.
func Claims(method, uri, access string) map[string]any {
	c := map[string]any{"jti": rand.Text(), "htm": method, "htu": uri, "iat": time.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		c["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return c
}

// Proof is a right proof for a request.
func (k *Key) Proof(method, uri, access string) string {
	return k.Sign(Claims(method, uri, access), map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": k.Public()})
}

// Sign makes a proof of any claims and header.
func (k *Key) Sign(claims map[string]any, header map[jose.HeaderKey]any) string {
	o := &jose.SignerOptions{ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Alg, Key: k.Private}, o)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return raw
}

// RoundTrip sends a request with a proof, of its access token too if it carries one under
// DPoP.
func (k *Key) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	origin := k.Origin
	if origin == "" {
		origin = r.URL.Scheme + "://" + r.URL.Host
	}
	access, bound := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP ")
	if !bound {
		access = ""
	}
	r.Header.Set("DPoP", k.Proof(r.Method, origin+r.URL.Path, access))
	next := k.Next
	if next == nil {
		next = http.DefaultTransport
	}
	return next.RoundTrip(r)
}
