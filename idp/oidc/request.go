package oidc

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/idp"
	"hufu/templates"
)

// prompts that are understood (OpenID Connect Core 3.1.2.1).
var prompts = []string{"none", "login", "consent", "select_account"}

// request is an authorization request that was read and found right. It is what is
// stored while the person proves himself; the raw parameters never are.
type request struct {
	Client    string         `json:"client"`
	Redirect  string         `json:"redirect"`
	State     string         `json:"state,omitempty"`
	Scopes    []string       `json:"scopes"`
	Nonce     string         `json:"nonce,omitempty"`
	Challenge string         `json:"challenge"`
	Prompt    []string       `json:"prompt,omitempty"`
	MaxAge    *time.Duration `json:"max_age,omitempty"`
	ACR       idp.ACR        `json:"acr,omitempty"`
	Subject   string         `json:"subject,omitempty"` // of id_token_hint
	Hint      string         `json:"hint,omitempty"`
	Language  string         `json:"language,omitempty"`
	Audience  []string       `json:"audience,omitempty"`
	Tries     map[string]int `json:"tries,omitempty"` // how often a check sent the person away
	At        time.Time      `json:"at"`
}

func (q *request) prompted(v string) bool { return slices.Contains(q.Prompt, v) }

// parse reads an authorization request. Until the returned request has a Redirect,
// an error must not leave for the client: the URI is not verified.
func (p *Provider) parse(ctx context.Context, form url.Values, now time.Time) (*request, idp.Client, error) {
	q := &request{At: now.UTC().Truncate(time.Microsecond)}
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(form[name]) > 1 {
			return q, idp.Client{}, refuse("invalid_request", name+" stands more than once")
		}
	}
	c, err := p.liveClient(ctx, form.Get("client_id"))
	if err != nil {
		return q, c, err
	}
	q.Client = c.ID
	uri := form.Get("redirect_uri")
	if !redirectAllowed(c, c.Redirects, uri) {
		return q, c, refuse("invalid_request", "redirect_uri is none that is registered for the client")
	}
	q.Redirect = uri
	if state := (url.Values{"state": form["state"]}); cmp.Or(wellFormed(state), bounded(state)) == nil {
		q.State = form.Get("state") // before the first error that the client is told
	}
	if err := cmp.Or(wellFormed(form), bounded(form)); err != nil {
		return q, c, err
	}
	return q, c, p.read(ctx, q, c, form)
}

// read checks everything else; the client may be told what is wrong.
func (p *Provider) read(ctx context.Context, q *request, c idp.Client, form url.Values) (err error) {
	// Before anything that a request object might have said otherwise.
	for _, name := range []string{"request", "request_uri", "registration"} {
		if form.Get(name) != "" {
			return refuse(name+"_not_supported", name+" is not supported")
		}
	}
	switch kind := form.Get("response_type"); {
	case kind == "":
		return refuse("invalid_request", "response_type is missing")
	case kind != "code":
		return refuse("unsupported_response_type", "response_type must be code")
	case !c.May(grantCode):
		return refuse("unauthorized_client", "the client may not use authorization codes")
	}
	if mode := form.Get("response_mode"); mode != "" && mode != "query" {
		return refuse("invalid_request", "response_mode must be query")
	}
	if err := readPKCE(q, form); err != nil {
		return err
	}
	if q.Scopes, err = requestedScopes(c, form); err != nil {
		return err
	}
	if q.Audience, err = askedAudience(c, form); err != nil {
		return err
	}
	q.Nonce, q.Hint = form.Get("nonce"), form.Get("login_hint")
	if locales := form.Get("ui_locales"); locales != "" {
		q.Language = templates.Match("", "", locales)
	}
	if err := readPrompt(q, form); err != nil {
		return err
	}
	return p.readHint(ctx, q, form)
}

// readPKCE demands S256 of every client, whatever it can keep (RFC 9700 2.1.1).
func readPKCE(q *request, form url.Values) error {
	q.Challenge = form.Get("code_challenge")
	switch {
	case q.Challenge == "":
		return refuse("invalid_request", "code_challenge is missing: PKCE is required")
	case form.Get("code_challenge_method") != "S256":
		return refuse("invalid_request", "code_challenge_method must be S256")
	case !validChallenge(q.Challenge):
		return refuse("invalid_request", "code_challenge is not the base64url of a SHA-256")
	}
	return nil
}

func readPrompt(q *request, form url.Values) error {
	q.Prompt = idp.SplitScopes(form.Get("prompt"))
	for _, v := range q.Prompt {
		if !slices.Contains(prompts, v) {
			return refuse("invalid_request", "prompt has a value that is not supported")
		}
	}
	if len(q.Prompt) > 1 && q.prompted("none") {
		return refuse("invalid_request", "prompt=none stands alone")
	}
	if v := form.Get("max_age"); v != "" {
		seconds, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return refuse("invalid_request", "max_age is not a number of seconds")
		}
		age := time.Duration(seconds) * time.Second
		q.MaxAge = &age
	}
	// Voluntary (Core 3.1.2.1): any understood value will do, so the weakest is asked.
	for v := range strings.FieldsSeq(form.Get("acr_values")) {
		if acr, ok := idp.ParseACR(v); ok && (q.ACR == 0 || acr < q.ACR) {
			q.ACR = acr
		}
	}
	return nil
}

// readHint takes the subject of an ID token of ours, which may have expired and whose
// key may have retired.
func (p *Provider) readHint(ctx context.Context, q *request, form url.Values) error {
	hint := form.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	k, err := p.keys(ctx)
	if err != nil {
		return err
	}
	claims, err := k.verify(hint, typeID, p.Issuer)
	if err != nil || !slices.Contains(claims.Audience, q.Client) {
		return refuse("invalid_request", "id_token_hint is not an ID token of ours for this client")
	}
	q.Subject = claims.Subject
	return nil
}
