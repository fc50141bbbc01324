package server_test

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"hufu/idp"
	"hufu/idp/kit"
	"hufu/idp/qr"
	"hufu/templates"
)

const kitPassphrase = "竹 river lantern 三轮车"

// upload sends a form with a file in it, as a browser does.
func (b *browser) upload(address string, file []byte, fields url.Values) *browser {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, values := range fields {
		must(b.t, form.WriteField(name, values[0]))
	}
	w, err := form.CreateFormFile("kit", "hufu-kit.age")
	must(b.t, err)
	_, err = w.Write(file)
	must(b.t, err)
	must(b.t, form.Close())
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.world.Issuer+address, &body)
	must(b.t, err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// newKit walks the flow of new codes to its page: the address of that page, and the codes.
func (b *browser) newKit() (step string, codes []string) {
	b.t.Helper()
	b.open("/account/codes")
	codes = b.codes()
	return b.URL.Path, codes
}

// kitFile downloads the file under the passphrase.
func (b *browser) kitFile(step string) []byte {
	b.t.Helper()
	b.post(step+"/kit", url.Values{"passphrase": {kitPassphrase}, "again": {kitPassphrase}})
	if b.Status != 200 || !strings.HasPrefix(b.Header.Get("Content-Disposition"), `attachment; filename="hufu-kit-`) || b.Header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("%d %v: %s", b.Status, b.Header, b.text())
	}
	return []byte(b.Body)
}

// The owner keeps the kit on paper, on a slip and in a file, and comes back with the file:
// to read it, and to sign in. A new one makes the old one void.
func TestKitStory(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "kit.owner", Phone: "+8613900000061", Mail: "kit@example.com", TOTP: true})
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("kit.owner")
		step, codes := b.newKit()

		for _, view := range []string{"/sheet", "/slip"} {
			b.open(step+view).see(200, "kit.owner")
			text := b.text()
			for _, want := range append(codes, "822290059430001", "林记小馆", "尾号") {
				if !strings.Contains(text, want) {
					t.Errorf("%s says nothing of %s: %s", view, want, text)
				}
			}
			if !strings.Contains(b.Body, "<svg role=\"img\"") || strings.Contains(b.Body, "style=") {
				t.Errorf("%s: no picture, or a style in it", view)
			}
		}
		file := b.kitFile(step)
		if bytes.Contains(file, []byte(codes[0])) || strings.Contains(b.Body, kitPassphrase) {
			t.Error("the file is open")
		}
		own := w.kit(t, file)
		if !slices.Equal(own.Codes, codes) || own.User != "kit.owner" || own.Merchant == nil || own.Merchant.Number != "822290059430001" || len(own.Merchant.Terminals) == 0 || own.Issuer != w.Issuer {
			t.Errorf("%+v", own)
		}
		b.open(step).keep().at("/account/factors")
		if set := w.holds(t, "kit.owner", idp.MethodBackup); set != own.Set {
			t.Errorf("the set is %s, on paper it is %s", set, own.Set)
		}
		for _, to := range []string{"+8613900000061", "kit@example.com"} {
			if !slices.Contains(w.letters(t, to), "codes.issued") {
				t.Errorf("%s was not told of the new codes", to)
			}
		}
		b.open(step+"/sheet").see(410, "") // the codes are shown to nobody any more

		stranger := w.from(t, "203.0.113.2")
		stranger.open("/kit").see(200, "打开恢复包")
		before := w.standing(t, target{user: u, form: url.Values{}})
		stranger.upload("/kit", file, url.Values{"passphrase": {kitPassphrase}}).see(200, codes[9])
		if stranger.Header.Get("Cache-Control") != "no-store" || stranger.cookie("hufu-s") != nil || w.standing(t, target{user: u, form: url.Values{}}) != before {
			t.Error("opening a kit leaves something behind")
		}

		other := w.from(t, "203.0.113.3")
		other.try("kit.owner", storyPassword).at("second").submit("way", "backup").at("second")
		page := other.URL.Path
		other.upload(page, file, url.Values{"passphrase": {"not it"}, "code": {""}}).see(422, "口令不对")
		other.upload(page, file, url.Values{"passphrase": {kitPassphrase}, "code": {""}}).at("choose-factor")
		if got := w.events(t, "kit.owner", "codes.used"); len(got) != 1 {
			t.Errorf("%d codes used", len(got))
		}
		for _, to := range []string{"+8613900000061", "kit@example.com"} {
			if !slices.Contains(w.letters(t, to), "codes.used") {
				t.Errorf("%s was not told", to)
			}
		}
		again := w.from(t, "203.0.113.4")
		again.try("kit.owner", storyPassword).at("second").submit("way", "backup")
		again.submit("code", codes[0]).see(422, "已经用过")                                                                 // the file gave the first one
		again.upload(again.URL.Path, file, url.Values{"passphrase": {kitPassphrase}, "code": {""}}).at("choose-factor") // and now the next

		time.Sleep(time.Minute)
		b.open("/account/codes")
		if strings.HasSuffix(b.URL.Path, "/second") {
			b.submit("code", w.code(t, "kit.owner"))
		}
		step, _ = b.newKit()
		b.open(step).keep().at("/account/factors")
		if now := w.holds(t, "kit.owner", idp.MethodBackup); now == own.Set {
			t.Error("the old set lives on")
		}
		third := w.from(t, "203.0.113.5")
		third.try("kit.owner", storyPassword).at("second").submit("way", "backup")
		third.upload(third.URL.Path, file, url.Values{"passphrase": {kitPassphrase}, "code": {""}}).see(422, "恢复码不对")
	})
}

// kit opens a file as the public library does.
func (w *demoWorld) kit(t *testing.T, file []byte) kit.Kit {
	t.Helper()
	id, err := age.NewScryptIdentity(kitPassphrase)
	must(t, err)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), id)
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	if bytes.Contains(plain, []byte(storyPassword)) || bytes.Contains(bytes.ToLower(plain), []byte("password")) {
		t.Error("a password in the kit")
	}
	k, err := kit.Open(file, kitPassphrase)
	must(t, err)
	return k
}

// The passphrase of a file is asked for twice, is hard to guess, and is not the password.
func TestKitPassphrase(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "欧阳若兰"}, Login: "kit.phrase", Phone: "+8613900000062", TOTP: true})
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("kit.phrase")
		step, codes := b.newKit()
		b.open(step+"/kit").see(200, "至少 12 个字符")
		for words, form := range map[string]url.Values{
			"输入口令":      {"again": {kitPassphrase}},
			"太短":        {"passphrase": {"x9$kQ"}, "again": {"x9$kQ"}},
			"两次输的口令不一样": {"passphrase": {kitPassphrase}, "again": {kitPassphrase + " "}},
			"容易被猜到":     {"passphrase": {"password123456"}, "again": {"password123456"}},
			"这是您的登录密码":  {"passphrase": {storyPassword}, "again": {storyPassword}},
		} {
			if b.post(step+"/kit", form).see(422, words); strings.Contains(b.Body, codes[0]) || strings.Contains(b.Body, `value="`+html.EscapeString(form.Get("passphrase"))) && form.Has("passphrase") {
				t.Errorf("%s: the page gives a secret back", words)
			}
		}
		b.kitFile(step)
		refused := false
		for range 8 { // work for the server, so not without end
			b.post(step+"/kit", url.Values{"passphrase": {kitPassphrase}, "again": {kitPassphrase}})
			refused = refused || b.Status == 429
		}
		if !refused {
			t.Error("a flow gets files without end")
		}
		half := w.from(t, "203.0.113.2").try("kit.phrase", storyPassword).at("second")
		flow := strings.TrimSuffix(half.URL.Path, "/second")
		for _, view := range []string{"sheet", "slip", "kit", "file"} {
			if half.open(flow + "/recovery-codes/" + view); !strings.HasSuffix(half.URL.Path, "/second") {
				t.Errorf("%s before its time: at %s", view, half.URL.Path)
			}
		}
		if other := w.from(t, "203.0.113.3").open(step + "/sheet"); other.Status != 410 || strings.Contains(other.Body, codes[0]) {
			t.Errorf("in another browser: %d", other.Status)
		}
	})
}

// Files that are none, too large or too many: each ends in words, and the server works for
// none of them but so many of a network.
func TestKitHostileFiles(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "kit.host", TOTP: true})
		owner := w.from(t, "203.0.113.1")
		owner.open("/sign-in").signIn("kit.host")
		step, _ := owner.newKit()
		file := owner.kitFile(step)
		b := w.from(t, "203.0.113.9")
		for range 20 { // costs nothing, counts nothing
			b.upload("/kit", []byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 22\nAAAA\n--- AAAA\n"), url.Values{"passphrase": {"x"}}).see(422, "不是我们的恢复包文件")
		}
		b.upload("/kit", nil, url.Values{"passphrase": {"x"}}).see(422, "选一个恢复包文件")
		b.upload("/kit", file, url.Values{}).see(422, "输入口令")
		b.upload("/kit", make([]byte, 1<<17), url.Values{"passphrase": {"x"}}).see(413, "")
		b.upload("/kit", make([]byte, 1<<15+1), url.Values{"passphrase": {"x"}}).see(422, "不是我们的恢复包文件")
		b.post("/kit", url.Values{"passphrase": {"x"}}).see(422, "选一个恢复包文件")
		b.upload("/kit", file, url.Values{"passphrase": {kitPassphrase}}).see(200, "kit.host")
		statuses := map[int]int{}
		for i := range 10 {
			b.upload("/kit", file, url.Values{"passphrase": {fmt.Sprint("guess ", i)}})
			statuses[b.Status]++
		}
		if statuses[422] != 5 || statuses[429] != 5 { // six at once, of which one was opened
			t.Errorf("guesses at a file: %v", statuses)
		}
		w.from(t, "203.0.113.10").upload("/kit", file, url.Values{"passphrase": {kitPassphrase}}).see(200, "kit.host") // another network is not held up
		for _, body := range []string{"", "--x", "--x\r\nContent-Disposition: form-data; name=\"kit\"; filename=\"a\"\r\n\r\n"} {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.Issuer+"/kit", strings.NewReader(body))
			must(t, err)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			if b.do(r); b.Status != 422 {
				t.Errorf("%q: %d", body, b.Status)
			}
		}
	})
}

// The mark of the sheet, as it is printed: staff see kind and day, and whether it still counts.
func TestKitMarkOnPaper(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.person(t, somebody{User: idp.User{Role: idp.RoleOwner, Name: "欧阳若兰"}, Login: "kit.mark", TOTP: true})
		b := w.from(t, "203.0.113.1")
		b.open("/sign-in").signIn("kit.mark")
		step, _ := b.newKit()
		k := w.kit(t, b.kitFile(step))
		mark := kit.Mark{Set: k.Set, Day: k.Made.In(time.FixedZone("UTC+8", 8*60*60))}.Text(w.Service.Store.MAC)
		want, err := qr.SVG(w.Issuer+"/console/kit?mark="+mark, templates.T("zh-CN", "kit.qr"))
		must(t, err)
		for _, view := range []string{"/sheet", "/slip"} {
			if b.open(step + view); !strings.Contains(b.Body, string(want)) {
				t.Errorf("%s has another mark", view)
			}
		}
		staff := w.from(t, "203.0.113.2")
		staff.open("/console/kit?mark=" + mark).signIn("auditor")
		staff.see(200, "已经作废") // printed, but never kept
		b.open(step).keep().at("/account/factors")
		staff.open("/console/kit?mark="+mark).see(200, "现在有效")
		if strings.Contains(staff.text(), "欧阳若兰") || strings.Contains(staff.text(), "kit.mark") {
			t.Error("the mark names somebody")
		}
	})
}
