package hocket_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/internal/testproc"
)

// tries is a page that tries every way to a server, with the visitor's cookies, and moves on to the next page.
const tries = `<!doctype html><meta charset="utf-8"><script type="module">
const [server, next] = %s
const open = () => new Promise((done) => {
  const ws = new WebSocket('ws://' + server + '/v1/ws')
  ws.onopen = () => { ws.close(); done() }
  ws.onerror = done
})
const ask = (how) => fetch('http://' + server + '/v1/info', { credentials: 'include', ...how }).then((r) => r.text(), () => {})
await open()
await ask({})
await ask({ mode: 'no-cors' })
await ask({ headers: { Authorization: 'Bearer x' } })
location = next
</script>`

// A door notes what comes to a server: who asks, with a cookie or not, and what the answer is.
type door struct {
	mu   sync.Mutex
	seen []string
}

func (d *door) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/") {
			next.ServeHTTP(w, r)
			return
		}
		entry := fmt.Sprintf("%s %s", r.Method, r.URL.Path)
		if r.Header.Get("Cookie") == "session=victim" {
			entry += " with the cookie"
		}
		next.ServeHTTP(&statusWriter{ResponseWriter: w, decided: func(code int) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.seen = append(d.seen, fmt.Sprintf("%s: %d", entry, code))
		}}, r)
	})
}

// take returns what has come since it was called last.
func (d *door) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.seen
	d.seen = nil
	return all
}

// A statusWriter tells the status before the client has it.
type statusWriter struct {
	http.ResponseWriter
	decided func(code int)
	known   bool
}

func (w *statusWriter) decide(code int) {
	if !w.known {
		w.known = true
		w.decided(code)
	}
}

func (w *statusWriter) WriteHeader(code int) {
	w.decide(code)
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.decide(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.decide(http.StatusSwitchingProtocols)
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// A page on another origin with the visitor's cookies is refused before anything else, whatever way it tries; the server's own
// page and one that is listed are not. In Chromium.
func TestCrossSiteHijacking(t *testing.T) {
	pages := http.NewServeMux()
	foreign, friend := httptest.NewServer(pages), httptest.NewServer(pages)
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond, Origins: []string{friend.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	var d door
	pages.Handle("/v1/", srv)
	own := httptest.NewServer(d.watch(pages))
	at := strings.TrimPrefix(own.URL, "http://")
	arrived := make(chan []string)
	route := func(path, next string) {
		pages.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "victim", HttpOnly: true})
			arrived <- d.take()
			fmt.Fprintf(w, tries, fmt.Sprintf("[%q, %q]", at, next))
		})
	}
	route("/own", foreign.URL+"/foreign")
	route("/foreign", friend.URL+"/friend")
	route("/friend", friend.URL+"/end")
	route("/end", "about:blank")
	t.Cleanup(func() {
		srv.Close(context.Background())
		for _, web := range []*httptest.Server{own, foreign, friend} {
			web.Close()
		}
	})
	browser := testproc.StartChromium(t, own.URL+"/own")
	want := [][]string{
		nil,
		{"GET /v1/ws with the cookie: 101", "GET /v1/info with the cookie: 200", "GET /v1/info with the cookie: 200", "GET /v1/info with the cookie: 200"},
		{"GET /v1/ws with the cookie: 403", "GET /v1/info with the cookie: 403", "GET /v1/info with the cookie: 403", "OPTIONS /v1/info: 403"},
		{"GET /v1/ws with the cookie: 101", "GET /v1/info with the cookie: 200", "GET /v1/info with the cookie: 403", "OPTIONS /v1/info: 204", "GET /v1/info with the cookie: 200"},
	}
	for i, page := range []string{"nobody", "the server's own page", "a foreign page", "a listed page"} {
		select {
		case seen := <-arrived:
			if !slices.Equal(seen, want[i]) {
				t.Errorf("%s:\n have %q\n want %q", page, seen, want[i])
			}
		case <-browser.Ended():
			t.Fatal("Chromium has ended")
		case <-time.After(time.Minute):
			t.Fatal("the page has not come within a minute")
		}
	}
}
