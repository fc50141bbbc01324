package storage_test

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// newcomer is one of the merchant's people.
func (c *conformity) newcomer(ctx context.Context, role idp.Role, name string) idp.User {
	c.Helper()
	u := idp.User{Name: name, Language: "zh-CN", Role: role, MerchantID: c.merchant.ID, Status: idp.UserActive}
	c.did(c.s.CreateUser(ctx, &u), "CreateUser")
	return u
}

// handovers holds how a merchant passes to another owner, and what ends with it.
func (c *conformity) handovers(ctx context.Context) {
	from, to := c.newcomer(ctx, idp.RoleOwner, "林薇"), c.newcomer(ctx, idp.RoleManager, "何东")
	h := idp.Handover{MerchantID: c.merchant.ID, From: from.ID, To: to.ID, Stays: true, Joined: true, Case: "case", ProposedAt: c.now, DueAt: c.now.Add(72 * time.Hour)}
	c.did(c.s.AddHandover(ctx, &h), "AddHandover")
	second := h
	c.is(idp.KindOf(c.s.AddHandover(ctx, &second)) == idp.Conflict, "a second hand-over runs")
	got, err := c.s.Handover(ctx, h.ID)
	c.did(err, "Handover")
	c.is(got == h || got.State == idp.HandoverProposed && got.Stays && got.Joined && got.Case == "case" && got.DueAt.Equal(h.DueAt) && got.AcceptedAt.IsZero(), "hand-over", got)
	running, err := c.s.RunningHandover(ctx, c.merchant.ID)
	c.did(err, "RunningHandover")
	none, err := c.s.RunningHandover(ctx, "none")
	c.did(err, "RunningHandover")
	c.is(running != nil && running.ID == h.ID && none == nil, "running", running)

	due := c.now.Add(24 * time.Hour)
	for at, want := range map[time.Time]int{h.DueAt.Add(-time.Microsecond): 0, h.DueAt: 1} {
		list, err := c.s.DueHandovers(ctx, at, 10)
		c.did(err, "DueHandovers")
		c.is(len(list) == want, "due", at, list)
	}
	done, err := c.s.EndHandover(ctx, h.ID, idp.HandoverDone, "", h.DueAt)
	c.did(err, "EndHandover")
	early, err := c.s.EndHandover(ctx, h.ID, idp.HandoverExpired, "", h.DueAt.Add(-time.Microsecond))
	c.did(err, "EndHandover")
	late, err := c.s.AcceptHandover(ctx, h.ID, h.DueAt, due, due)
	c.did(err, "AcceptHandover")
	ok, err := c.s.AcceptHandover(ctx, h.ID, c.now, due, due.Add(-time.Hour))
	c.did(err, "AcceptHandover")
	again, err := c.s.AcceptHandover(ctx, h.ID, c.now, due.Add(time.Hour), due)
	c.did(err, "AcceptHandover")
	c.is(!done && !early && !late && ok && !again, "accepted once, in time", done, early, late, ok, again)
	soon, err := c.s.RemindableHandovers(ctx, due.Add(-time.Hour), 10)
	c.did(err, "RemindableHandovers")
	told, err := c.s.RemindHandover(ctx, h.ID)
	c.did(err, "RemindHandover")
	twice, err := c.s.RemindHandover(ctx, h.ID)
	c.did(err, "RemindHandover")
	c.is(len(soon) == 1 && told && !twice, "reminded once", soon, told, twice)
	early, err = c.s.EndHandover(ctx, h.ID, idp.HandoverDone, "", due.Add(-time.Microsecond))
	c.did(err, "EndHandover")
	expired, err := c.s.EndHandover(ctx, h.ID, idp.HandoverExpired, "", due)
	c.did(err, "EndHandover")
	done, err = c.s.EndHandover(ctx, h.ID, idp.HandoverDone, "", due)
	c.did(err, "EndHandover")
	stopped, err := c.s.EndHandover(ctx, h.ID, idp.HandoverStopped, "x", due)
	c.did(err, "EndHandover")
	c.is(!early && !expired && done && !stopped, "done once, in time", early, expired, done, stopped)

	c.dropped(ctx, from)
	for _, to := range []string{from.ID, c.user.ID} { // made, then moved
		c.did(c.s.MoveMerchantNo(ctx, "822290059439999", to), "MoveMerchantNo")
		u, err := c.s.UserByIdentifier(ctx, idp.IdentifierMerchantNo, "822290059439999")
		c.did(err, "UserByIdentifier")
		c.is(u.ID == to, "named by the number", u)
	}
	c.recovering(ctx, from)
}

// dropped holds what ends with a hand-over that comes to nothing.
func (c *conformity) dropped(ctx context.Context, from idp.User) {
	to := c.newcomer(ctx, idp.RoleManager, "新人")
	h := idp.Handover{MerchantID: c.merchant.ID, From: from.ID, To: to.ID, Joined: true, ProposedAt: c.now, DueAt: c.now.Add(time.Hour)}
	c.did(c.s.AddHandover(ctx, &h), "AddHandover")
	ok, err := c.s.DropHandover(ctx, h, idp.HandoverStopped, "frozen", c.now, idp.Event{Actor: from.ID})
	c.did(err, "DropHandover")
	again, err := c.s.DropHandover(ctx, h, idp.HandoverStopped, "frozen", c.now, idp.Event{Actor: from.ID})
	c.did(err, "DropHandover", "HandoverEvent")
	u, err := c.s.User(ctx, to.ID)
	c.did(err, "User")
	list, err := c.s.Events(ctx, storage.EventFilter{Subject: from.ID, Name: "owner.stopped"}, 10)
	c.did(err, "Events")
	theirs, err := c.s.Events(ctx, storage.EventFilter{Subject: to.ID}, 10)
	c.did(err, "Events")
	got, err := c.s.Handover(ctx, h.ID)
	c.did(err, "Handover")
	c.is(ok && !again && u.Status == idp.UserLeft && len(list) == 1 && list[0].Reason == "handover.frozen" && len(theirs) == 2 && got.Cause == "frozen", "dropped once", ok, again, u, list, theirs, got)
}

// recovering lists those of whom a recovery waits, by merchant.
func (c *conformity) recovering(ctx context.Context, who idp.User) {
	r := idp.Recovery{UserID: who.ID, State: idp.RecoveryWaiting, Lost: idp.LostPassword, StartedAt: c.now, DueAt: c.now.Add(time.Hour), Until: c.now.Add(2 * time.Hour)}
	c.did(c.s.AddRecovery(ctx, &r), "AddRecovery")
	of := func(merchant string) []string {
		users, err := c.s.RecoveringOf(ctx, merchant)
		c.did(err, "RecoveringOf")
		return users
	}
	c.is(slices.Contains(of(who.MerchantID), who.ID) && len(of("another")) == 0, "recovering", of(who.MerchantID))
	_, err := c.s.EndRecovery(ctx, r.ID, idp.RecoveryVoid, c.now)
	c.did(err, "EndRecovery")
	c.is(!slices.Contains(of(who.MerchantID), who.ID), "no longer recovering", of(who.MerchantID))
}

// shopCodes holds the code of the shop, and the last day of a person.
func (c *conformity) shopCodes(ctx context.Context) {
	u, other := c.newcomer(ctx, idp.RoleCashier, "小林"), c.newcomer(ctx, idp.RoleCashier, "小王")
	mac, until := c.s.ShopCodeMAC(u.ID, "12345678"), c.now.Add(15*time.Minute)
	c.did(nil, "ShopCodeMAC")
	has := func(user string, mac []byte, at time.Time) bool {
		ok, err := c.s.HasShopCode(ctx, user, mac, at)
		c.did(err, "HasShopCode")
		return ok
	}
	use := func(user string, mac []byte, at time.Time) bool {
		by, err := c.s.UseShopCode(ctx, user, mac, at)
		c.did(err, "UseShopCode")
		c.is(by == "" || by == c.user.ID, "whose code it was", by)
		return by != ""
	}
	set := func() { c.did(c.s.SetShopCode(ctx, u.ID, c.user.ID, mac, until), "SetShopCode") }
	set()
	t := idp.Terminal{Serial: "HFCODE1", Model: "HF-S9", Kind: idp.TerminalSmart, MerchantID: u.MerchantID, State: idp.TerminalActive}
	shown := func() bool {
		c.did(c.s.QueueTerminalNotice(ctx, &idp.TerminalNotice{MerchantID: u.MerchantID, UserID: u.ID, Kind: idp.NoticeCode, CreatedAt: c.now, Until: until}, 0), "QueueTerminalNotice")
		return true
	}
	hidden := func() bool {
		list, err := c.s.TerminalNotices(ctx, t, time.Now())
		c.did(err, "TerminalNotices")
		return !slices.ContainsFunc(list, func(n idp.TerminalNotice) bool { return n.UserID == u.ID })
	}
	c.is(shown() && !hidden(), "a code is shown")
	c.is(!has(u.ID, c.s.ShopCodeMAC(other.ID, "12345678"), c.now) && !has(other.ID, mac, c.now) && !has(u.ID, mac, until) && has(u.ID, mac, c.now), "a code of its person, in time, is not used by looking")
	c.is(!use(u.ID, c.s.ShopCodeMAC(other.ID, "12345678"), c.now) && !use(other.ID, mac, c.now) && !use(u.ID, mac, until) && use(u.ID, mac, c.now) && !use(u.ID, mac, c.now), "a code once, by its person, in time")
	c.is(hidden(), "a used code is still shown")
	set()
	shown()
	c.did(c.s.SetShopCode(ctx, u.ID, c.user.ID, c.s.ShopCodeMAC(u.ID, "87654321"), until), "SetShopCode")
	c.is(!use(u.ID, mac, c.now), "a newer code voids the older")
	c.is(hidden(), "an older code is still shown")
	for _, of := range []string{u.ID, c.user.ID} {
		set()
		shown()
		c.did(c.s.VoidShopCodes(ctx, of), "VoidShopCodes")
		c.is(!use(u.ID, mac, c.now) && hidden(), "void", of)
	}
	set()
	c.did(c.s.EndAll(ctx, u, storage.Keep{}, "x", idp.Event{}), "EndAll")
	c.is(!use(u.ID, mac, c.now), "void with all of its person")

	c.did(c.s.SetLeaving(ctx, u.ID, until), "SetLeaving")
	for at, want := range map[time.Time]int{until.Add(-time.Microsecond): 0, until: 1} {
		ids, err := c.s.Leavers(ctx, at, 10)
		c.did(err, "Leavers")
		c.is(len(ids) == want, "leavers", at, ids)
	}
	got, err := c.s.User(ctx, u.ID)
	c.did(err, "User")
	c.is(got.LeavesAt.Equal(until) && !got.Leaving(until.Add(-time.Microsecond)) && got.Leaving(until), "leaves", got)
	c.did(c.s.SetLeaving(ctx, u.ID, time.Time{}), "SetLeaving")
}
