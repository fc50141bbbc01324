package idp

import (
	"slices"
	"strings"
	"time"
)

// ACR is an authentication context class, weakest first: acr 1 one factor, acr 2
// two factors, phr phishing-resistant, phrh also hardware-held (OpenID EAP ACR
// Values 1.0).
type ACR int

const (
	ACR0    ACR = iota // nothing proved
	ACR1               // one factor
	ACR2               // two factors over disjoint channels
	ACRPhr             // two factors, one of them a WebAuthn credential
	ACRPhrh            // the same, held by attested hardware
)

var acrNames = map[ACR]string{ACR0: "0", ACR1: "urn:hufu:acr:1", ACR2: "urn:hufu:acr:2", ACRPhr: "phr", ACRPhrh: "phrh"}

func (a ACR) String() string { return acrNames[a] }

// ParseACR reads an `acr` value; unknown values are refused by ok=false.
func ParseACR(s string) (a ACR, ok bool) {
	for a, name := range acrNames {
		if name == s && a != ACR0 {
			return a, true
		}
	}
	return ACR0, false
}

// Factor is a bit set: something known, something had, something one is.
type Factor int

const (
	Knowledge Factor = 1 << iota
	Possession
	Inherence
)

// Factor returns what the proof shows. A WebAuthn ceremony that verified its
// user shows two factors at once.
func (p Proof) Factor() Factor {
	switch p.Method {
	case MethodPassword, MethodPIN:
		return Knowledge
	case MethodPasskey:
		if p.UserVerified {
			return Possession | Inherence
		}
		return Possession
	case MethodTOTP, MethodSMS, MethodMail, MethodBackup:
		return Possession
	}
	return 0
}

// amr returns the RFC 8176 values of the proof.
func (p Proof) amr() []string {
	switch p.Method {
	case MethodPassword:
		return []string{"pwd"}
	case MethodTOTP, MethodMail, MethodBackup:
		return []string{"otp"}
	case MethodSMS:
		return []string{"sms"}
	case MethodPIN:
		return []string{"pin"}
	case MethodPasskey:
		if p.DeviceBound {
			return []string{"hwk", "user"}
		}
		return []string{"swk", "user"}
	}
	return nil
}

// Assurance is what a set of proofs is worth.
type Assurance struct {
	ACR      ACR
	AMR      []string  // RFC 8176, sorted
	AuthTime time.Time // of the newest proof
}

// Assess computes the assurance of proofs. Two proofs are two factors only when
// their factors differ and no channel carried both, so a code that came by the
// mail that reset the password is no second factor.
func Assess(proofs []Proof) Assurance {
	var a Assurance
	for i, p := range proofs {
		if p.Factor() == 0 {
			continue
		}
		if p.At.After(a.AuthTime) {
			a.AuthTime = p.At
		}
		a.AMR = append(a.AMR, p.amr()...)
		a.ACR = max(a.ACR, ACR1)
		if p.Method == MethodPasskey && p.UserVerified {
			a.ACR = max(a.ACR, p.resistant())
		}
		for _, q := range proofs[:i] {
			if twoFactors(p, q) {
				a.ACR = max(a.ACR, ACR2, p.resistant(), q.resistant())
			}
		}
	}
	if a.ACR >= ACR2 {
		a.AMR = append(a.AMR, "mfa")
	}
	slices.Sort(a.AMR)
	a.AMR = slices.Compact(a.AMR)
	return a
}

// resistant is the class a WebAuthn proof lifts two factors to.
func (p Proof) resistant() ACR {
	switch {
	case p.Method != MethodPasskey:
		return ACR0
	case p.DeviceBound && p.Attested:
		return ACRPhrh
	}
	return ACRPhr
}

// twoFactors: a code by mail proves an address and never makes the second factor
// (NIST SP 800-63B-4 3.1.3.1).
func twoFactors(p, q Proof) bool {
	return p.Factor() != q.Factor() && p.Factor() != 0 && q.Factor() != 0 &&
		p.Method != MethodMail && q.Method != MethodMail && disjoint(p, q)
}

// disjoint: no channel carried both. A password that a recovery set also names the groups
// that set it, and meets every channel of theirs.
func disjoint(p, q Proof) bool {
	return !slices.ContainsFunc(p.Channels, func(c string) bool {
		return slices.ContainsFunc(q.Channels, func(d string) bool { return c == d || c == groupOfChannel(d) || d == groupOfChannel(c) })
	})
}

// groupOfChannel is the group that a channel of a proof belongs to, "" for none.
func groupOfChannel(channel string) string {
	kind, _, _ := strings.Cut(channel, ":")
	switch kind {
	case "phone", "mail":
		return string(GroupHandset)
	case "totp", "key":
		return string(GroupAuthenticator)
	case "paper":
		return string(GroupPaper)
	}
	return ""
}

// Since returns the proofs made at t or later.
func Since(proofs []Proof, t time.Time) []Proof {
	var fresh []Proof
	for _, p := range proofs {
		if !p.At.Before(t) {
			fresh = append(fresh, p)
		}
	}
	return fresh
}
