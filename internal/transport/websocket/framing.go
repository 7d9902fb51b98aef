package websocket

import (
	"encoding/binary"

	"hocket.dev/wire"
)

// text frames a message as one unmasked text frame.
type text struct{}

// room is the size of the header of most messages: 126 bytes to 64 KiB.
const room = 4

// Begin implements session.Framing.
func (text) Begin(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// End implements session.Framing. The header goes into the room left by Begin; the message moves where it does not fit.
func (text) End(dst []byte, start int) []byte {
	n := len(dst) - start - room
	const first = 0x80 | byte(wire.Text)
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
