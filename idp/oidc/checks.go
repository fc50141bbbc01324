package oidc

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/session"
)

// visit is one look at an authorization request: who is there, and what he has
// shown and allowed so far.
type visit struct {
	p           *Provider
	q           *request
	client      idp.Client
	signed      *session.Signed // nil: nobody
	scopes      []string        // what of those asked for the person may give away
	consented   []string
	consentedAt time.Time
	now         time.Time
}

// check is one thing that must be so before a code is issued.
type check struct {
	name   string
	met    func(*visit) bool
	demand func(*visit) idp.Demand // the flow that cures it; nil: nothing does
	code   string                  // what prompt=none is told, and whoever cannot be cured
	once   bool                    // voluntary: asked for once, then gone on without
}

// checks, in the order in which they are looked at. What a check tests is the very
// demand that its flow is given.
var checks = []check{
	{name: "session", code: "login_required",
		met:    func(v *visit) bool { return v.signed != nil },
		demand: func(v *visit) idp.Demand { return v.signIn(time.Time{}) }},
	{name: "subject", code: "login_required",
		met:    func(v *visit) bool { return v.q.Subject == "" || v.q.Subject == v.signed.User.ID },
		demand: func(v *visit) idp.Demand { return v.signIn(v.q.At) }},
	{name: "login", code: "login_required",
		met:    func(v *visit) bool { return !v.q.prompted("login") || v.meets(v.signIn(v.q.At)) },
		demand: func(v *visit) idp.Demand { return v.signIn(v.q.At) }},
	{name: "account", code: "account_selection_required",
		met:    func(v *visit) bool { return !v.q.prompted("select_account") || v.meets(v.signIn(v.q.At)) },
		demand: func(v *visit) idp.Demand { return v.signIn(v.q.At) }},
	{name: "max_age", code: "login_required",
		met:    func(v *visit) bool { return v.q.MaxAge == nil || v.meets(v.signIn(v.oldest())) },
		demand: func(v *visit) idp.Demand { return v.signIn(v.oldest()) }},
	{name: "scope", code: "invalid_scope",
		met: func(v *visit) bool { return len(v.scopes) > 0 }},
	{name: "acr", code: "interaction_required", once: true,
		met:    func(v *visit) bool { return v.q.ACR == 0 || v.meets(v.stepUp()) },
		demand: func(v *visit) idp.Demand { return v.stepUp() }},
	{name: "policy", code: "interaction_required",
		met:    func(v *visit) bool { acr, asks := v.stricter(); return !asks || v.meets(idp.Demand{ACR: acr}) },
		demand: func(v *visit) idp.Demand { acr, _ := v.stricter(); return idp.Demand{Kind: idp.FlowStepUp, ACR: acr} }},
	{name: "consent", code: "consent_required",
		met:    func(v *visit) bool { return v.allowed() },
		demand: func(v *visit) idp.Demand { return v.askConsent() }},
	{name: "money", code: "interaction_required",
		met:    func(v *visit) bool { return !slices.ContainsFunc(v.scopes, idp.MoneyScope) || v.meets(v.money()) },
		demand: func(v *visit) idp.Demand { return v.money() }},
}

// unmet returns the first check that is not met, nil when all are.
func (v *visit) unmet() *check {
	for i := range checks {
		c := &checks[i]
		if !c.met(v) && !(c.once && (v.q.prompted("none") || v.q.Tries[c.name] > 0)) {
			return c
		}
	}
	return nil
}

func (v *visit) meets(d idp.Demand) bool { return v.signed != nil && d.Met(v.signed.Session.Proofs) }

// signIn demands a sign-in with proofs since a time, by the person of the hint or, if
// there is none, by anybody.
func (v *visit) signIn(since time.Time) idp.Demand {
	return idp.Demand{Kind: idp.FlowSignIn, Since: since, User: v.q.Subject, Hint: v.q.Hint}
}

// oldest is when a proof must have been made for max_age, seen from the request: the
// time that a person takes here does not count.
func (v *visit) oldest() time.Time { return v.q.At.Add(-*v.q.MaxAge) }

// since is when a proof must have been made to count at all: with prompt=login or
// max_age the class is that of the fresh proofs alone, so that one of them, made at
// somebody's unlocked browser, lends nothing to the old ones.
func (v *visit) since() time.Time {
	switch {
	case v.q.prompted("login"), v.q.prompted("select_account"):
		return v.q.At
	case v.q.MaxAge != nil:
		return v.oldest()
	}
	return time.Time{}
}

func (v *visit) stepUp() idp.Demand {
	return idp.Demand{Kind: idp.FlowStepUp, ACR: v.q.ACR, Since: v.since()}
}

// stricter is the class that policy asks of the person at this client, where it is more
// than it asks of him elsewhere.
func (v *visit) stricter() (acr idp.ACR, asks bool) {
	f := v.signed.Facts()
	elsewhere := v.p.Policy.For(f).Factors.SignIn
	f.Client = v.q.Client
	acr = v.p.Policy.For(f).Factors.SignIn
	return acr, acr > elsewhere
}

// money demands two factors, one of them just shown (consent with a money
// scope).
func (v *visit) money() idp.Demand {
	f := v.signed.Facts()
	f.Client = v.q.Client
	need := v.p.Policy.For(f).StepUp
	return idp.Demand{Kind: idp.FlowStepUp, ACR: need.MoneyACR, Since: v.now.Add(-need.Money).Truncate(time.Microsecond), One: true}
}

func (v *visit) askConsent() idp.Demand {
	return idp.Demand{Kind: idp.FlowConsent, Scopes: v.scopes}
}

// allowed says whether the person has allowed the client these scopes; the
// operator's own clients need not ask, unless they want to.
func (v *visit) allowed() bool {
	again := v.q.prompted("consent")
	if v.client.FirstParty && !again {
		return true
	}
	for _, s := range v.scopes {
		if !slices.Contains(v.consented, s) {
			return false
		}
	}
	return !again || !v.consentedAt.Before(v.q.At)
}

// look gathers what the checks test. The scopes are narrowed by the role of whoever is
// there, for this look alone: another person may yet sign in.
func (p *Provider) look(ctx context.Context, q *request, c idp.Client, signed *session.Signed, now time.Time) (*visit, error) {
	v := &visit{p: p, q: q, client: c, signed: signed, scopes: q.Scopes, now: now}
	if signed == nil {
		return v, nil
	}
	v.scopes = idp.ScopesFor(signed.User.Role, q.Scopes)
	var err error
	if v.consented, err = p.Store.Consented(ctx, signed.User.ID, c.ID); err != nil {
		return nil, err
	}
	v.consentedAt, err = p.Store.ConsentedAt(ctx, signed.User.ID, c.ID)
	return v, err
}
