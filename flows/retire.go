package flows

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/web"
)

// retire takes a credential of the flow's person out of the world: what it proved counts
// no more.
func (e *Engine) retire(ctx context.Context, s *State, c idp.Credential) error {
	keep := ""
	if s.signed != nil && !s.Demand.Kind.Door() {
		keep = s.signed.Session.ID
	}
	s.creds = slices.DeleteFunc(slices.Clone(s.creds), func(x idp.Credential) bool { return x.ID == c.ID })
	return e.dropCredential(ctx, *s.user, c, keep)
}

// dropCredential removes a credential of a person. The sessions that were proved with it
// end, but for the one he acts in, which loses the proof; no browser is trusted any more.
func (e *Engine) dropCredential(ctx context.Context, u idp.User, c idp.Credential, keep string) error {
	ok, err := e.Store.RemoveCredential(ctx, u.ID, c.ID)
	if err != nil {
		return err
	}
	if !ok {
		return errFaster
	}
	if err := e.disprove(ctx, u, c.ID, keep); err != nil {
		return err
	}
	return e.Store.DistrustBrowsers(ctx, u.ID)
}

// disprove ends what a credential, or a code to a phone or address, has let in: the
// sessions proved with it, but for one, and the grants of applications. Open flows look
// for themselves.
func (e *Engine) disprove(ctx context.Context, u idp.User, credential, keep string) error {
	if _, err := e.Store.HoldUser(ctx, u.ID); err != nil { // no session of his gains proofs beside this
		return err
	}
	live, err := e.Store.ProvedWith(ctx, u.ID, credential)
	if err != nil {
		return err
	}
	for _, ss := range live {
		if ss.ID == keep {
			err = e.Store.SetProofs(ctx, ss.ID, without(ss.Proofs, credential))
		} else {
			err = e.Sessions.End(ctx, u, ss.ID, "credential")
		}
		if err != nil {
			return err
		}
	}
	return e.disproveGrants(ctx, u, credential, keep)
}

// disproveGrants: an application signs in anew. What stands in a shop, and what the
// person acts in, goes on with what is still proved, if anything is.
func (e *Engine) disproveGrants(ctx context.Context, u idp.User, credential, keep string) error {
	grants, err := e.Store.GrantsProvedWith(ctx, u.ID, credential)
	if err != nil {
		return err
	}
	by := idp.Event{Actor: "system", Network: web.Network(ctx), Policy: e.Policy.Now().Version}
	for _, g := range grants {
		rest := without(g.Proofs, credential)
		if (g.TerminalID != "" || keep != "" && g.SessionID == keep) && idp.Assess(rest).ACR > idp.ACR0 {
			if err := e.Store.SetGrantProofs(ctx, g.ID, rest); err != nil {
				return err
			}
			continue
		}
		ended, err := e.Store.EndGrant(ctx, g.ID, "credential", time.Now())
		if err == nil && ended {
			err = e.Store.Revoked(ctx, g.ID, "credential", by)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func without(proofs []idp.Proof, credential string) []idp.Proof {
	return slices.DeleteFunc(slices.Clone(proofs), func(p idp.Proof) bool { return p.Credential == credential })
}

// outrank takes codes that were sent out of what a person's sessions have proved: from
// his first factor on they are no second one.
func (e *Engine) outrank(ctx context.Context, user string) error {
	live, err := e.Store.Sessions(ctx, user, time.Now())
	if err != nil {
		return err
	}
	for _, ss := range live {
		if slices.ContainsFunc(ss.Proofs, sent) {
			if err := e.Store.SetProofs(ctx, ss.ID, slices.DeleteFunc(ss.Proofs, sent)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sent: the proof is a code that went to a phone or mail address.
func sent(p idp.Proof) bool { return p.Method == idp.MethodSMS || p.Method == idp.MethodMail }

// living leaves the proofs whose credential or channel is still there. Codes that were
// sent count while no factor is bound, and in the flow that binds the first.
func (s *State) living(proofs []idp.Proof) []idp.Proof {
	outranked := s.enrolled() && s.Facts.Enrolled == ""
	return slices.DeleteFunc(slices.Clone(proofs), func(p idp.Proof) bool {
		return outranked && sent(p) || !slices.ContainsFunc(s.creds, func(c idp.Credential) bool { return c.ID == p.Credential && c.Blocked == "" }) &&
			!slices.ContainsFunc(s.names, func(n idp.Identifier) bool { return n.ID == p.Credential })
	})
}
