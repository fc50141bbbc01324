package server_test

import (
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"hufu/idp"
)

// asked are the live notices of a person at a terminal of his shop.
func (w *demoWorld) asked(t *testing.T, login string) (out []idp.TerminalNotice) {
	t.Helper()
	list, err := w.Service.Store.TerminalNotices(t.Context(), w.till(t), time.Now())
	must(t, err)
	return slices.DeleteFunc(list, func(n idp.TerminalNotice) bool { return n.UserID != w.user(t, login).ID })
}

// till is a terminal of the shop that works, for long and lately.
func (w *demoWorld) till(t *testing.T) idp.Terminal {
	t.Helper()
	store, ctx := w.Service.Store, t.Context()
	till := must2(store.TerminalBySerial(ctx, w.Terminals["smart"].Serial))(t)
	if till.State == idp.TerminalNew {
		must2(store.ActivateTerminal(ctx, till.ID, time.Now().Add(-30*24*time.Hour)))(t)
	}
	must(t, store.SeeTerminal(ctx, till, time.Now()))
	return must2(store.Terminal(ctx, till.ID))(t)
}

// confirms is who stands at the till and picks the digits that the page shows.
func (b *browser) confirms(login string) *browser {
	b.t.Helper()
	digits := b.big()
	for _, n := range b.world.asked(b.t, login) {
		for _, c := range n.Params.Choices {
			if n.Kind == idp.NoticeConfirm && digits == strconv.Itoa(c) {
				must2(b.world.Service.Store.AnswerTerminalNotice(b.t.Context(), n.ID, b.world.till(b.t), idp.NoticeConfirmed, c, time.Now()))(b.t)
				return b.submit("")
			}
		}
	}
	b.t.Fatal("no terminal asks")
	return b
}

// A recovery that another role makes void leaves nothing behind: what it kept back works
// again, no terminal offers to stop it, and who heard of it hears that it is over.
func TestVoidRecoveryLeavesNothing(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{Login: "void.one", Phone: "+8613900020001", Mail: "void.one@example.com"}, "203.0.113.81")
		b := w.from(t, "203.0.113.81")
		b.lost("password", "void.one").shows("introduce:phone", "+8613900020001").submit("do", "go").see(200, "还要等")
		if len(w.asked(t, "void.one")) != 1 || w.user(t, "void.one").Withholds(time.Now()) != idp.WithholdMoney {
			t.Fatal("nothing to stop it by, or nothing withheld")
		}
		owner := w.from(t, "203.0.113.82")
		owner.open("/console/users/"+w.user(t, "void.one").ID+"/role").signIn("owner").see(200, "角色")
		owner.post(owner.URL.Path, url.Values{"role": {"manager"}, "store": {""}}).see(200, "")
		u := w.user(t, "void.one")
		if u.Role != idp.RoleManager || w.recoveries(t, "void.one")[0].State != idp.RecoveryVoid {
			t.Fatalf("%+v", w.recoveries(t, "void.one"))
		}
		if u.Withholds(time.Now()) != idp.WithholdNothing {
			t.Errorf("withheld %q until %v", u.Withheld, u.WithheldUntil)
		}
		if n := w.asked(t, "void.one"); len(n) != 0 {
			t.Errorf("terminals still ask: %+v", n)
		}
		if n := len(w.notices(t, "void.one", "recovery.void")); n != 2 {
			t.Errorf("%d notices, want phone and mail", n)
		}
		if n := len(w.notices(t, w.Users["owner"].Username, "recovery.other_void")); n != 2 {
			t.Errorf("%d notices to the owner of the shop", n)
		}
		if e := w.events(t, "void.one", "recovery.stopped"); len(e) != 1 || e[0].Data["cause"] != "role" || e[0].Actor != w.user(t, w.Users["owner"].Username).ID {
			t.Errorf("%+v", e)
		}
		b.open(b.URL.String()).see(200, "这个找回作废了")
	})
}
