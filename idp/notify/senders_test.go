package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

var sms = idp.Message{ID: "m1", UserID: "u1", Channel: idp.ChannelSMS, To: "+8613800000001", Template: "code", Language: "zh-CN", Body: "验证码 123456",
	Params: map[string]string{"code": "123456", "minutes": "5"}, CreatedAt: time.Now()}

var approved = Templates{{"code", "zh-CN"}: {"SMS_1", []string{"code", "minutes"}}}

// A gateway answers with a status and a body, and keeps what it was asked.
type gateway struct {
	*httptest.Server
	status  int
	answer  string
	request *http.Request
	body    string
}

func newGateway(t *testing.T, status int, answer string) *gateway {
	g := &gateway{status: status, answer: answer}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.request, g.body = r, string(body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(g.status)
		_, _ = io.WriteString(w, g.answer)
	}))
	t.Cleanup(g.Close)
	return g
}

// hash and sign are written a second time here, so that the senders are not held
// against themselves.
func hash(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func sign(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(h, text)
	return string(h.Sum(nil))
}

// The example of the provider's documentation.
func TestAlibabaVector(t *testing.T) {
	got := acs3("YourAccessKeyId", "YourAccessKeySecret", alibabaQuery(map[string]string{"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}),
		map[string]string{"host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26", "x-acs-date": "2023-10-26T10:22:32Z",
			"x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d", "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
	want := "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The example of the provider's documentation, with the header x-tc-action signed.
func TestTencentVector(t *testing.T) {
	got := tc3("AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******", "Gu5t9xGARNpq86cd98joQYCN3*******", "cvm", "cvm.tencentcloudapi.com", "DescribeInstances",
		`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`, time.Unix(1551113065, 0))
	want := "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature=be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAlibaba(t *testing.T) {
	g := newGateway(t, 200, `{"Code":"OK","Message":"OK","BizId":"9006197469364984400^0","RequestId":"x"}`)
	a := &Alibaba{KeyID: "id", Secret: "secret", SignName: "虎符 测试", Templates: approved, URL: g.URL}
	receipt, err := a.Send(t.Context(), sms)
	if err != nil || receipt != "9006197469364984400^0" {
		t.Fatalf("%q, %v", receipt, err)
	}
	q, h := g.request.URL.Query(), g.request.Header
	want := url.Values{"PhoneNumbers": {"8613800000001"}, "SignName": {"虎符 测试"}, "TemplateCode": {"SMS_1"}, "TemplateParam": {`{"code":"123456","minutes":"5"}`}, "OutId": {"m1"}}
	if q.Encode() != want.Encode() || g.request.Method != "POST" || g.request.URL.Path != "/" {
		t.Errorf("asked %s", g.request.URL)
	}
	if at, err := time.Parse(time.RFC3339, h.Get("X-Acs-Date")); err != nil || time.Since(at) > time.Minute || h.Get("X-Acs-Action") != "SendSms" || h.Get("X-Acs-Version") != "2017-05-25" {
		t.Errorf("headers %v", h)
	}
	canonical := "POST\n/\n" + g.request.URL.RawQuery + "\nhost:" + g.request.Host + "\nx-acs-action:SendSms\nx-acs-content-sha256:" + hash("") + "\nx-acs-date:" + h.Get("X-Acs-Date") +
		"\nx-acs-signature-nonce:" + h.Get("X-Acs-Signature-Nonce") + "\nx-acs-version:2017-05-25\n\nhost;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version\n" + hash("")
	if signature := fmt.Sprintf("%x", sign("secret", "ACS3-HMAC-SHA256\n"+hash(canonical))); !strings.HasSuffix(h.Get("Authorization"), "Signature="+signature) {
		t.Errorf("authorization %s, signature %s", h.Get("Authorization"), signature)
	}
}

func TestTencent(t *testing.T) {
	g := newGateway(t, 200, `{"Response":{"SendStatusSet":[{"SerialNo":"5000:1045710669157053657849499619","PhoneNumber":"+8613800000001","Fee":1,"Code":"Ok","Message":"send success"}],"RequestId":"x"}}`)
	s := &Tencent{KeyID: "id", Secret: "secret", AppID: "1400006666", SignName: "虎符", Region: "ap-guangzhou", Templates: approved, URL: g.URL}
	receipt, err := s.Send(t.Context(), sms)
	if err != nil || receipt != "5000:1045710669157053657849499619" {
		t.Fatalf("%q, %v", receipt, err)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(g.body), &body); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(body) != fmt.Sprint(map[string]any{"PhoneNumberSet": []any{"+8613800000001"}, "SmsSdkAppId": "1400006666", "SignName": "虎符", "TemplateId": "SMS_1", "TemplateParamSet": []any{"123456", "5"}, "SessionContext": "m1"}) {
		t.Errorf("body %v", body)
	}
	h := g.request.Header
	var unix int64
	_, _ = fmt.Sscan(h.Get("X-Tc-Timestamp"), &unix)
	if time.Since(time.Unix(unix, 0)) > time.Minute || h.Get("X-Tc-Version") != "2021-01-11" || h.Get("X-Tc-Region") != "ap-guangzhou" {
		t.Errorf("headers %v", h)
	}
	day := time.Unix(unix, 0).UTC().Format("2006-01-02")
	canonical := "POST\n/\n\ncontent-type:application/json; charset=utf-8\nhost:" + g.request.Host + "\nx-tc-action:sendsms\n\ncontent-type;host;x-tc-action\n" + hash(g.body)
	text := fmt.Sprintf("TC3-HMAC-SHA256\n%d\n%s/sms/tc3_request\n%s", unix, day, hash(canonical))
	signature := hex.EncodeToString([]byte(sign(sign(sign(sign("TC3secret", day), "sms"), "tc3_request"), text)))
	if !strings.HasSuffix(h.Get("Authorization"), "Signature="+signature) {
		t.Errorf("authorization %s", h.Get("Authorization"))
	}
}

func TestGateway(t *testing.T) {
	g := newGateway(t, 202, `{"receipt":"r-1"}`)
	s := &Gateway{URL: g.URL + "/send", Bearer: "bearer", Signing: "signing"}
	receipt, err := s.Send(t.Context(), sms)
	if err != nil || receipt != "r-1" {
		t.Fatalf("%q, %v", receipt, err)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(g.body), &body); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(body) != fmt.Sprint(map[string]any{"id": "m1", "to": sms.To, "text": sms.Body, "template": "code", "language": "zh-CN", "params": map[string]any{"code": "123456", "minutes": "5"}}) {
		t.Errorf("body %v", body)
	}
	h := g.request.Header
	if want := "sha256=" + hex.EncodeToString([]byte(sign("signing", h.Get("X-Hufu-Timestamp")+"."+g.body))); h.Get("X-Hufu-Signature") != want || h.Get("Authorization") != "Bearer bearer" {
		t.Errorf("headers %v", h)
	}
}

func TestRefusals(t *testing.T) {
	tencent := func(code string) string {
		return `{"Response":{"SendStatusSet":[{"SerialNo":"","Code":"` + code + `","Message":"+8613800000001"}]}}`
	}
	for _, c := range []struct {
		sender, answer string
		status         int
		words          string
		final          bool
	}{
		{"alibaba", `{"Code":"isv.BUSINESS_LIMIT_CONTROL","Message":"触发分钟级流控Permits:1"}`, 200, "flow isv.BUSINESS_LIMIT_CONTROL", false},
		{"alibaba", `{"Code":"isv.MOBILE_NUMBER_ILLEGAL"}`, 200, "address isv.MOBILE_NUMBER_ILLEGAL", true},
		{"alibaba", `{"Code":"isv.SMS_TEMPLATE_ILLEGAL"}`, 200, "template isv.SMS_TEMPLATE_ILLEGAL", true},
		{"alibaba", `{"Code":"isv.OUT_OF_SERVICE"}`, 200, "account isv.OUT_OF_SERVICE", false},
		{"alibaba", `{"Code":"SignatureDoesNotMatch"}`, 400, "credentials SignatureDoesNotMatch", false},
		{"alibaba", `{"Code":"Throttling.User"}`, 400, "refused Throttling.User", false},
		{"alibaba", `{"Code":"8613800000001"}`, 400, "refused", false},
		{"alibaba", `<html>`, 502, "answer", false},
		{"alibaba", strings.Repeat("x", answerMost+1), 200, "answer", false},
		{"tencent", tencent("LimitExceeded.PhoneNumberThirtySecondLimit"), 200, "flow LimitExceeded.PhoneNumberThirtySecondLimit", false},
		{"tencent", tencent("LimitExceeded.AppDailyLimit"), 200, "account LimitExceeded.AppDailyLimit", false},
		{"tencent", tencent("FailedOperation.PhoneNumberInBlacklist"), 200, "blocked FailedOperation.PhoneNumberInBlacklist", true},
		{"tencent", tencent("InvalidParameterValue.IncorrectPhoneNumber"), 200, "address InvalidParameterValue.IncorrectPhoneNumber", true},
		{"tencent", tencent("FailedOperation.TemplateIncorrectOrUnapproved"), 200, "template FailedOperation.TemplateIncorrectOrUnapproved", true},
		{"tencent", `{"Response":{"Error":{"Code":"AuthFailure.SignatureFailure","Message":"x"}}}`, 200, "credentials AuthFailure.SignatureFailure", false},
		{"tencent", `{"Response":{}}`, 200, "answer", false},
		{"https", ``, 429, "flow 429", false}, {"https", ``, 500, "refused 500", false}, {"https", ``, 401, "credentials 401", false}, {"https", `no json`, 400, "refused 400", true},
		{"https", `{"reason":"address"}`, 422, "address 422", true}, {"https", `{"reason":"+8613800000001"}`, 422, "refused 422", true}, {"https", ``, 302, "answer 302", false},
	} {
		g := newGateway(t, c.status, c.answer)
		senders := map[string]Sender{"alibaba": &Alibaba{Templates: approved, URL: g.URL}, "tencent": &Tencent{Templates: approved, URL: g.URL}, "https": &Gateway{URL: g.URL}}
		_, err := senders[c.sender].Send(t.Context(), sms)
		got, ok := errors.AsType[*Trouble](err)
		if !ok || got.Error() != c.words || got.Final != c.final {
			t.Errorf("%s %.60s: %v final %v, want %s %v", c.sender, c.answer, err, ok && got.Final, c.words, c.final)
		}
		if g.request.URL.Path == "/elsewhere" {
			t.Errorf("%s followed a redirect", c.sender)
		}
	}
}

func TestUnknownTemplate(t *testing.T) {
	m := sms
	m.Language = "en"
	for _, s := range []Sender{&Alibaba{Templates: approved, URL: "http://127.0.0.1:1"}, &Tencent{Templates: approved, URL: "http://127.0.0.1:1"}} {
		if _, err := s.Send(t.Context(), m); err == nil || err.Error() != Template || !trouble(err).Final {
			t.Errorf("%T: %v", s, err)
		}
	}
}

// Whoever hangs or is not there is tried again, and the error names no URL.
func TestTransport(t *testing.T) {
	stop := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer hang.Close()
	defer close(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for address, words := range map[string]string{hang.URL: Timeout, "http://127.0.0.1:1": Unreachable} {
		for _, s := range []Sender{&Alibaba{Templates: approved, URL: address}, &Tencent{Templates: approved, URL: address}, &Gateway{URL: address}} {
			_, err := s.Send(ctx, sms)
			if words == Unreachable {
				_, err = s.Send(t.Context(), sms)
			}
			got := trouble(err)
			if got.Words != words || got.Final || strings.Contains(fmt.Sprint(got.Err), "13800000001") {
				t.Errorf("%T: %v, %v", s, got, got.Err)
			}
		}
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sms.jsonl")
	for range 2 {
		if _, err := (&File{name}).Send(t.Context(), sms); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	info, serr := os.Stat(name)
	if err != nil || serr != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(err, serr, info.Mode())
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var got payload
	if len(lines) != 2 || json.Unmarshal([]byte(lines[1]), &got) != nil || got.Text != sms.Body {
		t.Errorf("lines %q", lines)
	}
	if _, err := (&File{filepath.Join(name, "x")}).Send(t.Context(), sms); trouble(err).Words != Unreachable {
		t.Error(err)
	}
}

func TestReadTemplates(t *testing.T) {
	name := filepath.Join(t.TempDir(), "templates")
	for text, want := range map[string]string{
		"# ours\n\ncode zh-CN SMS_1 code minutes # five\nfrozen en 42\n": "",
		"code zh-CN":                        "expected NAME LANGUAGE ID",
		"coed zh-CN SMS_1":                  "no message of ours",
		"code fr SMS_1":                     "language is",
		"code en SMS_1 pin":                 "no parameter",
		"code en SMS_1\ncode en SMS_2 code": "line 2: code en stands there twice",
		"# nothing":                         "names no template",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadTemplates(name)
		if want == "" {
			if err != nil || fmt.Sprint(got[[2]string{"code", "zh-CN"}]) != "{SMS_1 [code minutes]}" || slices.Contains(got.Missing(), "code zh-CN") || !slices.Contains(got.Missing(), "code en") {
				t.Errorf("%v, %v", got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := ReadTemplates(name + "x"); err == nil {
		t.Error("a file that is missing is read")
	}
}

func TestCheckURL(t *testing.T) {
	for address, ok := range map[string]bool{"https://sms.example.com/send": true, "http://localhost:1": true, "http://127.0.0.1/x": true, "http://[::1]:2": true,
		"http://sms.example.com": false, "http://localhost.example.com": false, "sms.example.com": false, "": false, "https://u:p@sms.example.com": false, "ftp://localhost": false, "http://0.0.0.0": false} {
		if err := CheckURL(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}
