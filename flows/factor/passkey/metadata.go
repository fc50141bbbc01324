package passkey

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Metadata is what the FIDO Metadata Service says of authenticators (MDS 3).
type Metadata struct {
	NextUpdate time.Time // when a newer file is due
	provider   metadata.Provider
	models     map[string]model // by AAGUID
}

type model struct{ name, icon string }

// signer is whom the file must be signed by: its root certifies half the web.
const signer = "mds.fidoalliance.org"

// LoadMetadata reads a metadata BLOB that the operator fetched. Only FIDO's signature
// makes it count. The library's own decoder asks revocation servers without a time
// limit, which a server without a way out would wait for.
func LoadMetadata(path string) (*Metadata, error) {
	blob, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(string(blob), root)
	if err != nil {
		return nil, fmt.Errorf("passkey: metadata %s: %w", path, err)
	}
	return m, nil
}

func parseMetadata(blob string, root *x509.Certificate) (*Metadata, error) {
	payload, err := verifyBlob(blob, root)
	if err != nil {
		return nil, err
	}
	var p struct {
		NextUpdate string            `json:"nextUpdate"`
		Entries    []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, err
	}
	due, err := time.Parse(time.DateOnly, p.NextUpdate)
	if err != nil {
		return nil, err
	}
	m := &Metadata{NextUpdate: due, models: map[string]model{}}
	var all metadata.Metadata
	for _, raw := range p.Entries {
		// An entry that cannot be read vouches for nobody; the others still do.
		if entry, err := parseEntry(raw); err == nil {
			all.Parsed.Entries = append(all.Parsed.Entries, entry)
			m.models[entry.AaGUID.String()] = modelOf(entry.MetadataStatement)
		}
	}
	m.provider, err = memory.New(memory.WithMetadata(all.ToMap()))
	return m, err
}

func parseEntry(raw []byte) (metadata.Entry, error) {
	var entry metadata.EntryJSON
	if err := json.Unmarshal(raw, &entry); err != nil {
		return metadata.Entry{}, err
	}
	return entry.Parse()
}

// verifyBlob returns the payload of a JWT whose certificate is the signer's.
func verifyBlob(blob string, root *x509.Certificate) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(strings.TrimSpace(blob), []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.ES256, jose.ES384, jose.ES512})
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	chains, err := jws.Signatures[0].Protected.Certificates(x509.VerifyOptions{DNSName: signer, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	return jws.Verify(chains[0][0].PublicKey)
}

// picture is the only form of an icon that is passed on.
var picture = regexp.MustCompile(`^data:image/(png|jpeg|webp|svg\+xml);base64,[A-Za-z0-9+/=]+$`)

func modelOf(s metadata.Statement) model {
	m := model{name: s.Description}
	if s.Icon != nil && picture.MatchString(s.Icon.String()) {
		m.icon = s.Icon.String()
	}
	return m
}

func (m *Metadata) model(aaguid string) (model, bool) {
	if m == nil {
		return model{}, false
	}
	found, ok := m.models[aaguid]
	return found, ok
}

// vouch says why nobody vouches for a credential, nil if its maker does: by a statement
// that chains to the maker's roots, of a model that is not known to be broken. A
// statement that the key made for itself says nothing.
func (m *Metadata) vouch(key webauthn.Credential) error {
	if m == nil {
		return errors.New("passkey: no metadata")
	}
	certified := []string{string(metadata.BasicFull), string(metadata.AttCA), string(metadata.AnonCA)}
	if !slices.Contains(certified, key.AttestationType) {
		return fmt.Errorf("passkey: attestation of type %q", key.AttestationType)
	}
	return key.Verify(m.provider, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
}
