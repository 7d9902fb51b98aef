package wire

import (
	"fmt"
	"slices"
	"strings"
)

// recorder writes down what a decoder finds, in a form that does not depend on how
// the bytes were cut: whole messages and control frames in order, the message that is
// still open, and the error.
type recorder struct {
	d       Decoder
	bounds  bounds
	seen    []string
	partial []byte
	open    Opcode
	err     error
}

func newRecorder(role Role, limits *Limits) *recorder {
	return &recorder{d: NewDecoder(role, limits)}
}

// feed decodes one chunk, as one read would bring it.
func (r *recorder) feed(chunk []byte) {
	b := slices.Clone(chunk)
	for len(b) > 0 && r.err == nil {
		ev, n, err := r.d.Next(b)
		if n > len(b) {
			panic("consumed more than there was")
		}
		if ev.Kind == KindNone && err == nil && n != len(b) {
			panic("no event, but bytes left")
		}
		r.note(ev, err)
		r.bounds.check(&r.d, ev)
		b = b[n:]
	}
}

func (r *recorder) note(ev Event, err error) {
	r.err = err
	switch ev.Kind {
	case KindData:
		if ev.First != (r.open == Continuation) {
			panic("First does not begin the message")
		}
		r.open = ev.Op
		r.partial = append(r.partial, ev.Payload...)
		if ev.Last {
			kind := ev.Op.String()
			if ev.Compressed {
				kind = "compressed " + kind
			}
			r.seen = append(r.seen, fmt.Sprintf("%s %q", kind, r.partial))
			r.partial, r.open = nil, Continuation
		}
	case KindPing:
		r.seen = append(r.seen, fmt.Sprintf("ping %q", ev.Payload))
	case KindPong:
		r.seen = append(r.seen, fmt.Sprintf("pong %q", ev.Payload))
	case KindClose:
		r.seen = append(r.seen, fmt.Sprintf("close %d %q", ev.Code, ev.Payload))
	}
}

func (r *recorder) String() string { return strings.Join(r.seen, "; ") }

// decodeAll feeds b at once.
func decodeAll(role Role, limits *Limits, b []byte) *recorder {
	r := newRecorder(role, limits)
	r.feed(b)
	return r
}

// decodeBytewise feeds b one byte at a time: the hardest cut of all.
func decodeBytewise(role Role, limits *Limits, b []byte) *recorder {
	r := newRecorder(role, limits)
	for i := range b {
		r.feed(b[i : i+1])
	}
	return r
}

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame makes a frame as the peer of role sends it.
func frame(role Role, h Header, payload string) []byte {
	h.Length = int64(len(payload))
	if role == Server {
		h.Masked, h.Key = true, testKey
	}
	b := AppendHeader(nil, h)
	start := len(b)
	b = append(b, payload...)
	if h.Masked {
		Mask(b[start:], h.Key, 0)
	}
	return b
}

// fin is a whole message or control frame, part an unfinished one, for a server.
func fin(op Opcode, payload string) []byte  { return frame(Server, Header{Op: op, Fin: true}, payload) }
func part(op Opcode, payload string) []byte { return frame(Server, Header{Op: op}, payload) }
