package websocket

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"hocket.dev/wire"
)

// The conformance tests go through the categories of the Autobahn test suite, which has
// become what implementations are measured by. Its numbers are in the names. Every case
// runs against every subject; the tester on the other side knows nothing of this package.
// Where the suite tells strict behaviour from tolerable, a case asks for the strict one.

// subject is what is tested: an echo.
type subject struct {
	role        wire.Role
	how         how
	compression Compression
	limit       int64      // bytes of a message, 0 for none
	ended       chan error // hears why each connection ended; nil for nobody asks
	url         string     // of a server that has been started, else ""
}

// how is the way in which a subject is written.
type how string

const (
	whole    how = "whole"    // by Conn.Read and Conn.Write
	stream   how = "stream"   // by Conn.NextReader and Conn.NextWriter
	onLoop   how = "loop"     // by a Server with epoll, where there is one
	portable how = "portable" // by a Server with the portable driver
)

func (s subject) String() string { return s.role.String() + " " + string(s.how) }

// hasLoop reports whether the subject is a Server.
func (s subject) hasLoop() bool { return s.how == onLoop || s.how == portable }

// compressing returns the subject with compression.
func (s subject) compressing(o Compression) subject {
	s.compression = o
	return s
}

// The subjects of every case.
var (
	servers  = []subject{{how: whole}, {how: stream}, {how: onLoop}, {how: portable}}
	clients  = []subject{{role: wire.Client, how: whole}, {role: wire.Client, how: stream}}
	subjects = append(servers[:len(servers):len(servers)], clients...)
)

// echo sends back what comes until the connection ends.
func (s subject) echo(ctx context.Context, c *Conn) {
	c.SetReadLimit(s.limit)
	var err error
	for err == nil {
		if s.how == whole {
			err = echoMessage(ctx, c)
		} else {
			err = echoStream(ctx, c)
		}
	}
	if s.ended != nil {
		s.ended <- err
	}
}

func echoMessage(ctx context.Context, c *Conn) error {
	typ, msg, err := c.Read(ctx)
	if err != nil {
		return err
	}
	return c.Write(ctx, typ, msg)
}

func echoStream(ctx context.Context, c *Conn) error {
	typ, r, err := c.NextReader(ctx)
	if err != nil {
		return err
	}
	w, err := c.NextWriter(ctx, typ)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}

// echoOnLoop is an echo that reads no further while the peer does not take its answers.
type echoOnLoop struct{ ended chan error }

func (echoOnLoop) Open(*Socket, *http.Request) {}

func (e echoOnLoop) Close(_ *Socket, err error) {
	if e.ended != nil {
		e.ended <- err
	}
}

func (echoOnLoop) Message(s *Socket, typ MessageType, p []byte) {
	waiting, _ := s.Data.([]Message)
	if len(waiting) > 0 || s.Write(typ, p) == ErrPendingFull {
		s.Data = append(waiting, Message{typ, bytes.Clone(p)})
		s.Pause()
	}
}

func (echoOnLoop) Writable(s *Socket) {
	waiting := s.Data.([]Message)
	for len(waiting) > 0 && s.Write(waiting[0].Type, waiting[0].Data) != ErrPendingFull {
		waiting = waiting[1:]
	}
	if s.Data = waiting; len(waiting) == 0 {
		s.Resume()
	}
}

// begin starts the server of a subject that is one; it runs until t ends.
func (s subject) begin(t *testing.T) subject {
	t.Helper()
	accept := AcceptOptions{Compression: s.compression}
	switch {
	case s.role == wire.Client || s.url != "":
	case s.hasLoop():
		s.url = newServer(t, echoOnLoop{s.ended}, ServerOptions{
			AcceptOptions: accept, Portable: s.how == portable, MaxMessageBytes: cmp.Or(s.limit, -1),
		}).listen(t)
	default:
		s.url = serve(t, &accept, s.echo)
	}
	return s
}

// start connects a subject with a tester. extensions is what the tester offers to a
// server, or answers to a client; what the subject said is returned.
func start(t *testing.T, s subject, extensions string) (*tester, string) {
	t.Helper()
	if s.role == wire.Server {
		return startServer(t, s.begin(t), extensions)
	}
	return startClient(t, s, func(string) string { return extensions })
}

const testerKey = "dGhlIHNhbXBsZSBub25jZQ=="

func startServer(t *testing.T, s subject, offer string) (*tester, string) {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	request := "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testerKey + "\r\n"
	if offer != "" {
		request += "Sec-WebSocket-Extensions: " + offer + "\r\n"
	}
	sendBytes(t, nc, []byte(request+"\r\n")...)
	br := bufio.NewReader(nc)
	response, err := http.ReadResponse(br, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("the handshake ended with %v, %v", response, err)
	}
	return newTester(t, nc, br, true), response.Header.Get("Sec-WebSocket-Extensions")
}

// startClient is start for a client; answer is given what it offers.
func startClient(t *testing.T, s subject, answer func(offer string) string) (*tester, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ended := run(func() error {
		c, _, err := Dial(t.Context(), "ws://"+l.Addr().String(), &DialOptions{Compression: s.compression})
		if err == nil {
			s.echo(context.Background(), c)
			_ = c.CloseNow()
		}
		return err
	})
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nc.Close()
		if err := ended(); err != nil {
			t.Errorf("the subject's Dial: %v", err)
		}
	})
	br := bufio.NewReader(nc)
	request, err := http.ReadRequest(br)
	if err != nil {
		t.Fatal(err)
	}
	offer := strings.Join(request.Header.Values("Sec-WebSocket-Extensions"), ", ")
	response := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + wire.AcceptKey(request.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	if chosen := answer(offer); chosen != "" {
		response += "Sec-WebSocket-Extensions: " + chosen + "\r\n"
	}
	sendBytes(t, nc, []byte(response+"\r\n")...)
	return newTester(t, nc, br, false), offer
}

// noCode is a close frame without a code.
const noCode = -2

// exchange is a case: what the tester sends, and what must come back.
type exchange struct {
	name string
	send []rawFrame
	chop int      // bytes per write; 0 is everything in one
	want []string // answers before the close frame: all of them, and no others
	code int      // of the close frame; 0 has the tester close with 1000
	// skip leaves subjects out, for cases that cost much.
	skip func(s subject) bool
}

// all runs the cases against every subject; small ones also byte by byte, which must not
// make a difference.
func all(t *testing.T, cases []exchange) {
	for i, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			s := s.begin(t)
			for n, tt := range cases {
				if tt.skip != nil && tt.skip(s) || tt.skip == nil && !turn(n+i, len(subjects)) {
					continue
				}
				t.Run(tt.name, func(t *testing.T) { tt.run(t, s) })
				if tt.small() && tt.chop == 0 {
					tt.chop = 1
					t.Run(tt.name+", byte by byte", func(t *testing.T) { tt.run(t, s) })
				}
			}
		})
	}
}

// turn says which of many combinations are run. Under the race detector, where they cost ten times as much, each case is for some
// of the subjects, in turn; scripts/test runs all without it, too.
func turn(n, of int) bool { return !raceEnabled || n%of == 0 }

// small reports whether byte by byte is no waste of time.
func (e exchange) small() bool {
	n := 0
	for _, f := range e.send {
		n += len(f.payload)
	}
	return n < 200
}

func (e exchange) run(t *testing.T, s subject) {
	p, _ := start(t, s, "")
	frames := e.send[:len(e.send):len(e.send)]
	if e.code == 0 {
		frames, e.code = append(frames, closeFrame(code(1000, ""))), 1000
	}
	p.send(e.chop, frames...)
	got := p.listen()
	if got.code != e.code {
		t.Errorf("closed with %d, want %d", got.code, e.code)
	}
	if strings.Join(got.events, "\n") != strings.Join(e.want, "\n") {
		t.Errorf("answers:\n%s\nwant:\n%s", strings.Join(got.events, "\n"), strings.Join(e.want, "\n"))
	}
	if got.end != io.EOF {
		t.Errorf("the connection ended with %v, want a FIN", got.end)
	}
}

// wantFailure asserts that the subject answers nothing but a close frame.
func wantFailure(t *testing.T, p *tester, code int) {
	t.Helper()
	if got := p.listen(); got.code != code || len(got.events) != 0 || got.end != io.EOF {
		t.Errorf("closed with %d and %v after %q, want %d and a FIN", got.code, got.end, got.events, code)
	}
}

// brief is a payload in few words.
func brief(payload string) string {
	if len(payload) <= 40 {
		return fmt.Sprintf("%q", payload)
	}
	return fmt.Sprintf("%q… %d bytes %08x", payload[:20], len(payload), checksum(payload))
}
