package flows

import (
	"net/http"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// mine returns who is signed in; nobody is led to sign in first and comes back.
func (e *Engine) mine(w http.ResponseWriter, r *http.Request) (*session.Signed, error) {
	signed, err := e.Sessions.Signed(r)
	if err == nil && signed == nil {
		err = e.Site.Require(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: "/account"})
	}
	return signed, err
}

// savedNotes are what the account page may say has just been done.
var savedNotes = map[string]string{"enrolled": "account.saved.enrolled", "ended": "account.saved.ended", "ended_all": "account.saved.ended_all"}

// account shows a person's own factors, sessions and what happened.
func (e *Engine) account(w http.ResponseWriter, r *http.Request) error {
	me, err := e.mine(w, r)
	if me == nil {
		return err
	}
	ctx := r.Context()
	creds, err := e.Store.Credentials(ctx, me.User.ID)
	if err != nil {
		return err
	}
	names, err := e.Store.Identifiers(ctx, me.User.ID)
	if err != nil {
		return err
	}
	live, err := e.Store.Sessions(ctx, me.User.ID, time.Now())
	if err != nil {
		return err
	}
	events, err := e.Store.Events(ctx, storage.EventFilter{Subject: me.User.ID}, 60)
	if err != nil {
		return err
	}
	p := templates.Account{Name: me.User.Name, RoleKey: "role." + string(me.User.Role), EnrolURL: "/account/enrol", EndAction: "/account/end", EndAllAction: "/account/end-all",
		Saved: savedNotes[r.URL.Query().Get("saved")], CanEnrol: true}
	if me.Merchant != nil {
		p.MerchantName = me.Merchant.LegalName
	}
	for _, n := range names {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			p.Login = n.Value
		}
	}
	for _, c := range creds {
		p.Factors = append(p.Factors, templates.FactorRow{LabelKey: "factor." + string(c.Method), Label: c.Label, Added: c.CreatedAt, LastUsed: c.LastUsedAt})
		p.CanEnrol = p.CanEnrol && c.Method != idp.MethodTOTP
	}
	for _, ss := range live {
		p.Sessions = append(p.Sessions, templates.SessionRow{ID: ss.ID, Where: ss.Network, Device: ss.Device, Started: ss.CreatedAt, LastSeen: ss.LastSeenAt, Current: ss.ID == me.Session.ID})
	}
	for _, ev := range events {
		if idp.EventNames[ev.Name] && len(p.Events) < 20 {
			row := templates.EventRow{At: ev.At, NameKey: "event." + ev.Name, Place: ev.Network, Tone: tone(ev.Name)}
			if ev.Actor != "" && ev.Actor != me.User.ID { // where staff work is not the person's to know
				row.Place = ""
			}
			p.Events = append(p.Events, row)
		}
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// tone is how loud an event stands in the list.
func tone(name string) string {
	switch name {
	case "signin.failed", "signin.refused", "device.wrong_digits":
		return "warn"
	case "lock.closed", "password.suspected", "browser.copied", "grant.reuse_detected", "lock.account":
		return "bad"
	case "factor.enrolled", "signin.succeeded", "device.approved":
		return "ok"
	}
	return ""
}

// enrol opens the flow that binds an authenticator: two fresh factors, or while
// there is none the password and a code on a bound channel.
func (e *Engine) enrol(w http.ResponseWriter, r *http.Request) error {
	me, err := e.mine(w, r)
	if me == nil {
		return err
	}
	creds, err := e.Store.Credentials(r.Context(), me.User.ID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(creds, func(c idp.Credential) bool { return c.Method == idp.MethodTOTP }) {
		return web.Redirect(w, r, "/account")
	}
	return e.Site.Require(w, r, idp.Demand{Kind: idp.FlowEnrol, ACR: idp.ACR2, TwoStar: true, Since: time.Now().Add(-e.Policy.StepUp.Credential), User: me.User.ID, Return: "/account?saved=enrolled"})
}

// endSession signs one browser of the person out. Stopping never asks for more.
func (e *Engine) endSession(w http.ResponseWriter, r *http.Request) error {
	me, err := e.mine(w, r)
	if me == nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	if err := e.Sessions.End(r.Context(), me.User, r.PostForm.Get("session"), "user"); err != nil {
		return err
	}
	return web.Redirect(w, r, "/account?saved=ended")
}

// endSessions signs every other browser of the person out.
func (e *Engine) endSessions(w http.ResponseWriter, r *http.Request) error {
	me, err := e.mine(w, r)
	if me == nil {
		return err
	}
	live, err := e.Store.Sessions(r.Context(), me.User.ID, time.Now())
	if err != nil {
		return err
	}
	for _, ss := range live {
		if ss.ID == me.Session.ID {
			continue
		}
		if err := e.Sessions.End(r.Context(), me.User, ss.ID, "user"); err != nil {
			return err
		}
	}
	return web.Redirect(w, r, "/account?saved=ended_all")
}
