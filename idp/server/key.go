package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hufu/idp/seal"
)

// Ring reads the key ring: from HUFU_KEY, else from the key file. The demonstration world makes a missing file.
func (c Config) Ring() (*seal.Ring, error) {
	if c.Key.Value != "" {
		ring, err := seal.Parse([]byte(c.Key.Value.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("HUFU_KEY: %w", err)
		}
		return ring, nil
	}
	if _, err := os.Stat(c.Key.File); c.Demo && errors.Is(err, fs.ErrNotExist) {
		if err := NewKeyFile(c.Key.File); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return readKeyFile(c.Key.File)
}

func readKeyFile(name string) (*seal.Ring, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key.file: %s does not exist; make one with: hufu key new %s\n"+
			"(or name the one this database was made with: nothing else opens what is sealed in it)", name, name)
	}
	if err != nil {
		return nil, fmt.Errorf("key.file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key.file: %s is not a regular file", name)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("key.file: %s has mode %04o, others may read it; expected 0600: chmod 600 %s", name, mode, name)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("key.file: %w", err)
	}
	ring, err := seal.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("key.file: %s: %w", name, err)
	}
	return ring, nil
}

// NewKeyFile makes a key file with mode 0600, and its folder where needed. It never replaces a file.
func NewKeyFile(name string) error {
	content, err := seal.Generate()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("key file: %w", errors.Join(err, os.Remove(name)))
	}
	return nil
}
