package oidc

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"hufu/idp"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// What a terminal asks beside signing in: the notices that its screen or next slip shows,
// and what the people at it answer (docs/terminals.md).

// shownNotice is a notice in the words of the shop.
type shownNotice struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
	Code    string    `json:"code,omitempty"`    // that is typed to stop it where nothing can be touched
	Choices []int     `json:"choices,omitempty"` // digits to pick from
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`
	Seen    bool      `json:"seen"`
}

// terminalNotices lists what the terminal is to show now.
func (p *Provider) terminalNotices(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodGet); err != nil {
		return err
	}
	t, err := p.terminalAsking(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	now := time.Now()
	list, err := p.Store.TerminalNotices(ctx, t, now)
	if err != nil {
		return err
	}
	calls, err := p.Store.ShopCalls(ctx, t, now)
	if err != nil {
		return err
	}
	shown := []shownNotice{}
	if len(list)+len(calls) > 0 {
		lang, err := p.shopLanguage(ctx, t.MerchantID)
		if err != nil {
			return err
		}
		for _, n := range list {
			shown = append(shown, p.inWords(n, lang))
		}
		talks, err := p.callsInWords(ctx, calls, lang)
		if err != nil {
			return err
		}
		shown = append(shown, talks...)
	}
	writeJSON(w, http.StatusOK, shown)
	return nil
}

// callsInWords are the calls with support that go on at a terminal. A call is no row among the
// notices: it is shown for as long as it lasts, under another name once the agent's half is there.
func (p *Provider) callsInWords(ctx context.Context, calls []idp.Call, lang string) (shown []shownNotice, err error) {
	var ids []string
	for _, c := range calls {
		ids = append(ids, c.UserID)
	}
	people, err := p.Store.UsersOf(ctx, ids)
	for _, c := range calls {
		text := templates.T(lang, "terminal-notice.call", people[c.UserID].Name, c.Caller)
		if c.Half != "" {
			text = templates.T(lang, "terminal-notice.call_check", people[c.UserID].Name, c.Half)
		}
		shown = append(shown, shownNotice{ID: callNotice(c), Kind: string(idp.NoticeCall), Text: text, At: c.StartedAt.UTC(), Until: c.Until.UTC()})
	}
	return shown, err
}

func callNotice(c idp.Call) string { return c.ID + "." + string(c.State) }

func (p *Provider) inWords(n idp.TerminalNotice, lang string) shownNotice {
	f := templates.Frame{Lang: lang, Zone: p.Site.Zone, Now: time.Now()}
	text := f.T("terminal-notice."+string(n.Kind), n.Params.Name)
	switch due := n.Params.Due; {
	case n.Kind == idp.NoticeStop && n.Params.Done:
		text = f.T("terminal-notice.stop_done", n.Params.Name)
	case n.Kind == idp.NoticeStop && !due.IsZero() && !f.Now.Before(due):
		text = f.T("terminal-notice.stop_now", n.Params.Name)
	case n.Kind == idp.NoticeStop && !due.IsZero():
		text = f.T("terminal-notice.stop_due", n.Params.Name, f.Moment(due))
	case n.Kind == idp.NoticeCode:
		text = f.T("terminal-notice.code", n.Params.Name, n.Params.Code, f.Clock(n.Until))
		n.Params.Code = "" // it names the notice of a stop alone
	}
	return shownNotice{ID: n.ID, Kind: string(n.Kind), Text: text, Code: n.Params.Code, Choices: n.Params.Choices, At: n.CreatedAt.UTC(), Until: n.Until.UTC(), Seen: !n.SeenAt.IsZero()}
}

// shopLanguage is that of a merchant: its owner's.
func (p *Provider) shopLanguage(ctx context.Context, merchant string) (string, error) {
	owners, err := p.Store.Users(ctx, storage.UserFilter{Merchant: merchant, Status: string(idp.UserActive), Roles: []idp.Role{idp.RoleOwner}}, 1)
	if err != nil || len(owners) == 0 {
		return templates.Languages()[0].Tag, err
	}
	return owners[0].Language, nil
}

// answerNotice takes what the people at a terminal did with a notice.
func (p *Provider) answerNotice(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodPost); err != nil {
		return err
	}
	t, err := p.terminalAsking(w, r)
	if err != nil {
		return err
	}
	do, digits, err := readAnswer(w, r)
	if err != nil {
		return err
	}
	result, err := p.answered(r.Context(), r.PathValue("id"), t, do, digits)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		err = &refusal{Code: "invalid_request", Description: "there is no such notice, or it was answered", Status: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"result": result})
	return nil
}

// answered does what was chosen: one answer a notice. What it stops is stopped in the same
// transaction.
func (p *Provider) answered(ctx context.Context, id string, t idp.Terminal, do string, digits int) (result string, err error) {
	now := time.Now()
	if do == "seen" {
		return "seen", p.seen(ctx, id, t, now)
	}
	answer := map[string]idp.NoticeAnswer{"stop": idp.NoticeStopped, "confirm": idp.NoticeConfirmed}[do]
	err = p.Store.Tx(ctx, func(ctx context.Context) error {
		n, err := p.Store.AnswerTerminalNotice(ctx, id, t, answer, digits, now)
		if err != nil {
			return err
		}
		if result = string(n.Answer); n.Answer == idp.NoticeStopped {
			stopped, err := p.Stop(ctx, n, t)
			if err != nil {
				return err
			}
			if !stopped {
				result = "refused"
			}
		}
		return p.Store.Append(ctx, idp.Event{Name: "terminal.answered", Subject: n.UserID, Merchant: t.MerchantID, Store: t.StoreID, Terminal: t.ID, Network: web.Network(ctx),
			Policy: p.Policy.Now().Version, Data: map[string]any{"notice": n.ID, "kind": string(n.Kind), "answer": result}})
	})
	return result, err
}

// seen notes that a notice was shown. Of a call nothing is kept: its notice has another name
// as soon as it has other words.
func (p *Provider) seen(ctx context.Context, id string, t idp.Terminal, now time.Time) error {
	live, err := p.Store.SeeTerminalNotice(ctx, id, t, now)
	if err != nil || live {
		return err
	}
	calls, err := p.Store.ShopCalls(ctx, t, now)
	if err == nil && !slices.ContainsFunc(calls, func(c idp.Call) bool { return callNotice(c) == id }) {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	return err
}

// readAnswer reads {"do":"confirm","digits":"47"}.
func readAnswer(w http.ResponseWriter, r *http.Request) (do string, digits int, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", 0, &refusal{Code: "invalid_request", Description: "the body must be application/json", Status: http.StatusUnsupportedMediaType}
	}
	var body struct{ Do, Digits string }
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return "", 0, refuse("invalid_request", "the body is not an answer to a notice").orTooLarge(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return "", 0, refuse("invalid_request", "the body is not one answer to a notice")
	}
	switch body.Do {
	case "seen", "stop":
		return body.Do, 0, nil
	case "confirm":
		n, err := strconv.Atoi(body.Digits)
		if err != nil || len(body.Digits) != 2 || n < 10 {
			return "", 0, refuse("invalid_request", "digits are not two digits")
		}
		return body.Do, n, nil
	}
	return "", 0, refuse("invalid_request", "do is none of seen, stop, confirm")
}

// terminalAsking is the terminal that a request comes from: one at work, with a token for
// us that is bound to its key. That it speaks is noted.
func (p *Provider) terminalAsking(w http.ResponseWriter, r *http.Request) (idp.Terminal, error) {
	live, err := p.presented(r)
	switch {
	case err != nil:
	case live == nil, live.parties.Terminal == nil, live.claims.Confirmation.Key == "", !live.claims.meant(p.Issuer):
		err = refuse("invalid_token", "the access token is not one of a terminal that is at work")
	case !live.has("terminal"):
		err = refuse("insufficient_scope", "the access token was not granted terminal")
	}
	if err != nil {
		challenge(w, r, err, "terminal")
		return idp.Terminal{}, err
	}
	t := *live.parties.Terminal
	return t, p.Store.SeeTerminal(r.Context(), t, time.Now())
}
