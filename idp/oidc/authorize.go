package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/storage"
)

// mostTries bounds how often one check sends a person to a flow, so that no fault
// anywhere becomes a loop.
const mostTries = 10

// authorize is the authorization endpoint (RFC 6749 3.1, OpenID Connect Core 3.1.2).
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodGet, http.MethodPost); err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		form, err := readForm(w, r)
		if err != nil {
			return err
		}
		return p.begin(w, r, form, true)
	}
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refuse("invalid_request", "the query cannot be read").because("", err)
	}
	if form.Has("continue") {
		return p.resume(w, r, form.Get("continue"), form.Has("denied"))
	}
	return p.begin(w, r, form, false)
}

// begin reads a new request. One that came by POST is stored and sent back by GET:
// after a POST from another site the browser leaves our cookies out.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, form url.Values, post bool) error {
	ctx, now := r.Context(), time.Now()
	v, err := p.newPending(ctx, form, now)
	if err != nil {
		return p.refuseTo(w, r, v.q, err)
	}
	if !post {
		return p.consider(w, r, v)
	}
	if v.row == nil {
		if err := p.hold(ctx, v, now); err != nil {
			return err
		}
	}
	return web.Redirect(w, r, v.path())
}

// newPending reads the request, or finds the pushed one that it names.
func (p *Provider) newPending(ctx context.Context, form url.Values, now time.Time) (*pending, error) {
	if strings.HasPrefix(form.Get("request_uri"), pushedPrefix) {
		return p.pushed(ctx, form, now)
	}
	q, c, err := p.parse(ctx, form, now)
	if err == nil && c.RequirePAR {
		err = refuse("invalid_request", "the client must push its authorization request")
	}
	return &pending{q: q, client: c}, err
}

// pending is a request with the row that remembers it, once there is one.
type pending struct {
	q      *request
	client idp.Client
	id     string // the secret in the URL
	row    *storage.Token
}

func (v *pending) path() string { return "/authorize?continue=" + url.QueryEscape(v.id) }

// hold stores the request while its person is away. Nobody has signed in yet, so a
// network holds no more than it is allowed.
func (p *Provider) hold(ctx context.Context, v *pending, now time.Time) error {
	if v.row == nil {
		if err := p.admit(ctx); err != nil {
			return err
		}
	}
	return p.remember(ctx, v, now, p.Policy.Flow.Whole)
}

// admit asks whether the network of a stranger may fill another row.
func (p *Provider) admit(ctx context.Context) error {
	if p.Admit == nil {
		return nil
	}
	return p.Admit(ctx)
}

// remember stores the request for a time, or what has changed of it.
func (p *Provider) remember(ctx context.Context, v *pending, now time.Time, life time.Duration) error {
	data, err := json.Marshal(v.q)
	if err != nil {
		return err
	}
	if v.row == nil {
		v.id = idp.NewToken()
		v.row = &storage.Token{Kind: storage.TokenAuthorize, Signature: signature(v.id), ClientID: v.q.Client, CreatedAt: now, ExpiresAt: now.Add(life), Data: data}
		return p.Store.CreateToken(ctx, v.row)
	}
	v.row.Data, v.row.ExpiresAt = data, v.row.CreatedAt.Add(life)
	saved, err := p.Store.SaveToken(ctx, v.row, now)
	if err == nil && !saved {
		err = errGone
	}
	return err
}

// recall loads a stored request, whose client must still be there and still have its
// redirect URI.
func (p *Provider) recall(ctx context.Context, id string, now time.Time) (*pending, error) {
	row, err := p.Store.Token(ctx, storage.TokenAuthorize, signature(id))
	if err != nil && idp.KindOf(err) == idp.NotFound || err == nil && (!row.Active || !now.Before(row.ExpiresAt)) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	v := &pending{q: &request{}, id: id, row: &row}
	if err := json.Unmarshal(row.Data, v.q); err != nil {
		return nil, err
	}
	if v.client, err = p.liveClient(ctx, v.q.Client); err != nil {
		return nil, err
	}
	if !redirectAllowed(v.client, v.client.Redirects, v.q.Redirect) {
		return nil, refuse("invalid_request", "redirect_uri is no longer registered for the client")
	}
	return v, nil
}

// resume goes on with a stored request when a flow has brought the browser back.
// A refusal harms nothing but the request itself.
func (p *Provider) resume(w http.ResponseWriter, r *http.Request, id string, denied bool) error {
	now := time.Now()
	v, err := p.recall(r.Context(), id, now)
	if err != nil {
		return err
	}
	if !denied {
		return p.consider(w, r, v)
	}
	used, err := p.Store.UseToken(r.Context(), storage.TokenAuthorize, v.row.Signature, now)
	if err == nil && !used {
		err = errGone
	}
	if err != nil {
		return err
	}
	return p.refuseTo(w, r, v.q, refuse("access_denied", "the person refused").because("consent", nil))
}

// consider looks at the checks: the first that is not met is cured by its flow, and
// when all are met the client gets its code.
func (p *Provider) consider(w http.ResponseWriter, r *http.Request, v *pending) error {
	ctx, now := r.Context(), time.Now()
	signed, err := p.Site.Sessions.Signed(r)
	if err != nil {
		return err
	}
	look, err := p.look(ctx, v.q, v.client, signed, now)
	if err != nil {
		return err
	}
	c := look.unmet()
	if c == nil {
		return p.grant(w, r, v, look)
	}
	if c.demand == nil || v.q.prompted("none") || v.q.Tries[c.name] >= mostTries {
		return p.refuseTo(w, r, v.q, refuse(c.code, "the check "+c.name+" is not met").because(c.name, nil))
	}
	if v.q.Tries == nil {
		v.q.Tries = map[string]int{}
	}
	v.q.Tries[c.name]++
	if err := p.hold(ctx, v, now); err != nil {
		return err
	}
	d := c.demand(look)
	d.Return, d.Client, d.Language = v.path(), v.client.ID, v.q.Language
	if d.User == "" && signed != nil && d.Kind != idp.FlowSignIn {
		d.User = signed.User.ID
	}
	return p.Site.Require(w, r, d)
}

// grant issues the code and sends the browser back to the client.
func (p *Provider) grant(w http.ResponseWriter, r *http.Request, v *pending, look *visit) error {
	params, err := p.issueCode(r.Context(), v, look)
	if _, ok := errors.AsType[*refusal](err); ok {
		return p.refuseTo(w, r, v.q, err)
	}
	if err != nil {
		return err
	}
	return seeOther(w, withParams(v.q.Redirect, params))
}

// issueCode makes the grant and its code and uses the request up, in one
// transaction. It holds the person and the session meanwhile: a grant stands before
// everything of the person ends, and ends with it, or is not made.
func (p *Provider) issueCode(ctx context.Context, v *pending, look *visit) (params url.Values, err error) {
	now, signed := time.Now(), look.signed
	proofs := idp.Since(signed.Session.Proofs, look.since())
	g := idp.Grant{ID: idp.NewID(), UserID: signed.User.ID, ClientID: v.client.ID, SessionID: signed.Session.ID, Scopes: look.scopes,
		Proofs: proofs, AuthTime: idp.Assess(proofs).AuthTime, CreatedAt: now, ExpiresAt: now.Add(p.unredeemed())}
	err = p.Store.Tx(ctx, func(ctx context.Context) error {
		if _, err := p.Store.HoldUser(ctx, g.UserID); err != nil {
			return err
		}
		if live, err := p.Store.HoldSession(ctx, g.SessionID); err != nil {
			return err
		} else if !live {
			return refuse("login_required", "the session has ended").because("session.ended", nil)
		}
		if v.row != nil {
			used, err := p.Store.UseToken(ctx, storage.TokenAuthorize, v.row.Signature, now)
			if err == nil && !used {
				err = errGone
			}
			if err != nil {
				return err
			}
		}
		if err := p.Store.CreateGrant(ctx, &g); err != nil {
			return err
		}
		if _, _, err := p.redeem(ctx, g.ID, v.client); err != nil {
			e := classify(err)
			if e.Code == "invalid_grant" {
				return refuse("access_denied", "the person may not use this client now").because(e.Reason, nil)
			}
			return err
		}
		event := p.grantEvent(ctx, "grant.created", g, "")
		event.Actor, event.Merchant = g.UserID, signed.User.MerchantID
		if err := p.Store.Append(ctx, event); err != nil {
			return err
		}
		params, err = p.authorizeResponse(ctx, v.q, v.client, g)
		return err
	})
	return params, err
}

// authorizeResponse lets fosite make the code of a request that we have read,
// checked and found met.
func (p *Provider) authorizeResponse(ctx context.Context, q *request, c idp.Client, g idp.Grant) (url.Values, error) {
	redirect, err := url.Parse(q.Redirect)
	if err != nil {
		return nil, err
	}
	ar := fosite.NewAuthorizeRequest()
	ar.ID, ar.Client, ar.RequestedAt = g.ID, client{c}, q.At
	ar.RedirectURI, ar.State, ar.ResponseTypes = redirect, q.State, fosite.Arguments{"code"}
	ar.SetRequestedScopes(g.Scopes)
	for _, s := range g.Scopes {
		ar.GrantScope(s)
	}
	ar.Form = url.Values{"redirect_uri": {q.Redirect}, "code_challenge": {q.Challenge}, "code_challenge_method": {"S256"}, "nonce": {q.Nonce}}
	response, err := p.fosite().NewAuthorizeResponse(ctx, ar, &fositeSession{Audience: q.Audience})
	if err != nil {
		return nil, err
	}
	params := response.GetParameters()
	if q.State == "" {
		params.Del("state") // fosite names it even when the client did not
	}
	return params, nil
}

// refuseTo tells the client, at its verified redirect URI, what is wrong; without
// one the error is for our own page.
func (p *Provider) refuseTo(w http.ResponseWriter, r *http.Request, q *request, err error) error {
	if _, ok := errors.AsType[*refusal](err); !ok || q.Redirect == "" {
		return err
	}
	e := classify(err)
	p.logRefusal(r, e)
	params := url.Values{"error": {e.Code}, "error_description": {text(e.Description)}, "iss": {p.Issuer}}
	if q.State != "" {
		params.Set("state", q.State)
	}
	return seeOther(w, withParams(q.Redirect, params))
}
