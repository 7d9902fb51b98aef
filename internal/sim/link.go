package sim

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A link is a network connection in memory between a client and the node.
type link struct {
	mu     sync.Mutex // guards everything below, and the halves
	up     half       // from the client
	down   half       // to the client
	silent bool       // nothing arrives any more, and nobody is told
	broken bool       // both sides know that it has broken
	marred bool       // something has befallen it, or the client has ended it: the server may not get to say why it closes
}

// A half is one direction of a link: bytes on their way, each with the time of its arrival.
type half struct {
	link     *link
	changed  *sync.Cond
	dice     dice
	delay    [2]time.Duration // from and to
	pieces   int              // percent of reads that get only a part of what has come
	capacity int              // bytes on their way, or arrived and not read

	segments []segment
	size     int
	stalled  time.Time // nothing arrives before
	arrives  time.Time // of the newest segment
	ended    bool      // the writer sends no more: the end arrives behind the segments
	deaf     bool      // the reader has closed

	alarm *time.Timer
	wakes time.Time // when the alarm goes off

	written int64     // bytes, all in all
	stamps  []stamp   // of what has been written and not been asked about
	since   time.Time // when what is being written was handed over, or earlier
	began   time.Time // the newest write
	stopped time.Time // and the end of the last one
}

// A stamp says when bytes were written, those up to a number of them.
type stamp struct {
	upTo          int64
	after, before time.Time // they were handed over no earlier, and no later
}

type segment struct {
	b  []byte
	at time.Time
}

// An end is a net.Conn at one side of a link.
type end struct {
	link    *link
	in, out *half
	waits   int // bytes that the node lets wait for it, at the node's side
	closed  bool
	taken   int64 // bytes that were read
	// until when to wait in Read and Write; the zero time means for ever.
	readUntil, writeUntil time.Time
}

// newLink makes a link of one kind of quality, and its two ends.
func newLink(d dice, q quality) (l *link, client, server *end) {
	l = &link{}
	for i, h := range []*half{&l.up, &l.down} {
		*h = half{
			link: l, changed: sync.NewCond(&l.mu), dice: throw(d.state, "half", uint64(i)),
			delay: q.delay, pieces: q.pieces, capacity: q.capacity,
		}
	}
	return l, &end{link: l, in: &l.down, out: &l.up}, &end{link: l, in: &l.up, out: &l.down, waits: q.waits}
}

// quality says how a link works while nothing happens to it.
type quality struct {
	delay    [2]time.Duration
	pieces   int
	capacity int
	waits    int // bytes that the node lets wait for it
}

// WriteBufferBytes says so to the driver: as few as those of a socket.
func (e *end) WriteBufferBytes() int { return e.waits }

// cut breaks the link: what is on its way is lost, and both sides learn it.
func (l *link) cut() { l.change(func() { l.broken, l.marred = true, true }) }

// vanish loses everything from now on without a word to either side.
func (l *link) vanish() { l.change(func() { l.silent, l.marred = true, true }) }

// mar notes that the client is about to end the link.
func (l *link) mar() { l.change(func() { l.marred = true }) }

// isMarred says whether something has befallen the link.
func (l *link) isMarred() (is bool) { l.change(func() { is = l.marred }); return is }

// stall lets nothing arrive at the client, or the node, for a while. Nothing is lost.
func (l *link) stall(up, down bool, d time.Duration) {
	l.change(func() {
		l.marred = true
		until := time.Now().Add(d)
		if up {
			l.up.stalled = until
		}
		if down {
			l.down.stalled = until
		}
	})
}

func (l *link) change(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
	l.up.changed.Broadcast()
	l.down.changed.Broadcast()
}

// wake has the half looked at again at a time. The lock is held.
func (h *half) wake(at time.Time) {
	now := time.Now()
	if h.wakes.After(now) && !at.Before(h.wakes) {
		return // sooner than that; who is woken asks again
	}
	h.wakes = at
	d := at.Sub(now)
	if h.alarm == nil {
		h.alarm = time.AfterFunc(d, func() {
			h.link.mu.Lock()
			defer h.link.mu.Unlock()
			h.changed.Broadcast()
		})
		return
	}
	h.alarm.Reset(d)
}

// Read implements net.Conn, as the methods below.
func (e *end) Read(b []byte) (int, error) {
	h := e.in
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	for {
		if err := e.failure(e.readUntil); err != nil {
			return 0, err
		}
		next := e.readUntil
		if len(h.segments) > 0 || h.ended {
			at := later(h.arrives, h.stalled)
			if len(h.segments) > 0 {
				at = later(h.segments[0].at, h.stalled)
			}
			switch {
			case e.link.silent:
			case time.Now().Before(at):
				next = sooner(next, at)
			case len(h.segments) == 0:
				return 0, io.EOF
			default:
				n := h.take(b)
				e.taken += int64(n)
				return n, nil
			}
		}
		if !next.IsZero() {
			h.wake(next)
		}
		h.changed.Wait()
	}
}

// take reads from the first segment.
func (h *half) take(b []byte) int {
	s := &h.segments[0]
	n := min(len(b), len(s.b))
	if n > 1 && h.dice.chance(h.pieces) {
		n = h.dice.between(1, n)
	}
	copy(b, s.b[:n])
	if s.b = s.b[n:]; len(s.b) == 0 {
		h.segments = h.segments[1:]
	}
	h.size -= n
	h.changed.Broadcast() // there is room
	return n
}

func (e *end) Write(b []byte) (written int, err error) {
	h := e.out
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	h.begin()
	defer func() { h.stopped = time.Now() }()
	for {
		err := e.failure(e.writeUntil)
		if err == nil && (h.deaf && !e.link.silent || h.ended) {
			err = syscall.EPIPE
		}
		if err != nil || len(b) == 0 {
			return written, err
		}
		if n := min(len(b), h.capacity-h.size); n > 0 {
			h.send(b[:n])
			b, written = b[n:], written+n
			continue
		}
		if !e.writeUntil.IsZero() {
			h.wake(e.writeUntil)
		}
		h.changed.Wait()
	}
}

// begin notes when what is about to be written was handed over. Where one write follows on another, it may have waited for that
// as long as that took.
func (h *half) begin() {
	now := time.Now()
	h.since = now
	if !now.After(h.stopped) {
		h.since = h.began
	}
	h.began = now
}

// handed says when the byte behind so many was handed over. It is not asked about those before afterwards.
func (h *half) handed(behind int64) stamp {
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	for len(h.stamps) > 0 && h.stamps[0].upTo <= behind {
		h.stamps = h.stamps[1:]
	}
	if len(h.stamps) == 0 {
		return stamp{}
	}
	return h.stamps[0]
}

// send puts bytes on their way.
func (h *half) send(b []byte) {
	at := time.Now().Add(h.dice.time(h.delay[0], h.delay[1]))
	h.arrives = later(at, h.arrives.Add(1))
	h.segments = append(h.segments, segment{append([]byte(nil), b...), h.arrives})
	h.size += len(b)
	h.written += int64(len(b))
	if n := len(h.stamps); n > 0 && h.stamps[n-1].before.Equal(h.began) {
		h.stamps[n-1].upTo = h.written
	} else {
		h.stamps = append(h.stamps, stamp{h.written, h.since, h.began})
	}
	h.changed.Broadcast()
}

// failure is why nothing goes at this end. The lock is held.
func (e *end) failure(until time.Time) error {
	switch {
	case e.closed:
		return net.ErrClosed
	case e.link.broken:
		return syscall.ECONNRESET
	case !until.IsZero() && !time.Now().Before(until):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (e *end) Close() error {
	e.link.change(func() {
		e.closed = true
		e.in.deaf = true
		e.link.marred = e.link.marred || e.in == &e.link.down
		e.finish()
	})
	return nil
}

// CloseWrite ends this direction alone, as a TCP connection does.
func (e *end) CloseWrite() error {
	e.link.change(func() {
		e.link.marred = true
		e.finish()
	})
	return nil
}

func (e *end) finish() {
	if h := e.out; !h.ended {
		h.ended = true
		h.arrives = later(time.Now().Add(h.dice.time(h.delay[0], h.delay[1])), h.arrives.Add(1))
	}
}

func (e *end) SetDeadline(t time.Time) error {
	e.link.change(func() { e.readUntil, e.writeUntil = t, t })
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.link.change(func() { e.readUntil = t })
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.link.change(func() { e.writeUntil = t })
	return nil
}

func (e *end) LocalAddr() net.Addr  { return address }
func (e *end) RemoteAddr() net.Addr { return address }

var address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sooner is the earlier of two times, of which the first may be none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
