package storage

import (
	"cmp"
	"context"
	"time"

	"hufu/idp"
)

type handoverRow struct {
	ID         string `gorm:"primaryKey"`
	MerchantID string
	FromUser   string
	ToUser     string
	State      string
	Stays      bool
	Joined     bool
	CaseID     string
	Cause      string
	ProposedAt int64
	AcceptedAt int64
	DueAt      int64
	RemindAt   int64
	EndedAt    int64
}

func (handoverRow) TableName() string { return "handovers" }

func toHandover(r handoverRow) (idp.Handover, error) {
	return idp.Handover{ID: r.ID, MerchantID: r.MerchantID, From: r.FromUser, To: r.ToUser, State: idp.HandoverState(r.State), Stays: r.Stays, Joined: r.Joined, Case: r.CaseID, Cause: r.Cause,
		ProposedAt: fromMicros(r.ProposedAt), AcceptedAt: fromMicros(r.AcceptedAt), DueAt: fromMicros(r.DueAt), RemindAt: fromMicros(r.RemindAt), EndedAt: fromMicros(r.EndedAt)}, nil
}

// runs is the state of a hand-over that can still come to something.
const runs = "state IN ('proposed', 'cooling')"

// AddHandover stores a proposal, giving it an id. A second one that runs, of the same
// merchant, is a Conflict.
func (s *Store) AddHandover(ctx context.Context, h *idp.Handover) error {
	h.ID, h.State = idp.NewTimeID(h.ProposedAt), idp.HandoverProposed
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&handoverRow{ID: h.ID, MerchantID: h.MerchantID, FromUser: h.From, ToUser: h.To, State: string(h.State), Stays: h.Stays, Joined: h.Joined, CaseID: h.Case,
			ProposedAt: micros(h.ProposedAt), DueAt: micros(h.DueAt)}).Error
		return taken(err, "", "handover.running")
	})
}

// Handover returns a hand-over by id.
func (s *Store) Handover(ctx context.Context, id string) (idp.Handover, error) {
	var r handoverRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Handover{}, notFound(err)
	}
	return toHandover(r)
}

// RunningHandover returns the hand-over of a merchant that runs, nil when none does.
func (s *Store) RunningHandover(ctx context.Context, merchant string) (*idp.Handover, error) {
	list, err := s.handovers(ctx, 1, "merchant_id = ? AND "+runs, merchant)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// DueHandovers lists hand-overs whose proposal has expired or whose time to cool is over.
func (s *Store) DueHandovers(ctx context.Context, now time.Time, limit int) ([]idp.Handover, error) {
	return s.handovers(ctx, limit, runs+" AND due_at <= ?", micros(now))
}

// RemindableHandovers lists hand-overs whose people are to be reminded of their end.
func (s *Store) RemindableHandovers(ctx context.Context, now time.Time, limit int) ([]idp.Handover, error) {
	return s.handovers(ctx, limit, "remind_at > 0 AND remind_at <= ?", micros(now))
}

func (s *Store) handovers(ctx context.Context, limit int, where string, args ...any) ([]idp.Handover, error) {
	var rows []handoverRow
	if err := s.db(ctx).Where(where, args...).Order("id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toHandover)
}

// AcceptHandover begins the time to cool of a proposal; false when it is none any more.
func (s *Store) AcceptHandover(ctx context.Context, id string, now, due, remind time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE handovers SET state = 'cooling', accepted_at = ?, due_at = ?, remind_at = ? WHERE id = ? AND state = 'proposed' AND due_at > ?",
		micros(now), micros(due), micros(remind), id, micros(now))
	return n == 1, err
}

// RemindHandover takes the reminder of a hand-over that cools, once.
func (s *Store) RemindHandover(ctx context.Context, id string) (bool, error) {
	n, err := s.affected(ctx, "UPDATE handovers SET remind_at = 0 WHERE id = ? AND remind_at > 0 AND state = 'cooling'", id)
	return n == 1, err
}

// EndHandover moves a hand-over that runs to how it ended; false when it no longer runs. One
// that is done has cooled, one that expired was never accepted, both to their end.
func (s *Store) EndHandover(ctx context.Context, id string, to idp.HandoverState, cause string, now time.Time) (bool, error) {
	where, args := runs, []any{string(to), cause, micros(now), id}
	switch to {
	case idp.HandoverDone:
		where, args = "state = 'cooling' AND due_at <= ?", append(args, micros(now))
	case idp.HandoverExpired:
		where, args = "state = 'proposed' AND due_at <= ?", append(args, micros(now))
	}
	n, err := s.affected(ctx, "UPDATE handovers SET state = ?, cause = ?, ended_at = ?, remind_at = 0 WHERE id = ? AND "+where, args...)
	return n == 1, err
}

// DropHandover ends a hand-over that comes to nothing, with its events; whoever was invited
// for it leaves. False when it no longer runs. by says who did it and from where.
func (s *Store) DropHandover(ctx context.Context, h idp.Handover, to idp.HandoverState, cause string, now time.Time, by idp.Event) (dropped bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		if dropped, err = s.EndHandover(ctx, h.ID, to, cause, now); err != nil || !dropped {
			return err
		}
		by.Reason = cmp.Or(by.Reason, "handover."+cause)
		if h.Joined {
			if err := s.dismiss(ctx, h.To, by); err != nil {
				return err
			}
		}
		return s.HandoverEvent(ctx, "owner.stopped", h, by)
	})
	return dropped, err
}

// dismiss takes out whoever was invited for a hand-over alone.
func (s *Store) dismiss(ctx context.Context, user string, by idp.Event) error {
	u, err := s.HoldUser(ctx, user)
	if err != nil || u.Status == idp.UserLeft || u.Status == idp.UserErased {
		return err
	}
	if ok, err := s.SetUserStatus(ctx, user, u.Status, idp.UserLeft); err != nil || !ok {
		return err
	}
	if err := s.VoidInvites(ctx, user); err != nil {
		return err
	}
	if err := s.DenyApprovals(ctx, user); err != nil {
		return err
	}
	if err := s.EndAll(ctx, u, Keep{}, "left", by); err != nil {
		return err
	}
	by.Name, by.Subject, by.Merchant, by.Store = "account.left", u.ID, u.MerchantID, u.StoreID
	return s.Append(ctx, by)
}

// HandoverEvent writes an event of a hand-over for both its people: each finds it in his
// own account.
func (s *Store) HandoverEvent(ctx context.Context, name string, h idp.Handover, by idp.Event) error {
	by.Name, by.Merchant, by.Data = name, h.MerchantID, map[string]any{"handover": h.ID, "from": h.From, "to": h.To}
	if h.Case != "" {
		by.Data["case"] = h.Case
	}
	for _, by.Subject = range []string{h.From, h.To} {
		if err := s.Append(ctx, by); err != nil {
			return err
		}
	}
	return nil
}

// MoveMerchantNo makes the number of a merchant name another person, whoever it named.
func (s *Store) MoveMerchantNo(ctx context.Context, no, to string) error {
	n, err := s.affected(ctx, "UPDATE identifiers SET user_id = ? WHERE lookup = ? AND kind = 'merchant_no'", to, s.Lookup(idp.IdentifierMerchantNo, no))
	if err != nil || n > 0 {
		return err
	}
	return s.AddIdentifier(ctx, &idp.Identifier{UserID: to, Kind: idp.IdentifierMerchantNo, Value: no})
}

// SetLeaving sets when the last day of a person is over; zero: none is.
func (s *Store) SetLeaving(ctx context.Context, user string, at time.Time) error {
	return s.exec(ctx, "UPDATE users SET leaves_at = ? WHERE id = ?", micros(at), user)
}

// Leavers lists the ids of people whose last day is over and who have not left yet.
func (s *Store) Leavers(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	err = s.db(ctx).Raw("SELECT id FROM users WHERE leaves_at > 0 AND leaves_at <= ? ORDER BY leaves_at, id LIMIT ?", micros(now), limit).Scan(&ids).Error
	return ids, err
}

// ShopCodeMAC is what a code of the shop is kept as: keyed, of one person alone.
func (s *Store) ShopCodeMAC(user, code string) []byte {
	return s.ring.MAC("shop_codes", []byte(user+"\x00"+code))
}

// SetShopCode gives a person the code with which his shop lets him in again, in the place
// of any before.
func (s *Store) SetShopCode(ctx context.Context, user, by string, mac []byte, expires time.Time) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.exec(ctx, `INSERT INTO shop_codes (user_id, by_user, mac, expires_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET by_user = excluded.by_user, mac = excluded.mac, expires_at = excluded.expires_at`, user, by, mac, micros(expires))
		if err != nil {
			return err
		}
		return s.hideShopCodes(ctx, time.Now(), user)
	})
}

// hideShopCodes ends the notices by which terminals show the codes of people that no longer
// work.
func (s *Store) hideShopCodes(ctx context.Context, now time.Time, users ...string) error {
	return s.exec(ctx, "UPDATE terminal_notices SET until = ? WHERE kind = ? AND until > ? AND user_id IN ?", micros(now), string(idp.NoticeCode), micros(now), users)
}

// HasShopCode says whether a code is the one of a person now; [Store.UseShopCode] decides.
func (s *Store) HasShopCode(ctx context.Context, user string, mac []byte, now time.Time) (bool, error) {
	var n int64
	err := s.db(ctx).Raw("SELECT count(*) FROM shop_codes WHERE user_id = ? AND mac = ? AND expires_at > ?", user, mac, micros(now)).Scan(&n).Error
	return n == 1, err
}

// UseShopCode uses the code of a person up and says who gave it; "" when it is another, was
// used or is too old.
func (s *Store) UseShopCode(ctx context.Context, user string, mac []byte, now time.Time) (by string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		by = ""
		err := s.db(ctx).Raw("DELETE FROM shop_codes WHERE user_id = ? AND mac = ? AND expires_at > ? RETURNING by_user", user, mac, micros(now)).Scan(&by).Error
		if err != nil || by == "" {
			return err
		}
		return s.hideShopCodes(ctx, now, user)
	})
	return by, err
}

// VoidShopCodes takes back the code of a person, and those that he gave.
func (s *Store) VoidShopCodes(ctx context.Context, user string) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		var void []string
		err := s.db(ctx).Raw("DELETE FROM shop_codes WHERE user_id = ? OR by_user = ? RETURNING user_id", user, user).Scan(&void).Error
		if err != nil || len(void) == 0 {
			return err
		}
		return s.hideShopCodes(ctx, time.Now(), void...)
	})
}
