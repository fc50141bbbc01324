package main

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed locales pages.html
var files embed.FS

var (
	pages   = template.Must(template.New("").Funcs(template.FuncMap{"yuan": yuan}).ParseFS(files, "pages.html"))
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

// moment is a date and clock time in words.
func moment(lang string, t time.Time) string {
	if lang == "en" {
		return t.Format("2 January, 15:04")
	}
	return t.Format("1 月 2 日 15:04")
}

// yuan writes an amount with its sign and groups of three.
func yuan(amount string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return "¥" + whole + "." + cents
}

const languageCookie = "merchant-app-lang"

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

// frame is what every page knows; View is its own content and Name its template.
type frame struct {
	Lang, Sheet, Issuer, Name string
	Wrong                     bool // the title says so, for those who hear it first
	View                      any
}

func (f frame) T(key string, args ...any) string { return T(f.Lang, key, args...) }

// Other is the language the page can switch to.
func (f frame) Other() string {
	if f.Lang == "en" {
		return "zh-CN"
	}
	return "en"
}

// problem is a page that says what went wrong, in keys of the locale files; Code and Detail are the provider's.
type problem struct {
	Title, Text, Code, Detail string
	Again                     bool // signing in again is the way out
}

// providerProblem puts an error code of the provider (RFC 6749, OIDC Core, RFC 9470) into words.
func providerProblem(code, detail string) problem {
	p := problem{Title: "provider.title", Text: "provider.other", Code: code, Detail: detail, Again: true}
	if maybe("en", "provider."+code) != "" {
		p.Text = "provider." + code
	}
	if code == "access_denied" {
		p.Title = "provider.denied.title"
	}
	return p
}

// notice is one line above the page, shown once.
type notice struct {
	Kind, Key string
	StepUp    bool // offer to sign in again with two factors
}

// home is the start of the app: the door before signing in, the desk after.
type home struct {
	Out     bool // just signed out
	Note    *notice
	Name    string
	Role    string
	Level   string
	Methods string
	Since   string
	Until   string
	Renews  bool
	Shop    string
	User    string
	Takings *takings
	Sets    []set
}

// set is one of the three places claims come from.
type set struct {
	Key  string
	Rows []row
}

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	if lang := r.URL.Query().Get("lang"); lang != "" {
		a.setCookie(w, languageCookie, language(r), 365*24*time.Hour)
	}
	if a.provider.Load() == nil {
		a.waiting(w, r)
		return
	}
	s := a.sessions.find(r)
	if s == nil {
		a.render(w, r, http.StatusOK, home{Out: r.URL.Query().Get("state") == "signed-out"})
		return
	}
	s.mu.Lock()
	view := s.view(language(r))
	s.note = nil
	s.mu.Unlock()
	a.render(w, r, http.StatusOK, view)
}

// view draws the session. The caller holds s.mu.
func (s *Session) view(lang string) home {
	id, user := s.identity, s.userinfo
	pick := func(name string) string { return cmp.Or(user.text(name), id.text(name), s.access.text(name)) }
	h := home{Note: s.note, Takings: s.takings, Renews: s.token.RefreshToken != "",
		Name: cmp.Or(pick("name"), pick("preferred_username"), pick("sub")), User: pick("preferred_username"), Shop: pick("merchant_no"),
		Role: maybe(lang, "role."+pick("role")), Level: cmp.Or(id.words(lang, "acr"), id.text("acr")), Methods: id.methods(lang),
		Since: id.words(lang, "auth_time"),
		Sets:  []set{{"id", id.rows(lang)}, {"user", user.rows(lang)}, {"access", s.access.rows(lang)}}}
	if !s.token.Expiry.IsZero() {
		h.Until = moment(lang, s.token.Expiry.Local())
	}
	return h
}

// render writes a page; it is drawn in full first, so an error can't leave half of one.
func (a *App) render(w http.ResponseWriter, r *http.Request, status int, view any) {
	f := frame{Lang: language(r), Sheet: a.Issuer + "/static/hufu.css", Issuer: a.Issuer, View: view}
	switch v := view.(type) {
	case problem:
		f.Name, f.Wrong = "problem", true
	case home:
		f.Name = "door"
		if v.Name != "" {
			f.Name = "desk"
		}
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "page", f); err != nil {
		a.Log.Error("page not drawn", "page", f.Name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", f.Lang)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
