package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed locales pages.html terminal.js
var files embed.FS

var (
	pages   = template.Must(template.ParseFS(files, "pages.html"))
	locales = map[string]map[string]string{"zh-CN": locale("zh-CN"), "en": locale("en")}
)

func locale(lang string) map[string]string {
	b, err := files.ReadFile("locales/" + lang + ".json")
	if err != nil {
		panic(err)
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		panic(lang + ": " + err.Error())
	}
	return m
}

// T returns a sentence; a missing one shows itself, so that a test finds it.
func T(lang, key string, args ...any) string {
	s, ok := locales[lang][key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}

// maybe returns a sentence or nothing: for keys made of what others sent.
func maybe(lang, key string) string { return locales[lang][key] }

// moment is a date and clock time in words; clock is the time alone.
func moment(lang string, t time.Time) string {
	if lang == "en" {
		return t.Local().Format("2 January, 15:04")
	}
	return t.Local().Format("1 月 2 日 15:04")
}

func clock(t time.Time) string { return t.Local().Format("15:04") }

const languageCookie = "terminal-lang"

// language is the wish in the address, then the one remembered, then the browser's; Chinese when nobody says.
func language(r *http.Request) string {
	wishes := []string{r.URL.Query().Get("lang")}
	if c, err := r.Cookie(languageCookie); err == nil {
		wishes = append(wishes, c.Value)
	}
	for _, w := range append(wishes, strings.Split(r.Header.Get("Accept-Language"), ",")...) {
		tag, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(w)), ";")
		switch primary, _, _ := strings.Cut(tag, "-"); primary {
		case "zh":
			return "zh-CN"
		case "en":
			return "en"
		}
	}
	return "zh-CN"
}

// frame is what every page knows; View is its own content.
type frame struct {
	Lang, Sheet, Issuer string
	Problem             bool
	View                any
}

func (f frame) T(key string, args ...any) string { return T(f.Lang, key, args...) }

// Other is the language the page can switch to.
func (f frame) Other() string {
	if f.Lang == "en" {
		return "zh-CN"
	}
	return "en"
}

// problem is a page that says what went wrong, in keys of the locale files; Detail is the provider's.
type problem struct{ Title, Text, Detail string }

// benchView is the page of all terminals.
type benchView struct {
	Faces     []face
	Version   string
	Waiting   bool // something will change by itself, soon
	Watched   bool // something may change by itself
	Startable bool
}

// face is one terminal as drawn. Tone colours its notice as its state deserves.
type face struct {
	Kind, Tail, Serial   string
	State                State
	Says, More, Tone     string
	UserCode             string
	Address, Link, Until string
	Match                int
	QR                   *picture
	Name, Role, Shop, At string
	Level, Printed       string
	Renews               bool
	Notices              []notice
	Sets                 []set
}

// set is the claims of one token.
type set struct {
	Key  string
	Rows []row
}

func (b *Bench) show(w http.ResponseWriter, r *http.Request, t *table) {
	lang := language(r)
	if r.URL.Query().Get("lang") != "" {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 3600})
	}
	v := benchView{Version: t.version()} // before the faces: a change in between is seen again, never missed
	for _, one := range t.terminals {
		f := one.face(lang)
		v.Waiting = v.Waiting || f.State == Waiting
		v.Watched = v.Watched || f.State == Waiting || f.State == SignedIn
		v.Startable = v.Startable || f.State != Waiting && f.State != SignedIn
		v.Faces = append(v.Faces, f)
	}
	b.render(w, r, http.StatusOK, v)
}

var tones = map[State]string{SignedIn: "ok", Denied: "bad", Failed: "bad", Expired: "warn", Ended: "warn"}

// face draws a terminal from one look at its status.
func (t *Terminal) face(lang string) face {
	s := t.Status()
	f := face{Kind: t.Kind, Serial: t.Serial, Tail: t.Serial[max(0, len(t.Serial)-4):], State: s.State, Says: sentence(lang, s), Tone: tones[s.State],
		Printed: moment(lang, time.Now())}
	if s.Note != "" {
		f.More = T(lang, s.Note)
	}
	switch s.State {
	case Waiting:
		f.UserCode, f.Match = s.Asked.UserCode, s.Asked.match
		_, f.Address, _ = strings.Cut(s.Asked.VerificationURI, "://")
		f.Link, f.Until = s.Asked.VerificationURIComplete, clock(s.Asked.Expiry)
		if p, err := draw(f.Link); err == nil { // too long for a code: the address and the user code are there as text
			f.QR = &p
		}
	case SignedIn:
		f.Name, f.Shop = s.Who.name(), s.Who.pick("merchant_no")
		f.Role, f.Level = maybe(lang, "role."+s.Who.pick("role")), maybe(lang, "acr."+s.Who.pick("acr"))
		f.Renews = s.Who.token.RefreshToken != ""
		if !s.Who.token.Expiry.IsZero() {
			f.Until = clock(s.Who.token.Expiry)
		}
		if at, ok := s.Who.id.clock("auth_time"); ok {
			f.At = moment(lang, at)
		}
		f.Notices = s.Notices
		f.Sets = []set{{"id", s.Who.id.rows(lang)}, {"access", s.Who.access.rows(lang)}}
	}
	return f
}

// render writes a page; it is drawn in full first, so an error can't leave half of one.
func (b *Bench) render(w http.ResponseWriter, r *http.Request, status int, view any) {
	f := frame{Lang: language(r), View: view}
	_, f.Problem = view.(problem)
	if t := b.ready.Load(); t != nil {
		f.Issuer, f.Sheet = t.provider.issuer, t.provider.issuer+"/static/hufu.css"
	}
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, "page", f); err != nil {
		b.Log.Error("page not drawn", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", f.Lang)
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// drawing is a terminal together with the words to draw it in.
type drawing struct {
	Frame frame
	Face  face
}

// With hands the frame down to the template of one terminal.
func (f frame) With(one face) drawing { return drawing{f, one} }
