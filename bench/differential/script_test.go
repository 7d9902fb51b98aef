package differential

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"strings"

	"hocket.dev/wire"
)

// A script is how a fuzzer's bytes become frames that are right in most respects: each step takes some of the bytes. It
// never fails; when the bytes are used up the rest is zero and the script ends.
type script struct {
	rest     []byte
	m        mode
	out      []byte
	deflater *flate.Writer // of a client with context takeover: the history is its own
	deflated bytes.Buffer
}

// frames plays the bytes of a script.
func frames(b []byte, m mode) []byte {
	s := &script{rest: b, m: m}
	for len(s.rest) > 0 {
		s.step()
	}
	return s.out
}

func (s *script) next() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// The bits of a step's first byte.
const (
	stepKind     = 0x07
	stepOpen     = 0x08 // the message is not finished
	stepOdd      = 0x10 // a byte follows that says what is wrong with the header
	stepCompress = 0x20
	stepContent  = 0xc0
)

var kinds = [8]wire.Opcode{wire.Text, wire.Binary, wire.Continuation, wire.Ping, wire.Pong, wire.Close, wire.Text, wire.Text}

// What the kinds beyond the opcodes are.
const (
	kindRaw       = 6 // bytes as they stand in the script
	kindFragments = 7 // a message in fragments, with a ping in its middle
)

func (s *script) step() {
	first := s.next()
	switch first & stepKind {
	case kindRaw:
		n := min(int(s.next()), len(s.rest))
		s.out = append(s.out, s.rest[:n]...)
		s.rest = s.rest[n:]
	case kindFragments:
		s.fragments(first)
	default:
		op := kinds[first&stepKind]
		h := wire.Header{Op: op, Fin: first&stepOpen == 0}
		payload := s.content(first, op)
		if first&stepCompress != 0 && s.m.offer != "" && (op == wire.Text || op == wire.Binary) {
			payload = s.compress(payload)
			h.Rsv = wire.RSV1
		}
		s.frame(first, h, payload)
	}
}

// fragments is a whole message in up to four frames.
func (s *script) fragments(first byte) {
	payload := s.content(first, wire.Text)
	h := wire.Header{Op: wire.Text}
	if first&stepOpen != 0 { // which has no meaning here
		h.Op = wire.Binary
	}
	if first&stepCompress != 0 && s.m.offer != "" {
		payload = s.compress(payload)
		h.Rsv = wire.RSV1
	}
	for parts := int(s.next())%4 + 1; parts > 0; parts-- {
		n := len(payload) / parts
		h.Fin = parts == 1
		s.frame(first, h, payload[:n])
		payload = payload[n:]
		if parts == 2 {
			s.frame(0, wire.Header{Op: wire.Ping, Fin: true}, []byte("amid"))
		}
		h.Op, h.Rsv = wire.Continuation, 0
	}
}

// sizes are those of payloads beyond what a byte says: around the limits of the header's length and the message's.
var sizes = [...]int{125, 126, 127, 255, 256, maxMessage - 1, maxMessage, maxMessage + 1, 65535, 65536}

// content makes a payload.
func (s *script) content(first byte, op wire.Opcode) []byte {
	n := int(s.next())
	if n >= 256-len(sizes) {
		n = sizes[n-(256-len(sizes))]
	}
	if op == wire.Close {
		return s.closing(n)
	}
	switch first & stepContent {
	case 0x00:
		return []byte(strings.Repeat("hocket! ", n/8+1)[:n])
	case 0x40:
		return []byte(strings.Repeat("€uro𝄞", n/8+1)[:n]) // cut anywhere
	case 0x80:
		return bytes.Repeat([]byte{s.next()}, n)
	}
	n = min(n, len(s.rest))
	p := bytes.Clone(s.rest[:n])
	s.rest = s.rest[n:]
	return p
}

// closing is the payload of a close frame: nothing, a byte, a code, or a code with a reason.
func (s *script) closing(n int) []byte {
	p := []byte{s.next(), s.next()}
	p = append(p, s.rest[:min(max(n-2, 0), len(s.rest))]...)
	s.rest = s.rest[len(p)-2:]
	return p[:min(n, len(p))]
}

// frame writes one frame, with what is odd about it.
func (s *script) frame(first byte, h wire.Header, payload []byte) {
	h.Masked, h.Key, h.Length = true, [4]byte{0x12, 0x34, 0x56, 0x78}, int64(len(payload))
	var odd byte
	if first&stepOdd != 0 {
		odd = s.next()
	}
	h.Rsv ^= odd << 4 & 0x70 // three bits
	h.Masked = odd&0x08 == 0
	if odd&0x80 != 0 {
		h.Op = wire.Opcode(s.next() & 15)
	}
	start := len(s.out)
	s.out = wire.AppendHeader(s.out, h)
	if odd&0x30 != 0 && h.Length < 126 {
		s.out = lengthen(s.out, start, odd&0x20 != 0)
	}
	at := len(s.out)
	s.out = append(s.out, payload...)
	if h.Masked {
		wire.Mask(s.out[at:], h.Key, 0)
	}
	if odd&0x40 != 0 { // the length lies
		s.out[start+1] ^= 1
	}
}

// lengthen writes the length of the frame at start in more bytes than it needs, which a sender must not do (§5.2).
func lengthen(out []byte, start int, most bool) []byte {
	length := out[start+1] & 0x7f
	tail := bytes.Clone(out[start+2:])
	out = out[:start+2]
	if most {
		out[start+1] = out[start+1]&0x80 | 127
		out = binary.BigEndian.AppendUint64(out, uint64(length))
	} else {
		out[start+1] = out[start+1]&0x80 | 126
		out = binary.BigEndian.AppendUint16(out, uint16(length))
	}
	return append(out, tail...)
}

// compress makes the payload of a compressed message, by another deflater than the one under test, in one of several ways.
func (s *script) compress(p []byte) []byte {
	how := s.next()
	s.deflated.Reset()
	d := s.deflater
	if d == nil || !s.m.takeover {
		d, _ = flate.NewWriter(&s.deflated, [...]int{flate.BestSpeed, flate.BestCompression, flate.NoCompression, flate.HuffmanOnly}[how>>6])
	}
	if s.m.takeover {
		s.deflater = d
	}
	d.Write(p)
	if how&0x0f == 1 {
		d.Close() // the last block says that it is (RFC 7692 §7.2.3.4)
		s.deflater = nil
		return append(bytes.Clone(s.deflated.Bytes()), 0)
	}
	if how&0x0f == 2 {
		d.Flush() // an empty block within the message
	}
	d.Flush()
	c := bytes.Clone(bytes.TrimSuffix(s.deflated.Bytes(), []byte("\x00\x00\xff\xff")))
	switch how & 0x0f {
	case 3:
		c[int(s.next())%len(c)] ^= 1 << (how >> 4 & 3)
	case 4:
		c = c[:int(s.next())%len(c)]
	case 5:
		c = nil
	}
	return c
}
