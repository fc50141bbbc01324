package flows

import (
	"net/http"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/templates"
)

// signIn starts a sign-in that no application asked for.
func (e *Engine) signIn(w http.ResponseWriter, r *http.Request) error {
	signed, err := e.Sessions.Signed(r)
	if err != nil {
		return err
	}
	if signed == nil {
		return e.Site.Require(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: "/sign-in"})
	}
	if signed.User.Role.Operator() {
		return web.Redirect(w, r, "/console")
	}
	return web.Redirect(w, r, "/account")
}

func (e *Engine) signOutPage(w http.ResponseWriter, r *http.Request) error {
	return e.Site.Write(w, r, http.StatusOK, templates.SignOut{Action: "/sign-out"})
}

func (e *Engine) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	if r.PostForm.Get("do") == "stay" {
		return web.Redirect(w, r, "/account")
	}
	if err := e.Sessions.SignOut(r.Context(), w, r, "logout"); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.SignedOut{})
}

// setLanguage keeps the language that a person chose, and goes back.
func (e *Engine) setLanguage(w http.ResponseWriter, r *http.Request) error {
	to := templates.Match("", r.URL.Query().Get("to"), "")
	name := web.LangCookie
	if e.Sessions.Secure {
		name = "__Host-" + name
	}
	http.SetCookie(w, &http.Cookie{Name: name, Value: to, Path: "/", MaxAge: 365 * 24 * 3600, Secure: e.Sessions.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return web.Redirect(w, r, r.URL.Query().Get("back"))
}
