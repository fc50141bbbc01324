package storage_test

import (
	"net/url"
	"testing"

	"hufu/storage"
	"hufu/storage/storagetest"
)

// One DSN may name several hosts: one that does not answer is passed over, and only
// one that takes writes will do.
func TestSeveralHosts(t *testing.T) {
	u, err := url.Parse(storagetest.DSN(t, storage.Postgres))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "127.0.0.1:1," + u.Host
	s := storagetest.Open(t, u.String(), storagetest.Ring())
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("options", "-c default_transaction_read_only=on") // as a standby answers
	u.RawQuery = q.Encode()
	standby, err := storage.Open(t.Context(), u.String(), storagetest.Ring(), nil)
	if err == nil {
		_ = standby.Close()
		t.Error("a server that takes no writes was taken")
	}
}
