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
	data := map[string]any{"list": what.List}
	if len(what.Filter) > 0 {
		data["filter"] = what.Filter
	}
	return m.record(ctx, a, idp.Event{Name: "list.exported", Subject: what.Subject, Merchant: what.Merchant, Data: data})
}
