package storage

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
)

type editionRow struct {
	ID          string `gorm:"primaryKey"`
	Version     int64
	Base        int64
	Revision    int64
	Title       string
	Document    string
	State       string
	Author      string
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ChangedAt   int64
	Reason      string
	SubmittedAt int64
	DecidedBy   string
	DecidedAt   int64
	Emergency   bool
	Percent     int
	Merchants   string
	ActivateAt  int64
	ActivatedAt int64
	EndedAt     int64
}

func (editionRow) TableName() string { return "editions" }

func toEdition(r editionRow) (idp.Edition, error) {
	e := idp.Edition{ID: r.ID, Version: r.Version, Base: r.Base, Revision: r.Revision, Title: r.Title, Document: []byte(r.Document), State: idp.EditionState(r.State), Author: r.Author,
		CreatedAt: fromMicros(r.CreatedAt), ChangedAt: fromMicros(r.ChangedAt), Reason: r.Reason, SubmittedAt: fromMicros(r.SubmittedAt), DecidedBy: r.DecidedBy, DecidedAt: fromMicros(r.DecidedAt),
		Emergency: r.Emergency, Percent: r.Percent, ActivateAt: fromMicros(r.ActivateAt), ActivatedAt: fromMicros(r.ActivatedAt), EndedAt: fromMicros(r.EndedAt)}
	return e, json.Unmarshal([]byte(r.Merchants), &e.Merchants)
}

// CreateEdition stores a new draft, giving it an id.
func (s *Store) CreateEdition(ctx context.Context, e *idp.Edition) error {
	e.ID, e.State, e.Revision = idp.NewTimeID(e.CreatedAt), idp.EditionDraft, 1
	e.ChangedAt = e.CreatedAt
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&editionRow{ID: e.ID, Base: e.Base, Revision: e.Revision, Title: e.Title, Document: string(e.Document), State: string(e.State), Author: e.Author,
			CreatedAt: micros(e.CreatedAt), ChangedAt: micros(e.ChangedAt), Merchants: "[]"}).Error
	})
}

// Edition returns an edition by id.
func (s *Store) Edition(ctx context.Context, id string) (idp.Edition, error) {
	var r editionRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Edition{}, notFound(err)
	}
	return toEdition(r)
}

// EditionOf returns the edition of a version.
func (s *Store) EditionOf(ctx context.Context, version int64) (idp.Edition, error) {
	var r editionRow
	if err := s.db(ctx).Where("version = ? AND version > 0", version).Take(&r).Error; err != nil {
		return idp.Edition{}, notFound(err)
	}
	return toEdition(r)
}

// EditionFilter narrows [Store.Editions]; empty fields do not.
type EditionFilter struct {
	Before string // id of the last edition of the page before
	State  idp.EditionState
}

// Editions lists a page of editions, newest first.
func (s *Store) Editions(ctx context.Context, f EditionFilter, limit int) ([]idp.Edition, error) {
	q := s.db(ctx).Order("id DESC").Limit(limit)
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	if f.State != "" {
		q = q.Where("state = ?", string(f.State))
	}
	var rows []editionRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toEdition)
}

// CountSubmitted counts the editions that wait for approval and are of another author.
func (s *Store) CountSubmitted(ctx context.Context, notBy string) (n int64, err error) {
	err = s.one(ctx, &n, "editions WHERE state = ? AND author <> ?", string(idp.EditionSubmitted), notBy)
	return n, err
}

// SaveEdition writes a draft on an unchanged revision; false when somebody saved it
// meanwhile, or it is no draft any more.
func (s *Store) SaveEdition(ctx context.Context, e idp.Edition, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE editions SET title = ?, document = ?, base = ?, revision = revision + 1, changed_at = ? WHERE id = ? AND revision = ? AND state = ?",
		e.Title, string(e.Document), e.Base, micros(at), e.ID, e.Revision, string(idp.EditionDraft))
	return n == 1, err
}

// SubmitEdition gives a draft, on an unchanged revision, the next version; 0 when it has
// changed meanwhile.
func (s *Store) SubmitEdition(ctx context.Context, id string, revision int64, reason string, at time.Time) (version int64, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		version = 0
		if err := s.moved(ctx, "policy"); err != nil { // whose row two who submit at once wait for
			return err
		}
		return s.db(ctx).Raw(`UPDATE editions SET version = (SELECT max(version) + 1 FROM editions), state = ?, reason = ?, submitted_at = ?
			WHERE id = ? AND revision = ? AND state = ? RETURNING version`,
			string(idp.EditionSubmitted), reason, micros(at), id, revision, string(idp.EditionDraft)).Scan(&version).Error
	})
	return version, err
}

// ApproveEdition notes who approved a submitted edition, when it comes into force and whom
// it is tried out on until then; false when it waits for nobody any more.
func (s *Store) ApproveEdition(ctx context.Context, e idp.Edition) (ok bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		n, err := s.affected(ctx, "UPDATE editions SET state = ?, decided_by = ?, decided_at = ?, activate_at = ?, percent = ?, merchants = ? WHERE id = ? AND state = ?",
			string(idp.EditionApproved), e.DecidedBy, micros(e.DecidedAt), micros(e.ActivateAt), e.Percent, asJSON(e.Merchants), e.ID, string(idp.EditionSubmitted))
		if ok = n == 1; err != nil || !ok {
			return err
		}
		return s.moved(ctx, "policy")
	})
	return ok, err
}

// EndEdition refuses or withdraws an edition that has not come into force; false when it
// is in another state than said.
func (s *Store) EndEdition(ctx context.Context, id string, from, to idp.EditionState, by string, at time.Time) (ok bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		n, err := s.affected(ctx, "UPDATE editions SET state = ?, decided_by = ?, decided_at = ?, ended_at = ? WHERE id = ? AND state = ?",
			string(to), by, micros(at), micros(at), id, string(from))
		if ok = n == 1; err != nil || !ok {
			return err
		}
		return s.moved(ctx, "policy")
	})
	return ok, err
}

// ActivateEdition puts an edition in force in the place of the one before; false when
// somebody did already, or it is in another state than said.
func (s *Store) ActivateEdition(ctx context.Context, id string, from idp.EditionState, emergency bool, at time.Time) (ok bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		if err := s.moved(ctx, "policy"); err != nil { // whose row two who activate at once wait for
			return err
		}
		return s.Try(ctx, func(ctx context.Context) error {
			ok, err = s.replaceEdition(ctx, id, from, emergency, at)
			return undoUnless(ok, err)
		})
	})
	return ok, err
}

// undoUnless takes the savepoint back unless all went well.
func undoUnless(ok bool, err error) error {
	if err == nil && !ok {
		return errUndo
	}
	return err
}

// replaceEdition retires the edition in force first: there is one at a time.
func (s *Store) replaceEdition(ctx context.Context, id string, from idp.EditionState, emergency bool, at time.Time) (ok bool, err error) {
	if err := s.exec(ctx, "UPDATE editions SET state = ?, ended_at = ? WHERE state = ?", string(idp.EditionRetired), micros(at), string(idp.EditionActive)); err != nil {
		return false, err
	}
	n, err := s.affected(ctx, "UPDATE editions SET state = ?, activated_at = ?, emergency = ? WHERE id = ? AND state = ? AND version > 0", string(idp.EditionActive), micros(at), emergency, id, string(from))
	return n == 1, err
}

// DueEditions lists the approved editions whose time has come, the earliest first.
func (s *Store) DueEditions(ctx context.Context, now time.Time) ([]idp.Edition, error) {
	var rows []editionRow
	if err := s.db(ctx).Where("state = ? AND activate_at <= ?", string(idp.EditionApproved), micros(now)).Order("activate_at, version").Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toEdition)
}

// FoundEdition stores the shipped policy as version 1 in force, unless there are editions.
func (s *Store) FoundEdition(ctx context.Context, document []byte, at time.Time) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		row := editionRow{ID: idp.NewTimeID(at), Version: 1, Revision: 1, Title: "Hufu", Document: string(document), State: string(idp.EditionActive), Author: "system",
			CreatedAt: micros(at), ChangedAt: micros(at), SubmittedAt: micros(at), DecidedBy: "system", DecidedAt: micros(at), Merchants: "[]", ActivateAt: micros(at), ActivatedAt: micros(at)}
		var n int64
		if err := s.db(ctx).Raw("SELECT count(*) FROM editions").Scan(&n).Error; err != nil || n > 0 {
			return err
		}
		err := s.Try(ctx, func(ctx context.Context) error { return s.db(ctx).Create(&row).Error })
		if err == gorm.ErrDuplicatedKey { // another replica was faster
			return nil
		}
		return err
	})
}

// PolicyMoved is a number that moves whenever another edition comes into force or is
// tried out.
func (s *Store) PolicyMoved(ctx context.Context) (n int64, err error) {
	err = s.db(ctx).Raw("SELECT value FROM versions WHERE name = 'policy'").Scan(&n).Error
	return n, err
}

// InForce returns the edition in force, and the newest one that is tried out or nil.
func (s *Store) InForce(ctx context.Context) (active idp.Edition, tried *idp.Edition, err error) {
	var rows []editionRow
	if err := s.db(ctx).Where("state IN ?", []string{string(idp.EditionActive), string(idp.EditionApproved)}).Order("version DESC").Find(&rows).Error; err != nil {
		return active, nil, err
	}
	all, err := mapRows(rows, toEdition)
	if err != nil {
		return active, nil, err
	}
	for _, e := range all {
		switch {
		case e.State == idp.EditionActive:
			active = e
		case tried == nil && e.TriedOut():
			tried = &e
		}
	}
	if active.ID == "" {
		err = notFound(gorm.ErrRecordNotFound)
	}
	return active, tried, err
}
