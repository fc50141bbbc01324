package storage

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type identifierRow struct {
	ID           string `gorm:"primaryKey"`
	UserID       string
	Kind         string
	Lookup       []byte
	Value        []byte
	Former       bool
	VerifiedAt   int64
	LastProvenAt int64
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
	RemovedAt    int64

	DisputedUntil int64
}

func (identifierRow) TableName() string { return "identifiers" }

func identifierPlace(id string) seal.Place {
	return seal.Place{Table: "identifiers", Column: "value", Row: id}
}

// Lookup is the keyed hash by which a normalised login name is found. Throttling
// uses it for names that nobody has, too.
func (s *Store) Lookup(kind idp.IdentifierKind, value string) []byte {
	return s.ring.MAC("identifiers."+string(kind), []byte(value))
}

func (s *Store) toIdentifier(r identifierRow) (idp.Identifier, error) {
	v, err := s.ring.Open(identifierPlace(r.ID), r.Value)
	return idp.Identifier{ID: r.ID, UserID: r.UserID, Kind: idp.IdentifierKind(r.Kind), Value: string(v), Former: r.Former,
		VerifiedAt: fromMicros(r.VerifiedAt), LastProvenAt: fromMicros(r.LastProvenAt), RemovedAt: fromMicros(r.RemovedAt), CreatedAt: fromMicros(r.CreatedAt),
		DisputedUntil: fromMicros(r.DisputedUntil)}, err
}

// AddIdentifier binds a normalised login name to its user. One that is taken, by
// him or anybody, is a Conflict on the field named after its kind; one that somebody
// has removed is free again. A phone or address of his own that he has removed, or never
// proved, is bound again as the same, now that it is proved.
func (s *Store) AddIdentifier(ctx context.Context, n *idp.Identifier) error {
	n.ID, n.CreatedAt = idp.NewID(), time.Now()
	sealed, err := s.ring.Seal(identifierPlace(n.ID), []byte(n.Value))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		if !n.VerifiedAt.IsZero() {
			var own []string
			err := s.db(ctx).Raw(`UPDATE identifiers SET removed_at = 0, verified_at = ?, last_proven_at = ?, created_at = ?
				WHERE lookup = ? AND user_id = ? AND kind IN ('phone', 'email') AND (removed_at > 0 OR verified_at = 0) RETURNING id`,
				micros(n.VerifiedAt), micros(n.LastProvenAt), micros(n.CreatedAt), s.Lookup(n.Kind, n.Value), n.UserID).Scan(&own).Error
			if err != nil {
				return err
			}
			if len(own) == 1 {
				n.ID = own[0]
				return nil
			}
		}
		if err := s.exec(ctx, "DELETE FROM identifiers WHERE lookup = ? AND removed_at > 0 AND kind IN ('phone', 'email')", s.Lookup(n.Kind, n.Value)); err != nil {
			return err
		}
		err := s.db(ctx).Create(&identifierRow{ID: n.ID, UserID: n.UserID, Kind: string(n.Kind), Lookup: s.Lookup(n.Kind, n.Value), Value: sealed,
			Former: n.Former, VerifiedAt: micros(n.VerifiedAt), LastProvenAt: micros(n.LastProvenAt), CreatedAt: micros(n.CreatedAt)}).Error
		return taken(err, string(n.Kind), "error.taken."+string(n.Kind))
	})
}

// Identifiers lists the login names of a user, oldest first.
func (s *Store) Identifiers(ctx context.Context, user string) ([]idp.Identifier, error) {
	var rows []identifierRow
	if err := s.db(ctx).Where("user_id = ?", user).Order("created_at, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toIdentifier)
}

// IdentifiersOf lists the login names of several users, each one's oldest first.
func (s *Store) IdentifiersOf(ctx context.Context, users []string) (map[string][]idp.Identifier, error) {
	var rows []identifierRow
	if err := s.db(ctx).Where("user_id IN ?", users).Order("created_at, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	list, err := mapRows(rows, s.toIdentifier)
	by := make(map[string][]idp.Identifier, len(users))
	for _, n := range list {
		by[n.UserID] = append(by[n.UserID], n)
	}
	return by, err
}

// named is the identifier of a look-up: a user name that was given up before a time is
// nobody's.
const named = "lookup = ? AND (removed_at = 0 OR (kind = 'username' AND removed_at > ?))"

// UserByIdentifier returns the user whom a normalised login name names, or has ever named
// as a user name.
func (s *Store) UserByIdentifier(ctx context.Context, kind idp.IdentifierKind, v string) (idp.User, error) {
	var row userRow
	if err := s.db(ctx).Where("id = (SELECT user_id FROM identifiers WHERE "+named+")", s.Lookup(kind, v), 0).Take(&row).Error; err != nil {
		return idp.User{}, notFound(err)
	}
	return s.toUser(row)
}

// Login returns the id of the user whom a normalised name names at a sign-in, "" when
// nobody has it; of those who gave a user name up, since a time. It reads one row of one
// text either way: the time that it takes tells nothing.
func (s *Store) Login(ctx context.Context, kind idp.IdentifierKind, v string, former time.Time) (user string, err error) {
	err = s.db(ctx).Raw("SELECT COALESCE((SELECT user_id FROM identifiers WHERE "+named+"), '')", s.Lookup(kind, v), micros(former)).Scan(&user).Error
	return user, err
}

// ProveIdentifier notes that a code sent to a channel came back.
func (s *Store) ProveIdentifier(ctx context.Context, id string, at time.Time) error {
	return s.exec(ctx, "UPDATE identifiers SET last_proven_at = ?, verified_at = CASE WHEN verified_at = 0 THEN ? ELSE verified_at END WHERE id = ?",
		micros(at), micros(at), id)
}

// RemoveIdentifier takes a phone or an address from its user: it gets notices for a
// while, and names nobody. False when it is not his or removed already.
func (s *Store) RemoveIdentifier(ctx context.Context, user, id string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE identifiers SET removed_at = ? WHERE id = ? AND user_id = ? AND removed_at = 0 AND kind IN ('phone', 'email')", micros(at), id, user)
	return n == 1, err
}

// RestoreIdentifier gives a removed phone or address back to its user; false when it
// has gone to somebody else meanwhile.
func (s *Store) RestoreIdentifier(ctx context.Context, user, id string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE identifiers SET removed_at = 0 WHERE id = ? AND user_id = ? AND removed_at > 0", id, user)
	return n == 1, err
}

// RetireUsernames makes the user names of a user former ones: they stay his, and go on
// naming him for a time.
func (s *Store) RetireUsernames(ctx context.Context, user string, at time.Time) error {
	return s.exec(ctx, "UPDATE identifiers SET former = ?, removed_at = ? WHERE user_id = ? AND kind = 'username' AND former = ?", true, micros(at), user, false)
}

// ReviveUsername makes a former user name of a user his present one; false when it is
// not his.
func (s *Store) ReviveUsername(ctx context.Context, user, id string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE identifiers SET former = ?, removed_at = 0 WHERE id = ? AND user_id = ? AND kind = 'username' AND former = ?", false, id, user, true)
	return n == 1, err
}

// Dispute makes a phone or address prove nothing in a recovery until a time; zero: again.
func (s *Store) Dispute(ctx context.Context, id string, until time.Time) error {
	return s.exec(ctx, "UPDATE identifiers SET disputed_until = ? WHERE id = ?", micros(until), id)
}
