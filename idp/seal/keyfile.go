package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/prf/hmacprf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	keyFileVersion = 1
	keyFileMax     = 1 << 20
	keyBytes       = 32
)

// keyFile is the whole file: two Tink keysets in clear. AEAD may hold several keys, the primary one seals; MAC
// holds exactly one, for a second would change every stored look-up value.
type keyFile struct {
	Version int             `json:"hufu_key_file"`
	AEAD    json.RawMessage `json:"aead"`
	MAC     json.RawMessage `json:"mac"`
}

// Generate makes the bytes of a new key file. Whoever writes them gives the file mode 0600.
func Generate() ([]byte, error) {
	sealing, err := newKeyset(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	mac, err := newKeyset(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, err
	}
	out, err := json.MarshalIndent(keyFile{Version: keyFileVersion, AEAD: sealing, MAC: mac}, "", "  ")
	if err != nil {
		return nil, errors.New("key file: could not be written as JSON")
	}
	return append(out, '\n'), nil
}

func newKeyset(template *tinkpb.KeyTemplate) (json.RawMessage, error) {
	handle, err := keyset.NewHandle(template)
	if err != nil {
		return nil, errors.New("key file: no new key could be made")
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, errors.New("key file: a new key could not be written")
	}
	return b.Bytes(), nil
}

// Parse reads a key file. Errors start with "key file: " and never quote its content.
func Parse(content []byte) (*Ring, error) {
	file, err := decode(content)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	var r Ring
	if r.aead, r.keys, err = sealingKeys(file.AEAD); err != nil {
		return nil, fmt.Errorf(`key file: part "aead": %w`, err)
	}
	if r.mac, err = macKey(file.MAC); err != nil {
		return nil, fmt.Errorf(`key file: part "mac": %w`, err)
	}
	return &r, nil
}

func decode(content []byte) (keyFile, error) {
	var f keyFile
	if len(bytes.TrimSpace(content)) == 0 {
		return f, errors.New("it is empty")
	}
	if len(content) > keyFileMax {
		return f, fmt.Errorf("it has %d bytes, more than any key file", len(content))
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	// The decoder's own errors may quote the content, so they are not passed on.
	if d.Decode(&f) != nil {
		return f, errors.New(`it is not the JSON object {"hufu_key_file", "aead", "mac"} that "hufu key new" writes`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return f, errors.New("something follows the JSON object")
	}
	if f.Version != keyFileVersion {
		return f, fmt.Errorf(`"hufu_key_file" is %d, this program reads version %d`, f.Version, keyFileVersion)
	}
	return f, nil
}

// sealingKeys accepts AES-256-GCM keys only: a keyset may name any algorithm of Tink, also ones that call out to a
// key service.
func sealingKeys(part json.RawMessage) (tink.AEAD, int, error) {
	handle, err := readKeyset(part)
	if err != nil {
		return nil, 0, err
	}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, 0, errNotKeyset
		}
		parameters, ok := entry.Key().Parameters().(*aesgcm.Parameters)
		if !ok || parameters.KeySizeInBytes() != keyBytes || parameters.Variant() != aesgcm.VariantTink {
			return nil, 0, fmt.Errorf("key %d is not an AES-256-GCM key with the TINK prefix", entry.KeyID())
		}
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, 0, errNotKeyset
	}
	return primitive, handle.Len(), nil
}

func macKey(part json.RawMessage) (*prf.Set, error) {
	handle, err := readKeyset(part)
	if err != nil {
		return nil, err
	}
	if handle.Len() != 1 {
		return nil, fmt.Errorf("it holds %d keys, expected exactly one: stored look-up values depend on it", handle.Len())
	}
	entry, err := handle.Entry(0)
	if err != nil {
		return nil, errNotKeyset
	}
	parameters, ok := entry.Key().Parameters().(*hmacprf.Parameters)
	if !ok || parameters.HashType() != hmacprf.SHA256 || parameters.KeySizeInBytes() != keyBytes {
		return nil, fmt.Errorf("key %d is not an HMAC-SHA-256 PRF key of %d bytes", entry.KeyID(), keyBytes)
	}
	set, err := prf.NewPRFSet(handle)
	if err != nil {
		return nil, errNotKeyset
	}
	if _, err := set.ComputePrimaryPRF(nil, MACSize); err != nil {
		return nil, errNotKeyset
	}
	return set, nil
}

// errNotKeyset stands for every error of Tink's readers: those may quote what they read.
var errNotKeyset = errors.New("it is not a usable Tink keyset")

func readKeyset(part json.RawMessage) (*keyset.Handle, error) {
	if len(part) == 0 || string(part) == "null" {
		return nil, errors.New("it is missing")
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(part)))
	if err != nil {
		return nil, errNotKeyset
	}
	return handle, nil
}
