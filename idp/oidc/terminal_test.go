package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/oidc/dpoptest"
	"hufu/storage"
)

// notice queues a notice to a terminal of the shop, or to all; its right digits are 47.
func (w *world) notice(kind idp.NoticeKind, terminal string) idp.TerminalNotice {
	w.t.Helper()
	n := idp.TerminalNotice{MerchantID: w.merchant.ID, TerminalID: terminal, UserID: w.owner.ID, Kind: kind, CreatedAt: time.Now(), Until: time.Now().Add(time.Hour),
		Params: idp.NoticeParams{Name: "林薇", Due: time.Now().Add(24 * time.Hour)}}
	if kind == idp.NoticeStop {
		n.Params.Code = idp.NewStopCode()
	} else {
		n.Params.Choices = []int{17, 47, 88}
	}
	w.must(w.store.QueueTerminalNotice(w.t.Context(), &n, 47))
	return n
}

// asks sends a request of the terminal with its token and a proof of k.
func (w *world) asks(k *dpoptest.Key, token, method, path, text string) (*http.Response, []byte) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(text))
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", k.Proof(method, issuer+path, token))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/json")
	}
	res := w.do(r)
	var b bytes.Buffer
	_, err := b.ReadFrom(res.Body)
	w.must(err)
	return res, b.Bytes()
}

func (w *world) shown(token string) (list []shownNotice) {
	w.t.Helper()
	res, raw := w.asks(w.key, token, "GET", "/terminal/notices", "")
	if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-store" {
		w.t.Fatalf("%d %s", res.StatusCode, raw)
	}
	w.must(json.Unmarshal(raw, &list))
	return list
}

// answers posts what was done with a notice, and returns what came of it.
func (w *world) answers(token, id, text string) (int, string) {
	w.t.Helper()
	res, raw := w.asks(w.key, token, "POST", "/terminal/notices/"+id, text)
	var a struct{ Result, Error string }
	w.must(json.Unmarshal(raw, &a))
	return res.StatusCode, a.Result + a.Error
}

// A terminal shows what is for it or for all of its merchant, in the owner's language, and
// takes one answer of each.
func TestTerminalNotices(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.onTerminal()["access_token"].(string)
		if list := w.shown(token); len(list) != 0 {
			t.Fatalf("%+v", list)
		}
		if _, raw := w.asks(w.key, token, "GET", "/terminal/notices", ""); string(raw) != "[]" {
			t.Errorf("no notice is %s", raw)
		}
		var stopped []string
		w.p.Stop = func(ctx context.Context, n idp.TerminalNotice, at idp.Terminal) (bool, error) {
			if !storage.InTx(ctx) || at.ID != w.terminal.ID || n.UserID != w.owner.ID {
				t.Errorf("stopped with %+v at %+v", n, at)
			}
			stopped = append(stopped, n.ID)
			return n.Kind == idp.NoticeStop, nil
		}
		confirm, stop := w.notice(idp.NoticeConfirm, w.terminal.ID), w.notice(idp.NoticeStop, "")
		w.notice(idp.NoticeConfirm, "another")
		list := w.shown(token)
		if len(list) != 2 || list[0].ID != confirm.ID || list[1].ID != stop.ID {
			t.Fatalf("%+v", list)
		}
		if !slices.Equal(list[0].Choices, []int{17, 47, 88}) || list[0].Code != "" || !strings.Contains(list[0].Text, "林薇") || !strings.Contains(list[0].Text, "“停止”") {
			t.Errorf("%+v", list[0])
		}
		if list[1].Code != stop.Params.Code || len(stop.Params.Code) != 4 || list[1].Choices != nil || !strings.Contains(list[1].Text, "生效") || list[1].Seen {
			t.Errorf("%+v", list[1])
		}
		if status, said := w.answers(token, stop.ID, `{"do":"seen"}`); status != 200 || said != "seen" || !w.shown(token)[1].Seen {
			t.Errorf("seen: %d %s", status, said)
		}
		for text, want := range map[string]int{``: 400, `{}`: 400, `{"do":"eat"}`: 400, `{"do":"confirm"}`: 400, `{"do":"confirm","digits":"7"}`: 400, `{"do":"confirm","digits":"047"}`: 400, `{"do":"confirm","digits":"+4"}`: 400,
			`{"do":"confirm","digits":47}`: 400, `{"do":"stop","user":"x"}`: 400, `{"do":"stop"}{}`: 400, `[]`: 400, `{"do":"` + strings.Repeat("x", 2000) + `"}`: 413} {
			if status, said := w.answers(token, stop.ID, text); status != want || said != "invalid_request" {
				t.Errorf("%.40s: %d %s", text, status, said)
			}
		}
		for _, id := range []string{"x", strings.Repeat("x", 300), url.PathEscape("../userinfo"), stop.ID + "0"} {
			if status, _ := w.answers(token, id, `{"do":"stop"}`); status != 404 && status != 400 && status != 401 {
				t.Errorf("%s: %d", id, status)
			}
		}
		if status, _ := w.answers(token, stop.ID, `{"do":"confirm","digits":"47"}`); status != 404 {
			t.Errorf("a stop was confirmed: %d", status)
		}
		if status, said := w.answers(token, confirm.ID, `{"do":"confirm","digits":"47"}`); status != 200 || said != "confirmed" {
			t.Errorf("%d %s", status, said)
		}
		if status, said := w.answers(token, stop.ID, `{"do":"stop"}`); status != 200 || said != "stopped" || !slices.Equal(stopped, []string{stop.ID}) {
			t.Errorf("%d %s %v", status, said, stopped)
		}
		wrong := w.notice(idp.NoticeConfirm, "")
		if status, said := w.answers(token, wrong.ID, `{"do":"confirm","digits":"17"}`); status != 200 || said != "wrong" {
			t.Errorf("%d %s", status, said)
		}
		if status, _ := w.answers(token, wrong.ID, `{"do":"confirm","digits":"47"}`); status != 404 {
			t.Errorf("a second pick: %d", status)
		}
		instead := w.notice(idp.NoticeConfirm, "")
		if status, said := w.answers(token, instead.ID, `{"do":"stop"}`); status != 200 || said != "refused" || len(stopped) != 2 {
			t.Errorf("%d %s %v", status, said, stopped)
		}
		read := w.notice(idp.NoticeCode, "")
		for _, text := range []string{`{"do":"stop"}`, `{"do":"confirm","digits":"47"}`} {
			if status, _ := w.answers(token, read.ID, text); status != 404 || len(stopped) != 2 {
				t.Errorf("what is only read was answered with %s: %d", text, status)
			}
		}
		w.must(w.store.VoidTerminalNotice(t.Context(), read.ID, time.Now()))
		if n := w.events("terminal.answered"); n != 4 {
			t.Errorf("%d events", n)
		}
		if list := w.shown(token); len(list) != 0 {
			t.Errorf("%+v", list)
		}
	})
}

// Of any number of answers at once one counts; when what it asks fails, nothing was
// answered.
func TestTerminalNoticeAnsweredOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.onTerminal()["access_token"].(string)
		var mu sync.Mutex
		stopped := 0
		w.p.Stop = func(context.Context, idp.TerminalNotice, idp.Terminal) (bool, error) {
			return false, errors.New("not now")
		}
		n := w.notice(idp.NoticeStop, "")
		if status, _ := w.answers(token, n.ID, `{"do":"stop"}`); status != 500 || w.events("terminal.answered") != 0 {
			t.Errorf("a stop that failed: %d", status)
		}
		w.p.Stop = func(context.Context, idp.TerminalNotice, idp.Terminal) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			stopped++
			return true, nil
		}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if status, said := w.answers(token, n.ID, `{"do":"stop"}`); status != 404 && (status != 200 || said != "stopped") {
					t.Errorf("%d %s", status, said)
				}
			})
		}
		wg.Wait()
		if stopped != 1 || w.events("terminal.answered") != 1 {
			t.Errorf("stopped %d times", stopped)
		}
	})
}

// Only a terminal at work with a token of its key is heard, and only by this address.
func TestTerminalNoticesAreItsOwn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.onTerminal()
		token := a["access_token"].(string)
		w.notice(idp.NoticeStop, "")
		path := "/terminal/notices"
		if res, _ := w.asks(dpoptest.New(), token, "GET", path, ""); res.StatusCode != 401 || !strings.Contains(res.Header.Get("WWW-Authenticate"), "invalid_dpop_proof") {
			t.Errorf("a thief's key: %d %v", res.StatusCode, res.Header)
		}
		for name, bad := range badProofs(w.key, "GET", issuer+path, token) {
			if res, answer := w.calls("GET", path, "DPoP", token, bad()); res.StatusCode != 401 {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
		}
		for name, c := range map[string]struct{ scheme, token string }{
			"bearer": {"Bearer", token}, "an app's": {"Bearer", w.tokens("app")["access_token"].(string)}, "an ID token": {"DPoP", a["id_token"].(string)},
			"a refresh token": {"DPoP", a["refresh_token"].(string)}, "junk": {"DPoP", "x"},
		} {
			if res, answer := w.calls("GET", path, c.scheme, c.token, w.key.Proof("GET", issuer+path, c.token)); res.StatusCode != 401 {
				t.Errorf("%s: %d %v", name, res.StatusCode, answer)
			}
		}
		if res := w.do(httptest.NewRequest("GET", path, nil)); res.StatusCode != 401 || len(res.Header.Values("WWW-Authenticate")) != 2 {
			t.Errorf("nothing: %d %v", res.StatusCode, res.Header)
		}
		for path, methods := range map[string][]string{path: {"POST", "PUT", "DELETE"}, path + "/x": {"GET", "PUT"}} {
			for _, m := range methods {
				if res, _ := w.asks(w.key, token, m, path, ""); res.StatusCode != 405 {
					t.Errorf("%s %s: %d", m, path, res.StatusCode)
				}
			}
		}
		d := w.device("scope", "openid offline_access")
		w.approve(d["user_code"].(string), w.owner, true)
		_, narrow := w.post("/token", "terminal", polling(d["device_code"]))
		if res, _ := w.asks(w.key, narrow["access_token"].(string), "GET", path, ""); res.StatusCode != 403 || !strings.Contains(res.Header.Get("WWW-Authenticate"), `scope="terminal"`) {
			t.Errorf("without the scope: %d", res.StatusCode)
		}
		d = w.device("terminal_serial", "")
		w.approve(d["user_code"].(string), w.owner, true)
		_, nameless := w.post("/token", "terminal", polling(d["device_code"]))
		if res, _ := w.asks(w.key, nameless["access_token"].(string), "GET", path, ""); res.StatusCode != 401 {
			t.Errorf("a device that is no terminal: %d", res.StatusCode)
		}
		if n := len(w.shown(token)); n != 1 {
			t.Errorf("%d notices at the terminal itself", n)
		}
		for _, state := range []idp.TerminalState{idp.TerminalSuspended, idp.TerminalLost, idp.TerminalRetired} {
			w.done(w.store.SetTerminalState(t.Context(), w.terminal.ID, idp.TerminalActive, state))
			for method, path := range map[string]string{"GET": path, "POST": path + "/x"} {
				if res, _ := w.asks(w.key, token, method, path, `{"do":"stop"}`); res.StatusCode != 401 {
					t.Errorf("%s, %s: %d", state, method, res.StatusCode)
				}
			}
			w.done(w.store.SetTerminalState(t.Context(), w.terminal.ID, state, idp.TerminalActive))
		}
	})
}

// A terminal that asks has been seen, once a minute at most.
func TestTerminalIsSeen(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		token := w.onTerminal()["access_token"].(string)
		seen := func() time.Time {
			of, err := w.store.Terminal(t.Context(), w.terminal.ID)
			w.must(err)
			return of.LastSeenAt
		}
		first := seen()
		time.Sleep(59 * time.Second)
		w.shown(token)
		if !seen().Equal(first) {
			t.Error("noted twice in a minute")
		}
		time.Sleep(time.Second)
		w.shown(token)
		if !seen().Equal(first.Add(time.Minute)) {
			t.Errorf("seen %s after the first time", seen().Sub(first))
		}
	})
}

// What a terminal says of a recovery is true when it is read.
func TestTerminalNoticeWords(t *testing.T) {
	timed(t, func(t *testing.T, w *world) {
		due := time.Now().Add(time.Hour)
		for _, c := range []struct {
			at   time.Time
			done bool
			says string
		}{{time.Now(), false, "生效。不是本人"}, {due.Add(-time.Second), false, "生效。不是本人"}, {due, false, "已经等完"}, {due.Add(time.Hour), true, "已经找回"}} {
			time.Sleep(time.Until(c.at))
			n := idp.TerminalNotice{Kind: idp.NoticeStop, Params: idp.NoticeParams{Name: "林薇", Due: due, Done: c.done, Code: "0417"}}
			if got := w.p.inWords(n, "zh-CN"); !strings.Contains(got.Text, c.says) || !strings.Contains(got.Text, "林薇") || !strings.Contains(got.Text, "“停止”") || got.Code != "0417" {
				t.Errorf("%v: %+v", c, got)
			}
		}
	})
}
