package loop

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// With LOOPTEST set this program is the server its tests start.
func TestMain(m *testing.M) {
	if os.Getenv("LOOPTEST") == "serve" {
		if err := serveFull(); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// A driver is one way to serve a connection. The suite runs over all of them: what holds for one holds for the others.
type driver struct {
	name string
	with Config
	pair func(t *testing.T) (server, client net.Conn)
	tcp  bool
	// seals says that what Write has accepted may wait for the loop to send it.
	seals bool
}

var drivers = []driver{
	{name: "native", pair: tcpPair, tcp: true}, // epoll on Linux
	{name: "portable", with: Config{Portable: true}, pair: tcpPair, tcp: true},
	{name: "pipe on native", pair: pipePair},
	{name: "TLS 1.3", pair: tlsPair, tcp: true, seals: true},
	{name: "TLS 1.2", pair: tls12Pair, tcp: true, seals: true},
	{name: "TLS on portable", with: Config{Portable: true}, pair: tlsPair, tcp: true},
}

func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	server, client, err := dialSelf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server, client
}

func dialSelf() (server, client net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	if server, err = ln.Accept(); err != nil {
		client.Close()
		return nil, nil, err
	}
	return server, client, nil
}

func pipePair(t *testing.T) (server, client net.Conn) {
	server, client = net.Pipe()
	t.Cleanup(func() { client.Close() })
	return server, client
}

// A bench is a group of one loop under one driver, with a clock that only the test moves.
type bench struct {
	driver
	*Loop
	group *Group
	clock atomic.Int64
}

func eachDriver(t *testing.T, test func(t *testing.T, b *bench)) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) { test(t, newBench(t, d)) })
	}
}

func eachTCPDriver(t *testing.T, test func(t *testing.T, b *bench)) {
	for _, d := range drivers {
		if d.tcp {
			t.Run(d.name, func(t *testing.T) { test(t, newBench(t, d)) })
		}
	}
}

func newBench(t *testing.T, d driver) *bench {
	t.Helper()
	b := &bench{driver: d}
	cfg := d.with
	cfg.Loops = 1
	cfg.now = func() time.Duration { return time.Duration(b.clock.Load()) }
	if cfg.OnPanic == nil {
		cfg.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	b.group, b.Loop = g, g.Loop(0)
	return b
}

// advance moves the clock. The loop sees it in its next turn.
func (b *bench) advance(d time.Duration) { b.clock.Add(int64(d)) }

// do runs fn on the loop and returns when the turn is over.
func (b *bench) do(fn func()) {
	done := make(chan struct{})
	b.Post(fn)
	b.Post(func() { b.Post(func() { close(done) }) })
	<-done
}

// An owner is a handler made of functions; those that are nil do nothing.
type owner struct {
	Conn
	read   func(b []byte)
	flush  func()
	alarm  func()
	closed chan error
}

func (o *owner) Read(b []byte) {
	if o.read != nil {
		o.read(b)
	}
}

func (o *owner) Flush() {
	if o.flush != nil {
		o.flush()
	}
}

func (o *owner) Alarm() {
	if o.alarm != nil {
		o.alarm()
	}
}

func (o *owner) Closed(err error) {
	o.closed <- err
	close(o.closed) // a second call panics
}

// attach gives o one end of a new connection and returns the other.
func (b *bench) attach(t *testing.T, o *owner) net.Conn {
	t.Helper()
	server, client := b.pair(t)
	o.closed = make(chan error, 1)
	if err := b.Attach(&o.Conn, server, o); err != nil {
		t.Fatal(err)
	}
	b.do(func() {})
	return client
}

// An echo answers with what it reads, and keeps what the connection does not take.
type echo struct {
	owner
	unsent []byte
}

func newEcho() *echo {
	e := &echo{}
	e.read = func(b []byte) {
		e.unsent = append(e.unsent, b...)
		e.Wake()
	}
	e.flush = func() {
		n, _ := e.Write(e.unsent)
		e.unsent = e.unsent[n:]
	}
	return e
}

// attachEcho attaches an echo, for [ping].
func (b *bench) attachEcho(t *testing.T) net.Conn {
	t.Helper()
	return b.attach(t, &newEcho().owner)
}

// ping sends a byte to an echo and waits for it: the loop has then seen what was sent on this machine before.
func ping(t *testing.T, client net.Conn) {
	t.Helper()
	mustWrite(t, client, "p")
	wantRead(t, client, "p")
}

func mustWrite(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	if _, err := nc.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func wantEOF(t *testing.T, nc net.Conn) {
	t.Helper()
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}
