package manage

import (
	"context"

	"hufu/idp"
	"hufu/storage"
)

// RotateKeys gives every algorithm another signing key. It is published at once and signs
// when everybody has had time to fetch it; until then the present one goes on. What was
// signed before is verified on.
func (m *Manager) RotateKeys(ctx context.Context, a Actor) error {
	if err := a.allow(KeyRotate); err != nil {
		return err
	}
	keys, err := m.NewKeys()
	if err != nil {
		return err
	}
	// The object is the keyring: one rotation waits at a time.
	return m.perform(ctx, a, deed{act: KeyRotate, object: "keys"}, func(ctx context.Context) (changes []idp.Difference, err error) {
		have, err := m.Store.SigningKeys(ctx)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			was, _ := storage.Signs(have, k.Alg, k.CreatedAt)
			changes = append(changes, idp.Difference{Field: "key", Old: []string{k.Alg + " " + was.ID}})
			if err := m.Store.RotateSigningKey(ctx, k); err != nil {
				return nil, err
			}
			if err := m.record(ctx, a, idp.Event{Name: "key.rotated", Data: map[string]any{"kid": k.ID, "alg": k.Alg, "was": was.ID}}); err != nil {
				return nil, err
			}
		}
		return changes, nil
	})
}
