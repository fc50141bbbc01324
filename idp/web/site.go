// Package web is what every handler stands on: handlers that return errors, the
// page writer, and the middleware around them all. It serves no route of its own.
//
// Invariants: an error that nobody classified is shown as "something went wrong"
// with a request id and told to the log alone; links and redirects are built from
// the configured issuer or from local paths, never from the request's host.
package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/storage"
	"hufu/templates"
)

// Handler serves a request or says why it cannot.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Site draws pages.
type Site struct {
	Sessions *session.Manager
	Issuer   string // origin, without a slash at its end
	Operator string
	Demo     bool
	Zone     *time.Location
	Log      *slog.Logger
}

// Page serves a handler of pages: its error is drawn as a page.
func (s *Site) Page(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.Fail(w, r, err)
		}
	})
}

// statuses by kind of error.
var statuses = map[idp.Kind]int{
	idp.Internal: http.StatusInternalServerError, idp.Invalid: http.StatusUnprocessableEntity, idp.Unauthenticated: http.StatusUnauthorized,
	idp.Forbidden: http.StatusForbidden, idp.NotFound: http.StatusNotFound, idp.Conflict: http.StatusConflict, idp.Rejected: http.StatusUnprocessableEntity,
	idp.Limited: http.StatusTooManyRequests, idp.Expired: http.StatusGone, idp.Unavailable: http.StatusServiceUnavailable,
}

// Status returns the HTTP status of an error.
func Status(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if k := idp.KindOf(err); k != idp.Internal {
		return statuses[k]
	}
	if storage.Unavailable(err) {
		return http.StatusServiceUnavailable
	}
	if storage.Malformed(err) {
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// Fail draws the page of an error. Its inner text goes to the log alone.
func (s *Site) Fail(w http.ResponseWriter, r *http.Request, err error) {
	status := Status(err)
	p := templates.Problem{Status: status, RequestID: RequestID(r.Context())}
	if e, ok := errors.AsType[*idp.Error](err); ok && e.Kind != idp.Internal {
		p.Text, p.Args = e.Msg, e.Args
		RetryAfter(w, e.Until)
	}
	if strings.HasPrefix(r.URL.Path, "/console/") {
		p.WayURL, p.WayText = "/console", "problem.way_console"
	}
	switch {
	case status == http.StatusInternalServerError:
		s.Log.ErrorContext(r.Context(), "request failed", "error", err)
	case status == http.StatusServiceUnavailable:
		s.Log.WarnContext(r.Context(), "request refused", "error", err)
		w.Header().Set("Retry-After", "10")
		p.Text = "" // the words for the status
	}
	if werr := s.Write(w, r, status, p); werr != nil {
		s.Log.ErrorContext(r.Context(), "error page failed", "error", werr)
		http.Error(w, http.StatusText(status), status)
	}
}

// RetryAfter says in a header when a refused request may come again (RFC 9110 10.2.3).
func RetryAfter(w http.ResponseWriter, until time.Time) {
	if !until.IsZero() {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(time.Until(until).Seconds()+1))))
	}
}

// Write draws a page.
func (s *Site) Write(w http.ResponseWriter, r *http.Request, status int, c templates.Content) error {
	return s.write(w, status, s.frame(r), c)
}

// publicLife is for how long a page may be kept that is the same for everybody.
const publicLife = 5 * time.Minute

// Public draws a page that says the same to everybody who reads its language, whoever is
// signed in: any cache may keep it.
func (s *Site) Public(w http.ResponseWriter, r *http.Request, c templates.Content) error {
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(publicLife.Seconds())))
	w.Header().Add("Vary", "Accept-Language, Cookie") // the language, asked for or chosen
	return s.write(w, http.StatusOK, s.words(r), c)
}

func (s *Site) write(w http.ResponseWriter, status int, f templates.Frame, c templates.Content) error {
	var b bytes.Buffer
	if err := templates.Render(&b, f, c); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// Part writes a part of a page, for a script that puts it into the page.
func (s *Site) Part(w http.ResponseWriter, r *http.Request, name string, it any) error {
	var b bytes.Buffer
	if err := templates.RenderPart(&b, s.frame(r), name, it); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := b.WriteTo(w)
	return err
}

// words are what every page knows about its request but who makes it.
func (s *Site) words(r *http.Request) templates.Frame {
	f := templates.Frame{Lang: s.Lang(r), Path: r.URL.RequestURI(), Operator: s.Operator, Demo: s.Demo, RequestID: RequestID(r.Context()), Issuer: s.Issuer, Zone: s.Zone}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f.Path = r.URL.Path
	}
	return f
}

// frame is what every page knows about its request. A page is drawn for a stranger
// when the database cannot say who is signed in.
func (s *Site) frame(r *http.Request) templates.Frame {
	f := s.words(r)
	if signed, err := s.Sessions.Signed(r); err == nil && signed != nil {
		f.Viewer = &templates.Viewer{Name: signed.User.Name, Face: templates.Face(signed.User.Name), Login: signed.User.Name, Console: signed.User.Role.Operator(), RoleKey: "role." + string(signed.User.Role)}
	}
	return f
}

// LangCookie keeps the language a person chose.
const LangCookie = "hufu-lang"

// chosen is the cookie of the language that a person chose, "" for none.
func chosen(r *http.Request) string {
	for _, name := range []string{"__Host-" + LangCookie, LangCookie} {
		if c, err := r.Cookie(name); err == nil {
			return c.Value
		}
	}
	return ""
}

// Chosen is the language that a person chose in this browser, "" when he chose none: what
// the browser asks for by itself is no choice.
func (s *Site) Chosen(r *http.Request) string {
	for _, l := range templates.Languages() {
		if l.Tag == chosen(r) {
			return l.Tag
		}
	}
	return ""
}

// Lang is the language of a request: chosen, else the browser's, else zh-CN.
func (s *Site) Lang(r *http.Request) string {
	asked, _ := r.Context().Value(localesKey{}).(string)
	return templates.Match(r.Header.Get("Accept-Language"), chosen(r), asked)
}

type localesKey struct{}

// PreferLocales makes pages of this request appear in the first of the client's
// ui_locales that there is (OpenID Connect Core 3.1.2.1), unless the person chose
// another language.
func PreferLocales(r *http.Request, locales string) {
	if locales != "" {
		*r = *r.WithContext(context.WithValue(r.Context(), localesKey{}, locales))
	}
}

// Require opens the flow that cures a demand and sends the browser there.
func (s *Site) Require(w http.ResponseWriter, r *http.Request, d idp.Demand) error {
	path, err := s.Sessions.OpenFlow(w, r, d)
	if err != nil {
		return err
	}
	return Redirect(w, r, path)
}

// Redirect sends the browser on to a local path (303). Anything that is no local
// path goes to the start instead.
func Redirect(w http.ResponseWriter, r *http.Request, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", Local(path))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Local returns path if it is a path on this server, "/" otherwise: "//host",
// "/\host" and anything with a control character are not.
func Local(path string) string {
	if len(path) == 0 || path[0] != '/' || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\x00\r\n\t") {
		return "/"
	}
	return path
}
