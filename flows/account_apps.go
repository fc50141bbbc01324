package flows

import (
	"context"
	"net/http"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// appsPage lists who holds access in a person's name: applications, and terminals that
// he approved.
func (e *Engine) appsPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ctx := r.Context()
	grants, err := e.Store.Grants(ctx, me.User.ID)
	if err != nil {
		return err
	}
	consents, err := e.Store.Consents(ctx, me.User.ID)
	if err != nil {
		return err
	}
	p := templates.AccountApps{Saved: saved(r), WithdrawAction: "/account/app/withdraw", EndAction: "/account/approval/end"}
	if p.Apps, err = e.apps(ctx, grants, consents); err != nil {
		return err
	}
	if p.Terminals, err = e.approved(ctx, grants); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// apps are the applications with a grant that lives, or a consent that would give one
// without a question.
func (e *Engine) apps(ctx context.Context, grants []idp.Grant, consents []storage.Consent) (rows []templates.AppRow, err error) {
	var ids []string
	for _, g := range grants {
		ids = append(ids, g.ID)
	}
	used, err := e.Store.GrantsUsed(ctx, ids)
	if err != nil {
		return nil, err
	}
	row := func(client string, scopes []string, since time.Time) (*templates.AppRow, error) {
		i := slices.IndexFunc(rows, func(a templates.AppRow) bool { return a.ID == client })
		if i < 0 {
			c, err := e.Store.Client(ctx, client)
			if err != nil && idp.KindOf(err) != idp.NotFound {
				return nil, err
			}
			i, rows = len(rows), append(rows, templates.AppRow{ID: client, Name: c.Name, Since: since})
		}
		a := &rows[i]
		if since.Before(a.Since) {
			a.Since = since
		}
		for _, s := range scopes {
			if !slices.Contains(a.Scopes, s) {
				a.Scopes, a.Money = append(a.Scopes, s), a.Money || idp.MoneyScope(s)
			}
		}
		return a, nil
	}
	for _, g := range grants {
		if g.TerminalID != "" {
			continue
		}
		a, err := row(g.ClientID, g.Scopes, g.CreatedAt)
		if err != nil {
			return nil, err
		}
		if used[g.ID].After(a.LastUsed) {
			a.LastUsed = used[g.ID]
		}
	}
	for _, c := range consents {
		if _, err := row(c.ClientID, c.Scopes, c.At); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// approved are the terminals that run on a grant of the person.
func (e *Engine) approved(ctx context.Context, grants []idp.Grant) (rows []templates.ApprovedRow, err error) {
	for _, g := range grants {
		if g.TerminalID == "" {
			continue
		}
		t, err := e.Store.Terminal(ctx, g.TerminalID)
		if err != nil {
			return nil, err
		}
		st, err := e.Store.Store(ctx, t.StoreID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, templates.ApprovedRow{ID: g.ID, Model: t.Model, KindKey: "kind." + string(t.Kind), SerialTail: t.SerialTail(), StoreName: st.Name, Since: g.CreatedAt})
	}
	return rows, nil
}

// withdrawApp takes back all that a person allowed an application: its grants end, and
// it has to ask again.
func (e *Engine) withdrawApp(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	client := r.PostForm.Get("client")
	err := e.Store.Tx(r.Context(), func(ctx context.Context) error {
		if _, err := e.Store.HoldUser(ctx, me.User.ID); err != nil { // no grant of his begins beside this
			return err
		}
		asked, err := e.Store.WithdrawConsent(ctx, me.User.ID, client)
		if err != nil {
			return err
		}
		ended, err := e.Store.EndClientGrants(ctx, me.User.ID, client, "withdrawn", time.Now())
		if err != nil {
			return err
		}
		for _, id := range ended {
			if err := e.Store.Revoked(ctx, id, "withdrawn", e.act(ctx, me)); err != nil {
				return err
			}
		}
		switch {
		case len(ended) > 0:
			return nil
		case !asked:
			return idp.Errorf(idp.NotFound, "error.notfound")
		}
		ev := e.act(ctx, me)
		ev.Name, ev.Client, ev.Reason = "grant.revoked", client, "withdrawn"
		return e.Store.Append(ctx, ev)
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/apps?saved=withdrawn")
}

// endApproval signs out a terminal that the person approved.
func (e *Engine) endApproval(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	g, err := e.Store.Grant(r.Context(), r.PostForm.Get("grant"))
	if err != nil {
		return err
	}
	if g.UserID != me.User.ID || g.TerminalID == "" {
		return idp.Errorf(idp.NotFound, "error.notfound")
	}
	err = e.Store.Tx(r.Context(), func(ctx context.Context) error {
		if ok, err := e.Store.EndGrant(ctx, g.ID, "withdrawn", time.Now()); err != nil || !ok {
			return err
		}
		return e.Store.Revoked(ctx, g.ID, "withdrawn", e.act(ctx, me))
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/apps?saved=approval_ended")
}
