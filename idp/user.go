package idp

import (
	"slices"
	"time"
)

// Role is what a person does: for a merchant, or for the operator.
type Role string

const (
	RoleOwner             Role = "owner"
	RoleManager           Role = "manager"
	RoleCashier           Role = "cashier"
	RolePolicyAdmin       Role = "policy_admin"
	RoleSupportAgent      Role = "support_agent"
	RoleSupportSupervisor Role = "support_supervisor"
	RoleAuditor           Role = "auditor"
)

// Roles lists every role, merchant staff first.
var Roles = []Role{RoleOwner, RoleManager, RoleCashier, RolePolicyAdmin, RoleSupportAgent, RoleSupportSupervisor, RoleAuditor}

// Operator says whether the role belongs to the operator's own staff. No
// operator role is staff of a merchant.
func (r Role) Operator() bool {
	switch r {
	case RolePolicyAdmin, RoleSupportAgent, RoleSupportSupervisor, RoleAuditor:
		return true
	}
	return false
}

// Valid says whether the role is one of [Roles].
func (r Role) Valid() bool {
	switch r {
	case RoleOwner, RoleManager, RoleCashier:
		return true
	}
	return r.Operator()
}

// UserStatus is where an account stands in its life; freeze and lock are flags
// beside it.
type UserStatus string

const (
	UserInvited  UserStatus = "invited"
	UserActive   UserStatus = "active"
	UserLeft     UserStatus = "left"
	UserDisabled UserStatus = "disabled"
	UserErased   UserStatus = "erased"
)

// User is a person. ID is also the `sub` of every token: random, stable, never
// reused.
type User struct {
	ID         string
	Name       string // as shown to the person and to colleagues
	Language   string // "zh-CN" or "en"
	Role       Role
	MerchantID string // empty for operator staff
	StoreID    string // empty: all stores of the merchant
	Status     UserStatus
	Frozen     bool
	FrozenAt   time.Time
	Locked     string // reason, empty: not locked
	MustChange bool   // the password, at the next full sign-in
	CreatedAt  time.Time
	GraceFrom  time.Time // start of the grace time to enrol a demanded factor

	Withheld      Withhold  // the most of it, by a recovery
	WithheldUntil time.Time // and until when; see Withholds
	PayeeUntil    time.Time // until when settlement is withheld, by a recovery or hand-over
	MoneyAt       time.Time // when a money scope was last given, to the hour
	Team          string    // of operator staff: whoever works the same shift
	LeavesAt      time.Time // of merchant staff: the end of the last day; zero: none is set
}

// Withholds is what is kept back from the person now.
func (u User) Withholds(now time.Time) Withhold {
	switch {
	case now.Before(u.WithheldUntil):
		return u.Withheld
	case now.Before(u.PayeeUntil):
		return WithholdPayee
	}
	return WithholdNothing
}

// HeldUntil is until when as much as w, or more, is kept back from the person.
func (u User) HeldUntil(w Withhold) time.Time {
	if w == WithholdPayee && u.PayeeUntil.After(u.WithheldUntil) {
		return u.PayeeUntil
	}
	return u.WithheldUntil
}

// Leaving says whether the last day of the person is over.
func (u User) Leaving(now time.Time) bool { return !u.LeavesAt.IsZero() && !now.Before(u.LeavesAt) }

// DayEnd is the end of the day that t is in, where t is: 24:00.
func DayEnd(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location())
}

// Reason says why the account may not be used, "" when it may. Frozen is not
// among them: a frozen person signs in and gets no money scope. Whose last day is over has
// left, also before anybody has taken note of it.
func (u User) Reason(now time.Time) string {
	switch {
	case u.Locked != "":
		return "locked"
	case u.Status == UserLeft, u.Status == UserErased, u.Leaving(now):
		return "left"
	case u.Status != UserActive:
		return "disabled"
	}
	return ""
}

// Adding refuses what adds a person, a role, an exception or a terminal while a recovery keeps
// every change of whoever does it back: what a thief let in would stay when he is out.
func (u User) Adding(now time.Time) error {
	if u.Withholds(now) != WithholdMoney {
		return nil
	}
	return &Error{Kind: Forbidden, Msg: "error.withheld", Args: []any{u.HeldUntil(WithholdMoney)}, Reason: "withheld"}
}

// Below lists on whom the people of a merchant act.
func (r Role) Below() []Role {
	switch r {
	case RoleOwner:
		return []Role{RoleManager, RoleCashier}
	case RoleManager:
		return []Role{RoleCashier}
	}
	return nil
}

// Helps says whether somebody may let another in again today, by a code that he tells him in
// the shop: who works, is above him at his merchant and in his store, or in all of them, and is
// kept from nothing himself.
func (u User) Helps(other User, now time.Time) bool {
	return u.Reason(now) == "" && !u.Frozen && u.Adding(now) == nil && u.MerchantID != "" && u.MerchantID == other.MerchantID && slices.Contains(u.Role.Below(), other.Role) &&
		(u.Role == RoleOwner || u.StoreID == "" || u.StoreID == other.StoreID)
}

// IdentifierKind is the sort of name a person types to be recognised.
type IdentifierKind string

const (
	IdentifierUsername   IdentifierKind = "username"
	IdentifierPhone      IdentifierKind = "phone"
	IdentifierEmail      IdentifierKind = "email"
	IdentifierMerchantNo IdentifierKind = "merchant_no" // names its owner
)

// Identifier is a login name of a user, normalised. Former user names stay
// reserved to their user and go on working.
type Identifier struct {
	ID, UserID   string
	Kind         IdentifierKind
	Value        string // normalised: folded user name or e-mail, E.164, 15 digits
	Former       bool
	VerifiedAt   time.Time // phone, e-mail: zero until a code came back
	LastProvenAt time.Time
	RemovedAt    time.Time // phone, e-mail: gets notices for a while, signs nobody in; user name: former since
	CreatedAt    time.Time

	DisputedUntil time.Time // proves nothing in a recovery until then
}

// Channel says whether codes and notices may go to this identifier.
func (i Identifier) Channel() bool {
	return (i.Kind == IdentifierPhone || i.Kind == IdentifierEmail) && !i.VerifiedAt.IsZero() && !i.Former && i.RemovedAt.IsZero()
}

// Masked is the identifier as pages may show it: 138****0001, l***@example.com.
func (i Identifier) Masked() string {
	v := i.Value
	switch i.Kind {
	case IdentifierPhone:
		if n := len(v); n > 8 {
			if len(v) > 3 && v[:3] == "+86" {
				v = v[3:]
			}
			return v[:3] + "****" + v[len(v)-4:]
		}
		return "****"
	case IdentifierEmail:
		for k := range len(v) {
			if v[k] == '@' {
				return firstRune(v) + "***" + v[k:]
			}
		}
		return "***"
	}
	return v
}

// MaskName is a user name as a browser may show it that somebody has signed in on: l***i.
func MaskName(name string) string {
	runes := []rune(name)
	if len(runes) < 3 { // both ends would be all of it
		return firstRune(name) + "***"
	}
	return string(runes[0]) + "***" + string(runes[len(runes)-1])
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
