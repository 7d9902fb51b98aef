package websocket

import (
	"slices"

	"hocket.dev/internal/loop"
	"hocket.dev/wire"
)

const (
	// tapeBytes is the size of a tape, spareTapes how many of a loop's are kept unused, and
	// spareTransits the same of transits.
	tapeBytes     = 64 << 10
	spareTapes    = 16
	spareTransits = 32
	// keepBytes is how much memory an unused buffer keeps.
	keepBytes = 16 << 10
)

// A tape is memory into which the sockets of a loop write one after the other what they
// send in a turn. Each has a range of it until the turn ends.
type tape struct {
	b    []byte
	refs int  // sockets with a range of it
	kept bool // it is the loop's own, to be used again
}

func newTape() *tape { return &tape{b: make([]byte, 0, tapeBytes), kept: true} }

// A span is a socket's range of a tape. Sockets have one only between writing and the end
// of the turn, so they hold its number: that is 12 bytes less for each idle one.
type span struct {
	tape       *tape
	start, end uint32
}

// A shard is what the sockets of one loop share. It belongs to the loop.
type shard struct {
	server    *Server
	loop      *loop.Loop
	tape      *tape  // the one being written
	spans     []span // what sockets have to send; the first is none
	freeSpans []uint32
	spare     []*tape
	idle      []*transit     // unused
	scratch   []byte         // for a response, or a compressed message
	inflater  *wire.Inflater // nil until the first compressed message
	inflated  []byte         // what it made of the last one

	// The prepared message written last in the form for lastKey, and where: whoever sends
	// the same takes the same range. lastTape is nil for none.
	last     *PreparedMessage
	lastKey  preparedKey
	lastForm *prepared
	lastTape *tape
	lastAt   uint32
}

// A transit is what a socket has only while bytes of it are half way: a message that is
// half read, or a frame that the network has not taken, or the reason of a closing
// connection.
type transit struct {
	decoder  wire.Decoder
	msg      []byte // the pieces of a message that came in parts
	out      []byte // taken and not yet sent; out[:sent] is sent
	sent     int
	err      error     // with which the socket ends
	takeover *takeover // nil without context takeover
	ahead    lookahead // into what msg has of a compressed text
}

// A takeover is what context takeover has a socket remember of earlier messages (RFC 7692
// §7.1.1). It lies in the transit, which such a socket keeps while it is idle, too, so that
// all others have no field for it.
type takeover struct{ sent, received *wire.Window } // nil where nothing is taken over

func newShard(s *Server, l *loop.Loop) *shard {
	sh := &shard{server: s, loop: l, tape: newTape(), spans: make([]span, 1)}
	l.Owner = sh
	return sh
}

// newSocket makes the socket of a handshake that is answered with response.
func (sh *shard) newSocket(response wire.Response) *Socket {
	s := &Socket{
		subprotocol: uint8(slices.Index(sh.server.opts.Subprotocols, response.Protocol) + 1),
	}
	if agreed := response.Deflate; agreed != nil {
		s.windowBits = uint8(agreed.SendBits(wire.Server))
		if sent, received := sh.server.opts.Compression.windows(*agreed, wire.Server); sent != nil || received != nil {
			sh.giveTransit(s)
			s.transit.takeover = &takeover{sent, received}
		}
	}
	return s
}

// goAway closes every socket of the loop.
func (sh *shard) goAway() {
	for h := range sh.loop.Handlers() {
		if d, ok := h.(*driver); ok {
			_ = (*Socket)(d).Close(CloseGoingAway, "") // the code is valid
		}
	}
}

// newSpan returns the number of an unused span.
func (sh *shard) newSpan() uint32 {
	if last := len(sh.freeSpans) - 1; last >= 0 {
		i := sh.freeSpans[last]
		sh.freeSpans = sh.freeSpans[:last]
		return i
	}
	sh.spans = append(sh.spans, span{})
	return uint32(len(sh.spans) - 1)
}

// room returns a tape with room for n bytes.
func (sh *shard) room(n int) *tape {
	t := sh.tape
	if cap(t.b)-len(t.b) >= n {
		return t
	}
	if t.refs == 0 {
		sh.reset(t)
		if cap(t.b) >= n {
			return t
		}
	}
	if n > tapeBytes {
		return &tape{b: make([]byte, 0, n)} // for this one socket
	}
	if last := len(sh.spare) - 1; last >= 0 {
		sh.tape, sh.spare = sh.spare[last], sh.spare[:last]
	} else {
		sh.tape = newTape()
	}
	return sh.tape
}

// release gives up one range of t.
func (sh *shard) release(t *tape) {
	if t.refs--; t.refs > 0 {
		return
	}
	sh.reset(t)
	if t.kept && t != sh.tape && len(sh.spare) < spareTapes {
		sh.spare = append(sh.spare, t)
	}
}

// reset empties a tape on which nobody has a range.
func (sh *shard) reset(t *tape) {
	t.b = t.b[:0]
	if sh.lastTape == t {
		sh.last, sh.lastForm, sh.lastTape = nil, nil, nil
	}
}

// transit returns an unused transit.
func (sh *shard) transit() *transit {
	var t *transit
	if last := len(sh.idle) - 1; last >= 0 {
		t, sh.idle = sh.idle[last], sh.idle[:last]
	} else {
		t = new(transit)
	}
	return t
}

// giveTransit gives s, which has none, a transit.
func (sh *shard) giveTransit(s *Socket) {
	s.transit = sh.transit()
	s.transit.decoder = wire.NewDecoder(wire.Server, &sh.server.limits)
	if s.windowBits != 0 {
		s.transit.decoder.AllowDeflate()
	}
}

// putBack takes a transit that is no longer used.
func (sh *shard) putBack(t *transit) {
	t.ahead.drop()
	if len(sh.idle) == spareTransits {
		return
	}
	*t = transit{msg: reuse(t.msg), out: reuse(t.out)}
	sh.idle = append(sh.idle, t)
}

// reuse empties a buffer, and gives up one that a large message has left.
func reuse(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}
