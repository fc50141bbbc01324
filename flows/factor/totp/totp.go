// Package totp is the possession factor of an authenticator app (RFC 6238): SHA-1,
// six digits, 30 seconds, one step of tolerance either way.
package totp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/qr"
	"hufu/templates"
)

// Factor checks codes of authenticator apps and enrols them.
type Factor struct {
	Issuer string // as the app shows it
}

const (
	digits = 6
	period = 30 * time.Second
	skew   = 1  // steps either way that are accepted
	wide   = 20 // steps either way (10 min) that show a wrong clock
)

// secret is what the credential's data holds. Imported ones may differ from ours.
type secret struct {
	Secret    string `json:"secret"` // base32
	Digits    int    `json:"digits"`
	Period    int    `json:"period"` // seconds
	Algorithm string `json:"algorithm"`
}

// Method names the factor.
func (Factor) Method() idp.Method { return idp.MethodTOTP }

// Begin has no challenge to make.
func (Factor) Begin(context.Context, *factor.Attempt) error { return nil }

// Show draws the code page.
func (Factor) Show(_ context.Context, a *factor.Attempt) (templates.Content, error) {
	return templates.TOTP{Form: a.Form, Action: a.Action, Login: a.Login, TrustDays: a.Trust, Work: a.Work, Ways: a.Ways}, nil
}

// Read refuses what is no code of an authenticator.
func (Factor) Read(form url.Values) error {
	_, err := read(form)
	return err
}

// Check compares a code with the steps around now of the user's one authenticator. A
// step that was used before is told apart from a wrong code, for the engine to
// refuse without counting it.
func (Factor) Check(_ context.Context, a *factor.Attempt, form url.Values) (factor.Answer, error) {
	code, err := read(form)
	if err != nil {
		return factor.Answer{}, err
	}
	ans := factor.Answer{Reason: "otp.wrong"}
	for _, c := range a.Credentials[:min(1, len(a.Credentials))] {
		var s secret
		if err := json.Unmarshal(c.Data, &s); err != nil {
			return ans, fmt.Errorf("totp: credential %s: %w", c.ID, err)
		}
		if ans.Credential == "" {
			ans.Credential = c.ID
		}
		step, offset, ok := s.match(code, time.Now())
		switch {
		case !ok:
		case offset < -skew || offset > skew:
			// A code of the past can never be right again; one of the future could, so
			// only a known browser learns of it.
			if offset < 0 || a.Known {
				ans.Credential, ans.Reason, ans.Drift = c.ID, "otp.skew", time.Duration(offset*s.Period)*time.Second
			}
		case step <= c.Counter:
			ans.Credential, ans.Used, ans.Reason = c.ID, true, "otp.reused"
			return ans, nil
		default:
			return factor.Answer{Right: true, Credential: c.ID, Counter: step, Proof: idp.Proof{Method: idp.MethodTOTP, Channels: []string{"totp:" + c.ID}}}, nil
		}
	}
	return ans, nil
}

func read(form url.Values) (string, error) {
	if strings.TrimSpace(form.Get("code")) == "" {
		return "", idp.FieldError("code", "code.empty")
	}
	code, ok := normal.Digits(form.Get("code"), digits)
	if !ok {
		return "", idp.FieldError("code", "code.malformed")
	}
	return code, nil
}

// match finds the step whose code this is, nearest to now first. Every step is
// compared, so that time tells nothing.
func (s secret) match(code string, now time.Time) (step int64, offset int, ok bool) {
	at := now.Unix() / int64(s.Period)
	for n := range 2*wide + 1 {
		o := (n + 1) / 2 // 0, -1, 1, -2, 2, …
		if n%2 == 1 {
			o = -o
		}
		want, err := s.at(at + int64(o))
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && !ok {
			step, offset, ok = at+int64(o), o, true
		}
	}
	return step, offset, ok
}

var algorithms = map[string]otp.Algorithm{"SHA1": otp.AlgorithmSHA1, "SHA256": otp.AlgorithmSHA256, "SHA512": otp.AlgorithmSHA512}

func (s secret) at(step int64) (string, error) {
	alg, ok := algorithms[s.Algorithm]
	if !ok {
		return "", fmt.Errorf("totp: unknown algorithm")
	}
	return hotp.GenerateCodeCustom(s.Secret, uint64(step), hotp.ValidateOpts{Digits: otp.Digits(s.Digits), Algorithm: alg})
}

var b32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret returns the data of a new authenticator: 160 random bits.
func NewSecret() []byte {
	var b [20]byte
	_, _ = rand.Read(b[:])
	return Data(b32.EncodeToString(b[:]))
}

// ShowEnrol draws the page that binds an authenticator whose data are in the
// attempt's scratch.
func (f Factor) ShowEnrol(_ context.Context, a *factor.Attempt, lang, later string) (templates.Content, error) {
	s, err := parse(a.Scratch)
	if err != nil {
		return nil, err
	}
	link := f.URI(s.Secret, a.Login)
	svg, err := qr.SVG(link, templates.QRLabel(lang))
	if err != nil {
		return nil, err
	}
	return templates.EnrolTOTP{Form: a.Form, Action: a.Action, QR: svg, Secret: grouped(s.Secret), URL: template.URL(link), Account: a.Login, Steps: a.Steps, Later: later}, nil
}

// CheckEnrol says whether a code shows that the app holds the new secret, and at
// which step.
func (Factor) CheckEnrol(a *factor.Attempt, form url.Values) (step int64, err error) {
	s, err := parse(a.Scratch)
	if err != nil {
		return 0, err
	}
	code, err := read(form)
	if err != nil {
		return 0, err
	}
	step, offset, ok := s.match(code, time.Now())
	switch {
	case ok && offset >= -skew && offset <= skew:
		return step, nil
	case ok:
		return 0, idp.FieldError("code", "otp.skew")
	}
	return 0, idp.FieldError("code", "otp.wrong")
}

// Code returns the code of a secret now, for the demonstration world and tests.
func Code(base32Secret string, now time.Time) (string, error) {
	s := secret{Secret: base32Secret, Digits: digits, Period: int(period.Seconds()), Algorithm: "SHA1"}
	return s.at(now.Unix() / int64(s.Period))
}

// SecretOf returns the base32 secret inside a credential's data.
func SecretOf(data []byte) (string, error) {
	s, err := parse(data)
	return s.Secret, err
}

func parse(data []byte) (s secret, err error) {
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("totp: %w", err)
	}
	return s, nil
}

// URI is the otpauth address that apps read. A colon would end the issuer's name,
// so it is taken out of both.
func (f Factor) URI(base32Secret, account string) string {
	clean := strings.NewReplacer(":", " ", "%3A", " ")
	issuer, account := clean.Replace(f.Issuer), clean.Replace(account)
	q := url.Values{"secret": {base32Secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

func grouped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Data returns the credential data of an authenticator with our parameters and a
// base32 secret that was made elsewhere.
func Data(base32Secret string) []byte {
	data, err := json.Marshal(secret{Secret: base32Secret, Digits: digits, Period: int(period.Seconds()), Algorithm: "SHA1"})
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return data
}
