package session

import (
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

// pinBytes is how long an unfinished frame may be to be copied. A longer one keeps its chunk alive, for pinFor at most.
const (
	pinBytes = 4 << 10
	pinFor   = 10 * time.Second
)

// follower is a cursor of a session.
type follower struct {
	hub.Cursor
	session *Session
	sub     *subscription
	next    *follower // in session.due
	queued  bool      // in session.due
	owes    bool      // the client is to be told the position
	listed  bool      // in shard.owing
	since   uint32    // when it asked to follow, Unix seconds
}

// followers is a queue of those that have something to send.
type followers struct{ first, last *follower }

func (q *followers) push(f *follower) {
	f.queued, f.next = true, nil
	if q.last == nil {
		q.first = f
	} else {
		q.last.next = f
	}
	q.last = f
}

func (q *followers) pop() *follower {
	f := q.first
	if f != nil {
		q.first = f.next
		if q.first == nil {
			q.last = nil
		}
		f.queued, f.next = false, nil
	}
	return f
}

// Due implements hub.Owner.
func (f *follower) Due(*hub.Cursor) {
	if !f.queued {
		f.session.due.push(f)
	}
	f.session.line.Wake()
}

// Send implements hub.Owner: a session that follows one channel and has nothing else to say sends at once. One that
// follows several gathers what they bring into one write.
func (f *follower) Send(_ *hub.Cursor, slice *hub.Slice) bool {
	s := f.session
	if s.out != nil || s.closing || len(s.subs) != 1 || s.due.first != nil {
		return false
	}
	n, ok := s.line.Send(slice.Bytes)
	if !ok {
		return false
	}
	s.shard.Counters.BytesOut.Add(uint64(n))
	s.sentTo(f, slice, n)
	if f.More() {
		s.due.push(f)
	}
	if s.out != nil {
		s.line.Watch()
	}
	return true
}

// Overflow implements hub.Owner.
func (f *follower) Overflow(*hub.Cursor) { f.session.close(dialect.CloseSlowConsumer, "") }

// Name implements hub.Owner.
func (f *follower) Name() string { return f.session.name }

// framed is an encoding in a transport's frames, of what a filter lets pass. It is compared by its parts.
type framed struct {
	encoding hub.Encoding
	framing  Framing
	filter   filter
}

// AppendEntry implements hub.Encoding. It appends nothing for what does not pass.
func (e framed) AppendEntry(dst []byte, channel, epoch string, entry *broker.Entry) []byte {
	if !e.filter.passes(entry) {
		return dst
	}
	start := len(dst)
	dst = e.framing.Begin(dst)
	begun := len(dst)
	dst = e.encoding.AppendEntry(dst, channel, epoch, entry)
	if len(dst) == begun { // nothing is said of it
		return dst[:start]
	}
	return e.framing.End(dst, start)
}

// Filters implements hub.Filterer.
func (e framed) Filters() bool { return e.filter != "" }

// AppendEntries implements hub.Gatherer, for encodings that are none too.
func (e framed) AppendEntries(dst []byte, channel, epoch string, entries []*broker.Entry) (b []byte, n int) {
	g, ok := e.encoding.(hub.Gatherer)
	if !ok {
		return e.AppendEntry(dst, channel, epoch, entries[0]), 1
	}
	start := len(dst)
	dst = e.framing.Begin(dst)
	begun := len(dst)
	if dst, n = g.AppendEntries(dst, channel, epoch, entries); len(dst) == begun {
		return dst[:start], n
	}
	return e.framing.End(dst, start), n
}

// say puts a message into the outbox.
func (s *Session) say(id dialect.ID, r dialect.Reply) {
	if s.closing || s.closed {
		return
	}
	o := s.outbox()
	start := len(o.buf)
	b := s.framing.Begin(o.buf)
	b = s.codec.AppendReply(b, id, r)
	o.buf = s.framing.End(b, start)
	s.shard.Counters.MessagesOut.Add(1)
	s.line.Wake()
	limits := &s.shard.node.cfg.Limits
	if int64(o.waiting()) > int64(limits.OutboxBytes)+2*limits.HistoryBytes {
		s.close(dialect.CloseSlowConsumer, "")
		return
	}
	s.hold()
}

// hold stops reading while more than half of what may waits to be sent: who asks without taking the answers is not
// asked for more.
func (s *Session) hold() {
	s.shard.untaken.note(s)
	if s.out.waiting() > s.shard.node.cfg.Limits.OutboxBytes/2 && !s.Full() {
		s.pause(pauseFull)
	}
}

// outbox is where the session puts what it says.
func (s *Session) outbox() *outgoing {
	if s.out != nil {
		return s.out
	}
	sh := s.shard
	if n := len(sh.spare); n > 0 {
		s.out = sh.spare[n-1]
		sh.spare = sh.spare[:n-1]
	} else {
		s.out = &outgoing{buf: make([]byte, 0, 512)}
	}
	return s.out
}

// fail answers a request with an error.
func (s *Session) fail(id dialect.ID, channel string, err *dialect.Error) {
	s.shard.Counters.Errors.Add(1)
	s.say(id, &dialect.Failed{Channel: channel, Err: err})
}

// busyFor is how long a client is asked to wait when it is told that too much is under way.
const busyFor = 100 * time.Millisecond

func (s *Session) busy(id dialect.ID, channel string) {
	err := dialect.Errorf(dialect.Busy, "too many requests are open: wait for their answers")
	err.RetryAfter = busyFor
	s.fail(id, channel, err)
}

// part is a piece of what was pulled.
type part struct {
	f     *follower // nil for the rest or the outbox
	slice hub.Slice
	n     int
}

// Pull gives what is to be sent next: the rest of an unfinished frame, then the outbox, then what the cursors are due,
// one channel after another. It is empty when nothing is due. The bytes are valid until Sent, which has to follow before
// anything else happens on the loop.
func (s *Session) Pull() []byte {
	sh := s.shard
	sh.parts = sh.parts[:0]
	if s.closed {
		return nil
	}
	if s.out.waiting() == 0 {
		if b, alone := s.pullOne(); alone {
			return b
		}
	}
	b := sh.buf[:0]
	if o := s.out; o == nil {
		sh.parts = append(sh.parts, part{}, part{})
	} else {
		b = append(append(b, o.rest...), o.buf[o.sent:]...)
		sh.parts = append(sh.parts, part{n: len(o.rest)}, part{n: len(o.buf) - o.sent})
	}
	for len(b) < gatherBytes && len(sh.parts) < gatherParts {
		p, ok := s.take(gatherBytes - len(b))
		if !ok {
			break
		}
		b = append(b, p.slice.Bytes...)
		sh.parts = append(sh.parts, p)
	}
	if cap(b) <= 4*gatherBytes {
		sh.buf = b
	}
	return b
}

// pullOne gives the bytes of the only follower that is due as they lie, without a copy.
func (s *Session) pullOne() (b []byte, alone bool) {
	if s.due.first == nil || s.closing {
		return nil, true
	}
	if s.due.first.next != nil {
		return nil, false
	}
	p, ok := s.take(gatherBytes)
	if !ok {
		return nil, s.out.waiting() == 0 // a gap may have been told
	}
	s.shard.parts = append(s.shard.parts, part{}, part{}, p)
	return p.slice.Bytes, true
}

// take takes what the next follower is due. ok is false when there is nothing to send from followers now.
func (s *Session) take(room int) (p part, ok bool) {
	for {
		f := s.due.pop()
		if f == nil || s.closing {
			return part{}, false
		}
		slice := f.Take(&s.shard.scratch[len(s.shard.parts)%gatherParts], room)
		if slice.Passed && f == &f.sub.main {
			s.shard.owe(f)
		}
		switch {
		case slice.Overflow:
			s.close(dialect.CloseSlowConsumer, "")
			return part{}, false
		case slice.GapTo != 0:
			s.due.push(f)
			f.tellPosition(slice.GapFrom - 1) // who asks again from before the gap goes on from there
			s.say(dialect.NoID, &dialect.GapNotice{Channel: f.Channel(), From: slice.GapFrom, To: slice.GapTo, Reason: slice.GapReason})
			return part{}, false // the notice goes first
		case len(slice.Bytes) > 0: // Sent puts it back at the end of the queue
			return part{f: f, slice: slice, n: len(slice.Bytes)}, true
		}
	}
}

// Sent says how many bytes of what Pull gave the transport has taken.
func (s *Session) Sent(n int) {
	if s.closed {
		return
	}
	sh := s.shard
	sh.Counters.BytesOut.Add(uint64(n))
	for i := range sh.parts {
		p := &sh.parts[i]
		m := min(n, p.n)
		n -= m
		switch {
		case m == 0:
		case i == 0:
			if s.out.rest = s.out.rest[m:]; len(s.out.rest) == 0 {
				s.out.rest, s.out.since = nil, 0
			}
		case i == 1:
			s.out.sentOf(m)
		default:
			s.sentTo(p.f, &p.slice, m)
		}
		if p.f != nil && !p.f.queued && p.f.More() {
			s.due.push(p.f)
		}
		p.slice, p.f = hub.Slice{}, nil
	}
	if s.out != nil && s.out.waiting() == 0 {
		sh.giveBack(s.out)
		s.out = nil
		if s.resume(pauseFull) {
			s.nextRead()
		}
	}
}

// sentTo moves a follower on and keeps what is left of its last frame.
func (s *Session) sentTo(f *follower, slice *hub.Slice, n int) {
	entries, rest := f.Sent(slice, n)
	f.owes = false // the message says more than a position would
	s.shard.Counters.Deliveries.Add(uint64(entries))
	s.shard.measure(f, slice, entries)
	if len(rest) == 0 {
		return
	}
	if len(rest) < pinBytes || !slice.Shared {
		rest = append([]byte(nil), rest...)
	} else {
		s.outbox().since = s.shard.node.cfg.Now().UnixMilli()
	}
	s.outbox().rest = rest
	s.shard.untaken.note(s)
}

// Pinned says that the rest of a frame keeps its chunk alive.
func (s *Session) Pinned() bool { return s.out != nil && s.out.since != 0 }

// Stuck says that the client has not taken the end of a frame for too long: the transport closes it as a slow consumer.
func (s *Session) Stuck() bool {
	return s.Pinned() && s.shard.node.cfg.Now().UnixMilli()-s.out.since >= pinFor.Milliseconds()
}
