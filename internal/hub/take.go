package hub

// The reasons of a gap, as clients see them.
const (
	gapSlowConsumer = "slow_consumer" // the window's tail has passed the cursor
	gapUnavailable  = "unavailable"   // the broker has lost entries, or retention has dropped them before they were read
	gapRemoved      = "removed"       // somebody had them removed
	gapWithoutKey   = "without_key"   // the log has lost entries without a key; what has changed in the state is told all the same
	gapState        = "state"         // what has changed cannot be told any more: the whole state follows, in place of what the client has
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
	// Passed says that entries have been passed that are not for this owner: up to Cursor.Offset, or where a gap is told up
	// to the offset before GapFrom. What else the Slice tells comes after them.
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
	end     int
	offset  uint64
	entries int // that it tells
}

// nothing says that there is nothing for the owner to do before the next Due, but for what was passed.
func (s *Slice) nothing() bool { return len(s.Bytes) == 0 && s.GapTo == 0 && !s.Overflow }

// Scratch is the memory a loop lends to Take for frames that are not shared.
type Scratch struct {
	buf  []byte
	cuts []cut
}

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
		case c.next >= v.base && c.next < v.end() && !c.lagsTooFar():
			sl = c.takeNear(s, v, max)
		default:
			sl = c.takeFar(s, max)
		}
		passed = passed || sl.Passed
		if !sl.nothing() {
			sl.Passed = passed
			return sl
		}
	}
	c.due, c.catches = false, c.catches && c.behind != nil // else it has come to the head
	return Slice{Passed: passed}
}

// takeNear takes shared frames, as many as lie in one chunk.
func (c *Cursor) takeNear(s *Scratch, v *view, max int) (sl Slice) {
	frames := v.frames[c.next-v.base:]
	for frames[0].offset <= c.offset { // a page of the broker held it already
		c.next++
		if frames = frames[1:]; len(frames) == 0 {
			return sl
		}
	}
	if c.next < v.special {
		return c.takeSpecial(s, frames, max)
	}
	n := extend(frames, max)
	return share(frames[:n:n])
}

// takeSpecial is takeNear where some frames are not for everybody.
func (c *Cursor) takeSpecial(s *Scratch, frames []frame, max int) (sl Slice) {
	name := c.owner.Name()
	for len(frames) > 0 {
		n, how := look(frames, name)
		switch how {
		case nothingForIt:
			sl.Passed = true
			c.next += uint64(n)
			c.offset = frames[n-1].offset
			frames = frames[n:]
			continue
		case notToBeHad:
			c.next++
			return c.gap(frames[0].prev, frames[0].offset, frames[0].skip, sl.Passed)
		case toBeMadeApart:
			apart := c.takeWindow(s, max, n)
			apart.Passed = apart.Passed || sl.Passed
			return apart
		}
		n = extendFor(name, frames, max)
		passed := sl.Passed
		sl = share(frames[:n:n])
		sl.Passed = passed
		return sl
	}
	return sl
}

// how says how a session gets frames.
type how uint8

const (
	asTheyAre     how = iota
	nothingForIt      // passed
	notToBeHad        // told as a gap
	toBeMadeApart     // they are told together with others that the session does not get
)

// look tells how the session called name gets the first n frames, which go together.
func look(frames []frame, name string) (n int, h how) {
	n = 1 + int(frames[0].after)
	last := &frames[n-1]
	switch {
	case last.chunk == nil:
		return n, notToBeHad
	case last.before > 0:
		for i := range frames[:n] {
			if frames[0].before > 0 || frames[i].skip != "" && frames[i].skip == name {
				return n, toBeMadeApart
			}
		}
	case last.skip != "" && last.skip == name:
		return n, nothingForIt
	}
	if last.start == last.end {
		return n, nothingForIt
	}
	return n, asTheyAre
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
	first, n := &frames[0], 1+int(frames[0].after)
	for n < len(frames) {
		m, how := look(frames[n:], name)
		if last := &frames[n+m-1]; how != asTheyAre || last.chunk != first.chunk || int(last.end-first.start) > max {
			break
		}
		n += m
	}
	return n
}

// More tells whether something is due to c after Sent. When nothing is, the owner will be told by Due.
func (c *Cursor) More() bool {
	c.due = c.state == cursorPlaced && c.lags()
	c.catches = c.catches && (c.due || c.behind != nil)
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
		c.passAll(cut.offset, cut.entries)
		entries += cut.entries
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
