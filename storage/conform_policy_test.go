package storage_test

import (
	"context"
	"slices"
	"time"

	"hufu/idp"
	"hufu/storage"
)

func (c *conformity) editions(ctx context.Context) {
	c.did(c.s.FoundEdition(ctx, []byte(`{"rules":[]}`), c.now), "FoundEdition")
	c.did(c.s.FoundEdition(ctx, []byte(`{"other":1}`), c.now))
	active, tried, err := c.s.InForce(ctx)
	c.did(err, "InForce")
	c.is(active.Version == 1 && tried == nil && string(active.Document) == `{"rules":[]}`, "founded", active, tried)
	draft := func() idp.Edition {
		e := idp.Edition{Base: 1, Title: "longer passwords", Document: []byte("{}"), Author: "one", CreatedAt: c.now}
		c.did(c.s.CreateEdition(ctx, &e), "CreateEdition")
		return e
	}
	one, two := draft(), draft()
	one.Document = []byte(`{"rules":[1]}`)
	c.done("SaveEdition")(c.s.SaveEdition(ctx, one, c.now.Add(time.Second)))
	c.refused("a save on an old revision")(c.s.SaveEdition(ctx, one, c.now))
	got, err := c.s.Edition(ctx, one.ID)
	c.did(err, "Edition")
	c.is(got.Revision == 2 && string(got.Document) == `{"rules":[1]}` && got.Version == 0 && got.State == idp.EditionDraft, "saved", got)
	v, err := c.s.SubmitEdition(ctx, one.ID, 1, "why", c.now)
	c.did(err, "SubmitEdition")
	c.is(v == 0, "submitted on an old revision", v)
	v, err = c.s.SubmitEdition(ctx, one.ID, 2, "why", c.now)
	c.did(err)
	c.is(v == 2, "submitted", v)
	v, err = c.s.SubmitEdition(ctx, two.ID, 1, "why", c.now)
	c.did(err)
	c.is(v == 3, "submitted second", v)
	for author, want := range map[string]int64{"one": 0, "two": 2} {
		n, err := c.s.CountSubmitted(ctx, author)
		c.did(err, "CountSubmitted")
		c.is(n == want, "submitted by others than", author, n)
	}
	c.refused("a save of a submitted one")(c.s.SaveEdition(ctx, got, c.now))
	got, err = c.s.EditionOf(ctx, 2)
	c.did(err, "EditionOf")
	c.is(got.ID == one.ID && got.Reason == "why", "by version", got)
	_, err = c.s.EditionOf(ctx, 0)
	c.kind(err, idp.NotFound, "version 0")
	before, err := c.s.PolicyMoved(ctx)
	c.did(err, "PolicyMoved")
	got.DecidedBy, got.DecidedAt, got.ActivateAt, got.Percent, got.Merchants = "two", c.now, c.now.Add(time.Hour), 10, []string{"822290059430001"}
	c.refused("an activation before approval")(c.s.ActivateEdition(ctx, one.ID, idp.EditionApproved, false, c.now))
	c.done("ApproveEdition")(c.s.ApproveEdition(ctx, got))
	c.refused("a second approval")(c.s.ApproveEdition(ctx, got))
	after, err := c.s.PolicyMoved(ctx)
	c.did(err)
	c.is(after > before, "moved", before, after)
	active, tried, err = c.s.InForce(ctx)
	c.did(err)
	c.is(active.Version == 1 && tried != nil && tried.Version == 2 && tried.Percent == 10 && len(tried.Merchants) == 1, "tried out", active, tried)
	due, err := c.s.DueEditions(ctx, c.now)
	c.did(err, "DueEditions")
	c.is(len(due) == 0, "due early", due)
	due, err = c.s.DueEditions(ctx, c.now.Add(time.Hour))
	c.did(err)
	c.is(len(due) == 1 && due[0].ID == one.ID, "due", due)
	c.done("ActivateEdition")(c.s.ActivateEdition(ctx, one.ID, idp.EditionApproved, false, c.now))
	c.refused("a second activation")(c.s.ActivateEdition(ctx, one.ID, idp.EditionApproved, false, c.now))
	active, tried, err = c.s.InForce(ctx)
	c.did(err)
	c.is(active.Version == 2 && tried == nil, "in force", active, tried)
	c.done("EndEdition")(c.s.EndEdition(ctx, two.ID, idp.EditionSubmitted, idp.EditionRefused, "two", c.now))
	c.refused("an end twice")(c.s.EndEdition(ctx, two.ID, idp.EditionSubmitted, idp.EditionRefused, "two", c.now))
	all, err := c.s.Editions(ctx, storage.EditionFilter{}, 10)
	c.did(err, "Editions")
	c.is(len(all) == 3, "all", all)
	retired, err := c.s.Editions(ctx, storage.EditionFilter{State: idp.EditionRetired}, 10)
	c.did(err)
	c.is(len(retired) == 1 && retired[0].Version == 1, "retired", retired)
}

func (c *conformity) simulations(ctx context.Context) {
	e := idp.Edition{Base: 1, Document: []byte("{}"), Author: "one", CreatedAt: c.now}
	c.did(c.s.CreateEdition(ctx, &e))
	m := idp.Simulation{Edition: e.ID, Revision: 1, By: "one", StartedAt: c.now}
	c.did(c.s.StartSimulation(ctx, &m), "StartSimulation")
	c.is(m.Total > 0, "people", m)
	got, ok, err := c.s.ClaimSimulation(ctx, c.now, c.now.Add(time.Minute))
	c.did(err, "ClaimSimulation")
	c.is(ok && got.ID == m.ID && got.State == idp.SimulationRunning, "claimed", got)
	_, ok, err = c.s.ClaimSimulation(ctx, c.now, c.now.Add(time.Minute))
	c.did(err)
	c.is(!ok, "claimed twice")
	got.Done, got.After, got.Result = 2, "b", []byte(`{"n":2}`)
	people := []storage.SimulatedPerson{{m.ID, "a", "owner", "micro", 1}, {m.ID, "b", "cashier", "micro", 6}}
	c.done("StepSimulation")(c.s.StepSimulation(ctx, got, people, c.now, c.now.Add(time.Minute)))
	again, ok, err := c.s.ClaimSimulation(ctx, c.now.Add(2*time.Minute), c.now.Add(3*time.Minute))
	c.did(err)
	c.is(ok && again.After == "b" && again.Done == 2, "taken up", again)
	found, err := c.s.SimulatedPeople(ctx, m.ID, "", 4, 10)
	c.did(err, "SimulatedPeople")
	c.is(len(found) == 1 && found[0].UserID == "b", "with an effect", found)
	found, err = c.s.SimulatedPeople(ctx, m.ID, "a", 7, 10)
	c.did(err)
	c.is(len(found) == 1 && found[0].Tier == "micro", "after one", found)
	u := c.person(ctx)
	c.done("StepSimulation")(c.s.StepSimulation(ctx, again, []storage.SimulatedPerson{{m.ID, u.ID, string(u.Role), "micro", 8}}, c.now, c.now.Add(time.Minute)))
	named, err := c.s.NamedPeople(ctx, m.ID, "", 15, 10)
	c.did(err, "NamedPeople")
	c.is(len(named) == 3 && slices.ContainsFunc(named, func(n storage.NamedPerson) bool { return n.UserID == u.ID && n.Name == u.Name && n.Effects == 8 }), "with names", named)
	named, err = c.s.NamedPeople(ctx, m.ID, named[0].UserID, 15, 1)
	c.did(err)
	c.is(len(named) == 1, "a page of names", named)
	c.done("StopSimulation")(c.s.StopSimulation(ctx, m.ID, c.now))
	c.refused("a stop twice")(c.s.StopSimulation(ctx, m.ID, c.now))
	c.refused("a step of a stopped one")(c.s.StepSimulation(ctx, again, nil, c.now, c.now))
	list, err := c.s.Simulations(ctx, e.ID, 5)
	c.did(err, "Simulations")
	c.is(len(list) == 1 && list[0].State == idp.SimulationStopped, "listed", list)
	one, err := c.s.Simulation(ctx, m.ID)
	c.did(err, "Simulation")
	c.is(string(one.Result) == `{"n":2}`, "result", one)
}

func (c *conformity) seed(ctx context.Context) {
	c.did(c.s.Seed(ctx, []storage.Seeded{{User: idp.User{Name: "某人", Role: idp.RoleOwner, MerchantID: c.merchant.ID, GraceFrom: c.now},
		Names: []idp.Identifier{{Kind: idp.IdentifierUsername, Value: "seed.one"}, {Kind: idp.IdentifierPhone, Value: "+8613900009999", VerifiedAt: c.now}},
		Creds: []idp.Credential{{Method: idp.MethodPassword, Data: []byte("hash"), CreatedAt: c.now}, {Method: idp.MethodTOTP, Data: []byte("x"), CreatedAt: c.now}}, Measures: []byte(`{"length":9}`)}}, c.now), "Seed")
	u, err := c.s.UserByIdentifier(ctx, idp.IdentifierUsername, "seed.one")
	c.did(err)
	creds, err := c.s.Credentials(ctx, u.ID)
	c.did(err)
	c.is(u.Name == "某人" && u.Status == idp.UserActive && len(creds) == 2 && string(creds[0].Data) == "hash" || string(creds[1].Data) == "hash", "seeded", u, creds)
	found := false
	people, err := c.s.Population(ctx, "", c.now, 1000)
	c.did(err)
	for _, p := range people {
		found = found || p.ID == u.ID && p.TOTP && p.Channel && string(p.Measures) == `{"length":9}`
	}
	c.is(found, "in the population")
}

func (c *conformity) population(ctx context.Context) {
	u := c.person(ctx)
	now := time.Now()
	pw := idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte("hash")}
	c.did(c.s.AddCredential(ctx, &pw))
	c.did(c.s.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: []byte("x")}))
	c.did(c.s.Measure(ctx, pw.ID, 1, []byte(`{"length":12}`), 3, true, now), "Measure")
	c.did(c.s.Measure(ctx, pw.ID, 1, []byte(`{"length":12}`), 4, true, now.Add(time.Hour)))
	weak, err := c.s.Credential(ctx, pw.ID)
	c.did(err)
	c.is(weak.MeasuredBy == 4 && weak.WeakSince.Equal(now.Truncate(time.Microsecond)), "weak since the first time", weak)
	c.did(c.s.Measure(ctx, pw.ID, 2, []byte(`{"length":1}`), 5, false, now)) // of another password
	c.did(c.s.Measure(ctx, pw.ID, 1, []byte(`{"length":12}`), 4, false, now))
	weak, err = c.s.Credential(ctx, pw.ID)
	c.did(err)
	c.is(weak.MeasuredBy == 4 && weak.WeakSince.IsZero(), "not weak", weak)
	for i := range 2 {
		ss := idp.Session{UserID: u.ID, CreatedAt: now.Add(-time.Duration(i) * time.Hour), IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}
		c.did(c.s.CreateSession(ctx, &ss, []byte(u.ID+string(rune('0'+i)))))
	}
	all, err := c.s.Population(ctx, "", now, 1000)
	c.did(err, "Population")
	var got storage.Populated
	for i, p := range all {
		c.is(i == 0 || all[i-1].ID < p.ID, "order", p.ID)
		if p.ID == u.ID {
			got = p
		}
	}
	c.is(got.TOTP && !got.Passkey && got.Sessions == 2 && got.OldestSession.Equal(now.Add(-time.Hour).Truncate(time.Microsecond)) && string(got.Measures) == `{"length":12}` && !got.PasswordAt.IsZero(), "person", got)
	two, err := c.s.Population(ctx, all[0].ID, now, 1)
	c.did(err)
	c.is(len(two) == 1 && two[0].ID == all[1].ID, "a part", two)
	c.did(c.s.Append(ctx, idp.Event{Name: "signin.succeeded", Subject: u.ID, Client: "app", Data: map[string]any{"acr": idp.ACR1.String()}}))
	signed, err := c.s.SignIns(ctx, "", now.Add(-time.Hour), 1000)
	c.did(err, "SignIns")
	last := signed[len(signed)-1]
	c.is(last.User == u.ID && last.ACR == idp.ACR1.String() && last.Client == "app", "sign-in", last)
	rest, err := c.s.SignIns(ctx, last.Event, now.Add(-time.Hour), 10)
	c.did(err)
	c.is(len(rest) == 0, "after the last", rest)
}
