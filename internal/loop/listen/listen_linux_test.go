package listen

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/internal/loop"
	"hocket.dev/internal/testproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n"
	plain   = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
)

// echo is the owner of a connection that was kept: it answers with what it reads.
type echo struct{ loop.Conn }

func (e *echo) Read(b []byte) { e.Write(b) }
func (e *echo) Flush()        {}
func (e *echo) Alarm()        { panic("an alarm that nobody has set") }
func (e *echo) Closed(error)  {}

// keep takes every request for /ws.
func keep(p *Pending, r *http.Request) bool {
	if r.URL.Path != "/ws" {
		return false
	}
	e := new(echo)
	p.Accept([]byte("kept "+r.RemoteAddr+"\n"), &e.Conn, e)
	return true
}

// start listens on two loops.
func start(t *testing.T, cfg Config) *Listener {
	t.Helper()
	g, err := loop.New(loop.Config{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Loops = g
	if cfg.Upgrade == nil {
		cfg.Upgrade = keep
	}
	li := New(tcp, cfg)
	if !li.OnLoops() {
		t.Fatal("connections are not accepted on loops")
	}
	t.Cleanup(func() { li.Close() })
	return li
}

func dial(t *testing.T, li *Listener) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", li.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

func send(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(nc, s); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	got := make([]byte, len(s))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != s {
		t.Fatalf("read %q, %v; want %q", got, err, s)
	}
}

// A request that is kept, in one piece and byte by byte, with bytes behind it and without.
func TestKeptRequest(t *testing.T) {
	li := start(t, Config{})
	for range 20 {
		nc := dial(t, li)
		send(t, nc, upgrade+"early")
		want(t, nc, "kept "+nc.LocalAddr().String()+"\nearly")
		send(t, nc, "later")
		want(t, nc, "later")
	}
	nc := dial(t, li)
	for i := range upgrade {
		send(t, nc, upgrade[i:i+1])
	}
	want(t, nc, "kept "+nc.LocalAddr().String()+"\n")
	send(t, nc, "later")
	want(t, nc, "later")
}

// What is not kept comes out of Accept as it came in, when its head is whole or cannot be one.
func TestEverythingElseIsPassedOn(t *testing.T) {
	li := start(t, Config{})
	for _, in := range []string{
		plain,
		"POST /ws HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhello",
		"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhello",
		"GET /ws HTTP/1.0\r\nHost: a\r\nUpgrade: x\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n",
		"GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\n",
		"\x16\x03\x01",
		"GET /" + strings.Repeat("x", maxHeadBytes),
	} {
		nc := dial(t, li)
		send(t, nc, in)
		got, err := li.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, plainTCP := got.(*net.TCPConn); !plainTCP {
			t.Errorf("%T, want what net/http knows", got)
		}
		want(t, got, in)
		if got.RemoteAddr().String() != nc.LocalAddr().String() {
			t.Errorf("the peer is %v, want %v", got.RemoteAddr(), nc.LocalAddr())
		}
		got.Close()
	}
}

// A client that does not finish its request is closed, holds no goroutine until then, and the oldest goes first when there are
// too many.
func TestSlowRequests(t *testing.T) {
	li := start(t, Config{HeadTimeout: 2 * time.Second, MaxPending: 3})
	nc := dial(t, li)
	send(t, nc, upgrade)
	want(t, nc, "kept "+nc.LocalAddr().String()+"\n")
	before := runtime.NumGoroutine()
	begun := time.Now()
	var slow []net.Conn
	for range 7 { // at most 6 may stay, 3 on each loop
		nc := dial(t, li)
		send(t, nc, "GET ")
		slow = append(slow, nc)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more for connections without a request", n-before)
	}
	for _, nc := range slow {
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	if took := time.Since(begun); took < 2*time.Second || took > 9*time.Second {
		t.Errorf("the last one was closed after %v, want 2 to 3 s (and by default it is 10)", took)
	}
	send(t, nc, "still there") // its time for the request has passed, too
	want(t, nc, "still there")
}

// A request that comes in two parts is kept as well.
func TestRequestInTwoParts(t *testing.T) {
	li := start(t, Config{HeadTimeout: 4 * time.Minute})
	nc := dial(t, li)
	send(t, nc, upgrade[:4])
	testproc.Until(t, "half a request", func() bool { return li.pending() == 1 })
	send(t, nc, upgrade[4:])
	want(t, nc, "kept "+nc.LocalAddr().String()+"\n")
}

// pending counts the connections without a whole head.
func (li *Listener) pending() int {
	n := make(chan int, len(li.perLoop))
	for i := range li.perLoop {
		li.cfg.Loops.Loop(i).Post(func() { n <- li.perLoop[i].Len() })
	}
	return <-n + <-n
}

func TestPendingIsBounded(t *testing.T) {
	li := start(t, Config{HeadTimeout: 4 * time.Minute, MaxPending: 1})
	first := dial(t, li)
	send(t, first, "GET ")
	for range 2 { // one of them is on the same loop
		send(t, dial(t, li), "GET ")
	}
	testproc.Until(t, "the listener to hold one for each loop", func() bool { return li.pending() <= 2 })
}

// Of one address there may be so many, unless it is that of many clients.
func TestPendingOfAnAddressIsBounded(t *testing.T) {
	for most, exempt := range map[int]func(netip.Addr) bool{2: nil, 6: loopback} {
		li := start(t, Config{HeadTimeout: 4 * time.Minute, MaxPendingPerAddress: 1, Exempt: exempt})
		for range 6 {
			send(t, dial(t, li), "GET ")
		}
		client := dial(t, li)
		send(t, client, upgrade)
		want(t, client, "kept "+client.LocalAddr().String()+"\n")
		testproc.Until(t, "the rest to be closed", func() bool { return li.pending() <= most })
		if n := li.pending(); exempt != nil && n != most {
			t.Errorf("%d are left of 6", n)
		}
	}
}

// A client that goes before its request is whole leaves nothing behind.
func TestClientThatGoes(t *testing.T) {
	li := start(t, Config{HeadTimeout: 4 * time.Minute})
	for range 10 {
		nc := dial(t, li)
		send(t, nc, "GET ")
		nc.Close()
		nc = dial(t, li)
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	testproc.Until(t, "all connections to be forgotten", func() bool {
		return li.cfg.Loops.Loop(0).Stats().Conns+li.cfg.Loops.Loop(1).Stats().Conns == 0
	})
}

func TestCloseEndsEverything(t *testing.T) {
	li := start(t, Config{HeadTimeout: 4 * time.Minute})
	slow, waiting, kept := dial(t, li), dial(t, li), dial(t, li)
	send(t, slow, "GET ")
	send(t, waiting, plain)
	send(t, kept, upgrade)
	want(t, kept, "kept "+kept.LocalAddr().String()+"\n")
	testproc.Until(t, "the other request to wait for Accept", func() bool {
		li.mu.Lock()
		defer li.mu.Unlock()
		return len(li.waiting) == 1
	})
	accepted := make(chan error, 1)
	go func() {
		nc, err := li.Accept()
		if err == nil {
			nc.Close()
			_, err = li.Accept()
		}
		accepted <- err
	}()
	li.Close()
	li.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	for _, nc := range []net.Conn{slow, waiting} {
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("a connection was left open")
		}
	}
	send(t, kept, "still there")
	want(t, kept, "still there")
	if nc, err := net.Dial("tcp", li.Addr().String()); err == nil {
		nc.Close()
		t.Error("a connection is accepted after Close")
	}
}

// What package net still held of the listener would wake it for each connection.
func TestTheListenerIsTakenOver(t *testing.T) {
	li := start(t, Config{})
	if nc, err := li.Listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener that was given accepts %v, %v", nc, err)
	}
	nc := dial(t, li)
	send(t, nc, upgrade)
	want(t, nc, "kept "+nc.LocalAddr().String()+"\n")
}

// Behind the listener net/http works as ever.
func TestHTTPServerBehind(t *testing.T) {
	li := start(t, Config{})
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(body))
	})}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(li) }()
	nc := dial(t, li)
	br := bufio.NewReader(nc)
	for range 3 { // one after the other on one connection
		send(t, nc, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		response, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(response.Body); string(body) != "POST /a hi" {
			t.Errorf("%q", body)
		}
	}
	web.Close()
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// Where the loops do not accept, the listener that does is the guarded one.
func TestGuardWhereLoopsDoNotAccept(t *testing.T) {
	g, err := loop.New(loop.Config{Portable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guarded := errors.New("guarded")
	li := New(tcp, Config{Loops: g, Guard: func(l net.Listener) net.Listener { return guard{l, guarded} }})
	t.Cleanup(func() { li.Close() })
	if _, err := li.Accept(); li.OnLoops() || err != guarded {
		t.Errorf("on loops: %v, error %v", li.OnLoops(), err)
	}
	if li := start(t, Config{Guard: func(net.Listener) net.Listener { panic("the loops have a spare of their own") }}); !li.OnLoops() {
		t.Error("not on loops")
	}
}

// A guard fails at every Accept.
type guard struct {
	net.Listener
	err error
}

func (g guard) Accept() (net.Conn, error) { return nil, g.err }
