//go:build soak

package hocket_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/internal/soak"
	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// The whole server, set up as `hocket serve` does, is left as it was by a hundred thousand connections that come and go in odd
// ways, and serves its one session all along.
func TestSoak(t *testing.T) {
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond,
		PingEvery: 2 * time.Second, PongTimeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := srv.Listener(tcp, nil)
	web := &http.Server{Handler: srv, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		srv.Close(context.Background())
		web.Close()
		<-ended
	})

	addr := tcp.Addr().String()
	innocent, err := connectSession(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer innocent.CloseNow()
	target := soak.Target{Addr: addr, Path: "/v1/ws", Ask: func(ctx context.Context, fresh bool) error {
		c := innocent
		if fresh {
			var err error
			if c, err = connectSession(ctx, addr); err != nil {
				return err
			}
			defer c.CloseNow()
		}
		return say(ctx, c, `{"type":"ping","id":2}`, `"id":2`)
	}}
	quiet := func() {
		testproc.Until(t, "only the innocent session to be left", func() bool { return srv.Sessions() == 1 })
	}
	soak.Storm(t, target, 10_000) // as many are open at once as later on
	quiet()
	before := soak.Measure(t)
	soak.Storm(t, target, 100_000)
	quiet()
	before.WantBack(t, 1<<20, 4<<20)
}

func connectSession(ctx context.Context, addr string) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(ctx, "ws://"+addr+"/v1/ws", nil)
	if err != nil {
		return nil, err
	}
	return c, say(ctx, c, `{"type":"connect","id":1,"payload":{}}`, `"id":1`)
}

// say sends a command and waits for what has that in it: the session says other things by itself.
func say(ctx context.Context, c *websocket.Conn, command, want string) error {
	if err := c.Write(ctx, websocket.Text, []byte(command)); err != nil {
		return err
	}
	for {
		_, reply, err := c.Read(ctx)
		if err != nil || strings.Contains(string(reply), want) {
			return err
		}
	}
}
