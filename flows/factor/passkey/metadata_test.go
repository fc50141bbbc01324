package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/flows/factor/passkey/passkeytest"
	"hufu/idp/policy"
)

// fido is a metadata service of our own.
type fido struct {
	root  *x509.Certificate
	chain []*x509.Certificate // leaf first
	key   crypto.Signer
}

func newFIDO(t *testing.T, name string, life time.Duration) fido {
	t.Helper()
	certify := func(tmpl, parent *x509.Certificate, signer crypto.Signer) (*x509.Certificate, crypto.Signer) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.NotBefore, tmpl.SerialNumber = time.Now().Add(-48*time.Hour), big.NewInt(time.Now().UnixNano())
		if tmpl.NotAfter = time.Now().Add(time.Hour); !tmpl.IsCA {
			tmpl.NotAfter = time.Now().Add(life)
		}
		tmpl.BasicConstraintsValid = true
		if parent == nil {
			parent, signer = tmpl, key
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	}
	root, rootKey := certify(ca("Root"), nil, nil)
	mid, midKey := certify(ca("Issuer"), root, rootKey)
	leaf, key := certify(&x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, mid, midKey)
	return fido{root, []*x509.Certificate{leaf, mid}, key}
}

func (s fido) blob(t *testing.T, payload any) string {
	t.Helper()
	var x5c []string
	for _, c := range s.chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, (&jose.SignerOptions{}).WithHeader("x5c", x5c))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

const (
	modelID  = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"
	brokenID = "00000000-1111-2222-3333-444444444444"
	icon     = "data:image/png;base64,iVBORw0KGgo="
)

func id(t *testing.T, s string) (b [16]byte) {
	t.Helper()
	n, ok := new(big.Int).SetString(strings.ReplaceAll(s, "-", ""), 16)
	if !ok {
		t.Fatal(s)
	}
	n.FillBytes(b[:])
	return b
}

func entry(maker *passkeytest.Maker, id, status string) map[string]any {
	return map[string]any{"aaguid": id, "timeOfLastStatusChange": "2024-01-02", "statusReports": []any{map[string]any{"status": status, "effectiveDate": "2024-01-02"}},
		"metadataStatement": map[string]any{"aaguid": id, "description": "Test Key 5", "icon": icon, "attestationTypes": []string{"basic_full"},
			"attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(maker.Root.Raw)}}}
}

func payload(entries ...any) map[string]any {
	return map[string]any{"no": 7, "nextUpdate": "2026-12-01", "entries": entries}
}

func newMaker(t *testing.T) *passkeytest.Maker {
	t.Helper()
	m, err := passkeytest.NewMaker()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMetadata(t *testing.T) {
	maker, service := newMaker(t), newFIDO(t, signer, time.Hour)
	good := service.blob(t, payload(entry(maker, modelID, "FIDO_CERTIFIED"), "nonsense", map[string]any{"aaguid": "x"}))
	m, err := parseMetadata("\n"+good+"\n", service.root)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := m.model(modelID); !ok || found.name != "Test Key 5" || found.icon != icon || len(m.models) != 1 || m.NextUpdate.Format(time.DateOnly) != "2026-12-01" {
		t.Errorf("%+v %+v", found, m)
	}
	part := strings.Split(good, ".")
	evil, old := newFIDO(t, "evil.example", time.Hour), newFIDO(t, signer, -time.Hour)
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for name, c := range map[string]struct {
		blob string
		root *x509.Certificate
	}{
		"under another root":    {good, newFIDO(t, signer, time.Hour).root},
		"of another signer":     {evil.blob(t, payload()), evil.root},
		"of an old certificate": {old.blob(t, payload()), old.root},
		"without a chain":       {fido{service.root, service.chain[:1], service.key}.blob(t, payload()), service.root},
		"without certificates":  {fido{service.root, nil, service.key}.blob(t, payload()), service.root},
		"with another payload":  {part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"nextUpdate":"2030-01-01","entries":[]}`)) + "." + part[2], service.root},
		"without a signature":   {part[0] + "." + part[1] + ".", service.root},
		"unsigned":              {unsigned + "." + part[1] + ".", service.root},
		"decoded":               {`{"nextUpdate":"2026-12-01","entries":[]}`, service.root},
		"empty":                 {"", service.root},
		"without a date":        {service.blob(t, map[string]any{"entries": []any{}}), service.root},
		"that is a list":        {service.blob(t, []any{}), service.root},
	} {
		if _, err := parseMetadata(c.blob, c.root); err == nil {
			t.Errorf("a file %s is taken", name)
		}
	}
	path := filepath.Join(t.TempDir(), "blob.jwt")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMetadata(path); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("a file that FIDO did not sign: %v", err)
	}
	if _, err := LoadMetadata(path + "x"); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}

// Icons go into pages, so they are pictures and nothing else.
func TestIcon(t *testing.T) {
	maker, service := newMaker(t), newFIDO(t, signer, time.Hour)
	for _, bad := range []string{"https://evil.example/x.png", "javascript:alert(1)", "data:text/html;base64,AAAA", "data:image/png,x", `data:image/png;base64,AA"onload=`} {
		e := entry(maker, modelID, "FIDO_CERTIFIED")
		e["metadataStatement"].(map[string]any)["icon"] = bad
		m, err := parseMetadata(service.blob(t, payload(e)), service.root)
		if err != nil {
			t.Fatal(err)
		}
		if found, _ := m.model(modelID); found.icon != "" {
			t.Errorf("icon %q", found.icon)
		}
	}
}

func TestModels(t *testing.T) {
	maker, stranger, service := newMaker(t), newMaker(t), newFIDO(t, signer, time.Hour)
	m, err := parseMetadata(service.blob(t, payload(entry(maker, modelID, "FIDO_CERTIFIED"), entry(maker, brokenID, "USER_VERIFICATION_BYPASS"))), service.root)
	if err != nil {
		t.Fatal(err)
	}
	unknown := "99999999-1111-2222-3333-444444444444"
	attested, listing := policy.Factors{Attested: true}, policy.Factors{Models: []string{modelID, brokenID}}
	for name, c := range map[string]struct {
		rules  policy.Factors
		model  string
		format string
		maker  *passkeytest.Maker
		blind  bool // without metadata
		want   string
		proven bool
	}{
		"attested, and it is":            {rules: attested, model: modelID, format: "packed", maker: maker, proven: true},
		"nothing asked, attested still":  {model: modelID, format: "packed", maker: maker, proven: true},
		"nothing asked, nothing shown":   {model: modelID, format: "none"},
		"nothing asked, broken model":    {model: brokenID, format: "packed", maker: maker},
		"attested, nothing shown":        {rules: attested, model: modelID, format: "none", want: "key.unattested"},
		"attested, by itself":            {rules: attested, model: modelID, format: "packed", want: "key.unattested"},
		"attested, by another maker":     {rules: attested, model: modelID, format: "packed", maker: stranger, want: "key.unattested"},
		"attested, of an unknown model":  {rules: attested, model: unknown, format: "packed", maker: maker, want: "key.unattested"},
		"attested, of a broken model":    {rules: attested, model: brokenID, format: "packed", maker: maker, want: "key.unattested"},
		"attested, of no model":          {rules: attested, model: "00000000-0000-0000-0000-000000000000", format: "packed", maker: maker, want: "key.unattested"},
		"attested, without metadata":     {rules: attested, model: modelID, format: "packed", maker: maker, blind: true, want: "key.unattested"},
		"on the list":                    {rules: listing, model: modelID, format: "packed", maker: maker, proven: true},
		"on the list, as it says itself": {rules: listing, model: modelID, format: "none", want: "key.unattested"},
		"on the list, without metadata":  {rules: listing, model: modelID, format: "packed", maker: maker, blind: true, want: "key.unattested"},
		"not on the list":                {rules: policy.Factors{Models: []string{unknown}}, model: modelID, format: "packed", maker: maker, want: "key.model"},
		"denied":                         {rules: policy.Factors{ModelsDenied: []string{modelID}}, model: modelID, format: "none", want: "key.model"},
		"denied, without metadata":       {rules: policy.Factors{ModelsDenied: []string{modelID}}, model: modelID, format: "none", blind: true, want: "key.model"},
		"another is denied":              {rules: policy.Factors{ModelsDenied: []string{unknown}}, model: modelID, format: "packed", maker: maker, proven: true},
		"allowed and denied":             {rules: policy.Factors{Models: []string{modelID}, ModelsDenied: []string{modelID}}, model: modelID, format: "packed", maker: maker, want: "key.model"},
	} {
		t.Run(name, func(t *testing.T) {
			f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
			if !c.blind {
				f.metadata = m
			}
			a.Rules, device.AAGUID, device.Format, device.Maker = c.rules, id(t, c.model), c.format, c.maker
			if c.want != "" {
				if _, err := create(t, f, a, device); message(err) != c.want {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			e := enrol(t, f, a, device, "c")
			if e.Proof.Attested != c.proven || (e.Label == "Test Key 5") == c.blind {
				t.Errorf("%+v", e)
			}
			if info, err := f.Describe(e.Data); err != nil || info.Icon != icon || info.AAGUID != c.model {
				t.Errorf("%+v %v", info, err)
			}
			if ans := get(t, f, a, device, false); !ans.Right || ans.Proof.Attested != c.proven {
				t.Errorf("%+v", ans)
			}
			a.Rules.ModelsDenied = []string{c.model} // from now on
			if ans := get(t, f, a, device, false); !ans.Right || ans.Proof.Attested {
				t.Errorf("off the list: %+v", ans)
			}
		})
	}
}

// A maker's statement is as unforgeable as a key's own.
func TestMutatedMakersStatements(t *testing.T) {
	maker, service := newMaker(t), newFIDO(t, signer, time.Hour)
	m, err := parseMetadata(service.blob(t, payload(entry(maker, modelID, "FIDO_CERTIFIED"))), service.root)
	if err != nil {
		t.Fatal(err)
	}
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	f.metadata, a.Rules.Attested = m, true
	device.AAGUID, device.Format, device.Maker, device.Counter = id(t, modelID), "packed", maker, 10
	for _, mutation := range mutations {
		if !strings.Contains(mutation.where, "p") || mutation.name == "of ECDAA" { // says nothing beside certificates
			continue
		}
		device.Tamper = mutation.bend
		if _, err := create(t, f, a, device); err == nil || message(err) == "" {
			t.Errorf("%s: %s: %v", mutation.field, mutation.name, err)
		}
	}
	device.Tamper = nil
	if e, err := create(t, f, a, device); err != nil || !e.Proof.Attested {
		t.Errorf("nothing bent: %+v %v", e, err)
	}
}
