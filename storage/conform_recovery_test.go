package storage_test

import (
	"bytes"
	"context"
	"time"

	"hufu/idp"
)

// recoveries holds what outlives the flow that a person gets back by.
func (c *conformity) recoveries(ctx context.Context) {
	who := idp.User{Name: "林伟", Language: "zh-CN", Role: idp.RoleOwner, MerchantID: c.merchant.ID, Status: idp.UserActive}
	mail := &idp.Identifier{Kind: idp.IdentifierEmail, Value: "back@example.com", VerifiedAt: c.now}
	c.did(c.s.CreateUser(ctx, &who, mail), "CreateUser")
	r := idp.Recovery{UserID: who.ID, State: idp.RecoveryWaiting, Lost: idp.LostBoth, Row: 5, Level: 1, Withheld: idp.WithholdMoney, Password: true, Second: true, Kit: true,
		Shown: []idp.Shown{{By: idp.ByKit, ID: "k", At: c.now}, {By: idp.ByTerminal, ID: "t", At: c.now}}, Gone: []string{"totp"}, Case: "case", Flow: "flow",
		StartedAt: c.now, DueAt: c.now.Add(24 * time.Hour), Until: c.now.Add(96 * time.Hour)}
	c.did(c.s.AddRecovery(ctx, &r), "AddRecovery")
	second := r
	c.is(idp.KindOf(c.s.AddRecovery(ctx, &second)) == idp.Conflict, "a second recovery waits")
	got, err := c.s.Recovery(ctx, r.ID)
	c.did(err, "Recovery")
	c.is(len(got.Shown) == 2 && got.Shown[1].By == idp.ByTerminal && got.DueAt.Equal(r.DueAt) && got.Second && got.Kit && got.Case == "case" && got.Gone[0] == "totp", "recovery", got)
	running, err := c.s.RunningRecovery(ctx, who.ID)
	c.did(err, "RunningRecovery")
	none, err := c.s.RunningRecovery(ctx, "nobody")
	c.did(err, "RunningRecovery")
	c.is(running != nil && running.ID == r.ID && none == nil, "running", running)

	later, nearer := r, r
	later.DueAt, nearer.DueAt = r.DueAt.Add(time.Hour), r.DueAt.Add(-time.Hour)
	moved, err := c.s.BetterRecovery(ctx, later)
	c.did(err, "BetterRecovery")
	c.is(!moved, "an end that moves away")
	moved, err = c.s.BetterRecovery(ctx, nearer)
	c.did(err, "BetterRecovery")
	c.is(moved, "an end that comes nearer")

	told, err := c.s.TellRecovery(ctx, r.ID, 2)
	c.did(err, "TellRecovery")
	again, err := c.s.TellRecovery(ctx, r.ID, 2)
	c.did(err, "TellRecovery")
	other, err := c.s.TellRecovery(ctx, r.ID, 4)
	c.did(err, "TellRecovery")
	c.is(told && !again && other, "told once each")
	waiting, err := c.s.WaitingRecoveries(ctx, "", 10)
	c.did(err, "WaitingRecoveries")
	c.is(len(waiting) == 1 && waiting[0].Told == 6, "waiting", waiting)
	n, err := c.s.CountRecoveries(ctx, who.ID, c.now)
	c.did(err, "CountRecoveries")
	c.is(n == 1, "count", n)

	f := idp.Flow{Demand: idp.Demand{Kind: idp.FlowRecover}, Facts: []byte("{}"), CreatedAt: c.now, ExpiresAt: c.now.Add(96 * time.Hour), EndsAt: c.now.Add(time.Hour)}
	c.did(c.s.OpenFlow(ctx, &f, []byte("recover-token"), []byte("recover-browser")), "OpenFlow")
	c.did(c.s.KeepFlow(ctx, f.ID, r.Until), "KeepFlow")
	kept0, err := c.s.Flow(ctx, []byte("recover-token"), []byte("recover-browser"), c.now.Add(95*time.Hour))
	c.did(err, "Flow")
	c.is(kept0.EndsAt.Equal(r.Until), "a flow that lives by its delay", kept0)
	was, err := c.s.HasPlace(ctx, who.ID, "福建")
	c.did(err, "HasPlace")
	if _, _, err := c.s.NewPlace(ctx, who.ID, "福建", c.now); err != nil {
		c.did(err, "NewPlace")
	}
	is, err := c.s.HasPlace(ctx, who.ID, "福建")
	c.did(err, "HasPlace")
	c.is(!was && is, "a place")
	c.did(c.s.CreateLink(ctx, []byte("freeze"), idp.Link{Kind: idp.LinkFreeze, UserID: who.ID, CreatedAt: c.now, ExpiresAt: r.Until}), "CreateLink")
	c.did(c.s.CreateLink(ctx, []byte("undo"), idp.Link{Kind: idp.LinkUndo, UserID: who.ID, CreatedAt: c.now, ExpiresAt: r.Until}), "CreateLink")
	c.did(c.s.DropLinks(ctx, who.ID), "DropLinks")
	_, freezes := c.s.Link(ctx, []byte("freeze"), idp.LinkFreeze, c.now)
	_, undoes := c.s.Link(ctx, []byte("undo"), idp.LinkUndo, c.now)
	c.is(freezes == nil && idp.KindOf(undoes) == idp.NotFound, "links that could change anything end", freezes, undoes)

	early, err := c.s.EndRecovery(ctx, r.ID, idp.RecoveryDone, nearer.DueAt.Add(-time.Second))
	c.did(err, "EndRecovery")
	late, err := c.s.EndRecovery(ctx, r.ID, idp.RecoveryDone, r.Until)
	c.did(err, "EndRecovery")
	done, err := c.s.EndRecovery(ctx, r.ID, idp.RecoveryDone, nearer.DueAt)
	c.did(err, "EndRecovery")
	twice, err := c.s.EndRecovery(ctx, r.ID, idp.RecoveryStopped, nearer.DueAt)
	c.did(err, "EndRecovery")
	c.is(!early && !late && done && !twice, "ends once, in its time", early, late, done, twice)
	all, err := c.s.Recoveries(ctx, who.ID, 10)
	c.did(err, "Recoveries")
	c.is(len(all) == 1 && all[0].State == idp.RecoveryDone && all[0].EndedAt.Equal(nearer.DueAt), "ended", all)

	until := c.now.Add(time.Hour)
	c.did(c.s.Withhold(ctx, who.ID, idp.WithholdMoney, until), "Withhold")
	c.did(c.s.NoteMoney(ctx, who.ID, c.now), "NoteMoney")
	c.did(c.s.NoteMoney(ctx, who.ID, c.now.Add(time.Minute)), "NoteMoney")
	u, err := c.s.User(ctx, who.ID)
	c.did(err, "User")
	c.is(u.Withholds(c.now) == idp.WithholdMoney && u.Withholds(until) == idp.WithholdNothing && u.MoneyAt.Equal(c.now), "withheld", u)
	c.did(c.s.Withhold(ctx, who.ID, idp.WithholdPayee, until.Add(time.Hour)), "Withhold")
	for _, w := range []idp.Withhold{idp.WithholdMoney, idp.WithholdPayee} {
		c.did(c.s.Withhold(ctx, who.ID, w, c.now), "Withhold") // makes neither shorter
	}
	u, err = c.s.User(ctx, who.ID)
	c.did(err, "User")
	c.is(u.Withholds(until.Add(-1)) == idp.WithholdMoney && u.Withholds(until) == idp.WithholdPayee && u.Withholds(until.Add(time.Hour)) == idp.WithholdNothing, "each for its time", u)
	c.did(c.s.Withhold(ctx, who.ID, idp.WithholdNothing, time.Time{}), "Withhold")
	u, err = c.s.User(ctx, who.ID)
	c.did(err, "User")
	c.is(u.Withholds(c.now) == idp.WithholdNothing, "given back", u)

	c.did(c.s.Dispute(ctx, mail.ID, until), "Dispute")
	names, err := c.s.Identifiers(ctx, who.ID)
	c.did(err, "Identifiers")
	c.is(names[0].DisputedUntil.Equal(until), "disputed", names)

	c.did(c.s.SettleDisputes(ctx, who.ID), "SettleDisputes")
	names, err = c.s.Identifiers(ctx, who.ID)
	c.did(err, "Identifiers")
	c.is(names[0].DisputedUntil.IsZero(), "settled", names)

	word := idp.Credential{UserID: who.ID, Method: idp.MethodPassword, Data: []byte("hash")}
	c.did(c.s.AddCredential(ctx, &word), "AddCredential")
	c.did(c.s.SetVia(ctx, word.ID, []idp.Group{idp.GroupHandset, idp.GroupPaper}), "SetVia")
	kept, err := c.s.Credential(ctx, word.ID)
	c.did(err, "Credential")
	c.is(len(kept.Via) == 2 && kept.Via[1] == idp.GroupPaper, "via", kept.Via)
	if _, err := c.s.ReplaceCredential(ctx, word.ID, kept.Version, []byte("other")); err != nil {
		c.did(err, "ReplaceCredential")
	}
	kept, err = c.s.Credential(ctx, word.ID)
	c.did(err, "Credential")
	c.is(len(kept.Via) == 0, "a password set by its owner", kept.Via)

	c.did(c.s.SetEvidence(ctx, who.ID, "birthday", "19800131", c.now), "SetEvidence")
	c.did(c.s.SetEvidence(ctx, who.ID, "birthday", "19800201", c.now), "SetEvidence")
	c.covered["EvidenceHash"] = true
	hashes, err := c.s.Evidence(ctx, who.ID)
	c.did(err, "Evidence")
	settled, err := c.s.EvidenceBefore(ctx, who.ID, c.now.Add(-time.Second))
	c.did(err, "EvidenceBefore")
	c.is(len(settled) == 0, "kept too lately", len(settled))
	c.is(bytes.Equal(hashes["birthday"], c.s.EvidenceHash(who.ID, "birthday", "19800201")) && len(hashes["birthday"]) == 16 &&
		!bytes.Equal(hashes["birthday"], c.s.EvidenceHash("another", "birthday", "19800201")), "evidence", len(hashes))
}
