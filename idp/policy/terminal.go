package policy

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hufu/idp"
)

// Version is that of a terminal's software: up to four numbers, as "4.10.2". "" is none,
// older than any.
type Version string

var versionForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$`)

// ParseVersion reads a version.
func ParseVersion(s string) (Version, bool) {
	return Version(s), s == "" || versionForm.MatchString(s)
}

// Compare says whether v is older (-1) or newer (1) than w: number by number, so that 4.9
// is older than 4.10 and 4 is 4.0.
func (v Version) Compare(w Version) int {
	if v == "" || w == "" {
		return cmp.Compare(len(v), len(w))
	}
	a, b := v.numbers(), w.numbers()
	return slices.Compare(a[:], b[:])
}

// newer is the newer of two versions, and of two spellings of one always the same.
func newer(v, w Version) Version {
	if cmp.Or(v.Compare(w), cmp.Compare(v, w)) > 0 {
		return v
	}
	return w
}

func (v Version) numbers() (out [4]int) {
	for i, n := range strings.SplitN(string(v), ".", len(out)) {
		out[i], _ = strconv.Atoi(n) // of a form that was looked at
	}
	return out
}

// WhereTerminal are the facts of a terminal by which rules select. One that is not known
// counts as of the strictest tier.
func WhereTerminal(t *idp.Terminal, m *idp.Merchant, client string) Facts {
	if t == nil || m == nil {
		return Facts{Tier: idp.TierHighValue, Client: client}
	}
	return Facts{Tier: m.Tier, Merchant: m.No, Store: t.StoreID, Client: client}
}

// TooOld says whether a terminal's software is older than it may be.
func (t Terminals) TooOld(kind idp.TerminalKind, software Version) bool {
	least := map[idp.TerminalKind]Version{idp.TerminalESign: t.MinimumSoftware.ESign, idp.TerminalTraditional: t.MinimumSoftware.Traditional,
		idp.TerminalSmart: t.MinimumSoftware.Smart}[kind]
	return software.Compare(least) < 0
}

// MayApprove says whether a role may let a terminal in; fresh: it is as good as new. t is
// nil for a device that names none.
func (t Terminals) MayApprove(r idp.Role, of *idp.Terminal, fresh bool) bool {
	list := t.Approvers.Unregistered
	if of != nil {
		by := map[idp.TerminalKind]ByState{idp.TerminalESign: t.Approvers.ESign, idp.TerminalTraditional: t.Approvers.Traditional, idp.TerminalSmart: t.Approvers.Smart}[of.Kind]
		list = by.Active
		if fresh {
			list = by.New
		}
	}
	return len(list) == 0 && !r.Operator() || slices.Contains(list, string(r))
}
