package qr

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/boombuler/barcode/qr"
)

var run = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// The picture has the modules of the code and four light ones around it.
func TestSVG(t *testing.T) {
	const link = "otpauth://totp/%E7%A4%BA%E8%8C%83%E6%94%B6%E5%8D%95:lin.wei?algorithm=SHA1&digits=6&issuer=%E7%A4%BA%E8%8C%83&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	svg, err := SVG(link, `a "label" <b>`)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		XMLName xml.Name
		Role    string `xml:"role,attr"`
		Label   string `xml:"aria-label,attr"`
		ViewBox string `xml:"viewBox,attr"`
		Path    []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &parsed); err != nil {
		t.Fatal(err)
	}
	want, err := qr.Encode(link, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	n := want.Bounds().Dx()
	size := n + 8
	if parsed.Role != "img" || parsed.Label != `a "label" <b>` || parsed.ViewBox != fmt.Sprintf("0 0 %d %d", size, size) {
		t.Errorf("role %q, label %q, viewBox %q for %d modules", parsed.Role, parsed.Label, parsed.ViewBox, n)
	}
	if len(parsed.Path) != 2 || parsed.Path[0].Fill != "#fff" || parsed.Path[0].D != fmt.Sprintf("M0 0h%dv%dH0z", size, size) || parsed.Path[1].Fill != "#000" {
		t.Fatalf("paths %+v", parsed.Path)
	}
	got := map[[2]int]bool{}
	for _, m := range run.FindAllStringSubmatch(parsed.Path[1].D, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		w, _ := strconv.Atoi(m[3])
		if m[3] != m[4] {
			t.Fatalf("%s does not close", m[0])
		}
		for i := range w {
			got[[2]int{x + i, y}] = true
		}
	}
	if run.ReplaceAllString(parsed.Path[1].D, "") != "" {
		t.Errorf("the picture has more than runs of modules")
	}
	for y := range size {
		for x := range size {
			inside := x >= 4 && y >= 4 && x < n+4 && y < n+4
			if is := inside && dark(want.At(x-4, y-4).RGBA()); got[[2]int{x, y}] != is {
				t.Fatalf("module %d,%d is dark %v, want %v", x, y, got[[2]int{x, y}], is)
			}
		}
	}
}
