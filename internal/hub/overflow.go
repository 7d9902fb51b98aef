package hub

import (
	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// left is what there is for a cursor that was left behind.
type left struct {
	epoch   string
	removed uint64 // entries up to this offset were removed
	to      uint64 // offset of the newest entry it cannot have
	next    uint64 // index of the entry after it

	// Where no entry has a key, for a cursor that jumps: what there is, with marks of what is not known any more, and the
	// offset up to which that is all.
	keyed bool // some have
	known []*broker.Entry
	head  uint64
}

// leftBehind looks at a cursor that stands before the window, or beyond the bounds of its terms. l.mu is held.
func (c *Cursor) leftBehind(l *log) left {
	w := left{epoch: l.epoch, removed: l.removed, to: l.tail, next: l.base, keyed: l.keyed > c.offset}
	if c.next >= l.base {
		w.next = max(l.resumeAt(&c.view.terms), c.next+1)
		w.to = l.offsetBefore(w.next)
	}
	if !w.keyed && c.view.terms.overflow == rule.OverflowLatest {
		w.known, w.head = l.unkeyedAfter(c.offset), l.offsetBefore(l.end())
	}
	return w
}

// overflow does what the rule says with a cursor that was left behind. What was removed is told whatever the rule says.
func (c *Cursor) overflow(w *left) Slice {
	t := &c.view.terms
	switch {
	case w.to <= c.offset:
		c.next = w.next
		return Slice{}
	case w.removed > c.offset:
		if w.removed >= w.to {
			c.next = w.next
		}
		return c.gap(c.offset, min(w.removed, w.to), gapRemoved, false)
	}
	action := t.overflow
	sl, ok := Slice{}, true
	switch action {
	case rule.OverflowDisconnect:
		c.end()
		return Slice{Overflow: true}
	case rule.OverflowRefill:
		c.readBehind(&backlog{epoch: w.epoch, more: true, bounded: true})
	case rule.OverflowLatest:
		sl, ok = c.latest(w)
	default:
		ok = false
	}
	if !ok {
		action, c.next = rule.OverflowGap, w.next
		sl = c.gap(c.offset, w.to, gapSlowConsumer, false)
	}
	t.counts[action].Add(1)
	return sl
}

// end has the rule end the session: once, though a client that does not read may keep it from closing. It answers false
// when that has been done.
func (c *Cursor) end() bool {
	if c.ended {
		return false
	}
	c.ended = true
	c.view.terms.counts[rule.OverflowDisconnect].Add(1)
	return true
}

// latest jumps to the head. Where nothing had a key the newest entry is all there is to tell; else what has changed in the
// state is read. It answers false when there is no state to be had.
func (c *Cursor) latest(w *left) (Slice, bool) {
	if !w.keyed {
		return c.newest(w), true
	}
	if !c.group.log.hub.hasState() {
		return Slice{}, false
	}
	c.readBehind(&backlog{epoch: w.epoch, kind: changesOfState, more: true, bounded: true, latest: true})
	return Slice{}, true
}

// newest has c go on with the newest entry that there is for it, if any, and marks of what is not known and may have been
// newer, and then with what comes.
func (c *Cursor) newest(w *left) Slice {
	due := c.dueUnkeyed(w.known, broker.MaxOffset, broker.MaxOffset)
	c.behind = &backlog{epoch: w.epoch, kind: changesOfState, entries: due, upTo: w.head, newest: true}
	c.group.watch.Store(true)
	if len(due) > 0 {
		c.offset = max(c.offset, before(due[0]))
	}
	return Slice{Passed: true}
}
