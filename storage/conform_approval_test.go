package storage_test

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/storage"
)

func (c *conformity) twoPeople(ctx context.Context) {
	ask := func(act, object string, at time.Time) idp.Approval {
		a := idp.Approval{Act: act, Object: object, Merchant: "m", Input: []byte(`{"ID":"web"}`), Changes: []idp.Difference{{Field: "state", Old: []string{"enabled"}, New: []string{"disabled"}}},
			Reason: "why", AskedBy: "one", AskedAt: at, ExpiresAt: at.Add(time.Hour)}
		c.did(c.s.CreateApproval(ctx, &a), "CreateApproval")
		return a
	}
	count := func(f storage.ApprovalFilter) int64 {
		n, err := c.s.CountApprovals(ctx, f)
		c.did(err, "CountApprovals")
		return n
	}
	a := ask("client.disable", "web", c.now)
	got, err := c.s.Approval(ctx, a.ID)
	c.did(err, "Approval")
	c.is(got.State == idp.ApprovalAsked && string(got.Input) == `{"ID":"web"}` && len(got.Changes) == 1 && got.Changes[0].New[0] == "disabled" && got.AskedAt.Equal(c.now) && got.ExpiresAt.Equal(a.ExpiresAt) && got.Merchant == "m", "asked", got)
	_, err = c.s.Approval(ctx, "none")
	c.kind(err, idp.NotFound, "no approval")
	again := a
	c.kind(c.s.CreateApproval(ctx, &again), idp.Conflict, "the same twice")
	late := ask("client.disable", "web", c.now.Add(2*time.Hour)) // the first has waited too long
	c.is(count(storage.ApprovalFilter{State: idp.ApprovalExpired, Now: c.now.Add(2 * time.Hour)}) == 1, "expired")
	ask("staff.new", "", c.now)
	ask("staff.new", "", c.now) // two new people
	for _, f := range []struct {
		f storage.ApprovalFilter
		n int64
	}{{storage.ApprovalFilter{}, 4}, {storage.ApprovalFilter{Acts: []string{"staff.new"}}, 2}, {storage.ApprovalFilter{Acts: []string{}}, 0}, {storage.ApprovalFilter{State: idp.ApprovalAsked, Now: c.now}, 3},
		{storage.ApprovalFilter{State: idp.ApprovalAsked, Now: c.now.Add(2 * time.Hour)}, 1}, {storage.ApprovalFilter{State: idp.ApprovalExpired, Now: c.now.Add(2 * time.Hour)}, 3}, {storage.ApprovalFilter{NotBy: "one"}, 0},
		{storage.ApprovalFilter{NotBy: "two", NotOf: "web"}, 2}, {storage.ApprovalFilter{State: idp.ApprovalRefused}, 0}} {
		c.is(count(f.f) == f.n, "counted", f)
		list, err := c.s.Approvals(ctx, f.f, 10)
		c.did(err, "Approvals")
		c.is(int64(len(list)) == f.n, "listed", f, list)
	}
	page, err := c.s.Approvals(ctx, storage.ApprovalFilter{}, 1)
	c.did(err)
	rest, err := c.s.Approvals(ctx, storage.ApprovalFilter{Before: page[0].ID}, 10)
	c.did(err)
	c.is(page[0].ID == late.ID && len(rest) == 3, "by key", page, rest)

	at := late.AskedAt
	c.refused("an approval by who asked")(c.s.DecideApproval(ctx, late.ID, idp.ApprovalApproved, "one", "w", at))
	c.refused("a withdrawal by another")(c.s.DecideApproval(ctx, late.ID, idp.ApprovalWithdrawn, "two", "w", at))
	c.refused("a decision too late")(c.s.DecideApproval(ctx, late.ID, idp.ApprovalApproved, "two", "w", late.ExpiresAt))
	c.did(c.s.KeepSecret(ctx, late.ID, "early", at.Add(time.Hour)), "KeepSecret") // only of what is approved
	c.done("DecideApproval")(c.s.DecideApproval(ctx, late.ID, idp.ApprovalApproved, "two", "seen", at))
	c.refused("a second decision")(c.s.DecideApproval(ctx, late.ID, idp.ApprovalRefused, "three", "w", at))
	c.did(c.s.KeepSecret(ctx, late.ID, "s3cret", at.Add(time.Hour)))
	c.is(count(storage.ApprovalFilter{Secret: "one", Now: at}) == 1 && count(storage.ApprovalFilter{Secret: "two", Now: at}) == 0, "a secret waits")
	take := func(by string, at time.Time) idp.Secret {
		s, err := c.s.TakeSecret(ctx, late.ID, by, at)
		c.did(err, "TakeSecret")
		return s
	}
	c.is(take("two", at) == "" && take("one", at.Add(time.Hour)) == "", "taken by another, or too late")
	c.is(take("one", at) == "s3cret" && take("one", at) == "", "taken once")
	c.did(c.s.KeepSecret(ctx, late.ID, "s3cret", at.Add(-365*24*time.Hour)))
	c.did(c.s.Sweep(ctx, at.Add(-300*24*time.Hour)), "Sweep")
	c.is(take("one", at.Add(-366*24*time.Hour)) == "", "an old secret is kept")
	c.did(c.s.FailApproval(ctx, late.ID, "error.moved"), "FailApproval")
	got, err = c.s.Approval(ctx, late.ID)
	c.did(err)
	c.is(got.State == idp.ApprovalFailed && got.Failure == "error.moved" && got.DecidedBy == "two" && got.Decision == "seen" && got.DecidedAt.Equal(at), "failed", got)
}

// closing is what merchants and clients end and change by.
func (c *conformity) closing(ctx context.Context) {
	m := idp.Merchant{No: "822290059430077", LegalName: "老店", Tier: idp.TierHighValue, Status: idp.MerchantSuspended}
	c.did(c.s.CreateMerchant(ctx, &m))
	c.done("SetMerchantTier")(c.s.SetMerchantTier(ctx, m.ID, idp.TierHighValue, idp.TierMicro))
	c.refused("a tier that it is not of")(c.s.SetMerchantTier(ctx, m.ID, idp.TierHighValue, idp.TierStandard))
	c.refused("a status that it is not in")(c.s.CloseMerchant(ctx, m.ID, idp.MerchantActive, c.now))
	c.done("CloseMerchant")(c.s.CloseMerchant(ctx, m.ID, idp.MerchantSuspended, c.now))
	c.refused("closed twice")(c.s.CloseMerchant(ctx, m.ID, idp.MerchantClosed, c.now))
	c.refused("a tier of what is closed")(c.s.SetMerchantTier(ctx, m.ID, idp.TierMicro, idp.TierStandard))
	got, err := c.s.Merchant(ctx, m.ID)
	c.did(err)
	c.is(got.Status == idp.MerchantClosed && got.ClosedAt.Equal(c.now) && got.Tier == idp.TierMicro, "closed", got)
	c.is(!got.Gone(c.now.Add(time.Hour), 2*time.Hour) && got.Gone(c.now.Add(2*time.Hour), 2*time.Hour), "gone")

	cl := idp.Client{ID: "changing", Name: "A", Grants: []string{"client_credentials"}, Scopes: []string{"a"}, SecretHashes: [][]byte{{1}}}
	c.did(c.s.CreateClient(ctx, &cl))
	cl.Name, cl.Scopes, cl.Redirects = "B", []string{"a", "b"}, []string{"https://x.example/"}
	c.done("SaveClient")(c.s.SaveClient(ctx, cl))
	c.refused("an old version")(c.s.SaveClient(ctx, cl))
	now, err := c.s.Client(ctx, "changing")
	c.did(err)
	c.is(now.Name == "B" && len(now.Scopes) == 2 && now.Version == 2 && len(now.SecretHashes) == 1 && len(now.Redirects) == 1, "changed", now)
}

// rotation is how one signing key follows another.
func (c *conformity) rotation(ctx context.Context) {
	at := c.now.Add(-10 * time.Hour)
	next := func(id string, at time.Time) {
		c.did(c.s.RotateSigningKey(ctx, storage.SigningKey{ID: id, Alg: "TEST", Public: []byte("{}"), Private: []byte("p"), CreatedAt: at}), "RotateSigningKey")
	}
	states := func() map[string]string {
		all, err := c.s.SigningKeys(ctx)
		c.did(err)
		by := map[string]string{}
		for _, k := range all {
			by[k.ID] = k.State
		}
		return by
	}
	signs := func(at time.Time) string {
		all, err := c.s.SigningKeys(ctx)
		c.did(err)
		k, _ := storage.Signs(all, "TEST", at)
		return k.ID
	}
	next("k1", at)
	c.is(signs(at) == "k1", "the only one signs at once")
	next("k2", at.Add(2*time.Hour))
	c.is(signs(at.Add(2*time.Hour)) == "k1" && signs(at.Add(2*time.Hour+storage.KeyLead)) == "k2" && states()["k1"] == "active", "the second waits")
	next("k3", at.Add(2*time.Hour+time.Minute)) // at once again: the first still signs
	c.is(signs(at.Add(2*time.Hour+2*time.Minute)) == "k1" && states()["k1"] == "active", "the first goes on", states())
	next("k4", at.Add(5*time.Hour))
	c.is(signs(at.Add(5*time.Hour)) == "k3" && states()["k1"] == "retired" && states()["k2"] == "retired" && states()["k3"] == "active", "the third signs", states())
	_, ok := storage.Signs(nil, "TEST", at)
	c.is(!ok, "none")
}
