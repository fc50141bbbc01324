// Package code is the possession factor of a bound phone or mail address: a
// six-digit code that is sent there. As a second factor only the phone counts, and
// only where policy lets it (the engine decides which channels it offers).
package code

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
	"hufu/templates"
)

// Factor sends codes and checks them.
type Factor struct {
	Policy *policy.Live
	Host   string // of the issuer, without a port: the origin-bound line of the SMS knows none
}

// Method names the factor. A proof by mail says so itself.
func (Factor) Method() idp.Method { return idp.MethodSMS }

// sent is the scratch: the live code. A new one voids it.
type sent struct {
	MAC     []byte    `json:"mac"`
	To      string    `json:"to"` // identifier id
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries"`
}

// Begin makes a code and sends it to the first channel.
func (f Factor) Begin(ctx context.Context, a *factor.Attempt) error {
	if len(a.Channels) == 0 {
		return idp.Errorf(idp.Forbidden, "code.nochannel")
	}
	to := a.Channels[0]
	code := newCode(f.digits(a))
	life := f.life(a, to)
	err := a.Send(ctx, to, "code", templates.Letter{Name: a.User.Name, Login: a.Login, Host: f.Host, Code: code, Purpose: a.Purpose, Minutes: int(life.Minutes()), At: time.Now()})
	if err != nil {
		return err
	}
	a.Scratch, err = json.Marshal(sent{MAC: a.MAC(code), To: to.ID, Expires: time.Now().Add(life)})
	return err
}

func (f Factor) digits(a *factor.Attempt) int { return cmp.Or(a.Digits, f.Policy.Now().Codes.Digits) }

func (f Factor) life(a *factor.Attempt, to idp.Identifier) time.Duration {
	if a.Life > 0 {
		return a.Life
	}
	if to.Kind == idp.IdentifierEmail {
		return f.Policy.Now().Codes.MailLife
	}
	return f.Policy.Now().Codes.SMSLife
}

func newCode(digits int) string {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return fmt.Sprintf("%0*d", digits, n)
}

// Show draws the page that asks for the code.
func (f Factor) Show(_ context.Context, a *factor.Attempt) (templates.Content, error) {
	if len(a.Channels) == 0 {
		return nil, idp.Errorf(idp.Forbidden, "code.nochannel")
	}
	to, channel := f.to(a), "phone"
	where := to.Masked()
	if a.Whoever {
		where = ""
	}
	if to.Kind == idp.IdentifierEmail {
		channel = "mail"
	}
	return templates.Code{Form: a.Form, Action: a.Action, ResendAction: a.Resend, Where: where, Whoever: a.Whoever, Unsent: !f.live(a),
		Channel: channel, Digits: f.digits(a), Work: a.SendWork, Guess: a.Work, TrustDays: a.Trust,
		Minutes: int(f.life(a, to).Minutes()), FirstStep: !a.Steps, Ways: a.Ways}, nil
}

// live says whether a code has gone to one of the channels.
func (Factor) live(a *factor.Attempt) bool {
	var s sent
	return json.Unmarshal(a.Scratch, &s) == nil && slices.ContainsFunc(a.Channels, func(c idp.Identifier) bool { return c.ID == s.To })
}

// to is the channel that the live code went to.
func (Factor) to(a *factor.Attempt) idp.Identifier {
	var s sent
	if json.Unmarshal(a.Scratch, &s) == nil {
		for _, c := range a.Channels {
			if c.ID == s.To {
				return c
			}
		}
	}
	return a.Channels[0]
}

// Read refuses what is no code that was sent.
func (f Factor) Read(form url.Values) error {
	_, err := f.read(form, f.Policy.Now().Codes.Digits)
	return err
}

func (f Factor) read(form url.Values, digits int) (string, error) {
	if strings.TrimSpace(form.Get("code")) == "" {
		return "", idp.FieldError("code", "code.empty")
	}
	code, ok := normal.Digits(form.Get("code"), digits)
	if !ok {
		return "", idp.FieldError("code", "code.malformed")
	}
	return code, nil
}

// Check compares a code with the live one, at most so many times as policy allows.
func (f Factor) Check(_ context.Context, a *factor.Attempt, form url.Values) (factor.Answer, error) {
	code, err := f.read(form, f.digits(a))
	if err != nil {
		return factor.Answer{}, err
	}
	var s sent
	if json.Unmarshal(a.Scratch, &s) != nil || len(a.Channels) == 0 {
		return factor.Answer{Void: true, Reason: "code.expired"}, nil
	}
	to := f.to(a)
	switch {
	case to.ID != s.To: // the channel was unbound meanwhile, or another one was chosen
		return factor.Answer{Void: true, Reason: "code.foreign"}, nil
	case time.Now().After(s.Expires):
		return factor.Answer{Void: true, Reason: "code.expired"}, nil
	case s.Tries >= f.Policy.Now().Codes.Tries:
		return factor.Answer{Void: true, Reason: "code.spent"}, nil
	}
	right := hmac.Equal(a.MAC(code), s.MAC)
	s.Tries++
	if right {
		s.Tries = f.Policy.Now().Codes.Tries // once
	}
	scratch, err := json.Marshal(s)
	if err != nil {
		return factor.Answer{}, err
	}
	ans := factor.Answer{Right: right, Reason: "code.wrong", Credential: to.ID, Scratch: scratch}
	if right {
		ans.Proof = idp.Proof{Method: idp.MethodSMS, Channels: []string{"phone:" + to.ID}}
		if to.Kind == idp.IdentifierEmail {
			ans.Proof = idp.Proof{Method: idp.MethodMail, Channels: []string{"mail:" + to.ID}}
		}
	}
	return ans, nil
}
