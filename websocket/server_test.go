package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

// program is a Handler made of functions; those that are nil do nothing.
type program struct {
	open     func(s *Socket, r *http.Request)
	message  func(s *Socket, typ MessageType, p []byte)
	writable func(s *Socket)
	closed   chan error // what Close was called with, nil for nobody asks
}

func (p *program) Open(s *Socket, r *http.Request) {
	if p.open != nil {
		p.open(s, r)
	}
}

func (p *program) Message(s *Socket, typ MessageType, msg []byte) {
	if p.message != nil {
		p.message(s, typ, msg)
	}
}

func (p *program) Writable(s *Socket) {
	if p.writable != nil {
		p.writable(s)
	}
}

func (p *program) Close(_ *Socket, err error) {
	if p.closed != nil {
		p.closed <- err
	}
}

// echoing is a program that sends every message back.
func echoing() *program {
	return &program{
		message: func(s *Socket, typ MessageType, p []byte) { _ = s.Write(typ, p) },
		closed:  make(chan error, 10),
	}
}

// eachDriver runs a test on epoll, where there is one, and on goroutines.
func eachDriver(t *testing.T, test func(t *testing.T, portable bool)) {
	t.Run("native", func(t *testing.T) { test(t, false) })
	t.Run("portable", func(t *testing.T) { test(t, true) })
}

// eachWay runs a test on the drivers of [eachDriver] behind net/http, and behind the
// server's own listener.
func eachWay(t *testing.T, h Handler, opts ServerOptions, test func(t *testing.T, url string)) {
	eachDriver(t, func(t *testing.T, portable bool) {
		opts := opts
		opts.Portable = portable
		test(t, newServer(t, h, opts).listen(t))
	})
	t.Run("own listener", func(t *testing.T) { test(t, newServer(t, h, opts).listenItself(t)) })
}

// newServer starts a server with one loop.
func newServer(t testing.TB, h Handler, opts ServerOptions) *Server {
	t.Helper()
	if opts.Loops == 0 {
		opts.Loops = 1
	}
	s, err := NewServer(h, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// listen serves s over TCP and returns its ws URL.
func (s *Server) listen(t *testing.T) string {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http")
}

// dialRaw completes a handshake over TCP and returns the bare connection.
func dialRaw(t *testing.T, url string) net.Conn {
	t.Helper()
	host := strings.TrimPrefix(url, "ws://")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	shake(t, nc, host)
	return nc
}

// shake completes a handshake on a bare connection.
func shake(t *testing.T, nc net.Conn, host string) {
	t.Helper()
	request := wire.AppendRequest(nil, wire.Request{Host: host, Key: "dGhlIHNhbXBsZSBub25jZQ=="})
	if _, err := nc.Write(request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(nc, 16), nil) // reads no byte too many
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v", response, err)
	}
}

// attachPipe gives one end of a connection in memory to the server and returns the other.
func (s *Server) attachPipe(t *testing.T) net.Conn {
	t.Helper()
	return s.attachAgreed(t, wire.Response{})
}

// attachAgreed is attachPipe for a handshake that was answered with response.
func (s *Server) attachAgreed(t testing.TB, response wire.Response) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = b.Close() })
	s.attach(a, &accepted{request: httptest.NewRequest("GET", "/", nil), response: response, answered: true})
	return b
}

// wantEnd asserts that the peer of a bare connection has ended it.
func wantEnd(t *testing.T, nc net.Conn) {
	t.Helper()
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the close: %d bytes, %v; want the end", n, err)
	}
}

func TestServerEchoes(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		c := dial(t, newServer(t, h, ServerOptions{Portable: portable}).listen(t), nil)
		c.SetReadLimit(0)
		for _, n := range []int{0, 5, 125, 126, 4096, 65535, 65536, 100_000, DefaultReadLimit} {
			msg := strings.Repeat("x", n)
			c.say(t, Text, msg)
			c.want(t, Text, msg)
			c.say(t, Binary, msg)
			c.want(t, Binary, msg)
		}
		if err := c.Ping(pinging(t, c)); err != nil {
			t.Error(err)
		}
		if err := c.Close(CloseNormal, "done"); err != nil {
			t.Error(err)
		}
		wantClosed(t, <-h.closed, CloseNormal, "done")
	})
}

// pinging reads on, for a pong, and returns the test's context.
func pinging(t *testing.T, c *Conn) context.Context {
	t.Helper()
	go func() { _, _, _ = c.Read(t.Context()) }()
	return t.Context()
}

// TestServerRules holds the bytes an echoing server answers to the bytes of a client, at
// once and byte by byte. Sections are those of RFC 6455.
func TestServerRules(t *testing.T) {
	closeWith := func(code CloseCode, rule string) string {
		return string(wire.AppendClose(nil, code, rule))
	}
	tests := []struct{ section, rule, in, want string }{
		{"5.1", "unmasked", "\x81\x01a", closeWith(1002, "wrong masking for this role (§5.1)")},
		{"5.2", "reserved bit", "\xc1\x80\x00\x00\x00\x00", closeWith(1002, "reserved bit set without an extension (§5.2)")},
		{"5.2", "reserved opcode", "\x83\x80\x00\x00\x00\x00", closeWith(1002, "reserved opcode (§5.2)")},
		{"5.2", "top bit of the length", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", closeWith(1002, "top bit of the 64-bit length set (§5.2)")},
		{"5.4", "fragments and a ping between", "\x01\x81\x00\x00\x00\x00a\x89\x81\x00\x00\x00\x00p\x80\x81\x00\x00\x00\x00b", "\x8a\x01p\x81\x02ab"},
		{"5.4", "continuation of nothing", "\x80\x80\x00\x00\x00\x00", closeWith(1002, "continuation without a message to continue (§5.4)")},
		{"5.4", "message in a message", "\x01\x81\x00\x00\x00\x00a\x81\x81\x00\x00\x00\x00b", closeWith(1002, "new message inside a fragmented one (§5.4)")},
		{"5.5", "fragmented ping", "\x09\x80\x00\x00\x00\x00", closeWith(1002, "fragmented control frame (§5.5)")},
		{"5.5.1", "code is echoed", string(masked(wire.Close, "\x0f\xa1bye")), "\x88\x02\x0f\xa1"},
		{"5.5.1", "close without code", string(masked(wire.Close, "")), "\x88\x00"},
		{"5.5.1", "close of one byte", string(masked(wire.Close, "\x03")), closeWith(1002, "close payload of one byte (§5.5.1)")},
		{"5.5.2", "pings", string(slices.Concat(masked(wire.Ping, ""), masked(wire.Ping, "x"))), "\x8a\x00\x8a\x01x"},
		{"5.5.3", "unasked pong", string(slices.Concat(masked(wire.Pong, "x"), masked(wire.Text, "a"))), "\x81\x01a"},
		{"7.4", "code that must not be sent", string(masked(wire.Close, "\x03\xed")), closeWith(1002, "close code that must not be sent (§7.4)")},
		{"8.1", "text that is not UTF-8", string(masked(wire.Text, "a\xff")), closeWith(1007, "text is not UTF-8 (§8.1)")},
		{"8.1", "a character over fragments", "\x01\x81\x00\x00\x00\x00\xc3\x80\x81\x00\x00\x00\x00\xa4", "\x81\x02ä"},
		{"10.4", "over the limit", "\x82\xfe\x03\xe9\x00\x00\x00\x00", closeWith(1009, "message over the size limit (§10.4)")},
	}
	eachWay(t, &program{message: echoing().message}, ServerOptions{MaxMessageBytes: 1000}, func(t *testing.T, url string) {
		for _, tt := range tests {
			t.Run("§"+tt.section+" "+tt.rule, func(t *testing.T) {
				for _, size := range []int{len(tt.in), 1} {
					nc := dialRaw(t, url)
					for part := range slices.Chunk([]byte(tt.in), size) {
						sendBytes(t, nc, part...)
					}
					wantBytes(t, nc, tt.want)
					if strings.Contains(tt.want, "\x88") {
						wantEnd(t, nc)
					}
				}
			})
		}
	})
}

// §5.5.1: what comes behind a close frame is not read.
func TestServerStopsAtTheCloseFrame(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		nc := dialRaw(t, newServer(t, echoing(), ServerOptions{Portable: portable}).listen(t))
		sendBytes(t, nc, slices.Concat(masked(wire.Text, "a"), masked(wire.Close, "\x03\xe8"), masked(wire.Text, "b"))...)
		wantBytes(t, nc, "\x81\x01a\x88\x02\x03\xe8")
		wantEnd(t, nc)
	})
}

// A batch of requests that comes in one read is answered by one write.
func TestServerGathersWrites(t *testing.T) {
	nc := &countingConn{}
	var peer net.Conn
	nc.Conn, peer = net.Pipe()
	s := newServer(t, echoing(), ServerOptions{})
	s.attach(nc, &accepted{request: httptest.NewRequest("GET", "/", nil), answered: true})
	t.Cleanup(func() { _ = peer.Close() })

	var in []byte
	want := ""
	for i := range 16 {
		msg := fmt.Sprintf("message %d", i)
		in = append(in, masked(wire.Text, msg)...)
		want += string(wire.AppendFrame(nil, wire.Text, []byte(msg)))
	}
	sendBytes(t, peer, in...)
	wantBytes(t, peer, want)
	if len(nc.writes) != 1 {
		t.Errorf("%d writes of %v bytes, want one", len(nc.writes), nc.writes)
	}
}

// countingConn notes the size of each write.
type countingConn struct {
	net.Conn
	writes []int
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes = append(c.writes, len(b)) // before the peer has the bytes
	return c.Conn.Write(b)
}

// What a client sends behind its request, before the response, is its first message; and
// Open comes before it.
func TestServerReadsEarlyMessages(t *testing.T) {
	h := &program{message: echoing().message}
	h.open = func(s *Socket, r *http.Request) {
		s.Data = r.URL.Query().Get("name")
		_ = s.Write(Text, []byte("hello "+s.Data.(string)))
	}
	eachWay(t, h, ServerOptions{}, func(t *testing.T, url string) {
		host := strings.TrimPrefix(url, "ws://")
		nc, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		request := wire.AppendRequest(nil, wire.Request{Host: host, Target: "/?name=x", Key: "dGhlIHNhbXBsZSBub25jZQ=="})
		sendBytes(t, nc, append(request, masked(wire.Text, "early")...)...)
		response := string(wire.AppendResponse(nil, "dGhlIHNhbXBsZSBub25jZQ==", "", nil))
		wantBytes(t, nc, response+"\x81\x07hello x\x81\x05early")
	})
}

// §7.1.2: the server begins the closing handshake.
func TestServerClosesProperly(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		h.message = func(s *Socket, _ MessageType, _ []byte) {
			if err := s.Close(999, ""); err == nil {
				t.Error("code 999 could be sent")
			}
			_ = s.Write(Text, []byte("last"))
			if err := s.Close(4000, "enough"); err != nil {
				t.Error(err)
			}
			for _, err := range []error{s.Write(Text, nil), s.Ping(nil), s.Close(CloseNormal, "")} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("behind the close: %v", err)
				}
			}
		}
		nc := dialRaw(t, newServer(t, h, ServerOptions{Portable: portable}).listen(t))
		sendBytes(t, nc, append(masked(wire.Text, "a"), masked(wire.Text, "dropped")...)...)
		wantBytes(t, nc, "\x81\x04last\x88\x08\x0f\xa0enough")
		sendBytes(t, nc, masked(wire.Text, "dropped")...)
		sendBytes(t, nc, masked(wire.Close, "\x0f\xa0")...)
		wantEnd(t, nc)
		_ = nc.Close()
		if err := <-h.closed; err != nil {
			t.Errorf("the handler was told %v, want nothing wrong", err)
		}
	})
}

// §7.1.4: without a close frame an end is not clean.
func TestServerReportsWhyASocketEnded(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		h.message = func(s *Socket, _ MessageType, p []byte) {
			switch string(p) {
			case "panic":
				panic("in the handler")
			case "now":
				s.CloseNow()
			}
		}
		s := newServer(t, h, ServerOptions{Portable: portable})
		url := s.listen(t)

		nc := dialRaw(t, url)
		_ = nc.Close()
		wantClosed(t, <-h.closed, CloseAbnormal, "")

		nc = dialRaw(t, url)
		sendBytes(t, nc, 0xff, 0xff)
		wantBytes(t, nc, "\x88")
		_ = nc.Close() // else it is read on for a while
		var rule *wire.Error
		if err := <-h.closed; !errors.As(err, &rule) || rule.Code != CloseProtocolError {
			t.Errorf("a broken rule: %v", err)
		}

		other := dial(t, url, nil)
		testproc.Until(t, "the server to have it", func() bool { return s.Sockets() == 1 }) // its answer comes before
		nc = dialRaw(t, url)
		sendBytes(t, nc, masked(wire.Text, "panic")...)
		var panicked *PanicError
		if err := <-h.closed; !errors.As(err, &panicked) || panicked.Value != "in the handler" {
			t.Errorf("a panic: %v", err)
		}
		wantEnd(t, nc)

		nc = dialRaw(t, url)
		sendBytes(t, nc, masked(wire.Text, "now")...)
		if err := <-h.closed; err != nil {
			t.Errorf("CloseNow: %v", err)
		}
		wantEnd(t, nc)

		// It may be the last to reach the loop: its client was answered before it was posted.
		testproc.Until(t, "the other one alone", func() bool { return s.Sockets() == 1 })
		_ = s.Close()
		if err := <-h.closed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server's close: %v", err)
		}
		_ = other.CloseNow()
	})
}

func TestServerPanicInOpen(t *testing.T) {
	h := echoing()
	h.open = func(*Socket, *http.Request) { panic("in Open") }
	nc := dialRaw(t, newServer(t, h, ServerOptions{}).listen(t))
	wantEnd(t, nc)
	var panicked *PanicError
	if err := <-h.closed; !errors.As(err, &panicked) {
		t.Errorf("%v", err)
	}
}

func TestServerShutdown(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		s := newServer(t, h, ServerOptions{Portable: portable, Loops: 2})
		url := s.listen(t)
		var clients []*Conn
		for range 4 {
			c := dial(t, url, nil)
			c.say(t, Text, "x")
			c.want(t, Text, "x")
			clients = append(clients, c)
		}
		shut := run(func() error { return s.Shutdown(t.Context()) })
		for _, c := range clients {
			_, _, err := c.Read(t.Context())
			wantClosed(t, err, CloseGoingAway, "")
		}
		if err := shut(); err != nil {
			t.Error(err)
		}
		_, response, err := Dial(t.Context(), url, nil)
		if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a handshake after Shutdown: %v, %v", response, err)
		}
		if s.Post(0, func() {}) {
			t.Error("Post after Close is accepted")
		}
	})
}

// A handshake that is on its way to its loop when Shutdown begins is answered, and closed as the others are.
func TestServerShutdownWaitsForWhoArrives(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		s := newServer(t, h, ServerOptions{Portable: portable, Loops: 1})
		busy, free := make(chan struct{}), make(chan struct{})
		s.Post(0, func() { close(busy); <-free })
		<-busy
		handed := make(chan struct{})
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.ServeHTTP(w, r)
			close(handed)
		}))
		t.Cleanup(web.Close)
		url := "ws" + strings.TrimPrefix(web.URL, "http")
		var c *Conn
		dialed := run(func() (err error) {
			c, _, err = Dial(t.Context(), url, nil)
			return err
		})
		<-handed
		shut := run(func() error { return s.Shutdown(t.Context()) })
		testproc.Until(t, "Shutdown to begin", s.closing.Load)
		close(free)
		if err := dialed(); err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		_, _, err := c.Read(t.Context())
		wantClosed(t, err, CloseGoingAway, "")
		if err := shut(); err != nil {
			t.Error(err)
		}
	})
}

func TestServerShutdownEndsWithItsContext(t *testing.T) {
	h, opened := echoing(), make(chan struct{})
	h.open = func(*Socket, *http.Request) { close(opened) }
	s := newServer(t, h, ServerOptions{})
	nc := dialRaw(t, s.listen(t))
	<-opened
	ctx, cancel := context.WithCancel(t.Context())
	shut := run(func() error { return s.Shutdown(ctx) })
	wantBytes(t, nc, "\x88\x02\x03\xe9")
	cancel() // the peer does not answer
	if err := shut(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the end of the context", err)
	}
	wantEnd(t, nc)
}

func TestServerOptionsAreChecked(t *testing.T) {
	for _, opts := range []ServerOptions{
		{AcceptOptions: AcceptOptions{Subprotocols: make([]string, 256)}},
		{PendingPolicy: 3},
		{AcceptOptions: AcceptOptions{Compression: Compression{WindowBits: 8}}},
		{AcceptOptions: AcceptOptions{Compression: Compression{WindowBits: 16}}},
	} {
		if s, err := NewServer(echoing(), &opts); err == nil {
			_ = s.Close()
			t.Errorf("%+v was accepted", opts)
		}
	}
}

// §4.2.2: one that the client offered, or none.
func TestServerSubprotocol(t *testing.T) {
	h := echoing()
	h.open = func(s *Socket, _ *http.Request) { _ = s.Write(Text, []byte(s.Subprotocol())) }
	url := newServer(t, h, ServerOptions{AcceptOptions: AcceptOptions{Subprotocols: []string{"a", "b"}}}).listen(t)
	for _, want := range []string{"b", ""} {
		opts := &DialOptions{}
		if want != "" {
			opts.Subprotocols = []string{"x", want}
		}
		c := dial(t, url, opts)
		c.want(t, Text, want)
	}
}
