package flows

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// digestBatch is how many people are looked at at once.
const digestBatch = 200

// Digest writes one letter of reminders to each person who needs one: few recovery codes,
// a phone that was not proved for long, a password that ends soon, notices that were left
// out. Any number of replicas may run it, any number of times: each reminder is taken once.
// Whoever has no mail address reads the same on his own page, see [Engine.checks].
func (e *Engine) Digest(ctx context.Context) error {
	now, after := time.Now(), ""
	var all error
	for {
		ids, err := e.Store.UsersToRemind(ctx, after, now.Add(-e.Policy.Now().Notices.Unproven), e.expiringSince(now), now.Add(-e.Policy.Now().Notices.Digest), digestBatch)
		if err != nil || len(ids) == 0 {
			return errors.Join(all, err)
		}
		for _, id := range ids {
			err := e.Store.Tx(ctx, func(ctx context.Context) error { return e.remind(ctx, id, now) })
			if ctx.Err() != nil {
				return ctx.Err()
			}
			all = errors.Join(all, err) // one letter that cannot be written keeps none from the others
		}
		after = ids[len(ids)-1]
	}
}

// expiringSince is how old a password is that may be in the reminders, whoever it is of;
// zero: none is.
func (e *Engine) expiringSince(now time.Time) time.Time {
	var since time.Time
	for s := range e.Policy.Now().Each {
		if remind := s.Password.Remind(); s.Password.MaxAgeDays > 0 && len(remind) > 0 {
			if t := now.Add(-s.Password.MaxAge() + remind[0]); t.After(since) {
				since = t
			}
		}
	}
	return since
}

// A reminder is one line of the letter, and what makes it due again.
type reminder struct {
	item, event string // event: written when it is due, "" for none
	args        []any
	key         string
	every       time.Duration
	once        bool // it stands in no letter but the one that it makes due
}

func (e *Engine) remind(ctx context.Context, id string, now time.Time) error {
	u, err := e.Store.User(ctx, id)
	if err != nil {
		return err
	}
	names, err := e.Store.Identifiers(ctx, id)
	if err != nil {
		return err
	}
	mail := slices.IndexFunc(names, func(n idp.Identifier) bool { return n.Kind == idp.IdentifierEmail && n.Channel() })
	if mail < 0 {
		return nil
	}
	creds, err := e.Store.Credentials(ctx, id)
	if err != nil {
		return err
	}
	held, err := e.held(ctx, u, now)
	if err != nil {
		return err
	}
	due := false
	letter := templates.Letter{Name: u.Name, Operator: e.Site.Operator, At: now}
	rules, err := e.rulesOf(ctx, u)
	if err != nil {
		return err
	}
	for _, r := range slices.Concat(held, e.unproven(names, now), e.short(rules.Password, creds, now)) {
		ok, err := e.due(ctx, u, r, now)
		if err != nil {
			return err
		}
		due = due || ok
		if ok || !r.once {
			letter.Items, letter.ItemArgs = append(letter.Items, r.item), append(letter.ItemArgs, r.args)
		}
	}
	if !due {
		return nil
	}
	return e.queue(ctx, u, names[mail], "digest", letter)
}

// due takes a reminder, if nobody has taken it yet.
func (e *Engine) due(ctx context.Context, u idp.User, r reminder, now time.Time) (bool, error) {
	ok, _, err := e.Store.TakeBucket(ctx, "digest", []byte(u.ID+"/"+r.key), 1, r.every, now)
	if err != nil || !ok || r.event == "" {
		return ok, err
	}
	return true, e.Store.Append(ctx, idp.Event{Name: r.event, Actor: "system", Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID, Policy: e.Policy.Now().Version})
}

const heldMost = 20 // notices in one letter

// held are the notices of the time since the last digest that did not go out by mail,
// because one of the same kind just had, or because a letter of reminders is enough.
func (e *Engine) held(ctx context.Context, u idp.User, now time.Time) (out []reminder, err error) {
	p := e.Policy.Now().Notices
	events, err := e.Store.Events(ctx, storage.EventFilter{Subject: u.ID, Name: "notice.held", Since: now.Add(-p.Digest)}, heldMost)
	for _, ev := range events {
		if item, _ := ev.Data["item"].(string); item != "" { // meant for the letter alone
			out = append(out, reminder{item: item, args: []any{e.moment(u.Language, ev.At)}, key: ev.ID, every: 2 * p.Digest, once: true})
			continue
		}
		template, _ := ev.Data["template"].(string)
		factor, _ := ev.Data["factor"].(string)
		what := templates.Letter{Factor: factor}.Subject(u.Language, template)
		out = append(out, reminder{item: "digest.held", args: []any{what, e.moment(u.Language, ev.At)}, key: ev.ID, every: 2 * p.Digest, once: true})
	}
	return out, err
}

func days(d time.Duration) int { return int(d.Hours() / 24) }

// daysLeft counts the day that has begun.
func daysLeft(d time.Duration) int { return max(0, days(d+24*time.Hour-1)) }

// unproven are the phones that were not proved for long: numbers are given to others.
func (e *Engine) unproven(names []idp.Identifier, now time.Time) (out []reminder) {
	for _, n := range names {
		if n.Kind == idp.IdentifierPhone && n.Channel() && e.stale(n, now) {
			age := now.Sub(cmp.Or(n.LastProvenAt, n.VerifiedAt))
			out = append(out, reminder{item: "digest.phone", event: "channel.stale", args: []any{n.Masked(), days(age)}, key: n.ID, every: e.Policy.Now().Notices.Digest})
		}
	}
	return out
}

// short are recovery codes that are few, and a password that ends soon.
func (e *Engine) short(rules policy.PasswordRules, creds []idp.Credential, now time.Time) (out []reminder) {
	p := e.Policy.Now()
	for _, c := range creds {
		switch {
		case c.Method == idp.MethodBackup && backup.Left(c.Data) < p.Paper.Low:
			out = append(out, reminder{item: "digest.codes", event: "codes.low", args: []any{backup.Left(c.Data)}, key: c.ID, every: p.Notices.Digest})
		case c.Method == idp.MethodPassword && rules.MaxAgeDays > 0:
			left := rules.MaxAge() - now.Sub(c.ChangedAt)
			if mark := rules.Mark(left); mark > 0 { // once at each mark, for this password
				out = append(out, reminder{item: "digest.password", event: "password.expiring", args: []any{daysLeft(left)},
					key: c.ID + "/" + strconv.FormatInt(c.Version, 10) + "/" + mark.String(), every: rules.MaxAge()})
			}
		}
	}
	return out
}

// rulesOf are what policy says of a person who is not in a flow.
func (e *Engine) rulesOf(ctx context.Context, u idp.User) (*policy.Settings, error) {
	var m *idp.Merchant
	if u.MerchantID != "" {
		merchant, err := e.Store.Merchant(ctx, u.MerchantID)
		if err != nil {
			return nil, err
		}
		m = &merchant
	}
	return e.Policy.For(policy.Who(u, m)), nil
}
