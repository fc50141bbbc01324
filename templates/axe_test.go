package templates

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"hufu/static"
)

// axeFile is axe-core, which looks for what keeps people with disabilities out of a page.
const axeFile = "../cmd/hufu/testdata/axe.min.js"

// The rules of WCAG 2.2 AA and of good practice; and, in the dark, those of colours.
const runAxe = `(async () => {
	const look = async (rules) => (await axe.run(document, { runOnly: rules, resultTypes: ["violations"] })).violations
		.flatMap((v) => v.nodes.map((n) => v.id + " at " + n.target + ": " + n.html.slice(0, 200) + " (" + n.failureSummary + ")"));
	return JSON.stringify(await look(%s));
})()`

const (
	everyRule = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	colours   = `["color-contrast"]`
)

// Every sample of every page, in a browser, in every language, as a person meets it on a
// phone; the console at a desk, too; and the colours of the dark.
func TestPagesBreakNoRuleOfAxe(t *testing.T) {
	server := httptest.NewServer(sampleServer(t))
	t.Cleanup(server.Close)
	browser := startBrowser(t)
	for _, l := range Languages() {
		t.Run(l.Tag, func(t *testing.T) {
			t.Parallel()
			b := newScreen(t, browser)
			b.light("light")
			for i, s := range samples() {
				b.open(server.URL + samplePath(l, i))
				b.axe(s, everyRule)
				console := strings.HasPrefix(s.Content.Page(), "console-") || strings.HasPrefix(s.Content.Page(), "policy-")
				if console {
					b.resize(desk)
					b.axe(s, everyRule)
				}
				if console || l.Tag == "en" { // in the other language they are the same
					b.light("dark")
					b.axe(s, colours)
					b.light("light")
				}
				if console {
					b.resize(phone)
				}
			}
		})
	}
}

// axe holds the page to rules.
func (b *screen) axe(s sample, rules string) {
	b.t.Helper()
	var violations []string
	if err := json.Unmarshal([]byte(b.eval(fmt.Sprintf(runAxe, rules))), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		b.t.Errorf("%s (%s, %s, %d px): %s", s.Name, s.Content.Page(), b.scheme, b.width, v)
	}
}

func samplePath(l Language, i int) string { return fmt.Sprintf("/%s/%d", l.Tag, i) }

// sampleServer shows the samples, every other one to somebody signed in, each with axe.
func sampleServer(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(static.Prefix, static.Handler())
	mux.HandleFunc("/axe.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, axeFile) })
	for _, l := range Languages() {
		for i, s := range samples() {
			f := frame(l.Tag)
			if i%2 == 1 {
				f.Viewer = &Viewer{Name: "林薇", Face: "林", Login: "lin.wei", RoleKey: "role.owner"}
			}
			text := strings.Replace(draw(t, f, s.Content), "</body>", `<script src="/axe.js"></script></body>`, 1)
			mux.HandleFunc(samplePath(l, i), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write([]byte(text))
			})
		}
	}
	return mux
}

// startBrowser starts the Chromium that HUFU_TEST_CHROMIUM names.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	name := os.Getenv("HUFU_TEST_CHROMIUM")
	if name == "" {
		t.Fatal("HUFU_TEST_CHROMIUM is not set: name a Chromium or Chrome, as in HUFU_TEST_CHROMIUM=/usr/bin/chromium; make test finds or installs one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(name), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("HUFU_TEST_CHROMIUM=%s does not start: %v", name, err)
	}
	return ctx
}

// A screen is a phone's until it is resized, with one page of the browser.
type screen struct {
	t      *testing.T
	ctx    context.Context
	scheme string
	width  int64
}

const phone, desk = 360, 1280

func newScreen(t *testing.T, browser context.Context) *screen {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(phone, 800, chromedp.EmulateMobile, chromedp.EmulateTouch)); err != nil { // opens it: no time limit may end it
		t.Fatal(err)
	}
	return &screen{t: t, ctx: ctx, width: phone}
}

// resize gives the page another screen: a phone's, or one at a desk.
func (b *screen) resize(width int64) {
	b.t.Helper()
	b.width = width
	if width == phone {
		b.do(chromedp.EmulateViewport(width, 800, chromedp.EmulateMobile, chromedp.EmulateTouch))
		return
	}
	b.do(chromedp.EmulateViewport(width, 900))
}

func (b *screen) do(act chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 20*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, act); err != nil {
		b.t.Fatal(err)
	}
}

// light is what the person's system prefers: light or dark, and no colours on their way.
func (b *screen) light(scheme string) {
	b.t.Helper()
	b.scheme = scheme
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	}))
}

func (b *screen) open(address string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 20*time.Second)
	defer stop()
	if _, err := chromedp.RunResponse(ctx, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		return chromedp.Do(ctx, chromedp.Navigate(address))
	})); err != nil {
		b.t.Fatalf("%s: %v", address, err)
	}
	if at := b.eval(`location.href + (getComputedStyle(document.body).fontFamily.includes("system-ui") ? "" : " without its style")`); at != address || strings.TrimSpace(b.eval("document.title")) == "" {
		b.t.Fatalf("at %s, not %s", at, address)
	}
}

// eval evaluates an expression in the page that comes to a text.
func (b *screen) eval(expression string) string {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 20*time.Second)
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.100s: %v", expression, err)
	}
	return text
}
