package storage_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// desk holds what the support desk keeps.
func (c *conformity) desk(ctx context.Context) {
	who, agent, boss := c.person(ctx), c.person(ctx), c.person(ctx)
	c.did(c.s.SetTeam(ctx, agent.ID, "早班"), "SetTeam")
	agent, err := c.s.User(ctx, agent.ID)
	c.did(err, "User")
	c.is(agent.Team == "早班", "team", agent)

	open := func(kind string) (idp.Case, error) {
		cs := idp.Case{Kind: kind, UserID: who.ID, Merchant: "m", OpenedBy: agent.ID, Assigned: agent.ID, OpenedAt: c.now, DueAt: c.now.Add(4 * time.Hour), Data: map[string]any{"lost": "both"}}
		return cs, c.s.OpenCase(ctx, &cs)
	}
	one, err := open(idp.CaseRecovery)
	c.did(err, "OpenCase")
	for _, kind := range []string{idp.CaseRecovery, idp.CaseStaff} {
		_, err = open(kind)
		c.kind(err, idp.Conflict, "a second case")
	}
	freeze, err := open(idp.CaseFreeze)
	c.did(err, "OpenCase")
	for f, n := range map[storage.CaseFilter]int{{User: who.ID, Kind: idp.CaseRecovery}: 1, {User: who.ID, Assigned: agent.ID}: 2, {User: who.ID, Ready: true}: 0} {
		list, err := c.s.Cases(ctx, f, 10)
		c.did(err, "Cases")
		c.is(len(list) == n, "cases", f, list)
	}
	c.refused("a case that is another's")(c.s.AssignCase(ctx, one.ID, "", boss.ID))
	c.done("AssignCase")(c.s.AssignCase(ctx, one.ID, agent.ID, ""))
	c.done("AssignCase")(c.s.AssignCase(ctx, one.ID, "", boss.ID))

	decided := one
	decided.Outcome, decided.DecidedBy, decided.ClosedAt, decided.Data = idp.OutcomeApproved, boss.ID, c.now.Add(time.Hour), map[string]any{"lost": "second", "met": true}
	c.refused("a case that is not ready")(c.s.DecideCase(ctx, decided))
	n, err := c.s.CountReady(ctx, boss, false)
	c.did(err, "CountReady")
	c.is(n == 0, "ready before", n)
	c.done("SetCaseData")(c.s.SetCaseData(ctx, one))
	c.done("ReadyCase")(c.s.ReadyCase(ctx, one.ID, c.now, c.now.Add(time.Hour)))
	c.refused("changed while it waits")(c.s.SetCaseData(ctx, one))
	c.refused("ready twice")(c.s.ReadyCase(ctx, one.ID, c.now, c.now.Add(time.Hour)))
	c.done("ReadyCase")(c.s.ReadyCase(ctx, freeze.ID, c.now, c.now.Add(100*time.Hour)))

	write := func(m idp.Match) (bool, error) { return c.s.WriteEvidence(ctx, one.ID, m, 2) }
	c.done("WriteEvidence")(write(idp.Match{Field: idp.FieldBirthday, By: agent.ID, At: c.now}))
	c.done("WriteEvidence")(write(idp.Match{Field: idp.FieldBirthday, Matched: true, By: agent.ID, At: c.now}))
	c.refused("a third try")(write(idp.Match{Field: idp.FieldBirthday, By: agent.ID, At: c.now}))
	c.done("WriteEvidence")(write(idp.Match{Field: idp.FieldSerial, Matched: true, By: agent.ID, At: c.now}))
	c.refused("what has matched")(write(idp.Match{Field: idp.FieldSerial, By: agent.ID, At: c.now}))
	all, err := c.s.CaseEvidence(ctx, one.ID)
	c.did(err, "CaseEvidence")
	c.is(len(all) == 3 && idp.Matches(all) == 2 && all[1].Try == 2 && all[1].Matched && all[1].By == agent.ID && all[0].At.Equal(c.now), "evidence", all)

	mate := boss
	mate.Team = "早班"
	for by, want := range map[*idp.User]int64{&boss: 2, &mate: 1, &agent: 0, &who: 0} {
		n, err := c.s.CountReady(ctx, *by, false)
		c.did(err, "CountReady")
		c.is(n == want, "ready", by.Team, n, want)
	}
	n, err = c.s.CountReady(ctx, boss, true)
	c.did(err, "CountReady")
	c.is(n == 0, "ready, of staff", n)

	err = c.s.Tx(ctx, func(ctx context.Context) error {
		held, err := c.s.HoldCase(ctx, one.ID)
		c.did(err, "HoldCase")
		c.is(held.Assigned == boss.ID && held.ReadyAt.Equal(c.now) && held.DueAt.Equal(c.now.Add(time.Hour)) && held.Lost() == idp.LostBoth && held.Stands(c.now) == "ready", "held", held)
		_, err = c.s.HoldCase(ctx, "none")
		c.kind(err, idp.NotFound, "an unknown case")
		return nil
	})
	c.did(err)
	_, err = c.s.HoldCase(ctx, one.ID)
	c.is(err != nil, "held outside a transaction")
	c.done("DecideCase")(c.s.DecideCase(ctx, decided))
	c.refused("decided twice")(c.s.DecideCase(ctx, decided))
	c.refused("a closed case")(c.s.AssignCase(ctx, one.ID, boss.ID, ""))
	got, err := c.s.Case(ctx, one.ID)
	c.did(err, "Case")
	c.is(got.Approved() && got.Met() && got.Lost() == idp.LostSecond && got.DecidedBy == boss.ID && got.ClosedAt.Equal(decided.ClosedAt), "decided", got)
	_, err = open(idp.CaseRecovery)
	c.did(err, "OpenCase")
	c.calls(ctx, freeze, agent)
	list, err := c.s.Overdue(ctx, freeze.DueAt.Add(-time.Microsecond), freeze.DueAt)
	c.did(err, "Overdue")
	c.is(len(list) == 2 && (list[0].ID == freeze.ID || list[1].ID == freeze.ID), "overdue", list) // and the newer one for whom a link went out
	for at, want := range []bool{true, false, true} {
		last, ok, err := c.s.Turn(ctx, "a job", 2*time.Second, c.now.Add(time.Duration(at)*time.Second))
		c.did(err, "Turn")
		c.is(ok == want && (at == 0) == last.IsZero(), "turn", at, last, ok)
	}
	c.useLinks(ctx, who)
}

// calls: digits once, wrong ones counted, a newer call ends the older.
func (c *conformity) calls(ctx context.Context, of idp.Case, agent idp.User) {
	none, err := c.s.CaseCall(ctx, of.ID)
	c.did(err, "CaseCall")
	c.is(none == nil, "a call of nobody", none)
	n := 0
	start := func() idp.Call {
		n++
		call := idp.Call{CaseID: of.ID, UserID: of.UserID, Agent: agent.ID, Caller: "1234", Half: "8765", StartedAt: c.now.Add(time.Duration(n) * time.Millisecond), Until: c.now.Add(10 * time.Minute)}
		c.did(c.s.StartCall(ctx, &call), "StartCall")
		return call
	}
	first, call := start(), start()
	c.refused("the older call")(c.s.HearCall(ctx, first.ID, "1234", c.now))
	c.refused("wrong digits")(c.s.HearCall(ctx, call.ID, "1235", c.now))
	c.done("MissCall")(c.s.MissCall(ctx, call.ID, 3, c.now))
	seen, err := c.s.CallerDigits(ctx, of.UserID, c.now)
	c.did(err, "CallerDigits")
	at, err := c.s.CaseCall(ctx, of.ID)
	c.did(err, "CaseCall")
	c.is(seen != nil && seen.Caller == "1234" && seen.Half == "" && seen.Wrong == 1 && at != nil && at.Caller == "" && at.Half == "" && at.Live(c.now), "asked", seen, at)
	c.refused("too late")(c.s.HearCall(ctx, call.ID, "1234", call.Until))
	c.done("HearCall")(c.s.HearCall(ctx, call.ID, "1234", c.now))
	c.refused("heard twice")(c.s.HearCall(ctx, call.ID, "1234", c.now))
	c.refused("wrong after it was heard")(c.s.MissCall(ctx, call.ID, 3, c.now))
	seen, err = c.s.CallerDigits(ctx, of.UserID, c.now)
	c.did(err, "CallerDigits")
	at, err = c.s.CaseCall(ctx, of.ID)
	c.did(err, "CaseCall")
	c.is(seen.Half == "8765" && at.Half == "8765" && at.Caller == "", "heard", seen, at)
	late, err := c.s.CallerDigits(ctx, of.UserID, call.Until)
	c.did(err, "CallerDigits")
	c.is(late == nil, "over", late)
	who, err := c.s.User(ctx, of.UserID)
	c.did(err, "User")
	for merchant, n := range map[string]int{who.MerchantID: 1, "another": 0} {
		list, err := c.s.ShopCalls(ctx, idp.Terminal{MerchantID: merchant, StoreID: who.StoreID}, c.now)
		c.did(err, "ShopCalls")
		c.is(len(list) == n && (n == 0 || list[0].Caller == "1234" && list[0].Half == "8765"), "at a terminal", list)
	}
	third := start()
	for range 2 {
		c.done("MissCall")(c.s.MissCall(ctx, third.ID, 2, c.now))
	}
	c.refused("the third time")(c.s.MissCall(ctx, third.ID, 2, c.now))
	c.refused("after the last wrong ones")(c.s.HearCall(ctx, third.ID, "1234", c.now))
}

// useLinks: a link that works once, and ends with the next.
func (c *conformity) useLinks(ctx context.Context, u idp.User) {
	link := idp.Link{Kind: idp.LinkCase, UserID: u.ID, Object: "case", CreatedAt: c.now, ExpiresAt: c.now.Add(time.Hour)}
	for _, hash := range []string{"one", "two"} {
		c.did(c.s.VoidLinks(ctx, u.ID, idp.LinkCase), "VoidLinks")
		c.did(c.s.CreateLink(ctx, []byte(hash), link), "CreateLink")
	}
	for what, try := range map[string]struct {
		hash string
		kind idp.LinkKind
		at   time.Time
	}{"the older": {"one", idp.LinkCase, c.now}, "another kind": {"two", idp.LinkFreeze, c.now}, "too late": {"two", idp.LinkCase, link.ExpiresAt}} {
		_, err := c.s.UseLink(ctx, []byte(try.hash), try.kind, try.at)
		c.kind(err, idp.NotFound, what)
	}
	got, err := c.s.UseLink(ctx, []byte("two"), idp.LinkCase, c.now)
	c.did(err, "UseLink")
	c.is(got.Object == "case" && got.UserID == u.ID && got.ExpiresAt.Equal(link.ExpiresAt), "link", got)
	c.did(c.s.VoidLinks(ctx, u.ID, idp.LinkCase), "VoidLinks")
	c.did(c.s.DropLinks(ctx, u.ID), "DropLinks")
	reason := func(hash string, kind idp.LinkKind, want string) {
		for _, follow := range []func(context.Context, []byte, idp.LinkKind, time.Time) (idp.Link, error){c.s.UseLink, c.s.Link} {
			_, err := follow(ctx, []byte(hash), kind, c.now)
			c.kind(err, idp.NotFound, hash)
			gone, ok := errors.AsType[*idp.Error](err)
			c.is(ok && gone.Reason == want, "reason of "+hash, err)
		}
	}
	reason("two", idp.LinkCase, "link.spent")
	reason("two", idp.LinkUndo, "")
	reason("one", idp.LinkCase, "")
	old := idp.Link{Kind: idp.LinkCase, UserID: u.ID, Object: "case", CreatedAt: c.now.Add(-26 * time.Hour), ExpiresAt: c.now.Add(-25 * time.Hour)}
	c.did(c.s.CreateLink(ctx, []byte("old"), old), "CreateLink")
	_, err = c.s.UseLink(ctx, []byte("old"), idp.LinkCase, old.CreatedAt)
	c.did(err, "UseLink")
	reason("old", idp.LinkCase, "link.spent")
	c.did(c.s.Sweep(ctx, c.now), "Sweep")
	reason("old", idp.LinkCase, "")
	reason("two", idp.LinkCase, "link.spent")
}

// What happens once happens once, however many try at the same time.
func TestDeskAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now().Truncate(time.Microsecond)
		c := &conformity{T: t, s: s, now: now, covered: map[string]bool{}}
		u := c.person(ctx)
		cs := idp.Case{Kind: idp.CaseRecovery, UserID: u.ID, OpenedAt: now, DueAt: now, ReadyAt: now}
		c.did(s.OpenCase(ctx, &cs))
		call := idp.Call{CaseID: cs.ID, UserID: u.ID, Caller: "1234", Half: "8765", StartedAt: now, Until: now.Add(time.Minute)}
		c.did(s.StartCall(ctx, &call))
		link := idp.Link{Kind: idp.LinkCase, UserID: u.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		c.did(s.CreateLink(ctx, []byte("h"), link))
		cs.Outcome = idp.OutcomeApproved
		for what, try := range map[string]func() (bool, error){
			"HearCall":   func() (bool, error) { return s.HearCall(ctx, call.ID, "1234", now) },
			"DecideCase": func() (bool, error) { return s.DecideCase(ctx, cs) },
			"UseLink": func() (bool, error) {
				_, err := s.UseLink(ctx, []byte("h"), idp.LinkCase, now)
				if idp.KindOf(err) == idp.NotFound {
					return false, nil
				}
				return err == nil, err
			},
		} {
			if wins := atOnce(t, try); wins != 1 {
				t.Errorf("%s: %d of 16 won", what, wins)
			}
		}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := s.WriteEvidence(ctx, "c", idp.Match{Field: idp.FieldBirthday, By: "a", At: now}, 3); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, err := s.CaseEvidence(ctx, "c")
		c.did(err)
		tries := []int{}
		for _, m := range all {
			tries = append(tries, m.Try)
		}
		if slices.Compare(tries, []int{1, 2, 3, 4}) >= 0 || len(tries) == 0 {
			t.Errorf("tries %v", tries)
		}
	})
}
