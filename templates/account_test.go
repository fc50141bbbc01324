package templates

import (
	"strings"
	"testing"
)

// Every page of the account says which tab it belongs to; a page of the door has none.
func TestTabs(t *testing.T) {
	for _, s := range accountSamples() {
		now := 0
		for _, n := range parse(t, draw(t, frame("en"), s.Content)).all("nav") {
			if n.attr("class") != "tabs" {
				continue
			}
			for _, a := range n.all("a") {
				if a.attr("aria-current") == "page" {
					now++
				}
			}
		}
		if now != 1 {
			t.Errorf("%s: %d tabs of this page", s.Name, now)
		}
	}
	for _, c := range []Content{Start{}, SignedOut{}, Confirm{TitleKey: "next", TextKey: "next", ButtonKey: "next", Action: "/", Back: "/"}} {
		if strings.Contains(draw(t, frame("en"), c), `class="tabs"`) {
			t.Errorf("%s shows the tabs of an account", c.Page())
		}
	}
}

// An icon that came with a passkey is shown as a picture or not at all.
func TestPicture(t *testing.T) {
	for icon, shown := range map[string]bool{
		"data:image/png;base64,iVBORw0KGgo=": true, "data:image/svg+xml;base64,PHN2Zy8+": true, "passkey": false, "": false,
		"data:text/html;base64,PHN2Zy8+": false, "https://example.com/i.png": false, "data:image/png;base64,x\" onload=\"": false, "data:image/png,x": false,
	} {
		if got := (FactorRow{Icon: icon}).Picture(); (got != "") != shown {
			t.Errorf("%q: %q", icon, got)
		}
	}
}
