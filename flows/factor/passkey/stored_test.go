package passkey

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"hufu/idp"
)

// stored is a credential as a database holds it, with an answer that its authenticator gave.
type stored struct {
	Name                      string          `json:"name"`
	Record                    json.RawMessage `json:"record"`
	Counter                   int64           `json:"counter"`
	Handle                    []byte          `json:"handle"`
	Discovered                bool            `json:"discovered"`
	Challenge                 string          `json:"challenge"`
	Assertion                 json.RawMessage `json:"assertion"`
	UserVerified, DeviceBound bool
}

// Passkeys that were enrolled with the first version of the record work with every later one
// (keycloak#39135, #27890: keys that stop working after an upgrade). The file is never made
// again: a new form of the record gets a new file beside it.
func TestStoredKeysGoOnWorking(t *testing.T) {
	text, err := os.ReadFile("testdata/stored.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 3 {
		t.Fatal(len(all), err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			f, a := newFactor(t), newPerson()
			a.Handle = s.Handle
			a.Credentials = []idp.Credential{{ID: "c", Method: idp.MethodPasskey, Data: s.Record, Counter: s.Counter}}
			if a.Scratch, err = s.asked(f); err != nil {
				t.Fatal(err)
			}
			ans, err := f.Check(t.Context(), a, assertion(string(s.Assertion)))
			if err != nil || !ans.Right || ans.Proof.UserVerified != s.UserVerified || ans.Proof.DeviceBound != s.DeviceBound {
				t.Fatalf("%+v, %v", ans, err)
			}
			a.Credentials[0].Counter = ans.Counter + 1 // or the test would show nothing of the counter
			if ans, err = f.Check(t.Context(), a, assertion(string(s.Assertion))); err != nil || !ans.Clone {
				t.Errorf("a counter that was ahead: %+v, %v", ans, err)
			}
		})
	}
}

// asked is the challenge that was answered, as today's ceremony keeps it.
func (s stored) asked(f *Factor) (scratch []byte, err error) {
	session := webauthn.SessionData{Challenge: s.Challenge, RelyingPartyID: domain, UserVerification: protocol.VerificationPreferred, Expires: time.Now().Add(time.Minute)}
	if !s.Discovered {
		all, err := f.held([]idp.Credential{{Data: s.Record}})
		if err != nil {
			return nil, err
		}
		session.UserID, session.AllowedCredentialIDs = s.Handle, [][]byte{all[0].Key.ID}
	}
	_, scratch, err = pack(nil, &session)
	return scratch, err
}
