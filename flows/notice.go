package flows

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

func templatesLetter(s *State, at time.Time) templates.Letter {
	letter := s.engine.letter(s.request, *s.user, s.names)
	letter.At = at
	return letter
}

// tell queues a notice to the person of a flow, see [Engine.notify].
func (e *Engine) tell(ctx context.Context, s *State, template string, letter templates.Letter) error {
	return e.notify(ctx, *s.user, template, letter)
}

// notify queues a notice to every bound channel of a person, and to the phones and
// addresses that he removed not long ago, each with a link of its own that freezes. The
// same notice of the same thing goes to one channel once in a while only; what is left
// out is in his activity, and in the next digest.
func (e *Engine) notify(ctx context.Context, u idp.User, template string, letter templates.Letter) error {
	return e.notifyOf(ctx, u, u, template, letter)
}

// notifyOf tells a person of what happens to the account of another, which the link stops.
func (e *Engine) notifyOf(ctx context.Context, u, about idp.User, template string, letter templates.Letter) error {
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	now, texts, held := time.Now(), 0, false
	for _, to := range names {
		if !to.Channel() && !e.lately(to, now) || !e.reaches(to) || to.Kind == idp.IdentifierPhone && mailOnly[template] {
			continue
		}
		ok, err := e.untold(ctx, to, template, letter, now)
		if err == nil && ok && to.Kind == idp.IdentifierPhone {
			ok, err = e.mayText(ctx, to, template, now)
		}
		if err != nil {
			return err
		}
		if !ok {
			held = held || to.Kind == idp.IdentifierEmail && to.Channel()
			continue
		}
		if letter.Stop, err = e.stopLink(ctx, about, now); err != nil {
			return err
		}
		if err := e.queue(ctx, u, to, template, letter); err != nil {
			return err
		}
		if to.Kind == idp.IdentifierPhone {
			texts++
		}
	}
	if held {
		if err := e.holdBack(ctx, u, template, letter); err != nil {
			return err
		}
	}
	if texts == 0 {
		return nil
	}
	return e.Store.CountHour(ctx, "sms", texts, now)
}

// holdBack keeps that a person was not told of something by mail, for the next digest.
func (e *Engine) holdBack(ctx context.Context, u idp.User, template string, letter templates.Letter) error {
	return e.Store.Append(ctx, idp.Event{Name: "notice.held", Actor: "system", Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID, Policy: e.Policy.Now().Version,
		Data: map[string]any{"template": template, "factor": letter.Factor}})
}

// reaches says whether messages go to a phone or address: text messages to the countries
// of the allow list only.
func (e *Engine) reaches(to idp.Identifier) bool {
	return to.Kind != idp.IdentifierPhone || e.Policy.Now().Sends.Reaches(to.Value)
}

// untold says whether a channel has not been told the same of the same thing just now.
func (e *Engine) untold(ctx context.Context, to idp.Identifier, template string, letter templates.Letter, now time.Time) (bool, error) {
	once := policy.Bucket{Burst: 1, Refill: e.Policy.Now().Notices.Same}
	ok, _, err := e.Store.TakeBucket(ctx, "notice."+template, []byte(to.ID+"/"+letter.Object), once.Burst, once.Refill, now)
	return ok, err
}

// told says whether a channel has been told the same of the same thing just now, and keeps
// nothing.
func (e *Engine) told(ctx context.Context, to idp.Identifier, template string, letter templates.Letter, now time.Time) (bool, error) {
	return e.Store.BucketEmpty(ctx, "notice."+template, []byte(to.ID+"/"+letter.Object), 1, e.Policy.Now().Notices.Same, now)
}

// urgent are the notices whose person can still stop what they tell of: no other notices
// crowd their text messages out.
var urgent = map[string]bool{"recovery.started": true, "recovery.moved": true, "recovery.due": true, "recovery.completed": true, "recovery.case": true, "recovery.other": true, "recovery.other_due": true, "recovery.other_case": true, "recovery.other_done": true, "frozen": true}

// mayText bounds the notices by text message to one number, the urgent ones by themselves:
// somebody who does the same to his own account again and again must not use up what all can
// be sent. Mail and activity go on.
func (e *Engine) mayText(ctx context.Context, to idp.Identifier, template string, now time.Time) (bool, error) {
	b, kind := e.Policy.Now().Sends.PhoneNotices, "notice.sms"
	if urgent[template] {
		kind = "notice.sms.urgent"
	}
	ok, _, err := e.Store.TakeBucket(ctx, kind, e.Store.Lookup(to.Kind, to.Value), b.Burst, b.Refill, now)
	return ok, err
}

// Notice tells a person of what staff have done to his account. Where they work is not
// his to know.
func (e *Engine) Notice(ctx context.Context, u idp.User, template string) error {
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	return e.notify(ctx, u, template, templates.Letter{Name: u.Name, Login: loginOf(names), At: time.Now()})
}

// tellAdministrators tells those who answer for the operator's own staff.
func (e *Engine) tellAdministrators(ctx context.Context, template string) error {
	admins, err := e.Store.Users(ctx, storage.Administrators, 1000)
	for _, u := range admins {
		if err := e.Notice(ctx, u, template); err != nil {
			return err
		}
	}
	return err
}

// Announce tells a person of what he and another have to do with, or of what happens at a
// time.
func (e *Engine) Announce(ctx context.Context, u idp.User, n idp.Announcement) error {
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	return e.notify(ctx, u, n.Template, templates.Letter{Name: u.Name, Login: loginOf(names), At: time.Now(), Object: n.Object, Giver: n.Giver, Taker: n.Taker, Until: n.Until})
}

// Copied tells a person that somebody came with a copied mark of a browser of his.
func (e *Engine) Copied(ctx context.Context, user string) error {
	u, err := e.Store.User(ctx, user)
	if err != nil {
		return err
	}
	names, err := e.Store.Identifiers(ctx, user)
	if err != nil {
		return err
	}
	return e.notify(ctx, u, "copied", templates.Letter{Name: u.Name, Login: loginOf(names), At: time.Now(), Place: e.where(web.Network(ctx), u.Language)})
}

// unseen tells the owner of a sign-in that makes no browser known, as in his days of
// grace, if it comes from where nobody has signed in as him lately.
func (e *Engine) unseen(ctx context.Context, s *State, now time.Time) error {
	if s.browser != nil {
		return nil
	}
	greeted, err := e.Store.GreetedBy(ctx, s.network(ctx), s.user.ID, now.Add(-greetedFor))
	if err != nil || greeted {
		return err
	}
	if err := e.event(ctx, s, idp.Event{Name: "signin.newbrowser"}); err != nil {
		return err
	}
	return e.tell(ctx, s, "newbrowser", templatesLetter(s, now))
}

// lately says whether a phone or address was removed so short ago that it is still told.
func (e *Engine) lately(n idp.Identifier, now time.Time) bool {
	return n.Kind != idp.IdentifierUsername && !n.RemovedAt.IsZero() && !n.VerifiedAt.IsZero() && now.Sub(n.RemovedAt) < e.Policy.Now().Notices.Removed
}

// stopLink makes the link that stops and freezes: it can do nothing else, so it may be
// followed again, and by whoever holds the message.
func (e *Engine) stopLink(ctx context.Context, u idp.User, now time.Time) (string, error) {
	return e.link(ctx, idp.Link{Kind: idp.LinkFreeze, UserID: u.ID, CreatedAt: now, ExpiresAt: now.Add(e.Policy.Now().Links.Freeze)}, "/stop")
}

// link stores a link and returns its address, built from the configured issuer.
func (e *Engine) link(ctx context.Context, l idp.Link, path string) (string, error) {
	token := idp.NewToken()
	return e.Site.Issuer + path + "?t=" + token, e.Store.CreateLink(ctx, session.Hash(token), l)
}

// queue writes one message to one channel, in the person's language.
func (e *Engine) queue(ctx context.Context, u idp.User, to idp.Identifier, template string, letter templates.Letter) error {
	letter.Operator = e.Site.Operator
	m := idp.Message{UserID: u.ID, Channel: idp.ChannelSMS, To: to.Value, Template: template, Language: u.Language, Params: letter.Params()}
	var err error
	if to.Kind == idp.IdentifierEmail {
		m.Channel = idp.ChannelMail
		m.Subject, m.Body, m.HTML, err = templates.Message(u.Language, template, letter)
	} else {
		m.Body, err = templates.SMS(u.Language, template, letter)
	}
	if err != nil {
		return err
	}
	return e.Store.Queue(ctx, &m)
}
