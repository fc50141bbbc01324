package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoCertificateMeansNoTLS(t *testing.T) {
	if cfg, err := (TLSConfig{}).ServerConfig(slog.New(slog.DiscardHandler)); cfg != nil || err != nil {
		t.Errorf("%v, %v", cfg, err)
	}
}

func TestTLSFilesMustLoadAtStart(t *testing.T) {
	dir := t.TempDir()
	files := writePair(t, dir, 1)
	log := slog.New(slog.DiscardHandler)
	for name, c := range map[string]TLSConfig{
		"missing": {CertFile: filepath.Join(dir, "no.pem"), KeyFile: files.KeyFile},
		"swapped": {CertFile: files.KeyFile, KeyFile: files.CertFile},
	} {
		if _, err := c.ServerConfig(log); err == nil || !strings.HasPrefix(err.Error(), "tls: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestCertificateIsReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		cfg, err := writePair(t, dir, 1).ServerConfig(slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		expectSerial := func(when string, want int64) {
			t.Helper()
			pair, err := cfg.GetCertificate(nil)
			if err != nil || pair.Leaf.SerialNumber.Int64() != want {
				t.Errorf("%s: serial %v, %v, want %d", when, pair.Leaf.SerialNumber, err, want)
			}
		}
		expectSerial("at start", 1)

		writePair(t, dir, 2)
		expectSerial("within the same second", 1)
		time.Sleep(time.Second)
		expectSerial("a second later", 2)

		cert := filepath.Join(dir, "cert.pem")
		if err := os.WriteFile(cert, []byte("half a certif"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(time.Second)
			expectSerial("with a broken file", 2)
		}
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expectSerial("with a missing file", 2)
		if n := strings.Count(log.String(), "not reloaded"); n != 2 {
			t.Errorf("%d complaints, want one a change:\n%s", n, &log)
		}

		writePair(t, dir, 3)
		time.Sleep(time.Second)
		expectSerial("with good files again", 3)
	})
}

func TestTLSVersions(t *testing.T) {
	files := writePair(t, t.TempDir(), 1)
	for _, c := range []struct {
		min    string
		client uint16
		ok     bool
	}{
		{"1.2", tls.VersionTLS11, false}, {"1.2", tls.VersionTLS12, true}, {"1.2", tls.VersionTLS13, true},
		{"1.3", tls.VersionTLS12, false}, {"1.3", tls.VersionTLS13, true},
	} {
		files.MinVersion = c.min
		cfg, err := files.ServerConfig(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := handshake(cfg, c.client); (err == nil) != c.ok {
			t.Errorf("min %s, client %s: %v", c.min, tls.VersionName(c.client), err)
		}
	}
}

func handshake(cfg *tls.Config, version uint16) error {
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		conn := tls.Server(there, cfg)
		_ = conn.Handshake()
		_, _ = io.Copy(io.Discard, conn)
	}()
	// The certificate is self-signed: this test is about versions.
	client := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
	return tls.Client(here, client).Handshake()
}

// writePair writes a self-signed certificate and its key; each serial gives the files another time stamp.
func writePair(t *testing.T, dir string, serial int64) TLSConfig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := TLSConfig{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), MinVersion: "1.2"}
	stamp := time.Unix(1_700_000_000+serial, 0)
	for name, block := range map[string]*pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: cert},
		files.KeyFile:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
