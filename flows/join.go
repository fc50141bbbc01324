package flows

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/templates"
)

// join draws nothing: it takes the token of an invitation out of the address and
// opens the flow that accepts it. The invitation is used up when the password is set.
func (e *Engine) join(w http.ResponseWriter, r *http.Request) error {
	hash := hex.EncodeToString(session.Hash(r.URL.Query().Get("t")))
	user, ok, err := e.Store.Invite(r.Context(), hash, time.Now())
	if err != nil {
		return err
	}
	if !ok {
		p := templates.Problem{Status: http.StatusGone, Text: errInvite.Msg, RequestID: web.RequestID(r.Context()), Explain: e.explained(r, e.anybody(r), errInvite.Reason)}
		return e.Site.Write(w, r, p.Status, p)
	}
	facts, err := json.Marshal(Facts{Invite: hash})
	if err != nil {
		return err
	}
	path, err := e.Sessions.OpenFlowFor(w, r, idp.Demand{Kind: idp.FlowJoin, Return: "/sign-in"}, user, facts)
	if err != nil {
		return err
	}
	return web.Redirect(w, r, path)
}

// errInvite: the link of an invitation was used, or is too old.
var errInvite = &idp.Error{Kind: idp.Expired, Msg: "invite.gone", Reason: "link.expired"}

// accept makes an invited person active with the password that newPassword hashed.
// The link came by a channel of his, so that channel is proved.
func (e *Engine) accept(ctx context.Context, s *State) error {
	now := time.Now()
	user, ok, err := e.Store.UseInvite(ctx, s.Facts.Invite, now)
	if err != nil {
		return err
	}
	if !ok || user != s.User || s.user == nil {
		return errInvite
	}
	ok, err = e.Store.SetUserStatus(ctx, user, idp.UserInvited, idp.UserActive)
	if err != nil {
		return err
	}
	if !ok { // disabled meanwhile, or active already
		return errInvite
	}
	c := idp.Credential{UserID: user, Method: idp.MethodPassword, Data: s.hash}
	if err := e.Store.AddCredential(ctx, &c); err != nil {
		return err
	}
	if err := e.measure(ctx, s, c.ID, c.Version); err != nil {
		return err
	}
	if c := invitedBy(s.names); c != nil {
		if err := e.Store.ProveIdentifier(ctx, c.ID, now); err != nil {
			return err
		}
	}
	s.Facts.Changed = true
	return e.event(ctx, s, idp.Event{Name: "account.joined", Actor: user})
}

// invitedBy is the channel that an invitation goes to: the mail address, else the
// phone.
func invitedBy(names []idp.Identifier) *idp.Identifier {
	for _, kind := range []idp.IdentifierKind{idp.IdentifierEmail, idp.IdentifierPhone} {
		for _, n := range names {
			if n.Kind == kind {
				return &n
			}
		}
	}
	return nil
}
