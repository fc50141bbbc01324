package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hufu/idp/notify"
)

func TestSendersAreValidated(t *testing.T) {
	mail := MailConfig{Host: "smtp.example.com", Port: 587, From: "示范收单 <no-reply@example.com>", TLS: "starttls"}
	sms := SMSConfig{KeyID: "id", KeySecret: "0123456789abcdef", SignName: "虎符", Templates: "t", AppID: "1", Region: "ap-guangzhou", URL: "https://sms.example.com", Secret: "hunter2", File: "f"}
	hash := strings.Repeat("A", 43)
	for _, c := range []struct {
		name, field, value, want string
		edit                     func(*Config)
	}{
		{"mail", "", "", "", func(c *Config) {}},
		{"mail host", "mail.host", "a b", "a host", func(c *Config) { c.Mail.Host = "a b" }},
		{"mail port", "mail.port", "0", "a port", func(c *Config) { c.Mail.Port = 0 }},
		{"mail from", "mail.from", "", "an address", func(c *Config) { c.Mail.From = "" }},
		{"mail password", "mail.password", "", "because mail.user is set", func(c *Config) { c.Mail.User = "hufu" }},
		{"mail tls", "mail.tls", "ssl", "starttls, tls or none", func(c *Config) { c.Mail.TLS = "ssl" }},
		{"mail in the clear", "mail.tls", "none", "because mail.host is another machine", func(c *Config) { c.Mail.TLS = "none" }},
		{"mail to this machine", "", "", "", func(c *Config) { c.Mail.TLS, c.Mail.Host = "none", "127.0.0.1" }},
		{"no mail", "", "", "", func(c *Config) { c.Mail = MailConfig{} }},
		{"sender", "sms.sender", "twilio", "alibaba, tencent", func(c *Config) { c.SMS.Sender = "twilio" }},
		{"alibaba", "", "", "", func(c *Config) { c.SMS.Sender = "alibaba" }},
		{"tencent", "sms.app_id", "", "because sms.sender is tencent", func(c *Config) { c.SMS.Sender, c.SMS.AppID = "tencent", "" }},
		{"https", "sms.secret", "", "because sms.sender is https", func(c *Config) { c.SMS.Sender, c.SMS.Secret = "https", "" }},
		{"https in the clear", "sms.url", "http://sms.example.com", "https; http is for loopback", func(c *Config) { c.SMS.Sender, c.SMS.URL = "https", "http://sms.example.com" }},
		{"weak key", "sms.key_secret", "", "16 characters", func(c *Config) { c.SMS.Sender, c.SMS.KeySecret = "https", "hunter2" }},
		{"file", "sms.file", "", "because sms.sender is file", func(c *Config) { c.SMS.Sender, c.SMS.File = "file", "" }},
		{"passkeys", "", "", "", func(c *Config) {
			c.WebAuthn = WebAuthnConfig{ID: "example.com", Origins: []string{"https://a.example.com", "http://localhost:8080"}, AndroidKeyHashes: []string{hash}}
		}},
		{"passkey id", "webauthn.id", "https://example.com", "a host", func(c *Config) { c.WebAuthn.ID = "https://example.com" }},
		{"passkey origin", "webauthn.origins", "https://a.example.com/", "origins such as", func(c *Config) { c.WebAuthn.Origins = []string{"https://a.example.com/"} }},
		{"passkey origin in the clear", "webauthn.origins", "http://a.example.com", "origins such as", func(c *Config) { c.WebAuthn.Origins = []string{"http://a.example.com"} }},
		{"passkey app", "webauthn.android_key_hashes", "AA:BB", "base64url", func(c *Config) { c.WebAuthn.AndroidKeyHashes = []string{"AA:BB"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Defaults("data", false)
			cfg.Mail, cfg.SMS = mail, sms
			c.edit(&cfg)
			expectProblem(t, cfg, c.field, c.value, c.want)
		})
	}
}

func TestPasskeyAddresses(t *testing.T) {
	c := Defaults("data", false)
	c.Issuer = "https://id.example.com:8443"
	if c.RelyingParty() != "id.example.com" || !slices.Equal(c.PasskeyOrigins(), []string{c.Issuer}) {
		t.Errorf("%s, %v", c.RelyingParty(), c.PasskeyOrigins())
	}
	c.WebAuthn = WebAuthnConfig{ID: "example.com", Origins: []string{"https://a.example.com"}}
	if c.RelyingParty() != "example.com" || !slices.Equal(c.PasskeyOrigins(), []string{"https://a.example.com"}) {
		t.Errorf("%s, %v", c.RelyingParty(), c.PasskeyOrigins())
	}
}

// Files that are named and cannot be used are told one by one.
func TestFileProblems(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "templates")
	if err := os.WriteFile(good, []byte("code zh-CN SMS_1 code\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "none")
	c := Defaults(dir, false)
	if ps := c.FileProblems(); ps != nil {
		t.Error(ps)
	}
	for _, sender := range []string{"alibaba", "tencent"} {
		c.SMS = SMSConfig{Sender: sender, Templates: good}
		if ps := c.FileProblems(); ps != nil {
			t.Error(ps)
		}
	}
	c.SMS.Templates, c.Places.File, c.WebAuthn.Metadata, c.Password.BreachFile = missing, missing, missing, missing
	var fields []string
	for _, p := range c.FileProblems() {
		fields = append(fields, p.Field)
		if p.Value != missing || !strings.Contains(p.Want, "a file that can be used") {
			t.Error(p)
		}
	}
	if !slices.Equal(fields, []string{"sms.templates", "places.file", "webauthn.metadata", "passwords.breach_file"}) {
		t.Error(fields)
	}
	c = Defaults(dir, false)
	c.SMS = SMSConfig{Sender: "file", File: filepath.Join(missing, "x")}
	if ps := c.FileProblems(); len(ps) != 1 || ps[0].Field != "sms.file" {
		t.Error(ps)
	}
}

// In the demonstration world nothing is sent, whatever is configured.
func TestNothingIsSentInTheDemo(t *testing.T) {
	s := &Server{}
	c := Defaults(t.TempDir(), true)
	c.SMS = SMSConfig{Sender: "file", File: filepath.Join(t.TempDir(), "sms")}
	if d, err := s.deliverer(c); d != nil || err != nil {
		t.Error(d, err)
	}
	c.Demo = false
	d, err := s.deliverer(c)
	if err != nil || d.Mail != nil {
		t.Fatal(d, err)
	}
	if _, ok := d.SMS.(*notify.File); !ok {
		t.Errorf("%T", d.SMS)
	}
}
