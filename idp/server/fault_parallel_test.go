package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"hufu/storage"
)

// A tokenAnswer is what the token endpoint said, tokens or error.
type tokenAnswer struct {
	Status  int    `json:"-"`
	Error   string `json:"error"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

func (w *demoWorld) token(t *testing.T, form url.Values) (a tokenAnswer) {
	t.Helper()
	status, body := w.form(t, "/token", form)
	if err := json.Unmarshal(body, &a); err != nil && status != 0 {
		t.Errorf("%d %s: %v", status, body, err)
	}
	a.Status = status
	return a
}

const crowd = 64

// atOnce sends the same form from a crowd at once and sorts the answers.
func (w *demoWorld) atOnce(t *testing.T, form url.Values) (won []tokenAnswer, errors map[string]int) {
	t.Helper()
	errors = map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range crowd {
		wg.Go(func() {
			<-start
			a := w.token(t, form)
			mu.Lock()
			defer mu.Unlock()
			if a.Status == http.StatusOK {
				won = append(won, a)
			} else {
				errors[a.Error]++
			}
		})
	}
	close(start)
	wg.Wait()
	return won, errors
}

func refreshForm(client, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}
}

func (w *demoWorld) count(t *testing.T, name string) int {
	t.Helper()
	events, err := w.Service.Store.Events(t.Context(), storage.EventFilter{Name: name}, 1000)
	must(t, err)
	return len(events)
}

// One code, a crowd at once: one gets tokens, and since the code was used twice
// these are worth nothing any more (RFC 6749 4.1.2).
func TestOneCodeIsExchangedOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		a := w.app(t, "merchant_app", "openid", "offline_access")
		b := w.browser(t)
		s := a.start()
		code := a.answer(b.open(s.url).signIn("cashier"), s).Get("code")
		won, errors := w.atOnce(t, url.Values{"grant_type": {"authorization_code"}, "client_id": {a.ClientID}, "code": {code}, "redirect_uri": {a.RedirectURL}, "code_verifier": {s.verifier}})
		if len(won) != 1 || errors["invalid_grant"] != crowd-1 {
			t.Fatalf("%d won, the others heard %v", len(won), errors)
		}
		if w.count(t, "grant.reuse_detected") != 1 {
			t.Errorf("%d events of reuse", w.count(t, "grant.reuse_detected"))
		}
		if after := w.token(t, refreshForm(a.ClientID, won[0].Refresh)); after.Error != "invalid_grant" {
			t.Errorf("the tokens of a code that was used twice are alive: %+v", after)
		}
	})
}

// One refresh token, a crowd at once: all who ask within the grace time get the one
// successor. Once that is used, the old one ends the family.
func TestOneRefreshTokenHasOneSuccessor(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		a := w.app(t, "merchant_app", "openid", "offline_access")
		first, _ := a.signIn(w.browser(t), "cashier")
		old := first.RefreshToken
		for round := range 3 {
			won, errors := w.atOnce(t, refreshForm(a.ClientID, old))
			if len(won) != crowd {
				t.Fatalf("round %d: %d won, the others heard %v", round, len(won), errors)
			}
			for _, one := range won {
				if one.Refresh != won[0].Refresh || one.Access == "" {
					t.Fatalf("round %d: more than one successor", round)
				}
			}
			old = won[0].Refresh
		}
		next := w.token(t, refreshForm(a.ClientID, old))
		last := w.token(t, refreshForm(a.ClientID, next.Refresh))
		if next.Status != http.StatusOK || last.Status != http.StatusOK {
			t.Fatalf("alone: %+v %+v", next, last)
		}
		// The answer with next was not lost: it was used. Now old is somebody else's copy.
		if _, errors := w.atOnce(t, refreshForm(a.ClientID, old)); errors["invalid_grant"] != crowd {
			t.Errorf("a used token: %v", errors)
		}
		if after := w.token(t, refreshForm(a.ClientID, last.Refresh)); after.Error != "invalid_grant" || w.count(t, "grant.reuse_detected") != 1 {
			t.Errorf("after reuse: %+v, %d events", after, w.count(t, "grant.reuse_detected"))
		}
	})
}

// After the grace time even an unused successor is not given again.
func TestGraceEnds(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.7")
		a := w.quietApp("merchant_app")
		token := a.signIn(t, b, "cashier")
		next := a.refresh(t, b, token.Refresh)
		time.Sleep(29 * time.Second)
		if again := a.refresh(t, b, token.Refresh); again.Refresh != next.Refresh || next.Refresh == "" {
			t.Errorf("within the grace time: %+v", again)
		}
		time.Sleep(2 * time.Second)
		if late := a.refresh(t, b, token.Refresh); late.Error != "invalid_grant" {
			t.Errorf("after the grace time: %+v", late)
		}
		if after := a.refresh(t, b, next.Refresh); after.Error != "invalid_grant" {
			t.Errorf("the family lives: %+v", after)
		}
	})
}
