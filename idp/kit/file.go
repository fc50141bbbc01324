package kit

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// MostBytes bounds a file. One with all codes and terminals is a quarter of that.
const MostBytes = 32 << 10

// workFactor is the logarithm of scrypt's N: 64 MiB and a fifth of a second. It is what is asked of whoever guesses at
// a passphrase, and what opening a file costs the server.
const workFactor = 16

// What can be wrong with a file. Neither says more: it may hold anything.
var (
	ErrFile       = errors.New("kit: not a file of a recovery kit")
	ErrPassphrase = errors.New("kit: the passphrase does not open the file")
)

// Seal writes a kit as an age file under a passphrase, in ASCII armor. It works as long as [Open].
func Seal(k Kit, passphrase string) ([]byte, error) {
	plain, err := k.encode()
	if err != nil {
		return nil, err
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(workFactor)
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Open reads a file that [Seal] has written, or the age tool in its place, with or without armor. It takes as long as
// the file says, at most as long as for one of ours: whoever calls it for strangers bounds how many run at once.
func Open(file []byte, passphrase string) (Kit, error) {
	if err := Look(file); err != nil {
		return Kit{}, err
	}
	if passphrase == "" {
		return Kit{}, ErrPassphrase
	}
	by, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return Kit{}, ErrPassphrase
	}
	by.SetMaxWorkFactor(workFactor)
	r, err := age.Decrypt(dearmored(file), by)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return Kit{}, ErrPassphrase
	}
	if err != nil {
		return Kit{}, ErrFile
	}
	plain, err := io.ReadAll(io.LimitReader(r, MostBytes+1))
	if err != nil || len(plain) > MostBytes {
		return Kit{}, ErrFile
	}
	return decode(plain)
}

// Look says whether a file is an age file under a passphrase that costs no more to open than ours, by its first lines
// alone.
func Look(file []byte) error {
	if len(file) > MostBytes {
		return ErrFile
	}
	head := make([]byte, 256)
	n, err := io.ReadFull(dearmored(file), head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrFile
	}
	lines := strings.SplitN(string(head[:n]), "\n", 3)
	if len(lines) < 3 || lines[0] != "age-encryption.org/v1" {
		return ErrFile
	}
	to := strings.Split(lines[1], " ")
	if len(to) != 4 || to[0] != "->" || to[1] != "scrypt" {
		return ErrFile
	}
	if work, err := strconv.Atoi(to[3]); err != nil || work < 1 || work > workFactor {
		return ErrFile
	}
	return nil
}

func dearmored(file []byte) io.Reader {
	r := bytes.NewReader(file)
	if bytes.HasPrefix(bytes.TrimLeft(file, " \t\r\n"), []byte(armor.Header)) {
		return armor.NewReader(r)
	}
	return r
}
