package passkey

import (
	"bytes"
	"testing"

	"hufu/flows/factor/passkey/passkeytest"
)

// seed adds answers that say little, and places of an honest one to be written over.
func seed(f *testing.F) {
	for _, text := range []string{"", "{}", "null", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`} {
		f.Add(-1, text)
	}
	for at := range 8 {
		f.Add(at*100, "A")
	}
	f.Add(0, "")
}

// patch writes over a part of an honest answer, or takes its place. Each process of a
// fuzzing run has keys of its own, so the honest answer is no seed itself.
func patch(honest string, at int, text string) string {
	if at < 0 || at > len(honest) {
		return text
	}
	return honest[:at] + text + honest[min(at+len(text), len(honest)):]
}

// Whatever comes, the parser stands, and only the person's credential is right.
func FuzzAssertion(f *testing.F) {
	seed(f)
	keys, a, device := newFactor(f), newPerson(), passkeytest.New(origin)
	e := enrol(f, keys, a, device, "c")
	options, scratch, err := keys.Options(a, false)
	if err != nil {
		f.Fatal(err)
	}
	honest, err := device.Get(options)
	if err != nil {
		f.Fatal(err)
	}
	a.Scratch = scratch
	f.Fuzz(func(t *testing.T, at int, text string) {
		text = patch(honest, at, text)
		id, named := Named(assertion(text))
		ans, err := keys.Check(t.Context(), a, assertion(text))
		if err != nil && message(err) != "key.malformed" || ans.Right && (ans.Credential != "c" || !named || !bytes.Equal(id, e.RawID)) || text == honest && !ans.Right {
			t.Fatalf("%q: %+v %v", text, ans, err)
		}
	})
}

func FuzzAttestation(f *testing.F) {
	seed(f)
	keys, a, device := newFactor(f), newPerson(), passkeytest.New(origin)
	options, scratch, err := keys.EnrolOptions(a)
	if err != nil {
		f.Fatal(err)
	}
	device.Format = "packed"
	honest, err := device.Create(options)
	if err != nil {
		f.Fatal(err)
	}
	a.Scratch = scratch
	f.Fuzz(func(t *testing.T, at int, text string) {
		text = patch(honest, at, text)
		e, err := keys.CheckEnrol(a, attestation(text))
		if err != nil && message(err) == "" || err == nil && (len(e.RawID) < 16 || len(e.Data) == 0) || text == honest && err != nil {
			t.Fatalf("%q: %+v %v", text, e, err)
		}
	})
}
