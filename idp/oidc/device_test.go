package oidc

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
)

func (w *world) device(change ...string) map[string]any {
	w.t.Helper()
	f := url.Values{"scope": {"openid merchant terminal offline_access"}, "terminal_serial": {" n910-0001"}}
	for i := 0; i < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	res, answer := w.post("/device_authorization", "terminal", f)
	if res.StatusCode != 200 {
		w.t.Fatalf("%d %v", res.StatusCode, answer)
	}
	return answer
}

// RFC 8628 from the request to the refresh.
func TestDeviceFlow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device()
		user, _ := d["user_code"].(string)
		if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(user) || d["verification_uri"] != issuer+"/device" ||
			d["verification_uri_complete"] != issuer+"/device?user_code="+user || d["expires_in"] != 600.0 || d["interval"] != 5.0 {
			t.Fatalf("%v", d)
		}
		stored, err := w.store.DeviceRequestByUserCode(t.Context(), strings.ReplaceAll(user, "-", ""), time.Now())
		w.must(err)
		if d["match_number"] != float64(stored.Match) || !slices.Contains(stored.Choices, stored.Match) || len(stored.Choices) != 3 || stored.TerminalID != w.terminal.ID {
			t.Errorf("%v %+v", d, stored)
		}
		res, answer := w.post("/token", "terminal", polling(d["device_code"]))
		refused(t, res, answer, 400, "authorization_pending")
		res, answer = w.post("/token", "terminal", polling(d["device_code"]))
		refused(t, res, answer, 400, "slow_down")
		w.approve(user, w.owner, true)
		res, answer = w.post("/token", "terminal", polling(d["device_code"]))
		if res.StatusCode != 200 || answer["refresh_token"] == nil || answer["scope"] != "openid merchant terminal offline_access" {
			t.Fatalf("%d %v", res.StatusCode, answer)
		}
		for _, token := range []string{"access_token", "id_token"} {
			if c := payload(t, answer[token]); c["terminal_id"] != w.terminal.ID || c["sub"] != w.owner.ID || c["store_id"] != w.shop.ID || c["acr"] != "urn:hufu:acr:2" {
				t.Errorf("%s %v", token, c)
			}
		}
		seen, err := w.store.Terminal(t.Context(), w.terminal.ID)
		w.must(err)
		if seen.LastSeenAt.IsZero() || w.events("device.requested") != 1 || w.events("device.redeemed") != 1 {
			t.Error("last seen or an event is missing")
		}
		res, again := w.post("/token", "terminal", polling(d["device_code"]))
		refused(t, res, again, 400, "invalid_grant")
		if res, answer = w.post("/token", "terminal", refreshing(answer["refresh_token"].(string))); res.StatusCode != 200 {
			t.Errorf("refresh: %v", answer)
		}
	})
}

func TestDeviceErrors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			client string
			form   url.Values
			status int
			code   string
		}{
			"client":   {"app", url.Values{"scope": {"openid"}}, 400, "unauthorized_client"},
			"no scope": {"terminal", url.Values{"terminal_serial": {"N910-0001"}}, 400, "invalid_scope"},
			"scope":    {"terminal", url.Values{"scope": {"openid settlement:manage"}}, 400, "invalid_scope"},
			"unknown":  {"terminal", url.Values{"scope": {"openid"}, "terminal_serial": {"N910-9999"}}, 400, "invalid_request"},
			"junk":     {"terminal", url.Values{"scope": {"openid"}, "terminal_serial": {"虎'; --"}}, 400, "invalid_request"},
			"nobody":   {"", url.Values{"scope": {"openid"}}, 401, "invalid_client"},
		} {
			res, answer := w.post("/device_authorization", c.client, c.form)
			if res.StatusCode != c.status || answer["error"] != c.code {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
		}
		w.must(second(w.store.SetTerminalState(t.Context(), w.terminal.ID, idp.TerminalNew, idp.TerminalRetired)))
		res, answer := w.post("/device_authorization", "terminal", url.Values{"scope": {"openid"}, "terminal_serial": {"N910-0001"}})
		refused(t, res, answer, 400, "invalid_request")
		if d := w.device("terminal_serial", ""); d["device_code"] == nil {
			t.Error("a device without a registered terminal may ask")
		}
		for _, code := range []string{"", "x", strings.Repeat("x", 5000)} {
			want := map[bool]string{true: "invalid_request", false: "invalid_grant"}[code == ""]
			res, answer = w.post("/token", "terminal", polling(code))
			refused(t, res, answer, 400, want)
		}
	})
}

func TestDeviceDeniedAndReplaced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device()
		stored, err := w.store.DeviceRequestByUserCode(t.Context(), strings.ReplaceAll(d["user_code"].(string), "-", ""), time.Now())
		w.must(err)
		w.must(second(w.store.DecideDeviceRequest(t.Context(), stored.ID, idp.DeviceDenied, "", time.Now())))
		res, answer := w.post("/token", "terminal", polling(d["device_code"]))
		refused(t, res, answer, 400, "access_denied")
		first := w.device()
		w.device()
		res, answer = w.post("/token", "terminal", polling(first["device_code"]))
		refused(t, res, answer, 400, "access_denied")
		// A device code is its client's alone.
		w.must(w.store.CreateClient(t.Context(), &idp.Client{ID: "other", Name: "other", Grants: []string{grantDevice}, Scopes: []string{"openid"}}))
		res, answer = w.post("/token", "other", polling(w.device()["device_code"]))
		refused(t, res, answer, 400, "invalid_grant")
	})
}

// An approved request is redeemed by one of any number of polls.
func TestParallelPolls(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device()
		w.approve(d["user_code"].(string), w.owner, true)
		var mu sync.Mutex
		won := 0
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				res, answer := w.post("/token", "terminal", polling(d["device_code"]))
				mu.Lock()
				defer mu.Unlock()
				if res.StatusCode == 200 {
					won++
				} else if answer["error"] != "invalid_grant" {
					t.Errorf("%d %v", res.StatusCode, answer)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d polls won", won)
		}
	})
}

// Approved scopes are issued scopes; what is asked later is nothing.
func TestDeviceScopesAreFrozen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device("scope", "openid payments:read")
		w.approve(d["user_code"].(string), w.owner, true)
		form := polling(d["device_code"])
		form.Set("scope", "openid payments:read payments:refund offline_access")
		_, answer := w.post("/token", "terminal", form)
		if answer["scope"] != "openid payments:read" || answer["refresh_token"] != nil {
			t.Errorf("%v", answer)
		}
		// Money moves only with two factors of the approver.
		d = w.device("scope", "openid payments:refund")
		w.approve(d["user_code"].(string), w.cashier, false)
		if _, answer = w.post("/token", "terminal", polling(d["device_code"])); answer["scope"] != "openid" {
			t.Errorf("%v", answer)
		}
	})
}

// A request refused at redemption is used up: nothing comes back by itself.
func TestDeviceRefusedAtRedemption(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device()
		w.approve(d["user_code"].(string), w.owner, true)
		w.done(w.store.LockUser(t.Context(), w.owner.ID, "user"))
		res, answer := w.post("/token", "terminal", polling(d["device_code"]))
		refused(t, res, answer, 400, "access_denied")
		w.done(w.store.UnlockUser(t.Context(), w.owner.ID))
		res, answer = w.post("/token", "terminal", polling(d["device_code"]))
		refused(t, res, answer, 400, "invalid_grant")
	})
}

// One network makes at most sixty requests a minute.
func TestDeviceFlood(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		limited := 0
		for range w.p.Policy.Now().Device.Network.Burst + 5 {
			res, answer := w.post("/device_authorization", "terminal", url.Values{"scope": {"openid"}})
			if res.StatusCode == 429 {
				limited++
				if res.Header.Get("Retry-After") == "" || answer["error"] != "temporarily_unavailable" {
					t.Errorf("%v %v", res.Header, answer)
				}
			}
		}
		if limited < 2 {
			t.Errorf("%d refused", limited)
		}
	})
}
