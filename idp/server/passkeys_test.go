package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hufu/flows/factor/passkey"
)

// Whose metadata file is past its date reads so in the log.
func TestOldMetadataIsTold(t *testing.T) {
	due := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		m    *passkey.Metadata
		now  time.Time
		told bool
	}{{nil, due, false}, {&passkey.Metadata{NextUpdate: due}, due.Add(23 * time.Hour), false}, {&passkey.Metadata{NextUpdate: due}, due.Add(25 * time.Hour), true}} {
		var log bytes.Buffer
		warnOfAge(slog.New(slog.NewTextHandler(&log, nil)), c.m, c.now)
		if told := strings.Contains(log.String(), "due=2026-03-10"); told != c.told {
			t.Errorf("at %s: %q", c.now, log.String())
		}
	}
}
