package server_test

import (
	"net/url"
	"strings"
	"testing"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
	"hufu/templates"
)

// Every topic of help is a page in every language that anybody may read and any cache may
// keep: it is the same for a stranger and for somebody signed in, sets no cookie, and all
// that it links to is there for the owner of a shop.
func TestHelp(t *testing.T) {
	w := quietWorld(t, storagetest.DSN(t, storage.SQLite), t.TempDir())
	w.add(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "help.owner", TOTP: true})
	stranger, owner := w.from(t, "203.0.113.1"), w.from(t, "203.0.113.2")
	owner.open("/sign-in").signIn("help.owner").at("/account")
	paths := []string{"/help"}
	for _, topic := range templates.HelpTopics() {
		paths = append(paths, "/help/"+topic)
	}
	seen := map[string]bool{}
	for _, l := range templates.Languages() {
		stranger.Lang, owner.Lang = l.Tag, l.Tag
		for _, path := range paths {
			_, _, his := owner.ask("GET", path, nil)
			status, _, text := stranger.ask("GET", path, nil)
			if status != 200 || text != his || strings.ContainsAny(text, "⟦⟧") || !strings.Contains(text, `lang="`+l.Tag+`"`) || strings.Contains(text, "某人") {
				t.Errorf("%s in %s: %d, the same for both %v", path, l.Tag, status, text == his)
			}
			res := owner.once("GET", path, url.Values{})
			if h := res.Header; h.Get("Cache-Control") != "public, max-age=300" || h.Get("Vary") != "Accept-Language, Cookie" || len(h.Values("Set-Cookie")) > 0 {
				t.Errorf("%s: %v", path, h)
			}
			if res := owner.once("POST", path, url.Values{}); res.StatusCode != 405 {
				t.Errorf("POST %s: %d", path, res.StatusCode)
			}
			owner.open(path)
			for _, a := range all(owner.Doc, "a") {
				if href := attr(a, "href"); strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "/lang") {
					seen[href] = true
				}
			}
		}
	}
	for href := range seen {
		if status, _, _ := owner.ask("GET", href, nil); status != 200 && status != 303 {
			t.Errorf("a link to %s: %d", href, status)
		}
	}
	if len(seen) < len(paths)+5 {
		t.Errorf("%d links: %v", len(seen), seen)
	}
	for _, path := range []string{"/help/", "/help/none", "/help/second-factor/x", "/help/..%2faccount"} {
		if status, _, _ := stranger.ask("GET", path, nil); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
	// Where it is needed one finds it.
	for path, topics := range map[string][]string{"/account/factors": {"second-factor", "codes", "new-phone"}, "/account/freeze": {"lost-phone"}, "/device": {"support", "stolen-terminal"}} {
		owner.open(path)
		for _, topic := range topics {
			if !strings.Contains(owner.Body, `href="/help/`+topic+`"`) {
				t.Errorf("%s does not lead to %s", path, topic)
			}
		}
	}
	stranger.Lang = "zh-CN"
	if stranger.open("/sign-in"); !strings.Contains(stranger.Body, `href="/help"`) {
		t.Error("the door does not lead to help")
	}
	if stranger.try("help.owner", "not it").submit("password", "nor this"); !strings.Contains(stranger.Body, `href="/help/support"`) {
		t.Errorf("the second refusal does not lead to help:\n%s", stranger.text())
	}
}
