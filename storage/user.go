package storage

import (
	"context"
	"crypto/rand"
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
	FrozenAt   int64
	Handle     []byte

	Withheld      string
	WithheldUntil int64
	MoneyAt       int64
	Team          string
	LeavesAt      int64
}

func (userRow) TableName() string { return "users" }

func userNamePlace(id string) seal.Place {
	return seal.Place{Table: "users", Column: "name", Row: id}
}

func (s *Store) toUser(r userRow) (idp.User, error) {
	name, err := s.ring.Open(userNamePlace(r.ID), r.Name)
	return idp.User{ID: r.ID, Name: string(name), Language: r.Language, Role: idp.Role(r.Role), MerchantID: value(r.MerchantID), StoreID: value(r.StoreID),
		Status: idp.UserStatus(r.Status), Frozen: r.Frozen, FrozenAt: fromMicros(r.FrozenAt), Locked: r.Locked, MustChange: r.MustChange,
		CreatedAt: fromMicros(r.CreatedAt), GraceFrom: fromMicros(r.GraceFrom),
		Withheld: idp.Withhold(r.Withheld), WithheldUntil: fromMicros(r.WithheldUntil), MoneyAt: fromMicros(r.MoneyAt), Team: r.Team, LeavesAt: fromMicros(r.LeavesAt)}, err
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
			CreatedAt: micros(u.CreatedAt), GraceFrom: micros(u.GraceFrom), Team: u.Team}).Error
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
	Locked, Frozen                 bool // only such ones
}

// Administrators are those who answer for the operator's own staff and for policy.
var Administrators = UserFilter{Roles: []idp.Role{idp.RolePolicyAdmin}, Status: string(idp.UserActive)}

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
	if f.Frozen {
		q = q.Where("frozen")
	}
	var rows []userRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toUser)
}

// UsersOf returns users by their ids.
func (s *Store) UsersOf(ctx context.Context, ids []string) (map[string]idp.User, error) {
	var rows []userRow
	if err := s.db(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, err
	}
	list, err := mapRows(rows, s.toUser)
	return byID(list, func(u idp.User) string { return u.ID }), err
}

// SetUserStatus moves a user from one status to another; false when he was not in
// the first.
func (s *Store) SetUserStatus(ctx context.Context, id string, from, to idp.UserStatus) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET status = ? WHERE id = ? AND status = ?", string(to), id, string(from))
	return n == 1, err
}

// PlaceUser gives a user another role, store and start of his grace time; false when his
// role or store is no longer what it was.
func (s *Store) PlaceUser(ctx context.Context, to, was idp.User) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET role = ?, store_id = ?, grace_from = ? WHERE id = ? AND role = ? AND COALESCE(store_id, '') = ?",
		string(to.Role), pointer(to.StoreID), micros(to.GraceFrom), to.ID, string(was.Role), was.StoreID)
	return n == 1, err
}

// FreezeUser freezes a user; false when he is frozen already.
func (s *Store) FreezeUser(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE users SET frozen = ?, frozen_at = ? WHERE id = ? AND frozen = ?", true, micros(at), id, false)
	return n == 1, err
}

// UnfreezeUser lifts a freeze, and with it the disputes of the person's channels; false when
// there is none.
func (s *Store) UnfreezeUser(ctx context.Context, id string) (lifted bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		n, err := s.affected(ctx, "UPDATE users SET frozen = ?, frozen_at = 0 WHERE id = ? AND frozen = ?", false, id, true)
		if lifted = n == 1; err != nil || !lifted {
			return err
		}
		return s.SettleDisputes(ctx, id)
	})
	return lifted && err == nil, err
}

// Handle returns the WebAuthn user handle of a user: 64 random bytes that say nothing of
// him, made when first asked for (WebAuthn L3 5.4.3).
func (s *Store) Handle(ctx context.Context, id string) (handle []byte, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		fresh := make([]byte, 64)
		_, _ = rand.Read(fresh)
		if err := s.exec(ctx, "UPDATE users SET handle = ? WHERE id = ? AND handle IS NULL", fresh, id); err != nil {
			return err
		}
		var row struct{ Handle []byte }
		err := s.db(ctx).Raw("SELECT handle FROM users WHERE id = ?", id).Scan(&row).Error
		if handle = row.Handle; err == nil && handle == nil {
			err = notFound(gorm.ErrRecordNotFound)
		}
		return err
	})
	return handle, err
}

// SetMustChange demands a new password at the next full sign-in, or no longer.
func (s *Store) SetMustChange(ctx context.Context, id string, must bool) error {
	return s.exec(ctx, "UPDATE users SET must_change = ? WHERE id = ?", must, id)
}

// SetTeam keeps with whom one of the operator's staff works.
func (s *Store) SetTeam(ctx context.Context, id, team string) error {
	return s.exec(ctx, "UPDATE users SET team = ? WHERE id = ?", team, id)
}

// SetLanguage keeps the language that a user reads.
func (s *Store) SetLanguage(ctx context.Context, id, language string) error {
	return s.exec(ctx, "UPDATE users SET language = ? WHERE id = ?", language, id)
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

// UsersToRemind lists the ids of a page of active people, after the given one, who may
// need a reminder: a phone not proved since a time, a recovery code used, a password
// set before a time (zero: passwords do not end), or a notice held back since a time.
func (s *Store) UsersToRemind(ctx context.Context, after string, unproven, expiring, held time.Time, limit int) (ids []string, err error) {
	err = s.db(ctx).Raw(`SELECT u.id FROM users u WHERE u.id > ? AND u.status = ? AND u.frozen = ? AND (
		EXISTS (SELECT 1 FROM identifiers i WHERE i.user_id = u.id AND i.kind = 'phone' AND i.removed_at = 0 AND i.verified_at > 0
			AND CASE WHEN i.last_proven_at = 0 THEN i.verified_at ELSE i.last_proven_at END < ?)
		OR EXISTS (SELECT 1 FROM credentials c WHERE c.user_id = u.id AND (c.method = 'backup' AND c.last_used_at > 0 OR c.method = 'password' AND c.changed_at < ?))
		OR u.id IN (SELECT e.subject FROM events e WHERE e.name = 'notice.held' AND e.at > ?))
		ORDER BY u.id LIMIT ?`, after, string(idp.UserActive), false, micros(unproven), micros(expiring), micros(held), limit).Scan(&ids).Error
	return ids, err
}
