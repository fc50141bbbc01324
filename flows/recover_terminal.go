package flows

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// A terminal of the shop speaks for whoever is known there: it asks the people who stand at
// it to pick the digits that the recovering browser shows (RFC 8628 5.4 has the same
// thought). It is one proof and never enough alone.

// askedTerminal is the scratch of the step: the notice, and the digits of the browser.
type askedTerminal struct {
	Notice string    `json:"notice,omitempty"` // "": there is nobody to ask for, and nothing may tell
	Match  int       `json:"match"`
	Until  time.Time `json:"until"`
}

// askTerminal has the terminals of the person's merchant ask, in place of what this flow
// asked before. Where there is no such person the same is written and taken back.
func (s *State) askTerminal(ctx context.Context) error {
	if err := s.person(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	e, now := s.engine, time.Now()
	room, err := s.mayAsk(ctx, now)
	if err != nil {
		return err
	}
	if err := e.Store.VoidTerminalNotice(ctx, s.found().Asked, now); err != nil {
		return err
	}
	some, err := e.Store.Merchants(ctx, "", "", "", 1) // whose notice is taken back where there is nobody to ask for
	if err != nil {
		return err
	}
	match, choices := idp.NewChoices()
	n := idp.TerminalNotice{UserID: nobody, Kind: idp.NoticeConfirm, Params: idp.NoticeParams{Choices: choices}, CreatedAt: now, Until: now.Add(e.Policy.Now().Returns.Confirm)}
	asks := s.user != nil && s.user.MerchantID != "" && s.user.Reason(time.Now()) == "" && !s.user.Frozen && room && !s.muted
	if asks {
		n.MerchantID, n.UserID, n.Params.Name = s.user.MerchantID, s.user.ID, s.user.Name
	} else if len(some) > 0 {
		n.MerchantID = some[0].ID
	}
	err = e.Store.Try(ctx, func(ctx context.Context) error {
		if n.MerchantID == "" { // there is no shop at all
			return nil
		}
		if err := e.Store.QueueTerminalNotice(ctx, &n, match); err != nil || asks {
			return err
		}
		return storage.Undo()
	})
	if err != nil {
		return err
	}
	asked := askedTerminal{Match: match, Until: n.Until}
	if asks {
		asked.Notice = n.ID
	}
	s.found().Asked = asked.Notice
	scratch, err := json.Marshal(asked)
	s.keep(stepProof, scratch)
	return err
}

// mayAsk charges a question at the terminals to the account and to its shop: strangers must
// not fill the slips of a shop, nor crowd out what else its terminals say. Who has shown
// something has an allowance of his own, that they cannot use up. Over it the page is the
// same, and no terminal asks.
func (s *State) mayAsk(ctx context.Context, now time.Time) (bool, error) {
	r, shop, kind := s.engine.Policy.Now().Returns, s.account(), "recover.ask"
	if s.user != nil && s.user.MerchantID != "" {
		shop = []byte(s.user.MerchantID)
	}
	if s.proven() {
		kind = "recover.ask.c"
	}
	ok, _, err := s.engine.Store.TakeBucket(ctx, kind, s.account(), r.Ask.Burst, r.Ask.Refill, now)
	if err != nil || !ok {
		return false, err
	}
	ok, _, err = s.engine.Store.TakeBucket(ctx, kind+".shop", shop, r.AskShop.Burst, r.AskShop.Refill, now)
	return ok, err
}

// methodTerminal is the answer of the people at a terminal.
const methodTerminal idp.Method = "terminal"

func (s *State) showTerminal(context.Context) (templates.Content, error) {
	var asked askedTerminal
	if err := json.Unmarshal(s.Facts.Scratch[stepProof], &asked); err != nil {
		return nil, err
	}
	return templates.RecoverTerminal{Form: s.Form, Action: s.path(stepProof), Resend: s.path(stepProof, "resend"), Digits: asked.Match, Until: asked.Until,
		Ways: []templates.Way{templates.FactorWay(s.engine.Site.Lang(s.request), "other", s.path(stepProof, "way"))}}, nil
}

// terminalAnswered looks at what the people at the terminal did.
func (s *State) terminalAnswered(ctx context.Context) error {
	var asked askedTerminal
	if err := json.Unmarshal(s.Facts.Scratch[stepProof], &asked); err != nil {
		return err
	}
	waiting := error(&idp.Error{Kind: idp.Rejected, Msg: "recover-terminal.waiting", Reason: "proof.weak"})
	if !time.Now().Before(asked.Until) {
		late := &idp.Error{Kind: idp.Rejected, Msg: "recover-terminal.late", Reason: "dev.late"}
		if waiting = s.engine.void(ctx, s, methodTerminal, late); idp.KindOf(waiting) != idp.Rejected {
			return waiting
		}
	}
	n, err := s.engine.Store.TerminalNotice(ctx, cmp.Or(asked.Notice, nobody)) // where nobody was asked, too: time must not tell
	switch {
	case asked.Notice == "" && idp.KindOf(err) == idp.NotFound:
		return waiting
	case err != nil:
		return err
	case n.Answer == idp.NoticeStopped:
		return s.engine.void(ctx, s, methodTerminal, &idp.Error{Kind: idp.Rejected, Msg: "recover-terminal.refused", Reason: "dev.digits"})
	case n.Answer == idp.NoticeWrong:
		return s.engine.void(ctx, s, methodTerminal, &idp.Error{Kind: idp.Rejected, Msg: "recover-terminal.wrong", Reason: "dev.digits"})
	case n.Answer != idp.NoticeConfirmed || n.UserID != s.User:
		return waiting
	}
	s.found().Extra = append(s.found().Extra, idp.Shown{By: idp.ByTerminal, ID: n.AnsweredBy, At: n.AnsweredAt})
	s.Facts.Way, s.Facts.Begun, s.token = "", "", idp.NewToken()
	delete(s.Facts.Scratch, stepProof)
	if err := s.person(ctx); err != nil {
		return err
	}
	return s.engine.event(ctx, s, idp.Event{Name: "recovery.proof", Terminal: n.AnsweredBy, Data: map[string]any{"by": string(idp.ByTerminal)}})
}

// terminalVoid is why a terminal that confirmed proves nothing now, "" when it does: it must
// have worked in the person's shop for a while, with the same key, and still do.
func (s *State) terminalVoid(ctx context.Context, id string, r policy.Recovery, now time.Time) (string, error) {
	t, err := s.engine.Store.Terminal(ctx, id)
	if err != nil {
		return "", err
	}
	switch {
	case t.State != idp.TerminalActive, t.MerchantID != s.user.MerchantID, s.user.StoreID != "" && t.StoreID != s.user.StoreID,
		now.Sub(t.ActivatedAt) < r.Settled, now.Sub(t.KeyAt) < r.Settled, now.Sub(t.LastSeenAt) > r.Seen:
		return "terminal", nil
	}
	return "", nil
}

// tellTerminals has the shop's terminals say that a recovery waits, and stop it at a tap, or
// that it is done, and freeze. What they said of him before is said no more, so a slip says it
// again.
func (e *Engine) tellTerminals(ctx context.Context, u idp.User, due, until time.Time, done bool) error {
	if u.MerchantID == "" {
		return nil
	}
	now := time.Now()
	if err := e.Store.VoidTerminalNotices(ctx, u.ID, now, idp.NoticeStop); err != nil {
		return err
	}
	n := idp.TerminalNotice{MerchantID: u.MerchantID, UserID: u.ID, Kind: idp.NoticeStop, Params: idp.NoticeParams{Name: u.Name, Due: due, Done: done, Code: idp.NewStopCode()}, CreatedAt: now, Until: until}
	return e.Store.QueueTerminalNotice(ctx, &n, 0)
}
