package server_test

import (
	"testing"
	"time"

	"hufu/idp"
)

// grantOf gives an application access in a person's name, on what his newest session has
// proved but by no session.
func (w *demoWorld) grantOf(t *testing.T, login, client, terminal string) string {
	t.Helper()
	id := w.grant(t, login, client, terminal, "openid", "offline_access")
	must(t, w.Service.Store.SetGrantProofs(t.Context(), id, w.sessions(t, login)[0].Proofs))
	return id
}

// What a person showed in an earlier step-up opens no way by itself: he is asked again,
// and comes through.
func TestSecondStepUp(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner, GraceFrom: time.Now()}, Login: "twice.one", Phone: "+8613900001111", Mail: "twice.one@example.com"})
		b := w.from(t, "203.0.113.1")
		b.try("twice.one", storyPassword).at("offer").submit("do", "later")
		stepUp := func() {
			t.Helper()
			time.Sleep(10 * time.Minute)
			b.post("/account/data", nil).see(200, "密码").submit("password", storyPassword)
			b.at("second").submit("code", w.sent(t, "+8613900001111")).at("/account/data")
		}
		stepUp()
		stepUp()

		codes := w.addCodes(t, u, 10)
		must(t, w.Service.Store.AddCredential(t.Context(), &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: []byte("lost with its phone")}))
		paper := w.from(t, "203.0.113.2")
		paper.try("twice.one", storyPassword).at("second").post(paper.URL.Path+"/way", map[string][]string{"way": {"backup"}}).submit("code", codes[0])
		device := w.internal()
		paper.at("choose-factor").submit("factor", "passkey").bind(device, "新手机")
		for range 2 {
			time.Sleep(10 * time.Minute)
			paper.post("/account/data", nil).assert(device).at("/account/data")
		}
	})
}

// A proof dies with its credential everywhere: applications sign in anew, a terminal in a
// shop goes on with what is still proved.
func TestProofsDieWithTheirCredential(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "dies.one", "203.0.113.1")
		app := w.grantOf(t, "dies.one", w.Clients["merchant_app"].ID, "")
		terminals, err := w.Service.Store.Terminals(t.Context(), "", "", 1)
		must(t, err)
		shop := w.grantOf(t, "dies.one", w.Clients["terminal"].ID, terminals[0].ID)
		b.open("/account/enrol?factor=passkey").prove("dies.one").bind(w.internal(), "手机")
		if b.URL.Path != "/account/factors" {
			b.keep()
		}
		time.Sleep(31 * time.Second)
		if !w.live(t, app) || !w.live(t, shop) {
			t.Fatal("ended before anything was removed")
		}
		id := w.holds(t, "dies.one", idp.MethodTOTP)
		b.open("/account/factors/remove?credential="+id).see(200, "").submit("credential")
		if w.holds(t, "dies.one", idp.MethodTOTP) != "" {
			t.Fatal("not removed: " + b.text())
		}
		if w.live(t, app) {
			t.Error("an application goes on with what a removed factor let in")
		}
		g, err := w.Service.Store.Grant(t.Context(), shop)
		must(t, err)
		if a := idp.Assess(g.Proofs); !g.EndedAt.IsZero() || a.ACR != idp.ACR1 {
			t.Errorf("the terminal's: ended %v, %v", g.EndedAt, a.ACR)
		}
	})
}

// Codes to a phone prove nothing any more once the phone is removed.
func TestProofsDieWithTheirPhone(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner, GraceFrom: time.Now()}, Login: "sim.one", Phone: "+8613900002222", Mail: "sim.one@example.com"})
		thief, owner := w.from(t, "203.0.113.9"), w.from(t, "203.0.113.1")
		stepUp := func(b *browser, path, to string) {
			t.Helper()
			if path == "/account/data" {
				b.post(path, nil)
			} else {
				b.open(path)
			}
			b.see(200, "密码").submit("password", storyPassword).at("second")
			if to[0] != '+' {
				way := "code:" + w.contact(t, "sim.one", idp.IdentifierEmail).ID
				b.post(b.URL.Path+"/way", map[string][]string{"way": {way}})
			}
			b.submit("code", w.sent(t, to))
		}
		for _, b := range []*browser{thief, owner} {
			b.try("sim.one", storyPassword).at("offer").submit("do", "later")
			time.Sleep(10 * time.Minute)
		}
		stepUp(thief, "/account/data", "+8613900002222")
		if w.acr(t, "sim.one"); len(w.sessions(t, "sim.one")) != 2 {
			t.Fatal("not two sessions")
		}
		time.Sleep(10 * time.Minute)
		stepUp(owner, "/account/contact/remove?id="+w.contact(t, "sim.one", idp.IdentifierPhone).ID, "sim.one@example.com")
		owner.submit("id").see(200, "已经删除")
		if live := w.sessions(t, "sim.one"); len(live) != 1 {
			t.Errorf("%d sessions live on", len(live))
		}
		thief.refused(303, "/account/contact/remove", "id", w.contact(t, "sim.one", idp.IdentifierEmail).ID)
	})
}

// A phone that staff entered is proved and used by its own owner; going back to an old one
// is no loss when the first change is undone.
func TestOwnUnprovedContact(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "own.one", "203.0.113.1")
		u, store := w.user(t, "own.one"), w.Service.Store
		n := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierPhone, Value: "+8613700000301"}
		must(t, store.AddIdentifier(t.Context(), &n))
		b.open("/account/contact/new?kind=phone").prove("own.one").at("contact").submit("contact", "13700000301").at("contact-code")
		b.submit("code", w.sent(t, "+8613700000301")).at("/account/contacts")
		if got := w.named(t, u.ID, "+8613700000301"); !got.Channel() || got.ID != n.ID {
			t.Errorf("%+v", got)
		}
	})
}

func TestUndoAfterGoingBack(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "back.one", "203.0.113.1")
		first := w.contact(t, "back.one", idp.IdentifierEmail)
		change := func(from, to string) {
			t.Helper()
			time.Sleep(6 * time.Minute)
			id := w.named(t, w.user(t, "back.one").ID, from).ID
			b.open("/account/contact/change?id="+id).prove("back.one").at("contact").submit("contact", to).at("contact-code")
			b.submit("code", w.sent(t, to)).at("/account/contacts")
		}
		change(first.Value, "other@example.com")
		link, _ := w.linkOf(t, "back.one", "channel.removed", undoLink)
		change("other@example.com", first.Value)
		time.Sleep(6 * time.Minute)
		b.open(link).see(200, "").submit("token")
		if n := w.named(t, w.user(t, "back.one").ID, first.Value); !n.Channel() {
			t.Error("the address he went back to is gone")
		}
	})
}
