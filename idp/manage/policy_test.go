package manage

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// A council is a house with the shipped policy in force and two policy administrators who can sign in.
type council struct {
	*house
	one, two Actor
}

func newCouncil(t *testing.T, s *storage.Store) *council {
	t.Helper()
	h := newHouse(t, s)
	h.must(s.FoundEdition(t.Context(), policy.Default().Document.Format(), time.Now()))
	second := h.user(idp.RolePolicyAdmin, "", "second.admin")
	for _, u := range []idp.User{h.staff[idp.RolePolicyAdmin], second} {
		for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP} {
			h.must(s.AddCredential(t.Context(), &idp.Credential{UserID: u.ID, Method: m, Data: []byte("x")}))
		}
	}
	c := &council{house: h, one: h.as(idp.RolePolicyAdmin)}
	c.two = c.one
	c.two.User = second
	return c
}

// draft makes a draft of one's with a changed value.
func (c *council) draft(a Actor, path string, v any) idp.Edition {
	c.t.Helper()
	ctx := c.t.Context()
	e, err := c.DraftPolicy(ctx, a, 0)
	c.must(err)
	d, err := policy.Parse(e.Document)
	c.must(err)
	d.Rules[0].Set[path] = v
	c.must(c.SavePolicy(ctx, a, e.ID, e.Revision, "a change of "+path, d.Format()))
	return c.edition(e.ID)
}

func (c *council) edition(id string) idp.Edition {
	c.t.Helper()
	e, err := c.Store.Edition(c.t.Context(), id)
	c.must(err)
	return e
}

func (c *council) enforce() {
	c.t.Helper()
	_, err := c.Enforce(c.t.Context(), 0)
	c.must(err)
}

func eachCouncil(t *testing.T, story func(t *testing.T, c *council)) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) { story(t, newCouncil(t, s)) })
}

// The way of a policy: written by one, approved by another, in force for all, and back.
func TestPolicyWay(t *testing.T) {
	eachCouncil(t, func(t *testing.T, c *council) {
		ctx := t.Context()
		e := c.draft(c.one, "password.min_length", 12)
		diff, err := c.PolicyDiff(ctx, e, 0)
		c.must(err)
		if len(diff) != 1 || diff[0].Effect != policy.Stricter || diff[0].New != "12" {
			t.Errorf("diff: %+v", diff)
		}
		wants(t, c.ApprovePolicy(ctx, c.two, e.ID, Rollout{}), idp.Conflict, "moved")
		c.must(c.SubmitPolicy(ctx, c.one, e.ID, e.Revision))
		wants(t, c.SavePolicy(ctx, c.one, e.ID, e.Revision, "late", e.Document), idp.Conflict, "moved")
		wants(t, c.ApprovePolicy(ctx, c.one, e.ID, Rollout{}), idp.Forbidden, "policy.own")
		for _, role := range []idp.Role{idp.RoleSupportAgent, idp.RoleSupportSupervisor, idp.RoleAuditor} {
			wants(t, c.ApprovePolicy(ctx, c.as(role), e.ID, Rollout{}), idp.Forbidden, "forbidden")
		}
		c.must(c.ApprovePolicy(ctx, c.two, e.ID, Rollout{}))
		c.enforce()
		if p := c.Policy.Now(); p.Version != 2 || p.Password.MinLength != 12 {
			t.Errorf("in force: v%d, %d", p.Version, p.Password.MinLength)
		}
		back, err := c.RollBackPolicy(ctx, c.one, 1)
		c.must(err)
		wants(t, c.ApprovePolicy(ctx, c.one, back.ID, Rollout{}), idp.Forbidden, "policy.own")
		c.must(c.ApprovePolicy(ctx, c.two, back.ID, Rollout{}))
		c.enforce()
		if p := c.Policy.Now(); p.Version != 3 || p.Password.MinLength != 10 {
			t.Errorf("rolled back: v%d, %d", p.Version, p.Password.MinLength)
		}
		var names []string
		for _, ev := range c.events(storage.EventFilter{}) {
			if len(ev.Name) > 7 && ev.Name[:7] == "policy." {
				names = append(names, ev.Name)
			}
		}
		slices.Reverse(names)
		if want := []string{"policy.drafted", "policy.submitted", "policy.activated", "policy.approved", "policy.rolledback", "policy.activated", "policy.approved"}; !slices.Equal(names, want) {
			t.Errorf("events: %v", names)
		}
	})
}

// Two who edit at once: the second hears of it and loses nothing, and a draft of an old policy is not submitted unseen.
func TestPolicyTwoAtOnce(t *testing.T) {
	eachCouncil(t, func(t *testing.T, c *council) {
		ctx := t.Context()
		e := c.draft(c.one, "session.most", 40)
		c.must(c.SavePolicy(ctx, c.two, e.ID, e.Revision, "the second's", e.Document))
		wants(t, c.SavePolicy(ctx, c.one, e.ID, e.Revision, "the first's", e.Document), idp.Conflict, "moved")
		if now := c.edition(e.ID); now.Title != "the second's" {
			t.Errorf("%q was overwritten", now.Title)
		}
		other := c.draft(c.one, "session.most", 30)
		e = c.edition(e.ID)
		c.must(c.SubmitPolicy(ctx, c.one, e.ID, e.Revision))
		c.must(c.ApprovePolicy(ctx, c.two, e.ID, Rollout{}))
		err := c.SubmitPolicy(ctx, c.one, other.ID, other.Revision)
		wants(t, err, idp.Invalid, "policy.outdated")
		c.must(c.RebasePolicy(ctx, c.one, other.ID, other.Revision))
		other = c.edition(other.ID)
		c.must(c.SubmitPolicy(ctx, c.one, other.ID, other.Revision))

		// Of many who approve at once one is first, and one edition is in force.
		var wg sync.WaitGroup
		var won sync.Map
		for i := range 8 {
			wg.Go(func() {
				if c.ApprovePolicy(ctx, c.two, other.ID, Rollout{}) == nil {
					won.Store(i, true)
				}
			})
		}
		wg.Wait()
		n := 0
		won.Range(func(any, any) bool { n++; return true })
		active, err := c.Store.Editions(ctx, storage.EditionFilter{State: idp.EditionActive}, 10)
		c.must(err)
		if n != 1 || len(active) != 1 || active[0].ID != other.ID {
			t.Errorf("%d approvals, %d in force", n, len(active))
		}
	})
}

// A policy that contradicts itself, or under which no administrator could sign in, is refused with the path; what was
// usable when it was approved is looked at again.
func TestPolicyRefused(t *testing.T) {
	eachCouncil(t, func(t *testing.T, c *council) {
		ctx := t.Context()
		e, err := c.DraftPolicy(ctx, c.one, 0)
		c.must(err)
		bad := bytes.Replace(e.Document, []byte(`"min_length": 10`), []byte(`"min_length": 3`), 1)
		if p := policy.ProblemsOf(c.SavePolicy(ctx, c.one, e.ID, e.Revision, "x title", bad)); len(p) != 1 || p[0].Path != "rules[0].set.password.min_length" {
			t.Errorf("%v", p)
		}
		wants(t, c.SubmitPolicy(ctx, c.one, e.ID, e.Revision), idp.Invalid, "untitled")
		keys := c.draft(c.one, "factors.kinds", []string{"passkey"})
		if p := policy.ProblemsOf(c.SubmitPolicy(ctx, c.one, keys.ID, keys.Revision)); len(p) != 1 || p[0].Key != "policy.bad.administrators" {
			t.Errorf("nobody holds a passkey: %v", p)
		}
		c.must(c.Store.AddCredential(ctx, &idp.Credential{UserID: c.two.User.ID, Method: idp.MethodPasskey, Data: []byte("x"), Lookup: []byte("0123456789abcdef")}))
		c.must(c.SubmitPolicy(ctx, c.one, keys.ID, keys.Revision))
		c.must(c.ApprovePolicy(ctx, c.two, keys.ID, Rollout{ActivateAt: time.Now().Add(time.Hour)}))
		creds, err := c.Store.Credentials(ctx, c.two.User.ID)
		c.must(err)
		for _, cr := range creds {
			if cr.Method == idp.MethodPasskey {
				_, err := c.Store.RemoveCredential(ctx, c.two.User.ID, cr.ID)
				c.must(err)
			}
		}
		if p := policy.ProblemsOf(c.ActivateDue(ctx, time.Now().Add(2*time.Hour))); len(p) != 1 {
			t.Errorf("locks every administrator out, and is put in force: %v", p)
		}
		for name, how := range map[string]Rollout{"percent": {Percent: 100}, "merchant_unknown": {Merchants: []string{"1"}}, "late": {ActivateAt: time.Now().Add(91 * 24 * time.Hour)}} {
			wants(t, c.ApprovePolicy(ctx, c.two, keys.ID, how), idp.Invalid, "policy."+name)
		}
	})
}

// What was due while the server was down comes into force once, by one of many replicas; until then a canary holds for
// the merchants that it names.
func TestPolicyScheduled(t *testing.T) {
	eachCouncil(t, func(t *testing.T, c *council) {
		ctx := t.Context()
		e := c.draft(c.one, "session.most", 40)
		c.must(c.SubmitPolicy(ctx, c.one, e.ID, e.Revision))
		c.must(c.ApprovePolicy(ctx, c.two, e.ID, Rollout{ActivateAt: time.Now().Add(time.Hour), Merchants: []string{c.merchant.No}}))
		c.enforce()
		there := policy.Facts{User: "u", Role: idp.RoleCashier, Tier: idp.TierMicro, Merchant: c.merchant.No}
		elsewhere := there
		elsewhere.Merchant = "2"
		if a, b := c.Policy.For(there).Session.Most, c.Policy.For(elsewhere).Session.Most; a != 40 || b != 50 {
			t.Errorf("tried out: %d there, %d elsewhere", a, b)
		}
		c.must(c.ActivateDue(ctx, time.Now()))
		c.enforce()
		if c.Policy.Now().Version != 1 {
			t.Fatal("in force early")
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if err := c.ActivateDue(ctx, time.Now().Add(2*time.Hour)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		c.enforce()
		if v := c.Policy.Now(); v.Version != 2 || c.Policy.For(elsewhere).Session.Most != 40 {
			t.Errorf("v%d in force", v.Version)
		}
		if n := len(c.events(storage.EventFilter{Name: "policy.activated"})); n != 1 {
			t.Errorf("activated %d times", n)
		}
	})
}

// In an emergency one person is enough, with two reasons; every administrator hears of it.
func TestPolicyEmergency(t *testing.T) {
	eachCouncil(t, func(t *testing.T, c *council) {
		ctx := t.Context()
		e := c.draft(c.one, "session.most", 5)
		wants(t, c.ActivateInEmergency(ctx, c.one, e.ID, e.Revision, ""), idp.Invalid, "second_reason")
		wants(t, c.ActivateInEmergency(ctx, c.one, e.ID, e.Revision, c.one.Reason), idp.Invalid, "second_same")
		c.must(c.ActivateInEmergency(ctx, c.one, e.ID, e.Revision, "told the head of risk by phone"))
		c.enforce()
		if c.Policy.Now().Session.Most != 5 || !c.edition(e.ID).Emergency {
			t.Error("not in force")
		}
		told := map[string]bool{}
		all, err := c.Store.Messages(ctx, 50)
		c.must(err)
		for _, m := range all {
			if m.Template == "policy.emergency" {
				told[m.UserID] = true
			}
		}
		if len(told) != 2 {
			t.Errorf("%d administrators told", len(told))
		}
		withdrawn := c.draft(c.one, "session.most", 6)
		c.must(c.WithdrawPolicy(ctx, c.one, withdrawn.ID))
		wants(t, c.SubmitPolicy(ctx, c.one, withdrawn.ID, withdrawn.Revision), idp.Conflict, "moved")
	})
}

// A simulation counts what a second way of counting does, one person at a time, names whom, and can be stopped.
func TestSimulation(t *testing.T) {
	eachCouncil(t, func(t *testing.T, c *council) {
		ctx := t.Context()
		r := rand.New(rand.NewPCG(4, 2))
		roles := []idp.Role{idp.RoleOwner, idp.RoleManager, idp.RoleCashier}
		for i := range 60 {
			u := idp.User{Name: "n", Language: "zh-CN", Role: roles[r.IntN(3)], MerchantID: c.merchant.ID, Status: idp.UserActive, GraceFrom: time.Now().AddDate(0, 0, -r.IntN(30))}
			c.must(c.Store.CreateUser(ctx, &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: fmt.Sprint("sim.", i)}))
			pw := idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte("x")}
			c.must(c.Store.AddCredential(ctx, &pw))
			if r.IntN(2) == 0 {
				c.must(c.Store.Measure(ctx, pw.ID, 1, fmt.Appendf(nil, `{"length":%d,"classes":%d,"score":%d}`, 8+r.IntN(12), 1+r.IntN(4), r.IntN(5)), 1, false, time.Now()))
			}
			if r.IntN(3) == 0 {
				c.must(c.Store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Data: []byte("x")}))
			}
			c.must(c.Store.Append(ctx, idp.Event{Name: "signin.succeeded", Subject: u.ID, Data: map[string]any{"acr": idp.ACR(1 + r.IntN(2)).String()}}))
		}
		e := c.draft(c.one, "password.min_length_alone", 16)
		d, err := policy.Parse(e.Document)
		c.must(err)
		d.Rules[0].Set["password.min_length"], d.Rules[0].Set["factors.sign_in"] = 14, idp.ACR2
		c.must(c.SavePolicy(ctx, c.one, e.ID, e.Revision, "all with two factors", d.Format()))
		run, err := c.SimulatePolicy(ctx, c.one, e.ID)
		c.must(err)
		wants(t, func() error { _, err := c.SimulatePolicy(ctx, c.as(idp.RoleAuditor), e.ID); return err }(), idp.Forbidden, "forbidden")
		worked, err := c.Simulate(ctx)
		c.must(err)
		run, err = c.Store.Simulation(ctx, run.ID)
		c.must(err)
		if !worked || run.State != idp.SimulationDone || run.Done != run.Total {
			t.Fatalf("%v %+v", worked, run)
		}
		tally := policy.ReadTally(run.Result)
		want := c.bruteForce(ctx, e.ID)
		for _, name := range []string{"must_recheck", "must_enrol", "unmeasured", "locked_out"} {
			if tally.By[name] != want[name] {
				t.Errorf("%s: %d, want %d", name, tally.By[name], want[name])
			}
		}
		if tally.By["must_recheck"] == 0 || tally.By["must_enrol"] == 0 || tally.SignIns != 60 || tally.Asked == 0 || tally.Asked >= 60 {
			t.Errorf("%+v", tally)
		}
		people, err := c.Store.SimulatedPeople(ctx, run.ID, "", policy.MustRecheck, 1000)
		c.must(err)
		if int64(len(people)) != tally.By["must_recheck"] {
			t.Errorf("%d named, %d counted", len(people), tally.By["must_recheck"])
		}
		var split int64
		for _, group := range tally.Split {
			split += group["must_enrol"]
		}
		if split != tally.By["must_enrol"] {
			t.Errorf("split adds up to %d of %d", split, tally.By["must_enrol"])
		}
		stopped, err := c.SimulatePolicy(ctx, c.one, e.ID)
		c.must(err)
		c.must(c.StopSimulation(ctx, c.one, stopped.ID))
		if worked, err := c.Simulate(ctx); worked || err != nil {
			t.Errorf("a stopped run goes on: %v %v", worked, err)
		}
	})
}

// bruteForce counts effects by looking at everybody one by one, with rules written out for this draft.
func (c *council) bruteForce(ctx context.Context, edition string) map[string]int64 {
	c.t.Helper()
	will, err := c.Manager.edition(ctx, edition)
	c.must(err)
	was, out := c.Policy.Now(), map[string]int64{}
	people, err := c.Store.Population(ctx, "", time.Now(), 10_000)
	c.must(err)
	for _, p := range people {
		who := personOf(p)
		before, after := was.For(who.Facts), will.For(who.Facts)
		alone := !p.TOTP && !p.Passkey
		least := func(s *policy.Settings) int {
			if alone {
				return s.Password.MinLengthAlone
			}
			return s.Password.MinLength
		}
		switch m := who.Measures; {
		case p.PasswordAt.IsZero():
		case m == nil:
			if least(after) > least(before) || after.Password.MinLength > before.Password.MinLength {
				out["unmeasured"]++
			}
		case m.Length < least(after) && m.Length >= least(before) && m.Score >= before.Password.MinScore:
			out["must_recheck"]++
		}
		demanded := func(s *policy.Settings) bool {
			return s.Factors.SignIn >= idp.ACR2 && alone && time.Since(p.GraceFrom) >= time.Duration(s.Factors.GraceDays)*24*time.Hour
		}
		if demanded(after) && !demanded(before) {
			out["must_enrol"]++
			if !p.Channel {
				out["locked_out"]++
			}
		}
	}
	return out
}
