package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/storage"
)

// simulateCmd runs a stricter policy against a seeded population and measures it.
type simulateCmd struct {
	store
	Seconds int `default:"60" help:"The run may take so long."`
	MiB     int `default:"150" help:"The process may need so much memory at most."`
	Sample  int `default:"2000" help:"People whose effects are counted by a second way."`
}

func (c simulateCmd) Run(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	m := &manage.Manager{Store: s, Policy: policy.NewLive(policy.Default())}
	admin := manage.Actor{User: idp.User{ID: "bench", Role: idp.RolePolicyAdmin}, Reason: "measuring"}
	run, err := stricter(ctx, m, admin)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	start := time.Now()
	go func() { _, err := m.Simulate(ctx); done <- err }()
	if run, err = watch(ctx, s, run, start, done); err != nil {
		return err
	}
	took, peak := time.Since(start), peakMiB()
	tally := policy.ReadTally(run.Result)
	fmt.Printf("people %d, touched %d, %v\n", tally.People, tally.Any, tally.By)
	fmt.Printf("took %v, %.2f of the limit; peak memory %d MiB, %.2f of the limit\n", took.Round(time.Millisecond), took.Seconds()/float64(c.Seconds), peak, float64(peak)/float64(c.MiB))
	if err := c.check(ctx, s, run); err != nil {
		return err
	}
	if took > time.Duration(c.Seconds)*time.Second || peak > c.MiB {
		return errors.New("over the limit")
	}
	return nil
}

// stricter drafts longer passwords and two factors for everybody, and begins its run.
func stricter(ctx context.Context, m *manage.Manager, a manage.Actor) (run idp.Simulation, err error) {
	e, err := m.DraftPolicy(ctx, a, 0)
	if err != nil {
		return run, err
	}
	d, err := policy.Parse(e.Document)
	if err != nil {
		return run, err
	}
	set := d.Rules[0].Set
	set["password.min_length"], set["password.min_length_alone"], set["password.max_age_days"], set["factors.sign_in"] = 14, 16, 180, idp.ACR2
	if err := m.SavePolicy(ctx, a, e.ID, e.Revision, "longer passwords, two factors for all", d.Format()); err != nil {
		return run, err
	}
	return m.SimulatePolicy(ctx, a, e.ID)
}

// watch draws the progress that an administrator would see.
func watch(ctx context.Context, s *storage.Store, run idp.Simulation, start time.Time, done <-chan error) (idp.Simulation, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return run, err
			}
			run, err := s.Simulation(ctx, run.ID)
			if err == nil && run.State != idp.SimulationDone {
				err = fmt.Errorf("the run is %s", run.State)
			}
			bar("simulated", int(run.Done), int(run.Total), start)
			return run, err
		case <-tick.C:
			now, err := s.Simulation(ctx, run.ID)
			if err != nil {
				return run, err
			}
			bar("simulated", int(now.Done), int(now.Total), start)
		}
	}
}

// check counts whom the draft would make enrol a factor among the first people, from their
// rows and by the rule written out, and holds that against the list of the run.
func (c simulateCmd) check(ctx context.Context, s *storage.Store, run idp.Simulation) error {
	people, err := s.Population(ctx, "", run.StartedAt, c.Sample)
	if err != nil || len(people) == 0 {
		return err
	}
	want := 0
	for _, p := range people {
		grace := 7 * 24 * time.Hour
		if p.Tier == string(idp.TierHighValue) || p.Tier == "" {
			grace = 0
		}
		demanded := p.Role == string(idp.RoleCashier) && p.Tier != string(idp.TierHighValue) // of the others two factors are asked already
		if demanded && !p.TOTP && !p.Passkey && run.StartedAt.Sub(p.GraceFrom) >= grace {
			want++
		}
	}
	listed, err := s.SimulatedPeople(ctx, run.ID, "", policy.MustEnrol, 10*c.Sample)
	if err != nil {
		return err
	}
	got := 0
	for _, p := range listed {
		if p.UserID <= people[len(people)-1].ID {
			got++
		}
	}
	fmt.Printf("of the first %d people %d must enrol, %d by a second way of counting\n", len(people), got, want)
	if got != want {
		return errors.New("the counts differ")
	}
	return nil
}

// peakMiB is the most memory that this process has held, 0 where the system does not tell.
func peakMiB() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, _ := strconv.Atoi(string(bytes.Fields(rest)[0]))
			return kib / 1024
		}
	}
	return 0
}
