package templates

import "time"

// Pages of the door: approving a terminal (RFC 8628).

// DeviceCode asks for the code that the terminal shows. Input: user_code.
type DeviceCode struct {
	Form
	Action, UserCode string
}

// DeviceApprove shows who asks and has the number picked. Inputs: match, do=approve, do=deny; user_code goes along.
type DeviceApprove struct {
	Form
	Action, UserCode                    string
	Name, Username                      string // of who approves; Username is "" for none
	ClientName, MerchantName, StoreName string
	Model, KindKey                      string // KindKey is a catalogue key: kind.esign
	SerialTail, Network                 string
	Age                                 time.Duration
	AskedAt                             time.Time
	Scopes                              []string
	Numbers                             []int
	Software                            string // version of the terminal's, "" if it names none
	Rekeyed                             bool   // it came with another key than before
	Named                               bool   // false: no terminal of ours is registered for this device
	Barred                              bool   // it can be refused alone
}

// DeviceDone says how it ended: "approved", "denied", "wrong" or "gone".
type DeviceDone struct {
	Outcome  string
	Terminal string // model and tail of the serial number, or ""
}

func (DeviceCode) Page() string    { return "device-code" }
func (DeviceApprove) Page() string { return "device-approve" }
func (DeviceDone) Page() string    { return "device-done" }
