package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/passkey/passkeytest"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

func TestHonest(t *testing.T) {
	f := newFactor(t)
	for name, c := range map[string]struct {
		bend func(*passkeytest.Authenticator)
		want idp.Proof
	}{
		"a phone":              {func(*passkeytest.Authenticator) {}, idp.Proof{UserVerified: true, DeviceBound: true}},
		"a synced passkey":     {func(d *passkeytest.Authenticator) { d.BE, d.BS = true, true }, idp.Proof{UserVerified: true}},
		"a key without a PIN":  {func(d *passkeytest.Authenticator) { d.UV, d.Counter = false, 7 }, idp.Proof{DeviceBound: true}},
		"a signed statement":   {func(d *passkeytest.Authenticator) { d.Format = "packed" }, idp.Proof{UserVerified: true, DeviceBound: true}},
		"another origin of us": {func(d *passkeytest.Authenticator) { d.Origin = other }, idp.Proof{UserVerified: true, DeviceBound: true}},
		"our Android app":      {func(d *passkeytest.Authenticator) { d.Origin = app }, idp.Proof{UserVerified: true, DeviceBound: true}},
	} {
		t.Run(name, func(t *testing.T) {
			a, device := newPerson(), passkeytest.New(origin)
			c.bend(device)
			e := enrol(t, f, a, device, "c")
			if e.Proof.UserVerified != c.want.UserVerified || e.Proof.DeviceBound != c.want.DeviceBound || e.Proof.Attested || e.Proof.Method != idp.MethodPasskey {
				t.Errorf("enrolled: %+v", e.Proof)
			}
			for _, discover := range []bool{false, true} {
				ans := get(t, f, a, device, discover)
				p := ans.Proof
				if !ans.Right || ans.Credential != "c" || ans.Data != nil || ans.Clone || p.Method != idp.MethodPasskey || !slices.Equal(p.Channels, []string{"key:c"}) ||
					p.UserVerified != c.want.UserVerified || p.DeviceBound != c.want.DeviceBound || p.Attested {
					t.Errorf("discover %v: %+v", discover, ans)
				}
				a.Credentials[0].Counter = max(a.Credentials[0].Counter, ans.Counter)
			}
		})
	}
}

// A key that keeps nothing itself is a second factor: it answers when it is asked for.
func TestNotResident(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	device.Resident = false
	e := enrol(t, f, a, device, "c")
	if info, err := f.Describe(e.Data); err != nil || info.Resident {
		t.Errorf("%+v %v", info, err)
	}
	if ans := get(t, f, a, device, false); !ans.Right {
		t.Errorf("as a second factor: %+v", ans)
	}
	options, _, err := f.Options(a, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := device.Get(options); err != passkeytest.ErrNotAllowed {
		t.Errorf("discovered: %v", err)
	}
}

// User verification counts in the ceremony it happened in, and only of a key that
// verified its user when it was enrolled: a finder sets a PIN of his own.
func TestUserVerification(t *testing.T) {
	f := newFactor(t)
	for _, enrolled := range []bool{false, true} {
		for _, now := range []bool{false, true} {
			a, device := newPerson(), passkeytest.New(origin)
			device.UV = enrolled
			enrol(t, f, a, device, "c")
			device.UV = now
			for range 2 {
				if ans := get(t, f, a, device, false); !ans.Right || ans.Proof.UserVerified != (enrolled && now) {
					t.Errorf("enrolled %v, now %v: %+v", enrolled, now, ans)
				}
			}
		}
	}
}

func TestClone(t *testing.T) {
	f := newFactor(t)
	for _, c := range []struct {
		stored, sent uint32
		right        bool
	}{{0, 0, true}, {0, 5, true}, {5, 6, true}, {5, 900, true}, {5, 5, false}, {5, 4, false}, {5, 0, false}, {1 << 31, 1<<31 + 1, true}, {1<<32 - 1, 1, false}} {
		a, device := newPerson(), passkeytest.New(origin)
		enrol(t, f, a, device, "c")
		a.Credentials[0].Counter = int64(c.stored)
		device.Counter = c.sent
		ans := get(t, f, a, device, false)
		if ans.Right != c.right || ans.Clone == c.right || ans.Credential != "c" || c.right && ans.Counter != int64(c.sent) || !c.right && ans.Reason != "key.clone" {
			t.Errorf("stored %d, sent %d: %+v", c.stored, c.sent, ans)
		}
	}
	// Two devices, one credential: whoever comes second is found out.
	a, device := newPerson(), passkeytest.New(origin)
	device.Counter = 1
	enrol(t, f, a, device, "c")
	thief := device.Copy()
	ans := get(t, f, a, thief, true)
	if !ans.Right {
		t.Fatalf("%+v", ans)
	}
	a.Credentials[0].Counter = ans.Counter
	if ans := get(t, f, a, device, false); ans.Right || !ans.Clone {
		t.Errorf("%+v", ans)
	}
}

// A blocked credential is right for nobody, and its owner is told once.
func TestBlocked(t *testing.T) {
	f, a, device, spare := newFactor(t), newPerson(), passkeytest.New(origin), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	enrol(t, f, a, spare, "spare")
	options, scratch, err := f.Options(a, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := device.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	a.Credentials[0].Blocked = "clone"
	a.Scratch = scratch
	if ans, err := f.Check(t.Context(), a, assertion(text)); err != nil || ans.Right || ans.Clone || ans.Reason != "key.clone" {
		t.Errorf("blocked since it was asked for: %+v %v", ans, err)
	}
	if options, _, err = f.Options(a, false); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Get(options); err != passkeytest.ErrNotAllowed {
		t.Errorf("a blocked key is asked for: %v", err)
	}
	if ans := get(t, f, a, device, true); ans.Right || ans.Clone || ans.Reason != "key.clone" {
		t.Errorf("discovered: %+v", ans)
	}
	if ans := get(t, f, a, spare, false); !ans.Right {
		t.Errorf("the spare one: %+v", ans)
	}
	a.Credentials[1].Blocked = "clone"
	if _, _, err := f.Options(a, false); idp.KindOf(err) != idp.Conflict {
		t.Errorf("nothing left to ask for: %v", err)
	}
}

// A key that was removed after the challenge does not spoil the others of the list.
func TestRemovedMeanwhile(t *testing.T) {
	f, a, device, spare := newFactor(t), newPerson(), passkeytest.New(origin), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	enrol(t, f, a, spare, "spare")
	options, scratch, err := f.Options(a, false)
	if err != nil {
		t.Fatal(err)
	}
	gone, err1 := device.Get(options)
	text, err2 := spare.Get(options)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	a.Credentials, a.Scratch = a.Credentials[1:], scratch
	if ans, err := f.Check(t.Context(), a, assertion(text)); err != nil || !ans.Right || ans.Credential != "spare" {
		t.Errorf("%+v %v", ans, err)
	}
	if ans, err := f.Check(t.Context(), a, assertion(gone)); err != nil || ans.Right || ans.Reason != "key.unknown" {
		t.Errorf("the removed one: %+v %v", ans, err)
	}
	// One that came afterwards was not asked for.
	late := passkeytest.New(origin)
	e, err := create(t, f, a, late)
	if err != nil {
		t.Fatal(err)
	}
	a.Credentials = append(a.Credentials, idp.Credential{ID: "late", Data: e.Data})
	open, _, err := f.Options(&factor.Attempt{Handle: a.Handle, Credentials: a.Credentials[1:]}, false)
	if err != nil {
		t.Fatal(err)
	}
	a.Scratch = scratch
	late.Mutate = func(p *passkeytest.Parts) { p.Challenge = challenge(t, options) }
	if text, err = late.Get(open); err != nil {
		t.Fatal(err)
	}
	if ans, err := f.Check(t.Context(), a, assertion(text)); err != nil || ans.Right || ans.Reason != "key.unknown" {
		t.Errorf("a later one: %+v %v", ans, err)
	}
}

func challenge(t *testing.T, options []byte) string {
	t.Helper()
	var o struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal(options, &o); err != nil || o.PublicKey.Challenge == "" {
		t.Fatalf("%s: %v", options, err)
	}
	return o.PublicKey.Challenge
}

// What is backed up may change and is kept; whether it may be backed up does not.
func TestBackupFlags(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	device.BE = true
	enrol(t, f, a, device, "c")
	for _, synced := range []bool{true, true, false} {
		device.BS = synced
		before, err := f.Describe(a.Credentials[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		ans := get(t, f, a, device, true)
		if !ans.Right || (ans.Data != nil) != (before.Synced != synced) || ans.Proof.DeviceBound {
			t.Fatalf("synced %v: %+v", synced, ans)
		}
		if ans.Data != nil {
			a.Credentials[0].Data = ans.Data
		}
		if info, err := f.Describe(a.Credentials[0].Data); err != nil || info.Synced != synced || info.DeviceBound {
			t.Errorf("%+v %v", info, err)
		}
	}
	device.BE, device.BS = false, false
	if ans := get(t, f, a, device, false); ans.Right || ans.Reason != "key.wrong" || ans.Credential != "c" {
		t.Errorf("bound to the device all at once: %+v", ans)
	}
	bound := passkeytest.New(origin)
	a = newPerson()
	enrol(t, f, a, bound, "b")
	bound.BE = true
	if ans := get(t, f, a, bound, false); ans.Right {
		t.Errorf("copied all at once: %+v", ans)
	}
}

// An assertion answers its own challenge, once and in time.
func TestChallenge(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	options, first, err := f.Options(a, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := device.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := f.Options(a, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, scratch := range map[string][]byte{"of before": second, "of a challenge that is used up": nil} {
		a.Scratch = scratch
		if ans, err := f.Check(t.Context(), a, assertion(text)); err != nil || ans.Right || ans.Reason != "key.stale" {
			t.Errorf("an answer %s: %+v %v", name, ans, err)
		}
	}
	a.Scratch = []byte("broken")
	if ans, err := f.Check(t.Context(), a, assertion(text)); err == nil || ans.Right {
		t.Errorf("a broken session: %+v %v", ans, err)
	}
	a.Scratch = first
	if ans, err := f.Check(t.Context(), a, assertion(text)); err != nil || !ans.Right {
		t.Errorf("its own: %+v %v", ans, err)
	}
}

func TestChallengeExpires(t *testing.T) {
	f := newFactor(t)
	for wait, right := range map[time.Duration]bool{299 * time.Second: true, 300 * time.Second: false, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			a, device := newPerson(), passkeytest.New(origin)
			options, scratch, err := f.EnrolOptions(a)
			if err != nil {
				t.Fatal(err)
			}
			text, err := device.Create(options)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			a.Scratch = scratch
			if _, err := f.CheckEnrol(a, attestation(text)); (err == nil) != right || !right && message(err) != "key.stale" {
				t.Errorf("enrolled after %v: %v", wait, err)
			}
			device = passkeytest.New(origin)
			enrol(t, f, a, device, "c")
			if options, scratch, err = f.Options(a, false); err != nil {
				t.Fatal(err)
			}
			if text, err = device.Get(options); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			a.Scratch = scratch
			ans, err := f.Check(t.Context(), a, assertion(text))
			if err != nil || ans.Right != right || !right && ans.Reason != "key.stale" {
				t.Errorf("signed in after %v: %+v %v", wait, ans, err)
			}
		})
	}
}

// A discovered credential says whose it is, and is believed only of him.
func TestDiscovered(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	for name, bend := range map[string]func(*passkeytest.Parts){
		"nobody's": func(p *passkeytest.Parts) { p.UserHandle = nil },
		"empty":    func(p *passkeytest.Parts) { p.UserHandle = []byte{} },
		"another":  func(p *passkeytest.Parts) { p.UserHandle = []byte("another handle") },
	} {
		device.Tamper = bend
		if ans := get(t, f, a, device, true); ans.Right {
			t.Errorf("a handle of %s: %+v", name, ans)
		}
	}
	device.Tamper = nil
	stranger := newPerson()
	stranger.Handle = []byte("another handle")
	stranger.Credentials = a.Credentials
	if ans := get(t, f, stranger, device, true); ans.Right {
		t.Errorf("for another person: %+v", ans)
	}
	if ans := get(t, f, &factor.Attempt{}, device, true); ans.Right || ans.Reason != "key.unknown" || ans.Credential != "" {
		t.Errorf("for nobody: %+v", ans)
	}
	if ans := get(t, f, &factor.Attempt{Credentials: a.Credentials}, device, true); ans.Right {
		t.Errorf("for a person without a handle: %+v", ans)
	}
	if ans := get(t, f, a, device, true); !ans.Right {
		t.Errorf("%+v", ans)
	}
}

func TestNamed(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	e := enrol(t, f, a, device, "c")
	options, _, err := f.Options(a, true)
	if err != nil {
		t.Fatal(err)
	}
	text, err := device.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := Named(assertion(text)); !ok || !bytes.Equal(id, e.RawID) {
		t.Errorf("%x %v, want %x", id, ok, e.RawID)
	}
	long := base64.RawURLEncoding.EncodeToString(make([]byte, 1024))
	for _, bad := range []string{"", "{}", "null", "[]", `{"rawId":""}`, `{"rawId":1}`, `{"rawId":"*"}`, `{"rawId":"` + long + `"}`, text + strings.Repeat(" ", 1<<14), text[:40]} {
		if id, ok := Named(assertion(bad)); ok {
			t.Errorf("%.40q names %x", bad, id)
		}
	}
}

func TestMalformed(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	for _, bad := range []string{"", "{}", "null", "[]", "x", `{"id":"AAAA","rawId":"AAAA","type":"public-key"}`, strings.Repeat("[", 1<<15), strings.Repeat("x", 1<<20)} {
		if ans, err := f.Check(t.Context(), a, assertion(bad)); message(err) != "key.malformed" || ans.Right {
			t.Errorf("assertion %.20q: %+v %v", bad, ans, err)
		}
		if _, err := f.CheckEnrol(a, attestation(bad)); message(err) != "key.malformed" {
			t.Errorf("attestation %.20q: %v", bad, err)
		}
	}
	a.Credentials[0].Data = []byte("broken")
	if _, _, err := f.Options(a, false); err == nil {
		t.Error("asks for a broken credential")
	}
}

// What a person has is excluded, and refused should a browser not care.
func TestExclusion(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	e := enrol(t, f, a, device, "c")
	options, _, err := f.EnrolOptions(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := device.Create(options); err != passkeytest.ErrExcluded {
		t.Errorf("the same device: %v", err)
	}
	rude := passkeytest.New(origin)
	id := base64.RawURLEncoding.EncodeToString(e.RawID)
	rude.Mutate = func(p *passkeytest.Parts) { p.CredentialID, p.ID, p.RawID = e.RawID, id, id }
	if _, err := create(t, f, a, rude); message(err) != "key.refused" {
		t.Errorf("the same credential: %v", err)
	}
}

func TestOptions(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New(origin)
	enrol(t, f, a, device, "c")
	for rules, want := range map[string]policy.Factors{"none": {}, "direct": {Attested: true}} {
		a.Rules = want
		options, _, err := f.EnrolOptions(a)
		if err != nil {
			t.Fatal(err)
		}
		var o struct {
			PublicKey struct {
				RP, User struct {
					ID, Name, DisplayName string
				}
				Params      []struct{ Alg int } `json:"pubKeyCredParams"`
				Timeout     int
				Exclude     []any `json:"excludeCredentials"`
				Attestation string
				Selection   struct{ ResidentKey, UserVerification string } `json:"authenticatorSelection"`
				Extensions  struct{ CredProps bool }
			}
		}
		if err := json.Unmarshal(options, &o); err != nil {
			t.Fatal(err)
		}
		p := o.PublicKey
		if p.RP.ID != domain || p.RP.Name != "Hufu" || p.User.ID != base64.RawURLEncoding.EncodeToString(a.Handle) || p.User.Name != "lin.wei" || p.User.DisplayName != "林薇" ||
			len(p.Params) != 3 || p.Params[0].Alg != -7 || p.Params[1].Alg != -8 || p.Params[2].Alg != -257 || p.Timeout != 300_000 || len(p.Exclude) != 1 ||
			p.Attestation != rules || p.Selection.ResidentKey != "preferred" || p.Selection.UserVerification != "preferred" || !p.Extensions.CredProps {
			t.Errorf("%s: %s", rules, options)
		}
	}
	options, _, err := f.Options(a, true)
	if s := string(options); err != nil || strings.Contains(s, "allowCredentials") || !strings.Contains(s, `"userVerification":"preferred"`) || !strings.Contains(s, `"timeout":300000`) {
		t.Errorf("%s %v", options, err)
	}
	again, _, err := f.Options(a, true)
	if err != nil || challenge(t, options) == challenge(t, again) || len(challenge(t, again)) < 43 {
		t.Errorf("challenges %s %s %v", challenge(t, options), challenge(t, again), err)
	}
}

// A credential of the domain of before is none.
func TestForeignDomain(t *testing.T) {
	f, a, device := newFactor(t), newPerson(), passkeytest.New("https://old.example")
	old, err := New(Config{ID: "old.example", Name: "Hufu", Origins: []string{"https://old.example"}})
	if err != nil {
		t.Fatal(err)
	}
	enrol(t, old, a, device, "c")
	if _, _, err := f.Options(a, false); idp.KindOf(err) != idp.Conflict {
		t.Errorf("%v", err)
	}
	device.Origin = origin
	options, scratch, err := f.Options(a, true)
	if err != nil {
		t.Fatal(err)
	}
	options = bytes.ReplaceAll(options, []byte(domain), []byte("old.example"))
	device.RPID = domain
	text, err := device.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	a.Scratch = scratch
	if ans, err := f.Check(t.Context(), a, assertion(text)); err != nil || ans.Right || ans.Reason != "key.unknown" {
		t.Errorf("%+v %v", ans, err)
	}
	if signal, err := f.Signal(a); err != nil || !strings.Contains(string(signal), `"allAcceptedCredentialIds":[]`) {
		t.Errorf("%s %v", signal, err)
	}
}

func TestDescribeAndSignal(t *testing.T) {
	f, a := newFactor(t), newPerson()
	device := passkeytest.New(origin)
	device.BE, device.BS, device.AAGUID = true, true, [16]byte{0xea, 0x9b, 0x8d, 15: 1}
	device.Transports = []string{"internal", "hybrid", "<script>", "internal", "cable"}
	e := enrol(t, f, a, device, "c")
	info, err := f.Describe(e.Data)
	if err != nil || !bytes.Equal(info.RawID, e.RawID) || !info.Synced || info.DeviceBound || !info.Resident || info.AAGUID != "ea9b8d00-0000-0000-0000-000000000001" ||
		info.Model != "" || info.Icon != "" || e.Label != "" {
		t.Errorf("%+v %v", info, err)
	}
	if !slices.Equal(info.Transports, []string{"hybrid", "internal"}) {
		t.Errorf("transports %q", info.Transports)
	}
	if _, err := f.Describe([]byte("broken")); err == nil {
		t.Error("describes broken data")
	}
	enrol(t, f, a, passkeytest.New(origin), "stopped")
	a.Credentials[1].Blocked = "clone"
	signal, err := f.Signal(a)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		RPID, UserID, Name, DisplayName string
		All                             []string `json:"allAcceptedCredentialIds"`
	}
	if err := json.Unmarshal(signal, &s); err != nil || s.RPID != domain || s.UserID != base64.RawURLEncoding.EncodeToString(a.Handle) || s.Name != "lin.wei" || s.DisplayName != "林薇" ||
		!slices.Equal(s.All, []string{base64.RawURLEncoding.EncodeToString(e.RawID)}) {
		t.Errorf("%s %v", signal, err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"localhost":         {ID: "localhost", Origins: []string{"http://localhost:8080"}},
		"a domain below":    {ID: domain, Origins: []string{"https://id.hufu.example"}},
		"a related one":     {ID: domain, Origins: []string{origin, "https://hufu.test"}},
		"one with its port": {ID: domain, Origins: []string{"https://hufu.example:8443"}},
		"an app":            {ID: domain, Origins: []string{origin}, AndroidKeyHashes: []string{apk}},
	} {
		c.Name = "Hufu"
		if _, err := New(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]Config{
		"no id":              {Origins: []string{origin}},
		"an address":         {ID: "127.0.0.1", Origins: []string{"http://127.0.0.1:8080"}},
		"upper case":         {ID: "Hufu.example", Origins: []string{origin}},
		"a URL":              {ID: origin, Origins: []string{origin}},
		"no origin":          {ID: domain},
		"another domain":     {ID: domain, Origins: []string{"https://hufu.test"}},
		"a longer name":      {ID: domain, Origins: []string{"https://myhufu.example"}},
		"a path":             {ID: domain, Origins: []string{origin + "/"}},
		"a user":             {ID: domain, Origins: []string{"https://x@hufu.example"}},
		"plain http":         {ID: domain, Origins: []string{"http://hufu.example"}},
		"its usual port":     {ID: domain, Origins: []string{"https://hufu.example:443"}},
		"half a port":        {ID: domain, Origins: []string{"https://hufu.example:"}},
		"another scheme":     {ID: domain, Origins: []string{"ftp://hufu.example"}},
		"upper case origin":  {ID: domain, Origins: []string{"https://Hufu.example"}},
		"an app as origin":   {ID: domain, Origins: []string{origin, app}},
		"a short hash":       {ID: domain, Origins: []string{origin}, AndroidKeyHashes: []string{"AAAA"}},
		"a hash with colons": {ID: domain, Origins: []string{origin}, AndroidKeyHashes: []string{"14:6D:E9"}},
		"a padded hash":      {ID: domain, Origins: []string{origin}, AndroidKeyHashes: []string{apk + "="}},
		"too many names":     {ID: domain, Origins: []string{origin, "https://a.test", "https://b.test", "https://c.test", "https://d.test", "https://e.test"}},
	} {
		c.Name = "Hufu"
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestRelatedOrigins(t *testing.T) {
	if doc := string(newFactor(t).RelatedOrigins()); doc != `{"origins":["`+origin+`","`+other+`"]}` {
		t.Error(doc)
	}
	f, err := New(Config{ID: domain, Name: "Hufu", Origins: []string{origin}})
	if err != nil || f.RelatedOrigins() != nil {
		t.Errorf("%s %v", f.RelatedOrigins(), err)
	}
}

func TestShow(t *testing.T) {
	f := newFactor(t)
	c, err := f.Show(t.Context(), &factor.Attempt{Login: "lin.wei", Action: "/flows/x/passkey", Trust: 30, Steps: true})
	p, ok := c.(templates.Key)
	if err != nil || !ok || p.Login != "lin.wei" || p.Passkey.Action != "/flows/x/passkey" || p.Passkey.Options != "/flows/x/passkey/challenge" || p.TrustDays != 30 || !p.Steps {
		t.Errorf("%+v %v", c, err)
	}
}
