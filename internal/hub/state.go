package hub

import "hocket.dev/broker"

// A state is told in the order of offsets, page after page, while it goes on changing. The pages of the whole state are
// of what it was at the first one (backlog.upTo): a key that has been written since may have left them, an append among
// what its value is now. So they end there, and what has changed since is asked for as changes of the state, deletes
// included. These are read to their end, wherever that has moved meanwhile. Of every key, the latest entry up to there was
// either on a page of the whole state and is the same still, or it lay before the page of the changes that came past its
// offset; so at the end the client has the state as it is at the last page's head, and the log goes on from there.
//
// Entries without a key are no part of a state. Among the changes they come from the log, in their places (log.mix).

// resumeState takes a page of a state.
func (c *Cursor) resumeState(page *broker.Page) {
	b := c.behind
	if b.kind == wholeState {
		b.endWhole(page)
		return
	}
	if !page.Complete {
		c.startOver(page)
		return
	}
	b.upTo = page.Head
	if b.latest {
		c.addUnkeyed(page)
	}
}

// endWhole cuts off what has been written since the first page: the changes bring it.
func (b *backlog) endWhole(page *broker.Page) {
	b.moved = b.moved || page.Head > b.upTo
	n := len(b.entries)
	for n > 0 && b.entries[n-1].Offset > b.upTo {
		n--
	}
	b.more = b.more && n > 0 && n == len(b.entries)
	b.entries = b.entries[:n]
}

// startOver tells the whole state to a cursor for which it is no longer known what was deleted, and says so first.
func (c *Cursor) startOver(page *broker.Page) {
	b := c.behind
	gap := &broker.Entry{Op: opGap, Prev: c.offset, Offset: max(page.Head, c.offset+1), Key: gapState}
	*b = backlog{
		epoch: b.epoch, kind: wholeState, entries: []*broker.Entry{gap}, upTo: gap.Offset, live: gap.Offset, more: true,
		bounded: b.bounded, counted: b.counted,
	}
}

// isBehind says that this node does not know of everything up to an offset, and sees to that. l.mu is held.
func (l *log) isBehind(offset uint64) bool {
	if l.head >= offset {
		return false
	}
	l.live.ahead, l.live.suspect = max(l.live.ahead, offset), true
	return true
}

// hasState says that the broker keeps states.
func (h *Hub) hasState() bool {
	_, ok := h.cfg.Broker.(broker.State)
	return ok
}
