package flows

import (
	"context"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/templates"
)

// What the support desk says and sends; what it does is idp/manage's.

// mailOnly are notices that are worth no text message.
var mailOnly = map[string]bool{"account.viewed": true, "merchant.viewed": true}

// CaseNotice tells a person of what happens in a case about him. detail is where a link
// went, masked, which answer it is, or what became of a case of which others hear. Who of the staff it was is not his to know.
func (e *Engine) CaseNotice(ctx context.Context, u idp.User, template string, c idp.Case, detail string) error {
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	letter := templates.Letter{Name: u.Name, Login: loginOf(names), At: time.Now(), CaseNumber: c.Number, Object: c.ID + detail}
	switch template {
	case "case.answer":
		letter.Answer = "desk.answer." + detail
	case "case.approved":
		letter.New = detail
	case "case.recovery", "case.handover":
		letter.Until = c.DueAt
	}
	return e.notify(ctx, u, template, letter)
}

// CaseLink makes the link with which a person begins the recovery that his case approved,
// and sends it to where the case says, or to nobody. One works, once: the newest. It goes to
// an address that nobody has proved, so it says nothing of the account.
func (e *Engine) CaseLink(ctx context.Context, u idp.User, c idp.Case, to idp.Identifier) (string, error) {
	now := time.Now()
	if err := e.Store.VoidLinks(ctx, u.ID, idp.LinkCase); err != nil {
		return "", err
	}
	until := now.Add(e.Policy.Now().Returns.Link)
	link, err := e.link(ctx, idp.Link{Kind: idp.LinkCase, UserID: u.ID, Object: c.ID, CreatedAt: now, ExpiresAt: until}, "/recover/case")
	if err != nil || to.Value == "" {
		return link, err
	}
	if to.Kind == idp.IdentifierPhone {
		if err := e.Store.CountHour(ctx, "sms", 1, now); err != nil {
			return "", err
		}
	}
	return link, e.queue(ctx, u, to, "case.link", templates.Letter{CaseNumber: c.Number, Link: link, Until: until})
}

// callPage shows a person what he reads to support on the telephone, and what support must
// answer.
func (e *Engine) callPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	call, err := e.Store.CallerDigits(r.Context(), me.User.ID, time.Now())
	if err != nil {
		return err
	}
	p := templates.AccountCall{}
	if call != nil {
		p.Caller, p.Agent, p.Until = call.Caller, call.Half, call.Until
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}
