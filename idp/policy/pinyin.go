package policy

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mozillazg/go-pinyin"
)

// readings are the ways to spell a character in Latin letters: 行 is xing, hang, heng. ü
// is written v, u or yu. None for what is no 汉字.
func readings(r rune) []string {
	if !unicode.Is(unicode.Han, r) {
		return nil
	}
	all := pinyin.SinglePinyin(r, pinyin.Args{Style: pinyin.Normal, Heteronym: true})
	all = slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" })
	for _, reading := range slices.Clone(all) {
		if strings.Contains(reading, "v") {
			all = append(all, strings.Replace(reading, "v", "u", 1), strings.Replace(reading, "v", "yu", 1))
		}
	}
	return all
}

func hasHan(texts []string) bool {
	return slices.ContainsFunc(texts, func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
	})
}

// syllables are the readings of each 汉字 of a name; other characters part it.
func syllables(name string) (parts [][][]string) {
	var part [][]string
	for _, r := range fold(name) + " " {
		if all := readings(r); len(all) > 0 {
			part = append(part, all)
			continue
		}
		if len(part) > 0 {
			parts, part = append(parts, part), nil
		}
	}
	return parts
}

// spells says whether the password has two syllables of a name in a row, of four letters
// or more, or four of its initials. A person's name is also looked for given name first.
func (t typed) spells(names []string) bool {
	for _, name := range names {
		for _, part := range syllables(name) {
			if t.spellsPart(part) || len(part) <= 3 && t.spellsPart(append(slices.Clone(part[1:]), part[0])) {
				return true
			}
		}
	}
	return false
}

func (t typed) spellsPart(part [][]string) bool {
	first := make([][]string, len(part))
	for i, all := range part {
		for _, reading := range all {
			first[i] = append(first[i], reading[:1])
		}
	}
	for at := range t.bare {
		for i := range part {
			if follows(t.bare[at:], part[i:], 2, leastShared) || follows(t.bare[at:], first[i:], leastShared, leastShared) {
				return true
			}
		}
	}
	return false
}

// follows says whether a text begins with syllables, one after the other, so many at least
// and of so many letters at least.
func follows(text string, part [][]string, least, letters int) bool {
	if least <= 0 && letters <= 0 {
		return true
	}
	if len(part) == 0 {
		return false
	}
	for _, reading := range part[0] {
		if rest, ok := strings.CutPrefix(text, reading); ok && follows(rest, part[1:], least-1, letters-len(reading)) {
			return true
		}
	}
	return false
}
