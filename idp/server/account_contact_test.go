package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// A phone goes after two fresh proofs, never the last channel; the old one hears of it
// and can bring it back for three days, by whoever holds it and can sign in.
func TestRemoveAndUndoContact(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "moves.one", "203.0.113.1")
		other := w.settled(t, "moves.two", "203.0.113.2")
		phone, mail := w.contact(t, "moves.one", idp.IdentifierPhone), w.contact(t, "moves.one", idp.IdentifierEmail)
		remove := func(n idp.Identifier) *browser {
			time.Sleep(6 * time.Minute)
			return b.open("/account/contact/remove?id="+n.ID).prove("moves.one").see(200, n.Masked()).submit("id")
		}
		b.refused(303, "/account/contact/remove", "id", phone.ID) // to the step-up
		if !w.contact(t, "moves.one", idp.IdentifierPhone).RemovedAt.IsZero() {
			t.Fatal("removed without fresh proofs")
		}
		remove(phone).see(200, "已经删除")
		if n := w.contact(t, "moves.one", idp.IdentifierPhone); n.RemovedAt.IsZero() || n.Channel() {
			t.Fatal("not removed")
		}
		b.open("/account/contact/remove?id="+mail.ID).see(403, "最后一个")
		b.refused(403, "/account/contact/remove", "id", mail.ID)
		b.refused(404, "/account/contact/remove", "id", phone.ID)
		told := w.notices(t, "moves.one", "channel.removed")
		if len(told) != 2 {
			t.Fatalf("%d notices, want one each", len(told))
		}
		for _, m := range told {
			if (undoLink.FindString(m.Body) != "") != (m.To == phone.Value) || !strings.Contains(m.Body, w.Issuer+"/stop?t=") {
				t.Errorf("to %s: %s", m.To, m.Body)
			}
		}
		link, token := w.linkOf(t, "moves.one", "channel.removed", undoLink)
		other.open(link).see(410, "不能用了") // signed in as another
		other.refused(410, "/undo", "token", token)
		phoneHolder := w.from(t, "203.0.113.3")
		phoneHolder.refused(303, "/undo", "token", token) // not signed in
		if !w.contact(t, "moves.one", idp.IdentifierPhone).RemovedAt.IsZero() == false {
			t.Fatal("undone without a sign-in")
		}
		time.Sleep(31 * time.Second)
		phoneHolder.open(link).see(200, "登录名").signIn("moves.one").see(200, phone.Masked())
		if w.contact(t, "moves.one", idp.IdentifierPhone).RemovedAt.IsZero() {
			t.Fatal("a GET brings it back")
		}
		phoneHolder.submit("token").see(200, phone.Masked())
		if !w.contact(t, "moves.one", idp.IdentifierPhone).Channel() {
			t.Fatal("not brought back")
		}
		phoneHolder.open(link).see(410, "不能用了")
		phoneHolder.refused(410, "/undo", "token", token)
		if len(w.events(t, "moves.one", "channel.undone")) != 1 || len(w.notices(t, "moves.one", "channel.undone")) != 2 {
			t.Error("event or notices of the undoing")
		}
		time.Sleep(11 * time.Minute)
		remove(phone).see(200, "已经删除")
		link, token = w.linkOf(t, "moves.one", "channel.removed", undoLink)
		b.post("/account/freeze", nil)
		b.open(link).see(403, "冻结")
		b.refused(403, "/undo", "token", token)
		_, err := w.Service.Store.UnfreezeUser(t.Context(), w.user(t, "moves.one").ID)
		must(t, err)
		time.Sleep(72 * time.Hour)
		b.open(link).see(410, "不能用了")
		b.refused(410, "/undo", "token", token)
	})
}

// Whoever changed a phone twice does not get away with it: undoing the first change
// takes back what came after.
func TestUndoChain(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "chain.one", "203.0.113.1")
		u, store, now := w.user(t, "chain.one"), w.Service.Store, time.Now()
		old := w.contact(t, "chain.one", idp.IdentifierPhone)
		var changes []idp.Change
		for i, number := range []string{"+8613700000001", "+8613700000002"} {
			n := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierPhone, Value: number, VerifiedAt: now}
			must(t, store.AddIdentifier(t.Context(), &n))
			_, err := store.RemoveIdentifier(t.Context(), u.ID, old.ID, now)
			must(t, err)
			c := idp.Change{UserID: u.ID, OldID: old.ID, NewID: n.ID, At: now.Add(time.Duration(i) * time.Second), Until: now.Add(72 * time.Hour)}
			must(t, store.CreateChange(t.Context(), &c))
			changes, old = append(changes, c), n
		}
		time.Sleep(31 * time.Second)
		b.open("/account/contacts").see(200, "改回")
		b.refused(303, "/account/contact/undo", "change", changes[0].ID)
		b.open("/account/contact/remove?id=" + old.ID).prove("chain.one")
		b.post("/account/contact/undo", url.Values{"change": {changes[0].ID}}).see(200, "已经改回")
		names := must2(store.Identifiers(t.Context(), u.ID))(t)
		for _, n := range names {
			if n.Kind == idp.IdentifierPhone && n.Channel() != (n.ID == changes[0].OldID) {
				t.Errorf("%s is a channel: %v", n.Value, n.Channel())
			}
		}
		b.refused(410, "/account/contact/undo", "change", changes[1].ID)
		b.refused(410, "/account/contact/undo", "change", changes[0].ID)
	})
}

// Somebody else has the old number by now: it is not taken from him.
func TestUndoOfWhatIsGone(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.settled(t, "gone.one", "203.0.113.1")
		phone := w.contact(t, "gone.one", idp.IdentifierPhone)
		b.open("/account/contact/remove?id="+phone.ID).prove("gone.one").submit("id").see(200, "已经删除")
		link, _ := w.linkOf(t, "gone.one", "channel.removed", undoLink)
		w.add(t, somebody{Login: "gone.two", Phone: phone.Value})
		b.open(link).see(200, "").submit("token").see(200, "改不回来了")
		if n := w.contact(t, "gone.two", idp.IdentifierPhone); !n.Channel() {
			t.Error("taken from its new owner")
		}
	})
}
