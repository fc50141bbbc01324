package idp

import "time"

// Tier is what policy binds to: how much a merchant moves.
type Tier string

const (
	TierMicro     Tier = "micro"
	TierStandard  Tier = "standard"
	TierHighValue Tier = "high_value"
)

// Tiers lists every tier, weakest demands first.
var Tiers = []Tier{TierMicro, TierStandard, TierHighValue}

// MerchantStatus is where a merchant stands in its life.
type MerchantStatus string

const (
	MerchantPending   MerchantStatus = "pending"
	MerchantActive    MerchantStatus = "active"
	MerchantSuspended MerchantStatus = "suspended"
	MerchantClosed    MerchantStatus = "closed"
)

// Merchant is a customer of the acquirer. No has 15 digits.
type Merchant struct {
	ID, No, LegalName string
	Tier              Tier
	Status            MerchantStatus
	CreatedAt         time.Time
	ClosedAt          time.Time
}

// Gone says whether nobody of the merchant comes in any more: the owner of a closed one
// may take his data with him for a while.
func (m Merchant) Gone(now time.Time, export time.Duration) bool {
	return m.Status == MerchantClosed && !now.Before(m.ClosedAt.Add(export))
}

// Store is where terminals stand and staff work.
type Store struct {
	ID, MerchantID, Name, Place string
	CreatedAt                   time.Time
}

// TerminalKind is the sort of POS device.
type TerminalKind string

const (
	TerminalESign       TerminalKind = "esign"       // small screen, no printer
	TerminalTraditional TerminalKind = "traditional" // printer, keypad, poor screen
	TerminalSmart       TerminalKind = "smart"       // Android, touch, browser
)

// TerminalKinds lists every kind.
var TerminalKinds = []TerminalKind{TerminalESign, TerminalTraditional, TerminalSmart}

// TerminalState is where a device stands in its life.
type TerminalState string

const (
	TerminalNew       TerminalState = "new"
	TerminalActive    TerminalState = "active"
	TerminalSuspended TerminalState = "suspended"
	TerminalLost      TerminalState = "lost"
	TerminalRetired   TerminalState = "retired"
)

// Terminal is a POS device, a principal of its own.
type Terminal struct {
	ID, Serial, Model   string
	Kind                TerminalKind
	MerchantID, StoreID string
	State               TerminalState
	CreatedAt           time.Time
	ActivatedAt         time.Time // zero until its first approval; since its return, where it was lost or suspended
	LastSeenAt          time.Time // zero until it redeemed a sign-in
	Key                 string    // thumbprint of its key (RFC 7638), "" until it brought one
	KeyAt               time.Time // since when it is this one
}

// SerialTail is the part of the serial that pages and notices show.
func (t Terminal) SerialTail() string {
	if len(t.Serial) <= 4 {
		return t.Serial
	}
	return t.Serial[len(t.Serial)-4:]
}

// WorksFor says whether the terminal stands in a merchant's shop: one that is lost or retired says nothing of it any more.
func (t Terminal) WorksFor(merchant string) bool {
	return merchant != "" && t.MerchantID == merchant && (t.State == TerminalActive || t.State == TerminalSuspended)
}

// MayRequest says whether a device in this state may ask for a sign-in.
func (s TerminalState) MayRequest() bool { return s == TerminalNew || s == TerminalActive }
