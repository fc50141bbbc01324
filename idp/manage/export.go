package manage

import (
	"context"

	"hufu/idp"
)

// Exported names a list that leaves as a file, and what it is narrowed to.
type Exported struct {
	List              string // such as "users"
	Filter            map[string]string
	Subject, Merchant string // ids, where the list is about one alone
}

// Export notes that somebody takes a list away, before its first row leaves: a file
// that was begun has been seen, even if its end never arrived.
func (m *Manager) Export(ctx context.Context, a Actor, what Exported) error {
	if err := a.allow(Export); err != nil {
		return err
	}
	reach, err := Reach(a.User, Export)
	if err != nil {
		return err
	}
	if reach.Merchant != "" { // of his own merchant alone, whatever the list
		what.Merchant = reach.Merchant
	}
	data := map[string]any{"list": what.List}
	if len(what.Filter) > 0 {
		data["filter"] = what.Filter
	}
	return m.record(ctx, a, idp.Event{Name: "list.exported", Subject: what.Subject, Merchant: what.Merchant, Data: data})
}

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
