// Package notify delivers the mail and text messages that wait in the outbox.
//
// A message is claimed by one conditional statement for the time of a lease, sent,
// and marked as sent. Whoever dies in between leaves a claim that runs out, so the
// message is sent again: delivery is at least once, never exactly once, on any number
// of replicas. The message's id goes with it (Message-ID, OutId, SessionContext, id),
// so that a gateway can drop the second.
//
// Invariants: what fails is tried again with growing waits and then given up, where an
// operator sees it; a code is never sent after it has run out; neither the log nor what
// is stored of a failure holds an address, a text or a code.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// Sender hands a message over and returns the gateway's own number for it. An error
// that is no [Trouble] is one that may pass.
type Sender interface {
	Send(ctx context.Context, m idp.Message) (receipt string, err error)
}

// Words of trouble: catalogue keys after "trouble.", also what is stored.
const (
	Unreachable = "unreachable" // no connection
	Timeout     = "timeout"     // no answer in time
	Address     = "address"     // no such number or mailbox
	Blocked     = "blocked"     // the recipient wants none, or the gateway's list says so
	Flow        = "flow"        // enough for this number for now
	Template    = "template"    // template or signature not known or not approved
	Account     = "account"     // no money, a quota, stopped
	Credentials = "credentials" // the gateway does not take our keys
	Refused     = "refused"     // something else
	Answer      = "answer"      // not understood
	Expired     = "expired"     // the code in it has run out
	Late        = "late"        // it waited for days before there was a sender
	Unreadable  = "unreadable"  // sealed under a key that is not here
)

// Trouble is why a message was not handed over.
type Trouble struct {
	Words string // one of the words above
	Code  string // the gateway's own code; see [safe]
	Final bool   // trying again is of no use
	Err   error  // holds nothing about the recipient: it may be logged
}

func (t *Trouble) Error() string { return strings.TrimSpace(t.Words + " " + safe(t.Code)) }

func (t *Trouble) Unwrap() error { return t.Err }

// Permanent says that trying again is of no use.
func Permanent(err error, words string) *Trouble {
	return &Trouble{Words: words, Final: true, Err: err}
}

// Passing says what is wrong for now.
func Passing(err error, words string) *Trouble { return &Trouble{Words: words, Err: err} }

var (
	codeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	digits5  = regexp.MustCompile(`[0-9]{5}`)
)

// safe lets a gateway's code through that can hold neither a number, an address nor a
// code of ours.
func safe(code string) string {
	if !codeForm.MatchString(code) || digits5.MatchString(code) {
		return ""
	}
	return code
}

// Deliverer sends what is due.
type Deliverer struct {
	Store     *storage.Store
	Mail, SMS Sender // nil: messages of the channel stay in the outbox
	Log       *slog.Logger
}

const (
	batch    = 8 // sent at once by one process, per channel
	pause    = time.Second
	sendMost = 20 * time.Second
	lease    = 2 * time.Minute // longer than sendMost, by far
	codeLife = 10 * time.Minute
	flowWait = time.Hour
	lateMost = 72 * time.Hour
)

// waits stand between the tries; after the last the message is given up.
var waits = []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour}

// Run delivers until the context ends; what is under way is finished.
func (d *Deliverer) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	var without []string
	for channel, sender := range map[idp.ChannelKind]Sender{idp.ChannelMail: d.Mail, idp.ChannelSMS: d.SMS} {
		if sender == nil {
			without = append(without, string(channel))
			continue
		}
		lanes.Go(func() { d.lane(ctx, channel, sender) })
	}
	if len(without) > 0 {
		d.Log.Warn("no sender is configured: messages stay in the outbox", "channels", without)
	}
	lanes.Wait()
}

// lane serves one channel: a gateway that hangs holds up no other.
func (d *Deliverer) lane(ctx context.Context, channel idp.ChannelKind, sender Sender) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for ctx.Err() == nil {
		n, err := d.round(ctx, channel, sender)
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("outbox cannot be read", "channel", string(channel), "error", err)
		}
		if n == batch {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// round claims what is due and sends it; it returns how many there were.
func (d *Deliverer) round(ctx context.Context, channel idp.ChannelKind, sender Sender) (int, error) {
	claimed, err := d.Store.ClaimMessages(ctx, channel, batch, lease, time.Now())
	var sends sync.WaitGroup
	for _, m := range claimed {
		sends.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendMost)
			defer cancel()
			d.deliver(ctx, m, sender)
		})
	}
	sends.Wait()
	return len(claimed), err
}

func (d *Deliverer) deliver(ctx context.Context, m idp.Message, sender Sender) {
	receipt, err := "", error(nil)
	if why := hopeless(m, time.Now()); why != "" {
		err = Permanent(nil, why)
	} else {
		receipt, err = sender.Send(ctx, m)
	}
	// The gateway may have used up the time; what it did must be kept all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendMost)
	defer cancel()
	if err == nil {
		err = d.Store.MessageSent(ctx, m, receiptOf(m, receipt), time.Now())
	} else {
		err = d.failed(ctx, m, trouble(err))
	}
	if err != nil {
		d.Log.Error("outbox cannot be written: the message will be sent again", "message", m.ID, "error", err)
	}
}

// hopeless says why a message must not be sent any more.
func hopeless(m idp.Message, now time.Time) string {
	switch {
	case m.To == "":
		return Unreadable
	case m.Template == idp.TemplateCode && now.Sub(m.CreatedAt) >= codeLifeOf(m):
		return Expired
	case m.Attempts == 1 && m.Trouble == "" && now.Sub(m.CreatedAt) > lateMost: // one that is sent again has a trouble
		return Late
	case m.Attempts > len(waits)+1: // tries that nobody came back from
		return Timeout
	}
	return ""
}

// codeLifeOf is how long the code in a message can be used.
func codeLifeOf(m idp.Message) time.Duration {
	if n, err := strconv.Atoi(m.Params["minutes"]); err == nil && n > 0 {
		return min(time.Duration(n)*time.Minute, codeLife)
	}
	return codeLife
}

// trouble brings any error of a sender into the stored form.
func trouble(err error) *Trouble {
	if t, ok := errors.AsType[*Trouble](err); ok {
		return t
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Passing(nil, Timeout)
	}
	return Passing(nil, Refused) // its text may quote the recipient
}

// failed puts a message back for later, or gives it up.
func (d *Deliverer) failed(ctx context.Context, m idp.Message, t *Trouble) error {
	now := time.Now()
	due, again := next(m, t, now)
	log := []any{"message", m.ID, "channel", string(m.Channel), "template", m.Template, "attempt", m.Attempts, "trouble", t.Error()}
	if t.Err != nil {
		log = append(log, "error", t.Err)
	}
	if again {
		d.Log.Info("message not sent, will be tried again", append(log, "due", due)...)
		_, err := d.Store.MessageFailed(ctx, m, t.Error(), t.Words != Flow, due)
		return err
	}
	d.Log.Warn("message given up", log...)
	return d.Store.Tx(ctx, func(ctx context.Context) error {
		if ok, err := d.Store.MessageDead(ctx, m, t.Error(), now); err != nil || !ok {
			return err
		}
		return d.Store.Append(ctx, idp.Event{Name: "message.dead", Actor: "system", Subject: m.UserID,
			Data: map[string]any{"message": m.ID, "channel": string(m.Channel), "template": m.Template, "trouble": t.Error()}})
	})
}

// next says when a message is tried again, or that it is not. A number that has had
// enough for now is not to blame: its tries do not count, for some days.
func next(m idp.Message, t *Trouble, now time.Time) (due time.Time, again bool) {
	wait := flowWait
	switch {
	case t.Final:
		return now, false
	case t.Words == Flow && now.Sub(m.CreatedAt) > lateMost:
		return now, false
	case t.Words == Flow:
	case m.Attempts > len(waits):
		return now, false
	default:
		wait = waits[max(m.Attempts, 1)-1]
	}
	// Messages that failed together are not tried together again.
	due = now.Add(wait + time.Duration(rand.Int64N(int64(wait/4))))
	if m.Template == idp.TemplateCode && due.Sub(m.CreatedAt) >= codeLifeOf(m) {
		return now, false
	}
	return due, true
}

// receiptOf is what is kept of a gateway's answer: one short line without the recipient.
func receiptOf(m idp.Message, receipt string) string {
	receipt = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, receipt)
	if len(receipt) > 100 || strings.Contains(receipt, strings.TrimPrefix(m.To, "+")) || strings.Contains(receipt, strings.TrimPrefix(m.To, "+86")) {
		return ""
	}
	return receipt
}
