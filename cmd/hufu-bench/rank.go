package main

import (
	"math"
	"slices"
	"time"
)

// A ranking compares two samples without a word on how they are distributed (H. B. Mann
// and D. R. Whitney, 1947).
type ranking struct {
	U      float64 // of the first sample
	Z      float64 // normal approximation, corrected for ties
	P      float64 // two-sided
	Effect float64 // Cliff's delta: −1 … 1, 0 for samples that cannot be told apart
}

// rank compares two samples.
func rank(a, b []time.Duration) ranking {
	type one struct {
		d     time.Duration
		first bool
	}
	all := make([]one, 0, len(a)+len(b))
	for _, d := range a {
		all = append(all, one{d, true})
	}
	for _, d := range b {
		all = append(all, one{d, false})
	}
	slices.SortFunc(all, func(x, y one) int { return int(x.d - y.d) })
	n, m := float64(len(a)), float64(len(b))
	var sum, ties float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		for k := i; k < j; k++ {
			if all[k].first {
				sum += float64(i+j+1) / 2 // the mean of the ranks i+1 … j
			}
		}
		i = j
	}
	r := ranking{U: sum - n*(n+1)/2}
	r.Effect = 2*r.U/(n*m) - 1
	total := n + m
	if spread := math.Sqrt(n * m / 12 * (total + 1 - ties/(total*(total-1)))); spread > 0 {
		r.Z = (r.U - n*m/2) / spread
	}
	r.P = math.Erfc(math.Abs(r.Z) / math.Sqrt2)
	return r
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
