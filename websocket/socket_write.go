package websocket

import "hocket.dev/wire"

// flushAtBytes is how much a socket gathers on a tape before it is sent without waiting
// for the end of the turn, where going on would mean to copy it: larger writes save
// nothing.
const flushAtBytes = 16 << 10

// frame takes one frame to be sent later in the turn.
func (s *Socket) frame(op wire.Opcode, p []byte) {
	dst := s.reserve(wire.MaxHeaderBytes + len(p))
	s.commit(wire.AppendFrame(dst, op, p))
}

// at returns where on a tape the bytes are that the socket sends later in the turn.
// It is valid until another socket gets a span.
func (s *Socket) at() *span { return &s.shard().spans[s.span] }

// message takes one message, and compresses it where that was agreed upon and helps.
func (s *Socket) message(op wire.Opcode, p []byte) {
	sh := s.shard()
	if s.windowBits == 0 || len(p) < sh.server.opts.Compression.Threshold {
		s.frame(op, p)
		return
	}
	d := wire.Deflation{WindowBits: int(s.windowBits), Level: sh.server.opts.Compression.Level, Window: s.takeover().sent}
	sh.scratch = d.Append(sh.scratch[:0], p)
	// What has become no smaller goes out compressed all the same where later messages may
	// refer to it: of one that is not compressed the receiver remembers nothing.
	if c := sh.scratch; len(c) < len(p) || d.Window != nil {
		s.commit(wire.AppendCompressedFrame(s.reserve(wire.MaxHeaderBytes+len(c)), op, c))
	} else {
		s.frame(op, p)
	}
	sh.scratch = reuse(sh.scratch)
}

// prepared takes the frame of m.
func (s *Socket) prepared(m *PreparedMessage) {
	form := s.share(m, s.key(m))
	if form.compressed {
		if sent := s.takeover().sent; sent != nil {
			sent.Add(m.payload) // the receiver remembers it, too (RFC 7692 §7.2.3.2)
		}
	}
}

// share takes the frame of m in the form for key. If it was the last one taken on this
// loop, its bytes are on the tape already.
func (s *Socket) share(m *PreparedMessage, key preparedKey) *prepared {
	sh := s.shard()
	if sh.lastTape == nil || sh.last != m || sh.lastKey != key || s.delayed() {
		return s.prepare(m, key)
	}
	form := sh.lastForm
	end := sh.lastAt + uint32(len(form.frame))
	switch {
	case s.span == 0:
		s.place(sh.lastTape, sh.lastAt, end)
	case s.at().tape == sh.lastTape && s.at().end == sh.lastAt:
		s.at().end = end
	default:
		return s.prepare(m, key)
	}
	return form
}

// key says in which form the socket sends m.
func (s *Socket) key(m *PreparedMessage) preparedKey {
	if o := &s.shard().server.opts.Compression; s.windowBits != 0 && len(m.payload) >= o.Threshold {
		return preparedKey{int(s.windowBits), sharedLevel(o.Level)}
	}
	return preparedKey{}
}

// prepare takes the frame of m where it is not on the tape, or not where the socket needs it.
func (s *Socket) prepare(m *PreparedMessage, key preparedKey) *prepared {
	form := m.form(key)
	size := len(form.frame)
	if s.span == 0 && !s.delayed() && size > flushAtBytes {
		s.place(&tape{b: form.frame}, 0, uint32(size))
	} else {
		s.commit(append(s.reserve(size), form.frame...))
	}
	if s.span == 0 {
		return form // it waits behind what the network has not taken
	}
	sh, at := s.shard(), s.at()
	sh.last, sh.lastKey, sh.lastForm = m, key, form
	sh.lastTape, sh.lastAt = at.tape, at.end-uint32(size)
	return form
}

// delayed reports whether the network has not taken what was sent before: then what
// follows waits behind it.
func (s *Socket) delayed() bool { return s.transit != nil && len(s.transit.out) > 0 }

// place gives the socket, which has none, a range of a tape.
func (s *Socket) place(t *tape, start, end uint32) {
	t.refs++
	s.span = s.shard().newSpan()
	*s.at() = span{t, start, end}
	s.conn.Wake()
}

// drop gives up the socket's range.
func (s *Socket) drop() {
	at := s.at()
	t := at.tape
	*at = span{}
	s.shard().freeSpans = append(s.shard().freeSpans, s.span)
	s.span = 0
	s.shard().release(t)
}

// reserve returns the bytes behind which the next n of this socket belong, with room for
// them. They must be appended and given to commit before anything else is done.
func (s *Socket) reserve(n int) []byte {
	if s.delayed() {
		return s.transit.out
	}
	if s.span != 0 {
		at := s.at()
		t := at.tape
		if t == s.shard().tape && int(at.end) == len(t.b) && cap(t.b)-len(t.b) >= n {
			return t.b
		}
		if at.end-at.start < flushAtBytes {
			s.move(n)
			return at.tape.b
		}
		if s.push(); s.delayed() {
			return s.transit.out
		}
	}
	t := s.shard().room(n)
	s.place(t, uint32(len(t.b)), uint32(len(t.b)))
	return t.b
}

// move copies the socket's range to the end of a tape that has room for n bytes more.
func (s *Socket) move(n int) {
	at := s.at()
	from := at.tape
	held := from.b[at.start:at.end]
	t := s.shard().room(len(held) + n)
	start := uint32(len(t.b))
	t.b = append(t.b, held...)
	t.refs++
	*at = span{t, start, uint32(len(t.b))}
	s.shard().release(from)
}

// commit takes the bytes of reserve with what was appended.
func (s *Socket) commit(b []byte) {
	if s.delayed() {
		s.transit.out = b
		return
	}
	at := s.at()
	at.tape.b, at.end = b, uint32(len(b))
}

// push gives the network the socket's range. What it does not take is kept behind what it
// has not taken before.
func (s *Socket) push() {
	at := s.at()
	b := at.tape.b[at.start:at.end]
	n, err := s.conn.Write(b)
	if err == nil && n < len(b) {
		s.needTransit()
		s.transit.out = append(s.transit.out, b[n:]...)
	}
	s.drop()
}

// flush sends what is pending, as far as the network takes it.
func (s *Socket) flush() {
	if s.delayed() {
		t := s.transit
		n, err := s.conn.Write(t.out[t.sent:])
		if err != nil {
			return // Closed follows
		}
		t.sent += n
		if n > 0 {
			s.heard() // who takes bytes is alive
		}
		if t.sent < len(t.out) {
			s.compact(t)
			s.invite()
			return
		}
		t.out, t.sent = reuse(t.out), 0
	}
	if s.span != 0 {
		s.push()
	}
	s.invite()
	if !s.delayed() {
		s.sent()
	}
}

// compact forgets what was sent once it is the larger part.
func (s *Socket) compact(t *transit) {
	if t.sent > len(t.out)/2 {
		t.out = append(t.out[:0], t.out[t.sent:]...)
		t.sent = 0
	}
}

// invite tells a program that was refused when there is room again.
func (s *Socket) invite() {
	server := s.shard().server
	if s.flags&flagRefused != 0 && s.state == talking && s.Buffered() <= server.opts.MaxPendingBytes/2 {
		s.flags &^= flagRefused
		server.handler.Writable(s)
	}
}

// sent goes on with the closing when everything, and so the close frame, was sent.
func (s *Socket) sent() {
	switch s.state {
	case over, broken:
		// Closing at once, with bytes unread or still to come, would reset the connection.
		s.state = lingering
		s.conn.SetAlarm(lingerTicks)
		s.conn.CloseWrite()
	default:
		s.settle()
	}
}
