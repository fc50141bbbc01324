package storage

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
)

type clientRow struct {
	ID           string `gorm:"primaryKey"`
	Name         string
	SecretHashes string
	Redirects    string
	PostLogout   string
	Grants       string
	Scopes       string
	Audience     string
	FirstParty   bool
	RequirePAR   bool `gorm:"column:require_par"`
	AnyPort      bool
	Disabled     bool
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
	Version      int64
}

func (clientRow) TableName() string { return "clients" }

func toClient(r clientRow) (idp.Client, error) {
	c := idp.Client{ID: r.ID, Name: r.Name, FirstParty: r.FirstParty, RequirePAR: r.RequirePAR, AnyPort: r.AnyPort, Disabled: r.Disabled,
		CreatedAt: fromMicros(r.CreatedAt), Version: r.Version}
	var err error
	read := func(text string, into any) {
		if err == nil {
			err = json.Unmarshal([]byte(text), into)
		}
	}
	read(r.SecretHashes, &c.SecretHashes)
	read(r.Redirects, &c.Redirects)
	read(r.PostLogout, &c.PostLogout)
	read(r.Grants, &c.Grants)
	read(r.Scopes, &c.Scopes)
	read(r.Audience, &c.Audience)
	return c, err
}

// CreateClient stores a new client under the id it names.
func (s *Store) CreateClient(ctx context.Context, c *idp.Client) error {
	c.CreatedAt, c.Version = time.Now(), 1
	defer s.clients.drop()
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&clientRow{ID: c.ID, Name: c.Name, SecretHashes: asJSON(c.SecretHashes), Redirects: asJSON(c.Redirects), PostLogout: asJSON(c.PostLogout),
			Grants: asJSON(c.Grants), Scopes: asJSON(c.Scopes), Audience: asJSON(c.Audience), FirstParty: c.FirstParty, RequirePAR: c.RequirePAR, AnyPort: c.AnyPort,
			Disabled: c.Disabled, CreatedAt: micros(c.CreatedAt), Version: 1}).Error
		if err != nil {
			return taken(err, "id", "error.taken.client")
		}
		return s.moved(ctx, "clients")
	})
}

// Client returns a client by id, from memory.
func (s *Store) Client(ctx context.Context, id string) (idp.Client, error) {
	all, err := s.allClients(ctx)
	if err != nil {
		return idp.Client{}, err
	}
	c, ok := all[id]
	if !ok {
		return idp.Client{}, idp.Errorf(idp.NotFound, "error.notfound")
	}
	return c, nil
}

// ClientNow returns a client as it stands in the running transaction, past the
// memory: for changes that build on what is there.
func (s *Store) ClientNow(ctx context.Context, id string) (idp.Client, error) {
	var row clientRow
	if err := s.db(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return idp.Client{}, notFound(err)
	}
	return toClient(row)
}

// Clients lists all clients by id.
func (s *Store) Clients(ctx context.Context) ([]idp.Client, error) {
	all, err := s.allClients(ctx)
	if err != nil {
		return nil, err
	}
	var list []idp.Client
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[id])
	}
	return list, nil
}

func (s *Store) allClients(ctx context.Context) (map[string]idp.Client, error) {
	return s.clients.get(ctx, s, "clients", func(db *gorm.DB) (map[string]idp.Client, error) {
		var rows []clientRow
		if err := db.Find(&rows).Error; err != nil {
			return nil, err
		}
		all := make(map[string]idp.Client, len(rows))
		for _, r := range rows {
			c, err := toClient(r)
			if err != nil {
				return nil, err
			}
			all[c.ID] = c
		}
		return all, nil
	})
}

// SetClientDisabled disables or enables a client; false when nothing changed.
func (s *Store) SetClientDisabled(ctx context.Context, id string, disabled bool) (changed bool, err error) {
	return s.changeClient(ctx, "UPDATE clients SET disabled = ?, version = version + 1 WHERE id = ? AND disabled <> ?", disabled, id, disabled)
}

// SetClientSecrets replaces the secret hashes of a confidential client, newest
// first; false when the client is no longer at the version that was read.
func (s *Store) SetClientSecrets(ctx context.Context, id string, version int64, hashes [][]byte) (changed bool, err error) {
	return s.changeClient(ctx, "UPDATE clients SET secret_hashes = ?, version = version + 1 WHERE id = ? AND version = ?", asJSON(hashes), id, version)
}

// SaveClient replaces the name, addresses, scopes and grant types of a client; false when it
// is no longer at the version that was read.
func (s *Store) SaveClient(ctx context.Context, c idp.Client) (changed bool, err error) {
	return s.changeClient(ctx, "UPDATE clients SET name = ?, redirects = ?, post_logout = ?, grants = ?, scopes = ?, version = version + 1 WHERE id = ? AND version = ?",
		c.Name, asJSON(c.Redirects), asJSON(c.PostLogout), asJSON(c.Grants), asJSON(c.Scopes), c.ID, c.Version)
}

func (s *Store) changeClient(ctx context.Context, sql string, args ...any) (changed bool, err error) {
	defer s.clients.drop()
	err = s.Tx(ctx, func(ctx context.Context) error {
		n, err := s.affected(ctx, sql, args...)
		changed = n == 1
		if err != nil || !changed {
			return err
		}
		return s.moved(ctx, "clients")
	})
	return changed, err
}

// Consented returns the scopes that a user has allowed a client before.
func (s *Store) Consented(ctx context.Context, user, client string) ([]string, error) {
	var text string
	if err := s.db(ctx).Raw("SELECT scopes FROM consents WHERE user_id = ? AND client_id = ?", user, client).Scan(&text).Error; err != nil || text == "" {
		return nil, err
	}
	var scopes []string
	return scopes, json.Unmarshal([]byte(text), &scopes)
}

// ConsentedAt says when a user last allowed a client anything, zero: never.
func (s *Store) ConsentedAt(ctx context.Context, user, client string) (time.Time, error) {
	var at int64
	err := s.db(ctx).Raw("SELECT created_at FROM consents WHERE user_id = ? AND client_id = ?", user, client).Scan(&at).Error
	return fromMicros(at), err
}

// Consent notes that a user allows a client exactly these scopes from now on.
func (s *Store) Consent(ctx context.Context, user, client string, scopes []string, at time.Time) error {
	return s.exec(ctx, `INSERT INTO consents (user_id, client_id, scopes, created_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (user_id, client_id) DO UPDATE SET scopes = excluded.scopes, created_at = excluded.created_at`, user, client, asJSON(scopes), micros(at))
}
