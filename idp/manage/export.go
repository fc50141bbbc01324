package manage

import (
	"context"

	"hufu/idp"
)

// ExportSimulation tells the log that the list of whom a draft would touch leaves the house; the caller then writes it. A
// run that is not done has no list that is whole.
func (m *Manager) ExportSimulation(ctx context.Context, a Actor, id string, effects int64) (run idp.Simulation, err error) {
	if err := a.allow(PolicyExport); err != nil {
		return run, err
	}
	if run, err = m.Store.Simulation(ctx, id); err != nil {
		return run, err
	}
	if run.State != idp.SimulationDone {
		return run, moved()
	}
	e, err := m.Store.Edition(ctx, run.Edition)
	if err != nil {
		return run, err
	}
	return run, m.policyEvent(ctx, a, "policy.exported", e, map[string]any{"simulation": run.ID, "effects": effects})
}
