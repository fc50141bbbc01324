package templates

import (
	"html/template"
	"regexp"
)

// icons holds the drawings of icons.svg: one symbol an icon, 24 units square, coloured by the style sheet.
var icons = parseIcons()

var symbol = regexp.MustCompile(`<symbol id="([a-z-]+)">(.*?)</symbol>`)

func parseIcons() map[string]template.HTML {
	source, err := files.ReadFile("icons.svg")
	if err != nil {
		panic(err) // embedded at build time
	}
	all := map[string]template.HTML{}
	for _, m := range symbol.FindAllSubmatch(source, -1) {
		all[string(m[1])] = template.HTML(m[2])
	}
	return all
}

// icon draws an icon beside words. With a label it stands for itself. An unknown name draws the ring of a plain fact.
func icon(name string, label ...string) template.HTML {
	drawing, ok := icons[name]
	if !ok {
		drawing = icons["info"]
	}
	says := `aria-hidden="true"`
	if len(label) > 0 {
		says = `role="img" aria-label="` + template.HTMLEscapeString(label[0]) + `"`
	}
	return `<svg class="i" ` + template.HTML(says) + ` viewBox="0 0 24 24">` + drawing + `</svg>`
}
