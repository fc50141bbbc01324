package flows

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/bits"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// A stranger pays for a guess, or for a message that costs money, with work: a number
// that makes the hash of a challenge begin with so many zero bits. It slows; what bounds
// guessing are the buckets. Whoever has no script waits instead.

// The purposes of a challenge.
const (
	workGuess = "guess"
	workSend  = "send"
)

func purpose(send bool) string {
	if send {
		return workSend
	}
	return workGuess
}

// work returns what a guess (or a costly message) must be paid with now, nil for nothing.
func (e *Engine) work(ctx context.Context, s *State, send bool) (*templates.Work, error) {
	n, err := e.demanded(ctx, s, send)
	if n == 0 || err != nil {
		return nil, err
	}
	return &templates.Work{Challenge: e.challengeText(ctx, s, purpose(send), n, time.Now()), Bits: n}, nil
}

// demanded is how many zero bits are asked for. Nothing in it tells whether somebody has
// the typed name: before anything is proved a page that knows its browser shows it to
// that browser alone, and a network that greeted the owner to that network alone.
func (e *Engine) demanded(ctx context.Context, s *State, send bool) (n int, err error) {
	known, err := e.familiar(ctx, s)
	if known || err != nil {
		return 0, err
	}
	p, now := e.Policy.Now().Work, time.Now()
	fails, err := e.Store.Failures(ctx, "work.name", s.name(), p.Window, now)
	if err != nil {
		return 0, err
	}
	if fails >= p.After {
		n = p.Bits + (fails-p.After)/p.After
	}
	busy, err := e.busyNetwork(ctx, s, now)
	if err != nil {
		return 0, err
	}
	if busy {
		n = max(n, p.Bits) + p.Network
	}
	many, err := e.fleet.over(ctx, e, now)
	if err != nil {
		return 0, err
	}
	if many {
		n = max(n, p.Bits)
	}
	if send && n < p.SMS {
		greeted, err := e.Store.GreetedBy(ctx, s.network(ctx), s.User, now.Add(-greetedFor))
		if err != nil {
			return 0, err
		}
		if !greeted {
			n = p.SMS
		}
	}
	return min(n, p.Most), nil
}

// familiar says whether the asker is no stranger. Before anything is proved the person of
// the flow is not loaded, but a sealed cookie tells.
func (e *Engine) familiar(ctx context.Context, s *State) (bool, error) {
	if !s.stranger() || s.user != nil || s.User == "" {
		return !s.stranger(), nil
	}
	b, err := e.Sessions.Known(ctx, s.request, s.User)
	return b != nil, err
}

// busyNetwork says whether the asker's network has used up what it may fail without work.
func (e *Engine) busyNetwork(ctx context.Context, s *State, now time.Time) (bool, error) {
	b := e.Policy.Now().Throttle.NetworkWork
	if empty, err := e.Store.BucketEmpty(ctx, "net.work", s.network(ctx), b.Burst, b.Refill, now); !empty || err != nil {
		return false, err // not even without the room that its good users earn it
	}
	rows, err := e.networks(ctx, s, "net.work", b)
	if err != nil {
		return false, err
	}
	for _, w := range rows {
		if empty, err := e.Store.BucketEmpty(ctx, w.kind, w.key, w.bucket.Burst, w.bucket.Refill, now); empty || err != nil {
			return empty, err
		}
	}
	return false, nil
}

// countFailure counts what a stranger's failure that was paid for makes the next one
// cost: by the typed name, by the network and for all.
func (e *Engine) countFailure(ctx context.Context, s *State, now time.Time) error {
	if !s.stranger() {
		return nil
	}
	if err := e.Store.CountHour(ctx, "fail", 1, now); err != nil {
		return err
	}
	if name := s.name(); name != nil {
		if err := e.Store.CountFailure(ctx, "work.name", name, e.Policy.Now().Work.Window, now); err != nil {
			return err
		}
	}
	rows, err := e.networks(ctx, s, "net.work", e.Policy.Now().Throttle.NetworkWork)
	if err != nil {
		return err
	}
	for _, w := range rows {
		if _, _, err := w.take(ctx, e.Store, now); err != nil {
			return err
		}
	}
	return nil
}

// A challenge is its purpose, bits, expiry, salt and MAC, with dots between: the server keeps nothing of it until it
// is used.
const challengeParts = 5

func (e *Engine) challengeText(ctx context.Context, s *State, purpose string, n int, now time.Time) string {
	var salt [9]byte
	_, _ = rand.Read(salt[:]) // never fails
	text := strings.Join([]string{purpose, strconv.Itoa(n), strconv.FormatInt(now.Add(e.Policy.Now().Work.Life).Unix(), 10), base64.RawURLEncoding.EncodeToString(salt[:])}, ".")
	return text + "." + base64.RawURLEncoding.EncodeToString(e.challengeMAC(ctx, s, text))
}

// challengeMAC binds a challenge to its flow, and so to a browser, to the typed name and
// to the network.
func (e *Engine) challengeMAC(ctx context.Context, s *State, text string) []byte {
	return e.Store.MAC("work", slices.Concat([]byte(s.ID+"/"+text+"/"), s.nameAndNetwork(ctx)))
}

// opened reads a challenge of ours for this flow; ok is false for any other text.
func (e *Engine) opened(ctx context.Context, s *State, challenge, purpose string) (n int, expires time.Time, ok bool) {
	if len(challenge) > 200 {
		return 0, time.Time{}, false
	}
	parts := strings.Split(challenge, ".")
	if len(parts) != challengeParts {
		return 0, time.Time{}, false
	}
	mac, err := base64.RawURLEncoding.DecodeString(parts[4])
	if err != nil || !hmac.Equal(mac, e.challengeMAC(ctx, s, strings.Join(parts[:4], "."))) || parts[0] != purpose {
		return 0, time.Time{}, false
	}
	n, err1 := strconv.Atoi(parts[1])
	at, err2 := strconv.ParseInt(parts[2], 10, 64)
	return n, time.Unix(at, 0), err1 == nil && err2 == nil
}

// worked says whether a decimal number makes the hash of a challenge begin with n zero bits.
func worked(challenge, number string, n int) bool {
	if number == "" || len(number) > 20 || strings.Trim(number, "0123456789") != "" {
		return false
	}
	zero := 0
	for _, b := range sha256.Sum256([]byte(challenge + number)) {
		zero += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return zero >= n
}

// errStale: the work was for a page that was left too long, or that was drawn before
// more was asked. The page is drawn again with a new challenge.
var errStale = idp.FieldError("", "work.stale")

// errUnpaid: a message that costs money was not worked for yet.
var errUnpaid = idp.FieldError("", "work.first")

// paid lets a form through that nothing is asked of, or that brings the work or a wait
// ticket. It runs before the secret is looked at, outside any transaction, and is no
// guess whatever it answers.
func (e *Engine) paid(ctx context.Context, s *State, form url.Values, send bool) error {
	n, err := e.demanded(ctx, s, send)
	if n == 0 || err != nil {
		return err
	}
	challenge, now := form.Get("challenge"), time.Now()
	had, expires, ours := e.opened(ctx, s, challenge, purpose(send))
	switch {
	case !ours || form.Get("work") == "":
		return e.ticket(ctx, s, n, now)
	case !now.Before(expires) || had < n:
		return errStale
	case !worked(challenge, form.Get("work"), had):
		return e.ticket(ctx, s, n, now)
	}
	once := policy.Bucket{Burst: 1, Refill: e.Policy.Now().Work.Life} // it expires before it could be taken again
	ok, _, err := e.Store.TakeBucket(ctx, "work", e.Store.MAC("work.used", []byte(challenge)), once.Burst, once.Refill, now)
	if err == nil && !ok {
		err = errStale
	}
	return err
}

// ticket is the way without script: the first form is answered with a time, and one that
// comes from then on goes through. A name and network have one ticket at a time, and a
// network gets three at once.
func (e *Engine) ticket(ctx context.Context, s *State, n int, now time.Time) error {
	p, key, life := e.Policy.Now().Work, s.nameAndNetwork(ctx), e.Policy.Now().Flow.Step
	wait := p.Ticket << max(0, n-p.Bits)
	var until time.Time
	err := e.Store.Tx(ctx, func(ctx context.Context) error {
		ok, err := e.Store.TakeTicket(ctx, "ticket", key, life, now)
		if until = now; ok || err != nil {
			return err
		}
		if until, err = e.Store.WaitUntil(ctx, "ticket", key); err != nil || until.After(now) {
			return err
		}
		b := policy.Bucket{Burst: 3, Refill: wait}.Times(e.loopback(ctx))
		if ok, until, err = e.Store.TakeBucket(ctx, "ticket.net", s.network(ctx), b.Burst, b.Refill, now); !ok || err != nil {
			return err
		}
		until, err = e.Store.OpenTicket(ctx, "ticket", key, now.Add(wait), life, now)
		return err
	})
	if err == nil && until.After(now) {
		err = &idp.Error{Kind: idp.Limited, Msg: "work.wait", Args: []any{until}, Until: until, Reason: "work.wait"}
	}
	return err
}

// fleet remembers for a minute whether strangers fail far more often than they use to.
type fleet struct {
	mu   sync.Mutex
	at   time.Time
	many bool
}

func (f *fleet) over(ctx context.Context, e *Engine, now time.Time) (bool, error) {
	f.mu.Lock()
	fresh, many := now.Sub(f.at) < time.Minute, f.many
	f.mu.Unlock()
	if fresh {
		return many, nil
	}
	hours, err := e.Store.Hours(ctx, "fail", now.Add(-7*24*time.Hour))
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.many = now, unusual(hours, now.Unix()/3600, int64(e.Policy.Now().Work.Fleet))
	return f.many, nil
}

// unusual says whether an hour's count exceeds so many times the median of the hours
// before it; with less than a day of them nothing is unusual.
func unusual(count map[int64]int64, hour, times int64) bool {
	first := hour
	for h := range count {
		first = min(first, h)
	}
	if hour-first < 24 {
		return false
	}
	var before []int64
	for h := first; h < hour; h++ {
		before = append(before, count[h])
	}
	return count[hour] > times*max(1, median(before))
}

// median of a list that is not empty.
func median(all []int64) int64 {
	slices.Sort(all)
	return all[len(all)/2]
}
