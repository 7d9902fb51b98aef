package websocket

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/loop"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
	"hocket.dev/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eachDriver runs a test over sockets, once with descriptors where the system has that driver and once without.
func eachDriver(t *testing.T, test func(t *testing.T, portable bool)) {
	t.Run("native", func(t *testing.T) { test(t, false) })
	t.Run("portable", func(t *testing.T) { test(t, true) })
}

// settings are what a test may change of a server.
type settings struct {
	session   session.Config
	transport Config
	loops     loop.Config
}

// server is the transport with all it stands on.
type server struct {
	*Transport
	node   *session.Node
	hub    *hub.Hub
	loops  *loop.Group
	broker *broker.Memory
	panics chan any            // of posted functions
	sleep  func(time.Duration) // in virtual time; nil elsewhere
}

func start(t *testing.T, portable bool, change func(*settings)) *server {
	t.Helper()
	s := &server{broker: broker.NewMemory(broker.MemoryConfig{}), panics: make(chan any, 10)}
	rules, err := rule.Compile(nil, rule.Rule{History: rule.History{Count: 1000}, Presence: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	task := func(fn func(context.Context)) bool {
		running.Go(func() { fn(ctx) })
		return true
	}
	set := settings{
		session: session.Config{
			Name: "n1", Broker: s.broker, Rules: rules, Anonymous: true, Task: task, Now: time.Now,
			Log: slog.New(slog.DiscardHandler), PingEvery: 25 * time.Second,
			Method: func(string) session.Method { return nil },
		},
		transport: Config{
			Dialects: []dialect.Dialect{native.New()}, PingEvery: 25 * time.Second, PongTimeout: 10 * time.Second,
			AllowOrigin: func(_ *http.Request, origin string) bool { return origin == "" || origin == "https://app.example" },
			Proof:       func(*http.Request, string) *session.Proof { return nil },
		},
		loops: loop.Config{Loops: 2, Portable: portable, OnPanic: func(v any, _ []byte) { s.panics <- v }},
	}
	change(&set)
	if s.loops, err = loop.New(set.loops); err != nil {
		t.Fatal(err)
	}
	var hubLoops []hub.Loop
	for i := range s.loops.Len() {
		hubLoops = append(hubLoops, timed{s.loops.Loop(i)})
		set.session.Loops = append(set.session.Loops, timed{s.loops.Loop(i)})
	}
	s.hub = hub.New(hub.Config{Broker: s.broker, Loops: hubLoops, Task: task})
	set.session.Hub = s.hub
	s.node = session.NewNode(set.session)
	set.transport.Node, set.transport.Loops = s.node, s.loops
	s.Transport = New(set.transport)
	running.Go(func() {
		if err := s.broker.Run(ctx, s.hub); err != nil {
			t.Error(err)
		}
	})
	<-s.broker.Ready()
	t.Cleanup(func() {
		s.loops.Close()
		stop()
		running.Wait()
		for len(s.panics) > 0 {
			t.Errorf("a function panicked: %v", <-s.panics)
		}
	})
	return s
}

// timed is a loop as sessions know it.
type timed struct{ *loop.Loop }

func (l timed) After(d time.Duration, fn func()) (stop func()) {
	t := l.Loop.After(d, fn)
	return func() { t.Stop() }
}

// listen serves the transport by HTTP and answers the address.
func (s *server) listen(t *testing.T) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return strings.TrimPrefix(h.URL, "http://")
}

// sessions counts those that are there.
func (s *server) sessions() (n int64) {
	for i := range s.loops.Len() {
		n += s.node.Shard(i).Counters.Sessions.Load()
	}
	return n
}

func (s *server) publish(t *testing.T, channel, payload string) {
	t.Helper()
	s.node.Publish(channel, broker.Entry{Payload: []byte(payload)}, func(_ broker.Receipt, err *dialect.Error) {
		if err != nil {
			t.Error(err)
		}
	})
}

// request is a handshake as a client writes it.
const request = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// peer is the other end of a connection, byte by byte.
type peer struct {
	t      *testing.T
	nc     net.Conn
	in     *bufio.Reader
	answer http.Header // to the handshake

	raw        []byte // payload of the last frame as it came
	compressed bool   // and whether it was compressed
}

func newPeer(t *testing.T, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc, in: bufio.NewReader(nc)}
}

// dial connects, sends the handshake with more bytes behind it, and takes the answer.
func dial(t *testing.T, address, more string) *peer {
	t.Helper()
	return dialWith(t, address, request+more)
}

// dialWith is dial with a handshake of one's own.
func dialWith(t *testing.T, address, handshake string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, nc)
	p.write([]byte(handshake))
	answer, err := http.ReadResponse(p.in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake was answered with %v, %v", answer, err)
	}
	p.answer = answer.Header
	return p
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// frame is a frame as a client sends it; first is FIN and opcode.
func frame(first byte, payload string) string {
	b := wire.AppendMaskedFrame(nil, wire.Opcode(first&0x0f), [4]byte{5, 6, 7, 8}, []byte(payload))
	b[0] = first
	return string(b)
}

func (p *peer) send(msg string) { p.write([]byte(frame(0x81, msg))) }

// packed is a compressed text message as a client sends it.
func packed(msg string) string {
	return frame(0xc1, string(wire.AppendDeflated(nil, []byte(msg), 15, 0)))
}

// inPieces is packed in frames of at most size bytes.
func inPieces(msg string, size int) string {
	rest, first, b := string(wire.AppendDeflated(nil, []byte(msg), 15, 0)), byte(0x41), ""
	for ; len(rest) > size; rest = rest[size:] {
		b += frame(first, rest[:size])
		first = 0
	}
	return b + frame(first|0x80, rest)
}

// next takes a frame of the server.
func (p *peer) next() (op wire.Opcode, payload string, err error) {
	head := make([]byte, 2, wire.MaxHeaderBytes)
	if _, err := io.ReadFull(p.in, head); err != nil {
		return 0, "", err
	}
	if n := map[byte]int{126: 2, 127: 8}[head[1]&0x7f]; n > 0 {
		head = head[:2+n]
		if _, err := io.ReadFull(p.in, head[2:]); err != nil {
			return 0, "", err
		}
	}
	h, _, err := wire.ParseHeader(head)
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, h.Length)
	_, err = io.ReadFull(p.in, b)
	p.raw, p.compressed = b, h.Rsv == wire.RSV1
	if err == nil && p.compressed {
		b, err = wire.NewInflater().Append(nil, b, wire.Inflation{Op: h.Op})
	}
	return h.Op, string(b), err
}

// want takes the next frame.
func (p *peer) want(op wire.Opcode, part string) string {
	p.t.Helper()
	got, payload, err := p.next()
	if err != nil || got != op || !strings.Contains(payload, part) {
		p.t.Fatalf("got %v %.200q, %v; want %v %.200q", got, payload, err, op, part)
	}
	return payload
}

// wantClose takes the close frame; what comes before it does not matter.
func (p *peer) wantClose(code wire.CloseCode, reason string) {
	p.t.Helper()
	want := string(wire.AppendClosePayload(nil, code, reason))
	for {
		op, payload, err := p.next()
		if err != nil {
			p.t.Fatalf("no close frame, %v; want %d %s", err, code, reason)
		}
		if op == wire.Close {
			if payload != want {
				p.t.Errorf("closed with %q, want %q", payload, want)
			}
			return
		}
	}
}

// wantEnd takes the end of the connection, with nothing before it.
func (p *peer) wantEnd() {
	p.t.Helper()
	if _, err := p.in.ReadByte(); err != io.EOF {
		p.t.Errorf("read %v, want the end", err)
	}
}
