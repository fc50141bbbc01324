package flows

import (
	"context"
	"slices"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/storage"
	"hufu/templates"
)

// What strangers close is told to the owner, who is never locked out himself: which way,
// since when, until when, and which ways are open to him now.

// lockable are the methods that strangers can use up; codes to phones and addresses are one.
var lockable = []idp.Method{idp.MethodPassword, idp.MethodTOTP, methodCode, idp.MethodBackup}

// methodCode stands for codes to any channel: they share the tries of the account.
const methodCode idp.Method = "code"

// lockOf is which of them a method belongs to.
func lockOf(m idp.Method) idp.Method {
	if slices.Contains(lockable, m) {
		return m
	}
	return methodCode
}

// strangers is the row that closes a method of an account to strangers when it is empty.
func (e *Engine) strangers(m idp.Method, account []byte) row {
	t := e.Policy.Throttle
	switch m {
	case idp.MethodPassword:
		return row{kind: "pw", key: account, bucket: t.PasswordStranger}
	case idp.MethodTOTP:
		return row{kind: "totp", key: account, bucket: t.TOTPStranger}
	case idp.MethodBackup:
		return row{kind: "backup", key: account, bucket: t.BackupCode}
	}
	return row{kind: "code", key: account, bucket: t.CodeStranger}
}

// tellClosed tells the owner, once a day for each way, that strangers have closed it:
// until one try is back or, at its hard end, until he comes in himself.
func (e *Engine) tellClosed(ctx context.Context, s *State, m idp.Method, until, now time.Time) error {
	way := lockOf(m)
	ok, _, err := e.Store.TakeBucket(ctx, "tell.closed", slices.Concat(s.account(), []byte("/"+way)), 1, 24*time.Hour, now)
	if err != nil || !ok || s.user == nil {
		return err
	}
	data := map[string]any{"method": string(way), "scope": "strangers"}
	if !until.IsZero() {
		data["until"] = until
	}
	if err := e.event(ctx, s, idp.Event{Name: "lock.closed", Reason: closedReason(m), Data: data}); err != nil {
		return err
	}
	letter := templatesLetter(s, now)
	letter.Factor, letter.Object, letter.Until = "factor."+string(way), string(way), until
	if letter.Ways, err = e.openWays(ctx, *s.user, way, s.creds, s.names, now); err != nil {
		return err
	}
	return e.tell(ctx, s, "closed", letter)
}

// tellWait notes for the owner that a pause has begun, once a day for each place that it
// is in. For a name that nobody has the same is written, and taken back.
func (e *Engine) tellWait(ctx context.Context, s *State, m idp.Method, w row, until, now time.Time) error {
	ok, _, err := e.Store.TakeBucket(ctx, "tell.wait", slices.Concat(s.account(), []byte("/"), w.key), 1, w.wait.Forget, now)
	if err != nil || !ok {
		return err
	}
	tries, err := e.Store.Failures(ctx, w.kind, w.key, w.wait.Forget, now)
	if err != nil {
		return err
	}
	ev := idp.Event{Name: "lock.wait", Reason: "wait.net", Data: map[string]any{"method": string(lockOf(m)), "scope": "network", "until": until, "tries": tries}}
	if s.known() != nil {
		ev.Reason, ev.Data["scope"] = "wait.browser", "browser"
	}
	return e.Store.Try(ctx, func(ctx context.Context) error {
		if err := e.event(ctx, s, ev); err != nil || s.user != nil {
			return err
		}
		return storage.Undo()
	})
}

// closedTo says until when a method of a person is closed to strangers: zero while it is
// open. hard: until he comes in himself.
func (e *Engine) closedTo(ctx context.Context, u idp.User, m idp.Method, creds []idp.Credential, now time.Time) (until time.Time, hard bool, err error) {
	if c := of(creds, m); c != nil && c.Closed {
		return time.Time{}, true, nil
	}
	r := e.strangers(m, []byte(u.ID))
	until, err = e.Store.BucketUntil(ctx, r.kind, r.key, r.bucket.Burst, r.bucket.Refill)
	if !until.After(now) {
		until = time.Time{}
	}
	return until, false, err
}

// holds says whether a person could come in with a method, if it were open.
func holds(m idp.Method, creds []idp.Credential, names []idp.Identifier) bool {
	if m == methodCode {
		return len(seconds(creds)) == 0 && slices.ContainsFunc(names, idp.Identifier.Channel)
	}
	return slices.ContainsFunc(creds, func(c idp.Credential) bool {
		return c.Method == m && c.Blocked == "" && (m != idp.MethodBackup || backup.Left(c.Data) > 0)
	})
}

// openWays are the ways around a closed method that are open to its owner now, as keys of
// the catalogue.
func (e *Engine) openWays(ctx context.Context, u idp.User, closed idp.Method, creds []idp.Credential, names []idp.Identifier, now time.Time) (ways []string, err error) {
	if closed != idp.MethodBackup { // which has one row for everybody
		known, err := e.Store.Browsers(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		if len(known) > 0 {
			ways = append(ways, "open.known")
		}
	}
	if e.Passkey != nil && holds(idp.MethodPasskey, creds, names) {
		ways = append(ways, "open.passkey")
	}
	if closed == idp.MethodPassword && slices.ContainsFunc(names, idp.Identifier.Channel) {
		ways = append(ways, "open.code")
	}
	other := map[idp.Method]idp.Method{idp.MethodTOTP: idp.MethodBackup, idp.MethodBackup: idp.MethodTOTP}[closed]
	if other == "" || !holds(other, creds, names) {
		return ways, nil
	}
	until, hard, err := e.closedTo(ctx, u, other, creds, now)
	if until.IsZero() && !hard {
		ways = append(ways, "open."+string(other))
	}
	return ways, err
}

// closedWays are the ways of a person that strangers have closed, as his own page tells
// of them.
func (e *Engine) closedWays(ctx context.Context, u idp.User, creds []idp.Credential, names []idp.Identifier, now time.Time) (all []templates.ClosedWay, err error) {
	for _, m := range lockable {
		if !holds(m, creds, names) {
			continue
		}
		until, hard, err := e.closedTo(ctx, u, m, creds, now)
		if err != nil {
			return nil, err
		}
		if until.IsZero() && !hard {
			continue
		}
		way := templates.ClosedWay{FactorKey: "factor." + string(m), Until: until, All: m == idp.MethodBackup && !hard}
		if way.Since, err = e.closedSince(ctx, u, m, now); err != nil {
			return nil, err
		}
		if way.Ways, err = e.openWays(ctx, u, m, creds, names, now); err != nil {
			return nil, err
		}
		all = append(all, way)
	}
	return all, nil
}

const lockEvents = 50 // looked at for when a lock began

// closedSince is when strangers closed a method: the first of the events of it that each
// lasted until the next. Zero: the last try was used up, and none was made since.
func (e *Engine) closedSince(ctx context.Context, u idp.User, m idp.Method, now time.Time) (since time.Time, err error) {
	events, err := e.Store.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "lock.closed"}, lockEvents)
	if err != nil {
		return since, err
	}
	for _, ev := range events {
		switch {
		case ev.Data["method"] != string(m):
		case lasts(ev, now):
			since, now = ev.At, ev.At
		default:
			return since, nil
		}
	}
	return since, nil
}

// lasts says whether the lock of an event lasted until a time.
func lasts(ev idp.Event, t time.Time) bool {
	until := untilOf(ev)
	return until.IsZero() || !until.Before(t)
}

// untilOf is when a lock ends that an event tells of; zero: not by itself.
func untilOf(ev idp.Event) time.Time {
	text, _ := ev.Data["until"].(string)
	until, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return until
}

// lockedBy says since when an account is locked and by what kind of decision: of support,
// or of a rule. It names nobody.
func (e *Engine) lockedBy(ctx context.Context, s *State) (text string, args []any, err error) {
	events, err := e.Store.Events(ctx, storage.EventFilter{Subject: s.user.ID, Name: "lock.account"}, 1)
	if err != nil || len(events) == 0 {
		return "refused.locked", nil, err
	}
	since := []any{e.moment(e.Site.Lang(s.request), events[0].At)}
	if by := events[0].Actor; by == "" || by == "system" {
		return "refused.locked_rule", since, nil
	}
	return "refused.locked_support", since, nil
}

// moment is a time in words.
func (e *Engine) moment(lang string, t time.Time) string {
	return templates.Frame{Lang: lang, Zone: e.Site.Zone, Now: time.Now()}.Moment(t)
}
