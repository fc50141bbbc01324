package storage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hufu/idp"
)

type grantRow struct {
	ID          string `gorm:"primaryKey"`
	UserID      string
	ClientID    string
	TerminalID  string
	SessionID   string
	Scopes      string
	Proofs      string
	AuthTime    int64
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ExpiresAt   int64
	EndedAt     int64
	EndedReason string
	KeyJKT      string `gorm:"column:key_jkt"`
}

func (grantRow) TableName() string { return "grants" }

func toGrant(r grantRow) (idp.Grant, error) {
	g := idp.Grant{ID: r.ID, UserID: r.UserID, ClientID: r.ClientID, TerminalID: r.TerminalID, SessionID: r.SessionID, Key: r.KeyJKT, AuthTime: fromMicros(r.AuthTime),
		CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt), EndedAt: fromMicros(r.EndedAt), EndedReason: r.EndedReason}
	return g, errors.Join(json.Unmarshal([]byte(r.Scopes), &g.Scopes), json.Unmarshal([]byte(r.Proofs), &g.Proofs))
}

// CreateGrant stores a grant under the id it carries, or a new one. Every grant has
// an end.
func (s *Store) CreateGrant(ctx context.Context, g *idp.Grant) error {
	if g.ExpiresAt.IsZero() {
		return errors.New("storage: a grant without an end")
	}
	if g.ID == "" {
		g.ID = idp.NewID()
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&grantRow{ID: g.ID, UserID: g.UserID, ClientID: g.ClientID, TerminalID: g.TerminalID, SessionID: g.SessionID, Scopes: asJSON(g.Scopes),
			Proofs: asJSON(g.Proofs), KeyJKT: g.Key, AuthTime: micros(g.AuthTime), CreatedAt: micros(g.CreatedAt), ExpiresAt: micros(g.ExpiresAt)}).Error
	})
}

// Grant returns a grant by id, ended or not.
func (s *Store) Grant(ctx context.Context, id string) (idp.Grant, error) {
	var r grantRow
	if err := s.db(ctx).Where("id = ?", id).Take(&r).Error; err != nil {
		return idp.Grant{}, notFound(err)
	}
	return toGrant(r)
}

// ExtendGrant gives a grant that has not been ended a new end, in the transaction
// that redeems it for the first time; false when somebody has ended it meanwhile.
func (s *Store) ExtendGrant(ctx context.Context, id string, until time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE grants SET expires_at = ? WHERE id = ? AND ended_at = 0", micros(until), id)
	return n == 1, err
}

// LimitGrants ends the oldest grants that a user has given the client and terminal
// of g, beside g itself, so that no more than most live, and returns their ids. Those
// that end by themselves before a time are not counted: nobody has redeemed them, or
// they are about to be gone.
func (s *Store) LimitGrants(ctx context.Context, g idp.Grant, most int, reason string, before, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`UPDATE grants SET ended_at = ?, ended_reason = ? WHERE ended_at = 0 AND id IN
			(SELECT id FROM grants WHERE user_id = ? AND ended_at = 0 AND expires_at > ? AND client_id = ? AND terminal_id = ? AND id <> ?
			ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET ?) RETURNING id`,
			micros(at), reason, g.UserID, micros(before), g.ClientID, g.TerminalID, g.ID, most-1).Scan(&ended).Error
	})
	return ended, err
}

// Grants lists the live grants of a user, newest first.
func (s *Store) Grants(ctx context.Context, user string) ([]idp.Grant, error) {
	var rows []grantRow
	if err := s.db(ctx).Where("user_id = ? AND ended_at = 0 AND expires_at > ?", user, micros(time.Now())).Order("created_at DESC, id").Limit(200).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toGrant)
}

// Parties loads everybody whose state a redemption of the grant looks at
// ([idp.Redeemable]).
func (s *Store) Parties(ctx context.Context, grant string) (p idp.Parties, err error) {
	if p.Grant, err = s.Grant(ctx, grant); err != nil {
		return p, err
	}
	if p.Client, err = s.Client(ctx, p.Grant.ClientID); err != nil {
		return p, err
	}
	if p.User, err = s.User(ctx, p.Grant.UserID); err != nil {
		return p, err
	}
	if p.User.MerchantID != "" {
		m, err := s.Merchant(ctx, p.User.MerchantID)
		if err != nil {
			return p, err
		}
		p.Merchant = &m
	}
	if p.Grant.TerminalID != "" {
		t, err := s.Terminal(ctx, p.Grant.TerminalID)
		if err != nil {
			return p, err
		}
		p.Terminal = &t
	}
	return p, nil
}

// GrantsProvedWith lists the live grants of a user that a credential has proved.
func (s *Store) GrantsProvedWith(ctx context.Context, user, credential string) ([]idp.Grant, error) {
	live, err := s.Grants(ctx, user)
	return slices.DeleteFunc(live, func(g idp.Grant) bool {
		return !slices.ContainsFunc(g.Proofs, func(p idp.Proof) bool { return p.Credential == credential })
	}), err
}

// SetGrantProofs replaces what stands behind a live grant.
func (s *Store) SetGrantProofs(ctx context.Context, id string, proofs []idp.Proof) error {
	return s.exec(ctx, "UPDATE grants SET proofs = ? WHERE id = ? AND ended_at = 0", asJSON(proofs), id)
}

// EndGrant ends a grant and with it all its tokens; false when it had ended.
func (s *Store) EndGrant(ctx context.Context, id, reason string, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE grants SET ended_at = ?, ended_reason = ? WHERE id = ? AND ended_at = 0", micros(at), reason, id)
	return n == 1, err
}

// endGrants ends the live grants of a user, of a terminal, or of a session
// (column user_id, terminal_id or session_id) and returns their ids. What has expired
// by itself, such as a grant whose code nobody redeemed, is left alone.
func (s *Store) endGrants(ctx context.Context, column, id, reason string, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw("UPDATE grants SET ended_at = ?, ended_reason = ? WHERE "+column+" = ? AND ended_at = 0 AND expires_at > ? RETURNING id",
			micros(at), reason, id, micros(at)).Scan(&ended).Error
	})
	return ended, err
}

// EndUserGrants ends all live grants of a user.
func (s *Store) EndUserGrants(ctx context.Context, user, reason string, at time.Time) ([]string, error) {
	return s.endGrants(ctx, "user_id", user, reason, at)
}

// EndTerminalGrants ends all live grants of a terminal.
func (s *Store) EndTerminalGrants(ctx context.Context, terminal, reason string, at time.Time) ([]string, error) {
	return s.endGrants(ctx, "terminal_id", terminal, reason, at)
}

// EndSessionGrants ends the live grants of a browser session that do not reach
// beyond it: those without offline_access.
func (s *Store) EndSessionGrants(ctx context.Context, session, reason string, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`UPDATE grants SET ended_at = ?, ended_reason = ? WHERE session_id = ? AND ended_at = 0 AND expires_at > ? AND scopes NOT LIKE '%"offline_access"%' RETURNING id`,
			micros(at), reason, session, micros(at)).Scan(&ended).Error
	})
	return ended, err
}

// EndMerchantGrants ends all live grants of a merchant's staff and terminals.
func (s *Store) EndMerchantGrants(ctx context.Context, merchant, reason string, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw(`UPDATE grants SET ended_at = ?, ended_reason = ? WHERE ended_at = 0 AND expires_at > ? AND (user_id IN (SELECT id FROM users WHERE merchant_id = ?)
			OR terminal_id IN (SELECT id FROM terminals WHERE merchant_id = ?)) RETURNING id`, micros(at), reason, micros(at), merchant, merchant).Scan(&ended).Error
	})
	return ended, err
}

// EndClientGrants ends the live grants that a user has given a client himself, at no
// terminal, and returns their ids.
func (s *Store) EndClientGrants(ctx context.Context, user, client, reason string, at time.Time) (ended []string, err error) {
	err = s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Raw("UPDATE grants SET ended_at = ?, ended_reason = ? WHERE user_id = ? AND client_id = ? AND terminal_id = '' AND ended_at = 0 AND expires_at > ? RETURNING id",
			micros(at), reason, user, client, micros(at)).Scan(&ended).Error
	})
	return ended, err
}

// GrantsUsed says when a token of each grant was last issued, by the grants' ids.
func (s *Store) GrantsUsed(ctx context.Context, grants []string) (map[string]time.Time, error) {
	var rows []struct {
		Family string
		At     int64
	}
	if err := s.db(ctx).Raw("SELECT family, max(created_at) AS at FROM tokens WHERE family IN ? GROUP BY family", grants).Scan(&rows).Error; err != nil {
		return nil, err
	}
	used := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		used[r.Family] = fromMicros(r.At)
	}
	return used, nil
}

// Consent is what a user has allowed a client to ask for.
type Consent struct {
	ClientID string
	Scopes   []string
	At       time.Time
}

// Consents lists what a user has allowed, by client.
func (s *Store) Consents(ctx context.Context, user string) ([]Consent, error) {
	var rows []struct {
		ClientID, Scopes string
		CreatedAt        int64
	}
	if err := s.db(ctx).Raw("SELECT client_id, scopes, created_at FROM consents WHERE user_id = ? ORDER BY client_id", user).Scan(&rows).Error; err != nil {
		return nil, err
	}
	all := make([]Consent, len(rows))
	for i, r := range rows {
		all[i] = Consent{ClientID: r.ClientID, At: fromMicros(r.CreatedAt)}
		if err := json.Unmarshal([]byte(r.Scopes), &all[i].Scopes); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// WithdrawConsent forgets what a user has allowed a client; false when it was nothing.
func (s *Store) WithdrawConsent(ctx context.Context, user, client string) (bool, error) {
	n, err := s.affected(ctx, "DELETE FROM consents WHERE user_id = ? AND client_id = ?", user, client)
	return n == 1, err
}
