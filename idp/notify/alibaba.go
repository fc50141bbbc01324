package notify

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/idp"
)

// Alibaba sends by Alibaba Cloud's Short Message Service: SendSms of 2017-05-25, signed
// with ACS3-HMAC-SHA256.
type Alibaba struct {
	KeyID     string
	Secret    idp.Secret
	SignName  string
	Templates Templates
	URL       string // "": the provider's own
}

const alibabaURL = "https://dysmsapi.aliyuncs.com/"

// alibabaKinds: https://help.aliyun.com/zh/sms/developer-reference/api-error-codes
var alibabaKinds = kinds{
	{"isv.BUSINESS_LIMIT_CONTROL", Flow, false},
	{"isv.DAY_LIMIT_CONTROL", Account, false}, {"isv.MONTH_LIMIT_CONTROL", Account, false}, {"isv.OUT_OF_SERVICE", Account, false}, {"isv.AMOUNT_NOT_ENOUGH", Account, false},
	{"isv.ACCOUNT_", Account, false}, {"isv.PRODUCT_UN", Account, false},
	{"isv.MOBILE_", Address, true}, {"isv.DOMESTIC_NUMBER_NOT_SUPPORTED", Address, true}, {"isv.BLACK_KEY_CONTROL_LIMIT", Refused, true},
	{"isv.SMS_", Template, true}, {"isv.SIGN_", Template, true}, {"isv.TEMPLATE_", Template, true}, {"isv.INVALID_", Template, true}, {"isv.PARAM_", Template, true},
	{"isp.RAM_PERMISSION_DENY", Credentials, false}, {"InvalidAccessKeyId", Credentials, false}, {"SignatureDoesNotMatch", Credentials, false}, {"SignatureNonceUsed", Answer, false},
	{"IncompleteSignature", Credentials, false}, {"Forbidden", Credentials, false}, {"NoPermission", Credentials, false}, {"InvalidTimeStamp", Credentials, false},
}

// Send hands a text message over; the receipt is the BizId.
func (a *Alibaba) Send(ctx context.Context, m idp.Message) (string, error) {
	t, values, err := a.Templates.of(m)
	if err != nil {
		return "", err
	}
	fill := map[string]string{}
	for i, name := range t.Params {
		fill[name] = values[i]
	}
	query := map[string]string{"PhoneNumbers": strings.TrimPrefix(m.To, "+"), "SignName": a.SignName, "TemplateCode": t.ID, "TemplateParam": asJSON(fill), "OutId": m.ID}
	address, header, err := a.request(query, time.Now())
	if err != nil {
		return "", err
	}
	_, body, err := post(ctx, address, "", header)
	if err != nil {
		return "", err
	}
	var answer struct{ Code, BizId string }
	if json.Unmarshal(body, &answer) != nil || answer.Code == "" {
		return "", Passing(nil, Answer)
	}
	if answer.Code != "OK" {
		return "", alibabaKinds.trouble(answer.Code)
	}
	return answer.BizId, nil
}

// request signs a call. Its parameters stand in the query, as the interface has it.
func (a *Alibaba) request(query map[string]string, now time.Time) (address string, h http.Header, err error) {
	address = a.URL
	if address == "" {
		address = alibabaURL
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, Permanent(nil, Refused)
	}
	u.Path, u.RawQuery = "/", alibabaQuery(query)
	values := map[string]string{"host": u.Host, "x-acs-action": "SendSms", "x-acs-version": "2017-05-25", "x-acs-date": now.UTC().Format("2006-01-02T15:04:05Z"),
		"x-acs-signature-nonce": idp.NewID(), "x-acs-content-sha256": sum("")}
	h = http.Header{}
	for name, value := range values {
		if name != "host" {
			h.Set(name, value)
		}
	}
	h.Set("Authorization", acs3(a.KeyID, a.Secret, u.RawQuery, values))
	return u.String(), h, nil
}

// acs3 is the header Authorization of a POST to / without a body:
// https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
func acs3(id string, secret idp.Secret, query string, values map[string]string) string {
	names := slices.Sorted(maps.Keys(values))
	var headers strings.Builder
	for _, name := range names {
		headers.WriteString(name + ":" + values[name] + "\n")
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{"POST", "/", query, headers.String(), signed, values["x-acs-content-sha256"]}, "\n")
	signature := hex.EncodeToString(mac([]byte(secret.Reveal()), "ACS3-HMAC-SHA256\n"+sum(canonical)))
	return "ACS3-HMAC-SHA256 Credential=" + id + ",SignedHeaders=" + signed + ",Signature=" + signature
}

// alibabaQuery writes parameters in the order of their names, percent-encoded as in RFC 3986.
func alibabaQuery(query map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		parts = append(parts, rfc3986(name)+"="+rfc3986(query[name]))
	}
	return strings.Join(parts, "&")
}

func rfc3986(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
