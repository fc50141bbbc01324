package storage

import (
	"context"
	"time"

	"hufu/idp"
)

type linkRow struct {
	Hash      []byte `gorm:"primaryKey"`
	Kind      string
	UserID    string
	Object    string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	ExpiresAt int64
	UsedAt    int64
}

func (linkRow) TableName() string { return "links" }

func toLink(r linkRow) idp.Link {
	return idp.Link{Kind: idp.LinkKind(r.Kind), UserID: r.UserID, Object: r.Object, CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt)}
}

// CreateLink stores what the hash of a token in a notice stands for.
func (s *Store) CreateLink(ctx context.Context, hash []byte, l idp.Link) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&linkRow{Hash: hash, Kind: string(l.Kind), UserID: l.UserID, Object: l.Object, CreatedAt: micros(l.CreatedAt), ExpiresAt: micros(l.ExpiresAt)}).Error
	})
}

// Link returns what a live link of a kind stands for.
func (s *Store) Link(ctx context.Context, hash []byte, kind idp.LinkKind, now time.Time) (idp.Link, error) {
	var rows []linkRow
	if err := s.db(ctx).Where("hash = ? AND kind = ? AND expires_at > ? AND used_at = 0", hash, string(kind), micros(now)).Find(&rows).Error; err != nil {
		return idp.Link{}, err
	}
	if len(rows) == 0 {
		return idp.Link{}, s.linkGone(ctx, hash, kind)
	}
	return toLink(rows[0]), nil
}

// UseLink is Link for one that works once: of many who follow it one gets it. It is kept until
// it is swept, so that whoever follows it again can be told from who never had one.
func (s *Store) UseLink(ctx context.Context, hash []byte, kind idp.LinkKind, now time.Time) (idp.Link, error) {
	var rows []linkRow
	err := s.Tx(ctx, func(ctx context.Context) error {
		rows = nil
		return s.db(ctx).Raw("UPDATE links SET used_at = ? WHERE hash = ? AND kind = ? AND expires_at > ? AND used_at = 0 RETURNING *", micros(now), hash, string(kind), micros(now)).Scan(&rows).Error
	})
	if err != nil {
		return idp.Link{}, err
	}
	if len(rows) == 0 {
		return idp.Link{}, s.linkGone(ctx, hash, kind)
	}
	return toLink(rows[0]), nil
}

// linkGone says that there is no live link, and of one that was used that it was.
func (s *Store) linkGone(ctx context.Context, hash []byte, kind idp.LinkKind) error {
	var used int64
	if err := s.db(ctx).Raw("SELECT count(*) FROM links WHERE hash = ? AND kind = ? AND used_at > 0", hash, string(kind)).Scan(&used).Error; err != nil {
		return err
	}
	gone := &idp.Error{Kind: idp.NotFound, Msg: "error.notfound"}
	if used > 0 {
		gone.Reason = "link.spent"
	}
	return gone
}

// VoidLinks ends every link of a kind that a person was sent.
func (s *Store) VoidLinks(ctx context.Context, user string, kind idp.LinkKind) error {
	return s.exec(ctx, "DELETE FROM links WHERE user_id = ? AND kind = ? AND used_at = 0", user, string(kind))
}

type changeRow struct {
	ID       string `gorm:"primaryKey"`
	UserID   string
	OldID    string
	NewID    string
	At       int64
	Until    int64
	UndoneAt int64
}

func (changeRow) TableName() string { return "changes" }

func toChange(r changeRow) (idp.Change, error) {
	return idp.Change{ID: r.ID, UserID: r.UserID, OldID: r.OldID, NewID: r.NewID, At: fromMicros(r.At), Until: fromMicros(r.Until), UndoneAt: fromMicros(r.UndoneAt)}, nil
}

// CreateChange stores the change of a phone or address, giving it an id.
func (s *Store) CreateChange(ctx context.Context, c *idp.Change) error {
	c.ID = idp.NewTimeID(c.At)
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&changeRow{ID: c.ID, UserID: c.UserID, OldID: c.OldID, NewID: c.NewID, At: micros(c.At), Until: micros(c.Until)}).Error
	})
}

// Change returns a change by id.
func (s *Store) Change(ctx context.Context, id string) (idp.Change, error) {
	var r changeRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Change{}, notFound(err)
	}
	return toChange(r)
}

// Changes lists the changes of a user that can still be undone, newest first.
func (s *Store) Changes(ctx context.Context, user string, now time.Time) ([]idp.Change, error) {
	var rows []changeRow
	if err := s.db(ctx).Where("user_id = ? AND until > ? AND undone_at = 0", user, micros(now)).Order("id DESC").Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toChange)
}

// UndoChange marks a change as undone, once and in time; false otherwise.
func (s *Store) UndoChange(ctx context.Context, id string, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE changes SET undone_at = ? WHERE id = ? AND undone_at = 0 AND until > ?", micros(now), id, micros(now))
	return n == 1, err
}

// DropLinks deletes the links of a person that could change anything; those that can only
// stop and freeze stay.
func (s *Store) DropLinks(ctx context.Context, user string) error {
	return s.exec(ctx, "DELETE FROM links WHERE user_id = ? AND kind <> ? AND used_at = 0", user, string(idp.LinkFreeze))
}
