package websocket

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
)

// A pageCase is a server as testdata/chromium.html finds it.
type pageCase struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	Compressed bool   `json:"compressed"`
	First      string `json:"first"` // an address to fetch before, so that there is a connection of HTTP/2 to the server

	errands  *errands
	report   chan map[string]string
	version  int      // of HTTP, by which the WebSockets are to come, where there is a choice
	versions chan int // by which they came
}

// pageEnds is how the connections of the page's scenes end, as the server is told.
var pageEnds = []string{
	"1000 ", "1000 ", "1000 ", "1000 ", "4003 Grüße aus der Seite", "4004 enough", // the page closed
	"1005 ",             // without a code
	"nil", "nil", "nil", // the server closed twice, and broke off
}

// A page in Chromium understands this server, however it gets its connections.
func TestChromiumAsClient(t *testing.T) {
	t.Parallel() // a browser takes its time to start
	cases := map[string]*pageCase{}
	add := func(way string, mode CompressionMode, start func(*testing.T, *errands, AcceptOptions) string) *pageCase {
		name := fmt.Sprintf("%s, mode %d", way, mode)
		c := &pageCase{Name: name, Compressed: mode != CompressionOff, report: make(chan map[string]string, 1)}
		c.errands = startErrandsBy(t, start, AcceptOptions{
			OriginPatterns: []string{"127.0.0.1:*"}, Subprotocols: []string{"second", "third"},
			Compression: Compression{Mode: mode, Threshold: 1},
		})
		c.URL = c.errands.url
		cases[name] = c
		return c
	}
	for way, start := range errandWays {
		add(way, CompressionOff, start)
		add(way, CompressionOn, start)
		add(way, CompressionTakeover, start)
	}
	for way, start := range secureWays {
		for version := 1; version <= 2; version++ {
			versions := make(chan int, 2*len(pageEnds))
			c := add(fmt.Sprintf("%s under TLS by HTTP %d", way, version), CompressionOn, start(versions))
			if c.version, c.versions = version, versions; version == 2 {
				c.First = "https" + strings.TrimPrefix(c.URL, "wss")
			}
		}
	}
	browser := testproc.StartChromium(t, servePage(t, cases))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.check(t, browser) })
	}
}

// secureWays are the ways a server can get hold of its connections under TLS, in both versions of HTTP.
var secureWays = map[string]func(versions chan<- int) func(*testing.T, *errands, AcceptOptions) (url string){
	"goroutines": func(versions chan<- int) func(*testing.T, *errands, AcceptOptions) string {
		return func(t *testing.T, e *errands, opts AcceptOptions) string {
			return serveBoth(t, versions, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := Accept(w, r, &opts); err == nil {
					e.run(r.Context(), c)
				}
			}))
		}
	},
	"loops behind net.http": func(versions chan<- int) func(*testing.T, *errands, AcceptOptions) string {
		return func(t *testing.T, e *errands, opts AcceptOptions) string {
			return serveBoth(t, versions, newServer(t, e, ServerOptions{AcceptOptions: opts, MaxMessageBytes: errandBytes}))
		}
	},
	"loops with their listener": func(versions chan<- int) func(*testing.T, *errands, AcceptOptions) string {
		return func(t *testing.T, e *errands, opts AcceptOptions) string {
			s := newServer(t, e, ServerOptions{AcceptOptions: opts, MaxMessageBytes: errandBytes})
			return s.listenTLS(t, telling(versions, s))
		}
	},
}

// serveBoth serves WebSockets under TLS, in both versions of HTTP.
func serveBoth(t *testing.T, versions chan<- int, h http.Handler) (url string) {
	t.Helper()
	web, _ := serveHTTP2(t, telling(versions, h))
	return "wss" + strings.TrimPrefix(web.URL, "https")
}

// telling says by which version of HTTP each WebSocket comes, and answers what is none.
func telling(versions chan<- int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Websocket-Version") == "" {
			return // the page's fetch
		}
		versions <- r.ProtoMajor
		h.ServeHTTP(w, r)
	})
}

// servePage serves the page and takes its reports. It returns the page's address.
func servePage(t *testing.T, cases map[string]*pageCase) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/chromium.html")
	})
	mux.HandleFunc("GET /cases", func(w http.ResponseWriter, _ *http.Request) {
		all := []*pageCase{}
		for _, c := range cases {
			all = append(all, c)
		}
		_ = json.NewEncoder(w).Encode(all)
	})
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var report map[string]string
		c := cases[r.FormValue("case")]
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil || c == nil {
			t.Errorf("a report on %q: %v", r.FormValue("case"), err)
			return
		}
		c.report <- report
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return web.URL + "/page"
}

// check waits for the page's report, and holds it against what the server saw.
func (c *pageCase) check(t *testing.T, browser *testproc.Process) {
	t.Helper()
	select {
	case report := <-c.report:
		if len(report) == 0 {
			t.Error("the page reports nothing")
		}
		for scene, said := range report {
			if said != "ok" {
				t.Errorf("%s: %s", scene, said)
			}
		}
		if t.Failed() {
			return
		}
	case <-browser.Ended():
		t.Fatal("Chromium has ended")
	case <-time.After(5 * time.Minute): // a browser may take one to start where all cores are busy
		t.Fatal("no report within five minutes")
	}
	var ends []string
	for range pageEnds {
		ends = append(ends, endOf(<-c.errands.ended))
	}
	slices.Sort(ends)
	if want := slices.Sorted(slices.Values(pageEnds)); !slices.Equal(ends, want) {
		t.Errorf("the server saw its connections end with %q, want %q", ends, want)
	}
	for range pageEnds {
		if c.versions != nil && <-c.versions != c.version {
			t.Errorf("a WebSocket that did not come by HTTP/%d", c.version)
		}
	}
}

func endOf(err error) string {
	var closed *CloseError
	switch {
	case err == nil:
		return "nil"
	case errors.As(err, &closed):
		return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
	}
	return err.Error()
}
