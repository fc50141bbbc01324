package passkey

import (
	"encoding/json"
	"os"
	"testing"

	"hufu/flows/factor/passkey/passkeytest"
)

func TestGen(t *testing.T) {
	var all []stored
	for _, c := range []struct {
		name          string
		uv, rk, be    bool
		discover      bool
	}{{"a passkey of a phone, synced", true, true, true, true}, {"a key that knows its user", true, true, false, false}, {"a key without storage that only feels a touch", false, false, false, false}} {
		f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
		device.UP, device.UV, device.Resident, device.BE, device.BS = true, c.uv, c.rk, c.be, c.be
		e := enrol(t, f, a, device, "c")
		options, _, err := f.Options(a, c.discover)
		if err != nil { t.Fatal(err) }
		text, err := device.Get(options)
		if err != nil { t.Fatal(err) }
		var o struct{ PublicKey struct{ Challenge string } }
		if err := json.Unmarshal(options, &o); err != nil { t.Fatal(err) }
		all = append(all, stored{Name: c.name, Record: e.Data, Counter: e.Counter, Handle: a.Handle, Discovered: c.discover, Challenge: o.PublicKey.Challenge, Assertion: json.RawMessage(text), UserVerified: c.uv, DeviceBound: !c.be})
	}
	b, _ := json.MarshalIndent(all, "", "\t")
	os.WriteFile("testdata/stored.json", append(b, '\n'), 0o644)
}
