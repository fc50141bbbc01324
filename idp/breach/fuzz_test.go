package breach

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Whatever a file holds, it is refused, or every hash in it is found.
func FuzzFile(f *testing.F) {
	var all []string
	for _, p := range []string{"pw1", "pw2", "pw3", "pw4", "pw5"} {
		all = append(all, fmt.Sprintf("%X", sha1.Sum([]byte(p))))
	}
	want := all[0]
	slices.Sort(all)
	good := strings.Join(all, "\r\n")
	f.Add(good)
	f.Add(strings.ReplaceAll(good, "\r\n", ":17\n"))
	f.Add(good[:60])
	f.Add("\n\n:1\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := &File{at: strings.NewReader(text), size: int64(len(text))}
		if file.check() != nil {
			return
		}
		found, err := file.Has("pw1")
		if has := strings.Contains(strings.ToUpper(text), want); err != nil || found != has {
			t.Errorf("%q was opened, and then: found %v, want %v, %v", text, found, has, err)
		}
	})
}
