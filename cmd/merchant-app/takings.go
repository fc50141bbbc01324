package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	realm       = `Bearer realm="takings"`
	takingsRead = "payments:read"
)

// assurance orders the authentication levels of the provider.
var assurance = map[string]int{"urn:hufu:acr:1": 1, twoFactors: 2, "phr": 3, "phrh": 4}

// takings is the answer of the resource: figures for show, the same every day.
type takings struct {
	MerchantNo string   `json:"merchant_no"`
	Day        string   `json:"day"`
	Currency   string   `json:"currency"`
	Total      string   `json:"total"`
	Count      int      `json:"count"`
	Refunds    string   `json:"refunds"`
	By         []amount `json:"by"`
}

type amount struct {
	Way    string `json:"way"`
	Amount string `json:"amount"`
	Count  int    `json:"count"`
}

// takings serves GET /api/takings, the protected resource.
func (a *App) takings(w http.ResponseWriter, r *http.Request) {
	p := a.provider.Load()
	if p == nil {
		refuseToken(w, &challenge{status: http.StatusServiceUnavailable})
		return
	}
	c, err := a.authorize(r, p)
	if err != nil {
		refuseToken(w, err)
		return
	}
	no, _ := c["merchant_no"].(string)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(takings{MerchantNo: no, Day: time.Now().Format(time.DateOnly), Currency: "CNY",
		Total: "12840.50", Count: 86, Refunds: "128.00",
		By: []amount{{"qr", "9215.50", 71}, {"card", "3625.00", 15}}})
}

// challenge is a refusal as RFC 6750 section 3 and RFC 9470 section 3 word it.
type challenge struct {
	status int
	code   string // empty: no token at all, so nothing about it may be said
	text   string
	extra  string
}

func refuseToken(w http.ResponseWriter, c *challenge) {
	if c.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "3")
		http.Error(w, "the provider's keys can't be reached", c.status)
		return
	}
	h := realm
	if c.code != "" {
		h += fmt.Sprintf(`, error="%s", error_description="%s"`, c.code, c.text)
	}
	w.Header().Set("WWW-Authenticate", h+c.extra)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(c.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": cmp.Or(c.code, "unauthorized")})
}

// authorize verifies the access token of a request (RFC 9068 section 4) and returns its claims.
func (a *App) authorize(r *http.Request, p *provider) (claims, *challenge) {
	raw, refused := bearer(r)
	if refused != nil {
		return nil, refused
	}
	invalid := func(why string) *challenge { return &challenge{http.StatusUnauthorized, "invalid_token", why, ""} }
	// The type is looked at before anything else: an ID token is signed by the same key for the same client.
	if t := strings.ToLower(headerType(raw)); t != "at+jwt" && t != "application/at+jwt" {
		return nil, invalid("not an access token")
	}
	var fetch fetchFailed
	token, err := p.access.Verify(context.WithValue(a.outbound(r), fetchFailed{}, &fetch), raw)
	switch {
	case fetch.err != nil:
		a.Log.Warn("key set not reached", "error", fetch.err)
		return nil, &challenge{status: http.StatusServiceUnavailable}
	case err != nil:
		if _, late := errors.AsType[*oidc.TokenExpiredError](err); late {
			return nil, invalid("the token has expired")
		}
		return nil, invalid("the token is not valid here")
	case !slices.ContainsFunc(token.Audience, func(aud string) bool { return aud == a.ClientID || slices.Contains(a.Audience, aud) }):
		return nil, invalid("the token is for another resource")
	}
	var c claims
	if token.Claims(&c) != nil || !complete(c) {
		return nil, invalid("the token lacks a claim")
	}
	// A token bound to a key (RFC 9449, RFC 8705) is worth nothing as a bearer token, and this resource checks no keys.
	if c["cnf"] != nil {
		return nil, invalid("the token is bound to a key")
	}
	return c, a.permit(c)
}

// permit looks at what a genuine token allows.
func (a *App) permit(c claims) *challenge {
	scope, _ := c["scope"].(string)
	if !slices.Contains(strings.Fields(scope), takingsRead) {
		return &challenge{http.StatusForbidden, "insufficient_scope", "the token does not allow this", `, scope="` + takingsRead + `"`}
	}
	if acr, _ := c["acr"].(string); assurance[acr] < assurance[a.Acr] {
		return &challenge{http.StatusUnauthorized, "insufficient_user_authentication", "a stronger sign-in is needed", `, acr_values="` + a.Acr + `"`}
	}
	return nil
}

// complete reports whether all claims that RFC 9068 section 2.2 demands are there.
func complete(c claims) bool {
	for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		if c[name] == nil || c[name] == "" {
			return false
		}
	}
	return true
}

// bearer takes the token from the Authorization header, the only place this resource looks (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, *challenge) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", &challenge{status: http.StatusUnauthorized}
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	switch {
	case len(headers) > 1:
		return "", &challenge{http.StatusBadRequest, "invalid_request", "more than one token", ""}
	case !strings.EqualFold(scheme, "Bearer"):
		return "", &challenge{status: http.StatusUnauthorized}
	case token == "" || strings.ContainsAny(token, " ,"):
		return "", &challenge{http.StatusBadRequest, "invalid_request", "malformed header", ""}
	}
	return token, nil
}

// headerType reads typ of a JWS; the caller verifies the signature over it afterwards.
func headerType(raw string) string {
	head, _, _ := strings.Cut(raw, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return ""
	}
	var h struct{ Typ string }
	if json.Unmarshal(b, &h) != nil {
		return ""
	}
	return h.Typ
}

// keySet tells "the keys can't be reached", which is nobody's fault, from "the signature is wrong": the verifier
// above it folds both into one text.
type keySet struct{ *oidc.RemoteKeySet }

type fetchFailed struct{ err error }

func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.RemoteKeySet.VerifySignature(ctx, jwt)
	if f, ok := ctx.Value(fetchFailed{}).(*fetchFailed); ok && err != nil && errors.Unwrap(err) != nil {
		f.err = err // only a failed fetch is wrapped
	}
	return payload, err
}

// callTakings is the button: it calls the resource as any client would, and once more with a fresh token if the first has aged.
func (a *App) callTakings(w http.ResponseWriter, r *http.Request, p *provider) {
	s := a.sessions.find(r)
	if s == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	got, asked, err := a.getTakings(a.outbound(r), s.token.AccessToken)
	if asked == "invalid_token" && s.token.RefreshToken != "" {
		if err = a.rotate(a.outbound(r), p, s); a.ended(w, r, err) {
			return
		}
		if err == nil {
			got, asked, err = a.getTakings(a.outbound(r), s.token.AccessToken)
		}
	}
	s.takings, s.note = got, nil
	switch {
	case err != nil:
		a.Log.Warn("takings not read", "error", err)
		s.note = &notice{Kind: "bad", Key: "takings.failed"}
	case asked == "insufficient_user_authentication":
		s.note = &notice{Kind: "warn", Key: "takings.level", StepUp: true}
	case asked != "":
		s.note = &notice{Kind: "bad", Key: "takings.refused"}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

var errorParam = regexp.MustCompile(`\berror="([a-z_]+)"`)

// getTakings returns the figures, or what the challenge asked for.
func (a *App) getTakings(ctx context.Context, token string) (*takings, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+"/api/takings", nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := a.Client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	if m := errorParam.FindStringSubmatch(res.Header.Get("WWW-Authenticate")); m != nil {
		return nil, m[1], nil
	}
	if res.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("takings answered %s", res.Status)
	}
	var t takings
	return &t, "", json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&t)
}
