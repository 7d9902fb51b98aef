package sim

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"hocket.dev/wire"
)

// A socket is a WebSocket made by hand.
type socket struct {
	nc     *end
	link   *link
	in     *bufio.Reader
	took   int64         // bytes of it, up to the end of the last frame that was whole
	seen   int64         // and up to where it has been looked at
	turn   chan struct{} // holds one while somebody writes
	hold   chan chan struct{}
	paused atomic.Bool // the client has not read for a while
	rate   int         // how many bytes the client reads a second, 0 for as they come; set before it reads
	away   bool        // the server has said when to come back
	now    func() time.Duration
	pulse
}

const handshake = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// open dials and does the handshake.
func (w *world) dialSocket(q quality) (*socket, error) {
	nc, l, err := w.dial(q)
	if err != nil {
		return nil, err
	}
	s := &socket{nc: nc, link: l, in: bufio.NewReaderSize(nc, 2048), turn: make(chan struct{}, 1), hold: make(chan chan struct{}, 1), now: w.now}
	_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err = nc.Write([]byte(handshake)); err == nil {
		var answer *http.Response
		if answer, err = http.ReadResponse(s.in, nil); err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("sim: refused with %d", answer.StatusCode)
		}
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	s.took = nc.taken - int64(s.in.Buffered())
	s.seen = s.took
	return s, nil
}

// write sends a frame, unless the line takes nothing for too long.
func (s *socket) write(op wire.Opcode, payload []byte) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	_ = s.nc.SetWriteDeadline(time.Now().Add(3 * time.Second))
	_, err := s.nc.Write(wire.AppendMaskedFrame(nil, op, [4]byte{1, 2, 3, 4}, payload))
	return err
}

// pause stops reading for a while: what comes stays on the line, as far as that holds it.
func (s *socket) pause(d time.Duration) {
	gate := make(chan struct{})
	s.paused.Store(true)
	select {
	case s.hold <- gate:
		time.AfterFunc(d, func() { close(gate) })
	default: // it pauses already
	}
}

// errEnded says that the server has closed, with a code.
type errEnded struct{ code wire.CloseCode }

func (e errEnded) Error() string { return fmt.Sprintf("closed with %d", e.code) }

// read gives each message to got until the connection ends, and when the server let go of it.
func (s *socket) read(got func(msg []byte, handed stamp)) error {
	dec, whole := wire.NewDecoder(wire.Client, nil), wire.Assembler{}
	buf := make([]byte, 2048)
	for {
		select {
		case gate := <-s.hold:
			<-gate
		default:
		}
		n, err := s.in.Read(buf)
		if s.rate > 0 {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(s.rate))
		}
		if failed := s.decode(&dec, &whole, buf[:n], got); failed != nil {
			return failed
		}
		if err != nil {
			return err
		}
	}
}

func (s *socket) decode(dec *wire.Decoder, whole *wire.Assembler, b []byte, got func([]byte, stamp)) error {
	for len(b) > 0 {
		ev, n, err := dec.Next(b)
		if err != nil {
			return errors.Join(errProtocol, err)
		}
		b = b[n:]
		s.seen += int64(n)
		switch ev.Kind {
		case wire.KindData:
			if msg, done := whole.Add(ev); done {
				got(msg, s.nc.in.handed(s.took))
				s.took = s.seen
			}
		case wire.KindPing:
			s.took = s.seen
			s.ping.Store(int64(s.now()))
			_ = s.write(wire.Pong, ev.Payload) // who has closed has no more to say, and reads on
		case wire.KindClose:
			_ = s.write(wire.Close, wire.AppendClosePayload(nil, ev.Code, ""))
			return errEnded{ev.Code}
		}
	}
	return nil
}
