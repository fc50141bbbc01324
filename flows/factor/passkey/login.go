package passkey

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"hufu/flows/factor"
	"hufu/idp"
)

// Options makes a challenge for the browser. With discover it names no credential:
// whoever holds one says who he is. Otherwise it asks for one of the person's.
func (f *Factor) Options(a *factor.Attempt, discover bool) (options, scratch []byte, err error) {
	if discover {
		o, session, err := f.web.BeginDiscoverableLogin()
		if err != nil {
			return nil, nil, err
		}
		return pack(o, session)
	}
	all, err := f.held(a.Credentials)
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(h held) bool { return h.Blocked != "" })
	if len(all) == 0 || len(a.Handle) == 0 {
		return nil, nil, idp.Errorf(idp.Conflict, "key.unknown")
	}
	o, session, err := f.web.BeginLogin(person{a, keys(all)})
	if err != nil {
		return nil, nil, err
	}
	return pack(o, session)
}

// Longest answers of a browser, in bytes: an attestation may carry certificates.
const (
	longestAssertion   = 16 << 10
	longestAttestation = 64 << 10
	longestID          = 1023
)

// Named reads which credential an assertion claims to be of, for the engine to look
// up whose it is. Nothing about it is verified yet.
func Named(form url.Values) (rawID []byte, ok bool) {
	text := form.Get("assertion")
	var named struct {
		RawID protocol.URLEncodedBase64 `json:"rawId"`
	}
	if len(text) > longestAssertion || json.Unmarshal([]byte(text), &named) != nil {
		return nil, false
	}
	return named.RawID, len(named.RawID) > 0 && len(named.RawID) <= longestID
}

func parseAssertion(form url.Values) (*protocol.ParsedCredentialAssertionData, bool) {
	text := form.Get("assertion")
	if len(text) > longestAssertion {
		return nil, false
	}
	got, err := protocol.ParseCredentialRequestResponseBytes([]byte(text))
	return got, err == nil && len(got.RawID) <= longestID
}

// Read refuses what is no assertion.
func (*Factor) Read(form url.Values) error {
	if _, ok := parseAssertion(form); !ok {
		return idp.FieldError("", "key.malformed")
	}
	return nil
}

// Check verifies an assertion against the challenge in a.Scratch and the person's
// credentials; of a discoverable one the engine gives the one that [Named] named.
func (f *Factor) Check(_ context.Context, a *factor.Attempt, form url.Values) (factor.Answer, error) {
	got, ok := parseAssertion(form)
	if !ok {
		return factor.Answer{}, idp.FieldError("", "key.malformed")
	}
	session, fresh, err := open(a.Scratch)
	if err != nil {
		return factor.Answer{}, err
	}
	if !fresh || got.Response.CollectedClientData.Challenge != session.Challenge {
		return factor.Answer{Void: true, Reason: "key.stale"}, nil
	}
	all, err := f.held(a.Credentials)
	if err != nil {
		return factor.Answer{}, err
	}
	i := slices.IndexFunc(all, func(h held) bool { return bytes.Equal(h.Key.ID, got.RawID) })
	if i < 0 || !asked(&session, all, got.RawID) {
		return factor.Answer{Reason: "key.unknown"}, nil
	}
	h := all[i]
	key := f.verify(a, keys(all), session, got)
	switch {
	case key == nil:
		return factor.Answer{Credential: h.ID, Reason: "key.wrong"}, nil
	case key.Authenticator.CloneWarning, h.Blocked != "":
		return factor.Answer{Credential: h.ID, Reason: "key.clone", Clone: h.Blocked == ""}, nil
	}
	return right(a, h, key, got.Response.AuthenticatorData)
}

// asked says whether the ceremony asked for this credential. What has been removed
// since is taken out of the list, so that it does not spoil the others.
func asked(session *webauthn.SessionData, all []held, id []byte) bool {
	if len(session.UserID) == 0 {
		return true
	}
	session.AllowedCredentialIDs = slices.DeleteFunc(session.AllowedCredentialIDs, func(allowed []byte) bool {
		return !slices.ContainsFunc(all, func(h held) bool { return bytes.Equal(h.Key.ID, allowed) })
	})
	return slices.ContainsFunc(session.AllowedCredentialIDs, func(allowed []byte) bool { return bytes.Equal(allowed, id) })
}

// verify returns the credential as it stands after a ceremony in which everything was
// right, or nil. The library compares origins by scheme and host, we compare them
// whole; it lets an assertion carry a new credential, which none has to.
func (f *Factor) verify(a *factor.Attempt, keys []webauthn.Credential, session webauthn.SessionData, got *protocol.ParsedCredentialAssertionData) *webauthn.Credential {
	discovered, handle := len(session.UserID) == 0, got.Response.UserHandle
	if (discovered || len(handle) > 0) && subtle.ConstantTimeCompare(handle, a.Handle) != 1 {
		return nil
	}
	if !slices.Contains(f.origins, got.Response.CollectedClientData.Origin) || got.Response.AuthenticatorData.Flags.HasAttestedCredentialData() {
		return nil
	}
	who := person{a, keys}
	if !discovered {
		key, err := f.web.ValidateLogin(who, session, got)
		return only(key, err)
	}
	_, key, err := f.web.ValidatePasskeyLogin(func([]byte, []byte) (webauthn.User, error) { return who, nil }, session, got)
	return only(key, err)
}

func only(key *webauthn.Credential, err error) *webauthn.Credential {
	if err != nil {
		return nil
	}
	return key
}

// right is the answer to a good assertion. A key that was enrolled without verifying
// its user stays one factor: who finds it could give it a PIN of his own.
func right(a *factor.Attempt, h held, key *webauthn.Credential, auth protocol.AuthenticatorData) (factor.Answer, error) {
	ans := factor.Answer{Right: true, Credential: h.ID, Counter: int64(auth.Counter), Proof: idp.Proof{
		Method: idp.MethodPasskey, Channels: []string{"key:" + h.ID},
		UserVerified: auth.Flags.HasUserVerified() && h.Key.Flags.UserVerified,
		DeviceBound:  !auth.Flags.HasBackupEligible(),
		Attested:     h.Attested && listed(a.Rules, aaguid(h.Key)),
	}}
	if key.Flags.BackupState == h.Key.Flags.BackupState {
		return ans, nil
	}
	h.Key = *key
	data, err := h.record.data()
	ans.Data = data
	return ans, err
}
