package templates

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var letter = Letter{Name: "林薇", Login: "lin.wei", Operator: "示范收单", Host: "localhost", Code: "123456", Purpose: "purpose.signin",
	Minutes: 5, At: time.Now(), Until: noon.Add(time.Hour), Client: "商户 App", Browser: "Edge · Windows", Place: "112.5.6.0/24", Factor: "factor.totp", Explain: "482-913-0576", Whose: "王强",
	Link: "https://id.example/join?t=abc", Stop: "https://id.example.com/stop?t=" + strings.Repeat("s", 43),
	Items: []string{"digest.codes", "digest.phone", "digest.password"}, ItemArgs: [][]any{{2}, {"138****0001", 61}, {7}}}

// notices are the messages that share one template.
var notices = []string{"recovery.started", "recovery.reminded", "recovery.moved", "recovery.soon", "recovery.due", "recovery.completed", "recovery.case", "recovery.other", "recovery.other_due", "recovery.other_case", "recovery.other_done", "recovery.void", "recovery.other_void", "username.told", "username.asked",
	"newbrowser", "newplace", "factor.enrolled", "factor.removed", "clone", "password.changed", "closed", "copied", "codes.issued", "codes.used",
	"channel.added", "channel.removed", "channel.undone", "channel.disputed", "username.changed", "browser.trusted", "frozen", "unfrozen", "locked", "unlocked", "case.opened", "suspected", "staff.role", "staff.left", "staff.leaving", "staff.staying", "account.left", "staff.helped", "owner.proposed", "owner.accepted", "owner.soon", "owner.stopped", "owner.done", "operator.role", "operator.left", "terminal.lost", "terminal.rekeyed", "policy.emergency", "case.recovery", "case.handover", "case.approved", "case.answer", "account.viewed", "merchant.viewed", "documents", "staff.recovery"}

var messages = slices.Concat([]string{"code", "invite", "digest", "case.link"}, notices)

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
					if name == "code" && regexp.MustCompile(`https?://|href=`).MatchString(part) {
						t.Errorf("a link: %s", part)
					}
				}
				if strings.ContainsAny(subject, "\r\n") || strings.Contains(subject, letter.Code) {
					t.Errorf("subject %q", subject)
				}
				if strings.Contains(sms, letter.Name) || strings.Contains(sms, letter.Whose) { // a number and a name are never together
					t.Errorf("a name in a text message: %s", sms)
				}
				sameSentences(t, text, rich)
			})
		}
	}
}

// A notice says what happened, when, where and on what, and carries the link that freezes. As a text message it takes
// two parts at most: 67 characters each, as soon as one of them is Chinese.
func TestNotices(t *testing.T) {
	for _, l := range Languages() {
		f := Frame{Lang: l.Tag}.filled()
		for _, name := range notices {
			_, text, rich, err := Message(l.Tag, name, letter)
			if err != nil {
				t.Fatal(err)
			}
			sms, err := SMS(l.Tag, name, letter)
			if err != nil {
				t.Fatal(err)
			}
			for _, says := range []string{f.T("mail."+name+".lead", letterPage{f, letter, name}.of()...), f.Moment(letter.At), letter.Browser, f.Place(letter.Place), letter.Explain} {
				if !strings.Contains(text, says) || !strings.Contains(rich, says) {
					t.Errorf("%s/%s lacks %q:\n%s", l.Tag, name, says, text)
				}
			}
			for _, part := range []string{text, rich, sms} {
				if stops := strings.Contains(part, letter.Stop); stops == unstopped[name] {
					t.Errorf("%s/%s: link that stops: %t:\n%s", l.Tag, name, stops, part)
				}
			}
			if n := len([]rune(sms)); l.Tag == "zh-CN" && n > 2*67 {
				t.Errorf("%s/%s: %d characters:\n%s", l.Tag, name, n, sms)
			}
		}
	}
}

func TestNoticesTellWhatChanged(t *testing.T) {
	changed := letter
	changed.Old, changed.New, changed.Undo = "138****0001", "139****0002", "https://id.example.com/undo?t=abc"
	cased := letter
	cased.CaseNumber = "482-913-0576"
	used := letter // by strangers
	used.Factor, used.Ways = "factor.backup", []string{"open.passkey", "open.totp"}
	hard := used
	hard.Until = time.Time{}
	word, until := T("en", "closed.factor.backup"), Frame{Lang: "en"}.filled().Moment(letter.Until)
	back := letter // recovered at once, with a terminal: money is withheld, too
	back.Withheld = "w2"
	typed := letter
	typed.Login = "13800010001"
	if p := typed.Params(); p["login"] != "138****0001" {
		t.Errorf("a provider gets the login name %q", p["login"])
	}
	for _, c := range []struct {
		name   string
		letter Letter
		mail   []string
		sms    []string
		never  string
	}{
		{"channel.removed", changed, []string{changed.Old, changed.New, changed.Undo, changed.Stop, T("en", "mail.undo")}, []string{changed.New, changed.Undo, changed.Stop}, "⟦"},
		{"codes.used", letter, []string{T("en", "mail.left") + ": 0"}, []string{T("en", "sms.left", 0)}, "⟦"},
		{"newbrowser", letter, []string{T("en", "mail.me")}, nil, T("en", "mail.left")},
		{"closed", used, []string{T("en", "mail.closed.lead_all", word), T("en", "mail.closed.until"), T("en", "mail.ways") + ": " + T("en", "open.passkey") + ", " + T("en", "open.totp"), T("en", "mail.closed.do")},
			[]string{T("en", "sms.closed", word)}, T("en", "mail.me")},
		{"closed", hard, []string{T("en", "mail.closed.lead", word), T("en", "mail.closed.do_hard")}, nil, T("en", "mail.closed.until")},
		{"frozen", cased, []string{cased.CaseNumber, T("en", "mail.frozen.until")}, []string{cased.CaseNumber}, T("en", "mail.stop")},
		{"case.opened", cased, []string{cased.CaseNumber, T("en", "mail.case.opened.do")}, []string{cased.CaseNumber}, T("en", "mail.stop")},
		{"digest", letter, []string{T("en", "digest.codes", 2), T("en", "digest.phone", "138****0001", 61), T("en", "digest.password", 7)}, []string{T("en", "digest.codes", 2)}, "https://"},
		{"recovery.started", letter, []string{"The wait ends: " + until}, []string{"(until " + until + ")"}, "⟦"},
		{"recovery.soon", letter, []string{"Possible from: " + until}, []string{"(from " + until + " on)"}, "The wait ends"},
		{"recovery.due", letter, []string{"Finish before: " + until}, []string{"(finish before " + until + ")"}, "The wait ended"},
		{"recovery.other", letter, []string{"the account of 王强", "Whose account: 王强", "The wait ends: " + until}, []string{"a colleague’s account is being recovered (until " + until + ")"}, "another owner"},
		{"recovery.other_due", letter, []string{"the account of 王强", "finished before: " + until}, []string{"a colleague’s account can be recovered now (finish before " + until + ")"}, "The wait ends"},
		{"recovery.other_case", cased, []string{"the account of 王强", "Answer by: " + until}, []string{"a colleague’s account", cased.CaseNumber}, "The wait ends"},
		{"case.link", letter, []string{T("en", "mail.case.link.once", until)}, []string{"works once until " + until}, "24 hours"},
		{"recovery.completed", letter, []string{"Until then the settlement account, phones, e-mails and ways to sign in stay as they are: " + until}, nil, "refunds"},
		{"recovery.completed", back, []string{"Until then there are no refunds and no changes of settlement or sign-in; taking payments goes on: " + until}, nil, "stay as they are"},
		{"newbrowser", typed, []string{"138****0001"}, nil, "13800010001"},
	} {
		_, text, rich, err := Message("en", c.name, c.letter)
		if err != nil {
			t.Fatal(err)
		}
		sms, err := SMS("en", c.name, c.letter)
		if err != nil {
			t.Fatal(err)
		}
		for _, says := range c.mail {
			if !strings.Contains(text, says) {
				t.Errorf("%s lacks %q:\n%s", c.name, says, text)
			}
		}
		for _, says := range c.sms {
			if !strings.Contains(sms, says) {
				t.Errorf("%s lacks %q: %s", c.name, says, sms)
			}
		}
		if strings.Contains(text+rich, c.never) {
			t.Errorf("%s says %q:\n%s", c.name, c.never, text)
		}
	}
}

// A digest names a notice that was left out by its first line.
func TestSubjectAlone(t *testing.T) {
	if got := (Letter{Factor: "factor.totp"}).Subject("zh-CN", "closed"); got != "有人多次输错您的动态码" {
		t.Error(got)
	}
	if got := (Letter{}).Subject("en", "newbrowser"); got != T("en", "mail.newbrowser.subject") {
		t.Error(got)
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
	for _, name := range []string{"no-such", "notice", ""} {
		if _, _, _, err := Message("en", name, letter); err == nil {
			t.Errorf("mail %q was written", name)
		}
		if _, err := SMS("en", name, letter); err == nil {
			t.Errorf("text message %q was written", name)
		}
	}
}

// A message that the catalogue knows is in the list above, and the list has no file but of a message.
func TestEveryMessageIsTested(t *testing.T) {
	for key := range catalogue(t, Languages()[0].Tag) {
		if name, ok := strings.CutSuffix(key, ".subject"); ok && !slices.Contains(messages, strings.TrimPrefix(name, "mail.")) {
			t.Errorf("%s is not tested", name)
		}
	}
	for _, pattern := range []string{"mail/*.txt", "mail/*.html", "sms/*.txt"} {
		for _, name := range glob(pattern) {
			if base := strings.TrimSuffix(path.Base(name), path.Ext(name)); base != notice && !slices.Contains(messages, base) {
				t.Errorf("%s is not tested", name)
			}
		}
	}
}
