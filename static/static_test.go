package static

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestFilesAreServed(t *testing.T) {
	for name, contentType := range map[string]string{
		"hufu.css":    "text/css; charset=utf-8",
		"js/hufu.js":  "text/javascript; charset=utf-8",
		"js/work.js":  "text/javascript; charset=utf-8",
		"favicon.svg": "image/svg+xml",
	} {
		hashed := Path(name)
		if !regexp.MustCompile(`^/static/.+\.[0-9a-f]{16}\.(css|js|svg)$`).MatchString(hashed) {
			t.Errorf("Path(%s) = %s", name, hashed)
		}
		for path, cache := range map[string]string{hashed: "immutable", Prefix + name: "max-age=300"} {
			w := get("GET", path)
			if w.Code != 200 || w.Header().Get("Content-Type") != contentType || !strings.Contains(w.Header().Get("Cache-Control"), cache) {
				t.Errorf("GET %s: %d %v", path, w.Code, w.Header())
			}
			if !bytes.Equal(w.Body.Bytes(), files[name].content) {
				t.Errorf("GET %s: other content", path)
			}
			if w := get("GET", path, "If-None-Match", w.Header().Get("ETag")); w.Code != http.StatusNotModified {
				t.Errorf("GET %s again: %d", path, w.Code)
			}
			if w := get("HEAD", path); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("HEAD %s: %d, %d bytes", path, w.Code, w.Body.Len())
			}
			if w := get("POST", path); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("POST %s: %d", path, w.Code)
			}
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/static/", "/static", "/static/js", "/static/js/", "/static/static.go", "/static/none.css",
		"/static/../static/hufu.css", "/static/hufu.0000000000000000.css", Path("none.css"), "/hufu.css"} {
		if w := get("GET", path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
}

// The sheet is all that a page loads on a phone with a bad connection.
func TestStyleSheetIsSmall(t *testing.T) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(files["hufu.css"].content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() >= 9000 {
		t.Errorf("hufu.css is %d bytes compressed", out.Len())
	}
	for _, outside := range []string{"@import", "url("} {
		if bytes.Contains(files["hufu.css"].content, []byte(outside)) {
			t.Errorf("hufu.css loads something: %s", outside)
		}
	}
}
