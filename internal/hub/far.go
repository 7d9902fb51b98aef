package hub

import "hocket.dev/broker"

// fewEntries is how many entries of the window are encoded for one cursor in one Take.
const fewEntries = 32

// takeFar makes the frames of entries that are in the window, but no longer among the shared frames.
func (c *Cursor) takeFar(s *Scratch, max int) Slice {
	l := c.group.log
	l.mu.Lock()
	if l.state == logDead {
		l.mu.Unlock()
		c.next = c.group.end // Ended is on its way
		return Slice{}
	}
	if c.next < l.base || c.next < c.view.lag.floor {
		w := c.leftBehind(l)
		l.mu.Unlock()
		return c.overflow(&w)
	}
	var few [fewEntries]*broker.Entry
	n := copy(few[:], l.window[c.next-l.base:])
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
				c.step()
				sl := c.gap(e.Prev, e.Offset, e.Key, passed)
				if e.Key == gapState {
					c.offset = 0 // the state begins anew
				}
				return sl
			}
			break
		}
		if !skips(e, name) && !l.over(e) {
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

// over says that there is nothing to tell of e any more: it was removed, or its time to live has passed. It looks at the
// clock of the last Tick and may be called without the lock.
func (l *log) over(e *broker.Entry) bool {
	return e.Op == opRemoved || e.TTL > 0 && l.hub.now.Load() >= e.Time+e.TTL.Milliseconds()
}

// skips says that e is not for the session called name, which published it without echo.
func skips(e *broker.Entry, name string) bool {
	return e.NoEcho && e.From != nil && e.From.Session == name && name != ""
}

// pass moves the cursor over the next entry, which has the given offset.
func (c *Cursor) pass(offset uint64) {
	c.offset = offset
	c.step()
}

func (c *Cursor) step() {
	if c.behind != nil {
		c.behind.sent++
		c.behind.idle = false
		return
	}
	c.next++
}
