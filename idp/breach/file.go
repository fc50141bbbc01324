package breach

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// A file is one SHA-1 of a leaked password a line, sorted, in hexadecimal, with or without
// a colon and how often it leaked: what Have I Been Pwned calls "ordered by hash".
const (
	hexLen   = 2 * sha1.Size
	lineMost = 128 // bytes, its end included
)

// What Open reads of a file: all of it up to blocks × blockBytes; of a larger one so many
// blocks at equal distances, so that a start takes no longer for it.
const (
	blocks     = 1024
	blockBytes = 64 << 10
)

// File is a file of leaked passwords, searched where it lies.
type File struct {
	at   io.ReaderAt
	size int64
	file *os.File // nil: at is no file of ours
}

// Open opens a file and refuses one that is malformed or not sorted, which a search would
// find nothing in.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f := &File{at: file, size: info.Size(), file: file}
	if err := f.check(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error {
	if f == nil || f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Has says whether a password is in the file, by binary search: some forty small reads of
// a file with a billion lines.
func (f *File) Has(password string) (bool, error) {
	want := sha1.Sum([]byte(password))
	low, high := int64(0), f.size
	for low < high {
		start, end, found, err := f.around(low + (high-low)/2)
		if err != nil {
			return false, err
		}
		switch bytes.Compare(want[:], found[:]) {
		case 0:
			return true, nil
		case -1:
			high = start
		default:
			low = end
		}
	}
	return false, nil
}

// around reads the line that the byte at mid is in: it starts at start, the next at end.
func (f *File) around(mid int64) (start, end int64, hash [sha1.Size]byte, err error) {
	from := max(0, mid-lineMost)
	b := make([]byte, min(f.size, mid+lineMost)-from)
	if _, err := f.at.ReadAt(b, from); err != nil && err != io.EOF {
		return 0, 0, hash, err
	}
	at := int(mid - from)
	first := bytes.LastIndexByte(b[:at], '\n') + 1
	if first == 0 && from > 0 {
		return 0, 0, hash, malformed(mid)
	}
	next := len(b)
	if n := bytes.IndexByte(b[at:], '\n'); n >= 0 {
		next = at + n + 1
	} else if from+int64(next) < f.size {
		return 0, 0, hash, malformed(mid)
	}
	hash, ok := parse(b[first:next])
	if !ok {
		return 0, 0, hash, malformed(from + int64(first))
	}
	return from + int64(first), from + int64(next), hash, nil
}

func malformed(at int64) error {
	return fmt.Errorf("at byte %d: expected a line with the SHA-1 of a password in hexadecimal, as in HASH or HASH:COUNT", at)
}

func unsorted(at int64) error {
	return fmt.Errorf("at byte %d: the lines are not sorted by hash", at)
}

// parse reads a line.
func parse(line []byte) (hash [sha1.Size]byte, ok bool) {
	line = bytes.TrimRight(line, "\r\n ")
	if len(line) < hexLen {
		return hash, false
	}
	if _, err := hex.Decode(hash[:], line[:hexLen]); err != nil {
		return hash, false
	}
	count, has := bytes.CutPrefix(line[hexLen:], []byte(":"))
	if has {
		_, err := strconv.ParseUint(string(bytes.TrimLeft(count, " ")), 10, 64)
		return hash, err == nil
	}
	return hash, len(count) == 0
}

// check reads the file, or parts of a large one, and tells what is wrong with it.
func (f *File) check() error {
	if f.size == 0 {
		return errors.New("the file is empty")
	}
	step := max(f.size/blocks, blockBytes)
	var last [sha1.Size]byte
	for at := int64(0); at < f.size; at += step {
		if err := f.sorted(at, &last); err != nil {
			return err
		}
	}
	var end [sha1.Size]byte
	if err := f.sorted(max(0, f.size-lineMost), &end); err != nil {
		return err
	}
	if bytes.Compare(end[:], last[:]) < 0 {
		return unsorted(f.size)
	}
	return nil
}

// sorted reads the lines that begin in a block; none may be smaller than the last one
// read.
func (f *File) sorted(block int64, last *[sha1.Size]byte) error {
	from := max(0, block-1) // a line begins at block if the byte before ends one
	r := bufio.NewReaderSize(io.NewSectionReader(f.at, from, f.size-from), lineMost)
	at := from
	if block > 0 {
		skipped, err := r.ReadSlice('\n')
		if at += int64(len(skipped)); err != nil {
			return atEnd(err, from)
		}
	}
	for at < min(f.size, block+blockBytes) {
		line, err := r.ReadSlice('\n')
		if err != nil && err != io.EOF {
			return atEnd(err, at)
		}
		hash, ok := parse(line)
		switch {
		case !ok:
			return malformed(at)
		case bytes.Compare(hash[:], last[:]) < 0:
			return unsorted(at)
		}
		*last, at = hash, at+int64(len(line))
	}
	return nil
}

// atEnd is what an error of reading a line means: nil at the end of the file.
func atEnd(err error, at int64) error {
	switch {
	case err == io.EOF:
		return nil
	case errors.Is(err, bufio.ErrBufferFull):
		return malformed(at)
	}
	return err
}
