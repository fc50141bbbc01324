package notify

import (
	"context"
	"errors"
	"os"

	"hufu/idp"
)

// File appends one line of JSON per text message, for a program that reads them.
type File struct{ Name string }

// Send writes a line with one call, so that processes may share the file.
func (f *File) Send(_ context.Context, m idp.Message) (string, error) {
	out, err := f.open()
	if err != nil {
		return "", Passing(err, Unreachable)
	}
	_, err = out.WriteString(payloadOf(m) + "\n")
	if err = errors.Join(err, out.Close()); err != nil {
		return "", Passing(err, Refused)
	}
	return "", nil
}

// Check says whether the file can be written.
func (f *File) Check() error {
	out, err := f.open()
	if err != nil {
		return err
	}
	return out.Close()
}

func (f *File) open() (*os.File, error) {
	return os.OpenFile(f.Name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}
