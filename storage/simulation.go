package storage

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

type simulationRow struct {
	ID         string `gorm:"primaryKey"`
	EditionID  string
	Revision   int64
	StartedBy  string
	State      string
	Done       int64
	Total      int64
	After      string
	Result     string
	StartedAt  int64
	ChangedAt  int64
	LeaseUntil int64
}

func (simulationRow) TableName() string { return "simulations" }

func toSimulation(r simulationRow) (idp.Simulation, error) {
	return idp.Simulation{ID: r.ID, Edition: r.EditionID, Revision: r.Revision, By: r.StartedBy, State: idp.SimulationState(r.State), Done: r.Done, Total: r.Total, After: r.After,
		Result: []byte(r.Result), StartedAt: fromMicros(r.StartedAt), ChangedAt: fromMicros(r.ChangedAt)}, nil
}

// StartSimulation queues a run, giving it an id and the number of people that there are.
func (s *Store) StartSimulation(ctx context.Context, m *idp.Simulation) error {
	m.ID, m.State = idp.NewTimeID(m.StartedAt), idp.SimulationQueued
	return s.Tx(ctx, func(ctx context.Context) error {
		if err := s.db(ctx).Raw("SELECT count(*) FROM users WHERE status = ?", string(idp.UserActive)).Scan(&m.Total).Error; err != nil {
			return err
		}
		return s.db(ctx).Create(&simulationRow{ID: m.ID, EditionID: m.Edition, Revision: m.Revision, StartedBy: m.By, State: string(m.State), Total: m.Total, Result: "{}",
			StartedAt: micros(m.StartedAt), ChangedAt: micros(m.StartedAt)}).Error
	})
}

// Simulation returns a run by id.
func (s *Store) Simulation(ctx context.Context, id string) (idp.Simulation, error) {
	var r simulationRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Simulation{}, notFound(err)
	}
	return toSimulation(r)
}

// Simulations lists the newest runs of an edition.
func (s *Store) Simulations(ctx context.Context, edition string, limit int) ([]idp.Simulation, error) {
	var rows []simulationRow
	if err := s.db(ctx).Where("edition_id = ?", edition).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toSimulation)
}

// ClaimSimulation takes the oldest run that nobody works on, for a while; ok is false when
// there is none. A run whose worker died is taken up where it stood.
func (s *Store) ClaimSimulation(ctx context.Context, now, until time.Time) (m idp.Simulation, ok bool, err error) {
	var ids []string
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`UPDATE simulations SET state = 'running', lease_until = ?, changed_at = ? WHERE id = (SELECT id FROM simulations
			WHERE state IN ('queued', 'running') AND lease_until < ? ORDER BY id LIMIT 1) AND lease_until < ? RETURNING id`, micros(until), micros(now), micros(now), micros(now)).Scan(&ids).Error
	})
	if err != nil || len(ids) == 0 {
		return m, false, err
	}
	m, err = s.Simulation(ctx, ids[0])
	return m, err == nil, err
}

// SimulatedPerson is somebody whom a simulated policy would touch.
type SimulatedPerson struct {
	SimulationID, UserID string
	Role                 string
	Tier                 string
	Effects              int64 // bits
}

func (SimulatedPerson) TableName() string { return "simulation_people" }

// StepSimulation keeps what a worker has found in one more part of the people; false when
// somebody stopped the run.
func (s *Store) StepSimulation(ctx context.Context, m idp.Simulation, people []SimulatedPerson, now, until time.Time) (ok bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		n, err := s.affected(ctx, "UPDATE simulations SET state = ?, done = ?, after = ?, result = ?, changed_at = ?, lease_until = ? WHERE id = ? AND state = 'running'",
			string(m.State), m.Done, m.After, string(m.Result), micros(now), micros(until), m.ID)
		if ok = n == 1; err != nil || !ok || len(people) == 0 {
			return err
		}
		return s.db(ctx).CreateInBatches(people, 500).Error
	})
	return ok, err
}

// StopSimulation ends a run that is not done; false when it is.
func (s *Store) StopSimulation(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE simulations SET state = 'stopped', changed_at = ? WHERE id = ? AND state IN ('queued', 'running')", micros(at), id)
	return n == 1, err
}

// SimulatedPeople lists a page of whom a run would touch with any of some effects, in the
// order of their ids.
func (s *Store) SimulatedPeople(ctx context.Context, simulation, after string, effects int64, limit int) (out []SimulatedPerson, err error) {
	err = s.db(ctx).Raw("SELECT * FROM simulation_people WHERE simulation_id = ? AND user_id > ? AND effects & ? <> 0 ORDER BY user_id LIMIT ?", simulation, after, effects, limit).Scan(&out).Error
	return out, err
}

// NamedPerson is somebody whom a simulated policy would touch, with what lists and exports
// say of him.
type NamedPerson struct {
	SimulatedPerson
	Name, Login, MerchantNo string
}

// NamedPeople is SimulatedPeople with names, read in one go for a whole page.
func (s *Store) NamedPeople(ctx context.Context, simulation, after string, effects int64, limit int) ([]NamedPerson, error) {
	type row struct {
		SimulatedPerson
		Name, Value      []byte
		IdentifierID, No string
	}
	var rows []row
	err := s.db(ctx).Raw(`SELECT p.*, u.name, COALESCE(i.id, '') AS identifier_id, i.value, COALESCE(m.no, '') AS no
		FROM (SELECT * FROM simulation_people WHERE simulation_id = ? AND user_id > ? AND effects & ? <> 0 ORDER BY user_id LIMIT ?) p
		LEFT JOIN users u ON u.id = p.user_id LEFT JOIN merchants m ON m.id = u.merchant_id
		LEFT JOIN identifiers i ON i.id = (SELECT min(id) FROM identifiers WHERE user_id = p.user_id AND kind = 'username' AND former = ? AND removed_at = 0)
		ORDER BY p.user_id`, simulation, after, effects, limit, false).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	return mapRows(rows, func(r row) (NamedPerson, error) {
		n := NamedPerson{SimulatedPerson: r.SimulatedPerson, MerchantNo: r.No}
		if len(r.Name) > 0 {
			name, err := s.ring.Open(userNamePlace(r.UserID), r.Name)
			if err != nil {
				return n, err
			}
			n.Name = string(name)
		}
		if r.IdentifierID == "" {
			return n, nil
		}
		login, err := s.ring.Open(identifierPlace(r.IdentifierID), r.Value)
		n.Login = string(login)
		return n, err
	})
}

// Populated is what a simulation looks at of somebody.
type Populated struct {
	ID, Role, MerchantNo, Tier, StoreID string
	GraceFrom                           time.Time
	MustChange                          bool
	TOTP, Passkey, Channel              bool
	PasswordAt                          time.Time
	Measures                            []byte // of the password, JSON; nil: not known
	Sessions                            int    // live ones
	OldestSession                       time.Time
	Apps                                int // grants of applications and terminals
	OldestApp                           time.Time
}

// Population reads a part of the active people in the order of their ids, after one.
func (s *Store) Population(ctx context.Context, after string, now time.Time, limit int) ([]Populated, error) {
	type row struct {
		ID, Role, No, Tier, Store, PasswordID           string
		GraceFrom, PasswordAt, OldestSession, OldestApp int64
		MustChange, Totp, Passkey, Channel              bool
		Measures                                        []byte
		Sessions, Apps                                  int
	}
	var rows []row
	at := micros(now)
	err := s.db(ctx).Raw(`SELECT u.id, u.role, COALESCE(m.no, '') AS no, COALESCE(m.tier, '') AS tier, COALESCE(u.store_id, '') AS store, u.grace_from, u.must_change,
		EXISTS (SELECT 1 FROM credentials c WHERE c.user_id = u.id AND c.method = 'totp' AND c.blocked = '') AS totp,
		EXISTS (SELECT 1 FROM credentials c WHERE c.user_id = u.id AND c.method = 'passkey' AND c.blocked = '') AS passkey,
		EXISTS (SELECT 1 FROM identifiers i WHERE i.user_id = u.id AND i.kind IN ('phone', 'email') AND i.verified_at > 0 AND i.removed_at = 0) AS channel,
		COALESCE(p.id, '') AS password_id, COALESCE(p.changed_at, 0) AS password_at, p.measures,
		COALESCE(s.n, 0) AS sessions, COALESCE(s.oldest, 0) AS oldest_session, COALESCE(g.n, 0) AS apps, COALESCE(g.oldest, 0) AS oldest_app
		FROM (SELECT * FROM users WHERE id > ? AND status = ? ORDER BY id LIMIT ?) u
		LEFT JOIN merchants m ON m.id = u.merchant_id
		LEFT JOIN credentials p ON p.user_id = u.id AND p.method = 'password'
		LEFT JOIN (SELECT user_id, count(*) AS n, min(created_at) AS oldest FROM sessions WHERE user_id > ? AND ended_at = 0 AND idle_until > ? AND expires_at > ?
			AND user_id IN (SELECT id FROM users WHERE id > ? AND status = ? ORDER BY id LIMIT ?) GROUP BY user_id) s ON s.user_id = u.id
		LEFT JOIN (SELECT user_id, count(*) AS n, min(created_at) AS oldest FROM grants WHERE user_id > ? AND ended_at = 0 AND expires_at > ?
			AND user_id IN (SELECT id FROM users WHERE id > ? AND status = ? ORDER BY id LIMIT ?) GROUP BY user_id) g ON g.user_id = u.id
		ORDER BY u.id`, after, string(idp.UserActive), limit, after, at, at, after, string(idp.UserActive), limit, after, at, after, string(idp.UserActive), limit).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	out := make([]Populated, len(rows))
	for i, r := range rows {
		out[i] = Populated{ID: r.ID, Role: r.Role, MerchantNo: r.No, Tier: r.Tier, StoreID: r.Store, GraceFrom: fromMicros(r.GraceFrom), MustChange: r.MustChange, TOTP: r.Totp, Passkey: r.Passkey,
			Channel: r.Channel, PasswordAt: fromMicros(r.PasswordAt), Sessions: r.Sessions, OldestSession: fromMicros(r.OldestSession), Apps: r.Apps, OldestApp: fromMicros(r.OldestApp)}
		if r.Measures != nil {
			if out[i].Measures, err = s.ring.Open(measuresPlace(r.PasswordID), r.Measures); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func measuresPlace(id string) seal.Place {
	return seal.Place{Table: "credentials", Column: "measures", Row: id}
}

// Measure keeps what a password of a version fulfils, sealed, under which version of the
// policy it was looked at, and since when it is weak: from the first time on.
func (s *Store) Measure(ctx context.Context, credential string, version int64, measures []byte, policy int64, weak bool, at time.Time) error {
	sealed, err := s.ring.Seal(measuresPlace(credential), measures)
	if err != nil {
		return err
	}
	since := "0"
	if weak {
		since = "CASE WHEN weak_since = 0 THEN ? ELSE weak_since END"
	}
	args := []any{sealed, policy}
	if weak {
		args = append(args, micros(at))
	}
	return s.exec(ctx, "UPDATE credentials SET measures = ?, measured_by = ?, weak_since = "+since+" WHERE id = ? AND version = ?", append(args, credential, version)...)
}

// SignedIn is a sign-in of the past, as a simulation looks at it.
type SignedIn struct {
	Event, User, Role, MerchantNo, Tier, StoreID, Client string
	ACR                                                  string
}

// SignIns reads a part of the sign-ins since a time, in the order of their events, after
// one.
func (s *Store) SignIns(ctx context.Context, after string, since time.Time, limit int) ([]SignedIn, error) {
	var rows []struct{ ID, Subject, Role, No, Tier, Store, Client, Data string }
	err := s.db(ctx).Raw(`SELECT e.id, e.subject, u.role, COALESCE(m.no, '') AS no, COALESCE(m.tier, '') AS tier, COALESCE(u.store_id, '') AS store, e.client, e.data
		FROM (SELECT id, subject, client, data FROM events WHERE name = 'signin.succeeded' AND id > ? AND at >= ? ORDER BY id LIMIT ?) e
		JOIN users u ON u.id = e.subject LEFT JOIN merchants m ON m.id = u.merchant_id ORDER BY e.id`, after, micros(since), limit).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	out := make([]SignedIn, len(rows))
	for i, r := range rows {
		e, err := toEvent(eventRow{Data: r.Data})
		if err != nil {
			return nil, err
		}
		acr, _ := e.Data["acr"].(string)
		out[i] = SignedIn{Event: r.ID, User: r.Subject, Role: r.Role, MerchantNo: r.No, Tier: r.Tier, StoreID: r.Store, Client: r.Client, ACR: acr}
	}
	return out, nil
}
