package server_test

import (
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/storage"
)

// What must be true of a heist, looked for in the database after each request. The names
// I1 to I23 are those of docs/recovery.md.

// A view is an account as the database has it.
type view struct {
	user  idp.User
	creds map[string]idp.Credential
	names map[string]idp.Identifier
	live  map[string]idp.Session
	recs  map[string]idp.Recovery
	tills map[string]string // terminals of the shop: state and key
	given map[string]string // grants of terminals that he approved
}

func hashOf(token string) []byte { return session.Hash(token) }

func (k *heist) look(a *account) view {
	store, ctx := k.w.Service.Store, k.t.Context()
	v := view{user: must2(store.User(ctx, a.ID))(k.t), creds: map[string]idp.Credential{}, names: map[string]idp.Identifier{}, live: map[string]idp.Session{}, recs: map[string]idp.Recovery{}, tills: map[string]string{}, given: map[string]string{}}
	for _, c := range must2(store.Credentials(ctx, a.ID))(k.t) {
		v.creds[c.ID] = c
	}
	for _, n := range must2(store.Identifiers(ctx, a.ID))(k.t) {
		v.names[n.ID] = n
	}
	for _, s := range must2(store.Sessions(ctx, a.ID, time.Now()))(k.t) {
		v.live[s.ID] = s
	}
	for _, r := range must2(store.Recoveries(ctx, a.ID, 50))(k.t) {
		v.recs[r.ID] = r
	}
	for _, d := range must2(store.Terminals(ctx, "", a.MerchantID, 50))(k.t) {
		v.tills[d.ID] = string(d.State) + " " + d.Key
	}
	for _, g := range must2(store.Grants(ctx, a.ID))(k.t) {
		if g.TerminalID != "" {
			v.given[g.ID] = g.TerminalID
		}
	}
	return v
}

// mark is a fingerprint of all that a view shows of both accounts, by one statement.
func (k *heist) mark() (mark string) {
	must(k.t, k.w.marks.QueryRow(k.own.ID, k.other.ID).Scan(&mark))
	return mark
}

// marks prepares the statement of fingerprints, on a connection of its own.
func (w *demoWorld) watch(t *testing.T, dsn string) {
	db := must2(sql.Open("sqlite", "file:"+strings.TrimPrefix(dsn, "sqlite:")+"?_pragma=query_only(1)"))(t)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	var parts []string
	for _, of := range []string{
		"SELECT id || frozen || locked || status || must_change || withheld || withheld_until || '-' || payee_until AS x FROM users WHERE id IN (?1, ?2)",
		"SELECT id || version || changed_at || blocked AS x FROM credentials WHERE user_id IN (?1, ?2)",
		"SELECT id || verified_at || removed_at || disputed_until AS x FROM identifiers WHERE user_id IN (?1, ?2)",
		"SELECT id || proofs || ended_at AS x FROM sessions WHERE user_id IN (?1, ?2)",
		"SELECT id || state || flow || due_at || until || row_no AS x FROM recoveries WHERE user_id IN (?1, ?2)",
		"SELECT id || state || key_jkt AS x FROM terminals WHERE merchant_id = (SELECT merchant_id FROM users WHERE id = ?1)",
		"SELECT id || ended_at AS x FROM grants WHERE user_id IN (?1, ?2) AND terminal_id <> ''",
	} {
		parts = append(parts, "coalesce((SELECT group_concat(x) FROM ("+of+")), '')")
	}
	w.marks = must2(db.Prepare("SELECT " + strings.Join(parts, " || ';' || ")))(t)
}

func (v view) running() *idp.Recovery {
	for _, r := range v.recs {
		if r.State == idp.RecoveryWaiting {
			return &r
		}
	}
	return nil
}

func (v view) ids(m idp.Method) (out []string) {
	for id, c := range v.creds {
		if c.Method == m {
			out = append(out, id)
		}
	}
	return out
}

func (v view) password() idp.Credential {
	for _, c := range v.creds {
		if c.Method == idp.MethodPassword {
			return c
		}
	}
	return idp.Credential{}
}

func (v view) channel(kind idp.IdentifierKind) string {
	for id, n := range v.names {
		if n.Kind == kind && n.Channel() {
			return id
		}
	}
	return ""
}

// enrolled says whether the person holds a second factor.
func (v view) enrolled() bool { return len(v.ids(idp.MethodTOTP)) > 0 }

// proofs are what was changed of what proves the person: his password and his factors,
// and a set of codes that came or went.
func (v view) proofs() map[string]string {
	out := map[string]string{}
	for id, c := range v.creds {
		out[id] = fmt.Sprint(c.Method, c.Blocked)
		if c.Method != idp.MethodBackup { // whose codes are used up
			out[id] += fmt.Sprint(c.ChangedAt.UnixMicro())
		}
	}
	return out
}

func (v view) contacts() map[string]string {
	out := map[string]string{}
	for id, n := range v.names {
		out[id] = fmt.Sprint(n.Kind, n.Value, n.VerifiedAt.UnixMicro(), n.RemovedAt.UnixMicro(), n.Former)
	}
	return out
}

// foreign: a flow is open to the browser that opened it, and to no other (I5, I18).
func (k *heist) foreign(p *player, f *track, status int, to string) {
	if f != nil && f.hand != p.hand && (status < 300 || strings.HasPrefix(to, "/flows/")) {
		k.fail("%s walks in a flow of another browser", p.name)
	}
}

// held looks at both accounts after a request of p, or after a time with p nil.
func (k *heist) held(p *player, method, path string, f *track) {
	k.t.Helper()
	h := &held{heist: k, p: p, path: path, f: f, was: k.own.view, is: k.own.view}
	if mark := k.mark(); mark == k.marked { // nothing of either account is another
		h.page()
		return
	} else {
		k.marked = mark
	}
	h.is = k.look(k.own)
	h.recoveries()
	h.changes()
	h.sessions()
	h.freezes()
	h.lets()
	h.page()
	h.bystander()
	h.learn()
	k.own.view = h.is
}

// held is what one request did to the owner.
type held struct {
	*heist
	p       *player
	path    string
	f       *track
	was, is view
	done    *idp.Recovery // that it completed
	began   bool          // that one waits, or waits for another flow
}

func (h *held) stealing() bool { return h.p == h.thief }

// least is the table's wait.
func (k *heist) least(level int) time.Duration {
	hours := map[idp.Tier][]int{idp.TierMicro: {12, 24, 48}, idp.TierStandard: {24, 48, 72}, idp.TierHighValue: {48, 72, 1 << 20}}[k.tier]
	return time.Duration(hours[level]) * time.Hour
}

// valid are the proofs of a recovery that count.
func valid(r idp.Recovery) (kinds []idp.Evidence) {
	for _, s := range r.Shown {
		if s.Void == "" {
			kinds = append(kinds, s.By)
		}
	}
	return kinds
}

func (h *held) recoveries() {
	for id, r := range h.is.recs {
		was, old := h.was.recs[id]
		switch {
		case !old && r.State == idp.RecoveryWaiting:
			h.started(r)
		case !old && r.State == idp.RecoveryDone:
			h.atOnce(r)
		case !old:
			h.fail("a recovery that begins as %s: %+v", r.State, r)
		case was.State != idp.RecoveryWaiting && r.State != was.State:
			h.fail("a recovery that was %s is %s (I1)", was.State, r.State)
		case was.State == idp.RecoveryWaiting:
			h.moved(was, r)
		}
	}
	if r := h.is.running(); r != nil {
		switch {
		case h.is.user.Frozen:
			h.fail("frozen, and the recovery still waits (I1)")
		case h.is.user.Reason(time.Now()) != "":
			h.fail("the account is %s, and the recovery still waits (I1)", h.is.user.Reason(time.Now()))
		case h.is.user.Withholds(time.Now()) != idp.WithholdMoney:
			h.fail("a recovery waits and money is not withheld: %q", h.is.user.Withheld)
		}
	}
}

// rests: what a recovery counts is there, old enough, undisputed, and enough to begin.
func (h *held) rests(r idp.Recovery) {
	now, kinds := time.Now(), valid(r)
	switch {
	case len(kinds) == 0:
		h.fail("a recovery rests on nothing that counts: %+v", r)
	case h.was.user.Frozen, !h.stopped.IsZero() && now.Sub(h.stopped) < 7*24*time.Hour:
		h.fail("a recovery begins while people decide (row 18)")
	case len(kinds) == 1 && !slices.Contains([]idp.Evidence{idp.ByPhone, idp.ByMail, idp.ByKit}, kinds[0]):
		h.fail("a recovery begins with %v alone (row 12)", kinds)
	}
	for _, s := range r.Shown {
		n, isName := h.was.names[s.ID]
		c, isCred := h.was.creds[s.ID]
		switch {
		case s.Void != "":
		case isName && (now.Sub(n.VerifiedAt) < 72*time.Hour || now.Before(n.DisputedUntil) || !n.Channel()):
			h.fail("a recovery rests on a channel that is young, disputed or removed: %+v", n)
		case isCred && c.Method != idp.MethodPassword && now.Sub(c.CreatedAt) < 72*time.Hour:
			h.fail("a recovery rests on a young %s", c.Method)
		case s.By == idp.ByTerminal && (h.till == nil || s.ID != h.till.ID):
			h.fail("a recovery rests on another's terminal")
		}
		if h.stealing() && s.Void == "" && !h.holds(s.By) {
			h.fail("the thief has shown %s", s.By)
		}
	}
}

// holds says whether the thief could have shown something by what he holds.
func (h *held) holds(by idp.Evidence) bool {
	switch h.thing {
	case "channel":
		return h.taken && by == idp.ByPassword || by == map[bool]idp.Evidence{true: idp.ByPhone, false: idp.ByMail}[h.thief.reads[0] == h.own.phone]
	case "terminal":
		return by == idp.ByTerminal
	case "password":
		return by == idp.ByPassword
	}
	return false
}

// started: no delay is shorter than the table's, and everybody is told (I1, row 12, 18).
func (h *held) started(r idp.Recovery) {
	h.ways["delayed"]++
	h.ways[fmt.Sprint("row ", r.Row)]++
	h.rests(r)
	switch {
	case h.was.running() != nil:
		h.fail("two recoveries wait")
	case h.stealing() && h.thing != "channel":
		h.fail("a thief with %s begins a recovery (I4 to I8)", h.thing)
	case r.DueAt.Sub(r.StartedAt) < h.least(r.Level):
		h.fail("row %d at level %d waits %v only (I1)", r.Row, r.Level, r.DueAt.Sub(r.StartedAt))
	case h.p.address != h.owner.address && r.Level == 0:
		h.fail("a network that nobody knows is no risk")
	case r.Row == 11 && r.Second:
		h.fail("proofs of one group replace the factor (I2)")
	}
	h.toldOf(r)
	h.purse()
	if h.began = true; h.f != nil {
		h.f.waits = true
	}
}

// purse: no token that the owner's applications get while it waits moves money. What they
// hold lives on, to be ended with the recovery (I13).
func (h *held) purse() {
	store, ctx, now := h.w.Service.Store, h.t.Context(), time.Now()
	g := idp.Grant{UserID: h.own.ID, ClientID: h.w.Clients["merchant_app"].ID, Scopes: []string{"openid", "payments:read", "payments:refund", "settlement:manage"}, CreatedAt: now, AuthTime: now, ExpiresAt: now.Add(30 * 24 * time.Hour)}
	must(h.t, store.CreateGrant(ctx, &g))
	scopes, why := idp.Redeemable(must2(store.Parties(ctx, g.ID))(h.t), now)
	if why != "" || slices.ContainsFunc(scopes, idp.MoneyScope) || !slices.Contains(scopes, "payments:read") {
		h.fail("while it waits a token is good for %v %s", scopes, why)
	}
}

// toldOf: the owner hears of it on every channel, and on the shop's terminals (I1).
func (h *held) toldOf(r idp.Recovery) {
	store, ctx := h.w.Service.Store, h.t.Context()
	to := map[string]bool{}
	for _, m := range must2(store.Messages(ctx, 200))(h.t) {
		if m.Template == "recovery.started" && !m.CreatedAt.Before(r.StartedAt) {
			to[m.To] = true
		}
	}
	if !to[h.own.mail] || !to[h.own.phone] {
		h.fail("told of the recovery: %v, want %s and %s", to, h.own.mail, h.own.phone)
	}
	if h.till == nil {
		return
	}
	for _, n := range must2(store.TerminalNotices(ctx, h.till.Terminal, time.Now()))(h.t) {
		if n.Kind == idp.NoticeStop && n.UserID == h.own.ID {
			return
		}
	}
	h.fail("the terminal does not say that a recovery waits")
}

// atOnce: nothing is replaced at once but for a strong pair, or for what the sign-in of
// this account asks (I3), and never at risk level 2.
func (h *held) atOnce(r idp.Recovery) {
	h.ways["immediate"]++
	h.ways[fmt.Sprint("row ", r.Row)]++
	h.rests(r)
	kinds := valid(r)
	has := func(of ...idp.Evidence) bool {
		return slices.ContainsFunc(of, func(e idp.Evidence) bool { return slices.Contains(kinds, e) })
	}
	channel := has(idp.ByPhone, idp.ByMail)
	strong := channel && has(idp.ByTerminal, idp.ByKit, idp.ByKey) || has(idp.ByPhone) && has(idp.ByMail) && has(idp.ByComputer)
	bare := !h.was.enrolled() && h.own.Role == idp.RoleCashier && h.tier != idp.TierHighValue && channel && has(idp.ByComputer)
	factor := r.Lost != idp.LostSecond && channel && has(idp.ByApp) || r.Lost == idp.LostSecond && has(idp.ByPassword) && has(idp.ByKit, idp.ByApp)
	switch {
	case h.stealing():
		h.fail("a thief with %s recovers at once by %v (I1)", h.thing, kinds)
	case !strong && !bare && !factor, r.Level == 2, len(h.groups(r)) < 2:
		h.fail("at once, at level %d, by %v (I3)", r.Level, kinds)
	}
	h.completed(r)
}

// moved: a recovery that waits only comes nearer, goes to another flow by as much proof
// only, and ends once, in time.
func (h *held) moved(was, r idp.Recovery) {
	now := time.Now()
	switch r.State {
	case idp.RecoveryWaiting:
		if r.DueAt.After(was.DueAt) || !r.StartedAt.Equal(was.StartedAt) {
			h.fail("due at %v, was %v (I14)", r.DueAt, was.DueAt)
		}
		if r.DueAt.Before(was.DueAt) && !slices.ContainsFunc(r.Shown, func(v idp.Shown) bool {
			return v.Void == "" && !slices.ContainsFunc(was.Shown, func(s idp.Shown) bool { return s.Void == "" && s.By == v.By && s.ID == v.ID })
		}) {
			h.fail("due at %v, was %v, by no more proof (I14)", r.DueAt, was.DueAt)
		}
		if r.Flow == was.Flow {
			break
		}
		h.ways["taken over"]++
		if h.began = true; h.f != nil {
			h.f.waits = true
		}
		for _, s := range was.Shown {
			if s.Void == "" && !slices.ContainsFunc(r.Shown, func(v idp.Shown) bool { return v.Void == "" && v.By == s.By && v.ID == s.ID }) {
				h.fail("another flow goes on with a recovery and has not shown %s", s.By)
			}
		}
		h.rests(r)
	case idp.RecoveryDone:
		if now.Before(was.DueAt) || !now.Before(was.Until) {
			h.fail("completed at %v, due from %v to %v (I1)", now, was.DueAt, was.Until)
		}
		h.ways["waited out"]++
		h.completed(r)
	case idp.RecoveryStopped:
		h.ways["stopped"]++
		h.stopped = now
	case idp.RecoveryWithdrawn:
		h.ways["withdrawn"]++
		if h.p == nil || h.p != h.owner {
			h.fail("withdrawn by another than the owner")
		}
	case idp.RecoveryExpired:
		if h.ways["expired"]++; now.Before(was.Until) {
			h.fail("expired before its end")
		}
	case idp.RecoveryVoid:
		h.voided(was)
	}
}

// voided: one that waits comes to nothing by a better one alone, done or begun, or where it
// was to be completed and something that it was begun with no longer holds. Nobody of the
// model is anybody else at his merchant by the end.
func (h *held) voided(was idp.Recovery) {
	events := must2(h.w.Service.Store.Events(h.t.Context(), storage.EventFilter{Subject: h.own.ID, Name: "recovery.stopped"}, 50))(h.t)
	i := slices.IndexFunc(events, func(e idp.Event) bool { return e.Data["recovery"] == was.ID })
	if i < 0 || h.p == nil {
		h.fail("a recovery is void, and nothing says why, or nobody did it")
	}
	now, cause := time.Now(), fmt.Sprint(events[i].Data["cause"])
	h.ways["void: "+cause]++
	fresh := slices.ContainsFunc(slices.Collect(maps.Values(h.is.recs)), func(r idp.Recovery) bool {
		_, old := h.was.recs[r.ID]
		return !old && (cause == "better" && r.State == idp.RecoveryDone || cause == "overruled" && r.State == idp.RecoveryWaiting && r.Case != "" && was.Case == "")
	})
	gone := cause == "proof.gone" && !now.Before(was.DueAt) && now.Before(was.Until) && slices.ContainsFunc(was.Shown, func(s idp.Shown) bool { return s.Void == "" && !h.there(s, now) })
	shut := cause == "locked" && h.is.user.Locked != "" || cause == "disabled" && h.is.user.Status == idp.UserDisabled
	if !fresh && !gone && !shut {
		h.fail("a recovery is void by %q: %+v", cause, was)
	}
}

// there says whether what was shown for a recovery is still so.
func (h *held) there(s idp.Shown, now time.Time) bool {
	if n, ok := h.is.names[s.ID]; ok {
		return n.Channel() && !now.Before(n.DisputedUntil)
	}
	c, ok := h.is.creds[s.ID]
	return ok && c.Blocked == "" && !c.ChangedAt.After(s.At) || s.By == idp.ByTerminal || s.By == idp.ByComputer
}

// groups are those that a recovery rests on: a password counts in what set it.
func (h *held) groups(r idp.Recovery) (out []idp.Group) {
	for _, s := range r.Shown {
		of := []idp.Group{s.By.Group()}
		if s.By == idp.ByPassword && h.own.roots[s.ID] != nil {
			of = h.own.roots[s.ID]
		}
		for _, g := range of {
			if s.Void == "" && !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// completed: what was issued before is dead (I13), and password and factor together rest
// on two groups (I2).
func (h *held) completed(r idp.Recovery) {
	store, ctx := h.w.Service.Store, h.t.Context()
	h.done = &r
	switch {
	case h.was.user.Frozen:
		h.fail("completed while frozen (I1)")
	case len(h.is.live) > 0:
		h.fail("%d sessions live on (I13)", len(h.is.live))
	case len(must2(store.Grants(ctx, h.own.ID))(h.t)) > 0:
		h.fail("grants live on (I13)")
	case len(must2(store.Browsers(ctx, h.own.ID))(h.t)) > 1:
		h.fail("other browsers are still known (I13)")
	case r.Kit && len(h.is.ids(idp.MethodBackup)) > 0:
		h.fail("the kit lives on")
	}
	for _, token := range slices.Sorted(maps.Keys(h.flows)) {
		if f := h.flows[token]; f.who == h.own && h.one(6) {
			if status, to, _ := f.hand.send("GET", "/flows/"+token, nil); status != http.StatusGone {
				h.fail("a flow from before goes on: %s %d %s (I13)", token[:5], status, to)
			}
		}
	}
	groups := h.groups(r)
	for id, c := range h.is.creds {
		fresh := h.was.creds[id].ChangedAt != c.ChangedAt || h.was.creds[id].ID == ""
		if fresh && (c.Method == idp.MethodPassword || c.Method == idp.MethodTOTP) {
			h.own.roots[id] = groups
		}
	}
	if f := h.is.ids(idp.MethodTOTP); len(f) > 0 && len(h.pair(h.is.password().ID, f[0])) < 2 {
		h.fail("password and factor both rest on %v (I2)", h.pair(h.is.password().ID, f[0]))
	}
	if !h.stealing() {
		return
	}
	switch {
	case time.Since(r.StartedAt) < h.least(0):
		h.fail("a thief with %s is through after %v (I1)", h.thing, time.Since(r.StartedAt))
	case r.Second && h.was.enrolled():
		h.fail("one channel replaced the factor (I2)")
	}
	h.ways["taken after its time"]++
	h.taken = true
}

func (h *held) pair(password, factor string) (out []idp.Group) {
	for id, own := range map[string]idp.Group{password: idp.GroupMemory, factor: idp.GroupAuthenticator} {
		of := h.own.roots[id]
		if of == nil {
			of = []idp.Group{own}
		}
		out = append(out, of...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// changes: what proves the owner changes by a recovery that is done, or by himself where
// his sign-in asks for it, and never while he is frozen or a recovery waits (I16).
func (h *held) changes() {
	if !maps.Equal(h.was.contacts(), h.is.contacts()) {
		h.fail("a phone, address or name changed: %v, was %v", h.is.contacts(), h.was.contacts())
	}
	if maps.Equal(h.was.proofs(), h.is.proofs()) {
		return
	}
	switch {
	case h.was.user.Frozen:
		h.fail("changed while frozen (I16)")
	case h.done != nil:
	case h.stealing():
		h.fail("a thief with %s changed what proves the owner", h.thing)
	case h.was.running() != nil:
		h.fail("changed while a recovery waits (I16)")
	case h.p != h.owner || h.f == nil || h.f.path != "/sign-in" && h.f.path != "/device" && !strings.HasPrefix(h.f.path, "/account/"): // which asks him to sign in
		h.fail("changed outside of a recovery and of a sign-in")
	default:
		for _, id := range h.is.ids(idp.MethodTOTP) {
			if h.was.creds[id].ID == "" { // two factors have opened the way
				h.own.roots[id] = []idp.Group{idp.GroupHandset, idp.GroupAuthenticator}
			}
		}
		h.ways["enrolled at the door"]++
	}
}

// sessions: one begins only if what policy demands was shown (I23), never for a thief
// where a second factor stands in his way.
func (h *held) sessions() {
	demanded := idp.ACR1
	if h.was.enrolled() || h.own.Role == idp.RoleOwner || h.tier == idp.TierHighValue {
		demanded = idp.ACR2
	}
	for id, ss := range h.is.live {
		was, old := h.was.live[id]
		if old && len(was.Proofs) == len(ss.Proofs) {
			continue
		}
		acr := idp.Assess(ss.Proofs).ACR
		switch {
		case h.p == nil || h.p.jar["hufu-s"] == "":
			h.fail("a session of nobody (I23)")
		case acr < demanded:
			h.fail("in with %s, policy demands %s (I23)", acr, demanded)
		case h.stealing() && (demanded > idp.ACR1 || acr > idp.ACR1):
			h.fail("a thief with %s is in with %s (I4)", h.thing, acr)
		case h.stealing() && h.thing != "password" && !h.taken:
			h.fail("a thief with %s is in (I1, I5, I6, I8)", h.thing)
		}
		for _, pr := range ss.Proofs {
			if h.is.creds[pr.Credential].ID == "" && h.is.names[pr.Credential].ID == "" {
				h.fail("a session by what the owner does not have: %+v", pr)
			}
		}
		if h.stealing() {
			h.ways["thief in by one factor"]++
		}
	}
}

// freezes: whoever holds a link, a session, the terminal or the page of a recovery stops;
// only the owner comes back.
func (h *held) freezes() {
	now := time.Now()
	switch {
	case h.is.user.Frozen && !h.was.user.Frozen:
		h.ways["frozen"]++
		switch {
		case h.stealing() && h.thing == "agent", h.stealing() && h.thing == "password" && len(h.was.live) == 0:
			h.fail("a thief with %s freezes", h.thing)
		case len(h.is.live) > 1:
			h.fail("frozen, and %d sessions go on", len(h.is.live))
		}
		if len(must2(h.w.Service.Store.Cases(h.t.Context(), storage.CaseFilter{User: h.own.ID, State: idp.CaseOpen}, 10))(h.t)) == 0 {
			h.fail("frozen, and nobody looks into it (I12)")
		}
	case !h.is.user.Frozen && h.was.user.Frozen:
		if h.ways["unfrozen"]++; h.p != h.owner || h.f == nil || h.f.path != "/account/unfreeze" {
			h.fail("the freeze was lifted by %v at %s", h.p, h.path)
		}
		h.stopped = time.Time{}
	}
	if until := h.is.user.HeldUntil(idp.WithholdPayee); h.is.running() == nil && until.After(now.Add(72*time.Hour+h.least(1))) {
		h.fail("withheld until %v (I12)", until)
	}
}

// lets: whoever is frozen lets no terminal in, and none that is new or has another key comes in
// while everything is kept back (I16).
func (h *held) lets() {
	for id, till := range h.is.given {
		if h.was.given[id] != "" {
			continue
		}
		switch fresh := h.was.tills[till] != h.is.tills[till]; {
		case h.was.user.Frozen:
			h.fail("frozen, and a terminal was let in (I16)")
		case fresh && h.was.user.Withholds(time.Now()) == idp.WithholdMoney:
			h.fail("a terminal was let in while everything is kept back (I16)")
		case h.stealing():
			h.fail("a thief with %s let a terminal in", h.thing)
		default:
			h.ways["let a terminal in"]++
		}
	}
}

// page: nothing new is chosen before its time (I1).
func (h *held) page() {
	if h.p == nil || h.p.at == "" || h.status != http.StatusSeeOther || tokenOf(h.path) == "" || strings.HasSuffix(h.path, "/stop") || !slices.Contains([]string{"new-password", "choose-factor", "enrol-totp", "enrol-passkey"}, h.p.step) {
		return
	}
	f, r := h.flows[tokenOf(h.p.at)], h.is.running()
	switch {
	case f == nil || f.path != "/recover" || f.who != h.own:
	case h.is.user.Frozen:
		h.fail("frozen, and a recovery goes on to %s (I1)", h.p.step)
	case f.waits && !h.began && strings.HasSuffix(h.path, "/recover"): // by more proof, at once
		f.waits = false
	case f.waits && r != nil && time.Now().Before(r.DueAt):
		h.fail("at %s before its time (I1)", h.p.step)
	}
}

// bystander: nobody but he himself does anything to the other owner.
func (h *held) bystander() {
	if h.p == nil {
		h.other.view = h.look(h.other)
		return
	}
	was, is := h.other.view, h.look(h.other)
	h.other.view = is
	if h.p == h.guest {
		if was.password().Version != is.password().Version && h.p.chosen != "" {
			h.p.password = h.p.chosen
		}
		if len(is.ids(idp.MethodTOTP)) > 0 && is.creds[is.ids(idp.MethodTOTP)[0]].ID != "" && was.creds[is.ids(idp.MethodTOTP)[0]].ID == "" && h.p.fresh != "" {
			h.p.totp = h.p.fresh
		}
		if len(is.ids(idp.MethodBackup)) == 0 {
			h.p.kit = nil
		}
		return
	}
	for id := range is.live {
		if _, old := was.live[id]; !old {
			h.fail("%s is in as somebody else", h.p.name)
		}
	}
	if !maps.Equal(was.proofs(), is.proofs()) || !maps.Equal(was.contacts(), is.contacts()) {
		h.fail("%s changed the account of somebody else", h.p.name)
	}
}

// learn: whoever has chosen something new knows it, once it is in force.
func (h *held) learn() {
	if h.p == nil || h.p == h.guest {
		return
	}
	if h.was.password().Version != h.is.password().Version && h.p.chosen != "" {
		h.p.password = h.p.chosen
	}
	for _, id := range h.is.ids(idp.MethodTOTP) {
		if h.was.creds[id].ID == "" && h.p.fresh != "" {
			h.p.totp = h.p.fresh
		}
	}
	if len(h.is.ids(idp.MethodBackup)) == 0 {
		h.owner.kit = nil
	}
}

// home: whatever was done, the owner is back within a day of people at most: signed in,
// not frozen, no recovery, money in his hands but for what his own recovery keeps back
// (I12). The thief has not both a session and a changed credential, unless he has waited
// out what nobody stopped and nothing but one factor stood in his way.
func (k *heist) home() {
	k.note("the owner comes home")
	p := k.owner
	k.coming, p.chosen = true, ""
	if k.taken {
		k.regain()
	}
	until := time.Now().Add(24 * time.Hour)
	for time.Now().Before(until) {
		if k.returned() {
			break
		}
		time.Sleep(5 * time.Hour)
		must2(k.w.Service.TellRecoveries(k.t.Context()))(k.t)
		k.held(nil, "", "", nil)
	}
	if k.sole() {
		k.ways["home by people"]++
		return
	}
	u := k.own.user
	w := u.Withholds(time.Now())
	in := len(k.own.live) > 0 && p.jar["hufu-s"] != ""
	switch {
	case !in && k.guessed():
		k.ways["his only factor closed by guesses"]++
	case !in:
		k.fail("the owner cannot come in (I12)")
	case u.Frozen || k.own.running() != nil:
		k.fail("the owner is in, and stays stopped (I12)")
	case w == idp.WithholdMoney && !k.mine():
		k.fail("the owner is in without his money until %v (I12)", u.WithheldUntil)
	}
}

// sole says whether one group is all that the owner has shown who must have a second factor
// and holds none: the factor needs another group, or people.
func (k *heist) sole() bool {
	return !k.own.enrolled() && (k.own.Role == idp.RoleOwner || k.tier == idp.TierHighValue) && len(k.own.roots[k.own.password().ID]) == 1
}

// mine says whether the money is withheld by a recovery that was done at once, for as long as
// the tier has it.
func (k *heist) mine() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(k.own.recs)), func(r idp.Recovery) bool {
		return r.State == idp.RecoveryDone && r.DueAt.Equal(r.StartedAt) && r.Withheld == idp.WithholdMoney && k.own.user.WithheldUntil.Equal(r.EndedAt.Add(k.least(0)))
	})
}

// guessed says whether strangers who know the password have used up the tries of the only factor of an owner whom no
// browser knows: such a one recovers, by the phone and a terminal at once.
func (k *heist) guessed() bool {
	b := policy.Default().Throttle.TOTPStranger
	return k.own.user.Locked == "" && !k.own.user.Frozen && k.owner.totp != "" && len(k.owner.kit) == 0 &&
		must2(k.w.Service.Store.BucketEmpty(k.t.Context(), "totp", []byte(k.own.ID), b.Burst, b.Refill, time.Now()))(k.t)
}

// returned tries to be back: by a strong return where what he holds is old enough, else by
// people, whose case must be open.
func (k *heist) returned() bool {
	m, ctx, p := k.w.Service.Manager(), k.t.Context(), k.owner
	admin := manage.Actor{User: k.w.user(k.t, k.w.Users["policy_admin"].Username), Reason: "the owner was here himself"}
	if k.own.user.Locked != "" {
		must(k.t, m.UnlockUser(ctx, admin, k.own.ID))
		k.own.view = k.look(k.own)
		k.ways["home from a lock"]++
	}
	if k.own.user.Status == idp.UserDisabled { // by one of support, as he may: another sets it right
		must(k.t, m.EnableUser(ctx, admin, k.own.ID))
		k.own.view = k.look(k.own)
		k.ways["home from disabled"]++
	}
	k.signIn(p, k.own)
	time.Sleep(time.Second)
	if k.own.user.Frozen && len(k.own.live) > 0 && p.jar["hufu-s"] != "" && k.strong() {
		if k.unfreeze(); !k.own.user.Frozen {
			k.ways["home by a strong return"]++
		}
	}
	if k.own.user.Frozen && !k.strong() {
		k.people()
		k.signIn(p, k.own)
	}
	if k.own.running() != nil && len(k.own.live) > 0 {
		k.begin(p, "POST", "/account/recovery", nil)
		k.goOn(p)
		k.begin(p, "POST", "/account/recovery", nil)
	}
	return len(k.own.live) > 0 && !k.own.user.Frozen && k.own.running() == nil
}

// strong says whether what the owner holds is old enough for a strong return, and he has
// a way in at all.
func (k *heist) strong() bool {
	before := k.own.user.FrozenAt.Add(-72 * time.Hour)
	old := func(m idp.Method) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(k.own.creds)), func(c idp.Credential) bool {
			return c.Method == m && !c.CreatedAt.After(before) && !c.ChangedAt.After(before)
		})
	}
	return old(idp.MethodPassword) && old(idp.MethodTOTP)
}

// people decide a case, which must be open and due within a day of the freeze.
func (k *heist) people() {
	store, ctx := k.w.Service.Store, k.t.Context()
	open := must2(store.Cases(ctx, storage.CaseFilter{User: k.own.ID, State: idp.CaseOpen}, 20))(k.t)
	due := func(c idp.Case) bool { return !c.DueAt.After(k.own.user.FrozenAt.Add(24 * time.Hour)) }
	switch {
	case slices.ContainsFunc(open, due):
	case k.thing == "agent": // who refused it, as one may; he calls again, and another takes the call
		k.ways["home by a second call"]++
	default:
		k.fail("frozen without a case that is due within a day: %+v (I12)", open)
	}
	k.ways["home by people"]++
	must2(store.UnfreezeUser(ctx, k.own.ID))(k.t)
	must(k.t, store.SettleDisputes(ctx, k.own.ID))
	k.stopped, k.own.view, k.marked = time.Time{}, k.look(k.own), k.mark()
}

// regain: the thief has waited a recovery out. The owner shows more and throws him out.
func (k *heist) regain() {
	p, store, ctx := k.owner, k.w.Service.Store, k.t.Context()
	if k.own.user.Frozen {
		k.people()
	}
	if k.own.enrolled() && p.totp != "" && len(k.own.live) > 0 && k.thiefIn() {
		k.fail("the thief has a session and has changed the password")
	}
	for range 3 {
		time.Sleep(25 * time.Hour)
		must2(k.w.Service.TellRecoveries(ctx))(k.t)
		k.own.view = k.look(k.own)
		k.begin(p, "POST", "/recover", url.Values{"lost": {"password"}})
		k.act(p, "POST", p.at+"/recover-who", url.Values{"identifier": {k.own.login}})
		k.flows[tokenOf(p.at)].who, k.flows[tokenOf(p.at)].proven = k.own, false
		for _, by := range []string{"mail", "phone", "totp"} {
			if p.step == "recover" {
				k.prove(p, k.own, by)
			}
		}
		if p.step == "recover" {
			k.act(p, "POST", p.at+"/recover", url.Values{"do": {"go"}})
		}
		k.goOn(p)
		if r := k.own.running(); r != nil && p.at != "" {
			time.Sleep(time.Until(r.DueAt) + time.Minute)
			k.goOn(p)
		}
		if k.own.password().Version > 0 && p.chosen == p.password {
			k.ways["home by a recovery"]++
			return
		}
	}
	// Too much has happened for a machine to decide. What people do then the stories of the desk
	// walk; here it is written into the store, and shows nothing.
	k.ways["given back past the product"]++
	must2(store.ReplaceCredential(ctx, k.own.password().ID, k.own.password().Version, []byte(must2(cheap().Hash(ctx, storyPassword))(k.t))))(k.t)
	must(k.t, store.EndAll(ctx, k.own.user, storage.Keep{}, "case", idp.Event{}))
	p.password, k.own.view = storyPassword, k.look(k.own)
}

// thiefIn says whether the thief's cookie is a session of the owner.
func (k *heist) thiefIn() bool {
	ss, err := k.w.Service.Store.SessionByToken(k.t.Context(), hashOf(k.thief.jar["hufu-s"]), time.Now())
	return err == nil && ss.UserID == k.own.ID
}
