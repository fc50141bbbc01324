package storage

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
	"hufu/idp/seal"
)

type userRow struct {
	ID         string `gorm:"primaryKey"`
	Name       []byte
	Language   string
	Role       string
	MerchantID *string
	StoreID    *string
	Status     string
	Frozen     bool
	Locked     string
	MustChange bool
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	GraceFrom  int64
}

func (userRow) TableName() string { return "users" }

func userNamePlace(id string) seal.Place {
	return seal.Place{Table: "users", Column: "name", Row: id}
}

func (s *Store) toUser(r userRow) (idp.User, error) {
	name, err := s.ring.Open(userNamePlace(r.ID), r.Name)
	return idp.User{ID: r.ID, Name: string(name), Language: r.Language, Role: idp.Role(r.Role), MerchantID: value(r.MerchantID), StoreID: value(r.StoreID),
		Status: idp.UserStatus(r.Status), Frozen: r.Frozen, Locked: r.Locked, MustChange: r.MustChange,
		CreatedAt: fromMicros(r.CreatedAt), GraceFrom: fromMicros(r.GraceFrom)}, err
}

func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func pointer(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// CreateUser stores a new user, giving him an id, with his login names. A name
// that is taken, in any form, is a Conflict on the field of its kind.
func (s *Store) CreateUser(ctx context.Context, u *idp.User, names ...*idp.Identifier) error {
	u.ID, u.CreatedAt = idp.NewID(), time.Now()
	if u.GraceFrom.IsZero() {
		u.GraceFrom = u.CreatedAt
	}
	name, err := s.ring.Seal(userNamePlace(u.ID), []byte(u.Name))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&userRow{ID: u.ID, Name: name, Language: u.Language, Role: string(u.Role), MerchantID: pointer(u.MerchantID),
			StoreID: pointer(u.StoreID), Status: string(u.Status), Frozen: u.Frozen, Locked: u.Locked, MustChange: u.MustChange,
			CreatedAt: micros(u.CreatedAt), GraceFrom: micros(u.GraceFrom)}).Error
		if err != nil {
			return err
		}
		for _, n := range names {
			n.UserID = u.ID
			if err := s.AddIdentifier(ctx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// User returns a user by id.
func (s *Store) User(ctx context.Context, id string) (idp.User, error) {
	var row userRow
	if err := s.db(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return idp.User{}, notFound(err)
	}
	return s.toUser(row)
}

// UserFilter narrows [Store.Users]; empty fields do not.
type UserFilter struct {
	After, Merchant, Store, Status string
	Roles                          []idp.Role
	Locked                         bool // only locked ones
}

// Users lists a page of users in the order of their ids, after the given one.
func (s *Store) Users(ctx context.Context, f UserFilter, limit int) ([]idp.User, error) {
	q := s.db(ctx).Where("id > ?", f.After).Order("id").Limit(limit)
	for column, v := range map[string]string{"merchant_id": f.Merchant, "store_id": f.Store, "status": f.Status} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	if len(f.Roles) > 0 {
		q = q.Where("role IN ?", f.Roles)
	}
	if f.Locked {
		q = q.Where("locked <> ''")
	}
	var rows []userRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toUser)
}

// SetUserStatus moves a user from one status to another; false when he was not in
// the first.
func (s *Store) SetUserStatus(ctx context.Context, id string, from, to idp.UserStatus) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET status = ? WHERE id = ? AND status = ?", string(to), id, string(from))
	return n == 1, err
}

// SetUserLocked locks a user for a reason, or unlocks him with "".
func (s *Store) SetUserLocked(ctx context.Context, id, reason string) error {
	return s.exec(ctx, "UPDATE users SET locked = ? WHERE id = ?", reason, id)
}

// SetUserFrozen freezes or unfreezes a user.
func (s *Store) SetUserFrozen(ctx context.Context, id string, frozen bool) error {
	return s.exec(ctx, "UPDATE users SET frozen = ? WHERE id = ?", frozen, id)
}

// SetMustChange demands a new password at the next full sign-in, or no longer.
func (s *Store) SetMustChange(ctx context.Context, id string, must bool) error {
	return s.exec(ctx, "UPDATE users SET must_change = ? WHERE id = ?", must, id)
}

// CountActive counts active users of a role.
func (s *Store) CountActive(ctx context.Context, role idp.Role) (n int64, err error) {
	err = s.db(ctx).Raw("SELECT count(*) FROM users WHERE role = ? AND status = ?", string(role), string(idp.UserActive)).Scan(&n).Error
	return n, err
}

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
		VerifiedAt: fromMicros(r.VerifiedAt), LastProvenAt: fromMicros(r.LastProvenAt), CreatedAt: fromMicros(r.CreatedAt)}, err
}

// AddIdentifier binds a normalised login name to its user. One that is taken, by
// him or anybody, is a Conflict on the field named after its kind.
func (s *Store) AddIdentifier(ctx context.Context, n *idp.Identifier) error {
	n.ID, n.CreatedAt = idp.NewID(), time.Now()
	sealed, err := s.ring.Seal(identifierPlace(n.ID), []byte(n.Value))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
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

// UserByIdentifier returns the user whom a normalised login name names.
func (s *Store) UserByIdentifier(ctx context.Context, kind idp.IdentifierKind, v string) (idp.User, error) {
	var row userRow
	err := s.db(ctx).Where("id = (SELECT user_id FROM identifiers WHERE lookup = ?)", s.Lookup(kind, v)).Take(&row).Error
	if err != nil {
		return idp.User{}, notFound(err)
	}
	return s.toUser(row)
}

// ProveIdentifier notes that a code sent to a channel came back.
func (s *Store) ProveIdentifier(ctx context.Context, id string, at time.Time) error {
	return s.exec(ctx, "UPDATE identifiers SET last_proven_at = ?, verified_at = CASE WHEN verified_at = 0 THEN ? ELSE verified_at END WHERE id = ?",
		micros(at), micros(at), id)
}

// HoldUser reads a user and keeps his row from being changed by others until the
// transaction ends, so that a decision made from it still holds when it is
// written.
func (s *Store) HoldUser(ctx context.Context, id string) (idp.User, error) {
	if !InTx(ctx) {
		return idp.User{}, errors.New("storage: HoldUser outside a transaction")
	}
	var row userRow
	res := s.db(ctx).Raw("SELECT * FROM users WHERE id = ?"+s.holding(), id).Scan(&row)
	if res.Error == nil && row.ID == "" {
		res.Error = gorm.ErrRecordNotFound
	}
	if res.Error != nil {
		return idp.User{}, notFound(res.Error)
	}
	return s.toUser(row)
}

// HoldActive returns the ids of the users of a role who are active and not locked,
// and holds their rows: two people who each take away another's account cannot
// both believe that one is left.
func (s *Store) HoldActive(ctx context.Context, role idp.Role) (ids []string, err error) {
	if !InTx(ctx) {
		return nil, errors.New("storage: HoldActive outside a transaction")
	}
	err = s.db(ctx).Raw("SELECT id FROM users WHERE role = ? AND status = ? AND locked = '' ORDER BY id"+s.holding(), string(role), string(idp.UserActive)).Scan(&ids).Error
	return ids, err
}

// LockUser locks a user for a reason; false when he is locked already.
func (s *Store) LockUser(ctx context.Context, id, reason string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET locked = ? WHERE id = ? AND locked = ''", reason, id)
	return n == 1, err
}

// UnlockUser lifts a lock; false when there is none.
func (s *Store) UnlockUser(ctx context.Context, id string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET locked = '' WHERE id = ? AND locked <> ''", id)
	return n == 1, err
}
