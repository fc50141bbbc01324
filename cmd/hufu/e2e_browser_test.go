package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"hufu/flows/factor/totp"
	"hufu/templates"
)

// A world is the three programs as make run starts them, on ports of their own, with fresh data.
type world struct {
	issuer, app, bench string
	data               string // the provider's folder
	lang               string
	words              map[string]map[string]string // the sample programs' own sentences
	people             map[string]*person
	merchantNo         string
	serials            map[string]string // of the terminals, by kind
	passwords          int               // that were chosen
	browser            context.Context
	looked             *looked
}

type person struct {
	Username, Phone, Email, Password string
	Secret                           string   `json:"totp_secret"`
	Codes                            []string `json:"recovery_codes"`
	Tail                             string   `json:"document_tail"` // of the identity document
	Birthday                         string
	step                             int64 // of the newest code that was used
}

// build compiles the programs once.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "hufu/cmd/hufu", "hufu/cmd/merchant-app", "hufu/cmd/terminal")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// startWorld starts the programs and waits until each of them is ready.
func startWorld(t *testing.T, browser context.Context, seen *looked, bin, lang string) *world {
	t.Helper()
	data := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().(*net.TCPAddr)
	free.Close()
	w := &world{issuer: fmt.Sprintf("http://localhost:%d", address.Port), data: data, lang: lang, browser: browser, looked: seen, words: map[string]map[string]string{}}
	start(t, data, "serving", bin+"/hufu", "serve", "--demo", "--listen="+address.String(), "--issuer="+w.issuer, "--data-dir="+data)
	var demo struct {
		Users    map[string]*person
		Merchant struct {
			No string `json:"merchant_no"`
		}
		Terminals map[string]struct{ Serial string }
	}
	readJSON(t, filepath.Join(data, "demo.json"), &demo)
	w.people, w.merchantNo, w.serials = demo.Users, demo.Merchant.No, map[string]string{}
	for kind, d := range demo.Terminals {
		w.serials[kind] = d.Serial
	}
	w.app = after(start(t, data, "merchant-app: ", bin+"/merchant-app", "--addr=localhost:0", "--issuer="+w.issuer, "--acr=urn:hufu:acr:2"), "merchant-app: ")
	w.bench = after(start(t, data, "terminal: ", bin+"/terminal", "--addr=localhost:0", "--demo="+filepath.Join(data, "demo.json")), "terminal: ")
	for _, name := range []string{"merchant-app", "terminal"} {
		var words map[string]string
		readJSON(t, filepath.Join("..", name, "locales", lang+".json"), &words)
		w.words[name] = words
	}
	for _, url := range []string{w.app, w.bench} { // both look for the provider in the background
		waitFor(t, url+" is ready", func() bool {
			res, err := http.Get(url)
			if err != nil {
				return false
			}
			_ = res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
	}
	return w
}

// start runs a program until the test ends and returns the first line of its output that holds the sign of life.
func start(t *testing.T, dir, sign string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, ended := make(chan string, 1), make(chan []string, 1)
	go func() {
		var all []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			all = append(all, lines.Text())
			if strings.Contains(lines.Text(), sign) {
				select {
				case found <- lines.Text():
				default:
				}
			}
		}
		_ = cmd.Wait()
		ended <- all
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		all := <-ended
		for _, line := range all {
			if loud.MatchString(line) {
				t.Logf("%s: %s", filepath.Base(args[0]), line)
			}
		}
	})
	select {
	case line := <-found:
		return line
	case all := <-ended:
		ended <- all
		t.Fatalf("%s has ended:\n%s", args[0], strings.Join(all, "\n"))
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not say %q", args[0], sign)
	}
	return ""
}

// loud are the lines that a test which failed is read with.
var loud = regexp.MustCompile(`"level":"(WARN|ERROR)"|level=(WARN|ERROR|INFO)`)

func after(line, prefix string) string {
	_, rest, _ := strings.Cut(line, prefix)
	return rest
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor asks until the answer is yes.
func waitFor(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(40 * time.Second); !yes(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// T is a sentence of the provider, S one of a sample program.
func (w *world) T(key string, args ...any) string { return templates.T(w.lang, key, args...) }

func (w *world) S(program, key string, args ...any) string {
	return fmt.Sprintf(w.words[program][key], args...)
}

// code is what a person's authenticator shows. Each step is used once: when this one and the next are used up, the
// person waits for a new one as people do.
func (w *world) code(t *testing.T, who string) string {
	t.Helper()
	p := w.people[who]
	now := func() int64 { return time.Now().Unix() / 30 }
	p.step = max(p.step+1, now())
	waitFor(t, "the next code", func() bool { return p.step <= now()+1 })
	c, err := totp.Code(p.Secret, time.Unix(p.step*30, 0))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startBrowser starts the one Chromium of all stories.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("HUFU_TEST_CHROMIUM")
	if path == "" {
		t.Fatal("HUFU_TEST_CHROMIUM is not set: name a Chromium or Chrome, as in HUFU_TEST_CHROMIUM=/usr/bin/chromium; make test finds or installs one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("HUFU_TEST_CHROMIUM=%s does not start: %v", path, err)
	}
	return ctx
}

// A tab is a browser of one person, with cookies of its own.
type tab struct {
	*world
	t     *testing.T
	ctx   context.Context
	name  string
	width int64

	scriptless bool
	page       struct {
		Lang, Title, Text, Styled string
		H1, Width                 int64
	}
	status int64
	url    string

	mu       sync.Mutex
	problems []problem
}

// problem is something that the browser complained of.
type problem struct{ url, text string }

const phone, desktop = 360, 1280

// tab opens a browser of its own for somebody.
func (w *world) tab(t *testing.T, name string, width int64) *tab {
	t.Helper()
	return w.tabIn(t, name, width, chromedp.WithNewBrowserContext())
}

// second opens a second tab of the same browser, with the same cookies.
func (b *tab) second() *tab {
	b.t.Helper()
	return b.tabIn(b.t, b.name+"-2", b.width, chromedp.WithExistingBrowserContext(chromedp.FromContext(b.ctx).BrowserContextID))
}

func (w *world) tabIn(t *testing.T, name string, width int64, in chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{world: w, t: t, name: name, width: width}
	ctx, cancel := chromedp.NewContext(w.browser, in, chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	b.resize(width)
	b.must(call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": w.lang}}))
	return b
}

// resize gives the tab the screen of a phone or of a desk.
func (b *tab) resize(width int64) {
	b.t.Helper()
	size := chromedp.EmulateViewport(width, 900)
	if width == phone {
		size = chromedp.EmulateViewport(width, 800, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.must(chromedp.Do(b.ctx, size))
}

// withoutScript turns scripts off in every page of the tab.
func (b *tab) withoutScript() *tab {
	b.t.Helper()
	b.must(call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.scriptless = true
	return b
}

// hear collects what the browser complains of: broken content policy, script errors, missing files.
func (b *tab) hear(ev any) {
	var p problem
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level != log.EntryLevelError && ev.Entry.Source != log.EntrySourceSecurity {
			return
		}
		p = problem{ev.Entry.URL, string(ev.Entry.Source) + ": " + ev.Entry.Text}
	case *runtime.EventExceptionThrown:
		p = problem{ev.ExceptionDetails.URL, ev.ExceptionDetails.Text}
	case *runtime.EventConsoleAPICalled:
		p = problem{text: "console." + string(ev.Type)}
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, p)
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s at %s (%d): %v\n%s", b.name, b.url, b.status, err, b.page.Text)
	}
}

// patient bounds one act of the browser.
func (b *tab) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, 20*time.Second)
}

// open goes to an address.
func (b *tab) open(url string) *tab {
	b.t.Helper()
	return b.follow(url, chromedp.Func(func(ctx context.Context, tg *chromedp.Target) error {
		return chromedp.Do(ctx, chromedp.Navigate(url))
	}))
}

// press clicks the button or the link with the words, and waits for the page it leads to.
func (b *tab) press(words string) *tab {
	b.t.Helper()
	return b.pressIn("", words)
}

// pressIn looks only in the element with the id.
func (b *tab) pressIn(id, words string) *tab {
	b.t.Helper()
	within := ""
	if id != "" {
		within = fmt.Sprintf(`//*[@id="%s"]`, id)
	}
	target := chromedp.Search(fmt.Sprintf(`%s//*[self::a or self::button][starts-with(normalize-space(.), "%s")]`, within, words))
	return b.follow("press "+words, chromedp.Click(target))
}

// enter types a line into a field and ends it with the Enter key.
func (b *tab) enter(field, value string) *tab {
	b.t.Helper()
	return b.follow("enter "+field, chromedp.SendKeys(chromedp.CSS(`[name="`+field+`"]`), value+"\r"))
}

// fill types into a field, after what may stand there is gone.
func (b *tab) fill(field, value string) *tab {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	css := `[name="` + field + `"]`
	_, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q).value = ''", css)))
	b.must(err)
	b.must(chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(css), value)))
	return b
}

// click acts on something that leads to no other page.
func (b *tab) click(css string) *tab {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	b.must(chromedp.Do(ctx, chromedp.Click(chromedp.CSS(css))))
	b.read()
	return b
}

// sendsOnce holds that the second click of a double click sends nothing, also when both wait for the autofill's request.
func (b *tab) sendsOnce() *tab {
	b.t.Helper()
	sent := eval[int](b, `(async () => {
		const form = document.forms[0], wait = (ms) => new Promise((done) => setTimeout(done, ms));
		let sent = 0;
		for (const field of form.elements) if (field.required) field.value = "x";
		form.addEventListener("submit", (event) => { if (!event.defaultPrevented) sent++; event.preventDefault(); });
		form.requestSubmit(); form.requestSubmit();
		while (!sent) await wait(20);
		await wait(100);
		return sent;
	})()`)
	if sent != 1 {
		b.t.Errorf("%s: a double click sends %d times", b.name, sent)
	}
	return b
}

// follow does something that leads to a page, and looks at it.
func (b *tab) follow(what string, act chromedp.Action[chromedp.Void]) *tab {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	res, err := chromedp.RunResponse(ctx, act)
	if err != nil {
		b.read()
		b.must(fmt.Errorf("%s: %w", what, err))
	}
	b.status, b.url = res.Status, res.URL
	b.read()
	b.look()
	return b
}

const glance = `JSON.stringify({
	Lang: document.documentElement.lang,
	Title: document.title,
	Text: document.body.innerText,
	Styled: getComputedStyle(document.body).fontFamily,
	H1: document.querySelectorAll("h1").length,
	Width: document.documentElement.scrollWidth,
})`

func (b *tab) read() {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	waitFor(b.t, b.name+" has a page", func() bool { // a page that changes by itself may just be going
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](glance))
		return err == nil && json.Unmarshal([]byte(text), &b.page) == nil
	})
}

// look holds every page to what every page must be.
func (b *tab) look() {
	b.t.Helper()
	if b.page.Lang != b.lang {
		b.t.Errorf("%s: lang=%q", b.url, b.page.Lang)
	}
	if strings.TrimSpace(b.page.Title) == "" || b.page.H1 != 1 {
		b.t.Errorf("%s: title %q, %d h1", b.url, b.page.Title, b.page.H1)
	}
	if b.page.Width > b.width {
		b.t.Errorf("%s: %d px wide on a screen of %d", b.url, b.page.Width, b.width)
	}
	if b.width != phone { // the phone's width holds for the console too
		b.resize(phone)
		b.read()
		if b.page.Width > phone {
			b.t.Errorf("%s: %d px wide on a phone", b.url, b.page.Width)
		}
		b.resize(b.width)
		b.read()
	}
	if !strings.Contains(b.page.Styled, "system-ui") {
		b.t.Errorf("%s: drawn without its stylesheet", b.url)
	}
	if i := strings.IndexAny(b.page.Text, "⟦"); i >= 0 {
		b.t.Errorf("%s: a sentence is missing: %.60s", b.url, b.page.Text[i:])
	}
	b.accessible()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		refused := b.status >= 400 && p.url == b.url && strings.Contains(p.text, fmt.Sprintf("status of %d", b.status))
		if !refused {
			b.t.Errorf("%s: the browser complains: %s (%s)", b.url, p.text, p.url)
		}
	}
	b.problems = nil
}

// see fails unless the page has the status and says all the words.
func (b *tab) see(status int64, words ...string) *tab {
	b.t.Helper()
	if b.status != status {
		b.t.Fatalf("%s at %s: status %d, want %d:\n%s", b.name, b.url, b.status, status, b.page.Text)
	}
	return b.says(words...)
}

func (b *tab) says(words ...string) *tab {
	b.t.Helper()
	for _, w := range words {
		if !strings.Contains(plain(b.page.Text), plain(w)) {
			b.t.Fatalf("%s at %s does not read %q:\n%s", b.name, b.url, w, b.page.Text)
		}
	}
	return b
}

var marks = regexp.MustCompile(`<[^>]*>|\s+`)

// plain takes markup and white space out of words, which pages break as they like.
func plain(s string) string { return marks.ReplaceAllString(s, "") }

// waits until the page, which changes by itself, says the words so many times.
func (b *tab) waits(times int, words string) *tab {
	b.t.Helper()
	var text string
	defer func() {
		if b.t.Failed() {
			b.t.Logf("%s reads:\n%s", b.name, text)
		}
	}()
	waitFor(b.t, words, func() bool {
		ctx, cancel := b.patient()
		defer cancel()
		if now, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText")); err == nil { // else: on its way to the next page
			text = now
		}
		return strings.Count(plain(text), plain(words)) == times
	})
	b.read()
	b.look()
	return b
}

// text and link read one element of the page.
func (b *tab) text(css string) string {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS(css)))
	b.must(err)
	return strings.TrimSpace(s)
}

func (b *tab) link(css string) string {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.AttributeValue(chromedp.CSS(css), "href"))
	b.must(err)
	return s.Value
}
