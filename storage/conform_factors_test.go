package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// person makes an active user of the merchant.
func (c *conformity) person(ctx context.Context) idp.User {
	c.Helper()
	u := idp.User{Name: "陈静", Language: "zh-CN", Role: idp.RoleCashier, MerchantID: c.merchant.ID, Status: idp.UserActive}
	c.did(c.s.CreateUser(ctx, &u))
	return u
}

// refused says that a call did not take place: it is false, and no error.
func (c *conformity) refused(what string) func(bool, error) {
	return func(ok bool, err error) {
		c.Helper()
		c.did(err)
		c.is(!ok, what+" is not refused")
	}
}

// done says that a call of a method took place.
func (c *conformity) done(method string) func(bool, error) {
	return func(ok bool, err error) {
		c.Helper()
		c.did(err, method)
		c.is(ok, method)
	}
}

func (c *conformity) kind(err error, want idp.Kind, what string) {
	c.Helper()
	c.is(idp.KindOf(err) == want, what, err)
}

func (c *conformity) passkeys(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	key := idp.Credential{UserID: one.ID, Method: idp.MethodPasskey, Label: "手机", Data: []byte("key"), Lookup: []byte{1, 2, 3}}
	c.did(c.s.AddCredential(ctx, &key))
	found, err := c.s.CredentialByLookup(ctx, []byte{1, 2, 3})
	c.did(err, "CredentialByLookup")
	c.is(found.ID == key.ID && found.UserID == one.ID && string(found.Data) == "key" && found.Lookup == nil && found.ChangedAt.Equal(found.CreatedAt) && !found.CreatedAt.IsZero(), "passkey", found)
	for _, u := range []idp.User{one, two} {
		c.kind(c.s.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodPasskey, Lookup: []byte{1, 2, 3}}), idp.Conflict, "a passkey twice")
	}
	c.did(c.s.AddCredential(ctx, &idp.Credential{UserID: one.ID, Method: idp.MethodPasskey, Lookup: []byte{1, 2, 4}})) // a second one
	c.did(c.s.AddCredential(ctx, &idp.Credential{UserID: one.ID, Method: idp.MethodPasskey, Lookup: []byte{1, 2, 5}, Pending: true}))
	for _, name := range [][]byte{{1, 2}, {1, 2, 5}, {}, nil} { // unknown, pending, and none
		_, err = c.s.CredentialByLookup(ctx, name)
		c.kind(err, idp.NotFound, fmt.Sprint("a passkey named ", name))
	}
	c.done("RenameCredential")(c.s.RenameCredential(ctx, one.ID, key.ID, "电脑"))
	c.refused("another's label")(c.s.RenameCredential(ctx, two.ID, key.ID, "x"))
	c.done("BlockCredential")(c.s.BlockCredential(ctx, key.ID, "clone"))
	c.refused("a second block")(c.s.BlockCredential(ctx, key.ID, "other"))
	c.refused("a spent blocked one")(c.s.SpendCredential(ctx, key.ID, 1, []byte("x"), c.now))
	c.refused("a used blocked one")(c.s.UseCredential(ctx, key.ID, 7, c.now))
	c.refused("a touched blocked one")(c.s.TouchCredential(ctx, key.ID, 1, c.now))
	found, err = c.s.Credential(ctx, key.ID)
	c.did(err)
	c.is(found.Blocked == "clone" && found.Label == "电脑" && found.Counter == 0 && found.LastUsedAt.IsZero() && string(found.Data) == "key", "blocked", found)
}

func (c *conformity) backups(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	onPaper := idp.NewID()
	set := idp.Credential{ID: onPaper, UserID: one.ID, Method: idp.MethodBackup, Data: []byte("ten")}
	c.did(c.s.AddCredential(ctx, &set))
	c.is(set.ID == onPaper, "an id that it had", set)
	c.kind(c.s.AddCredential(ctx, &idp.Credential{UserID: one.ID, Method: idp.MethodBackup}), idp.Conflict, "a second set of codes")
	c.did(c.s.AddCredential(ctx, &idp.Credential{UserID: two.ID, Method: idp.MethodBackup}))
	_, err := c.s.FailCredential(ctx, set.ID, 100)
	c.did(err)
	c.done("SpendCredential")(c.s.SpendCredential(ctx, set.ID, 1, []byte("nine"), c.now))
	c.refused("an old version")(c.s.SpendCredential(ctx, set.ID, 1, []byte("ten"), c.now))
	got, err := c.s.Credential(ctx, set.ID)
	c.did(err)
	c.is(string(got.Data) == "nine" && got.Version == 2 && got.Failures == 0 && got.LastUsedAt.Equal(c.now) && got.ChangedAt.Equal(got.CreatedAt), "spent", got)
	c.done("ReplaceCredential")(c.s.ReplaceCredential(ctx, set.ID, 2, []byte("ten new")))
	after, err := c.s.Credential(ctx, set.ID)
	c.did(err)
	c.is(after.ChangedAt.After(got.ChangedAt) && after.CreatedAt.Equal(got.CreatedAt), "issued anew", after)
	c.done("RemoveCredential")(c.s.RemoveCredential(ctx, one.ID, set.ID))
	c.refused("a removed one")(c.s.SpendCredential(ctx, set.ID, 3, []byte("x"), c.now))
}

func (c *conformity) contacts(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	bind := func(u idp.User) (idp.Identifier, error) {
		n := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierPhone, Value: "+8613800000002", VerifiedAt: c.now}
		return n, c.s.AddIdentifier(ctx, &n)
	}
	phone, err := bind(one)
	c.did(err)
	_, err = bind(two)
	c.kind(err, idp.Conflict, "a phone that is another's")
	of := func() string {
		u, err := c.s.UserByIdentifier(ctx, idp.IdentifierPhone, "+8613800000002")
		if idp.KindOf(err) != idp.NotFound {
			c.did(err)
		}
		return u.ID
	}
	c.refused("another's phone")(c.s.RemoveIdentifier(ctx, two.ID, phone.ID, c.now))
	c.done("RemoveIdentifier")(c.s.RemoveIdentifier(ctx, one.ID, phone.ID, c.now))
	c.refused("a phone removed twice")(c.s.RemoveIdentifier(ctx, one.ID, phone.ID, c.now))
	again, err := bind(one) // his own: the same, bound anew
	c.did(err)
	c.is(again.ID == phone.ID && of() == one.ID, "bound again", again)
	c.done("RemoveIdentifier")(c.s.RemoveIdentifier(ctx, one.ID, phone.ID, c.now))
	names, err := c.s.Identifiers(ctx, one.ID)
	c.did(err)
	c.is(of() == "" && len(names) == 1 && names[0].RemovedAt.Equal(c.now) && !names[0].Channel(), "removed", of(), names)
	c.refused("another's removed phone")(c.s.RestoreIdentifier(ctx, two.ID, phone.ID))
	c.done("RestoreIdentifier")(c.s.RestoreIdentifier(ctx, one.ID, phone.ID))
	c.refused("a phone restored twice")(c.s.RestoreIdentifier(ctx, one.ID, phone.ID))
	c.is(of() == one.ID, "restored", of())
	c.done("RemoveIdentifier")(c.s.RemoveIdentifier(ctx, one.ID, phone.ID, c.now))
	_, err = bind(two) // free again
	c.did(err)
	c.refused("a phone that has gone to another")(c.s.RestoreIdentifier(ctx, one.ID, phone.ID))
	c.is(of() == two.ID, "whose phone", of())
}

func (c *conformity) usernames(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	name := func(u idp.User, v string) (idp.Identifier, error) {
		n := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierUsername, Value: v}
		return n, c.s.AddIdentifier(ctx, &n)
	}
	old, err := name(one, "chen.old")
	c.did(err)
	c.refused("a user name that is removed")(c.s.RemoveIdentifier(ctx, one.ID, old.ID, c.now))
	c.refused("a revived present name")(c.s.ReviveUsername(ctx, one.ID, old.ID))
	c.did(c.s.RetireUsernames(ctx, one.ID, c.now), "RetireUsernames")
	_, err = name(one, "chen.new")
	c.did(err)
	_, err = name(two, "chen.old")
	c.kind(err, idp.Conflict, "a former name of another")
	login := func(v string, former time.Time) bool {
		user, err := c.s.Login(ctx, idp.IdentifierUsername, v, former)
		c.did(err, "Login")
		return user == one.ID
	}
	c.is(login("chen.old", c.now.Add(-time.Microsecond)) && login("chen.old", time.Time{}) && !login("chen.old", c.now), "a former name")
	c.is(login("chen.new", c.now.Add(time.Hour)) && !login("nobody", time.Time{}), "a present name")
	found, err := c.s.UserByIdentifier(ctx, idp.IdentifierUsername, "chen.old")
	c.did(err)
	c.is(found.ID == one.ID, "who had the name", found)
	c.did(c.s.RetireUsernames(ctx, one.ID, c.now.Add(time.Hour)))
	c.is(!login("chen.old", c.now) && login("chen.new", c.now), "the time of a name given up before moved")
	c.refused("another's name")(c.s.ReviveUsername(ctx, two.ID, old.ID))
	c.done("ReviveUsername")(c.s.ReviveUsername(ctx, one.ID, old.ID))
	names, err := c.s.Identifiers(ctx, one.ID)
	c.did(err)
	c.is(login("chen.old", c.now.Add(time.Hour)) && !names[0].Former && names[0].RemovedAt.IsZero() && names[1].Former && names[1].RemovedAt.Equal(c.now.Add(time.Hour)), "revived", names)
}

func (c *conformity) browsers(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	make := func(u idp.User) idp.Browser {
		b := idp.Browser{UserID: u.ID, Label: "Firefox", Network: "203.0.113.0/24"}
		c.did(c.s.CreateBrowser(ctx, &b))
		return b
	}
	older, newer, other := make(one), make(one), make(two)
	c.done("MoveBrowser")(c.s.MoveBrowser(ctx, newer.ID, 1, "198.51.100.0/24", c.now.Add(time.Hour)))
	list, err := c.s.Browsers(ctx, one.ID)
	c.did(err, "Browsers")
	c.is(len(list) == 2 && list[0].ID == newer.ID && list[0].Network == "198.51.100.0/24" && list[1].Network == "203.0.113.0/24" && !list[0].Trusted(c.now), "browsers", list)
	until := c.now.Add(time.Hour)
	trusted := func(b idp.Browser) bool {
		found, err := c.s.Browser(ctx, b.ID)
		c.did(err)
		return found.TrustedUntil.Equal(until)
	}
	c.refused("trust in another's browser")(c.s.TrustBrowser(ctx, two.ID, newer.ID, until))
	for _, b := range []idp.Browser{older, newer, other} {
		c.done("TrustBrowser")(c.s.TrustBrowser(ctx, b.UserID, b.ID, until))
	}
	c.is(trusted(older) && trusted(newer) && trusted(other), "trusted")
	c.done("TrustBrowser")(c.s.TrustBrowser(ctx, one.ID, older.ID, time.Time{}))
	c.is(!trusted(older) && trusted(newer), "one distrusted")
	c.did(c.s.DistrustBrowsers(ctx, one.ID), "DistrustBrowsers")
	c.is(!trusted(newer) && trusted(other), "his browsers distrusted, not another's")
	c.done("RevokeBrowser")(c.s.RevokeBrowser(ctx, newer.ID))
	c.refused("trust in a revoked browser")(c.s.TrustBrowser(ctx, one.ID, newer.ID, until))
	list, err = c.s.Browsers(ctx, one.ID)
	c.did(err)
	c.is(len(list) == 1 && list[0].ID == older.ID, "after one was revoked", list)
}

func (c *conformity) links(ctx context.Context) {
	u := c.person(ctx)
	want := idp.Link{Kind: idp.LinkFreeze, UserID: u.ID, Object: "o", CreatedAt: c.now, ExpiresAt: c.now.Add(time.Hour)}
	c.did(c.s.CreateLink(ctx, []byte{0, 0xff}, want), "CreateLink")
	for range 2 { // it may be followed again
		got, err := c.s.Link(ctx, []byte{0, 0xff}, idp.LinkFreeze, c.now.Add(time.Hour-time.Microsecond))
		c.did(err, "Link")
		c.is(got == want, "link", got)
	}
	_, err := c.s.Link(ctx, []byte{0, 0xff}, idp.LinkUndo, c.now)
	c.kind(err, idp.NotFound, "a link of another kind")
	_, err = c.s.Link(ctx, []byte{0, 0xff}, idp.LinkFreeze, c.now.Add(time.Hour))
	c.kind(err, idp.NotFound, "an expired link")
	_, err = c.s.Link(ctx, []byte{0}, idp.LinkFreeze, c.now)
	c.kind(err, idp.NotFound, "an unknown link")
}

func (c *conformity) changes(ctx context.Context) {
	u := c.person(ctx)
	make := func(at time.Time) idp.Change {
		ch := idp.Change{UserID: u.ID, OldID: "old", NewID: "new", At: at, Until: at.Add(time.Hour)}
		c.did(c.s.CreateChange(ctx, &ch), "CreateChange")
		return ch
	}
	older, newer := make(c.now), make(c.now.Add(time.Minute))
	list := func(user string, now time.Time) (ids []string) {
		all, err := c.s.Changes(ctx, user, now)
		c.did(err, "Changes")
		for _, ch := range all {
			ids = append(ids, ch.ID)
		}
		return ids
	}
	c.is(slices.Equal(list(u.ID, c.now), []string{newer.ID, older.ID}) && len(list(c.person(ctx).ID, c.now)) == 0, "changes", list(u.ID, c.now))
	c.is(slices.Equal(list(u.ID, older.Until), []string{newer.ID}), "changes that can still be undone")
	c.refused("a change undone too late")(c.s.UndoChange(ctx, older.ID, older.Until))
	c.done("UndoChange")(c.s.UndoChange(ctx, older.ID, older.Until.Add(-time.Microsecond)))
	c.refused("a change undone twice")(c.s.UndoChange(ctx, older.ID, c.now))
	c.refused("an unknown change")(c.s.UndoChange(ctx, "none", c.now))
	got, err := c.s.Change(ctx, older.ID)
	c.did(err, "Change")
	older.UndoneAt = older.Until.Add(-time.Microsecond)
	c.is(got == older && slices.Equal(list(u.ID, c.now), []string{newer.ID}), "undone", got)
	_, err = c.s.Change(ctx, "none")
	c.kind(err, idp.NotFound, "an unknown change")
}

func (c *conformity) cases(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	open := func(u idp.User, merchant string, at time.Time) idp.Case {
		cs := idp.Case{Kind: "notme", UserID: u.ID, Merchant: merchant, OpenedBy: u.ID, OpenedAt: at, DueAt: at.Add(time.Hour), Data: map[string]any{"网络": "203.0.113.0/24"}}
		c.did(c.s.OpenCase(ctx, &cs), "OpenCase")
		return cs
	}
	a, b, d := open(one, "m1", c.now), open(one, "m2", c.now.Add(time.Second)), open(two, "m1", c.now.Add(2*time.Second))
	c.is(idp.ValidExplainCode(a.Number) && a.Number != b.Number && a.State == idp.CaseOpen, "numbers", a, b)
	c.done("CloseCase")(c.s.CloseCase(ctx, b.ID, c.now.Add(time.Minute)))
	c.refused("a case closed twice")(c.s.CloseCase(ctx, b.ID, c.now))
	c.refused("an unknown case")(c.s.CloseCase(ctx, "none", c.now))
	list := func(f storage.CaseFilter, limit int, want ...idp.Case) {
		c.Helper()
		got, err := c.s.Cases(ctx, f, limit)
		c.did(err, "Cases")
		same := slices.EqualFunc(got, want, func(x, y idp.Case) bool { return x.ID == y.ID })
		c.is(same, "cases", f, got)
	}
	list(storage.CaseFilter{}, 10, d, b, a)
	list(storage.CaseFilter{}, 2, d, b)
	list(storage.CaseFilter{Before: b.ID}, 2, a)
	list(storage.CaseFilter{User: one.ID}, 10, b, a)
	list(storage.CaseFilter{Merchant: "m1"}, 10, d, a)
	list(storage.CaseFilter{State: idp.CaseOpen}, 10, d, a)
	list(storage.CaseFilter{State: idp.CaseClosed, User: two.ID}, 10)
	staff := open(two, "", c.now.Add(3*time.Second))
	list(storage.CaseFilter{Staff: true, User: two.ID}, 10, staff)
	var kept struct{ Data []byte }
	c.did(c.s.Scan(ctx, &kept, "SELECT data FROM cases WHERE id = ?", a.ID))
	c.is(len(kept.Data) > 0 && !bytes.Contains(kept.Data, []byte("203.0.113")), "a case is not sealed", string(kept.Data))
	got, err := c.s.Case(ctx, b.ID)
	c.did(err, "Case")
	c.is(got.Number == b.Number && got.State == idp.CaseClosed && got.ClosedAt.Equal(c.now.Add(time.Minute)) && got.OpenedAt.Equal(b.OpenedAt) && got.DueAt.Equal(b.DueAt) &&
		got.OpenedBy == one.ID && maps.Equal(got.Data, b.Data), "case", got)
	_, err = c.s.Case(ctx, "none")
	c.kind(err, idp.NotFound, "an unknown case")
}

func (c *conformity) answers(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	c.did(c.s.Append(ctx, idp.Event{Name: "signin.succeeded", Subject: one.ID, Network: "203.0.113.0/24"}))
	list, err := c.s.Events(ctx, storage.EventFilter{Subject: one.ID}, 1)
	c.did(err)
	e, err := c.s.Event(ctx, list[0].ID)
	c.did(err, "Event")
	c.is(e.Subject == one.ID && e.Network == "203.0.113.0/24", "event", e)
	_, err = c.s.Event(ctx, "none")
	c.kind(err, idp.NotFound, "an unknown event")
	c.refused("an answer to another's event")(c.s.Answer(ctx, two.ID, e.ID, "me", c.now))
	c.refused("an answer to no event")(c.s.Answer(ctx, one.ID, "none", "me", c.now))
	c.done("Answer")(c.s.Answer(ctx, one.ID, e.ID, "not_me", c.now))
	c.refused("a second word")(c.s.Answer(ctx, one.ID, e.ID, "me", c.now))
	said, err := c.s.Answers(ctx, one.ID, []string{"none", e.ID})
	c.did(err, "Answers")
	c.is(maps.Equal(said, map[string]string{e.ID: "not_me"}), "answers", said)
	for _, ask := range []struct {
		user   string
		events []string
	}{{two.ID, []string{e.ID}}, {one.ID, nil}} {
		said, err = c.s.Answers(ctx, ask.user, ask.events)
		c.did(err)
		c.is(len(said) == 0, "answers", said)
	}
}

func (c *conformity) hours(ctx context.Context) {
	at := time.Unix(500_000*3600+59, 0)
	for _, when := range []time.Time{at, at.Add(time.Minute), at.Add(50 * time.Minute), at.Add(time.Hour), at.Add(-time.Hour)} {
		c.did(c.s.CountHour(ctx, "sms", 1, when), "CountHour")
	}
	c.did(c.s.CountHour(ctx, "mail", 7, at))
	got, err := c.s.Hours(ctx, "sms", at.Add(30*time.Minute))
	c.did(err, "Hours")
	c.is(maps.Equal(got, map[int64]int64{500_000: 3, 500_001: 1}), "hours", got)
	got, err = c.s.Hours(ctx, "mail", at)
	c.did(err)
	c.is(maps.Equal(got, map[int64]int64{500_000: 7}), "several at once", got)
	for _, n := range []int64{5, 4} {
		c.did(c.s.SetHour(ctx, "stand", n, at), "SetHour")
	}
	got, err = c.s.Hours(ctx, "stand", at)
	c.did(err)
	c.is(maps.Equal(got, map[int64]int64{500_000: 4}), "how it stands", got)
	got, err = c.s.Hours(ctx, "none", at)
	c.did(err)
	c.is(len(got) == 0, "hours of nothing", got)
}

func (c *conformity) places(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	for _, p := range []struct {
		user, place  string
		fresh, first bool
	}{{one.ID, "福州", true, true}, {one.ID, "福州", false, false}, {one.ID, "Berlin", true, false}, {one.ID, "福州", false, false}, {two.ID, "福州", true, true}} {
		fresh, first, err := c.s.NewPlace(ctx, p.user, p.place, c.now)
		c.did(err, "NewPlace")
		c.is(fresh == p.fresh && first == p.first, "place", p, fresh, first)
	}
}

func (c *conformity) sends(ctx context.Context) {
	here, there := []byte{1, 2}, []byte{3, 4}
	for i, s := range []struct {
		prefix  string
		network []byte
		user    string
	}{{"+8613", here, "a"}, {"+8613", there, "b"}, {"+447", here, "a"}} {
		c.did(c.s.AddSend(ctx, s.prefix, s.network, s.user, c.now.Add(time.Duration(i)*time.Second)), "AddSend")
	}
	sent := func(prefix string, network []byte, since time.Time) (to, from storage.Sent) {
		to, err := c.s.SentTo(ctx, prefix, since)
		c.did(err, "SentTo")
		from, err = c.s.SentFrom(ctx, network, since)
		c.did(err, "SentFrom")
		return to, from
	}
	want := func(prefix string, network []byte, since time.Time, to, from storage.Sent) {
		c.Helper()
		gotTo, gotFrom := sent(prefix, network, since)
		c.is(gotTo == to && gotFrom == from, "sends", prefix, gotTo, gotFrom)
	}
	past := c.now.Add(-time.Hour)
	want("+8613", here, past, storage.Sent{Sent: 2}, storage.Sent{Sent: 2})
	want("+8613", here, c.now, storage.Sent{Sent: 1}, storage.Sent{Sent: 1})
	c.did(c.s.UseSend(ctx, "nobody", c.now), "UseSend")
	c.did(c.s.UseSend(ctx, "a", c.now)) // the newest: to +447
	want("+447", here, past, storage.Sent{Sent: 1, Used: 1}, storage.Sent{Sent: 2, Used: 1})
	want("+8613", there, past, storage.Sent{Sent: 2}, storage.Sent{Sent: 1})
	want("+1", []byte{9}, past, storage.Sent{}, storage.Sent{})
}

func (c *conformity) tickets(ctx context.Context) {
	key, life := []byte{0xff, 7}, 10*time.Minute
	open := func(good, now time.Time) time.Time {
		at, err := c.s.OpenTicket(ctx, "ticket", key, good, life, now)
		c.did(err, "OpenTicket")
		return at
	}
	good := c.now.Add(time.Minute)
	c.is(open(good, c.now).Equal(good), "a ticket")
	c.is(open(good.Add(time.Minute), c.now).Equal(good) && open(good.Add(time.Hour), good.Add(life-time.Microsecond)).Equal(good), "the first ticket stays")
	c.refused("a ticket too early")(c.s.TakeTicket(ctx, "ticket", key, life, good.Add(-time.Microsecond)))
	c.refused("a ticket of another kind")(c.s.TakeTicket(ctx, "other", key, life, good))
	c.refused("a ticket too late")(c.s.TakeTicket(ctx, "ticket", key, life, good.Add(life)))
	c.done("TakeTicket")(c.s.TakeTicket(ctx, "ticket", key, life, good))
	c.refused("a ticket twice")(c.s.TakeTicket(ctx, "ticket", key, life, good))
	c.is(open(good, c.now).Equal(good), "another ticket")
	later := good.Add(life)
	c.is(open(later, later).Equal(later), "a ticket after one that was never taken")
	c.done("TakeTicket")(c.s.TakeTicket(ctx, "ticket", key, life, later))
}

func (c *conformity) failures(ctx context.Context) {
	key := []byte{0xff, 8}
	count := func(now time.Time) int {
		n, err := c.s.Failures(ctx, "f", key, time.Hour, now)
		c.did(err, "Failures")
		return n
	}
	c.is(count(c.now) == 0, "none")
	for range 2 {
		c.did(c.s.CountFailure(ctx, "f", key, time.Hour, c.now), "CountFailure")
	}
	c.is(count(c.now) == 2 && count(c.now.Add(time.Hour)) == 2 && count(c.now.Add(time.Hour+time.Microsecond)) == 0, "failures", count(c.now))
	c.did(c.s.ClearWait(ctx, "f", key))
	c.is(count(c.now) == 0, "forgotten")
	// However long it goes on, as many are counted as come in a window.
	for _, pace := range []struct {
		every time.Duration
		most  int
	}{{59 * time.Minute, 2}, {20 * time.Minute, 3}, {15 * time.Minute, 4}, {12 * time.Minute, 5}, {10 * time.Minute, 6}, {time.Hour, 1}} {
		at, n := c.now, 0
		for range 40 {
			c.did(c.s.CountFailure(ctx, "f", key, time.Hour, at))
			n = count(at)
			at = at.Add(pace.every)
		}
		c.is(n == pace.most, "one failure each", pace.every, n)
		c.did(c.s.ClearWait(ctx, "f", key))
	}

	c.did(c.s.Greet(ctx, key, "a", c.now))
	for _, g := range []struct {
		network []byte
		user    string
		since   time.Time
		want    bool
	}{{key, "a", c.now.Add(-time.Hour), true}, {key, "a", c.now, false}, {key, "b", c.now.Add(-time.Hour), false}, {[]byte{1}, "a", c.now.Add(-time.Hour), false}} {
		by, err := c.s.GreetedBy(ctx, g.network, g.user, g.since)
		c.did(err, "GreetedBy")
		c.is(by == g.want, "greeted by", g, by)
	}
}

func (c *conformity) freezes(ctx context.Context) {
	u, other := c.person(ctx), c.person(ctx)
	c.refused("a thaw of nobody frozen")(c.s.UnfreezeUser(ctx, u.ID))
	c.done("FreezeUser")(c.s.FreezeUser(ctx, u.ID, c.now))
	c.refused("a second freeze")(c.s.FreezeUser(ctx, u.ID, c.now.Add(time.Hour)))
	got, err := c.s.User(ctx, u.ID)
	c.did(err)
	c.is(got.Frozen && got.FrozenAt.Equal(c.now), "frozen", got)
	c.done("UnfreezeUser")(c.s.UnfreezeUser(ctx, u.ID))
	got, err = c.s.User(ctx, u.ID)
	c.did(err)
	c.is(!got.Frozen && got.FrozenAt.IsZero(), "thawed", got)

	handle := func(id string) []byte {
		h, err := c.s.Handle(ctx, id)
		c.did(err, "Handle")
		return h
	}
	first := handle(u.ID)
	c.is(len(first) == 64 && bytes.Equal(first, handle(u.ID)) && !bytes.Equal(first, handle(other.ID)), "handles", first)
}

func (c *conformity) sessionProofs(ctx context.Context) {
	d := *c
	d.user = c.person(ctx)
	one, two := d.session(ctx, "p1"), d.session(ctx, "p2")
	proofs := []idp.Proof{{User: d.user.ID, Credential: "key", Method: idp.MethodPasskey, At: c.now}}
	c.did(c.s.SetProofs(ctx, one.ID, proofs), "SetProofs")
	with := func(user, credential string) (ids []string) {
		list, err := c.s.ProvedWith(ctx, user, credential)
		c.did(err, "ProvedWith")
		for _, ss := range list {
			ids = append(ids, ss.ID)
		}
		return ids
	}
	c.is(slices.Equal(with(d.user.ID, "key"), []string{one.ID}) && len(with(d.user.ID, "other")) == 0 && len(with(c.user.ID, "key")) == 0, "proved with", with(d.user.ID, "key"))
	c.did(c.s.SetProofs(ctx, one.ID, nil))
	c.is(len(with(d.user.ID, "key")) == 0, "proofs taken back")
	_, err := c.s.EndSession(ctx, d.user.ID, two.ID, "x", c.now)
	c.did(err)
	c.did(c.s.SetProofs(ctx, two.ID, proofs)) // too late
	got, err := c.s.Session(ctx, two.ID)
	c.did(err)
	c.is(len(with(d.user.ID, "key")) == 0 && got.Proofs[0].Credential == "", "an ended session", got)
}

func (c *conformity) apps(ctx context.Context) {
	u := c.person(ctx)
	make := func(client, terminal string) idp.Grant {
		g := idp.Grant{UserID: u.ID, ClientID: client, TerminalID: terminal, Scopes: []string{"openid"}, CreatedAt: c.now, ExpiresAt: c.now.Add(time.Hour)}
		c.did(c.s.CreateGrant(ctx, &g))
		return g
	}
	mine, other := make("app", ""), make("other", "")
	make("app", "t1")
	for i, at := range []time.Time{c.now, c.now.Add(time.Minute), c.now.Add(time.Second)} {
		c.did(c.s.CreateToken(ctx, &storage.Token{Kind: storage.TokenRefresh, Signature: fmt.Sprint("used", i), Family: mine.ID, CreatedAt: at, ExpiresAt: c.now.Add(time.Hour), Data: []byte("{}")}))
	}
	used, err := c.s.GrantsUsed(ctx, []string{mine.ID, other.ID})
	c.did(err, "GrantsUsed")
	c.is(len(used) == 1 && used[mine.ID].Equal(c.now.Add(time.Minute)), "used", used)
	used, err = c.s.GrantsUsed(ctx, nil)
	c.did(err)
	c.is(len(used) == 0, "of no grants", used)
	proved := func() (ids []string) {
		found, err := c.s.GrantsProvedWith(ctx, u.ID, "key")
		c.did(err, "GrantsProvedWith")
		for _, g := range found {
			ids = append(ids, g.ID)
		}
		return ids
	}
	c.is(len(proved()) == 0, "nothing is proved", proved())
	c.did(c.s.SetGrantProofs(ctx, mine.ID, []idp.Proof{{Credential: "other"}, {Credential: "key"}}), "SetGrantProofs")
	c.is(slices.Equal(proved(), []string{mine.ID}), "proved with a key", proved())
	ids, err := c.s.EndClientGrants(ctx, c.user.ID, "app", "x", c.now)
	c.did(err, "EndClientGrants")
	c.is(len(ids) == 0 || !slices.Contains(ids, mine.ID), "another's grants", ids)
	ids, err = c.s.EndClientGrants(ctx, u.ID, "app", "x", c.now.Add(time.Hour))
	c.did(err)
	c.is(len(ids) == 0, "expired", ids)
	ids, err = c.s.EndClientGrants(ctx, u.ID, "app", "x", c.now)
	c.did(err)
	c.is(slices.Equal(ids, []string{mine.ID}), "of the client", ids)
	ids, err = c.s.EndClientGrants(ctx, u.ID, "app", "x", c.now)
	c.did(err)
	c.is(len(ids) == 0, "ended twice", ids)
	c.did(c.s.SetGrantProofs(ctx, mine.ID, nil), "SetGrantProofs")
	ended, err := c.s.Grant(ctx, mine.ID)
	c.did(err)
	c.is(len(proved()) == 0 && len(ended.Proofs) == 2, "an ended grant", ended)

	c.did(c.s.Consent(ctx, u.ID, "two", []string{"openid", "profile"}, c.now))
	c.did(c.s.Consent(ctx, u.ID, "one", []string{"openid"}, c.now))
	all, err := c.s.Consents(ctx, u.ID)
	c.did(err, "Consents")
	c.is(len(all) == 2 && all[0].ClientID == "one" && all[1].ClientID == "two" && slices.Equal(all[1].Scopes, []string{"openid", "profile"}) && all[1].At.Equal(c.now), "consents", all)
	c.done("WithdrawConsent")(c.s.WithdrawConsent(ctx, u.ID, "two"))
	c.refused("a consent withdrawn twice")(c.s.WithdrawConsent(ctx, u.ID, "two"))
	scopes, err := c.s.Consented(ctx, u.ID, "two")
	c.did(err)
	all, err = c.s.Consents(ctx, u.ID)
	c.did(err)
	c.is(len(scopes) == 0 && len(all) == 1, "withdrawn", scopes, all)
}

func (c *conformity) approvals(ctx context.Context) {
	one, two := c.person(ctx), c.person(ctx)
	ask := func(code string, u *idp.User) {
		d := idp.DeviceRequest{ClientID: "app", Scopes: []string{}, Choices: []int{}, CreatedAt: c.now, ExpiresAt: c.now.Add(time.Minute)}
		c.did(c.s.CreateDeviceRequest(ctx, &d, []byte(code), code, time.Second))
		if u == nil {
			return
		}
		g := idp.Grant{UserID: u.ID, ClientID: "app", CreatedAt: c.now, ExpiresAt: c.now.Add(time.Hour)}
		c.did(c.s.CreateGrant(ctx, &g))
		c.done("DecideDeviceRequest")(c.s.DecideDeviceRequest(ctx, d.ID, idp.DeviceApproved, g.ID, c.now))
	}
	ask("FGHJKLMN", &one)
	ask("GHJKLMNP", &two)
	ask("HJKLMNPQ", nil)
	ask("JKLMNPQR", &one)
	state := func(code string) idp.DeviceState {
		p, err := c.s.PollDevice(ctx, []byte(code), "app", "", c.now.Add(30*time.Second), time.Second)
		c.did(err)
		return p.Request.State
	}
	c.is(state("JKLMNPQR") == idp.DeviceApproved, "fetched")
	c.did(c.s.DenyApprovals(ctx, one.ID), "DenyApprovals")
	for code, want := range map[string]idp.DeviceState{"FGHJKLMN": idp.DeviceDenied, "GHJKLMNP": idp.DeviceApproved, "HJKLMNPQ": idp.DevicePending, "JKLMNPQR": idp.DeviceRedeemed} {
		got := state(code)
		c.is(got == want, "approval", code, got)
	}
}

// A reminder is for an active person with one of four things, and a page goes on
// after the last id of the one before.
func (c *conformity) reminders(ctx context.Context) {
	year := 365 * 24 * time.Hour
	ago := func(years int) time.Time { return c.now.Add(-time.Duration(years) * year) }
	page := func(after string, unproven, expiring time.Time, limit int) []string {
		ids, err := c.s.UsersToRemind(ctx, after, unproven, expiring, c.now.Add(-time.Hour), limit)
		c.did(err, "UsersToRemind")
		return ids
	}
	due := func(u idp.User, expiring time.Time) bool {
		return slices.Contains(page("", ago(1), expiring, 1000), u.ID)
	}
	expect := func(what string, u idp.User, want bool) {
		c.Helper()
		c.is(due(u, time.Time{}) == want, what)
	}
	bind := func(u idp.User, kind idp.IdentifierKind, value string, verified time.Time) idp.Identifier {
		n := idp.Identifier{UserID: u.ID, Kind: kind, Value: value, VerifiedAt: verified}
		c.did(c.s.AddIdentifier(ctx, &n))
		return n
	}

	u := c.person(ctx)
	expect("nothing to say", u, false)
	bind(u, idp.IdentifierEmail, "old@example.com", ago(2))
	expect("an old e-mail", u, false)
	phone := bind(u, idp.IdentifierPhone, "+8613800000011", time.Time{})
	expect("a phone never verified", u, false)
	c.did(c.s.ProveIdentifier(ctx, phone.ID, ago(2)))
	expect("a phone not proved for two years", u, true)
	c.did(c.s.ProveIdentifier(ctx, phone.ID, c.now))
	expect("a phone just proved", u, false)
	verified := bind(u, idp.IdentifierPhone, "+8613800000012", ago(2))
	expect("a phone not proved since it was verified", u, true)
	c.done("RemoveIdentifier")(c.s.RemoveIdentifier(ctx, u.ID, verified.ID, c.now))
	expect("a removed phone", u, false)

	told := c.person(ctx)
	c.did(c.s.Append(ctx, idp.Event{Name: "notice.held", Subject: told.ID, At: c.now.Add(-2 * time.Hour)}))
	expect("a notice held back long ago", told, false)
	c.did(c.s.Append(ctx, idp.Event{Name: "notice.held", Subject: told.ID, At: c.now}))
	expect("a notice held back", told, true)

	password := idp.Credential{UserID: u.ID, Method: idp.MethodPassword}
	c.did(c.s.AddCredential(ctx, &password))
	c.is(!due(u, time.Time{}) && !due(u, c.now.Add(-time.Hour)) && due(u, c.now.Add(time.Hour)), "a password set before a time")

	set := idp.Credential{UserID: u.ID, Method: idp.MethodBackup}
	c.did(c.s.AddCredential(ctx, &set))
	expect("a set of codes", u, false)
	c.done("SpendCredential")(c.s.SpendCredential(ctx, set.ID, 1, []byte("x"), c.now))
	expect("a code used", u, true)
	c.done("FreezeUser")(c.s.FreezeUser(ctx, u.ID, c.now))
	expect("frozen", u, false)
	c.done("UnfreezeUser")(c.s.UnfreezeUser(ctx, u.ID))
	c.done("SetUserStatus")(c.s.SetUserStatus(ctx, u.ID, idp.UserActive, idp.UserLeft))
	expect("left", u, false)

	for i := range 3 {
		bind(c.person(ctx), idp.IdentifierPhone, fmt.Sprint("+861380000002", i), ago(2))
	}
	all := page("", ago(1), time.Time{}, 1000)
	c.is(len(all) >= 3 && slices.IsSorted(all), "all", all)
	var paged []string
	for next := page("", ago(1), time.Time{}, 2); len(next) > 0; next = page(next[len(next)-1], ago(1), time.Time{}, 2) {
		paged = append(paged, next...)
	}
	c.is(slices.Equal(paged, all), "paged", paged, all)
}
