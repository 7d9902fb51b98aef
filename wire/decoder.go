package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Limits bound one message. A nil *Limits and zero fields mean no limit. One value
// is shared by all decoders with the same limits, so that it costs each of them
// only a pointer; it must not change while decoders use it.
type Limits struct {
	// MessageBytes is the size of a whole message over all its fragments, in bytes.
	// It is checked when a frame's header is there, before its payload comes. A
	// message over it fails with [CloseTooBig]. A compressed message may have an eighth
	// and 128 bytes more as it comes, as compressing can make it larger; the [Inflater]
	// then holds it to the limit as it is.
	MessageBytes int64
	// Fragments is the number of frames of one message, control frames between them
	// not counted. A message over it fails with [CloseTooBig].
	Fragments int
}

// Kind says what an [Event] is.
type Kind uint8

const (
	KindNone  Kind = iota // nothing yet: more bytes are needed
	KindData              // a piece of a message
	KindPing              // a ping, to be answered by a pong with the same payload (§5.5.2)
	KindPong              // a pong
	KindClose             // the peer closes: answer with the same code, then end (§5.5.1)
)

// Event is what [Decoder.Next] found.
type Event struct {
	Kind Kind
	Op   Opcode // KindData: Text or Binary, the same for every piece of a message
	// First and Last say that this piece begins, and ends, its message. A piece can
	// be empty: an empty message is one event with both set.
	First, Last bool
	// Compressed says that the message is compressed (RFC 7692 §6), the same for every
	// piece. Its text has not been checked: an [Inflater] does both. Only after
	// [Decoder.AllowDeflate].
	Compressed bool
	// Payload is unmasked, lies inside the bytes given to Next (or, for a control
	// frame that came in parts, in a buffer of its own) and is valid until the next
	// call. For KindClose it is the reason, in valid UTF-8.
	Payload []byte
	// Code is, for KindClose, the code received, or [CloseNoStatus] when there was none.
	Code CloseCode
}

// Decoder turns the bytes of one direction of a connection into events. It is a
// small value, made by [NewDecoder] and embedded where the connection lives; it must
// not be copied once used. Between reads it keeps at most a cut header and the state
// of the current message; only a control frame cut by the end of a read gets a
// buffer, until it is whole.
type Decoder struct {
	limits  *Limits
	failed  *Error         // what every further call returns
	control *controlBuffer // the beginning of a control payload that came in parts
	left    int64          // payload bytes of the current frame still to come
	total   int64          // payload bytes of the current message, by its headers so far

	fragments uint32 // frames of the current message so far

	// head is the beginning of a header cut by the end of a read (its fourteenth byte
	// completes it, so it is never stored). While a payload is read, its first four
	// bytes hold the masking key, turned to the next byte.
	head    [MaxHeaderBytes - 1]byte
	headLen uint8

	role    Role
	inFrame bool   // the header is read, the payload is not
	frame   byte   // FIN and opcode of the current frame, as in its first byte
	message Opcode // Text or Binary while a message is open, else Continuation
	flags   decoderFlags
	text    utf8State
}

// decoderFlags are kept in one byte, for a Decoder of 64 bytes.
type decoderFlags uint8

const (
	flagDeflate    decoderFlags = 1 << iota // permessage-deflate was negotiated
	flagCompressed                          // the current message is compressed
	flagBegun                               // the current message's first piece has been handed out
)

// has reports whether f is set.
func (d *Decoder) has(f decoderFlags) bool { return d.flags&f != 0 }

// controlBuffer holds a control payload until it is whole.
type controlBuffer struct {
	n int
	b [maxControl]byte
}

// NewDecoder returns a decoder for what the given role receives. limits may be nil.
func NewDecoder(role Role, limits *Limits) Decoder {
	return Decoder{role: role, limits: limits}
}

// AllowDeflate says that permessage-deflate was negotiated, so that messages may come
// compressed (RFC 7692 §6). It must be called before the first Next.
func (d *Decoder) AllowDeflate() { d.flags |= flagDeflate }

// Idle reports that the decoder stands between messages: no header, frame or
// message is half read.
func (d *Decoder) Idle() bool {
	return d.headLen == 0 && !d.inFrame && d.message == Continuation
}

// Next consumes from b and returns at most one event and how many bytes it took.
// It unmasks in place, so it writes to b[:n]. [KindNone] comes with n == len(b): more
// bytes are needed. Data is handed out as it arrives, in pieces as large as b
// allows; control frames always whole.
//
// An error is an [*Error]. It is final: every later call returns it again, and
// consumes nothing. After [KindClose] every later call returns [ErrClosed].
func (d *Decoder) Next(b []byte) (ev Event, n int, err error) {
	if d.failed != nil {
		return Event{}, 0, d.failed
	}
	if !d.inFrame {
		n, d.failed = d.readHeader(b)
		if d.failed != nil {
			return Event{}, n, d.failed
		}
		if !d.inFrame {
			return Event{}, n, nil
		}
	}
	p := b[n:]
	if int64(len(p)) > d.left {
		p = p[:d.left]
	}
	n += len(p)
	d.left -= int64(len(p))
	if len(p) == 0 && d.left > 0 {
		return Event{}, n, nil
	}
	d.unmask(p)

	var broken *Error
	if d.opcode().Control() {
		ev, broken = d.controlEvent(p)
	} else {
		ev, broken = d.dataEvent(p)
	}
	if broken != nil {
		d.failed = broken
		return Event{}, n, broken
	}
	if ev.Kind == KindClose {
		d.failed = errClosed
	}
	return ev, n, nil
}

// readHeader takes a header from b, joined to what an earlier call left in d.head. It
// sets inFrame when the header is whole, and otherwise consumes all of b.
func (d *Decoder) readHeader(b []byte) (n int, broken *Error) {
	src := b
	var joined [MaxHeaderBytes]byte
	before := int(d.headLen)
	if before > 0 {
		copy(joined[:], d.head[:before])
		src = joined[:before+copy(joined[before:], b)]
	}
	if len(src) >= 2 {
		// What is already wrong does not wait for the rest of the header.
		if broken := d.checkStart(src[0], src[1]); broken != nil {
			return 0, broken
		}
	}
	h, size, err := ParseHeader(src)
	if err != nil {
		return 0, err.(*Error)
	}
	if size == 0 {
		d.headLen += uint8(copy(d.head[before:], b))
		return len(b), nil
	}
	d.headLen = 0
	if broken := d.open(h); broken != nil {
		return 0, broken
	}
	return size - before, nil
}

// checkStart applies every rule that the first two bytes of a header decide.
func (d *Decoder) checkStart(b0, b1 byte) *Error {
	op, fin := Opcode(b0&bitsOpcode), b0&bitFin != 0
	switch {
	case b0&bitsRsv&^RSV1 != 0, b0&RSV1 != 0 && !d.has(flagDeflate):
		return errReservedBits
	case b0&RSV1 != 0 && op.Control():
		return errControlCompressed
	case b0&RSV1 != 0 && op == Continuation:
		return errContinuationCompressed
	case !op.known():
		return errOpcode
	case (b1&bitMask != 0) != (d.role == Server):
		return errMask
	case op.Control() && !fin:
		return errControlFin
	case op.Control() && b1&bitsLength > maxControl:
		return errControlSize
	case op == Continuation && d.message == Continuation:
		return errContinuation
	case (op == Text || op == Binary) && d.message != Continuation:
		return errInterleaved
	}
	return nil
}

// open begins the frame of h, after the caller's limits.
func (d *Decoder) open(h Header) *Error {
	if !h.Op.Control() {
		if h.Rsv != 0 {
			d.flags |= flagCompressed // checkStart has let RSV1 through, and only here
		}
		if broken := d.count(h.Length); broken != nil {
			return broken
		}
		if h.Op != Continuation {
			d.message = h.Op
		}
	}
	d.inFrame, d.frame, d.left = true, byte(h.Op), h.Length
	if h.Fin {
		d.frame |= bitFin
	}
	copy(d.head[:4], h.Key[:])
	return nil
}

// count adds a frame of the given length to the current message.
func (d *Decoder) count(length int64) *Error {
	if length > math.MaxInt64-d.total {
		return errMessageSize
	}
	d.total += length
	if d.fragments < math.MaxUint32 {
		d.fragments++
	}
	if d.limits == nil {
		return nil
	}
	if most := d.limits.MessageBytes; most > 0 && d.total > most {
		if !d.has(flagCompressed) || d.total-most > most/8+128 {
			return errMessageSize
		}
	}
	if most := d.limits.Fragments; most > 0 && int64(d.fragments) > int64(most) {
		return errFragments
	}
	return nil
}

// opcode returns the opcode of the current frame.
func (d *Decoder) opcode() Opcode { return Opcode(d.frame & bitsOpcode) }

// unmask removes the mask from the next bytes of the payload and turns the key so
// that it begins with the byte after them.
func (d *Decoder) unmask(p []byte) {
	if d.role != Server || len(p) == 0 {
		return
	}
	key := [4]byte(d.head[:4])
	turn := Mask(p, key, 0)
	turned := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*turn)
	binary.LittleEndian.PutUint32(d.head[:4], turned)
}

// dataEvent hands out p, the next piece of the current data frame.
func (d *Decoder) dataEvent(p []byte) (Event, *Error) {
	ev := Event{
		Kind: KindData, Op: d.message, Payload: p,
		First: !d.has(flagBegun), Last: d.frame&bitFin != 0 && d.left == 0,
		Compressed: d.has(flagCompressed),
	}
	if d.message == Text && !ev.Compressed {
		d.text = d.text.over(p)
		if d.text == utf8Invalid || ev.Last && d.text != utf8Whole {
			return Event{}, errText
		}
	}
	d.flags |= flagBegun
	d.inFrame = d.left > 0
	if ev.Last {
		d.message, d.total, d.fragments = Continuation, 0, 0
		d.flags &^= flagBegun | flagCompressed
	}
	return ev, nil
}

// controlEvent hands out the current control frame once p completes it. A payload
// that came whole is handed out where it lies.
func (d *Decoder) controlEvent(p []byte) (Event, *Error) {
	if d.control != nil || d.left > 0 {
		if d.control == nil {
			d.control = new(controlBuffer)
		}
		c := d.control
		c.n += copy(c.b[c.n:], p)
		if d.left > 0 {
			return Event{}, nil
		}
		p, d.control = c.b[:c.n], nil
	}
	d.inFrame = false
	switch d.opcode() {
	case Ping:
		return Event{Kind: KindPing, Payload: p}, nil
	case Pong:
		return Event{Kind: KindPong, Payload: p}, nil
	}
	code, reason, broken := parseClose(p)
	if broken != nil {
		return Event{}, broken
	}
	return Event{Kind: KindClose, Code: code, Payload: reason}, nil
}
