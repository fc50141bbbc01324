package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// ago makes as if a code had last come back from a phone or address of a person so long ago.
func (w *demoWorld) ago(t *testing.T, login string, kind idp.IdentifierKind, days int) idp.Identifier {
	t.Helper()
	n := w.contact(t, login, kind)
	must(t, w.Service.Store.ProveIdentifier(t.Context(), n.ID, time.Now().AddDate(0, 0, -days)))
	return w.contact(t, login, kind)
}

// notThe is another code of as many digits.
func notThe(code string) string { return string('0'+('9'-code[0])) + code[1:] }

// A phone that no code has come back from for long is asked about on the person's first
// page. The code that goes there settles it; whose it is no more changes it.
func TestStillYours(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "still.one", "203.0.113.1")
		w.ago(t, "still.one", idp.IdentifierPhone, 59)
		w.ago(t, "still.one", idp.IdentifierEmail, 59)
		if b.open("/account"); strings.Contains(b.Body, "还是您的吗") {
			t.Error("asked before the day")
		}
		mail := w.ago(t, "still.one", idp.IdentifierEmail, 61)
		b.open("/account").see(200, mail.Masked()+" 还是您的吗")
		phone := w.ago(t, "still.one", idp.IdentifierPhone, 61)
		b.open("/account").see(200, phone.Masked()+" 还是您的吗").see(200, "不是我的了")
		if strings.Contains(b.text(), mail.Masked()) || !strings.Contains(b.Body, `href="/account/contact/change?id=`+phone.ID+`"`) || !strings.Contains(b.Body, `href="/help/recycled-number"`) {
			t.Errorf("one at a time, with the way to change it:\n%s", b.text())
		}
		before := len(w.notices(t, "still.one", "code"))
		b.submit("id", phone.ID).at("still-mine").see(200, phone.Masked())
		if got := w.notices(t, "still.one", "code"); len(got) != before+1 || got[0].To != phone.Value {
			t.Fatalf("%d codes", len(got)-before)
		}
		code := w.sent(t, phone.Value)
		b.submit("code", notThe(code)).see(422, "不对")
		if n := w.contact(t, "still.one", idp.IdentifierPhone); !n.LastProvenAt.Equal(phone.LastProvenAt) {
			t.Fatal("a wrong code proves it")
		}
		proofs := len(w.sessions(t, "still.one")[0].Proofs)
		b.submit("code", code).at("/account/contacts").see(200, "它还是您的")
		if n := w.contact(t, "still.one", idp.IdentifierPhone); time.Since(n.LastProvenAt) > time.Minute || len(w.events(t, "still.one", "channel.confirmed")) != 1 {
			t.Error("not noted")
		}
		if now := w.sessions(t, "still.one")[0].Proofs; len(now) != proofs {
			t.Errorf("the session has %d proofs more", len(now)-proofs)
		}
		b.open("/account").see(200, mail.Masked()+" 还是您的吗").submit("id", mail.ID).at("still-mine").submit("code", w.sent(t, mail.Value)).at("/account/contacts")
		if b.open("/account"); strings.Contains(b.Body, "还是您的吗") {
			t.Error("asked again")
		}
		b.open("/account/activity").see(200, "确认了手机或邮箱还是自己的")
	})
}

// Only what is bound and one's own is confirmed, not while frozen, and never by GET; a flow
// that was begun before the phone went, or before the freeze, ends in nothing.
func TestConfirmNothingElse(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b, other := w.settled(t, "sure.one", "203.0.113.1"), w.settled(t, "sure.two", "203.0.113.2")
		phone, his := w.ago(t, "sure.one", idp.IdentifierPhone, 61), w.ago(t, "sure.two", idp.IdentifierPhone, 61)
		never := idp.Identifier{UserID: phone.UserID, Kind: idp.IdentifierEmail, Value: "never.proved@example.com"}
		must(t, w.Service.Store.AddIdentifier(t.Context(), &never))
		name := w.named(t, phone.UserID, "sure.one")
		for _, id := range []string{his.ID, never.ID, name.ID, "", "x"} {
			b.refused(404, "/account/contact/confirm", "id", id)
		}
		if status, _, _ := b.ask("GET", "/account/contact/confirm?id="+phone.ID, nil); status != 405 {
			t.Errorf("GET: %d", status)
		}
		if res := b.once("POST", "/account/contact/confirm", url.Values{"id": {phone.ID}}, "Sec-Fetch-Site", "cross-site"); res.StatusCode != 403 {
			t.Errorf("from another site: %d", res.StatusCode)
		}
		b.post("/account/contact/confirm", url.Values{"id": {phone.ID}}).at("still-mine")
		page, code := b.URL.Path, w.sent(t, phone.Value)
		if status, _, _ := other.ask("POST", page, url.Values{"code": {code}}); status != 410 {
			t.Errorf("another browser: %d", status)
		}
		b.post("/account/freeze", nil)
		b.post(page, url.Values{"code": {code}})
		b.refused(403, "/account/contact/confirm", "id", phone.ID)
		if n := w.contact(t, "sure.one", idp.IdentifierPhone); !n.LastProvenAt.Equal(phone.LastProvenAt) || len(w.events(t, "sure.one", "channel.confirmed")) != 0 {
			t.Errorf("confirmed while frozen: %v", n.LastProvenAt)
		}
		other.post("/account/contact/confirm", url.Values{"id": {his.ID}}).at("still-mine")
		page, code = other.URL.Path, w.sent(t, his.Value)
		_, err := w.Service.Store.RemoveIdentifier(t.Context(), his.UserID, his.ID, time.Now())
		must(t, err)
		if other.post(page, url.Values{"code": {code}}); other.Status/100 != 4 || len(w.events(t, "sure.two", "channel.confirmed")) != 0 {
			t.Errorf("confirmed what is gone: %d", other.Status)
		}
	})
}

// Somebody binds a number to his own account and its code reaches him, but another account
// has it: there it is disputed for a week, its person hears of it elsewhere, and it goes on
// getting notices.
func TestDisputedNumber(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		had, has := w.settled(t, "number.old", "203.0.113.1"), w.settled(t, "number.new", "203.0.113.2")
		phone, mail := w.contact(t, "number.old", idp.IdentifierPhone), w.contact(t, "number.old", idp.IdentifierEmail)
		has.open("/account/contact/new?kind=phone").prove("number.new").at("contact").submit("contact", phone.Value).at("contact-code")
		has.submit("code", notThe(w.sent(t, phone.Value))).see(422, "不对")
		if n := w.contact(t, "number.old", idp.IdentifierPhone); !n.DisputedUntil.IsZero() {
			t.Fatal("disputed by who does not get its codes")
		}
		has.submit("code", w.sent(t, phone.Value)).see(422, "另一个账户")
		n := w.contact(t, "number.old", idp.IdentifierPhone)
		if left := time.Until(n.DisputedUntil); left < 6*24*time.Hour || left > 7*24*time.Hour || !n.Channel() {
			t.Fatalf("disputed for %v", left)
		}
		if m := w.contact(t, "number.old", idp.IdentifierEmail); !m.DisputedUntil.IsZero() {
			t.Error("the address is disputed, too")
		}
		if got := w.notices(t, "number.old", "channel.disputed"); len(got) != 1 || got[0].To != mail.Value || strings.Contains(got[0].Body, "number.new") {
			t.Errorf("%d notices: %+v", len(got), got)
		}
		events := w.events(t, "number.old", "channel.disputed")
		if len(events) != 1 || events[0].Actor != "system" || events[0].Network != "" {
			t.Errorf("%+v", events)
		}
		had.open("/account/contacts").see(200, "有争议").see(200, "不能帮您找回账户").see(200, "不是我的了")
		has.submit("code", w.sent(t, phone.Value)).see(422, "") // the code is spent
		if len(w.events(t, "number.old", "channel.disputed")) != 1 {
			t.Error("one code disputes twice")
		}
		time.Sleep(7 * 24 * time.Hour)
		had.open("/sign-in")
		if strings.HasSuffix(had.URL.Path, "/identify") {
			had.signIn("number.old")
		}
		if had.open("/account/contacts"); strings.Contains(had.Body, "有争议") {
			t.Error("disputed for ever")
		}
	})
}
