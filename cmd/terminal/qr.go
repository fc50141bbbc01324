package main

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

const quiet = 4 // modules of white around the code (ISO/IEC 18004)

// picture is a QR code as modules, quiet zone included.
type picture struct {
	Size int
	code barcode.Barcode
}

func draw(content string) (picture, error) {
	code, err := qr.Encode(content, qr.M, qr.Auto)
	if err != nil {
		return picture{}, err
	}
	return picture{Size: code.Bounds().Dx() + 2*quiet, code: code}, nil
}

func (p picture) dark(x, y int) bool {
	x, y = x-quiet, y-quiet
	n := p.Size - 2*quiet
	if x < 0 || y < 0 || x >= n || y >= n {
		return false
	}
	r, _, _, _ := p.code.At(x, y).RGBA()
	return r == 0
}

// Path is the dark modules as one SVG path, a run a rectangle.
func (p picture) Path() string {
	var b strings.Builder
	for y := range p.Size {
		for x := 0; x < p.Size; x++ {
			from := x
			for p.dark(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, n, n)
			}
		}
	}
	return b.String()
}

// Text draws two modules a character. On a terminal that knows colours it is black on white; elsewhere the blocks are
// the light modules, as on the usual dark ground.
func (p picture) Text(colours bool) string {
	var b strings.Builder
	for y := 0; y < p.Size; y += 2 {
		if colours {
			b.WriteString("\x1b[30;107m")
		}
		for x := range p.Size {
			up, down := p.dark(x, y) == colours, (y+1 < p.Size && p.dark(x, y+1)) == colours
			switch {
			case up && down:
				b.WriteString("█")
			case up:
				b.WriteString("▀")
			case down:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		if colours {
			b.WriteString("\x1b[0m")
		}
		b.WriteString("\n")
	}
	return b.String()
}
