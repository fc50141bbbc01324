package storage

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type noticeRow struct {
	ID         string `gorm:"primaryKey"`
	MerchantID string
	TerminalID string
	UserID     string
	Kind       string
	Params     []byte
	Digits     []byte
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	Until      int64
	SeenAt     int64
	AnsweredAt int64
	AnsweredBy string
	Answer     string
}

func (noticeRow) TableName() string { return "terminal_notices" }

func noticePlace(id string) seal.Place {
	return seal.Place{Table: "terminal_notices", Column: "params", Row: id}
}

func (s *Store) toNotice(r noticeRow) (idp.TerminalNotice, error) {
	n := idp.TerminalNotice{ID: r.ID, MerchantID: r.MerchantID, TerminalID: r.TerminalID, UserID: r.UserID, Kind: idp.NoticeKind(r.Kind), CreatedAt: fromMicros(r.CreatedAt),
		Until: fromMicros(r.Until), SeenAt: fromMicros(r.SeenAt), AnsweredAt: fromMicros(r.AnsweredAt), AnsweredBy: r.AnsweredBy, Answer: idp.NoticeAnswer(r.Answer)}
	text, err := s.ring.Open(noticePlace(r.ID), r.Params)
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal(text, &n.Params)
}

// noticeDigits is the stored form of the digits of a confirmation, bound to its notice.
func (s *Store) noticeDigits(id string, digits int) []byte {
	return s.ring.MAC("terminal_notices.digits", []byte(id+"/"+strconv.Itoa(digits)))
}

// QueueTerminalNotice has a merchant's terminals, or one, say something from now on. match
// are the digits that confirm it, 0 for a notice that nobody confirms.
func (s *Store) QueueTerminalNotice(ctx context.Context, n *idp.TerminalNotice, match int) error {
	n.ID = idp.NewTimeID(n.CreatedAt)
	text, err := json.Marshal(n.Params)
	if err != nil {
		return err
	}
	params, err := s.ring.Seal(noticePlace(n.ID), text)
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&noticeRow{ID: n.ID, MerchantID: n.MerchantID, TerminalID: n.TerminalID, UserID: n.UserID, Kind: string(n.Kind), Params: params,
			Digits: s.noticeDigits(n.ID, match), CreatedAt: micros(n.CreatedAt), Until: micros(n.Until)}).Error
	})
}

// TerminalNotice returns a notice by id, answered or not: whoever queued it sees what came
// of it.
func (s *Store) TerminalNotice(ctx context.Context, id string) (idp.TerminalNotice, error) {
	var r noticeRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.TerminalNotice{}, notFound(err)
	}
	return s.toNotice(r)
}

const mostNotices = 20 // that a terminal shows

// TerminalNotices lists what a terminal is to say now, the oldest first.
func (s *Store) TerminalNotices(ctx context.Context, t idp.Terminal, now time.Time) ([]idp.TerminalNotice, error) {
	var rows []noticeRow
	if err := s.db(ctx).Where("merchant_id = ? AND terminal_id IN ('', ?) AND answered_at = 0 AND until > ?", t.MerchantID, t.ID, micros(now)).Order("id").Limit(mostNotices).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toNotice)
}

// SeeTerminalNotice notes that a live notice was shown; false when there is none for this
// terminal.
func (s *Store) SeeTerminalNotice(ctx context.Context, id string, t idp.Terminal, now time.Time) (bool, error) {
	n, err := s.affected(ctx, `UPDATE terminal_notices SET seen_at = CASE WHEN seen_at = 0 THEN CAST(? AS bigint) ELSE seen_at END
		WHERE id = ? AND merchant_id = ? AND terminal_id IN ('', ?) AND answered_at = 0 AND until > ?`, micros(now), id, t.MerchantID, t.ID, micros(now))
	return n == 1, err
}

// AnswerTerminalNotice answers a live notice at a terminal: stops what it is about or, for
// a confirmation, picks digits, of which wrong ones end it, too. Only the first answer
// counts; for any later one, and for a notice of other terminals, there is none.
func (s *Store) AnswerTerminalNotice(ctx context.Context, id string, t idp.Terminal, answer idp.NoticeAnswer, digits int, now time.Time) (n idp.TerminalNotice, err error) {
	var r noticeRow
	err = s.Tx(ctx, func(ctx context.Context) error {
		r = noticeRow{}
		return s.db(ctx).Raw(`UPDATE terminal_notices SET answered_at = @now, answered_by = @terminal,
			answer = CASE WHEN @answer = 'confirmed' AND digits <> @digits THEN 'wrong' ELSE @answer END
			WHERE id = @id AND merchant_id = @merchant AND terminal_id IN ('', @terminal) AND answered_at = 0 AND until > @now AND (kind = 'confirm' OR kind = 'stop' AND @answer = 'stopped')
			RETURNING *`, map[string]any{"now": micros(now), "terminal": t.ID, "answer": string(answer), "digits": s.noticeDigits(id, digits), "id": id, "merchant": t.MerchantID}).Scan(&r).Error
	})
	if err == nil && r.ID == "" {
		err = idp.Errorf(idp.NotFound, "error.notfound")
	}
	if err != nil {
		return n, err
	}
	return s.toNotice(r)
}

// VoidTerminalNotice takes back what one notice still asks.
func (s *Store) VoidTerminalNotice(ctx context.Context, id string, now time.Time) error {
	return s.exec(ctx, "UPDATE terminal_notices SET until = ? WHERE id = ? AND answered_at = 0 AND until > ?", micros(now), id, micros(now))
}

// VoidTerminalNotices takes back what a person's notices of some kinds, or of all, still ask.
func (s *Store) VoidTerminalNotices(ctx context.Context, user string, now time.Time, kinds ...idp.NoticeKind) error {
	if len(kinds) == 0 {
		kinds = []idp.NoticeKind{idp.NoticeStop, idp.NoticeCode, idp.NoticeConfirm}
	}
	return s.exec(ctx, "UPDATE terminal_notices SET until = ? WHERE user_id = ? AND kind IN ? AND answered_at = 0 AND until > ?", micros(now), user, kinds, micros(now))
}
