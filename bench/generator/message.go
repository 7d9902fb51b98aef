//go:build linux

package generator

import (
	"errors"
	"fmt"

	"hocket.dev/wire"
)

// maxMessageBytes bounds what a message may inflate to.
const maxMessageBytes = 1 << 20

// reader takes messages out of the bytes a server has sent. It is for what is seen for
// the first time: copies of it are compared as bytes.
type reader struct {
	inflater *wire.Inflater
	joined   []byte
	inflated []byte
}

// message is one message of a server. Its Data is valid until the next is read.
type message struct {
	data       []byte
	op         wire.Opcode
	compressed bool
	size       int // in bytes on the wire, control frames before and in it included
}

// next reads the message at the beginning of b, fragments joined, inflated where that
// is needed. whole is false when b ends before it does.
func (r *reader) next(b []byte) (m message, whole bool, err error) {
	r.joined = r.joined[:0]
	for fragment := 0; ; {
		h, n, err := wire.ParseHeader(b[m.size:])
		if err != nil {
			return m, false, err
		}
		if n == 0 || int64(len(b)-m.size-n) < h.Length {
			return m, false, nil
		}
		p := b[m.size+n:][:h.Length]
		m.size += n + int(h.Length)
		switch {
		case h.Masked:
			return m, false, errors.New("the server sent a masked frame")
		case h.Op == wire.Close:
			return m, false, fmt.Errorf("the server closed a connection: %q", p)
		case h.Op == wire.Ping || h.Op == wire.Pong:
			continue
		case (h.Op == wire.Continuation) == (fragment == 0):
			return m, false, fmt.Errorf("frame %v does not belong behind %d fragments", h.Op, fragment)
		case fragment == 0:
			m.op, m.compressed = h.Op, h.Rsv == wire.RSV1
		}
		if h.Fin && fragment == 0 {
			m.data = p
		} else {
			r.joined = append(r.joined, p...)
			m.data = r.joined
		}
		if fragment++; h.Fin {
			return m, true, r.inflate(&m)
		}
	}
}

// inflate undoes compression.
func (r *reader) inflate(m *message) (err error) {
	if !m.compressed {
		return nil
	}
	if r.inflater == nil {
		r.inflater = wire.NewInflater()
	}
	r.inflated, err = r.inflater.Append(r.inflated[:0], m.data, wire.Inflation{Op: m.op, MaxBytes: maxMessageBytes})
	m.data = r.inflated
	return err
}

// appendText appends a client's text message to dst, compressed when the server has
// agreed to that. The key is no secret here.
func (l *loop) appendText(dst, p []byte, key [4]byte) []byte {
	if !l.target.Deflate {
		return wire.AppendMaskedFrame(dst, wire.Text, key, p)
	}
	c := wire.AppendDeflated(nil, p, 0, 0)
	dst = wire.AppendHeader(dst, wire.Header{Fin: true, Rsv: wire.RSV1, Op: wire.Text, Masked: true, Key: key, Length: int64(len(c))})
	at := len(dst)
	dst = append(dst, c...)
	wire.Mask(dst[at:], key, 0)
	return dst
}
