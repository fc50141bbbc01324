package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
)

// A mailServer speaks as much SMTP as go-mail asks for.
type mailServer struct {
	t *testing.T
	net.Listener
	conf     *tls.Config
	implicit bool
	plain    bool              // offers no STARTTLS
	say      map[string]string // what it answers to a command, in place of yes

	mu   sync.Mutex
	auth string
	to   []string
	mail []string
}

func newMailServer(t *testing.T, implicit bool) (*mailServer, *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	parsed, _ := x509.ParseCertificate(der)
	roots.AddCert(parsed)
	s := &mailServer{t: t, conf: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, implicit: implicit, say: map[string]string{}}
	if s.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s, &tls.Config{RootCAs: roots}
}

func (s *mailServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if s.implicit {
		c = tls.Server(c, s.conf)
	}
	in, secure := bufio.NewReader(c), s.implicit
	say := func(lines ...string) { _, _ = io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n") }
	say("220 mail.test ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		if answer := s.say[verb]; answer != "" {
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			offer := "250-AUTH PLAIN LOGIN"
			if !secure && !s.plain {
				offer = "250-STARTTLS"
			}
			say("250-mail.test", offer, "250 ENHANCEDSTATUSCODES")
		case "STARTTLS":
			say("220 go")
			c, secure = tls.Server(c, s.conf), true
			in = bufio.NewReader(c)
		case "AUTH":
			s.keep(&s.auth, line)
			say("235 2.7.0 ok")
		case "RCPT":
			s.mu.Lock()
			s.to = append(s.to, line)
			s.mu.Unlock()
			say("250 2.1.5 ok")
		case "DATA":
			say("354 go")
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			if answer := s.say["."]; answer != "" {
				say(answer)
				continue
			}
			s.mu.Lock()
			s.mail = append(s.mail, text.String())
			s.mu.Unlock()
			say("250 2.0.0 queued as 4XYZ")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

func (s *mailServer) keep(field *string, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*field = value
}

func (s *mailServer) sender(conf *tls.Config, mode TLSMode) *SMTP {
	return &SMTP{Host: "localhost", Port: s.Addr().(*net.TCPAddr).Port, From: &mail.Address{Name: "示范收单", Address: "no-reply@id.example.com"}, TLS: mode, Config: conf}
}

var letter = idp.Message{ID: "0abc", Channel: idp.ChannelMail, To: "lin@example.com", Template: "frozen", Language: "zh-CN", Subject: "账户已冻结", Body: "您的账户\n.已冻结\n", HTML: "<p>您的账户</p>", CreatedAt: time.Unix(1_760_000_000, 0)}

func TestSMTP(t *testing.T) {
	for _, mode := range []TLSMode{STARTTLS, TLS, NoTLS} {
		server, conf := newMailServer(t, mode == TLS)
		s := server.sender(conf, mode)
		if mode != NoTLS {
			s.User, s.Password = "hufu", "pass word"
		}
		receipt, err := s.Send(t.Context(), letter)
		if err != nil || !strings.Contains(receipt, "4XYZ") {
			t.Fatalf("%s: %q, %v", mode, receipt, err)
		}
		if want := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00hufu\x00pass word")); mode != NoTLS && server.auth != want {
			t.Errorf("%s: %s", mode, server.auth)
		}
		if len(server.mail) != 1 || fmt.Sprint(server.to) != "[RCPT TO:<lin@example.com>]" {
			t.Fatalf("%s: to %v: %q", mode, server.to, server.mail)
		}
		checkMail(t, server.mail[0])
	}
}

func checkMail(t *testing.T, text string) {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Message-Id": "<0abc@id.example.com>", "Auto-Submitted": "auto-generated", "Subject": "账户已冻结", "Content-Language": "zh-CN", "From": `示范收单 <no-reply@id.example.com>`,
		"To": "<lin@example.com>", "List-Unsubscribe": ""} {
		got, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get(name))
		if err != nil || strings.ReplaceAll(got, `"`, "") != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if at, err := msg.Header.Date(); err != nil || !at.Equal(letter.CreatedAt) {
		t.Error(at, err)
	}
	kind, args, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	parts := multipart.NewReader(msg.Body, args["boundary"])
	for _, want := range []string{letter.Body, letter.HTML} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if got := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestSMTPRefusals(t *testing.T) {
	for _, c := range []struct {
		verb, answer, words string
		final               bool
	}{
		{"RCPT", "550 5.1.1 <lin@example.com>: user unknown", "address 5.1.1", true},
		{"RCPT", "450 4.2.1 <lin@example.com>: greylisted", "refused 4.2.1", false},
		{"MAIL", "553 5.7.1 sender not yours", "credentials 5.7.1", false},
		{".", "554 5.7.1 looks like spam for lin@example.com", "refused 5.7.1", true},
		{".", "451 4.3.0 later", "refused 4.3.0", false},
		{"AUTH", "535 5.7.8 wrong", "credentials 535", false},
		{"EHLO", "554 go away", "unreachable 554", false},
	} {
		server, conf := newMailServer(t, false)
		server.say[c.verb] = c.answer
		if c.verb == "EHLO" {
			server.say["HELO"] = c.answer
		}
		s := server.sender(conf, STARTTLS)
		s.User, s.Password = "hufu", "x"
		_, err := s.Send(t.Context(), letter)
		got := trouble(err)
		if got.Error() != c.words || got.Final != c.final || strings.Contains(fmt.Sprint(got.Err), "lin@") {
			t.Errorf("%s: %v final %v (%v), want %s", c.answer, got, got.Final, got.Err, c.words)
		}
	}
	server, conf := newMailServer(t, false)
	server.say["RSET"] = "421 4.3.2 shutting down"
	if _, err := server.sender(conf, STARTTLS).Send(t.Context(), letter); err != nil {
		t.Errorf("taken, and yet %v", err)
	}
}

// What is not protected, or not by whom it should be, is not used.
func TestSMTPDemandsTLS(t *testing.T) {
	server, conf := newMailServer(t, false)
	for what, s := range map[string]*SMTP{"a strange certificate": server.sender(nil, STARTTLS), "another name": server.sender(conf, STARTTLS)} {
		if what == "another name" {
			s.Host = "127.0.0.1"
		}
		if _, err := s.Send(t.Context(), letter); trouble(err).Words != Unreachable {
			t.Errorf("%s: %v", what, err)
		}
	}
	server.plain = true
	if _, err := server.sender(conf, STARTTLS).Send(t.Context(), letter); trouble(err).Words != Unreachable {
		t.Errorf("no STARTTLS: %v", err)
	}
	if len(server.mail) != 0 {
		t.Error("mail was sent in the clear")
	}
	far := server.sender(conf, NoTLS)
	far.Host = "mail.example.com"
	if _, err := far.Send(t.Context(), letter); err == nil {
		t.Error("no TLS to another machine")
	}
}
