package wire

import (
	"encoding/binary"
	"math"
)

// MaxHeaderBytes is the size of the longest frame header: two bytes, a 64-bit
// length and a masking key (§5.2).
const MaxHeaderBytes = 14

// RSV1 is the reserved bit that says, on the first frame of a message, that the message is
// compressed (RFC 7692 §6), for [Header].Rsv.
const RSV1 = 0x40

// The bits of a header's first two bytes (§5.2).
const (
	bitFin     = 0x80
	bitsRsv    = 0x70
	bitsOpcode = 0x0f
	bitMask    = 0x80
	bitsLength = 0x7f

	length16 = 126 // the length follows in 16 bits
	length64 = 127 // the length follows in 64 bits

	maxControl = 125 // §5.5: so a control frame's length always fits the second byte
)

// Header is the header of one frame (§5.2).
type Header struct {
	Fin    bool    // the last fragment of its message
	Rsv    byte    // the reserved bits in place: RSV1 is 0x40, RSV2 0x20, RSV3 0x10
	Op     Opcode  // four bits
	Masked bool    // Key follows the length and the payload is masked by it
	Key    [4]byte // only where Masked
	Length int64   // of the payload, in bytes; never negative
}

// AppendHeader appends h to dst in the shortest form, 2 to 14 bytes, and returns
// the extended slice. It panics when h.Length is negative.
func AppendHeader(dst []byte, h Header) []byte {
	if h.Length < 0 {
		panic("wire: negative frame length")
	}
	first := h.Rsv&bitsRsv | byte(h.Op)&bitsOpcode
	if h.Fin {
		first |= bitFin
	}
	var mask byte
	if h.Masked {
		mask = bitMask
	}
	switch {
	case h.Length < length16:
		dst = append(dst, first, mask|byte(h.Length))
	case h.Length <= math.MaxUint16:
		dst = append(dst, first, mask|length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(h.Length))
	default:
		dst = append(dst, first, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// ParseHeader reads the header at the beginning of b and returns how many bytes
// it takes. When b ends inside it, n is 0 and err is nil: more bytes are needed,
// at most [MaxHeaderBytes] in all. The only errors, each an [*Error], are of the length:
// its top bit is set, or it is written in more bytes than it needs. They come as soon as
// the length is there. Whether the header fits role, message and limits is the [Decoder]'s
// to judge.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return Header{}, 0, nil
	}
	h = Header{
		Fin:    b[0]&bitFin != 0,
		Rsv:    b[0] & bitsRsv,
		Op:     Opcode(b[0] & bitsOpcode),
		Masked: b[1]&bitMask != 0,
	}
	n = 2
	switch short := b[1] & bitsLength; short {
	case length16:
		if len(b) < 4 {
			return Header{}, 0, nil
		}
		h.Length, n = int64(binary.BigEndian.Uint16(b[2:])), 4
		if h.Length < length16 {
			return Header{}, 0, errLongForm
		}
	case length64:
		if len(b) < 10 {
			return Header{}, 0, nil
		}
		length := binary.BigEndian.Uint64(b[2:])
		if length > math.MaxInt64 {
			return Header{}, 0, errLength
		}
		if length <= math.MaxUint16 {
			return Header{}, 0, errLongForm
		}
		h.Length, n = int64(length), 10
	default:
		h.Length = int64(short)
	}
	if h.Masked {
		if len(b) < n+4 {
			return Header{}, 0, nil
		}
		n += copy(h.Key[:], b[n:])
	}
	return h, n, nil
}

// AppendFrame appends one whole unmasked frame, as a server sends it, to dst and
// returns the extended slice. The payload is copied. For a control opcode it must
// not be longer than 125 bytes (§5.5).
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	dst = AppendHeader(dst, Header{Fin: true, Op: op, Length: int64(len(payload))})
	return append(dst, payload...)
}

// AppendCompressedFrame is [AppendFrame] for a message compressed by [AppendDeflated] or a
// [Deflater] (RFC 7692 §6.1): op is Text or Binary.
func AppendCompressedFrame(dst []byte, op Opcode, compressed []byte) []byte {
	dst = AppendHeader(dst, Header{Fin: true, Rsv: RSV1, Op: op, Length: int64(len(compressed))})
	return append(dst, compressed...)
}

// AppendMaskedFrame is [AppendFrame] for a client. The payload is copied and the
// copy masked, so payload itself stays as it is. The key must come from a source
// of strong entropy and be new for every frame (§5.3).
func AppendMaskedFrame(dst []byte, op Opcode, key [4]byte, payload []byte) []byte {
	dst = AppendHeader(dst, Header{Fin: true, Op: op, Masked: true, Key: key, Length: int64(len(payload))})
	start := len(dst)
	dst = append(dst, payload...)
	Mask(dst[start:], key, 0)
	return dst
}
