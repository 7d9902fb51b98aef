package hub

import "hocket.dev/broker"

type cursorState uint8

const (
	cursorClosed  cursorState = iota // also the zero Cursor
	cursorWaiting                    // asked for, not placed
	cursorPlaced
)

// Cursor is a follower's place in a log. It belongs to one loop. The zero Cursor is closed.
type Cursor struct {
	group *group
	owner Owner
	view  *loopView
	next  uint64 // index of the entry due next
	// offset is that of the last entry passed: sent, skipped or told as missed.
	offset uint64
	behind *backlog // entries older than the window that come first, nil for none

	place      int32 // in group.cursors
	state      cursorState
	due        bool // the owner knows that there is something to send
	disconnect bool // the overflow rule: end the session rather than leave entries out
}

// The reasons of a gap, as clients see them.
const (
	gapSlowConsumer = "slow_consumer" // the window's tail has passed the cursor
	gapUnavailable  = "unavailable"   // the broker has lost entries, or removed them before they were read
)

// Slice is what a cursor is due, as told by Take.
type Slice struct {
	Bytes []byte // whole frames, to be sent as they are; nil for none
	// Gap, when GapTo is not 0, says that the offsets GapFrom to GapTo, both included, will not be sent. The owner tells
	// the client before anything that Take gives afterwards. Bytes is nil.
	GapFrom, GapTo uint64
	GapReason      string
	// Passed says that entries up to Cursor.Offset have been passed that are not for this owner.
	Passed bool
	// Shared says that Bytes are everybody's and stay as they are for as long as they are held.
	Shared bool
	// Time is when the first entry was published, Unix milliseconds by the broker's clock; 0 when Bytes is nil.
	Time int64
	// Overflow says that the rule ends the session because entries would have to be left out.
	Overflow bool

	ends   []int
	offs   []uint64
}

// Scratch is the memory a loop lends to Take for frames that are not shared.
type Scratch struct {
	buf  []byte
	ends []int
	offs []uint64
}

// Offset is the offset of the last entry the cursor has passed.
func (c *Cursor) Offset() uint64 { return c.offset }

// Channel names the channel the cursor is placed in.
func (c *Cursor) Channel() string { return c.group.log.name }

// Placed says whether the cursor is placed in a log.
func (c *Cursor) Placed() bool { return c.state == cursorPlaced }

// Take tells what is due to c, at most about max bytes, and at least one frame. The zero Slice means that there is
// nothing more: the owner will be told by Due when there is. Bytes are valid for as long as they are held when they are
// shared, else until the next Take with the same Scratch. After sending some of them the owner calls Sent.
func (c *Cursor) Take(s *Scratch, max int) Slice {
	if c.state != cursorPlaced {
		return Slice{}
	}
	if c.behind != nil {
		return c.takeBacklog(s, max)
	}
	v := &c.view.view
	if c.next >= v.base && c.next < v.end() {
		return c.takeNear(v, max)
	}
	if c.next < c.group.end {
		return c.takeFar(s, max)
	}
	c.due = false
	return Slice{}
}

// takeNear takes shared frames, as many as lie in one chunk.
func (c *Cursor) takeNear(v *view, max int) Slice {
	frames := v.frames[c.next-v.base:]
	passed := false
	if c.next < v.special {
		for len(frames) > 0 && frames[0].special() {
			f := &frames[0]
			if f.chunk == nil {
				c.next++
				return c.gap(f.prev, f.offset, gapUnavailable, passed)
			}
			if f.skip != c.owner.Name() {
				break
			}
			passed = true
			c.next++
			c.offset = f.offset
			frames = frames[1:]
		}
	}
	if len(frames) == 0 {
		if c.next >= c.group.end {
			c.due = false
		}
		return Slice{Passed: passed}
	}
	first := &frames[0]
	end := first.end
	if c.next < v.special {
		end = c.extendCarefully(frames, max)
	} else {
		end = extend(frames, max)
	}
	return Slice{Bytes: first.chunk.buf[first.start:end:end], Passed: passed, Shared: true, Time: first.time}
}

// extend finds the end of the frames that lie in the chunk of the first one, within max bytes.
func extend(frames []frame, max int) uint32 {
	first := &frames[0]
	if last := &frames[len(frames)-1]; last.chunk == first.chunk && int(last.end-first.start) <= max {
		return last.end
	}
	end := first.end
	for i := 1; i < len(frames); i++ {
		if f := &frames[i]; f.chunk != first.chunk || int(f.end-first.start) > max {
			break
		}
		end = frames[i].end
	}
	return end
}

// extendCarefully is extend where some frames are not for everybody.
func (c *Cursor) extendCarefully(frames []frame, max int) uint32 {
	first, name := &frames[0], c.owner.Name()
	end := first.end
	for i := 1; i < len(frames); i++ {
		f := &frames[i]
		if f.chunk != first.chunk || f.skip == name && name != "" || int(f.end-first.start) > max {
			break
		}
		end = f.end
	}
	return end
}

// takeFar makes the frames of entries that are in the window, but no longer among the shared frames.
func (c *Cursor) takeFar(s *Scratch, max int) Slice {
	l := c.group.log
	l.mu.Lock()
	if c.next < l.base {
		to := l.tail
		c.next = l.base
		l.mu.Unlock()
		if c.disconnect {
			return Slice{Overflow: true}
		}
		return c.gap(c.offset, to, gapSlowConsumer, false)
	}
	var few [32]*broker.Entry
	entries := append(few[:0], l.window[c.next-l.base:min(uint64(len(l.window)), c.next-l.base+32)]...)
	epoch := l.epoch
	l.mu.Unlock()
	return c.encode(s, epoch, entries, max)
}

// gap tells that the offsets after from, up to to, are left out.
func (c *Cursor) gap(from, to uint64, reason string, passed bool) Slice {
	c.offset = to
	c.group.log.hub.stats.gaps.Add(1)
	return Slice{GapFrom: from + 1, GapTo: to, GapReason: reason, Passed: passed}
}

// takeBacklog makes the frames of entries that came from the broker for this cursor alone.
func (c *Cursor) takeBacklog(s *Scratch, max int) Slice {
	b := c.behind
	if b.sent < len(b.entries) {
		return c.encode(s, b.epoch, b.entries[b.sent:], max)
	}
	if b.reading || !c.rejoin() {
		c.due = false // the next page says Due
		return Slice{}
	}
	return c.Take(s, max)
}

// encode makes frames of entries until max bytes are reached. What c passes at the beginning it passes now.
func (c *Cursor) encode(s *Scratch, epoch string, entries []*broker.Entry, max int) Slice {
	l, enc, name := c.group.log, c.view.set.enc, c.owner.Name()
	s.buf, s.ends, s.offs = s.buf[:0], s.ends[:0], s.offs[:0]
	passed := false
	first := int64(0)
	for _, e := range entries {
		skip := e.NoEcho && e.From != nil && e.From.Session == name
		if skip || e.Op == opGap {
			if len(s.buf) > 0 {
				break
			}
			c.pass(e.Offset)
			if !skip {
				return c.gap(e.Prev, e.Offset, gapUnavailable, passed)
			}
			passed = true
			continue
		}
		if len(s.buf) == 0 {
			first = e.Time
		}
		s.buf = enc.AppendEntry(s.buf, l.name, epoch, e)
		s.ends, s.offs = append(s.ends, len(s.buf)), append(s.offs, e.Offset)
		if len(s.buf) >= max {
			break
		}
	}
	return Slice{Bytes: s.buf, Passed: passed, Time: first, ends: s.ends, offs: s.offs}
}

// pass moves the cursor over the next entry, which has the given offset.
func (c *Cursor) pass(offset uint64) {
	c.offset = offset
	if c.behind != nil {
		c.behind.sent++
		return
	}
	c.next++
}

// Sent moves c over what the socket has taken: the first n bytes of sl, which c's last Take gave. It returns how many
// entries were begun, and the rest of the one that was sent in part; the owner sends that before anything else.
func (c *Cursor) Sent(sl Slice, n int) (entries int, rest []byte) {
	if !sl.Shared {
		return c.sentOwn(sl, n)
	}
	v := &c.view.view
	frames := v.frames[c.next-v.base:]
	sent := 0
	for i := range frames {
		f := &frames[i]
		if sent >= n {
			break
		}
		size := int(f.end - f.start)
		c.next++
		c.offset = f.offset
		if sent+size > n {
			return i + 1, f.bytes()[n-sent:]
		}
		sent += size
		entries++
	}
	return entries, nil
}

func (c *Cursor) sentOwn(sl Slice, n int) (entries int, rest []byte) {
	for i, end := range sl.ends {
		start := 0
		if i > 0 {
			start = sl.ends[i-1]
		}
		if n <= start {
			break
		}
		c.pass(sl.offs[i])
		entries++
		if n < end {
			return entries, sl.Bytes[n:end]
		}
	}
	return entries, nil
}

// Close takes c out of its log. Closing a closed cursor does nothing.
func (c *Cursor) Close() {
	if c.state == cursorPlaced {
		c.group.drop(c)
	}
	*c = Cursor{}
}
