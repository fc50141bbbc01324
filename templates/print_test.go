package templates

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// cut are the parts of the page that reach beyond their room or the paper, by their text.
const cut = `JSON.stringify([...document.querySelectorAll(".sheet, .slip")].flatMap((paper) => [paper, ...paper.querySelectorAll("*")].filter((e) => !e.closest("svg") || e.tagName === "svg")
	.filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline" || e.getBoundingClientRect().right > paper.getBoundingClientRect().right + 1 || e.getBoundingClientRect().width > %d)
	.map((e) => e.tagName + " " + e.textContent.slice(0, 60))))`

// A kit is printed on A4 or on the roll of a terminal, in whole: nothing is cut off, and
// there is no empty page, however many terminals there are and however long the names.
func TestKitIsPrinted(t *testing.T) {
	server := httptest.NewServer(sampleServer(t))
	t.Cleanup(server.Close)
	b := newScreen(t, startBrowser(t))
	for _, l := range Languages() {
		for i, s := range samples() {
			kind := s.Content.Page()
			if kind != "kit-sheet" && kind != "kit-slip" && kind != "kit-contents" {
				continue
			}
			w, h, most := 210.0, 297.0, 1
			if kind == "kit-slip" {
				w, h = 58, 250
			}
			if s.Name == "kit-slip-long" || s.Name == "kit-slip-full" { // a roll has no end
				most = 2
			}
			b.resize(desk)
			b.open(server.URL + samplePath(l, i))
			pages := pagesOf(b.paper(t))
			if len(pages) < 1 || len(pages) > most {
				t.Errorf("%s/%s: %d pages", l.Tag, s.Name, len(pages))
			}
			for _, p := range pages {
				if math.Abs(p.w-w) > 1 || math.Abs(p.h-h) > 1 {
					t.Errorf("%s/%s: a page of %.0f × %.0f mm, want %.0f × %.0f", l.Tag, s.Name, p.w, p.h, w, h)
				}
			}
			// As wide as the paper between its margins.
			room := int64(math.Round((w - map[bool]float64{true: 0, false: 28}[kind == "kit-slip"]) / 25.4 * 96))
			b.do(media("print"))
			b.do(chromedp.EmulateViewport(room, 900))
			if found := b.eval(fmt.Sprintf(cut, room+1)); found != "[]" {
				t.Errorf("%s/%s: cut off on %d px: %s", l.Tag, s.Name, room, found)
			}
			b.do(media(""))
		}
	}
}

func media(kind string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind})
		return err
	})
}

// paper is the page as it is printed.
func (b *screen) paper(t *testing.T) []byte {
	t.Helper()
	var pdf []byte
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		out, err := cdp.Call(ctx, target, cdppage.PrintToPDF, cdppage.PrintToPDFParams{PreferCSSPageSize: new(true), PrintBackground: new(true)})
		if err == nil {
			pdf = out.Data
		}
		return err
	}))
	return pdf
}

type paperPage struct{ w, h float64 } // millimetres

var box = regexp.MustCompile(`/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]`)

// pagesOf are those of a PDF.
func pagesOf(pdf []byte) (all []paperPage) {
	for _, m := range box.FindAllSubmatch(pdf, -1) {
		w, _ := strconv.ParseFloat(string(m[1]), 64)
		h, _ := strconv.ParseFloat(string(m[2]), 64)
		all = append(all, paperPage{w / 72 * 25.4, h / 72 * 25.4})
	}
	return all
}
