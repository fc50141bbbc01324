package server

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/phc"
	"hufu/idp/policy"
)

// Rule changes a field of a rule of the policy in force, by its path.
func (s *Server) Rule(rule int, path string, value any) {
	d := s.policy.Now().Document
	d.Rules[rule].Set[path] = value
	p, err := policy.Compile(d, s.policy.Now().Version)
	if err != nil {
		panic(err)
	}
	s.policy.Use(p, nil)
}

// Rest ends the background jobs, as Close does.
func (s *Server) Rest() {
	s.stop()
	s.jobs.Wait()
}

// Hash takes another hasher for passwords and codes from paper.
func (s *Server) Hash(h *phc.Hasher) { *s.flows.Hasher = *h }

// TellRecoveries does what the job of that name does, once.
func (s *Server) TellRecoveries(ctx context.Context) (time.Time, error) {
	return s.flows.TellRecoveries(ctx)
}

// StopAt does what a tap at a terminal does.
func (s *Server) StopAt(ctx context.Context, n idp.TerminalNotice, at idp.Terminal) (bool, error) {
	return s.flows.StopAt(ctx, n, at)
}

// Manager does what the console does, without its pages.
func (s *Server) Manager() *manage.Manager {
	return &manage.Manager{Store: s.Store, Policy: s.policy, Notify: s.flows.Notice, Announce: s.flows.Announce, VoidRecovery: s.flows.VoidRecovery}
}

// Policy is what is in force.
func (s *Server) Policy() *policy.Policy { return s.policy.Now() }
