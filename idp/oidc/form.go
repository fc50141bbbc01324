package oidc

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxBody bounds what any endpoint reads.
const maxBody = 64 << 10

// repeatable parameters may stand several times (RFC 8707 section 2).
var repeatable = []string{"resource", "audience"}

// postForm reads the form of an endpoint that takes POST only. Nothing may stand in
// the query, where secrets end in logs, and nothing twice (RFC 6749 3.2).
func postForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if err := method(w, r, http.MethodPost); err != nil {
		return nil, err
	}
	if r.URL.RawQuery != "" {
		return nil, refuse("invalid_request", "parameters belong in the body, not in the query")
	}
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	return form, wellFormed(form)
}

// readForm reads a body of application/x-www-form-urlencoded.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &refusal{Code: "invalid_request", Description: "the body must be application/x-www-form-urlencoded", Status: http.StatusUnsupportedMediaType}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, refuse("invalid_request", "the body cannot be read as a form").orTooLarge(err)
	}
	return r.PostForm, nil
}

// orTooLarge lets the size of a body be its own answer.
func (e *refusal) orTooLarge(err error) error {
	if c := classify(err); c.Status == http.StatusRequestEntityTooLarge {
		return c
	}
	return e.because("", err)
}

// wellFormed refuses repeated parameters and text that no database keeps.
func wellFormed(form url.Values) error {
	for name, values := range form {
		if len(values) > 1 && !slices.Contains(repeatable, name) {
			return refuse("invalid_request", "a parameter stands more than once")
		}
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return refuse("invalid_request", "a parameter is not valid UTF-8 text")
			}
		}
	}
	return nil
}

// longest bounds, in bytes, what of a stranger's request is kept, compared or told
// again. A parameter of another name is not looked at, or must be one that we know.
var longest = map[string]int{"state": 1024, "nonce": 255, "login_hint": 255, "client_id": 255, "scope": 1024, "prompt": 255, "acr_values": 1024,
	"ui_locales": 255, "redirect_uri": 2048, "post_logout_redirect_uri": 2048, "id_token_hint": 8192, "resource": 2048, "audience": 2048}

// bounded refuses parameters that are longer than anybody needs.
func bounded(form url.Values) error {
	for name, most := range longest {
		for _, v := range form[name] {
			if len(v) > most {
				return refuse("invalid_request", name+" is longer than "+strconv.Itoa(most)+" bytes")
			}
		}
	}
	return nil
}

// method refuses all other methods with 405.
func method(w http.ResponseWriter, r *http.Request, allowed ...string) error {
	if slices.Contains(allowed, r.Method) {
		return nil
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &refusal{Code: "invalid_request", Description: "the method must be " + strings.Join(allowed, " or "), Status: http.StatusMethodNotAllowed}
}
