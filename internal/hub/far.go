package hub

import (
	"slices"

	"hocket.dev/broker"
)

// fewEntries is how many entries of the window are encoded for one cursor in one Take.
const fewEntries = 32

// takeFar makes the frames of entries that are in the window, but no longer among the shared frames.
func (c *Cursor) takeFar(s *Scratch, max int) Slice { return c.takeWindow(s, max, fewEntries) }

// takeWindow is takeFar for the next most entries.
func (c *Cursor) takeWindow(s *Scratch, max, most int) Slice {
	l := c.group.log
	l.mu.Lock()
	if l.state == logDead {
		l.mu.Unlock()
		c.next = c.group.end // Ended is on its way
		return Slice{}
	}
	if c.next < l.base || c.lagsTooFar() {
		w := c.leftBehind(l)
		l.mu.Unlock()
		return c.overflow(&w)
	}
	var few [fewEntries]*broker.Entry
	n := copy(few[:min(most, fewEntries)], l.window[c.next-l.base:])
	epoch := l.epoch
	l.mu.Unlock()
	return c.encode(s, epoch, few[:n], max)
}

// gap passes a run of entries that are left out: those after the offset from, up to to. Whoever calls it has c.next moved.
func (c *Cursor) gap(from, to uint64, reason string, passed bool) Slice {
	from = max(from, c.offset)
	c.offset = to
	c.group.log.hub.stats.gaps.Add(1)
	return Slice{GapFrom: from + 1, GapTo: to, GapReason: reason, Passed: passed}
}

// encode makes frames of entries until max bytes are reached. What c passes at the beginning it passes now.
func (c *Cursor) encode(s *Scratch, epoch string, entries []*broker.Entry, max int) Slice {
	l, name := c.group.log, c.owner.Name()
	s.buf, s.cuts = s.buf[:0], s.cuts[:0]
	passed, at, work := false, int64(0), 0
	for len(entries) > 0 {
		e := entries[0]
		if e.Offset <= c.offset { // a page of the broker held it already
			c.step(1)
			entries = entries[1:]
			continue
		}
		size, first := len(s.buf), len(s.buf) == 0
		if e.Op == opGap {
			if first {
				return c.takeGap(e, passed)
			}
			break
		}
		n := 1
		if (!skips(e, name) || e.Key != "" && c.inState()) && !l.over(e) {
			s.buf, n = c.view.set.append(s.buf, l, epoch, l.together(entries, name))
		}
		offset := entries[n-1].Offset
		switch {
		case len(s.buf) > size:
			if first {
				at = e.Time
			}
			s.cuts = append(s.cuts, cut{len(s.buf), offset, n})
		case first:
			c.passAll(offset, n)
			passed = true
		}
		for _, e := range entries[:n] {
			work += len(e.Payload)
		}
		// What was compressed may be little; what had to be compressed is bounded too.
		if len(s.buf) >= max || work >= max || len(s.buf) == size && !first {
			break
		}
		entries = entries[n:]
	}
	return Slice{Bytes: s.buf, Time: at, Passed: passed, cuts: s.cuts}
}

// takeGap tells a mark of what is not to be had.
func (c *Cursor) takeGap(mark *broker.Entry, passed bool) Slice {
	c.step(1)
	sl := c.gap(mark.Prev, mark.Offset, mark.Key, passed)
	if mark.Key == gapState {
		c.offset = 0 // the state begins anew
	}
	return sl
}

// together is the run of entries at the beginning that may be told together: of a log that is gathered those up to one
// that is not for the session called name, else one. It reads what is set once, without the lock.
func (l *log) together(entries []*broker.Entry, name string) []*broker.Entry {
	n := 1
	if l.gathers {
		for n < len(entries) && entries[n].Op != opGap && !skips(entries[n], name) && !l.over(entries[n]) {
			n++
		}
	}
	return entries[:n]
}

// append appends one message for the first n of entries, all of them where the encoding can.
func (s *frameSet) append(dst []byte, l *log, epoch string, entries []*broker.Entry) (b []byte, n int) {
	if g, ok := s.enc.(Gatherer); ok && len(entries) > 1 {
		dst, n = g.AppendEntries(dst, l.name, epoch, slices.Clone(entries)) // else the caller's would have to be on the heap
		return dst, min(max(n, 1), len(entries))
	}
	return s.enc.AppendEntry(dst, l.name, epoch, entries[0]), 1
}

// over says that there is nothing to tell of e any more: it was removed, or its time to live has passed. It looks at the
// clock of the last Tick and may be called without the lock.
func (l *log) over(e *broker.Entry) bool {
	return e.Op == opRemoved || e.TTL > 0 && l.hub.now.Load() >= lapse(e)
}

// skips says that e is not for the session called name, which published it without echo.
func skips(e *broker.Entry, name string) bool {
	return e.NoEcho && e.From != nil && e.From.Session == name && name != ""
}

// inState says that c is due entries of the compacted state. They stand for the values of their keys, which are for everybody,
// whoever wrote last, and whether or not that was to come back.
func (c *Cursor) inState() bool { return c.behind != nil && c.behind.kind != entriesOfLog }

// passAll moves the cursor over the next n entries, of which the last has the given offset.
func (c *Cursor) passAll(offset uint64, n int) {
	c.offset = offset
	c.step(n)
}

func (c *Cursor) step(n int) {
	if c.behind != nil {
		c.behind.sent += n
		c.behind.idle = false
		return
	}
	c.next += uint64(n)
}
