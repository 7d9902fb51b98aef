// Package playground serves the page that a development server shows: a chat, who is here, everyone's cursor, a ticking
// price and the raw protocol, in the browser, over the server's own WebSocket.
//
// The page is plain HTML, CSS and JavaScript modules, embedded as they stand in static/. hocket.js among them is the
// built SDK: `npm run build` in sdk/js writes it, `npm run check-build` tells when it is not what the source gives.
//
//	mux.Handle("/", playground.Handler())
//
// The package knows nothing of channels or sessions. Its handler may be used from any goroutine.
package playground

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

	"hocket.dev/internal/page"
)

//go:embed static
var static embed.FS

// policy lets the page load nothing but its own files, and connect to any WebSocket: one may try it against another
// server. Inline scripts and styles are not allowed, so no text of a visitor can become either.
const policy = "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes are set by hand: what mime.TypeByExtension answers depends on the machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// A file is one embedded file, ready to be sent.
type file struct {
	body        []byte
	contentType string
	etag        string
}

// Handler serves the page at "/" and its files beside it; everything else is 404. Browsers ask every time whether a
// file has changed (ETag), so that a new server never meets an old page.
func Handler() http.Handler {
	files := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		switch {
		case !ok:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page can only be read", http.StatusMethodNotAllowed)
		default:
			f.serve(w, r)
		}
	})
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	page.Protect(h, policy)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body)) // answers If-None-Match
}

// load reads the embedded files by the path they are served at. They are part of the program, so a failure is a bug.
func load() map[string]file {
	files := make(map[string]file)
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		files[strings.TrimPrefix(name, "static")] = file{
			body: body, contentType: contentTypes[path.Ext(name)], etag: `"` + hex.EncodeToString(sum[:12]) + `"`,
		}
		return nil
	})
	if err != nil {
		panic("playground: " + err.Error())
	}
	files["/"] = files["/index.html"]
	return files
}
