package hub

import (
	"slices"

	"hocket.dev/broker"
)

// Removed forgets what was taken out of a log: nobody who has not been sent it yet will be, but for what a loop is about
// to send. Entries that were removed one by one or by key are passed; where all up to an offset were, cursors that stand
// before it are told so as a gap. It implements broker.Sink.
func (h *Hub) Removed(channel string, r broker.Removal) {
	if l := h.find(channel); l != nil {
		l.remove(&r)
	}
}

// remove forgets what r says. Reads under way may bring it once more: they are repeated.
func (l *log) remove(r *broker.Removal) {
	l.mu.Lock()
	l.removals++
	if l.state != logOpen {
		l.mu.Unlock()
		return
	}
	if r.Epoch != "" && r.Epoch != l.epoch { // one of the two has begun anew: a read will tell
		l.mu.Unlock()
		l.catchUp()
		return
	}
	l.flush()
	if r.UpTo != 0 && r.Key == "" {
		l.removeUpTo(r.UpTo)
	} else {
		l.removeSome(r)
	}
	for _, s := range l.sets {
		s.clear(l, l.end())
	}
	missing := r.UpTo > l.head || len(l.live.held) > 0
	l.live.held = nil
	groups := l.groups
	l.mu.Unlock()
	grow(groups) // so that no loop holds on to the frames
	for _, g := range groups {
		if g.watch.Load() {
			g.loop.Post(g.readAgain)
		}
	}
	if missing {
		l.catchUp()
	}
}

// removeUpTo moves the window's tail. l.mu is held.
func (l *log) removeUpTo(offset uint64) {
	n := 0
	for n < len(l.window) && l.window[n].Offset <= offset {
		n++
	}
	if n > 0 {
		l.evict(n, true)
	}
	l.removed = max(l.removed, offset)
	l.lost = max(l.lost, min(offset, l.head))
	if offset >= l.tail {
		l.tail, l.whole = min(offset, l.head), true
	}
	if e := l.unkeyed.newest; e != nil && e.Offset <= offset {
		l.unkeyed.forget()
	}
}

// removeSome takes out entries one by one. Of a Delete only the payload is forgotten: who has the value has to learn of it, if
// not from a later one. l.mu is held.
func (l *log) removeSome(r *broker.Removal) {
	gone := func(e *broker.Entry) bool {
		if r.Key != "" {
			return e.Key == r.Key && (r.UpTo == 0 || e.Offset <= r.UpTo) && e.Op != opGap
		}
		return e.Op != opGap && (e.Offset == r.Offset || slices.Contains(l.pace.joined[e.Offset], r.Offset))
	}
	later := r.Key != "" && r.UpTo > l.head // a Delete of the key stays, or is yet to come
	for i, e := range slices.Backward(l.window) {
		if !gone(e) || e.Op == opRemoved {
			continue
		}
		mark := &broker.Entry{Op: opRemoved, Offset: e.Offset, Prev: e.Prev, Time: e.Time}
		switch {
		case e.Op == broker.Delete && !later:
			later = true
			*mark = *e
			mark.Payload = nil
		case e.TTL == 0:
			l.thin++
		}
		l.window[i] = mark
		l.grow(mark.Size() - e.Size())
	}
	if e := l.unkeyed.newest; e != nil && gone(e) {
		l.findUnkeyed()
	}
}

// grow counts bytes of the window. l.mu is held.
func (l *log) grow(bytes int64) {
	l.bytes += bytes
	l.hub.bytes.Add(bytes)
}

// removedSince says that something was removed after l.removals was asked.
func (l *log) removedSince(asked uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.removals != asked
}

// readAgain gives up the pages that cursors have not been sent yet, since what is on them may have been removed.
func (g *group) readAgain() {
	for _, c := range g.cursors {
		if c.giveUp() {
			c.wake()
		}
	}
}

// giveUp drops what is left of a page, to be read again when the owner asks for it. It answers false where there is none.
func (c *Cursor) giveUp() bool {
	b := c.behind
	switch {
	case b == nil || b.reading || b.sent == len(b.entries):
		return false
	case b.entries[b.sent].Op == opGap && b.entries[b.sent].Key == gapState:
		return false
	case b.newest:
		c.behind, c.next = nil, 0 // the window has passed it once more
		return true
	}
	b.release(c.group.log.hub)
	b.more = true
	return true
}
