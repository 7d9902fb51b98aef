package websocket

import (
	"bytes"
	"errors"

	"hocket.dev/wire"
)

// A driver is a [Socket] as its loop sees it: what the loop calls is no business of the
// program.
type driver Socket

var errNoClose = errors.New("the close frame was not answered")

// Read implements loop.Handler.
func (d *driver) Read(b []byte) {
	s := (*Socket)(d)
	s.heard()
	if s.state > closing {
		return // §1.4: what follows is discarded
	}
	s.needTransit()
	for len(b) > 0 && s.state <= closing {
		ev, n, err := s.transit.decoder.Next(b)
		b = b[n:]
		if err != nil {
			s.fail(err)
			return
		}
		s.event(ev)
	}
	s.settle()
}

// event handles what the decoder found.
func (s *Socket) event(ev wire.Event) {
	switch ev.Kind {
	case wire.KindData:
		s.data(ev)
	case wire.KindPing:
		// §5.5.3 lets the newest ping alone be answered: where too much is pending for a
		// message, no pong is added to it either.
		if s.state == talking && s.Buffered() < s.shard().server.opts.MaxPendingBytes {
			s.frame(wire.Pong, ev.Payload)
		}
	case wire.KindClose:
		s.peerCloses(ev)
	}
}

// data delivers a message once it is whole.
func (s *Socket) data(ev wire.Event) {
	if s.state != talking {
		return // dropped, but read on for the close frame
	}
	msg := ev.Payload
	if !ev.First || !ev.Last {
		t := s.transit
		t.msg = append(t.msg, ev.Payload...)
		if msg = t.msg; ev.Last {
			t.msg = nil // a handler that panics leaves nothing behind
			defer func(parts []byte) { t.msg = reuse(parts) }(msg)
		}
	}
	if ev.Compressed {
		var err error
		if msg, err = s.inflate(ev, msg); err != nil {
			s.fail(err)
			return
		}
	}
	if ev.Last {
		s.shard().server.handler.Message(s, MessageType(ev.Op), msg)
	}
}

// inflate takes a piece of a compressed message, and with the last one returns what the whole,
// which is compressed then, was before compression. That is valid until the next.
func (s *Socket) inflate(ev wire.Event, compressed []byte) ([]byte, error) {
	sh := s.shard()
	m := wire.Inflation{Op: ev.Op, MaxBytes: sh.server.limits.MessageBytes, Window: s.takeover().received}
	if !ev.First || !ev.Last {
		ahead := &s.transit.ahead
		if err := ahead.add(ev, m); err != nil || !ev.Last {
			return nil, err
		}
		if msg, whole, err := ahead.end(); whole || err != nil {
			return msg, err
		}
	}
	if sh.inflater == nil {
		sh.inflater = wire.NewInflater()
	}
	msg, err := sh.inflater.Append(reuse(sh.inflated), compressed, m)
	sh.inflated = msg
	return msg, err
}

// peerCloses answers the peer's close frame, or ends the handshake that Close began.
func (s *Socket) peerCloses(ev wire.Event) {
	if s.state == closing {
		s.state = over // with the error of Close, which is none
	} else {
		// §5.5.1: echo the code received.
		s.finish(over, &CloseError{Code: ev.Code, Reason: string(bytes.Clone(ev.Payload))}, ev.Code, "")
	}
	s.conn.Wake()
}

// fail tells the peer which rule it broke (§7.1.7).
func (s *Socket) fail(err error) {
	var rule *wire.Error
	if s.state != talking || !errors.As(err, &rule) {
		s.state = broken
		s.keepError(readError(err))
		s.conn.Close(nil)
		return
	}
	s.finish(broken, readError(err), rule.Code, rule.Rule)
}

// settle gives the transit back when nothing is half way any more, or of one that has to
// be kept the buffers.
func (s *Socket) settle() {
	t := s.transit
	switch {
	case t == nil || s.state != talking || len(t.out) > 0 || !t.decoder.Idle():
	case t.takeover != nil:
		t.msg, t.out = nil, nil
	default:
		s.shard().putBack(t)
		s.transit = nil
	}
}

// heard notes that the peer is alive.
func (s *Socket) heard() {
	if s.flags&flagAwaited != 0 {
		s.flags &^= flagAwaited
		if s.state == talking {
			s.conn.SetAlarm(s.shard().server.pingTick)
		}
	}
}

// Alarm implements loop.Handler.
func (d *driver) Alarm() {
	s := (*Socket)(d)
	switch {
	case s.state == closing:
		s.conn.Close(errNoClose)
	case s.state != talking:
		s.conn.Close(nil)
	case s.flags&flagAwaited != 0 && (s.flags&flagPaused == 0 || s.delayed()):
		s.conn.Close(ErrPongTimeout)
	default:
		s.flags |= flagAwaited
		s.frame(wire.Ping, nil)
		s.conn.SetAlarm(s.shard().server.pongTick)
	}
}

// Flush implements loop.Handler.
func (d *driver) Flush() { (*Socket)(d).flush() }

// Closed implements loop.Handler.
func (d *driver) Closed(err error) { (*Socket)(d).ended(err) }
