package storage_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

func outbox(t *testing.T, s *storage.Store, m idp.Message) idp.Message {
	t.Helper()
	if m.To == "" {
		m.To, m.Channel = "+8613800000001", idp.ChannelSMS
	}
	if err := s.Queue(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func claim(t *testing.T, s *storage.Store, limit int, now time.Time) []idp.Message {
	t.Helper()
	list, err := s.ClaimMessages(t.Context(), idp.ChannelSMS, limit, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMessageIsClaimedOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		for i := range 60 {
			outbox(t, s, idp.Message{Template: "frozen", Body: fmt.Sprint(i)})
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		got, now := map[string]int{}, time.Now()
		for range 8 {
			wg.Go(func() {
				for {
					list, err := s.ClaimMessages(context.Background(), idp.ChannelSMS, 5, time.Minute, now)
					if err != nil {
						t.Error(err)
						return
					}
					if len(list) == 0 {
						return
					}
					mu.Lock()
					for _, m := range list {
						got[m.Body]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(got) != 60 {
			t.Errorf("%d of 60 claimed", len(got))
		}
		for body, n := range got {
			if n != 1 {
				t.Errorf("message %s was claimed %d times", body, n)
			}
		}
	})
}

func TestMessageLife(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now().Add(time.Second)
		q := outbox(t, s, idp.Message{UserID: "u1", Template: "frozen", Language: "en", Body: "text", Params: map[string]string{"case": "1"}})
		outbox(t, s, idp.Message{UserID: "u2", Template: "frozen", Channel: idp.ChannelMail, To: "a@example.com"})
		m := claim(t, s, 5, now)[0]
		if m.ID != q.ID || m.To != q.To || m.Body != "text" || m.Params["case"] != "1" || m.Attempts != 1 || m.State() != idp.MessageDue {
			t.Fatalf("claimed %+v", m)
		}
		if list := claim(t, s, 5, now.Add(59*time.Second)); len(list) != 0 {
			t.Error("claimed under a lease")
		}
		again := claim(t, s, 5, now.Add(2*time.Minute))[0] // the first claimer has crashed
		if ok, err := s.MessageFailed(ctx, m, "timeout", true, now); err != nil || ok {
			t.Errorf("a lost claim counts: %v, %v", ok, err)
		}
		if ok, err := s.MessageFailed(ctx, again, "flow x", false, now.Add(time.Hour)); err != nil || !ok {
			t.Errorf("failed: %v, %v", ok, err)
		}
		list, err := s.MessageHeads(ctx, storage.MessageFilter{User: "u1", State: idp.MessageDue, Channel: idp.ChannelSMS, Template: "frozen"}, 5)
		if err != nil || len(list) != 1 || list[0].Attempts != 1 || list[0].Trouble != "flow x" || list[0].Body != "" || list[0].Params != nil || list[0].Masked() != "138****0001" {
			t.Fatalf("heads %+v, %v", list, err)
		}
		m = claim(t, s, 5, now.Add(2*time.Hour))[0]
		if ok, err := s.MessageDead(ctx, m, "address", now); err != nil || !ok {
			t.Errorf("dead: %v, %v", ok, err)
		}
		if due, dead, err := s.CountMessages(ctx); due != 1 || dead != 1 || err != nil {
			t.Errorf("%d due, %d dead, %v", due, dead, err)
		}
		if ok, err := s.ResendMessage(ctx, m.ID, now); err != nil || !ok {
			t.Errorf("resend: %v, %v", ok, err)
		}
		if ok, err := s.ResendMessage(ctx, m.ID, now); err != nil || ok {
			t.Errorf("resent twice: %v, %v", ok, err)
		}
		m = claim(t, s, 5, now)[0]
		if m.Attempts != 1 || m.Trouble != "address" || m.Body != "text" {
			t.Errorf("resent %+v", m)
		}
		if err := s.MessageSent(ctx, m, "BizId", now); err != nil {
			t.Fatal(err)
		}
		head, err := s.MessageHead(ctx, m.ID)
		if err != nil || head.State() != idp.MessageSent || head.Receipt != "BizId" || head.Trouble != "" {
			t.Errorf("sent %+v, %v", head, err)
		}
		if _, err := s.MessageHead(ctx, "none"); idp.KindOf(err) != idp.NotFound {
			t.Error(err)
		}
	})
}

// A code that was given up is forgotten and not sent again.
func TestDeadCodeIsForgotten(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now().Add(time.Second)
		outbox(t, s, idp.Message{Template: "code", Body: "123456", Params: map[string]string{"code": "123456"}})
		m := claim(t, s, 1, now)[0]
		if ok, err := s.MessageDead(ctx, m, "expired", now); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if ok, err := s.ResendMessage(ctx, m.ID, now); err != nil || ok {
			t.Error("a code is sent again", err)
		}
		all, err := s.Messages(ctx, 1)
		if err != nil || all[0].Body != "" || all[0].To == "" {
			t.Errorf("left: %+v, %v", all, err)
		}
	})
}

// What a message said is forgotten a day after delivery; dead letters go after 30 days.
func TestMessagesAreForgotten(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		ctx, now := t.Context(), time.Now().Add(time.Second)
		for range 4 {
			outbox(t, s, idp.Message{Template: "frozen", Body: "text", Params: map[string]string{"a": "b"}})
		}
		list := claim(t, s, 3, now)
		for i, age := range []time.Duration{25 * time.Hour, 23 * time.Hour} {
			if err := s.MessageSent(ctx, list[i], "", now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.MessageDead(ctx, list[2], "address", now.Add(-31*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := s.Sweep(ctx, now); err != nil {
			t.Fatal(err)
		}
		all, err := s.Messages(ctx, 10)
		if err != nil || len(all) != 3 {
			t.Fatalf("%d left, %v", len(all), err)
		}
		for _, m := range all {
			if forgotten := m.Body == "" && m.Params == nil; forgotten != (m.ID == list[0].ID) || m.To == "" {
				t.Errorf("%+v", m)
			}
		}
	})
}
