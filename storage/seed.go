package storage

import (
	"context"
	"time"

	"hufu/idp"
)

// Seeded is a made-up person with all that is his.
type Seeded struct {
	User     idp.User
	Names    []idp.Identifier
	Creds    []idp.Credential
	Measures []byte // of his password, JSON; nil: not known
}

// Seed stores many made-up people at once, giving them ids: a population to measure with, or
// to show things on. It checks nothing, and the ages of what they hold are what it is told.
func (s *Store) Seed(ctx context.Context, people []Seeded, at time.Time) error {
	var users []userRow
	var names []identifierRow
	var creds []credentialRow
	var measures [][]byte
	for i, p := range people {
		id := idp.NewID()
		people[i].User.ID = id
		name, err := s.ring.Seal(userNamePlace(id), []byte(p.User.Name))
		if err != nil {
			return err
		}
		users = append(users, userRow{ID: id, Name: name, Language: p.User.Language, Role: string(p.User.Role), MerchantID: pointer(p.User.MerchantID), StoreID: pointer(p.User.StoreID),
			Status: string(idp.UserActive), CreatedAt: micros(at), GraceFrom: micros(p.User.GraceFrom), Team: p.User.Team})
		for _, n := range p.Names {
			row := identifierRow{ID: idp.NewID(), UserID: id, Kind: string(n.Kind), Lookup: s.Lookup(n.Kind, n.Value), VerifiedAt: micros(n.VerifiedAt), LastProvenAt: micros(n.VerifiedAt), CreatedAt: micros(at)}
			if row.Value, err = s.ring.Seal(identifierPlace(row.ID), []byte(n.Value)); err != nil {
				return err
			}
			names = append(names, row)
		}
		for _, c := range p.Creds {
			row := credentialRow{ID: idp.NewID(), UserID: id, Method: string(c.Method), Version: 1, CreatedAt: micros(c.CreatedAt), ChangedAt: micros(c.CreatedAt), Lookup: s.credentialLookup(c.Lookup)}
			if row.Data, err = s.ring.Seal(credentialPlace(row.ID), c.Data); err != nil {
				return err
			}
			creds = append(creds, row)
			measures = append(measures, nil)
			if c.Method == idp.MethodPassword && p.Measures != nil {
				if measures[len(measures)-1], err = s.ring.Seal(measuresPlace(row.ID), p.Measures); err != nil {
					return err
				}
			}
		}
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		const batch = 200
		if err := s.db(ctx).CreateInBatches(users, batch).Error; err != nil {
			return err
		}
		if err := s.db(ctx).CreateInBatches(names, batch).Error; err != nil {
			return err
		}
		if err := s.db(ctx).CreateInBatches(creds, batch).Error; err != nil {
			return err
		}
		for i, m := range measures {
			if m == nil {
				continue
			}
			if err := s.exec(ctx, "UPDATE credentials SET measures = ?, measured_by = 1 WHERE id = ?", m, creds[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
}
