package oidc

import (
	"errors"
	"net/http"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/templates"
)

// page serves a handler that a browser visits: a refusal without a verified
// redirect URI is drawn here, for the person who sees it, and sent nowhere.
func (p *Provider) page(h web.Handler) http.Handler {
	return p.Site.Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := h(w, r)
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[*refusal](err); !ok {
			return err
		}
		e := classify(err)
		p.logRefusal(r, e)
		problem := templates.Problem{Status: e.Status, RequestID: web.RequestID(r.Context())}
		if e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized {
			problem.Status, problem.Text, problem.Args = http.StatusBadRequest, "authorize.bad", []any{e.Code}
		}
		return p.Site.Write(w, r, problem.Status, problem)
	})
}

var errGone = idp.Errorf(idp.Expired, "authorize.used")

// seeOther sends the browser to a verified redirect URI (RFC 9700 4.12: never 307).
func seeOther(w http.ResponseWriter, uri string) error {
	w.Header().Set("Location", uri)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
