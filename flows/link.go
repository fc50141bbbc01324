package flows

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/templates"
)

// A link that does nothing any more has one page for its kind, whatever the reason; support
// reads it behind the explain code.
var (
	errGone    = &idp.Error{Kind: idp.Expired, Msg: "link-gone.title", Reason: "link.expired"}
	errSpent   = &idp.Error{Kind: idp.Expired, Msg: "link-gone.title", Reason: "link.spent"}
	errForeign = &idp.Error{Kind: idp.Expired, Msg: "link-gone.title", Reason: "link.foreign"}
)

// linkGone draws the one page of all such links of a kind, and passes other errors on. The
// event names nobody: whoever follows such a link need not be whose it was.
func (e *Engine) linkGone(w http.ResponseWriter, r *http.Request, kind idp.LinkKind, err error) error {
	why, ok := errors.AsType[*idp.Error](err)
	if !ok || why.Kind != idp.Expired && why.Kind != idp.NotFound {
		return err
	}
	code := e.explained(r, e.anybody(r), cmp.Or(why.Reason, errGone.Reason))
	return e.Site.Write(w, r, http.StatusGone, templates.LinkGone{Kind: string(kind), Explain: code})
}

// stopPage asks whoever follows the link of a notice whether all is to be stopped. It
// changes nothing: scanners of mail follow links, too. It tells nothing of the account
// either, whoever reads the mail.
func (e *Engine) stopPage(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("t")
	l, err := e.Store.Link(r.Context(), session.Hash(token), idp.LinkFreeze, time.Now())
	if err != nil {
		return e.linkGone(w, r, idp.LinkFreeze, err)
	}
	p := e.Policy.Now().Cases
	spent, err := e.Store.BucketEmpty(r.Context(), "freeze.link", []byte(l.UserID), p.LinkFreezes, p.LinkWindow, time.Now())
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.Freeze{Action: "/stop", Token: token, Sessions: -1, Terminals: -1, OnlyCase: spent})
}

// stop freezes the account that a link names. It asks for no sign-in: a thief may have
// changed what is needed for one.
func (e *Engine) stop(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	l, err := e.Store.Link(r.Context(), session.Hash(r.PostForm.Get("token")), idp.LinkFreeze, time.Now())
	if err != nil {
		return e.linkGone(w, r, idp.LinkFreeze, err)
	}
	cause := freezeCause{link: true}
	signed, err := e.Sessions.Signed(r)
	if err != nil {
		return err
	}
	if signed != nil && signed.User.ID == l.UserID {
		cause.acting = signed
	}
	out, err := e.freeze(r, l.UserID, cause)
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.Frozen{CaseNumber: out.Number, Due: out.DueAt, SignedIn: cause.acting != nil, Already: out.already, OnlyCase: out.onlyCase})
}

// undoable finds the change that a link in a notice takes back, while it can be.
func (e *Engine) undoable(r *http.Request, token string) (c idp.Change, err error) {
	l, err := e.Store.Link(r.Context(), session.Hash(token), idp.LinkUndo, time.Now())
	if err != nil {
		return c, err
	}
	if c, err = e.Store.Change(r.Context(), l.Object); err != nil {
		return c, err
	}
	switch {
	case !c.UndoneAt.IsZero():
		return c, errSpent
	case c.UserID != l.UserID, !time.Now().Before(c.Until):
		return c, errGone
	}
	return c, nil
}

// undoPage asks before a change of a phone or address is taken back. Whoever holds the
// old one must be the person, too: phone numbers are lost and sold.
func (e *Engine) undoPage(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("t")
	c, err := e.undoable(r, token)
	if err != nil {
		return e.linkGone(w, r, idp.LinkUndo, err)
	}
	me, err := e.mine(w, r)
	if me == nil {
		return err
	}
	if me.User.ID != c.UserID {
		return e.linkGone(w, r, idp.LinkUndo, errForeign)
	}
	if me.User.Frozen {
		return errFrozen
	}
	names, err := e.Store.Identifiers(r.Context(), me.User.ID)
	if err != nil {
		return err
	}
	p := templates.Undo{Action: "/undo", Token: token, At: c.At, Until: c.Until}
	if brought := named(names, c.NewID); brought != nil {
		p.Kind, p.New = string(brought.Kind), brought.Masked()
	}
	if old := named(names, c.OldID); old != nil {
		p.Kind, p.Old = string(old.Kind), old.Masked()
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// undo takes a change of a phone or address back.
func (e *Engine) undo(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	c, err := e.undoable(r, r.PostForm.Get("token"))
	if err != nil {
		return e.linkGone(w, r, idp.LinkUndo, err)
	}
	signed, err := e.Sessions.Signed(r)
	if err != nil {
		return err
	}
	if signed == nil { // signed out meanwhile: back to this page
		return e.Site.Require(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: "/undo?t=" + r.PostForm.Get("token")})
	}
	if signed.User.ID != c.UserID {
		return e.linkGone(w, r, idp.LinkUndo, errForeign)
	}
	p, err := e.takeBack(r, signed, c)
	switch {
	case err == errGone:
		return e.linkGone(w, r, idp.LinkUndo, err)
	case err != nil:
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}
