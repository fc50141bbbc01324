package passkey

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/policy"
)

// algorithms are what every authenticator knows one of, best first.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// EnrolOptions asks the browser to make a credential on an authenticator that has none
// of the person's yet. One that cannot keep it itself is welcome as a second factor.
// Only a policy on models asks the maker's statement, for which browsers ask consent.
func (f *Factor) EnrolOptions(a *factor.Attempt) (options, scratch []byte, err error) {
	all, err := f.held(a.Credentials)
	if err != nil {
		return nil, nil, err
	}
	conveyance := protocol.PreferNoAttestation
	if a.Rules.Attested || len(a.Rules.Models) > 0 || len(a.Rules.ModelsDenied) > 0 {
		conveyance = protocol.PreferDirectAttestation
	}
	who := person{a, keys(all)}
	o, session, err := f.web.BeginRegistration(who,
		webauthn.WithCredentialParameters(algorithms),
		webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementPreferred),
		webauthn.WithExclusions(webauthn.Credentials(who.keys).CredentialDescriptors()),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()),
		webauthn.WithConveyancePreference(conveyance))
	if err != nil {
		return nil, nil, err
	}
	return pack(o, session)
}

// Enrolled is a new credential.
type Enrolled struct {
	Data    []byte
	RawID   []byte // what [Named] will name
	Counter int64
	Label   string    // the model, if its maker is known
	Proof   idp.Proof // without its channel, which is named after the credential's own id
}

// CheckEnrol verifies the answer to [Factor.EnrolOptions]; anything off is refused.
func (f *Factor) CheckEnrol(a *factor.Attempt, form url.Values) (Enrolled, error) {
	text := form.Get("attestation")
	if len(text) > longestAttestation {
		return Enrolled{}, idp.FieldError("", "key.malformed")
	}
	got, err := protocol.ParseCredentialCreationResponseBytes([]byte(text))
	if err != nil {
		return Enrolled{}, idp.FieldError("", "key.malformed")
	}
	session, fresh, err := open(a.Scratch)
	if err != nil {
		return Enrolled{}, err
	}
	if !fresh || got.Response.CollectedClientData.Challenge != session.Challenge {
		return Enrolled{}, idp.FieldError("", "key.stale")
	}
	key, err := f.create(a, session, got)
	if err != nil {
		return Enrolled{}, &idp.Error{Kind: idp.Invalid, Msg: "key.refused", Err: err}
	}
	attested, err := f.welcome(a.Rules, *key)
	if err != nil {
		return Enrolled{}, err
	}
	return f.enrolled(record{RPID: f.web.Config.RPID, Key: *key, Attested: attested})
}

// create verifies what the library does, and what it leaves open.
func (f *Factor) create(a *factor.Attempt, session webauthn.SessionData, got *protocol.ParsedCredentialCreationData) (*webauthn.Credential, error) {
	if origin := got.Response.CollectedClientData.Origin; !slices.Contains(f.origins, origin) {
		return nil, fmt.Errorf("passkey: foreign origin %q", origin)
	}
	all, err := f.held(a.Credentials)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(all, func(h held) bool { return bytes.Equal(h.Key.ID, got.RawID) }) {
		return nil, fmt.Errorf("passkey: enrolled already")
	}
	key, err := f.web.CreateCredential(person{a, nil}, session, got)
	if err != nil {
		return nil, err
	}
	if len(key.ID) < 16 || len(key.ID) > longestID {
		return nil, fmt.Errorf("passkey: credential id of %d bytes", len(key.ID))
	}
	key.Transport = slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(key.Transport, unknownTransport))))
	return key, usable(key.PublicKey)
}

// unknownTransport: the list comes from the client unsigned and goes back to browsers.
func unknownTransport(t protocol.AuthenticatorTransport) bool {
	return !slices.Contains([]protocol.AuthenticatorTransport{protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal}, t)
}

// usable refuses a key that could never be right, or that is too short.
func usable(cose []byte) error {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return err
	}
	if r, ok := key.(webauthncose.RSAPublicKeyData); ok && len(bytes.TrimLeft(r.Modulus, "\x00")) < 2048/8 {
		return fmt.Errorf("passkey: RSA key of less than 2048 bits")
	}
	return nil
}

// welcome says whether a policy takes this model, and whether its maker vouches for
// it. A model is known for certain only by its maker's statement: without one the
// list of the denied holds honest people only.
func (f *Factor) welcome(rules policy.Factors, key webauthn.Credential) (attested bool, err error) {
	problem := f.metadata.vouch(key)
	if problem != nil && (rules.Attested || len(rules.Models) > 0) {
		return false, &idp.Error{Kind: idp.Invalid, Msg: "key.unattested", Err: problem}
	}
	if !listed(rules, aaguid(key)) {
		return false, idp.FieldError("", "key.model")
	}
	return problem == nil, nil
}

// listed says whether the lists of a policy allow a model.
func listed(rules policy.Factors, model string) bool {
	return (len(rules.Models) == 0 || slices.Contains(rules.Models, model)) && !slices.Contains(rules.ModelsDenied, model)
}

// aaguid is the model of an authenticator in its written form.
func aaguid(key webauthn.Credential) string {
	b := key.Authenticator.AAGUID
	if len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (f *Factor) enrolled(r record) (Enrolled, error) {
	data, err := r.data()
	model, _ := f.metadata.model(aaguid(r.Key))
	return Enrolled{Data: data, RawID: r.Key.ID, Counter: int64(r.Key.Authenticator.SignCount), Label: model.name, Proof: idp.Proof{
		Method: idp.MethodPasskey, UserVerified: r.Key.Flags.UserVerified, DeviceBound: !r.Key.Flags.BackupEligible, Attested: r.Attested,
	}}, err
}
