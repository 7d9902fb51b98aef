package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hocket.dev/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts an HTTP server whose every request is accepted and given to handle. It
// returns the server's ws URL.
func serve(t *testing.T, opts *AcceptOptions, handle func(ctx context.Context, c *Conn)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		handle(r.Context(), c)
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// echo sends every message back until the connection ends.
func echo(ctx context.Context, c *Conn) {
	for {
		typ, msg, err := c.Read(ctx)
		if err != nil {
			return
		}
		if c.Write(ctx, typ, msg) != nil {
			return
		}
	}
}

func dial(t *testing.T, url string, opts *DialOptions) *Conn {
	t.Helper()
	c, _, err := Dial(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// pair returns the two ends of a connection in memory.
func pair(t *testing.T) (server, client *Conn) {
	t.Helper()
	a, b := net.Pipe()
	server, client = newConn(a, wire.Server, "", nil), newConn(b, wire.Client, "", nil)
	t.Cleanup(func() { _, _ = server.CloseNow(), client.CloseNow() })
	return server, client
}

// raw returns a server's Conn and the bare connection of its peer.
func raw(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	c := newConn(a, wire.Server, "", nil)
	t.Cleanup(func() { _, _ = c.CloseNow(), b.Close() })
	return c, b
}

func (c *Conn) want(t *testing.T, typ MessageType, msg string) {
	t.Helper()
	gotType, got, err := c.Read(t.Context())
	if err != nil || gotType != typ || string(got) != msg {
		t.Fatalf("read %v %.40q (%d bytes), %v; want %v %.40q (%d bytes)", gotType, got, len(got), err, typ, msg, len(msg))
	}
}

func (c *Conn) say(t *testing.T, typ MessageType, msg string) {
	t.Helper()
	if err := c.Write(t.Context(), typ, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

// wantClosed asserts that the peer closed with the code.
func wantClosed(t *testing.T, err error, code CloseCode, reason string) {
	t.Helper()
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Reason != reason {
		t.Errorf("error %v, want a close with %d %q", err, code, reason)
	}
}

// sendBytes writes to a bare connection, wantBytes reads exactly s from it.
func sendBytes(t *testing.T, nc net.Conn, b ...byte) {
	t.Helper()
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

func wantBytes(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	got := make([]byte, len(s))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != s {
		t.Fatalf("received % x (%v), want % x", got, err, s)
	}
}

// masked is a frame as a client sends it.
func masked(op wire.Opcode, payload string) []byte {
	return wire.AppendMaskedFrame(nil, op, [4]byte{1, 2, 3, 4}, []byte(payload))
}

// allocations is the average number of allocations of f. It is measured anew when there are some, because they may be
// those of what earlier tests have left to end: f's own come every time.
func allocations(runs int, f func()) (least float64) {
	least = testing.AllocsPerRun(runs, f)
	for try := 0; try < 20 && least > 0; try++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

// run starts f and returns a function that waits for its result.
func run[T any](f func() T) (wait func() T) {
	result := make(chan T, 1)
	go func() { result <- f() }()
	return func() T { return <-result }
}
