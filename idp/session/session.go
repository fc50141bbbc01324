// Package session keeps a person signed in in a browser, and knows a browser
// again. It owns the cookies: the session (one row), the known browser (sealed
// entries, each with a row) and the binding of flows to their browser. It serves
// no route and draws no page.
//
// Invariants: [Manager.Begin] is the only function in the project that makes a
// session, and flows calls it in one place; a cookie's value is 256 random bits
// and only its hash is stored; the value changes at sign-in and at every step-up;
// a known browser is a throttle exemption, never a proof.
package session

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/sessions"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/seal"
	"hufu/storage"
)

// Manager reads and writes the cookies and rows of sessions.
type Manager struct {
	Store   *storage.Store
	Policy  *policy.Live
	Ring    *seal.Ring
	Secure  bool                                         // https: __Host- cookies
	Network func(ctx context.Context) string             // of the request, for rows and events
	Device  func(r *http.Request) (label string)         // class of browser, for display only
	Admit   func(r *http.Request) error                  // refuses who opens too many flows
	Copied  func(ctx context.Context, user string) error // tells him of a copied cookie, in the transaction that revokes its row
	Log     *slog.Logger
}

// Signed is a signed-in person, as one request sees him.
type Signed struct {
	Session  idp.Session
	User     idp.User
	Merchant *idp.Merchant // nil for operator staff
}

// Facts are what the rules of policy select the person by.
func (s *Signed) Facts() policy.Facts { return policy.Who(s.User, s.Merchant) }

// Hash is the stored form of a secret of 256 random bits.
func Hash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// Signed returns who is signed in in this browser, nil when nobody is. A person who
// was locked, disabled or left since, or whose merchant is closed, is nobody.
func (m *Manager) Signed(r *http.Request) (*Signed, error) {
	// The registry of gorilla keeps what was loaded for the rest of the request.
	s, err := sessions.GetRegistry(r).Get(cookieStore{m}, m.name(sessionCookie))
	if err != nil {
		return nil, err
	}
	signed, _ := s.Values[signedKey].(*Signed)
	return signed, nil
}

// load finds the session of a cookie value, nil when there is none.
func (m *Manager) load(ctx context.Context, token string) (*Signed, error) {
	now := time.Now()
	ss, err := m.Store.SessionByToken(ctx, Hash(token), now)
	if idp.KindOf(err) == idp.NotFound && err != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	signed := &Signed{Session: ss}
	if signed.User, err = m.Store.User(ctx, ss.UserID); err != nil {
		return nil, err
	}
	if signed.User.MerchantID != "" {
		merchant, err := m.Store.Merchant(ctx, signed.User.MerchantID)
		if err != nil {
			return nil, err
		}
		signed.Merchant = &merchant
	}
	if signed.User.Reason(now) != "" || signed.Merchant != nil && signed.Merchant.Gone(now, m.Policy.Now().Closing.Export) {
		return nil, nil
	}
	if !now.Before(ss.CreatedAt.Add(m.Policy.For(signed.Facts()).Session.Absolute)) { // stricter rules reach those who are signed in
		return nil, nil
	}
	return signed, m.see(ctx, signed, now)
}

// see pushes the idle end of a session on, at most once a minute.
func (m *Manager) see(ctx context.Context, s *Signed, now time.Time) error {
	if now.Sub(s.Session.LastSeenAt) < time.Minute {
		return nil
	}
	s.Session.LastSeenAt, s.Session.IdleUntil = now, now.Add(m.Policy.For(s.Facts()).Session.Idle)
	return m.Store.SeeSession(ctx, s.Session.ID, now, s.Session.IdleUntil)
}

// Begin makes a session of a person who met policy, inside the caller's
// transaction, and returns the value for its cookie. What was signed in in this
// browser before ends; so do the oldest sessions over the limit of policy.
func (m *Manager) Begin(ctx context.Context, r *http.Request, u idp.User, merchant *idp.Merchant, proofs []idp.Proof, browser string) (ss idp.Session, token string, err error) {
	now := time.Now()
	life := m.Policy.For(policy.Who(u, merchant)).Session
	if before, err := m.Signed(r); err != nil {
		return ss, "", err
	} else if before != nil {
		if err := m.End(ctx, before.User, before.Session.ID, "replaced"); err != nil {
			return ss, "", err
		}
	}
	live, err := m.Store.Sessions(ctx, u.ID, now)
	if err != nil {
		return ss, "", err
	}
	for i := life.Most - 1; i < len(live); i++ {
		if err := m.End(ctx, u, live[i].ID, "limit"); err != nil {
			return ss, "", err
		}
	}
	token = idp.NewToken()
	ss = idp.Session{UserID: u.ID, Proofs: proofs, Browser: browser, Device: m.Device(r), Network: m.Network(ctx), CreatedAt: now, LastSeenAt: now,
		IdleUntil: now.Add(life.Idle), ExpiresAt: now.Add(life.Absolute)}
	return ss, token, m.Store.CreateSession(ctx, &ss, Hash(token))
}

// Renew gives a session more proofs and a new cookie value, inside the caller's
// transaction.
func (m *Manager) Renew(ctx context.Context, ss idp.Session, proofs []idp.Proof) (token string, err error) {
	token = idp.NewToken()
	ok, err := m.Store.RenewSession(ctx, ss.ID, append(ss.Proofs, proofs...), Hash(token))
	if err == nil && !ok {
		err = idp.Errorf(idp.Expired, "error.expired")
	}
	return token, err
}

// SetCookie gives the browser the value of a session. The cookie lives as long as
// the browser's session: the row knows the real end.
func (m *Manager) SetCookie(w http.ResponseWriter, token string) {
	http.SetCookie(w, m.cookie(sessionCookie, token, 0))
}

// TakeCookie takes it back.
func (m *Manager) TakeCookie(w http.ResponseWriter) {
	http.SetCookie(w, m.cookie(sessionCookie, "", -1))
}

// End ends one session of a user with the grants that do not reach beyond it, and
// writes the event.
func (m *Manager) End(ctx context.Context, u idp.User, id, reason string) error {
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		ok, err := m.Store.EndSession(ctx, u.ID, id, reason, now)
		if err != nil || !ok {
			return err
		}
		if _, err := m.Store.EndSessionGrants(ctx, id, "session", now); err != nil {
			return err
		}
		return m.Store.Append(ctx, idp.Event{Name: "session.ended", Actor: u.ID, Subject: u.ID, Merchant: u.MerchantID, Session: id, Reason: reason, Network: m.Network(ctx)})
	})
}

// SignOut ends the session of this browser and takes its cookie back.
func (m *Manager) SignOut(ctx context.Context, w http.ResponseWriter, r *http.Request, reason string) error {
	signed, err := m.Signed(r)
	if err != nil {
		return err
	}
	if signed != nil {
		if err := m.End(ctx, signed.User, signed.Session.ID, reason); err != nil {
			return err
		}
	}
	m.TakeCookie(w)
	// What was begun here ends too: the next person at this browser meets nothing of it.
	if hash, ok := m.Binding(r); ok {
		if err := m.Store.DropFlows(ctx, hash); err != nil {
			return err
		}
		http.SetCookie(w, m.cookie(bindingCookie, "", -1))
	}
	return nil
}
