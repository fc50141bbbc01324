package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"hufu/idp"
)

type eventRow struct {
	ID       string `gorm:"primaryKey"`
	At       int64
	Name     string
	Actor    string
	Subject  string
	Merchant string
	Store    string
	Terminal string
	Client   string
	Session  string
	Flow     string
	Network  string
	Reason   string
	Explain  string
	Policy   int64
	Data     string
}

func (eventRow) TableName() string { return "events" }

func toEvent(r eventRow) (idp.Event, error) {
	e := idp.Event{ID: r.ID, At: fromMicros(r.At), Name: r.Name, Actor: r.Actor, Subject: r.Subject, Merchant: r.Merchant, Store: r.Store, Terminal: r.Terminal,
		Client: r.Client, Session: r.Session, Flow: r.Flow, Network: r.Network, Reason: r.Reason, Explain: r.Explain, Policy: r.Policy}
	return e, json.Unmarshal([]byte(r.Data), &e.Data)
}

// Append writes one line of the audit log, in the transaction of what it tells of.
func (s *Store) Append(ctx context.Context, e idp.Event) error {
	if _, ok := idp.EventNames[e.Name]; !ok {
		return fmt.Errorf("storage: event name %q is not in the list", e.Name)
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&eventRow{ID: idp.NewTimeID(e.At), At: micros(e.At), Name: e.Name, Actor: e.Actor, Subject: e.Subject, Merchant: e.Merchant, Store: e.Store,
			Terminal: e.Terminal, Client: e.Client, Session: e.Session, Flow: e.Flow, Network: e.Network, Reason: e.Reason, Explain: e.Explain, Policy: e.Policy, Data: string(data)}).Error
	})
}

// Event returns an event by id.
func (s *Store) Event(ctx context.Context, id string) (idp.Event, error) {
	var r eventRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Event{}, notFound(err)
	}
	return toEvent(r)
}

// EventFilter narrows [Store.Events]; empty fields do not.
type EventFilter struct {
	Before                                             string // id of the last event of the page before
	Subject, Merchant, Name, Explain, Client, Terminal string
	Names                                              []string
	Since, Until                                       time.Time // Until is the first moment that is not meant
}

// Events lists a page of events, newest first.
func (s *Store) Events(ctx context.Context, f EventFilter, limit int) ([]idp.Event, error) {
	q := s.db(ctx).Order("id DESC").Limit(limit)
	for column, v := range map[string]string{"subject": f.Subject, "merchant": f.Merchant, "name": f.Name, "explain": f.Explain, "client": f.Client, "terminal": f.Terminal} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	if len(f.Names) > 0 {
		q = q.Where("name IN ?", f.Names)
	}
	// Ids sort by time: bounds of the key keep the page in its order without a second index.
	if !f.Since.IsZero() {
		q = q.Where("id >= ?", idp.FirstTimeID(f.Since))
	}
	if !f.Until.IsZero() {
		q = q.Where("id < ?", idp.FirstTimeID(f.Until))
	}
	var rows []eventRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toEvent)
}
