package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"hufu/idp"
)

// SMTP sends mail by a submission server.
type SMTP struct {
	Host     string
	Port     int
	User     string // "": no authentication
	Password idp.Secret
	From     *mail.Address
	TLS      TLSMode
	Config   *tls.Config // nil: the system's roots
}

// TLSMode is how the connection is protected.
type TLSMode string

const (
	STARTTLS TLSMode = "starttls" // demanded, never only tried
	TLS      TLSMode = "tls"      // from the first byte
	NoTLS    TLSMode = "none"     // loopback hosts only
)

const smtpMost = 15 * time.Second

// Send hands a mail over; the receipt is what the server said when it took it.
func (s *SMTP) Send(ctx context.Context, m idp.Message) (string, error) {
	msg, err := s.message(m)
	if err != nil {
		return "", Permanent(nil, Address)
	}
	client, err := s.client()
	if err != nil {
		return "", Passing(err, Refused)
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", dialTrouble(err)
	}
	err = client.SendWithSMTPClient(conn, msg)
	_ = client.CloseWithSMTPClient(conn)
	if !msg.IsDelivered() { // once the server has taken the mail, a bad farewell changes nothing
		return "", smtpTrouble(err)
	}
	return msg.ServerResponse(), nil
}

func (s *SMTP) client() (*gomail.Client, error) {
	if s.TLS == NoTLS && !Loopback(s.Host) {
		return nil, errors.New("smtp: no TLS to another machine")
	}
	conf := s.Config.Clone()
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conf.ServerName = s.Host
	opts := []gomail.Option{gomail.WithPort(s.Port), gomail.WithTimeout(smtpMost), gomail.WithTLSConfig(conf), gomail.WithTLSPolicy(gomail.TLSMandatory)}
	switch s.TLS {
	case TLS:
		opts = append(opts, gomail.WithSSL())
	case NoTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.User != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User), gomail.WithPassword(s.Password.Reveal()))
	}
	return gomail.NewClient(s.Host, opts...)
}

func (s *SMTP) message(m idp.Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	msg.FromMailAddress(s.From)
	if err := msg.To(m.To); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(s.From.Address, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain) // the same for every try
	msg.SetDateWithValue(m.CreatedAt)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes, please
	msg.SetGenHeader(gomail.HeaderContentLang, m.Language)
	msg.Subject(m.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, m.Body)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// dialTrouble sorts what went wrong before the recipient was named.
func dialTrouble(err error) error {
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		words := Unreachable
		if e.Code == 530 || e.Code == 534 || e.Code == 535 || e.Code == 538 { // RFC 4954
			words = Credentials
		}
		return &Trouble{Words: words, Code: strconv.Itoa(e.Code), Err: err}
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return Passing(nil, Timeout)
	}
	return Passing(err, Unreachable)
}

// smtpTrouble sorts what a server answered. Its text may quote the recipient and is
// not kept.
func smtpTrouble(err error) error {
	e, ok := errors.AsType[*gomail.SendError](err)
	if !ok || e.ErrorCode() == 0 {
		return Passing(nil, Unreachable)
	}
	code := e.EnhancedStatusCode()
	if code == "" {
		code = strconv.Itoa(e.ErrorCode())
	}
	t := &Trouble{Words: Refused, Code: code, Final: e.ErrorCode()/100 == 5}
	switch {
	case e.Reason == gomail.ErrSMTPRcptTo && t.Final:
		t.Words = Address
	case e.Reason == gomail.ErrSMTPMailFrom: // about us: an operator can put it right
		t.Words, t.Final = Credentials, false
	}
	return t
}
