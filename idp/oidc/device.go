package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/idp/web"
)

// deviceAuthorization is the device authorization endpoint (RFC 8628 3.1). Scopes
// and terminal are fixed here; approval shows just these.
func (p *Provider) deviceAuthorization(w http.ResponseWriter, r *http.Request) error {
	form, err := postForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	c, err := p.authenticate(ctx, r, form)
	if err != nil {
		return err
	}
	if !c.May(grantDevice) {
		return refuse("unauthorized_client", "the client may not use the device flow")
	}
	scopes, err := requestedScopes(c, form)
	if err != nil {
		return err
	}
	shown, err := p.proofOf(r, "")
	if err != nil {
		return err
	}
	// Before the serial is looked at, so that nobody tries one after the other.
	if err := p.takeDevice(ctx, time.Now()); err != nil {
		return err
	}
	d := idp.DeviceRequest{ClientID: c.ID, Scopes: scopes, Key: shown.key, Software: form.Get("software_version"), Network: web.Network(ctx), Asker: web.LimitKey(ctx)}
	if _, ok := policy.ParseVersion(d.Software); !ok {
		return refuse("invalid_request", "software_version is not up to four numbers with dots between them")
	}
	terminal, err := p.askingTerminal(ctx, c, form, &d)
	if err != nil {
		return err
	}
	answer, err := p.requestDevice(ctx, d, terminal, shown)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// requestedScopes returns the scopes of a request, all of which the client has
// registered. offline_access is left out for a client that cannot refresh (OpenID
// Connect Core 11).
func requestedScopes(c idp.Client, form url.Values) ([]string, error) {
	scopes := idp.SplitScopes(form.Get("scope"))
	for _, s := range scopes {
		if !slices.Contains(c.Scopes, s) {
			return nil, refuse("invalid_scope", "a requested scope is not registered for the client")
		}
	}
	if !c.May(grantRefresh) {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return s == "offline_access" })
	}
	if len(scopes) == 0 {
		return nil, refuse("invalid_scope", "scope is missing")
	}
	return scopes, nil
}

// askingTerminal returns the registered terminal that a request names, nil if it
// names none. Whoever asks has shown nothing but a key, so he hears the same of one that
// nobody knows and of one that may not sign in now; the log has the reason.
func (p *Provider) askingTerminal(ctx context.Context, c idp.Client, form url.Values, d *idp.DeviceRequest) (t *idp.Terminal, err error) {
	where := policy.WhereTerminal(nil, nil, c.ID)
	if typed := form.Get("terminal_serial"); typed != "" {
		found, m, reason, err := p.terminalOf(ctx, typed)
		if err == nil && reason != "" {
			err = refuse("invalid_request", "this terminal cannot sign in now; ask the owner").because(reason, nil)
		}
		if err != nil {
			return nil, err
		}
		t, where, d.TerminalID = &found, policy.WhereTerminal(&found, &m, c.ID), found.ID
	}
	if d.Key == "" && (p.Policy.For(where).Terminal.KeyRequired || t != nil && t.Key != "") {
		return nil, errNoProof
	}
	if t != nil && p.Policy.For(where).Terminal.TooOld(t.Kind, policy.Version(d.Software)) {
		return nil, p.tooOld(ctx, c, *t, d.Software)
	}
	return t, nil
}

// tooOld refuses a terminal whose software policy does not let in any more, with an
// explain code that support looks up.
func (p *Provider) tooOld(ctx context.Context, c idp.Client, t idp.Terminal, software string) error {
	e := refuse("invalid_request", "the software of this terminal is too old; update it").because("dev.software", nil)
	e.Explain = idp.NewExplainCode()
	err := p.Store.Append(ctx, idp.Event{Name: "device.refused", Client: c.ID, Terminal: t.ID, Merchant: t.MerchantID, Store: t.StoreID, Network: web.Network(ctx),
		Reason: e.Reason, Explain: e.Explain, Policy: p.Policy.Now().Version, Data: map[string]any{"software": software}})
	if err != nil {
		return err
	}
	return e
}

// terminalOf finds a terminal with its merchant, and the reason why it may not ask for a
// sign-in.
func (p *Provider) terminalOf(ctx context.Context, typed string) (t idp.Terminal, m idp.Merchant, reason string, err error) {
	serial, ok := normal.Serial(typed)
	if !ok {
		return t, m, "terminal.unknown", nil
	}
	t, err = p.Store.TerminalBySerial(ctx, serial)
	switch {
	case err != nil && idp.KindOf(err) == idp.NotFound:
		return t, m, "terminal.unknown", nil
	case err != nil:
		return t, m, "", err
	case !t.State.MayRequest():
		return t, m, "terminal." + string(t.State), nil
	}
	m, err = p.Store.Merchant(ctx, t.MerchantID)
	if err == nil && m.Status != idp.MerchantActive {
		reason = "merchant.suspended"
	}
	return t, m, reason, err
}

// deviceAnswer is RFC 8628 3.2 with the number that device and page both show.
type deviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int    `json:"expires_in"`
	Interval   int    `json:"interval"`
	Match      int    `json:"match_number"`
}

func (p *Provider) requestDevice(ctx context.Context, d idp.DeviceRequest, t *idp.Terminal, shown proof) (*deviceAnswer, error) {
	now, rules := time.Now(), p.Policy.Now().Device
	d.CreatedAt, d.ExpiresAt = now, now.Add(rules.Life)
	event := idp.Event{Name: "device.requested", Client: d.ClientID, Network: d.Network, Policy: p.Policy.Now().Version}
	if t != nil {
		event.Terminal, event.Merchant, event.Store = t.ID, t.MerchantID, t.StoreID
	}
	for try := 0; ; try++ {
		code, user := idp.NewToken(), newUserCode()
		d.Match, d.Choices = idp.NewChoices()
		err := p.Store.Tx(ctx, func(ctx context.Context) error {
			if err := p.spend(ctx, shown); err != nil {
				return err
			}
			if err := p.Store.CreateDeviceRequest(ctx, &d, hash(code), user, rules.Interval); err != nil {
				return err
			}
			event.Data = map[string]any{"request": d.ID, "scopes": d.Scopes, "key": d.Key}
			return p.Store.Append(ctx, event)
		})
		if err != nil && idp.KindOf(err) == idp.Conflict && try < 5 {
			continue // a user code that lives already: one in 10^10
		}
		shown := user[:4] + "-" + user[4:]
		return &deviceAnswer{DeviceCode: code, UserCode: shown, URI: p.Issuer + "/device", Complete: p.Issuer + "/device?user_code=" + shown,
			ExpiresIn: int(rules.Life.Seconds()), Interval: int(rules.Interval.Seconds()), Match: d.Match}, err
	}
}

// takeDevice bounds how many requests one network makes, so that nobody fills the
// table or the space of user codes, or looks for serials.
func (p *Provider) takeDevice(ctx context.Context, now time.Time) error {
	b := p.Policy.Now().Device.Network
	if p.Loopback > 0 && web.Peer(ctx).IsLoopback() {
		b = b.Times(p.Loopback)
	}
	ok, next, err := p.Store.TakeBucket(ctx, "device.network", p.Store.MAC("device.network", []byte(web.LimitKey(ctx))), b.Burst, b.Refill, now)
	if err == nil && !ok {
		err = &idp.Error{Kind: idp.Limited, Msg: "problem.429.text", Until: next}
	}
	return err
}

// hash is the stored form of a device code.
func hash(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

// newUserCode returns eight letters of the alphabet of RFC 8628 6.1.
func newUserCode() string {
	b := make([]byte, 8)
	for i := range b {
		b[i] = normal.UserCodeAlphabet[random(len(normal.UserCodeAlphabet))]
	}
	return string(b)
}

func random(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return int(v.Int64())
}

// deviceHandler answers the polls of a device (RFC 8628 3.4, 3.5).
type deviceHandler struct{ p *Provider }

func (h *deviceHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }
func (h *deviceHandler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(grantDevice)
}

func (h *deviceHandler) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	if !r.GetClient().GetGrantTypes().Has(grantDevice) {
		return refuse("unauthorized_client", "the client may not use the device flow")
	}
	if r.GetRequestForm().Get("device_code") == "" {
		return refuse("invalid_request", "device_code is missing")
	}
	if sessionOf(r).Proof.key == "" && h.p.Policy.For(policy.Facts{Client: r.GetClient().GetID()}).Terminal.KeyRequired {
		return errNoProof
	}
	return nil
}

// PopulateTokenEndpointResponse runs in the transaction of the answer. A poll
// counts, whatever it is told.
func (h *deviceHandler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, a fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	now, key := time.Now(), sessionOf(r).Proof.key
	poll, err := h.p.Store.PollDevice(ctx, hash(r.GetRequestForm().Get("device_code")), r.GetClient().GetID(), key, now, h.p.Policy.Now().Device.SlowDown)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return refuse("invalid_grant", "the device code is not valid")
	}
	if err != nil {
		return err
	}
	d := poll.Request
	switch {
	case d.State == idp.DeviceRedeemed:
		return kept{refuse("invalid_grant", "the device code was used before")}
	case d.State == idp.DeviceDenied:
		return kept{refuse("access_denied", "the request was refused")}
	case !now.Before(d.ExpiresAt):
		return kept{refuse("expired_token", "the device code has expired")}
	case poll.TooSoon:
		return kept{refuse("slow_down", "the device polls too often")}
	case d.State != idp.DeviceApproved:
		return kept{refuse("authorization_pending", "nobody has answered yet")}
	}
	return h.issue(ctx, r, a, d, now)
}

// issue answers an approved request. One whose grant is no longer good is used up
// all the same: the device starts again.
func (h *deviceHandler) issue(ctx context.Context, r fosite.AccessRequester, a fosite.AccessResponder, d idp.DeviceRequest, now time.Time) error {
	c, _ := r.GetClient().(client)
	parties, scopes, err := h.p.redeem(ctx, d.GrantID, c.Client)
	if e, ok := errors.AsType[*refusal](err); ok {
		return kept{refuse("access_denied", "the sign-in is no longer allowed").because(e.Reason, nil)}
	}
	if err != nil {
		return err
	}
	if parties.Grant.TerminalID != d.TerminalID {
		return kept{refuse("access_denied", "the sign-in is no longer allowed").because("dev.foreign", nil)}
	}
	scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(d.Scopes, s) })
	need := h.p.settings(parties).StepUp
	if fresh := (idp.Demand{ACR: need.MoneyACR, Since: parties.Grant.CreatedAt.Add(-need.Money), One: true}); !fresh.Met(parties.Grant.Proofs) {
		scopes = idp.WithoutMoney(scopes)
	}
	if err := h.p.settle(ctx, &parties, scopes); err != nil {
		return err
	}
	s := sessionOf(r)
	s.Parties, s.Redeemed = parties, true
	r.SetID(parties.Grant.ID)
	for _, scope := range scopes {
		r.GrantScope(scope)
	}
	return h.answer(ctx, r, a, d, now)
}

func (h *deviceHandler) answer(ctx context.Context, r fosite.AccessRequester, a fosite.AccessResponder, d idp.DeviceRequest, now time.Time) error {
	access, _, err := strategy{h.p}.GenerateAccessToken(ctx, r)
	if err != nil {
		return err
	}
	a.SetAccessToken(access)
	a.SetScopes(r.GetGrantedScopes())
	if r.GetGrantedScopes().Has("offline_access") && r.GetClient().GetGrantTypes().Has(grantRefresh) {
		refresh := idp.NewToken()
		if err := (adapter{h.p}).CreateRefreshTokenSession(ctx, signature(refresh), "", r); err != nil {
			return err
		}
		a.SetExtra("refresh_token", refresh)
	}
	parties := sessionOf(r).Parties
	event := h.p.grantEvent(ctx, "device.redeemed", parties.Grant, "")
	event.Merchant = parties.User.MerchantID
	event.Data["request"] = d.ID
	if t := parties.Terminal; t != nil {
		event.Store = t.StoreID
		if err := h.p.Store.SeeTerminal(ctx, *t, now); err != nil {
			return err
		}
	}
	return h.p.Store.Append(ctx, event)
}
