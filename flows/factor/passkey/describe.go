package passkey

import (
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"

	"hufu/flows/factor"
)

// Info is what pages say of a credential.
type Info struct {
	RawID       []byte
	Model, Icon string // "" if its maker is unknown; the icon is a data: URL
	Synced      bool   // a copy is with the provider of the passkey
	DeviceBound bool   // it never leaves its authenticator
	Resident    bool   // it signs in without a name being typed, as far as known
	AAGUID      string
	Transports  []string
}

// Describe reads the data of a credential.
func (f *Factor) Describe(data []byte) (Info, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Info{}, fmt.Errorf("passkey: %w", err)
	}
	info := Info{RawID: r.Key.ID, Synced: r.Key.Flags.BackupState, DeviceBound: !r.Key.Flags.BackupEligible,
		Resident: r.Key.Extensions.RK != nil && *r.Key.Extensions.RK, AAGUID: aaguid(r.Key)}
	m, _ := f.metadata.model(info.AAGUID)
	info.Model, info.Icon = m.name, m.icon
	for _, t := range r.Key.Transport {
		info.Transports = append(info.Transports, string(t))
	}
	return info, nil
}

// Signal is what authenticators are told by the Signal API: which credentials of the
// person go on working, and what he is called now.
func (f *Factor) Signal(a *factor.Attempt) ([]byte, error) {
	all, err := f.held(a.Credentials)
	if err != nil {
		return nil, err
	}
	ids := []protocol.URLEncodedBase64{}
	for _, h := range all {
		if h.Blocked == "" {
			ids = append(ids, h.Key.ID)
		}
	}
	return json.Marshal(struct {
		RPID        string                      `json:"rpId"`
		UserID      protocol.URLEncodedBase64   `json:"userId"`
		Accepted    []protocol.URLEncodedBase64 `json:"allAcceptedCredentialIds"`
		Name        string                      `json:"name"`
		DisplayName string                      `json:"displayName"`
	}{f.web.Config.RPID, a.Handle, ids, a.Login, a.User.Name})
}
