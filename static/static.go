// Package static serves the style sheet, the scripts and the mark, all embedded.
//
// Routes (mounted at /static/): every file under its plain name, with an ETag and a short life, so that the sample
// applications on other ports can link it; and under a name that carries a hash of its content, for ever.
//
// Invariants: only GET and HEAD; only the files of this package, each with its own content type; no directory listing.
// Standard library only; it calls nothing of ours.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Prefix is where Handler is mounted.
const Prefix = "/static/"

//go:embed hufu.css favicon.svg js/*.js
var embedded embed.FS

// A file is one embedded file with the names and headers it is served under.
type file struct {
	hashed, contentType, etag string
	content                   []byte
}

var files = load(embedded)

func load(source fs.FS) map[string]file {
	all := map[string]file{}
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		digest := sha256.Sum256(content)
		sum := hex.EncodeToString(digest[:])[:16]
		ext := path.Ext(name)
		all[name] = file{
			hashed:      strings.TrimSuffix(name, ext) + "." + sum + ext,
			contentType: contentTypes[ext],
			etag:        `"` + sum + `"`,
			content:     content,
		}
		return nil
	})
	if err != nil {
		panic("static: " + err.Error()) // embedded at build time: cannot happen at run time
	}
	return all
}

// Types are written out: the system's own table differs from machine to machine, and nosniff makes a wrong one fatal.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Path is the address of a file under its hashed name; of an unknown file, an address that answers 404.
func Path(name string) string {
	if f, ok := files[name]; ok {
		return Prefix + f.hashed
	}
	return Prefix + name
}

// Handler serves the files under Prefix.
func Handler() http.Handler {
	served := map[string]http.HandlerFunc{}
	for name, f := range files {
		served[Prefix+name] = f.serve("public, max-age=300, must-revalidate")
		served[Prefix+f.hashed] = f.serve("public, max-age=31536000, immutable")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, ok := served[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		serve(w, r)
	})
}

func (f file) serve(cache string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", f.contentType)
		h.Set("Cache-Control", cache)
		h.Set("ETag", f.etag)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin") // public: the sample applications link it
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	}
}
