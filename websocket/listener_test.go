package websocket

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"hocket.dev/wire"
)

// listenItself serves s with its own listener in front of net/http and returns its ws URL.
func (s *Server) listenItself(t *testing.T) string {
	t.Helper()
	return s.listenBefore(t, s)
}

// listenBefore has s keep the handshakes for "/" and leaves the rest to h.
func (s *Server) listenBefore(t *testing.T, h http.Handler) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := s.Listener(tcp, "/")
	web := &http.Server{Handler: h}
	ended := run(func() error { return web.Serve(l) })
	t.Cleanup(func() {
		_ = web.Close()
		if err := ended(); err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return "ws://" + tcp.Addr().String()
}

// Handshakes do not reach net/http, and everything else does, on the same port.
func TestListenerKeepsHandshakes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux accepts on loops")
	}
	s := newServer(t, &program{message: echoing().message}, ServerOptions{})
	var requests atomic.Int32
	url := s.listenBefore(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Path == "/page" {
			_, _ = io.WriteString(w, "a page")
			return
		}
		s.ServeHTTP(w, r)
	}))

	c := dial(t, url, nil)
	c.say(t, Text, "kept")
	c.want(t, Text, "kept")
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests came to net/http, want none", n)
	}

	page, err := http.Get("http" + strings.TrimPrefix(url, "ws") + "/page")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(page.Body)
	_ = page.Body.Close()
	if string(body) != "a page" {
		t.Errorf("the page is %q", body)
	}

	// A refusal is net/http's, with its whole answer.
	_, response, err := Dial(t.Context(), url, &DialOptions{Header: http.Header{"Origin": {"http://elsewhere"}}})
	if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign origin: %v, %v", response, err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests came to net/http, want 2", n)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A connection that began with another request can still become a WebSocket.
func TestListenerLeavesLaterHandshakesToHTTP(t *testing.T) {
	s := newServer(t, &program{message: echoing().message}, ServerOptions{})
	url := s.listenBefore(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			_, _ = io.WriteString(w, "a page")
			return
		}
		s.ServeHTTP(w, r)
	}))
	host := strings.TrimPrefix(url, "ws://")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	request := wire.AppendRequest([]byte("GET /page HTTP/1.1\r\nHost: x\r\n\r\n"), wire.Request{Host: host, Key: "dGhlIHNhbXBsZSBub25jZQ=="})
	sendBytes(t, nc, append(request, masked(wire.Text, "a")...)...)
	got := make([]byte, 4096)
	var all string
	for !strings.HasSuffix(all, "\x81\x01a") {
		n, err := nc.Read(got)
		if err != nil {
			t.Fatalf("after %q: %v", all, err)
		}
		all += string(got[:n])
	}
	if !strings.Contains(all, "a page") || !strings.Contains(all, "101 Switching Protocols") {
		t.Errorf("%q", all)
	}
}
