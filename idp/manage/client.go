package manage

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"hufu/idp"
)

// NewClient is the form of a new OAuth client.
type NewClient struct {
	ID, Name     string
	Confidential bool
	Redirects    []string
	PostLogout   []string
	Scopes       []string
	Grants       []string
}

// GrantTypes lists the grant types that a client may be given.
var GrantTypes = []string{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"}

// Bounds of what one client may list.
const listMax, uriMax = 20, 512

// CreateClient registers a client. A confidential one gets a secret, which waits for who
// asked for the client.
func (m *Manager) CreateClient(ctx context.Context, a Actor, in NewClient) (c idp.Client, secret idp.Secret, err error) {
	var bad checks
	bad.add(a.allow(ClientNew))
	c.ID = strings.TrimSpace(in.ID)
	if !clientID(c.ID) {
		bad.add(idp.FieldError("id", "error.client_id"))
	}
	bad.add(in.read(&c))
	bad.add(grants(c, in.Confidential))
	if err := bad.err(); err != nil {
		return idp.Client{}, "", err
	}
	kind := "public"
	if in.Confidential {
		secret, kind = newSecret(&c, false), "confidential"
	}
	err = m.perform(ctx, a, deed{act: ClientNew, object: c.ID, input: in}, func(ctx context.Context) ([]idp.Difference, error) {
		if err := m.Store.CreateClient(ctx, &c); err != nil {
			return nil, err
		}
		changes := append([]idp.Difference{{Field: "client_id", New: []string{c.ID}}, {Field: "kind", New: []string{kind}}}, clientChanges(idp.Client{}, c)...)
		return changes, m.record(ctx, a, idp.Event{Name: "client.created", Client: c.ID, Data: map[string]any{"scopes": c.Scopes, "grants": c.Grants, "redirects": c.Redirects}})
	})
	if err != nil {
		return c, "", err
	}
	a.hand(secret)
	return c, secret, nil
}

// read takes over what may also be changed later.
func (in NewClient) read(c *idp.Client) error {
	var bad checks
	var err error
	c.Redirects, c.PostLogout, c.Scopes, c.Grants = tidy(in.Redirects), tidy(in.PostLogout), tidy(in.Scopes), tidy(in.Grants)
	c.Name, err = name("name", in.Name, 60)
	bad.add(err)
	bad.add(uris("redirects", c.Redirects))
	bad.add(uris("post_logout", c.PostLogout))
	bad.add(scopes(c.Scopes))
	return bad.err()
}

// clientChanges are the fields that are not alike.
func clientChanges(was, c idp.Client) (list []idp.Difference) {
	for _, f := range []struct {
		name     string
		was, now []string
	}{{"label", tidy([]string{was.Name}), tidy([]string{c.Name})}, {"grants", was.Grants, c.Grants}, {"scopes", was.Scopes, c.Scopes}, {"redirects", was.Redirects, c.Redirects}, {"post_logout", was.PostLogout, c.PostLogout}} {
		if !slices.Equal(f.was, f.now) {
			list = append(list, idp.Difference{Field: f.name, Old: f.was, New: f.now})
		}
	}
	return list
}

// ChangedClient is the form of a change: Seen is the version of the client that the actor
// decided on.
type ChangedClient struct {
	NewClient
	Seen int64
}

// ChangeClient gives a client another name, addresses, scopes or grant types. Its id and
// whether it keeps a secret stay.
func (m *Manager) ChangeClient(ctx context.Context, a Actor, in ChangedClient) error {
	var c idp.Client
	var bad checks
	bad.add(a.allow(ClientChange))
	bad.add(in.read(&c))
	if err := bad.err(); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: ClientChange, object: in.ID, input: in}, func(ctx context.Context) ([]idp.Difference, error) {
		was, err := m.Store.ClientNow(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if err := grants(c, !was.Public()); err != nil {
			return nil, err
		}
		c.ID, c.Version = in.ID, in.Seen
		changes := clientChanges(was, c)
		if len(changes) == 0 {
			return nil, idp.Errorf(idp.Conflict, "error.same")
		}
		if ok, err := m.Store.SaveClient(ctx, c); err != nil || !ok {
			return nil, orMoved(err)
		}
		return changes, m.record(ctx, a, idp.Event{Name: "client.changed", Client: c.ID, Data: map[string]any{"changes": changes}})
	})
}

// newSecret gives a client 256 random bits in letters that need no encoding in
// HTTP Basic (RFC 6749 2.3.1), keeping the newest of its old ones if told to.
func newSecret(c *idp.Client, keep bool) idp.Secret {
	text := idp.NewToken()
	sum := sha256.Sum256([]byte(text))
	hashes := [][]byte{sum[:]}
	if keep && len(c.SecretHashes) > 0 {
		hashes = append(hashes, c.SecretHashes[0])
	}
	c.SecretHashes = hashes
	return idp.Secret(text)
}

// NewSecret is the form of another secret. Keep lets the one before work on until the next
// change, so that a change needs no standstill. Seen is the version of the client that the
// actor decided on: if somebody changed the client since, nothing happens, and the secret
// that he gave out goes on working.
type NewSecret struct {
	ID   string
	Seen int64
	Keep bool
}

// NewClientSecret gives a confidential client another secret, which waits for who asked.
func (m *Manager) NewClientSecret(ctx context.Context, a Actor, in NewSecret) (secret idp.Secret, err error) {
	if err := a.allow(ClientSecret); err != nil {
		return "", err
	}
	err = m.perform(ctx, a, deed{act: ClientSecret, object: in.ID, input: in}, func(ctx context.Context) ([]idp.Difference, error) {
		c, err := m.Store.ClientNow(ctx, in.ID) // memory may still hold a secret that was taken away
		if err != nil {
			return nil, err
		}
		if c.Public() {
			return nil, idp.Errorf(idp.Conflict, "error.public_client")
		}
		secret = newSecret(&c, in.Keep)
		if ok, err := m.Store.SetClientSecrets(ctx, in.ID, in.Seen, c.SecretHashes); err != nil || !ok {
			return nil, orMoved(err)
		}
		old := "void"
		if in.Keep {
			old = "kept"
		}
		return []idp.Difference{{Field: "old_secret", New: []string{old}}}, m.record(ctx, a, idp.Event{Name: "client.secret", Client: in.ID, Data: map[string]any{"old_kept": in.Keep}})
	})
	if err != nil {
		return "", err
	}
	a.hand(secret)
	return secret, nil
}

// DisableClient stops a client: no token is issued to it, and refreshes are refused.
func (m *Manager) DisableClient(ctx context.Context, a Actor, id string) error {
	return m.setClient(ctx, a, id, ClientDisable, true, "client.disabled")
}

// EnableClient lets a client work again.
func (m *Manager) EnableClient(ctx context.Context, a Actor, id string) error {
	return m.setClient(ctx, a, id, ClientEnable, false, "client.enabled")
}

func (m *Manager) setClient(ctx context.Context, a Actor, id string, act Action, disabled bool, event string) error {
	if err := a.allow(act); err != nil {
		return err
	}
	return m.perform(ctx, a, deed{act: act, object: id}, func(ctx context.Context) ([]idp.Difference, error) {
		if _, err := m.Store.Client(ctx, id); err != nil {
			return nil, err
		}
		if ok, err := m.Store.SetClientDisabled(ctx, id, disabled); err != nil || !ok {
			return nil, orMoved(err)
		}
		states := []string{"enabled", "disabled"}
		if !disabled {
			slices.Reverse(states)
		}
		return turned(states[0], states[1]), m.record(ctx, a, idp.Event{Name: event, Client: id})
	})
}

// turned is the change of a state.
func turned[S ~string](from, to S) []idp.Difference {
	return []idp.Difference{{Field: "state", Old: []string{string(from)}, New: []string{string(to)}}}
}

// tidy trims a list and drops what is empty or said twice.
func tidy(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// clientID: lower-case letters, digits, dot, dash, underscore; a letter first, so
// that it is safe wherever it is printed, logged or put into a URL.
func clientID(id string) bool {
	return len(id) >= 3 && len(id) <= 64 && id[0] >= 'a' && id[0] <= 'z' && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

func uris(field string, list []string) error {
	if len(list) > listMax {
		return idp.FieldError(field, "error.too_many", listMax)
	}
	for _, s := range list {
		if !RedirectURI(s) {
			return idp.FieldError(field, "error.redirect", s)
		}
	}
	return nil
}

// RedirectURI says whether a URI may be registered: absolute https, or http on a
// loopback address (RFC 8252 7.3); no fragment (RFC 6749 3.1.2), no wildcard, no
// user name. It is compared as a string later, so it must be printable ASCII.
func RedirectURI(s string) bool {
	if len(s) > uriMax || strings.ContainsAny(s, "*#\\\"'<> ") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Hostname() == "" || u.Opaque != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// scopes holds each scope to the alphabet of RFC 6749 3.3.
func scopes(list []string) error {
	if len(list) == 0 {
		return idp.FieldError("scopes", "error.empty")
	}
	if len(list) > listMax {
		return idp.FieldError("scopes", "error.too_many", listMax)
	}
	for _, s := range list {
		if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return idp.FieldError("scopes", "error.scope", s)
		}
	}
	return nil
}

func grants(c idp.Client, confidential bool) error {
	for _, g := range c.Grants {
		if !slices.Contains(GrantTypes, g) {
			return idp.FieldError("grants", "error.choose")
		}
	}
	switch {
	case len(c.Grants) == 0 || len(c.Grants) == 1 && c.May("refresh_token"):
		return idp.FieldError("grants", "error.choose")
	case c.May("client_credentials") && !confidential: // RFC 6749 4.4
		return idp.FieldError("grants", "error.needs_secret")
	case c.May("authorization_code") && len(c.Redirects) == 0:
		return idp.FieldError("redirects", "error.empty")
	}
	return nil
}
