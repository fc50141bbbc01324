package notify

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/idp"
)

// Tencent sends by Tencent Cloud's SMS: SendSms of 2021-01-11, signed with
// TC3-HMAC-SHA256.
type Tencent struct {
	KeyID     string
	Secret    idp.Secret
	AppID     string
	SignName  string
	Region    string
	Templates Templates
	URL       string // "": the provider's own
}

const tencentURL = "https://sms.tencentcloudapi.com/"

// tencentKinds: https://cloud.tencent.com/document/api/382/59177 and 52075
var tencentKinds = kinds{
	{"LimitExceeded.PhoneNumberCountLimit", Refused, true},
	{"LimitExceeded.PhoneNumber", Flow, false}, {"LimitExceeded.DeliveryFrequencyLimit", Flow, false},
	{"LimitExceeded", Account, false}, {"FailedOperation.InsufficientBalanceInSmsPackage", Account, false}, {"UnauthorizedOperation.ServiceSuspendDueToArrears", Account, false},
	{"FailedOperation.PhoneNumberInBlacklist", Blocked, true},
	{"InvalidParameterValue.IncorrectPhoneNumber", Address, true}, {"FailedOperation.PhoneNumberParseFail", Address, true}, {"UnsupportedOperation", Address, true},
	{"FailedOperation.ContainSensitiveWord", Template, true}, {"FailedOperation.SignatureIncorrectOrUnapproved", Template, true}, {"FailedOperation.TemplateIncorrectOrUnapproved", Template, true},
	{"FailedOperation.TemplateParamSetNotMatchApprovedTemplate", Template, true}, {"FailedOperation.TemplateUnapprovedOrNotExist", Template, true}, {"InvalidParameterValue", Template, true},
	{"MissingParameter", Template, true}, {"AuthFailure", Credentials, false}, {"UnauthorizedOperation", Credentials, false},
}

// Send hands a text message over; the receipt is the SerialNo.
func (t *Tencent) Send(ctx context.Context, m idp.Message) (string, error) {
	template, values, err := t.Templates.of(m)
	if err != nil {
		return "", err
	}
	body := asJSON(map[string]any{"PhoneNumberSet": []string{m.To}, "SmsSdkAppId": t.AppID, "SignName": t.SignName, "TemplateId": template.ID, "TemplateParamSet": values, "SessionContext": m.ID})
	address := t.URL
	if address == "" {
		address = tencentURL
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", Permanent(nil, Refused)
	}
	u.Path = "/"
	_, answer, err := post(ctx, u.String(), body, t.header(u.Host, body, time.Now()))
	if err != nil {
		return "", err
	}
	return tencentAnswer(answer)
}

func tencentAnswer(body []byte) (string, error) {
	var answer struct {
		Response struct {
			Error         *struct{ Code string }
			SendStatusSet []struct{ Code, SerialNo string }
		}
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", Passing(nil, Answer)
	}
	if e := answer.Response.Error; e != nil {
		return "", tencentKinds.trouble(e.Code)
	}
	if len(answer.Response.SendStatusSet) != 1 {
		return "", Passing(nil, Answer)
	}
	status := answer.Response.SendStatusSet[0]
	if status.Code != "Ok" {
		return "", tencentKinds.trouble(status.Code)
	}
	return status.SerialNo, nil
}

func (t *Tencent) header(host, body string, now time.Time) http.Header {
	h := http.Header{}
	h.Set("Content-Type", tencentType)
	h.Set("X-TC-Action", "SendSms")
	h.Set("X-TC-Version", "2021-01-11")
	h.Set("X-TC-Region", t.Region)
	h.Set("X-TC-Timestamp", fmt.Sprint(now.Unix()))
	h.Set("Authorization", tc3(t.KeyID, t.Secret, "sms", host, "SendSms", body, now))
	return h
}

const tencentType = "application/json; charset=utf-8"

// tc3 is the header Authorization of a POST to /: https://cloud.tencent.com/document/api/382/52072
func tc3(id string, secret idp.Secret, service, host, action, body string, now time.Time) string {
	const signed = "content-type;host;x-tc-action"
	headers := "content-type:" + tencentType + "\nhost:" + host + "\nx-tc-action:" + strings.ToLower(action) + "\n"
	canonical := strings.Join([]string{"POST", "/", "", headers, signed, sum(body)}, "\n")
	day := now.UTC().Format("2006-01-02")
	scope := day + "/" + service + "/tc3_request"
	text := strings.Join([]string{"TC3-HMAC-SHA256", fmt.Sprint(now.Unix()), scope, sum(canonical)}, "\n")
	key := mac(mac(mac([]byte("TC3"+secret.Reveal()), day), service), "tc3_request")
	return "TC3-HMAC-SHA256 Credential=" + id + "/" + scope + ", SignedHeaders=" + signed + ", Signature=" + hex.EncodeToString(mac(key, text))
}
