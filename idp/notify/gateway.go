package notify

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"hufu/idp"
)

// Gateway posts text messages as JSON to an operator's own service.
type Gateway struct {
	URL     string
	Bearer  idp.Secret // says who we are
	Signing idp.Secret // signs what we say
}

// payload is what a gateway or a file gets of a message.
type payload struct {
	ID       string            `json:"id"`
	To       string            `json:"to"`
	Text     string            `json:"text"`
	Template string            `json:"template"`
	Params   map[string]string `json:"params"`
	Language string            `json:"language"`
}

func payloadOf(m idp.Message) string {
	return asJSON(payload{m.ID, m.To, m.Body, m.Template, m.Params, m.Language})
}

// Send hands a text message over; the receipt is the member "receipt" of the answer.
func (g *Gateway) Send(ctx context.Context, m idp.Message) (string, error) {
	body, at := payloadOf(m), fmt.Sprint(time.Now().Unix())
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("Authorization", "Bearer "+g.Bearer.Reveal())
	h.Set("X-Hufu-Timestamp", at)
	h.Set("X-Hufu-Signature", "sha256="+hex.EncodeToString(mac([]byte(g.Signing.Reveal()), at+"."+body)))
	status, answer, err := post(ctx, g.URL, body, h)
	if err != nil {
		return "", err
	}
	var said struct{ Receipt, Reason string }
	_ = json.Unmarshal(answer, &said) // an answer without words is one too
	if status >= 200 && status < 300 {
		return said.Receipt, nil
	}
	return "", gatewayTrouble(status, said.Reason)
}

// gatewayTrouble reads a refusal by its status, and what the gateway calls the reason.
func gatewayTrouble(status int, reason string) *Trouble {
	t := &Trouble{Words: Refused, Code: fmt.Sprint(status)}
	switch {
	case status == http.StatusTooManyRequests:
		t.Words = Flow
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		t.Words = Credentials
	case status == http.StatusPaymentRequired:
		t.Words = Account
	case status == http.StatusRequestTimeout, status >= 500:
	case status >= 400:
		t.Final = true
		if reason == Address || reason == Blocked || reason == Template {
			t.Words = reason
		}
	default:
		t.Words = Answer // also a redirect, which is not followed
	}
	return t
}
