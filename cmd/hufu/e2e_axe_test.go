package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe-core looks for what keeps people with disabilities out of a page (WCAG 2.2 AA and good practice).
//
//go:embed testdata/axe.min.js
var axe string

// looked remembers the pages that were looked at.
type looked struct {
	mu sync.Mutex
	at map[string]bool
}

// kinds are the heading and the kinds of elements that the page at an address, without what is random in it, is made
// of: one that has none that are new there need not be looked at again.
const kinds = `[document.title, ...[...document.querySelectorAll("body *")].map((e) => e.localName + "." + e.className + e.hidden)]
	.map((kind) => location.pathname.replace(/[\w-]{20,}/g, "…") + " " + kind)`

const runAxe = `(async () => {
	const found = await axe.run(document, { runOnly: %s, resultTypes: ["violations"] });
	return JSON.stringify(found.violations.flatMap((v) => v.nodes.map((n) => v.id + " at " + n.target + ": " + n.html.slice(0, 200) + " (" + n.failureSummary + ")")));
})()`

const (
	everyRule = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	contrast  = `["color-contrast"]`
)

// narrow is the width that a page must do with when it is magnified to 400 % (WCAG 1.4.10).
const narrow = 320

// accessible holds a page of the provider that is new to its language to the rules of axe, in the light and in the dark,
// on the screen it is on; in Chinese on a phone, too.
func (b *tab) accessible() {
	b.t.Helper()
	if b.scriptless || !strings.HasPrefix(b.url, b.issuer) || !b.new() {
		return
	}
	for _, width := range []int64{desktop, phone} {
		b.resize(width)
		if width == b.width || width == phone && b.lang == "zh-CN" {
			b.axe(fmt.Sprintf("%d px", width), everyRule)
		}
		b.photograph(width)
	}
	b.light("dark")
	b.axe("dark", contrast)
	b.photograph(0)
	b.light("")
	b.resize(narrow)
	if b.read(); b.page.Width > narrow {
		b.t.Errorf("%s: %d px wide on a screen of %d", b.url, b.page.Width, narrow)
	}
	b.resize(b.width)
	b.read()
}

// new says whether a page has something that was not looked at yet.
func (b *tab) new() bool {
	b.t.Helper()
	all := eval[[]string](b, kinds)
	b.looked.mu.Lock()
	defer b.looked.mu.Unlock()
	if b.looked.at == nil {
		b.looked.at = map[string]bool{}
	}
	before := len(b.looked.at)
	for _, kind := range all {
		b.looked.at[b.lang+" "+kind] = true
	}
	return len(b.looked.at) > before
}

func (b *tab) axe(how, rules string) {
	b.t.Helper()
	if !eval[bool](b, `"axe" in window`) {
		eval[bool](b, axe+";true")
	}
	var violations []string
	b.must(json.Unmarshal([]byte(eval[string](b, fmt.Sprintf(runAxe, rules))), &violations))
	for _, v := range violations {
		b.t.Errorf("%s (%s, %s, %s): %s", b.page.Title, b.url, b.lang, how, v)
	}
}

// light is what the person's system prefers: light or dark.
func (b *tab) light(scheme string) {
	b.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}} // no colours on their way
	b.must(call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}))
}

// photograph keeps a picture of a page that was looked at when HUFU_TEST_SHOTS names a folder.
func (b *tab) photograph(width int64) {
	dir := os.Getenv("HUFU_TEST_SHOTS")
	if dir == "" {
		return
	}
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	b.must(err)
	look := fmt.Sprint(width)
	if width == 0 {
		look = "dark"
	}
	b.looked.mu.Lock()
	n := len(b.looked.at)
	b.looked.mu.Unlock()
	path := strings.Trim(eval[string](b, `location.pathname.replace(/[\w-]{20,}\//g, "")`), "/")
	name := fmt.Sprintf("%s-%03d-%s-%s.png", b.lang, n, strings.ReplaceAll(path, "/", "-"), look)
	b.must(os.MkdirAll(dir, 0o755))
	b.must(os.WriteFile(filepath.Join(dir, name), picture, 0o644))
}

// eval evaluates an expression in the page; the page's own content policy does not bind it.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := b.patient()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	b.must(err)
	return v
}

// call sends a command of the browser's own protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) error {
	_, err := ask(b, command, params)
	return err
}

func ask[P, R any](b *tab, command cdp.Command[P, R], params P) (answer R, err error) {
	ctx, cancel := b.patient()
	defer cancel()
	err = chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tg *chromedp.Target) error {
		answer, err = cdp.Call(ctx, tg, command, params)
		return err
	}))
	return answer, err
}
