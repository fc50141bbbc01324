package templates

import (
	"strconv"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Number(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}

// What is drawn stays inside the drawing, whatever the numbers, and what happened is seen.
func TestBarsStayInside(t *testing.T) {
	for _, numbers := range [][][2]int64{{{0, 0}}, {{1, 0}, {0, 1}}, {{7, 3}, {10, 0}, {0, 10}}, {{1 << 40, 1}, {0, 1}, {1, 1 << 40}}, {}, {{3, 0}}} {
		c := Chart{}
		for _, n := range numbers {
			c.Points = append(c.Points, Point{First: n[0], Second: n[1]})
		}
		for i, b := range c.Bars() {
			x, y, height, width := share(t, b.X), share(t, b.Y), share(t, b.Height), share(t, b.Width)
			if x < chartLeft || x+width > chartRight || y < 0 || y+height > chartBase+0.01 {
				t.Errorf("%v: bar %d is %+v", numbers, i, b)
			}
			if (numbers[i][0] > 0) != (height > 0) || (numbers[i][1] > 0) != (b.Y2 != "") {
				t.Errorf("%v: bar %d says otherwise: %+v", numbers, i, b)
			}
			if b.Y2 != "" && (share(t, b.Y2) < 0 || share(t, b.Y2)+share(t, b.Height2) > y+0.01) {
				t.Errorf("%v: bar %d lies in itself: %+v", numbers, i, b)
			}
		}
		for _, l := range c.Lines() {
			if y := share(t, l.Y); y < chartTop-0.01 || y > chartBase {
				t.Errorf("%v: line %+v", numbers, l)
			}
		}
	}
}

func share(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
