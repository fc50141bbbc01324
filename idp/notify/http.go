package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answerMost bounds what is read of a gateway's answer.
const answerMost = 64 << 10

// client talks to gateways. It follows no redirects: a signed request must go nowhere
// else.
var client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// post asks a gateway. Only troubles of the transport are errors; they name no URL,
// which may hold the recipient.
func post(ctx context.Context, address, body string, header http.Header) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, Permanent(nil, Refused)
	}
	r.Header = header
	res, err := client.Do(r)
	if err != nil {
		return 0, nil, transport(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(res.Body, answerMost+1))
	if err != nil {
		return 0, nil, transport(err)
	}
	if len(answer) > answerMost {
		return 0, nil, Passing(nil, Answer)
	}
	return res.StatusCode, answer, nil
}

// transport sorts the troubles of a connection.
func transport(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return Passing(nil, Timeout)
	}
	return Passing(err, Unreachable)
}

// CheckURL refuses the address of a gateway that anybody on the way could read.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("expected a URL such as https://sms.example.com/send")
	}
	if u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()) {
		return nil
	}
	return errors.New("expected https; http is for loopback hosts only")
}

// Loopback knows a host by its spelling: what a name resolves to may change.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
