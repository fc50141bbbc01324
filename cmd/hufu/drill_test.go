package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"hufu/templates"
)

var scenes = []string{"drill.phone", "drill.terminal", "drill.agent", "drill.backup"}

// lines of a drill's results: how many say that a scene is safe, and that it is not.
func drillLines(lang, out string) (safe, unsafe int) {
	for _, key := range scenes {
		name := templates.T(lang, key)
		start, end, _ := strings.Cut(templates.T(lang, "drill.safe", name, "\x00"), "\x00")
		for line := range strings.Lines(out) {
			line = strings.TrimSuffix(line, "\n")
			if took, ok := strings.CutPrefix(line, start); ok && strings.HasSuffix(took, end) && strings.Contains(took, " s") {
				safe++
			}
			if line == templates.T(lang, "drill.unsafe", name) {
				unsafe++
			}
		}
	}
	return safe, unsafe
}

// All four end in a safe state, in every language, and leave nothing behind.
func TestDrill(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("HUFU_DATABASE_DSN", "sqlite:/nowhere/at/all") // of the installation, which it has nothing to do with
	t.Setenv("HUFU_KEY", "not a key")
	t.Chdir(t.TempDir())
	for _, l := range templates.Languages() {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"drill", "--lang", l.Tag}, nil, &out, &errs)
		if safe, unsafe := drillLines(l.Tag, out.String()); code != 0 || safe != 4 || unsafe != 0 || strings.ContainsAny(out.String(), "⟦%") {
			t.Errorf("exit code %d, %d safe, %d not:\n%s%s", code, safe, unsafe, &out, &errs)
		}
	}
	for _, dir := range []string{".", os.Getenv("TMPDIR")} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

// breaker ends everything as soon as a text is written.
type breaker struct {
	bytes.Buffer
	at  string
	end context.CancelFunc
}

func (b *breaker) Write(p []byte) (int, error) {
	n, err := b.Buffer.Write(p)
	if strings.Contains(b.String(), b.at) {
		b.end()
	}
	return n, err
}

// What does not come out safe is told, and so by the exit code; the others count for
// themselves.
func TestDrillThatFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &breaker{at: templates.T("en", "drill.terminal.stolen"), end: cancel}
	var errs bytes.Buffer
	code := run(ctx, []string{"drill", "--lang=en"}, nil, out, &errs)
	safe, unsafe := drillLines("en", out.String())
	if said := fmt.Sprintln("hufu:", templates.T("en", "drill.failed", 3)); code != 1 || safe != 1 || unsafe != 3 || !strings.Contains(errs.String(), said) {
		t.Errorf("exit code %d, %d safe, %d not:\n%s%s", code, safe, unsafe, out, &errs)
	}
}
