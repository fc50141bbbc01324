package flows

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/templates"
)

// contactsPage lists the phones, addresses and user names of a person.
func (e *Engine) contactsPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ctx, now := r.Context(), time.Now()
	names, err := e.Store.Identifiers(ctx, me.User.ID)
	if err != nil {
		return err
	}
	changes, err := e.Store.Changes(ctx, me.User.ID, now)
	if err != nil {
		return err
	}
	p := templates.AccountContacts{Saved: saved(r), UsernameURL: "/account/username", AddPhone: "/account/contact/new?kind=phone", AddMail: "/account/contact/new?kind=email"}
	for _, n := range names {
		switch {
		case n.Kind == idp.IdentifierUsername && !n.Former:
			p.Username = n.Value
		case n.Kind == idp.IdentifierUsername && now.Sub(n.RemovedAt) < e.Policy.Now().Notices.FormerNames:
			p.Former = append(p.Former, n.Value)
		case n.Kind == idp.IdentifierPhone && n.RemovedAt.IsZero():
			p.Phones = append(p.Phones, e.contactRow(names, changes, n, now))
		case n.Kind == idp.IdentifierEmail && n.RemovedAt.IsZero():
			p.Emails = append(p.Emails, e.contactRow(names, changes, n, now))
		}
	}
	if p.Signal, err = e.renamed(r, me); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// renamed tells the browser the user name that its passkeys go by from now on, where it
// has just been changed; "" else.
func (e *Engine) renamed(r *http.Request, me *session.Signed) (string, error) {
	if r.URL.Query().Get("saved") != "username" {
		return "", nil
	}
	creds, err := e.Store.Credentials(r.Context(), me.User.ID)
	if err != nil {
		return "", err
	}
	return e.signal(r, me, creds)
}

func (e *Engine) contactRow(names []idp.Identifier, changes []idp.Change, n idp.Identifier, now time.Time) templates.ContactRow {
	row := templates.ContactRow{ID: n.ID, Masked: n.Masked(), Verified: !n.VerifiedAt.IsZero(), Proven: n.LastProvenAt, Stale: n.Channel() && e.stale(n, now),
		ChangeURL: changeContactPath(n.ID)}
	if row.Stale {
		row.ConfirmAction = "/account/contact/confirm"
	}
	if now.Before(n.DisputedUntil) {
		row.Disputed = n.DisputedUntil
	}
	if !lastChannel(names, n.ID) {
		row.Remove = removeContactPath(n.ID)
	}
	for _, c := range changes {
		if c.NewID != n.ID || c.OldID == "" {
			continue
		}
		if old := named(names, c.OldID); old != nil {
			row.UndoUntil, row.Old, row.UndoAction, row.Change = c.Until, old.Masked(), "/account/contact/undo", c.ID
		}
	}
	return row
}

// named finds an identifier by its id, nil for none.
func named(names []idp.Identifier, id string) *idp.Identifier {
	i := slices.IndexFunc(names, func(n idp.Identifier) bool { return n.ID == id })
	if i < 0 {
		return nil
	}
	return &names[i]
}

// lastChannel says whether nothing reaches the person but, perhaps, one identifier.
func lastChannel(names []idp.Identifier, id string) bool {
	return !slices.ContainsFunc(names, func(n idp.Identifier) bool { return n.ID != id && n.Channel() })
}

// myContact finds a phone or address that is bound to the person.
func (e *Engine) myContact(ctx context.Context, me *session.Signed, id string) (n idp.Identifier, names []idp.Identifier, err error) {
	if names, err = e.Store.Identifiers(ctx, me.User.ID); err != nil {
		return n, nil, err
	}
	found := named(names, id)
	if found == nil || found.Kind != idp.IdentifierPhone && found.Kind != idp.IdentifierEmail || !found.RemovedAt.IsZero() {
		return n, nil, idp.Errorf(idp.NotFound, "error.notfound")
	}
	return *found, names, nil
}

// addContact opens the flow that binds a phone or an address.
func (e *Engine) addContact(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	d := e.strict(me, idp.FlowContact, "/account/contacts?saved=contact")
	switch d.Object = r.URL.Query().Get("kind"); d.Object {
	case string(idp.IdentifierPhone), string(idp.IdentifierEmail):
		return e.Site.Require(w, r, d)
	}
	return idp.Errorf(idp.NotFound, "error.notfound")
}

// changeContact opens the flow that puts another in the place of a phone or address.
func (e *Engine) changeContact(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	n, _, err := e.myContact(r.Context(), me, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	d := e.strict(me, idp.FlowContact, "/account/contacts?saved=contact")
	d.Object = n.ID
	return e.Site.Require(w, r, d)
}

// changeUsername opens the flow that gives the person another user name.
func (e *Engine) changeUsername(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	return e.Site.Require(w, r, e.light(me, idp.FlowUsername, "/account/contacts?saved=username"))
}

func changeContactPath(id string) string { return "/account/contact/change?id=" + url.QueryEscape(id) }

func removeContactPath(id string) string { return "/account/contact/remove?id=" + url.QueryEscape(id) }

// errLastChannel: whoever has no channel hears of nothing.
var errLastChannel = idp.Errorf(idp.Forbidden, "account.last_channel")

// spareContact finds a phone or address that the person may give up.
func (e *Engine) spareContact(ctx context.Context, me *session.Signed, id string) (n idp.Identifier, names []idp.Identifier, err error) {
	n, names, err = e.myContact(ctx, me, id)
	if err == nil && lastChannel(names, n.ID) {
		err = errLastChannel
	}
	return n, names, err
}

// removeContactPage asks before a phone or address is removed.
func (e *Engine) removeContactPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	n, _, err := e.spareContact(r.Context(), me, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	if ok, err := e.meets(w, r, me, e.strict(me, idp.FlowStepUp, removeContactPath(n.ID))); !ok {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.Confirm{TitleKey: "account.remove_contact", TextKey: "account.remove_contact_text", ButtonKey: "account.remove_contact_do",
		Args: []any{n.Masked()}, Action: "/account/contact/remove", Hidden: map[string]string{"id": n.ID}, Danger: true, Back: "/account/contacts", Tab: "contacts"})
}

// removeContact takes a phone or address away. It still gets notices for a while, and
// the first of them can bring it back.
func (e *Engine) removeContact(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	id := r.PostForm.Get("id")
	if _, _, err := e.spareContact(r.Context(), me, id); err != nil {
		return err
	}
	if ok, err := e.meets(w, r, me, e.strict(me, idp.FlowStepUp, removeContactPath(id))); !ok {
		return err
	}
	err := e.alter(r.Context(), me, func(ctx context.Context) error { return e.dropContact(ctx, r, me, id) })
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/contacts?saved=contact_removed")
}

func (e *Engine) dropContact(ctx context.Context, r *http.Request, me *session.Signed, id string) error {
	n, names, err := e.spareContact(ctx, me, id)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := e.removeChannel(ctx, me.User, n.ID, me.Session.ID, now); err != nil {
		return err
	}
	change := idp.Change{UserID: me.User.ID, OldID: n.ID, At: now, Until: now.Add(e.Policy.Now().Links.Undo)}
	if err := e.Store.CreateChange(ctx, &change); err != nil {
		return err
	}
	ev := e.act(ctx, me)
	ev.Name, ev.Data = "channel.removed", map[string]any{"channel": string(n.Kind), "change": change.ID}
	if err := e.Store.Append(ctx, ev); err != nil {
		return err
	}
	letter := e.letter(r, me.User, names)
	letter.Old, letter.Object = n.Masked(), n.ID
	return e.tellChange(ctx, me.User, n, change, "channel.removed", letter)
}

// removeChannel takes a phone or address from a person, and what codes to it have let in.
func (e *Engine) removeChannel(ctx context.Context, u idp.User, id, keep string, now time.Time) error {
	ok, err := e.Store.RemoveIdentifier(ctx, u.ID, id, now)
	if err == nil && !ok {
		err = errFaster
	}
	if err != nil {
		return err
	}
	return e.disprove(ctx, u, id, keep)
}

// tellChange tells every channel of a person that one of them changed. The old one is
// told first, with the link that takes the change back; only an address that was ever
// proved is told anything.
func (e *Engine) tellChange(ctx context.Context, u idp.User, old idp.Identifier, c idp.Change, template string, letter templates.Letter) error {
	if old.VerifiedAt.IsZero() || !e.reaches(old) {
		return e.notify(ctx, u, template, letter)
	}
	first := letter
	var err error
	if first.Undo, err = e.link(ctx, idp.Link{Kind: idp.LinkUndo, UserID: u.ID, Object: c.ID, CreatedAt: c.At, ExpiresAt: c.Until}, "/undo"); err != nil {
		return err
	}
	if first.Stop, err = e.stopLink(ctx, u, c.At); err != nil {
		return err
	}
	first.Until = c.Until
	if err := e.queue(ctx, u, old, template, first); err != nil {
		return err
	}
	if old.Kind == idp.IdentifierPhone {
		if err := e.Store.CountHour(ctx, "sms", 1, c.At); err != nil {
			return err
		}
	}
	if _, err := e.untold(ctx, old, template, letter, c.At); err != nil { // so that it is not told twice
		return err
	}
	return e.notify(ctx, u, template, letter)
}

// undoContact takes a change of a phone or address back, from the person's own page.
// It brings back who could come in before, so it asks like the change did; the old
// phone or address itself needs less, see [Engine.undo].
func (e *Engine) undoContact(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	c, err := e.Store.Change(r.Context(), r.PostForm.Get("change"))
	if err != nil {
		return err
	}
	if c.UserID != me.User.ID || c.OldID == "" { // nothing would come back
		return idp.Errorf(idp.NotFound, "error.notfound")
	}
	if ok, err := e.meets(w, r, me, e.strict(me, idp.FlowStepUp, "/account/contacts")); !ok {
		return err
	}
	p, err := e.takeBack(r, me, c)
	if err != nil {
		return err
	}
	if p.Gone {
		return e.Site.Write(w, r, http.StatusOK, p)
	}
	return web.Redirect(w, r, "/account/contacts?saved=undone")
}

// takeBack undoes a change, with all that took the place of what it brought.
func (e *Engine) takeBack(r *http.Request, me *session.Signed, c idp.Change) (p templates.Undone, err error) {
	err = e.alter(r.Context(), me, func(ctx context.Context) error {
		now := time.Now()
		names, err := e.Store.Identifiers(ctx, me.User.ID)
		if err != nil {
			return err
		}
		letter := e.letter(r, me.User, names)
		p = templates.Undone{}
		for _, id := range []string{c.NewID, c.OldID} {
			if n := named(names, id); n != nil {
				p.Kind = string(n.Kind)
			}
		}
		if old := named(names, c.OldID); old != nil {
			p.Old, letter.Old = old.Masked(), old.Masked()
		}
		if brought := named(names, c.NewID); brought != nil {
			letter.New = brought.Masked()
		}
		back, err := e.undoAll(ctx, me, c, now)
		if err != nil {
			return err
		}
		p.Gone, letter.Object = !back, c.ID
		ev := e.act(ctx, me)
		ev.Name, ev.Data = "channel.undone", map[string]any{"channel": p.Kind, "change": c.ID, "gone": p.Gone}
		if err := e.Store.Append(ctx, ev); err != nil {
			return err
		}
		return e.notify(ctx, me.User, "channel.undone", letter)
	})
	return p, err
}

// undoAll marks a change as undone, and what came after it; it brings back what was
// there before, where nobody else has it by now, and then removes what took its place.
func (e *Engine) undoAll(ctx context.Context, me *session.Signed, c idp.Change, now time.Time) (back bool, err error) {
	later, err := e.Store.Changes(ctx, me.User.ID, now)
	if err != nil {
		return false, err
	}
	ok, err := e.Store.UndoChange(ctx, c.ID, now)
	if err == nil && !ok {
		err = errGone
	}
	if err != nil {
		return false, err
	}
	first := c.OldID
	if back, err = e.Store.RestoreIdentifier(ctx, me.User.ID, first); err != nil {
		return false, err
	}
	if !back { // he may have gone back to it himself
		names, err := e.Store.Identifiers(ctx, me.User.ID)
		if err != nil {
			return false, err
		}
		n := named(names, first)
		back = n != nil && n.Channel()
	}
	for c.NewID != "" && c.NewID != first {
		if err := e.takeAway(ctx, me, c.NewID, now); err != nil {
			return false, err
		}
		next := slices.IndexFunc(later, func(l idp.Change) bool { return l.OldID == c.NewID })
		if next < 0 {
			break
		}
		c = later[next]
		if _, err := e.Store.UndoChange(ctx, c.ID, now); err != nil {
			return false, err
		}
	}
	return back, nil
}

// takeAway removes a phone or address, unless nothing else would reach the person.
func (e *Engine) takeAway(ctx context.Context, me *session.Signed, id string, now time.Time) error {
	names, err := e.Store.Identifiers(ctx, me.User.ID)
	if n := named(names, id); err != nil || n == nil || !n.RemovedAt.IsZero() || lastChannel(names, id) {
		return err
	}
	return e.removeChannel(ctx, me.User, id, me.Session.ID, now)
}
