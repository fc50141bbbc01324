package main

import (
	"math"
	"testing"
	"time"
)

func durations(all ...int) (out []time.Duration) {
	for _, n := range all {
		out = append(out, time.Duration(n))
	}
	return out
}

// The figures are worked by hand: U counts the pairs in which the first is larger, a tie
// as a half.
func TestRank(t *testing.T) {
	for name, c := range map[string]struct {
		a, b   []time.Duration
		u, eff float64
	}{
		"apart":  {durations(1, 2, 3), durations(4, 5, 6), 0, -1},
		"larger": {durations(7, 8), durations(1, 2), 4, 1},
		"mixed":  {durations(1, 4), durations(2, 3), 2, 0},
		"ties":   {durations(1, 1), durations(1, 1), 2, 0},
		"half":   {durations(2, 3), durations(1, 2), 3.5, 0.75},
	} {
		if r := rank(c.a, c.b); r.U != c.u || math.Abs(r.Effect-c.eff) > 1e-9 || r.P < 0 || r.P > 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	var a, b []time.Duration
	for i := range 1000 {
		a, b = append(a, time.Duration(i%97)), append(b, time.Duration(i%97+3))
	}
	if r := rank(a, b); r.P > 0.05 || r.Effect > -0.02 {
		t.Errorf("a shift of 3 in 97 over 1,000 is not seen: %+v", r)
	}
	if r := rank(a, a); r.P < 0.99 || r.Effect != 0 {
		t.Errorf("a sample differs from itself: %+v", r)
	}
}
