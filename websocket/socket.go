package websocket

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime/debug"

	"hocket.dev/internal/loop"
	"hocket.dev/wire"
)

const (
	// closeTicks is how many seconds a peer has to answer a close frame, lingerTicks how
	// long one that is over is read on, so that the close frame is not lost to a reset.
	closeTicks  = 5
	lingerTicks = 1
)

// Socket is a WebSocket connection on an event loop of a [Server]. All its methods but
// Post are for its own loop: for the methods of a [Handler] and for posted functions.
// None of them blocks.
type Socket struct {
	// Data is the program's own. The package does not touch it.
	Data any

	conn        loop.Conn
	transit     *transit // nil while nothing is half way and nothing has to be remembered
	span        uint32   // the number of what is to be sent later in the turn, 0 for nothing
	subprotocol uint8    // the number in the options, from 1; 0 for none
	windowBits  uint8    // of what is sent compressed, 0 without compression
	state       socketState
	flags       socketFlags
}

type socketState uint8

const (
	talking   socketState = iota
	closing               // our close frame is on its way, the peer's is awaited
	over                  // the peer has closed: our close frame is on its way, or was sent
	broken                // the peer has broken a rule: our close frame is on its way
	lingering             // everything was sent: the peer's end is awaited
	gone                  // the connection has ended
)

type socketFlags uint8

const (
	flagOpened  socketFlags = 1 << iota // Handler.Open was called
	flagAwaited                         // a ping has not been answered
	flagRefused                         // Handler.Writable is owed
	flagPaused                          // Pause was called
)

// Subprotocol returns the subprotocol both sides agreed on, "" for none.
func (s *Socket) Subprotocol() string {
	if s.subprotocol == 0 {
		return ""
	}
	return s.shard().server.opts.Subprotocols[s.subprotocol-1]
}

// shard is what the socket shares with the others of its loop. It is found there: that is 8 bytes less for each.
func (s *Socket) shard() *shard { return s.conn.Loop().Owner.(*shard) }

// Server returns the server whose socket it is. It may be called from any goroutine.
func (s *Socket) Server() *Server { return s.shard().server }

// Loop returns the number of the socket's loop, for Server.Post. It may be called from
// any goroutine.
func (s *Socket) Loop() int { return s.shard().loop.Index() }

// Post has fn run on the socket's loop, unless the socket has ended by then. It may be
// called from any goroutine and never blocks. It returns false, and fn will not run, once
// the server is closed. A panic in fn ends the socket.
func (s *Socket) Post(fn func(*Socket)) bool {
	return s.shard().loop.Post(func() {
		if s.state != gone {
			defer s.rescue()
			fn(s)
		}
	})
}

// Write sends one message later in this turn of the loop. p is not kept and not
// changed. A message that is larger than what may be pending is taken while the socket is
// not full.
//
// The errors are [ErrNotUTF8], [ErrPendingFull], and net.ErrClosed once the connection
// has ended or is about to; nothing was sent then.
func (s *Socket) Write(typ MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := s.admit(); err != nil {
		return err
	}
	s.message(wire.Opcode(typ), p)
	return nil
}

// WritePrepared is Write for a message that goes to many: the sockets of a loop share the
// bytes of its frame.
func (s *Socket) WritePrepared(m *PreparedMessage) error {
	if err := s.admit(); err != nil {
		return err
	}
	s.prepared(m)
	return nil
}

// Ping sends a ping with a payload of at most 125 bytes, more of which are an error. What
// comes back is a sign of life like everything else, and not reported. A [Server] can
// ping by itself: see [KeepAlive].
func (s *Socket) Ping(payload []byte) error {
	if len(payload) > 125 {
		return fmt.Errorf("websocket: ping: %d bytes of payload, at most 125 are possible (RFC 6455 §5.5)", len(payload))
	}
	if err := s.admit(); err != nil {
		return err
	}
	s.frame(wire.Ping, payload)
	return nil
}

// Buffered returns how many bytes are taken and not yet given to the network.
func (s *Socket) Buffered() int {
	at := s.at()
	n := int(at.end - at.start)
	if s.transit != nil {
		n += len(s.transit.out) - s.transit.sent
	}
	return n
}

// Pause stops reading, so that the peer is held back by the network; what has been read
// is still delivered. Resume goes on. Meanwhile the peer's signs of life are not seen:
// one that is pinged counts as alive as long as it takes what is sent.
func (s *Socket) Pause() {
	s.flags |= flagPaused
	s.conn.Pause()
}

// Resume goes on reading after Pause. The peer has the whole time again to answer a ping:
// its answer may lie unread.
func (s *Socket) Resume() {
	if s.flags&flagPaused != 0 && s.flags&flagAwaited != 0 && s.state == talking {
		s.conn.SetAlarm(s.shard().server.pongTick)
	}
	s.flags &^= flagPaused
	s.conn.Resume()
}

// Close ends the connection properly (RFC 6455 §7.1.2): behind what is pending it sends
// a close frame, and Handler.Close follows when the peer has answered, or has not for
// 5 s, and has ended the network connection, or has not for 1 s. Messages that come meanwhile are dropped. The reason is cut to 123 bytes;
// [CloseNoStatus] sends neither code nor reason. A code that must not be sent is an
// error, and so is net.ErrClosed when the connection is closing already.
func (s *Socket) Close(code CloseCode, reason string) error {
	if code != CloseNoStatus && !code.Valid() {
		return fmt.Errorf("websocket: close: code %d must not be sent (RFC 6455 §7.4)", code)
	}
	if s.state != talking {
		return errClosed
	}
	s.finish(closing, nil, code, reason)
	return nil
}

// CloseNow ends the connection without a close frame. What is pending is given up.
func (s *Socket) CloseNow() {
	if s.state != gone {
		s.keepError(nil)
		s.state = over
		s.conn.Close(errClosed)
	}
}

// admit says whether another message may be sent.
func (s *Socket) admit() error {
	switch {
	case s.state != talking:
		return errClosed
	case s.Buffered() < s.shard().server.opts.MaxPendingBytes:
		return nil
	}
	switch s.shard().server.opts.PendingPolicy {
	case PendingWait:
		s.flags |= flagRefused
	case PendingClose:
		s.finish(broken, ErrPendingFull, ClosePolicy, "the peer does not read what it is sent")
		s.flush()
		s.conn.Close(nil) // nobody waits for it to read on
	}
	return ErrPendingFull
}

// finish sends the close frame, behind which nothing follows, and leaves talking. err is
// what the handler is told in the end.
func (s *Socket) finish(next socketState, err error, code CloseCode, reason string) {
	s.state = next
	var p [125]byte
	s.frame(wire.Close, wire.AppendClosePayload(p[:0], code, reason))
	s.keepError(err)
	s.conn.SetAlarm(closeTicks)
	s.Resume() // the peer's answer, or its end, is awaited
}

// keepError notes what the handler is told in the end.
func (s *Socket) keepError(err error) {
	s.needTransit()
	s.transit.err = err
}

// needTransit sees to it that the socket has a transit.
func (s *Socket) needTransit() {
	if s.transit == nil {
		s.shard().giveTransit(s)
	}
}

// takeover returns what the socket remembers of earlier messages: nothing without context
// takeover.
func (s *Socket) takeover() takeover {
	if s.transit == nil || s.transit.takeover == nil {
		return takeover{}
	}
	return *s.transit.takeover
}

// respond sends the response of the handshake.
func (s *Socket) respond(response wire.Response) {
	sh := s.shard()
	sh.scratch = response.AppendTo(sh.scratch[:0])
	s.commit(append(s.reserve(len(sh.scratch)), sh.scratch...))
	s.push()
}

// begin is the first thing a program sees of a socket, in the function that has attached it.
func (s *Socket) begin(r *http.Request, early []byte) {
	sh := s.shard()
	sh.server.sockets.Add(1)
	sh.server.trim.moved()
	if every := int(sh.server.pingTick); every > 0 {
		s.conn.SetAlarm(uint8(every - rand.IntN(every/2+1))) // #nosec G404 -- staggered
	}
	defer s.rescue()
	s.flags |= flagOpened
	sh.server.handler.Open(s, r)
	if len(early) > 0 {
		(*driver)(s).Read(early)
	}
}

// rescue makes a panic cost this socket alone.
func (s *Socket) rescue() {
	if v := recover(); v != nil {
		s.conn.Close(&loop.PanicError{Value: v, Stack: debug.Stack()})
	}
}

// ended is the last thing to happen to a socket.
func (s *Socket) ended(err error) {
	err = s.reason(err)
	if s.span != 0 {
		s.drop()
	}
	if s.transit != nil {
		s.shard().putBack(s.transit)
		s.transit = nil
	}
	s.state = gone
	s.shard().server.sockets.Add(-1)
	s.shard().server.trim.moved()
	if s.flags&flagOpened != 0 {
		s.shard().server.handler.Close(s, err)
	}
}

// reason returns what the handler is told: err is why the network connection ended.
func (s *Socket) reason(err error) error {
	// A loop does not wrap these two, and errors.As would take a hundredth of a handshake's time.
	if _, panicked := err.(*loop.PanicError); panicked {
		return err
	}
	switch {
	case err == loop.ErrGroupClosed:
		return errClosed
	case s.state != talking && s.state != closing:
		return s.transit.err
	case err == io.EOF:
		err = io.ErrUnexpectedEOF // §7.1.4: a clean end has a close frame
	}
	return &CloseError{Code: CloseAbnormal, Err: err}
}
