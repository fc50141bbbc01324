package templates

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/net/html"
)

func frame(lang string) Frame {
	return Frame{Lang: lang, Path: "/flows/f1/password?x=1&y=2", Operator: "示范收单", Issuer: "http://localhost:8080", Demo: true, Now: noon}
}

func draw(t *testing.T, f Frame, c Content) string {
	t.Helper()
	var out bytes.Buffer
	if err := Render(&out, f, c); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// every runs a check on every page in every language, for a stranger and for somebody signed in.
func every(t *testing.T, check func(t *testing.T, lang string, s sample, text string)) {
	for _, l := range Languages() {
		for _, viewer := range []*Viewer{nil, {Name: "林薇", Face: "林", Login: "lin.wei", RoleKey: "role.owner"}} {
			for _, s := range samples() {
				t.Run(fmt.Sprintf("%s/%s/%t", l.Tag, s.Name, viewer != nil), func(t *testing.T) {
					f := frame(l.Tag)
					f.Viewer = viewer
					check(t, l.Tag, s, draw(t, f, s.Content))
				})
			}
		}
	}
}

func TestEveryPageHasASampleAndEverySampleAPage(t *testing.T) {
	sampled := map[string]bool{"parts": true}
	for _, s := range samples() {
		sampled[s.Content.Page()] = true
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	onDisk := map[string]bool{"parts": true}
	for _, name := range names {
		name = strings.TrimSuffix(path.Base(name), ".html")
		onDisk[name] = true
		if !sampled[name] {
			t.Errorf("page %s has no sample", name)
		}
	}
	for name := range sampled {
		if !onDisk[name] {
			t.Errorf("sample %s has no page", name)
		}
	}
}

func TestNoMissingWords(t *testing.T) {
	every(t, func(t *testing.T, _ string, _ sample, text string) {
		for _, trouble := range []string{"⟦", "%!", "<no value>", "ZgotmplZ", "&lt;b&gt;%", "&lt;code&gt;"} {
			if at := strings.Index(text, trouble); at >= 0 {
				t.Errorf("page holds %q: …%s…", trouble, text[max(0, at-60):min(len(text), at+60)])
			}
		}
	})
}

func TestPagesAreWellFormed(t *testing.T) {
	void := map[string]bool{"meta": true, "link": true, "input": true, "br": true, "hr": true, "img": true}
	every(t, func(t *testing.T, _ string, _ sample, text string) {
		var open []string
		for z := html.NewTokenizer(strings.NewReader(text)); ; {
			switch z.Next() {
			case html.ErrorToken:
				if len(open) > 0 {
					t.Errorf("not closed: %v", open)
				}
				return
			case html.StartTagToken:
				if name, _ := z.TagName(); !void[string(name)] {
					open = append(open, string(name))
				}
			case html.EndTagToken:
				name, _ := z.TagName()
				if len(open) == 0 || open[len(open)-1] != string(name) {
					t.Fatalf("</%s> closes %v", name, open)
				}
				open = open[:len(open)-1]
			}
		}
	})
}

func TestPagesCanBeReadByEveryone(t *testing.T) {
	every(t, func(t *testing.T, lang string, s sample, text string) {
		p := parse(t, text)
		if got := p.first("html").attr("lang"); got != lang {
			t.Errorf("lang = %q", got)
		}
		if n := len(p.all("h1")); n != 1 {
			t.Errorf("%d h1", n)
		}
		for _, landmark := range []string{"header", "main", "title"} {
			if len(p.all(landmark)) != 1 {
				t.Errorf("%d elements %s", len(p.all(landmark)), landmark)
			}
		}
		checkHeadings(t, p)
		checkIDs(t, p)
		checkControls(t, p)
		checkNames(t, p)
		checkInert(t, p)
		if errors := (page{Page: s.Content}).Errors(); len(errors) > 0 {
			checkRefused(t, lang, p, errors)
		}
	})
}

// checkHeadings: a heading never skips a level. The summary's own heading stands before the h1.
func checkHeadings(t *testing.T, p doc) {
	last := 1
	for _, n := range p.nodes {
		if len(n.Data) != 2 || n.Data[0] != 'h' || n.Data == "hr" {
			continue
		}
		level, err := strconv.Atoi(n.Data[1:])
		if err != nil {
			continue
		}
		if level > last+1 {
			t.Errorf("h%d %q after h%d", level, n.text(), last)
		}
		if n.text() == "" {
			t.Errorf("empty h%d", level)
		}
		last = level
	}
}

func checkIDs(t *testing.T, p doc) {
	ids := map[string]bool{}
	for _, n := range p.nodes {
		if id := n.attr("id"); id != "" {
			if ids[id] {
				t.Errorf("id %q twice", id)
			}
			ids[id] = true
		}
	}
	for _, n := range p.nodes {
		for _, key := range []string{"aria-describedby", "aria-labelledby", "aria-controls", "for", "popovertarget", "data-show", "data-copy"} {
			for _, id := range strings.Fields(n.attr(key)) {
				if !ids[id] {
					t.Errorf("<%s %s=%q> leads nowhere", n.Data, key, id)
				}
			}
		}
		if href := n.attr("href"); strings.HasPrefix(href, "#") && !ids[href[1:]] {
			t.Errorf("link %s leads nowhere", href)
		}
	}
}

var tokens = []string{"username", "username webauthn", "current-password", "new-password", "one-time-code", "tel", "email", "off"}

// checkControls: every field has a label and says how it may be filled; every form posts, unless it searches.
func checkControls(t *testing.T, p doc) {
	labelled := map[string]bool{}
	for _, n := range p.all("label") {
		labelled[n.attr("for")] = true
	}
	for _, n := range p.nodes {
		switch n.Data {
		case "form":
			if n.attr("method") != "post" && n.attr("method") != "get" && n.attr("role") != "search" {
				t.Errorf("form without method")
			}
			if n.attr("action") == "" {
				t.Errorf("form without action")
			}
		case "input", "select", "textarea":
			kind := n.attr("type")
			if kind == "hidden" {
				continue
			}
			if !labelled[n.attr("id")] && n.attr("aria-label") == "" && !n.within("label") {
				t.Errorf("input %q has no label", n.attr("name"))
			}
			typed := n.Data == "input" && kind != "checkbox" && kind != "radio" && kind != "file"
			if typed && !slices.Contains(tokens, n.attr("autocomplete")) {
				t.Errorf("input %q has autocomplete %q", n.attr("name"), n.attr("autocomplete"))
			}
			if kind == "password" && n.attr("value") != "" {
				t.Errorf("input %q gives a secret back", n.attr("name"))
			}
		case "button":
			if n.text() == "" || n.attr("type") == "" {
				t.Errorf("button %q: words %q, type %q", n.attr("name"), n.text(), n.attr("type"))
			}
		}
	}
}

// checkNames: landmarks of which there may be several have names, and so has what stands for itself.
func checkNames(t *testing.T, p doc) {
	for _, n := range p.nodes {
		named := n.attr("aria-label") != "" || n.attr("aria-labelledby") != ""
		switch {
		case slices.Contains([]string{"nav", "section", "article", "aside"}, n.Data) && !named:
			t.Errorf("<%s> has no name", n.Data)
		case n.attr("role") == "img" && !named:
			t.Errorf("picture without words")
		case n.Data == "svg" && n.attr("role") == "" && n.attr("aria-hidden") != "true":
			t.Errorf("svg is neither hidden nor named")
		case n.Data == "a" && n.text() == "":
			t.Errorf("link %q has no words", n.attr("href"))
		case n.Data == "a" && n.attr("href") == "":
			t.Errorf("link %q leads nowhere", n.text())
		case n.Data == "table" && len(n.all("caption")) != 1:
			t.Errorf("table has no caption")
		}
	}
}

// checkInert: nothing that a strict content security policy forbids.
func checkInert(t *testing.T, p doc) {
	for _, n := range p.nodes {
		if n.Data == "style" || n.Data == "script" && (n.attr("src") == "" || n.text() != "") {
			t.Errorf("inline %s", n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s %s>", n.Data, a.Key)
			}
			if strings.HasPrefix(strings.TrimSpace(strings.ToLower(a.Val)), "javascript:") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
}

func checkRefused(t *testing.T, lang string, p doc, errors []FieldError) {
	if prefix := T(lang, "title.error"); !strings.HasPrefix(p.first("title").text(), strings.TrimSpace(prefix)) {
		t.Errorf("title %q", p.first("title").text())
	}
	var summary, invalid bool
	for _, n := range p.nodes {
		summary = summary || n.attr("class") == "summary"
		invalid = invalid || n.attr("aria-invalid") == "true" && strings.Contains(n.attr("aria-describedby"), "-e")
	}
	if !summary {
		t.Error("no summary")
	}
	if wrong := slices.ContainsFunc(errors, func(e FieldError) bool { return e.Field != "" }); wrong != invalid {
		t.Errorf("a field says what is wrong: %t, one is: %t", invalid, wrong)
	}
}

func TestAutocompleteTokens(t *testing.T) {
	for _, c := range []struct {
		content     Content
		name, token string
	}{
		{Identify{Action: "/"}, "identifier", "username"},
		{Identify{Action: "/", Passkey: &Passkey{Options: "/", Action: "/"}}, "identifier", "username webauthn"},
		{NewContact{Action: "/", Kind: "phone"}, "contact", "tel"},
		{NewContact{Action: "/", Kind: "email"}, "contact", "email"},
		{NewUsername{Action: "/"}, "username", "username"},
		{Password{Action: "/", Login: "lin.wei"}, "password", "current-password"},
		{Password{Action: "/", Login: "lin.wei"}, "username", "username"},
		{TOTP{Action: "/"}, "code", "one-time-code"},
		{Code{Action: "/"}, "code", "one-time-code"},
		{EnrolTOTP{Action: "/", QR: qr}, "code", "one-time-code"},
		{DeviceCode{Action: "/"}, "user_code", "off"},
	} {
		p := parse(t, draw(t, frame("en"), c.content))
		i := slices.IndexFunc(p.nodes, func(n node) bool { return n.attr("name") == c.name })
		if i < 0 || p.nodes[i].attr("autocomplete") != c.token {
			t.Errorf("%s: no input %s with autocomplete %s", c.content.Page(), c.name, c.token)
		}
	}
}

// The field of a code refuses nothing that the server reads: digits of any script, with whatever blanks and dashes
// stand between them.
func TestCodeFieldTakesWhatTheServerReads(t *testing.T) {
	text := draw(t, frame("en"), TOTP{Action: "/flows/f1/totp", Login: "lin.wei"})
	field := regexp.MustCompile(`<input class="code-in"[^>]*>`).FindString(text)
	most := regexp.MustCompile(`maxlength="(\d+)"`).FindStringSubmatch(field)
	if strings.Contains(field, "pattern=") || most == nil {
		t.Fatalf("%q", field)
	}
	n, err := strconv.Atoi(most[1])
	if typed := utf16.Encode([]rune("𝟏 – 𝟐 – 𝟑\u3000–\u3000𝟒 – 𝟓 – 𝟔")); err != nil || len(typed) > n {
		t.Errorf("%d units, room for %d, %v", len(typed), n, err)
	}
}

func TestHostileValuesAreEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script><b onclick=x>'&`
	form := Form{Errors: []FieldError{{"identifier", "public.s2", []any{evil}}, {"", evil, nil}}, Explain: evil}
	f := Frame{Lang: "en", Path: "/x?" + evil, Operator: evil, Issuer: evil, RequestID: evil, Viewer: &Viewer{Name: evil, Login: evil}}
	script := "javascript:alert(1)"
	for _, c := range []Content{
		Identify{Form: form, Action: script, ClientName: evil, Identifier: evil},
		Password{Form: form, Action: script, Login: evil, Face: evil, RestartURL: script, Ways: []Way{{evil, evil, evil, script, ""}, {evil, evil, evil, script, evil}}},
		TOTP{Action: evil, Login: evil},
		Code{Action: evil, Where: evil, Channel: evil, ResendAction: script},
		EnrolTOTP{Action: evil, QR: qr, Secret: evil, Account: evil, Later: script},
		Consent{Action: evil, ClientName: evil, Login: evil, Scopes: []string{evil}},
		DeviceCode{Action: evil, UserCode: evil},
		DeviceApprove{Action: evil, UserCode: evil, ClientName: evil, MerchantName: evil, StoreName: evil, Model: evil, KindKey: evil,
			SerialTail: evil, Network: evil, Software: evil, Rekeyed: true, Scopes: []string{evil}, Numbers: []int{1}},
		DeviceDone{Outcome: evil, Terminal: evil},
		Expired{RestartURL: script, Explain: evil}, NotForYou{HomeURL: script, Login: evil}, SignOut{Action: script, ClientName: evil},
		Problem{Status: 500, RequestID: evil, WayURL: script, WayText: evil},
		Account{Name: evil, Login: evil, RoleKey: evil, Frozen: true, CaseNumber: evil, Checks: []Check{{TitleKey: evil, TextKey: evil, Args: []any{evil}, URL: script, DoKey: evil}},
			Events: []EventRow{{NameKey: evil, Place: evil, Device: evil, Detail: evil, Tone: evil}}, Saved: evil},
		AccountFactors{Signal: evil, PasswordURL: script, PasskeyURL: script, Passkeys: []FactorRow{{ID: evil, Label: evil, Model: evil, Icon: "data:image/png;base64," + evil,
			RenameAction: script, Remove: script}, {LabelKey: evil, Icon: script, Synced: true}}},
		AccountContacts{Username: evil, Former: []string{evil}, Phones: []ContactRow{{Masked: evil, Verified: true, ChangeURL: script, Remove: script, Old: evil, UndoAction: script, Change: evil}}},
		AccountDevices{Sessions: []SessionRow{{ID: evil, Where: evil, Device: evil}}, EndAction: script, Browsers: []BrowserRow{{ID: evil, Device: evil, Where: evil}}, RevokeAction: script},
		AccountApps{Apps: []AppRow{{ID: evil, Name: evil, Scopes: []string{evil}}}, Terminals: []ApprovedRow{{ID: evil, Model: evil, KindKey: evil, SerialTail: evil, StoreName: evil}}, EndAction: script},
		AccountActivity{Events: []EventRow{{ID: evil, NameKey: evil, Ask: true}}, Action: script, Older: script},
		AccountData{Action: script},
		Key{Form: form, Passkey: &Passkey{Options: evil, Action: script}}, Backup{Action: script, Work: &Work{Challenge: evil}},
		EnrolPasskey{Form: form, Action: script, Options: evil, Label: evil, Account: evil, Other: script, Later: script},
		RecoveryCodes{Action: script, Sheet: script, Slip: script, Kit: script, File: script, Codes: []string{evil}, Login: evil, Operator: evil, IssuerHost: evil},
		KitPaper{Back: script, Host: evil, Login: evil, MerchantNo: evil, MerchantName: evil, Terminals: []KitTerminal{{evil, evil, evil}}, Codes: []string{evil}},
		KitPaper{Slip: true, Back: script, Host: evil, Login: evil, MerchantNo: evil, MerchantName: evil, Terminals: []KitTerminal{{evil, evil, evil}}, Codes: []string{evil}},
		KitFile{Action: script, Back: script, Address: evil}, KitOpen{Action: script}, KitContents{KitPaper{Host: evil, Login: evil, MerchantName: evil}},
		NewContact{Action: script, Kind: evil, Old: evil, Value: evil, Back: script}, NewUsername{Action: script, Old: evil, Value: evil, Back: script},
		Freeze{Action: script, Token: evil, Event: evil, EventKey: evil, Place: evil, Back: script}, Frozen{CaseNumber: evil},
		Undo{Action: script, Token: evil, Kind: evil, Old: evil, New: evil}, Undone{Kind: evil, Old: evil},
		Confirm{TitleKey: evil, TextKey: evil, ButtonKey: evil, Args: []any{evil}, Action: script, Hidden: map[string]string{evil: evil}, Back: script},
		PolicyEdition{Title: evil, State: evil, Pills: []string{evil}, Notes: []Note{{Text: evil}}, Acts: []ActLink{{evil, script, true}}, Diff: PolicyDiff{Title: evil, Sides: evil, Note: evil, Rows: []PolicyChange{{evil, evil, evil, evil, evil, evil}}}, Document: evil},
		PolicyEffective{Title: evil, Action: script, Blocks: []Table{{Caption: evil, Columns: []string{evil}, Rows: [][]Cell{{{Text: evil, URL: script}}}}}},
		PolicySimulation{Title: evil, Words: evil, Stop: script, Says: evil, Bars: []PolicyBar{{evil, 1, script}}, Split: PolicySplit{Columns: []string{evil}, Rows: []PolicyGroup{{evil, []int64{1}}}}},
		Messages{Items: []MessageRow{{ChannelKey: evil, To: evil, Subject: evil, Text: evil}}},
		partsPage{Desk: Desk{Find: script, Query: evil, Items: []NavItem{{script, evil, evil, evil, 1}}}, Empty: Empty{URL: script, Title: evil}},
	} {
		t.Run(c.Page(), func(t *testing.T) {
			text := draw(t, f, c)
			if strings.Contains(text, "<script>") || strings.Contains(text, "<b onclick") {
				t.Errorf("not escaped:\n%s", text)
			}
			checkInert(t, parse(t, text))
		})
	}
}

func TestRenderWritesNothingOnError(t *testing.T) {
	if err := Render(failing{t}, Frame{}, unknownPage{}); err == nil {
		t.Error("an unknown page was drawn")
	}
	if err := Render(failing{t}, Frame{}, brokenPage{}); err == nil {
		t.Error("a page with wrong data was drawn")
	}
	if err := Render(refusing{}, Frame{}, SignedOut{}); err == nil {
		t.Error("a lost connection was not told")
	}
}

type unknownPage struct{}

func (unknownPage) Page() string { return "no-such-page" }

type brokenPage struct{}

func (brokenPage) Page() string { return "password" }

type failing struct{ t *testing.T }

func (w failing) Write(p []byte) (int, error) {
	w.t.Errorf("half a page was written: %q", p)
	return len(p), nil
}

type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestLanguageLinkComesBack(t *testing.T) {
	text := draw(t, frame("zh-CN"), SignedOut{})
	if want := `href="/lang?back=%2Fflows%2Ff1%2Fpassword%3Fx%3D1%26y%3D2&amp;to=en" lang="en" hreflang="en"`; !strings.Contains(text, want) {
		t.Errorf("no %s in\n%s", want, text)
	}
}

// A doc is a parsed page with its elements in order.
type doc struct{ nodes []node }

type node struct{ *html.Node }

func parse(t *testing.T, text string) doc {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc{node{root}.elements()}
}

func (n node) elements() []node {
	var all []node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode {
			all = append(all, node{d})
		}
	}
	return all
}

func (p doc) all(name string) []node {
	return slices.DeleteFunc(slices.Clone(p.nodes), func(n node) bool { return n.Data != name || n.Namespace != "" })
}

func (p doc) first(name string) node { return p.all(name)[0] }

func (n node) all(name string) []node { return doc{n.elements()}.all(name) }

func (n node) attr(key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func (n node) within(name string) bool {
	for up := n.Parent; up != nil; up = up.Parent {
		if up.Data == name {
			return true
		}
	}
	return false
}

var blanks = regexp.MustCompile(`\s+`)

func (n node) text() string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(blanks.ReplaceAllString(b.String(), " "))
}
