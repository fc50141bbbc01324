package policy

import (
	"slices"
	"strings"
)

// longestRun is how many characters in a row each follow the one before by a step.
func longestRun(text string, step func(a, b rune) bool) int {
	longest, n, last := 0, 0, rune(-1)
	for _, r := range text {
		if n > 0 && step(last, r) {
			n++
		} else {
			n = 1
		}
		longest, last = max(longest, n), r
	}
	return longest
}

func same(a, b rune) bool { return a == b }

// next follows the alphabet or the digits; before goes down.
func next(a, b rune) bool {
	return b == a+1 && (isLetter(a) && isLetter(b) || isDigit(a) && isDigit(b))
}
func before(a, b rune) bool { return next(b, a) }

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' }
func isDigit(r rune) bool  { return '0' <= r && r <= '9' }

// The keys of a keyboard, row by row and shifted, and of a numeric pad.
var (
	keys    = []string{"`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./"}
	unshift = strings.NewReplacer("~", "`", "!", "1", "@", "2", "#", "3", "$", "4", "%", "5", "^", "6", "&", "7", "*", "8", "(", "9", ")", "0", "_", "-", "+", "=",
		"{", "[", "}", "]", "|", "\\", ":", ";", "\"", "'", "<", ",", ">", ".", "?", "/")
	pad   = []string{"789", "456", "123"}
	lines = keyLines()
)

// keyLines are the ways along which fingers walk, each also backwards: rows, columns one
// after the other, two rows or columns by turns, blocks of three keys. A zero byte stands
// between them.
func keyLines() string {
	board := []string{keys[0][1:], keys[1], keys[2], keys[3]} // 1 stands over q, q over a, a over z
	all := slices.Concat(keys, grid(board), grid(pad), []string{"7410", "8520", "9630", "159", "753"})
	for i := range board[1:] {
		all = append(all, zip(board[i], board[i+1]), zip(board[i+1], board[i]))
	}
	for i := range len(keys[3]) - 2 {
		var block []string
		for _, row := range board {
			block = append(block, row[i:i+3])
		}
		all = append(all, strings.Join(block, ""), snake(block))
	}
	for _, line := range slices.Clone(all) {
		all = append(all, reversed(line))
	}
	return strings.Join(all, "\x00")
}

// grid are the walks over a field of keys: all columns down, all up, and by turns; the
// rows one after the other, and by turns.
func grid(rows []string) []string {
	var columns []string
	for i := range rows[len(rows)-1] {
		column := ""
		for _, row := range rows {
			column += row[i : i+1]
		}
		columns = append(columns, column)
	}
	var up []string
	for _, column := range columns {
		up = append(up, reversed(column))
	}
	return []string{strings.Join(columns, ""), strings.Join(up, ""), snake(columns), snake(up), strings.Join(rows, ""), snake(rows)}
}

// snake turns every other line.
func snake(lines []string) (s string) {
	for i, line := range lines {
		if i%2 == 1 {
			line = reversed(line)
		}
		s += line
	}
	return s
}

// zip takes a key of each row by turns: q1w2e3.
func zip(a, b string) string {
	var line strings.Builder
	for i := range min(len(a), len(b)) {
		line.WriteString(a[i:i+1] + b[i:i+1])
	}
	return line.String()
}

func reversed(s string) string {
	b := []byte(s) // keys are ASCII
	slices.Reverse(b)
	return string(b)
}

// walks says whether so many characters of a text lie along a line of keys.
func walks(lower string, n int) bool {
	text := unshift.Replace(lower)
	for i := 0; i+n <= len(text); i++ {
		if strings.Contains(lines, text[i:i+n]) {
			return true
		}
	}
	return false
}
