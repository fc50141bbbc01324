package notify

import (
	"os"
	"strings"
	"testing"

	"hufu/idp"
)

// docs/messages.md lists every message to register and every parameter.
func TestDocumentIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(idp.MessageTemplates, params...) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/messages.md does not name %s", name)
		}
	}
}
