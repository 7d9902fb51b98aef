package websocket

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	"hocket.dev/wire"
)

// testerPatience is how long a tester waits for the next frame of a subject that hangs.
const testerPatience = time.Minute

// tester is the other side of a subject: a bare connection.
type tester struct {
	t    *testing.T
	nc   net.Conn
	br   *bufio.Reader
	mask bool // a client masks, so the subject is a server

	closed bool          // a close frame of the tester is among what it sends
	sent   chan struct{} // closed when send has finished
}

func newTester(t *testing.T, nc net.Conn, br *bufio.Reader, mask bool) *tester {
	p := &tester{t: t, nc: nc, br: br, mask: mask, sent: make(chan struct{})}
	close(p.sent)
	return p
}

// rawFrame is a frame as it stands on the wire, right or wrong.
type rawFrame struct {
	op      byte
	more    bool // not the last of its message
	rsv     byte // 4, 2, 1 for RSV1, RSV2, RSV3
	payload string

	badMask bool   // masked where it must not be, or not where it must
	length  uint64 // instead of the payload's, which is sent as it is
}

// encode is written by the book (§5.2), and shares nothing with package wire.
func (p *tester) encode(f rawFrame) []byte {
	b := []byte{f.op | f.rsv<<4}
	if !f.more {
		b[0] |= 0x80
	}
	var masked byte
	if p.mask != f.badMask {
		masked = 0x80
	}
	switch n := len(f.payload); {
	case f.length > 0:
		return append(binary.BigEndian.AppendUint64(append(b, masked|127), f.length), f.payload...)
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if masked == 0 {
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

// send sends frames, in writes of chop bytes; 0 is one write. It runs beside the test,
// because the subject may answer before it has read all; it ends with the connection.
func (p *tester) send(chop int, frames ...rawFrame) {
	var b []byte
	for _, f := range frames {
		b = append(b, p.encode(f)...)
		p.closed = p.closed || f.op == 8
	}
	if chop == 0 {
		chop = len(b)
	}
	before, done := p.sent, make(chan struct{})
	p.sent = done
	go func() {
		defer close(done)
		<-before
		for len(b) > 0 {
			n := min(chop, len(b))
			if _, err := p.nc.Write(b[:n]); err != nil {
				return
			}
			b = b[n:]
		}
	}()
}

// receive reads one frame. Masking and length must be as they should.
func (p *tester) receive() (rawFrame, error) {
	if err := p.nc.SetReadDeadline(time.Now().Add(testerPatience)); err != nil {
		return rawFrame{}, err
	}
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
	code   int    // of the close frame, noCode for none in it, -1 without one
	reason string // of the close frame
	end    error  // of the network connection: io.EOF for a FIN
}

// listen receives until the subject has closed, and the network connection has ended.
func (p *tester) listen() conversation {
	p.t.Helper()
	got := conversation{code: -1}
	var kind wire.Opcode
	var message []byte
	open := false
	for {
		f, err := p.receive()
		if err != nil {
			got.end = err // without a close frame
			return got
		}
		switch {
		case f.op == 8:
			got.code = noCode
			if len(f.payload) >= 2 {
				got.code, got.reason = int(f.payload[0])<<8|int(f.payload[1]), f.payload[2:]
			}
			got.end = p.finish(f)
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

// finish ends the connection behind the subject's close frame: it answers it, unless the
// tester has closed before, and as a server it ends the network connection first
// (§7.1.1). It returns how the subject's side ended.
func (p *tester) finish(received rawFrame) error {
	if !p.closed {
		p.send(0, closeFrame(received.payload))
	}
	if !p.mask {
		<-p.sent
		_ = p.nc.(*net.TCPConn).CloseWrite() // it fails when the subject has gone; then reading says how
	}
	if b, err := p.br.ReadByte(); err != nil {
		return err
	} else {
		return fmt.Errorf("§5.5.1: %#x behind the close frame", b)
	}
}

func checksum(payload string) uint32 { return crc32.ChecksumIEEE([]byte(payload)) }

// message receives a whole message, of which rsv is that of the first frame. Pongs that
// come between are dropped.
func (p *tester) message() rawFrame {
	p.t.Helper()
	var whole rawFrame
	for begun := false; ; {
		f, err := p.receive()
		switch {
		case err != nil || f.op == 8:
			p.t.Fatalf("received %v, close %q, want a message", err, f.payload)
		case f.op > 8:
			if f.rsv != 0 {
				p.t.Fatal("RFC 7692 §6.1: RSV1 on a control frame")
			}
			continue
		case begun != (f.op == 0):
			p.t.Fatalf("§5.4: opcode %d, message open: %v", f.op, begun)
		case begun && f.rsv != 0:
			p.t.Fatal("RFC 7692 §6.1: RSV1 on a continuation")
		}
		if !begun {
			whole.op, whole.rsv, begun = f.op, f.rsv, true
		}
		if !f.more {
			whole.payload += f.payload
			return whole
		}
		whole.payload += f.payload
	}
}

// wantGoodbye closes, and asserts that the subject does so, too, and says nothing else.
func (p *tester) wantGoodbye() {
	p.t.Helper()
	p.send(0, closeFrame(code(1000, "")))
	if got := p.listen(); got.code != 1000 || len(got.events) > 0 || got.end != io.EOF {
		p.t.Errorf("closed with %d and %v after %q, want 1000 and a FIN", got.code, got.end, got.events)
	}
}
