package idp

import (
	"slices"
	"time"
)

// FlowKind names an ordered list of steps that a person walks.
type FlowKind string

const (
	FlowSignIn   FlowKind = "signin"   // nobody is signed in, or somebody must again
	FlowStepUp   FlowKind = "stepup"   // the signed-in person proves more, or afresh
	FlowEnrol    FlowKind = "enrol"    // the signed-in person adds a factor
	FlowConsent  FlowKind = "consent"  // the signed-in person allows a client
	FlowJoin     FlowKind = "join"     // an invited person chooses a password
	FlowPassword FlowKind = "password" // the signed-in person changes his password
	FlowCodes    FlowKind = "codes"    // the signed-in person gets new recovery codes
	FlowContact  FlowKind = "contact"  // the signed-in person adds or changes a phone or an e-mail
	FlowUsername FlowKind = "username" // the signed-in person changes his user name
	FlowProve    FlowKind = "prove"    // the signed-in person shows that a phone or e-mail still reaches him
	FlowReturn   FlowKind = "return"   // the signed-in person lifts his freeze by a strong return
	FlowRecover  FlowKind = "recover"  // somebody who cannot sign in gets back what he has lost
	FlowName     FlowKind = "name"     // somebody has forgotten his user name
)

// Demand is what must be proved before somebody goes on: made by whoever asks
// (authorization endpoint, console, approval page), stored with the flow that
// cures it. The asker looks again, with the same value, when the flow returns.
type Demand struct {
	Kind     FlowKind  `json:"kind"`
	ACR      ACR       `json:"acr,omitempty"`      // at least; 0: what policy asks of the person
	Since    time.Time `json:"since,omitzero"`     // how fresh, see Met
	One      bool      `json:"one,omitempty"`      // mode one: see Met
	TwoStar  bool      `json:"two_star,omitempty"` // also met by password and a code on a bound channel, while no factor is enrolled
	User     string    `json:"user,omitempty"`     // only this user will do
	Hint     string    `json:"hint,omitempty"`     // login_hint
	Return   string    `json:"return"`             // local path and query to go back to
	Else     string    `json:"else,omitempty"`     // local path for who would rather not bring what is asked and he has not; "": he goes on with less
	Client   string    `json:"client,omitempty"`   // who asks, by client id
	Object   string    `json:"object,omitempty"`   // what the flow is about: a method to enrol, a kind of contact, the id of what is replaced
	Scopes   []string  `json:"scopes,omitempty"`   // consent: shown = granted = issued
	Language string    `json:"language,omitempty"` // ui_locales
}

// Met says whether proofs meet the demand. Mode all: the class is reached by
// proofs no older than Since alone, which stops a thief at an unlocked browser.
// Mode one: all proofs reach it, and one of possession (any, at class 1) is no
// older than Since.
func (d Demand) Met(proofs []Proof) bool {
	acr := max(d.ACR, ACR1)
	if !d.One {
		proofs = Since(proofs, d.Since)
	} else if !slices.ContainsFunc(proofs, func(p Proof) bool {
		return !p.At.Before(d.Since) && (acr == ACR1 || p.Factor()&Possession != 0)
	}) {
		return false
	}
	return Assess(proofs).ACR >= acr || d.TwoStar && acr == ACR2 && passwordAndChannel(proofs)
}

// passwordAndChannel: the second half of "2*", for a person with no factor yet.
func passwordAndChannel(proofs []Proof) bool {
	for _, p := range proofs {
		for _, q := range proofs {
			if p.Method == MethodPassword && (q.Method == MethodMail || q.Method == MethodSMS) && disjoint(p, q) {
				return true
			}
		}
	}
	return false
}

// Door says whether the flow is of somebody who is nobody yet: until something is proved,
// nothing in it may tell whether there is such an account.
func (k FlowKind) Door() bool { return k == FlowSignIn || k == FlowRecover || k == FlowName }

// Flow is one walk of a person through a kind of flow, bound to one browser.
type Flow struct {
	ID        string // stable, for events; not the secret in the URL
	Demand    Demand
	User      string // empty until identified and proved, or for unknown names
	Facts     []byte // the engine's and steps' persisted facts, JSON
	Version   int64
	CreatedAt time.Time
	ExpiresAt time.Time // 15 min from the last step
	EndsAt    time.Time // 60 min in all
}
