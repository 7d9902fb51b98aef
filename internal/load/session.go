package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"hocket.dev/internal/loop"
	"hocket.dev/wire"
)

// session is one connection of the generator, a subscriber or the publisher. It
// belongs to the run's loop.
type session struct {
	loop.Conn
	run     *run
	decoder wire.Decoder
	whole   wire.Assembler
	at      cursor // a subscriber's
	out     []byte // due to the server
	publish bool   // it publishes, and does not subscribe
	ready   bool   // subscribed, or greeted
	closing bool   // its end is no fault
	gone    bool
}

// Read takes what the server has sent.
func (s *session) Read(b []byte) {
	now := s.run.now()
	defer s.run.step()
	for len(b) > 0 {
		ev, n, err := s.decoder.Next(b)
		if err != nil {
			s.broken(err)
			return
		}
		b = b[n:]
		switch ev.Kind {
		case wire.KindData:
			if msg, done := s.whole.Add(ev); done {
				s.message(msg, now)
			}
		case wire.KindPing:
			s.send(wire.Pong, ev.Payload)
		case wire.KindClose:
			s.goodbye(ev)
			return
		}
	}
}

// broken ends a session whose server broke the protocol.
func (s *session) broken(err error) {
	if !errors.Is(err, wire.ErrClosed) {
		s.run.book.faults.Errors++
		s.run.book.faults.note("the server broke the protocol: %v", err)
	}
	s.Close(err)
}

// goodbye answers a close frame (§5.5.1) and leaves the end to the server.
func (s *session) goodbye(ev wire.Event) {
	if !s.closing {
		s.run.book.faults.note("the server closed a connection with %v %s", ev.Code, ev.Payload)
		s.bye(ev.Code)
	}
}

// bye sends a close frame, once.
func (s *session) bye(code wire.CloseCode) {
	if !s.gone {
		s.send(wire.Close, wire.AppendClosePayload(nil, code, ""))
	}
}

// message takes one whole message.
func (s *session) message(msg []byte, now int64) {
	r := s.run
	switch {
	case s.publish:
		s.reply(msg)
	case r.book.receive(&s.at, msg, now):
	case s.ready && bytes.HasPrefix(msg, []byte(`{"type":"message"`)):
		r.book.inspect(&s.at, msg, now)
	default:
		s.notice(msg, now)
	}
}

// isReady notes that the subscriber is subscribed.
func (s *session) isReady() {
	s.ready = true
	s.run.oneReady()
}

// reply takes what the publisher is told.
func (s *session) reply(msg []byte) {
	if id, ok := scanReply(msg); ok {
		s.run.acknowledge(id)
		return
	}
	n, err := parseNotice(msg)
	if err != nil {
		s.run.book.faults.Errors++
		s.run.book.faults.note("%v", err)
		return
	}
	if id, ok := n.number(); ok && n.Type == "reply" {
		s.run.acknowledge(id)
		return
	}
	s.other(n)
}

// notice takes a subscriber's message that is not the ordinary push.
func (s *session) notice(msg []byte, now int64) {
	n, err := parseNotice(msg)
	switch {
	case err != nil:
		s.run.book.faults.Errors++
		s.run.book.faults.note("%v", err)
	case n.Type == "message":
		s.run.book.inspect(&s.at, msg, now)
	case n.Type == "reply" && !s.ready:
		s.isReady()
	case n.Type == "error" && !s.ready:
		s.run.fail(errors.New("subscribe to " + s.at.channel.name + ": " + n.Error.Name + ": " + n.Error.Message))
	default:
		s.other(n)
	}
}

// other takes what is said to any session.
func (s *session) other(n notice) {
	f := &s.run.book.faults
	switch n.Type {
	case "connected", "position", "ping", "join", "leave":
	case "gap":
		f.GapNotices++
		f.note("%s: the server left a gap: %s", n.Channel, n.Payload)
	case "error":
		f.Errors++
		f.note("the server said: %d %s: %s", n.Error.Code, n.Error.Name, n.Error.Message)
	default:
		f.Errors++
		f.note("the server sent %q: %.200s", n.Type, n.Payload)
	}
}

// send queues one frame. §5.3 wants masking keys that cannot be foretold, to keep
// scripts of a web page from writing to proxies; a generator that sends only its own
// digits needs no more than that they change.
func (s *session) send(op wire.Opcode, payload []byte) {
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], s.run.random.Uint32())
	s.out = wire.AppendMaskedFrame(s.out, op, key, payload)
	s.Wake()
}

// Flush writes what is due.
func (s *session) Flush() {
	n, err := s.Write(s.out)
	if err != nil {
		return // Closed follows
	}
	s.out = s.out[:copy(s.out, s.out[n:])]
	if len(s.out) == 0 && !s.publish {
		s.out = nil // a subscriber has nothing to say for the rest of the run
	}
}

// Alarm is never asked for.
func (s *session) Alarm() {}

// Closed notes the end of the connection.
func (s *session) Closed(err error) {
	s.gone = true
	if errors.Is(err, io.EOF) {
		err = errors.New("the server closed the connection")
	}
	s.run.sessionClosed(s, err)
}
