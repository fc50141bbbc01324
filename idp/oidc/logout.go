package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// leaving is a sign-out request that was read and found right (OpenID Connect
// RP-Initiated Logout 1.0). Next is a registered URI of the client, with its state.
type leaving struct {
	Client  string `json:"client,omitempty"`
	Next    string `json:"next,omitempty"`
	Subject string `json:"subject,omitempty"` // of the hint
}

// logout is the end_session endpoint. A hint that names the person signed in here
// signs out at once; in any other case the person is asked, since anybody can make a
// link to here.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodGet, http.MethodPost); err != nil {
		return err
	}
	ctx := r.Context()
	if r.Method == http.MethodPost {
		return p.storeLogout(w, r)
	}
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refuse("invalid_request", "the query cannot be read").because("", err)
	}
	l := &leaving{}
	if id := form.Get("continue"); id != "" {
		l, err = p.recallLogout(ctx, id)
	} else {
		l, err = p.readLogout(ctx, form)
	}
	if err != nil {
		return err
	}
	signed, err := p.Site.Sessions.Signed(r)
	switch {
	case err != nil:
		return err
	case signed == nil && l.Subject != "", signed != nil && l.Subject == signed.User.ID:
		return p.leave(w, r, l)
	case signed == nil:
		return p.Site.Write(w, r, http.StatusOK, templates.SignedOut{Next: l.Next})
	}
	return p.askLogout(w, r, l)
}

// storeLogout keeps a request that came by POST and sends it back by GET: after a
// POST from another site the browser leaves our cookies out.
func (p *Provider) storeLogout(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	l, err := p.readLogout(r.Context(), form)
	if err != nil {
		return err
	}
	id, err := p.rememberLogout(r.Context(), l)
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/logout?continue="+id)
}

// readLogout reads a sign-out request. A redirect URI counts only when it is
// registered for the client that the hint or client_id names.
func (p *Provider) readLogout(ctx context.Context, form url.Values) (*leaving, error) {
	if err := cmp.Or(wellFormed(form), bounded(form)); err != nil {
		return nil, err
	}
	l := &leaving{Client: form.Get("client_id")}
	if err := p.readLogoutHint(ctx, l, form.Get("id_token_hint")); err != nil {
		return nil, err
	}
	uri := form.Get("post_logout_redirect_uri")
	if l.Client == "" {
		if uri != "" {
			return nil, refuse("invalid_request", "post_logout_redirect_uri needs client_id or id_token_hint")
		}
		return l, nil
	}
	c, err := p.liveClient(ctx, l.Client)
	if err != nil {
		return nil, err
	}
	if uri == "" {
		return l, nil
	}
	if !redirectAllowed(c, c.PostLogout, uri) {
		return nil, refuse("invalid_request", "post_logout_redirect_uri is none that is registered for the client")
	}
	l.Next = uri
	if state := form.Get("state"); state != "" {
		l.Next = withParams(uri, url.Values{"state": {state}})
	}
	return l, nil
}

// readLogoutHint takes the subject of an ID token of ours, which may have
// expired. A hint that is not ours says nothing.
func (p *Provider) readLogoutHint(ctx context.Context, l *leaving, hint string) error {
	if hint == "" {
		return nil
	}
	k, err := p.keys(ctx)
	if err != nil {
		return err
	}
	t, err := k.verify(hint, typeID, p.Issuer)
	if err != nil || len(t.Audience) != 1 {
		return nil
	}
	if l.Client != "" && !slices.Contains(t.Audience, l.Client) {
		return refuse("invalid_request", "id_token_hint was issued to another client")
	}
	l.Client, l.Subject = t.Audience[0], t.Subject
	return nil
}

func (p *Provider) rememberLogout(ctx context.Context, l *leaving) (id string, err error) {
	if err := p.admit(ctx); err != nil {
		return "", err
	}
	data, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	now := time.Now()
	id = idp.NewToken()
	return id, p.Store.CreateToken(ctx, &storage.Token{Kind: storage.TokenLogout, Signature: signature(id), ClientID: l.Client,
		CreatedAt: now, ExpiresAt: now.Add(p.Policy.Now().Flow.Step), Data: data})
}

func (p *Provider) recallLogout(ctx context.Context, id string) (*leaving, error) {
	row, err := p.Store.Token(ctx, storage.TokenLogout, signature(id))
	if err != nil && idp.KindOf(err) == idp.NotFound || err == nil && !time.Now().Before(row.ExpiresAt) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	l := &leaving{}
	return l, json.Unmarshal(row.Data, l)
}

// askLogout draws the question. Its form posts to a path that takes no post from
// another site.
func (p *Provider) askLogout(w http.ResponseWriter, r *http.Request, l *leaving) error {
	id, err := p.rememberLogout(r.Context(), l)
	if err != nil {
		return err
	}
	name := ""
	if c, err := p.liveClient(r.Context(), l.Client); err == nil {
		name = c.Name
	}
	return p.Site.Write(w, r, http.StatusOK, templates.SignOut{Action: "/logout/confirm?continue=" + id, ClientName: name})
}

// confirmLogout takes the answer. It is not for other sites, unlike /logout itself.
func (p *Provider) confirmLogout(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodPost); err != nil {
		return err
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return idp.Errorf(idp.Forbidden, "problem.403.text")
	}
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	l, err := p.recallLogout(r.Context(), r.URL.Query().Get("continue"))
	if err != nil {
		return err
	}
	if form.Get("do") != "sign-out" {
		return web.Redirect(w, r, "/")
	}
	return p.leave(w, r, l)
}

// leave ends the session and sends the browser on to the client, if it named a
// place of its own.
func (p *Provider) leave(w http.ResponseWriter, r *http.Request, l *leaving) error {
	if err := p.Site.Sessions.SignOut(r.Context(), w, r, "logout"); err != nil {
		return err
	}
	if l.Next != "" {
		return seeOther(w, l.Next)
	}
	return web.Redirect(w, r, "/logout") // where nobody is signed in any more
}
