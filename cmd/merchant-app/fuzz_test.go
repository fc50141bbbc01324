package main

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Claims are whatever a provider sends: laying them out never fails and invents nothing.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{`{"sub":"a","exp":1e99,"amr":["pwd",7,null],"aud":{"a":[]}}`, `null`, `[]`, `{"exp":-1,"iat":"x","acr":3}`, `{"":""}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		c := decodeJWT("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".x")
		for _, lang := range []string{"zh-CN", "en"} {
			if rows := c.rows(lang); len(rows) != len(c) {
				t.Errorf("%d claims, %d rows", len(c), len(rows))
			}
		}
	})
}

// The Authorization header is whatever a caller sends: either one token without blanks comes out, or a refusal.
func FuzzBearer(f *testing.F) {
	for _, s := range []string{"", "Bearer", "Bearer a", "bearer  a ", "Bearer a,b", "Basic x", "Bearer a b", "Bearer\ta"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{header}
		token, refused := bearer(r)
		if (token == "") == (refused == nil) || strings.ContainsAny(token, " ,") {
			t.Errorf("%q: %q, %v", header, token, refused)
		}
		headerType(token)
	})
}
