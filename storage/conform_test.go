package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A conformity is a store that both engines must behave alike in, with what its
// first calls made.
type conformity struct {
	*testing.T
	s        *storage.Store
	now      time.Time
	merchant idp.Merchant
	shop     idp.Store
	user     idp.User
	terminal idp.Terminal
	covered  map[string]bool
}

// did notes the methods that the lines before have called, and that they went well.
func (c *conformity) did(err error, methods ...string) {
	c.Helper()
	if err != nil {
		c.Fatalf("%s: %v", methods, err)
	}
	for _, m := range methods {
		c.covered[m] = true
	}
}

func (c *conformity) is(ok bool, what string, got ...any) {
	c.Helper()
	if !ok {
		c.Errorf("%s: %v", what, got)
	}
}

// TestEveryMethodOnBothEngines calls every method of Store on each engine: one that
// is missing here fails.
func TestEveryMethodOnBothEngines(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		c := &conformity{T: t, s: s, now: time.Now().Truncate(time.Microsecond).UTC(), covered: map[string]bool{}}
		for _, part := range []func(context.Context){c.house, c.merchants, c.users, c.credentials, c.sessions, c.flows, c.clients, c.grants, c.tokens, c.terminals,
			c.devices, c.limits, c.events, c.keys, c.passkeys, c.backups, c.contacts, c.usernames, c.browsers, c.links, c.changes, c.cases, c.answers, c.hours, c.places, c.sends,
			c.health, c.tickets, c.failures, c.freezes, c.sessionProofs, c.apps, c.approvals, c.reminders, c.editions, c.simulations, c.population, c.seed, c.ends, c.shops, c.recoveries, c.twoPeople, c.closing, c.rotation, c.handovers, c.shopCodes, c.desk} {
			part(t.Context())
		}
		kind := reflect.TypeOf(s)
		for i := range kind.NumMethod() {
			if name := kind.Method(i).Name; !c.covered[name] && name != "Close" && !slices.Contains([]string{"Exec", "Scan", "Waiting", "BeforeExec", "GroupMost"}, name) {
				t.Errorf("no call of Store.%s", name)
			}
		}
	})
}

func (c *conformity) house(ctx context.Context) {
	c.did(c.s.Ping(ctx), "Ping")
	c.did(c.s.Migrate(ctx), "Migrate") // a second time
	c.did(c.s.Ready(ctx), "Ready")
	c.is(bytes.Equal(c.s.MAC("a", []byte("v")), c.s.MAC("a", []byte("v"))) && !bytes.Equal(c.s.MAC("a", []byte("v")), c.s.MAC("b", []byte("v"))), "MAC")
	c.did(nil, "MAC")
	err := c.s.Tx(ctx, func(ctx context.Context) error {
		return c.s.Try(ctx, func(context.Context) error { return storage.Undo() })
	})
	c.did(err, "Tx", "Try")
	copied := filepath.Join(c.TempDir(), "copy.db")
	err = c.s.Copy(ctx, copied)
	c.did(nil, "Copy")
	if c.s.Dialect == storage.Postgres {
		c.is(err != nil, "a copy of PostgreSQL")
		return
	}
	c.did(err)
	other, err := storage.Open(ctx, "sqlite:"+copied, storagetest.Ring(), slog.New(slog.DiscardHandler))
	c.did(err)
	c.did(other.Ready(ctx))
	c.did(other.Close())
	c.is(c.s.Copy(ctx, copied) != nil, "a copy over another")
	for range 16 { // no connection of the readers' was left able to write
		var ids []string
		c.is(c.s.Scan(ctx, &ids, "DELETE FROM users RETURNING id") != nil, "a reader writes")
	}
}

func (c *conformity) merchants(ctx context.Context) {
	c.merchant = idp.Merchant{No: "822290059430001", LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantPending}
	c.did(c.s.CreateMerchant(ctx, &c.merchant), "CreateMerchant")
	again := c.merchant
	c.is(idp.KindOf(c.s.CreateMerchant(ctx, &again)) == idp.Conflict, "a number twice")
	ok, err := c.s.SetMerchantStatus(ctx, c.merchant.ID, idp.MerchantPending, idp.MerchantActive)
	c.did(err, "SetMerchantStatus")
	c.is(ok, "activated")
	got, err := c.s.Merchant(ctx, c.merchant.ID)
	c.did(err, "Merchant")
	c.is(got.LegalName == "林记小馆" && got.Status == idp.MerchantActive && got.CreatedAt.Equal(c.merchant.CreatedAt.Truncate(time.Microsecond)), "merchant", got)
	for _, f := range [][2]string{{"", ""}, {c.merchant.No, ""}, {"", "林记小馆"}} {
		list, err := c.s.Merchants(ctx, "", f[0], f[1], 10)
		c.did(err, "Merchants")
		c.is(len(list) == 1, "merchants", f, list)
	}
	for f, n := range map[storage.MerchantFilter]int{{Status: idp.MerchantActive}: 1, {Tier: idp.TierStandard}: 1, {Tier: idp.TierMicro}: 0, {After: c.merchant.No}: 0} {
		list, err := c.s.MerchantsBy(ctx, f, 10)
		c.did(err, "MerchantsBy")
		c.is(len(list) == n, "merchants by", f, list)
	}
	of, err := c.s.MerchantsOf(ctx, []string{c.merchant.ID, "", "none"})
	c.did(err, "MerchantsOf")
	c.is(len(of) == 1 && of[c.merchant.ID].No == c.merchant.No, "merchants of", of)
	c.shop = idp.Store{MerchantID: c.merchant.ID, Name: "鼓楼店", Place: "福州"}
	c.did(c.s.CreateStore(ctx, &c.shop), "CreateStore")
	shop, err := c.s.Store(ctx, c.shop.ID)
	c.did(err, "Store")
	shops, err := c.s.Stores(ctx, c.merchant.ID)
	c.did(err, "Stores")
	c.is(len(shops) == 1 && reflect.DeepEqual(shops[0], shop), "stores", shops)
	for f, n := range map[storage.StoreFilter]int{{}: 1, {Merchant: c.merchant.ID}: 1, {Merchant: "none"}: 0, {After: shop.ID}: 0, {ID: shop.ID}: 1, {ID: "none"}: 0} {
		list, err := c.s.StoresBy(ctx, f, 10)
		c.did(err, "StoresBy")
		c.is(len(list) == n, "stores by", f, list)
	}
	c.did(c.s.RenameStore(ctx, shop.ID, "东街店", "厦门"), "RenameStore")
	shop.Name, shop.Place = "东街店", "厦门"
	named, err := c.s.StoresOf(ctx, []string{shop.ID})
	c.did(err, "StoresOf")
	c.is(named[shop.ID] == shop, "stores of", named)
}

func (c *conformity) users(ctx context.Context) {
	c.user = idp.User{Name: "林薇", Language: "zh-CN", Role: idp.RoleOwner, MerchantID: c.merchant.ID, Status: idp.UserInvited}
	phone := idp.Identifier{Kind: idp.IdentifierPhone, Value: "+8613800000001"}
	c.did(c.s.CreateUser(ctx, &c.user, &phone), "CreateUser")
	c.did(c.s.AddIdentifier(ctx, &idp.Identifier{UserID: c.user.ID, Kind: idp.IdentifierUsername, Value: "lin.wei"}), "AddIdentifier")
	c.did(c.s.ProveIdentifier(ctx, phone.ID, c.now), "ProveIdentifier")
	names, err := c.s.Identifiers(ctx, c.user.ID)
	c.did(err, "Identifiers", "Lookup")
	c.is(len(names) == 2 && names[0].Value == "+8613800000001" && names[0].VerifiedAt.Equal(c.now), "identifiers", names)
	c.is(len(c.s.Lookup(idp.IdentifierPhone, "x")) == 32, "lookup")
	found, err := c.s.UserByIdentifier(ctx, idp.IdentifierUsername, "lin.wei")
	c.did(err, "UserByIdentifier")
	c.is(found.ID == c.user.ID && found.MerchantID == c.merchant.ID, "found", found)
	ok, err := c.s.SetUserStatus(ctx, c.user.ID, idp.UserInvited, idp.UserActive)
	c.did(err, "SetUserStatus")
	c.is(ok, "joined")
	_, err = c.s.LockUser(ctx, c.user.ID, "x")
	c.did(err, "LockUser")
	locked, err := c.s.LockUser(ctx, c.user.ID, "y")
	c.did(err, "LockUser")
	unlocked, err := c.s.UnlockUser(ctx, c.user.ID)
	c.did(err, "UnlockUser")
	c.is(!locked && unlocked, "locks", locked, unlocked)
	_, err = c.s.FreezeUser(ctx, c.user.ID, c.now)
	c.did(err, "FreezeUser")
	c.did(c.s.SetMustChange(ctx, c.user.ID, true), "SetMustChange")
	c.did(c.s.SetLanguage(ctx, c.user.ID, "en"), "SetLanguage")
	got, err := c.s.User(ctx, c.user.ID)
	c.did(err, "User")
	c.is(got.Name == "林薇" && got.Frozen && got.MustChange && got.Language == "en" && got.Locked == "" && got.Status == idp.UserActive && got.StoreID == "", "user", got)
	list, err := c.s.Users(ctx, storage.UserFilter{Merchant: c.merchant.ID, Status: "active", Roles: []idp.Role{idp.RoleOwner}}, 10)
	c.did(err, "Users")
	none, err := c.s.Users(ctx, storage.UserFilter{After: c.user.ID, Locked: true, Store: "x"}, 10)
	c.did(err)
	c.is(len(list) == 1 && len(none) == 0, "users", list, none)
	moved := got
	moved.StoreID = c.shop.ID
	placed, err := c.s.PlaceUser(ctx, moved, got)
	c.did(err, "PlaceUser")
	backed, err := c.s.PlaceUser(ctx, got, moved)
	c.did(err)
	late, err := c.s.PlaceUser(ctx, got, moved)
	c.did(err)
	c.is(placed && backed && !late, "placed", placed, backed, late)
	_, err = c.s.HoldUser(ctx, c.user.ID)
	c.is(err != nil, "held outside a transaction")
	_, err = c.s.HoldMerchant(ctx, c.merchant.ID)
	c.is(err != nil, "held outside a transaction")
	c.did(c.s.Tx(ctx, func(ctx context.Context) error {
		u, err := c.s.HoldUser(ctx, c.user.ID)
		c.is(u.ID == c.user.ID, "held", u, err)
		m, err := c.s.HoldMerchant(ctx, c.merchant.ID)
		c.is(m.ID == c.merchant.ID, "held", m, err)
		_, err = c.s.HoldMerchant(ctx, "none")
		c.is(idp.KindOf(err) == idp.NotFound, "held", err)
		ids, err := c.s.HoldActive(ctx, idp.RoleOwner)
		c.is(slices.Equal(ids, []string{c.user.ID}), "held", ids)
		return err
	}), "HoldUser", "HoldActive", "HoldMerchant")
	counts, err := c.s.Stand(ctx, c.now)
	c.did(err, "Stand")
	c.is(counts.Users["active"] == 1 && counts.Merchants["active"] == 1, "counts", counts)
	frozen, err := c.s.Users(ctx, storage.UserFilter{Frozen: true}, 10)
	c.did(err)
	of, err := c.s.UsersOf(ctx, []string{c.user.ID, "system"})
	c.did(err, "UsersOf")
	c.is(len(frozen) == 1 && len(of) == 1 && of[c.user.ID].Name == c.user.Name, "users of", frozen, of)
	theirs, err := c.s.IdentifiersOf(ctx, []string{c.user.ID})
	c.did(err, "IdentifiersOf")
	own, err := c.s.Identifiers(ctx, c.user.ID)
	c.did(err)
	c.is(reflect.DeepEqual(theirs[c.user.ID], own) && len(own) > 0, "identifiers of", theirs)
}

func (c *conformity) health(ctx context.Context) {
	holds, keys, err := c.s.RingHolds(ctx)
	c.did(err, "RingHolds")
	c.is(holds && keys == 1, "ring", holds, keys)
	for i, at := range []time.Time{c.now.Add(-8 * 24 * time.Hour), c.now.Add(-time.Hour), c.now} {
		r := storage.Replica{ID: "r" + strconv.Itoa(i), Host: "h", Version: "v1", StartedAt: at, SeenAt: at}
		c.did(c.s.Beat(ctx, r), "Beat")
		c.did(c.s.JobRan(ctx, storage.JobRun{Name: "sweep", Replica: r.ID, At: at, Took: time.Second, Failed: i == 2}), "JobRan")
		r.SeenAt = r.SeenAt.Add(time.Millisecond)
		c.did(c.s.Beat(ctx, r))
	}
	live, err := c.s.Replicas(ctx, c.now.Add(-365*24*time.Hour))
	c.did(err, "Replicas")
	c.is(len(live) == 2 && live[0].ID == "r2" && live[0].SeenAt.Equal(c.now.Add(time.Millisecond)) && live[0].StartedAt.Equal(c.now), "replicas", live)
	runs, err := c.s.JobRuns(ctx)
	c.did(err, "JobRuns")
	c.is(len(runs) == 1 && runs[0].Replica == "r2" && runs[0].Failed && runs[0].Took == time.Second, "runs", runs)
	day, err := c.s.CountDay(ctx, c.now, c.now.Add(time.Hour))
	c.did(err, "CountDay")
	adoption, err := c.s.Adoption(ctx)
	c.did(err, "Adoption")
	methods, err := c.s.MethodsOf(ctx, []string{c.user.ID})
	c.did(err, "MethodsOf")
	_, err = c.s.CaseByNumber(ctx, "000-000-0000")
	c.is(idp.KindOf(err) == idp.NotFound, "a case of no number", err)
	c.did(nil, "CaseByNumber")
	c.is(day.Start.Equal(c.now) && adoption.People > 0, "numbers", day, adoption, methods)
}

func (c *conformity) credentials(ctx context.Context) {
	cr := idp.Credential{UserID: c.user.ID, Method: idp.MethodPassword, Data: []byte("one")}
	c.did(c.s.AddCredential(ctx, &cr), "AddCredential")
	ok, err := c.s.ReplaceCredential(ctx, cr.ID, 1, []byte("two"))
	c.did(err, "ReplaceCredential")
	late, err := c.s.ReplaceCredential(ctx, cr.ID, 1, []byte("late"))
	c.did(err)
	former, err := c.s.FormerPasswords(ctx, c.user.ID)
	c.did(err, "FormerPasswords")
	c.is(!late && len(former) == 1 && string(former[0].Hash) == "one" && !former[0].Until.IsZero(), "former passwords", late, former)
	c.did(c.s.RehashCredential(ctx, cr.ID, 2, []byte("three")), "RehashCredential")
	used, err := c.s.UseCredential(ctx, cr.ID, 5, c.now)
	c.did(err, "UseCredential")
	touched, err := c.s.TouchCredential(ctx, cr.ID, 1, c.now) // an older version
	c.did(err, "TouchCredential")
	c.is(ok && used && !touched, "changes", ok, used, touched)
	closed, err := c.s.FailCredential(ctx, cr.ID, 1)
	c.did(err, "FailCredential")
	got, err := c.s.Credential(ctx, cr.ID)
	c.did(err, "Credential")
	c.is(closed && got.Closed && got.Failures == 1 && string(got.Data) == "three" && got.Version == 2 && got.Counter == 5 && got.LastUsedAt.Equal(c.now), "credential", got)
	c.did(c.s.OpenCredential(ctx, cr.ID), "OpenCredential")
	list, err := c.s.Credentials(ctx, c.user.ID)
	c.did(err, "Credentials")
	c.is(len(list) == 1 && !list[0].Closed, "credentials", list)
	removed, err := c.s.RemoveCredential(ctx, c.user.ID, cr.ID)
	c.did(err, "RemoveCredential")
	c.is(removed, "removed")
}

func (c *conformity) session(ctx context.Context, token string) idp.Session {
	ss := idp.Session{UserID: c.user.ID, Proofs: []idp.Proof{{User: c.user.ID, Method: idp.MethodPassword, At: c.now}}, Device: "Chrome", CreatedAt: c.now, LastSeenAt: c.now,
		IdleUntil: c.now.Add(time.Hour), ExpiresAt: c.now.Add(2 * time.Hour)}
	c.did(c.s.CreateSession(ctx, &ss, []byte(token)), "CreateSession")
	return ss
}

func (c *conformity) sessions(ctx context.Context) {
	one, two := c.session(ctx, "t1"), c.session(ctx, "t2")
	got, err := c.s.SessionByToken(ctx, []byte("t1"), c.now)
	c.did(err, "SessionByToken")
	c.is(got.ID == one.ID && len(got.Proofs) == 1 && got.Proofs[0].At.Equal(c.now), "session", got)
	list, err := c.s.Sessions(ctx, c.user.ID, c.now)
	c.did(err, "Sessions")
	c.is(len(list) == 2, "sessions", list)
	c.did(c.s.SeeSession(ctx, one.ID, c.now.Add(time.Minute), c.now.Add(90*time.Minute)), "SeeSession")
	held := func(id string) (live bool) {
		c.did(c.s.Tx(ctx, func(ctx context.Context) (err error) { live, err = c.s.HoldSession(ctx, id); return err }), "HoldSession")
		return live
	}
	c.is(held(one.ID) && !held("no session"), "held")
	renewed, err := c.s.RenewSession(ctx, one.ID, one.Proofs, []byte("t3"))
	c.did(err, "RenewSession")
	_, err = c.s.SessionByToken(ctx, []byte("t1"), c.now)
	c.is(renewed && idp.KindOf(err) == idp.NotFound, "the old cookie", err)
	ended, err := c.s.EndSession(ctx, c.user.ID, one.ID, "x", c.now)
	c.did(err, "EndSession")
	ids, err := c.s.EndSessions(ctx, c.user.ID, "", "y", c.now)
	c.did(err, "EndSessions")
	c.is(ended && slices.Equal(ids, []string{two.ID}), "ended", ids)
	got, err = c.s.Session(ctx, one.ID)
	c.did(err, "Session")
	c.is(got.EndedReason == "x" && got.LastSeenAt.Equal(c.now.Add(time.Minute)), "ended", got)

	b := idp.Browser{UserID: c.user.ID, Label: "Chrome"}
	c.did(c.s.CreateBrowser(ctx, &b), "CreateBrowser")
	moved, err := c.s.MoveBrowser(ctx, b.ID, 1, "203.0.113.0/24", c.now)
	c.did(err, "MoveBrowser")
	found, err := c.s.Browser(ctx, b.ID)
	c.did(err, "Browser")
	c.is(moved && found.Generation == 2, "browser", found)
	c.did(c.s.TrimBrowsers(ctx, c.user.ID, 1), "TrimBrowsers")
	revoked, err := c.s.RevokeBrowser(ctx, b.ID)
	c.did(err, "RevokeBrowser")
	c.did(c.s.RevokeBrowsers(ctx, c.user.ID, ""), "RevokeBrowsers")
	_, err = c.s.Browser(ctx, b.ID)
	c.is(revoked && idp.KindOf(err) == idp.NotFound, "revoked", err)
}

func (c *conformity) flow(ctx context.Context, token string) idp.Flow {
	f := idp.Flow{Demand: idp.Demand{Kind: idp.FlowSignIn, Return: "/account"}, User: c.user.ID, Facts: []byte(`{"a":1}`), CreatedAt: c.now, ExpiresAt: c.now.Add(time.Minute), EndsAt: c.now.Add(time.Hour)}
	c.did(c.s.OpenFlow(ctx, &f, []byte(token), []byte("b")), "OpenFlow")
	return f
}

func (c *conformity) flows(ctx context.Context) {
	f := c.flow(ctx, "f1")
	f.Facts = []byte(`{"a":2}`)
	saved, err := c.s.SaveFlow(ctx, &f, []byte("f2"))
	c.did(err, "SaveFlow")
	stale := f
	stale.Version = 1
	again, err := c.s.SaveFlow(ctx, &stale, []byte("f3"))
	c.did(err)
	got, err := c.s.Flow(ctx, []byte("f2"), []byte("b"), c.now)
	c.did(err, "Flow")
	c.is(saved && !again && string(got.Facts) == `{"a":2}` && got.Demand.Return == "/account", "flow", got)
	_, err = c.s.Flow(ctx, []byte("f2"), []byte("other browser"), c.now)
	c.is(idp.KindOf(err) == idp.NotFound, "another browser", err)
	closed, err := c.s.CloseFlow(ctx, &f)
	c.did(err, "CloseFlow")
	c.is(closed, "closed")
	c.flow(ctx, "f5")
	c.did(c.s.DropFlows(ctx, []byte("b")), "DropFlows")
	_, err = c.s.Flow(ctx, []byte("f5"), []byte("b"), c.now)
	c.is(idp.KindOf(err) == idp.NotFound, "dropped", err)
	c.flow(ctx, "f4")
	holders, err := c.s.Holders(ctx, "", c.now, 100)
	c.did(err, "Holders")
	c.is(slices.Contains(holders, c.user.ID) && slices.IsSorted(holders), "holders", holders)
	past, err := c.s.Holders(ctx, holders[len(holders)-1], c.now, 100)
	c.did(err)
	c.is(len(past) == 0, "holders after the last", past)
	c.did(c.s.EndAll(ctx, c.user, storage.Keep{}, "test", idp.Event{}), "EndAll")
	_, err = c.s.Flow(ctx, []byte("f4"), []byte("b"), c.now)
	c.is(idp.KindOf(err) == idp.NotFound, "ended", err)
}

func (c *conformity) clients(ctx context.Context) {
	c.did(c.s.CreateClient(ctx, &idp.Client{ID: "app", Name: "App", Redirects: []string{"https://a.example/cb"}}), "CreateClient")
	changed, err := c.s.SetClientSecrets(ctx, "app", 1, [][]byte{{1, 2}})
	c.did(err, "SetClientSecrets")
	late, err := c.s.SetClientSecrets(ctx, "app", 1, [][]byte{{3, 4}})
	c.did(err)
	now, err := c.s.ClientNow(ctx, "app")
	c.did(err, "ClientNow")
	c.is(!late && now.Version == 2 && bytes.Equal(now.SecretHashes[0], []byte{1, 2}), "secrets", now)
	disabled, err := c.s.SetClientDisabled(ctx, "app", true)
	c.did(err, "SetClientDisabled")
	got, err := c.s.Client(ctx, "app")
	c.did(err, "Client")
	c.is(changed && disabled && got.Disabled && bytes.Equal(got.SecretHashes[0], []byte{1, 2}) && got.Redirects[0] == "https://a.example/cb", "client", got)
	list, err := c.s.Clients(ctx)
	c.did(err, "Clients")
	c.is(len(list) == 1, "clients", list)
	c.did(c.s.Consent(ctx, c.user.ID, "app", []string{"openid"}, c.now), "Consent")
	c.did(c.s.Consent(ctx, c.user.ID, "app", []string{"openid", "profile"}, c.now.Add(time.Second)))
	scopes, err := c.s.Consented(ctx, c.user.ID, "app")
	c.did(err, "Consented")
	at, err := c.s.ConsentedAt(ctx, c.user.ID, "app")
	c.did(err, "ConsentedAt")
	c.is(len(scopes) == 2 && at.Equal(c.now.Add(time.Second)), "consent", scopes, at)
}

func (c *conformity) grant(ctx context.Context, terminal, session string, scopes ...string) idp.Grant {
	g := idp.Grant{UserID: c.user.ID, ClientID: "app", TerminalID: terminal, SessionID: session, Scopes: scopes, CreatedAt: c.now, ExpiresAt: c.now.Add(time.Hour)}
	c.did(c.s.CreateGrant(ctx, &g), "CreateGrant")
	return g
}

func (c *conformity) grants(ctx context.Context) {
	g := c.grant(ctx, "", "s", "openid")
	got, err := c.s.Grant(ctx, g.ID)
	c.did(err, "Grant")
	c.is(got.UserID == c.user.ID && slices.Equal(got.Scopes, g.Scopes) && got.ExpiresAt.Equal(g.ExpiresAt), "grant", got)
	list, err := c.s.Grants(ctx, c.user.ID)
	c.did(err, "Grants")
	c.is(len(list) == 1, "grants", list)
	p, err := c.s.Parties(ctx, g.ID)
	c.did(err, "Parties")
	c.is(p.User.ID == c.user.ID && p.Merchant.ID == c.merchant.ID && p.Client.ID == "app" && p.Terminal == nil, "parties", p)
	ended, err := c.s.EndGrant(ctx, g.ID, "x", c.now)
	c.did(err, "EndGrant")
	twice, err := c.s.EndGrant(ctx, g.ID, "x", c.now)
	c.did(err)
	c.is(ended && !twice, "ended", ended, twice)
	lasting, brief := c.grant(ctx, "", "s2", "openid", "offline_access"), c.grant(ctx, "", "s2", "openid")
	ids, err := c.s.EndSessionGrants(ctx, "s2", "session", c.now)
	c.did(err, "EndSessionGrants")
	c.is(slices.Equal(ids, []string{brief.ID}), "of the session", ids)
	ids, err = c.s.EndUserGrants(ctx, c.user.ID, "y", c.now)
	c.did(err, "EndUserGrants")
	c.is(slices.Equal(ids, []string{lasting.ID}), "of the user", ids)
	g = c.grant(ctx, "t9", "", "openid")
	ids, err = c.s.EndTerminalGrants(ctx, "t9", "z", c.now)
	c.did(err, "EndTerminalGrants")
	c.is(slices.Equal(ids, []string{g.ID}), "of the terminal", ids)
	g = c.grant(ctx, "", "", "openid")
	extended, err := c.s.ExtendGrant(ctx, g.ID, c.now.Add(2*time.Hour))
	c.did(err, "ExtendGrant")
	late, err := c.s.ExtendGrant(ctx, brief.ID, c.now.Add(2*time.Hour))
	c.did(err)
	got, err = c.s.Grant(ctx, g.ID)
	c.did(err)
	c.is(extended && !late && got.ExpiresAt.Equal(c.now.Add(2*time.Hour)), "extended", extended, late, got)
	newer := c.grant(ctx, "", "", "openid")
	_, err = c.s.ExtendGrant(ctx, newer.ID, c.now.Add(time.Minute))
	c.did(err)
	ids, err = c.s.LimitGrants(ctx, newer, 2, "limit", c.now, c.now)
	c.did(err, "LimitGrants")
	c.is(len(ids) == 0, "as many as may be", ids)
	ids, err = c.s.LimitGrants(ctx, c.grant(ctx, "t10", "", "openid"), 1, "limit", c.now, c.now)
	c.did(err)
	c.is(len(ids) == 0, "of another terminal", ids)
	ids, err = c.s.LimitGrants(ctx, g, 1, "limit", c.now.Add(time.Minute), c.now)
	c.did(err)
	c.is(len(ids) == 0, "soon gone", ids)
	ids, err = c.s.LimitGrants(ctx, g, 1, "limit", c.now, c.now)
	c.did(err)
	c.is(slices.Equal(ids, []string{newer.ID}), "over the limit", ids)
	ids, err = c.s.EndTerminalGrants(ctx, "t10", "z", c.now.Add(2*time.Hour))
	c.did(err)
	c.is(len(ids) == 0, "expired", ids)
	_, err = c.s.EndTerminalGrants(ctx, "t10", "z", c.now)
	c.did(err)
	ids, err = c.s.EndMerchantGrants(ctx, c.merchant.ID, "z", c.now)
	c.did(err, "EndMerchantGrants")
	c.is(slices.Equal(ids, []string{g.ID}), "of the merchant", ids)
}

func (c *conformity) tokens(ctx context.Context) {
	make := func(sig string, life time.Duration) storage.Token {
		t := storage.Token{Kind: storage.TokenRefresh, Signature: sig, Family: "g", ClientID: "app", CreatedAt: c.now, ExpiresAt: c.now.Add(life), Data: []byte("{}")}
		c.did(c.s.CreateToken(ctx, &t), "CreateToken")
		return t
	}
	t := make("a", time.Hour)
	t.Data = []byte(`{"n":1}`)
	saved, err := c.s.SaveToken(ctx, &t, c.now)
	c.did(err, "SaveToken")
	rotated, err := c.s.RotateToken(ctx, t.Kind, "a", "next", c.now)
	c.did(err, "RotateToken")
	twice, err := c.s.UseToken(ctx, t.Kind, "a", c.now)
	c.did(err, "UseToken")
	got, err := c.s.Token(ctx, t.Kind, "a")
	c.did(err, "Token")
	c.is(saved && rotated && !twice && !got.Active && got.Successor == "next" && string(got.Data) == `{"n":1}` && got.UsedAt.Equal(c.now), "token", got)
	make("old", -time.Hour)
	n, err := c.s.TrimTokens(ctx, c.now, 10)
	c.did(err, "TrimTokens")
	c.is(n == 1, "trimmed", n)

	c.did(c.s.CreateInvite(ctx, c.user.ID, "first", c.now.Add(time.Hour)), "CreateInvite")
	c.did(c.s.CreateInvite(ctx, c.user.ID, "second", c.now.Add(time.Hour)))
	_, first, err := c.s.Invite(ctx, "first", c.now)
	c.did(err, "Invite")
	who, second, err := c.s.UseInvite(ctx, "second", c.now)
	c.did(err, "UseInvite")
	c.is(!first && second && who == c.user.ID, "invites", first, second, who)
	c.did(c.s.VoidInvites(ctx, c.user.ID), "VoidInvites")
}

func (c *conformity) terminals(ctx context.Context) {
	c.terminal = idp.Terminal{Serial: "HFE2012345678", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: c.merchant.ID, StoreID: c.shop.ID, State: idp.TerminalNew}
	c.did(c.s.CreateTerminal(ctx, &c.terminal), "CreateTerminal")
	twice := c.terminal
	c.is(idp.KindOf(c.s.CreateTerminal(ctx, &twice)) == idp.Conflict, "a serial twice")
	activated, err := c.s.ActivateTerminal(ctx, c.terminal.ID, c.now)
	c.did(err, "ActivateTerminal")
	c.did(c.s.SeeTerminal(ctx, c.terminal, c.now), "SeeTerminal")
	bound, err := c.s.BindTerminalKey(ctx, c.terminal.ID, "", "k1", c.now)
	c.did(err, "BindTerminalKey")
	again, err := c.s.BindTerminalKey(ctx, c.terminal.ID, "", "k2", c.now)
	c.did(err)
	c.is(bound && !again, "keys", bound, again)
	moved, err := c.s.SetTerminalState(ctx, c.terminal.ID, idp.TerminalNew, idp.TerminalLost)
	c.did(err, "SetTerminalState")
	got, err := c.s.Terminal(ctx, c.terminal.ID)
	c.did(err, "Terminal")
	same, err := c.s.TerminalBySerial(ctx, c.terminal.Serial)
	c.did(err, "TerminalBySerial")
	c.is(activated && !moved && got.State == idp.TerminalActive && got.LastSeenAt.Equal(c.now) && got.Key == "k1" && got.KeyAt.Equal(c.now) && reflect.DeepEqual(got, same), "terminal", got, same)
	for f, n := range map[storage.TerminalFilter]int{{Store: c.shop.ID}: 1, {Merchant: c.merchant.ID, State: idp.TerminalLost}: 0} {
		list, err := c.s.TerminalsBy(ctx, f, 10)
		c.did(err, "TerminalsBy")
		c.is(len(list) == n, "terminals by", f, list)
	}
	list, err := c.s.Terminals(ctx, "", c.merchant.ID, 10)
	c.did(err, "Terminals")
	c.is(len(list) == 1, "terminals", list)
	counts, err := c.s.CountShop(ctx, c.merchant.ID, c.shop.ID)
	c.did(err, "CountShop")
	c.is(counts.Stores == 1 && counts.Terminals == 1 && counts.TerminalsActive == 1 && counts.Staff == 0, "shop", counts)
	ok, err := c.s.SetTerminalState(ctx, c.terminal.ID, idp.TerminalActive, idp.TerminalLost)
	c.did(err)
	revived, err := c.s.ReviveTerminal(ctx, c.terminal.ID, idp.TerminalLost, c.now)
	c.did(err, "ReviveTerminal")
	c.is(ok && revived, "revived", ok, revived)
	c.did(c.s.SeeTerminal(ctx, c.terminal, c.now))
	c.terminalKeys(ctx)
}

// One key stands for one terminal, until that is retired; a terminal is seen once a minute.
func (c *conformity) terminalKeys(ctx context.Context) {
	other := idp.Terminal{Serial: "HFE2087654321", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: c.merchant.ID, StoreID: c.shop.ID, State: idp.TerminalLost}
	c.did(c.s.CreateTerminal(ctx, &other))
	bind := func(key string) error {
		_, err := c.s.BindTerminalKey(ctx, other.ID, "", key, c.now)
		return err
	}
	c.is(idp.KindOf(bind("k1")) == idp.Conflict && bind("k3") == nil, "a key of another terminal")
	_, err := c.s.SetTerminalState(ctx, other.ID, idp.TerminalLost, idp.TerminalRetired)
	c.did(err)
	moved, err := c.s.BindTerminalKey(ctx, c.terminal.ID, "k1", "k3", c.now)
	c.did(err)
	c.is(moved, "a key of a retired one")
	for after, want := range map[time.Duration]time.Duration{storage.SeenEvery - 1000: 0, storage.SeenEvery: storage.SeenEvery} {
		c.did(c.s.SeeTerminal(ctx, other, c.now)) // as one that was loaded before
		c.did(c.s.SeeTerminal(ctx, other, c.now.Add(after)))
		got, err := c.s.Terminal(ctx, other.ID)
		c.did(err)
		c.is(got.LastSeenAt.Equal(c.now.Add(want)), "seen", after, got.LastSeenAt)
		c.did(c.s.Exec(ctx, "UPDATE terminals SET last_seen_at = 0 WHERE id = ?", other.ID))
	}
	first, err := c.s.ShowProof(ctx, []byte("proof"), c.now.Add(time.Minute), c.now)
	c.did(err, "ShowProof")
	second, err := c.s.ShowProof(ctx, []byte("proof"), c.now.Add(time.Minute), c.now.Add(time.Minute))
	c.did(err)
	later, err := c.s.ShowProof(ctx, []byte("proof"), c.now.Add(time.Hour), c.now.Add(time.Minute+time.Second))
	c.did(err)
	c.is(first && !second && later, "proofs", first, second, later)
	c.terminalNotices(ctx, other)
}

// A notice is shown at the terminals that it is for, and answered once.
func (c *conformity) terminalNotices(ctx context.Context, other idp.Terminal) {
	queue := func(kind idp.NoticeKind, terminal string) string {
		n := idp.TerminalNotice{MerchantID: c.merchant.ID, TerminalID: terminal, UserID: c.user.ID, Kind: kind, CreatedAt: c.now, Until: c.now.Add(time.Hour),
			Params: idp.NoticeParams{Name: "林薇", Due: c.now.Add(time.Hour).UTC(), Choices: []int{17, 47, 88}}}
		c.did(c.s.QueueTerminalNotice(ctx, &n, 47), "QueueTerminalNotice")
		return n.ID
	}
	answer := func(id string, t idp.Terminal, a idp.NoticeAnswer, digits int) idp.NoticeAnswer {
		n, err := c.s.AnswerTerminalNotice(ctx, id, t, a, digits, c.now)
		if err != nil && idp.KindOf(err) == idp.NotFound {
			return "none"
		}
		c.did(err, "AnswerTerminalNotice")
		c.is(n.AnsweredBy == t.ID && n.Params.Name == "林薇", "answered", n)
		return n.Answer
	}
	own, all, stop := queue(idp.NoticeConfirm, c.terminal.ID), queue(idp.NoticeConfirm, ""), queue(idp.NoticeStop, "")
	for t, want := range map[*idp.Terminal]int{&c.terminal: 3, &other: 2, {ID: c.terminal.ID, MerchantID: "elsewhere"}: 0} {
		list, err := c.s.TerminalNotices(ctx, *t, c.now)
		c.did(err, "TerminalNotices")
		c.is(len(list) == want, "notices", t.Serial, list)
	}
	seen, err := c.s.SeeTerminalNotice(ctx, own, c.terminal, c.now)
	c.did(err, "SeeTerminalNotice")
	unseen, err := c.s.SeeTerminalNotice(ctx, own, other, c.now)
	c.did(err)
	one, err := c.s.TerminalNotice(ctx, own)
	c.did(err, "TerminalNotice")
	c.is(seen && !unseen && one.SeenAt.Equal(c.now) && slices.Equal(one.Params.Choices, []int{17, 47, 88}) && one.Answer == "", "seen", one)
	got := []idp.NoticeAnswer{answer(own, other, idp.NoticeConfirmed, 47), answer(own, c.terminal, idp.NoticeConfirmed, 47), answer(own, c.terminal, idp.NoticeConfirmed, 47),
		answer(all, other, idp.NoticeConfirmed, 17), answer(all, c.terminal, idp.NoticeConfirmed, 47), answer(stop, other, idp.NoticeConfirmed, 47),
		answer(stop, idp.Terminal{ID: other.ID, MerchantID: "elsewhere"}, idp.NoticeStopped, 0), answer(stop, other, idp.NoticeStopped, 0)}
	c.is(slices.Equal(got, []idp.NoticeAnswer{"none", "confirmed", "none", "wrong", "none", "none", "none", "stopped"}), "answers", got)
	code := queue(idp.NoticeCode, "")
	c.is(answer(code, other, idp.NoticeStopped, 0) == "none" && answer(code, other, idp.NoticeConfirmed, 47) == "none", "what is only read is not answered")
	kept, gone := queue(idp.NoticeStop, ""), queue(idp.NoticeStop, "")
	c.did(c.s.VoidTerminalNotice(ctx, gone, c.now), "VoidTerminalNotice")
	c.is(answer(gone, other, idp.NoticeStopped, 0) == "none" && answer(kept, other, idp.NoticeStopped, 0) == "stopped", "one notice was taken back")
	late := queue(idp.NoticeStop, "")
	c.did(c.s.VoidTerminalNotices(ctx, c.user.ID, c.now), "VoidTerminalNotices")
	c.is(answer(late, other, idp.NoticeStopped, 0) == "none", "a notice that was taken back")
}

func (c *conformity) devices(ctx context.Context) {
	ask := func(code string) idp.DeviceRequest {
		d := idp.DeviceRequest{ClientID: "app", TerminalID: c.terminal.ID, Scopes: []string{"openid"}, Match: 42, Choices: []int{42, 51, 60}, CreatedAt: c.now, ExpiresAt: c.now.Add(time.Minute)}
		c.did(c.s.CreateDeviceRequest(ctx, &d, []byte(code), code, time.Second), "CreateDeviceRequest")
		return d
	}
	state := func(code string) idp.DeviceState {
		p, err := c.s.PollDevice(ctx, []byte(code), "app", "", c.now.Add(30*time.Second), time.Second)
		c.did(err, "PollDevice")
		return p.Request.State
	}
	ask("BCDFGHJK")
	d := ask("CDFGHJKL")
	c.is(state("BCDFGHJK") == idp.DeviceDenied, "a newer request denies an older")
	got, err := c.s.DeviceRequestByUserCode(ctx, "CDFGHJKL", c.now)
	c.did(err, "DeviceRequestByUserCode")
	decided, err := c.s.DecideDeviceRequest(ctx, d.ID, idp.DeviceApproved, "g", c.now)
	c.did(err, "DecideDeviceRequest")
	c.is(decided && got.ID == d.ID && slices.Equal(got.Choices, d.Choices), "request", got)
	c.did(c.s.DenyTerminalRequests(ctx, c.terminal.ID), "DenyTerminalRequests")
	c.is(state("CDFGHJKL") == idp.DeviceDenied, "of the terminal")
	ask("DFGHJKLM")
	c.did(c.s.DenyMerchantRequests(ctx, c.merchant.ID), "DenyMerchantRequests")
	c.is(state("DFGHJKLM") == idp.DeviceDenied, "of the merchant")
}

func (c *conformity) limits(ctx context.Context) {
	key := []byte{0, 1, 0xff}
	ok, _, err := c.s.TakeBucket(ctx, "k", key, 1, time.Hour, c.now)
	c.did(err, "TakeBucket")
	empty, err := c.s.BucketEmpty(ctx, "k", key, 1, time.Hour, c.now)
	c.did(err, "BucketEmpty")
	next, err := c.s.BucketUntil(ctx, "k", key, 1, time.Hour)
	c.did(err, "BucketUntil")
	c.is(next.Equal(c.now.Add(time.Hour).Truncate(time.Microsecond)), "bucket until", next)
	c.did(c.s.FillBucket(ctx, "k", key), "FillBucket")
	full, err := c.s.BucketEmpty(ctx, "k", key, 1, time.Hour, c.now)
	c.did(err)
	c.is(ok && empty && !full, "bucket", ok, empty, full)
	for range 5 {
		_, _, err = c.s.TakeWait(ctx, "k", key, time.Minute, time.Hour, time.Hour, c.now)
		c.did(err, "TakeWait")
	}
	until, err := c.s.WaitUntil(ctx, "k", key)
	c.did(err, "WaitUntil")
	c.did(c.s.ClearWait(ctx, "k", key), "ClearWait")
	none, err := c.s.WaitUntil(ctx, "k", key)
	c.did(err)
	c.is(until.Equal(c.now.Add(time.Minute)) && none.IsZero(), "wait", until, none)
	for i := range 5 {
		c.did(c.s.Mark(ctx, fmt.Sprint("m", i), "cr", 1, uint16(i), c.now.Add(time.Duration(i))), "Mark")
	}
	first, err := c.s.Repeated(ctx, "cr", 1, 1, c.now.Add(-time.Hour))
	c.did(err, "Repeated")
	last, err := c.s.Repeated(ctx, "cr", 1, 4, c.now.Add(-time.Hour))
	c.did(err)
	c.is(!first && last, "marks", first, last)
	c.did(c.s.Greet(ctx, key, "u", c.now), "Greet")
	c.did(c.s.Greet(ctx, key, "u", c.now))
	n, err := c.s.Greeted(ctx, key, c.now.Add(-time.Hour))
	c.did(err, "Greeted")
	c.is(n == 1, "greeted", n)
}

func (c *conformity) events(ctx context.Context) {
	c.did(c.s.Append(ctx, idp.Event{Name: "signin.failed", Subject: "u", Explain: "x", Data: map[string]any{"名": "值"}}), "Append")
	c.is(c.s.Append(ctx, idp.Event{Name: "no.such"}) != nil, "an event without a name")
	list, err := c.s.Events(ctx, storage.EventFilter{Subject: "u", Explain: "x", Names: []string{"signin.failed"}, Since: c.now.Add(-time.Hour)}, 10)
	c.did(err, "Events")
	c.is(len(list) == 1 && list[0].Data["名"] == "值", "events", list)
	m := idp.Message{UserID: c.user.ID, Channel: idp.ChannelSMS, To: "+8613800000001", Subject: "s", Body: "验证码"}
	c.did(c.s.Queue(ctx, &m), "Queue")
	out, err := c.s.Messages(ctx, 10)
	c.did(err, "Messages")
	c.is(len(out) == 1 && out[0].Body == "验证码" && out[0].To == m.To, "messages", out)
	claimed, err := c.s.ClaimMessages(ctx, idp.ChannelSMS, 1, time.Minute, time.Now().Add(time.Second))
	c.did(err, "ClaimMessages")
	c.is(len(claimed) == 1 && claimed[0].Body == "验证码" && claimed[0].Attempts == 1, "claimed", claimed)
	put, err := c.s.MessageFailed(ctx, claimed[0], "timeout", true, claimed[0].DueAt)
	c.did(err, "MessageFailed")
	dead, err := c.s.MessageDead(ctx, claimed[0], "address", c.now)
	c.did(err, "MessageDead")
	resent, err := c.s.ResendMessage(ctx, m.ID, c.now)
	c.did(err, "ResendMessage")
	c.did(c.s.MessageSent(ctx, claimed[0], "r", c.now), "MessageSent")
	head, err := c.s.MessageHead(ctx, m.ID)
	c.did(err, "MessageHead")
	heads, err := c.s.MessageHeads(ctx, storage.MessageFilter{State: idp.MessageSent}, 10)
	c.did(err, "MessageHeads")
	due, gone, err := c.s.CountMessages(ctx)
	c.did(err, "CountMessages")
	c.is(put && dead && resent && head.Receipt == "r" && len(heads) == 1 && due == 0 && gone == 0, "delivery", put, dead, resent, head, heads, due, gone)
}

func (c *conformity) keys(ctx context.Context) {
	for i, want := range []bool{true, false} {
		added, err := c.s.AddSigningKey(ctx, storage.SigningKey{ID: fmt.Sprint("k", i), Alg: "ES256", State: "active", Public: []byte("{}"), Private: []byte("p")})
		c.did(err, "AddSigningKey")
		c.is(added == want, "added", i, added)
	}
	keys, err := c.s.SigningKeys(ctx)
	c.did(err, "SigningKeys")
	c.is(len(keys) == 1 && string(keys[0].Private) == "p", "keys", keys)
}

func (c *conformity) ends(ctx context.Context) {
	ss := c.session(ctx, "t8")
	g := c.grant(ctx, "", ss.ID, "openid")
	c.did(c.s.Revoked(ctx, g.ID, "x", idp.Event{Actor: c.user.ID}), "Revoked")
	c.flow(ctx, "f8")
	c.did(c.s.EndAll(ctx, c.user, storage.Keep{}, "password", idp.Event{Actor: c.user.ID}), "EndAll")
	live, err := c.s.Sessions(ctx, c.user.ID, c.now)
	c.did(err)
	grants, err := c.s.Grants(ctx, c.user.ID)
	c.did(err)
	c.is(len(live) == 0 && len(grants) == 0, "left over", live, grants)
	c.did(c.s.Sweep(ctx, c.now), "Sweep")
}

// Both engines have the same tables, columns, and what may be null.
func TestTablesAreEqual(t *testing.T) {
	type column struct {
		Table, Column string
		Null          bool
	}
	read := func(s *storage.Store) (list []column) {
		query := `SELECT m.name AS "table", p.name AS "column", p."notnull" = 0 AND p.pk = 0 AS "null" FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'`
		if s.Dialect == storage.Postgres {
			query = `SELECT table_name AS "table", column_name AS "column", is_nullable = 'YES' AS "null" FROM information_schema.columns WHERE table_schema = 'public'`
		}
		if err := s.Scan(t.Context(), &list, query); err != nil {
			t.Fatal(err)
		}
		list = slices.DeleteFunc(list, func(c column) bool {
			return strings.HasPrefix(c.Table, "goose_") || strings.HasPrefix(c.Table, "sqlite_")
		})
		slices.SortFunc(list, func(a, b column) int { return strings.Compare(a.Table+" "+a.Column, b.Table+" "+b.Column) })
		return list
	}
	one, two := read(storagetest.New(t, storage.SQLite)), read(storagetest.New(t, storage.Postgres))
	if len(one) < 100 {
		t.Fatalf("only %d columns", len(one))
	}
	for _, c := range one {
		if !slices.Contains(two, c) {
			t.Errorf("only SQLite has %+v", c)
		}
	}
	for _, c := range two {
		if !slices.Contains(one, c) {
			t.Errorf("only PostgreSQL has %+v", c)
		}
	}
}

// Migrations come in pairs, numbered without a gap, and only go forward.
func TestMigrationsArePaired(t *testing.T) {
	names := func(dialect string) (list []string) {
		files, err := filepath.Glob(filepath.Join("migrations", dialect, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range files {
			list = append(list, filepath.Base(f))
			if ok, _ := regexp.MatchString(fmt.Sprintf(`^%05d_[a-z_]+\.sql$`, i+1), filepath.Base(f)); !ok {
				t.Errorf("%s is not number %d", f, i+1)
			}
			text, err := os.ReadFile(f)
			if err != nil || !strings.HasPrefix(string(text), "-- +goose Up") || strings.Contains(string(text), "+goose Down") {
				t.Errorf("%s does not only go forward: %v", f, err)
			}
		}
		return list
	}
	if one, two := names("sqlite"), names("postgres"); !slices.Equal(one, two) || len(one) == 0 {
		t.Errorf("not in pairs: %v, %v", one, two)
	}
}

// Sweep deletes what is of no use, in batches, and no live row that shares half of
// a key with a dead one.
func TestSweep(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		c := &conformity{T: t, s: s, now: time.Now(), covered: map[string]bool{}}
		ctx, day, now := t.Context(), 24*time.Hour, time.Now()
		c.merchants(ctx)
		c.user = idp.User{Name: "a", Language: "en", Role: idp.RoleOwner, MerchantID: c.merchant.ID, Status: idp.UserActive}
		c.did(s.CreateUser(ctx, &c.user))
		key := []byte("shared")
		want := map[string]int{}
		add := func(table string, live bool, err error) {
			t.Helper()
			c.did(err)
			if live {
				want[table]++
			} else {
				want[table] += 0
			}
		}
		for _, at := range []time.Time{now, now.Add(-3 * day), now.Add(-40 * day), now.Add(-100 * day)} {
			age, name := now.Sub(at), fmt.Sprint(at.Unix())
			ss := idp.Session{UserID: c.user.ID, CreatedAt: at, LastSeenAt: at, IdleUntil: at, ExpiresAt: at}
			add("sessions", age < 30*day, s.CreateSession(ctx, &ss, []byte(name)))
			add("flows", age < day, s.OpenFlow(ctx, &idp.Flow{CreatedAt: at, ExpiresAt: at, EndsAt: at}, []byte(name), key))
			for _, kind := range []storage.TokenKind{storage.TokenCode, storage.TokenRefresh} {
				most := day
				if kind == storage.TokenRefresh {
					most = 30 * day
				}
				add("tokens", age < most, s.CreateToken(ctx, &storage.Token{Kind: kind, Signature: "of " + name, CreatedAt: at, ExpiresAt: at, Data: []byte("{}")}))
			}
			d := idp.DeviceRequest{ClientID: "app", Scopes: []string{}, Choices: []int{}, CreatedAt: at, ExpiresAt: at}
			add("device_requests", age < day, s.CreateDeviceRequest(ctx, &d, []byte(name), name, time.Second))
			_, _, err := s.TakeBucket(ctx, "bucket "+name, key, 5, time.Second, at)
			add("limits", age < day, err)
			_, _, err = s.TakeWait(ctx, "wait "+name, key, time.Second, time.Hour, day, at)
			add("waits", age < 2*day, err)
			add("marks", age < 2*day, s.Mark(ctx, name, "credential "+name, 1, 1, at))
			add("network_users", age < 31*day, s.Greet(ctx, key, name, at))
			add("sends", age < day, s.AddSend(ctx, "+86", key, name, at))
			add("hours", age < 15*day, s.CountHour(ctx, "sms", 1, at))
			m := idp.Message{UserID: c.user.ID, Channel: idp.ChannelSMS}
			c.did(s.Queue(ctx, &m))
			add("messages", age < 90*day, s.Exec(ctx, "UPDATE messages SET created_at = ? WHERE id = ?", at.UnixMicro(), m.ID))
			g := idp.Grant{UserID: c.user.ID, ClientID: "app", CreatedAt: at, ExpiresAt: at}
			add("grants", age < 30*day, s.CreateGrant(ctx, &g))
			b := idp.Browser{UserID: c.user.ID}
			c.did(s.CreateBrowser(ctx, &b))
			add("browsers", age < 90*day, s.Exec(ctx, "UPDATE browsers SET last_used_at = ? WHERE id = ?", at.Add(-age*3/2).UnixMicro(), b.ID)) // 250 days ago, the last
			add("events", true, s.Append(ctx, idp.Event{Name: "config.demo", At: at}))
		}
		for _, at := range []time.Time{{}, now.Add(-1000 * day), now.Add(-1100 * day)} { // waits, kept, over three years
			add("recoveries", now.Sub(at) < 1096*day || at.IsZero(), s.AddRecovery(ctx, &idp.Recovery{UserID: c.user.ID, State: idp.RecoveryDone, StartedAt: now.Add(-1101 * day), DueAt: now, Until: now, EndedAt: at}))
		}
		for _, e := range []idp.Event{{Name: "signin.failed", Subject: c.user.ID}, {Name: "signin.refused"}, {Name: "signin.refused", Subject: c.user.ID}, {Name: "recovery.refused"}, {Name: "recovery.refused", Subject: c.user.ID}} {
			e.At = now.Add(-200 * day)
			add("events", e.Name != "signin.failed" && e.Subject != "", s.Append(ctx, e))
		}
		c.did(s.Sweep(ctx, now))
		c.did(s.Sweep(ctx, now))
		for table, n := range want {
			var got int
			if err := s.Scan(ctx, &got, "SELECT count(*) FROM "+table); err != nil || got != n {
				t.Errorf("%s: %d rows are left, want %d, %v", table, got, n, err)
			}
		}
	})
}
