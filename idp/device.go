package idp

import "time"

// DeviceState is where a device authorization request stands (RFC 8628).
type DeviceState string

const (
	DevicePending  DeviceState = "pending"
	DeviceApproved DeviceState = "approved"
	DeviceDenied   DeviceState = "denied"
	DeviceRedeemed DeviceState = "redeemed"
)

// DeviceRequest is one request of a device to be signed in. Its scopes are
// frozen when it is made: shown = granted = issued.
type DeviceRequest struct {
	ID         string
	ClientID   string
	TerminalID string // empty: a device that named no registered terminal
	Key        string // thumbprint of the key that the device proved (RFC 7638), "" if it showed none
	Software   string // the version that it names, "" if none
	Scopes     []string
	Match      int   // the number the device shows, 10 to 99
	Choices    []int // three numbers the approver picks from, Match among them
	State      DeviceState
	GrantID    string // once approved
	Network    string // /24 or /48 of the device
	Asker      string // its exact network; kept as a keyed hash only
	CreatedAt  time.Time
	ExpiresAt  time.Time
}
