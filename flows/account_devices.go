package flows

import (
	"context"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/templates"
)

// devicesPage lists where a person is signed in, and the browsers that are known for him.
func (e *Engine) devicesPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ctx, now := r.Context(), time.Now()
	live, err := e.Store.Sessions(ctx, me.User.ID, now)
	if err != nil {
		return err
	}
	browsers, err := e.Store.Browsers(ctx, me.User.ID)
	if err != nil {
		return err
	}
	here, err := e.Sessions.Known(ctx, r, me.User.ID)
	if err != nil {
		return err
	}
	p := templates.AccountDevices{Saved: saved(r), EndAction: "/account/end", EndAllAction: "/account/end-all", RevokeAction: "/account/browser/revoke", DistrustAction: "/account/browser/distrust"}
	for _, ss := range live {
		p.Sessions = append(p.Sessions, templates.SessionRow{ID: ss.ID, Where: e.where(ss.Network, e.Site.Lang(r)), Device: ss.Device, Started: ss.CreatedAt, LastSeen: ss.LastSeenAt, Current: ss.ID == me.Session.ID})
	}
	for _, b := range browsers {
		if now.Sub(b.LastUsedAt) > e.Policy.Now().Browsers.Life {
			continue
		}
		row := templates.BrowserRow{ID: b.ID, Device: b.Label, Where: e.where(b.Network, e.Site.Lang(r)), Since: b.CreatedAt, LastUsed: b.LastUsedAt, Current: here != nil && here.ID == b.ID}
		if b.Trusted(now) {
			row.Trusted = b.TrustedUntil
		}
		p.Browsers = append(p.Browsers, row)
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// endSession signs one browser of the person out. Stopping never asks for more.
func (e *Engine) endSession(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	if err := e.Sessions.End(r.Context(), me.User, r.PostForm.Get("session"), "user"); err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/devices?saved=ended")
}

// endSessions signs every other browser of the person out.
func (e *Engine) endSessions(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	err := e.Store.Tx(r.Context(), func(ctx context.Context) error {
		return e.endOthers(ctx, me, "user", func(idp.Session) bool { return true })
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/devices?saved=ended_all")
}

// endOthers ends those of a person's other sessions that which names, inside the
// caller's transaction.
func (e *Engine) endOthers(ctx context.Context, me *session.Signed, reason string, which func(idp.Session) bool) error {
	live, err := e.Store.Sessions(ctx, me.User.ID, time.Now())
	if err != nil {
		return err
	}
	for _, ss := range live {
		if ss.ID == me.Session.ID || !which(ss) {
			continue
		}
		if err := e.Sessions.End(ctx, me.User, ss.ID, reason); err != nil {
			return err
		}
	}
	return nil
}

// myBrowser finds the known browser that a form names, if it is the person's.
func (e *Engine) myBrowser(r *http.Request, me *session.Signed) (idp.Browser, error) {
	b, err := e.Store.Browser(r.Context(), r.PostForm.Get("browser"))
	if err == nil && b.UserID != me.User.ID {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return b, err
}

// revokeBrowser makes a known browser a stranger, and ends what was begun on it.
func (e *Engine) revokeBrowser(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	b, err := e.myBrowser(r, me)
	if err != nil {
		return err
	}
	err = e.Store.Tx(r.Context(), func(ctx context.Context) error {
		if ok, err := e.Store.RevokeBrowser(ctx, b.ID); err != nil || !ok {
			return err
		}
		if err := e.endOthers(ctx, me, "browser", func(ss idp.Session) bool { return ss.Browser == b.ID }); err != nil {
			return err
		}
		ev := e.act(ctx, me)
		ev.Name, ev.Data = "browser.revoked", map[string]any{"browser": b.ID}
		return e.Store.Append(ctx, ev)
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/devices?saved=revoked")
}

// distrustBrowser lets a known browser waive the second factor no longer.
func (e *Engine) distrustBrowser(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	b, err := e.myBrowser(r, me)
	if err != nil {
		return err
	}
	err = e.Store.Tx(r.Context(), func(ctx context.Context) error {
		if ok, err := e.Store.TrustBrowser(ctx, me.User.ID, b.ID, time.Time{}); err != nil || !ok {
			return err
		}
		ev := e.act(ctx, me)
		ev.Name, ev.Data = "browser.revoked", map[string]any{"browser": b.ID, "only": "trust"}
		return e.Store.Append(ctx, ev)
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/devices?saved=distrusted")
}
