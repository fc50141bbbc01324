package code

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

var (
	phone = idp.Identifier{ID: "p", Kind: idp.IdentifierPhone, Value: "+8613800000001"}
	mail  = idp.Identifier{ID: "m", Kind: idp.IdentifierEmail, Value: "lin.wei@example.com"}
	sms   = Factor{Policy: policy.Default(), Host: "id.example.com"}
)

// attempt is one at a channel; what was sent is appended to letters.
func attempt(to idp.Identifier, letters *[]templates.Letter) *factor.Attempt {
	return &factor.Attempt{User: idp.User{Name: "林薇"}, Channels: []idp.Identifier{to}, Purpose: "purpose.signin", Action: "/a", Resend: "/r",
		MAC: func(code string) []byte { h := sha256.Sum256([]byte("flow 1/" + code)); return h[:] },
		Send: func(_ context.Context, _ idp.Identifier, template string, l templates.Letter) error {
			*letters = append(*letters, l)
			if template != "code" {
				return errors.New("not a code")
			}
			return nil
		}}
}

func typed(code string) url.Values { return url.Values{"code": {code}} }

// begin sends a code and returns it.
func begin(t *testing.T, a *factor.Attempt, letters *[]templates.Letter) string {
	t.Helper()
	if err := sms.Begin(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return (*letters)[len(*letters)-1].Code
}

func TestCode(t *testing.T) {
	for to, want := range map[idp.Identifier]idp.Proof{
		phone: {Method: idp.MethodSMS, Channels: []string{"phone:p"}},
		mail:  {Method: idp.MethodMail, Channels: []string{"mail:m"}},
	} {
		var letters []templates.Letter
		a := attempt(to, &letters)
		code := begin(t, a, &letters)
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" || strings.Contains(string(a.Scratch), code) {
			t.Fatalf("code %q, kept as %s", code, a.Scratch)
		}
		if l := letters[0]; l.Purpose != "purpose.signin" || l.Minutes == 0 || l.Host != "id.example.com" || l.Link != "" {
			t.Errorf("letter %+v: no link stands beside a code", l)
		}
		ans, err := sms.Check(t.Context(), a, typed(code[:3]+" "+code[3:]))
		if err != nil || !ans.Right || ans.Proof.Method != want.Method || ans.Proof.Channels[0] != want.Channels[0] || ans.Credential != to.ID {
			t.Fatalf("right: %+v %v", ans, err)
		}
		a.Scratch = ans.Scratch
		if ans, err := sms.Check(t.Context(), a, typed(code)); err != nil || ans.Right || !ans.Void {
			t.Errorf("twice: %+v %v", ans, err)
		}
	}
}

func TestFiveTries(t *testing.T) {
	var letters []templates.Letter
	a := attempt(phone, &letters)
	code := begin(t, a, &letters)
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	for i := range 5 {
		ans, err := sms.Check(t.Context(), a, typed(wrong))
		if err != nil || ans.Right || ans.Reason != "code.wrong" {
			t.Fatalf("try %d: %+v %v", i, ans, err)
		}
		a.Scratch = ans.Scratch
		for _, malformed := range []string{"", " ", "12345", "1234567", "abcdef"} { // cost no try
			if _, err := sms.Check(t.Context(), a, typed(malformed)); err == nil || idp.KindOf(err) != idp.Invalid {
				t.Errorf("%q: %v", malformed, err)
			}
		}
	}
	if ans, err := sms.Check(t.Context(), a, typed(code)); err != nil || ans.Right || !ans.Void || ans.Reason != "code.spent" {
		t.Errorf("the sixth try, right: %+v %v", ans, err)
	}
	code = begin(t, a, &letters) // a new code has five tries of its own
	if ans, err := sms.Check(t.Context(), a, typed(code)); err != nil || !ans.Right {
		t.Errorf("a new code: %+v %v", ans, err)
	}
}

func TestResendVoidsTheOld(t *testing.T) {
	var letters []templates.Letter
	a := attempt(phone, &letters)
	old := begin(t, a, &letters)
	young := begin(t, a, &letters)
	for old == young {
		young = begin(t, a, &letters)
	}
	if ans, err := sms.Check(t.Context(), a, typed(old)); err != nil || ans.Right {
		t.Errorf("the old code: %+v %v", ans, err)
	}
	if ans, err := sms.Check(t.Context(), a, typed(young)); err != nil || !ans.Right {
		t.Errorf("the new code: %+v %v", ans, err)
	}
}

func TestExpiry(t *testing.T) {
	for to, life := range map[idp.Identifier]time.Duration{phone: 5 * time.Minute, mail: 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			var letters []templates.Letter
			a := attempt(to, &letters)
			code := begin(t, a, &letters)
			time.Sleep(life - time.Second)
			if ans, err := sms.Check(t.Context(), a, typed(code)); err != nil || !ans.Right {
				t.Errorf("%s, a second before: %+v %v", to.Kind, ans, err)
			}
			time.Sleep(2 * time.Second)
			if ans, err := sms.Check(t.Context(), a, typed(code)); err != nil || ans.Right || !ans.Void || ans.Reason != "code.expired" {
				t.Errorf("%s, a second after: %+v %v", to.Kind, ans, err)
			}
		})
	}
}

// A code belongs to one flow and one channel.
func TestForeignCode(t *testing.T) {
	var letters []templates.Letter
	a := attempt(phone, &letters)
	code := begin(t, a, &letters)
	other := *a
	other.MAC = func(code string) []byte { h := sha256.Sum256([]byte("flow 2/" + code)); return h[:] }
	if ans, err := sms.Check(t.Context(), &other, typed(code)); err != nil || ans.Right {
		t.Errorf("in another flow: %+v %v", ans, err)
	}
	other = *a
	other.Channels = []idp.Identifier{mail} // the phone was unbound meanwhile
	if ans, err := sms.Check(t.Context(), &other, typed(code)); err != nil || ans.Right || !ans.Void || ans.Reason != "code.foreign" {
		t.Errorf("of a channel that is gone: %+v %v", ans, err)
	}
	other.Channels = nil
	if ans, err := sms.Check(t.Context(), &other, typed(code)); err != nil || ans.Right || !ans.Void {
		t.Errorf("without channels: %+v %v", ans, err)
	}
	other = *a
	for _, scratch := range []string{"", "{}", "null", "[]", `{"mac":null,"to":"p"}`, "broken"} {
		other.Scratch = []byte(scratch)
		if ans, err := sms.Check(t.Context(), &other, typed(code)); ans.Right {
			t.Errorf("scratch %q: %+v %v", scratch, ans, err)
		}
	}
}

func TestNothingToSendTo(t *testing.T) {
	a := &factor.Attempt{}
	if err := sms.Begin(t.Context(), a); idp.KindOf(err) != idp.Forbidden || err == nil {
		t.Errorf("%v", err)
	}
	if _, err := sms.Show(t.Context(), a); idp.KindOf(err) != idp.Forbidden || err == nil {
		t.Errorf("%v", err)
	}
}

// When the message cannot be queued there is no code.
func TestSendFails(t *testing.T) {
	a := attempt(phone, new([]templates.Letter))
	a.Send = func(context.Context, idp.Identifier, string, templates.Letter) error { return errors.New("limit") }
	if err := sms.Begin(t.Context(), a); err == nil || a.Scratch != nil {
		t.Errorf("%v, kept %s", err, a.Scratch)
	}
}

func TestShowMasks(t *testing.T) {
	for to, want := range map[idp.Identifier][2]string{phone: {"138****0001", "phone"}, mail: {"l***@example.com", "mail"}} {
		var letters []templates.Letter
		a := attempt(to, &letters)
		begin(t, a, &letters)
		c, err := sms.Show(t.Context(), a)
		if p := c.(templates.Code); err != nil || p.Where != want[0] || p.Channel != want[1] || p.Digits != 6 {
			t.Errorf("%+v %v", p, err)
		}
	}
}

// Codes are spread over all of their space, zeros in front included.
func TestNewCode(t *testing.T) {
	first := map[byte]int{}
	for range 2000 {
		c := newCode(6)
		if len(c) != 6 {
			t.Fatal(c)
		}
		first[c[0]]++
	}
	for d := byte('0'); d <= '9'; d++ {
		if first[d] < 100 || first[d] > 320 {
			t.Errorf("%d of 2000 codes begin with %c", first[d], d)
		}
	}
	if b, err := json.Marshal(sent{}); err != nil || strings.Contains(string(b), "code") {
		t.Errorf("%s %v", b, err)
	}
}
