//go:build soak

package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev/internal/soak"
	"hocket.dev/internal/testproc"
)

// A soaked server serves echoes under /ws.
type soaked struct {
	soak.Target
	url  string
	opts *DialOptions
	live func() int // WebSockets that are open
}

// soakKinds are the kinds of servers, and how many connections each has to bear: those of TLS and HTTP/2 cost more.
var soakKinds = []struct {
	name  string
	n     int
	start func(t *testing.T) *soaked
}{
	{"net/http", 100_000, func(t *testing.T) *soaked { return startSoaked(t, soakOptions{loops: true}) }},
	{"own listener", 100_000, func(t *testing.T) *soaked { return startSoaked(t, soakOptions{loops: true, own: true}) }},
	{"Conn", 100_000, func(t *testing.T) *soaked { return startSoaked(t, soakOptions{}) }},
	{"own listener, TLS", 20_000, func(t *testing.T) *soaked { return startSoaked(t, soakOptions{loops: true, own: true, tls: true}) }},
	{"HTTP 2", 20_000, func(t *testing.T) *soaked { return startSoaked(t, soakOptions{loops: true, http2: true}) }},
	{"Conn, HTTP 2", 20_000, func(t *testing.T) *soaked { return startSoaked(t, soakOptions{http2: true}) }},
}

// Connections by the hundred thousand that come and go in odd ways leave nothing behind, and nobody waits for them.
func TestSoak(t *testing.T) {
	for _, kind := range soakKinds {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.start(t)
			innocent := dial(t, s.url, s.opts)
			s.Ask = func(ctx context.Context, fresh bool) error {
				if fresh {
					return askAnew(ctx, s.url, s.opts)
				}
				return echoes(ctx, innocent)
			}
			quiet := func() {
				testproc.Until(t, "only the innocent WebSocket to be left", func() bool { return s.live() == 1 })
			}
			soak.Storm(t, s.Target, 10_000) // as many are open at once as later on
			quiet()
			before := soak.Measure(t)
			soak.Storm(t, s.Target, kind.n)
			quiet()
			before.WantBack(t, 1<<20, 4<<20)
		})
	}
}

// What ends a client that says nothing, or only half of its request, is the time for the handshake: 10 s, after 1 to
// 3 in the kernel for the listener that leaves connections there until something comes. New clients do not notice.
func TestSoakSilence(t *testing.T) {
	for _, tt := range []struct {
		name            string
		own             bool
		beginning       string
		soonest, latest time.Duration
	}{
		{"net/http, nothing", false, "", 9 * time.Second, 12 * time.Second},
		{"net/http, half a request", false, "GET /ws HTTP/1.1\r\nHost", 9 * time.Second, 12 * time.Second},
		{"own listener, nothing", true, "", 9 * time.Second, 16 * time.Second},
		{"own listener, half a request", true, "GET /ws HTTP/1.1\r\nHost", 9 * time.Second, 12 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startSoaked(t, soakOptions{loops: true, own: tt.own})
			s.Ask = func(ctx context.Context, _ bool) error { return askAnew(ctx, s.url, nil) }
			soonest, latest := soak.Silence(t, s.Target, 4000, tt.beginning)
			if soonest < tt.soonest || latest > tt.latest {
				t.Errorf("ended after %v to %v, want %v to %v", soonest, latest, tt.soonest, tt.latest)
			}
		})
	}
}

// soakOptions say how a server gets its connections.
type soakOptions struct{ loops, own, tls, http2 bool }

// startSoaked serves WebSockets that echo, as a program would.
func startSoaked(t *testing.T, o soakOptions) *soaked {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := tcp.Addr().String()
	s := &soaked{Target: soak.Target{Addr: addr, Path: "/ws", HTTP2: o.http2}, url: "ws://" + addr + "/ws"}
	accept := AcceptOptions{
		Compression: Compression{Mode: CompressionOn},
		KeepAlive:   KeepAlive{PingEvery: 2 * time.Second, PongTimeout: 2 * time.Second},
	}
	mux := http.NewServeMux()
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	l := tcp
	var server *Server
	if o.loops {
		h := echoing()
		h.closed = nil
		if server, err = NewServer(h, &ServerOptions{AcceptOptions: accept}); err != nil {
			t.Fatal(err)
		}
		mux.Handle("/ws", server)
		s.live = server.Sockets
	} else {
		var live atomic.Int64
		mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
			c, err := Accept(w, r, &accept)
			if err != nil {
				return
			}
			live.Add(1)
			defer live.Add(-1)
			defer func() { _ = c.CloseNow() }()
			echo(r.Context(), c)
		})
		s.live = func() int { return int(live.Load()) }
	}
	switch {
	case o.tls:
		certificate, _ := selfSigned()
		s.TLS = clientTLS()
		s.TLS.ServerName = "127.0.0.1"
		s.url, s.opts = "wss://"+addr+"/ws", &DialOptions{TLS: clientTLS()}
		l = server.ListenerTLS(tcp, &tls.Config{Certificates: []tls.Certificate{certificate}})
	case o.own:
		l = server.Listener(tcp, "/ws")
	case o.http2:
		s.opts = &DialOptions{HTTP2: true}
		web.Protocols = new(http.Protocols)
		web.Protocols.SetUnencryptedHTTP2(true)
		web.IdleTimeout = 5 * time.Second // of a network connection without streams
		web.HTTP2 = &http.HTTP2Config{WriteByteTimeout: 5 * time.Second}
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	t.Cleanup(func() {
		_, _ = l.Close(), web.Close()
		if server != nil {
			_ = server.Close()
		}
		<-ended
	})
	return s
}

// askAnew has a new client get an answer.
func askAnew(ctx context.Context, url string, opts *DialOptions) error {
	c, _, err := Dial(ctx, url, opts)
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseNow() }()
	return echoes(ctx, c)
}

// echoes sends a message and reads it back.
func echoes(ctx context.Context, c *Conn) error {
	if err := c.Write(ctx, Text, []byte("still there?")); err != nil {
		return err
	}
	_, got, err := c.Read(ctx)
	if err == nil && string(got) != "still there?" {
		err = errors.New("another echo")
	}
	return err
}
