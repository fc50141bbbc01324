package session

import (
	"net/http"
	"time"

	"github.com/gorilla/sessions"

	"hufu/idp"
)

// Names of the cookies, without the prefix that https gives them.
const (
	sessionCookie = "hufu-s"
	browserCookie = "hufu-kb"
	bindingCookie = "hufu-b"
)

const signedKey = "signed"

func (m *Manager) name(cookie string) string {
	if m.Secure {
		return "__Host-" + cookie
	}
	return cookie
}

// cookie makes a cookie: age 0 lives as long as the browser, negative removes it.
func (m *Manager) cookie(name, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: m.name(name), Value: value, Path: "/", HttpOnly: true, Secure: m.Secure, SameSite: http.SameSiteLaxMode}
	if age != 0 {
		c.MaxAge = int(age.Seconds())
	}
	if age < 0 {
		c.MaxAge = -1
	}
	return c
}

func (m *Manager) read(r *http.Request, name string) string {
	c, err := r.Cookie(m.name(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// cookieStore is the store behind gorilla's registry: a cookie that names a row.
type cookieStore struct{ m *Manager }

var _ sessions.Store = cookieStore{}

func (c cookieStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(c, name)
}

// New loads the session that the cookie names; a broken cookie is a fresh start.
func (c cookieStore) New(r *http.Request, name string) (*sessions.Session, error) {
	s := sessions.NewSession(c, name)
	s.IsNew = true
	token := c.m.read(r, sessionCookie)
	if len(token) != tokenLength {
		return s, nil
	}
	signed, err := c.m.load(r.Context(), token)
	if err != nil || signed == nil {
		return s, err
	}
	s.Values[signedKey], s.IsNew = signed, false
	return s, nil
}

// Save has nothing to do: rows are written by Begin, Renew and End, in the
// transaction of what they belong to.
func (c cookieStore) Save(*http.Request, http.ResponseWriter, *sessions.Session) error { return nil }

const tokenLength = 43 // 256 bits in base64url

// Binding returns the hash that flows of this browser are bound to; ok is false
// when the browser has no binding cookie yet.
func (m *Manager) Binding(r *http.Request) (hash []byte, ok bool) {
	v := m.read(r, bindingCookie)
	return Hash(v), len(v) == tokenLength
}

// bind returns the binding of this browser, giving it a cookie if it has none.
func (m *Manager) bind(w http.ResponseWriter, r *http.Request) []byte {
	if hash, ok := m.Binding(r); ok {
		return hash
	}
	v := idp.NewToken()
	c := m.cookie(bindingCookie, v, 0)
	http.SetCookie(w, c)
	r.AddCookie(c) // a second flow of the same request is the same browser's
	return Hash(v)
}

// OpenFlow stores a flow that cures the demand, bound to this browser, and returns
// its path.
func (m *Manager) OpenFlow(w http.ResponseWriter, r *http.Request, d idp.Demand) (path string, err error) {
	user := ""
	if !d.Kind.Door() { // the signed-in person's, and nobody's after him
		signed, err := m.Signed(r)
		if err != nil {
			return "", err
		}
		if signed != nil {
			user = signed.User.ID
		}
	}
	return m.OpenFlowFor(w, r, d, user, []byte("{}"))
}

// OpenFlowFor is OpenFlow for a flow that starts with a user and facts.
func (m *Manager) OpenFlowFor(w http.ResponseWriter, r *http.Request, d idp.Demand, user string, facts []byte) (path string, err error) {
	if err := m.Admit(r); err != nil {
		return "", err
	}
	now := time.Now()
	f := idp.Flow{Demand: d, User: user, Facts: facts, CreatedAt: now, ExpiresAt: now.Add(m.Policy.Now().Flow.Step), EndsAt: now.Add(m.Policy.Now().Flow.Whole)}
	token := idp.NewToken()
	return FlowPath(token), m.Store.OpenFlow(r.Context(), &f, Hash(token), m.bind(w, r))
}

// FlowPath is the address of the flow with a token.
func FlowPath(token string) string { return "/flows/" + token }
