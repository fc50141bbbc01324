package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/idp/policy"
	"hufu/idp/server"
)

// signInApp signs somebody in to the merchant app on a browser, and returns the app's tokens.
func (v *visitor) signInApp(p *member) (reply, error) {
	verifier := idp.NewToken()
	sum := sha256.Sum256([]byte(verifier))
	const back = "http://localhost:8081/callback" // where nobody listens: the code is in the address
	q := url.Values{"response_type": {"code"}, "client_id": {"merchant-app"}, "redirect_uri": {back}, "scope": {"openid offline_access"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	if v.open("/authorize?" + q.Encode()).signIn(p); v.err == nil && v.left == nil {
		v.fail("%s (%d): not back at the app", v.url.Path, v.status)
	}
	if v.err != nil {
		return reply{}, v.err
	}
	a, err := v.d.api(v.d, http.MethodPost, "/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"merchant-app"}, "redirect_uri": {back},
		"code": {v.left.Query().Get("code")}, "code_verifier": {verifier}}, "")
	if err != nil {
		return a, err
	}
	return a, a.is(http.StatusOK, "token")
}

// refresh asks for new tokens, and fails unless the answer has the status.
func (d *drill) refresh(token string, status int) (reply, error) {
	a, err := d.api(d, http.MethodPost, "/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"merchant-app"}, "refresh_token": {token}}, "")
	if err != nil {
		return a, err
	}
	return a, a.is(status, "refresh token")
}

// signedOut fails if a browser still shows somebody's own pages.
func (v *visitor) signedOut() error { return v.open("/account").at("identify").err }

// lostPhone: with it are gone the text messages, the authenticator and the password that it
// remembered. Left are the paper and the mail on another computer: a strong pair.
func (d *drill) lostPhone(s *scene) {
	owner, phone, computer := d.Users["owner"], d.visitor(), d.visitor()
	var app reply
	s.step("drill.phone.before", func() (err error) {
		app, err = phone.signInApp(owner)
		return err
	})
	s.struck("drill.phone.lost")
	s.step("drill.phone.door", func() error {
		return computer.open("/recover").submit("lost", string(idp.LostBoth)).submit("identifier", owner.Username).at("recover").err
	})
	s.step("drill.phone.mail", func() error { return computer.showsCode("introduce:email", owner.Email).at("recover").err })
	s.step("drill.phone.kit", func() error {
		return computer.submit("way", "kit").submit("code", owner.Codes[0]).see(http.StatusOK, "recover-hub.plan_now").see(http.StatusOK, "recover-hub.w1").err
	})
	s.step("drill.phone.new", func() error {
		owner.Password = freshPassword()
		computer.submit("do", "go").submit("password", owner.Password, "again", owner.Password).submit("factor", "totp")
		return computer.bindsTOTP(owner).see(http.StatusOK, "recover-done.title").err
	})
	s.step("drill.phone.in", func() error {
		return computer.open("/account").signIn(owner).see(http.StatusOK, "account.hello", "林薇").err
	})
	s.step("drill.phone.dead", func() error {
		_, err := d.refresh(app.Refresh, http.StatusBadRequest)
		return errors.Join(phone.signedOut(), err)
	})
	s.note("drill.phone.wait")
}

// till is a terminal with its key.
type till struct {
	d      *drill
	key    *dpoptest.Key
	serial string
	tokens reply
}

func (t *till) ask(method, path string, form url.Values, status int) (reply, error) {
	access := ""
	if method == http.MethodGet {
		access = t.tokens.Access
	}
	a, err := t.d.api(t.key, method, path, form, access)
	if err != nil {
		return a, err
	}
	return a, a.is(status, path)
}

// asks begins the device flow.
func (t *till) asks(status int) (reply, error) {
	return t.ask(http.MethodPost, "/device_authorization", url.Values{"client_id": {"terminal"}, "terminal_serial": {t.serial}, "software_version": {"4.10.2"},
		"scope": {"openid offline_access terminal payments:read"}}, status)
}

// signedIn walks the device flow, with somebody who may let it in.
func (t *till) signedIn(by *member) error {
	asked, err := t.asks(http.StatusOK)
	if err != nil {
		return err
	}
	v := t.d.visitor().open(asked.Complete).signIn(by)
	if v.submit("do", "approve", "match", fmt.Sprintf("%02d", asked.Match)).see(http.StatusOK, "device-done.approved.title").err != nil {
		return v.err
	}
	poll := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"terminal"}, "device_code": {asked.Device}}
	for try := 0; ; try++ {
		if t.tokens, err = t.ask(http.MethodPost, "/token", poll, http.StatusOK); err == nil || try == 2 {
			return err
		}
		t.tokens = reply{}
		time.Sleep(time.Duration(asked.Interval) * time.Second)
	}
}

// stolenTerminal: whoever is in the shop marks it lost; nobody has to be asked first.
func (d *drill) stolenTerminal(s *scene) {
	t := &till{d: d, key: dpoptest.New(), serial: d.Terminals["esign"].Serial}
	t.key.Origin, t.key.Next = d.issuer, d
	cashier := d.visitor()
	s.step("drill.terminal.before", func() error { return t.signedIn(d.Users["manager"]) })
	s.step("drill.terminal.works", func() error {
		_, err := t.ask(http.MethodGet, "/terminal/notices", nil, http.StatusOK)
		return err
	})
	s.struck("drill.terminal.stolen")
	s.step("drill.terminal.cashier", func() error {
		return cashier.open("/account").signIn(d.Users["cashier"]).see(http.StatusOK, "account.hello", "陈小燕").err
	})
	s.step("drill.terminal.lost", func() error { return cashier.marksLost(t.serial) })
	s.step("drill.terminal.notices", func() error {
		_, err := t.ask(http.MethodGet, "/terminal/notices", nil, http.StatusUnauthorized)
		return err
	})
	s.step("drill.terminal.token", func() error {
		_, err := t.ask(http.MethodGet, "/userinfo", nil, http.StatusUnauthorized)
		_, again := t.ask(http.MethodPost, "/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"terminal"}, "refresh_token": {t.tokens.Refresh}}, http.StatusBadRequest)
		return errors.Join(err, again)
	})
	s.step("drill.terminal.anew", func() error {
		_, err := t.asks(http.StatusBadRequest)
		return err
	})
	s.note("drill.terminal.back")
}

// marksLost finds the terminal at the door of the console, which lets a cashier do this alone.
func (v *visitor) marksLost(serial string) error {
	for _, link := range v.open("/console").links("/lost") {
		if v.open(link); v.err == nil && strings.Contains(v.text(), serial) {
			return v.submit("reason", "drill").see(http.StatusForbidden, "console.saved.changed").err
		}
	}
	return v.fail("no terminal %s to mark lost", serial).err
}

var (
	stopLink = regexp.MustCompile(`https?://[^\s"<>]+/stop\?t=[\w-]+`)
	caseLink = regexp.MustCompile(`https?://[^\s"<>]+/recover/case\?t=[\w-]+`)
)

// rogueAgent: he knows the owner's papers and wants the link sent to a thief's address.
func (d *drill) rogueAgent(s *scene) {
	const thief = "thief@example.net"
	owner, agent, supervisor := d.Users["owner"], d.visitor(), d.visitor()
	why := url.Values{"reason": {d.t("drill.agent.reason")}}
	s.step("drill.agent.before", func() error {
		return errors.Join(agent.open("/console").signIn(d.Users["support_agent"]).see(http.StatusOK, "console.dashboard").err,
			supervisor.open("/console").signIn(d.Users["support_supervisor"]).bindsPasskey().err)
	})
	s.struck("drill.agent.turns")
	page := ""
	s.step("drill.agent.opens", func() error {
		agent.open("/console/cases/new").submit("login", owner.Username, "lost", string(idp.LostBoth), "send_to", thief, "reason", why.Get("reason"))
		page = agent.see(http.StatusOK, "console.saved.opened").path()
		return agent.err
	})
	s.step("drill.agent.evidence", func() error {
		for field, value := range map[string]string{policy.FactBirthday: owner.Birthday, policy.FactDocumentTail: owner.Document} {
			agent.post(page+"/evidence", url.Values{"field": {field}, "value": {value}, "reason": why["reason"]}).see(http.StatusOK, "console.saved.matched")
		}
		return agent.post(page+"/submit", why).see(http.StatusOK, "console.saved.changed").see(http.StatusOK, "state.ready").err
	})
	s.step("drill.agent.own", func() error {
		agent.post(page+"/approve", why)
		return agent.refused()
	})
	s.step("drill.agent.stop", func() error {
		link, err := d.sent(owner.Email, stopLink)
		if err != nil {
			return err
		}
		return d.visitor().open(link).submit("token").see(http.StatusOK, "frozen.title").err
	})
	s.step("drill.agent.supervisor", func() error {
		supervisor.open(page).submit("typed", "", "reason", why.Get("reason")).see(http.StatusOK, "state.refused")
		return supervisor.post(page+"/approve", why).see(http.StatusUnprocessableEntity, "error.moved").err
	})
	s.step("drill.agent.nothing", func() error {
		if link, err := d.sent(thief, caseLink); err == nil {
			return fmt.Errorf("the thief was sent %s", link)
		}
		return nil
	})
	s.note("drill.agent.after")
}

// path is that of the page.
func (v *visitor) path() string {
	if v.err != nil {
		return ""
	}
	return v.url.Path
}

// refused fails unless the page says that one may not.
func (v *visitor) refused() error {
	if v.err == nil && v.status != http.StatusForbidden {
		v.fail("%s: %d, %d expected", v.url.Path, v.status, http.StatusForbidden)
	}
	return v.err
}

// restored: the copy is some minutes old, so it knows nothing of what was ended since. What
// comes back is looked at, and then ended as an operator ends it.
func (d *drill) restored(s *scene) {
	cashier, first := d.Users["cashier"], filepath.Join(d.dir, "first")
	mine, stolen, second := d.visitor(), d.visitor(), filepath.Join(d.dir, "second")
	var before, after, again reply
	s.step("drill.backup.before", func() (err error) {
		if stolen.open("/account").signIn(cashier).err != nil {
			return stolen.err
		}
		before, err = mine.signInApp(cashier)
		return err
	})
	s.step("drill.backup.copy", func() error { return d.copy(first, second) })
	s.step("drill.backup.since", func() (err error) {
		if after, err = d.refresh(before.Refresh, http.StatusOK); err != nil {
			return err
		}
		return errors.Join(mine.open("/account/devices").post("/account/end-all", nil).err, stolen.signedOut())
	})
	s.step("drill.backup.gone", d.house.stop)
	s.struck("drill.backup.lost")
	s.step("drill.backup.start", func() error {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return d.start(listener, second)
	})
	s.step("drill.backup.in", func() error {
		return d.visitor().open("/account").signIn(cashier).see(http.StatusOK, "account.hello", "陈小燕").err
	})
	s.step("drill.backup.newer", func() error {
		_, err := d.refresh(after.Refresh, http.StatusBadRequest)
		return err
	})
	s.step("drill.backup.older", func() (err error) {
		again, err = d.refresh(before.Refresh, http.StatusOK)
		return err
	})
	s.step("drill.backup.session", func() error {
		stolen.err = nil
		return stolen.open("/account").see(http.StatusOK, "account.hello", "陈小燕").err
	})
	s.step("drill.backup.end", func() error {
		_, err := server.Offline(d.house.cfg, d.house.service.Store, policy.Lists{}).EndEverything(d.ctx, d.t("drill.backup.reason"))
		return err
	})
	s.step("drill.backup.dead", func() error {
		_, err := d.refresh(again.Refresh, http.StatusBadRequest)
		return errors.Join(err, stolen.signedOut())
	})
	s.step("drill.backup.anew", func() error {
		return d.visitor().open("/account").signIn(cashier).see(http.StatusOK, "account.hello", "陈小燕").err
	})
	s.note("drill.backup.rest")
}

// copy is a backup: the database while it is in use, the key, and what else the world needs.
func (d *drill) copy(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"hufu.key", "demo.json"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return d.house.service.Store.Copy(d.ctx, filepath.Join(to, "hufu.db"))
}
