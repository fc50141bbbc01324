package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/html"

	"hufu/flows/factor/passkey/passkeytest"
	"hufu/templates"
)

// visitor is a browser of the drill: it keeps cookies, follows redirects on this server, stops
// at others, and fills in forms. After the first thing that goes wrong it does nothing more:
// err says what that was.
type visitor struct {
	d      *drill
	client *http.Client
	url    *url.URL // of the page
	status int
	page   *html.Node
	left   *url.URL // where a redirect to another server would have led
	err    error
}

func (d *drill) visitor() *visitor {
	jar, _ := cookiejar.New(nil) // it has no error to give
	v := &visitor{d: d}
	v.client = &http.Client{Jar: jar, Transport: d, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host {
			v.left = r.URL
			return http.ErrUseLastResponse
		}
		if len(via) > 12 {
			return fmt.Errorf("redirect loop at %s", r.URL.Path)
		}
		return nil
	}}
	return v
}

// fail keeps the first thing that went wrong.
func (v *visitor) fail(format string, args ...any) *visitor {
	if v.err == nil {
		v.err = fmt.Errorf(format, args...)
	}
	return v
}

// open follows an address, absolute or below the issuer.
func (v *visitor) open(address string) *visitor { return v.send(http.MethodGet, address, nil) }

// post sends a form as this server's own pages do.
func (v *visitor) post(address string, form url.Values) *visitor {
	return v.send(http.MethodPost, address, form)
}

func (v *visitor) send(method, address string, form url.Values) *visitor {
	if v.err != nil {
		return v
	}
	res, err := v.ask(method, address, form)
	if err != nil {
		return v.fail("%w", err)
	}
	defer res.Body.Close()
	v.url, v.status = res.Request.URL, res.StatusCode
	if v.page, err = html.Parse(res.Body); err != nil {
		return v.fail("%s: %w", v.url.Path, err)
	}
	return v
}

func (v *visitor) ask(method, address string, form url.Values) (*http.Response, error) {
	if strings.HasPrefix(address, "/") {
		address = v.d.issuer + address
	}
	r, err := http.NewRequestWithContext(v.d.ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	v.left = nil
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", v.d.lang)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return v.client.Do(r)
}

// submit fills in the form that has a field or button of the first name, and sends it.
func (v *visitor) submit(fields ...string) *visitor {
	if v.err != nil {
		return v
	}
	for _, form := range elements(v.page, "form") {
		values, has := url.Values{}, false
		for _, kind := range []string{"input", "textarea", "select", "button"} {
			for _, in := range elements(form, kind) {
				has = has || attribute(in, "name") == fields[0]
				if attribute(in, "type") == "hidden" {
					values.Set(attribute(in, "name"), attribute(in, "value"))
				}
			}
		}
		if !has {
			continue
		}
		for i := 0; i+1 < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		action, err := v.url.Parse(attribute(form, "action"))
		if err != nil {
			return v.fail("%w", err)
		}
		return v.post(action.String(), values)
	}
	return v.fail("%s (%d): no form with %q", v.url.Path, v.status, fields[0])
}

// see fails unless the page has the status and says the words of a key; without arguments,
// those before the first of them.
func (v *visitor) see(status int, key string, args ...any) *visitor {
	words := templates.T(v.d.lang, key, args...)
	if len(args) == 0 {
		words, _, _ = strings.Cut(words, "%")
	}
	if v.err == nil && (v.status != status || !strings.Contains(v.text(), words)) {
		v.fail("%s: %d, %d expected with %q", v.url.Path, v.status, status, words)
	}
	return v
}

// at fails unless the page is a step of a flow.
func (v *visitor) at(step string) *visitor {
	if v.err == nil && !strings.HasSuffix(v.url.Path, "/"+step) {
		v.fail("%s (%d): not at %s", v.url.Path, v.status, step)
	}
	return v
}

// text is what the main part of the page says.
func (v *visitor) text() string {
	var out strings.Builder
	for _, m := range elements(v.page, "main") {
		for n := range m.Descendants() {
			if n.Type == html.TextNode {
				out.WriteString(n.Data + " ")
			}
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// has says whether the page has an input of a name.
func (v *visitor) has(name string) bool {
	if v.err != nil {
		return false
	}
	for _, in := range elements(v.page, "input") {
		if attribute(in, "name") == name {
			return true
		}
	}
	return false
}

// signIn walks the sign-in pages from wherever they begin.
func (v *visitor) signIn(p *member) *visitor {
	v.submit("identifier", p.Username).submit("password", p.Password)
	if v.err == nil && p.TOTP != "" {
		code, err := p.code()
		if err != nil {
			return v.fail("%w", err)
		}
		v.submit("code", code)
	}
	if v.err == nil && strings.HasSuffix(v.url.Path, "/offer") { // a second step, in the days of grace
		v.submit("do", "later")
	}
	return v
}

// showsCode takes a way of proving that sends a code, and types what was sent.
func (v *visitor) showsCode(way, to string) *visitor {
	v.submit("way", way)
	if v.err == nil && !v.has("code") {
		v.submit("resend", "1")
	}
	if v.err != nil {
		return v
	}
	code, err := v.d.sent(to, regexp.MustCompile(`\b\d{8}\b`))
	if err != nil {
		return v.fail("%w", err)
	}
	return v.submit("code", code)
}

// bindsTOTP makes an authenticator of the key on the page.
func (v *visitor) bindsTOTP(p *member) *visitor {
	if v.at("enrol-totp").err != nil {
		return v
	}
	for _, code := range elements(v.page, "code") {
		if attribute(code, "id") == "secret" {
			p.TOTP, p.used = strings.ReplaceAll(code.FirstChild.Data, " ", ""), 0
		}
	}
	code, err := p.code()
	if err != nil {
		return v.fail("%w", err)
	}
	return v.submit("code", code)
}

// bindsPasskey makes a passkey for who is signed in.
func (v *visitor) bindsPasskey() *visitor {
	if v.open("/account/enrol?factor=passkey").at("enrol-passkey").err != nil {
		return v
	}
	address := v.url.Path
	res, err := v.ask(http.MethodPost, address+"/challenge", nil)
	if err != nil {
		return v.fail("%w", err)
	}
	defer res.Body.Close()
	options, err := io.ReadAll(res.Body)
	if err != nil {
		return v.fail("%w", err)
	}
	answer, err := passkeytest.New(v.d.issuer).Create(options)
	if err != nil {
		return v.fail("passkey: %w", err)
	}
	if v.post(address, url.Values{"attestation": {answer}}).has("kept") { // of the recovery codes beside it
		v.submit("kept", "1")
	}
	return v
}

// links are the addresses on the page that end so.
func (v *visitor) links(end string) (list []string) {
	if v.err != nil {
		return nil
	}
	for _, a := range elements(v.page, "a") {
		if href := attribute(a, "href"); strings.HasSuffix(href, end) {
			list = append(list, href)
		}
	}
	return list
}

func elements(n *html.Node, name string) (out []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			out = append(out, d)
		}
	}
	return out
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// sent finds what was sent to a phone or address, newest first, in the tray of the world.
func (d *drill) sent(to string, what *regexp.Regexp) (string, error) {
	v := d.visitor().open("/dev/messages").see(http.StatusOK, "messages.title")
	if v.err != nil {
		return "", v.err
	}
	for _, letter := range elements(v.page, "article") {
		var text strings.Builder
		for n := range letter.Descendants() {
			if n.Type == html.TextNode {
				text.WriteString(n.Data + " ")
			}
		}
		if found := what.FindString(text.String()); found != "" && strings.Contains(text.String(), to) {
			return found, nil
		}
	}
	return "", fmt.Errorf("nothing like %s was sent to %s", what, to)
}

// api is a request of an app or a terminal: a form that is posted, or a page that is read with
// an access token.
func (d *drill) api(as http.RoundTripper, method, path string, form url.Values, access string) (reply, error) {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, d.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if access != "" {
		r.Header.Set("Authorization", "DPoP "+access)
	}
	res, err := as.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	var a reply
	_ = json.Unmarshal(text, &a) // a list, or nothing: the status says enough
	a.Status = res.StatusCode
	return a, nil
}
