package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hufu/storage"
	"hufu/storage/storagetest"
)

// SIGTERM lets a request under way end, its token is good, and the program ends well.
func TestSignalLetsARequestEnd(t *testing.T) {
	dsn, dir := storagetest.DSN(t, storage.SQLite), t.TempDir()
	p := startProcess(t, dsn, dir)
	tokens, err := p.signIn()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(p.base, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := url.Values{"grant_type": {"refresh_token"}, "client_id": {"merchant-app"}, "refresh_token": {tokens.Refresh}}.Encode()
	fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:20])
	if status := p.post("/token", url.Values{}).Status; status != http.StatusBadRequest { // the server has had time to read the first half
		t.Fatalf("status %d", status)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		probe, err := net.Dial("tcp", address)
		if err != nil {
			break // it takes nothing new
		}
		_ = probe.Close()
		if time.Now().After(deadline) {
			t.Fatal("still listening")
		}
	}
	fmt.Fprint(conn, body[20:])
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the request under way: %v %v", res, err)
	}
	if err := <-p.ended; err != nil {
		t.Errorf("the program ended with %v", err)
	}
	p.ended = nil
	// Nothing is left over that a crash would have left.
	if _, err := os.Stat(strings.TrimPrefix(dsn, "sqlite:") + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the log of the database was not folded in: %v", err)
	}
}

// Two programs on one SQLite file: one set of keys, and each takes what the other gave.
func TestTwoProgramsOnOneFile(t *testing.T) {
	dsn, dir := storagetest.DSN(t, storage.SQLite), t.TempDir()
	one := startProcess(t, dsn, dir)
	two := startProcess(t, dsn, dir)
	tokens, err := one.signIn()
	if err != nil {
		t.Fatal(err)
	}
	r := &record{families: []string{tokens.Refresh}}
	for i := range 40 {
		p := []*process{one, two}[i%2]
		a := p.refresh(r.families[0])
		if a.Status != http.StatusOK {
			t.Fatalf("refresh %d: %+v", i, a)
		}
		r.families[0] = a.Refresh
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, []*process{two, one}[i%2].base+"/userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.Access)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("a token of the one at the other: %s", res.Status)
		}
	}
	d := one.post("/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid"}})
	one.kill()
	if a := two.poll(d.Device); a.Error != "authorization_pending" {
		t.Errorf("a device request of a program that was killed: %+v", a)
	}
	if a := two.refresh(r.families[0]); a.Status != http.StatusOK {
		t.Errorf("after the other was killed: %+v", a)
	}
}

// On https cookies are __Host- cookies, the browser is told to stay on https, and a
// new certificate is taken without a restart.
func TestServeHTTPS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	p := startProcess(t, storagetest.DSN(t, storage.SQLite), filepath.Join(dir, "data"), "--issuer=https://localhost:8443", "--tls-cert-file="+cert, "--tls-key-file="+key)
	address := strings.TrimPrefix(p.base, "http://")
	get := func(path string, most uint16) (*http.Response, int64, error) {
		c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: most}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := c.Get("https://" + address + path)
		if err != nil {
			return nil, 0, err
		}
		_ = res.Body.Close()
		return res, res.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		res, _, err := get("/sign-in", version)
		if err != nil {
			t.Fatal(err)
		}
		if h := res.Header.Get("Strict-Transport-Security"); !strings.Contains(h, "max-age=") || strings.Contains(h, "max-age=0") || res.TLS.Version != version {
			t.Errorf("HSTS %q, version %x", h, res.TLS.Version)
		}
		if len(res.Cookies()) == 0 {
			t.Error("no cookie")
		}
		for _, c := range res.Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("cookie %+v", c)
			}
		}
	}
	if _, _, err := get("/healthz", tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	writeCertificate(t, cert, key, 2)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, serial, err := get("/healthz", tls.VersionTLS13); err != nil {
			t.Fatal(err)
		} else if serial == 2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not taken")
		}
	}
}

func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
