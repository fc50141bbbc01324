package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// stub sends by a function.
type stub func(ctx context.Context, m idp.Message) (string, error)

func (f stub) Send(ctx context.Context, m idp.Message) (string, error) { return f(ctx, m) }

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 400 {
		if ok() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal(what)
}

func run(t *testing.T, d *Deliverer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func queue(t *testing.T, s *storage.Store, template string) string {
	t.Helper()
	m := idp.Message{UserID: "u1", Channel: idp.ChannelSMS, To: "+8613800000001", Template: template, Language: "en", Body: "secret 123456", Params: map[string]string{"code": "123456"}}
	if err := s.Queue(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func head(t *testing.T, s *storage.Store, id string) idp.Message {
	t.Helper()
	m, err := s.MessageHead(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Several replicas send each message once.
func TestDelivery(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		var mu sync.Mutex
		sent := map[string]int{}
		sender := stub(func(_ context.Context, m idp.Message) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			sent[m.ID]++
			return "r " + m.To + "\n", nil
		})
		var ids []string
		for range 30 {
			ids = append(ids, queue(t, s, "frozen"))
		}
		var stops []func()
		for range 3 {
			stops = append(stops, run(t, &Deliverer{Store: s, SMS: sender, Log: slog.New(slog.DiscardHandler)}))
		}
		eventually(t, "not all were sent", func() bool { due, _, err := s.CountMessages(t.Context()); return err == nil && due == 0 })
		for _, stop := range stops {
			stop()
		}
		for _, id := range ids {
			if m := head(t, s, id); sent[id] != 1 || m.State() != idp.MessageSent || m.Receipt != "" || m.Attempts != 1 {
				t.Errorf("sent %d times: %+v", sent[id], m)
			}
		}
	})
}

// What fails is put back and at last given up; nothing of it is in the log or the row.
func TestFailures(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		var log bytes.Buffer
		var err error
		d := &Deliverer{Store: s, Log: slog.New(slog.NewTextHandler(&log, nil))}
		try := func(id string) idp.Message {
			t.Helper()
			if _, rerr := d.round(t.Context(), idp.ChannelSMS, stub(func(_ context.Context, m idp.Message) (string, error) { return "", err })); rerr != nil {
				t.Fatal(rerr)
			}
			return head(t, s, id)
		}
		id := queue(t, s, "frozen")
		err = errors.New("550 +8613800000001: 123456 refused")
		m := try(id)
		if wait := time.Until(m.DueAt); m.State() != idp.MessageDue || m.Trouble != "refused" || wait < 8*time.Second || wait > 13*time.Second {
			t.Errorf("after one: %+v", m)
		}
		if m = try(id); m.Attempts != 1 {
			t.Error("tried before it is due")
		}
		id = queue(t, s, "frozen")
		err = &Trouble{Words: Flow, Code: "isv.BUSINESS_LIMIT_CONTROL"}
		if m = try(id); m.Attempts != 0 || m.Trouble != "flow isv.BUSINESS_LIMIT_CONTROL" || time.Until(m.DueAt) < 59*time.Minute {
			t.Errorf("flow control: %+v", m)
		}
		id = queue(t, s, "frozen")
		err = Permanent(nil, Address)
		if m = try(id); m.State() != idp.MessageDead || m.Trouble != "address" {
			t.Errorf("refused: %+v", m)
		}
		id = queue(t, s, "code")
		err = &Trouble{Words: Flow}
		if m = try(id); m.State() != idp.MessageDead {
			t.Errorf("a code that would come too late: %+v", m)
		}
		list, eerr := s.Events(t.Context(), storage.EventFilter{Name: "message.dead", Subject: "u1"}, 10)
		if eerr != nil || len(list) != 2 || list[0].Data["template"] != "code" {
			t.Errorf("events %v, %v", list, eerr)
		}
		for _, secret := range []string{"13800000001", "123456"} {
			if strings.Contains(log.String()+fmt.Sprint(list), secret) {
				t.Errorf("%s is told: %s", secret, log.String())
			}
		}
	})
}

// A sender that hangs is cut off, and what is under way at the end is finished.
func TestStop(t *testing.T) {
	s := storagetest.New(t, storage.SQLite)
	begun, end := make(chan struct{}), make(chan struct{})
	id := queue(t, s, "frozen")
	stop := run(t, &Deliverer{Store: s, Log: slog.New(slog.DiscardHandler), SMS: stub(func(ctx context.Context, _ idp.Message) (string, error) {
		close(begun)
		<-end
		return "", ctx.Err()
	})})
	<-begun
	go func() { time.Sleep(100 * time.Millisecond); close(end) }()
	stop()
	if m := head(t, s, id); m.State() != idp.MessageSent {
		t.Errorf("left behind: %+v", m)
	}
}

// Without a sender messages stay, and one line says so.
func TestNoSender(t *testing.T) {
	s := storagetest.New(t, storage.SQLite)
	var log bytes.Buffer
	id := queue(t, s, "frozen")
	(&Deliverer{Store: s, Log: slog.New(slog.NewTextHandler(&log, nil))}).Run(t.Context())
	if m := head(t, s, id); m.State() != idp.MessageDue || m.Attempts != 0 || strings.Count(log.String(), "no sender") != 1 {
		t.Errorf("%+v, %s", m, log.String())
	}
}

func TestHopeless(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, c := range []struct {
		m    idp.Message
		want string
	}{
		{idp.Message{To: "a", Template: "code", CreatedAt: ago(9 * time.Minute), Attempts: 1}, ""},
		{idp.Message{To: "a", Template: "code", CreatedAt: ago(10 * time.Minute), Attempts: 1}, Expired},
		{idp.Message{To: "a", Template: "code", CreatedAt: ago(6 * time.Minute), Attempts: 1, Params: map[string]string{"minutes": "5"}}, Expired},
		{idp.Message{To: "a", Template: "frozen", CreatedAt: ago(71 * time.Hour), Attempts: 1}, ""},
		{idp.Message{To: "a", Template: "frozen", CreatedAt: ago(73 * time.Hour), Attempts: 1}, Late},
		{idp.Message{To: "a", Template: "frozen", CreatedAt: ago(73 * time.Hour), Attempts: 1, Trouble: Late}, ""}, // sent again by an operator
		{idp.Message{To: "a", Template: "frozen", CreatedAt: ago(time.Hour), Attempts: 8}, ""},
		{idp.Message{To: "a", Template: "frozen", CreatedAt: ago(time.Hour), Attempts: 9}, Timeout},
		{idp.Message{Template: "frozen", CreatedAt: now, Attempts: 1}, Unreadable},
	} {
		if got := hopeless(c.m, now); got != c.want {
			t.Errorf("%+v: %q, want %q", c.m, got, c.want)
		}
	}
}

func TestNext(t *testing.T) {
	now := time.Now()
	for n := 1; n <= 9; n++ {
		due, again := next(idp.Message{Template: "frozen", CreatedAt: now, Attempts: n}, Passing(nil, Timeout), now)
		if again != (n <= 7) {
			t.Errorf("try %d: again %v", n, again)
		}
		if wait := due.Sub(now); again && (wait < waits[n-1] || wait > waits[n-1]*5/4) {
			t.Errorf("try %d waits %v", n, wait)
		}
	}
	old := idp.Message{Template: "frozen", CreatedAt: now.Add(-73 * time.Hour)}
	if _, again := next(old, Passing(nil, Flow), now); again {
		t.Error("flow control for ever")
	}
}

func TestSafe(t *testing.T) {
	for code, want := range map[string]string{"isv.MOBILE_NUMBER_ILLEGAL": "isv.MOBILE_NUMBER_ILLEGAL", "5.1.1": "5.1.1", "550": "550", "+8613800000001": "", "x13800000001": "", "123456": "", "lin@example.com": "", "a b": "", "": ""} {
		if got := safe(code); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
}

// A receipt is one short word that does not name the recipient.
func TestReceipt(t *testing.T) {
	for receipt, want := range map[string]string{"9006^0": "9006^0", "2028:0:8613800000001": "", "13800000001": "", "a\r\nb ü": "ab", strings.Repeat("x", 101): ""} {
		if got := receiptOf(sms, receipt); got != want {
			t.Errorf("%q: %q", receipt, got)
		}
	}
}
