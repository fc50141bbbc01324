package flows

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/web"
	"hufu/storage"
)

// A row is one thing that a wrong guess is charged to: a growing wait or a bucket.
type row struct {
	kind   string
	key    []byte
	wait   *policy.Wait
	bucket policy.Bucket
	then   *row // charged in its place when it is empty
	empty  func(ctx context.Context) error
}

// take charges the row. until is the end of a wait that runs or, if ok, of one that
// begins; of a bucket that is empty, when it admits one again.
func (w row) take(ctx context.Context, st *storage.Store, now time.Time) (ok bool, until time.Time, err error) {
	if w.wait != nil {
		ok, until, err = st.TakeWait(ctx, w.kind, w.key, w.wait.Unit, w.wait.Cap, w.wait.Forget, now)
		if err == nil && !ok {
			until, err = st.WaitUntil(ctx, w.kind, w.key)
		}
		return ok, until, err
	}
	if ok, until, err = st.TakeBucket(ctx, w.kind, w.key, w.bucket.Burst, w.bucket.Refill, now); ok || err != nil {
		return ok, time.Time{}, err
	}
	if w.empty != nil {
		if err := w.empty(ctx); err != nil {
			return false, time.Time{}, err
		}
	}
	if w.then != nil {
		return w.then.take(ctx, st, now)
	}
	return false, until, nil
}

// account is the key A of the account a guess is at, or of the typed name when
// nobody has it: unknown names get the same rows and the same answers.
func (s *State) account() []byte {
	if s.user != nil {
		return []byte(s.user.ID)
	}
	return s.Facts.Lookup
}

// known is the key B of a browser that is known for the account, or of the live
// session that a step-up happens in; nil for a stranger. Only a sealed or random
// cookie names it, so strangers never write it. A session of one factor does not
// count: who knows the password could make a new one for every guess.
func (s *State) known() []byte {
	switch {
	case s.User == "":
		return nil
	case s.browser != nil:
		return []byte("b:" + s.browser.ID)
	case s.signed != nil && s.signed.User.ID == s.User && idp.Assess(s.signed.Session.Proofs).ACR >= idp.ACR2:
		if b := s.signed.Session.Browser; b != "" { // whose tries are not doubled by dropping its cookie
			return []byte("b:" + b)
		}
		return []byte("s:" + s.signed.Session.ID)
	}
	return nil
}

// introduced says whether this flow has proved a code on a bound channel of the
// account, not long ago: who holds the owner's phone or mailbox has tries of his own,
// which no stranger can use up.
func (s *State) introduced() bool {
	since := time.Now().Add(-s.engine.Policy.Now().Throttle.Introduced)
	if s.User == "" {
		return false
	}
	return s.Facts.Introduced.After(since) || slices.ContainsFunc(s.Facts.Proofs, func(p idp.Proof) bool {
		return p.User == s.User && (p.Method == idp.MethodSMS || p.Method == idp.MethodMail) && p.At.After(since) &&
			slices.ContainsFunc(s.names, func(n idp.Identifier) bool { return n.ID == p.Credential && n.Channel() })
	})
}

// stranger: neither known nor introduced.
func (s *State) stranger() bool { return s.known() == nil && !s.introduced() }

// network is the key W: a keyed hash of the asker's exact network.
func (s *State) network(ctx context.Context) []byte {
	return s.engine.Store.MAC("network", []byte(web.LimitKey(ctx)))
}

// name is the key I: what was typed, else the account.
func (s *State) name() []byte {
	if s.Facts.Lookup != nil {
		return s.Facts.Lookup
	}
	return s.account()
}

// nameAndNetwork is the key (I, W): what was typed, and from where.
func (s *State) nameAndNetwork(ctx context.Context) []byte {
	return slices.Concat(s.name(), s.network(ctx))
}

// rows are what a wrong guess with a method is charged to, waits first. Who is known
// or introduced neither charges nor obeys networks.
func (e *Engine) rows(ctx context.Context, s *State, m idp.Method) ([]row, error) {
	if b := s.known(); b != nil {
		return e.rowsOfKnown(s, m, b), nil
	}
	if s.introduced() {
		return e.rowsOfIntroduced(s, m), nil
	}
	t, a := e.Policy.Now().Throttle, s.account()
	var first []row
	switch m {
	case idp.MethodPassword:
		first = []row{{kind: "pw.wait", key: s.nameAndNetwork(ctx), wait: &t.PasswordWait}, e.strangers(m, a)}
	case methodRecover, methodShop:
		first = []row{e.rowOfRecovery(s)}
	case idp.MethodPasskey, methodIntroduce:
		// Nobody guesses a signature. And a code that only introduces is bounded by its five
		// tries and the number that are sent: a row of the account's would let strangers close
		// the owner's way around what they have closed.
	case methodAddress:
		first = []row{e.rowOfAddress(s)}
	default:
		first = []row{e.strangers(m, a)}
	}
	shared, err := e.networks(ctx, s, "net", t.StrangerNetwork)
	return append(first, shared...), err
}

// rowsOfKnown are keyed with the browser or session; of the account's own only when
// theirs are spent. A set of recovery codes has one row for everybody.
func (e *Engine) rowsOfKnown(s *State, m idp.Method, b []byte) []row {
	t, all := e.Policy.Now().Throttle, e.strangers(m, s.account())
	switch m {
	case idp.MethodPassword:
		lost := func(ctx context.Context) error { return e.loseBrowser(ctx, s) }
		return []row{{kind: "pw.wait.b", key: b, wait: &t.PasswordBrowserWait}, {kind: "pw.b", key: b, bucket: t.PasswordBrowser, empty: lost}}
	case idp.MethodTOTP:
		return []row{{kind: "totp.b", key: b, bucket: t.TOTPBrowser, then: &all}}
	case idp.MethodBackup:
		return []row{all}
	case methodRecover, methodShop:
		return []row{e.rowOfRecovery(s)}
	case idp.MethodPasskey, methodIntroduce:
		return nil
	case methodAddress:
		return []row{e.rowOfAddress(s)}
	}
	return []row{{kind: "code.b", key: b, bucket: t.CodeBrowser, then: &all}}
}

func (e *Engine) rowsOfIntroduced(s *State, m idp.Method) []row {
	t, a := e.Policy.Now().Throttle, s.account()
	switch m {
	case idp.MethodPassword:
		return []row{{kind: "pw.c", key: a, bucket: t.PasswordIntroduced}}
	case idp.MethodTOTP:
		return []row{{kind: "totp.c", key: a, bucket: t.TOTPIntroduced}}
	case methodRecover, methodShop:
		return []row{e.rowOfRecovery(s)}
	case idp.MethodPasskey, methodIntroduce:
		return nil
	case methodAddress:
		return []row{e.rowOfAddress(s)}
	}
	return []row{e.strangers(m, a)}
}

// methodIntroduce is a code that only shows who holds a channel of the account, see
// [State.introduced].
const methodIntroduce idp.Method = "introduce"

// methodRecover is a code that is sent in a recovery: longer, with tries of its own.
const methodRecover idp.Method = "recover"

// rowOfRecovery is one for everybody: whoever asks, so many wrong codes of an account.
func (e *Engine) rowOfRecovery(s *State) row {
	return row{kind: "recover", key: s.account(), bucket: e.Policy.Now().Returns.Code}
}

// rowOfAddress is of codes to a new phone or address, which nobody comes in with.
func (e *Engine) rowOfAddress(s *State) row {
	return row{kind: "address", key: s.account(), bucket: e.Policy.Now().Throttle.Address}
}

// networks are the rows that all who ask from one network share: one for the address,
// and for IPv6 the coarser networks that one customer may hold, with more room. An
// address shared by many earns room by its good users: one share more for every five.
func (e *Engine) networks(ctx context.Context, s *State, kind string, b policy.Bucket) ([]row, error) {
	n, err := e.Store.Greeted(ctx, s.network(ctx), time.Now().Add(-greetedFor))
	f := min(16, 1+n/5) * e.loopback(ctx)
	rows := []row{{kind: kind, key: s.network(ctx), bucket: b.Times(f)}}
	for i, wider := range web.WiderKeys(ctx) {
		rows = append(rows, row{kind: kind, key: e.Store.MAC("network", []byte(wider)), bucket: b.Times(f * 4 << (2 * i))})
	}
	return rows, err
}

// greetedFor is how long a good sign-in speaks for its network.
const greetedFor = 30 * 24 * time.Hour

// loopback is the factor on the rows of the asker's network in a demonstration.
func (e *Engine) loopback(ctx context.Context) int {
	if e.Loopback > 0 && web.Peer(ctx).IsLoopback() {
		return e.Loopback
	}
	return 1
}

// waiting refuses before the secret is looked at, while a wait runs or the network is
// at its hard stop.
func (e *Engine) waiting(ctx context.Context, s *State, m idp.Method) error {
	rows, err := e.rows(ctx, s, m)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, w := range rows {
		switch {
		case w.wait != nil:
			until, err := e.Store.WaitUntil(ctx, w.kind, w.key)
			if err != nil {
				return err
			}
			if until.After(now) {
				return tooMany(until)
			}
		case w.kind == "net": // a network at its hard stop costs no hash either
			empty, err := e.Store.BucketEmpty(ctx, w.kind, w.key, w.bucket.Burst, w.bucket.Refill, now)
			if err != nil {
				return err
			}
			if empty {
				return tooMany(now.Add(w.bucket.Refill))
			}
		}
	}
	return nil
}

func tooMany(until time.Time) error {
	return &idp.Error{Kind: idp.Limited, Msg: "public.s2", Until: until, Reason: "wait"}
}

// guess pays for an answer and only then says what it was worth: nil for right, an
// idp.Rejected or idp.Limited error for anything else. It runs inside the engine's
// transaction; no answer depends on the secret unless every charge succeeded in
// that same transaction, so 64 guesses in parallel are worth what 64 in a row are.
func (e *Engine) guess(ctx context.Context, s *State, m idp.Method, ans factor.Answer) error {
	if ans.Void {
		return e.void(ctx, s, m, rejection(m, ans.Reason))
	}
	now := time.Now()
	rows, err := e.rows(ctx, s, m)
	if err != nil {
		return err
	}
	closed := e.closed(s, ans)
	var free bool
	var refusedBy, begun *row
	var until, pause time.Time
	err = e.Store.Try(ctx, func(ctx context.Context) error {
		refusedBy, begun, free = nil, nil, false
		for i := range rows {
			ok, u, err := rows[i].take(ctx, e.Store, now)
			switch {
			case err != nil:
				return err
			case !ok && refusedBy == nil:
				refusedBy, until = &rows[i], u
			case ok && u.After(now):
				begun, pause = &rows[i], u
			}
		}
		if refusedBy != nil || closed { // charged alike, right or wrong
			return nil
		}
		again, err := e.repeated(ctx, s, m, ans, now)
		if free = ans.Right || ans.Used || ans.Clone || again; err == nil && free {
			return storage.Undo()
		}
		return err
	})
	if err == nil && begun != nil && !free {
		err = e.tellWait(ctx, s, m, *begun, pause, now)
	}
	if err != nil {
		return err
	}
	switch {
	case refusedBy != nil && refusedBy.wait != nil:
		return e.failed(ctx, s, m, ans, &idp.Error{Kind: idp.Limited, Msg: "public.s2", Until: until, Reason: "wait.net"})
	case refusedBy != nil && refusedBy.kind == "net":
		return e.failed(ctx, s, m, ans, &idp.Error{Kind: idp.Limited, Msg: "public.s2", Until: now.Add(refusedBy.bucket.Refill), Reason: "flood"})
	case refusedBy != nil && m == methodAddress:
		return e.failed(ctx, s, m, ans, &idp.Error{Kind: idp.Limited, Msg: "public.s2", Until: now.Add(refusedBy.bucket.Refill), Reason: "wait"})
	case refusedBy != nil, closed:
		if closed {
			until = time.Time{} // until the owner comes in, see reopen
		}
		if refusedBy == nil || refusedBy.kind != "pw.b" { // a browser that is lost closes nothing
			if err := e.tellClosed(ctx, s, m, until, now); err != nil {
				return err
			}
		}
		if err := e.countFailure(ctx, s, now); err != nil {
			return err
		}
		return e.failed(ctx, s, m, ans, rejection(m, closedReason(m)))
	case ans.Clone:
		return e.cloned(ctx, s, m, ans, now)
	case ans.Used:
		return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
	case !ans.Right && free: // the same wrong one again: nothing is counted
		return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
	case !ans.Right:
		return e.wrong(ctx, s, m, ans, now)
	}
	return e.right(ctx, s, m, ans, rows, now)
}

// closed says whether the credential has reached its hard end: it answers only who is
// known or introduced.
func (e *Engine) closed(s *State, ans factor.Answer) bool {
	if !s.stranger() {
		return false
	}
	for _, c := range s.creds {
		if c.ID == ans.Credential {
			return c.Closed
		}
	}
	return false
}

// repeated says whether a wrong password is one of the last three wrong ones: a
// phone that keeps sending an old password must not use the owner's tries up.
// Sixteen bits of a keyed hash are too few to test a guess with. It runs after every
// charge succeeded, and looks for right passwords too, to no effect.
func (e *Engine) repeated(ctx context.Context, s *State, m idp.Method, ans factor.Answer, now time.Time) (bool, error) {
	if m != idp.MethodPassword {
		return false, nil
	}
	of, version := ans.Credential, s.version(ans.Credential)
	if of == "" { // a name that nobody has: the same, or it would show in the waits
		of = hex.EncodeToString(s.Facts.Lookup)
	}
	v := append([]byte(of+"/"+strconv.FormatInt(version, 10)+"/"), ans.Mark...)
	mark := binary.BigEndian.Uint16(e.Store.MAC("password.mark", v))
	was, err := e.Store.Repeated(ctx, of, version, mark, now.Add(-e.Policy.Now().Throttle.RepeatLife))
	if err != nil || was || ans.Right {
		return was && !ans.Right, err
	}
	return false, e.Store.Mark(ctx, idp.NewID(), of, version, mark, now)
}

func (s *State) version(credential string) int64 {
	for _, c := range s.creds {
		if c.ID == credential {
			return c.Version
		}
	}
	return 0
}

// wrong counts what follows from a wrong guess that was paid for.
func (e *Engine) wrong(ctx context.Context, s *State, m idp.Method, ans factor.Answer, now time.Time) error {
	// A name that nobody has runs the same statement; it finds no row. A passkey never
	// closes: its name is no secret, and closing it would be all that a stranger can do.
	if s.stranger() && (m == idp.MethodPassword || m == idp.MethodTOTP || m == idp.MethodBackup) {
		closed, err := e.Store.FailCredential(ctx, ans.Credential, e.Policy.Now().Throttle.HardEnd)
		if err != nil {
			return err
		}
		if closed {
			if err := e.tellClosed(ctx, s, m, time.Time{}, now); err != nil {
				return err
			}
		}
	}
	if err := e.suspect(ctx, s, m, now); err != nil {
		return err
	}
	if err := e.countFailure(ctx, s, now); err != nil {
		return err
	}
	return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
}

// suspect: a stranger who knows the password fails at the second factor again and
// again. The owner is told and must change the password at his next full sign-in.
func (e *Engine) suspect(ctx context.Context, s *State, m idp.Method, now time.Time) error {
	if m == idp.MethodPassword || s.user == nil || !s.stranger() || s.user.MustChange || s.Demand.Kind != idp.FlowSignIn || !s.proved(idp.MethodPassword) {
		return nil
	}
	t := e.Policy.Now().Throttle
	// The bucket regains one each SuspectIn/SuspectAfter, so the third within the time is refused.
	ok, _, err := e.Store.TakeBucket(ctx, "suspect", s.account(), t.SuspectAfter-1, t.SuspectIn, now)
	if err != nil || ok {
		return err
	}
	if err := e.Store.SetMustChange(ctx, s.user.ID, true); err != nil {
		return err
	}
	for _, name := range []string{"password.suspected", "password.must_change"} {
		if err := e.event(ctx, s, idp.Event{Name: name}); err != nil {
			return err
		}
	}
	return e.tell(ctx, s, "suspected", templatesLetter(s, now))
}

// right settles a right answer: its own waits end, and it cannot be given again.
func (e *Engine) right(ctx context.Context, s *State, m idp.Method, ans factor.Answer, rows []row, now time.Time) error {
	for _, w := range rows {
		if w.wait != nil {
			if err := e.Store.ClearWait(ctx, w.kind, w.key); err != nil {
				return err
			}
		}
	}
	switch {
	case m == methodShop:
		return nil
	case m == methodRecover || m == methodIntroduce: // whose channel it is nobody has shown: it does not refresh a number that may have been sold
		if ans.Proof.Method == idp.MethodSMS && s.user != nil {
			return e.Store.UseSend(ctx, s.user.ID, now)
		}
		return nil
	case m == idp.MethodSMS || m == idp.MethodMail || m == methodAddress:
		if ans.Proof.Method == idp.MethodSMS && s.user != nil {
			if err := e.Store.UseSend(ctx, s.user.ID, now); err != nil {
				return err
			}
		}
		return e.Store.ProveIdentifier(ctx, ans.Credential, now)
	case ans.Data != nil:
		ok, err := e.Store.SpendCredential(ctx, ans.Credential, s.version(ans.Credential), ans.Data, now)
		if err == nil && !ok {
			err = errFaster // it was used or changed while it was looked at
		}
		if err != nil {
			return err
		}
	}
	if m == idp.MethodBackup {
		return e.tellCodeUsed(ctx, s, ans.Credential, backup.Left(ans.Data), now)
	}
	if ans.Counter > 0 {
		ok, err := e.Store.UseCredential(ctx, ans.Credential, ans.Counter, now)
		if err == nil && !ok {
			err = e.failed(ctx, s, m, ans, rejection(m, reusedReason(m)))
		}
		return err
	}
	if ans.Data != nil {
		return nil
	}
	ok, err := e.Store.TouchCredential(ctx, ans.Credential, s.version(ans.Credential), now)
	if err != nil {
		return err
	}
	if !ok { // changed while it was looked at
		return e.failed(ctx, s, m, ans, rejection(m, cmp.Or(ans.Reason, "key.unknown")))
	}
	if ans.Rehash != nil {
		s.after = func(ctx context.Context) error { return e.rehash(ctx, ans, s.version(ans.Credential)) }
	}
	return nil
}

// tellCodeUsed: whoever used a recovery code has lost something, or is a thief.
func (e *Engine) tellCodeUsed(ctx context.Context, s *State, set string, left int, now time.Time) error {
	if err := e.event(ctx, s, idp.Event{Name: "codes.used", Data: map[string]any{"left": left}}); err != nil {
		return err
	}
	if left < e.Policy.Now().Paper.Low {
		if err := e.event(ctx, s, idp.Event{Name: "codes.low", Data: map[string]any{"left": left}}); err != nil {
			return err
		}
	}
	letter := templatesLetter(s, now)
	letter.Left, letter.Object = left, set+"/"+strconv.Itoa(left) // each code is told
	return e.tell(ctx, s, "codes.used", letter)
}

// cloned ends an authenticator of which a copy exists: it answers nobody any more.
func (e *Engine) cloned(ctx context.Context, s *State, m idp.Method, ans factor.Answer, now time.Time) error {
	blocked, err := e.Store.BlockCredential(ctx, ans.Credential, "clone")
	if err != nil {
		return err
	}
	if blocked && s.user != nil {
		if err := e.disprove(ctx, *s.user, ans.Credential, ""); err != nil { // which of the two let itself in nobody knows
			return err
		}
		if err := e.Store.DistrustBrowsers(ctx, s.user.ID); err != nil {
			return err
		}
		if err := e.event(ctx, s, idp.Event{Name: "factor.clone_suspected", Data: map[string]any{"method": string(m), "credential": ans.Credential}}); err != nil {
			return err
		}
		letter := templatesLetter(s, now)
		letter.Object = ans.Credential
		if err := e.tell(ctx, s, "clone", letter); err != nil {
			return err
		}
	}
	return e.failed(ctx, s, m, ans, rejection(m, "key.clone"))
}

// rehash keeps a password in today's form, after the guess was paid for and its
// transaction is over: hashing must hold nobody up, and its time must tell nothing.
func (e *Engine) rehash(ctx context.Context, ans factor.Answer, version int64) error {
	data, err := ans.Rehash(ctx)
	if err != nil {
		return err
	}
	return e.Store.RehashCredential(ctx, ans.Credential, version, data)
}

// loseBrowser makes a browser a stranger that failed too often.
func (e *Engine) loseBrowser(ctx context.Context, s *State) error {
	if s.browser == nil {
		return nil
	}
	ok, err := e.Store.RevokeBrowser(ctx, s.browser.ID)
	if err != nil || !ok {
		return err
	}
	return e.event(ctx, s, idp.Event{Name: "lock.browser", Data: map[string]any{"browser": s.browser.ID}})
}

func closedReason(m idp.Method) string {
	switch m {
	case idp.MethodPassword:
		return "pw.closed"
	case idp.MethodTOTP:
		return "otp.closed"
	case idp.MethodBackup:
		return "backup.closed"
	}
	return "code.closed"
}

// reusedReason says that a right answer was given before.
func reusedReason(m idp.Method) string {
	if m == idp.MethodPasskey {
		return "key.stale"
	}
	return "otp.reused"
}

// rejection is the public sentence of a reason.
func rejection(m idp.Method, reason string) *idp.Error {
	field, msg := "code", reason
	switch {
	case m == idp.MethodPassword:
		field, msg = "password", "pw.wrong" // closed says the same as wrong
	case m == idp.MethodPasskey:
		field = "" // nothing was typed
	case reason == "code.closed":
		msg = "code.wrong"
	}
	return &idp.Error{Kind: idp.Rejected, Field: field, Msg: msg, Reason: reason}
}

// failed writes the refusal to the log, with an explain code that the person sees
// from the second refusal on, and at once where he has to wait.
func (e *Engine) failed(ctx context.Context, s *State, m idp.Method, ans factor.Answer, refusal *idp.Error) error {
	s.Facts.Refusals++
	explain := idp.NewExplainCode()
	if s.Facts.Refusals > 1 || refusal.Kind == idp.Limited {
		s.Form.Explain = explain
	}
	reason := refusal.Reason
	if s.user == nil && m != idp.MethodPasskey {
		reason = "unknown"
	}
	err := e.event(ctx, s, idp.Event{Name: "signin.failed", Reason: reason, Explain: explain,
		Data: map[string]any{"method": string(m), "drift_minutes": int(ans.Drift.Minutes())}})
	if err != nil {
		return err
	}
	return refusal
}
