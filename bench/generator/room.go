//go:build linux

package generator

import (
	"bytes"
	"fmt"
	"time"

	"hocket.dev/bench/payload"
	"hocket.dev/wire"
)

// A room is what its subscribers have in common: what is due to them.
type room struct {
	run       *fanout
	index     int
	publisher *conn
	members   int
	base      uint64 // number of due[0]
	due       []*due // published, and not everywhere yet
	spare     []*due
}

// due is one publish.
type due struct {
	payload     []byte
	frames      []byte // as it came to whoever got it last; empty before
	publication []byte // the same, without what is around it
	offset      uint64 // in the channel's log, where the dialect tells
	sent        time.Time
	number      int // in the trace, where there is one
	left        int // subscribers that have not got it
}

// add makes the next publish due to every member. Its number is also that of its payload.
func (m *room) add() (e *due, number uint64) {
	r := m.run
	e = new(due)
	if last := len(m.spare) - 1; last >= 0 {
		e, m.spare = m.spare[last], m.spare[:last]
	}
	*e = due{payload: e.payload[:0], frames: e.frames[:0], publication: e.publication[:0], left: m.members}
	number = m.base + uint64(len(m.due))
	if r.Book {
		e.payload = payload.AppendBook(e.payload, uint64(m.index), number)
	} else {
		e.payload = payload.AppendText(e.payload, uint64(m.index), number, r.Bytes)
	}
	m.due = append(m.due, e)
	r.published++
	r.open++
	return e, number
}

// at returns publish n, nil when there is none. What another process publishes is known when it comes: what it has to be then
// follows from its number, and how many there were is compared in the end.
func (m *room) at(n uint64) *due {
	if m.run.elsewhere && n == m.base+uint64(len(m.due)) {
		m.add()
	}
	if i := n - m.base; i < uint64(len(m.due)) {
		return m.due[i]
	}
	return nil
}

// got counts that s has got e, in size bytes.
func (m *room) got(s *subscriber, e *due, size int) {
	r := m.run
	s.at++
	s.offset = e.offset
	r.delivered++
	r.wire += int64(size)
	r.payload += int64(len(e.payload))
	switch {
	case r.trace != nil:
		r.trace.received(e.number, r.now)
	case !r.elsewhere:
		r.latency.Add(r.now.Sub(e.sent))
	}
	if e.left--; e.left > 0 {
		return
	}
	for len(m.due) > 0 && m.due[0].left == 0 {
		m.spare = append(m.spare, m.due[0])
		m.due = m.due[1:]
		m.base++
		r.open--
	}
}

// publisher is a connection that publishes to one room.
type publisher struct {
	room *room
	open []int // publishes that have not been answered, oldest first, by their number in the trace, where there is one
}

func (p *publisher) opened(c *conn) error {
	l := p.room.run.loop
	_, hello := l.target.Dialect.publisher(p.room.index)
	l.greet(c, hello)
	p.room.publisher = c
	p.room.run.ready++
	return nil
}

func (p *publisher) received(_ *conn, b []byte) (int, error) {
	r := p.room.run
	m, whole, err := r.loop.message.next(b)
	if err != nil || !whole {
		return 0, err
	}
	if d, ok := r.loop.target.Dialect.(resumer); ok && d.published(m.data) && len(p.open) > 0 {
		r.trace.answered(p.open[0], r.loop.came())
		p.open = p.open[:copy(p.open, p.open[1:])]
	}
	return m.size, r.loop.target.Dialect.answered(m.data)
}

// subscriber is a connection that follows one room.
type subscriber struct {
	room *room
	at   uint64 // number of the publish that has to come next

	// Where the dialect tells: the position of what came last.
	epoch  string
	offset uint64
}

func (*subscriber) opened(*conn) error { return nil }

// joined takes the position out of the message that says so.
func (s *subscriber) joined(msg []byte) (err error) {
	if d, ok := s.room.run.loop.target.Dialect.(resumer); ok && s.epoch == "" {
		s.epoch, s.offset, err = d.position(msg)
	}
	return err
}

// received compares what comes with what came to others before, which costs least, and
// looks into it only where it is different.
func (s *subscriber) received(_ *conn, b []byte) (taken int, err error) {
	s.room.run.now = s.room.run.loop.came()
	for taken < len(b) {
		e := s.room.at(s.at)
		if e != nil && len(e.frames) > 0 && bytes.HasPrefix(b[taken:], e.frames) {
			taken += len(e.frames)
			s.room.got(s, e, len(e.frames))
			continue
		}
		n, err := s.inspect(b[taken:])
		if taken += n; n == 0 || err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// inspect takes one message apart, into one publication or more.
func (s *subscriber) inspect(b []byte) (int, error) {
	l := s.room.run.loop
	m, whole, err := l.message.next(b)
	if err != nil || !whole {
		return 0, err
	}
	if m.op != wire.Text {
		return 0, fmt.Errorf("room %d: text came as a message of type %v", s.room.index, m.op)
	}
	size := m.size
	for rest := m.data; ; size = 0 {
		var publication []byte
		publication, rest = l.target.Dialect.next(rest)
		e := s.room.at(s.at)
		switch {
		case e == nil:
			return 0, fmt.Errorf("room %d: message %d came, and was not published: %q", s.room.index, s.at, publication)
		case len(e.publication) > 0 && bytes.Equal(e.publication, publication):
		case !l.target.Dialect.carries(publication, e.payload):
			return 0, fmt.Errorf("room %d: message %d should be %q, and came as %q", s.room.index, s.at, e.payload, publication)
		}
		e.publication = append(e.publication[:0], publication...)
		if len(rest) == 0 && size > 0 {
			e.frames = append(e.frames[:0], b[:size]...)
		}
		if d, ok := l.target.Dialect.(resumer); ok && e.offset == 0 {
			if e.offset, err = d.offset(publication); err != nil {
				return 0, err
			}
		}
		s.room.got(s, e, size)
		if len(rest) == 0 {
			return m.size, nil
		}
	}
}
