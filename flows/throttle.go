package flows

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"hufu/flows/factor"
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

// take charges the row; until is set while a wait runs.
func (w row) take(ctx context.Context, st *storage.Store, now time.Time) (ok bool, until time.Time, err error) {
	if w.wait != nil {
		ok, _, err = st.TakeWait(ctx, w.kind, w.key, w.wait.Unit, w.wait.Cap, w.wait.Forget, now)
		if err == nil && !ok {
			until, err = st.WaitUntil(ctx, w.kind, w.key)
		}
		return ok, until, err
	}
	if ok, _, err = st.TakeBucket(ctx, w.kind, w.key, w.bucket.Burst, w.bucket.Refill, now); ok || err != nil {
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
	return false, time.Time{}, nil
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
	case s.user == nil:
		return nil
	case s.browser != nil:
		return []byte("b:" + s.browser.ID)
	case s.signed != nil && s.signed.User.ID == s.user.ID && idp.Assess(s.signed.Session.Proofs).ACR >= idp.ACR2:
		return []byte("s:" + s.signed.Session.ID)
	}
	return nil
}

// network is the key W: a keyed hash of the asker's exact network.
func (s *State) network(ctx context.Context) []byte {
	return s.engine.Store.MAC("network", []byte(web.LimitKey(ctx)))
}

// nameAndNetwork is the key (I, W): what was typed, and from where.
func (s *State) nameAndNetwork(ctx context.Context) []byte {
	name := s.Facts.Lookup
	if name == nil {
		name = s.account()
	}
	return append(append([]byte{}, name...), s.network(ctx)...)
}

// rows are what a wrong guess with a method is charged to, waits first.
func (e *Engine) rows(ctx context.Context, s *State, m idp.Method) ([]row, error) {
	t := e.Policy.Throttle
	a, b := s.account(), s.known()
	strangers := func(first ...row) ([]row, error) {
		shared, err := e.sharedNetworks(ctx, s)
		return append(first, shared...), err
	}
	switch {
	case m == idp.MethodPassword && b != nil:
		lost := func(ctx context.Context) error { return e.loseBrowser(ctx, s) }
		return []row{{kind: "pw.wait.b", key: b, wait: &t.PasswordBrowserWait}, {kind: "pw.b", key: b, bucket: t.PasswordBrowser, empty: lost}}, nil
	case m == idp.MethodPassword:
		return strangers(row{kind: "pw.wait", key: s.nameAndNetwork(ctx), wait: &t.PasswordWait}, row{kind: "pw", key: a, bucket: t.PasswordStranger})
	case m == idp.MethodTOTP && b != nil:
		return []row{{kind: "totp.b", key: b, bucket: t.TOTPBrowser, then: &row{kind: "totp", key: a, bucket: t.TOTPStranger}}}, nil
	case m == idp.MethodTOTP:
		return strangers(row{kind: "totp", key: a, bucket: t.TOTPStranger})
	case b != nil:
		return []row{{kind: "code.b", key: b, bucket: t.CodeBrowser, then: &row{kind: "code", key: a, bucket: t.CodeStranger}}}, nil
	}
	return strangers(row{kind: "code", key: a, bucket: t.CodeStranger})
}

// sharedNetworks are the hard stops of a network's failures: the address, and for
// IPv6 the coarser networks that one customer may hold, with more room. An address
// shared by many earns room by its good users: one share more for every five.
func (e *Engine) sharedNetworks(ctx context.Context, s *State) ([]row, error) {
	n, err := e.Store.Greeted(ctx, s.network(ctx), time.Now().Add(-30*24*time.Hour))
	f := min(16, 1+n/5)
	if e.Loopback > 0 && web.Peer(ctx).IsLoopback() {
		f *= e.Loopback
	}
	b := e.Policy.Throttle.StrangerNetwork
	rows := []row{{kind: "net", key: s.network(ctx), bucket: b.Times(f)}}
	for i, wider := range web.WiderKeys(ctx) {
		rows = append(rows, row{kind: "net", key: e.Store.MAC("network", []byte(wider)), bucket: b.Times(f * 4 << (2 * i))})
	}
	return rows, err
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
	now := time.Now()
	rows, err := e.rows(ctx, s, m)
	if err != nil {
		return err
	}
	closed := e.closed(s, ans)
	var free bool
	var refusedBy *row
	var until time.Time
	err = e.Store.Try(ctx, func(ctx context.Context) error {
		refusedBy, until, free = nil, time.Time{}, false
		for i := range rows {
			ok, u, err := rows[i].take(ctx, e.Store, now)
			if err != nil {
				return err
			}
			if !ok && refusedBy == nil {
				refusedBy, until = &rows[i], u
			}
		}
		if refusedBy != nil || closed { // charged alike, right or wrong
			return nil
		}
		again, err := e.repeated(ctx, s, m, ans, now)
		if free = ans.Right || ans.Used || again; err == nil && free {
			return storage.Undo()
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case refusedBy != nil && !until.IsZero():
		return e.failed(ctx, s, m, ans, &idp.Error{Kind: idp.Limited, Msg: "public.s2", Until: until, Reason: "wait.net"})
	case refusedBy != nil && refusedBy.kind == "net":
		return e.failed(ctx, s, m, ans, &idp.Error{Kind: idp.Limited, Msg: "public.s2", Until: now.Add(refusedBy.bucket.Refill), Reason: "flood"})
	case refusedBy != nil, closed:
		if err := e.tellClosed(ctx, s, m, now); err != nil {
			return err
		}
		return e.failed(ctx, s, m, ans, rejection(m, closedReason(m)))
	case ans.Used:
		return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
	case !ans.Right && free: // the same wrong one again: nothing is counted
		return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
	case !ans.Right:
		return e.wrong(ctx, s, m, ans, now)
	}
	return e.right(ctx, s, m, ans, rows, now)
}

// closed says whether the credential has reached its hard end: it answers only on
// browsers that the owner is known on.
func (e *Engine) closed(s *State, ans factor.Answer) bool {
	if s.known() != nil {
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
	was, err := e.Store.Repeated(ctx, of, version, mark, now.Add(-e.Policy.Throttle.RepeatLife))
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
	// A name that nobody has runs the same statement; it finds no row.
	if s.known() == nil && (m == idp.MethodPassword || m == idp.MethodTOTP) {
		closed, err := e.Store.FailCredential(ctx, ans.Credential, e.Policy.Throttle.HardEnd)
		if err != nil {
			return err
		}
		if closed {
			if err := e.tellClosed(ctx, s, m, now); err != nil {
				return err
			}
		}
	}
	if err := e.suspect(ctx, s, m, now); err != nil {
		return err
	}
	return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
}

// suspect: a stranger who knows the password fails at the second factor again and
// again. The owner is told and must change the password at his next full sign-in.
func (e *Engine) suspect(ctx context.Context, s *State, m idp.Method, now time.Time) error {
	if m == idp.MethodPassword || s.known() != nil || s.user == nil || s.user.MustChange || s.Demand.Kind != idp.FlowSignIn {
		return nil
	}
	t := e.Policy.Throttle
	// The bucket regains one each SuspectIn/SuspectAfter, so the third within the time is refused.
	ok, _, err := e.Store.TakeBucket(ctx, "suspect", s.account(), t.SuspectAfter-1, t.SuspectIn, now)
	if err != nil || ok {
		return err
	}
	if err := e.Store.SetMustChange(ctx, s.user.ID, true); err != nil {
		return err
	}
	if err := e.event(ctx, s, idp.Event{Name: "password.suspected"}); err != nil {
		return err
	}
	return e.tell(ctx, s, "closed", templatesLetter(s, now))
}

// right settles a right answer: its own waits end, the counter moves on.
func (e *Engine) right(ctx context.Context, s *State, m idp.Method, ans factor.Answer, rows []row, now time.Time) error {
	for _, w := range rows {
		if w.wait != nil {
			if err := e.Store.ClearWait(ctx, w.kind, w.key); err != nil {
				return err
			}
		}
	}
	switch {
	case ans.Counter > 0:
		ok, err := e.Store.UseCredential(ctx, ans.Credential, ans.Counter, now)
		if err != nil {
			return err
		}
		if !ok {
			return e.failed(ctx, s, m, ans, rejection(m, "otp.reused"))
		}
	case m == idp.MethodPassword:
		ok, err := e.Store.TouchCredential(ctx, ans.Credential, s.version(ans.Credential), now)
		if err != nil {
			return err
		}
		if !ok { // changed while it was looked at
			return e.failed(ctx, s, m, ans, rejection(m, ans.Reason))
		}
		if ans.Rehash != nil {
			s.after = func(ctx context.Context) error { return e.rehash(ctx, ans, s.version(ans.Credential)) }
		}
	default:
		return e.Store.ProveIdentifier(ctx, ans.Credential, now)
	}
	return nil
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
	}
	return "code.wrong"
}

// rejection is the public sentence of a reason.
func rejection(m idp.Method, reason string) *idp.Error {
	field, msg := "code", reason
	if m == idp.MethodPassword {
		field, msg = "password", "pw.wrong" // closed says the same as wrong
	}
	return &idp.Error{Kind: idp.Rejected, Field: field, Msg: msg, Reason: reason}
}

// failed writes the refusal to the log, with an explain code that the person sees
// from the second refusal on.
func (e *Engine) failed(ctx context.Context, s *State, m idp.Method, ans factor.Answer, refusal *idp.Error) error {
	s.Facts.Refusals++
	explain := idp.NewExplainCode()
	if s.Facts.Refusals > 1 {
		s.Form.Explain = explain
	}
	reason := refusal.Reason
	if s.user == nil {
		reason = "unknown"
	}
	err := e.event(ctx, s, idp.Event{Name: "signin.failed", Reason: reason, Explain: explain,
		Data: map[string]any{"method": string(m), "drift_minutes": int(ans.Drift.Minutes())}})
	if err != nil {
		return err
	}
	return refusal
}
