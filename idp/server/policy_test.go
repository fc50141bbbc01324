package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// Why an edition that is due does not come into force is told once, not each second; again
// when it is another reason, or the same after it had gone away.
func TestUnusableEditionIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	k := &keeper{Server: &Server{log: slog.New(slog.NewTextHandler(&log, nil))}}
	one, other := errors.New("version 2: no administrator"), errors.New("version 3: no administrator")
	for i, err := range []error{nil, one, one, one, other, other, nil, nil, other} {
		k.tell(err)
		if got, want := strings.Count(log.String(), "not activated"), []int{0, 1, 1, 1, 2, 2, 2, 2, 3}[i]; got != want {
			t.Fatalf("after %d looks it was told %d times, want %d", i+1, got, want)
		}
	}
}
