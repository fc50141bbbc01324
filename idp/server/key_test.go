package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/idp"
	"hufu/idp/seal"
)

var whereabouts = seal.Place{Table: "t", Column: "c", Row: "r"}

func TestRingFromFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new", "hufu.key")
	c := Config{Key: KeyConfig{File: name}}
	expectError(t, c, "hufu key new "+name)

	if err := NewKeyFile(name); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	ring, err := c.Ring()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := ring.Seal(whereabouts, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}

	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	byValue, err := Config{Key: KeyConfig{File: "/nowhere", Value: idp.Secret(content)}}.Ring()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := byValue.Open(whereabouts, sealed); err != nil || string(got) != "x" {
		t.Errorf("the key by value opened %q, %v", got, err)
	}

	if err := NewKeyFile(name); err == nil {
		t.Error("a key file was replaced")
	}
	if after, _ := os.ReadFile(name); string(after) != string(content) {
		t.Error("the key file changed")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660, 0o601} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		expectError(t, c, "expected 0600: chmod 600 "+name)
	}
}

func TestRingRefuses(t *testing.T) {
	dir := t.TempDir()
	expectError(t, Config{Key: KeyConfig{File: dir}}, "key.file: "+dir+" is not a regular file")
	expectError(t, Config{Key: KeyConfig{Value: "hunter2"}}, "HUFU_KEY: key file: ")
	broken := filepath.Join(dir, "broken.key")
	if err := os.WriteFile(broken, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	expectError(t, Config{Key: KeyConfig{File: broken}}, "key.file: "+broken+": key file: ")
	expectError(t, Config{Demo: true, Key: KeyConfig{File: broken}}, "key.file: "+broken)
}

func TestDemoMakesTheKeyFileOnce(t *testing.T) {
	c := Config{Demo: true, Key: KeyConfig{File: filepath.Join(t.TempDir(), "data", "hufu.key")}}
	first, err := c.Ring()
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Ring()
	if err != nil {
		t.Fatal(err)
	}
	if string(first.MAC("p", nil)) != string(second.MAC("p", nil)) {
		t.Error("the second start made another key")
	}
}

func expectError(t *testing.T, c Config, want string) {
	t.Helper()
	ring, err := c.Ring()
	if err == nil || ring != nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	} else if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error quotes the key")
	}
}
