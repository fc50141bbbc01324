package storage

import (
	"context"
	"encoding/json"
	"time"

	"hufu/idp"
)

type terminalRow struct {
	ID          string `gorm:"primaryKey"`
	Serial      string
	Model       string
	Kind        string
	MerchantID  string
	StoreID     string
	State       string
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ActivatedAt int64
	LastSeenAt  int64
	KeyJKT      string `gorm:"column:key_jkt"`
	KeyAt       int64
}

func (terminalRow) TableName() string { return "terminals" }

func toTerminal(r terminalRow) (idp.Terminal, error) {
	return idp.Terminal{ID: r.ID, Serial: r.Serial, Model: r.Model, Kind: idp.TerminalKind(r.Kind), MerchantID: r.MerchantID, StoreID: r.StoreID,
		State: idp.TerminalState(r.State), CreatedAt: fromMicros(r.CreatedAt), ActivatedAt: fromMicros(r.ActivatedAt), LastSeenAt: fromMicros(r.LastSeenAt),
		Key: r.KeyJKT, KeyAt: fromMicros(r.KeyAt)}, nil
}

// CreateTerminal stores a new terminal, giving it an id.
func (s *Store) CreateTerminal(ctx context.Context, t *idp.Terminal) error {
	t.ID, t.CreatedAt = idp.NewID(), time.Now()
	return s.Tx(ctx, func(ctx context.Context) error {
		err := s.db(ctx).Create(&terminalRow{ID: t.ID, Serial: t.Serial, Model: t.Model, Kind: string(t.Kind), MerchantID: t.MerchantID, StoreID: t.StoreID,
			State: string(t.State), CreatedAt: micros(t.CreatedAt), ActivatedAt: micros(t.ActivatedAt), LastSeenAt: micros(t.LastSeenAt), KeyJKT: t.Key, KeyAt: micros(t.KeyAt)}).Error
		return taken(err, "serial", "error.taken.serial")
	})
}

// Terminal returns a terminal by id.
func (s *Store) Terminal(ctx context.Context, id string) (idp.Terminal, error) {
	return s.terminal(ctx, "id", id)
}

// TerminalBySerial returns a terminal by its normalised serial.
func (s *Store) TerminalBySerial(ctx context.Context, serial string) (idp.Terminal, error) {
	return s.terminal(ctx, "serial", serial)
}

func (s *Store) terminal(ctx context.Context, column, v string) (idp.Terminal, error) {
	var r terminalRow
	if err := s.db(ctx).Where(column+" = ?", v).Take(&r).Error; err != nil {
		return idp.Terminal{}, notFound(err)
	}
	return toTerminal(r)
}

// Terminals lists a page of terminals in the order of their serials, after the
// given one, of one merchant or ("") of all.
func (s *Store) Terminals(ctx context.Context, after, merchant string, limit int) ([]idp.Terminal, error) {
	return s.TerminalsBy(ctx, TerminalFilter{After: after, Merchant: merchant}, limit)
}

// TerminalFilter narrows [Store.TerminalsBy]; empty fields do not.
type TerminalFilter struct {
	After, Merchant, Store string // After: serial of the last terminal of the page before
	State                  idp.TerminalState
}

// TerminalsBy lists a page of terminals in the order of their serials.
func (s *Store) TerminalsBy(ctx context.Context, f TerminalFilter, limit int) ([]idp.Terminal, error) {
	q := s.db(ctx).Where("serial > ?", f.After).Order("serial").Limit(limit)
	for column, v := range map[string]string{"merchant_id": f.Merchant, "store_id": f.Store, "state": string(f.State)} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	var rows []terminalRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toTerminal)
}

// SetTerminalState moves a terminal from one state to another; false when it was
// not in the first.
func (s *Store) SetTerminalState(ctx context.Context, id string, from, to idp.TerminalState) (bool, error) {
	n, err := s.affected(ctx, "UPDATE terminals SET state = ? WHERE id = ? AND state = ?", string(to), id, string(from))
	return n == 1, err
}

// ReviveTerminal makes a suspended or lost terminal active again, as one that was never
// seen and is active since then; false when it was not in that state.
func (s *Store) ReviveTerminal(ctx context.Context, id string, from idp.TerminalState, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE terminals SET state = ?, last_seen_at = 0, activated_at = ? WHERE id = ? AND state = ?", string(idp.TerminalActive), micros(at), id, string(from))
	return n == 1, err
}

// ActivateTerminal makes a new terminal active at its first approval.
func (s *Store) ActivateTerminal(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE terminals SET state = ?, activated_at = ? WHERE id = ? AND state = ?", string(idp.TerminalActive), micros(at), id, string(idp.TerminalNew))
	return n == 1, err
}

// BindTerminalKey gives a terminal a key in place of the one it had, "" for none; false
// when it has another one by now. A key that stands for another terminal is a conflict.
func (s *Store) BindTerminalKey(ctx context.Context, id, from, to string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE terminals SET key_jkt = ?, key_at = ? WHERE id = ? AND key_jkt = ?", to, micros(at), id, from)
	return n == 1, taken(err, "", "error.conflict")
}

// SeenEvery is how exactly it is known when a terminal was last seen.
const SeenEvery = time.Minute

// SeeTerminal notes that a terminal has spoken with its token.
func (s *Store) SeeTerminal(ctx context.Context, t idp.Terminal, at time.Time) error {
	if at.Sub(t.LastSeenAt) < SeenEvery {
		return nil
	}
	return s.exec(ctx, "UPDATE terminals SET last_seen_at = ? WHERE id = ? AND last_seen_at <= ?", micros(at), t.ID, micros(at.Add(-SeenEvery)))
}

type deviceRow struct {
	ID           string `gorm:"primaryKey"`
	DeviceHash   []byte
	UserCodeMAC  []byte `gorm:"column:user_code_mac"`
	ClientID     string
	TerminalID   string
	Asker        []byte
	Scopes       string
	MatchNumber  int
	Choices      string
	State        string
	GrantID      string
	Network      string
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
	ExpiresAt    int64
	PollInterval int64
	NextPollAt   int64
	WasState     string
	TooSoon      bool
	KeyJKT       string `gorm:"column:key_jkt"`
	Software     string
}

func (deviceRow) TableName() string { return "device_requests" }

func toDevice(r deviceRow) (idp.DeviceRequest, error) {
	d := idp.DeviceRequest{ID: r.ID, ClientID: r.ClientID, TerminalID: r.TerminalID, Match: r.MatchNumber, State: idp.DeviceState(r.State), GrantID: r.GrantID,
		Key: r.KeyJKT, Software: r.Software, Network: r.Network, CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt)}
	if err := json.Unmarshal([]byte(r.Scopes), &d.Scopes); err != nil {
		return d, err
	}
	return d, json.Unmarshal([]byte(r.Choices), &d.Choices)
}

func (s *Store) userCodeMAC(code string) []byte { return s.ring.MAC("device.user_code", []byte(code)) }

// CreateDeviceRequest stores a device authorization request. deviceHash is the
// SHA-256 of the device code, userCode the eight normalised letters. A named
// terminal has one pending request a network, and one a key: its older one is denied.
// Any other stays, for a serial number is no secret and proves nothing: else anybody
// could keep a terminal from signing in.
func (s *Store) CreateDeviceRequest(ctx context.Context, d *idp.DeviceRequest, deviceHash []byte, userCode string, interval time.Duration) error {
	d.ID, d.State = idp.NewID(), idp.DevicePending
	asker := s.ring.MAC("device.asker", []byte(d.Asker))
	return s.Tx(ctx, func(ctx context.Context) error {
		if d.TerminalID != "" {
			err := s.exec(ctx, "UPDATE device_requests SET state = ? WHERE terminal_id = ? AND state = ? AND (asker = ? OR key_jkt <> '' AND key_jkt = ?)",
				string(idp.DeviceDenied), d.TerminalID, string(idp.DevicePending), asker, d.Key)
			if err != nil {
				return err
			}
		}
		err := s.db(ctx).Create(&deviceRow{ID: d.ID, DeviceHash: deviceHash, UserCodeMAC: s.userCodeMAC(userCode), ClientID: d.ClientID, TerminalID: d.TerminalID,
			Asker: asker, Scopes: asJSON(d.Scopes), MatchNumber: d.Match, Choices: asJSON(d.Choices), State: string(d.State), Network: d.Network,
			CreatedAt: micros(d.CreatedAt), ExpiresAt: micros(d.ExpiresAt), PollInterval: interval.Microseconds(), NextPollAt: micros(d.CreatedAt),
			KeyJKT: d.Key, Software: d.Software}).Error
		return taken(err, "user_code", "error.conflict")
	})
}

// DeviceRequestByUserCode returns a live pending request by its normalised user code.
func (s *Store) DeviceRequestByUserCode(ctx context.Context, code string, now time.Time) (idp.DeviceRequest, error) {
	var r deviceRow
	err := s.db(ctx).Where("user_code_mac = ? AND expires_at > ? AND state = ?", s.userCodeMAC(code), micros(now), string(idp.DevicePending)).Take(&r).Error
	if err != nil {
		return idp.DeviceRequest{}, notFound(err)
	}
	return toDevice(r)
}

// DecideDeviceRequest approves (with a grant) or denies a pending live request;
// false when it was decided, expired or replaced before. An approval denies what else
// is pending for the same terminal.
func (s *Store) DecideDeviceRequest(ctx context.Context, id string, to idp.DeviceState, grant string, now time.Time) (decided bool, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		n, err := s.affected(ctx, "UPDATE device_requests SET state = ?, grant_id = ? WHERE id = ? AND state = ? AND expires_at > ?",
			string(to), grant, id, string(idp.DevicePending), micros(now))
		decided = n == 1
		if err != nil || !decided || to != idp.DeviceApproved {
			return err
		}
		return s.exec(ctx, "UPDATE device_requests SET state = ? WHERE state = ? AND terminal_id <> '' AND terminal_id = (SELECT terminal_id FROM device_requests WHERE id = ?)",
			string(idp.DeviceDenied), string(idp.DevicePending), id)
	})
	return decided, err
}

// Poll is what one poll of a device found.
type Poll struct {
	Request idp.DeviceRequest
	TooSoon bool // before the interval was over; the interval has grown (RFC 8628 3.5)
}

// PollDevice counts one poll of a device by one statement: it moves the time of
// the next poll, grows the interval of an impatient device, and turns an approved
// request into a redeemed one, which only one poll can. The request is returned as
// it stood before; a poll that came too soon redeems nothing, and for any other client or
// key there is no such request.
func (s *Store) PollDevice(ctx context.Context, deviceHash []byte, client, key string, now time.Time, slowDown time.Duration) (p Poll, err error) {
	var r deviceRow
	err = s.Tx(ctx, func(ctx context.Context) error {
		// Every right-hand side sees the row as it was before the statement.
		return s.db(ctx).Raw(`UPDATE device_requests SET was_state = state, too_soon = (state = 'pending' AND next_poll_at > @now),
			poll_interval = CASE WHEN state = 'pending' AND next_poll_at > @now THEN poll_interval + @slow ELSE poll_interval END,
			next_poll_at = CAST(@now AS bigint) + CASE WHEN state = 'pending' AND next_poll_at > @now THEN poll_interval + @slow ELSE poll_interval END,
			state = CASE WHEN state = 'approved' AND expires_at > @now THEN 'redeemed' ELSE state END
			WHERE device_hash = @hash AND client_id = @client AND key_jkt = @key
			RETURNING id, client_id, terminal_id, scopes, match_number, choices, was_state, too_soon, grant_id, network, created_at, expires_at, key_jkt, software`,
			map[string]any{"now": micros(now), "slow": slowDown.Microseconds(), "hash": deviceHash, "client": client, "key": key}).Scan(&r).Error
	})
	if err != nil {
		return p, err
	}
	if r.ID == "" {
		return p, idp.Errorf(idp.NotFound, "error.notfound")
	}
	r.State = r.WasState
	p.TooSoon = r.TooSoon
	p.Request, err = toDevice(r)
	return p, err
}

// DenyTerminalRequests denies what a terminal asks and has not yet fetched: its
// next poll hears access_denied (RFC 8628 3.5).
func (s *Store) DenyTerminalRequests(ctx context.Context, terminal string) error {
	return s.exec(ctx, "UPDATE device_requests SET state = ? WHERE terminal_id = ? AND state IN (?, ?)",
		string(idp.DeviceDenied), terminal, string(idp.DevicePending), string(idp.DeviceApproved))
}

// DenyMerchantRequests is DenyTerminalRequests for all terminals of a merchant.
func (s *Store) DenyMerchantRequests(ctx context.Context, merchant string) error {
	return s.exec(ctx, "UPDATE device_requests SET state = ? WHERE terminal_id IN (SELECT id FROM terminals WHERE merchant_id = ?) AND state IN (?, ?)",
		string(idp.DeviceDenied), merchant, string(idp.DevicePending), string(idp.DeviceApproved))
}
