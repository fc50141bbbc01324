package oidc

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/idp/web"
)

// refusal is an answer of the protocol: a registered error code and a sentence for
// the developer of the client. Err and Reason are for the log alone.
type refusal struct {
	Code, Description string
	Status            int    // 0: that of the code
	Reason            string // reason code
	Explain           string // explain code of the reason, for people
	Until             time.Time
	Err               error
}

func (e *refusal) Error() string {
	s := e.Code + ": " + e.Description
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *refusal) Unwrap() error { return e.Err }

func refuse(code, description string) *refusal {
	return &refusal{Code: code, Description: description}
}

// because adds what the log should know.
func (e *refusal) because(reason string, err error) *refusal {
	e.Reason, e.Err = reason, err
	return e
}

// kept marks a refusal whose transaction is kept: a counted poll, an ended family.
type kept struct{ error }

func (k kept) Unwrap() error { return k.error }

// statuses of codes that are not 400 (RFC 6749 5.2, RFC 6750 3.1).
var statuses = map[string]int{
	"invalid_client": http.StatusUnauthorized, "invalid_token": http.StatusUnauthorized, "insufficient_scope": http.StatusForbidden,
	"server_error": http.StatusInternalServerError, "temporarily_unavailable": http.StatusServiceUnavailable,
}

// registered are the codes of fosite that a registry knows; any other of its codes
// is told as invalid_request.
var registered = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unsupported_grant_type": true,
	"invalid_scope": true, "access_denied": true, "unsupported_response_type": true,
	"server_error": true, "temporarily_unavailable": true,
}

// classify maps any error to what the client is told. What nobody classified is
// server_error without a word about why.
func classify(err error) *refusal {
	if e, ok := errors.AsType[*refusal](err); ok {
		e := *e // some are shared by all requests
		e.Status = cmp.Or(e.Status, statuses[e.Code], http.StatusBadRequest)
		return &e
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &refusal{Code: "invalid_request", Description: "the request is too large", Status: http.StatusRequestEntityTooLarge, Err: err}
	}
	if e, ok := errors.AsType[*idp.Error](err); ok && e.Kind == idp.Limited {
		return &refusal{Code: "temporarily_unavailable", Description: "too many requests, try again later", Status: http.StatusTooManyRequests, Until: e.Until, Err: err}
	}
	if unavailable(err) {
		return &refusal{Code: "temporarily_unavailable", Description: "try again in a moment", Status: http.StatusServiceUnavailable, Until: time.Now().Add(9 * time.Second), Err: err}
	}
	if e, ok := errors.AsType[*fosite.RFC6749Error](err); ok && e.ErrorField != "server_error" && e.CodeField < 500 {
		code := e.ErrorField
		if !registered[code] {
			code = "invalid_request"
		}
		return classify(&refusal{Code: code, Description: strings.TrimSpace(e.DescriptionField + " " + e.HintField), Err: err})
	}
	return &refusal{Code: "server_error", Description: "the request failed; it is in our log", Status: http.StatusInternalServerError, Err: err}
}

// unavailable looks at every error of the chain: fosite's hide the text of theirs.
func unavailable(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if web.Status(err) == http.StatusServiceUnavailable {
			return true
		}
	}
	return false
}

// text keeps what RFC 6749 5.2 allows in an error_description.
func text(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return ' '
		}
		return r
	}, s)
}

// endpoint serves a handler of the protocol: its error is told as JSON, and nothing
// of it is cached.
func (p *Provider) endpoint(h web.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		if err := h(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}

func (p *Provider) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := classify(err)
	p.logRefusal(r, e)
	h := w.Header()
	if e.Status == http.StatusUnauthorized && e.Code == "invalid_client" {
		h.Set("WWW-Authenticate", `Basic realm="hufu", charset="UTF-8"`)
	}
	if !e.Until.IsZero() {
		h.Set("Retry-After", strconv.Itoa(max(1, int(time.Until(e.Until).Seconds()+1))))
	}
	answer := map[string]string{"error": e.Code, "error_description": text(e.Description)}
	if e.Explain != "" {
		answer["reason"], answer["explain_code"] = e.Reason, e.Explain
	}
	writeJSON(w, e.Status, answer)
}

func (p *Provider) logRefusal(r *http.Request, e *refusal) {
	log := p.Log.InfoContext
	if e.Status >= 500 {
		log = p.Log.ErrorContext
	}
	log(r.Context(), "oauth refusal", "path", r.URL.Path, "code", e.Code, "description", e.Description, "reason", e.Reason, "error", e.Err, "request_id", web.RequestID(r.Context()))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
