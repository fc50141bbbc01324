// Package password is the knowledge factor: a password hashed with Argon2id.
package password

import (
	"context"
	"crypto/sha256"
	"net/url"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/phc"
	"hufu/templates"
)

// Factor checks passwords.
type Factor struct{ Hasher *phc.Hasher }

// Method names the factor.
func (Factor) Method() idp.Method { return idp.MethodPassword }

// Begin has no challenge to make.
func (Factor) Begin(context.Context, *factor.Attempt) error { return nil }

// Show draws the password page.
func (Factor) Show(_ context.Context, a *factor.Attempt) (templates.Content, error) {
	return templates.Password{Form: a.Form, Action: a.Action, Login: a.Login, Masked: a.Masked, Face: templates.Face(a.Login), RestartURL: a.Again, SecondStep: a.Steps,
		Passkey: a.Passkey, Work: a.Work, Ways: a.Ways}, nil
}

// longest bounds what is hashed, in bytes: four for each of the 256 characters.
const longest = 1024

// Read refuses no password at all.
func (Factor) Read(form url.Values) error {
	if form.Get("password") == "" {
		return idp.FieldError("password", "password.empty")
	}
	return nil
}

// Check compares a password with the one credential of the user, or with a hash
// that no password has: both cost the same.
func (f Factor) Check(ctx context.Context, a *factor.Attempt, form url.Values) (factor.Answer, error) {
	if err := f.Read(form); err != nil {
		return factor.Answer{}, err
	}
	ans := factor.Answer{Reason: "pw.wrong"}
	encoded := f.Hasher.Dummy()
	if len(a.Credentials) > 0 {
		ans.Credential, encoded = a.Credentials[0].ID, string(a.Credentials[0].Data)
	}
	plain := normal.Password(form.Get("password"))
	if len(plain) > longest {
		plain = plain[:longest+1] // cannot be right; still costs a hash
	}
	ok, outdated, err := f.Hasher.Verify(ctx, a.Known, encoded, plain)
	if err != nil {
		return ans, err
	}
	if !ok || len(a.Credentials) == 0 || len(plain) > longest {
		h := sha256.Sum256([]byte(plain))
		ans.Mark = h[:]
		return ans, nil
	}
	ans.Right = true
	ans.Proof = idp.Proof{Method: idp.MethodPassword, Channels: []string{"memory"}}
	if outdated {
		ans.Rehash = func(ctx context.Context) ([]byte, error) {
			hash, err := f.Hasher.Hash(ctx, plain)
			return []byte(hash), err
		}
	}
	return ans, nil
}
