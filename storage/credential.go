package storage

import (
	"cmp"
	"context"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type credentialRow struct {
	ID         string `gorm:"primaryKey"`
	UserID     string
	Method     string
	Label      string
	Data       []byte
	Counter    int64
	Failures   int
	Closed     bool
	Pending    bool
	Version    int64
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	LastUsedAt int64
	Lookup     []byte
	ChangedAt  int64
	Blocked    string
	MeasuredBy int64
	WeakSince  int64
	Via        string
}

func (credentialRow) TableName() string { return "credentials" }

func credentialPlace(id string) seal.Place {
	return seal.Place{Table: "credentials", Column: "data", Row: id}
}

func (s *Store) toCredential(r credentialRow) (idp.Credential, error) {
	data, err := s.ring.Open(credentialPlace(r.ID), r.Data)
	return idp.Credential{ID: r.ID, UserID: r.UserID, Method: idp.Method(r.Method), Label: r.Label, Data: data, Counter: r.Counter, Failures: r.Failures,
		Closed: r.Closed, Blocked: r.Blocked, Pending: r.Pending, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), ChangedAt: fromMicros(r.ChangedAt),
		LastUsedAt: fromMicros(r.LastUsedAt), MeasuredBy: r.MeasuredBy, WeakSince: fromMicros(r.WeakSince), Via: groups(r.Via)}, err
}

// AddCredential stores a new credential, giving it an id unless it has one: that of a set
// of codes stands on paper before the set is kept. A second password, authenticator or set
// of codes of a user is a Conflict, and so is a passkey that somebody has already.
func (s *Store) AddCredential(ctx context.Context, c *idp.Credential) error {
	c.ID, c.CreatedAt, c.Version = cmp.Or(c.ID, idp.NewID()), time.Now(), 1
	c.ChangedAt = c.CreatedAt
	data, err := s.ring.Seal(credentialPlace(c.ID), c.Data)
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&credentialRow{ID: c.ID, UserID: c.UserID, Method: string(c.Method), Label: c.Label, Data: data, Counter: c.Counter,
			Pending: c.Pending, Version: 1, CreatedAt: micros(c.CreatedAt), Lookup: s.credentialLookup(c.Lookup), ChangedAt: micros(c.ChangedAt)}).Error
		return taken(err, "", "error.taken.credential")
	})
}

// Credentials lists the confirmed credentials of a user, oldest first.
func (s *Store) Credentials(ctx context.Context, user string) ([]idp.Credential, error) {
	var rows []credentialRow
	if err := s.db(ctx).Where("user_id = ? AND pending = ?", user, false).Order("created_at, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toCredential)
}

// MethodsOf lists what several users can sign in with, each one's oldest first. No secret
// is opened.
func (s *Store) MethodsOf(ctx context.Context, users []string) (map[string][]idp.Method, error) {
	var rows []struct{ UserID, Method string }
	err := s.db(ctx).Raw("SELECT user_id, method FROM credentials WHERE user_id IN ? AND pending = ? AND blocked = '' ORDER BY created_at, id", users, false).Scan(&rows).Error
	by := make(map[string][]idp.Method, len(users))
	for _, r := range rows {
		by[r.UserID] = append(by[r.UserID], idp.Method(r.Method))
	}
	return by, err
}

// Credential returns a confirmed credential by id.
func (s *Store) Credential(ctx context.Context, id string) (idp.Credential, error) {
	var row credentialRow
	if err := s.db(ctx).Where("id = ? AND pending = ?", id, false).Take(&row).Error; err != nil {
		return idp.Credential{}, notFound(err)
	}
	return s.toCredential(row)
}

// ReplaceCredential gives a credential new data, unless somebody else did since
// it was read; its count of failures starts again. from is the version read. A password
// goes into its person's history.
func (s *Store) ReplaceCredential(ctx context.Context, id string, from int64, data []byte) (replaced bool, err error) {
	sealed, err := s.ring.Seal(credentialPlace(id), data)
	if err != nil {
		return false, err
	}
	err = s.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		old, err := s.Credential(ctx, id)
		if replaced = false; err != nil {
			if idp.KindOf(err) == idp.NotFound {
				return nil
			}
			return err
		}
		n, err := s.affected(ctx, "UPDATE credentials SET data = ?, version = version + 1, failures = 0, closed = ?, changed_at = ?, measures = NULL, measured_by = 0, weak_since = 0, via = '' WHERE id = ? AND version = ?",
			sealed, false, micros(now), id, from)
		if replaced = n == 1; err != nil || !replaced || old.Method != idp.MethodPassword {
			return err
		}
		return s.keepPassword(ctx, old.UserID, old.Data, now)
	})
	return replaced && err == nil, err
}

// RehashCredential gives a credential the same secret in a new form: it stays the
// same version, so what was counted against it still counts.
func (s *Store) RehashCredential(ctx context.Context, id string, version int64, data []byte) error {
	sealed, err := s.ring.Seal(credentialPlace(id), data)
	if err != nil {
		return err
	}
	return s.exec(ctx, "UPDATE credentials SET data = ? WHERE id = ? AND version = ?", sealed, id, version)
}

// UseCredential moves the counter of a credential forward and notes its use; false
// when the counter did not move: the code or assertion was used before.
func (s *Store) UseCredential(ctx context.Context, id string, counter int64, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE credentials SET counter = ?, last_used_at = ?, failures = 0 WHERE id = ? AND counter < ? AND blocked = ''", counter, micros(at), id, counter)
	return n == 1, err
}

// TouchCredential notes a use of a credential that has no counter; false when it was
// replaced or removed since it was read.
func (s *Store) TouchCredential(ctx context.Context, id string, version int64, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE credentials SET last_used_at = ?, failures = 0 WHERE id = ? AND version = ? AND blocked = ''", micros(at), id, version)
	return n == 1, err
}

// FailCredential counts one failure of a stranger in a row; at the hard end the
// credential closes to strangers. It says whether this failure closed it.
func (s *Store) FailCredential(ctx context.Context, id string, hardEnd int) (closed bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		var row struct{ Failures int }
		err := s.db(ctx).Raw("UPDATE credentials SET failures = failures + 1, closed = (closed OR failures + 1 >= ?) WHERE id = ? RETURNING failures", hardEnd, id).Scan(&row).Error
		closed = row.Failures == hardEnd
		return err
	})
	return closed, err
}

// OpenCredential lifts the hard end after its owner proved himself.
func (s *Store) OpenCredential(ctx context.Context, id string) error {
	return s.exec(ctx, "UPDATE credentials SET failures = 0, closed = ? WHERE id = ?", false, id)
}

// RemoveCredential deletes a credential of a user.
func (s *Store) RemoveCredential(ctx context.Context, user, id string) (bool, error) {
	n, err := s.affected(ctx, "DELETE FROM credentials WHERE id = ? AND user_id = ?", id, user)
	return n == 1, err
}

// credentialLookup is the keyed hash that finds a credential by what names it.
func (s *Store) credentialLookup(name []byte) []byte {
	if name == nil {
		return nil
	}
	return s.ring.MAC("credential", name)
}

// CredentialByLookup returns the credential that a name such as a passkey's id names,
// of whomever it is.
func (s *Store) CredentialByLookup(ctx context.Context, name []byte) (idp.Credential, error) {
	var row credentialRow
	if err := s.db(ctx).Where("lookup = ? AND pending = ?", s.credentialLookup(name), false).Take(&row).Error; err != nil {
		return idp.Credential{}, notFound(err)
	}
	return s.toCredential(row)
}

// SpendCredential notes a use that changes what the credential holds (one recovery code
// of a set, the flags of a passkey); false when it was changed, blocked or removed
// since it was read. from is the version read.
func (s *Store) SpendCredential(ctx context.Context, id string, from int64, data []byte, at time.Time) (bool, error) {
	sealed, err := s.ring.Seal(credentialPlace(id), data)
	if err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE credentials SET data = ?, version = version + 1, failures = 0, last_used_at = ? WHERE id = ? AND version = ? AND blocked = ''",
		sealed, micros(at), id, from)
	return n == 1, err
}

// RenameCredential gives a credential of a user another label; false when he has none.
func (s *Store) RenameCredential(ctx context.Context, user, id, label string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE credentials SET label = ? WHERE id = ? AND user_id = ?", label, id, user)
	return n == 1, err
}

// BlockCredential makes a credential answer nobody any more; false when it is blocked
// already.
func (s *Store) BlockCredential(ctx context.Context, id, reason string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE credentials SET blocked = ? WHERE id = ? AND blocked = ''", reason, id)
	return n == 1, err
}

// SetVia keeps by which groups of proofs a recovery set a password, or that it no longer
// matters (none).
func (s *Store) SetVia(ctx context.Context, id string, via []idp.Group) error {
	words := make([]string, len(via))
	for i, g := range via {
		words[i] = string(g)
	}
	return s.exec(ctx, "UPDATE credentials SET via = ? WHERE id = ?", strings.Join(words, " "), id)
}

func groups(words string) (out []idp.Group) {
	for _, w := range strings.Fields(words) {
		out = append(out, idp.Group(w))
	}
	return out
}
