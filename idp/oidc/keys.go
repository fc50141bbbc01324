package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/idp"
	"hufu/storage"
)

// The types of our tokens, as their `typ` header says: an ID token is never taken
// for an access token (RFC 9068 4).
const (
	typeAccess = "at+jwt"
	typeID     = "JWT"
)

// algs we sign with, the primary first.
var algs = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

// signingKey is a parsed key. Its algorithm is ours to say, not a token's.
type signingKey struct {
	id      string
	alg     jose.SignatureAlgorithm
	private crypto.Signer
}

// keyring is all keys, the primary algorithm and the newest first, as parsed from one list of the store.
type keyring struct {
	source []storage.SigningKey
	keys   []signingKey
	set    []byte // the JWKS document
}

// keys returns the keyring, parsing anew only what the store loaded anew.
func (p *Provider) keys(ctx context.Context) (*keyring, error) {
	source, err := p.Store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(source) == 0 {
		return nil, errors.New("oidc: no signing key")
	}
	if k := p.ring.Load(); k != nil && &k.source[0] == &source[0] && len(k.source) == len(source) {
		return k, nil
	}
	k, err := parseKeys(source)
	if err != nil {
		return nil, err
	}
	p.ring.Store(k)
	return k, nil
}

func parseKeys(source []storage.SigningKey) (*keyring, error) {
	k := &keyring{source: source}
	source = slices.Clone(source) // the store's own is shared
	slices.SortStableFunc(source, func(a, b storage.SigningKey) int { return rank(a) - rank(b) })
	var public []json.RawMessage
	for _, s := range source {
		private, err := x509.ParsePKCS8PrivateKey(s.Private)
		if err != nil {
			return nil, fmt.Errorf("oidc: signing key %s: %w", s.ID, err)
		}
		signer, ok := private.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("oidc: signing key %s cannot sign", s.ID)
		}
		k.keys = append(k.keys, signingKey{id: s.ID, alg: jose.SignatureAlgorithm(s.Alg), private: signer})
		public = append(public, s.Public)
	}
	var err error
	k.set, err = json.Marshal(map[string]any{"keys": public})
	return k, err
}

// rank puts keys of the primary algorithm first.
func rank(k storage.SigningKey) int { return slices.Index(algs, jose.SignatureAlgorithm(k.Alg)) }

// sign makes a JWT of the given type with the key of the primary algorithm whose turn
// it is.
func (k *keyring) sign(typ string, claims map[string]any) (string, error) {
	now, _ := storage.Signs(k.source, string(algs[0]), time.Now())
	for _, key := range k.keys {
		if key.id != now.ID {
			continue
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.alg, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id}},
			(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			return "", err
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			return "", err
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			return "", err
		}
		return signed.CompactSerialize()
	}
	return "", errors.New("oidc: no active signing key")
}

var errToken = errors.New("not a token of ours")

// verify returns the claims of a JWT of ours, expired or not: its `kid` names one of
// our keys, retired ones too, its algorithm is that key's, its type the wanted one.
// Keys inside or linked from the token (jwk, jku, x5c, x5u) are never looked at.
func (k *keyring) verify(token, typ, issuer string) (*claims, error) {
	if len(token) > maxBody {
		return nil, errToken
	}
	parsed, err := jose.ParseSignedCompact(token, algs)
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, errToken
	}
	header := parsed.Signatures[0].Protected
	if got, _ := header.ExtraHeaders[jose.HeaderType].(string); got != typ {
		return nil, errToken
	}
	for _, key := range k.keys {
		if key.id != header.KeyID || string(key.alg) != header.Algorithm {
			continue
		}
		payload, err := parsed.Verify(key.private.Public())
		if err != nil {
			return nil, errToken
		}
		var c claims
		if err := json.Unmarshal(payload, &c); err != nil || c.Issuer != issuer || c.Subject == "" {
			return nil, errToken
		}
		return &c, nil
	}
	return nil, errToken
}

// Start makes a signing key of each algorithm if there is none. Replicas that start
// together keep the first.
func (p *Provider) Start(ctx context.Context) error {
	have, err := p.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	active := map[string]bool{}
	for _, k := range have {
		active[k.Alg] = active[k.Alg] || k.State == "active"
	}
	for _, alg := range algs {
		if active[string(alg)] {
			continue
		}
		if err := p.addKey(ctx, alg); err != nil {
			return fmt.Errorf("oidc: make signing key: %w", err)
		}
	}
	return nil
}

func (p *Provider) addKey(ctx context.Context, alg jose.SignatureAlgorithm) error {
	key, err := newKey(alg)
	if err != nil {
		return err
	}
	return p.Store.Tx(ctx, func(ctx context.Context) error {
		added, err := p.Store.AddSigningKey(ctx, key)
		if err != nil || !added {
			return err
		}
		return p.Store.Append(ctx, idp.Event{Name: "key.created", Actor: "system", Data: map[string]any{"kid": key.ID, "alg": key.Alg}})
	})
}

// NewKeys makes a signing key of each algorithm.
func NewKeys() (keys []storage.SigningKey, err error) {
	for _, alg := range algs {
		k, err := newKey(alg)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// newKey makes a key whose id is its RFC 7638 thumbprint.
func newKey(alg jose.SignatureAlgorithm) (k storage.SigningKey, err error) {
	var private crypto.Signer
	if alg == jose.RS256 {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return k, err
	}
	jwk := jose.JSONWebKey{Key: private.Public(), Algorithm: string(alg), Use: "sig"}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return k, err
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(print)
	k = storage.SigningKey{ID: jwk.KeyID, Alg: string(alg), State: "active", CreatedAt: time.Now()}
	if k.Public, err = jwk.MarshalJSON(); err != nil {
		return k, err
	}
	k.Private, err = x509.MarshalPKCS8PrivateKey(private)
	return k, err
}

// jwks publishes the public keys, retired ones too (RFC 7517 5).
func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodGet, http.MethodHead); err != nil {
		return err
	}
	k, err := p.keys(r.Context())
	if err != nil {
		return err
	}
	p.document(w, json.RawMessage(k.set))
	return nil
}

// keyringPointer is the parsed keyring, shared by all requests.
type keyringPointer = atomic.Pointer[keyring]
