package flows

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/templates"
)

// digestBatch is how many people are looked at at once.
const digestBatch = 200

// Digest writes one letter of reminders to each person who needs one: few recovery codes,
// a phone that was not proved for long, a password that ends soon. Any number of replicas
// may run it, any number of times: each reminder is taken once.
func (e *Engine) Digest(ctx context.Context) error {
	now, after := time.Now(), ""
	var all error
	for {
		ids, err := e.Store.UsersToRemind(ctx, after, now.Add(-e.Policy.Notices.Unproven), e.expiringSince(now), digestBatch)
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

// expiringSince is how old a password is that is in the reminders, zero: none is.
func (e *Engine) expiringSince(now time.Time) time.Time {
	most, remind := e.Policy.Password.MaxAge(), e.Policy.Password.Remind()
	if most == 0 || len(remind) == 0 {
		return time.Time{}
	}
	return now.Add(-most + remind[0])
}

// A reminder is one line of the letter, and what makes it due again.
type reminder struct {
	item, event string
	args        []any
	key         string
	every       time.Duration
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
	creds, err := e.Store.Credentials(ctx, id)
	if err != nil {
		return err
	}
	all := append(e.unproven(names, now), e.short(creds, now)...)
	due := false
	letter := templates.Letter{Name: u.Name, Operator: e.Site.Operator, At: now}
	for _, r := range all {
		ok, _, err := e.Store.TakeBucket(ctx, "digest", []byte(id+"/"+r.key), 1, r.every, now)
		if err != nil {
			return err
		}
		if ok {
			due = true
			if err := e.Store.Append(ctx, idp.Event{Name: r.event, Actor: "system", Subject: id, Merchant: u.MerchantID, Store: u.StoreID, Policy: e.Policy.Version}); err != nil {
				return err
			}
		}
		letter.Items, letter.ItemArgs = append(letter.Items, r.item), append(letter.ItemArgs, r.args)
	}
	if !due {
		return nil
	}
	for _, to := range names {
		if to.Kind == idp.IdentifierEmail && to.Channel() {
			return e.queue(ctx, u, to, "digest", letter)
		}
	}
	return nil
}

func days(d time.Duration) int { return int(d.Hours() / 24) }

// unproven are the phones that were not proved for long: numbers are given to others.
func (e *Engine) unproven(names []idp.Identifier, now time.Time) (out []reminder) {
	for _, n := range names {
		if n.Kind == idp.IdentifierPhone && n.Channel() && e.stale(n, now) {
			age := now.Sub(cmp.Or(n.LastProvenAt, n.VerifiedAt))
			out = append(out, reminder{item: "digest.phone", event: "channel.stale", args: []any{n.Masked(), days(age)}, key: n.ID, every: e.Policy.Notices.Digest})
		}
	}
	return out
}

// short are recovery codes that are few, and a password that ends soon.
func (e *Engine) short(creds []idp.Credential, now time.Time) (out []reminder) {
	p := e.Policy
	for _, c := range creds {
		switch {
		case c.Method == idp.MethodBackup && backup.Left(c.Data) < p.Recovery.Low:
			out = append(out, reminder{item: "digest.codes", event: "codes.low", args: []any{backup.Left(c.Data)}, key: c.ID, every: p.Notices.Digest})
		case c.Method == idp.MethodPassword && p.Password.MaxAgeDays > 0:
			left := p.Password.MaxAge() - now.Sub(c.ChangedAt)
			mark := time.Duration(0)
			for _, t := range p.Password.Remind() {
				if left <= t {
					mark = t
				}
			}
			if mark > 0 { // once at each mark, for this password
				out = append(out, reminder{item: "digest.password", event: "password.expiring", args: []any{max(0, days(left))},
					key: c.ID + "/" + strconv.FormatInt(c.Version, 10) + "/" + mark.String(), every: p.Password.MaxAge()})
			}
		}
	}
	return out
}
