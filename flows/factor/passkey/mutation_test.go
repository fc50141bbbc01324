package passkey

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"hufu/flows/factor/passkey/passkeytest"
)

type parts = passkeytest.Parts

// mutations bend every part of a ceremony. where says in which ones it must be
// refused: G an assertion, N an attestation of format none, P a packed one, signed as
// they are bent; g and p the same, bent after they were signed.
var mutations = []struct {
	field, name, where string
	bend               func(*parts)
}{
	{"Type", "another ceremony", "GN", func(p *parts) {
		p.Type = map[string]string{"webauthn.get": "webauthn.create", "webauthn.create": "webauthn.get"}[p.Type]
	}},
	{"Type", "none", "GNPgp", func(p *parts) { p.Type = "" }},
	{"Type", "payment", "GNPgp", func(p *parts) { p.Type = "payment.get" }},
	{"Challenge", "none", "GNPgp", func(p *parts) { p.Challenge = "" }},
	{"Challenge", "another", "GNPgp", func(p *parts) { p.Challenge = flip(p.Challenge) }},
	{"Challenge", "padded", "GNPgp", func(p *parts) { p.Challenge += "=" }},
	{"Challenge", "cut", "GNPgp", func(p *parts) { p.Challenge = p.Challenge[:22] }},
	{"Origin", "none", "GNPgp", func(p *parts) { p.Origin = "" }},
	{"Origin", "opaque", "GNPgp", func(p *parts) { p.Origin = "null" }},
	{"Origin", "foreign", "GNPgp", func(p *parts) { p.Origin = "https://hufu.example.evil.test" }},
	{"Origin", "a domain below", "GNPgp", func(p *parts) { p.Origin = "https://shop.hufu.example" }},
	{"Origin", "a longer name", "GNPgp", func(p *parts) { p.Origin = "https://myhufu.example" }},
	{"Origin", "another port", "GNPgp", func(p *parts) { p.Origin = origin + ":444" }},
	{"Origin", "its usual port", "GNPgp", func(p *parts) { p.Origin = origin + ":443" }},
	{"Origin", "a path", "GNPgp", func(p *parts) { p.Origin = origin + "/x" }},
	{"Origin", "upper case", "GNPgp", func(p *parts) { p.Origin = strings.ToUpper(origin) }},
	{"Origin", "plain http", "GNPgp", func(p *parts) { p.Origin = "http://hufu.example" }},
	{"Origin", "a foreign app", "GNPgp", func(p *parts) { p.Origin = "android:apk-key-hash:" + flip(apk) }},
	{"Origin", "an iOS app", "GNPgp", func(p *parts) { p.Origin = "ios:bundle-id:hufu" }},
	{"CrossOrigin", "in a frame", "GNPgp", func(p *parts) { p.CrossOrigin = true }},
	{"TopOrigin", "in a frame of ours", "GNPgp", func(p *parts) { p.CrossOrigin, p.TopOrigin = true, origin }},
	{"TopOrigin", "without a frame", "GNPgp", func(p *parts) { p.TopOrigin = "https://evil.test" }},
	{"ClientData", "none", "GNPgp", func(p *parts) { p.ClientData = []byte{} }},
	{"ClientData", "not JSON", "GNPgp", func(p *parts) { p.ClientData = []byte("{") }},
	{"ClientData", "null", "GNPgp", func(p *parts) { p.ClientData = []byte("null") }},
	{"ClientData", "a blank more", "gp", func(p *parts) {
		p.ClientData = []byte(`{"type":"` + p.Type + `", "challenge":"` + p.Challenge + `","origin":"` + p.Origin + `","crossOrigin":false}`)
	}},

	{"RPIDHash", "foreign", "GNPgp", func(p *parts) { p.RPIDHash = flipped(p.RPIDHash, 0) }},
	{"RPIDHash", "cut", "GNPgp", func(p *parts) { p.RPIDHash = p.RPIDHash[:31] }},
	{"RPIDHash", "none", "GNPgp", func(p *parts) { p.RPIDHash = nil }},
	{"Flags", "nobody there", "GNPgp", func(p *parts) { p.Flags &^= passkeytest.FlagUP }},
	{"Flags", "verified or not", "gp", func(p *parts) { p.Flags ^= passkeytest.FlagUV }},
	{"Flags", "backup eligible", "Ggp", func(p *parts) { p.Flags ^= passkeytest.FlagBE }},
	{"Flags", "backed up against its nature", "GNPgp", func(p *parts) { p.Flags |= passkeytest.FlagBS }},
	{"Flags", "credential or not", "GNPgp", func(p *parts) { p.Flags ^= passkeytest.FlagAT }},
	{"Flags", "a credential with an assertion", "G", func(p *parts) {
		p.Flags |= passkeytest.FlagAT
		p.AAGUID, p.CredentialID, p.PublicKey = make([]byte, 16), make([]byte, 16), map[int]any{1: 2, 3: -7, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)}
	}},
	{"Flags", "extensions without any", "GNPgp", func(p *parts) { p.Flags |= passkeytest.FlagED }},
	{"Flags", "reserved 1", "gp", func(p *parts) { p.Flags |= 1 << 1 }},
	{"Flags", "reserved 2", "gp", func(p *parts) { p.Flags |= 1 << 5 }},
	{"Counter", "higher", "gp", func(p *parts) { p.Counter += 1000 }},
	{"Counter", "lower", "Ggp", func(p *parts) { p.Counter-- }},
	{"Counter", "zero", "Ggp", func(p *parts) { p.Counter = 0 }},
	{"AuthExtension", "without the flag", "GNPgp", func(p *parts) { p.AuthExtension = []byte{0xa0} }},
	{"AuthExtension", "broken", "GNPgp", func(p *parts) { p.Flags |= passkeytest.FlagED; p.AuthExtension = []byte{0xa1} }},
	{"AuthExtension", "with more behind", "GNPgp", func(p *parts) { p.Flags |= passkeytest.FlagED; p.AuthExtension = []byte{0xa0, 0xa0} }},
	{"AuthExtension", "slipped in", "gp", func(p *parts) { p.Flags |= passkeytest.FlagED; p.AuthExtension = []byte{0xa0} }},
	{"AuthTail", "a byte", "GNPgp", func(p *parts) { p.AuthTail = []byte{0} }},

	{"AAGUID", "another", "p", func(p *parts) { p.AAGUID = flipped(p.AAGUID, 0) }},
	{"AAGUID", "cut", "NPp", func(p *parts) { p.AAGUID = p.AAGUID[:15] }},
	{"CredentialID", "another", "NPp", func(p *parts) { p.CredentialID = flipped(p.CredentialID, 0) }},
	{"CredentialID", "another, and so named", "p", func(p *parts) { rename(p, flipped(p.CredentialID, 0)) }},
	{"CredentialID", "none", "NPp", func(p *parts) { rename(p, nil) }},
	{"CredentialID", "too short to be random", "NPp", func(p *parts) { rename(p, p.CredentialID[:15]) }},
	{"CredentialID", "too long", "NPp", func(p *parts) { rename(p, make([]byte, 1024)) }},
	{"PublicKey", "another", "p", func(p *parts) { p.PublicKey[-2] = flipped(p.PublicKey[-2].([]byte), 5) }},
	{"PublicKey", "off the curve", "NPp", func(p *parts) { p.PublicKey[-2] = flipped(p.PublicKey[-2].([]byte), 5) }},
	{"PublicKey", "the point at zero", "NPp", func(p *parts) { p.PublicKey[-2], p.PublicKey[-3] = make([]byte, 32), make([]byte, 32) }},
	{"PublicKey", "half a point", "NPp", func(p *parts) { delete(p.PublicKey, -3) }},
	{"PublicKey", "of RS1", "NPp", func(p *parts) { p.PublicKey[3] = -65535 }},
	{"PublicKey", "of ES512", "NPp", func(p *parts) { p.PublicKey[3] = -36 }},
	{"PublicKey", "of no algorithm", "NPp", func(p *parts) { delete(p.PublicKey, 3) }},
	{"PublicKey", "of another kind", "NPp", func(p *parts) { p.PublicKey[1] = 1 }},
	{"PublicKey", "of another curve", "NPp", func(p *parts) { p.PublicKey[-1] = 2 }},
	{"PublicKey", "symmetric", "NPp", func(p *parts) { p.PublicKey = map[int]any{1: 4, 3: -7, -1: make([]byte, 32)} }},
	{"PublicKey", "a short RSA", "NPp", func(p *parts) {
		p.PublicKey = map[int]any{1: 3, 3: -257, -1: flipped(make([]byte, 128), 0), -2: []byte{1, 0, 1}}
	}},
	{"PublicKey", "none", "NPp", func(p *parts) { p.PublicKey = map[int]any{} }},

	{"Format", "unknown", "NPp", func(p *parts) { p.Format = "x" }},
	{"Format", "none", "NPp", func(p *parts) { p.Format = "" }},
	{"Format", "packed without a statement", "N", func(p *parts) { p.Format = "packed" }},
	{"Format", "none with a statement", "p", func(p *parts) { p.Format = "none" }},
	{"Format", "another", "Pp", func(p *parts) { p.Format = "fido-u2f" }},
	{"Statement", "of format none", "N", func(p *parts) { p.Statement = map[string]any{"x": 1} }},
	{"Statement", "none", "p", func(p *parts) { p.Statement = map[string]any{} }},
	{"Statement", "of another algorithm", "p", func(p *parts) { p.Statement["alg"] = -257 }},
	{"Statement", "without an algorithm", "p", func(p *parts) { delete(p.Statement, "alg") }},
	{"Statement", "without a signature", "p", func(p *parts) { delete(p.Statement, "sig") }},
	{"Statement", "with another signature", "p", func(p *parts) { p.Statement["sig"] = flipped(p.Statement["sig"].([]byte), 12) }},
	{"Statement", "with a cut signature", "p", func(p *parts) { p.Statement["sig"] = p.Statement["sig"].([]byte)[:60] }},
	{"Statement", "with a broken certificate", "p", func(p *parts) { p.Statement["x5c"] = [][]byte{{1}} }},
	{"Statement", "with no certificate", "p", func(p *parts) { p.Statement["x5c"] = [][]byte{} }},
	{"Statement", "of ECDAA", "p", func(p *parts) { p.Statement["ecdaaKeyId"] = []byte{1} }},
	{"ObjectTail", "a byte", "NPp", func(p *parts) { p.ObjectTail = []byte{0xf6} }},

	{"Signature", "none", "g", func(p *parts) { p.Signature = nil }},
	{"Signature", "another", "g", func(p *parts) { p.Signature = flipped(p.Signature, 12) }},
	{"Signature", "cut", "g", func(p *parts) { p.Signature = p.Signature[:len(p.Signature)-1] }},
	{"Signature", "longer", "g", func(p *parts) { p.Signature = append(p.Signature, 0) }},
	{"Signature", "zeros", "g", func(p *parts) { p.Signature = make([]byte, 70) }},
	{"UserHandle", "another", "Gg", func(p *parts) { p.UserHandle = flipped(p.UserHandle, 3) }},
	{"UserHandle", "longer", "Gg", func(p *parts) { p.UserHandle = append([]byte("x"), p.UserHandle...) }},
	{"ID", "another", "GNPgp", func(p *parts) { p.ID = flip(p.ID) }},
	{"ID", "none", "GNPgp", func(p *parts) { p.ID = "" }},
	{"ID", "in another alphabet", "GNPgp", func(p *parts) { p.ID = "+/" + p.ID }},
	{"ID", "both another", "GNPgp", func(p *parts) { p.ID, p.RawID = flip(p.ID), flip(p.ID) }},
	{"RawID", "another", "GNPgp", func(p *parts) { p.RawID = flip(p.RawID) }},
	{"RawID", "none", "GNPgp", func(p *parts) { p.RawID = "" }},
	{"Kind", "none", "GNPgp", func(p *parts) { p.Kind = "" }},
	{"Kind", "another", "GNPgp", func(p *parts) { p.Kind = "password" }},
	{"Extensions", "not asked for", "GNPgp", func(p *parts) { p.Extensions["appid"] = true }},
	{"Extensions", "unheard of", "GNPgp", func(p *parts) { p.Extensions["x"] = 1 }},
	{"Extensions", "not JSON of theirs", "GNPgp", func(p *parts) { p.Extensions["credProps"] = 1 }},
}

// harmless parts come unsigned and are cut to what is known.
var harmless = []string{"Transports"}

func flip(text string) string {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(flipped(b, 0))
}

func flipped(b []byte, at int) []byte {
	c := append([]byte{}, b...)
	c[at] ^= 1
	return c
}

func rename(p *parts, id []byte) {
	p.CredentialID = id
	p.ID = base64.RawURLEncoding.EncodeToString(id)
	p.RawID = p.ID
}

func TestEveryPartIsMutated(t *testing.T) {
	covered := map[string]bool{}
	for _, m := range mutations {
		covered[m.field] = true
	}
	for _, name := range harmless {
		covered[name] = true
	}
	for field := range reflect.TypeFor[parts]().Fields() {
		if !covered[field.Name] {
			t.Errorf("nothing mutates %s", field.Name)
		}
		delete(covered, field.Name)
	}
	if len(covered) > 0 {
		t.Errorf("no parts: %v", covered)
	}
}

func TestMutatedAssertions(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	device.Counter = 10
	enrol(t, f, a, device, "c")
	for _, m := range mutations {
		for _, discover := range []bool{false, true} {
			for where, hook := range map[string]*func(*parts){"G": &device.Mutate, "g": &device.Tamper} {
				if !strings.Contains(m.where, where) {
					continue
				}
				device.Counter = 11
				*hook = m.bend
				options, scratch, err := f.Options(a, discover)
				if err != nil {
					t.Fatal(err)
				}
				text, err := device.Get(options)
				if err != nil {
					t.Fatal(err)
				}
				*hook = nil
				a.Scratch = scratch
				ans, err := f.Check(t.Context(), a, assertion(text))
				if err != nil && message(err) != "key.malformed" || ans.Right || err == nil && ans.Reason == "" || ans.Data != nil || ans.Proof.Method != "" {
					t.Errorf("%s: %s (%s, discover %v): %+v %v", m.field, m.name, where, discover, ans, err)
				}
				if ans.Clone && (m.field != "Counter" || where == "g") {
					t.Errorf("%s: %s (%s) passes for a clone", m.field, m.name, where)
				}
			}
		}
	}
	device.Counter = 11
	if ans := get(t, f, a, device, true); !ans.Right {
		t.Errorf("nothing bent: %+v", ans)
	}
}

func TestMutatedAttestations(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	device.Counter = 10
	for _, m := range mutations {
		for where, c := range map[string]struct {
			format string
			hook   *func(*parts)
		}{"N": {"none", &device.Mutate}, "P": {"packed", &device.Mutate}, "p": {"packed", &device.Tamper}} {
			if !strings.Contains(m.where, where) {
				continue
			}
			device.Format = c.format
			*c.hook = m.bend
			_, err := create(t, f, a, device)
			if key := message(err); key != "key.refused" && key != "key.malformed" && key != "key.stale" {
				t.Errorf("%s: %s (%s): %v", m.field, m.name, where, err)
			}
			*c.hook = nil
		}
	}
	for _, format := range []string{"none", "packed"} {
		device.Format = format
		if _, err := create(t, f, a, device); err != nil {
			t.Errorf("nothing bent (%s): %v", format, cause(err))
		}
	}
}

// Every bit of what is signed counts.
func TestEveryBit(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	options, scratch, err := f.Options(a, false)
	if err != nil {
		t.Fatal(err)
	}
	var client []byte
	for bit := range 8 * (37 + 60) {
		device.Tamper = func(p *parts) {
			if at := bit / 8; at < 32 {
				p.RPIDHash = append([]byte{}, p.RPIDHash...)
				p.RPIDHash[at] ^= 1 << (bit % 8)
			} else if at == 32 {
				p.Flags ^= 1 << (bit % 8)
			} else if at < 37 {
				p.Counter ^= 1 << (bit % 32)
			} else {
				client = []byte(`{"challenge":"` + p.Challenge + `","crossOrigin":false,"origin":"` + p.Origin + `","type":"` + p.Type + `"}`)
				client[at-37] ^= 1 << (bit % 8)
				p.ClientData = client
			}
		}
		text, err := device.Get(options)
		if err != nil {
			t.Fatal(err)
		}
		a.Scratch = scratch
		if ans, err := f.Check(t.Context(), a, assertion(text)); ans.Right || err != nil && message(err) != "key.malformed" {
			t.Fatalf("bit %d: %+v %v", bit, ans, err)
		}
	}
}
