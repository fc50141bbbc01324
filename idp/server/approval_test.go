package server_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"hufu/idp"
	"hufu/storage"
)

// Two administrators at two browsers: one asks for another secret of an application, the
// other agrees, and the first one's new secret works where the old one no longer does.
func TestTwoAdministrators(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		works := func(secret string) bool {
			status, _ := w.form(t, "/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"settlement"}, "client_secret": {secret}})
			return status == 200
		}
		old := w.Clients["settlement"].Secret
		one, two := w.browser(t), w.browser(t)
		one.open("/console").signIn("policy_admin").see(200, "概览").withKey()
		one.open("/console/clients/settlement/secret").see(200, "这件事要两个人")
		one.submit("reason", "laptop stolen").see(200, "已经提出").see(200, "撤回")
		page := one.URL.Path
		if !works(old) {
			t.Fatal("changed by one")
		}
		one.open(page+"/approve").submit("reason", "I agree with myself").see(403, "由另一位同事批准")

		two.open("/console").signIn("policy_admin_2").see(200, "1 件事等您批准").withKey()
		two.open("/console/approvals").see(200, "换应用的密钥")
		two.open(page).see(200, "laptop stolen").see(200, "马上作废").open(page+"/approve").see(200, "laptop stolen")
		two.submit("reason", "called the owner back").see(200, "已经批准，也已经做好")
		if works(old) {
			t.Error("the stolen secret works")
		}
		two.refused(422, page+"/collect")
		one.open("/console").see(200, "1 个新密钥等您来取").open(page+"/collect").see(200, "只能看一次")
		one.post(page+"/collect", url.Values{}).see(200, "只显示这一次")
		secret := regexp.MustCompile(`id="secret">([A-Za-z0-9_-]{43})<`).FindStringSubmatch(one.Body)
		if secret == nil || !works(secret[1]) {
			t.Error("the new secret does not work")
		}
		one.post(page+"/collect", url.Values{}).see(422, "已经取过")
		if strings.Contains(one.open(page).Body+two.open(page).Body, secret[1]) {
			t.Error("the secret is shown twice")
		}
		events, err := w.Service.Store.Events(t.Context(), storage.EventFilter{Client: "settlement", Name: "client.secret"}, 10)
		must(t, err)
		if len(events) != 1 || events[0].Actor != w.user(t, w.Users["policy_admin"].Username).ID || events[0].Data["approved_by"] != w.user(t, w.Users["policy_admin_2"].Username).ID {
			t.Errorf("events %+v", events)
		}

		// The signing keys: published at once, and what was signed before is verified on.
		one.open("/console/keys/rotate").see(200, "60 分钟以后").submit("reason", "yearly")
		two.open(one.URL.Path+"/approve").submit("reason", "yearly, as planned").see(200, "已经批准")
		one.open("/console/keys").see(200, "已公布").see(200, "签发中")
		status, keys := w.get(t, "/jwks")
		if n := strings.Count(string(keys), `"kid"`); status != 200 || n != 4 {
			t.Errorf("%d keys published, %d", n, status)
		}
		if !works(secret[1]) {
			t.Error("nothing is signed any more")
		}
	})
}

// A closed merchant's owner still comes in, to take the data along; nobody else does.
func TestClosedMerchant(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		one, two, owner, cashier := w.browser(t), w.browser(t), w.browser(t), w.browser(t)
		cashier.open("/sign-in").signIn("cashier")
		m, err := w.Service.Store.Merchants(t.Context(), "", w.Merchant.No, "", 1)
		must(t, err)
		path := "/console/merchants/" + m[0].ID
		one.open("/console").signIn("support_supervisor").withKey()
		one.open(path).submit("reason", "contract ended").see(200, w.Merchant.No)
		one.open(path+"/close").submit("reason", "contract ended").see(200, "已经提出")
		asked := one.URL.Path
		two.open("/console").signIn("policy_admin").withKey()
		two.open(asked+"/approve").submit("reason", "contract seen").see(200, "已经批准")
		owner.open("/account").signIn("owner").see(200, w.Users["owner"].Username)
		owner.open("/account/data").see(200, "")
		cashier.open("/account").see(200, "用户名")
		closed, err := w.Service.Store.Merchant(t.Context(), m[0].ID)
		must(t, err)
		if closed.Status != idp.MerchantClosed {
			t.Errorf("%s", closed.Status)
		}
	})
}
