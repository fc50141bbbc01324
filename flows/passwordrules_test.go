package flows

import (
	"fmt"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/phc"
)

// keeper is somebody who has changed his password once an hour: "password 0" is the oldest,
// "password n" the present one.
func (w *world) keeper(login string, n int) *State {
	w.t.Helper()
	ctx := w.t.Context()
	w.Hasher = phc.NewHasher(2)
	u := idp.User{Name: "某人", Language: "zh-CN", Role: idp.RoleAuditor, Status: idp.UserActive}
	must(w.t, w.Store.CreateUser(ctx, &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: login}))
	c := idp.Credential{UserID: u.ID, Method: idp.MethodPassword}
	for i := range n + 1 {
		hash, err := w.Hasher.Hash(ctx, fmt.Sprint("password ", i))
		must(w.t, err)
		if i == 0 {
			c.Data = []byte(hash)
			must(w.t, w.Store.AddCredential(ctx, &c))
			continue
		}
		time.Sleep(time.Hour)
		ok, err := w.Store.ReplaceCredential(ctx, c.ID, int64(i), []byte(hash))
		if !ok || err != nil {
			w.t.Fatal(ok, err)
		}
	}
	creds, err := w.Store.Credentials(ctx, u.ID)
	must(w.t, err)
	return &State{engine: w.Engine, user: &u, creds: creds}
}

// Policy says how many passwords back one cannot be used again, the present one being the
// first, and for how many days.
func TestUsedBefore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const last = 6
		s := w.keeper("keeper", last)
		used := func(i int) string {
			key, err := s.usedBefore(t.Context(), fmt.Sprint("password ", i))
			must(t, err)
			return key
		}
		for count := range 5 {
			w.rule("password.history_count", max(count, 1))
			w.rule("password.history_days", 0)
			w.rule("password.history_count", count)
			for back := max(0, count-2); back <= count; back++ { // the limit itself, one less and one more
				want := ""
				if back < count {
					want = "password.used"
				}
				if back == 0 {
					want = "password.same"
				}
				if got := used(last - back); got != want {
					t.Errorf("%d kept, %d back: %q, want %q", count, back, got, want)
				}
			}
		}
		// password 5 was replaced when password 6 came, just now; 3 three hours before that.
		w.rule("password.history_count", 1)
		w.rule("password.history_days", 2)
		time.Sleep(2*24*time.Hour - 2*time.Hour - time.Second)
		for back, want := range map[int]string{1: "password.used", 2: "password.used", 3: "password.used", 4: ""} {
			if got := used(last - back); got != want {
				t.Errorf("two days kept, %d back: %q, want %q", back, got, want)
			}
		}
		if got := used(99); got != "" {
			t.Errorf("a new one: %q", got)
		}
	})
}

// A password cannot be changed again before its least age, unless policy demands the change;
// from its greatest age on the sign-in asks for a new one.
func TestPasswordAges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.keeper("aged", 0)
		w.rule("password.min_age_hours", 5)
		w.rule("password.max_age_days", 2)
		s.Demand.Kind = idp.FlowPassword
		expect := func(when string, soon, must bool) {
			t.Helper()
			if s.tooSoon() != soon || s.mustChange() != must {
				t.Errorf("%s: too soon %v, must change %v", when, s.tooSoon(), s.mustChange())
			}
		}
		expect("at once", true, false)
		s.user.MustChange = true
		expect("at once, after a reset", false, true)
		s.user.MustChange = false
		time.Sleep(5*time.Hour - time.Second)
		expect("a second before the least age", true, false)
		time.Sleep(time.Second)
		expect("at the least age", false, false)
		time.Sleep(43 * time.Hour)
		expect("at the greatest age", false, false)
		time.Sleep(time.Second)
		expect("past the greatest age", false, true)
		w.rule("password.min_age_hours", 0)
		w.rule("password.max_age_days", 0)
		expect("ages off", false, false)
	})
}
