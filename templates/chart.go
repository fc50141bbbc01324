package templates

import (
	"fmt"
	"strconv"
	"strings"
)

// Chart is a drawing of one number a day, or of two that stand on one another, with the numbers themselves below it.
// Everything is a percentage of the drawing, without a viewBox, so that its words are as large as the page's.
type Chart struct {
	ID     string
	Title  string // catalogue key
	Says   string // translated: what is to be seen, for whoever cannot see it
	First  string // catalogue key of the first number
	Second string // of the second, which is hatched; "" has none
	Head   string // catalogue key: what a row of the table is
	Points []Point
}

// Point is one bar. Label names it in the table, Short below the drawing; both are translated.
type Point struct {
	Label, Short  string
	First, Second int64
}

// The drawing: bars stand between left and right on the base line; above is room for the highest.
const (
	chartLeft, chartRight = 11.0, 100.0
	chartTop, chartBase   = 6.0, 86.0
	chartGap              = 0.6 // between the two parts of a bar
)

// A bar is drawn as percentages.
type bar struct{ X, Width, Y, Height, Y2, Height2 string }

// Bars are the bars of the drawing.
func (c Chart) Bars() []bar {
	top, step := float64(c.ceiling()), (chartRight-chartLeft)/float64(max(1, len(c.Points)))
	var out []bar
	for i, p := range c.Points {
		b := bar{X: percent(chartLeft + step*(float64(i)+0.16)), Width: percent(step * 0.68)}
		first, second := height(p.First, top), height(p.Second, top)
		b.Y, b.Height = percent(chartBase-first), percent(first)
		if second > 0 {
			lift := first
			if first > 0 {
				lift += chartGap
				second = max(second-chartGap, 0.8) // what happened is to be seen
			}
			b.Y2, b.Height2 = percent(chartBase-lift-second), percent(second)
		}
		out = append(out, b)
	}
	return out
}

func height(n int64, top float64) float64 {
	if n == 0 {
		return 0
	}
	return max(float64(n)/top*(chartBase-chartTop), 0.8)
}

// A mark is a line across the drawing with its number, or a word below it.
type mark struct{ X, Y, TextY, Words string }

// Lines are the heights that the bars are read against.
func (c Chart) Lines() []mark {
	top := c.ceiling()
	var out []mark
	for _, n := range []int64{top / 2, top} {
		if n == 0 || n == top/2 && top%2 != 0 {
			continue
		}
		y := chartBase - float64(n)/float64(top)*(chartBase-chartTop)
		out = append(out, mark{Y: percent(y), TextY: percent(y - 1.5), Words: Number(n)})
	}
	return out
}

// Words are the names below every other bar, the last one's among them.
func (c Chart) Words() []mark {
	step := (chartRight - chartLeft) / float64(max(1, len(c.Points)))
	var out []mark
	for i, p := range c.Points {
		if (len(c.Points)-1-i)%2 == 0 {
			out = append(out, mark{X: percent(chartLeft + step*(float64(i)+0.5)), Words: p.Short})
		}
	}
	return out
}

// ceiling is a round number that no bar is higher than.
func (c Chart) ceiling() int64 {
	var most int64
	for _, p := range c.Points {
		most = max(most, p.First+p.Second)
	}
	for unit := int64(1); ; unit *= 10 {
		for _, n := range []int64{1, 2, 4, 5, 8, 10} {
			if n*unit >= most {
				return n * unit
			}
		}
	}
}

func percent(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + "%" }

// Shares is a table of numbers with each one's share drawn beside it.
type Shares struct {
	ID, Title string // Title, Name and Count are catalogue keys
	Name      string
	Count     string
	Rows      []Share
	Of        int64  // what they are shares of
	None      string // catalogue key: said if there are no rows
}

// Share is one row. Name is translated.
type Share struct {
	Name, Small string
	N           int64
}

// Percent is the row's share in words and as the width of its bar.
func (s Shares) Percent(n int64) string {
	if s.Of == 0 {
		return "0%"
	}
	return fmt.Sprintf("%.0f%%", float64(n)/float64(s.Of)*100)
}

// Number prints a number with its thousands apart.
func Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts, digits = append([]string{digits[len(digits)-3:]}, parts...), digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, parts...), ",")
}

// N is Number for templates.
func (Frame) N(n int64) string { return Number(n) }
