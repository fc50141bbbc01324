package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
)

// transport lets a function answer requests.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The device authorization response is whatever a provider sends: the library gets it unchanged, and only two digits count.
func FuzzKeeper(f *testing.F) {
	for _, s := range []string{`{"match_number":47}`, `{"match_number":"47"}`, `{"match_number":1e1}`, `{`, `[]`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		k := &keeper{next: transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{Body: io.NopCloser(strings.NewReader(body))}, nil
		})}
		res, err := k.RoundTrip(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || string(got) != body || k.match != 0 && (k.match < 10 || k.match > 99) {
			t.Errorf("%q, %v, match %d", got, err, k.match)
		}
	})
}

// Claims are whatever a provider sends: laying them out never fails, and nothing printable steers a screen.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{`{"sub":"a\u001b[2J","exp":1e99,"aud":{"a":[]}}`, `null`, `[]`, `{"exp":-1,"iat":"x","acr":3}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		c := decodeJWT("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".x")
		for _, r := range c.rows("zh-CN") {
			if strings.ContainsFunc(printable(r.Value), unicode.IsControl) {
				t.Errorf("%q", r.Value)
			}
		}
	})
}
