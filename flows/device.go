package flows

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// asking is a device authorization request as the person who may approve it sees it.
type asking struct {
	idp.DeviceRequest
	code     string
	terminal *idp.Terminal // nil: a device that named no terminal
}

// devicePage shows who asks to be signed in (RFC 8628 3.3), or asks for the code.
// Coming by QR code one lands on the request at once.
func (e *Engine) devicePage(w http.ResponseWriter, r *http.Request) error {
	typed := r.URL.Query().Get("user_code")
	signed, err := e.approver(w, r, typed)
	if signed == nil {
		return err
	}
	// A page of another site could send the browser here to use its owner's tries up:
	// then the code is only filled in, and looking it up waits for the button.
	if typed == "" || r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return e.Site.Write(w, r, http.StatusOK, templates.DeviceCode{Action: "/device", UserCode: shortened(typed)})
	}
	ask, err := e.findDevice(r.Context(), signed, typed)
	if err != nil {
		return e.deviceRefused(w, r, typed, err)
	}
	if d := e.approvalDemand(signed, ask); !d.Met(signed.Session.Proofs) {
		return e.Site.Require(w, r, d)
	}
	return e.drawApproval(w, r, signed, ask, http.StatusOK, templates.Form{})
}

// mayLetIn: a frozen person lets nothing in. What comes to the shop anew, or comes back, waits
// while a recovery of the approver keeps everything back; what takes payments there goes on.
func (e *Engine) mayLetIn(u idp.User, ask asking) error {
	switch {
	case u.Frozen:
		return &idp.Error{Kind: idp.Forbidden, Msg: "device.frozen", Reason: "frozen"}
	case !e.unusual(ask):
		return nil
	}
	return u.Adding(time.Now())
}

// approver returns who is signed in; nobody is led to sign in first.
func (e *Engine) approver(w http.ResponseWriter, r *http.Request, typed string) (*session.Signed, error) {
	signed, err := e.Sessions.Signed(r)
	if err == nil && signed == nil {
		err = e.Site.Require(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: devicePath(typed)})
	}
	return signed, err
}

// shortened is what was typed as far as it can be a code.
func shortened(typed string) string {
	if len(typed) > 40 {
		return ""
	}
	return typed
}

func devicePath(code string) string {
	if code == "" {
		return "/device"
	}
	return "/device?user_code=" + url.QueryEscape(code)
}

// deviceDecide approves or refuses. The request is found by its code again: what is
// posted is only what was picked.
func (e *Engine) deviceDecide(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	typed := r.PostForm.Get("user_code")
	signed, err := e.approver(w, r, typed)
	if signed == nil {
		return err
	}
	if r.PostForm.Get("do") == "" { // from the page that asks for the code
		if _, ok := normal.UserCode(typed); !ok {
			return e.deviceRefused(w, r, typed, idp.FieldError("user_code", "device-code.malformed"))
		}
		return web.Redirect(w, r, devicePath(typed))
	}
	ask, err := e.findDevice(r.Context(), signed, typed)
	if err != nil {
		return e.deviceRefused(w, r, typed, err)
	}
	if d := e.approvalDemand(signed, ask); !d.Met(signed.Session.Proofs) {
		return e.Site.Require(w, r, d)
	}
	return e.decide(w, r, signed, ask)
}

func (e *Engine) decide(w http.ResponseWriter, r *http.Request, signed *session.Signed, ask asking) error {
	outcome, err := "denied", error(nil)
	if r.PostForm.Get("do") == "approve" {
		if r.PostForm.Get("match") == "" {
			form := templates.Form{Errors: []templates.FieldError{{Field: "match", Key: "device-approve.pick"}}}
			return e.drawApproval(w, r, signed, ask, http.StatusUnprocessableEntity, form)
		}
		outcome = "wrong" // one wrong pick ends the request
		if n, perr := strconv.Atoi(r.PostForm.Get("match")); perr == nil && n == ask.Match {
			outcome = "approved"
		}
	}
	if outcome == "approved" {
		err = e.approve(r.Context(), signed, ask)
	} else {
		err = e.deny(r.Context(), signed, ask, outcome)
	}
	switch {
	case idp.KindOf(err) == idp.Conflict && err != nil:
		outcome = "gone"
	case err != nil:
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.DeviceDone{Outcome: outcome, Terminal: ask.name()})
}

func (a asking) name() string {
	if a.terminal == nil {
		return ""
	}
	return a.terminal.Model + " · " + a.terminal.SerialTail()
}

// rekeyed: the terminal had another key, so this is new software or another device.
func (a asking) rekeyed() bool {
	return a.terminal != nil && a.terminal.Key != "" && a.terminal.Key != a.Key
}

var errDecided = idp.Errorf(idp.Conflict, "device-done.gone")

// approve turns the request into a grant of the approver's, with the scopes that
// were frozen when the device asked, as far as he may give them.
func (e *Engine) approve(ctx context.Context, signed *session.Signed, ask asking) error {
	now := time.Now()
	a := idp.Assess(signed.Session.Proofs)
	g := idp.Grant{ID: idp.NewID(), UserID: signed.User.ID, ClientID: ask.ClientID, TerminalID: ask.TerminalID, Key: ask.Key, Scopes: ask.Scopes, Proofs: signed.Session.Proofs,
		AuthTime: a.AuthTime, CreatedAt: now, ExpiresAt: ask.ExpiresAt.Add(e.Policy.Now().Tokens.Code)} // its long life begins when the device redeems it
	return e.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := e.Store.HoldUser(ctx, signed.User.ID) // whatever ends all of his grants ends this one, too
		if err != nil {
			return err
		}
		if err := e.mayLetIn(u, ask); err != nil {
			return err
		}
		live, err := e.Store.HoldSession(ctx, signed.Session.ID)
		if err != nil {
			return err
		}
		if !live {
			return errExpired
		}
		ok, err := e.Store.DecideDeviceRequest(ctx, ask.ID, idp.DeviceApproved, g.ID, now)
		if err != nil {
			return err
		}
		if !ok {
			return errDecided
		}
		if ask.terminal != nil {
			if err := e.bindKey(ctx, signed, ask, now); err != nil {
				return err
			}
		}
		if err := e.Store.CreateGrant(ctx, &g); err != nil {
			return err
		}
		if ask.terminal != nil {
			activated, err := e.Store.ActivateTerminal(ctx, ask.terminal.ID, now)
			if err != nil {
				return err
			}
			if activated {
				if err := e.deviceEvent(ctx, signed, ask, "terminal.activated"); err != nil {
					return err
				}
			}
		}
		return e.deviceEvent(ctx, signed, ask, "device.approved")
	})
}

// bindKey gives a terminal the key that it came with, if it had none or another one. What
// was granted under the former ends, and the owners are told of a change.
func (e *Engine) bindKey(ctx context.Context, signed *session.Signed, ask asking, now time.Time) error {
	t := ask.terminal
	switch ask.Key {
	case t.Key:
		return nil
	case "": // it has got a key since: it proves it, or starts again
		return errDecided
	}
	bound, err := e.Store.BindTerminalKey(ctx, t.ID, t.Key, ask.Key, now)
	switch {
	case err != nil && idp.KindOf(err) == idp.Conflict:
		return &idp.Error{Kind: idp.Forbidden, Msg: "device.key_taken", Reason: "terminal.key", Err: err}
	case err != nil:
		return err
	case !bound: // somebody approved it with another key just now
		return errDecided
	}
	name := "terminal.keyed"
	if ask.rekeyed() {
		name = "terminal.rekeyed"
	}
	by := e.deviceEventOf(ctx, signed, ask, name)
	by.Data["key"] = ask.Key
	if err := e.Store.Append(ctx, by); err != nil {
		return err
	}
	ended, err := e.Store.EndTerminalGrants(ctx, t.ID, name, now)
	if err != nil {
		return err
	}
	for _, id := range ended {
		if err := e.Store.Revoked(ctx, id, name, e.deviceEventOf(ctx, signed, ask, name)); err != nil {
			return err
		}
	}
	if !ask.rekeyed() {
		return nil
	}
	owners, err := e.Store.Users(ctx, storage.UserFilter{Merchant: t.MerchantID, Status: string(idp.UserActive), Roles: []idp.Role{idp.RoleOwner}}, mostOwners)
	if err != nil {
		return err
	}
	for _, u := range owners {
		if err := e.Notice(ctx, u, "terminal.rekeyed"); err != nil {
			return err
		}
	}
	return nil
}

const mostOwners = 50 // of a merchant, who are told

func (e *Engine) deny(ctx context.Context, signed *session.Signed, ask asking, outcome string) error {
	name := "device.denied"
	if outcome == "wrong" {
		name = "device.wrong_digits"
	}
	return e.Store.Tx(ctx, func(ctx context.Context) error {
		ok, err := e.Store.DecideDeviceRequest(ctx, ask.ID, idp.DeviceDenied, "", time.Now())
		if err != nil {
			return err
		}
		if !ok {
			return errDecided
		}
		return e.deviceEvent(ctx, signed, ask, name)
	})
}

func (e *Engine) deviceEvent(ctx context.Context, signed *session.Signed, ask asking, name string) error {
	return e.Store.Append(ctx, e.deviceEventOf(ctx, signed, ask, name))
}

func (e *Engine) deviceEventOf(ctx context.Context, signed *session.Signed, ask asking, name string) idp.Event {
	ev := idp.Event{Name: name, Actor: signed.User.ID, Subject: signed.User.ID, Merchant: signed.User.MerchantID, Terminal: ask.TerminalID, Client: ask.ClientID,
		Session: signed.Session.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version, Data: map[string]any{"request": ask.ID}}
	if ask.terminal != nil {
		ev.Store = ask.terminal.StoreID
	}
	return ev
}

// findDevice finds a pending request by the code of its device. Requests of other
// merchants do not exist for the asker, and every miss is paid for by his account
// and his network before he learns of it.
func (e *Engine) findDevice(ctx context.Context, signed *session.Signed, typed string) (ask asking, err error) {
	if signed.Merchant == nil {
		return ask, idp.Errorf(idp.Forbidden, "device.staff_only")
	}
	if signed.Merchant.Status != idp.MerchantActive {
		return ask, &idp.Error{Kind: idp.Forbidden, Msg: "device.merchant", Reason: "merchant.suspended"}
	}
	code, ok := normal.UserCode(typed)
	if !ok {
		return ask, idp.FieldError("user_code", "device-code.malformed")
	}
	var refusal error
	err = e.Store.Tx(ctx, func(ctx context.Context) error {
		ask, refusal, err = e.lookUpDevice(ctx, signed, code)
		return err
	})
	if err != nil {
		return ask, err
	}
	if refusal != nil {
		return ask, refusal
	}
	return ask, e.mayApprove(signed, ask)
}

func (e *Engine) lookUpDevice(ctx context.Context, signed *session.Signed, code string) (ask asking, refusal, err error) {
	now, t := time.Now(), e.Policy.Now().Throttle
	me, net := []byte(signed.User.ID), e.Store.MAC("network", []byte(web.LimitKey(ctx)))
	netBucket := t.UserCodeNetwork
	if e.Loopback > 0 && web.Peer(ctx).IsLoopback() {
		netBucket = netBucket.Times(e.Loopback)
	}
	rows := []row{{kind: "usercode.wait", key: me, wait: &t.UserCodeWait}, {kind: "usercode", key: me, bucket: t.UserCodeAccount}, {kind: "usercode.net", key: net, bucket: netBucket}}
	ask, found, err := e.deviceOf(ctx, signed, code, now)
	if err != nil {
		return ask, nil, err
	}
	err = e.Store.Try(ctx, func(ctx context.Context) error {
		refusal = nil
		for _, w := range rows {
			ok, until, err := w.take(ctx, e.Store, now)
			if err != nil {
				return err
			}
			if !ok && refusal == nil {
				if until.IsZero() {
					until = now.Add(w.bucket.Refill)
				}
				refusal = tooMany(until)
			}
		}
		if refusal == nil && found {
			return storage.Undo()
		}
		return nil
	})
	if err == nil && refusal == nil && found { // a right answer ends its own wait
		err = e.Store.ClearWait(ctx, "usercode.wait", me)
	}
	if err == nil && refusal == nil && !found {
		refusal = &idp.Error{Kind: idp.Rejected, Field: "user_code", Msg: "device-code.unknown", Reason: "dev.unknown"}
	}
	return ask, refusal, err
}

func (e *Engine) deviceOf(ctx context.Context, signed *session.Signed, code string, now time.Time) (ask asking, found bool, err error) {
	ask.code = code[:4] + "-" + code[4:]
	ask.DeviceRequest, err = e.Store.DeviceRequestByUserCode(ctx, code, now)
	if err != nil {
		if idp.KindOf(err) == idp.NotFound {
			err = nil
		}
		return ask, false, err
	}
	ask.Scopes = idp.ScopesFor(signed.User.Role, ask.Scopes) // shown = granted: what this person may give
	if ask.TerminalID == "" {
		return ask, true, nil
	}
	t, err := e.Store.Terminal(ctx, ask.TerminalID)
	ask.terminal = &t
	return ask, t.MerchantID == signed.User.MerchantID, err
}

// mayApprove: the roles that policy names, staff of a store for its own terminals only.
func (e *Engine) mayApprove(signed *session.Signed, ask asking) error {
	u, t := signed.User, ask.terminal
	rules := e.Policy.For(policy.WhereTerminal(t, signed.Merchant, ask.ClientID)).Terminal
	switch {
	case t != nil && !t.State.MayRequest():
		return idp.Errorf(idp.Forbidden, "device.state")
	case t != nil && rules.TooOld(t.Kind, policy.Version(ask.Software)):
		return &idp.Error{Kind: idp.Forbidden, Msg: "device.software", Reason: "dev.software"}
	case t != nil && u.Role != idp.RoleOwner && u.StoreID != "" && u.StoreID != t.StoreID:
		return idp.Errorf(idp.Forbidden, "device.other_store")
	case !rules.MayApprove(u.Role, t, e.unusual(ask)):
		return idp.Errorf(idp.Forbidden, "device.ask_manager")
	}
	return nil
}

// unusual: the device is not one that signs in every day with the same key.
func (e *Engine) unusual(ask asking) bool {
	t := ask.terminal
	return t == nil || t.State != idp.TerminalActive || ask.rekeyed() || time.Since(t.LastSeenAt) > e.Policy.Now().Device.IdleAfter || slices.ContainsFunc(ask.Scopes, idp.MoneyScope)
}

// approvalDemand is what the approver must have proved, and how freshly.
func (e *Engine) approvalDemand(signed *session.Signed, ask asking) idp.Demand {
	f := signed.Facts()
	f.Client = ask.ClientID
	need := e.Policy.For(f).StepUp
	d := idp.Demand{Kind: idp.FlowStepUp, ACR: need.ApproveACR, One: true, Since: time.Now().Add(-need.ApproveActive), Return: devicePath(ask.code)}
	if e.unusual(ask) {
		d.ACR, d.Since = max(need.ApproveACR, idp.ACR2), time.Now().Add(-need.ApproveNew)
	}
	return d
}

// drawApproval shows a request. Whoever may not let it in now reads why, and may still refuse
// it: stopping waits for nothing.
func (e *Engine) drawApproval(w http.ResponseWriter, r *http.Request, signed *session.Signed, ask asking, status int, form templates.Form) error {
	ctx := r.Context()
	barred, _ := errors.AsType[*idp.Error](e.mayLetIn(signed.User, ask))
	if barred != nil {
		status, form = http.StatusForbidden, templates.Form{Errors: []templates.FieldError{{Key: barred.Msg, Args: barred.Args}}}
	}
	names, err := e.Store.Identifiers(ctx, signed.User.ID)
	if err != nil {
		return err
	}
	p := templates.DeviceApprove{Form: form, Action: "/device", Name: signed.User.Name, Username: usernameOf(names), UserCode: ask.code, Network: ask.Network, Age: time.Since(ask.CreatedAt), AskedAt: ask.CreatedAt,
		Scopes: ask.Scopes, Numbers: ask.Choices, Barred: barred != nil, Named: ask.terminal != nil, Rekeyed: ask.rekeyed(), Software: ask.Software}
	if c, err := e.Store.Client(ctx, ask.ClientID); err == nil {
		p.ClientName = c.Name
	}
	if t := ask.terminal; t != nil {
		st, err := e.Store.Store(ctx, t.StoreID)
		if err != nil {
			return err
		}
		m, err := e.Store.Merchant(ctx, t.MerchantID)
		if err != nil {
			return err
		}
		p.MerchantName, p.StoreName, p.Model, p.KindKey, p.SerialTail = m.LegalName, st.Name, t.Model, "kind."+string(t.Kind), t.SerialTail()
	}
	return e.Site.Write(w, r, status, p)
}

func (e *Engine) deviceRefused(w http.ResponseWriter, r *http.Request, typed string, err error) error {
	refusal, ok := errors.AsType[*idp.Error](err)
	switch {
	case ok && refusal.Field != "":
		form := templates.Form{Errors: []templates.FieldError{{Field: refusal.Field, Key: refusal.Msg, Args: refusal.Args}}}
		return e.Site.Write(w, r, http.StatusUnprocessableEntity, templates.DeviceCode{Form: form, Action: "/device", UserCode: shortened(typed)})
	case ok && refusal.Kind == idp.Limited:
		web.RetryAfter(w, refusal.Until)
		return e.Site.Write(w, r, http.StatusTooManyRequests, templates.Wait{Until: refusal.Until, Seconds: max(1, int(time.Until(refusal.Until).Seconds())), RestartURL: "/device"})
	}
	return err
}
