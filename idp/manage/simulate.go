package manage

import (
	"context"
	"encoding/json"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
)

// A simulation looks at everybody, a part at a time by key, so that it needs no more memory for many people than for
// few; what it has found is kept with each part, so that another worker goes on where one died.
const (
	simulatePart   = 2000
	simulateLease  = time.Minute
	simulatePast   = 30 * 24 * time.Hour // of sign-ins that are looked at
	simulateEvents = 5000
)

// SimulatePolicy begins a run of an edition against everybody.
func (m *Manager) SimulatePolicy(ctx context.Context, a Actor, edition string) (run idp.Simulation, err error) {
	if err := a.allow(PolicyDraft); err != nil {
		return run, err
	}
	e, err := m.Store.Edition(ctx, edition)
	if err != nil {
		return run, err
	}
	if _, err := compiled(e); err != nil {
		return run, err
	}
	run = idp.Simulation{Edition: e.ID, Revision: e.Revision, By: a.User.ID, StartedAt: time.Now()}
	if err := m.Store.StartSimulation(ctx, &run); err != nil {
		return run, err
	}
	select {
	case m.Wake <- struct{}{}:
	default: // it works already, and looks again
	}
	return run, nil
}

// StopSimulation ends a run.
func (m *Manager) StopSimulation(ctx context.Context, a Actor, id string) error {
	if err := a.allow(PolicyDraft); err != nil {
		return err
	}
	ok, err := m.Store.StopSimulation(ctx, id, time.Now())
	if err == nil && !ok {
		err = moved()
	}
	return err
}

// Simulate works on the next run that waits, to its end; false when there is none.
func (m *Manager) Simulate(ctx context.Context) (bool, error) {
	now := time.Now()
	run, ok, err := m.Store.ClaimSimulation(ctx, now, now.Add(simulateLease))
	if err != nil || !ok {
		return false, err
	}
	if err := m.simulate(ctx, run); err != nil {
		if ctx.Err() != nil {
			return false, err // the lease ends, and somebody goes on
		}
		run.State, run.Result = idp.SimulationFailed, nil
		_, _ = m.Store.StepSimulation(ctx, run, nil, time.Now(), time.Now())
		return true, err
	}
	return true, nil
}

func (m *Manager) simulate(ctx context.Context, run idp.Simulation) error {
	will, err := m.edition(ctx, run.Edition)
	if err != nil {
		return err
	}
	was, tally := m.Policy.Now(), policy.ReadTally(run.Result)
	step := func(people []storage.SimulatedPerson) (bool, error) {
		now := time.Now()
		run.Result = tally.Write()
		return m.Store.StepSimulation(ctx, run, people, now, now.Add(simulateLease))
	}
	for {
		people, err := m.Store.Population(ctx, run.After, time.Now(), simulatePart)
		if err != nil {
			return err
		}
		if len(people) == 0 {
			break
		}
		touched := tryOn(run.ID, tally, was, will, people)
		run.Done, run.After = run.Done+int64(len(people)), people[len(people)-1].ID
		if ok, err := step(touched); err != nil || !ok {
			return err
		}
	}
	if err := m.simulatePast(ctx, was, will, tally, step); err != nil {
		return err
	}
	run.State, run.Total = idp.SimulationDone, run.Done
	_, err = step(nil)
	return err
}

func (m *Manager) edition(ctx context.Context, id string) (*policy.Policy, error) {
	e, err := m.Store.Edition(ctx, id)
	if err != nil {
		return nil, err
	}
	return compiled(e)
}

// tryOn counts what a policy would do to a part of the people, and returns whom it touches.
func tryOn(run string, tally *policy.Tally, was, will *policy.Policy, people []storage.Populated) (touched []storage.SimulatedPerson) {
	now := time.Now()
	for _, p := range people {
		who := personOf(p)
		bits := policy.Effects(now, was.For(who.Facts), will.For(who.Facts), who)
		tally.Count(who.Role, who.Tier, bits)
		if bits != 0 {
			touched = append(touched, storage.SimulatedPerson{SimulationID: run, UserID: p.ID, Role: p.Role, Tier: p.Tier, Effects: bits})
		}
	}
	return touched
}

func personOf(p storage.Populated) policy.Person {
	who := policy.Person{Facts: factsOf(p.ID, p.Role, p.Tier, p.MerchantNo, p.StoreID, ""), GraceFrom: p.GraceFrom, MustChange: p.MustChange, TOTP: p.TOTP, Passkey: p.Passkey, Channel: p.Channel,
		PasswordAt: p.PasswordAt, Sessions: p.Sessions, Apps: p.Apps, OldestSession: p.OldestSession, OldestApp: p.OldestApp}
	if p.Measures != nil {
		var measures policy.Measures
		if json.Unmarshal(p.Measures, &measures) == nil {
			who.Measures = &measures
		}
	}
	return who
}

func factsOf(user, role, tier, merchant, store, client string) policy.Facts {
	u := idp.User{ID: user, Role: idp.Role(role), StoreID: store}
	var m *idp.Merchant
	if merchant != "" {
		m = &idp.Merchant{No: merchant, Tier: idp.Tier(tier)}
	}
	f := policy.Who(u, m)
	f.Client = client
	return f
}

// simulatePast counts the sign-ins of the last thirty days that would have been asked for more.
func (m *Manager) simulatePast(ctx context.Context, was, will *policy.Policy, tally *policy.Tally, step func([]storage.SimulatedPerson) (bool, error)) error {
	since := time.Now().Add(-simulatePast)
	for {
		past, err := m.Store.SignIns(ctx, tally.SignInAfter, since, simulateEvents)
		if err != nil || len(past) == 0 {
			return err
		}
		for _, s := range past {
			f := factsOf(s.User, s.Role, s.Tier, s.MerchantNo, s.StoreID, s.Client)
			had, _ := idp.ParseACR(s.ACR)
			tally.SignIns++
			if want := will.For(f).Factors.SignIn; want > had && want > was.For(f).Factors.SignIn {
				tally.Asked++
			}
		}
		tally.SignInAfter = past[len(past)-1].Event
		if ok, err := step(nil); err != nil || !ok {
			return err
		}
	}
}
