package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keyFile keeps the key of each terminal by its serial number, as a real one keeps its own in a secure element: it
// outlives the program. Without a path keys are kept in memory.
type keyFile struct {
	path string
	keys map[string][]byte // PKCS #8
}

func openKeys(path string) (*keyFile, error) {
	f := &keyFile{path: path, keys: map[string][]byte{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &f.keys)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return f, nil
}

// of returns the key of a terminal, making it at its first use.
func (f *keyFile) of(serial string) (*ecdsa.PrivateKey, error) {
	if raw, ok := f.keys[serial]; ok {
		key, err := x509.ParsePKCS8PrivateKey(raw)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		if key, ok := key.(*ecdsa.PrivateKey); ok && key.Curve == elliptic.P256() {
			return key, nil
		}
		return nil, fmt.Errorf("keys: that of %s is not one of P-256", serial)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if f.keys[serial], err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, err
	}
	return key, f.save()
}

func (f *keyFile) save() error {
	if f.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(f.keys, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(f.path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(f.path+".new", f.path)
}

// prover is a transport that puts a proof of the terminal's key (RFC 9449) on every request that asks for something:
// those that post, and those that show an access token.
type prover struct {
	next http.RoundTripper
	key  *ecdsa.PrivateKey
}

func (p *prover) RoundTrip(r *http.Request) (*http.Response, error) {
	next := p.next
	if next == nil {
		next = http.DefaultTransport
	}
	authorization := r.Header.Get("Authorization")
	if r.Method != http.MethodPost && authorization == "" {
		return next.RoundTrip(r)
	}
	access, ok := strings.CutPrefix(authorization, "DPoP ")
	if !ok {
		access = ""
	}
	proof, err := prove(p.key, r.Method, r.URL.Scheme+"://"+r.URL.Host+r.URL.EscapedPath(), access)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("DPoP", proof)
	return next.RoundTrip(r)
}

// prove signs a proof for one request (RFC 9449 section 4.2).
func prove(key *ecdsa.PrivateKey, method, uri, access string) (string, error) {
	point, err := key.PublicKey.Bytes() // 0x04, x, y
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": uri, "iat": time.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = b64(sum[:])
	}
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256",
		"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64) // RFC 7518 section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + b64(signature), nil
}
