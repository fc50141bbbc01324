package passkey

import (
	"net/url"
	"testing"

	"hufu/flows/factor"
	"hufu/flows/factor/passkey/passkeytest"
	"hufu/idp"
)

const (
	domain = "hufu.example"
	origin = "https://hufu.example"
	other  = "https://id.hufu.example:8443"
	apk    = "LJy8HShzC_4aNmVvRzRGxHSgXyfLXJOqr0bEWNQVvdc"
	app    = "android:apk-key-hash:" + apk
)

func newFactor(t testing.TB) *Factor {
	t.Helper()
	f, err := New(Config{ID: domain, Name: "Hufu", Origins: []string{origin, other}, AndroidKeyHashes: []string{apk}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newPerson() *factor.Attempt {
	return &factor.Attempt{User: idp.User{ID: "u", Name: "林薇"}, Login: "lin.wei", Handle: []byte("a handle of sixty-four random bytes")}
}

func assertion(text string) url.Values   { return url.Values{"assertion": {text}} }
func attestation(text string) url.Values { return url.Values{"attestation": {text}} }

// create runs an enrolment up to the check.
func create(t testing.TB, f *Factor, a *factor.Attempt, device *passkeytest.Authenticator) (Enrolled, error) {
	t.Helper()
	options, scratch, err := f.EnrolOptions(a)
	if err != nil {
		t.Fatal(err)
	}
	text, err := device.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	a.Scratch = scratch
	return f.CheckEnrol(a, attestation(text))
}

// enrol gives a person the credential of a device.
func enrol(t testing.TB, f *Factor, a *factor.Attempt, device *passkeytest.Authenticator, id string) Enrolled {
	t.Helper()
	e, err := create(t, f, a, device)
	if err != nil {
		t.Fatalf("enrolment refused: %v", cause(err))
	}
	a.Credentials = append(a.Credentials, idp.Credential{ID: id, Method: idp.MethodPasskey, Data: e.Data, Counter: e.Counter})
	return e
}

// get runs a sign-in up to the check.
func get(t testing.TB, f *Factor, a *factor.Attempt, device *passkeytest.Authenticator, discover bool) factor.Answer {
	t.Helper()
	options, scratch, err := f.Options(a, discover)
	if err != nil {
		t.Fatal(err)
	}
	text, err := device.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	a.Scratch = scratch
	ans, err := f.Check(t.Context(), a, assertion(text))
	if err != nil {
		t.Fatal(err)
	}
	return ans
}

func cause(err error) error {
	if e, ok := err.(*idp.Error); ok && e.Err != nil {
		return e.Err
	}
	return err
}

// message is the catalogue key of an error for a person.
func message(err error) string {
	if e, ok := err.(*idp.Error); ok && e.Kind == idp.Invalid {
		return e.Msg
	}
	return ""
}
