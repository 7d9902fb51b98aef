package websocket

import (
	"encoding/binary"

	"hocket.dev/internal/session"
	"hocket.dev/wire"
)

// text frames a message as one unmasked text frame.
type text struct{}

// room is the size of the header of most messages: 126 bytes to 64 KiB.
const room = 4

// Begin implements session.Framing.
func (text) Begin(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// End implements session.Framing.
func (text) End(dst []byte, start int) []byte { return putHeader(dst, start, 0) }

// putHeader completes the frame that begins at start. The header goes into the room left by Begin; the message moves
// where it does not fit.
func putHeader(dst []byte, start int, rsv byte) []byte {
	n := len(dst) - start - room
	first := 0x80 | rsv | byte(wire.Text)
	switch {
	case n < 126:
		dst[start], dst[start+1] = first, byte(n)
		copy(dst[start+2:], dst[start+room:])
		return dst[:start+2+n]
	case n < 1<<16:
		dst[start], dst[start+1] = first, 126
		binary.BigEndian.PutUint16(dst[start+2:], uint16(n))
		return dst
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	copy(dst[start+10:], dst[start+room:start+room+n])
	dst[start], dst[start+1] = first, 127
	binary.BigEndian.PutUint64(dst[start+2:], uint64(n))
	return dst
}

// deflated is text for clients that have agreed to permessage-deflate: messages of from bytes and more are compressed,
// each by itself (RFC 7692 §7.2.1), so that all these clients can share one. There is one deflated for each window of a
// transport.
type deflated struct {
	bits  int // of the window, which no reference leaves
	from  int
	count *Compressed
}

// Begin implements session.Framing.
func (*deflated) Begin(dst []byte) []byte { return text{}.Begin(dst) }

// End implements session.Framing. The compressed message is made behind the plain one and then moved to its place. One
// that compression does not shorten goes out as it is (§6.1 leaves that to the sender).
func (d *deflated) End(dst []byte, start int) []byte {
	plain := dst[start+room:]
	if len(plain) < d.from {
		return putHeader(dst, start, 0)
	}
	end := len(dst)
	dst = wire.AppendDeflated(dst, plain, d.bits, 0)
	n := len(dst) - end
	d.count.add(len(plain), n)
	if n >= len(plain) {
		return putHeader(dst[:end], start, 0)
	}
	copy(dst[start+room:], dst[end:])
	return putHeader(dst[:start+room+n], start, wire.RSV1)
}

// windows are those that messages are compressed for, in bits (RFC 7692 §7.1.2.1). A client that was promised one
// between them gets the next smaller one: so clients cannot make the server compress an entry more often than this.
var windows = [...]int{8, 9, 12, 15}

// framings has the framing for every window that can be promised.
type framings [maxWindow + 1]session.Framing

const maxWindow = 15

// newFramings makes the framings of a transport that compresses messages of from bytes and more.
func newFramings(from int, count *Compressed) (all framings) {
	for i, bits := range windows {
		next := maxWindow + 1
		if i+1 < len(windows) {
			next = windows[i+1]
		}
		d := &deflated{bits, from, count}
		for promised := bits; promised < next; promised++ {
			all[promised] = d
		}
	}
	return all
}
