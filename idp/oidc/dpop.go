package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/ory/fosite"
)

// proofAlgs are what a proof of possession may be signed with (RFC 9449 5.1).
var proofAlgs = []jose.SignatureAlgorithm{jose.ES256}

// maxProof bounds a DPoP header, in bytes.
const maxProof = 4 << 10

// proof is a proof of possession that was verified but not yet counted: see
// [Provider.spend].
type proof struct {
	key string // RFC 7638 thumbprint; "": none was shown
	id  string // jti
}

func badProof(description string) *refusal { return refuse("invalid_dpop_proof", description) }

var (
	errNoProof    = badProof("the request carries no DPoP proof")
	errProofTwice = badProof("the DPoP proof was shown before")
)

// proofOf verifies the DPoP header of a request (RFC 9449 4.3); a request without one has
// the zero proof. access is the access token that goes with it, "" for none.
func (p *Provider) proofOf(r *http.Request, access string) (proof, error) {
	header := r.Header.Values("DPoP")
	switch {
	case len(header) == 0:
		return proof{}, nil
	case len(header) > 1 || len(header[0]) > maxProof:
		return proof{}, badProof("the request carries more than one DPoP proof, or too long a one")
	}
	payload, key, err := openProof(header[0])
	if err != nil {
		return proof{}, badProof("the DPoP proof is no dpop+jwt signed with ES256 by the public key in its header").because("", err)
	}
	var c struct {
		ID     string   `json:"jti"`
		Method string   `json:"htm"`
		URI    string   `json:"htu"`
		Issued *float64 `json:"iat"`
		Hash   string   `json:"ath"`
	}
	if err := json.Unmarshal(payload, &c); err != nil || c.Issued == nil || c.ID == "" || len(c.ID) > 255 {
		return proof{}, badProof("the DPoP proof lacks jti, htm, htu or iat").because("", err)
	}
	now, rules := time.Now(), p.Policy.Now().Tokens
	age := now.Sub(time.UnixMilli(int64(max(0, min(*c.Issued, 1<<40)) * 1000)))
	switch {
	case c.Method != r.Method:
		return proof{}, badProof("htm of the DPoP proof is not the method of the request")
	case !sameURI(c.URI, p.Issuer+r.URL.Path):
		return proof{}, badProof("htu of the DPoP proof is not the address of the request")
	case age > rules.Proof || age < -rules.ProofAhead:
		return proof{}, badProof("the DPoP proof is too old or from the future; set the clock")
	case access != "" && !sameHash(c.Hash, access):
		return proof{}, badProof("ath of the DPoP proof is not that of the access token")
	}
	return proof{key: key, id: c.ID}, nil
}

// openProof returns the payload of a proof and the thumbprint of the key that signed it:
// the public one of its own header, and of no other place.
func openProof(raw string) (payload []byte, thumbprint string, err error) {
	parsed, err := jose.ParseSignedCompact(raw, proofAlgs)
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, "", errToken
	}
	header := parsed.Signatures[0].Protected
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if typ != "dpop+jwt" || header.JSONWebKey == nil || !header.JSONWebKey.Valid() {
		return nil, "", errToken
	}
	key, ok := header.JSONWebKey.Key.(*ecdsa.PublicKey) // a private one is of another type
	if !ok || key.Curve != elliptic.P256() {
		return nil, "", errToken
	}
	if payload, err = parsed.Verify(key); err != nil {
		return nil, "", errToken
	}
	sum, err := header.JSONWebKey.Thumbprint(crypto.SHA256)
	return payload, base64.RawURLEncoding.EncodeToString(sum), err
}

// sameURI compares an address with one of ours, without its query and fragment, and with
// what URLs write in more than one way written in one.
func sameURI(shown, ours string) bool {
	a, err := url.Parse(shown)
	b, err2 := url.Parse(ours)
	return err == nil && err2 == nil && a.User == nil && a.Opaque == "" && strings.EqualFold(a.Scheme, b.Scheme) &&
		hostOf(a) == hostOf(b) && a.EscapedPath() == b.EscapedPath()
}

func hostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// sameHash says whether hash is that of an access token (RFC 9449 4.2, ath).
func sameHash(hash, access string) bool {
	sum := sha256.Sum256([]byte(access))
	return subtle.ConstantTimeCompare([]byte(hash), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) == 1
}

// spend counts a proof: each is good once (RFC 9449 11.1). It runs in the transaction of
// what the proof is shown for, if that has one.
func (p *Provider) spend(ctx context.Context, shown proof) error {
	if shown.key == "" {
		return nil
	}
	now := time.Now()
	fresh, err := p.Store.ShowProof(ctx, p.Store.MAC("dpop.jti", []byte(shown.key+"."+shown.id)), now.Add(p.Policy.Now().Tokens.ProofOnce), now)
	if err == nil && !fresh {
		err = errProofTwice
	}
	return err
}

// proofHandler verifies the proof of a client that signs terminals in, before the handler
// of its grant asks for it. What other clients show is not looked at: they get bearer
// tokens, and their token_type says so (RFC 9449 5).
type proofHandler struct{ p *Provider }

func (h *proofHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }
func (h *proofHandler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetClient().GetGrantTypes().Has(grantDevice)
}

// HandleTokenEndpointRequest runs while fosite still has the request at hand. It leaves it
// to others whether the grant is known.
func (h *proofHandler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	request, ok := ctx.Value(fosite.RequestContextKey).(*http.Request)
	if !ok {
		return errNoProof
	}
	shown, err := h.p.proofOf(request, "")
	if err != nil {
		return err
	}
	sessionOf(r).Proof = shown
	return fosite.ErrUnknownRequest
}

func (h *proofHandler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, _ fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	return h.p.spend(ctx, sessionOf(r).Proof)
}

// sameKey says whether a proof is of the key that a grant is bound to. No proof is needed,
// and none heeded, where there is no such key.
func sameKey(shown proof, key string) error {
	switch {
	case key == "":
		return nil
	case shown.key == "":
		return errNoProof
	case subtle.ConstantTimeCompare([]byte(shown.key), []byte(key)) != 1:
		return refuse("invalid_grant", "the grant is bound to another key").because("terminal.key", nil)
	}
	return nil
}

// presented returns the access token of a request to an endpoint of ours, with what is
// left of it: nil when it is not good. One that is bound to a key comes under DPoP with a
// fresh proof of that key, any other as Bearer (RFC 9449 7.1).
func (p *Provider) presented(r *http.Request) (*liveToken, error) {
	scheme, token, err := accessOf(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	live, err := p.verifyAccess(ctx, token)
	if err != nil || live == nil {
		return nil, err
	}
	bound := live.claims.Confirmation.Key
	if (bound != "") != (scheme == schemeDPoP) {
		return nil, nil
	}
	if bound == "" {
		return live, nil
	}
	shown, err := p.proofOf(r, token)
	if err == nil && shown.key == "" {
		err = errNoProof
	}
	if err == nil && subtle.ConstantTimeCompare([]byte(shown.key), []byte(bound)) != 1 {
		err = badProof("the DPoP proof is of another key than the access token")
	}
	if err == nil {
		err = p.spend(ctx, shown)
	}
	if e := classify(err); err != nil && e.Code == "invalid_dpop_proof" {
		e.Status = http.StatusUnauthorized
		return nil, e
	}
	return live, err
}

const (
	schemeBearer = "Bearer"
	schemeDPoP   = "DPoP"
)

// accessOf reads the token of the Authorization header.
func accessOf(r *http.Request) (scheme, token string, err error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", "", refuse("invalid_token", "the access token is missing").because("bearer.missing", nil)
	}
	shown, token, ok := strings.Cut(values[0], " ")
	for _, scheme := range []string{schemeBearer, schemeDPoP} {
		if len(values) == 1 && ok && token != "" && strings.EqualFold(shown, scheme) {
			return scheme, token, nil
		}
	}
	return "", "", refuse("invalid_token", "the Authorization header is not one of Bearer or DPoP")
}

// challenge says in the header what was wrong with an access token (RFC 6750 3, RFC 9449 7.1).
func challenge(w http.ResponseWriter, r *http.Request, err error, scope string) {
	e := classify(err)
	if e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
		return
	}
	dpop := `DPoP algs="ES256"`
	if e.Reason == "bearer.missing" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="hufu"`)
		w.Header().Add("WWW-Authenticate", dpop)
		return
	}
	value := `Bearer realm="hufu"`
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, schemeDPoP) {
		value = dpop
	}
	value += `, error="` + e.Code + `", error_description="` + text(e.Description) + `"`
	if e.Code == "insufficient_scope" {
		value += `, scope="` + scope + `"`
	}
	w.Header().Set("WWW-Authenticate", value)
}

// confirmation says which key a token is bound to (RFC 7800, RFC 9449 6.1).
func confirmation(claims map[string]any, key string) {
	if key != "" {
		claims["cnf"] = map[string]string{"jkt": key}
	}
}

// tokenType of what is bound to a key, or to none.
func tokenType(key string) string {
	if key != "" {
		return schemeDPoP
	}
	return schemeBearer
}
