package flows

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// What other people have decided begins a recovery too: two of the operator's staff by the
// link of a case, an owner or manager by a code that he tells in the shop.

// casePage asks whoever follows the link of a case whether to begin: scanners of mail follow
// links, too. It says nothing of the account.
func (e *Engine) casePage(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("t")
	if _, err := e.Store.Link(r.Context(), session.Hash(token), idp.LinkCase, time.Now()); err != nil {
		return e.linkGone(w, r, idp.LinkCase, err)
	}
	return e.Site.Write(w, r, http.StatusOK, templates.RecoverLink{Action: "/recover/case", Token: token})
}

// caseBegin uses the link up and opens the flow of the recovery that the case approved.
func (e *Engine) caseBegin(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	now := time.Now()
	l, err := e.Store.UseLink(r.Context(), session.Hash(r.PostForm.Get("token")), idp.LinkCase, now)
	if err != nil {
		return e.linkGone(w, r, idp.LinkCase, err)
	}
	c, err := e.Store.Case(r.Context(), l.Object)
	if err != nil {
		return err
	}
	if !c.Approved() || c.UserID != l.UserID {
		return e.linkGone(w, r, idp.LinkCase, errGone)
	}
	lost := c.Lost()
	if lost != idp.LostPassword && lost != idp.LostSecond {
		lost = idp.LostBoth
	}
	facts, err := json.Marshal(Facts{Recover: &recovering{Lost: lost, Extra: []idp.Shown{{By: idp.ByCase, ID: c.ID, At: now}}}})
	if err != nil {
		return err
	}
	path, err := e.Sessions.OpenFlowFor(w, r, idp.Demand{Kind: idp.FlowRecover, Object: string(lost), Return: "/recover"}, l.UserID, facts)
	if err != nil {
		return err
	}
	return web.Redirect(w, r, path)
}

// showShop asks for the code that was told in the shop.
func (s *State) showShop() templates.Content {
	rules := s.engine.Policy.Now().Returns
	return templates.RecoverShop{Form: s.Form, Action: s.path(stepProof), Digits: rules.Digits, Life: rules.Enrol,
		Ways: []templates.Way{templates.FactorWay(s.engine.Site.Lang(s.request), "other", s.path(stepProof, "way"))}}
}

// shopCode reads it.
func (e *Engine) shopCode(form url.Values) (string, error) {
	n := e.Policy.Now().Returns.Digits
	code, ok := normal.Digits(form.Get("code"), n)
	if !ok {
		return "", idp.FieldError("code", "recover-shop.malformed", n)
	}
	return code, nil
}

// ShowShopCode has the terminals of a person's store show the code that lets him in again;
// false when none is there.
func (e *Engine) ShowShopCode(ctx context.Context, u idp.User, code idp.Secret, until time.Time) (bool, error) {
	near, err := e.Store.TerminalsBy(ctx, storage.TerminalFilter{Merchant: u.MerchantID, Store: u.StoreID, State: idp.TerminalActive}, shopTerminals)
	if err != nil {
		return false, err
	}
	for _, t := range near {
		n := idp.TerminalNotice{MerchantID: u.MerchantID, TerminalID: t.ID, UserID: u.ID, Kind: idp.NoticeCode, Params: idp.NoticeParams{Name: u.Name, Code: code.Reveal()}, CreatedAt: time.Now(), Until: until}
		if err := e.Store.QueueTerminalNotice(ctx, &n, 0); err != nil {
			return false, err
		}
	}
	return len(near) > 0, nil
}

const shopTerminals = 20 // of a store, that show a code

// shopAnswered takes the code: paid for like any guess, used once.
func (s *State) shopAnswered(ctx context.Context, form url.Values) error {
	e, now := s.engine, time.Now()
	code, err := e.shopCode(form)
	if err != nil {
		return err
	}
	mac := e.Store.ShopCodeMAC(s.User, code)
	right, err := e.Store.HasShopCode(ctx, s.User, mac, now)
	if err != nil {
		return err
	}
	if err := e.guess(ctx, s, methodShop, factor.Answer{Right: right, Reason: "code.wrong"}); err != nil {
		return err // whoever may not guess now has not used it up
	}
	giver, err := e.Store.UseShopCode(ctx, s.User, mac, now)
	if err != nil || giver == "" {
		return cmp.Or(err, errFaster)
	}
	s.found().Extra = append(s.found().Extra, idp.Shown{By: idp.ByShop, ID: giver, At: now})
	s.Facts.Way, s.Facts.Begun, s.token = "", "", idp.NewToken()
	delete(s.Facts.Scratch, stepProof)
	return e.event(ctx, s, idp.Event{Name: "recovery.proof", Data: map[string]any{"by": string(idp.ByShop)}})
}

// methodShop is the code that an owner or manager tells his staff in the shop.
const methodShop idp.Method = "shop"
