package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"hufu/flows/factor/passkey"
	"hufu/idp/breach"
	"hufu/idp/notify"
	"hufu/idp/place"
	"hufu/idp/policy"
)

func (m MailConfig) problems() Problems {
	if m.Host == "" {
		return nil
	}
	var ps Problems
	check := func(ok bool, field, value, want string) {
		if !ok {
			ps = append(ps, Problem{Field: field, Value: value, Want: want})
		}
	}
	check(isHost(m.Host), "mail.host", m.Host, "a host, such as smtp.example.com")
	check(m.Port > 0 && m.Port < 1<<16, "mail.port", fmt.Sprint(m.Port), "a port, such as 587 or 465")
	_, err := mail.ParseAddress(m.From)
	check(err == nil, "mail.from", m.From, "an address, such as no-reply@example.com")
	check(m.User == "" || m.Password != "", "mail.password", "", "a password, because mail.user is set")
	switch notify.TLSMode(m.TLS) {
	case notify.STARTTLS, notify.TLS:
	case notify.NoTLS:
		check(notify.Loopback(m.Host), "mail.tls", m.TLS, "starttls or tls, because mail.host is another machine")
	default:
		check(false, "mail.tls", m.TLS, "starttls, tls or none")
	}
	return ps
}

// smsNeeds are the keys that each sender cannot do without.
var smsNeeds = map[string][]string{
	"alibaba": {"key_id", "key_secret", "sign_name", "templates"},
	"tencent": {"key_id", "key_secret", "sign_name", "templates", "app_id", "region"},
	"https":   {"url", "secret", "key_secret"},
	"file":    {"file"},
}

func (s SMSConfig) problems() Problems {
	if s.Sender == "" {
		return nil
	}
	needs, ok := smsNeeds[s.Sender]
	if !ok {
		return Problems{{Field: "sms.sender", Value: s.Sender, Want: "alibaba, tencent, https or file"}}
	}
	var ps Problems
	set := map[string]string{"key_id": s.KeyID, "key_secret": s.KeySecret.Reveal(), "sign_name": s.SignName, "templates": s.Templates, "app_id": s.AppID, "region": s.Region,
		"url": s.URL, "secret": s.Secret.Reveal(), "file": s.File}
	for _, key := range needs {
		if set[key] == "" {
			ps = append(ps, Problem{Field: "sms." + key, Want: "a value, because sms.sender is " + s.Sender})
		}
	}
	if s.URL != "" {
		if err := notify.CheckURL(s.URL); err != nil {
			ps = append(ps, Problem{Field: "sms.url", Value: s.URL, Want: strings.TrimPrefix(err.Error(), "expected ")})
		}
	}
	if key := s.KeySecret.Reveal(); s.Sender == "https" && key != "" && len(key) < 16 {
		ps = append(ps, Problem{Field: "sms.key_secret", Want: "at least 16 characters"})
	}
	return ps
}

func (c Config) webAuthnProblems() Problems {
	var ps Problems
	if id := c.WebAuthn.ID; id != "" && !isHost(id) {
		ps = append(ps, Problem{Field: "webauthn.id", Value: id, Want: "a host, such as example.com"})
	}
	for _, o := range c.WebAuthn.Origins {
		if !isOrigin(o) {
			ps = append(ps, Problem{Field: "webauthn.origins", Value: o, Want: "origins such as https://id.example.com, with commas between"})
		}
	}
	for _, h := range c.WebAuthn.AndroidKeyHashes {
		if b, err := base64.RawURLEncoding.DecodeString(h); err != nil || len(b) != 32 {
			ps = append(ps, Problem{Field: "webauthn.android_key_hashes", Value: h, Want: "SHA-256 in base64url, 43 characters each"})
		}
	}
	return ps
}

// isOrigin holds an origin to the one spelling that browsers send (RFC 6454).
func isOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || !isHost(u.Hostname()) || !isPort(u) {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// RelyingParty is the id of passkeys.
func (c Config) RelyingParty() string {
	if c.WebAuthn.ID != "" {
		return c.WebAuthn.ID
	}
	return issuerHost(c.Issuer)
}

// PasskeyOrigins are the sites that passkeys may be used at.
func (c Config) PasskeyOrigins() []string {
	if len(c.WebAuthn.Origins) == 0 {
		return []string{c.Issuer}
	}
	return c.WebAuthn.Origins
}

// FileProblems reports what is wrong with the files that the configuration names. It
// opens them as the start of the service would.
func (c Config) FileProblems() (ps Problems) {
	_, texts := c.textSender()
	_, places := c.places()
	_, metadata := c.metadata()
	leaked, breaches := c.breaches()
	_ = leaked.Close()
	for _, err := range []error{texts, places, metadata, breaches} {
		if problem, ok := errors.AsType[fileError](err); ok {
			ps = append(ps, Problem(problem))
		}
	}
	return ps
}

// fileError is a Problem with a file that a key names.
type fileError Problem

func (e fileError) Error() string { return "configuration: " + Problem(e).String() }

func usable(field, file string, err error) error {
	if err == nil {
		return nil
	}
	return fileError{Field: field, Value: file, Want: "a file that can be used: " + err.Error()}
}

func (c Config) places() (*place.DB, error) {
	if c.Places.File == "" {
		return nil, nil
	}
	db, err := place.Open(c.Places.File)
	return db, usable("places.file", c.Places.File, err)
}

// breaches are the leaked passwords of the operator's file, nil without one.
func (c Config) breaches() (*breach.File, error) {
	if c.Password.BreachFile == "" {
		return nil, nil
	}
	f, err := breach.Open(c.Password.BreachFile)
	return f, usable("passwords.breach_file", c.Password.BreachFile, err)
}

// PasswordLists are what new passwords are compared with; done ends the use of the file.
func (c Config) PasswordLists() (l policy.Lists, done func() error, err error) {
	l.Common = breach.Common{}
	f, err := c.breaches()
	if f != nil {
		l.Breach = f
	}
	return l, f.Close, err
}

// metadata tells of the makers of authenticators, nil without a file.
func (c Config) metadata() (*passkey.Metadata, error) {
	if c.WebAuthn.Metadata == "" {
		return nil, nil
	}
	m, err := passkey.LoadMetadata(c.WebAuthn.Metadata)
	return m, usable("webauthn.metadata", c.WebAuthn.Metadata, err)
}

// mailSender is nil when none is configured.
func (c Config) mailSender() (notify.Sender, error) {
	m := c.Mail
	if m.Host == "" {
		return nil, nil
	}
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		return nil, errors.New("mail.from is no address")
	}
	return &notify.SMTP{Host: m.Host, Port: m.Port, User: m.User, Password: m.Password, From: from, TLS: notify.TLSMode(m.TLS)}, nil
}

// textSender is nil when none is configured.
func (c Config) textSender() (notify.Sender, error) {
	s := c.SMS
	switch s.Sender {
	case "alibaba":
		t, err := notify.ReadTemplates(s.Templates)
		return &notify.Alibaba{KeyID: s.KeyID, Secret: s.KeySecret, SignName: s.SignName, Templates: t, URL: s.URL}, usable("sms.templates", s.Templates, err)
	case "tencent":
		t, err := notify.ReadTemplates(s.Templates)
		return &notify.Tencent{KeyID: s.KeyID, Secret: s.KeySecret, AppID: s.AppID, SignName: s.SignName, Region: s.Region, Templates: t, URL: s.URL}, usable("sms.templates", s.Templates, err)
	case "https":
		return &notify.Gateway{URL: s.URL, Bearer: s.Secret, Signing: s.KeySecret}, nil
	case "file":
		f := &notify.File{Name: s.File}
		return f, usable("sms.file", s.File, f.Check())
	}
	return nil, nil
}

// deliverer sends what waits in the outbox; nil in the demonstration world, where the
// tray shows it.
func (s *Server) deliverer(c Config) (*notify.Deliverer, error) {
	if c.Demo {
		return nil, nil
	}
	byMail, err := c.mailSender()
	if err != nil {
		return nil, err
	}
	byText, err := c.textSender()
	if err != nil {
		return nil, err
	}
	s.warnTemplates(byText)
	return &notify.Deliverer{Store: s.Store, Mail: byMail, SMS: byText, Log: s.log}, nil
}

// warnTemplates says which text messages the provider will not send.
func (s *Server) warnTemplates(sender notify.Sender) {
	var missing []string
	switch sender := sender.(type) {
	case *notify.Alibaba:
		missing = sender.Templates.Missing()
	case *notify.Tencent:
		missing = sender.Templates.Missing()
	}
	if len(missing) > 0 {
		s.log.Warn("text messages without an approved template will not be sent", "templates", missing)
	}
}
