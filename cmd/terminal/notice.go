package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// notice is what the provider wants the people at a terminal to read and, mostly, to answer.
type notice struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"` // "stop" or "confirm"; "code" and "call" are only read
	Text    string `json:"text"`
	Code    string `json:"code"`    // typed to stop it where there is no touch screen
	Choices []int  `json:"choices"` // digits to pick from
	Seen    bool   `json:"seen"`
}

// Stops says whether a notice is about something that the people at the terminal can stop.
func (n notice) Stops() bool { return n.Kind == "stop" || n.Kind == "confirm" }

func (n notice) same(m notice) bool {
	return n.ID == m.ID && n.Text == m.Text && n.Kind == m.Kind && n.Code == m.Code && slices.Equal(n.Choices, m.Choices)
}

// watchEvery is how often a signed-in terminal asks for notices.
const watchEvery = 3 * time.Second

// errStale says that an access token is no longer taken.
var errStale = errors.New("the access token is no longer taken")

// fetchNotices asks what to show.
func (p *provider) fetchNotices(ctx context.Context, token *oauth2.Token) (list []notice, err error) {
	return list, p.terminal(ctx, token, http.MethodGet, "", nil, &list)
}

// answerNotice tells what the people did: "seen", "stop", or "confirm" with the digits they picked.
func (p *provider) answerNotice(ctx context.Context, token *oauth2.Token, id, do, digits string) (result string, err error) {
	body := map[string]string{"do": do}
	if digits != "" {
		body["digits"] = digits
	}
	var answer struct{ Result string }
	err = p.terminal(ctx, token, http.MethodPost, "/"+url.PathEscape(id), body, &answer)
	return answer.Result, err
}

func (p *provider) terminal(ctx context.Context, token *oauth2.Token, method, path string, body, into any) error {
	if p.notices == "" {
		return nil // this provider has none
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, p.notices+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	token.SetAuthHeader(r)
	res, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into)
	case http.StatusUnauthorized:
		return errStale
	}
	return fmt.Errorf("notices: %s", res.Status)
}

// Watch asks for notices while the terminal is signed in, until ctx ends. A token that is no longer taken is renewed;
// one that cannot be is the end of the sign-in.
func (t *Terminal) Watch(ctx context.Context, p *provider) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s := t.Status(); s.State == SignedIn {
			t.look(ctx, p, s)
		}
	}
}

func (t *Terminal) look(ctx context.Context, p *provider, s Status) {
	p = p.as(t.key)
	list, err := p.fetchNotices(ctx, s.Who.token)
	if errors.Is(err, errStale) {
		t.renew(ctx, p, "")
		return
	}
	if err != nil {
		if ctx.Err() == nil {
			t.log.Warn("no notices", "kind", t.Kind, "error", err)
		}
		return
	}
	for _, n := range list {
		if !n.Seen && !slices.ContainsFunc(s.Notices, n.same) {
			_, _ = p.answerNotice(ctx, s.Who.token, n.ID, "seen", "") // drawn with the next look at the page
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.Version == s.Version && !slices.EqualFunc(list, s.Notices, notice.same) {
		s.Notices = list
		t.set(s)
	}
}

// Answer is a button under a notice. At a terminal with a slip the code of the slip is typed in place of a touch.
func (t *Terminal) Answer(ctx context.Context, p *provider, id, do, digits string) {
	t.turn.Lock()
	defer t.turn.Unlock()
	s := t.Status()
	i := slices.IndexFunc(s.Notices, func(n notice) bool { return n.ID == id })
	if s.State != SignedIn || i < 0 {
		return
	}
	note, gone := "notice.failed", false
	if do == "stop" && t.Kind == "traditional" && s.Notices[i].Code != "" && digits != s.Notices[i].Code {
		note = "notice.code"
	} else {
		if do == "stop" {
			digits = ""
		}
		result, err := p.as(t.key).answerNotice(ctx, s.Who.token, id, do, digits)
		if err != nil {
			t.log.Warn("notice not answered", "kind", t.Kind, "error", err)
		} else {
			note, gone = "notice."+result, true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Note, s.Version = note, t.now.Version
	if gone {
		s.Notices = slices.Delete(slices.Clone(s.Notices), i, i+1)
	}
	t.set(s)
}
