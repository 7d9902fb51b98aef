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
	addr := l.Addr().String()
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

	innocent := dial(t, "ws://"+addr+"/ws", nil)
	target := soak.Target{Addr: addr, Path: "/ws", Ask: func(ctx context.Context, fresh bool) error {
		c := innocent
		if fresh {
			var err error
			if c, _, err = Dial(ctx, "ws://"+addr+"/ws", nil); err != nil {
				return err
			}
			defer func() { _ = c.CloseNow() }()
		}
		return echoes(ctx, c)
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
