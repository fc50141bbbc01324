package manage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// Every number of the first page is what one gets by looking at all rows, one by one.
func TestBoardEqualsBruteForce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h := newHouse(t, s)
		zone := time.FixedZone("UTC+8", 8*3600)
		now := time.Date(2026, 3, 10, 15, 4, 5, 0, zone)
		w := &crowdedWorld{house: h, now: now, zone: zone, dice: rand.New(rand.NewPCG(1, 2))}
		w.people()
		w.things()
		w.history()
		b, err := h.Board(t.Context(), now, zone)
		h.must(err)
		w.compare(b)
		w.adopted(b)

		// What happens now is counted a minute later; a day that is over is not read again.
		h.must(s.Append(t.Context(), idp.Event{Name: "signin.succeeded", At: now}))
		h.must(s.Append(t.Context(), idp.Event{Name: "signin.succeeded", At: now.AddDate(0, 0, -3)}))
		again, err := h.Board(t.Context(), now.Add(30*time.Second), zone)
		h.must(err)
		later, err := h.Board(t.Context(), now.Add(time.Minute), zone)
		h.must(err)
		if again.Days[13].SignIns != b.Days[13].SignIns || later.Days[13].SignIns != b.Days[13].SignIns+1 || later.Days[10].SignIns != b.Days[10].SignIns {
			t.Errorf("today: %d, %d, %d; three days ago: %d, %d", b.Days[13].SignIns, again.Days[13].SignIns, later.Days[13].SignIns, b.Days[10].SignIns, later.Days[10].SignIns)
		}
		next, err := h.Board(t.Context(), now.AddDate(0, 0, 1), zone)
		h.must(err)
		if len(next.Days) != 14 || next.Days[12].SignIns != later.Days[13].SignIns || next.Days[13].SignIns != 0 {
			t.Errorf("the next day: %+v", next.Days)
		}
	})
}

// adopted: what was counted stays with its day, and who counts a second time in a while does
// not count at all.
func (w *crowdedWorld) adopted(b Board) {
	w.t.Helper()
	if got := b.Adopted; len(got) != 14 || got[12] != (storage.Adoption{}) || got[13] != b.Adoption {
		w.t.Errorf("before anybody counted: %+v", got)
	}
	ctx, was := w.t.Context(), b.Adoption
	for _, at := range []time.Time{w.now, w.now.Add(2 * time.Hour), w.now.Add(12 * time.Hour), w.now.Add(14 * time.Hour)} { // the last two are tomorrow's
		w.must(w.KeepAdoption(ctx, at))
		u := idp.User{Name: "p", Language: "en", Role: idp.RoleCashier, MerchantID: w.merchant.ID, Status: idp.UserActive}
		w.must(w.Store.CreateUser(ctx, &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: idp.NewID()}))
	}
	later, err := (&Manager{Store: w.Store}).Board(ctx, w.now.AddDate(0, 0, 2), w.zone)
	w.must(err)
	want := []storage.Adoption{{}, {People: was.People, Second: was.Second}, {People: was.People + 2, Second: was.Second}}
	if got := later.Adopted; len(got) != 14 || !slices.Equal(got[10:13], want) || got[13].People != was.People+4 {
		w.t.Errorf("kept: %+v, want %+v", got[10:], want)
	}
}

type crowdedWorld struct {
	*house
	now   time.Time
	zone  *time.Location
	dice  *rand.Rand
	users []idp.User
	log   []idp.Event
}

func (w *crowdedWorld) people() {
	ctx := w.t.Context()
	for i := range 40 {
		u := idp.User{Name: "p", Language: "en", Role: idp.RoleCashier, MerchantID: w.merchant.ID, Status: []idp.UserStatus{idp.UserActive, idp.UserInvited, idp.UserDisabled}[w.dice.IntN(3)]}
		w.must(w.Store.CreateUser(ctx, &u, &idp.Identifier{Kind: idp.IdentifierUsername, Value: fmt.Sprint("crowd", i)}))
		if w.dice.IntN(4) == 0 {
			_, err := w.Store.LockUser(ctx, u.ID, "reason")
			w.must(err)
		}
		if w.dice.IntN(4) == 0 {
			_, err := w.Store.FreezeUser(ctx, u.ID, w.now)
			w.must(err)
		}
		for _, m := range []idp.Method{idp.MethodPassword, idp.MethodTOTP, idp.MethodPasskey, idp.MethodPasskey, idp.MethodBackup} {
			if w.dice.IntN(2) == 0 {
				c := idp.Credential{UserID: u.ID, Method: m, Data: []byte("{}"), Pending: w.dice.IntN(5) == 0}
				w.must(w.Store.AddCredential(ctx, &c))
				if w.dice.IntN(5) == 0 {
					_, err := w.Store.BlockCredential(ctx, c.ID, "clone")
					w.must(err)
				}
			}
		}
	}
	for after := ""; ; {
		list, err := w.Store.Users(ctx, storage.UserFilter{After: after}, 7)
		w.must(err)
		if len(list) == 0 {
			return
		}
		w.users, after = append(w.users, list...), list[len(list)-1].ID
	}
}

func (w *crowdedWorld) things() {
	ctx := w.t.Context()
	for i := range 30 {
		d := idp.Terminal{Serial: fmt.Sprintf("HFX%05d", i), Model: "m", Kind: idp.TerminalESign, MerchantID: w.merchant.ID, StoreID: w.store.ID,
			State: []idp.TerminalState{idp.TerminalNew, idp.TerminalActive, idp.TerminalLost, idp.TerminalRetired}[w.dice.IntN(4)], LastSeenAt: w.now.Add(-time.Duration(w.dice.IntN(48)) * time.Hour)}
		w.must(w.Store.CreateTerminal(ctx, &d))
		m := idp.Message{UserID: w.owner.ID, Channel: []idp.ChannelKind{idp.ChannelSMS, idp.ChannelMail}[w.dice.IntN(2)], To: "+8613800000001", Template: "frozen"}
		w.must(w.Store.Queue(ctx, &m))
		switch w.dice.IntN(3) {
		case 0:
			w.must(w.Store.MessageSent(ctx, m, "r", w.now.Add(-time.Duration(w.dice.IntN(48))*time.Hour)))
		case 1:
			_, err := w.Store.MessageDead(ctx, m, "refused", w.now)
			w.must(err)
		}
		c := idp.Case{Kind: "notme", UserID: w.owner.ID, Merchant: []string{"", w.merchant.ID}[w.dice.IntN(2)], OpenedAt: w.now, DueAt: w.now.Add(time.Duration(w.dice.IntN(48)) * time.Hour)}
		w.must(w.Store.OpenCase(ctx, &c))
		if w.dice.IntN(3) == 0 {
			_, err := w.Store.CloseCase(ctx, c.ID, w.now)
			w.must(err)
		}
	}
}

func (w *crowdedWorld) history() {
	names := []string{"signin.succeeded", "signin.failed", "signin.failed", "lock.wait", "lock.browser", "lock.closed", "lock.account", "account.frozen", "case.opened", "recovery.started", "recovery.completed", "signin.refused"}
	for range 600 {
		at := w.now.Add(-time.Duration(w.dice.Int64N(int64(18 * 24 * time.Hour)))).Truncate(time.Microsecond)
		switch w.dice.IntN(20) {
		case 0: // the last and the first moment of a day
			at = time.Date(2026, 3, 1+w.dice.IntN(9), 0, 0, 0, 0, w.zone)
		case 1:
			at = time.Date(2026, 3, 1+w.dice.IntN(9), 0, 0, 0, 0, w.zone).Add(-time.Microsecond)
		}
		e := idp.Event{Name: names[w.dice.IntN(len(names))], At: at}
		if e.Name == "signin.failed" {
			e.Reason = []string{"pw.wrong", "otp.wrong", "unknown", ""}[w.dice.IntN(4)]
		}
		w.must(w.Store.Append(w.t.Context(), e))
		w.log = append(w.log, e)
	}
}

func (w *crowdedWorld) compare(b Board) {
	w.t.Helper()
	if len(b.Days) != 14 {
		w.t.Fatalf("%d days", len(b.Days))
	}
	for i, got := range b.Days {
		start := time.Date(2026, 3, 10-13+i, 0, 0, 0, 0, w.zone)
		want := storage.Day{Start: start, Causes: map[string]int64{}}
		for _, e := range w.log {
			if e.At.Before(start) || !e.At.Before(start.AddDate(0, 0, 1)) {
				continue
			}
			switch e.Name {
			case "signin.succeeded":
				want.SignIns++
			case "signin.failed":
				want.Failures++
				want.Causes[e.Reason]++
			case "lock.wait", "lock.browser":
				want.Waits++
			case "lock.closed":
				want.Closed++
			case "lock.account":
				want.Locked++
			case "account.frozen":
				want.Frozen++
			case "recovery.started":
				want.Begun++
			case "recovery.completed":
				want.Recovered++
			case "case.opened":
				want.Cases++
			}
		}
		if !got.Start.Equal(start) || !maps.Equal(got.Causes, want.Causes) || fmt.Sprint(got.SignIns, got.Failures, got.Waits, got.Closed, got.Locked, got.Frozen, got.Cases, got.Begun, got.Recovered) !=
			fmt.Sprint(want.SignIns, want.Failures, want.Waits, want.Closed, want.Locked, want.Frozen, want.Cases, want.Begun, want.Recovered) {
			w.t.Errorf("day %d: %+v, want %+v", i, got, want)
		}
	}
	w.compareNow(b)
	w.compareAdoption(b.Adoption)
}

func (w *crowdedWorld) compareNow(b Board) {
	w.t.Helper()
	ctx, n := w.t.Context(), b.Now
	want := storage.Standing{Users: map[string]int64{}, Merchants: map[string]int64{}, Terminals: map[string]int64{}, Sent: map[idp.ChannelKind]int64{}, Due: map[idp.ChannelKind]int64{}, Dead: map[idp.ChannelKind]int64{}}
	for _, u := range w.users {
		want.Users[string(u.Status)]++
		if u.Locked != "" {
			want.Locked++
		}
		if u.Frozen {
			want.Frozen++
		}
	}
	terminals, err := w.Store.Terminals(ctx, "", "", 1000)
	w.must(err)
	for _, d := range terminals {
		want.Terminals[string(d.State)]++
		if !d.LastSeenAt.Before(w.now.Add(-24 * time.Hour)) {
			want.Seen++
		}
	}
	cases, err := w.Store.Cases(ctx, storage.CaseFilter{State: idp.CaseOpen}, 1000)
	w.must(err)
	for _, c := range cases {
		for into, counts := range map[*storage.CasesOpen]bool{&want.Cases: true, &want.StaffCases: c.Merchant == ""} {
			switch {
			case !counts:
				continue
			case !c.DueAt.After(w.now):
				into.Overdue++
			case !c.DueAt.After(w.now.Add(time.Hour)):
				into.Due++
			}
			into.All++
		}
	}
	messages, err := w.Store.Messages(ctx, 1000)
	w.must(err)
	for _, m := range messages {
		switch m.State() {
		case idp.MessageDead:
			want.Dead[m.Channel]++
		case idp.MessageDue:
			want.Due[m.Channel]++
			if want.OldestDue.IsZero() || m.CreatedAt.Before(want.OldestDue) {
				want.OldestDue = m.CreatedAt
			}
		case idp.MessageSent:
			if !m.SentAt.Before(w.now.Add(-24 * time.Hour)) {
				want.Sent[m.Channel]++
			}
		}
	}
	want.Merchants = n.Merchants // one merchant alone is not worth a loop
	if fmt.Sprintf("%+v", n) != fmt.Sprintf("%+v", want) {
		w.t.Errorf("now: %+v\nwant %+v", n, want)
	}
	if total := n.Merchants["active"] + n.Merchants["pending"]; total == 0 {
		w.t.Errorf("merchants: %v", n.Merchants)
	}
}

func (w *crowdedWorld) compareAdoption(got storage.Adoption) {
	w.t.Helper()
	var want storage.Adoption
	for _, u := range w.users {
		if u.Status != idp.UserActive {
			continue
		}
		creds, err := w.Store.Credentials(w.t.Context(), u.ID)
		w.must(err)
		holds := map[idp.Method]int64{}
		for _, c := range creds {
			if c.Blocked == "" {
				holds[c.Method] = 1
			}
		}
		want.People++
		want.Passkey += holds[idp.MethodPasskey]
		want.TOTP += holds[idp.MethodTOTP]
		want.Backup += holds[idp.MethodBackup]
		want.Second += max(holds[idp.MethodPasskey], holds[idp.MethodTOTP])
	}
	if got != want {
		w.t.Errorf("adoption: %+v, want %+v", got, want)
	}
}
