package server_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"

	"hufu/idp"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A seed is a demonstration world as its first start leaves it, made once a process: its
// tables, keys and hashes take longer to make than most stories take. A story begins in a
// copy.
type seed struct {
	sync.Mutex
	template *storagetest.Template
	files    map[string][]byte // of its folder
}

// seeds are the worlds that were made, by engine: in the one year of all quiet worlds, and
// today.
var seeds = map[bool]map[storage.Dialect]*seed{
	true:  {storage.SQLite: {}, storage.Postgres: {}},
	false: {storage.SQLite: {}, storage.Postgres: {}},
}

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // each hash takes 19 MiB: the collector would do little but run
	code := m.Run()
	for _, byEngine := range seeds {
		for _, s := range byEngine {
			if s.template == nil {
				continue
			}
			if err := s.template.Drop(); err != nil {
				fmt.Fprintln(os.Stderr, "drop the world that others are copies of:", err)
				code = max(code, 1)
			}
		}
	}
	os.Exit(code)
}

// sown is a fresh copy of the world: the address of its database, and its folder. A quiet
// one is for a bubble of synctest, which begins when its story does.
func sown(t *testing.T, d storage.Dialect, quiet bool) (dsn, dir string) {
	t.Helper()
	s := seeds[quiet][d]
	s.ready(t, d, quiet)
	dir = t.TempDir()
	for name, text := range s.files {
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return s.template.DSN(t), dir
}

// ready makes the world that is copied, once. Where that fails nobody waits for it.
func (s *seed) ready(t *testing.T, d storage.Dialect, quiet bool) {
	t.Helper()
	s.Lock()
	defer s.Unlock()
	if s.template == nil {
		s.make(t, d, quiet)
	}
}

func (s *seed) make(t *testing.T, d storage.Dialect, quiet bool) {
	t.Helper()
	cfg := server.Defaults(t.TempDir(), true)
	var failed error
	start := func(t *testing.T) {
		var service *server.Server
		if service, failed = server.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); failed == nil {
			failed = service.Close()
		}
	}
	template, err := storagetest.NewTemplate(d, func(dsn string) error {
		cfg.Database.DSN = idp.Secret(dsn)
		if quiet {
			synctest.Test(t, start)
		} else {
			start(t)
		}
		return failed
	})
	must(t, err)
	s.files = map[string][]byte{}
	for _, name := range []string{"demo.json", "hufu.key"} {
		s.files[name], err = os.ReadFile(filepath.Join(cfg.DataDir, name))
		must(t, err)
	}
	s.template = template
}
