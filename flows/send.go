package flows

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// sendCode queues a code to a channel within its limits; a resend voids the code
// before, so only the newest counts. Before anything is proved the answer must not tell
// who has which channel: then it depends on the typed name, the network and all together
// alone, and what the channel or the account does not admit is quietly not sent.
func (e *Engine) sendCode(ctx context.Context, s *State, to idp.Identifier, template string, letter templates.Letter) error {
	now := time.Now()
	quiet := s.Demand.Kind.Door() && len(s.Facts.Proofs) == 0
	if err := e.mayAsk(ctx, s, to, quiet, now); err != nil {
		return err
	}
	err := e.mayReach(ctx, s, to, now)
	if _, refused := errors.AsType[*idp.Error](err); err != nil && !(refused && quiet) {
		return err
	}
	return e.post(ctx, s, to, template, letter, err == nil && to.Value != "" && !s.muted, now)
}

// mayAsk is what whoever asks may know: that it must be worked for, that far too many are
// sent just now, and the limits of the typed name and of the network.
func (e *Engine) mayAsk(ctx context.Context, s *State, to idp.Identifier, quiet bool, now time.Time) error {
	text, stranger := to.Kind == idp.IdentifierPhone, s.stranger()
	if text && stranger && !s.paidSend {
		w, err := e.work(ctx, s, true)
		if err != nil {
			return err
		}
		if w != nil {
			return errUnpaid
		}
	}
	if text {
		if err := e.counted(ctx, s, func(ctx context.Context) (error, error) { return e.breaker(ctx, s, now) }); err != nil {
			return err
		}
	}
	var rows []row
	if quiet {
		p, key := e.quotas(to.Kind), slices.Concat(s.name(), []byte(to.Kind))
		rows = []row{{kind: "send.name.gap", key: key, bucket: p.gap}, {kind: "send.name.hour", key: key, bucket: p.hour}}
	}
	if stranger {
		hour, err := e.networks(ctx, s, "send.net.hour", e.Policy.Now().Sends.NetworkHour)
		if err != nil {
			return err
		}
		day, err := e.networks(ctx, s, "send.net.day", e.Policy.Now().Sends.NetworkDay)
		if err != nil {
			return err
		}
		rows = slices.Concat(rows, hour, day)
	}
	return e.admit(ctx, rows, now)
}

// mayReach is what only the channel and its account know.
func (e *Engine) mayReach(ctx context.Context, s *State, to idp.Identifier, now time.Time) error {
	if to.Kind == idp.IdentifierPhone {
		if to.Value != "" && !e.reaches(to) {
			return &idp.Error{Kind: idp.Rejected, Msg: "send.country", Reason: "send.country"}
		}
		if err := e.counted(ctx, s, func(ctx context.Context) (error, error) { return e.pumpedTo(ctx, s, prefixOf(to), now) }); err != nil {
			return err
		}
	}
	// Where the account has signed in from lately is no proof, but who asks there has the
	// owner's part: strangers elsewhere cannot use up his way around what they have closed.
	greeted, err := e.Store.GreetedBy(ctx, s.network(ctx), cmp.Or(s.User, nobody), now.Add(-greetedFor))
	if err != nil {
		return err
	}
	return e.admit(ctx, e.rowsOfChannel(s, to, greeted), now)
}

// quotas are the limits of a channel by its kind.
type quotas struct {
	gap, hour, day policy.Bucket
	kept           int // of a day, for who is known
}

func (e *Engine) quotas(kind idp.IdentifierKind) quotas {
	p := e.Policy.Now().Sends
	if kind == idp.IdentifierEmail {
		return quotas{policy.Bucket{Burst: 1, Refill: p.MailGap}, p.MailHour, p.MailDay, p.MailKept}
	}
	return quotas{policy.Bucket{Burst: 1, Refill: p.PhoneGap}, p.PhoneHour, p.PhoneDay, p.PhoneKept}
}

// rowsOfChannel are the limits of a number or address, and of the account. Who is known
// or introduced, or asks from a network that greeted the account, has a part of them that
// strangers cannot use up, and theirs when his own is spent.
func (e *Engine) rowsOfChannel(s *State, to idp.Identifier, greeted bool) []row {
	p, account := e.quotas(to.Kind), e.Policy.Now().Sends.AccountDay
	key, half := []byte(to.ID), account.Burst/2
	if to.Value != "" {
		key = e.Store.Lookup(to.Kind, to.Value)
	}
	day := row{kind: "send.day", key: key, bucket: part(p.day, p.day.Burst-p.kept)}
	all := row{kind: "send.account", key: s.account(), bucket: part(account, account.Burst-half)}
	if s.stranger() && !greeted {
		return []row{{kind: "send.gap", key: key, bucket: p.gap}, {kind: "send.hour", key: key, bucket: p.hour}, day, all}
	}
	own := slices.Concat(s.account(), key)
	return []row{{kind: "send.gap.b", key: own, bucket: p.gap}, {kind: "send.hour.b", key: own, bucket: p.hour},
		{kind: "send.day.b", key: own, bucket: part(p.day, p.kept), then: &day},
		{kind: "send.account.b", key: s.account(), bucket: part(account, half), then: &all}}
}

// part is n of a bucket's room, regained as much slower.
func part(b policy.Bucket, n int) policy.Bucket {
	n = max(1, n)
	return policy.Bucket{Burst: n, Refill: b.Refill * time.Duration(b.Burst) / time.Duration(n)}
}

// admit charges all rows, or none and says until when.
func (e *Engine) admit(ctx context.Context, rows []row, now time.Time) (refusal error) {
	err := e.Store.Try(ctx, func(ctx context.Context) error {
		refusal = nil
		for _, w := range rows {
			ok, next, err := e.Store.TakeBucket(ctx, w.kind, w.key, w.bucket.Burst, w.bucket.Refill, now)
			if err == nil && !ok && w.then != nil {
				ok, next, err = e.Store.TakeBucket(ctx, w.then.kind, w.then.key, w.then.bucket.Burst, w.then.bucket.Refill, now)
			}
			if err != nil {
				return err
			}
			if !ok {
				refusal = &idp.Error{Kind: idp.Limited, Msg: "send.limit", Until: next, Reason: "send.limit"}
				return storage.Undo()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return refusal
}

// counted looks at counters of what all have sent. When they cannot be read strangers
// are kept out, and nobody who is known or introduced.
func (e *Engine) counted(ctx context.Context, s *State, look func(ctx context.Context) (refusal, err error)) (refusal error) {
	err := e.Store.Try(ctx, func(ctx context.Context) (err error) {
		refusal, err = look(ctx)
		return err
	})
	switch {
	case err == nil:
		return refusal
	case s.stranger():
		return err
	}
	e.Log.WarnContext(ctx, "counting text messages", "error", err)
	return nil
}

// errBreaker: no text message now; mail goes, and so does what is bound to this person.
func errBreaker() error {
	return &idp.Error{Kind: idp.Rejected, Msg: "send.breaker", Reason: "send.breaker"}
}

// breaker stops text messages when far more go out than usual: to strangers at once, to
// those who are known at twice as many. It also stops what a network lets be sent without
// ever giving the codes back.
func (e *Engine) breaker(ctx context.Context, s *State, now time.Time) (refusal, err error) {
	p, hour := e.Policy.Now().Sends.Breaker, now.Unix()/3600
	count, err := e.Store.Hours(ctx, "sms", now.Add(-14*24*time.Hour))
	if err != nil {
		return nil, err
	}
	var today int64
	for h := hour - 23; h <= hour; h++ {
		today += count[h]
	}
	most, dayMost := usual(count, hour, p), int64(p.DayMost)
	if count[hour] >= most || today >= dayMost {
		if err := e.alarm(ctx, s, "sms.breaker", []byte("all"), map[string]any{"hour": count[hour], "day": today}, time.Hour, now); err != nil {
			return nil, err
		}
	}
	room := int64(1)
	if !s.stranger() {
		room = 2
	}
	if count[hour] >= room*most || today >= room*dayMost {
		return errBreaker(), nil
	}
	return e.pumpedFrom(ctx, s, now)
}

// usual is how many text messages an hour may have: some times the median of the same
// hour on the days before, and no less than a small business needs.
func usual(count map[int64]int64, hour int64, p policy.Breaker) int64 {
	var same []int64
	for d := int64(1); d <= 14; d++ {
		same = append(same, count[hour-24*d])
	}
	return max(int64(p.HourLeast), int64(p.HourTimes)*median(same))
}

// alarm writes an event for the operator, once in a while.
func (e *Engine) alarm(ctx context.Context, s *State, name string, key []byte, data map[string]any, once time.Duration, now time.Time) error {
	ok, _, err := e.Store.TakeBucket(ctx, name, key, 1, once, now)
	if err != nil || !ok {
		return err
	}
	e.Log.WarnContext(ctx, "text messages", "event", name, "data", data)
	return e.event(ctx, s, idp.Event{Name: name, Data: data})
}

// pumpedTo and pumpedFrom refuse strangers for a time when codes that go to a prefix, or
// are asked for from a network, hardly ever come back: somebody earns on sending them.
func (e *Engine) pumpedTo(ctx context.Context, s *State, prefix string, now time.Time) (refusal, err error) {
	if !s.stranger() {
		return nil, nil
	}
	sent, err := e.Store.SentTo(ctx, prefix, now.Add(-e.Policy.Now().Sends.Breaker.ShutWindow))
	if err != nil {
		return nil, err
	}
	return e.pumped(ctx, s, []byte(prefix), sent, map[string]any{"prefix": prefix}, now)
}

func (e *Engine) pumpedFrom(ctx context.Context, s *State, now time.Time) (refusal, err error) {
	if !s.stranger() {
		return nil, nil
	}
	sent, err := e.Store.SentFrom(ctx, s.network(ctx), now.Add(-e.Policy.Now().Sends.Breaker.ShutWindow))
	if err != nil {
		return nil, err
	}
	return e.pumped(ctx, s, s.network(ctx), sent, map[string]any{}, now)
}

func (e *Engine) pumped(ctx context.Context, s *State, key []byte, sent storage.Sent, data map[string]any, now time.Time) (refusal, err error) {
	p := e.Policy.Now().Sends.Breaker
	if sent.Sent >= int64(p.ShutAfter) && sent.Used*100 < int64(p.ShutBelow)*sent.Sent {
		data["sent"], data["used"] = sent.Sent, sent.Used
		if err := e.alarm(ctx, s, "sms.pumping", key, data, p.ShutFor, now); err != nil { // which shuts it, too
			return nil, err
		}
	}
	shut, err := e.Store.BucketEmpty(ctx, "sms.pumping", key, 1, p.ShutFor, now)
	if shut && err == nil {
		refusal = errBreaker()
	}
	return refusal, err
}

// prefixOf is the beginning of a number: with the country code, seven digits.
func prefixOf(to idp.Identifier) string { return to.Value[:min(8, len(to.Value))] }

// post counts and queues a message. What is not sent, because nobody has the name or the
// channel, takes the same work.
func (e *Engine) post(ctx context.Context, s *State, to idp.Identifier, template string, letter templates.Letter, sent bool, now time.Time) error {
	u := idp.User{ID: nobody, Language: e.Site.Lang(s.request)}
	if s.user != nil {
		u = *s.user
	}
	letter.Login = loginOf(s.names) // not what was typed
	if to.Kind == idp.IdentifierPhone {
		err := e.counted(ctx, s, func(ctx context.Context) (error, error) { return nil, e.countText(ctx, s, to, u, sent, now) })
		if err != nil {
			return err
		}
	}
	return e.Store.Try(ctx, func(ctx context.Context) error {
		if err := e.event(ctx, s, idp.Event{Name: "code.sent", Data: map[string]any{"channel": string(to.Kind)}}); err != nil {
			return err
		}
		if err := e.queue(ctx, u, to, template, letter); err != nil || sent {
			return err
		}
		return storage.Undo()
	})
}

func (e *Engine) countText(ctx context.Context, s *State, to idp.Identifier, u idp.User, sent bool, now time.Time) error {
	kind := "sms"
	if !sent {
		kind = "sms.unsent" // costs nothing
	}
	if err := e.Store.CountHour(ctx, kind, 1, now); err != nil {
		return err
	}
	return e.Store.AddSend(ctx, prefixOf(to), s.network(ctx), u.ID, now)
}
