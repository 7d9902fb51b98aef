package playground

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, target string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestPageAndItsFiles(t *testing.T) {
	for target, want := range map[string]string{
		"/":           "text/html; charset=utf-8",
		"/index.html": "text/html; charset=utf-8",
		"/style.css":  "text/css; charset=utf-8",
		"/app.js":     "text/javascript; charset=utf-8",
		"/hocket.js":  "text/javascript; charset=utf-8",
		"/icon.svg":   "image/svg+xml",
	} {
		res := get(t, "GET", target, nil)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != want {
			t.Errorf("%s: %d %q, want 200 %q", target, res.StatusCode, res.Header.Get("Content-Type"), want)
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'self'; connect-src 'self' ws: wss:;") {
			t.Errorf("%s: Content-Security-Policy is %q", target, csp)
		}
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", target, name, got)
			}
		}
	}
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	for _, target := range []string{"/none", "/static/app.js", "/app.js/", "/../playground.go", "/v1/ws"} {
		if res := get(t, "GET", target, nil); res.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", target, res.StatusCode)
		}
	}
	res := get(t, "POST", "/", nil)
	if res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d with Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	first := get(t, "GET", "/app.js", nil)
	etag := first.Header.Get("ETag")
	if etag == "" || first.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("ETag %q, Cache-Control %q", etag, first.Header.Get("Cache-Control"))
	}
	if res := get(t, "GET", "/app.js", http.Header{"If-None-Match": {etag}}); res.StatusCode != 304 {
		t.Errorf("the same file again: %d, want 304", res.StatusCode)
	}
	if res := get(t, "GET", "/style.css", http.Header{"If-None-Match": {etag}}); res.StatusCode != 200 {
		t.Errorf("another file: %d, want 200", res.StatusCode)
	}
}

func TestEveryFileHasItsType(t *testing.T) {
	fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && contentTypes[path.Ext(name)] == "" {
			t.Errorf("%s has no content type", name)
		}
		return err
	})
}

// The policy forbids what is inline, so a page that has it would be broken; text of visitors must never become markup.
func TestPageKeepsToItsPolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:[^>]*)>[^<]`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`)
	foreign := regexp.MustCompile(`(?m)^(?:import|export) .*['"]([^'"]*)['"];$|import\(`)
	for name, f := range load() {
		text := string(f.body)
		if path.Ext(name) == ".html" && inline.MatchString(text) {
			t.Errorf("%s has %q inline", name, inline.FindString(text))
		}
		if path.Ext(name) != ".js" {
			continue
		}
		if markup.MatchString(text) {
			t.Errorf("%s uses %s: text goes in by textContent", name, markup.FindString(text))
		}
		for _, m := range foreign.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "./") {
				t.Errorf("%s imports %s, which is not of this page", name, m[1])
			}
		}
	}
}
