package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ServerConfig loads the certificate and returns settings for a listener, or nil when none is configured. Later
// handshakes look for changed files, at most once a second; a pair that does not load leaves the one in use.
func (c TLSConfig) ServerConfig(log *slog.Logger) (*tls.Config, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	source := &certificate{cert: c.CertFile, key: c.KeyFile, log: log}
	stamp, err := source.stampFiles()
	if err == nil {
		err = source.load(stamp)
	}
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	oldest := uint16(tls.VersionTLS12)
	if c.MinVersion == "1.3" {
		oldest = tls.VersionTLS13
	}
	return &tls.Config{
		MinVersion:     oldest,
		GetCertificate: source.get,
		NextProtos:     []string{"h2", "http/1.1"},
		// For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 section 4.2).
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}, nil
}

// certificate is a key pair in two files that may change under us.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	seen    filesStamp // of the last pair tried, good or bad
	checked time.Time
}

// filesStamp tells one content of the two files from the next without reading them.
type filesStamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= time.Second {
		c.refresh()
	}
	return c.pair, nil
}

func (c *certificate) refresh() {
	c.checked = time.Now()
	stamp, err := c.stampFiles()
	if stamp == c.seen {
		return
	}
	if err == nil {
		err = c.load(stamp)
	}
	c.seen = stamp
	if err != nil {
		c.log.Error("certificate not reloaded, the old one stays in use", "error", err)
		return
	}
	c.log.Info("certificate reloaded", "cert_file", c.cert, "not_after", c.pair.Leaf.NotAfter)
}

// load takes the pair into use. The stamp was taken before the files are read: what changes meanwhile is seen next.
func (c *certificate) load(stamp filesStamp) error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.pair, c.seen, c.checked = &pair, stamp, time.Now()
	return nil
}

// stampFiles gives a missing file a zero stamp, which is also a change.
func (c *certificate) stampFiles() (filesStamp, error) {
	var s filesStamp
	cert, certErr := os.Stat(c.cert)
	if certErr == nil {
		s.certTime, s.certSize = cert.ModTime(), cert.Size()
	}
	key, keyErr := os.Stat(c.key)
	if keyErr == nil {
		s.keyTime, s.keySize = key.ModTime(), key.Size()
	}
	return s, errors.Join(certErr, keyErr)
}
