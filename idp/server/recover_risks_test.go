package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// Each risk makes the wait longer by a level of the table; that nobody hears of it but the
// phone that its code went to is as much as one more. Each person has a shop of his own.
func TestRecoveryRisks(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		const phone = "+86139000300%02d"
		for i, c := range []struct {
			risk    string
			tier    idp.Tier
			noMail  bool
			level   int
			hours   int
			address string // "" the known one
			comes   func(u idp.User)
		}{
			{risk: "none", level: 0, hours: 24},
			{risk: "a place that nobody knows", level: 1, hours: 48, address: "198.51.100.200"},
			{risk: "as many starts as may be", level: 0, hours: 24, comes: func(u idp.User) { w.began(t, u, 3) }},
			{risk: "more starts than may be", level: 1, hours: 48, comes: func(u idp.User) { w.began(t, u, 4) }},
			{risk: "a terminal was lost", level: 1, hours: 48, comes: func(u idp.User) {
				d := w.terminalOf(t, w.loginOf(t, u), "老店", fmt.Sprintf("HFE20030%d", time.Now().UnixNano()%1e6))
				must(t, store.Append(ctx, idp.Event{Name: "terminal.lost", Merchant: u.MerchantID, Terminal: d.ID}))
			}},
			{risk: "a terminal of somebody else was lost", level: 0, hours: 24, comes: func(idp.User) {
				must(t, store.Append(ctx, idp.Event{Name: "terminal.lost", Merchant: w.merchant(t).ID}))
			}},
			{risk: "money was moved, at a shop of much", tier: idp.TierHighValue, level: 1, hours: 72, comes: func(u idp.User) { must(t, store.NoteMoney(ctx, u.ID, time.Now().Add(-23*time.Hour))) }},
			{risk: "money was moved two days ago", tier: idp.TierHighValue, level: 0, hours: 48, comes: func(u idp.User) { must(t, store.NoteMoney(ctx, u.ID, time.Now().Add(-48*time.Hour))) }},
			{risk: "money was moved, at a shop of little", level: 0, hours: 24, comes: func(u idp.User) { must(t, store.NoteMoney(ctx, u.ID, time.Now())) }},
			{risk: "one channel, and nobody else hears: people decide", noMail: true},
			{risk: "one channel, and another owner hears", noMail: true, level: 1, hours: 48, comes: func(u idp.User) {
				w.person(t, somebody{User: idp.User{Role: idp.RoleOwner, MerchantID: u.MerchantID}, Login: "hears." + u.ID[:6], Mail: u.ID[:6] + "@example.com", NoPassword: true})
			}},
			{risk: "one channel, and a terminal says it", noMail: true, level: 1, hours: 48, comes: func(u idp.User) {
				w.terminalOf(t, w.loginOf(t, u), "新店", fmt.Sprintf("HFE20031%d", time.Now().UnixNano()%1e6))
			}},
		} {
			m := idp.Merchant{No: fmt.Sprintf("8222900598%05d", i), LegalName: "风险小店", Tier: idp.TierStandard, Status: idp.MerchantActive}
			if c.tier != "" {
				m.Tier = c.tier
			}
			must(t, store.CreateMerchant(ctx, &m))
			p := somebody{User: idp.User{Role: idp.RoleOwner, MerchantID: m.ID}, Login: fmt.Sprintf("risk.%d", i), TOTP: true, Phone: fmt.Sprintf(phone, i)}
			if !c.noMail {
				p.Mail = p.Login + "@example.com"
			}
			address := fmt.Sprintf("100.100.%d.1", i)
			w.ripe(t, p, address)
			if c.comes != nil {
				c.comes(w.user(t, p.Login))
			}
			if c.address != "" {
				address = c.address
			}
			b := w.from(t, address).lost("password", p.Login).shows("introduce:phone", p.Phone).submit("do", "go")
			if c.hours == 0 {
				if b.see(200, "交给客服了"); len(w.recoveries(t, p.Login)) != 0 {
					t.Errorf("%s: it waits", c.risk)
				}
				continue
			}
			b.see(200, "还要等")
			r := w.recoveries(t, p.Login)[0]
			if r.State != idp.RecoveryWaiting || r.Level != c.level || r.DueAt.Sub(r.StartedAt) != time.Duration(c.hours)*time.Hour {
				t.Errorf("%s: level %d for %v, want %d for %d h", c.risk, r.Level, r.DueAt.Sub(r.StartedAt), c.level, c.hours)
			}
		}
	})
}

// began has a person have begun so many recoveries within the day, all of them withdrawn.
func (w *demoWorld) began(t *testing.T, u idp.User, n int) {
	t.Helper()
	for range n {
		at := time.Now().Add(-time.Hour)
		must(t, w.Service.Store.AddRecovery(t.Context(), &idp.Recovery{UserID: u.ID, State: idp.RecoveryWithdrawn, Lost: idp.LostPassword, StartedAt: at, DueAt: at, Until: at, EndedAt: at}))
	}
}

// loginOf is a person's user name.
func (w *demoWorld) loginOf(t *testing.T, u idp.User) string {
	t.Helper()
	for _, n := range must2(w.Service.Store.Identifiers(t.Context(), u.ID))(t) {
		if n.Kind == idp.IdentifierUsername {
			return n.Value
		}
	}
	t.Fatal("no user name")
	return ""
}

// Who hears of a recovery hears of it each time: the bound phone and address, the address
// that was removed a fortnight ago, though not one of forty days ago, and the owner of the
// shop on both of his channels, whose link stops it. Each is told what happens until when.
func TestRecoveryIsToldToAll(t *testing.T) {
	eachJob(t, func(t *testing.T, w *demoWorld) {
		ctx, store := t.Context(), w.Service.Store
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleManager, Name: "王强"}, Login: "told.one", TOTP: true, Phone: "+8613900030090", Mail: "told.one@example.com", NoSignIn: true}, "203.0.113.190")
		u := w.user(t, "told.one")
		for _, old := range []struct {
			address string
			days    int
		}{{"forty@example.com", 40}, {"fortnight@example.com", 14}} {
			n := idp.Identifier{UserID: u.ID, Kind: idp.IdentifierEmail, Value: old.address, VerifiedAt: time.Now().Add(-90 * 24 * time.Hour)}
			must(t, store.AddIdentifier(ctx, &n))
			must2(store.RemoveIdentifier(ctx, u.ID, n.ID, time.Now().Add(-time.Duration(old.days-8)*24*time.Hour)))(t)
		}
		time.Sleep(8 * 24 * time.Hour) // what is bound is old enough
		b := w.from(t, "203.0.113.190")
		b.lost("password", "told.one").shows("introduce:phone", "+8613900030090").submit("do", "go").see(200, "还要等")
		r, owner := w.recoveries(t, "told.one")[0], w.Users["owner"]
		all := func(template, others, says string, at time.Time) {
			t.Helper()
			to := map[string]int{}
			for _, m := range w.notices(t, "told.one", template) {
				to[m.To]++
			}
			if len(to) != 3 || to["+8613900030090"] != 1 || to["told.one@example.com"] != 1 || to["fortnight@example.com"] != 1 {
				t.Errorf("%s went to %v", template, to)
			}
			to = map[string]int{}
			for _, m := range w.notices(t, owner.Username, others) {
				to[m.To]++
			}
			if len(to) != 2 || to[owner.Phone] == 0 || to[owner.Phone] != to[owner.Email] {
				t.Errorf("%s went to %v", others, to)
			}
			says = fmt.Sprintf(says, at.In(time.FixedZone("UTC+8", 8*60*60)).Format("1 月 2 日 15:04"))
			for _, m := range slices.Concat(w.notices(t, "told.one", template), w.notices(t, owner.Username, others)) {
				if m.Channel == idp.ChannelSMS && !strings.Contains(m.Body, says) {
					t.Errorf("%s says not %q: %s", m.Template, says, m.Body)
				}
				if m.UserID != u.ID && m.Channel == idp.ChannelMail && !strings.Contains(m.Body, "您店里 王强 的账户") {
					t.Errorf("%s says not whose account it is: %s", m.Template, m.Body)
				}
			}
		}
		all("recovery.started", "recovery.other", "（到 %s）", r.DueAt)
		time.Sleep(time.Until(r.StartedAt.Add(r.DueAt.Sub(r.StartedAt)/2)) + time.Hour)
		all("recovery.reminded", "recovery.other", "（到 %s）", r.DueAt)
		time.Sleep(time.Until(r.DueAt) + time.Hour)
		all("recovery.due", "recovery.other_due", "（%s 前办完）", r.Until)

		// The owner's link stops it, for the one whom it is about.
		_, token := w.linkOf(t, owner.Username, "recovery.other", stopLink)
		w.from(t, "203.0.113.191").post("/stop", url.Values{"token": {token}}).see(200, "冻结")
		if got := w.recoveries(t, "told.one")[0]; got.State != idp.RecoveryStopped || !w.user(t, "told.one").Frozen || w.user(t, owner.Username).Frozen {
			t.Errorf("%s; frozen: %v, the owner: %v", got.State, w.user(t, "told.one").Frozen, w.user(t, owner.Username).Frozen)
		}
	})
}
