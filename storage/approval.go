package storage

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
	"hufu/idp/seal"
)

type approvalRow struct {
	ID          string `gorm:"primaryKey"`
	Act         string
	Object      string
	Merchant    string
	Asked       []byte
	Reason      string
	AskedBy     string
	AskedAt     int64
	ExpiresAt   int64
	State       string
	DecidedBy   string
	DecidedAt   int64
	Decision    string
	Failure     string
	SecretUntil int64
}

func (approvalRow) TableName() string { return "approvals" }

func approvalPlace(column, id string) seal.Place {
	return seal.Place{Table: "approvals", Column: column, Row: id}
}

// asked is what is sealed: it may hold the names and numbers of people.
type asked struct {
	Input   json.RawMessage
	Changes []idp.Difference
}

func (s *Store) toApproval(r approvalRow) (idp.Approval, error) {
	a := idp.Approval{ID: r.ID, Act: r.Act, Object: r.Object, Merchant: r.Merchant, Reason: r.Reason, AskedBy: r.AskedBy, AskedAt: fromMicros(r.AskedAt), ExpiresAt: fromMicros(r.ExpiresAt),
		State: idp.ApprovalState(r.State), DecidedBy: r.DecidedBy, DecidedAt: fromMicros(r.DecidedAt), Decision: r.Decision, Failure: r.Failure, SecretUntil: fromMicros(r.SecretUntil)}
	text, err := s.ring.Open(approvalPlace("asked", r.ID), r.Asked)
	if err != nil {
		return a, err
	}
	var in asked
	err = json.Unmarshal(text, &in)
	a.Input, a.Changes = in.Input, in.Changes
	return a, err
}

// CreateApproval stores an act that waits for a second person, giving it an id. A
// Conflict says that the same act already waits for the same thing.
func (s *Store) CreateApproval(ctx context.Context, a *idp.Approval) error {
	a.ID, a.State = idp.NewTimeID(a.AskedAt), idp.ApprovalAsked
	text, err := s.ring.Seal(approvalPlace("asked", a.ID), []byte(asJSON(asked{a.Input, a.Changes})))
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		// What has waited too long makes room.
		if err := s.exec(ctx, "UPDATE approvals SET state = ? WHERE act = ? AND object = ? AND state = ? AND expires_at <= ?",
			string(idp.ApprovalExpired), a.Act, a.Object, string(idp.ApprovalAsked), micros(a.AskedAt)); err != nil {
			return err
		}
		return taken(s.db(ctx).Create(&approvalRow{ID: a.ID, Act: a.Act, Object: a.Object, Merchant: a.Merchant, Asked: text, Reason: a.Reason, AskedBy: a.AskedBy, AskedAt: micros(a.AskedAt),
			ExpiresAt: micros(a.ExpiresAt), State: string(a.State)}).Error, "", "approval.waits")
	})
}

// Approval returns one by id.
func (s *Store) Approval(ctx context.Context, id string) (idp.Approval, error) {
	var r approvalRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Approval{}, notFound(err)
	}
	return s.toApproval(r)
}

// ApprovalFilter narrows [Store.Approvals]; empty fields do not.
type ApprovalFilter struct {
	Before string   // id of the last one of the page before
	Acts   []string // such ones alone; nil: all
	State  idp.ApprovalState
	Now    time.Time // that State is asked for
	NotBy  string    // asked by others than this person
	NotOf  string    // about others
	Secret string    // a secret waits for this person
}

func (s *Store) approvals(ctx context.Context, f ApprovalFilter) *gorm.DB {
	q := s.db(ctx).Table("approvals")
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	if f.Acts != nil {
		q = q.Where("act IN ?", f.Acts)
	}
	switch f.State {
	case "":
	case idp.ApprovalAsked:
		q = q.Where("state = ? AND expires_at > ?", string(idp.ApprovalAsked), micros(f.Now))
	case idp.ApprovalExpired:
		q = q.Where("(state = ? OR state = ? AND expires_at <= ?)", string(idp.ApprovalExpired), string(idp.ApprovalAsked), micros(f.Now))
	default:
		q = q.Where("state = ?", string(f.State))
	}
	if f.NotBy != "" {
		q = q.Where("asked_by <> ?", f.NotBy)
	}
	if f.NotOf != "" {
		q = q.Where("object <> ?", f.NotOf)
	}
	if f.Secret != "" {
		q = q.Where("secret_until > ? AND asked_by = ?", micros(f.Now), f.Secret)
	}
	return q
}

// Approvals lists a page of them, newest first.
func (s *Store) Approvals(ctx context.Context, f ApprovalFilter, limit int) ([]idp.Approval, error) {
	var rows []approvalRow
	if err := s.approvals(ctx, f).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toApproval)
}

// CountApprovals says how many there are.
func (s *Store) CountApprovals(ctx context.Context, f ApprovalFilter) (n int64, err error) {
	err = s.approvals(ctx, f).Count(&n).Error
	return n, err
}

// DecideApproval ends the waiting, once: only who asked withdraws, and only another
// approves or refuses, as long as it waits; false when it is not so.
func (s *Store) DecideApproval(ctx context.Context, id string, to idp.ApprovalState, by, why string, at time.Time) (bool, error) {
	who := "asked_by <> ?"
	if to == idp.ApprovalWithdrawn {
		who = "asked_by = ?"
	}
	n, err := s.affected(ctx, "UPDATE approvals SET state = ?, decided_by = ?, decided_at = ?, decision = ? WHERE id = ? AND state = ? AND expires_at > ? AND "+who,
		string(to), by, micros(at), why, id, string(idp.ApprovalAsked), micros(at), by)
	return n == 1, err
}

// FailApproval says that what was approved could not be done, and why.
func (s *Store) FailApproval(ctx context.Context, id, failure string) error {
	return s.exec(ctx, "UPDATE approvals SET state = ?, failure = ? WHERE id = ? AND state = ?", string(idp.ApprovalFailed), failure, id, string(idp.ApprovalApproved))
}

// KeepSecret keeps a secret that an approved act made, sealed, for who asked for it.
func (s *Store) KeepSecret(ctx context.Context, id string, secret idp.Secret, until time.Time) error {
	text, err := s.ring.Seal(approvalPlace("secret", id), []byte(secret.Reveal()))
	if err != nil {
		return err
	}
	return s.exec(ctx, "UPDATE approvals SET secret = ?, secret_until = ? WHERE id = ? AND state = ?", text, micros(until), id, string(idp.ApprovalApproved))
}

// TakeSecret hands out the secret of an approval, once and to who asked for it, and
// forgets it; "" when there is none, or its time is over.
func (s *Store) TakeSecret(ctx context.Context, id, by string, now time.Time) (secret idp.Secret, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		secret = ""
		var row struct{ Secret []byte }
		if err := s.db(ctx).Raw("SELECT secret FROM approvals WHERE id = ?", id).Scan(&row).Error; err != nil {
			return err
		}
		n, err := s.affected(ctx, "UPDATE approvals SET secret = NULL, secret_until = 0 WHERE id = ? AND asked_by = ? AND secret IS NOT NULL AND secret_until > ?", id, by, micros(now))
		if err != nil || n == 0 {
			return err
		}
		text, err := s.ring.Open(approvalPlace("secret", id), row.Secret)
		secret = idp.Secret(text)
		return err
	})
	return secret, err
}
