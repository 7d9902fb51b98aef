package hub

import "hocket.dev/broker"

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
	// Time is when the first of the entries in Bytes was published, Unix milliseconds by the broker's clock.
	Time int64
	// Passed says that entries up to Cursor.Offset have been passed that are not for this owner. What else the Slice
	// tells comes after them.
	Passed bool
	// Overflow says that the rule ends the session because entries would have to be left out.
	Overflow bool
	// Shared says that Bytes belong to all cursors of the encoding. They stay as they are for as long as somebody holds
	// them; what is held keeps its chunk in memory. Other Bytes are valid until the next Take with the same Scratch.
	Shared bool

	frames []frame // that Bytes is made of, when they are shared
	cuts   []cut   // where they end, when they are not
}

// cut is where the frame of an entry ends.
type cut struct {
	end    int
	offset uint64
}

// nothing says that there is nothing for the owner to do before the next Due, but for what was passed.
func (s *Slice) nothing() bool { return len(s.Bytes) == 0 && s.GapTo == 0 && !s.Overflow }

// Scratch is the memory a loop lends to Take for frames that are not shared.
type Scratch struct {
	buf  []byte
	cuts []cut
}

// fewEntries is how many entries of the window are encoded for one cursor in one Take.
const fewEntries = 32

// Take tells what is due to c, at most about max bytes, and at least one frame. A Slice without Bytes, gap and Overflow
// means that there is nothing more: the owner will be told by Due when there is. After sending some of the Bytes the
// owner calls Sent; until then Take tells the same again.
func (c *Cursor) Take(s *Scratch, max int) Slice {
	if c.state != cursorPlaced {
		return Slice{}
	}
	passed := false
	for c.lags() {
		var sl Slice
		v := &c.view.view
		switch {
		case c.behind != nil:
			sl = c.takeBacklog(s, max)
		case c.next >= v.base && c.next < v.end():
			sl = c.takeNear(v, max)
		default:
			sl = c.takeFar(s, max)
		}
		passed = passed || sl.Passed
		if !sl.nothing() {
			sl.Passed = passed
			return sl
		}
	}
	c.due = false
	return Slice{Passed: passed}
}

// takeNear takes shared frames, as many as lie in one chunk.
func (c *Cursor) takeNear(v *view, max int) (sl Slice) {
	frames := v.frames[c.next-v.base:]
	for frames[0].offset <= c.offset { // a page of the broker held it already
		c.next++
		if frames = frames[1:]; len(frames) == 0 {
			return sl
		}
	}
	n := 0
	if c.next >= v.special {
		n = extend(frames, max)
	} else {
		name := c.owner.Name()
		for frames[0].skips(name) {
			sl.Passed = true
			c.next++
			c.offset = frames[0].offset
			if frames = frames[1:]; len(frames) == 0 {
				return sl
			}
		}
		if f := &frames[0]; f.chunk == nil {
			return c.gap(f.prev, f.offset, gapUnavailable, sl.Passed)
		}
		n = extendFor(name, frames, max)
	}
	passed := sl.Passed
	sl = share(frames[:n:n])
	sl.Passed = passed
	return sl
}

// share tells frames that lie in one chunk.
func share(frames []frame) Slice {
	first, last := &frames[0], &frames[len(frames)-1]
	return Slice{Bytes: first.chunk.buf[first.start:last.end:last.end], Shared: true, frames: frames, Time: first.time}
}

// extend counts the frames that lie in the chunk of the first one, within max bytes.
func extend(frames []frame, max int) int {
	first := &frames[0]
	if last := &frames[len(frames)-1]; last.chunk == first.chunk && int(last.end-first.start) <= max {
		return len(frames)
	}
	n := 1
	for n < len(frames) && frames[n].chunk == first.chunk && int(frames[n].end-first.start) <= max {
		n++
	}
	return n
}

// extendFor is extend where some frames are not for everybody.
func extendFor(name string, frames []frame, max int) int {
	first, n := &frames[0], 1
	for n < len(frames) && frames[n].chunk == first.chunk && int(frames[n].end-first.start) <= max && !frames[n].skips(name) {
		n++
	}
	return n
}

// takeFar makes the frames of entries that are in the window, but no longer among the shared frames.
func (c *Cursor) takeFar(s *Scratch, max int) Slice {
	l := c.group.log
	l.mu.Lock()
	if l.state == logDead {
		l.mu.Unlock()
		c.next = c.group.end // Ended is on its way
		return Slice{}
	}
	if c.next < l.base {
		to, base := l.tail, l.base
		l.mu.Unlock()
		switch {
		case to <= c.offset:
			c.next = base
			return Slice{}
		case c.disconnect:
			return Slice{Overflow: true}
		}
		c.next = base - 1
		return c.gap(c.offset, to, gapSlowConsumer, false)
	}
	var few [fewEntries]*broker.Entry
	n := copy(few[:], l.window[c.next-l.base:])
	epoch := l.epoch
	l.mu.Unlock()
	return c.encode(s, epoch, few[:n], max)
}

// gap passes a run of entries that are left out: those after the offset from, up to to.
func (c *Cursor) gap(from, to uint64, reason string, passed bool) Slice {
	from = max(from, c.offset)
	c.pass(to)
	c.group.log.hub.stats.gaps.Add(1)
	return Slice{GapFrom: from + 1, GapTo: to, GapReason: reason, Passed: passed}
}

// encode makes frames of entries until max bytes are reached. What c passes at the beginning it passes now.
func (c *Cursor) encode(s *Scratch, epoch string, entries []*broker.Entry, max int) Slice {
	l, enc, name := c.group.log, c.view.set.enc, c.owner.Name()
	s.buf, s.cuts = s.buf[:0], s.cuts[:0]
	passed, at, work := false, int64(0), 0
	for _, e := range entries {
		if e.Offset <= c.offset { // a page of the broker held it already
			c.step()
			continue
		}
		size, first := len(s.buf), len(s.buf) == 0
		if e.Op == opGap {
			if first {
				return c.gap(e.Prev, e.Offset, gapUnavailable, passed)
			}
			break
		}
		if !skips(e, name) || c.inState() {
			s.buf = enc.AppendEntry(s.buf, l.name, epoch, e)
		}
		switch {
		case len(s.buf) > size:
			if first {
				at = e.Time
			}
			s.cuts = append(s.cuts, cut{len(s.buf), e.Offset})
		case first:
			c.pass(e.Offset)
			passed = true
		}
		// What was compressed may be little; what had to be compressed is bounded too.
		if work += len(e.Payload); len(s.buf) >= max || work >= max || len(s.buf) == size && !first {
			break
		}
	}
	return Slice{Bytes: s.buf, Time: at, Passed: passed, cuts: s.cuts}
}

// skips says that e is not for the session called name, which published it without echo.
func skips(e *broker.Entry, name string) bool {
	return e.NoEcho && e.From != nil && e.From.Session == name && name != ""
}

// inState says that c is due entries of the compacted state. They stand for the values of their keys, which are for everybody,
// whoever wrote last, and whether or not that was to come back.
func (c *Cursor) inState() bool { return c.behind != nil && c.behind.state }

// pass moves the cursor over the next entry, which has the given offset.
func (c *Cursor) pass(offset uint64) {
	c.offset = offset
	c.step()
}

func (c *Cursor) step() {
	if c.behind != nil {
		c.behind.sent++
		return
	}
	c.next++
}

// More tells whether something is due to c after Sent. When nothing is, the owner will be told by Due.
func (c *Cursor) More() bool {
	c.due = c.state == cursorPlaced && c.lags()
	return c.due
}

// Sent moves c over what the socket has taken: the first n bytes of sl, which c's last Take gave. It tells how many
// entries that were, and returns the rest of a frame that was sent in part: that entry counts, and the owner sends the
// rest before anything else. What is not shared it copies (see [Slice]).
func (c *Cursor) Sent(sl *Slice, n int) (entries int, rest []byte) {
	if sl.Shared {
		return c.sentShared(sl, n)
	}
	start := 0
	for _, cut := range sl.cuts {
		if n <= start {
			break
		}
		c.pass(cut.offset)
		entries++
		if n < cut.end {
			return entries, sl.Bytes[n:cut.end]
		}
		start = cut.end
	}
	return entries, nil
}

func (c *Cursor) sentShared(sl *Slice, n int) (entries int, rest []byte) {
	if n >= len(sl.Bytes) {
		entries = len(sl.frames)
	} else {
		start := sl.frames[0].start
		for entries < len(sl.frames) && int(sl.frames[entries].start-start) < n {
			entries++
		}
		if entries == 0 {
			return 0, nil
		}
		if end := int(sl.frames[entries-1].end - start); end > n {
			rest = sl.Bytes[n:end]
		}
	}
	c.next += uint64(entries)
	c.offset = sl.frames[entries-1].offset
	return entries, rest
}
