package breach_test

import (
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hufu/idp/breach"
)

func TestCommon(t *testing.T) {
	for _, known := range []string{"123456", "password", "PassWord", "qwertyuiop", "1qaz2wsx3edc", "woaini1314", "iloveyou1", "vjht008"} {
		if ok, err := (breach.Common{}).Has(known); !ok || err != nil {
			t.Errorf("%q: %v, %v", known, ok, err)
		}
	}
	// One mistake in 100,000 is meant; so many of 100,000 would be far more.
	wrong, r := 0, rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		if ok, _ := (breach.Common{}).Has(fmt.Sprintf("%016x", r.Uint64())); ok {
			wrong++
		}
	}
	if wrong > 8 {
		t.Errorf("%d of 100,000 random texts are in the list", wrong)
	}
}

// The filter must stay small enough to ship.
func TestCommonIsSmall(t *testing.T) {
	info, err := os.Stat("common.bloom")
	if err != nil || info.Size() > 4<<20 || info.Size()%8 != 0 {
		t.Fatalf("common.bloom: %v bytes, %v", info.Size(), err)
	}
}

func hash(password string) string { return fmt.Sprintf("%X", sha1.Sum([]byte(password))) }

// hashes are the sorted hashes of so many passwords "pw0", "pw1" …
func hashes(n int) (all []string) {
	for i := range n {
		all = append(all, hash(fmt.Sprint("pw", i)))
	}
	slices.Sort(all)
	return all
}

func file(t testing.TB, text string) string {
	path := filepath.Join(t.TempDir(), "leaked.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, text string) *breach.File {
	f, err := breach.Open(file(t, text))
	if err != nil {
		t.Fatalf("%.60q: %v", text, err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// Each form of a line, and each size of a file from one line on: every password is found,
// and no other one.
func TestFile(t *testing.T) {
	forms := map[string]func(i int, h string) string{
		"hash":            func(_ int, h string) string { return h + "\n" },
		"hash, CRLF":      func(_ int, h string) string { return h + "\r\n" },
		"counts":          func(i int, h string) string { return fmt.Sprintf("%s:%d\n", h, 1<<(i%40)) },
		"counts, CRLF":    func(i int, h string) string { return fmt.Sprintf("%s:%d\r\n", h, i*i*i+1) },
		"fixed width":     func(i int, h string) string { return fmt.Sprintf("%s:%012d\n", h, i) },
		"padded":          func(i int, h string) string { return fmt.Sprintf("%s:%12d \n", h, i) },
		"lower case":      func(_ int, h string) string { return strings.ToLower(h) + "\n" },
		"longest allowed": func(_ int, h string) string { return h + ":" + strings.Repeat(" ", 128-43) + "1\n" },
	}
	for name, form := range forms {
		for _, n := range []int{1, 2, 3, 4, 7, 64, 1000} {
			var text strings.Builder
			for i, h := range hashes(n) {
				text.WriteString(form(i, h))
			}
			for _, end := range []string{text.String(), strings.TrimRight(text.String(), "\r\n")} {
				f := open(t, end)
				for i := range n {
					if ok, err := f.Has(fmt.Sprint("pw", i)); !ok || err != nil {
						t.Fatalf("%s, %d lines: pw%d: %v, %v", name, n, i, ok, err)
					}
					if ok, err := f.Has(fmt.Sprint("other", i)); ok || err != nil {
						t.Fatalf("%s, %d lines: other%d: %v, %v", name, n, i, ok, err)
					}
				}
			}
		}
	}
}

func TestFileRefused(t *testing.T) {
	good := hashes(8)
	swapped := slices.Clone(good)
	swapped[5], swapped[6] = swapped[6], swapped[5]
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "empty"},
		"not sorted":         {strings.Join(swapped, "\n"), "at byte 246: the lines are not sorted"},
		"no hash":            {good[0] + "\nhello\n", "at byte 41: expected a line"},
		"short hash":         {good[0][:39] + "\n", "at byte 0: expected"},
		"no hexadecimal":     {"Z" + good[0][1:] + "\n", "at byte 0: expected"},
		"count of letters":   {good[0] + ":many\n", "at byte 0: expected"},
		"count left out":     {good[0] + ":\n", "at byte 0: expected"},
		"hash of SHA-256":    {good[0] + good[0][:24] + "\n", "at byte 0: expected"},
		"blank line":         {good[0] + "\n\n" + good[1], "at byte 41: expected"},
		"marked as UTF-8":    {"\ufeff" + good[0] + "\n", "at byte 0: expected"},
		"a line too long":    {good[0] + ":" + strings.Repeat("1", 200) + "\n", "at byte 0: expected"},
		"no lines at all":    {strings.Repeat("x", 5000), "at byte 0: expected"},
		"rubbish at the end": {strings.Join(good, "\n") + "\nrubbish", "at byte 328: expected"},
	} {
		_, err := breach.Open(file(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := breach.Open(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("missing: %v", err)
	}
	if _, err := breach.Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}

// Of a large file the start reads parts only: a file in another order is refused all the
// same, and one that ends wrongly too.
func TestFileLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	const lines = 2_200_000 // over blocks × blockBytes
	text := make([]byte, 0, lines*44)
	for i := range uint64(lines) {
		text = fmt.Appendf(text, "%016X%024d:1\n", i<<32, 0)
	}
	path := filepath.Join(t.TempDir(), "large")
	write := func(b []byte) (*breach.File, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return breach.Open(path)
	}
	f, err := write(text)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := f.Has("nobody"); ok || err != nil {
		t.Errorf("nobody: %v, %v", ok, err)
	}
	_ = f.Close()
	for i := 0; i+43 <= len(text); i += 43 * 2000 { // by how often they leaked, say
		copy(text[i:], fmt.Sprintf("%016X", rand.Uint64()))
	}
	if _, err := write(text); err == nil || !strings.Contains(err.Error(), "not sorted") {
		t.Errorf("another order: %v", err)
	}
}

// What changed after the start is an error and never a panic.
func TestFileChangedBehindOurBack(t *testing.T) {
	path := file(t, strings.Join(hashes(1000), "\n"))
	f, err := breach.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Has("pw1"); err == nil {
		t.Error("no error of a file that was cut")
	}
}
