package flows

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// shown are the events that the person they are about sees.
var shown = func() (names []string) {
	for name, his := range idp.EventNames {
		if his {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}()

// asked are the events of which a person is asked whether it was he: somebody came in,
// let something in, or changed a way in. A wrong guess of a stranger is none: nothing
// was lost, and nobody should be led to freeze himself by it.
var asked = []string{"signin.succeeded", "signin.stepup", "signin.newbrowser", "signin.newplace", "grant.created", "password.changed", "password.reset", "factor.enrolled", "factor.removed",
	"factor.replaced", "codes.issued", "codes.used", "channel.added", "channel.removed", "channel.undone", "username.changed", "browser.known", "browser.trusted", "device.approved", "account.exported", "account.unfrozen"}

const activityRows = 20 // a page

// activityPage lists what happened in the account, newest first.
func (e *Engine) activityPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	before := r.URL.Query().Get("before")
	events, err := e.Store.Events(r.Context(), storage.EventFilter{Subject: me.User.ID, Names: shown, Before: before}, activityRows+1)
	if err != nil {
		return err
	}
	p := templates.AccountActivity{Saved: saved(r), Action: "/account/activity"}
	if len(events) > activityRows {
		events = events[:activityRows]
		p.Older = "/account/activity?before=" + url.QueryEscape(events[activityRows-1].ID)
	}
	if before != "" {
		p.Newest = "/account/activity"
	}
	if p.Events, err = e.eventRows(r, me, events); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// eventRows words events for the person they are about.
func (e *Engine) eventRows(r *http.Request, me *session.Signed, events []idp.Event) (rows []templates.EventRow, err error) {
	var ids []string
	for _, ev := range events {
		ids = append(ids, ev.ID)
	}
	said, err := e.Store.Answers(r.Context(), me.User.ID, ids)
	if err != nil {
		return nil, err
	}
	devices := map[string]string{}
	for _, ev := range events {
		row := templates.EventRow{ID: ev.ID, At: ev.At, NameKey: "event." + ev.Name, Tone: tone(ev.Name), Answer: said[ev.ID], Detail: e.detail(r, ev)}
		if ev.Actor == "" || ev.Actor == me.User.ID { // where staff work is not the person's to know
			row.Place = e.where(ev.Network, e.Site.Lang(r))
			if row.Device, err = e.deviceOfSession(r, me, ev.Session, devices); err != nil {
				return nil, err
			}
			row.Ask = row.Answer == "" && slices.Contains(asked, ev.Name) && time.Since(ev.At) < e.Policy.Now().Cases.Ask
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// deviceOfSession is the class of browser of a session, as long as it is kept.
func (e *Engine) deviceOfSession(r *http.Request, me *session.Signed, id string, seen map[string]string) (string, error) {
	if device, ok := seen[id]; ok || id == "" {
		return device, nil
	}
	ss, err := e.Store.Session(r.Context(), id)
	if err != nil && idp.KindOf(err) != idp.NotFound {
		return "", err
	}
	if err == nil && ss.UserID == me.User.ID {
		seen[id] = ss.Device
	}
	return seen[id], nil
}

// detail is which factor, channel or application an event is about, in words.
func (e *Engine) detail(r *http.Request, ev idp.Event) string {
	lang := e.Site.Lang(r)
	for _, of := range []struct{ field, key string }{{"method", "factor."}, {"channel", "channel."}} {
		if v, ok := ev.Data[of.field].(string); ok && v != "" {
			return e.until(lang, ev, templates.Frame{Lang: lang}.Or(of.key+v, ""))
		}
	}
	if ev.Client == "" {
		return ""
	}
	c, err := e.Store.Client(r.Context(), ev.Client)
	if err != nil { // gone meanwhile: the event stands without its name
		return ""
	}
	return c.Name
}

// until adds to the words of a lock when it ends.
func (e *Engine) until(lang string, ev idp.Event, words string) string {
	if end := untilOf(ev); !end.IsZero() {
		return templates.T(lang, "account.closed_event", words, e.moment(lang, end))
	}
	return words
}

// tone is how loud an event stands in the list.
func tone(name string) string {
	switch name {
	case "signin.failed", "signin.refused", "recovery.refused", "device.wrong_digits", "codes.low", "channel.stale", "channel.disputed":
		return "warn"
	case "lock.closed", "password.suspected", "browser.copied", "grant.reuse_detected", "lock.account", "account.frozen", "account.notme", "factor.clone_suspected":
		return "bad"
	case "factor.enrolled", "signin.succeeded", "device.approved", "account.unfrozen":
		return "ok"
	}
	return ""
}

// myEvent finds an event that the person sees.
func (e *Engine) myEvent(r *http.Request, me *session.Signed, id string) (idp.Event, error) {
	ev, err := e.Store.Event(r.Context(), id)
	if err == nil && (ev.Subject != me.User.ID || !idp.EventNames[ev.Name]) {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return ev, err
}

// answerEvent takes the word of a person on an event of his: it was he, or it was not,
// which leads to the page that freezes.
func (e *Engine) answerEvent(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ev, err := e.myEvent(r, me, r.PostForm.Get("event"))
	if err != nil {
		return err
	}
	switch r.PostForm.Get("answer") {
	case "me":
		if _, err := e.Store.Answer(r.Context(), me.User.ID, ev.ID, "me", time.Now()); err != nil {
			return err
		}
		return web.Redirect(w, r, "/account/activity?saved=answered")
	case "not_me":
		return web.Redirect(w, r, "/account/freeze?event="+url.QueryEscape(ev.ID))
	}
	return idp.Errorf(idp.Invalid, "problem.400.text")
}
