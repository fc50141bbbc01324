package storage

import (
	"context"
	"encoding/json"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type messageRow struct {
	ID        string `gorm:"primaryKey"`
	UserID    string
	Channel   string
	Address   []byte
	Template  string
	Language  string
	Body      []byte
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	SentAt    int64
	Params    []byte
	Attempts  int
	DueAt     int64
	DeadAt    int64
	Trouble   string
	Receipt   string
}

func (messageRow) TableName() string { return "messages" }

type messageBody struct{ Subject, Text, HTML string }

// Queue writes a message to the outbox, in the transaction of what it tells of.
func (s *Store) Queue(ctx context.Context, m *idp.Message) error {
	m.CreatedAt = time.Now()
	m.ID = idp.NewTimeID(m.CreatedAt)
	address, err := s.ring.Seal(seal.Place{Table: "messages", Column: "address", Row: m.ID}, []byte(m.To))
	if err != nil {
		return err
	}
	body, err := s.ring.Seal(seal.Place{Table: "messages", Column: "body", Row: m.ID}, []byte(asJSON(messageBody{m.Subject, m.Body, m.HTML})))
	if err != nil {
		return err
	}
	params, err := s.ring.Seal(seal.Place{Table: "messages", Column: "params", Row: m.ID}, []byte(asJSON(m.Params)))
	if err != nil {
		return err
	}
	m.DueAt = m.CreatedAt
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&messageRow{ID: m.ID, UserID: m.UserID, Channel: string(m.Channel), Address: address, Template: m.Template, Language: m.Language,
			Body: body, CreatedAt: micros(m.CreatedAt), DueAt: micros(m.DueAt), Params: params}).Error
	})
}

// Messages lists the newest messages of the outbox, opened.
func (s *Store) Messages(ctx context.Context, limit int) ([]idp.Message, error) {
	var rows []messageRow
	if err := s.db(ctx).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.openMessage)
}

// MessageFilter narrows [Store.MessageHeads]; empty fields do not.
type MessageFilter struct {
	Before, User, Template string // Before: id of the last message of the page before
	Channel                idp.ChannelKind
	State                  idp.MessageState
}

var messageStates = map[idp.MessageState]string{
	idp.MessageDue: "sent_at = 0 AND dead_at = 0", idp.MessageSent: "sent_at > 0", idp.MessageDead: "sent_at = 0 AND dead_at > 0",
}

// messageHead are the columns that say nothing of what a message holds.
var messageHead = []string{"id", "user_id", "channel", "address", "template", "language", "created_at", "sent_at", "attempts", "due_at", "dead_at", "trouble", "receipt"}

// MessageHeads lists a page of the outbox, newest first. What the messages say is not read.
func (s *Store) MessageHeads(ctx context.Context, f MessageFilter, limit int) ([]idp.Message, error) {
	q := s.db(ctx).Select(messageHead).Order("id DESC").Limit(limit)
	for column, v := range map[string]string{"user_id": f.User, "template": f.Template, "channel": string(f.Channel)} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	if where, ok := messageStates[f.State]; ok {
		q = q.Where(where)
	}
	var rows []messageRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toMessage)
}

// MessageHead returns a message by id, without what it says.
func (s *Store) MessageHead(ctx context.Context, id string) (idp.Message, error) {
	var r messageRow
	if err := s.db(ctx).Select(messageHead).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Message{}, notFound(err)
	}
	return s.toMessage(r)
}

// CountMessages says how many messages wait to be sent and how many were given up.
func (s *Store) CountMessages(ctx context.Context) (due, dead int64, err error) {
	var n struct{ Due, Dead int64 }
	err = s.db(ctx).Raw("SELECT (SELECT count(*) FROM messages WHERE " + messageStates[idp.MessageDue] + ") AS due, (SELECT count(*) FROM messages WHERE " + messageStates[idp.MessageDead] + ") AS dead").Scan(&n).Error
	return n.Due, n.Dead, err
}

const dueNow = "sent_at = 0 AND dead_at = 0 AND due_at <= ? AND channel = ?"

// ClaimMessages takes messages of a channel that are due, oldest first, for as long as
// the lease: nobody else gets them before. Their DueAt is the end of the lease and names
// the claim. The try is counted when it begins, so that one that takes the process down
// is not begun for ever. A message that cannot be opened has no To.
func (s *Store) ClaimMessages(ctx context.Context, channel idp.ChannelKind, limit int, lease time.Duration, now time.Time) ([]idp.Message, error) {
	var waits bool // a look costs less than the only writer of SQLite
	if err := s.db(ctx).Raw("SELECT EXISTS (SELECT 1 FROM messages WHERE "+dueNow+")", micros(now), string(channel)).Scan(&waits).Error; err != nil || !waits {
		return nil, err
	}
	var rows []messageRow
	err := s.Tx(ctx, func(ctx context.Context) error {
		rows = nil
		return s.db(ctx).Raw("UPDATE messages SET due_at = ?, attempts = attempts + 1 WHERE id IN (SELECT id FROM messages WHERE "+dueNow+" ORDER BY due_at, id LIMIT ?) AND "+dueNow+" RETURNING *",
			micros(now.Add(lease)), micros(now), string(channel), limit, micros(now), string(channel)).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	claimed := make([]idp.Message, len(rows))
	for i, r := range rows {
		if claimed[i], err = s.openMessage(r); err != nil { // one that cannot be read must not hold up the others
			s.log.ErrorContext(ctx, "message cannot be opened", "message", r.ID, "error", err)
			claimed[i].To = ""
		}
	}
	return claimed, nil
}

// MessageSent keeps that a message was handed over. It holds whoever claimed it since:
// what is sent is sent.
func (s *Store) MessageSent(ctx context.Context, m idp.Message, receipt string, now time.Time) error {
	return s.exec(ctx, "UPDATE messages SET sent_at = ?, dead_at = 0, trouble = '', receipt = ? WHERE id = ? AND sent_at = 0", micros(now), receipt, m.ID)
}

// MessageFailed gives a claimed message back until a later time; counted says whether
// the try counts. false when the claim is no longer the caller's.
func (s *Store) MessageFailed(ctx context.Context, m idp.Message, trouble string, counted bool, due time.Time) (bool, error) {
	uncounted := 0
	if !counted {
		uncounted = 1
	}
	n, err := s.affected(ctx, "UPDATE messages SET due_at = ?, trouble = ?, attempts = attempts - ? WHERE id = ? AND due_at = ? AND sent_at = 0 AND dead_at = 0",
		micros(due), trouble, uncounted, m.ID, micros(m.DueAt))
	return n == 1, err
}

// MessageDead gives a claimed message up. A code is forgotten with it: it cannot be sent
// again. false when the claim is no longer the caller's.
func (s *Store) MessageDead(ctx context.Context, m idp.Message, trouble string, now time.Time) (bool, error) {
	n, err := s.affected(ctx, `UPDATE messages SET dead_at = ?, trouble = ?, body = CASE WHEN template = ? THEN ? ELSE body END, params = CASE WHEN template = ? THEN ? ELSE params END
		WHERE id = ? AND due_at = ? AND sent_at = 0 AND dead_at = 0`, micros(now), trouble, idp.TemplateCode, []byte{}, idp.TemplateCode, []byte{}, m.ID, micros(m.DueAt))
	return n == 1, err
}

// ResendMessage makes a message due again that was given up, unless it held a code; false
// when there is none. Its trouble stays until it is sent.
func (s *Store) ResendMessage(ctx context.Context, id string, now time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE messages SET dead_at = 0, attempts = 0, due_at = ? WHERE id = ? AND dead_at > 0 AND sent_at = 0 AND template <> ?", micros(now), id, idp.TemplateCode)
	return n == 1, err
}

// eraseSent forgets what delivered messages said, a day after.
func (s *Store) eraseSent(ctx context.Context, before time.Time) error {
	const old = "sent_at > 0 AND length(body) > 0 AND sent_at < ?"
	for {
		n, err := s.affected(ctx, "UPDATE messages SET body = ?, params = ? WHERE id IN (SELECT id FROM messages WHERE "+old+" LIMIT ?)", []byte{}, []byte{}, micros(before), sweepBatch)
		if err != nil || n < sweepBatch {
			return err
		}
	}
}

// toMessage reads the head of a message.
func (s *Store) toMessage(r messageRow) (idp.Message, error) {
	m := idp.Message{ID: r.ID, UserID: r.UserID, Channel: idp.ChannelKind(r.Channel), Template: r.Template, Language: r.Language, CreatedAt: fromMicros(r.CreatedAt),
		DueAt: fromMicros(r.DueAt), SentAt: fromMicros(r.SentAt), DeadAt: fromMicros(r.DeadAt), Attempts: r.Attempts, Trouble: r.Trouble, Receipt: r.Receipt}
	address, err := s.ring.Open(seal.Place{Table: "messages", Column: "address", Row: r.ID}, r.Address)
	m.To = string(address)
	return m, err
}

// openMessage reads a message with what it says; one that was forgotten says nothing.
func (s *Store) openMessage(r messageRow) (idp.Message, error) {
	m, err := s.toMessage(r)
	if err != nil {
		return m, err
	}
	var body messageBody
	if err := s.openJSON(r.ID, "body", r.Body, &body); err != nil {
		return m, err
	}
	m.Subject, m.Body, m.HTML = body.Subject, body.Text, body.HTML
	return m, s.openJSON(r.ID, "params", r.Params, &m.Params)
}

func (s *Store) openJSON(id, column string, sealed []byte, into any) error {
	if len(sealed) == 0 {
		return nil
	}
	text, err := s.ring.Open(seal.Place{Table: "messages", Column: column, Row: id}, sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
