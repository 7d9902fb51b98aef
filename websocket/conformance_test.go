package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hocket.dev/wire"
)

// The conformance tests go through the categories of the Autobahn test suite, which has
// become what implementations are measured by. Its numbers are in the names. Every case
// runs against an echo that reads whole messages and one that copies streams, on either
// side of a connection; the tester on the other side knows nothing of this package.

// subject is what is tested.
type subject struct {
	role        wire.Role
	stream      bool // echo by NextReader and NextWriter
	compression Compression
}

func (s subject) String() string {
	how := "whole"
	if s.stream {
		how = "stream"
	}
	return s.role.String() + " " + how
}

// subjects are the four of every case.
var subjects = []subject{{role: wire.Server}, {role: wire.Server, stream: true}, {role: wire.Client}, {role: wire.Client, stream: true}}

// echo sends back what comes, without a limit, until the connection ends.
func (s subject) echo(ctx context.Context, c *Conn) {
	c.SetReadLimit(0)
	if !s.stream {
		echo(ctx, c)
		return
	}
	for {
		typ, r, err := c.NextReader(ctx)
		if err != nil {
			return
		}
		w, err := c.NextWriter(ctx, typ)
		if err != nil {
			return
		}
		if _, err := io.Copy(w, r); err != nil || w.Close() != nil {
			return
		}
	}
}

// tester is the other side of a subject: a bare connection.
type tester struct {
	t    *testing.T
	nc   net.Conn
	br   *bufio.Reader
	mask bool // a client masks
}

// start connects a subject with a tester. extensions is what the tester offers to a
// server, or answers to a client; what the subject said is returned.
func start(t *testing.T, s subject, extensions string) (*tester, string) {
	t.Helper()
	if s.role == wire.Server {
		return startServer(t, s, extensions)
	}
	return startClient(t, s, extensions)
}

const testerKey = "dGhlIHNhbXBsZSBub25jZQ=="

func startServer(t *testing.T, s subject, offer string) (*tester, string) {
	t.Helper()
	u, err := url.Parse(serve(t, &AcceptOptions{Compression: s.compression}, s.echo))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", u.Host)
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
	return &tester{t, nc, br, true}, response.Header.Get("Sec-WebSocket-Extensions")
}

func startClient(t *testing.T, s subject, answer string) (*tester, string) {
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
	response := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + wire.AcceptKey(request.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	if answer != "" {
		response += "Sec-WebSocket-Extensions: " + answer + "\r\n"
	}
	sendBytes(t, nc, []byte(response+"\r\n")...)
	return &tester{t, nc, br, false}, request.Header.Get("Sec-WebSocket-Extensions")
}

// rawFrame is a frame as it stands on the wire, right or wrong.
type rawFrame struct {
	op      byte
	more    bool // not the last of its message
	rsv     byte // 4, 2, 1 for RSV1, RSV2, RSV3
	payload string
}

// encode is written by the book (§5.2), and shares nothing with package wire.
func (p *tester) encode(f rawFrame) []byte {
	b := []byte{f.op | f.rsv<<4}
	if !f.more {
		b[0] |= 0x80
	}
	var masked byte
	if p.mask {
		masked = 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if !p.mask {
		return append(b, f.payload...)
	}
	key := [4]byte{0xa5, 0x17, 0x00, 0xff}
	b = append(b, key[:]...)
	start := len(b)
	b = append(b, f.payload...)
	mask(b[start:], key)
	return b
}

// mask masks or unmasks a whole payload (§5.3).
func mask(payload []byte, key [4]byte) {
	keys := bytes.Repeat(key[:], 256)
	for len(payload) > 0 {
		payload = payload[subtle.XORBytes(payload, payload, keys):]
	}
}

// send sends frames, in writes of chop bytes; 0 is all at once. It runs beside the test,
// because the subject may answer before it has read all; it ends with the connection.
func (p *tester) send(chop int, frames ...rawFrame) {
	go func() {
		for _, f := range frames {
			b := p.encode(f)
			n := len(b)
			if chop > 0 {
				n = chop
			}
			for len(b) > 0 {
				if _, err := p.nc.Write(b[:min(n, len(b))]); err != nil {
					return
				}
				b = b[min(n, len(b)):]
			}
		}
	}()
}

// receive reads one frame. Masking and length must be as they should.
func (p *tester) receive() (rawFrame, error) {
	var head [2]byte
	if _, err := io.ReadFull(p.br, head[:]); err != nil {
		return rawFrame{}, err
	}
	f := rawFrame{op: head[0] & 15, more: head[0]&0x80 == 0, rsv: head[0] >> 4 & 7}
	if masked := head[1]&0x80 != 0; masked == p.mask {
		p.t.Errorf("§5.1: masked %v", masked)
	}
	size, long := uint64(head[1]&0x7f), 0
	if size >= 126 {
		long = 2 + 6*int(size-126)
	}
	rest := make([]byte, long)
	if _, err := io.ReadFull(p.br, rest); err != nil {
		return rawFrame{}, err
	}
	if long > 0 {
		size = 0
		for _, b := range rest {
			size = size<<8 | uint64(b)
		}
	}
	var key [4]byte
	if !p.mask {
		if _, err := io.ReadFull(p.br, key[:]); err != nil {
			return rawFrame{}, err
		}
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(p.br, payload); err != nil {
		return rawFrame{}, err
	}
	if !p.mask {
		mask(payload, key)
	}
	f.payload = string(payload)
	return f, nil
}

// conversation is what came back: whole messages and control frames. A message that was
// begun and not ended is not in it.
type conversation struct {
	events []string
	code   int // of the close frame, 0 for none in it, -1 without one
}

// listen receives until the subject has closed. It answers a close frame, unless answered.
func (p *tester) listen(closed bool) conversation {
	p.t.Helper()
	got := conversation{code: -1}
	var kind wire.Opcode
	var message []byte
	open := false
	for {
		f, err := p.receive()
		if err != nil {
			return got // with a close frame before it, or not
		}
		switch {
		case f.op == 8:
			got.code = 0
			if len(f.payload) >= 2 {
				got.code = int(f.payload[0])<<8 | int(f.payload[1])
			}
			if !closed && p.mask {
				_ = p.nc.Close() // a subject that lingers is waiting for that
			} else if !closed {
				_, _ = p.nc.Write(p.encode(f)) // it may be gone already
				_ = p.nc.Close()
			}
			return got
		case f.op > 8:
			got.events = append(got.events, fmt.Sprintf("%s %s", wire.Opcode(f.op), brief(f.payload)))
		case open != (f.op == 0):
			p.t.Errorf("§5.4: opcode %d, message open: %v", f.op, open)
			return got
		default:
			if !open {
				kind, message = wire.Opcode(f.op), message[:0]
			}
			message = append(message, f.payload...)
			if open = f.more; !open {
				got.events = append(got.events, fmt.Sprintf("%s %s", kind, brief(string(message))))
			}
		}
	}
}

// brief is a payload in few words.
func brief(payload string) string {
	if len(payload) <= 40 {
		return fmt.Sprintf("%q", payload)
	}
	return fmt.Sprintf("%q… %d bytes %08x", payload[:20], len(payload), crc32.ChecksumIEEE([]byte(payload)))
}

// noCode is a close frame without a code.
const noCode = -2

// exchange is a case: what the tester sends, and what must come back.
type exchange struct {
	name string
	send []rawFrame
	chop int
	want []string // answers before the close frame
	code int      // of the close frame; when the tester closes it is the one it sent
	// optional are answers that may be missing: a subject that reads whole what has come
	// may find the breach before it has written.
	optional bool
	// skip leaves subjects out, for cases that cost much.
	skip func(s subject) bool
}

// all runs the cases against every subject.
func all(t *testing.T, cases []exchange) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			for _, tt := range cases {
				if tt.skip != nil && tt.skip(s) {
					continue
				}
				t.Run(tt.name, func(t *testing.T) { tt.run(t, s) })
			}
		})
	}
}

func (e exchange) run(t *testing.T, s subject) {
	p, _ := start(t, s, "")
	frames, clean := e.send, e.code == 0
	if clean {
		frames = append(frames[:len(frames):len(frames)], rawFrame{op: 8, payload: "\x03\xe8"})
		e.code = 1000
	}
	if e.code == noCode {
		e.code = 0
	}
	p.send(e.chop, frames...)
	got := p.listen(clean)
	if got.code != e.code {
		t.Errorf("closed with %d, want %d", got.code, e.code)
	}
	if e.optional && len(got.events) < len(e.want) {
		e.want = e.want[:len(got.events)]
	}
	if strings.Join(got.events, "\n") != strings.Join(e.want, "\n") {
		t.Errorf("answers:\n%s\nwant:\n%s", strings.Join(got.events, "\n"), strings.Join(e.want, "\n"))
	}
}
