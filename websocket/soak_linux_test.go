//go:build soak

package websocket

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"hocket.dev/internal/soak"
	"hocket.dev/internal/testproc"
)

// A hundred thousand connections that come and go in odd ways leave nothing behind, and nobody waits for them.
func TestSoak(t *testing.T) {
	for name, own := range map[string]bool{"net/http": false, "own listener": true} {
		t.Run(name, func(t *testing.T) { soakServer(t, own) })
	}
}

func soakServer(t *testing.T, own bool) {
	s, addr := startSoaked(t, own)
	innocent := dial(t, "ws://"+addr+"/ws", nil)
	target := soak.Target{Addr: addr, Path: "/ws", Ask: func(ctx context.Context, fresh bool) error {
		if fresh {
			return askAnew(ctx, addr)
		}
		return echoes(ctx, innocent)
	}}
	quiet := func() {
		testproc.Until(t, "only the innocent socket to be left", func() bool { return s.Sockets() == 1 })
	}
	soak.Storm(t, target, 2000)
	quiet()
	before := soak.Measure(t)
	soak.Storm(t, target, 100_000)
	quiet()
	before.WantBack(t, 1<<20, 16<<20)
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
			_, addr := startSoaked(t, tt.own)
			target := soak.Target{Addr: addr, Path: "/ws", Ask: func(ctx context.Context, _ bool) error { return askAnew(ctx, addr) }}
			soonest, latest := soak.Silence(t, target, 4000, tt.beginning)
			if soonest < tt.soonest || latest > tt.latest {
				t.Errorf("ended after %v to %v, want %v to %v", soonest, latest, tt.soonest, tt.latest)
			}
		})
	}
}

// startSoaked serves sockets that echo under /ws, as a program would, and returns the address.
func startSoaked(t *testing.T, own bool) (s *Server, addr string) {
	t.Helper()
	h := echoing()
	h.closed = nil
	s, err := NewServer(h, &ServerOptions{AcceptOptions: AcceptOptions{
		Compression: Compression{Mode: CompressionOn},
		KeepAlive:   KeepAlive{PingEvery: 2 * time.Second, PongTimeout: 2 * time.Second},
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if own {
		l = s.Listener(l, "/ws")
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", s)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	t.Cleanup(func() {
		_, _, _ = l.Close(), web.Close(), s.Close()
		<-ended
	})
	return s, addr
}

// askAnew has a new client get an answer.
func askAnew(ctx context.Context, addr string) error {
	c, _, err := Dial(ctx, "ws://"+addr+"/ws", nil)
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
