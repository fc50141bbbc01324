// Package policy holds the policy document and decides from it and from facts what
// must be proved; it explains which rule decided. It is pure: no clock, no database,
// no page.
//
// A document is a default rule that sets every field ([Settings]) and rules that set
// some of them for whom they select; where several hold, the strictest value of each
// field wins, as the field's tag says. The shipped one is default.json.
//
// Invariant: no security number stands anywhere else in the code.
package policy

import (
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"

	"hufu/idp"
)

// Who are the facts of a person by which rules select. m is his merchant, nil for
// operator staff. Staff without a known merchant count as of the strictest tier.
func Who(u idp.User, m *idp.Merchant) Facts {
	f := Facts{User: u.ID, Role: u.Role, Store: u.StoreID}
	switch {
	case u.Role.Operator():
		f.Store = ""
	case m == nil:
		f.Tier = idp.TierHighValue
	default:
		f.Tier, f.Merchant = m.Tier, m.No
	}
	return f
}

// GraceUntil is until when a person may do without the second factor that his sign-in
// needs and that he has not enrolled: the zero time for no grace.
func (s *Settings) GraceUntil(u idp.User) time.Time {
	if s.Factors.GraceDays == 0 {
		return time.Time{}
	}
	return u.GraceFrom.AddDate(0, 0, s.Factors.GraceDays)
}

// Permits says whether a kind of factor may be enrolled.
func (f Factors) Permits(kind idp.Method) bool {
	return len(f.Kinds) == 0 || slices.Contains(f.Kinds, string(kind))
}

// Live is the policy in force, and the one that is tried out on a part of the people.
// The server puts a new one in when it is activated; everybody who asks gets a whole one.
type Live struct{ now atomic.Pointer[inForce] }

type inForce struct {
	policy *Policy
	canary *Canary
}

// Canary is a policy tried out on a part of the people: on those of some merchants, and
// on a share of all.
type Canary struct {
	Policy    *Policy
	Percent   int      // of the people, always the same ones for one version
	Merchants []string // numbers
}

// NewLive returns a policy in force.
func NewLive(p *Policy) *Live {
	l := &Live{}
	l.Use(p, nil)
	return l
}

// Use puts a policy in force, and one to try out beside it or nil.
func (l *Live) Use(p *Policy, c *Canary) { l.now.Store(&inForce{p, c}) }

// Now is the policy in force: what holds for everybody alike, and its version.
func (l *Live) Now() *Policy { return l.now.Load().policy }

// For is what holds for somebody.
func (l *Live) For(f Facts) *Settings { return l.Of(f).For(f) }

// Of is the policy that holds for somebody: the one in force, or the one tried out.
func (l *Live) Of(f Facts) *Policy {
	now := l.now.Load()
	if now.canary.holds(f) {
		return now.canary.Policy
	}
	return now.policy
}

func (c *Canary) holds(f Facts) bool {
	if c == nil {
		return false
	}
	if f.Merchant != "" && slices.Contains(c.Merchants, f.Merchant) {
		return true
	}
	if c.Percent <= 0 || f.User == "" {
		return false
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte{byte(c.Policy.Version), byte(c.Policy.Version >> 8)})
	_, _ = h.Write([]byte(f.User))
	return int(h.Sum32()%100) < c.Percent
}
