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
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&messageRow{ID: m.ID, UserID: m.UserID, Channel: string(m.Channel), Address: address, Template: m.Template, Language: m.Language,
			Body: body, CreatedAt: micros(m.CreatedAt)}).Error
	})
}

// Messages lists the newest messages of the outbox.
func (s *Store) Messages(ctx context.Context, limit int) ([]idp.Message, error) {
	var rows []messageRow
	if err := s.db(ctx).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toMessage)
}

func (s *Store) toMessage(r messageRow) (idp.Message, error) {
	m := idp.Message{ID: r.ID, UserID: r.UserID, Channel: idp.ChannelKind(r.Channel), Template: r.Template, Language: r.Language,
		CreatedAt: fromMicros(r.CreatedAt), SentAt: fromMicros(r.SentAt)}
	address, err := s.ring.Open(seal.Place{Table: "messages", Column: "address", Row: r.ID}, r.Address)
	if err != nil {
		return m, err
	}
	m.To = string(address)
	text, err := s.ring.Open(seal.Place{Table: "messages", Column: "body", Row: r.ID}, r.Body)
	if err != nil {
		return m, err
	}
	var body messageBody
	err = json.Unmarshal(text, &body)
	m.Subject, m.Body, m.HTML = body.Subject, body.Text, body.HTML
	return m, err
}
