// Package backup is the possession factor of recovery codes on paper: each works once.
//
// Invariant: an answer costs one Argon2id hash, whatever it is, and is compared with
// the one code that it says to be; a slip of the pen is told before it costs a try.
package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/phc"
	"hufu/templates"
)

// Factor checks recovery codes.
type Factor struct{ Hasher *phc.Hasher }

// set is what the credential's data holds. A code's place is its index.
type set struct {
	Codes []code `json:"codes"`
}

// code keeps its hash when it is used, so that trying it again is told apart from a
// wrong code.
type code struct {
	Hash string `json:"hash"`
	Used bool   `json:"used,omitempty"`
}

const random = 14 // characters of five bits that nobody can guess

// NewSet returns n new codes, at most 32, as they are printed: each begins with its
// index and ends with its check character.
func NewSet(n int) []string {
	codes := make([]string, min(n, len(normal.RecoveryAlphabet)))
	for i := range codes {
		b := make([]byte, random)
		_, _ = rand.Read(b)
		for j := range b {
			b[j] = normal.RecoveryAlphabet[b[j]%32] // 32 divides 256: no letter comes more often
		}
		text := normal.RecoveryAlphabet[i:i+1] + string(b)
		text += string(normal.RecoveryCheck(text))
		codes[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
	}
	return codes
}

// Seal returns the data of a credential with a new set: hashes, one by one.
func Seal(ctx context.Context, h *phc.Hasher, codes []string) ([]byte, error) {
	s := set{Codes: make([]code, len(codes))}
	for i, printed := range codes {
		plain, index, ok := normal.RecoveryCode(printed)
		if !ok || index != i {
			return nil, fmt.Errorf("backup: code %d is none", i)
		}
		hash, err := h.Hash(ctx, plain)
		if err != nil {
			return nil, err
		}
		s.Codes[i].Hash = hash
	}
	return json.Marshal(s)
}

func parse(data []byte) (s set, err error) {
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("backup: %w", err)
	}
	return s, nil
}

// Left counts the codes that are not used yet.
func Left(data []byte) (left int) {
	s, err := parse(data)
	if err != nil {
		return 0
	}
	for _, c := range s.Codes {
		if !c.Used {
			left++
		}
	}
	return left
}

// Unused returns the first of some codes that the set has not used, or the first of all when
// there is none: whoever brings a whole kit need not know which he has used.
func Unused(data []byte, codes []string) (code string) {
	s, err := parse(data)
	if err != nil {
		s = set{}
	}
	for _, printed := range codes {
		if _, index, ok := normal.RecoveryCode(printed); ok && index < len(s.Codes) && !s.Codes[index].Used {
			return printed
		}
	}
	if len(codes) > 0 {
		return codes[0]
	}
	return ""
}

// Method names the factor.
func (Factor) Method() idp.Method { return idp.MethodBackup }

// Begin has no challenge to make.
func (Factor) Begin(context.Context, *factor.Attempt) error { return nil }

// Show draws the page.
func (Factor) Show(_ context.Context, a *factor.Attempt) (templates.Content, error) {
	return templates.Backup{Form: a.Form, Action: a.Action, Login: a.Login, Work: a.Work, Steps: a.Steps, Ways: a.Ways}, nil
}

// Read refuses what the check character shows to be no code.
func (Factor) Read(form url.Values) error {
	_, _, err := read(form)
	return err
}

func read(form url.Values) (plain string, index int, err error) {
	typed := form.Get("code")
	if strings.TrimSpace(typed) == "" {
		return "", 0, idp.FieldError("code", "code.empty")
	}
	plain, index, ok := normal.RecoveryCode(typed)
	if !ok {
		return "", 0, idp.FieldError("code", "backup.typo")
	}
	return plain, index, nil
}

// Check compares a code with the hash at its index, or with a hash that no code has.
func (f Factor) Check(ctx context.Context, a *factor.Attempt, form url.Values) (factor.Answer, error) {
	plain, index, err := read(form)
	if err != nil {
		return factor.Answer{}, err
	}
	ans := factor.Answer{Reason: "backup.wrong"}
	var s set
	if len(a.Credentials) > 0 {
		if s, err = parse(a.Credentials[0].Data); err != nil {
			return ans, err
		}
		ans.Credential = a.Credentials[0].ID
	}
	hash, exists := f.Hasher.Dummy(), index < len(s.Codes)
	if exists {
		hash = s.Codes[index].Hash
	}
	matches, _, err := f.Hasher.Verify(ctx, a.Known, hash, plain)
	switch {
	case err != nil || !matches || !exists:
		return ans, err
	case s.Codes[index].Used:
		ans.Used, ans.Reason = true, "backup.used"
		return ans, nil
	}
	return s.use(index, ans.Credential)
}

// use is the right answer, and the set without the code.
func (s set) use(index int, credential string) (factor.Answer, error) {
	s.Codes[index].Used = true
	data, err := json.Marshal(s)
	return factor.Answer{Right: true, Credential: credential, Data: data,
		Proof: idp.Proof{Method: idp.MethodBackup, Channels: []string{"paper:" + credential}}}, err
}
