package session

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/seal"
)

// browserPlace binds the sealed entries of the cookie to their purpose.
var browserPlace = seal.Place{Table: "cookie", Column: "known-browser", Row: "entry"}

// browserEntries is how many people one browser is known for.
const browserEntries = 5

// entry is what the cookie says of one person in this browser.
type entry struct {
	User       string `json:"u"`
	Row        string `json:"r"`
	Generation int64  `json:"g"`
}

// entries opens the cookie; anything broken in it is left out.
func (m *Manager) entries(r *http.Request) []entry {
	var out []entry
	for i, part := range strings.Split(m.read(r, browserCookie), ".") {
		if i == browserEntries {
			break
		}
		sealed, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || part == "" {
			continue
		}
		plain, err := m.Ring.Open(browserPlace, sealed)
		if err != nil {
			continue
		}
		var e entry
		if json.Unmarshal(plain, &e) == nil {
			out = append(out, e)
		}
	}
	return out
}

// Asker names the browser of a request for flood limits, "" for a stranger's: only a
// sealed cookie that opens names it, so nobody else can use its share up.
func (m *Manager) Asker(r *http.Request) string {
	if all := m.entries(r); len(all) > 0 {
		return "b:" + all[0].Row
	}
	return ""
}

// Known returns the row by which this browser is known for a user, nil for a
// stranger. A generation older than the one before shows a copied cookie: the row
// is revoked and its owner is told.
func (m *Manager) Known(ctx context.Context, r *http.Request, user string) (*idp.Browser, error) {
	all := m.entries(r)
	i := slices.IndexFunc(all, func(e entry) bool { return e.User == user })
	if i < 0 {
		return nil, nil
	}
	b, copied, err := m.row(ctx, all[i])
	if err != nil || b == nil || !copied {
		return b, err
	}
	return nil, m.Store.Tx(ctx, func(ctx context.Context) error {
		if ok, err := m.Store.RevokeBrowser(ctx, b.ID); err != nil || !ok {
			return err
		}
		if err := m.Store.Append(ctx, idp.Event{Name: "browser.copied", Subject: user, Network: m.Network(ctx), Data: map[string]any{"browser": b.ID}}); err != nil {
			return err
		}
		return m.Copied(ctx, user)
	})
}

// row is the live row that an entry names, nil for none. copied: the entry is of an older
// generation than the one before.
func (m *Manager) row(ctx context.Context, e entry) (row *idp.Browser, copied bool, err error) {
	b, err := m.Store.Browser(ctx, e.Row)
	if err != nil {
		if idp.KindOf(err) == idp.NotFound {
			err = nil
		}
		return nil, false, err
	}
	now, p := time.Now(), m.Policy.Now().Browsers
	if b.UserID != e.User || now.Sub(b.LastUsedAt) > p.Life {
		return nil, false, nil
	}
	before := e.Generation == b.Generation-1 && now.Sub(b.MovedAt) <= p.PreviousGeneration
	return &b, e.Generation != b.Generation && !before, nil
}

// Here lists by their ids the people whom this browser is known for, in the order of its
// cookie: the last who signed in first. "" is one whom it is known for no more. It only
// looks: a copied mark is found out when its person signs in.
func (m *Manager) Here(ctx context.Context, r *http.Request) (users []string, err error) {
	for _, e := range m.entries(r) {
		b, copied, err := m.row(ctx, e)
		if err != nil {
			return nil, err
		}
		if b == nil || copied {
			e.User = ""
		}
		users = append(users, e.User)
	}
	return users, nil
}

// Remember makes this browser known for a user after a sign-in that met policy in
// full, or moves its generation on, inside the caller's transaction. known is what
// Known returned; fresh says that the browser was a stranger's until now.
func (m *Manager) Remember(ctx context.Context, r *http.Request, u idp.User, known *idp.Browser) (b idp.Browser, fresh bool, err error) {
	now := time.Now()
	if known != nil {
		ok, err := m.Store.MoveBrowser(ctx, known.ID, known.Generation, m.Network(ctx), now)
		if err != nil {
			return b, false, err
		}
		if ok {
			b = *known
			b.Generation++
			return b, false, nil
		}
		b, err = m.Store.Browser(ctx, known.ID) // another sign-in of this browser moved it: the older mark would pass for a copy
		return b, false, err
	}
	b = idp.Browser{UserID: u.ID, Label: m.Device(r), Network: m.Network(ctx)}
	if err := m.Store.CreateBrowser(ctx, &b); err != nil {
		return b, false, err
	}
	if err := m.Store.TrimBrowsers(ctx, u.ID, m.Policy.Now().Browsers.Most); err != nil {
		return b, false, err
	}
	return b, true, m.Store.Append(ctx, idp.Event{Name: "browser.known", Actor: u.ID, Subject: u.ID, Merchant: u.MerchantID, Network: m.Network(ctx), Data: map[string]any{"browser": b.ID}})
}

// SetBrowserCookie writes the entry of a known browser into the cookie, newest first.
func (m *Manager) SetBrowserCookie(w http.ResponseWriter, r *http.Request, b idp.Browser) error {
	all := []entry{{User: b.UserID, Row: b.ID, Generation: b.Generation}}
	for _, e := range m.entries(r) {
		if e.User != b.UserID && len(all) < browserEntries {
			all = append(all, e)
		}
	}
	parts := make([]string, 0, len(all))
	for _, e := range all {
		plain, err := json.Marshal(e)
		if err != nil {
			return err
		}
		sealed, err := m.Ring.Seal(browserPlace, plain)
		if err != nil {
			return err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(sealed))
	}
	http.SetCookie(w, m.cookie(browserCookie, strings.Join(parts, "."), m.Policy.Now().Browsers.Life))
	return nil
}
