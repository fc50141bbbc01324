package templates

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"time"
)

var letter = Letter{Name: "林薇", Login: "lin.wei", Operator: "示范收单", Host: "localhost", Code: "123456", Purpose: "purpose.signin",
	Minutes: 5, At: noon, Until: noon.Add(time.Hour), Client: "商户 App", Browser: "Edge · Windows", Place: "福建福州", Factor: "factor.totp", Link: "https://id.example/join?t=abc"}

var messages = []string{"code", "newbrowser", "factor.enrolled", "password.changed", "closed", "invite"}

func TestMessages(t *testing.T) {
	for _, l := range Languages() {
		for _, name := range messages {
			t.Run(l.Tag+"/"+name, func(t *testing.T) {
				subject, text, rich, err := Message(l.Tag, name, letter)
				if err != nil {
					t.Fatal(err)
				}
				sms, err := SMS(l.Tag, name, letter)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range []string{subject, text, rich, sms} {
					if part == "" || strings.Contains(part, "⟦") || strings.Contains(part, "%!") || strings.Contains(part, "<no value>") {
						t.Errorf("bad part: %s", part)
					}
					if name != "invite" && regexp.MustCompile(`https?://|href=`).MatchString(part) {
						t.Errorf("a link: %s", part)
					}
				}
				if strings.ContainsAny(subject, "\r\n") || strings.Contains(subject, letter.Code) {
					t.Errorf("subject %q", subject)
				}
				sameSentences(t, text, rich)
			})
		}
	}
}

// sameSentences: whoever reads the text part reads what the other part says.
func sameSentences(t *testing.T, text, rich string) {
	t.Helper()
	body := parse(t, rich)
	for _, name := range []string{"p", "dd"} {
		for _, n := range body.all(name) {
			if !strings.Contains(text, n.text()) {
				t.Errorf("the text part lacks %q:\n%s", n.text(), text)
			}
		}
	}
}

func TestCodeMessages(t *testing.T) {
	sms, err := SMS("zh-CN", "code", letter)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(sms, "\n\n@localhost #123456") { // the form that browsers read
		t.Errorf("text message ends otherwise:\n%s", sms)
	}
	for _, name := range messages[1:] {
		if _, text, rich, _ := Message("en", name, letter); strings.Contains(text+rich, letter.Code) {
			t.Errorf("%s tells the code", name)
		}
	}
}

func TestMessagesEscape(t *testing.T) {
	evil := letter
	evil.Name, evil.Browser, evil.Login = "<b>x</b>\r\nBcc: y", "<script>", "<i>"
	for _, name := range messages {
		subject, _, rich, err := Message("en", name, evil)
		if err != nil || strings.ContainsAny(subject, "\r\n") {
			t.Errorf("%s: %q, %v", name, subject, err)
		}
		if strings.Contains(rich, "<script>") || strings.Contains(rich, "<i>") || strings.Contains(rich, "<b>x") {
			t.Errorf("%s is not escaped:\n%s", name, rich)
		}
	}
}

func TestUnknownMessages(t *testing.T) {
	if _, _, _, err := Message("en", "no-such", letter); err == nil {
		t.Error("an unknown mail was written")
	}
	if _, err := SMS("en", "no-such", letter); err == nil {
		t.Error("an unknown text message was written")
	}
	if _, _, _, err := Message("en", "code", struct{}{}); err == nil {
		t.Error("a mail was written without its data")
	}
}

func TestEveryMessageIsTested(t *testing.T) {
	for _, pattern := range []string{"mail/*.txt", "mail/*.html", "sms/*.txt"} {
		names := glob(pattern)
		if len(names) != len(messages) {
			t.Errorf("%s: %d files, %d messages", pattern, len(names), len(messages))
		}
		for _, name := range names {
			if base := strings.TrimSuffix(path.Base(name), path.Ext(name)); !strings.Contains(strings.Join(messages, " "), base) {
				t.Errorf("%s is not tested", name)
			}
		}
	}
}
